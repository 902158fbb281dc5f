package vfp

import (
	"testing"

	"github.com/hnsim/hnsim/sim/wire"
)

const (
	syn = wire.TCPSyn
	ack = wire.TCPAck
	fin = wire.TCPFin | wire.TCPAck
	rst = wire.TCPRst
)

// step is a packet of the flow, some time after the one before. Packets from
// B are replies: a rule of A's port blocks what belongs to no flow.
type step struct {
	after int64 // s
	fromB bool
	flags uint8
	drop  Drop
}

func TestFlowsLiveAsLongAsRuleAndTrackerSay(t *testing.T) { // VFP-09, S-VFP-06, S-VFP-09
	a, b := false, true
	tests := []struct {
		name  string
		udp   bool
		idle  int64
		steps []step
	}{
		{"a reply just in time refreshes", true, 0, []step{{0, a, 0, 0}, {239, b, 0, 0}, {239, b, 0, 0}}},
		{"240 s of silence end a flow and its pair", true, 0, []step{{0, a, 0, 0}, {240, b, 0, DropVfpBlock}}},
		{"the rule's own lifetime counts", true, 10, []step{{0, a, 0, 0}, {9, b, 0, 0}, {10, b, 0, DropVfpBlock}}},
		{"a half-open connection lives for 60 s", false, 0, []step{{0, a, syn, 0}, {59, b, syn | ack, 0}, {60, b, ack, DropVfpBlock}}},
		{"an established one for 240 s", false, 0, []step{{0, a, syn, 0}, {0, b, syn | ack, 0}, {0, a, ack, 0}, {239, b, ack, 0}, {240, b, ack, DropVfpBlock}}},
		{"one seen from the middle too", false, 0, []step{{0, a, ack, 0}, {239, b, ack, 0}}},
		{"a FIN from one side changes nothing", false, 0, []step{{0, a, ack, 0}, {0, a, fin, 0}, {200, b, ack, 0}}},
		{"after FINs from both sides 15 s are left", false, 0, []step{{0, a, ack, 0}, {0, a, fin, 0}, {0, b, fin, 0}, {14, b, ack, 0}, {15, b, ack, DropVfpBlock}}},
		{"after a RST too", false, 0, []step{{0, a, ack, 0}, {0, b, rst, 0}, {14, b, ack, 0}, {15, b, ack, DropVfpBlock}}},
		{"the tracker never lengthens the rule's lifetime", false, 5, []step{{0, a, syn, 0}, {5, b, syn | ack, DropVfpBlock}}},
		{"a SYN of the client on a closing flow opens a new one", false, 0, []step{
			{0, a, ack, 0}, {0, a, rst, 0}, {1, a, syn, 0}, {59, b, syn | ack, 0}}},
		{"a SYN of the server on a closing flow is no reply", false, 0, []step{
			{0, a, ack, 0}, {0, a, rst, 0}, {1, b, syn, DropVfpBlock}, {1, b, ack, DropVfpBlock}}},
		{"a SYN on an open flow changes nothing", false, 0, []step{{0, a, ack, 0}, {1, b, syn, 0}, {239, b, ack, 0}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			both(t, PortLimits{}, func(t *testing.T, l *lab) {
				rule := allow("a", Match{})
				rule.Idle = seconds(tt.idle)
				l.program(portA, aclLayer(Reevaluate, out(rule), in(deny("b", Match{}))))
				for i, s := range tt.steps {
					l.now += seconds(s.after)
					from, f := portA, tcp(ipA, ipB, 1, 2, s.flags)
					if s.fromB {
						from, f = portB, tcp(ipB, ipA, 2, 1, s.flags)
					}
					if tt.udp {
						f.UDP, f.TCP = &wire.UDPFields{SrcPort: f.TCP.SrcPort, DstPort: f.TCP.DstPort}, nil
					}
					if r := l.send(from, f.Bytes()); r.drop != s.drop {
						t.Fatalf("step %d: %v, want drop %v\n%s", i, r, s.drop, l.flows())
					}
				}
			})
		})
	}
}

func TestAgeFreesWhatHasRunOut(t *testing.T) { // VFP-09
	l := newLab(true, PortLimits{})
	l.program(portA, aclLayer(Reevaluate, out(allow("a", Match{}))))
	for i := range 100 {
		l.send(portA, udp(ipA, ipB, uint16(i+1), 2).Bytes())
	}
	l.now += seconds(240)
	p := l.port(portA)
	for range 10 {
		p.Age(l.now, 8)
	}
	if n, c := p.Flows(), p.Cache.Len(); n != 20 || c != 20 {
		t.Errorf("after 80 of 100 looked at: %d flows and %d cached, want 20 of both", n, c)
	}
	p.Age(l.now, 1000)
	if p.Flows() != 0 || p.Cache.Len() != 0 || l.store.index.count != 0 {
		t.Errorf("left: %d flows, %d cached, %d in the index", p.Flows(), p.Cache.Len(), l.store.index.count)
	}
}

func TestAFullLayerFlowTableDropsOrPassesWithoutState(t *testing.T) { // VFP-10
	for _, tt := range []struct {
		name string
		drop bool
		want Drop
	}{{"pass", false, DropNone}, {"drop", true, DropUftFull}} {
		t.Run(tt.name, func(t *testing.T) {
			both(t, PortLimits{LayerFlows: 10, DropWhenFull: tt.drop}, func(t *testing.T, l *lab) {
				l.program(portA, aclLayer(Reevaluate, out(allow("a", Match{})), in(deny("b", Match{}))))
				for i := range 10 {
					l.want(t, portA, udp(ipA, ipB, uint16(i+1), 2).Bytes(), portB, nil)
				}
				for range 2 {
					if r := l.send(portA, udp(ipA, ipB, 99, 2).Bytes()); r.drop != tt.want {
						t.Fatalf("flow beyond the limit: %v, want drop %v", r, tt.want)
					}
				}
				l.wantDrop(t, portB, udp(ipB, ipA, 2, 99).Bytes(), DropVfpBlock)
				l.want(t, portB, udp(ipB, ipA, 2, 5).Bytes(), portA, nil)
				if p := l.port(portA); p.Counters.FlowsFull != 2 || p.Flows() != 10 {
					t.Errorf("counted %d, %d flows", p.Counters.FlowsFull, p.Flows())
				}
				l.now += seconds(240)
				l.want(t, portA, udp(ipA, ipB, 99, 2).Bytes(), portB, nil)
				l.want(t, portB, udp(ipB, ipA, 2, 99).Bytes(), portA, nil)
			})
		})
	}
}

func TestAFullCacheKeepsForwarding(t *testing.T) { // VFP-10
	l := newLab(true, PortLimits{Cache: 8})
	for i := range 20 {
		l.want(t, portA, udp(ipA, ipB, uint16(i+1), 2).Bytes(), portB, nil)
	}
	c := l.port(portA).Cache
	if c.Len() != 8 || c.Stats.Full != 12 {
		t.Errorf("%d entries, %d found no room; want 8 and 12", c.Len(), c.Stats.Full)
	}
	l.program(portA, aclLayer(Reevaluate)) // all entries are stale now: the next one finds room
	l.send(portA, udp(ipA, ipB, 99, 2).Bytes())
	if r := l.send(portA, udp(ipA, ipB, 99, 2).Bytes()); !r.hit {
		t.Error("stale entries were not replaced")
	}
}

func TestManyFlowsStayApart(t *testing.T) { // S-VFP-08
	const n = 100_000
	l := newLab(true, PortLimits{LayerFlows: n / 2})
	l.program(portA, aclLayer(Reevaluate, out(allow("a", Match{})), in(deny("b", Match{}))))
	frame := udp(ipA, ipB, 1, 1).Bytes()
	reply := udp(ipB, ipA, 1, 1).Bytes()
	var m wire.Meta
	wire.Parse(frame, &m)
	for i := range n {
		wire.SetPorts(frame, &m, uint16(i), uint16(i>>16)+1)
		if r := l.send(portA, frame); r.out != portB {
			t.Fatalf("flow %d: %v", i, r)
		}
	}
	wire.Parse(reply, &m)
	for i := range n {
		wire.SetPorts(reply, &m, uint16(i>>16)+1, uint16(i))
		want := DropNone
		if i >= n/2 {
			want = DropVfpBlock
		}
		if r := l.send(portB, reply); r.drop != want {
			t.Fatalf("reply %d: %v, want drop %v", i, r, want)
		}
	}
	if p := l.port(portA); p.Flows() != n/2 || l.store.Len() != n/2 {
		t.Errorf("%d flows, %d in the store", p.Flows(), l.store.Len())
	}
}

// A flow that one direction makes is found by the other, even if that one was
// cached when there was none.
func TestAFlowMadeByTheOtherDirectionReachesCachedPackets(t *testing.T) { // VFP-12
	both(t, PortLimits{}, func(t *testing.T, l *lab) {
		l.program(portA, aclLayer(KeepAlways,
			out(Rule{ID: "stateless", Action: Allow{}}),
			in(allow("web", Match{DstPorts: []PortRange{ports(80, 80)}}))))
		toB, toA := udp(ipA, ipB, 80, 9).Bytes(), udp(ipB, ipA, 9, 80).Bytes()
		l.want(t, portA, toB, portB, nil)
		l.want(t, portA, toB, portB, nil) // cached, and belongs to no flow
		l.want(t, portB, toA, portA, nil) // makes the flow
		for range 3 {
			l.now += seconds(200)
			l.want(t, portA, toB, portB, nil) // must refresh it
		}
		l.program(portA, aclLayer(KeepAlways, in(deny("all", Match{}))))
		l.want(t, portB, toA, portA, nil)
	})
}
