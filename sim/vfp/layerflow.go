package vfp

import (
	"github.com/hnsim/hnsim/sim/wire"
)

// MaxRefs bounds the layer flows and watch counters that one cached packet
// depends on. A walk that needs more is never cached. The number makes a cached
// IPv4 flow five cache lines, of which quick packets need two.
const MaxRefs = 14

// flowRef is a layer flow and the side that a packet is on.
type flowRef struct {
	id   uint32 // flow id << 1 | side
	slot uint32 // the slot's gen when the reference was made
}

// engineRefs is what the engine notes on a walk.
type engineRefs struct {
	store *FlowStore
	port  *Port
	first *Port // the port that was walked first
	again bool  // and is now walked in the other direction

	refs   [MaxRefs]flowRef // layer flows that decided
	watch  [MaxRefs]uint32  // hashes of tuples that stateful layers had no flow for
	nRefs  uint8
	nWatch uint8
	// watchers counts the layers that looked in vain, for each hash.
	watchers [MaxRefs]uint8
	tooMany  bool // references do not fit, or belong to several stores

	made   [MaxStatefulLayers]uint32 // flows made at the current port, not published yet
	madeAt [MaxStatefulLayers]*layer // and by which layers
	nMade  uint8

	// What flowDecides found out about the packet at the current layer, for
	// prepare: its key, the key's tag and pairHash.
	key  flowKey
	tag  uint32
	pair uint32

	// simple: a whole packet and no ICMP error, of which every port thinks alike.
	simple    bool
	known     bool // the tuple in H is complete
	noPorts   bool // it is not because this is a later fragment of something unknown
	icmpError bool
	hasQuoted bool
	// lookedAtQuote: hasQuoted and quoted have been filled in.
	lookedAtQuote bool
	dry           bool // re-evaluation: change nothing but the walk
	nat           natHold
	held          natHold // what the flow under re-evaluation holds

	inner    wire.Meta // of the inner frame, once w.Decap is set
	innerAt  int       // its offset in the frame
	hasInner bool
	quoted   wire.Quoted // the packet that an ICMP error quotes, as the next layer sees it
}

// reset forgets everything that is valid by itself. The rest is valid as far as
// counts and flags say.
func (f *engineRefs) reset() {
	f.store, f.port, f.first, f.again = nil, nil, nil, false
	f.nRefs, f.nWatch, f.nMade, f.tooMany = 0, 0, 0, false
	f.simple, f.known, f.noPorts, f.icmpError, f.hasQuoted, f.lookedAtQuote, f.dry = false, false, false, false, false, false, false
	f.innerAt, f.hasInner = 0, false
	f.nat, f.held = natHold{}, natHold{}
}

// meta describes the frame that H speaks of.
func (w *Walk) meta() *wire.Meta {
	if w.flows.hasInner {
		return &w.flows.inner
	}
	return w.Meta
}

// enter prepares the walk of one port's layers.
func (w *Walk) enter(p *Port) {
	f := &w.flows
	if f.store != nil && f.store != p.store {
		f.tooMany = true
	}
	f.again = f.first == p
	if f.first == nil {
		f.first = p
	}
	f.store, f.port, f.nMade = p.store, p, 0
	w.lookInside()
	w.inspect()
}

// lookInside finds the inner frame after a layer has decided to decapsulate.
func (w *Walk) lookInside() {
	f := &w.flows
	if !w.Decap || f.hasInner || w.Meta == nil {
		return
	}
	at, end, ok := innerFrame(w.Frame, w.Meta)
	if !ok {
		return
	}
	f.hasInner, f.innerAt, f.lookedAtQuote, f.simple = true, at, false, false
	wire.Parse(w.Frame[at:end], &f.inner)
	w.inspect()
}

// innerFrame is where the frame inside VXLAN or NVGRE lies.
func innerFrame(frame []byte, m *wire.Meta) (from, to int, ok bool) {
	t, ok := wire.ParseVXLAN(frame, m)
	if !ok {
		t, ok = wire.ParseNVGRE(frame, m)
	}
	return t.Inner, t.End, ok
}

// frame is the bytes that meta describes.
func (w *Walk) frame() []byte { return w.Frame[w.flows.innerAt:] }

// inspect decides how far flows can be told by the packet's header, and
// completes the header of fragments.
func (w *Walk) inspect() {
	f := &w.flows
	if f.simple {
		return
	}
	m := w.meta()
	f.known, f.noPorts, f.icmpError = true, false, false
	if m == nil || !m.IsIP() {
		return
	}
	later := m.Fragment && !m.FirstFragment
	switch m.Proto {
	case wire.ProtoTCP, wire.ProtoUDP, wire.ProtoICMP, wire.ProtoICMPv6:
		f.known = m.HasL4
	}
	switch {
	case later && !f.known:
		// A port in front of this one may have found the ports already.
		f.known = w.H.SrcPort|w.H.DstPort != 0 || f.port.frags.recall(w)
		f.noPorts = !f.known
	case m.FirstFragment:
		f.port.frags.learn(w)
	}
	f.icmpError = m.IsICMPError()
	f.simple = !m.Fragment && !f.icmpError
	if f.icmpError && !f.lookedAtQuote {
		// Once only: from then on layers change the quote, in NewFrame.
		f.lookedAtQuote = true
		f.quoted, f.hasQuoted = wire.ParseQuoted(w.frame(), m)
	}
}

func (f *engineRefs) addRef(id uint32, side uint8, gen uint32) {
	if int(f.nRefs+f.nWatch) == MaxRefs {
		f.tooMany = true
		return
	}
	f.refs[f.nRefs] = flowRef{id<<1 | uint32(side), gen}
	f.nRefs++
}

func (f *engineRefs) addWatch(hash uint32) {
	for i, h := range f.watch[:f.nWatch] {
		if h == hash {
			f.watchers[i]++
			return
		}
	}
	if int(f.nRefs+f.nWatch) == MaxRefs {
		f.tooMany = true
		return
	}
	f.watch[f.nWatch], f.watchers[f.nWatch] = hash, 1
	f.nWatch++
}

// found is told that the layer which looked for a flow with the hash in vain has
// one now: it is that flow's end that would change the walk, not another one.
func (f *engineRefs) found(hash uint32) {
	for i, h := range f.watch[:f.nWatch] {
		if h != hash {
			continue
		}
		if f.watchers[i]--; f.watchers[i] == 0 {
			f.nWatch--
			f.watch[i], f.watchers[i] = f.watch[f.nWatch], f.watchers[f.nWatch]
		}
		return
	}
}

// natPort takes a port for the flow that the current layer is about to make.
func (f *engineRefs) natPort(pool *NATPool, now int64) (uint16, bool) {
	if f.dry {
		return f.held.port, f.held.pool == pool
	}
	hold, ok := pool.take(f.store, now)
	if ok {
		f.nat.release()
		f.nat = hold
	}
	return hold.port, ok
}

// flowDecides looks for the layer flow of a packet and applies it. Otherwise
// the layer's rules decide.
func (p *Port) flowDecides(w *Walk, l *layer) bool {
	f := &w.flows
	if f.icmpError {
		return p.related(w, l)
	}
	if !f.known {
		return false
	}
	key := &f.key
	key.set(&w.H)
	key.layer, key.dir = l.id, w.Dir
	f.tag = key.tag()
	flags := w.tcpFlags()
	id, side := p.lookup(w, l, key, f.tag, flags)
	if id == noID {
		if l.stateful {
			f.pair = key.pairHash()
			f.addWatch(f.pair)
		}
		return false
	}
	h := p.store.hot(id)
	h.touch(w.Now, side, flags)
	f.addRef(id, side, h.gen)
	before := w.H
	p.store.cold(id).replay(w, side)
	if w.Trace != nil {
		w.Trace.flow(w, l, p.store.cold(id), TraceFlowHit, &before)
	}
	return true
}

// lookup finds a live flow; one that has run out, has been superseded by a new
// connection or is not wanted by the current program ends here.
func (p *Port) lookup(w *Walk, l *layer, key *flowKey, tag uint32, flags uint8) (id uint32, side uint8) {
	id, side = p.store.find(key, tag)
	if id == noID {
		return noID, 0
	}
	h := p.store.hot(id)
	if h.superseded(flags) || p.store.expired(id, w.Now) || !p.reconciled(w, l, id, side) {
		p.store.kill(id)
		return noID, 0
	}
	return id, side
}

// replay applies a flow's header change to a packet of one side.
func (c *flowCold) replay(w *Walk, side uint8) {
	if side == forward {
		t := c.rev.reversed()
		t.load(&w.H)
	} else {
		t := c.fwd.reversed()
		t.load(&w.H)
	}
	c.replayRest(w, side)
}

// replayRest applies what is not in the tuple.
func (c *flowCold) replayRest(w *Walk, side uint8) {
	if side == forward {
		if c.ethSrc != c.newEthSrc {
			w.H.EthSrc = c.newEthSrc
		}
		if c.ethDst != c.newEthDst {
			w.H.EthDst = c.newEthDst
		}
		if c.steered {
			w.Fwd, w.Zone = c.target.fwd, c.target.zone
		}
		return
	}
	if c.ethSrc != c.newEthSrc {
		w.H.EthDst = c.ethSrc
	}
	if c.ethDst != c.newEthDst {
		w.H.EthSrc = c.ethDst
	}
}

// reconciled reports whether a flow survives the programs that were set since
// it was last looked at (Layer.Reconcile; rules VFP-08, ACL-11, LB-06).
func (p *Port) reconciled(w *Walk, l *layer, id uint32, side uint8) bool {
	c := p.store.cold(id)
	if c.program == p.cur.gen {
		return true
	}
	// KeepWhileRule has been seen to at adoption.
	if l.Reconcile == Reevaluate && !p.stillMade(w, l, id, side) {
		return false
	}
	c.program = p.cur.gen
	return true
}

// stillMade evaluates the layer for the flow's first packet again. What a rule
// may look at besides the header is there only if w goes that way too.
func (p *Port) stillMade(w *Walk, l *layer, id uint32, side uint8) bool {
	h, c, t := p.store.hot(id), p.store.cold(id), &p.scratch
	*t = Walk{Now: w.Now, ID: w.ID, InPort: c.inPort, Port: p.ID, Dir: c.fwd.dir, Zone: c.zone, VNI: c.vni}
	if side == forward {
		t.Frame, t.Meta = w.Frame, w.Meta
	}
	c.in.load(&t.In)
	t.In.EthSrc, t.In.EthDst, t.In.EtherType = c.inEthSrc, c.inEthDst, c.etherType
	c.fwd.load(&t.H)
	t.H.EthSrc, t.H.EthDst, t.H.EtherType = c.ethSrc, c.ethDst, c.etherType
	t.flows = engineRefs{store: p.store, port: p, known: true, dry: true, held: c.nat}
	extra := t.effects()
	maker, out := p.evaluate(t, l)
	rev := tupleOf(&t.H)
	if out == Stop || maker == nil || t.effects() != extra || rev.reversed() != c.rev.tuple || t.Turn != (c.rev.dir == c.fwd.dir) ||
		t.H.EthSrc != c.newEthSrc || t.H.EthDst != c.newEthDst {
		return false
	}
	if c.rule = maker.ID; t.Target != "" {
		c.rule = t.Target
	}
	h.ruleIdle = maker.idle()
	if c.nat.pool != nil {
		c.nat.pool.barren = 0 // the lifetime may be shorter now
	}
	return true
}

func (r *Rule) idle() int64 {
	if r.Idle > 0 {
		return r.Idle
	}
	return DefaultIdle
}

// prepare makes the flow pair of a packet that a stateful rule let on. It is
// published when the packet has passed the whole port (commit).
func (p *Port) prepare(w *Walk, l *layer, maker *Rule, before *Header, was steering) Outcome {
	f := &w.flows
	if f.icmpError || !f.known {
		w.NoCache = true
		return Continue
	}
	fwd, flags, translated := &f.key, w.tcpFlags(), !w.H.sameFlow(before)
	rev := flowKey{layer: l.id, dir: w.Dir.Reverse()}
	if w.Turn {
		rev.dir = w.Dir
	}
	revPair := f.pair
	if translated {
		after := tupleOf(&w.H)
		rev.turn(&after)
		revPair = rev.pairHash()
	} else {
		rev.turn(&fwd.tuple)
	}
	revTag := rev.tag()
	if other, _ := p.lookup(w, l, &rev, revTag, flags); other != noID {
		// Another flow's packets look like this one's replies.
		w.NoCache = true
		if !translated && f.nat.pool == nil {
			return Continue
		}
		w.Drop = DropNatPoolExhausted
		return Stop
	}
	if p.flows+int(f.nMade) >= p.limits.LayerFlows {
		p.store.Age(w.Now, 64)
	}
	if p.flows+int(f.nMade) >= p.limits.LayerFlows {
		w.NoCache = true
		p.Counters.FlowsFull++
		if p.limits.DropWhenFull || f.nat.pool != nil {
			w.Drop = DropUftFull
			return Stop
		}
		return Continue
	}
	p.store.tidy(w.Now)
	id := p.store.alloc()
	h, c := p.store.hot(id), p.store.cold(id)
	c.fwd, c.rev, c.tags, c.pairs = *fwd, rev, [2]uint32{f.tag, revTag}, [2]uint32{f.pair, revPair}
	c.remember(w, before, was)
	c.port, c.program, c.rule = p, p.cur.gen, maker.ID
	if w.Target != "" {
		c.rule = w.Target
	}
	h.ruleIdle, h.tcp = maker.idle(), before.Proto == wire.ProtoTCP && !maker.OneWay
	h.start(w.Now, flags)
	if f.nat.pool != nil {
		c.nat = f.nat
		f.nat.bind(id, h)
		f.nat = natHold{}
	}
	f.made[f.nMade], f.madeAt[f.nMade] = id, l
	f.nMade++
	if w.Trace != nil {
		w.Trace.flow(w, l, c, TraceFlowNew, before)
	}
	return Continue
}

// remember notes what the layer did to the flow's first packet, besides its
// keys, and the packet as it entered the switch.
func (c *flowCold) remember(w *Walk, before *Header, was steering) {
	c.ethSrc, c.ethDst, c.newEthSrc, c.newEthDst = before.EthSrc, before.EthDst, w.H.EthSrc, w.H.EthDst
	c.etherType = before.EtherType
	if w.In.sameFlow(before) {
		c.in = c.fwd.tuple
	} else {
		c.in.set(&w.In)
	}
	c.inEthSrc, c.inEthDst = w.In.EthSrc, w.In.EthDst
	c.inPort, c.zone, c.vni = w.InPort, was.zone, w.VNI
	c.target = steering{w.Fwd, w.Zone}
	c.steered = c.target != was
}

// commit publishes the flows that the packet made at this port.
func (p *Port) commit(w *Walk) {
	f := &w.flows
	for i, id := range f.made[:f.nMade] {
		p.store.publish(id)
		p.flows++
		l := f.madeAt[i]
		l.state.live++
		l.count.FlowsMade++
		f.addRef(id, forward, p.store.hot(id).gen)
		f.found(p.store.cold(id).pairs[forward])
		// Hairpin: the first direction might have met this flow, had it been
		// there. The next packet will, and may be cached.
		w.NoCache = w.NoCache || f.again
	}
	f.nMade = 0
}

// abandon forgets them: the port has dropped the packet. The next one makes
// and loses them again, and a pool may notice, so that is not to be skipped.
func (p *Port) abandon(w *Walk) {
	f := &w.flows
	w.NoCache = w.NoCache || f.nMade > 0
	for _, id := range f.made[:f.nMade] {
		p.store.discard(id)
	}
	f.nMade = 0
}
