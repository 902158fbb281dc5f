package linux

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/wire"
)

// remoteRoute is a RemoteSubnetRoute (rule OV-08).
type remoteRoute struct {
	dst netip.Prefix
	vni uint32
	pa  netip.Addr
	mac wire.MAC
}

// remoteRoutes are the network's, longest prefix first (rule OV-05).
func (n *network) remoteRoutes() []remoteRoute {
	var out []remoteRoute
	for _, p := range hcn.FindPolicies(n.doc.Policies, hcn.PolicyRemoteSubnetRoute) {
		s, err := hcn.DecodeSettings[hcn.RemoteSubnetRouteSettings](p)
		if err != nil {
			continue // validated when it came
		}
		dst, err1 := netip.ParsePrefix(s.DestinationPrefix)
		pa, err2 := netip.ParseAddr(s.ProviderAddress)
		mac, err3 := hcn.ParseMAC(s.DistributedRouterMacAddress)
		if err1 == nil && err2 == nil && err3 == nil && n.has(s.IsolationID) {
			out = append(out, remoteRoute{dst.Masked(), s.IsolationID, pa, mac})
		}
	}
	slices.SortStableFunc(out, func(a, b remoteRoute) int { return cmp.Compare(b.dst.Bits(), a.dst.Bits()) })
	return out
}

// has reports whether a subnet of the network has the VNI; a route with
// another one belongs to another network.
func (n *network) has(vni uint32) bool {
	return slices.ContainsFunc(n.subnets, func(s subnet) bool { return s.vsid == vni })
}

// routed reports whether the way to an address is a RemoteSubnetRoute: the
// MACs of endpoints behind it, which kube-proxy makes up, are never on the wire.
func (n *network) routed(a netip.Addr) bool {
	return n.subnetOf(a) == nil && slices.ContainsFunc(n.remoteRoutes(), func(r remoteRoute) bool { return r.dst.Contains(a) })
}

// snat is an OutBoundNAT policy (rules L2B-21, L2B-22).
type snat struct {
	to                       netip.Addr
	exceptions, destinations []netip.Prefix
}

func (e *endpoint) snats() []snat {
	var out []snat
	for _, p := range hcn.FindPolicies(e.doc.Policies, hcn.PolicyOutBoundNAT) {
		s, err := hcn.DecodeSettings[hcn.OutBoundNATSettings](p)
		if err != nil {
			continue // validated when it came
		}
		n := snat{to: e.net.managed, exceptions: prefixes(s.Exceptions), destinations: prefixes(s.Destinations)}
		if a, err := netip.ParseAddr(s.VirtualIP); err == nil {
			n.to = a
		}
		out = append(out, n)
	}
	return out
}

// prefixes reads addresses and prefixes; what is neither was refused before.
func prefixes(list []string) []netip.Prefix {
	var out []netip.Prefix
	for _, t := range list {
		if a, err := netip.ParseAddr(t); err == nil {
			out = append(out, single(a))
		} else if p, err := netip.ParsePrefix(t); err == nil {
			out = append(out, p.Masked())
		}
	}
	return out
}

func single(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

// mapping is a PortMapping policy (rule NAT-30).
type mapping struct {
	proto              uint8
	external, internal uint16
	vip                netip.Addr // zero: every address of the host
	local              bool       // LocalRoutedVip
}

func (e *endpoint) mappings() []mapping {
	var out []mapping
	for _, p := range hcn.FindPolicies(e.doc.Policies, hcn.PolicyPortMapping) {
		s, err := hcn.DecodeSettings[hcn.PortMappingSettings](p)
		if err != nil {
			continue // validated when it came
		}
		vip, _ := netip.ParseAddr(s.VIP)
		out = append(out, mapping{uint8(s.Protocol), s.ExternalPort, s.InternalPort, vip, s.Flags&hcn.NatLocalRoutedVip != 0})
	}
	return out
}

// translates reports whether a policy translates what the endpoint sends to an
// address: outbound, or as the answer of a published port.
func (e *endpoint) translates(m *wire.Meta, dst netip.Addr) bool {
	in := func(list []netip.Prefix) bool {
		return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(dst) })
	}
	for _, s := range e.snats() {
		if !in(s.exceptions) && (len(s.destinations) == 0 || in(s.destinations)) {
			return true
		}
	}
	return slices.ContainsFunc(e.mappings(), func(p mapping) bool { return p.proto == m.Proto && p.internal == m.SrcPort })
}

// ipv4 is the endpoint's first IPv4 address.
func (e *endpoint) ipv4() netip.Addr {
	for _, a := range e.addrs {
		if a.Addr().Is4() {
			return a.Addr()
		}
	}
	return netip.Addr{}
}

// acl is an ACL of an endpoint, taken apart.
type acl struct {
	in, block, host       bool // host: rule of the host's firewall, not of the switch
	pass                  bool // leaves it to the posture
	priority              uint16
	protocols             []uint16 // none: any
	local, remote         []netip.Prefix
	localPorts, farPorts  []portRange
	emptyLocal, emptyPeer bool // lists of sets that have no members: nothing matches
}

type portRange struct{ lo, hi uint16 }

// acls are the endpoint's, in the order in which they are looked at: the
// network's first, then by priority, Block before Allow (ACL-05, ACL-06,
// ACL-32).
func (e *endpoint) acls(tie string) []acl {
	list := func(policies []hcn.Policy, t hcn.PolicyType) []acl {
		var out []acl
		for _, p := range hcn.FindPolicies(policies, t) {
			if s, err := hcn.DecodeSettings[hcn.ACLSettings](p); err == nil {
				out = append(out, e.net.acl(&s))
			}
		}
		slices.SortStableFunc(out, func(a, b acl) int {
			if c := cmp.Compare(a.priority, b.priority); c != 0 || tie != "block-wins" || a.block == b.block {
				return c
			}
			if a.block {
				return -1
			}
			return 1
		})
		return out
	}
	return append(list(e.net.doc.Policies, hcn.PolicyNetworkACL), list(e.doc.Policies, hcn.PolicyACL)...)
}

func (n *network) acl(s *hcn.ACLSettings) acl {
	a := acl{in: s.Direction == hcn.In, block: s.Action == hcn.Block, pass: s.Action == hcn.Pass, host: s.RuleType == hcn.HostRule, priority: s.Priority}
	if protocols, err := hcn.ParseProtocols(s.Protocols); err == nil && !slices.Contains(protocols, hcn.AnyProtocol) {
		a.protocols = protocols
	}
	local, remote := s.LocalAddresses, s.RemoteAddresses
	if len(s.SetIDs()) > 0 && a.in {
		// Rule ACL-03: with names of sets Local is the source and Remote the
		// destination in both directions.
		local, remote = remote, local
	}
	a.local, a.emptyLocal = n.resolve(local)
	a.remote, a.emptyPeer = n.resolve(remote)
	a.localPorts, a.farPorts = portRanges(s.LocalPorts), portRanges(s.RemotePorts)
	return a
}

// resolve reads a list of addresses, prefixes and ids of sets.
func (n *network) resolve(text string) (list []netip.Prefix, empty bool) {
	items, err := hcn.ParseAddresses(text)
	if err != nil || len(items) == 0 {
		return nil, false
	}
	for _, it := range items {
		if it.Set == "" {
			list = append(list, it.Prefix.Masked())
			continue
		}
		list = append(list, n.members(it.Set, 0)...)
	}
	return list, len(list) == 0
}

// maxNesting bounds sets of sets.
const maxNesting = 8

func (n *network) members(set string, depth int) []netip.Prefix {
	var out []netip.Prefix
	for _, p := range hcn.FindPolicies(n.doc.Policies, hcn.PolicySetPolicy) {
		s, err := hcn.DecodeSettings[hcn.SetPolicySettings](p)
		if err != nil || s.ID != set || depth > maxNesting {
			continue
		}
		values := strings.FieldsFunc(s.Values, func(r rune) bool { return r == ',' || r == ' ' })
		if s.Type == hcn.NestedIPSet {
			for _, v := range values {
				out = append(out, n.members(v, depth+1)...)
			}
			continue
		}
		out = append(out, prefixes(values)...)
	}
	return out
}

// portRanges reads "80,443,8000-8100"; what cannot be read was refused before.
func portRanges(text string) []portRange {
	var out []portRange
	for _, f := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' }) {
		lo, hi, ranged := strings.Cut(f, "-")
		if !ranged {
			hi = lo
		}
		l, err1 := strconv.ParseUint(lo, 10, 16)
		h, err2 := strconv.ParseUint(hi, 10, 16)
		if err1 == nil && err2 == nil {
			out = append(out, portRange{uint16(l), uint16(h)})
		}
	}
	return out
}
