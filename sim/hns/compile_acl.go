package hns

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/hnsim/hnsim/sim/acl"
	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/vfp"
)

// aclLayers translates what decides about an endpoint's traffic: the
// NetworkACL policies of its network (rule ACL-32), its own TierAcl (rule
// ACL-30) and ACL policies. An endpoint of the host's own compartment has no
// container posture.
func (c *Compiler) aclLayers(n *Network, e *Endpoint) ([]vfp.Layer, error) {
	lists, err := aclLists(n, e)
	if err != nil {
		return nil, err
	}
	if onHost(e) && len(lists.Network)+len(lists.Tiers)+len(lists.Endpoint) == 0 {
		return nil, nil
	}
	layers, err := lists.Layers(c.aclOptions(e))
	if err != nil {
		return nil, &hcn.Error{Code: hcn.ErrInvalidPolicy, Detail: err.Error()}
	}
	return layers, nil
}

// aclOptions are the knobs that concern an endpoint's ACLs.
func (c *Compiler) aclOptions(e *Endpoint) acl.Options {
	k := &c.Profile.Knobs
	opt := acl.Options{
		AnyMeansDeny:    k.ACLAnyMeansDeny,
		NeverReconcile:  k.ACLReconcile == "never",
		TiersDescending: k.ACLTierOrder == "descending",
		FilterNeighbors: k.ACLNeighbors == "filtered",
	}
	if e.Isolation == HyperVIsolated {
		opt.Isolation = acl.HyperV
	}
	if k.ACLTie == "first-wins" {
		opt.Tie = acl.FirstWins
	}
	if k.ACLSetAddressing == "endpoint" {
		opt.Sets = acl.EndpointRelative
	}
	if k.ACLPrecedence == "tiers-first" {
		opt.Precedence = acl.TiersFirst
	}
	return opt
}

func aclLists(n *Network, e *Endpoint) (l acl.Lists, err error) {
	sets := setsOf(n)
	if l.Network, err = aclRules(n.Doc.Policies, hcn.PolicyNetworkACL, "NETWORK_ACL_", sets); err != nil {
		return l, err
	}
	if l.Endpoint, err = aclRules(e.Doc.Policies, hcn.PolicyACL, "ACL_", sets); err != nil {
		return l, err
	}
	for _, p := range hcn.FindPolicies(e.Doc.Policies, hcn.PolicyTierACL) {
		t, err := hcn.DecodeSettings[hcn.TierACLSettings](p)
		if err != nil {
			return l, err
		}
		tier := acl.Tier{Name: t.Name, Order: t.Order, Dir: aclDir(t.Direction)}
		for i := range t.Rules {
			r, err := aclRule(t.Rules[i].ACL(t.Direction), sets)
			if err != nil {
				return l, err
			}
			if r.ID == "" {
				r.ID = fmt.Sprintf("TIER_%d_%s_%d_%s_%d", t.Order, t.Name, i, t.Direction, r.Priority)
			}
			tier.Rules = append(tier.Rules, r)
		}
		l.Tiers = append(l.Tiers, tier)
	}
	return l, nil
}

// aclRules translates the policies of one type.
func aclRules(policies []hcn.Policy, of hcn.PolicyType, prefix string, sets map[string]acl.AddressSet) ([]acl.Rule, error) {
	var rules []acl.Rule
	for i, p := range hcn.FindPolicies(policies, of) {
		a, err := hcn.DecodeSettings[hcn.ACLSettings](p)
		if err != nil {
			return nil, err
		}
		r, err := aclRule(a, sets)
		if err != nil {
			return nil, err
		}
		if r.ID == "" {
			r.ID = prefix + strconv.Itoa(i) + "_" + a.Direction.String() + "_" + strconv.Itoa(int(a.Priority))
		}
		rules = append(rules, r)
	}
	return rules, nil
}

// setsOf are the IP sets of a network by id, nested ones resolved (rule
// ACL-33).
func setsOf(n *Network) map[string]acl.AddressSet {
	byID := map[string]hcn.SetPolicySettings{}
	for _, p := range hcn.FindPolicies(n.Doc.Policies, hcn.PolicySetPolicy) {
		if s, err := hcn.DecodeSettings[hcn.SetPolicySettings](p); err == nil {
			byID[s.ID] = s
		}
	}
	out := make(map[string]acl.AddressSet, len(byID))
	for id := range byID {
		var s acl.AddressSet
		addMembers(&s, byID, id, map[string]bool{})
		out[id] = s
	}
	return out
}

// addMembers adds the members of a set and of the sets in it to s, each set
// once: a set that contains itself, directly or through others, adds nothing to
// itself. seen has the sets that have been visited on behalf of the first one, so
// that the members of a set depend on no other set's turn.
func addMembers(s *acl.AddressSet, byID map[string]hcn.SetPolicySettings, id string, seen map[string]bool) {
	set, known := byID[id]
	if !known || seen[id] {
		return
	}
	seen[id] = true
	if set.Type == hcn.NestedIPSet {
		for _, v := range fields(set.Values) {
			addMembers(s, byID, v, seen)
		}
		return
	}
	members, err := hcn.ParseSetValues(set.Values)
	if err != nil {
		return // refused when the set was made
	}
	for _, m := range members {
		if m.Proto == 0 {
			s.Prefixes = append(s.Prefixes, m.Prefix)
		} else {
			s.Ported = append(s.Ported, acl.Member{Prefix: m.Prefix, Proto: uint8(m.Proto), Port: m.Port})
		}
	}
}

func fields(list string) []string {
	var out []string
	for _, f := range strings.Split(list, ",") {
		if f = strings.TrimSpace(f); f != "" {
			out = append(out, f)
		}
	}
	return out
}

// aclRule translates one ACL (rules ACL-01, ACL-02).
func aclRule(a hcn.ACLSettings, sets map[string]acl.AddressSet) (acl.Rule, error) {
	r := acl.Rule{ID: a.ID, Priority: a.Priority}
	switch a.Action {
	case hcn.Block:
		r.Action = acl.Block
	case hcn.Pass:
		r.Action = acl.Pass
	}
	r.Dir = aclDir(a.Direction)
	if a.RuleType == hcn.HostRule {
		r.RuleType = acl.Host
	}
	for _, f := range fields(a.Protocols) {
		v, err := strconv.ParseUint(f, 10, 16)
		if err != nil {
			return r, badACL("Protocols", f)
		}
		r.Protocols = append(r.Protocols, uint16(v))
	}
	var err error
	if r.LocalAddrs, err = aclAddrs("LocalAddresses", a.LocalAddresses, sets); err != nil {
		return r, err
	}
	if r.RemoteAddrs, err = aclAddrs("RemoteAddresses", a.RemoteAddresses, sets); err != nil {
		return r, err
	}
	if r.LocalPorts, err = aclPorts("LocalPorts", a.LocalPorts); err != nil {
		return r, err
	}
	r.RemotePorts, err = aclPorts("RemotePorts", a.RemotePorts)
	return r, err
}

func aclDir(d hcn.Direction) vfp.Dir {
	if d == hcn.In {
		return vfp.In
	}
	return vfp.Out
}

func badACL(field, found string) error {
	return &hcn.Error{Code: hcn.ErrInvalidPolicy, Path: field, Found: found}
}

func aclAddrs(field, list string, sets map[string]acl.AddressSet) (acl.AddressSet, error) {
	var s acl.AddressSet
	for _, f := range fields(list) {
		if members, ok := sets[f]; ok {
			s.Sets = append(s.Sets, f)
			s.Prefixes = append(s.Prefixes, members.Prefixes...)
			s.Ported = append(s.Ported, members.Ported...)
			continue
		}
		ps, err := prefixes([]string{f})
		if err != nil {
			return s, badACL(field, f)
		}
		s.Prefixes = append(s.Prefixes, ps...)
	}
	return s, nil
}

func aclPorts(field, list string) ([]vfp.PortRange, error) {
	var out []vfp.PortRange
	for _, f := range fields(list) {
		lo, hi, ranged := strings.Cut(f, "-")
		if !ranged {
			hi = lo
		}
		l, err1 := strconv.ParseUint(strings.TrimSpace(lo), 10, 16)
		h, err2 := strconv.ParseUint(strings.TrimSpace(hi), 10, 16)
		if err1 != nil || err2 != nil || l > h {
			return nil, badACL(field, f)
		}
		out = append(out, vfp.PortRange{Lo: uint16(l), Hi: uint16(h)})
	}
	return out, nil
}
