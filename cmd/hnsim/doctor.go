package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/hnsim/hnsim/backends/hns"
	"github.com/hnsim/hnsim/backends/linux"
	"github.com/hnsim/hnsim/cmd/hnsim/internal/buildinfo"
	"github.com/hnsim/hnsim/cmd/hnsim/internal/exit"
	"github.com/hnsim/hnsim/cmd/hnsim/internal/health"
)

func (a *app) doctorCmd() *cobra.Command {
	var backend, profile, out, bed string
	var clean bool
	c := &cobra.Command{
		Use:   "doctor",
		Short: "check whether this machine can run what you will ask for",
		Long: `Check this program, the backend and the machine. Every check says ok, warn (something
optional is missing) or FAIL, and how to mend it. Exit code 3 if any fails.

With --clean it looks for what a killed run of the linux backend could have left behind
instead (processes, devices, rules of nftables, half written files), removes it and says
what it was; with --backend hns, for what earlier runs have left on this machine's HNS,
by the tag in its name or in the journal of its run. Exit code 3 if something could not
be removed.

With --testbed the test bed is checked instead: whether its agents connect, what their
backends can and their roles need, roles that exclude each other, clocks, and whether
frames cross the wires between them.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case clean && backend == "hns":
				return a.cleanHNS()
			case clean:
				return a.clean(out)
			}
			checks, err := a.examine(c.Context(), backend, profile, out, bed)
			if err != nil || checks == nil {
				return err
			}
			if a.opts.format == "json" {
				err = a.json(checks)
			} else {
				health.WriteText(a.out, checks)
			}
			if err == nil && health.Worst(checks) == health.Fail {
				err = &exit.Error{Code: exit.NotTested}
			}
			return err
		},
	}
	c.Flags().StringVar(&backend, "backend", "sim", "`name` of the backend to check: sim, linux, hns")
	c.Flags().StringVar(&bed, "testbed", "", "test bed `file` to check instead")
	c.Flags().StringVar(&profile, "profile", defaultProfile, "build `profile` to open a world with")
	c.Flags().StringVar(&out, "out", "hnsim-out", "`folder` that run would write to")
	c.Flags().BoolVar(&clean, "clean", false, "remove what killed runs have left behind")
	return c
}

// examine carries out the checks. None means that another process has done so.
func (a *app) examine(ctx context.Context, backend, profile, out, bed string) ([]health.Check, error) {
	if bed != "" {
		return a.inspectBed(bed, profile)
	}
	b, err := a.backend(backend)
	if err != nil {
		return nil, err
	}
	if ended, err := a.isolated(ctx, backend); ended {
		return nil, err
	}
	probe := health.Probe{Backend: b, Profile: profile, Out: out, Now: a.now, Version: buildinfo.Version()}
	checks := probe.Run(ctx)
	if b.Name() == "hns" && hns.Check() == "" {
		checks = append(checks, leftovers())
	}
	return checks, nil
}

// removal is a leftover and what became of it.
type removal struct {
	*linux.Leftover
	Error string `json:"error,omitempty"`
}

// clean removes what killed runs have left.
func (a *app) clean(out string) error {
	found, err := linux.Leftovers(out)
	done := make([]removal, len(found))
	for i, l := range found {
		done[i].Leftover = l
		if e := l.Remove(); e != nil {
			done[i].Error, err = e.Error(), errors.Join(err, e)
		}
	}
	if a.opts.format == "json" {
		return errors.Join(a.json(done), exit.With(exit.NotTested, err))
	}
	for i := range done {
		if done[i].Error == "" {
			fmt.Fprintln(a.out, "removed", done[i].Leftover)
		}
	}
	if len(found) == 0 && err == nil {
		fmt.Fprintln(a.out, "nothing left behind")
	}
	return exit.With(exit.NotTested, err)
}
