package hcn

import "strconv"

// schemaPass is the schema that brought the action Pass (section C.6).
var schemaPass = SchemaVersion{2, 10}

// acl checks an ACL policy by the rules of section C.6.
func (c *checker) acl(path string, s *ACLSettings) {
	c.action(path+".Action", s.Action)
	c.direction(path+".Direction", s.Direction)
	if s.RuleType != "" && !ruleTypes.has(string(s.RuleType)) {
		c.bad(ErrInvalidPolicy, path+".RuleType", string(s.RuleType), "one of "+ruleTypes.list())
	}
	c.aclTuple(path, s.Protocols, s.LocalAddresses, s.RemoteAddresses, s.LocalPorts, s.RemotePorts)
}

func (c *checker) action(path string, a ActionType) {
	switch {
	case !actionTypes.has(string(a)):
		c.bad(ErrInvalidPolicy, path, string(a), "one of "+actionTypes.list())
	case a == Pass && c.p.Schema.less(schemaPass):
		c.bad(ErrInvalidPolicy, path, string(a), "Allow or Block; Pass needs schema "+schemaPass.String())
	}
}

func (c *checker) direction(path string, d Direction) {
	if !directionTypes.has(string(d)) {
		c.bad(ErrInvalidPolicy, path, string(d), "one of "+directionTypes.list())
	}
}

// aclTuple checks the five lists that ACLs, tiers and proxy filters share.
func (c *checker) aclTuple(path, protocols, local, remote, localPorts, remotePorts string) {
	protos, err := ParseProtocols(protocols)
	if err != nil {
		c.add(&Error{Code: ErrInvalidPolicy, Path: path + ".Protocols", Detail: err.Error(), Expected: "numbers separated by commas; 256 is any"})
	}
	for _, n := range protos {
		if n == VXLANProtocol && !c.p.Supports(FeatureACL252) {
			c.featureMissing(ErrInvalidPolicy, path+".Protocols", strconv.Itoa(int(n)), FeatureACL252)
		}
	}
	for _, list := range [][2]string{{"LocalAddresses", local}, {"RemoteAddresses", remote}} {
		if _, err := ParseAddresses(list[1]); err != nil {
			c.add(&Error{Code: ErrInvalidPolicy, Path: path + "." + list[0], Detail: err.Error(),
				Expected: "addresses, prefixes or set ids separated by commas; empty is any"})
		}
	}
	for _, list := range [][2]string{{"LocalPorts", localPorts}, {"RemotePorts", remotePorts}} {
		ranges, err := ParsePorts(list[1])
		if err != nil {
			c.add(&Error{Code: ErrInvalidPolicy, Path: path + "." + list[0], Detail: err.Error(), Expected: "ports and ranges a-b separated by commas"})
		}
		if len(ranges) > 0 && !portProtocols(protos) {
			c.bad(ErrInvalidPolicy, path+"."+list[0], list[1], "no ports unless Protocols is 6, 17 or both")
		}
	}
}

// portProtocols reports whether every protocol of the list has ports.
func portProtocols(protos []uint16) bool {
	for _, n := range protos {
		if n != uint16(ProtoTCP) && n != uint16(ProtoUDP) {
			return false
		}
	}
	return len(protos) > 0
}

func (c *checker) tier(path string, s *TierACLSettings) {
	c.direction(path+".Direction", s.Direction)
	for i := range s.Rules {
		r, at := &s.Rules[i], elem(path+".TierAclRules", i)
		c.action(at+".TierAclRuleAction", r.Action)
		c.aclTuple(at, r.Protocols, r.LocalAddresses, r.RemoteAddresses, r.LocalPorts, r.RemotePorts)
	}
}

func (c *checker) l4Proxy(path string, s *L4ProxySettings) {
	c.addr(ErrInvalidPolicy, path+".IP", s.IP)
	c.proxyPort(path+".Port", s.Port)
	if s.Protocol != 0 && s.Protocol != ProtoTCP && s.Protocol != ProtoUDP {
		c.number(ErrInvalidPolicy, path+".Protocol", uint64(s.Protocol), "6 (TCP) or 17 (UDP)")
	}
	for i, e := range s.Exceptions {
		if _, err := parsePrefix(e, true); err != nil {
			c.bad(ErrInvalidPolicy, elem(path+".Exceptions", i), e, "an address or a prefix")
		}
	}
	if s.Destination != "" {
		if _, err := parsePrefix(s.Destination, true); err != nil {
			c.bad(ErrInvalidPolicy, path+".Destination", s.Destination, "an address or a prefix")
		}
	}
}

func (c *checker) proxyPort(path, port string) {
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		c.bad(ErrInvalidPolicy, path, port, "a port as text, from 1 to 65535")
	}
}

func (c *checker) l4WFPProxy(path string, s *L4WFPProxySettings) {
	if s.InboundProxyPort == "" && s.OutboundProxyPort == "" {
		c.bad(ErrInvalidPolicy, path+".OutboundProxyPort", "", "a proxy port for at least one direction")
	}
	for _, port := range [][2]string{{"InboundProxyPort", s.InboundProxyPort}, {"OutboundProxyPort", s.OutboundProxyPort}} {
		if port[1] != "" {
			c.proxyPort(path+"."+port[0], port[1])
		}
	}
	t := &s.FilterTuple
	c.aclTuple(path+".FilterTuple", t.Protocols, t.LocalAddresses, t.RemoteAddresses, t.LocalPorts, t.RemotePorts)
	for _, x := range []struct {
		name string
		list *ProxyExceptions
	}{{"InboundExceptions", &s.InboundExceptions}, {"OutboundExceptions", &s.OutboundExceptions}} {
		for i, a := range x.list.IpAddressExceptions {
			if _, err := parsePrefix(a, true); err != nil {
				c.bad(ErrInvalidPolicy, elem(path+"."+x.name+".IpAddressExceptions", i), a, "an address or a prefix")
			}
		}
		for i, p := range x.list.PortExceptions {
			if _, err := ParsePorts(p); err != nil || p == "" {
				c.bad(ErrInvalidPolicy, elem(path+"."+x.name+".PortExceptions", i), p, "a port")
			}
		}
	}
}
