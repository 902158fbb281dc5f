package fabric

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sort"
	"strings"
	"testing"
	"time"
)

// point is a receiver that notes what arrives.
type point struct {
	name string
	log  *[]string
	then func(now int64, frame []byte, id uint64)
}

func (p *point) Point() string { return p.name }

func (p *point) Arrive(now int64, frame []byte, id uint64) {
	*p.log = append(*p.log, fmt.Sprintf("%d %s %s", now, p.name, frame))
	if p.then != nil {
		p.then(now, frame, id)
	}
}

func TestSettleFiresTheTimersThatPacketsReachAndNoMore(t *testing.T) {
	var log []string
	l := NewLoop(Limits{})
	p := &point{name: "p", log: &log}
	timer := func(d time.Duration) *Timer {
		return l.After(d, func(now int64) { log = append(log, fmt.Sprintf("%d timer", now)) })
	}
	timer(5)
	timer(10)
	timer(11)
	stopped := timer(1)
	stopped.Stop()
	stopped.Stop()
	l.Post(10, p, []byte("b"), 1)
	l.Post(0, p, []byte("a"), 2)
	timer(10) // posted after the packet of its time
	if err := l.Settle(); err != nil {
		t.Fatal(err)
	}
	want := "0 p a,5 timer,10 timer,10 p b,10 timer"
	if got := strings.Join(log, ","); got != want {
		t.Errorf("settled as %q, want %q", got, want)
	}
	if l.Now() != 10 {
		t.Errorf("time is %d after the last packet, want 10", l.Now())
	}
	if err := l.Advance(1); err != nil || log[len(log)-1] != "11 timer" {
		t.Errorf("Advance: %v, log %q", err, log)
	}
}

func TestAdvanceLeavesInFlightWhatArrivesLater(t *testing.T) {
	var log []string
	l := NewLoop(Limits{})
	p := &point{name: "p", log: &log}
	l.Post(100, p, []byte("x"), 1)
	_ = l.Advance(99)
	if len(log) != 0 || l.InFlight() != 1 || l.Now() != 99 {
		t.Errorf("log %q, %d in flight at %d", log, l.InFlight(), l.Now())
	}
	_ = l.Advance(1)
	if len(log) != 1 || l.InFlight() != 0 {
		t.Errorf("log %q, %d in flight", log, l.InFlight())
	}
}

func TestRunUntilStopsWhenItsConditionHolds(t *testing.T) {
	l := NewLoop(Limits{})
	n := 0
	var tick func(int64)
	tick = func(int64) { n++; l.After(10, tick) }
	l.After(10, tick)
	done, err := l.RunUntil(1000, func() bool { return n == 3 })
	if !done || err != nil || n != 3 || l.Now() != 30 {
		t.Errorf("done %v, %v, %d ticks, time %d", done, err, n, l.Now())
	}
	done, err = l.RunUntil(55, func() bool { return n == 100 })
	if done || err != nil || n != 5 || l.Now() != 55 {
		t.Errorf("done %v, %v, %d ticks, time %d", done, err, n, l.Now())
	}
}

func TestEqualTimesKeepTheOrderOfPosting(t *testing.T) {
	// Against the plain definition: a stable sort by time of everything posted.
	r := rand.New(rand.NewPCG(1, 1))
	var log, want []string
	l := NewLoop(Limits{})
	type planned struct {
		at int64
		s  string
	}
	var plan []planned
	for i := range 5000 {
		at := int64(r.IntN(300))
		s := fmt.Sprint(i)
		plan = append(plan, planned{at, fmt.Sprintf("%d p %s", at, s)})
		l.Post(at, &point{name: "p", log: &log}, []byte(s), 0)
	}
	sort.SliceStable(plan, func(i, j int) bool { return plan[i].at < plan[j].at })
	for _, p := range plan {
		want = append(want, p.s)
	}
	if err := l.Settle(); err != nil {
		t.Fatal(err)
	}
	if strings.Join(log, "\n") != strings.Join(want, "\n") {
		t.Error("the order is not that of time and posting")
	}
}

func TestWhatIsPostedForNowComesAfterWhatWasPlannedForNow(t *testing.T) {
	var log []string
	l := NewLoop(Limits{})
	late := &point{name: "late", log: &log}
	first := &point{name: "first", log: &log, then: func(int64, []byte, uint64) { l.Post(0, late, []byte("x"), 0) }}
	second := &point{name: "second", log: &log}
	l.Post(5, first, []byte("x"), 0)
	l.Post(5, second, []byte("x"), 0)
	_ = l.Settle()
	if got := strings.Join(log, ","); got != "5 first x,5 second x,5 late x" {
		t.Errorf("order %q", got)
	}
}

func TestAFrameIsCopiedWhenItIsPosted(t *testing.T) {
	var log []string
	l := NewLoop(Limits{})
	b := []byte("good")
	l.Post(1, &point{name: "p", log: &log}, b, 0)
	copy(b, "evil")
	_ = l.Settle()
	if log[0] != "1 p good" {
		t.Errorf("arrived as %q", log[0])
	}
}

func TestAForwardingLoopIsAnErrorThatNamesItsBusiestPoint(t *testing.T) {
	tests := []struct {
		name   string
		limits Limits
		copies int // frames that come of each one
		limit  string
	}{
		{"one frame goes round for ever", Limits{Events: 10_000}, 1, "events"},
		{"a storm doubles", Limits{InFlight: 1000}, 2, "in flight"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var log []string
			l := NewLoop(tt.limits)
			a, b := &point{name: "a", log: &log}, &point{name: "b", log: &log}
			bounce := func(to *point) func(int64, []byte, uint64) {
				return func(now int64, f []byte, id uint64) {
					for range tt.copies {
						l.Post(now, to, f, id)
					}
				}
			}
			a.then, b.then = bounce(b), bounce(a)
			l.Post(0, a, []byte("x"), 1)
			var e *RunawayError
			if err := l.Settle(); !errors.As(err, &e) {
				t.Fatalf("settled: %v", err)
			}
			if e.Limit != tt.limit || e.Point != "a" && e.Point != "b" || e.Count == 0 {
				t.Errorf("%v", e)
			}
			if l.InFlight() != 0 {
				t.Errorf("%d frames are still in flight", l.InFlight())
			}
			if err := l.Settle(); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

func TestTheHashTellsWorldsApart(t *testing.T) {
	run := func(f func(l *Loop, a, b Receiver)) string {
		var log []string
		l := NewLoop(Limits{})
		f(l, &point{name: "a", log: &log}, &point{name: "b", log: &log})
		_ = l.Advance(time.Second)
		return l.Hash()
	}
	base := func(l *Loop, a, b Receiver) { l.Post(1, a, []byte("12345678x"), 1); l.Post(2, b, []byte("y"), 2) }
	one := run(base)
	if again := run(base); again != one {
		t.Fatal("the same events have different hashes")
	}
	tests := []struct {
		name string
		f    func(l *Loop, a, b Receiver)
	}{
		{"another time", func(l *Loop, a, b Receiver) { l.Post(1, a, []byte("12345678x"), 1); l.Post(3, b, []byte("y"), 2) }},
		{"another place", func(l *Loop, a, b Receiver) { l.Post(1, a, []byte("12345678x"), 1); l.Post(2, a, []byte("y"), 2) }},
		{"another byte", func(l *Loop, a, b Receiver) { l.Post(1, a, []byte("12345678z"), 1); l.Post(2, b, []byte("y"), 2) }},
		{"a longer frame of zeros", func(l *Loop, a, b Receiver) {
			l.Post(1, a, []byte("12345678x\x00"), 1)
			l.Post(2, b, []byte("y"), 2)
		}},
		{"one event less", func(l *Loop, a, b Receiver) { l.Post(1, a, []byte("12345678x"), 1) }},
		{"a timer more", func(l *Loop, a, b Receiver) { base(l, a, b); l.After(5, func(int64) {}) }},
		{"nothing", func(*Loop, Receiver, Receiver) {}},
	}
	for _, tt := range tests {
		if run(tt.f) == one {
			t.Errorf("%s does not change the hash", tt.name)
		}
	}
}

func TestPostingWithinAnInstantDoesNotAllocateOnceWarm(t *testing.T) {
	l := NewLoop(Limits{})
	p := &quiet{}
	frame := make([]byte, 1500)
	run := func() {
		for range 64 {
			l.Post(0, p, frame, 1)
		}
		_ = l.Settle()
	}
	run()
	if n := testing.AllocsPerRun(20, run); n > 2 { // the closures of Settle itself
		t.Errorf("%v allocations for 64 frames", n)
	}
}

type quiet struct{}

func (*quiet) Point() string                { return "quiet" }
func (*quiet) Arrive(int64, []byte, uint64) {}
