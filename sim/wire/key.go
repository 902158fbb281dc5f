package wire

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"
)

// ZoneBits is the width of the zone in a flow key: enough for a VNI.
const ZoneBits = 24

// Key4 identifies an IPv4 flow in one direction. Two words, since a map or
// table hashes them at half the price of a struct of the five fields.
type Key4 struct {
	A uint64 // source address << 32 | destination address
	B uint64 // source port << 48 | destination port << 32 | protocol << 24 | zone
}

// Key6 identifies an IPv6 flow in one direction; B is as in Key4.
type Key6 struct {
	Src, Dst [16]byte
	B        uint64
}

// Key4 is the flow key of an IPv4 frame. Of other frames it is a key without
// addresses. zone is cut to ZoneBits.
func (m *Meta) Key4(frame []byte, zone uint32) Key4 {
	k := Key4{B: m.keyB(zone)}
	if m.IsIPv4 {
		k.A = binary.BigEndian.Uint64(frame[m.L3+ip4Src:])
	}
	return k
}

// Key6 is the flow key of an IPv6 frame. Of other frames it is a key without
// addresses. zone is cut to ZoneBits.
func (m *Meta) Key6(frame []byte, zone uint32) Key6 {
	k := Key6{B: m.keyB(zone)}
	if m.IsIPv6 {
		ip := IPv6(frame[m.L3:])
		k.Src, k.Dst = ip.Src(), ip.Dst()
	}
	return k
}

func (m *Meta) keyB(zone uint32) uint64 { return packB(m.SrcPort, m.DstPort, m.Proto, zone) }

func packB(src, dst uint16, proto uint8, zone uint32) uint64 {
	return uint64(src)<<48 | uint64(dst)<<32 | uint64(proto)<<24 | uint64(zone&(1<<ZoneBits-1))
}

func reverseB(b uint64) uint64 {
	return b<<16>>48<<48 | b>>48<<32 | b&0xffffffff
}

// MakeKey4 builds a key from its parts.
func MakeKey4(src, dst uint32, srcPort, dstPort uint16, proto uint8, zone uint32) Key4 {
	return Key4{A: uint64(src)<<32 | uint64(dst), B: packB(srcPort, dstPort, proto, zone)}
}

// MakeKey6 builds a key from its parts.
func MakeKey6(src, dst [16]byte, srcPort, dstPort uint16, proto uint8, zone uint32) Key6 {
	return Key6{Src: src, Dst: dst, B: packB(srcPort, dstPort, proto, zone)}
}

// Reverse is the key of the opposite direction.
func (k Key4) Reverse() Key4 { return Key4{A: k.A<<32 | k.A>>32, B: reverseB(k.B)} }

// Reverse is the key of the opposite direction.
func (k Key6) Reverse() Key6 { return Key6{Src: k.Dst, Dst: k.Src, B: reverseB(k.B)} }

// Src is the source address.
func (k Key4) Src() uint32 { return uint32(k.A >> 32) }

// Dst is the destination address.
func (k Key4) Dst() uint32 { return uint32(k.A) }

// SrcPort is the source port or ICMP identifier.
func (k Key4) SrcPort() uint16 { return uint16(k.B >> 48) }

// DstPort is the destination port or ICMP identifier.
func (k Key4) DstPort() uint16 { return uint16(k.B >> 32) }

// Proto is the upper-layer protocol.
func (k Key4) Proto() uint8 { return uint8(k.B >> 24) }

// Zone is the zone, ZoneBits wide.
func (k Key4) Zone() uint32 { return uint32(k.B & (1<<ZoneBits - 1)) }

// SrcPort is the source port or ICMP identifier.
func (k Key6) SrcPort() uint16 { return uint16(k.B >> 48) }

// DstPort is the destination port or ICMP identifier.
func (k Key6) DstPort() uint16 { return uint16(k.B >> 32) }

// Proto is the upper-layer protocol.
func (k Key6) Proto() uint8 { return uint8(k.B >> 24) }

// Zone is the zone, ZoneBits wide.
func (k Key6) Zone() uint32 { return uint32(k.B & (1<<ZoneBits - 1)) }

// Odd constants with about half their bits set, so that neither factor of the
// multiplication is likely to be zero or small.
const (
	hashSeedA = 0x9e3779b97f4a7c15
	hashSeedB = 0xd6e8feb86659fd93
	hashSeedC = 0xa0761d6478bd642f
)

// mix folds the 128-bit product of a and b to 64 bits. Every bit of the result
// depends on most bits of both factors, for the price of one multiplication.
func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

// Hash is the same for equal keys, in every process. It is not symmetric, and
// no defence against chosen keys: a simulated world has no attacker.
func (k Key4) Hash() uint64 { return mix(k.A^hashSeedA, k.B^hashSeedB) }

// Hash is as Key4.Hash, with a multiplication for each pair of words.
func (k Key6) Hash() uint64 {
	s := mix(binary.BigEndian.Uint64(k.Src[:])^hashSeedA, binary.BigEndian.Uint64(k.Src[8:])^hashSeedB)
	d := mix(binary.BigEndian.Uint64(k.Dst[:])^hashSeedB, binary.BigEndian.Uint64(k.Dst[8:])^hashSeedC)
	return mix(s^hashSeedC^k.B, d^hashSeedA)
}

// FlowHash is the hash of a frame's flow: of its IP flow key, without zone, or
// of the Ethernet addresses of other frames. All packets of a flow have the
// same, but for fragments, whose later ones show no ports: a fragment's hash
// leaves the ports out so that a datagram stays together.
func FlowHash(frame []byte) uint64 {
	var m Meta
	Parse(frame, &m)
	return m.FlowHash(frame)
}

// FlowHash is FlowHash of a parsed frame.
func (m *Meta) FlowHash(frame []byte) uint64 {
	src, dst := m.SrcPort, m.DstPort
	if m.Fragment {
		src, dst = 0, 0
	}
	switch {
	case m.IsIPv4:
		ip := IPv4(frame[m.L3:])
		return MakeKey4(ip.Src(), ip.Dst(), src, dst, m.Proto, 0).Hash()
	case m.IsIPv6:
		ip := IPv6(frame[m.L3:])
		return MakeKey6(ip.Src(), ip.Dst(), src, dst, m.Proto, 0).Hash()
	case len(frame) >= EthernetLen:
		return mix(binary.BigEndian.Uint64(frame)^hashSeedA, uint64(binary.BigEndian.Uint32(frame[8:]))^hashSeedB)
	}
	return 0
}

// String is like "6 10.0.0.1:40000>10.0.0.2:53 zone 4096".
func (k Key4) String() string {
	return keyString(AddrFrom4(k.Src()), AddrFrom4(k.Dst()), k.B)
}

// String is like "6 [fd00::1]:40000>[fd00::2]:53 zone 4096".
func (k Key6) String() string { return keyString(AddrFrom16(k.Src), AddrFrom16(k.Dst), k.B) }

func keyString(src, dst netip.Addr, b uint64) string {
	return fmt.Sprintf("%d %s>%s zone %d", uint8(b>>24), netip.AddrPortFrom(src, uint16(b>>48)), netip.AddrPortFrom(dst, uint16(b>>32)), b&(1<<ZoneBits-1))
}
