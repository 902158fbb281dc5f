package vswitch

import (
	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// A plain packet (see package vfp) of a known flow between ports that ask for
// nothing unusual needs no step of its own: what steps 1 to 8 do with it follows
// from the flow, the configuration and the frame's length. The unified entry
// knows all of that, so that one lookup leads from port to port. Everything
// else, and the first packet of a flow, takes the steps one by one.

// plainSource works out whether steps 1 to 4 do with every plain packet of q what
// they did with the first one of its flow. The addresses are part of the flow's
// key, so a forged source has no entry; what looks at the payload, at the time,
// or counts, does not follow from the flow. A setting that a step of the
// pipeline asks about belongs here or in straight.
func (s *snapshot) plainSource(q *port) {
	c := &q.cfg
	wire := c.Kind == ExternalPort
	t, ok := s.assign(q, 0, tag{})
	q.untagged = t
	q.plain = ok && !c.Blocked && (wire || !c.DHCPGuard && !c.MACSpoofing) &&
		c.StormLimit == 0 && !q.hasACL && c.Mirror != MirrorSource && c.Shaper == nil && len(c.Limits) == 0
}

// straight is vfp.Transposition.Straight for a frame that leaves at x after t:
// the longest frame whose step 8 is known now, 0 if there is something to be
// looked at.
func (s *Switch) straight(f *transit, t *vfp.Transposition, x *exit) uint32 {
	dst, vlan := x.dst, f.tag
	switch {
	case t.Drop != vfp.DropNone || !f.in.plain || f.tag != f.in.untagged:
		return 0
	case x.toPA && (s.next == nil || !t.Encapsulates()):
		return 0
	case x.toPA:
		vlan = s.snap.hostTag()
	case x.untag:
		vlan = tag{}
	}
	if _, tagged := dst.egressTag(vlan); tagged || !dst.admits(vlan) {
		return 0
	}
	if dst.hasACL || dst.cfg.Mirror == MirrorSource {
		return 0
	}
	return uint32(dst.mtu + wire.EthernetLen)
}

// run is a batch on its way.
type run struct {
	s     *Switch
	b     *vfp.Batch
	sink  Sink
	burst BurstSink // the same, if it is one

	// Frames of quick packets that the sink has not seen yet, b.Pkts[from:to].
	from, to int
	// What their destination has not counted yet.
	dst    *port
	frames uint64
	bytes  uint64
}

// take processes the packets [from:to) of the batch, which came through the
// port; nil is a port that does not exist.
func (r *run) take(in *port, from, to int) {
	s, b := r.s, r.b
	keys := s.keys[from:to]
	cached := in != nil && !s.noCache
	if cached {
		r.keys(in, from, to)
	} else {
		for i := from; i < to; i++ {
			b.Pkts[i].Parse()
			s.keys[i].Unplain()
		}
	}
	var frames, bytes uint64
	for i := range keys {
		p, k := &b.Pkts[from+i], &keys[i]
		if k.Plain() {
			n := p.Len()
			if r.quick(in, p, k, from+i) {
				frames++
				bytes += uint64(n)
				continue
			}
			k.Unplain()
			p.Parse()
		}
		if p.Verdict != vfp.Pending {
			continue
		}
		r.flush()
		f := transit{now: b.Now, sink: r.sink, trace: b.Trace, key: k, stable: true}
		s.enter(&f, p)
		s.epoch++
	}
	r.flush()
	if frames > 0 {
		in.run.n.In += frames
		in.run.vfp.CountBurst(vfp.Out, frames, bytes)
	}
}

// keys computes the cache keys of packets of the port and warms its table.
// Parsing, keys and warming change nothing that decides, so the whole batch may
// do so before its first packet goes on.
func (r *run) keys(in *port, from, to int) {
	c := in.run.vfp.Cache
	plain := in.plain && r.b.Trace == nil
	for i := from; i < to; i++ {
		p, k := &r.b.Pkts[i], &r.s.keys[i]
		if plain && p.Verdict == vfp.Pending && c.PlainKey(p, k) {
			continue
		}
		// The key is that of the frame with its tag, which decides the VLAN.
		p.Parse()
		c.Key(p, k)
	}
	c.Warm(r.s.keys[from:to])
	in.run.vfp.Expect(r.s.keys[from:to])
}

// quick finishes a plain packet, the i'th of the batch, if its outcome is known
// as a whole.
func (r *run) quick(in *port, p *vfp.Packet, k *vfp.Key, i int) bool {
	s, c := r.s, in.run.vfp.Cache
	e := c.Quick(k, p, r.b.Now, s.gen)
	if e == nil {
		return false
	}
	out := e.Out()
	dst := s.snap.port(out & maxPortID)
	if out&outToPA != 0 {
		hop := s.hop(e, r.b.Now)
		if hop == nil {
			return false
		}
		c.Carry(e, k, p, r.b.Now)
		p.SetHop(hop)
	} else {
		c.Carry(e, k, p, r.b.Now)
	}
	p.Verdict, p.OutPort = vfp.Delivered, dst.cfg.ID
	if dst != r.dst || i != r.to {
		r.turn(dst, i)
	}
	r.frames++
	r.bytes += uint64(p.Len())
	r.to = i + 1
	return true
}

// hop is the next hop of an entry's tunnel, nil while it is being resolved.
func (s *Switch) hop(e *vfp.Entry, now int64) *vfp.Hop {
	h, pa := e.Tunnel()
	if h.Epoch == s.epoch {
		return h
	}
	src, dst, ok := s.next.Resolve(now, pa)
	if !ok {
		return nil
	}
	*h = vfp.Hop{Src: src, Dst: dst, Epoch: s.epoch}
	return h
}

// turn goes on to another destination, or to a packet that does not follow the
// last one.
func (r *run) turn(dst *port, i int) {
	if i != r.to {
		r.flush()
		r.from = i
	}
	r.count()
	r.dst = dst
}

// count lets the destination count what it got.
func (r *run) count() {
	if r.frames > 0 {
		r.dst.run.n.Out += r.frames
		r.dst.run.vfp.CountBurst(vfp.In, r.frames, r.bytes)
	}
	r.frames, r.bytes = 0, 0
}

// flush hands over what the sink has not seen.
func (r *run) flush() {
	if r.from == r.to {
		return
	}
	r.count()
	pkts := r.b.Pkts[r.from:r.to]
	r.from = r.to
	if r.burst != nil {
		r.burst.Burst(r.b.Now, pkts)
	} else {
		for i := range pkts {
			r.sink.Deliver(r.b.Now, pkts[i].OutPort, &pkts[i])
		}
	}
	r.s.epoch++
}
