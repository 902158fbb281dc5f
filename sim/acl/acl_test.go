package acl

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"testing"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// The endpoint of all tests is 10.0.0.10; a packet is written from its side:
// dir, protocol, local port, remote address and port.
var (
	mePfx = netip.MustParsePrefix("10.0.0.10/32")
	me    = netip.MustParseAddr("10.0.0.10")
	me6   = netip.MustParseAddr("fd00::10")
)

// mkPacket is a packet of the endpoint in direction dir.
func mkPacket(dir vfp.Dir, proto uint8, lport uint16, remote string, rport uint16) *vfp.Packet {
	peer := netip.MustParseAddr(remote)
	local := me
	if peer.Is6() {
		local = me6
	}
	f := wire.Frame{EthDst: wire.MAC{2, 0, 0, 0, 0, 2}, EthSrc: wire.MAC{2, 0, 0, 0, 0, 1}}
	f.IP = &wire.IPFields{Src: local, Dst: peer, Proto: proto}
	sport, dport := lport, rport
	if dir == vfp.In {
		f.IP.Src, f.IP.Dst = peer, local
		sport, dport = rport, lport
	}
	switch proto {
	case protoTCP:
		f.TCP = &wire.TCPFields{SrcPort: sport, DstPort: dport, Flags: wire.TCPSyn}
	case protoUDP:
		f.UDP = &wire.UDPFields{SrcPort: sport, DstPort: dport}
	case protoICMP:
		f.ICMP = &wire.ICMPFields{Type: wire.ICMPEcho, ID: lport}
	case protoICMPv6:
		f.ICMP = &wire.ICMPFields{Type: wire.ICMP6Echo, ID: lport}
	default:
		f.Payload = make([]byte, 32)
	}
	p := vfp.NewPacket(f.Bytes())
	p.Parse()
	return p
}

// bench is a port with compiled ACLs.
type bench struct {
	t    testing.TB
	port *vfp.Port
	now  int64
}

func mkBench(t testing.TB, opt Options, rules ...Rule) *bench {
	t.Helper()
	b := &bench{t: t, port: vfp.NewPort(1, vfp.PortLimits{})}
	b.set(opt, rules...)
	return b
}

func (b *bench) set(opt Options, rules ...Rule) {
	b.t.Helper()
	layers, err := Layers(rules, opt)
	if err != nil {
		b.t.Fatal(err)
	}
	b.port.SetProgram(&vfp.Program{Layers: layers})
}

// walk is the drop reason for p, DropNone if it passes.
func (b *bench) walk(dir vfp.Dir, p *vfp.Packet) vfp.Drop {
	var w vfp.Walk
	w.Begin(b.now, p, 0, nil)
	if b.port.Walk(&w, dir) == vfp.Stop {
		return w.Drop
	}
	return vfp.DropNone
}

// send walks a packet as mkPacket makes it.
func (b *bench) send(dir vfp.Dir, proto uint8, lport uint16, remote string, rport uint16) vfp.Drop {
	return b.walk(dir, mkPacket(dir, proto, lport, remote, rport))
}

func addrs(list ...string) AddressSet {
	var s AddressSet
	for _, a := range list {
		s.Prefixes = append(s.Prefixes, netip.MustParsePrefix(a))
	}
	return s
}

func ports(list ...uint16) []vfp.PortRange {
	var out []vfp.PortRange
	for _, p := range list {
		out = append(out, vfp.PortRange{Lo: p, Hi: p})
	}
	return out
}

type packet struct {
	dir    vfp.Dir
	proto  uint8
	lport  uint16
	remote string
	rport  uint16
	want   vfp.Drop
}

const (
	pass  = vfp.DropNone
	block = vfp.DropVfpBlock
	out   = vfp.Out
	in    = vfp.In
)

func TestRulesDecide(t *testing.T) {
	const x, y = "203.0.113.80", "203.0.113.81"
	blockX := Rule{ID: "x", Priority: 100, Action: Block, RemoteAddrs: addrs(x + "/32")}
	allowAll := Rule{ID: "all", Priority: 200, Action: Allow}
	tests := []struct {
		name  string
		opt   Options
		rules []Rule
		pkts  []packet
	}{
		{"ACL-05 the lower priority number goes first", Options{}, []Rule{allowAll, blockX}, []packet{
			{out, 6, 1000, x, 443, block}, {out, 6, 1001, y, 443, pass},
		}},
		{"ACL-05 a match ends the evaluation", Options{}, []Rule{{ID: "a", Priority: 50, Action: Allow}, blockX}, []packet{
			{out, 6, 1000, x, 443, pass},
		}},
		{"9.2 a lone Block leaves the rest allowed", Options{}, []Rule{blockX}, []packet{
			{out, 6, 1000, x, 443, block}, {out, 6, 1000, y, 443, pass}, {in, 6, 80, y, 5000, pass},
		}},
		{"D-11 a lone Block denies its direction when any ACL means deny", Options{AnyMeansDeny: true}, []Rule{blockX}, []packet{
			{out, 6, 1000, y, 443, block}, {in, 6, 80, y, 5000, pass},
		}},
		{"ACL-02 In: local is the destination", Options{}, []Rule{
			{ID: "a", Priority: 1, Dir: in, Action: Block, LocalAddrs: AddressSet{Prefixes: []netip.Prefix{mePfx}}, LocalPorts: ports(80)},
		}, []packet{{in, 6, 80, x, 1000, block}, {in, 6, 1000, x, 80, pass}}},
		{"ACL-02 Out: local is the source", Options{}, []Rule{
			{ID: "a", Priority: 1, Dir: out, Action: Block, LocalAddrs: AddressSet{Prefixes: []netip.Prefix{mePfx}}, LocalPorts: ports(80)},
		}, []packet{{out, 6, 80, x, 1000, block}, {out, 6, 1000, x, 80, pass}}},
		{"ACL-01 port lists and ranges", Options{AnyMeansDeny: true}, []Rule{
			{ID: "a", Priority: 1, Dir: in, Protocols: []uint16{6}, LocalPorts: append(ports(80, 443), vfp.PortRange{Lo: 8000, Hi: 8100})},
		}, []packet{
			{in, 6, 80, x, 1, pass}, {in, 6, 8000, x, 2, pass}, {in, 6, 8050, x, 3, pass}, {in, 6, 8100, x, 4, pass},
			{in, 6, 8101, x, 5, block}, {in, 6, 7999, x, 6, block}, {in, 17, 80, x, 7, block},
		}},
		{"ACL-01 two prefixes", Options{AnyMeansDeny: true}, []Rule{
			{ID: "a", Priority: 1, Action: Allow, RemoteAddrs: addrs("10.1.0.0/16", "10.2.3.0/24")},
		}, []packet{{out, 6, 1, "10.1.9.9", 80, pass}, {out, 6, 1, "10.2.3.4", 80, pass}, {out, 6, 1, "10.2.4.4", 80, block}}},
		{"ACL-01 protocol 256 is any", Options{}, []Rule{
			{ID: "a", Priority: 1, Action: Block, Protocols: []uint16{256}},
		}, []packet{{out, 6, 1, x, 80, block}, {out, 1, 1, x, 0, block}, {out, 47, 0, x, 0, block}}},
		{"ACL-01 a rule for one protocol leaves others", Options{}, []Rule{
			{ID: "a", Priority: 200, Action: Block, Protocols: []uint16{6}, RemoteAddrs: addrs("168.63.129.16/32"), RemotePorts: ports(80)},
		}, []packet{{out, 6, 1, "168.63.129.16", 80, block}, {out, 17, 1, "168.63.129.16", 53, pass}}},
		{"ACL-13 a port condition does not see ICMP identifiers", Options{}, []Rule{
			{ID: "a", Priority: 1, Action: Block, LocalPorts: ports(80)},
		}, []packet{{out, 6, 80, x, 1, block}, {out, 17, 80, x, 1, block}, {out, 1, 80, x, 0, pass}}},
		{"an IPv4 rule leaves IPv6 alone", Options{}, []Rule{
			{ID: "a", Priority: 1, Action: Block, RemoteAddrs: addrs("0.0.0.0/0")},
		}, []packet{{out, 6, 1, x, 80, block}, {out, 6, 1, "fd00::20", 80, pass}}},
		{"a rule may name both families", Options{}, []Rule{
			{ID: "a", Priority: 1, Action: Block, RemoteAddrs: addrs("203.0.113.80/32", "fd00::20/128")},
		}, []packet{{out, 6, 1, x, 80, block}, {out, 6, 1, "fd00::20", 80, block}, {out, 6, 1, "fd00::21", 80, pass}}},
		{"Pass leaves the packet to the posture", Options{AnyMeansDeny: true}, []Rule{
			{ID: "p", Priority: 1, Action: Pass, RemoteAddrs: addrs(x + "/32")},
			{ID: "a", Priority: 2, Action: Allow},
		}, []packet{{out, 6, 1, x, 80, block}, {out, 6, 1, y, 80, pass}}},
		{"ACL-15 unsolicited protocols under process isolation", Options{}, nil, []packet{
			{in, 6, 80, x, 1, pass}, {in, 17, 80, x, 1, pass}, {in, 1, 80, x, 0, pass}, {in, 2, 0, x, 0, pass},
			{in, 47, 0, x, 0, block}, {in, 6, 80, "fd00::20", 1, pass}, {in, 58, 1, "fd00::20", 0, pass}, {in, 47, 0, "fd00::20", 0, block},
			{out, 47, 0, y, 0, pass},
		}},
		{"9.2 Hyper-V isolation allows every protocol", Options{Isolation: HyperV}, nil, []packet{{in, 47, 0, x, 0, pass}}},
		{"an Allow overrules the protocol set", Options{}, []Rule{
			{ID: "gre", Priority: 1, Dir: in, Action: Allow, Protocols: []uint16{47}},
		}, []packet{{in, 47, 0, x, 0, pass}, {in, 50, 0, x, 0, block}}},
		{"ACL-10 replies to what the posture let out pass", Options{}, nil, []packet{
			{in, 47, 0, y, 0, block}, {out, 47, 0, x, 0, pass}, {in, 47, 0, x, 0, pass},
		}},
		{"ACL-10 replies of an allowed flow pass a block-all", Options{}, []Rule{
			{ID: "a", Priority: 1, Dir: in, Action: Allow, Protocols: []uint16{6}, LocalPorts: ports(80)},
			{ID: "b", Priority: 2, Dir: out, Action: Block},
		}, []packet{{in, 6, 80, x, 5000, pass}, {out, 6, 80, x, 5000, pass}, {out, 6, 5001, x, 80, block}}},
		{"ACL-10 a blocked flow leaves no state", Options{}, []Rule{
			{ID: "b", Priority: 1, Dir: out, Action: Block},
			{ID: "c", Priority: 1, Dir: in, Action: Block},
		}, []packet{{out, 6, 80, x, 5000, block}, {in, 6, 80, x, 5000, block}, {out, 6, 80, x, 5000, block}}},
		{"ACL-33 an empty set matches nothing", Options{}, []Rule{
			{ID: "s", Priority: 1, Action: Block, RemoteAddrs: AddressSet{Sets: []string{"empty"}}},
		}, []packet{{out, 6, 1, x, 80, pass}}},
		{"ACL-08 a Host rule blocks what a Switch rule allows", Options{}, []Rule{
			{ID: "h", Priority: 100, Action: Block, RuleType: Host, RemoteAddrs: addrs(x + "/32")},
			{ID: "s", Priority: 100, Action: Allow, RuleType: Switch},
		}, []packet{{out, 6, 1, x, 80, vfp.DropHostFirewall}, {out, 6, 1, y, 80, pass}}},
		{"ACL-08 a Switch rule blocks what a Host rule allows", Options{}, []Rule{
			{ID: "h", Priority: 100, Action: Allow, RuleType: Host},
			{ID: "s", Priority: 100, Action: Block, RuleType: Switch},
		}, []packet{{out, 6, 1, x, 80, block}}},
		{"ACL-08 Host rules have no effect under Hyper-V isolation", Options{Isolation: HyperV}, []Rule{
			{ID: "h", Priority: 100, Action: Block, RuleType: Host},
		}, []packet{{out, 6, 1, x, 80, pass}}},
		{"a Host block in one direction spares the other's replies", Options{}, []Rule{
			{ID: "h", Priority: 100, Action: Block, RuleType: Host, Dir: in},
		}, []packet{{out, 6, 1, x, 80, pass}, {in, 6, 1, x, 80, pass}, {in, 6, 2, x, 80, vfp.DropHostFirewall}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := mkBench(t, tt.opt, tt.rules...)
			for i, p := range tt.pkts {
				if got := b.send(p.dir, p.proto, p.lport, p.remote, p.rport); got != p.want {
					t.Errorf("packet %d %+v: got %s, want %s", i, p, got, p.want)
				}
			}
		})
	}
}

func TestARPIsOutsideACLs(t *testing.T) {
	b := mkBench(t, Options{}, Rule{ID: "b", Action: Block}, Rule{ID: "c", Dir: in, Action: Block})
	f := wire.Frame{EthDst: wire.Broadcast, EthSrc: wire.MAC{2, 0, 0, 0, 0, 1},
		ARP: &wire.ARPFields{SenderIP: me, TargetIP: netip.MustParseAddr("10.0.0.1")}}
	for _, dir := range [2]vfp.Dir{out, in} {
		p := vfp.NewPacket(f.Bytes())
		p.Parse()
		if got := b.walk(dir, p); got != pass {
			t.Errorf("ARP %s dropped: %s", dir, got)
		}
	}
}

func TestSetNamesMeanSourceAndDestination(t *testing.T) {
	peers := AddressSet{Sets: []string{"peers"}, Prefixes: []netip.Prefix{netip.MustParsePrefix("10.0.0.20/32")}}
	mine := AddressSet{Sets: []string{"mine"}, Prefixes: []netip.Prefix{mePfx}}
	// Local names the source: In, that is the peer; Out, that is the endpoint.
	rules := []Rule{
		{ID: "in", Priority: 1, Dir: in, Action: Block, LocalAddrs: peers, RemoteAddrs: mine, LocalPorts: ports(80)},
		{ID: "out", Priority: 1, Dir: out, Action: Block, LocalAddrs: mine, RemoteAddrs: peers, RemotePorts: ports(443)},
	}
	tests := []struct {
		sets  SetAddressing
		in    vfp.Drop
		other vfp.Drop
	}{
		{SourceDest, block, block},
		{EndpointRelative, pass, block},
	}
	for _, tt := range tests {
		b := mkBench(t, Options{Sets: tt.sets}, rules...)
		if got := b.send(in, 6, 80, "10.0.0.20", 5000); got != tt.in {
			t.Errorf("sets %d, In: got %s, want %s", tt.sets, got, tt.in)
		}
		if got := b.send(out, 6, 5000, "10.0.0.20", 443); got != tt.other {
			t.Errorf("sets %d, Out: got %s, want %s", tt.sets, got, tt.other)
		}
		if got := b.send(in, 6, 81, "10.0.0.20", 80); got != pass {
			t.Errorf("sets %d: ports are the endpoint's whatever the addresses are, got %s", tt.sets, got)
		}
	}
}

func TestChangedRulesMeetLiveFlows(t *testing.T) {
	const x = "203.0.113.80"
	blockX := Rule{ID: "b", Priority: 1, Action: Block, RemoteAddrs: addrs(x + "/32")}
	tests := []struct {
		name string
		opt  Options
		want vfp.Drop
	}{
		{"lazy: the next packet is dropped", Options{}, block},
		{"never: the flow goes on", Options{NeverReconcile: true}, pass},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := mkBench(t, tt.opt)
			if got := b.send(out, 17, 1000, x, 53); got != pass {
				t.Fatalf("before the change: %s", got)
			}
			b.set(tt.opt, blockX)
			if got := b.send(out, 17, 1000, x, 53); got != tt.want {
				t.Errorf("after the change: got %s, want %s", got, tt.want)
			}
			if got := b.send(out, 17, 1001, x, 53); got != block {
				t.Errorf("a new flow after the change: %s", got)
			}
		})
	}
}

func TestEqualPriorities(t *testing.T) {
	allow := Rule{ID: "a", Priority: 100, Action: Allow}
	deny := Rule{ID: "b", Priority: 100, Action: Block}
	tests := []struct {
		name  string
		tie   TieBreak
		rules []Rule
		want  vfp.Drop
	}{
		{"block wins when last", BlockWins, []Rule{allow, deny}, block},
		{"block wins when first", BlockWins, []Rule{deny, allow}, block},
		{"first wins: allow", FirstWins, []Rule{allow, deny}, pass},
		{"first wins: block", FirstWins, []Rule{deny, allow}, block},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := mkBench(t, Options{Tie: tt.tie}, tt.rules...)
			for i := range uint16(100) {
				if got := b.send(out, 6, 1000+i%3, "10.9.9.9", 80); got != tt.want {
					t.Fatalf("packet %d: got %s, want %s", i, got, tt.want)
				}
			}
		})
	}
}

func TestCompilationIsDeterministic(t *testing.T) {
	rules := manyRules(200)
	a, err := Compile(rules, Options{})
	if err != nil {
		t.Fatal(err)
	}
	b, _ := Compile(rules, Options{})
	for _, l := range []vfp.Layer{a, b} {
		for _, g := range l.Groups {
			for i := range g.Rules {
				g.Rules[i].Match.Func = nil // functions are not comparable
			}
		}
	}
	if !reflect.DeepEqual(a, b) {
		t.Error("two compilations of one list differ")
	}
}

func TestCompileDoesNotAliasItsInput(t *testing.T) {
	rules := []Rule{{ID: "a", Dir: in, RemoteAddrs: addrs("10.0.0.0/8"), LocalPorts: ports(80)}}
	l, err := Compile(rules, Options{})
	if err != nil {
		t.Fatal(err)
	}
	rules[0].LocalPorts[0] = vfp.PortRange{Lo: 1, Hi: 1}
	rules[0].RemoteAddrs.Prefixes[0] = netip.MustParsePrefix("11.0.0.0/8")
	m := first(l).Match
	if m.DstPorts[0].Lo != 80 || m.Src[0] != netip.MustParsePrefix("10.0.0.0/8") {
		t.Errorf("the layer changed with its input: %+v", m)
	}
}

// first is the first rule of the layer's first list.
func first(l vfp.Layer) *vfp.Rule {
	for i := range l.Groups {
		if p := l.Groups[i].Priority; p >= rulesGroup && p < postureGroup {
			return &l.Groups[i].Rules[0]
		}
	}
	return &vfp.Rule{}
}

func TestErrorsNameTheRule(t *testing.T) {
	tests := []struct {
		name string
		rule Rule
		want error
	}{
		{"protocol 257", Rule{Protocols: []uint16{257}}, ErrProtocol},
		{"backward ports", Rule{RemotePorts: []vfp.PortRange{{Lo: 2, Hi: 1}}}, ErrPortRange},
		{"ports of ICMP", Rule{Protocols: []uint16{1}, RemotePorts: ports(80)}, ErrPorts},
		{"zero prefix", Rule{RemoteAddrs: AddressSet{Prefixes: make([]netip.Prefix, 1)}}, ErrPrefix},
		{"unknown action", Rule{Action: 9}, ErrAction},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.rule.ID = "culprit"
			for _, typ := range [2]RuleType{Switch, Host} {
				tt.rule.RuleType = typ
				_, err := Layers([]Rule{{ID: "fine"}, tt.rule}, Options{})
				if !errors.Is(err, tt.want) {
					t.Fatalf("%s rule: got %v, want %v", typ, err, tt.want)
				}
				if want := "acl culprit: "; err.Error()[:len(want)] != want {
					t.Errorf("the message does not name the rule: %v", err)
				}
			}
		})
	}
}

func TestRulesWithoutIDKeepTheirFlows(t *testing.T) {
	a := Rule{Priority: 7, Action: Allow, RemoteAddrs: addrs("10.0.0.0/8"), RemotePorts: ports(80)}
	b := a
	b.RemotePorts = ports(81)
	if a.id() == b.id() {
		t.Error("different rules share an identity")
	}
	s := Rule{RemoteAddrs: AddressSet{Sets: []string{"s"}}}
	grown := Rule{RemoteAddrs: AddressSet{Sets: []string{"s"}, Prefixes: []netip.Prefix{mePfx}}}
	if s.id() != grown.id() {
		t.Error("a new member of a set changes the identity of the rule")
	}
}

// manyRules is a list of n rules of all shapes.
func manyRules(n int) []Rule {
	rules := make([]Rule, n)
	for i := range rules {
		r := &rules[i]
		r.ID = fmt.Sprintf("r%d", i)
		r.Priority = uint16(i % 4000)
		r.Action = Action(i % 3)
		r.Dir = vfp.Dir(i / 3 % 2)
		r.Protocols = []uint16{6, 17}
		r.RemoteAddrs = addrs(fmt.Sprintf("10.%d.%d.0/24", i/256%256, i%256))
		r.RemotePorts = ports(uint16(i))
	}
	return rules
}

func TestTenThousandRulesCompile(t *testing.T) {
	l, err := Compile(manyRules(10_000), Options{})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, g := range l.Groups {
		n += len(g.Rules)
	}
	if n < 10_000 {
		t.Errorf("%d rules came out of 10000", n)
	}
}

func BenchmarkCompile10000(b *testing.B) {
	rules := manyRules(10_000)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Compile(rules, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
