package wire

import (
	"net/netip"
	"testing"
)

func TestReporterMakesVectorV3(t *testing.T) {
	// The quoted packet as the router with the small MTU saw it.
	f := v1(macR, macH1, ipH1, 50001, 120)
	f.IP.ID = 0x1235
	f.TCP = &TCPFields{SrcPort: 50001, DstPort: 443, Seq: 1000, Flags: TCPAck}
	f.Payload = make([]byte, 1440)
	b := f.Bytes()
	var m Meta
	Parse(b, &m)
	got := Reporter{MAC: macR, IP: ip("198.51.100.1"), TTL: 250, ID: 0x77}.TooBig(b, &m, 1400)
	checkFrame(t, "V3-in", got, readVectors(t)["V3-in"])
}

func TestReportsSayWhatHappened(t *testing.T) {
	udp4 := &Frame{EthDst: macH1, EthSrc: macCN1, IP: &IPFields{Src: ipCN1, Dst: ipX}, UDP: &UDPFields{SrcPort: 5000, DstPort: 53}, Payload: make([]byte, 1400)}
	udp6 := &Frame{EthDst: macH1, EthSrc: macCN1, IP: &IPFields{Src: ip("fd00::1"), Dst: ip("fd00::2")}, UDP: &UDPFields{SrcPort: 5000, DstPort: 53}, Payload: make([]byte, 1400)}
	ext6 := &Frame{EthDst: macH1, EthSrc: macCN1, IP: &IPFields{Src: ip("fd00::1"), Dst: ip("fd00::2"), Proto: 200, Ext: []ExtFields{{Proto: ProtoDestOpts}}}, VLAN: &VLANFields{ID: 9}}
	r4 := Reporter{MAC: macGW, IP: ip("172.16.0.1")}
	r6 := Reporter{MAC: macGW, IP: ip("fd00::99"), TTL: 64}
	unreachable := func(why Unreachability) func(Reporter, []byte, *Meta) []byte {
		return func(r Reporter, b []byte, m *Meta) []byte { return r.Unreachable(b, m, why) }
	}
	tests := []struct {
		name  string
		r     Reporter
		frame *Frame
		make  func(Reporter, []byte, *Meta) []byte
		want  string
	}{
		{"too big", r4, udp4, func(r Reporter, b []byte, m *Meta) []byte { return r.TooBig(b, m, 1400) },
			"eth(00-15-5D-10-00-01>00-15-5D-10-00-0A) ip(172.16.0.1>172.16.0.10 ttl128) icmp(frag-needed mtu 1400 about udp 172.16.0.10:5000>203.0.113.80:53) len 28"},
		{"too big, IPv6", r6, udp6, func(r Reporter, b []byte, m *Meta) []byte { return r.TooBig(b, m, 1300) },
			"eth(00-15-5D-10-00-01>00-15-5D-10-00-0A) ip6(fd00::99>fd00::1 ttl64) icmp6(too-big mtu 1300 about udp [fd00::1]:5000>[fd00::2]:53) len 1232"},
		{"TTL", r4, udp4, Reporter.HopsExceeded,
			"eth(00-15-5D-10-00-01>00-15-5D-10-00-0A) ip(172.16.0.1>172.16.0.10 ttl128) icmp(time-exceeded about udp 172.16.0.10:5000>203.0.113.80:53) len 28"},
		{"hop limit", r6, udp6, Reporter.HopsExceeded,
			"eth(00-15-5D-10-00-01>00-15-5D-10-00-0A) ip6(fd00::99>fd00::1 ttl64) icmp6(time-exceeded about udp [fd00::1]:5000>[fd00::2]:53) len 1232"},
		{"no route", r4, udp4, unreachable(NoRoute),
			"eth(00-15-5D-10-00-01>00-15-5D-10-00-0A) ip(172.16.0.1>172.16.0.10 ttl128) icmp(unreachable about udp 172.16.0.10:5000>203.0.113.80:53) len 28"},
		{"no port", r4, udp4, unreachable(PortUnreachable),
			"eth(00-15-5D-10-00-01>00-15-5D-10-00-0A) ip(172.16.0.1>172.16.0.10 ttl128) icmp(unreachable code 3 about udp 172.16.0.10:5000>203.0.113.80:53) len 28"},
		{"no host, IPv6", r6, udp6, unreachable(HostUnreachable),
			"eth(00-15-5D-10-00-01>00-15-5D-10-00-0A) ip6(fd00::99>fd00::1 ttl64) icmp6(unreachable code 3 about udp [fd00::1]:5000>[fd00::2]:53) len 1232"},
		{"no protocol, tagged IPv6", r6, ext6, unreachable(ProtoUnreachable),
			"eth(00-15-5D-10-00-01>00-15-5D-10-00-0A) vlan(9) ip6(fd00::99>fd00::1 ttl64) icmp6(param-problem code 1 about proto200 fd00::1>fd00::2) len 48"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := tt.frame.Bytes()
			var m, e Meta
			Parse(b, &m)
			got := tt.make(tt.r, b, &m)
			if s := Summary(got); s != tt.want {
				t.Errorf("\n got %s\nwant %s", s, tt.want)
			}
			if err := VerifyChecksums(got); err != nil {
				t.Error(err)
			}
			Parse(got, &e)
			if q, ok := ParseQuoted(got, &e); !ok || q.Key4(0) != m.Key4(b, 0) || q.Key6(0) != m.Key6(b, 0) {
				t.Errorf("the quote is not about the packet: %+v", q)
			}
		})
	}
	b := ext6.Bytes()
	var m, e Meta
	Parse(b, &m)
	got := r6.Unreachable(b, &m, ProtoUnreachable)
	Parse(got, &e)
	if p := ICMPv6(got[e.L4:]).MTU(); p != IPv6Len {
		t.Errorf("pointer %d, want %d, the extension header that names the protocol", p, IPv6Len)
	}
}

func TestLongerQuotesStopAt576Bytes(t *testing.T) {
	b := bigUDP("10.0.0.1", 1400).Bytes()
	var m, e Meta
	Parse(b, &m)
	for want, quote := range map[int]int{28: 0, 84: 64, 576 - 28: 5000} {
		got := Reporter{IP: ip("10.0.0.9"), QuoteLen: quote}.HopsExceeded(b, &m)
		Parse(got, &e)
		if n := e.End - e.Payload; n != want {
			t.Errorf("QuoteLen %d quotes %d bytes, want %d", quote, n, want)
		}
	}
}

func TestNoErrorsAreSentAboutWhatTheRFCsExclude(t *testing.T) {
	r4, r6 := Reporter{IP: ip("172.16.0.1")}, Reporter{IP: ip("fd00::99")}
	udp := func(src, dst string, eth MAC) []byte {
		return (&Frame{EthDst: eth, IP: &IPFields{Src: ip(src), Dst: ip(dst)}, UDP: &UDPFields{}}).Bytes()
	}
	tests := []struct {
		name  string
		frame []byte
	}{
		{"an ICMP error", errorAbout(v1(macGW, macCN1, ipCN1, 1, 1), 28)},
		{"an ICMP redirect", (&Frame{IP: &IPFields{Src: ipCN1, Dst: ipX}, ICMP: &ICMPFields{Type: ICMPRedirect}}).Bytes()},
		{"an ICMPv6 error", errorAbout(bigUDP("fd00::1", 10), 0)},
		{"an ICMPv6 redirect", (&Frame{IP: &IPFields{Src: ip("fd00::1"), Dst: ip("fd00::2")}, ND: &NDFields{Type: ICMP6Redirect}}).Bytes()},
		{"an unknown ICMPv6 error", (&Frame{IP: &IPFields{Src: ip("fd00::1"), Dst: ip("fd00::2")}, ICMP: &ICMPFields{Type: 100}}).Bytes()},
		{"unreadable ICMP", (&Frame{IP: &IPFields{Src: ipCN1, Dst: ipX, Proto: ProtoICMP}, Payload: []byte{3}}).Bytes()},
		{"a later fragment", FragmentIPv4(bigUDP("10.0.0.1", 100).Bytes(), []int{48})[1]},
		{"a packet to a group", udp("10.0.0.1", "224.0.0.251", MustMAC("01-00-5E-00-00-FB"))},
		{"a packet to everybody", udp("10.0.0.1", "255.255.255.255", Broadcast)},
		{"a broadcast frame", udp("10.0.0.1", "10.0.0.2", Broadcast)},
		{"a packet to an IPv6 group", udp("fd00::1", "ff02::1", MustMAC("33-33-00-00-00-01"))},
		{"a packet from nobody", udp("0.0.0.0", "10.0.0.2", macH1)},
		{"a packet from nobody, IPv6", udp("::", "fd00::2", macH1)},
		{"a packet from a group", udp("224.0.0.1", "10.0.0.2", macH1)},
		{"ARP", v5(macCB1).Bytes()},
		{"nothing", nil},
	}
	for _, tt := range tests {
		var m Meta
		Parse(tt.frame, &m)
		for _, r := range []Reporter{r4, r6} {
			if got := r.HopsExceeded(tt.frame, &m); got != nil {
				t.Errorf("%s: %s", tt.name, Summary(got))
			}
		}
	}

	b := udp("fd00::1", "ff02::1", MustMAC("33-33-00-00-00-01"))
	var m Meta
	Parse(b, &m)
	if r6.TooBig(b, &m, 1280) == nil {
		t.Error("path MTU discovery of IPv6 multicast needs its error")
	}
	b = udp("10.0.0.1", "10.0.0.2", macH1)
	Parse(b, &m)
	for _, addr := range []netip.Addr{ip("fd00::99"), {}} {
		if got := (Reporter{IP: addr}).HopsExceeded(b, &m); got != nil {
			t.Errorf("an error from %v about an IPv4 packet: %s", addr, Summary(got))
		}
	}
	if got := r4.Unreachable(b, &m, 99); got != nil {
		t.Errorf("an unknown reason: %s", Summary(got))
	}
}
