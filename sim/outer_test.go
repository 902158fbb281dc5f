package sim

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/sim/fabric"
	"github.com/hnsim/hnsim/sim/fabric/ipstack"
	"github.com/hnsim/hnsim/sim/wire"
)

func TestTheAdministratorsRoutesOutliveSwitches(t *testing.T) {
	l := newLab(t, Config{})
	want := fabric.Route{Dst: netip.MustParsePrefix("10.244.2.0/24"), Via: netip.MustParseAddr("10.127.130.38")}
	if err := l.h1.AddRoute(want); err != nil {
		t.Fatal(err)
	}
	there := func() bool {
		return slices.ContainsFunc(l.h1.Stack().Routes(), func(r ipstack.Route) bool { return r.Dst == want.Dst && r.Via == want.Via })
	}
	net := l.network(l.h1, bridgeNet)
	if !there() {
		t.Errorf("the switch took the NIC and the route with it: %v", l.h1.Stack().Routes())
	}
	if _, _, err := l.h1.HNS.Do("network", "delete", net, "", nil); err != nil {
		t.Fatal(err)
	}
	if !there() {
		t.Errorf("the switch went and took the route along: %v", l.h1.Stack().Routes())
	}
}

func TestAHostOnAnOuterSwitchReachesTheSegmentThroughIt(t *testing.T) {
	l := newLab(t, Config{})
	vm, err := l.w.AddHost(HostConfig{Name: "vm", Addrs: prefixOf("10.127.130.40/24"), Gateway: netip.MustParseAddr("10.127.130.1"), Outer: &fabric.OuterConfig{}})
	if err != nil {
		t.Fatal(err)
	}
	l.serve(l.x.Stack(), 80)
	l.ask(vm.Stack(), "203.0.113.80:80")
	if vm.Outer() == nil || l.h1.Outer() != nil {
		t.Errorf("outer switches: vm %v, h1 %v", vm.Outer(), l.h1.Outer())
	}
	foreign := wire.Frame{EthSrc: wire.MAC{2}, EthDst: wire.Broadcast, EtherType: 0x88b5}
	l.settle()
	l.wire = nil
	vm.NIC("").Send(l.w.Loop().Now(), foreign.Bytes(), 1)
	l.settle()
	for _, s := range l.wire {
		if strings.HasPrefix(s, "r rx") {
			t.Errorf("a frame with a MAC that is not the VM's left: %s", s)
		}
	}
}
