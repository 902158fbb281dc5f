package bench

import (
	"fmt"
	"math"
	"slices"

	"github.com/hnsim/hnsim/reports"
)

// The gate. A change is one that is larger than the noise of this very run, and
// that shows in nearly every pair: with twelve pairs, ten of the same sign
// come up by chance in 2 % of all runs.
const (
	MinEffect = 0.05
	MinPairs  = 12
	sameSign  = 10.0 / 12
)

// pair is two samples taken in turn.
type pair struct{ before, after reports.BenchSample }

// difference is the share by which the second took longer, by their ratios to
// the reference loop.
func (p pair) difference() float64 { return p.after.Ratio()/p.before.Ratio() - 1 }

// Judge compares a path with its baseline. changed are pairs of a baseline
// sample and a new one; same are pairs of the same code.
//
// The floor is the median size of the differences of the same code. The effect
// is the median difference. It counts when it exceeds both MinEffect and twice
// the floor and when at least ten of twelve pairs have its sign. A floor above
// MinEffect means that a change of the size that matters could hide in the
// noise: the outcome is inconclusive, unless a change shows all the same.
func Judge(changed, same []pair) reports.BenchGate {
	g := reports.BenchGate{Pairs: len(changed)}
	var sizes, effects []float64
	for _, p := range same {
		sizes = append(sizes, math.Abs(p.difference()))
	}
	faster := 0
	for _, p := range changed {
		d := p.difference()
		effects = append(effects, d)
		if d > 0 {
			g.Slower++
		} else if d < 0 {
			faster++
		}
	}
	g.Floor, g.Effect = median(sizes), median(effects)
	g.Threshold = max(MinEffect, 2*g.Floor)
	need := int(math.Ceil(sameSign * float64(len(changed))))
	switch {
	case len(changed) < MinPairs || len(same) < MinPairs:
		g.Verdict = reports.BenchInconclusive
		g.Why = fmt.Sprintf("%d pairs and %d of the same code; expected at least %d (--count, here and when the baseline is stored)", len(changed), len(same), MinPairs)
	case g.Effect > g.Threshold && g.Slower >= need:
		g.Verdict = reports.BenchSlower
	case g.Effect < -g.Threshold && faster >= need:
		g.Verdict = reports.BenchFaster
	case g.Floor > MinEffect:
		g.Verdict = reports.BenchInconclusive
		g.Why = fmt.Sprintf("the same code differs by %.1f%% from itself, more than the %.0f%% that the gate looks for", 100*g.Floor, 100*MinEffect)
	default:
		g.Verdict = reports.BenchSame
	}
	return g
}

// verdict is that of the whole: one slower cell outweighs everything, and noise
// outweighs what is good.
func verdict(cells []reports.BenchCell) reports.BenchVerdict {
	rank := map[reports.BenchVerdict]int{reports.BenchSame: 1, reports.BenchFaster: 2, reports.BenchInconclusive: 3, reports.BenchSlower: 4}
	var out reports.BenchVerdict
	for i := range cells {
		if g := cells[i].Gate; g != nil && rank[g.Verdict] > rank[out] {
			out = g.Verdict
		}
	}
	return out
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(v))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}
