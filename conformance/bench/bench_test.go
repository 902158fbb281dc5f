package bench_test

import (
	"context"
	"testing"
	"time"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/backends/simulated"
	"github.com/hnsim/hnsim/conformance/bench"
)

// quick measures next to nothing: what is tested is that it works, never how
// long it takes.
func quick(paths ...string) bench.Config {
	sel, err := bench.Select(paths)
	if err != nil {
		panic(err)
	}
	return bench.Config{
		Backend: simulated.Backend{}, World: backends.WorldConfig{Seed: 1, Profile: "ws2022"}, Paths: sel,
		Sizes: []string{"64"}, Flows: []int{128}, Dists: []string{bench.Uniform}, Traces: []bool{false}, Workers: []int{1},
		Count: 1, Sample: time.Microsecond,
	}
}

func TestEveryPathForwardsWhatItSays(t *testing.T) {
	for _, p := range bench.Paths() {
		if p.Name == "acl-10000" && testing.Short() {
			continue
		}
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			got, err := bench.Cost(context.Background(), quick(p.Name))
			if err != nil {
				t.Fatal(err)
			}
			c := got.Cells[0]
			if c.Skipped != "" || c.Packets == 0 || len(c.Samples) != 1 || c.NS <= 0 {
				t.Fatalf("%+v", c)
			}
			t.Logf("%-40s %8.1f ns %6.2f x %8.3f allocs %6.0f B/flow", c.Name(), c.NS, c.Ratio, c.Allocs, c.FlowBytes)
		})
	}
}
