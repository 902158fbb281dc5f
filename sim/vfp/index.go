package vfp

// An index is the hashed half of a table: open addressing with linear probing
// over slots of eight bytes, eight of them in a cache line. It maps 32 bits of
// hash to a number; whoever owns it keeps the keys and compares them, which
// happens only where those 32 bits agree.
//
// Deletion shifts the rest of the cluster back: no tombstones, so lookups stay
// short however long the table lives. Growth is incremental: the old slots are
// kept beside the new and eight of them move with every insertion.
type index struct {
	slots []slot
	mask  uint32
	count int

	old   []slot // being moved to slots, nil when done
	moved int    // old[:moved] has been dealt with
}

// slot holds a number plus one in ref; zero is empty.
type slot struct{ tag, ref uint32 }

const (
	minSlots    = 16
	movePerStep = 8
	refMoved    = ^uint32(0) // old slot whose number is found in the new slots
	noID        = ^uint32(0)
)

func (x *index) init() {
	x.slots = make([]slot, minSlots)
	x.mask = minSlots - 1
}

// tagOf is the part of a hash that slots keep.
func tagOf(hash uint64) uint32 { return uint32(hash >> 32) }

// insert adds a number. The caller has made sure that its key is not there.
func (x *index) insert(tag, n uint32) {
	if x.old != nil {
		x.move(movePerStep)
	}
	if (x.count+1)*2 > len(x.slots) {
		x.grow()
	}
	x.place(slot{tag, n + 1})
	x.count++
}

func (x *index) place(s slot) {
	i := s.tag & x.mask
	for x.slots[i].ref != 0 {
		i = (i + 1) & x.mask
	}
	x.slots[i] = s
}

// grow starts moving to twice the slots. A move still under way is finished
// first; with movePerStep at eight that does not happen, as the table doubles
// only after as many insertions as old slots.
func (x *index) grow() {
	if x.old != nil {
		x.move(len(x.old))
	}
	x.old, x.moved = x.slots, 0
	x.slots = MakeHuge[slot](2 * len(x.old))
	x.mask = uint32(len(x.slots) - 1)
}

func (x *index) move(n int) {
	end := min(x.moved+n, len(x.old))
	for ; x.moved < end; x.moved++ {
		s := &x.old[x.moved]
		if s.ref != 0 && s.ref != refMoved {
			x.place(*s)
			s.ref = refMoved
		}
	}
	if x.moved == len(x.old) {
		x.old = nil
	}
}

// remove deletes a number that was inserted with the tag.
func (x *index) remove(tag, n uint32) {
	x.count--
	for i := tag & x.mask; x.slots[i].ref != 0; i = (i + 1) & x.mask {
		if x.slots[i].ref == n+1 {
			x.shiftBack(i)
			return
		}
	}
	mask := uint32(len(x.old) - 1)
	for i := tag & mask; i < uint32(len(x.old)) && x.old[i].ref != 0; i = (i + 1) & mask {
		if x.old[i].ref == n+1 {
			x.old[i].ref = refMoved // the cluster must not break, and old slots are gone soon
			return
		}
	}
	panic("vfp: removing a flow that is not in the index")
}

// shiftBack empties slot i and moves every later slot of the cluster that may
// go there, so that no probe meets a gap in front of what it looks for.
func (x *index) shiftBack(i uint32) {
	for j := (i + 1) & x.mask; x.slots[j].ref != 0; j = (j + 1) & x.mask {
		home := x.slots[j].tag & x.mask
		if (j-home)&x.mask >= (j-i)&x.mask {
			x.slots[i] = x.slots[j]
			i = j
		}
	}
	x.slots[i] = slot{}
}

// oldSlots returns what is left of the old slots, and where a probe starts.
func (x *index) oldSlots(tag uint32) (slots []slot, mask, at uint32) {
	if x.old == nil {
		return emptySlots[:], 0, 0
	}
	mask = uint32(len(x.old) - 1)
	return x.old, mask, tag & mask
}

var emptySlots [1]slot
