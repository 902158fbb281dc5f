package snat

import (
	"fmt"
	"net/netip"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// LayerPriority places NAT behind the ACLs, which see pod addresses (rule
// ACL-09), and in front of routing.
const LayerPriority = 300

// Rule priorities inside the layer. Published ports come first, so that a
// reply to an outside client is never given a pool port.
const (
	prioMapping = 10
	prioSNAT    = 100
	prioRefuse  = 200
	prioReplies = 300
)

// Outbound is what the OutBoundNAT policies of one endpoint amount to.
type Outbound struct {
	To           netip.Addr     // node IP, or VirtualIP
	Exceptions   []netip.Prefix // never translated
	Destinations []netip.Prefix // always translated, exceptions or not (L2B-21, L2B-28)
	Everywhere   bool           // destinations outside Exceptions are translated
	TCP, UDP     *vfp.NATPool
	ICMP         bool                      // knob vfpIcmpNat (L2B-26)
	ICMPPool     *vfp.NATPool              // only with ICMP
	Idle         int64                     // ns; 0: 240 s (L2B-24)
	Routed       func(dst netip.Addr) bool // overlay: destinations that the overlay itself serves (OV-05); may be nil
	// Leave, when set, names packets that a load balancer gives their source
	// (rule L2B-27).
	Leave func(*vfp.Walk) bool
}

// Mapping publishes a port of the node (rule L2B-30).
type Mapping struct {
	Proto        uint8
	VIP          netip.Addr // node IP
	ExternalPort uint16
	Internal     netip.Addr
	InternalPort uint16
}

// Layer compiles an endpoint's NAT. A nil out means no OutBoundNAT.
func Layer(out *Outbound, maps []Mapping) vfp.Layer {
	l := vfp.Layer{Name: "SLB_NAT_LAYER", Priority: LayerPriority, Reconcile: vfp.KeepWhileRule}
	in := vfp.Group{Name: "SLB_GROUP_NAT_IPv4_IN", Dir: vfp.In, Family: vfp.IPv4}
	for _, m := range maps {
		in.Rules = append(in.Rules, m.rule())
	}
	var eg vfp.Group
	if out != nil {
		eg = vfp.Group{Name: "SLB_GROUP_NAT_IPv4_OUT", Dir: vfp.Out, Family: vfp.IPv4, Rules: out.rules()}
		in.Rules = append(in.Rules, out.refuse(), out.replies())
	}
	if len(eg.Rules) > 0 {
		l.Groups = append(l.Groups, eg)
	}
	if len(in.Rules) > 0 {
		l.Groups = append(l.Groups, in)
	}
	return l
}

func host(a netip.Addr) []netip.Prefix { return []netip.Prefix{netip.PrefixFrom(a, a.BitLen())} }

func (m Mapping) rule() vfp.Rule {
	int4, port := m.Internal, m.InternalPort
	return vfp.Rule{
		ID:       fmt.Sprintf("NAT_%s_%d_%d", m.VIP, m.ExternalPort, m.Proto),
		Priority: prioMapping,
		Match: vfp.Match{
			Protos: []uint8{m.Proto}, Dst: host(m.VIP),
			DstPorts: []vfp.PortRange{{Lo: m.ExternalPort, Hi: m.ExternalPort}},
		},
		Action:      vfp.SetHeaders{Dst: int4, DstPort: &port},
		Terminating: true, Stateful: true, Cite: "L2B-30",
	}
}

// rules are the SNAT rules, one a protocol. The same condition serves all:
// two lists cannot be told apart per policy, so exceptions of all policies
// count together and destinations beat them.
func (o *Outbound) rules() []vfp.Rule {
	var rs []vfp.Rule
	add := func(name string, proto uint8, pool *vfp.NATPool) {
		if pool == nil {
			return
		}
		rs = append(rs, vfp.Rule{
			ID:       fmt.Sprintf("SNAT_%s_OUTBOUNDNAT_%s", name, o.To),
			Priority: prioSNAT + uint16(len(rs)),
			Match:    vfp.Match{Protos: []uint8{proto}, Func: o.applies, Note: "destination wants source NAT"},
			Action:   vfp.DynNAT{Pool: pool, To: o.To, ICMP: o.ICMP},
			Idle:     o.Idle, Terminating: true, Stateful: true, Cite: "L2B-21",
		})
	}
	add("TCP", wire.ProtoTCP, o.TCP)
	add("UDP", wire.ProtoUDP, o.UDP)
	if o.ICMP {
		add("ICMP", wire.ProtoICMP, o.ICMPPool)
	}
	return rs
}

// applies is the condition of L2B-21 and L2B-22.
func (o *Outbound) applies(w *vfp.Walk) bool {
	dst := w.H.Dst
	if o.Leave != nil && o.Leave(w) {
		return false
	}
	if w.H.EthDst.IsMulticast() || contains(o.Destinations, dst) {
		return !w.H.EthDst.IsMulticast()
	}
	if !o.Everywhere || contains(o.Exceptions, dst) {
		return false
	}
	return o.Routed == nil || !o.Routed(dst)
}

func contains(ps []netip.Prefix, a netip.Addr) bool {
	for _, p := range ps {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// refuse drops what reaches the endpoint's pool ports without a flow: mapping
// and filtering are address-and-port dependent (rule L2B-25).
func (o *Outbound) refuse() vfp.Rule {
	return vfp.Rule{
		ID: "NAT_NO_MAPPING", Priority: prioRefuse,
		Match:       vfp.Match{Dst: host(o.To)},
		Action:      vfp.Block{Reason: vfp.DropNoMapping},
		Terminating: true, Cite: "L2B-25",
	}
}

// replies remembers flows that begin outside: what answers them is no new
// outbound flow and keeps its addresses (rule VFP-07).
func (o *Outbound) replies() vfp.Rule {
	return vfp.Rule{
		ID: "ALLOW_NAT_IN", Priority: prioReplies, Action: vfp.Allow{}, Idle: o.Idle,
		Terminating: true, Stateful: true, Cite: "VFP-07",
	}
}
