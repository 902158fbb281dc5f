package wire

import (
	"encoding/binary"
	"math/bits"
)

// Sum adds b to the one's complement sum s, which starts as 0 or as a
// pseudo-header's sum, and returns it unfolded. Only the last piece of a
// message may have an odd length.
func Sum(b []byte, s uint64) uint64 {
	// Four words at a time with carries kept: since 2^16 = 1 modulo 2^16-1,
	// summing wide words gives the same fold as summing 16-bit ones.
	var c uint64
	for len(b) >= 32 {
		s, c = bits.Add64(s, binary.BigEndian.Uint64(b), 0)
		s, c = bits.Add64(s, binary.BigEndian.Uint64(b[8:]), c)
		s, c = bits.Add64(s, binary.BigEndian.Uint64(b[16:]), c)
		s, c = bits.Add64(s, binary.BigEndian.Uint64(b[24:]), c)
		s, c = bits.Add64(s, 0, c)
		s += c
		b = b[32:]
	}
	for len(b) >= 8 {
		s, c = bits.Add64(s, binary.BigEndian.Uint64(b), 0)
		s += c // cannot overflow: after a carry s is at most 2^64-2
		b = b[8:]
	}
	if len(b) > 0 {
		var tail [8]byte
		copy(tail[:], b)
		s, c = bits.Add64(s, binary.BigEndian.Uint64(tail[:]), 0)
		s += c
	}
	return s
}

// Fold reduces a sum to 16 bits; the checksum is its complement.
func Fold(s uint64) uint16 {
	s = s>>32 + s&0xffffffff
	s = s>>16 + s&0xffff // at most 0x2fffd
	s = s>>16 + s&0xffff
	s = s>>16 + s&0xffff
	return uint16(s)
}

// Checksum is the Internet checksum of b (RFC 1071).
func Checksum(b []byte) uint16 { return ^Fold(Sum(b, 0)) }

// PseudoSum4 is the sum of the pseudo-header of TCP and UDP over IPv4; length
// is that of transport header and data.
func PseudoSum4(src, dst uint32, proto uint8, length int) uint64 {
	return uint64(src) + uint64(dst) + uint64(proto) + uint64(length)
}

// PseudoSum6 is the sum of the pseudo-header of everything over IPv6.
func PseudoSum6(src, dst [16]byte, proto uint8, length int) uint64 {
	return Sum(dst[:], Sum(src[:], uint64(proto)+uint64(length)))
}

// UDPZero maps a computed checksum of 0 to 0xffff, its other representation,
// because 0 in a UDP header means that there is none (RFC 768).
func UDPZero(c uint16) uint16 {
	if c == 0 {
		return 0xffff
	}
	return c
}

// Delta is what a change of data adds to a one's complement sum. Deltas of
// several changes add up. The changed words must lie at even offsets of the
// data that the checksum covers (see Swapped for those that do not).
type Delta uint64

// Delta16 is the change of a 16-bit word.
func Delta16(old, new uint16) Delta { return Delta(^old) + Delta(new) }

// Delta32 is the change of a 32-bit word.
func Delta32(old, new uint32) Delta { return Delta(^old) + Delta(new) }

// Delta128 is the change of an IPv6 address.
func Delta128(old, new [16]byte) Delta {
	var d Delta
	for i := 0; i < 16; i += 4 {
		d += Delta32(binary.BigEndian.Uint32(old[i:]), binary.BigEndian.Uint32(new[i:]))
	}
	return d
}

// Swapped is the delta of the same change at an odd offset, where the bytes of
// each word trade places.
func (d Delta) Swapped() Delta { return Delta(bits.ReverseBytes16(Fold(uint64(d)))) }

// Mend is the checksum c after the change: equation 3 of RFC 1624, which
// unlike its predecessors never produces the wrong one of the two zeros,
// unless everything that the checksum covers has become zero.
func (d Delta) Mend(c uint16) uint16 { return ^Fold(uint64(^c) + uint64(d)) }

// MendUDP is Mend for UDP: no checksum stays none, and a computed 0 becomes
// 0xffff.
func (d Delta) MendUDP(c uint16) uint16 {
	if c == 0 {
		return 0
	}
	return UDPZero(d.Mend(c))
}

// Mend16 is the checksum c after a covered word changed.
func Mend16(c, old, new uint16) uint16 { return Delta16(old, new).Mend(c) }

// Mend32 is the checksum c after a covered 32-bit word changed.
func Mend32(c uint16, old, new uint32) uint16 { return Delta32(old, new).Mend(c) }

// Mend128 is the checksum c after a covered IPv6 address changed.
func Mend128(c uint16, old, new [16]byte) uint16 { return Delta128(old, new).Mend(c) }
