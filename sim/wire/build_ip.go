package wire

import (
	"errors"
	"fmt"
	"net/netip"
)

// DefaultTTL is what Windows hosts send with, and what IPFields means by 0.
const DefaultTTL = 128

// IPFields is an IPv4 or IPv6 header, as the addresses say.
type IPFields struct {
	Src, Dst netip.Addr
	TTL      uint8 // or hop limit; 0: DefaultTTL, for ND 255
	TTLZero  bool  // send TTL 0 on purpose
	TOS      uint8 // or traffic class
	Proto    uint8 // 0: from the transport header

	ID uint32 // identification of fragments, 16 bits for IPv4
	DF bool   // IPv4 only
	// MF and FragOffset (bytes, a multiple of 8) make a fragment. With an
	// offset there is no transport header, just Payload. A transport header in
	// a first fragment gets a checksum over that fragment only: to cut a whole
	// packet use FragmentIPv4 or Fragment.
	MF         bool
	FragOffset int

	Options []byte // IPv4: padded to a multiple of 4
	Label   uint32 // IPv6 flow label
	// Ext are IPv6 extension headers in order, without a fragment header: that
	// one comes first of all when MF, FragOffset or ForceFragHeader is set.
	Ext             []ExtFields
	ForceFragHeader bool // an atomic fragment (RFC 6946)

	Length   *uint16 // total length (IPv4), payload length (IPv6)
	Checksum *uint16 // IPv4 only
}

// ExtFields is an IPv6 extension header: hop-by-hop options, routing or
// destination options. Data is what follows the length byte, padded with zeros
// (Pad1 options) to a multiple of 8 with the two bytes before it.
type ExtFields struct {
	Proto uint8
	Data  []byte
}

func (ip *IPFields) ttl() uint8 {
	if ip.TTL == 0 && !ip.TTLZero {
		return DefaultTTL
	}
	return ip.TTL
}

func (ip *IPFields) checkFragment() error {
	if ip.FragOffset%8 != 0 || ip.FragOffset < 0 || ip.FragOffset > 8*0x1fff {
		return fmt.Errorf("fragment offset %d is not a multiple of 8 below 65536", ip.FragOffset)
	}
	return nil
}

func (ip *IPFields) build4(segment []byte) ([]byte, error) {
	if err := ip.checkFragment(); err != nil {
		return nil, err
	}
	if len(ip.Ext) > 0 || ip.Label != 0 || ip.ForceFragHeader {
		return nil, errors.New("IPv6 extension headers or flow label in an IPv4 packet")
	}
	hl := IPv4MinLen + (len(ip.Options)+3)/4*4
	if hl > IPv4MaxLen {
		return nil, fmt.Errorf("%d bytes of IPv4 options, at most 40 fit", len(ip.Options))
	}
	if hl+len(segment) > 0xffff {
		return nil, fmt.Errorf("an IPv4 datagram of %d bytes", hl+len(segment))
	}
	b := IPv4(make([]byte, hl, hl+len(segment)))
	b.SetHeaderLen(hl)
	b.SetTOS(ip.TOS)
	b.SetTotalLen(hl + len(segment))
	if ip.Length != nil {
		b.SetTotalLen(int(*ip.Length))
	}
	b.SetID(uint16(ip.ID))
	b.SetFrag(ip.DF, ip.MF, ip.FragOffset)
	b.SetTTL(ip.ttl())
	b.SetProto(ip.Proto)
	b.SetSrc(Addr4(ip.Src))
	b.SetDst(Addr4(ip.Dst))
	copy(b[IPv4MinLen:], ip.Options)
	b.SetChecksum(Checksum(b))
	if ip.Checksum != nil {
		b.SetChecksum(*ip.Checksum)
	}
	return append(b, segment...), nil
}

func (ip *IPFields) build6(segment []byte) ([]byte, error) {
	if err := ip.checkFragment(); err != nil {
		return nil, err
	}
	if len(ip.Options) > 0 || ip.DF || ip.Checksum != nil {
		return nil, errors.New("IPv4 options, DF or header checksum in an IPv6 packet")
	}
	b := make([]byte, IPv6Len, IPv6Len+FragmentLen+len(segment))
	next := ip6NextHeader // where the type of the next header belongs
	if ip.MF || ip.FragOffset > 0 || ip.ForceFragHeader {
		b[next] = ProtoFragment
		next = len(b)
		b = append(b, make([]byte, FragmentLen)...)
		IPv6Fragment(b[next:]).Set(0, ip.FragOffset, ip.MF, ip.ID)
	}
	for _, e := range ip.Ext {
		if ip.FragOffset > 0 {
			return nil, errors.New("extension headers in a later fragment belong to its payload")
		}
		units := (2 + len(e.Data) + 7) / 8
		if units > 256 || e.Proto == ProtoFragment || e.Proto == ProtoAH {
			return nil, fmt.Errorf("extension header of type %d with %d bytes", e.Proto, len(e.Data))
		}
		b[next] = e.Proto
		next = len(b)
		h := make([]byte, 8*units)
		h[1] = byte(units - 1)
		copy(h[2:], e.Data)
		b = append(b, h...)
	}
	b[next] = ip.Proto
	b = append(b, segment...)
	if len(b)-IPv6Len > 0xffff {
		return nil, fmt.Errorf("an IPv6 payload of %d bytes", len(b)-IPv6Len)
	}
	h := IPv6(b)
	h.SetClassLabel(ip.TOS, ip.Label)
	h.SetPayloadLen(len(b) - IPv6Len)
	if ip.Length != nil {
		h.SetPayloadLen(int(*ip.Length))
	}
	h.SetHopLimit(ip.ttl())
	h.SetSrc(Addr16(ip.Src))
	h.SetDst(Addr16(ip.Dst))
	return b, nil
}

// pseudo is the pseudo-header's sum for a segment of n bytes.
func (ip *IPFields) pseudo(proto uint8, n int) uint64 {
	if ip.Src.Is4() {
		return PseudoSum4(Addr4(ip.Src), Addr4(ip.Dst), proto, n)
	}
	return PseudoSum6(Addr16(ip.Src), Addr16(ip.Dst), proto, n)
}
