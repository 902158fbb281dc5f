package vfp

import (
	"encoding/binary"
	"unsafe"

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
	v4     *Table[key4, Entry]
	v6     *Table[key6, Entry]
	outers *Table[outerID, uint32]
	last   outerID // the tunnel of the packet before, and its number
	lastID uint32
	ports  []uint16 // UDP ports that mean VXLAN

	plainLast plainOuter // as last and lastID, of plain packets
	plainID   uint32

	Stats CacheStats
}

// CacheStats counts lookups and what came of them.
type CacheStats struct {
	Hits, Misses uint64
	Quick        uint64 // of the hits: plain packets with quick outcomes
	Stale        uint64 // misses although there was an entry
	Installs     uint64
	Full         uint64 // installs for which there was no room (rule VFP-10)
}

// Entry is a cached outcome. T is shared by all packets of the flow; the
// switch must not change it after Install.
type Entry struct {
	// With the IPv4 key in front the first fields fill a cache line; the next
	// one is what a quick packet needs, with two references. The rest is for
	// packets that are not quick.
	gen     uint32
	maxLen  uint32
	seen    int64
	Bytes   uint64
	Packets uint32 // wraps
	nRefs   uint8
	nWatch  uint8

	quick quick
	refs  [MaxRefs]flowRef // layer flows; behind them, watch hashes and counts
	T     Transposition
}

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
	words key6
	hint  uint32 // entry that Warm has seen in the key's place, plus one
	v6    bool
	ok    bool
	flags uint8 // TCP flags of the packet, inner if it is encapsulated

	// Of a plain packet (see Plain), whose Meta is not filled in.
	plain   bool
	at, end uint16 // the inner frame of a tunnel; at is 0 outside of tunnels
}

// NewCache makes a cache of at most limit entries for each IP version, of
// walks over ports that use the store.
func NewCache(store *FlowStore, limit int) *Cache {
	return &Cache{
		store:  store,
		v4:     NewTable[key4, Entry](limit),
		v6:     NewTable[key6, Entry](limit),
		outers: NewTable[outerID, uint32](maxTunnels),
		ports:  []uint16{wire.VXLANPort},
	}
}

// SetVXLANPorts says which UDP ports mean VXLAN: packets to them are told
// apart by their inner headers too, without which different inner flows would
// look alike. It must include every port that a rule decapsulates.
func (c *Cache) SetVXLANPorts(ports ...uint16) { c.ports = append([]uint16(nil), ports...) }

// Len is the number of entries.
func (c *Cache) Len() int { return c.v4.Len() + c.v6.Len() }

// taggedZone marks keys of tagged frames, so that a priority tag of zero is
// not taken for no tag. The zone's other bits are the tunnel.
const (
	taggedZone = 1 << (wire.ZoneBits - 1)
	maxTunnels = 1<<12 - 1
)

// Key computes the key of a parsed packet. It reports false for packets that
// are never cached: fragments, group destinations, everything but TCP, UDP and
// ICMP queries.
func (c *Cache) Key(p *Packet, k *Key) bool {
	k.ok, k.plain, k.hint = false, false, 0
	frame, m := p.Bytes(), &p.Meta
	if m.HasL4 && m.Proto == wire.ProtoUDP && c.isVXLAN(m.DstPort) || m.Proto == wire.ProtoGRE && m.IsIP() {
		return c.tunnelKey(frame, m, k)
	}
	return c.frameKey(frame, m, k, 0, 0)
}

func (c *Cache) isVXLAN(port uint16) bool {
	for _, p := range c.ports {
		if p == port {
			return true
		}
	}
	return false
}

// frameKey is the key of a frame, which came through the given tunnel.
func (c *Cache) frameKey(frame []byte, m *wire.Meta, k *Key, tunnel uint32, entropy uint16) bool {
	if !m.HasL4 || m.Fragment || frame[0]&1 != 0 {
		return false
	}
	if m.Proto != wire.ProtoTCP && m.Proto != wire.ProtoUDP && !m.IsICMPQuery() {
		return false
	}
	l2 := uint64(binary.BigEndian.Uint32(frame[8:]))<<32 | uint64(entropy)
	if m.HasVLAN {
		tunnel |= taggedZone
		l2 |= uint64(m.TCI) << 16
	}
	if m.IsIPv4 {
		k4 := m.Key4(frame, tunnel)
		k.hash, k.v6 = k4.Hash(), false
		k.words[0], k.words[1] = k4.A, k4.B
		k.words[2], k.words[3] = binary.BigEndian.Uint64(frame), l2
	} else {
		k6 := m.Key6(frame, tunnel)
		k.hash, k.v6 = k6.Hash(), true
		k.words[0], k.words[1] = binary.BigEndian.Uint64(k6.Src[:]), binary.BigEndian.Uint64(k6.Src[8:])
		k.words[2], k.words[3] = binary.BigEndian.Uint64(k6.Dst[:]), binary.BigEndian.Uint64(k6.Dst[8:])
		k.words[4], k.words[5], k.words[6] = k6.B, binary.BigEndian.Uint64(frame), l2
	}
	k.flags, k.ok = m.TCPFlags, true
	return true
}

// outerID is everything about outer headers that rules can see, but for the
// entropy port, which differs from flow to flow and is kept with the inner key.
type outerID struct {
	src, dst       [2]uint64
	l2a, l2b       uint64
	vni            uint32
	dstPort        uint16
	proto, flags   uint8
	tagged, v6, ok bool
}

// tunnelKey is the key of an encapsulated frame: the inner headers' key with
// a number for the outer ones.
func (c *Cache) tunnelKey(frame []byte, m *wire.Meta, k *Key) bool {
	t, ok := wire.ParseVXLAN(frame, m)
	if !ok {
		t, ok = wire.ParseNVGRE(frame, m)
	}
	if !ok || frame[0]&1 != 0 {
		return false
	}
	id := outerID{
		l2a: binary.BigEndian.Uint64(frame), l2b: uint64(binary.BigEndian.Uint32(frame[8:]))<<16 | uint64(m.TCI),
		vni: t.VNI, dstPort: m.DstPort, proto: m.Proto, flags: t.Flags, tagged: m.HasVLAN, v6: m.IsIPv6, ok: true,
	}
	if m.IsIPv4 {
		ip := wire.IPv4(frame[m.L3:])
		id.src[1], id.dst[1] = uint64(ip.Src()), uint64(ip.Dst())
	} else {
		ip := frame[m.L3 : m.L3+wire.IPv6Len]
		id.src = [2]uint64{binary.BigEndian.Uint64(ip[8:]), binary.BigEndian.Uint64(ip[16:])}
		id.dst = [2]uint64{binary.BigEndian.Uint64(ip[24:]), binary.BigEndian.Uint64(ip[32:])}
	}
	if id != c.last {
		if !c.number(&id) {
			return false
		}
	}
	entropy := m.SrcPort
	if m.Proto == wire.ProtoGRE {
		entropy = uint16(t.FlowID)
	}
	var inner wire.Meta
	wire.Parse(frame[t.Inner:t.End], &inner)
	return c.frameKey(frame[t.Inner:t.End], &inner, k, c.lastID, entropy)
}

// number makes id the last tunnel, numbering it if it is new. Numbers are
// never given back; a port that has seen too many tunnels caches no more.
func (c *Cache) number(id *outerID) bool {
	h := mix(id.src[1]^id.src[0], id.dst[1]^id.dst[0]) ^ mix(id.l2a^uint64(id.vni), id.l2b^uint64(id.dstPort))
	n := c.outers.Find(h, id)
	if n == nil {
		if n, _ = c.outers.Insert(h, id); n == nil {
			return false
		}
		*n = uint32(c.outers.Len())
	}
	c.last, c.lastID = *id, *n
	return true
}

// Warm brings the memory that lookups of the keys are going to read into the
// cache, stage by stage, so that the misses of a batch overlap instead of
// queueing: at 100,000 flows that makes up for most of the distance to memory.
// It takes at most BatchSize keys.
func (c *Cache) Warm(keys []Key) {
	lines := &c.store.lines
	if c.Len() < warmAt || len(keys) == 1 {
		return // it is all there
	}
	for i := range keys {
		if k := &keys[i]; k.ok {
			x := c.indexOf(k)
			lines.add(unsafe.Pointer(&x.slots[tagOf(k.hash)&x.mask]))
		}
	}
	lines.prefetch()
	for i := range keys {
		k := &keys[i]
		if !k.ok {
			continue
		}
		x := c.indexOf(k)
		if s := x.slots[tagOf(k.hash)&x.mask]; s.tag == tagOf(k.hash) {
			k.hint = s.ref
		}
		switch {
		case k.hint == 0:
		case k.v6:
			n := unsafe.Pointer(c.v6.node(k.hint - 1))
			lines.add(n)
			lines.add(unsafe.Add(n, lineSize))
			lines.add(unsafe.Add(n, 2*lineSize))
		default:
			n := unsafe.Pointer(c.v4.node(k.hint - 1))
			lines.add(n)
			lines.add(unsafe.Add(n, lineSize))
		}
	}
	lines.prefetch()
	if c.store.live == 0 {
		return
	}
	for i := range keys {
		e := c.hinted(&keys[i])
		if e == nil {
			continue
		}
		for _, r := range e.refs[:e.nRefs] {
			lines.add(unsafe.Pointer(c.store.hot(r.id >> 1)))
		}
		for _, r := range e.refs[e.nRefs : e.nRefs+e.nWatch] {
			lines.add(unsafe.Pointer(c.store.watched(r.id)))
		}
	}
	lines.prefetch()
}

// warmAt is a number of entries that fit near caches.
const warmAt = 512

func (c *Cache) indexOf(k *Key) *index {
	if k.v6 {
		return &c.v6.index
	}
	return &c.v4.index
}

// hinted is the entry that a key's hint names, which is mostly the right one.
func (c *Cache) hinted(k *Key) *Entry {
	switch {
	case k.hint == 0:
		return nil
	case k.v6:
		return &c.v6.node(k.hint - 1).e
	}
	return &c.v4.node(k.hint - 1).e
}

func (c *Cache) find(k *Key) *Entry {
	if k.v6 {
		if k.hint != 0 {
			if n := c.v6.node(k.hint - 1); n.key == k.words {
				return &n.e
			}
		}
		return c.v6.Find(k.hash, &k.words)
	}
	key := (*key4)(k.words[:4])
	if k.hint != 0 {
		if n := c.v4.node(k.hint - 1); n.key == *key {
			return &n.e
		}
	}
	return c.v4.Find(k.hash, key)
}

// Lookup returns the entry for a packet, if there is one that still holds, and
// records the packet with every layer flow that it belongs to: the caller is
// then bound to apply the entry's T. gen is a number that changes whenever
// a decision may: the sum of all ports' generations and the switch's own.
// The entry is good until the next Install or Age.
func (c *Cache) Lookup(k *Key, p *Packet, now int64, gen uint64) (*Entry, bool) {
	if !k.ok {
		c.Stats.Misses++
		return nil, false
	}
	e := c.find(k)
	if e == nil {
		c.Stats.Misses++
		return nil, false
	}
	if e.gen != uint32(gen) || e.maxLen > 0 && p.Len() > int(e.maxLen) || !c.holds(e, now, k.flags) {
		c.Stats.Misses++
		c.Stats.Stale++
		return nil, false
	}
	for _, r := range e.refs[:e.nRefs] {
		c.store.hot(r.id>>1).touch(now, uint8(r.id&1), k.flags)
	}
	e.seen = now
	e.Packets++
	e.Bytes += uint64(p.Len())
	c.Stats.Hits++
	return e, true
}

// holds reports whether a walk would touch the same layer flows as the one
// that made the entry.
func (c *Cache) holds(e *Entry, now int64, flags uint8) bool {
	for _, r := range e.refs[:e.nRefs] {
		h := c.store.hot(r.id >> 1)
		if h.gen != r.slot || h.expired(now) || h.superseded(flags) {
			return false
		}
	}
	for _, r := range e.refs[e.nRefs : e.nRefs+e.nWatch] {
		if *c.store.watched(r.id) != r.slot {
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
	*e = Entry{T: *t, gen: uint32(gen), seen: w.Now, maxLen: uint32(max(w.MaxLen, 0)), nRefs: f.nRefs, nWatch: f.nWatch}
	e.quick.prepare(k, t)
	copy(e.refs[:], f.refs[:f.nRefs])
	for i, h := range f.watch[:f.nWatch] {
		// The count as it is now: flows that this walk itself has made are
		// behind the layers that it watches.
		e.refs[int(f.nRefs)+i] = flowRef{h, *c.store.watched(h)}
	}
	c.Stats.Installs++
	return true
}

// insert makes room by looking for a useless entry if it must.
func (c *Cache) insert(k *Key, now int64, gen uint64) *Entry {
	const effort = 16
	useless := func(e *Entry) bool { return e.gen != uint32(gen) || now-e.seen >= CacheIdle || !c.holds(e, now, 0) }
	if k.v6 {
		if c.v6.Full() {
			c.v6.sweep(effort, useless)
		}
		e, _ := c.v6.Insert(k.hash, &k.words)
		return e
	}
	if c.v4.Full() {
		c.v4.sweep(effort, useless)
	}
	e, _ := c.v4.Insert(k.hash, (*key4)(k.words[:4]))
	return e
}

// Age looks at up to budget entries of each IP version and removes those that
// have been idle.
func (c *Cache) Age(now int64, budget int) {
	idle := func(e *Entry) bool { return now-e.seen >= CacheIdle }
	c.v4.sweep(budget, idle)
	c.v6.sweep(budget, idle)
}
