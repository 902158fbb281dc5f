package simulated

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim"
	"github.com/hnsim/hnsim/sim/fabric"
	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/hns"
	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/vswitch"
	"github.com/hnsim/hnsim/sim/wire"
)

// domain is what an endpoint may talk to without a router: the documents'
// view, made without the compiler whose work it checks.
type domain struct {
	internal uint32 // number of a network that has no wire (NAT, ICS, Internal, Private)
	vsid     uint32 // of an overlay's subnet (rule OV-01)
	overlay  bool
	private  bool   // internal, and not even the host is there (rule VS-01)
	vlan     uint16 // of an external network, 0 is untagged (rules TR-06, VS-28)
	free     bool   // trunk, private VLAN, monitor: a port of many domains, not judged here
}

func (d domain) String() string {
	switch {
	case d.overlay:
		return fmt.Sprintf("VSID %d", d.vsid)
	case d.internal != 0:
		return fmt.Sprintf("network number %d", d.internal)
	case d.vlan != 0:
		return fmt.Sprintf("VLAN %d", d.vlan)
	}
	return "the untagged LAN"
}

// domains are those of a host's ports, for one snapshot of its control plane
// and of its port settings.
type domains struct {
	state *hns.State
	prog  *fabric.HostProgram
	ports map[vfp.PortID]domain
	vnis  map[uint32]bool // VNIs that routes and policies name
}

// domainsOf reads the host's documents, once per snapshot.
func (r *recorder) domainsOf(h *sim.Host) *domains {
	d := r.domains[h]
	if d == nil {
		d = new(domains)
		r.domains[h] = d
	}
	st := h.State()
	if d.ports != nil && d.state == st && d.prog == h.Program() {
		return d
	}
	d.state, d.prog, d.ports, d.vnis = st, h.Program(), map[vfp.PortID]domain{}, map[uint32]bool{}
	if st == nil {
		return d
	}
	settings := portSettings(h.Program())
	nets := map[uint32]*hns.Network{}
	for _, n := range st.Networks {
		nets[n.Num] = n
		for _, id := range routedVNIs(n) {
			d.vnis[id] = true
		}
	}
	for _, e := range st.Endpoints {
		if n := nets[e.Network]; n != nil && !e.Remote {
			id := hns.EndpointPort(e.Num)
			d.ports[id] = domainOf(n, e, settings[id])
		}
	}
	return d
}

// portSettings are the ports as Hyper-V's own tools set them up, without any
// document.
func portSettings(p *fabric.HostProgram) map[vfp.PortID]*vswitch.PortConfig {
	out := map[vfp.PortID]*vswitch.PortConfig{}
	for i := range p.Switches {
		for q := range p.Switches[i].Config.All() {
			out[q.ID] = q
		}
	}
	return out
}

// domainOf is the domain of one endpoint.
func domainOf(n *hns.Network, e *hns.Endpoint, q *vswitch.PortConfig) domain {
	sub := subnetOf(n, e)
	switch {
	case q == nil || q.Mirror == vswitch.MirrorDestination:
		return domain{free: true} // no port, or one that is to see what others get
	case n.Type == hcn.Overlay:
		d := domain{overlay: true}
		if sub != nil {
			d.vsid = sub.VSID
		}
		return d
	case n.Uplink == "":
		return domain{internal: n.Num, private: n.Type == hcn.Private}
	case q.Confined: // a virtual subnet without encapsulation (rule VS-27)
		return domain{internal: q.Zone, private: true}
	case q.VLAN.Mode == vswitch.VLANTrunk || q.VLAN.Mode == vswitch.VLANPrivate || q.VLAN.AllowUntagged:
		return domain{free: true}
	case q.VLAN.Mode == vswitch.VLANAccess:
		return domain{vlan: q.VLAN.AccessID}
	}
	return domain{}
}

func subnetOf(n *hns.Network, e *hns.Endpoint) *hns.Subnet {
	if len(e.Addrs) > 0 && e.Addrs[0].Subnet >= 0 && e.Addrs[0].Subnet < len(n.Subnets) {
		return &n.Subnets[e.Addrs[0].Subnet]
	}
	if len(n.Subnets) > 0 {
		return &n.Subnets[0]
	}
	return nil
}

// routedVNIs are those that a network's RemoteSubnetRoute policies name: its
// endpoints may send to them on purpose (rule OV-08).
func routedVNIs(n *hns.Network) []uint32 {
	var out []uint32
	for _, p := range n.Doc.Policies {
		if p.Type != hcn.PolicyRemoteSubnetRoute {
			continue
		}
		if s, err := hcn.DecodeSettings[hcn.RemoteSubnetRouteSettings](p); err == nil {
			out = append(out, uint32(s.IsolationID))
		}
	}
	return out
}

// checkCrossing holds that no virtual switch joins what is isolated: two
// endpoints of different domains, an endpoint and a VNI or VLAN that is not
// its own.
func (r *recorder) checkCrossing(c fabric.Crossing) {
	nd := r.w.nodes[c.Host]
	if nd != nil && nd.kind == backends.PhysicalNode {
		r.checkTenants(c)
	}
	if nd == nil || nd.host == nil {
		return
	}
	d := r.domainsOf(nd.host)
	from, sends := d.ports[c.In]
	to, receives := d.ports[c.Out]
	var why string
	switch {
	case sends && from.free || receives && to.free:
	case sends && receives:
		if from != to {
			why = fmt.Sprintf("an endpoint in %s reaches one in %s", from, to)
		}
	case sends && from.private:
		why = fmt.Sprintf("an endpoint in %s, which is private, reaches port %d", from, c.Out)
	case receives && to.private:
		why = fmt.Sprintf("an endpoint in %s, which is private, is reached from port %d", to, c.In)
	case sends && c.Out == c.Switch.Wire && c.Switch.Uplink != "":
		why = d.leaving(from, c)
	case receives && c.In == c.Switch.Wire && c.Switch.Uplink != "":
		why = entering(to, c)
	}
	if why != "" {
		r.violation(isolationInvariant, "host %s, switch %s: %s: %s", c.Host, c.Switch.Config.Name, why, wire.Summary(c.Left))
	}
}

// checkTenants holds that a physical host's switch joins no machines of
// different virtual networks, and that nothing enters or leaves one under the
// VSID of another (rule SDN-05).
func (r *recorder) checkTenants(c fabric.Crossing) {
	from, to := portZone(c, c.In), portZone(c, c.Out)
	// A machine may have tunnels of its own: those of the provider network have
	// the host's addresses.
	if t, src, _, ok := tunnelID(c.Left); ok && c.Out == c.Switch.Wire && from != 0 && r.isProvider(c.Host, src) {
		to = t
	}
	if t, _, dst, ok := tunnelID(c.Entered); ok && c.In == c.Switch.Wire && to != 0 && r.isProvider(c.Host, dst) {
		from = t
	}
	if from == 0 || to == 0 || from == to || r.w.sim.Controller().SameNetwork(from, to) {
		return
	}
	if r.virtualSource(c.Left) {
		return // from virtual address to virtual address, as hosts may do (rule SDN-14)
	}
	r.violation(isolationInvariant, "host %s: a machine of VSID %d reaches VSID %d of another network: %s", c.Host, from, to, wire.Summary(c.Left))
}

// virtualSource reports whether a packet, or the one inside it, comes from a
// virtual address of the controller's.
func (r *recorder) virtualSource(frame []byte) bool {
	var m wire.Meta
	wire.Parse(frame, &m)
	if t, ok := tunnelOf(frame, &m); ok {
		frame = frame[t.Inner:t.End]
		wire.Parse(frame, &m)
	}
	if !m.IsIP() {
		return false
	}
	_, found := slices.BinarySearchFunc(r.w.sim.Controller().Model().Virtual(), m.Src(frame), netip.Addr.Compare)
	return found
}

func portZone(c fabric.Crossing, id vfp.PortID) uint32 {
	if p := c.Switch.Config.Port(id); p != nil {
		return p.Zone
	}
	return 0
}

// tunnelID is the VNI or VSID of an encapsulated frame, with its outer addresses.
func tunnelID(frame []byte) (id uint32, src, dst netip.Addr, ok bool) {
	var m wire.Meta
	wire.Parse(frame, &m)
	if !m.IsIP() {
		return 0, src, dst, false
	}
	t, ok := tunnelOf(frame, &m)
	return t.VNI, m.Src(frame), m.Dst(frame), ok
}

func tunnelOf(frame []byte, m *wire.Meta) (t wire.Tunnel, ok bool) {
	switch {
	case !m.IsIP():
		return t, false
	case m.Proto == wire.ProtoUDP && m.DstPort == wire.VXLANPort:
		return wire.ParseVXLAN(frame, m)
	}
	return wire.ParseNVGRE(frame, m)
}

// isProvider reports whether a is a provider address of the host.
func (r *recorder) isProvider(host string, a netip.Addr) bool {
	nd := r.w.nodes[host+paSuffix]
	if nd == nil {
		return false
	}
	for _, i := range nd.stack().Interfaces() {
		for _, p := range i.Addrs() {
			if p.Addr() == a {
				return true
			}
		}
	}
	return false
}

// leaving says what is wrong with a frame of an endpoint on the wire.
func (d *domains) leaving(from domain, c fabric.Crossing) string {
	if from.overlay {
		if id, ok := vniOf(c.Left, c.Switch); ok && id != from.vsid && !d.vnis[id] {
			return fmt.Sprintf("an endpoint in %s sends with VNI %d", from, id)
		}
		return ""
	}
	if got := tagOf(c.Left); got != from.vlan {
		return fmt.Sprintf("an endpoint in %s sends with tag %d", from, got)
	}
	return ""
}

// entering says what is wrong with a frame from the wire that an endpoint got.
func entering(to domain, c fabric.Crossing) string {
	if to.overlay {
		if id, ok := vniOf(c.Entered, c.Switch); ok && id != to.vsid {
			return fmt.Sprintf("an endpoint in %s gets a frame of VNI %d", to, id)
		}
		return ""
	}
	if got := tagOf(c.Entered); got != to.vlan {
		return fmt.Sprintf("an endpoint in %s gets a frame with tag %d", to, got)
	}
	return ""
}

// tagOf is the VLAN of a frame; a priority tag is none.
func tagOf(frame []byte) uint16 {
	if e := wire.Ethernet(frame); e.IsValid() && e.Tagged() {
		return e.TCI().ID()
	}
	return 0
}

// vniOf is the VNI of a frame that is VXLAN to this switch.
func vniOf(frame []byte, sp *fabric.SwitchProgram) (uint32, bool) {
	var m wire.Meta
	if wire.Parse(frame, &m) != wire.OK {
		return 0, false
	}
	for _, port := range sp.VXLANPorts {
		if m.DstPort != port {
			continue
		}
		if t, ok := wire.ParseVXLAN(frame, &m); ok {
			return t.VNI, true
		}
	}
	return 0, false
}
