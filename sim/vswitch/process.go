package vswitch

import (
	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// transit is a frame on its way through the switch.
type transit struct {
	now   int64
	sink  Sink
	trace *vfp.Trace
	key   *vfp.Key // of the entering frame in in's cache

	in     *port
	tag    tag  // valid after VLAN ingress
	stable bool // nothing decided so far was learned or would differ for the next frame

	size    int // of the entering frame, bytes
	shaper  Shaper
	shaped  bool  // the shaper has been asked, once for all copies
	at      int64 // when the frame may leave; valid if shaped
	refused bool  // never
}

// Process takes a batch of frames through the pipeline of contract section 1.
// Every packet has InPort set and nothing decided; afterwards each has a
// verdict, and the sink has seen everything that left or was dropped. The
// result does not depend on how frames are grouped into batches. Packets and
// sink are used during the call only.
func (s *Switch) Process(b *vfp.Batch, sink Sink) { s.ProcessPart(b, 0, b.N, sink) }

// ProcessPart is Process of the packets [from:end) of a batch.
func (s *Switch) ProcessPart(b *vfp.Batch, from, end int, sink Sink) {
	s.epoch++
	burst, _ := sink.(BurstSink)
	r := run{s: s, b: b, sink: sink, burst: burst, from: from, to: from}
	for from < end {
		id, to := b.Pkts[from].InPort, from+1
		for to < end && b.Pkts[to].InPort == id {
			to++
		}
		r.take(s.snap.port(id), from, to)
		from = to
	}
}

// enter is steps 1 to 4 and what follows for one packet.
func (s *Switch) enter(f *transit, p *vfp.Packet) {
	in := s.snap.port(p.InPort)
	if in == nil {
		s.dropNowhere(f, p)
		return
	}
	f.in, f.size = in, p.Len()
	in.run.n.In++
	in.run.vfp.Count(vfp.Out, p.Len())
	if r := s.admit(f, p); r != vfp.DropNone {
		s.drop(f, in, p, r)
		return
	}
	f.shaper = in.cfg.shaperOf(p)
	if in.cfg.Mirror == MirrorSource {
		s.mirrored(f, p)
	}
	if !in.permits(f.now, p, vfp.Out, f.tag.vid) {
		s.drop(f, in, p, vfp.DropPortAcl)
		return
	}
	if reservedMulticast(wire.Ethernet(p.Bytes()).Dst()) {
		s.drop(f, in, p, vfp.DropReservedMulticast)
		return
	}
	if !s.cached(f, p) {
		s.slow(f, p)
	}
}

// admit is steps 1 to 3: port state, port security, VLAN ingress.
func (s *Switch) admit(f *transit, p *vfp.Packet) vfp.Drop {
	in := f.in
	if in.cfg.Blocked {
		return vfp.DropPortBlocked
	}
	// What is shorter than its Ethernet header has no addresses to go by.
	if !wire.Ethernet(p.Bytes()).IsValid() {
		return vfp.DropMalformed
	}
	if r := in.secure(p); r != vfp.DropNone {
		return r
	}
	if limit := in.cfg.StormLimit; limit > 0 && s.storms(f, p) && !in.run.storm.accept(f.now, limit) {
		return vfp.DropStormLimit
	}
	t, ok := s.snap.ingress(in, p)
	if !ok {
		return vfp.DropVlanMismatch
	}
	f.tag = t
	if in.cfg.MACSpoofing && in.cfg.Kind != ExternalPort {
		s.macs.learn(f.now, in, wire.Ethernet(p.Bytes()).Src())
	}
	return vfp.DropNone
}

// storms reports whether the frame counts for the storm limit: broadcast,
// multicast and unknown unicast (rule VS-23). The limit is in front of the
// VLAN, so an address is known here if any port of the domain has it.
func (s *Switch) storms(f *transit, p *vfp.Packet) bool {
	dst := wire.Ethernet(p.Bytes()).Dst()
	if dst.IsMulticast() {
		return true
	}
	dom := domainOf(f.in, f.in.cfg.Zone)
	for _, q := range s.snap.static[dst] {
		if dom.holds(q) {
			return false
		}
	}
	for _, q := range s.snap.spoofing {
		if id, ok := s.macs.find(f.now, q.cfg.Zone, dst); ok && id == q.cfg.ID && dom.holds(q) {
			return false
		}
	}
	return true
}

// slow is steps 5 to 8 without the cache.
func (s *Switch) slow(f *transit, p *vfp.Packet) {
	w := &s.walk
	w.Begin(f.now, p, f.in.cfg.Zone, f.trace)
	if !s.layers(f, f.in, p, w, vfp.Out) {
		return
	}
	q := question{now: f.now, in: f.in, dom: domainOf(f.in, w.Zone), tag: f.tag, dst: w.H.EthDst}
	if w.Decap {
		q.tag = tag{} // the VLAN was that of the outer frame
	}
	d := s.decide(w, &q)
	f.stable = f.stable && d.stable
	if f.trace != nil {
		s.traceDecision(f, p, w, &d)
	}
	switch {
	case d.drop != vfp.DropNone:
		s.drop(f, f.in, p, d.drop)
	case d.who == onePort:
		s.one(f, p, w, &q, &d)
	default:
		s.flood(f, p, w, &q, &d)
	}
}

// layers walks p through q's layers and reports whether it goes on. If not it
// has been dropped at q, or answered.
func (s *Switch) layers(f *transit, q *port, p *vfp.Packet, w *vfp.Walk, dir vfp.Dir) bool {
	if q.noPolicy {
		return true
	}
	// Rules see a broken IP packet as no IP packet at all; it must not slip
	// past them on that account.
	if h := &w.H; !h.Src.IsValid() && (h.EtherType == wire.EtherTypeIPv4 || h.EtherType == wire.EtherTypeIPv6) {
		s.drop(f, q, p, vfp.DropMalformed)
		return false
	}
	outcome := q.run.vfp.Walk(w, dir)
	answered := len(w.Replies) > 0
	s.reply(f, p, w)
	f.stable = f.stable && !answered
	switch {
	case outcome == vfp.Continue:
		return true
	case w.Drop != vfp.DropNone:
		t := vfp.Diff(w)
		s.install(f, w, &t, &exit{dst: q})
		s.dropWalked(f, q, p, w.Drop)
	default:
		s.consume(f, p)
	}
	return false
}

// one is steps 7 and 8 for a frame with one destination.
func (s *Switch) one(f *transit, p *vfp.Packet, w *vfp.Walk, q *question, d *decision) {
	dst := d.port
	if dst.cfg.Blocked {
		s.drop(f, dst, p, vfp.DropPortBlocked)
		return
	}
	q.dom.settle(w, dst)
	if !s.layers(f, dst, p, w, vfp.In) {
		return
	}
	if len(w.Copies) > 0 {
		s.replicate(f, p, w)
	}
	x := exitFor(w, dst)
	x.toPA = d.toPA
	t := vfp.Diff(w)
	s.install(f, w, &t, &x)
	s.finish(f, p, &x, w.Commit(p, &t))
}

// flood is steps 7 and 8 for every port of the audience, in order of port ids.
// Each gets a copy of its own, and of the walk too, as every destination's
// layers start from the same state.
func (s *Switch) flood(f *transit, p *vfp.Packet, w *vfp.Walk, q *question, d *decision) {
	copies := 0
	for _, dst := range s.snap.ports {
		if !q.includes(d.who, dst) {
			continue
		}
		copies++
		f.in.run.n.Copies++
		c := &s.frame
		copyPacket(c, p)
		if dst.cfg.Blocked {
			s.drop(f, dst, c, vfp.DropPortBlocked)
			continue
		}
		s.copied = *w
		cw := &s.copied
		q.dom.settle(cw, dst)
		if !s.layers(f, dst, c, cw, vfp.In) {
			continue
		}
		x := exitFor(cw, dst)
		t := vfp.Diff(cw)
		s.finish(f, c, &x, cw.Commit(c, &t))
	}
	copies += s.replicate(f, p, w)
	if copies == 0 && d.none != vfp.DropNone {
		s.drop(f, f.in, p, d.none)
		return
	}
	s.consume(f, p)
}

// replicate sends the copies of a frame that layers asked for (rules OV-11,
// SDN-07, SDN-12), before the frame itself changes.
func (s *Switch) replicate(f *transit, p *vfp.Packet, w *vfp.Walk) int {
	for i := range w.Copies {
		e := &w.Copies[i]
		c := &s.frame
		copyPacket(c, p)
		s.copied = *w
		cw := &s.copied
		cw.H, cw.Encap, cw.Fwd, cw.DecTTL, cw.NewFrame, cw.Copies = e.H, e.Encap, e.Fwd, 0, nil, nil
		if e.Zone != 0 {
			cw.Zone = e.Zone
		}
		f.in.run.n.Copies++
		q := question{now: f.now, in: f.in, dom: domainOf(f.in, cw.Zone), tag: f.tag, dst: cw.H.EthDst}
		d := s.decide(cw, &q)
		switch {
		case d.drop != vfp.DropNone:
			s.drop(f, f.in, c, d.drop)
			continue
		case d.port.cfg.Blocked:
			s.drop(f, d.port, c, vfp.DropPortBlocked)
			continue
		}
		q.dom.settle(cw, d.port)
		if !e.Raw && !s.layers(f, d.port, c, cw, vfp.In) {
			continue
		}
		x := exitFor(cw, d.port)
		x.toPA = d.toPA
		t := vfp.Diff(cw)
		s.finish(f, c, &x, cw.Commit(c, &t))
	}
	return len(w.Copies)
}

// finish sends a frame to its exit after its headers have been changed, unless
// that found it undeliverable.
func (s *Switch) finish(f *transit, p *vfp.Packet, x *exit, r vfp.Drop) {
	if r != vfp.DropNone {
		s.drop(f, x.dst, p, r)
		return
	}
	s.leave(f, p, x)
}

// consume ends a packet that was answered or replaced by its copies.
func (s *Switch) consume(f *transit, p *vfp.Packet) {
	f.in.run.n.Consumed++
	p.Verdict = vfp.Consumed
}

// drop ends a packet at q.
func (s *Switch) drop(f *transit, q *port, p *vfp.Packet, r vfp.Drop) {
	q.run.vfp.CountDrop(r)
	if f.trace != nil {
		s.traceDrop(f, q, p, r)
	}
	s.dropWalked(f, q, p, r)
}

// dropWalked ends a packet that a layer dropped at q; vfp has counted and
// traced that.
func (s *Switch) dropWalked(f *transit, q *port, p *vfp.Packet, r vfp.Drop) {
	q.run.n.Drops[r]++
	if q == f.in {
		q.run.n.SentDrop++
	}
	p.DropWith(r)
	f.sink.Dropped(f.now, q.cfg.ID, p)
}

// dropNowhere ends a packet of a port that does not exist: it went while the
// frame was on its way.
func (s *Switch) dropNowhere(f *transit, p *vfp.Packet) {
	s.gone.In++
	s.gone.Drops[vfp.DropPortBlocked]++
	s.gone.SentDrop++
	p.DropWith(vfp.DropPortBlocked)
	f.sink.Dropped(f.now, p.InPort, p)
}

// copyPacket makes dst a copy of src that is still on its way.
func copyPacket(dst, src *vfp.Packet) {
	dst.Reset(src.Bytes())
	dst.Meta, dst.ID, dst.InPort = src.Meta, src.ID, src.InPort
}
