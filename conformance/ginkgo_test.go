package conformance

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/types"
	"github.com/onsi/gomega"

	"github.com/hnsim/hnsim/reports"
	"github.com/hnsim/hnsim/scenarios/script"
)

// fakeSuiteDir tells the test binary to be the suite below, in a process of
// its own: Ginkgo runs one suite per process.
const fakeSuiteDir = "HNSIM_FAKE_SUITE_DIR"

func fakeSuiteConfig(dir string) Config {
	return Config{
		Backend: fakeBackend{}, specs: mkSuite(6), Seed: 7, Out: filepath.Join(dir, "out"),
		Expect: []string{filepath.Join(dir, "x.expect")},
		exec: scripted(map[string]*script.Result{
			"S-T-01": failed("no packet"), "S-T-02": {Status: script.Skipped, Reason: "needs DSR"},
			"S-T-03": failed("known"), "S-T-05": {Status: script.Error, Reason: "no world"},
		}),
	}
}

const fakeExpect = "fail S-T-03 issue=o/r#1\nfail S-T-04 issue=o/r#2\n"

func TestFakeSuite(t *testing.T) {
	dir := os.Getenv(fakeSuiteDir)
	if dir == "" {
		t.Skip("runs as a child of TestGinkgoGivesTheSameResultsAsTheRunner only")
	}
	gomega.RegisterFailHandler(ginkgo.Fail)
	Register(fakeSuiteConfig(dir))
	ginkgo.RunSpecs(t, "fake")
}

// ginkgoStatus is what a result is in Ginkgo's words.
var ginkgoStatus = map[reports.Status]string{
	reports.Passed: "passed", reports.Failed: "failed", reports.XPass: "failed", reports.Error: "failed",
	reports.Skipped: "skipped", reports.XFail: "skipped", reports.Flaky: "skipped",
}

func TestGinkgoGivesTheSameResultsAsTheRunner(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "x.expect"), []byte(fakeExpect), 0o644); err != nil {
		t.Fatal(err)
	}
	report := filepath.Join(dir, "ginkgo.json")
	cmd := exec.Command(os.Args[0], "-test.run=^TestFakeSuite$", "-ginkgo.json-report="+report, "-ginkgo.randomize-all", "-ginkgo.no-color")
	cmd.Env = append(os.Environ(), fakeSuiteDir+"="+dir)
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Fatalf("the suite has failures but passes:\n%s", out)
	}
	text, err := os.ReadFile(report)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var suites []types.Report
	if err := json.Unmarshal(text, &suites); err != nil {
		t.Fatal(err)
	}
	specs := map[string]types.SpecReport{}
	for _, s := range suites[0].SpecReports {
		if id, _, ok := strings.Cut(s.LeafNodeText, ":"); ok {
			specs[id] = s
		}
	}
	want := run(t, fakeSuiteConfig(dir))
	if len(specs) != len(want.Results) {
		t.Errorf("%d specs, %d results", len(specs), len(want.Results))
	}
	for _, res := range want.Results {
		s := specs[res.ID]
		if got := s.State.String(); got != ginkgoStatus[res.Status] {
			t.Errorf("%s: Ginkgo says %s, the runner %s", res.ID, got, res.Status)
		}
		if res.Status != reports.Passed && !strings.Contains(oneLine(s.Failure.Message), res.Reason) {
			t.Errorf("%s: %q does not give the reason %q", res.ID, s.Failure.Message, res.Reason)
		}
		if got := strings.Join(s.Labels(), " "); got != strings.Join(res.Labels, " ") {
			t.Errorf("%s: labels %s, want %s", res.ID, got, res.Labels)
		}
		if s.LeafNodeLocation.FileName != res.File {
			t.Errorf("%s: at %s", res.ID, s.LeafNodeLocation)
		}
	}
	compareReports(t, filepath.Join(dir, "out", reports.LogFile), want)
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// compareReports checks that the log a Ginkgo run wrote says the same.
func compareReports(t *testing.T, log string, want *reports.Report) {
	t.Helper()
	f, err := os.Open(log)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, err := reports.Load(f)
	if err != nil {
		t.Fatal(err)
	}
	a, err := json.Marshal(reports.Summarise(got))
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(reports.Summarise(want))
	if err != nil {
		t.Fatal(err)
	}
	if string(a) != string(b) {
		t.Errorf("the reports differ:\nGinkgo %s\nrunner %s", a, b)
	}
}

func TestRegisterPanicsRatherThanTestNothing(t *testing.T) {
	defer func() {
		if p := recover(); p == nil || !strings.Contains(p.(string), "did you mean S-T-01?") {
			t.Errorf("panic %v", p)
		}
	}()
	Register(Config{Backend: fakeBackend{}, specs: mkSuite(3), Selectors: []string{"S-T-O1"}})
}

func TestLabelsAreInGinkgosCharacterSet(t *testing.T) {
	s := mkSuite(1)[0]
	labels := labelsOf(s, []string{"a(b)", "x&y|z!", "p/q", " two words ", ":", `"q"`, ""})
	for _, l := range labels {
		if clean, err := types.ValidateAndCleanupLabel(l, types.CodeLocation{}); err != nil || clean != l {
			t.Errorf("%q: %v", l, err)
		}
	}
	if len(labels) < 7 {
		t.Errorf("%v", labels)
	}
}
