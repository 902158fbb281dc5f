package vfp

// A Table is a bounded hash table for flows: open addressing with linear
// probing over slots of eight bytes, eight of them in a cache line, and the
// entries themselves in chunks that never move. So a pointer to an entry stays
// good while it lives, growing moves eight bytes a flow, and a probe reads an
// entry only when 32 bits of hash agree.
//
// Deletion shifts the rest of the cluster back: no tombstones, so lookups stay
// short however long the table lives. Growth is incremental: the old slots are
// kept beside the new and eight of them move with every insertion.
//
// Not safe for concurrent use. Order of entries is that of their identifiers,
// which follow from the sequence of operations alone.
type Table[K comparable, E any] struct {
	slots []slot
	mask  uint32

	old   []slot // being moved to slots, nil when done
	moved int    // old[:moved] has been dealt with

	chunks []*[chunkLen]node[K, E]
	next   uint32   // identifiers handed out so far
	free   []uint32 // of deleted entries, last in first out
	count  int
	limit  int
	hand   uint32 // sweep position
}

// slot refers to an entry: ref is its identifier plus one, zero when empty.
type slot struct{ tag, ref uint32 }

type node[K comparable, E any] struct {
	key  K
	e    E
	tag  uint32
	live bool
}

const (
	chunkBits = 8
	chunkLen  = 1 << chunkBits

	minSlots    = 16
	movePerStep = 8
	refMoved    = ^uint32(0) // old slot whose entry is found in the new slots
	noID        = ^uint32(0)
)

// NewTable makes a table of at most limit entries (at least one).
func NewTable[K comparable, E any](limit int) *Table[K, E] {
	return &Table[K, E]{slots: make([]slot, minSlots), mask: minSlots - 1, limit: max(limit, 1)}
}

// Len is the number of entries.
func (t *Table[K, E]) Len() int { return t.count }

// Full reports whether Insert would fail.
func (t *Table[K, E]) Full() bool { return t.count >= t.limit }

func (t *Table[K, E]) node(id uint32) *node[K, E] {
	return &t.chunks[id>>chunkBits][id&(chunkLen-1)]
}

// tagOf is the part of a hash that slots keep.
func tagOf(hash uint64) uint32 { return uint32(hash >> 32) }

// find returns the identifier of key's entry, or noID. tag is tagOf of the
// key's hash.
func (t *Table[K, E]) find(tag uint32, key *K) uint32 {
	slots, mask := t.slots, t.mask
	for i := tag & mask; ; i = (i + 1) & mask {
		s := slots[i]
		if s.ref == 0 {
			break
		}
		if s.tag == tag && t.node(s.ref-1).key == *key {
			return s.ref - 1
		}
	}
	if t.old == nil {
		return noID
	}
	return t.findOld(tag, key)
}

func (t *Table[K, E]) findOld(tag uint32, key *K) uint32 {
	mask := uint32(len(t.old) - 1)
	for i := tag & mask; t.old[i].ref != 0; i = (i + 1) & mask {
		s := t.old[i]
		if s.tag == tag && s.ref != refMoved && t.node(s.ref-1).key == *key {
			return s.ref - 1
		}
	}
	return noID
}

// Find returns the entry of key, whose hash is given, or nil.
func (t *Table[K, E]) Find(hash uint64, key *K) *E {
	id := t.find(tagOf(hash), key)
	if id == noID {
		return nil
	}
	return &t.node(id).e
}

// Insert adds an entry for a key that is not in the table and returns it with
// its identifier, or nil when the table is full. The entry's value is
// whatever was there before: the caller sets all of it.
func (t *Table[K, E]) Insert(hash uint64, key *K) (*E, uint32) {
	if t.count >= t.limit {
		return nil, noID
	}
	if t.old != nil {
		t.move(movePerStep)
	}
	if (t.count+1)*2 > len(t.slots) {
		t.grow()
	}
	id := t.next
	if n := len(t.free); n > 0 {
		id, t.free = t.free[n-1], t.free[:n-1]
	} else {
		t.next++
		if int(id>>chunkBits) == len(t.chunks) {
			t.chunks = append(t.chunks, new([chunkLen]node[K, E]))
		}
	}
	n := t.node(id)
	n.key, n.tag, n.live = *key, tagOf(hash), true
	t.place(slot{n.tag, id + 1})
	t.count++
	return &n.e, id
}

func (t *Table[K, E]) place(s slot) {
	i := s.tag & t.mask
	for t.slots[i].ref != 0 {
		i = (i + 1) & t.mask
	}
	t.slots[i] = s
}

// grow starts moving to twice the slots. A move still under way is finished
// first; with movePerStep at eight that does not happen, as the table doubles
// only after as many insertions as old slots.
func (t *Table[K, E]) grow() {
	if t.old != nil {
		t.move(len(t.old))
	}
	t.old, t.moved = t.slots, 0
	t.slots = make([]slot, 2*len(t.old))
	t.mask = uint32(len(t.slots) - 1)
}

func (t *Table[K, E]) move(n int) {
	end := min(t.moved+n, len(t.old))
	for ; t.moved < end; t.moved++ {
		s := &t.old[t.moved]
		if s.ref != 0 && s.ref != refMoved {
			t.place(*s)
			s.ref = refMoved
		}
	}
	if t.moved == len(t.old) {
		t.old = nil
	}
}

// Delete removes the entry with the identifier, which must be live.
func (t *Table[K, E]) Delete(id uint32) {
	n := t.node(id)
	if !n.live {
		panic("vfp: entry of a flow table deleted twice")
	}
	n.live = false
	t.free = append(t.free, id)
	t.count--
	for i := n.tag & t.mask; t.slots[i].ref != 0; i = (i + 1) & t.mask {
		if t.slots[i].ref == id+1 {
			t.shiftBack(i)
			return
		}
	}
	mask := uint32(len(t.old) - 1)
	for i := n.tag & mask; ; i = (i + 1) & mask {
		if t.old[i].ref == id+1 {
			t.old[i].ref = refMoved // the cluster must not break, and old slots are gone soon
			return
		}
	}
}

// shiftBack empties slot i and moves every later slot of the cluster that may
// go there, so that no probe meets a gap in front of what it looks for.
func (t *Table[K, E]) shiftBack(i uint32) {
	for j := (i + 1) & t.mask; t.slots[j].ref != 0; j = (j + 1) & t.mask {
		home := t.slots[j].tag & t.mask
		if (j-home)&t.mask >= (j-i)&t.mask {
			t.slots[i] = t.slots[j]
			i = j
		}
	}
	t.slots[i] = slot{}
}

// sweep looks at up to n identifiers, beginning where the last sweep ended,
// and deletes the entries for which dead holds. It reports how many.
func (t *Table[K, E]) sweep(n int, dead func(*E) bool) int {
	deleted := 0
	for n = min(n, int(t.next)); n > 0; n-- {
		if t.hand >= t.next {
			t.hand = 0
		}
		if nd := t.node(t.hand); nd.live && dead(&nd.e) {
			t.Delete(t.hand)
			deleted++
		}
		t.hand++
	}
	return deleted
}
