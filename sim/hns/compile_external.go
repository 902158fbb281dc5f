package hns

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/hnsim/hnsim/sim/fabric"
	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/l2bridge"
	"github.com/hnsim/hnsim/sim/overlay"
	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/vswitch"
	"github.com/hnsim/hnsim/sim/wire"
)

// addNetwork collects what concerns the whole switch: the overlays, and the
// endpoints that the wire's layers must know.
func (x *external) addNetwork(n *Network, m *made) {
	if n.Type == hcn.Overlay {
		cfg := x.overlayConfig(n)
		for _, e := range x.s.EndpointsOf(n.Num) {
			em := m.endpoint(e.Num)
			em.member = x.member(n, e)
			cfg.Members = append(cfg.Members, em.member)
		}
		net := overlay.New(cfg)
		x.overlays = append(x.overlays, net)
		x.nets[n.Num].overlay = net
		x.hostRoute(n)
	}
	for _, e := range x.locals(n) {
		if b := x.bridgedEndpoint(n, e); b != nil {
			m.endpoint(e.Num).bridged = b
			x.bridged = append(x.bridged, b)
		}
	}
}

// bridgedEndpoint is the endpoint as the wire's layers know it, nil if they need
// not. Overlay endpoints meet the wire through their NAT ports only.
func (x *external) bridgedEndpoint(n *Network, e *Endpoint) *l2bridge.Endpoint {
	b := &l2bridge.Endpoint{Rank: rank(e), Port: EndpointPort(e.Num), MAC: e.MAC, Addrs: addrsOf(e), Zone: x.c.zone(n, e)}
	switch n.Type {
	case hcn.Overlay:
		return b
	case hcn.L2Bridge, hcn.L2Tunnel:
		b.Host, b.Bridge, b.Tunnel, b.VLAN = onHost(e), true, n.Type == hcn.L2Tunnel, x.c.accessVLAN(n, e)
		return b
	}
	return nil
}

// locals are the endpoints of n that have a port here.
func (x *external) locals(n *Network) []*Endpoint {
	var out []*Endpoint
	for _, e := range x.s.EndpointsOf(n.Num) {
		if !e.Remote {
			out = append(out, e)
		}
	}
	return out
}

func onHost(e *Endpoint) bool { return e.Compartment == fabric.HostCompartment }

func addrsOf(e *Endpoint) []netip.Addr {
	var out []netip.Addr
	for _, a := range e.Addrs {
		out = append(out, a.IP)
	}
	return out
}

// subnetOf is the subnet that an endpoint's first address belongs to, the
// network's first one otherwise.
func subnetOf(n *Network, e *Endpoint) *Subnet {
	for _, a := range e.Addrs {
		if a.Subnet >= 0 && a.Subnet < len(n.Subnets) {
			return &n.Subnets[a.Subnet]
		}
	}
	if len(n.Subnets) > 0 {
		return &n.Subnets[0]
	}
	return nil
}

// vlan is the access VLAN of an endpoint: its own policy, else its subnet's
// (rule VS-28).
func vlan(n *Network, e *Endpoint) uint16 {
	if p, ok := hcn.FindPolicy(e.Doc.Policies, hcn.PolicyVLAN); ok {
		if v, err := hcn.DecodeSettings[hcn.IsolationSettings](p); err == nil {
			return uint16(v.IsolationID)
		}
	}
	if sub := subnetOf(n, e); sub != nil {
		return sub.VLAN
	}
	return 0
}

// accessVLAN is the VLAN of an endpoint's untagged frames: Hyper-V's own setting
// wins over the documents, and its isolation setting over the VLAN setting.
func (c *Compiler) accessVLAN(n *Network, e *Endpoint) uint16 {
	if c.PortOptions != nil {
		o := c.PortOptions(e.Doc.ID)
		if o.Isolation.Mode == vswitch.IsolationVLAN {
			return uint16(o.Isolation.DefaultID)
		}
		if v := o.VLAN; v != nil {
			switch v.Mode {
			case vswitch.VLANAccess:
				return v.AccessID
			case vswitch.VLANTrunk:
				return v.Native
			case vswitch.VLANPrivate:
				return v.Primary
			}
			return 0
		}
	}
	return vlan(n, e)
}

// vni is the VSID of an endpoint's subnet (rule OV-01).
func vni(n *Network, e *Endpoint) uint32 {
	if sub := subnetOf(n, e); sub != nil {
		return sub.VSID
	}
	return 0
}

// zone is the isolation domain of an endpoint on its switch.
func (c *Compiler) zone(n *Network, e *Endpoint) uint32 {
	switch {
	case n.Uplink == "":
		return n.Num
	case n.Type == hcn.Overlay:
		return vni(n, e)
	}
	if v := vlan(n, e); v != 0 {
		return uint32(v)
	}
	return untaggedZone
}

// bridgeMAC is the MAC that bridged frames wear: SourceMacAddress wins over
// the NIC's (rule L2B-01).
func (x *external) bridgeMAC() wire.MAC {
	for _, n := range x.s.Networks {
		if n.Uplink != x.a.Name {
			continue
		}
		if p, ok := hcn.FindPolicy(n.Doc.Policies, hcn.PolicySourceMacAddress); ok {
			if v, err := hcn.DecodeSettings[hcn.SourceMacAddressSettings](p); err == nil {
				if m, err := wire.ParseMAC(v.SourceMacAddress); err == nil {
					return m
				}
			}
		}
	}
	return x.a.MAC
}

func (x *external) hostAddrs() []netip.Addr {
	var out []netip.Addr
	for _, a := range x.a.Addrs {
		out = append(out, a.Addr())
	}
	return out
}

// overlay is the address space of n, nil if it is not an overlay of this switch.
func (x *external) overlay(n *Network) *overlay.Network {
	if net := x.nets[n.Num]; net != nil {
		return net.overlay
	}
	return nil
}

// vxlanPorts are the UDP ports of the switch's overlays.
func (x *external) vxlanPorts() []uint16 {
	var out []uint16
	for _, n := range x.s.Networks {
		if net := x.overlay(n); net != nil && !slices.Contains(out, net.Port()) {
			out = append(out, net.Port())
		}
	}
	return out
}

func (x *external) hostLayers() []vfp.Layer {
	ls := x.balanceHost()
	for _, n := range x.s.Networks {
		if net := x.overlay(n); net != nil && hasHostRoute(n) {
			ls = append(ls, net.HostLayer(fmt.Sprintf("VNET_HOST_ROUTE_LAYER_%d", n.Num)))
		}
	}
	return ls
}

func hasHostRoute(n *Network) bool {
	_, ok := hcn.FindPolicy(n.Doc.Policies, hcn.PolicyHostRoute)
	return ok
}

// hostRoute makes the host's stack send to the network's pods through the
// switch (rule OV-22).
func (x *external) hostRoute(n *Network) {
	if !hasHostRoute(n) {
		return
	}
	for _, sub := range n.Subnets {
		x.onlink = append(x.onlink, sub.Prefix)
	}
}

func (x *external) uplinkRoutes() []fabric.Route {
	var rs []fabric.Route
	if x.a.Gateway.IsValid() {
		any4 := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
		if x.a.Gateway.Is6() {
			any4 = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		}
		rs = append(rs, fabric.Route{Dst: any4, Via: x.a.Gateway})
	}
	for _, p := range x.onlink {
		rs = append(rs, fabric.Route{Dst: p})
	}
	return rs
}

// addPorts adds the ports and interfaces of n's local endpoints.
func (x *external) addPorts(n *Network, m *made) error {
	net := x.nets[n.Num]
	net.balance, net.leave = x.balanceClients(n)
	for _, e := range x.locals(n) {
		em := m.endpoint(e.Num)
		if err := x.build(n, e, em); err != nil {
			return err
		}
		x.cfg.Shared = append(x.cfg.Shared, em.port)
		if em.nic != nil {
			x.nics = append(x.nics, rankedNIC{rank(e), em.nic})
		}
	}
	return nil
}

// build makes the port and the interface of a local endpoint.
func (x *external) build(n *Network, e *Endpoint, em *madeEndpoint) error {
	pc := x.c.port(n, e, x.c.zone(n, e))
	prog, err := x.program(n, e)
	if err != nil {
		return err
	}
	if !onHost(e) {
		prog.Layers = append(prog.Layers, x.nets[n.Num].balance...)
	}
	pc.Program = prog
	em.port, em.nic = &pc, x.c.containerNIC(x.s, x.name, n, e, hopRoutes(x.s, e)...)
	return nil
}

// program is the VFP policy of an endpoint's port: neighbour proxy, ACLs, NAT
// and routing, in this order on the way out. Load balancing, which endpoints
// of a network share, comes on top.
func (x *external) program(n *Network, e *Endpoint) (*vfp.Program, error) {
	p := &vfp.Program{}
	acls, err := x.c.aclLayers(n, e)
	if err != nil {
		return nil, err
	}
	redirect, err := proxyLayer(n, e)
	if err != nil {
		return nil, err
	}
	p.Layers = append(p.Layers, redirect...)
	nat := x.c.pools.layer(e, x.routed(n, e), x.nets[n.Num].leave)
	switch n.Type {
	case hcn.Overlay:
		vnet := x.overlay(n).EndpointLayers(overlay.Local{
			Port: EndpointPort(e.Num), MAC: e.MAC, Addrs: addrsOf(e), VNI: vni(n, e)})
		p.Layers = append(p.Layers, vnet[0])
		p.Layers = append(p.Layers, acls...)
		p.Layers = append(p.Layers, nat...)
		p.Layers = append(p.Layers, vnet[1:]...)
	case hcn.L2Bridge, hcn.L2Tunnel:
		p.Layers = append(p.Layers, acls...)
		p.Layers = append(p.Layers, nat...)
		p.Layers = append(p.Layers, x.bridge.EndpointLayer(l2bridge.Endpoint{
			Port: EndpointPort(e.Num), Host: onHost(e), Tunnel: n.Type == hcn.L2Tunnel,
		}, encapPrefixes(x.s, e)))
	default:
		p.Layers = append(p.Layers, acls...)
		p.Layers = append(p.Layers, x.routeByHost(n, e)...)
	}
	return p, nil
}

// routed tells outbound NAT which destinations the overlay serves itself.
func (x *external) routed(n *Network, e *Endpoint) func(netip.Addr) bool {
	net := x.overlay(n)
	if net == nil {
		return nil
	}
	id := vni(n, e)
	return func(dst netip.Addr) bool { return net.Routes(id, dst) }
}

// port is the switch port of an endpoint; it is blocked unless the endpoint
// is attached (rule CMP-08).
func (c *Compiler) port(n *Network, e *Endpoint, zone uint32) vswitch.PortConfig {
	pc := vswitch.PortConfig{
		ID: EndpointPort(e.Num), Name: e.Doc.ID, Kind: vswitch.EndpointPort,
		MAC: e.MAC, Zone: zone, Blocked: !e.Attached(),
		Isolated: e.Doc.Flags&hcn.DisableICC != 0, Tunnelled: n.Type == hcn.Overlay,
		Offload: offloaded(n, e),
	}
	if s := c.shapers.shaper(e); s != nil {
		pc.Shaper = s
	}
	if v := vlan(n, e); v != 0 && n.Type != hcn.Overlay {
		pc.VLAN = vswitch.VLANConfig{Mode: vswitch.VLANAccess, AccessID: v}
	}
	if c.PortOptions == nil {
		return pc
	}
	o := c.PortOptions(e.Doc.ID)
	pc.MACSpoofing, pc.DHCPGuard, pc.RouterGuard = o.Spoofing, o.DHCPGuard, o.RouterGuard
	pc.StormLimit, pc.ACLs, pc.ExtACLs, pc.Mirror = o.StormLimit, o.ACLs, o.ExtACLs, o.Mirror
	if o.VLAN != nil {
		pc.VLAN = *o.VLAN
	}
	// A setting that cannot be was refused when it was made.
	_ = pc.Isolate(o.Isolation)
	return pc
}

// offloaded reports whether the NIC carries the endpoint's flows: the network
// allows it, and the endpoint asks for a share of the NIC (rule VFP-11).
func offloaded(n *Network, e *Endpoint) bool {
	p, ok := hcn.FindPolicy(e.Doc.Policies, hcn.PolicyIov)
	if !ok || n.Uplink == "" || n.Doc.Flags&hcn.EnableIov == 0 {
		return false
	}
	s, err := hcn.DecodeSettings[hcn.IovSettings](p)
	return err == nil && s.IovOffloadWeight > 0
}

// containerNIC plugs the endpoint's compartment into its port, once there is
// a compartment (rule CMP-07). Its routes are the default routes and routes.
func (c *Compiler) containerNIC(s *State, sw string, n *Network, e *Endpoint, routes ...fabric.Route) *fabric.InterfaceProgram {
	if e.Compartment == 0 {
		return nil
	}
	ip := &fabric.InterfaceProgram{
		Compartment: e.Compartment, Name: "vEthernet (" + c.nicName(s, e) + ")", Switch: sw,
		Port: EndpointPort(e.Num), MAC: e.MAC, MTU: c.mtu(n, e),
		Autoconfigure: n.Type == hcn.Transparent, DHCP: usesDHCP(n, e),
		Forward: onHost(e),
	}
	for _, a := range e.Addrs {
		ip.Addrs = append(ip.Addrs, netip.PrefixFrom(a.IP, a.Bits))
		if !onHost(e) && a.Gateway.IsValid() && a.Gateway != a.IP {
			ip.Routes = append(ip.Routes, fabric.Route{Dst: netip.PrefixFrom(zeroOf(a.IP), 0), Via: a.Gateway})
		}
	}
	ip.Routes = append(ip.Routes, routes...)
	return ip
}

// nicName is what stands between the brackets of an endpoint's interface. In
// the host's compartment it is the endpoint's name, by which drivers look for
// their bridge endpoint, unless something older there has that name; elsewhere
// nobody looks, and the id keeps pods' interfaces apart.
func (c *Compiler) nicName(s *State, e *Endpoint) string {
	id := e.Doc.ID[:min(8, len(e.Doc.ID))]
	if !onHost(e) || e.Doc.Name == "" || c.adapter(e.Doc.Name) != nil {
		return id
	}
	for _, n := range s.Networks {
		if n.Doc.Name == e.Doc.Name {
			return id
		}
	}
	for _, o := range s.Endpoints {
		if o.Num < e.Num && onHost(o) && o.Doc.Name == e.Doc.Name {
			return id
		}
	}
	return e.Doc.Name
}

// usesDHCP reports whether the container has to ask the network for its IPv4
// address: on transparent networks without subnet (rule TR-03), and where the
// endpoint says so and somebody may answer. An address that was given is never asked for (bug B-29).
func usesDHCP(n *Network, e *Endpoint) bool {
	for _, a := range e.Addrs {
		if a.IP.Is4() {
			return false
		}
	}
	asks := e.Doc.Flags&hcn.EnableDhcp != 0
	served := n.Type.External() || n.Type == hcn.ICS && n.Doc.Flags&hcn.EnableDhcpServer != 0
	return n.Type == hcn.Transparent || asks && served
}

func zeroOf(a netip.Addr) netip.Addr {
	if a.Is6() {
		return netip.IPv6Unspecified()
	}
	return netip.IPv4Unspecified()
}

// mtu of a container's interface: an explicit parameter, else the Ethernet
// MTU less what a policy says that encapsulation takes (rules VS-42, OV-18
// and D-18: 1500 unless the overhead was given).
func (c *Compiler) mtu(n *Network, e *Endpoint) int {
	if p, ok := hcn.FindPolicy(e.Doc.Policies, hcn.PolicyInterfaceParameters); ok {
		if v, err := hcn.DecodeSettings[hcn.InterfaceParametersSettings](p); err == nil && v.MTU != 0 {
			return int(v.MTU)
		}
	}
	if e.EncapGiven || n.Type == hcn.Overlay && c.Profile.Knobs.OverlayMTU == "always" {
		return fabric.DefaultMTU - int(e.EncapOverhead)
	}
	return fabric.DefaultMTU
}
