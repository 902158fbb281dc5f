package contract

import (
	_ "embed"
	"fmt"
	"regexp"
	"strings"
	"sync"
)

//go:embed marks.md
var marksText string

// Kinds of marks.
const (
	// MarkElsewhere is a rule that Go tests check, because a scenario cannot
	// see it.
	MarkElsewhere = "elsewhere"
	// MarkUnobservable is a rule that says nothing about packets, objects or
	// answers.
	MarkUnobservable = "unobservable"
)

// Mark says why no scenario checks a rule.
type Mark struct {
	Rule   *Rule
	Kind   string // MarkElsewhere or MarkUnobservable
	Reason string // one or more sentences, Markdown
	// Tests are the Go tests that check the rule instead, as "package TestName"
	// with the package's path in the module. Empty for MarkUnobservable.
	Tests []string
	Line  int // in marks.md
}

// marks reads the embedded list once. It is part of the program, so a mistake
// in it is a programming mistake.
var marks = sync.OnceValue(func() []*Mark {
	out, err := parseMarks(marksText, Lookup)
	if err != nil {
		panic("contract: " + err.Error())
	}
	return out
})

// Marks lists the rules that no scenario checks, in the order of marks.md. The
// result is shared: do not change it.
func Marks() []*Mark { return marks() }

// LookupMark finds the mark of a rule by the rule's id, in any case.
func LookupMark(id string) (*Mark, bool) {
	for _, m := range marks() {
		if fold(m.Rule.ID) == fold(id) {
			return m, true
		}
	}
	return nil, false
}

var testRef = regexp.MustCompile(`^[a-z0-9./]+ (Test|Fuzz)[A-Za-z0-9_]+$`)

// shortestReason is what a reason needs at least, in bytes: "cannot be tested"
// is none.
const shortestReason = 40

// parseMarks reads the table of marks. The error names line, what was found
// and what is expected.
func parseMarks(text string, rule func(string) (*Rule, bool)) ([]*Mark, error) {
	var out []*Mark
	seen := map[string]int{}
	for _, r := range parseDocument("marks.md", text).rows {
		if r.header[0] != "Marked" {
			continue
		}
		m, err := parseMark(r, rule)
		if err != nil {
			return nil, fmt.Errorf("marks.md:%d: %w", r.line, err)
		}
		if line, ok := seen[m.Rule.ID]; ok {
			return nil, fmt.Errorf("marks.md:%d: %s is marked in line %d already", r.line, m.Rule.ID, line)
		}
		seen[m.Rule.ID] = r.line
		out = append(out, m)
	}
	return out, nil
}

func parseMark(r row, rule func(string) (*Rule, bool)) (*Mark, error) {
	if len(r.cells) != 4 {
		return nil, fmt.Errorf("%d cells, expected 4: rule, mark, why, checked by", len(r.cells))
	}
	m := &Mark{Kind: r.cells[1], Reason: r.cells[2], Line: r.line}
	var ok bool
	if m.Rule, ok = rule(r.cells[0]); !ok {
		return nil, fmt.Errorf("%q is no rule of the contract", r.cells[0])
	}
	if m.Kind != MarkElsewhere && m.Kind != MarkUnobservable {
		return nil, fmt.Errorf("mark %q of %s: expected %s or %s", m.Kind, m.Rule.ID, MarkElsewhere, MarkUnobservable)
	}
	if len(m.Reason) < shortestReason {
		return nil, fmt.Errorf("reason %q of %s: expected a sentence that says why no scenario can check it", m.Reason, m.Rule.ID)
	}
	if r.cells[3] != "-" {
		for _, test := range strings.Split(r.cells[3], ",") {
			test = strings.Trim(strings.TrimSpace(test), "`")
			if !testRef.MatchString(test) {
				return nil, fmt.Errorf("test %q of %s: expected a package and a test, as in `sim/hcn TestCodes`", test, m.Rule.ID)
			}
			m.Tests = append(m.Tests, test)
		}
	}
	if (m.Kind == MarkElsewhere) != (len(m.Tests) > 0) {
		return nil, fmt.Errorf("%s is marked %s with %d tests: expected tests for %s, and - for %s",
			m.Rule.ID, m.Kind, len(m.Tests), MarkElsewhere, MarkUnobservable)
	}
	return m, nil
}
