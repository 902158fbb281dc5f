package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hnsim/hnsim/backends/hns"
	"github.com/hnsim/hnsim/cmd/hnsim/internal/exit"
	"github.com/hnsim/hnsim/cmd/hnsim/internal/health"
	"github.com/hnsim/hnsim/conformance"
	"github.com/hnsim/hnsim/reports"
)

// hnsFlags say what the backend hns may do to the machine.
type hnsFlags struct {
	dryRun, allowExternal bool
	adapter               string
	flags                 *pflag.FlagSet
}

func (f *hnsFlags) add(flags *pflag.FlagSet) {
	f.flags = flags
	flags.BoolVar(&f.allowExternal, "allow-external", false, "let backend hns make networks that interrupt this machine's connections")
	flags.StringVar(&f.adapter, "adapter", "", "network `adapter` for such networks and for captures; empty leaves it to HNS")
}

// addDryRun adds what makes sense for run alone.
func (f *hnsFlags) addDryRun(flags *pflag.FlagSet) {
	flags.BoolVar(&f.dryRun, "dry-run", false, "print what backend hns would ask of HNS, and do nothing")
}

func (f *hnsFlags) options(a *app) hns.Options {
	o := hns.Options{AllowExternal: f.allowExternal, Adapter: f.adapter}
	if f.dryRun {
		o.DryRun = a.out
	}
	return o
}

// check refuses flags that mean nothing to a backend.
func (f *hnsFlags) check(backend string) error {
	for _, name := range []string{"dry-run", "allow-external", "adapter"} {
		if fl := f.flags.Lookup(name); fl != nil && fl.Changed && backend != "hns" {
			return fmt.Errorf("--%s is for --backend hns: %s does nothing to this machine's HNS", name, backend)
		}
	}
	return nil
}

// rehearse runs scenarios on nothing: what they would do is printed.
func (a *app) rehearse(ctx context.Context, cfg conformance.Config) error {
	cfg.Onward, cfg.Parallel, cfg.Out = true, 1, ""
	runner, err := conformance.NewRunner(cfg)
	if err != nil {
		return err
	}
	rep := runner.Run(ctx, conformance.Observer{})
	for _, r := range rep.Results {
		if r.Status == reports.Skipped {
			a.talk("%s: skipped: %s\n", r.ID, r.Reason)
		}
	}
	if rep.Interrupted {
		return &exit.Error{Code: exit.Interrupted}
	}
	a.talk("dry run: nothing was done\n")
	return nil
}

// leftovers looks for what earlier runs have left.
func leftovers() health.Check {
	all, goOn, err := hns.Leftovers()
	switch {
	case err != nil:
		return health.Check{Name: "leftovers", Level: health.Warn, Text: err.Error(), Fix: "see backends/hns/README.md"}
	case len(all) == 0:
		return health.Check{Name: "leftovers", Level: health.OK, Text: "no run has left anything on this machine's HNS" + goesOn(goOn)}
	}
	var what []string
	for _, l := range all {
		what = append(what, fmt.Sprintf("%s (run %s)", l, l.Tag))
	}
	slices.Sort(what)
	return health.Check{Name: "leftovers", Level: health.Warn, Text: fmt.Sprintf("%d objects of earlier runs: %s%s", len(all), strings.Join(what, ", "), goesOn(goOn)), Fix: "hnsim doctor --backend hns --clean"}
}

// goesOn names the runs whose objects are left alone.
func goesOn(runs []hns.Tag) string {
	var s strings.Builder
	for _, t := range runs {
		fmt.Fprintf(&s, "; run %s goes on", t)
	}
	return s.String()
}

// cleanHNS deletes leftovers.
func (a *app) cleanHNS() error {
	all, goOn, err := hns.Leftovers()
	if err != nil {
		return exit.With(exit.NotTested, err)
	}
	for _, l := range all {
		fmt.Fprintf(a.out, "%s (run %s, found by %s)\n", l, l.Tag, l.Via)
	}
	if failed := hns.Clean(all); len(failed) > 0 {
		return exit.With(exit.NotTested, fmt.Errorf("not everything could be deleted: %w", errors.Join(failed...)))
	}
	fmt.Fprintf(a.out, "%d objects deleted%s\n", len(all), goesOn(goOn))
	return nil
}

// probeCmd is what the backend hns starts this program with.
func (a *app) probeCmd() *cobra.Command {
	return &cobra.Command{
		Use: hns.ProbeVerb + " COMPARTMENT", Hidden: true, Args: cobra.ExactArgs(1),
		Short: "send and receive in a network compartment, for the backend hns",
		RunE: func(c *cobra.Command, args []string) error {
			id, err := strconv.ParseUint(args[0], 10, 32)
			if err != nil {
				return fmt.Errorf("compartment %q: expected a number", args[0])
			}
			return exit.With(exit.NotTested, hns.RunProbe(c.Context(), uint32(id), os.Stdin, os.Stdout))
		},
	}
}
