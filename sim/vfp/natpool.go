package vfp

import (
	"errors"
	"math/bits"
)

// ErrNoPortBlock is what programming a NAT pool fails with when the host has
// no free block of ports (rule L2B-23). The control plane reports 0x803B0013.
var ErrNoPortBlock = errors.New("no free block of 64 ports in the dynamic range")

// DefaultPoolPorts bounds a pool when MaxPortPoolUsage does not: sixteen
// blocks. The real default is not published.
const DefaultPoolPorts = 16 * VFPBlock

// natBlock is 64 ports of a PortSpace; bit i of used is port base+i.
type natBlock struct {
	base uint16
	used uint64
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
	cursor int // position in turn: block index * 64 + bit
	// A full pool was searched in vain for dead flows and can have none before
	// this time, whatever its packets do. Zero after every success.
	barren int64
	closed bool
}

// NewNATPool reserves the first block and returns the pool, or ErrNoPortBlock.
// maxPorts is MaxPortPoolUsage; zero means DefaultPoolPorts.
func NewNATPool(space *PortSpace, proto uint8, owner uint64, maxPorts int) (*NATPool, error) {
	if maxPorts <= 0 {
		maxPorts = DefaultPoolPorts
	}
	n := &NATPool{space: space, proto: proto, owner: owner, max: maxPorts}
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
	n.blocks, n.inUse, n.closed = nil, 0, true
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

// InUse is the number of ports that flows hold.
func (n *NATPool) InUse() int { return n.inUse }

func (b *natBlock) ports() PortRange { return PortRange{b.base, b.base + VFPBlock - 1} }

func (n *NATPool) grow() bool {
	r, ok := n.space.ReserveBlock(n.proto, VFPUse, VFPBlock, n.owner)
	if ok {
		n.blocks = append(n.blocks, &natBlock{base: r.Lo})
	}
	return ok
}

// take hands out a port, growing by a block when all are in use. Flows that
// are dead but not yet swept count as gone, so the answer does not depend on
// how often somebody calls Age.
func (n *NATPool) take(s *FlowStore, now int64) (uint16, bool) {
	if n.closed {
		return 0, false
	}
	if n.inUse >= min(n.max, len(n.blocks)*VFPBlock) && now >= n.barren {
		n.reclaim(s, now)
	}
	if n.inUse >= n.max {
		return 0, false
	}
	if n.inUse == len(n.blocks)*VFPBlock {
		n.cursor = len(n.blocks) * VFPBlock
		if !n.grow() {
			return 0, false
		}
	}
	for i := range len(n.blocks) + 1 { // one more: the part of the first block before the cursor
		at := n.cursor
		if i > 0 {
			at = (n.cursor/VFPBlock + i) * VFPBlock
		}
		at %= len(n.blocks) * VFPBlock
		b := n.blocks[at/VFPBlock]
		open := ^b.used >> (at % VFPBlock) << (at % VFPBlock)
		if open == 0 {
			continue
		}
		bit := bits.TrailingZeros64(open)
		b.used |= 1 << bit
		b.flow[bit] = slotRef{}
		n.inUse++
		n.barren = 0
		n.cursor = (at/VFPBlock*VFPBlock + bit + 1) % (len(n.blocks) * VFPBlock)
		return b.base + uint16(bit), true
	}
	return 0, false
}

// reclaim ends the flows that have been idle for too long, which gives their
// ports back, and learns when it is worth looking again.
func (n *NATPool) reclaim(s *FlowStore, now int64) {
	n.barren = now + DefaultIdle
	for i := len(n.blocks) - 1; i >= 0; i-- { // backwards: a block that empties is removed
		b := n.blocks[i]
		for used := b.used; used != 0; used &= used - 1 {
			ref := b.flow[bits.TrailingZeros64(used)]
			if ref.gen == 0 {
				continue // taken by the packet that is being walked
			}
			f := s.hot(ref.id)
			if f.expired(now) {
				s.kill(ref.id)
				continue
			}
			// A FIN or RST may yet shorten the flow's life, but only from now on.
			n.barren = min(n.barren, f.seen+f.idle, now+min(f.ruleIdle, TCPClosingIdle))
		}
	}
}

// bind notes which flow uses a port that take handed out.
func (n *NATPool) bind(port uint16, f slotRef) {
	if b, bit, ok := n.locate(port); ok {
		b.flow[bit] = f
	}
}

// release gives a port back. A block that nobody uses any more goes back to
// the host, except the first: that one was promised when the policy was made.
func (n *NATPool) release(port uint16) {
	b, bit, ok := n.locate(port)
	if !ok || b.used>>bit&1 == 0 {
		return
	}
	b.used &^= 1 << bit
	b.flow[bit] = slotRef{}
	n.inUse--
	if b.used == 0 && b != n.blocks[0] {
		n.drop(b)
	}
}

func (n *NATPool) drop(b *natBlock) {
	for i := range n.blocks {
		if n.blocks[i] != b {
			continue
		}
		n.blocks = append(n.blocks[:i], n.blocks[i+1:]...)
		if n.cursor >= i*VFPBlock {
			n.cursor = i * VFPBlock % (len(n.blocks) * VFPBlock)
		}
		n.space.ReleaseRange(n.proto, b.ports(), n.owner)
		return
	}
}

func (n *NATPool) locate(port uint16) (*natBlock, int, bool) {
	for _, b := range n.blocks {
		if port >= b.base && port-b.base < VFPBlock {
			return b, int(port - b.base), true
		}
	}
	return nil, 0, false
}
