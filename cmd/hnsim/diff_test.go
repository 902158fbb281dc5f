package main

import (
	"encoding/json"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/reports"
)

func TestTheModelAgreesWithItself(t *testing.T) {
	t.Chdir(t.TempDir())
	r := hnsim(t, nil, "diff", "--left", "sim", "--right", "sim", "nat/**", "-v")
	r.check(t, 0, "AGREE  ", "left   sim profile=ws2022")
	r.check(t, 0, "nothing was normalised", "right  sim profile=ws2022")
	r.check(t, 0, "agree S-NAT-01  ", "")
}

// Ids, MAC addresses, sequence numbers and chosen addresses all follow from
// the seed; nothing else may.
func TestAnotherSeedChangesNothingThatMeansAnything(t *testing.T) {
	if testing.Short() {
		t.Skip("most of the suite, twice")
	}
	t.Chdir(t.TempDir())
	r := hnsim(t, nil, "diff", "--left", "sim", "--right", "sim,seed=4711", "-q", "--skip", "label:slow")
	r.check(t, 0, " 0 differ, ", "")
	for _, name := range []string{"  ids ", "  macs ", "  ports ", "  addresses ", "  tcp-seq ", "  checksums ", "  dhcp-xid "} {
		r.check(t, 0, name, "")
	}
	hnsim(t, nil, "diff", "--left", "sim", "--right", "sim,seed=4711", "S-NAT-02", "--strict", "macs").check(t, 1, "not normalised: macs", "")
}

// What cannot be tested here is no wrong usage, on either side.
func TestAComparisonWithTheRealHNSNeedsWindows(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("this is Windows")
	}
	t.Chdir(t.TempDir())
	hnsim(t, nil, "diff", "--left", "sim", "--right", "hns", "S-NAT-01").check(t, 3, "", "Windows")
	hnsim(t, nil, "diff", "--left", "hns@ws2019", "--right", "sim", "S-NAT-01").check(t, 3, "", "Windows")
}

// Time that is virtual is the same on a scaled clock.
func TestATimeScaleIsForBackendsThatKnowIt(t *testing.T) {
	t.Chdir(t.TempDir())
	hnsim(t, nil, "diff", "--left", "sim", "--right", "sim", "--time-scale", "30", "S-NAT-05").check(t, 0, "1 agree", "time-scale=30")
	hnsim(t, nil, "run", "--time-scale", "30", "--record", "r.hnsrec", "S-NAT-05").check(t, 2, "", "exclude each other")
	hnsim(t, nil, "run", "--record", "r.hnsrec", "-q", "S-NAT-05")
	hnsim(t, nil, "diff", "--left", "sim", "--right", "r.hnsrec", "--time-scale", "30", "S-NAT-05").check(t, 2, "", "cannot scale time")
}

func TestARecordingAgreesWithWhatWasRecorded(t *testing.T) {
	passes, fails := mine(t, "passes.txtar"), mine(t, "fails.txtar")
	t.Chdir(t.TempDir())
	hnsim(t, nil, "run", "--record", "r.hnsrec", "--profile", "ws2019", "--seed", "5", "-q", fails)
	// A scenario that fails is carried out to its end, and can be compared.
	r := hnsim(t, nil, "diff", "--left", "sim", "--right", "r.hnsrec", fails)
	r.check(t, 0, "1 scenario, 1 agree", "left   sim profile=ws2019 build=17763 seed=5")
	r.check(t, 0, "nothing was normalised", "right  r.hnsrec (sim, recorded 2026-05-11) profile=ws2019")
	hnsim(t, nil, "diff", "--left", "replay:r.hnsrec", "--right", "sim@ws2022", fails).check(t, 0, "1 agree", "right  sim@ws2022 profile=ws2022 build=20348 seed=5")
	hnsim(t, nil, "diff", "--left", "sim", "--right", "r.hnsrec", passes).check(t, 3, "right: not in the recording: it has no world of TRY-01", "")
	hnsim(t, nil, "diff", "--left", "sim", "--right", "r.hnsrec", passes, fails).check(t, 0, "1 agree, 0 differ, 1 not comparable", "")
}

func TestADifferenceIsShownFieldByField(t *testing.T) {
	t.Chdir(t.TempDir())
	r := hnsim(t, nil, "diff", "--left", "sim@20348", "--right", "sim,knob:outerTtl=64", "S-OV-01", "--html", "page.html")
	for _, want := range []string{
		"DIFF S-OV-01  ", "at           scenarios/overlay/", "where        wire h1 tx, frame ", "<- DIFFERS",
		"! ip.ttl", "128", "64", "~ ip.checksum", "1 scenario, 0 agree, 1 differ, 0 not comparable",
	} {
		r.check(t, 1, want, "page  page.html")
	}
	for _, l := range strings.Split(r.out, "\n") {
		if len(l) > 80 && !strings.Contains(l, " | ") {
			t.Errorf("%d columns: %s", len(l), l)
		}
	}
	page, err := os.ReadFile("page.html")
	if err != nil || !strings.Contains(string(page), "The sides differ") || !strings.Contains(string(page), "ip.ttl") {
		t.Errorf("%v\n%s", err, page)
	}
}

func TestKnownDifferencesAreExplainedAndStaleOnesTold(t *testing.T) {
	t.Chdir(t.TempDir())
	write := func(text string) {
		if err := os.WriteFile("d.expect", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	diff := func(args ...string) result {
		return hnsim(t, nil, append([]string{"diff", "--left", "sim", "--right", "sim,seed=2", "--strict", "macs", "--expect", "d.expect", "-q"}, args...)...)
	}
	write("differ S-NAT-02 backend=sim reason=\"other pools\"\n")
	diff("S-NAT-02").check(t, 0, "1 known", "")
	diff("S-NAT-02").check(t, 0, "because      other pools", "")
	diff("S-NAT-02", "S-NAT-03").check(t, 1, "1 differ, 1 known", "")

	write("fail S-NAT-02 profile=ws2016 reason=\"not here\"\n")
	diff("S-NAT-02").check(t, 1, "1 differ", "")
	write("skip S-NAT-02 reason=\"it hangs\"\n")
	diff("S-NAT-02").check(t, 3, "left out: it hangs", "")
	write("differ S-NO-SUCH reason=\"x\"\n")
	diff("S-NAT-02").check(t, 2, "", "d.expect:1: differ S-NO-SUCH is unused")

	write("differ S-NAT-02 reason=\"long gone\"\n")
	r := hnsim(t, nil, "diff", "--left", "sim", "--right", "sim", "--expect", "d.expect", "-q", "S-NAT-02")
	r.check(t, 1, "STALE  d.expect:1  S-NAT-02: nothing differs any more", "")
	// What was not selected is not stale.
	r = hnsim(t, nil, "diff", "--left", "sim", "--right", "sim", "--expect", "d.expect", "-q", "S-NAT-03")
	if r.check(t, 0, "1 agree", ""); strings.Contains(r.out, "d.expect") {
		t.Errorf("a line about something else is listed:\n%s", r.out)
	}
	// Runs do not look at lines about comparisons.
	hnsim(t, nil, "run", "--expect", "d.expect", "-q", "S-NAT-02").check(t, 0, "1 passed", "")
}

func TestDiffInJSONPrintsOneObjectTheSameEveryTime(t *testing.T) {
	t.Chdir(t.TempDir())
	args := []string{"diff", "--left", "sim@ws2019", "--right", "sim", "--format", "json", "nat/**", "--parallel"}
	a, b := hnsim(t, nil, append(args, "1")...), hnsim(t, nil, append(args, "4")...)
	var d reports.Diff
	if err := json.Unmarshal([]byte(a.out), &d); err != nil {
		t.Fatal(err)
	}
	if d.Schema != reports.DiffSchema || d.Left.Profile != "ws2019" || d.Totals.Scenarios != len(d.Scenarios) || d.Totals.Agree == 0 {
		t.Errorf("%+v", d.Totals)
	}
	if a.out != b.out {
		t.Error("the number of workers shows")
	}
	for _, c := range d.Scenarios {
		if c.Verdict != reports.Agree && c.Reason == "" && c.Difference == nil {
			t.Errorf("%s is %s, and nothing says why", c.ID, c.Verdict)
		}
	}
}

func TestSidesThatMakeNoSenseAreUsageErrors(t *testing.T) {
	t.Chdir(t.TempDir())
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"no left", []string{"--right", "sim"}, "--left is missing"},
		{"no right", []string{"--left", "sim"}, "--right is missing"},
		{"no such backend", []string{"--left", "sim", "--right", "smi"}, "did you mean sim?"},
		{"no such file", []string{"--left", "sim", "--right", "no.hnsrec"}, "no.hnsrec"},
		{"no such profile", []string{"--left", "sim@ws2020", "--right", "sim"}, "ws2020"},
		{"no such build", []string{"--left", "sim@1", "--right", "sim"}, "no profile has OS build 1"},
		{"no such option", []string{"--left", "sim,sede=1", "--right", "sim"}, "expected seed=N"},
		{"a seed that is no number", []string{"--left", "sim,seed=x", "--right", "sim"}, "expected a number"},
		{"no such knob", []string{"--left", "sim,knob:nonsense=1", "--right", "sim"}, "nonsense"},
		{"no such normalisation", []string{"--left", "sim", "--right", "sim", "--strict", "prots"}, "expected all, ids"},
		{"nothing selected", []string{"--left", "sim", "--right", "sim", "S-NO-SUCH"}, "S-NO-SUCH"},
		{"negative workers", []string{"--left", "sim", "--right", "sim", "--parallel", "-1"}, "--parallel is -1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := hnsim(t, nil, append([]string{"diff"}, tt.args...)...)
			r.check(t, 2, "", tt.want)
		})
	}
}
