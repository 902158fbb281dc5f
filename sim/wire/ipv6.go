package wire

import "encoding/binary"

// IPv6 (RFC 8200):
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|Version| Traffic Class |              Flow Label               |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|         Payload Length        |  Next Header  |   Hop Limit   |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                                                               |
//	+                    Source Address (128 bits)                  +
//	|                                                               |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                                                               |
//	+                 Destination Address (128 bits)                +
//	|                                                               |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//
// Not modelled: jumbograms, and the final destination of a routing header in
// the pseudo-header (the destination in the fixed header counts).
type IPv6 []byte

const (
	ip6VerClass   = 0
	ip6PayloadLen = 4
	ip6NextHeader = 6
	ip6HopLimit   = 7
	ip6Src        = 8
	ip6Dst        = 24

	// IPv6Len is the length of the fixed header.
	IPv6Len = 40
	// IPv6MinMTU is the smallest MTU of a link that carries IPv6.
	IPv6MinMTU = 1280

	// maxExtHeaders bounds the walk over extension headers. RFC 8200 names six
	// kinds, of which one may come twice.
	maxExtHeaders = 8
)

// IsValid reports whether the fixed header is complete and the payload length
// does not exceed the bytes present.
func (b IPv6) IsValid() bool { return b.check() == OK }

func (b IPv6) check() ParseError {
	if len(b) < IPv6Len {
		return Truncated
	}
	if b[0]>>4 != 6 {
		return BadVersion
	}
	if IPv6Len+b.PayloadLen() > len(b) {
		return Truncated
	}
	return OK
}

// TrafficClass is DSCP and ECN, the TOS byte of IPv4.
func (b IPv6) TrafficClass() uint8 {
	return uint8(binary.BigEndian.Uint16(b[ip6VerClass:]) >> 4)
}

// FlowLabel is the flow label, 20 bits.
func (b IPv6) FlowLabel() uint32 { return binary.BigEndian.Uint32(b[ip6VerClass:]) & 0xfffff }

// SetClassLabel sets version 6, the traffic class and the flow label.
func (b IPv6) SetClassLabel(class uint8, label uint32) {
	binary.BigEndian.PutUint32(b[ip6VerClass:], 6<<28|uint32(class)<<20|label&0xfffff)
}

// PayloadLen is the length in bytes of what follows the fixed header,
// extension headers included.
func (b IPv6) PayloadLen() int { return int(binary.BigEndian.Uint16(b[ip6PayloadLen:])) }

// SetPayloadLen sets the payload length.
func (b IPv6) SetPayloadLen(n int) { binary.BigEndian.PutUint16(b[ip6PayloadLen:], uint16(n)) }

// NextHeader is the type of the header that follows: an extension header or
// the upper-layer protocol.
func (b IPv6) NextHeader() uint8 { return b[ip6NextHeader] }

// SetNextHeader sets the type of the header that follows.
func (b IPv6) SetNextHeader(v uint8) { b[ip6NextHeader] = v }

// HopLimit is the number of hops left.
func (b IPv6) HopLimit() uint8 { return b[ip6HopLimit] }

// SetHopLimit sets the number of hops left.
func (b IPv6) SetHopLimit(v uint8) { b[ip6HopLimit] = v }

// Src is the source address.
func (b IPv6) Src() [16]byte { return [16]byte(b[ip6Src : ip6Src+16]) }

// SetSrc sets the source address.
func (b IPv6) SetSrc(v [16]byte) { copy(b[ip6Src:ip6Src+16], v[:]) }

// Dst is the destination address.
func (b IPv6) Dst() [16]byte { return [16]byte(b[ip6Dst : ip6Dst+16]) }

// SetDst sets the destination address.
func (b IPv6) SetDst(v [16]byte) { copy(b[ip6Dst:ip6Dst+16], v[:]) }

// Payload is what follows the fixed header, up to the payload length.
func (b IPv6) Payload() []byte { return b[IPv6Len : IPv6Len+b.PayloadLen()] }

// ExtWalk is the result of walking the extension headers.
type ExtWalk struct {
	Proto uint8 // upper-layer protocol, or what follows the fragment header of a later fragment
	Off   int   // where it begins, from the start of the IPv6 header
	Frag  int   // offset of the fragment header, 0 if there is none
	Named int   // offset of the byte that names Proto
	Err   ParseError
}

// WalkExt finds the upper-layer header of a valid IPv6 packet. It stops at
// ESP, at "no next header", at the first unknown type and, in fragments other
// than the first, behind the fragment header, since what follows there is data
// from the middle of the datagram.
func (b IPv6) WalkExt() ExtWalk { return walkExt(b[:IPv6Len+b.PayloadLen()]) }

// walkExt is WalkExt over what is present of the packet: at least the fixed
// header.
func walkExt(b []byte) ExtWalk {
	w := ExtWalk{Proto: b[ip6NextHeader], Off: IPv6Len, Named: ip6NextHeader}
	end := len(b)
	for range maxExtHeaders + 1 {
		n := 0
		switch w.Proto {
		case ProtoHopByHop, ProtoRouting, ProtoDestOpts, ProtoAH, ProtoFragment:
			if w.Off+8 > end {
				w.Err = Truncated
				return w
			}
			switch w.Proto {
			case ProtoFragment:
				n = FragmentLen
			case ProtoAH: // RFC 4302: counts in words, minus two
				n = (int(b[w.Off+1]) + 2) * 4
			default:
				n = (int(b[w.Off+1]) + 1) * 8
			}
		default:
			return w
		}
		if w.Off+n > end {
			w.Err = Truncated
			return w
		}
		later := false
		if w.Proto == ProtoFragment {
			w.Frag = w.Off
			later = IPv6Fragment(b[w.Off:]).Offset() != 0
		}
		w.Proto, w.Named, w.Off = b[w.Off], w.Off, w.Off+n
		if later {
			return w
		}
	}
	w.Err = TooManyHeaders
	return w
}

// IPv6Fragment is the fragment extension header (RFC 8200 section 4.5):
//
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|  Next Header  |   Reserved    |      Fragment Offset    |Res|M|
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                         Identification                        |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type IPv6Fragment []byte

// FragmentLen is the length of the fragment header.
const FragmentLen = 8

// NextHeader is the type of the first header of the fragmented part.
func (b IPv6Fragment) NextHeader() uint8 { return b[0] }

// Offset is the fragment's place in bytes, a multiple of 8.
func (b IPv6Fragment) Offset() int { return int(binary.BigEndian.Uint16(b[2:]) &^ 7) }

// More reports whether further fragments follow.
func (b IPv6Fragment) More() bool { return b[3]&1 != 0 }

// ID is the identification that fragments of a datagram share.
func (b IPv6Fragment) ID() uint32 { return binary.BigEndian.Uint32(b[4:]) }

// Set writes all fields; offset is in bytes, a multiple of 8.
func (b IPv6Fragment) Set(next uint8, offset int, more bool, id uint32) {
	b[0], b[1] = next, 0
	v := uint16(offset) &^ 7
	if more {
		v |= 1
	}
	binary.BigEndian.PutUint16(b[2:], v)
	binary.BigEndian.PutUint32(b[4:], id)
}
