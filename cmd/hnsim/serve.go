package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/hnsim/hnsim/cmd/hnsim/internal/exit"
)

func (a *app) serveCmd() *cobra.Command {
	var f standinFlags
	var tokenFile string
	c := &cobra.Command{
		Use:   "serve",
		Short: "serve the model's HNS to Windows programs under wine",
		Long: `Serve the HNS of simulated hosts on a loopback port, until interrupted. Programs
started with hnsim exec --server, or with the environment that is printed, create
their networks and endpoints there. The address and the token that clients need go
into a file that only its owner can read.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := a.startStandin(&f)
			if err != nil {
				return err
			}
			err = a.serve(c.Context(), s, tokenFile)
			return exit.With(exit.NotTested, errors.Join(err, s.stop()))
		},
	}
	f.add(c.Flags())
	c.Flags().StringVar(&tokenFile, "token-file", "hnsim-standin.txt", "`file` for address and token")
	return c
}

func (a *app) serve(ctx context.Context, s *service, tokenFile string) error {
	if err := os.WriteFile(tokenFile, []byte(s.Addr()+" "+s.Token()+"\n"), 0o600); err != nil {
		return err
	}
	defer os.Remove(tokenFile)
	if a.opts.format == "json" {
		if err := a.json(map[string]string{"address": s.Addr(), "tokenFile": tokenFile}); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(a.out, "address     %s\ntoken file  %s\n", s.Addr(), tokenFile)
	}
	<-ctx.Done()
	st := s.Stats()
	a.talk("%d calls, %d connections refused, %d handles leaked\n", st.Calls, st.Refused, st.Leaked+uint64(st.Handles))
	return nil
}
