package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/hnsim/hnsim/backends/hns"
	"github.com/hnsim/hnsim/cmd/hnsim/internal/buildinfo"
	"github.com/hnsim/hnsim/cmd/hnsim/internal/exit"
	"github.com/hnsim/hnsim/cmd/hnsim/internal/terminal"
	"github.com/hnsim/hnsim/conformance"
	"github.com/hnsim/hnsim/reports"
	"github.com/hnsim/hnsim/sim/hcn"
)

const defaultProfile = hcn.DefaultProfile

type runFlags struct {
	worldFlags
	label            string
	skip             []string
	shard, out       string
	record           string
	stopOn           string
	keep, update     bool
	checkDeterminism bool
	checkFlowTable   bool
	parallel         int
	expect           []string
	timeout          time.Duration
	timeScale        int
	github           bool
}

func (a *app) runCmd() *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use:   "run [selector...|file...]",
		Short: "run conformance scenarios",
		Long: `Run conformance scenarios: all of the suite, those that a selector picks, or
the files that are named.

A selector is an id (S-NAT-01), an area (nat), a path (nat/idle), a pattern over
either (nat/**, S-OV-*), rule:NAT-13, or label:overlay. A word that begins with
./ or / or ends in .txtar is a file or folder. A selector that picks nothing is an
error. Labels use Ginkgo's language: --label 'area:nat && !slow'.

What is not as expected is explained: the requirement, the line, what was expected
and received, the closest packet, the trace of the missing one, and the line that
reproduces it. Its trace and its packets (pcapng, one interface per point of the
pipeline) are in the output folder, beside results.ndjson, junit.xml, summary.json
and summary.md.`,
		Example: `  hnsim run
  hnsim run 'nat/**' --profile ws2019 --seed 7
  hnsim run ./mine/*.txtar
  hnsim run --label 'conf:docs' --shard 2/5 --format json > results.json
  hnsim run --record mine.hnsrec && hnsim run --backend replay:mine.hnsrec`,
		ValidArgsFunction: completeScenarios,
		RunE:              func(c *cobra.Command, args []string) error { return a.runRun(c, args, &f) },
	}
	flags := c.Flags()
	f.worldFlags.add(flags)
	f.hns.addDryRun(flags)
	flags.StringVar(&f.label, "label", "", "run those whose labels match this `filter` only")
	flags.StringArrayVar(&f.skip, "skip", nil, "`selector` of what to leave out; repeatable")
	flags.StringVar(&f.shard, "shard", "", "run one part of n: `i/n`")
	flags.StringVar(&f.out, "out", "hnsim-out", "`folder` for reports and captures; empty writes none")
	flags.StringVar(&f.record, "record", "", "write all that the backend is asked and answers to this `file`; scenarios then go on behind lines that fail")
	flags.StringVar(&f.stopOn, "stop-on", "", "stop early: `fail` ends the run after the first unexpected result")
	flags.BoolVar(&f.keep, "keep", false, "keep traces and captures of every scenario, and leave worlds standing where they are real")
	flags.BoolVar(&f.update, "update", false, "rewrite the golden text of the named files; read the diff before you commit it")
	flags.BoolVar(&f.checkDeterminism, "check-determinism", false, "run everything twice and compare the event hashes")
	flags.BoolVar(&f.checkFlowTable, "check-flow-table", false, "run what passes again with the flow tables switched the other way, and compare everything that was seen")
	flags.IntVar(&f.parallel, "parallel", 0, "`number` of scenarios at a time; 0 is one per CPU, or four where time really passes")
	flags.StringArrayVar(&f.expect, "expect", nil, "expectation `file`; repeatable")
	flags.DurationVar(&f.timeout, "timeout", 0, "wall-clock `time` allowed per scenario; 0 is 1m, or 3m where time really passes")
	flags.IntVar(&f.timeScale, "time-scale", 0, timeScaleUsage)
	flags.BoolVar(&f.github, "github", false, "write GitHub annotations (default where GITHUB_ACTIONS=true)")
	return c
}

const timeScaleUsage = "let advance really wait, with all timers divided by at most this `number` (backend linux; 0: nobody waits, see its README)"

func (a *app) runRun(c *cobra.Command, args []string, f *runFlags) error {
	cfg, err := a.runConfig(args, f)
	if err != nil {
		return err
	}
	if ended, err := a.isolated(c.Context(), cfg.Backend.Name()); ended {
		return err
	}
	if f.hns.dryRun {
		return a.rehearse(c.Context(), cfg)
	}
	runner, finish, err := a.recordedRunner(cfg, f.record)
	if err != nil {
		return err
	}
	info := runner.Info()
	if !a.opts.quiet {
		(&reports.TextWriter{W: a.err, Color: a.err.Color, Width: a.err.Width}).Header(&info)
	}
	log, closeLog, err := a.openLog(f.out)
	if err != nil {
		return exit.With(exit.Usage, err)
	}
	start := a.now()
	rep := a.watch(c, runner, log, f)
	errs := []error{log.Err(), closeLog(), finish()}
	if f.out != "" {
		_, err := reports.WriteFiles(f.out, rep)
		errs = append(errs, err)
	}
	if err := a.conclude(rep, f, a.now().Sub(start)); err != nil {
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return exit.With(exit.NotTested, fmt.Errorf("the reports are incomplete: %w", err))
	}
	return a.outcome(exit.OfReport(rep), cfg.Backend)
}

func (a *app) runConfig(args []string, f *runFlags) (conformance.Config, error) {
	cfg, err := a.config(&f.worldFlags)
	if err != nil {
		return cfg, err
	}
	if f.stopOn != "" && f.stopOn != "fail" {
		return cfg, fmt.Errorf("--stop-on is %q: expected fail", f.stopOn)
	}
	if err := f.hns.check(cfg.Backend.Name()); err != nil {
		return cfg, err
	}
	if f.parallel == 0 && cfg.Backend.Name() == "hns" && hns.OneAtATime() {
		f.parallel = 1 // worlds would wait for the machine while their time runs
	}
	if f.timeout < 0 {
		return cfg, fmt.Errorf("--timeout is %v: expected a positive time, or 0", f.timeout)
	}
	if f.parallel < 0 {
		return cfg, fmt.Errorf("--parallel is %d: expected a positive number, or 0", f.parallel)
	}
	if cfg.Shard, err = conformance.ParseShard(f.shard); err != nil {
		return cfg, err
	}
	cfg.Selectors, cfg.Files = splitFiles(args)
	if f.update && len(cfg.Files) == 0 {
		return cfg, errors.New("--update rewrites files that are named; name one, such as ./scenarios/nat/idle.txtar")
	}
	cfg.Labels, cfg.Skip, cfg.Expect = f.label, f.skip, f.expect
	cfg.Parallel, cfg.Timeout, cfg.Out, cfg.TimeScale = f.parallel, f.timeout, f.out, f.timeScale
	if f.timeScale != 0 && f.record != "" {
		return cfg, errors.New("--record and --time-scale exclude each other: a recording is of the contract's own time")
	}
	cfg.StopOnFail, cfg.CheckDeterminism, cfg.CheckFlowTable = f.stopOn == "fail", f.checkDeterminism, f.checkFlowTable
	cfg.Keep, cfg.Update = f.keep, f.update
	cfg.Info = reports.RunInfo{Version: buildinfo.Version(), Git: buildinfo.Git()}
	return cfg, a.oneAtATime(&cfg)
}

// openLog begins the event log; without a folder it goes nowhere.
func (a *app) openLog(dir string) (*reports.LogWriter, func() error, error) {
	if dir == "" {
		return reports.NewLogWriter(io.Discard, nil), func() error { return nil }, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, nil, fmt.Errorf("--out %s: %w", dir, err)
	}
	f, err := os.Create(filepath.Join(dir, reports.LogFile))
	if err != nil {
		return nil, nil, err
	}
	return reports.NewLogWriter(f, a.now), f.Close, nil
}

// watch runs and shows how it goes.
func (a *app) watch(c *cobra.Command, runner *conformance.Runner, log *reports.LogWriter, f *runFlags) *reports.Report {
	sinks := reports.Sinks{log}
	var progress *terminal.Progress
	if !a.opts.quiet {
		progress = terminal.NewProgress(a.err, len(runner.Specs()), a.env("TERM") == "dumb", a.now)
	}
	if a.opts.format == "text" {
		sinks = append(sinks, &reports.LiveText{
			Text: a.text(f.out), All: a.opts.verbose, Before: progress.Clear,
		})
	}
	rep := runner.Run(c.Context(), conformance.Observer{Sink: sinks, Done: func(o reports.Outcome) {
		progress.Step(o.Status.Unexpected())
	}})
	progress.Finish()
	return rep
}

func (a *app) text(out string) reports.TextWriter {
	return reports.TextWriter{W: a.out, Color: a.out.Color, Width: a.out.Width, OutAt: filepath.ToSlash(out)}
}

// conclude prints the verdict and serves GitHub.
func (a *app) conclude(rep *reports.Report, f *runFlags, took time.Duration) error {
	if a.opts.format == "json" {
		if err := reports.WriteSummary(a.out, rep); err != nil {
			return err
		}
	} else {
		t := a.text(f.out)
		t.Footer(rep, took)
	}
	if f.out != "" {
		a.talk("report  %s (also %s, %s, %s)\n", filepath.Join(f.out, reports.MarkdownFile), reports.LogFile, reports.JUnitFile, reports.SummaryFile)
	}
	if !f.github && a.env("GITHUB_ACTIONS") != "true" {
		return nil
	}
	if err := reports.WriteAnnotations(a.err, rep); err != nil {
		return err
	}
	if name := a.env("GITHUB_STEP_SUMMARY"); name != "" {
		return reports.AppendMarkdown(name, rep)
	}
	return nil
}
