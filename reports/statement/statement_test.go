package statement

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/reports"
)

var who = Implementation{"Example", "Example HNS", "https://example.com", "1.2", []string{"hns@example.com"}}

func result(id, area string, s reports.Status, reason string, labels ...string) reports.Result {
	return reports.Result{Scenario: reports.Scenario{ID: id, Area: area, Labels: labels, Confidence: []string{"docs"}, Requires: []string{"feature:DSR", "capability:network.nat"}},
		Outcome: reports.Outcome{Status: s, Reason: reason}}
}

func mkRun(results ...reports.Result) *reports.Report {
	return &reports.Report{Run: reports.RunInfo{Version: "v1", Backend: "hns", Profile: "ws2022", HNSVersion: "13.3", OSBuild: 20348, Seed: 7, Arch: "amd64", Selectors: []string{"nat/**"}},
		Started: "2026-05-11T10:30:00Z", Results: results, Complete: true}
}

func make1(t *testing.T, results ...reports.Result) *Report {
	t.Helper()
	r, err := Make(mkRun(results...), []string{"abc"}, who)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestResults(t *testing.T) {
	for _, c := range []struct {
		name    string
		results []reports.Result
		want    Result
	}{
		{"all passed", []reports.Result{result("A", "nat", reports.Passed, "", "core")}, Success},
		{"for another build", []reports.Result{result("A", "nat", reports.Passed, ""), result("B", "nat", reports.Skipped, "is for profiles ws2025; this is ws2022")}, Success},
		{"a feature of later versions", []reports.Result{result("A", "nat", reports.Skipped, "needs feature DSR (HNS >= 14); profile ws2022 has HNS 13.3")}, Success},
		{"what the backend cannot", []reports.Result{result("A", "nat", reports.Skipped, "needs capability frames, which backend hns lacks")}, Partial},
		{"a feature that the backend lacks", []reports.Result{result("A", "nat", reports.Skipped, "needs feature DSR (HNS any version, but not on the Linux backend); profile")}, Partial},
		{"a declared deviation", []reports.Result{result("A", "nat", reports.XFail, "known")}, Partial},
		{"cut short", []reports.Result{result("A", "nat", reports.NotRun, "interrupted")}, Partial},
		{"one failed", []reports.Result{result("A", "nat", reports.Passed, ""), result("B", "nat", reports.Failed, "x"), result("C", "nat", reports.XFail, "y")}, Failure},
		{"could not be tested", []reports.Result{result("A", "nat", reports.Error, "x")}, Failure},
		{"passed against the expectation", []reports.Result{result("A", "nat", reports.XPass, "x")}, Failure},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := make1(t, c.results...).Result; got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
	if _, err := Make(mkRun(), nil, who); err == nil {
		t.Error("a statement about nothing")
	}
}

func TestTheDocumentSaysWhatTheResultsSay(t *testing.T) {
	r := make1(t, result("A", "nat/out", reports.Passed, "", "core"), result("B", "nat", reports.Passed, ""), result("C", "overlay", reports.Failed, "x", "core"),
		result("D", "overlay", reports.Skipped, "needs feature DSR (HNS any version, but not on this backend); profile ws2022"))
	var y, j bytes.Buffer
	if err := r.WriteYAML(&y); err != nil {
		t.Fatal(err)
	}
	if err := r.WriteJSON(&j); err != nil || !json.Valid(j.Bytes()) {
		t.Fatal(err)
	}
	for _, want := range []string{"apiVersion: conformance.hnsim.dev/v1\nkind: ConformanceReport\n", "organization: Example", "osBuild: 20348", "result: failure",
		"- name: nat\n    core:\n      result: success", "failed:\n        - C", "unsupportedFeatures:\n        - DSR", "expectHash: none",
		"reproduce: hnsim run 'nat/**' --backend hns --profile ws2022 --seed 7"} {
		if !strings.Contains(y.String(), want) {
			t.Errorf("%q is missing in\n%s", want, y.String())
		}
	}
	for name, text := range map[string][]byte{"YAML": y.Bytes(), "JSON": j.Bytes()} {
		back, err := Parse("r", text)
		if err != nil {
			t.Fatal(name, err)
		}
		if d := back.Differences(r); len(d) > 0 {
			t.Errorf("%s: %v", name, d)
		}
		back.Profiles[1].Core.Result = Success
		back.ExpectHash = "x"
		back.Profiles[0].Core.Statistics.Passed = 9
		want := []string{`profiles[0].core.statistics.passed: claims 9, the results say 1`, `profiles[1].core.result: claims "success", the results say "failure"`, `expectHash: claims "x", the results say "none"`}
		if got := back.Differences(r); strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s: differences %q, want %q", name, got, want)
		}
	}
}

func TestBadDocumentsAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		"":                          "no conformance report",
		"- a":                       "no conformance report",
		"kind: Pod\napiVersion: v1": `apiVersion "v1", kind "Pod"; expected`,
		"kind: ConformanceReport\napiVersion: conformance.hnsim.dev/v1\nresutl: success": "line 3: field resutl not found",
	} {
		if _, err := Parse("r", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", text, err, want)
		}
	}
}

func TestBadges(t *testing.T) {
	run := mkRun(result("A", "nat", reports.Passed, ""), result("B", "nat", reports.Failed, "x"))
	if b := BadgeOf(run, "a<b"); b.Message != "1 of 2 failed" || !strings.Contains(string(b.SVG()), "a&lt;b") {
		t.Errorf("%+v\n%s", b, b.SVG())
	}
	run.Results = run.Results[:1]
	if b := BadgeOf(run, "x"); b.Message != "1 passed" {
		t.Errorf("%+v", b)
	}
	run.Complete = false
	if b := BadgeOf(run, "x"); b.Message != "1 passed, incomplete" {
		t.Errorf("%+v", b)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("kind: ConformanceReport\napiVersion: conformance.hnsim.dev/v1\nprofiles: [{name: nat, core: {result: success}}]"))
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := Parse("r", text)
		if err == nil {
			_ = r.Differences(&Report{})
			_ = (&Report{}).Differences(r)
		}
	})
}
