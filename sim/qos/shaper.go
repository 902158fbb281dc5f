package qos

import (
	"math/bits"
	"time"
)

// MinBurst is the least that a shaper lets pass at once, in bytes (rule QOS-02).
const MinBurst = 64 << 10

// Limits are the shape of a limit beside its rate. Sources do not state them
// (rule QOS-02, open question 7).
type Limits struct {
	Burst time.Duration // worth of traffic that passes at once, at least MinBurst
	Queue time.Duration // the longest wait; what would wait longer is dropped
}

// DefaultLimits are those of rule QOS-02.
var DefaultLimits = Limits{Burst: 100 * time.Millisecond, Queue: time.Second}

const second = uint64(time.Second)

// forever is 36 years: longer than anything waits, and sums of a few of it are
// still times.
const forever = int64(1) << 60

// Shaper is a token bucket with a queue behind it. It does not hold frames: it
// says when they leave, and remembers how far into the future it has promised
// its rate. Not safe for concurrent use.
type Shaper struct {
	rate   uint64 // bytes per second
	limits Limits
	burst  int64 // ns that the rate needs for the burst

	// full is when the bucket is full again: everything admitted until now has
	// then been paid for. rest is what that time is rounded down by, in bytes
	// times 1e9 / rate; last the time of the last question.
	full, last int64
	rest       uint64
}

// New makes a shaper with a full bucket. rate is in bytes per second and must
// not be zero: no limit is no shaper (rule QOS-03).
func New(rate uint64, l Limits) *Shaper {
	s := &Shaper{rate: rate, limits: l}
	s.burst = max(int64(l.Burst), s.cost(MinBurst))
	s.rest = 0
	return s
}

// Rate is the limit in bytes per second.
func (s *Shaper) Rate() uint64 { return s.rate }

// WithRate is a shaper that takes over where s stands, with another rate: what
// waits still leaves when it was promised to, and what comes finds the same
// bytes in front of it (rule QOS-03). s must not be used any more.
func (s *Shaper) WithRate(rate uint64) *Shaper {
	n := New(rate, s.limits)
	n.last, n.full = s.last, s.last
	if debt := s.full - s.last; debt > 0 {
		hi, lo := bits.Mul64(uint64(debt), s.rate)
		owed, _ := bits.Div64(hi%second, lo, second) // bytes
		n.full += n.cost(owed)
	}
	return n
}

// cost is how long the rate needs for some bytes. What it rounds off is kept
// for the next call, so that many small frames cost what they weigh.
func (s *Shaper) cost(bytes uint64) int64 {
	hi, lo := bits.Mul64(bytes, second)
	lo, carry := bits.Add64(lo, s.rest, 0)
	if hi += carry; hi >= s.rate {
		return forever
	}
	ns, rest := bits.Div64(hi, lo, s.rate)
	s.rest = rest
	return int64(min(ns, uint64(forever)))
}

// Admit says when a frame of so many bytes that is there at now may leave: at
// once while the burst lasts, later while the queue has room, and never
// otherwise (ok is false). Answers never go back in time, so frames keep their
// order.
func (s *Shaper) Admit(now int64, bytes int) (at int64, ok bool) {
	s.last = now
	rest := s.rest
	full := max(s.full, now) + s.cost(uint64(bytes))
	at = max(now, full-s.burst)
	if at-now > int64(s.limits.Queue) {
		s.rest = rest
		return 0, false
	}
	s.full = full
	return at, true
}
