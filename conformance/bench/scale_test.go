package bench

import (
	"context"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/backends/simulated"
)

func TestShapesAreHostsTimesEndpoints(t *testing.T) {
	if s, err := ParseShape("100x10"); err != nil || s != (Shape{100, 10}) {
		t.Error(s, err)
	}
	for _, bad := range []string{"", "10", "0x5", "5x1", "5000x2", "1x5000", "ax3", "3x"} {
		if _, err := ParseShape(bad); err == nil || !strings.Contains(err.Error(), "expected hosts x endpoints") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// Worlds are built, and packets get where they should, on one host and among
// several: whatever comes out of a path is checked.
func TestWorldsOfAnyShapeAreMeasured(t *testing.T) {
	b, err := Scale(context.Background(), ScaleConfig{Backend: simulated.Backend{}, World: backends.WorldConfig{Profile: "ws2025", Seed: 1},
		Shapes: []Shape{{1, 3}, {3, 2}}, Flows: 64, Count: 1, Sample: 1})
	if err != nil || len(b.Scales) != 2 {
		t.Fatal(b.Scales, err)
	}
	one, three := b.Scales[0], b.Scales[1]
	if one.Endpoints != 3 || len(one.Paths) != 1 || one.Paths[0].Destinations != 2 {
		t.Errorf("one host: %+v", one)
	}
	if three.Endpoints != 6 || len(three.Paths) != 2 || three.Paths[1].Destinations != 2 || three.Paths[1].NS <= 0 {
		t.Errorf("three hosts: %+v", three)
	}
	for _, s := range b.Scales {
		if s.BuildSeconds <= 0 || s.FirstNS < 0 || s.LastNS < 0 || s.EndpointBytes <= 0 {
			t.Errorf("%+v", s)
		}
	}
}

// An endpoint among a hundred must not cost several times what it costs among
// ten; before programs were exchanged endpoint by endpoint it did. Allocations are
// what can be counted on a busy machine.
func TestAnEndpointCostsTheSameAmongMany(t *testing.T) {
	l, err := openLab(context.Background(), simulated.Backend{}, backends.WorldConfig{Profile: "ws2025", Seed: 1}, wireMTU)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	w := &scaleWorld{Shape: Shape{1, 250}, l: l, bits: 24}
	w.hosts()
	next := 0
	upTo := func(n int) {
		for ; next < n; next++ {
			w.pod(0, next)
		}
	}
	allocations := func(upto int) float64 {
		n := upto - next
		return testing.AllocsPerRun(1, func() { upTo(min(next+n/2, upto)) }) / float64(n/2)
	}
	upTo(10)
	few := allocations(30)
	upTo(200)
	many := allocations(220)
	if l.err != nil {
		t.Fatal(l.err)
	}
	t.Logf("%.0f allocations for an endpoint among 20, %.0f among 200", few, many)
	if few < 10 || many > 1.3*few {
		t.Errorf("%.0f allocations for an endpoint among 20, %.0f among 200", few, many)
	}
}
