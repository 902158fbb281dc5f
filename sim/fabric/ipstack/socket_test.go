package ipstack

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/hnsim/hnsim/sim/wire"
)

func TestWhichSocketsGetInEachOthersWay(t *testing.T) {
	tests := []struct {
		name        string
		first, then string // "proto addr port"
		want        error
	}{
		{"the same port twice (CMP-03)", "udp * 53", "udp * 53", ErrInUse},
		{"another protocol", "udp * 53", "tcp * 53", nil},
		{"another port", "udp * 53", "udp * 54", nil},
		{"all addresses, then one of them", "udp * 53", "udp 10.0.0.1 53", ErrInUse},
		{"one address, then all", "udp 10.0.0.1 53", "udp * 53", ErrInUse},
		{"two addresses", "udp 10.0.0.1 53", "udp fd00::1 53", nil},
		{"an address of somebody else", "udp * 1", "udp 10.0.0.2 53", ErrNotAvailable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := mkPair(t)
			bind := func(spec string) error {
				f := strings.Fields(spec)
				proto, addr := uint8(wire.ProtoUDP), netip.Addr{}
				if f[0] == "tcp" {
					proto = wire.ProtoTCP
				}
				if f[1] != "*" {
					addr = ip(f[1])
				}
				var port uint16
				_, _ = fmt.Sscan(f[2], &port)
				_, err := p.a.Bind(proto, addr, port)
				return err
			}
			if err := bind(tt.first); err != nil {
				t.Fatal(err)
			}
			if err := bind(tt.then); !errors.Is(err, tt.want) {
				t.Errorf("second bind: %v, want %v", err, tt.want)
			}
		})
	}
}

func TestAClosedPortIsFreeAgain(t *testing.T) {
	p := mkPair(t)
	for range 2 {
		if _, err := p.a.Bind(wire.ProtoTCP, netip.IPv4Unspecified(), 80); err != nil {
			t.Fatal(err)
		}
		p.a.CloseSocket(wire.ProtoTCP, netip.Addr{}, 80)
	}
}

// reserved is a port space in which one port is excluded, as by a NAT.
type reserved struct{ *portSpace }

func (r reserved) Take(proto uint8, addr netip.Addr, port uint16) error {
	if port == 50000 {
		return ErrAccess
	}
	return r.portSpace.Take(proto, addr, port)
}

func TestAForeignPortSpaceDecides(t *testing.T) {
	p := mkPair(t, func(c *Config) { c.Ports = reserved{newPortSpace()} })
	_, err := p.a.Bind(wire.ProtoUDP, netip.Addr{}, 50000)
	var se *SocketError
	if !errors.As(err, &se) || se.Code != 10013 {
		t.Errorf("a reserved port: %v, want 10013", err)
	}
	_, _ = p.a.Bind(wire.ProtoUDP, netip.Addr{}, 50001)
	_, err = p.a.Bind(wire.ProtoUDP, netip.Addr{}, 50001)
	if !errors.As(err, &se) || se.Code != 10048 {
		t.Errorf("a bound port: %v, want 10048", err)
	}
}

func TestEphemeralPortsGoRoundAndRunOut(t *testing.T) {
	s := newPortSpace()
	for want := firstDynamic; want <= lastDynamic; want++ {
		if got, err := s.Next(wire.ProtoTCP, ip("10.0.0.1")); err != nil || int(got) != want {
			t.Fatalf("port %d, %v, want %d", got, err, want)
		}
	}
	if _, err := s.Next(wire.ProtoTCP, ip("10.0.0.1")); !errors.Is(err, ErrNoBuffers) {
		t.Errorf("beyond the last port: %v", err)
	}
	if got, err := s.Next(wire.ProtoTCP, ip("10.0.0.2")); err != nil || got != firstDynamic {
		t.Errorf("another address: %d, %v", got, err)
	}
	s.Release(wire.ProtoTCP, ip("10.0.0.1"), 60000)
	if got, err := s.Next(wire.ProtoTCP, ip("10.0.0.1")); err != nil || got != 60000 {
		t.Errorf("after a release: %d, %v", got, err)
	}
}

func TestDatagramsAreAnsweredRefusedOrIgnored(t *testing.T) {
	tests := []struct {
		name   string
		refuse bool
		listen *Handler
		want   string // what comes back to a
		icmp   bool
	}{
		{"an echo", false, ptr(EchoHandler()), "10.0.0.2:53>10.0.0.1:4000 hello", false},
		{"a fixed answer", false, ptr(AnswerHandler([]byte("yes"))), "10.0.0.2:53>10.0.0.1:4000 yes", false},
		{"a closed port behind a firewall", false, nil, "", false},
		{"a closed port that refuses", true, nil, "", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := mkPair(t)
			var sink udpSink
			_, _ = p.a.Listen(wire.ProtoUDP, netip.Addr{}, 4000, sink.handler())
			p.b.SetRefuse(tt.refuse)
			if tt.listen != nil {
				_, _ = p.b.Listen(wire.ProtoUDP, netip.Addr{}, 53, *tt.listen)
			}
			_, _, err := p.a.SendUDP(0, UDPOptions{Src: ap("10.0.0.1:4000"), Dst: ap("10.0.0.2:53"), Payload: []byte("hello")})
			if err != nil {
				t.Fatal(err)
			}
			p.settle()
			if got := strings.Join(sink.got, ","); got != tt.want {
				t.Errorf("answer %q, want %q", got, tt.want)
			}
			if (len(p.errors) > 0) != tt.icmp {
				t.Errorf("ICMP errors %v, want some: %v", p.errors, tt.icmp)
			}
			p.wantDrops()
			p.sound()
		})
	}
}

func ptr[T any](v T) *T { return &v }

func TestUDPOptionsReachTheWire(t *testing.T) {
	p := mkPair(t)
	_, _, err := p.a.SendUDP(0, UDPOptions{Src: ap("10.0.0.1:1"), Dst: ap("10.0.0.2:2"),
		TTL: 9, TOS: 0x2e, DF: true, IPID: 0x1234, NoChecksum: true, Payload: []byte("x")})
	if err != nil {
		t.Fatal(err)
	}
	p.settle()
	f := p.sent["a/eth"][1]
	h := wire.IPv4(f[wire.EthernetLen:])
	if h.TTL() != 9 || h.TOS() != 0x2e || !h.DF() || h.ID() != 0x1234 || wire.UDP(h.Payload()).Checksum() != 0 {
		t.Errorf("sent %s", wire.Summary(f))
	}
	_, _, err = p.a.SendUDP(0, UDPOptions{Dst: ap("10.0.0.2:2"), DF: true, Payload: make([]byte, 1473)})
	if !errors.Is(err, ErrMessageSize) {
		t.Errorf("1501 bytes with DF: %v", err)
	}
	_, _, err = p.a.SendUDP(0, UDPOptions{Dst: ap("10.0.0.2:2"), Payload: make([]byte, 70_000)})
	if err == nil {
		t.Error("70000 bytes were sent")
	}
	_, _, err = p.a.SendUDP(0, UDPOptions{Dst: ap("192.0.2.1:2")})
	if !errors.Is(err, ErrUnreachable) {
		t.Errorf("without route: %v", err)
	}
}

func TestPlannedFragmentsLeaveInTheirOrder(t *testing.T) {
	for _, dst := range []string{"10.0.0.2:53", "[fd00::2]:53"} {
		for _, tt := range []struct {
			name  string
			plan  FragmentPlan
			sent  int
			whole bool
			err   bool
		}{
			{"in order", FragmentPlan{Sizes: []int{1008, 1000, 1000}}, 3, true, false},
			{"reversed", FragmentPlan{Sizes: []int{1008, 1000, 1000}, Order: []int{2, 1, 0}}, 3, true, false},
			{"only the last", FragmentPlan{Sizes: []int{1008, 1000, 1000}, Order: []int{2}}, 1, false, false},
			{"one twice", FragmentPlan{Sizes: []int{1008, 1000, 1000}, Order: []int{0, 1, 1, 2}}, 4, true, false},
			{"too short", FragmentPlan{Sizes: []int{8, 8}}, 0, false, true},
			{"not by eights", FragmentPlan{Sizes: []int{1007, 2001}}, 0, false, true},
			{"no such piece", FragmentPlan{Sizes: []int{3008}, Order: []int{1}}, 0, false, true},
		} {
			p := mkPair(t)
			p.a.learn(0, p.ia, ip("10.0.0.2"), wire.MAC{2, 0, 0, 0, 0, 2}, true)
			p.a.learn(0, p.ia, ip("fd00::2"), wire.MAC{2, 0, 0, 0, 0, 2}, true)
			var sink udpSink
			_, _ = p.b.Listen(wire.ProtoUDP, netip.Addr{}, 53, sink.handler())
			_, _, err := p.a.SendUDP(0, UDPOptions{Dst: ap(dst), Payload: make([]byte, 3000), Fragments: tt.plan})
			p.settle()
			if (err != nil) != tt.err || len(p.sent["a/eth"]) != tt.sent || (len(sink.got) == 1) != tt.whole {
				t.Errorf("%s to %s: error %v, %d sent, %d received", tt.name, dst, err, len(p.sent["a/eth"]), len(sink.got))
			}
			p.sound()
		}
	}
}

func TestSendIPSendsWhatItIsGiven(t *testing.T) {
	p := mkPair(t)
	f := wire.Frame{IP: &wire.IPFields{Src: ip("192.0.2.7"), Dst: ip("10.0.0.2"), TTL: 3, Proto: 132}, Payload: []byte("sctp")}
	pkt := f.Bytes()[wire.EthernetLen:]
	if _, err := p.a.SendIP(0, pkt, FragmentPlan{}); err != nil {
		t.Fatal(err)
	}
	p.settle()
	got := p.got["b/eth"]
	if len(got) != 2 || string(got[1][wire.EthernetLen:]) != string(pkt) {
		t.Errorf("received\n%s", summaries(got))
	}
	for _, bad := range [][]byte{nil, {0x45}, make([]byte, 40)} {
		if _, err := p.a.SendIP(0, bad, FragmentPlan{}); err == nil {
			t.Errorf("%x was sent", bad)
		}
	}
}

func TestPings(t *testing.T) {
	p := mkPair(t)
	p.wire.delay = 3 * time.Millisecond
	tests := []struct {
		name string
		o    PingOptions
		ok   bool
	}{
		{"v4", PingOptions{Dst: ip("10.0.0.2"), ID: 1, Seq: 1, Size: 32}, true},
		{"v6", PingOptions{Dst: ip("fd00::2"), ID: 1, Seq: 2}, true},
		{"link-local", PingOptions{Dst: ip("fe80::ff:fe00:2%eth"), ID: 1, Seq: 3}, true},
		{"itself", PingOptions{Dst: ip("10.0.0.1"), ID: 1, Seq: 4}, true},
		{"nobody", PingOptions{Dst: ip("10.0.0.9"), ID: 1, Seq: 5}, false},
	}
	for _, tt := range tests {
		e, err := p.a.Ping(p.now, tt.o)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		p.settle()
		if e.OK != tt.ok || e.OK && e.From != tt.o.Dst.WithZone("") {
			t.Errorf("%s: %+v", tt.name, *e)
		}
	}
	p.b.SetEchoReply(false)
	e, _ := p.a.Ping(p.now, PingOptions{Dst: ip("10.0.0.2"), Seq: 9})
	p.settle()
	if e.Done {
		t.Error("answered although switched off")
	}
	p.b.SetEchoReply(true)
	e, _ = p.a.Ping(p.now, PingOptions{Dst: ip("10.0.0.2"), Seq: 10})
	p.settle()
	if e.RTT != 6*time.Millisecond {
		t.Errorf("round trip %s over 3 ms each way", e.RTT)
	}
	p.sound()
}

func TestTwoPingsWithOneIdentifierAreToldApartBySequence(t *testing.T) {
	p := mkPair(t)
	one, _ := p.a.Ping(0, PingOptions{Dst: ip("10.0.0.9"), ID: 5, Seq: 1})
	two, _ := p.a.Ping(0, PingOptions{Dst: ip("10.0.0.2"), ID: 5, Seq: 2})
	p.settle()
	if one.Done || !two.OK {
		t.Errorf("one %+v, two %+v", *one, *two)
	}
}

func TestAnEchoThatWasGivenUpLeavesItsReplyToTheNextOne(t *testing.T) {
	p := mkPair(t)
	p.b.SetEchoReply(false)
	o := PingOptions{Dst: ip("10.0.0.2"), ID: 5, Seq: 1}
	lost, _ := p.a.Ping(0, o)
	p.settle()
	p.a.GiveUp(lost)
	p.b.SetEchoReply(true)
	next, _ := p.a.Ping(0, o)
	p.settle()
	if lost.Done || !next.OK {
		t.Errorf("given up %+v, next %+v", *lost, *next)
	}
}

func TestBroadcastsAndMulticastsReachEverybody(t *testing.T) {
	l := newLab(t)
	c := l.cable()
	a := l.stack("a")
	c.plug(a, "eth", 1, "10.0.0.1/24")
	var sinks [2]udpSink
	for i := range sinks {
		s := l.stack(fmt.Sprint("b", i))
		c.plug(s, "eth", byte(2+i), fmt.Sprintf("10.0.0.%d/24", 2+i))
		_, _ = s.Listen(wire.ProtoUDP, netip.Addr{}, 9, sinks[i].handler())
	}
	for _, d := range []string{"255.255.255.255:9", "10.0.0.255:9", "224.0.0.251:9", "[ff02::fb]:9"} {
		if _, _, err := a.SendUDP(0, UDPOptions{Dst: ap(d), Payload: []byte("x")}); err != nil {
			t.Errorf("%s: %v", d, err)
		}
	}
	l.settle()
	for i := range sinks {
		if len(sinks[i].got) != 4 {
			t.Errorf("host %d got %q", i, sinks[i].got)
		}
	}
	if n := len(l.sent["a/eth"]); n != 4 {
		t.Errorf("%d frames sent, want 4 without any request", n)
	}
	l.wantDrops()
}
