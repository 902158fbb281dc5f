package hcn

import "strconv"

// ValidateEndpoint checks an endpoint that is to be created on a network of
// the given type. What depends on the network's subnets and on other
// endpoints is for package hns to check.
func ValidateEndpoint(e *Endpoint, net NetworkType, p *Profile) error {
	errs := CheckEndpoint(e, net, p)
	return (&checker{errs: errs}).first()
}

// CheckEndpoint returns everything that is wrong with an endpoint. net is ""
// when the network is not known: rules about network types are left out then.
func CheckEndpoint(e *Endpoint, net NetworkType, p *Profile) []*Error {
	c := &checker{p: p}
	c.guid("ID", e.ID)
	c.guid("HostComputeNetwork", e.HostComputeNetwork)
	c.guid("HostComputeNamespace", e.HostComputeNamespace)
	if e.MacAddress != "" {
		c.mac(ErrInvalidEndpoint, "MacAddress", e.MacAddress)
	}
	for i, ip := range e.IpConfigurations {
		c.ipConfig(elem("IpConfigurations", i), ip)
	}
	for i, r := range e.Routes {
		c.route(elem("Routes", i), r, ErrInvalidEndpoint)
	}
	c.dns("Dns", &e.DNS)
	if e.Flags&RemoteEndpoint != 0 {
		c.remote(e, net)
	}
	c.policyList("Policies", e.Policies, policyScope{on: endpointPolicy, net: net, remote: e.Flags&RemoteEndpoint != 0})
	c.unknownMembers(e)
	return c.errs
}

func (c *checker) ipConfig(path string, ip IpConfig) {
	c.guid(path+".IpSubnetId", ip.IpSubnetId)
	if ip.IpAddress == "" {
		return // HNS chooses an address of the subnet
	}
	a := c.addr(ErrInvalidIP, path+".IpAddress", ip.IpAddress)
	if !a.IsValid() {
		return
	}
	if a.IsMulticast() || a.IsUnspecified() || a.IsLoopback() {
		c.bad(ErrInvalidIP, path+".IpAddress", ip.IpAddress, "an address that an interface can have")
	}
	switch {
	case int(ip.PrefixLength) > a.BitLen():
		c.number(ErrInvalidPrefix, path+".PrefixLength", uint64(ip.PrefixLength), "at most "+strconv.Itoa(a.BitLen()))
	case a.Is4() && ip.PrefixLength == 32 && !c.p.Supports(FeatureSlash32):
		c.featureMissing(ErrInvalidPrefix, path+".PrefixLength", "32", FeatureSlash32)
	}
}

// remote checks what an overlay must be told of another host's endpoint: the
// data plane never learns it from traffic (rule OV-04).
func (c *checker) remote(e *Endpoint, net NetworkType) {
	if len(e.IpConfigurations) == 0 || e.IpConfigurations[0].IpAddress == "" {
		c.add(ErrorAt(ErrInvalidEndpoint, "IpConfigurations", "no address", "the address of the remote endpoint"))
	}
	if net != Overlay {
		return
	}
	if e.MacAddress == "" {
		c.add(ErrorAt(ErrInvalidEndpoint, "MacAddress", "nothing", "the MAC address of the remote endpoint"))
	}
	if _, ok := FindPolicy(e.Policies, PolicyProviderAddress); !ok {
		c.add(ErrorAt(ErrInvalidEndpoint, "Policies", "no ProviderAddress policy", "the address of the host that owns the remote endpoint"))
	}
}

// ValidateNamespace checks a namespace that is to be created.
func ValidateNamespace(n *Namespace, p *Profile) error {
	errs := CheckNamespace(n, p)
	return (&checker{errs: errs}).first()
}

// CheckNamespace returns everything that is wrong with a namespace.
func CheckNamespace(n *Namespace, p *Profile) []*Error {
	c := &checker{p: p}
	c.guid("ID", n.ID)
	c.guid("NamespaceGuid", n.NamespaceGUID)
	if n.Type != "" && !namespaceTypes.has(string(n.Type)) {
		c.bad(ErrInvalidParameter, "Type", string(n.Type), "one of "+namespaceTypes.list())
	}
	for i, r := range n.Resources {
		if !nsResourceTypes.has(string(r.Type)) {
			c.bad(ErrInvalidParameter, elem("Resources", i)+".Type", string(r.Type), "one of "+nsResourceTypes.list())
		}
		if r.Type == EndpointResource {
			c.guid(elem("Resources", i)+".Data.Id", r.Data.ID)
		}
	}
	c.unknownMembers(n)
	return c.errs
}

// maxBackends is the number of backends that a load balancer may have (0.6).
const maxBackends = 1024

// ValidateLoadBalancer checks a load balancer that is to be created.
func ValidateLoadBalancer(l *LoadBalancer, p *Profile) error {
	errs := CheckLoadBalancer(l, p)
	return (&checker{errs: errs}).first()
}

// CheckLoadBalancer returns everything that is wrong with a load balancer.
func CheckLoadBalancer(l *LoadBalancer, p *Profile) []*Error {
	c := &checker{p: p}
	c.guid("ID", l.ID)
	c.guid("HostComputeNetwork", l.HostComputeNetwork)
	c.endpointRefs(l.HostComputeEndpoints)
	if n := len(l.HostComputeEndpoints); n > maxBackends {
		c.number(ErrInvalidParameter, "HostComputeEndpoints", uint64(n), "at most "+strconv.Itoa(maxBackends)+" endpoints")
	}
	if l.SourceVIP != "" {
		c.addr(ErrInvalidIP, "SourceVIP", l.SourceVIP)
	}
	for i, v := range l.FrontendVIPs {
		c.addr(ErrInvalidIP, elem("FrontendVIPs", i), v)
	}
	if len(l.PortMappings) == 0 {
		c.add(ErrorAt(ErrInvalidPolicy, "PortMappings", "an empty list", "at least one port"))
	}
	type frontend struct {
		proto ProtocolNumber
		port  uint16
	}
	seen := map[frontend]bool{}
	for i, m := range l.PortMappings {
		path := elem("PortMappings", i)
		c.lbPort(path, m)
		f := frontend{m.Protocol, m.ExternalPort}
		if seen[f] {
			c.number(ErrPortAlreadyExists, path+".ExternalPort", uint64(m.ExternalPort), "a port that no other mapping of the load balancer has")
		}
		seen[f] = true
	}
	c.unknownMembers(l)
	return c.errs
}

func (c *checker) endpointRefs(ids []string) {
	if len(ids) == 0 {
		c.add(&Error{Code: ErrInvalidJSONReference, Path: "HostComputeEndpoints", Detail: "A Reference is required", Found: "an empty list"})
	}
	for i, id := range ids {
		if id == "" {
			c.bad(ErrInvalidJSONReference, elem("HostComputeEndpoints", i), id, "the id of an endpoint")
		}
		c.guid(elem("HostComputeEndpoints", i), id)
	}
}

func (c *checker) lbPort(path string, m PortMapping) {
	if m.Flags&UseMux != 0 && c.p.Knobs.LBUseMux == "refuse" {
		c.number(ErrInvalidPolicy, path+".Flags", uint64(m.Flags), "no flag UseMux (4), which the schema does not use (knob lbUseMux)")
	}
	if m.Protocol != ProtoTCP && m.Protocol != ProtoUDP { // SCTP is not in ProtocolType (rule LB-20)
		c.number(ErrInvalidPolicy, path+".Protocol", uint64(m.Protocol), "6 (TCP) or 17 (UDP)")
	}
	if m.InternalPort == 0 {
		c.number(ErrInvalidInternalPort, path+".InternalPort", 0, "a port from 1 to 65535")
	}
	if m.ExternalPort == 0 {
		c.number(ErrInvalidPolicy, path+".ExternalPort", 0, "a port from 1 to 65535")
	}
	if m.DistributionType > maxKnownDistribution {
		c.number(ErrInvalidPolicy, path+".DistributionType", uint64(m.DistributionType), "0, 1 or 2")
	}
}

// ValidateSDNRoute checks a route object that is to be created. Destinations
// with host bits are legal: clients send 169.254.169.254/24 (C.4).
func ValidateSDNRoute(r *SDNRoute, p *Profile) error {
	errs := CheckSDNRoute(r, p)
	return (&checker{errs: errs}).first()
}

// CheckSDNRoute returns everything that is wrong with a route object.
func CheckSDNRoute(r *SDNRoute, p *Profile) []*Error {
	c := &checker{p: p}
	c.guid("ID", r.ID)
	c.guid("HostComputeNetwork", r.HostComputeNetwork)
	c.endpointRefs(r.HostComputeEndpoints)
	if len(r.Routes) == 0 {
		c.add(ErrorAt(ErrInvalidPolicy, "Routes", "an empty list", "at least one route"))
	}
	for i := range r.Routes {
		c.sdnRoute(elem("Routes", i), &r.Routes[i])
	}
	c.unknownMembers(r)
	return c.errs
}

func (c *checker) sdnRoute(path string, s *SDNRouteSettings) {
	if _, err := parsePrefix(s.DestinationPrefix, false); err != nil {
		c.bad(ErrInvalidPolicy, path+".DestinationPrefix", s.DestinationPrefix, "a prefix such as 10.96.0.0/12")
	}
	if s.NextHop != "" {
		c.addr(ErrInvalidPolicy, path+".NextHop", s.NextHop)
	}
}
