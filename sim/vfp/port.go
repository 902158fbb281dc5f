package vfp

import (
	"sync/atomic"

	"github.com/hnsim/hnsim/sim/wire"
)

// Default limits of a port.
const (
	DefaultLayerFlows = 1 << 20
	DefaultFragments  = 1024
	DefaultCache      = 1 << 20
)

// PortLimits bounds what a port remembers. Zero values mean the defaults.
type PortLimits struct {
	// Store holds the layer flows. All ports of a switch should share one:
	// walks over ports of different stores are never cached. nil makes one.
	Store *FlowStore

	LayerFlows int // layer flow pairs
	Cache      int // unified flows, for each IP version
	Fragments  int // datagrams whose first fragment is remembered

	// DropWhenFull drops packets whose layer flow has no room (UftFull);
	// otherwise they pass without state (rule VFP-10).
	DropWhenFull bool
}

// PortCounters counts what happened at a port. The walk counts its own drops;
// the rest is the switch's to count, as cached packets never get here.
type PortCounters struct {
	Packets, Bytes [2]uint64 // by direction
	Drops          DropCounters
	FlowsFull      uint64 // packets that found no room for their layer flow
}

// Port is the runtime of one switch port: its compiled program, its layer
// flows, its unified flow cache. See the package comment for how a switch
// drives it and for concurrency.
type Port struct {
	ID       PortID
	Cache    *Cache
	Counters PortCounters

	limits  PortLimits
	store   *FlowStore
	next    atomic.Pointer[compiled] // what SetProgram left
	cur     *compiled                // what the packet path uses
	states  map[string]*layerState   // by layer name; read at adoption only
	flows   int                      // live layer flows
	frags   fragTable
	scratch Walk // for re-evaluation
}

// NewPort makes a port without policy: it lets everything pass.
func NewPort(id PortID, limits PortLimits) *Port {
	if limits.Store == nil {
		limits.Store = NewFlowStore()
	}
	if limits.LayerFlows <= 0 {
		limits.LayerFlows = DefaultLayerFlows
	}
	if limits.Cache <= 0 {
		limits.Cache = DefaultCache
	}
	if limits.Fragments <= 0 {
		limits.Fragments = DefaultFragments
	}
	p := &Port{ID: id, limits: limits, store: limits.Store, states: map[string]*layerState{}}
	p.Cache = NewCache(p.store, limits.Cache)
	p.frags.init(limits.Fragments)
	p.cur = compile(nil, 0)
	p.next.Store(p.cur)
	return p
}

// SetProgram replaces the policy as a whole and bumps the generation (rule
// VFP-08). The program must not change afterwards; nil means no policy. What
// becomes of the layer flows is for Layer.Reconcile to say; flows of a layer
// whose name the new program does not have end. It panics on a program that
// breaks the package's limits. It may be called beside the packet path, from
// one goroutine at a time.
func (p *Port) SetProgram(prog *Program) {
	p.next.Store(compile(prog, p.next.Load().gen+1))
}

// Program is the policy that was last set.
func (p *Port) Program() *Program { return p.next.Load().source }

// Generation changes with every SetProgram.
func (p *Port) Generation() uint64 { return p.next.Load().gen }

// Flows is the number of live layer flow pairs.
func (p *Port) Flows() int { return p.flows }

// Store is where the port's layer flows are.
func (p *Port) Store() *FlowStore { return p.store }

// CountDrop counts a packet that was dropped at the port.
func (p *Port) CountDrop(d Drop) { p.Counters.Drops[d]++ }

// Count counts a packet that passed in a direction.
func (p *Port) Count(dir Dir, bytes int) {
	p.Counters.Packets[dir]++
	p.Counters.Bytes[dir] += uint64(bytes)
}

// CountBurst counts several packets that passed in a direction.
func (p *Port) CountBurst(dir Dir, packets, bytes uint64) {
	p.Counters.Packets[dir] += packets
	p.Counters.Bytes[dir] += bytes
}

// Age does a little housekeeping: it adopts a new program and looks at up to
// budget flows of the store and of the cache. No decision depends on it.
func (p *Port) Age(now int64, budget int) {
	p.adopt()
	p.store.Age(now, budget)
	p.Cache.Age(now, budget)
}

// Close ends all layer flows, which gives their NAT ports back.
func (p *Port) Close() {
	p.Cache.close()
	p.store.killWhere(p, func(*flowCold) bool { return true })
	p.SetProgram(nil)
	p.adopt()
}

func (p *Port) flowGone(c *flowCold, h *flowHot) {
	p.flows--
	for _, l := range p.cur.layers {
		if l.id == c.fwd.layer {
			l.state.live--
			if l.metered {
				l.state.settle(c.rule, h.packets)
			}
			return
		}
	}
}

// adopt takes over the program that SetProgram left: between packets, so that
// the flows that have to end do so where nobody is looking at them.
func (p *Port) adopt() {
	next := p.next.Load()
	if next == p.cur {
		return
	}
	gone := map[uint32]bool{} // flows of layers that are not there any more
	for _, o := range p.cur.layers {
		gone[o.id] = true
	}
	rules := map[uint32]map[string]bool{} // of layers whose flows live as long as their rule does
	for _, l := range next.layers {
		st := p.states[l.Name]
		if st == nil {
			p.store.nextLayer++
			st = &layerState{id: p.store.nextLayer}
			p.states[l.Name] = st
		}
		l.id, l.state = st.id, st
		delete(gone, l.id)
		if l.Reconcile == KeepWhileRule && st.live > 0 && !l.keepsRulesOf(p.cur) {
			rules[l.id] = l.ruleIDs()
		}
	}
	if len(gone)+len(rules) > 0 && p.flows > 0 {
		p.store.killWhere(p, func(c *flowCold) bool {
			ids := rules[c.fwd.layer]
			return gone[c.fwd.layer] || ids != nil && !ids[c.rule]
		})
	}
	for _, l := range next.layers {
		for _, o := range p.cur.layers {
			if o.Name == l.Name {
				l.carryHits(o)
			}
		}
	}
	p.cur = next
}

// Walk takes a packet through the port's layers: ascending priority OUT,
// descending IN (rule VFP-02), so that either direction sees the same
// addresses at the same layer. On Stop, w.Drop or w.Replies say why; then the
// walk leaves no new layer flow at this port (rule ACL-10).
func (p *Port) Walk(w *Walk, dir Dir) Outcome {
	p.adopt()
	w.Port, w.Dir = p.ID, dir
	c := p.cur
	if len(c.layers) == 0 {
		return Continue
	}
	w.enter(p)
	for i := range c.layers {
		l := c.layers[i]
		if dir == In {
			l = c.layers[len(c.layers)-1-i]
		}
		l.count.Packets++
		if p.walkLayer(w, l) == Stop {
			p.abandon(w)
			if w.Drop != DropNone {
				p.Counters.Drops[w.Drop]++
			}
			return Stop
		}
	}
	p.commit(w)
	return Continue
}

func (p *Port) walkLayer(w *Walk, l *layer) Outcome {
	w.lookInside()
	if (l.stateful || l.state.live > 0) && w.H.Src.IsValid() {
		if p.flowDecides(w, l) {
			l.count.FlowHits++
			return Continue
		}
	}
	w.flows.nat, w.Target, w.Turn = natHold{}, "", false
	if !l.stateful {
		_, out := p.evaluate(w, l)
		if out == Stop {
			p.stopped(w, l)
		}
		return out
	}
	before, target, extra := w.H, steering{w.Fwd, w.Zone}, w.effects()
	var encap Encap
	if extra.encap != NoEncap {
		encap = w.Encap
	}
	maker, out := p.evaluate(w, l)
	if out == Continue && maker != nil && w.H.Src.IsValid() {
		if w.effects() == extra && (extra.encap == NoEncap || w.Encap == encap) {
			out = p.prepare(w, l, maker, &before, target)
		} else {
			// A flow carries a header change and a target, nothing else. So a
			// stateful rule in a layer that also encapsulates, say, is
			// evaluated for every packet; a port from a pool has no owner then.
			w.NoCache = true
			if w.flows.nat.pool != nil {
				out, w.Drop = Stop, DropNatPoolExhausted
			}
		}
	}
	if out == Stop {
		p.stopped(w, l)
	}
	return out
}

// stopped sees to a walk that ended in a layer.
func (p *Port) stopped(w *Walk, l *layer) {
	if w.flows.nat.pool != nil {
		w.NoCache = true // see abandon
		w.flows.nat.release()
	}
	if w.Trace != nil && w.Drop != DropNone {
		w.Trace.add(w, Record{Kind: TraceDrop, Layer: l.Name, Drop: w.Drop})
	}
}

// evaluate lets the groups of the direction act, at most one rule of each
// (rule VFP-03), and returns the rule that makes the packet a flow, if any.
func (p *Port) evaluate(w *Walk, l *layer) (maker *Rule, out Outcome) {
	for _, g := range l.groups[w.Dir] {
		if g.Family != AnyFamily && g.Family != w.H.family() {
			continue
		}
		i := g.find(w)
		if w.Trace != nil {
			w.Trace.rules(w, l, g, i)
		}
		if i < 0 {
			continue
		}
		r := g.rules[i]
		if !w.flows.dry {
			g.hits[i]++
		}
		if r.Action.Apply(w) == Stop {
			return nil, Stop
		}
		if r.makesFlows() {
			maker = r
		}
		if r.Terminating {
			break
		}
	}
	return maker, Continue
}

// effects are the results of actions that a layer flow cannot carry.
type effects struct {
	decap    bool
	encap    EncapKind // which headers is for whoever changes them to compare
	ttl      uint8
	newFrame bool
	replies  int
}

func (w *Walk) effects() effects {
	return effects{w.Decap, w.Encap.Kind, w.DecTTL, w.NewFrame != nil, len(w.Replies)}
}

// tcpFlags are those that the tracker goes by.
func (w *Walk) tcpFlags() uint8 {
	if m := w.meta(); m != nil && w.H.Proto == wire.ProtoTCP {
		return m.TCPFlags
	}
	return 0
}
