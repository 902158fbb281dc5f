package fabric

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/hnsim/hnsim/sim/fabric/ipstack"
	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// lan is a router r between segment lan (x, 10.0.0.10) and segment wan (y,
// 192.0.2.10), with everything that is observed.
type lan struct {
	*Net
	t     *testing.T
	x, y  *External
	r     *Router
	wire  []string // "x/eth0 tx <summary>"
	drops []string // "x eth0 LinkLoss"
}

func observed(l *lan, seed uint64) Config {
	return Config{Seed: seed, Observer: Observer{
		OnWire: func(_ int64, n *NIC, dir WireDir, f []byte, _ uint64) {
			l.wire = append(l.wire, n.Point()+" "+dir.String()+" "+wire.Summary(f))
			if err := wire.VerifyChecksums(f); err != nil {
				l.t.Errorf("on the wire of %s: %v", n.Point(), err)
			}
		},
		OnDrop: func(_ int64, node, where string, why vfp.Drop, _ []byte, _ uint64) {
			l.drops = append(l.drops, fmt.Sprintf("%s %s %s", node, where, why))
		},
	}}
}

func mkLAN(t *testing.T, seed uint64) *lan {
	t.Helper()
	l := &lan{t: t}
	l.Net = New(observed(l, seed))
	l.x = l.external("x", "lan", "10.0.0.10/24", "fd00::10/64")
	l.r = l.router("r", map[string]string{"lan": "10.0.0.1/24 fd00::1/64", "wan": "192.0.2.1/24 fd01::1/64"})
	l.y = l.external("y", "wan", "192.0.2.10/24", "fd01::10/64")
	return l
}

func prefixes(s ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, p := range s {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}

func (l *lan) external(name, segment string, addrs ...string) *External {
	l.t.Helper()
	e, err := l.AddExternal(NodeConfig{Name: name, Ifaces: []IfaceConfig{{Segment: segment, Addrs: prefixes(addrs...)}}})
	if err != nil {
		l.t.Fatal(err)
	}
	return e
}

func (l *lan) router(name string, addrs map[string]string) *Router {
	l.t.Helper()
	cfg := NodeConfig{Name: name}
	for _, s := range []string{"lan", "wan"} {
		cfg.Ifaces = append(cfg.Ifaces, IfaceConfig{Name: s, Segment: s, Addrs: prefixes(strings.Fields(addrs[s])...)})
	}
	r, err := l.AddRouter(cfg)
	if err != nil {
		l.t.Fatal(err)
	}
	return r
}

func (l *lan) settle() {
	l.t.Helper()
	if err := l.Loop.Settle(); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lan) advance(d time.Duration) {
	l.t.Helper()
	if err := l.Loop.Advance(d); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lan) ping(from Node, o ipstack.PingOptions) *ipstack.Echo {
	l.t.Helper()
	e, err := from.Stack().Ping(l.Loop.Now(), o)
	if err != nil {
		l.t.Fatal(err)
	}
	l.settle()
	return e
}

func (l *lan) wantDrops(want ...string) {
	l.t.Helper()
	if strings.Join(l.drops, "\n") != strings.Join(want, "\n") {
		l.t.Errorf("drops %q, want %q", l.drops, want)
	}
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func TestARouterConnectsItsSegments(t *testing.T) {
	for _, dst := range []string{"192.0.2.10", "fd01::10"} {
		l := mkLAN(t, 1)
		e := l.ping(l.x, ipstack.PingOptions{Dst: addr(dst)})
		if !e.OK || e.TTL != 127 {
			t.Errorf("ping %s: %+v; drops %q", dst, *e, l.drops)
		}
		l.wantDrops()
	}
}

func TestARoutersErrorsReachTheSender(t *testing.T) {
	l := mkLAN(t, 1)
	e := l.ping(l.x, ipstack.PingOptions{Dst: addr("192.0.2.10"), TTL: 1})
	if e.Error.Type != wire.ICMPTimeExceeded || e.From != addr("10.0.0.1") {
		t.Errorf("TTL 1: %+v", *e)
	}
	l.r.Stack().Interface("wan").SetMTU(1400)
	e = l.ping(l.x, ipstack.PingOptions{Dst: addr("192.0.2.10"), Size: 1400, DF: true})
	if e.Error.Code != wire.ICMPFragNeeded || e.Error.MTU != 1400 {
		t.Errorf("DF: %+v", *e)
	}
	e = l.ping(l.x, ipstack.PingOptions{Dst: addr("192.0.2.10"), Size: 1400})
	if !e.OK {
		t.Errorf("without DF: %+v", *e)
	}
	l.wantDrops("r forward TtlExceeded", "r forward FragNeeded")
}

func TestAnAddressWithoutOwnerIsGivenUpWhenTimePasses(t *testing.T) {
	l := mkLAN(t, 1)
	l.ping(l.x, ipstack.PingOptions{Dst: addr("10.0.0.99")})
	l.wantDrops()
	l.advance(2900 * time.Millisecond)
	l.wantDrops()
	l.advance(200 * time.Millisecond)
	l.wantDrops("x neighbor NoNeighbor")
}

func TestASegmentFloodsWhatItHasNotLearned(t *testing.T) {
	l := mkLAN(t, 1)
	l.external("z", "lan", "10.0.0.30/24")
	seen := func() int {
		n := 0
		for _, w := range l.wire {
			if strings.HasPrefix(w, "z/eth0 rx") {
				n++
			}
		}
		return n
	}
	l.ping(l.x, ipstack.PingOptions{Dst: addr("10.0.0.1")})
	if seen() != 1 {
		t.Errorf("a bystander saw %d frames of ARP and ping, want the request of ARP only", seen())
	}
	l.ping(l.x, ipstack.PingOptions{Dst: addr("10.0.0.1"), Seq: 2})
	if seen() != 1 {
		t.Errorf("a bystander saw %d frames", seen())
	}
	l.advance(301 * time.Second) // the addresses age
	l.ping(l.x, ipstack.PingOptions{Dst: addr("10.0.0.1"), Seq: 3})
	if seen() != 2 {
		t.Errorf("a bystander saw %d frames after the addresses aged, want one flood more", seen())
	}
}

func TestAMovedAddressIsLearnedAnew(t *testing.T) {
	l := mkLAN(t, 1)
	var got []string
	mk := func(name string) *NIC {
		n, err := l.AddNIC("lan", NICConfig{Node: name, Name: "nic", Receive: func(int64, []byte, uint64) { got = append(got, name) }})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	a, b, c := mk("a"), mk("b"), mk("c")
	mac := wire.MustMAC("00-15-5D-00-00-77")
	from := func(n *NIC) {
		f := wire.Frame{EthDst: wire.Broadcast, EthSrc: mac, EtherType: 0x88b5}
		n.Send(l.Loop.Now(), f.Bytes(), 1)
		l.settle()
		got = nil
	}
	to := func() string {
		f := wire.Frame{EthDst: mac, EthSrc: c.MAC(), EtherType: 0x88b5}
		c.Send(l.Loop.Now(), f.Bytes(), 2)
		l.settle()
		defer func() { got = nil }()
		return strings.Join(got, ",")
	}
	from(a)
	if g := to(); g != "a" {
		t.Errorf("went to %q, want a", g)
	}
	from(b)
	if g := to(); g != "b" {
		t.Errorf("went to %q after the move, want b", g)
	}
	l.RemoveNIC(b)
	if g := to(); strings.Contains(g, "b") || !strings.Contains(g, "a") {
		t.Errorf("went to %q after b was unplugged, want a flood", g)
	}
}

func TestNICsOfAVLANTagAndUntag(t *testing.T) {
	l := &lan{t: t}
	l.Net = New(observed(l, 1))
	mk := func(name string, vlan uint16, a string) *External {
		e, err := l.AddExternal(NodeConfig{Name: name, Ifaces: []IfaceConfig{{VLAN: vlan, Addrs: prefixes(a)}}})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	a, _, _ := mk("a", 7, "10.0.0.1/24"), mk("b", 7, "10.0.0.2/24"), mk("c", 8, "10.0.0.3/24")
	mk("d", 0, "10.0.0.4/24")
	if e := l.ping(a, ipstack.PingOptions{Dst: addr("10.0.0.2")}); !e.OK {
		t.Errorf("within VLAN 7: %+v", *e)
	}
	for _, dst := range []string{"10.0.0.3", "10.0.0.4"} {
		if e := l.ping(a, ipstack.PingOptions{Dst: addr(dst)}); e.OK {
			t.Errorf("%s answered across VLANs", dst)
		}
	}
	if !strings.Contains(l.wire[0], "vlan") {
		t.Errorf("the wire shows %q, want the tag", l.wire[0])
	}
}

func TestWhatAWireCannotCarry(t *testing.T) {
	frame := func(ip int, tag *wire.VLANFields) []byte {
		f := wire.Frame{EthDst: wire.Broadcast, EthSrc: wire.MAC{2}, VLAN: tag, EtherType: 0x88b5, Payload: make([]byte, ip)}
		return f.Bytes()
	}
	tests := []struct {
		name  string
		frame []byte
		set   func(n *NIC)
		want  string
	}{
		{"a full frame", frame(1500, nil), nil, ""},
		{"one byte more", frame(1501, nil), nil, "a nic LinkMtu"},
		{"a full tagged frame", frame(1500, &wire.VLANFields{ID: 7}), nil, ""},
		{"a tagged frame and one byte more", frame(1501, &wire.VLANFields{ID: 7}), nil, "a nic LinkMtu"},
		{"1500 bytes in VXLAN", frame(1550, nil), nil, "a nic LinkMtu"},
		{"1500 bytes in VXLAN over a jumbo link", frame(1550, nil), func(n *NIC) { n.SetMTU(9000) }, "b nic LinkMtu"},
		{"anything while the link is down", frame(10, nil), func(n *NIC) { n.SetLink(LinkConfig{Down: true}) }, "a nic LinkDown"},
		{"over a short segment", frame(1400, nil), func(n *NIC) { n.Segment().SetMTU(1300) }, "lan segment LinkMtu"},
		{"less than a header", []byte{1, 2, 3}, nil, "a nic Malformed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := &lan{t: t}
			l.Net = New(observed(l, 1))
			arrived := 0
			a, _ := l.AddNIC("lan", NICConfig{Node: "a", Name: "nic"})
			_, _ = l.AddNIC("lan", NICConfig{Node: "b", Name: "nic", Receive: func(int64, []byte, uint64) { arrived++ }})
			if tt.set != nil {
				tt.set(a)
			}
			a.Send(0, tt.frame, 1)
			l.settle()
			if got := strings.Join(l.drops, ","); got != tt.want || (arrived == 1) != (tt.want == "") {
				t.Errorf("drops %q, want %q; %d arrived", got, tt.want, arrived)
			}
		})
	}
}

func TestADroppedFrameIsOnNoCaptureThatItDidNotReach(t *testing.T) {
	l := mkLAN(t, 1)
	l.x.NIC("eth0").SetLink(LinkConfig{Loss: 1})
	l.ping(l.x, ipstack.PingOptions{Dst: addr("10.0.0.1")})
	if len(l.wire) != 1 || !strings.HasPrefix(l.wire[0], "x/eth0 tx") {
		t.Errorf("captures %q, want the frame where it was lost only", l.wire)
	}
	l.wantDrops("x eth0 LinkLoss")
}

// transfer moves a megabyte from x to y over bad links and returns the
// world's hash.
func transfer(t *testing.T, seed uint64, size int) string {
	l := mkLAN(t, seed)
	l.x.NIC("eth0").SetLink(LinkConfig{Loss: 0.01, Reorder: 0.02, Delay: 2 * time.Millisecond, RateBps: 100e6})
	l.Segment("wan").SetLink(LinkConfig{Delay: time.Millisecond})
	want := make([]byte, size)
	for i := range want {
		want[i] = byte(i * i >> 7)
	}
	var got []byte
	_, err := l.y.Stack().Listen(wire.ProtoTCP, netip.Addr{}, 80, ipstack.Handler{
		Stream: func(now int64, c *ipstack.Conn, e ipstack.Event) {
			got = append(got, c.Take(now)...)
			if e == ipstack.EventPeerClosed {
				c.Close(now)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := l.x.Stack().Dial(0, netip.AddrPort{}, netip.MustParseAddrPort("192.0.2.10:80"), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = c.Write(0, want)
	c.Close(0)
	ended := func() bool { return c.State() == ipstack.StateTimeWait || c.State() == ipstack.StateClosed }
	if done, err := l.Loop.RunUntil(int64(10*time.Minute), ended); !done || err != nil {
		t.Errorf("seed %d: state %s, %v", seed, c.State(), err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("seed %d: %d of %d bytes, error %v", seed, len(got), len(want), c.Err())
	}
	return l.Loop.Hash()
}

func TestAMegabyteSurvivesLossAndReordering(t *testing.T) {
	for seed := range uint64(5) {
		transfer(t, seed, 1<<20)
	}
}

func TestTheSameSeedIsTheSameWorldAndAnotherSeedAnother(t *testing.T) {
	one := transfer(t, 1, 200_000)
	if again := transfer(t, 1, 200_000); again != one {
		t.Errorf("seed 1 gave %s, then %s", one, again)
	}
	if other := transfer(t, 2, 200_000); other == one {
		t.Error("seed 2 gave what seed 1 gave")
	}
}

func TestDHCPOverTheFabric(t *testing.T) {
	l := mkLAN(t, 1)
	_, err := l.x.Stack().ServeDHCP(l.x.Stack().Interface("eth0"), ipstack.DHCPServerConfig{
		First: addr("10.0.0.100"), Last: addr("10.0.0.110"), Router: addr("10.0.0.1"),
	})
	if err != nil {
		t.Fatal(err)
	}
	c := l.external("c", "lan")
	d := c.Stack().StartDHCP(0, c.Stack().Interface("eth0"), nil)
	l.settle()
	if lease, ok := d.Lease(); !ok || lease.Addr != netip.MustParsePrefix("10.0.0.100/24") {
		t.Fatalf("lease %+v, %v", lease, ok)
	}
	if e := l.ping(c, ipstack.PingOptions{Dst: addr("192.0.2.10")}); !e.OK {
		t.Errorf("from the leased address: %+v", *e)
	}
}

func TestAPlantedBridgeLoopIsFound(t *testing.T) {
	// Two bridges between two segments send a broadcast round for ever.
	l := &lan{t: t}
	l.Net = New(Config{Limits: Limits{Events: 20_000}})
	l.x = l.external("x", "lan", "10.0.0.10/24")
	for _, name := range []string{"b1", "b2"} {
		var ends [2]*NIC
		for i, s := range []string{"lan", "wan"} {
			var err error
			ends[i], err = l.AddNIC(s, NICConfig{Node: name, Name: s, Receive: func(now int64, f []byte, id uint64) {
				ends[1-i].Send(now, f, id)
			}})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	_, _ = l.x.Stack().Ping(0, ipstack.PingOptions{Dst: addr("10.0.0.1")})
	err := l.Loop.Settle()
	var e *RunawayError
	if !errors.As(err, &e) || !strings.Contains(e.Error(), "b1/") || !strings.Contains(e.Error(), "b2/") {
		t.Errorf("Settle: %v, want the loop found at the bridges", err)
	}
}

func TestNamesAndAddressesAreUnique(t *testing.T) {
	l := mkLAN(t, 1)
	before := len(l.Segment("lan").NICs())
	bad := []struct {
		name string
		cfg  NodeConfig
	}{
		{"a name in use", NodeConfig{Name: "x", Ifaces: []IfaceConfig{{Name: "other"}}}},
		{"no name", NodeConfig{Ifaces: []IfaceConfig{{}}}},
		{"a MAC in use", NodeConfig{Name: "z", Ifaces: []IfaceConfig{{}, {MAC: l.x.NIC("eth0").MAC()}}}},
		{"a group's MAC", NodeConfig{Name: "z", Ifaces: []IfaceConfig{{MAC: wire.Broadcast}}}},
		{"a VLAN that there is not", NodeConfig{Name: "z", Ifaces: []IfaceConfig{{VLAN: 4095}}}},
		{"two NICs of one name", NodeConfig{Name: "z", Ifaces: []IfaceConfig{{Name: "n"}, {Name: "n"}}}},
		{"a gateway of the wrong kind", NodeConfig{Name: "z", Routes: []Route{{Dst: netip.MustParsePrefix("10.9.0.0/16"), Via: addr("10.8.0.1")}}, Ifaces: []IfaceConfig{{}}}},
	}
	for _, tt := range bad {
		if _, err := l.AddExternal(tt.cfg); err == nil {
			t.Errorf("%s was accepted", tt.name)
		}
	}
	if after := len(l.Segment("lan").NICs()); after != before {
		t.Errorf("what was refused left %d NICs behind", after-before)
	}
}

func TestMACsCanBeRead(t *testing.T) {
	w := New(Config{})
	for _, tt := range []struct {
		node string
		nic  int
		want string
	}{
		{"x", 0, "02-78-00-00-00-00"}, {"h1", 0, "02-68-00-00-01-00"}, {"router12", 3, "02-72-6F-75-12-03"},
	} {
		if got := w.MAC(tt.node, tt.nic).String(); got != tt.want {
			t.Errorf("MAC of %s: %s, want %s", tt.node, got, tt.want)
		}
	}
	if _, err := w.AddNIC("lan", NICConfig{Node: "router12", Name: "a"}); err != nil {
		t.Fatal(err)
	}
	if got := w.MAC("route12", 0).String(); got != "06-72-6F-75-12-00" {
		t.Errorf("MAC of a name that would share an address: %s", got)
	}
}

func TestObserversDoNotChangeTheWorld(t *testing.T) {
	run := func(o Observer) string {
		l := &lan{t: t}
		l.Net = New(Config{Seed: 1, Observer: o})
		x := l.external("x", "lan", "10.0.0.10/24")
		l.external("y", "lan", "10.0.0.11/24")
		l.ping(x, ipstack.PingOptions{Dst: addr("10.0.0.11"), Size: 4000})
		return l.Loop.Hash()
	}
	seen := map[string]int{}
	watched := run(Observer{
		OnWire:    func(_ int64, n *NIC, d WireDir, _ []byte, _ uint64) { seen[n.Node()+" wire "+d.String()]++ },
		OnReceive: func(_ int64, node, _ string, _ []byte, _ uint64) { seen[node+" received"]++ },
		OnSend:    func(_ int64, node, _ string, _ []byte, _ uint64) { seen[node+" sent"]++ },
	})
	if watched != run(Observer{}) {
		t.Error("watching changed the hash")
	}
	for _, k := range []string{"x wire tx", "x sent", "y wire rx", "y received"} {
		if seen[k] != 4 { // ARP and three fragments
			t.Errorf("%s: %d, want 4", k, seen[k])
		}
	}
}

func TestARouterAnswersSolicitations(t *testing.T) {
	l := mkLAN(t, 1)
	nic, err := l.AddNIC("lan", NICConfig{Node: "c", Name: "eth0"})
	if err != nil {
		t.Fatal(err)
	}
	s := ipstack.New(ipstack.Config{Name: "c", Timers: l.timers()})
	i, err := s.AddInterface(ipstack.InterfaceConfig{Name: "eth0", MAC: nic.MAC(), AcceptRA: true, Transmit: nic.Send})
	if err != nil {
		t.Fatal(err)
	}
	nic.cfg.Receive = i.Receive
	s.SolicitRouter(0, i)
	l.settle()
	e, err := s.Ping(0, ipstack.PingOptions{Dst: addr("fd01::10")})
	l.settle()
	if err != nil || !e.OK {
		t.Errorf("configured with %v: %v %+v", i.Addrs(), err, e)
	}
}
