package sim

import (
	"testing"

	"github.com/hnsim/hnsim/sim/wire"
)

// What a switch shows to a container is seen by those who look for leaks,
// although the container's NIC filters it out.
func TestFramesForOthersAreObservedWhereTheSwitchDeliversThem(t *testing.T) {
	l := newLab(t, Config{Knobs: map[string]string{"unknownUnicast": "flood"}})
	n := l.network(l.h1, `{"Name":"tr","Type":"Transparent","Ipams":[{"Subnets":[{"IpAddressPrefix":"10.127.130.0/24"}]}]}`)
	a := l.container(l.h1, n, endpointDoc("a", "10.127.130.110", ""))
	l.container(l.h1, n, endpointDoc("b", "10.127.130.111", ""))
	frame, err := (&wire.Frame{
		EthSrc: a.Interfaces()[0].MAC(), EthDst: wire.MustMAC("02-00-00-00-00-99"),
		IP:  &wire.IPFields{Src: a.Interfaces()[0].Addrs()[0].Addr(), Dst: a.Interfaces()[0].Addrs()[0].Addr().Next()},
		UDP: &wire.UDPFields{SrcPort: 1, DstPort: 2},
	}).Build()
	if err != nil {
		t.Fatal(err)
	}
	l.settle() // the containers have looked for a router
	l.recv = map[string][]string{}
	if !l.h1.Transmit(2, "", frame, l.w.Loop().NextID()) {
		t.Fatal("the container has no interface")
	}
	l.settle()
	for _, node := range []string{"h1", "h1#3"} {
		if len(l.recv[node]) != 1 {
			t.Errorf("%s was seen to receive %q, want the flooded frame", node, l.recv[node])
		}
	}
	if got := l.recv["h1#2"]; len(got) != 0 {
		t.Errorf("the sender received %q", got)
	}
}
