package wire

import (
	"encoding/binary"
	"net/netip"
)

// ParseError says why a frame could not be parsed to the end. It is a small
// number, not an error: the packet path maps it to a drop reason or ignores it.
type ParseError uint8

const (
	OK             ParseError = iota
	Truncated                 // a header, or the datagram that its length field promises, is not complete
	BadVersion                // EtherType and IP version differ
	BadHeaderLen              // a header length below the minimum, or an ARP message not for IPv4 over Ethernet
	BadLength                 // IPv4 total length shorter than the header
	TooManyHeaders            // more IPv6 extension headers than we walk
	TruncatedL4               // the transport header is not complete; Meta describes the IP header
	BadL4HeaderLen            // TCP data offset below the minimum; Meta describes the IP header
)

var parseErrors = [...]string{
	OK: "ok", Truncated: "truncated", BadVersion: "bad IP version", BadHeaderLen: "bad header length",
	BadLength: "bad length", TooManyHeaders: "too many extension headers",
	TruncatedL4: "truncated transport header", BadL4HeaderLen: "bad transport header length",
}

func (e ParseError) String() string {
	if int(e) < len(parseErrors) {
		return parseErrors[e]
	}
	return "unknown parse error"
}

// Meta is where things are in a frame. Offsets count from the first byte of
// the Ethernet header. It has no pointers and fits a cache line.
//
// For frames that are not IP (ARP included) L3, L4 and Payload are all the
// first byte behind the Ethernet header and End is the frame's end.
type Meta struct {
	L2Len   int // length of the Ethernet header, 14 or 18
	L3      int // IP or ARP header
	L4      int // upper-layer header, behind IPv4 options and IPv6 extension headers; in fragments other than the first, the data
	Payload int // behind the transport header; equal to L4 when that is not TCP, UDP or ICMP
	End     int // end of the datagram: the frame's Ethernet padding is behind it

	EtherType uint16 // behind the tag
	TCI       TCI    // valid if HasVLAN
	// SrcPort and DstPort are those of TCP or UDP. In ICMP queries and replies
	// both are the identifier, so that a reply's key is the reverse of its
	// query's. Otherwise zero.
	SrcPort, DstPort uint16
	FragHeader       uint16 // offset of the IPv6 fragment header, 0 if there is none

	Proto    uint8 // upper-layer protocol
	TCPFlags uint8
	ICMPType uint8 // of ICMPv4 or ICMPv6
	ICMPCode uint8

	HasVLAN       bool
	IsIPv4        bool // the IPv4 header is complete and sane
	IsIPv6        bool // the IPv6 header and its extension headers are
	IsARP         bool // a complete ARP message for IPv4 over Ethernet
	Fragment      bool // one of several fragments; an IPv6 atomic fragment (RFC 6946) is none
	FirstFragment bool // the fragment with offset 0
	// HasL4 means that a complete TCP, UDP, ICMP or ICMPv6 header is at L4 and
	// the fields above are valid. Never in fragments other than the first.
	HasL4 bool
}

// Parse looks at frame once and writes everything that it found to m, whatever
// m held before. It reports OK for a frame that is not IP. After an error in the
// transport header m still describes the IP header; after an earlier one, the
// Ethernet header; IsIPv4, IsIPv6 and HasL4 tell. Checksums are not looked at,
// nor the UDP length field.
func Parse(frame []byte, m *Meta) ParseError {
	*m = Meta{}
	if len(frame) < EthernetLen {
		m.End = len(frame)
		return Truncated
	}
	l2 := EthernetLen
	et := binary.BigEndian.Uint16(frame[ethType:])
	if et == EtherTypeVLAN {
		if len(frame) < EthernetLen+VLANTagLen {
			m.L2Len, m.L3, m.L4, m.Payload, m.End = l2, l2, l2, l2, len(frame)
			m.EtherType = et
			return Truncated
		}
		m.HasVLAN = true
		m.TCI = TCI(binary.BigEndian.Uint16(frame[vlanTCI:]))
		et = binary.BigEndian.Uint16(frame[tagType:])
		l2 += VLANTagLen
	}
	m.L2Len, m.L3, m.L4, m.Payload, m.End = l2, l2, l2, l2, len(frame)
	m.EtherType = et
	switch et {
	case EtherTypeIPv4:
		return parseIPv4(frame, m)
	case EtherTypeIPv6:
		return parseIPv6(frame, m)
	case EtherTypeARP:
		a := ARP(frame[l2:])
		if len(a) < ARPLen {
			return Truncated
		}
		if !a.IsValid() {
			return BadHeaderLen
		}
		m.IsARP = true
	}
	return OK
}

func parseIPv4(frame []byte, m *Meta) ParseError {
	ip := IPv4(frame[m.L3:])
	if err := ip.check(); err != OK {
		return err
	}
	m.IsIPv4 = true
	m.L4 = m.L3 + ip.HeaderLen()
	m.Payload = m.L4
	m.End = m.L3 + ip.TotalLen()
	m.Proto = ip.Proto()
	if f := ip.frag() & (ip4MF | ip4OffMask); f != 0 {
		m.Fragment = true
		m.FirstFragment = f == ip4MF
		if !m.FirstFragment {
			return OK
		}
	}
	return parseL4(frame[m.L4:m.End], m)
}

func parseIPv6(frame []byte, m *Meta) ParseError {
	ip := IPv6(frame[m.L3:])
	if err := ip.check(); err != OK {
		return err
	}
	m.Proto = ip.NextHeader()
	m.L4 = m.L3 + IPv6Len
	end := m.L4 + ip.PayloadLen()
	switch m.Proto {
	case ProtoTCP, ProtoUDP, ProtoICMPv6: // no extension headers to walk
	default:
		w := ip.WalkExt()
		if w.Err != OK {
			m.Proto, m.L4 = 0, m.L3
			return w.Err
		}
		m.Proto = w.Proto
		m.L4 = m.L3 + w.Off
		if w.Frag != 0 {
			m.FragHeader = uint16(m.L3 + w.Frag)
			h := IPv6Fragment(ip[w.Frag:])
			off := h.Offset()
			m.Fragment = off != 0 || h.More()
			m.FirstFragment = off == 0 && m.Fragment
		}
	}
	m.IsIPv6 = true
	m.Payload = m.L4
	m.End = end
	if m.Fragment && !m.FirstFragment {
		return OK
	}
	return parseL4(frame[m.L4:end], m)
}

// parseL4 reads the transport header at the start of b, which ends with the
// datagram. ICMP of the other IP version is not a transport header to us.
func parseL4(b []byte, m *Meta) ParseError {
	switch m.Proto {
	case ProtoTCP:
		if len(b) < TCPMinLen {
			return TruncatedL4
		}
		hl := TCP(b).HeaderLen()
		if hl < TCPMinLen {
			return BadL4HeaderLen
		}
		if hl > len(b) {
			return TruncatedL4
		}
		m.SrcPort, m.DstPort = TCP(b).SrcPort(), TCP(b).DstPort()
		m.TCPFlags = TCP(b).Flags()
		m.Payload = m.L4 + hl
	case ProtoUDP:
		if len(b) < UDPLen {
			return TruncatedL4
		}
		m.SrcPort, m.DstPort = UDP(b).SrcPort(), UDP(b).DstPort()
		m.Payload = m.L4 + UDPLen
	case ProtoICMP, ProtoICMPv6:
		if (m.Proto == ProtoICMP) != m.IsIPv4 {
			return OK
		}
		if len(b) < ICMPLen {
			return TruncatedL4
		}
		m.ICMPType, m.ICMPCode = b[icmpType], b[icmpCode]
		if (m.IsIPv4 && isQuery4(m.ICMPType)) || (m.IsIPv6 && isQuery6(m.ICMPType)) {
			id := binary.BigEndian.Uint16(b[icmpID:])
			m.SrcPort, m.DstPort = id, id
		}
		m.Payload = m.L4 + ICMPLen
	default:
		return OK
	}
	m.HasL4 = true
	return OK
}

// IsIP reports whether the frame carries a sane IP header of either version.
func (m *Meta) IsIP() bool { return m.IsIPv4 || m.IsIPv6 }

// IsICMPError reports whether the frame is an ICMP error of either version,
// which quotes another packet (see ParseQuoted).
func (m *Meta) IsICMPError() bool {
	if !m.HasL4 {
		return false
	}
	return (m.Proto == ProtoICMP && isError4(m.ICMPType)) || (m.Proto == ProtoICMPv6 && isError6(m.ICMPType))
}

// IsICMPQuery reports whether the frame is an ICMP query or reply with an
// identifier.
func (m *Meta) IsICMPQuery() bool {
	if !m.HasL4 {
		return false
	}
	return (m.Proto == ProtoICMP && isQuery4(m.ICMPType)) || (m.Proto == ProtoICMPv6 && isQuery6(m.ICMPType))
}

// Src is the source address, invalid if the frame is not IP.
func (m *Meta) Src(frame []byte) netip.Addr {
	switch {
	case m.IsIPv4:
		return AddrFrom4(IPv4(frame[m.L3:]).Src())
	case m.IsIPv6:
		return AddrFrom16(IPv6(frame[m.L3:]).Src())
	}
	return netip.Addr{}
}

// Dst is the destination address, invalid if the frame is not IP.
func (m *Meta) Dst(frame []byte) netip.Addr {
	switch {
	case m.IsIPv4:
		return AddrFrom4(IPv4(frame[m.L3:]).Dst())
	case m.IsIPv6:
		return AddrFrom16(IPv6(frame[m.L3:]).Dst())
	}
	return netip.Addr{}
}

// TTL is the TTL or hop limit, 0 if the frame is not IP.
func (m *Meta) TTL(frame []byte) uint8 {
	switch {
	case m.IsIPv4:
		return IPv4(frame[m.L3:]).TTL()
	case m.IsIPv6:
		return IPv6(frame[m.L3:]).HopLimit()
	}
	return 0
}

// FragmentID is the identification that fragments share: 16 bits for IPv4, 32
// for IPv6, 0 if the frame is neither.
func (m *Meta) FragmentID(frame []byte) uint32 {
	switch {
	case m.IsIPv4:
		return uint32(IPv4(frame[m.L3:]).ID())
	case m.FragHeader != 0:
		return IPv6Fragment(frame[m.FragHeader:]).ID()
	}
	return 0
}

// FragmentOffset is the fragment's place in the datagram in bytes.
func (m *Meta) FragmentOffset(frame []byte) int {
	switch {
	case m.IsIPv4:
		return IPv4(frame[m.L3:]).FragOffset()
	case m.FragHeader != 0:
		return IPv6Fragment(frame[m.FragHeader:]).Offset()
	}
	return 0
}

// MoreFragments reports whether fragments follow this one.
func (m *Meta) MoreFragments(frame []byte) bool {
	switch {
	case m.IsIPv4:
		return IPv4(frame[m.L3:]).MF()
	case m.FragHeader != 0:
		return IPv6Fragment(frame[m.FragHeader:]).More()
	}
	return false
}

// L3Len is the length of the IP datagram in bytes, which MTUs limit; of other
// frames, everything behind the Ethernet header.
func (m *Meta) L3Len() int { return m.End - m.L3 }
