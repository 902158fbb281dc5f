package fabric

import (
	"math/rand/v2"
	"time"

	"github.com/hnsim/hnsim/sim/vfp"
)

// LinkConfig says what a wire does to frames. The zero value is a perfect
// wire. All faults are drawn from the link's own seeded source, so that a
// change to one link leaves the others as they were.
type LinkConfig struct {
	Delay   time.Duration // per direction
	Loss    float64       // share of frames lost, 0 to 1
	Reorder float64       // share of frames that take one extra Delay (1 ms where Delay is zero), 0 to 1
	RateBps int64         // bits per second of the frame as captured, without preamble and FCS; 0 is unlimited
	// QueueBytes is what may wait for a link with a rate, in bytes; more is
	// dropped at the tail. 0 is DefaultQueueBytes.
	QueueBytes int
	Down       bool
}

// DefaultQueueBytes holds about 170 full frames.
const DefaultQueueBytes = 256 << 10

// reorderWithoutDelay is the extra time of a reordered frame where the link
// has no delay that could be doubled.
const reorderWithoutDelay = time.Millisecond

// link is one direction of a wire.
type link struct {
	cfg  LinkConfig
	rand *rand.Rand
	busy int64 // until when frames sent before occupy a link with a rate
}

func newLink(seed uint64, name string) *link {
	// The name separates the streams of links that share the world's seed.
	h := eventHash{seed}
	h.addString(name)
	return &link{rand: rand.New(rand.NewPCG(seed, h.sum()))}
}

// carry says when a frame of n bytes that enters the link now leaves it, or
// why it never will. Each fault that is configured draws one number per frame,
// whatever becomes of the frame: turning rate or queue does not shift the rest.
func (l *link) carry(now int64, n int) (at int64, why vfp.Drop) {
	c := &l.cfg
	if c.Down {
		return 0, vfp.DropLinkDown
	}
	lost := c.Loss > 0 && l.rand.Float64() < c.Loss
	late := c.Reorder > 0 && l.rand.Float64() < c.Reorder
	at = now
	if c.RateBps > 0 {
		limit := c.QueueBytes
		if limit <= 0 {
			limit = DefaultQueueBytes
		}
		start := max(now, l.busy)
		if transmitTime(limit, c.RateBps) < start-now {
			return 0, vfp.DropQueueFull
		}
		l.busy = start + transmitTime(n, c.RateBps)
		at = l.busy
	}
	if lost {
		return 0, vfp.DropLinkLoss
	}
	at += int64(c.Delay)
	if late {
		extra := c.Delay
		if extra <= 0 {
			extra = reorderWithoutDelay
		}
		at += int64(extra)
	}
	return at, vfp.DropNone
}

// transmitTime is how long n bytes occupy a link, rounded up to nanoseconds.
func transmitTime(n int, bps int64) int64 {
	return (int64(n)*8*int64(time.Second) + bps - 1) / bps
}
