package hcn

import (
	"fmt"
	"net/netip"
	"reflect"
	"strconv"
)

// checker collects what is wrong with one document, in the order of the
// document. The service answers with the first; tools show them all.
type checker struct {
	p    *Profile
	errs []*Error
}

func (c *checker) add(e *Error) { c.errs = append(c.errs, e) }

// bad records a value that is wrong; found is quoted.
func (c *checker) bad(code Code, path, found, expected string) {
	if found == "" {
		found = "nothing"
	} else {
		found = strconv.Quote(clip(found))
	}
	c.add(ErrorAt(code, path, found, expected))
}

func (c *checker) number(code Code, path string, found uint64, expected string) {
	c.add(ErrorAt(code, path, strconv.FormatUint(found, 10), expected))
}

func (c *checker) first() error {
	if len(c.errs) == 0 {
		return nil
	}
	return c.errs[0]
}

func elem(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

func (c *checker) guid(path, id string) {
	if id != "" && !IsGUID(id) {
		c.bad(ErrGUIDConversionFailure, path, id, "a GUID such as 404947ac-fc8f-4229-a4b5-595b9161f3a8")
	}
}

func (c *checker) mac(code Code, path, mac string) {
	b, err := ParseMAC(mac)
	if err != nil {
		c.bad(code, path, mac, "a MAC address such as 00-15-5D-52-C0-00")
	} else if b[0]&1 != 0 {
		c.bad(code, path, mac, "a unicast MAC address (the first byte is even)")
	}
}

func (c *checker) addr(code Code, path, s string) netip.Addr {
	a, err := parseAddr(s)
	if err != nil {
		c.bad(code, path, s, "an IP address")
	}
	return a
}

// prefix checks a prefix that must not have host bits.
func (c *checker) prefix(code Code, path, s string, bare bool) netip.Prefix {
	p, err := parsePrefix(s, bare)
	if err != nil {
		c.bad(code, path, s, "a prefix such as 10.244.1.0/24")
		return netip.Prefix{}
	}
	if p != p.Masked() {
		c.bad(code, path, s, "a prefix without host bits: "+p.Masked().String())
		return netip.Prefix{}
	}
	return p
}

func (c *checker) dns(path string, d *DNS) {
	for i, s := range d.ServerList {
		c.addr(ErrInvalidIP, elem(path+".ServerList", i), s)
	}
}

// ValidateDNS checks the DNS settings that a modify request brings.
func ValidateDNS(d *DNS, path string) error {
	c := &checker{}
	c.dns(path, d)
	return c.first()
}

// unknownMembers refuses extras when the knob says so.
func (c *checker) unknownMembers(doc any) {
	if c.p.Knobs.UnknownMembers == "refuse" {
		c.walkExtras(reflect.Indirect(reflect.ValueOf(doc)), "")
	}
}

func (c *checker) walkExtras(v reflect.Value, path string) {
	switch v.Kind() {
	case reflect.Slice:
		if v.Type().Elem().Kind() != reflect.Struct || v.Type() == extrasType {
			return
		}
		for i := 0; i < v.Len(); i++ {
			c.walkExtras(v.Index(i), elem(path, i))
		}
	case reflect.Struct:
		if v.Type() == policyType {
			return // settings are the policy's own business
		}
		info := infoOf(v.Type())
		if info.extras != nil {
			for _, m := range v.FieldByIndex(info.extras).Interface().(Extras) {
				c.add(&Error{Code: ErrInvalidJSON, Path: joinPath(path, m.Name), Detail: "no such member" + suggest(m.Name, info.names())})
			}
		}
		for _, f := range info.fields {
			c.walkExtras(v.FieldByIndex(f.index), joinPath(path, f.name))
		}
	}
}

// ValidateNetwork checks a network that is to be created. It returns the
// *Error that the service answers, or nil.
func ValidateNetwork(n *Network, p *Profile) error {
	errs := CheckNetwork(n, p)
	return (&checker{errs: errs}).first()
}

// CheckNetwork returns everything that is wrong with a network.
func CheckNetwork(n *Network, p *Profile) []*Error {
	c := &checker{p: p}
	c.guid("ID", n.ID)
	c.networkType(n)
	for i, r := range n.MacPool.Ranges {
		c.macRange(elem("MacPool.Ranges", i), r)
	}
	c.dns("Dns", &n.DNS)
	c.networkFlags(n)
	seen := map[netip.Prefix]string{}
	for i := range n.Ipams {
		path := elem("Ipams", i)
		if t := n.Ipams[i].Type; t != "" && !ipamTypes.has(string(t)) {
			c.bad(ErrInvalidNetwork, path+".Type", string(t), "one of "+ipamTypes.list())
		}
		for j := range n.Ipams[i].Subnets {
			subPath := elem(path+".Subnets", j)
			prefix := c.subnet(subPath, n, &n.Ipams[i].Subnets[j], ErrInvalidNetwork)
			c.overlap(seen, prefix, subPath)
		}
	}
	c.families(n)
	c.policyList("Policies", n.Policies, policyScope{on: networkPolicy, net: n.networkType()})
	c.unknownMembers(n)
	return c.errs
}

// networkType is the type, NAT when the document has none (rule B4).
func (n *Network) networkType() NetworkType {
	if n.Type == "" {
		return NAT
	}
	return n.Type
}

func (c *checker) networkType(n *Network) {
	if n.Type != "" && !n.Type.Known() {
		c.bad(ErrInvalidNetworkType, "Type", string(n.Type), "one of "+networkTypes.list())
	}
	if n.Type == L2Tunnel && c.p.Knobs.L2TunnelNetworks == "refuse" {
		c.bad(ErrInvalidNetworkType, "Type", string(n.Type), "another type (knob l2tunnelNetworks)")
	}
}

func (c *checker) networkFlags(n *Network) {
	if n.Flags&DisableHostPort != 0 && !c.p.Supports(FeatureDisableHostPort) {
		c.featureMissing(ErrInvalidNetwork, "Flags", "DisableHostPort (1024)", FeatureDisableHostPort)
	}
}

func (c *checker) featureMissing(code Code, path, what, feature string) {
	f, _ := FindFeature(feature)
	c.add(ErrorAt(code, path, what, fmt.Sprintf("a service with %s (HNS %s); profile %s has HNS %s", feature, f.RangeText(), c.p.Name, c.p.Version)))
}

func (c *checker) macRange(path string, r MacRange) {
	before := len(c.errs)
	c.mac(ErrInvalidNetwork, path+".StartMacAddress", r.StartMacAddress)
	c.mac(ErrInvalidNetwork, path+".EndMacAddress", r.EndMacAddress)
	if len(c.errs) > before {
		return
	}
	first, _ := ParseMAC(r.StartMacAddress)
	last, _ := ParseMAC(r.EndMacAddress)
	if string(last[:]) < string(first[:]) {
		c.bad(ErrInvalidNetwork, path+".EndMacAddress", r.EndMacAddress, "an address not below StartMacAddress "+r.StartMacAddress)
	}
}

// overlap refuses two subnets of one network that share addresses.
func (c *checker) overlap(seen map[netip.Prefix]string, p netip.Prefix, path string) {
	if !p.IsValid() || p.Bits() == 0 {
		return
	}
	var clash string
	for other, where := range seen {
		if p.Overlaps(other) && (clash == "" || where < clash) {
			clash = where
		}
	}
	if clash != "" {
		c.bad(ErrInvalidNetwork, path+".IpAddressPrefix", p.String(), "a prefix that does not overlap that of "+clash)
	}
	seen[p] = path
}

// families checks which address families the network's subnets may have.
func (c *checker) families(n *Network) {
	var four, six int
	where := ""
	for i := range n.Ipams {
		for j, s := range n.Ipams[i].Subnets {
			p, err := parsePrefix(s.IpAddressPrefix, false)
			switch {
			case err != nil:
			case p.Addr().Is4():
				four++
			default:
				six++
				where = elem(elem("Ipams", i)+".Subnets", j) + ".IpAddressPrefix"
			}
		}
	}
	if six == 0 {
		return
	}
	switch t := n.networkType(); {
	case t == Overlay && !c.p.Knobs.IPv6Overlay:
		c.add(ErrorAt(ErrInvalidNetwork, where, "an IPv6 prefix", "IPv4 on an overlay network (knob ipv6.overlay)"))
	case t == NAT:
		c.add(ErrorAt(ErrInvalidNetwork, where, "an IPv6 prefix", "IPv4 on a NAT network (rule NAT-07)"))
	case t.UsesVFP() && !c.hasIPv6(t):
		c.featureMissing(ErrInvalidNetwork, where, "an IPv6 prefix", FeatureIPv6DualStack)
	case t.UsesVFP() && four == 0:
		c.add(ErrorAt(ErrInvalidNetwork, where, "IPv6 only", "an IPv4 subnet beside it (rule L2B-17)"))
	}
}

// hasIPv6 reports whether networks of a type with VFP may have IPv6 (rule
// L2B-17; sources disagree since when, D-10).
func (c *checker) hasIPv6(t NetworkType) bool {
	floor := map[string]int{"ws2022": build2022, "ws2019": build2019}[c.p.Knobs.IPv6L2Bridge]
	if floor == 0 || t != L2Bridge && t != L2Tunnel {
		return c.p.Supports(FeatureIPv6DualStack)
	}
	return c.p.OSBuild >= floor
}

// isAutoSubnet reports whether a subnet asks HNS to choose (moby sends
// 0.0.0.0/0 with the gateway 0.0.0.0).
func isAutoSubnet(s *Subnet, t NetworkType) bool {
	return (t == NAT || t == ICS) && (s.IpAddressPrefix == "" || s.IpAddressPrefix == defaultRoute4)
}

// IsAuto reports whether the subnet leaves its prefix to HNS.
func (s *Subnet) IsAuto(t NetworkType) bool { return isAutoSubnet(s, t) }

// subnet checks one subnet and returns its prefix, the zero prefix when it has
// none. code is the answer for its own members.
func (c *checker) subnet(path string, n *Network, s *Subnet, code Code) netip.Prefix {
	c.guid(path+".ID", s.ID)
	if isAutoSubnet(s, n.networkType()) {
		return netip.Prefix{}
	}
	prefix := c.prefix(code, path+".IpAddressPrefix", s.IpAddressPrefix, false)
	if prefix.IsValid() {
		c.subnetRoutes(path, s, prefix, code)
		c.ipSubnets(path, s.IpSubnets, prefix)
	}
	scope := policyScope{on: subnetPolicy, net: n.networkType()}
	c.policyList(path+".Policies", s.Policies, scope)
	if n.networkType() == Overlay {
		_, own := FindPolicy(s.Policies, PolicyVSID)
		_, shared := FindPolicy(n.Policies, PolicyVSID)
		if !own && !shared {
			c.add(ErrorAt(code, path+".Policies", "no VSID policy", "a VSID policy: every subnet of an overlay has one (rule OV-01)"))
		}
	}
	return prefix
}

func (c *checker) subnetRoutes(path string, s *Subnet, prefix netip.Prefix, code Code) {
	for i, r := range s.Routes {
		at := elem(path+".Routes", i)
		if isDefaultRoute(r) {
			gw := c.addr(code, at+".NextHop", r.NextHop)
			if gw.IsValid() && !prefix.Contains(gw) {
				c.bad(code, at+".NextHop", r.NextHop, "a gateway inside "+prefix.String())
			}
			continue
		}
		c.route(at, r, code)
	}
}

func (c *checker) route(path string, r Route, code Code) {
	if r.DestinationPrefix != "" || r.NextHop == "" {
		if _, err := parsePrefix(r.DestinationPrefix, false); err != nil {
			c.bad(code, path+".DestinationPrefix", r.DestinationPrefix, "a prefix such as 0.0.0.0/0")
		}
	}
	if r.NextHop != "" {
		c.addr(code, path+".NextHop", r.NextHop)
	}
}

func (c *checker) ipSubnets(path string, list []IpSubnet, within netip.Prefix) {
	for i, s := range list {
		at := elem(path+".IpSubnets", i)
		c.guid(at+".ID", s.ID)
		p := c.prefix(ErrInvalidIPSubnet, at+".IpAddressPrefix", s.IpAddressPrefix, false)
		if p.IsValid() && (p.Bits() < within.Bits() || !within.Contains(p.Addr())) {
			c.bad(ErrInvalidIPSubnet, at+".IpAddressPrefix", s.IpAddressPrefix, "a prefix inside the subnet's "+within.String())
		}
	}
}

// ValidateSubnets checks subnets that a modify request adds to a network; the
// codes are those of requests about subnets.
func ValidateSubnets(n *Network, list []Subnet, p *Profile) error {
	c := &checker{p: p}
	seen := map[netip.Prefix]string{}
	for _, s := range n.Subnets() {
		if q, err := parsePrefix(s.IpAddressPrefix, false); err == nil {
			seen[q] = "the subnet " + s.IpAddressPrefix
		}
	}
	for i := range list {
		path := elem("Subnets", i)
		prefix := c.subnet(path, n, &list[i], ErrInvalidSubnet)
		before := len(c.errs)
		c.overlap(seen, prefix, path)
		for _, e := range c.errs[before:] {
			e.Code = ErrInvalidSubnet
		}
	}
	return c.first()
}

// ValidateIPSubnets checks IP subnets that a modify request adds to a subnet.
func ValidateIPSubnets(s *Subnet, list []IpSubnet, p *Profile) error {
	c := &checker{p: p}
	within, err := parsePrefix(s.IpAddressPrefix, false)
	if err == nil {
		c.ipSubnets("", list, within)
	}
	for _, e := range c.errs {
		if len(e.Path) > 0 && e.Path[0] == '.' {
			e.Path = e.Path[1:]
		}
	}
	return c.first()
}
