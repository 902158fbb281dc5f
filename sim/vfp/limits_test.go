package vfp

import (
	"fmt"
	"testing"

	"github.com/hnsim/hnsim/sim/wire"
)

func mustPanic(t *testing.T, name string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s: no panic", name)
		}
	}()
	f()
}

func TestProgramsBeyondTheLimitsPanic(t *testing.T) {
	p := NewPort(1, PortLimits{})
	stateful := func(n int) *Program {
		prog := &Program{}
		for i := range n {
			prog.Layers = append(prog.Layers, Layer{Name: fmt.Sprint(i), Groups: []Group{out(allow("a", Match{}))}})
		}
		return prog
	}
	p.SetProgram(stateful(MaxStatefulLayers))
	mustPanic(t, "too many stateful layers", func() { p.SetProgram(stateful(MaxStatefulLayers + 1)) })
	mustPanic(t, "two layers of a name", func() { p.SetProgram(&Program{Layers: []Layer{{Name: "x"}, {Name: "x"}}}) })
	if len(p.Program().Layers) != MaxStatefulLayers {
		t.Error("the refused program was set")
	}
}

func TestAWalkWithTooManyReferencesIsNotCached(t *testing.T) { // VFP-12
	layers := func(name string) (ls []Layer) {
		for i := range MaxStatefulLayers {
			ls = append(ls, Layer{Name: fmt.Sprint(name, i), Groups: []Group{out(allow("o", Match{})), in(allow("i", Match{}))}})
		}
		return ls
	}
	l := newLab(true, PortLimits{})
	l.program(portA, layers("a")...)
	l.program(portB, layers("b")...)
	for range 3 {
		if r := l.send(portA, udp(ipA, ipB, 1, 2).Bytes()); r.hit || r.out != portB {
			t.Errorf("%v (cache hit %v)", r, r.hit)
		}
	}
	if n := l.port(portA).Cache.Len(); n != 0 {
		t.Errorf("%d entries", n)
	}
}

func TestWalksOverPortsOfDifferentStoresAreNotCached(t *testing.T) {
	l := newLab(true, PortLimits{})
	l.ports[1] = NewPort(portB, PortLimits{}) // a store of its own
	for _, id := range []PortID{portA, portB} {
		l.program(id, aclLayer(Reevaluate, out(allow("o", Match{})), in(allow("i", Match{}))))
	}
	for range 3 {
		if r := l.send(portA, udp(ipA, ipB, 1, 2).Bytes()); r.hit || r.out != portB {
			t.Errorf("%v (cache hit %v)", r, r.hit)
		}
	}
}

func TestAPortThatHasSeenTooManyTunnelsCachesNoMore(t *testing.T) {
	l := newLab(true, PortLimits{})
	l.program(portWire, Layer{Name: "DECAP", Groups: []Group{out(Rule{ID: "pop", Action: pop{}})}})
	f := &wire.Frame{EthSrc: macR, EthDst: macHost, IP: &wire.IPFields{Src: ipX, Dst: ipH},
		VXLAN: &wire.VXLANFields{}, Inner: udp(ipX, ipA, 1, 2)}
	for vni := range uint32(maxTunnels + 1) {
		f.VXLAN.VNI = vni
		l.want(t, portWire, f.Bytes(), portA, f.Inner)
	}
	if r := l.send(portWire, f.Bytes()); r.hit || r.out != portA {
		t.Errorf("a tunnel too many: %v (cache hit %v)", r, r.hit)
	}
	f.VXLAN.VNI = 7
	if r := l.send(portWire, f.Bytes()); !r.hit {
		t.Error("a known tunnel is cached no more")
	}
}

// A layer that encapsulates and is stateful has no flows: they could not
// carry the encapsulation.
func TestFlowsCarryNoEncapsulation(t *testing.T) {
	both(t, PortLimits{}, func(t *testing.T, l *lab) {
		l.program(portA, Layer{Name: "L", Groups: []Group{out(Rule{ID: "e", Stateful: true, Action: push{VXLAN, ipX, 4096, 0}})}})
		first := l.want(t, portA, udp(ipA, ipB, 1, 2).Bytes(), portWire, nil)
		second := l.want(t, portA, udp(ipA, ipB, 1, 2).Bytes(), portWire, nil)
		if string(first) != string(second) || l.port(portA).Flows() != 0 {
			t.Errorf("%s\n%s\n%d flows", wire.Summary(first), wire.Summary(second), l.port(portA).Flows())
		}
	})
}

func TestAFlowRepeatsTheForwardingDecisionInItsFirstDirection(t *testing.T) { // LB-06, LB-11
	both(t, PortLimits{}, func(t *testing.T, l *lab) {
		steer := func(to PortID) {
			l.program(portA, Layer{Name: "LB", Reconcile: KeepAlways, Groups: []Group{
				out(Rule{ID: "s", Stateful: true, Action: ForwardTo{Forward{Kind: ToPort, Port: to}}})}})
		}
		steer(portB)
		l.want(t, portA, udp(ipA, ipX, 1, 2).Bytes(), portB, nil)
		steer(portWire)
		l.want(t, portA, udp(ipA, ipX, 1, 2).Bytes(), portB, nil) // the flow is older than the change
		l.want(t, portA, udp(ipA, ipX, 1, 3).Bytes(), portWire, nil)
		l.want(t, portB, udp(ipX, ipA, 2, 1).Bytes(), portA, nil) // the reply goes by its MAC
	})
}

func TestLongFramesTakeTheSlowPathWhenAskedTo(t *testing.T) { // OV-19
	l := newLab(true, PortLimits{})
	l.program(portA, Layer{Name: "L", Groups: []Group{out(Rule{ID: "r", Action: atMost(200)})}})
	small, big := udp(ipA, ipB, 1, 2), udp(ipA, ipB, 1, 2)
	big.Payload = make([]byte, 300)
	l.want(t, portA, small.Bytes(), portB, small)
	if r := l.send(portA, small.Bytes()); !r.hit {
		t.Error("the short frame is not cached")
	}
	l.wantDrop(t, portA, big.Bytes(), DropEncapOversize)
	if r := l.send(portA, small.Bytes()); !r.hit {
		t.Error("the long frame took the short one's entry")
	}
}

// atMost drops longer frames.
type atMost int

func (atMost) Name() string { return "atmost" }

func (a atMost) Apply(w *Walk) Outcome {
	w.MaxLen = int(a)
	if len(w.Frame) > int(a) {
		w.Drop, w.NoCache = DropEncapOversize, true
		return Stop
	}
	return Continue
}

// What a dropped packet took and gave back may still move a pool on, so such
// drops are not cached.
func TestDroppedPacketsMoveAPoolOnWithAndWithoutTheCache(t *testing.T) { // VFP-12
	var natPorts [2]uint16
	for i, cached := range []bool{false, true} {
		l := newLab(cached, PortLimits{})
		pool, _ := NewNATPool(NewPortSpace(), wire.ProtoUDP, 1, 0)
		l.program(portA, snat(pool), Layer{Name: "ACL", Priority: 900, Groups: []Group{
			out(deny("b", Match{DstPorts: []PortRange{ports(25, 25)}}))}})
		for range 5 {
			l.wantDrop(t, portA, udp(ipA, ipX, 1, 25).Bytes(), DropVfpBlock)
		}
		f := l.want(t, portA, udp(ipA, ipX, 1, 53).Bytes(), portWire, nil)
		natPorts[i] = metaOf(f).SrcPort
	}
	if natPorts[0] != natPorts[1] {
		t.Errorf("the flow behind them gets port %d without cache and %d with it", natPorts[0], natPorts[1])
	}
}

func TestAHintDoesNotOutliveItsEntry(t *testing.T) {
	l := newLab(true, PortLimits{})
	p := NewPacket(udp(ipA, ipB, 1, 2).Bytes())
	p.InPort = portA
	p.Parse()
	l.send(portA, p.Bytes())
	c := l.port(portA).Cache
	var keys [1]Key
	c.Key(p, &keys[0])
	c.Warm(keys[:])
	c.Age(CacheIdle, 10)
	if _, ok := c.Lookup(&keys[0], p, 0, l.gen()); ok {
		t.Error("an entry that was removed was found")
	}
}
