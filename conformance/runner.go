package conformance

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"sync"
	"time"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/reports"
)

// Runner is a checked configuration with its selection. It is immutable: Run
// and RunSpec may be called any number of times, concurrently.
type Runner struct {
	cfg       Config
	catalogue []*Spec // all there are
	specs     []*Spec // those to run, in order
	expect    map[*Spec]*Expectation
	info      reports.RunInfo
}

// Specs are the selected scenarios in the order in which they are reported.
func (r *Runner) Specs() []*Spec { return slices.Clone(r.specs) }

// Info is the header of the report.
func (r *Runner) Info() reports.RunInfo { return r.info }

// Observer watches a run. Both are called from the goroutine that called Run.
type Observer struct {
	Sink reports.Sink          // events, in the order of Specs; may be nil
	Done func(reports.Outcome) // each result as it arrives, in any order; may be nil
}

// interrupted is the reason of scenarios that a signal or deadline kept from
// running.
const interrupted = "interrupted"

// execution is the result of one scenario and when it began.
type execution struct {
	i       int
	started time.Time
	res     reports.Result
}

// Run runs the selection with parallel workers. Events leave in the order of
// Specs, whatever the order of completion, so that two runs have the same
// log. When ctx ends, what has not finished counts as not run and the report
// says that it is partial; a report is always returned.
func (r *Runner) Run(ctx context.Context, obs Observer) *reports.Report {
	var collector reports.Collector
	em := emitter{sink: reports.Sinks{&collector}}
	if obs.Sink != nil {
		em.sink = append(em.sink, obs.Sink)
	}
	em.event(reports.Event{Kind: reports.RunStarted, Time: r.cfg.Now(), Run: &r.info})

	workCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	ready := make([]*execution, len(r.specs))
	at, stopped := 0, ""
	for e := range r.work(workCtx) {
		ready[e.i] = &e
		if obs.Done != nil {
			obs.Done(e.res.Outcome)
		}
		for stopped == "" && at < len(ready) && ready[at] != nil {
			em.result(ready[at])
			if why := r.stops(&ready[at].res); why != "" {
				stopped = why
				cancel()
			}
			at++
		}
	}
	for ; at < len(ready); at++ {
		e := ready[at]
		switch {
		case stopped != "":
			e = r.notRun(at, stopped)
		case e == nil:
			e = r.notRun(at, interrupted)
		}
		em.result(e)
	}
	rep := collector.Report()
	totals := rep.Totals()
	em.event(reports.Event{Kind: reports.RunFinished, Time: r.cfg.Now(), Totals: &totals,
		EventHash: totalHash(rep.Results), Interrupted: ctx.Err() != nil})
	return collector.Report()
}

// stops says why nothing may run after a result, or "".
func (r *Runner) stops(res *reports.Result) string {
	if res.Status == reports.Error {
		if lost := backends.Lost(r.cfg.Backend); lost != nil {
			return "not run: " + lost.Error()
		}
	}
	if r.cfg.StopOnFail && res.Status.Unexpected() {
		return "stopped after " + res.ID
	}
	return ""
}

// work hands the scenarios to the workers and returns what they make of them.
// The channel is closed when all workers have ended; the caller must read to
// its end.
func (r *Runner) work(ctx context.Context) <-chan execution {
	next, out := make(chan int), make(chan execution)
	go func() {
		defer close(next)
		for i := range r.specs {
			select {
			case next <- i:
			case <-ctx.Done():
				return
			}
		}
	}()
	var workers sync.WaitGroup
	for range min(r.cfg.Parallel, len(r.specs)) {
		workers.Go(func() {
			for i := range next {
				started := r.cfg.Now()
				out <- execution{i, started, r.RunSpec(ctx, r.specs[i])}
			}
		})
	}
	go func() {
		workers.Wait()
		close(out)
	}()
	return out
}

func (r *Runner) notRun(i int, why string) *execution {
	return &execution{i: i, res: reports.Result{
		Scenario: r.specs[i].Scenario,
		Outcome:  reports.Outcome{Status: reports.NotRun, Reason: why},
	}}
}

// emitter turns results into events.
type emitter struct{ sink reports.Sinks }

func (em *emitter) event(e reports.Event) { em.sink.Event(e) }

func (em *emitter) result(e *execution) {
	res, id := &e.res, e.res.ID
	em.event(reports.Event{Kind: reports.ScenarioStarted, Time: e.started, ID: id, Scenario: &res.Scenario})
	ended := e.started
	if !ended.IsZero() {
		ended = ended.Add(res.Wall)
	}
	if res.Failure != nil {
		em.event(reports.Event{Kind: reports.ScenarioFailed, Time: ended, ID: id, Failure: res.Failure})
	}
	if res.Status == reports.Skipped {
		em.event(reports.Event{Kind: reports.ScenarioSkipped, Time: ended, ID: id, Reason: res.Reason})
	}
	for i := range res.Artefacts {
		em.event(reports.Event{Kind: reports.ArtefactWritten, Time: ended, ID: id, Artefact: &res.Artefacts[i]})
	}
	em.event(reports.Event{Kind: reports.ScenarioFinished, Time: ended, ID: id, Outcome: &res.Outcome})
}

// totalHash condenses the event hashes of all scenarios that ran, in the order
// of ids: the order of completion and the selection of workers cannot show.
func totalHash(results []reports.Result) string {
	var lines []string
	for _, res := range results {
		if res.EventHash != "" {
			lines = append(lines, res.ID+" "+res.EventHash+"\n")
		}
	}
	if len(lines) == 0 {
		return ""
	}
	slices.Sort(lines)
	h := sha256.New()
	for _, l := range lines {
		h.Write([]byte(l))
	}
	return hex.EncodeToString(h.Sum(nil))[:32]
}
