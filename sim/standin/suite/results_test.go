package main

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// goOutput is what a program of the testing package writes with
// -test.v=test2json, with everything that can go wrong in it.
var goOutput = strings.Join([]string{
	"noise before the tests",
	mark + "=== RUN   TestPasses",
	"--- PASS: TestNever (0.00s)", // a test printed it
	mark + "--- PASS: TestPasses (0.01s)",
	mark + "=== RUN   TestFails",
	"{}",
	"    x_test.go:9: no such network",
	mark + "--- FAIL: TestFails (0.00s)",
	"    x_test.go:10: and more",
	mark + "=== RUN   TestSkips",
	"    x_test.go:3: needs a build of 26100",
	mark + "--- SKIP: TestSkips (0.00s)",
	mark + "=== RUN   TestHasParts",
	mark + "=== RUN   TestHasParts/one",
	mark + "=== NAME  TestHasParts",
	mark + "--- FAIL: TestHasParts (0.00s)",
	"    " + mark + "--- FAIL: TestHasParts/one (0.00s)",
	"        x_test.go:4: wrong",
	mark + "=== RUN   TestLeavesItsLineOpen",
	"an open line" + mark + "--- PASS: TestLeavesItsLineOpen (0.00s)",
	mark + "=== RUN   TestDies",
	"panic: index out of range",
	"exit status 2",
}, "\n")

func TestGoResultsAreReadFromMarkedLinesOnly(t *testing.T) {
	got, err := goTests{}.results([]byte(goOutput), "")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]struct {
		verdict verdict
		said    string
	}{
		"TestPasses":            {passed, "TestNever"},
		"TestFails":             {failed, "no such network"},
		"TestSkips":             {skipped, "needs a build"},
		"TestHasParts":          {failed, "x_test.go:4: wrong"},
		"TestLeavesItsLineOpen": {passed, "an open line"},
		"TestDies":              {missing, "index out of range"},
	}
	for name, w := range want {
		if o := got[name]; o.verdict != w.verdict || !strings.Contains(o.said, w.said) {
			t.Errorf("%s: %q, said %q", name, o.verdict, o.said)
		}
	}
	if len(got) != len(want) {
		t.Errorf("results of %v", slices.Sorted(maps.Keys(got)))
	}
	if !strings.Contains(got["TestFails"].said, "and more") {
		t.Errorf("what follows the result of a test is lost: %q", got["TestFails"].said)
	}
	if !strings.Contains(got["TestHasParts"].said, "--- FAIL: TestHasParts/one") {
		t.Errorf("the failed part is not named: %q", got["TestHasParts"].said)
	}
}

func TestGoCasesAreTheTestsOnly(t *testing.T) {
	got, err := goTests{}.list([]byte("time=x level=info\r\nTestA\nTestB2\nBenchmarkC\nExampleD\nFuzzE\nok\n"), "")
	if err != nil || !slices.Equal(got, []string{"TestA", "TestB2"}) {
		t.Errorf("%v %v", got, err)
	}
}

const ginkgoJSON = `[{"SuiteDescription":"S","SpecReports":[
 {"LeafNodeType":"BeforeSuite","State":"passed"},
 {"ContainerHierarchyTexts":["a","b"],"LeafNodeType":"It","LeafNodeText":"c","State":"passed"},
 {"ContainerHierarchyTexts":["a"],"LeafNodeType":"It","LeafNodeText":"left out","State":"skipped"},
 {"ContainerHierarchyTexts":["a"],"LeafNodeType":"It","LeafNodeText":"skips","State":"skipped","Failure":{"Message":"needs VFP"}},
 {"ContainerHierarchyTexts":null,"LeafNodeType":"It","LeafNodeText":"later","State":"pending"},
 {"ContainerHierarchyTexts":["a"],"LeafNodeType":"It","LeafNodeText":"twice","State":"failed","Failure":{"Message":"want 1","Location":{"FileName":"x.go","LineNumber":7}}},
 {"ContainerHierarchyTexts":["a"],"LeafNodeType":"It","LeafNodeText":"twice","State":"passed"},
 {"ContainerHierarchyTexts":["a"],"LeafNodeType":"It","LeafNodeText":"dies","State":"panicked","Failure":{"Message":"boom"}}
]}]`

func TestGinkgoResultsKnowWhatTheFocusLeftOut(t *testing.T) {
	specs, err := parseGinkgo([]byte(ginkgoJSON))
	if err != nil || len(specs) != 7 {
		t.Fatalf("%d specs, %v", len(specs), err)
	}
	got := ginkgoOutcomes(specs)
	want := map[string]verdict{"a b c": passed, "a skips": skipped, "later": skipped, "a twice": failed, "a dies": failed}
	for name, v := range want {
		if got[name].verdict != v {
			t.Errorf("%q: %q, want %q", name, got[name].verdict, v)
		}
	}
	if len(got) != len(want) {
		t.Errorf("results of %v", slices.Sorted(maps.Keys(got)))
	}
	if said := got["a twice"].said; !strings.Contains(said, "want 1") || !strings.Contains(said, "x.go:7") {
		t.Errorf("the failure is told as %q", said)
	}
	if _, err := parseGinkgo([]byte("[{")); err == nil {
		t.Error("half a report is accepted")
	}
}

func TestACaseWithoutResultOrWithAnExitCodeDoesNotPass(t *testing.T) {
	tests := []struct {
		name string
		code int
		got  map[string]outcome
		want verdict
		said string
	}{
		{"passes", 0, map[string]outcome{"T": {verdict: passed}}, passed, ""},
		{"another failed", 1, map[string]outcome{"T": {verdict: passed}, "U": {verdict: failed}}, passed, ""},
		{"fails after it passed", 2, map[string]outcome{"T": {verdict: passed}}, failed, "exit code 2"},
		{"never ran", 0, map[string]outcome{"U": {verdict: passed}}, missing, "no tests to run"},
		{"began and died", 5, map[string]outcome{"T": {verdict: missing}}, missing, "exit code 5"},
		{"no results at all", 5, nil, missing, "exit code 5"},
	}
	for _, tt := range tests {
		p := process{code: tt.code, output: []byte("testing: warning: no tests to run\n")}
		if o := p.judge(tt.got, "T"); o.verdict != tt.want || !strings.Contains(o.said, tt.said) {
			t.Errorf("%s: %q, said %q", tt.name, o.verdict, o.said)
		}
	}
}

func TestRefusedCallsAreShown(t *testing.T) {
	record := strings.Join([]string{
		`{"fn":"HcnEnumerateNetworks","args":["{}"],"hr":"0x00000000","result":"[]"}`,
		`{"fn":"HcnOpenNamespace","hr":"0x80070490","error":"{\"Success\":false,\"Error\":\"Element not found. \"}"}`,
		`{"fn":"HNSCall","args":["GET","/networks/",""],"hr":"0x00000000","result":"{\"Success\":true,\"Output\":[]}"}`,
		`{"fn":"HNSCall","args":["DELETE","/networks/x",""],"hr":"0x00000000","result":"{\"Success\":false,\"Error\":\"gone\"}"}`,
		`{"fn":"Hcn`,
	}, "\n")
	got := refused([]byte(record))
	if strings.Count(got, "refused:") != 2 || !strings.Contains(got, "HcnOpenNamespace") || !strings.Contains(got, "DELETE /networks/x") {
		t.Errorf("got %s", got)
	}
	if got := refused([]byte(strings.Repeat(`{"fn":"F","hr":"0x80070490"}`+"\n", 30))); strings.Count(got, "refused:") != maxRefusals || !strings.Contains(got, "20 more") {
		t.Errorf("got %s", got)
	}
}

// FuzzOutput feeds the readers of what programs and hnsim write: a case passes
// only on a line that the framework marked, or as a spec with the state passed.
func FuzzOutput(f *testing.F) {
	f.Add([]byte(goOutput))
	f.Add([]byte(ginkgoJSON))
	f.Add([]byte(`{"fn":"HcnOpenNamespace","hr":"0x80070490","result":"{\"Success\":false}"}` + "\n{"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, _ := goTests{}.results(raw, "")
		for name, o := range got {
			if o.verdict == passed && !strings.Contains(string(raw), mark+"--- PASS: "+name+" (") {
				t.Errorf("%q passes out of nothing", name)
			}
		}
		specs, err := parseGinkgo(raw)
		if err == nil && len(ginkgoOutcomes(specs)) > len(specs) {
			t.Error("more outcomes than specs")
		}
		if names, _ := (goTests{}).list(raw, ""); len(names) > len(raw) {
			t.Error("more names than bytes")
		}
		refused(raw)
	})
}
