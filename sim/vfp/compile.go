package vfp

import (
	"fmt"
	"slices"
)

// MaxStatefulLayers bounds the layers of a program that have stateful rules.
const MaxStatefulLayers = 16

// compiled is a Program made ready for walking. It belongs to the port once
// adopted; the Program that it was made from is never written to.
type compiled struct {
	source *Program // nil: no policy
	gen    uint64
	layers []*layer
}

type layer struct {
	*Layer
	id       uint32       // of the layer's flows, given at adoption
	groups   [2][]*group  // by direction
	stateful bool         // a rule makes flows
	metered  bool         // a rule meters
	state    *layerState  // outlives the program
	count    LayerCounter // packets that walked
}

// layerState is what a port keeps for a layer name over programs.
type layerState struct {
	id   uint32
	live int // flows
	// settled is what the flows of metering rules had counted when they ended.
	settled map[string]Metered
}

type group struct {
	*Group
	rules []*Rule
	asks  []conditions // of the rules
	hits  []uint64     // per rule: packets for which it acted
	index *classifier
}

// LayerCounter counts packets that walked through a layer. Cached packets do
// not walk; their flows have counters of their own.
type LayerCounter struct {
	Packets   uint64
	FlowHits  uint64 // packets that a layer flow decided
	FlowsMade uint64
}

// compile prepares a program; it may run beside the packet path. Rules,
// groups and layers are put in order here too, so that an unsorted program
// means what its priorities say.
func compile(p *Program, gen uint64) *compiled {
	c := &compiled{source: p, gen: gen}
	if p == nil {
		return c
	}
	stateful := 0
	for i := range p.Layers {
		l := compileLayer(&p.Layers[i])
		if l.stateful {
			stateful++
		}
		c.layers = append(c.layers, l)
	}
	if stateful > MaxStatefulLayers {
		panic(fmt.Sprintf("vfp: program with %d stateful layers, at most %d are supported", stateful, MaxStatefulLayers))
	}
	slices.SortStableFunc(c.layers, func(a, b *layer) int { return int(a.Priority) - int(b.Priority) })
	for i, l := range c.layers {
		for _, o := range c.layers[:i] {
			if o.Name == l.Name {
				panic("vfp: two layers named " + l.Name + " in a program")
			}
		}
	}
	return c
}

// readyGroup is what walking a group needs and no packet changes, so that many
// ports may share it.
type readyGroup struct {
	rules    []*Rule // by priority
	asks     []conditions
	index    *classifier
	stateful bool // a rule makes flows
	metered  bool // a rule meters
}

func (g *Group) makeReady() *readyGroup {
	y := &readyGroup{}
	for j := range g.Rules {
		r := &g.Rules[j]
		y.rules = append(y.rules, r)
		y.stateful, y.metered = y.stateful || r.makesFlows(), y.metered || r.metering()
	}
	slices.SortStableFunc(y.rules, func(a, b *Rule) int { return int(a.Priority) - int(b.Priority) })
	for _, r := range y.rules {
		y.asks = append(y.asks, r.Match.asks())
	}
	y.index = newClassifier(y.rules)
	return y
}

// Prepare makes layers ready that go into the programs of several ports, once
// for all of them: it is most of the work of setting a program with many rules.
// The layers must not change any more.
func Prepare(layers []Layer) {
	for _, l := range layers {
		for i := range l.Groups {
			l.Groups[i].ready = l.Groups[i].makeReady()
		}
	}
}

func compileLayer(src *Layer) *layer {
	l := &layer{Layer: src}
	for i := range src.Groups {
		y := src.Groups[i].ready
		if y == nil {
			y = src.Groups[i].makeReady()
		}
		g := &group{Group: &src.Groups[i], rules: y.rules, asks: y.asks, index: y.index, hits: make([]uint64, len(y.rules))}
		l.stateful, l.metered = l.stateful || y.stateful, l.metered || y.metered
		l.groups[g.Dir] = append(l.groups[g.Dir], g)
	}
	for _, gs := range l.groups {
		slices.SortStableFunc(gs, func(a, b *group) int { return int(a.Priority) - int(b.Priority) })
	}
	return l
}

// makesFlows: translation without state could not be undone, and flows are what
// meters count with.
func (r *Rule) makesFlows() bool {
	if r.Stateful {
		return true
	}
	switch r.Action.(type) {
	case DynNAT, Meter:
		return true
	}
	return false
}

func (r *Rule) metering() bool {
	_, is := r.Action.(Meter)
	return is
}

// find returns the index of the rule that acts on w, or -1.
func (g *group) find(w *Walk) int {
	if g.index != nil {
		return g.index.first(w, g.rules, g.asks)
	}
	for i, asks := range g.asks {
		if asks == 0 || g.rules[i].Match.unmet(w, asks) == FieldNone {
			return i
		}
	}
	return -1
}

// ruleIDs is the set of the layer's rules, with the targets of those that
// choose.
func (l *layer) ruleIDs() map[string]bool {
	ids := map[string]bool{}
	for _, gs := range l.groups {
		for _, g := range gs {
			for _, r := range g.rules {
				ids[r.ID] = true
				for _, t := range r.Targets {
					ids[t] = true
				}
			}
		}
	}
	return ids
}

// keepsRulesOf reports whether every rule that made flows of the layer in the
// program before is here too, so that no flow needs looking at. Flows of that
// program are of its own rules only if they were tied to them then, too.
func (l *layer) keepsRulesOf(before *compiled) bool {
	for _, o := range before.layers {
		if o.Name != l.Name {
			continue
		}
		if o.Reconcile != KeepWhileRule {
			return false
		}
		ids := l.ruleIDs()
		for _, gs := range o.groups {
			for _, g := range gs {
				for _, r := range g.rules {
					if r.makesFlows() && !ids[r.ID] {
						return false
					}
					for _, t := range r.Targets {
						if !ids[t] {
							return false
						}
					}
				}
			}
		}
		return true
	}
	return false
}

// carryHits takes over the counters of rules that exist in both versions.
func (l *layer) carryHits(from *layer) {
	l.count = from.count
	for dir, gs := range l.groups {
		for _, g := range gs {
			for _, o := range from.groups[dir] {
				if o.Name == g.Name {
					g.carryHits(o)
					break
				}
			}
		}
	}
}

func (g *group) carryHits(from *group) {
	hits := make(map[string]uint64, len(from.rules))
	for i, r := range from.rules {
		hits[r.ID] += from.hits[i]
	}
	for i, r := range g.rules {
		g.hits[i] = hits[r.ID]
		delete(hits, r.ID) // rules that share an ID share one counter: the first has it
	}
}
