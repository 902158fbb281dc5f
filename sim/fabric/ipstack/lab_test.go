package ipstack

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// lab is time and a few links for stacks under test. It does in the plainest
// way what package fabric does fast, so that the stack can be tested alone.
type lab struct {
	t      *testing.T
	now    int64
	seq    int
	events []*labEvent
	drops  []string // "stack where reason"
	sent   map[string][][]byte
	got    map[string][][]byte
	errors []ICMPError
}

type labEvent struct {
	at      int64
	seq     int
	frame   bool
	stopped bool
	fn      func(now int64)
}

func (e *labEvent) Stop() { e.stopped = true }

func newLab(t *testing.T) *lab {
	return &lab{t: t, sent: map[string][][]byte{}, got: map[string][][]byte{}}
}

func (l *lab) add(d time.Duration, frame bool, fn func(now int64)) *labEvent {
	l.seq++
	e := &labEvent{at: l.now + max(int64(d), 0), seq: l.seq, frame: frame, fn: fn}
	l.events = append(l.events, e)
	return e
}

func (l *lab) After(d time.Duration, fn func(now int64)) Timer { return l.add(d, false, fn) }

// run executes events up to a time, or while frames are under way.
func (l *lab) run(until int64, framesOnly bool) {
	l.t.Helper()
	for range 2_000_000 {
		sort.SliceStable(l.events, func(i, j int) bool {
			a, b := l.events[i], l.events[j]
			return a.at < b.at || a.at == b.at && a.seq < b.seq
		})
		flying := false
		for _, e := range l.events {
			flying = flying || (e.frame || e.at <= l.now) && !e.stopped
		}
		if len(l.events) == 0 || framesOnly && !flying || l.events[0].at > until {
			if !framesOnly {
				l.now = max(l.now, until)
			}
			return
		}
		e := l.events[0]
		l.events = l.events[1:]
		if !e.stopped {
			l.now = e.at
			e.fn(l.now)
		}
	}
	l.t.Fatal("the lab does not come to rest")
}

func (l *lab) settle() { l.t.Helper(); l.run(1<<62, true) }

func (l *lab) advance(d time.Duration) { l.t.Helper(); l.run(l.now+int64(d), false) }

// stack makes a stack whose observations the lab keeps.
func (l *lab) stack(name string, change ...func(*Config)) *Stack {
	cfg := Config{Name: name, Timers: l, Seed: 1, Observer: Observer{
		OnSend: func(_ int64, iface string, f []byte, _ uint64) {
			l.sent[name+"/"+iface] = append(l.sent[name+"/"+iface], append([]byte(nil), f...))
		},
		OnReceive: func(_ int64, iface string, f []byte, _ uint64) {
			l.got[name+"/"+iface] = append(l.got[name+"/"+iface], append([]byte(nil), f...))
		},
		OnDrop: func(_ int64, where string, why vfp.Drop, _ []byte, _ uint64) {
			l.drops = append(l.drops, fmt.Sprintf("%s %s %s", name, where, why))
		},
		OnICMPError: func(_ int64, e ICMPError) { l.errors = append(l.errors, e) },
	}}
	for _, c := range change {
		c(&cfg)
	}
	return New(cfg)
}

// cable is a link of two or more interfaces; every frame reaches all others.
type cable struct {
	lab   *lab
	ends  []*Interface
	delay time.Duration
	// pass may lose (nothing), keep (d) or double (d, d) a frame.
	pass func(frame []byte, d time.Duration) []time.Duration
}

func (l *lab) cable() *cable { return &cable{lab: l} }

// plug adds an interface to a stack and plugs it in. n makes its MAC.
func (c *cable) plug(s *Stack, name string, n byte, addrs ...string) *Interface {
	c.lab.t.Helper()
	cfg := InterfaceConfig{Name: name, MAC: wire.MAC{2, 0, 0, 0, 0, n}}
	for _, a := range addrs {
		cfg.Addrs = append(cfg.Addrs, netip.MustParsePrefix(a))
	}
	var self *Interface
	cfg.Transmit = func(now int64, frame []byte, id uint64) {
		times := []time.Duration{c.delay}
		if c.pass != nil {
			times = c.pass(frame, c.delay)
		}
		for _, d := range times {
			f := append([]byte(nil), frame...)
			c.lab.add(d, true, func(now int64) {
				for _, e := range c.ends {
					if e != self {
						e.Receive(now, f, id)
					}
				}
			})
		}
	}
	var err error
	if self, err = s.AddInterface(cfg); err != nil {
		c.lab.t.Fatal(err)
	}
	c.ends = append(c.ends, self)
	return self
}

// lossy loses, doubles and reorders frames by a seed.
func (c *cable) lossy(seed uint64, loss, double, reorder float64) {
	r := rand.New(rand.NewPCG(seed, 1))
	c.pass = func(_ []byte, d time.Duration) []time.Duration {
		if r.Float64() < loss {
			return nil
		}
		if r.Float64() < reorder {
			d *= 3
		}
		if r.Float64() < double {
			return []time.Duration{d, d}
		}
		return []time.Duration{d}
	}
}

// pair is two hosts on one cable: a is 10.0.0.1 and fd00::1, b is .2 and ::2.
type pair struct {
	*lab
	wire   *cable
	a, b   *Stack
	ia, ib *Interface
}

func mkPair(t *testing.T, change ...func(*Config)) *pair {
	l := newLab(t)
	p := &pair{lab: l, wire: l.cable(), a: l.stack("a", change...), b: l.stack("b", change...)}
	p.ia = p.wire.plug(p.a, "eth", 1, "10.0.0.1/24", "fd00::1/64")
	p.ib = p.wire.plug(p.b, "eth", 2, "10.0.0.2/24", "fd00::2/64")
	return p
}

// routed is a - r - b: 10.1.0.1/24 and fd01::1, through r's .254 and ::fe on
// both sides, to 10.2.0.1 and fd02::1.
type routed struct {
	*lab
	a, b, r       *Stack
	left, right   *cable
	rLeft, rRight *Interface
}

func mkRouted(t *testing.T, change ...func(*Config)) *routed {
	l := newLab(t)
	n := &routed{lab: l, left: l.cable(), right: l.cable(), a: l.stack("a"), b: l.stack("b")}
	n.r = l.stack("r", append([]func(*Config){func(c *Config) { c.Forwarding = true }}, change...)...)
	n.left.plug(n.a, "eth", 1, "10.1.0.1/24", "fd01::1/64")
	n.right.plug(n.b, "eth", 2, "10.2.0.1/24", "fd02::1/64")
	n.rLeft = n.left.plug(n.r, "left", 3, "10.1.0.254/24", "fd01::fe/64")
	n.rRight = n.right.plug(n.r, "right", 4, "10.2.0.254/24", "fd02::fe/64")
	for _, d := range []struct {
		s   *Stack
		via string
	}{{n.a, "10.1.0.254"}, {n.a, "fd01::fe"}, {n.b, "10.2.0.254"}, {n.b, "fd02::fe"}} {
		via := netip.MustParseAddr(d.via)
		any := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
		if via.Is6() {
			any = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		}
		if err := d.s.AddRoute(Route{Dst: any, Via: via}); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// summaries decodes what a point has seen.
func summaries(frames [][]byte) string {
	var b strings.Builder
	for _, f := range frames {
		fmt.Fprintln(&b, wire.Summary(f))
	}
	return b.String()
}

func (l *lab) wantDrops(want ...string) {
	l.t.Helper()
	if strings.Join(l.drops, "\n") != strings.Join(want, "\n") {
		l.t.Errorf("drops are\n\t%s\nwant\n\t%s", strings.Join(l.drops, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// sound checks the checksums of everything that was sent.
func (l *lab) sound() {
	l.t.Helper()
	for point, frames := range l.sent {
		for _, f := range frames {
			if err := wire.VerifyChecksums(f); err != nil {
				l.t.Errorf("%s sent %s: %v", point, wire.Summary(f), err)
			}
		}
	}
}

func ap(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }
func ip(s string) netip.Addr     { return netip.MustParseAddr(s) }

// udpSink collects datagrams.
type udpSink struct{ got []string }

func (u *udpSink) handler() Handler {
	return Handler{Datagram: func(_ int64, from, to netip.AddrPort, b []byte) []byte {
		u.got = append(u.got, fmt.Sprintf("%s>%s %s", from, to, b))
		return nil
	}}
}
