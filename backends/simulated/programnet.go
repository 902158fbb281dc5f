package simulated

import (
	"errors"
	"net"
	"os/exec"

	"github.com/hnsim/hnsim/sim"
	"github.com/hnsim/hnsim/sim/standin"
	"github.com/hnsim/hnsim/sim/standin/hostnet"
)

// programNet is the network in which a host's program runs: a namespace with
// the host's interfaces or, without the privilege to make one, this machine's.
type programNet struct {
	space *hostnet.Namespace // nil: this machine's
	relay *standin.Relay
}

// openNet makes the network. The program reaches the stand-in at addr there.
func openNet(addr string) (*programNet, error) {
	space, err := hostnet.New()
	if err != nil {
		return &programNet{}, nil
	}
	ln, err := space.Listen(addr)
	if err != nil {
		return nil, errors.Join(err, space.Close())
	}
	dial := func() (net.Conn, error) { return net.Dial("tcp", addr) }
	n := &programNet{space, standin.NewRelay(standin.RelayConfig{Listener: ln, Dial: dial})}
	go func() { _ = n.relay.Serve() }()
	return n, nil
}

// start starts a process in the network.
func (n *programNet) start(cmd *exec.Cmd) error {
	if n.space == nil {
		return cmd.Start()
	}
	return n.space.Do(cmd.Start)
}

// show makes the interfaces those of the host.
func (n *programNet) show(list []sim.Interface) error {
	if n.space == nil {
		return nil
	}
	var want []hostnet.Interface
	for _, i := range list {
		want = append(want, hostnet.Interface{Name: i.Name, MAC: i.MAC, MTU: i.MTU, Down: !i.Up, Addrs: i.Addrs})
	}
	return n.space.Set(want)
}

func (n *programNet) close() error {
	if n.space == nil {
		return nil
	}
	return errors.Join(n.relay.Close(), n.space.Close())
}
