package ipstack

import (
	"net/netip"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

var (
	allNodes   = netip.MustParseAddr("ff02::1")
	allRouters = netip.MustParseAddr("ff02::2")
)

// ndInput takes the messages of neighbour discovery. It reports false if p is
// none of them, or a redirect, which are not followed.
func (s *Stack) ndInput(now int64, in *Interface, p *vfp.Packet) bool {
	m := &p.Meta
	switch m.ICMPType {
	case wire.ICMP6NeighborSol, wire.ICMP6NeighborAdv, wire.ICMP6RouterSol, wire.ICMP6RouterAdv:
	default:
		return false
	}
	nd, ok := wire.NDOf(p.Bytes(), m)
	if !ok || m.ICMPCode != 0 || m.TTL(p.Bytes()) != wire.NDHopLimit {
		s.drop(now, "nd", vfp.DropMalformed, p)
		return true
	}
	src := m.Src(p.Bytes())
	switch m.ICMPType {
	case wire.ICMP6NeighborSol:
		s.nsInput(now, in, src, nd)
	case wire.ICMP6NeighborAdv:
		s.naInput(now, in, nd)
	case wire.ICMP6RouterSol:
		s.rsInput(now, in, src, nd)
	case wire.ICMP6RouterAdv:
		s.raInput(now, in, src, nd)
	}
	return true
}

func (s *Stack) nsInput(now int64, in *Interface, src netip.Addr, nd wire.ND) {
	target := wire.AddrFrom16(nd.Target())
	if !in.hasAddr(target) || in.hasAddr(src) {
		return
	}
	if mac, ok := nd.SourceLL(); ok {
		s.learn(now, in, src, mac, true)
	}
	s.sendNA(now, in, target, src)
}

// naInput follows RFC 4861 section 7.2.5 as far as entries have states here:
// an advertisement changes a known address only with the override flag.
func (s *Stack) naInput(now int64, in *Interface, nd wire.ND) {
	target := wire.AddrFrom16(nd.Target())
	mac, ok := nd.TargetLL()
	n := s.neighbor(in, target, false)
	if n == nil || !ok || in.hasAddr(target) {
		return
	}
	if n.mac.IsZero() || nd.Flags()&wire.NDOverride != 0 {
		s.learn(now, in, target, mac, false)
	}
}

func (s *Stack) sendNS(now int64, out *Interface, target netip.Addr) {
	group := wire.AddrFrom16(wire.SolicitedNode(wire.Addr16(target)))
	s.sendND(now, out, out.addrFor(target), group, &wire.NDFields{
		Type: wire.ICMP6NeighborSol, Target: target, SourceLL: out.cfg.MAC,
	})
}

// sendNA advertises an address of ours to who asked, or to everybody.
func (s *Stack) sendNA(now int64, out *Interface, target, asker netip.Addr) {
	m := &wire.NDFields{
		Type: wire.ICMP6NeighborAdv, Flags: wire.NDOverride, Target: target, TargetLL: out.cfg.MAC,
	}
	if s.forwards(out) {
		m.Flags |= wire.NDRouter
	}
	dst := allNodes
	if asker.IsValid() && !asker.IsUnspecified() {
		m.Flags |= wire.NDSolicited
		dst = asker
	}
	s.sendND(now, out, target, dst, m)
}

// sendND sends a message on one link, whatever the routes say.
func (s *Stack) sendND(now int64, out *Interface, src, dst netip.Addr, m *wire.NDFields) {
	if !src.Is6() {
		src = netip.IPv6Unspecified()
	}
	f := wire.Frame{EthSrc: out.cfg.MAC, IP: &wire.IPFields{Src: src, Dst: dst}, ND: m}
	s.sendTo(now, out, dst, f.Bytes(), held{id: s.newID(), send: out.transmit})
}
