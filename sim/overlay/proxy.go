package overlay

import (
	"net/netip"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// neighbour answers for an address in vni: the DR MAC for the gateway, the
// endpoint's own for a known address of the same subnet (rule OV-10).
func (n *Network) neighbour(vni uint32, addr netip.Addr) (wire.MAC, bool) {
	if _, ok := n.gateway(vni, addr); ok {
		return n.cfg.DRMAC, true
	}
	if l := n.local[ca{vni, addr}]; l != nil {
		return l.MAC, true
	}
	if r := n.remote[ca{vni, addr}]; r != nil {
		return r.MAC, true
	}
	return wire.MAC{}, false
}

// arpRequest returns the request that the walk's frame holds.
func arpRequest(w *vfp.Walk) (wire.ARP, bool) {
	arp, ok := wire.ARPOf(w.Frame, w.Meta)
	return arp, ok && arp.Op() == wire.ARPRequest
}

// arpProxy suppresses ARP on an overlay port: it answers what it knows and
// lets nothing reach the underlay (rule OV-10).
type arpProxy struct {
	n   *Network
	vni uint32
}

func (arpProxy) Name() string { return "arpproxy" }

func (a arpProxy) Apply(w *vfp.Walk) vfp.Outcome {
	w.NoCache = true
	w.Drop = vfp.DropNoMapping
	arp, ok := arpRequest(w)
	if !ok {
		return vfp.Stop
	}
	if arp.TargetIP() == arp.SenderIP() {
		return vfp.Stop // gratuitous: everybody here is programmed
	}
	mac, ok := a.n.neighbour(a.vni, arp.TargetAddr())
	if !ok {
		return vfp.Stop
	}
	w.Drop = vfp.DropNone
	w.Replies = append(w.Replies, arp.Answer(mac))
	return vfp.Stop
}

// hostARP answers the host for its own pods (rule OV-22).
type hostARP struct{ n *Network }

func (hostARP) Name() string { return "arpproxy" }

func (a hostARP) Apply(w *vfp.Walk) vfp.Outcome {
	w.NoCache = true
	arp, _ := arpRequest(w)
	w.Replies = append(w.Replies, arp.Answer(a.n.cfg.DRMAC))
	return vfp.Stop
}

// isSolicitation reports a neighbour solicitation; ICMPv6 types are not part
// of the flow key, so neither outcome may be cached.
func isSolicitation(w *vfp.Walk) bool {
	return w.Meta != nil && w.Meta.ICMPType == wire.ICMP6NeighborSol
}

// ndProxy is arpProxy for IPv6.
type ndProxy struct {
	n   *Network
	vni uint32
}

func (ndProxy) Name() string { return "ndproxy" }

func (a ndProxy) Apply(w *vfp.Walk) vfp.Outcome {
	w.NoCache = true
	w.Drop = vfp.DropNoMapping
	target, ok := wire.SolicitTarget(w.Frame, w.Meta)
	if !ok {
		return vfp.Stop
	}
	mac, ok := a.n.neighbour(a.vni, target)
	if !ok {
		return vfp.Stop
	}
	if reply := wire.AnswerSolicitation(w.Frame, w.Meta, mac); reply != nil {
		w.Drop = vfp.DropNone
		w.Replies = append(w.Replies, reply)
	}
	return vfp.Stop
}
