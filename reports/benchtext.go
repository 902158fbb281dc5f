package reports

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
)

// Bench prints a benchmark as tables: cost and service never in one.
func (t *TextWriter) Bench(b *Bench) {
	m := b.Machine
	t.printf("%s %s of backend=%s profile=%s\n", strings.TrimSpace(b.Tool+" "+b.Version), b.Kind, b.Backend, b.Profile)
	t.printf("%s/%s, %s, %d cores, %s; cycles %s\n\n", m.OS, m.Arch, orDash(m.CPU), m.Cores, m.Runtime, m.Cycles)
	if len(b.Cells) > 0 {
		t.costTable(b)
	}
	if len(b.Services) > 0 {
		t.serviceTable(b)
	}
	for i := range b.Cells {
		if c := &b.Cells[i]; c.Skipped != "" {
			t.printf("%s: not measured: %s\n", c.Name(), printable(c.Skipped))
		}
	}
	for _, s := range b.Services {
		for _, why := range s.Remarks() {
			t.printf("%s, %s, size %s: %s\n", s.Backend, s.Path, s.Size, printable(why))
		}
	}
	if slices.ContainsFunc(b.Cells, func(c BenchCell) bool { return c.Skipped == "" }) || len(b.Services) > 0 {
		for _, n := range b.Notes {
			for i, l := range Wrap(printable(n), t.width()-6) {
				t.printf("%-6s%s\n", map[bool]string{true: "note:"}[i == 0], l)
			}
		}
	}
	t.gates(b)
	if b.Interrupted {
		t.printf("%s\n", t.paint(yellow, "interrupted: not everything was measured"))
	}
}

func (t *TextWriter) costTable(b *Bench) {
	limits, cycles, variants := false, false, false
	for _, c := range b.Cells {
		limits, cycles, variants = limits || c.Limit > 0, cycles || c.Cycles > 0, variants || c.Trace || c.Workers != 1 || c.Dist != "uniform"
	}
	w := tabwriter.NewWriter(t.W, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(cols ...string) { fmt.Fprintln(w, strings.Join(cols, "\t")+"\t") }
	head := []string{"path", "size", "flows"}
	if variants {
		head = append(head, "traffic")
	}
	head = append(head, "ns/pkt")
	if cycles {
		head = append(head, "cycles")
	}
	head = append(head, "Mpps", "x ref")
	if limits {
		head = append(head, "limit", "x limit")
	}
	row(append(head, "batch p50", "p99", "p99.9 us", "allocs", "B/flow")...)
	for i := range b.Cells {
		c := &b.Cells[i]
		if c.Skipped != "" {
			continue
		}
		cols := []string{c.Path, c.Size, Count(c.Flows)}
		if variants {
			cols = append(cols, c.Traffic())
		}
		cols = append(cols, fmt.Sprintf("%.1f", c.NS))
		if cycles {
			cols = append(cols, figure("%.0f", c.Cycles))
		}
		cols = append(cols, fmt.Sprintf("%.2f", c.MPPS), fmt.Sprintf("%.2f", c.Ratio))
		if limits {
			x := "-"
			if c.Limit > 0 {
				x = fmt.Sprintf("%.2f", c.NS/c.Limit)
			}
			cols = append(cols, figure("%.1f", c.Limit), x)
		}
		row(append(cols, fmt.Sprintf("%.1f", c.P50/1e3), fmt.Sprintf("%.1f", c.P99/1e3), fmt.Sprintf("%.1f", c.P999/1e3),
			fmt.Sprintf("%.2f", c.Allocs), figure("%.0f", c.FlowBytes))...)
	}
	w.Flush()
	t.printf("\n")
}

// Traffic are the properties of a cell that most have not.
func (c *BenchCell) Traffic() string {
	words := []string{c.Dist}
	if c.Trace {
		words = append(words, "traced")
	}
	if c.Workers != 1 {
		words = append(words, fmt.Sprintf("%d workers", c.Workers))
	}
	return strings.Join(words, " ")
}

func (t *TextWriter) serviceTable(b *Bench) {
	w := tabwriter.NewWriter(t.W, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(cols ...string) { fmt.Fprintln(w, strings.Join(cols, "\t")+"\t") }
	row("path", "backend", "size", "flows", "NDR kpps", "PDR kpps", "trials", "latency at", "p50", "p90", "p99", "p99.9", "max us")
	for _, s := range b.Services {
		if s.Skipped+s.Error != "" {
			continue
		}
		cols := []string{s.Path, s.Backend, s.Size, Count(s.Flows), s.NDR.text(), s.PDR.text(), fmt.Sprint(s.Trials)}
		if len(s.Latency) == 0 {
			row(append(cols, "-", "-", "-", "-", "-", "-")...)
		}
		for i, l := range s.Latency {
			if i > 0 {
				cols = []string{"", "", "", "", "", "", ""}
			}
			row(append(cols, fmt.Sprintf("%g%% PDR", 100*l.Share), micro(l.P50), micro(l.P90), micro(l.P99), micro(l.P999), micro(l.Max))...)
		}
	}
	w.Flush()
	t.printf("\n")
}

// text is a rate with a mark: ~ when the search could not bring the bounds
// together, > when nothing above was offered.
func (r ServiceRate) text() string {
	switch {
	case r.Load == 0:
		return "-"
	case r.Upper == 0:
		return fmt.Sprintf(">%.1f", r.Rate/1e3)
	case !r.Complete:
		return fmt.Sprintf("~%.1f", r.Rate/1e3)
	}
	return fmt.Sprintf("%.1f", r.Rate/1e3)
}

func (t *TextWriter) gates(b *Bench) {
	words := map[BenchVerdict]colour{BenchSame: green, BenchFaster: green, BenchSlower: red, BenchInconclusive: yellow}
	for i := range b.Cells {
		c := &b.Cells[i]
		g := c.Gate
		if g == nil {
			continue
		}
		why := ""
		if g.Why != "" {
			why = ": " + g.Why
		}
		t.printf("%s %s  %+.1f%% against a threshold of %.1f%% (floor %.1f%%), slower in %d of %d pairs%s\n", t.paint(words[g.Verdict], fmt.Sprintf("%-12s", g.Verdict)),
			c.Name(), 100*g.Effect, 100*g.Threshold, 100*g.Floor, g.Slower, g.Pairs, why)
	}
	if b.Verdict == "" {
		return
	}
	if b.SelfTest {
		t.printf("self-test: every path was measured against itself with 10%% more work; a gate that works says slower\n")
		if b.Verdict == BenchSlower {
			t.printf("self-test: %s\n", t.paint(green, "passed, the gate can fail"))
		}
	}
	t.printf("verdict: %s\n", t.paint(words[b.Verdict], string(b.Verdict)))
}

func figure(format string, v float64) string {
	if v == 0 {
		return "-"
	}
	return fmt.Sprintf(format, v)
}

func micro(ns float64) string { return fmt.Sprintf("%.1f", ns/1e3) }

// Count is a number of flows in short: 100k, 1M.
func Count(n int) string {
	switch {
	case n >= 1_000_000 && n%1_000_000 == 0:
		return fmt.Sprintf("%dM", n/1_000_000)
	case n >= 1000 && n%1000 == 0:
		return fmt.Sprintf("%dk", n/1000)
	}
	return fmt.Sprint(n)
}
