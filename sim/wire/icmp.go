package wire

import "encoding/binary"

// ICMPv4 (RFC 792), the layout that all messages share. The second word is the
// identifier and sequence number of queries, the next-hop MTU of type 3 code 4
// (RFC 1191), and unused in other errors. Errors quote the packet behind it.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|     Type      |     Code      |          Checksum             |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|           Identifier          |   Sequence Number or MTU      |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type ICMPv4 []byte

const (
	icmpType     = 0
	icmpCode     = 1
	icmpChecksum = 2
	icmpID       = 4
	icmpSeq      = 6

	// ICMPLen is the length of the header of either version.
	ICMPLen = 8
)

// ICMPv4 types.
const (
	ICMPEchoReply      = 0
	ICMPUnreachable    = 3
	ICMPSourceQuench   = 4
	ICMPRedirect       = 5
	ICMPEcho           = 8
	ICMPTimeExceeded   = 11
	ICMPParamProblem   = 12
	ICMPTimestamp      = 13
	ICMPTimestampReply = 14
	ICMPInfo           = 15
	ICMPInfoReply      = 16
	ICMPMask           = 17
	ICMPMaskReply      = 18
)

// Codes of ICMPUnreachable.
const (
	ICMPNetUnreachable   = 0
	ICMPHostUnreachable  = 1
	ICMPProtoUnreachable = 2
	ICMPPortUnreachable  = 3
	ICMPFragNeeded       = 4
	ICMPAdminProhibited  = 13
)

// Type is the message type.
func (b ICMPv4) Type() uint8 { return b[icmpType] }

// SetType sets the message type.
func (b ICMPv4) SetType(v uint8) { b[icmpType] = v }

// Code is the message code.
func (b ICMPv4) Code() uint8 { return b[icmpCode] }

// SetCode sets the message code.
func (b ICMPv4) SetCode(v uint8) { b[icmpCode] = v }

// Checksum is the checksum as it stands in the header.
func (b ICMPv4) Checksum() uint16 { return binary.BigEndian.Uint16(b[icmpChecksum:]) }

// SetChecksum sets the checksum.
func (b ICMPv4) SetChecksum(v uint16) { binary.BigEndian.PutUint16(b[icmpChecksum:], v) }

// ID is the identifier of a query or its reply.
func (b ICMPv4) ID() uint16 { return binary.BigEndian.Uint16(b[icmpID:]) }

// SetID sets the identifier.
func (b ICMPv4) SetID(v uint16) { binary.BigEndian.PutUint16(b[icmpID:], v) }

// Seq is the sequence number of a query or its reply.
func (b ICMPv4) Seq() uint16 { return binary.BigEndian.Uint16(b[icmpSeq:]) }

// SetSeq sets the sequence number.
func (b ICMPv4) SetSeq(v uint16) { binary.BigEndian.PutUint16(b[icmpSeq:], v) }

// MTU is the next-hop MTU of type 3 code 4.
func (b ICMPv4) MTU() uint16 { return b.Seq() }

// SetMTU sets the next-hop MTU.
func (b ICMPv4) SetMTU(v uint16) { b.SetSeq(v) }

// Payload is the echo data or, in errors, the quoted packet.
func (b ICMPv4) Payload() []byte { return b[ICMPLen:] }

// isQuery4 reports whether messages of the type carry an identifier.
func isQuery4(t uint8) bool {
	return t == ICMPEcho || t == ICMPEchoReply || (t >= ICMPTimestamp && t <= ICMPMaskReply)
}

// isError4 reports whether messages of the type quote a packet.
func isError4(t uint8) bool {
	return t == ICMPUnreachable || t == ICMPTimeExceeded || t == ICMPParamProblem ||
		t == ICMPSourceQuench || t == ICMPRedirect
}

// ICMPv6 (RFC 4443) has the layout of ICMPv4; the checksum covers a
// pseudo-header. The second word holds the MTU of "packet too big", identifier
// and sequence number of echoes, and flags of neighbour discovery.
type ICMPv6 []byte

// ICMPv6 types.
const (
	ICMP6Unreachable  = 1
	ICMP6PacketTooBig = 2
	ICMP6TimeExceeded = 3
	ICMP6ParamProblem = 4
	ICMP6Echo         = 128
	ICMP6EchoReply    = 129
	ICMP6RouterSol    = 133
	ICMP6RouterAdv    = 134
	ICMP6NeighborSol  = 135
	ICMP6NeighborAdv  = 136
	ICMP6Redirect     = 137
)

// Codes of ICMP6Unreachable.
const (
	ICMP6NoRoute         = 0
	ICMP6AdminProhibited = 1
	ICMP6AddrUnreachable = 3
	ICMP6PortUnreachable = 4
)

// Type is the message type.
func (b ICMPv6) Type() uint8 { return b[icmpType] }

// SetType sets the message type.
func (b ICMPv6) SetType(v uint8) { b[icmpType] = v }

// Code is the message code.
func (b ICMPv6) Code() uint8 { return b[icmpCode] }

// SetCode sets the message code.
func (b ICMPv6) SetCode(v uint8) { b[icmpCode] = v }

// Checksum is the checksum as it stands in the header.
func (b ICMPv6) Checksum() uint16 { return binary.BigEndian.Uint16(b[icmpChecksum:]) }

// SetChecksum sets the checksum.
func (b ICMPv6) SetChecksum(v uint16) { binary.BigEndian.PutUint16(b[icmpChecksum:], v) }

// ID is the identifier of an echo or its reply.
func (b ICMPv6) ID() uint16 { return binary.BigEndian.Uint16(b[icmpID:]) }

// SetID sets the identifier.
func (b ICMPv6) SetID(v uint16) { binary.BigEndian.PutUint16(b[icmpID:], v) }

// Seq is the sequence number of an echo or its reply.
func (b ICMPv6) Seq() uint16 { return binary.BigEndian.Uint16(b[icmpSeq:]) }

// SetSeq sets the sequence number.
func (b ICMPv6) SetSeq(v uint16) { binary.BigEndian.PutUint16(b[icmpSeq:], v) }

// MTU is the MTU of "packet too big".
func (b ICMPv6) MTU() uint32 { return binary.BigEndian.Uint32(b[icmpID:]) }

// SetMTU sets the MTU of "packet too big".
func (b ICMPv6) SetMTU(v uint32) { binary.BigEndian.PutUint32(b[icmpID:], v) }

// Payload is the echo data or, in errors, the quoted packet.
func (b ICMPv6) Payload() []byte { return b[ICMPLen:] }

// isQuery6 reports whether messages of the type carry an identifier.
func isQuery6(t uint8) bool { return t == ICMP6Echo || t == ICMP6EchoReply }

// isError6 reports whether messages of the type quote a packet directly
// behind the header. A redirect quotes in an option and does not count.
func isError6(t uint8) bool { return t >= ICMP6Unreachable && t <= ICMP6ParamProblem }
