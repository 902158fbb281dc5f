package reports

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// MarkdownBudget is the most bytes of a Markdown summary: GitHub rejects a step
// summary of more than 1 MiB as a whole.
const MarkdownBudget = 1 << 20

// section is a part of the Markdown summary. Sections are written in order of
// importance; one that does not fit is cut between items and says so.
type section struct {
	head  string
	items []string
	foot  string
}

// reserve is kept free for the notes that say what was cut: one line for each
// section.
const reserve = 2048

// WriteMarkdown writes the summary in at most budget bytes (0: MarkdownBudget;
// budgets below 4096 count as 4096).
func WriteMarkdown(w io.Writer, r *Report, budget int) error {
	if budget <= 0 {
		budget = MarkdownBudget
	}
	left := max(budget, 4096) - reserve
	var b strings.Builder
	for _, s := range markdownSections(r) {
		left -= writeSection(&b, s, left)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writeSection writes what fits into left and returns the bytes it counted
// against it. The note about what was cut comes out of the reserve.
func writeSection(b *strings.Builder, s section, left int) int {
	start := b.Len()
	if len(s.head)+len(s.foot) > left {
		fmt.Fprintf(b, "\n_A section of %d items was left out: the summary is full._\n", len(s.items))
		return 0
	}
	b.WriteString(s.head)
	for i, item := range s.items {
		if b.Len()-start+len(item)+len(s.foot) > left {
			b.WriteString(s.foot)
			used := b.Len() - start
			fmt.Fprintf(b, "\n_%d of %d items left out: the summary is full. All are in results.ndjson._\n", len(s.items)-i, len(s.items))
			return used
		}
		b.WriteString(item)
	}
	b.WriteString(s.foot)
	return b.Len() - start
}

func markdownSections(r *Report) []section {
	out := []section{markdownHead(r), markdownFailures(r), markdownExpected(r), markdownSkips(r), markdownAreas(r), markdownConfig(r), markdownAll(r)}
	return slices.DeleteFunc(out, func(s section) bool { return s.head == "" })
}

func markdownHead(r *Report) section {
	n := r.Totals()
	verdict := "passed"
	switch {
	case n.Failed+n.XPass > 0:
		verdict = "FAILED"
	case n.Errors > 0:
		verdict = "could not be tested completely"
	case n.Executed() == 0:
		verdict = "nothing was executed"
	}
	if r.Interrupted || !r.Complete {
		verdict += " (interrupted: this report is partial)"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# hnsim: %s\n\n", verdict)
	fmt.Fprintf(&b, "Backend `%s`, profile `%s`, seed %d.\n\n", r.Run.Backend, r.Run.Profile, r.Run.Seed)
	b.WriteString("| selected | passed | failed | errors | xfail | xpass | flaky | skipped | not run |\n|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	fmt.Fprintf(&b, "| %d | %d | %d | %d | %d | %d | %d | %d | %d |\n", n.Selected, n.Passed, n.Failed, n.Errors, n.XFail, n.XPass, n.Flaky, n.Skipped, n.NotRun)
	return section{head: b.String()}
}

func markdownFailures(r *Report) section {
	bad := r.With(Failed, XPass, Error)
	if len(bad) == 0 {
		return section{}
	}
	s := section{head: "\n## Not as expected\n"}
	for i := range bad {
		text := strings.ReplaceAll(failureText(&bad[i]), "```", "` ` `")
		s.items = append(s.items, fmt.Sprintf("\n<details><summary>%s: %s</summary>\n\n```text\n%s```\n\n</details>\n",
			mdText(bad[i].ID), mdText(firstLine(bad[i].Reason)), text))
	}
	return s
}

func markdownExpected(r *Report) section {
	known := r.With(XFail, Flaky)
	if len(known) == 0 {
		return section{}
	}
	s := section{head: "\n## Known deviations\n\n| scenario | status | reason | issue | until |\n|---|---|---|---|---|\n"}
	for _, res := range known {
		var e Expectation
		if res.Expectation != nil {
			e = *res.Expectation
		}
		s.items = append(s.items, fmt.Sprintf("| %s | %s | %s | %s | %s |\n", mdText(res.ID), res.Status, mdText(firstLine(res.Reason)), mdText(e.Issue), mdText(e.Until)))
	}
	return s
}

func markdownSkips(r *Report) section {
	reasons := r.SkipReasons()
	if len(reasons) == 0 {
		return section{}
	}
	s := section{head: "\n## Skips by reason\n\n| count | reason |\n|--:|---|\n"}
	for _, rc := range reasons {
		s.items = append(s.items, fmt.Sprintf("| %d | %s |\n", rc.Count, mdText(firstLine(rc.Reason))))
	}
	return s
}

func markdownAreas(r *Report) section {
	byArea := map[string]*Totals{}
	for _, res := range r.Results {
		if byArea[res.Area] == nil {
			byArea[res.Area] = &Totals{}
		}
		byArea[res.Area].Add(res.Status)
	}
	if len(byArea) == 0 {
		return section{}
	}
	s := section{head: "\n## By area\n\n| area | passed | not as expected | known deviations | skipped |\n|---|--:|--:|--:|--:|\n"}
	for _, area := range slices.Sorted(maps.Keys(byArea)) {
		n := byArea[area]
		if area == "" {
			area = "(files)"
		}
		s.items = append(s.items, fmt.Sprintf("| %s | %d | %d | %d | %d |\n", mdText(area), n.Passed, n.Failed+n.XPass+n.Errors, n.XFail+n.Flaky, n.Skipped+n.NotRun))
	}
	return s
}

func markdownConfig(r *Report) section {
	s := section{head: "\n## Configuration\n\n| name | value |\n|---|---|\n"}
	for _, p := range junitProperties(r) {
		s.items = append(s.items, fmt.Sprintf("| %s | %s |\n", mdText(p.Name), mdText(p.Value)))
	}
	return s
}

func markdownAll(r *Report) section {
	if len(r.Results) == 0 {
		return section{}
	}
	s := section{head: "\n<details><summary>All scenarios</summary>\n\n| scenario | status | rules |\n|---|---|---|\n", foot: "\n</details>\n"}
	for _, res := range r.Results {
		s.items = append(s.items, fmt.Sprintf("| %s | %s | %s |\n", mdText(res.ID), res.Status, mdText(strings.Join(res.Rules, " "))))
	}
	return s
}

var mdEscaper = strings.NewReplacer("|", `\|`, "<", "&lt;", ">", "&gt;", "&", "&amp;", "\n", " ", "`", "'", "*", `\*`, "_", `\_`, "[", `\[`)

// mdText makes text safe inside a Markdown table cell or summary line.
func mdText(s string) string { return mdEscaper.Replace(printable(s)) }
