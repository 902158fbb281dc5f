package fabric

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/hnsim/hnsim/sim/fabric/ipstack"
	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/vswitch"
	"github.com/hnsim/hnsim/sim/winnat"
	"github.com/hnsim/hnsim/sim/wire"
)

// HostConfig describes a Windows host before HNS has touched it.
type HostConfig struct {
	Name    string
	Adapter string // name of the physical NIC: "Ethernet"
	Segment string
	MAC     wire.MAC
	Addrs   []netip.Prefix
	Gateway netip.Addr
	MTU     int
	VLAN    uint16
	// NoFlowCache switches the unified flow tables of all its switches off.
	NoFlowCache bool
	// Trace, when it returns one, is given to every walk of a packet.
	Trace func(id uint64) *vfp.Trace
	// StackOptions apply to every compartment.
	StackOptions ipstack.Config
}

// Host is a Windows container host: a NIC, virtual switches, compartments
// with an IP stack each, and WinNAT on the way out of compartment 1. What it
// consists of is said by a HostProgram; Host only carries packets.
//
//	compartment ─► vNIC ─► switch port ─► switch ─► external port ─► NIC ─► wire
//
// Every hop between a stack, a switch and the NIC is an event of the loop at
// the same instant, so nothing is re-entered and the order is that of posting.
type Host struct {
	net   *Net
	cfg   HostConfig
	nic   *NIC
	ports *vfp.PortSpace
	nat   *winnat.NAT
	prog  *HostProgram
	// profile is that of the host's firewall.
	profile ipstack.Profile

	compartments map[uint32]*Compartment
	switches     map[string]*hostSwitch
	ifaces       map[ifaceKey]*hostIface
	local        *localPublish
	routes       []Route // the administrator's
	natTimer     bool    // a timer for WinNAT is running
	lost         []error // what the ledgers of switches that are gone did not account for
	vms          map[string]*vmCable
	express      *Express

	// gate is held by whoever takes packets through the host or changes what they
	// meet: see Quiet.
	gate    sync.Mutex
	insides [2]insideMemo
}

type ifaceKey struct {
	compartment uint32
	name        string
}

// hostIface is an interface that exists, with what it was made of.
type hostIface struct {
	InterfaceProgram
	iface *ipstack.Interface
	comp  *Compartment
	from  *switchIn // where its frames go
}

// AddHost adds a host with one NIC. Its addresses are the NIC's until a
// switch takes the NIC over (rule VS-04).
func (w *Net) AddHost(cfg HostConfig) (*Host, error) {
	if cfg.Adapter == "" {
		cfg.Adapter = "Ethernet"
	}
	h := &Host{
		net: w, cfg: cfg, ports: vfp.NewPortSpace(), prog: &HostProgram{},
		compartments: map[uint32]*Compartment{},
		switches:     map[string]*hostSwitch{},
		ifaces:       map[ifaceKey]*hostIface{},
	}
	nic, err := w.AddNIC(cfg.Segment, NICConfig{
		Node: cfg.Name, Name: cfg.Adapter, MAC: cfg.MAC, MTU: cfg.MTU, VLAN: cfg.VLAN, Receive: h.fromWire,
	})
	if err != nil {
		return nil, err
	}
	h.nic = nic
	if h.nat, err = winnat.New(winnat.Config{}, winnat.FromSpace(h.ports), natOwner); err != nil {
		return nil, err
	}
	h.compartments[HostCompartment] = h.newCompartment(HostCompartment, h.ports)
	h.Stack().SetHooks(h.hooks())
	if err := h.plugNIC(); err != nil {
		return nil, err
	}
	return h, w.addNode(h)
}

// Name is the host's name.
func (h *Host) Name() string { return h.cfg.Name }

// Stack is the host's own compartment.
func (h *Host) Stack() *ipstack.Stack { return h.compartments[HostCompartment].Stack }

// NIC is the physical adapter, whatever name is asked for.
func (h *Host) NIC(string) *NIC { return h.nic }

// Ports is the port space that sockets, NAT and exclusions share.
func (h *Host) Ports() *vfp.PortSpace { return h.ports }

// NAT is the host's WinNAT.
func (h *Host) NAT() *winnat.NAT { return h.nat }

// Compartment is the compartment with that number, or nil.
func (h *Host) Compartment(id uint32) *Compartment { return h.compartments[id] }

// Program is what the host consists of now.
func (h *Host) Program() *HostProgram { return h.prog }

// Switch is the runtime of a switch by name, or nil.
func (h *Host) Switch(name string) *vswitch.Switch {
	if s := h.switches[name]; s != nil {
		return s.sw
	}
	return nil
}

func (h *Host) newCompartment(id uint32, ports *vfp.PortSpace) *Compartment {
	cfg := h.cfg.StackOptions
	cfg.Name, cfg.NoWays = h.cfg.Name, h.cfg.NoFlowCache
	if id != HostCompartment {
		cfg.Name = fmt.Sprintf("%s#%d", h.cfg.Name, id)
	}
	cfg.Timers = h.net.timers()
	cfg.Seed = h.net.Seed()
	cfg.NewID = h.net.Loop.NextID
	cfg.Observer = h.net.stackObserver(cfg.Name)
	c := &Compartment{ID: id}
	if ports != nil {
		c.ports = &socketPorts{space: ports}
		cfg.Ports = c.ports
	}
	c.Stack = ipstack.New(cfg)
	if id == HostCompartment {
		c.Stack.SetProfile(h.profile)
	}
	return c
}

// SetFirewallProfile changes what the host's firewall does with the host's own
// traffic; the profile outlives a reboot.
func (h *Host) SetFirewallProfile(p ipstack.Profile) {
	h.profile = p
	h.Stack().SetProfile(p)
}

// plugNIC gives the NIC's addresses to an interface of the host that is the
// NIC itself, as before any external switch.
func (h *Host) plugNIC() error {
	i, err := h.Stack().AddInterface(ipstack.InterfaceConfig{
		Name: h.cfg.Adapter, MAC: h.nic.MAC(), MTU: h.nic.MTU(), Addrs: h.cfg.Addrs,
		Transmit: func(now int64, frame []byte, id uint64) { h.nic.Send(now, frame, id) },
	})
	if err != nil {
		return err
	}
	return h.addRoutes(i, defaultRoutes(h.cfg.Gateway))
}

func defaultRoutes(gw netip.Addr) []Route {
	if !gw.IsValid() {
		return nil
	}
	return []Route{{Dst: anyOf(gw), Via: gw}}
}

func (h *Host) addRoutes(i *ipstack.Interface, rs []Route) error {
	for _, r := range rs {
		if err := i.Stack().AddRoute(ipstack.Route{Dst: r.Dst, Via: r.Via, Iface: i.Name()}); err != nil {
			return err
		}
	}
	return nil
}

// AddRoute adds a route to the host's own compartment, as "route add" does. It
// outlives changes of interfaces: when a switch takes the NIC over (rule
// VS-04), the route moves to the host vNIC with the addresses.
func (h *Host) AddRoute(r Route) error {
	if err := h.Stack().AddRoute(ipstack.Route{Dst: r.Dst, Via: r.Via}); err != nil {
		return err
	}
	h.routes = append(h.routes, r)
	return nil
}

// restoreRoutes adds the administrator's routes again that went with an
// interface. One whose next hop nobody reaches any more waits for the next
// change.
func (h *Host) restoreRoutes() {
	for _, r := range h.routes {
		there := slices.ContainsFunc(h.Stack().Routes(), func(o ipstack.Route) bool {
			return o.Dst == r.Dst.Masked() && o.Via == r.Via
		})
		if !there {
			_ = h.Stack().AddRoute(ipstack.Route{Dst: r.Dst, Via: r.Via})
		}
	}
}

// fromWire takes a frame from the NIC: to the switch that owns it, else to
// the host's stack.
func (h *Host) fromWire(now int64, frame []byte, id uint64) {
	if s := h.uplinkSwitch(); s != nil {
		s.enter(now, s.prog.Wire, frame, id)
		return
	}
	if i := h.Stack().Interface(h.cfg.Adapter); i != nil {
		i.Receive(now, frame, id)
	}
}

func (h *Host) uplinkSwitch() *hostSwitch {
	for _, p := range h.prog.Switches {
		if p.Uplink == h.cfg.Adapter {
			return h.switches[p.Config.Name]
		}
	}
	return nil
}

// Apply makes the host what p says. It fails only on programs that contradict
// themselves, and then nothing has changed.
//
// It may be called beside an Express of the host, and then takes effect between
// two of its batches.
func (h *Host) Apply(p *HostProgram) (err error) {
	h.Quiet(func() { err = h.apply(p) })
	return err
}

// Quiet calls f between two batches of an Express of the host, which waits for
// it: f may change what packets meet. It must not call Quiet or Apply.
func (h *Host) Quiet(f func()) {
	h.gate.Lock()
	defer h.gate.Unlock()
	f()
}

func (h *Host) apply(p *HostProgram) error {
	now := h.net.Loop.Now()
	nat := winnat.Config{}
	if p.NAT != nil {
		nat = *p.NAT
	}
	if err := h.nat.Apply(nat); err != nil {
		return err
	}
	next := map[string]*hostSwitch{}
	for i := range p.Switches {
		sp := &p.Switches[i]
		s := h.switches[sp.Config.Name]
		if s == nil {
			s = h.newSwitch(sp)
		}
		if err := s.sw.Apply(&sp.Config); err != nil {
			return err
		}
		if !slices.Equal(s.vxlan, sp.VXLANPorts) {
			s.vxlan = sp.VXLANPorts
			s.sw.SetVXLANPorts(sp.VXLANPorts...)
		}
		s.prog = sp
		next[sp.Config.Name] = s
	}
	h.retire(next)
	before := h.prog
	h.switches, h.prog = next, p
	h.local = newLocalPublish(h, p.LocalVIPs)
	if err := h.applyInterfaces(now, before, p); err != nil {
		return err
	}
	h.applyCompartments(now, before, p)
	h.redirectSockets(before, p)
	return nil
}

// differing are the parts of two lists between their common beginning and their
// common end. A control plane that changes one thing leaves little there.
func differing[T comparable](a, b []T) (inA, inB []T) {
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	return a, b
}

// applyInterfaces removes what is gone or changed in kind, then adds. The
// physical NIC's interface gives way to the host vNIC of its switch and comes
// back when the switch goes (rule VS-04).
func (h *Host) applyInterfaces(now int64, before, p *HostProgram) error {
	old, new := differing(before.Interfaces, p.Interfaces)
	want := map[ifaceKey]*InterfaceProgram{}
	for _, ip := range new {
		want[ip.key()] = ip
	}
	for _, ip := range sortedByKey(old) {
		k := ip.key()
		if hi := h.ifaces[k]; hi != nil && (want[k] == nil || !sameInterface(&hi.InterfaceProgram, want[k])) {
			h.removeInterface(now, k)
		}
	}
	// A switch without host port takes the NIC too, and leaves the host nothing.
	taken := slices.ContainsFunc(p.Switches, func(s SwitchProgram) bool { return s.Uplink == h.cfg.Adapter }) ||
		slices.ContainsFunc(p.Interfaces, func(ip *InterfaceProgram) bool { return ip.Uplink == h.cfg.Adapter })
	physical := h.Stack().Interface(h.cfg.Adapter)
	if taken && physical != nil {
		h.Stack().RemoveInterface(now, h.cfg.Adapter)
	}
	for _, ip := range new {
		if h.ifaces[ip.key()] == nil {
			if err := h.addInterface(ip); err != nil {
				return err
			}
		}
		if err := h.serveDHCP(ip); err != nil {
			return err
		}
	}
	if !taken && physical == nil {
		if err := h.plugNIC(); err != nil {
			return err
		}
	}
	if taken == (physical != nil) || slices.ContainsFunc(slices.Concat(old, new), onHost) {
		h.routeUplink(p)
	}
	h.restoreRoutes()
	return nil
}

func (ip *InterfaceProgram) key() ifaceKey { return ifaceKey{ip.Compartment, ip.Name} }

func onHost(ip *InterfaceProgram) bool { return ip.Compartment == HostCompartment }

func (h *Host) serveDHCP(ip *InterfaceProgram) error {
	if ip.DHCPServer == nil {
		return nil
	}
	i := h.ifaces[ifaceKey{ip.Compartment, ip.Name}]
	_, err := i.comp.Stack.ServeDHCP(i.iface, *ip.DHCPServer)
	return err
}

// routeUplink lets the host's way out forward as soon as anything behind it
// does: WinNAT and host endpoints make the host a router (NAT-01, L2B-11).
func (h *Host) routeUplink(p *HostProgram) {
	forwards := slices.ContainsFunc(p.Interfaces, func(ip *InterfaceProgram) bool { return ip.Forward && onHost(ip) })
	if i := h.Stack().Interface(h.cfg.Adapter); i != nil {
		i.SetForwarding(forwards)
	}
	for _, ip := range p.Interfaces {
		if ip.Uplink != "" {
			h.ifaces[ip.key()].iface.SetForwarding(forwards)
		}
	}
}

// ifaceKeys lists the interfaces in a fixed order: map order must not decide
// which of two interfaces loses its packets first.
func (h *Host) ifaceKeys() []ifaceKey {
	keys := make([]ifaceKey, 0, len(h.ifaces))
	for k := range h.ifaces {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, ifaceKey.compare)
	return keys
}

func (k ifaceKey) compare(o ifaceKey) int {
	return cmp.Or(cmp.Compare(k.compartment, o.compartment), strings.Compare(k.name, o.name))
}

func sortedByKey(list []*InterfaceProgram) []*InterfaceProgram {
	return slices.SortedFunc(slices.Values(list), func(a, b *InterfaceProgram) int { return a.key().compare(b.key()) })
}

func sameInterface(a, b *InterfaceProgram) bool {
	return a.Switch == b.Switch && a.Port == b.Port && a.MAC == b.MAC && a.MTU == b.MTU &&
		a.Forward == b.Forward && a.Autoconfigure == b.Autoconfigure && a.DHCP == b.DHCP &&
		slices.Equal(a.Addrs, b.Addrs) && slices.Equal(a.Routes, b.Routes)
}

func (h *Host) removeInterface(now int64, k ifaceKey) {
	i := h.ifaces[k]
	i.comp.Stack.RemoveInterface(now, i.Name)
	delete(i.from.s.behind, i.Port)
	delete(h.ifaces, k)
}

func (h *Host) addInterface(ip *InterfaceProgram) error {
	comp := h.compartment(ip.Compartment)
	s := h.switches[ip.Switch]
	if s == nil {
		return fmt.Errorf("host %s: interface %s is plugged into switch %q, which does not exist", h.cfg.Name, ip.Name, ip.Switch)
	}
	hi := &hostIface{InterfaceProgram: *ip, comp: comp, from: s.in(ip.Port)}
	iface, err := comp.Stack.AddInterface(ipstack.InterfaceConfig{
		Name: ip.Name, MAC: ip.MAC, MTU: ip.MTU, Addrs: ip.Addrs,
		Forwarding: ip.Forward, AcceptRA: ip.Autoconfigure,
		Transmit: func(now int64, frame []byte, id uint64) {
			if x := h.express; x != nil && x.transmit(hi, frame, id) {
				return
			}
			h.net.Loop.Post(now, hi.from, frame, id)
		},
	})
	if err != nil {
		return err
	}
	hi.iface = iface
	h.ifaces[ifaceKey{ip.Compartment, ip.Name}] = hi
	s.behind[ip.Port] = hi
	if ip.Autoconfigure || ip.DHCP {
		h.net.Loop.PostFunc(h.net.Loop.Now(), comp.Stack.Name()+"/configure", func(now int64) { h.configure(now, hi) })
	}
	return h.addRoutes(iface, ip.Routes)
}

// configure lets a new interface ask the network for its addresses (rule
// TR-03). It does so once the change that made the interface is complete.
func (h *Host) configure(now int64, hi *hostIface) {
	if h.ifaces[ifaceKey{hi.Compartment, hi.Name}] != hi {
		return
	}
	if hi.Autoconfigure {
		hi.comp.Stack.SolicitRouter(now, hi.iface)
	}
	if hi.DHCP {
		hi.comp.Stack.StartDHCP(now, hi.iface, nil)
	}
}

// Transmit sends a frame out of an interface of a compartment as if its stack
// had: raw frames of a container. An empty name is the first interface. It
// reports false if there is none.
func (h *Host) Transmit(compartment uint32, iface string, frame []byte, id uint64) bool {
	for _, k := range h.ifaceKeys() {
		if k.compartment == compartment && (iface == "" || k.name == iface) {
			h.net.Loop.Post(h.net.Loop.Now(), h.ifaces[k].from, frame, id)
			return true
		}
	}
	return false
}

// TransmitPort sends a frame into a switch port that need not have an
// interface behind it: what a container does that has not got one yet.
func (h *Host) TransmitPort(sw string, port vfp.PortID, frame []byte, id uint64) bool {
	s := h.switches[sw]
	if s == nil {
		return false
	}
	h.net.Loop.Post(h.net.Loop.Now(), s.in(port), frame, id)
	return true
}
