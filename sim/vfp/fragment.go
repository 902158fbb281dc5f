package vfp

// FragmentIdle is how long the ports of a fragmented datagram are remembered.
const FragmentIdle = int64(30e9)

// fragTable remembers the ports of datagrams whose first fragment has been
// seen at a port, so that later fragments, which have none, find the same
// layer flows and rules as the first: they get the same translation.
//
// Fragments are not held back. One that comes before its first fragment is
// judged by its addresses alone, and dropped by a DynNAT rule, as VFP has
// nothing to translate it with. Walks of fragments are never cached.
//
// At its limit the table forgets the datagram that it has known for longest.
type fragTable struct {
	byID  *Table[flowKey, fragPorts]
	queue []uint32 // entries in the order of their making, a ring
	head  int
}

type fragPorts struct {
	ports uint32
	seen  int64
}

func (t *fragTable) init(limit int) {
	t.byID = NewTable[flowKey, fragPorts](limit)
}

// key is the datagram's: addresses, protocol, identification and direction.
func (t *fragTable) key(w *Walk) flowKey {
	k := flowKey{tuple: tupleOf(&w.H), dir: w.Dir}
	k.ports = w.meta().FragmentID(w.frame())
	return k
}

// learn notes the ports of a first fragment.
func (t *fragTable) learn(w *Walk) {
	k := t.key(w)
	e := t.byID.Find(k.hash(), &k)
	if e == nil {
		if t.byID.Full() {
			t.byID.Delete(t.queue[t.head])
			t.queue[t.head] = noID
		}
		var id uint32
		e, id = t.byID.Insert(k.hash(), &k)
		if len(t.queue) < t.byID.limit {
			t.queue = append(t.queue, id)
		} else {
			t.queue[t.head] = id
			t.head = (t.head + 1) % len(t.queue)
		}
	}
	*e = fragPorts{uint32(w.H.SrcPort)<<16 | uint32(w.H.DstPort), w.Now}
}

// recall gives a later fragment the ports of its first.
func (t *fragTable) recall(w *Walk) bool {
	k := t.key(w)
	e := t.byID.Find(k.hash(), &k)
	if e == nil || w.Now-e.seen >= FragmentIdle {
		return false
	}
	w.H.SrcPort, w.H.DstPort = uint16(e.ports>>16), uint16(e.ports)
	return true
}
