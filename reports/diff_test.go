package reports

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// mkDiff is a comparison with one scenario of every verdict and hostile texts.
func mkDiff() *Diff {
	d := &Diff{
		Schema: DiffSchema, Tool: "hnsim", Version: "v0.1.0",
		Left:       DiffSide{Name: "sim@ws2019", Backend: "sim", Profile: "ws2019", HNSVersion: "9.2", OSBuild: 17763, Seed: 1, Knobs: map[string]string{"natHairpin": "drop"}, NoFlowCache: true},
		Right:      DiffSide{Name: "mine.hnsrec", Backend: "replay", Recorded: "hns, recorded 2026-05-11", Profile: "ws2022", HNSVersion: "14.0", OSBuild: 20348, Seed: 7},
		Normalised: []Normalised{{"ids", "generated ids, mapped one to one", 12}, {"ports", "ephemeral ports and echo ids of an address, mapped one to one", 3}},
		Strict:     []string{"timestamps"},
		Deviations: []Deviation{
			{Expectation: Expectation{Kind: "differ", Reason: "the kernel keeps source ports", File: "linux.expect", Line: 2}, Select: "rule:NAT-08", Differ: []string{"S-NAT-07"}, Covered: 2},
			{Expectation: Expectation{Kind: "fail", Issue: "o/r#616", File: "linux.expect", Line: 3}, Select: "S-NAT-01", Stale: true, Covered: 1},
		},
	}
	frame := &Difference{
		At: "scenarios/nat/idle.txtar:45", Line: 45, Command: "send c1 udp 172.16.0.10:50000 > 203.0.113.9:53",
		Script: []SourceLine{{44, "advance 1s", ""}, {45, "send c1 udp 172.16.0.10:$port > 203.0.113.9:53", "DIFFERS"}, {45, "  = send c1 udp 172.16.0.10:50000 > 203.0.113.9:53", ""}},
		Where:  "wire h1 tx, frame 1", What: "the frames differ",
		Left: "eth(00-15-5D-00-00-01>00-15-5D-00-00-02) ip(10.0.0.1>203.0.113.9 ttl127) udp(50001>53) len 5", Right: "eth(00-15-5D-00-00-01>00-15-5D-00-00-02) ip(10.0.0.1>203.0.113.9 ttl128) udp(50002>53) len 5",
		Fields: []FieldPair{
			{"eth.src", "00-15-5D-00-00-01", "00-15-5D-00-00-01", FieldSame, ""},
			{"ip.ttl", "127", "128", FieldDiffers, ""},
			{"udp.sport", "50001", "50002", FieldNormalised, "ports"},
			{"payload.data", strings.Repeat("68656c6c6f", 12), "\"<b>\x1b[31mhello\"", FieldDiffers, "left 1 is right 2 since line 3"},
		},
		Notes: []string{"right dropped at h1: NoMapping: eth(...)"},
	}
	alone := &Difference{At: "scenarios/nat/x.txtar", Command: "the end of the scenario", Where: "broken invariants", What: "the lists differ", Left: "1 (not there)", Right: "1 a loop", Fields: []FieldPair{{"1", "(not there)", "a loop", FieldDiffers, ""}}}
	d.Scenarios = []Comparison{
		{Scenario: Scenario{ID: "S-NAT-01", Title: "a TCP connection is translated"}, Verdict: Agree, Lines: 9, Calls: 7, Frames: 31},
		{Scenario: Scenario{ID: "S-NAT-05", Title: "an idle <UDP> mapping is released"}, Verdict: Differ, Lines: 4, Difference: frame},
		{Scenario: Scenario{ID: "S-NAT-06"}, Verdict: Differ, Difference: alone},
		{Scenario: Scenario{ID: "S-NAT-07"}, Verdict: KnownDiffer, Reason: "the kernel keeps source ports", Difference: frame},
		{Scenario: Scenario{ID: "S-OV-01"}, Verdict: NotComparable, Reason: "right: needs capability knobs, which backend linux lacks"},
		{Scenario: Scenario{ID: "S-OV-02"}, Verdict: NotComparable, Reason: "right: needs capability knobs, which backend linux lacks"},
	}
	for _, c := range d.Scenarios {
		d.Totals.Add(c.Verdict)
	}
	d.Totals.Stale = 1
	return d
}

func textOf(d *Diff, all bool) []byte {
	var b bytes.Buffer
	t := TextWriter{W: &b}
	t.DiffHead(d, len(d.Scenarios))
	for i := range d.Scenarios {
		t.Comparison(&d.Scenarios[i], all)
	}
	t.DiffFoot(d, 1500*time.Millisecond)
	return b.Bytes()
}

func TestAComparisonAsTextIsNarrowAndSaysItAll(t *testing.T) {
	got := textOf(mkDiff(), false)
	checkGolden(t, "diff.txt", got)
	checkGolden(t, "diff-verbose.txt", textOf(mkDiff(), true))
	for _, l := range strings.Split(string(got), "\n") {
		// Lines of the script and places are never broken.
		if len(l) > 80 && !strings.Contains(l, " | ") && !strings.HasPrefix(l, "left ") && !strings.HasPrefix(l, "right ") {
			t.Errorf("%d columns: %s", len(l), l)
		}
	}
	if bytes.ContainsRune(got, '\x1b') {
		t.Error("escape sequences of the data came through")
	}
}

func TestAComparisonAsJSONCanBeReadAgain(t *testing.T) {
	got, err := mkDiff().Encode()
	if err != nil {
		t.Fatal(err)
	}
	checkGolden(t, "diff.json", got)
	var back Diff
	if err := json.Unmarshal(got, &back); err != nil || !reflect.DeepEqual(&back, mkDiff()) {
		t.Errorf("%v, or it changed on the way", err)
	}
}

func TestAComparisonAsAPageNeedsNothingElse(t *testing.T) {
	got, err := DiffPage(mkDiff())
	if err != nil {
		t.Fatal(err)
	}
	checkGolden(t, "diff.html", got)
	for _, never := range []string{"<script", "http://", "https://", "src=", "@import", "\x1b", "<b>\\", "<UDP>"} {
		if strings.Contains(string(got), never) {
			t.Errorf("the page has %q", never)
		}
	}
	for _, must := range []string{"The sides differ", "S-NAT-05", "203.0.113.9", "nothing any more", "needs capability knobs", "&lt;UDP&gt;"} {
		if !strings.Contains(string(got), must) {
			t.Errorf("the page lacks %q", must)
		}
	}
	name := filepath.Join(t.TempDir(), "page.html")
	if err := WriteDiffPage(name, mkDiff()); err != nil {
		t.Fatal(err)
	}
	if file, err := os.ReadFile(name); err != nil || !bytes.Equal(file, got) {
		t.Error(err)
	}
}

func TestTheVerdictIsInTheFirstWord(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Diff)
		word   string
		page   string
	}{
		{"a difference", func(*Diff) {}, "DIFFER", "The sides differ"},
		{"a stale line", func(d *Diff) { d.Totals = DiffTotals{Agree: 1, Stale: 1} }, "STALE", "no longer differ"},
		{"nothing", func(d *Diff) { d.Totals = DiffTotals{NotComparable: 3} }, "NOTHING COMPARED", "Nothing could be compared"},
		{"an interrupted one", func(d *Diff) { d.Totals = DiffTotals{Agree: 1}; d.Interrupted = true }, "INTERRUPTED", "interrupted"},
		{"agreement", func(d *Diff) { d.Totals = DiffTotals{Agree: 1, Known: 1} }, "AGREE", "The sides agree"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := mkDiff()
			tt.change(d)
			var b bytes.Buffer
			w := TextWriter{W: &b}
			w.DiffFoot(d, 0)
			if !strings.HasPrefix(b.String(), tt.word+"  ") {
				t.Error(b.String())
			}
			if page, err := DiffPage(d); err != nil || !strings.Contains(string(page), tt.page) {
				t.Error(err)
			}
		})
	}
}
