package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hnsim/hnsim/cmd/hnsim/internal/explain"
	"github.com/hnsim/hnsim/conformance"
	"github.com/hnsim/hnsim/sim/hcn"
)

func (a *app) explainCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "explain [" + strings.Join(explain.Kinds(), "|") + "] NAME | explain KIND",
		Short: "say what a scenario, rule, drop reason, error code, knob, feature or profile is",
		Long: `Say what something is: a scenario with its requirement and the rules it checks, a
rule of the contract with its source and the scenarios that check it, a drop reason,
an HCN error code by name or number, a knob with its default in every profile, a
feature with its HNS versions, a build profile.

One word in front limits the search to a kind. A kind alone lists what there is of
it; knob says more, and profile is the knob of that name.`,
		Example: `  hnsim explain S-NAT-05
  hnsim explain NAT-13
  hnsim explain drop NatPoolExhausted
  hnsim explain 0x803b0013
  hnsim explain knob aclAnyMeansDeny
  hnsim explain profile ws2025`,
		Args:              cobra.RangeArgs(1, 2),
		ValidArgsFunction: completeExplain,
		RunE:              func(_ *cobra.Command, args []string) error { return a.runExplain(args) },
	}
}

func (a *app) runExplain(args []string) error {
	kind, name := "", args[0]
	if len(args) == 1 && name == "knob" {
		return a.listKnobs()
	}
	if len(args) == 2 {
		kind, name = args[0], args[1]
		if !slices.Contains(explain.Kinds(), kind) {
			return fmt.Errorf("no kind %q: expected %s", kind, strings.Join(explain.Kinds(), ", "))
		}
	}
	specs, err := conformance.Suite()
	if err != nil {
		// Whoever mends a scenario wants the rest explained all the more.
		a.talk("hnsim: no scenario is known: %v\n", err)
	}
	book := explain.NewBook(specs)
	entries, err := book.Find(kind, name)
	if err != nil && kind == "" && slices.Contains(explain.Kinds(), name) {
		return a.listNames(book.Names(name))
	}
	if err != nil {
		return err
	}
	if a.opts.format == "json" {
		return a.json(entries)
	}
	explain.WriteText(a.out, entries, min(a.out.Width, 100))
	return nil
}

// listNames lists what there is of a kind.
func (a *app) listNames(names []string) error {
	if a.opts.format == "json" {
		return a.json(names)
	}
	for _, name := range names {
		fmt.Fprintln(a.out, name)
	}
	return nil
}

// listKnobs lists every knob with its default, and where that differs.
func (a *app) listKnobs() error {
	knobs := explain.Knobs()
	if a.opts.format == "json" {
		return a.json(knobs)
	}
	var rows [][]string
	for _, k := range knobs {
		usual := k.Defaults[hcn.DefaultProfile]
		var others []string
		for _, p := range hcn.ProfileNames() {
			if k.Defaults[p] != usual {
				others = append(others, p+"="+k.Defaults[p])
			}
		}
		rows = append(rows, []string{k.Name, cmp.Or(usual, "-"), cmp.Or(strings.Join(others, " "), "-"), cmp.Or(k.Rules, "-"), k.Text})
	}
	writeTable(a.out, []string{"knob", hcn.DefaultProfile, "elsewhere", "rules", "meaning"}, rows)
	return nil
}

func completeExplain(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 1 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	specs, _ := conformance.Suite() // without scenarios there is still the rest
	book := explain.NewBook(specs)
	if len(args) == 1 {
		return book.Names(args[0]), cobra.ShellCompDirectiveNoFileComp
	}
	return append(explain.Kinds(), book.Names("")...), cobra.ShellCompDirectiveNoFileComp
}
