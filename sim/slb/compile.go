package slb

import (
	"fmt"
	"net/netip"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// The places of the layers in a port's pipeline (contract section 1, step 5).
const (
	// LayerPriority is in front of the ACLs on the way out, so that they see
	// the backend's address in either direction (rule ACL-09).
	LayerPriority = 100
	// NATPriority is behind the ACLs, which see the pod's address, and behind
	// outbound NAT, whose pool ports must not be tried for these replies.
	NATPriority = 310
	// WirePriority is behind decapsulation: replies of backends on other hosts
	// may come in a tunnel.
	WirePriority = 500
	// ReturnPriority sends back to the wire what came from there and nobody
	// has taken since: an overlay may, at 600.
	ReturnPriority = 610
)

// Rule priorities inside a group.
const (
	prioBalance = 100
	prioRefuse  = 200
)

// Lost reports whether a packet is for a port of a load balancer's pool that
// no flow holds.
type Lost func(*vfp.Walk) bool

// ClientLayers are the layers of the port of an endpoint whose network has
// the frontends fs. lost may be nil.
func ClientLayers(fs []Frontend, lost Lost) []vfp.Layer {
	var dsr, plain []Frontend
	for _, f := range fs {
		switch {
		case f.PreserveDIP:
			dsr = append(dsr, f.locals())
		case f.DSR:
			dsr = append(dsr, f)
		default:
			plain = append(plain, f)
		}
	}
	var ls []vfp.Layer
	ls = appendLayer(ls, names{"LB_DSR", "LB_DSR_%s_OUT", "LB_DSR"}, LayerPriority, atClient, dsr)
	ls = appendLayer(ls, names{"SLB_LB_LAYER", "SLB_GROUP_LB_%s_OUT", "LB"}, LayerPriority+10, atClient, plain)
	if len(plain) > 0 {
		ls = append(ls, natLayer(plain, lost))
	}
	return ls
}

// Wire is what the external port's layers depend on beside the frontends.
type Wire struct {
	MACs []wire.MAC // of this host: other frames are for others, whatever address they carry
	Lost Lost       // may be nil
	// NeedLocal: without a backend on this host a frontend does not exist here
	// (rule LB-13).
	NeedLocal bool
}

// WireLayers are the layers of the external port. With DSR only backends on
// this host count, and without one there the frontend does not exist on this
// node (rule LB-12, bug B-19).
func WireLayers(fs []Frontend, on Wire) []vfp.Layer {
	var at []Frontend
	for _, f := range fs {
		l := f.locals()
		switch {
		case f.DSR || f.PreserveDIP:
			at = append(at, l)
		case !on.NeedLocal || len(l.Backends) > 0:
			at = append(at, f)
		}
	}
	ls := appendLayer(nil, names{"SLB_LB_LAYER", "SLB_GROUP_LB_%s_OUT", "LB"}, WirePriority, atWire, at)
	if len(ls) == 0 {
		return nil
	}
	restrict(ls, func(m *vfp.Match) { m.EthDst = on.MACs })
	if on.Lost != nil {
		ls[0].Groups = append(ls[0].Groups, refuseGroup(on.Lost))
	}
	return append(ls, vfp.Layer{Name: "SLB_HAIRPIN_LAYER", Priority: ReturnPriority, Groups: []vfp.Group{{
		Name: "SLB_GROUP_HAIRPIN_OUT", Dir: vfp.Out, Rules: []vfp.Rule{{
			ID: "HairPin", Match: vfp.Match{Func: answered, Note: "answer of a backend on another host"},
			Action: turnBack{}, Terminating: true, Cite: "LB-16",
		}},
	}}})
}

// HostLayers are the layers of the host port, for what the node sends from its
// own addresses: what it merely forwards is not its own (rule LB-12). The
// source is kept: it is the node's already (D-15).
func HostLayers(fs []Frontend, node []netip.Prefix) []vfp.Layer {
	var at []Frontend
	for _, f := range fs {
		var reach []Backend
		for _, b := range f.Backends {
			if b.local() || b.Router.IsZero() {
				reach = append(reach, b)
			}
		}
		f.Backends = reach
		if f.PreserveDIP {
			f = f.locals()
		}
		at = append(at, f)
	}
	ls := appendLayer(nil, names{"LB", "LB_%s_OUT", "LB_HOST"}, LayerPriority, atHost, at)
	restrict(ls, func(m *vfp.Match) { m.Src = node })
	return ls
}

// restrict adds a condition to all rules.
func restrict(ls []vfp.Layer, add func(*vfp.Match)) {
	for _, l := range ls {
		for _, g := range l.Groups {
			for i := range g.Rules {
				add(&g.Rules[i].Match)
			}
		}
	}
}

// names are those that the layers of real ports have (contract section 1).
type names struct{ layer, group, rule string }

func appendLayer(ls []vfp.Layer, n names, priority uint16, at place, fs []Frontend) []vfp.Layer {
	l := vfp.Layer{Name: n.layer, Priority: priority, Reconcile: vfp.KeepWhileRule}
	for _, v := range []struct {
		name   string
		family vfp.Family
	}{{"IPv4", vfp.IPv4}, {"IPv6", vfp.IPv6}} {
		g := vfp.Group{Name: fmt.Sprintf(n.group, v.name), Dir: vfp.Out, Family: v.family}
		for _, f := range fs {
			if f.VIP.Is4() == (v.family == vfp.IPv4) && len(f.Backends)+len(f.Draining) > 0 {
				g.Rules = append(g.Rules, f.rule(n.rule, at))
			}
		}
		if len(g.Rules) > 0 {
			l.Groups = append(l.Groups, g)
		}
	}
	if len(l.Groups) == 0 {
		return ls
	}
	return append(ls, l)
}

func (f Frontend) rule(prefix string, at place) vfp.Rule {
	id := fmt.Sprintf("%s_%s_%s_%s_%d_%d_%d", prefix, f.ID, f.Node, f.VIP, f.Port, f.Internal, f.Proto)
	b := &balance{f: f, at: at}
	r := vfp.Rule{
		ID: id, Priority: prioBalance, Action: b, Terminating: true, Stateful: true, Cite: f.cite(at),
		Match: vfp.Match{
			Protos: []uint8{f.Proto}, Dst: []netip.Prefix{netip.PrefixFrom(f.VIP, f.VIP.BitLen())},
			DstPorts: []vfp.PortRange{{Lo: f.Port, Hi: f.Port}},
			// A rule without backends stands for the flows of those that are
			// draining (rules LB-08, LB-09).
			Never: len(f.Backends) == 0,
		},
	}
	for _, be := range f.Backends {
		b.targets = append(b.targets, id+"#"+be.Addr.String())
	}
	r.Targets = append(r.Targets, b.targets...)
	for _, a := range f.Draining {
		r.Targets = append(r.Targets, id+"#"+a.String())
	}
	return r
}

func (f *Frontend) cite(at place) string {
	switch {
	case f.PreserveDIP:
		return "LB-11"
	case at == atHost:
		return "LB-14"
	case f.DSR && at == atWire:
		return "LB-12"
	case f.DSR:
		return "LB-03"
	case at == atWire:
		return "LB-16"
	}
	return "LB-02"
}

// natLayer gives balanced packets their source (rule LB-02).
func natLayer(fs []Frontend, lost Lost) vfp.Layer {
	s := newSourceNAT(fs)
	l := vfp.Layer{Name: "SLB_LB_NAT_LAYER", Priority: NATPriority, Reconcile: vfp.KeepWhileRule,
		Groups: []vfp.Group{{Name: "SLB_GROUP_LB_NAT_OUT", Dir: vfp.Out, Rules: []vfp.Rule{{
			ID: "SNAT_LB", Priority: prioBalance, Match: vfp.Match{Func: s.balanced, Note: "balanced, no DSR"},
			Action: s, Terminating: true, Stateful: true, Targets: s.names(fs), Cite: "LB-02",
		}}}}}
	if lost != nil {
		l.Groups = append(l.Groups, refuseGroup(lost))
	}
	return l
}

func newSourceNAT(fs []Frontend) *sourceNAT {
	s := &sourceNAT{by: map[key]*Frontend{}, targets: map[key]string{}}
	for i := range fs {
		s.by[fs[i].key()] = &fs[i]
		s.targets[fs[i].key()] = "SNAT_LB_" + fs[i].ID
	}
	return s
}

// names are the targets of the rule, in order of the frontends.
func (s *sourceNAT) names(fs []Frontend) []string {
	var out []string
	for i := range fs {
		out = append(out, s.targets[fs[i].key()])
	}
	return out
}

// Leave tells outbound NAT which packets of a client are not its business
// (rule L2B-27): those that NATPriority translates, and those that are steered
// as they are. It is nil when there are none.
func Leave(fs []Frontend) func(*vfp.Walk) bool {
	var plain []Frontend
	steers := false
	for _, f := range fs {
		switch {
		case f.PreserveDIP:
			steers = true
		case !f.DSR:
			plain = append(plain, f)
		}
	}
	if len(plain) == 0 && !steers {
		return nil
	}
	s := newSourceNAT(plain)
	return func(w *vfp.Walk) bool { return w.Fwd.Kind != vfp.ByMAC || s.balanced(w) }
}

func refuseGroup(lost Lost) vfp.Group {
	return vfp.Group{Name: "SLB_GROUP_LB_LOST_OUT", Dir: vfp.Out, Priority: prioRefuse, Rules: []vfp.Rule{{
		ID: "LB_NO_MAPPING", Match: vfp.Match{Func: lost, Note: "port of a load balancer that no flow holds"},
		Action: refuse{}, Terminating: true, Cite: "L2B-25",
	}}}
}
