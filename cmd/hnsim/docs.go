package main

import (
	"github.com/spf13/cobra"

	"github.com/hnsim/hnsim/cmd/hnsim/internal/exit"
	"github.com/hnsim/hnsim/cmd/hnsim/internal/reference"
)

// docsCmd writes the reference; a test checks that the committed one is
// current.
func (a *app) docsCmd() *cobra.Command {
	return &cobra.Command{
		Use:    "docs",
		Short:  "write the command line reference",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return exit.With(exit.NotTested, reference.Write(a.out, c.Root()))
		},
	}
}
