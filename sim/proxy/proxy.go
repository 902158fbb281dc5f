package proxy

import (
	"fmt"
	"net/netip"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// LayerPriority is in front of load balancing: a flow is the proxy's whatever
// its destination stands for.
const LayerPriority = 60

// Redirect sends flows to a proxy.
type Redirect struct {
	To           netip.AddrPort
	Proto        uint8          // 0: TCP and UDP
	Destinations []netip.Prefix // none: all of To's IP version
	Exceptions   []netip.Prefix // destinations that are left alone
}

// Layer is the layer of the port of an endpoint. Flows that begin outside pass
// untouched, answers included. With no redirects there is no layer.
func Layer(rs []Redirect) []vfp.Layer {
	if len(rs) == 0 {
		return nil
	}
	out := vfp.Group{Name: "L4_PROXY_GROUP_OUT", Dir: vfp.Out}
	for i := range rs {
		out.Rules = append(out.Rules, rs[i].rule(i))
	}
	in := vfp.Group{Name: "L4_PROXY_GROUP_IN", Dir: vfp.In, Rules: []vfp.Rule{{
		ID: "L4_PROXY_REPLIES", Action: vfp.Allow{}, Terminating: true, Stateful: true, Cite: "VFP-07",
	}}}
	return []vfp.Layer{{Name: "L4_PROXY_LAYER", Priority: LayerPriority, Reconcile: vfp.KeepWhileRule, Groups: []vfp.Group{out, in}}}
}

func (r *Redirect) rule(i int) vfp.Rule {
	port := r.To.Port()
	protos := []uint8{r.Proto}
	if r.Proto == 0 {
		protos = []uint8{wire.ProtoTCP, wire.ProtoUDP}
	}
	return vfp.Rule{
		ID: fmt.Sprintf("L4_PROXY_%s_%d", r.To, r.Proto), Priority: uint16(i),
		Match:       vfp.Match{Protos: protos, Dst: r.Destinations, Func: r.wants, Note: "no exception of the proxy"},
		Action:      vfp.SetHeaders{Dst: r.To.Addr(), DstPort: &port},
		Terminating: true, Stateful: true, Cite: "PX-01",
	}
}

// wants leaves alone what is for the proxy already, what goes to many, and the
// exceptions.
func (r *Redirect) wants(w *vfp.Walk) bool {
	h := &w.H
	if h.Dst == r.To.Addr() || h.Dst.Is4() != r.To.Addr().Is4() || h.EthDst.IsMulticast() {
		return false
	}
	for _, p := range r.Exceptions {
		if p.Contains(h.Dst) {
			return false
		}
	}
	return true
}
