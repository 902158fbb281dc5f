package hcntest

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hnsim/hnsim/sim"
	"github.com/hnsim/hnsim/sim/fabric"
	"github.com/hnsim/hnsim/sim/fabric/ipstack"
	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// TB is the part of testing.TB that a Lab uses.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
}

// Panic is a TB for programs that are no tests, such as examples: what would
// fail the test panics.
var Panic TB = panics{}

type panics struct{}

func (panics) Helper() {}

func (panics) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

// Config describes a Lab. The zero value is two hosts of Windows Server 2022.
type Config struct {
	// Profile is the build of Windows: ws2016, ws2019, ws2022 (the default),
	// ws2025, strict-rfc. It decides versions, features and answers.
	Profile string
	// Knobs overrule what the profile says, by name: {"v1ErrorForm": "hresult"}.
	Knobs map[string]string
	// Seed of everything that HNS chooses: ids, addresses, ports. Equal seeds
	// and equal calls give equal objects.
	Seed uint64
	// Hosts of the lab; nil is h1 with 10.127.130.35/24 and h2 with
	// 10.127.130.38/24. All are on one Ethernet segment with a router (.1).
	// The router leads to External.
	Hosts []HostConfig
	// ProviderAddressDelay is how long after its creation an external network
	// shows no ProviderAddress, as on real hosts; flannel waits for it.
	ProviderAddressDelay time.Duration
	// Clock, when set, makes the lab's time follow it: time.Now for drivers
	// that sleep and retry (in a testing/synctest bubble too). Without it the
	// lab's time stands still except for Advance and packets on their way.
	Clock func() time.Time
}

// HostConfig describes a Windows host.
type HostConfig struct {
	Name string
	Addr string // "10.127.130.35/24"; all hosts of a lab are in one prefix
}

// external is the address of the machine behind the router.
const external = "203.0.113.80"

var defaultHosts = []HostConfig{{"h1", "10.127.130.35/24"}, {"h2", "10.127.130.38/24"}}

// Lab is a small network of simulated Windows hosts. Its methods, and those of
// its hosts and pods, may be called from several goroutines; they take effect
// one after another.
type Lab struct {
	mu    sync.Mutex
	t     TB
	cfg   Config
	start time.Time // of Clock
	world *sim.World
	hosts []*Host
	ext   *Pod
	calls []Call
	drops []Drop
	wires []Packet
	runs  int // containers that were started
	// answered is who answered last, and whom it saw.
	answered *server
	last     *arrival // since the last question
}

// New makes a lab. A configuration that makes no sense fails the test.
func New(t TB, cfg Config) *Lab {
	t.Helper()
	l, err := newLab(t, cfg)
	if err != nil {
		t.Fatalf("hcntest: %v", err)
	}
	return l
}

func newLab(t TB, cfg Config) (*Lab, error) {
	if cfg.Hosts == nil {
		cfg.Hosts = defaultHosts
	}
	l := &Lab{t: t, cfg: cfg}
	if cfg.Clock != nil {
		l.start = cfg.Clock()
	}
	knobs := map[string]string{}
	for k, v := range cfg.Knobs {
		knobs[k] = v
	}
	if cfg.ProviderAddressDelay > 0 {
		knobs["providerAddressDelay"] = cfg.ProviderAddressDelay.String()
	}
	var err error
	l.world, err = sim.New(sim.Config{Seed: cfg.Seed, Profile: cfg.Profile, Knobs: knobs, Observer: l.observer()})
	if err != nil {
		return nil, err
	}
	return l, l.build()
}

// build adds the hosts, the router and the machine behind it.
func (l *Lab) build() error {
	if len(l.cfg.Hosts) == 0 {
		return fmt.Errorf("a lab without hosts")
	}
	var lan netip.Prefix
	for i, hc := range l.cfg.Hosts {
		p, err := netip.ParsePrefix(hc.Addr)
		if err != nil || !p.Addr().Is4() {
			return fmt.Errorf("host %q: address %q: expected an IPv4 address with its prefix length, such as 10.127.130.35/24", hc.Name, hc.Addr)
		}
		if i == 0 {
			lan = p.Masked()
		}
		if p.Masked() != lan {
			return fmt.Errorf("host %q: address %s: expected one in %s, where the other hosts are", hc.Name, p, lan)
		}
		a := p.Addr().As4()
		sh, err := l.world.AddHost(sim.HostConfig{Name: hc.Name, MAC: wire.MAC{0x00, 0x15, 0x5D, a[1], a[2], a[3]},
			Addrs: []netip.Prefix{p}, Gateway: lan.Addr().Next()})
		if err != nil {
			return err
		}
		h := &Host{lab: l, sim: sh, name: hc.Name, pods: map[string]*Pod{}}
		h.self = &Pod{lab: l, name: hc.Name, addr: p.Addr(), stack: func() (*ipstack.Stack, error) { return sh.Stack(), nil }}
		l.hosts = append(l.hosts, h)
	}
	inner := netip.PrefixFrom(lan.Addr().Next(), lan.Bits())
	if _, err := l.world.Net.AddRouter(fabric.NodeConfig{Name: "router", Ifaces: []fabric.IfaceConfig{
		{Segment: "lan", Addrs: []netip.Prefix{inner}},
		{Segment: "wan", Addrs: []netip.Prefix{netip.MustParsePrefix("203.0.113.1/24")}},
	}}); err != nil {
		return err
	}
	x, err := l.world.Net.AddExternal(fabric.NodeConfig{Name: "external", Ifaces: []fabric.IfaceConfig{
		{Segment: "wan", Addrs: []netip.Prefix{netip.PrefixFrom(netip.MustParseAddr(external), 24)}}}})
	if err != nil {
		return err
	}
	l.ext = &Pod{lab: l, name: "external", addr: netip.MustParseAddr(external),
		stack: func() (*ipstack.Stack, error) { return x.Stack(), nil }}
	return nil
}

// maxSeen bounds the packets and drops that a lab remembers.
const maxSeen = 10000

func (l *Lab) observer() fabric.Observer {
	return fabric.Observer{
		OnReceive: l.arrived,
		OnWire: func(now int64, n *fabric.NIC, dir fabric.WireDir, frame []byte, _ uint64) {
			if len(l.wires) < maxSeen {
				l.wires = append(l.wires, Packet{At: time.Duration(now), Host: n.Node(), Direction: dir.String(),
					Text: wire.Summary(frame), Frame: slices.Clone(frame)})
			}
		},
		OnDrop: func(_ int64, node, where string, why vfp.Drop, frame []byte, _ uint64) {
			if len(l.drops) < maxSeen {
				l.drops = append(l.drops, Drop{Where: node + " " + where, Reason: why.String(), Packet: wire.Summary(frame)})
			}
		},
	}
}

// Host is the host of that name; a name that no host has fails the test.
func (l *Lab) Host(name string) *Host {
	l.t.Helper()
	var names []string
	for _, h := range l.hosts {
		if h.name == name {
			return h
		}
		names = append(names, h.name)
	}
	l.t.Fatalf("hcntest: no host %q: the lab has %s", name, strings.Join(names, ", "))
	return nil
}

// Hosts are all hosts, in the order of the configuration.
func (l *Lab) Hosts() []*Host { return slices.Clone(l.hosts) }

// External is the machine behind the router, 203.0.113.80: what containers
// reach through NAT.
func (l *Lab) External() *Pod { return l.ext }

// Advance lets time pass: timers of NAT and TCP run, ProviderAddress appears.
func (l *Lab) Advance(d time.Duration) {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.world.Loop().Advance(d); err != nil {
		l.t.Fatalf("hcntest: %v", err)
	}
}

// Now is how much time has passed in the lab.
func (l *Lab) Now() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Duration(l.world.Loop().Now())
}

// tick lets the lab catch up with its clock and ends what is on its way.
func (l *Lab) tick() error {
	if l.cfg.Clock != nil {
		if behind := l.cfg.Clock().Sub(l.start) - time.Duration(l.world.Loop().Now()); behind > 0 {
			if err := l.world.Loop().Advance(behind); err != nil {
				return err
			}
		}
	}
	return l.world.Loop().Settle()
}

// Packet is a frame on the wire of a host.
type Packet struct {
	At        time.Duration
	Host      string
	Direction string // "tx" or "rx"
	Text      string // "eth(…) ip(10.127.130.35>10.127.130.38 ttl128) udp(…>4789) vxlan(4096) …"
	Frame     []byte
}

// Packets are the frames that crossed the wires of hosts, router and external
// machine so far, in order; the first 10,000.
func (l *Lab) Packets() []Packet {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.wires)
}

// Drop is a packet that went no further.
type Drop struct {
	Where  string // host and place: "h2 ext:Ethernet/" and the endpoint's id
	Reason string // name of the reason: "VfpBlock"; hnsim explain tells what it means
	Packet string
}

// Drops are the packets that were dropped so far, in order; the first 10,000.
func (l *Lab) Drops() []Drop {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.drops)
}
