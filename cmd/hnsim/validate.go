package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hnsim/hnsim/cmd/hnsim/internal/check"
	"github.com/hnsim/hnsim/cmd/hnsim/internal/exit"
	"github.com/hnsim/hnsim/conformance"
)

func (a *app) validateCmd() *cobra.Command {
	var builds []string
	c := &cobra.Command{
		Use:   "validate FILE...",
		Short: "check scenarios, HCN documents and expectation files without running them",
		Long: `Check files without running them: scenarios (.txtar), HCN and HNS documents of any
kind and version (.json, also a list of them), expectation files (.expect).

Documents are checked for every profile of --build, and a finding says which profiles
reject them and which do not. A misspelt member is a finding too: HNS would ignore it.
In a scenario the documents that it sends are checked, those of lines with ! left out;
what one profile takes is right there. Each finding names the file, the line, the place
inside the document, what was found and what is expected. Exit code 1 if there is any.`,
		Example: `  hnsim validate ./mine/*.txtar
  hnsim validate net.json --build ws2019,ws2025
  hnsim validate net.json --build 17763,20348,26100`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return a.runValidate(args, builds) },
	}
	c.Flags().StringSliceVar(&builds, "build", []string{defaultProfile}, "`profiles` or OS builds, separated by commas")
	return c
}

func (a *app) runValidate(files, builds []string) error {
	profiles, err := check.Profiles(builds)
	if err != nil {
		return err
	}
	checker := check.Checker{Profiles: profiles, Suite: conformance.Suite, Now: a.now()}
	findings := []check.Finding{}
	var unread []error
	for _, f := range files {
		found, err := checker.File(f)
		if err != nil {
			unread = append(unread, err)
		}
		findings = append(findings, found...)
	}
	if a.opts.format == "json" {
		if err := a.json(findings); err != nil {
			return err
		}
	} else {
		check.WriteText(a.out, findings)
	}
	if err := errors.Join(unread...); err != nil {
		return exit.With(exit.Usage, err)
	}
	a.talk("%s, %s (%s)\n", plural(len(files), "file"), plural(len(findings), "finding"), strings.Join(profiles, ", "))
	if len(findings) > 0 {
		return &exit.Error{Code: exit.Unexpected}
	}
	return nil
}

// plural is the text of a number of things.
func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
