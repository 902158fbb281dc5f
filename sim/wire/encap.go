package wire

import (
	"encoding/binary"
	"net/netip"
)

// Bytes that an encapsulation puts in front of a frame: Ethernet, IP and, for
// VXLAN, UDP. A tag on the outer frame comes on top.
const (
	VXLANOverhead4 = EthernetLen + IPv4MinLen + UDPLen + VXLANLen // 50
	VXLANOverhead6 = EthernetLen + IPv6Len + UDPLen + VXLANLen    // 70
	NVGREOverhead4 = EthernetLen + IPv4MinLen + NVGRELen          // 42
	NVGREOverhead6 = EthernetLen + IPv6Len + NVGRELen             // 62
)

// Outer says what the headers around an inner frame hold.
type Outer struct {
	EthDst, EthSrc MAC
	Src, Dst       netip.Addr // provider addresses, both of one IP version
	TTL, TOS       uint8      // also hop limit and traffic class
	DF             bool       // IPv4 only (rule OV-16)
	// ID is the IPv4 identification. 0 is what to send: such a datagram is
	// never fragmented, so its identification says nothing (RFC 6864).
	ID  uint16
	VNI uint32 // or VSID: 24 bits

	SrcPort, DstPort uint16 // VXLAN: entropy (rule OV-14) and the VXLAN port

	FlowID uint8 // NVGRE
}

// EntropyPort is the UDP source port for a flow with the given hash: in the
// dynamic range, constant per flow (rule OV-14).
func EntropyPort(hash uint64) uint16 { return uint16(49152 + hash%16384) }

// VXLANOverhead is the number of bytes that PutVXLAN writes.
func (o *Outer) VXLANOverhead() int {
	if o.Dst.Is4() {
		return VXLANOverhead4
	}
	return VXLANOverhead6
}

// NVGREOverhead is the number of bytes that PutNVGRE writes.
func (o *Outer) NVGREOverhead() int {
	if o.Dst.Is4() {
		return NVGREOverhead4
	}
	return NVGREOverhead6
}

// PutVXLAN writes the outer headers into the first o.VXLANOverhead() bytes of
// frame; the inner frame is behind them already. The UDP checksum is 0 over IPv4
// (contract 7.1) and computed over IPv6, which costs a pass over the frame.
func PutVXLAN(frame []byte, o *Outer) {
	udp := putOuter(frame, o, ProtoUDP)
	UDP(udp).SetSrcPort(o.SrcPort)
	UDP(udp).SetDstPort(o.DstPort)
	UDP(udp).SetLength(len(udp))
	UDP(udp).SetChecksum(0)
	VXLAN(udp[UDPLen:]).Init(o.VNI)
	if !o.Dst.Is4() {
		s := PseudoSum6(Addr16(o.Src), Addr16(o.Dst), ProtoUDP, len(udp))
		UDP(udp).SetChecksum(UDPZero(^Fold(Sum(udp, s))))
	}
}

// PutNVGRE writes the outer headers into the first o.NVGREOverhead() bytes of
// frame; the inner frame is behind them already and has no tag (rule SDN-09).
func PutNVGRE(frame []byte, o *Outer) {
	GRE(putOuter(frame, o, ProtoGRE)).InitNVGRE(o.VNI, o.FlowID)
}

// putOuter writes Ethernet and IP headers for a payload of the given protocol
// that takes the rest of the frame, and returns that rest.
func putOuter(frame []byte, o *Outer, proto uint8) []byte {
	eth := Ethernet(frame)
	eth.SetDst(o.EthDst)
	eth.SetSrc(o.EthSrc)
	b := frame[EthernetLen:]
	if o.Dst.Is4() {
		binary.BigEndian.PutUint16(eth[ethType:], EtherTypeIPv4)
		ip := IPv4(b)
		ip.SetHeaderLen(IPv4MinLen)
		ip.SetTOS(o.TOS)
		ip.SetTotalLen(len(b))
		ip.SetID(o.ID)
		ip.SetFrag(o.DF, false, 0)
		ip.SetTTL(o.TTL)
		ip.SetProto(proto)
		ip.SetChecksum(0)
		ip.SetSrc(Addr4(o.Src))
		ip.SetDst(Addr4(o.Dst))
		ip.SetChecksum(Checksum(b[:IPv4MinLen]))
		return b[IPv4MinLen:]
	}
	binary.BigEndian.PutUint16(eth[ethType:], EtherTypeIPv6)
	ip := IPv6(b)
	ip.SetClassLabel(o.TOS, 0)
	ip.SetPayloadLen(len(b) - IPv6Len)
	ip.SetNextHeader(proto)
	ip.SetHopLimit(o.TTL)
	ip.SetSrc(Addr16(o.Src))
	ip.SetDst(Addr16(o.Dst))
	return b[IPv6Len:]
}

// Tunnel is what an encapsulated frame says about itself. The inner frame is
// frame[Inner:End]: what is behind End is padding of the outer frame.
type Tunnel struct {
	VNI        uint32 // or VSID
	Flags      uint8  // VXLAN: a receiver drops the packet without VXLANFlagI (rule OV-12)
	FlowID     uint8  // NVGRE
	Inner, End int
}

// ParseVXLAN looks into a UDP packet's payload, whatever its port: the caller
// knows which one means VXLAN. It reports false if this is not UDP, is a
// fragment (a tunnel's end point would have to reassemble it, which rule OV-16
// rules out), or does not hold an inner Ethernet header.
func ParseVXLAN(frame []byte, m *Meta) (Tunnel, bool) {
	if !m.HasL4 || m.Proto != ProtoUDP || m.Fragment {
		return Tunnel{}, false
	}
	n := len(UDP(frame[m.L4:m.End]).Payload())
	if n < VXLANLen+EthernetLen {
		return Tunnel{}, false
	}
	h := VXLAN(frame[m.Payload:])
	return Tunnel{VNI: h.VNI(), Flags: h.Flags(), Inner: m.Payload + VXLANLen, End: m.Payload + n}, true
}

// ParseNVGRE looks into a GRE packet. It reports false if the header is not
// exactly NVGRE's (rule SDN-09), if this is a fragment, or if it does not hold
// an inner Ethernet header.
func ParseNVGRE(frame []byte, m *Meta) (Tunnel, bool) {
	if !m.IsIP() || m.Proto != ProtoGRE || m.Fragment {
		return Tunnel{}, false
	}
	h := GRE(frame[m.L4:m.End])
	if len(h) < NVGRELen+EthernetLen || !h.IsNVGRE() {
		return Tunnel{}, false
	}
	return Tunnel{VNI: h.VSID(), FlowID: h.FlowID(), Inner: m.L4 + NVGRELen, End: m.End}, true
}
