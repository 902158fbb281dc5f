package ipstack

import (
	"fmt"
	"net/netip"
	"sort"
	"time"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// Neighbour resolution for both IP versions: ARP (RFC 826) and neighbour
// discovery (RFC 4861) differ in their messages only.
const (
	resolveTries = 3
	resolveWait  = time.Second
	maxHeld      = 16   // packets that wait for one neighbour
	maxNeighbors = 8192 // entries of a stack
)

type neighKey struct {
	iface *Interface
	addr  netip.Addr
}

// neighbor is a cache entry. Without mac it is being resolved.
type neighbor struct {
	key    neighKey
	mac    wire.MAC
	static bool
	held   []held
	tries  int
	timer  Timer
	probes []*Probe
}

// held is a frame, complete but for its Ethernet addresses, that waits.
type held struct {
	frame []byte
	id    uint64
	send  func(now int64, frame []byte, id uint64)
}

// Neighbor is one line of the neighbour cache.
type Neighbor struct {
	Iface  string
	Addr   netip.Addr
	MAC    wire.MAC // zero: being resolved
	Static bool
}

// SetNeighbor makes a static entry, which no message changes.
func (s *Stack) SetNeighbor(now int64, iface string, addr netip.Addr, mac wire.MAC) error {
	i := s.Interface(iface)
	if i == nil {
		return fmt.Errorf("stack %s has no interface %q", s.cfg.Name, iface)
	}
	n := s.neighbor(i, addr.WithZone(""), true)
	if n == nil {
		return fmt.Errorf("stack %s: neighbour cache is full", s.cfg.Name)
	}
	s.resolved(now, n, mac)
	n.static = true
	return nil
}

// DeleteNeighbor removes an entry, static or not; packets that wait for it are
// dropped.
func (s *Stack) DeleteNeighbor(now int64, iface string, addr netip.Addr) {
	if n := s.neigh[neighKey{s.Interface(iface), addr.WithZone("")}]; n != nil {
		s.unresolved(now, n)
	}
}

// Neighbors is the cache, ordered by interface and address.
func (s *Stack) Neighbors() []Neighbor {
	out := make([]Neighbor, 0, len(s.neigh))
	for k, n := range s.neigh {
		out = append(out, Neighbor{k.iface.cfg.Name, k.addr, n.mac, n.static})
	}
	sort.Slice(out, func(i, j int) bool {
		if out[i].Iface != out[j].Iface {
			return out[i].Iface < out[j].Iface
		}
		return out[i].Addr.Less(out[j].Addr)
	})
	return out
}

// Resolve says with which Ethernet addresses a packet for dst leaves, by route
// and neighbour cache. When the neighbour is not known yet it reports false and
// asks for it on behalf of frames given to Hold.
func (s *Stack) Resolve(now int64, dst netip.Addr) (srcMAC, dstMAC wire.MAC, ok bool) {
	out, next, _, ok := s.RouteTo(dst)
	if !ok || out.lo {
		return srcMAC, dstMAC, false
	}
	if m, known := out.groupMAC(next); known {
		return out.cfg.MAC, m, true
	}
	n := s.neighbor(out, next, true)
	if n == nil {
		return srcMAC, dstMAC, false
	}
	if n.mac.IsZero() {
		s.ask(now, n)
		return srcMAC, dstMAC, false
	}
	return out.cfg.MAC, n.mac, true
}

// Hold keeps a frame for dst, complete but for the Ethernet addresses, and
// sends it through the interface towards dst when the next hop answers. Frames
// beyond the bound, or for destinations without route, are dropped.
func (s *Stack) Hold(now int64, dst netip.Addr, frame []byte) {
	s.HoldFor(now, dst, frame, s.newID(), nil)
}

// HoldFor is Hold with the frame's identity and another way out: send, when
// not nil, is called in place of the interface's Transmit.
func (s *Stack) HoldFor(now int64, dst netip.Addr, frame []byte, id uint64, send func(now int64, frame []byte, id uint64)) {
	if len(frame) < wire.EthernetLen {
		s.dropFrame(now, "neighbor", vfp.DropMalformed, frame, id)
		return
	}
	out, next, _, ok := s.RouteTo(dst)
	if !ok || out.lo {
		s.dropFrame(now, "neighbor", vfp.DropNoRoute, frame, id)
		return
	}
	if send == nil {
		send = out.transmit
	}
	s.sendTo(now, out, next, frame, held{id: id, send: send})
}

// sendTo fills in the Ethernet addresses for next and sends the frame, now or
// when next is known; then it keeps a copy. h says how.
func (s *Stack) sendTo(now int64, out *Interface, next netip.Addr, frame []byte, h held) {
	e := wire.Ethernet(frame)
	if m, known := out.groupMAC(next); known {
		e.SetSrc(out.cfg.MAC)
		e.SetDst(m)
		h.send(now, frame, h.id)
		return
	}
	n := s.neighbor(out, next, true)
	switch {
	case n == nil:
		s.dropFrame(now, "neighbor", vfp.DropQueueFull, frame, h.id)
	case !n.mac.IsZero():
		e.SetSrc(out.cfg.MAC)
		e.SetDst(n.mac)
		h.send(now, frame, h.id)
	case len(n.held) >= maxHeld:
		s.dropFrame(now, "neighbor", vfp.DropQueueFull, frame, h.id)
	default:
		h.frame = append([]byte(nil), frame...)
		n.held = append(n.held, h)
		s.ask(now, n)
	}
}

// groupMAC is the Ethernet address of broadcasts and multicasts, which nobody
// needs to be asked for.
func (i *Interface) groupMAC(a netip.Addr) (wire.MAC, bool) {
	switch {
	case i.isBroadcast(a):
		return wire.Broadcast, true
	case a.Is4() && a.IsMulticast():
		return wire.MulticastMAC4(wire.Addr4(a)), true
	case a.Is6() && a.IsMulticast():
		return wire.MulticastMAC6(wire.Addr16(a)), true
	}
	return wire.MAC{}, false
}

// Probe is a question for a neighbour's address that somebody waits for.
type Probe struct {
	Done bool
	MAC  wire.MAC // zero: nobody answered
}

// Probe asks for the neighbour's address whatever the cache holds: a learned
// entry is forgotten first. An empty iface is the one with a connected prefix
// for addr.
func (s *Stack) Probe(now int64, iface string, addr netip.Addr) (*Probe, error) {
	i := s.onLink(addr)
	if iface != "" {
		i = s.Interface(iface)
	}
	if i == nil {
		return nil, fmt.Errorf("stack %s: %s is on no connected network", s.cfg.Name, addr)
	}
	n := s.neighbor(i, addr.WithZone(""), true)
	if n == nil {
		return nil, fmt.Errorf("stack %s: neighbour cache is full", s.cfg.Name)
	}
	if n.static {
		return &Probe{true, n.mac}, nil
	}
	p := new(Probe)
	n.mac = wire.MAC{}
	s.changed()
	n.probes = append(n.probes, p)
	s.ask(now, n)
	return p, nil
}

// neighbor finds or makes an entry; nil when the cache is full.
func (s *Stack) neighbor(i *Interface, a netip.Addr, create bool) *neighbor {
	k := neighKey{i, a}
	n := s.neigh[k]
	if n == nil && create && len(s.neigh) < maxNeighbors {
		n = &neighbor{key: k}
		s.neigh[k] = n
	}
	return n
}

// ask sends the first request for an entry that is not being asked for yet.
func (s *Stack) ask(now int64, n *neighbor) {
	if n.timer == nil {
		n.tries = 0
		s.askAgain(now, n)
	}
}

func (s *Stack) askAgain(now int64, n *neighbor) {
	n.tries++
	// The timer comes first: a link without delay may bring the answer before
	// the request's call returns.
	n.timer = s.cfg.Timers.After(resolveWait, func(now int64) {
		if n.tries < resolveTries {
			s.askAgain(now, n)
			return
		}
		s.unresolved(now, n)
	})
	if n.key.addr.Is4() {
		s.sendARPRequest(now, n.key.iface, n.key.iface.addrFor(n.key.addr), n.key.addr)
	} else {
		s.sendNS(now, n.key.iface, n.key.addr)
	}
}

// resolved enters the address and sends what waited for it.
func (s *Stack) resolved(now int64, n *neighbor, mac wire.MAC) {
	n.mac = mac
	s.changed()
	if n.timer != nil {
		n.timer.Stop()
		n.timer = nil
	}
	for _, p := range n.probes {
		p.Done, p.MAC = true, mac
	}
	held := n.held
	n.probes, n.held = nil, nil
	for _, h := range held {
		e := wire.Ethernet(h.frame)
		e.SetSrc(n.key.iface.cfg.MAC)
		e.SetDst(mac)
		h.send(now, h.frame, h.id)
	}
}

// unresolved gives up: the entry goes, so that the next packet asks anew.
func (s *Stack) unresolved(now int64, n *neighbor) {
	delete(s.neigh, n.key)
	s.changed()
	if n.timer != nil {
		n.timer.Stop()
		n.timer = nil
	}
	for _, p := range n.probes {
		p.Done = true
	}
	held := n.held
	n.probes, n.held = nil, nil
	for _, h := range held {
		s.dropFrame(now, "neighbor", vfp.DropNoNeighbor, h.frame, h.id)
	}
}

// learn takes note of what a message says about its sender. New entries are
// made only when create is set: by requests that ask us.
func (s *Stack) learn(now int64, i *Interface, a netip.Addr, mac wire.MAC, create bool) {
	if mac.IsZero() || mac.IsMulticast() || a.IsUnspecified() || a.IsMulticast() {
		return
	}
	if n := s.neighbor(i, a, create); n != nil && !n.static {
		s.resolved(now, n, mac)
	}
}

func (s *Stack) flushNeighbors(now int64, i *Interface) {
	var gone []*neighbor
	for k, n := range s.neigh {
		if k.iface == i {
			gone = append(gone, n)
		}
	}
	sort.Slice(gone, func(a, b int) bool { return gone[a].key.addr.Less(gone[b].key.addr) })
	for _, n := range gone {
		s.unresolved(now, n)
	}
}
