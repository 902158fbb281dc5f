package histogram

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestPercentilesAreExactUpToTheBucket(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, scale := range []float64{1, 50, 1e3, 1e6, 1e12} {
		var h Log
		var all []float64
		for range 5000 {
			v := math.Floor(r.ExpFloat64() * scale)
			h.Add(v)
			all = append(all, v)
		}
		slices.Sort(all)
		for _, p := range []float64{0, 0.01, 0.5, 0.9, 0.99, 0.999, 1} {
			want := all[max(int(math.Ceil(p*float64(len(all))))-1, 0)]
			got := h.Percentile(p)
			if got < want || got > want*(1+1.0/perPower)+1 {
				t.Errorf("scale %g, p%g: %g, exactly %g", scale, 100*p, got, want)
			}
		}
		if h.Max() != all[len(all)-1] || h.Percentile(1) != h.Max() || h.Count() != uint64(len(all)) {
			t.Errorf("max %g of %g, count %d", h.Max(), all[len(all)-1], h.Count())
		}
	}
}

func TestEveryValueIsInItsBucket(t *testing.T) {
	for _, v := range []uint64{0, 1, 63, 64, 65, 66, 127, 128, 129, 1 << 20, 1<<20 + 1, 1<<40 - 1, math.MaxInt64} {
		i := bucket(v)
		if v > highest(i) || i > 0 && v <= highest(i-1) {
			t.Errorf("%d is in bucket %d, which is %d to %d", v, i, highest(i-1)+1, highest(i))
		}
	}
	if i := bucket(math.MaxUint64); i != size-1 {
		t.Errorf("the last bucket is %d of %d", i, size)
	}
}

func TestNothingHasNoPercentiles(t *testing.T) {
	var h Log
	if h.Percentile(0.5) != 0 || h.Max() != 0 {
		t.Error("an empty histogram has values")
	}
	h.Add(-3)
	if h.Percentile(0.5) != 0 || h.Count() != 1 {
		t.Error("a negative value is not zero")
	}
}
