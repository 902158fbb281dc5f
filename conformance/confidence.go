package conformance

import (
	"slices"

	"github.com/hnsim/hnsim/scenarios/contract"
)

// confidence says how sure the contract is of what a scenario checks: the
// label of the main statement of every rule it cites, strongest first, each
// once. Rules the contract does not know have none.
func confidence(rules []string) []string {
	found := map[string]bool{}
	for _, id := range rules {
		if r, ok := contract.Lookup(id); ok {
			found[r.Label()] = true
		}
	}
	return slices.DeleteFunc(contract.ConfidenceLabels(), func(l string) bool { return !found[l] })
}
