package wire

import "testing"

func BenchmarkParse(b *testing.B) {
	v := readVectors(b)
	for _, f := range []struct {
		name  string
		frame []byte
	}{
		{"tcp4", v["V1-in"]}, {"udp4", v["V2-in"]}, {"icmp4", v["V3-in"]}, {"arp", v["V5-in"]},
		{"udp6", bigUDP("fd00::1", 100).Bytes()},
	} {
		b.Run(f.name, func(b *testing.B) {
			b.ReportAllocs()
			var m Meta
			for b.Loop() {
				Parse(f.frame, &m)
			}
		})
	}
}

func BenchmarkParseAndKey(b *testing.B) {
	f4, f6 := readVectors(b)["V1-in"], bigUDP("fd00::1", 100).Bytes()
	b.Run("v4", func(b *testing.B) {
		var m Meta
		var sink uint64
		for b.Loop() {
			Parse(f4, &m)
			sink += m.Key4(f4, 4096).Hash()
		}
		_ = sink
	})
	b.Run("v6", func(b *testing.B) {
		var m Meta
		var sink uint64
		for b.Loop() {
			Parse(f6, &m)
			sink += m.Key6(f6, 4096).Hash()
		}
		_ = sink
	})
}

func BenchmarkRewrite(b *testing.B) {
	f4, f6 := readVectors(b)["V1-in"], bigUDP("fd00::1", 100).Bytes()
	var m4, m6 Meta
	Parse(f4, &m4)
	Parse(f6, &m6)
	b.Run("SetIPv4Src", func(b *testing.B) {
		for i := uint32(0); b.Loop(); i++ {
			SetIPv4Src(f4, &m4, i)
		}
	})
	b.Run("SetPorts", func(b *testing.B) {
		for i := uint16(0); b.Loop(); i++ {
			SetPorts(f4, &m4, i, 443)
		}
	})
	b.Run("SetIPv6Src", func(b *testing.B) {
		for i := byte(0); b.Loop(); i++ {
			SetIPv6Src(f6, &m6, [16]byte{15: i})
		}
	})
	b.Run("PutVXLAN", func(b *testing.B) {
		o := Outer{Src: ipH1, Dst: ipH2, TTL: 128, VNI: 4096, SrcPort: 50000, DstPort: 4789}
		frame := make([]byte, 50+100)
		for b.Loop() {
			PutVXLAN(frame, &o)
		}
	})
}

func BenchmarkChecksum1500(b *testing.B) {
	data := make([]byte, 1500)
	b.SetBytes(1500)
	for b.Loop() {
		Checksum(data)
	}
}
