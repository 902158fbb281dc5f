package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/reports"
)

// mine is a scenario file of this test; paths are absolute, because tests
// change their directory.
func mine(t *testing.T, name string) string {
	t.Helper()
	file, err := filepath.Abs(filepath.Join("testdata", "scenarios", name))
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func TestAPassingRunSaysSoAndExitsWithZero(t *testing.T) {
	file := mine(t, "passes.txtar")
	t.Chdir(t.TempDir())
	r := hnsim(t, nil, "run", file)
	r.check(t, 0, "PASS  1 passed, 0 failed", "backend=sim profile=ws2022")
	r.check(t, 0, "event hash ", "1 of 1 scenarios selected")
	for _, name := range []string{reports.LogFile, reports.JUnitFile, reports.SummaryFile, reports.MarkdownFile} {
		if info, err := os.Stat(filepath.Join("hnsim-out", name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if strings.ContainsRune(r.out+r.errOut, '\x1b') {
		t.Error("escape sequences on a pipe")
	}
}

func TestAFailingRunExplainsItselfAndExitsWithOne(t *testing.T) {
	file := mine(t, "fails.txtar")
	t.Chdir(t.TempDir())
	r := hnsim(t, nil, "run", file, "--seed", "7", "--out", "o")
	for _, want := range []string{
		"FAIL TRY-02  a scenario that expects the wrong source address",
		"requirement  The source of what leaves is the address of the host.",
		"fails.txtar:9",
		"expected     ", "received     ",
		"9 | expect x udp 10.127.130.36 > 10.127.130.100:53 'hello'  <- FAILED",
		"closest packet",
		"! ip.src   10.127.130.36",
		"trace of the packet",
		"o/TRY-02/trace.txt", "o/TRY-02/packets.pcapng",
		"repro        hnsim run " + filepath.ToSlash(file) + " --backend sim --profile ws2022 --seed 7",
		"FAIL  0 passed, 1 failed",
	} {
		r.check(t, 1, want, "")
	}
	if _, err := os.Stat("o/TRY-02/packets.pcapng"); err != nil {
		t.Error(err)
	}
	if strings.Contains(r.errOut, "hnsim:") {
		t.Errorf("a failure is no error of the program: %s", r.errOut)
	}
}

func TestTheReproLineReproduces(t *testing.T) {
	file := mine(t, "fails.txtar")
	t.Chdir(t.TempDir())
	first := hnsim(t, nil, "run", file, "--seed", "7", "--knob", "natHairpin=drop", "--no-flow-cache")
	_, line, ok := strings.Cut(first.out, "repro        hnsim ")
	line, _, _ = strings.Cut(line, "\n")
	if !ok {
		t.Fatalf("no repro line:\n%s%s", first.out, first.errOut)
	}
	again := hnsim(t, nil, strings.Fields(line)...)
	again.check(t, 1, "TRY-02", "")
	if hashOf(first.out) == "" || hashOf(first.out) != hashOf(again.out) {
		t.Errorf("event hashes %q and %q", hashOf(first.out), hashOf(again.out))
	}
}

func hashOf(out string) string {
	_, hash, _ := strings.Cut(out, "event hash ")
	hash, _, _ = strings.Cut(hash, "\n")
	return hash
}

func TestRunInJSONPrintsOneObjectWhatever(t *testing.T) {
	tests := []struct {
		name string
		args []string
		code int
	}{
		{"passing", []string{mine(t, "passes.txtar")}, 0},
		{"failing, verbose", []string{mine(t, "fails.txtar"), mine(t, "passes.txtar"), "-v"}, 1},
		{"skipping", []string{mine(t, "skips.txtar")}, 3},
		{"in colour, for GitHub", []string{mine(t, "fails.txtar"), "--color", "always", "--github"}, 1},
	}
	t.Chdir(t.TempDir())
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := hnsim(t, nil, append([]string{"run", "--format", "json"}, tt.args...)...)
			dec := json.NewDecoder(strings.NewReader(r.out))
			var s reports.Summary
			if err := dec.Decode(&s); err != nil || dec.More() || r.code != tt.code {
				t.Errorf("exit %d, %v, more %v\n%s", r.code, err, dec.More(), r.out)
			}
			if s.Selected == 0 || len(s.Results) != s.Selected {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestTwoRunsInJSONAreEqualByteForByte(t *testing.T) {
	args := []string{"run", "--format", "json", mine(t, "fails.txtar"), mine(t, "passes.txtar"), "--seed", "7", "--parallel"}
	t.Chdir(t.TempDir())
	a, b := hnsim(t, nil, append(args, "1")...), hnsim(t, nil, append(args, "4")...)
	if a.out != b.out {
		t.Errorf("first:\n%s\nsecond:\n%s", a.out, b.out)
	}
}

func TestASkippedRunHasExecutedNothingAndExitsWithThree(t *testing.T) {
	file := mine(t, "skips.txtar")
	t.Chdir(t.TempDir())
	r := hnsim(t, nil, "run", file)
	r.check(t, 3, "NOTHING EXECUTED", "")
	r.check(t, 3, "skips by reason\n     1  is for profiles ws2016", "")
	hnsim(t, nil, "run", file, "--profile", "ws2016").check(t, 0, "1 passed", "")
}

func TestABadScenarioIsAUsageErrorWithItsLines(t *testing.T) {
	file := mine(t, "broken.txtar")
	t.Chdir(t.TempDir())
	for _, args := range [][]string{{"run", file}, {"trace", file}, {"list", file}} {
		r := hnsim(t, nil, args...)
		r.check(t, 2, "", `broken.txtar:4: unknown word "sned"; did you mean "send"?`)
		r.check(t, 2, "", "broken.txtar:5: ")
	}
	hnsim(t, nil, "validate", file).check(t, 1, "broken.txtar:4  unknown word", "1 file, ")
}

func TestAnInterruptedRunExitsWith130AndAReport(t *testing.T) {
	file := mine(t, "passes.txtar")
	t.Chdir(t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := hnsimContext(ctx, nil, "run", file)
	r.check(t, 130, "1 not run", "")
	text, err := os.ReadFile("hnsim-out/summary.json")
	if err != nil || !strings.Contains(string(text), `"complete": false`) {
		t.Errorf("%v\n%s", err, text)
	}
}

func TestExpectationsTurnAFailureIntoAnExpectedOne(t *testing.T) {
	fails, passes := mine(t, "fails.txtar"), mine(t, "passes.txtar")
	t.Chdir(t.TempDir())
	write := func(text string) {
		if err := os.WriteFile("x.expect", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("fail TRY-02 issue=o/r#1\n")
	hnsim(t, nil, "run", fails, passes, "--expect", "x.expect").check(t, 0, "1 failed as expected", "")
	write("fail TRY-01 issue=o/r#1\n")
	hnsim(t, nil, "run", passes, "--expect", "x.expect").check(t, 1, "XPASS TRY-01", "")
	write("fail TRY-02 issue=o/r#1 until=2026-01-01\n")
	hnsim(t, nil, "run", fails, "--expect", "x.expect").check(t, 2, "", "x.expect:1: fail TRY-02 expired on 2026-01-01")
	write("fail TRY-09 issue=o/r#1\n")
	hnsim(t, nil, "run", fails, "--expect", "x.expect").check(t, 2, "", "is unused")
}

func TestTheFlowCacheAndTheDeterminismCheckChangeNoResult(t *testing.T) {
	file := mine(t, "passes.txtar")
	t.Chdir(t.TempDir())
	for _, flag := range []string{"--no-flow-cache", "--check-determinism", "--check-flow-table", "--keep", "--parallel=1"} {
		hnsim(t, nil, "run", file, flag).check(t, 0, "1 passed", "")
	}
}

func TestVerboseAndQuietSayMoreAndLess(t *testing.T) {
	file := mine(t, "passes.txtar")
	t.Chdir(t.TempDir())
	hnsim(t, nil, "run", file, "-v").check(t, 0, "ok     TRY-01", "")
	if r := hnsim(t, nil, "run", file, "-q"); r.errOut != "" || !strings.HasPrefix(r.out, "PASS") {
		t.Errorf("%q %q", r.out, r.errOut)
	}
	if r := hnsim(t, nil, "run", file, "--color", "always"); !strings.Contains(r.out, "\x1b[32mPASS") {
		t.Errorf("%q", r.out)
	}
}

func TestGitHubGetsAnnotationsOnStderrAndASummary(t *testing.T) {
	file := mine(t, "fails.txtar")
	dir := t.TempDir()
	t.Chdir(dir)
	summary := filepath.Join(dir, "step.md")
	r := hnsim(t, []string{"GITHUB_ACTIONS=true", "GITHUB_STEP_SUMMARY=" + summary}, "run", file)
	r.check(t, 1, "", "::error file=")
	if strings.Contains(r.out, "::error") {
		t.Error("annotations on stdout")
	}
	if text, err := os.ReadFile(summary); err != nil || !strings.Contains(string(text), "# hnsim: FAILED") {
		t.Errorf("%v\n%s", err, text)
	}
}

func TestReportsThatCannotBeWrittenAreSaid(t *testing.T) {
	file := mine(t, "passes.txtar")
	t.Chdir(t.TempDir())
	if err := os.WriteFile("o", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	hnsim(t, nil, "run", file, "--out", "o").check(t, 2, "", "hnsim: ")
	if err := os.MkdirAll("p/junit.xml", 0o755); err != nil {
		t.Fatal(err)
	}
	hnsim(t, nil, "run", file, "--out", "p").check(t, 3, "PASS", "the reports are incomplete")
	hnsim(t, nil, "run", file, "--out", "").check(t, 0, "PASS", "")
}

func TestTraceFollowsEveryPacket(t *testing.T) {
	file := mine(t, "passes.txtar")
	t.Chdir(t.TempDir())
	hnsim(t, nil, "trace", file).check(t, 0, "udp(4000>53)", "")
	hnsim(t, nil, "trace", file).check(t, 0, "DELIVERED at x", "")
	r := hnsim(t, nil, "trace", file, "--format", "json")
	var got struct {
		Scenario, Status string
		Packets          []struct {
			ID    uint64
			Steps []string
			Fate  string
		}
	}
	if err := json.Unmarshal([]byte(r.out), &got); err != nil || got.Status != "passed" || len(got.Packets) == 0 {
		t.Errorf("%v %+v", err, got)
	}
	hnsim(t, nil, "trace", file, "--packet", "999999").check(t, 2, "", "has no such packet, its packets are 1 to ")
	hnsim(t, nil, "trace", file, "--until", "8", "--add", "send c1 udp 172.16.0.10:4001 > 10.127.130.100:54 'mine'").check(t, 0, "udp(4001>54)", "")
	hnsim(t, nil, "trace", file, "--until", "99").check(t, 2, "", "there is no line 99")
	hnsim(t, nil, "trace", file, "--add", "fly away").check(t, 2, "", `unknown word "fly"`)
}

func TestAFailedConnectionShowsItsOwnWalk(t *testing.T) {
	t.Chdir(t.TempDir())
	const scenario = `# TRY-09: the walk of a connection
# rules: ACL-10
# labels: acl
#
# The ping before it went through.

router r lan=10.127.130.1/24 wan=203.0.113.1/24
host h1 ip=10.127.130.35/24
external x ip=203.0.113.80/24 segment=wan
network h1 br net.json
endpoint cb1 br ep.json
ping x > 10.127.130.110
listen cb1 tcp :80
tcp x > 10.127.130.110:81 timeout=1s
-- net.json --
{"Name":"br","Type":"L2Bridge","SchemaVersion":{"Major":2,"Minor":0},"Ipams":[{"Type":"Static","Subnets":[
 {"IpAddressPrefix":"10.127.130.0/24","Routes":[{"NextHop":"10.127.130.1","DestinationPrefix":"0.0.0.0/0"}]}]}]}
-- ep.json --
{"Name":"cb1","IpConfigurations":[{"IpAddress":"10.127.130.110"}],"SchemaVersion":{"Major":2,"Minor":0}}
`
	if err := os.WriteFile("t.txtar", []byte(scenario), 0o600); err != nil {
		t.Fatal(err)
	}
	r := hnsim(t, nil, "run", "t.txtar")
	r.check(t, 1, "trace of the packet", "")
	_, walk, _ := strings.Cut(r.out, "trace of the packet")
	if !strings.Contains(walk, ">10.127.130.110:81") || strings.Contains(walk, "protocol is 1 ") {
		t.Error(r.out)
	}
}

func TestListKnowsFiles(t *testing.T) {
	file := mine(t, "passes.txtar")
	hnsim(t, nil, "list", file, "--columns", "id,rules,confidence").check(t, 0, "TRY-01  NAT-10 NAT-13", "")
	r := hnsim(t, nil, "list", file, "--format", "json")
	var all []map[string]any
	if err := json.Unmarshal([]byte(r.out), &all); err != nil || len(all) != 1 || all[0]["id"] != "TRY-01" {
		t.Errorf("%v\n%s", err, r.out)
	}
}

func TestUpdateRewritesGoldenText(t *testing.T) {
	t.Chdir(t.TempDir())
	text := "# TRY-05: golden text\n# rules: NAT-10\nhost h1 ip=10.127.130.35/24\nnetwork h1 n1 net.json\nquery network n1 Name\ncmp stdout want.txt\n" +
		"-- net.json --\n{\"SchemaVersion\":{\"Major\":2,\"Minor\":0},\"Name\":\"n1\",\"Type\":\"NAT\",\"Ipams\":[{\"Type\":\"Static\",\"Subnets\":[{\"IpAddressPrefix\":\"172.16.0.0/24\"}]}]}\n" +
		"-- want.txt --\nold\n"
	if err := os.WriteFile("g.txtar", []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	before := hnsim(t, nil, "run", "./g.txtar")
	if before.code != 1 {
		t.Fatalf("exit %d\n%s%s", before.code, before.out, before.errOut)
	}
	hnsim(t, nil, "run", "./g.txtar", "--update").check(t, 0, "1 passed", "")
	hnsim(t, nil, "run", "./g.txtar").check(t, 0, "1 passed", "")
	if after, err := os.ReadFile("g.txtar"); err != nil || strings.Contains(string(after), "\nold\n") {
		t.Errorf("%v\n%s", err, after)
	}
}
