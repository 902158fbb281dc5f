package bench

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/reports"
)

// pairs makes n pairs whose second takes slow longer, both with noise of the
// given size.
func pairs(n int, slow, noise float64) []pair {
	r := rand.New(rand.NewPCG(uint64(n), uint64(1e6*slow)))
	one := func(ns float64) reports.BenchSample {
		// The machine's speed changes from pair to pair; the reference follows.
		speed := 0.5 + r.Float64()
		return reports.BenchSample{NS: ns * speed * (1 + noise*r.NormFloat64()), Reference: 10 * speed}
	}
	var out []pair
	for range n {
		out = append(out, pair{one(100), one(100 * (1 + slow))})
	}
	return out
}

func TestTheGateTellsChangeFromNoise(t *testing.T) {
	tests := []struct {
		name                 string
		n                    int
		slow, noise          float64
		want                 reports.BenchVerdict
		leastFloor, mostFlor float64
	}{
		{"nothing changes on a quiet machine", 12, 0, 0.01, reports.BenchSame, 0, 0.03},
		{"ten per cent on a quiet machine", 12, 0.10, 0.01, reports.BenchSlower, 0, 0.03},
		{"ten per cent faster", 12, -0.10, 0.01, reports.BenchFaster, 0, 0.03},
		{"less than what matters", 12, 0.03, 0.005, reports.BenchSame, 0, 0.02},
		{"ten per cent in large noise", 12, 0.10, 0.2, reports.BenchInconclusive, 0.05, 1},
		{"nothing in large noise", 12, 0, 0.2, reports.BenchInconclusive, 0.05, 1},
		{"half as fast in large noise", 24, 1, 0.1, reports.BenchSlower, 0.05, 1},
		{"too few pairs", 11, 0.5, 0.01, reports.BenchInconclusive, 0, 0.03},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := Judge(pairs(tt.n, tt.slow, tt.noise), pairs(tt.n, 0, tt.noise))
			if g.Verdict != tt.want || g.Floor < tt.leastFloor || g.Floor > tt.mostFlor {
				t.Errorf("%+v, want %s", g, tt.want)
			}
			if g.Verdict == reports.BenchInconclusive && g.Why == "" {
				t.Error("inconclusive without a reason")
			}
		})
	}
}

// Two or three pairs that are far off must not decide.
func TestTheGateWantsTheSameSignInNearlyEveryPair(t *testing.T) {
	same := pairs(12, 0, 0.005)
	mixed := append(pairs(9, 0.12, 0.005), pairs(3, -0.12, 0.005)...)
	if g := Judge(mixed, same); g.Verdict != reports.BenchSame || g.Slower != 9 {
		t.Errorf("nine of twelve: %+v", g)
	}
	most := append(pairs(10, 0.12, 0.005), pairs(2, -0.12, 0.005)...)
	if g := Judge(most, same); g.Verdict != reports.BenchSlower {
		t.Errorf("ten of twelve: %+v", g)
	}
}

func TestTheWorstCellIsTheVerdict(t *testing.T) {
	cells := func(vs ...reports.BenchVerdict) (out []reports.BenchCell) {
		for _, v := range vs {
			out = append(out, reports.BenchCell{Gate: &reports.BenchGate{Verdict: v}})
		}
		return append(out, reports.BenchCell{})
	}
	for _, tt := range []struct {
		cells []reports.BenchCell
		want  reports.BenchVerdict
	}{
		{cells(), ""},
		{cells(reports.BenchSame, reports.BenchFaster), reports.BenchFaster},
		{cells(reports.BenchInconclusive, reports.BenchSame), reports.BenchInconclusive},
		{cells(reports.BenchInconclusive, reports.BenchSlower, reports.BenchFaster), reports.BenchSlower},
	} {
		if got := verdict(tt.cells); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

func TestTheLimitsLinesAreRead(t *testing.T) {
	got, err := parseLimit([]byte("l2 1000 8.123\nacl-abv-10 1000000 22.5\n"))
	if err != nil || got[limitKey{"l2", 1000}] != 8.123 || len(got) != 2 {
		t.Error(got, err)
	}
	for _, bad := range []string{"", "ip csum bad 0\n", "l2 1000\n", "l2 1000 -1\n"} {
		if _, err := parseLimit([]byte(bad)); err == nil || !strings.Contains(err.Error(), "limit") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
