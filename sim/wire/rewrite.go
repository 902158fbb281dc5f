package wire

import (
	"encoding/binary"
	"net/netip"
)

// The rewrites below change a field in place and mend every checksum that
// covers it, incrementally (RFC 1624): a wrong checksum stays wrong by the same
// amount, as behind a real translator, and a missing UDP checksum stays
// missing. The transport checksum is only touched when the transport header is
// in this frame (Meta.HasL4), so the same call serves all fragments of a
// datagram. m is the frame's Meta and is kept true. A rewrite that does not
// fit the frame (an IPv4 address into an IPv6 packet) changes nothing.
//
// Not modelled: UDP-Lite, SCTP and DCCP, whose headers are data to us.

// SetIPv4Src sets the source address of an IPv4 packet.
func SetIPv4Src(frame []byte, m *Meta, addr uint32) { setIPv4(frame, m, ip4Src, addr) }

// SetIPv4Dst sets the destination address of an IPv4 packet.
func SetIPv4Dst(frame []byte, m *Meta, addr uint32) { setIPv4(frame, m, ip4Dst, addr) }

func setIPv4(frame []byte, m *Meta, at int, addr uint32) {
	if !m.IsIPv4 {
		return
	}
	ip := frame[m.L3 : m.L3+IPv4MinLen]
	d := Delta32(binary.BigEndian.Uint32(ip[at:]), addr)
	binary.BigEndian.PutUint32(ip[at:], addr)
	IPv4(ip).SetChecksum(d.Mend(IPv4(ip).Checksum()))
	if m.Proto != ProtoICMP { // ICMPv4 has no pseudo-header
		m.mendL4(frame, d)
	}
}

// SetIPv6Src sets the source address of an IPv6 packet.
func SetIPv6Src(frame []byte, m *Meta, addr [16]byte) { setIPv6(frame, m, ip6Src, addr) }

// SetIPv6Dst sets the destination address of an IPv6 packet.
func SetIPv6Dst(frame []byte, m *Meta, addr [16]byte) { setIPv6(frame, m, ip6Dst, addr) }

func setIPv6(frame []byte, m *Meta, at int, addr [16]byte) {
	if !m.IsIPv6 {
		return
	}
	b := frame[m.L3+at : m.L3+at+16]
	d := Delta128([16]byte(b), addr)
	copy(b, addr[:])
	m.mendL4(frame, d)
}

// SetSrc sets the source address of an IP packet; it reports false, and
// changes nothing, if addr is of the other version.
func SetSrc(frame []byte, m *Meta, addr netip.Addr) bool {
	switch {
	case m.IsIPv4 && addr.Is4():
		SetIPv4Src(frame, m, Addr4(addr))
	case m.IsIPv6 && addr.Is6():
		SetIPv6Src(frame, m, Addr16(addr))
	default:
		return false
	}
	return true
}

// SetDst sets the destination address as SetSrc sets the source.
func SetDst(frame []byte, m *Meta, addr netip.Addr) bool {
	switch {
	case m.IsIPv4 && addr.Is4():
		SetIPv4Dst(frame, m, Addr4(addr))
	case m.IsIPv6 && addr.Is6():
		SetIPv6Dst(frame, m, Addr16(addr))
	default:
		return false
	}
	return true
}

// SetPorts sets both ports of a TCP or UDP packet.
func SetPorts(frame []byte, m *Meta, src, dst uint16) {
	if !m.HasL4 || (m.Proto != ProtoTCP && m.Proto != ProtoUDP) {
		return
	}
	b := frame[m.L4 : m.L4+4]
	ports := uint32(src)<<16 | uint32(dst)
	d := Delta32(binary.BigEndian.Uint32(b), ports)
	binary.BigEndian.PutUint32(b, ports)
	m.SrcPort, m.DstPort = src, dst
	m.mendL4(frame, d)
}

// SetSrcPort sets the source port of a TCP or UDP packet.
func SetSrcPort(frame []byte, m *Meta, port uint16) { SetPorts(frame, m, port, m.DstPort) }

// SetDstPort sets the destination port of a TCP or UDP packet.
func SetDstPort(frame []byte, m *Meta, port uint16) { SetPorts(frame, m, m.SrcPort, port) }

// SetICMPID sets the identifier of an ICMP or ICMPv6 query or reply.
func SetICMPID(frame []byte, m *Meta, id uint16) {
	if !m.IsICMPQuery() {
		return
	}
	b := ICMPv4(frame[m.L4:m.End])
	d := Delta16(b.ID(), id)
	b.SetID(id)
	m.SrcPort, m.DstPort = id, id
	m.mendL4(frame, d)
	if b.Checksum() == 0 && id == 0 && m.Proto == ProtoICMP {
		// An echo reply may now be all zeros, the one case in which mending
		// finds the wrong zero: without pseudo-header nothing else is left in
		// the sum, and receivers reject it. A fragment's rest is unknown.
		b.SetChecksum(0)
		if !m.Fragment && Sum(b, 0) == 0 {
			b.SetChecksum(0xffff)
		}
	}
}

// mendL4 applies a change to the transport checksum.
func (m *Meta) mendL4(frame []byte, d Delta) {
	if !m.HasL4 {
		return
	}
	b := frame[m.L4:m.End]
	switch m.Proto {
	case ProtoTCP:
		TCP(b).SetChecksum(d.Mend(TCP(b).Checksum()))
	case ProtoUDP:
		UDP(b).SetChecksum(d.MendUDP(UDP(b).Checksum()))
	case ProtoICMP, ProtoICMPv6:
		ICMPv4(b).SetChecksum(d.Mend(ICMPv4(b).Checksum()))
	}
}

// DecTTL takes n hops off the TTL or hop limit. If that would leave none it
// changes nothing and reports false: the packet has expired.
func DecTTL(frame []byte, m *Meta, n uint8) bool {
	switch {
	case m.IsIPv4:
		ip := IPv4(frame[m.L3 : m.L3+IPv4MinLen])
		old := ip.TTL()
		if old <= n {
			return n == 0
		}
		ip.SetTTL(old - n)
		// TTL is the high byte of its word; the protocol beside it stays.
		ip.SetChecksum(Mend16(ip.Checksum(), uint16(old)<<8, uint16(old-n)<<8))
		return true
	case m.IsIPv6:
		ip := IPv6(frame[m.L3 : m.L3+IPv6Len])
		old := ip.HopLimit()
		if old <= n {
			return n == 0
		}
		ip.SetHopLimit(old - n)
		return true
	}
	return true
}

// SetTOS sets the type of service byte or traffic class: DSCP and ECN.
func SetTOS(frame []byte, m *Meta, tos uint8) {
	switch {
	case m.IsIPv4:
		ip := IPv4(frame[m.L3 : m.L3+IPv4MinLen])
		d := Delta16(uint16(ip.TOS()), uint16(tos))
		ip.SetTOS(tos)
		ip.SetChecksum(d.Mend(ip.Checksum()))
	case m.IsIPv6:
		ip := IPv6(frame[m.L3 : m.L3+IPv6Len])
		ip.SetClassLabel(tos, ip.FlowLabel())
	}
}

// TOS is the type of service byte or traffic class, 0 if the frame is not IP.
func (m *Meta) TOS(frame []byte) uint8 {
	switch {
	case m.IsIPv4:
		return IPv4(frame[m.L3:]).TOS()
	case m.IsIPv6:
		return IPv6(frame[m.L3:]).TrafficClass()
	}
	return 0
}

// DF reports whether routers must not fragment the packet; IPv6 routers never
// do.
func (m *Meta) DF(frame []byte) bool {
	return m.IsIPv6 || (m.IsIPv4 && IPv4(frame[m.L3:]).DF())
}

// ClampMSS lowers the MSS option of a TCP SYN to mss, if there is one and it
// is larger. It reports whether it changed the frame.
func ClampMSS(frame []byte, m *Meta, mss uint16) bool {
	if !m.HasL4 || m.Proto != ProtoTCP || m.TCPFlags&TCPSyn == 0 {
		return false
	}
	b := TCP(frame[m.L4:m.End])
	at := b.mssAt()
	if at < 0 {
		return false
	}
	old := binary.BigEndian.Uint16(b[at:])
	if old <= mss {
		return false
	}
	binary.BigEndian.PutUint16(b[at:], mss)
	d := Delta16(old, mss)
	if at%2 != 0 {
		d = d.Swapped()
	}
	m.mendL4(frame, d)
	return true
}
