package sim

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/hnsim/hnsim/sim/fabric"
	"github.com/hnsim/hnsim/sim/sdn"
	"github.com/hnsim/hnsim/sim/slb"
	"github.com/hnsim/hnsim/sim/wire"
)

// Physical is a physical host of tenant virtual networks: virtual machines are
// plugged into its switch, which the network controller programs (contract
// section 13).
type Physical struct {
	*fabric.Host
	info  sdn.HostInfo
	agent bool // its host agent runs: policy arrives
}

// PhysicalConfig describes a physical host or a multiplexer.
type PhysicalConfig struct {
	Name    string
	Segment string // default "lan"
	Adapter string // default "Ethernet"
	MAC     wire.MAC
	Addrs   []netip.Prefix // provider addresses; of a multiplexer its own
	Gateway netip.Addr
	MTU     int
	VLAN    uint16
	// Management is the address of the host's own vNIC, on the same wire; zero:
	// none. Multiplexers have no such.
	Management netip.Prefix
}

// tenancy is the part of a world that the network controller runs.
type tenancy struct {
	ctl       *sdn.Controller
	compiler  *sdn.Compiler
	physicals []*Physical
	muxes     []*Mux
	vms       map[string]*vmNIC // by machine
	announced []sdn.Announcement
	probes    *prober
}

// vmNIC is a virtual machine's NIC, which moves with it.
type vmNIC struct {
	at  *Physical
	mac wire.MAC
}

// Mux is a multiplexer of the controller's load balancer.
type Mux struct {
	*fabric.Host
	info sdn.MuxInfo
}

func (w *World) tenants() *tenancy {
	if w.tenancy == nil {
		t := &tenancy{compiler: sdn.NewCompiler(sdn.OptionsOf(&w.Profile)), vms: map[string]*vmNIC{}}
		t.ctl = sdn.New(w.applyModel)
		t.probes = newProber(w)
		t.compiler.Healthy = t.probes.healthy
		// The message of a multiplexer to the hosts is no packet of the model's.
		t.compiler.Redirect = func(now int64, r slb.Redirect) {
			w.Loop().PostFunc(now, "sdn/redirect", func(now int64) { t.compiler.Learn(now, r) })
		}
		w.tenancy = t
	}
	return w.tenancy
}

// Controller is the world's network controller.
func (w *World) Controller() *sdn.Controller { return w.tenants().ctl }

// Physicals are the physical hosts, in order of addition.
func (w *World) Physicals() []*Physical { return w.tenants().physicals }

// Machines are all machines that run switches: Windows hosts, physical hosts
// and multiplexers.
func (w *World) Machines() []*fabric.Host {
	var out []*fabric.Host
	for _, h := range w.hosts {
		out = append(out, h.Host)
	}
	if w.tenancy != nil {
		for _, p := range w.tenancy.physicals {
			out = append(out, p.Host)
		}
		for _, m := range w.tenancy.muxes {
			out = append(out, m.Host)
		}
	}
	return out
}

func (w *World) addMachine(cfg *PhysicalConfig) (*fabric.Host, error) {
	if cfg.Segment == "" {
		cfg.Segment = "lan"
	}
	return w.Net.AddHost(fabric.HostConfig{Name: cfg.Name, Adapter: cfg.Adapter, Segment: cfg.Segment, MAC: cfg.MAC, MTU: cfg.MTU, VLAN: cfg.VLAN,
		NoFlowCache: w.cfg.NoFlowCache, Trace: w.cfg.Trace})
}

// AddPhysical adds a physical host. Its ports stay blocked until the controller
// knows it (a document of collection servers).
func (w *World) AddPhysical(cfg PhysicalConfig) (*Physical, error) {
	h, err := w.addMachine(&cfg)
	if err != nil {
		return nil, err
	}
	nic := h.NIC("")
	p := &Physical{Host: h, agent: true, info: sdn.HostInfo{Name: cfg.Name, Adapter: nic.Name(), MAC: nic.MAC(), MTU: nic.MTU(), PAs: cfg.Addrs, Gateway: cfg.Gateway, Management: cfg.Management}}
	if cfg.Management.IsValid() {
		p.info.ManagementMAC = w.Net.MAC(cfg.Name, 1)
	}
	t := w.tenants()
	t.physicals = append(t.physicals, p)
	return p, w.ApplyTenants()
}

// AddMux adds a multiplexer. It serves once a document of collection
// loadBalancerMuxes speaks of it.
func (w *World) AddMux(cfg PhysicalConfig) (*Mux, error) {
	if len(cfg.Addrs) == 0 {
		return nil, fmt.Errorf("multiplexer %s has no address", cfg.Name)
	}
	h, err := w.addMachine(&cfg)
	if err != nil {
		return nil, err
	}
	nic := h.NIC("")
	m := &Mux{Host: h, info: sdn.MuxInfo{Name: cfg.Name, Adapter: nic.Name(), MAC: nic.MAC(), MTU: nic.MTU(), Addrs: cfg.Addrs, Gateway: cfg.Gateway}}
	t := w.tenants()
	t.muxes = append(t.muxes, m)
	return m, w.ApplyTenants()
}

// Physical is the physical host of that name, or nil.
func (w *World) Physical(name string) *Physical {
	for _, p := range w.tenants().physicals {
		if p.Name() == name {
			return p
		}
	}
	return nil
}

// PlaceVM makes a place on a physical host for a virtual machine with one NIC.
// The machine is added afterwards, with that MAC on the segment returned.
func (w *World) PlaceVM(physical, vm string, mac wire.MAC) (segment string, err error) {
	p := w.Physical(physical)
	if p == nil {
		return "", fmt.Errorf("no physical host %q", physical)
	}
	if segment, err = p.PlugVM(vm); err != nil {
		return "", err
	}
	p.info.VMs = append(p.info.VMs, sdn.VM{Name: vm, MAC: mac})
	w.tenants().vms[vm] = &vmNIC{at: p, mac: mac}
	return segment, w.ApplyTenants()
}

// MoveVM moves a virtual machine to another physical host (live migration). Who
// does not hear of it goes on sending to the old one (rule SDN-20).
func (w *World) MoveVM(vm, to string) error {
	v, p := w.tenants().vms[vm], w.Physical(to)
	switch {
	case v == nil:
		return fmt.Errorf("%q is no virtual machine on a physical host", vm)
	case p == nil:
		return fmt.Errorf("no physical host %q", to)
	case p == v.at:
		return nil
	}
	from := v.at
	from.UnplugVM(vm)
	if _, err := p.PlugVM(vm); err != nil {
		return err
	}
	i := slices.IndexFunc(from.info.VMs, func(o sdn.VM) bool { return o.Name == vm })
	p.info.VMs = append(p.info.VMs, from.info.VMs[i])
	from.info.VMs = slices.Delete(slices.Clone(from.info.VMs), i, i+1)
	v.at = p
	return w.ApplyTenants()
}

// tenantAddresses are the addresses of a machine's NIC beside its first: those
// for containers (rule SDN-01). ok is false for machines on no physical host.
func (w *World) tenantAddresses(vm string) (addrs []netip.Addr, ok bool) {
	if w.tenancy == nil || w.tenancy.vms[vm] == nil {
		return nil, false
	}
	mac := w.tenancy.vms[vm].mac
	for _, n := range w.tenancy.ctl.Model().NICs {
		if n.MAC != mac {
			continue
		}
		for _, c := range n.IPs[1:] {
			addrs = append(addrs, c.Addr)
		}
	}
	return addrs, true
}

// SetAgent stops or starts the host agent of a physical host: without it policy
// does not arrive, and what the host has stays.
func (w *World) SetAgent(physical string, on bool) error {
	p := w.Physical(physical)
	if p == nil {
		return fmt.Errorf("no physical host %q", physical)
	}
	p.agent = on
	return w.ApplyTenants()
}

// SetMux stops or starts a multiplexer: a stopped one withdraws its routes.
func (w *World) SetMux(name string, up bool) error {
	for _, m := range w.tenants().muxes {
		if m.Name() == name {
			m.info.Down = !up
			return w.ApplyTenants()
		}
	}
	return fmt.Errorf("no multiplexer %q", name)
}

// TenantError is the first failure to follow a health probe, nil if there was
// none: hosts and multiplexers are then not what the documents say.
func (w *World) TenantError() error {
	if w.tenancy == nil {
		return nil
	}
	return w.tenancy.probes.failed
}

// ApplyTenants makes the fabric what the controller's documents say.
func (w *World) ApplyTenants() error { return w.applyModel(w.tenants().ctl.Model()) }

func (w *World) inventory() *sdn.Inventory {
	inv := &sdn.Inventory{}
	for _, p := range w.tenancy.physicals {
		inv.Hosts = append(inv.Hosts, p.info)
	}
	for _, m := range w.tenancy.muxes {
		inv.Muxes = append(inv.Muxes, m.info)
	}
	return inv
}

// applyModel carries out the plan for a model.
func (w *World) applyModel(m *sdn.Model) error {
	t := w.tenants()
	plan, err := t.compiler.Compile(m, w.inventory())
	if err != nil {
		return err
	}
	for _, p := range t.physicals {
		if p.agent {
			if err := p.Apply(plan.Hosts[p.Name()]); err != nil {
				return fmt.Errorf("host %s: %w", p.Name(), err)
			}
		}
	}
	for _, x := range t.muxes {
		if err := x.Apply(plan.Hosts[x.Name()]); err != nil {
			return fmt.Errorf("multiplexer %s: %w", x.Name(), err)
		}
	}
	if err := w.announce(plan.Routes); err != nil {
		return err
	}
	t.probes.set(plan.Probes)
	return nil
}

// announce makes the routers' tables what the multiplexers announce: BGP as it
// is when it has settled.
func (w *World) announce(routes []sdn.Announcement) error {
	t := w.tenancy
	for _, a := range routes {
		if w.routerAt(a.Router) == nil {
			return fmt.Errorf("no router has the address %s of a multiplexer's peer", a.Router)
		}
	}
	for _, a := range t.announced {
		if r := w.routerAt(a.Router); r != nil && !slices.Contains(routes, a) {
			r.Stack().RemoveRoute(netip.PrefixFrom(a.VIP, a.VIP.BitLen()), a.Via)
		}
	}
	for _, a := range routes {
		if slices.Contains(t.announced, a) {
			continue
		}
		if err := w.routerAt(a.Router).Stack().AddRoute(routeTo(a)); err != nil {
			return err
		}
	}
	t.announced = routes
	return nil
}

// routerAt is the router with an address.
func (w *World) routerAt(a netip.Addr) *fabric.Router {
	for _, n := range w.Net.Nodes() {
		r, ok := n.(*fabric.Router)
		if !ok {
			continue
		}
		for _, i := range r.Stack().Interfaces() {
			for _, p := range i.Addrs() {
				if p.Addr() == a {
					return r
				}
			}
		}
	}
	return nil
}
