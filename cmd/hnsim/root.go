package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/backends/hns"
	"github.com/hnsim/hnsim/backends/replay"
	"github.com/hnsim/hnsim/backends/simulated"
	"github.com/hnsim/hnsim/cmd/hnsim/internal/exit"
	"github.com/hnsim/hnsim/cmd/hnsim/internal/settings"
	"github.com/hnsim/hnsim/cmd/hnsim/internal/terminal"
	"github.com/hnsim/hnsim/conformance"
	"github.com/hnsim/hnsim/sim/hcn"
)

// run carries out a command line and returns the exit code.
func (a *app) run(ctx context.Context, args []string) int {
	root := a.root()
	root.SetArgs(args)
	root.SetOut(a.out)
	root.SetErr(a.err)
	a.ctx = ctx
	err := root.ExecuteContext(ctx)
	a.closeTestbeds()
	code := exit.Of(err)
	var silent *exit.Error
	if err != nil && !(errors.As(err, &silent) && silent.Err == nil) {
		fmt.Fprintf(a.err, "hnsim: %v\n", err)
	}
	if full, ok := a.out.Writer.(*sticky); ok && full.err != nil && err == nil {
		fmt.Fprintf(a.err, "hnsim: the output could not be written: %v\n", full.err)
		return exit.NotTested
	}
	return code
}

const rootLong = `hnsim is a software model of the Windows container network stack, together with
the conformance suite that runs unchanged against the model and against real
systems.

    hnsim run                    run the suite against the model
    hnsim explain S-NAT-05       what a scenario checks, and why
    hnsim trace S-NAT-05         follow its packets through the stack`

func (a *app) root() *cobra.Command {
	var version bool
	root := &cobra.Command{
		Use:           "hnsim",
		Short:         "model and conformance suite of Windows container networking",
		Long:          rootLong,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          knownVerb,
		RunE: func(c *cobra.Command, _ []string) error {
			if version {
				return a.printVersion()
			}
			return c.Help()
		},
		CompletionOptions: cobra.CompletionOptions{
			DisableDefaultCmd: true, // our own says more
		},
		PersistentPreRunE: func(c *cobra.Command, _ []string) error { return a.prepare(c) },
	}
	flags := root.PersistentFlags()
	flags.StringVar(&a.opts.format, "format", "text", "form of the output: `text|json`; bench has benchstat, too")
	flags.StringVar(&a.opts.color, "color", "auto", "colour: `auto|always|never`")
	flags.BoolVarP(&a.opts.quiet, "quiet", "q", false, "say nothing but results")
	flags.BoolVarP(&a.opts.verbose, "verbose", "v", false, "say more: every scenario, every trace")
	root.SetHelpCommand(helpCmd())
	root.AddCommand(a.runCmd(), a.listCmd(), a.explainCmd(), a.traceCmd(), a.diffCmd(), a.benchCmd(), a.fuzzCmd(), a.reachCmd(), a.validateCmd(), a.serveCmd(), a.execCmd(), a.doctorCmd(), a.versionCmd(), a.completionCmd(), a.docsCmd(), a.probeCmd())
	root.Flags().BoolVar(&version, "version", false, "print the version")
	root.AddCommand(a.agentCmd(), a.collectCmd(), a.importCmd(), a.reportCmd())
	root.SetUsageTemplate(wrapFlags(root.UsageTemplate(), a.out.Width))
	sayUsage(root)
	return root
}

// prepare fills flags from environment and file and checks the common ones.
func (a *app) prepare(c *cobra.Command) error {
	if _, err := a.settings(c); err != nil {
		return err
	}
	forms := []string{"text", "json"}
	if c.Name() == "bench" {
		forms = append(forms, "benchstat")
	}
	if f := a.opts.format; !slices.Contains(forms, f) {
		return fmt.Errorf("--format is %q: expected %s", f, strings.Join(forms, " or "))
	}
	if a.opts.quiet && a.opts.verbose {
		return errors.New("--quiet and --verbose exclude each other")
	}
	mode, err := terminal.ParseColorMode(a.opts.color)
	if err != nil {
		return err
	}
	a.out.Color = terminal.Colored(mode, a.out.TTY, a.env)
	a.err.Color = terminal.Colored(mode, a.err.TTY, a.env)
	return nil
}

// settings applies environment and configuration file to the flags of c.
func (a *app) settings(c *cobra.Command) ([]settings.Value, error) {
	file, err := settings.ReadFile(a.env)
	if err != nil {
		return nil, err
	}
	if err := file.CheckKeys(flagNames(c.Root()), conformance.Suggest); err != nil {
		return nil, err
	}
	return settings.Apply(c.Flags(), a.env, file)
}

// flagNames are the names of the flags of all commands.
func flagNames(c *cobra.Command) []string {
	names := map[string]bool{}
	add := func(f *pflag.Flag) { names[f.Name] = f.Name != "help" }
	c.PersistentFlags().VisitAll(add)
	for _, sub := range c.Commands() {
		sub.Flags().VisitAll(add)
	}
	maps.DeleteFunc(names, func(_ string, keep bool) bool { return !keep })
	return slices.Sorted(maps.Keys(names))
}

// backend finds a backend by name.
func (a *app) backend(name string) (backends.Backend, error) {
	if b, ok := a.backends[name]; ok {
		return b, nil
	}
	if file, ok := strings.CutPrefix(name, replayPrefix); ok {
		return a.openReplay(file)
	}
	if file, ok := strings.CutPrefix(name, testbedPrefix); ok {
		return a.openTestbed(file)
	}
	names := append(slices.Sorted(maps.Keys(a.backends)), replayPrefix+"FILE", testbedPrefix+"FILE")
	msg := fmt.Sprintf("no backend %q: expected %s", name, strings.Join(names, ", "))
	if s := conformance.Suggest(name, names); s != "" {
		msg += "; did you mean " + s + "?"
	}
	return nil, errors.New(msg)
}

// isolated lets a backend that touches the machine have a process of its own.
// ended means that this process has nothing left to do.
func (a *app) isolated(ctx context.Context, backend string) (ended bool, err error) {
	if backend != "linux" || a.isolate == nil {
		return false, nil
	}
	code, ran, err := a.isolate(ctx)
	switch {
	case !ran:
		return false, nil
	case err != nil:
		return true, exit.With(exit.NotTested, fmt.Errorf("backend linux: %w", err))
	case code != 0:
		return true, &exit.Error{Code: code}
	}
	return true, nil
}

// json writes one value to stdout.
func (a *app) json(v any) error {
	enc := json.NewEncoder(a.out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return exit.With(exit.NotTested, enc.Encode(v))
}

// talk writes to stderr, unless --quiet.
func (a *app) talk(format string, args ...any) {
	if !a.opts.quiet {
		fmt.Fprintf(a.err, format, args...)
	}
}

// worldFlags are those that say on what and how scenarios run.
type worldFlags struct {
	backend, profile string
	seed             uint64
	knobs            []string
	noFlowCache      bool
	flags            *pflag.FlagSet
	programs         []string
	dlls             string
	testbed          string
	hns              hnsFlags
}

func (w *worldFlags) add(flags *pflag.FlagSet) {
	w.flags = flags
	flags.StringVar(&w.backend, "backend", "sim", "`name` of what to test: sim, linux, hns, replay:FILE for a recording, or testbed:FILE for several machines")
	flags.StringVar(&w.testbed, "testbed", "", "test bed `file`: run on the machines that it names; the same as --backend testbed:FILE")
	flags.StringVar(&w.profile, "profile", defaultProfile, "build `profile`: "+strings.Join(hcn.ProfileNames(), ", "))
	flags.Uint64Var(&w.seed, "seed", 1, "`number` from which all randomness follows")
	flags.StringArrayVar(&w.knobs, "knob", nil, "`name=value` of a contract knob, over the profile's; repeatable")
	flags.BoolVar(&w.noFlowCache, "no-flow-cache", false, "switch the unified flow tables off; results must not change")
	flags.StringArrayVar(&w.programs, "programs", nil, "`folder` with the programs of exec lines; repeatable")
	flags.StringVar(&w.dlls, "dlls", "", "`folder` with the DLLs for exec lines; empty builds them from this program's own sources, once")
	w.hns.add(flags)
}

// config is the part of a run's configuration that worldFlags hold.
func (a *app) config(w *worldFlags) (conformance.Config, error) {
	if w.testbed != "" {
		if w.given("backend") && w.backend != testbedPrefix+w.testbed {
			return conformance.Config{}, fmt.Errorf("--testbed and --backend %s exclude each other", w.backend)
		}
		w.backend = testbedPrefix + w.testbed
	}
	b, err := a.backend(w.backend)
	if err != nil {
		return conformance.Config{}, err
	}
	if model, ok := b.(simulated.Backend); ok {
		model.DLLs = w.dlls
		b = model
	}
	if real, ok := b.(hns.Backend); ok {
		if err := needsHNS(); err != nil {
			return conformance.Config{}, err
		}
		real.Options = w.hns.options(a)
		b = real
	}
	cfg := conformance.Config{Backend: b, BackendName: w.backend, Profile: w.profile, Seed: w.seed, NoFlowCache: w.noFlowCache, Programs: w.programs, Now: a.now}
	if r, ok := b.(*replay.Backend); ok {
		return cfg, w.likeRecorded(r.Header(), &cfg)
	}
	cfg.Knobs, err = parseKnobs(w.knobs)
	return cfg, err
}

// needsHNS says what keeps the real HNS from being tested here.
func needsHNS() error {
	if why := hns.Check(); why != "" {
		return exit.With(exit.NotTested, errors.New(why))
	}
	return nil
}

// parseKnobs reads name=value.
func parseKnobs(words []string) (map[string]string, error) {
	var out map[string]string
	for _, k := range words {
		name, value, ok := strings.Cut(k, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("--knob %q: expected name=value", k)
		}
		if out == nil {
			out = map[string]string{}
		}
		out[name] = value
	}
	return out, nil
}

// splitFiles tells scenario files from selectors.
func splitFiles(words []string) (selectors, files []string) {
	for _, w := range words {
		if conformance.IsFile(w) {
			files = append(files, w)
		} else {
			selectors = append(selectors, w)
		}
	}
	return selectors, files
}

// completeScenarios offers ids and areas to the shell.
func completeScenarios(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	specs, err := conformance.Suite()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var out []string
	for _, s := range specs {
		out = append(out, cobra.CompletionWithDesc(s.Base, s.Title), s.Area+"/**")
	}
	slices.Sort(out)
	return slices.Compact(out), cobra.ShellCompDirectiveDefault
}
