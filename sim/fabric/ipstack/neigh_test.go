package ipstack

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/hnsim/hnsim/sim/wire"
)

func TestNeighboursAreResolvedOnDemandInBothVersions(t *testing.T) {
	for _, dst := range []string{"10.0.0.2:53", "[fd00::2]:53"} {
		t.Run(dst, func(t *testing.T) {
			p := mkPair(t)
			var sink udpSink
			if _, err := p.b.Listen(wire.ProtoUDP, netip.Addr{}, 53, sink.handler()); err != nil {
				t.Fatal(err)
			}
			for i := range 3 {
				_, _, err := p.a.SendUDP(p.now, UDPOptions{Dst: ap(dst), Payload: []byte{'0' + byte(i)}})
				if err != nil {
					t.Fatal(err)
				}
			}
			p.settle()
			if len(sink.got) != 3 || !strings.HasSuffix(sink.got[0], "0") || !strings.HasSuffix(sink.got[2], "2") {
				t.Errorf("received %q, want three datagrams in order", sink.got)
			}
			if n := len(p.sent["a/eth"]); n != 4 {
				t.Errorf("a sent %d frames, want one request and three datagrams:\n%s", n, summaries(p.sent["a/eth"]))
			}
			if n := len(p.sent["b/eth"]); n != 1 {
				t.Errorf("b sent %d frames, want one answer:\n%s", n, summaries(p.sent["b/eth"]))
			}
			p.sound()
			p.wantDrops()
		})
	}
}

func TestASilentNeighbourCostsThreeRequestsAndThePackets(t *testing.T) {
	for _, dst := range []string{"10.0.0.9:53", "[fd00::9]:53"} {
		p := mkPair(t)
		_, _, err := p.a.SendUDP(0, UDPOptions{Dst: ap(dst)})
		if err != nil {
			t.Fatal(err)
		}
		p.settle()
		p.wantDrops()
		p.advance(2900 * time.Millisecond)
		if n := len(p.sent["a/eth"]); n != 3 {
			t.Errorf("%s: %d requests in 2.9 s, want 3", dst, n)
		}
		p.wantDrops()
		p.advance(200 * time.Millisecond)
		p.wantDrops("a neighbor NoNeighbor")
		if len(p.a.Neighbors()) != 0 {
			t.Errorf("%s: the entry stayed: %v", dst, p.a.Neighbors())
		}
		_, _, _ = p.a.SendUDP(p.now, UDPOptions{Dst: ap(dst)})
		if n := len(p.sent["a/eth"]); n != 4 {
			t.Errorf("%s: a new packet did not ask again", dst)
		}
	}
}

func TestNoMoreThanSixteenPacketsWaitForANeighbour(t *testing.T) {
	p := mkPair(t)
	for range 18 {
		_, _, _ = p.a.SendUDP(0, UDPOptions{Dst: ap("10.0.0.9:53")})
	}
	p.wantDrops("a neighbor QueueFull", "a neighbor QueueFull")
	p.advance(4 * time.Second)
	if len(p.drops) != 18 {
		t.Errorf("%d drops, want each packet dropped once", len(p.drops))
	}
}

func TestWhatIsLearnedFromARP(t *testing.T) {
	other := wire.MustMAC("02-00-00-00-00-77")
	arp := func(op uint16, sender, target string) []byte {
		f := wire.Frame{EthDst: wire.Broadcast, EthSrc: other, ARP: &wire.ARPFields{
			Op: op, SenderMAC: other, SenderIP: ip(sender), TargetIP: ip(target),
		}}
		return f.Bytes()
	}
	tests := []struct {
		name  string
		known func(s *Stack)
		frame []byte
		want  string // the entry for 10.0.0.7
		reply bool
	}{
		{"a request for our address makes an entry and is answered", nil, arp(1, "10.0.0.7", "10.0.0.1"), other.String(), true},
		{"a request for another address makes none", nil, arp(1, "10.0.0.7", "10.0.0.3"), "", false},
		{"an unasked reply makes none", nil, arp(2, "10.0.0.7", "10.0.0.1"), "", false},
		{"a gratuitous request updates an entry", func(s *Stack) { s.learn(0, s.ifaces[0], ip("10.0.0.7"), wire.MAC{2}, true) },
			arp(1, "10.0.0.7", "10.0.0.7"), other.String(), false},
		{"nothing updates a static entry", func(s *Stack) { _ = s.SetNeighbor(0, "eth", ip("10.0.0.7"), wire.MAC{2}) },
			arp(1, "10.0.0.7", "10.0.0.1"), wire.MAC{2}.String(), true},
		{"a request that claims our address is ignored", nil, arp(1, "10.0.0.1", "10.0.0.1"), "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := mkPair(t)
			if tt.known != nil {
				tt.known(p.a)
			}
			p.ia.Receive(0, tt.frame, 1)
			got := ""
			for _, n := range p.a.Neighbors() {
				if n.Addr == ip("10.0.0.7") {
					got = n.MAC.String()
				}
			}
			if got != tt.want {
				t.Errorf("entry %q, want %q", got, tt.want)
			}
			if replied := len(p.sent["a/eth"]) > 0; replied != tt.reply {
				t.Errorf("replied %v, want %v", replied, tt.reply)
			}
		})
	}
}

func TestAnAdvertisementSaysThatItIsSolicitedAndWhetherItIsARouters(t *testing.T) {
	n := mkRouted(t)
	if _, err := n.a.Ping(0, PingOptions{Dst: ip("fd02::1")}); err != nil {
		t.Fatal(err)
	}
	n.settle()
	var got string
	for _, f := range n.sent["r/left"] {
		var m wire.Meta
		wire.Parse(f, &m)
		if nd, ok := wire.NDOf(f, &m); ok && nd.Type() == wire.ICMP6NeighborAdv {
			got = fmt.Sprintf("%02x", nd.Flags())
		}
	}
	if got != "e0" {
		t.Errorf("flags %s of the router's advertisement, want e0: router, solicited, override", got)
	}
	n.sound()
}

func TestAnAdvertisementWithoutOverrideLeavesTheEntry(t *testing.T) {
	for _, tt := range []struct {
		flags uint8
		want  wire.MAC
	}{{0, wire.MAC{2, 0, 0, 0, 0, 2}}, {wire.NDOverride, wire.MAC{2, 9}}} {
		p := mkPair(t)
		p.a.learn(0, p.ia, ip("fd00::2"), wire.MAC{2, 0, 0, 0, 0, 2}, true)
		f := wire.Frame{EthDst: wire.MulticastMAC6(wire.Addr16(allNodes)), EthSrc: wire.MAC{2, 9},
			IP: &wire.IPFields{Src: ip("fd00::2"), Dst: allNodes},
			ND: &wire.NDFields{Type: wire.ICMP6NeighborAdv, Flags: tt.flags, Target: ip("fd00::2"), TargetLL: wire.MAC{2, 9}}}
		p.ia.Receive(0, f.Bytes(), 1)
		if got := p.a.Neighbors()[0].MAC; got != tt.want {
			t.Errorf("flags %#x: entry %s, want %s", tt.flags, got, tt.want)
		}
	}
}

func TestNeighbourDiscoveryFromBehindARouterIsDropped(t *testing.T) {
	p := mkPair(t)
	f := wire.Frame{EthDst: wire.MAC{2, 0, 0, 0, 0, 1}, EthSrc: wire.MAC{2, 9},
		IP: &wire.IPFields{Src: ip("fd00::7"), Dst: ip("fd00::1"), TTL: 254},
		ND: &wire.NDFields{Type: wire.ICMP6NeighborSol, Target: ip("fd00::1"), SourceLL: wire.MAC{2, 9}}}
	p.ia.Receive(0, f.Bytes(), 1)
	p.wantDrops("a nd Malformed")
}

func TestResolveAsksAndHoldSendsWhenTheAnswerIsThere(t *testing.T) {
	n := mkRouted(t)
	frame := make([]byte, 60)
	if _, _, ok := n.a.Resolve(0, ip("10.2.0.1")); ok {
		t.Fatal("resolved without having asked")
	}
	var out []string
	n.a.HoldFor(0, ip("10.2.0.1"), frame, 7, func(_ int64, f []byte, id uint64) {
		out = append(out, fmt.Sprintf("%s>%s %d", wire.Ethernet(f).Src(), wire.Ethernet(f).Dst(), id))
	})
	n.settle()
	want := "02-00-00-00-00-01>02-00-00-00-00-03 7"
	if len(out) != 1 || out[0] != want {
		t.Errorf("held frame went %q, want once %q: the router is the next hop", out, want)
	}
	src, dst, ok := n.a.Resolve(n.now, ip("10.2.0.1"))
	if !ok || src != (wire.MAC{2, 0, 0, 0, 0, 1}) || dst != (wire.MAC{2, 0, 0, 0, 0, 3}) {
		t.Errorf("Resolve is %s %s %v", src, dst, ok)
	}
	n.b.RemoveRoute(netip.MustParsePrefix("0.0.0.0/0"), netip.Addr{})
	n.b.Hold(n.now, ip("10.9.0.1"), frame)
	n.wantDrops("b neighbor NoRoute")
}

func TestProbeAsksAlsoForWhatIsKnown(t *testing.T) {
	p := mkPair(t)
	p.a.learn(0, p.ia, ip("10.0.0.2"), wire.MAC{2, 9}, true)
	known, err := p.a.Probe(0, "", ip("10.0.0.2"))
	if err != nil {
		t.Fatal(err)
	}
	silent, _ := p.a.Probe(0, "eth", ip("fd00::77"))
	p.settle()
	if !known.Done || known.MAC != (wire.MAC{2, 0, 0, 0, 0, 2}) {
		t.Errorf("probe of a neighbour: %+v", *known)
	}
	if silent.Done {
		t.Error("probe of nobody is done before its time")
	}
	p.advance(4 * time.Second)
	if !silent.Done || !silent.MAC.IsZero() {
		t.Errorf("probe of nobody: %+v", *silent)
	}
	p.wantDrops()
}

func TestRemovingAnInterfaceDropsWhatWaitsThere(t *testing.T) {
	p := mkPair(t)
	for _, d := range []string{"10.0.0.9:1", "10.0.0.8:1"} {
		_, _, _ = p.a.SendUDP(0, UDPOptions{Dst: ap(d)})
	}
	p.a.RemoveInterface(0, "eth")
	p.wantDrops("a neighbor NoNeighbor", "a neighbor NoNeighbor")
	if r := p.a.Routes(); len(r) != 0 {
		t.Errorf("routes stayed: %v", r)
	}
	if _, _, err := p.a.SendUDP(0, UDPOptions{Dst: ap("10.0.0.2:1")}); err == nil {
		t.Error("sent without interface")
	}
	p.advance(10 * time.Second)
	if len(p.sent["a/eth"]) != 2 {
		t.Error("requests went on after the interface was gone")
	}
}
