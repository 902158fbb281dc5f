package vfp

import (
	"encoding/binary"
	"math/bits"
	"net/netip"

	"github.com/hnsim/hnsim/sim/wire"
)

// slotRef names a layer flow for as long as it lives: the slot's gen changes
// with its death. The zero value names nothing.
type slotRef struct{ id, gen uint32 }

// tuple is a flow's addresses and ports in five words, both IP versions alike.
type tuple struct {
	src, dst [2]uint64
	ports    uint32 // source << 16 | destination
	proto    uint8
	v6       bool
}

func tupleOf(h *Header) (t tuple) {
	t.set(h)
	return t
}

// set makes t the tuple of h.
func (t *tuple) set(h *Header) {
	setWords(&t.src, h.Src)
	setWords(&t.dst, h.Dst)
	t.ports = uint32(h.SrcPort)<<16 | uint32(h.DstPort)
	t.proto, t.v6 = h.Proto, h.Src.Is6()
}

// mapped is the upper half of the lower word of an IPv4 address, whose words are
// those of its IPv4-mapped form.
const mapped = 0xffff << 32

func setWords(w *[2]uint64, a netip.Addr) {
	if a.Is4() {
		b := a.As4()
		w[0], w[1] = 0, mapped|uint64(binary.BigEndian.Uint32(b[:]))
		return
	}
	b := wire.Addr16(a)
	w[0], w[1] = binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
}

// sameFlow reports whether both headers have the same tuple.
func (h *Header) sameFlow(o *Header) bool {
	return h.SrcPort == o.SrcPort && h.DstPort == o.DstPort && h.Proto == o.Proto && h.Src == o.Src && h.Dst == o.Dst
}

func (t *tuple) addr(w [2]uint64) netip.Addr {
	if !t.v6 {
		return wire.AddrFrom4(uint32(w[1]))
	}
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], w[0])
	binary.BigEndian.PutUint64(b[8:], w[1])
	return wire.AddrFrom16(b)
}

func (t *tuple) reversed() (r tuple) {
	r.turn(t)
	return r
}

// turn makes t the reverse of another tuple.
func (t *tuple) turn(o *tuple) {
	t.src, t.dst = o.dst, o.src
	t.ports = bits.RotateLeft32(o.ports, 16)
	t.proto, t.v6 = o.proto, o.v6
}

// load puts the tuple into h.
func (t *tuple) load(h *Header) {
	h.Src, h.Dst = t.addr(t.src), t.addr(t.dst)
	h.SrcPort, h.DstPort = uint16(t.ports>>16), uint16(t.ports)
	h.Proto = t.proto
}

const (
	mixA = 0x9e3779b97f4a7c15
	mixB = 0xd6e8feb86659fd93
)

func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^mixA, b^mixB)
	return hi ^ lo
}

// pairHash is the same for a tuple and its reverse.
func (t *tuple) pairHash() uint32 {
	s := mix(t.src[0]^uint64(t.ports>>16), t.src[1])
	d := mix(t.dst[0]^uint64(t.ports&0xffff), t.dst[1])
	return uint32(mix(s+d, uint64(t.proto)) >> 32)
}

// flowKey finds a layer flow: a tuple as one layer of one port sees it in one
// direction. The zone is no part of it: on the external port the same flow
// may have a zone in one direction only.
type flowKey struct {
	tuple
	layer uint32
	dir   Dir
}

// tag is the part of the key's hash that the index keeps.
func (k *flowKey) tag() uint32 { return tagOf(k.hash()) }

func (k *flowKey) hash() uint64 {
	s := mix(k.src[0]^uint64(k.ports), k.src[1])
	d := mix(k.dst[0]^uint64(k.layer)<<16^uint64(k.proto)<<8^uint64(k.dir), k.dst[1])
	return mix(s, d)
}

// flowCold is the part of a layer flow that only walks need.
type flowCold struct {
	// fwd is the first packet's tuple in front of the layer; rev the reply's
	// tuple on its far side. The header change of either direction is the
	// other key, turned round.
	fwd, rev flowKey
	tags     [2]uint32 // of the keys, by side
	pairs    [2]uint32 // their pairHash
	// Ethernet addresses of the first packet before and after the layer.
	ethSrc, ethDst, newEthSrc, newEthDst wire.MAC
	etherType                            uint16

	// in is the first packet as it entered the switch, for re-evaluation.
	in                 tuple
	inEthSrc, inEthDst wire.MAC
	inPort             PortID
	zone, vni          uint32

	// The forwarding decision that the layer made, for the first direction
	// only: the reply's target does not follow from it.
	steered bool
	target  steering

	port    *Port
	program uint64 // generation that the flow was last reconciled with
	rule    string // ID of the stateful rule, or the target that it chose
	nat     natHold

	deps [2]dependent // see Cache.enlist
}

// steering is what a layer decides about the way of a packet.
type steering struct {
	fwd  Forward
	zone uint32
}

// natHold is a port that a flow holds from a pool.
type natHold struct {
	pool  *NATPool
	block *natBlock
	port  uint16
}

func (h natHold) release() {
	if h.pool != nil {
		h.pool.release(h)
	}
}

// FlowStore holds the layer flows of all ports of one switch, so that a cached
// packet finds those of two ports by number. The zero value is not usable.
//
// Not safe for concurrent use.
type FlowStore struct {
	index index // of both keys of every flow: flow id << 1 | side
	hots  arena[flowHot]
	colds arena[flowCold]
	next  uint32
	free  []uint32
	live  int
	hand  uint32

	watch     watch  // by pairHash of both keys of every flow
	published uint32 // changes whenever a counter of watch does
	nextLayer uint32

	caches     []*Cache // of all ports, by number; nil where a number is free
	freeCaches []uint32
	outers     map[Encap]*outer
	lines      Lines // scratch of Cache.Warm
}

// NewFlowStore makes an empty store.
func NewFlowStore() *FlowStore {
	s := &FlowStore{outers: map[Encap]*outer{}}
	s.index.init()
	s.watch.init()
	return s
}

// Len is the number of live layer flows; each is a pair of directions.
func (s *FlowStore) Len() int { return s.live }

func (s *FlowStore) hot(id uint32) *flowHot {
	return s.hots.at(id)
}

func (s *FlowStore) cold(id uint32) *flowCold {
	return s.colds.at(id)
}

// alloc makes a flow that is not in the index yet.
func (s *FlowStore) alloc() uint32 {
	id := s.next
	if n := len(s.free); n > 0 {
		id, s.free = s.free[n-1], s.free[:n-1]
	} else {
		s.next++
		s.hots.grow(id)
		s.colds.grow(id)
	}
	if h := s.hot(id); h.gen == 0 {
		h.gen = 1
	}
	s.live++
	return id
}

// discard ends a flow that alloc made and nobody can find.
func (s *FlowStore) discard(id uint32) {
	h, c := s.hot(id), s.cold(id)
	h.gen++
	if h.gen == 0 {
		h.gen = 1
	}
	c.nat.release()
	c.nat, c.port, c.rule, c.deps = natHold{}, nil, "", [2]dependent{}
	s.free = append(s.free, id)
	s.live--
}

// publish puts a flow into the index and tells cached walks that the tuples
// now have one. The caller has made sure that neither key is taken.
func (s *FlowStore) publish(id uint32) {
	c := s.cold(id)
	s.index.insert(c.tags[forward], id<<1|forward)
	s.index.insert(c.tags[reverse], id<<1|reverse)
	s.watch.grow(s.live)
	s.published++
	*s.watched(c.pairs[forward])++
	if c.pairs[reverse] != c.pairs[forward] {
		*s.watched(c.pairs[reverse])++
	}
}

func (s *FlowStore) watched(hash uint32) *uint32 { return s.watch.of(hash) }

// kill ends a published flow.
func (s *FlowStore) kill(id uint32) {
	c := s.cold(id)
	s.forsake(c)
	s.index.remove(c.tags[forward], id<<1|forward)
	s.index.remove(c.tags[reverse], id<<1|reverse)
	c.port.flowGone(c, s.hot(id))
	s.discard(id)
}

// find returns the flow of a key, whose tag is given, and the side that the key
// is, or noID.
func (s *FlowStore) find(k *flowKey, tag uint32) (id uint32, side uint8) {
	if id, side = s.probe(s.index.slots, s.index.mask, tag, k); id == noID && s.index.old != nil {
		id, side = s.probe(s.index.old, uint32(len(s.index.old)-1), tag, k)
	}
	return id, side
}

func (s *FlowStore) probe(slots []slot, mask, tag uint32, k *flowKey) (id uint32, side uint8) {
	for i := tag & mask; slots[i].ref != 0; i = (i + 1) & mask {
		if slots[i].tag != tag || slots[i].ref == refMoved {
			continue
		}
		n := slots[i].ref - 1
		c := s.cold(n >> 1)
		if key := &c.fwd; n&1 == forward && *key == *k {
			return n >> 1, forward
		}
		if key := &c.rev; n&1 == reverse && *key == *k {
			return n >> 1, reverse
		}
	}
	return noID, 0
}

// Age looks at up to budget flow slots and ends the flows that have been idle
// for too long, going on where it stopped. Lookups do not depend on it: they
// ignore what has expired. It frees memory and pool ports.
func (s *FlowStore) Age(now int64, budget int) {
	for n := min(budget, int(s.next)); n > 0; n-- {
		if s.hand >= s.next {
			s.hand = 0
		}
		if c := s.cold(s.hand); c.port != nil && s.expired(s.hand, now) {
			s.kill(s.hand)
		}
		s.hand++
	}
}

// tidyStep is how many flows are looked at when one is made: with two of them
// memory stays within a small multiple of what lives, however long a world runs.
const tidyStep = 2

// tidy is Age for whoever makes a flow. It leaves flows alone that hold a port:
// which one the next flow gets, and what the host has left, follows from when
// ports are given back, and a pool sees to that itself (NATPool.take).
func (s *FlowStore) tidy(now int64) {
	for range min(tidyStep, int(s.next)) {
		if s.hand >= s.next {
			s.hand = 0
		}
		if s.hot(s.hand).expired(now) {
			if c := s.cold(s.hand); c.port != nil && c.nat.pool == nil && s.expired(s.hand, now) {
				s.kill(s.hand)
			}
		}
		s.hand++
	}
}

// killWhere ends every flow of a port for which dead holds.
func (s *FlowStore) killWhere(p *Port, dead func(*flowCold) bool) {
	for id := range s.next {
		if c := s.cold(id); c.port == p && dead(c) {
			s.kill(id)
		}
	}
}
