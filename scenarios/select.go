package scenarios

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hnsim/hnsim/scenarios/contract"
	"github.com/hnsim/hnsim/scenarios/script"
)

// NoMatchError is a selector that picks nothing.
type NoMatchError struct {
	Selector   string
	Suggestion string // a selector that would pick something; may be empty
}

func (e *NoMatchError) Error() string {
	if e.Suggestion == "" {
		return fmt.Sprintf("selector %q matches no scenario", e.Selector)
	}
	return fmt.Sprintf("selector %q matches no scenario; did you mean %q?", e.Selector, e.Suggestion)
}

// Select picks the scenarios that at least one selector matches, in the order
// of all; no selector picks all of them. A selector is
//
//	S-NAT-01              an id; a pattern works too: S-NAT-*
//	NAT-13  7.1  rule:B-* a contract rule: scenarios that cite it
//	nat                   an area
//	nat/idle  nat/idle.txtar  overlay/*  nat/**   a path or a pattern over paths:
//	                      * within a part, ** over parts, ? one character
//	label:core            scenarios with the label; label:core&!slow, label:core|slow
//
// Letters count in any case. A selector that matches nothing is a
// *NoMatchError, a malformed label expression another error.
func Select(all []*script.Scenario, selectors []string) ([]*script.Scenario, error) {
	if len(selectors) == 0 {
		return slices.Clone(all), nil
	}
	picked := make([]bool, len(all))
	for _, text := range selectors {
		match, err := matcher(text)
		if err != nil {
			return nil, err
		}
		found := false
		for i, sc := range all {
			if match(sc) {
				picked[i], found = true, true
			}
		}
		if !found {
			return nil, &NoMatchError{text, suggest(all, text)}
		}
	}
	var out []*script.Scenario
	for i, sc := range all {
		if picked[i] {
			out = append(out, sc)
		}
	}
	return out, nil
}

func matcher(text string) (func(*script.Scenario) bool, error) {
	if expr, ok := strings.CutPrefix(text, "label:"); ok {
		return labelMatcher(text, expr)
	}
	pattern, isRule := strings.CutPrefix(text, "rule:")
	pattern = strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(pattern, "./"), ".txtar"))
	if _, known := contract.Lookup(text); known || isRule {
		return func(sc *script.Scenario) bool {
			return slices.ContainsFunc(sc.Rules, func(r string) bool { return glob(pattern, strings.ToLower(r)) })
		}, nil
	}
	return func(sc *script.Scenario) bool {
		id, file := strings.ToLower(sc.ID), strings.ToLower(strings.TrimSuffix(sc.File, ".txtar"))
		area := strings.ToLower(sc.Area)
		return glob(pattern, id) || glob(pattern, file) || area != "" && glob(strings.TrimSuffix(pattern, "/"), area)
	}, nil
}

// labelMatcher reads a|b&!c: alternatives of conjunctions.
func labelMatcher(text, expr string) (func(*script.Scenario) bool, error) {
	var known []string
	for _, l := range script.Labels() {
		known = append(known, l.Name)
	}
	var any [][]string
	for _, alternative := range strings.Split(expr, "|") {
		terms := strings.Split(alternative, "&")
		for _, t := range terms {
			if !slices.Contains(known, strings.TrimPrefix(t, "!")) {
				return nil, &NoMatchError{text, suggestLabel(known, strings.TrimPrefix(t, "!"))}
			}
		}
		any = append(any, terms)
	}
	return func(sc *script.Scenario) bool {
		return slices.ContainsFunc(any, func(terms []string) bool {
			return !slices.ContainsFunc(terms, func(t string) bool {
				name, not := strings.CutPrefix(t, "!")
				return slices.Contains(sc.Labels, name) == not
			})
		})
	}, nil
}

func suggestLabel(known []string, name string) string {
	if best := script.Closest(name, known); best != "" {
		return "label:" + best
	}
	return ""
}

// suggest finds the id, path, area or rule that is most like the selector.
func suggest(all []*script.Scenario, text string) string {
	var names []string
	for _, sc := range all {
		names = append(names, sc.ID, strings.TrimSuffix(sc.File, ".txtar"), sc.Area)
		names = append(names, sc.Rules...)
	}
	slices.Sort(names)
	return script.Closest(strings.TrimSuffix(text, ".txtar"), slices.Compact(names))
}

// glob matches * and ? within a part of a path and ** over parts, in at most
// quadratic time.
func glob(pattern, text string) bool {
	reach := make([]bool, len(text)+1) // reach[j]: the pattern so far matches text[:j]
	reach[0] = true
	for i := 0; i < len(pattern); i++ {
		next := make([]bool, len(text)+1)
		if pattern[i] == '*' {
			deep := i+1 < len(pattern) && pattern[i+1] == '*'
			if deep {
				i++
			}
			for j := range reach {
				next[j] = reach[j] || j > 0 && next[j-1] && (deep || text[j-1] != '/')
			}
		} else {
			for j := 1; j < len(reach); j++ {
				next[j] = reach[j-1] && (pattern[i] == text[j-1] || pattern[i] == '?' && text[j-1] != '/')
			}
		}
		reach = next
	}
	return reach[len(text)]
}
