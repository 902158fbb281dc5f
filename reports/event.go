package reports

import (
	"slices"
	"time"
)

// Schema names the version of the event log. It stands in the first line. A
// reader refuses a log of another major version, and ignores events and fields
// it does not know.
const Schema = "hnsim.events/1"

// Kind says what an event tells.
type Kind string

// The kinds, in the order in which they appear in a log.
const (
	RunStarted       Kind = "run.started"       // Schema, Run
	ScenarioStarted  Kind = "scenario.started"  // Scenario
	ScenarioFailed   Kind = "scenario.failed"   // Failure
	ScenarioSkipped  Kind = "scenario.skipped"  // Reason
	ArtefactWritten  Kind = "scenario.artefact" // Artefact
	ScenarioFinished Kind = "scenario.finished" // Outcome
	RunFinished      Kind = "run.finished"      // Summary of the run: Totals, EventHash, Interrupted
)

// Event is one line of the log. Only the fields of its kind are set. Fields
// keep this order in the file.
type Event struct {
	Schema      string    `json:"schema,omitempty"`
	Seq         int       `json:"seq"`
	Time        time.Time `json:"time,omitzero"` // wall clock, UTC; never part of a comparison
	Kind        Kind      `json:"event"`
	ID          string    `json:"id,omitempty"` // of the scenario
	Run         *RunInfo  `json:"run,omitempty"`
	Scenario    *Scenario `json:"scenario,omitempty"`
	Failure     *Failure  `json:"failure,omitempty"`
	Reason      string    `json:"reason,omitempty"`
	Artefact    *Artefact `json:"artefact,omitempty"`
	Outcome     *Outcome  `json:"outcome,omitempty"`
	Totals      *Totals   `json:"totals,omitempty"`
	EventHash   string    `json:"eventHash,omitempty"`
	Interrupted bool      `json:"interrupted,omitempty"`
}

// Sink takes events in order. Implementations are called from one goroutine.
type Sink interface {
	Event(Event)
}

// RunInfo is the configuration of a run: enough to repeat it and to know what
// was tested.
type RunInfo struct {
	Tool         string            `json:"tool"`
	Version      string            `json:"version,omitempty"`
	GoVersion    string            `json:"goVersion,omitempty"`
	OS           string            `json:"os,omitempty"`
	Arch         string            `json:"arch,omitempty"`
	Backend      string            `json:"backend"`
	Profile      string            `json:"profile"`
	HNSVersion   string            `json:"hnsVersion,omitempty"`
	OSBuild      int               `json:"osBuild,omitempty"`
	Seed         uint64            `json:"seed"`
	Shard        string            `json:"shard,omitempty"`
	Selectors    []string          `json:"selectors,omitempty"`
	Labels       string            `json:"labels,omitempty"`
	Skip         []string          `json:"skip,omitempty"`
	Knobs        map[string]string `json:"knobs,omitempty"`
	NoFlowCache  bool              `json:"noFlowCache,omitempty"`
	TimeScale    int               `json:"timeScale,omitempty"`
	Parallel     int               `json:"parallel,omitempty"`
	Expectations []ExpectFile      `json:"expectations,omitempty"`
	Selected     int               `json:"selected"`
	Catalogue    int               `json:"catalogue"` // scenarios there are in all
	Git          *Git              `json:"git,omitempty"`
}

// ExpectFile identifies an expectation file by content.
type ExpectFile struct {
	Path   string `json:"path"`
	SHA256 string `json:"sha256"`
}

// Git is the state of the source the program was built from, or of the
// directory it ran in.
type Git struct {
	Commit string `json:"commit"`
	Branch string `json:"branch,omitempty"`
	Dirty  bool   `json:"dirty,omitempty"`
}

// Scenario is what a report says of a scenario, whatever came of it.
type Scenario struct {
	ID          string   `json:"id"`
	Title       string   `json:"title,omitempty"`
	Area        string   `json:"area,omitempty"` // slash-separated
	Requirement string   `json:"requirement,omitempty"`
	Confidence  []string `json:"confidence,omitempty"` // of the rules: docs, src, issue, ...
	Rules       []string `json:"rules,omitempty"`
	Labels      []string `json:"labels,omitempty"`
	Requires    []string `json:"requires,omitempty"` // "capability:network.nat", "feature:DSR"
	File        string   `json:"file,omitempty"`
	Line        int      `json:"line,omitempty"`
}

// Status is the result of one scenario, expectations applied.
type Status string

// The statuses. Failed, XPass and Error are unexpected; the others are not.
const (
	Passed  Status = "passed"
	Failed  Status = "failed"  // an assertion did not hold
	Skipped Status = "skipped" // not applicable here; Reason says why
	XFail   Status = "xfail"   // failed, and was expected to
	XPass   Status = "xpass"   // passed, but was expected to fail
	Flaky   Status = "flaky"   // failed, declared flaky: reported, decides nothing
	Error   Status = "error"   // could not be tested: harness or backend
	NotRun  Status = "notrun"  // the run ended before its turn
)

var statuses = []Status{Passed, Failed, Skipped, XFail, XPass, Flaky, Error, NotRun}

// Statuses lists all statuses in the order in which reports show them.
func Statuses() []Status { return slices.Clone(statuses) }

// Unexpected reports whether s makes a run red.
func (s Status) Unexpected() bool { return s == Failed || s == XPass || s == Error }

// Executed reports whether s is the result of really running the scenario.
func (s Status) Executed() bool { return s != Skipped && s != NotRun }

// Outcome is what came of a scenario.
type Outcome struct {
	Status      Status        `json:"status"`
	Reason      string        `json:"reason,omitempty"` // mandatory unless passed
	Expectation *Expectation  `json:"expectation,omitempty"`
	Wall        time.Duration `json:"wallNs,omitempty"`
	Virtual     time.Duration `json:"virtualNs,omitempty"`
	EventHash   string        `json:"eventHash,omitempty"`
	Repro       string        `json:"repro,omitempty"`
	// Measured is how long the control plane took, in nanoseconds, by what was
	// waited for; of backends that wait.
	Measured map[string]time.Duration `json:"measuredNs,omitempty"`
}

// Expectation is the line of an expectation file that applied.
type Expectation struct {
	Kind   string `json:"kind"` // fail, flaky, skip
	Issue  string `json:"issue,omitempty"`
	Reason string `json:"reason,omitempty"`
	Until  string `json:"until,omitempty"`
	File   string `json:"file"`
	Line   int    `json:"line"`
}

// Failure explains an assertion that did not hold or a harness error.
type Failure struct {
	Message  string       `json:"message"`
	Harness  bool         `json:"harness,omitempty"` // nothing was learnt about the thing under test
	File     string       `json:"file,omitempty"`
	Line     int          `json:"line,omitempty"`
	Expected string       `json:"expected,omitempty"`
	Received string       `json:"received,omitempty"`
	Script   []SourceLine `json:"script,omitempty"` // lines around the failure
	Closest  *Closest     `json:"closest,omitempty"`
	Trace    []string     `json:"trace,omitempty"` // walk of the missing packet
	Drops    []string     `json:"drops,omitempty"` // what was dropped since the last stimulus
	Detail   string       `json:"detail,omitempty"`
}

// SourceLine is one line of a scenario. Mark is "ok", "FAILED" or empty.
type SourceLine struct {
	Line int    `json:"line"`
	Text string `json:"text"`
	Mark string `json:"mark,omitempty"`
}

// Closest compares the packet that came nearest with the one wanted.
type Closest struct {
	Where  string      `json:"where,omitempty"`
	Packet string      `json:"packet,omitempty"` // one-line description
	Fields []FieldDiff `json:"fields,omitempty"` // those that differ first
}

// FieldDiff is one field of a packet as wanted and as received.
type FieldDiff struct {
	Field string `json:"field"`
	Want  string `json:"want"`
	Got   string `json:"got"`
	Same  bool   `json:"same,omitempty"`
}

// Artefact is a file that belongs to a scenario. Path is relative to the
// output directory, with slashes.
type Artefact struct {
	Kind string `json:"kind"` // trace, pcapng, dump, script log
	Path string `json:"path"`
}

// Result is all about one scenario.
type Result struct {
	Scenario
	Outcome
	Failure   *Failure
	Artefacts []Artefact
}

// Totals counts results by status.
type Totals struct {
	Selected int `json:"selected"`
	Passed   int `json:"passed"`
	Failed   int `json:"failed"`
	Skipped  int `json:"skipped"`
	XFail    int `json:"xfail"`
	XPass    int `json:"xpass"`
	Flaky    int `json:"flaky"`
	Errors   int `json:"errors"`
	NotRun   int `json:"notRun"`
}

// Add counts one more result.
func (t *Totals) Add(s Status) {
	t.Selected++
	switch s {
	case Passed:
		t.Passed++
	case Failed:
		t.Failed++
	case Skipped:
		t.Skipped++
	case XFail:
		t.XFail++
	case XPass:
		t.XPass++
	case Flaky:
		t.Flaky++
	case Error:
		t.Errors++
	case NotRun:
		t.NotRun++
	}
}

// Executed counts the scenarios that really ran to a verdict about the thing
// under test.
func (t Totals) Executed() int {
	return t.Passed + t.Failed + t.XFail + t.XPass + t.Flaky
}

// Green reports whether nothing unexpected happened.
func (t Totals) Green() bool { return t.Failed == 0 && t.XPass == 0 && t.Errors == 0 }
