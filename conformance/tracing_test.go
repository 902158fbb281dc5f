package conformance

import (
	"context"
	"slices"
	"testing"

	"github.com/hnsim/hnsim/backends/simulated"
	"github.com/hnsim/hnsim/scenarios/script"
	"github.com/hnsim/hnsim/sim/rounds"
)

// A trace changes nothing that it tells of. Scenarios run without one until one
// fails, so nothing else would notice. With few rounds it is one in five of
// the quick ones, and those of tenant networks.
func TestTracingChangesNothing(t *testing.T) {
	all, err := Suite()
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range all {
		if s.script.ProgramTime > 0 || rounds.Few() && (slices.Contains(s.Labels, "slow") || i%5 != 0 && s.Area != "sdn") {
			continue
		}
		var runs [2]*script.Result
		for j := range runs {
			runs[j] = script.Run(context.Background(), s.script, simulated.Backend{}, script.Options{Seed: 1, Profile: "ws2025", Tracing: j == 1})
		}
		if d := script.Difference(runs[0], runs[1]); d != "" {
			t.Errorf("%s without trace | with: %s", s.ID, d)
		}
	}
}
