package contract

import (
	"regexp"
	"slices"
	"strings"
)

// One citation: a rule with further numbers behind slashes, a pipeline step, or
// a section.
var citation = regexp.MustCompile(`[A-Z]+[0-9]*[A-Z]*-[0-9]+(?:/[0-9]+)*|\bstep[ -][0-9]+|\b[A-G]\.[0-9]+(?:-[0-9]+)?|\b[0-9]+\.[0-9]+\b|\b[A-C][0-9]+[a-z]?\b`)

// ExpandRefs reads citations as the contract writes them ("NAT-10/17/18",
// "3.3, D-04", "VS step 1", "D.3-22") and returns rule ids, each once, in
// order. What is no citation is left out.
func ExpandRefs(text string) []string {
	var out []string
	add := func(id string) {
		if !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	for _, m := range citation.FindAllString(text, -1) {
		if step, ok := strings.CutPrefix(m, "step"); ok {
			add("step-" + strings.TrimLeft(step, " -"))
			continue
		}
		parts := strings.Split(m, "/")
		add(parts[0])
		prefix, _, _ := strings.Cut(parts[0], "-")
		for _, number := range parts[1:] {
			add(prefix + "-" + number)
		}
	}
	return out
}
