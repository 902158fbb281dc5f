package main

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/hnsim/hnsim/backends/simulated"
	"github.com/hnsim/hnsim/cmd/hnsim/internal/exit"
	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/standin/wine"
)

// withProbes are the flags of exec that mean something with --probes.
var withProbes = []string{"probes", "dlls", "calls", "workdir", "profile"}

// execProbes runs a program that makes its worlds itself: hnsim.exe with the
// backend hns. It has the network of this machine, of which it uses the
// loopback.
func (a *app) execProbes(c *cobra.Command, f *execFlags, args []string) error {
	for _, name := range append(slices.Clone(worldFlagNames), "server", "as", "net", "report", "forward") {
		if c.Flags().Changed(name) && !slices.Contains(withProbes, name) {
			return fmt.Errorf("--probes and --%s exclude each other: the program makes its worlds itself", name)
		}
	}
	p, err := hcn.ProfileByName(f.profile)
	if err != nil {
		return err
	}
	kill, release := secondSignal(c.Context())
	defer release()
	record, recorded, err := recordCalls(f.calls)
	if err != nil {
		return err
	}
	srv, err := simulated.NewService(record)
	if err != nil {
		return exit.With(exit.NotTested, errors.Join(err, recorded()))
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve() }()
	run := wine.Run{DLLs: f.dlls, Dir: f.workdir, Log: a.talk, Kill: kill, OSBuild: p.OSBuild, Env: srv.Env()}
	code := 0
	if err = run.Prepare(c.Context()); err == nil {
		code, err = run.Exec(c.Context(), args, os.Stdin, a.out.Writer, a.err.Writer)
	}
	if err = errors.Join(err, srv.Close(), <-done, recorded()); err != nil {
		return exit.With(exit.NotTested, err)
	}
	if code := unixCode(int64(code)); code != 0 {
		return &exit.Error{Code: code}
	}
	return nil
}
