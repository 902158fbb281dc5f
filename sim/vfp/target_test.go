package vfp

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/sim/wire"
)

// choose sends a flow to one of several addresses, as load balancers do. With
// turn the packet goes back to the wire that it came from.
type choose struct {
	to   []netip.Addr
	turn bool
}

func (choose) Name() string { return "choose" }

func (c choose) Apply(w *Walk) Outcome {
	a := c.to[int(w.H.SrcPort)%len(c.to)]
	if !sameVersion(a, w.H.Dst) {
		return Continue
	}
	w.H.Dst, w.Target = a, a.String()
	if c.turn && w.InPort == portWire {
		w.Fwd, w.Turn = Forward{Kind: ToPA}, true
	}
	return Continue
}

func (c choose) targets() (names []string) {
	for _, a := range c.to {
		names = append(names, a.String())
	}
	return names
}

func balancing(id string, turn bool, to ...netip.Addr) Layer {
	c := choose{to, turn}
	return Layer{Name: "LB", Reconcile: KeepWhileRule, Groups: []Group{out(Rule{
		ID: id, Match: Match{Dst: at(ipVIP)}, Action: c, Targets: c.targets(), Terminating: true, Stateful: true})}}
}

func TestAFlowLivesAsLongAsItsTargetIsListed(t *testing.T) { // LB-06, LB-08
	both(t, PortLimits{}, func(t *testing.T, l *lab) {
		question := tcp(ipA, ipVIP, 5000, 80, ack).Bytes()
		to := func() string {
			var m wire.Meta
			r := l.send(portA, question)
			wire.Parse(r.frame, &m)
			return m.Dst(r.frame).String()
		}
		steps := []struct {
			name  string
			layer Layer
			want  netip.Addr
		}{
			{"at first", balancing("r", false, ipB), ipB},
			{"others come in front", balancing("r", false, ipX, ipB, ipX), ipB},
			{"the rule has another name, and lists the target", balancing("s", false, ipX, ipB), ipB},
			{"the target goes", balancing("s", false, ipX), ipX},
			{"and comes back", balancing("s", false, ipB, ipX), ipX},
		}
		for _, s := range steps {
			l.program(portA, s.layer)
			if got := to(); got != s.want.String() {
				t.Errorf("%s: to %s, want %s", s.name, got, s.want)
			}
		}
	})
}

// What leaves by the way it came is answered from there, in the same direction.
func TestATurnedFlowIsAnsweredInItsOwnDirection(t *testing.T) { // LB-16
	both(t, PortLimits{}, func(t *testing.T, l *lab) {
		l.program(portWire, balancing("r", true, ip("10.244.2.20")))
		question := tcp(ipX, ipVIP, 5000, 80, syn)
		for range 2 {
			sent := l.want(t, portWire, question.Bytes(), portWire, nil)
			var m wire.Meta
			wire.Parse(sent, &m)
			if m.Dst(sent) != ip("10.244.2.20") {
				t.Fatalf("turned to %s", wire.Summary(sent))
			}
			reply := answer(sent)
			wire.Ethernet(reply).SetDst(macA) // so that the lab knows where to
			back := l.want(t, portWire, reply, portA, nil)
			wire.Parse(back, &m)
			if m.Src(back) != ipVIP || m.Dst(back) != ipX || m.DstPort != 5000 {
				t.Fatalf("answered with %s", wire.Summary(back))
			}
		}
		// From elsewhere the same packet answers nothing.
		stranger := l.want(t, portB, tcp(ip("10.244.2.20"), ipX, 80, 5000, ack).Bytes(), portWire, nil)
		var m wire.Meta
		if wire.Parse(stranger, &m); m.Src(stranger) == ipVIP {
			t.Errorf("a packet that left by another way was taken for the answer: %s", wire.Summary(stranger))
		}
	})
}

func TestDumpsNameTheTargets(t *testing.T) {
	l := newLab(false, PortLimits{})
	var to []netip.Addr
	for range 10 {
		to = append(to, ipB)
	}
	layer := balancing("r", false, to...)
	layer.Groups[0].Rules[0].Targets[0] = "r#10.0.0.7"
	l.program(portA, layer)
	var b strings.Builder
	if err := l.port(portA).Dump(&b, 0); err != nil {
		t.Fatal(err)
	}
	if want := "Targets : 10.0.0.7,10.0.0.2,10.0.0.2,10.0.0.2,10.0.0.2,10.0.0.2,10.0.0.2,10.0.0.2,and 2 more\n"; !strings.Contains(b.String(), want) {
		t.Errorf("no %q in\n%s", want, b.String())
	}
}

func TestAPoolKnowsWhoseFlowHoldsAPort(t *testing.T) { // LB-02
	l := newLab(false, PortLimits{})
	space := NewPortSpace()
	pool, err := NewNATPool(space, wire.ProtoUDP, 1<<40, 0)
	if err != nil {
		t.Fatal(err)
	}
	if id, ok := pool.Holder(l.now, 49152); ok {
		t.Errorf("before the first flow port 49152 is held by %d", id)
	}
	l.program(portA, snat(pool))
	l.program(portB, snat(pool))
	for i, from := range []struct {
		port PortID
		addr netip.Addr
	}{{portA, ipA}, {portB, ipB}, {portA, ipA}} {
		sent := l.want(t, from.port, udp(from.addr, ipX, uint16(40000+i), 53).Bytes(), portWire, nil)
		var m wire.Meta
		wire.Parse(sent, &m)
		if id, ok := pool.Holder(l.now, m.SrcPort); !ok || id != from.port {
			t.Errorf("port %d of a flow of %d: held by %d, %v", m.SrcPort, from.port, id, ok)
		}
	}
	for _, port := range []uint16{49155, 49151, 49152 + VFPBlock} {
		if id, ok := pool.Holder(l.now, port); ok {
			t.Errorf("port %d is held by %d", port, id)
		}
	}
	// An idle flow is gone whether or not somebody has swept it away.
	l.now += seconds(240)
	if id, ok := pool.Holder(l.now, 49152); ok {
		t.Errorf("port of a flow that ended is held by %d", id)
	}
}
