package conformance

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/reports"
	"github.com/hnsim/hnsim/scenarios/script"
)

// grace is how long a scenario whose time is up may take to notice. A world
// that never ends an event keeps its goroutine; the run goes on without it.
const grace = 2 * time.Second

// RunSpec runs one scenario, applies what is expected of it, and writes its
// artefacts. It may be called concurrently.
func (r *Runner) RunSpec(ctx context.Context, s *Spec) reports.Result {
	res := reports.Result{Scenario: s.Scenario}
	exp := r.expect[s]
	res.Expectation = expectationOf(exp)
	switch {
	case ctx.Err() != nil:
		res.Outcome = reports.Outcome{Status: reports.NotRun, Reason: interrupted}
		return res
	case exp != nil && exp.Kind == ExpectSkip:
		res.Outcome = reports.Outcome{Status: reports.Skipped, Reason: exp.Reason, Expectation: res.Expectation}
		return res
	}
	start := r.cfg.Now()
	raw := r.run(ctx, s, exp)
	res.Wall = r.cfg.Now().Sub(start)
	if ctx.Err() != nil && raw.Status == script.Error {
		// What a cancelled run reports says nothing about the scenario.
		res.Status, res.Reason = reports.NotRun, interrupted
		return res
	}
	res.Virtual, res.EventHash, res.Measured = raw.Virtual, raw.EventHash, raw.Measured
	res.Status, res.Reason = judge(raw, exp)
	if res.Status != reports.Passed && res.Status != reports.Skipped && res.Status != reports.XPass {
		res.Failure = failureOf(raw, s)
	}
	if res.Status.Unexpected() {
		res.Repro = r.repro(s)
	}
	if res.Status.Unexpected() || r.cfg.Keep && res.Status.Executed() {
		r.writeArtefacts(&res, raw)
	}
	return res
}

// run is one result from one or two runs: a second one checks determinism, or
// explains a failure.
func (r *Runner) run(ctx context.Context, s *Spec, exp *Expectation) *script.Result {
	opt := script.Options{
		Seed: r.cfg.Seed, Profile: r.cfg.Profile, Knobs: r.cfg.Knobs, NoFlowCache: r.cfg.NoFlowCache, TimeScale: r.cfg.TimeScale, Programs: r.cfg.Programs,
		Keep: r.cfg.Keep, Update: r.cfg.Update && s.External, Tracing: r.cfg.Keep, Onward: r.cfg.Onward,
	}
	raw := r.attempt(ctx, s, opt)
	if r.cfg.CheckDeterminism && (raw.Status == script.Passed || raw.Status == script.Failed) && ctx.Err() == nil {
		if again := r.attempt(ctx, s, opt); again.EventHash != raw.EventHash || again.Status != raw.Status {
			return nondeterminism(raw, again)
		}
	}
	if r.comparesFlowTable(s) && raw.Status == script.Passed && ctx.Err() == nil {
		if other := r.flowTableDiffers(ctx, s, raw, opt); other != nil {
			return other
		}
	}
	if raw.Status == script.Failed && exp == nil && !opt.Tracing && r.canRetrace() && ctx.Err() == nil {
		opt.Tracing, opt.Update = true, false
		return explain(raw, r.attempt(ctx, s, opt))
	}
	if opt.Update && raw.Rewritten != nil && raw.Status == script.Passed {
		if err := replaceFile(s.File, raw.Rewritten); err != nil {
			return &script.Result{ID: raw.ID, Status: script.Error, Reason: err.Error()}
		}
	}
	return raw
}

// canRetrace reports whether running a scenario again shows the same: worlds
// on virtual time are deterministic. Tracing is off in the first run, because
// what is tested should be what people use.
func (r *Runner) canRetrace() bool {
	caps := r.cfg.Backend.Capabilities()
	return slices.Contains(caps, backends.PacketTrace) && slices.Contains(caps, backends.VirtualTime)
}

// attempt runs the scenario once, within the time allowed. Panics and runs
// without end become harness errors: one scenario must not take the others
// with it.
func (r *Runner) attempt(ctx context.Context, s *Spec, opt script.Options) *script.Result {
	runCtx, cancel := context.WithTimeout(ctx, r.timeOf(s))
	defer cancel()
	out := make(chan *script.Result, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				out <- harnessError(s, fmt.Sprintf("panic: %v", p), string(debug.Stack()))
			}
		}()
		out <- r.cfg.exec(runCtx, s.script, r.cfg.Backend, opt)
	}()
	var late <-chan time.Time
	done := runCtx.Done()
	for {
		select {
		case raw := <-out:
			if raw.Status == script.Error && runCtx.Err() != nil && ctx.Err() == nil {
				return harnessError(s, r.timedOut(s), raw.Reason)
			}
			return raw
		case <-done:
			done, late = nil, time.After(grace)
		case <-late:
			return harnessError(s, r.timedOut(s), "it did not react to the end of its context and was left behind")
		}
	}
}

// timeOf is what a scenario may take: programs bring their own time.
func (r *Runner) timeOf(s *Spec) time.Duration {
	if s.script == nil {
		return r.cfg.Timeout
	}
	return r.cfg.Timeout + s.script.ProgramTime
}

func (r *Runner) timedOut(s *Spec) string {
	return fmt.Sprintf("did not finish within %v (--timeout)", r.timeOf(s))
}

func harnessError(s *Spec, reason, detail string) *script.Result {
	return &script.Result{ID: s.Base, Status: script.Error, Reason: reason, Log: detail,
		Failure: &script.Failure{Message: detail}}
}

// nondeterminism is a failure of its own: nothing that the two runs said can
// be trusted.
func nondeterminism(a, b *script.Result) *script.Result {
	out := *a
	out.Status = script.Failed
	out.Reason = "two runs with one seed went differently"
	out.Failure = &script.Failure{
		Expected: fmt.Sprintf("%s, event hash %s, as in the first run", a.Status, a.EventHash),
		Received: fmt.Sprintf("%s, event hash %s, in the second run", b.Status, b.EventHash),
		Message:  firstDifference(a.Log, b.Log),
	}
	return &out
}

// explain prefers the traced run of a failure, if it went the same way.
func explain(plain, traced *script.Result) *script.Result {
	if traced.Status == plain.Status && traced.EventHash == plain.EventHash && traced.Failure != nil {
		return traced
	}
	out := *plain
	f := script.Failure{}
	if plain.Failure != nil {
		f = *plain.Failure
	}
	f.Trace = append(slices.Clone(f.Trace), fmt.Sprintf(
		"(a second run with tracing went differently: %s, event hash %s; either the backend is not deterministic or tracing changes what it does)",
		traced.Status, traced.EventHash))
	out.Failure = &f
	return &out
}

// firstDifference shows the first line that two logs do not share.
func firstDifference(a, b string) string {
	as, bs := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := 0; i < len(as) || i < len(bs); i++ {
		x, y := lineAt(as, i), lineAt(bs, i)
		if x != y {
			return fmt.Sprintf("first difference in line %d of the log\n  first run:  %s\n  second run: %s", i+1, x, y)
		}
	}
	return "the logs are equal; the difference is in what the world saw"
}

func lineAt(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "(ended)"
}

// judge applies the expectation to what came out. A skip or harness error is
// not the failure that was expected: it stays what it is.
func judge(raw *script.Result, exp *Expectation) (reports.Status, string) {
	switch raw.Status {
	case script.Skipped:
		if strings.TrimSpace(raw.Reason) == "" {
			return reports.Error, "skipped without a reason"
		}
		return reports.Skipped, raw.Reason
	case script.Passed:
		if exp != nil && exp.Kind == ExpectFail {
			return reports.XPass, fmt.Sprintf("passed, but %s:%d expects it to fail (%s): remove the line", exp.File, exp.Line, exp.Why())
		}
		return reports.Passed, ""
	case script.Failed:
		if exp == nil {
			return reports.Failed, raw.Reason
		}
		status := reports.XFail
		if exp.Kind == ExpectFlaky {
			status = reports.Flaky
		}
		return status, exp.Why() + ": " + raw.Reason
	}
	if exp != nil && exp.Kind == ExpectFlaky {
		return reports.Flaky, exp.Why() + ": " + raw.Reason
	}
	if raw.Reason == "" {
		return reports.Error, fmt.Sprintf("the engine reported status %q without a reason", raw.Status)
	}
	return reports.Error, raw.Reason
}

func expectationOf(e *Expectation) *reports.Expectation {
	if e == nil {
		return nil
	}
	out := &reports.Expectation{Kind: string(e.Kind), Issue: e.Issue, Reason: e.Reason, File: e.File, Line: e.Line}
	if !e.Until.IsZero() {
		out.Until = e.Until.Format(time.DateOnly)
	}
	return out
}

// failureOf translates a failure of the script engine.
func failureOf(raw *script.Result, s *Spec) *reports.Failure {
	out := &reports.Failure{Message: raw.Reason, Harness: raw.Status == script.Error, File: s.File}
	f := raw.Failure
	if f == nil {
		return out
	}
	if f.File != "" && f.File != s.script.File {
		out.File = f.File
	}
	out.Line, out.Expected, out.Received = f.Line, f.Expected, f.Received
	out.Drops, out.Trace = f.Drops, f.Trace
	out.Script = excerpt(s.script.Source, f.Line, f.Command)
	if f.ClosestPacket != "" || len(f.Closest) > 0 {
		out.Closest = &reports.Closest{Packet: f.ClosestPacket}
		for _, d := range f.Closest {
			out.Closest.Fields = append(out.Closest.Fields, reports.FieldDiff{Field: d.Field, Want: d.Want, Got: d.Got, Same: d.Same})
		}
	}
	if f.Line == 0 {
		out.Detail = f.Message // harness trouble: everything there is to say
	}
	return out
}

// excerptBefore and excerptAfter are the lines shown around the one that
// failed.
const excerptBefore, excerptAfter = 4, 1

// excerpt shows the script around a line, with the command that failed as it
// was run, variables expanded.
func excerpt(source []byte, line int, command string) []reports.SourceLine {
	lines := strings.Split(string(source), "\n")
	if line < 1 || line > len(lines) {
		return nil
	}
	var out []reports.SourceLine
	for n := max(1, line-excerptBefore); n <= min(len(lines), line+excerptAfter); n++ {
		text := strings.TrimRight(lines[n-1], " \t\r")
		if strings.HasPrefix(text, "-- ") && n > line {
			break // the documents begin here
		}
		if text == "" {
			continue
		}
		l := reports.SourceLine{Line: n, Text: text}
		if n == line {
			l.Mark = "FAILED"
		}
		out = append(out, l)
		if n == line && command != "" && strings.TrimSpace(command) != strings.TrimSpace(text) {
			out = append(out, reports.SourceLine{Line: n, Text: "  = " + command})
		}
	}
	return out
}

// replaceFile writes a file in one step.
func replaceFile(name string, text []byte) error {
	dir := filepath.Dir(name)
	tmp, err := os.CreateTemp(dir, ".hnsim-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	if _, err := tmp.Write(text); err != nil {
		tmp.Close()
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), name)
}
