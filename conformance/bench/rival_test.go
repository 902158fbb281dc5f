package bench_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hnsim/hnsim/conformance/bench"
	"github.com/hnsim/hnsim/reports"
)

// asProgram in the environment makes the test program answer a rival's command
// line.
const asProgram = "HNSIM_BENCH_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) == "1" {
		os.Exit(program(os.Args[1:]))
	}
	if order := os.Getenv(asDriver); order != "" {
		os.Exit(drive(order))
	}
	os.Exit(m.Run())
}

// program is a build that takes as many nanoseconds as its first argument says.
func program(args []string) int {
	ns, err := strconv.ParseFloat(args[0], 64)
	if len(args) > 2 && args[2] == "--list" {
		fmt.Println(map[bool]string{true: `[{"name":"encap"},{"name":"nat"}]`, false: "[]"}[err == nil])
		return 0
	}
	if err != nil || args[1] != "bench" {
		fmt.Fprintln(os.Stderr, "this build cannot do that")
		return 3
	}
	flags := map[string]string{}
	for i := 3; i+1 < len(args); i += 2 {
		flags[args[i]] = args[i+1]
	}
	flows, _ := strconv.Atoi(flags["--flows"])
	b := reports.Bench{Schema: reports.BenchSchema, Cells: []reports.BenchCell{{
		Path: args[2], Size: flags["--size"], Flows: flows, Dist: flags["--dist"], Workers: 1, Trace: flags["--trace"] == "on",
		Samples: []reports.BenchSample{{NS: ns, Reference: 10}},
	}}}
	text, err := b.Encode()
	if err != nil {
		return 1
	}
	os.Stdout.Write(text)
	return 0
}

// script is a program that is the test program with an argument in front.
func script(t *testing.T, arg string) string {
	t.Helper()
	name := t.TempDir() + "/build"
	text := fmt.Sprintf("#!/bin/sh\nexec %q %s \"$@\"\n", os.Args[0], arg)
	if err := os.WriteFile(name, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestAnotherBuildIsRunInTurn(t *testing.T) {
	if _, err := os.Stat("/bin/sh"); err != nil {
		t.Skip("the other build is a shell script, and there is no /bin/sh here")
	}
	t.Setenv(asProgram, "1")
	for _, tt := range []struct {
		self, other string
		want        reports.BenchVerdict
	}{{"110", "100", reports.BenchSlower}, {"100", "110", reports.BenchFaster}, {"100", "102", reports.BenchSame}} {
		cfg := quick("l2")
		cfg.Gate, cfg.Count = true, bench.MinPairs
		cfg.Rival = &bench.Rival{Program: script(t, tt.other), Self: script(t, tt.self), Length: time.Microsecond}
		got, err := bench.Cost(context.Background(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if g := got.Cells[0].Gate; g == nil || g.Verdict != tt.want || g.Pairs != bench.MinPairs {
			t.Errorf("%s against %s: %+v", tt.self, tt.other, g)
		}
	}
	cfg := quick("l2")
	cfg.Gate, cfg.Count = true, bench.MinPairs
	cfg.Rival = &bench.Rival{Program: script(t, "broken"), Self: script(t, "100")}
	if got, err := bench.Cost(context.Background(), cfg); err != nil || !strings.Contains(got.Cells[0].Error, "this build cannot do that") {
		t.Error(got, err)
	}
}

func TestAnotherBuildIsAskedForItsPathsFirst(t *testing.T) {
	if _, err := os.Stat("/bin/sh"); err != nil {
		t.Skip("the other build is a shell script, and there is no /bin/sh here")
	}
	t.Setenv(asProgram, "1")
	for _, bad := range []string{script(t, "broken"), t.TempDir() + "/none"} {
		if err := (&bench.Rival{Program: bad}).Check(context.Background()); err == nil || !strings.Contains(err.Error(), bad+" is no build of hnsim") {
			t.Error(err)
		}
	}
	// A path that it does not have is measured, and cannot be judged.
	cfg := quick("l2")
	cfg.Gate, cfg.Count = true, bench.MinPairs
	cfg.Rival = &bench.Rival{Program: script(t, "100"), Self: script(t, "100"), Length: time.Microsecond}
	if err := cfg.Rival.Check(context.Background()); err != nil {
		t.Fatal(err)
	}
	got, err := bench.Cost(context.Background(), cfg)
	if err != nil || got.Cells[0].NS == 0 || got.Verdict != reports.BenchInconclusive || got.Cells[0].Gate.Why != "the baseline has no such cell" {
		t.Errorf("%+v %v", got.Cells, err)
	}
}
