package conformance

import (
	"slices"
	"strings"

	"github.com/hnsim/hnsim/scenarios/contract"
)

// Uncovered lists the rules of the contract that no scenario cites, in its
// order. Whole sections that can be cited are left out: their rules count.
func Uncovered(specs []*Spec) []*contract.Rule {
	cited := map[string]bool{}
	for _, s := range specs {
		for _, id := range s.Rules {
			if r, ok := contract.Lookup(id); ok {
				cited[r.ID] = true
			}
		}
	}
	var out []*contract.Rule
	for _, r := range contract.Rules() {
		if !r.IsSection && !cited[r.ID] {
			out = append(out, r)
		}
	}
	return out
}

// Missing lists the scenarios that the contract proposes and the suite does
// not have.
func Missing(specs []*Spec) []*contract.Proposal {
	return slices.DeleteFunc(slices.Clone(contract.Scenarios()), func(p *contract.Proposal) bool {
		return slices.ContainsFunc(specs, func(s *Spec) bool { return strings.EqualFold(s.Base, p.ID) })
	})
}
