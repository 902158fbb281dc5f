package vfp

import (
	"bytes"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/sim/wire"
)

func TestMetersCountEveryPacketWithAndWithoutTheFlowTable(t *testing.T) { // VFP-04, VFP-12
	both(t, PortLimits{}, func(t *testing.T, l *lab) {
		meter := Layer{Name: "METER", Priority: 50, Reconcile: KeepWhileRule, Groups: []Group{
			out(Rule{ID: "sent", Action: Meter{}}), in(Rule{ID: "got", Action: Meter{}}),
		}}
		acl := aclLayer(Reevaluate, out(deny("telnet", Match{DstPorts: []PortRange{ports(23, 23)}})))
		l.program(portA, meter, acl)
		p := l.port(portA)
		want := func(when string, sent, got Metered) {
			t.Helper()
			if s, g := p.Metered("METER", "sent"), p.Metered("METER", "got"); s != sent || g != got {
				t.Errorf("%s: sent %v, got %v; want %v and %v", when, s, g, sent, got)
			}
		}
		for range 4 {
			l.send(portA, udp(ipA, ipB, 1, 2).Bytes())
		}
		for range 3 {
			l.send(portB, udp(ipB, ipA, 2, 1).Bytes())
		}
		l.send(portB, udp(ipB, ipA, 5, 6).Bytes())
		l.wantDrop(t, portA, tcp(ipA, ipB, 9, 23, wire.TCPSyn).Bytes(), DropVfpBlock)
		want("live", Metered{4, 3}, Metered{1, 0})

		// Flows end, and what they counted stays; so does it over a new program.
		l.now += DefaultIdle
		p.Age(l.now, 1000)
		if p.Flows() != 0 {
			t.Fatalf("%d flows after their time", p.Flows())
		}
		want("ended", Metered{4, 3}, Metered{1, 0})
		l.program(portA, meter)
		l.send(portA, udp(ipA, ipB, 1, 2).Bytes())
		want("new program", Metered{5, 3}, Metered{1, 0})

		var b bytes.Buffer
		if err := p.Dump(&b, l.now); err != nil || !strings.Contains(b.String(), "Metered : 5 packets, 3 answers\n") {
			t.Errorf("%v, the dump is\n%s", err, b.String())
		}
	})
}
