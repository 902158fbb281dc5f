package slb

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

const (
	client vfp.PortID = 100
	wireID vfp.PortID = 1
)

var (
	pod   = netip.MustParseAddr("10.244.1.10")
	node  = netip.MustParseAddr("10.127.130.35")
	vip   = netip.MustParseAddr("10.96.10.10")
	near  = netip.MustParseAddr("10.244.1.20")
	far   = netip.MustParseAddr("10.244.2.20")
	podM  = wire.MustMAC("00-15-5D-24-01-0A")
	nearM = wire.MustMAC("00-15-5D-24-01-14")
	gwM   = wire.MustMAC("00-15-5D-24-01-02")
	drM   = wire.MustMAC("00-15-5D-D0-B3-B7")
)

func nearBackend() Backend { return Backend{Addr: near, Port: 101, MAC: nearM, Zone: 7} }
func farBackend() Backend  { return Backend{Addr: far} }

// lab is one port with the layers of some frontends.
type lab struct {
	t   *testing.T
	p   *vfp.Port
	now int64
}

func newLab(t *testing.T, id vfp.PortID, layers []vfp.Layer) *lab {
	t.Helper()
	l := &lab{t: t, p: vfp.NewPort(id, vfp.PortLimits{})}
	l.p.SetProgram(&vfp.Program{Layers: layers})
	return l
}

// walk takes a TCP segment through the port's layers.
func (l *lab) walk(dir vfp.Dir, src, dst string, flags uint8) *vfp.Walk {
	l.t.Helper()
	s, d := netip.MustParseAddrPort(src), netip.MustParseAddrPort(dst)
	f := wire.Frame{EthDst: gwM, EthSrc: podM, IP: &wire.IPFields{Src: s.Addr(), Dst: d.Addr()},
		TCP: &wire.TCPFields{SrcPort: s.Port(), DstPort: d.Port(), Flags: flags}}
	pkt := vfp.NewPacket(f.Bytes())
	pkt.InPort = l.p.ID
	pkt.Parse()
	w := new(vfp.Walk)
	w.Begin(l.now, pkt, 0, nil)
	l.p.Walk(w, dir)
	return w
}

func tuple(w *vfp.Walk) string {
	if w.Drop != vfp.DropNone {
		return "drop " + w.Drop.String()
	}
	return netip.AddrPortFrom(w.H.Src, w.H.SrcPort).String() + ">" + netip.AddrPortFrom(w.H.Dst, w.H.DstPort).String()
}

func (l *lab) is(w *vfp.Walk, want string) {
	l.t.Helper()
	if got := tuple(w); got != want {
		l.t.Errorf("%s, want %s", got, want)
	}
}

func dsr(backends ...Backend) Frontend {
	return Frontend{ID: "1.0", VIP: vip, Node: node, Proto: wire.ProtoTCP, Port: 80, Internal: 8080, DSR: true, Backends: backends}
}

func plain(t *testing.T, backends ...Backend) (Frontend, *vfp.NATPool) {
	t.Helper()
	pool, err := vfp.NewNATPool(vfp.NewPortSpace(), wire.ProtoTCP, 1<<40, 64)
	if err != nil {
		t.Fatal(err)
	}
	f := dsr(backends...)
	f.DSR, f.SNAT = false, vfp.DynNAT{Pool: pool, To: node}
	return f, pool
}

func TestTheMatchIsExact(t *testing.T) { // LB-01
	l := newLab(t, client, ClientLayers([]Frontend{dsr(nearBackend())}, nil))
	for dst, want := range map[string]string{
		"10.96.10.10:80": "10.244.1.20:8080",
		"10.96.10.10:81": "10.96.10.10:81",
		"10.96.10.11:80": "10.96.10.11:80",
	} {
		l.is(l.walk(vfp.Out, "10.244.1.10:5555", dst, wire.TCPSyn), "10.244.1.10:5555>"+want)
	}
}

func TestDirectServerReturnChangesOneAddressEachWay(t *testing.T) { // LB-03
	l := newLab(t, client, ClientLayers([]Frontend{dsr(farBackend())}, nil))
	w := l.walk(vfp.Out, "10.244.1.10:5555", "10.96.10.10:80", wire.TCPSyn)
	l.is(w, "10.244.1.10:5555>10.244.2.20:8080")
	if w.H.EthDst != gwM || w.Fwd.Kind != vfp.ByMAC {
		t.Errorf("routing is not this layer's business: %v %v", w.H.EthDst, w.Fwd)
	}
	l.is(l.walk(vfp.In, "10.244.2.20:8080", "10.244.1.10:5555", wire.TCPSyn|wire.TCPAck), "10.96.10.10:80>10.244.1.10:5555")
	l.is(l.walk(vfp.In, "10.244.2.20:8080", "10.244.1.10:5556", wire.TCPSyn|wire.TCPAck), "10.244.2.20:8080>10.244.1.10:5556")
}

func TestWithoutDirectServerReturnTheNodeSpeaks(t *testing.T) { // LB-02
	f, pool := plain(t, farBackend())
	l := newLab(t, client, ClientLayers([]Frontend{f}, nil))
	w := l.walk(vfp.Out, "10.244.1.10:5555", "10.96.10.10:80", wire.TCPSyn)
	l.is(w, "10.127.130.35:49152>10.244.2.20:8080")
	if id, ok := pool.Holder(0, w.H.SrcPort); !ok || id != client {
		t.Errorf("the port is held by %d, %v", id, ok)
	}
	l.is(l.walk(vfp.In, "10.244.2.20:8080", "10.127.130.35:49152", wire.TCPSyn|wire.TCPAck), "10.96.10.10:80>10.244.1.10:5555")
}

// The ACLs at 200 see the pod and the backend, with and without direct server
// return (rule ACL-09).
func TestACLsSeePodsOnBothSides(t *testing.T) {
	f, _ := plain(t, farBackend())
	for name, f := range map[string]Frontend{"dsr": dsr(farBackend()), "plain": f} {
		var seen []string
		spy := vfp.Layer{Name: "SPY", Priority: 200}
		for _, dir := range []vfp.Dir{vfp.Out, vfp.In} {
			spy.Groups = append(spy.Groups, vfp.Group{Name: fmt.Sprint("g", dir), Dir: dir, Rules: []vfp.Rule{{ID: "spy", Match: vfp.Match{
				Func: func(w *vfp.Walk) bool { seen = append(seen, tuple(w)); return false }}, Action: vfp.Allow{}}}})
		}
		l := newLab(t, client, append(ClientLayers([]Frontend{f}, nil), spy))
		w := l.walk(vfp.Out, "10.244.1.10:5555", "10.96.10.10:80", wire.TCPSyn)
		l.walk(vfp.In, "10.244.2.20:8080", netip.AddrPortFrom(w.H.Src, w.H.SrcPort).String(), wire.TCPSyn|wire.TCPAck)
		want := []string{"10.244.1.10:5555>10.244.2.20:8080", "10.244.2.20:8080>10.244.1.10:5555"}
		if !slices.Equal(seen, want) {
			t.Errorf("%s: %q, want %q", name, seen, want)
		}
	}
}

func TestTheWireSteersToBackendsHereAndTurnsOthers(t *testing.T) { // LB-16
	f, _ := plain(t, nearBackend())
	l := newLab(t, wireID, WireLayers([]Frontend{f}, Wire{}))
	w := l.walk(vfp.Out, "203.0.113.80:40000", "10.96.10.10:80", wire.TCPSyn)
	l.is(w, "10.127.130.35:49152>10.244.1.20:8080")
	if w.Fwd != (vfp.Forward{Kind: vfp.ToPort, Port: 101}) || w.H.EthDst != nearM || w.Zone != 7 {
		t.Errorf("steered to %v %v zone %d", w.Fwd, w.H.EthDst, w.Zone)
	}
	l.is(l.walk(vfp.In, "10.244.1.20:8080", "10.127.130.35:49152", wire.TCPAck), "10.96.10.10:80>203.0.113.80:40000")

	f, _ = plain(t, farBackend())
	l = newLab(t, wireID, WireLayers([]Frontend{f}, Wire{}))
	w = l.walk(vfp.Out, "203.0.113.80:40000", "10.96.10.10:80", wire.TCPSyn)
	l.is(w, "10.127.130.35:49152>10.244.2.20:8080")
	if w.Fwd.Kind != vfp.ToPA {
		t.Errorf("forwarded %v, want by the host's neighbours", w.Fwd)
	}
	// The answer comes from where the question came from, too.
	w = l.walk(vfp.Out, "10.244.2.20:8080", "10.127.130.35:49152", wire.TCPAck)
	l.is(w, "10.96.10.10:80>203.0.113.80:40000")
	if w.Fwd.Kind != vfp.ToPA {
		t.Errorf("the answer is forwarded %v", w.Fwd)
	}

	routed := farBackend()
	routed.Router = drM
	f, _ = plain(t, routed)
	l = newLab(t, wireID, WireLayers([]Frontend{f}, Wire{})[:1])
	if w = l.walk(vfp.Out, "203.0.113.80:40000", "10.96.10.10:80", wire.TCPSyn); w.H.EthDst != drM || w.Fwd.Kind != vfp.ByMAC {
		t.Errorf("for an overlay: %v %v, want the distributed router to decide", w.H.EthDst, w.Fwd)
	}
}

func TestWhereAFrontendExistsOnTheWire(t *testing.T) { // LB-12, LB-13, B-19
	f, _ := plain(t, farBackend())
	kept := dsr(farBackend())
	kept.PreserveDIP = true
	tests := []struct {
		name      string
		f         Frontend
		needLocal bool
		want      bool
	}{
		{"DSR, backend here", dsr(nearBackend()), false, true},
		{"DSR, backend elsewhere", dsr(farBackend()), false, false},
		{"PreserveDIP, backend elsewhere", kept, false, false},
		{"plain, backend elsewhere", f, false, true},
		{"plain, backend elsewhere, old build", f, true, false},
	}
	for _, tt := range tests {
		l := newLab(t, wireID, WireLayers([]Frontend{tt.f}, Wire{NeedLocal: tt.needLocal}))
		w := l.walk(vfp.Out, "203.0.113.80:40000", "10.96.10.10:80", wire.TCPSyn)
		if got := w.H.Dst != vip || w.Fwd.Kind != vfp.ByMAC; got != tt.want {
			t.Errorf("%s: balanced %v", tt.name, got)
		}
	}
}

func TestFramesForOtherHostsAreNotBalanced(t *testing.T) { // LB-17
	for mac, want := range map[wire.MAC]string{gwM: "203.0.113.80:40000>10.244.1.20:8080", drM: "203.0.113.80:40000>10.96.10.10:80"} {
		l := newLab(t, wireID, WireLayers([]Frontend{dsr(nearBackend())}, Wire{MACs: []wire.MAC{mac}}))
		l.is(l.walk(vfp.Out, "203.0.113.80:40000", "10.96.10.10:80", wire.TCPSyn), want)
	}
}

func TestPreserveDIPSteersAndChangesNothing(t *testing.T) { // LB-11
	f := dsr(farBackend(), nearBackend())
	f.PreserveDIP = true
	for id, layers := range map[vfp.PortID][]vfp.Layer{
		client: ClientLayers([]Frontend{f}, nil), wireID: WireLayers([]Frontend{f}, Wire{}),
	} {
		l := newLab(t, id, layers)
		for port := range 20 {
			w := l.walk(vfp.Out, fmt.Sprintf("203.0.113.80:%d", 40000+port), "10.96.10.10:80", wire.TCPSyn)
			l.is(w, fmt.Sprintf("203.0.113.80:%d>10.96.10.10:80", 40000+port))
			if w.Fwd != (vfp.Forward{Kind: vfp.ToPort, Port: 101}) || w.H.EthDst != nearM {
				t.Fatalf("port %d: %v %v", id, w.Fwd, w.H.EthDst)
			}
		}
	}
}

func TestTheHostBalancesOnlyWhatItSaysItself(t *testing.T) { // LB-14, LB-12
	own := []netip.Prefix{netip.PrefixFrom(node, 32)}
	l := newLab(t, 2, HostLayers([]Frontend{dsr(farBackend())}, own))
	l.is(l.walk(vfp.Out, "10.127.130.35:5555", "10.96.10.10:80", wire.TCPSyn), "10.127.130.35:5555>10.244.2.20:8080")
	l.is(l.walk(vfp.Out, "203.0.113.80:5555", "10.96.10.10:80", wire.TCPSyn), "203.0.113.80:5555>10.96.10.10:80")
	tunnelled := farBackend()
	tunnelled.Router = drM
	if ls := HostLayers([]Frontend{dsr(tunnelled)}, own); len(ls) != 0 { // OV-22
		t.Errorf("the host balances to pods that it does not reach: %v", ls[0].Groups[0].Rules[0].ID)
	}
}

// set replaces the program as a change of the load balancer does.
func (l *lab) set(fs ...Frontend) { l.p.SetProgram(&vfp.Program{Layers: ClientLayers(fs, nil)}) }

func TestAFlowLivesWithItsBackend(t *testing.T) { // LB-06 to LB-08
	a, b := farBackend(), nearBackend()
	open := func(l *lab) string { return tuple(l.walk(vfp.Out, "10.244.1.10:5555", "10.96.10.10:80", wire.TCPSyn)) }
	next := func(l *lab) string { return tuple(l.walk(vfp.Out, "10.244.1.10:5555", "10.96.10.10:80", wire.TCPAck)) }
	toA, toB := "10.244.1.10:5555>10.244.2.20:8080", "10.244.1.10:5555>10.244.1.20:8080"

	l := newLab(t, client, ClientLayers([]Frontend{dsr(a)}, nil))
	l.is(l.walk(vfp.Out, "10.244.1.10:5555", "10.96.10.10:80", wire.TCPSyn), toA)
	for range 10 { // whatever order and company
		l.set(dsr(b, b, b, a))
		l.set(dsr(a, b, b, b))
		if got := next(l); got != toA {
			t.Fatalf("after others came: %s", got)
		}
	}
	draining := dsr(b)
	draining.Draining = []netip.Addr{far}
	l.set(draining)
	if got := next(l); got != toA {
		t.Errorf("a draining backend lost its flow: %s", got)
	}
	empty := dsr()
	empty.Draining = []netip.Addr{far}
	l.set(empty)
	if got := next(l); got != toA {
		t.Errorf("with no backend left a draining one lost its flow: %s", got)
	}
	if got := tuple(l.walk(vfp.Out, "10.244.1.10:5556", "10.96.10.10:80", wire.TCPSyn)); got != "10.244.1.10:5556>10.96.10.10:80" {
		t.Errorf("a new flow with no backend left: %s", got)
	}
	l.set(dsr(b))
	if got := next(l); got != toB {
		t.Errorf("a flow of a backend that is gone: %s", got)
	}
	l.set(dsr(a))
	open(l)
	again := dsr(b)
	again.ID = "2.0"
	l.set(again)
	if got := next(l); got != toB {
		t.Errorf("after delete and create: %s", got)
	}
}

func TestASilentFlowIsBalancedAnew(t *testing.T) { // LB-06
	l := newLab(t, client, ClientLayers([]Frontend{dsr(farBackend())}, nil))
	l.walk(vfp.Out, "10.244.1.10:5555", "10.96.10.10:80", wire.TCPSyn)
	l.walk(vfp.In, "10.244.2.20:8080", "10.244.1.10:5555", wire.TCPSyn|wire.TCPAck)
	l.walk(vfp.Out, "10.244.1.10:5555", "10.96.10.10:80", wire.TCPAck)
	draining := dsr(nearBackend())
	draining.Draining = []netip.Addr{far}
	l.set(draining)
	l.now += 239e9
	l.is(l.walk(vfp.Out, "10.244.1.10:5555", "10.96.10.10:80", wire.TCPAck), "10.244.1.10:5555>10.244.2.20:8080")
	l.now += 241e9
	l.is(l.walk(vfp.Out, "10.244.1.10:5555", "10.96.10.10:80", wire.TCPAck), "10.244.1.10:5555>10.244.1.20:8080")
}

func TestAPoolThatIsUsedUpRefusesNewFlows(t *testing.T) {
	f, _ := plain(t, farBackend())
	l := newLab(t, client, ClientLayers([]Frontend{f}, nil))
	for i := range 65 {
		w := l.walk(vfp.Out, fmt.Sprintf("10.244.1.10:%d", 5000+i), "10.96.10.10:80", wire.TCPSyn)
		if want := i == 64; (w.Drop == vfp.DropNatPoolExhausted) != want {
			t.Fatalf("flow %d: %s", i, tuple(w))
		}
	}
}

func TestLostPoolPortsAreRefused(t *testing.T) { // L2B-25
	f, pool := plain(t, farBackend())
	lost := func(w *vfp.Walk) bool {
		_, held := pool.Holder(w.Now, w.H.DstPort)
		return w.H.Dst == node && !held
	}
	for id, layers := range map[vfp.PortID][]vfp.Layer{client: ClientLayers([]Frontend{f}, lost), wireID: WireLayers([]Frontend{f}, Wire{Lost: lost})} {
		l := newLab(t, id, layers)
		w := l.walk(vfp.Out, "10.244.2.20:8080", "10.127.130.35:49199", wire.TCPAck)
		l.is(w, "drop NoMapping")
		if !w.NoCache {
			t.Error("the next flow may take the port, but nobody would notice")
		}
	}
}

func TestWhatOutboundNATLeavesAlone(t *testing.T) { // L2B-27
	if Leave([]Frontend{dsr(farBackend())}) != nil {
		t.Error("direct server return needs nothing of it")
	}
	f, _ := plain(t, farBackend())
	kept := dsr(nearBackend())
	kept.VIP, kept.PreserveDIP = netip.MustParseAddr("10.96.10.11"), true
	fs := []Frontend{f, kept}
	var left []bool
	leave := Leave(fs)
	spy := vfp.Layer{Name: "NAT", Priority: 300, Groups: []vfp.Group{{Name: "g", Dir: vfp.Out, Rules: []vfp.Rule{{ID: "spy", Match: vfp.Match{
		Func: func(w *vfp.Walk) bool { left = append(left, leave(w)); return false }}, Action: vfp.Allow{}}}}}}
	l := newLab(t, client, append(ClientLayers(fs, nil), spy))
	for _, to := range []string{"10.96.10.10:80", "10.96.10.11:80", "10.96.10.12:80", "203.0.113.80:80"} {
		l.walk(vfp.Out, "10.244.1.10:5555", to, wire.TCPSyn)
	}
	if want := []bool{true, true, false, false}; !slices.Equal(left, want) {
		t.Errorf("left alone: %v, want %v", left, want)
	}
}

func TestFamiliesAreApart(t *testing.T) { // L2B-17, B-20
	six := Frontend{ID: "2.0", VIP: netip.MustParseAddr("fd00:96::10"), Node: node, Proto: wire.ProtoTCP, Port: 80, Internal: 8080, DSR: true,
		Backends: []Backend{{Addr: netip.MustParseAddr("fd00:10::20")}}}
	layers := ClientLayers([]Frontend{dsr(farBackend()), six}, nil)
	var names []string
	for _, g := range layers[0].Groups {
		names = append(names, g.Name)
	}
	if got := strings.Join(names, " "); got != "LB_DSR_IPv4_OUT LB_DSR_IPv6_OUT" {
		t.Errorf("groups %s", got)
	}
	l := newLab(t, client, layers)
	l.is(l.walk(vfp.Out, "[fd00:10::1]:5555", "[fd00:96::10]:80", wire.TCPSyn), "[fd00:10::1]:5555>[fd00:10::20]:8080")
	l.is(l.walk(vfp.Out, "10.244.1.10:5555", "10.96.10.10:80", wire.TCPSyn), "10.244.1.10:5555>10.244.2.20:8080")
}

func TestRulesAreNamedAsOnRealPorts(t *testing.T) { // contract section 1
	f, _ := plain(t, farBackend())
	kept := dsr(nearBackend())
	for _, tt := range []struct{ layer, rule string }{
		{"LB_DSR", "LB_DSR_1.0_10.127.130.35_10.96.10.10_80_8080_6"},
		{"SLB_LB_LAYER", "LB_1.0_10.127.130.35_10.96.10.10_80_8080_6"},
		{"LB", "LB_HOST_1.0_10.127.130.35_10.96.10.10_80_8080_6"},
	} {
		found := false
		for _, l := range slices.Concat(ClientLayers([]Frontend{kept, f}, nil), HostLayers([]Frontend{kept}, nil)) {
			found = found || l.Name == tt.layer && l.Groups[0].Rules[0].ID == tt.rule
		}
		if !found {
			t.Errorf("no rule %s in a layer %s", tt.rule, tt.layer)
		}
	}
}
