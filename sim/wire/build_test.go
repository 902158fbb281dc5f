package wire

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
)

func TestBuildRefusesContradictions(t *testing.T) {
	h4 := &IPFields{Src: ipCN1, Dst: ipX}
	h6 := &IPFields{Src: ip("fd00::1"), Dst: ip("fd00::2")}
	with := func(base *IPFields, change func(*IPFields)) *IPFields {
		h := *base
		change(&h)
		return &h
	}
	huge := make([]byte, 0x10000)
	tests := []struct {
		name  string
		frame Frame
		want  string
	}{
		{"ARP and IP", Frame{ARP: &ARPFields{}, IP: h4}, "both ARP and IP"},
		{"ARP for IPv6", Frame{ARP: &ARPFields{SenderIP: ip("fd00::1")}}, "ARP with IPv6"},
		{"UDP without IP", Frame{UDP: &UDPFields{}}, "without IP"},
		{"VXLAN without IP", Frame{VXLAN: &VXLANFields{}}, "without IP"},
		{"no addresses", Frame{IP: &IPFields{}}, "not of one version"},
		{"two versions", Frame{IP: &IPFields{Src: ipCN1, Dst: ip("fd00::1")}}, "not of one version"},
		{"two transports", Frame{IP: h4, UDP: &UDPFields{}, TCP: &TCPFields{}}, "more than one transport"},
		{"VXLAN in TCP", Frame{IP: h4, VXLAN: &VXLANFields{}, TCP: &TCPFields{}}, "more than one transport"},
		{"VXLAN and DHCP", Frame{IP: h4, VXLAN: &VXLANFields{}, DHCP: &DHCPFields{}}, "both VXLAN and DHCP"},
		{"inner without tunnel", Frame{IP: h4, UDP: &UDPFields{}, Inner: &Frame{}}, "inner frame without"},
		{"a wrong inner frame", Frame{IP: h4, VXLAN: &VXLANFields{}, Inner: &Frame{UDP: &UDPFields{}}}, "inner frame: a transport"},
		{"transport in a later fragment", Frame{IP: with(h4, func(h *IPFields) { h.FragOffset = 8 }), UDP: &UDPFields{}}, "later fragment"},
		{"odd fragment offset", Frame{IP: with(h4, func(h *IPFields) { h.FragOffset = 9 })}, "multiple of 8"},
		{"odd fragment offset, IPv6", Frame{IP: with(h6, func(h *IPFields) { h.FragOffset = -8 })}, "multiple of 8"},
		{"long IPv4 options", Frame{IP: with(h4, func(h *IPFields) { h.Options = make([]byte, 41) })}, "options"},
		{"IPv4 with a flow label", Frame{IP: with(h4, func(h *IPFields) { h.Label = 1 })}, "flow label"},
		{"IPv6 with DF", Frame{IP: with(h6, func(h *IPFields) { h.DF = true })}, "DF"},
		{"a fragment header by hand", Frame{IP: with(h6, func(h *IPFields) { h.Ext = []ExtFields{{Proto: ProtoFragment}} })}, "type 44"},
		{"a long extension header", Frame{IP: with(h6, func(h *IPFields) { h.Ext = []ExtFields{{Data: make([]byte, 2048)}} })}, "2048 bytes"},
		{"extension headers in a later fragment", Frame{IP: with(h6, func(h *IPFields) { h.FragOffset, h.Ext = 8, []ExtFields{{}} })}, "belong to its payload"},
		{"long TCP options", Frame{IP: h4, TCP: &TCPFields{Options: make([]byte, 41)}}, "TCP options"},
		{"long UDP payload", Frame{IP: h4, UDP: &UDPFields{}, Payload: huge}, "UDP datagram of 65544"},
		{"long IPv4 payload", Frame{IP: h4, Payload: huge}, "IPv4 datagram of 65556"},
		{"long IPv6 payload", Frame{IP: h6, Payload: huge}, "IPv6 payload of 65536"},
		{"long frame", Frame{Payload: append(huge, huge...)}, "longest datagram"},
		{"ND over IPv4", Frame{IP: h4, ND: &NDFields{Type: ICMP6NeighborSol}}, "over IPv4"},
		{"ND of another type", Frame{IP: h6, ND: &NDFields{Type: ICMP6Echo}}, "not neighbour discovery"},
	}
	for _, tt := range tests {
		b, err := tt.frame.Build()
		if err == nil || !strings.Contains(err.Error(), tt.want) || b != nil {
			t.Errorf("%s: %d bytes, %v, want an error with %q", tt.name, len(b), err, tt.want)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("Bytes did not panic")
		}
	}()
	tests[0].frame.Bytes()
}

func TestBuildDoesAsItIsToldInsteadOfComputing(t *testing.T) {
	c, n := uint16(0x1234), uint16(99)
	h4 := IPFields{Src: ipCN1, Dst: ipX}
	wrong := h4
	wrong.Checksum, wrong.Length, wrong.TTLZero = &c, &n, true
	b := (&Frame{IP: &wrong, UDP: &UDPFields{Checksum: &c, Length: &n}}).Bytes()
	h, u := IPv4(b[14:]), UDP(b[34:])
	if h.Checksum() != c || h.TotalLen() != 99 || h.TTL() != 0 || u.Checksum() != c || u.Length() != 99 {
		t.Errorf("%x", b)
	}
	for _, f := range []*Frame{
		{IP: &h4, TCP: &TCPFields{Checksum: &c}},
		{IP: &h4, ICMP: &ICMPFields{Checksum: &c}},
		{IP: &h4, UDP: &UDPFields{Checksum: &c}},
		{IP: &IPFields{Src: ipCN1, Dst: ipX, Checksum: &c}, UDP: &UDPFields{}},
		{IP: &IPFields{Src: ip("fd00::1"), Dst: ip("fd00::2")}, ND: &NDFields{Type: ICMP6RouterSol, Checksum: &c}},
		{IP: &IPFields{Src: ip("fd00::1"), Dst: ip("fd00::2")}, UDP: &UDPFields{NoChecksum: true}},
	} {
		b := f.Bytes()
		if err := VerifyChecksums(b); err == nil {
			t.Errorf("right: %s", Summary(b))
		}
		var m Meta
		Parse(b, &m)
		FixChecksums(b, &m)
		if err := VerifyChecksums(b); err != nil && (f.UDP == nil || !f.UDP.NoChecksum) {
			t.Errorf("FixChecksums left %v: %s", err, Summary(b))
		}
	}
	h6 := IPFields{Src: ip("fd00::1"), Dst: ip("fd00::2"), Length: &n}
	if b := (&Frame{IP: &h6}).Bytes(); IPv6(b[14:]).PayloadLen() != 99 {
		t.Error("IPv6 length")
	}
}

func TestBuildFillsInDefaults(t *testing.T) {
	b := (&Frame{IP: &IPFields{Src: ipH1, Dst: ipH2}, VXLAN: &VXLANFields{VNI: 7}, Inner: v2Inner(macDR2, macDR1)}).Bytes()
	var m Meta
	Parse(b, &m)
	inner := v2Inner(macDR2, macDR1).Bytes()
	if m.DstPort != 4789 || m.SrcPort != EntropyPort(FlowHash(inner)) || UDP(b[m.L4:]).Checksum() != 0 || m.TTL(b) != 128 {
		t.Errorf("VXLAN: %s", Summary(b))
	}
	b = (&Frame{IP: &IPFields{Src: ip("fd00::1"), Dst: ip("ff02::1")}, ND: &NDFields{Type: ICMP6RouterSol}}).Bytes()
	if IPv6(b[14:]).HopLimit() != 255 {
		t.Errorf("ND: hop limit %d", IPv6(b[14:]).HopLimit())
	}
	b = (&Frame{Payload: []byte{1}, PadTo: 60, EtherType: 0x88cc}).Bytes()
	if len(b) != 60 || b[14] != 1 || !bytes.Equal(b[15:], make([]byte, 45)) {
		t.Errorf("padding: %x", b)
	}
	in := Frame{IP: &IPFields{Src: ip("fd00::1"), Dst: ip("ff02::1")}, ND: &NDFields{Type: ICMP6RouterSol}}
	in.Bytes()
	if in.IP.TTL != 0 || in.IP.Proto != 0 {
		t.Error("Build changed its description")
	}
}

func TestEveryLayerOfVerifyIsNamed(t *testing.T) {
	inner := func() *Frame { return v2Inner(macDR2, macDR1) }
	tun := func(in *Frame) []byte {
		return (&Frame{IP: &IPFields{Src: ipH1, Dst: ipH2}, VXLAN: &VXLANFields{VNI: 7}, Inner: in}).Bytes()
	}
	gre := func(in *Frame) []byte {
		return (&Frame{IP: &IPFields{Src: ipH1, Dst: ipH2}, NVGRE: &NVGREFields{VSID: 7}, Inner: in}).Bytes()
	}
	flip := func(b []byte, at int) []byte { b[at] ^= 1; return b }
	v6 := func(f Frame) []byte {
		f.IP = &IPFields{Src: ip("fd00::1"), Dst: ip("fd00::2")}
		return f.Bytes()
	}
	n, shorter := uint16(7), uint16(10)
	tests := []struct {
		name  string
		frame []byte
		want  string
	}{
		{"UDP that ends before its datagram", (&Frame{IP: &IPFields{Src: ipH1, Dst: ipH2}, UDP: &UDPFields{Length: &shorter}, Payload: []byte("hello")}).Bytes(), ""},
		{"IPv4", flip(inner().Bytes(), 14+8), "ip: "},
		{"UDP data", flip(inner().Bytes(), 42), "udp: "},
		{"UDP length", (&Frame{IP: &IPFields{Src: ipH1, Dst: ipH2}, UDP: &UDPFields{Length: &n}}).Bytes(), "udp: length 7"},
		{"TCP", flip(v1(macGW, macCN1, ipCN1, 1, 1).Bytes(), 38), "tcp: "},
		{"ICMP", flip((&Frame{IP: &IPFields{Src: ipH1, Dst: ipH2}, ICMP: &ICMPFields{Type: 8}}).Bytes(), 38), "icmp: "},
		{"UDP over IPv6", flip(v6(Frame{UDP: &UDPFields{}}), 54), "udp: "},
		{"UDP address over IPv6", flip(v6(Frame{UDP: &UDPFields{}}), 30), "udp: "},
		{"no UDP checksum over IPv6", v6(Frame{UDP: &UDPFields{NoChecksum: true}}), "udp: wrong checksum: none"},
		{"ICMPv6", flip(v6(Frame{ICMP: &ICMPFields{Type: 128}}), 58), "icmp6: "},
		{"inner IPv4", flip(tun(inner()), 50+14+8), "inner.ip: "},
		{"inner UDP", flip(tun(inner()), 50+42), "inner.udp: "},
		{"inner of NVGRE", flip(gre(inner()), 42+42), "inner.udp: "},
		{"inner of inner", flip((&Frame{IP: &IPFields{Src: ipH1, Dst: ipH2}, VXLAN: &VXLANFields{VNI: 7}, Inner: &Frame{IP: &IPFields{Src: ipH1, Dst: ipH2}, VXLAN: &VXLANFields{VNI: 7}, Inner: inner()}}).Bytes(), 100+42), "inner.inner.udp: "},
		{"half an inner packet", tun(&Frame{EtherType: EtherTypeIPv4, Payload: []byte{0x45}}), "inner.ip: truncated"},
		{"half an Ethernet header", []byte{1, 2, 3}, "eth: truncated"},
		{"half an IPv6 header", (&Frame{EtherType: EtherTypeIPv6}).Bytes(), "ip6: truncated"},
		{"half an ARP message", (&Frame{EtherType: EtherTypeARP}).Bytes(), "arp: truncated"},
		{"half a TCP header", (&Frame{IP: &IPFields{Src: ipH1, Dst: ipH2, Proto: 6}}).Bytes(), "tcp: truncated transport"},
		{"VXLAN over IPv6 needs no checksum", v6(Frame{UDP: &UDPFields{DstPort: 4789, NoChecksum: true}, VXLAN: &VXLANFields{VNI: 7}, Inner: inner()}), ""},
		{"a first fragment's transport is unknown", flip(FragmentIPv4(inner().Bytes(), []int{8})[0], 41), ""},
		{"a later fragment's too", FragmentIPv4(inner().Bytes(), []int{8})[1], ""},
		{"no IP", v5(macCB1).Bytes(), ""},
	}
	for _, tt := range tests {
		err := VerifyChecksums(tt.frame)
		if (tt.want == "") != (err == nil) || (err != nil && !strings.HasPrefix(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

// What is built is what is read: Meta, the views and Describe agree with the
// description, for all kinds of frames.
func TestRandomFramesAreReadBack(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	for range 5000 {
		f := randomFrame(r)
		b := f.Bytes()
		var m Meta
		if err := Parse(b, &m); err != OK {
			t.Fatalf("%v: %s", err, Summary(b))
		}
		if Ethernet(b).Dst() != f.EthDst || Ethernet(b).Src() != f.EthSrc || m.HasVLAN != (f.VLAN != nil) {
			t.Fatalf("Ethernet: %s", Summary(b))
		}
		if f.IP == nil {
			if !m.IsARP {
				t.Fatalf("not ARP: %s", Summary(b))
			}
			continue
		}
		if m.Src(b) != f.IP.Src || m.Dst(b) != f.IP.Dst || m.TOS(b) != f.IP.TOS {
			t.Fatalf("IP: %s", Summary(b))
		}
		if f.UDP != nil && (m.SrcPort != f.UDP.SrcPort || m.DstPort != f.UDP.DstPort || m.Proto != ProtoUDP) {
			t.Fatalf("UDP: %s", Summary(b))
		}
		if f.TCP != nil && (m.SrcPort != f.TCP.SrcPort || m.TCPFlags != f.TCP.Flags || m.Proto != ProtoTCP) {
			t.Fatalf("TCP: %s", Summary(b))
		}
		for _, l := range Describe(b) {
			if l.Name == "malformed" || strings.Contains(l.Name, "inner.malformed") {
				t.Fatalf("%+v: %s", l, Summary(b))
			}
			for _, fl := range l.Fields {
				if strings.Contains(fl.Value, "wrong") || fl.Off < 0 || fl.Len < 0 || fl.Off+fl.Len > len(b) {
					t.Fatalf("%s %+v: %s", l.Name, fl, Summary(b))
				}
			}
		}
	}
}

func TestDHCPConversation(t *testing.T) {
	server := DHCPServer{
		MAC: macGW, IP: ip("172.16.0.1"), LeaseSec: 86400, MaskBits: 24, Router: ip("172.16.0.1"),
		DNS: []netip.Addr{ip("10.0.0.53"), ip("10.0.1.53")}, DomainName: "example.test",
	}
	message := func(f *Frame) (DHCP, Meta) {
		t.Helper()
		b := f.Bytes()
		var m Meta
		Parse(b, &m)
		if err := VerifyChecksums(b); err != nil || m.Proto != ProtoUDP {
			t.Fatalf("%v: %s", err, Summary(b))
		}
		d := DHCP(b[m.Payload:m.End])
		if !d.IsValid() || len(d) < DHCPMinLen {
			t.Fatalf("not valid: %s", Summary(b))
		}
		return d, m
	}

	discover, m := message(DHCPDiscoverFrame(macCN1, 0xabad1dea))
	if discover.Type() != DHCPDiscover || discover.Op() != DHCPBootRequest || discover.ClientMAC() != macCN1 || !discover.Broadcast() || m.SrcPort != 68 || m.DstPort != 67 {
		t.Errorf("discover: %x", discover)
	}
	f := server.OfferFrame(discover, ipCN1)
	offer, m := message(f)
	if offer.Type() != DHCPOffer || offer.Op() != DHCPBootReply || offer.XID() != 0xabad1dea || AddrFrom4(offer.YourIP()) != ipCN1 || m.SrcPort != 67 || m.DstPort != 68 || !f.EthDst.IsBroadcast() {
		t.Errorf("offer: %x", offer)
	}
	id, ok := offer.OptionIP(DHCPOptServerID)
	if !ok || AddrFrom4(id) != server.IP {
		t.Errorf("server identifier %v", AddrFrom4(id))
	}
	request, _ := message(DHCPRequestFrame(macCN1, offer.XID(), AddrFrom4(offer.YourIP()), AddrFrom4(id)))
	if want, _ := request.OptionIP(DHCPOptRequestedIP); request.Type() != DHCPRequest || AddrFrom4(want) != ipCN1 {
		t.Errorf("request: %x", request)
	}
	ack, _ := message(server.AckFrame(request, ipCN1))
	lease, _ := ack.LeaseSec()
	mask, _ := ack.OptionIP(DHCPOptSubnetMask)
	router, _ := ack.OptionIP(DHCPOptRouter)
	if ack.Type() != DHCPAck || lease != 86400 || mask != 0xffffff00 || AddrFrom4(router) != server.Router ||
		!bytes.Equal(ack.Option(DHCPOptDNS), []byte{10, 0, 0, 53, 10, 0, 1, 53}) || string(ack.Option(DHCPOptDomainName)) != "example.test" {
		t.Errorf("ack: %x", ack)
	}
	if ack.Option(DHCPOptHostName) != nil {
		t.Error("an option that nobody set")
	}
	if _, ok := ack.OptionIP(DHCPOptDomainName + 100); ok {
		t.Error("an address in an option that nobody set")
	}

	unicast := bytes.Clone(discover)
	unicast[dhcpFlags] = 0
	if f := server.OfferFrame(DHCP(unicast), ipCN1); f.EthDst != macCN1 || f.IP.Dst != ipCN1 {
		t.Errorf("a client that takes unicast gets %v %v", f.EthDst, f.IP.Dst)
	}
}

func TestDHCPOptionsEndWithTheMessage(t *testing.T) {
	base := (&DHCPFields{}).Build()[:DHCPFixedLen]
	tests := []struct {
		name    string
		options []byte
		want    int
	}{
		{"none", nil, 0}, {"end", []byte{255, 53, 1, 1}, 0}, {"padding", []byte{0, 0, 53, 1, 1, 255}, 1},
		{"no end", []byte{53, 1, 1}, 1}, {"no length", []byte{53, 1, 1, 12}, 1}, {"cut off", []byte{53, 1, 1, 12, 5, 'h'}, 1}, {"empty", []byte{80, 0, 255}, 1},
	}
	for _, tt := range tests {
		n := 0
		for range DHCP(append(bytes.Clone(base), tt.options...)).Options {
			n++
		}
		if n != tt.want {
			t.Errorf("%s: %d options, want %d", tt.name, n, tt.want)
		}
	}
}

func TestNeighbourDiscoveryIsReadBack(t *testing.T) {
	target := ip("fd00::20")
	frame := func(n *NDFields) (ND, []byte, Meta) {
		t.Helper()
		b := (&Frame{EthDst: macGW, EthSrc: macCN1, IP: &IPFields{Src: ip("fd00::10"), Dst: target}, ND: n}).Bytes()
		var m Meta
		if err := VerifyChecksums(b); err != nil || Parse(b, &m) != OK {
			t.Fatal(err)
		}
		nd, ok := NDOf(b, &m)
		if !ok || nd.Type() != n.Type {
			t.Fatalf("not ND: %s", Summary(b))
		}
		return nd, b, m
	}

	ns, b, m := frame(&NDFields{Type: ICMP6NeighborSol, Target: target, SourceLL: macCN1})
	if mac, ok := ns.SourceLL(); !ok || mac != macCN1 || AddrFrom16(ns.Target()) != target {
		t.Errorf("NS: %v %v", mac, ok)
	}
	if _, ok := ns.TargetLL(); ok {
		t.Error("NS has a target link-layer option")
	}
	if a, ok := SolicitTarget(b, &m); !ok || a != target {
		t.Errorf("SolicitTarget: %v %v", a, ok)
	}
	if s := Summary(AnswerSolicitation(b, &m, macGW)); s != "eth(00-15-5D-10-00-01>00-15-5D-10-00-0A) ip6(fd00::20>fd00::10 ttl255) icmp6(na fd00::20) len 24" {
		t.Error(s)
	}
	if !SetNDLinkAddr(b, &m, macH1) {
		t.Error("no option to set")
	}
	if mac, _ := ns.SourceLL(); mac != macH1 || VerifyChecksums(b) != nil {
		t.Errorf("set to %v: %v", mac, VerifyChecksums(b))
	}

	na, b, m := frame(&NDFields{Type: ICMP6NeighborAdv, Flags: NDSolicited | NDOverride, Target: target, TargetLL: macCN1})
	if mac, ok := na.TargetLL(); !ok || mac != macCN1 || na.Flags() != NDSolicited|NDOverride {
		t.Errorf("NA: %v %v %x", mac, ok, na.Flags())
	}
	if AnswerSolicitation(b, &m, macGW) != nil {
		t.Error("answered an advertisement")
	}

	prefix := NDPrefix{Addr: Addr16(ip("fd00::")), Bits: 64, OnLink: true, Autonomous: true, ValidSec: 7200, PreferredSec: 3600}
	ra, _, _ := frame(&NDFields{Type: ICMP6RouterAdv, Flags: NDManaged, HopLimit: 64, LifetimeSec: 1800, ReachableMS: 30000, RetransMS: 1000, MTU: 1450, Prefixes: []NDPrefix{prefix}, SourceLL: macGW})
	mtu, _ := ra.MTU()
	got, ok := ra.Option(NDOptPrefix).Prefix()
	if !ok || got != prefix || mtu != 1450 || ra.RAFlags() != NDManaged || ra.RAHopLimit() != 64 || ra.RALifetimeSec() != 1800 || ra.RAReachableMS() != 30000 || ra.RARetransMS() != 1000 {
		t.Errorf("RA: %+v", got)
	}
	if _, ok := ra.Option(NDOptMTU).Prefix(); ok {
		t.Error("an MTU option is a prefix")
	}

	rd, _, _ := frame(&NDFields{Type: ICMP6Redirect, Target: target, Dest: ip("fd00::30"), TargetLL: macCN1})
	if AddrFrom16(rd.Dest()) != ip("fd00::30") || AddrFrom16(rd.Target()) != target {
		t.Errorf("redirect: %x", rd)
	}
}

func TestNDOptionsEndWithTheMessage(t *testing.T) {
	base := append([]byte{ICMP6NeighborSol}, make([]byte, 23)...)
	tests := []struct {
		name    string
		options []byte
		want    int
	}{
		{"none", nil, 0}, {"one", []byte{1, 1, 0, 0, 0, 0, 0, 0}, 1}, {"zero length", []byte{1, 0, 0, 0, 0, 0, 0, 0}, 0},
		{"cut off", []byte{1, 1, 0, 0, 0, 0, 0}, 0}, {"no length", []byte{1}, 0}, {"the second overlong", []byte{1, 1, 0, 0, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 0, 0}, 1},
	}
	for _, tt := range tests {
		nd := ND(append(bytes.Clone(base), tt.options...))
		n := 0
		for range nd.Options {
			n++
		}
		if n != tt.want || !nd.IsValid() {
			t.Errorf("%s: %d options, want %d", tt.name, n, tt.want)
		}
	}
	for _, b := range [][]byte{nil, base[:23], {ICMP6Echo, 0, 0, 0, 0, 0, 0, 0}} {
		if ND(b).IsValid() {
			t.Errorf("%x is valid", b)
		}
	}
}

func TestARPIsAnswered(t *testing.T) {
	b := v5(macCB1).Bytes()
	var m Meta
	Parse(b, &m)
	a, ok := ARPOf(b, &m)
	if !ok || a.Op() != ARPRequest {
		t.Fatal("not a request")
	}
	want := (&Frame{EthDst: macCB1, EthSrc: macR, ARP: &ARPFields{Op: ARPReply, SenderMAC: macR, SenderIP: ip("10.127.130.1"), TargetMAC: macCB1, TargetIP: ip("10.127.130.110")}}).Bytes()
	checkFrame(t, "reply", a.Answer(macR), want)
	if _, ok := ARPOf(want, &Meta{}); ok {
		t.Error("ARP of a frame that is none")
	}
}
