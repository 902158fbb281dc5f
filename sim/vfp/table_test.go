package vfp

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func hashOf(k uint64) uint64 { return mix(k, k) }

// weak hashes collide on purpose: clusters grow long and wrap around.
func weak(k uint64) uint64 { return k % 13 << 32 }

func TestATableIsAMap(t *testing.T) {
	tests := []struct {
		name  string
		hash  func(uint64) uint64
		keys  int
		limit int
		steps int
	}{
		{"growing and shrinking", hashOf, 5000, 1 << 20, 60_000},
		{"colliding", weak, 150, 1 << 20, 20_000},
		{"colliding at the end of the slots", func(k uint64) uint64 { return (^k % 3) << 32 }, 60, 1 << 20, 5_000},
		{"at its limit", hashOf, 300, 100, 20_000},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, uint64(tt.keys)))
			tab := NewTable[uint64, int](tt.limit)
			model := map[uint64]int{}
			ids := map[uint64]uint32{}
			for step := range tt.steps {
				k := rng.Uint64N(uint64(tt.keys))
				_, known := model[k]
				// Phases of mostly insertions and of mostly deletions.
				insert := rng.IntN(10) < 8
				if step/(tt.steps/4)%2 == 1 {
					insert = !insert
				}
				switch {
				case !known && insert:
					e, id := tab.Insert(tt.hash(k), &k)
					if (e == nil) != (len(model) >= tt.limit) {
						t.Fatalf("step %d: insert with %d of %d entries: %v", step, len(model), tt.limit, e)
					}
					if e != nil {
						*e = step
						model[k], ids[k] = step, id
					}
				case known && !insert:
					tab.Delete(ids[k])
					delete(model, k)
					delete(ids, k)
				}
				probe := rng.Uint64N(uint64(tt.keys))
				e, want := tab.Find(tt.hash(probe), &probe), model[probe]
				if _, ok := model[probe]; (e != nil) != ok || ok && *e != want {
					t.Fatalf("step %d: find %d: %v, want %d %v", step, probe, e, want, ok)
				}
				if tab.Len() != len(model) {
					t.Fatalf("step %d: %d entries, want %d", step, tab.Len(), len(model))
				}
				if 2*tab.Len() > len(tab.slots) {
					t.Fatalf("step %d: %d entries in %d slots", step, tab.Len(), len(tab.slots))
				}
			}
			for k, v := range model {
				if e := tab.Find(tt.hash(k), &k); e == nil || *e != v {
					t.Errorf("key %d is lost", k)
				}
			}
		})
	}
}

func TestPointersToEntriesSurviveGrowth(t *testing.T) {
	tab := NewTable[uint64, int](1 << 20)
	for k := range uint64(sheetLen) { // until then they may move
		tab.Insert(hashOf(k+1e6), &[]uint64{k + 1e6}[0])
	}
	k := uint64(1)
	first, _ := tab.Insert(hashOf(k), &k)
	*first = 42
	for k := range uint64(10_000) {
		k += 2
		e, _ := tab.Insert(hashOf(k), &k)
		*e = 0
	}
	if again := tab.Find(hashOf(k), &k); again != first || *again != 42 {
		t.Error("the entry moved")
	}
}

func TestSweepVisitsEveryEntryOnce(t *testing.T) {
	tab := NewTable[uint64, uint64](1 << 20)
	for k := range uint64(1000) {
		e, _ := tab.Insert(hashOf(k), &k)
		*e = k
	}
	var seen []uint64
	for range 10 {
		tab.sweep(100, func(_ uint32, e *uint64) bool {
			seen = append(seen, *e)
			return *e%2 == 0
		})
	}
	slices.Sort(seen)
	if len(seen) != 1000 || len(slices.Compact(seen)) != 1000 || tab.Len() != 500 {
		t.Errorf("visited %d, left %d", len(seen), tab.Len())
	}
}

func TestDeletingTwicePanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	tab := NewTable[uint64, int](4)
	k := uint64(1)
	_, id := tab.Insert(1, &k)
	tab.Delete(id)
	tab.Delete(id)
}
