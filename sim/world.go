package sim

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/hnsim/hnsim/sim/fabric"
	"github.com/hnsim/hnsim/sim/fabric/ipstack"
	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/hns"
	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// Config parametrises a World. The zero value is the reference profile with
// seed 0.
type Config struct {
	Seed        uint64
	Profile     string            // build profile; empty is hcn.DefaultProfile
	Knobs       map[string]string // by name, over the profile's
	NoFlowCache bool              // switch the unified flow tables off (rule VFP-12)
	// Trace, when set, is asked for every packet that enters a virtual switch.
	Trace    func(id uint64) *vfp.Trace
	Observer fabric.Observer
	// Notify receives the service notifications of every host; it must not call
	// the world.
	Notify func(host string, n hns.Notification)
}

// World is a topology with everything that happens in it.
type World struct {
	Net     *fabric.Net
	Profile hcn.Profile

	cfg     Config
	hosts   []*Host
	tenancy *tenancy // nil: no physical hosts
}

// New makes an empty world. It fails on unknown profiles and knobs.
func New(cfg Config) (*World, error) {
	p, err := hcn.ProfileByName(cfg.Profile)
	if err != nil {
		return nil, err
	}
	for _, name := range sortedKeys(cfg.Knobs) {
		if err := p.Knobs.Set(name, cfg.Knobs[name]); err != nil {
			return nil, err
		}
	}
	return &World{
		Net:     fabric.New(fabric.Config{Seed: cfg.Seed, Observer: cfg.Observer}),
		Profile: p,
		cfg:     cfg,
	}, nil
}

// Loop is the world's time and events.
func (w *World) Loop() *fabric.Loop { return w.Net.Loop }

// Hosts are the Windows hosts, in order of addition.
func (w *World) Hosts() []*Host { return w.hosts }

// Host is the host of that name, or nil.
func (w *World) Host(name string) *Host {
	for _, h := range w.hosts {
		if h.Name() == name {
			return h
		}
	}
	return nil
}

// HostConfig describes a Windows host.
type HostConfig struct {
	Name    string
	Segment string // default "lan"
	Adapter string // default "Ethernet"
	MAC     wire.MAC
	Addrs   []netip.Prefix
	Gateway netip.Addr
	MTU     int
	VLAN    uint16
	DNS     []netip.Addr // servers, which endpoints of NAT networks get
	// Outer makes the host a virtual machine on the virtual switch of a
	// physical machine (rules VS-20, TR-02, L2T-02); nil puts it on the segment
	// itself. Name, Segment and VM are the host's.
	Outer *fabric.OuterConfig
}

// Host is a Windows host: HNS is its control plane, the embedded fabric.Host
// its data plane.
type Host struct {
	*fabric.Host
	HNS *hns.Service

	world    *World
	compiler *hns.Compiler
	options  map[string]hns.PortOptions // by endpoint id, lower case
	state    *hns.State
	outer    *fabric.Outer
}

// AddHost adds a Windows host whose HNS has no objects yet.
func (w *World) AddHost(cfg HostConfig) (*Host, error) {
	if cfg.Segment == "" {
		cfg.Segment = "lan"
	}
	outer, err := w.addOuter(&cfg)
	if err != nil {
		return nil, err
	}
	fh, err := w.Net.AddHost(fabric.HostConfig{
		Name: cfg.Name, Adapter: cfg.Adapter, Segment: cfg.Segment, MAC: cfg.MAC, Addrs: cfg.Addrs,
		Gateway: cfg.Gateway, MTU: cfg.MTU, VLAN: cfg.VLAN,
		NoFlowCache: w.cfg.NoFlowCache, Trace: w.cfg.Trace,
		StackOptions: ipstack.Config{TimeWait: w.Profile.Knobs.TCPTimeWait},
	})
	if err != nil {
		return nil, err
	}
	h := &Host{Host: fh, world: w, options: map[string]hns.PortOptions{}, outer: outer}
	nic := fh.NIC("")
	h.compiler = hns.NewCompiler(w.Profile, fh.Ports(), []hns.Adapter{{
		Name: nic.Name(), MAC: nic.MAC(), MTU: nic.MTU(), Addrs: cfg.Addrs, Gateway: cfg.Gateway,
	}})
	h.compiler.PortOptions, h.compiler.Quiet = h.portOptions, fh.Quiet
	var notify func(hns.Notification)
	if w.cfg.Notify != nil {
		notify = func(n hns.Notification) { w.cfg.Notify(cfg.Name, n) }
	}
	h.HNS, err = hns.New(hns.Config{
		Notify: notify, HostName: cfg.Name, Profile: w.Profile, Seed: w.seedOf(cfg.Name),
		Uplinks: []hns.Uplink{{Name: nic.Name(), MAC: nic.MAC(), Addrs: cfg.Addrs}}, DNSServers: cfg.DNS,
		Apply: h.apply,
		Now:   func() time.Duration { return time.Duration(w.Loop().Now()) },
		Ports: busyPorts{fh.Ports()},
		Stats: h.endpointStats, TenantAddresses: func() ([]netip.Addr, bool) { return w.tenantAddresses(cfg.Name) },
	})
	if err != nil {
		return nil, err
	}
	w.hosts = append(w.hosts, h)
	return h, nil
}

// seedOf gives every host a stream of its own, so that adding a host does not
// change the identifiers of the others.
func (w *World) seedOf(name string) uint64 {
	seed := w.cfg.Seed ^ 0x9E3779B97F4A7C15
	for i := range len(name) {
		seed = (seed ^ uint64(name[i])) * 0x100000001B3
	}
	return seed
}

// apply is HNS's way into the data plane.
func (h *Host) apply(s *hns.State) error {
	prog, err := h.compiler.Compile(s)
	if err != nil {
		return err
	}
	if err := h.Host.Apply(prog); err != nil {
		h.compiler.Forget()
		return fmt.Errorf("host %s: %w", h.Name(), err)
	}
	h.state = s
	return nil
}

// State is the control plane's last snapshot; nil before the first object.
func (h *Host) State() *hns.State { return h.state }

// Reapply compiles the present state again, after settings outside the
// documents have changed.
func (h *Host) Reapply() error {
	h.compiler.Forget()
	if h.state == nil {
		return nil
	}
	return h.apply(h.state)
}

// SetPortOptions changes the Hyper-V port settings of an endpoint.
func (h *Host) SetPortOptions(endpointID string, change func(*hns.PortOptions)) error {
	key := lower(endpointID)
	o := h.options[key]
	change(&o)
	h.options[key] = o
	return h.Reapply()
}

func (h *Host) portOptions(id string) hns.PortOptions { return h.options[lower(id)] }

// SetNAT changes WinNAT's settings (Set-NetNat).
func (h *Host) SetNAT(change func(*hns.NATOptions)) error {
	change(&h.compiler.NAT)
	return h.Reapply()
}

// FirewallRules lists the rules of the host's firewall that HNS has added (rule
// NAT-32).
func (h *Host) FirewallRules() []hns.FirewallRule {
	if h.state == nil {
		return nil
	}
	return h.compiler.FirewallRules(h.state)
}

// busyPorts answers HNS for all that HNS has not published itself.
type busyPorts struct{ space *vfp.PortSpace }

func (b busyPorts) Busy(proto uint8, port uint16) bool {
	_, use, held := b.space.OwnerOf(proto, port)
	return held && use != vfp.StaticUse
}
