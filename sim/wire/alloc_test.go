package wire

import "testing"

// The packet path allocates nothing.
func TestThePacketPathDoesNotAllocate(t *testing.T) {
	tcp := v1(macGW, macCN1, ipCN1, 49700, 128).Bytes()
	udp6 := bigUDP("fd00::1", 100).Bytes()
	v := readVectors(t)
	icmp, echo := v["V3-in"], (&Frame{IP: &IPFields{Src: ipCN1, Dst: ipX}, ICMP: &ICMPFields{Type: ICMPEcho, ID: 3}}).Bytes()
	syn := (&Frame{IP: &IPFields{Src: ipCN1, Dst: ipX}, TCP: &TCPFields{Flags: TCPSyn, MSS: 1460}}).Bytes()
	ns := (&Frame{IP: &IPFields{Src: ip("fd00::1"), Dst: ip("fd00::2")}, ND: &NDFields{Type: ICMP6NeighborSol, SourceLL: macCN1}}).Bytes()
	vx, gre := make([]byte, 50+len(tcp)), make([]byte, 42+len(tcp))
	vx6 := make([]byte, 70+len(tcp))
	o4 := Outer{Src: ipH1, Dst: ipH2, TTL: 64, VNI: 7, SrcPort: 50000, DstPort: 4789}
	o6 := Outer{Src: ip("fd00::1"), Dst: ip("fd00::2"), TTL: 64, VNI: 7, SrcPort: 50000, DstPort: 4789}
	var m, m6, mi, me, ms, mn Meta
	Parse(tcp, &m)
	Parse(udp6, &m6)
	Parse(icmp, &mi)
	Parse(echo, &me)
	Parse(syn, &ms)
	Parse(ns, &mn)
	var sink uint64
	mss := uint16(1400)
	tests := []struct {
		name string
		run  func()
	}{
		{"Parse", func() { Parse(tcp, &m); Parse(udp6, &m6); Parse(icmp, &mi) }},
		{"Key4", func() { sink += m.Key4(tcp, 7).Hash() + m.Key4(tcp, 7).Reverse().A }},
		{"Key6", func() { sink += m6.Key6(udp6, 7).Hash() + m6.Key6(udp6, 7).Reverse().B }},
		{"FlowHash", func() { sink += FlowHash(tcp) + FlowHash(udp6) }},
		{"Src and Dst", func() { sink += uint64(Addr4(m.Src(tcp))) + uint64(Addr16(m6.Dst(udp6))[0]) }},
		{"SetIPv4", func() { SetIPv4Src(tcp, &m, 1); SetIPv4Dst(tcp, &m, 2) }},
		{"SetIPv6", func() { SetIPv6Src(udp6, &m6, [16]byte{1}); SetIPv6Dst(udp6, &m6, [16]byte{2}) }},
		{"SetSrc and SetDst", func() { SetSrc(tcp, &m, ipH1); SetDst(udp6, &m6, o6.Src) }},
		{"SetPorts", func() { SetPorts(tcp, &m, 1, 2); SetPorts(udp6, &m6, 1, 2) }},
		{"SetICMPID", func() { SetICMPID(echo, &me, 9) }},
		{"DecTTL", func() { DecTTL(tcp, &m, 1) }},
		{"SetTOS", func() { SetTOS(tcp, &m, 3); SetTOS(udp6, &m6, 3) }},
		{"ClampMSS", func() { mss--; ClampMSS(syn, &ms, mss) }},
		{"SetNDLinkAddr", func() { SetNDLinkAddr(ns, &mn, macH1) }},
		{"quotes", func() {
			q, _ := ParseQuoted(icmp, &mi)
			RewriteQuotedSrc(icmp, &mi, &q, ipCN1, 7)
			RewriteQuotedDst(icmp, &mi, &q, ipX, 8)
			sink += q.Key4(1).B
		}},
		{"encapsulation", func() { PutVXLAN(vx, &o4); PutNVGRE(gre, &o4); PutVXLAN(vx6, &o6) }},
		{"decapsulation", func() { Parse(vx, &mn); t, _ := ParseVXLAN(vx, &mn); sink += uint64(t.VNI); ParseNVGRE(gre, &mn) }},
		{"FixChecksums", func() { FixChecksums(tcp, &m) }},
		{"VerifyChecksums of a right frame", func() {
			if VerifyChecksums(tcp) != nil {
				sink++
			}
		}},
	}
	for _, tt := range tests {
		if n := testing.AllocsPerRun(100, tt.run); n != 0 {
			t.Errorf("%s allocates %v times", tt.name, n)
		}
	}
	_ = sink
}
