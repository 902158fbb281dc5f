package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/pprof"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/cmd/hnsim/internal/benchmark"
	"github.com/hnsim/hnsim/cmd/hnsim/internal/buildinfo"
	"github.com/hnsim/hnsim/cmd/hnsim/internal/exit"
	"github.com/hnsim/hnsim/cmd/hnsim/internal/terminal"
	"github.com/hnsim/hnsim/conformance/bench"
	"github.com/hnsim/hnsim/reports"
	"github.com/hnsim/hnsim/sim/hcn"
)

type benchFlags struct {
	backend, kind string
	profile       string
	seed          uint64
	knobs         []string

	sizes, flows, dists, traces, workers []string

	count    int
	sample   time.Duration
	baseline string
	gate     bool
	selfTest bool
	limit    bool
	list     bool
	wide     bool
	html     string
	cpu      string

	shapes            []string
	rate              string
	trial, initial    time.Duration
	sum, budget       time.Duration
	width, loss       float64
	minRate, mostRate string
	flags             *pflag.FlagSet
}

const benchLong = `Measure forwarding paths. There are three kinds of measurement, by what the backend
can do:

    cost      nanoseconds per packet in a closed loop: the model
    service   the highest rates without loss and with little loss (NDR and PDR, found
              by RFC 9971), and latency at 10, 50 and 90 % of the PDR: the kernel over
              real wires, the model in virtual time
    scale     what the size of a world costs: time and memory for an endpoint among up to
              ten thousand, and packets between them; with --kind scale only

Without arguments every path is measured with 64-byte frames, the most important ones
at two numbers of flows. Paths are named or begin with what stands in front of a star;
--list describes them. Sizes, flows and so on take several values, or all. A path that
cannot be measured is a row that says why, and the exit code is 3 at the end.

Worlds are made from HCN documents through the control plane, and what comes out of a
path is checked before anything is timed. Compare ratios ("x ref", to a loop over the
same frames), never nanoseconds of two machines.

A baseline is what --format json wrote earlier, or better another build of this
program, which is then run in turn with this one. Every run takes as many samples as a
gate needs, unless --count says otherwise. --gate makes the outcome decide: a
path is slower when the median of at least 12 pairs is, by more than 5 % and more than
twice the floor, and 10 of 12 pairs agree. The floor is what the same code differs from
itself in this very run. --self-test plants 10 % more work, and must find it.

Exit codes: 0 done, and not slower; 1 the self-test did not find what was planted; 2
usage; 3 could not measure everything; 4 slower; 5 the noise is larger than the gate.`

func (a *app) benchCmd() *cobra.Command {
	var f benchFlags
	c := &cobra.Command{
		Use:   "bench [path...]",
		Short: "measure what packets cost, and what a backend carries",
		Long:  benchLong,
		Example: `  hnsim bench
  hnsim bench l2 'nat*' --flows 1,1k,100k,1M --limit --html bench.html
  hnsim bench --baseline ./hnsim-before --gate
  hnsim bench --format benchstat > new.txt
  hnsim bench --kind scale --worlds 2x5,100x10
  hnsim bench --backend linux
  hnsim bench --backend sim,linux nat outboundnat`,
		ValidArgsFunction: completePaths,
		RunE:              func(c *cobra.Command, args []string) error { return a.runBench(c, args, &f) },
	}
	flags := c.Flags()
	f.flags = flags
	flags.StringVar(&f.backend, "backend", "sim", "`name` of what to measure: sim or linux; sim,linux puts services of both into one table")
	flags.StringVar(&f.kind, "kind", "", "`cost|service|scale`; empty is cost for sim and service for others")
	flags.StringSliceVar(&f.shapes, "worlds", nil, "scale: `shapes` of worlds, hosts x endpoints of each, such as 100x10")
	flags.StringVar(&f.profile, "profile", defaultProfile, "build `profile`: "+strings.Join(hcn.ProfileNames(), ", ")+"; a FILE.pprof is taken for --cpuprofile")
	flags.Uint64Var(&f.seed, "seed", 1, "`number` from which all randomness follows")
	flags.StringArrayVar(&f.knobs, "knob", nil, "`name=value` of a contract knob; repeatable")
	flags.StringSliceVar(&f.sizes, "size", nil, "`bytes` of a frame without FCS, or imix; all is 64,imix,1514,8986")
	flags.StringSliceVar(&f.flows, "flows", nil, "`number` of flows, such as 100k; all is 1,1k,100k,1M")
	flags.StringSliceVar(&f.dists, "dist", []string{bench.Uniform}, "which flow a packet is of: `uniform|zipf`, or all")
	flags.StringSliceVar(&f.traces, "trace", []string{"off"}, "`on|off`, or all: record the stage trace of every packet")
	flags.StringSliceVar(&f.workers, "workers", []string{"1"}, "`number` of workers beside each other; all is 1,2")
	flags.IntVar(&f.count, "count", bench.MinPairs, "`number` of samples; a gate needs 12 of either side")
	flags.DurationVar(&f.sample, "sample", 20*time.Millisecond, "`time` that a sample takes")
	flags.StringVar(&f.baseline, "baseline", "", "`file` to compare with: JSON of an earlier run, or another build of this program")
	flags.BoolVar(&f.gate, "gate", false, "exit with 4 when slower than the baseline, with 5 when that cannot be said")
	flags.BoolVar(&f.selfTest, "self-test", false, "plant 10 % more work in every path and expect to find it; without names: l2, outboundnat, encap")
	flags.BoolVar(&f.limit, "limit", false, "also measure the same unavoidable work in C (needs gcc and AVX-512)")
	flags.BoolVar(&f.list, "list", false, "describe the paths")
	flags.BoolVar(&f.wide, "wide", false, "print all columns, in tables wider than the terminal")
	flags.StringVar(&f.html, "html", "", "also write tables and charts to this `file`")
	flags.StringVar(&f.cpu, "cpuprofile", "", "write a CPU profile of the measurement to this `file`")
	flags.StringVar(&f.rate, "link", "1G", "service: `bits` a second of the hosts' wires where the backend models them, such as 100M; 0 is unlimited")
	flags.DurationVar(&f.initial, "initial-trial", 0, "service: `time` of the first trials; 0 is a quarter of --trial")
	flags.DurationVar(&f.trial, "trial", 200*time.Millisecond, "service: `time` of a trial that counts; 10s or more for figures to publish")
	flags.DurationVar(&f.sum, "trial-sum", 0, "service: `time` of trials that decide about a load; 0 is twice --trial")
	flags.DurationVar(&f.budget, "budget", 8*time.Second, "service: `time` for each path and size; 0 is none")
	flags.Float64Var(&f.width, "width", 0.02, "service: `share` by which upper and lower bound may differ")
	flags.Float64Var(&f.loss, "loss", 0.005, "service: `share` of frames that the PDR may lose")
	flags.StringVar(&f.minRate, "min-rate", "1k", "service: least `frames` a second")
	flags.StringVar(&f.mostRate, "max-rate", "2M", "service: most `frames` a second that are offered")
	return c
}

// servicePaths are those of a service when none are named.
var servicePaths = []string{"l2", "l2bridge", "nat", "outboundnat", "encap+decap", "lb-dsr", "service"}

func completePaths(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var out []string
	for _, p := range bench.Catalogue() {
		out = append(out, cobra.CompletionWithDesc(p.Name, p.About))
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

func (a *app) runBench(c *cobra.Command, args []string, f *benchFlags) error {
	if f.list {
		return a.listPaths(args)
	}
	if strings.HasSuffix(f.profile, ".pprof") {
		f.cpu, f.profile = f.profile, defaultProfile
	}
	var bs []backends.Backend
	for _, name := range strings.Split(f.backend, ",") {
		b, err := a.backend(name)
		if err != nil {
			return err
		}
		if _, err := b.Features(f.profile); err != nil {
			return err
		}
		bs = append(bs, b)
	}
	knobs, err := parseKnobs(f.knobs)
	if err != nil {
		return err
	}
	paths, err := bench.Select(args)
	if err != nil {
		return err
	}
	world := backends.WorldConfig{Profile: f.profile, Seed: f.seed, Knobs: knobs}
	kind := f.kind
	if kind == "" {
		kind = map[bool]string{true: "cost", false: "service"}[f.backend == "sim"]
	}
	var run func(context.Context) (*reports.Bench, error)
	switch kind {
	case "cost":
		if len(bs) > 1 {
			return fmt.Errorf("--backend %s: cost is measured on one backend", f.backend)
		}
		run, err = a.costRun(c.Context(), f, bs[0], world, paths, len(args) == 0)
	case "service":
		if len(args) == 0 {
			if paths, err = bench.Select(servicePaths); err != nil {
				return err
			}
		}
		run, err = a.serviceRun(f, bs, world, paths)
	case "scale":
		switch {
		case len(bs) > 1:
			return fmt.Errorf("--backend %s: scale is measured on one backend", f.backend)
		case len(args) > 0:
			return errors.New("--kind scale has its own paths: expected no arguments")
		}
		run, err = a.scaleRun(f, bs[0], world)
	default:
		err = fmt.Errorf("--kind is %q: expected cost, service or scale", kind)
	}
	if err != nil {
		return err
	}
	for _, b := range bs {
		if ended, err := a.isolated(c.Context(), b.Name()); ended {
			return err
		}
	}
	stop, err := profileTo(f.cpu)
	if err != nil {
		return err
	}
	got, err := run(c.Context())
	if err = errors.Join(err, stop()); err != nil && got == nil {
		return exit.With(exit.NotTested, err)
	}
	got.Tool, got.Version = "hnsim", buildinfo.Version()
	if got.Interrupted = got.Interrupted || c.Context().Err() != nil; got.Interrupted {
		// Said whatever the format: data on stdout must not look complete.
		fmt.Fprintf(a.err, "hnsim bench: interrupted after %d measurements; what is printed is what they found\n", len(got.Cells)+len(got.Services))
	}
	if err := errors.Join(err, a.printBench(got, f)); err != nil && !got.Interrupted {
		return exit.With(exit.NotTested, err)
	}
	if code := exit.OfBench(got, f.gate); code != exit.OK {
		return &exit.Error{Code: code}
	}
	return nil
}

func (a *app) listPaths(args []string) error {
	if len(args) > 0 {
		return errors.New("--list describes all paths: expected no arguments")
	}
	all := bench.Catalogue()
	if a.opts.format == "json" {
		return a.json(all)
	}
	for _, p := range all {
		kinds := "cost"
		if p.Service {
			kinds = "cost, service"
		}
		fmt.Fprintf(a.out, "%-16s %s\n%-16s %s; at most %s flows\n", p.Name, p.About, "", kinds, reports.Count(p.MostFlows))
	}
	return nil
}

// costRun prepares a measurement of cost.
func (a *app) costRun(ctx context.Context, f *benchFlags, b backends.Backend, world backends.WorldConfig, paths []bench.Path, all bool) (func(context.Context) (*reports.Bench, error), error) {
	cfg := bench.Config{Backend: b, World: world, Paths: paths, Sizes: benchmark.Words(f.sizes, "64", "imix", "1514", "8986"),
		Dists: benchmark.Words(f.dists, bench.Uniform, bench.Zipf), Count: f.count, Sample: f.sample, Gate: f.gate, SelfTest: f.selfTest}
	if len(cfg.Sizes) == 0 {
		cfg.Sizes = []string{"64"}
	}
	var err error
	if cfg.Flows, err = benchmark.Numbers("--flows", f.flows, "1", "1k", "100k", "1M"); err != nil {
		return nil, err
	}
	if cfg.Workers, err = benchmark.Numbers("--workers", f.workers, "1", "2"); err != nil {
		return nil, err
	}
	if cfg.Traces, err = benchmark.Switches("--trace", f.traces); err != nil {
		return nil, err
	}
	if f.sample <= 0 {
		return nil, fmt.Errorf("--sample is %v: expected a positive time", f.sample)
	}
	if cfg.SelfTest && (cfg.Gate || f.baseline != "") {
		return nil, errors.New("--self-test is its own baseline: expected neither --gate nor --baseline")
	}
	if cfg.SelfTest && all {
		if cfg.Paths, err = bench.Select([]string{"l2", "outboundnat", "encap"}); err != nil {
			return nil, err
		}
	}
	if f.baseline != "" {
		if err := benchmark.Baseline(ctx, &cfg, f.baseline); err != nil {
			return nil, err
		}
	}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return func(ctx context.Context) (*reports.Bench, error) {
		var noLimit error
		if f.limit {
			var l *bench.CLimit
			if l, noLimit = bench.OpenLimit(ctx); noLimit == nil {
				defer l.Close()
				a.talk("the C limit is measured first\n")
				cfg.Limit = func(ctx context.Context, row string, flows, size int) float64 {
					v, err := l.Get(ctx, row, flows, size)
					noLimit = errors.Join(noLimit, err)
					return v
				}
			}
		}
		var p *terminal.Progress
		cfg.Progress = func(done, total int, c *reports.BenchCell) {
			if p == nil && !a.opts.quiet {
				p = terminal.NewProgress(a.err, total, a.env("TERM") == "dumb", a.now)
			}
			p.Step(c.Error != "" || c.Gate != nil && c.Gate.Verdict == reports.BenchSlower)
		}
		got, err := bench.Cost(ctx, cfg)
		p.Finish()
		if noLimit != nil {
			got.Notes = append(got.Notes, noLimit.Error())
		}
		return got, err
	}, nil
}

// serviceRun prepares a measurement at offered rates.
func (a *app) serviceRun(f *benchFlags, bs []backends.Backend, world backends.WorldConfig, paths []bench.Path) (func(context.Context) (*reports.Bench, error), error) {
	for _, name := range []string{"gate", "baseline", "self-test", "limit", "dist", "trace", "workers", "count", "sample"} {
		if f.flags.Changed(name) {
			return nil, fmt.Errorf("--%s belongs to measurements of cost; this one is a service (--kind)", name)
		}
	}
	cfg := bench.ServiceConfig{Backends: bs, World: world, Paths: paths, Sizes: benchmark.Words(f.sizes, "64", "imix", "1514", "8900"), Flows: 64,
		Initial: f.initial, Final: f.trial, Sum: f.sum, Width: f.width, PartialLoss: f.loss, Budget: f.budget}
	if len(cfg.Sizes) == 0 {
		cfg.Sizes = []string{"64", "1514"}
	}
	if len(f.flows) > 1 {
		return nil, errors.New("--flows: a service is measured at one number of flows")
	}
	flows, err := benchmark.Numbers("--flows", f.flows)
	if err != nil {
		return nil, err
	}
	if len(flows) == 1 {
		cfg.Flows = flows[0]
	}
	if cfg.Initial == 0 {
		cfg.Initial = cfg.Final / 4
	}
	if cfg.Sum == 0 {
		cfg.Sum = 2 * cfg.Final
	}
	var rates [3]int
	for i, r := range []struct{ flag, text string }{{"--link", f.rate}, {"--min-rate", f.minRate}, {"--max-rate", f.mostRate}} {
		if rates[i], err = benchmark.Number(r.flag, r.text); err != nil {
			return nil, err
		}
	}
	cfg.RateBps, cfg.Min, cfg.Max = int64(rates[0]), float64(rates[1]), float64(rates[2])
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return func(ctx context.Context) (*reports.Bench, error) {
		var p *terminal.Progress
		cfg.Progress = func(_, total int, _ *reports.ServiceRow) {
			if p == nil && !a.opts.quiet {
				p = terminal.NewProgress(a.err, total, a.env("TERM") == "dumb", a.now)
			}
			p.Step(false)
		}
		defer func() { p.Finish() }()
		return bench.Service(ctx, cfg)
	}, nil
}

// printBench writes the result in the form that was asked for.
func (a *app) printBench(b *reports.Bench, f *benchFlags) error {
	var err error
	switch a.opts.format {
	case "json":
		var text []byte
		if text, err = b.Encode(); err == nil {
			_, err = a.out.Write(text)
		}
	case "benchstat":
		err = b.WriteBenchstat(a.out)
	default:
		t := a.text("")
		t.Wide = f.wide
		t.Bench(b)
	}
	if err == nil && f.html != "" {
		if err = reports.WriteBenchPage(f.html, b); err == nil {
			a.talk("page  %s\n", f.html)
		}
	}
	if f.cpu != "" {
		a.talk("CPU profile  %s\n", f.cpu)
	}
	return err
}

// profileTo begins a CPU profile; an empty name is none.
func profileTo(name string) (stop func() error, err error) {
	if name == "" {
		return func() error { return nil }, nil
	}
	file, err := os.Create(name)
	if err != nil {
		return nil, fmt.Errorf("--cpuprofile: %w", err)
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return nil, errors.Join(fmt.Errorf("--cpuprofile: %w", err), file.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return file.Close()
	}, nil
}
