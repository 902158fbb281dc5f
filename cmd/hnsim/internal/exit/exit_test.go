package exit

import (
	"errors"
	"fmt"
	"testing"

	"github.com/hnsim/hnsim/conformance"
	"github.com/hnsim/hnsim/reports"
)

func report(interrupted bool, statuses ...reports.Status) *reports.Report {
	r := &reports.Report{Interrupted: interrupted}
	for _, s := range statuses {
		r.Results = append(r.Results, reports.Result{Outcome: reports.Outcome{Status: s}})
	}
	return r
}

func TestTheExitCodeSaysWhatBecameOfTheRun(t *testing.T) {
	tests := []struct {
		name string
		rep  *reports.Report
		want int
	}{
		{"all passed", report(false, reports.Passed, reports.Skipped), OK},
		{"expected failures and flakes are fine", report(false, reports.XFail, reports.Flaky), OK},
		{"a failure", report(false, reports.Passed, reports.Failed), Unexpected},
		{"an unexpected pass", report(false, reports.XPass), Unexpected},
		{"a harness error", report(false, reports.Passed, reports.Error), NotTested},
		{"a failure beside a harness error", report(false, reports.Error, reports.Failed), Unexpected},
		{"nothing selected", report(false), NotTested},
		{"everything skipped", report(false, reports.Skipped, reports.Skipped), NotTested},
		{"interrupted", report(true, reports.Failed, reports.NotRun), Interrupted},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := OfReport(tt.rep); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

func TestErrorsKeepTheFirstCodeTheyWereGiven(t *testing.T) {
	inner := With(Unexpected, errors.New("x"))
	tests := []struct {
		name string
		err  error
		want int
	}{
		{"none", nil, OK},
		{"the parser's", errors.New("unknown flag"), Usage},
		{"the runner's", fmt.Errorf("run: %w", &conformance.UsageError{Err: errors.New("x")}), Usage},
		{"one with a code", inner, Unexpected},
		{"a code inside", fmt.Errorf("more: %w", inner), Unexpected},
		{"a second code", With(NotTested, inner), Unexpected},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Of(tt.err); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
	if With(Usage, nil) != nil {
		t.Error("no error became one")
	}
}

func TestTheCodeOfABenchmark(t *testing.T) {
	cell := func(v reports.BenchVerdict) reports.BenchCell {
		return reports.BenchCell{Gate: &reports.BenchGate{Verdict: v}}
	}
	run := func(v reports.BenchVerdict, cells ...reports.BenchCell) *reports.Bench {
		return &reports.Bench{Verdict: v, Cells: cells}
	}
	self := func(cells ...reports.BenchCell) *reports.Bench {
		return &reports.Bench{SelfTest: true, Cells: cells}
	}
	slower, same, noise := cell(reports.BenchSlower), cell(reports.BenchSame), cell(reports.BenchInconclusive)
	skipped := reports.BenchCell{Skipped: "why"}
	tests := []struct {
		name string
		b    *reports.Bench
		gate bool
		want int
	}{
		{"measured", run("", reports.BenchCell{}), false, OK},
		{"nothing measured", run("", skipped), false, NotTested},
		{"nothing at all", run(""), true, NotTested},
		{"one path that broke", run("", reports.BenchCell{}, reports.BenchCell{Error: "lost"}), false, NotTested},
		{"one path that broke, and a gate", run(reports.BenchSlower, slower, reports.BenchCell{Error: "lost"}), true, NotTested},
		{"slower, and a gate", run(reports.BenchSlower, slower, skipped), true, Gate},
		{"slower without one", run(reports.BenchSlower, slower), false, OK},
		{"noise, and a gate", run(reports.BenchInconclusive, noise), true, Noise},
		{"the same", run(reports.BenchSame, same), true, OK},
		{"faster", run(reports.BenchFaster, cell(reports.BenchFaster)), true, OK},
		{"a self-test that finds it everywhere", self(slower, slower, skipped), false, OK},
		{"a self-test that misses one", self(slower, same), false, Unexpected},
		{"a self-test in noise", self(slower, noise, same), false, Noise},
		{"a service", &reports.Bench{Services: []reports.ServiceRow{{}, {Skipped: "why"}}}, false, OK},
		{"no service", &reports.Bench{Services: []reports.ServiceRow{{Skipped: "why"}}}, false, NotTested},
		{"a broken one", &reports.Bench{Services: []reports.ServiceRow{{}, {Error: "cable"}}}, false, NotTested},
		{"interrupted", &reports.Bench{Interrupted: true, Verdict: reports.BenchSlower}, true, Interrupted},
	}
	for _, tt := range tests {
		if got := OfBench(tt.b, tt.gate); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}
