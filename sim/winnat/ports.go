package winnat

import (
	"slices"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// BlockSize is the number of external ports that are reserved at a time unless
// Config.BlockSize says otherwise.
const BlockSize = vfp.WinNATBlock

// Ports is the host's port space: what netsh shows as excluded port ranges
// (rule NAT-12). ReserveBlock finds size contiguous TCP or UDP ports, or ICMP
// identifiers, that no socket and no other reservation holds, and keeps host
// sockets away from them until ReleaseBlock (rule NAT-16). ok is false when
// there are none. The answer must depend on nothing but the calls made before.
type Ports interface {
	ReserveBlock(proto uint8, size int, owner uint64) (lo uint16, ok bool)
	ReleaseBlock(proto uint8, lo uint16, size int, owner uint64)
}

// FromSpace makes a host's vfp.PortSpace serve as Ports.
func FromSpace(s *vfp.PortSpace) Ports { return spacePorts{s} }

type spacePorts struct{ space *vfp.PortSpace }

func (s spacePorts) ReserveBlock(proto uint8, size int, owner uint64) (uint16, bool) {
	r, ok := s.space.ReserveBlock(proto, vfp.WinNATUse, size, owner)
	return r.Lo, ok
}

func (s spacePorts) ReleaseBlock(proto uint8, lo uint16, size int, owner uint64) {
	s.space.ReleaseRange(proto, vfp.PortRange{Lo: lo, Hi: lo + uint16(size) - 1}, owner)
}

// The protocols that have mappings.
const (
	tcp = iota
	udp
	icmp
	numProtos
)

// protoIndex is ok for the protocols that are translated (rule NAT-11).
func protoIndex(proto uint8) (i int, ok bool) {
	switch proto {
	case wire.ProtoTCP:
		return tcp, true
	case wire.ProtoUDP:
		return udp, true
	case wire.ProtoICMP:
		return icmp, true
	}
	return 0, false
}

// portPool holds the external ports of one protocol. It serves all external
// addresses together, so (protocol, port) alone tells two mappings apart. A
// block, once reserved, stays until Close, as on the real system, where the
// excluded ranges outlive the connections.
type portPool struct {
	proto  uint8
	blocks []block // by ascending lo
}

type block struct {
	lo   uint16
	free int
	low  int      // no port below lo+low is free
	used []uint32 // mapping that has the port, 0 if it is free
}

// find returns the place of port, ok if a block contains it.
func (p *portPool) find(port uint16) (b *block, i int, ok bool) {
	at, found := slices.BinarySearchFunc(p.blocks, port, func(b block, port uint16) int { return int(b.lo) - int(port) })
	if !found {
		at-- // the last block that begins below port
	}
	if at < 0 || int(port)-int(p.blocks[at].lo) >= len(p.blocks[at].used) {
		return nil, 0, false
	}
	b = &p.blocks[at]
	return b, int(port - b.lo), true
}

// owner is the mapping that has port, 0 if there is none.
func (p *portPool) owner(port uint16) uint32 {
	b, i, ok := p.find(port)
	if !ok {
		return 0
	}
	return b.used[i]
}

// owns reports whether port lies in a reserved block, mapped or not.
func (p *portPool) owns(port uint16) bool {
	_, _, ok := p.find(port)
	return ok
}

// take gives the lowest free port to mapping m. Ports for which skip is true
// are left alone.
func (p *portPool) take(m uint32, skip func(proto uint8, port uint16) bool) (port uint16, ok bool) {
	for bi := range p.blocks {
		b := &p.blocks[bi]
		skipped := false
		for i := b.low; b.free > 0 && i < len(b.used); i++ {
			if b.used[i] != 0 {
				continue
			}
			if skip(p.proto, b.lo+uint16(i)) {
				skipped = true // free, but perhaps only until the next Apply
				continue
			}
			b.used[i] = m
			b.free--
			if !skipped {
				b.low = i + 1
			}
			return b.lo + uint16(i), true
		}
	}
	return 0, false
}

// give returns a port.
func (p *portPool) give(port uint16) {
	b, i, ok := p.find(port)
	if !ok || b.used[i] == 0 {
		panic("winnat: port returned that was not taken")
	}
	b.used[i] = 0
	b.free++
	b.low = min(b.low, i)
}

// add inserts a freshly reserved block.
func (p *portPool) add(lo uint16, size int) {
	if int(lo)+size > 1<<16 || p.owns(lo) || p.owns(lo+uint16(size-1)) {
		panic("winnat: Ports reserved a block that overlaps another or the end of the port space")
	}
	at, _ := slices.BinarySearchFunc(p.blocks, lo, func(b block, lo uint16) int { return int(b.lo) - int(lo) })
	p.blocks = slices.Insert(p.blocks, at, block{lo: lo, free: size, used: make([]uint32, size)})
}

// takePort finds an external port for mapping m: the lowest free one of the
// blocks that are reserved, else the first of a new block (rule NAT-12).
func (n *NAT) takePort(pi int, m uint32) (uint16, bool) {
	pool := &n.pools[pi]
	if port, ok := pool.take(m, n.cfg.publishes); ok {
		return port, true
	}
	lo, ok := n.ports.ReserveBlock(pool.proto, n.cfg.BlockSize, n.owner)
	if !ok {
		return 0, false // rule NAT-39
	}
	pool.add(lo, n.cfg.BlockSize)
	return pool.take(m, n.cfg.publishes)
}
