package guest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hnsim/hnsim/sim"
)

// ErrClosed is returned by a Runner that no longer runs.
var ErrClosed = errors.New("the runner is closed")

// Config parametrises a Runner. The zero value runs at the speed of the wall
// clock.
type Config struct {
	// Scale is how many seconds of virtual time pass in one second of wall
	// time; 0 is 1. More than 1 shortens waiting (idle timers, retries), but
	// the time that the computation takes counts as well: at 100, a
	// millisecond of it is a tenth of a second to TCP. Less than 1 helps on a
	// machine too busy to keep up.
	Scale float64
	// Queue is how many frames wait per interface and direction; 0 is
	// DefaultQueue. Outwards a full queue makes senders wait, inwards it drops
	// frames, which are counted, as the ring of a NIC does.
	Queue int
}

// DefaultQueue is more than a TCP window of full frames.
const DefaultQueue = 1024

// Limits of Config.
const (
	minScale, maxScale = 1e-3, 1e4
	maxQueue           = 1 << 16
	// perTurn is how many frames an interface may send before others have
	// their turn and the world runs on.
	perTurn = 64
	// idleWait bounds a sleep when nothing is going to happen.
	idleWait = time.Hour
)

// Runner owns a world while guests are in it: one goroutine, the pump, runs
// the loop, lets virtual time follow the wall clock and carries frames between
// guests and the world. Whoever wants to touch the world meanwhile does so
// through Do. The methods of a Runner may be called from any goroutine.
type Runner struct {
	world   *sim.World
	clock   *clock
	queue   int
	wake    chan struct{} // a guest has sent something
	calls   chan call
	stop    chan struct{}
	stopped chan struct{} // the pump has ended
	err     error         // why, once stopped is closed

	// The pump's, to be touched within Do only.
	active  []*Guest // in order of attachment
	closing bool

	once sync.Once // Close
}

// call is work for the pump.
type call struct {
	fn   func(now int64)
	done chan struct{}
}

// NewRunner starts to run a world. Until Close the world belongs to the
// Runner.
func NewRunner(w *sim.World, cfg Config) (*Runner, error) {
	switch {
	case w == nil:
		return nil, errors.New("guest.NewRunner: no world")
	case cfg.Scale == 0:
		cfg.Scale = 1
	case !(cfg.Scale >= minScale && cfg.Scale <= maxScale):
		return nil, fmt.Errorf("guest.NewRunner: scale %g is not between %g and %g", cfg.Scale, minScale, float64(maxScale))
	}
	switch {
	case cfg.Queue == 0:
		cfg.Queue = DefaultQueue
	case cfg.Queue < 0 || cfg.Queue > maxQueue:
		return nil, fmt.Errorf("guest.NewRunner: queue of %d frames is not between 1 and %d", cfg.Queue, maxQueue)
	}
	r := &Runner{
		world: w, queue: cfg.Queue,
		clock:   newClock(w.Loop().Now(), cfg.Scale),
		wake:    make(chan struct{}, 1),
		calls:   make(chan call),
		stop:    make(chan struct{}),
		stopped: make(chan struct{}),
	}
	go r.pump()
	return r, nil
}

// Now is the virtual time. The world's own may be a moment behind, by as much
// as its work takes.
func (r *Runner) Now() time.Duration { return time.Duration(r.clock.now()) }

// Do calls fn where the world may be used: create networks, change links, read
// counters. now is the virtual time in nanoseconds. While fn runs nothing
// happens in the world, so fn must not wait for a guest, and must not call Do,
// Attach or Close. Do returns when fn has, or ErrClosed, or the error that
// ended the run.
func (r *Runner) Do(fn func(now int64)) error {
	c := call{fn, make(chan struct{})}
	select {
	case r.calls <- c:
	case <-r.stopped:
		return r.ended()
	}
	select {
	case <-c.done:
		return nil
	case <-r.stopped: // fn has ended the pump's goroutine
		return r.ended()
	}
}

// Err is what ended the run before Close: most often a fabric.RunawayError. It
// is nil while the Runner runs.
func (r *Runner) Err() error {
	select {
	case <-r.stopped:
		return r.err
	default:
		return nil
	}
}

func (r *Runner) ended() error {
	if r.err != nil {
		return r.err
	}
	return ErrClosed
}

// Close closes all guests and gives the world back to the caller, who may then
// use it from its own goroutine, at the virtual time that was reached. Frames
// may still be in flight. Close returns what ended the run before, if anything
// did; closing again is harmless.
func (r *Runner) Close() error {
	r.once.Do(func() {
		var guests []*Guest
		if r.Do(func(int64) { r.closing, guests = true, slices.Clone(r.active) }) != nil {
			guests = r.active // the pump has failed and touches nothing any more
		}
		for _, g := range guests {
			g.Close()
		}
		close(r.stop)
	})
	<-r.stopped
	return r.err
}

// pump is the goroutine that owns the world.
func (r *Runner) pump() {
	defer close(r.stopped)
	timer := time.NewTimer(idleWait)
	defer timer.Stop()
	for {
		busy, err := r.turn()
		if err == nil && busy {
			select {
			case <-r.stop:
				return
			case c := <-r.calls:
				err = r.call(c)
			default:
			}
		} else if err == nil {
			timer.Reset(r.sleep())
			select {
			case <-r.stop:
				return
			case c := <-r.calls:
				err = r.call(c)
			case <-r.wake:
			case <-timer.C:
			}
		}
		if err != nil {
			r.fail(err)
			return
		}
	}
}

// catchUp lets the world reach the time that the clock shows.
func (r *Runner) catchUp() (now int64, err error) {
	loop := r.world.Loop()
	now = max(loop.Now(), r.clock.now())
	_, err = loop.RunUntil(now, nil)
	return now, err
}

// turn lets the world catch up and takes what guests have sent. It reports
// whether there was any of it: then more may be there.
func (r *Runner) turn() (busy bool, err error) {
	now, err := r.catchUp()
	if err != nil {
		return false, err
	}
	for _, g := range r.active {
		for _, l := range g.links {
			busy = l.drain(now) || busy
		}
	}
	return busy, nil
}

// call runs a call at the present time, which a sleeping pump has not reached.
func (r *Runner) call(c call) error {
	now, err := r.catchUp()
	if err != nil {
		return err
	}
	c.fn(now)
	close(c.done)
	return nil
}

// sleep is how long nothing will happen in the world, on the wall clock.
func (r *Runner) sleep() time.Duration {
	at, ok := r.world.Loop().NextEvent()
	if !ok {
		return idleWait
	}
	return min(max(r.clock.wall(time.Duration(at-r.clock.now())), 0), idleWait)
}

// fail ends the run: nobody must wait for a world that stands still.
func (r *Runner) fail(err error) {
	r.err = fmt.Errorf("the world stopped: %w", err)
	for _, g := range r.active {
		g.unplug()
		g.release()
	}
	for _, g := range r.active {
		g.stack.Close() // wakes whoever waits for a connection
	}
}
