package contract

import (
	_ "embed"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
)

//go:embed dataplane.md
var dataplane string

//go:embed controlplane.md
var controlplane string

// Rule is one numbered statement of the contract, or a numbered section that
// can be cited as a whole.
type Rule struct {
	ID        string // "NAT-13", "D-04", "B-25", "step-1", "7.1", "A5a", "D.3-22"
	Section   string // id of the section it stands in; of a section, its own
	Statement string // Markdown; a section's is its title
	Source    string // sources and confidence as written; may be empty
	// Confidence are the labels in the order in which they are written: a rule
	// may be documented in one half and inferred in the other. Never empty.
	Confidence []string
	IsSection  bool
	File       string // "dataplane.md"
	Line       int
}

// Label is the rule's first confidence label: that of its main statement.
func (r *Rule) Label() string { return r.Confidence[0] }

// Proposal is a scenario that the contract asks for.
type Proposal struct {
	ID                           string // "S-NAT-05"
	Area                         string // title of its group: "nat"
	Topology, Stimulus, Expected string
	Rules                        []string // ids, expanded
	Line                         int      // in dataplane.md
}

// Title is the proposal in one line.
func (p *Proposal) Title() string { return p.Topology + ": " + p.Stimulus + ": " + p.Expected }

// Confidence labels with their meaning, strongest first.
var confidences = []struct{ name, meaning string }{
	{"spec", "normative published format or protocol"},
	{"test", "an integration test of hcsshim needs it"},
	{"docs", "documented by Microsoft, Kubernetes or flannel"},
	{"src", "public client source programs it so"},
	{"issue", "seen on a real host in a public thread"},
	{"recall", "well-known content of a public text, from memory"},
	{"inferred", "our deduction: a model default with a knob"},
}

// ConfidenceLabels lists the labels, strongest first.
func ConfidenceLabels() []string {
	var out []string
	for _, c := range confidences {
		out = append(out, c.name)
	}
	return out
}

// ConfidenceMeaning explains a label; it is empty for an unknown one.
func ConfidenceMeaning(label string) string {
	for _, c := range confidences {
		if c.name == label {
			return c.meaning
		}
	}
	return ""
}

type index struct {
	rules     []*Rule
	byID      map[string]*Rule
	proposals []*Proposal
	scenario  map[string]*Proposal
}

// load reads the embedded files. They are part of the program, so a
// contradiction in them is a programming mistake.
var load = sync.OnceValue(func() *index {
	x := &index{byID: map[string]*Rule{}, scenario: map[string]*Proposal{}}
	for _, f := range []struct{ name, text string }{{"dataplane.md", dataplane}, {"controlplane.md", controlplane}} {
		if err := x.add(f.name, f.text); err != nil {
			panic("contract: " + err.Error())
		}
	}
	return x
})

// Rules lists every rule in the order of the files, tables before the sections
// that hold them. The result is shared: do not change it.
func Rules() []*Rule { return load().rules }

// Lookup finds a rule by id, in any case; "step 1" is "step-1".
func Lookup(id string) (*Rule, bool) {
	r, ok := load().byID[fold(id)]
	return r, ok
}

// Scenarios lists the scenarios that the contract proposes, in its order. The
// result is shared: do not change it.
func Scenarios() []*Proposal { return load().proposals }

// LookupScenario finds a proposal by id, in any case.
func LookupScenario(id string) (*Proposal, bool) {
	p, ok := load().scenario[fold(id)]
	return p, ok
}

func fold(id string) string {
	return strings.ReplaceAll(strings.ToLower(strings.TrimSpace(id)), " ", "-")
}

var (
	ruleID     = regexp.MustCompile(`^([A-Z]+[0-9]*[A-Z]*-[0-9]+|[A-C][0-9]+[a-z]?)$`)
	scenarioID = regexp.MustCompile(`^S-[A-Z0-9]+-[0-9]+$`)
	citable    = regexp.MustCompile(`^[0-9A-G]\.[0-9]+$`) // sections that are cited as a whole
	label      = regexp.MustCompile(`\[([a-z]+)\]`)
)

func (x *index) add(file, text string) error {
	d := parseDocument(file, text)
	for _, r := range d.rows {
		if err := x.addRow(r); err != nil {
			return fmt.Errorf("%s:%d: %w", r.file, r.line, err)
		}
	}
	titles := map[string]string{}
	for _, s := range d.sections {
		titles[s.id] = s.title
		if !citable.MatchString(s.id) {
			continue
		}
		r := &Rule{ID: s.id, Section: s.id, Statement: s.title, IsSection: true, File: s.file, Line: s.line,
			Confidence: sectionLabels(s.text.String())}
		if err := x.addRule(r); err != nil {
			return fmt.Errorf("%s:%d: %w", s.file, s.line, err)
		}
	}
	if file != "dataplane.md" {
		return nil
	}
	for _, p := range x.proposals {
		p.Area = titles[p.Area]
		for _, id := range p.Rules {
			if _, ok := x.byID[fold(id)]; !ok {
				return fmt.Errorf("%s:%d: scenario %s cites %s, which is no rule", file, p.Line, p.ID, id)
			}
		}
	}
	return nil
}

// addRow recognises the tables that define something by their heads; others,
// such as the worked examples, are text.
func (x *index) addRow(r row) error {
	if len(r.cells) < 2 || len(r.header) < 2 {
		return nil
	}
	first := r.cells[0]
	rule := &Rule{ID: first, Section: r.section, Statement: r.cells[1], File: r.file, Line: r.line}
	switch {
	case scenarioID.MatchString(first) && len(r.cells) == 5:
		return x.addProposal(r)
	case r.header[0] == "Rule" && (r.header[1] == "Statement" || r.header[1] == "Detail") && ruleID.MatchString(first):
		rule.Source = r.cells[len(r.cells)-1]
		rule.Confidence = labels(rule.Source + " " + rule.Statement)
	case r.header[0] == "Id" && r.header[1] == "Topic":
		// The sources disagree, so what the model does is a choice.
		rule.Confidence = []string{"inferred"}
		rule.Source = strings.Join(r.cells[2:], "; ")
	case r.header[0] == "#" && r.header[1] == "Thread" && len(r.cells) > 2:
		rule.Statement, rule.Source = r.cells[2], r.cells[1]
		rule.Confidence = []string{"issue"}
	case r.header[0] == "#" && r.header[1] == "Condition":
		rule.ID = r.section + "-" + first
		rule.Statement = strings.Join(r.cells[1:len(r.cells)-1], ": ")
		rule.Source = r.cells[len(r.cells)-1]
		rule.Confidence = labels(rule.Source)
	case r.header[0] == "Step" && r.section == "1":
		rule.ID = "step-" + first
		rule.Confidence = []string{"docs"}
	default:
		return nil
	}
	if len(rule.Confidence) == 0 {
		rule.Confidence = []string{"inferred"}
	}
	return x.addRule(rule)
}

func (x *index) addRule(r *Rule) error {
	key := fold(r.ID)
	if old, ok := x.byID[key]; ok {
		return fmt.Errorf("rule %s is defined in %s:%d already", r.ID, old.File, old.Line)
	}
	x.byID[key] = r
	x.rules = append(x.rules, r)
	return nil
}

func (x *index) addProposal(r row) error {
	p := &Proposal{ID: r.cells[0], Area: r.section, Topology: r.cells[1], Stimulus: r.cells[2],
		Expected: r.cells[3], Rules: ExpandRefs(r.cells[4]), Line: r.line}
	if _, ok := x.scenario[fold(p.ID)]; ok {
		return fmt.Errorf("scenario %s is listed twice", p.ID)
	}
	x.scenario[fold(p.ID)] = p
	x.proposals = append(x.proposals, p)
	return nil
}

// labels are the known confidence labels of a text, in order, each once.
func labels(text string) []string {
	var out []string
	for _, m := range label.FindAllStringSubmatch(text, -1) {
		if ConfidenceMeaning(m[1]) != "" && !slices.Contains(out, m[1]) {
			out = append(out, m[1])
		}
	}
	return out
}

// sectionLabels are those of a section's whole text, strongest first: a
// section that is cited as a whole has no single statement.
func sectionLabels(text string) []string {
	found := labels(text)
	var out []string
	for _, c := range confidences {
		if slices.Contains(found, c.name) {
			out = append(out, c.name)
		}
	}
	if len(out) == 0 {
		return []string{"inferred"}
	}
	return out
}
