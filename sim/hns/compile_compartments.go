package hns

import (
	"github.com/hnsim/hnsim/sim/fabric"
)

// compartments lists the compartments in which something runs: those of
// namespaces with containers, and those that attached endpoints are in (rule
// CMP-07). The host's own always exists.
func compartments(s *State) []fabric.CompartmentProgram {
	var out []fabric.CompartmentProgram
	seen := map[uint32]bool{0: true, hostCompartmentID: true}
	add := func(id uint32, isolation Isolation) {
		if !seen[id] {
			seen[id] = true
			out = append(out, fabric.CompartmentProgram{ID: id, OwnKernel: isolation == HyperVIsolated})
		}
	}
	for _, n := range s.Namespaces {
		isolation := ProcessIsolated
		for _, c := range n.Containers {
			isolation = c.Isolation
		}
		add(n.Compartment, isolation)
	}
	for _, e := range s.Endpoints {
		add(e.Compartment, e.Isolation)
	}
	return out
}
