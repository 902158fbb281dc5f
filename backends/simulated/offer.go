package simulated

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/hnsim/hnsim/backends"
)

var _ backends.Offerer = (*world)(nil)

// maxOffered bounds a trial: every frame is some events.
const maxOffered = 1 << 22

// Offers says what a trial includes.
func (w *world) Offers() string {
	return "virtual time: links with a rate and their queues, shapers and delays; the time that a switch takes for a packet is not modelled, so only what has a rate can be full"
}

// Offer sends frames at equal distances in virtual time and counts what the
// role at the other end gets.
func (w *world) Offer(ctx context.Context, l backends.Load) (backends.Delivery, error) {
	n := int(l.Rate * l.For.Seconds())
	switch {
	case len(l.Frames) == 0 || n < 1:
		return backends.Delivery{}, usage("a load of %g frames/s for %v is nothing", l.Rate, l.For)
	case n > maxOffered:
		return backends.Delivery{}, usage("a load of %d frames: at most %d in one trial", n, maxOffered)
	}
	for _, to := range l.To {
		if w.nodes[to] == nil && w.containers[to] == nil {
			return backends.Delivery{}, usage("no role %q", to)
		}
	}
	t := backends.NewLoadTally(uint64(n))
	w.rec.tally = func(role string, now int64, frame []byte) {
		if seq, at, ok := backends.ReadLoadMark(frame); ok && slices.Contains(l.To, role) {
			t.Arrived(seq, time.Duration(now)-at)
		}
	}
	defer func() { w.rec.tally = nil }()
	loop := w.sim.Loop()
	begun := loop.Now()
	for i := range n {
		if i%4096 == 0 && ctx.Err() != nil {
			return t.Delivery, ctx.Err()
		}
		due := begun + int64(float64(i)*float64(time.Second)/l.Rate)
		if _, err := loop.RunUntil(due, nil); err != nil {
			return t.Delivery, fmt.Errorf("offering load: %w", err)
		}
		frame := l.Frames[i%len(l.Frames)]
		backends.MarkLoad(frame, uint64(i), time.Duration(loop.Now()))
		if err := w.fromPort(l.From, frame, loop.NextID()); err != nil {
			return t.Delivery, err
		}
		t.Sent++
	}
	if _, err := loop.RunUntil(begun+int64(l.For), nil); err != nil {
		return t.Delivery, fmt.Errorf("offering load: %w", err)
	}
	t.Took = time.Duration(loop.Now() - begun)
	if err := loop.Settle(); err != nil {
		return t.Delivery, fmt.Errorf("offering load: %w", err)
	}
	return t.Delivery, nil
}
