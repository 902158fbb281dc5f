package conformance

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/conformance/compare"
	"github.com/hnsim/hnsim/reports"
	"github.com/hnsim/hnsim/scenarios/script"
)

// DiffSide is one side of a comparison: what runs the scenarios, and how.
type DiffSide struct {
	Name        string // as the user calls it
	Backend     backends.Backend
	Recorded    string // of a recording: what it is of, and when it was made
	Profile     string
	Seed        uint64
	Knobs       map[string]string
	NoFlowCache bool
}

// DiffConfig says what to compare. Sides are needed, and nothing else.
type DiffConfig struct {
	Left, Right DiffSide

	Selectors, Files []string
	Labels           string
	Skip             []string

	Strict    []string // normalisations that are not used
	Expect    []string // files with deviations that are known
	TimeScale int      // of both sides; see Config
	Parallel  int      // scenarios at a time; 0: one per CPU
	Timeout   time.Duration
	Version   string
	Now       func() time.Time

	specs []*Spec // instead of the embedded suite, for tests
}

// Differ is a checked DiffConfig with its selection.
type Differ struct {
	cfg    DiffConfig
	sides  [2]*Runner
	specs  []*Spec
	lines  []*Expectation // that hold for one of the sides
	expect map[*Spec]*Expectation
	diff   reports.Diff // the head
}

// NewDiffer checks the configuration and selects. Errors are *UsageError.
func NewDiffer(cfg DiffConfig) (*Differ, error) {
	d, err := newDiffer(cfg)
	if err != nil {
		return nil, &UsageError{err}
	}
	return d, nil
}

func newDiffer(cfg DiffConfig) (*Differ, error) {
	if cfg.Parallel <= 0 {
		cfg.Parallel = max(workers(cfg.Left.Backend), workers(cfg.Right.Backend))
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if err := compare.CheckStrict(cfg.Strict); err != nil {
		return nil, err
	}
	d := &Differ{cfg: cfg, diff: reports.Diff{Schema: reports.DiffSchema, Tool: "hnsim", Version: cfg.Version, Strict: cfg.Strict}}
	for i, side := range []DiffSide{cfg.Left, cfg.Right} {
		r, err := newRunner(Config{
			Backend: side.Backend, Profile: side.Profile, Seed: side.Seed, Knobs: side.Knobs, NoFlowCache: side.NoFlowCache,
			Selectors: cfg.Selectors, Files: cfg.Files, Labels: cfg.Labels, Skip: cfg.Skip,
			TimeScale: cfg.TimeScale, Timeout: cfg.Timeout, Now: cfg.Now, Parallel: cfg.Parallel, specs: cfg.specs,
		})
		if err != nil {
			return nil, fmt.Errorf("--%s %s: %w", []string{"left", "right"}[i], side.Name, err)
		}
		d.sides[i] = r
	}
	d.specs = d.sides[0].specs
	d.diff.Left, d.diff.Right = d.describe(0, cfg.Left), d.describe(1, cfg.Right)
	return d, d.loadDeviations()
}

func (d *Differ) describe(i int, side DiffSide) reports.DiffSide {
	info := d.sides[i].info
	return reports.DiffSide{
		Name: side.Name, Recorded: side.Recorded, Backend: info.Backend, Profile: info.Profile, HNSVersion: info.HNSVersion,
		OSBuild: info.OSBuild, Seed: info.Seed, Knobs: info.Knobs, NoFlowCache: info.NoFlowCache, TimeScale: info.TimeScale,
	}
}

// Head is what is known of the comparison before it runs.
func (d *Differ) Head() reports.Diff { return d.diff }

// Selected is the number of scenarios to compare.
func (d *Differ) Selected() int { return len(d.specs) }

// Run compares the selection. done, if not nil, hears of each scenario as it
// is finished, in any order. When ctx ends, what has not finished is not
// comparable and the result says so.
func (d *Differ) Run(ctx context.Context, done func(reports.Comparison)) *reports.Diff {
	out := d.diff
	out.Scenarios = make([]reports.Comparison, len(d.specs))
	var workers sync.WaitGroup
	var mu sync.Mutex
	next := make(chan int)
	for range min(d.cfg.Parallel, len(d.specs)) {
		workers.Go(func() {
			for i := range next {
				c := d.compare(ctx, d.specs[i])
				out.Scenarios[i] = c
				if done != nil {
					mu.Lock()
					done(c)
					mu.Unlock()
				}
			}
		})
	}
	for i := range d.specs {
		next <- i
	}
	close(next)
	workers.Wait()
	out.Interrupted = ctx.Err() != nil
	d.conclude(&out)
	return &out
}

// conclude adds up what the scenarios came to.
func (d *Differ) conclude(out *reports.Diff) {
	counts := map[string]int{}
	for i := range out.Scenarios {
		c := &out.Scenarios[i]
		out.Totals.Add(c.Verdict)
		for _, n := range c.Normalised {
			counts[n.Name] += n.Count
		}
	}
	out.Normalised = []reports.Normalised{}
	for _, n := range compare.Normalisations() {
		if counts[n.Name] > 0 {
			out.Normalised = append(out.Normalised, reports.Normalised{Name: n.Name, Meaning: n.Meaning, Count: counts[n.Name]})
		}
	}
	out.Deviations = d.deviations(out.Scenarios)
	for _, v := range out.Deviations {
		if v.Stale {
			out.Totals.Stale++
		}
	}
}

// compare runs one scenario on both sides.
func (d *Differ) compare(ctx context.Context, s *Spec) reports.Comparison {
	out := reports.Comparison{Scenario: s.Scenario, Verdict: reports.NotComparable}
	exp := d.expect[s]
	out.Expectation = expectationOf(exp)
	if exp != nil && exp.Kind == ExpectSkip {
		out.Reason = "left out: " + exp.Why()
		return out
	}
	var raw [2]*script.Result
	var seen [2]*compare.Transcript
	for i := range d.sides {
		if ctx.Err() != nil {
			out.Reason = interrupted
			return out
		}
		raw[i], seen[i] = d.watch(ctx, i, s)
	}
	if out.Reason = untested(raw); out.Reason != "" {
		return out
	}
	opt := compare.Options{Strict: d.cfg.Strict}
	if exp != nil {
		opt.Known = exp.Fields
	}
	f := compare.Compare(seen[0], seen[1], opt)
	out.Lines, out.Calls, out.Frames, out.Normalised = f.Lines, f.Calls, f.Frames, f.Normalised
	switch {
	case f.Difference != nil:
		out.Verdict, out.Difference = reports.Differ, place(f.Difference, s)
		if exp != nil && len(exp.Fields) == 0 {
			out.Verdict, out.Reason = reports.KnownDiffer, exp.Why()
		}
	case f.Apart != "" || raw[0].Stopped != nil || raw[1].Stopped != nil:
		out.Reason = parted(f, raw)
	case f.Known != nil:
		out.Verdict, out.Difference, out.Reason = reports.KnownDiffer, place(f.Known, s), exp.Why()
	default:
		out.Verdict = reports.Agree
	}
	return out
}

// watch runs a scenario on one side, whatever its checks say.
func (d *Differ) watch(ctx context.Context, i int, s *Spec) (*script.Result, *compare.Transcript) {
	side := *d.sides[i]
	w := compare.NewWatch(side.cfg.Backend)
	side.cfg.Backend = w
	raw := side.attempt(ctx, s, script.Options{
		Seed: side.cfg.Seed, Profile: side.cfg.Profile, Knobs: side.cfg.Knobs, NoFlowCache: side.cfg.NoFlowCache, TimeScale: side.cfg.TimeScale, Onward: true,
		OnLine: func(step script.Step) { w.Line(step.Line, step.Command, step.Acts) },
	})
	if raw.Status == script.Error && raw.Stopped == nil {
		return raw, nil // it may still be running
	}
	return raw, w.Transcript()
}

// untested says why a side made nothing of a scenario, or "".
func untested(raw [2]*script.Result) string {
	var why [2]string
	for i, r := range raw {
		switch {
		case r.Status == script.Error && r.Stopped == nil:
			why[i] = "error: " + r.Reason
		case r.Status == script.Skipped && r.Metrics == nil:
			why[i] = r.Reason
		}
	}
	return bothSides(why)
}

// bothSides puts the words of the sides together.
func bothSides(why [2]string) string {
	switch {
	case why[0] == why[1] && why[0] != "":
		return "both sides: " + why[0]
	case why[0] != "" && why[1] != "":
		return "left: " + why[0] + "; right: " + why[1]
	case why[0] != "":
		return "left: " + why[0]
	case why[1] != "":
		return "right: " + why[1]
	}
	return ""
}

// parted says why there is no verdict although nothing differs.
func parted(f *compare.Finding, raw [2]*script.Result) string {
	var why [2]string
	for i, r := range raw {
		if r.Stopped != nil {
			why[i] = fmt.Sprintf("line %d cannot be carried out: %s", r.Stopped.Line, r.Stopped.Reason)
		}
	}
	reason := bothSides(why)
	if reason == "" {
		reason = f.Apart
	}
	return fmt.Sprintf("%s; %s before it agree", reason, plural(f.Lines, "line"))
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// place completes a difference with the lines of the script around it.
func place(diff *reports.Difference, s *Spec) *reports.Difference {
	diff.At = s.File
	if diff.Line > 0 {
		diff.At = fmt.Sprintf("%s:%d", s.File, diff.Line)
	} else {
		diff.Command = "the end of the scenario"
	}
	diff.Script = excerpt(s.script.Source, diff.Line, diff.Command)
	for i := range diff.Script {
		if diff.Script[i].Mark != "" {
			diff.Script[i].Mark = "DIFFERS"
		}
	}
	diff.Command = strings.TrimSpace(diff.Command)
	return diff
}
