package wire

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"
)

// rewrites is every rewrite, with arguments from r. Addresses and ports come
// from a small set at times, so that "no change" and zeros are tried.
var rewrites = []struct {
	name  string
	apply func(r *rand.Rand, b []byte, m *Meta)
}{
	{"SetSrc", func(r *rand.Rand, b []byte, m *Meta) { SetSrc(b, m, randomAddr(r, m.IsIPv4)) }},
	{"SetDst", func(r *rand.Rand, b []byte, m *Meta) { SetDst(b, m, randomAddr(r, m.IsIPv4)) }},
	{"SetIPv4Src to zero", func(_ *rand.Rand, b []byte, m *Meta) { SetIPv4Src(b, m, 0) }},
	{"SetIPv4Dst to ones", func(_ *rand.Rand, b []byte, m *Meta) { SetIPv4Dst(b, m, 0xffffffff) }},
	{"SetIPv6Src to zero", func(_ *rand.Rand, b []byte, m *Meta) { SetIPv6Src(b, m, [16]byte{}) }},
	{"SetIPv6Dst", func(r *rand.Rand, b []byte, m *Meta) { SetIPv6Dst(b, m, Addr16(randomAddr(r, false))) }},
	{"SetPorts", func(r *rand.Rand, b []byte, m *Meta) { SetPorts(b, m, randomPort(r), randomPort(r)) }},
	{"SetPorts to zero", func(_ *rand.Rand, b []byte, m *Meta) { SetPorts(b, m, 0, 0) }},
	{"SetSrcPort", func(r *rand.Rand, b []byte, m *Meta) { SetSrcPort(b, m, randomPort(r)) }},
	{"SetDstPort", func(r *rand.Rand, b []byte, m *Meta) { SetDstPort(b, m, randomPort(r)) }},
	{"SetICMPID", func(r *rand.Rand, b []byte, m *Meta) { SetICMPID(b, m, uint16(r.IntN(3))) }},
	{"DecTTL", func(r *rand.Rand, b []byte, m *Meta) { DecTTL(b, m, uint8(r.IntN(3))) }},
	{"SetTOS", func(r *rand.Rand, b []byte, m *Meta) { SetTOS(b, m, uint8(r.Uint32())) }},
	{"ClampMSS", func(r *rand.Rand, b []byte, m *Meta) { ClampMSS(b, m, uint16(r.Uint32())) }},
	{"SetNDLinkAddr", func(r *rand.Rand, b []byte, m *Meta) { SetNDLinkAddr(b, m, randomMAC(r)) }},
	{"RewriteQuotedSrc", func(r *rand.Rand, b []byte, m *Meta) {
		if q, ok := ParseQuoted(b, m); ok {
			RewriteQuotedSrc(b, m, &q, randomAddr(r, m.IsIPv4), randomPort(r))
		}
	}},
	{"RewriteQuotedDst", func(r *rand.Rand, b []byte, m *Meta) {
		if q, ok := ParseQuoted(b, m); ok {
			RewriteQuotedDst(b, m, &q, randomAddr(r, m.IsIPv4), randomPort(r))
		}
	}},
}

func TestMendedChecksumsEqualRecomputedOnes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	changed := make([]int, len(rewrites))
	for range 20000 {
		b := randomFrame(r).Bytes()
		var m Meta
		if err := Parse(b, &m); err != OK {
			t.Fatalf("%v: %s", err, Summary(b))
		}
		if err := VerifyChecksums(b); err != nil {
			t.Fatalf("before: %v: %s", err, Summary(b))
		}
		i := r.IntN(len(rewrites))
		before := bytes.Clone(b)
		rewrites[i].apply(r, b, &m)
		if !bytes.Equal(b, before) {
			changed[i]++
		}
		if err := VerifyChecksums(b); err != nil {
			t.Fatalf("%s: %v\nbefore %s\nafter  %s", rewrites[i].name, err, Summary(before), Summary(b))
		}
		// Not just congruent: the same bytes as a fresh computation.
		fresh := bytes.Clone(b)
		FixChecksums(fresh, &m)
		if !bytes.Equal(b, fresh) {
			t.Fatalf("%s:\nmended     %x\nrecomputed %x", rewrites[i].name, b, fresh)
		}
		var again Meta
		if Parse(b, &again); again != m {
			t.Fatalf("%s left Meta untrue:\n%+v\n%+v", rewrites[i].name, m, again)
		}
	}
	for i, n := range changed {
		if n == 0 {
			t.Errorf("%s never changed a frame", rewrites[i].name)
		}
	}
}

func TestRewritesKeepAWrongChecksumWrongByTheSameAmount(t *testing.T) {
	f := v1(macGW, macCN1, ipCN1, 49700, 128)
	wrong := uint16(0x1111)
	f.TCP.Checksum = &wrong
	b := f.Bytes()
	var m Meta
	Parse(b, &m)
	SetIPv4Src(b, &m, Addr4(ipH1))
	SetSrcPort(b, &m, 50001)
	if err := VerifyChecksums(b); !errors.Is(err, ErrChecksum) {
		t.Fatalf("after rewriting: %v, want a wrong TCP checksum", err)
	}
	SetSrcPort(b, &m, 49700)
	SetIPv4Src(b, &m, Addr4(ipCN1))
	checkFrame(t, "there and back", b, f.Bytes())
}

func TestRewritesLeaveAMissingUDPChecksumMissing(t *testing.T) {
	for _, from := range []string{"10.0.0.1", "fd00::1"} {
		f := &Frame{IP: &IPFields{Src: ip(from), Dst: ip(from)}, UDP: &UDPFields{SrcPort: 5000, DstPort: 6000, NoChecksum: true}}
		b := f.Bytes()
		var m Meta
		Parse(b, &m)
		SetPorts(b, &m, 1, 2)
		SetIPv4Src(b, &m, 7)
		SetIPv6Src(b, &m, [16]byte{1})
		if c := UDP(b[m.L4:]).Checksum(); c != 0 {
			t.Errorf("%s: checksum %#04x, want 0", from, c)
		}
	}
}

// A computed UDP checksum of 0 goes out as 0xffff. Every port is tried, so one
// of them hits it.
func TestAComputedUDPChecksumOfZeroBecomesOnes(t *testing.T) {
	b := v2Inner(macDR1, macCO11).Bytes()
	var m Meta
	Parse(b, &m)
	ones := 0
	for port := range 1 << 16 {
		SetSrcPort(b, &m, uint16(port))
		switch UDP(b[m.L4:]).Checksum() {
		case 0:
			t.Fatalf("port %d: the checksum went missing", port)
		case 0xffff:
			ones++
		}
	}
	if ones == 0 {
		t.Error("no port made the checksum 0xffff")
	}
}

func TestAnEchoReplyOfZerosGetsTheOtherZeroChecksum(t *testing.T) {
	f := &Frame{IP: &IPFields{Src: ipX, Dst: ipH1}, ICMP: &ICMPFields{Type: ICMPEchoReply, ID: 77}, Payload: make([]byte, 32)}
	b := f.Bytes()
	var m Meta
	Parse(b, &m)
	SetICMPID(b, &m, 0)
	f.ICMP.ID = 0
	checkFrame(t, "all zeros", b, f.Bytes())
	if c := ICMPv4(b[m.L4:]).Checksum(); c != 0xffff {
		t.Errorf("checksum %#04x, want 0xffff", c)
	}
	SetICMPID(b, &m, 77)
	f.ICMP.ID = 77
	checkFrame(t, "and back", b, f.Bytes())
}

func TestDecTTLRefusesToLeaveNone(t *testing.T) {
	tests := []struct {
		ttl, by uint8
		ok      bool
		left    uint8
	}{
		{128, 1, true, 127}, {2, 1, true, 1}, {1, 1, false, 1}, {5, 5, false, 5}, {5, 4, true, 1}, {5, 0, true, 5}, {1, 0, true, 1},
	}
	for _, tt := range tests {
		for _, from := range []string{"10.0.0.1", "fd00::1"} {
			b := (&Frame{IP: &IPFields{Src: ip(from), Dst: ip(from), TTL: tt.ttl}, UDP: &UDPFields{}}).Bytes()
			var m Meta
			Parse(b, &m)
			if ok := DecTTL(b, &m, tt.by); ok != tt.ok || m.TTL(b) != tt.left {
				t.Errorf("%s TTL %d minus %d: %v and %d left, want %v and %d", from, tt.ttl, tt.by, ok, m.TTL(b), tt.ok, tt.left)
			}
		}
	}
}

func TestFragmentsAreRewrittenLikeTheWholeDatagram(t *testing.T) {
	for _, f := range []*Frame{
		{IP: &IPFields{Src: ipCN1, Dst: ipX, ID: 9}, UDP: &UDPFields{SrcPort: 5000, DstPort: 53}, Payload: bytes.Repeat([]byte("abc"), 500)},
		{IP: &IPFields{Src: ip("fd00::1"), Dst: ip("fd00::2")}, UDP: &UDPFields{SrcPort: 5000, DstPort: 53}, Payload: bytes.Repeat([]byte("abc"), 500)},
	} {
		whole := f.Bytes()
		pieces, ok := Fragment(whole, 600, 9)
		if !ok || len(pieces) < 3 {
			t.Fatalf("%d fragments, %v", len(pieces), ok)
		}
		change := func(b []byte) {
			var m Meta
			Parse(b, &m)
			SetIPv4Src(b, &m, Addr4(ipH1))
			SetIPv6Src(b, &m, Addr16(ip("2001:db8::35")))
			SetSrcPort(b, &m, 50001)
		}
		change(whole)
		for _, p := range pieces {
			change(p)
		}
		checkFrame(t, "reassembled", reassemble(t, pieces), whole)
	}
}

func TestRewritesThatDoNotFitChangeNothing(t *testing.T) {
	arp := v5(macCB1).Bytes()
	later := FragmentIPv4(v1(macGW, macCN1, ipCN1, 49700, 128).Bytes(), []int{8})[1]
	for name, b := range map[string][]byte{"ARP": arp, "a later fragment": later} {
		want := bytes.Clone(b)
		var m Meta
		Parse(b, &m)
		SetIPv6Src(b, &m, [16]byte{1})
		SetIPv6Dst(b, &m, [16]byte{1})
		SetPorts(b, &m, 1, 2)
		SetICMPID(b, &m, 3)
		ClampMSS(b, &m, 500)
		SetNDLinkAddr(b, &m, macH1)
		if SetSrc(b, &m, ip("fd00::1")) || SetDst(b, &m, ip("fd00::1")) {
			t.Errorf("%s took an IPv6 address", name)
		}
		checkFrame(t, name, b, want)
	}
}
