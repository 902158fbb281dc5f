package hns

import (
	"cmp"
	"net/netip"
	"reflect"
	"slices"

	"github.com/hnsim/hnsim/sim/fabric"
	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/l2bridge"
	"github.com/hnsim/hnsim/sim/overlay"
	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/vswitch"
)

// Most changes of a host are those of its pods: an endpoint is made, joins a
// namespace, gets another policy, goes. The program of such a state is the last
// one with the ports and interfaces of those endpoints exchanged. All others keep
// theirs, as the same pointers: their flows live on, and a host with a thousand
// pods costs what changes. What pods share, the address spaces of overlays and
// bridges, is changed in place at the moment in which the program takes effect
// (vswitch.Config.Adopt).
//
// Everything else makes the whole program anew. What is ordinary is said by
// plain and by made.same: a new kind of policy that lets one endpoint's program
// depend on another endpoint belongs there.
// TestStepsMakeTheProgramThatStartingOverMakes compares the two.

// made is a program with what it was made of.
type made struct {
	state      *State
	prog       *fabric.HostProgram
	externals  []*external
	parts      []part                   // of the program's interfaces
	byEndpoint map[uint32]*madeEndpoint // of external switches, by number
}

// madeEndpoint is what became of an endpoint.
type madeEndpoint struct {
	member  *overlay.Member
	bridged *l2bridge.Endpoint
	port    *vswitch.PortConfig // nil: remote
	nic     *fabric.InterfaceProgram
}

// part is the interfaces of one switch, which is either external or not.
type part struct {
	external *external
	internal []*fabric.InterfaceProgram
}

func (m *made) endpoint(num uint32) *madeEndpoint {
	e := m.byEndpoint[num]
	if e == nil {
		e = &madeEndpoint{}
		m.byEndpoint[num] = e
	}
	return e
}

// same reports whether a state differs from the program's in endpoints and
// namespaces only.
func (m *made) same(s *State) bool {
	return slices.EqualFunc(m.state.Networks, s.Networks, func(a, b *Network) bool { return a.Doc == b.Doc }) &&
		slices.Equal(m.state.LoadBalancers, s.LoadBalancers) && slices.Equal(m.state.Routes, s.Routes)
}

// changes are the endpoints that are gone or have changed, and those that are new
// or have changed, by ascending number.
func (m *made) changes(s *State) (gone, come []*Endpoint) {
	a, b := m.state.Endpoints, s.Endpoints
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0] == b[0]:
			a, b = a[1:], b[1:]
		case a[0].Num <= b[0].Num:
			gone, a = append(gone, a[0]), a[1:]
		default:
			come, b = append(come, b[0]), b[1:]
		}
	}
	return append(gone, a...), append(come, b...)
}

// external is the switch of an adapter, nil if there is none.
func (m *made) external(adapter string) *external {
	for _, x := range m.externals {
		if x.a.Name == adapter {
			return x
		}
	}
	return nil
}

// plain reports whether nothing but its own port and interface, and the spaces of
// its network, depends on an endpoint.
func (c *Compiler) plain(m *made, n *Network, e *Endpoint) bool {
	switch {
	case n == nil || m.external(n.Uplink) == nil || onHost(e):
		return false
	case n.Type == hcn.Transparent && c.Profile.Knobs.TransparentCrossRoute == "host":
		return false // the host forwards as soon as one is routed (rule TR-05)
	case len(hcn.FindPolicies(e.Doc.Policies, hcn.PolicyL4WFPProxy)) > 0, len(hcn.FindPolicies(e.Doc.Policies, hcn.PolicyPortMapping)) > 0:
		return false // the host has a part in it (rules PX-02, L2B-30)
	}
	return !slices.ContainsFunc(m.state.LoadBalancers, func(l *LoadBalancer) bool {
		return slices.Contains(l.Endpoints, e.Num) || slices.Contains(l.Draining, e.Num)
	})
}

// step makes the program of s out of the last one. A nil program without error
// means that the whole is to be made anew.
func (c *Compiler) step(s *State) (*fabric.HostProgram, error) {
	m := c.last
	if m == nil || !m.same(s) {
		return nil, nil
	}
	gone, come := m.changes(s)
	nets := map[uint32]*Network{}
	network := func(e *Endpoint) *Network {
		if nets[e.Network] == nil {
			nets[e.Network] = s.NetworkByNum(e.Network)
		}
		return nets[e.Network]
	}
	for _, e := range slices.Concat(gone, come) {
		if !c.plain(m, network(e), e) {
			return nil, nil
		}
	}
	hadPools := c.pools.mayTake() != nil
	var commit func()
	var err error
	c.quiet(func() { commit, err = c.pools.reconcileOnly(network, gone, come) })
	if err != nil {
		return nil, err
	}
	if (c.pools.mayTake() != nil) != hadPools {
		c.quiet(c.pools.rollback) // layers say whether there are any (rule VFP-12)
		return nil, nil
	}
	c.shapers.begin()
	p := *m.prog
	p.Switches, p.Compartments = slices.Clone(p.Switches), compartments(s)
	t := &step{state: s, network: network, gone: gone, come: come, next: map[uint32]*madeEndpoint{}}
	externals := make([]external, len(m.externals))
	for i, x := range m.externals {
		externals[i] = *x
		if ok, err := externals[i].step(m, t); !ok || err != nil {
			c.quiet(c.pools.rollback)
			return nil, err
		}
	}
	c.quiet(commit)
	c.shapers.commitOnly(numbers(gone, come))
	for i, x := range m.externals {
		*x = externals[i]
	}
	m.settle(t, &p)
	return &p, nil
}

// step is one change in the making.
type step struct {
	state      *State
	network    func(*Endpoint) *Network
	gone, come []*Endpoint
	next       map[uint32]*madeEndpoint // of come
}

// settle makes p, and what has changed, the last program.
func (m *made) settle(t *step, p *fabric.HostProgram) {
	for _, e := range t.gone {
		delete(m.byEndpoint, e.Num)
	}
	for num, em := range t.next {
		m.byEndpoint[num] = em
	}
	for i := range p.Switches {
		cfg := &p.Switches[i].Config
		cfg.Adopt = nil // of an earlier change
		for _, x := range m.externals {
			if x.name == cfg.Name {
				*cfg = x.cfg
			}
		}
	}
	if len(t.gone)+len(t.come) > 0 {
		p.Interfaces = m.interfaces()
	}
	m.state, m.prog = t.state, p
}

// interfaces are those of the program, switch by switch.
func (m *made) interfaces() []*fabric.InterfaceProgram {
	var out []*fabric.InterfaceProgram
	for _, part := range m.parts {
		if part.external != nil {
			out = part.external.interfaces(out)
		}
		out = append(out, part.internal...)
	}
	return out
}

// step exchanges what a change exchanges on the switch. It reports false when it
// is no matter of exchanging.
func (x *external) step(m *made, t *step) (bool, error) {
	x.s, x.cfg.Adopt = t.state, nil
	if len(t.gone)+len(t.come) == 0 {
		return true, nil
	}
	here := func(e *Endpoint) bool { return t.network(e).Uplink == x.a.Name }
	spaces := &exchange{members: map[*overlay.Network]*membership{}, mayTake: x.c.pools.mayTake()}
	shared, nics, bridged := slices.Clone(x.cfg.Shared), slices.Clone(x.nics), slices.Clone(x.bridged)
	for _, e := range t.gone {
		if here(e) {
			shared, nics, bridged = m.endpoint(e.Num).takenFrom(rank(e), shared, nics, bridged)
		}
	}
	for _, e := range t.come {
		if !here(e) {
			continue
		}
		em, err := x.make(t.network(e), e, m.byEndpoint[e.Num])
		if err != nil {
			return false, err
		}
		t.next[e.Num] = em
		shared, nics, bridged = em.addedTo(rank(e), shared, nics, bridged)
	}
	if (len(bridged) == 0) != (len(x.bridged) == 0) {
		return false, nil
	}
	for _, e := range slices.Concat(t.gone, t.come) {
		if here(e) {
			spaces.note(x.nets[e.Network].overlay, m.byEndpoint[e.Num], t.next[e.Num])
		}
	}
	if spaces.rewrites() {
		shared[0] = x.wirePort(bridged)
	}
	x.cfg.Shared, x.nics, x.bridged = shared, nics, bridged
	overlays, bridge := x.overlays, x.bridge
	x.cfg.Adopt = func() { spaces.adopt(overlays, bridge) }
	return true, nil
}

// make is what becomes of an endpoint. What is as before stays the same pointer.
func (x *external) make(n *Network, e *Endpoint, old *madeEndpoint) (*madeEndpoint, error) {
	em := &madeEndpoint{}
	if n.Type == hcn.Overlay {
		em.member = x.member(n, e)
	}
	if !e.Remote {
		em.bridged = x.bridgedEndpoint(n, e)
		if err := x.build(n, e, em); err != nil {
			return nil, err
		}
	}
	if old == nil {
		return em, nil
	}
	if reflect.DeepEqual(em.member, old.member) {
		em.member = old.member
	}
	if reflect.DeepEqual(em.bridged, old.bridged) {
		em.bridged = old.bridged
	}
	return em, nil
}

// takenFrom and addedTo keep the lists of a switch in order.
func (em *madeEndpoint) takenFrom(rank uint64, ports []*vswitch.PortConfig, nics []rankedNIC, bridged []*l2bridge.Endpoint) ([]*vswitch.PortConfig, []rankedNIC, []*l2bridge.Endpoint) {
	if em.port != nil {
		i, _ := placeOfPort(ports, em.port.ID)
		ports = slices.Delete(ports, i, i+1)
	}
	if em.nic != nil {
		i, _ := placeOfNIC(nics, rank)
		nics = slices.Delete(nics, i, i+1)
	}
	if em.bridged != nil {
		i, _ := placeOfBridged(bridged, rank)
		bridged = slices.Delete(bridged, i, i+1)
	}
	return ports, nics, bridged
}

func (em *madeEndpoint) addedTo(rank uint64, ports []*vswitch.PortConfig, nics []rankedNIC, bridged []*l2bridge.Endpoint) ([]*vswitch.PortConfig, []rankedNIC, []*l2bridge.Endpoint) {
	if em.port != nil {
		i, _ := placeOfPort(ports, em.port.ID)
		ports = slices.Insert(ports, i, em.port)
	}
	if em.nic != nil {
		i, _ := placeOfNIC(nics, rank)
		nics = slices.Insert(nics, i, rankedNIC{rank, em.nic})
	}
	if em.bridged != nil {
		i, _ := placeOfBridged(bridged, rank)
		bridged = slices.Insert(bridged, i, em.bridged)
	}
	return ports, nics, bridged
}

func placeOfPort(list []*vswitch.PortConfig, id vfp.PortID) (int, bool) {
	return slices.BinarySearchFunc(list, id, func(p *vswitch.PortConfig, id vfp.PortID) int { return cmp.Compare(p.ID, id) })
}

func placeOfNIC(list []rankedNIC, rank uint64) (int, bool) {
	return slices.BinarySearchFunc(list, rank, func(r rankedNIC, rank uint64) int { return cmp.Compare(r.rank, rank) })
}

func placeOfBridged(list []*l2bridge.Endpoint, rank uint64) (int, bool) {
	return slices.BinarySearchFunc(list, rank, func(e *l2bridge.Endpoint, rank uint64) int { return cmp.Compare(e.Rank, rank) })
}

// exchange is what changes in the spaces that ports share.
type exchange struct {
	members                  map[*overlay.Network]*membership
	bridgedGone, bridgedCome []*l2bridge.Endpoint
	mayTake                  func(netip.Addr, uint16) bool
}

type membership struct{ gone, come []*overlay.Member }

// note adds the difference between two versions of an endpoint; nil is none.
func (s *exchange) note(net *overlay.Network, old, now *madeEndpoint) {
	if old == nil {
		old = &madeEndpoint{}
	}
	if now == nil {
		now = &madeEndpoint{}
	}
	if old.member != now.member {
		c := s.members[net]
		if c == nil {
			c = &membership{}
			s.members[net] = c
		}
		c.gone, c.come = noted(c.gone, old.member), noted(c.come, now.member)
	}
	if old.bridged != now.bridged {
		s.bridgedGone, s.bridgedCome = noted(s.bridgedGone, old.bridged), noted(s.bridgedCome, now.bridged)
	}
}

// noted adds what is there, once.
func noted[T any](list []*T, v *T) []*T {
	if v == nil || slices.Contains(list, v) {
		return list
	}
	return append(list, v)
}

// rewrites reports whether the rules of the external port name an endpoint of the
// exchange.
func (s *exchange) rewrites() bool {
	return slices.ContainsFunc(slices.Concat(s.bridgedGone, s.bridgedCome), func(e *l2bridge.Endpoint) bool { return e.Bridge })
}

// adopt changes the spaces.
func (s *exchange) adopt(overlays []*overlay.Network, bridge *l2bridge.Bridge) {
	for _, n := range overlays {
		if c := s.members[n]; c != nil {
			n.Change(c.gone, c.come)
		}
		n.SetPoolMayTake(s.mayTake)
	}
	bridge.Change(s.bridgedGone, s.bridgedCome)
	bridge.SetPoolMayTake(s.mayTake)
}

func numbers(lists ...[]*Endpoint) []uint32 {
	var out []uint32
	for _, l := range lists {
		for _, e := range l {
			out = append(out, e.Num)
		}
	}
	return out
}
