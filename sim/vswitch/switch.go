package vswitch

import (
	"github.com/hnsim/hnsim/sim/vfp"
)

// Switch is one virtual switch. See the package comment for who may call it
// when.
type Switch struct {
	snap *snapshot
	next NextHop
	macs macTable
	gone Counters // of ports that no longer exist
	gen  uint64   // counts Apply

	store   *vfp.FlowStore // layer flows of all ports
	vxlan   []uint16       // UDP ports, empty for the default
	noCache bool
	// dropFull is Config.DropWhenFull; a port keeps what it was made with.
	dropFull bool

	// Scratch of the packet path. Frames and walks live here and not on the
	// stack, so that nothing is allocated for them.
	walk   vfp.Walk
	copied vfp.Walk
	frame  vfp.Packet // copies for flooding
	answer vfp.Packet // replies
	mirror vfp.Packet // copies for monitors
	keys   [vfp.BatchSize]vfp.Key
	// epoch changes with everything that may change what the next hop says.
	epoch uint64
}

// New makes a switch without ports: a private switch that drops everything.
func New() *Switch {
	s := &Switch{store: vfp.NewFlowStore()}
	s.snap = &snapshot{kind: Private}
	return s
}

// SetNextHop gives the switch the resolver for encapsulated and routed frames.
// Without one such frames are dropped with NoRoute.
func (s *Switch) SetNextHop(n NextHop) { s.next = n }

// SetFlowCache turns the unified flow cache on or off; it is on at first.
// Nothing but the speed and the cache's own counters may depend on it (rule
// VFP-12).
func (s *Switch) SetFlowCache(on bool) {
	s.noCache = !on
	s.gen++
}

// SetVXLANPorts says which UDP ports carry VXLAN on this switch, for the flow
// cache to tell inner flows apart; the default is 4789. It must name every port
// that a layer decapsulates (network policy VxlanPort).
func (s *Switch) SetVXLANPorts(ports ...uint16) {
	s.vxlan = ports
	for _, q := range s.snap.ports {
		q.run.vfp.Cache.SetVXLANPorts(ports...)
	}
	s.gen++ // entries made with other keys must not be found
}

// Apply replaces the configuration as a whole. It fails without a change if
// cfg is invalid. Ports whose ID persists keep their flows, counters and
// learned addresses; the state of others ends. cfg and what it refers to must
// not change afterwards.
func (s *Switch) Apply(cfg *Config) error {
	snap, d, err := s.snap.next(cfg)
	if err != nil {
		return err
	}
	if snap == s.snap && cfg.Adopt == nil {
		return nil // what packets meet is as it was, and so are cached flows
	}
	if cfg.Adopt != nil {
		cfg.Adopt()
	}
	s.dropFull = cfg.DropWhenFull
	for _, q := range d.come {
		s.adopt(q)
	}
	for _, q := range d.gone {
		s.gone.add(&q.run.n)
		q.run.vfp.Close()
	}
	s.snap = snap
	s.gen++
	s.macs.retain(func(zone uint32, id vfp.PortID) bool {
		q := snap.port(id)
		return q != nil && q.cfg.MACSpoofing && q.cfg.Zone == zone
	})
	return nil
}

// adopt gives q its runtime state: that of the port with the same ID, or a new
// one.
func (s *Switch) adopt(q *port) {
	before := s.snap.port(q.cfg.ID)
	if before == nil {
		q.run = &portState{vfp: vfp.NewPort(q.cfg.ID, vfp.PortLimits{Store: s.store, DropWhenFull: s.dropFull})}
		if len(s.vxlan) > 0 {
			q.run.vfp.Cache.SetVXLANPorts(s.vxlan...)
		}
		q.run.vfp.SetProgram(q.program())
		q.run.vfp.Cache.SetOffload(q.cfg.Offload)
		return
	}
	q.run = before.run
	q.run.vfp.Cache.SetOffload(q.cfg.Offload)
	if !sameExt(q, before) {
		q.run.aclGen++
	}
	if q.cfg.StormLimit != before.cfg.StormLimit {
		q.run.storm = storm{}
	}
	// A program that stays keeps its generation, and with it the flows need
	// no second look.
	if q.program() != before.program() {
		q.run.vfp.SetProgram(q.program())
	}
}

// VFP is the port's VFP runtime, for dumps of layers, rules and flows; nil if
// there is no such port. Programs are set through Apply alone: the cache would
// not notice a change that passes it by.
func (s *Switch) VFP(id vfp.PortID) *vfp.Port {
	if q := s.snap.port(id); q != nil {
		return q.run.vfp
	}
	return nil
}

// Age does housekeeping in steps of at most budget flows per port: it frees
// what has run out. No decision depends on it.
func (s *Switch) Age(now int64, budget int) {
	for _, q := range s.snap.ports {
		q.run.vfp.Age(now, budget)
	}
}
