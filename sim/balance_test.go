package sim

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/hnsim/hnsim/sim/fabric"
	"github.com/hnsim/hnsim/sim/fabric/ipstack"
	"github.com/hnsim/hnsim/sim/rounds"
	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// balanced is a random life of two nodes with pods on a bridge and on an
// overlay, load balancers that come, change and go, and clients everywhere.
// All that can be observed goes into log.
type balanced struct {
	t    *testing.T
	r    *rand.Rand
	w    *World
	h    []*Host
	log  bytes.Buffer
	hits uint64

	clients  []*ipstack.Stack
	backends [][]string // endpoint ids, by network: bridge, overlay
	balancer []string   // ids
	asked    map[netip.AddrPort]map[netip.AddrPort]bool
	answers  int
	recent   []func()
}

const backendPort = 8080

func newBalanced(t *testing.T, seed uint64, noCache bool) *balanced {
	b := &balanced{t: t, r: rand.New(rand.NewPCG(seed, 1)), asked: map[netip.AddrPort]map[netip.AddrPort]bool{}}
	b.w, _ = New(Config{Seed: seed, Profile: "ws2025", NoFlowCache: noCache, Observer: fabric.Observer{
		OnWire: func(now int64, n *fabric.NIC, dir fabric.WireDir, frame []byte, id uint64) {
			fmt.Fprintf(&b.log, "%d %d %s wire %s %x\n", now, id, n.Node(), dir, frame)
			b.check(frame)
		},
		OnReceive: func(now int64, node, iface string, frame []byte, id uint64) {
			fmt.Fprintf(&b.log, "%d %d %s got %x\n", now, id, node, frame)
			b.check(frame)
			b.answer(node, frame)
		},
		OnDrop: func(now int64, node, where string, why vfp.Drop, frame []byte, id uint64) {
			fmt.Fprintf(&b.log, "%d %d %s drop %s %s %x\n", now, id, node, where, why, frame)
		},
	}})
	l := &lab{t: t, w: b.w}
	for i, mac := range []string{"00-15-5D-82-00-23", "00-15-5D-82-00-26"} {
		b.h = append(b.h, l.host(fmt.Sprintf("h%d", i+1), fmt.Sprintf("10.127.130.%d/24", 35+3*i), mac))
	}
	_, err := b.w.Net.AddRouter(fabric.NodeConfig{Name: "r", Ifaces: []fabric.IfaceConfig{
		{Segment: "lan", Addrs: prefixOf("10.127.130.1/24")}, {Segment: "wan", Addrs: prefixOf("203.0.113.1/24")}},
		Routes: []fabric.Route{{Dst: netip.MustParsePrefix("10.96.0.0/16"), Via: netip.MustParseAddr("10.127.130.35")}}})
	if err != nil {
		t.Fatal(err)
	}
	x, err := b.w.Net.AddExternal(fabric.NodeConfig{Name: "x", Ifaces: []fabric.IfaceConfig{{Segment: "wan", Addrs: prefixOf("203.0.113.80/24")}}})
	if err != nil {
		t.Fatal(err)
	}
	b.h[0].Ports().SetDynamic(vfp.PortRange{Lo: 60000, Hi: 60000 + 64*12 - 1}) // so that pools run dry now and then
	b.clients = append(b.clients, x.Stack(), b.h[0].Stack(), b.h[1].Stack())
	b.pods(l)
	return b
}

// pods makes three backends near and two far, on each network.
func (b *balanced) pods(l *lab) {
	nets := [][2]string{{bridgeNet, bridgeNet}, {overlayH1, overlayH2}}
	for kind, docs := range nets {
		var ids []string
		near := l.network(b.h[0], docs[0])
		far := l.network(b.h[1], docs[1])
		for i := range 5 {
			h, net, addr := b.h[0], near, fmt.Sprintf("10.127.130.%d", 110+i)
			if i >= 3 {
				h, net = b.h[1], far
			}
			if kind == 1 {
				addr = fmt.Sprintf("10.244.%d.%d", 1+i/3, 10+i)
			}
			policy := ""
			switch {
			case i == 1 && kind == 0:
				policy = `{"Type":"L4Proxy","Settings":{"IP":"10.127.130.112","Port":"8080","Protocol":17,"Destination":"10.96.0.0/31"}},
					{"Type":"QOS","Settings":{"MaximumOutgoingBandwidthInBytes":1000}}`
			case i == 0:
				policy = `{"Type":"OutBoundNAT","Settings":{"Exceptions":["10.0.0.0/8"]}},{"Type":"OutBoundNAT","Settings":{"Destinations":["` + addr + `"]}}`
			}
			c := l.container(h, net, endpointDoc(fmt.Sprint("p", i), addr, policy))
			if _, err := c.Listen(wire.ProtoUDP, netip.Addr{}, backendPort, ipstack.EchoHandler()); err != nil {
				b.t.Fatal(err)
			}
			b.clients = append(b.clients, c)
			if h == b.h[0] {
				eps := h.State().Endpoints
				ids = append(ids, eps[len(eps)-1].Doc.ID)
				continue
			}
			ids = append(ids, b.endpoint(near, fmt.Sprintf(`{"Flags":1,"MacAddress":"02-11-0A-F4-02-%02X","IpConfigurations":[{"IpAddress":%q}],
				"Policies":[{"Type":"ProviderAddress","Settings":{"ProviderAddress":"10.127.130.38"}}]}`, 10+i, addr)))
		}
		if kind == 1 {
			b.endpoint(near, `{"MacAddress":"00-15-5D-82-00-23","IpConfigurations":[{"IpAddress":"10.244.1.2"}]}`)
		}
		b.backends = append(b.backends, ids)
	}
}

func (b *balanced) endpoint(net, doc string) string {
	id, _, err := b.h[0].HNS.Do("endpoint", "create", "", net, []byte(doc))
	if err != nil {
		b.t.Fatal(err)
	}
	return id
}

// check looks at the checksums of a frame on a wire or at a NIC.
func (b *balanced) check(frame []byte) {
	var m wire.Meta
	if wire.Parse(frame, &m) != wire.OK {
		b.t.Fatalf("a frame that does not parse: %x", frame)
	}
	if err := wire.VerifyChecksums(frame); err != nil {
		b.t.Fatalf("%v in %s", err, wire.Summary(frame))
	}
}

// answer holds the answers that clients get against what they asked: nobody
// hears from an address that it did not speak to. What h1 sends to itself is
// turned back in its stack, behind this point (rule LB-13).
func (b *balanced) answer(node string, frame []byte) {
	var m wire.Meta
	wire.Parse(frame, &m)
	if node == "h1" || m.Proto != wire.ProtoUDP || !m.HasL4 || m.DstPort == backendPort || m.SrcPort > 40000 {
		return
	}
	to, from := netip.AddrPortFrom(m.Dst(frame), m.DstPort), netip.AddrPortFrom(m.Src(frame), m.SrcPort)
	if asked := b.asked[to]; asked != nil && !asked[from] {
		b.t.Fatalf("%s got an answer of %s at %s, which it did not ask", node, from, to)
	} else if asked != nil {
		b.answers++
	}
}

func (b *balanced) document() string {
	kind := b.r.IntN(2)
	var ids string
	for i, j := range b.r.Perm(5)[:1+b.r.IntN(4)] {
		if i > 0 {
			ids += ","
		}
		ids += `"` + b.backends[kind][j] + `"`
	}
	vips := fmt.Sprintf(`"FrontendVIPs":["10.96.0.%d"],`, b.r.IntN(4))
	port, flags := 80, b.r.IntN(2)*b.r.IntN(2)
	if b.r.IntN(3) == 0 {
		vips, port, flags = "", 31080+b.r.IntN(2), 2
	}
	source := ""
	if kind == 1 {
		source = `"SourceVIP":"10.244.1.2",`
	}
	return fmt.Sprintf(`{"HostComputeEndpoints":[%s],%s%s"Flags":%d,"PortMappings":[{"Protocol":17,"ExternalPort":%d,"InternalPort":%d,"DistributionType":%d,"Flags":%d}]}`,
		ids, vips, source, b.r.IntN(2), port, backendPort, b.r.IntN(3), flags)
}

// control changes the load balancers; refusals are part of life, and of the log.
func (b *balanced) control() {
	hns := b.h[0].HNS
	switch k := b.r.IntN(6); {
	case k < 3 || len(b.balancer) == 0:
		id, _, err := hns.Do("loadbalancer", "create", "", "", []byte(b.document()))
		fmt.Fprintln(&b.log, "create", id, err)
		if err == nil {
			b.balancer = append(b.balancer, id)
		}
	case k < 5:
		_, _, err := hns.Do("loadbalancer", "modify", b.balancer[b.r.IntN(len(b.balancer))], "", []byte(b.document()))
		fmt.Fprintln(&b.log, "modify", err)
	default:
		i := b.r.IntN(len(b.balancer))
		_, _, err := hns.Do("loadbalancer", "delete", b.balancer[i], "", nil)
		fmt.Fprintln(&b.log, "delete", err)
		b.balancer = append(b.balancer[:i], b.balancer[i+1:]...)
	}
}

// ask sends a datagram of some client to some service.
func (b *balanced) ask() {
	from := b.clients[b.r.IntN(len(b.clients))]
	targets := []string{"10.96.0.0:80", "10.96.0.1:80", "10.96.0.2:80", "10.96.0.3:80", "10.127.130.35:31080", "10.127.130.35:31081", "10.127.130.110:8080"}
	to := netip.MustParseAddrPort(targets[b.r.IntN(len(targets))])
	// A source port for every target: whose answer is whose must not be a
	// question of two flows that look alike.
	port := uint16(20000 + 100*int(to.Port()%7) + 10*int(to.Addr().As4()[3]%10) + b.r.IntN(3))
	send := func() {
		_, local, err := from.SendUDP(b.w.Loop().Now(), ipstack.UDPOptions{
			Src: netip.AddrPortFrom(netip.Addr{}, port), Dst: to, Payload: []byte("q")})
		if err != nil {
			fmt.Fprintln(&b.log, err)
			return
		}
		if b.asked[local] == nil {
			b.asked[local] = map[netip.AddrPort]bool{}
		}
		b.asked[local][to] = true
	}
	send()
	if b.recent = append(b.recent, send); len(b.recent) > 20 {
		b.recent = b.recent[1:]
	}
}

func (b *balanced) live(steps int) {
	for range steps {
		switch k := b.r.IntN(20); {
		case k < 3:
			b.control()
		case k == 3:
			if err := b.w.Loop().Advance(time.Second * []time.Duration{1, 100, 239, 241}[b.r.IntN(4)]); err != nil {
				b.t.Fatal(err)
			}
		default:
			// Like most traffic: more of what was there before.
			if n := len(b.recent); n > 0 && b.r.IntN(3) > 0 {
				b.recent[b.r.IntN(n)]()
			} else {
				b.ask()
			}
		}
		if err := b.w.Loop().Settle(); err != nil {
			b.t.Fatal(err)
		}
	}
	for _, h := range b.h {
		for _, sp := range h.Program().Switches {
			sw := h.Switch(sp.Config.Name)
			if err := sw.Conserved(); err != nil {
				b.t.Error(err)
			}
			for pc := range sp.Config.All() {
				b.hits += sw.VFP(pc.ID).Cache.Stats.Hits
			}
		}
	}
}

// Rule VFP-12 with load balancers: the unified flow tables are never seen, and
// clients get their answers from whom they asked.
func TestBalancingIsTheSameWithoutTheFlowCache(t *testing.T) {
	seeds := uint64(rounds.Of(25, 5))
	hits, answers := uint64(0), 0
	for seed := range seeds {
		with, without := newBalanced(t, seed, false), newBalanced(t, seed, true)
		with.live(400)
		without.live(400)
		hits, answers = hits+with.hits, answers+with.answers
		if without.hits != 0 {
			t.Fatal("the cache was not off")
		}
		if with.log.String() != without.log.String() {
			a, b := bytes.Split(with.log.Bytes(), []byte("\n")), bytes.Split(without.log.Bytes(), []byte("\n"))
			for i := range min(len(a), len(b)) {
				if !bytes.Equal(a[i], b[i]) {
					t.Fatalf("seed %d line %d: with the cache\n%s\nwithout\n%s", seed, i, a[i], b[i])
				}
			}
			t.Fatalf("seed %d: %d lines with the cache, %d without", seed, len(a), len(b))
		}
	}
	t.Logf("%d cache hits, %d answers", hits, answers)
	if least := 40 * seeds; hits < least || uint64(answers) < least {
		t.Errorf("only %d cache hits and %d answers: the test does not test much", hits, answers)
	}
}
