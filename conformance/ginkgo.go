package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/types"

	"github.com/hnsim/hnsim/reports"
)

// Register makes Ginkgo specs of the scenarios that cfg selects, one container
// per area, labelled as `hnsim list` shows them. Call it while the spec tree is
// built:
//
//	var _ = conformance.Register(conformance.Config{Backend: mine, Profile: "ws2022"})
//
// A scenario that fails although it is expected to, a flaky one that fails and
// one that does not apply are skipped with the reason; one that passes
// unexpectedly fails. When cfg.Out is set, the reports of package reports are
// written there after the suite; trouble in doing so is printed and does not
// change the suite's result.
//
// A configuration that makes no sense panics: there is no spec yet that could
// fail, and a suite that silently tests nothing is worse. Parallel and
// StopOnFail are Ginkgo's business (ginkgo -p, --fail-fast) and are ignored.
func Register(cfg Config) bool {
	r, err := NewRunner(cfg)
	if err != nil {
		panic("conformance.Register: " + err.Error())
	}
	register(r, func(reports.Result) {})
	return true
}

// register is Register with a watcher of results.
func register(r *Runner, watch func(reports.Result)) {
	var mu sync.Mutex
	results := map[string]reports.Result{}
	area := ""
	var group []*Spec
	flush := func() {
		if len(group) == 0 {
			return
		}
		specs := group
		ginkgo.Describe(specs[0].Area, func() {
			for _, s := range specs {
				defineSpec(r, s, func(res reports.Result) {
					mu.Lock()
					defer mu.Unlock()
					results[s.ID] = res
					watch(res)
				})
			}
		})
		group = nil
	}
	for _, s := range r.specs {
		if s.Area != area {
			flush()
			area = s.Area
		}
		group = append(group, s)
	}
	flush()
	if r.cfg.Out != "" {
		ginkgo.ReportAfterSuite("hnsim reports", func(ginkgo.Report) {
			if err := r.writeSuite(results); err != nil {
				fmt.Fprintln(os.Stderr, "hnsim: the reports are incomplete:", err)
			}
		})
	}
}

// defineSpec makes the It of one scenario, located at its file.
func defineSpec(r *Runner, s *Spec, watch func(reports.Result)) {
	text := s.ID
	if s.Title != "" {
		text += ": " + s.Title
	}
	labels := ginkgo.Label(s.Labels...)
	where := types.CodeLocation{FileName: s.File, LineNumber: s.Line}
	ginkgo.It(text, labels, where, ginkgo.SpecTimeout(r.cfg.Timeout+2*grace), func(ctx ginkgo.SpecContext) {
		res := r.RunSpec(ctx, s)
		watch(res)
		conclude(&res, where)
	})
}

// conclude says a result in Ginkgo's words.
func conclude(res *reports.Result, where types.CodeLocation) {
	// For machines: a failure's text says it all to people.
	ginkgo.AddReportEntry("hnsim", *res, ginkgo.ReportEntryVisibilityNever, where)
	switch res.Status {
	case reports.Passed:
	case reports.Failed, reports.XPass, reports.Error:
		ginkgo.Fail(res.Reason + "\n\n" + failureText(res))
	case reports.XFail:
		ginkgo.Skip("expected failure: " + res.Reason)
	case reports.Flaky:
		ginkgo.Skip("known flaky, failed: " + res.Reason)
	case reports.NotRun:
		ginkgo.Skip("not run: " + res.Reason)
	default:
		ginkgo.Skip(res.Reason)
	}
}

func failureText(res *reports.Result) string {
	var b strings.Builder
	(&reports.TextWriter{W: &b, Width: 100}).Failure(res)
	return b.String()
}

// writeSuite writes the reports of a Ginkgo run in the order of the runner,
// whatever order Ginkgo chose.
func (r *Runner) writeSuite(results map[string]reports.Result) error {
	if err := os.MkdirAll(r.cfg.Out, 0o755); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(r.cfg.Out, reports.LogFile))
	if err != nil {
		return err
	}
	defer f.Close()
	log := reports.NewLogWriter(f, r.cfg.Now)
	var collector reports.Collector
	em := emitter{reports.Sinks{&collector, log}}
	em.event(reports.Event{Kind: reports.RunStarted, Time: r.cfg.Now(), Run: &r.info})
	for i, s := range r.specs {
		e := r.notRun(i, "left out by Ginkgo's own filters")
		if res, ok := results[s.ID]; ok {
			e = &execution{res: res}
		}
		em.result(e)
	}
	rep := collector.Report()
	totals := rep.Totals()
	em.event(reports.Event{Kind: reports.RunFinished, Time: r.cfg.Now(), Totals: &totals, EventHash: totalHash(rep.Results)})
	if log.Err() != nil {
		return log.Err()
	}
	_, err = reports.WriteFiles(r.cfg.Out, collector.Report())
	return err
}
