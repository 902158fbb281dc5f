package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
)

// Frame describes a frame as a tree; Build turns it into bytes. Set what the
// frame should have and leave the rest zero: lengths, checksums, EtherTypes and
// protocol numbers follow from what is set. A tunnel's inner frame is another
// Frame:
//
//	wire.Frame{EthDst: r, EthSrc: h1,
//		IP:    &wire.IPFields{Src: pa1, Dst: pa2},
//		VXLAN: &wire.VXLANFields{VNI: 4096},
//		Inner: &wire.Frame{EthDst: dr2, EthSrc: dr1, IP: ..., UDP: ..., Payload: ...},
//	}
//
// Wrong packets are made on purpose with the fields called Checksum and
// Length, which replace what would be computed.
type Frame struct {
	EthDst, EthSrc MAC
	VLAN           *VLANFields
	EtherType      uint16 // 0: from ARP or IP

	ARP *ARPFields // one of ARP and IP; with neither the Payload follows the Ethernet header
	IP  *IPFields

	UDP  *UDPFields // at most one of UDP, TCP, ICMP, ND and NVGRE
	TCP  *TCPFields
	ICMP *ICMPFields // ICMPv4 or ICMPv6, as IP.Src says
	ND   *NDFields

	DHCP  *DHCPFields  // payload; without UDP the client's or the server's ports are used
	VXLAN *VXLANFields // Inner follows; without UDP the default port and an entropy port are used
	NVGRE *NVGREFields // directly over IP; Inner follows
	Inner *Frame

	Payload []byte
	// PadTo is the shortest frame to make, in bytes, with zeros behind the
	// datagram; MinFrameLen imitates a physical NIC.
	PadTo int
}

// VLANFields is an 802.1Q tag.
type VLANFields struct {
	ID           uint16
	Priority     uint8
	DropEligible bool
}

// ARPFields is an ARP message for IPv4 over Ethernet.
type ARPFields struct {
	Op                   uint16 // 0: ARPRequest
	SenderMAC, TargetMAC MAC
	SenderIP, TargetIP   netip.Addr
}

// VXLANFields is a VXLAN header.
type VXLANFields struct {
	VNI   uint32
	Flags *uint8 // nil: VXLANFlagI
}

// NVGREFields is an NVGRE header.
type NVGREFields struct {
	VSID   uint32
	FlowID uint8
	Flags  *uint16 // nil: GREKeyPresent
}

// maxFrameLen bounds what Build makes: the longest datagram in a tagged frame.
const maxFrameLen = EthernetLen + VLANTagLen + 0xffff

// Bytes is Build for frames that are written in a program: it panics on an
// error.
func (f *Frame) Bytes() []byte {
	b, err := f.Build()
	if err != nil {
		panic("wire.Frame: " + err.Error())
	}
	return b
}

// Build makes the frame. It fails if the fields contradict each other or do
// not fit a datagram.
func (f *Frame) Build() ([]byte, error) {
	body, etherType, err := f.body()
	if err != nil {
		return nil, err
	}
	n := EthernetLen
	if f.VLAN != nil {
		n += VLANTagLen
	}
	if n+len(body) > maxFrameLen {
		return nil, fmt.Errorf("a frame of %d bytes exceeds the longest datagram", n+len(body))
	}
	b := make([]byte, n, max(n+len(body), min(f.PadTo, maxFrameLen)))
	eth := Ethernet(b)
	eth.SetDst(f.EthDst)
	eth.SetSrc(f.EthSrc)
	if v := f.VLAN; v != nil {
		binary.BigEndian.PutUint16(b[ethType:], EtherTypeVLAN)
		eth.SetTCI(MakeTCI(v.Priority, v.DropEligible, v.ID))
	}
	if f.EtherType != 0 {
		etherType = f.EtherType
	}
	eth.SetType(etherType)
	b = append(b, body...)
	return b[:cap(b)], nil
}

// body is everything behind the Ethernet header, and its EtherType.
func (f *Frame) body() ([]byte, uint16, error) {
	switch {
	case f.ARP != nil && f.IP != nil:
		return nil, 0, errors.New("both ARP and IP")
	case f.ARP != nil:
		b, err := f.ARP.build()
		return append(b, f.Payload...), EtherTypeARP, err
	case f.IP == nil:
		if f.UDP != nil || f.TCP != nil || f.ICMP != nil || f.ND != nil || f.DHCP != nil || f.VXLAN != nil || f.NVGRE != nil {
			return nil, 0, errors.New("a transport header without IP")
		}
		return f.Payload, 0, nil
	}
	ip := *f.IP
	if !ip.Src.IsValid() || !ip.Dst.IsValid() || ip.Src.Is4() != ip.Dst.Is4() {
		return nil, 0, fmt.Errorf("IP source %v and destination %v are not of one version", ip.Src, ip.Dst)
	}
	segment, err := f.transport(&ip)
	if err != nil {
		return nil, 0, err
	}
	if ip.Src.Is4() {
		b, err := ip.build4(segment)
		return b, EtherTypeIPv4, err
	}
	b, err := ip.build6(segment)
	return b, EtherTypeIPv6, err
}

func (a *ARPFields) build() ([]byte, error) {
	if a.SenderIP.Is6() || a.TargetIP.Is6() {
		return nil, fmt.Errorf("ARP with IPv6 addresses %v and %v", a.SenderIP, a.TargetIP)
	}
	b := ARP(make([]byte, ARPLen))
	b.Init()
	b.SetOp(max(a.Op, ARPRequest))
	b.SetSenderMAC(a.SenderMAC)
	b.SetSenderIP(Addr4(a.SenderIP))
	b.SetTargetMAC(a.TargetMAC)
	b.SetTargetIP(Addr4(a.TargetIP))
	return b, nil
}

// payload is what the transport header carries.
func (f *Frame) payload() ([]byte, error) {
	switch {
	case f.DHCP != nil:
		return append(f.DHCP.Build(), f.Payload...), nil
	case f.VXLAN == nil && f.NVGRE == nil:
		if f.Inner != nil {
			return nil, errors.New("an inner frame without VXLAN or NVGRE")
		}
		return f.Payload, nil
	}
	inner := f.Payload
	if f.Inner != nil {
		var err error
		if inner, err = f.Inner.Build(); err != nil {
			return nil, fmt.Errorf("inner frame: %w", err)
		}
	}
	if f.NVGRE != nil {
		h := GRE(make([]byte, NVGRELen, NVGRELen+len(inner)))
		h.InitNVGRE(f.NVGRE.VSID, f.NVGRE.FlowID)
		if f.NVGRE.Flags != nil {
			h.SetFlags(*f.NVGRE.Flags)
		}
		return append(h, inner...), nil
	}
	h := VXLAN(make([]byte, VXLANLen, VXLANLen+len(inner)))
	h.Init(f.VXLAN.VNI)
	if f.VXLAN.Flags != nil {
		h.SetFlags(*f.VXLAN.Flags)
	}
	return append(h, inner...), nil
}
