package conformance

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/reports"
	"github.com/hnsim/hnsim/scenarios/script"
)

// fakeBackend has features and no worlds: the tests inject an executor.
type fakeBackend struct{ caps []backends.Capability }

func (fakeBackend) Name() string                          { return "fake" }
func (b fakeBackend) Capabilities() []backends.Capability { return b.caps }
func (fakeBackend) Features(string) (backends.FeatureSet, error) {
	return backends.FeatureSet{HNSVersion: "13.3", OSBuild: 20348}, nil
}
func (fakeBackend) Open(context.Context, backends.WorldConfig) (backends.World, error) {
	return nil, errors.New("no worlds here")
}

// mkSuite makes n specs "S-T-00"... without a script behind them.
func mkSuite(n int) []*Spec {
	var all []*script.Scenario
	for i := range n {
		all = append(all, &script.Scenario{
			ID: fmt.Sprintf("S-T-%02d", i), Title: fmt.Sprintf("scenario %d", i), Area: fmt.Sprintf("area%d", i/10),
			File: fmt.Sprintf("area%d/s%02d.txtar", i/10, i), Rules: []string{"NAT-13"}, Labels: []string{"core"},
			Source: []byte("# head\nhost h1\nsend h1\nexpect h1\nadvance 1s\n-- a --\nx\n"),
		})
	}
	specs, err := specsOf(all, "scenarios/", false)
	if err != nil {
		panic(err)
	}
	return specs
}

// scripted is an executor that gives each scenario the result that a map
// names; the others pass.
func scripted(results map[string]*script.Result) executor {
	return func(_ context.Context, sc *script.Scenario, _ backends.Backend, opt script.Options) *script.Result {
		out := script.Result{Status: script.Passed}
		if r := results[sc.ID]; r != nil {
			out = *r
		}
		out.ID, out.Virtual = sc.ID, 241*time.Second
		if out.EventHash == "" {
			out.EventHash = fmt.Sprintf("%s-%d", sc.ID, opt.Seed)
		}
		return &out
	}
}

func failed(reason string) *script.Result {
	return &script.Result{Status: script.Failed, Reason: reason, Failure: &script.Failure{
		File: "area0/s00.txtar", Line: 4, Command: "expect h1", Expected: "one packet", Received: "none",
		ClosestPacket: "udp a > b", Closest: []script.FieldDiff{{Field: "port", Want: "1", Got: "2"}},
		Trace: []string{"1 in", "2 dropped"}, Drops: []string{"NoRoute"}, Message: "the whole text",
	}}
}

func mkRunner(t testing.TB, cfg Config) *Runner {
	t.Helper()
	if cfg.Backend == nil {
		cfg.Backend = fakeBackend{}
	}
	if cfg.specs == nil {
		cfg.specs = mkSuite(12)
	}
	if cfg.exec == nil {
		cfg.exec = scripted(nil)
	}
	if cfg.Now == nil {
		cfg.Now = func() time.Time { return day("2026-05-11") }
	}
	r, err := NewRunner(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func run(t testing.TB, cfg Config) *reports.Report {
	t.Helper()
	return mkRunner(t, cfg).Run(t.Context(), Observer{})
}

func writeFile(t testing.TB, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

func statusOf(rep *reports.Report, id string) reports.Result {
	for _, r := range rep.Results {
		if r.ID == id {
			return r
		}
	}
	return reports.Result{}
}
