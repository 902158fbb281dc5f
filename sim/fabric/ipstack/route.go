package ipstack

import (
	"fmt"
	"math/bits"
	"net/netip"
	"sort"
)

// Route leads to a prefix.
type Route struct {
	Dst    netip.Prefix
	Via    netip.Addr // next hop; invalid: the destinations are on the link
	Iface  string     // empty: the interface that Via is reached through
	Metric int        // of equal prefixes the lowest wins, then the oldest
}

type route struct {
	dst       netip.Prefix
	via       netip.Addr
	out       *Interface
	metric    int
	connected bool
}

// maxRoutes bounds a routing table.
const maxRoutes = 16384

// AddRoute adds a route. Its interface must be there, and so must be a
// connected route to Via if no interface is named.
func (s *Stack) AddRoute(r Route) error {
	if !r.Dst.IsValid() {
		return fmt.Errorf("stack %s: route without destination", s.cfg.Name)
	}
	if r.Via.IsValid() && r.Via.Is4() != r.Dst.Addr().Is4() {
		return fmt.Errorf("stack %s: route to %s via %s mixes IP versions", s.cfg.Name, r.Dst, r.Via)
	}
	if len(s.routes) >= maxRoutes {
		return fmt.Errorf("stack %s: routing table is full", s.cfg.Name)
	}
	out := s.Interface(r.Iface)
	switch {
	case r.Iface != "" && out == nil:
		return fmt.Errorf("stack %s: no interface %q for the route to %s", s.cfg.Name, r.Iface, r.Dst)
	case r.Iface == "":
		if !r.Via.IsValid() {
			return fmt.Errorf("stack %s: route to %s needs a next hop or an interface", s.cfg.Name, r.Dst)
		}
		if out = s.onLink(r.Via); out == nil {
			return fmt.Errorf("stack %s: next hop %s of the route to %s is on no connected network", s.cfg.Name, r.Via, r.Dst)
		}
	}
	s.insertRoute(route{dst: r.Dst.Masked(), via: r.Via, out: out, metric: r.Metric})
	return nil
}

// RemoveRoute removes all routes to a prefix through a next hop; an invalid
// via stands for every next hop. Connected routes go with their addresses
// only. It reports whether there was one.
func (s *Stack) RemoveRoute(dst netip.Prefix, via netip.Addr) bool {
	n := len(s.routes)
	s.keepRoutes(func(r *route) bool {
		return r.connected || r.dst != dst.Masked() || via.IsValid() && r.via != via
	})
	return len(s.routes) < n
}

// Routes is the routing table, best first, connected routes included.
func (s *Stack) Routes() []Route {
	var out []Route
	for i := range s.routes {
		r := &s.routes[i]
		out = append(out, Route{r.dst, r.via, r.out.cfg.Name, r.metric})
	}
	return out
}

// RouteTo says how dst is reached: the interface, the next hop on its link,
// and the source address that packets from here would have. ok is false if no
// route leads there. For own addresses out is the loopback.
func (s *Stack) RouteTo(dst netip.Addr) (out *Interface, next, src netip.Addr, ok bool) {
	return s.routeFlow(dst, 0)
}

// routeFlow is RouteTo for a packet of a flow: among equal routes to the best
// prefix the flow's hash chooses, as routers with several paths do (rule SDN-13).
func (s *Stack) routeFlow(dst netip.Addr, flow uint64) (out *Interface, next, src netip.Addr, ok bool) {
	if s.isOwn(dst) {
		return s.lo, dst, dst, true
	}
	r := s.lookup(dst, flow)
	if r == nil {
		return nil, netip.Addr{}, netip.Addr{}, false
	}
	next = r.via
	if !next.IsValid() {
		next = dst.WithZone("")
	}
	src = r.out.addrFor(next)
	if dst.Is6() && !dst.IsLinkLocalUnicast() && next.IsLinkLocalUnicast() {
		src = r.out.addrFor(dst) // the router's link-local address says nothing about ours
	}
	return r.out, next, src, true
}

// lookup finds the best usable route; among equals flow chooses, 0 the oldest.
func (s *Stack) lookup(dst netip.Addr, flow uint64) *route {
	zone := dst.Zone()
	dst = dst.WithZone("")
	for i := range s.routes {
		r := &s.routes[i]
		if r.dst.Contains(dst) && r.out.Up() && (zone == "" || r.out.cfg.Name == zone) {
			return s.among(i, flow)
		}
	}
	return nil
}

// among chooses between the route at i and the equal ones, which follow it:
// same prefix, same metric, another next hop.
func (s *Stack) among(i int, flow uint64) *route {
	best, n := &s.routes[i], 1
	for i+n < len(s.routes) {
		r := &s.routes[i+n]
		if r.dst != best.dst || r.metric != best.metric || r.connected || best.connected {
			break
		}
		n++
	}
	if flow == 0 || n == 1 {
		return best
	}
	hi, _ := bits.Mul64(flow, uint64(n))
	r := &s.routes[i+int(hi)]
	if !r.out.Up() {
		return best
	}
	return r
}

// onLink finds the interface with a connected prefix that holds a.
func (s *Stack) onLink(a netip.Addr) *Interface {
	for i := range s.routes {
		if r := &s.routes[i]; r.connected && r.dst.Contains(a.WithZone("")) &&
			(a.Zone() == "" || a.Zone() == r.out.cfg.Name) {
			return r.out
		}
	}
	return nil
}

// isOwn reports whether a is an address of this stack. All of 127/8 is.
func (s *Stack) isOwn(a netip.Addr) bool {
	return a.IsLoopback() || s.own[a.WithZone("")] != nil
}

// Owns reports whether a is an address of one of the interfaces, the loopback
// not among them.
func (s *Stack) Owns(a netip.Addr) bool { return s.own[a.WithZone("")] != nil }

func (s *Stack) insertRoute(r route) {
	at := sort.Search(len(s.routes), func(i int) bool {
		o := &s.routes[i]
		if o.dst.Bits() != r.dst.Bits() {
			return o.dst.Bits() < r.dst.Bits()
		}
		return o.metric > r.metric
	})
	s.routes = append(s.routes, route{})
	copy(s.routes[at+1:], s.routes[at:])
	s.routes[at] = r
	s.changed()
}

func (s *Stack) addConnected(i *Interface, dst netip.Prefix) {
	for n := range s.routes {
		if r := &s.routes[n]; r.connected && r.out == i && r.dst == dst {
			return
		}
	}
	s.insertRoute(route{dst: dst, out: i, connected: true})
}

func (s *Stack) dropConnected(i *Interface, dst netip.Prefix) {
	s.keepRoutes(func(r *route) bool { return !r.connected || r.out != i || r.dst != dst })
}

func (s *Stack) dropRoutes(i *Interface) {
	s.keepRoutes(func(r *route) bool { return r.out != i })
}

func (s *Stack) keepRoutes(keep func(*route) bool) {
	kept := s.routes[:0]
	for i := range s.routes {
		if keep(&s.routes[i]) {
			kept = append(kept, s.routes[i])
		}
	}
	clear(s.routes[len(kept):])
	s.routes = kept
	s.changed()
}
