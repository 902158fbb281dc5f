package vfp

import (
	"net/netip"
	"testing"

	"github.com/hnsim/hnsim/sim/wire"
)

var ipRouter = ip("198.51.100.1")

// unreachable is an ICMP error about the given frame, from somebody on the
// way or the destination itself, to the frame's sender.
func unreachable(t *testing.T, from netip.Addr, about []byte) *wire.Frame {
	t.Helper()
	var m wire.Meta
	if wire.Parse(about, &m) != wire.OK {
		t.Fatal("cannot quote a broken frame")
	}
	to := m.Src(about)
	typ := uint8(wire.ICMPUnreachable)
	if to.Is6() {
		typ = wire.ICMP6Unreachable
	}
	return &wire.Frame{
		EthSrc: macOf(from), EthDst: macOf(to),
		IP:      &wire.IPFields{Src: from, Dst: to, TTL: 60},
		ICMP:    &wire.ICMPFields{Type: typ, Code: 1},
		Payload: about[m.L3:min(m.End, m.L4+8)],
	}
}

func quoted(t *testing.T, frame []byte) wire.Quoted {
	t.Helper()
	var m wire.Meta
	wire.Parse(frame, &m)
	q, ok := wire.ParseQuoted(frame, &m)
	if !ok || !q.ChecksumOK {
		t.Fatalf("no sound quote in %s", wire.Summary(frame))
	}
	return q
}

func TestICMPErrorsAboutAFlowPassItsACL(t *testing.T) { // ACL-10
	both(t, PortLimits{}, func(t *testing.T, l *lab) {
		l.program(portA, aclLayer(Reevaluate,
			out(allow("web", Match{DstPorts: []PortRange{ports(80, 80)}})), in(deny("all", Match{}))))
		sent := l.want(t, portA, tcp(ipA, ipB, 7, 80, syn).Bytes(), portB, nil)
		l.want(t, portB, unreachable(t, ipB, sent).Bytes(), portA, unreachable(t, ipB, sent))
		other := unreachable(t, ipB, tcp(ipA, ipB, 7, 81, syn).Bytes())
		l.wantDrop(t, portB, other.Bytes(), DropVfpBlock)
		forged := unreachable(t, ipB, tcp(ipB, ipA, 80, 7, syn).Bytes()) // about a packet of ours, sent to ourselves
		forged.IP.Dst, forged.EthDst = ipA, macA
		l.wantDrop(t, portB, forged.Bytes(), DropVfpBlock)
		// Errors do not keep a flow alive, and there is none for the error.
		l.now += seconds(59)
		l.want(t, portB, unreachable(t, ipB, sent).Bytes(), portA, nil)
		l.now += seconds(1)
		l.wantDrop(t, portB, unreachable(t, ipB, sent).Bytes(), DropVfpBlock)
		l.wantDrop(t, portB, echo(ipB, ipA, wire.ICMPEcho, 1).Bytes(), DropVfpBlock)
	})
}

func TestICMPErrorsAboutATranslatedFlowAreTranslated(t *testing.T) { // compare NAT-53
	both(t, PortLimits{}, func(t *testing.T, l *lab) {
		natLab(t, l, 0)
		for _, f := range []*wire.Frame{tcp(ipA, ipX, 49700, 443, syn), udp(ipA, ipX, 49700, 443), echo(ipA, ipX, wire.ICMPEcho, 77)} {
			sent := l.want(t, portA, f.Bytes(), portWire, nil)
			got := l.want(t, portWire, unreachable(t, ipRouter, sent).Bytes(), portA, nil)
			var m wire.Meta
			wire.Parse(got, &m)
			q := quoted(t, got)
			orig := HeaderOf(f.Bytes(), metaOf(f.Bytes()))
			if m.Src(got) != ipRouter || m.Dst(got) != ipA || q.Src != ipA || q.Dst != ipX || q.SrcPort != orig.SrcPort || q.DstPort != orig.DstPort {
				t.Errorf("the sender sees %s", wire.Summary(got))
			}
		}
		stray := tcp(ipH, ipX, 60000, 443, syn).Bytes()
		l.wantDrop(t, portWire, unreachable(t, ipRouter, stray).Bytes(), DropNoMapping)
		sent := l.want(t, portA, udp(ipA, ipX, 49700, 443).Bytes(), portWire, nil)
		bad := unreachable(t, ipRouter, sent)
		bad.Payload = append([]byte(nil), bad.Payload...)
		bad.Payload[10] ^= 1 // the quoted checksum
		l.wantDrop(t, portWire, bad.Bytes(), DropNoMapping)
	})
}

func TestICMPErrorsFromTheTranslatedSideAreTranslated(t *testing.T) {
	v6 := func(s string) netip.Addr { return ip(s) }
	tests := []struct {
		name             string
		client, vip, dip netip.Addr
	}{
		{"IPv4", ipA, ipVIP, ipB},
		{"IPv6", v6("fd00::1"), v6("fd00:ffff::10"), v6("fd00::2")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			both(t, PortLimits{}, func(t *testing.T, l *lab) {
				l.program(portA, Layer{Name: "LB", Groups: []Group{out(Rule{ID: "vip", Match: Match{Dst: at(tt.vip)}, Stateful: true,
					Action: SetHeaders{Dst: tt.dip, DstPort: ptr(uint16(8080)), EthDst: &macB}})}})
				f := udp(tt.client, tt.vip, 5, 80)
				f.EthSrc = macA
				sent := l.want(t, portA, f.Bytes(), portB, nil)
				icmp := unreachable(t, tt.dip, sent) // the backend itself complains
				icmp.EthSrc, icmp.EthDst = macB, macA
				got := l.want(t, portB, icmp.Bytes(), portA, nil)
				var m wire.Meta
				wire.Parse(got, &m)
				q := quoted(t, got)
				if m.Src(got) != tt.vip || q.Dst != tt.vip || q.DstPort != 80 || q.Src != tt.client {
					t.Errorf("the client sees %s", wire.Summary(got))
				}
				// The other way: the client complains about the reply.
				reply := l.want(t, portB, answer(sent), portA, nil)
				icmp = unreachable(t, tt.client, reply)
				icmp.EthSrc, icmp.EthDst = macA, macR
				got = l.want(t, portA, icmp.Bytes(), portB, nil)
				wire.Parse(got, &m)
				q = quoted(t, got)
				if m.Dst(got) != tt.dip || q.Src != tt.dip || q.SrcPort != 8080 || q.Dst != tt.client {
					t.Errorf("the backend sees %s", wire.Summary(got))
				}
			})
		})
	}
}

func TestBothPortsTranslateWhatAnErrorQuotes(t *testing.T) {
	both(t, PortLimits{}, func(t *testing.T, l *lab) {
		natLab(t, l, 0)
		// B publishes port 443 of X as its own 8443, so the way from A to B
		// translates twice.
		l.program(portB, Layer{Name: "NAT", Groups: []Group{
			in(Rule{ID: "pub", Match: Match{Dst: at(ipX)}, Stateful: true, Action: SetHeaders{Dst: ipB, DstPort: ptr(uint16(8443)), EthDst: &macB}})}})
		f := tcp(ipA, ipX, 49700, 443, syn)
		f.EthDst = macB
		sent := l.want(t, portA, f.Bytes(), portB, nil)
		icmp := unreachable(t, ipRouter, sent)
		icmp.EthDst = macA
		got := l.want(t, portB, icmp.Bytes(), portA, nil)
		q := quoted(t, got)
		if q.Src != ipA || q.SrcPort != 49700 || q.Dst != ipX || q.DstPort != 443 {
			t.Errorf("the sender sees %s", wire.Summary(got))
		}
	})
}

func metaOf(frame []byte) *wire.Meta {
	var m wire.Meta
	wire.Parse(frame, &m)
	return &m
}

func TestFragmentsFollowTheirFirst(t *testing.T) {
	big := func() []byte {
		f := udp(ipA, ipX, 49700, 443)
		f.Payload = make([]byte, 3000)
		f.IP.ID = 0x4242
		return f.Bytes()
	}
	both(t, PortLimits{}, func(t *testing.T, l *lab) {
		pool := natLab(t, l, 0)
		frags, ok := wire.Fragment(big(), 1500, 0)
		if !ok || len(frags) != 3 {
			t.Fatalf("%d fragments", len(frags))
		}
		l.wantDrop(t, portA, frags[1], DropNatFragmentTimeout) // before the first
		var back [][]byte
		for _, f := range frags {
			r := l.send(portA, f)
			if r.drop != DropNone || metaOf(r.frame).Src(r.frame) != ipH {
				t.Fatalf("fragment: %v", r)
			}
			back = append(back, r.frame)
		}
		if pool.InUse() != 0 || l.port(portA).Flows() != 1 {
			t.Errorf("%d flows", l.port(portA).Flows())
		}
		whole := reassemble(t, back)
		if err := wire.VerifyChecksums(whole); err != nil {
			t.Errorf("the datagram has %v", err)
		}
		replies, _ := wire.Fragment(answer(whole), 1500, 0)
		for i, f := range replies {
			r := l.send(portWire, f)
			if r.drop != DropNone || metaOf(r.frame).Dst(r.frame) != ipA {
				t.Fatalf("fragment %d of the reply: %v", i, r)
			}
		}
		l.now += FragmentIdle
		l.wantDrop(t, portA, frags[2], DropNatFragmentTimeout)
	})
}

// reassemble puts IPv4 fragments together that come in order.
func reassemble(t *testing.T, frags [][]byte) []byte {
	t.Helper()
	m := metaOf(frags[0])
	b := append([]byte(nil), frags[0][:m.End]...)
	for _, f := range frags[1:] {
		m := metaOf(f)
		b = append(b, f[m.L4:m.End]...)
	}
	h := wire.IPv4(b[m.L3:])
	h.SetTotalLen(len(b) - m.L3)
	h.SetFrag(false, false, 0)
	h.SetChecksum(0)
	h.SetChecksum(wire.Checksum(b[m.L3 : m.L3+h.HeaderLen()]))
	return b
}

func TestTheFragmentTableForgetsTheOldest(t *testing.T) {
	l := newLab(false, PortLimits{Fragments: 4})
	natLab(t, l, 0)
	var tails [][]byte
	for i := range 6 {
		f := udp(ipA, ipX, uint16(i+1), 443)
		f.Payload, f.IP.ID = make([]byte, 2000), uint32(i)
		frags, _ := wire.Fragment(f.Bytes(), 1500, 0)
		l.send(portA, frags[0])
		tails = append(tails, frags[1])
	}
	for i, f := range tails {
		want := DropNone
		if i < 2 {
			want = DropNatFragmentTimeout
		}
		if r := l.send(portA, f); r.drop != want {
			t.Errorf("datagram %d of 6 with room for 4: %v, want drop %v", i, r, want)
		}
	}
}
