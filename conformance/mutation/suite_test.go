package main

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// mkProgram makes a program of shell that stands for a build of the model.
func mkProgram(t *testing.T, script string) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("needs a shell for the builds that it makes up")
	}
	bin := filepath.Join(t.TempDir(), program)
	if err := os.WriteFile(bin, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return bin
}

func limitRuns(t *testing.T, d time.Duration) {
	old := runTimeout
	runTimeout = d
	t.Cleanup(func() { runTimeout = old })
}

// records is a build that can record, and compares as it is told to.
func records(diff string) string {
	return `case $1 in
run) echo '{"results":[{"id":"S-A","status":"passed"}]}';;
diff) ` + diff + `;;
esac`
}

const (
	badUsage = `echo "hnsim: selector matches no scenario" >&2; exit 2`
	noFile   = `echo "hnsim: --left: no such file" >&2; exit 3`
	panics   = `printf 'panic: index out of range\n\ngoroutine 1 [running]:\n' >&2; exit 2`
	killed   = `kill -9 $$`
	hangs    = `exec sleep 20`
	differs  = `echo '{"scenarios":[{"id":"S-B","verdict":"equal"},{"id":"S-A","verdict":"differ"}]}'; exit 1`
	equal    = `echo '{"scenarios":[{"id":"S-A","verdict":"equal"}]}'`
)

func TestOnlyWhatTheModelDidIsNoticed(t *testing.T) {
	tests := []struct {
		name             string
		unbroken, broken string
		red              []string
		err              string
	}{
		{"a difference", records(equal), records(differs), []string{"S-A"}, ""},
		{"no difference", records(equal), records(equal), nil, ""},
		{"a panic", records(equal), records(panics), []string{"(the suite crashed)"}, ""},
		{"a selector that matches nothing", records(equal), records(badUsage), nil, "matches no scenario"},
		{"a file that is not there", records(equal), records(noFile), nil, "no such file"},
		{"killed by somebody", records(equal), records(killed), nil, "killed"},
		{"no JSON", records(equal), records("echo fine"), nil, "JSON"},
		{"a rule that no scenario cites", badUsage, records(differs), nil, "matches no scenario"},
		{"an unbroken model that fails", `echo '{"results":[{"id":"S-A","status":"failed"}]}'`, records(differs), []string{"S-A"}, ""},
		{"an unbroken model that panics", panics, records(differs), nil, "out of range"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &suite{model: model{bin: mkProgram(t, tt.broken)}, dir: t.TempDir(), unbroken: &model{bin: mkProgram(t, tt.unbroken)}}
			check(t, s, tt.red, tt.err)
		})
	}
}

func check(t *testing.T, s *suite, want []string, problem string) {
	t.Helper()
	red, err := differing(s, Mutation{Rule: "NAT-13"})
	if !slices.Equal(red, want) || (err != nil) != (problem != "") || err != nil && !strings.Contains(err.Error(), problem) {
		t.Errorf("got %v, %v; want %v, %q", red, err, want, problem)
	}
}

// A machine that is too busy for the unbroken model cannot say that the broken
// one hangs.
func TestABusyMachineIsNoHangingModel(t *testing.T) {
	limitRuns(t, 4*time.Second)
	tests := []struct {
		name, unbroken string
		red            []string
		err            string
	}{
		{"a fast machine", records(equal), []string{"(the suite hung)"}, ""},
		{"a slow one", records("sleep 2; " + equal), nil, "too slow a machine"},
		{"a stuck one", records(hangs), nil, "too slow a machine"},
		{"one that cannot even record", hangs, nil, "the unbroken model takes longer"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel() // they only sleep
			s := &suite{model: model{bin: mkProgram(t, records(hangs))}, dir: t.TempDir(), unbroken: &model{bin: mkProgram(t, tt.unbroken)}}
			check(t, s, tt.red, tt.err)
		})
	}
}
