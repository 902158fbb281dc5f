package hns

import (
	"slices"

	"github.com/hnsim/hnsim/sim/fabric"
)

// compartments lists the compartments in which something runs: those of
// namespaces with containers, and those that attached endpoints are in (rule
// CMP-07). The host's own always exists.
func compartments(s *State) []fabric.CompartmentProgram {
	out := make([]fabric.CompartmentProgram, 0, len(s.Namespaces))
	seen := map[uint32]bool{0: true, hostCompartmentID: true}
	add := func(id uint32, isolation Isolation) {
		if id > hostCompartmentID && !seen[id] {
			out = append(out, fabric.CompartmentProgram{ID: id, OwnKernel: isolation == HyperVIsolated})
		}
	}
	for _, n := range s.Namespaces {
		isolation := ProcessIsolated
		for _, c := range n.Containers {
			isolation = c.Isolation
		}
		add(n.Compartment, isolation) // no two namespaces have the same
	}
	// Endpoints of a namespace are in its compartment.
	bare := slices.DeleteFunc(slices.Clone(s.Endpoints), func(e *Endpoint) bool { return e.Namespace != "" || e.Compartment <= hostCompartmentID })
	if len(bare) == 0 {
		return out
	}
	for _, c := range out {
		seen[c.ID] = true
	}
	for _, e := range bare {
		add(e.Compartment, e.Isolation)
		seen[e.Compartment] = true
	}
	return out
}
