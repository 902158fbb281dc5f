package hns

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/windows"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/hcn"
)

// realHost is this machine with the HNS of Windows.
type realHost struct {
	hns     control
	build   int
	profile string
	// turn is held by the world that has the machine.
	turn chan struct{}

	mu    sync.Mutex
	wires map[string]error // why there is no capture, by adapter
}

// newHost looks whether worlds can be made here: HNS answers, and this process
// may use it.
func newHost() (machine, error) {
	if !windows.GetCurrentProcessToken().IsElevated() {
		return nil, fmt.Errorf("HNS lets administrators create networks only: start hnsim from an elevated prompt")
	}
	h := &realHost{hns: localControl(), build: int(windows.RtlGetVersion().BuildNumber), turn: make(chan struct{}, 1), wires: map[string]error{}}
	p, err := profileOf(h.build)
	if err != nil {
		return nil, err
	}
	h.profile = p.Name
	if _, err := h.hns.version(); err != nil {
		return nil, fmt.Errorf("the Host Networking Service does not answer (%w): Get-Service hns, and Start-Service hns", err)
	}
	return h, nil
}

// here are the capabilities that need no permission.
var here = []backends.Capability{backends.NATNetwork, backends.InternalNetwork, backends.PrivateNetwork, backends.ICSNetwork}

func (h *realHost) capabilities(opt Options) []backends.Capability {
	out := slices.Clone(here)
	if opt.AllowExternal {
		for _, c := range backends.Capabilities() {
			for _, e := range external {
				if c == e {
					out = append(out, c)
				}
			}
		}
	}
	if opt.DryRun != nil || h.noWires(opt) == nil {
		out = append(out, backends.Wires)
	}
	return out
}

func (h *realHost) whyNot(c backends.Capability, opt Options) string {
	for _, e := range external {
		if c == e && !opt.AllowExternal {
			return "such a network " + interrupts
		}
	}
	if err := h.noWires(opt); c == backends.Wires && err != nil {
		return err.Error()
	}
	return ""
}

func (h *realHost) dropNames() []string { return nil }

// noWires is why the wire cannot be captured, found out once.
func (h *realHost) noWires(opt Options) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	err, known := h.wires[opt.Adapter]
	if !known {
		_, err = newPktmon(runPktmon, os.TempDir(), "", opt.Adapter)
		h.wires[opt.Adapter] = err
	}
	return err
}

// pktmonTimeout bounds every run of pktmon.
const pktmonTimeout = time.Minute

func runPktmon(args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), pktmonTimeout)
	defer cancel()
	dir, err := windows.GetSystemDirectory()
	if err != nil {
		return nil, err
	}
	return exec.CommandContext(ctx, filepath.Join(dir, "pktmon.exe"), args...).Output()
}

func (h *realHost) version(profile string) (v hcn.HNSVersion, osBuild int, err error) {
	if profile != h.profile {
		return v, 0, &backends.UsageError{Msg: fmt.Sprintf("this is build %d of Windows, and profile %s is another one: use --profile %s", h.build, profile, h.profile)}
	}
	v, err = h.hns.version()
	return v, h.build, err
}

// open waits for its turn: worlds have the machine one after another.
func (h *realHost) open(ctx context.Context, cfg backends.WorldConfig, opt Options) (backends.World, error) {
	if len(cfg.Knobs) > 0 || cfg.NoFlowCache {
		return nil, unsupported("knobs and the flow table are the model's: Windows is as it is")
	}
	if _, _, err := h.version(cfg.Profile); err != nil {
		return nil, unsupported("%v", err)
	}
	select {
	case h.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	w, err := h.world(opt)
	if err != nil {
		<-h.turn
		return nil, err
	}
	return w, nil
}

func (h *realHost) world(opt Options) (backends.World, error) {
	var random [4]byte
	if _, err := rand.Read(random[:]); err != nil {
		return nil, err
	}
	folder, err := journalFolder()
	if err != nil {
		return nil, err
	}
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	on, err := newLeash()
	if err != nil {
		return nil, err
	}
	d := deps{hns: h.hns, tag: newTag(random), folder: folder, addrs: machineAddresses, now: time.Now,
		startProbe: func(compartment uint32, notify func()) (prober, error) {
			p, err := startProbe(program, compartment, on, notify)
			if err != nil {
				return nil, err // not a probe that is nil
			}
			return p, nil
		}}
	if opt.DryRun == nil && h.noWires(opt) == nil {
		if p, err := newPktmon(runPktmon, os.TempDir(), d.tag, opt.Adapter); err == nil {
			d.capture = p
		}
	}
	w, err := newHostWorld(d, opt)
	if err != nil {
		return nil, err
	}
	return &turnWorld{w, sync.OnceValue(func() error { err := on.close(); <-h.turn; return err })}, nil
}

// turnWorld gives the machine back when it closes.
type turnWorld struct {
	*hostWorld
	done func() error
}

func (w *turnWorld) Close(ctx context.Context) ([]string, error) {
	left, err := w.hostWorld.Close(ctx)
	if derr := w.done(); err == nil {
		err = derr
	}
	return left, err
}

// machineAddresses are those of this machine's interfaces.
func machineAddresses() ([]netip.Prefix, error) {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var out []netip.Prefix
	for _, a := range list {
		if p, err := netip.ParsePrefix(a.String()); err == nil && !p.Addr().IsLoopback() {
			out = append(out, p)
		}
	}
	return out, nil
}

// newTag makes a tag of random bytes.
func newTag(random [4]byte) Tag { return Tag(fmt.Sprintf("%x", random[:])) }
