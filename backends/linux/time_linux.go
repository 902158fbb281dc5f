package linux

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/hnsim/hnsim/sim/hcn"
)

// clock relates the kernel's time to the contract's.
//
// With a scale the kernel's timers are divided by it, Advance really waits for
// one part in scale of what it is asked for, and everything that the kernel
// keeps over time runs down by itself. Without one nobody waits: Advance takes
// the time off what connections have left (see space.age).
type clock struct {
	scale   time.Duration // 0: connections are aged
	begun   time.Time
	skipped time.Duration // aged: by Advance, beyond what the clock shows
	froze   time.Time     // aged: when the connections' clock was last stopped
	due     time.Time     // waited: when the time of the last Advance was over
	first   time.Time     // waited: when the first stimulus after it began, and
	last    time.Time     // the last one; zero after Advance
	spread  time.Duration // waited: half of what was between them before it
}

// Timers of the contract that are no knobs, in the kernel's units.
const (
	fragmentHold = 30 * time.Second  // NAT-50, and reassembly in host and guests
	learnedFor   = 300 * time.Second // what a wire knows about addresses
)

// newClock divides time by at most scale: the kernel counts its timers in
// seconds, and each must be a whole number of them still.
func newClock(scale int, k hcn.Knobs) (clock, error) {
	c := clock{begun: time.Now()}
	if scale == 0 {
		return c, nil
	}
	if scale < 0 {
		return c, usage("a time scale of %d: expected a positive number", scale)
	}
	t := k.NATTimers()
	for c.scale = time.Duration(scale); c.scale > 1; c.scale-- {
		if whole(c.scale, t.ICMP, t.UDP, t.TCPTransient, t.TCPEstablished, k.VFPNATIdle, fragmentHold, learnedFor) {
			break
		}
	}
	return c, nil
}

// whole reports whether all times are seconds after the division.
func whole(by time.Duration, all ...time.Duration) bool {
	for _, d := range all {
		if d%(by*time.Second) != 0 {
			return false
		}
	}
	return true
}

// seconds is a timer of the contract as the kernel takes it.
func (c *clock) seconds(d time.Duration) (string, error) {
	by := max(c.scale, 1)
	if c.scale > 1 && !whole(by, d) {
		return "", unsupported("a timer of %v on a clock that is %d times as fast: the kernel counts in seconds", d, by)
	}
	return strconv.Itoa(max(1, int(d/by/time.Second))), nil
}

// hasten divides the timers of a namespace that are not connections'.
func (s *space) hasten(c *clock) error {
	hold, err := c.seconds(fragmentHold)
	if err != nil {
		return err
	}
	learned := uint32(learnedFor / c.scale / (10 * time.Millisecond))
	s.ageing = &learned
	for _, name := range []string{"net/ipv4/ipfrag_time", "net/ipv6/ip6frag_time"} {
		if err := s.sysctl(name, hold); err != nil && !os.IsNotExist(err) {
			return fmt.Errorf("timers of %s: %w", s.name, err)
		}
	}
	return nil
}

// contract is an instant of the kernel in the contract's time.
func (c *clock) contract(at time.Time) time.Duration {
	return at.Sub(c.begun)*max(c.scale, 1) + c.skipped
}

// Now is the contract's time.
func (w *world) Now() time.Duration { return w.time.contract(time.Now()) }

// Advance lets time pass: it waits for it on a scaled clock, and ages
// connections otherwise.
func (w *world) Advance(ctx context.Context, d time.Duration) error {
	if d < 0 {
		return usage("time does not run backwards: advance %v", d)
	}
	if w.time.scale > 0 {
		return w.wait(ctx, d)
	}
	w.time.skipped += d
	return errors.Join(ctx.Err(), w.age(d), w.rest())
}

// wait lets the kernel's clock run. On the contract's clock stimuli take no
// time: it goes on from the middle between the first of them and the last.
func (w *world) wait(ctx context.Context, d time.Duration) error {
	t := &w.time
	switch {
	case !t.last.IsZero():
		t.spread = t.last.Sub(t.first) / 2
		t.due = t.first.Add(t.spread)
	case t.due.IsZero():
		t.due = time.Now()
	}
	t.due, t.last = t.due.Add(d/t.scale), time.Time{}
	err := w.loop.until(time.Until(t.due), func() bool { return ctx.Err() != nil })
	w.record()
	return errors.Join(ctx.Err(), err)
}

// punctual notes when a stimulus begins. The scenarios look a second before
// and a second after a timer ends: who is late by most of that, because the
// machine is busy, would see something else and blame the kernel.
func (w *world) punctual() error {
	t := &w.time
	if t.scale == 0 {
		return nil
	}
	now := time.Now()
	if late := now.Sub(t.due) + t.spread; !t.due.IsZero() && late > time.Second*3/4/t.scale {
		return &lateError{late: late, scale: int(t.scale)}
	}
	if t.last.IsZero() {
		t.first = now
	}
	t.last = now
	return nil
}

// lateError is a wait that the machine ended too late, or stimuli that took it
// too long.
type lateError struct {
	late  time.Duration
	scale int
}

func (e *lateError) Error() string {
	return fmt.Sprintf("the machine is %v too late for a clock that is %d times as fast: take a smaller --time-scale, or fewer scenarios at a time (--parallel)",
		e.late.Round(time.Millisecond), e.scale)
}

// freezeEvery is how often the kernel's clock is stopped for new connections:
// well within the second that it rounds to.
const freezeEvery = 400 * time.Millisecond

// freeze stops it if it is time to.
func (w *world) freeze() error {
	if w.time.scale > 0 || time.Since(w.time.froze) < freezeEvery {
		return nil
	}
	w.time.froze = time.Now()
	return w.age(0)
}

// age lets time pass for the connections of all namespaces.
func (w *world) age(d time.Duration) error {
	for _, s := range w.spaces {
		if err := s.age(d); err != nil {
			return err
		}
	}
	return nil
}
