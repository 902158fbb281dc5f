package script

import (
	"time"

	"github.com/hnsim/hnsim/backends"
)

// Scenario is a parsed scenario file, or one variant of it. It is immutable;
// any number of goroutines may run it.
type Scenario struct {
	ID    string // "S-NAT-05"
	Title string
	// Area is the folder of the file, for suites the part of the product:
	// "nat", "overlay".
	Area string
	// File is the name that was given to Parse; for the embedded suite the
	// path below scenarios/, "nat/idle.txtar".
	File string
	// Rules are the contract rules that the scenario checks, Labels its
	// labels, both as written and without duplicates.
	Rules, Labels []string
	// Requires are the requirements of the requires lines and those that
	// follow from the words used ("capability:drops"), in a fixed order.
	Requires []string
	// Profiles restricts the scenario to build profiles; empty means all.
	Profiles []string
	// Knobs are the contract knobs that the scenario sets. Before Expand, a
	// value may name a variable of the matrix.
	Knobs map[string]string
	// FlowTable asks for a second run with the flow tables switched the other
	// way, in which everything that is seen must be the same (rule VFP-12). Lines
	// of such a scenario may begin with ?: they may succeed or not, alike in both.
	FlowTable bool
	// Requirement is the prose of the header: what must be so, and why.
	Requirement string
	// Variants are the combinations of the matrix line, in its order; empty
	// without one. A variant made by Expand has exactly one.
	Variants []Variant
	// ProgramTime is what its programs may take together, on the wall clock.
	ProgramTime time.Duration
	// Source is the file as it was read.
	Source []byte

	program *program
}

// FlowTableCheck is the value of the header line "checks:" that sets
// Scenario.FlowTable.
const FlowTableCheck = "flow-table"

// Variant is one combination of matrix values.
type Variant struct {
	Name   string // "proto=udp,mode=a"
	Values map[string]string
}

// Name is the id, and the variant if there is one: "S-NAT-05/proto=udp".
func (s *Scenario) Name() string {
	if s.expanded() {
		return s.ID + "/" + s.Variants[0].Name
	}
	return s.ID
}

func (s *Scenario) expanded() bool { return s.program != nil && s.program.variant != nil }

// Expand returns one scenario for every variant, or the scenario itself if it
// has no matrix or is a variant already.
func (s *Scenario) Expand() []*Scenario {
	if len(s.Variants) == 0 || s.expanded() {
		return []*Scenario{s}
	}
	out := make([]*Scenario, len(s.Variants))
	for i := range s.Variants {
		v := *s
		v.Variants = s.Variants[i : i+1 : i+1]
		p := *s.program
		p.variant = &v.Variants[0]
		v.program = &p
		v.Knobs = map[string]string{}
		for name, value := range s.Knobs {
			v.Knobs[name] = p.variant.expand(value)
		}
		out[i] = &v
	}
	return out
}

// Options parametrise a run. The zero value runs with seed 0 on the default
// profile.
type Options struct {
	Seed        uint64
	Profile     string            // build profile; empty: the default one
	Knobs       map[string]string // over those of the scenario
	NoFlowCache bool              // switch unified flow tables off (rule VFP-12)
	Tracing     bool              // record a stage trace of every packet
	TimeScale   int               // of backends.WorldConfig
	// Update makes cmp accept what it gets: Result.Rewritten is the file with
	// the golden text replaced.
	Update bool
	// Programs are folders in which exec looks for programs, after the
	// scenario's own.
	Programs []string
	// Keep leaves the world standing: nothing is torn down and leftovers are
	// not looked for. For people who want to look at a real host afterwards.
	Keep bool
	// Onward goes on behind checks that do not hold; the first of them is the
	// result. Requirements about what can be seen (drops, trace) do not keep
	// the scenario from being carried out; its result is then still Skipped.
	Onward bool
	// OnLine is called before each line that is carried out.
	OnLine func(Step)
}

// Step is a line that is about to be carried out.
type Step struct {
	Line    int    // 1-based, in the file
	Command string // the line, variables expanded
	Acts    bool   // it can make packets move; otherwise it looks or prints
}

// Status is the outcome of one run.
type Status string

const (
	Passed  Status = "passed"
	Failed  Status = "failed"  // the backend does not behave as the scenario says
	Skipped Status = "skipped" // Reason says why
	Error   Status = "error"   // could not be tested: bad scenario, harness or backend trouble
)

// Result is what one run of one scenario, or one variant, came to.
type Result struct {
	ID       string // of the scenario
	Variant  string // "proto=udp", or empty
	Status   Status
	Reason   string // one line for skipped, failed and error
	Rules    []string
	Duration time.Duration // on the wall
	Virtual  time.Duration // on the world's clock
	// EventHash condenses everything that happened; equal seeds give equal
	// hashes on deterministic backends. Empty if the backend has none.
	EventHash string
	Failure   *Failure // for Failed and Error, if a line of the script is to blame
	Stopped   *Stop    // with Options.Onward, if the script was not carried out to its end
	// Observations are all that the world saw, in order.
	Observations []backends.Observation
	Log          string // what the script did, line by line
	Metrics      map[string]int64
	// Measured are the world's own measurements, of those that have some.
	Measured  map[string]time.Duration
	Rewritten []byte // with Options.Update, if a golden text changed: the new file
}

// Name is the id with the variant.
func (r *Result) Name() string {
	if r.Variant == "" {
		return r.ID
	}
	return r.ID + "/" + r.Variant
}

// Failure is a line of a scenario that did not hold.
type Failure struct {
	File        string
	Line        int
	Command     string // the line, variables expanded
	Requirement string // the scenario's title, or its prose if it has any
	Expected    string // one line or a short text
	Received    string
	// Closest compares the expectation with the packet that came nearest to
	// it: the fields that were named, those that differ first.
	Closest []FieldDiff
	// ClosestPacket is that packet in one line, and ClosestFrame its bytes.
	ClosestPacket string
	ClosestFrame  []byte
	Trace         []string // stage by stage walk of the packet that went missing
	Drops         []string // what was dropped since the last stimulus
	Message       string   // the whole, as text
}

// FieldDiff is one field of a packet that was compared. It differs unless Same.
type FieldDiff struct {
	Field, Want, Got string
	Same             bool
}
