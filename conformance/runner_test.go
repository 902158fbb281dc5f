package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gopacket/gopacket/pcapgo"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/reports"
	"github.com/hnsim/hnsim/scenarios/contract"
	"github.com/hnsim/hnsim/scenarios/script"
)

func TestTheLogIsTheSameWhateverTheOrderOfCompletion(t *testing.T) {
	logs := map[string]int{}
	for round := range 6 {
		exec := scripted(map[string]*script.Result{"S-T-03": failed("x"), "S-T-07": {Status: script.Skipped, Reason: "needs DSR"}})
		cfg := Config{specs: mkSuite(30), Parallel: 1 + round*3, exec: func(ctx context.Context, sc *script.Scenario, b backends.Backend, o script.Options) *script.Result {
			time.Sleep(time.Duration(rand.IntN(300)) * time.Microsecond)
			return exec(ctx, sc, b, o)
		}}
		var b bytes.Buffer
		log := reports.NewLogWriter(&b, nil)
		r := mkRunner(t, cfg)
		r.info.Parallel = 0 // the one thing that may differ
		r.Run(t.Context(), Observer{Sink: log})
		logs[b.String()]++
	}
	if len(logs) != 1 {
		t.Errorf("%d different logs", len(logs))
	}
}

func TestTheSeedChangesTheTotalHashAndNothingElseDoes(t *testing.T) {
	a, b, c := run(t, Config{Seed: 7, Parallel: 1}), run(t, Config{Seed: 7, Parallel: 8}), run(t, Config{Seed: 8})
	if a.EventHash == "" || a.EventHash != b.EventHash {
		t.Errorf("seed 7: %q and %q", a.EventHash, b.EventHash)
	}
	if a.EventHash == c.EventHash {
		t.Error("the seed does not change the hash")
	}
}

func TestExpectationsDecideWhatAResultMeans(t *testing.T) {
	results := map[string]*script.Result{
		"S-T-00": failed("no packet"), "S-T-02": failed("timeout"), "S-T-04": failed("bad"),
		"S-T-05": {Status: script.Error, Reason: "no world"}, "S-T-06": {Status: script.Skipped, Reason: "needs DSR"},
		"S-T-07": {Status: script.Skipped}, "S-T-08": {Status: script.Error, Reason: "broken"},
	}
	file := writeFile(t, "x.expect", `
fail  S-T-00 issue=o/r#1 until=2026-12-31
fail  S-T-01 issue=o/r#2
flaky S-T-0[23] reason=never
flaky S-T-02 reason="comes and goes"
skip  S-T-03 reason="hangs the host"
fail  S-T-05 reason=x
fail  S-T-06 reason=x
flaky S-T-08 reason=y
fail  S-T-09 backend=hns reason="elsewhere"
`)
	// A pattern that matches nothing is an error: that line goes first.
	_, err := NewRunner(Config{Backend: fakeBackend{}, specs: mkSuite(12), Expect: []string{file}})
	if err == nil || !strings.Contains(err.Error(), "x.expect:4: flaky S-T-0[23] is unused") {
		t.Fatalf("got %v", err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	file = writeFile(t, "y.expect", strings.Replace(string(text), "flaky S-T-0[23] reason=never\n", "", 1))
	rep := run(t, Config{exec: scripted(results), Expect: []string{file}})
	tests := []struct {
		id     string
		want   reports.Status
		reason string
	}{
		{"S-T-00", reports.XFail, "o/r#1: no packet"},
		{"S-T-01", reports.XPass, "passed, but"},
		{"S-T-02", reports.Flaky, "comes and goes: timeout"},
		{"S-T-03", reports.Skipped, "hangs the host"},
		{"S-T-04", reports.Failed, "bad"},
		{"S-T-05", reports.Error, "no world"},
		{"S-T-06", reports.Skipped, "needs DSR"},
		{"S-T-07", reports.Error, "skipped without a reason"},
		{"S-T-08", reports.Flaky, "y: broken"},
		{"S-T-09", reports.Passed, ""},
	}
	for _, tt := range tests {
		res := statusOf(rep, tt.id)
		if res.Status != tt.want || !strings.HasPrefix(res.Reason, tt.reason) {
			t.Errorf("%s: %s %q, want %s %q", tt.id, res.Status, res.Reason, tt.want, tt.reason)
		}
	}
	if e := statusOf(rep, "S-T-00").Expectation; e == nil || e.Until != "2026-12-31" || e.Line != 2 {
		t.Errorf("%+v", e)
	}
	if len(rep.Run.Expectations) != 1 || len(rep.Run.Expectations[0].SHA256) != 64 {
		t.Errorf("%+v", rep.Run.Expectations)
	}
}

func TestExpiredAndShadowedExpectationsAreErrors(t *testing.T) {
	file := writeFile(t, "x.expect", "fail S-T-00 issue=a until=2026-05-09\nfail area0 issue=b\nfail S-T-03 issue=c\n")
	_, err := NewRunner(Config{Backend: fakeBackend{}, specs: mkSuite(12), Expect: []string{file}, Selectors: []string{"S-T-11"},
		Now: func() time.Time { return day("2026-05-11") }})
	for _, want := range []string{":1: fail S-T-00 expired on 2026-05-09", ":3: fail S-T-03 is unused"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	var usage *UsageError
	if !errors.As(err, &usage) {
		t.Errorf("%T is not a usage error", err)
	}
}

func TestBadConfigurationsAreRefusedBeforeAnythingRuns(t *testing.T) {
	tests := []struct {
		name string
		cfg  Config
		want string
	}{
		{"no backend", Config{}, "no backend"},
		{"an unknown selector", Config{Backend: fakeBackend{}, Selectors: []string{"S-T-O1"}}, "did you mean S-T-01?"},
		{"an unknown skip", Config{Backend: fakeBackend{}, Skip: []string{"zzz/**"}}, `--skip: selector "zzz/**"`},
		{"an unknown profile", Config{Backend: fakeBackend{}, Profile: "ws2020"}, "ws2020"},
		{"a time scale where timers are fixed", Config{Backend: fakeBackend{}, TimeScale: 30}, "backend fake cannot scale time"},
		{"time that runs backwards", Config{Backend: fakeBackend{}, TimeScale: -1}, "the time scale is -1"},
		{"knobs on a backend without", Config{Backend: fakeBackend{}, Knobs: map[string]string{"a": "b"}}, "backend fake cannot set knobs"},
		{"an unknown knob", Config{Backend: fakeBackend{caps: []backends.Capability{backends.Knobs}}, Knobs: map[string]string{"no.such.knob": "b"}}, "no.such.knob"},
		{"a label filter that is none", Config{Backend: fakeBackend{}, Labels: "a && ("}, `label filter "a && (" cannot be read`},
		{"labels nothing has", Config{Backend: fakeBackend{}, Labels: "nobody"}, "nothing is left of 12"},
		{"an expectation file that is not there", Config{Backend: fakeBackend{}, Expect: []string{"no/such.expect"}}, "no/such.expect"},
		{"a scenario file that is not there", Config{Backend: fakeBackend{}, Files: []string{"./no.txtar"}}, "no.txtar"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.cfg.specs = mkSuite(12)
			_, err := NewRunner(tt.cfg)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestSelectionCombinesSelectorsLabelsSkipsAndShard(t *testing.T) {
	rule, ok := contract.Lookup("NAT-13")
	if !ok {
		t.Fatal("the contract has no NAT-13")
	}
	tests := []struct {
		name string
		cfg  Config
		want string
	}{
		{"selectors add up", Config{Selectors: []string{"S-T-01", "area1"}}, "S-T-01 S-T-10 S-T-11"},
		{"labels narrow", Config{Labels: "area:area1 && core"}, "S-T-10 S-T-11"},
		{"confidence is a label", Config{Labels: "conf:" + rule.Label() + " && rule:NAT-13", Selectors: []string{"S-T-00"}}, "S-T-00"},
		{"skips take away", Config{Selectors: []string{"area1"}, Skip: []string{"S-T-10"}}, "S-T-11"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.cfg.Backend, tt.cfg.specs = fakeBackend{}, mkSuite(12)
			r, err := NewRunner(tt.cfg)
			if err != nil {
				t.Fatal(err)
			}
			if ids(r.Specs()) != tt.want {
				t.Errorf("got %s", ids(r.Specs()))
			}
		})
	}
	total := 0
	for i := 1; i <= 3; i++ {
		total += len(mkRunner(t, Config{Shard: Shard{i, 3}}).Specs())
	}
	if total != 12 {
		t.Errorf("three shards have %d scenarios", total)
	}
}

func TestStopOnFailGivesTheSameReportWithAnyNumberOfWorkers(t *testing.T) {
	for _, workers := range []int{1, 2, 7} {
		rep := run(t, Config{Parallel: workers, StopOnFail: true, exec: scripted(map[string]*script.Result{"S-T-03": failed("x"), "S-T-08": failed("y")})})
		n := rep.Totals()
		if n.Passed != 3 || n.Failed != 1 || n.NotRun != 8 {
			t.Errorf("%d workers: %+v", workers, n)
		}
		if r := statusOf(rep, "S-T-08"); r.Reason != "stopped after S-T-03" {
			t.Errorf("%d workers: %q", workers, r.Reason)
		}
	}
}

// gone is a backend that a recorder may stand around, lost from the start.
type gone struct{ fakeBackend }

func (gone) Lost() error { return &backends.LostError{Msg: "agent a2 (h2) is lost"} }

type around struct{ backends.Backend }

func (a around) Unwrap() backends.Backend { return a.Backend }

func TestNothingRunsOnABackendThatIsLost(t *testing.T) {
	trouble := &script.Result{Status: script.Error, Reason: "agent a2 (h2) is lost"}
	for _, b := range []backends.Backend{gone{}, around{gone{}}} {
		rep := run(t, Config{Parallel: 1, Backend: b, exec: scripted(map[string]*script.Result{"S-T-03": trouble})})
		n := rep.Totals()
		if n.Passed != 3 || n.Errors != 1 || n.NotRun != 8 || rep.Interrupted {
			t.Errorf("%+v, interrupted %v", n, rep.Interrupted)
		}
		if r := statusOf(rep, "S-T-08"); r.Reason != "not run: agent a2 (h2) is lost" {
			t.Errorf("reason %q", r.Reason)
		}
	}
	// One error of a backend that is there says nothing about the next scenario.
	rep := run(t, Config{Parallel: 1, exec: scripted(map[string]*script.Result{"S-T-03": trouble})})
	if n := rep.Totals(); n.Passed != 11 || n.Errors != 1 {
		t.Errorf("%+v", n)
	}
}

func TestAnInterruptedRunReportsWhatItHas(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var ran atomic.Int32
	r := mkRunner(t, Config{Parallel: 2, exec: func(ctx context.Context, sc *script.Scenario, _ backends.Backend, _ script.Options) *script.Result {
		switch n := ran.Add(1); {
		case n == 5:
			cancel()
		case n > 5: // a worker that overtakes the one that cancels waits for it
			<-ctx.Done()
		}
		if ctx.Err() != nil {
			return &script.Result{ID: sc.ID, Status: script.Error, Reason: ctx.Err().Error()}
		}
		return &script.Result{ID: sc.ID, Status: script.Passed}
	}})
	rep := r.Run(ctx, Observer{})
	n := rep.Totals()
	if !rep.Interrupted || !rep.Complete || len(rep.Results) != 12 || n.Errors != 0 || n.Passed < 3 || n.NotRun < 5 {
		t.Errorf("%+v interrupted=%v", n, rep.Interrupted)
	}
}

func TestOneScenarioCannotTakeTheOthersWithIt(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	rep := run(t, Config{Timeout: 20 * time.Millisecond, Parallel: 4, exec: func(ctx context.Context, sc *script.Scenario, _ backends.Backend, _ script.Options) *script.Result {
		switch sc.ID {
		case "S-T-01":
			panic("index out of range")
		case "S-T-02":
			<-ctx.Done()
			return &script.Result{Status: script.Error, Reason: ctx.Err().Error()}
		case "S-T-03":
			<-release
		}
		return &script.Result{ID: sc.ID, Status: script.Passed}
	}})
	tests := []struct{ id, reason, detail string }{
		{"S-T-01", "panic: index out of range", "runner_test.go"},
		{"S-T-02", "did not finish within 20ms", "deadline exceeded"},
		{"S-T-03", "did not finish within 20ms", "left behind"},
	}
	for _, tt := range tests {
		res := statusOf(rep, tt.id)
		if res.Status != reports.Error || !strings.Contains(res.Reason, tt.reason) || !strings.Contains(res.Failure.Detail, tt.detail) || !res.Failure.Harness {
			t.Errorf("%s: %+v %+v", tt.id, res.Outcome, res.Failure)
		}
	}
	if n := rep.Totals(); n.Passed != 9 {
		t.Errorf("%+v", n)
	}
}

func TestNondeterminismIsAFailureOfItsOwn(t *testing.T) {
	var n atomic.Int32
	exec := func(_ context.Context, sc *script.Scenario, _ backends.Backend, _ script.Options) *script.Result {
		out := &script.Result{ID: sc.ID, Status: script.Passed, EventHash: "same", Log: "a\nb\n"}
		if sc.ID == "S-T-04" {
			out.EventHash = fmt.Sprint(n.Add(1))
			out.Log = fmt.Sprintf("a\n%d\n", n.Load())
		}
		return out
	}
	if rep := run(t, Config{exec: exec}); !rep.Totals().Green() {
		t.Errorf("without the check: %+v", rep.Totals())
	}
	rep := run(t, Config{exec: exec, CheckDeterminism: true})
	res := statusOf(rep, "S-T-04")
	if rep.Totals().Failed != 1 || res.Status != reports.Failed || !strings.Contains(res.Failure.Detail, "line 2 of the log") {
		t.Errorf("%+v %+v", rep.Totals(), res.Failure)
	}
}

func TestAFailureIsExplainedByASecondRunWithTracing(t *testing.T) {
	caps := fakeBackend{caps: []backends.Capability{backends.PacketTrace, backends.VirtualTime}}
	for _, tt := range []struct {
		name, tracedHash, want string
		backend                fakeBackend
		runs                   int32
	}{
		{"the same failure, with its trace", "h", "3 traced", caps, 2},
		{"a different run is said to be so", "other", "went differently", caps, 2},
		{"without virtual time there is no second run", "h", "2 dropped", fakeBackend{}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var runs atomic.Int32
			rep := run(t, Config{Backend: tt.backend, specs: mkSuite(1), exec: func(_ context.Context, sc *script.Scenario, _ backends.Backend, o script.Options) *script.Result {
				runs.Add(1)
				out := failed("no packet")
				out.EventHash = "h"
				if o.Tracing {
					out.EventHash = tt.tracedHash
					out.Failure.Trace = []string{"3 traced"}
				}
				return out
			}})
			if trace := strings.Join(rep.Results[0].Failure.Trace, "\n"); !strings.Contains(trace, tt.want) || runs.Load() != tt.runs {
				t.Errorf("%d runs, trace:\n%s", runs.Load(), trace)
			}
		})
	}
}

func TestAFailureCarriesAllThatExplainsIt(t *testing.T) {
	out := t.TempDir()
	res := failed("no packet at h1")
	res.Log = "> send h1\n"
	res.Observations = []backends.Observation{
		{Kind: backends.Sent, Role: "c1", Frame: make([]byte, 60), ID: 9},
		{Kind: backends.OnWire, Role: "h1", Peer: "tx", Frame: make([]byte, 60), ID: 9, At: 5},
		{Kind: backends.DroppedAt, Role: "h1", Reason: "NoRoute", Where: "host stack", Frame: make([]byte, 60), ID: 9, At: 5},
		{Kind: backends.Received, Role: "c1", Frame: make([]byte, 61), ID: 10, At: 6},
	}
	rep := run(t, Config{specs: mkSuite(2), Seed: 7, Out: out, NoFlowCache: true, exec: scripted(map[string]*script.Result{"S-T-00": res})})
	got := rep.Results[0]
	if got.Repro != "hnsim run S-T-00 --backend fake --profile ws2022 --seed 7 --no-flow-cache" {
		t.Errorf("repro %s", got.Repro)
	}
	f := got.Failure
	if f.File != "scenarios/area0/s00.txtar" || f.Line != 4 || f.Closest == nil || len(f.Closest.Fields) != 1 || len(f.Drops) != 1 || f.Expected != "one packet" {
		t.Errorf("%+v", f)
	}
	if len(f.Script) != 5 || f.Script[3].Mark != "FAILED" || f.Script[4].Text != "advance 1s" {
		t.Errorf("%+v", f.Script)
	}
	var kinds []string
	for _, a := range got.Artefacts {
		kinds = append(kinds, a.Kind)
		if info, err := os.Stat(filepath.Join(out, filepath.FromSlash(a.Path))); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", a.Path, err)
		}
	}
	if strings.Join(kinds, " ") != "trace log pcapng" {
		t.Errorf("artefacts %v", kinds)
	}
	if len(rep.Results[1].Artefacts) != 0 {
		t.Error("a scenario that passed has artefacts")
	}
	capture, err := os.Open(filepath.Join(out, "S-T-00", "packets.pcapng"))
	if err != nil {
		t.Fatal(err)
	}
	defer capture.Close()
	r, err := pcapgo.NewNgReader(capture, pcapgo.DefaultNgReaderOptions)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct{ iface, comment string }{{"nic c1", ""}, {"wire h1", ""}, {"drop h1", "drop NoRoute at host stack"}, {"nic c1", ""}} {
		_, ci, opts, err := r.ReadPacketDataWithOptions()
		if err != nil {
			t.Fatal(err)
		}
		iface, err := r.Interface(ci.InterfaceIndex)
		if err != nil || iface.Name != want.iface || strings.Join(opts.Comments, "") != want.comment {
			t.Errorf("packet %d: %s %v %v", i, iface.Name, opts.Comments, err)
		}
	}
}

func TestKeepKeepsTheArtefactsOfWhatPassed(t *testing.T) {
	out := t.TempDir()
	rep := run(t, Config{specs: mkSuite(1), Out: out, Keep: true, exec: scripted(map[string]*script.Result{"S-T-00": {Status: script.Passed, Log: "x"}})})
	if len(rep.Results[0].Artefacts) != 1 {
		t.Errorf("%+v", rep.Results[0].Artefacts)
	}
}

func TestArtefactsThatCannotBeWrittenDoNotChangeTheVerdict(t *testing.T) {
	file := writeFile(t, "in-the-way", "")
	rep := run(t, Config{specs: mkSuite(1), Out: file, exec: scripted(map[string]*script.Result{"S-T-00": failed("x")})})
	res := rep.Results[0]
	if res.Status != reports.Failed || len(res.Artefacts) != 0 || !strings.Contains(res.Failure.Detail, "was not written") {
		t.Errorf("%+v %+v", res.Outcome, res.Failure)
	}
}

func TestFolderNamesSuitEveryFileSystem(t *testing.T) {
	tests := []struct{ id, want string }{
		{"S-NAT-01", "S-NAT-01"},
		{"S-NAT-05/proto=udp,mode=a b", "S-NAT-05.proto=udp,mode=a.b"},
		{`a<b>c:d"e|f?g*..`, "a.b.c.d.e.f.g"},
		{"../../etc", "etc"},
	}
	for _, tt := range tests {
		if got := folderName(tt.id); got != tt.want {
			t.Errorf("%s: %s", tt.id, got)
		}
	}
	for _, id := range []string{"...", strings.Repeat("x", 500), ""} {
		if got := folderName(id); got == "" || len(got) > maxName || strings.Trim(got, ".") != got {
			t.Errorf("%q: %q", id, got)
		}
	}
	if folderName(strings.Repeat("x", 200)+"a") == folderName(strings.Repeat("x", 200)+"b") {
		t.Error("long ids share a folder")
	}
}

func TestReproLinesSurviveAShell(t *testing.T) {
	for in, want := range map[string]string{"S-1": "S-1", "a b": "'a b'", "it's": `'it'\''s'`, "nat/**": "'nat/**'", "": "''", "k=v": "k=v"} {
		if got := quote(in); got != want {
			t.Errorf("%q: %s", in, got)
		}
	}
}
