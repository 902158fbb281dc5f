package hcn

import "strings"

func (v *V1Network) toV2() *Network {
	n := &Network{ID: v.ID, Name: v.Name, Base: v.Base, V1Type: string(v.Type), Policies: v.Policies,
		MacPool: MacPool{Ranges: v.MacPools}, DNS: dnsFromV1(v.DNSSuffix, v.DNSServerList), Flags: v.Flags,
		Health: v.v1Health.toV2(v.Health), SchemaVersion: v.SchemaVersion, Extras: v.Extras}
	n.Type = NetworkType(v.Type)
	if text, _, ok := networkTypes.lookup(string(v.Type)); ok {
		n.Type = NetworkType(text)
	}
	if len(v.Subnets) > 0 {
		ipam := Ipam{Type: "Static"}
		for i := range v.Subnets {
			ipam.Subnets = append(ipam.Subnets, v.Subnets[i].toV2())
		}
		n.Ipams = []Ipam{ipam}
	}
	n.Policies = addTopLevel(n.Policies, PolicyNetAdapterName, v.NetworkAdapterName)
	n.Policies = addTopLevel(n.Policies, PolicySourceMacAddress, v.SourceMac)
	n.Policies = addTopLevel(n.Policies, PolicyProviderAddress, v.ManagementIP)
	n.Policies = addTopLevel(n.Policies, PolicyDrMacAddress, v.DrMacAddress)
	if _, has := FindPolicy(n.Policies, PolicyAutomaticDNS); v.AutomaticDNS && !has {
		n.Policies = append(n.Policies, NewPolicy(PolicyAutomaticDNS, AutomaticDNSSettings{Enable: true}))
	}
	return n
}

func (n *Network) toV1() *V1Network {
	v := &V1Network{ID: n.ID, Name: n.Name, Base: n.Base, Type: v1NetworkType(n.V1Type), Policies: n.Policies,
		MacPools: n.MacPool.Ranges, Flags: n.Flags, SchemaVersion: n.SchemaVersion, Extras: n.Extras}
	if v.Type == "" {
		v.Type = v1NetworkType(n.Type)
	}
	v.DNSSuffix, v.DNSServerList = n.DNS.toV1()
	v.Health, v.v1Health = n.Health.toV1()
	for _, s := range n.Subnets() {
		v.Subnets = append(v.Subnets, s.toV1())
	}
	v.Policies, v.NetworkAdapterName = takePolicy(v.Policies, PolicyNetAdapterName,
		func(s *NetAdapterNameSettings) string { return s.NetworkAdapterName })
	v.Policies, v.SourceMac = takePolicy(v.Policies, PolicySourceMacAddress,
		func(s *SourceMacAddressSettings) string { return s.SourceMacAddress })
	v.Policies, v.ManagementIP = takePolicy(v.Policies, PolicyProviderAddress,
		func(s *ProviderAddressSettings) string { return s.ProviderAddress })
	v.Policies, v.DrMacAddress = takePolicy(v.Policies, PolicyDrMacAddress,
		func(s *DrMacAddressSettings) string { return s.Address })
	if p, ok := FindPolicy(v.Policies, PolicyAutomaticDNS); ok && len(p.Extras) == 0 && string(p.Settings) == `{"Enable":true}` {
		v.AutomaticDNS = true
		v.Policies = withoutPolicy(v.Policies, PolicyAutomaticDNS)
	}
	return v
}

func withoutPolicy(list []Policy, t PolicyType) []Policy {
	var out []Policy
	for _, p := range list {
		if p.Type != t {
			out = append(out, p)
		}
	}
	return out
}

// Endpoint flags that have a v1 member.
const v1FlagBits = RemoteEndpoint | DisableICC | EnableLowMetric

func (v *V1Endpoint) toV2() *Endpoint {
	e := &Endpoint{ID: v.ID, Name: v.Name, Base: v.Base, HostComputeNetwork: v.VirtualNetwork,
		HostComputeNamespace: v.Namespace.ID, Policies: v.Policies, DNS: dnsFromV1(v.DNSSuffix, v.DNSServerList),
		MacAddress: v.MacAddress, Flags: v.Flags, Health: v.v1Health.toV2(v.Health), SchemaVersion: v.SchemaVersion,
		Extras: v.Extras}
	for _, bit := range []struct {
		set  bool
		flag EndpointFlags
	}{{v.IsRemoteEndpoint, RemoteEndpoint}, {v.DisableICC, DisableICC}, {v.EnableLowInterfaceMetric, EnableLowMetric}} {
		if bit.set {
			e.Flags |= bit.flag
		}
	}
	if v.IPAddress != "" || v.PrefixLength != 0 || v.IPSubnetID != "" {
		e.IpConfigurations = append(e.IpConfigurations, IpConfig{IpAddress: v.IPAddress, PrefixLength: v.PrefixLength, IpSubnetId: v.IPSubnetID})
	}
	if v.IPv6Address != "" || v.IPv6PrefixLength != 0 || v.IPv6SubnetID != "" {
		e.IpConfigurations = append(e.IpConfigurations, IpConfig{IpAddress: v.IPv6Address, PrefixLength: v.IPv6PrefixLength, IpSubnetId: v.IPv6SubnetID})
	}
	if v.GatewayAddress != "" {
		e.Routes = append(e.Routes, defaultRouteFor(v.GatewayAddress))
	}
	if v.GatewayAddressV6 != "" {
		e.Routes = append(e.Routes, Route{NextHop: v.GatewayAddressV6, DestinationPrefix: defaultRoute6})
	}
	e.Routes = append(e.Routes, v.Routes...)
	if _, has := FindPolicy(e.Policies, PolicyEncapOverhead); v.EncapOverhead != 0 && !has {
		e.Policies = append(e.Policies, NewPolicy(PolicyEncapOverhead, EncapOverheadSettings{Overhead: v.EncapOverhead}))
	}
	return e
}

func (e *Endpoint) toV1() *V1Endpoint {
	v := &V1Endpoint{ID: e.ID, Name: e.Name, Base: e.Base, VirtualNetwork: e.HostComputeNetwork,
		Namespace: v1NamespaceRef{ID: e.HostComputeNamespace}, Policies: e.Policies, MacAddress: e.MacAddress,
		Flags: e.Flags &^ v1FlagBits, SchemaVersion: e.SchemaVersion, Extras: e.Extras,
		IsRemoteEndpoint: e.Flags&RemoteEndpoint != 0, DisableICC: e.Flags&DisableICC != 0,
		EnableLowInterfaceMetric: e.Flags&EnableLowMetric != 0}
	v.DNSSuffix, v.DNSServerList = e.DNS.toV1()
	v.Health, v.v1Health = e.Health.toV1()
	for _, c := range e.IpConfigurations {
		six := strings.Contains(c.IpAddress, ":")
		if six && v.IPv6Address == "" {
			v.IPv6Address, v.IPv6PrefixLength, v.IPv6SubnetID = c.IpAddress, c.PrefixLength, c.IpSubnetId
		} else if !six && v.IPAddress == "" {
			v.IPAddress, v.PrefixLength, v.IPSubnetID = c.IpAddress, c.PrefixLength, c.IpSubnetId
		}
	}
	v.GatewayAddress, v.Routes = takeGateway(e.Routes, defaultRoute4)
	v.GatewayAddressV6, v.Routes = takeGateway(v.Routes, defaultRoute6)
	if p, ok := FindPolicy(v.Policies, PolicyEncapOverhead); ok && len(p.Extras) == 0 {
		s, err := DecodeSettings[EncapOverheadSettings](p)
		if err == nil && s.Overhead != 0 && string(encodeSettings(s)) == string(p.Settings) && len(s.Extras) == 0 {
			v.EncapOverhead = s.Overhead
			v.Policies = withoutPolicy(v.Policies, PolicyEncapOverhead)
		}
	}
	return v
}

func (v *V1Namespace) toV2() *Namespace {
	n := &Namespace{ID: v.ID, Name: v.Name, Base: v.Base, NamespaceID: v.CompartmentID, Type: HostNamespace,
		Resources: v.ResourceList, Health: v.v1Health.toV2(v.Health), SchemaVersion: v.SchemaVersion, Extras: v.Extras}
	if v.IsDefault {
		n.Type = HostDefaultNamespace
	}
	return n
}

func (n *Namespace) toV1() *V1Namespace {
	v := &V1Namespace{ID: n.ID, Name: n.Name, Base: n.Base, ResourceList: n.Resources, CompartmentID: n.NamespaceID,
		IsDefault: n.Type == HostDefaultNamespace, SchemaVersion: n.SchemaVersion, Extras: n.Extras}
	v.Health, v.v1Health = n.Health.toV1()
	return v
}
