package reports

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
)

// SummarySchema names the version of the JSON summary.
const SummarySchema = "hnsim.summary/1"

// Summary is the JSON summary: one object, no wall-clock time in it, so that
// two runs with one seed give the same bytes.
type Summary struct {
	Schema string `json:"schema"`
	Totals
	Backend     string          `json:"backend"`
	Profile     string          `json:"profile"`
	HNSVersion  string          `json:"hnsVersion,omitempty"`
	OSBuild     int             `json:"osBuild,omitempty"`
	Seed        uint64          `json:"seed"`
	Shard       string          `json:"shard,omitempty"`
	EventHash   string          `json:"eventHash"`
	Complete    bool            `json:"complete"`
	Rates       Rates           `json:"rates"`
	SkipReasons []ReasonCount   `json:"skipReasons"`
	Results     []SummaryResult `json:"results"`
}

// Rates are both success rates, as fractions with four digits, because each
// alone misleads: of the scenarios that apply here, and of all selected.
type Rates struct {
	Applicable string `json:"ofApplicable"`
	All        string `json:"ofAll"`
}

// SummaryResult is one scenario in the JSON summary.
type SummaryResult struct {
	ID         string     `json:"id"`
	Status     Status     `json:"status"`
	Reason     string     `json:"reason"`
	Rules      []string   `json:"rules"`
	Confidence []string   `json:"confidence"`
	Area       string     `json:"area"`
	File       string     `json:"file"`
	Line       int        `json:"line"`
	VirtualNs  int64      `json:"virtualNs"`
	EventHash  string     `json:"eventHash,omitempty"`
	Repro      string     `json:"repro,omitempty"`
	Failure    *Failure   `json:"failure,omitempty"`
	Artefacts  []Artefact `json:"artefacts,omitempty"`
}

// Summarise derives the summary.
func Summarise(r *Report) Summary {
	t := r.Totals()
	s := Summary{
		Schema: SummarySchema, Totals: t,
		Backend: r.Run.Backend, Profile: r.Run.Profile,
		HNSVersion: r.Run.HNSVersion, OSBuild: r.Run.OSBuild,
		Seed: r.Run.Seed, Shard: r.Run.Shard, EventHash: r.EventHash,
		Complete:    r.Complete && !r.Interrupted,
		Rates:       Rates{rate(t.Passed, t.Selected-t.Skipped-t.NotRun), rate(t.Passed, t.Selected)},
		SkipReasons: r.SkipReasons(),
		Results:     []SummaryResult{},
	}
	for _, res := range r.Results {
		s.Results = append(s.Results, SummaryResult{
			ID: res.ID, Status: res.Status, Reason: res.Reason,
			Rules: nonNil(res.Rules), Confidence: nonNil(res.Confidence),
			Area: res.Area, File: res.File, Line: res.Line,
			VirtualNs: int64(res.Virtual), EventHash: res.EventHash,
			Repro: res.Repro, Failure: res.Failure, Artefacts: res.Artefacts,
		})
	}
	return s
}

// WriteSummary writes the JSON summary, indented, with a final newline.
func WriteSummary(w io.Writer, r *Report) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(Summarise(r)); err != nil {
		return fmt.Errorf("json summary: %w", err)
	}
	return nil
}

// rate is a/b with four digits; nothing of nothing is "0".
func rate(a, b int) string {
	if b == 0 {
		return "0"
	}
	return strconv.FormatFloat(float64(a)/float64(b), 'f', 4, 64)
}

func nonNil(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}
