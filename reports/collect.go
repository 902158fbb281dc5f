package reports

import (
	"slices"
	"strings"
)

// Report is a run as its events tell it. Results are in the order in which the
// scenarios started.
type Report struct {
	Run         RunInfo
	Started     string // RFC 3339 UTC, from the first event; empty when unknown
	Results     []Result
	EventHash   string
	Complete    bool // the log has a run.finished
	Interrupted bool
}

// Totals counts the results.
func (r *Report) Totals() Totals {
	var t Totals
	for i := range r.Results {
		t.Add(r.Results[i].Status)
	}
	return t
}

// With returns the results that have one of the statuses, in order.
func (r *Report) With(want ...Status) []Result {
	var out []Result
	for _, res := range r.Results {
		if slices.Contains(want, res.Status) {
			out = append(out, res)
		}
	}
	return out
}

// ReasonCount is how often a reason was given.
type ReasonCount struct {
	Reason string `json:"reason"`
	Count  int    `json:"count"`
}

// SkipReasons groups the skipped scenarios by reason, the most frequent first,
// equal counts by text.
func (r *Report) SkipReasons() []ReasonCount {
	counts := map[string]int{}
	for _, res := range r.Results {
		if res.Status == Skipped || res.Status == NotRun {
			counts[res.Reason]++
		}
	}
	return byCount(counts)
}

// byCount puts the most frequent reason first, equal ones by their text.
func byCount(counts map[string]int) []ReasonCount {
	out := make([]ReasonCount, 0, len(counts))
	for reason, n := range counts {
		out = append(out, ReasonCount{reason, n})
	}
	slices.SortFunc(out, func(a, b ReasonCount) int {
		if a.Count != b.Count {
			return b.Count - a.Count
		}
		return strings.Compare(a.Reason, b.Reason)
	})
	return out
}

// Collector is a Sink that builds a Report. The zero value is ready.
type Collector struct {
	rep   Report
	index map[string]int // scenario id -> index of its result
}

// Event folds one event in. Events about a scenario that never started are
// kept too (a log may have lost its head): they start it.
func (c *Collector) Event(e Event) {
	if c.rep.Started == "" && !e.Time.IsZero() {
		c.rep.Started = e.Time.UTC().Format("2006-01-02T15:04:05Z")
	}
	switch e.Kind {
	case RunStarted:
		if e.Run != nil {
			c.rep.Run = *e.Run
		}
	case RunFinished:
		c.rep.Complete = true
		c.rep.EventHash = e.EventHash
		c.rep.Interrupted = e.Interrupted
	case ScenarioStarted, ScenarioFailed, ScenarioSkipped, ArtefactWritten, ScenarioFinished:
		c.scenario(e)
	}
}

func (c *Collector) scenario(e Event) {
	if e.ID == "" {
		return
	}
	res := c.result(e.ID)
	switch e.Kind {
	case ScenarioStarted:
		if e.Scenario != nil {
			res.Scenario = *e.Scenario
			res.Scenario.ID = e.ID
		}
	case ScenarioFailed:
		res.Failure = e.Failure
	case ScenarioSkipped:
		res.Reason = e.Reason
	case ArtefactWritten:
		if e.Artefact != nil {
			res.Artefacts = append(res.Artefacts, *e.Artefact)
		}
	case ScenarioFinished:
		if e.Outcome != nil {
			skip := res.Reason
			res.Outcome = *e.Outcome
			if res.Status == Skipped && res.Reason == "" {
				res.Reason = skip
			}
		}
	}
}

// result finds or makes the result of a scenario. Until it finishes, it
// counts as not run: a log that ends here must not look green.
func (c *Collector) result(id string) *Result {
	if c.index == nil {
		c.index = map[string]int{}
	}
	i, ok := c.index[id]
	if !ok {
		i = len(c.rep.Results)
		c.index[id] = i
		c.rep.Results = append(c.rep.Results, Result{
			Scenario: Scenario{ID: id},
			Outcome:  Outcome{Status: NotRun, Reason: "the log ends before its result"},
		})
	}
	return &c.rep.Results[i]
}

// Report returns what was collected so far. The slices are shared with the
// collector until the next event.
func (c *Collector) Report() *Report {
	r := c.rep
	return &r
}

// Sinks sends every event to each of several sinks, in order.
type Sinks []Sink

// Event implements Sink.
func (s Sinks) Event(e Event) {
	for _, sink := range s {
		sink.Event(e)
	}
}
