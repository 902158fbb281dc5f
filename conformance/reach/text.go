package reach

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Width of the text form, in columns.
const width = 80

// columnWidth is that of one column of the table, nameWidth of the names in
// front.
const (
	columnWidth = 4
	nameWidth   = 20
)

// WriteText writes a block for every port: a row for each place that sends, a
// column for each place, by number. Wrong cells are explained behind it, with
// explain all closed ones.
func (t *Table) WriteText(out io.Writer, explain bool) error {
	w := &printer{out: out}
	columns := t.columns()
	w.printf("%s  %d places, %d cells: + open, x closed, ! not as expected\n", t.Scenario, len(columns), len(t.Cells))
	for i, p := range columns {
		w.printf("%4d  %-22s %-9s %s\n", i+1, clip(p.Name, 22), p.Kind, clip(addresses(p), 40))
	}
	for _, port := range t.ports() {
		for from := 0; from < len(columns); from += (width - nameWidth) / columnWidth {
			t.block(w, port, columns, from, min(len(columns), from+(width-nameWidth)/columnWidth))
		}
	}
	for i := range t.Cells {
		if c := &t.Cells[i]; c.Wrong || explain && !c.Open {
			c.explain(w)
		}
	}
	open := 0
	for i := range t.Cells {
		if t.Cells[i].Open {
			open++
		}
	}
	w.printf("\n%d open, %d closed, %d not as expected\n", open, len(t.Cells)-open, t.Wrong)
	return w.err
}

type printer struct {
	out io.Writer
	err error
}

func (p *printer) printf(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.out, format, args...)
	}
}

// columns are the places that are asked, without routers.
func (t *Table) columns() []*Place {
	return slices.DeleteFunc(slices.Clone(t.Places), func(p *Place) bool {
		return !slices.ContainsFunc(t.Cells, func(c Cell) bool { return c.To == p.Name || c.From == p.Name })
	})
}

// ports in the order in which they are asked; those of services come last, as
// one block.
func (t *Table) ports() []string {
	var out []string
	for i := range t.Cells {
		key := t.portKey(&t.Cells[i])
		if key != services && !slices.Contains(out, key) {
			out = append(out, key)
		}
	}
	if slices.ContainsFunc(t.Cells, func(c Cell) bool { return t.portKey(&c) == services }) {
		out = append(out, services)
	}
	return out
}

const services = "services"

func (t *Table) portKey(c *Cell) string {
	for _, p := range t.Places {
		if p.Name == c.To && p.Port != nil {
			return services
		}
	}
	return c.Port
}

// block is the table of one port, for some of the columns.
func (t *Table) block(w *printer, port string, columns []*Place, first, end int) {
	used := func(p *Place) bool { return (p.Port != nil) == (port == services) }
	if !slices.ContainsFunc(columns[first:end], used) {
		return
	}
	w.printf("\n%-*s", nameWidth, port)
	for i := first; i < end; i++ {
		if used(columns[i]) {
			w.printf("%*d", columnWidth, i+1)
		}
	}
	w.printf("\n")
	for i, from := range columns {
		if !from.sends() {
			continue
		}
		w.printf("%s", fmt.Sprintf("%-*s", nameWidth, clip(fmt.Sprintf("%3d %s", i+1, from.Name), nameWidth-1)))
		for _, to := range columns[first:end] {
			if used(to) {
				w.printf("%*s", columnWidth, t.mark(from, to, port))
			}
		}
		w.printf("\n")
	}
}

func (t *Table) mark(from, to *Place, port string) string {
	for i := range t.Cells {
		c := &t.Cells[i]
		if c.From != from.Name || c.To != to.Name || t.portKey(c) != port {
			continue
		}
		switch {
		case c.Wrong && c.Open:
			return "!+"
		case c.Wrong:
			return "!x"
		case c.Open:
			return "+"
		}
		return "x"
	}
	return "."
}

func (c *Cell) explain(w *printer) {
	state := map[bool]string{true: "open", false: "closed"}
	w.printf("\n%s > %s %s: %s", c.From, c.To, c.Port, state[c.Open])
	if c.Wrong {
		w.printf(", expected %s", state[*c.Expected])
	}
	w.printf("\n")
	for _, l := range wrap(c.Why, width-4) {
		w.printf("    %s\n", l)
	}
}

// wrap breaks text at blanks.
func wrap(text string, most int) []string {
	var out []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > most {
			out, line = append(out, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	if line != "" {
		out = append(out, line)
	}
	return out
}

func clip(s string, most int) string {
	if len(s) > most {
		return s[:most-1] + "~"
	}
	return s
}

func addresses(p *Place) string {
	var out []string
	for _, a := range p.Addrs {
		out = append(out, a.String())
	}
	return strings.Join(out, " ")
}

// WriteCSV writes a row for every cell, which ParseExpectation reads.
func (t *Table) WriteCSV(out io.Writer) error {
	w := csv.NewWriter(out)
	rows := [][]string{{"from", "to", "port", "address", "expected", "actual", "why"}}
	word := map[bool]string{true: "open", false: "closed"}
	for i := range t.Cells {
		c := &t.Cells[i]
		expected := ""
		if c.Expected != nil {
			expected = word[*c.Expected]
		}
		rows = append(rows, []string{c.From, c.To, c.Port, c.Addr.String(), expected, word[c.Open], c.Why})
	}
	return w.WriteAll(rows)
}
