package ipstack

import (
	"net/netip"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// deliver takes a packet for this stack to whoever handles its protocol.
func (s *Stack) deliver(now int64, in *Interface, p *vfp.Packet) {
	if p.Meta.Fragment {
		if p = s.reassemble(now, p); p == nil {
			return
		}
		defer s.put(p)
	}
	m := &p.Meta
	switch m.Proto {
	case wire.ProtoTCP, wire.ProtoUDP:
	case wire.ProtoICMP, wire.ProtoICMPv6:
		if (m.Proto == wire.ProtoICMP) != m.IsIPv4 {
			return
		}
	default:
		return // received; nobody here speaks it
	}
	switch {
	case !m.HasL4:
		s.drop(now, "deliver", vfp.DropMalformed, p)
	case !transportOK(p):
		s.drop(now, "deliver", vfp.DropBadChecksum, p)
	case !in.lo && !s.profile.passes(now, p, false):
		s.drop(now, "deliver", vfp.DropHostFirewall, p)
	case m.Proto == wire.ProtoTCP:
		s.tcpInput(now, in, p)
	case m.Proto == wire.ProtoUDP:
		s.udpInput(now, in, p)
	default:
		s.icmpInput(now, in, p)
	}
}

// transportOK verifies the checksum of a whole packet whose transport header
// is there, and the length that UDP claims.
func transportOK(p *vfp.Packet) bool {
	m, frame := &p.Meta, p.Bytes()
	b := frame[m.L4:m.End]
	var pseudo uint64
	if m.Proto == wire.ProtoUDP {
		n := wire.UDP(b).Length()
		switch {
		case n < wire.UDPLen || n > len(b):
			return false
		case wire.UDP(b).Checksum() == 0:
			return m.IsIPv4 // IPv6 has no other checksum
		}
		b = b[:n]
	}
	switch {
	case m.IsIPv6:
		ip := wire.IPv6(frame[m.L3:])
		pseudo = wire.PseudoSum6(ip.Src(), ip.Dst(), m.Proto, len(b))
	case m.Proto != wire.ProtoICMP:
		ip := wire.IPv4(frame[m.L3:])
		pseudo = wire.PseudoSum4(ip.Src(), ip.Dst(), m.Proto, len(b))
	}
	return wire.Fold(wire.Sum(b, pseudo)) == 0xffff
}

// icmpInput handles ICMP of both versions.
func (s *Stack) icmpInput(now int64, in *Interface, p *vfp.Packet) {
	m := &p.Meta
	switch {
	case m.IsIPv6 && s.ndInput(now, in, p):
	case m.IsICMPError():
		s.icmpErrorInput(now, p)
	case m.ICMPType == echoTypes(m.IsIPv4).request:
		s.echoRequest(now, in, p)
	case m.ICMPType == echoTypes(m.IsIPv4).reply:
		s.echoReply(now, p)
	}
}

type echoType struct{ request, reply uint8 }

func echoTypes(v4 bool) echoType {
	if v4 {
		return echoType{wire.ICMPEcho, wire.ICMPEchoReply}
	}
	return echoType{wire.ICMP6Echo, wire.ICMP6EchoReply}
}

// echoRequest answers, unless that is switched off or the request went to
// many.
func (s *Stack) echoRequest(now int64, in *Interface, p *vfp.Packet) {
	b := p.Bytes()
	src, dst := p.Meta.Src(b), p.Meta.Dst(b)
	if s.cfg.NoEchoReply || !s.isOwn(dst) || src.IsUnspecified() {
		return
	}
	icmp := wire.ICMPv4(b[p.Meta.L4:p.Meta.End])
	f := &wire.Frame{
		IP:      &wire.IPFields{Src: dst, Dst: src, TOS: p.Meta.TOS(b)},
		ICMP:    &wire.ICMPFields{Type: echoTypes(p.Meta.IsIPv4).reply, ID: icmp.ID(), Seq: icmp.Seq()},
		Payload: icmp.Payload(),
	}
	_, _ = s.emit(now, f, sending{zone: in.zone()}) // a reply that cannot be sent is as good as lost
}

// zone is what binds link-local addresses to the interface.
func (i *Interface) zone() string {
	if i.lo {
		return ""
	}
	return i.cfg.Name
}

// ICMPError is what an error message says about a packet sent from here.
type ICMPError struct {
	From       netip.Addr // who complains
	Type, Code uint8
	MTU        int // of the next hop, for "too big"
	// The packet that it quotes; ports are the identifier for ICMP.
	Proto    uint8
	Src, Dst netip.AddrPort
}

// TooBig reports whether the error tells the path MTU.
func (e ICMPError) TooBig() bool {
	if e.Src.Addr().Is4() {
		return e.Type == wire.ICMPUnreachable && e.Code == wire.ICMPFragNeeded
	}
	return e.Type == wire.ICMP6PacketTooBig
}

// refuses reports whether the error says that the destination itself does not
// take the packet: protocol or port unreachable.
func (e ICMPError) refuses() bool {
	if e.Src.Addr().Is4() {
		return e.Type == wire.ICMPUnreachable && (e.Code == wire.ICMPProtoUnreachable || e.Code == wire.ICMPPortUnreachable)
	}
	return e.Type == wire.ICMP6Unreachable && e.Code == wire.ICMP6PortUnreachable
}

// icmpErrorInput finds out who should hear of an error. Errors about packets
// that do not begin here are nobody's.
func (s *Stack) icmpErrorInput(now int64, p *vfp.Packet) {
	b, m := p.Bytes(), &p.Meta
	q, ok := wire.ParseQuoted(b, m)
	if !ok || !s.isOwn(q.Src) {
		return
	}
	e := ICMPError{
		From: m.Src(b), Type: m.ICMPType, Code: m.ICMPCode, Proto: q.Proto,
		Src: netip.AddrPortFrom(q.Src, q.SrcPort), Dst: netip.AddrPortFrom(q.Dst, q.DstPort),
	}
	if e.TooBig() {
		e.MTU = int(wire.ICMPv4(b[m.L4:m.End]).MTU())
		if m.IsIPv6 {
			e.MTU = int(min(wire.ICMPv6(b[m.L4:m.End]).MTU(), 1<<16))
		}
	}
	if f := s.cfg.Observer.OnICMPError; f != nil {
		f(now, e)
	}
	if !q.HasL4 {
		return
	}
	switch q.Proto {
	case wire.ProtoTCP:
		s.tcpError(now, e)
	case wire.ProtoICMP, wire.ProtoICMPv6:
		s.echoError(now, e)
	}
}
