package wire

import "fmt"

func (w *layerWriter) ethernet(e Ethernet, m *Meta) {
	w.layer(layerEthernet)
	w.field("dst", ethDst, 6, "%v", e.Dst())
	w.field("src", ethSrc, 6, "%v", e.Src())
	w.field("type", ethType, 2, "%s", etherTypeName(e.OuterType()))
	if m.HasVLAN {
		w.layer("vlan")
		w.field("prio", vlanTCI, 2, "%d", m.TCI.Priority())
		w.field("dei", vlanTCI, 2, "%d", m.TCI>>12&1)
		w.field("id", vlanTCI, 2, "%d", m.TCI.ID())
		w.field("type", tagType, 2, "%s", etherTypeName(m.EtherType))
	}
}

func (w *layerWriter) arp(a ARP, at int) {
	w.layer(layerARP)
	op := fmt.Sprint(a.Op())
	switch a.Op() {
	case ARPRequest:
		op = "request"
	case ARPReply:
		op = "reply"
	}
	w.field("op", at+arpOp, 2, "%s", op)
	w.field("sha", at+arpSHA, 6, "%v", a.SenderMAC())
	w.field("spa", at+arpSPA, 4, "%v", AddrFrom4(a.SenderIP()))
	w.field("tha", at+arpTHA, 6, "%v", a.TargetMAC())
	w.field("tpa", at+arpTPA, 4, "%v", AddrFrom4(a.TargetIP()))
}

// ipv4 describes the header at offset at, which is complete.
func (w *layerWriter) ipv4(b []byte, at int) {
	ip := IPv4(b[at:])
	w.layer(layerIPv4)
	w.field("hlen", at+ip4VerIHL, 1, "%d", ip.HeaderLen())
	w.field("tos", at+ip4TOS, 1, "%#02x", ip.TOS())
	w.field("len", at+ip4TotalLen, 2, "%d", ip.TotalLen())
	w.field("id", at+ip4ID, 2, "%d", ip.ID())
	w.field("flags", at+ip4Frag, 1, "%s", flagNames(ip[ip4Frag]>>5, []string{"MF", "DF", "reserved"}))
	w.field("offset", at+ip4Frag, 2, "%d", ip.FragOffset())
	w.field("ttl", at+ip4TTL, 1, "%d", ip.TTL())
	w.field("proto", at+ip4Proto, 1, "%s", protoName(ip.Proto()))
	hl := ip.HeaderLen()
	w.field("checksum", at+ip4Checksum, 2, "%s", checksum(ip.Checksum(), Fold(Sum(ip[:hl], 0))))
	w.field("src", at+ip4Src, 4, "%v", AddrFrom4(ip.Src()))
	w.field("dst", at+ip4Dst, 4, "%v", AddrFrom4(ip.Dst()))
	if hl > IPv4MinLen {
		w.field("options", at+IPv4MinLen, hl-IPv4MinLen, "%x", []byte(ip[IPv4MinLen:hl]))
	}
}

// ipv6 describes the fixed header at offset at and those of the extension
// headers behind it that are complete. b ends with the packet or its quote.
func (w *layerWriter) ipv6(b []byte, at int) {
	ip := IPv6(b[at:])
	w.layer(layerIPv6)
	w.field("class", at, 2, "%#02x", ip.TrafficClass())
	w.field("label", at+1, 3, "%#05x", ip.FlowLabel())
	w.field("len", at+ip6PayloadLen, 2, "%d", ip.PayloadLen())
	w.field("next", at+ip6NextHeader, 1, "%s", protoName(ip.NextHeader()))
	w.field("ttl", at+ip6HopLimit, 1, "%d", ip.HopLimit())
	w.field("src", at+ip6Src, 16, "%v", AddrFrom16(ip.Src()))
	w.field("dst", at+ip6Dst, 16, "%v", AddrFrom16(ip.Dst()))

	end := walkExt(ip).Off
	proto := ip.NextHeader()
	for off := IPv6Len; off < end; {
		h := ip[off:end]
		n := (int(h[1]) + 1) * 8
		name := protoName(proto)
		switch proto {
		case ProtoFragment:
			n = FragmentLen
		case ProtoAH:
			n = (int(h[1]) + 2) * 4
		}
		w.layer(name)
		w.field("next", at+off, 1, "%s", protoName(h[0]))
		if proto == ProtoFragment {
			f := IPv6Fragment(h)
			w.field("offset", at+off+2, 2, "%d", f.Offset())
			w.field("more", at+off+3, 1, "%v", f.More())
			w.field("id", at+off+4, 4, "%d", f.ID())
		} else {
			w.field("len", at+off+1, 1, "%d", n)
			w.field("data", at+off+2, n-2, "%x", []byte(h[2:n]))
		}
		proto, off = h[0], off+n
	}
}

func (w *layerWriter) gre(frame []byte, m *Meta) (inner Tunnel, ok bool) {
	h := GRE(frame[m.L4:m.End])
	if len(h) < greMinLen {
		w.malformed(frame, m.L4, m.End, TruncatedL4)
		return inner, false
	}
	if t, found := ParseNVGRE(frame, m); found {
		w.layer("nvgre")
		w.field("flags", m.L4+greFlags, 2, "%#04x", h.Flags())
		w.field("proto", m.L4+greProto, 2, "%s", etherTypeName(h.Proto()))
		w.field("vsid", m.L4+greKey, 3, "%d", t.VNI)
		w.field("flow", m.L4+greKey+3, 1, "%#02x", t.FlowID)
		return t, true
	}
	w.layer("gre")
	w.field("flags", m.L4+greFlags, 2, "%#04x", h.Flags())
	w.field("proto", m.L4+greProto, 2, "%s", etherTypeName(h.Proto()))
	n := min(h.headerLen(), len(h))
	if h.Flags()&greVersionMask != 0 {
		n = greMinLen // other versions have other layouts
	}
	if n > greMinLen {
		w.field("options", m.L4+greMinLen, n-greMinLen, "%x", []byte(h[greMinLen:n]))
	}
	w.data("payload", frame, m.L4+n, m.End)
	return inner, false
}

func (w *layerWriter) vxlan(name string, h VXLAN, at int) {
	w.layer(name)
	w.field("flags", at+vxFlags, 1, "%#02x", h.Flags())
	w.field("vni", at+vxVNI, 3, "%d", h.VNI())
}

func etherTypeName(t uint16) string {
	switch t {
	case EtherTypeIPv4:
		return "ip"
	case EtherTypeARP:
		return "arp"
	case EtherTypeVLAN:
		return "vlan"
	case EtherTypeIPv6:
		return "ip6"
	case EtherTypeTEB:
		return "eth"
	case EtherTypeLLDP:
		return "lldp"
	}
	if t < etherTypeFirst {
		return fmt.Sprintf("length %d", t)
	}
	return fmt.Sprintf("%#04x", t)
}

// protoName is the name of a protocol and of its layer.
func protoName(p uint8) string {
	switch p {
	case ProtoHopByHop:
		return "hopopts"
	case ProtoICMP:
		return "icmp"
	case ProtoIGMP:
		return "igmp"
	case ProtoTCP:
		return "tcp"
	case ProtoUDP:
		return "udp"
	case ProtoIPv6:
		return "ip6"
	case ProtoRouting:
		return "routing"
	case ProtoFragment:
		return "frag"
	case ProtoGRE:
		return "gre"
	case ProtoESP:
		return "esp"
	case ProtoAH:
		return "ah"
	case ProtoICMPv6:
		return "icmp6"
	case ProtoNone:
		return "none"
	case ProtoDestOpts:
		return "dstopts"
	}
	return fmt.Sprintf("proto%d", p)
}
