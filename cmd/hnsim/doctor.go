package main

import (
	"github.com/spf13/cobra"

	"github.com/hnsim/hnsim/cmd/hnsim/internal/buildinfo"
	"github.com/hnsim/hnsim/cmd/hnsim/internal/exit"
	"github.com/hnsim/hnsim/cmd/hnsim/internal/health"
)

func (a *app) doctorCmd() *cobra.Command {
	var backend, profile, out string
	c := &cobra.Command{
		Use:   "doctor",
		Short: "check whether this machine can run what you will ask for",
		Long: `Check this program, the backend and the machine. Every check says ok, warn (something
optional is missing) or FAIL, and how to mend it. Exit code 3 if any fails.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			b, err := a.backend(backend)
			if err != nil {
				return err
			}
			if ended, err := a.isolated(c.Context(), backend); ended {
				return err
			}
			probe := health.Probe{Backend: b, Profile: profile, Out: out, Now: a.now, Version: buildinfo.Version()}
			checks := probe.Run(c.Context())
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
	c.Flags().StringVar(&backend, "backend", "sim", "`name` of the backend to check: sim, linux")
	c.Flags().StringVar(&profile, "profile", defaultProfile, "build `profile` to open a world with")
	c.Flags().StringVar(&out, "out", "hnsim-out", "`folder` that run would write to")
	return c
}
