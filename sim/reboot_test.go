package sim

import (
	"net/netip"
	"testing"

	"github.com/hnsim/hnsim/sim/fabric/ipstack"
	"github.com/hnsim/hnsim/sim/wire"
)

func TestARebootForgetsWhatLivesInMemory(t *testing.T) {
	l := newLab(t, Config{})
	l.serve(l.x.Stack(), 80)
	c := l.container(l.h1, l.network(l.h1, natNet), endpointDoc("a", "172.16.0.10", ""))
	l.ask(c, "203.0.113.80:80")
	l.serve(l.h1.Stack(), 7070)
	old := l.h1.Stack()
	if err := l.h1.Reboot(); err != nil {
		t.Fatal(err)
	}
	if got := l.h1.Ports().Excluded(wire.ProtoTCP); len(got) != 0 {
		t.Errorf("ports that WinNAT holds on to: %v", got)
	}
	if n := len(l.h1.Stack().Sockets()); n != 0 {
		t.Errorf("%d sockets survived", n)
	}
	if l.h1.Compartment(2) != nil {
		t.Error("the container's compartment survived")
	}
	l.serve(l.h1.Stack(), 7070)
	old.CloseSocket(wire.ProtoTCP, netip.Addr{}, 7070) // what the dead stack lets go is not its own
	if _, err := l.h1.Stack().Listen(wire.ProtoTCP, netip.Addr{}, 7070, ipstack.EchoHandler()); err == nil {
		t.Error("two sockets listen on one port")
	}
	if _, _, held := l.h1.Ports().OwnerOf(wire.ProtoTCP, 7070); !held {
		t.Error("the port of the new socket is free for others")
	}
	l.ask(l.x.Stack(), "10.127.130.35:7070")
	l.ask(l.h1.Stack(), "203.0.113.80:80")
	c = l.container(l.h1, l.network(l.h1, natNet), endpointDoc("a", "172.16.0.10", ""))
	l.ask(c, "203.0.113.80:80")
}

func TestContainersOfTwoNATNetworksDoNotMeet(t *testing.T) {
	l := newLab(t, Config{})
	one := l.container(l.h1, l.network(l.h1, natNet), endpointDoc("a", "172.16.0.10", ""))
	two := l.container(l.h1, l.network(l.h1, `{"Name":"nat2","Type":"NAT","Ipams":[{"Subnets":[{"IpAddressPrefix":"192.168.90.0/24"}]}]}`),
		endpointDoc("b", "192.168.90.10", ""))
	l.serve(two, 80)
	if got := l.dial(one, "192.168.90.10:80"); got != "" {
		t.Errorf("they do: %q", got)
	}
}
