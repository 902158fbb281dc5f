package wire

import (
	"encoding/binary"
	"net/netip"
)

// Quoted describes the packet that an ICMP error quotes: a packet that its
// receiver, or somebody on the way, could not handle. Often only the IP header
// and eight bytes are there, so nothing behind the ports can be relied upon.
type Quoted struct {
	Src, Dst netip.Addr
	// SrcPort and DstPort are as in Meta: ports, or twice the identifier of an
	// ICMP query. Valid if HasL4.
	SrcPort, DstPort uint16
	Proto            uint8
	ICMPType         uint8
	IsIPv4           bool // otherwise IPv6
	HasL4            bool // at least eight bytes of a TCP, UDP or ICMP header
	Fragment         bool
	// ChecksumOK is whether the quoted IPv4 header's checksum is right (true
	// for IPv6). Errors that fail it are not to be translated (rule NAT-54).
	ChecksumOK bool

	L3, L4, End int // offsets in the frame; the quote may be shorter than the packet was
}

// ParseQuoted looks into an ICMP or ICMPv6 error. It reports false if the
// frame is none, or if the quoted IP header is not complete.
func ParseQuoted(frame []byte, m *Meta) (Quoted, bool) {
	var q Quoted
	if !m.IsICMPError() || (m.Fragment && !m.FirstFragment) {
		return q, false
	}
	q.L3, q.End = m.Payload, m.End
	if m.IsIPv4 {
		return q, q.parse4(frame)
	}
	return q, q.parse6(frame)
}

func (q *Quoted) parse4(frame []byte) bool {
	ip := IPv4(frame[q.L3:q.End])
	if len(ip) < IPv4MinLen || ip[0]>>4 != 4 {
		return false
	}
	hl, tl := ip.HeaderLen(), ip.TotalLen()
	if hl < IPv4MinLen || hl > len(ip) || tl < hl {
		return false
	}
	q.IsIPv4 = true
	q.Src, q.Dst = AddrFrom4(ip.Src()), AddrFrom4(ip.Dst())
	q.Proto = ip.Proto()
	q.ChecksumOK = Fold(Sum(ip[:hl], 0)) == 0xffff
	q.L4 = q.L3 + hl
	q.End = min(q.End, q.L3+tl)
	q.Fragment = ip.IsFragment()
	if ip.FragOffset() == 0 {
		q.parseL4(frame)
	}
	return true
}

func (q *Quoted) parse6(frame []byte) bool {
	ip := IPv6(frame[q.L3:q.End])
	if len(ip) < IPv6Len || ip[0]>>4 != 6 {
		return false
	}
	q.Src, q.Dst = AddrFrom16(ip.Src()), AddrFrom16(ip.Dst())
	q.ChecksumOK = true
	q.End = min(q.End, q.L3+IPv6Len+ip.PayloadLen())
	w := walkExt(frame[q.L3:q.End])
	q.Proto, q.L4 = w.Proto, q.L3+w.Off
	later := false
	if w.Frag != 0 {
		h := IPv6Fragment(ip[w.Frag:])
		later = h.Offset() != 0
		q.Fragment = later || h.More()
	}
	if w.Err == OK && !later {
		q.parseL4(frame)
	}
	return true
}

func (q *Quoted) parseL4(frame []byte) {
	b := frame[q.L4:q.End]
	if len(b) < ICMPLen {
		return
	}
	switch q.Proto {
	case ProtoTCP, ProtoUDP:
		q.SrcPort, q.DstPort = UDP(b).SrcPort(), UDP(b).DstPort()
	case ProtoICMP, ProtoICMPv6:
		if (q.Proto == ProtoICMP) != q.IsIPv4 {
			return
		}
		q.ICMPType = b[icmpType]
		if q.isQuery() {
			q.SrcPort = ICMPv4(b).ID()
			q.DstPort = q.SrcPort
		}
	default:
		return
	}
	q.HasL4 = true
}

func (q *Quoted) isQuery() bool {
	return (q.Proto == ProtoICMP && isQuery4(q.ICMPType)) || (q.Proto == ProtoICMPv6 && isQuery6(q.ICMPType))
}

// Key4 is the flow key of the quoted IPv4 packet, in the direction in which it
// was sent. For IPv6 it is a key without addresses.
func (q *Quoted) Key4(zone uint32) Key4 {
	k := Key4{B: packB(q.SrcPort, q.DstPort, q.Proto, zone)}
	if q.IsIPv4 {
		k.A = uint64(Addr4(q.Src))<<32 | uint64(Addr4(q.Dst))
	}
	return k
}

// Key6 is the flow key of the quoted IPv6 packet, in the direction in which it
// was sent. For IPv4 it is a key without addresses.
func (q *Quoted) Key6(zone uint32) Key6 {
	k := Key6{B: packB(q.SrcPort, q.DstPort, q.Proto, zone)}
	if !q.IsIPv4 {
		k.Src, k.Dst = Addr16(q.Src), Addr16(q.Dst)
	}
	return k
}

// RewriteQuotedSrc gives the quoted packet another source address and source
// port (or, for a quoted ICMP query, identifier; without HasL4 port is
// ignored), as a translator does that passes the error back to who sent the
// quoted packet (rule NAT-53). It mends the quoted IP checksum, the quoted
// transport checksum as far as it is there, and the outer ICMP checksum. q is
// kept true. An address of the other IP version changes nothing and reports
// false.
func RewriteQuotedSrc(frame []byte, m *Meta, q *Quoted, addr netip.Addr, port uint16) bool {
	if addr.Is4() != q.IsIPv4 || !addr.IsValid() {
		return false
	}
	q.rewrite(frame, m, addr, q.Dst, port, q.DstPort)
	return true
}

// RewriteQuotedDst is RewriteQuotedSrc for the destination: for errors about
// packets that went towards the translated side.
func RewriteQuotedDst(frame []byte, m *Meta, q *Quoted, addr netip.Addr, port uint16) bool {
	if addr.Is4() != q.IsIPv4 || !addr.IsValid() {
		return false
	}
	src := q.SrcPort
	if q.isQuery() {
		src = port // which a query's identifier follows
	}
	q.rewrite(frame, m, q.Src, addr, src, port)
	return true
}

// rewrite makes the quoted packet speak of the given tuple; srcPort is also a
// query's identifier. Everything quoted
// lies at an even offset in the ICMP message, so plain deltas do.
func (q *Quoted) rewrite(frame []byte, m *Meta, src, dst netip.Addr, srcPort, dstPort uint16) {
	var pseudo, outer Delta // changes that the quoted transport, and the ICMP checksum, cover
	if q.IsIPv4 {
		ip := IPv4(frame[q.L3 : q.L3+IPv4MinLen])
		newSrc, newDst := Addr4(src), Addr4(dst)
		d := Delta32(ip.Src(), newSrc) + Delta32(ip.Dst(), newDst)
		ip.SetSrc(newSrc)
		ip.SetDst(newDst)
		old := ip.Checksum()
		ip.SetChecksum(d.Mend(old))
		outer = d + Delta16(old, ip.Checksum())
		if q.Proto != ProtoICMP {
			pseudo = d
		}
	} else {
		ip := IPv6(frame[q.L3 : q.L3+IPv6Len])
		newSrc, newDst := Addr16(src), Addr16(dst)
		outer = Delta128(ip.Src(), newSrc) + Delta128(ip.Dst(), newDst)
		pseudo = outer
		ip.SetSrc(newSrc)
		ip.SetDst(newDst)
	}
	q.Src, q.Dst = src, dst
	if q.HasL4 {
		outer += q.rewriteL4(frame, pseudo, srcPort, dstPort)
	}
	icmp := ICMPv4(frame[m.L4:m.End])
	icmp.SetChecksum(outer.Mend(icmp.Checksum()))
}

// rewriteL4 sets the quoted ports or identifier, mends the quoted checksum if
// it is there, and returns the sum of its changes.
func (q *Quoted) rewriteL4(frame []byte, d Delta, srcPort, dstPort uint16) Delta {
	b := frame[q.L4:q.End]
	var changed Delta
	checksumAt := icmpChecksum
	switch q.Proto {
	case ProtoTCP, ProtoUDP:
		changed = Delta16(q.SrcPort, srcPort) + Delta16(q.DstPort, dstPort)
		UDP(b).SetSrcPort(srcPort)
		UDP(b).SetDstPort(dstPort)
		q.SrcPort, q.DstPort = srcPort, dstPort
		checksumAt = udpChecksum
		if q.Proto == ProtoTCP {
			checksumAt = tcpChecksum
		}
	default:
		if q.isQuery() {
			changed = Delta16(q.SrcPort, srcPort)
			ICMPv4(b).SetID(srcPort)
			q.SrcPort, q.DstPort = srcPort, srcPort
		}
	}
	if len(b) < checksumAt+2 { // eight bytes of TCP end before the checksum
		return changed
	}
	old := binary.BigEndian.Uint16(b[checksumAt:])
	mended := (d + changed).Mend(old)
	if q.Proto == ProtoUDP {
		mended = (d + changed).MendUDP(old)
	}
	binary.BigEndian.PutUint16(b[checksumAt:], mended)
	return changed + Delta16(old, mended)
}
