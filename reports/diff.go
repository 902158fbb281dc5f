package reports

import "encoding/json"

// DiffSchema names the version of a comparison in JSON.
const DiffSchema = "hnsim.diff/1"

// Verdict is what a comparison of one scenario came to.
type Verdict string

const (
	Agree         Verdict = "agree"
	Differ        Verdict = "differ"
	KnownDiffer   Verdict = "known"          // differs, and a line of an expectation file says why
	NotComparable Verdict = "not-comparable" // Reason says why
)

// Diff compares what two sides made of the same scenarios.
type Diff struct {
	Schema      string       `json:"schema"`
	Tool        string       `json:"tool"`
	Version     string       `json:"version,omitempty"`
	Left        DiffSide     `json:"left"`
	Right       DiffSide     `json:"right"`
	Totals      DiffTotals   `json:"totals"`
	Interrupted bool         `json:"interrupted,omitempty"`
	Normalised  []Normalised `json:"normalised"`           // over all scenarios, in a fixed order
	Strict      []string     `json:"strict,omitempty"`     // normalisations that were switched off
	Deviations  []Deviation  `json:"deviations,omitempty"` // lines of expectation files that hold here
	Scenarios   []Comparison `json:"scenarios"`
}

// DiffSide is one side of a comparison.
type DiffSide struct {
	Name        string            `json:"name"` // as on the command line
	Backend     string            `json:"backend"`
	Recorded    string            `json:"recorded,omitempty"` // of a recording: what it is of, and when it was made
	Profile     string            `json:"profile"`
	HNSVersion  string            `json:"hnsVersion,omitempty"`
	OSBuild     int               `json:"osBuild,omitempty"`
	Seed        uint64            `json:"seed"`
	Knobs       map[string]string `json:"knobs,omitempty"`
	NoFlowCache bool              `json:"noFlowCache,omitempty"`
	TimeScale   int               `json:"timeScale,omitempty"`
}

// DiffTotals counts scenarios by verdict.
type DiffTotals struct {
	Scenarios     int `json:"scenarios"`
	Agree         int `json:"agree"`
	Differ        int `json:"differ"`
	Known         int `json:"known"`
	NotComparable int `json:"notComparable"`
	Stale         int `json:"stale"` // deviations that no longer differ
}

// Normalised is a kind of difference that was looked away from.
type Normalised struct {
	Name    string `json:"name"`
	Meaning string `json:"meaning"`
	Count   int    `json:"count"` // how often it made different things equal
}

// Deviation is a line of an expectation file that holds for one of the sides.
type Deviation struct {
	Expectation
	Select  string   `json:"select"`
	Differ  []string `json:"differ,omitempty"` // scenarios that it explains
	Stale   bool     `json:"stale,omitempty"`  // all that it names were compared, and none differs
	Covered int      `json:"covered"`          // scenarios that it names
}

// Comparison is what became of one scenario.
type Comparison struct {
	Scenario
	Verdict     Verdict      `json:"verdict"`
	Reason      string       `json:"reason,omitempty"` // known: why; not comparable: why not
	Difference  *Difference  `json:"difference,omitempty"`
	Expectation *Expectation `json:"expectation,omitempty"`
	Lines       int          `json:"lines"`  // of the script that both carried out
	Calls       int          `json:"calls"`  // whose results were compared
	Frames      int          `json:"frames"` // pairs of frames that were found equal
	Normalised  []Normalised `json:"normalised,omitempty"`
}

// Difference is the first thing in a scenario in which the sides differ.
type Difference struct {
	At      string       `json:"at"` // file:line
	Line    int          `json:"line"`
	Command string       `json:"command"`         // the line, as carried out on the left
	Script  []SourceLine `json:"script"`          // lines around it
	Where   string       `json:"where"`           // "wire h1 tx, frame 2", "result of create network"
	What    string       `json:"what"`            // one sentence
	Left    string       `json:"left"`            // one line each: the frame or the answer
	Right   string       `json:"right"`           //
	Fields  []FieldPair  `json:"fields"`          // what was compared, in the order of the packet
	Notes   []string     `json:"notes,omitempty"` // drops on the other side, pairs that contradict
}

// State says what the comparison of a field came to.
type State string

const (
	FieldSame       State = "same"
	FieldNormalised State = "normalised"
	FieldDiffers    State = "differs"
)

// FieldPair is one field on both sides.
type FieldPair struct {
	Field string `json:"field"`
	Left  string `json:"left"`
	Right string `json:"right"`
	State State  `json:"state"`
	Note  string `json:"note,omitempty"` // normalisation, or why the pair contradicts
}

// Add counts one more verdict.
func (t *DiffTotals) Add(v Verdict) {
	t.Scenarios++
	switch v {
	case Agree:
		t.Agree++
	case Differ:
		t.Differ++
	case KnownDiffer:
		t.Known++
	case NotComparable:
		t.NotComparable++
	}
}

// Compared counts the scenarios about which something was learnt.
func (t DiffTotals) Compared() int { return t.Agree + t.Differ + t.Known }

// Encode writes a comparison as JSON. Two comparisons of the same things are
// equal byte for byte.
func (d *Diff) Encode() ([]byte, error) {
	b, err := json.MarshalIndent(d, "", "  ")
	return append(b, '\n'), err
}
