package script

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/tools/txtar"
	rsc "rsc.io/script"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/hcn"
)

// run is one execution of a scenario. It belongs to one goroutine.
type run struct {
	reasons []string // drop reasons of the backend
	ctx     context.Context
	sc      *Scenario
	opt     Options
	env     *environment
	world   backends.World
	scope   *scope
	state   *rsc.State

	cur     *line    // the line that runs
	command string   // its text with variables expanded
	next    int      // index of the next line
	ended   error    // why no further line runs, if not nil
	first   *stumble // with Options.Onward: the first line that did not hold
	stop    *Stop    // with Options.Onward: the line that could not be passed
	out     strings.Builder
	errOut  *string // what a program printed to stderr; nil: the refusal's text

	mark    int    // first observation of the current stimulus
	taken   []bool // observations that a check has taken
	checked bool   // a check ran since the last act
	sent    []uint64
	stimuli int64
	refused *hcn.Error // last refusal of the control plane
	links   map[string]*backends.Link
	golden  map[string]string // files that Update rewrites
	prog    programState
}

// closeTimeout is what tearing down may take after the run's own time is over.
const closeTimeout = 30 * time.Second

// Run executes a scenario without matrix, or one variant, against a fresh
// world of the backend. It always returns a result.
func Run(ctx context.Context, sc *Scenario, b backends.Backend, opt Options) (res *Result) {
	start := time.Now()
	res = &Result{ID: sc.ID, Rules: sc.Rules}
	defer func() { res.Duration = time.Since(start) }()
	defer func() {
		if v := recover(); v != nil {
			// A crash of a backend must not take the other scenarios with it.
			res.Status, res.Reason = Error, fmt.Sprintf("panic: %v", v)
			res.Log += string(debug.Stack())
		}
	}()
	if sc.expanded() {
		res.Variant = sc.Variants[0].Name
	} else if len(sc.Variants) > 0 {
		res.Status, res.Reason = Error, "the scenario has variants: run those that Expand returns"
		return res
	}
	env, err := newEnvironment(sc, b, opt)
	if err != nil {
		res.Status, res.Reason = Error, err.Error()
		return res
	}
	if by, ok := b.(backends.ByScenario); ok {
		b = by.ForScenario(sc.Name())
	}
	unmet := env.unmet(sc)
	if unmet != "" && (!opt.Onward || env.unmetByStimuli(sc) != "") {
		res.Status, res.Reason = Skipped, unmet
		return res
	}
	knobs := map[string]string{}
	for _, m := range []map[string]string{sc.Knobs, opt.Knobs} {
		for k, v := range m {
			knobs[k] = v
		}
	}
	world, err := b.Open(ctx, backends.WorldConfig{Seed: opt.Seed, Profile: env.profile.Name, Knobs: knobs,
		NoFlowCache: opt.NoFlowCache, Tracing: opt.Tracing || sc.usesWord("trace"), TimeScale: opt.TimeScale})
	if err != nil {
		res.Status, res.Reason = noWorld(err)
		return res
	}
	var reasons []string
	if n, ok := b.(backends.DropNamer); ok {
		reasons = n.DropNames()
	}
	r := &run{reasons: reasons, ctx: ctx, sc: sc, opt: opt, env: env, world: world, links: map[string]*backends.Link{}, golden: map[string]string{}}
	r.execute(res)
	if unmet != "" {
		// What came of it can be looked at, but it is no verdict.
		res.Status, res.Reason, res.Failure = Skipped, unmet, nil
	}
	return res
}

// noWorld is the result of a backend that made no world.
func noWorld(err error) (Status, string) {
	var unknown *backends.UnansweredError
	var cannot *backends.UnsupportedError
	switch {
	case errors.As(err, &unknown):
		return Skipped, unknown.Error()
	case errors.As(err, &cannot):
		return Skipped, cannot.Error()
	}
	return Error, "no world: " + err.Error()
}

func (s *Scenario) usesWord(name string) bool {
	for _, l := range s.program.lines {
		if l.word == name {
			return true
		}
	}
	return false
}

// execute runs the script, looks at what must hold at the end of every
// scenario, and closes the world.
func (r *run) execute(res *Result) {
	closed := false
	defer r.prog.clean()
	defer func() {
		if !closed && !r.opt.Keep { // a panic is on its way
			r.close()
		}
	}()
	r.scope = newScope(r.sc.program.files)
	r.scope.reasons = r.reasons
	for name, value := range r.env.variant {
		r.scope.vars[name] = value
	}
	var log strings.Builder
	err := r.preparePrograms()
	if err == nil {
		err = r.script(&log)
	}
	end := ending{drops: r.drops(), trace: r.lastTrace()}
	res.Stopped = r.stop
	if r.first != nil {
		err, end, r.cur, r.command = r.first.err, r.first.end, r.first.cur, r.first.command
	}
	if err == nil {
		if broken := r.world.Invariants(); len(broken) > 0 {
			r.cur = nil
			err = r.failure("invariants of the world to hold", strings.Join(broken, "; "))
		}
	}
	r.collect(res)
	closed = true
	if !r.opt.Keep {
		if left, cerr := r.close(); err == nil {
			err = r.leftovers(left, cerr)
		} else if cerr != nil {
			fmt.Fprintf(&log, "[closing the world: %v]\n", cerr)
		}
	}
	res.Log = log.String()
	r.judge(res, err, end)
}

func (r *run) close() ([]string, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), closeTimeout)
	defer cancel()
	return r.world.Close(ctx)
}

func (r *run) leftovers(left []string, err error) error {
	r.cur = nil
	switch {
	case err != nil:
		return fmt.Errorf("closing the world: %w", err)
	case len(left) > 0:
		return r.failure("nothing left behind after closing the world", strings.Join(left, "; "))
	}
	return nil
}

// script runs all lines on the engine. The engine reads one line at a time, so
// that the line being read last is the line that runs.
func (r *run) script(log io.Writer) error {
	state, err := rsc.NewState(r.ctx, ".", []string{})
	if err != nil {
		return err
	}
	r.state = state
	engine := &rsc.Engine{Cmds: map[string]rsc.Cmd{}, Conds: map[string]rsc.Cond{}}
	for _, w := range wordTable() {
		engine.Cmds[w.name] = r.engineCommand(w)
	}
	for _, kindOf := range conditionKinds {
		engine.Conds[kindOf] = rsc.PrefixCondition(kindOf, func(_ *rsc.State, suffix string) (bool, error) {
			return r.env.holds(kindOf, suffix)
		})
	}
	err = engine.Execute(state, r.sc.File, bufio.NewReaderSize((*lineReader)(r), maxLine+8), log)
	if cerr := state.CloseAndWait(log); err == nil && cerr != nil {
		err = cerr
	}
	switch {
	case errors.Is(r.ended, errStop):
		return nil
	case r.ended != nil:
		return r.ended
	}
	return err
}

// lineReader gives the engine the next line of the script, or the end once a
// line has ended the run.
type lineReader run

func (l *lineReader) Read(p []byte) (int, error) {
	r := (*run)(l)
	if r.ended != nil || r.next == len(r.sc.program.lines) {
		return 0, io.EOF
	}
	r.cur = r.sc.program.lines[r.next]
	r.next++
	if r.cur.word == "" {
		return copy(p, "\n"), nil
	}
	r.command = r.cur.text
	if r.opt.Onward {
		return copy(p, r.cur.tolerant()+"\n"), nil
	}
	return copy(p, r.cur.text+"\n"), nil
}

// engineCommand makes the engine's command for a word. It parses the current line
// again, now with the true values of variables, and runs it. The engine's own
// arguments are not used: they do not show what was quoted.
func (r *run) engineCommand(w *word) rsc.Cmd {
	return rsc.Command(rsc.CmdUsage{Summary: w.summary, Args: w.args}, func(*rsc.State, ...string) (rsc.WaitFunc, error) {
		r.scope.line = r.cur
		o, err := parseWord(w, r.cur, r.scope)
		if err != nil {
			err = &scenarioError{err}
		} else {
			r.command = r.expandedText()
			if r.opt.OnLine != nil {
				r.opt.OnLine(Step{Line: r.cur.n, Command: r.command, Acts: w.acts})
			}
			err = r.act(w, o)
		}
		r.after(w, err)
		if w.quiet {
			return nil, err
		}
		stdout, stderr := r.out.String(), ""
		if err != nil {
			stderr = err.Error() + "\n"
		}
		if r.errOut != nil {
			stderr = *r.errOut
		}
		return func(*rsc.State) (string, string, error) { return stdout, stderr, err }, nil
	})
}

// after notes whether the run ends with the current line.
func (r *run) after(w *word, err error) {
	var no *refusal
	switch {
	case r.opt.Onward:
		if !r.onward(w, err) {
			r.ended = err
		}
	case err != nil && r.cur.maybe && mayFail(err):
	case err != nil && !errors.As(err, &no):
		r.ended = err
	}
}

// mayFail reports whether a line with ? in front may end like this: refused,
// not as expected, or without sense where the lines before it came to nothing.
func mayFail(err error) bool {
	var no *refusal
	var wrong *mismatch
	var bad *scenarioError
	return errors.As(err, &no) || errors.As(err, &wrong) || errors.As(err, &bad)
}

func (r *run) act(w *word, o op) error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	if w.acts {
		r.begin()
	}
	if w.checks {
		r.checked = true
	}
	r.out.Reset()
	r.errOut = nil
	return o(r)
}

// expandedText is the current line for messages.
func (r *run) expandedText() string {
	return expandText(r.cur.text, func(name string, _ bool) (string, bool) { return r.scope.lookup(name) })
}

// collect takes from the world what the result keeps; afterwards it may close.
func (r *run) collect(res *Result) {
	res.Virtual = r.world.Now()
	res.EventHash = r.world.EventHash()
	res.Observations = append([]backends.Observation(nil), r.world.Observations()...)
	if m, ok := r.world.(backends.Measurer); ok {
		res.Measured = m.Measurements()
	}
	res.Metrics = map[string]int64{"stimuli": r.stimuli, "observations": int64(len(res.Observations))}
	for i := range res.Observations {
		res.Metrics[string(res.Observations[i].Kind)]++
	}
	if len(r.golden) == 0 {
		return
	}
	archive := txtar.Parse(r.sc.Source)
	for i := range archive.Files {
		if text, ok := r.golden[archive.Files[i].Name]; ok {
			archive.Files[i].Data = []byte(text)
		}
	}
	res.Rewritten = txtar.Format(archive)
}

// ending is what the world knew of the last stimulus before it closed.
type ending struct{ drops, trace []string }

// judge turns the way the run ended into a status.
func (r *run) judge(res *Result, err error, end ending) {
	var wrong *mismatch
	var no *refusal
	var skip *skipError
	var bad *scenarioError
	var unknown *backends.UnansweredError
	switch {
	case err == nil:
		res.Status = Passed
		return
	case errors.As(err, &unknown):
		res.Status, res.Reason = Skipped, unknown.Error()
		return
	case errors.As(err, &skip):
		res.Status, res.Reason = Skipped, skip.reason
		return
	case errors.As(err, &bad):
		res.Status = Error
		res.Failure = &Failure{Expected: "a line that makes sense here", Received: bad.Error()}
	case r.ctx.Err() != nil:
		res.Status, res.Reason = Error, "interrupted: "+r.ctx.Err().Error()
		return
	case errors.As(err, &wrong):
		res.Status, res.Failure = Failed, wrong.Failure
	case errors.Is(err, rsc.ErrUnexpectedSuccess):
		res.Status = Failed
		res.Failure = &Failure{Expected: "a refusal", Received: "success"}
	case errors.As(err, &no):
		res.Status = Failed
		res.Failure = &Failure{Expected: "success", Received: no.Error(), Drops: end.drops, Trace: end.trace}
	default:
		res.Status = Error
		res.Failure = &Failure{Expected: "a backend that works", Received: err.Error()}
	}
	f := res.Failure
	f.File, f.Command = r.sc.File, "the end of the scenario"
	if r.cur != nil {
		f.Line, f.Command = r.cur.n, r.command
	} else {
		f.Line = len(r.sc.program.lines)
	}
	f.Requirement = r.sc.Requirement
	if f.Requirement == "" {
		f.Requirement = r.sc.Title
	}
	f.Message = f.text()
	res.Reason = fmt.Sprintf("expected %s, received %s", f.Expected, f.Received)
}
