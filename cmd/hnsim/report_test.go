package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReportsAreMadeOfResultsAndVerified(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, shard := range []string{"1/2", "2/2"} {
		hnsim(t, nil, "run", "nat/**", "--shard", shard, "--out", "shard"+shard[:1]).check(t, 0, "PASS", "")
	}
	hnsim(t, nil, "run", "nat/**", "--out", "whole").check(t, 0, "PASS", "")
	hnsim(t, nil, "report", "merge", "shard1", "shard2", "--out", "merged").check(t, 0, "PASS", "")
	whole, merged := summaryOf(t, "whole"), summaryOf(t, "merged")
	if whole["passed"] != merged["passed"] || whole["skipped"] != merged["skipped"] || whole["selected"] != merged["selected"] {
		t.Errorf("merged %v, whole %v", merged["passed"], whole["passed"])
	}
	who := []string{"--organization", "Example", "--project", "Example HNS", "--url", "https://example.com", "--implementation-version", "1.2", "--contact", "hns@example.com"}
	hnsim(t, nil, append([]string{"report", "conformance", "merged", "--out", "report.yaml"}, who...)...).check(t, 0, "", "")
	hnsim(t, nil, "report", "verify", "report.yaml", "merged").check(t, 0, "ok  report.yaml: ", "")
	hnsim(t, nil, "report", "verify", "report.yaml", "whole").check(t, 1, "provenance.results[0]: claims", "")
	text, err := os.ReadFile("report.yaml")
	if err != nil {
		t.Fatal(err)
	}
	lie := strings.Replace(string(text), "passed: ", "passed: 1", 1)
	if err := os.WriteFile("lie.yaml", []byte(lie), 0o644); err != nil {
		t.Fatal(err)
	}
	hnsim(t, nil, "report", "verify", "lie.yaml", "merged").check(t, 1, "statistics.passed: claims", "")
	hnsim(t, nil, "report", "conformance", "merged").check(t, 2, "", "expected --organization, --project, --url, --implementation-version, --contact, too")
	hnsim(t, nil, "report", "conformance", "absent").check(t, 2, "", "organization")
	hnsim(t, nil, append([]string{"report", "conformance", "absent"}, who...)...).check(t, 2, "", "absent")
	if err := os.WriteFile("empty.ndjson", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	hnsim(t, nil, "report", "badge", "empty.ndjson").check(t, 2, "", "empty.ndjson: the file is empty")
	hnsim(t, nil, "report", "badge", "whole").check(t, 0, "<svg ", "")
	hnsim(t, nil, "report", "badge", "whole", "--format", "json").check(t, 0, `"schemaVersion": 1`, "")
	hnsim(t, nil, "report", "render", "whole", "--out", "again").check(t, 0, "", "junit.xml")
	if _, err := os.Stat(filepath.Join("again", "junit.xml")); err != nil {
		t.Error(err)
	}
	hnsim(t, nil, "run", "nat/**", "--seed", "9", "--shard", "1/9", "--out", "other").check(t, 0, "PASS", "")
	hnsim(t, nil, "report", "merge", "shard1", "other").check(t, 2, "", "seed is 1 in one and 9 in the other")
}

// summaryOf is the JSON summary in a folder.
func summaryOf(t *testing.T, dir string) map[string]any {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "summary.json"))
	out := map[string]any{}
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}
