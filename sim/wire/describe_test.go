package wire

import (
	"bytes"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "rewrite golden files; read the diff before you commit it")

// described are the frames in testdata/describe.txt.
func described(t testing.TB) []struct {
	name  string
	frame []byte
} {
	v := readVectors(t)
	wrong := bytes.Clone(v["V2-in"])
	wrong[24] ^= 0xff
	server := DHCPServer{MAC: macGW, IP: ip("172.16.0.1"), LeaseSec: 3600, MaskBits: 24, Router: ip("172.16.0.1"), DNS: []netip.Addr{ip("10.0.0.53")}, DomainName: "example.test"}
	discover := DHCPDiscoverFrame(macCN1, 0x12345678)
	discover.DHCP.HostName = "cn1"
	discover.DHCP.Options = []DHCPOption{{Code: DHCPOptParamList, Data: []byte{1, 3, 6}}}
	pieces, _ := Fragment(bigUDP("fd00::1", 100).Bytes(), 104, 77)
	pieces4, _ := Fragment(bigUDP("10.0.0.1", 100).Bytes(), 76, 0)
	return []struct {
		name  string
		frame []byte
	}{
		{"V1-in", v["V1-in"]}, {"V2-out", v["V2-out"]}, {"V3-in", v["V3-in"]}, {"V5-in", v["V5-in"]},
		{"ARP reply", (&Frame{EthDst: macCB1, EthSrc: macR, ARP: &ARPFields{Op: ARPReply, SenderMAC: macR, SenderIP: ip("10.127.130.1"), TargetMAC: macCB1, TargetIP: ip("10.127.130.110")}, PadTo: 60}).Bytes()},
		{"wrong IPv4 checksum", wrong},
		{"tagged SYN with options", (&Frame{EthDst: macR, EthSrc: macH1, VLAN: &VLANFields{ID: 100, Priority: 3}, IP: &IPFields{Src: ipH1, Dst: ipX, TOS: 2, Options: []byte{0x94, 4, 0, 0}}, TCP: &TCPFields{SrcPort: 50000, DstPort: 80, Seq: 1, Flags: TCPSyn | TCPEce | TCPCwr, Window: 1000, MSS: 1460}, Payload: []byte("GET /\r\n")}).Bytes()},
		{"echo", (&Frame{EthDst: macR, EthSrc: macH1, IP: &IPFields{Src: ipH1, Dst: ipX}, ICMP: &ICMPFields{Type: ICMPEcho, ID: 1, Seq: 2}, Payload: bytes.Repeat([]byte("abcdefgh"), 10)}).Bytes()},
		{"NVGRE", (&Frame{EthDst: macH2, EthSrc: macH1, IP: &IPFields{Src: ipH1, Dst: ipH2}, NVGRE: &NVGREFields{VSID: 5001, FlowID: 0x2a}, Inner: v2Inner(macDR2, macDR1)}).Bytes()},
		{"GRE that is not NVGRE", (&Frame{EthDst: macH2, EthSrc: macH1, IP: &IPFields{Src: ipH1, Dst: ipH2, Proto: ProtoGRE}, Payload: []byte{0xb0, 0, 8, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0xff}}).Bytes()},
		{"UDP over IPv6 behind extension headers", (&Frame{EthDst: macR, EthSrc: macH1, IP: &IPFields{Src: ip("fd00::1"), Dst: ip("fd00::2"), Label: 0x12345, TOS: 0xb8, Ext: []ExtFields{{Proto: ProtoHopByHop, Data: []byte{5, 2, 0, 0, 1, 0}}, {Proto: ProtoDestOpts}}}, UDP: &UDPFields{SrcPort: 40000, DstPort: 53}, Payload: []byte{0, 1, 2}}).Bytes()},
		{"first IPv6 fragment", pieces[0]}, {"last IPv6 fragment", pieces[len(pieces)-1]},
		{"first IPv4 fragment", pieces4[0]}, {"last IPv4 fragment", pieces4[len(pieces4)-1]},
		{"packet too big", errorAboutBig(t)},
		{"neighbour solicitation", (&Frame{EthDst: MulticastMAC6(SolicitedNode(Addr16(ip("fd00::20")))), EthSrc: macCN1, IP: &IPFields{Src: ip("fd00::10"), Dst: AddrFrom16(SolicitedNode(Addr16(ip("fd00::20"))))}, ND: &NDFields{Type: ICMP6NeighborSol, Target: ip("fd00::20"), SourceLL: macCN1}}).Bytes()},
		{"neighbour advertisement", (&Frame{EthDst: macCN1, EthSrc: macGW, IP: &IPFields{Src: ip("fd00::20"), Dst: ip("fd00::10")}, ND: &NDFields{Type: ICMP6NeighborAdv, Flags: NDRouter | NDSolicited, Target: ip("fd00::20"), TargetLL: macGW}}).Bytes()},
		{"router advertisement", (&Frame{EthDst: MustMAC("33-33-00-00-00-01"), EthSrc: macGW, IP: &IPFields{Src: ip("fe80::1"), Dst: ip("ff02::1")}, ND: &NDFields{Type: ICMP6RouterAdv, Flags: NDManaged | NDOther, HopLimit: 64, LifetimeSec: 1800, MTU: 1450, SourceLL: macGW, Prefixes: []NDPrefix{{Addr: Addr16(ip("fd00::")), Bits: 64, OnLink: true, ValidSec: 7200, PreferredSec: 3600}}}}).Bytes()},
		{"redirect", (&Frame{EthDst: macCN1, EthSrc: macGW, IP: &IPFields{Src: ip("fe80::1"), Dst: ip("fd00::10")}, ND: &NDFields{Type: ICMP6Redirect, Target: ip("fe80::2"), Dest: ip("fd00::30"), TargetLL: macR}, Payload: []byte{4, 1, 0, 0, 0, 0, 0, 0}}).Bytes()},
		{"DHCP discover", discover.Bytes()},
		{"DHCP ack", server.AckFrame(DHCP(DHCPDiscoverFrame(macCN1, 1).DHCP.Build()), ipCN1).Bytes()},
		{"IGMP report", (&Frame{EthDst: MustMAC("01-00-5E-00-00-16"), EthSrc: macCN1, IP: &IPFields{Src: ipCN1, Dst: ip("224.0.0.22"), TTL: 1, Proto: ProtoIGMP}, Payload: []byte{0x16, 0, 8, 0xfd, 0xe1, 0, 0, 2}}).Bytes()},
		{"an unknown EtherType", (&Frame{EthDst: macR, EthSrc: macH1, EtherType: 0x9999, Payload: []byte("hello")}).Bytes()},
		{"half a TCP header", (&Frame{EthDst: macR, EthSrc: macH1, IP: &IPFields{Src: ipH1, Dst: ipX, Proto: ProtoTCP}, Payload: []byte{1, 2, 3}}).Bytes()},
		{"half an IPv4 header", (&Frame{EthDst: macR, EthSrc: macH1, EtherType: EtherTypeIPv4, Payload: []byte{0x45, 0}}).Bytes()},
		{"too short for Ethernet", []byte{1, 2, 3}},
		{"nothing", nil},
	}
}

func errorAboutBig(t testing.TB) []byte {
	b := (&Frame{EthDst: macR, EthSrc: macH1, IP: &IPFields{Src: ip("fd00::1"), Dst: ip("fd00::2")}, ICMP: &ICMPFields{Type: ICMP6Echo, ID: 9, Seq: 1}, Payload: []byte("ping")}).Bytes()
	var m Meta
	Parse(b, &m)
	return Reporter{MAC: macR, IP: ip("fd00::99")}.TooBig(b, &m, 1280)
}

func TestDescribeAndSummaryAreAsReviewed(t *testing.T) {
	var got bytes.Buffer
	for _, f := range described(t) {
		fmt.Fprintf(&got, "# %s\n%s\n", f.name, Summary(f.frame))
		for _, l := range Describe(f.frame) {
			fmt.Fprintf(&got, "  %s\n", l.Name)
			for _, fl := range l.Fields {
				fmt.Fprintf(&got, "    %-10s %3d+%-3d %s\n", fl.Name, fl.Off, fl.Len, fl.Value)
			}
		}
	}
	const path = "testdata/describe.txt"
	if *update {
		if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	g, w := bytes.Split(got.Bytes(), []byte("\n")), bytes.Split(want, []byte("\n"))
	for i := range max(len(g), len(w)) {
		var a, b []byte
		if i < len(g) {
			a = g[i]
		}
		if i < len(w) {
			b = w[i]
		}
		if !bytes.Equal(a, b) {
			t.Fatalf("%s:%d:\n got %s\nwant %s", path, i+1, a, b)
		}
	}
}

func TestLookupFindsAField(t *testing.T) {
	layers := Describe(readVectors(t)["V2-out"])
	tests := []struct {
		layer, field, want string
		ok                 bool
	}{
		{"vxlan", "vni", "4096", true}, {"ip", "dst", "10.127.130.38", true}, {"inner.ip", "dst", "10.244.2.20", true},
		{"inner.payload", "data", `"hello"`, true}, {"ip", "colour", "", false}, {"tcp", "sport", "", false},
	}
	for _, tt := range tests {
		if got, ok := Lookup(layers, tt.layer, tt.field); got != tt.want || ok != tt.ok {
			t.Errorf("%s %s: %q, %v", tt.layer, tt.field, got, ok)
		}
	}
}

// The fields of each layer lie in the frame, and those of different layers do
// not overlap, so that a diff may mark bytes.
func TestFieldsLieInTheirLayer(t *testing.T) {
	for _, f := range described(t) {
		end := 0 // of the layers so far
		for _, l := range Describe(f.frame) {
			from, to := len(f.frame), 0
			for _, fl := range l.Fields {
				from, to = min(from, fl.Off), max(to, fl.Off+fl.Len)
			}
			if l.Name == "vlan" {
				from = end // the tag splits the Ethernet header's type
			}
			if from < end || to > len(f.frame) {
				t.Errorf("%s: %s is at %d to %d of %d, the layer before ends at %d", f.name, l.Name, from, to, len(f.frame), end)
			}
			end = max(end, to)
		}
	}
}
