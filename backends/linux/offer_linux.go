package linux

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/backends/linux/ring"
)

var _ backends.Offerer = (*world)(nil)

// Offers says what a trial includes.
func (w *world) Offers() string {
	return "real time, one direction: frames leave a ring of AF_PACKET in the sender's namespace and cross veth pairs, bridges, nftables and tunnels of the kernel up to the receiver's NIC, sender and receiver sharing this machine's CPUs with what they measure; " +
		"latency is from writing the frame into the ring (in bursts of at most 64) to the kernel's receive time stamp"
}

// stragglers is how long nothing may arrive before a trial ends.
const stragglers = 50 * time.Millisecond

// Offer sends frames at a rate and counts what the roles at the other end get.
// The captures of the world see nothing meanwhile.
func (w *world) Offer(ctx context.Context, l backends.Load) (d backends.Delivery, err error) {
	n := l.Rate * l.For.Seconds()
	if len(l.Frames) == 0 || n < 1 || n > 1<<31 {
		return d, usage("a load of %g frames/s for %v with %d frames in turn: expected 1 to 2^31 frames", l.Rate, l.For, len(l.Frames))
	}
	resume, err := w.lookAway()
	defer func() { err = errors.Join(err, resume()) }()
	if err != nil {
		return d, err
	}
	if err := w.rigUp(&l); err != nil {
		return d, err
	}
	return w.rig.trial(ctx, l)
}

// rig is what stands at both ends of a path. It stays from trial to trial: to
// make rings takes the kernel longer than a short trial.
type rig struct {
	from    string
	to      []string
	longest int
	s       *ring.Sender
	rs      []*ring.Receiver
	trials  uint64
}

// rigUp puts up the rig of a load, unless it stands.
func (w *world) rigUp(l *backends.Load) error {
	longest := 0
	for _, f := range l.Frames {
		longest = max(longest, len(f))
	}
	if g := w.rig; g != nil && g.from == l.From && slices.Equal(g.to, l.To) && g.longest == longest {
		return nil
	}
	w.rig.close()
	g := &rig{from: l.From, to: slices.Clone(l.To), longest: longest}
	w.rig = g
	err := w.onNIC(l.From, func(ifindex int) (err error) {
		g.s, err = ring.OpenSender(ifindex, longest)
		return err
	})
	for _, to := range l.To {
		if err != nil {
			break
		}
		err = w.onNIC(to, func(ifindex int) error {
			r, err := ring.OpenReceiver(ifindex)
			if err == nil {
				g.rs = append(g.rs, r)
			}
			return err
		})
	}
	if err != nil {
		g.close()
		w.rig = nil
	}
	return err
}

func (g *rig) close() {
	if g == nil {
		return
	}
	if g.s != nil {
		g.s.Close()
	}
	for _, r := range g.rs {
		r.Close()
	}
}

// onNIC runs f in a role's namespace with the number of its interface.
func (w *world) onNIC(role string, f func(ifindex int) error) error {
	in, dev, err := w.role(role)
	if err != nil {
		return err
	}
	link, err := in.link(dev)
	if err != nil {
		return err
	}
	if err := in.do(func() error { return f(link.Attrs().Index) }); err != nil {
		return fmt.Errorf("load at %s: %w", role, err)
	}
	return nil
}

// trialBits is where the trial's number is in a frame's: what is late of one
// trial does not count in the next.
const trialBits = 32

// trial sends and counts side by side.
func (g *rig) trial(ctx context.Context, l backends.Load) (backends.Delivery, error) {
	g.trials++
	base := g.trials % (1 << 15) << trialBits
	rs := g.rs
	t := backends.NewLoadTally(uint64(l.Rate * l.For.Seconds()))
	done := make(chan error, 1)
	go func() {
		var err error
		t.Sent, t.Took, err = g.s.Send(ctx, ring.Schedule{Frames: l.Frames, Rate: l.Rate, For: l.For, Mark: func(frame []byte, seq uint64) {
			backends.MarkLoad(frame, base|seq, time.Duration(time.Now().UnixNano()))
		}})
		done <- err
	}()
	count := func(frame []byte, at time.Duration) {
		if seq, sent, ok := backends.ReadLoadMark(frame); ok && seq>>trialBits == base>>trialBits {
			t.Arrived(seq&(1<<trialBits-1), max(0, at-sent))
		}
	}
	sending, last := true, time.Now()
	for sending || time.Since(last) < stragglers && t.Received-t.Twice < t.Sent {
		for _, r := range rs {
			// With several to look at none may be waited for long.
			some, err := r.Take(10*time.Millisecond/time.Duration(len(rs)), count)
			if err != nil {
				if sending {
					err = errors.Join(err, <-done)
				}
				return t.Delivery, err
			}
			if some {
				last = time.Now()
			}
		}
		if sending {
			select {
			case err := <-done:
				if err != nil {
					return t.Delivery, err
				}
				sending, last = false, time.Now()
			default:
			}
		}
	}
	return t.Delivery, lostByCounter(rs, &t.Delivery)
}

// lostByCounter notes the frames that the counter itself lost: nobody knows
// whose loss they were.
func lostByCounter(rs []*ring.Receiver, d *backends.Delivery) error {
	lost := uint64(0)
	for _, r := range rs {
		n, err := r.Lost()
		if err != nil {
			return err
		}
		lost += n
	}
	d.Uncounted = lost
	return nil
}

// lookAway turns the captures of all interfaces off, which would cost time for
// every frame, by tying them to loopback interfaces. resume turns them on again.
func (w *world) lookAway() (resume func() error, err error) {
	var captures []*capture
	for _, s := range w.loop.sources {
		if c, ok := s.(*capture); ok {
			captures = append(captures, c)
		}
	}
	const loopback, every = 1, 0
	turn := func(ifindex int) error {
		var errs []error
		for _, c := range captures {
			errs = append(errs, unix.Bind(c.fd, &unix.SockaddrLinklayer{Protocol: hostToNet(unix.ETH_P_ALL), Ifindex: ifindex}))
		}
		return errors.Join(errs...)
	}
	return func() error {
		// What they saw before they looked away is nobody's observation.
		err := w.forgetSeen(captures)
		return errors.Join(err, turn(every))
	}, turn(loopback)
}

func (w *world) forgetSeen(captures []*capture) error {
	if w.loop.buf == nil {
		w.loop.buf = make([]byte, maxFrame)
	}
	for _, c := range captures {
		if _, err := c.read(w.loop.buf, func(sighting) {}); err != nil && !strings.Contains(err.Error(), "the capture lost") {
			return err
		}
	}
	return nil
}
