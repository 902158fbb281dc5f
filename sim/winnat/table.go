package winnat

import (
	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// table is an open-addressed hash table from flow keys to non-zero numbers:
// power of two slots, at most half of them used, linear probing, deletion by
// moving later entries back. A lookup costs about half of a Go map's
// (BenchmarkTable) and allocates nothing. There is no way to iterate: order
// must not reach an observable.
type table struct {
	slots []slot
	n     int
}

type slot struct {
	k wire.Key4
	v uint32 // 0: the slot is free
}

const minSlots = 16

// get returns the value under k, 0 if there is none.
func (t *table) get(k wire.Key4) uint32 {
	if len(t.slots) == 0 {
		return 0
	}
	mask := uint64(len(t.slots) - 1)
	for i := k.Hash() & mask; ; i = (i + 1) & mask {
		s := &t.slots[i]
		if s.v == 0 || s.k == k {
			return s.v
		}
	}
}

// put stores v, which is not 0, under k.
func (t *table) put(k wire.Key4, v uint32) {
	if 2*(t.n+1) > len(t.slots) {
		t.growSlow()
	}
	if t.insert(k, v) {
		t.n++
	}
}

func (t *table) insert(k wire.Key4, v uint32) (added bool) {
	mask := uint64(len(t.slots) - 1)
	for i := k.Hash() & mask; ; i = (i + 1) & mask {
		s := &t.slots[i]
		if s.v == 0 || s.k == k {
			added = s.v == 0
			s.k, s.v = k, v
			return added
		}
	}
}

//go:noinline
func (t *table) growSlow() {
	old := t.slots
	t.slots = vfp.MakeHuge[slot](max(minSlots, 2*len(old)))
	for i := range old {
		if old[i].v != 0 {
			t.insert(old[i].k, old[i].v)
		}
	}
}

// del removes k if it is there.
func (t *table) del(k wire.Key4) {
	if len(t.slots) == 0 {
		return
	}
	mask := uint64(len(t.slots) - 1)
	i := k.Hash() & mask
	for t.slots[i].k != k || t.slots[i].v == 0 {
		if t.slots[i].v == 0 {
			return
		}
		i = (i + 1) & mask
	}
	t.n--
	// Close the gap: an entry further on may fill it unless its home lies
	// behind the gap, for then a probe would no longer pass the entry.
	for j := i; ; {
		t.slots[i] = slot{}
		for {
			j = (j + 1) & mask
			if t.slots[j].v == 0 {
				return
			}
			home := t.slots[j].k.Hash() & mask
			if (j-home)&mask >= (j-i)&mask {
				break
			}
		}
		t.slots[i] = t.slots[j]
		i = j
	}
}
