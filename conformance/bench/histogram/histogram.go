package histogram

import (
	"math"
	"math/bits"
)

// Buckets: values below 64 have one each; above, every power of two is divided
// into 32, which bounds the relative error of a percentile by 1/32.
const (
	exact    = 64
	perPower = 32
	size     = exact + (64-6)*perPower
)

// Log counts values that are not negative. The zero value is empty. Not safe
// for concurrent use.
type Log struct {
	counts [size]uint64
	n      uint64
	max    float64
}

// Add counts one value; negative ones count as zero, the fraction is cut off.
func (h *Log) Add(v float64) {
	v = max(v, 0)
	h.counts[bucket(uint64(min(v, math.MaxInt64)))]++
	h.n++
	h.max = max(h.max, v)
}

// Count is the number of values.
func (h *Log) Count() uint64 { return h.n }

// Max is the largest value, exactly.
func (h *Log) Max() float64 { return h.max }

// Percentile is a value that at least the share p of all values does not
// exceed, up to the width of its bucket; 0 for an empty histogram.
func (h *Log) Percentile(p float64) float64 {
	if h.n == 0 {
		return 0
	}
	rank := uint64(math.Ceil(p * float64(h.n)))
	rank = min(max(rank, 1), h.n)
	seen := uint64(0)
	for i, c := range h.counts {
		if seen += c; seen >= rank {
			return min(float64(highest(i)), h.max)
		}
	}
	return h.max
}

func bucket(v uint64) int {
	if v < exact {
		return int(v)
	}
	power := bits.Len64(v) - 1 // at least 6
	return exact + (power-6)*perPower + int(v>>(power-5))&(perPower-1)
}

// highest is the largest value of a bucket.
func highest(i int) uint64 {
	if i < exact {
		return uint64(i)
	}
	power, part := (i-exact)/perPower+6, uint64((i-exact)%perPower)
	return (perPower+part+1)<<(power-5) - 1
}
