package vfp

import (
	"github.com/hnsim/hnsim/sim/wire"
)

// Cache is the unified flow table of one port (rule VFP-06): outcomes of whole
// walks of packets that entered through the port, by the packets' exact
// headers. It changes no outcome, only what finding it costs (VFP-12).
//
// An entry is used while
//   - the switch's generation is the one that it was made under,
//   - every layer flow that the walk touched lives, and none of them is to be
//     replaced by the new connection that the packet opens,
//   - no layer flow has been made for a tuple for which a stateful layer had
//     none, and
//   - the frame is no longer than Walk.MaxLen, if that was set.
//
// Otherwise Lookup misses, the packet walks, and Install replaces the entry.
//
// Not safe for concurrent use.
type Cache struct {
	store  *FlowStore
	num    uint32 // of the store
	v4     *Table[key4, Entry]
	v6     *Table[key6, Entry]
	rests4 arena[rest]
	rests6 arena[rest]
	outers *Table[outerID, uint32]
	last   outerID // the tunnel of the packet before, and its number
	lastID uint32
	ports  []uint16 // UDP ports that mean VXLAN
	// The first of them, and whether there are more: most packets are to none.
	port      uint16
	morePorts bool

	plainLast plainOuter // as last and lastID, of plain packets
	plainID   uint32

	Stats CacheStats

	// A NIC that carries flows counts the hits from SetOffload on.
	offload    bool
	offloaded  uint64 // hits that were a NIC's, until it was last switched off
	hitsBefore uint64 // hits that were not, while it is on
}

// CacheStats counts lookups and what came of them.
type CacheStats struct {
	Hits, Misses uint64
	Quick        uint64 // of the hits: plain packets with quick outcomes
	Stale        uint64 // misses although there was an entry
	Installs     uint64
	Full         uint64 // installs for which there was no room (rule VFP-10)
}

// Entry is what every packet of a cached flow needs. With the IPv4 key in front
// it fills two cache lines, the first of which decides whether the entry holds.
type Entry struct {
	seen    int64  // last packet
	gen     uint32 // of the switch
	epoch   uint32 // FlowStore.published when the watch counters were last compared
	idle    uint32 // see enlist; in units of seenAt
	Packets uint32 // wraps
	out     PortID
	limit   uint16 // longest plain frame that the quick outcome is for; 0: there is none
	kind    quickKind
	ttl     uint8 // hops to take off

	quick   quick
	settled uint32 // of Packets, how many the layer flows have been told of
	maxLen  uint16 // 0: none
	_       [18]byte
}

// rest is what packets need that are not quick. T is shared by all packets of
// the flow.
type rest struct {
	T    Transposition
	refs [MaxRefs]flowRef // layer flows; behind them, watch hashes and counts

	nRefs, nWatch uint8
}

// all are the references of both kinds.
func (r *rest) all() []flowRef { return r.refs[:r.nRefs+r.nWatch] }

// CacheIdle is how long an entry stays without traffic. It only frees memory.
const CacheIdle = DefaultIdle

// key4 and key6 are the flow key and the Ethernet addresses, as words: two
// packets with the same key are the same to every rule.
type (
	key4 [4]uint64
	key6 [7]uint64
)

// Key is where a packet's entry would be. The zero value is of no packet.
type Key struct {
	hash  uint64
	hint  uint32 // number of the entry, plus one: where Warm has seen it, or where it was found
	flags uint8  // TCP flags of the packet, inner if it is encapsulated
	v6    bool
	ok    bool

	// Of a plain packet (see Plain), whose Meta is not filled in.
	plain   bool
	at, end uint16 // the inner frame of a tunnel; at is 0 outside of tunnels

	words key6
}

// NewCache makes a cache of at most limit entries for each IP version, of
// walks over ports that use the store.
func NewCache(store *FlowStore, limit int) *Cache {
	c := &Cache{
		store:  store,
		v4:     NewTable[key4, Entry](limit),
		v6:     NewTable[key6, Entry](limit),
		outers: NewTable[outerID, uint32](maxTunnels),
	}
	c.SetVXLANPorts(wire.VXLANPort)
	store.register(c)
	return c
}

// SetVXLANPorts says which UDP ports mean VXLAN: packets to them are told
// apart by their inner headers too, without which different inner flows would
// look alike. It must include every port that a rule decapsulates.
func (c *Cache) SetVXLANPorts(ports ...uint16) {
	c.ports = append([]uint16(nil), ports...)
	c.port, c.morePorts = 0, len(ports) > 1
	if len(ports) > 0 {
		c.port = ports[0]
	}
}

// Len is the number of entries.
func (c *Cache) Len() int { return c.v4.Len() + c.v6.Len() }

// find returns the entry of a key and leaves its number in the hint.
func (c *Cache) find(k *Key) *Entry {
	if k.v6 {
		if k.hint != 0 {
			if n := c.v6.node(k.hint - 1); n.key == k.words {
				return &n.e
			}
		}
		n, id := c.v6.find(tagOf(k.hash), &k.words)
		if n == nil {
			return nil
		}
		k.hint = id + 1
		return &n.e
	}
	return c.find4(k)
}

func (c *Cache) find4(k *Key) *Entry {
	if k.hint != 0 {
		if n := c.v4.node(k.hint - 1); n.key == *(*key4)(k.words[:4]) {
			return &n.e
		}
	}
	if n := c.seek4(k); n != nil {
		return &n.e
	}
	return nil
}

// restOf is the rest of the entry that find left in the hint.
func (c *Cache) restOf(k *Key) *rest {
	if k.v6 {
		return c.rests6.at(k.hint - 1)
	}
	return c.rests4.at(k.hint - 1)
}

// Lookup returns the outcome for a packet, if there is one that still holds,
// and records the packet with every layer flow that it belongs to: the caller is
// then bound to apply it, and must not change it. gen is a number that changes
// whenever a decision may: the sum of all ports' generations and the switch's
// own. The outcome is good until the next Install or Age.
func (c *Cache) Lookup(k *Key, p *Packet, now int64, gen uint64) (*Transposition, bool) {
	if !k.ok {
		c.Stats.Misses++
		return nil, false
	}
	e := c.find(k)
	if e == nil {
		c.Stats.Misses++
		return nil, false
	}
	r := c.restOf(k)
	if e.gen != uint32(gen) || e.maxLen > 0 && p.Len() > int(e.maxLen) || !c.holds(r, now, k.flags) {
		c.Stats.Misses++
		c.Stats.Stale++
		return nil, false
	}
	c.touch(e, r, now, k.flags)
	e.seen = now
	e.Packets++
	c.Stats.Hits++
	return &r.T, true
}

// holds reports whether a walk would touch the same layer flows as the one
// that made the entry.
func (c *Cache) holds(r *rest, now int64, flags uint8) bool {
	for _, f := range r.refs[:r.nRefs] {
		h := c.store.hot(f.id >> 1)
		if h.gen != f.slot || h.superseded(flags) || c.store.expired(f.id>>1, now) {
			return false
		}
	}
	return c.unseen(r)
}

// unseen reports whether the stateful layers that had no flow have none now.
func (c *Cache) unseen(r *rest) bool {
	for _, f := range r.all()[r.nRefs:] {
		if *c.store.watched(f.id) != f.slot {
			return false
		}
	}
	return true
}

// Cachable reports whether the outcome of a walk holds for all packets with
// the same key: not if an action said NoCache, replaced the frame or replied,
// nor for fragments and group destinations. Whether the packet has a key at
// all is for Key to say.
func Cachable(w *Walk) bool {
	if w.NoCache || w.NewFrame != nil || len(w.Replies) > 0 || w.flows.tooMany {
		return false
	}
	return !w.In.EthDst.IsMulticast() && !w.H.EthDst.IsMulticast()
}

// Install stores the outcome of a walk for packets like the one with the key,
// replacing what was there. It reports false when there is no room: the knob
// of rule VFP-10 is the switch's. Call it before the next packet walks.
func (c *Cache) Install(k *Key, w *Walk, t *Transposition, gen uint64) bool {
	f := &w.flows
	if !k.ok || f.store != nil && f.store != c.store {
		return false
	}
	e := c.find(k)
	if e == nil {
		if e = c.insert(k, w.Now, gen); e == nil {
			c.Stats.Full++
			return false
		}
	}
	if !k.v6 {
		c.settle(k.hint - 1)
	}
	r := c.restOf(k)
	r.T = *t
	copy(r.refs[:], f.refs[:f.nRefs])
	for i, h := range f.watch[:f.nWatch] {
		// The count as it is now: flows that this walk itself has made are
		// behind the layers that it watches.
		r.refs[int(f.nRefs)+i] = flowRef{h, *c.store.watched(h)}
	}
	r.nRefs, r.nWatch = f.nRefs, f.nWatch
	*e = Entry{gen: uint32(gen), seen: w.Now, maxLen: uint16(min(max(w.MaxLen, 0), 0xffff)), epoch: c.store.published, kind: quickTouch}
	if e.prepare(k, t) {
		if r.nWatch > 0 {
			e.kind |= quickWatch
		}
		c.enlist(k.hint-1, e, r)
	}
	c.Stats.Installs++
	return true
}

// insert makes room by looking for a useless entry if it must.
func (c *Cache) insert(k *Key, now int64, gen uint64) *Entry {
	const effort = 16
	c.sweep(k.v6, tidyStep, func(e *Entry, _ *rest) bool { return now-e.seen >= CacheIdle })
	if c.full(k) {
		c.sweep(k.v6, effort, func(e *Entry, r *rest) bool {
			return e.gen != uint32(gen) || now-e.seen >= CacheIdle || !c.holds(r, now, 0)
		})
	}
	var e *Entry
	var id uint32
	rests := &c.rests4
	if k.v6 {
		rests = &c.rests6
		e, id = c.v6.Insert(k.hash, &k.words)
	} else {
		e, id = c.v4.Insert(k.hash, (*key4)(k.words[:4]))
	}
	if e != nil {
		rests.grow(id)
		k.hint = id + 1
		e.settled = e.Packets // nothing that this entry's predecessor left
	}
	return e
}

func (c *Cache) full(k *Key) bool {
	if k.v6 {
		return c.v6.Full()
	}
	return c.v4.Full()
}

// sweep removes entries for which dead holds, among the next n.
func (c *Cache) sweep(v6 bool, n int, dead func(e *Entry, r *rest) bool) {
	rests := &c.rests4
	if v6 {
		rests = &c.rests6
	}
	check := func(id uint32, e *Entry) bool { return dead(e, rests.at(id)) }
	if v6 {
		c.v6.sweep(n, check)
		return
	}
	c.v4.sweep(n, func(id uint32, e *Entry) bool {
		if !check(id, e) {
			return false
		}
		c.settle(id)
		return true
	})
}

// Age looks at up to budget entries of each IP version and removes those that
// have been idle.
func (c *Cache) Age(now int64, budget int) {
	idle := func(e *Entry, _ *rest) bool { return now-e.seen >= CacheIdle }
	c.sweep(false, budget, idle)
	c.sweep(true, budget, idle)
}

// SetOffload says whether a NIC carries the flows of the table (rule VFP-11):
// packets that find their entry are then its work and nobody else's. It changes
// nothing but who counts them.
func (c *Cache) SetOffload(on bool) {
	switch {
	case on == c.offload:
		return
	case on:
		c.hitsBefore = c.Stats.Hits - c.offloaded
	default:
		c.offloaded = c.Stats.Hits - c.hitsBefore
	}
	c.offload = on
}

// Offload reports whether a NIC carries the flows, and how many packets one has
// carried so far.
func (c *Cache) Offload() (on bool, packets uint64) {
	if c.offload {
		return true, c.Stats.Hits - c.hitsBefore
	}
	return false, c.offloaded
}
