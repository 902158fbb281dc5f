package reports

import (
	"slices"
	"strings"
)

// figureColumn is one of a table of figures, aligned to the right.
type figureColumn struct {
	head string
	// drop says in which order columns are left out of a table that is too
	// wide: the highest goes first, 0 stays.
	drop  int
	cells []string
}

func (c figureColumn) width() int {
	const gap = 2
	w := len(c.head)
	for _, s := range c.cells {
		w = max(w, len(s))
	}
	return w + gap
}

// figureTable is filled row by row. A column without a figure
// takes no room.
type figureTable []figureColumn

// add puts the cells of a row behind those that the columns have.
func (c figureTable) add(cells ...string) {
	for i, s := range cells {
		c[i].cells = append(c[i].cells, s)
	}
}

// fit leaves out what does not fit into width, and returns the heads of that.
func (c figureTable) fit(width int) (kept figureTable, left []string) {
	kept = slices.DeleteFunc(slices.Clone(c), func(k figureColumn) bool {
		return !slices.ContainsFunc(k.cells, func(s string) bool { return s != "" && s != "-" })
	})
	for {
		sum, last := 0, 0
		for i, k := range kept {
			sum += k.width()
			if k.drop > kept[last].drop {
				last = i
			}
		}
		if sum <= width || len(kept) == 0 || kept[last].drop == 0 {
			return kept, left
		}
		left = append(left, kept[last].head)
		kept = slices.Delete(kept, last, last+1)
	}
}

// table prints columns within the writer's width and says what was left out.
func (t *TextWriter) table(c figureTable) {
	width := t.width()
	if t.Wide {
		width = 1 << 20
	}
	c, left := c.fit(width)
	if len(c) == 0 {
		return
	}
	row := func(cell func(k figureColumn) string) {
		var b strings.Builder
		for _, k := range c {
			s := cell(k)
			b.WriteString(strings.Repeat(" ", k.width()-len(s)) + s)
		}
		t.printf("%s\n", b.String())
	}
	row(func(k figureColumn) string { return k.head })
	for i := range c[0].cells {
		row(func(k figureColumn) string { return k.cells[i] })
	}
	if len(left) > 0 {
		t.indented("--wide adds: ", strings.Join(left, ", "))
	}
	t.printf("\n")
}

// indented prints a text behind a head, wrapped, with all lines but the first
// below each other.
func (t *TextWriter) indented(head, text string) {
	for i, l := range Wrap(text, max(t.width()-len(head), 30)) {
		if i > 0 {
			head = strings.Repeat(" ", len(head))
		}
		t.printf("%s%s\n", head, l)
	}
}
