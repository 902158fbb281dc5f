package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
)

func (w *layerWriter) udp(h UDP, at int, sum uint16) {
	w.layer("udp")
	w.field("sport", at+l4SrcPort, 2, "%d", h.SrcPort())
	w.field("dport", at+l4DstPort, 2, "%d", h.DstPort())
	w.field("len", at+udpLength, 2, "%d", h.Length())
	value := "none"
	if h.Checksum() != 0 {
		value = checksum(h.Checksum(), sum)
	}
	w.field("checksum", at+udpChecksum, 2, "%s", value)
}

// tcp describes a header of which at least the fixed part is there.
func (w *layerWriter) tcp(h TCP, at int, sum uint16) {
	w.layer("tcp")
	w.field("sport", at+l4SrcPort, 2, "%d", h.SrcPort())
	w.field("dport", at+l4DstPort, 2, "%d", h.DstPort())
	w.field("seq", at+tcpSeq, 4, "%d", h.Seq())
	w.field("ack", at+tcpAck, 4, "%d", h.Ack())
	w.field("hlen", at+tcpOffset, 1, "%d", h.HeaderLen())
	w.field("flags", at+tcpFlags, 1, "%s", tcpFlagNames(h.Flags()))
	w.field("window", at+tcpWindow, 2, "%d", h.Window())
	w.field("checksum", at+tcpChecksum, 2, "%s", checksum(h.Checksum(), sum))
	w.field("urgent", at+tcpUrgent, 2, "%d", h.Urgent())
	if hl := h.HeaderLen(); hl > TCPMinLen && hl <= len(h) {
		w.field("options", at+TCPMinLen, hl-TCPMinLen, "%x", []byte(h[TCPMinLen:hl]))
		if mss, ok := h.MSS(); ok {
			w.field("mss", at+h.mssAt(), 2, "%d", mss)
		}
	}
}

func tcpFlagNames(f uint8) string {
	return flagNames(f, []string{"FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"})
}

// icmp describes a message of either version, and what it quotes.
func (w *layerWriter) icmp(frame []byte, m *Meta, sum uint16) {
	b := frame[m.L4:m.End]
	if m.IsIPv6 && !m.Fragment && ND(b).IsValid() {
		w.nd(ND(b), m.L4, sum)
		return
	}
	w.layer(protoName(m.Proto))
	h := ICMPv4(b)
	w.field("type", m.L4+icmpType, 1, "%d %s", h.Type(), icmpName(m.Proto, h.Type(), h.Code()))
	w.field("code", m.L4+icmpCode, 1, "%d", h.Code())
	w.field("checksum", m.L4+icmpChecksum, 2, "%s", checksum(h.Checksum(), sum))
	switch {
	case m.IsICMPQuery():
		w.field("id", m.L4+icmpID, 2, "%d", h.ID())
		w.field("seq", m.L4+icmpSeq, 2, "%d", h.Seq())
	case m.IsIPv4 && h.Type() == ICMPUnreachable && h.Code() == ICMPFragNeeded:
		w.field("mtu", m.L4+icmpSeq, 2, "%d", h.MTU())
	case m.IsIPv6 && h.Type() == ICMP6PacketTooBig:
		w.field("mtu", m.L4+icmpID, 4, "%d", ICMPv6(b).MTU())
	default:
		w.field("rest", m.L4+icmpID, 4, "%#08x", binary.BigEndian.Uint32(b[icmpID:]))
	}
	q, ok := ParseQuoted(frame, m)
	if !ok {
		w.data("payload", frame, m.Payload, m.End)
		return
	}
	w.quoted(frame, &q)
	w.data("payload", frame, q.End, m.End)
}

// quoted describes the packet in an ICMP error. Its checksums other than the
// IPv4 header's cannot be verified: the quote is cut.
func (w *layerWriter) quoted(frame []byte, q *Quoted) {
	prefix := w.prefix
	w.prefix += quotedPrefix
	defer func() { w.prefix = prefix }()
	if q.IsIPv4 {
		w.ipv4(frame[:q.End], q.L3)
	} else {
		w.ipv6(frame[:q.End], q.L3)
	}
	b := frame[q.L4:q.End]
	rest := q.L4
	switch {
	case !q.HasL4:
	case q.Proto == ProtoUDP:
		w.udp(UDP(b), q.L4, 0xffff)
		rest += UDPLen
	case q.Proto == ProtoTCP && len(b) >= TCPMinLen:
		w.tcp(TCP(b), q.L4, 0xffff)
		if hl := TCP(b).HeaderLen(); hl >= TCPMinLen && hl <= len(b) {
			rest += hl
		} else {
			rest += TCPMinLen
		}
	case q.Proto == ProtoTCP:
		w.layer("tcp")
		w.field("sport", q.L4+l4SrcPort, 2, "%d", q.SrcPort)
		w.field("dport", q.L4+l4DstPort, 2, "%d", q.DstPort)
		w.field("seq", q.L4+tcpSeq, 4, "%d", binary.BigEndian.Uint32(b[tcpSeq:]))
		rest += ICMPLen
	default:
		w.layer(protoName(q.Proto))
		w.field("type", q.L4+icmpType, 1, "%d %s", q.ICMPType, icmpName(q.Proto, q.ICMPType, b[icmpCode]))
		w.field("code", q.L4+icmpCode, 1, "%d", b[icmpCode])
		w.field("checksum", q.L4+icmpChecksum, 2, "%#04x", ICMPv4(b).Checksum())
		w.field("id", q.L4+icmpID, 2, "%d", ICMPv4(b).ID())
		w.field("seq", q.L4+icmpSeq, 2, "%d", ICMPv4(b).Seq())
		rest += ICMPLen
	}
	w.data("payload", frame, rest, q.End)
}

// nd describes a neighbour discovery message.
func (w *layerWriter) nd(h ND, at int, sum uint16) {
	w.layer("nd")
	w.field("type", at+icmpType, 1, "%d %s", h.Type(), icmpName(ProtoICMPv6, h.Type(), 0))
	w.field("code", at+icmpCode, 1, "%d", h[icmpCode])
	w.field("checksum", at+icmpChecksum, 2, "%s", checksum(ICMPv6(h).Checksum(), sum))
	switch h.Type() {
	case ICMP6RouterAdv:
		w.field("hoplimit", at+ndWord, 1, "%d", h.RAHopLimit())
		w.field("flags", at+ndWord+1, 1, "%s", flagNames(h.RAFlags()>>6, []string{"O", "M"}))
		w.field("lifetime", at+ndRALifetime, 2, "%d", h.RALifetimeSec())
		w.field("reachable", at+ndRAReachable, 4, "%d", h.RAReachableMS())
		w.field("retrans", at+ndRARetrans, 4, "%d", h.RARetransMS())
	case ICMP6NeighborSol, ICMP6NeighborAdv, ICMP6Redirect:
		if h.Type() == ICMP6NeighborAdv {
			w.field("flags", at+ndWord, 1, "%s", flagNames(h.Flags()>>5, []string{"O", "S", "R"}))
		}
		w.field("target", at+ndTarget, 16, "%v", AddrFrom16(h.Target()))
		if h.Type() == ICMP6Redirect {
			w.field("dest", at+ndDest, 16, "%v", AddrFrom16(h.Dest()))
		}
	}
	off := h.fixedLen()
	for o := range h.Options {
		w.ndOption(o, at+off)
		off += len(o)
	}
	if off < len(h) {
		w.field("rest", at+off, len(h)-off, "%x", []byte(h[off:]))
	}
}

func (w *layerWriter) ndOption(o NDOption, at int) {
	switch o.Type() {
	case NDOptSourceLL:
		w.field("sll", at+2, 6, "%v", o.LL())
	case NDOptTargetLL:
		w.field("tll", at+2, 6, "%v", o.LL())
	case NDOptMTU:
		w.field("mtu", at+4, 4, "%d", binary.BigEndian.Uint32(o[4:]))
	default:
		if p, ok := o.Prefix(); ok {
			w.field("prefix", at, len(o), "%v/%d onlink=%v auto=%v valid=%d preferred=%d",
				AddrFrom16(p.Addr), p.Bits, p.OnLink, p.Autonomous, p.ValidSec, p.PreferredSec)
			return
		}
		w.field(fmt.Sprintf("option%d", o.Type()), at, len(o), "%x", []byte(o[2:]))
	}
}

// dhcp describes a UDP payload if its ports and content are DHCP's.
func (w *layerWriter) dhcp(b []byte, m *Meta) bool {
	if !isDHCP(b, m) {
		return false
	}
	h, at := DHCP(b), m.Payload
	w.layer("dhcp")
	w.field("op", at+dhcpOp, 1, "%d", h.Op())
	w.field("xid", at+dhcpXID, 4, "%#08x", h.XID())
	w.field("broadcast", at+dhcpFlags, 2, "%v", h.Broadcast())
	for _, f := range [...]struct {
		name string
		off  int
	}{{"ciaddr", dhcpCIAddr}, {"yiaddr", dhcpYIAddr}, {"siaddr", dhcpSIAddr}, {"giaddr", dhcpGIAddr}} {
		w.field(f.name, at+f.off, 4, "%v", AddrFrom4(binary.BigEndian.Uint32(b[f.off:])))
	}
	w.field("chaddr", at+dhcpCHAddr, 6, "%v", h.ClientMAC())
	for o := range h.Options {
		w.field(dhcpOptionName(o.Code), at+o.Off, 2+len(o.Data), "%s", dhcpOptionValue(o))
	}
	return true
}

func isDHCP(b []byte, m *Meta) bool {
	return m.IsIPv4 && DHCP(b).IsValid() &&
		(m.DstPort == DHCPServerPort || m.DstPort == DHCPClientPort)
}

func dhcpOptionName(code uint8) string {
	switch code {
	case DHCPOptMessageType:
		return "type"
	case DHCPOptSubnetMask:
		return "mask"
	case DHCPOptRouter:
		return "router"
	case DHCPOptDNS:
		return "dns"
	case DHCPOptHostName:
		return "hostname"
	case DHCPOptDomainName:
		return "domain"
	case DHCPOptRequestedIP:
		return "requested"
	case DHCPOptLeaseTime:
		return "lease"
	case DHCPOptServerID:
		return "server"
	}
	return fmt.Sprintf("option%d", code)
}

func dhcpOptionValue(o DHCPOption) string {
	switch o.Code {
	case DHCPOptMessageType:
		if len(o.Data) == 1 {
			return dhcpTypeName(o.Data[0])
		}
	case DHCPOptHostName, DHCPOptDomainName:
		return printable(o.Data)
	case DHCPOptLeaseTime:
		if len(o.Data) == 4 {
			return fmt.Sprintf("%ds", binary.BigEndian.Uint32(o.Data))
		}
	case DHCPOptSubnetMask, DHCPOptRouter, DHCPOptDNS, DHCPOptRequestedIP, DHCPOptServerID:
		var addrs []string
		for b := o.Data; len(b) >= 4; b = b[4:] {
			addrs = append(addrs, netip.AddrFrom4([4]byte(b[:4])).String())
		}
		if len(addrs)*4 == len(o.Data) {
			return strings.Join(addrs, ",")
		}
	}
	return fmt.Sprintf("%x", o.Data)
}

func dhcpTypeName(t uint8) string {
	names := [...]string{
		DHCPDiscover: "discover", DHCPOffer: "offer", DHCPRequest: "request", DHCPDecline: "decline",
		DHCPAck: "ack", DHCPNak: "nak", DHCPRelease: "release", DHCPInform: "inform",
	}
	if int(t) < len(names) && names[t] != "" {
		return names[t]
	}
	return fmt.Sprintf("type%d", t)
}

// icmpName names a message of ICMP or, as proto says, ICMPv6.
func icmpName(proto, kind, code uint8) string {
	type message struct{ proto, kind uint8 }
	switch (message{proto, kind}) {
	case message{ProtoICMP, ICMPEcho}, message{ProtoICMPv6, ICMP6Echo}:
		return "echo"
	case message{ProtoICMP, ICMPEchoReply}, message{ProtoICMPv6, ICMP6EchoReply}:
		return "echo-reply"
	case message{ProtoICMP, ICMPUnreachable}:
		if code == ICMPFragNeeded {
			return "frag-needed"
		}
		return "unreachable"
	case message{ProtoICMPv6, ICMP6Unreachable}:
		return "unreachable"
	case message{ProtoICMPv6, ICMP6PacketTooBig}:
		return "too-big"
	case message{ProtoICMP, ICMPTimeExceeded}, message{ProtoICMPv6, ICMP6TimeExceeded}:
		return "time-exceeded"
	case message{ProtoICMP, ICMPParamProblem}, message{ProtoICMPv6, ICMP6ParamProblem}:
		return "param-problem"
	case message{ProtoICMP, ICMPRedirect}, message{ProtoICMPv6, ICMP6Redirect}:
		return "redirect"
	case message{ProtoICMP, ICMPTimestamp}:
		return "timestamp"
	case message{ProtoICMP, ICMPTimestampReply}:
		return "timestamp-reply"
	case message{ProtoICMPv6, ICMP6RouterSol}:
		return "rs"
	case message{ProtoICMPv6, ICMP6RouterAdv}:
		return "ra"
	case message{ProtoICMPv6, ICMP6NeighborSol}:
		return "ns"
	case message{ProtoICMPv6, ICMP6NeighborAdv}:
		return "na"
	}
	return fmt.Sprintf("type%d", kind)
}
