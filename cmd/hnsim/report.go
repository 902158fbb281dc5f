package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hnsim/hnsim/cmd/hnsim/internal/exit"
	"github.com/hnsim/hnsim/reports"
	"github.com/hnsim/hnsim/reports/statement"
)

func (a *app) reportCmd() *cobra.Command {
	c := &cobra.Command{
		Use:   "report",
		Short: "make documents of the results of runs",
		Long: `Make documents of the results of runs: results.ndjson, or a folder that has one. Several
are merged first: shards, or areas of one run after the other.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.conformanceCmd(), a.verifyCmd(), a.renderCmd(), a.mergeCmd(), a.badgeCmd())
	return c
}

// loadResults reads results files, or folders with one, and merges them.
func loadResults(names []string) (*reports.Report, []string, error) {
	var all []*reports.Report
	var hashes []string
	for _, name := range names {
		if info, err := os.Stat(name); err == nil && info.IsDir() {
			name = filepath.Join(name, reports.LogFile)
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, nil, fmt.Errorf("results: %w; expected %s of hnsim run", err, reports.LogFile)
		}
		if len(bytes.TrimSpace(text)) == 0 {
			return nil, nil, fmt.Errorf("%s: the file is empty; expected %s of hnsim run", filepath.ToSlash(name), reports.LogFile)
		}
		rep, err := reports.Load(bytes.NewReader(text))
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", filepath.ToSlash(name), err)
		}
		all, hashes = append(all, rep), append(hashes, statement.Hash(text))
	}
	rep, err := reports.Merge(all)
	return rep, hashes, err
}

func (a *app) conformanceCmd() *cobra.Command {
	var who statement.Implementation
	var out string
	c := &cobra.Command{
		Use:   "conformance [results...]",
		Short: "write the conformance report of an implementation",
		Long: `Write the conformance report of what was tested, in the form of gateway-api's, as YAML (or
JSON with --format json). A profile is an area of the suite; core are the scenarios with
the label core. The result is success if everything that applies passed, failure if
something failed, and partial otherwise: something that applies was skipped, or deviates
as an expectation file declares. Who made the implementation must be said.`,
		Example: `  hnsim report conformance hnsim-out --organization Example --project "Example HNS" \
    --url https://example.com --implementation-version 1.2 --contact hns@example.com > report.yaml
  hnsim report verify report.yaml hnsim-out`,
		RunE: func(_ *cobra.Command, args []string) error {
			if missing := who.Missing(); missing != nil {
				flags := "--" + strings.Join(missing, ", --")
				return fmt.Errorf("the report must say whose implementation it is: expected %s, too", strings.Replace(flags, "--version", "--implementation-version", 1))
			}
			rep, hashes, err := loadResults(orDefault(args))
			if err != nil {
				return err
			}
			doc, err := statement.Make(rep, hashes, who)
			if err != nil {
				return err
			}
			var text bytes.Buffer
			if a.opts.format == "json" {
				err = doc.WriteJSON(&text)
			} else {
				err = doc.WriteYAML(&text)
			}
			if err != nil {
				return exit.With(exit.NotTested, err)
			}
			return a.write(out, text.Bytes())
		},
	}
	f := c.Flags()
	f.StringVar(&who.Organization, "organization", "", "`name` of who makes the implementation")
	f.StringVar(&who.Project, "project", "", "`name` of the implementation")
	f.StringVar(&who.URL, "url", "", "`address` of its site")
	f.StringVar(&who.Version, "implementation-version", "", "its `version`")
	f.StringArrayVar(&who.Contact, "contact", nil, "`address` of somebody to ask; repeatable")
	f.StringVar(&out, "out", "", "`file` to write; empty is standard output")
	return c
}

func orDefault(args []string) []string {
	if len(args) == 0 {
		return []string{"hnsim-out"}
	}
	return args
}

// write puts a document into a file, or on standard output.
func (a *app) write(name string, text []byte) error {
	if name == "" {
		_, err := a.out.Write(text)
		return exit.With(exit.NotTested, err)
	}
	if err := os.WriteFile(name, text, 0o644); err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	return nil
}

func (a *app) verifyCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "verify report results...",
		Short: "check a conformance report against its results",
		Long: `Derive the report anew from the results and compare: every verdict, count, hash and the
line that reproduces them. Exit code 1 if the report claims something else.`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			text, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			claimed, err := statement.Parse(filepath.ToSlash(args[0]), text)
			if err != nil {
				return err
			}
			rep, hashes, err := loadResults(args[1:])
			if err != nil {
				return err
			}
			derived, err := statement.Make(rep, hashes, claimed.Implementation)
			if err != nil {
				return err
			}
			differences := claimed.Differences(derived)
			for _, m := range claimed.Implementation.Missing() {
				differences = append(differences, "implementation."+m+": is missing")
			}
			if a.opts.format == "json" {
				err = a.json(map[string]any{"ok": len(differences) == 0, "differences": append([]string{}, differences...)})
			} else {
				for _, d := range differences {
					fmt.Fprintln(a.out, d)
				}
				if len(differences) == 0 {
					fmt.Fprintf(a.out, "ok  %s: %s, as its results say\n", args[0], claimed.Result)
				}
			}
			if err == nil && len(differences) > 0 {
				err = &exit.Error{Code: exit.Unexpected}
			}
			return err
		},
	}
}

func (a *app) renderCmd() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use:   "render [results...]",
		Short: "write JUnit, JSON and Markdown of results",
		RunE: func(_ *cobra.Command, args []string) error {
			rep, _, err := loadResults(orDefault(args))
			if err != nil {
				return err
			}
			names, err := reports.WriteFiles(out, rep)
			if err != nil {
				return exit.With(exit.NotTested, err)
			}
			a.talk("%s: %s\n", out, strings.Join(names, ", "))
			return nil
		},
	}
	c.Flags().StringVar(&out, "out", "hnsim-out", "`folder` to write to")
	return c
}

func (a *app) mergeCmd() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use:   "merge results...",
		Short: "put the results of shards together",
		Long: `Put the results of several runs together, which must be of the same version, backend,
profile, seed and expectations. A scenario that several have counts with its worst
result. The folder gets results.ndjson and everything that is derived from it. The exit
code is that of the whole, as of hnsim run.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			rep, _, err := loadResults(args)
			if err != nil {
				return err
			}
			if err := os.MkdirAll(out, 0o755); err != nil {
				return fmt.Errorf("--out: %w", err)
			}
			var text bytes.Buffer
			if err := rep.WriteLog(&text); err != nil {
				return exit.With(exit.NotTested, err)
			}
			err = os.WriteFile(filepath.Join(out, reports.LogFile), text.Bytes(), 0o644)
			_, werr := reports.WriteFiles(out, rep)
			if err := errors.Join(err, werr); err != nil {
				return exit.With(exit.NotTested, err)
			}
			w := a.text(out)
			w.Footer(rep, 0)
			a.talk("results  %s\n", filepath.ToSlash(filepath.Join(out, reports.LogFile)))
			if code := exit.OfReport(rep); code != exit.OK {
				return &exit.Error{Code: code}
			}
			return nil
		},
	}
	c.Flags().StringVar(&out, "out", "hnsim-merged", "`folder` to write to")
	return c
}

func (a *app) badgeCmd() *cobra.Command {
	var out, label string
	c := &cobra.Command{
		Use:   "badge [results...]",
		Short: "write a badge of results, as SVG or as JSON for an endpoint of shields.io",
		RunE: func(_ *cobra.Command, args []string) error {
			rep, _, err := loadResults(orDefault(args))
			if err != nil {
				return err
			}
			b := statement.BadgeOf(rep, label)
			if a.opts.format == "json" {
				return a.json(b)
			}
			return a.write(out, b.SVG())
		},
	}
	c.Flags().StringVar(&out, "out", "", "`file` to write; empty is standard output")
	c.Flags().StringVar(&label, "label", "hnsim", "`text` on the left")
	return c
}
