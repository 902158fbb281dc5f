package wire

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// seedFrames adds frames of every kind, and cut and damaged ones.
func seedFrames(f *testing.F, add func(frame []byte)) {
	for _, d := range described(f) {
		add(d.frame)
		if n := len(d.frame); n > 20 {
			add(d.frame[:n/2])
			add(d.frame[:n-1])
		}
	}
	r := rand.New(rand.NewPCG(15, 16))
	for range 30 {
		b := randomFrame(r).Bytes()
		add(b)
		b = bytes.Clone(b)
		b[r.IntN(len(b))] ^= byte(1 << r.IntN(8))
		add(b)
	}
}

// FuzzParse checks what everything else relies upon: offsets are in order and
// in the frame, and whatever takes a Meta survives it.
func FuzzParse(f *testing.F) {
	seedFrames(f, func(b []byte) { f.Add(b) })
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		var m Meta
		err := Parse(b, &m)
		dirty := Meta{L3: 1 << 40, HasL4: true, IsIPv4: true, FragHeader: 9}
		if again := Parse(b, &dirty); again != err || dirty != m {
			t.Fatalf("Parse depends on what Meta held: %v %+v, %v %+v", err, m, again, dirty)
		}
		if m.L2Len < 0 || m.L2Len > m.L3 || m.L3 > m.L4 || m.L4 > m.Payload || m.Payload > m.End && m.L2Len > 0 || m.End > len(b) {
			t.Fatalf("offsets out of order: %v %+v", err, m)
		}
		if m.HasL4 && (err != OK || !m.IsIP() || m.Fragment && !m.FirstFragment) || m.IsIPv4 && m.IsIPv6 || m.IsARP && m.IsIP() || m.FirstFragment && !m.Fragment {
			t.Fatalf("flags contradict each other: %v %+v", err, m)
		}
		if m.IsIPv4 && !IPv4(b[m.L3:]).IsValid() || m.IsIPv6 && !IPv6(b[m.L3:]).IsValid() || m.IsARP && !ARP(b[m.L3:]).IsValid() || m.L2Len > 0 && !Ethernet(b).IsValid() && err == OK {
			t.Fatalf("the view disagrees: %v %+v", err, m)
		}
		if k := m.Key4(b, 5); k.Reverse().Reverse() != k || k.Hash() != m.Key4(b, 5).Hash() {
			t.Fatal(k)
		}
		if k := m.Key6(b, 5); k.Reverse().Reverse() != k || k.Hash() != m.Key6(b, 5).Hash() {
			t.Fatal(k)
		}
		_, _, _, _, _ = m.Src(b), m.Dst(b), m.TTL(b), m.TOS(b), m.DF(b)
		_, _, _, _ = m.FragmentID(b), m.FragmentOffset(b), m.MoreFragments(b), m.FlowHash(b)
		if tun, ok := ParseVXLAN(b, &m); ok && (tun.Inner+EthernetLen > tun.End || tun.End > m.End) {
			t.Fatalf("tunnel %+v in %+v", tun, m)
		}
		if tun, ok := ParseNVGRE(b, &m); ok && (tun.Inner+EthernetLen > tun.End || tun.End > m.End) {
			t.Fatalf("tunnel %+v in %+v", tun, m)
		}
		for _, r := range []Reporter{{IP: ip("10.0.0.1")}, {IP: ip("fd00::1")}} {
			if e := r.TooBig(b, &m, 1280); e != nil && VerifyChecksums(e) != nil {
				t.Fatalf("error %s", Summary(e))
			}
			r.Unreachable(b, &m, ProtoUnreachable)
		}
		if !bytes.Equal(b, before) {
			t.Fatal("something wrote to the frame")
		}
	})
}

// FuzzDescribe checks that any bytes can be described, and every field found.
func FuzzDescribe(f *testing.F) {
	seedFrames(f, func(b []byte) { f.Add(b) })
	f.Fuzz(func(t *testing.T, b []byte) {
		layers := Describe(b)
		if len(layers) == 0 {
			t.Fatal("no layer")
		}
		for _, l := range layers {
			if l.Name == "" {
				t.Fatal("a layer without name")
			}
			for _, fl := range l.Fields {
				if fl.Name == "" || fl.Off < 0 || fl.Len < 0 || fl.Off+fl.Len > len(b) {
					t.Fatalf("%s: %+v of %d bytes", l.Name, fl, len(b))
				}
			}
		}
		if Summary(b) == "" {
			t.Fatal("no summary")
		}
		_ = VerifyChecksums(b)
	})
}

// FuzzRewrite checks that a rewrite keeps right checksums right, lengths as
// they are and Meta true.
func FuzzRewrite(f *testing.F) {
	n := 0
	seedFrames(f, func(b []byte) { n++; f.Add(b, uint8(n), uint64(n)) })
	f.Fuzz(func(t *testing.T, b []byte, which uint8, seed uint64) {
		var m, again Meta
		err := Parse(b, &m)
		d := Decoder{}
		if err == OK {
			FixChecksums(b, &m) // else mutations would rarely have right ones to keep
		}
		valid := err == OK && d.verify(b, &m) == nil
		if m.IsIPv6 && m.HasL4 && m.Proto == ProtoUDP && UDP(b[m.L4:]).Checksum() == 0 {
			valid = false // right in VXLAN only, which the port decides
		}
		before := bytes.Clone(b)
		rw := rewrites[int(which)%len(rewrites)]
		rw.apply(rand.New(rand.NewPCG(seed, 0)), b, &m)
		if e := Parse(b, &again); e != err || again != m {
			t.Fatalf("%s: Meta is untrue: %v %+v, %v %+v", rw.name, err, m, e, again)
		}
		if !valid {
			return
		}
		if e := d.verify(b, &m); e != nil {
			t.Fatalf("%s: %v\nbefore %x\nafter  %x", rw.name, e, before, b)
		}
	})
}

// FuzzQuoted checks that any quote can be read and rewritten, in the frame's
// bounds and with checksums mended.
func FuzzQuoted(f *testing.F) {
	seedFrames(f, func(b []byte) { f.Add(b, uint16(len(b))) })
	r := rand.New(rand.NewPCG(17, 18))
	for i := range 20 {
		fr := &Frame{IP: randomIP(r, i%2 == 0)}
		randomQuote(r, fr, i%2 == 0)
		f.Add(fr.Bytes(), uint16(i))
	}
	f.Fuzz(func(t *testing.T, b []byte, port uint16) {
		var m Meta
		err := Parse(b, &m)
		if err == OK {
			FixChecksums(b, &m)
		}
		valid := err == OK && Decoder{}.verify(b, &m) == nil
		q, ok := ParseQuoted(b, &m)
		if !ok {
			return
		}
		if q.L3 != m.Payload || q.L3 > q.L4 || q.L4 > q.End || q.End > m.End || q.Src.Is4() != q.IsIPv4 || q.Dst.Is4() != q.IsIPv4 {
			t.Fatalf("%+v in %+v", q, m)
		}
		_, _ = q.Key4(1), q.Key6(1)
		before := bytes.Clone(b)
		addr := ip("192.0.2.1")
		if !q.IsIPv4 {
			addr = ip("2001:db8::1")
		}
		old := q
		if !RewriteQuotedSrc(b, &m, &q, addr, port) || !RewriteQuotedDst(b, &m, &q, addr, port) {
			t.Fatal("refused")
		}
		if again, ok := ParseQuoted(b, &m); !ok || again != q {
			t.Fatalf("Quoted is untrue: %+v, %+v", q, again)
		}
		if valid && (Decoder{}).verify(b, &m) != nil {
			t.Fatalf("%v\nbefore %x\nafter  %x", Decoder{}.verify(b, &m), before, b)
		}
		RewriteQuotedDst(b, &m, &q, old.Dst, old.DstPort)
		RewriteQuotedSrc(b, &m, &q, old.Src, old.SrcPort)
		if again, _ := ParseQuoted(b, &m); again != old {
			t.Fatalf("there and back: %+v, %+v", old, again)
		}
	})
}

// FuzzParseMAC checks that what is read is written back.
func FuzzParseMAC(f *testing.F) {
	for _, s := range []string{"00-15-5D-82-00-23", "00:15:5d:82:00:23", "0015.5d82.0023", "00155d820023", "", "00-15-5D-82-00", "zz"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, err := ParseMAC(s)
		if err != nil {
			if !m.IsZero() {
				t.Fatalf("%q: an error and %v", s, m)
			}
			return
		}
		if again, err := ParseMAC(m.String()); err != nil || again != m {
			t.Fatalf("%q: %v, then %v, %v", s, m, again, err)
		}
	})
}
