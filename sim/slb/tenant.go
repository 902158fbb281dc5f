package slb

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// TenantService is a load-balanced virtual address as the port of one of its
// machines translates it (rules SDN-13, SDN-14).
type TenantService struct {
	ID       string
	VIP      netip.Addr
	Proto    uint8
	Port     uint16
	Internal uint16
	Dist     Distribution
	Idle     int64
	// All are the DIPs that the MUXes choose from, in their order; Here those of
	// this port, for what a MUX that knew other ones sent.
	All, Here []netip.Addr
}

// TenantForward is an inbound NAT rule: a port of a virtual address for one
// machine alone (rule SDN-16).
type TenantForward struct {
	ID       string
	VIP      netip.Addr
	Proto    uint8
	Port     uint16
	To       netip.Addr
	Internal uint16
	Idle     int64
}

// TenantPublic is a public address of one machine's address (rule SDN-17).
type TenantPublic struct {
	ID   string
	VIP  netip.Addr
	To   netip.Addr
	Idle int64
}

// TenantOutbound is outbound NAT of one machine's address: only the protocols
// that have a pool are translated (rule SDN-15).
type TenantOutbound struct {
	From     netip.Addr
	VIP      netip.Addr
	TCP, UDP *vfp.NATPool // over the ports leased for the address
	Idle     int64
}

// Tenant is all that the load balancer does at a virtual machine's port.
type Tenant struct {
	Services []TenantService
	Forwards []TenantForward
	Publics  []TenantPublic
	Outbound []TenantOutbound
	// Inside reports destinations in the machine's own virtual network: they see
	// its own address.
	Inside func(netip.Addr) bool
}

// TenantPriority places translation between the ACLs, which see the machine's
// addresses, and routing.
const TenantPriority = 300

// TenantLayers are the layers of a virtual machine's port.
func TenantLayers(t Tenant) []vfp.Layer {
	in := vfp.Group{Name: "SLB_GROUP_NAT_IPv4_IN", Dir: vfp.In, Family: vfp.IPv4}
	out := vfp.Group{Name: "SLB_GROUP_NAT_IPv4_OUT", Dir: vfp.Out, Family: vfp.IPv4}
	for i := range t.Services {
		in.Rules = append(in.Rules, t.Services[i].rule())
	}
	for _, f := range t.Forwards {
		in.Rules = append(in.Rules, f.rule())
	}
	for _, p := range t.Publics {
		in.Rules = append(in.Rules, vfp.Rule{ID: "NAT_" + p.ID, Priority: 300, Idle: p.Idle, Stateful: true, Terminating: true, Cite: "SDN-17",
			Match: vfp.Match{Dst: []netip.Prefix{single(p.VIP)}}, Action: vfp.SetHeaders{Dst: p.To}})
		out.Rules = append(out.Rules, vfp.Rule{ID: "SNAT_" + p.ID, Priority: 100, Idle: p.Idle, Stateful: true, Terminating: true, Cite: "SDN-17",
			Match: vfp.Match{Src: []netip.Prefix{single(p.To)}, Func: t.outside, Note: "destination outside the network"}, Action: vfp.SetHeaders{Src: p.VIP}})
	}
	for _, o := range t.Outbound {
		out.Rules = append(out.Rules, o.rules(&t)...)
	}
	in.Rules = append(in.Rules, t.strangers()...)
	l := vfp.Layer{Name: "SLB_NAT_LAYER", Priority: TenantPriority, Reconcile: vfp.KeepWhileRule}
	for _, g := range []vfp.Group{in, out} {
		if len(g.Rules) > 0 {
			l.Groups = append(l.Groups, g)
		}
	}
	if len(l.Groups) == 0 {
		return nil
	}
	return []vfp.Layer{l}
}

// strangers drop what came for a virtual address and is of no rule and no flow,
// such as a packet to a leased port that nobody here has sent from: the machine
// has no such address (rule SDN-15).
func (t *Tenant) strangers() []vfp.Rule {
	var vips []netip.Prefix
	add := func(vip netip.Addr) {
		if p := single(vip); !slices.Contains(vips, p) {
			vips = append(vips, p)
		}
	}
	for i := range t.Services {
		add(t.Services[i].VIP)
	}
	for _, f := range t.Forwards {
		add(f.VIP)
	}
	for _, o := range t.Outbound {
		add(o.VIP)
	}
	if len(vips) == 0 {
		return nil
	}
	return []vfp.Rule{{ID: "NAT_NONE", Priority: 900, Terminating: true, Cite: "SDN-15",
		Match: vfp.Match{Dst: vips}, Action: vfp.Block{Reason: vfp.DropNoMapping}}}
}

// outside: the packet leaves the virtual network, and nothing has steered it.
func (t *Tenant) outside(w *vfp.Walk) bool {
	return w.Fwd.Kind == vfp.ByMAC && !w.H.EthDst.IsMulticast() && !t.Inside(w.H.Dst)
}

func (s *TenantService) rule() vfp.Rule {
	return vfp.Rule{
		ID: fmt.Sprintf("NAT_%s_%s_%d_%d", s.ID, s.VIP, s.Port, s.Proto), Priority: 100,
		Match:  vfp.Match{Protos: []uint8{s.Proto}, Dst: []netip.Prefix{single(s.VIP)}, DstPorts: []vfp.PortRange{{Lo: s.Port, Hi: s.Port}}},
		Action: tenantPick{s}, Stateful: true, Terminating: true, Idle: s.Idle, Cite: "SDN-13",
	}
}

// tenantPick gives a packet the DIP that its MUX chose it for: the same hash
// over the same machines. What this port does not have goes to one that it has.
type tenantPick struct{ s *TenantService }

func (tenantPick) Name() string { return "lbnat" }

func (a tenantPick) Apply(w *vfp.Walk) vfp.Outcome {
	dip := a.s.Here[a.s.Dist.Pick(&w.H, len(a.s.Here))]
	if len(a.s.All) > 0 {
		if d := a.s.All[a.s.Dist.Pick(&w.H, len(a.s.All))]; slices.Contains(a.s.Here, d) {
			dip = d
		}
	}
	w.H.Dst, w.H.DstPort = dip, a.s.Internal
	return vfp.Continue
}

func (f TenantForward) rule() vfp.Rule {
	port := f.Internal
	return vfp.Rule{
		ID: "NAT_" + f.ID, Priority: 200, Stateful: true, Terminating: true, Idle: f.Idle, Cite: "SDN-16",
		Match:  vfp.Match{Protos: []uint8{f.Proto}, Dst: []netip.Prefix{single(f.VIP)}, DstPorts: []vfp.PortRange{{Lo: f.Port, Hi: f.Port}}},
		Action: vfp.SetHeaders{Dst: f.To, DstPort: &port},
	}
}

func (o TenantOutbound) rules(t *Tenant) []vfp.Rule {
	var rs []vfp.Rule
	for _, p := range []struct {
		name  string
		proto uint8
		pool  *vfp.NATPool
	}{{"TCP", wire.ProtoTCP, o.TCP}, {"UDP", wire.ProtoUDP, o.UDP}} {
		if p.pool == nil {
			continue
		}
		rs = append(rs, vfp.Rule{
			ID: fmt.Sprintf("SNAT_%s_OUTBOUNDNAT_%s_%s", p.name, o.From, o.VIP), Priority: 200, Idle: o.Idle, Stateful: true, Terminating: true, Cite: "SDN-15",
			Match:  vfp.Match{Protos: []uint8{p.proto}, Src: []netip.Prefix{single(o.From)}, Func: t.outside, Note: "destination outside the network"},
			Action: vfp.DynNAT{Pool: p.pool, To: o.VIP},
		})
	}
	return rs
}
