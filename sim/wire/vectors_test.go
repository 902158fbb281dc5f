package wire

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"os"
	"strings"
	"testing"
)

// readVectors reads the contract's golden vectors by name.
func readVectors(t testing.TB) map[string][]byte {
	t.Helper()
	text, err := os.ReadFile("testdata/vectors.txt")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for line := range strings.Lines(string(text)) {
		name, digits, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		b, err := hex.DecodeString(digits)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out[name] = b
	}
	return out
}

// checkFrame compares byte for byte and prints both frames for people.
func checkFrame(t testing.TB, name string, got, want []byte) {
	t.Helper()
	if bytes.Equal(got, want) {
		return
	}
	t.Errorf("%s:\n got %x\nwant %x\n got %s\nwant %s", name, got, want, Summary(got), Summary(want))
	for _, d := range diffLayers(Describe(got), Describe(want)) {
		t.Errorf("  %s", d)
	}
}

// diffLayers lists the fields in which two decodings differ.
func diffLayers(got, want []Layer) []string {
	var out []string
	for i := range max(len(got), len(want)) {
		var g, w Layer
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		for k := range max(len(g.Fields), len(w.Fields)) {
			var a, b Field
			if k < len(g.Fields) {
				a = g.Fields[k]
			}
			if k < len(w.Fields) {
				b = w.Fields[k]
			}
			if a != b {
				out = append(out, g.Name+"/"+w.Name+" "+a.Name+"/"+b.Name+": got "+a.Value+", want "+b.Value)
			}
		}
	}
	return out
}

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }

// The contract's reference topology (section 0.4).
var (
	macH1   = MustMAC("00-15-5D-82-00-23")
	macH2   = MustMAC("00-15-5D-82-00-26")
	macR    = MustMAC("00-00-5E-00-01-01")
	macGW   = MustMAC("00-15-5D-10-00-01")
	macCN1  = MustMAC("00-15-5D-10-00-0A")
	macCB1  = MustMAC("00-15-5D-24-00-0A")
	macCO11 = MustMAC("0E-2A-0A-F4-01-0A")
	macCO21 = MustMAC("0E-2A-0A-F4-02-14")
	macDR1  = MustMAC("00-15-5D-D0-B3-B7")
	macDR2  = MustMAC("00-15-5D-6C-B8-EF")

	ipH1, ipH2 = ip("10.127.130.35"), ip("10.127.130.38")
	ipX, ipCN1 = ip("203.0.113.80"), ip("172.16.0.10")
)

func v1(dst, src MAC, from netip.Addr, port uint16, ttl uint8) *Frame {
	return &Frame{
		EthDst: dst, EthSrc: src,
		IP:  &IPFields{Src: from, Dst: ipX, TTL: ttl, ID: 0x1234, DF: true},
		TCP: &TCPFields{SrcPort: port, DstPort: 443, Seq: 1000, Flags: TCPSyn, Window: 64240},
	}
}

// v2OuterID is the outer identification in V2-out. No rule gives a value, and a
// tunnel end point of ours sends 0.
const v2OuterID = 0x2001

func v2Inner(dst, src MAC) *Frame {
	return &Frame{
		EthDst: dst, EthSrc: src,
		IP:      &IPFields{Src: ip("10.244.1.10"), Dst: ip("10.244.2.20"), ID: 1},
		UDP:     &UDPFields{SrcPort: 40000, DstPort: 53},
		Payload: []byte("hello"),
	}
}

// v3Quoted is the packet that V3 quotes: it met the small MTU eight hops on, with
// 1480 bytes, of which the quote has the header and eight bytes.
func v3Quoted(t testing.TB, from netip.Addr, port uint16) []byte {
	t.Helper()
	length := uint16(1480)
	f := &Frame{
		IP:  &IPFields{Src: from, Dst: ipX, TTL: 120, ID: 0x1235, DF: true, Length: &length},
		TCP: &TCPFields{SrcPort: port, DstPort: 443, Seq: 1000},
	}
	return f.Bytes()[EthernetLen : EthernetLen+28]
}

func v3(t testing.TB, dst, src MAC, to netip.Addr, port uint16, ttl uint8) *Frame {
	return &Frame{
		EthDst: dst, EthSrc: src,
		IP:      &IPFields{Src: ip("198.51.100.1"), Dst: to, TTL: ttl, ID: 0x77},
		ICMP:    &ICMPFields{Type: ICMPUnreachable, Code: ICMPFragNeeded, MTU: 1400},
		Payload: v3Quoted(t, to, port),
	}
}

func v5(mac MAC) *Frame {
	return &Frame{
		EthDst: Broadcast, EthSrc: mac,
		ARP: &ARPFields{SenderMAC: mac, SenderIP: ip("10.127.130.110"), TargetIP: ip("10.127.130.1")},
	}
}

func TestBuilderMakesTheGoldenVectors(t *testing.T) {
	want := readVectors(t)
	tests := []struct {
		name  string
		frame *Frame
	}{
		{"V1-in", v1(macGW, macCN1, ipCN1, 49700, 128)},
		{"V1-out", v1(macR, macH1, ipH1, 50001, 127)},
		{"V2-in", v2Inner(macDR1, macCO11)},
		{"V2-out", &Frame{
			EthDst: macH2, EthSrc: macH1,
			IP:    &IPFields{Src: ipH1, Dst: ipH2, ID: v2OuterID},
			UDP:   &UDPFields{SrcPort: 0xc3a1, DstPort: VXLANPort, NoChecksum: true},
			VXLAN: &VXLANFields{VNI: 4096},
			Inner: v2Inner(macDR2, macDR1),
		}},
		{"V2-delivered", v2Inner(macCO21, macDR2)},
		{"V3-in", v3(t, macH1, macR, ipH1, 50001, 250)},
		{"V3-out", v3(t, macCN1, macGW, ipCN1, 49700, 249)},
		{"V5-in", v5(macCB1)},
		{"V5-out", v5(macH1)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := tt.frame.Bytes()
			checkFrame(t, tt.name, got, want[tt.name])
			if err := VerifyChecksums(got); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestTunnelHeadersAreVectorV4(t *testing.T) {
	want := readVectors(t)
	tests := []struct {
		name  string
		write func([]byte)
	}{
		{"V4-nvgre", func(b []byte) { GRE(b).InitNVGRE(5001, 0x2a) }},
		{"V4-vxlan-5001", func(b []byte) { VXLAN(b).Init(5001) }},
		{"V4-vxlan-4114", func(b []byte) { VXLAN(b).Init(4114) }},
	}
	for _, tt := range tests {
		b := bytes.Repeat([]byte{0xff}, 8)
		tt.write(b)
		checkFrame(t, tt.name, b, want[tt.name])
	}
	nvgre := GRE(want["V4-nvgre"])
	if nvgre.VSID() != 5001 || nvgre.FlowID() != 0x2a || !nvgre.IsNVGRE() {
		t.Errorf("read back: VSID %d, flow %#x, NVGRE %v", nvgre.VSID(), nvgre.FlowID(), nvgre.IsNVGRE())
	}
	if vni := VXLAN(want["V4-vxlan-4114"]).VNI(); vni != 4114 {
		t.Errorf("read back: VNI %d", vni)
	}
}

// What NAT, overlay and bridge do to a frame, done by hand with the rewrites.

func parseWhole(t *testing.T, b []byte) Meta {
	t.Helper()
	var m Meta
	if err := Parse(b, &m); err != OK {
		t.Fatal(err)
	}
	return m
}

func setEth(b []byte, dst, src MAC) {
	Ethernet(b).SetDst(dst)
	Ethernet(b).SetSrc(src)
}

func TestV1GoesThroughWinNATAndBack(t *testing.T) {
	v := readVectors(t)
	b := bytes.Clone(v["V1-in"])
	m := parseWhole(t, b)
	setEth(b, macR, macH1)
	SetIPv4Src(b, &m, Addr4(ipH1))
	SetSrcPort(b, &m, 50001)
	DecTTL(b, &m, 1)
	checkFrame(t, "V1-out", b, v["V1-out"])

	setEth(b, macGW, macCN1)
	SetIPv4Src(b, &m, Addr4(ipCN1))
	SetSrcPort(b, &m, 49700)
	h := IPv4(b[m.L3:])
	h.SetTTL(128)
	h.SetChecksum(Mend16(h.Checksum(), 127<<8, 128<<8))
	checkFrame(t, "V1-in", b, v["V1-in"])
}

func TestV2GoesIntoTheTunnelAndOut(t *testing.T) {
	v := readVectors(t)
	o := Outer{
		EthDst: macH2, EthSrc: macH1, Src: ipH1, Dst: ipH2, TTL: 128,
		ID: v2OuterID, SrcPort: 0xc3a1, DstPort: VXLANPort, VNI: 4096,
	}
	b := append(bytes.Repeat([]byte{0xee}, o.VXLANOverhead()), v["V2-in"]...)
	setEth(b[VXLANOverhead4:], macDR2, macDR1)
	PutVXLAN(b, &o)
	checkFrame(t, "V2-out", b, v["V2-out"])

	m := parseWhole(t, b)
	tun, ok := ParseVXLAN(b, &m)
	if !ok || tun.VNI != 4096 || tun.Flags != VXLANFlagI {
		t.Fatalf("%+v, %v", tun, ok)
	}
	b = b[tun.Inner:tun.End]
	setEth(b, macCO21, macDR2)
	checkFrame(t, "V2-delivered", b, v["V2-delivered"])
}

func TestV3GoesBackThroughWinNAT(t *testing.T) {
	v := readVectors(t)
	b := bytes.Clone(v["V3-in"])
	m := parseWhole(t, b)
	q, ok := ParseQuoted(b, &m)
	if !ok || !q.ChecksumOK || !q.HasL4 {
		t.Fatalf("%+v, %v", q, ok)
	}
	if want := MakeKey4(Addr4(ipH1), Addr4(ipX), 50001, 443, ProtoTCP, 7); q.Key4(7) != want {
		t.Errorf("quoted flow %v, want %v", q.Key4(7), want)
	}
	setEth(b, macCN1, macGW)
	SetIPv4Dst(b, &m, Addr4(ipCN1))
	RewriteQuotedSrc(b, &m, &q, ipCN1, 49700)
	DecTTL(b, &m, 1)
	checkFrame(t, "V3-out", b, v["V3-out"])
}

func TestV5GoesThroughL2Bridge(t *testing.T) {
	v := readVectors(t)
	b := bytes.Clone(v["V5-in"])
	m := parseWhole(t, b)
	a, ok := ARPOf(b, &m)
	if !ok {
		t.Fatal("not ARP")
	}
	Ethernet(b).SetSrc(macH1)
	a.SetSenderMAC(macH1)
	checkFrame(t, "V5-out", b, v["V5-out"])
}
