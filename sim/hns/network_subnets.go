package hns

import (
	"fmt"
	"net/netip"

	"github.com/hnsim/hnsim/sim/hcn"
)

func subnetPath(s Subnet) string { return fmt.Sprintf("Ipams[%d].Subnets[%d]", s.Ipam, s.Index) }

// chooseSubnets fills in the subnets of a network: prefix and gateway where
// HNS chooses them, ids and IP subnets where the build shows them.
func (t *tx) chooseSubnets(n *Network) error {
	doc := n.Doc
	doc.Ipams = cloneIpams(doc.Ipams)
	shares := n.Type == hcn.NAT || n.Type == hcn.ICS
	if shares && len(doc.Subnets()) == 0 {
		doc.Ipams = []hcn.Ipam{{Type: "Static", Subnets: make([]hcn.Subnet, 1)}}
	}
	for i := range doc.Ipams {
		if doc.Ipams[i].Type == "" {
			doc.Ipams[i].Type = "Static"
		}
		for j := range doc.Ipams[i].Subnets {
			s := &doc.Ipams[i].Subnets[j]
			if s.IsAuto(n.Type) {
				prefix, err := t.freeNATPrefix()
				if err != nil {
					return err
				}
				s.IpAddressPrefix, s.Routes = prefix.String(), nil
			}
			if shares && !hasDefaultRoute(s.Routes) {
				// NAT-02: the gateway is the first address of the prefix.
				p := netip.MustParsePrefix(s.IpAddressPrefix)
				s.Routes = append([]hcn.Route{defaultRoute(p.Addr().Next())}, s.Routes...)
			}
			t.identifySubnet(s)
		}
	}
	return n.parseSubnets()
}

func hasDefaultRoute(routes []hcn.Route) bool {
	for _, r := range routes {
		if isDefault(r) {
			return true
		}
	}
	return false
}

func isDefault(r hcn.Route) bool {
	return r.DestinationPrefix == "0.0.0.0/0" || r.DestinationPrefix == "::/0"
}

func defaultRoute(gw netip.Addr) hcn.Route {
	if gw.Is4() {
		return hcn.Route{NextHop: gw.String(), DestinationPrefix: "0.0.0.0/0"}
	}
	return hcn.Route{NextHop: gw.String(), DestinationPrefix: "::/0"}
}

// identifySubnet gives a subnet its id and, from HNS 11 on, its IP subnet.
func (t *tx) identifySubnet(s *hcn.Subnet) {
	c := &t.next.counters
	if s.ID == "" || hcn.SameID(s.ID, hcn.ZeroGUID) {
		s.ID = c.guid()
	} else {
		s.ID, _ = hcn.ParseGUID(s.ID)
	}
	if t.profile().Version.Major < hnsIPSubnets {
		return
	}
	if len(s.IpSubnets) == 0 {
		s.IpSubnets = []hcn.IpSubnet{{IpAddressPrefix: s.IpAddressPrefix, Flags: hcn.EnableBroadcast | hcn.ReserveNetworkAddress}}
	}
	for k := range s.IpSubnets {
		if s.IpSubnets[k].ID == "" {
			s.IpSubnets[k].ID = c.guid()
		}
	}
}

// parseSubnets makes n.Subnets from the document.
func (n *Network) parseSubnets() error {
	n.Subnets = nil
	shared := policyIsolation(n.Doc.Policies, hcn.PolicyVSID)
	for i := range n.Doc.Ipams {
		for j := range n.Doc.Ipams[i].Subnets {
			d := &n.Doc.Ipams[i].Subnets[j]
			prefix, err := netip.ParsePrefix(d.IpAddressPrefix)
			if err != nil {
				return hcn.ErrorAt(hcn.ErrInvalidNetwork, fmt.Sprintf("Ipams[%d].Subnets[%d].IpAddressPrefix", i, j), d.IpAddressPrefix, "a prefix")
			}
			s := Subnet{ID: d.ID, Prefix: prefix, Ipam: i, Index: j, VSID: shared,
				VLAN: uint16(policyIsolation(d.Policies, hcn.PolicyVLAN))}
			if own := policyIsolation(d.Policies, hcn.PolicyVSID); own != 0 {
				s.VSID = own
			}
			for _, r := range d.Routes {
				if isDefault(r) {
					s.Gateway, _ = netip.ParseAddr(r.NextHop)
					break
				}
			}
			n.Subnets = append(n.Subnets, s)
		}
	}
	return nil
}

func policyIsolation(list []hcn.Policy, kind hcn.PolicyType) uint32 {
	p, ok := hcn.FindPolicy(list, kind)
	if !ok {
		return 0
	}
	s, err := hcn.DecodeSettings[hcn.IsolationSettings](p)
	if err != nil {
		return 0
	}
	return s.IsolationID
}

// freeNATPrefix chooses the prefix of a NAT network that names none: a free
// /20 of 172.16.0.0/12 that overlaps nothing that the host has (rule NAT-03).
func (t *tx) freeNATPrefix() (netip.Prefix, error) {
	if fixed := t.knobs().NATDefaultPrefix; fixed != "auto" {
		return netip.ParsePrefix(fixed)
	}
	const candidates = 1 << (20 - 12)
	base := netip.AddrFrom4([4]byte{172, 16, 0, 0}).As4()
	start := t.next.counters.below(candidates)
	for i := uint64(0); i < candidates; i++ {
		k := (start + i) % candidates
		a := base
		a[1] += byte(k >> 4)
		a[2] = byte(k << 4)
		p := netip.PrefixFrom(netip.AddrFrom4(a), 20)
		if t.prefixOwner(p) == "" {
			return p, nil
		}
	}
	return netip.Prefix{}, hcn.Errorf(t.knobs().NATClash, "no free /20 is left in 172.16.0.0/12")
}

// prefixOwner names what already has addresses in p: an adapter of the host or
// an internal network.
func (t *tx) prefixOwner(p netip.Prefix) string {
	for _, h := range t.hostPrefixes() {
		if h.Overlaps(p) {
			return "the host's " + h.String()
		}
	}
	for _, n := range t.next.Networks {
		if n.Type.External() || n.Type == hcn.Private {
			continue
		}
		for _, s := range n.Subnets {
			if s.Prefix.Overlaps(p) {
				return fmt.Sprintf("network %q (%s)", n.Doc.Name, s.Prefix)
			}
		}
	}
	return ""
}

// checkNATSpace refuses NAT and ICS prefixes that clash (D.3 #17), and a
// second NAT network where the build has one internal prefix only (NAT-05).
func (t *tx) checkNATSpace(n *Network) error {
	if n.Type != hcn.NAT && n.Type != hcn.ICS {
		return nil
	}
	var first *Network
	for _, other := range t.next.Networks {
		if other.Type == hcn.NAT && len(other.Subnets) > 0 {
			first = other
			break
		}
	}
	onlyOne := n.Type == hcn.NAT && first != nil && t.knobs().NATSecondNetwork == "refuse"
	for _, s := range n.Subnets {
		path := subnetPath(s) + ".IpAddressPrefix"
		if onlyOne {
			whole := first.Subnets[0].Prefix
			if s.Prefix.Bits() < whole.Bits() || !whole.Contains(s.Prefix.Addr()) {
				return hcn.ErrorAt(t.knobs().NATClash, path, s.Prefix.String(),
					fmt.Sprintf("a part of %s: this build has one NAT prefix a host, that of network %q", whole, first.Doc.Name))
			}
			continue
		}
		if owner := t.prefixOwner(s.Prefix); owner != "" {
			return hcn.ErrorAt(t.knobs().NATClash, path, s.Prefix.String(), "a prefix that does not overlap "+owner)
		}
	}
	return nil
}
