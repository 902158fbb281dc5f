package wire

import (
	"bytes"
	"net/netip"
	"testing"
)

// setters is every setter with its getter. The bytes in mask are the field's.
var setters = []struct {
	name string
	len  int
	mask []int // bytes that may change
	set  func([]byte)
	ok   func([]byte) bool
}{
	{"eth dst", 14, span(0, 6), func(b []byte) { Ethernet(b).SetDst(macH1) }, func(b []byte) bool { return Ethernet(b).Dst() == macH1 }},
	{"eth src", 14, span(6, 6), func(b []byte) { Ethernet(b).SetSrc(macH1) }, func(b []byte) bool { return Ethernet(b).Src() == macH1 }},
	{"eth type", 14, span(12, 2), func(b []byte) { Ethernet(b).SetType(0x86dd) }, func(b []byte) bool { return Ethernet(b).Type() == 0x86dd }},
	{"eth TCI", 18, span(14, 2), func(b []byte) { Ethernet(b).SetTCI(0xa123) }, func(b []byte) bool { return Ethernet(b).TCI() == 0xa123 }},
	{"arp op", 28, span(6, 2), func(b []byte) { ARP(b).SetOp(2) }, func(b []byte) bool { return ARP(b).Op() == 2 }},
	{"arp sha", 28, span(8, 6), func(b []byte) { ARP(b).SetSenderMAC(macH1) }, func(b []byte) bool { return ARP(b).SenderMAC() == macH1 }},
	{"arp spa", 28, span(14, 4), func(b []byte) { ARP(b).SetSenderIP(0xa1b2c3d4) }, func(b []byte) bool { return ARP(b).SenderIP() == 0xa1b2c3d4 }},
	{"arp tha", 28, span(18, 6), func(b []byte) { ARP(b).SetTargetMAC(macH1) }, func(b []byte) bool { return ARP(b).TargetMAC() == macH1 }},
	{"arp tpa", 28, span(24, 4), func(b []byte) { ARP(b).SetTargetIP(0xa1b2c3d4) }, func(b []byte) bool { return ARP(b).TargetIP() == 0xa1b2c3d4 }},
	{"ip hlen", 20, span(0, 1), func(b []byte) { IPv4(b).SetHeaderLen(24) }, func(b []byte) bool { return IPv4(b).HeaderLen() == 24 && b[0]>>4 == 4 }},
	{"ip tos", 20, span(1, 1), func(b []byte) { IPv4(b).SetTOS(0xb8) }, func(b []byte) bool { return IPv4(b).TOS() == 0xb8 }},
	{"ip len", 20, span(2, 2), func(b []byte) { IPv4(b).SetTotalLen(1480) }, func(b []byte) bool { return IPv4(b).TotalLen() == 1480 }},
	{"ip id", 20, span(4, 2), func(b []byte) { IPv4(b).SetID(0x1234) }, func(b []byte) bool { return IPv4(b).ID() == 0x1234 }},
	{"ip frag", 20, span(6, 2), func(b []byte) { IPv4(b).SetFrag(true, false, 1480) }, func(b []byte) bool {
		return IPv4(b).DF() && !IPv4(b).MF() && IPv4(b).FragOffset() == 1480 && IPv4(b).IsFragment()
	}},
	{"ip more", 20, span(6, 2), func(b []byte) { IPv4(b).SetFrag(false, true, 0) }, func(b []byte) bool {
		return !IPv4(b).DF() && IPv4(b).MF() && IPv4(b).FragOffset() == 0 && IPv4(b).IsFragment()
	}},
	{"ip ttl", 20, span(8, 1), func(b []byte) { IPv4(b).SetTTL(127) }, func(b []byte) bool { return IPv4(b).TTL() == 127 }},
	{"ip proto", 20, span(9, 1), func(b []byte) { IPv4(b).SetProto(6) }, func(b []byte) bool { return IPv4(b).Proto() == 6 }},
	{"ip checksum", 20, span(10, 2), func(b []byte) { IPv4(b).SetChecksum(0x1234) }, func(b []byte) bool { return IPv4(b).Checksum() == 0x1234 }},
	{"ip src", 20, span(12, 4), func(b []byte) { IPv4(b).SetSrc(0xa1b2c3d4) }, func(b []byte) bool { return IPv4(b).Src() == 0xa1b2c3d4 }},
	{"ip dst", 20, span(16, 4), func(b []byte) { IPv4(b).SetDst(0xa1b2c3d4) }, func(b []byte) bool { return IPv4(b).Dst() == 0xa1b2c3d4 }},
	{"ip6 class and label", 40, span(0, 4), func(b []byte) { IPv6(b).SetClassLabel(0xb8, 0x12345) }, func(b []byte) bool {
		return IPv6(b).TrafficClass() == 0xb8 && IPv6(b).FlowLabel() == 0x12345 && b[0]>>4 == 6
	}},
	{"ip6 len", 40, span(4, 2), func(b []byte) { IPv6(b).SetPayloadLen(1440) }, func(b []byte) bool { return IPv6(b).PayloadLen() == 1440 }},
	{"ip6 next", 40, span(6, 1), func(b []byte) { IPv6(b).SetNextHeader(58) }, func(b []byte) bool { return IPv6(b).NextHeader() == 58 }},
	{"ip6 hop limit", 40, span(7, 1), func(b []byte) { IPv6(b).SetHopLimit(63) }, func(b []byte) bool { return IPv6(b).HopLimit() == 63 }},
	{"ip6 src", 40, span(8, 16), func(b []byte) { IPv6(b).SetSrc(testAddr6) }, func(b []byte) bool { return IPv6(b).Src() == testAddr6 }},
	{"ip6 dst", 40, span(24, 16), func(b []byte) { IPv6(b).SetDst(testAddr6) }, func(b []byte) bool { return IPv6(b).Dst() == testAddr6 }},
	{"fragment header", 8, span(0, 8), func(b []byte) { IPv6Fragment(b).Set(17, 1448, true, 0xdeadbeef) }, func(b []byte) bool {
		f := IPv6Fragment(b)
		return f.NextHeader() == 17 && f.Offset() == 1448 && f.More() && f.ID() == 0xdeadbeef && b[1] == 0
	}},
	{"udp sport", 8, span(0, 2), func(b []byte) { UDP(b).SetSrcPort(40000) }, func(b []byte) bool { return UDP(b).SrcPort() == 40000 }},
	{"udp dport", 8, span(2, 2), func(b []byte) { UDP(b).SetDstPort(53) }, func(b []byte) bool { return UDP(b).DstPort() == 53 }},
	{"udp len", 8, span(4, 2), func(b []byte) { UDP(b).SetLength(13) }, func(b []byte) bool { return UDP(b).Length() == 13 }},
	{"udp checksum", 8, span(6, 2), func(b []byte) { UDP(b).SetChecksum(7) }, func(b []byte) bool { return UDP(b).Checksum() == 7 }},
	{"tcp sport", 20, span(0, 2), func(b []byte) { TCP(b).SetSrcPort(40000) }, func(b []byte) bool { return TCP(b).SrcPort() == 40000 }},
	{"tcp dport", 20, span(2, 2), func(b []byte) { TCP(b).SetDstPort(53) }, func(b []byte) bool { return TCP(b).DstPort() == 53 }},
	{"tcp seq", 20, span(4, 4), func(b []byte) { TCP(b).SetSeq(0xa1b2c3d4) }, func(b []byte) bool { return TCP(b).Seq() == 0xa1b2c3d4 }},
	{"tcp ack", 20, span(8, 4), func(b []byte) { TCP(b).SetAck(0xa1b2c3d4) }, func(b []byte) bool { return TCP(b).Ack() == 0xa1b2c3d4 }},
	{"tcp hlen", 20, span(12, 1), func(b []byte) { TCP(b).SetHeaderLen(32) }, func(b []byte) bool { return TCP(b).HeaderLen() == 32 }},
	{"tcp flags", 20, span(13, 1), func(b []byte) { TCP(b).SetFlags(TCPSyn | TCPAck) }, func(b []byte) bool { return TCP(b).Flags() == 0x12 }},
	{"tcp window", 20, span(14, 2), func(b []byte) { TCP(b).SetWindow(64240) }, func(b []byte) bool { return TCP(b).Window() == 64240 }},
	{"tcp checksum", 20, span(16, 2), func(b []byte) { TCP(b).SetChecksum(7) }, func(b []byte) bool { return TCP(b).Checksum() == 7 }},
	{"tcp urgent", 20, span(18, 2), func(b []byte) { TCP(b).SetUrgent(7) }, func(b []byte) bool { return TCP(b).Urgent() == 7 }},
	{"icmp type", 8, span(0, 1), func(b []byte) { ICMPv4(b).SetType(3) }, func(b []byte) bool { return ICMPv4(b).Type() == 3 && ICMPv6(b).Type() == 3 }},
	{"icmp code", 8, span(1, 1), func(b []byte) { ICMPv4(b).SetCode(4) }, func(b []byte) bool { return ICMPv4(b).Code() == 4 && ICMPv6(b).Code() == 4 }},
	{"icmp checksum", 8, span(2, 2), func(b []byte) { ICMPv4(b).SetChecksum(4) }, func(b []byte) bool { return ICMPv4(b).Checksum() == 4 && ICMPv6(b).Checksum() == 4 }},
	{"icmp id", 8, span(4, 2), func(b []byte) { ICMPv4(b).SetID(4) }, func(b []byte) bool { return ICMPv4(b).ID() == 4 && ICMPv6(b).ID() == 4 }},
	{"icmp mtu", 8, span(6, 2), func(b []byte) { ICMPv4(b).SetMTU(1400) }, func(b []byte) bool { return ICMPv4(b).MTU() == 1400 && ICMPv4(b).Seq() == 1400 }},
	{"icmp6 type", 8, span(0, 1), func(b []byte) { ICMPv6(b).SetType(3) }, func(b []byte) bool { return ICMPv6(b).Type() == 3 }},
	{"icmp6 code", 8, span(1, 1), func(b []byte) { ICMPv6(b).SetCode(3) }, func(b []byte) bool { return ICMPv6(b).Code() == 3 }},
	{"icmp6 checksum", 8, span(2, 2), func(b []byte) { ICMPv6(b).SetChecksum(3) }, func(b []byte) bool { return ICMPv6(b).Checksum() == 3 }},
	{"icmp6 id", 8, span(4, 2), func(b []byte) { ICMPv6(b).SetID(3) }, func(b []byte) bool { return ICMPv6(b).ID() == 3 }},
	{"icmp6 seq", 8, span(6, 2), func(b []byte) { ICMPv6(b).SetSeq(3) }, func(b []byte) bool { return ICMPv6(b).Seq() == 3 }},
	{"icmp6 mtu", 8, span(4, 4), func(b []byte) { ICMPv6(b).SetMTU(0x12345) }, func(b []byte) bool { return ICMPv6(b).MTU() == 0x12345 }},
	{"nd flags", 24, span(4, 1), func(b []byte) { ND(b).SetFlags(NDOverride) }, func(b []byte) bool { return ND(b).Flags() == NDOverride }},
	{"nd target", 24, span(8, 16), func(b []byte) { ND(b).SetTarget(testAddr6) }, func(b []byte) bool { return ND(b).Target() == testAddr6 }},
	{"nd dest", 40, span(24, 16), func(b []byte) { ND(b).SetDest(testAddr6) }, func(b []byte) bool { return ND(b).Dest() == testAddr6 }},
	{"vxlan vni", 8, span(4, 4), func(b []byte) { VXLAN(b).SetVNI(4096) }, func(b []byte) bool { return VXLAN(b).VNI() == 4096 && b[7] == 0 }},
	{"vxlan flags", 8, span(0, 1), func(b []byte) { VXLAN(b).SetFlags(8) }, func(b []byte) bool { return VXLAN(b).Flags() == 8 }},
	{"gre flags", 8, span(0, 2), func(b []byte) { GRE(b).SetFlags(GREKeyPresent) }, func(b []byte) bool { return GRE(b).Flags() == 0x2000 }},
	{"gre proto", 8, span(2, 2), func(b []byte) { GRE(b).SetProto(EtherTypeTEB) }, func(b []byte) bool { return GRE(b).Proto() == 0x6558 }},
}

var testAddr6 = Addr16(ip("2001:db8::1234"))

// Every setter is called on zeros and on ones. It has to make its getter return
// what was set, and to touch no bytes but those of its field.
func TestSettersTouchTheirFieldOnly(t *testing.T) {
	for _, tt := range setters {
		for _, fill := range []byte{0, 0xff} {
			b := bytes.Repeat([]byte{fill}, tt.len)
			tt.set(b)
			if !tt.ok(b) {
				t.Errorf("%s on %#x: reads back wrong: %x", tt.name, fill, b)
			}
			for i, v := range b {
				if v != fill && !contains(tt.mask, i) {
					t.Errorf("%s on %#x: byte %d changed", tt.name, fill, i)
				}
			}
		}
	}
}

func span(from, n int) []int {
	var out []int
	for i := range n {
		out = append(out, from+i)
	}
	return out
}

func contains(s []int, v int) bool {
	for _, x := range s {
		if x == v {
			return true
		}
	}
	return false
}

func TestTagsArePushedAndPopped(t *testing.T) {
	plain := v1(macGW, macCN1, ipCN1, 49700, 128).Bytes()
	f := v1(macGW, macCN1, ipCN1, 49700, 128)
	f.VLAN = &VLANFields{ID: 100, Priority: 5, DropEligible: true}
	tagged := f.Bytes()

	b := append(make([]byte, VLANTagLen), plain...)
	PutTag(b, MakeTCI(5, true, 100))
	checkFrame(t, "pushed", b, tagged)
	e := Ethernet(b)
	if !e.Tagged() || e.HeaderLen() != 18 || e.Type() != EtherTypeIPv4 || e.OuterType() != EtherTypeVLAN {
		t.Errorf("tagged %v, header %d, type %#x in %#x", e.Tagged(), e.HeaderLen(), e.Type(), e.OuterType())
	}
	if c := e.TCI(); c.ID() != 100 || c.Priority() != 5 || !c.DropEligible() {
		t.Errorf("TCI %d %d %v", c.ID(), c.Priority(), c.DropEligible())
	}
	e.SetType(EtherTypeIPv6)
	if e.Type() != EtherTypeIPv6 || !e.Tagged() {
		t.Error("SetType of a tagged frame hit the tag")
	}
	e.SetType(EtherTypeIPv4)
	StripTag(b)
	checkFrame(t, "popped", b[VLANTagLen:], plain)
}

func TestTCPMSSOption(t *testing.T) {
	tests := []struct {
		name    string
		options []byte
		mss     uint16
		ok      bool
	}{
		{"alone", []byte{2, 4, 5, 0xb4}, 1460, true},
		{"at an odd place", []byte{1, 2, 4, 5, 0xb4, 1, 1, 0}, 1460, true},
		{"behind others", []byte{4, 2, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0, 2, 4, 5, 0xb4}, 1460, true},
		{"none", []byte{1, 1, 1, 1}, 0, false},
		{"no options", nil, 0, false},
		{"behind the end", []byte{0, 2, 4, 5, 0xb4, 0, 0, 0}, 0, false},
		{"of a wrong length", []byte{2, 3, 5, 0}, 0, false},
		{"cut off", []byte{1, 1, 1, 2}, 0, false},
		{"overlong", []byte{1, 2, 40, 5}, 0, false},
		{"behind a zero length", []byte{8, 0, 2, 4, 5, 0xb4, 0, 0}, 0, false},
	}
	for _, tt := range tests {
		f := &Frame{IP: &IPFields{Src: ipCN1, Dst: ipX}, TCP: &TCPFields{Flags: TCPSyn, Options: tt.options}}
		b := f.Bytes()
		var m Meta
		if err := Parse(b, &m); err != OK {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if mss, ok := TCP(b[m.L4:]).MSS(); mss != tt.mss || ok != tt.ok {
			t.Errorf("%s: %d, %v, want %d, %v", tt.name, mss, ok, tt.mss, tt.ok)
		}
		if clamped := ClampMSS(b, &m, 1410); clamped != tt.ok {
			t.Errorf("%s: clamped %v", tt.name, clamped)
		}
		if mss, _ := TCP(b[m.L4:]).MSS(); mss != min(tt.mss, 1410) {
			t.Errorf("%s: clamped to %d", tt.name, mss)
		}
		if err := VerifyChecksums(b); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if ClampMSS(b, &m, 1410) {
			t.Errorf("%s: clamped twice", tt.name)
		}
	}
	data := &Frame{IP: &IPFields{Src: ipCN1, Dst: ipX}, TCP: &TCPFields{Flags: TCPAck, MSS: 1460}}
	b := data.Bytes()
	var m Meta
	Parse(b, &m)
	if ClampMSS(b, &m, 1410) {
		t.Error("clamped a segment that is no SYN")
	}
}

func TestAddressesConvert(t *testing.T) {
	if got := Addr4(ip("10.1.2.3")); got != 0x0a010203 {
		t.Errorf("%#x", got)
	}
	if got := Addr4(ip("::ffff:10.1.2.3")); got != 0x0a010203 {
		t.Errorf("mapped: %#x", got)
	}
	if Addr4(ip("fd00::1")) != 0 || Addr4(netip.Addr{}) != 0 || Addr16(netip.Addr{}) != [16]byte{} {
		t.Error("addresses of the other version or none are not zero")
	}
	for _, a := range []netip.Addr{ip("0.0.0.0"), ip("255.254.253.252")} {
		if got := AddrFrom4(Addr4(a)); got != a {
			t.Errorf("%v became %v", a, got)
		}
	}
	for _, a := range []netip.Addr{ip("::"), ip("2001:db8::1"), ip("::ffff:10.1.2.3")} {
		if got := AddrFrom16(Addr16(a)); got != a {
			t.Errorf("%v became %v", a, got)
		}
	}
	if got := Addr16(ip("fe80::1%eth0")); AddrFrom16(got) != ip("fe80::1") {
		t.Errorf("zone: %x", got)
	}
}

func TestMulticastAddresses(t *testing.T) {
	if got := AddrFrom16(SolicitedNode(Addr16(ip("2001:db8::1:800:200e:8c6c")))); got != ip("ff02::1:ff0e:8c6c") {
		t.Errorf("solicited node %v", got)
	}
	if got := MulticastMAC6(Addr16(ip("ff02::1:ff0e:8c6c"))); got != MustMAC("33-33-FF-0E-8C-6C") {
		t.Errorf("IPv6 group %v", got)
	}
	if got := MulticastMAC4(Addr4(ip("239.255.0.1"))); got != MustMAC("01-00-5E-7F-00-01") {
		t.Errorf("IPv4 group %v", got)
	}
}

func TestTCPFlagsAreReadAsLetters(t *testing.T) {
	for letters, want := range map[string]uint8{
		"": 0, "S": TCPSyn, "SA": TCPSyn | TCPAck, "FSRPAUEC": 0xff, "AA": TCPAck, "C": TCPCwr,
	} {
		if got, ok := ParseTCPFlags(letters); !ok || got != want {
			t.Errorf("%q: got %#x, %v, want %#x", letters, got, ok, want)
		}
	}
	for _, bad := range []string{"s", "SX", "S A", "é"} {
		if _, ok := ParseTCPFlags(bad); ok {
			t.Errorf("%q is accepted", bad)
		}
	}
}
