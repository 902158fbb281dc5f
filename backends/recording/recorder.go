package recording

import (
	"bytes"
	"context"
	"encoding/json"
	"hash/maphash"
	"slices"
	"time"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/backends/codec"
)

// Wrap puts a recorder around b: its worlds do what those of b do, and
// everything that they are asked and answer goes into w.
func Wrap(b backends.Backend, w *Writer) backends.Backend { return &recorder{Backend: b, w: w} }

// Describe makes the header for a backend.
func Describe(b backends.Backend, profile string) (Header, error) {
	h := Header{Backend: b.Name(), Capabilities: recordable(b), Profile: profile}
	if n, ok := b.(backends.DropNamer); ok {
		h.DropNames = n.DropNames()
	}
	if d, ok := b.(backends.Deviator); ok {
		file, text := d.Deviations()
		h.Deviations = &Deviations{file, string(text)}
	}
	var err error
	h.Features, err = b.Features(profile)
	return h, err
}

type recorder struct {
	backends.Backend
	w        *Writer
	scenario string
}

// Unwrap is the backend that is recorded.
func (r *recorder) Unwrap() backends.Backend { return r.Backend }

// ForScenario names the scenario that the next worlds belong to.
func (r *recorder) ForScenario(name string) backends.Backend {
	inner := r.Backend
	if by, ok := inner.(backends.ByScenario); ok {
		inner = by.ForScenario(name)
	}
	return &recorder{inner, r.w, name}
}

// recordable are the backend's capabilities but for running programs and the
// network controller: what they are asked is not part of a recording.
func recordable(b backends.Backend) []backends.Capability {
	return slices.DeleteFunc(slices.Clone(b.Capabilities()), func(c backends.Capability) bool {
		return c == backends.Programs || c == backends.SDN
	})
}

func (r *recorder) Capabilities() []backends.Capability { return recordable(r.Backend) }

// WhyNot says why programs do not run, and tenant networks do not exist, while
// something is recorded.
func (r *recorder) WhyNot(c backends.Capability) string {
	if c == backends.SDN {
		return "requests to a network controller are not part of a recording, so none is made while one is made; hnsim diff compares them between two backends"
	}
	if c == backends.Programs {
		return "what programs ask is not part of a recording, so none runs while one is made"
	}
	if x, ok := r.Backend.(backends.Explainer); ok {
		return x.WhyNot(c)
	}
	return ""
}

// Deviations are those of the backend, if it declares any.
func (r *recorder) Deviations() (file string, text []byte) {
	if d, ok := r.Backend.(backends.Deviator); ok {
		return d.Deviations()
	}
	return "", nil
}

// DropNames are those of the backend, if it knows them.
func (r *recorder) DropNames() []string {
	if n, ok := r.Backend.(backends.DropNamer); ok {
		return n.DropNames()
	}
	return nil
}

func (r *recorder) Open(ctx context.Context, cfg backends.WorldConfig) (backends.World, error) {
	inner, err := r.Backend.Open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return &world{World: inner, w: r.w, n: r.w.open(opening{r.scenario, cfg}), at: map[uint64]int{}}, nil
}

// world records one world.
type world struct {
	backends.World
	w    *Writer
	n    int
	seen int            // observations that are recorded
	at   map[uint64]int // hash of a frame -> the last observation that wrote it
}

var _ backends.Measurer = (*world)(nil)

// note records a call with what was seen since the last one.
func (w *world) note(c Call, result any, err error) {
	rec := &record{World: w.n, Call: c.Name, Args: json.RawMessage(c.Args), Error: codec.FaultOf(err), NowNs: int64(w.Now())}
	if result != nil {
		var bad error
		if rec.Result, bad = json.Marshal(result); bad != nil {
			w.w.fail(bad)
		}
	}
	w.w.add(append([]*record{rec}, w.news()...)...)
}

// news are the observations that are not recorded yet.
func (w *world) news() []*record {
	all := w.World.Observations()
	var out []*record
	for ; w.seen < len(all); w.seen++ {
		o := &all[w.seen]
		s := &seenRecord{AtNs: int64(o.At), Kind: o.Kind, Role: o.Role, Peer: o.Peer, Where: o.Where, Reason: o.Reason, ID: o.ID}
		key := maphash.Bytes(frameSeed, o.Frame)
		if at, ok := w.at[key]; ok && bytes.Equal(all[at].Frame, o.Frame) {
			s.As = at + 1
		} else {
			s.Frame, w.at[key] = o.Frame, w.seen
		}
		out = append(out, &record{World: w.n, Seen: s})
	}
	return out
}

// frameSeed is for finding frames again, not for anything that is written.
var frameSeed = maphash.MakeSeed()

func (w *world) AddNode(ctx context.Context, n backends.Node) error {
	err := w.World.AddNode(ctx, n)
	w.note(AddNode(n), nil, err)
	return err
}

func (w *world) SetLink(ctx context.Context, l backends.Link) error {
	err := w.World.SetLink(ctx, l)
	w.note(SetLink(l), nil, err)
	return err
}

func (w *world) HCN(ctx context.Context, op backends.HCNOp) (backends.HCNResult, error) {
	res, err := w.World.HCN(ctx, op)
	w.note(HCN(op), codec.HCNAnswer{ID: res.ID, Document: codec.Text(res.Document)}, err)
	return res, err
}

func (w *world) AddContainer(ctx context.Context, c backends.Container) error {
	err := w.World.AddContainer(ctx, c)
	w.note(AddContainer(c), nil, err)
	return err
}

func (w *world) Do(ctx context.Context, s backends.Stimulus) (backends.Outcome, error) {
	out, err := w.World.Do(ctx, s)
	w.note(Do(s), codec.OutcomeOf(out), err)
	return out, err
}

func (w *world) Advance(ctx context.Context, d time.Duration) error {
	err := w.World.Advance(ctx, d)
	w.note(Advance(d), nil, err)
	return err
}

func (w *world) Set(ctx context.Context, s backends.Setting) error {
	err := w.World.Set(ctx, s)
	w.note(Set(s), nil, err)
	return err
}

// Observations also records what came between two calls, as it does on
// backends that run in real time.
func (w *world) Observations() []backends.Observation {
	all := w.World.Observations()
	if w.seen < len(all) {
		w.w.add(w.news()...)
	}
	return all
}

func (w *world) Trace(id uint64) []string {
	lines := w.World.Trace(id)
	w.note(Trace(id), lines, nil)
	return lines
}

func (w *world) EventHash() string {
	hash := w.World.EventHash()
	w.note(EventHash(), hash, nil)
	return hash
}

func (w *world) Dump(ctx context.Context, what string) (string, error) {
	out, err := w.World.Dump(ctx, what)
	w.note(Dump(what), codec.Text(out), err)
	return out, err
}

func (w *world) Invariants() []string {
	broken := w.World.Invariants()
	w.note(Invariants(), broken, nil)
	return broken
}

// Measurements are those of a world that has some.
func (w *world) Measurements() map[string]time.Duration {
	m, ok := w.World.(backends.Measurer)
	if !ok {
		return nil
	}
	got := m.Measurements()
	w.note(Measurements(), got, nil)
	return got
}

// Close first asks what held to the end and how long things took, whether
// anybody else does or not.
func (w *world) Close(ctx context.Context) ([]string, error) {
	w.Invariants()
	w.Measurements()
	left, err := w.World.Close(ctx)
	w.note(Close(), left, err)
	return left, err
}
