package hcntest

import "encoding/json"

// EndpointPolicyType names a policy of endpoints.
type EndpointPolicyType string

// Policies of endpoints.
const (
	PortMapping                EndpointPolicyType = "PortMapping"
	ACL                        EndpointPolicyType = "ACL"
	QOS                        EndpointPolicyType = "QOS"
	L2Driver                   EndpointPolicyType = "L2Driver"
	OutBoundNAT                EndpointPolicyType = "OutBoundNAT"
	SDNRoute                   EndpointPolicyType = "SDNRoute"
	L4Proxy                    EndpointPolicyType = "L4Proxy"
	L4WFPPROXY                 EndpointPolicyType = "L4WFPPROXY"
	PortName                   EndpointPolicyType = "PortName"
	EncapOverhead              EndpointPolicyType = "EncapOverhead"
	IOV                        EndpointPolicyType = "Iov"
	NetworkProviderAddress     EndpointPolicyType = "ProviderAddress"
	NetworkInterfaceConstraint EndpointPolicyType = "InterfaceConstraint"
	TierAcl                    EndpointPolicyType = "TierAcl"
)

// EndpointPolicy is a policy of an endpoint.
type EndpointPolicy struct {
	Type     EndpointPolicyType `json:""`
	Settings json.RawMessage    `json:",omitempty"`
}

// NetworkPolicyType names a policy of networks.
type NetworkPolicyType string

// Policies of networks.
const (
	SourceMacAddress    NetworkPolicyType = "SourceMacAddress"
	NetAdapterName      NetworkPolicyType = "NetAdapterName"
	VSwitchExtension    NetworkPolicyType = "VSwitchExtension"
	DrMacAddress        NetworkPolicyType = "DrMacAddress"
	AutomaticDNS        NetworkPolicyType = "AutomaticDNS"
	InterfaceConstraint NetworkPolicyType = "InterfaceConstraint"
	ProviderAddress     NetworkPolicyType = "ProviderAddress"
	RemoteSubnetRoute   NetworkPolicyType = "RemoteSubnetRoute"
	VxlanPort           NetworkPolicyType = "VxlanPort"
	HostRoute           NetworkPolicyType = "HostRoute"
	SetPolicy           NetworkPolicyType = "SetPolicy"
	NetworkL4Proxy      NetworkPolicyType = "L4Proxy"
	LayerConstraint     NetworkPolicyType = "LayerConstraint"
	NetworkACL          NetworkPolicyType = "NetworkACL"
)

// NetworkPolicy is a policy of a network.
type NetworkPolicy struct {
	Type     NetworkPolicyType `json:""`
	Settings json.RawMessage   `json:",omitempty"`
}

// SubnetPolicyType names a policy of subnets.
type SubnetPolicyType string

// Policies of subnets.
const (
	VLAN SubnetPolicyType = "VLAN"
	VSID SubnetPolicyType = "VSID"
)

// SubnetPolicy is a policy of a subnet.
type SubnetPolicy struct {
	Type     SubnetPolicyType `json:""`
	Settings json.RawMessage  `json:",omitempty"`
}

// NatFlags of port mappings and outbound NAT.
type NatFlags uint32

// Flags of NAT policies.
const (
	NatFlagsNone           NatFlags = 0
	NatFlagsLocalRoutedVip NatFlags = 1
	NatFlagsIPv6           NatFlags = 2
)

// PortMappingPolicySetting publishes a port of the container on the host.
type PortMappingPolicySetting struct {
	Protocol     uint32   `json:",omitempty"` // 6 TCP, 17 UDP
	InternalPort uint16   `json:",omitempty"`
	ExternalPort uint16   `json:",omitempty"` // 0: HNS chooses one
	VIP          string   `json:",omitempty"`
	Flags        NatFlags `json:",omitempty"`
}

// ActionType of an ACL.
type ActionType string

// DirectionType of an ACL, seen from the endpoint.
type DirectionType string

// RuleType of an ACL.
type RuleType string

// Values of ACLs.
const (
	ActionTypeAllow ActionType = "Allow"
	ActionTypeBlock ActionType = "Block"
	ActionTypePass  ActionType = "Pass"

	DirectionTypeIn  DirectionType = "In"
	DirectionTypeOut DirectionType = "Out"

	RuleTypeHost   RuleType = "Host"
	RuleTypeSwitch RuleType = "Switch"
)

// AclPolicySetting is an ACL of an endpoint.
type AclPolicySetting struct {
	Protocols       string        `json:",omitempty"` // comma list of numbers
	Action          ActionType    `json:""`
	Direction       DirectionType `json:""`
	LocalAddresses  string        `json:",omitempty"`
	RemoteAddresses string        `json:",omitempty"`
	LocalPorts      string        `json:",omitempty"`
	RemotePorts     string        `json:",omitempty"`
	RuleType        RuleType      `json:",omitempty"`
	Priority        uint16        `json:",omitempty"`
}

// QosPolicySetting caps what an endpoint sends, in bytes per second.
type QosPolicySetting struct {
	MaximumOutgoingBandwidthInBytes uint64
}

// OutboundNatPolicySetting translates what leaves the endpoint.
type OutboundNatPolicySetting struct {
	VirtualIP        string   `json:",omitempty"`
	Exceptions       []string `json:",omitempty"`
	Destinations     []string `json:",omitempty"`
	Flags            NatFlags `json:",omitempty"`
	MaxPortPoolUsage uint16   `json:",omitempty"`
}

// SDNRoutePolicySetting is a route for an endpoint.
type SDNRoutePolicySetting struct {
	DestinationPrefix string `json:",omitempty"`
	NextHop           string `json:",omitempty"`
	NeedEncap         bool   `json:",omitempty"`
}

// NetworkACLPolicySetting is an ACL for all endpoints of a network.
type NetworkACLPolicySetting struct {
	Protocols       string        `json:",omitempty"`
	Action          ActionType    `json:""`
	Direction       DirectionType `json:""`
	LocalAddresses  string        `json:",omitempty"`
	RemoteAddresses string        `json:",omitempty"`
	LocalPorts      string        `json:",omitempty"`
	RemotePorts     string        `json:",omitempty"`
	RuleType        RuleType      `json:",omitempty"`
	Priority        uint16        `json:",omitempty"`
}

// FiveTuple selects flows for L4WfpProxyPolicySetting.
type FiveTuple struct {
	Protocols       string `json:",omitempty"`
	LocalAddresses  string `json:",omitempty"`
	RemoteAddresses string `json:",omitempty"`
	LocalPorts      string `json:",omitempty"`
	RemotePorts     string `json:",omitempty"`
	Priority        uint16 `json:",omitempty"`
}

// ProxyExceptions are addresses and ports that are not redirected.
type ProxyExceptions struct {
	IpAddressExceptions []string `json:",omitempty"`
	PortExceptions      []string `json:",omitempty"`
}

// L4WfpProxyPolicySetting redirects connections inside the container.
type L4WfpProxyPolicySetting struct {
	InboundProxyPort   string          `json:",omitempty"`
	OutboundProxyPort  string          `json:",omitempty"`
	FilterTuple        FiveTuple       `json:",omitempty"`
	UserSID            string          `json:",omitempty"`
	InboundExceptions  ProxyExceptions `json:",omitempty"`
	OutboundExceptions ProxyExceptions `json:",omitempty"`
}

// PortnameEndpointPolicySetting names the switch port.
type PortnameEndpointPolicySetting struct {
	Name string `json:",omitempty"`
}

// EncapOverheadEndpointPolicySetting is taken from the MTU, in bytes.
type EncapOverheadEndpointPolicySetting struct {
	Overhead uint16 `json:",omitempty"`
}

// IovPolicySetting asks for SR-IOV.
type IovPolicySetting struct {
	IovOffloadWeight    uint32 `json:",omitempty"`
	QueuePairsRequested uint32 `json:",omitempty"`
	InterruptModeration uint32 `json:",omitempty"`
}

// ProviderAddressEndpointPolicySetting is the address of the host that owns a
// remote endpoint.
type ProviderAddressEndpointPolicySetting struct {
	ProviderAddress string `json:",omitempty"`
}

// InterfaceConstraintPolicySetting binds to an adapter.
type InterfaceConstraintPolicySetting struct {
	InterfaceGuid        string `json:",omitempty"`
	InterfaceLuid        uint64 `json:",omitempty"`
	InterfaceIndex       uint32 `json:",omitempty"`
	InterfaceMediaType   uint32 `json:",omitempty"`
	InterfaceAlias       string `json:",omitempty"`
	InterfaceDescription string `json:",omitempty"`
}

// SourceMacAddressNetworkPolicySetting is the source MAC of what leaves.
type SourceMacAddressNetworkPolicySetting struct {
	SourceMacAddress string `json:",omitempty"`
}

// NetAdapterNameNetworkPolicySetting names the uplink.
type NetAdapterNameNetworkPolicySetting struct {
	NetworkAdapterName string `json:",omitempty"`
}

// ProviderAddressNetworkPolicySetting is the host's address on the uplink; HNS
// sets it.
type ProviderAddressNetworkPolicySetting struct {
	ProviderAddress string `json:",omitempty"`
}

// VSwitchExtensionNetworkPolicySetting switches an extension.
type VSwitchExtensionNetworkPolicySetting struct {
	ExtensionID string `json:",omitempty"`
	Enable      bool   `json:",omitempty"`
}

// DrMacAddressNetworkPolicySetting is the distributed router's MAC.
type DrMacAddressNetworkPolicySetting struct {
	Address string `json:",omitempty"`
}

// AutomaticDNSNetworkPolicySetting copies the host's DNS servers.
type AutomaticDNSNetworkPolicySetting struct {
	Enable bool `json:",omitempty"`
}

// LayerConstraintNetworkPolicySetting asks for a layer.
type LayerConstraintNetworkPolicySetting struct {
	LayerId string `json:",omitempty"`
}

// VlanPolicySetting is the VLAN of a subnet.
type VlanPolicySetting struct {
	IsolationId uint32 `json:""`
}

// VsidPolicySetting is the VSID of a subnet.
type VsidPolicySetting struct {
	IsolationId uint32 `json:""`
}

// RemoteSubnetRoutePolicySetting is a route to another host's pods.
type RemoteSubnetRoutePolicySetting struct {
	DestinationPrefix           string
	IsolationId                 uint16
	ProviderAddress             string
	DistributedRouterMacAddress string
}

// SetPolicyType is the kind of a set.
type SetPolicyType string

// Kinds of sets.
const (
	SetPolicyTypeIpSet       SetPolicyType = "IPSET"
	SetPolicyTypeNestedIpSet SetPolicyType = "NESTEDIPSET"
)

// SetPolicySetting is a named set of addresses or of sets.
type SetPolicySetting struct {
	Id     string
	Name   string
	Type   SetPolicyType `json:"PolicyType"`
	Values string
}

// VxlanPortPolicySetting is the UDP port of an overlay.
type VxlanPortPolicySetting struct {
	Port uint16
}

// ProtocolType is an IP protocol number.
type ProtocolType uint32

// Protocols.
const (
	ProtocolTypeUnknown ProtocolType = 0
	ProtocolTypeICMPv4  ProtocolType = 1
	ProtocolTypeIGMP    ProtocolType = 2
	ProtocolTypeTCP     ProtocolType = 6
	ProtocolTypeUDP     ProtocolType = 17
	ProtocolTypeICMPv6  ProtocolType = 58
)

// L4ProxyPolicySetting redirects flows to a proxy.
type L4ProxyPolicySetting struct {
	IP          string       `json:",omitempty"`
	Port        string       `json:",omitempty"`
	Protocol    ProtocolType `json:",omitempty"`
	Exceptions  []string     `json:",omitempty"`
	Destination string
	OutboundNAT bool `json:",omitempty"`
}

// TierAclRule is a rule of a tier.
type TierAclRule struct {
	Id                string     `json:",omitempty"`
	Protocols         string     `json:",omitempty"`
	TierAclRuleAction ActionType `json:""`
	LocalAddresses    string     `json:",omitempty"`
	RemoteAddresses   string     `json:",omitempty"`
	LocalPorts        string     `json:",omitempty"`
	RemotePorts       string     `json:",omitempty"`
	Priority          uint16     `json:",omitempty"`
}

// TierAclPolicySetting is a tier of ACLs.
type TierAclPolicySetting struct {
	Name         string        `json:""`
	Direction    DirectionType `json:""`
	Order        uint16        `json:""`
	TierAclRules []TierAclRule `json:",omitempty"`
}
