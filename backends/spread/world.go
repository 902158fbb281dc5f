package spread

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/backends/codec"
)

// world is one topology in parts.
type world struct {
	b        *Backend
	cfg      backends.WorldConfig
	id       uint64
	begun    time.Time
	skipped  time.Duration
	parts    map[string]*part // by agent
	nodes    []placed
	where    map[string]*part // roles: nodes and containers
	segments map[string][]*part
	seen     []backends.Observation
	sent     map[string]bool // frames that have left somewhere, for the order
	ids      uint64
	closed   bool
}

// placed is a node and the part that has it.
type placed struct {
	node backends.Node
	part *part
}

// part is what an agent has of a world.
type part struct {
	m      *machine
	offset time.Duration // its clock plus this is the world's
	got    int           // observations that have come
	queue  []backends.Observation
}

func usage(format string, args ...any) error {
	return &backends.UsageError{Msg: fmt.Sprintf(format, args...)}
}

func unsupported(format string, args ...any) error {
	return &backends.UnsupportedError{Msg: fmt.Sprintf(format, args...)}
}

// ask has a part carry out a request; what was seen since comes with it.
func (w *world) ask(ctx context.Context, p *part, req *request) (*response, error) {
	req.World, req.From = w.id, p.got
	res, err := p.m.call(ctx, req)
	for more := res; more != nil; {
		w.take(p, more)
		if !more.More {
			break
		}
		var err error
		if more, err = p.m.call(ctx, &request{Op: opObserve, World: w.id, From: p.got}); err != nil {
			return nil, err
		}
	}
	return res, err
}

// take keeps the observations of a response, in the world's time.
func (w *world) take(p *part, res *response) {
	for _, o := range res.Seen {
		o.At += p.offset
		p.queue = append(p.queue, o)
	}
	p.got += len(res.Seen)
}

// all runs f for parts at the same time and joins the errors.
func all(parts []*part, f func(*part) error) error {
	errs := make([]error, len(parts))
	var wg sync.WaitGroup
	for i, p := range parts {
		wg.Go(func() { errs[i] = f(p) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// sorted are the parts in the order of agents.
func (w *world) sorted() []*part {
	var out []*part
	for _, name := range w.b.opt.Bed.AgentNames() {
		if p := w.parts[name]; p != nil {
			out = append(out, p)
		}
	}
	return out
}

// place finds the machine of a node and checks that its wires reach the others.
func (w *world) place(n *backends.Node) (*machine, error) {
	bed := w.b.opt.Bed
	role, ok := bed.Roles[n.Name]
	switch {
	case !ok:
		return nil, unsupported("the test bed has no machine for role %s", n.Name)
	case role.Kind != n.Kind:
		return nil, unsupported("role %s is a %s here; the test bed has a %s", n.Name, n.Kind, role.Kind)
	}
	m := w.b.machines[role.Agent]
	for _, i := range n.Ifaces {
		segment := segmentOf(i)
		for _, other := range w.segments[segment] {
			if other.m == m {
				continue
			}
			for _, end := range []*machine{m, other.m} {
				if end.wires[segment] == "" {
					return nil, unsupported("segment %s joins the agents %s and %s; the test bed has no wire for it at %s", segment, other.m.name, m.name, end.name)
				}
			}
		}
	}
	return m, nil
}

func segmentOf(i backends.Iface) string {
	if i.Segment == "" {
		return "lan"
	}
	return i.Segment
}

// partOn is the part of a machine, made when it is first needed.
func (w *world) partOn(ctx context.Context, m *machine) (*part, error) {
	if p := w.parts[m.name]; p != nil {
		return p, nil
	}
	p := &part{m: m}
	if _, err := w.ask(ctx, p, &request{Op: opOpen, Config: &w.cfg, Wires: m.wires}); err != nil {
		return nil, err
	}
	w.parts[m.name] = p
	if err := w.synchronise(ctx, p); err != nil {
		return nil, err
	}
	for _, n := range w.nodes {
		if _, err := w.ask(ctx, p, &request{Op: opElsewhere, Node: &n.node}); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// clockTries is how often the clock of a part is read: the quickest answer says
// it best.
const clockTries = 5

// synchronise measures how far a part's clock is from the world's. The error is
// at most half of the quickest exchange.
func (w *world) synchronise(ctx context.Context, p *part) error {
	best := time.Duration(-1)
	for range clockTries {
		before := w.Now()
		res, err := w.ask(ctx, p, &request{Op: opClock})
		if err != nil {
			return err
		}
		after := w.Now()
		if took := after - before; best < 0 || took < best {
			best, p.offset = took, before+took/2-res.Now
		}
	}
	return nil
}

// AddNode declares a node on the machine that the test bed has for it.
func (w *world) AddNode(ctx context.Context, n backends.Node) error {
	if w.where[n.Name] != nil {
		return usage("role %q exists already", n.Name)
	}
	m, err := w.place(&n)
	if err != nil {
		return err
	}
	p, err := w.partOn(ctx, m)
	if err != nil {
		return err
	}
	if _, err := w.ask(ctx, p, &request{Op: opNode, Node: &n}); err != nil {
		return err
	}
	w.where[n.Name] = p
	w.nodes = append(w.nodes, placed{n, p})
	for _, i := range n.Ifaces {
		if s := segmentOf(i); !slices.Contains(w.segments[s], p) {
			w.segments[s] = append(w.segments[s], p)
		}
	}
	for _, other := range w.sorted() {
		if other != p {
			if _, err := w.ask(ctx, other, &request{Op: opElsewhere, Node: &n}); err != nil {
				return err
			}
		}
	}
	return nil
}

// partOf is the part that has a role.
func (w *world) partOf(role string) (*part, error) {
	if p := w.where[role]; p != nil {
		return p, nil
	}
	return nil, usage("no role %q", role)
}

// SetLink changes the wire of a node.
func (w *world) SetLink(ctx context.Context, l backends.Link) error {
	p, err := w.partOf(l.Node)
	if err == nil {
		_, err = w.ask(ctx, p, &request{Op: opLink, Link: &l})
	}
	return err
}

// HCN carries out a control-plane operation on a host.
func (w *world) HCN(ctx context.Context, op backends.HCNOp) (backends.HCNResult, error) {
	p, err := w.partOf(op.Host)
	if err != nil {
		return backends.HCNResult{}, err
	}
	res, err := w.ask(ctx, p, &request{Op: opHCN, HCN: &codec.HCNArgs{HCNOp: op, Body: codec.Text(op.Body)}})
	w.merge()
	if err != nil {
		return backends.HCNResult{}, err
	}
	return backends.HCNResult{ID: res.Result.ID, Document: []byte(res.Result.Document)}, nil
}

// AddContainer makes a container role on the machine of its host.
func (w *world) AddContainer(ctx context.Context, c backends.Container) error {
	if w.where[c.Name] != nil {
		return usage("role %q exists already", c.Name)
	}
	p, err := w.partOf(c.Host)
	if err != nil {
		return err
	}
	if _, err := w.ask(ctx, p, &request{Op: opContainer, Container: &c}); err != nil {
		return err
	}
	w.where[c.Name] = p
	return w.settle(ctx, p, false)
}

// Do carries out a stimulus on the machine of its role, and waits until nothing
// moves on any.
func (w *world) Do(ctx context.Context, s backends.Stimulus) (backends.Outcome, error) {
	p, err := w.partOf(s.Role)
	if err != nil {
		return backends.Outcome{}, err
	}
	args := codec.StimulusOf(s)
	res, err := w.ask(ctx, p, &request{Op: opDo, Stimulus: &args})
	if err != nil {
		return backends.Outcome{}, err
	}
	out := res.Outcome.Outcome()
	w.ids++
	out.ID = w.ids // every part counts for itself
	// The part rests for a few milliseconds only after packets that it can
	// carry to their end alone; what the others send back takes longer.
	return out, w.settle(ctx, nil, false)
}

// longestRest ends the wait for a world that does not come to rest.
const longestRest = 5 * time.Second

// settle waits until nothing moves in any part. but has rested just now: if
// nobody else has seen anything it is not asked again.
func (w *world) settle(ctx context.Context, but *part, brief bool) error {
	end := time.Now().Add(longestRest)
	for round := 0; ; round++ {
		parts := w.sorted()
		if round == 0 {
			parts = slices.DeleteFunc(parts, func(p *part) bool { return p == but })
		}
		busy := make([]bool, len(parts))
		err := all(parts, func(p *part) error {
			res, err := w.ask(ctx, p, &request{Op: opSettle, Brief: brief})
			if err == nil {
				busy[slices.Index(parts, p)] = res.Busy
			}
			return err
		})
		if err != nil {
			return err
		}
		if !slices.Contains(busy, true) || time.Now().After(end) {
			break
		}
	}
	w.merge()
	return nil
}

// Advance lets time pass on all machines.
func (w *world) Advance(ctx context.Context, d time.Duration) error {
	if d < 0 {
		return usage("time does not run backwards: advance %v", d)
	}
	w.skipped += d
	err := all(w.sorted(), func(p *part) error {
		_, err := w.ask(ctx, p, &request{Op: opAdvance, For: d})
		return err
	})
	return errors.Join(err, w.settle(ctx, nil, false))
}

// Now is the time since the world was opened, and what Advance left out.
func (w *world) Now() time.Duration { return time.Since(w.begun) + w.skipped }

// Observations returns everything seen so far, in order.
func (w *world) Observations() []backends.Observation { return w.seen }

// EventHash is empty: real machines have their own time.
func (w *world) EventHash() string { return "" }

// Trace is empty: nobody follows a packet from machine to machine.
func (w *world) Trace(uint64) []string { return nil }

// Set changes something that is no document.
func (w *world) Set(ctx context.Context, s backends.Setting) error {
	p, err := w.partOf(s.Node)
	if err != nil {
		return err
	}
	if _, err := w.ask(ctx, p, &request{Op: opSet, Setting: &s}); err != nil {
		return err
	}
	return w.settle(ctx, p, false)
}

// Dump is that of the part whose role the view names.
func (w *world) Dump(ctx context.Context, what string) (string, error) {
	for _, word := range strings.Fields(what) {
		if p := w.where[word]; p != nil {
			res, err := w.ask(ctx, p, &request{Op: opDump, Text: what})
			if err != nil {
				return "", err
			}
			return res.Text, nil
		}
	}
	return "", unsupported("view %q names no role of this world", what)
}

// invariantTime is what asking for invariants may take.
const invariantTime = 10 * time.Second

// Invariants are those of all parts. A part that does not answer says so here.
func (w *world) Invariants() []string {
	ctx, cancel := context.WithTimeout(context.Background(), invariantTime)
	defer cancel()
	var out []string
	for _, p := range w.sorted() {
		res, err := w.ask(ctx, p, &request{Op: opInvariants})
		var lost *backends.LostError
		switch {
		case errors.As(err, &lost): // what asked last has said so
		case err != nil:
			out = append(out, err.Error())
		default:
			out = append(out, res.Lines...)
		}
	}
	return out
}

// Close takes all parts down.
func (w *world) Close(ctx context.Context) ([]string, error) {
	if w.closed {
		return nil, nil
	}
	w.closed = true
	defer func() { <-w.b.slot }()
	var mu sync.Mutex
	var left []string
	err := all(w.sorted(), func(p *part) error {
		res, err := w.ask(ctx, p, &request{Op: opClose})
		if res != nil {
			mu.Lock()
			defer mu.Unlock()
			for _, l := range res.Lines {
				left = append(left, p.m.name+": "+l)
			}
		}
		return err
	})
	slices.Sort(left)
	return left, err
}
