package linux

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"

	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/wire"
)

// Marks of the direction of a packet through a port.
const (
	goingOut    = 1
	comingIn    = 2
	viaHost     = 4 // and the host's stack has routed it
	toTranslate = 8
)

// multicast and everything above it, broadcast included.
var multicast = netip.MustParsePrefix("224.0.0.0/3")

// tunnelACLs are rules for pseudo-protocol 252: what would be encapsulated
// (rule ACL-34).
func (h *host) tunnelACLs(p *port, from rule, pre *chain) {
	for _, a := range p.e.acls(h.store.profile.Knobs.ACLTie) {
		if slices.Contains(a.protocols, hcn.VXLANProtocol) && !a.in {
			if a.block {
				pre.add(from, drop("VfpBlock", p.e.doc.ID))
			}
			return
		}
	}
}

// aclList writes the rules of one kind and direction: the first that matches
// decides.
func (h *host) aclList(p *port, acls []acl, host, in bool, fwd *chain) {
	dir := uint32(goingOut)
	if in {
		dir = comingIn
	}
	any := false
	for _, a := range acls {
		if slices.Contains(a.protocols, hcn.VXLANProtocol) {
			continue // see tunnelACLs
		}
		if a.host != host || a.in != in || a.emptyLocal || a.emptyPeer {
			any = any || a.host == host && a.in == in
			continue
		}
		any = true
		end := accept()
		if a.block {
			end = drop(dropName(host), p.e.doc.ID)
		}
		for _, m := range a.matches() {
			if a.pass && in {
				h.posture(p, on(marked(dir), m), fwd)
				continue
			}
			fwd.add(marked(dir), m, end)
		}
	}
	if any && h.store.profile.Knobs.ACLAnyMeansDeny {
		fwd.add(marked(dir), drop(dropName(host), p.e.doc.ID))
	}
}

func dropName(host bool) string {
	if host {
		return "HostFirewall"
	}
	return "VfpBlock"
}

// matches are the rules' conditions: one for every combination of what lists
// have.
func (a *acl) matches() []rule {
	out := []rule{nil}
	product := func(parts []rule) {
		if len(parts) == 0 {
			return
		}
		var next []rule
		for _, o := range out {
			for _, p := range parts {
				next = append(next, on(o, p))
			}
		}
		out = next
	}
	src, dst, srcP, dstP := a.local, a.remote, a.localPorts, a.farPorts
	if a.in {
		src, dst, srcP, dstP = dst, src, dstP, srcP
	}
	product(each(src, ipSrc))
	product(each(dst, ipDst))
	protocols := a.protocols
	if len(protocols) == 0 && (len(srcP) > 0 || len(dstP) > 0) {
		protocols = []uint16{uint16(wire.ProtoTCP), uint16(wire.ProtoUDP)}
	}
	product(each(protocols, func(p uint16) rule { return l4proto(uint8(p)) }))
	product(each(srcP, func(r portRange) rule { return srcPorts(r.lo, r.hi) }))
	product(each(dstP, func(r portRange) rule { return dstPorts(r.lo, r.hi) }))
	return out
}

func each[T any](list []T, f func(T) rule) []rule {
	var out []rule
	for _, x := range list {
		out = append(out, f(x))
	}
	return out
}

// describe tells lists of ACLs apart.
func describe(acls []acl) []string {
	var out []string
	for _, a := range acls {
		out = append(out, fmt.Sprintf("%+v", a))
	}
	return out
}

// forgetFlows empties the connection table of a namespace.
func (s *space) forgetFlows() error {
	if err := s.nl.ConntrackTableFlush(netlink.ConntrackTable); err != nil {
		return fmt.Errorf("connections of %s: %w", s.name, err)
	}
	return nil
}

// tunnelDev is the VXLAN device of a VNI.
func tunnelDev(vni uint32) string { return fmt.Sprintf("vx%d", vni) }

// flagless matches VXLAN headers without the I flag.
func flagless() rule { return bits(transport, 8, 0x08, 0) }
