package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/reports"
)

// tiny makes a measurement that takes no time: what it says does not matter.
var tiny = []string{"--flows", "64", "--sample", "1us"}

func measured(t *testing.T, args ...string) result {
	t.Helper()
	return hnsim(t, nil, append(append([]string{"bench"}, args...), tiny...)...)
}

func TestABenchmarkPrintsATable(t *testing.T) {
	t.Chdir(t.TempDir())
	r := measured(t, "l2", "acl-10", "--count", "2", "--html", "b.html", "--profile", "cpu.pprof")
	r.check(t, 0, "hnsim devel cost of backend=sim profile=ws2022", "page  b.html")
	r.check(t, 0, "x ref", "CPU profile  cpu.pprof")
	r.check(t, 0, "  acl-10    64     64", "")
	for _, name := range []string{"b.html", "cpu.pprof"} {
		if info, err := os.Stat(name); err != nil || info.Size() == 0 {
			t.Error(name, err)
		}
	}
}

func TestWorldsHaveATableOfTheirOwn(t *testing.T) {
	r := measured(t, "--kind", "scale", "--worlds", "2x2,1x3")
	r.check(t, 0, "hnsim devel scale of backend=sim", "")
	r.check(t, 0, "encap ns/pkt", "")
	b, err := reports.ReadBench(strings.NewReader(measured(t, "--kind", "scale", "--worlds", "1x2", "--format", "json").out), "stdout")
	if err != nil || len(b.Scales) != 1 || b.Scales[0].Endpoints != 2 {
		t.Error(b, err)
	}
	measured(t, "--kind", "scale", "--worlds", "7").check(t, 2, "", "expected hosts x endpoints")
	measured(t, "--kind", "scale", "--gate").check(t, 2, "", "--gate belongs to")
	measured(t, "--kind", "scale", "l2").check(t, 2, "", "expected no arguments")
}

func TestPathsAreListed(t *testing.T) {
	hnsim(t, nil, "bench", "--list").check(t, 0, "outboundnat      container to the wire with VFP outbound NAT", "")
	r := hnsim(t, nil, "bench", "--list", "--format", "json")
	var paths []reports.BenchPath
	if err := json.Unmarshal([]byte(r.out), &paths); err != nil || len(paths) < 15 {
		t.Error(len(paths), err)
	}
}

func TestBenchmarksHaveOtherForms(t *testing.T) {
	r := measured(t, "l2", "--format", "benchstat", "--count", "3")
	r.check(t, 0, "BenchmarkL2/size=64/flows=64/dist=uniform ", "")
	if n := strings.Count(r.out, "\nBenchmark"); n != 3 {
		t.Errorf("%d samples of 3:\n%s", n, r.out)
	}
	b, err := reports.ReadBench(strings.NewReader(measured(t, "l2", "--format", "json", "--count", "1").out), "stdout")
	if err != nil || len(b.Cells) != 1 || b.Tool != "hnsim" {
		t.Error(b, err)
	}
}

// doctored writes a baseline whose times are those of a run, times a factor.
func doctored(t *testing.T, factor float64) string {
	t.Helper()
	b, err := reports.ReadBench(strings.NewReader(measured(t, "l2", "--format", "json", "--count", "12").out), "stdout")
	if err != nil {
		t.Fatal(err)
	}
	for i := range b.Cells[0].Samples {
		b.Cells[0].Samples[i].NS *= factor
	}
	text, err := b.Encode()
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "base.json")
	if err := os.WriteFile(name, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

// The factors are far beyond any noise of a sample.
func TestTheGateDecidesTheExitCode(t *testing.T) {
	r := measured(t, "l2", "--baseline", doctored(t, 0.001), "--gate")
	r.check(t, 4, "verdict: slower", "")
	r.check(t, 4, "slower in 12 of 12 pairs", "")
	measured(t, "l2", "--baseline", doctored(t, 1000), "--gate").check(t, 0, "verdict: faster", "")
	// Without a gate it is only said.
	measured(t, "l2", "--baseline", doctored(t, 0.001)).check(t, 0, "verdict: slower", "")
	// Another path than the baseline's cannot be judged.
	measured(t, "encap", "--baseline", doctored(t, 1), "--gate").check(t, 5, "the baseline has no such cell", "")
	if r := measured(t, "l2", "--self-test"); r.code != 0 && r.code != 1 && r.code != 5 || !strings.Contains(r.out, "self-test: every path") {
		t.Errorf("exit %d\n%s%s", r.code, r.out, r.errOut)
	}
}

func TestServicesAreMeasuredInVirtualTime(t *testing.T) {
	args := []string{"bench", "outboundnat", "--kind", "service", "--link", "20M", "--size", "1514", "--flows", "2", "--max-rate", "10k", "--min-rate", "100"}
	r := hnsim(t, nil, args...)
	r.check(t, 0, "service of backend=sim", "")
	r.check(t, 0, "90% PDR", "")
	b, err := reports.ReadBench(strings.NewReader(hnsim(t, nil, append(args, "--format", "json")...).out), "stdout")
	if err != nil || b.Kind != "service" || len(b.Services) != 1 || !b.Services[0].NDR.Complete {
		t.Error(b, err)
	}
}

func TestBenchmarksThatMakeNoSenseExitWithTwo(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("not.json", []byte("not"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"l3"}, `no path is called "l3": expected l2, `},
		{[]string{"l2", "--size", "12"}, `frame size "12"`},
		{[]string{"l2", "--flows", "some"}, `--flows: "some": expected a whole number`},
		{[]string{"l2", "--flows", "0"}, "0 flows: expected 1"},
		{[]string{"l2", "--dist", "pareto"}, `distribution "pareto"`},
		{[]string{"l2", "--trace", "maybe"}, `--trace: "maybe"`},
		{[]string{"l2", "--workers", "0"}, "0 workers"},
		{[]string{"l2", "--gate"}, "a gate needs a baseline"},
		{[]string{"l2", "--baseline", "nothing"}, "--baseline: open nothing"},
		{[]string{"l2", "--baseline", "not.json"}, "expected what hnsim bench --format json prints"},
		{[]string{"l2", "--baseline", "/bin/true"}, "/bin/true is no build of hnsim"},
		{[]string{"l2", "--self-test", "--gate"}, "--self-test is its own baseline"},
		{[]string{"l2", "--self-test", "--count", "3"}, "a gate needs at least 12"},
		{[]string{"l2", "--kind", "speed"}, "--kind is \"speed\""},
		{[]string{"l2", "--profile", "ws2099"}, "ws2099"},
		{[]string{"l2", "--format", "xml"}, "expected text or json or benchstat"},
		{[]string{"l2", "--kind", "service", "--gate"}, "--gate belongs to measurements of cost"},
		{[]string{"nat-in", "--kind", "service"}, "no selected path is carried to a role that counts"},
		{[]string{"l2", "--kind", "service", "--flows", "1,2"}, "one number of flows"},
		{[]string{"l2", "--kind", "service", "--max-rate", "1"}, "expected 0 < least < most"},
		{[]string{"--list", "l2"}, "expected no arguments"},
	} {
		hnsim(t, nil, append([]string{"bench"}, tt.args...)...).check(t, 2, "", tt.want)
	}
	hnsim(t, nil, "run", "--format", "benchstat").check(t, 2, "", "expected text or json")
}

// The path of WinNAT has more flows than WinNAT keeps sessions unless it is told
// to keep more.
func TestAPathCarriesTheFlowsThatItsDescriptionPromises(t *testing.T) {
	if testing.Short() {
		t.Skip("a quarter of a million sessions, twice")
	}
	r := hnsim(t, nil, "bench", "nat", "nat-in", "--flows", "300000", "--count", "1", "--sample", "2ms", "-q")
	r.check(t, 0, "  nat-in    64   300k ", "")
	hnsim(t, nil, "bench", "nat", "--flows", "1011201", "--count", "1", "--sample", "2ms", "-q").check(t, 3, "7,900 ports to 128 others", "")
}
