package reports

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// TextWriter renders results for people. Colour is never the only signal:
// every line says in words what it means. Only ASCII is added to what the
// scenario says itself, for the sake of Windows code pages.
type TextWriter struct {
	W     io.Writer
	Color bool
	Width int // columns; texts are wrapped, identifiers and paths never. 0: 80
	OutAt string
	Wide  bool // Bench: every column, however wide the table gets
}

type colour string

const (
	red    colour = "\x1b[31m"
	green  colour = "\x1b[32m"
	yellow colour = "\x1b[33m"
	dim    colour = "\x1b[2m"
	bold   colour = "\x1b[1m"
	reset         = "\x1b[0m"
)

func (t *TextWriter) paint(c colour, s string) string {
	if !t.Color {
		return s
	}
	return string(c) + s + reset
}

func (t *TextWriter) width() int {
	if t.Width <= 0 {
		return 80
	}
	return t.Width
}

func (t *TextWriter) printf(format string, args ...any) { fmt.Fprintf(t.W, format, args...) }

// Header says what is about to run.
func (t *TextWriter) Header(run *RunInfo) {
	head := []string{strings.TrimSpace(run.Tool + " " + run.Version), "backend=" + run.Backend, "profile=" + run.Profile}
	if run.OSBuild != 0 {
		head = append(head, fmt.Sprintf("build=%d", run.OSBuild))
	}
	head = append(head, fmt.Sprintf("seed=%d", run.Seed))
	if run.TimeScale > 0 {
		head = append(head, fmt.Sprintf("time-scale=%d", run.TimeScale))
	}
	if run.Shard != "" {
		head = append(head, "shard="+run.Shard)
	}
	if run.HNSVersion != "" {
		head = append(head, "(HNS "+run.HNSVersion+")")
	}
	t.printf("%s\n%d of %d scenarios selected\n", strings.Join(head, " "), run.Selected, run.Catalogue)
}

var statusWords = map[Status]struct {
	word string
	c    colour
}{
	Passed: {"ok", green}, Failed: {"FAIL", red}, Skipped: {"skip", yellow}, XFail: {"xfail", yellow},
	XPass: {"XPASS", red}, Flaky: {"flaky", yellow}, Error: {"ERROR", red}, NotRun: {"notrun", yellow},
}

// Line is one line for one result.
func (t *TextWriter) Line(res *Result) {
	s := statusWords[res.Status]
	word := t.paint(s.c, fmt.Sprintf("%-6s", s.word))
	t.printf("%s %s", word, res.ID)
	if res.Status.Executed() {
		t.printf("  %s", timing(res))
	}
	if res.Reason != "" {
		t.printf("  %s", printable(firstLine(res.Reason)))
	}
	t.printf("\n")
}

func timing(res *Result) string {
	s := short(res.Wall)
	if res.Virtual > 0 {
		s += " virtual " + short(res.Virtual)
	}
	return s
}

// short prints a duration with two to three digits.
func short(d time.Duration) string {
	switch {
	case d >= time.Minute:
		return d.Round(time.Second).String()
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	}
	return fmt.Sprintf("%dus", d.Microseconds())
}

// Failure explains one result that is not as expected: requirement, place,
// expected and received, the closest packet field by field, the trace of the
// missing packet, files and the line that reproduces it.
func (t *TextWriter) Failure(res *Result) {
	s := statusWords[res.Status]
	t.printf("%s %s", t.paint(s.c, s.word), t.paint(bold, res.ID))
	if res.Title != "" {
		t.printf("  %s", printable(res.Title))
	}
	t.printf("\n")
	t.field("requirement", requirement(res))
	f := res.Failure
	if f == nil {
		t.field("reason", res.Reason)
		t.repro(res)
		return
	}
	t.field("at", place(f, res))
	if f.Expected == "" && f.Received == "" {
		t.field("failed", f.Message) // otherwise it repeats these two in one line
	}
	t.field("expected", f.Expected)
	t.field("received", f.Received)
	if res.Status != Failed && res.Reason != f.Message {
		t.field("reason", res.Reason)
	}
	t.script(f.Script)
	t.closest(f.Closest)
	t.block("drops since the last stimulus", f.Drops, 20)
	t.block("trace of the packet", f.Trace, 60)
	if detail := strings.Trim(f.Detail, "\n"); detail != "" {
		t.block("detail", strings.Split(detail, "\n"), 60)
	}
	t.repro(res)
}

func requirement(res *Result) string {
	s := res.Requirement
	if len(res.Rules) > 0 {
		s = strings.TrimSpace(s + " (" + strings.Join(res.Rules, ", ") + ")")
	}
	if len(res.Confidence) > 0 {
		s += " [" + strings.Join(res.Confidence, ", ") + "]"
	}
	return strings.TrimSpace(s)
}

func place(f *Failure, res *Result) string {
	file, line := f.File, f.Line
	if file == "" {
		file, line = res.File, res.Line
	}
	if file == "" || line == 0 {
		return file
	}
	return fmt.Sprintf("%s:%d", file, line)
}

// column is where values begin: two spaces, the longest name, two spaces.
const column = 15

// line prints "  name  value" in one line: what somebody will copy.
func (t *TextWriter) line(name, value string) {
	if value != "" {
		t.printf("  %s%s\n", t.paint(dim, fmt.Sprintf("%-*s", column-2, name)), printable(value))
	}
}

// field is line with the value wrapped, continuation lines below it.
func (t *TextWriter) field(name, value string) {
	value = strings.TrimRight(printable(value), "\n \t")
	if value == "" {
		return
	}
	var lines []string
	for _, l := range strings.Split(value, "\n") {
		lines = append(lines, Wrap(l, max(t.width()-column, 30))...)
	}
	t.printf("  %s%s\n", t.paint(dim, fmt.Sprintf("%-*s", column-2, name)), lines[0])
	for _, l := range lines[1:] {
		t.printf("%*s%s\n", column, "", l)
	}
}

// Wrap breaks a text between words only; a word longer than width stays whole.
// Leading blanks and lines that are narrow enough are kept as they are.
func Wrap(s string, width int) []string {
	if len(s) <= width {
		return []string{s}
	}
	var out []string
	line := ""
	for _, word := range strings.Fields(s) {
		switch {
		case line == "":
			line = word
		case len(line)+1+len(word) > width:
			out = append(out, line)
			line = word
		default:
			line += " " + word
		}
	}
	return append(out, line)
}

func (t *TextWriter) script(lines []SourceLine) {
	if len(lines) == 0 {
		return
	}
	t.printf("\n")
	for _, l := range lines {
		mark := ""
		switch l.Mark {
		case "":
		case "FAILED":
			mark = "  " + t.paint(red, "<- FAILED")
		default:
			mark = "  " + t.paint(dim, "<- "+l.Mark)
		}
		t.printf("  %4d | %s%s\n", l.Line, printable(l.Text), mark)
	}
}

func (t *TextWriter) closest(c *Closest) {
	if c == nil {
		return
	}
	t.printf("\n  closest packet")
	if c.Where != "" {
		t.printf(" at %s", printable(c.Where))
	}
	t.printf("\n")
	if c.Packet != "" {
		t.printf("    %s\n", printable(c.Packet))
	}
	if len(c.Fields) == 0 {
		return
	}
	nameW, wantW := len("field"), len("want")
	for _, f := range c.Fields {
		nameW, wantW = max(nameW, len(f.Field)), max(wantW, len(f.Want))
	}
	nameW, wantW = min(nameW, 24), min(wantW, 32)
	t.printf("    %s\n", t.paint(dim, fmt.Sprintf("  %-*s  %-*s  got", nameW, "field", wantW, "want")))
	for _, f := range c.Fields {
		line := fmt.Sprintf("%-*s  %-*s  %s", nameW, printable(f.Field), wantW, printable(f.Want), printable(f.Got))
		if f.Same {
			t.printf("      %s\n", t.paint(dim, line))
		} else {
			t.printf("    %s\n", t.paint(red, "! "+line))
		}
	}
}

func (t *TextWriter) block(title string, lines []string, most int) {
	if len(lines) == 0 {
		return
	}
	t.printf("\n  %s\n", title)
	for i, l := range lines {
		if i == most {
			t.printf("    ... %d more lines\n", len(lines)-most)
			break
		}
		t.printf("    %s\n", printable(l))
	}
}

func (t *TextWriter) repro(res *Result) {
	if len(res.Artefacts) == 0 && res.Repro == "" {
		return
	}
	t.printf("\n")
	for _, a := range res.Artefacts {
		path := a.Path
		if t.OutAt != "" {
			path = t.OutAt + "/" + path
		}
		t.line(a.Kind, path)
	}
	t.line("repro", res.Repro)
}

// Footer is the verdict, the reasons of skips and the hash of events. Took is
// printed when it is positive.
func (t *TextWriter) Footer(r *Report, took time.Duration) {
	n := r.Totals()
	switch {
	case n.Failed > 0 || n.XPass > 0:
		t.printf("%s", t.paint(red, "FAIL"))
	case n.Errors > 0:
		t.printf("%s", t.paint(red, "ERROR"))
	case n.Executed() == 0:
		t.printf("%s", t.paint(red, "NOTHING EXECUTED"))
	case r.Interrupted:
		t.printf("%s", t.paint(yellow, "INTERRUPTED"))
	default:
		t.printf("%s", t.paint(green, "PASS"))
	}
	parts := []string{
		fmt.Sprintf("%d passed", n.Passed), fmt.Sprintf("%d failed", n.Failed),
		fmt.Sprintf("%d failed as expected", n.XFail), fmt.Sprintf("%d unexpectedly passed", n.XPass),
		fmt.Sprintf("%d skipped", n.Skipped),
	}
	for _, extra := range []struct {
		n    int
		what string
	}{{n.Errors, "not testable (harness errors)"}, {n.Flaky, "flaky"}, {n.NotRun, "not run"}} {
		if extra.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", extra.n, extra.what))
		}
	}
	t.printf("  %s", strings.Join(parts, ", "))
	if took > 0 {
		t.printf("  in %s", short(took))
	}
	t.printf("\n")
	if reasons := r.SkipReasons(); len(reasons) > 0 {
		t.printf("skips by reason\n")
		for _, s := range reasons {
			t.printf("  %4d  %s\n", s.Count, printable(firstLine(s.Reason)))
		}
	}
	if r.EventHash != "" {
		t.printf("event hash %s\n", r.EventHash)
	}
}
