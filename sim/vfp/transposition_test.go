package vfp

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/sim/wire"
)

// apply runs an action on a frame's walk and applies what comes of it.
func apply(t *testing.T, frame []byte, change func(*Walk)) (*Packet, Transposition, Drop) {
	t.Helper()
	p := NewPacket(frame)
	if err := p.Parse(); err != wire.OK {
		t.Fatal(err)
	}
	var w Walk
	w.Begin(0, p, 0, nil)
	change(&w)
	tr := Diff(&w)
	return p, tr, w.Commit(p, &tr)
}

func TestTranspositionsChangeWhatTheySayAndMendChecksums(t *testing.T) { // VFP-06
	v6a, v6b, v6x := ip("fd00::1"), ip("fd00::2"), ip("2001:db8::80")
	tests := []struct {
		name   string
		frame  *wire.Frame
		change func(*Walk)
		want   func(*wire.Frame) // changes frame to what is to come out
	}{
		{"nothing", udp(ipA, ipB, 1, 2), func(*Walk) {}, func(*wire.Frame) {}},
		{"both MACs", udp(ipA, ipB, 1, 2),
			func(w *Walk) { w.H.EthSrc, w.H.EthDst = macHost, macR },
			func(f *wire.Frame) { f.EthSrc, f.EthDst = macHost, macR }},
		{"source address and port of TCP", tcp(ipA, ipX, 49700, 443, syn),
			func(w *Walk) { w.H.Src, w.H.SrcPort = ipH, 50001 },
			func(f *wire.Frame) { f.IP.Src, f.TCP.SrcPort = ipH, 50001 }},
		{"everything of UDP", udp(ipA, ipX, 1, 2),
			func(w *Walk) { w.H.Src, w.H.Dst, w.H.SrcPort, w.H.DstPort, w.DecTTL = ipH, ipB, 3, 4, 1 },
			func(f *wire.Frame) {
				f.IP.Src, f.IP.Dst, f.UDP.SrcPort, f.UDP.DstPort, f.IP.TTL = ipH, ipB, 3, 4, 127
			}},
		{"UDP without checksum", &wire.Frame{IP: &wire.IPFields{Src: ipA, Dst: ipB}, UDP: &wire.UDPFields{SrcPort: 1, DstPort: 2, NoChecksum: true}},
			func(w *Walk) { w.H.Dst, w.H.DstPort = ipX, 9 },
			func(f *wire.Frame) { f.IP.Dst, f.UDP.DstPort = ipX, 9 }},
		{"TCP over IPv6", tcp(v6a, v6x, 1, 2, ack),
			func(w *Walk) { w.H.Src, w.H.Dst, w.H.DstPort, w.DecTTL = v6b, v6a, 9, 2 },
			func(f *wire.Frame) { f.IP.Src, f.IP.Dst, f.TCP.DstPort, f.IP.TTL = v6b, v6a, 9, 126 }},
		{"identifier of an echo", echo(ipA, ipX, wire.ICMPEcho, 77),
			func(w *Walk) { w.H.Src, w.H.SrcPort, w.H.DstPort = ipH, 50000, 50000 },
			func(f *wire.Frame) { f.IP.Src, f.ICMP.ID = ipH, 50000 }},
		{"identifier and address of an IPv6 echo", echo(v6a, v6x, wire.ICMP6Echo, 77),
			func(w *Walk) { w.H.Src, w.H.SrcPort, w.H.DstPort = v6b, 50000, 50000 },
			func(f *wire.Frame) { f.IP.Src, f.ICMP.ID = v6b, 50000 }},
		{"address of another protocol", &wire.Frame{IP: &wire.IPFields{Src: ipA, Dst: ipB, Proto: 50}, Payload: []byte("secret")},
			func(w *Walk) { w.H.Dst = ipX }, func(f *wire.Frame) { f.IP.Dst = ipX }},
		{"an address of the other version is not applied", udp(ipA, ipB, 1, 2),
			func(w *Walk) { w.H.Dst = v6a }, func(*wire.Frame) {}},
		{"a tagged frame", &wire.Frame{VLAN: &wire.VLANFields{ID: 5}, IP: &wire.IPFields{Src: ipA, Dst: ipB}, UDP: &wire.UDPFields{SrcPort: 1, DstPort: 2}},
			func(w *Walk) { w.H.DstPort = 3 }, func(f *wire.Frame) { f.UDP.DstPort = 3 }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, tr, drop := apply(t, tt.frame.Bytes(), tt.change)
			tt.want(tt.frame)
			if want := tt.frame.Bytes(); drop != DropNone || string(p.Bytes()) != string(want) {
				t.Errorf("%s: %v\n got %x\nwant %x", tr.String(), drop, p.Bytes(), want)
			}
			if m := *metaOf(p.Bytes()); m != p.Meta {
				t.Errorf("Meta is not that of the frame:\n got %+v\nwant %+v", p.Meta, m)
			}
		})
	}
}

func TestTranspositionsDropWhatTheyMust(t *testing.T) {
	tests := []struct {
		name  string
		tr    Transposition
		frame *wire.Frame
		want  Drop
	}{
		{"a cached drop", Transposition{Drop: DropVfpBlock}, udp(ipA, ipB, 1, 2), DropVfpBlock},
		{"the last hop", Transposition{DecTTL: 128}, udp(ipA, ipB, 1, 2), DropTtlExceeded},
		{"one hop more", Transposition{DecTTL: 127}, udp(ipA, ipB, 1, 2), DropNone},
		{"too long", Transposition{MTU: 32}, udp(ipA, ipB, 1, 2), DropOversize},
		{"too long, by another name", Transposition{MTU: 32, TooBig: DropEncapOversize}, udp(ipA, ipB, 1, 2), DropEncapOversize},
		{"just right", Transposition{MTU: 33}, udp(ipA, ipB, 1, 2), DropNone},
		{"nothing to decapsulate", Transposition{decap: true}, udp(ipA, ipB, 1, 2), DropMalformed},
	}
	for _, tt := range tests {
		p := NewPacket(tt.frame.Bytes())
		p.Parse()
		if got := tt.tr.Apply(p); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
		if tt.want != DropNone && string(p.Bytes()) != string(tt.frame.Bytes()) {
			t.Errorf("%s: the dropped frame was changed", tt.name)
		}
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The contract's vectors V1 and V2; of the outer identification and the
// checksum that covers it, V2 shows one possible value, and ours is 0.
func TestGoldenVectors(t *testing.T) {
	t.Run("V1", func(t *testing.T) {
		in := unhex(t, "00155d10000100155d10000a0800450000281234400080060031ac10000acb007150c22401bb000003e8000000005002faf004bf0000")
		want := "00005e00010100155d820023080045000028123440007f0620a90a7f8223cb007150c35101bb000003e8000000005002faf0230a0000"
		p, _, _ := apply(t, in, func(w *Walk) {
			w.H.EthSrc, w.H.EthDst, w.H.Src, w.H.SrcPort, w.DecTTL = macHost, macR, ipH, 50001, 1
		})
		if got := hex.EncodeToString(p.Bytes()); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
	dr1, dr2 := wire.MustMAC("00155DD0B3B7"), wire.MustMAC("00155D6CB8EF")
	inner := "00155dd0b3b70e2a0af4010a08004500002100010000801121c60af4010a0af402149c400035000d068768656c6c6f"
	wireFrame := "00155d82002600155d82002308004500005300000000801121530a7f82230a7f8226c3a112b5003f0000080000000010000000155d6cb8ef00155dd0b3b708004500002100010000801121c60af4010a0af402149c400035000d068768656c6c6f"
	delivered := "0e2a0af4021400155d6cb8ef08004500002100010000801121c60af4010a0af402149c400035000d068768656c6c6f"
	t.Run("V2 out", func(t *testing.T) {
		p, tr, _ := apply(t, unhex(t, inner), func(w *Walk) {
			w.H.EthSrc, w.H.EthDst = dr1, dr2
			w.Encap = Encap{Kind: VXLAN, EthSrc: macHost, EthDst: wire.MustMAC("00155D820026"), Src: ipH, Dst: ip("10.127.130.38"),
				SrcPort: 0xc3a1, DstPort: 4789, VNI: 4096, TTL: 128}
		})
		if got := hex.EncodeToString(p.Bytes()); got != wireFrame {
			t.Errorf("%s\ngot  %s\nwant %s", tr.String(), got, wireFrame)
		}
	})
	t.Run("V2 in", func(t *testing.T) {
		p, _, _ := apply(t, unhex(t, wireFrame), func(w *Walk) {
			pop{}.Apply(w)
			w.H.EthSrc, w.H.EthDst = dr2, wire.MustMAC("0E2A0AF40214")
		})
		if got := hex.EncodeToString(p.Bytes()); got != delivered {
			t.Errorf("got  %s\nwant %s", got, delivered)
		}
	})
}

func TestEncapsulation(t *testing.T) {
	v6pa, v6pb := ip("2001:db8::1"), ip("2001:db8::2")
	inner := udp(ipA, ipB, 1, 2)
	inner.IP.TOS = 0xb9 // DSCP 46, ECT(1)
	tests := []struct {
		name string
		e    Encap
		want *wire.Frame
	}{
		{"VXLAN over IPv4", Encap{Kind: VXLAN, Src: ipH, Dst: ipX},
			&wire.Frame{IP: &wire.IPFields{Src: ipH, Dst: ipX}}},
		{"with DF, DSCP and ECN", Encap{Kind: VXLAN, Src: ipH, Dst: ipX, DF: true, DSCPCopy: true, ECNCopy: true},
			&wire.Frame{IP: &wire.IPFields{Src: ipH, Dst: ipX, DF: true, TOS: 0xb9}}},
		{"with ECN only", Encap{Kind: VXLAN, Src: ipH, Dst: ipX, ECNCopy: true},
			&wire.Frame{IP: &wire.IPFields{Src: ipH, Dst: ipX, TOS: 1}}},
		{"VXLAN over IPv6", Encap{Kind: VXLAN, Src: v6pa, Dst: v6pb, DSCPCopy: true},
			&wire.Frame{IP: &wire.IPFields{Src: v6pa, Dst: v6pb, TOS: 0xb8}}},
		{"NVGRE over IPv4", Encap{Kind: NVGRE, Src: ipH, Dst: ipX},
			&wire.Frame{IP: &wire.IPFields{Src: ipH, Dst: ipX}}},
		{"NVGRE over IPv6", Encap{Kind: NVGRE, Src: v6pa, Dst: v6pb},
			&wire.Frame{IP: &wire.IPFields{Src: v6pa, Dst: v6pb}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.e.EthSrc, tt.e.EthDst, tt.e.TTL, tt.e.VNI = macHost, macR, 64, 5001
			f := tt.want
			f.EthSrc, f.EthDst, f.IP.TTL, f.Inner = macHost, macR, 64, inner
			if tt.e.Kind == VXLAN {
				tt.e.SrcPort, tt.e.DstPort = 50001, 4789
				f.VXLAN = &wire.VXLANFields{VNI: 5001}
				f.UDP = &wire.UDPFields{SrcPort: 50001, DstPort: 4789, NoChecksum: f.IP.Src.Is4()}
			} else {
				tt.e.FlowID = 0x2a
				f.NVGRE = &wire.NVGREFields{VSID: 5001, FlowID: 0x2a}
			}
			p, _, _ := apply(t, inner.Bytes(), func(w *Walk) { w.Encap = tt.e })
			if want := f.Bytes(); string(p.Bytes()) != string(want) {
				t.Errorf("\n got %s\nwant %s\n got %x\nwant %x", wire.Summary(p.Bytes()), wire.Summary(want), p.Bytes(), want)
			}
			back, _, drop := apply(t, p.Bytes(), func(w *Walk) { pop{}.Apply(w) })
			if drop != DropNone || string(back.Bytes()) != string(inner.Bytes()) {
				t.Errorf("decapsulated: %v %s", drop, wire.Summary(back.Bytes()))
			}
		})
	}
}

func TestTagsComeAndGo(t *testing.T) {
	plain := udp(ipA, ipB, 1, 2)
	tagged := udp(ipA, ipB, 1, 2)
	tagged.VLAN = &wire.VLANFields{ID: 7}
	other := udp(ipA, ipB, 1, 2)
	other.VLAN = &wire.VLANFields{ID: 9}
	tests := []struct {
		name     string
		tr       Transposition
		from, to *wire.Frame
	}{
		{"push", Transposition{PushVLAN: true, TCI: 7}, plain, tagged},
		{"pop", Transposition{PopVLAN: true}, tagged, plain},
		{"pop nothing", Transposition{PopVLAN: true}, plain, plain},
		{"swap", Transposition{PopVLAN: true, PushVLAN: true, TCI: 9}, tagged, other},
	}
	for _, tt := range tests {
		p := NewPacket(tt.from.Bytes())
		p.Parse()
		if d := tt.tr.Apply(p); d != DropNone || string(p.Bytes()) != string(tt.to.Bytes()) || p.Meta != *metaOf(p.Bytes()) {
			t.Errorf("%s: %v %s", tt.name, d, wire.Summary(p.Bytes()))
		}
	}
}

func TestTooMuchEncapsulationIsRefused(t *testing.T) {
	p := NewPacket(udp(ipA, ipB, 1, 2).Bytes())
	p.Parse()
	tr := Transposition{encap: newOuter(Encap{Kind: VXLAN, Src: ipH, Dst: ipX})}
	for range Headroom / wire.VXLANOverhead4 {
		if d := tr.Apply(p); d != DropNone {
			t.Fatal(d)
		}
	}
	if d := tr.Apply(p); d != DropEncapOversize { // the headroom is gone
		t.Errorf("one more encapsulation: %v", d)
	}
}

func TestTranspositionsDescribeThemselves(t *testing.T) {
	_, tr, _ := apply(t, udp(ipA, ipX, 1, 2).Bytes(), func(w *Walk) {
		w.H.EthSrc, w.H.Src, w.H.SrcPort, w.DecTTL = macHost, ipH, 5, 1
	})
	tr.Out = 9
	if got, want := tr.String(), "eth.src=00-15-5D-82-00-23 ip.src=10.127.130.35 ports=5>2 ttl-1 out 9"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := (&Transposition{}).String(); got != "keep" {
		t.Errorf("nothing to do is %q", got)
	}
	if got := (&Transposition{Drop: DropNoRoute}).String(); !strings.Contains(got, "NoRoute") {
		t.Errorf("a drop is %q", got)
	}
}
