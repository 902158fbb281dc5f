package wire

import "encoding/binary"

// IPv4 (RFC 791):
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|Version|  IHL  |Type of Service|          Total Length         |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|         Identification        |0|D|M|     Fragment Offset     |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|  Time to Live |    Protocol   |         Header Checksum       |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                       Source Address                          |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                    Destination Address                        |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                    Options                    |    Padding    |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type IPv4 []byte

const (
	ip4VerIHL   = 0
	ip4TOS      = 1
	ip4TotalLen = 2
	ip4ID       = 4
	ip4Frag     = 6
	ip4TTL      = 8
	ip4Proto    = 9
	ip4Checksum = 10
	ip4Src      = 12
	ip4Dst      = 16

	// IPv4MinLen is the length of a header without options.
	IPv4MinLen = 20
	// IPv4MaxLen is the length of the longest header.
	IPv4MaxLen = 60

	ip4DF      = 0x4000
	ip4MF      = 0x2000
	ip4OffMask = 0x1fff
)

// IP protocol numbers, which are also IPv6 next header values.
const (
	ProtoHopByHop = 0
	ProtoICMP     = 1
	ProtoIGMP     = 2
	ProtoTCP      = 6
	ProtoUDP      = 17
	ProtoIPv6     = 41
	ProtoRouting  = 43
	ProtoFragment = 44
	ProtoGRE      = 47
	ProtoESP      = 50
	ProtoAH       = 51
	ProtoICMPv6   = 58
	ProtoNone     = 59
	ProtoDestOpts = 60
)

// IsValid reports whether the header is complete and its lengths agree with
// each other and with the bytes present. The checksum is not looked at.
func (b IPv4) IsValid() bool { return b.check() == OK }

func (b IPv4) check() ParseError {
	if len(b) < IPv4MinLen {
		return Truncated
	}
	if b[0]>>4 != 4 {
		return BadVersion
	}
	hl, tl := b.HeaderLen(), b.TotalLen()
	switch {
	case hl < IPv4MinLen:
		return BadHeaderLen
	case tl < hl:
		return BadLength
	case tl > len(b):
		return Truncated
	}
	return OK
}

// HeaderLen is the header's length in bytes, options included.
func (b IPv4) HeaderLen() int { return int(b[ip4VerIHL]&15) * 4 }

// SetHeaderLen sets version 4 and the header length in bytes, a multiple of 4.
func (b IPv4) SetHeaderLen(n int) { b[ip4VerIHL] = 4<<4 | byte(n/4) }

// TOS is the type of service byte: DSCP and ECN.
func (b IPv4) TOS() uint8 { return b[ip4TOS] }

// SetTOS sets the type of service byte.
func (b IPv4) SetTOS(v uint8) { b[ip4TOS] = v }

// TotalLen is the length of the datagram in bytes, header included.
func (b IPv4) TotalLen() int { return int(binary.BigEndian.Uint16(b[ip4TotalLen:])) }

// SetTotalLen sets the length of the datagram.
func (b IPv4) SetTotalLen(n int) { binary.BigEndian.PutUint16(b[ip4TotalLen:], uint16(n)) }

// ID is the identification that fragments of a datagram share.
func (b IPv4) ID() uint16 { return binary.BigEndian.Uint16(b[ip4ID:]) }

// SetID sets the identification.
func (b IPv4) SetID(v uint16) { binary.BigEndian.PutUint16(b[ip4ID:], v) }

func (b IPv4) frag() uint16 { return binary.BigEndian.Uint16(b[ip4Frag:]) }

// DF is the don't-fragment flag.
func (b IPv4) DF() bool { return b.frag()&ip4DF != 0 }

// MF is the more-fragments flag.
func (b IPv4) MF() bool { return b.frag()&ip4MF != 0 }

// FragOffset is the fragment's place in the datagram in bytes, a multiple of 8.
func (b IPv4) FragOffset() int { return int(b.frag()&ip4OffMask) * 8 }

// IsFragment reports whether this is part of a datagram only.
func (b IPv4) IsFragment() bool { return b.frag()&(ip4MF|ip4OffMask) != 0 }

// SetFrag sets the flags and the offset in bytes, a multiple of 8.
func (b IPv4) SetFrag(df, mf bool, offset int) {
	v := uint16(offset/8) & ip4OffMask
	if df {
		v |= ip4DF
	}
	if mf {
		v |= ip4MF
	}
	binary.BigEndian.PutUint16(b[ip4Frag:], v)
}

// TTL is the number of hops left.
func (b IPv4) TTL() uint8 { return b[ip4TTL] }

// SetTTL sets the number of hops left.
func (b IPv4) SetTTL(v uint8) { b[ip4TTL] = v }

// Proto is the protocol of the payload.
func (b IPv4) Proto() uint8 { return b[ip4Proto] }

// SetProto sets the protocol of the payload.
func (b IPv4) SetProto(v uint8) { b[ip4Proto] = v }

// Checksum is the header checksum as it stands in the header.
func (b IPv4) Checksum() uint16 { return binary.BigEndian.Uint16(b[ip4Checksum:]) }

// SetChecksum sets the header checksum.
func (b IPv4) SetChecksum(v uint16) { binary.BigEndian.PutUint16(b[ip4Checksum:], v) }

// Src is the source address.
func (b IPv4) Src() uint32 { return binary.BigEndian.Uint32(b[ip4Src:]) }

// SetSrc sets the source address.
func (b IPv4) SetSrc(v uint32) { binary.BigEndian.PutUint32(b[ip4Src:], v) }

// Dst is the destination address.
func (b IPv4) Dst() uint32 { return binary.BigEndian.Uint32(b[ip4Dst:]) }

// SetDst sets the destination address.
func (b IPv4) SetDst(v uint32) { binary.BigEndian.PutUint32(b[ip4Dst:], v) }

// Options are the bytes between the fixed header and the payload.
func (b IPv4) Options() []byte { return b[IPv4MinLen:b.HeaderLen()] }

// Payload is what follows the header, up to the total length.
func (b IPv4) Payload() []byte { return b[b.HeaderLen():b.TotalLen()] }
