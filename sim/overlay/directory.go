package overlay

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// Member is an endpoint of the network, of this host or of another. Of two with
// the same address the one with the higher number counts, as a space that is
// programmed again has what came last.
type Member struct {
	Num     uint32 // unique
	Local   *Local // nil: of another host
	Remotes []RemoteEndpoint
	// HostPrefixes are SDNRoute NeedEncap prefixes that lead to the host (rule
	// OV-23).
	HostPrefixes []netip.Prefix
}

// directory is who is where: spaces that the layers of all ports look into.
type directory struct {
	ipv6    bool
	members []*Member // ascending number
	local   map[ca]*Local
	macs    map[macKey]*Local
	ports   map[vfp.PortID]*Local
	remote  map[ca]*RemoteEndpoint

	hostPrefixes []netip.Prefix // each once
	hostward     map[netip.Prefix]int
}

type ca struct {
	vni  uint32
	addr netip.Addr
}

type macKey struct {
	vni uint32
	mac wire.MAC
}

func newDirectory(ipv6 bool) directory {
	return directory{ipv6: ipv6, local: map[ca]*Local{}, macs: map[macKey]*Local{}, ports: map[vfp.PortID]*Local{},
		remote: map[ca]*RemoteEndpoint{}, hostward: map[netip.Prefix]int{}}
}

// Change takes members out of the network and puts others in. The result is that
// of New with the members that there are then. It costs what changes, unless
// members share an address. Call it while no packet is on its way.
func (n *Network) Change(gone, come []*Member) {
	for _, m := range gone {
		n.leave(m)
	}
	for _, m := range come {
		n.enter(m)
	}
}

// SetPoolMayTake replaces Config.PoolMayTake, under the same conditions.
func (n *Network) SetPoolMayTake(f func(addr netip.Addr, port uint16) bool) { n.cfg.PoolMayTake = f }

func (d *directory) place(m *Member) (int, bool) {
	return slices.BinarySearchFunc(d.members, m.Num, func(o *Member, num uint32) int { return cmp.Compare(o.Num, num) })
}

// enter adds a member whose number is new.
func (d *directory) enter(m *Member) {
	at, _ := d.place(m)
	d.members = slices.Insert(d.members, at, m)
	later := d.members[at+1:]
	if l := m.Local; l != nil {
		d.ports[l.Port] = l
		setUnless(d.macs, macKey{l.VNI, l.MAC}, l, later, (*Member).macOf)
	}
	d.eachLocal(m, func(k ca) { setUnless(d.local, k, m.Local, later, d.localAt) })
	for i := range m.Remotes {
		r := &m.Remotes[i]
		setUnless(d.remote, ca{r.VNI, r.Addr}, r, later, (*Member).remoteAt)
	}
	for _, p := range m.HostPrefixes {
		if d.hostward[p]++; d.hostward[p] == 1 {
			d.hostPrefixes = append(d.hostPrefixes, p)
		}
	}
}

// leave removes a member.
func (d *directory) leave(m *Member) {
	at, ok := d.place(m)
	if !ok || d.members[at] != m {
		panic("overlay: removing a member that the network does not have")
	}
	d.members = slices.Delete(d.members, at, at+1)
	if l := m.Local; l != nil {
		delete(d.ports, l.Port)
		restore(d.macs, macKey{l.VNI, l.MAC}, l, d.members, (*Member).macOf)
	}
	d.eachLocal(m, func(k ca) { restore(d.local, k, m.Local, d.members, d.localAt) })
	for i := range m.Remotes {
		r := &m.Remotes[i]
		restore(d.remote, ca{r.VNI, r.Addr}, r, d.members, (*Member).remoteAt)
	}
	for _, p := range m.HostPrefixes {
		if d.hostward[p]--; d.hostward[p] == 0 {
			delete(d.hostward, p)
			d.hostPrefixes = slices.DeleteFunc(d.hostPrefixes, func(o netip.Prefix) bool { return o == p })
		}
	}
}

// eachLocal calls f for the customer addresses of a local member that count.
func (d *directory) eachLocal(m *Member, f func(ca)) {
	if m.Local == nil {
		return
	}
	for _, a := range m.Local.Addrs {
		if a.Is4() || d.ipv6 {
			f(ca{m.Local.VNI, a})
		}
	}
}

// localAt, macOf and remoteAt are what a member has under a key, nil if nothing.
func (d *directory) localAt(m *Member, k ca) (l *Local) {
	d.eachLocal(m, func(own ca) {
		if own == k {
			l = m.Local
		}
	})
	return l
}

func (m *Member) macOf(k macKey) *Local {
	if m.Local != nil && k == (macKey{m.Local.VNI, m.Local.MAC}) {
		return m.Local
	}
	return nil
}

func (m *Member) remoteAt(k ca) *RemoteEndpoint {
	for i := range slices.Backward(m.Remotes) {
		if k == (ca{m.Remotes[i].VNI, m.Remotes[i].Addr}) {
			return &m.Remotes[i]
		}
	}
	return nil
}

// setUnless enters v under k, unless a later member has that key.
func setUnless[K comparable, V any](space map[K]*V, k K, v *V, later []*Member, has func(*Member, K) *V) {
	if space[k] != nil && slices.ContainsFunc(later, func(m *Member) bool { return has(m, k) != nil }) {
		return
	}
	space[k] = v
}

// restore takes v away from k, for the last of the members that also has that
// key.
func restore[K comparable, V any](space map[K]*V, k K, v *V, members []*Member, has func(*Member, K) *V) {
	if space[k] != v {
		return
	}
	delete(space, k)
	for _, m := range slices.Backward(members) {
		if o := has(m, k); o != nil {
			space[k] = o
			return
		}
	}
}

// routes are the prefixes of other hosts' pods (rule OV-08).
type routes struct {
	subnets []RemoteSubnet // longest prefix first, then as configured
	byKey   map[routeKey]*RemoteSubnet
	lengths []int // of prefixes, each once, descending
}

type routeKey struct {
	vni    uint32
	prefix netip.Prefix
}

func newRoutes(list []RemoteSubnet) routes {
	r := routes{subnets: slices.Clone(list), byKey: make(map[routeKey]*RemoteSubnet, len(list))}
	slices.SortStableFunc(r.subnets, func(a, b RemoteSubnet) int { return cmp.Compare(b.Prefix.Bits(), a.Prefix.Bits()) })
	for i := range r.subnets {
		s := &r.subnets[i]
		if k := (routeKey{s.VNI, s.Prefix.Masked()}); r.byKey[k] == nil {
			r.byKey[k] = s
		}
		if bits := s.Prefix.Bits(); len(r.lengths) == 0 || r.lengths[len(r.lengths)-1] != bits {
			r.lengths = append(r.lengths, bits)
		}
	}
	return r
}

// routeTo is the longest prefix of the VNI that holds addr, nil if none does.
func (r *routes) routeTo(vni uint32, addr netip.Addr) *RemoteSubnet {
	for _, bits := range r.lengths {
		if p, err := addr.Prefix(bits); err == nil {
			if s := r.byKey[routeKey{vni, p}]; s != nil {
				return s
			}
		}
	}
	return nil
}
