package vswitch

import (
	"github.com/hnsim/hnsim/sim/vfp"
)

// The unified flow cache spans steps 5 to 7: an entry at the source port holds
// the header change of both ports' layers and the forwarding decision between
// them. The steps around it depend on more than the flow (the clock, the
// length, neighbours, state of their own) and run for every frame, through the
// same code.
//
// An entry's Transposition.Out is the destination's port id, with these marks:
const (
	outToPA  = vfp.PortID(1) << 31 // the next hop is to be resolved
	outUntag = vfp.PortID(1) << 30 // see exit.untag

	maxPortID = outUntag - 1
)

// cached finishes the packet from the cache, if its flow is there.
func (s *Switch) cached(f *transit, p *vfp.Packet) bool {
	if s.noCache {
		return false
	}
	t, ok := f.in.run.vfp.Cache.Lookup(f.key, p, f.now, s.gen)
	if !ok {
		return false
	}
	if f.trace != nil {
		f.trace.Add(vfp.Record{Kind: vfp.TraceCacheHit, Now: f.now, ID: p.ID, Port: f.in.cfg.ID, Dir: vfp.Out, Note: t.String()})
	}
	out := t.Out
	x := exit{dst: s.snap.port(out & maxPortID), toPA: out&outToPA != 0, untag: out&outUntag != 0, tooBig: t.TooBig}
	s.finish(f, p, &x, t.Apply(p))
	return true
}

// install remembers the outcome t of a walk that ended at x. Call it before
// the packet changes.
func (s *Switch) install(f *transit, w *vfp.Walk, t *vfp.Transposition, x *exit) {
	if s.noCache || !f.stable || !vfp.Cachable(w) {
		return
	}
	t.Out, t.TooBig, t.Straight = x.dst.cfg.ID, x.tooBig, s.straight(f, t, x)
	if t.NextHop = x.toPA; x.toPA {
		t.Out |= outToPA
	}
	if x.untag {
		t.Out |= outUntag
	}
	f.in.run.vfp.Cache.Install(f.key, w, t, s.gen)
}
