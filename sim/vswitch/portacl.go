package vswitch

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// DefaultACLIdle is how long a stateful extended ACL remembers a flow without
// traffic: 255 s (rule VS-31).
const DefaultACLIdle = int64(255e9)

// tuple is what the built-in ACLs see of a frame.
type tuple struct {
	src, dst     netip.Addr // invalid for frames that are not IP
	proto        uint8
	ports        bool // sport and dport are those of TCP or UDP
	sport, dport uint16
	remoteMAC    wire.MAC
	vid          uint16
}

// tupleOf reads the frame of a parsed packet on its way in direction dir.
func tupleOf(p *vfp.Packet, dir vfp.Dir, vid uint16) tuple {
	b, m := p.Bytes(), &p.Meta
	t := tuple{src: m.Src(b), dst: m.Dst(b), proto: m.Proto, vid: vid}
	if m.HasL4 && (m.Proto == wire.ProtoTCP || m.Proto == wire.ProtoUDP) {
		t.ports, t.sport, t.dport = true, m.SrcPort, m.DstPort
	}
	if dir == vfp.Out {
		t.remoteMAC = wire.Ethernet(b).Dst()
	} else {
		t.remoteMAC = wire.Ethernet(b).Src()
	}
	return t
}

// local and remote orient the addresses: the endpoint is the source of what
// goes out and the destination of what comes in.
func (t *tuple) orient(dir vfp.Dir) (local, remote netip.Addr, lport, rport uint16) {
	if dir == vfp.Out {
		return t.src, t.dst, t.sport, t.dport
	}
	return t.dst, t.src, t.dport, t.sport
}

// contains is Prefix.Contains with the zero prefix matching all.
func contains(p netip.Prefix, a netip.Addr) bool { return !p.IsValid() || p.Contains(a) }

// compileBasic orders the basic ACLs of one direction so that the first that
// matches is the most specific (rule VS-30). Among equals Deny goes first;
// which one Windows takes is not known.
func compileBasic(acls []PortACL, dir vfp.Dir) []PortACL {
	var list []PortACL
	for _, a := range acls {
		if a.Dir == dir {
			list = append(list, a)
		}
	}
	slices.SortStableFunc(list, func(a, b PortACL) int {
		if n := cmp.Compare(b.specificity(), a.specificity()); n != 0 {
			return n
		}
		return cmp.Compare(b2i(a.Allow), b2i(b.Allow))
	})
	return list
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// specificity is the number of address bits the entry fixes.
func (a *PortACL) specificity() int {
	n := max(a.Local.Bits(), 0) + max(a.Remote.Bits(), 0)
	if a.RemoteMAC != nil {
		n += 48
	}
	return n
}

// matches applies the entry to t. Entries without a MAC speak of IP only.
func (a *PortACL) matches(t *tuple) bool {
	if a.RemoteMAC != nil && *a.RemoteMAC != t.remoteMAC {
		return false
	}
	if !t.src.IsValid() {
		return a.RemoteMAC != nil && !a.Local.IsValid() && !a.Remote.IsValid()
	}
	local, remote, _, _ := t.orient(a.Dir)
	return contains(a.Local, local) && contains(a.Remote, remote)
}

// compileExt orders the extended ACLs of one direction by descending weight;
// equal weights keep their order.
func compileExt(acls []ExtACL, dir vfp.Dir) []ExtACL {
	var list []ExtACL
	for _, a := range acls {
		if a.Dir == dir {
			a.LocalPorts, a.RemotePorts = slices.Clone(a.LocalPorts), slices.Clone(a.RemotePorts)
			if a.IdleTimeout == 0 {
				a.IdleTimeout = DefaultACLIdle
			}
			list = append(list, a)
		}
	}
	slices.SortStableFunc(list, func(a, b ExtACL) int { return cmp.Compare(b.Weight, a.Weight) })
	return list
}

// matches applies the entry to t, an IP packet. A port condition does not
// match fragments without a transport header.
func (a *ExtACL) matches(t *tuple) bool {
	if a.Proto != 0 && a.Proto != t.proto {
		return false
	}
	if a.IsolationID != 0 && a.IsolationID != uint32(t.vid) {
		return false
	}
	local, remote, lport, rport := t.orient(a.Dir)
	return contains(a.Local, local) && contains(a.Remote, remote) &&
		inRanges(a.LocalPorts, t.ports, lport) && inRanges(a.RemotePorts, t.ports, rport)
}

func inRanges(list []vfp.PortRange, has bool, port uint16) bool {
	if len(list) == 0 {
		return true
	}
	if !has {
		return false
	}
	for _, r := range list {
		if r.Lo <= port && port <= r.Hi {
			return true
		}
	}
	return false
}

// firstMatch is the extended ACL that decides on t, nil if there is none.
func firstMatch(list []ExtACL, t *tuple) *ExtACL {
	for i := range list {
		if list[i].matches(t) {
			return &list[i]
		}
	}
	return nil
}

// permits runs the built-in ACLs of direction dir (pipeline steps 4 and 8):
// basic and extended ones must both let the frame pass; no entry, no opinion.
func (q *port) permits(now int64, p *vfp.Packet, dir vfp.Dir, vid uint16) bool {
	if !q.hasACL {
		return true
	}
	t := tupleOf(p, dir, vid)
	for i := range q.basic[dir] {
		if a := &q.basic[dir][i]; a.matches(&t) {
			if !a.Allow {
				return false
			}
			break
		}
	}
	// Extended ACLs are about IP; ARP and the like are not theirs.
	if !t.src.IsValid() {
		return true
	}
	if q.stateful && q.run.acl.replies(q, now, p, dir, vid) {
		return true
	}
	a := firstMatch(q.ext[dir], &t)
	if a == nil {
		return true
	}
	if a.Allow && a.Stateful {
		q.run.acl.remember(q, now, p, dir, vid, a.IdleTimeout)
	}
	return a.Allow
}
