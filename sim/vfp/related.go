package vfp

import "github.com/hnsim/hnsim/sim/wire"

// related lets an ICMP error pass that quotes a packet of a layer flow, as
// replies pass, and translates it (compare rule NAT-53): the address that it is
// for, the quoted packet inside and, when the error comes from the flow's peer
// itself and not from a router on the way, the address that it is from.
//
// The quoted packet went the other way, so the reply to it would have come
// this way: that reply's flow is looked up. The flow is neither refreshed nor
// ended by errors. Their walks are never cached. A quoted header with a wrong
// checksum quotes nothing (NAT-54).
func (p *Port) related(w *Walk, l *layer) bool {
	f := &w.flows
	w.NoCache = true
	if !f.hasQuoted || !f.quoted.ChecksumOK {
		return false
	}
	q := &f.quoted
	answer := tupleOf(&Header{Src: q.Dst, Dst: q.Src, SrcPort: q.DstPort, DstPort: q.SrcPort, Proto: q.Proto})
	key := flowKey{tuple: answer, layer: l.id, dir: w.Dir}
	id, side := p.lookup(w, l, &key, key.tag(), 0)
	if id == noID {
		return false
	}
	before := w.H
	c := p.store.cold(id)
	other := &c.rev
	if side == reverse {
		other = &c.fwd
	}
	// The quoted packet as the far side of the layer knows it has the tuple
	// of the other key: the answer translated and turned round twice.
	var sent Header
	other.load(&sent)
	fromPeer, forSender := w.H.Src == q.Dst, w.H.Dst == q.Src
	if other.tuple != answer.reversed() {
		w.requote(&sent)
	}
	if forSender {
		w.H.Dst = sent.Src
	}
	if fromPeer {
		w.H.Src = sent.Dst
	}
	c.replayRest(w, side)
	if w.Trace != nil {
		w.Trace.flow(w, l, c, TraceRelated, &before)
	}
	return true
}

// requote makes the ICMP error quote a packet with the addresses and ports of
// sent, in a copy of the frame.
func (w *Walk) requote(sent *Header) {
	if w.NewFrame == nil {
		w.NewFrame = append([]byte(nil), w.Frame...)
	}
	frame, m, q := w.NewFrame[w.flows.innerAt:], w.meta(), &w.flows.quoted
	wire.RewriteQuotedSrc(frame, m, q, sent.Src, sent.SrcPort)
	wire.RewriteQuotedDst(frame, m, q, sent.Dst, sent.DstPort)
}
