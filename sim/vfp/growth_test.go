package vfp

import (
	"fmt"
	"testing"
	"time"
)

// sizes are what growth is told by.
type sizes struct {
	slots, left [2]int // of indexes: slots, and those of the old ones that are still to be moved
	pages       int    // of arenas
	made        int    // pages of watch counters
}

func sizesOf(s *FlowStore, c *Cache) (z sizes) {
	for i, x := range []*index{&s.index, &c.v4.index} {
		if z.slots[i] = len(x.slots); x.old != nil {
			z.left[i] = len(x.old) - x.moved
		}
	}
	z.pages = len(s.hots.pages) + len(s.colds.pages) + len(c.v4.nodes.pages) + len(c.v4.states.pages) + len(c.rests4.pages)
	z.made = s.watch.next
	return z
}

// A table that doubles may not let one packet pay for all: each insertion moves
// a few slots, and copies a page of counters at most.
func TestNoInsertionPaysForTheGrowthOfATable(t *testing.T) {
	const flows = 200_000
	dst, layers := benchLayers("acl")
	r := newRig(flows, dst, layers...)
	cache := r.ports[0].Cache
	before := sizesOf(r.store, cache)
	doubled := 0
	for i := 0; i < flows; i++ {
		r.one(i)
		now := sizesOf(r.store, cache)
		for x := range now.slots {
			if now.slots[x] == before.slots[x] {
				if moved := before.left[x] - now.left[x]; moved > 2*movePerStep {
					t.Fatalf("flow %d moved %d slots of index %d", i, moved, x)
				}
				continue
			}
			// Two keys are inserted for each flow: what is left over when the
			// next doubling begins would have to be moved at once.
			if doubled++; before.left[x] > 2*movePerStep {
				t.Fatalf("flow %d: index %d doubles while %d slots are to be moved", i, x, before.left[x])
			}
		}
		if n := now.pages - before.pages; n > 5*bulkPages {
			t.Fatalf("flow %d: %d new pages", i, n)
		}
		if n := now.made - before.made; n > 1 {
			t.Fatalf("flow %d copied %d pages of counters", i, n)
		}
		before = now
	}
	if doubled < 20 || r.store.watch.next < flows*4>>watchBits || r.store.Len() != flows {
		t.Fatalf("%d doublings, %d pages of counters, %d flows: the test sees no growth", doubled, r.store.watch.next, r.store.Len())
	}
}

func TestWatchCountersKeepTheirCountsWhenTheyDouble(t *testing.T) {
	var w watch
	w.init()
	hashes := make([]uint32, 5000)
	for i := range hashes {
		hashes[i] = uint32(i) * 2654435761
		for range i % 7 {
			*w.of(hashes[i])++
		}
	}
	seen := make([]uint32, len(hashes))
	for i, h := range hashes {
		seen[i] = *w.of(h)
	}
	for live := 1; live < 100_000; live++ {
		w.grow(live)
		h := uint32(live) * 2654435761
		if at := live % len(hashes); *w.of(hashes[at]) != seen[at] {
			t.Fatalf("with %d flows: counter of %#x is %d, was %d", live, hashes[at], *w.of(hashes[at]), seen[at])
		} else if before := *w.of(h); live%1000 == 0 {
			if *w.of(h)++; *w.of(h) != before+1 {
				t.Fatalf("counter of %#x does not count", h)
			}
			for i, h := range hashes {
				seen[i] = *w.of(h)
			}
		}
	}
	if w.size() < 4*99_999/2 || w.next != len(w.pages) {
		t.Errorf("%d counters, %d of %d pages copied", w.size(), w.next, len(w.pages))
	}
	apart := map[*uint32]bool{}
	for i := range uint32(w.size()) {
		apart[w.of(i)] = true
	}
	if len(apart) != w.size() {
		t.Errorf("%d counters for %d hashes", len(apart), w.size())
	}
}

// Flows that have run out make room for new ones although nobody calls Age.
func TestLongWorldsReuseTheMemoryOfDeadFlows(t *testing.T) {
	dst, layers := benchLayers("acl")
	r := newRig(1<<20, dst, layers...)
	for round := range 50 {
		for i := range 1000 {
			r.one(round*1000 + i)
		}
		r.now += seconds(240)
	}
	if n, most := r.store.next, uint32(3000); n > most {
		t.Errorf("%d places for 1000 flows at a time, want %d at most", n, most)
	}
	if n := r.ports[0].Cache.v4.next; n > 3000 {
		t.Errorf("%d entries for 1000 flows at a time", n)
	}
}

// BenchmarkGrowth makes a million flows and reports the longest time that one of
// them took.
func BenchmarkGrowth(b *testing.B) {
	for _, flows := range []int{100_000, 1_000_000} {
		b.Run(fmt.Sprint(flows), func(b *testing.B) {
			for range b.N {
				dst, layers := benchLayers("acl")
				r := newRig(flows, dst, layers...)
				longest := time.Duration(0)
				for i := 0; i < flows; i++ {
					begun := time.Now()
					r.one(i)
					longest = max(longest, time.Since(begun))
				}
				b.ReportMetric(float64(longest.Microseconds()), "longest-us")
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*flows), "ns/flow")
			}
		})
	}
}
