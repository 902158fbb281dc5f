package wire

import (
	"bytes"
	"net/netip"
	"testing"
)

// errorAbout makes an ICMP error that quotes the first n bytes (0: all) of an
// IP packet.
func errorAbout(q *Frame, n int) []byte {
	quote := q.Bytes()[EthernetLen:]
	if n > 0 {
		quote = quote[:min(n, len(quote))]
	}
	f := &Frame{EthDst: macH1, EthSrc: macR, Payload: quote}
	if q.IP.Src.Is4() {
		f.IP = &IPFields{Src: ip("198.51.100.1"), Dst: q.IP.Src}
		f.ICMP = &ICMPFields{Type: ICMPTimeExceeded}
	} else {
		f.IP = &IPFields{Src: ip("2001:db8::99"), Dst: q.IP.Src}
		f.ICMP = &ICMPFields{Type: ICMP6TimeExceeded}
	}
	return f.Bytes()
}

// The quote after a rewrite is the quote of the rewritten packet: whatever the
// protocol, the IP version and the length of the quote.
func TestRewritingAQuoteIsQuotingTheRewritten(t *testing.T) {
	fragHeader := &IPFields{Src: ip("fd00::1"), Dst: ip("fd00::2"), MF: true, ID: 5, Ext: []ExtFields{{Proto: ProtoDestOpts}}}
	tests := []struct {
		name  string
		frame Frame
		quote int
	}{
		{"TCP, eight bytes", Frame{IP: &IPFields{Src: ipH1, Dst: ipX}, TCP: &TCPFields{SrcPort: 50001, DstPort: 443}}, 28},
		{"TCP, checksum included", Frame{IP: &IPFields{Src: ipH1, Dst: ipX}, TCP: &TCPFields{SrcPort: 50001, DstPort: 443}}, 38},
		{"TCP, all of it", Frame{IP: &IPFields{Src: ipH1, Dst: ipX, Options: []byte{1, 1, 1, 0}}, TCP: &TCPFields{SrcPort: 50001, DstPort: 443}, Payload: []byte("odd")}, 0},
		{"UDP, eight bytes", Frame{IP: &IPFields{Src: ipH1, Dst: ipX}, UDP: &UDPFields{SrcPort: 50001, DstPort: 443}, Payload: []byte("x")}, 28},
		{"UDP without checksum", Frame{IP: &IPFields{Src: ipH1, Dst: ipX}, UDP: &UDPFields{SrcPort: 50001, DstPort: 443, NoChecksum: true}}, 28},
		{"echo", Frame{IP: &IPFields{Src: ipH1, Dst: ipX}, ICMP: &ICMPFields{Type: ICMPEcho, ID: 50001, Seq: 7}, Payload: []byte("ping")}, 28},
		{"an unknown protocol", Frame{IP: &IPFields{Src: ipH1, Dst: ipX, Proto: 132}, Payload: []byte("12345678")}, 0},
		{"UDP over IPv6", Frame{IP: &IPFields{Src: ip("fd00::1"), Dst: ip("fd00::2")}, UDP: &UDPFields{SrcPort: 50001, DstPort: 443}, Payload: []byte("hello")}, 0},
		{"TCP over IPv6, eight bytes", Frame{IP: &IPFields{Src: ip("fd00::1"), Dst: ip("fd00::2")}, TCP: &TCPFields{SrcPort: 50001, DstPort: 443}}, 48},
		{"echo over IPv6", Frame{IP: &IPFields{Src: ip("fd00::1"), Dst: ip("fd00::2")}, ICMP: &ICMPFields{Type: ICMP6Echo, ID: 50001}}, 0},
		{"a first IPv6 fragment", Frame{IP: fragHeader, UDP: &UDPFields{SrcPort: 50001, DstPort: 443}}, 0},
		{"IPv6, header only", Frame{IP: &IPFields{Src: ip("fd00::1"), Dst: ip("fd00::2")}, UDP: &UDPFields{SrcPort: 50001}}, 40},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := errorAbout(&tt.frame, tt.quote)
			var m, inner Meta
			Parse(b, &m)
			q, ok := ParseQuoted(b, &m)
			if !ok || q.Src != tt.frame.IP.Src || q.Dst != tt.frame.IP.Dst || !q.ChecksumOK {
				t.Fatalf("%+v, %v", q, ok)
			}
			newSrc, newDst := ip("10.9.8.7"), ip("10.6.5.4")
			if !q.IsIPv4 {
				newSrc, newDst = ip("2001:db8::7"), ip("2001:db8::4")
			}
			newSport, newDport := uint16(1234), uint16(4321)
			if !RewriteQuotedSrc(b, &m, &q, newSrc, newSport) || !RewriteQuotedDst(b, &m, &q, newDst, newDport) {
				t.Fatal("refused")
			}

			// The same done to the packet itself, and quoted again.
			orig := tt.frame.Bytes()
			Parse(orig, &inner)
			SetSrc(orig, &inner, newSrc)
			SetDst(orig, &inner, newDst)
			if len(orig) == inner.End && m.End-q.L4 >= 8 {
				SetPorts(orig, &inner, newSport, newDport)
				SetICMPID(orig, &inner, newDport)
			}
			want := orig[EthernetLen:inner.End]
			if tt.quote > 0 {
				want = want[:tt.quote]
			}
			if got := b[q.L3:m.End]; !bytes.Equal(got, want) {
				t.Errorf("quote\n got %x\nwant %x", got, want)
			}
			if err := VerifyChecksums(b); err != nil {
				t.Error(err)
			}
			again, ok := ParseQuoted(b, &m)
			if !ok || again != q {
				t.Errorf("Quoted is untrue:\n%+v\n%+v", q, again)
			}
		})
	}
}

func TestParseQuotedReadsPortsOnlyWhereTheyAre(t *testing.T) {
	udp := Frame{IP: &IPFields{Src: ipH1, Dst: ipX}, UDP: &UDPFields{SrcPort: 5000, DstPort: 53}, Payload: []byte("x")}
	later := Frame{IP: &IPFields{Src: ipH1, Dst: ipX, FragOffset: 8, Proto: ProtoUDP}, Payload: make([]byte, 16)}
	later6 := Frame{IP: &IPFields{Src: ip("fd00::1"), Dst: ip("fd00::2"), FragOffset: 8, Proto: ProtoUDP}, Payload: make([]byte, 16)}
	tests := []struct {
		name       string
		b          []byte
		ok, hasL4  bool
		fragment   bool
		sport      uint16
		checksumOK bool
	}{
		{"eight bytes", errorAbout(&udp, 28), true, true, false, 5000, true},
		{"seven bytes", errorAbout(&udp, 27), true, false, false, 0, true},
		{"header only", errorAbout(&udp, 20), true, false, false, 0, true},
		{"half a header", errorAbout(&udp, 19), false, false, false, 0, false},
		{"nothing", errorAbout(&udp, 1)[:43], false, false, false, 0, false},
		{"a later fragment", errorAbout(&later, 0), true, false, true, 0, true},
		{"a later IPv6 fragment", errorAbout(&later6, 0), true, false, true, 0, true},
		{"half an IPv6 header", errorAbout(&later6, 39), false, false, false, 0, false},
	}
	for _, tt := range tests {
		var m Meta
		Parse(tt.b, &m)
		q, ok := ParseQuoted(tt.b, &m)
		if ok != tt.ok || q.HasL4 != tt.hasL4 || q.SrcPort != tt.sport || q.ChecksumOK != tt.checksumOK || q.Fragment != tt.fragment {
			t.Errorf("%s: %v %+v", tt.name, ok, q)
		}
	}

	// What follows the quoted datagram, such as RFC 4884's extensions, is no
	// part of it.
	extended := errorAbout(&Frame{IP: udp.IP, UDP: udp.UDP, PadTo: 100}, 0)
	var me Meta
	Parse(extended, &me)
	if q, ok := ParseQuoted(extended, &me); !ok || q.End != q.L3+28 || me.End != q.L3+86 {
		t.Errorf("the quote ends at %d, want %d of %d", q.End, q.L3+28, me.End)
	}

	b := errorAbout(&udp, 28)
	b[EthernetLen+IPv4MinLen+ICMPLen+ip4TTL]++ // the quoted TTL: its checksum is wrong now (NAT-54)
	var m Meta
	Parse(b, &m)
	if q, ok := ParseQuoted(b, &m); !ok || q.ChecksumOK {
		t.Errorf("a wrong quoted checksum: %v %+v", ok, q)
	}
	echo := (&Frame{IP: &IPFields{Src: ipH1, Dst: ipX}, ICMP: &ICMPFields{Type: ICMPEcho}, Payload: udp.Bytes()[14:]}).Bytes()
	Parse(echo, &m)
	if _, ok := ParseQuoted(echo, &m); ok {
		t.Error("an echo quotes nothing")
	}
}

func TestQuotedKeysAreThoseOfTheQuotedPacket(t *testing.T) {
	for _, from := range []string{"10.0.0.1", "fd00::1"} {
		f := &Frame{IP: &IPFields{Src: ip(from), Dst: ip(from).Next()}, UDP: &UDPFields{SrcPort: 5000, DstPort: 53}}
		whole, b := f.Bytes(), errorAbout(f, 0)
		var m, e Meta
		Parse(whole, &m)
		Parse(b, &e)
		q, _ := ParseQuoted(b, &e)
		if q.Key4(3) != m.Key4(whole, 3) || q.Key6(3) != m.Key6(whole, 3) {
			t.Errorf("%s: %v and %v", from, q.Key4(3), q.Key6(3))
		}
	}
}

func TestQuotesTakeNoAddressOfTheOtherVersion(t *testing.T) {
	b := errorAbout(&Frame{IP: &IPFields{Src: ipH1, Dst: ipX}, UDP: &UDPFields{}}, 0)
	want := bytes.Clone(b)
	var m Meta
	Parse(b, &m)
	q, _ := ParseQuoted(b, &m)
	for _, a := range []netip.Addr{ip("fd00::1"), {}} {
		if RewriteQuotedSrc(b, &m, &q, a, 1) || RewriteQuotedDst(b, &m, &q, a, 1) {
			t.Errorf("took %v", a)
		}
	}
	checkFrame(t, "unchanged", b, want)
}
