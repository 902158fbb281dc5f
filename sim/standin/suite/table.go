package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// row is a case and how it came out both ways.
type row struct {
	name            string
	alone, together outcome
}

// table is the result of a suite.
type table struct {
	suite  *suite
	listed int // cases that the program has
	rows   []row
	// restarts are runs that wine did not start at first.
	restarts int
}

func (t *table) names() []string {
	var names []string
	for _, r := range t.rows {
		names = append(names, r.name)
	}
	return names
}

func (t *table) count() (alone, together int) {
	for _, r := range t.rows {
		if r.alone.verdict == passed {
			alone++
		}
		if r.together.verdict == passed {
			together++
		}
	}
	return alone, together
}

// ok is whether every case passed both ways and none is missing.
func (t *table) ok() bool {
	alone, together := t.count()
	return len(t.rows) > 0 && alone == len(t.rows) && together == len(t.rows) && t.listed >= t.suite.AtLeast
}

const nameWidth = 62

// print writes the table, what failed and why, and a summary.
func (t *table) print(w io.Writer, took time.Duration) {
	fmt.Fprintf(w, "%-*s %-6s %s\n", nameWidth, t.suite.Name+": case", "alone", "together")
	for _, r := range t.rows {
		name := r.name
		if len(name) > nameWidth {
			fmt.Fprintln(w, name)
			name = ""
		}
		fmt.Fprintf(w, "%-*s %-6s %s\n", nameWidth, name, r.alone.verdict, r.together.verdict)
	}
	for _, r := range t.rows {
		why(w, r.name, "alone", r.alone)
		if r.alone.verdict == passed { // else the same again
			why(w, r.name, "together", r.together)
		}
	}
	alone, together := t.count()
	fmt.Fprintf(w, "%s %s: of %d cases %d pass alone, %d together, in %.0f s\n",
		t.suite.Module, t.suite.Version, len(t.rows), alone, together, took.Seconds())
	if t.restarts > 0 {
		fmt.Fprintf(w, "%d runs were started again, because wine did not start the program\n", t.restarts)
	}
	if t.listed < t.suite.AtLeast {
		fmt.Fprintf(w, "only %d cases were built, at least %d were expected\n", t.listed, t.suite.AtLeast)
	}
}

// maxLine bounds what is printed of a line; all of it is in the case's folder.
// Go tests print whole documents.
const maxLine = 600

func shorten(line string) string {
	if len(line) <= maxLine {
		return line
	}
	return strings.ToValidUTF8(line[:maxLine/2], "") + " … " + strings.ToValidUTF8(line[len(line)-maxLine/2:], "")
}

func why(w io.Writer, name, way string, o outcome) {
	if o.verdict == passed {
		return
	}
	fmt.Fprintf(w, "\n%s, %s: %s\n", name, way, o.verdict)
	for line := range strings.SplitSeq(strings.TrimRight(o.said, "\n"), "\n") {
		fmt.Fprintln(w, "    "+shorten(line))
	}
}
