package script

import (
	"regexp"
	"slices"
	"strings"

	"github.com/hnsim/hnsim/scenarios/contract"
	"github.com/hnsim/hnsim/sim/hcn"
)

// headerKeys are the names that a header line may give values to.
var headerKeys = []string{"rules", "labels", "profiles", "knobs", "matrix", "checks"}

var idForm = regexp.MustCompile(`^[A-Z][A-Z0-9]*(-[A-Z0-9]+)*-[0-9]+$`)

// header is the comment block on top of a script.
type header struct {
	sc    *Scenario
	p     *problems
	prose []string
	where map[string]int // line of each key
}

// parseHeader reads the comments up to the first blank line or word. It returns
// the number of lines that it took.
func parseHeader(sc *Scenario, script string, p *problems) int {
	h := &header{sc: sc, p: p, where: map[string]int{}}
	lines := strings.Split(script, "\n")
	n := 0
	for _, text := range lines {
		comment, ok := strings.CutPrefix(strings.TrimSpace(text), "#")
		if !ok {
			break
		}
		n++
		h.line(n, strings.TrimSpace(comment))
	}
	if n == 0 {
		p.add(1, "the file begins with %s, expected a header such as # S-NAT-01: what must be so", quoteShort(firstLine(script)))
		return 0
	}
	sc.Requirement = strings.TrimSpace(strings.Join(h.prose, "\n"))
	h.checkKnobs()
	if len(sc.Rules) == 0 {
		p.add(1, "no rules: expected a header line such as # rules: NAT-10 7.1")
	}
	h.late(lines[n:], n)
	return n
}

// line takes one header line: the title, values for keys, or prose.
func (h *header) line(n int, text string) {
	if n == 1 {
		h.title(text)
		return
	}
	first, _, _ := strings.Cut(text, " ")
	key, isKey := strings.CutSuffix(first, ":")
	switch {
	case isKey && slices.Contains(headerKeys, key):
	case isKey && len(key) > 2 && distance(key, closest(key, headerKeys)) == 1:
		h.p.add(n, "unknown header %q%s; headers are %s", key, didYouMean(key, headerKeys), strings.Join(headerKeys, ", "))
		return
	default:
		h.prose = append(h.prose, text)
		return
	}
	// Several keys may share a line: "rules: OV-08 7.1   labels: core".
	key = ""
	var values []string
	for _, w := range append(strings.Fields(text), ":") {
		next, isKey := strings.CutSuffix(w, ":")
		if !isKey || next != "" && !slices.Contains(headerKeys, next) {
			values = append(values, strings.FieldsFunc(w, func(r rune) bool { return r == ',' && key != "matrix" })...)
			continue
		}
		if key != "" {
			h.value(n, key, values)
		}
		key, values = next, nil
	}
}

func (h *header) title(text string) {
	id, title, ok := strings.Cut(text, ":")
	id, title = strings.TrimSpace(id), strings.TrimSpace(title)
	if !ok || title == "" || !idForm.MatchString(id) {
		h.p.add(1, "found %s, expected an id and a title such as # S-NAT-01: what must be so", quoteShort("# "+text))
		return
	}
	h.sc.ID, h.sc.Title = id, title
	if !strings.HasPrefix(id, "S-") {
		return
	}
	// S- ids are those of the contract, so that coverage can be counted.
	if _, ok := contract.LookupScenario(id); !ok {
		var ids []string
		for _, s := range contract.Scenarios() {
			ids = append(ids, s.ID)
		}
		h.p.add(1, "the contract has no scenario %s%s; ids of other scenarios must not begin with S-", id, didYouMean(id, ids))
	}
}

func (h *header) value(n int, key string, values []string) {
	if at, ok := h.where[key]; ok && (key == "matrix" || key == "profiles") {
		h.p.add(n, "a second %s line; the first is line %d", key, at)
		return
	}
	h.where[key] = n
	if len(values) == 0 {
		h.p.add(n, "%s: has no value", key)
	}
	switch key {
	case "rules":
		h.rules(n, values)
	case "labels":
		h.labels(n, values)
	case "profiles":
		h.profiles(n, values)
	case "knobs":
		h.knobs(n, values)
	case "checks":
		h.checks(n, values)
	case "matrix":
		variants, err := parseMatrix(values)
		if err != nil {
			h.p.add(n, "matrix: %v", err)
		}
		h.sc.Variants = variants
	}
}

// checks are comparisons of a second run with the first.
func (h *header) checks(n int, values []string) {
	for _, v := range values {
		if v != FlowTableCheck {
			h.p.add(n, "checks: found %q, expected %s", v, FlowTableCheck)
			continue
		}
		h.sc.FlowTable = true
	}
}

func (h *header) rules(n int, values []string) {
	for _, v := range values {
		ids := contract.ExpandRefs(v)
		if len(ids) == 0 {
			ids = []string{v}
		}
		for _, id := range ids {
			r, ok := contract.Lookup(id)
			if !ok {
				var all []string
				for _, r := range contract.Rules() {
					all = append(all, r.ID)
				}
				h.p.add(n, "unknown rule %q%s", id, didYouMean(id, all))
				continue
			}
			if !slices.Contains(h.sc.Rules, r.ID) {
				h.sc.Rules = append(h.sc.Rules, r.ID)
			}
		}
	}
}

func (h *header) labels(n int, values []string) {
	for _, v := range values {
		if !slices.Contains(labelNames(), v) {
			h.p.add(n, "unknown label %q%s", v, didYouMean(v, labelNames()))
			continue
		}
		if !slices.Contains(h.sc.Labels, v) {
			h.sc.Labels = append(h.sc.Labels, v)
		}
	}
}

func (h *header) profiles(n int, values []string) {
	for _, v := range values {
		names, err := profileSet(v)
		if err != nil {
			h.p.add(n, "profiles: %v", err)
		}
		for _, name := range names {
			if !slices.Contains(h.sc.Profiles, name) {
				h.sc.Profiles = append(h.sc.Profiles, name)
			}
		}
	}
}

func (h *header) knobs(n int, values []string) {
	for _, v := range values {
		name, value, ok := strings.Cut(v, "=")
		if !ok {
			h.p.add(n, "knobs: found %q, expected name=value", v)
			continue
		}
		if h.sc.Knobs == nil {
			h.sc.Knobs = map[string]string{}
		}
		h.sc.Knobs[name] = value
	}
}

// checkKnobs tries the knobs out with the values of every variant. It runs
// when the header is complete, because the matrix may stand below the knobs.
func (h *header) checkKnobs() {
	variants := h.sc.Variants
	if len(variants) == 0 {
		variants = []Variant{{}}
	}
	for _, name := range wordNames(h.sc.Knobs) {
		for _, v := range variants {
			var k hcn.Knobs
			if err := k.Set(name, v.expand(h.sc.Knobs[name])); err != nil {
				h.p.add(h.where["knobs"], "knobs: %v", err)
				break
			}
		}
	}
}

// expand replaces the variant's values in text.
func (v Variant) expand(text string) string {
	return expandText(text, func(name string, _ bool) (string, bool) {
		value, ok := v.Values[name]
		return value, ok
	})
}

// late finds header lines that stand too low to be read.
func (h *header) late(lines []string, taken int) {
	for i, text := range lines {
		comment, ok := strings.CutPrefix(strings.TrimSpace(text), "#")
		if !ok {
			continue
		}
		first, _, _ := strings.Cut(strings.TrimSpace(comment), " ")
		if key, ok := strings.CutSuffix(first, ":"); ok && slices.Contains(headerKeys, key) {
			h.p.add(taken+i+1, "a %s line below the header; the header ends at the first line that is not a comment", key)
		}
	}
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return strings.TrimSpace(s)
}

// quoteShort quotes text for a message, cut to a readable length.
func quoteShort(s string) string {
	const limit = 60
	if r := []rune(s); len(r) > limit {
		s = string(r[:limit]) + "..."
	}
	return `"` + s + `"`
}
