package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/hnsim/hnsim/cmd/hnsim/internal/exit"
	"github.com/hnsim/hnsim/conformance/fuzz"
)

// fuzzTick is how often progress is told.
const fuzzTick = 10 * time.Second

type fuzzFlags struct {
	profile   string
	seed      uint64
	duration  time.Duration
	worlds    int
	parallel  int
	minimize  string
	keepGoing bool
}

func (a *app) fuzzCmd() *cobra.Command {
	var f fuzzFlags
	c := &cobra.Command{
		Use:   "fuzz",
		Short: "look for errors in random worlds",
		Long: `Make worlds with random topology, policies, traffic and changes, run each with the
flow tables on and off, and check all that must always hold: counters are conserved,
checksums are valid, nothing goes round in circles, isolated networks stay apart, the
flow table changes nothing, and a run can be repeated.

World after world has the next seed, so "--seed N --worlds 1" is world N alone. The
first world that fails ends the search (--keep-going: goes on); it is cut down to the
steps that matter, and --minimize writes it to a file that "hnsim run FILE" reproduces.
The exit code is 1 then.`,
		Example: `  hnsim fuzz --duration 10m
  hnsim fuzz --seed 4711 --worlds 1 --minimize found.txtar && hnsim run found.txtar`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.runFuzz(c, &f) },
	}
	flags := c.Flags()
	flags.StringVar(&f.profile, "profile", defaultProfile, "build `profile`")
	flags.Uint64Var(&f.seed, "seed", 1, "`number` of the first world")
	flags.DurationVar(&f.duration, "duration", time.Minute, "`time` to search for; 0 is without end")
	flags.IntVar(&f.worlds, "worlds", 0, "`number` of worlds at most; 0 is no limit")
	flags.IntVar(&f.parallel, "parallel", 0, "`number` of worlds at a time; 0 is one per CPU")
	flags.StringVar(&f.minimize, "minimize", "", "write the first finding, cut down, to this `file`")
	flags.BoolVar(&f.keepGoing, "keep-going", false, "collect findings until the time is over")
	return c
}

func (a *app) runFuzz(c *cobra.Command, f *fuzzFlags) error {
	if f.duration < 0 || f.worlds < 0 || f.parallel < 0 {
		return errors.New("--duration, --worlds and --parallel cannot be negative")
	}
	if f.minimize != "" { // found out now, not after the search
		if info, err := os.Stat(filepath.Dir(f.minimize)); err != nil || !info.IsDir() {
			return fmt.Errorf("--minimize %s: there is no folder %s to write to", f.minimize, filepath.Dir(f.minimize))
		}
	}
	b, err := a.backend("sim")
	if err != nil {
		return err
	}
	if _, err := b.Features(f.profile); err != nil {
		return err
	}
	if f.parallel == 0 {
		f.parallel = runtime.NumCPU()
	}
	a.talk("hnsim fuzz: backend sim, profile %s, worlds from seed %d on\n", f.profile, f.seed)
	s, err := fuzz.Run(c.Context(), fuzz.Config{
		Backend: b, Profile: f.profile, Seed: f.seed, Duration: f.duration, Worlds: f.worlds, Parallel: f.parallel,
		KeepGoing: f.keepGoing, Minimise: true, Now: a.now, Every: fuzzTick,
		Tick: func(p fuzz.Progress) {
			a.talk("%8s  %d worlds, seed %d, %d findings\n", p.Elapsed.Round(time.Second), p.Worlds, p.Seed, p.Findings)
		},
	})
	if err != nil {
		return exit.With(exit.NotTested, err)
	}
	if f.minimize != "" && len(s.Findings) > 0 {
		if err := os.WriteFile(f.minimize, s.Findings[0].Text, 0o644); err != nil {
			return exit.With(exit.NotTested, err)
		}
	}
	if err := a.printFuzz(s, f); err != nil {
		return err
	}
	switch {
	case s.Interrupted:
		return &exit.Error{Code: exit.Interrupted}
	case len(s.Findings) > 0:
		return &exit.Error{Code: exit.Unexpected}
	case s.Worlds == 0:
		return exit.With(exit.NotTested, fmt.Errorf("no world was tested: %d of them cannot be made (%s)", s.Skipped, s.SkipReason))
	}
	return nil
}

// fuzzReport is the summary as JSON.
type fuzzReport struct {
	Seed         uint64        `json:"seed"`
	Profile      string        `json:"profile"`
	Worlds       int           `json:"worlds"`
	Skipped      int           `json:"skipped"`
	Observations int           `json:"observations"`
	Elapsed      string        `json:"elapsed"`
	Interrupted  bool          `json:"interrupted"`
	Hash         string        `json:"hash"`
	Findings     []fuzzFinding `json:"findings"`
}

type fuzzFinding struct {
	Seed     uint64 `json:"seed"`
	Kind     string `json:"kind"`
	Detail   string `json:"detail"`
	Steps    int    `json:"steps"`
	From     int    `json:"from"`
	Scenario string `json:"scenario"`
}

func (a *app) printFuzz(s *fuzz.Summary, f *fuzzFlags) error {
	if a.opts.format == "json" {
		out := fuzzReport{Seed: s.Seed, Profile: f.profile, Worlds: s.Worlds, Skipped: s.Skipped, Observations: s.Observations,
			Elapsed: s.Elapsed.String(), Interrupted: s.Interrupted, Hash: s.Hash, Findings: []fuzzFinding{}}
		for _, x := range s.Findings {
			out.Findings = append(out.Findings, fuzzFinding{x.Seed, x.Kind, x.Detail, x.Steps, x.From, string(x.Text)})
		}
		return a.json(out)
	}
	for i, x := range s.Findings {
		fmt.Fprintf(a.out, "FAIL  seed %d: %s\n  received  %s\n  steps     %d, cut down from %d\n", x.Seed, x.Kind, x.Detail, x.Steps, x.From)
		if f.minimize != "" && i == 0 {
			fmt.Fprintf(a.out, "  repro     hnsim run %s --profile %s\n", f.minimize, f.profile)
			continue
		}
		fmt.Fprintf(a.out, "  repro     hnsim fuzz --profile %s --seed %d --worlds 1 --minimize found.txtar\n", f.profile, x.Seed)
	}
	word := "PASS"
	switch {
	case s.Interrupted:
		word = "INTERRUPTED"
	case len(s.Findings) > 0:
		word = "FAIL"
	}
	_, err := fmt.Fprintf(a.out, "%s  %d worlds, %d observations, %d findings, %d skipped  in %s\nhash %s\n",
		word, s.Worlds, s.Observations, len(s.Findings), s.Skipped, s.Elapsed.Round(10*time.Millisecond), s.Hash)
	return exit.With(exit.NotTested, err)
}
