package vfp

import (
	"errors"
	"math"
	"math/bits"
)

// ErrNoPortBlock is what programming a NAT pool fails with when the host has
// no free block of ports (rule L2B-23). The control plane reports 0x803B0013.
var ErrNoPortBlock = errors.New("no free block of ports in the dynamic range")

// DefaultPoolPorts bounds a pool when MaxPortPoolUsage does not: sixteen
// blocks. The real default is not published.
const DefaultPoolPorts = 16 * VFPBlock

// natBlock is 64 ports of a PortSpace.
type natBlock struct {
	base uint16
	size int
	at   int               // place in the pool
	flow [VFPBlock]slotRef // who uses the port
}

// NATPool hands out source ports for one endpoint and protocol, from blocks
// of 64 that it reserves in the host's PortSpace (rule L2B-23).
//
// Mapping is address-and-port dependent (rule L2B-25): every flow has a port of
// its own, and only the flow's remote may use it. VFP could give one port to
// flows with different remotes; the model does not, so a pool of n ports
// carries n flows. Ports are handed out in turn, so that a flow which comes
// back after its entry expired gets another port than before (rule L2B-24).
//
// A pool belongs to one FlowStore. Not safe for concurrent use.
type NATPool struct {
	space  *PortSpace
	proto  uint8
	owner  uint64
	max    int
	inUse  int
	blocks []*natBlock
	used   []uint64 // per block; bit i is port base+i
	cursor int      // position in turn: block index * 64 + bit
	// No flow can be dead before this time, whatever its packets do: a pool
	// that is full is not searched for dead flows earlier.
	barren int64
	closed bool
	block  int        // ports of a block, at most VFPBlock
	store  *FlowStore // of the flows that hold ports; nil before the first
}

// NewNATPool reserves the first block and returns the pool, or ErrNoPortBlock.
// maxPorts is MaxPortPoolUsage; zero means DefaultPoolPorts. Blocks have 64
// ports, or those of the one argument behind, which 64 bounds (knob vfpPortBlock).
func NewNATPool(space *PortSpace, proto uint8, owner uint64, maxPorts int, block ...int) (*NATPool, error) {
	if maxPorts <= 0 {
		maxPorts = DefaultPoolPorts
	}
	n := &NATPool{space: space, proto: proto, owner: owner, max: maxPorts, block: VFPBlock}
	if len(block) > 0 && block[0] > 0 {
		n.block = min(block[0], VFPBlock)
	}
	if !n.grow() {
		return nil, ErrNoPortBlock
	}
	return n, nil
}

// Close gives all blocks back. Flows that still hold ports lose nothing else;
// their rule is gone with the pool, and they die with it.
func (n *NATPool) Close() {
	for _, b := range n.blocks {
		n.space.ReleaseRange(n.proto, b.ports(), n.owner)
	}
	n.blocks, n.used, n.inUse, n.closed = nil, nil, 0, true
}

// Proto is the protocol that the pool serves.
func (n *NATPool) Proto() uint8 { return n.proto }

// Blocks lists the blocks, in the order in which they were reserved.
func (n *NATPool) Blocks() []PortRange {
	var out []PortRange
	for _, b := range n.blocks {
		out = append(out, b.ports())
	}
	return out
}

// Size is the number of ports that the pool has reserved.
func (n *NATPool) Size() int { return len(n.blocks) * n.block }

// InUse is the number of ports that flows hold.
func (n *NATPool) InUse() int { return n.inUse }

// Holder is the switch port whose flow holds a port of the pool: the flows of a
// pool may be those of many ports (rule LB-02). It reports false when no flow
// that is alive at now holds it. What follows from the answer holds for as long
// as the flow lives.
func (n *NATPool) Holder(now int64, port uint16) (PortID, bool) {
	for _, b := range n.blocks {
		if i := int(port) - int(b.base); i >= 0 && i < b.size {
			ref := b.flow[i]
			if n.used[b.at]&(1<<i) == 0 || ref.gen == 0 || n.store.hot(ref.id).gen != ref.gen || n.store.expired(ref.id, now) {
				return 0, false
			}
			return n.store.cold(ref.id).port.ID, true
		}
	}
	return 0, false
}

func (b *natBlock) ports() PortRange { return PortRange{b.base, b.base + uint16(b.size) - 1} }

func (n *NATPool) grow() bool {
	r, ok := n.space.ReserveBlock(n.proto, VFPUse, n.block, n.owner)
	if ok {
		n.blocks = append(n.blocks, &natBlock{base: r.Lo, size: n.block, at: len(n.blocks)})
		n.used = append(n.used, 0)
	}
	return ok
}

// take hands out a port, growing by a block when all are in use. Flows that
// are dead but not yet swept count as gone, so the answer does not depend on
// how often somebody calls Age.
func (n *NATPool) take(s *FlowStore, now int64) (natHold, bool) {
	if n.closed {
		return natHold{}, false
	}
	n.store = s
	if n.inUse >= min(n.max, len(n.blocks)*n.block) && now >= n.barren {
		n.reclaim(s, now)
	}
	if n.inUse >= n.max {
		return natHold{}, false
	}
	if n.inUse == len(n.blocks)*n.block {
		n.cursor = len(n.blocks) * n.block
		if !n.grow() {
			return natHold{}, false
		}
	}
	for i := range len(n.blocks) + 1 { // one more: the part of the first block before the cursor
		at := n.cursor
		if i > 0 {
			at = (n.cursor/n.block + i) * n.block
		}
		at %= len(n.blocks) * n.block
		open := ^n.used[at/n.block] & n.whole() >> (at % n.block) << (at % n.block)
		if open == 0 {
			continue
		}
		bit := bits.TrailingZeros64(open)
		n.used[at/n.block] |= 1 << bit
		b := n.blocks[at/n.block]
		b.flow[bit] = slotRef{}
		n.inUse++
		n.cursor = (at/n.block*n.block + bit + 1) % (len(n.blocks) * n.block)
		return natHold{n, b, b.base + uint16(bit)}, true
	}
	return natHold{}, false
}

// reclaim ends the flows that have been idle for too long, which gives their
// ports back, and learns when it is worth looking again.
func (n *NATPool) reclaim(s *FlowStore, now int64) {
	n.barren = math.MaxInt64
	for i := len(n.blocks) - 1; i >= 0; i-- { // backwards: a block that empties is removed
		b := n.blocks[i]
		for used := n.used[i]; used != 0; used &= used - 1 {
			ref := b.flow[bits.TrailingZeros64(used)]
			if ref.gen == 0 {
				continue // taken by the packet that is being walked: bind will tell
			}
			if s.expired(ref.id, now) {
				s.kill(ref.id)
				continue
			}
			n.barren = min(n.barren, s.hot(ref.id).earliestEnd(now))
		}
	}
}

// bind notes which flow uses a port that take handed out.
func (h natHold) bind(id uint32, f *flowHot) {
	h.block.flow[h.port-h.block.base] = slotRef{id, f.gen}
	h.pool.barren = min(h.pool.barren, f.earliestEnd(f.seen))
}

// release gives a port back. A block that nobody uses any more goes back to
// the host, except the first: that one was promised when the policy was made.
func (n *NATPool) release(h natHold) {
	bit := h.port - h.block.base
	if n.closed {
		return
	}
	n.used[h.block.at] &^= 1 << bit
	h.block.flow[bit] = slotRef{}
	n.inUse--
	if n.used[h.block.at] == 0 && h.block.at != 0 {
		n.drop(h.block)
	}
}

// whole is the bitmap of a block all of whose ports are in use.
func (n *NATPool) whole() uint64 { return 1<<n.block - 1 }

func (n *NATPool) drop(b *natBlock) {
	n.blocks = append(n.blocks[:b.at], n.blocks[b.at+1:]...)
	n.used = append(n.used[:b.at], n.used[b.at+1:]...)
	for i, later := range n.blocks[b.at:] {
		later.at = b.at + i
	}
	if n.cursor >= b.at*n.block {
		n.cursor = b.at * n.block % (len(n.blocks) * n.block)
	}
	n.space.ReleaseRange(n.proto, b.ports(), n.owner)
}
