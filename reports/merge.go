package reports

import (
	"fmt"
	"io"
	"reflect"
	"slices"
	"time"
)

// Merge puts runs together that are parts of one: shards, or areas one after
// the other. They must be of the same program, backend, profile, seed and
// knobs. A scenario that several have counts with its worst result.
func Merge(all []*Report) (*Report, error) {
	if len(all) == 0 {
		return nil, fmt.Errorf("no results")
	}
	out := *all[0]
	out.Results = nil
	if len(all) > 1 {
		out.Run.Shard, out.EventHash = "", ""
	}
	at := map[string]int{}
	for i, r := range all {
		if err := sameRun(&all[0].Run, &r.Run); err != nil {
			return nil, fmt.Errorf("results %d and 1 are not of one run: %w", i+1, err)
		}
		if r.Started != "" && r.Started < out.Started {
			out.Started = r.Started
		}
		out.Complete = out.Complete && r.Complete
		out.Interrupted = out.Interrupted || r.Interrupted
		for _, res := range r.Results {
			k, ok := at[res.ID]
			switch {
			case !ok:
				at[res.ID] = len(out.Results)
				out.Results = append(out.Results, res)
			case worse(res.Status, out.Results[k].Status):
				out.Results[k] = res
			}
		}
	}
	out.Run.Selected = len(out.Results)
	return &out, nil
}

// badness orders statuses: what says more about trouble counts.
var badness = []Status{NotRun, Skipped, Passed, Flaky, XFail, XPass, Error, Failed}

func worse(a, b Status) bool { return slices.Index(badness, a) > slices.Index(badness, b) }

func sameRun(a, b *RunInfo) error {
	for _, f := range []struct {
		name string
		a, b any
	}{
		{"version", a.Version, b.Version}, {"backend", a.Backend, b.Backend}, {"profile", a.Profile, b.Profile},
		{"HNS", a.HNSVersion, b.HNSVersion}, {"build", a.OSBuild, b.OSBuild}, {"seed", a.Seed, b.Seed}, {"time scale", a.TimeScale, b.TimeScale},
		{"knobs", fmt.Sprint(a.Knobs), fmt.Sprint(b.Knobs)}, {"expectations", a.Expectations, b.Expectations},
	} {
		if !reflect.DeepEqual(f.a, f.b) {
			return fmt.Errorf("%s is %v in one and %v in the other", f.name, f.a, f.b)
		}
	}
	return nil
}

// WriteLog writes the events that make the report.
func (r *Report) WriteLog(w io.Writer) error {
	l := NewLogWriter(w, nil)
	begun, _ := time.Parse(time.RFC3339, r.Started) // none: the log has none
	l.Event(Event{Kind: RunStarted, Time: begun, Run: &r.Run})
	for i := range r.Results {
		res := &r.Results[i]
		l.Event(Event{Kind: ScenarioStarted, ID: res.ID, Scenario: &res.Scenario})
		if res.Failure != nil {
			l.Event(Event{Kind: ScenarioFailed, ID: res.ID, Failure: res.Failure})
		}
		if res.Status == Skipped {
			l.Event(Event{Kind: ScenarioSkipped, ID: res.ID, Reason: res.Reason})
		}
		for k := range res.Artefacts {
			l.Event(Event{Kind: ArtefactWritten, ID: res.ID, Artefact: &res.Artefacts[k]})
		}
		l.Event(Event{Kind: ScenarioFinished, ID: res.ID, Outcome: &res.Outcome})
	}
	if r.Complete {
		totals := r.Totals()
		l.Event(Event{Kind: RunFinished, Totals: &totals, EventHash: r.EventHash, Interrupted: r.Interrupted})
	}
	return l.Err()
}
