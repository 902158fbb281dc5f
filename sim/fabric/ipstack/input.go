package ipstack

import (
	"net/netip"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// Receive takes a frame from the interface's link. The frame stays the
// caller's. Frames for other stations, and of VLANs (the NIC or switch port
// strips the tag of its own), are not the stack's business and leave no trace.
func (i *Interface) Receive(now int64, frame []byte, id uint64) {
	s := i.s
	if !i.Up() || !i.Accepts(frame) {
		return
	}
	p := s.get(frame, id)
	defer s.put(p)
	perr := p.Parse()
	if f := s.cfg.Observer.OnReceive; f != nil {
		f(now, i.cfg.Name, frame, id)
	}
	switch {
	case i.tapped(now, p):
	case s.goesOn(now, i, p):
	case p.Meta.IsARP:
		s.arpInput(now, i, p)
	case p.Meta.IsIPv6 && i.cfg.NoIPv6:
	case p.Meta.IsIP():
		s.ipInput(now, i, p)
	case perr != wire.OK:
		s.drop(now, "ip", vfp.DropMalformed, p)
	}
}

// ipInput decides whose packet it is.
func (s *Stack) ipInput(now int64, in *Interface, p *vfp.Packet) {
	s.plain(p)
	if why := s.sane(p); why != vfp.DropNone {
		s.drop(now, "ip", why, p)
		return
	}
	if s.cfg.Hooks.PreRouting == nil {
		s.dispatch(now, in, p, p)
		return
	}
	// Errors about the packet quote it as its sender knows it.
	orig := s.get(p.Bytes(), p.ID)
	orig.Meta = p.Meta
	defer s.put(orig)
	switch v := s.cfg.Hooks.PreRouting(now, in, p); v.kind {
	case drop:
		s.drop(now, "prerouting", v.reason, p)
	case accept:
		s.dispatch(now, in, p, orig)
	}
}

// plain takes off a priority tag and Ethernet padding, so that from here on a
// packet is 14 bytes of Ethernet header and a datagram.
func (s *Stack) plain(p *vfp.Packet) {
	p.TrimTo(p.Meta.End)
	if p.Meta.HasVLAN {
		wire.StripTag(p.Bytes())
		p.TrimFront(wire.VLANTagLen)
		p.Parse()
	}
}

// sane says why no stack would look further at a packet from outside.
func (s *Stack) sane(p *vfp.Packet) vfp.Drop {
	m, b := &p.Meta, p.Bytes()
	src, dst := m.Src(b), m.Dst(b)
	switch {
	case m.IsIPv4 && wire.Fold(wire.Sum(b[m.L3:m.L3+wire.IPv4(b[m.L3:]).HeaderLen()], 0)) != 0xffff:
		return vfp.DropBadChecksum
	case src.IsMulticast() || src == limitedBroadcast || src.IsLoopback() || dst.IsLoopback() || dst.IsUnspecified():
		return vfp.DropMalformed // rule CMP-05: loopback addresses are never on a link
	case s.isOwn(src):
		return vfp.DropLandLike // rule LB-15
	}
	return vfp.DropNone
}

// dispatch delivers or forwards. orig is the packet before any hook.
func (s *Stack) dispatch(now int64, in *Interface, p, orig *vfp.Packet) {
	dst := p.Meta.Dst(p.Bytes())
	switch {
	case s.isOwn(dst), in.isBroadcast(dst), dst.IsMulticast(), in.configuring(p):
		s.deliver(now, in, p)
	default:
		s.forward(now, in, p, orig)
	}
}

// forwards reports whether packets may be routed out of i, or in from it, at
// all.
func (s *Stack) forwards(i *Interface) bool { return s.cfg.Forwarding || i.cfg.Forwarding }

// forward routes a packet that is somebody else's.
func (s *Stack) forward(now int64, in *Interface, p, orig *vfp.Packet) {
	dst := p.Meta.Dst(p.Bytes())
	if !s.forwards(in) || wire.Ethernet(p.Bytes()).Dst().IsMulticast() || dst.IsLinkLocalUnicast() ||
		p.Meta.Src(p.Bytes()).IsLinkLocalUnicast() || p.Meta.Src(p.Bytes()).IsUnspecified() {
		s.drop(now, "forward", vfp.DropNotForwarding, p)
		return
	}
	if p.Meta.TTL(p.Bytes()) <= 1 {
		s.report(now, in, orig, wire.Reporter.HopsExceeded)
		s.drop(now, "forward", vfp.DropTtlExceeded, p)
		return
	}
	out, _, src, ok := s.RouteTo(dst)
	if !ok || !s.forwards(out) {
		s.report(now, in, orig, func(r wire.Reporter, f []byte, m *wire.Meta) []byte {
			return r.Unreachable(f, m, wire.NoRoute)
		})
		s.drop(now, "forward", vfp.DropNoRoute, p)
		return
	}
	// Before the source is translated: the sender must recognise what is
	// quoted, and the translator must not make a mapping for it (rule NAT-52).
	if !s.fits(now, in, out, p, orig) {
		return
	}
	s.learnWay(in, out, src, p, orig)
	wire.DecTTL(p.Bytes(), &p.Meta, 1)
	if f := s.cfg.Hooks.PostRouting; f != nil {
		switch v := f(now, in, out, src, p); v.kind {
		case drop:
			s.drop(now, "postrouting", v.reason, p)
			return
		case stolen:
			return
		}
	}
	s.route(now, in, p, orig)
}

// fits reports whether out can carry the packet, if need be in fragments; if
// not, it tells the sender.
func (s *Stack) fits(now int64, in, out *Interface, p, orig *vfp.Packet) bool {
	mtu := out.cfg.MTU
	if p.Meta.L3Len() <= mtu || !p.Meta.DF(p.Bytes()) {
		return true
	}
	s.report(now, in, orig, func(r wire.Reporter, f []byte, m *wire.Meta) []byte {
		return r.TooBig(f, m, mtu)
	})
	s.drop(now, "forward", vfp.DropFragNeeded, p)
	return false
}

// route sends on a packet that every hook has seen, to wherever its
// destination is now: a translator may have made it ours, or turned it round
// (rule NAT-37).
func (s *Stack) route(now int64, in *Interface, p, orig *vfp.Packet) {
	dst := p.Meta.Dst(p.Bytes())
	h := vfp.HeaderOf(p.Bytes(), &p.Meta)
	out, next, _, ok := s.routeFlow(dst, h.FlowHash())
	switch {
	case !ok:
		s.drop(now, "forward", vfp.DropNoRoute, p)
	case out.lo:
		s.deliver(now, in, p)
	case s.fits(now, in, out, p, orig):
		_ = s.send(now, out, next, p, "forward") // the drop is reported where it happens
	}
}

// report sends an ICMP error about a packet that came in, from the address
// that the interface has towards the sender. message decides what it says and
// whether there is to be one.
func (s *Stack) report(now int64, in *Interface, p *vfp.Packet, message func(wire.Reporter, []byte, *wire.Meta) []byte) {
	if in.lo {
		return // nobody outside sent it
	}
	sender := p.Meta.Src(p.Bytes())
	from := in.addrFor(sender)
	if p.Meta.IsIPv6 && !sender.IsLinkLocalUnicast() && from.IsLinkLocalUnicast() {
		from = in.addrFor(netip.IPv6Unspecified())
	}
	b := message(wire.Reporter{MAC: in.cfg.MAC, IP: from, TTL: s.cfg.TTL}, p.Bytes(), &p.Meta)
	if b == nil {
		return
	}
	e := s.get(b, s.newID())
	defer s.put(e)
	e.Parse()
	if e.Meta.IsIPv4 {
		ip := wire.IPv4(e.Bytes()[e.Meta.L3:])
		ip.SetID(uint16(s.nextIPID()))
		wire.FixChecksums(e.Bytes(), &e.Meta)
	}
	_ = s.output(now, e, in.cfg.Name) // an error that cannot be sent is as good as lost
}
