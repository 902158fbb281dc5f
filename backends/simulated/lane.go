package simulated

import (
	"context"
	"time"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/fabric"
	"github.com/hnsim/hnsim/sim/vfp"
)

var _ backends.Bencher = (*world)(nil)

// lane is a way through hosts of the world: an express each.
type lane struct {
	w      *world
	stages []*fabric.Express
	batch  vfp.Batch
	trace  *vfp.Trace
	out    [backends.BurstSize]int8 // the stage that the frame got to, -1: out at the far end
	why    map[int]vfp.Drop         // of frames that a stack or NIC dropped
}

// A burst is a batch.
var _ [vfp.BatchSize]int = [backends.BurstSize]int{}

// Lane opens a way through the world.
func (w *world) Lane(_ context.Context, cfg backends.LaneConfig) (backends.Lane, error) {
	if w.rec.lane != nil {
		return nil, usage("a lane is open already")
	}
	first, err := w.entrance(cfg)
	if err != nil {
		return nil, err
	}
	l := &lane{w: w, stages: []*fabric.Express{first}, why: map[int]vfp.Drop{}}
	if cfg.Tracing {
		l.trace = &vfp.Trace{Max: 1 << 16}
	}
	w.rec.lane = l
	for _, name := range cfg.Through {
		nd := w.nodes[name]
		if nd == nil || nd.host == nil {
			l.Close()
			return nil, usage("lane through %q: no Windows host has that name", name)
		}
		x, err := nd.host.ExpressFromWire()
		if err != nil {
			l.Close()
			return nil, usage("lane: %v", err)
		}
		l.stages = append(l.stages, x)
	}
	return l, nil
}

func (w *world) entrance(cfg backends.LaneConfig) (*fabric.Express, error) {
	if cfg.OnWire {
		nd := w.nodes[cfg.From]
		if nd == nil || nd.host == nil {
			return nil, usage("lane from the wire of %q: no Windows host has that name", cfg.From)
		}
		x, err := nd.host.ExpressFromWire()
		if err != nil {
			return nil, usage("lane: %v", err)
		}
		return x, nil
	}
	c := w.containers[cfg.From]
	if c == nil {
		return nil, usage("lane from %q: no container has that name", cfg.From)
	}
	for _, ep := range endpointsOf(c) {
		if sw, port, ok := c.host.EndpointPort(ep); ok {
			x, err := c.host.ExpressFromPort(sw, port)
			if err != nil {
				return nil, usage("lane: %v", err)
			}
			return x, nil
		}
	}
	return nil, usage("container %s has no switch port", cfg.From)
}

// Forward takes a burst through all stages.
func (l *lane) Forward(b *backends.Burst) int {
	l.batch.Now, l.batch.N, l.batch.Trace = l.w.now(), b.N, l.trace
	if l.trace != nil {
		l.trace.Records = l.trace.Records[:0]
	}
	if len(l.why) > 0 {
		clear(l.why)
	}
	for i := range b.N {
		l.batch.Pkts[i].Load(b.Head[i], b.Len[i])
	}
	last := len(l.stages) - 1
	for s, x := range l.stages {
		if s > 0 {
			l.cross(l.stages[s-1])
		}
		x.Process(&l.batch)
		if s < last {
			for i, how := range x.Exits()[:b.N] {
				if how == fabric.ByWire {
					l.out[i] = int8(s + 1)
				} else if s == 0 || int(l.out[i]) == s {
					l.out[i] = int8(s)
				}
			}
		}
	}
	n := 0
	for i, how := range l.stages[last].Exits()[:b.N] {
		if how != fabric.NoExit {
			l.out[i] = -1
			n++
		} else if last == 0 {
			l.out[i] = 0
		}
	}
	return n
}

// cross hands the frames that left a host by the wire to the next one. They
// stay where they are; those that did not leave become empty, which the next
// host drops.
func (l *lane) cross(from *fabric.Express) {
	for i, how := range from.Exits()[:l.batch.N] {
		switch p := &l.batch.Pkts[i]; {
		case how != fabric.ByWire:
			p.TrimTo(0)
		case from.Moved(i):
			_, frame := from.At(i)
			p.Reset(frame)
		}
	}
}

// Frame is the i'th frame as it came out.
func (l *lane) Frame(i int) []byte {
	if i >= l.batch.N || l.out[i] >= 0 {
		return nil
	}
	_, frame := l.stages[len(l.stages)-1].At(i)
	return frame
}

// Fate says what became of the i'th frame.
func (l *lane) Fate(i int) string {
	if i >= l.batch.N {
		return "not sent"
	}
	if l.out[i] < 0 {
		return "out"
	}
	if why := l.why[i]; why != vfp.DropNone {
		return why.String()
	}
	switch p := &l.batch.Pkts[i]; p.Verdict {
	case vfp.Dropped:
		return p.Reason.String()
	case vfp.Consumed:
		return "answered or held"
	}
	return "left by another way"
}

// dropped notes the first reason for a frame of the lane.
func (l *lane) dropped(id uint64, why vfp.Drop) {
	const mark = 1 << 63 // of the frames of an express
	if i := int(id & (1<<16 - 1)); id&mark != 0 && i < l.batch.N && l.why[i] == vfp.DropNone {
		l.why[i] = why
	}
}

// ageStep is more flows than a switch can have.
const ageStep = 1 << 22

// Advance lets virtual time pass.
func (l *lane) Advance(d time.Duration) error {
	if err := l.w.sim.Loop().Advance(d); err != nil {
		return err
	}
	for _, x := range l.stages {
		for _, sw := range x.Switches() {
			sw.Age(l.w.now(), ageStep)
		}
	}
	return nil
}

// Close gives the world back.
func (l *lane) Close() {
	for _, x := range l.stages {
		x.Close()
	}
	l.w.rec.lane = nil
}
