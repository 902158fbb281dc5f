package reports

import (
	"bytes"
	"encoding/xml"
	"io"
	"math"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/perf/benchfmt"
	"golang.org/x/perf/benchunit"
)

func sampleBench() *Bench {
	return &Bench{
		Schema: BenchSchema, Tool: "hnsim", Version: "v1", Kind: "cost", Backend: "sim", Profile: "ws2022", Notes: []string{"a note"},
		Machine: BenchMachine{OS: "linux", Arch: "amd64", CPU: "A CPU <model> @ 2 GHz", Cores: 2, Runtime: "go1", Cycles: "counted"},
		Cells: []BenchCell{
			{Path: "l2", Size: "64", Flows: 1000, Dist: "uniform", Workers: 1, Packets: 640, NS: 20, Reference: 10, Ratio: 2, MPPS: 50, Cycles: 80, Limit: 8,
				P50: 1300, P99: 2600, P999: 5200, FlowBytes: 700, Samples: []BenchSample{{19, 10}, {21, 10}},
				Gate: &BenchGate{Verdict: BenchSlower, Effect: 0.2, Floor: 0.01, Threshold: 0.05, Pairs: 12, Slower: 12}},
			{Path: "l2", Size: "64", Flows: 100_000, Dist: "uniform", Workers: 1, Packets: 640, NS: 40, Ratio: 4, MPPS: 25, Limit: 12, Samples: []BenchSample{{40, 10}}},
			{Path: "l2", Size: "imix", Flows: 1000, Dist: "zipf", Trace: true, Workers: 2, Packets: 640, NS: 90, Ratio: 2, MPPS: 22, Allocs: 0.5, Samples: []BenchSample{{90, 45}}},
			{Path: "nat", Size: "64", Flows: 1_000_000, Dist: "uniform", Workers: 1, Skipped: "more flows than ports"},
		},
		Services: []ServiceRow{
			{Backend: "sim", Path: "l2", Size: "64", Flows: 64, NDR: ServiceRate{Load: 1000, Upper: 1010, Rate: 1000, Complete: true}, PDR: ServiceRate{Load: 2000, Upper: 2100, Rate: 1990, Why: "time"},
				Trials: 9, Latency: []ServiceLatency{{0.1, 1000, 2000, 3000, 4000, 5000, 10}, {0.5, 1, 2, 3, 4, 5, 6}}, Note: "the sender was slow"},
			{Backend: "linux", Path: "nat", Size: "64", Skipped: "no such path"},
		},
		Verdict: BenchSlower,
	}
}

func TestABenchmarkIsReadAsItWasWritten(t *testing.T) {
	b := sampleBench()
	text, err := b.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := ReadBench(bytes.NewReader(text), "file")
	if err != nil || !reflect.DeepEqual(got, b) {
		t.Errorf("%v\n%+v\n%+v", err, got, b)
	}
	if c := got.Cell("l2/size=64/flows=100000/dist=uniform"); c == nil || c.NS != 40 {
		t.Errorf("%+v", c)
	}
	if got.Cell("l3") != nil {
		t.Error("a cell that is not there")
	}
}

func TestABaselineThatIsNoneIsRefused(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"", "file: "},
		{"goos: linux\n", "expected what hnsim bench --format json prints"},
		{`{"schema":7}`, "schema 7; expected 1"},
		{`{"schema":1,"cells":[{"samples":[{"ns":1,"reference":0}]}]}`, "cells[0].samples[0]: times are 1 and 0"},
		{`{"schema":1,"cells":[{},{"samples":[{"ns":-1,"reference":1}]}]}`, "cells[1].samples[0]"},
		{`{"schema":1,"cells":5}`, "file: json"},
	} {
		if _, err := ReadBench(strings.NewReader(tt.text), "file"); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v, want %q", tt.text, err, tt.want)
		}
	}
}

func FuzzReadBench(f *testing.F) {
	text, _ := sampleBench().Encode()
	f.Add(text)
	f.Add([]byte(`{"schema":1,"cells":[{"path":"l2","samples":[{"ns":1,"reference":1}]}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		b, err := ReadBench(bytes.NewReader(text), "file")
		if err != nil {
			return
		}
		if _, err := b.Encode(); err != nil {
			t.Error(err)
		}
		for i := range b.Cells {
			_ = b.Cells[i].Name()
		}
		if _, err := BenchPage(b); err != nil {
			t.Error(err)
		}
		(&TextWriter{W: io.Discard}).Bench(b)
	})
}

// The reader is that of benchstat.
func TestBenchstatReadsOurFormat(t *testing.T) {
	var out bytes.Buffer
	if err := sampleBench().WriteBenchstat(&out); err != nil {
		t.Fatal(err)
	}
	r := benchfmt.NewReader(&out, "bench.txt")
	var names []string
	for r.Scan() {
		switch rec := r.Result().(type) {
		case *benchfmt.Result:
			names = append(names, rec.Name.String())
			// It turns nanoseconds into seconds.
			if v, ok := rec.Value("sec/packet"); strings.HasPrefix(rec.Name.String(), "L2/size=64/flows=1000/") && (!ok || math.Abs(v-20e-9) > 1.01e-9) {
				t.Errorf("%s: %v %v", rec.Name, v, ok)
			}
			if rec.GetConfig("hnsim-backend") != "sim" || rec.GetConfig("cpu") == "" {
				t.Errorf("configuration of %s: %v", rec.Name, rec.Config)
			}
			for _, v := range rec.Values {
				if math.IsNaN(v.Value) || benchunit.ClassOf(v.Unit) != benchunit.Decimal {
					t.Errorf("%s: %+v", rec.Name, v)
				}
			}
		case *benchfmt.SyntaxError:
			t.Error(rec)
		}
	}
	if err := r.Err(); err != nil {
		t.Error(err)
	}
	want := []string{"L2/size=64/flows=1000/dist=uniform", "L2/size=64/flows=1000/dist=uniform", "L2/size=64/flows=100000/dist=uniform",
		"L2/size=imix/flows=1000/dist=zipf/trace=on/workers=2", "L2/size=64/flows=64/kind=service/backend=sim"}
	if !reflect.DeepEqual(names, want) {
		t.Errorf("%q", names)
	}
}

func TestTheTablesSayWhatThereIs(t *testing.T) {
	var out strings.Builder
	(&TextWriter{W: &out}).Bench(sampleBench())
	for _, want := range []string{
		"hnsim v1 cost of backend=sim profile=ws2022", "cycles counted", "x limit", "2.50", "3.33", "zipf traced 2 workers",
		"nat/size=64/flows=1000000/dist=uniform: not measured: more flows than ports", "~2.0", "10% PDR", "linux, nat, size 64: no such path",
		"sim, l2, size 64: PDR: time", "the sender was slow", "note: a note", "slower       l2/size=64/flows=1000/dist=uniform  +20.0%", "slower in 12 of 12 pairs", "verdict: slower",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("missing %q in\n%s", want, out.String())
		}
	}
	bare := &Bench{Cells: []BenchCell{{Path: "l2", Size: "64", Flows: 1, Dist: "uniform", Workers: 1, NS: 1}}}
	out.Reset()
	(&TextWriter{W: &out}).Bench(bare)
	for _, not := range []string{"limit", "traffic", "verdict", "NDR"} {
		if strings.Contains(out.String(), not) {
			t.Errorf("%q in\n%s", not, out.String())
		}
	}
}

func TestThePageIsWellFormedAndDrawsTheLimit(t *testing.T) {
	page, err := BenchPage(sampleBench())
	if err != nil {
		t.Fatal(err)
	}
	text := string(page)
	for _, want := range []string{"A CPU &lt;model&gt; @ 2 GHz", "Cost over flows", "C limit, size 64, 1k: 8.0 ns", ">C limit</text>", `class="limit"`, "1k", "100k", "not measured: more flows than ports", "50% PDR", `<span class="slower">slower`} {
		if !strings.Contains(text, want) {
			t.Errorf("missing %q", want)
		}
	}
	if strings.Contains(text, "<script") || strings.Contains(text, "http") {
		t.Error("the page needs something else")
	}
	// Every picture is XML by itself.
	n := 0
	for rest := text; ; n++ {
		_, after, found := strings.Cut(rest, "<svg")
		if !found {
			break
		}
		svg, tail, _ := strings.Cut(after, "</svg>")
		if err := xml.Unmarshal([]byte("<svg"+svg+"</svg>"), new(struct{})); err != nil {
			t.Error(err)
		}
		if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
			t.Error("a point has no place")
		}
		rest = tail
	}
	if n < 2 {
		t.Errorf("%d pictures, want one over flows and one over sizes", n)
	}
}

func TestAxesHaveRoundSteps(t *testing.T) {
	for _, tt := range []struct{ most, want float64 }{{0, 1}, {1, 0.2}, {6, 1}, {7, 2}, {60, 10}, {61, 20}, {290, 50}, {1e6, 200_000}} {
		if got := niceStep(tt.most); math.Abs(got-tt.want) > tt.want/1e9 {
			t.Errorf("up to %g: steps of %g, want %g", tt.most, got, tt.want)
		}
	}
}
