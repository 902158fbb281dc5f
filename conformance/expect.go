package conformance

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// ExpectKind says what an expectation does.
type ExpectKind string

const (
	ExpectFail  ExpectKind = "fail"  // runs and must fail; passing is an unexpected result
	ExpectFlaky ExpectKind = "flaky" // runs, is reported, decides nothing
	ExpectSkip  ExpectKind = "skip"  // is not run: only for what would hang or damage the host
	// ExpectDiffer is about comparisons alone: the scenario may hold on both
	// sides, and still they differ. A fail line says the same to a comparison.
	ExpectDiffer ExpectKind = "differ"
)

// Expectation is one line of an expectation file: which scenarios deviate,
// where, why, and for how long that is accepted.
//
//	fail  acl/endpoint/block-out-nat  build>=26100  issue=owner/repo#616  until=2027-03-01  # comment
//	flaky rule:DNS-*                  backend=hns   issue=owner/repo#323
//	skip  sdn/**                      backend=hns   reason="needs Network Controller"
//	differ rule:NAT-08                backend=linux reason="the kernel keeps source ports"
//	differ lb/** field=eth.src        backend=linux reason="the kernel routes where Windows bridges"
//
// The first line that matches a scenario wins. A deviation may change how a
// result is reached, never what is promised: that is why every line needs an
// issue or a reason, why one whose date has passed is an error, and why one
// that matches nothing is.
type Expectation struct {
	Kind   ExpectKind
	Select Selector
	When   []Condition
	Issue  string
	Reason string
	Until  time.Time // last day it holds; zero: no end
	File   string
	Line   int

	// Fields, of differ lines: these fields of packets may differ, and nothing
	// else. Empty: anything may.
	Fields []string

	declared bool // by the backend itself, not by a file of the user
}

// Condition limits an expectation to some runs.
type Condition struct {
	Name  string // backend, profile, build, hns
	Op    string // = != < <= > >=
	Value string
}

// Env is what conditions are evaluated against.
type Env struct {
	Backend, Profile, HNSVersion string
	OSBuild                      int
	Now                          time.Time
}

// LineError is a problem at a place in a text file.
type LineError struct {
	File string
	Line int
	Msg  string
}

func (e *LineError) Error() string { return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Msg) }

// maxExpectations bounds an expectation file; a suite with more deviations than
// scenarios has other problems.
const maxExpectations = 10_000

// ParseExpectations reads an expectation file. It reports every bad line, as
// *LineError values joined.
func ParseExpectations(file string, data []byte) ([]*Expectation, error) {
	var out []*Expectation
	var errs []error
	for i, text := range strings.Split(strings.TrimPrefix(string(data), "\ufeff"), "\n") {
		e, err := parseExpectation(text)
		if err != nil {
			errs = append(errs, &LineError{file, i + 1, err.Error()})
			continue
		}
		if e == nil {
			continue
		}
		e.File, e.Line = file, i+1
		out = append(out, e)
		if len(out) > maxExpectations {
			return nil, &LineError{file, i + 1, fmt.Sprintf("more than %d lines", maxExpectations)}
		}
	}
	return out, errors.Join(errs...)
}

func parseExpectation(text string) (*Expectation, error) {
	words, err := splitWords(text)
	if err != nil || len(words) == 0 {
		return nil, err
	}
	e := &Expectation{Kind: ExpectKind(words[0])}
	switch e.Kind {
	case ExpectFail, ExpectFlaky, ExpectSkip, ExpectDiffer:
	default:
		return nil, fmt.Errorf("found %q, expected fail, flaky, skip or differ%s", words[0], didYouMean(words[0], []string{"fail", "flaky", "skip", "differ"}))
	}
	if len(words) < 2 {
		return nil, fmt.Errorf("%s names no scenarios: expected a selector such as nat/** or rule:NAT-13", e.Kind)
	}
	if e.Select, err = ParseSelector(words[1]); err != nil {
		return nil, err
	}
	for _, w := range words[2:] {
		if err := e.attribute(w); err != nil {
			return nil, err
		}
	}
	return e, e.complete()
}

// complete checks what a line must have.
func (e *Expectation) complete() error {
	switch {
	case e.Kind == ExpectSkip && e.Reason == "":
		return errors.New(`skip without reason="..."`)
	case len(e.Fields) > 0 && e.Kind != ExpectDiffer:
		return fmt.Errorf("%s with field=: only comparisons look at fields; write differ", e.Kind)
	case e.Issue == "" && e.Reason == "":
		return fmt.Errorf(`%s without issue=OWNER/REPO#N or reason="..."`, e.Kind)
	}
	return nil
}

var expectNames = []string{"issue", "reason", "until", "field", "backend", "profile", "build", "hns"}

func (e *Expectation) attribute(word string) error {
	name, op, value, ok := cutOperator(word)
	if !ok {
		return fmt.Errorf("found %q, expected name=value", word)
	}
	if value == "" {
		return fmt.Errorf("%s has no value", name)
	}
	switch name {
	case "issue", "reason", "until", "field":
		if op != "=" {
			return fmt.Errorf("%s takes =, not %s", name, op)
		}
		return e.text(name, value)
	case "backend", "profile":
		if op != "=" && op != "!=" {
			return fmt.Errorf("%s takes = or !=, not %s", name, op)
		}
	case "build":
		if _, err := strconv.Atoi(value); err != nil {
			return fmt.Errorf("build %q is not a number such as 26100", value)
		}
	case "hns":
		if _, ok := parseVersion(value); !ok {
			return fmt.Errorf("hns %q is not a version such as 10.2", value)
		}
	default:
		return fmt.Errorf("unknown name %q%s", name, didYouMean(name, expectNames))
	}
	e.When = append(e.When, Condition{name, op, value})
	return nil
}

func (e *Expectation) text(name, value string) error {
	switch name {
	case "issue":
		e.Issue = value
	case "reason":
		e.Reason = value
	case "field":
		e.Fields = strings.Split(value, ",")
	case "until":
		day, err := time.Parse(time.DateOnly, value)
		if err != nil {
			return fmt.Errorf("until %q is not a date such as 2027-03-01", value)
		}
		e.Until = day
	}
	return nil
}

// Holds reports whether all conditions are met.
func (e *Expectation) Holds(env Env) bool {
	for _, c := range e.When {
		if !c.holds(env) {
			return false
		}
	}
	return true
}

// Expired reports whether the last day is over.
func (e *Expectation) Expired(now time.Time) bool {
	return !e.Until.IsZero() && !now.IsZero() && now.After(e.Until.AddDate(0, 0, 1))
}

// Why is the issue or reason, for messages.
func (e *Expectation) Why() string {
	return strings.TrimSpace(strings.Join([]string{e.Issue, e.Reason}, " "))
}

func (c Condition) holds(env Env) bool {
	switch c.Name {
	case "backend":
		return (env.Backend == c.Value) == (c.Op == "=")
	case "profile":
		return (env.Profile == c.Value) == (c.Op == "=")
	case "build":
		want, err := strconv.Atoi(c.Value)
		return err == nil && compares(c.Op, cmp.Compare(env.OSBuild, want))
	case "hns":
		have, ok1 := parseVersion(env.HNSVersion)
		want, ok2 := parseVersion(c.Value)
		return ok1 && ok2 && compares(c.Op, slices.Compare(have, want))
	}
	return false
}

func compares(op string, order int) bool {
	switch op {
	case "=":
		return order == 0
	case "!=":
		return order != 0
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	case ">=":
		return order >= 0
	}
	return false
}

// parseVersion reads "10.2" as [10 2]; always two numbers.
func parseVersion(s string) ([]int, bool) {
	major, minor, _ := strings.Cut(s, ".")
	a, err1 := strconv.Atoi(major)
	b, err2 := 0, error(nil)
	if minor != "" {
		b, err2 = strconv.Atoi(minor)
	}
	return []int{a, b}, err1 == nil && err2 == nil && a >= 0 && b >= 0
}

// cutOperator splits name, operator and value.
func cutOperator(word string) (name, op, value string, ok bool) {
	i := strings.IndexAny(word, "=!<>")
	if i <= 0 {
		return "", "", "", false
	}
	for _, op := range []string{"<=", ">=", "!=", "=", "<", ">"} {
		if rest, ok := strings.CutPrefix(word[i:], op); ok {
			return word[:i], op, rest, true
		}
	}
	return "", "", "", false
}

// splitWords splits at blanks; double quotes keep blanks, and # after a blank
// begins a comment.
func splitWords(s string) ([]string, error) {
	var words []string
	var word strings.Builder
	inWord, quoted := false, false
	for _, r := range s {
		switch {
		case r == '"':
			quoted = !quoted
			inWord = true
		case quoted:
			word.WriteRune(r)
		case unicode.IsSpace(r):
			if inWord {
				words = append(words, word.String())
				word.Reset()
				inWord = false
			}
		case r == '#' && !inWord:
			return words, nil
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	if quoted {
		return nil, errors.New(`a " is not closed`)
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, nil
}
