package sim

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/hnsim/hnsim/sim/fabric"
	"github.com/hnsim/hnsim/sim/fabric/ipstack"
	"github.com/hnsim/hnsim/sim/rounds"
	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// tenanted is a random life of tenants' machines on two physical hosts behind
// two multiplexers, with documents that change. All that can be observed goes
// into log.
type tenanted struct {
	t    *testing.T
	r    *rand.Rand
	w    *World
	log  bytes.Buffer
	from []*ipstack.Stack
	hits uint64
	got  int
}

var tenantMachines = []struct{ name, host, addr, mac string }{
	{"web", "p1", "192.168.1.11/24", "00-1D-D8-B7-01-11"}, {"web2", "p2", "192.168.1.12/24", "00-1D-D8-B7-01-12"},
	{"db", "p2", "192.168.2.20/24", "00-1D-D8-B7-02-20"}, {"other", "p1", "192.168.1.11/24", "00-1D-D8-B7-0B-11"},
}

func newTenanted(t *testing.T, seed uint64, noCache bool) *tenanted {
	b := &tenanted{t: t, r: rand.New(rand.NewPCG(seed, 7))}
	var err error
	b.w, err = New(Config{Seed: seed, NoFlowCache: noCache, Observer: fabric.Observer{
		OnWire: func(now int64, n *fabric.NIC, dir fabric.WireDir, frame []byte, id uint64) {
			fmt.Fprintf(&b.log, "%d %d %s wire %s %x\n", now, id, n.Point(), dir, frame)
			if err := wire.VerifyChecksums(frame); err != nil {
				t.Fatalf("%v in %s", err, wire.Summary(frame))
			}
		},
		OnReceive: func(now int64, node, iface string, frame []byte, id uint64) {
			b.got++
			fmt.Fprintf(&b.log, "%d %d %s got %x\n", now, id, node, frame)
		},
		OnDrop: func(now int64, node, where string, why vfp.Drop, frame []byte, id uint64) {
			fmt.Fprintf(&b.log, "%d %d %s drop %s %s %x\n", now, id, node, where, why, frame)
		},
	}})
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(err)
	_, err = b.w.Net.AddRouter(fabric.NodeConfig{Name: "r", Ifaces: []fabric.IfaceConfig{
		{Segment: "pa", Addrs: prefixOf("10.10.0.1/24")}, {Segment: "wan", Addrs: prefixOf("203.0.113.1/24")}}})
	must(err)
	x, err := b.w.Net.AddExternal(fabric.NodeConfig{Name: "x", Ifaces: []fabric.IfaceConfig{{Segment: "wan", Addrs: prefixOf("203.0.113.80/24")}}})
	must(err)
	b.from = append(b.from, x.Stack())
	gw := netip.MustParseAddr("10.10.0.1")
	for i, n := range []string{"p1", "p2"} {
		_, err := b.w.AddPhysical(PhysicalConfig{Name: n, Segment: "pa", Addrs: prefixOf(fmt.Sprintf("10.10.0.1%d/24", i+1)), Gateway: gw, MTU: 1660})
		must(err)
	}
	for i, n := range []string{"mux1", "mux2"} {
		_, err := b.w.AddMux(PhysicalConfig{Name: n, Segment: "pa", Addrs: prefixOf(fmt.Sprintf("10.10.0.2%d/24", i+1)), Gateway: gw})
		must(err)
	}
	for _, m := range tenantMachines {
		mac, err := wire.ParseMAC(m.mac)
		must(err)
		seg, err := b.w.PlaceVM(m.host, m.name, mac)
		must(err)
		p := netip.MustParsePrefix(m.addr)
		e, err := b.w.Net.AddExternal(fabric.NodeConfig{Name: m.name, Ifaces: []fabric.IfaceConfig{{Segment: seg, MAC: mac, Addrs: []netip.Prefix{p}, Gateway: p.Masked().Addr().Next()}}})
		must(err)
		for _, port := range []uint16{53, 80, 8080} {
			_, err := e.Stack().Listen(wire.ProtoUDP, netip.Addr{}, port, ipstack.EchoHandler())
			must(err)
		}
		b.from = append(b.from, e.Stack())
	}
	doc, err := os.ReadFile("testdata/tenants.json")
	must(err)
	must(b.w.Controller().Load(doc))
	return b
}

// change puts, deletes, moves or stops something; refusals are part of life.
func (b *tenanted) change() {
	ctl := b.w.Controller()
	var err error
	switch k := b.r.IntN(8); k {
	case 0, 1:
		action := []string{"Allow", "Deny"}[b.r.IntN(2)]
		_, err = ctl.Put("/accessControlLists/open/aclRules/r", fmt.Appendf(nil,
			`{"properties":{"type":%q,"action":%q,"priority":"50","protocol":"UDP","destinationPortRange":"%d"}}`, []string{"Inbound", "Outbound"}[b.r.IntN(2)], action, []int{53, 80}[b.r.IntN(2)]))
	case 2:
		err = ctl.Delete("/accessControlLists/open/aclRules/r")
	case 3:
		_, err = ctl.Put("/routeTables/rt/routes/r1", fmt.Appendf(nil, `{"properties":{"addressPrefix":%q,"nextHopType":"VirtualAppliance","nextHopIpAddress":"192.168.1.12"}}`,
			[]string{"192.168.2.0/24", "0.0.0.0/0", "12.0.0.0/8"}[b.r.IntN(3)]))
	case 4:
		err = b.w.MoveVM(tenantMachines[b.r.IntN(3)].name, []string{"p1", "p2"}[b.r.IntN(2)])
	case 5:
		err = b.w.SetMux([]string{"mux1", "mux2"}[b.r.IntN(2)], b.r.IntN(3) > 0)
	case 6:
		err = b.w.SetAgent([]string{"p1", "p2"}[b.r.IntN(2)], b.r.IntN(4) > 0)
	default:
		_, err = ctl.Put("/virtualNetworks/b", fmt.Appendf(nil, `{"properties":{"encapsulation":%q,"addressSpace":{"addressPrefixes":["192.168.0.0/16"]},"subnets":[{"resourceId":"web",
			"properties":{"addressPrefix":"192.168.1.0/24","vsid":6001,"accessControlList":{"resourceRef":"/accessControlLists/open"}}}]}}`, []string{"VXLAN", "NVGRE"}[b.r.IntN(2)]))
	}
	fmt.Fprintln(&b.log, "change", err)
}

func (b *tenanted) live(steps int) {
	to := []string{"192.168.1.11:53", "192.168.1.12:80", "192.168.2.20:53", "107.105.47.60:80", "203.0.113.80:9", "12.1.1.1:53", "192.168.1.1:7"}
	var recent []func()
	for range steps {
		switch k := b.r.IntN(25); {
		case k == 0:
			b.change()
		case k == 1:
			if err := b.w.Loop().Advance(time.Second * []time.Duration{1, 6, 239, 241}[b.r.IntN(4)]); err != nil {
				b.t.Fatal(err)
			}
		default:
			if n := len(recent); n > 0 && b.r.IntN(4) > 0 {
				recent[b.r.IntN(n)]() // like most traffic: more of what was there before
				break
			}
			st, dst := b.from[b.r.IntN(len(b.from))], netip.MustParseAddrPort(to[b.r.IntN(len(to))])
			src := netip.AddrPortFrom(netip.Addr{}, uint16(20000+b.r.IntN(3)))
			send := func() {
				if _, _, err := st.SendUDP(b.w.Loop().Now(), ipstack.UDPOptions{Src: src, Dst: dst, Payload: []byte("q")}); err != nil {
					fmt.Fprintln(&b.log, err)
				}
			}
			send()
			if recent = append(recent, send); len(recent) > 8 {
				recent = recent[1:]
			}
		}
		if err := b.w.Loop().Settle(); err != nil {
			b.t.Fatal(err)
		}
	}
	for _, err := range b.w.Net.Conserved() {
		b.t.Error(err)
	}
	for _, h := range b.w.Machines() {
		for _, sp := range h.Program().Switches {
			for pc := range sp.Config.All() {
				b.hits += h.Switch(sp.Config.Name).VFP(pc.ID).Cache.Stats.Hits
			}
		}
	}
}

// Rule VFP-12 for tenant networks: with and without the unified flow tables
// everything that can be seen is the same, whatever changes in between.
func TestTenantsAreTheSameWithoutTheFlowCache(t *testing.T) {
	seeds := uint64(rounds.Of(12, 3))
	hits, got := uint64(0), 0
	for seed := range seeds {
		with, without := newTenanted(t, seed, false), newTenanted(t, seed, true)
		with.live(400)
		without.live(400)
		hits, got = hits+with.hits, got+with.got
		if without.hits != 0 {
			t.Fatal("the cache was not off")
		}
		if !bytes.Equal(with.log.Bytes(), without.log.Bytes()) {
			a, b := bytes.Split(with.log.Bytes(), []byte("\n")), bytes.Split(without.log.Bytes(), []byte("\n"))
			for i := range min(len(a), len(b)) {
				if !bytes.Equal(a[i], b[i]) {
					t.Fatalf("seed %d line %d: with the cache\n%s\nwithout\n%s", seed, i, a[i], b[i])
				}
			}
			t.Fatalf("seed %d: %d lines with the cache, %d without", seed, len(a), len(b))
		}
	}
	t.Logf("%d cache hits, %d frames received", hits, got)
	if hits < 100*seeds || got < 100*int(seeds) {
		t.Errorf("only %d cache hits and %d frames: the test does not test much", hits, got)
	}
}
