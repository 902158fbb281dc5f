package fabric

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Receiver is a point that frames arrive at: the far end of a link, a segment,
// a node. Arrive is called from the loop; frame is valid during the call only.
type Receiver interface {
	// Point names the place for hashes and error messages: "x/eth0".
	Point() string
	Arrive(now int64, frame []byte, id uint64)
}

// Limits bound what one run of the loop may do. A zero field takes its
// default.
type Limits struct {
	Events   int // events per Settle, Advance or RunUntil
	InFlight int // packet events waiting at one time
}

// Defaults of Limits. A 10 MB transfer over three hops is about 150,000
// events, a broadcast storm any number.
const (
	DefaultEvents   = 1 << 20
	DefaultInFlight = 1 << 16
)

// RunawayError says that a run went over its bound: most often frames that go
// round in circles. The frames in flight are gone when it is returned, so
// that the world can still be looked at and closed.
type RunawayError struct {
	Point  string   // the point with most arrivals in this run
	Count  int      // its arrivals
	Busy   []string // the busiest points with their arrivals, busiest first: the circle is among them
	Events int      // all events of the run
	Limit  string   // which bound: "events" or "in flight"
}

func (e *RunawayError) Error() string {
	return fmt.Sprintf("forwarding loop? %d events in one run (bound: %s); busiest points: %s",
		e.Events, e.Limit, strings.Join(e.Busy, ", "))
}

// maxBusy is how many points a RunawayError lists.
const maxBusy = 8

// Loop is virtual time and everything that is going to happen. Events run in
// the order of (time, order of posting); nothing runs side by side. There are
// two classes: packet events are frames on their way and end on their own;
// timers wait for somebody to let time pass. A Loop is used from one
// goroutine.
type Loop struct {
	now    int64
	seq    uint64
	ids    uint64
	limits Limits

	ready  fifo // packet events at the present instant: later than all of flight at that instant
	flight queue[arrival]
	timers queue[*Timer]

	free  [][]byte // buffers of frames that have arrived
	count map[string]int
	ran   int
	over  string
	hash  eventHash
}

// NewLoop makes a loop at time zero.
func NewLoop(l Limits) *Loop {
	if l.Events <= 0 {
		l.Events = DefaultEvents
	}
	if l.InFlight <= 0 {
		l.InFlight = DefaultInFlight
	}
	return &Loop{limits: l, count: make(map[string]int)}
}

// Now is virtual time in nanoseconds since the world began.
func (l *Loop) Now() int64 { return l.now }

// NextID makes a packet identity that nothing else has.
func (l *Loop) NextID() uint64 {
	l.ids++
	return l.ids
}

// Hash condenses everything that has happened: order, time, point and bytes of
// all arrivals and the order and time of all timers. Equal worlds with equal
// seeds and stimuli have equal hashes, in every process.
func (l *Loop) Hash() string { return fmt.Sprintf("%016x", l.hash.sum()) }

// InFlight is the number of packet events that wait.
func (l *Loop) InFlight() int { return len(l.flight) + l.ready.len() }

// Post sends a copy of frame to a receiver at time at; a time that has passed
// means now. The order of equal times is the order of posting, so a link with
// constant delay never reorders.
func (l *Loop) Post(at int64, to Receiver, frame []byte, id uint64) {
	l.post(at, arrival{to: to, frame: l.copyOf(frame), id: id})
}

// PostFunc is Post for work that is not a frame but belongs to packets in
// flight: the release of a queued frame. point names it as Receiver.Point does.
func (l *Loop) PostFunc(at int64, point string, fn func(now int64)) {
	l.post(at, arrival{point: point, fn: fn})
}

func (l *Loop) post(at int64, a arrival) {
	if l.InFlight() >= l.limits.InFlight {
		l.over = "in flight"
		l.recycle(a.frame)
		return
	}
	l.seq++
	if at <= l.now {
		l.ready.push(l.now, l.seq, a)
		return
	}
	l.flight.push(at, l.seq, a)
}

// After calls fn once when d has passed, unless the timer is stopped before.
// A d that is not positive means as soon as what is due now has run.
func (l *Loop) After(d time.Duration, fn func(now int64)) *Timer {
	l.seq++
	t := &Timer{fn}
	l.timers.push(l.now+max(int64(d), 0), l.seq, t)
	return t
}

// Settle runs until no packet event is left. Links may take virtual time, and
// timers that fall due on the way fire in their place; timers later than the
// last packet stay where they are.
func (l *Loop) Settle() error {
	return l.run(func(at int64, timer bool) bool { return timer && l.InFlight() == 0 && at > l.now })
}

// Advance lets d pass and runs everything that happens in that time. Frames
// that are still on their way afterwards stay in flight.
func (l *Loop) Advance(d time.Duration) error {
	_, err := l.RunUntil(l.now+max(int64(d), 0), nil)
	return err
}

// RunUntil runs events up to and including time deadline until done, which
// may be nil, reports true; it is asked before every event. Time is deadline
// afterwards, or the time of the last event when done stopped the run.
func (l *Loop) RunUntil(deadline int64, done func() bool) (bool, error) {
	stopped := false
	err := l.run(func(at int64, _ bool) bool {
		stopped = done != nil && done()
		return stopped || at > deadline
	})
	if err == nil && !stopped && done != nil {
		stopped = done()
	}
	if !stopped && l.now < deadline {
		l.now = deadline
	}
	return stopped, err
}

// run takes events in order until there are none or stop says so for the next.
func (l *Loop) run(stop func(at int64, timer bool) bool) error {
	l.ran = 0
	clear(l.count)
	for l.over == "" {
		at, timer, ok := l.next()
		if !ok || stop(at, timer) {
			return nil
		}
		if l.ran++; l.ran > l.limits.Events {
			l.over = "events"
			break
		}
		l.now = at
		if timer {
			l.fire()
		} else {
			l.arrive()
		}
	}
	return l.runaway()
}

// next says when the next event is and whether it is a timer.
func (l *Loop) next() (at int64, timer, ok bool) {
	for len(l.timers) > 0 && l.timers[0].v.fn == nil {
		l.timers.pop()
	}
	packet, ok := l.nextPacket()
	if len(l.timers) > 0 && (!ok || l.timers[0].before(packet)) {
		return l.timers[0].at, true, true
	}
	return packet.at, false, ok
}

// nextPacket prefers flight at equal times: it was posted earlier, when that
// time was still to come.
func (l *Loop) nextPacket() (d due, ok bool) {
	switch {
	case l.ready.len() == 0 && len(l.flight) == 0:
		return due{}, false
	case l.ready.len() == 0 || len(l.flight) > 0 && l.flight[0].at <= l.now:
		return l.flight[0].due, true
	}
	return l.ready.items[l.ready.first].due, true
}

func (l *Loop) fire() {
	t := l.timers.pop()
	l.hash.add(uint64(t.at))
	l.hash.add(timerMark)
	fn := t.v.fn
	t.v.fn = nil
	fn(l.now)
}

func (l *Loop) arrive() {
	var e event[arrival]
	if l.ready.len() == 0 || len(l.flight) > 0 && l.flight[0].at <= l.now {
		e = l.flight.pop()
	} else {
		e = l.ready.pop()
	}
	a := &e.v
	if a.to != nil {
		a.point = a.to.Point()
	}
	l.count[a.point]++
	l.hash.add(uint64(e.at))
	l.hash.addString(a.point)
	l.hash.addBytes(a.frame)
	if a.fn != nil {
		a.fn(l.now)
		return
	}
	a.to.Arrive(l.now, a.frame, a.id)
	l.recycle(a.frame)
}

// runaway empties the flight and names the busiest points. Equal counts are
// ordered by name, for map order must not show.
func (l *Loop) runaway() error {
	e := &RunawayError{Events: l.ran, Limit: l.over}
	points := slices.SortedFunc(maps.Keys(l.count), func(a, b string) int {
		return cmp.Or(cmp.Compare(l.count[b], l.count[a]), cmp.Compare(a, b))
	})
	for i, p := range points {
		if i == 0 {
			e.Point, e.Count = p, l.count[p]
		}
		if i < maxBusy {
			e.Busy = append(e.Busy, fmt.Sprintf("%s %d", p, l.count[p]))
		}
	}
	l.ready, l.flight, l.over = fifo{}, nil, ""
	// Timers that are due at once may be a part of the circle: what a stack
	// sends to itself is on no wire.
	for len(l.timers) > 0 && l.timers[0].at <= l.now {
		l.timers.pop()
	}
	return e
}

// maxFree bounds the buffers kept for reuse: 256 of 2 KB.
const maxFree = 256

func (l *Loop) copyOf(frame []byte) []byte {
	if n := len(l.free); n > 0 && cap(l.free[n-1]) >= len(frame) {
		b := l.free[n-1][:len(frame)]
		l.free = l.free[:n-1]
		copy(b, frame)
		return b
	}
	b := make([]byte, len(frame), max(len(frame), 2048))
	copy(b, frame)
	return b
}

func (l *Loop) recycle(b []byte) {
	if cap(b) >= 2048 && cap(b) <= 65536 && len(l.free) < maxFree {
		l.free = append(l.free, b)
	}
}
