package vswitch

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/hnsim/hnsim/sim/vfp"
)

// A control plane changes little at a time. The snapshot after a change of
// Config.Shared is the one before with the ports replaced that are other
// pointers, so that a change costs what it changes. It is the same snapshot that
// compile makes, which TestChangesOneByOneMakeTheSameSwitch sees to.

// delta is what became of the ports: those that are new or changed, without
// runtime state, and those that are no more.
type delta struct{ come, gone []*port }

// next is the snapshot of c, which comes after s: s itself if the ports are the
// same ones.
func (s *snapshot) next(c *Config) (*snapshot, delta, error) {
	if n, d, err := s.step(c); n != nil || err != nil {
		return n, d, err
	}
	if err := validate(c); err != nil {
		return nil, delta{}, err
	}
	n, err := compile(c)
	if err != nil {
		return nil, delta{}, err
	}
	d := delta{come: n.ports}
	for _, q := range s.ports {
		if n.port(q.cfg.ID) == nil {
			d.gone = append(d.gone, q)
		}
	}
	return n, d, nil
}

// step makes the snapshot of c out of s, if they differ in few ports. A nil
// snapshot without error means that everything is to be looked at.
func (s *snapshot) step(c *Config) (*snapshot, delta, error) {
	var d delta
	if s.cfg == nil || !sameSwitch(s.cfg, c) {
		return nil, d, nil
	}
	out, in := differences(s.cfg.Shared, c.Shared)
	if len(out)+len(in) == 0 {
		return s, d, nil
	}
	if len(out)+len(in) > len(s.ports)/4+8 || !ordinary(out) || !ordinary(in) || len(c.Shared) > MaxPorts {
		return nil, d, nil
	}
	n := s.copyFor(c)
	for _, pc := range out {
		q := n.port(pc.ID)
		n.remove(q)
		d.gone = append(d.gone, q)
	}
	for _, pc := range in {
		if pc.ID == 0 || pc.ID > maxPortID || n.port(pc.ID) != nil {
			return nil, d, portError(c, pc, ErrPortID)
		}
		if err := validatePort(c, pc); err != nil {
			return nil, d, portError(c, pc, err)
		}
		if pc.Kind == ExternalPort && n.external != nil {
			return nil, d, portError(c, pc, fmt.Errorf("%w: a second external port", ErrPortKind))
		}
		q := compilePort(c, pc)
		n.insert(q)
		n.plainSource(q)
		d.come = append(d.come, q)
	}
	if c.Kind == External && n.external == nil {
		return nil, d, fmt.Errorf("vswitch %q: %w: an external switch has one external port, not 0", c.Name, ErrPortKind)
	}
	n.zones()
	d.gone = slices.DeleteFunc(d.gone, func(q *port) bool { return n.port(q.cfg.ID) != nil })
	return n, d, nil
}

// sameSwitch reports whether two configurations differ in shared ports at most.
func sameSwitch(a, b *Config) bool {
	return a.Name == b.Name && a.Kind == b.Kind && a.VFP == b.VFP && a.FloodUnknown == b.FloodUnknown &&
		a.DropWhenFull == b.DropWhenFull && a.MTU == b.MTU && len(a.Ports)+len(b.Ports) == 0
}

// differences are the ports of a that b does not have, and the other way round,
// by pointer. Both ascend by ID.
func differences(a, b []*PortConfig) (onlyA, onlyB []*PortConfig) {
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0] == b[0]:
			a, b = a[1:], b[1:]
		case a[0].ID <= b[0].ID:
			onlyA, a = append(onlyA, a[0]), a[1:]
		default:
			onlyB, b = append(onlyB, b[0]), b[1:]
		}
	}
	return append(onlyA, a...), append(onlyB, b...)
}

// ordinary reports whether ports say nothing about others of the switch, as
// private VLANs do, and ascend.
func ordinary(ports []*PortConfig) bool {
	return !slices.ContainsFunc(ports, func(p *PortConfig) bool { return p.VLAN.Mode == VLANPrivate }) &&
		slices.IsSortedFunc(ports, func(a, b *PortConfig) int { return cmp.Compare(a.ID, b.ID) })
}

// copyFor is a copy of s for c, whose lists can be written to.
func (s *snapshot) copyFor(c *Config) *snapshot {
	n := *s
	n.cfg = c
	n.ports, n.dense = slices.Clone(s.ports), slices.Clone(s.dense)
	n.sparse, n.static = maps.Clone(s.sparse), maps.Clone(s.static)
	n.hosts, n.spoofing, n.mirrors = slices.Clone(s.hosts), slices.Clone(s.spoofing), slices.Clone(s.mirrors)
	return &n
}

// insert adds a port to all lists.
func (s *snapshot) insert(q *port) {
	s.ports = placed(s.ports, q)
	s.number(q)
	c := &q.cfg
	switch c.Kind {
	case ExternalPort:
		s.external = q
	case HostPort:
		s.hosts = placed(s.hosts, q)
	}
	if c.Kind != ExternalPort {
		s.static[c.MAC] = placed(slices.Clone(s.static[c.MAC]), q)
		if c.MACSpoofing {
			s.spoofing = placed(s.spoofing, q)
		}
	}
	if c.Mirror == MirrorDestination {
		s.mirrors = placed(s.mirrors, q)
	}
}

// remove takes a port out of all lists.
func (s *snapshot) remove(q *port) {
	s.ports = lacking(s.ports, q)
	if id := q.cfg.ID; int(id) < len(s.dense) {
		s.dense[id] = nil
	} else {
		delete(s.sparse, id)
	}
	if s.external == q {
		s.external = nil
	}
	s.hosts, s.mirrors = lacking(s.hosts, q), lacking(s.mirrors, q)
	if q.cfg.Kind == ExternalPort {
		return
	}
	if left := lacking(slices.Clone(s.static[q.cfg.MAC]), q); len(left) > 0 {
		s.static[q.cfg.MAC] = left
	} else {
		delete(s.static, q.cfg.MAC)
	}
	s.spoofing = lacking(s.spoofing, q)
}

// zones lists the zones that unknown unicast is flooded in.
func (s *snapshot) zones() {
	s.spoofZones = nil
	for _, q := range s.spoofing {
		s.spoofZones = append(s.spoofZones, q.cfg.Zone)
	}
	slices.Sort(s.spoofZones)
	s.spoofZones = slices.Compact(s.spoofZones)
}

// placed inserts q where its ID belongs.
func placed(list []*port, q *port) []*port {
	i, _ := place(list, q.cfg.ID)
	return slices.Insert(list, i, q)
}

func lacking(list []*port, q *port) []*port {
	if i, ok := place(list, q.cfg.ID); ok && list[i] == q {
		return slices.Delete(list, i, i+1)
	}
	return list
}

func place(list []*port, id vfp.PortID) (int, bool) {
	return slices.BinarySearchFunc(list, id, func(q *port, id vfp.PortID) int { return cmp.Compare(q.cfg.ID, id) })
}
