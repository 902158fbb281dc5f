package vfp

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/sim/wire"
)

// The ports of a lab: two endpoints and the wire.
const (
	portA    PortID = 1
	portB    PortID = 2
	portWire PortID = 9
)

var (
	macA    = wire.MustMAC("00-15-5D-00-00-0A")
	macB    = wire.MustMAC("00-15-5D-00-00-0B")
	macHost = wire.MustMAC("00-15-5D-82-00-23")
	macR    = wire.MustMAC("00-00-5E-00-01-01")

	ipA   = ip("10.0.0.1")
	ipB   = ip("10.0.0.2")
	ipX   = ip("203.0.113.80")
	ipVIP = ip("10.96.10.10")
	ipH   = ip("10.127.130.35")
)

func ip(s string) netip.Addr        { return netip.MustParseAddr(s) }
func ports(lo, hi uint16) PortRange { return PortRange{lo, hi} }
func ptr[T any](v T) *T             { return &v }
func seconds(n int64) int64         { return n * 1e9 }
func at(a netip.Addr) []netip.Prefix {
	return []netip.Prefix{netip.PrefixFrom(a, a.BitLen())}
}

// lab is the smallest switch: it walks, forwards by MAC and does nothing else.
type lab struct {
	now    int64
	cached bool
	store  *FlowStore
	ports  []*Port
	trace  *Trace
	nextID uint64

	quickHits int
}

func newLab(cached bool, limits PortLimits) *lab {
	l := &lab{cached: cached, store: NewFlowStore()}
	limits.Store = l.store
	for _, id := range []PortID{portA, portB, portWire} {
		l.ports = append(l.ports, NewPort(id, limits))
	}
	return l
}

func (l *lab) port(id PortID) *Port {
	for _, p := range l.ports {
		if p.ID == id {
			return p
		}
	}
	return nil
}

func (l *lab) gen() (sum uint64) {
	for _, p := range l.ports {
		sum += p.Generation()
	}
	return sum
}

// result is what became of a frame.
type result struct {
	out   PortID
	frame []byte
	drop  Drop
	hit   bool // by the cache
}

func (r result) String() string {
	if r.drop != DropNone {
		return "drop " + r.drop.String()
	}
	return fmt.Sprintf("out of %d: %s", r.out, wire.Summary(r.frame))
}

func (r result) same(o result) bool {
	return r.out == o.out && r.drop == o.drop && bytes.Equal(r.frame, o.frame)
}

// send takes a frame through the lab.
func (l *lab) send(in PortID, frame []byte) result { return l.batch(in, frame)[0] }

// batch takes frames through the lab as switches do: first all keys are
// computed and warmed, then the packets go one after the other.
func (l *lab) batch(in PortID, frames ...[]byte) []result {
	src := l.port(in)
	pkts, keys := make([]*Packet, len(frames)), make([]Key, len(frames))
	for i, frame := range frames {
		p := NewPacket(frame)
		l.nextID++
		p.ID, p.InPort = l.nextID, in
		if p.Parse() == wire.OK {
			pkts[i] = p
			src.Cache.Key(p, &keys[i])
		}
	}
	src.Cache.Warm(keys)
	src.Expect(keys)
	results := make([]result, len(frames))
	for i, p := range pkts {
		if p == nil {
			results[i] = result{drop: DropMalformed}
			continue
		}
		results[i] = l.process(src, p, &keys[i])
	}
	return results
}

const labMTU = 1500

// quick takes every other packet by its quick outcome, if there is one.
func (l *lab) quick(src *Port, p *Packet) (r result, ok bool) {
	if !l.cached || p.ID%2 == 0 {
		return r, false
	}
	pkts, keys := [1]Packet{*p}, [1]Key{}
	src.Cache.PlainKeys(pkts[:], keys[:])
	n, _, _ := src.Cache.Run(pkts[:], keys[:], l.now, l.gen(), 0)
	if n == 0 {
		return r, false
	}
	*p = pkts[0]
	l.quickHits++
	r = l.outcome(p, DropNone, p.OutPort)
	r.hit = true
	return r, true
}

func (l *lab) process(src *Port, p *Packet, key *Key) result {
	if r, ok := l.quick(src, p); ok {
		return r
	}
	if l.cached {
		if t, ok := src.Cache.Lookup(key, p, l.now, l.gen()); ok {
			before := append([]byte(nil), p.Bytes()...)
			limited := *t
			limited.MTU = labMTU
			r := l.outcome(p, limited.Apply(p), t.Out)
			if err := checkQuick(src.Cache, before, key, t, r); err != nil {
				panic(err)
			}
			r.hit = true
			return r
		}
	}
	var w Walk
	w.Begin(l.now, p, 0, l.trace)
	out := l.walk(&w, src)
	t := Diff(&w)
	t.Out = out
	t.Straight = labMTU + wire.EthernetLen
	if l.cached && Cachable(&w) {
		src.Cache.Install(key, &w, &t, l.gen())
	}
	t.MTU = labMTU
	return l.outcome(p, w.Commit(p, &t), out)
}

func (l *lab) outcome(p *Packet, d Drop, out PortID) result {
	if d != DropNone {
		return result{drop: d}
	}
	return result{out: out, frame: append([]byte(nil), p.Bytes()...)}
}

func (l *lab) walk(w *Walk, src *Port) PortID {
	if src.Walk(w, Out) == Stop {
		return 0
	}
	out := l.forward(w, src.ID)
	if w.Drop != DropNone {
		return 0
	}
	if l.port(out).Walk(w, In) == Stop {
		return 0
	}
	return out
}

func (l *lab) forward(w *Walk, in PortID) PortID {
	switch w.Fwd.Kind {
	case ToPort:
		return w.Fwd.Port
	case ToWire, ToPA:
		return portWire
	case Hairpin:
		return in
	}
	switch w.H.EthDst {
	case macA:
		return portA
	case macB:
		return portB
	}
	if in == portWire {
		w.Drop = DropUnknownUnicast
	}
	return portWire
}

func (l *lab) program(id PortID, layers ...Layer) { l.port(id).SetProgram(&Program{Layers: layers}) }

// flows dumps the layer flows of all ports, which must not depend on the cache.
func (l *lab) flows() string {
	var b strings.Builder
	for _, p := range l.ports {
		p.adopt()
		fmt.Fprintf(&b, "port %d: %d\n", p.ID, p.Flows())
		d := dumper{w: &b}
		for _, y := range p.cur.layers {
			d.flows(p, y, l.now)
		}
	}
	return b.String()
}

// both runs a test with the cache off and on.
func both(t *testing.T, limits PortLimits, f func(t *testing.T, l *lab)) {
	for _, cached := range []bool{false, true} {
		t.Run(fmt.Sprintf("cache=%v", cached), func(t *testing.T) { f(t, newLab(cached, limits)) })
	}
}

func (l *lab) want(t *testing.T, in PortID, frame []byte, out PortID, want *wire.Frame) []byte {
	t.Helper()
	r := l.send(in, frame)
	if r.drop != DropNone || r.out != out {
		t.Fatalf("got %v, want out of port %d", r, out)
	}
	if want != nil && !bytes.Equal(r.frame, want.Bytes()) {
		t.Fatalf("wrong frame\n got %s\nwant %s", wire.Summary(r.frame), wire.Summary(want.Bytes()))
	}
	if err := wire.VerifyChecksums(r.frame); err != nil {
		t.Fatalf("frame that left has %v: %s", err, wire.Summary(r.frame))
	}
	return r.frame
}

func (l *lab) wantDrop(t *testing.T, in PortID, frame []byte, want Drop) {
	t.Helper()
	if r := l.send(in, frame); r.drop != want {
		t.Fatalf("got %v, want drop %v", r, want)
	}
}

func tcp(src, dst netip.Addr, sp, dp uint16, flags uint8) *wire.Frame {
	return &wire.Frame{
		EthSrc: macOf(src), EthDst: macOf(dst),
		IP:  &wire.IPFields{Src: src, Dst: dst, TTL: 128, ID: 7},
		TCP: &wire.TCPFields{SrcPort: sp, DstPort: dp, Flags: flags, Window: 1000},
	}
}

func udp(src, dst netip.Addr, sp, dp uint16) *wire.Frame {
	return &wire.Frame{
		EthSrc: macOf(src), EthDst: macOf(dst),
		IP:      &wire.IPFields{Src: src, Dst: dst, TTL: 128, ID: 7},
		UDP:     &wire.UDPFields{SrcPort: sp, DstPort: dp},
		Payload: []byte("hello"),
	}
}

func echo(src, dst netip.Addr, typ uint8, id uint16) *wire.Frame {
	return &wire.Frame{
		EthSrc: macOf(src), EthDst: macOf(dst),
		IP:   &wire.IPFields{Src: src, Dst: dst, TTL: 128, ID: 7},
		ICMP: &wire.ICMPFields{Type: typ, ID: id, Seq: 1},
	}
}

// macOf is the MAC that the lab's hosts use to reach an address.
func macOf(a netip.Addr) wire.MAC {
	switch a {
	case ipA:
		return macA
	case ipB:
		return macB
	}
	return macR
}

// answer turns a delivered frame round and mends its checksums.
func answer(frame []byte) []byte {
	b := append([]byte(nil), frame...)
	var m wire.Meta
	wire.Parse(b, &m)
	eth := wire.Ethernet(b)
	src, dst := eth.Src(), eth.Dst()
	eth.SetSrc(dst)
	eth.SetDst(src)
	if t, ok := wire.ParseVXLAN(b, &m); ok && m.DstPort == wire.VXLANPort {
		copy(b[t.Inner:], answer(b[t.Inner:t.End]))
	} else if m.HasL4 && (m.Proto == wire.ProtoTCP || m.Proto == wire.ProtoUDP) {
		wire.SetPorts(b, &m, m.DstPort, m.SrcPort)
	} else if m.IsICMPQuery() && m.ICMPType == wire.ICMPEcho {
		wire.ICMPv4(b[m.L4:]).SetType(wire.ICMPEchoReply)
	} else if m.IsICMPQuery() && m.ICMPType == wire.ICMP6Echo {
		wire.ICMPv6(b[m.L4:]).SetType(wire.ICMP6EchoReply)
	}
	if m.IsIP() {
		s, d := m.Src(b), m.Dst(b)
		wire.SetSrc(b, &m, d)
		wire.SetDst(b, &m, s)
		wire.FixChecksums(b, &m)
	}
	return b
}

func aclLayer(reconcile Reconcile, groups ...Group) Layer {
	return Layer{Name: "FW_ADMIN_LAYER_ID", Priority: 100, Reconcile: reconcile, Groups: groups}
}

func out(rules ...Rule) Group { return Group{Name: "OUT", Dir: Out, Rules: rules} }
func in(rules ...Rule) Group  { return Group{Name: "IN", Dir: In, Rules: rules} }

func allow(id string, m Match) Rule {
	return Rule{ID: id, Match: m, Action: Allow{}, Terminating: true, Stateful: true}
}

func deny(id string, m Match) Rule {
	return Rule{ID: id, Priority: 1000, Match: m, Action: Block{}, Terminating: true}
}
