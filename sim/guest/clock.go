package guest

import (
	"math"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
)

// clock maps the wall clock to virtual time. Both run evenly: scale seconds of
// virtual time pass in one second of wall time.
type clock struct {
	start time.Time // on the wall
	base  int64     // virtual nanoseconds at start
	scale float64
}

func newClock(base int64, scale float64) *clock {
	return &clock{start: time.Now(), base: base, scale: scale}
}

// now is the virtual time in nanoseconds. It never runs backwards, since the
// wall's reading is monotonic.
func (c *clock) now() int64 {
	return c.base + int64(float64(time.Since(c.start))*c.scale)
}

// wall is how long a virtual duration takes, rounded up so that who sleeps for
// it does not wake too early.
func (c *clock) wall(d time.Duration) time.Duration {
	w := math.Ceil(float64(d) / c.scale)
	if w >= math.MaxInt64 {
		return math.MaxInt64
	}
	return time.Duration(w)
}

// guestClock is the same time as gVisor wants it, for one stack. Timers of a
// stack that has been closed do nothing: the stack may leave some behind.
type guestClock struct {
	*clock
	closed *atomic.Bool
}

var _ tcpip.Clock = guestClock{}

// Now is the virtual time as a date: the wall's at the start, then even.
func (c guestClock) Now() time.Time {
	return c.start.Add(time.Duration(c.clock.now() - c.base))
}

// NowMonotonic is the virtual time.
func (c guestClock) NowMonotonic() tcpip.MonotonicTime {
	return tcpip.MonotonicTime{}.Add(time.Duration(c.clock.now()))
}

// AfterFunc calls f in a goroutine of its own when d of virtual time is over.
func (c guestClock) AfterFunc(d time.Duration, f func()) tcpip.Timer {
	return &guestTimer{c, time.AfterFunc(c.wall(d), func() {
		if !c.closed.Load() {
			f()
		}
	})}
}

type guestTimer struct {
	clock guestClock
	timer *time.Timer
}

// Stop prevents the call unless it has begun.
func (t *guestTimer) Stop() bool { return t.timer.Stop() }

// Reset lets the call happen d of virtual time from now.
func (t *guestTimer) Reset(d time.Duration) { t.timer.Reset(t.clock.wall(d)) }
