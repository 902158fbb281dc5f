package hns

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/hnsim/hnsim/sim/fabric"
	"github.com/hnsim/hnsim/sim/fabric/ipstack"
	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/l2bridge"
	"github.com/hnsim/hnsim/sim/overlay"
	shaping "github.com/hnsim/hnsim/sim/qos"
	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/vswitch"
	"github.com/hnsim/hnsim/sim/wire"
)

// Port numbers of a switch. Endpoints follow at firstEndpointPort, so that a
// port keeps its number, and with it its flows, over every recompilation.
const (
	externalPort      vfp.PortID = 1
	hostVNICPort      vfp.PortID = 2
	firstEndpointPort vfp.PortID = 100
)

// EndpointPort is the switch port of the endpoint with that number.
func EndpointPort(num uint32) vfp.PortID { return firstEndpointPort + vfp.PortID(num) }

// untaggedZone is the isolation domain of external networks without VLAN and
// without VSID: they share the wire, so they share the zone. VLAN networks
// have their VLAN id as zone and overlays their VSID.
const untaggedZone = 4095

// Adapter is a physical NIC as the compiler needs to know it.
type Adapter struct {
	Name     string
	MAC      wire.MAC
	MTU      int
	Addrs    []netip.Prefix
	Gateway  netip.Addr
	PortOpts PortOptions
}

// PortOptions are settings of a switch port outside the documents: what
// Hyper-V's own tools set (rules VS-20 to VS-32).
type PortOptions struct {
	Spoofing, DHCPGuard, RouterGuard bool
	StormLimit                       uint32
	VLAN                             *vswitch.VLANConfig
	ACLs                             []vswitch.PortACL
	ExtACLs                          []vswitch.ExtACL
	Mirror                           vswitch.MirrorMode
	Isolation                        vswitch.Isolation // rule VS-27; it goes before VLAN
}

// Compiler turns states of one host into programs. It keeps what must outlive
// one state: the NAT pools and the ports they hold. Not for concurrent use.
type Compiler struct {
	Profile  hcn.Profile
	Adapters []Adapter
	// Ports is the host's TCP and UDP port space, shared with sockets.
	Ports *vfp.PortSpace
	// PortOptions answers for endpoints by id; may be nil.
	PortOptions func(endpointID string) PortOptions
	// NAT overrides what the profile says of WinNAT.
	NAT NATOptions

	// Quiet runs what changes state that packets share with the compiler, ports
	// and their holders, while no packet is under way; nil runs it at once.
	Quiet func(func())

	pools   pools
	shapers shapers
	last    *made // what the last program was made of; nil makes the next one anew
}

// NewCompiler makes a compiler for a host.
func NewCompiler(p hcn.Profile, ports *vfp.PortSpace, adapters []Adapter) *Compiler {
	return &Compiler{Profile: p, Ports: ports, Adapters: adapters, pools: newPools(ports, p, adapters),
		shapers: shapers{limits: shaping.Limits{Burst: p.Knobs.QoSBurst, Queue: p.Knobs.QoSQueue}}}
}

// Compile makes the program of s. Resources that s needs are reserved and
// those that it no longer needs are released; when something cannot be
// reserved the error is an *hcn.Error and nothing has changed.
//
// Where endpoints and namespaces are all that has changed since the last state,
// the program is the last one with those endpoints exchanged (see step). It has to be applied before the next one is made.
func (c *Compiler) Compile(s *State) (*fabric.HostProgram, error) {
	if p, err := c.step(s); p != nil || err != nil {
		return p, err
	}
	c.last = nil
	return c.whole(s)
}

func (c *Compiler) quiet(f func()) {
	if c.Quiet == nil {
		f()
		return
	}
	c.Quiet(f)
}

// Forget makes the next Compile look at everything: something outside of the
// documents has changed, or the last program was not applied.
func (c *Compiler) Forget() { c.last = nil }

// whole makes the program of s without looking at the one before.
func (c *Compiler) whole(s *State) (*fabric.HostProgram, error) {
	var commit func()
	var err error
	c.quiet(func() { commit, err = c.pools.reconcile(s) })
	if err != nil {
		return nil, err
	}
	c.shapers.begin()
	m := &made{state: s, byEndpoint: map[uint32]*madeEndpoint{}}
	p := &fabric.HostProgram{Compartments: compartments(s)}
	for _, group := range bySwitch(s) {
		p.Interfaces = nil
		if err := c.compileSwitch(p, s, group, m); err != nil {
			c.quiet(c.pools.rollback)
			return nil, err
		}
		if p.Interfaces != nil {
			m.parts = append(m.parts, part{internal: p.Interfaces})
		}
	}
	p.Interfaces = m.interfaces()
	if err := c.compileNAT(p, s); err != nil {
		c.quiet(c.pools.rollback)
		return nil, err
	}
	if p.SocketProxies, err = socketProxies(s); err != nil {
		c.quiet(c.pools.rollback)
		return nil, err
	}
	c.quiet(commit)
	c.shapers.commit()
	m.prog = p
	c.last = m
	return p, nil
}

// switchGroup is the networks that share a virtual switch.
type switchGroup struct {
	name string
	nets []*Network
}

// bySwitch groups networks by layer, in order of creation. NAT networks get a
// switch each: the VLANs that isolate them on newer builds' shared switch are
// not visible to any packet.
func bySwitch(s *State) []switchGroup {
	var gs []switchGroup
	for _, n := range s.Networks {
		name := fmt.Sprintf("nw%d", n.Num)
		if n.Uplink != "" {
			name = "ext:" + n.Uplink
		}
		found := false
		for i := range gs {
			if gs[i].name == name {
				gs[i].nets = append(gs[i].nets, n)
				found = true
			}
		}
		if !found {
			gs = append(gs, switchGroup{name, []*Network{n}})
		}
	}
	return gs
}

func (c *Compiler) adapter(name string) *Adapter {
	for i := range c.Adapters {
		if c.Adapters[i].Name == name {
			return &c.Adapters[i]
		}
	}
	return nil
}

func (c *Compiler) compileSwitch(p *fabric.HostProgram, s *State, g switchGroup, m *made) error {
	cfg := vswitch.Config{Name: g.name, Kind: vswitch.Internal, MTU: fabric.DefaultMTU,
		FloodUnknown: c.Profile.Knobs.UnknownUnicast == "flood", DropWhenFull: c.Profile.Knobs.UFTFull == "drop"}
	sp := fabric.SwitchProgram{}
	ext := g.nets[0].Uplink != ""
	if ext {
		a := c.adapter(g.nets[0].Uplink)
		if a == nil {
			return &hcn.Error{Code: hcn.ErrAdapterNotFound, Detail: g.nets[0].Uplink}
		}
		return c.compileExternal(p, s, g, a, m)
	}
	n := g.nets[0]
	if n.Type == hcn.Private {
		cfg.Kind = vswitch.Private
	} else {
		c.internalHost(p, s, &cfg, n)
	}
	for _, e := range s.EndpointsOf(n.Num) {
		if e.Remote {
			continue
		}
		pc := c.port(n, e, n.Num)
		cfg.Shared = append(cfg.Shared, &pc)
		if nic := c.containerNIC(s, g.name, n, e); nic != nil {
			p.Interfaces = append(p.Interfaces, nic)
		}
	}
	sp.Config = cfg
	p.Switches = append(p.Switches, sp)
	return nil
}

// internalHost plugs the host into an internal network; on nat networks its
// vNIC owns the gateway address (rule NAT-02).
func (c *Compiler) internalHost(p *fabric.HostProgram, s *State, cfg *vswitch.Config, n *Network) {
	cfg.Shared = append(cfg.Shared, &vswitch.PortConfig{ID: hostVNICPort, Name: "host", Kind: vswitch.HostPort, MAC: n.HostMAC, Zone: n.Num})
	var addrs []netip.Prefix
	for _, sub := range n.Subnets {
		if sub.Gateway.IsValid() {
			addrs = append(addrs, netip.PrefixFrom(sub.Gateway, sub.Prefix.Bits()))
		}
	}
	p.Interfaces = append(p.Interfaces, &fabric.InterfaceProgram{
		Compartment: fabric.HostCompartment, Name: "vEthernet (" + n.Doc.Name + ")", Switch: cfg.Name, Port: hostVNICPort,
		MAC: n.HostMAC, Addrs: addrs, MTU: fabric.DefaultMTU,
		Forward: n.Type == hcn.NAT || n.Type == hcn.ICS, DHCPServer: sharedAccess(s, n),
	})
}

// maxDHCPPool bounds the addresses that the host of an ICS network gives out.
const maxDHCPPool = 1024

// sharedAccess is the DHCP server of an ICS network with the flag
// EnableDhcpServer (rule VS-02, contract 3): it gives out what no endpoint has.
func sharedAccess(s *State, n *Network) *ipstack.DHCPServerConfig {
	if n.Type != hcn.ICS || n.Doc.Flags&hcn.EnableDhcpServer == 0 {
		return nil
	}
	for _, sub := range n.Subnets {
		if !sub.Prefix.Addr().Is4() || !sub.Gateway.IsValid() || sub.Prefix.Bits() > 30 {
			continue
		}
		size := uint64(1) << (32 - sub.Prefix.Bits())
		cfg := &ipstack.DHCPServerConfig{Router: sub.Gateway, First: addrAt(sub.Prefix, 1), Last: addrAt(sub.Prefix, min(size-2, maxDHCPPool))}
		if n.Doc.Flags&hcn.EnableDnsProxy != 0 {
			cfg.DNS = sub.Gateway
		}
		for _, e := range s.EndpointsOf(n.Num) {
			for _, a := range e.Addrs {
				cfg.Taken = append(cfg.Taken, a.IP)
			}
		}
		return cfg
	}
	return nil
}

// compileExternal builds the switch of an adapter with all its networks.
func (c *Compiler) compileExternal(p *fabric.HostProgram, s *State, g switchGroup, a *Adapter, m *made) error {
	x := &external{c: c, p: p, s: s, a: a, name: g.name, nets: map[uint32]*network{}}
	x.cfg = vswitch.Config{Name: g.name, Kind: vswitch.External, VFP: true, MTU: a.MTU,
		FloodUnknown: c.Profile.Knobs.UnknownUnicast == "flood", DropWhenFull: c.Profile.Knobs.UFTFull == "drop"}
	for _, n := range g.nets {
		x.nets[n.Num] = &network{}
		x.addNetwork(n, m)
	}
	x.served = map[uint32][]service{}
	for _, n := range g.nets {
		x.served[n.Num] = x.services(n)
	}
	x.bridge = l2bridge.New(l2bridge.Config{
		HostMAC: x.bridgeMAC(), HostAddrs: x.hostAddrs(), Endpoints: x.bridged,
		ARPProxy:  c.Profile.Knobs.ARPModeL2Bridge != "rewrite",
		PoolOwner: c.pools.owner, PoolMayTake: c.pools.mayTake(),
	})
	if len(x.overlays) > 0 {
		x.tunnels = []vfp.Layer{overlay.WireLayer(x.overlays), overlay.IngressLayer(x.overlays)}
	}
	x.balancing = x.balanceWire()
	x.cfg.Shared = append(x.cfg.Shared, x.wirePort(x.bridged))
	host := vswitch.PortConfig{ID: hostVNICPort, Name: "vEthernet (" + a.Name + ")", Kind: vswitch.HostPort, MAC: a.MAC,
		Program: &vfp.Program{Layers: x.hostLayers()}}
	hostless := slices.ContainsFunc(g.nets, hasNoHostPort)
	if !hostless {
		x.cfg.Shared = append(x.cfg.Shared, &host)
		x.hostNIC = &fabric.InterfaceProgram{
			Compartment: fabric.HostCompartment, Name: host.Name, Switch: g.name, Port: hostVNICPort, MAC: a.MAC,
			Addrs: a.Addrs, Routes: x.uplinkRoutes(), MTU: a.MTU, Uplink: a.Name,
			Forward: x.forwardsTransparent(),
		}
	}
	for _, n := range g.nets {
		if err := x.addPorts(n, m); err != nil {
			return err
		}
	}
	slices.SortFunc(x.cfg.Shared, func(a, b *vswitch.PortConfig) int { return cmp.Compare(a.ID, b.ID) })
	p.LocalVIPs = append(p.LocalVIPs, x.localServices()...)
	p.Switches = append(p.Switches, fabric.SwitchProgram{Config: x.cfg, Uplink: a.Name, Wire: externalPort, VXLANPorts: x.vxlanPorts()})
	m.externals, m.parts = append(m.externals, x), append(m.parts, part{external: x})
	return nil
}

// hasNoHostPort reports whether the network keeps the host off its switch: the
// adapter is the containers' alone (rule VFP-11).
func hasNoHostPort(n *Network) bool { return n.Doc.Flags&hcn.DisableHostPort != 0 }

// external is what one external switch consists of.
type external struct {
	c    *Compiler
	p    *fabric.HostProgram
	s    *State
	a    *Adapter
	name string
	cfg  vswitch.Config

	bridged  []*l2bridge.Endpoint // ascending rank
	bridge   *l2bridge.Bridge
	overlays []*overlay.Network
	nets     map[uint32]*network
	served   map[uint32][]service // load balanced addresses, by network
	onlink   []netip.Prefix       // pod prefixes that the host reaches through the switch (HostRoute)
	nics     []rankedNIC          // of containers, ascending rank
	hostNIC  *fabric.InterfaceProgram

	tunnels, balancing []vfp.Layer // of the external port
}

// network is what the endpoints of one network have in common.
type network struct {
	overlay *overlay.Network // nil: another type
	balance []vfp.Layer
	leave   func(*vfp.Walk) bool // what balance translates
}

// rankedNIC is an interface with its place among those of the switch.
type rankedNIC struct {
	rank uint64
	nic  *fabric.InterfaceProgram
}

// rank orders endpoints as the lists of a State do: by network, then by number.
func rank(e *Endpoint) uint64 { return uint64(e.Network)<<32 | uint64(e.Num) }

// interfaces adds those of the switch to a list.
func (x *external) interfaces(list []*fabric.InterfaceProgram) []*fabric.InterfaceProgram {
	list = slices.Grow(list, len(x.nics)+1)
	for _, r := range x.nics {
		list = append(list, r.nic)
	}
	if x.hostNIC != nil {
		list = append(list, x.hostNIC)
	}
	return list
}

// wirePort is the external port when these endpoints are bridged.
func (x *external) wirePort(bridged []*l2bridge.Endpoint) *vswitch.PortConfig {
	var ls []vfp.Layer
	if len(bridged) > 0 {
		ls = append(ls, x.bridge.WireLayer(bridged))
	}
	ls = append(append(ls, x.tunnels...), x.balancing...)
	return &vswitch.PortConfig{ID: externalPort, Name: x.a.Name, Kind: vswitch.ExternalPort, Program: &vfp.Program{Layers: ls}}
}
