package reports

import (
	"fmt"
	"slices"
	"strings"
)

// Bench prints a benchmark as tables: cost, service and scale never in one.
func (t *TextWriter) Bench(b *Bench) {
	m := b.Machine
	t.printf("%s %s of backend=%s profile=%s\n", strings.TrimSpace(b.Tool+" "+b.Version), b.Kind, b.Backend, b.Profile)
	t.indented("", fmt.Sprintf("%s/%s, %s, %d cores, %s; cycles %s", m.OS, m.Arch, orDash(printable(m.CPU)), m.Cores, m.Runtime, printable(m.Cycles)))
	t.printf("\n")
	t.costTable(b)
	t.serviceTable(b)
	t.scaleTable(b)
	for i := range b.Cells {
		if why := b.Cells[i].Remark(); why != "" {
			t.remark(b.Cells[i].Name() + ": " + printable(why))
		}
	}
	for _, s := range b.Services {
		for _, why := range s.Remarks() {
			t.remark(fmt.Sprintf("%s, %s, size %s: %s", s.Backend, s.Path, s.Size, printable(why)))
		}
	}
	if slices.ContainsFunc(b.Cells, func(c BenchCell) bool { return c.Remark() == "" }) || len(b.Services)+len(b.Scales) > 0 {
		for _, n := range b.Notes {
			t.indented("note: ", printable(n))
		}
	}
	t.gates(b)
	if b.Interrupted {
		t.printf("%s\n", t.paint(yellow, "interrupted: not everything was measured"))
	}
}

// remark is a line about a row, whose lines but the first are indented.
func (t *TextWriter) remark(text string) {
	for i, l := range Wrap(text, t.width()-4) {
		t.printf("%s%s\n", map[bool]string{false: "    "}[i == 0], l)
	}
}

func (t *TextWriter) costTable(b *Bench) {
	table := figureTable{{head: "path"}, {head: "size"}, {head: "flows"}, {head: "traffic"}, {head: "ns/pkt"}, {head: "cycles", drop: 6}, {head: "Mpps", drop: 2},
		{head: "x ref", drop: 1}, {head: "limit", drop: 4}, {head: "x limit"}, {head: "p50 us", drop: 7}, {head: "p99 us", drop: 5}, {head: "p99.9 us", drop: 8},
		{head: "allocs", drop: 3}, {head: "B/flow", drop: 9}}
	variants := slices.ContainsFunc(b.Cells, func(c BenchCell) bool { return c.Trace || c.Workers != 1 || c.Dist != "uniform" })
	for i := range b.Cells {
		c := &b.Cells[i]
		if c.Remark() != "" {
			continue
		}
		traffic, x := "", "-"
		if variants {
			traffic = c.Traffic()
		}
		if c.Limit > 0 {
			x = fmt.Sprintf("%.2f", c.NS/c.Limit)
		}
		table.add(c.Path, c.Size, Count(c.Flows), traffic, fmt.Sprintf("%.1f", c.NS), figure("%.0f", c.Cycles), fmt.Sprintf("%.2f", c.MPPS),
			fmt.Sprintf("%.2f", c.Ratio), figure("%.1f", c.Limit), x, micro(c.P50), micro(c.P99), micro(c.P999), fmt.Sprintf("%.2f", c.Allocs), figure("%.0f", c.FlowBytes))
	}
	t.table(table)
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
	table := figureTable{{head: "path"}, {head: "backend"}, {head: "size"}, {head: "flows", drop: 4}, {head: "NDR kpps"}, {head: "PDR kpps"}, {head: "trials", drop: 5},
		{head: "latency at"}, {head: "p50 us"}, {head: "p90 us", drop: 2}, {head: "p99 us"}, {head: "p99.9 us", drop: 3}, {head: "max us", drop: 1}}
	for _, s := range b.Services {
		if s.Skipped+s.Error != "" {
			continue
		}
		cols := []string{s.Path, s.Backend, s.Size, Count(s.Flows), s.NDR.text(), s.PDR.text(), fmt.Sprint(s.Trials)}
		if len(s.Latency) == 0 {
			table.add(append(cols, "-", "-", "-", "-", "-", "-")...)
		}
		for i, l := range s.Latency {
			if i > 0 {
				cols = []string{"", "", "", "", "", "", ""}
			}
			table.add(append(cols, fmt.Sprintf("%g%% PDR", 100*l.Share), micro(l.P50), micro(l.P90), micro(l.P99), micro(l.P999), micro(l.Max))...)
		}
	}
	t.table(table)
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
		why := fmt.Sprintf("threshold %.1f%%, floor %.1f%%, slower in %d of %d pairs", 100*g.Threshold, 100*g.Floor, g.Slower, g.Pairs)
		t.printf("%s %s  %+.1f%%\n", t.paint(words[g.Verdict], fmt.Sprintf("%-12s", g.Verdict)), c.Name(), 100*g.Effect)
		t.indented(strings.Repeat(" ", 13), why)
		if g.Why != "" {
			t.indented(strings.Repeat(" ", 13), printable(g.Why))
		}
	}
	if b.Verdict == "" {
		return
	}
	if b.SelfTest {
		t.indented("self-test: ", "every path was measured against itself with 10% more work; a gate that works says slower")
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
