package vswitch

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// DefaultMTU is the IP MTU of a vNIC and of a switch that names none (VS-40).
const DefaultMTU = 1500

// snapshot is a compiled Config: immutable, replaced as a whole by Apply.
type snapshot struct {
	cfg   *Config // that it was made of
	name  string
	kind  Kind
	vfp   bool // forwarding extension enabled
	flood bool // unknown unicast goes everywhere

	ports       []*port              // ascending ID
	dense       []*port              // by ID, for small IDs
	sparse      map[vfp.PortID]*port // the rest
	external    *port                // nil on internal and private switches
	hosts       []*port              // host ports, ascending ID
	spoofing    []*port              // ports that unknown unicast floods to, ascending ID
	spoofZones  []uint32             // their zones, ascending, each once
	static      map[wire.MAC][]*port // assigned addresses (rule VS-10), ascending ID
	secondaries map[uint16]secondary
	mirrors     []*port // monitor destinations, ascending ID
}

// port is the compiled form of one PortConfig. run survives Apply, the rest
// does not.
type port struct {
	cfg PortConfig
	run *portState

	anyZone  bool // serves all zones
	mtu      int  // largest IP packet that leaves here
	allowed  vlanSet
	basic    [2][]PortACL // by direction
	ext      [2][]ExtACL
	hasACL   bool
	stateful bool
	vfpOff   bool
	noPolicy bool // no VFP layers to walk

	plain    bool // see plainSource
	untagged tag  // of a frame without tag, if the port is plain
}

// portState is the runtime state of a port.
type portState struct {
	vfp   *vfp.Port
	n     Counters
	storm storm
	acl   aclFlows
	// aclGen counts changes of the extended ACLs, so that their flows are
	// judged again.
	aclGen uint32
}

// compile builds the snapshot of c, which has been validated. The ports have
// no runtime state yet.
func compile(c *Config) (*snapshot, error) {
	s := &snapshot{
		cfg:    c,
		name:   c.Name,
		kind:   c.Kind,
		vfp:    c.VFP,
		flood:  c.FloodUnknown,
		sparse: make(map[vfp.PortID]*port),
		static: make(map[wire.MAC][]*port, len(c.Ports)+len(c.Shared)),
	}
	all := slices.SortedFunc(c.All(), func(a, b *PortConfig) int { return cmp.Compare(a.ID, b.ID) })
	for _, pc := range all {
		q := compilePort(c, pc)
		s.insert(q)
		if err := s.addPrivate(&q.cfg.VLAN); err != nil {
			return nil, portError(c, &q.cfg, err)
		}
	}
	for _, q := range s.ports {
		s.plainSource(q)
	}
	s.zones()
	return s, nil
}

// maxDense bounds the table that finds ports without hashing.
const maxDense = 1 << 14

// number enters q into the tables that find ports by ID.
func (s *snapshot) number(q *port) {
	if q.cfg.ID >= maxDense {
		s.sparse[q.cfg.ID] = q
		return
	}
	for len(s.dense) <= int(q.cfg.ID) {
		s.dense = append(s.dense, nil)
	}
	s.dense[q.cfg.ID] = q
}

// port finds a port by ID, nil if there is none.
func (s *snapshot) port(id vfp.PortID) *port {
	if int(id) < len(s.dense) {
		return s.dense[id]
	}
	return s.sparse[id]
}

func compilePort(c *Config, pc *PortConfig) *port {
	q := &port{cfg: *pc, mtu: pc.MTU}
	if q.mtu == 0 {
		q.mtu = c.MTU
	}
	if q.mtu == 0 {
		q.mtu = DefaultMTU
	}
	q.anyZone = pc.Zone == 0 && pc.Kind != EndpointPort
	for _, id := range pc.VLAN.Allowed {
		q.allowed.add(id)
	}
	for _, dir := range [2]vfp.Dir{vfp.Out, vfp.In} {
		q.basic[dir] = compileBasic(pc.ACLs, dir)
		q.ext[dir] = compileExt(pc.ExtACLs, dir)
		for i := range q.ext[dir] {
			q.stateful = q.stateful || q.ext[dir][i].Stateful
		}
	}
	q.hasACL = len(pc.ACLs)+len(pc.ExtACLs) > 0
	q.vfpOff = !c.VFP
	q.noPolicy = q.program() == nil || len(pc.Program.Layers) == 0
	return q
}

// addPrivate notes what a secondary VLAN belongs to; it cannot belong to two
// primaries, nor be isolated and a community.
func (s *snapshot) addPrivate(v *VLANConfig) error {
	if v.Mode != VLANPrivate || v.Private == Promiscuous {
		return nil
	}
	sec := secondary{v.Primary, v.Private}
	if other, known := s.secondaries[v.Secondary]; known && other != sec {
		return fmt.Errorf("%w: secondary VLAN %d has two meanings", ErrVLAN, v.Secondary)
	}
	if s.secondaries == nil {
		s.secondaries = make(map[uint16]secondary)
	}
	s.secondaries[v.Secondary] = sec
	return nil
}

// program is the VFP policy of the port, nil if VFP is off (rule VS-05).
func (q *port) program() *vfp.Program {
	if q.vfpOff {
		return nil
	}
	return q.cfg.Program
}

// sameExt reports whether two versions of a port have the same extended ACLs.
func sameExt(a, b *port) bool { return reflect.DeepEqual(a.ext, b.ext) }
