package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/conformance/bench/histogram"
	"github.com/hnsim/hnsim/reports"
)

// Config says what to measure.
type Config struct {
	Backend backends.Backend
	World   backends.WorldConfig // profile, seed, knobs
	Paths   []Path
	Sizes   []string
	Flows   []int // none: a choice for each path
	Dists   []string
	Traces  []bool
	Workers []int

	Count  int           // samples of each cell
	Sample time.Duration // length of one, at least

	// Baseline or Rival, when set, is compared with; Gate says that the outcome
	// decides.
	Baseline Baseline
	Rival    *Rival
	Gate     bool
	// SelfTest measures every cell against itself with SlowBy planted in the
	// second of each pair: a gate that works says slower.
	SelfTest bool
	// Limit gives the C limit's figure for a row, or 0.
	Limit func(ctx context.Context, row string, flows, size int) float64
	// Progress is told about every cell that is done.
	Progress func(done, total int, c *reports.BenchCell)
}

// SlowBy is the share of a cell's time that the self-test adds to it.
const SlowBy = 0.10

// Baseline is what a run is compared with.
type Baseline interface {
	// Sample is the i'th sample of a cell. ok is false if it has none.
	Sample(ctx context.Context, c *reports.BenchCell, i int) (s reports.BenchSample, allocs float64, ok bool, err error)
}

// Stored is a baseline of an earlier run.
type Stored struct{ *reports.Bench }

// Sample is the one that was stored.
func (s Stored) Sample(_ context.Context, c *reports.BenchCell, i int) (reports.BenchSample, float64, bool, error) {
	old := s.Cell(c.Name())
	if old == nil || i >= len(old.Samples) {
		return reports.BenchSample{}, 0, false, nil
	}
	return old.Samples[i], old.Allocs, true, nil
}

// cellSpec is one combination.
type cellSpec struct {
	path    Path
	size    string
	flows   int
	dist    string
	trace   bool
	workers int
}

// cells are the combinations, in the order of reports.
func (c *Config) cells() []cellSpec {
	var out []cellSpec
	for _, p := range c.Paths {
		for _, size := range c.Sizes {
			for _, flows := range c.flowsOf(&p) {
				for _, dist := range c.Dists {
					for _, trace := range c.Traces {
						for _, workers := range c.Workers {
							if p.First && dist != c.Dists[0] {
								continue // every flow comes once
							}
							out = append(out, cellSpec{p, size, flows, dist, trace, workers})
						}
					}
				}
			}
		}
	}
	return out
}

// flowsOf are the numbers of flows of a path: those that were asked for, or
// what tells most in little time.
func (c *Config) flowsOf(p *Path) []int {
	switch {
	case len(c.Flows) > 0:
		return c.Flows
	case p.First && p.vary.flows() > 100_000:
		return []int{100_000}
	case p.First:
		return []int{10_000}
	case p.Limit != "" && p.vary.flows() > 100_000:
		return []int{1000, 100_000}
	}
	return []int{1000}
}

// Validate reports what makes no sense.
func (c *Config) Validate() error {
	for _, s := range c.Sizes {
		if _, err := parseSize(s); err != nil {
			return err
		}
	}
	for _, d := range c.Dists {
		if _, err := picker(d, 1, 0); err != nil {
			return err
		}
	}
	for _, f := range c.Flows {
		if f < 1 || f > maxFlows {
			return fmt.Errorf("%d flows: expected 1 to %d", f, maxFlows)
		}
	}
	for _, w := range c.Workers {
		if w < 1 || w > 64 {
			return fmt.Errorf("%d workers: expected 1 to 64", w)
		}
	}
	switch {
	case c.Count < 1:
		return fmt.Errorf("%d samples: expected at least one", c.Count)
	case c.Gate && c.Baseline == nil && c.Rival == nil:
		return errors.New("a gate needs a baseline to compare with")
	case (c.Gate || c.SelfTest) && c.Count < MinPairs:
		return fmt.Errorf("%d samples: a gate needs at least %d", c.Count, MinPairs)
	}
	if len(c.cells()) == 0 {
		return errors.New("nothing is selected")
	}
	return nil
}

const maxFlows = 4_000_000

// Cost measures all cells in a closed loop. A path that cannot be measured does
// not keep the others from it: its cell says why. When ctx ends, what was
// measured so far is returned.
func Cost(ctx context.Context, cfg Config) (*reports.Bench, error) {
	out := &reports.Bench{Schema: reports.BenchSchema, Kind: "cost", Backend: cfg.Backend.Name(), Profile: cfg.World.Profile,
		Machine: machine(), SelfTest: cfg.SelfTest, Notes: costNotes()}
	specs := cfg.cells()
	for i, s := range specs {
		if ctx.Err() != nil {
			out.Interrupted = true
			break
		}
		cell, err := cfg.measure(ctx, s)
		if ctx.Err() != nil && (err != nil || len(cell.Samples) == 0) {
			out.Interrupted = true
			break
		}
		if err != nil {
			cell.Error, cell.Samples = err.Error(), nil
		}
		out.Cells = append(out.Cells, cell)
		if cfg.Progress != nil {
			cfg.Progress(i+1, len(specs), &cell)
		}
	}
	out.Verdict = verdict(out.Cells)
	return out, nil
}

// costNotes say what the figures include.
func costNotes() []string {
	return []string{
		"one packet: its head (128 bytes, 64 of frames that short) copied into the batch, then everything a host does with it, port security, VLAN, ACLs, layers, flow tables, counters, drop reasons included, until it is out by the wire or at the container",
		"not included: the event loop, captures, and what links do; first packets: expiry of old flows happens between samples",
		"x ref: time in relation to a loop that copies the same heads and computes the Internet checksum of the whole frames; compare this across machines, never nanoseconds",
		clockName + "; those of several workers and of batches of 64 (p50, p99, p99.9) are the clock's, and include what other programs took",
		"several workers are worlds of their own, with their share of the flows each; ns is per packet and worker, Mpps is of all",
	}
}

// measure is one cell. The error is one of the harness or of a path that does
// not do what it should; what the path cannot do is the cell's Skipped.
func (c *Config) measure(ctx context.Context, s cellSpec) (reports.BenchCell, error) {
	cell := reports.BenchCell{Path: s.path.Name, Size: s.size, Flows: s.flows, Dist: s.dist, Trace: s.trace, Workers: s.workers, First: s.path.First}
	if s.path.First {
		cell.Dist = Uniform
	}
	sizes, err := parseSize(s.size)
	if err != nil {
		return cell, err
	}
	per := s.flows / s.workers
	switch {
	case per > s.path.vary.flows():
		cell.Skipped = fmt.Sprintf("more flows than the path can have: %s", s.path.vary.why)
	case per < 1:
		cell.Skipped = "fewer flows than workers"
	case s.path.First && per < 64:
		cell.Skipped = "first packets need at least 64 flows for each worker"
	}
	if cell.Skipped != "" {
		return cell, nil
	}
	ld := load{sizes: sizes, flows: s.flows, dist: s.dist, tracing: s.trace, seed: c.World.Seed}
	t, err := newTeam(ctx, c.Backend, c.World, &s.path, ld, s.workers)
	var lacks *backends.UnsupportedError
	if errors.As(err, &lacks) {
		cell.Skipped = lacks.Error()
		return cell, nil
	}
	if err != nil {
		return cell, err
	}
	defer t.close()
	if c.Limit != nil && s.path.Limit != "" && !s.trace {
		cell.Limit = c.Limit(ctx, s.path.Limit, s.flows, sizes[0])
	}
	return cell, c.sample(ctx, t, &cell)
}

// sample takes the samples of a cell and sums them up.
func (c *Config) sample(ctx context.Context, t team, cell *reports.BenchCell) error {
	n, err := c.calibrate(t)
	if err != nil {
		return err
	}
	var timings []timing
	var changed, same []pair
	var before float64
	for i := range c.Count {
		if ctx.Err() != nil {
			break
		}
		variants := []float64{0}
		if c.SelfTest || c.Baseline != nil {
			variants = append(variants, 0)
		}
		if c.SelfTest {
			variants = append(variants, SlowBy)
		}
		tm, samples, err := c.inTurn(t, n, variants)
		if err != nil {
			return err
		}
		timings = append(timings, tm)
		cell.Samples = append(cell.Samples, samples[0])
		if len(samples) > 1 {
			same = append(same, pair{samples[0], samples[1]})
		}
		switch {
		case c.Rival != nil && c.Rival.knows(cell.Path):
			got, err := c.Rival.trio(ctx, cell, i)
			if err != nil {
				return err
			}
			if got.self == nil || got.again == nil || got.other == nil {
				continue
			}
			before = got.other.Allocs
			cell.Samples[i] = got.self.Samples[0]
			same = append(same, pair{got.self.Samples[0], got.again.Samples[0]})
			changed = append(changed, pair{got.other.Samples[0], got.self.Samples[0]})
		case c.SelfTest:
			changed = append(changed, pair{samples[0], samples[2]})
		case c.Baseline != nil:
			old, allocs, ok, err := c.Baseline.Sample(ctx, cell, i)
			if err != nil {
				return err
			}
			if ok {
				before = allocs
				changed = append(changed, pair{old, samples[0]})
			}
		}
	}
	if err := c.sumUp(t, cell, timings, n); err != nil {
		return err
	}
	if len(same) > 0 && len(changed) > 0 || c.Gate {
		g := Judge(changed, same)
		if g.Allocs = cell.Allocs - before; !c.SelfTest && len(changed) > 0 && g.Allocs > allocSlack {
			g.Verdict, g.Why = reports.BenchSlower, fmt.Sprintf("%.3f more allocations per packet, which no noise makes", g.Allocs)
		}
		if len(changed) == 0 {
			g.Why = "the baseline has no such cell"
		}
		cell.Gate = &g
	}
	return nil
}

// parts is into how many parts a sample is divided. Variants and reference
// take turns by the part, and a sample is the median of its parts: what the
// machine does besides for some milliseconds meets all alike, or is left out.
const parts = 16

// inTurn takes one sample of every variant: the path with that share of its
// time planted on top. The timing is that of the first.
func (c *Config) inTurn(t team, n int, variants []float64) (timing, []reports.BenchSample, error) {
	ns, ref := make([][]float64, len(variants)), make([][]float64, len(variants))
	var first []timing
	for part := range parts {
		for k := range variants {
			v := k
			if part%2 == 1 {
				v = len(variants) - 1 - k
			}
			if variants[v] > 0 && len(ns[0]) > 0 {
				t.plant(variants[v] * median(ns[0]))
			}
			tm, err := t.run(max(n/parts, slots))
			t.plant(0)
			if err != nil {
				return timing{}, nil, err
			}
			if v == 0 {
				first = append(first, tm)
			}
			ns[v], ref[v] = append(ns[v], tm.ns), append(ref[v], t.refer(c.Sample/(2*parts)))
		}
	}
	var out []reports.BenchSample
	for v := range variants {
		out = append(out, reports.BenchSample{NS: median(ns[v]), Reference: median(ref[v])})
	}
	return middle(first), out, nil
}

// middle is the median of timings, figure by figure; packets are their sum.
func middle(all []timing) timing {
	var ns, mpps, cycles []float64
	var out timing
	for _, t := range all {
		out.packets += t.packets
		ns, mpps, cycles = append(ns, t.ns), append(mpps, t.mpps), append(cycles, t.cycles)
	}
	out.ns, out.mpps, out.cycles = median(ns), median(mpps), median(cycles)
	return out
}

// allocSlack is what the runtime itself allocates during a sample.
const allocSlack = 0.01

// calibrate finds how many packets take as long as a sample should.
func (c *Config) calibrate(t team) (int, error) {
	n := 64 * slots
	for range 12 {
		tm, err := t.run(n)
		if err != nil {
			return 0, err
		}
		took := time.Duration(tm.ns * float64(tm.packets))
		if took >= c.Sample/4 {
			return max(slots, int(float64(tm.packets)*float64(c.Sample)/float64(took))/slots*slots), nil
		}
		n *= 4
	}
	return n, nil
}

// sumUp fills in medians, batch latency, allocations and memory.
func (c *Config) sumUp(t team, cell *reports.BenchCell, timings []timing, n int) error {
	var ns, ref, ratio, mpps, cycles []float64
	for i, s := range cell.Samples {
		ns, ref, ratio = append(ns, s.NS), append(ref, s.Reference), append(ratio, s.Ratio())
		mpps, cycles = append(mpps, timings[i].mpps), append(cycles, timings[i].cycles)
		cell.Packets = timings[i].packets
	}
	cell.NS, cell.Reference, cell.Ratio, cell.MPPS, cell.Cycles = median(ns), median(ref), median(ratio), median(mpps), median(cycles)
	u := t[0]
	cell.FlowBytes = u.flowBytes
	if cell.Flows/cell.Workers < 1000 {
		cell.FlowBytes = 0 // the runtime's own changes are larger
	}
	// Time between the packets of a burst is no latency of the path: one pass
	// of its own, so that reading the clock is in no sample.
	var h histogram.Log
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if c.Sample >= time.Millisecond {
		n = max(n, 4096*slots) // four batches beyond the last percentile
	}
	k, _, err := u.packets(n, h.Add)
	runtime.ReadMemStats(&after)
	if err != nil {
		return err
	}
	cell.P50, cell.P99, cell.P999 = h.Percentile(0.5), h.Percentile(0.99), h.Percentile(0.999)
	cell.Allocs = float64(after.Mallocs-before.Mallocs) / float64(k)
	if cell.Allocs < allocSlack {
		cell.Allocs = 0
	}
	return nil
}

// plant makes every packet take ns longer, by a loop of known length; 0 takes
// it away.
func (t team) plant(ns float64) {
	if ns == 0 {
		for _, u := range t {
			u.spin = 0
		}
		return
	}
	const probe = 1 << 20
	u := t[0]
	begun := u.clock()
	for range probe {
		u.spun = u.spun*6364136223846793005 + 1442695040888963407
	}
	step := float64(u.clock()-begun) / probe
	for _, u := range t {
		u.spin = max(1, int(ns*slots/step))
	}
}
