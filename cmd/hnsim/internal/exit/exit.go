package exit

import (
	"errors"
	"fmt"

	"github.com/hnsim/hnsim/conformance"
	"github.com/hnsim/hnsim/reports"
)

// The codes. They are part of the interface of the program.
const (
	OK          = 0
	Unexpected  = 1
	Usage       = 2
	NotTested   = 3
	Gate        = 4
	Noise       = 5
	Interrupted = 130
)

// Codes lists every code with its meaning, for the reference.
func Codes() []struct {
	Code    int
	Meaning string
} {
	return []struct {
		Code    int
		Meaning string
	}{
		{OK, "everything is as expected"},
		{Unexpected, "an unexpected result: a failure, an unexpected pass, a finding"},
		{Usage, "usage or configuration: unknown selector, bad flag, bad expectation file"},
		{NotTested, "could not test: harness or backend error, or nothing was executed"},
		{Gate, "a performance gate was missed"},
		{Noise, "inconclusive: the noise is larger than the gate"},
		{Interrupted, "interrupted; the report is partial"},
	}
}

// Error ends the program with a code. A nil Err means that everything has been
// said.
type Error struct {
	Code int
	Err  error
}

func (e *Error) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("exit code %d", e.Code)
	}
	return e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

// With gives err a code, unless it has one. A nil err stays nil.
func With(code int, err error) error {
	var have *Error
	if err == nil || errors.As(err, &have) {
		return err
	}
	return &Error{code, err}
}

// Of is the code of an error. Errors that nobody gave a code come from the
// parser of the command line.
func Of(err error) int {
	var e *Error
	var usage *conformance.UsageError
	switch {
	case err == nil:
		return OK
	case errors.As(err, &e):
		return e.Code
	case errors.As(err, &usage):
		return Usage
	}
	return Usage
}

// OfReport is the code of a run. An unexpected result outweighs a harness
// error: it is the news that somebody must act on.
func OfReport(r *reports.Report) int {
	n := r.Totals()
	switch {
	case r.Interrupted:
		return Interrupted
	case n.Failed+n.XPass > 0:
		return Unexpected
	case n.Errors > 0 || n.Executed() == 0:
		return NotTested
	}
	return OK
}

// OfBench is the code of a benchmark; a gate lets its verdict decide. A
// self-test is as it should be when every path was found to be slower. A path
// that could not be measured outweighs the gate: it may be the slower one.
func OfBench(b *reports.Bench, gate bool) int {
	if b.Interrupted {
		return Interrupted
	}
	measured, found, noisy, broken := len(b.Services)+len(b.Scales), true, false, false
	for i := range b.Cells {
		c := &b.Cells[i]
		broken = broken || c.Error != ""
		if c.Remark() != "" {
			continue
		}
		measured++
		if b.SelfTest && c.Gate != nil {
			noisy = noisy || c.Gate.Verdict == reports.BenchInconclusive
			found = found && c.Gate.Verdict == reports.BenchSlower
		}
	}
	for _, s := range b.Services {
		if s.Skipped != "" {
			measured--
		}
		broken = broken || s.Error != ""
	}
	switch {
	case measured == 0 || broken:
		return NotTested
	case b.SelfTest && noisy:
		return Noise
	case b.SelfTest && !found:
		return Unexpected
	case gate && b.Verdict == reports.BenchSlower:
		return Gate
	case gate && b.Verdict == reports.BenchInconclusive:
		return Noise
	}
	return OK
}

// OfDiff is the code of a comparison.
func OfDiff(d *reports.Diff) int {
	switch n := d.Totals; {
	case d.Interrupted:
		return Interrupted
	case n.Differ+n.Stale > 0:
		return Unexpected
	case n.Compared() == 0:
		return NotTested
	}
	return OK
}
