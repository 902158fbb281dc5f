package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hnsim/hnsim/cmd/hnsim/internal/exit"
	"github.com/hnsim/hnsim/conformance"
	"github.com/hnsim/hnsim/conformance/reach"
	"github.com/hnsim/hnsim/scenarios/script"
)

type reachFlags struct {
	worldFlags
	ports    []string
	until    int
	add      []string
	expect   string
	csv      bool
	explain  bool
	parallel int
}

func (a *app) reachCmd() *cobra.Command {
	var f reachFlags
	c := &cobra.Command{
		Use:   "reach scenario|file.txtar|document.json...",
		Short: "who reaches whom in a world, as a table",
		Long: `Make the world of a scenario and try, for a list of ports, every container, host and
external machine against each other and against the services and published ports.
Each cell is tried in a world of its own and is open when an answer comes back.

The world is what the scenario's lines make before they begin to send or to look
(--until: before another line, --add: with further lines). JSON files with HCN
documents instead make a world of one host with their networks, endpoints and load
balancers.

What is expected comes from --expect, or from a file reach.csv in the scenario: rows of
from,to,port,expected with open or closed, * for any; the last one that fits decides.
A cell that is not as expected is explained, and the exit code is 1. The CSV that --csv
writes can be expected later.`,
		Example: `  hnsim reach S-ACL-01 --port tcp:80 --port icmp
  hnsim reach mine.txtar --csv > want.csv && hnsim reach mine.txtar --expect want.csv
  hnsim reach net.json endpoints.json --explain`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: completeScenarios,
		RunE:              func(c *cobra.Command, args []string) error { return a.runReach(c, args, &f) },
	}
	flags := c.Flags()
	f.worldFlags.add(flags)
	flags.StringArrayVar(&f.ports, "port", []string{"icmp", "tcp:80", "udp:53"}, "`protocol:port` to try, or icmp; repeatable")
	flags.IntVar(&f.until, "until", 0, "make the world with the lines before this `line`")
	flags.StringArrayVar(&f.add, "add", nil, "`line` of the script language to add to the set-up; repeatable")
	flags.StringVar(&f.expect, "expect", "", "`file` with what is expected, CSV or JSON")
	flags.BoolVar(&f.csv, "csv", false, "write CSV")
	flags.BoolVar(&f.explain, "explain", false, "explain every closed cell, not only wrong ones")
	flags.IntVar(&f.parallel, "parallel", 0, "`number` of cells at a time; 0 is one per CPU")
	return c
}

func (a *app) runReach(c *cobra.Command, args []string, f *reachFlags) error {
	if f.csv && a.opts.format == "json" {
		return errors.New("--csv and --format json exclude each other")
	}
	cfg, err := a.reachConfig(args, f)
	if err != nil {
		return err
	}
	t, err := reach.Find(c.Context(), cfg)
	if t == nil {
		if c.Context().Err() != nil {
			return exit.With(exit.Interrupted, err)
		}
		return exit.With(exit.NotTested, err)
	}
	if err != nil {
		return err // an expectation that fits nothing
	}
	switch {
	case a.opts.format == "json":
		err = a.json(t)
	case f.csv:
		err = exit.With(exit.NotTested, t.WriteCSV(a.out))
	default:
		err = exit.With(exit.NotTested, t.WriteText(a.out, f.explain))
	}
	if err == nil && t.Wrong > 0 {
		return &exit.Error{Code: exit.Unexpected}
	}
	return err
}

// reachConfig reads what is asked for. Its errors are matters of usage.
func (a *app) reachConfig(args []string, f *reachFlags) (reach.Config, error) {
	base, err := a.config(&f.worldFlags)
	if err != nil {
		return reach.Config{}, err
	}
	cfg := reach.Config{Backend: base.Backend, Parallel: cmp.Or(f.parallel, runtime.NumCPU()),
		Options: script.Options{Seed: base.Seed, Profile: base.Profile, Knobs: base.Knobs, NoFlowCache: base.NoFlowCache, Programs: base.Programs}}
	for _, text := range f.ports {
		p, err := reach.ParsePort(text)
		if err != nil {
			return cfg, fmt.Errorf("--%w", err)
		}
		cfg.Ports = append(cfg.Ports, p)
	}
	var want []byte
	if cfg.Scenario, want, err = a.reachWorld(args, f); err != nil {
		return cfg, err
	}
	file := script.ReachFile
	if f.expect != "" {
		file = f.expect
		if want, err = os.ReadFile(f.expect); err != nil {
			return cfg, err
		}
	}
	if want != nil {
		cfg.Expect, err = reach.ParseExpectation(file, want)
	}
	return cfg, err
}

// reachWorld is the set-up as a scenario, and what the scenario expects.
func (a *app) reachWorld(args []string, f *reachFlags) (*script.Scenario, []byte, error) {
	if strings.EqualFold(filepath.Ext(args[0]), ".json") {
		var docs []reach.Document
		for _, name := range args {
			data, err := os.ReadFile(name)
			if err != nil {
				return nil, nil, err
			}
			docs = append(docs, reach.Document{File: name, Data: data})
		}
		text, err := reach.FromDocuments(docs)
		if err != nil {
			return nil, nil, err
		}
		sc, err := script.Parse("documents.txtar", append(text, ""...))
		return sc, nil, err
	}
	selectors, files := splitFiles(args)
	specs, err := conformance.Catalogue(selectors, files, "")
	if err != nil {
		return nil, nil, err
	}
	spec := specs[0]
	if len(specs) > 1 {
		a.talk("%d scenarios are picked; this is %s\n", len(specs), spec.ID)
	}
	want := spec.Script().Reach()
	until := f.until
	if until == 0 {
		until = spec.Script().SetUpEnd()
	}
	edited, err := conformance.Edit(spec, until, f.add)
	if err != nil {
		return nil, nil, err
	}
	return edited.Script(), want, nil
}
