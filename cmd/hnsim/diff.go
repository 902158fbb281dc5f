package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hnsim/hnsim/backends/hns"
	"github.com/hnsim/hnsim/backends/replay"
	"github.com/hnsim/hnsim/cmd/hnsim/internal/buildinfo"
	"github.com/hnsim/hnsim/cmd/hnsim/internal/exit"
	"github.com/hnsim/hnsim/cmd/hnsim/internal/terminal"
	"github.com/hnsim/hnsim/conformance"
	"github.com/hnsim/hnsim/conformance/compare"
	"github.com/hnsim/hnsim/reports"
	"github.com/hnsim/hnsim/sim/hcn"
)

type diffFlags struct {
	left, right string
	profile     string
	seed        uint64
	knobs       []string
	label       string
	skip        []string
	strict      []string
	expect      []string
	html        string
	parallel    int
	timeout     time.Duration
	timeScale   int
	flags       *pflag.FlagSet
}

func (a *app) diffCmd() *cobra.Command {
	var f diffFlags
	c := &cobra.Command{
		Use:   "diff --left SIDE --right SIDE [selector...|file...]",
		Short: "carry out the same scenarios twice and show where the sides differ",
		Long: `Carry out the same scenarios on two backends, or on a backend and a recording,
and compare what was observed: the frames at every point, the answers of the control
plane, what became of every stimulus. What a scenario expects plays no part: only
its stimuli count, and it goes on behind lines that fail.

A side is a backend with its options behind it, or a recording:

    sim                                  the model, with --profile, --seed and --knob
    sim@ws2019                           another build profile, by name or OS build
    sim@ws2019,seed=7,no-flow-cache      and other settings
    sim,knob:natHairpin=drop             a contract knob
    mine.hnsrec, replay:mine.hnsrec      what run --record wrote

Beside a recording, the other side takes its profile, seed and knobs unless others
are given.

What may differ without meaning anything is normalised and counted: generated ids,
MAC addresses and ephemeral ports by one mapping over the whole scenario, times,
checksums, and on backends that run in real time the order of frames, address
resolution and retransmissions. --strict switches a normalisation off.

Expectation files explain differences: lines of kind fail and differ, by scenario or
rule, that hold for one of the sides. A line of which nothing differs any more counts
like a difference.

Exit codes: 0 nothing differs that is not known, 1 something does, 2 usage, 3 nothing
could be compared, or a scenario is in the part that a torn recording has lost.`,
		Example: `  hnsim diff --left sim@ws2019 --right sim 'nat/**'
  hnsim diff --left sim --right mine.hnsrec --html diff.html
  hnsim diff --left sim --right sim,seed=2 --strict timestamps`,
		ValidArgsFunction: completeScenarios,
		RunE:              func(c *cobra.Command, args []string) error { return a.runDiff(c, args, &f) },
	}
	flags := c.Flags()
	f.flags = flags
	flags.StringVar(&f.left, "left", "", "`side` to compare: backend, backend@profile, or recording")
	flags.StringVar(&f.right, "right", "", "`side` to compare with")
	flags.StringVar(&f.profile, "profile", defaultProfile, "build `profile` of sides that name none: "+strings.Join(hcn.ProfileNames(), ", "))
	flags.Uint64Var(&f.seed, "seed", 1, "`number` from which all randomness of both sides follows")
	flags.StringArrayVar(&f.knobs, "knob", nil, "`name=value` of a contract knob, on both sides; repeatable")
	flags.StringVar(&f.label, "label", "", "compare those whose labels match this `filter` only")
	flags.StringArrayVar(&f.skip, "skip", nil, "`selector` of what to leave out; repeatable")
	flags.StringArrayVar(&f.strict, "strict", nil, "`name` of a normalisation that is not used, or all; repeatable: "+normalisationNames())
	flags.StringArrayVar(&f.expect, "expect", nil, "expectation `file` with known deviations; repeatable")
	flags.StringVar(&f.html, "html", "", "also write the comparison as one page to this `file`")
	flags.IntVar(&f.parallel, "parallel", 0, "`number` of scenarios at a time; 0 is one per CPU, or four where time really passes")
	flags.DurationVar(&f.timeout, "timeout", 0, "wall-clock `time` allowed per scenario and side; 0 is 1m, or 3m where time really passes")
	flags.IntVar(&f.timeScale, "time-scale", 0, timeScaleUsage)
	return c
}

func normalisationNames() string {
	var names []string
	for _, n := range compare.Normalisations() {
		names = append(names, n.Name)
	}
	return strings.Join(names, ", ")
}

func (a *app) runDiff(c *cobra.Command, args []string, f *diffFlags) error {
	cfg, err := a.diffConfig(args, f)
	if err != nil {
		return err
	}
	for _, side := range []conformance.DiffSide{cfg.Left, cfg.Right} {
		if ended, err := a.isolated(c.Context(), side.Backend.Name()); ended {
			return err
		}
	}
	differ, err := conformance.NewDiffer(cfg)
	if err != nil {
		return err
	}
	head := differ.Head()
	var progress *terminal.Progress
	if !a.opts.quiet {
		(&reports.TextWriter{W: a.err, Width: a.err.Width}).DiffHead(&head, differ.Selected())
		progress = terminal.NewProgress(a.err, differ.Selected(), a.env("TERM") == "dumb", a.now)
	}
	start := a.now()
	out := differ.Run(c.Context(), func(c reports.Comparison) { progress.Step(c.Verdict == reports.Differ) })
	progress.Finish()
	if err := a.printDiff(out, a.now().Sub(start)); err != nil {
		return err
	}
	if f.html != "" {
		if err := reports.WriteDiffPage(f.html, out); err != nil {
			return exit.With(exit.NotTested, err)
		}
		a.talk("page  %s\n", f.html)
	}
	return a.outcome(exit.OfDiff(out), cfg.Left.Backend, cfg.Right.Backend)
}

func (a *app) printDiff(d *reports.Diff, took time.Duration) error {
	if a.opts.format == "json" {
		text, err := d.Encode()
		if err == nil {
			_, err = a.out.Write(text)
		}
		return exit.With(exit.NotTested, err)
	}
	t := a.text("")
	for i := range d.Scenarios {
		t.Comparison(&d.Scenarios[i], a.opts.verbose)
	}
	t.DiffFoot(d, took)
	return nil
}

func (a *app) diffConfig(args []string, f *diffFlags) (conformance.DiffConfig, error) {
	cfg := conformance.DiffConfig{
		Labels: f.label, Skip: f.skip, Strict: f.strict, Expect: f.expect, Parallel: f.parallel, Timeout: f.timeout, TimeScale: f.timeScale,
		Version: buildinfo.Version(), Now: a.now,
	}
	if f.parallel < 0 {
		return cfg, fmt.Errorf("--parallel is %d: expected a positive number, or 0", f.parallel)
	}
	knobs, err := parseKnobs(f.knobs)
	if err != nil {
		return cfg, err
	}
	cfg.Selectors, cfg.Files = splitFiles(args)
	var sides [2]diffSide
	for i, s := range []struct{ flag, text string }{{"left", f.left}, {"right", f.right}} {
		if s.text == "" {
			return cfg, fmt.Errorf("--%s is missing: expected a backend such as sim or sim@ws2019, or a recording", s.flag)
		}
		if sides[i], err = a.parseSide(s.text); err != nil {
			return cfg, fmt.Errorf("--%s %s: %w", s.flag, s.text, err)
		}
	}
	base := conformance.DiffSide{Profile: f.profile, Seed: f.seed, Knobs: knobs}
	given := func(name string) bool { return f.flags.Changed(name) }
	cfg.Left, cfg.Right = sides[0].settle(base, sides[1].rec, given), sides[1].settle(base, sides[0].rec, given)
	return cfg, nil
}

// diffSide is a side as it was written: what it does not say is nil.
type diffSide struct {
	conformance.DiffSide
	rec     *replay.Backend
	profile *string
	seed    *uint64
}

// parseSide reads NAME[@PROFILE][,OPTION]... or the name of a recording.
func (a *app) parseSide(text string) (diffSide, error) {
	s := diffSide{DiffSide: conformance.DiffSide{Name: text}}
	head, options, _ := strings.Cut(text, ",")
	name, profile, hasProfile := strings.Cut(head, "@")
	b, known := a.backends[name]
	if !known {
		return s, a.recordedSide(&s, text)
	}
	if _, real := b.(hns.Backend); real {
		if err := needsHNS(); err != nil {
			return s, err
		}
	}
	s.Backend = b
	if hasProfile {
		p, err := profileOf(profile)
		if err != nil {
			return s, err
		}
		s.profile = &p
	}
	for _, o := range strings.FieldsFunc(options, func(r rune) bool { return r == ',' }) {
		if err := s.option(o); err != nil {
			return s, err
		}
	}
	return s, nil
}

// recordedSide opens a recording. A word that is no file was meant to be a
// backend.
func (a *app) recordedSide(s *diffSide, text string) error {
	file, ok := strings.CutPrefix(text, replayPrefix)
	if _, err := os.Stat(file); !ok && errors.Is(err, os.ErrNotExist) && !strings.ContainsAny(text, `./\`) {
		_, err := a.backend(text)
		return err
	}
	b, err := a.openReplay(file)
	if err != nil {
		return err
	}
	h := b.Header()
	s.Backend, s.rec = b, b
	s.Recorded = fmt.Sprintf("%s, recorded %s", h.Backend, h.Date.Format(time.DateOnly))
	return nil
}

// profileOf finds a profile by name or by OS build.
func profileOf(text string) (string, error) {
	if build, err := strconv.Atoi(text); err == nil {
		var builds []string
		for _, name := range hcn.ProfileNames() {
			p, err := hcn.ProfileByName(name)
			if err == nil && p.OSBuild == build {
				return name, nil
			}
			builds = append(builds, fmt.Sprint(p.OSBuild))
		}
		return "", fmt.Errorf("no profile has OS build %d: there are %s", build, strings.Join(builds, ", "))
	}
	p, err := hcn.ProfileByName(text)
	return p.Name, err
}

func (s *diffSide) option(text string) error {
	name, value, _ := strings.Cut(text, "=")
	knob, isKnob := strings.CutPrefix(name, "knob:")
	switch {
	case name == "seed":
		n, err := strconv.ParseUint(value, 10, 64)
		if err != nil {
			return fmt.Errorf("seed=%s: expected a number", value)
		}
		s.seed = &n
	case text == "no-flow-cache":
		s.NoFlowCache = true
	case isKnob && knob != "" && value != "":
		if s.Knobs == nil {
			s.Knobs = map[string]string{}
		}
		s.Knobs[knob] = value
	default:
		return fmt.Errorf("found %q, expected seed=N, no-flow-cache or knob:NAME=VALUE", text)
	}
	return nil
}

// settle gives the side what it does not say itself: the settings of the
// recording that it is, else what flags say, else those of the recording
// beside it.
func (s diffSide) settle(base conformance.DiffSide, beside *replay.Backend, given func(string) bool) conformance.DiffSide {
	if s.rec != nil {
		h := s.rec.Header()
		s.Profile, s.Seed, s.Knobs, s.NoFlowCache = h.Profile, h.Seed, h.Knobs, h.NoFlowCache
		return s.DiffSide
	}
	if beside != nil {
		h := beside.Header()
		if !given("profile") {
			base.Profile = h.Profile
		}
		if !given("seed") {
			base.Seed = h.Seed
		}
		if !given("knob") {
			base.Knobs = h.Knobs
		}
	}
	s.Profile, s.Seed = base.Profile, base.Seed
	if s.profile != nil {
		s.Profile = *s.profile
	}
	if s.seed != nil {
		s.Seed = *s.seed
	}
	knobs := map[string]string{}
	for _, from := range []map[string]string{base.Knobs, s.Knobs} {
		for name, value := range from {
			knobs[name] = value
		}
	}
	s.Knobs = knobs
	return s.DiffSide
}
