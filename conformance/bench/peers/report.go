//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// result is one system in a group. Times are nanoseconds of CPU time per packet.
type result struct {
	System  string    `json:"system"`
	Path    string    `json:"path"`
	Reason  string    `json:"reason,omitempty"` // why there are no figures
	NS      float64   `json:"ns,omitempty"`     // median of the rounds
	Least   float64   `json:"least,omitempty"`
	Samples []float64 `json:"samples,omitempty"`
	Packets int       `json:"packets,omitempty"` // of a round, about
	// Medians of the ratios of rounds, to the model's and to the limit's of the
	// same round; 0 without one.
	XModel float64 `json:"xModel,omitempty"`
	XLimit float64 `json:"xLimit,omitempty"`
}

// group is one workload at one number of flows.
type group struct {
	Workload string   `json:"workload"`
	Flows    int      `json:"flows"`
	Results  []result `json:"results"`
}

func (g *group) get(e entry) *result {
	for i := range g.Results {
		if r := &g.Results[i]; r.System == e.system && r.Path == e.path && r.Reason == "" {
			return r
		}
	}
	return nil
}

// first is the first result of a system, nil if it has no figures.
func (g *group) first(system string) *result {
	i := slices.IndexFunc(g.Results, func(r result) bool { return r.System == system })
	if i < 0 || g.Results[i].Reason != "" {
		return nil
	}
	return &g.Results[i]
}

// relate fills in the ratios.
func (g *group) relate() {
	model, limit := g.first("hnsim"), g.first("limit")
	for i := range g.Results {
		r := &g.Results[i]
		if r.Reason == "" {
			r.XModel, r.XLimit = r.over(model), r.over(limit)
		}
	}
}

// over is how many times another's time a result's is: the median over rounds.
func (r *result) over(other *result) float64 {
	if other == nil {
		return 0
	}
	var ratios []float64
	for i, ns := range r.Samples {
		ratios = append(ratios, ns/other.Samples[i])
	}
	return median(ratios)
}

// verdict is one promise, held against what was measured.
type verdict struct {
	Verdict string  `json:"verdict"` // "met", "not met" or "not measured"
	Promise string  `json:"promise"`
	Flows   int     `json:"flows"`
	Ratio   float64 `json:"ratio,omitempty"`
}

type document struct {
	Machine     machine           `json:"machine"`
	Includes    map[string]string `json:"includes"`
	Groups      []group           `json:"groups"`
	Verdicts    []verdict         `json:"verdicts"`
	Interrupted bool              `json:"interrupted,omitempty"`
}

type machine struct {
	CPU    string `json:"cpu,omitempty"`
	Core   int    `json:"core"` // the one that everything ran on
	Cores  int    `json:"cores"`
	Kernel string `json:"kernel"`
	Go     string `json:"go"`
}

func newDocument(core int) *document {
	d := &document{Machine: machine{Core: core, Cores: runtime.NumCPU(), Go: runtime.Version()}, Includes: includes, Groups: []group{}, Verdicts: []verdict{}}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		d.Machine.Kernel = unix.ByteSliceToString(u.Release[:])
	}
	text, _ := os.ReadFile("/proc/cpuinfo") // without it the processor has no name
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			d.Machine.CPU = strings.TrimSpace(value)
			break
		}
	}
	return d
}

// judge holds the promises against what was measured; those about workloads or
// systems that were not asked for are left out.
func (d *document) judge(o options) {
	for i := range d.Groups {
		g := &d.Groups[i]
		w := workloads[slices.IndexFunc(workloads, func(w workload) bool { return w.name == g.Workload })]
		if w.atMost > 0 && g.Flows >= w.goalAt && wants(o.systems, "limit") {
			d.verdict(fmt.Sprintf("%s at most %g times the limit", g.Workload, w.atMost), g.Flows, g.first("hnsim"), func(m *result) (float64, bool) {
				return m.XLimit, m.XLimit <= w.atMost
			}, g.first("limit"))
		}
		for _, p := range promises {
			if p.workload == g.Workload && g.Flows >= p.flows && wants(o.systems, p.entry.system) {
				d.promise(g, p)
			}
		}
	}
}

func (d *document) promise(g *group, p promise) {
	other := g.get(p.entry)
	need := []*result{other}
	text := fmt.Sprintf("%s %g times as fast as %s %s", g.Workload, p.atLeast, p.entry.system, p.entry.path)
	var minus *result
	if p.minus.system != "" {
		minus = g.get(p.minus)
		need = append(need, minus)
		text = fmt.Sprintf("%s ahead of %s %s without its %s", g.Workload, p.entry.system, p.entry.path, p.minus.path)
	}
	d.verdict(text, g.Flows, g.first("hnsim"), func(m *result) (float64, bool) {
		var ratios []float64
		for i, ns := range m.Samples {
			theirs := other.Samples[i]
			if minus != nil {
				theirs -= minus.Samples[i]
			}
			ratios = append(ratios, theirs/ns)
		}
		x := median(ratios)
		return x, x >= p.atLeast
	}, need...)
}

// verdict adds one; what it needs must all have been measured.
func (d *document) verdict(promise string, flows int, model *result, judge func(model *result) (ratio float64, met bool), need ...*result) {
	v := verdict{Verdict: "not measured", Promise: promise, Flows: flows}
	if model != nil && !slices.Contains(need, nil) {
		met := false
		v.Ratio, met = judge(model)
		v.Verdict = map[bool]string{true: "met", false: "not met"}[met]
	}
	d.Verdicts = append(d.Verdicts, v)
}

func (d *document) encode(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(d)
}

// columns of the text.
const columns = 80

// say prints text behind a head, broken between words, at most columns wide.
func say(w io.Writer, head, text string) {
	line := head
	blank := true
	for _, word := range strings.Fields(text) {
		if !blank && len(line)+1+len(word) > columns {
			fmt.Fprintln(w, line)
			line, blank = strings.Repeat(" ", len(head)), true
		}
		if !blank {
			line += " "
		}
		line += word
		blank = false
	}
	fmt.Fprintln(w, line)
}

func (d *document) head(w io.Writer) {
	m := d.Machine
	say(w, "", fmt.Sprintf("%s, core %d of %d, Linux %s, %s", m.CPU, m.Core, m.Cores, m.Kernel, m.Go))
	say(w, "", "64-byte frames, nanoseconds of CPU time per packet, medians of rounds in turn. x hnsim and x limit: how many times the time of hnsim's and of the limit's first row.")
}

func (g *group) print(w io.Writer) {
	fmt.Fprintf(w, "\n%-34s %9s %9s %11s %11s\n", fmt.Sprintf("%s, %s flows", g.Workload, count(g.Flows)), "median", "least", "x hnsim", "x limit")
	for _, r := range g.Results {
		name := "  " + r.System + " " + r.Path
		if r.Reason != "" {
			say(w, fmt.Sprintf("%-28s ", name), "not measured: "+r.Reason)
			if what := missing[r.System]; what != "" && strings.Contains(r.Reason, "not installed") {
				say(w, fmt.Sprintf("%-28s ", ""), "needs "+what)
			}
			continue
		}
		fmt.Fprintf(w, "%-34s %9.1f %9.1f %11s %11s\n", name, r.NS, r.Least, times(r.XModel), times(r.XLimit))
	}
}

func times(x float64) string {
	if x == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", x)
}

func (d *document) foot(w io.Writer) {
	fmt.Fprintf(w, "\nverdicts\n")
	for _, v := range d.Verdicts {
		ratio := ""
		if v.Ratio != 0 {
			ratio = fmt.Sprintf(": %.2f", v.Ratio)
		}
		say(w, fmt.Sprintf("  %-13s ", v.Verdict), fmt.Sprintf("%s, %s flows%s", v.Promise, count(v.Flows), ratio))
	}
	fmt.Fprintf(w, "\nwhat the figures include\n")
	for _, name := range []string{"limit", "hnsim", "gopacket", "xdp", "ovs", "dpdk", "kernel", "gvisor"} {
		say(w, fmt.Sprintf("  %-9s ", name), includes[name])
	}
}

// count is a number of flows in short.
func count(n int) string {
	switch {
	case n >= 1_000_000 && n%1_000_000 == 0:
		return fmt.Sprintf("%dM", n/1_000_000)
	case n >= 1000 && n%1000 == 0:
		return fmt.Sprintf("%dk", n/1000)
	}
	return fmt.Sprint(n)
}
