package vfp

// A Table is a bounded hash table for flows. Entries lie in an arena: a pointer
// to one of the first stays good until the next Insert, others while they live.
//
// Not safe for concurrent use. Order of entries is that of their identifiers,
// which follow from the sequence of operations alone.
type Table[K comparable, E any] struct {
	index
	nodes  arena[node[K, E]]
	states arena[nodeState]
	next   uint32   // identifiers handed out so far
	free   []uint32 // of deleted entries, last in first out
	limit  int
	hand   uint32 // sweep position
}

type node[K comparable, E any] struct {
	key K
	e   E
}

// nodeState is what lookups do not need.
type nodeState struct {
	tag  uint32
	live bool
}

// NewTable makes a table of at most limit entries (at least one).
func NewTable[K comparable, E any](limit int) *Table[K, E] {
	t := &Table[K, E]{limit: max(limit, 1)}
	t.index.init()
	return t
}

// Len is the number of entries.
func (t *Table[K, E]) Len() int { return t.count }

// Full reports whether Insert would fail.
func (t *Table[K, E]) Full() bool { return t.count >= t.limit }

func (t *Table[K, E]) node(id uint32) *node[K, E] {
	return t.nodes.at(id)
}

// guess is the number of an entry with the hash, plus one, zero if none is found
// at once.
func (t *Table[K, E]) guess(hash uint64) uint32 {
	tag := tagOf(hash)
	i := tag & t.mask
	for t.slots[i].tag != tag && t.slots[i].ref != 0 {
		i = (i + 1) & t.mask
	}
	return t.slots[i].ref
}

// find returns the node of a key and its number, or nil. tag is tagOf of the
// key's hash.
func (t *Table[K, E]) find(tag uint32, key *K) (*node[K, E], uint32) {
	slots, mask := t.slots, t.mask
	for i := tag & mask; ; i = (i + 1) & mask {
		s := slots[i]
		if s.ref == 0 {
			break
		}
		if s.tag == tag {
			if n := t.node(s.ref - 1); n.key == *key {
				return n, s.ref - 1
			}
		}
	}
	if t.old == nil {
		return nil, noID
	}
	return t.findOld(tag, key)
}

func (t *Table[K, E]) findOld(tag uint32, key *K) (*node[K, E], uint32) {
	slots, mask, i := t.oldSlots(tag)
	for ; slots[i].ref != 0; i = (i + 1) & mask {
		if s := slots[i]; s.tag == tag && s.ref != refMoved {
			if n := t.node(s.ref - 1); n.key == *key {
				return n, s.ref - 1
			}
		}
	}
	return nil, noID
}

// Find returns the entry of key, whose hash is given, or nil.
func (t *Table[K, E]) Find(hash uint64, key *K) *E {
	n, _ := t.find(tagOf(hash), key)
	if n == nil {
		return nil
	}
	return &n.e
}

// Insert adds an entry for a key that is not in the table and returns it with
// its identifier, or nil when the table is full. The entry's value is
// whatever was there before: the caller sets all of it.
func (t *Table[K, E]) Insert(hash uint64, key *K) (*E, uint32) {
	if t.count >= t.limit {
		return nil, noID
	}
	id := t.next
	if n := len(t.free); n > 0 {
		id, t.free = t.free[n-1], t.free[:n-1]
	} else {
		t.next++
		t.nodes.grow(id)
		t.states.grow(id)
	}
	n := t.node(id)
	n.key = *key
	*t.states.at(id) = nodeState{tagOf(hash), true}
	t.insert(tagOf(hash), id)
	return &n.e, id
}

// Delete removes the entry with the identifier, which must be live.
func (t *Table[K, E]) Delete(id uint32) {
	n, state := t.node(id), t.states.at(id)
	if !state.live {
		panic("vfp: entry of a flow table deleted twice")
	}
	var none K
	state.live, n.key = false, none // whoever remembers the identifier must not take it for the key's
	t.free = append(t.free, id)
	t.remove(state.tag, id)
}

// sweep looks at up to n identifiers, beginning where the last sweep ended,
// and deletes the entries for which dead holds. It reports how many.
func (t *Table[K, E]) sweep(n int, dead func(id uint32, e *E) bool) int {
	deleted := 0
	for n = min(n, int(t.next)); n > 0; n-- {
		if t.hand >= t.next {
			t.hand = 0
		}
		if t.states.at(t.hand).live && dead(t.hand, &t.node(t.hand).e) {
			t.Delete(t.hand)
			deleted++
		}
		t.hand++
	}
	return deleted
}
