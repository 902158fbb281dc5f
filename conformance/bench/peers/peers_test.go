//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == childWord {
		os.Exit(child(os.Args[2:], os.Stdin, os.Stdout))
	}
	os.Exit(m.Run())
}

// peers runs the program; what it leaves behind is an error.
func peers(t *testing.T, ctx context.Context, args ...string) (string, error) {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir())
	runtime.LockOSThread() // and is not unlocked: the thread's processor was changed
	var out, talk bytes.Buffer
	err := run(ctx, args, &out, &talk)
	left, _ := os.ReadDir(os.TempDir())
	for _, f := range left {
		t.Errorf("%s is left behind", f.Name())
	}
	return out.String(), err
}

// What needs nothing but Go is measured everywhere.
func TestGoSystemsAreMeasuredInOneRun(t *testing.T) {
	out, err := peers(t, t.Context(), "-quick", "-rows", "l2,nat,encap", "-systems", "hnsim,gopacket,gvisor", "-format", "json")
	if err != nil {
		t.Fatal(err)
	}
	var d document
	if err := json.Unmarshal([]byte(out), &d); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, g := range d.Groups {
		for _, r := range g.Results {
			if r.Reason != "" || r.NS <= 0 || r.XModel <= 0 || r.XLimit != 0 || len(r.Samples) != 1 {
				t.Errorf("%s: %+v", g.Workload, r)
			}
			n++
		}
	}
	if len(d.Groups) != 3 || n != 9 || d.Machine.Kernel == "" || len(d.Verdicts) != 3 {
		t.Errorf("%d groups, %d results, %+v, %+v", len(d.Groups), n, d.Machine, d.Verdicts)
	}
}

// Whatever is missing here, everything is a row: figures, or a reason.
func TestEverySystemIsARow(t *testing.T) {
	out, err := peers(t, t.Context(), "-quick", "-rows", "l2")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range workloads[0].entries {
		if !strings.Contains(out, "\n  "+e.system+" "+e.path+" ") {
			t.Errorf("%v is no row", e)
		}
	}
	for line := range strings.Lines(out) {
		if len(line) > columns+1 {
			t.Errorf("%d columns: %s", len(line)-1, line)
		}
	}
	t.Log(out)
}

func TestASystemThatCannotSaysWhy(t *testing.T) {
	m := meter{o: options{rounds: 1, round: time.Millisecond}, dir: t.TempDir()}
	runtime.LockOSThread()
	g := m.group(t.Context(), workload{name: "w", entries: []entry{{"gopacket", "nat"}, {"gopacket", "tea"}, {"hnsim", "outboundnat"}}}, 70_000)
	if g.Results[0].NS == 0 || g.Results[1].Reason != "no path tea" || !strings.Contains(g.Results[2].Reason, "at most 60000 flows") {
		t.Errorf("%+v", g.Results)
	}
	if g.Results[0].XModel != 0 {
		t.Error("a ratio to what was not measured")
	}
}

func TestAnInterruptedRunSaysSo(t *testing.T) {
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Second)
	defer stop()
	begun := time.Now()
	out, err := peers(t, ctx, "-rows", "nat", "-systems", "gopacket", "-round", "10s", "-format", "json")
	var d document
	if err != nil || json.Unmarshal([]byte(out), &d) != nil || !d.Interrupted || len(d.Groups) != 1 || d.Groups[0].Results[0].Reason == "" {
		t.Errorf("%v %s", err, out)
	}
	if took := time.Since(begun); took > openTimeout {
		t.Errorf("it went on for %v", took)
	}
}

func TestUsageIsChecked(t *testing.T) {
	for _, args := range [][]string{{"x"}, {"-rows", "tea"}, {"-systems", "vpp"}, {"-rounds", "0"}, {"-format", "xml"}, {"-flows", "-1"}, {"-what"}} {
		if _, err := peers(t, t.Context(), args...); !errors.Is(err, errUsage) {
			t.Errorf("%v: %v", args, err)
		}
	}
}

// measured is a group in which everything was, at so many nanoseconds.
func measured(name string, flows int, ns map[entry]float64) group {
	g := group{Workload: name, Flows: flows}
	for _, w := range workloads {
		if w.name != name {
			continue
		}
		for _, e := range w.entries {
			r := result{System: e.system, Path: e.path, NS: ns[e], Samples: []float64{ns[e], ns[e], ns[e]}}
			if ns[e] == 0 {
				r.Reason, r.Samples = "it is not here", nil
			}
			g.Results = append(g.Results, r)
		}
	}
	g.relate()
	return g
}

func TestPromisesAreJudged(t *testing.T) {
	d := newDocument(0)
	d.Groups = []group{
		measured("nat", 1000, map[entry]float64{{"hnsim", "nat"}: 20, {"limit", "napt"}: 10, {"gvisor", "nat"}: 1990, {"gopacket", "nat"}: 80, {"kernel", "masquerade"}: 430}),
		measured("nat", 100_000, map[entry]float64{{"hnsim", "nat"}: 20, {"limit", "napt"}: 9, {"gvisor", "nat"}: 2010, {"gopacket", "nat"}: 79, {"xdp", "nat"}: 40, {"xdp", "generator"}: 21}),
		measured("l2", 100_000, map[entry]float64{{"hnsim", "l2"}: 20, {"xdp", "l2"}: 42, {"xdp", "generator"}: 21}),
	}
	d.judge(options{})
	var got []string
	for _, v := range d.Verdicts {
		got = append(got, v.Verdict+": "+v.Promise+", "+count(v.Flows))
	}
	want := []string{
		// A limit is a promise for many flows only.
		"not met: nat 100 times as fast as gvisor nat, 1k",
		"met: nat 4 times as fast as gopacket nat, 1k",
		"not measured: nat 4 times as fast as gopacket nat-map, 1k",
		"met: nat 10 times as fast as kernel masquerade, 1k",
		"not met: nat at most 2 times the limit, 100k",
		"met: nat 100 times as fast as gvisor nat, 100k",
		"not met: nat 4 times as fast as gopacket nat, 100k",
		"not measured: nat 4 times as fast as gopacket nat-map, 100k",
		"not measured: nat 10 times as fast as kernel masquerade, 100k",
		"not met: nat ahead of xdp nat without its generator, 100k",
		"not measured: l2 at most 2 times the limit, 100k",
		"met: l2 ahead of xdp l2 without its generator, 100k",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// Every system that a workload names can be opened, has a note, and if it can
// be missing a line about what it needs.
func TestThePlanNamesWhatThereIs(t *testing.T) {
	for _, w := range workloads {
		for _, e := range w.entries {
			if openers[e.system] == nil || includes[e.system] == "" {
				t.Errorf("%s: nothing is known of %s", w.name, e.system)
			}
		}
		if w.entries[0].system != "limit" || w.entries[1].system != "hnsim" {
			t.Errorf("%s: others are put in relation to the first two", w.name)
		}
	}
}
