package wire

import (
	"encoding/binary"
	"testing"
	"unsafe"
)

func TestParseDescribesEveryKindOfFrame(t *testing.T) {
	h4 := func() *IPFields { return &IPFields{Src: ipCN1, Dst: ipX} }
	h6 := func() *IPFields { return &IPFields{Src: ip("fd00::1"), Dst: ip("fd00::2")} }
	later6 := h6()
	later6.FragOffset, later6.Proto = 8, ProtoDestOpts
	tests := []struct {
		name  string
		frame Frame
		want  Meta
	}{
		{"neither IP nor ARP", Frame{EtherType: 0x88cc, Payload: []byte{1, 2}}, Meta{L2Len: 14, L3: 14, L4: 14, Payload: 14, End: 16, EtherType: 0x88cc}},
		{"an 802.3 length", Frame{EtherType: 100, Payload: []byte{1, 2}}, Meta{L2Len: 14, L3: 14, L4: 14, Payload: 14, End: 16, EtherType: 100}},
		{"ARP", *v5(macCB1), Meta{L2Len: 14, L3: 14, L4: 14, Payload: 14, End: 42, EtherType: EtherTypeARP, IsARP: true}},
		{"tagged, padded TCP", Frame{VLAN: &VLANFields{ID: 7, Priority: 1}, IP: h4(), TCP: &TCPFields{SrcPort: 1, DstPort: 2, Flags: TCPSyn, MSS: 9}, PadTo: 80},
			Meta{L2Len: 18, L3: 18, L4: 38, Payload: 62, End: 62, EtherType: EtherTypeIPv4, HasVLAN: true, TCI: 0x2007, IsIPv4: true, HasL4: true, Proto: ProtoTCP, SrcPort: 1, DstPort: 2, TCPFlags: TCPSyn}},
		{"UDP behind options", Frame{IP: &IPFields{Src: ipCN1, Dst: ipX, Options: []byte{1, 1, 1}}, UDP: &UDPFields{SrcPort: 1, DstPort: 2}, Payload: []byte{0}},
			Meta{L2Len: 14, L3: 14, L4: 38, Payload: 46, End: 47, EtherType: EtherTypeIPv4, IsIPv4: true, HasL4: true, Proto: ProtoUDP, SrcPort: 1, DstPort: 2}},
		{"echo", Frame{IP: h4(), ICMP: &ICMPFields{Type: ICMPEcho, ID: 5, Seq: 6}},
			Meta{L2Len: 14, L3: 14, L4: 34, Payload: 42, End: 42, EtherType: EtherTypeIPv4, IsIPv4: true, HasL4: true, Proto: ProtoICMP, ICMPType: ICMPEcho, SrcPort: 5, DstPort: 5}},
		{"an ICMP error has no identifier", Frame{IP: h4(), ICMP: &ICMPFields{Type: ICMPUnreachable, Code: 4, ID: 5}},
			Meta{L2Len: 14, L3: 14, L4: 34, Payload: 42, End: 42, EtherType: EtherTypeIPv4, IsIPv4: true, HasL4: true, Proto: ProtoICMP, ICMPType: ICMPUnreachable, ICMPCode: 4}},
		{"an unknown protocol", Frame{IP: &IPFields{Src: ipCN1, Dst: ipX, Proto: 132}, Payload: []byte{1, 2, 3, 4}},
			Meta{L2Len: 14, L3: 14, L4: 34, Payload: 34, End: 38, EtherType: EtherTypeIPv4, IsIPv4: true, Proto: 132}},
		{"ICMPv6 over IPv4 is an unknown protocol", Frame{IP: &IPFields{Src: ipCN1, Dst: ipX, Proto: ProtoICMPv6}, Payload: make([]byte, 8)},
			Meta{L2Len: 14, L3: 14, L4: 34, Payload: 34, End: 42, EtherType: EtherTypeIPv4, IsIPv4: true, Proto: ProtoICMPv6}},
		{"a first fragment", Frame{IP: &IPFields{Src: ipCN1, Dst: ipX, MF: true}, UDP: &UDPFields{SrcPort: 1, DstPort: 2}},
			Meta{L2Len: 14, L3: 14, L4: 34, Payload: 42, End: 42, EtherType: EtherTypeIPv4, IsIPv4: true, HasL4: true, Proto: ProtoUDP, SrcPort: 1, DstPort: 2, Fragment: true, FirstFragment: true}},
		{"a later fragment", Frame{IP: &IPFields{Src: ipCN1, Dst: ipX, FragOffset: 8, Proto: ProtoUDP}, Payload: make([]byte, 20)},
			Meta{L2Len: 14, L3: 14, L4: 34, Payload: 34, End: 54, EtherType: EtherTypeIPv4, IsIPv4: true, Proto: ProtoUDP, Fragment: true}},
		{"UDP over IPv6", Frame{IP: h6(), UDP: &UDPFields{SrcPort: 1, DstPort: 2}, PadTo: 80},
			Meta{L2Len: 14, L3: 14, L4: 54, Payload: 62, End: 62, EtherType: EtherTypeIPv6, IsIPv6: true, HasL4: true, Proto: ProtoUDP, SrcPort: 1, DstPort: 2}},
		{"echo behind extension headers", Frame{IP: &IPFields{Src: ip("fd00::1"), Dst: ip("fd00::2"), Ext: []ExtFields{{Proto: ProtoHopByHop}, {Proto: ProtoRouting, Data: make([]byte, 14)}, {Proto: ProtoDestOpts}}}, ICMP: &ICMPFields{Type: ICMP6EchoReply, ID: 5}},
			Meta{L2Len: 14, L3: 14, L4: 86, Payload: 94, End: 94, EtherType: EtherTypeIPv6, IsIPv6: true, HasL4: true, Proto: ProtoICMPv6, ICMPType: ICMP6EchoReply, SrcPort: 5, DstPort: 5}},
		{"an atomic fragment is whole", Frame{IP: &IPFields{Src: ip("fd00::1"), Dst: ip("fd00::2"), ForceFragHeader: true}, UDP: &UDPFields{SrcPort: 1, DstPort: 2}},
			Meta{L2Len: 14, L3: 14, L4: 62, Payload: 70, End: 70, EtherType: EtherTypeIPv6, IsIPv6: true, HasL4: true, Proto: ProtoUDP, SrcPort: 1, DstPort: 2, FragHeader: 54}},
		{"a first IPv6 fragment", Frame{IP: &IPFields{Src: ip("fd00::1"), Dst: ip("fd00::2"), MF: true}, UDP: &UDPFields{SrcPort: 1, DstPort: 2}},
			Meta{L2Len: 14, L3: 14, L4: 62, Payload: 70, End: 70, EtherType: EtherTypeIPv6, IsIPv6: true, HasL4: true, Proto: ProtoUDP, SrcPort: 1, DstPort: 2, FragHeader: 54, Fragment: true, FirstFragment: true}},
		{"a later IPv6 fragment ends the walk", Frame{IP: later6, Payload: make([]byte, 16)},
			Meta{L2Len: 14, L3: 14, L4: 62, Payload: 62, End: 78, EtherType: EtherTypeIPv6, IsIPv6: true, Proto: ProtoDestOpts, FragHeader: 54, Fragment: true}},
		{"UDP behind an authentication header", Frame{IP: &IPFields{Src: ip("fd00::1"), Dst: ip("fd00::2"), Proto: ProtoAH}, Payload: append([]byte{17, 4}, make([]byte, 22+8)...)},
			Meta{L2Len: 14, L3: 14, L4: 78, Payload: 86, End: 86, EtherType: EtherTypeIPv6, IsIPv6: true, HasL4: true, Proto: ProtoUDP}},
		{"no next header", Frame{IP: h6(), Payload: []byte{1}},
			Meta{L2Len: 14, L3: 14, L4: 54, Payload: 54, End: 55, EtherType: EtherTypeIPv6, IsIPv6: true, Proto: ProtoNone}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := Meta{L2Len: 99, HasVLAN: true, Fragment: true} // as left by an earlier frame
			if err := Parse(tt.frame.Bytes(), &m); err != OK {
				t.Errorf("%v", err)
			}
			if m != tt.want {
				t.Errorf("\n got %+v\nwant %+v", m, tt.want)
			}
		})
	}
}

func TestParseNamesWhatIsWrong(t *testing.T) {
	tcp := func() []byte { return v1(macGW, macCN1, ipCN1, 49700, 128).Bytes() }
	udp6 := func() []byte {
		return (&Frame{IP: &IPFields{Src: ip("fd00::1"), Dst: ip("fd00::2"), Ext: []ExtFields{{Proto: ProtoHopByHop}}}, UDP: &UDPFields{}, Payload: []byte("hello")}).Bytes()
	}
	edit := func(b []byte, at int, v byte) []byte { b[at] = v; return b }
	chain := &IPFields{Src: ip("fd00::1"), Dst: ip("fd00::2")}
	for range maxExtHeaders + 1 {
		chain.Ext = append(chain.Ext, ExtFields{Proto: ProtoDestOpts})
	}
	tests := []struct {
		name  string
		frame []byte
		want  ParseError
		ip    bool
	}{
		{"nothing", nil, Truncated, false},
		{"half an Ethernet header", tcp()[:13], Truncated, false},
		{"half a tag", edit(edit(tcp(), 12, 0x81), 13, 0)[:16], Truncated, false},
		{"half an ARP message", v5(macCB1).Bytes()[:41], Truncated, false},
		{"ARP for something else", edit(v5(macCB1).Bytes(), 18, 8), BadHeaderLen, false},
		{"half an IPv4 header", tcp()[:33], Truncated, false},
		{"half a datagram", tcp()[:53], Truncated, false},
		{"version 6 in EtherType 0800", edit(tcp(), 14, 0x65), BadVersion, false},
		{"header length 16", edit(tcp(), 14, 0x44), BadHeaderLen, false},
		{"total length below header length", edit(tcp(), 17, 19), BadLength, false},
		{"header length beyond the datagram", edit(tcp(), 14, 0x4f), BadLength, false},
		{"half an IPv6 header", udp6()[:53], Truncated, false},
		{"version 4 in EtherType 86dd", edit(udp6(), 14, 0x45), BadVersion, false},
		{"half an IPv6 payload", udp6()[:70], Truncated, false},
		{"extension header beyond the payload", edit(udp6(), 55, 9), Truncated, false},
		{"payload too short for an extension header", edit(udp6(), 19, 7), Truncated, false},
		{"too many extension headers", (&Frame{IP: chain, UDP: &UDPFields{}}).Bytes(), TooManyHeaders, false},
		{"half a TCP header", edit(tcp(), 17, 39), TruncatedL4, true},
		{"TCP data offset 16", edit(tcp(), 46, 0x40), BadL4HeaderLen, true},
		{"TCP options beyond the datagram", edit(tcp(), 46, 0x60), TruncatedL4, true},
		{"half a UDP header", edit(udp6(), 19, 15), TruncatedL4, true},
		{"half an ICMP header", edit((&Frame{IP: &IPFields{Src: ipCN1, Dst: ipX}, ICMP: &ICMPFields{}}).Bytes(), 17, 27), TruncatedL4, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var m Meta
			if got := Parse(tt.frame, &m); got != tt.want {
				t.Errorf("%v, want %v", got, tt.want)
			}
			if m.IsIP() != tt.ip || m.HasL4 || m.IsARP {
				t.Errorf("IP %v, HasL4 %v, ARP %v", m.IsIP(), m.HasL4, m.IsARP)
			}
			if m.IsIP() && (m.Src(tt.frame) == m.Dst(tt.frame) || m.L4 == 0 || m.Proto == 0) {
				t.Errorf("the IP header is not described: %+v", m)
			}
			if err := VerifyChecksums(tt.frame); err == nil {
				t.Error("VerifyChecksums found nothing wrong")
			}
		})
	}
}

func TestParseErrorsHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for e := range ParseError(len(parseErrors)) {
		s := e.String()
		if s == "" || seen[s] {
			t.Errorf("%d is %q", e, s)
		}
		seen[s] = true
	}
	if s := ParseError(200).String(); seen[s] {
		t.Errorf("200 is %q", s)
	}
}

func TestMetaFitsACacheLine(t *testing.T) {
	if n := unsafe.Sizeof(Meta{}); n > 64 {
		t.Errorf("%d bytes", n)
	}
}

func TestKeysHoldTheFlowAndReverse(t *testing.T) {
	b := v1(macGW, macCN1, ipCN1, 49700, 128).Bytes()
	var m Meta
	Parse(b, &m)
	k := m.Key4(b, 0xff001000)
	want := Key4{A: 0xac10000a<<32 | 0xcb007150, B: 49700<<48 | 443<<32 | 6<<24 | 0x001000}
	if k != want {
		t.Errorf("%x, want %x", k, want)
	}
	if k != MakeKey4(Addr4(ipCN1), Addr4(ipX), 49700, 443, 6, 0x1000) {
		t.Error("MakeKey4 makes another")
	}
	if s := k.String(); s != "6 172.16.0.10:49700>203.0.113.80:443 zone 4096" {
		t.Error(s)
	}
	if k.Src() != Addr4(ipCN1) || k.Dst() != Addr4(ipX) || k.SrcPort() != 49700 || k.DstPort() != 443 || k.Proto() != 6 || k.Zone() != 4096 {
		t.Errorf("parts of %v", k)
	}
	r := MakeKey4(Addr4(ipX), Addr4(ipCN1), 443, 49700, 6, 0x1000)
	if k.Reverse() != r || k.Reverse().Reverse() != k {
		t.Errorf("reverse %v", k.Reverse())
	}

	b = (&Frame{IP: &IPFields{Src: ip("fd00::1"), Dst: ip("fd00::2")}, UDP: &UDPFields{SrcPort: 40000, DstPort: 53}}).Bytes()
	Parse(b, &m)
	k6 := m.Key6(b, 7)
	if k6 != MakeKey6(Addr16(ip("fd00::1")), Addr16(ip("fd00::2")), 40000, 53, 17, 7) {
		t.Errorf("%v", k6)
	}
	if s := k6.String(); s != "17 [fd00::1]:40000>[fd00::2]:53 zone 7" {
		t.Error(s)
	}
	if k6.SrcPort() != 40000 || k6.DstPort() != 53 || k6.Proto() != 17 || k6.Zone() != 7 {
		t.Errorf("parts of %v", k6)
	}
	if k6.Reverse() != MakeKey6(Addr16(ip("fd00::2")), Addr16(ip("fd00::1")), 53, 40000, 17, 7) {
		t.Errorf("reverse %v", k6.Reverse())
	}
	if got := m.Key4(b, 7); got.A != 0 {
		t.Errorf("an IPv6 packet has IPv4 addresses %x", got.A)
	}
}

func TestEchoReplyHasTheReverseKeyOfItsRequest(t *testing.T) {
	for _, v := range []struct {
		a, b       string
		req, reply uint8
	}{{"10.0.0.1", "10.0.0.2", ICMPEcho, ICMPEchoReply}, {"fd00::1", "fd00::2", ICMP6Echo, ICMP6EchoReply}} {
		var m1, m2 Meta
		req := (&Frame{IP: &IPFields{Src: ip(v.a), Dst: ip(v.b)}, ICMP: &ICMPFields{Type: v.req, ID: 99, Seq: 1}}).Bytes()
		reply := (&Frame{IP: &IPFields{Src: ip(v.b), Dst: ip(v.a)}, ICMP: &ICMPFields{Type: v.reply, ID: 99, Seq: 1}}).Bytes()
		Parse(req, &m1)
		Parse(reply, &m2)
		if m1.Key4(req, 1).Reverse() != m2.Key4(reply, 1) || m1.Key6(req, 1).Reverse() != m2.Key6(reply, 1) {
			t.Errorf("%s: request and reply are not each other's reverse", v.a)
		}
	}
}

// Neighbouring flows must spread over the low bits, which tables and the
// entropy port use.
func TestHashSpreadsNeighbouringFlows(t *testing.T) {
	const buckets, perBucket = 256, 64
	var n4, n6 [buckets]int
	var a6 [16]byte
	for i := range uint32(buckets * perBucket) {
		k4 := MakeKey4(0x0af4010a+i>>12, 0x0af40214, uint16(40000+i&0xfff), 53, 17, 4096)
		n4[k4.Hash()%buckets]++
		binary.BigEndian.PutUint32(a6[12:], i>>12)
		k6 := MakeKey6(a6, Addr16(ip("fd00::2")), uint16(40000+i&0xfff), 53, 17, 4096)
		n6[k6.Hash()%buckets]++
	}
	for i := range buckets {
		if n4[i] < perBucket/4 || n4[i] > perBucket*4 || n6[i] < perBucket/4 || n6[i] > perBucket*4 {
			t.Errorf("bucket %d has %d and %d flows, want about %d", i, n4[i], n6[i], perBucket)
		}
	}
}

func TestEntropyPortsAreStableAndSpread(t *testing.T) {
	ports := map[uint16]bool{}
	for i := range 1000 {
		f := v2Inner(macDR1, macCO11)
		f.UDP.SrcPort = uint16(40000 + i)
		p := EntropyPort(FlowHash(f.Bytes()))
		f.Payload = []byte("another packet of the flow")
		if EntropyPort(FlowHash(f.Bytes())) != p {
			t.Errorf("flow %d has two ports", i)
		}
		if p < 49152 {
			t.Errorf("port %d is not in the dynamic range", p)
		}
		ports[p] = true
	}
	if len(ports) < 500 { // scenario S-OV-06
		t.Errorf("1000 flows have %d ports", len(ports))
	}
	for h, want := range map[uint64]uint16{0: 49152, 16383: 65535, 16384: 49152} {
		if got := EntropyPort(h); got != want {
			t.Errorf("EntropyPort(%d) = %d, want %d", h, got, want)
		}
	}
}

func TestFragmentsOfADatagramShareTheirFlowHash(t *testing.T) {
	pieces := FragmentIPv4(bigUDP("10.0.0.1", 500).Bytes(), []int{96, 96})
	for i, p := range pieces {
		if FlowHash(p) != FlowHash(pieces[0]) {
			t.Errorf("fragment %d goes another way", i)
		}
	}
	if FlowHash(v5(macCB1).Bytes()) == FlowHash(v5(macH1).Bytes()) || FlowHash(nil) != 0 {
		t.Error("frames that are not IP")
	}
}
