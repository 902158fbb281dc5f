package main

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestFuzzFindsNothingAndSaysTheSameTwice(t *testing.T) {
	first := hnsim(t, nil, "fuzz", "--worlds", "5", "--seed", "40")
	first.check(t, 0, "PASS  5 worlds", "worlds from seed 40 on")
	hash := func(out string) string { _, h, _ := strings.Cut(out, "hash "); return h }
	if again := hnsim(t, nil, "fuzz", "--worlds", "5", "--seed", "40", "--parallel", "1"); hash(again.out) != hash(first.out) || hash(first.out) == "" {
		t.Errorf("%q and %q", first.out, again.out)
	}
	var rep fuzzReport
	r := hnsim(t, nil, "fuzz", "--worlds", "2", "--format", "json")
	if err := json.Unmarshal([]byte(r.out), &rep); err != nil || rep.Worlds != 2 || rep.Findings == nil {
		t.Errorf("%v: %s", err, r.out)
	}
}

func TestFuzzRefusesWhatMakesNoSense(t *testing.T) {
	hnsim(t, nil, "fuzz", "--worlds", "-1").check(t, 2, "", "cannot be negative")
	hnsim(t, nil, "fuzz", "--profile", "ws1999").check(t, 2, "", "ws1999")
	hnsim(t, nil, "fuzz", "x").check(t, 2, "", "x")
}
