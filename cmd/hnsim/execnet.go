package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"

	"github.com/hnsim/hnsim/cmd/hnsim/internal/exit"
	"github.com/hnsim/hnsim/sim"
	"github.com/hnsim/hnsim/sim/standin"
	"github.com/hnsim/hnsim/sim/standin/hostnet"
)

// programNet is the network that a program runs in.
type programNet struct {
	space *hostnet.Namespace // nil: this machine's
	why   string             // it is not another one

	mu     sync.Mutex
	folder string           // of the run, once there is one
	relays []*standin.Relay // everything that passes connections on
}

// openNet makes the network that --net asks for.
func (a *app) openNet(mode string) (*programNet, error) {
	switch mode {
	case "host":
		return &programNet{why: "as asked for"}, nil
	case "auto", "namespace":
	default:
		return nil, fmt.Errorf("--net is %q: expected auto, namespace or host", mode)
	}
	space, err := hostnet.New()
	if err == nil {
		return &programNet{space: space}, nil
	}
	if runtime.GOOS == "linux" && a.reexec != nil {
		err = fmt.Errorf("a network namespace needs privileges (%w), and %w", err, a.reexec())
	}
	if mode == "namespace" {
		return nil, exit.With(exit.NotTested, err)
	}
	return &programNet{why: err.Error()}, nil
}

// start starts a process in the network.
func (n *programNet) start(cmd *exec.Cmd) error {
	if n.space == nil {
		return cmd.Start()
	}
	return n.space.Do(cmd.Start)
}

// listen opens a port where the program reaches it.
func (n *programNet) listen(addr string) (net.Listener, error) {
	if n.space == nil {
		return net.Listen("tcp", addr)
	}
	return n.space.Listen(addr)
}

// relay serves a port of the program's network.
func (n *programNet) relay(cfg standin.RelayConfig) {
	r := standin.NewRelay(cfg)
	n.mu.Lock()
	n.relays = append(n.relays, r)
	n.mu.Unlock()
	go func() { _ = r.Serve() }()
}

// checkForwards looks at the values of --forward.
func checkForwards(addrs []string) error {
	for _, addr := range addrs {
		host, port, err := net.SplitHostPort(addr)
		number, bad := strconv.ParseUint(port, 10, 16)
		if err != nil || bad != nil || host == "" || number == 0 {
			return fmt.Errorf("--forward is %q: expected address:port with a port of 1 to 65535, such as 127.0.0.1:6443", addr)
		}
	}
	return nil
}

// forward lets the program reach a port of this machine's under its address.
func (n *programNet) forward(addr string) error {
	if n.space == nil {
		return nil // it does anyway
	}
	ln, err := n.listen(addr)
	if err != nil {
		return fmt.Errorf("forwarding %s: %w", addr, err)
	}
	n.relay(standin.RelayConfig{Listener: ln, Dial: func() (net.Conn, error) { return net.Dial("tcp", addr) }})
	return nil
}

// show makes the interfaces those of the simulated host.
func (n *programNet) show(list []sim.Interface) error {
	if n.space == nil {
		return nil
	}
	var want []hostnet.Interface
	for _, i := range list {
		want = append(want, hostnet.Interface{Name: i.Name, MAC: i.MAC, MTU: i.MTU, Down: !i.Up, Addrs: i.Addrs})
	}
	if err := n.space.Set(want); err != nil {
		return err
	}
	return n.writeNames()
}

// ready is told the folder of the run.
func (n *programNet) ready(dir string) error {
	n.mu.Lock()
	n.folder = dir
	n.mu.Unlock()
	return n.writeNames()
}

// writeNames tells the DLLs what the interfaces are called on Windows.
func (n *programNet) writeNames() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.space == nil || n.folder == "" {
		return nil
	}
	var text strings.Builder
	for _, name := range n.space.Names() {
		fmt.Fprintf(&text, "%s\t%s\n", name[0], name[1])
	}
	file := filepath.Join(n.folder, "interfaces")
	err := os.WriteFile(file+".new", []byte(text.String()), 0o644)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the run is over
	}
	if err == nil {
		err = os.Rename(file+".new", file)
	}
	return err
}

// describe says which network it is, and why.
func (n *programNet) describe(list []sim.Interface) string {
	if n.space == nil {
		return "this machine's (" + n.why + ")"
	}
	var parts []string
	for _, i := range list {
		for _, a := range i.Addrs {
			if !a.Addr().IsLinkLocalUnicast() {
				parts = append(parts, fmt.Sprintf("%s on %q", a, i.Name))
			}
		}
	}
	return strings.Join(append([]string{"a namespace of the program's own"}, parts...), ", ")
}

func (n *programNet) close() error {
	var errs []error
	for _, r := range n.relays {
		errs = append(errs, r.Close())
	}
	if n.space != nil {
		errs = append(errs, n.space.Close())
	}
	return errors.Join(errs...)
}
