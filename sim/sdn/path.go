package sdn

import (
	"slices"
	"strings"
)

// collections are the resources that the controller keeps, with the lists of
// their documents whose elements have paths of their own.
var collections = []struct {
	name     string
	children []string
}{
	{"virtualNetworks", []string{"subnets"}},
	{"logicalNetworks", []string{"subnets", "subnets/ipPools"}},
	{"networkInterfaces", []string{"ipConfigurations"}},
	{"accessControlLists", []string{"aclRules"}},
	{"routeTables", []string{"routes"}},
	{"loadBalancers", []string{"frontendIPConfigurations", "backendAddressPools", "loadBalancingRules", "probes", "inboundNatRules", "outboundNatRules"}},
	{"publicIPAddresses", nil},
	{"serviceInsertions", nil},
	{"loadBalancerMuxes", nil},
	{"servers", nil},
	{"virtualServers", nil},
	{"macPools", nil},
	{"credentials", nil},
}

// canonicalKind is a kind as documents spell it: "virtualNetworks/subnets".
func canonicalKind(names []string) (string, bool) {
	want := strings.Join(names, "/")
	for _, c := range collections {
		if strings.EqualFold(want, c.name) {
			return c.name, true
		}
		for _, ch := range c.children {
			if k := c.name + "/" + ch; strings.EqualFold(want, k) {
				return k, true
			}
		}
	}
	return "", false
}

// split takes a path apart: "/networking/v1/virtualNetworks/vnet1/subnets/s1",
// with or without its beginning, is collection, id, collection, id. It reports
// false if the path names no resource that there can be. A path that ends in a
// collection has an odd number of segments.
func split(p string) ([]string, bool) {
	p = strings.Trim(p, "/")
	if rest, ok := strings.CutPrefix(p, "networking/"); ok {
		version, below, _ := strings.Cut(rest, "/")
		if len(version) < 2 || version[0] != 'v' || strings.Trim(version[1:], "0123456789.") != "" {
			return nil, false
		}
		p = below
	}
	segs := strings.Split(p, "/")
	if len(segs) > 6 || slices.Contains(segs, "") || strings.ContainsAny(p, " \t\n") {
		return nil, false
	}
	var names []string
	for i := 0; i < len(segs); i += 2 {
		names = append(names, segs[i])
	}
	kind, ok := canonicalKind(names)
	if !ok {
		return nil, false
	}
	for i, n := range strings.Split(kind, "/") {
		segs[2*i] = n
	}
	return segs, true
}

// kindOf is the collections of a path without the ids: "virtualNetworks/subnets".
// Paths of collections have no kind.
func kindOf(segs []string) string {
	if len(segs)%2 != 0 {
		return ""
	}
	var names []string
	for i := 0; i < len(segs); i += 2 {
		names = append(names, segs[i])
	}
	return strings.Join(names, "/")
}

// canonical is the key of a resource: ids are equal in any case.
func canonical(segs []string) string {
	var b strings.Builder
	for i, s := range segs {
		if i%2 == 1 {
			s = strings.ToLower(s)
		}
		b.WriteByte('/')
		b.WriteString(s)
	}
	return b.String()
}

// CollectionNames lists the collections, for messages.
func CollectionNames() []string {
	var out []string
	for _, c := range collections {
		out = append(out, c.name)
	}
	return out
}
