package hns

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/hnsim/hnsim/sim/acl"
	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/vfp"
)

// aclLayers translates the ACL policies of an endpoint. An endpoint of the
// host's own compartment has no container posture.
func (c *Compiler) aclLayers(n *Network, e *Endpoint) ([]vfp.Layer, error) {
	sets := setsOf(n)
	var rules []acl.Rule
	for i, p := range hcn.FindPolicies(e.Doc.Policies, hcn.PolicyACL) {
		a, err := hcn.DecodeSettings[hcn.ACLSettings](p)
		if err != nil {
			return nil, err
		}
		r, err := aclRule(a, sets)
		if err != nil {
			return nil, err
		}
		if r.ID == "" {
			r.ID = "ACL_" + strconv.Itoa(i) + "_" + a.Direction.String() + "_" + strconv.Itoa(int(a.Priority))
		}
		rules = append(rules, r)
	}
	if onHost(e) && len(rules) == 0 {
		return nil, nil
	}
	k := &c.Profile.Knobs
	opt := acl.Options{
		AnyMeansDeny:   k.ACLAnyMeansDeny,
		NeverReconcile: k.ACLReconcile == "never",
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
	layers, err := acl.Layers(rules, opt)
	if err != nil {
		return nil, &hcn.Error{Code: hcn.ErrInvalidPolicy, Detail: err.Error()}
	}
	return layers, nil
}

// setsOf are the IP sets of a network by id, nested ones resolved (ACL-33).
func setsOf(n *Network) map[string][]netip.Prefix {
	type set struct{ s hcn.SetPolicySettings }
	byID := map[string]set{}
	for _, p := range hcn.FindPolicies(n.Doc.Policies, hcn.PolicySetPolicy) {
		if s, err := hcn.DecodeSettings[hcn.SetPolicySettings](p); err == nil {
			byID[s.ID] = set{s}
		}
	}
	out := map[string][]netip.Prefix{}
	var members func(id string, depth int) []netip.Prefix
	members = func(id string, depth int) []netip.Prefix {
		s, ok := byID[id]
		if !ok || depth > 8 {
			return nil
		}
		var ps []netip.Prefix
		for _, v := range fields(s.s.Values) {
			if strings.EqualFold(string(s.s.Type), "NESTEDIPSET") {
				ps = append(ps, members(v, depth+1)...)
				continue
			}
			// A member may be "ip,protocol:port"; the address part decides here.
			if p, err := prefixes([]string{v}); err == nil {
				ps = append(ps, p...)
			}
		}
		return ps
	}
	for id := range byID {
		out[id] = members(id, 0)
	}
	return out
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
func aclRule(a hcn.ACLSettings, sets map[string][]netip.Prefix) (acl.Rule, error) {
	r := acl.Rule{ID: a.ID, Priority: a.Priority}
	switch a.Action {
	case hcn.Block:
		r.Action = acl.Block
	case hcn.Pass:
		r.Action = acl.Pass
	}
	if a.Direction == hcn.In {
		r.Dir = vfp.In
	}
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

func badACL(field, found string) error {
	return &hcn.Error{Code: hcn.ErrInvalidPolicy, Path: field, Found: found}
}

func aclAddrs(field, list string, sets map[string][]netip.Prefix) (acl.AddressSet, error) {
	var s acl.AddressSet
	for _, f := range fields(list) {
		if members, ok := sets[f]; ok {
			s.Sets = append(s.Sets, f)
			s.Prefixes = append(s.Prefixes, members...)
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
