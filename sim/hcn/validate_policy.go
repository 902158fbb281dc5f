package hcn

import (
	"fmt"
	"strconv"
	"strings"
)

// policyScope says where a policy stands.
type policyScope struct {
	on     context
	net    NetworkType // "" when not known
	remote bool
}

// ValidatePolicies checks a policy list of a network ("network"), a subnet or
// an endpoint, as a modify request brings it. Paths start at prefix.
func ValidatePolicies(list []Policy, on string, net NetworkType, p *Profile, prefix string) error {
	c := &checker{p: p}
	scope := policyScope{on: endpointPolicy, net: net}
	switch on {
	case "network":
		scope.on = networkPolicy
	case "subnet":
		scope.on = subnetPolicy
	}
	c.policyList(prefix, list, scope)
	return c.first()
}

// gate is the condition for a policy type: a feature of the service, a
// version of the service, or a version of the schema.
type gate struct {
	feature      string
	major, minor uint32 // HNS version
	schema       SchemaVersion
}

var gates = map[PolicyType]gate{
	PolicyACL:                 {feature: FeatureACL},
	PolicyL2Driver:            {major: 5, minor: 1},
	PolicyOutBoundNAT:         {major: 5, minor: 1},
	PolicySDNRoute:            {major: 5, minor: 1},
	PolicyL4Proxy:             {feature: FeatureL4Proxy},
	PolicyL4WFPProxy:          {feature: FeatureL4WfpProxy},
	PolicyTierACL:             {feature: FeatureTierACL},
	PolicyEncryption:          {schema: SchemaVersion{2, 1}},
	PolicyInterfaceParameters: {schema: SchemaVersion{2, 4}},
	PolicyIov:                 {schema: SchemaVersion{2, 9}},
	PolicyFirewall:            {schema: SchemaVersion{2, 16}},
	PolicyRemoteSubnetRoute:   {feature: FeatureRemoteSubnet},
	PolicyVxlanPort:           {feature: FeatureVxlanPort},
	PolicyHostRoute:           {feature: FeatureHostRoute},
	PolicySetPolicy:           {feature: FeatureSetPolicy},
	PolicyNetworkACL:          {feature: FeatureNetworkACL},
}

// endpointVLANSchema is when endpoints got the VLAN policy; subnets always
// had it.
var endpointVLANSchema = SchemaVersion{2, 4}

func (v SchemaVersion) less(o SchemaVersion) bool {
	return v.Major < o.Major || v.Major == o.Major && v.Minor < o.Minor
}

func (v SchemaVersion) String() string { return fmt.Sprintf("%d.%d", v.Major, v.Minor) }

// gated reports a policy type that the profile's service does not have yet.
func (c *checker) gated(path string, t PolicyType, scope policyScope) bool {
	g := gates[t]
	if t == PolicyVLAN && scope.on == endpointPolicy {
		g.schema = endpointVLANSchema
	}
	version := HNSVersion{g.major, g.minor}
	switch {
	case g.feature != "" && !c.p.Supports(g.feature):
		c.featureMissing(ErrInvalidPolicyType, path, string(t), g.feature)
	case c.p.Version.Less(version):
		c.add(ErrorAt(ErrInvalidPolicyType, path, string(t), fmt.Sprintf("HNS %s or later; profile %s has HNS %s", version, c.p.Name, c.p.Version)))
	case c.p.Schema.less(g.schema):
		c.add(ErrorAt(ErrInvalidPolicyType, path, string(t), fmt.Sprintf("schema %s or later; profile %s has schema %s", g.schema, c.p.Name, c.p.Schema)))
	default:
		return false
	}
	return true
}

func (c *checker) policyList(path string, list []Policy, scope policyScope) {
	seenParameters := false
	sets := map[string]bool{}
	for i, p := range list {
		at := elem(path, i)
		c.policy(at, p, scope)
		switch p.Type {
		case PolicyInterfaceParameters:
			if seenParameters {
				c.add(ErrorAt(ErrInterfaceParametersApplied, at, "a second InterfaceParameters policy", "one"))
			}
			seenParameters = true
		case PolicySetPolicy:
			s, err := DecodeSettings[SetPolicySettings](p)
			if err != nil || s.ID == "" {
				continue
			}
			if sets[s.ID] {
				c.bad(ErrPolicyAlreadyExists, at+".Settings.Id", s.ID, "an id that no other set has")
			}
			sets[s.ID] = true
		}
	}
}

func (c *checker) policy(path string, p Policy, scope policyScope) {
	s := findSpec(p.Type)
	if s == nil || !s.standsOn(scope.on) {
		names := PolicyTypes(strings.Fields(scope.on.String())[1])
		texts := make([]string, len(names))
		for i, n := range names {
			texts[i] = string(n)
		}
		found := strconv.Quote(clip(string(p.Type)))
		if s != nil {
			found += " on " + scope.on.String()
		}
		c.add(ErrorAt(ErrInvalidPolicyType, path+".Type", found, "a policy of "+scope.on.String()+suggest(string(p.Type), texts)))
		return
	}
	if c.gated(path+".Type", p.Type, scope) {
		return
	}
	settings := s.settings()
	if p.Settings != nil {
		if _, err := settingsInto(p.Settings, settings); err != nil {
			c.add(err.at(path))
			return
		}
	}
	c.overlayOnly(path, p.Type, scope)
	if p.Type == PolicyVSID {
		c.vsid(path+".Settings.IsolationId", settings.(*IsolationSettings).IsolationID)
		return
	}
	c.settings(path+".Settings", settings, scope)
}

// overlayOnly refuses policies that have no meaning without encapsulation.
func (c *checker) overlayOnly(path string, t PolicyType, scope policyScope) {
	if scope.net == "" || scope.net == Overlay {
		return
	}
	switch t {
	case PolicyRemoteSubnetRoute, PolicyVxlanPort, PolicyDrMacAddress, PolicyNeighborDiscovery, PolicyVSID:
		c.add(ErrorAt(ErrInvalidPolicy, path+".Type", string(t)+" on a network of type "+string(scope.net), "an Overlay network"))
	}
}

// settings checks decoded settings by their type.
func (c *checker) settings(path string, settings any, scope policyScope) {
	switch s := settings.(type) {
	case *PortMappingSettings:
		c.portMapping(path, s, scope)
	case *ACLSettings:
		c.acl(path, s)
	case *OutBoundNATSettings:
		c.outboundNAT(path, s)
	case *SDNRouteSettings:
		c.sdnRoute(path, s)
	case *L4ProxySettings:
		c.l4Proxy(path, s)
	case *L4WFPProxySettings:
		c.l4WFPProxy(path, s)
	case *ProviderAddressSettings:
		c.addr(ErrInvalidPolicy, path+".ProviderAddress", s.ProviderAddress)
	case *InterfaceConstraintSettings:
		if s.InterfaceGuid != "" && !IsGUID(s.InterfaceGuid) {
			c.bad(ErrInvalidPolicy, path+".InterfaceGuid", s.InterfaceGuid, "a GUID")
		}
	case *IsolationSettings:
		c.vlan(path+".IsolationId", s.IsolationID)
	case *InterfaceParametersSettings:
		if s.MTU != 0 && s.MTU < 576 {
			c.number(ErrInvalidPolicy, path+".Mtu", uint64(s.MTU), "at least 576")
		}
	case *TierACLSettings:
		c.tier(path, s)
	case *FirewallSettings:
		if s.VMType != "" && !firewallVMTypes.has(string(s.VMType)) {
			c.bad(ErrInvalidPolicy, path+".VmType", string(s.VMType), "one of "+firewallVMTypes.list())
		}
	default:
		c.networkSettings(path, settings)
	}
}

func (c *checker) networkSettings(path string, settings any) {
	switch s := settings.(type) {
	case *SourceMacAddressSettings:
		c.mac(ErrInvalidPolicy, path+".SourceMacAddress", s.SourceMacAddress)
	case *NetAdapterNameSettings:
		if s.NetworkAdapterName == "" {
			c.bad(ErrInvalidPolicy, path+".NetworkAdapterName", "", "the name of an adapter")
		}
	case *VSwitchExtensionSettings:
		if !IsGUID(s.ExtensionID) {
			c.bad(ErrInvalidPolicy, path+".ExtensionID", s.ExtensionID, "the GUID of an extension")
		}
	case *DrMacAddressSettings:
		c.mac(ErrInvalidPolicy, path+".Address", s.Address)
	case *RemoteSubnetRouteSettings:
		c.prefix(ErrInvalidPolicy, path+".DestinationPrefix", s.DestinationPrefix, false)
		c.vsid(path+".IsolationId", s.IsolationID)
		c.addr(ErrInvalidPolicy, path+".ProviderAddress", s.ProviderAddress)
		c.mac(ErrInvalidPolicy, path+".DistributedRouterMacAddress", s.DistributedRouterMacAddress)
	case *VxlanPortSettings:
		if s.Port == 0 {
			c.number(ErrInvalidPolicy, path+".Port", 0, "a UDP port from 1 to 65535")
		}
	case *SetPolicySettings:
		c.set(path, s)
	case *LayerConstraintSettings:
		if !IsGUID(s.LayerID) {
			c.bad(ErrInvalidPolicy, path+".LayerId", s.LayerID, "the GUID of a layer")
		}
	case *NeighborDiscoverySettings:
		c.mac(ErrInvalidPolicy, path+".SenderMacAddress", s.SenderMacAddress)
	}
}

func (c *checker) portMapping(path string, s *PortMappingSettings, scope policyScope) {
	switch scope.net {
	case Transparent, Private, Internal:
		c.add(ErrorAt(ErrMappingNotSupported, path, "a port mapping on a "+string(scope.net)+" network", "a NAT, Overlay or L2Bridge network"))
		return
	}
	if s.InternalPort == 0 {
		c.number(ErrInvalidInternalPort, path+".InternalPort", 0, "a port from 1 to 65535")
	}
	if s.Protocol != ProtoTCP && s.Protocol != ProtoUDP {
		c.number(ErrInvalidPolicy, path+".Protocol", uint64(s.Protocol), "6 (TCP) or 17 (UDP)")
	}
	if s.VIP != "" {
		c.addr(ErrInvalidPolicy, path+".VIP", s.VIP)
		if c.p.Knobs.PortMappingVIP == "refuse" {
			c.bad(ErrInvalidPolicy, path+".VIP", s.VIP, "no address (knob portMappingVip)")
		}
	}
	vfp := scope.net == L2Bridge || scope.net == L2Tunnel
	if vfp && c.p.Knobs.L2BridgePorts == "flag" && s.Flags&NatLocalRoutedVip == 0 {
		c.number(ErrPortAlreadyExists, path+".Flags", uint64(s.Flags), "LocalRoutedVip (1) on a "+string(scope.net)+" network (knob l2bridgePortMapping)")
	}
}

func (c *checker) outboundNAT(path string, s *OutBoundNATSettings) {
	if s.VirtualIP != "" {
		c.addr(ErrInvalidPolicy, path+".VirtualIP", s.VirtualIP)
	}
	for _, list := range []struct {
		name  string
		items []string
	}{{"Exceptions", s.Exceptions}, {"Destinations", s.Destinations}} {
		for i, item := range list.items {
			at := elem(path+"."+list.name, i)
			if c.p.Knobs.NATExceptionHostBits == "refuse" {
				c.prefix(ErrInvalidPolicy, at, item, true)
			} else if _, err := parsePrefix(item, true); err != nil {
				c.bad(ErrInvalidPolicy, at, item, "a prefix such as 10.244.0.0/16")
			}
		}
	}
}

func (c *checker) vlan(path string, id uint32) {
	if id < 1 || id > 4094 {
		c.number(ErrInvalidPolicy, path, uint64(id), "a VLAN id from 1 to 4094")
	}
}

// Bounds of a VSID (contract section 0.6).
const (
	minVSID = 4096
	maxVSID = 1<<24 - 2
)

func (c *checker) vsid(path string, id uint32) {
	low := uint32(minVSID)
	if c.p.Knobs.SwarmCompat {
		low = 1
	}
	if c.p.Knobs.VSIDOnly4096 && id != minVSID {
		c.number(ErrInvalidPolicy, path, uint64(id), "the VSID 4096 (knob vsidOnly4096)")
		return
	}
	if id < low || id > maxVSID {
		c.number(ErrInvalidPolicy, path, uint64(id), fmt.Sprintf("a VSID from %d to %d", low, maxVSID))
	}
}

func (c *checker) set(path string, s *SetPolicySettings) {
	if s.ID == "" {
		c.bad(ErrInvalidPolicy, path+".Id", "", "an id that ACLs can name")
	}
	switch s.Type {
	case IPSet, "":
		if _, err := ParseSetValues(s.Values); err != nil {
			c.add(&Error{Code: ErrInvalidPolicy, Path: path + ".Values", Detail: err.Error()})
		}
	case NestedIPSet:
		if !c.p.Supports(FeatureNestedIPSet) {
			c.featureMissing(ErrInvalidPolicyType, path+".PolicyType", string(NestedIPSet), FeatureNestedIPSet)
		}
	default:
		c.bad(ErrInvalidPolicy, path+".PolicyType", string(s.Type), "one of "+setPolicyTypes.list())
	}
}
