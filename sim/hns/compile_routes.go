package hns

import (
	"net/netip"
	"slices"

	"github.com/hnsim/hnsim/sim/fabric"
	"github.com/hnsim/hnsim/sim/hcn"
)

// sdnRoutes are the routes of an endpoint: its own SDNRoute policies, then
// those of route objects that name it (v1: ROUTE policy lists), in order.
func sdnRoutes(s *State, e *Endpoint) []hcn.SDNRouteSettings {
	var out []hcn.SDNRouteSettings
	for _, p := range hcn.FindPolicies(e.Doc.Policies, hcn.PolicySDNRoute) {
		if r, err := hcn.DecodeSettings[hcn.SDNRouteSettings](p); err == nil {
			out = append(out, r)
		}
	}
	for _, r := range s.Routes {
		if slices.Contains(r.Endpoints, e.Num) {
			out = append(out, r.Doc.Routes...)
		}
	}
	return out
}

// encapPrefixes are the prefixes that go through the host's or VFP's routing
// whatever the container's next hop is: NeedEncap (rule L2B-29).
func encapPrefixes(s *State, e *Endpoint) []netip.Prefix {
	var out []netip.Prefix
	for _, r := range sdnRoutes(s, e) {
		if p, err := netip.ParsePrefix(r.DestinationPrefix); err == nil && r.NeedEncap {
			out = append(out, p.Masked())
		}
	}
	return out
}

// hopRoutes are the other ones: the container sends to the next hop itself, if
// that is a neighbour of one of its addresses.
func hopRoutes(s *State, e *Endpoint) []fabric.Route {
	var out []fabric.Route
	for _, r := range sdnRoutes(s, e) {
		p, err := netip.ParsePrefix(r.DestinationPrefix)
		hop, err2 := netip.ParseAddr(r.NextHop)
		if err != nil || err2 != nil || r.NeedEncap || onHost(e) {
			continue
		}
		near := func(a Address) bool {
			return a.IP != hop && netip.PrefixFrom(a.IP, a.Bits).Masked().Contains(hop) && p.Addr().Is6() == hop.Is6()
		}
		if slices.ContainsFunc(e.Addrs, near) {
			out = append(out, fabric.Route{Dst: p.Masked(), Via: hop})
		}
	}
	return out
}
