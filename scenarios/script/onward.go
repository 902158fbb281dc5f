package script

import (
	"errors"
	"slices"
	"strings"

	rsc "rsc.io/script"

	"github.com/hnsim/hnsim/backends"
)

// With Options.Onward a scenario is driven by its acting words alone: checks
// are evaluated, because they save values that later lines use, but one that
// does not hold ends nothing. That is how two backends can be shown the same
// stimuli whatever each of them answers, and how a recording comes to hold the
// whole of a scenario that fails half-way.
//
// A run still ends early where going on would mean something else: an acting
// line that cannot be read (a check did not save what it needs), a request that
// makes no sense to the backend, trouble of the harness, a skip.

// Stop is the line that a run with Options.Onward could not get past.
type Stop struct {
	Line    int
	Command string
	Reason  string
}

// stumble is the first line of a run that did not hold.
type stumble struct {
	err     error
	cur     *line
	command string
	end     ending
}

// watching are requirements about what can be seen. What happens does not
// depend on them.
var watching = []string{
	"capability:" + string(backends.DropReasons),
	"capability:" + string(backends.PacketTrace),
	wiresNeeded,
}

// unmetBy is the reason why the backend cannot carry out the scenario, even if
// nobody looks.
func (e *environment) unmetByStimuli(sc *Scenario) string {
	driven := *sc
	driven.Requires = slices.DeleteFunc(slices.Clone(sc.Requires), func(req string) bool { return slices.Contains(watching, req) })
	return e.unmet(&driven)
}

// tolerant is the line as the engine shall see it: its end decides nothing.
func (l *line) tolerant() string {
	rest := strings.TrimSpace(l.text)
	var conds strings.Builder
	for strings.HasPrefix(rest, "[") {
		end := strings.IndexByte(rest, ']') + 1
		conds.WriteString(rest[:end] + " ")
		rest = strings.TrimSpace(rest[end:])
	}
	if l.negate {
		rest = strings.TrimSpace(strings.TrimPrefix(rest, "!"))
	}
	rest = strings.TrimSpace(strings.TrimPrefix(rest, "?")) // which lines may have, and not twice
	return conds.String() + "? " + rest
}

// onward notes how the current line ended and reports whether the run may go
// on.
func (r *run) onward(w *word, err error) (goOn bool) {
	var no *refusal
	var wrong *mismatch
	var bad *scenarioError
	soft := errors.As(err, &no) || errors.As(err, &wrong) || !w.acts && r.onlyLooked(err)
	switch {
	case err == nil && r.cur.negate:
		r.stumbled(rsc.ErrUnexpectedSuccess)
		return true
	case err == nil || errors.As(err, &no) && r.cur.negate || r.cur.maybe && (soft || errors.As(err, &bad)):
		return true
	case r.cur.maybe && mayFail(err):
		return true // as it may without looking on
	case soft:
		r.stumbled(err)
		return true
	}
	r.stop = &Stop{Line: r.cur.n, Command: r.command, Reason: err.Error()}
	var skip *skipError
	if errors.As(err, &skip) {
		r.stop.Reason = skip.reason
	}
	if errors.Is(err, errStop) {
		r.stop = nil
	}
	return false
}

// onlyLooked reports whether a line that does not act failed in a way that
// changes nothing for the lines behind it: it made no sense here, or the backend
// cannot show what it asks for.
func (r *run) onlyLooked(err error) bool {
	var bad *scenarioError
	var skip *skipError
	return errors.As(err, &bad) || errors.As(err, &skip) && r.cur.word == "show"
}

// stumbled keeps the first failure, with what explains it: that is what the
// scenario comes to.
func (r *run) stumbled(err error) {
	if r.first == nil {
		r.first = &stumble{err: err, cur: r.cur, command: r.command, end: ending{drops: r.drops(), trace: r.lastTrace()}}
	}
}
