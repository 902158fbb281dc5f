package wire

import (
	"bytes"
	"testing"
)

func TestEncapsulationEqualsTheBuilder(t *testing.T) {
	inner := v2Inner(macDR2, macDR1)
	for _, from := range []string{"10.127.130.35", "fd00::35"} {
		src, dst := ip(from), ip(from).Next()
		o := Outer{
			EthDst: macH2, EthSrc: macH1, Src: src, Dst: dst, TTL: 64, TOS: 0xb8, DF: src.Is4(), VNI: 5001,
			SrcPort: 50081, DstPort: 8472, FlowID: 0x2a,
		}
		h := &IPFields{Src: src, Dst: dst, TTL: 64, TOS: 0xb8, DF: src.Is4()}
		tests := []struct {
			name     string
			overhead int
			put      func([]byte, *Outer)
			want     *Frame
		}{
			{"VXLAN", o.VXLANOverhead(), PutVXLAN, &Frame{
				EthDst: macH2, EthSrc: macH1, IP: h, UDP: &UDPFields{SrcPort: 50081, DstPort: 8472, NoChecksum: src.Is4()},
				VXLAN: &VXLANFields{VNI: 5001}, Inner: inner,
			}},
			{"NVGRE", o.NVGREOverhead(), PutNVGRE, &Frame{
				EthDst: macH2, EthSrc: macH1, IP: h, NVGRE: &NVGREFields{VSID: 5001, FlowID: 0x2a}, Inner: inner,
			}},
		}
		for _, tt := range tests {
			// Whatever stood in the headroom before must not show.
			b := append(bytes.Repeat([]byte{0xff}, tt.overhead), inner.Bytes()...)
			tt.put(b, &o)
			checkFrame(t, tt.name+" over "+from, b, tt.want.Bytes())
			d := Decoder{VXLANPort: 8472}
			if err := d.VerifyChecksums(b); err != nil {
				t.Error(err)
			}
			if v, _ := Lookup(d.Describe(b), "inner.udp", "dport"); v != "53" {
				t.Errorf("%s: the inner packet is not decoded: %s", tt.name, d.Summary(b))
			}
		}
	}
}

func TestOverheadsAreTheContracts(t *testing.T) {
	if VXLANOverhead4 != 50 || VXLANOverhead6 != 70 || NVGREOverhead4 != 42 || NVGREOverhead6 != 62 {
		t.Error(VXLANOverhead4, VXLANOverhead6, NVGREOverhead4, NVGREOverhead6)
	}
}

func TestTunnelsAreReadBack(t *testing.T) {
	inner := v2Inner(macDR2, macDR1)
	flags := uint8(0xf7)
	greFlags := uint16(0x3000)
	pa := func() *IPFields { return &IPFields{Src: ipH1, Dst: ipH2} }
	mf := pa()
	mf.MF = true
	short := &Frame{IP: pa(), VXLAN: &VXLANFields{VNI: 1}, Payload: make([]byte, 13)}
	tests := []struct {
		name  string
		frame *Frame
		vxlan bool
		want  Tunnel
		ok    bool
	}{
		{"VXLAN", &Frame{IP: pa(), VXLAN: &VXLANFields{VNI: 0xabcdef}, Inner: inner}, true, Tunnel{VNI: 0xabcdef, Flags: 8, Inner: 50, End: 97}, true},
		{"VXLAN in a padded frame", &Frame{IP: pa(), VXLAN: &VXLANFields{VNI: 7}, Inner: inner, PadTo: 200}, true, Tunnel{VNI: 7, Flags: 8, Inner: 50, End: 97}, true},
		{"VXLAN without I flag", &Frame{IP: pa(), VXLAN: &VXLANFields{VNI: 7, Flags: &flags}, Inner: inner}, true, Tunnel{VNI: 7, Flags: 0xf7, Inner: 50, End: 97}, true},
		{"VXLAN without inner frame", short, true, Tunnel{}, false},
		{"a VXLAN fragment", &Frame{IP: mf, VXLAN: &VXLANFields{VNI: 7}, Inner: inner}, true, Tunnel{}, false},
		{"TCP", &Frame{IP: pa(), TCP: &TCPFields{DstPort: 4789}, Payload: make([]byte, 60)}, true, Tunnel{}, false},
		{"NVGRE", &Frame{IP: pa(), NVGRE: &NVGREFields{VSID: 5001, FlowID: 0x2a}, Inner: inner}, false, Tunnel{VNI: 5001, FlowID: 0x2a, Inner: 42, End: 89}, true},
		{"GRE with a sequence number", &Frame{IP: pa(), NVGRE: &NVGREFields{VSID: 5001, Flags: &greFlags}, Inner: inner}, false, Tunnel{}, false},
		{"NVGRE without inner frame", &Frame{IP: pa(), NVGRE: &NVGREFields{VSID: 5001}, Payload: make([]byte, 13)}, false, Tunnel{}, false},
		{"UDP is no NVGRE", inner, false, Tunnel{}, false},
	}
	for _, tt := range tests {
		b := tt.frame.Bytes()
		var m Meta
		Parse(b, &m)
		got, ok := ParseNVGRE(b, &m)
		if tt.vxlan {
			got, ok = ParseVXLAN(b, &m)
		}
		if got != tt.want || ok != tt.ok {
			t.Errorf("%s: %+v, %v, want %+v, %v", tt.name, got, ok, tt.want, tt.ok)
		}
	}
}

// A UDP length shorter than the datagram ends the inner frame early.
func TestTunnelEndsWithTheUDPLength(t *testing.T) {
	n := uint16(UDPLen + VXLANLen + 20)
	b := (&Frame{IP: &IPFields{Src: ipH1, Dst: ipH2}, UDP: &UDPFields{DstPort: 4789, Length: &n, NoChecksum: true}, VXLAN: &VXLANFields{VNI: 7}, Inner: v2Inner(macDR2, macDR1)}).Bytes()
	var m Meta
	Parse(b, &m)
	if tun, ok := ParseVXLAN(b, &m); !ok || tun.End != 50+20 {
		t.Errorf("%+v, %v", tun, ok)
	}
}
