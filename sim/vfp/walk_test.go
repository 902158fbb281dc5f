package vfp

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/sim/wire"
)

// note is an action that writes its name into log.
type note struct {
	log  *[]string
	name string
}

func (n note) Name() string { return "note" }

func (n note) Apply(w *Walk) Outcome {
	*n.log = append(*n.log, n.name)
	return Continue
}

func TestLayersRunInPriorityOrderOutAndInReverseIn(t *testing.T) { // VFP-02
	var log []string
	layer := func(name string, prio uint16) Layer {
		return Layer{Name: name, Priority: prio, Groups: []Group{
			out(Rule{ID: "o", Action: note{&log, "out " + name}}),
			in(Rule{ID: "i", Action: note{&log, "in " + name}}),
		}}
	}
	l := newLab(false, PortLimits{})
	l.program(portA, layer("one", 100), layer("three", 300), layer("two", 200))
	l.program(portB, layer("one", 100), layer("two", 200))
	l.send(portA, udp(ipA, ipB, 1, 2).Bytes())
	want := "out one,out two,out three,in two,in one"
	if got := strings.Join(log, ","); got != want {
		t.Errorf("layers ran %s, want %s", got, want)
	}
}

func TestEveryLayerSeesTheSameAddressesBothWays(t *testing.T) { // VFP-02, S-VFP-04
	both(t, PortLimits{}, func(t *testing.T, l *lab) {
		var seen []string
		see := func(w *Walk) bool {
			h := w.H
			if w.Dir == In {
				h = h.Reversed()
			}
			seen = append(seen, fmt.Sprintf("%s>%s", endpoint{h.Src, h.SrcPort}, endpoint{h.Dst, h.DstPort}))
			return true
		}
		l.program(portA,
			Layer{Name: "LB", Priority: 100, Groups: []Group{
				out(Rule{ID: "vip", Match: Match{Dst: at(ipVIP)}, Stateful: true, Action: SetHeaders{Dst: ipB, DstPort: ptr(uint16(8080)), EthDst: &macB}}),
			}},
			Layer{Name: "ACL", Priority: 200, Groups: []Group{
				out(Rule{ID: "o", Match: Match{Func: see}, Action: Allow{}}),
				in(Rule{ID: "i", Match: Match{Func: see}, Action: Allow{}}),
			}})
		f := l.want(t, portA, tcp(ipA, ipVIP, 5555, 80, wire.TCPSyn).Bytes(), portB, nil)
		back := l.want(t, portB, answer(f), portA, nil)
		var m wire.Meta
		wire.Parse(back, &m)
		if m.Src(back) != ipVIP || m.SrcPort != 80 {
			t.Errorf("the client sees %s, want an answer from the VIP", wire.Summary(back))
		}
		if len(seen) != 2 || seen[0] != seen[1] {
			t.Errorf("the ACL layer saw %v", seen)
		}
	})
}

func TestAtMostOneRuleOfAGroupActs(t *testing.T) { // VFP-03, S-VFP-02
	var log []string
	rule := func(name string, prio uint16, m Match) Rule {
		return Rule{ID: name, Priority: prio, Match: m, Action: note{&log, name}}
	}
	tests := []struct {
		name  string
		rules []Rule
		want  string
	}{
		{"the lower number goes first", []Rule{rule("b", 20, Match{}), rule("a", 10, Match{})}, "a"},
		{"equal numbers keep their order", []Rule{rule("a", 10, Match{}), rule("b", 10, Match{})}, "a"},
		{"a rule that does not match leaves the turn", []Rule{rule("a", 10, Match{Protos: []uint8{6}}), rule("b", 20, Match{})}, "b"},
		{"a rule that never matches does so too", []Rule{rule("a", 10, Match{Never: true}), rule("b", 20, Match{})}, "b"},
		{"nobody has to match", []Rule{rule("a", 10, Match{Dst: at(ipX)})}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			log = nil
			l := newLab(false, PortLimits{})
			l.program(portA, Layer{Name: "L", Groups: []Group{out(tt.rules...)}})
			l.send(portA, udp(ipA, ipB, 1, 2).Bytes())
			if got := strings.Join(log, ","); got != tt.want {
				t.Errorf("acted: %q, want %q", got, tt.want)
			}
		})
	}
}

func TestGroupsRunInOrderUntilATerminatingRule(t *testing.T) { // VFP-03, S-VFP-03
	var log []string
	group := func(name string, prio uint16, f Family, term bool) Group {
		return Group{Name: name, Dir: Out, Priority: prio, Family: f, Rules: []Rule{{ID: name, Action: note{&log, name}, Terminating: term}}}
	}
	l := newLab(false, PortLimits{})
	l.program(portA,
		Layer{Name: "L1", Priority: 1, Groups: []Group{
			group("third", 30, AnyFamily, true), group("first", 10, IPv4, false),
			group("v6", 15, IPv6, true), group("nonip", 16, NonIP, true),
			group("second", 20, AnyFamily, false), group("never", 40, AnyFamily, false),
			{Name: "other way", Dir: In, Priority: 1, Rules: []Rule{{ID: "x", Action: note{&log, "x"}}}},
		}},
		Layer{Name: "L2", Priority: 2, Groups: []Group{group("next layer", 0, AnyFamily, false)}})
	l.send(portA, udp(ipA, ipB, 1, 2).Bytes())
	if got, want := strings.Join(log, ","), "first,second,third,next layer"; got != want {
		t.Errorf("acted: %s, want %s", got, want)
	}
}

func TestTheSecondPacketOfAFlowHitsTheCache(t *testing.T) { // VFP-06
	l := newLab(true, PortLimits{})
	l.program(portA, aclLayer(Reevaluate, out(allow("a", Match{}))))
	for i, want := range []bool{false, true, true} {
		if r := l.send(portA, udp(ipA, ipB, 1, 2).Bytes()); r.hit != want || r.drop != DropNone {
			t.Fatalf("packet %d: cache hit %v (%v), want %v", i, r.hit, r, want)
		}
	}
	if r := l.send(portA, udp(ipA, ipB, 1, 3).Bytes()); r.hit {
		t.Error("another destination port hit the same entry")
	}
	other := udp(ipA, ipB, 1, 2)
	other.EthDst = macR
	if r := l.send(portA, other.Bytes()); r.hit || r.out != portWire {
		t.Error("another destination MAC hit the same entry")
	}
	other.VLAN = &wire.VLANFields{}
	if r := l.send(portA, other.Bytes()); r.hit {
		t.Error("a priority-tagged frame hit the untagged entry")
	}
}

func TestRepliesOfAnAllowedFlowNeedNoRule(t *testing.T) { // VFP-07, ACL-10
	both(t, PortLimits{}, func(t *testing.T, l *lab) {
		l.program(portA, aclLayer(Reevaluate,
			out(allow("dns", Match{DstPorts: []PortRange{ports(53, 53)}}), deny("rest", Match{})),
			in(deny("all", Match{}))))
		l.wantDrop(t, portB, udp(ipB, ipA, 53, 4000).Bytes(), DropVfpBlock)
		l.want(t, portA, udp(ipA, ipB, 4000, 53).Bytes(), portB, nil)
		for range 3 {
			l.want(t, portB, udp(ipB, ipA, 53, 4000).Bytes(), portA, nil)
		}
		l.wantDrop(t, portB, udp(ipB, ipA, 54, 4000).Bytes(), DropVfpBlock)
		l.wantDrop(t, portA, udp(ipA, ipB, 4000, 54).Bytes(), DropVfpBlock)
		// A blocked packet leaves no state, so its reply is blocked too.
		l.wantDrop(t, portB, udp(ipB, ipA, 54, 4000).Bytes(), DropVfpBlock)
	})
}

func TestAPacketThatALaterLayerDropsLeavesNoFlow(t *testing.T) { // ACL-10
	both(t, PortLimits{}, func(t *testing.T, l *lab) {
		space := NewPortSpace()
		pool, _ := NewNATPool(space, wire.ProtoUDP, 1, 0)
		l.program(portA,
			Layer{Name: "NAT", Priority: 1, Groups: []Group{out(Rule{ID: "snat", Action: DynNAT{Pool: pool, To: ipH}})}},
			Layer{Name: "ACL", Priority: 2, Groups: []Group{out(deny("b", Match{}))}})
		for range 3 {
			l.wantDrop(t, portA, udp(ipA, ipX, 1, 2).Bytes(), DropVfpBlock)
		}
		if l.port(portA).Flows() != 0 || pool.InUse() != 0 {
			t.Errorf("%d flows and %d NAT ports are left behind", l.port(portA).Flows(), pool.InUse())
		}
	})
}

func TestABumpedGenerationIsSimulatedOnceAndCachedAgain(t *testing.T) { // VFP-08, S-VFP-05
	l := newLab(true, PortLimits{})
	set := func() { l.program(portA, aclLayer(Reevaluate, out(allow("a", Match{})))) }
	f := udp(ipA, ipB, 1, 2).Bytes()
	set()
	l.send(portA, f)
	set()
	for i, want := range []bool{false, true} {
		if r := l.send(portA, f); r.hit != want {
			t.Errorf("packet %d after the change: cache hit %v, want %v", i, r.hit, want)
		}
	}
}

func TestWhatBecomesOfFlowsWhenThePolicyChanges(t *testing.T) { // VFP-08, ACL-11, LB-06
	stateful := out(allow("keep", Match{DstPorts: []PortRange{ports(53, 53)}}))
	tests := []struct {
		name      string
		reconcile Reconcile
		next      []Group
		want      Drop // of the reply
	}{
		{"re-evaluated and still allowed", Reevaluate, []Group{stateful, in(deny("b", Match{}))}, DropNone},
		{"re-evaluated and allowed by another rule", Reevaluate, []Group{out(allow("new", Match{})), in(deny("b", Match{}))}, DropNone},
		{"re-evaluated and blocked", Reevaluate, []Group{out(deny("x", Match{})), in(deny("b", Match{}))}, DropVfpBlock},
		{"re-evaluated and allowed without state", Reevaluate, []Group{in(deny("b", Match{}))}, DropVfpBlock},
		{"kept while its rule is there", KeepWhileRule, []Group{out(allow("keep", Match{Never: true})), in(deny("b", Match{}))}, DropNone},
		{"gone with its rule", KeepWhileRule, []Group{out(allow("other", Match{})), in(deny("b", Match{}))}, DropVfpBlock},
		{"kept whatever happens", KeepAlways, []Group{in(deny("b", Match{}))}, DropNone},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			both(t, PortLimits{}, func(t *testing.T, l *lab) {
				l.program(portA, aclLayer(tt.reconcile, stateful, in(deny("b", Match{}))))
				l.want(t, portA, udp(ipA, ipB, 4000, 53).Bytes(), portB, nil)
				l.want(t, portB, udp(ipB, ipA, 53, 4000).Bytes(), portA, nil)
				l.program(portA, aclLayer(tt.reconcile, tt.next...))
				if r := l.send(portB, udp(ipB, ipA, 53, 4000).Bytes()); r.drop != tt.want {
					t.Errorf("reply after the change: %v, want drop %v", r, tt.want)
				}
			})
		})
	}
}

func TestFlowsOfALayerThatIsGoneEnd(t *testing.T) {
	l := newLab(false, PortLimits{})
	l.program(portA, aclLayer(KeepAlways, out(allow("a", Match{}))))
	l.send(portA, udp(ipA, ipB, 1, 2).Bytes())
	l.program(portA, Layer{Name: "OTHER"})
	l.port(portA).Age(l.now, 1)
	if n := l.port(portA).Flows(); n != 0 {
		t.Errorf("%d flows are left", n)
	}
}

func TestATranslationWhoseTargetChangedIsMadeAnew(t *testing.T) { // VFP-08
	both(t, PortLimits{}, func(t *testing.T, l *lab) {
		lb := func(to uint16) {
			l.program(portA, Layer{Name: "LB", Reconcile: Reevaluate, Groups: []Group{
				out(Rule{ID: "vip", Match: Match{Dst: at(ipVIP)}, Stateful: true, Action: SetHeaders{Dst: ipB, DstPort: &to, EthDst: &macB}})}})
		}
		want := udp(ipA, ipB, 1, 8080)
		lb(8080)
		l.want(t, portA, udp(ipA, ipVIP, 1, 80).Bytes(), portB, want)
		lb(8081)
		want.UDP.DstPort = 8081
		l.want(t, portA, udp(ipA, ipVIP, 1, 80).Bytes(), portB, want)
	})
}
