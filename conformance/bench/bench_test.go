package bench_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/backends/simulated"
	"github.com/hnsim/hnsim/conformance/bench"
	"github.com/hnsim/hnsim/reports"
)

// quick measures next to nothing: what is tested is that it works, never how
// long it takes.
func quick(paths ...string) bench.Config {
	sel, err := bench.Select(paths)
	if err != nil {
		panic(err)
	}
	return bench.Config{
		Backend: simulated.Backend{}, World: backends.WorldConfig{Seed: 1, Profile: "ws2022"}, Paths: sel,
		Sizes: []string{"64"}, Flows: []int{128}, Dists: []string{bench.Uniform}, Traces: []bool{false}, Workers: []int{1},
		Count: 1, Sample: time.Microsecond,
	}
}

func TestEveryPathForwardsWhatItSays(t *testing.T) {
	for _, p := range bench.Paths() {
		if p.Name == "acl-10000" && testing.Short() {
			continue
		}
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			got, err := bench.Cost(context.Background(), quick(p.Name))
			if err != nil {
				t.Fatal(err)
			}
			c := got.Cells[0]
			if c.Skipped != "" || c.Packets == 0 || len(c.Samples) != 1 || c.NS <= 0 {
				t.Fatalf("%+v", c)
			}
			t.Logf("%-40s %8.1f ns %6.2f x %8.3f allocs %6.0f B/flow", c.Name(), c.NS, c.Ratio, c.Allocs, c.FlowBytes)
		})
	}
}

func TestEveryKindOfTrafficIsMeasured(t *testing.T) {
	cfg := quick("encap", "decap")
	cfg.Sizes, cfg.Flows, cfg.Dists = []string{"imix", "8986"}, []int{1, 130}, []string{bench.Uniform, bench.Zipf}
	cfg.Traces, cfg.Workers = []bool{false, true}, []int{1, 2}
	var steps int
	cfg.Progress = func(done, total int, _ *reports.BenchCell) {
		if steps++; done != steps || total != 64 {
			t.Errorf("step %d is %d of %d", steps, done, total)
		}
	}
	got, err := bench.Cost(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, c := range got.Cells {
		names[c.Name()] = true
		if one := c.Flows == 1 && c.Workers == 2; one != (c.Skipped == "fewer flows than workers") || !one && len(c.Samples) != 1 {
			t.Errorf("%+v", c)
		}
	}
	if len(names) != 64 {
		t.Errorf("%d names of 64 cells", len(names))
	}
}

func TestWhatAPathCannotHaveIsSaid(t *testing.T) {
	cfg := quick("outboundnat")
	cfg.Flows = []int{100_000}
	got, err := bench.Cost(context.Background(), cfg)
	if err != nil || !strings.Contains(got.Cells[0].Skipped, "L2B-23") {
		t.Error(got, err)
	}
	cfg = quick("nat-in")
	cfg.Sizes = []string{"8986"}
	if got, err = bench.Cost(context.Background(), cfg); err != nil || !strings.Contains(got.Cells[0].Skipped, "Oversize: frames of 8986 bytes") {
		t.Error(got, err)
	}
	cfg = quick("nat-new")
	cfg.Flows = []int{1}
	if got, err = bench.Cost(context.Background(), cfg); err != nil || !strings.Contains(got.Cells[0].Skipped, "at least 64 flows") {
		t.Error(got, err)
	}
}

// lossy loses the frame with a number in every burst of its lanes.
type lossy struct{ simulated.Backend }

type lossyWorld struct{ backends.World }

type lossyLane struct {
	backends.Lane
	bursts int
}

func (b lossy) Open(ctx context.Context, cfg backends.WorldConfig) (backends.World, error) {
	w, err := b.Backend.Open(ctx, cfg)
	return lossyWorld{w}, err
}

func (w lossyWorld) Lane(ctx context.Context, cfg backends.LaneConfig) (backends.Lane, error) {
	l, err := w.World.(backends.Bencher).Lane(ctx, cfg)
	return &lossyLane{Lane: l}, err
}

func (l *lossyLane) Forward(b *backends.Burst) int {
	if l.bursts++; l.bursts > 20 {
		b.Len[0], b.Head[0] = 10, b.Head[0][:10] // no Ethernet header
	}
	return l.Lane.Forward(b)
}

func TestAPathThatLosesAFrameSaysSoAndTheOthersGoOn(t *testing.T) {
	cfg := quick("l2", "encap")
	cfg.Backend = lossy{}
	steps := 0
	cfg.Progress = func(int, int, *reports.BenchCell) { steps++ }
	got, err := bench.Cost(context.Background(), cfg)
	if err != nil || len(got.Cells) != 2 || steps != 2 {
		t.Fatalf("%+v %v, %d steps", got, err, steps)
	}
	for _, c := range got.Cells {
		if !strings.Contains(c.Error, "63 of 64 frames came out; lost: Malformed") || c.NS != 0 || len(c.Samples) != 0 {
			t.Errorf("%+v", c)
		}
	}
}

func TestAnInterruptedMeasurementKeepsWhatItHas(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	cfg := quick("l2", "encap", "decap")
	cfg.Progress = func(done, _ int, _ *reports.BenchCell) {
		if done == 2 {
			stop()
		}
	}
	got, err := bench.Cost(ctx, cfg)
	if err != nil || !got.Interrupted || len(got.Cells) != 2 || got.Cells[1].NS == 0 {
		t.Errorf("%+v %v", got, err)
	}
}

// deaf is a backend that can do neither kind.
type deaf struct{ simulated.Backend }

type deafWorld struct{ backends.World }

func (b deaf) Open(ctx context.Context, cfg backends.WorldConfig) (backends.World, error) {
	w, err := b.Backend.Open(ctx, cfg)
	return deafWorld{w}, err
}

func TestABackendThatCannotSaysSo(t *testing.T) {
	cfg := quick("l2")
	cfg.Backend = deaf{}
	got, err := bench.Cost(context.Background(), cfg)
	if err != nil || !strings.Contains(got.Cells[0].Skipped, "closed loop") {
		t.Error(got, err)
	}
	s := virtual(t, 0, "64", "l2")
	s.Backends = []backends.Backend{deaf{}}
	if got, err = bench.Service(context.Background(), s); err != nil || !strings.Contains(got.Services[0].Skipped, "no load at a rate") {
		t.Error(got, err)
	}
}

// fixed is a baseline whose samples are those of the run, changed.
type fixed struct{ factor float64 }

func (f fixed) Sample(_ context.Context, c *reports.BenchCell, i int) (reports.BenchSample, float64, bool, error) {
	s := c.Samples[i]
	s.NS *= f.factor
	return s, 0, f.factor > 0, nil
}

func TestABaselineIsJudged(t *testing.T) {
	for _, tt := range []struct {
		factor float64
		want   reports.BenchVerdict
	}{{0.1, reports.BenchSlower}, {10, reports.BenchFaster}, {0, reports.BenchInconclusive}} {
		cfg := quick("l2")
		cfg.Gate, cfg.Count, cfg.Baseline = true, bench.MinPairs, fixed{tt.factor}
		got, err := bench.Cost(context.Background(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		// The size of the effect is not noise: it is exactly that of the baseline.
		if g := got.Cells[0].Gate; g == nil || g.Verdict != tt.want && g.Threshold < 0.9 || got.Verdict != g.Verdict {
			t.Errorf("baseline times %g: %+v, %s", tt.factor, g, got.Verdict)
		}
	}
}

func TestConfigurationsThatMakeNoSenseAreRefused(t *testing.T) {
	change := func(f func(*bench.Config)) bench.Config {
		c := quick("l2")
		f(&c)
		return c
	}
	for i, c := range []bench.Config{
		change(func(c *bench.Config) { c.Sizes = []string{"1"} }),
		change(func(c *bench.Config) { c.Sizes = nil }),
		change(func(c *bench.Config) { c.Flows = []int{0} }),
		change(func(c *bench.Config) { c.Dists = []string{"pareto"} }),
		change(func(c *bench.Config) { c.Workers = []int{0} }),
		change(func(c *bench.Config) { c.Count = 0 }),
		change(func(c *bench.Config) { c.Gate, c.Count = true, 12 }),
		change(func(c *bench.Config) { c.SelfTest = true }),
	} {
		if c.Validate() == nil {
			t.Errorf("case %d is accepted", i)
		}
	}
	if _, err := bench.Select([]string{"l3"}); err == nil || !strings.Contains(err.Error(), "expected l2, ") {
		t.Error(err)
	}
	if got, err := bench.Select([]string{"nat*", "nat"}); err != nil || len(got) != 3 {
		t.Error(got, err)
	}
}

// No noise makes allocations: this gate is exact, and every path of known flows
// is under it. First packets make flows, and so may allocate.
func TestKnownFlowsDoNotAllocate(t *testing.T) {
	var hits []string
	for _, p := range bench.Paths() {
		if !p.First {
			hits = append(hits, p.Name)
		}
	}
	if len(hits) < 12 {
		t.Fatalf("%d paths of known flows", len(hits))
	}
	cfg := quick(hits...)
	cfg.Sample = time.Millisecond
	got, err := bench.Cost(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range got.Cells {
		if c.Allocs != 0 || c.Remark() != "" || c.NS == 0 {
			t.Errorf("%s: %.3f allocations per packet %s", c.Name(), c.Allocs, c.Remark())
		}
	}
}
