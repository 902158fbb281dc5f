package conformance

import (
	"fmt"
	"slices"
	"strings"
)

// Selector picks scenarios. One grammar serves the command line, --skip and
// expectation files:
//
//	S-NAT-01            an id (case does not matter), with all its variants
//	S-NAT-01/idle=60    one variant of it
//	nat                 an area and everything below it
//	nat/idle-timeout    a path: area, slash, name of the file
//	nat/**  S-NAT-*     a pattern over path or id: * within a part, ** over parts, ? one character
//	rule:NAT-13         scenarios that cite a rule; a pattern works too
//	label:overlay       scenarios with a label; area:, conf:, profile: and rule: are labels too
//	my/*.txtar          files (the command line reads them; they are not part of the suite)
type Selector struct {
	Text  string
	kind  string // "", "rule", "label", "id", "path"
	value string
}

var selectorKinds = []string{"rule", "label", "id", "path", "area", "conf", "profile"}

// ParseSelector checks the form of a selector.
func ParseSelector(text string) (Selector, error) {
	s := Selector{Text: text, value: strings.TrimSpace(text)}
	if s.value == "" {
		return s, fmt.Errorf("an empty selector selects nothing; leave it out to select all")
	}
	if kind, value, ok := strings.Cut(s.value, ":"); ok {
		switch kind {
		case "rule", "label", "id", "path":
			s.kind, s.value = kind, value
		case "area", "conf", "profile":
			s.kind = "label" // area:nat is the label itself
		default:
			return s, fmt.Errorf("unknown kind of selector %q in %q%s", kind, text, didYouMean(kind, selectorKinds))
		}
		if value == "" {
			return s, fmt.Errorf("selector %q has no value", text)
		}
	}
	return s, nil
}

// Matches reports whether the selector picks the scenario.
func (s Selector) Matches(spec *Spec) bool {
	match := func(text string) bool { return glob(s.value, text) }
	switch s.kind {
	case "rule":
		return slices.ContainsFunc(spec.Rules, match)
	case "label":
		return slices.ContainsFunc(spec.Labels, match)
	case "id":
		return match(spec.ID) || match(spec.Base)
	case "path":
		return match(spec.Path)
	}
	return match(spec.ID) || match(spec.Base) || match(spec.Path) || strings.HasPrefix(spec.Path, s.value+"/")
}

// glob matches without regard to case. * and ? do not cross a slash, ** does;
// "a/**" matches "a/b" and "a/b/c". It runs in linear space and at most
// quadratic time.
func glob(pattern, text string) bool {
	p, t := strings.ToLower(pattern), strings.ToLower(text)
	// reach[j] says whether the pattern so far matches t[:j].
	reach := make([]bool, len(t)+1)
	reach[0] = true
	for i := 0; i < len(p); i++ {
		next := make([]bool, len(t)+1)
		switch {
		case p[i] == '*':
			deep := i+1 < len(p) && p[i+1] == '*'
			if deep {
				i++
			}
			for j := range reach {
				next[j] = reach[j] || j > 0 && next[j-1] && (deep || t[j-1] != '/')
			}
		default:
			for j := 1; j < len(reach); j++ {
				next[j] = reach[j-1] && (p[i] == t[j-1] || p[i] == '?' && t[j-1] != '/')
			}
		}
		reach = next
	}
	return reach[len(t)]
}

// NoMatchError is a selector that picks nothing.
type NoMatchError struct {
	Selector   string
	Suggestion string // may be empty
}

func (e *NoMatchError) Error() string {
	msg := fmt.Sprintf("selector %q matches no scenario", e.Selector)
	if e.Suggestion != "" {
		return msg + "; did you mean " + e.Suggestion + "?"
	}
	return msg + "; `hnsim list` shows them all"
}

// Select returns the scenarios that any of the selectors picks, in the order
// of specs; without selectors all of them. A selector that picks nothing is a
// *NoMatchError.
func Select(specs []*Spec, selectors []string) ([]*Spec, error) {
	if len(selectors) == 0 {
		return specs, nil
	}
	picked := make([]bool, len(specs))
	for _, text := range selectors {
		s, err := ParseSelector(text)
		if err != nil {
			return nil, err
		}
		found := false
		for i, spec := range specs {
			if s.Matches(spec) {
				picked[i], found = true, true
			}
		}
		if !found {
			return nil, &NoMatchError{text, suggestSelector(s, specs)}
		}
	}
	var out []*Spec
	for i, spec := range specs {
		if picked[i] {
			out = append(out, spec)
		}
	}
	return out, nil
}

func suggestSelector(s Selector, specs []*Spec) string {
	var candidates []string
	for _, spec := range specs {
		switch s.kind {
		case "rule":
			candidates = append(candidates, spec.Rules...)
		case "label":
			candidates = append(candidates, spec.Labels...)
		default:
			candidates = append(candidates, spec.Base, spec.ID, spec.Path, spec.Area)
		}
	}
	if found := Suggest(s.value, candidates); found != "" {
		if s.kind != "" && !strings.HasPrefix(s.Text, "area:") && !strings.HasPrefix(s.Text, "conf:") && !strings.HasPrefix(s.Text, "profile:") {
			return s.kind + ":" + found
		}
		return found
	}
	return ""
}
