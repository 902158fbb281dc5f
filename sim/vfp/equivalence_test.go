package vfp

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/sim/rounds"
	"github.com/hnsim/hnsim/sim/wire"
)

// The central invariant (rule VFP-12): whatever the policies and packets, the
// cache changes no output, no drop and no layer flow. A world is two labs, one
// with the cache and one without, that get the same programs and packets; a
// string of bytes says which, so that a fuzzer can play too.

// dice reads choices from bytes; when they run out every choice is 0.
type dice struct{ b []byte }

func (d *dice) n(n int) int {
	if len(d.b) == 0 {
		return 0
	}
	v := int(d.b[0])
	d.b = d.b[1:]
	return v % n
}

func (d *dice) one(of ...int64) int64 { return of[d.n(len(of))] }

func (d *dice) chance(percent int) bool { return d.n(100) < percent }

func pick[T any](d *dice, of []T) T { return of[d.n(len(of))] }

var (
	testV4   = []netip.Addr{ipA, ipB, ipX, ipVIP, ipH, ip("10.0.0.3")}
	testV6   = []netip.Addr{ip("fd00::1"), ip("fd00::2"), ip("2001:db8::80"), ip("fd00:ffff::10"), ip("fd00::35"), ip("fd00::3")}
	testNums = []uint16{80, 443, 8080, 5000}
	testMACs = []wire.MAC{macA, macB, macR, macHost}
)

// world is the pair of labs.
type world struct {
	labs  [2]*lab
	pools [2]map[string]*NATPool
	sent  []sentFrame // what went in or came out lately
	log   []event
	hits  int
}

// event is for the report of a failure: text, or a frame and what became of it.
type event struct {
	text string
	in   PortID
	sent []byte
	got  result
}

func (w *world) history() string {
	var b strings.Builder
	for _, e := range w.log {
		if e.text != "" {
			fmt.Fprintln(&b, e.text)
			continue
		}
		fmt.Fprintf(&b, "into %d: %s\n  %v\n", e.in, wire.Summary(e.sent), e.got)
	}
	return b.String()
}

type sentFrame struct {
	in    PortID
	frame []byte
}

func newWorld(d *dice) *world {
	w := &world{}
	limits := PortLimits{LayerFlows: int(d.one(40, 6, 40)), Cache: 64, Fragments: 4, DropWhenFull: d.chance(30)}
	for i := range w.labs {
		w.labs[i] = newLab(i == 1, limits)
		space := NewPortSpace()
		space.SetDynamic(ports(50000, 50000+5*64-1))
		w.pools[i] = map[string]*NATPool{}
		for _, id := range []PortID{portA, portB} {
			for _, proto := range []uint8{wire.ProtoTCP, wire.ProtoUDP, wire.ProtoICMP} {
				w.pools[i][poolName(id, proto)], _ = NewNATPool(space, proto, uint64(id), 5)
			}
		}
	}
	return w
}

func poolName(id PortID, proto uint8) string { return fmt.Sprint(id, " ", proto) }

// push encapsulates towards a PA, as an overlay's route does.
type push struct {
	kind EncapKind
	dst  netip.Addr
	vni  uint32
	ttl  uint8
}

func (push) Name() string { return "encap" }

func (a push) Apply(w *Walk) Outcome {
	w.Encap = Encap{
		Kind: a.kind, Src: ipH, Dst: a.dst, SrcPort: wire.EntropyPort(uint64(tupleWord(&w.H))), DstPort: wire.VXLANPort,
		VNI: a.vni, TTL: 64, EthSrc: macHost, EthDst: macR, DSCPCopy: true,
	}
	if !a.dst.Is4() {
		w.Encap.Src = testV6[4]
	}
	w.DecTTL += a.ttl
	w.Fwd = Forward{Kind: ToPA}
	return Continue
}

func tupleWord(h *Header) uint32 {
	t := tupleOf(h)
	return t.pairHash()
}

// pop decapsulates and forwards by the inner MAC.
type pop struct{}

func (pop) Name() string { return "decap" }

func (pop) Apply(w *Walk) Outcome {
	from, to, ok := innerFrame(w.Frame, w.Meta)
	if !ok {
		w.Drop, w.NoCache = DropMalformed, true
		return Stop
	}
	var m wire.Meta
	wire.Parse(w.Frame[from:to], &m)
	w.Decap = true
	w.H = HeaderOf(w.Frame[from:to], &m)
	return Continue
}

// program makes the same random program for both labs.
func (d *dice) program(w *world, id PortID) (progs [2]*Program) {
	layers := 1 + d.n(4)
	saved := d.b
	for i := range progs {
		d.b = saved
		p := &Program{}
		for n := range layers {
			p.Layers = append(p.Layers, d.layer(w, i, id, uint16(n)))
		}
		if id == portWire && d.chance(70) {
			p.Layers = append(p.Layers, Layer{Name: "DECAP", Groups: []Group{out(
				Rule{ID: "pop", Match: Match{Protos: []uint8{wire.ProtoUDP}, DstPorts: []PortRange{ports(4789, 4789)}, Dst: at(ipH)}, Action: pop{}})}})
		}
		if d.chance(50) {
			Prepare(p.Layers)
		}
		progs[i] = p
	}
	return progs
}

func (d *dice) layer(w *world, lab int, id PortID, n uint16) Layer {
	kind := d.n(5)
	l := Layer{
		Name: fmt.Sprint("L", kind), Priority: 100 * uint16(kind),
		Reconcile: Reconcile(d.n(3)),
	}
	if n > 0 {
		l.Name += fmt.Sprint(".", n)
	}
	for g := range 1 + d.n(3) {
		grp := Group{Name: fmt.Sprint("G", g), Dir: Dir(d.n(2)), Family: Family(d.one(0, 0, 1, 2)), Priority: uint16(d.n(3))}
		for range 1 + d.n(4) {
			grp.Rules = append(grp.Rules, d.rule(w, lab, id, kind))
		}
		l.Groups = append(l.Groups, grp)
	}
	return l
}

func (d *dice) rule(w *world, lab int, id PortID, kind int) Rule {
	r := Rule{
		ID: fmt.Sprint("R", d.n(6)), Priority: uint16(d.n(4)), Match: d.match(),
		Terminating: d.chance(70), Idle: seconds(d.one(0, 0, 5, 100)),
	}
	proto := uint8(d.one(6, 17, 1))
	switch kind {
	case 0: // ACL
		r.Action = []Action{Allow{}, Allow{}, Allow{}, Block{}}[d.n(4)]
		r.Stateful = d.chance(70)
	case 1: // static NAT, load balancing
		r.Action = SetHeaders{Dst: pick(d, testV4), DstPort: ptr(pick(d, testNums)), EthDst: ptr(pick(d, testMACs))}
		if d.chance(30) {
			r.Action = SetHeaders{Dst: pick(d, testV6), Src: pick(d, testV6)}
		}
		if d.chance(30) {
			c := choose{turn: d.chance(40)}
			for range 1 + d.n(3) {
				c.to = append(c.to, pick(d, testV4))
			}
			r.Action, r.Targets = c, c.targets()
		}
		r.Stateful = d.chance(80)
	case 2: // source NAT
		pool := w.pools[lab][poolName(id, proto)]
		if pool == nil {
			r.Action = Allow{}
			break
		}
		r.Action = DynNAT{Pool: pool, To: ipH, ICMP: d.chance(50)}
	case 3: // MAC rewrite
		r.Action = SetHeaders{EthSrc: ptr(pick(d, testMACs))}
		r.Stateful = d.chance(20)
	default: // forwarding
		switch d.n(4) {
		case 0:
			r.Action = push{EncapKind(1 + d.n(2)), []netip.Addr{ipX, testV6[2]}[d.n(2)], 4096, uint8(d.n(2))}
		case 1:
			r.Action = HairpinBack{}
			r.Stateful = d.chance(50)
		default:
			r.Action = ForwardTo{Forward{Kind: ToPort, Port: []PortID{portA, portB, portWire}[d.n(3)]}}
			r.Stateful = d.chance(50)
		}
	}
	return r
}

func (d *dice) match() Match {
	var m Match
	if d.chance(30) {
		m.Protos = []uint8{uint8(d.one(6, 17, 1, 58))}
	}
	if d.chance(30) {
		m.Src = at(pick(d, append(testV4[:4:4], testV6[:3]...)))
	}
	if d.chance(30) {
		m.Dst = at(pick(d, append(testV4[:5:5], testV6[:3]...)))
	}
	if d.chance(15) {
		m.DstPorts = []PortRange{{pick(d, testNums), 60000}}
	}
	if d.chance(10) {
		m.EthSrc = []wire.MAC{pick(d, testMACs)}
	}
	if d.chance(10) {
		m.InPorts = []PortID{portA, portWire}
	}
	return m
}

// frame makes a random packet and the port that it enters through.
func (d *dice) frame() (PortID, []byte) {
	in := []PortID{portA, portB, portWire}[d.n(3)]
	addrs := testV4
	if d.chance(25) {
		addrs = testV6
	}
	f := &wire.Frame{
		EthSrc: pick(d, testMACs), EthDst: pick(d, testMACs),
		IP: &wire.IPFields{Src: pick(d, addrs), Dst: pick(d, addrs), TTL: uint8(d.one(64, 64, 1, 2)), TOS: uint8(d.one(0, 8)), ID: uint32(d.n(3))},
	}
	if in == portA {
		f.EthSrc, f.IP.Src = macA, addrs[0]
	}
	sp, dp := pick(d, testNums), pick(d, testNums)
	switch d.n(8) {
	case 0:
		f.ICMP = &wire.ICMPFields{Type: wire.ICMPEcho, ID: sp}
		if f.IP.Src.Is6() {
			f.ICMP.Type = wire.ICMP6Echo
		}
	case 1, 2:
		f.UDP = &wire.UDPFields{SrcPort: sp, DstPort: dp, NoChecksum: d.chance(30) && f.IP.Src.Is4()}
	default:
		f.TCP = &wire.TCPFields{SrcPort: sp, DstPort: dp, Flags: uint8(d.one(ack, ack, syn, fin, rst, syn|ack, syn|rst))}
	}
	f.Payload = make([]byte, d.one(0, 4, 1400, 1460))
	switch {
	case d.chance(5):
		f.EthDst = wire.Broadcast
	case d.chance(5):
		f.VLAN = &wire.VLANFields{ID: uint16(d.n(2))}
	case in == portWire && d.chance(30):
		f = &wire.Frame{
			EthSrc: macR, EthDst: macHost, IP: &wire.IPFields{Src: ipX, Dst: ipH},
			UDP:   &wire.UDPFields{SrcPort: 50000 + uint16(d.n(2)), DstPort: wire.VXLANPort, NoChecksum: true},
			VXLAN: &wire.VXLANFields{VNI: 4096 + uint32(d.n(2))}, Inner: f,
		}
	}
	return in, f.Bytes()
}

// vary makes another packet of the same flow, or leaves it as it is.
func (d *dice) vary(frame []byte) []byte {
	m := metaOf(frame)
	b := append([]byte(nil), frame...)
	switch d.n(8) {
	case 0: // another TCP segment
		if m.HasL4 && m.Proto == wire.ProtoTCP {
			wire.TCP(b[m.L4:]).SetFlags(uint8(d.one(ack, syn, fin, rst)))
		}
	case 1: // a bigger or smaller one
		if m.IsIPv4 && m.HasL4 && m.Proto == wire.ProtoTCP && !m.Fragment {
			n := int(d.one(0, 1480)) // too long for the lab
			b = append(b[:m.Payload:m.Payload], make([]byte, n)...)
			wire.IPv4(b[m.L3:]).SetTotalLen(len(b) - m.L3)
		}
	case 2: // the first of several fragments
		if m.IsIPv4 && m.HasL4 && len(frame) > 700 {
			frags, _ := wire.Fragment(frame, 600, 9)
			return frags[0]
		}
		return b
	case 3: // a priority tag
		if !m.HasVLAN {
			b = append(make([]byte, wire.VLANTagLen), b...)
			wire.PutTag(b, 0)
			return b
		}
	case 4:
		if m.IsIP() && m.TTL(b) > 1 {
			wire.DecTTL(b, m, 1)
		}
		return b
	default:
		return b
	}
	wire.Parse(b, m)
	wire.FixChecksums(b, m)
	return b
}

// play runs the game that the bytes describe.
func (w *world) play(t *testing.T, d *dice) {
	for len(d.b) > 0 {
		switch d.n(16) {
		case 0:
			id := []PortID{portA, portB, portWire}[d.n(3)]
			progs := d.program(w, id)
			for i, l := range w.labs {
				l.port(id).SetProgram(progs[i])
			}
			w.log = append(w.log, event{text: fmt.Sprintf("program for port %d", id)})
		case 1, 2:
			step := d.one(1e6, 1e9, 10e9, 14e9, 100e9, 240e9)
			for _, l := range w.labs {
				l.now += step
			}
			w.log = append(w.log, event{text: fmt.Sprintf("%d s pass", step/1e9)})
		case 3:
			n := 1 + d.n(8)
			for _, l := range w.labs {
				for _, p := range l.ports {
					p.Age(l.now, n)
				}
			}
		case 4, 5, 6:
			in, f := d.frame()
			w.send(t, in, f)
		case 7:
			if in, f := d.frame(); len(f) > 700 {
				frags, _ := wire.Fragment(f, 600, 9)
				for _, f := range frags {
					w.send(t, in, f)
				}
			}
		case 8:
			if len(w.sent) > 0 {
				s := pick(d, w.sent)
				if m := metaOf(s.frame); m.IsIP() {
					from := m.Dst(s.frame)
					if from.Is4() && d.chance(50) {
						from = ipRouter
					}
					w.send(t, s.in, unreachable(t, from, s.frame).Bytes())
				}
			}
		default: // an answer or a repetition of something seen
			if len(w.sent) > 0 {
				s := pick(d, w.sent)
				var frames [][]byte
				for range 1 + d.n(4) {
					frames = append(frames, d.vary(s.frame))
				}
				w.send(t, s.in, frames...)
			}
		}
	}
	w.compare(t)
}

// send puts frames through both labs and compares what comes of them. What
// came out is remembered as itself (to be repeated) and as its answer.
func (w *world) send(t *testing.T, in PortID, frames ...[]byte) {
	wants, gots := w.labs[0].batch(in, frames...), w.labs[1].batch(in, frames...)
	for i, frame := range frames {
		want, got := wants[i], gots[i]
		w.log = append(w.log, event{in: in, sent: frame, got: want})
		if !want.same(got) {
			t.Fatalf("%swithout cache: %v\nwith cache:    %v (hit %v)\n% x\n% x", w.history(), want, got, got.hit, want.frame, got.frame)
		}
		if got.hit {
			w.hits++
		}
		w.remember(sentFrame{in, frame})
		if want.drop == DropNone {
			if err := wire.VerifyChecksums(want.frame); err != nil {
				t.Fatalf("%sthe frame that left has %v", w.history(), err)
			}
			w.remember(sentFrame{want.out, answer(want.frame)})
		}
	}
}

func (w *world) remember(s sentFrame) {
	if len(w.sent) == 12 {
		copy(w.sent, w.sent[1:])
		w.sent = w.sent[:11]
	}
	w.sent = append(w.sent, s)
}

// compare looks at what the labs remember.
func (w *world) compare(t *testing.T) {
	if a, b := w.labs[0].flows(), w.labs[1].flows(); a != b {
		t.Fatalf("%slayer flows without cache:\n%swith cache:\n%s", w.history(), a, b)
	}
	for name, p := range w.pools[0] {
		if q := w.pools[1][name]; p.InUse() != q.InUse() {
			t.Fatalf("pool %s: %d and %d ports in use", name, p.InUse(), q.InUse())
		}
	}
}

func TestTheCacheChangesNothing(t *testing.T) { // VFP-12, S-VFP-01
	games, hits := rounds.Of(400, 100), 0
	for seed := range games {
		rng := rand.New(rand.NewPCG(uint64(seed), 12))
		data := make([]byte, 4000)
		for i := range data {
			data[i] = byte(rng.Uint32())
		}
		d := &dice{data}
		w := newWorld(d)
		w.play(t, d)
		hits += w.hits
	}
	if hits < 20*games {
		t.Errorf("only %d cache hits in %d games: the test does not test much", hits, games)
	}
	t.Logf("%d cache hits in %d games", hits, games)
	if quickChecks < 1000 {
		t.Errorf("only %d outcomes were compared with quick ones", quickChecks)
	}
}

func FuzzTheCacheChangesNothing(f *testing.F) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 8 {
		data := make([]byte, 600)
		for i := range data {
			data[i] = byte(rng.Uint32())
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 8000 {
			return
		}
		d := &dice{data}
		newWorld(d).play(t, d)
	})
}
