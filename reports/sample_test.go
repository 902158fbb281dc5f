package reports

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the golden files; inspect the diff and commit it only if you understand it")

// checkGolden compares got with testdata/golden/name.
func checkGolden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs from what is committed.\ngot:\n%s\nwant:\n%s\nRun with -update, then read the diff.", path, got, want)
	}
}

// mkEvents is a run with one result of every status and hostile texts.
func mkEvents() []Event {
	at := time.Date(2026, 5, 11, 10, 30, 0, 0, time.FixedZone("CEST", 7200))
	events := []Event{{Kind: RunStarted, Time: at, Run: &RunInfo{
		Tool: "hnsim", Version: "v0.1.0", GoVersion: "go1.26.0", OS: "linux", Arch: "amd64",
		Backend: "sim", Profile: "ws2025", HNSVersion: "16.0", OSBuild: 26100, Seed: 7, Shard: "1/2",
		Knobs: map[string]string{"nat.udp.idle": "120s", "acl.default": "allow"}, Selected: 8, Catalogue: 20, Parallel: 2,
		Expectations: []ExpectFile{{Path: "expect/sim.expect", SHA256: "00ff"}},
		Git:          &Git{Commit: "0123abc", Branch: "main", Dirty: true},
	}}}
	add := func(s Scenario, o Outcome, f *Failure, arts ...Artefact) {
		events = append(events, Event{Kind: ScenarioStarted, ID: s.ID, Scenario: &s})
		if f != nil {
			events = append(events, Event{Kind: ScenarioFailed, ID: s.ID, Failure: f})
		}
		if o.Status == Skipped {
			events = append(events, Event{Kind: ScenarioSkipped, ID: s.ID, Reason: o.Reason})
			o.Reason = ""
		}
		for _, a := range arts {
			events = append(events, Event{Kind: ArtefactWritten, ID: s.ID, Artefact: &a})
		}
		events = append(events, Event{Kind: ScenarioFinished, ID: s.ID, Outcome: &o})
	}
	add(Scenario{ID: "S-NAT-01", Title: "a TCP connection is translated", Area: "nat", Rules: []string{"NAT-10", "NAT-17"}, Confidence: []string{"docs"}, File: "scenarios/nat/outbound.txtar", Line: 1},
		Outcome{Status: Passed, Wall: 400 * time.Microsecond, Virtual: 241 * time.Second, EventHash: "aa"}, nil)
	add(Scenario{ID: "S-NAT-05", Title: "an idle UDP mapping is released", Area: "nat", Requirement: "a UDP mapping idle for 120 s MUST be released, and it must be so whatever was sent before it became idle",
		Rules: []string{"NAT-20"}, Confidence: []string{"docs", "issue"}, File: "scenarios/nat/idle.txtar", Line: 1},
		Outcome{Status: Failed, Reason: "no packet at x", Wall: time.Millisecond, Virtual: 121 * time.Second, EventHash: "bb", Repro: "hnsim run S-NAT-05 --profile ws2025 --seed 7"},
		&Failure{
			Message: "no packet at x", File: "scenarios/nat/idle.txtar", Line: 45,
			Expected: "one packet at x: src=198.51.100.2:1024", Received: "none; 1 drop \x1b[31mNatNoMapping",
			Script: []SourceLine{{44, "send c2 udp 172.16.0.11:4000 > 203.0.113.9:53", "ok"}, {45, "expect x src=198.51.100.2:1024", "FAILED"}, {46, "advance 1s", ""}},
			Closest: &Closest{Where: "x", Packet: "udp 198.51.100.2:1025 > 203.0.113.9:53", Fields: []FieldDiff{
				{"ip.src", "198.51.100.2", "198.51.100.2", true}, {"udp.src", "1024", "1025", false}}},
			Drops: []string{"NatNoMapping at h1 wan: udp 203.0.113.9:53 > 198.51.100.2:1024"},
			Trace: []string{"1 vswitch.in   port 3", "2 nat.out      mapping 1024 is held by 172.16.0.10:5000"},
		}, Artefact{"trace", "S-NAT-05/trace.txt"}, Artefact{"pcapng", "S-NAT-05/packets.pcapng"})
	add(Scenario{ID: "S-OV-02", Area: "overlay/dsr", Rules: []string{"OV-08"}}, Outcome{Status: Skipped, Reason: "needs DSR (HNS >= 10.2 | 9.3-9.x)"}, nil)
	add(Scenario{ID: "S-OV-03", Area: "overlay/dsr"}, Outcome{Status: XFail, Reason: "expect x: none", Wall: time.Second,
		Expectation: &Expectation{Kind: "fail", Issue: "microsoft/Windows-Containers#616", Until: "2027-03-01", File: "expect/sim.expect", Line: 2}}, nil)
	add(Scenario{ID: "S-OV-04", Area: "overlay", File: "a,b:c%.txtar", Line: 3}, Outcome{Status: XPass, Reason: "passed, but expect/sim.expect:3 expects it to fail",
		Expectation: &Expectation{Kind: "fail", Reason: "known", File: "expect/sim.expect", Line: 3}}, nil)
	add(Scenario{ID: "S-DNS-01", Area: "dns"}, Outcome{Status: Flaky, Reason: "timeout",
		Expectation: &Expectation{Kind: "flaky", Issue: "k/k#111323", File: "expect/sim.expect", Line: 4}}, nil)
	add(Scenario{ID: "S-VS-01", Area: "vswitch"}, Outcome{Status: Error, Reason: "the world did not open"},
		&Failure{Message: "the world did not open", Harness: true, Detail: "dial: ]]> <no route>\n```\nsecond line"})
	add(Scenario{ID: "S-VS-02", Area: "vswitch"}, Outcome{Status: NotRun, Reason: "interrupted"}, nil)
	return append(events, Event{Kind: RunFinished, EventHash: "c0ffee", Interrupted: true})
}

func mkReport() *Report {
	var c Collector
	for _, e := range mkEvents() {
		c.Event(e)
	}
	return c.Report()
}
