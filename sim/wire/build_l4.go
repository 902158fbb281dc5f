package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// UDPFields is a UDP header.
type UDPFields struct {
	SrcPort, DstPort uint16
	NoChecksum       bool // send 0: "none made"
	Length           *uint16
	Checksum         *uint16
}

// TCPFields is a TCP header.
type TCPFields struct {
	SrcPort, DstPort uint16
	Seq, Ack         uint32
	Flags            uint8
	Window           uint16
	Urgent           uint16
	MSS              uint16 // non-zero: an MSS option, in front of Options
	Options          []byte // padded to a multiple of 4
	Checksum         *uint16
}

// ICMPFields is an ICMPv4 or ICMPv6 message; the frame's Payload is the echo
// data or the quoted packet.
type ICMPFields struct {
	Type, Code uint8
	ID, Seq    uint16
	MTU        uint32 // for "fragmentation needed" and "packet too big", instead of ID and Seq
	Checksum   *uint16
}

// transport makes everything behind the IP header. It fills in ip.Proto, and
// ip.TTL for ND, if they are zero.
func (f *Frame) transport(ip *IPFields) ([]byte, error) {
	kinds := 0
	for _, set := range [...]bool{f.UDP != nil || f.VXLAN != nil || f.DHCP != nil, f.TCP != nil, f.ICMP != nil, f.ND != nil, f.NVGRE != nil} {
		if set {
			kinds++
		}
	}
	if kinds > 1 {
		return nil, errors.New("more than one transport header")
	}
	if f.VXLAN != nil && f.DHCP != nil {
		return nil, errors.New("both VXLAN and DHCP")
	}
	if ip.FragOffset > 0 && kinds > 0 {
		return nil, errors.New("a transport header in a later fragment")
	}
	data, err := f.payload()
	if err != nil {
		return nil, err
	}
	proto := uint8(0)
	switch {
	case f.UDP != nil || f.VXLAN != nil || f.DHCP != nil:
		proto = ProtoUDP
		data, err = f.udpFields(ip, data).build(ip, data)
	case f.TCP != nil:
		proto = ProtoTCP
		data, err = f.TCP.build(ip, data)
	case f.ICMP != nil:
		proto = ProtoICMP
		if !ip.Src.Is4() {
			proto = ProtoICMPv6
		}
		data = f.ICMP.build(ip, proto, data)
	case f.ND != nil:
		proto = ProtoICMPv6
		if ip.TTL == 0 && !ip.TTLZero {
			ip.TTL = NDHopLimit
		}
		data, err = f.ND.build(ip, data)
	case f.NVGRE != nil:
		proto = ProtoGRE
	}
	if kinds == 0 && !ip.Src.Is4() {
		proto = ProtoNone // 0 would announce hop-by-hop options
	}
	if ip.Proto == 0 {
		ip.Proto = proto
	}
	return data, err
}

// udpFields is f.UDP or what VXLAN and DHCP use without it.
func (f *Frame) udpFields(ip *IPFields, data []byte) *UDPFields {
	switch {
	case f.UDP != nil:
		return f.UDP
	case f.DHCP != nil && f.DHCP.op() == DHCPBootReply:
		return &UDPFields{SrcPort: DHCPServerPort, DstPort: DHCPClientPort}
	case f.DHCP != nil:
		return &UDPFields{SrcPort: DHCPClientPort, DstPort: DHCPServerPort}
	}
	return &UDPFields{
		SrcPort: EntropyPort(FlowHash(data[VXLANLen:])), DstPort: VXLANPort, NoChecksum: ip.Src.Is4(),
	}
}

func (u *UDPFields) build(ip *IPFields, data []byte) ([]byte, error) {
	if UDPLen+len(data) > 0xffff {
		return nil, fmt.Errorf("a UDP datagram of %d bytes", UDPLen+len(data))
	}
	b := make([]byte, UDPLen, UDPLen+len(data))
	h := UDP(b)
	h.SetSrcPort(u.SrcPort)
	h.SetDstPort(u.DstPort)
	h.SetLength(UDPLen + len(data))
	if u.Length != nil {
		h.SetLength(int(*u.Length))
	}
	b = append(b, data...)
	switch {
	case u.Checksum != nil:
		h.SetChecksum(*u.Checksum)
	case !u.NoChecksum:
		// A receiver sums what the length field claims.
		covered := b[:min(len(b), max(h.Length(), UDPLen))]
		h.SetChecksum(UDPZero(^Fold(Sum(covered, ip.pseudo(ProtoUDP, h.Length())))))
	}
	return b, nil
}

func (t *TCPFields) build(ip *IPFields, data []byte) ([]byte, error) {
	var opts []byte
	if t.MSS != 0 {
		opts = append(opts, TCPOptMSS, 4, byte(t.MSS>>8), byte(t.MSS))
	}
	opts = append(opts, t.Options...)
	for len(opts)%4 != 0 {
		opts = append(opts, TCPOptEnd)
	}
	hl := TCPMinLen + len(opts)
	if hl > TCPMaxLen {
		return nil, fmt.Errorf("%d bytes of TCP options, at most 40 fit", len(opts))
	}
	b := make([]byte, TCPMinLen, hl+len(data))
	h := TCP(b)
	h.SetSrcPort(t.SrcPort)
	h.SetDstPort(t.DstPort)
	h.SetSeq(t.Seq)
	h.SetAck(t.Ack)
	h.SetHeaderLen(hl)
	h.SetFlags(t.Flags)
	h.SetWindow(t.Window)
	h.SetUrgent(t.Urgent)
	b = append(append(b, opts...), data...)
	h.SetChecksum(^Fold(Sum(b, ip.pseudo(ProtoTCP, len(b)))))
	if t.Checksum != nil {
		h.SetChecksum(*t.Checksum)
	}
	return b, nil
}

func (c *ICMPFields) build(ip *IPFields, proto uint8, data []byte) []byte {
	b := make([]byte, ICMPLen, ICMPLen+len(data))
	h := ICMPv4(b)
	h.SetType(c.Type)
	h.SetCode(c.Code)
	h.SetID(c.ID)
	h.SetSeq(c.Seq)
	if c.MTU != 0 {
		binary.BigEndian.PutUint32(b[icmpID:], c.MTU)
	}
	b = append(b, data...)
	setICMPChecksum(b, ip, proto, c.Checksum)
	return b
}

// setICMPChecksum computes the checksum of a message whose checksum field is
// 0, or takes the given one.
func setICMPChecksum(b []byte, ip *IPFields, proto uint8, given *uint16) {
	s := uint64(0)
	if proto == ProtoICMPv6 {
		s = ip.pseudo(proto, len(b))
	}
	ICMPv4(b).SetChecksum(^Fold(Sum(b, s)))
	if given != nil {
		ICMPv4(b).SetChecksum(*given)
	}
}
