package ipstack

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

func TestARouterTellsTheSenderWhatWentWrong(t *testing.T) {
	tests := []struct {
		name  string
		ping  PingOptions
		set   func(n *routed)
		want  ICMPError // From, Type, Code, MTU
		drops []string
	}{
		{"the TTL ran out", PingOptions{Dst: ip("10.2.0.1"), TTL: 1}, nil,
			ICMPError{From: ip("10.1.0.254"), Type: 11}, []string{"r forward TtlExceeded"}},
		{"the hop limit ran out", PingOptions{Dst: ip("fd02::1"), TTL: 1}, nil,
			ICMPError{From: ip("fd01::fe"), Type: 3}, []string{"r forward TtlExceeded"}},
		{"no route", PingOptions{Dst: ip("10.9.0.1")}, nil,
			ICMPError{From: ip("10.1.0.254"), Type: 3, Code: 0}, []string{"r forward NoRoute"}},
		{"no IPv6 route", PingOptions{Dst: ip("fd09::1")}, nil,
			ICMPError{From: ip("fd01::fe"), Type: 1, Code: 0}, []string{"r forward NoRoute"}},
		{"longer than the next link with DF", PingOptions{Dst: ip("10.2.0.1"), Size: 1400, DF: true},
			func(n *routed) { n.rRight.SetMTU(1300) },
			ICMPError{From: ip("10.1.0.254"), Type: 3, Code: 4, MTU: 1300}, []string{"r forward FragNeeded"}},
		{"IPv6 is never fragmented on the way", PingOptions{Dst: ip("fd02::1"), Size: 1400},
			func(n *routed) { n.rRight.SetMTU(1300) },
			ICMPError{From: ip("fd01::fe"), Type: 2, Code: 0, MTU: 1300}, []string{"r forward FragNeeded"}},
		{"not a router, so silence", PingOptions{Dst: ip("10.2.0.1")},
			func(n *routed) { n.r.SetForwarding(false) }, ICMPError{}, []string{"r forward NotForwarding"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := mkRouted(t)
			if tt.set != nil {
				tt.set(n)
			}
			e, err := n.a.Ping(0, tt.ping)
			if err != nil {
				t.Fatal(err)
			}
			n.settle()
			got := e.Error
			got.Proto, got.Src, got.Dst = 0, netip.AddrPort{}, netip.AddrPort{}
			if got != tt.want || e.OK {
				t.Errorf("error %+v, want %+v (ok %v)", got, tt.want, e.OK)
			}
			n.wantDrops(tt.drops...)
			n.sound()
		})
	}
}

func TestTheQuoteIsThePacketAsItWasSent(t *testing.T) {
	n := mkRouted(t)
	e, _ := n.a.Ping(0, PingOptions{Dst: ip("10.2.0.1"), ID: 7, TTL: 1})
	n.settle()
	if e.Error.Src != ap("10.1.0.1:7") || e.Error.Dst != ap("10.2.0.1:7") {
		t.Errorf("quoted %s > %s", e.Error.Src, e.Error.Dst)
	}
}

func TestForwardingTakesOneHop(t *testing.T) {
	for _, dst := range []string{"10.2.0.1", "fd02::1"} {
		n := mkRouted(t)
		e, err := n.a.Ping(0, PingOptions{Dst: ip(dst)})
		if err != nil {
			t.Fatal(err)
		}
		n.settle()
		if !e.Done || !e.OK || e.TTL != 127 || e.From != ip(dst) {
			t.Errorf("%s: %+v", dst, *e)
		}
		n.sound()
		n.wantDrops()
	}
}

func TestPacketsWithoutDFAreCutOnTheWayAndArriveWhole(t *testing.T) {
	n := mkRouted(t)
	n.rRight.SetMTU(600)
	e, err := n.a.Ping(0, PingOptions{Dst: ip("10.2.0.1"), Size: 3000})
	if err != nil {
		t.Fatal(err)
	}
	n.settle()
	if !e.OK {
		t.Errorf("no reply to 3000 bytes: drops %v", n.drops)
	}
	if len(n.sent["a/eth"]) != 1+3 {
		t.Errorf("a sent\n%swant ARP and three fragments", summaries(n.sent["a/eth"]))
	}
	for _, f := range n.sent["r/right"] {
		if len(f) > 614 {
			t.Errorf("a frame of %d bytes on an MTU of 600", len(f))
		}
	}
	n.sound()
}

func TestSendersCutIPv6Themselves(t *testing.T) {
	p := mkPair(t)
	e, err := p.a.Ping(0, PingOptions{Dst: ip("fd00::2"), Size: 4000})
	if err != nil {
		t.Fatal(err)
	}
	p.settle()
	if !e.OK {
		t.Errorf("no reply; drops %v", p.drops)
	}
	if len(p.sent["a/eth"]) != 1+3 {
		t.Errorf("a sent\n%swant a solicitation and three fragments", summaries(p.sent["a/eth"]))
	}
}

func TestInterfacesCanForwardAmongThemselves(t *testing.T) {
	tests := []struct {
		name        string
		left, right bool
		want        bool
	}{
		{"both forward", true, true, true},
		{"only the way in forwards", true, false, false},
		{"only the way out forwards", false, true, false},
	}
	for _, tt := range tests {
		n := mkRouted(t)
		n.r.SetForwarding(false)
		n.rLeft.SetForwarding(tt.left)
		n.rRight.SetForwarding(tt.right)
		e, _ := n.a.Ping(0, PingOptions{Dst: ip("10.2.0.1")})
		n.settle()
		// The reply comes in on the right and leaves on the left.
		if e.OK != tt.want {
			t.Errorf("%s: reply %v, want %v; drops %v", tt.name, e.OK, tt.want, n.drops)
		}
	}
}

func TestWhatNoStackAcceptsFromOutside(t *testing.T) {
	frame := func(src, dst string) *wire.Frame {
		return &wire.Frame{EthDst: wire.MAC{2, 0, 0, 0, 0, 1}, EthSrc: wire.MAC{2, 9},
			IP: &wire.IPFields{Src: ip(src), Dst: ip(dst)}, UDP: &wire.UDPFields{SrcPort: 1, DstPort: 2}}
	}
	bad := uint16(1)
	broken := frame("10.0.0.9", "10.0.0.1")
	broken.IP.Checksum = &bad
	brokenUDP := frame("10.0.0.9", "10.0.0.1")
	brokenUDP.UDP.Checksum = &bad
	none6 := frame("fd00::9", "fd00::1")
	none6.UDP.NoChecksum = true
	tests := []struct {
		name  string
		frame *wire.Frame
		want  string
	}{
		{"from its own address to itself (LB-15)", frame("10.0.0.1", "10.0.0.1"), "a ip LandLike"},
		{"from its own address to another", frame("10.0.0.1", "10.0.0.9"), "a ip LandLike"},
		{"from its own IPv6 address", frame("fd00::1", "fd00::1"), "a ip LandLike"},
		{"from loopback (CMP-05)", frame("127.0.0.1", "10.0.0.1"), "a ip Malformed"},
		{"to loopback (CMP-05)", frame("10.0.0.9", "127.0.0.1"), "a ip Malformed"},
		{"from a group", frame("224.0.0.5", "10.0.0.1"), "a ip Malformed"},
		{"a wrong IP checksum", broken, "a ip BadChecksum"},
		{"a wrong UDP checksum", brokenUDP, "a deliver BadChecksum"},
		{"no UDP checksum over IPv6", none6, "a deliver BadChecksum"},
		{"for somebody else, to a host", frame("10.0.0.9", "10.0.0.7"), "a forward NotForwarding"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := mkPair(t)
			p.ia.Receive(0, tt.frame.Bytes(), 1)
			p.settle()
			p.wantDrops(tt.want)
			if len(p.sent["a/eth"]) > 0 {
				t.Errorf("answered:\n%s", summaries(p.sent["a/eth"]))
			}
		})
	}
}

func TestFramesForOtherStationsAndVLANsLeaveNoTrace(t *testing.T) {
	f := func(dst wire.MAC, vlan *wire.VLANFields) []byte {
		return (&wire.Frame{EthDst: dst, EthSrc: wire.MAC{2, 9}, VLAN: vlan, PadTo: wire.MinFrameLen,
			IP:   &wire.IPFields{Src: ip("10.0.0.2"), Dst: ip("10.0.0.1")},
			ICMP: &wire.ICMPFields{Type: wire.ICMPEcho}}).Bytes()
	}
	mine := wire.MAC{2, 0, 0, 0, 0, 1}
	tests := []struct {
		name  string
		frame []byte
		seen  int
	}{
		{"own MAC, padded", f(mine, nil), 1},
		{"another MAC", f(wire.MAC{2, 8}, nil), 0},
		{"VLAN 7", f(mine, &wire.VLANFields{ID: 7}), 0},
		{"priority tag", f(mine, &wire.VLANFields{Priority: 5}), 1},
	}
	for _, tt := range tests {
		p := mkPair(t)
		p.a.learn(0, p.ia, ip("10.0.0.2"), wire.MAC{2, 0, 0, 0, 0, 2}, true)
		p.ia.Receive(0, tt.frame, 1)
		if got, sent := len(p.got["a/eth"]), len(p.sent["a/eth"]); got != tt.seen || sent != tt.seen {
			t.Errorf("%s: %d received, %d sent, want %d each", tt.name, got, sent, tt.seen)
		}
		p.wantDrops()
		p.sound()
	}
}

// nat is a translator of the simplest kind: everything from inside has the
// source changed, everything to the outer address comes back in.
func nat(inside, outer netip.Addr) Hooks {
	return Hooks{
		PreRouting: func(_ int64, in *Interface, p *vfp.Packet) Verdict {
			if in.Name() == "right" && p.Meta.Dst(p.Bytes()) == outer {
				wire.SetDst(p.Bytes(), &p.Meta, inside)
			}
			return Accept()
		},
		PostRouting: func(_ int64, in, out *Interface, src netip.Addr, p *vfp.Packet) Verdict {
			if p.Meta.IsIPv6 {
				return DropWith(vfp.DropNatNoIPv6)
			}
			if in.Name() == "left" && out.Name() == "right" {
				wire.SetSrc(p.Bytes(), &p.Meta, src)
			}
			return Accept()
		},
	}
}

func TestHooksCanTranslateOnTheRoutedPath(t *testing.T) {
	n := mkRouted(t)
	n.r.SetHooks(nat(ip("10.1.0.1"), ip("10.2.0.254")))
	n.b.RemoveRoute(netip.MustParsePrefix("0.0.0.0/0"), netip.Addr{}) // b knows nothing of 10.1/24
	e, _ := n.a.Ping(0, PingOptions{Dst: ip("10.2.0.1")})
	n.settle()
	if !e.OK || e.TTL != 127 {
		t.Errorf("ping through the translator: %+v, drops %v", *e, n.drops)
	}
	if s := summaries(n.got["b/eth"]); strings.Contains(s, "10.1.0.1") {
		t.Errorf("the inside address shows outside:\n%s", s)
	}
	n.sound()

	v6, _ := n.a.Ping(n.now, PingOptions{Dst: ip("fd02::1")})
	n.settle()
	if v6.Done {
		t.Error("a packet that the hook dropped was answered")
	}
	n.wantDrops("r postrouting NatNoIPv6")
}

func TestErrorsQuoteThePacketBeforeTranslation(t *testing.T) {
	// NAT-17, NAT-52: about packets from inside with the inside address, about
	// packets from outside with the outside one.
	n := mkRouted(t)
	n.r.SetHooks(nat(ip("10.1.0.1"), ip("10.2.0.254")))
	n.rRight.SetMTU(1300)
	inside, _ := n.a.Ping(0, PingOptions{Dst: ip("10.2.0.1"), Size: 1400, DF: true})
	n.settle()
	if inside.Error.From != ip("10.1.0.254") || inside.Error.MTU != 1300 || inside.Error.Src.Addr() != ip("10.1.0.1") {
		t.Errorf("error inside: %+v", inside.Error)
	}
	outside, _ := n.b.Ping(n.now, PingOptions{Dst: ip("10.2.0.254"), TTL: 1})
	n.settle()
	if outside.Error.Type != wire.ICMPTimeExceeded || outside.Error.Dst.Addr() != ip("10.2.0.254") {
		t.Errorf("error outside: %+v", outside.Error)
	}
	n.sound()
}

func TestOutputHookRedirectsWithinTheStackAndOut(t *testing.T) {
	p := mkPair(t)
	var sink udpSink
	_, _ = p.b.Listen(wire.ProtoUDP, netip.Addr{}, 80, sink.handler())
	p.a.SetHooks(Hooks{Output: func(_ int64, out *Interface, _ netip.Addr, q *vfp.Packet) Verdict {
		if out.IsLoopback() && q.Meta.DstPort == 8080 {
			wire.SetDst(q.Bytes(), &q.Meta, ip("10.0.0.2"))
			wire.SetDstPort(q.Bytes(), &q.Meta, 80)
			wire.SetSrc(q.Bytes(), &q.Meta, ip("10.0.0.1"))
		}
		return Accept()
	}})
	_, _, err := p.a.SendUDP(0, UDPOptions{Src: ap("127.0.0.1:4000"), Dst: ap("127.0.0.1:8080"), Payload: []byte("x")})
	if err != nil {
		t.Fatal(err)
	}
	p.settle()
	if len(sink.got) != 1 || sink.got[0] != "10.0.0.1:4000>10.0.0.2:80 x" {
		t.Errorf("received %q", sink.got)
	}
	p.sound()
}

func TestLoopbackNeverLeavesTheStack(t *testing.T) {
	p := mkPair(t)
	var sink udpSink
	_, _ = p.a.Listen(wire.ProtoUDP, netip.Addr{}, 7, sink.handler())
	for _, d := range []string{"127.0.0.1:7", "127.1.2.3:7", "10.0.0.1:7", "[::1]:7", "[fd00::1]:7"} {
		if _, _, err := p.a.SendUDP(0, UDPOptions{Dst: ap(d)}); err != nil {
			t.Errorf("%s: %v", d, err)
		}
	}
	p.settle()
	if len(sink.got) != 5 || len(p.sent["a/eth"]) != 0 {
		t.Errorf("received %q, sent %d frames", sink.got, len(p.sent["a/eth"]))
	}
}

func TestTheBestRouteIsTheLongestThenTheCheapestThatIsUp(t *testing.T) {
	l := newLab(t)
	c, s := l.cable(), l.stack("s")
	one := c.plug(s, "one", 1, "10.0.1.1/24")
	c.plug(s, "two", 2, "10.0.2.1/24")
	for _, r := range []Route{
		{Dst: netip.MustParsePrefix("0.0.0.0/0"), Via: ip("10.0.1.254"), Metric: 20},
		{Dst: netip.MustParsePrefix("0.0.0.0/0"), Via: ip("10.0.2.254"), Metric: 30},
		{Dst: netip.MustParsePrefix("10.9.0.0/16"), Via: ip("10.0.2.9")},
		{Dst: netip.MustParsePrefix("10.9.9.0/24"), Iface: "one"},
	} {
		if err := s.AddRoute(r); err != nil {
			t.Fatal(err)
		}
	}
	check := func(dst, iface, next, src string) {
		t.Helper()
		out, n, a, ok := s.RouteTo(ip(dst))
		if !ok || out.Name() != iface || n != ip(next) || a != ip(src) {
			t.Errorf("%s leaves by %v via %s from %s, want %s via %s from %s", dst, out, n, a, iface, next, src)
		}
	}
	check("203.0.113.1", "one", "10.0.1.254", "10.0.1.1")
	check("10.9.1.1", "two", "10.0.2.9", "10.0.2.1")
	check("10.9.9.1", "one", "10.9.9.1", "10.0.1.1")
	check("10.0.2.77", "two", "10.0.2.77", "10.0.2.1")
	one.SetUp(false)
	check("203.0.113.1", "two", "10.0.2.254", "10.0.2.1")
	check("10.9.9.1", "two", "10.0.2.9", "10.0.2.1")
	if err := s.AddRoute(Route{Dst: netip.MustParsePrefix("10.7.0.0/16"), Via: ip("172.16.0.1")}); err == nil {
		t.Error("a next hop that is on no link was accepted")
	}
}
