package vfp

import "github.com/hnsim/hnsim/sim/wire"

// A packet that finds a quick entry writes to that entry and to nothing else:
// how many packets there were and when the last one came. What its layer flows
// would have noted follows from that, and they are told when somebody asks
// (settle). For this a layer flow knows the entries that depend on it, its
// dependents, and the entry knows
//
//   - that its layer flows live: one that ends takes its dependents with it
//     (forsake),
//   - that none has run out, if its own last packet is not as long ago as the
//     shortest of their idle times,
//   - that the packet leaves the TCP tracker as it is: no SYN, FIN or RST, on
//     connections that are not opening.
//
// If any of this is missing, the packet looks at the layer flows and touches
// them itself (quickTouch).

// dependent is an IPv4 entry of a cache, by number, plus one; zero is none. It
// may name an entry that has made room for another: to settle an entry changes
// nothing that anybody sees, and one too many is forsaken at the price of a
// lookup.
type dependent struct{ cache, entry uint32 }

// loudFlags are those that may move the tracker of a connection that is open.
const loudFlags = wire.TCPSyn | wire.TCPFin | wire.TCPRst

// register gives a cache its number.
func (s *FlowStore) register(c *Cache) {
	if n := len(s.freeCaches); n > 0 {
		c.num, s.freeCaches = s.freeCaches[n-1], s.freeCaches[:n-1]
		s.caches[c.num] = c
		return
	}
	c.num = uint32(len(s.caches))
	s.caches = append(s.caches, c)
}

// close tells layer flows of other ports all that they have to know.
func (c *Cache) close() {
	if c.store.caches[c.num] != c {
		return
	}
	for id := range c.v4.next {
		c.settle(id)
	}
	c.store.caches[c.num] = nil
	c.store.freeCaches = append(c.store.freeCaches, c.num)
}

// enlist makes the entry a dependent of all its layer flows, if their trackers
// are past the opening. It takes the place of an older one if it must, which
// goes back to touching.
func (c *Cache) enlist(id uint32, e *Entry, r *rest) {
	refs := r.refs[:r.nRefs]
	idle := int64(1<<63 - 1)
	for _, f := range refs {
		h := c.store.hot(f.id >> 1)
		if h.tcp && h.state == tcpOpening {
			return
		}
		idle = min(idle, h.ruleIdle)
		if h.tcp {
			idle = min(idle, TCPClosingIdle)
		}
	}
	e.idle = uint32(min(idle>>20, 1<<32-1))
	self := dependent{c.num + 1, id + 1}
	for _, f := range refs {
		c.store.cold(f.id>>1).enlist(c.store, self)
	}
	e.kind &^= quickTouch
}

func (c *flowCold) enlist(s *FlowStore, d dependent) {
	for i := range c.deps {
		if c.deps[i] == d || c.deps[i].entry == 0 {
			c.deps[i] = d
			return
		}
	}
	if old, o := s.dependent(c.deps[0]); o != nil {
		old.settle(c.deps[0].entry - 1)
		o.kind |= quickTouch
	}
	copy(c.deps[:], c.deps[1:])
	c.deps[len(c.deps)-1] = d
}

// dependent is the entry, and the cache that it is in, if it is there.
func (s *FlowStore) dependent(d dependent) (*Cache, *Entry) {
	if d.entry == 0 || s.caches[d.cache-1] == nil {
		return nil, nil
	}
	c := s.caches[d.cache-1]
	if d.entry > c.v4.next {
		return nil, nil
	}
	return c, &c.v4.node(d.entry - 1).e
}

// settle tells the entry's layer flows of the packets since the last time.
func (c *Cache) settle(id uint32) {
	e := &c.v4.node(id).e
	n := e.Packets - e.settled
	if n == 0 {
		return
	}
	e.settled = e.Packets
	r := c.rests4.at(id)
	for _, f := range r.refs[:r.nRefs] {
		if h := c.store.hot(f.id >> 1); h.gen == f.slot {
			h.seen = max(h.seen, e.seen)
			h.packets[f.id&1] += n
		}
	}
}

// settle brings a layer flow up to date.
func (s *FlowStore) settle(id uint32) {
	for _, d := range s.cold(id).deps {
		if c, _ := s.dependent(d); c != nil {
			c.settle(d.entry - 1)
		}
	}
}

// expired reports whether a layer flow has run out.
func (s *FlowStore) expired(id uint32, now int64) bool {
	h := s.hot(id)
	if !h.expired(now) {
		return false
	}
	s.settle(id)
	return h.expired(now)
}

// forsake makes the dependents of a layer flow that ends look for another way.
func (s *FlowStore) forsake(f *flowCold) {
	for _, d := range f.deps {
		if c, e := s.dependent(d); c != nil {
			c.settle(d.entry - 1)
			e.limit = 0
		}
	}
}

// touch records a packet with the layer flows itself.
func (c *Cache) touch(e *Entry, r *rest, now int64, flags uint8) {
	for _, f := range r.refs[:r.nRefs] {
		c.store.hot(f.id>>1).touch(now, uint8(f.id&1), flags)
	}
	e.settled++
}
