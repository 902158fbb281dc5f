package fabric

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hnsim/hnsim/sim/vfp"
)

func TestLinksTakeTheirTime(t *testing.T) {
	tests := []struct {
		name string
		cfg  LinkConfig
		want []int64 // arrivals of four frames of 1000 bytes, sent at once, in microseconds
	}{
		{"at once", LinkConfig{}, []int64{0, 0, 0, 0}},
		{"with delay", LinkConfig{Delay: 5 * time.Millisecond}, []int64{5000, 5000, 5000, 5000}},
		{"at 8 Mb/s", LinkConfig{RateBps: 8e6}, []int64{1000, 2000, 3000, 4000}},
		{"at 8 Mb/s with delay", LinkConfig{RateBps: 8e6, Delay: time.Millisecond}, []int64{2000, 3000, 4000, 5000}},
		{"with room for one in the queue", LinkConfig{RateBps: 8e6, QueueBytes: 1000}, []int64{1000, 2000}},
		{"all lost", LinkConfig{Loss: 1}, nil},
		{"all late", LinkConfig{Delay: time.Millisecond, Reorder: 1}, []int64{2000, 2000, 2000, 2000}},
		{"all late without delay", LinkConfig{Reorder: 1}, []int64{1000, 1000, 1000, 1000}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newLink(1, "l")
			l.cfg = tt.cfg
			var got []int64
			for range 4 {
				if at, why := l.carry(0, 1000); why == vfp.DropNone {
					got = append(got, at/1000)
				}
			}
			if fmt.Sprint(got) != fmt.Sprint(tt.want) {
				t.Errorf("arrivals %v, want %v", got, tt.want)
			}
		})
	}
}

func TestLossIsAsFrequentAsConfigured(t *testing.T) {
	l := newLink(7, "l")
	l.cfg.Loss = 0.01
	lost := 0
	for range 100_000 {
		if _, why := l.carry(0, 100); why == vfp.DropLinkLoss {
			lost++
		}
	}
	if lost < 900 || lost > 1100 {
		t.Errorf("%d of 100000 lost at 1 %%", lost)
	}
}

func TestALinksFaultsDependOnItsOwnNameAndTheSeed(t *testing.T) {
	pattern := func(seed uint64, name string) string {
		l := newLink(seed, name)
		l.cfg.Loss = 0.5
		var b strings.Builder
		for range 64 {
			_, why := l.carry(0, 100)
			fmt.Fprint(&b, why == vfp.DropNone, " ")
		}
		return b.String()
	}
	one := pattern(1, "a tx")
	if again := pattern(1, "a tx"); again != one {
		t.Error("the same link has other faults")
	}
	if one == pattern(1, "a rx") || one == pattern(2, "a tx") {
		t.Error("different links or seeds have the same faults")
	}
}
