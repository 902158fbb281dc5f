package winnat

import (
	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// table is an open-addressed hash table from flow keys to non-zero numbers,
// with a value V beside each: power of two slots, at most half of them used,
// linear probing, deletion by moving later entries back. A lookup costs about
// half of a Go map's (BenchmarkTable) and allocates nothing. There is no way to
// iterate: order must not reach an observable.
//
// Growth is incremental, so that no packet waits for it: the old slots stay
// beside the new ones, and a few of them move with every new key.
//
//	slots  [   a   b ...   ]      what is new, and what has moved
//	old    [ - - | c   d ]        searched when a key is not in slots
//	           moved
type table[V any] struct {
	slots []slot[V]
	n     int // entries in both

	old   []slot[V] // being moved to slots, nil when done
	moved int       // old[:moved] has been dealt with
}

type slot[V any] struct {
	v   V
	k   wire.Key4
	num uint32 // 0: the slot is free
}

// numbers is a table with nothing beside the numbers.
type numbers = table[struct{}]

const (
	minSlots = 16
	// movePerStep old slots move with every new key. A table doubles after as
	// many new keys as it had entries, half the old slots: two would do.
	movePerStep = 4
	gone        = ^uint32(0) // number of an old slot whose entry has moved or is deleted
)

// home says where a key belongs, modulo the slots. The low half of the hash
// would not do: of keys that differ in their ports, as those of one container
// do, half miss their place by it, and a fifth by the high half.
func home(k wire.Key4) uint64 { return k.Hash() >> 32 }

// get returns the number under k, 0 if there is none.
func (t *table[V]) get(k wire.Key4) uint32 {
	if s := t.find(k); s != nil {
		return s.num
	}
	return 0
}

// find returns the slot of k, nil if there is none. It is good until the next
// put or del.
func (t *table[V]) find(k wire.Key4) *slot[V] { return t.findAt(k, home(k)) }

// findAt is find for a key whose home is known.
func (t *table[V]) findAt(k wire.Key4, home uint64) *slot[V] {
	slots := t.slots
	if len(slots) == 0 {
		return nil
	}
	for i := home; ; i++ {
		s := &slots[i&uint64(len(slots)-1)]
		if s.num == 0 {
			break
		}
		if s.k == k {
			return s
		}
	}
	if t.old == nil {
		return nil
	}
	return t.findOld(k)
}

//go:noinline
func (t *table[V]) findOld(k wire.Key4) *slot[V] {
	mask := uint64(len(t.old) - 1)
	for i := home(k) & mask; ; i = (i + 1) & mask {
		s := &t.old[i]
		if s.num == 0 {
			return nil
		}
		if s.num != gone && s.k == k {
			return s
		}
	}
}

// put stores num, which is neither 0 nor the largest, under k. Its value is
// zero if the key is new.
func (t *table[V]) put(k wire.Key4, num uint32) *slot[V] {
	s := t.find(k)
	if s == nil {
		s = t.add(k)
	}
	s.num = num
	return s
}

// add makes the slot of a key that is not there, whose number the caller has
// to set.
func (t *table[V]) add(k wire.Key4) *slot[V] {
	if t.old != nil {
		t.move(movePerStep)
	}
	if 2*(t.n+1) > len(t.slots) {
		t.growSlow()
	}
	t.n++
	s := t.place(k)
	s.k = k
	return s
}

// place is the free slot for k.
func (t *table[V]) place(k wire.Key4) *slot[V] {
	mask := uint64(len(t.slots) - 1)
	i := home(k) & mask
	for t.slots[i].num != 0 {
		i = (i + 1) & mask
	}
	return &t.slots[i]
}

//go:noinline
func (t *table[V]) growSlow() {
	t.move(len(t.old) - t.moved) // nothing is left, see movePerStep
	t.old, t.moved = t.slots, 0
	if len(t.old) == 0 {
		t.old = nil
	}
	t.slots = vfp.MakeHuge[slot[V]](max(minSlots, 2*len(t.old)))
}

// move deals with the next n old slots.
func (t *table[V]) move(n int) {
	for end := min(t.moved+n, len(t.old)); t.moved < end; t.moved++ {
		if s := &t.old[t.moved]; s.num != 0 && s.num != gone {
			*t.place(s.k) = *s
			s.num = gone
		}
	}
	if t.moved == len(t.old) {
		t.old, t.moved = nil, 0
	}
}

// del removes k if it is there.
func (t *table[V]) del(k wire.Key4) {
	s := t.find(k)
	if s == nil {
		return
	}
	t.n--
	mask := uint64(len(t.slots) - 1)
	i := home(k) & mask
	for &t.slots[i] != s {
		if t.slots[i].num == 0 {
			s.num = gone // an old one: probes must not end here, and it is gone soon
			return
		}
		i = (i + 1) & mask
	}
	// Close the gap: an entry further on may fill it unless its home lies
	// behind the gap, for then a probe would no longer pass the entry.
	for j := i; ; {
		t.slots[i] = slot[V]{}
		for {
			j = (j + 1) & mask
			if t.slots[j].num == 0 {
				return
			}
			home := home(t.slots[j].k) & mask
			if (j-home)&mask >= (j-i)&mask {
				break
			}
		}
		t.slots[i] = t.slots[j]
		i = j
	}
}
