package compare

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/hcn"
)

// Transcript is what one side made of a scenario.
type Transcript struct {
	Steps []*Step
	// End is what was found at the end: broken invariants and what Close
	// reported. Nil if the scenario did not get there.
	End *End
	// VirtualTime and Drops are what the backend can do.
	VirtualTime, Drops bool
}

// Step is one line of the script that asked the world for something.
type Step struct {
	Line    int
	Command string
	Acts    bool
	Calls   []Call
	Seen    []backends.Observation // until the next line that acts
}

// Call is one request and its answer. Exactly one of HCN, Do, Node and Other
// says what it was.
type Call struct {
	Node    *backends.Node
	HCN     *backends.HCNOp
	Do      *backends.Stimulus
	Other   string // "host h1", "advance 4m1s"
	Result  backends.HCNResult
	Outcome backends.Outcome
	Err     error
}

// End is what was found when the world was closed.
type End struct{ Broken, Left []string }

// Watch is a backend whose worlds keep a transcript. It serves one run of one
// scenario.
type Watch struct {
	backends.Backend
	script Transcript
	world  *watched
	reads  []Step // the current line, if it does not act and asked for nothing yet
}

// NewWatch watches one run on b.
func NewWatch(b backends.Backend) *Watch {
	w := &Watch{Backend: b}
	for _, c := range b.Capabilities() {
		switch c {
		case backends.VirtualTime:
			w.script.VirtualTime = true
		case backends.DropReasons:
			w.script.Drops = true
		}
	}
	return w
}

// Capabilities are the backend's but for running programs: what those ask of
// HNS does not pass by here.
func (w *Watch) Capabilities() []backends.Capability {
	return slices.DeleteFunc(slices.Clone(w.Backend.Capabilities()), func(c backends.Capability) bool { return c == backends.Programs })
}

// WhyNot says why programs do not run.
func (w *Watch) WhyNot(c backends.Capability) string {
	if c == backends.Programs {
		return "what programs do is not compared, so none runs in a comparison"
	}
	if x, ok := w.Backend.(backends.Explainer); ok {
		return x.WhyNot(c)
	}
	return ""
}

// DropNames are those of the backend, if it knows them.
func (w *Watch) DropNames() []string {
	if n, ok := w.Backend.(backends.DropNamer); ok {
		return n.DropNames()
	}
	return nil
}

// Line says which line of the script is about to be carried out.
func (w *Watch) Line(n int, command string, acts bool) {
	w.collect()
	step := Step{Line: n, Command: command, Acts: acts}
	if acts {
		w.script.Steps = append(w.script.Steps, &step)
		w.reads = nil
		return
	}
	w.reads = []Step{step}
}

// Transcript is what was kept so far.
func (w *Watch) Transcript() *Transcript {
	w.collect()
	return &w.script
}

// collect gives what was seen meanwhile to the last line that acted.
func (w *Watch) collect() {
	if w.world == nil {
		return
	}
	all := w.world.Observations()
	for i := len(w.script.Steps) - 1; i >= 0; i-- {
		if s := w.script.Steps[i]; s.Acts {
			s.Seen = append(s.Seen, all[min(w.world.seen, len(all)):]...)
			break
		}
	}
	w.world.seen = len(all)
}

// add notes a call at the current line.
func (w *Watch) add(c Call) {
	for i := range w.reads {
		w.script.Steps = append(w.script.Steps, &w.reads[i])
	}
	w.reads = nil
	if n := len(w.script.Steps); n > 0 {
		w.script.Steps[n-1].Calls = append(w.script.Steps[n-1].Calls, c)
	}
}

// Open makes the world that is watched.
func (w *Watch) Open(ctx context.Context, cfg backends.WorldConfig) (backends.World, error) {
	inner, err := w.Backend.Open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	w.world = &watched{World: inner, watch: w}
	return w.world, nil
}

// Unwrap is the backend that is watched.
func (w *Watch) Unwrap() backends.Backend { return w.Backend }

// ForScenario keeps the transcript with the backend that a scenario asks for.
func (w *Watch) ForScenario(name string) backends.Backend {
	if by, ok := w.Backend.(backends.ByScenario); ok {
		w.Backend = by.ForScenario(name)
	}
	return w
}

type watched struct {
	backends.World
	watch *Watch
	seen  int
}

func (w *watched) AddNode(ctx context.Context, n backends.Node) error {
	err := w.World.AddNode(ctx, n)
	w.watch.add(Call{Node: &n, Err: err})
	return err
}

func (w *watched) SetLink(ctx context.Context, l backends.Link) error {
	err := w.World.SetLink(ctx, l)
	w.watch.add(Call{Other: "link " + l.Node, Err: err})
	return err
}

func (w *watched) HCN(ctx context.Context, op backends.HCNOp) (backends.HCNResult, error) {
	res, err := w.World.HCN(ctx, op)
	w.watch.add(Call{HCN: &op, Result: res, Err: err})
	return res, err
}

// SDN passes requests to the network controller on. Whether it refuses one is
// compared, and what packets do afterwards; its answers are not.
func (w *watched) SDN(ctx context.Context, op backends.SDNOp) (json.RawMessage, error) {
	err := fmt.Errorf("backend %s has no network controller", w.watch.Backend.Name())
	var doc json.RawMessage
	if ctl, ok := backends.ControllerOf(w.World); ok {
		doc, err = ctl.SDN(ctx, op)
	}
	w.watch.add(Call{Other: strings.TrimSpace("sdn " + op.Verb + " " + op.Path), Err: err})
	return doc, err
}

func (w *watched) AddContainer(ctx context.Context, c backends.Container) error {
	err := w.World.AddContainer(ctx, c)
	w.watch.add(Call{Other: "container " + c.Name, Err: err})
	return err
}

func (w *watched) Do(ctx context.Context, s backends.Stimulus) (backends.Outcome, error) {
	out, err := w.World.Do(ctx, s)
	w.watch.add(Call{Do: &s, Outcome: out, Err: err})
	return out, err
}

func (w *watched) Advance(ctx context.Context, d time.Duration) error {
	err := w.World.Advance(ctx, d)
	w.watch.add(Call{Other: "advance " + d.String(), Err: err})
	return err
}

func (w *watched) Set(ctx context.Context, s backends.Setting) error {
	err := w.World.Set(ctx, s)
	w.watch.add(Call{Other: "set " + s.Node + " " + s.Name, Err: err})
	return err
}

func (w *watched) Close(ctx context.Context) ([]string, error) {
	w.watch.collect()
	broken := w.World.Invariants()
	left, err := w.World.Close(ctx)
	w.watch.script.End = &End{broken, left}
	return left, err
}

// refusal is the code of a refusal by a service without HCN codes, or nothing.
func refusal(err error) string {
	var r *backends.RefusedError
	if errors.As(err, &r) {
		return r.Code
	}
	return ""
}

// trouble is an error that says nothing about the backend's behaviour: the
// request made no sense to it, it did not know the answer, or it broke down.
func trouble(err error) bool {
	var h *hcn.Error
	return err != nil && !errors.As(err, &h) && refusal(err) == ""
}
