package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hnsim/hnsim/cmd/hnsim/internal/exit"
	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/standin/wine"
)

func (a *app) execCmd() *cobra.Command {
	var f standinFlags
	var server, host, dlls string
	c := &cobra.Command{
		Use:   "exec [flags] -- PROGRAM.exe [argument...]",
		Short: "run a Windows program under wine against the model",
		Long: `Run an unmodified Windows program that is built on hcsshim under wine. Its calls of
HNS go to a model that lives as long as the program, or to a running hnsim serve
with --server. The program has this terminal, and its exit code is this one's.

The first run builds the DLLs and prepares wine in the user's cache folder. All runs
share drive C there; the registry is fresh every time.`,
		Example: `  hnsim exec --profile ws2025 --calls calls.ndjson -- ./driver.exe --verbose
  hnsim exec --server hnsim-standin.txt -- ./driver.exe`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			profile, err := hcn.ProfileByName(f.profile)
			if err != nil {
				return err
			}
			run := wine.Run{DLLs: dlls, OSBuild: profile.OSBuild, Log: a.talk}
			addr, token, stop, err := a.joinStandin(&f, server)
			if err != nil {
				return err
			}
			run.Env = []string{"HNSIM_STANDIN_ADDR=" + addr, "HNSIM_STANDIN_TOKEN=" + token, "HNSIM_STANDIN_HOST=" + host}
			code, err := a.execute(c.Context(), &run, args)
			if err = errors.Join(err, stop()); err != nil {
				return exit.With(exit.NotTested, err)
			}
			if code != 0 {
				return &exit.Error{Code: unixCode(code)}
			}
			return nil
		},
	}
	f.add(c.Flags())
	c.Flags().StringVar(&server, "server", "", "token `file` of a running hnsim serve to use instead of a server of its own")
	c.Flags().StringVar(&host, "as", "", "`name` of the host that the program runs on; empty is the first")
	c.Flags().StringVar(&dlls, "dlls", "", "`folder` with the DLLs; empty builds them from this program's own sources, once")
	return c
}

// joinStandin reads where a server is, or starts one.
func (a *app) joinStandin(f *standinFlags, server string) (addr, token string, stop func() error, err error) {
	if server != "" {
		raw, err := os.ReadFile(server)
		if err != nil {
			return "", "", nil, err
		}
		words := strings.Fields(string(raw))
		if len(words) != 2 {
			return "", "", nil, fmt.Errorf("%s: expected an address and a token", server)
		}
		return words[0], words[1], func() error { return nil }, nil
	}
	s, err := a.startStandin(f, standinExtras{})
	if err != nil {
		return "", "", nil, err
	}
	return s.Addr(), s.Token(), s.stop, nil
}

func (a *app) execute(ctx context.Context, run *wine.Run, args []string) (int, error) {
	if err := run.Prepare(ctx); err != nil {
		return 0, err
	}
	return run.Exec(ctx, args, os.Stdin, os.Stdout, os.Stderr)
}

// unixCode is what fits of a Windows exit code: eight bits, and never 0 for a
// failure.
func unixCode(code int) int {
	switch {
	case code == wine.Interrupted:
		return exit.Interrupted
	case code != 0 && code&0xFF == 0:
		return 1
	}
	return code & 0xFF
}
