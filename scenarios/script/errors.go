package script

import (
	"errors"
	"fmt"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/hcn"
)

// How a word can end badly. Only a refusal may stand behind !; everything else
// ends the scenario, whatever the prefix.

// refusal is a no from what is tested: an error of the service, a connection
// that failed, a port that is taken, or text that does not match.
type refusal struct{ err error }

func (e *refusal) Error() string {
	var h *hcn.Error
	if errors.As(e.err, &h) {
		// The full code first: names and texts differ between tools.
		return fmt.Sprintf("0x%08X %s", uint32(h.Code), e.err)
	}
	return e.err.Error()
}

func (e *refusal) Unwrap() error { return e.err }

// outcomeError is a stimulus that did not succeed.
type outcomeError struct{ msg string }

func (e *outcomeError) Error() string { return e.msg }

// mismatch is an expectation that does not hold.
type mismatch struct{ Failure *Failure }

func (e *mismatch) Error() string {
	return fmt.Sprintf("expected %s, received %s", e.Failure.Expected, e.Failure.Received)
}

// scenarioError is a mistake of the scenario that only the run can show.
type scenarioError struct{ err error }

func (e *scenarioError) Error() string { return e.err.Error() }
func (e *scenarioError) Unwrap() error { return e.err }

// skipError ends the scenario as skipped.
type skipError struct{ reason string }

func (e *skipError) Error() string { return "skipped: " + e.reason }

// errStop ends the script early.
var errStop = errors.New("stopped")

// harness passes on an error of something that cannot be refused. A request
// that makes no sense to the backend is the scenario's mistake; one that it
// cannot carry out says nothing about it.
func (r *run) harness(err error) error {
	var usage *backends.UsageError
	var cannot *backends.UnsupportedError
	switch {
	case errors.As(err, &usage):
		return &scenarioError{err}
	case errors.As(err, &cannot):
		return &skipError{cannot.Msg}
	}
	return err
}

// refuse records a refusal for the words that ask about it.
func (r *run) refuse(err error) error {
	return &refusal{err}
}

// refusable passes on an error of something that the service may refuse.
func (r *run) refusable(err error) error {
	if err == nil {
		return nil
	}
	var h *hcn.Error
	if errors.As(err, &h) {
		r.refused = h
		return r.refuse(err)
	}
	var other *backends.RefusedError
	if errors.As(err, &other) {
		return r.refuse(err)
	}
	return r.harness(err)
}

// soft makes a failed comparison something that ! may stand before.
func (r *run) soft(m *mismatch) error { return &refusal{m} }

// hcn carries out a control-plane operation.
func (r *run) hcn(o backends.HCNOp) (backends.HCNResult, error) {
	res, err := r.world.HCN(r.ctx, o)
	return res, r.refusable(err)
}

// do carries out a stimulus.
func (r *run) do(s backends.Stimulus) (backends.Outcome, error) {
	if err := r.ctx.Err(); err != nil {
		return backends.Outcome{}, err // a series ends with the run's time
	}
	r.stimuli++
	out, err := r.world.Do(r.ctx, s)
	return out, r.harness(err)
}

// id is the id of a declared object.
func (r *run) id(who string) string { return r.scope.vars["id:"+who] }
