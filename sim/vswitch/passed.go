package vswitch

import "github.com/hnsim/hnsim/sim/vfp"

// Generation changes whenever what the switch does to a flow may.
func (s *Switch) Generation() uint64 { return s.gen }

// Fixed reports whether the i'th packet of the batch that is being processed,
// which came in at a port, went where and how all packets with its headers go
// until the generation changes, limit being the longest frame. It may be asked
// while the sink has the packet.
func (s *Switch) Fixed(in vfp.PortID, i int) (limit int, ok bool) {
	q := s.snap.port(in)
	if q == nil || s.noCache {
		return 0, false
	}
	return q.run.vfp.Cache.Fixed(&s.keys[i], s.gen)
}

// Mirrored reports whether a monitor sees what a port gets.
func (s *Switch) Mirrored(id vfp.PortID) bool {
	q := s.snap.port(id)
	return q != nil && q.cfg.Mirror == MirrorSource
}

// Passed counts frames that somebody who knows that they are Fixed has carried
// from one port to another.
func (s *Switch) Passed(in, out vfp.PortID, frames, bytes uint64) {
	from, to := s.snap.port(in), s.snap.port(out)
	from.run.n.In += frames
	from.run.vfp.CountBurst(vfp.Out, frames, bytes)
	from.run.vfp.Cache.Passed(frames)
	to.run.n.Out += frames
	to.run.vfp.CountBurst(vfp.In, frames, bytes)
}
