package hns

import (
	"fmt"
	"maps"
	"strings"

	"github.com/hnsim/hnsim/sim/hcn"
)

// ModifyNetwork carries out a modify request on a network.
func (s *Service) ModifyNetwork(id string, request []byte) error {
	return s.change(func(t *tx) error {
		n := t.next.NetworkByID(id)
		if n == nil {
			return networkNotFound(id)
		}
		m, err := hcn.ParseModifyRequest(request)
		if err != nil {
			return err
		}
		resource, err := m.Resource("network")
		if err != nil {
			return err
		}
		if n.Degraded {
			return degraded(n)
		}
		if m.RequestType == hcn.RequestRefresh {
			t.dirty = true
			return nil
		}
		switch resource {
		case "Policy":
			return t.modifyNetworkPolicies(n, m)
		case "DNS":
			return t.modifyDNS(n, m)
		case "Extension":
			return t.modifyExtension(n, m)
		case "Subnet":
			return t.modifySubnets(n, m)
		}
		return t.modifyIPSubnets(n, m)
	})
}

func (t *tx) modifyNetworkPolicies(n *Network, m *hcn.ModifyRequest) error {
	var given []hcn.Policy
	if m.RequestType != hcn.RequestReset {
		r, err := hcn.DecodeRequestSettings[hcn.NetworkPolicyRequest](m)
		if err != nil {
			return err
		}
		given = r.Policies
		if err := hcn.ValidatePolicies(given, "network", n.Type, t.profile(), "Settings.Policies"); err != nil {
			return err
		}
	}
	list := n.Doc.Policies
	var err error
	switch m.RequestType {
	case hcn.RequestAdd:
		list, err = t.addNetworkPolicies(list, given)
	case hcn.RequestUpdate:
		list = updateNetworkPolicies(list, given)
	case hcn.RequestRemove:
		list, err = t.removePolicies(list, given, sameNetworkPolicy)
	case hcn.RequestReset:
		list = ownPolicies(list)
	}
	if err != nil {
		return err
	}
	c := t.editNetwork(n)
	c.Doc.Policies = list
	if err := t.checkSetReferences(c); err != nil {
		return err
	}
	return t.networkPolicies(c)
}

// ownPolicies are the policies that HNS sets itself; a reset leaves them.
func ownPolicies(list []hcn.Policy) []hcn.Policy {
	var out []hcn.Policy
	for _, p := range list {
		switch p.Type {
		case hcn.PolicyProviderAddress, hcn.PolicyDrMacAddress, hcn.PolicyVLAN, hcn.PolicyVSID, hcn.PolicyNetAdapterName:
			out = append(out, p)
		}
	}
	return out
}

func (t *tx) addNetworkPolicies(list, given []hcn.Policy) ([]hcn.Policy, error) {
	out := append([]hcn.Policy(nil), list...)
	for i, g := range given {
		if g.Type == hcn.PolicySetPolicy && t.knobs().SetExists == "replace" {
			out = replaceSet(out, g)
			continue
		}
		for _, p := range out {
			if g.Type == hcn.PolicySetPolicy && p.Type == g.Type && setID(p) == setID(g) {
				return nil, hcn.ErrorAt(hcn.ErrPolicyAlreadyExists, fmt.Sprintf("Settings.Policies[%d].Settings.Id", i),
					fmt.Sprintf("%q", setID(g)), "an id that no other set of the network has (Update replaces a set)")
			}
		}
		out = append(out, g)
	}
	return out, nil
}

// updateNetworkPolicies replaces a set by its id, and the policies of a type
// by the given ones of that type (B.8).
func updateNetworkPolicies(list, given []hcn.Policy) []hcn.Policy {
	replaced := map[hcn.PolicyType]bool{}
	out := append([]hcn.Policy(nil), list...)
	for _, g := range given {
		if g.Type == hcn.PolicySetPolicy {
			out = replaceSet(out, g)
			continue
		}
		if !replaced[g.Type] {
			replaced[g.Type] = true
			var kept []hcn.Policy
			for _, p := range out {
				if p.Type != g.Type {
					kept = append(kept, p)
				}
			}
			out = kept
		}
		out = append(out, g)
	}
	return out
}

func replaceSet(list []hcn.Policy, set hcn.Policy) []hcn.Policy {
	for i, p := range list {
		if p.Type == hcn.PolicySetPolicy && setID(p) == setID(set) {
			list[i] = set
			return list
		}
	}
	return append(list, set)
}

// checkSetReferences refuses a change after which an ACL or a nested set
// names a set that is gone (C.2), or never was.
func (t *tx) checkSetReferences(n *Network) error {
	dangling := func(id, who string, before bool) error {
		if before {
			return hcn.ErrorAt(hcn.ErrEntityHasReferences, "Settings.Policies", fmt.Sprintf("set %q, which %s names", id, who), "a set that nothing names")
		}
		return hcn.ErrorAt(hcn.ErrInvalidPolicy, "Settings.Policies", fmt.Sprintf("%q", id), "the id of a set of the network")
	}
	old := t.s.cur.NetworkByNum(n.Num)
	for _, p := range n.Doc.Policies {
		switch p.Type {
		case hcn.PolicySetPolicy:
			s, err := hcn.DecodeSettings[hcn.SetPolicySettings](p)
			if err != nil || s.Type != hcn.NestedIPSet {
				continue
			}
			for _, id := range strings.Split(s.Values, ",") {
				if id = strings.TrimSpace(id); id != "" && !n.hasSet(id) {
					return dangling(id, "set "+s.ID, old.hasSet(id))
				}
			}
		case hcn.PolicyNetworkACL:
			ids, err := hcn.ACLSetIDs(p)
			if err != nil {
				return err
			}
			for _, id := range ids {
				if !n.hasSet(id) {
					return dangling(id, "a NetworkACL", old.hasSet(id))
				}
			}
		}
	}
	for _, e := range t.next.EndpointsOf(n.Num) {
		for _, p := range e.Doc.Policies {
			ids, err := hcn.ACLSetIDs(p)
			if err != nil {
				return err
			}
			for _, id := range ids {
				if !n.hasSet(id) {
					return dangling(id, fmt.Sprintf("endpoint %q", e.label()), old.hasSet(id))
				}
			}
		}
	}
	return nil
}

func (t *tx) modifyDNS(n *Network, m *hcn.ModifyRequest) error {
	if m.RequestType != hcn.RequestAdd && m.RequestType != hcn.RequestUpdate && m.RequestType != hcn.RequestReset {
		return unsupported(m, "DNS")
	}
	var dns hcn.DNS
	if m.RequestType != hcn.RequestReset {
		d, err := hcn.DecodeRequestSettings[hcn.DNS](m)
		if err != nil {
			return err
		}
		if err := hcn.ValidateDNS(d, "Settings"); err != nil {
			return err
		}
		dns = *d
	}
	t.editNetwork(n).Doc.DNS = dns
	return nil
}

func (t *tx) modifyExtension(n *Network, m *hcn.ModifyRequest) error {
	if m.RequestType != hcn.RequestUpdate && m.RequestType != hcn.RequestAdd {
		return unsupported(m, "Extension")
	}
	r, err := hcn.DecodeRequestSettings[hcn.ExtensionRequest](m)
	if err != nil {
		return err
	}
	return t.setExtension(n, r.ID, r.IsEnabled, "Settings.Id")
}

func (t *tx) setExtension(n *Network, id string, enabled bool, path string) error {
	return t.switchExtension(t.editNetwork(n), id, enabled, path)
}

// switchExtension is setExtension for a network that may be written.
func (t *tx) switchExtension(n *Network, id string, enabled bool, path string) error {
	known := false
	for _, x := range t.extensionsOf(n) {
		known = known || hcn.SameID(x.ID, id)
	}
	if !known {
		return hcn.ErrorAt(hcn.ErrSwitchExtensionNotFound, path, fmt.Sprintf("%q", id), "the id of an extension of the network's switch")
	}
	for _, other := range t.next.Networks {
		if other.Num != n.Num && other.Layer == n.Layer { // VS-03
			return hcn.Errorf(hcn.ErrSharedSwitchModification, "network %q is on the same switch", other.Doc.Name)
		}
	}
	n.extensions = maps.Clone(n.extensions)
	if n.extensions == nil {
		n.extensions = map[string]bool{}
	}
	canonical, _ := hcn.ParseGUID(id)
	n.extensions[canonical] = enabled
	return nil
}

// extensionPolicies carries out the VSwitchExtension policies of a network (C.2).
func (t *tx) extensionPolicies(n *Network) error {
	for i, p := range n.Doc.Policies {
		if p.Type != hcn.PolicyVSwitchExtension {
			continue
		}
		path := fmt.Sprintf("Policies[%d].Settings.ExtensionID", i)
		s, err := hcn.DecodeSettings[hcn.VSwitchExtensionSettings](p)
		if err != nil {
			return err
		}
		if on, known := t.extensionState(n, s.ExtensionID); known && on == s.Enable {
			continue
		}
		if err := t.switchExtension(n, s.ExtensionID, s.Enable, path); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) modifySubnets(n *Network, m *hcn.ModifyRequest) error {
	r, err := hcn.DecodeRequestSettings[hcn.SubnetRequest](m)
	if err != nil {
		return err
	}
	c := t.editNetwork(n)
	switch m.RequestType {
	case hcn.RequestAdd:
		if err := hcn.ValidateSubnets(n.Doc, r.Subnets, t.profile()); err != nil {
			return prefixed("Settings", err)
		}
		if len(c.Doc.Ipams) == 0 {
			c.Doc.Ipams = []hcn.Ipam{{Type: "Static"}}
		}
		for i := range r.Subnets {
			t.identifySubnet(&r.Subnets[i])
		}
		c.Doc.Ipams[0].Subnets = append(c.Doc.Ipams[0].Subnets, r.Subnets...)
	case hcn.RequestRemove:
		for i := range r.Subnets {
			if err := t.removeSubnet(c, &r.Subnets[i], fmt.Sprintf("Settings.Subnets[%d]", i)); err != nil {
				return err
			}
		}
	default:
		return unsupported(m, "Subnet")
	}
	if err := c.parseSubnets(); err != nil {
		return err
	}
	if err := t.checkVSIDs(c); err != nil {
		return err
	}
	t.resubnet(c)
	return nil
}

// removeSubnet takes a subnet out by id or by prefix; one that endpoints have
// addresses in is still referred to.
func (t *tx) removeSubnet(n *Network, gone *hcn.Subnet, path string) error {
	for i := range n.Doc.Ipams {
		list := n.Doc.Ipams[i].Subnets
		for j := range list {
			byID := gone.ID != "" && hcn.SameID(list[j].ID, gone.ID)
			if !byID && (gone.ID != "" || list[j].IpAddressPrefix != gone.IpAddressPrefix) {
				continue
			}
			for _, e := range t.next.EndpointsOf(n.Num) {
				for _, a := range e.Addrs {
					if s := a.Subnet; s >= 0 && s < len(n.Subnets) && n.Subnets[s].Ipam == i && n.Subnets[s].Index == j {
						return hcn.ErrorAt(hcn.ErrEntityHasReferences, path, fmt.Sprintf("a subnet with endpoint %q", e.label()), "a subnet without endpoints")
					}
				}
			}
			n.Doc.Ipams[i].Subnets = append(append([]hcn.Subnet(nil), list[:j]...), list[j+1:]...)
			return n.parseSubnets()
		}
	}
	return hcn.ErrorAt(hcn.ErrSubnetNotFound, path, "no such subnet", "a subnet of the network, by ID or IpAddressPrefix")
}

// resubnet renews the subnet numbers that endpoints hold.
func (t *tx) resubnet(n *Network) {
	for _, e := range t.next.EndpointsOf(n.Num) {
		c := t.editEndpoint(e)
		c.Addrs = append([]Address(nil), e.Addrs...)
		for i := range c.Addrs {
			c.Addrs[i].Subnet = -1
			for k, s := range n.Subnets {
				if s.Prefix.Contains(c.Addrs[i].IP) {
					c.Addrs[i].Subnet = k
					break
				}
			}
		}
	}
}

func (t *tx) modifyIPSubnets(n *Network, m *hcn.ModifyRequest) error {
	r, err := hcn.DecodeRequestSettings[hcn.IPSubnetRequest](m)
	if err != nil {
		return err
	}
	c := t.editNetwork(n)
	var subnet *hcn.Subnet
	for _, s := range c.Doc.Subnets() {
		if hcn.SameID(s.ID, r.SubnetID) {
			subnet = s
		}
	}
	if subnet == nil {
		return hcn.ErrorAt(hcn.ErrSubnetNotFound, "Settings.SubnetId", fmt.Sprintf("%q", r.SubnetID), "the id of a subnet of the network")
	}
	switch m.RequestType {
	case hcn.RequestAdd:
		if err := hcn.ValidateIPSubnets(subnet, r.IpSubnets, t.profile()); err != nil {
			return prefixed("Settings", err)
		}
		for i := range r.IpSubnets {
			if r.IpSubnets[i].ID == "" {
				r.IpSubnets[i].ID = t.next.counters.guid()
			}
		}
		subnet.IpSubnets = append(subnet.IpSubnets, r.IpSubnets...)
	case hcn.RequestRemove:
		for i, gone := range r.IpSubnets {
			before := len(subnet.IpSubnets)
			var kept []hcn.IpSubnet
			for _, s := range subnet.IpSubnets {
				if !(gone.ID != "" && hcn.SameID(s.ID, gone.ID) || gone.ID == "" && s.IpAddressPrefix == gone.IpAddressPrefix) {
					kept = append(kept, s)
				}
			}
			if len(kept) == before {
				return hcn.ErrorAt(hcn.ErrSubnetNotFound, fmt.Sprintf("Settings.IpSubnets[%d]", i), "no such IP subnet", "an IP subnet by ID or IpAddressPrefix")
			}
			subnet.IpSubnets = kept
		}
	default:
		return unsupported(m, "IPSubnet")
	}
	return nil
}

// prefixed puts the path of an error behind the place of its document part.
func prefixed(path string, err error) error {
	e := *hcn.AsError(err)
	e.Path = path + "." + e.Path
	return &e
}
