package ipstack

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/hnsim/hnsim/sim/wire"
)

// mkDHCP is a client c without address and a server s with a pool of three,
// of which one is the router's.
func mkDHCP(t *testing.T) (l *lab, c *Stack, ic *Interface, srv *DHCPServer) {
	l = newLab(t)
	link := l.cable()
	s := l.stack("s")
	is := link.plug(s, "eth", 1, "10.0.0.1/24")
	c = l.stack("c")
	ic = link.plug(c, "eth", 2)
	srv, err := s.ServeDHCP(is, DHCPServerConfig{
		First: ip("10.0.0.100"), Last: ip("10.0.0.102"), Router: ip("10.0.0.100"), Lease: time.Hour, DNS: ip("10.0.0.53"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return l, c, ic, srv
}

func TestDHCPConfiguresAnInterface(t *testing.T) {
	l, c, ic, srv := mkDHCP(t)
	calls := 0
	d := c.StartDHCP(0, ic, func(int64, *DHCPClient) { calls++ })
	l.settle()
	lease, ok := d.Lease()
	want := Lease{Addr: netip.MustParsePrefix("10.0.0.101/24"), Router: ip("10.0.0.100"), DNS: ip("10.0.0.53"), Server: ip("10.0.0.1"), Time: time.Hour}
	if !ok || lease != want || calls != 1 {
		t.Fatalf("lease %+v, %v, told %d times; want %+v", lease, ok, calls, want)
	}
	discover := l.sent["c/eth"][0]
	if m := wire.Ethernet(discover); m.Src() != ic.MAC() || !m.Dst().IsBroadcast() {
		t.Errorf("the first message is %s", wire.Summary(discover))
	}
	if _, _, src, ok := c.RouteTo(ip("203.0.113.1")); !ok || src != ip("10.0.0.101") {
		t.Error("no default route")
	}
	if got := srv.Leases(); len(got) != 1 || got[0] != (LeaseInfo{ip("10.0.0.101"), ic.MAC()}) {
		t.Errorf("the server's leases are %v", got)
	}
	l.sound()
	l.wantDrops()
}

func TestADHCPServerRemembersItsClients(t *testing.T) {
	l := newLab(t)
	link := l.cable()
	s := l.stack("s")
	is := link.plug(s, "eth", 1, "10.0.0.1/24")
	if _, err := s.ServeDHCP(is, DHCPServerConfig{First: ip("10.0.0.1"), Last: ip("10.0.0.3"), Lease: time.Hour}); err != nil {
		t.Fatal(err)
	}
	lease := func(n byte) string {
		c := l.stack("c")
		i := link.plug(c, "eth", n)
		d := c.StartDHCP(l.now, i, nil)
		l.advance(time.Second)
		got, _ := d.Lease()
		d.Stop()
		link.ends = link.ends[:len(link.ends)-1]
		return got.Addr.String()
	}
	steps := []struct {
		name string
		mac  byte
		want string
	}{
		{"the first client gets the first address that is free", 7, "10.0.0.2/24"},
		{"the second the next", 8, "10.0.0.3/24"},
		{"the first again the same", 7, "10.0.0.2/24"},
		{"a third none", 9, "invalid Prefix"},
	}
	for _, st := range steps {
		if got := lease(st.mac); got != st.want {
			t.Errorf("%s: %s, want %s", st.name, got, st.want)
		}
	}
	l.advance(2 * time.Hour)
	if got := lease(9); got != "10.0.0.2/24" {
		t.Errorf("after the leases ran out: %s", got)
	}
}

func TestADHCPLeaseIsRenewedAtHalfTimeAndLostWithoutServer(t *testing.T) {
	l, c, ic, srv := mkDHCP(t)
	d := c.StartDHCP(0, ic, nil)
	l.advance(29 * time.Minute)
	before := len(l.sent["c/eth"])
	l.advance(2 * time.Minute)
	if got := len(l.sent["c/eth"]) - before; got != 2 { // ARP for the server, then the request
		t.Errorf("%d frames at half time:\n%s", got, summaries(l.sent["c/eth"]))
	}
	l.advance(30 * time.Minute)
	if _, ok := d.Lease(); !ok {
		t.Fatal("the lease was lost although the server confirmed it")
	}
	srv.i.server = nil
	l.advance(3 * time.Hour)
	if _, ok := d.Lease(); ok || len(ic.Addrs()) != 1 { // the link-local address stays
		t.Errorf("still configured with %v after the server was gone", ic.Addrs())
	}
	if !errors.Is(d.Err(), ErrNoServer) {
		t.Errorf("error %v", d.Err())
	}
}

func TestADHCPClientGivesUpAfterFourTries(t *testing.T) {
	l := newLab(t)
	c := l.stack("c")
	i := l.cable().plug(c, "eth", 2)
	calls := 0
	d := c.StartDHCP(0, i, func(int64, *DHCPClient) { calls++ })
	l.advance(59 * time.Second)
	if len(l.sent["c/eth"]) != 4 || calls != 0 {
		t.Errorf("%d messages, told %d times in 59 s", len(l.sent["c/eth"]), calls)
	}
	l.advance(2 * time.Second)
	if !errors.Is(d.Err(), ErrNoServer) || calls != 1 {
		t.Errorf("error %v, told %d times", d.Err(), calls)
	}
	l.advance(time.Hour)
	if len(l.sent["c/eth"]) != 4 {
		t.Errorf("%d messages in an hour", len(l.sent["c/eth"]))
	}
}

func TestADHCPServerRefusesWhatItDidNotOffer(t *testing.T) {
	l, c, ic, _ := mkDHCP(t)
	d := c.StartDHCP(0, ic, nil)
	d.state, d.offer = dhcpRequesting, Lease{Addr: netip.MustParsePrefix("10.0.0.77/24"), Server: ip("10.0.0.1")}
	d.try(0)
	l.settle()
	lease, ok := d.Lease()
	if !ok || lease.Addr.Addr() != ip("10.0.0.101") {
		t.Errorf("lease %v %v, want the client to begin anew after the refusal", lease, ok)
	}
}

func TestRouterAdvertisementsConfigureThoseWhoAccept(t *testing.T) {
	n := mkRouted(t)
	n.rLeft.AdvertiseRouter(netip.MustParsePrefix("fd01::/64"))
	for _, accept := range []bool{true, false} {
		c := n.stack("c")
		i := n.left.plug(c, "eth", 9)
		i.cfg.AcceptRA = accept
		c.SolicitRouter(n.now, i)
		n.settle()
		e, err := c.Ping(n.now, PingOptions{Dst: ip("fd02::1")})
		n.settle()
		switch {
		case accept && (err != nil || !e.OK):
			t.Errorf("configured with %v, ping %v %+v; drops %v", i.Addrs(), err, e, n.drops)
		case accept && i.Addrs()[1] != netip.MustParsePrefix("fd01::ff:fe00:9/64"):
			t.Errorf("address %s", i.Addrs()[1])
		case !accept && err == nil:
			t.Errorf("configured with %v against its will", i.Addrs())
		}
		n.left.ends = n.left.ends[:len(n.left.ends)-1]
	}
	n.sound()
}

func TestAddressesBelongToOneInterface(t *testing.T) {
	p := mkPair(t)
	c := p.cable()
	bad := func(name string, addrs ...string) {
		t.Helper()
		cfg := InterfaceConfig{Name: name, MAC: wire.MAC{2, 7}}
		for _, a := range addrs {
			cfg.Addrs = append(cfg.Addrs, netip.MustParsePrefix(a))
		}
		if _, err := p.a.AddInterface(cfg); err == nil {
			t.Errorf("interface %s with %v was accepted", name, addrs)
		}
	}
	bad("eth", "10.1.0.1/24")
	bad("new", "10.1.0.1/24", "10.0.0.1/24")
	bad("new", "224.0.0.1/24")
	// What was refused has left nothing behind.
	i := c.plug(p.a, "new", 7, "10.1.0.1/24")
	if _, _, src, ok := p.a.RouteTo(ip("10.1.0.2")); !ok || src != ip("10.1.0.1") {
		t.Error("no route to the new interface's prefix")
	}
	i.RemoveAddr(ip("10.1.0.1"))
	if _, _, _, ok := p.a.RouteTo(ip("10.1.0.2")); ok {
		t.Error("the connected route outlived its address")
	}
}

func TestAnnounceTellsTheLink(t *testing.T) {
	p := mkPair(t)
	p.b.learn(0, p.ib, ip("10.0.0.1"), wire.MAC{2, 9}, true)
	p.b.learn(0, p.ib, ip("fd00::1"), wire.MAC{2, 9}, true)
	p.a.Announce(0, p.ia)
	p.settle()
	for _, n := range p.b.Neighbors() {
		if n.MAC != p.ia.MAC() {
			t.Errorf("%s is still at %s", n.Addr, n.MAC)
		}
	}
	p.sound()
}
