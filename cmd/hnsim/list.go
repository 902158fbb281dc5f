package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/hnsim/hnsim/conformance"
	"github.com/hnsim/hnsim/scenarios/contract"
)

type listFlags struct {
	selects   []string
	label     string
	columns   string
	uncovered bool
	missing   bool
	marked    bool
}

func (a *app) listCmd() *cobra.Command {
	var f listFlags
	c := &cobra.Command{
		Use:   "list [selector...|file...]",
		Short: "list scenarios, or what has none",
		Long: `List the scenarios that selectors pick (all without any), one a line.

--uncovered lists the rules of the contract that no scenario cites instead, and
--missing the scenarios that the contract proposes and the suite does not have.
--marked lists the rules that no scenario can check, with the reason and the tests
that check them instead; they do not count as uncovered.

Columns: ` + strings.Join(columnNames(), ", ") + `.`,
		Example: `  hnsim list 'nat/**'
  hnsim list --columns id,rules,requires --label conf:issue
  hnsim list --uncovered --format json`,
		ValidArgsFunction: completeScenarios,
		RunE:              func(_ *cobra.Command, args []string) error { return a.runList(args, &f) },
	}
	flags := c.Flags()
	flags.StringArrayVar(&f.selects, "select", nil, "`selector`, as an argument; repeatable")
	flags.StringVar(&f.label, "label", "", "list those whose labels match this `filter` only")
	flags.StringVar(&f.columns, "columns", "id,area,title", "`names` of the columns, separated by commas")
	flags.BoolVar(&f.uncovered, "uncovered", false, "list rules of the contract without a scenario")
	flags.BoolVar(&f.missing, "missing", false, "list proposed scenarios that do not exist")
	flags.BoolVar(&f.marked, "marked", false, "list rules that no scenario can check, and why")
	c.MarkFlagsMutuallyExclusive("uncovered", "missing", "marked")
	return c
}

// column of the list: a name and how to get it from a scenario.
type column struct {
	name string
	get  func(*conformance.Spec) string
}

var listColumns = []column{
	{"id", func(s *conformance.Spec) string { return s.ID }},
	{"area", func(s *conformance.Spec) string { return s.Area }},
	{"title", func(s *conformance.Spec) string { return s.Title }},
	{"path", func(s *conformance.Spec) string { return s.Path }},
	{"file", func(s *conformance.Spec) string { return s.File }},
	{"rules", func(s *conformance.Spec) string { return strings.Join(s.Rules, " ") }},
	{"confidence", func(s *conformance.Spec) string { return strings.Join(s.Confidence, " ") }},
	{"labels", func(s *conformance.Spec) string { return strings.Join(s.Labels, " ") }},
	{"requires", func(s *conformance.Spec) string { return strings.Join(s.Requires, " ") }},
	{"profiles", func(s *conformance.Spec) string { return strings.Join(s.Profiles, " ") }},
}

func columnNames() []string {
	var out []string
	for _, c := range listColumns {
		out = append(out, c.name)
	}
	return out
}

func chooseColumns(text string) ([]column, error) {
	var out []column
	for _, name := range strings.Split(text, ",") {
		i := slices.IndexFunc(listColumns, func(c column) bool { return c.name == strings.TrimSpace(name) })
		if i < 0 {
			msg := fmt.Sprintf("no column %q: expected %s", name, strings.Join(columnNames(), ", "))
			if s := conformance.Suggest(name, columnNames()); s != "" {
				msg += "; did you mean " + s + "?"
			}
			return nil, fmt.Errorf("%s", msg)
		}
		out = append(out, listColumns[i])
	}
	return out, nil
}

func (a *app) runList(args []string, f *listFlags) error {
	columns, err := chooseColumns(f.columns)
	if err != nil {
		return err
	}
	selectors, files := splitFiles(append(args, f.selects...))
	specs, err := conformance.Catalogue(selectors, files, f.label)
	if err != nil {
		return err
	}
	switch {
	case f.uncovered:
		return a.listUncovered(specs)
	case f.marked:
		return a.listMarked()
	case f.missing:
		return a.listMissing(specs)
	case a.opts.format == "json":
		return a.json(listing(specs))
	}
	rows := [][]string{}
	for _, s := range specs {
		var row []string
		for _, c := range columns {
			row = append(row, c.get(s))
		}
		rows = append(rows, row)
	}
	var heads []string
	for _, c := range columns {
		heads = append(heads, c.name)
	}
	writeTable(a.out, heads, rows)
	return nil
}

// listed is a scenario in the JSON list.
type listed struct {
	ID          string   `json:"id"`
	Title       string   `json:"title"`
	Area        string   `json:"area"`
	Path        string   `json:"path"`
	File        string   `json:"file"`
	Requirement string   `json:"requirement"`
	Rules       []string `json:"rules"`
	Confidence  []string `json:"confidence"`
	Labels      []string `json:"labels"`
	Requires    []string `json:"requires"`
	Profiles    []string `json:"profiles"`
}

func listing(specs []*conformance.Spec) []listed {
	list := func(s []string) []string { return append([]string{}, s...) } // [] rather than null
	out := []listed{}
	for _, s := range specs {
		out = append(out, listed{s.ID, s.Title, s.Area, s.Path, s.File, s.Requirement,
			list(s.Rules), list(s.Confidence), list(s.Labels), list(s.Requires), list(s.Profiles)})
	}
	return out
}

type listedRule struct {
	ID         string   `json:"id"`
	Statement  string   `json:"statement"`
	Confidence []string `json:"confidence"`
	File       string   `json:"file"`
	Line       int      `json:"line"`
}

func (a *app) listUncovered(specs []*conformance.Spec) error {
	out := []listedRule{}
	rows := [][]string{}
	for _, r := range conformance.Uncovered(specs) {
		out = append(out, listedRule{r.ID, r.Statement, r.Confidence, r.File, r.Line})
		rows = append(rows, []string{r.ID, strings.Join(r.Confidence, " "), shorten(r.Statement, 90)})
	}
	if a.opts.format == "json" {
		return a.json(out)
	}
	writeTable(a.out, []string{"rule", "confidence", "statement"}, rows)
	a.talk("%d rules without a scenario, %d more that no scenario can check (--marked)\n", len(rows), len(contract.Marks()))
	return nil
}

type listedMark struct {
	ID     string   `json:"id"`
	Mark   string   `json:"mark"`
	Reason string   `json:"reason"`
	Tests  []string `json:"tests"`
	Line   int      `json:"line"` // in scenarios/contract/marks.md
}

func (a *app) listMarked() error {
	out := []listedMark{}
	rows := [][]string{}
	for _, m := range contract.Marks() {
		out = append(out, listedMark{m.Rule.ID, m.Kind, m.Reason, append([]string{}, m.Tests...), m.Line})
		rows = append(rows, []string{m.Rule.ID, m.Kind, shorten(m.Reason, 100)})
	}
	if a.opts.format == "json" {
		return a.json(out)
	}
	writeTable(a.out, []string{"rule", "mark", "why"}, rows)
	a.talk("%d rules that no scenario can check\n", len(rows))
	return nil
}

type listedProposal struct {
	ID    string   `json:"id"`
	Title string   `json:"title"`
	Rules []string `json:"rules"`
}

func (a *app) listMissing(specs []*conformance.Spec) error {
	out := []listedProposal{}
	rows := [][]string{}
	for _, p := range conformance.Missing(specs) {
		out = append(out, listedProposal{p.ID, p.Title(), p.Rules})
		rows = append(rows, []string{p.ID, shorten(p.Title(), 90)})
	}
	if a.opts.format == "json" {
		return a.json(out)
	}
	writeTable(a.out, []string{"scenario", "what"}, rows)
	a.talk("%d proposed scenarios are not in the suite\n", len(rows))
	return nil
}

func shorten(s string, most int) string {
	r := []rune(s)
	if len(r) <= most {
		return s
	}
	return string(r[:most-3]) + "..."
}

// writeTable writes columns that cut and awk can take apart: no frame, two
// blanks between, nothing wrapped.
func writeTable(w io.Writer, heads []string, rows [][]string) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{heads}, rows...) {
		// The last cell has no tab, or it would be padded.
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	t.Flush()
}
