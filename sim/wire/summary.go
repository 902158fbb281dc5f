package wire

import (
	"fmt"
	"net/netip"
	"strings"
)

// Summary is a frame in one line, in the contract's notation:
//
//	eth(0E-2A-0A-F4-01-0A>00-15-5D-D0-B3-B7) ip(10.244.1.10>10.244.2.20 ttl128) udp(40000>53) len 5
//
// Tunnelled frames follow their tunnel's header. It takes any bytes.
func Summary(frame []byte) string { return Decoder{}.Summary(frame) }

// Summary is as the function of that name.
func (d Decoder) Summary(frame []byte) string {
	var s strings.Builder
	for range maxTunnelDepth {
		var m Meta
		err := Parse(frame, &m)
		d.summarize(&s, frame, &m, err)
		name, t, ok := d.tunnel(frame, &m)
		if !ok {
			break
		}
		fmt.Fprintf(&s, " %s(vni %d) ", name, t.VNI)
		frame = frame[t.Inner:t.End]
	}
	return s.String()
}

// summarize writes one frame without what it tunnels.
func (d Decoder) summarize(s *strings.Builder, frame []byte, m *Meta, err ParseError) {
	if m.L2Len == 0 {
		fmt.Fprintf(s, "malformed(%v) len %d", err, len(frame))
		return
	}
	e := Ethernet(frame)
	fmt.Fprintf(s, "eth(%v>%v)", e.Src(), e.Dst())
	if m.HasVLAN {
		fmt.Fprintf(s, " vlan(%d)", m.TCI.ID())
	}
	switch {
	case m.IsARP:
		summarizeARP(s, ARP(frame[m.L3:]))
		return
	case !m.IsIP() && err == OK:
		fmt.Fprintf(s, " type %s len %d", etherTypeName(m.EtherType), m.End-m.L3)
		return
	case m.IsIP():
		summarizeIP(s, frame, m)
	}
	if err != OK {
		fmt.Fprintf(s, " malformed(%v)", err)
	}
	if _, _, ok := d.tunnel(frame, m); ok && m.Proto == ProtoGRE {
		return
	}
	d.summarizeL4(s, frame, m)
}

func summarizeARP(s *strings.Builder, a ARP) {
	sender, target := AddrFrom4(a.SenderIP()), AddrFrom4(a.TargetIP())
	if a.Op() == ARPReply {
		fmt.Fprintf(s, " arp(%v is at %v, to %v)", sender, a.SenderMAC(), target)
		return
	}
	fmt.Fprintf(s, " arp(who has %v, tell %v at %v)", target, sender, a.SenderMAC())
}

func summarizeIP(s *strings.Builder, frame []byte, m *Meta) {
	name := layerIPv4
	if m.IsIPv6 {
		name = layerIPv6
	}
	fmt.Fprintf(s, " %s(%v>%v ttl%d", name, m.Src(frame), m.Dst(frame), m.TTL(frame))
	if m.IsIPv4 && m.DF(frame) {
		s.WriteString(" DF")
	}
	if m.Fragment {
		fmt.Fprintf(s, " frag %d+%d", m.FragmentOffset(frame), m.End-m.fragmentData())
		if m.MoreFragments(frame) {
			s.WriteByte('+') // as in tcpdump: more to come
		}
	}
	s.WriteByte(')')
}

// fragmentData is where the piece of the original datagram begins.
func (m *Meta) fragmentData() int {
	if m.FragHeader != 0 {
		return int(m.FragHeader) + FragmentLen
	}
	return m.L4
}

func (d Decoder) summarizeL4(s *strings.Builder, frame []byte, m *Meta) {
	n := m.End - m.Payload
	switch {
	case !m.HasL4:
		if m.IsIP() {
			fmt.Fprintf(s, " %s", protoName(m.Proto))
		}
	case m.Proto == ProtoTCP:
		fmt.Fprintf(s, " tcp(%d>%d %s)", m.SrcPort, m.DstPort, tcpFlagNames(m.TCPFlags))
	case m.Proto == ProtoUDP:
		fmt.Fprintf(s, " udp(%d>%d)", m.SrcPort, m.DstPort)
		b := UDP(frame[m.L4:m.End]).Payload()
		n = len(b)
		if _, _, ok := d.tunnel(frame, m); ok {
			return
		}
		if isDHCP(b, m) {
			fmt.Fprintf(s, " dhcp(%s xid %#08x %v)", dhcpTypeName(DHCP(b).Type()), DHCP(b).XID(), DHCP(b).ClientMAC())
		}
	default:
		summarizeICMP(s, frame, m)
	}
	fmt.Fprintf(s, " len %d", n)
}

func summarizeICMP(s *strings.Builder, frame []byte, m *Meta) {
	h := ICMPv4(frame[m.L4:m.End])
	fmt.Fprintf(s, " %s(%s", protoName(m.Proto), icmpName(m.Proto, m.ICMPType, m.ICMPCode))
	switch nd := ND(h); {
	case m.IsICMPQuery():
		fmt.Fprintf(s, " id %d seq %d", h.ID(), h.Seq())
	case m.IsIPv4 && h.Type() == ICMPUnreachable && h.Code() == ICMPFragNeeded:
		fmt.Fprintf(s, " mtu %d", h.MTU())
	case m.IsIPv6 && h.Type() == ICMP6PacketTooBig:
		fmt.Fprintf(s, " mtu %d", ICMPv6(h).MTU())
	case m.IsIPv6 && nd.IsValid():
		if t := nd.Type(); t != ICMP6RouterSol && t != ICMP6RouterAdv {
			fmt.Fprintf(s, " %v", AddrFrom16(nd.Target()))
		}
	case m.ICMPCode != 0:
		fmt.Fprintf(s, " code %d", m.ICMPCode)
	}
	if q, ok := ParseQuoted(frame, m); ok {
		fmt.Fprintf(s, " about %s ", protoName(q.Proto))
		if q.HasL4 && (q.SrcPort|q.DstPort) != 0 {
			fmt.Fprintf(s, "%v>%v", netip.AddrPortFrom(q.Src, q.SrcPort), netip.AddrPortFrom(q.Dst, q.DstPort))
		} else {
			fmt.Fprintf(s, "%v>%v", q.Src, q.Dst)
		}
	}
	s.WriteByte(')')
}
