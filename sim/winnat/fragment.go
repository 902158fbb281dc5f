package winnat

import (
	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

const (
	ruleFragmentOut = "NAT-50"
	ruleFragmentIn  = "NAT-51"
)

// fragments is virtual reassembly: only the first fragment of a datagram has
// the ports, so what was decided about it is kept for the others, and others
// that come before it wait (rules NAT-50, NAT-51). A record lives for a fixed
// time from the datagram's first sign, so records end in the order in which
// they began, and the queue needs no timers.
type fragments struct {
	index   numbers    // fragment key -> number of the datagram
	ring    []datagram // of numbers head to tail-1, in place number modulo length
	head    uint32
	tail    uint32
	held    int           // fragments waiting, over all datagrams
	expired []*vfp.Packet // waited in vain, not yet fetched with Tick
}

// datagram is one record.
type datagram struct {
	key      wire.Key4
	deadline int64
	decided  bool // the first fragment has come; what follows is valid
	verdict  Verdict
	drop     vfp.Drop
	rule     string
	src, dst uint32
	newID    bool // id replaces the identification
	id       uint16
	waiting  []*vfp.Packet
}

func (f *fragments) init() { *f = fragments{head: 1, tail: 1} }

func (f *fragments) at(number uint32) *datagram { return &f.ring[number&uint32(len(f.ring)-1)] }

func (f *fragments) find(k wire.Key4) *datagram {
	v := f.index.get(k)
	if v == 0 {
		return nil
	}
	return f.at(v)
}

// fragmentKey names the datagram of a fragment. The identification is as it
// arrived.
func fragmentKey(frame []byte, m *wire.Meta, h hook) wire.Key4 {
	ip := wire.IPv4(frame[m.L3:])
	return wire.MakeKey4(ip.Src(), ip.Dst(), ip.ID(), 0, m.Proto, uint32(h))
}

// fragmentSlow handles all fragments.
//
//go:noinline
func (n *NAT) fragmentSlow(now int64, p *vfp.Packet, h hook, ext uint32) Result {
	n.frags.expire(n, now)
	m := &p.Meta
	k := fragmentKey(p.Bytes(), m, h)
	if !m.FirstFragment {
		return n.laterFragment(now, p, h, k)
	}
	d := n.decide(now, p, h, ext)
	if d.verdict == Translated || d.verdict == ToHost {
		n.rewrite(p, &d, h)
	}
	res := n.finish(p, h, &d)
	if _, ok := protoIndex(m.Proto); !ok {
		return res // the others need no memory to follow
	}
	g := n.frags.find(k)
	if g == nil || g.decided { // a decided one is of an earlier datagram with the same identification
		g = n.frags.add(n, k, now)
	}
	waiting := g.waiting
	n.frags.held -= len(waiting)
	ip := wire.IPv4(p.Bytes()[m.L3:])
	*g = datagram{
		key: k, deadline: g.deadline, decided: true,
		verdict: d.verdict, drop: d.drop, rule: d.rule,
		src: ip.Src(), dst: ip.Dst(), newID: ip.ID() != k.SrcPort(), id: ip.ID(),
	}
	for _, q := range waiting {
		n.follow(q, h, g)
		n.counters.Released++
	}
	res.Released = waiting
	return res
}

// laterFragment treats p as the first fragment of its datagram was, or keeps a
// copy until that comes.
func (n *NAT) laterFragment(now int64, p *vfp.Packet, h hook, k wire.Key4) Result {
	if d, ok := n.fragmentGate(p, h); !ok {
		return n.finish(p, h, &d)
	}
	g := n.frags.find(k)
	if g != nil && g.decided {
		return n.follow(p, h, g)
	}
	limits := &n.cfg.Limits
	if n.frags.held >= limits.FragmentsHeld || (g != nil && len(g.waiting) >= limits.FragmentsPerDatagram) {
		d := drop(vfp.DropNatFragmentOverflow, fragmentRule(h))
		return n.finish(p, h, &d)
	}
	if g == nil {
		g = n.frags.add(n, k, now)
	}
	c := vfp.NewPacket(p.Bytes())
	c.Meta, c.ID, c.InPort, c.OutPort = p.Meta, p.ID, p.InPort, p.OutPort
	g.waiting = append(g.waiting, c)
	n.frags.held++
	return n.finish(p, h, &decision{verdict: Queued, rule: fragmentRule(h)})
}

func fragmentRule(h hook) string {
	if h == hookIn {
		return ruleFragmentIn
	}
	return ruleFragmentOut
}

// fragmentGate keeps fragments out of the queue that can never be translated.
func (n *NAT) fragmentGate(p *vfp.Packet, h hook) (decision, bool) {
	_, ok := protoIndex(p.Meta.Proto)
	if h == hookOut {
		ip := wire.IPv4(p.Bytes()[p.Meta.L3:])
		switch {
		case n.cfg.netOf(ip.Src()) == nil || n.cfg.netOf(ip.Dst()) != nil:
			return notMine(), false
		case !ok:
			return drop(vfp.DropNatUnsupportedProto, "NAT-11"), false
		}
	}
	return notMine(), ok
}

// follow gives a later fragment the fate of its first one.
func (n *NAT) follow(p *vfp.Packet, h hook, g *datagram) Result {
	d := decision{verdict: g.verdict, drop: g.drop, rule: g.rule}
	if g.verdict == Translated || g.verdict == ToHost {
		d.rule = fragmentRule(h)
		frame := p.Bytes()
		setAddresses(frame, &p.Meta, wire.MakeKey4(g.src, g.dst, 0, 0, 0, 0))
		if g.newID {
			setIPID(frame, &p.Meta, g.id)
		}
	}
	return n.finish(p, h, &d)
}

// add begins a record. When there are too many, the oldest gives way: without
// waiting fragments that costs nothing, and with them they are lost.
func (f *fragments) add(n *NAT, k wire.Key4, now int64) *datagram {
	if f.tail-f.head >= uint32(n.cfg.Limits.FragmentDatagrams) {
		f.drop(n, vfp.DropNatFragmentOverflow)
	}
	if int(f.tail-f.head) == len(f.ring) {
		f.growSlow()
	}
	number := f.tail
	f.tail++
	if number == 0 { // 0 means none in the index
		return f.add(n, k, now)
	}
	f.index.put(k, number)
	g := f.at(number)
	*g = datagram{key: k, deadline: now + int64(n.cfg.Limits.FragmentHold)}
	return g
}

//go:noinline
func (f *fragments) growSlow() {
	ring := make([]datagram, max(minSlots, 2*len(f.ring)))
	for i := f.head; i != f.tail; i++ {
		ring[i&uint32(len(ring)-1)] = *f.at(i)
	}
	f.ring = ring
}

// expire ends the records whose time has come.
func (f *fragments) expire(n *NAT, now int64) {
	for f.head != f.tail && f.at(f.head).deadline <= now {
		f.drop(n, vfp.DropNatFragmentTimeout)
	}
}

// drop ends the oldest record; fragments that wait in it are lost for reason
// why. A record that a later datagram has replaced is only in the ring.
func (f *fragments) drop(n *NAT, why vfp.Drop) {
	g := f.at(f.head)
	if f.index.get(g.key) == f.head {
		f.index.del(g.key)
	}
	f.held -= len(g.waiting)
	for _, p := range g.waiting {
		p.DropWith(why)
		n.counters.Drops[why]++
	}
	// What nobody fetches is bounded like the queue itself.
	if len(f.expired)+len(g.waiting) <= n.cfg.Limits.FragmentsHeld {
		f.expired = append(f.expired, g.waiting...)
	}
	*g = datagram{}
	f.head++
}

// takeExpired hands over the fragments that have waited in vain.
func (f *fragments) takeExpired(n *NAT, now int64) []*vfp.Packet {
	f.expire(n, now)
	out := f.expired
	f.expired = nil
	return out
}

// nextDeadline is when the oldest record ends.
func (f *fragments) nextDeadline() (int64, bool) {
	if f.head == f.tail {
		return 0, false
	}
	return f.at(f.head).deadline, true
}
