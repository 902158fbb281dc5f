package reports

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// DiffHead says what is compared.
func (t *TextWriter) DiffHead(d *Diff, selected int) {
	t.printf("%s\n", strings.TrimSpace(d.Tool+" "+d.Version))
	t.printf("left   %s\nright  %s\n%d scenarios selected\n", d.Left.text(), d.Right.text(), selected)
}

func (s *DiffSide) text() string {
	parts := []string{s.Name}
	if s.Recorded != "" {
		parts = append(parts, "("+s.Recorded+")")
	}
	parts = append(parts, "profile="+s.Profile)
	if s.OSBuild != 0 {
		parts = append(parts, fmt.Sprintf("build=%d", s.OSBuild))
	}
	parts = append(parts, fmt.Sprintf("seed=%d", s.Seed))
	for _, name := range slices.Sorted(maps.Keys(s.Knobs)) {
		parts = append(parts, name+"="+s.Knobs[name])
	}
	if s.NoFlowCache {
		parts = append(parts, "no-flow-cache")
	}
	if s.TimeScale > 0 {
		parts = append(parts, fmt.Sprintf("time-scale=%d", s.TimeScale))
	}
	return strings.Join(parts, " ")
}

var verdictWords = map[Verdict]struct {
	word string
	c    colour
}{
	Agree: {"agree", green}, Differ: {"DIFF", red}, KnownDiffer: {"known", yellow}, NotComparable: {"n/c", yellow},
}

// Comparison prints one scenario: a difference that nothing explains in full,
// everything else in a line.
func (t *TextWriter) Comparison(c *Comparison, all bool) {
	w := verdictWords[c.Verdict]
	switch {
	case c.Verdict == Differ:
		t.printf("%s %s", t.paint(w.c, w.word), t.paint(bold, c.ID))
		if c.Title != "" {
			t.printf("  %s", printable(c.Title))
		}
		t.printf("\n")
		t.difference(c.Difference, all)
		t.printf("\n")
	case c.Verdict == KnownDiffer:
		t.printf("%s %s  %s  %s\n", t.paint(w.c, fmt.Sprintf("%-5s", w.word)), c.ID, c.Difference.At, printable(c.Difference.Where))
		t.field("because", c.Reason)
		if all {
			t.difference(c.Difference, all)
			t.printf("\n")
		}
	case all:
		t.printf("%s %s", t.paint(w.c, fmt.Sprintf("%-5s", w.word)), c.ID)
		if c.Verdict == Agree {
			t.printf("  %d lines, %d answers, %d frames", c.Lines, c.Calls, c.Frames)
		}
		if c.Reason != "" {
			t.printf("  %s", printable(firstLine(c.Reason)))
		}
		t.printf("\n")
	}
}

func (t *TextWriter) difference(d *Difference, all bool) {
	t.line("at", d.At)
	t.field("where", d.Where)
	t.field("what", d.What)
	t.script(d.Script)
	t.printf("\n")
	t.field("left", d.Left)
	t.field("right", d.Right)
	t.pairs(d.Fields, all)
	if len(d.Notes) > 0 {
		t.printf("\n")
	}
	for _, n := range d.Notes {
		t.field("note", n)
	}
}

// fewNormalised is how many fields that were normalised are shown beside those
// that differ.
const fewNormalised = 6

// pairs prints fields in two columns: those that differ, those that were
// normalised if they are few, and all if they are wanted.
func (t *TextWriter) pairs(fields []FieldPair, all bool) {
	normalised := 0
	for _, f := range fields {
		if f.State == FieldNormalised {
			normalised++
		}
	}
	var shown []FieldPair
	nameW := len("field")
	for _, f := range fields {
		if all || f.State == FieldDiffers || f.State == FieldNormalised && normalised <= fewNormalised {
			shown = append(shown, f)
			nameW = max(nameW, len(f.Field))
		}
	}
	if len(shown) == 0 {
		return
	}
	nameW = min(nameW, 28)
	columnW := max((t.width()-nameW-10)/2, 12)
	t.printf("\n  %s\n", t.paint(dim, fmt.Sprintf("  %-*s  %-*s  right", nameW, "field", columnW, "left")))
	for _, f := range shown {
		t.pair(f, nameW, columnW)
	}
	if n := len(fields) - len(shown); n > 0 {
		what := "the same"
		if normalised > fewNormalised {
			what = "the same or normalised"
		}
		t.printf("    %s\n", t.paint(dim, fmt.Sprintf("%d more %s: -v shows them", n, what)))
	}
}

var stateMarks = map[State]struct {
	mark string
	c    colour
}{FieldSame: {" ", dim}, FieldNormalised: {"~", yellow}, FieldDiffers: {"!", red}}

// pair prints one field; long values go on below.
func (t *TextWriter) pair(f FieldPair, nameW, columnW int) {
	m := stateMarks[f.State]
	left, right := chop(printable(f.Left), columnW), chop(printable(f.Right), columnW)
	name := chop(printable(f.Field), nameW)
	for i := range max(len(left), len(right), len(name)) {
		mark := m.mark
		if i > 0 {
			mark = " "
		}
		line := strings.TrimRight(fmt.Sprintf("%s %-*s  %-*s  %s", mark, nameW, at(name, i), columnW, at(left, i), at(right, i)), " ")
		t.printf("  %s\n", t.paint(m.c, line))
	}
	if f.Note != "" {
		for _, l := range Wrap(printable(f.Note), t.width()-nameW-6) {
			t.printf("    %*s  %s\n", nameW, "", t.paint(dim, l))
		}
	}
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return ""
}

// chop cuts a value into pieces of a width. Values are data: blanks do not
// count.
func chop(s string, width int) []string {
	s = strings.ReplaceAll(s, "\n", " ")
	r := []rune(s)
	var out []string
	for len(r) > width {
		out = append(out, string(r[:width]))
		r = r[width:]
	}
	return append(out, string(r))
}

// DiffFoot is the verdict, what was normalised, why scenarios could not be
// compared, and what became of known deviations.
func (t *TextWriter) DiffFoot(d *Diff, took time.Duration) {
	n := d.Totals
	word, c := "AGREE", green
	switch {
	case n.Differ > 0:
		word, c = "DIFFER", red
	case n.Stale > 0:
		word, c = "STALE", red
	case n.Compared() == 0:
		word, c = "NOTHING COMPARED", red
	case d.Interrupted:
		word, c = "INTERRUPTED", yellow
	}
	t.printf("%s  %s, %d agree, %d differ, ", t.paint(c, word), count(n.Scenarios, "scenario"), n.Agree, n.Differ)
	if n.Known > 0 {
		t.printf("%d known, ", n.Known)
	}
	t.printf("%d not comparable", n.NotComparable)
	if took > 0 {
		t.printf("  in %s", short(took))
	}
	t.printf("\n")
	t.normalised(d)
	t.reasons(d)
	t.deviations(d.Deviations)
}

func (t *TextWriter) normalised(d *Diff) {
	if len(d.Normalised) == 0 {
		t.printf("nothing was normalised\n")
	} else {
		t.printf("normalised (--strict NAME switches one off)\n")
	}
	for _, n := range d.Normalised {
		lines := Wrap(n.Meaning, t.width()-24)
		t.printf("  %8d  %-11s %s\n", n.Count, n.Name, lines[0])
		for _, l := range lines[1:] {
			t.printf("%24s%s\n", "", l)
		}
	}
	if len(d.Strict) > 0 {
		t.printf("not normalised: %s\n", strings.Join(d.Strict, ", "))
	}
}

// reasonsShown bounds the list of reasons.
const reasonsShown = 20

func (t *TextWriter) reasons(d *Diff) {
	reasons := d.Reasons()
	if len(reasons) == 0 {
		return
	}
	t.printf("not comparable, by reason\n")
	for i, r := range reasons {
		if i == reasonsShown {
			t.printf("        %d more reasons: -v or --format json shows them\n", len(reasons)-i)
			return
		}
		lines := Wrap(printable(firstLine(r.Reason)), t.width()-8)
		t.printf("  %4d  %s\n", r.Count, lines[0])
		for _, l := range lines[1:] {
			t.printf("        %s\n", l)
		}
	}
}

// Reasons are the reasons of what is not comparable, the most frequent first.
func (d *Diff) Reasons() []ReasonCount {
	counts := map[string]int{}
	for i := range d.Scenarios {
		if c := &d.Scenarios[i]; c.Verdict == NotComparable {
			counts[c.Reason]++
		}
	}
	return byCount(counts)
}

func (t *TextWriter) deviations(all []Deviation) {
	if len(all) == 0 {
		return
	}
	t.printf("known deviations\n")
	for _, v := range all {
		switch {
		case v.Stale:
			t.printf("  %s  %s:%d  %s: nothing differs any more; remove the line\n", t.paint(red, "STALE"), v.File, v.Line, v.Select)
		default:
			t.printf("  %4d of %d  %s:%d  %s\n", len(v.Differ), v.Covered, v.File, v.Line, v.Select)
		}
		if why := strings.TrimSpace(v.Issue + " " + v.Reason); why != "" {
			for _, l := range Wrap(printable(why), t.width()-8) {
				t.printf("        %s\n", l)
			}
		}
	}
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
