package overlay

import (
	"slices"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// IngressPriority is behind load balancing on the external port, which may
// send what comes from outside to an address of an overlay (rule LB-16).
const IngressPriority = 600

// holder is the switch port whose flow the packet answers: it is for a port of
// a SourceVIP or of the node that a flow holds (rules OV-24, L2B-28).
func (n *Network) holder(w *vfp.Walk, frame []byte, m *wire.Meta) (vfp.PortID, bool) {
	if n.cfg.PoolOwner == nil || !n.isCA(w.H.Dst) && !slices.Contains(n.cfg.HostAddrs, w.H.Dst) {
		return 0, false
	}
	proto, port := vfp.NATPort(&w.H, frame, m)
	if port == 0 {
		return 0, false
	}
	id, held := n.cfg.PoolOwner(w.Now, w.H.Dst, proto, port)
	if !held && n.cfg.PoolMayTake != nil && n.cfg.PoolMayTake(w.H.Dst, port) {
		w.NoCache = true // the next flow may take it, and changes no program
	}
	return id, held
}

func (n *Network) heldHere(w *vfp.Walk) bool {
	_, held := n.holder(w, w.Frame, w.Meta)
	return held
}

// toHolder delivers to the port whose layers undo the translation.
type toHolder struct{ n *Network }

func (toHolder) Name() string { return "natdemux" }

func (a toHolder) Apply(w *vfp.Walk) vfp.Outcome {
	id, _ := a.n.holder(w, w.Frame, w.Meta)
	return a.n.toPort(w, id)
}

// toPort sends an answer to the endpoint that holds the port. A flow that came
// from the wire is the external port's: what came from there is looked at next
// by its own layers, and the rest goes out of it.
func (n *Network) toPort(w *vfp.Walk, id vfp.PortID) vfp.Outcome {
	l := n.ports[id]
	switch {
	case l != nil:
		w.H.EthDst, w.H.EthSrc, w.Zone = l.MAC, n.cfg.DRMAC, l.VNI
		w.Fwd = vfp.Forward{Kind: vfp.ToPort, Port: l.Port}
	case id != w.Port:
		w.Fwd = vfp.Forward{Kind: vfp.ToPA}
	}
	return vfp.Continue
}

// IngressLayer returns the external port's layer that takes what a load
// balancer sent to addresses of the networks on to their hosts.
func IngressLayer(nets []*Network) vfp.Layer {
	g := vfp.Group{Name: "VNET_GROUP_INGRESS_OUT", Dir: vfp.Out}
	for i, n := range nets {
		g.Rules = append(g.Rules, vfp.Rule{
			ID: "CA_INGRESS_" + n.cfg.DRMAC.String(), Priority: uint16(i),
			Match:  vfp.Match{EthDst: []wire.MAC{n.cfg.DRMAC}, Func: balancedHere, Note: "balanced to a customer address"},
			Action: routeIn{n}, Terminating: true, Cite: "LB-16",
		})
	}
	return vfp.Layer{Name: "VNET_ENCAP_LAYER", Priority: IngressPriority, Groups: []vfp.Group{g}}
}

// balancedHere: on the external port only load balancing changes a destination,
// of frames that are in no tunnel.
func balancedHere(w *vfp.Walk) bool { return !w.Decap && w.H.Dst.IsValid() && w.H.Dst != w.In.Dst }

// routeIn is routeCA for packets that come from no VSID of their own: they take
// that of the destination.
type routeIn struct{ n *Network }

func (routeIn) Name() string { return "vnetroute" }

func (a routeIn) Apply(w *vfp.Walk) vfp.Outcome {
	for i := range a.n.cfg.Subnets {
		vni := a.n.cfg.Subnets[i].VNI
		if a.n.Routes(vni, w.H.Dst) {
			return routeCA{a.n, vni}.Apply(w)
		}
	}
	w.Drop = vfp.DropNoMapping
	return vfp.Stop
}
