package wire

import (
	"bytes"
	"sort"
	"testing"
)

// reassemble puts fragments of one datagram together again, in any order. It is
// as simple as a test helper may be: no gaps, no overlaps.
func reassemble(t testing.TB, pieces [][]byte) []byte {
	t.Helper()
	sorted := append([][]byte(nil), pieces...)
	offset := func(b []byte) int {
		var m Meta
		Parse(b, &m)
		return m.FragmentOffset(b)
	}
	sort.Slice(sorted, func(i, k int) bool { return offset(sorted[i]) < offset(sorted[k]) })
	var first Meta
	Parse(sorted[0], &first)
	var data []byte
	for i, b := range sorted {
		var m Meta
		if err := Parse(b, &m); err != OK && err != TruncatedL4 {
			t.Fatalf("fragment %d: %v", i, err)
		}
		if off := m.FragmentOffset(b); off != len(data) {
			t.Fatalf("fragment %d is at %d, want %d", i, off, len(data))
		}
		if more := i < len(sorted)-1; m.MoreFragments(b) != more {
			t.Fatalf("fragment %d: more is %v", i, !more)
		}
		if m.FragmentID(b) != first.FragmentID(sorted[0]) {
			t.Fatalf("fragment %d has another identification", i)
		}
		if err := VerifyChecksums(b); err != nil && !first.IsIPv6 {
			t.Fatalf("fragment %d: %v", i, err)
		}
		data = append(data, b[m.fragmentData():m.End]...)
	}
	out := bytes.Clone(sorted[0][:first.fragmentData()])
	if first.IsIPv4 {
		out = append(out, data...)
		ip := IPv4(out[first.L3:])
		ip.SetFrag(false, false, 0)
		ip.SetTotalLen(len(ip))
		ip.SetChecksum(0)
		ip.SetChecksum(Checksum(ip[:ip.HeaderLen()]))
		return out
	}
	h := IPv6Fragment(out[first.FragHeader:])
	// Who names the fragment header now names what is behind it.
	w := ip6NextHeader
	for at, p := IPv6Len, out[first.L3+ip6NextHeader]; p != ProtoFragment; {
		w = at
		p, at = out[first.L3+at], at+(int(out[first.L3+at+1])+1)*8
	}
	out[first.L3+w] = h.NextHeader()
	out = append(out[:first.FragHeader], data...)
	IPv6(out[first.L3:]).SetPayloadLen(len(out) - first.L3 - IPv6Len)
	return out
}

func bigUDP(from string, n int) *Frame {
	return &Frame{
		EthDst: macR, EthSrc: macH1,
		IP:      &IPFields{Src: ip(from), Dst: ip(from), ID: 0xabcd},
		UDP:     &UDPFields{SrcPort: 5000, DstPort: 53},
		Payload: bytes.Repeat([]byte("0123456789"), n/10),
	}
}

func TestFragmentIPv4CutsWhereItIsTold(t *testing.T) {
	whole := bigUDP("10.0.0.1", 100).Bytes() // 108 bytes of payload
	tests := []struct {
		name  string
		sizes []int
		want  []int
	}{
		{"no size", nil, []int{108}},
		{"one cut", []int{64}, []int{64, 44}},
		{"two cuts", []int{8, 16}, []int{8, 16, 84}},
		{"rounded down", []int{15, 70}, []int{8, 64, 36}},
		{"too small ones are skipped", []int{7, 0, -8, 40}, []int{40, 68}},
		{"beyond the end", []int{200}, []int{108}},
		{"exactly to the end", []int{104, 8}, []int{104, 4}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			pieces := FragmentIPv4(whole, tt.sizes)
			var got []int
			for _, p := range pieces {
				var m Meta
				Parse(p, &m)
				got = append(got, m.End-m.L4)
			}
			if len(got) != len(tt.want) {
				t.Fatalf("sizes %v, want %v", got, tt.want)
			}
			for i := range got {
				if got[i] != tt.want[i] {
					t.Fatalf("sizes %v, want %v", got, tt.want)
				}
			}
			checkFrame(t, "reassembled", reassemble(t, pieces), whole)
		})
	}
	if FragmentIPv4(bigUDP("fd00::1", 100).Bytes(), nil) != nil {
		t.Error("cut an IPv6 packet")
	}
}

func TestFragmentRespectsTheMTU(t *testing.T) {
	ext := bigUDP("fd00::1", 3000)
	ext.IP.Ext = []ExtFields{{Proto: ProtoHopByHop, Data: []byte{5, 2, 0, 0, 1, 0}}, {Proto: ProtoDestOpts}}
	options := bigUDP("10.0.0.1", 3000)
	options.IP.Options = []byte{0x94, 4, 0, 0, 7, 3, 4, 0}
	padded := bigUDP("10.0.0.1", 3000)
	padded.VLAN = &VLANFields{ID: 7}
	padded.PadTo = 4000
	for name, f := range map[string]*Frame{"IPv4": bigUDP("10.0.0.1", 3000), "IPv6": bigUDP("fd00::1", 3000), "extension headers": ext, "options": options, "tag and padding": padded} {
		for _, mtu := range []int{1500, 1280, 576, 100} {
			whole := f.Bytes()
			pieces, ok := Fragment(whole, mtu, 0xabcd)
			if !ok {
				t.Fatalf("%s, MTU %d: refused", name, mtu)
			}
			for i, p := range pieces {
				var m Meta
				Parse(p, &m)
				if m.L3Len() > mtu || (i < len(pieces)-1 && m.L3Len() <= mtu-8-8) {
					t.Errorf("%s, MTU %d: fragment %d has %d bytes", name, mtu, i, m.L3Len())
				}
				if m.FirstFragment != (i == 0) || !m.Fragment || m.HasL4 != (i == 0) || m.Proto != ProtoUDP && i == 0 {
					t.Errorf("%s, MTU %d: fragment %d parses as %+v", name, mtu, i, m)
				}
			}
			var m Meta
			Parse(whole, &m)
			checkFrame(t, name, reassemble(t, pieces), whole[:m.End])
		}
	}
}

func TestFragmentsOfFragmentsMakeTheOriginal(t *testing.T) {
	whole := bigUDP("10.0.0.1", 3000).Bytes()
	var all [][]byte
	first, _ := Fragment(whole, 1500, 0)
	for _, p := range first {
		more, ok := Fragment(p, 576, 0)
		if !ok {
			t.Fatal("refused")
		}
		all = append(all, more...)
	}
	if len(all) <= len(first) {
		t.Fatalf("%d fragments, then %d", len(first), len(all))
	}
	checkFrame(t, "reassembled", reassemble(t, all), whole)
}

// RFC 8200 section 4.5: what routers look at precedes the fragment header, what
// the destination looks at is cut with the data.
func TestTheFragmentHeaderFollowsWhatRoutersLookAt(t *testing.T) {
	hop, routing, dest := ExtFields{Proto: ProtoHopByHop}, ExtFields{Proto: ProtoRouting}, ExtFields{Proto: ProtoDestOpts}
	tests := []struct {
		name string
		ext  []ExtFields
		want uint16 // offset of the fragment header in the packet
	}{
		{"nothing", nil, 40}, {"hop-by-hop", []ExtFields{hop}, 48}, {"destination options", []ExtFields{dest}, 40},
		{"hop-by-hop and destination options", []ExtFields{hop, dest}, 48}, {"routing", []ExtFields{dest, routing}, 56},
		{"everything", []ExtFields{hop, dest, routing, dest}, 64},
	}
	for _, tt := range tests {
		f := bigUDP("fd00::1", 1000)
		f.IP.Ext = tt.ext
		pieces, _ := Fragment(f.Bytes(), 600, 1)
		for i, p := range pieces {
			var m Meta
			Parse(p, &m)
			if m.FragHeader != EthernetLen+tt.want {
				t.Errorf("%s: fragment %d has its header at %d, want %d", tt.name, i, m.FragHeader-EthernetLen, tt.want)
			}
		}
		checkFrame(t, tt.name, reassemble(t, pieces), f.Bytes())
	}
}

func TestOnlyCopiedOptionsAreRepeated(t *testing.T) {
	f := bigUDP("10.0.0.1", 100)
	f.IP.Options = []byte{7, 3, 4, 1, 0x94, 4, 0, 0} // record route, NOP, router alert
	pieces := FragmentIPv4(f.Bytes(), []int{48})
	for i, want := range [][]byte{{7, 3, 4, 1, 0x94, 4, 0, 0}, {0x94, 4, 0, 0}} {
		if got := IPv4(pieces[i][EthernetLen:]).Options(); !bytes.Equal(got, want) {
			t.Errorf("fragment %d has options %x, want %x", i, got, want)
		}
	}
}

func TestFragmentRefusesWhatMustNotBeCut(t *testing.T) {
	df := bigUDP("10.0.0.1", 1000)
	df.IP.DF = true
	already, _ := Fragment(bigUDP("fd00::1", 3000).Bytes(), 1280, 1)
	tests := []struct {
		name  string
		frame []byte
		mtu   int
	}{
		{"DF", df.Bytes(), 576},
		{"no room for eight bytes", bigUDP("10.0.0.1", 1000).Bytes(), 27},
		{"no room for eight bytes of IPv6", bigUDP("fd00::1", 1000).Bytes(), 55},
		{"an IPv6 fragment", already[0], 600},
		{"ARP", v5(macCB1).Bytes(), 10},
	}
	for _, tt := range tests {
		if got, ok := Fragment(tt.frame, tt.mtu, 1); ok {
			t.Errorf("%s: made %d fragments", tt.name, len(got))
		}
	}
	fits := df.Bytes()
	if got, ok := Fragment(fits, 1500, 1); !ok || len(got) != 1 || &got[0][0] != &fits[0] {
		t.Error("a frame that fits did not come back as it is")
	}
}
