package replay

import (
	"context"
	"fmt"
	"time"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/backends/recording"
)

// world answers from the record of one world.
type world struct {
	rec  *recording.World
	at   int // entries that are behind us
	seen []backends.Observation
	now  time.Duration
	lost error // once a call is not in the recording, none that follows is
	torn func() string
}

// next answers a call that changes something: it must be what was recorded
// next.
func (w *world) next(c recording.Call) (*recording.Entry, error) {
	if w.lost != nil {
		return nil, w.lost
	}
	for w.at < len(w.rec.Entries) && w.rec.Entries[w.at].Call.Asks() {
		w.pass()
	}
	switch {
	case w.at == len(w.rec.Entries):
		ends := "ends"
		if w.torn != nil && c != recording.Close() { // by then everything has been answered
			ends = w.torn()
		}
		w.lost = absent("it %s before %s", ends, c)
	case w.rec.Entries[w.at].Call != c:
		w.lost = absent("it goes on with %s, asked for is %s", w.rec.Entries[w.at].Call, c)
	default:
		e := w.pass()
		return e, e.Err
	}
	return nil, w.lost
}

func absent(format string, args ...any) error {
	return &backends.UnansweredError{Msg: "not in the recording: " + fmt.Sprintf(format, args...)}
}

// pass takes the next entry, with what was seen then.
func (w *world) pass() *recording.Entry {
	e := &w.rec.Entries[w.at]
	w.at++
	w.now = e.Now
	for _, o := range e.Seen {
		o.Seq = len(w.seen)
		w.seen = append(w.seen, o)
	}
	return e
}

// ask finds the answer to a question: the one that was given in the same state
// of the world, which is between the calls behind us and the next one.
func (w *world) ask(c recording.Call) *recording.Entry {
	for i := w.at; i < len(w.rec.Entries) && w.rec.Entries[i].Call.Asks(); i++ {
		if w.rec.Entries[i].Call == c {
			return &w.rec.Entries[i]
		}
	}
	for i := w.at - 1; i >= 0 && w.rec.Entries[i].Call.Asks(); i-- {
		if w.rec.Entries[i].Call == c {
			return &w.rec.Entries[i]
		}
	}
	return nil
}

func (w *world) AddNode(_ context.Context, n backends.Node) error {
	_, err := w.next(recording.AddNode(n))
	return err
}

func (w *world) SetLink(_ context.Context, l backends.Link) error {
	_, err := w.next(recording.SetLink(l))
	return err
}

func (w *world) HCN(_ context.Context, op backends.HCNOp) (backends.HCNResult, error) {
	e, err := w.next(recording.HCN(op))
	if e == nil {
		return backends.HCNResult{}, err
	}
	return e.HCN, err
}

func (w *world) AddContainer(_ context.Context, c backends.Container) error {
	_, err := w.next(recording.AddContainer(c))
	return err
}

func (w *world) Do(_ context.Context, s backends.Stimulus) (backends.Outcome, error) {
	e, err := w.next(recording.Do(s))
	if e == nil {
		return backends.Outcome{}, err
	}
	return e.Outcome, err
}

func (w *world) Advance(_ context.Context, d time.Duration) error {
	_, err := w.next(recording.Advance(d))
	return err
}

func (w *world) Set(_ context.Context, s backends.Setting) error {
	_, err := w.next(recording.Set(s))
	return err
}

func (w *world) Now() time.Duration { return w.now }

func (w *world) Observations() []backends.Observation { return w.seen }

// Trace finds a trace that was asked for at any time: a packet has one walk.
func (w *world) Trace(id uint64) []string {
	c := recording.Trace(id)
	for i := range w.rec.Entries {
		if w.rec.Entries[i].Call == c {
			return w.rec.Entries[i].Lines
		}
	}
	return nil
}

func (w *world) EventHash() string {
	if e := w.ask(recording.EventHash()); e != nil {
		return e.Text
	}
	return ""
}

func (w *world) Dump(_ context.Context, what string) (string, error) {
	c := recording.Dump(what)
	if e := w.ask(c); e != nil {
		return e.Text, e.Err
	}
	return "", absent("nobody asked for %s here", c)
}

func (w *world) Invariants() []string {
	if e := w.ask(recording.Invariants()); e != nil {
		return e.Lines
	}
	return nil
}

// Measurements are those of the world that was recorded.
func (w *world) Measurements() map[string]time.Duration {
	if e := w.ask(recording.Measurements()); e != nil {
		return e.Took
	}
	return nil
}

// Close reports what the recorded world left behind. A replay itself leaves
// nothing, so one that stopped early closes without complaint.
func (w *world) Close(context.Context) ([]string, error) {
	if w.lost != nil {
		return nil, nil
	}
	e, err := w.next(recording.Close())
	if e == nil {
		return nil, nil
	}
	return e.Lines, err
}
