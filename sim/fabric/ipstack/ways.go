package ipstack

import (
	"encoding/binary"
	"net/netip"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// A stack remembers what it has forwarded lately: for a pair of addresses that
// came in through an interface, where packets go on and with which Ethernet
// addresses. All of that follows from interfaces, addresses, routes and
// neighbours; when one of those changes, everything is forgotten. A packet that
// finds its way here skips what would come to the same end.
type way struct {
	in, out  *Interface
	srcIP    netip.Addr // out's address for the way
	src, dst uint32     // addresses of the packets
	ethSrc   wire.MAC
	ethDst   wire.MAC
	epoch    uint64
}

const numWays = 256 // a power of two

// changed forgets all ways.
func (s *Stack) changed() { s.epoch++ }

// Epoch changes with the stack's interfaces, addresses, routes and neighbours.
func (s *Stack) Epoch() uint64 { return s.epoch }

func (s *Stack) wayOf(src, dst uint32) *way {
	return &s.ways[(src*0x9e3779b1^dst*0x85ebca77)>>24&(numWays-1)]
}

// learnWay notes the way of a packet that is about to be forwarded as the table
// of routes says, before hooks and the hop. orig is the packet before any hook.
func (s *Stack) learnWay(in, out *Interface, src netip.Addr, p, orig *vfp.Packet) {
	hooks := &s.cfg.Hooks
	if s.cfg.NoWays || p.Meta != orig.Meta || !ordinary(p) || hooks.Forwarding == nil && (hooks.PreRouting != nil || hooks.PostRouting != nil) {
		return
	}
	b := p.Bytes()
	from, to := binary.BigEndian.Uint32(b[26:]), binary.BigEndian.Uint32(b[30:])
	if w := s.wayOf(from, to); w.src == from && w.dst == to && w.in == in && w.epoch == s.epoch {
		return
	}
	if o := orig.Bytes(); binary.BigEndian.Uint32(o[26:]) != from || binary.BigEndian.Uint32(o[30:]) != to {
		return // a hook has changed it
	}
	dst := wire.AddrFrom4(to)
	_, next, _, ok := s.RouteTo(dst)
	if !ok || out.lo || s.choice(dst) {
		return
	}
	if _, group := out.groupMAC(next); group {
		return
	}
	n := s.neigh[neighKey{out, next}]
	if n == nil || n.mac.IsZero() {
		return
	}
	*s.wayOf(from, to) = way{in: in, out: out, srcIP: src, src: from, dst: to, ethSrc: out.cfg.MAC, ethDst: n.mac, epoch: s.epoch}
}

// choice reports whether the flow has a say in the route to dst.
func (s *Stack) choice(dst netip.Addr) bool {
	for i := range s.routes {
		if r := &s.routes[i]; r.dst.Contains(dst) && r.out.Up() {
			return i+1 < len(s.routes) && s.routes[i+1].dst == r.dst
		}
	}
	return true
}

// ordinary reports whether a parsed packet is whole IPv4 without options and
// tag, with TCP or UDP that is nobody's but its receiver's.
func ordinary(p *vfp.Packet) bool {
	m := &p.Meta
	return m.IsIPv4 && m.HasL4 && !m.Fragment && m.L3 == wire.EthernetLen && m.L4 == wire.EthernetLen+wire.IPv4MinLen &&
		(m.Proto == wire.ProtoTCP || m.Proto == wire.ProtoUDP && m.DstPort != wire.DHCPClientPort)
}

// advance changes a parsed packet that came in through an interface to what goes
// out of the one that it returns, if the way is known. Otherwise it returns nil
// and has changed nothing but padding.
func (s *Stack) advance(now int64, in *Interface, p *vfp.Packet) *Interface {
	if !ordinary(p) {
		return nil
	}
	b := p.Bytes()
	h := (*[wire.EthernetLen + wire.IPv4MinLen]byte)(b)
	src, dst := binary.BigEndian.Uint32(h[26:]), binary.BigEndian.Uint32(h[30:])
	w := s.wayOf(src, dst)
	if w.src != src || w.dst != dst || w.in != in || w.epoch != s.epoch || h[0]&1 != 0 {
		return nil
	}
	if h[22] <= 1 || p.Meta.L3Len() > w.out.cfg.MTU || wire.Fold(wire.Sum(h[wire.EthernetLen:], 0)) != 0xffff {
		return nil
	}
	p.TrimTo(p.Meta.End)
	if f := s.cfg.Hooks.Forwarding; f != nil && !f(now, in, w.out, w.srcIP, p) {
		return nil
	}
	wire.DecTTL(b, &p.Meta, 1)
	*(*[6]byte)(h[:]), *(*[6]byte)(h[6:]) = w.ethDst, w.ethSrc
	return w.out
}

// goesOn forwards a packet whose way is known.
func (s *Stack) goesOn(now int64, in *Interface, p *vfp.Packet) bool {
	out := s.advance(now, in, p)
	if out != nil {
		out.transmit(now, p.Bytes(), p.ID)
	}
	return out != nil
}

// Advance is Receive without a copy, for a packet whose way is known: it is
// changed where it is, and goes out of the interface that is returned, but is
// not sent. nil means that Receive has to take it.
func (i *Interface) Advance(now int64, p *vfp.Packet) *Interface {
	if !i.Up() || i.tap != nil || !i.Accepts(p.Bytes()) {
		return nil
	}
	p.Parse()
	return i.s.advance(now, i, p)
}

// Transmit sends a complete frame out of the interface.
func (i *Interface) Transmit(now int64, frame []byte, id uint64) { i.transmit(now, frame, id) }
