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
	if in == nil || r.s.noCache {
		for i := from; i < to; i++ {
			r.b.Pkts[i].Parse()
			r.slow(i)
		}
		return
	}
	r.keys(in, from, to)
	c := in.run.vfp.Cache
	frames, bytes := 0, uint64(0)
	for i := from; i < to; i++ {
		if r.s.keys[i].Plain() {
			n, size := r.quick(c, i, to)
			frames, bytes = frames+n, bytes+size
			if i += n; i == to {
				break
			}
			if r.s.keys[i].Plain() {
				r.s.keys[i].Unplain()
				r.b.Pkts[i].Parse()
			}
		}
		r.slow(i)
	}
	if frames > 0 {
		in.run.n.In += uint64(frames)
		in.run.vfp.CountBurst(vfp.Out, uint64(frames), bytes)
	}
	r.flush()
}

// slow takes the i'th packet through the steps one by one.
func (r *run) slow(i int) {
	s, p := r.s, &r.b.Pkts[i]
	if p.Verdict != vfp.Pending {
		return
	}
	r.flush()
	f := transit{now: r.b.Now, sink: r.sink, trace: r.b.Trace, key: &s.keys[i], stable: true}
	s.enter(&f, p)
	s.epoch++
}

// keys computes the cache keys of packets of the port and warms its table.
// Parsing, keys and warming change nothing that decides, so the whole batch may
// do so before its first packet goes on.
func (r *run) keys(in *port, from, to int) {
	c := in.run.vfp.Cache
	pkts, keys := r.b.Pkts[from:to], r.s.keys[from:to]
	plain := 0
	if in.plain && r.b.Trace == nil {
		plain = c.PlainKeys(pkts, keys)
	} else {
		for i := range keys {
			keys[i].Unplain()
		}
	}
	if plain < len(pkts) {
		for i := range keys {
			// The key is that of the frame with its tag, which decides the VLAN.
			if !keys[i].Plain() {
				pkts[i].Parse()
				c.Key(&pkts[i], &keys[i])
			}
		}
	}
	if c.Warm(keys) > 0 {
		in.run.vfp.Expect(keys)
	}
}

// quick finishes plain packets from the i'th on, as far as their outcome is
// known as a whole, and returns how many and of what length they were.
func (r *run) quick(c *vfp.Cache, i, to int) (frames int, bytes uint64) {
	s, b := r.s, r.b
	for {
		n, size, hop := c.Run(b.Pkts[i:to], s.keys[i:to], b.Now, s.gen, s.epoch)
		if n > 0 {
			r.sent(i, i+n)
			i, frames, bytes = i+n, frames+n, bytes+size
		}
		if hop == nil {
			return frames, bytes
		}
		src, dst, ok := s.next.Resolve(b.Now, hop.Dst())
		if !ok {
			return frames, bytes
		}
		hop.Learn(src, dst, s.epoch)
	}
}

// sent notes packets [from:to) that go on, none of which the sink has seen.
func (r *run) sent(from, to int) {
	if r.from == r.to {
		r.from = from
	}
	r.to = to
	dst, id := r.dst, vfp.PortID(0)
	if dst != nil {
		id = dst.cfg.ID
	}
	frames, bytes := r.frames, r.bytes
	pkts := r.b.Pkts[from:to]
	for i := range pkts {
		p := &pkts[i]
		p.OutPort &= maxPortID
		if p.OutPort != id {
			r.frames, r.bytes = frames, bytes
			r.count()
			id, frames, bytes = p.OutPort, 0, 0
			r.dst = r.s.snap.port(id)
		}
		frames++
		bytes += uint64(p.Len())
	}
	r.frames, r.bytes = frames, bytes
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
