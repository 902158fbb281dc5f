package acl

import (
	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// neighborGroups keep neighbour discovery out of the lists, as ARP is by
// nature (rule ACL-12): IPv6 packets all, they would fall to a Block that
// means traffic, and nothing that is allowed could be reached. They stand in
// front of every list and leave no state.
func (c *compiler) neighborGroups(layer string) []vfp.Group {
	if c.opt.FilterNeighbors || c.count[vfp.Out]+c.count[vfp.In] == 0 {
		return nil
	}
	var out []vfp.Group
	for _, dir := range [2]vfp.Dir{vfp.Out, vfp.In} {
		out = append(out, vfp.Group{
			Name: groupName(layer, dir, vfp.IPv6), Dir: dir, Family: vfp.IPv6, Priority: neighborGroup,
			Rules: []vfp.Rule{{
				ID: "ACL_NEIGHBOR_DISCOVERY_" + dir.String(), Terminating: true, Action: vfp.Allow{}, Cite: "ACL-12",
				Match: vfp.Match{Protos: []uint8{protoICMPv6}, Func: discovery, Note: "neighbour discovery"},
			}},
		})
	}
	return out
}

// discovery reports whether the packet finds neighbours or routers. Redirects
// change routes and are no part of it.
func discovery(w *vfp.Walk) bool {
	m := w.Meta
	return m != nil && m.IsIPv6 && m.HasL4 && m.Proto == protoICMPv6 &&
		m.ICMPType >= wire.ICMP6RouterSol && m.ICMPType <= wire.ICMP6NeighborAdv
}
