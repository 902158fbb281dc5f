package hns

import (
	"net/netip"

	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// routesTransparent reports whether the host routes between the subnets of its
// transparent networks: knob transparentCrossSubnet, deviation D-17. The host
// has no leg in a VLAN, so containers in one use the physical gateway anyway.
func (x *external) routesTransparent(n *Network, e *Endpoint) bool {
	return n.Type == hcn.Transparent && x.c.Profile.Knobs.TransparentCrossRoute == "host" && vlan(n, e) == 0
}

// routeByHost is the layer that takes what a container sends beyond its own
// subnet to the host instead of the gateway, which forwards it with its own MAC
// (rule TR-05). What comes back is not routed: the wire knows the container's
// MAC.
func (x *external) routeByHost(n *Network, e *Endpoint) []vfp.Layer {
	sub := subnetOf(n, e)
	if !x.routesTransparent(n, e) || sub == nil || !sub.Prefix.Addr().Is4() {
		return nil
	}
	return []vfp.Layer{{Name: "TRANSPARENT_ROUTE_LAYER", Priority: 300, Groups: []vfp.Group{{
		Name: "TRANSPARENT_ROUTE_IPV4_OUT", Dir: vfp.Out, Family: vfp.IPv4, Priority: 100, Rules: []vfp.Rule{
			{ID: "ON_LINK", Priority: 100, Match: vfp.Match{Dst: []netip.Prefix{sub.Prefix.Masked()}}, Action: vfp.Allow{}, Cite: "TR-05"},
			{ID: "BY_HOST", Priority: 200, Action: byHost{x.a.MAC}, Cite: "TR-05"},
		},
	}}}}
}

// forwardsTransparent reports whether any container of the switch is routed by
// the host, so that it has to forward.
func (x *external) forwardsTransparent() bool {
	for _, n := range x.s.Networks {
		if n.Uplink != x.a.Name {
			continue
		}
		for _, e := range x.locals(n) {
			if x.routesTransparent(n, e) {
				return true
			}
		}
	}
	return false
}

// byHost hands a unicast packet to the host's stack.
type byHost struct{ mac wire.MAC }

func (byHost) Name() string { return "route" }

func (a byHost) Apply(w *vfp.Walk) vfp.Outcome {
	if w.H.EthDst.IsMulticast() {
		return vfp.Continue
	}
	w.H.EthDst = a.mac
	w.Fwd = vfp.Forward{Kind: vfp.ToHost}
	return vfp.Continue
}
