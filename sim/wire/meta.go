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
	m.End = len(frame)
	if len(frame) < EthernetLen {
		return Truncated
	}
	l2 := EthernetLen
	et := binary.BigEndian.Uint16(frame[ethType:])
	if et == EtherTypeVLAN && len(frame) >= EthernetLen+VLANTagLen {
		m.HasVLAN = true
		m.TCI = TCI(binary.BigEndian.Uint16(frame[vlanTCI:]))
		et = binary.BigEndian.Uint16(frame[tagType:])
		l2 += VLANTagLen
	}
	m.L2Len, m.L3, m.L4, m.Payload = l2, l2, l2, l2
	m.EtherType = et
	switch et {
	case EtherTypeIPv4:
		return parseIPv4(frame[l2:], m, l2)
	case EtherTypeIPv6:
		return parseIPv6(frame[l2:], m, l2)
	case EtherTypeARP:
		if len(frame) < l2+ARPLen {
			return Truncated
		}
		if !ARP(frame[l2:]).IsValid() {
			return BadHeaderLen
		}
		m.IsARP = true
	case EtherTypeVLAN:
		if !m.HasVLAN {
			return Truncated
		}
	}
	return OK
}

// The functions below get what they need as arguments rather than from m: they
// would wait for their own stores.

// parseIPv4 reads the packet b, which is at l3 in the frame.
func parseIPv4(b []byte, m *Meta, l3 int) ParseError {
	if len(b) < IPv4MinLen {
		return Truncated
	}
	head := binary.BigEndian.Uint64(b) // version to fragment offset
	hl, tl := int(head>>56&15)*4, int(head>>32&0xffff)
	if head>>60 != 4 || hl < IPv4MinLen || tl < hl || tl > len(b) {
		return IPv4(b).check()
	}
	proto := b[ip4Proto]
	m.IsIPv4 = true
	m.Proto = proto
	m.L4, m.Payload, m.End = l3+hl, l3+hl, l3+tl
	if f := uint16(head) & (ip4MF | ip4OffMask); f != 0 {
		m.Fragment = true
		m.FirstFragment = f == ip4MF
		if f != ip4MF {
			return OK
		}
	}
	if proto == ProtoICMPv6 {
		return OK // not ICMP of this version
	}
	return parseL4(b[hl:tl], m, proto, l3+hl)
}

// parseIPv6 reads the packet b, which is at l3 in the frame.
func parseIPv6(b []byte, m *Meta, l3 int) ParseError {
	ip := IPv6(b)
	if err := ip.check(); err != OK {
		return err
	}
	proto, off := ip.NextHeader(), IPv6Len
	end := IPv6Len + ip.PayloadLen()
	switch proto {
	case ProtoTCP, ProtoUDP, ProtoICMPv6: // no extension headers to walk
	default:
		w := walkExt(b[:end])
		if w.Err != OK {
			return w.Err
		}
		proto, off = w.Proto, w.Off
		if w.Frag != 0 {
			m.FragHeader = uint16(l3 + w.Frag)
			h := IPv6Fragment(b[w.Frag:])
			m.FirstFragment = h.Offset() == 0 && h.More()
			m.Fragment = h.Offset() != 0 || h.More()
		}
	}
	m.IsIPv6 = true
	m.Proto = proto
	m.L4, m.Payload, m.End = l3+off, l3+off, l3+end
	if (m.Fragment && !m.FirstFragment) || proto == ProtoICMP {
		return OK
	}
	return parseL4(b[off:end], m, proto, l3+off)
}

// parseL4 reads the transport header at the start of b, which is at l4 in the
// frame and ends with the datagram.
func parseL4(b []byte, m *Meta, proto uint8, l4 int) ParseError {
	switch proto {
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
		ports := binary.BigEndian.Uint32(b)
		m.SrcPort, m.DstPort = uint16(ports>>16), uint16(ports)
		m.TCPFlags = b[tcpFlags]
		m.Payload = l4 + hl
	case ProtoUDP:
		if len(b) < UDPLen {
			return TruncatedL4
		}
		ports := binary.BigEndian.Uint32(b)
		m.SrcPort, m.DstPort = uint16(ports>>16), uint16(ports)
		m.Payload = l4 + UDPLen
	case ProtoICMP, ProtoICMPv6:
		if len(b) < ICMPLen {
			return TruncatedL4
		}
		kind := b[icmpType]
		m.ICMPType, m.ICMPCode = kind, b[icmpCode]
		if (proto == ProtoICMP && isQuery4(kind)) || (proto == ProtoICMPv6 && isQuery6(kind)) {
			id := binary.BigEndian.Uint16(b[icmpID:])
			m.SrcPort, m.DstPort = id, id
		}
		m.Payload = l4 + ICMPLen
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
