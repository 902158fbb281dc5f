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
