package acl

import (
	"slices"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// portedFunc is the condition that members with a port add to the prefixes of a
// match, which let their addresses pass for every port. It is nil where there
// are no such members.
func portedFunc(src, dst *AddressSet) (f func(*vfp.Walk) bool, note string) {
	for side, set := range [2]*AddressSet{src, dst} {
		if set.Any || len(set.Ported) == 0 {
			continue
		}
		s := *set
		s.Prefixes, s.Ported = slices.Clone(set.Prefixes), slices.Clone(set.Ported)
		for i := range s.Prefixes {
			s.Prefixes[i] = unmap(s.Prefixes[i])
		}
		for i := range s.Ported {
			s.Ported[i].Prefix = unmap(s.Ported[i].Prefix)
		}
		f, note = both(f, s.holds(side == 1)), "protocol and port of a set's member"
	}
	return f, note
}

// holds reports whether the packet's destination, or its source, is a member.
func (a *AddressSet) holds(destination bool) func(*vfp.Walk) bool {
	return func(w *vfp.Walk) bool {
		addr, port := w.H.Src, w.H.SrcPort
		if destination {
			addr, port = w.H.Dst, w.H.DstPort
		}
		if w.H.Proto != wire.ProtoTCP && w.H.Proto != wire.ProtoUDP {
			port = 0 // an echo's identifier is nobody's port (rule ACL-13)
		}
		for _, p := range a.Prefixes {
			if p.Contains(addr) {
				return true
			}
		}
		for _, m := range a.Ported {
			if m.Proto == w.H.Proto && m.Port == port && m.Prefix.Contains(addr) {
				return true
			}
		}
		return false
	}
}

// both is the conjunction of two conditions, of which the first may be nil.
func both(f, g func(*vfp.Walk) bool) func(*vfp.Walk) bool {
	if f == nil {
		return g
	}
	return func(w *vfp.Walk) bool { return f(w) && g(w) }
}
