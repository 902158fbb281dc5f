package conformance

import (
	"slices"
	"strings"

	"github.com/hnsim/hnsim/scenarios/contract"
)

// Uncovered lists the rules of the contract that no scenario cites and no mark
// excuses, in its order. Whole sections that can be cited are left out: their
// rules count.
func Uncovered(specs []*Spec) []*contract.Rule {
	cited := citedRules(specs)
	var out []*contract.Rule
	for _, r := range contract.Rules() {
		if _, marked := contract.LookupMark(r.ID); !r.IsSection && !cited[r.ID] && !marked {
			out = append(out, r)
		}
	}
	return out
}

// StaleMarks lists the marks of rules that a scenario cites all the same: such
// a rule can be checked, so its mark is wrong.
func StaleMarks(specs []*Spec) []*contract.Mark {
	cited := citedRules(specs)
	return slices.DeleteFunc(slices.Clone(contract.Marks()), func(m *contract.Mark) bool { return !cited[m.Rule.ID] })
}

// citedRules are the ids of the rules that scenarios cite, as the contract
// writes them.
func citedRules(specs []*Spec) map[string]bool {
	cited := map[string]bool{}
	for _, s := range specs {
		for _, id := range s.Rules {
			if r, ok := contract.Lookup(id); ok {
				cited[r.ID] = true
			}
		}
	}
	return cited
}

// Missing lists the scenarios that the contract proposes and the suite does
// not have.
func Missing(specs []*Spec) []*contract.Proposal {
	return slices.DeleteFunc(slices.Clone(contract.Scenarios()), func(p *contract.Proposal) bool {
		return slices.ContainsFunc(specs, func(s *Spec) bool { return strings.EqualFold(s.Base, p.ID) })
	})
}
