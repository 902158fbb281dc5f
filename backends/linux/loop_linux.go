package linux

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/wire"
)

// quietFor is how long nothing may be seen for a world to be at rest. Packets
// cross pairs of virtual interfaces within microseconds; what takes longer are
// this program's own answers.
const quietFor = 15 * time.Millisecond

// sendsFor is enough where nobody in this process answers: the kernel carries a
// packet to its end before the call that sent it returns.
const sendsFor = 4 * time.Millisecond

// longestRest ends the wait for a world that does not come to rest.
const longestRest = 3 * time.Second

// source is something that the loop waits for.
type source interface {
	descriptor() (fd int, events int16)
	// ready takes what there is, and reports whether there was something.
	ready(l *loop) (bool, error)
}

// loop waits for captures, logs and sockets, all in one goroutine.
type loop struct {
	sources []source
	pending []sighting
	buf     []byte
	late    time.Duration // by which waits overran lately: how busy the machine is
	active  time.Time     // when something happened last
}

func (l *loop) add(s source) { l.sources = append(l.sources, s) }

func (l *loop) forget(s source) {
	l.sources = without(l.sources, func(o source) bool { return o == s })
}

func (l *loop) note(s sighting) { l.pending = append(l.pending, s) }

// serves reports whether a socket of this process may answer.
func (l *loop) serves() bool {
	return slices.ContainsFunc(l.sources, func(s source) bool {
		switch s.(type) {
		case *capture, *dropLog:
			return false
		}
		return true
	})
}

// capture begins to capture in a namespace.
func (l *loop) capture(s *space) (*capture, error) {
	c, err := s.watch()
	if err == nil {
		l.add(c)
	}
	return c, err
}

// dropped begins to read what rules of a namespace discard.
func (l *loop) dropped(s *space, node string, place func(string) string) (*dropLog, error) {
	d, err := s.watchDrops(node, place)
	if err == nil {
		l.add(d)
	}
	return d, err
}

// once waits for at most d and handles what is there.
func (l *loop) once(d time.Duration) (bool, error) {
	fds := make([]unix.PollFd, len(l.sources))
	for i, s := range l.sources {
		fd, events := s.descriptor()
		fds[i] = unix.PollFd{Fd: int32(fd), Events: events}
	}
	wait := max(int(d.Milliseconds()), 0)
	begun := time.Now()
	n, err := unix.Poll(fds, wait)
	if n == 0 {
		l.late = max(time.Since(begun)-time.Duration(wait)*time.Millisecond, l.late*7/8)
	}
	if err != nil && !errors.Is(err, unix.EINTR) {
		return false, fmt.Errorf("waiting for packets: %w", err)
	}
	if n <= 0 {
		return false, nil
	}
	if l.buf == nil {
		l.buf = make([]byte, maxFrame)
	}
	any := false
	var errs []error
	for i, s := range slices.Clone(l.sources) {
		if fds[i].Revents == 0 {
			continue
		}
		did, err := s.ready(l)
		any = any || did
		errs = append(errs, err)
	}
	if any {
		l.active = time.Now()
	}
	return any, errors.Join(errs...)
}

// quietSince runs the loop until nothing has happened for d, which may be over
// already.
func (l *loop) quietSince(d time.Duration) error {
	d += min(4*l.late, 20*d)
	end := time.Now().Add(longestRest)
	for {
		did, err := l.once(0)
		if err != nil {
			return err
		}
		left := d - time.Since(l.active)
		if !did && left <= 0 || time.Now().After(end) {
			return nil
		}
		if _, err := l.once(max(left, 0) + time.Millisecond); err != nil {
			return err
		}
	}
}

// until runs the loop until done, at most for d.
func (l *loop) until(d time.Duration, done func() bool) error {
	end := time.Now().Add(d)
	for !done() {
		left := time.Until(end)
		if left <= 0 {
			return nil
		}
		if _, err := l.once(min(left, 10*time.Millisecond)); err != nil {
			return err
		}
	}
	return nil
}

// quiet runs the loop until nothing has happened for d, longer on a machine
// that is late with everything: the kernel's own threads are late there, too.
func (l *loop) quiet(d time.Duration) error {
	d += min(4*l.late, 20*d)
	end := time.Now().Add(longestRest)
	last := time.Now()
	for time.Since(last) < d && time.Now().Before(end) {
		did, err := l.once(d - time.Since(last) + time.Millisecond)
		if err != nil {
			return err
		}
		if did {
			last = time.Now()
		}
	}
	return nil
}

func (l *loop) close() {
	for _, s := range l.sources {
		fd, _ := s.descriptor()
		unix.Close(fd)
	}
	l.sources = nil
}

func (c *capture) descriptor() (int, int16)    { return c.fd, unix.POLLIN }
func (c *capture) ready(l *loop) (bool, error) { return c.read(l.buf, l.note) }
func (d *dropLog) descriptor() (int, int16)    { return d.fd, unix.POLLIN }
func (d *dropLog) ready(l *loop) (bool, error) { return d.read(l.buf, l.note) }

// rest lets everything that is in flight arrive, and records what was seen.
func (w *world) rest() error { return w.settle(quietFor) }

func (w *world) settle(d time.Duration) error {
	err := w.loop.quiet(d)
	w.record()
	return err
}

// record turns sightings into observations, in the order of the kernel's time
// stamps: they come from several sockets.
func (w *world) record() {
	slices.SortStableFunc(w.loop.pending, func(a, b sighting) int { return a.at.Compare(b.at) })
	for _, s := range w.hidden(w.loop.pending) {
		w.seen = append(w.seen, backends.Observation{Seq: len(w.seen), At: w.time.contract(s.at), Kind: s.kind,
			Role: s.role, Peer: s.peer, Frame: s.frame, Reason: s.reason, Where: s.where})
		if s.kind == backends.OnWire {
			w.checkWire(s)
		}
	}
	w.loop.pending = nil
}

// maxBroken bounds the list of violations: one cause shows in every packet.
const maxBroken = 20

// checkWire holds that checksums on the wires of hosts are valid (VS-43).
func (w *world) checkWire(s sighting) {
	nd := w.nodes[s.role]
	if nd == nil || nd.host == nil || w.inject || len(w.broken) >= maxBroken {
		return
	}
	if err := wire.VerifyChecksums(s.frame); err != nil {
		w.broken = append(w.broken, fmt.Sprintf("wire of %s: %v in %s", s.role, err, wire.Summary(s.frame)))
	}
}
