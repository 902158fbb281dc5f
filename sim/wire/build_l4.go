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
		// The pseudo-header has the length that the header claims.
		h.SetChecksum(UDPZero(^Fold(Sum(b, ip.pseudo(ProtoUDP, h.Length())))))
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
