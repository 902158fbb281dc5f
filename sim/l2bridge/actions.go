package l2bridge

import (
	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// demux delivers a frame from the wire to the endpoint that owns its address
// (rule L2B-03); the source MAC stays.
type demux struct{ b *Bridge }

func (demux) Name() string { return "demux" }

func (a demux) Apply(w *vfp.Walk) vfp.Outcome {
	a.b.to(w, a.b.byAddr[w.H.Dst])
	return vfp.Continue
}

func (b *Bridge) to(w *vfp.Walk, e *Endpoint) {
	w.H.EthDst, w.Zone = e.MAC, e.Zone
	w.Fwd = vfp.Forward{Kind: vfp.ToPort, Port: e.Port}
}

// demuxPool delivers to the endpoint that holds the NAT port; the endpoint's
// own NAT layer undoes the translation or refuses.
type demuxPool struct{ b *Bridge }

func (demuxPool) Name() string { return "natdemux" }

func (a demuxPool) Apply(w *vfp.Walk) vfp.Outcome {
	a.b.to(w, a.b.poolPort(w))
	return vfp.Continue
}

// uncached lets a packet go on; the next one of its flow is looked at anew.
type uncached struct{}

func (uncached) Name() string { return "uncached" }

func (uncached) Apply(w *vfp.Walk) vfp.Outcome {
	w.NoCache = true
	return vfp.Continue
}

// viaHostNIC sends a translated packet through the host's neighbour table.
type viaHostNIC struct{}

func (viaHostNIC) Name() string { return "paroute" }

func (viaHostNIC) Apply(w *vfp.Walk) vfp.Outcome {
	w.Fwd = vfp.Forward{Kind: vfp.ToPA}
	return vfp.Continue
}

// viaHost hands the packet to the host's stack (rule L2B-29).
type viaHost struct{ mac wire.MAC }

func (viaHost) Name() string { return "sdnroute" }

func (a viaHost) Apply(w *vfp.Walk) vfp.Outcome {
	if w.Fwd.Kind != vfp.ByMAC {
		return vfp.Continue // steered to a backend already (rule LB-11)
	}
	w.H.EthDst = a.mac
	w.Fwd = vfp.Forward{Kind: vfp.ToHost}
	return vfp.Continue
}

// toWire is l2tunnel: nothing is delivered without having been on the wire
// (rules L2T-01, L2T-03, L2T-04).
type toWire struct{}

func (toWire) Name() string { return "towire" }

func (toWire) Apply(w *vfp.Walk) vfp.Outcome {
	w.Fwd = vfp.Forward{Kind: vfp.ToWire}
	return vfp.Continue
}

func arpOf(w *vfp.Walk) (wire.ARP, bool) { return wire.ARPOf(w.Frame, w.Meta) }

// rewriteARP replaces the sender's MAC in both places (rule L2B-02), or peers
// would learn the container's and replies would be lost.
type rewriteARP struct{ b *Bridge }

func (rewriteARP) Name() string { return "arprewrite" }

func (a rewriteARP) Apply(w *vfp.Walk) vfp.Outcome {
	w.NoCache = true
	w.H.EthSrc = a.b.cfg.HostMAC
	if _, ok := arpOf(w); !ok {
		return vfp.Continue
	}
	frame := append([]byte(nil), w.Frame...)
	wire.Ethernet(frame).SetSrc(a.b.cfg.HostMAC)
	wire.ARP(frame[w.Meta.L3:]).SetSenderMAC(a.b.cfg.HostMAC)
	w.NewFrame = frame
	return vfp.Continue
}

func (b *Bridge) arpAsksForUs(w *vfp.Walk) bool {
	arp, ok := arpOf(w)
	return ok && arp.Op() == wire.ARPRequest && b.byAddr[arp.TargetAddr()] != nil && arp.SenderAddr() != arp.TargetAddr()
}

func (b *Bridge) arpForUs(w *vfp.Walk) bool {
	arp, ok := arpOf(w)
	return ok && b.byAddr[arp.TargetAddr()] != nil
}

// answerARP replies with the host's MAC without involving the container
// (rule L2B-04).
type answerARP struct{ b *Bridge }

func (answerARP) Name() string { return "arpproxy" }

func (a answerARP) Apply(w *vfp.Walk) vfp.Outcome {
	w.NoCache = true
	arp, _ := arpOf(w)
	w.Replies = append(w.Replies, arp.Answer(a.b.cfg.HostMAC))
	return vfp.Stop
}

// demuxARP gives an ARP packet that was sent to the host's MAC to the
// endpoint that it is about, with the endpoint's MAC inside.
type demuxARP struct{ b *Bridge }

func (demuxARP) Name() string { return "arpdemux" }

func (a demuxARP) Apply(w *vfp.Walk) vfp.Outcome {
	w.NoCache = true
	arp, _ := arpOf(w)
	e := a.b.byAddr[arp.TargetAddr()]
	a.b.to(w, e)
	frame := append([]byte(nil), w.Frame...)
	wire.Ethernet(frame).SetDst(e.MAC)
	if arp.Op() == wire.ARPReply {
		wire.ARP(frame[w.Meta.L3:]).SetTargetMAC(e.MAC)
	}
	w.NewFrame = frame
	return vfp.Continue
}

func isND(w *vfp.Walk) bool {
	if w.Meta == nil {
		return false
	}
	t := w.Meta.ICMPType
	return t == wire.ICMP6NeighborSol || t == wire.ICMP6NeighborAdv || t == wire.ICMP6RouterSol
}

func (b *Bridge) ndAsksForUs(w *vfp.Walk) bool {
	if w.Meta == nil || w.Meta.ICMPType != wire.ICMP6NeighborSol {
		return false
	}
	target, ok := wire.SolicitTarget(w.Frame, w.Meta)
	return ok && b.byAddr[target] != nil
}

// answerND is answerARP for IPv6.
type answerND struct{ b *Bridge }

func (answerND) Name() string { return "ndproxy" }

func (a answerND) Apply(w *vfp.Walk) vfp.Outcome {
	w.NoCache = true
	reply := wire.AnswerSolicitation(w.Frame, w.Meta, a.b.cfg.HostMAC)
	if reply == nil {
		w.Drop = vfp.DropMalformed
		return vfp.Stop
	}
	w.Replies = append(w.Replies, reply)
	return vfp.Stop
}

// rewriteND is rewriteARP for IPv6: the link-layer address options (rule
// L2B-02).
type rewriteND struct{ b *Bridge }

func (rewriteND) Name() string { return "ndrewrite" }

func (a rewriteND) Apply(w *vfp.Walk) vfp.Outcome {
	w.NoCache = true
	w.H.EthSrc = a.b.cfg.HostMAC
	frame := append([]byte(nil), w.Frame...)
	wire.Ethernet(frame).SetSrc(a.b.cfg.HostMAC)
	wire.SetNDLinkAddr(frame, w.Meta, a.b.cfg.HostMAC)
	w.NewFrame = frame
	return vfp.Continue
}
