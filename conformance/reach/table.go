package reach

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/scenarios/script"
)

// maxCells bounds a table: each cell is a world.
const maxCells = 20000

// Config says what to find out.
type Config struct {
	Backend  backends.Backend
	Scenario *script.Scenario // its script is the set-up, to its end
	Options  script.Options
	Ports    []Port
	Expect   *Expectation // nil: nothing is expected
	Parallel int
}

// Cell is one question with its answer.
type Cell struct {
	From     string     `json:"from"`
	To       string     `json:"to"`
	Port     string     `json:"port"`
	Addr     netip.Addr `json:"address"`
	Open     bool       `json:"open"`
	Expected *bool      `json:"expected,omitempty"`
	Wrong    bool       `json:"wrong"`
	// Why says what keeps a closed cell closed: drop reason, place and rule, or
	// what the sender saw.
	Why string `json:"why,omitempty"`
}

// Table is the answer to all questions, in the order of the scenario's lines.
type Table struct {
	Scenario string   `json:"scenario"`
	Places   []*Place `json:"places"`
	Cells    []Cell   `json:"cells"`
	Wrong    int      `json:"wrong"`
}

type question struct {
	from, to *Place
	addr     netip.Addr
	port     Port
}

// Find makes the table.
func Find(ctx context.Context, cfg Config) (*Table, error) {
	cfg.Options.Tracing = true
	first, err := build(ctx, cfg.Backend, cfg.Scenario, cfg.Options)
	if err != nil {
		return nil, err
	}
	questions := ask(first.places, cfg.Ports)
	_, _ = first.Close(ctx)
	if len(questions) == 0 {
		return nil, errors.New("nobody is there to reach or to be reached: the set-up makes no two places with addresses")
	}
	if len(questions) > maxCells {
		return nil, errors.New("more than 20000 cells: name fewer ports, or take a smaller world")
	}
	t := &Table{Scenario: cfg.Scenario.ID, Places: first.places, Cells: make([]Cell, len(questions))}
	if err := t.fill(ctx, cfg, questions); err != nil {
		return nil, err
	}
	for i := range t.Cells {
		c := &t.Cells[i]
		if want, ok := cfg.Expect.Of(c.From, c.To, c.Port); ok {
			c.Expected, c.Wrong = &want, want != c.Open
		}
		if c.Wrong {
			t.Wrong++
		}
	}
	return t, cfg.Expect.Unused()
}

// fill answers the questions, several at a time.
func (t *Table) fill(ctx context.Context, cfg Config, questions []question) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	work := make(chan int)
	var wg sync.WaitGroup
	for range max(cfg.Parallel, 1) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range work {
				c, err := one(ctx, cfg, questions[i])
				if err != nil {
					cancel(err)
				}
				t.Cells[i] = c
			}
		}()
	}
	for i := range questions {
		if ctx.Err() != nil {
			break
		}
		work <- i
	}
	close(work)
	wg.Wait()
	return context.Cause(ctx)
}

// one answers a question in a world of its own.
func one(ctx context.Context, cfg Config, q question) (Cell, error) {
	c := Cell{From: q.from.Name, To: q.to.Name, Port: q.port.String(), Addr: q.addr}
	if slices.Contains(q.from.Addrs, q.addr) {
		c.Why = "the sender has that address itself"
		return c, nil
	}
	w, err := build(ctx, cfg.Backend, cfg.Scenario, cfg.Options)
	if err != nil {
		return c, err
	}
	defer func() { _, _ = w.Close(ctx) }()
	ports := w.internal
	ports[q.port.String()] = true
	if err := serve(ctx, w, ports); err != nil {
		return c, err
	}
	a := &attempt{w: w, from: q.from, to: q.to, addr: q.addr, port: q.port}
	o, err := a.run(ctx)
	c.Open, c.Why = o.open, o.why()
	return c, err
}

// ask lists the questions: every place that sends, to every other, once for
// each family that both have; services are asked for their own port.
func ask(places []*Place, ports []Port) []question {
	var out []question
	for _, from := range places {
		if !from.sends() {
			continue
		}
		for _, to := range places {
			if to == from || to.between() {
				continue
			}
			asked := ports
			if to.Port != nil {
				asked = []Port{*to.Port}
			}
			for _, port := range asked {
				if addr, ok := common(from, to); ok {
					out = append(out, question{from, to, addr, port})
				}
			}
		}
	}
	return out
}

// common is the first address of to whose family from has as well.
func common(from, to *Place) (netip.Addr, bool) {
	for _, a := range to.Addrs {
		for _, b := range from.Addrs {
			if a.Is4() == b.Is4() {
				return a, true
			}
		}
	}
	return netip.Addr{}, false
}
