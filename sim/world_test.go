package sim

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/hnsim/hnsim/sim/fabric"
	"github.com/hnsim/hnsim/sim/fabric/ipstack"
	"github.com/hnsim/hnsim/sim/hns"
	"github.com/hnsim/hnsim/sim/wire"
)

func prefixOf(s string) []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix(s)} }

// lab is two hosts, the router and the external server of the contract's
// reference topology (0.4), with everything seen on wires.
type lab struct {
	t      testing.TB
	w      *World
	h1, h2 *Host
	x      *fabric.External
	wire   []string // "h1 tx <summary>"
	recv   map[string][]string
}

func newLab(t testing.TB, cfg Config) *lab {
	t.Helper()
	l := &lab{t: t, recv: map[string][]string{}}
	cfg.Observer = fabric.Observer{
		OnWire: func(_ int64, n *fabric.NIC, dir fabric.WireDir, frame []byte, _ uint64) {
			l.wire = append(l.wire, fmt.Sprintf("%s %s %s", n.Node(), dir, wire.Summary(frame)))
		},
		OnReceive: func(_ int64, node, _ string, frame []byte, _ uint64) {
			l.recv[node] = append(l.recv[node], wire.Summary(frame))
		},
	}
	w, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	l.w = w
	l.h1 = l.host("h1", "10.127.130.35/24", "00-15-5D-82-00-23")
	l.h2 = l.host("h2", "10.127.130.38/24", "00-15-5D-82-00-26")
	if _, err := w.Net.AddRouter(fabric.NodeConfig{Name: "r", Ifaces: []fabric.IfaceConfig{
		{Segment: "lan", MAC: wire.MustMAC("00-00-5E-00-01-01"), Addrs: prefixOf("10.127.130.1/24")},
		{Segment: "wan", Addrs: prefixOf("203.0.113.1/24")},
	}}); err != nil {
		t.Fatal(err)
	}
	l.x, err = w.Net.AddExternal(fabric.NodeConfig{Name: "x", Ifaces: []fabric.IfaceConfig{
		{Segment: "wan", Addrs: prefixOf("203.0.113.80/24")}}})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func (l *lab) host(name, addr, mac string) *Host {
	h, err := l.w.AddHost(HostConfig{Name: name, Addrs: prefixOf(addr), MAC: wire.MustMAC(mac), Gateway: netip.MustParseAddr("10.127.130.1")})
	if err != nil {
		l.t.Fatal(err)
	}
	return h
}

// create makes a network or endpoint from a document.
func (l *lab) network(h *Host, doc string) string {
	l.t.Helper()
	id, _, err := h.HNS.Do("network", "create", "", "", []byte(doc))
	if err != nil {
		l.t.Fatalf("network on %s: %v", h.Name(), err)
	}
	return id
}

// container makes an endpoint with a container of its own and returns the
// container's stack.
func (l *lab) container(h *Host, net, doc string) *ipstack.Stack {
	l.t.Helper()
	ep, _, err := h.HNS.Do("endpoint", "create", "", net, []byte(doc))
	if err != nil {
		l.t.Fatalf("endpoint on %s: %v", h.Name(), err)
	}
	ns, _, err := h.HNS.Do("namespace", "create", "", "", []byte(`{"Type":"Host"}`))
	if err != nil {
		l.t.Fatal(err)
	}
	req := fmt.Sprintf(`{"ResourceType":"Endpoint","RequestType":"Add","Settings":{"EndpointId":%q}}`, ep)
	if _, _, err := h.HNS.Do("namespace", "modify", ns, "", []byte(req)); err != nil {
		l.t.Fatal(err)
	}
	if err := h.HNS.StartContainer(ns, "c-"+ep[:8], hns.ProcessIsolated); err != nil {
		l.t.Fatal(err)
	}
	c := h.Compartment(h.State().NamespaceByID(ns).Compartment)
	if c == nil {
		l.t.Fatal("the container has no compartment")
	}
	return c.Stack
}

func (l *lab) settle() {
	l.t.Helper()
	if err := l.w.Loop().Settle(); err != nil {
		l.t.Fatal(err)
	}
}

// dial connects, sends a request and returns what came back.
func (l *lab) dial(s *ipstack.Stack, to string) string {
	l.t.Helper()
	var got []byte
	c, err := s.Dial(l.w.Loop().Now(), netip.AddrPort{}, netip.MustParseAddrPort(to), func(now int64, c *ipstack.Conn, e ipstack.Event) {
		switch e {
		case ipstack.EventConnected:
			_, _ = c.Write(now, []byte("hello"))
		case ipstack.EventData:
			got = append(got, c.Take(now)...)
		}
	})
	if err != nil {
		l.t.Fatalf("dial %s: %v", to, err)
	}
	if _, err := l.w.Loop().RunUntil(l.w.Loop().Now()+3e9, func() bool { return len(got) > 0 || c.Err() != nil }); err != nil {
		l.t.Fatal(err)
	}
	return string(got)
}

func (l *lab) dump() {
	for _, s := range l.wire {
		l.t.Log(s)
	}
}

const (
	overlayH1 = `{"Name":"vx1","Type":"Overlay","SchemaVersion":{"Major":2,"Minor":0},
	 "Ipams":[{"Type":"Static","Subnets":[{"IpAddressPrefix":"10.244.1.0/24","Policies":[{"Type":"VSID","Settings":{"IsolationId":4096}}],
	 "Routes":[{"NextHop":"10.244.1.1","DestinationPrefix":"0.0.0.0/0"}]}]}],
	 "Policies":[{"Type":"DrMacAddress","Settings":{"Address":"00-15-5D-D0-B3-B7"}},
	 {"Type":"RemoteSubnetRoute","Settings":{"DestinationPrefix":"10.244.2.0/24","IsolationId":4096,"ProviderAddress":"10.127.130.38","DistributedRouterMacAddress":"00-15-5D-6C-B8-EF"}}]}`
	overlayH2 = `{"Name":"vx1","Type":"Overlay","SchemaVersion":{"Major":2,"Minor":0},
	 "Ipams":[{"Type":"Static","Subnets":[{"IpAddressPrefix":"10.244.2.0/24","Policies":[{"Type":"VSID","Settings":{"IsolationId":4096}}],
	 "Routes":[{"NextHop":"10.244.2.1","DestinationPrefix":"0.0.0.0/0"}]}]}],
	 "Policies":[{"Type":"DrMacAddress","Settings":{"Address":"00-15-5D-6C-B8-EF"}},
	 {"Type":"RemoteSubnetRoute","Settings":{"DestinationPrefix":"10.244.1.0/24","IsolationId":4096,"ProviderAddress":"10.127.130.35","DistributedRouterMacAddress":"00-15-5D-D0-B3-B7"}}]}`
	natNet = `{"Name":"nat","Type":"NAT","SchemaVersion":{"Major":2,"Minor":0},
	 "Ipams":[{"Type":"Static","Subnets":[{"IpAddressPrefix":"172.16.0.0/24","Routes":[{"NextHop":"172.16.0.1","DestinationPrefix":"0.0.0.0/0"}]}]}]}`
	bridgeNet = `{"Name":"br","Type":"L2Bridge","SchemaVersion":{"Major":2,"Minor":0},
	 "Ipams":[{"Type":"Static","Subnets":[{"IpAddressPrefix":"10.127.130.0/24","Routes":[{"NextHop":"10.127.130.1","DestinationPrefix":"0.0.0.0/0"}]}]}]}`
)

func endpointDoc(name, ip, policies string) string {
	return fmt.Sprintf(`{"Name":%q,"SchemaVersion":{"Major":2,"Minor":0},"IpConfigurations":[{"IpAddress":%q}],"Policies":[%s]}`, name, ip, policies)
}

// ask connects a container to a server at to and expects its request echoed.
func (l *lab) ask(from *ipstack.Stack, to string) {
	l.t.Helper()
	if got := l.dial(from, to); got != "hello" {
		l.dump()
		l.t.Errorf("%s to %s: got %q, want the echo", from.Name(), to, got)
	}
}

func (l *lab) serve(s *ipstack.Stack, port uint16) {
	l.t.Helper()
	if _, err := s.Listen(wire.ProtoTCP, netip.Addr{}, port, ipstack.EchoHandler()); err != nil {
		l.t.Fatal(err)
	}
}

func TestTCPCrossesEveryKindOfNetwork(t *testing.T) {
	t.Run("overlay between hosts", func(t *testing.T) {
		l := newLab(t, Config{})
		n1, n2 := l.network(l.h1, overlayH1), l.network(l.h2, overlayH2)
		c1 := l.container(l.h1, n1, endpointDoc("a", "10.244.1.10", ""))
		c2 := l.container(l.h2, n2, endpointDoc("b", "10.244.2.20", ""))
		l.serve(c2, 80)
		l.ask(c1, "10.244.2.20:80")
	})
	t.Run("nat to the outside", func(t *testing.T) {
		l := newLab(t, Config{})
		c := l.container(l.h1, l.network(l.h1, natNet), endpointDoc("a", "172.16.0.10", ""))
		l.serve(l.x.Stack(), 80)
		l.ask(c, "203.0.113.80:80")
	})
	t.Run("a published port of a nat network", func(t *testing.T) {
		l := newLab(t, Config{})
		c := l.container(l.h1, l.network(l.h1, natNet), endpointDoc("a", "172.16.0.10",
			`{"Type":"PortMapping","Settings":{"Protocol":6,"InternalPort":80,"ExternalPort":8080}}`))
		l.serve(c, 80)
		l.ask(l.x.Stack(), "10.127.130.35:8080")
		l.ask(l.h2.Stack(), "10.127.130.35:8080")
	})
	t.Run("l2bridge to the outside and back", func(t *testing.T) {
		l := newLab(t, Config{})
		c := l.container(l.h1, l.network(l.h1, bridgeNet), endpointDoc("a", "10.127.130.110", ""))
		l.serve(l.x.Stack(), 80)
		l.ask(c, "203.0.113.80:80")
		l.serve(c, 81)
		l.ask(l.x.Stack(), "10.127.130.110:81")
		l.ask(l.h1.Stack(), "10.127.130.110:81")
	})
	t.Run("l2bridge with outbound NAT", func(t *testing.T) {
		l := newLab(t, Config{})
		c := l.container(l.h1, l.network(l.h1, bridgeNet), endpointDoc("a", "10.127.130.110",
			`{"Type":"OutBoundNAT","Settings":{"Exceptions":["10.0.0.0/8"]}}`))
		l.serve(l.x.Stack(), 80)
		l.ask(c, "203.0.113.80:80")
	})
	t.Run("overlay with outbound NAT", func(t *testing.T) {
		l := newLab(t, Config{})
		c := l.container(l.h1, l.network(l.h1, overlayH1), endpointDoc("a", "10.244.1.10",
			`{"Type":"OutBoundNAT","Settings":{"Exceptions":["10.244.0.0/16"]}}`))
		l.serve(l.x.Stack(), 80)
		l.ask(c, "203.0.113.80:80")
	})
	t.Run("transparent", func(t *testing.T) {
		l := newLab(t, Config{})
		n := l.network(l.h1, `{"Name":"tr","Type":"Transparent","Ipams":[{"Subnets":[{"IpAddressPrefix":"10.127.130.0/24","Routes":[{"NextHop":"10.127.130.1","DestinationPrefix":"0.0.0.0/0"}]}]}]}`)
		c := l.container(l.h1, n, endpointDoc("a", "10.127.130.110", ""))
		l.serve(l.x.Stack(), 80)
		l.ask(c, "203.0.113.80:80")
	})
}

// run is a mixed workload whose every frame goes into the event hash.
func mixedWorkload(t *testing.T, cfg Config) (string, []string) {
	l := newLab(t, cfg)
	n1, n2 := l.network(l.h1, overlayH1), l.network(l.h2, overlayH2)
	c1 := l.container(l.h1, n1, endpointDoc("a", "10.244.1.10", `{"Type":"OutBoundNAT","Settings":{"Exceptions":["10.244.0.0/16"]}}`))
	c2 := l.container(l.h2, n2, endpointDoc("b", "10.244.2.20", ""))
	c3 := l.container(l.h1, l.network(l.h1, natNet), endpointDoc("c", "172.16.0.10", ""))
	l.w.Net.Node("h1").NIC("").SetLink(fabric.LinkConfig{Loss: 0.05})
	l.serve(c2, 80)
	l.serve(l.x.Stack(), 80)
	for range 3 {
		l.dial(c1, "10.244.2.20:80")
		l.dial(c1, "203.0.113.80:80")
		l.dial(c3, "203.0.113.80:80")
		if err := l.w.Loop().Advance(100e9); err != nil {
			t.Fatal(err)
		}
	}
	return l.w.Loop().Hash(), l.wire
}

func TestTheSameSeedGivesTheSameBytes(t *testing.T) {
	a, _ := mixedWorkload(t, Config{Seed: 7})
	b, _ := mixedWorkload(t, Config{Seed: 7})
	c, _ := mixedWorkload(t, Config{Seed: 8})
	if a != b {
		t.Errorf("two runs with one seed: %s and %s", a, b)
	}
	if a == c {
		t.Errorf("two seeds, one hash %s", a)
	}
}

func TestTheFlowCacheChangesNothing(t *testing.T) {
	a, with := mixedWorkload(t, Config{Seed: 7})
	b, without := mixedWorkload(t, Config{Seed: 7, NoFlowCache: true})
	if a == b {
		return
	}
	for i := range min(len(with), len(without)) {
		if with[i] != without[i] {
			t.Fatalf("frame %d: with cache %s, without %s", i, with[i], without[i])
		}
	}
	t.Errorf("hashes differ: %s with the cache, %s without", a, b)
}

func TestGoldenVectorV2CrossesTheOverlay(t *testing.T) {
	l := newLab(t, Config{})
	n1, n2 := l.network(l.h1, overlayH1), l.network(l.h2, overlayH2)
	c1 := l.container(l.h1, n1, `{"Name":"a","MacAddress":"0E-2A-0A-F4-01-0A","IpConfigurations":[{"IpAddress":"10.244.1.10"}]}`)
	l.container(l.h2, n2, `{"Name":"b","MacAddress":"0E-2A-0A-F4-02-14","IpConfigurations":[{"IpAddress":"10.244.2.20"}]}`)
	if _, _, err := c1.SendUDP(l.w.Loop().Now(), ipstack.UDPOptions{
		Src: netip.MustParseAddrPort("10.244.1.10:40000"), Dst: netip.MustParseAddrPort("10.244.2.20:53"), Payload: []byte("hello"), IPID: 1,
	}); err != nil {
		t.Fatal(err)
	}
	l.settle()
	want := "eth(00-15-5D-6C-B8-EF>0E-2A-0A-F4-02-14) ip(10.244.1.10>10.244.2.20 ttl128) udp(40000>53) len 5"
	got := l.recv["h2#2"]
	if len(got) != 1 || got[0] != want {
		l.dump()
		t.Errorf("delivered %q, want %q", got, want)
	}
}
