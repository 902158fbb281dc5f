package hcn

// Settings of the policies, one struct per type, with the member names of the
// v2 shape. Accessors on Policy decode into them; addresses stay text here
// because documents are echoed as they came: the List functions of this
// package parse them.

// PortMappingSettings publishes a container port on the host (rule NAT-30).
type PortMappingSettings struct {
	Protocol     ProtocolNumber `json:",omitempty"`
	InternalPort uint16         `json:",omitempty"`
	ExternalPort uint16         `json:",omitempty"` // 0: HNS chooses one and writes it back (NAT-34)
	VIP          string         `json:",omitempty"` // host address; empty is every address of the host
	Flags        NatFlags       `json:",omitempty"`
	Extras       Extras         `json:"-"`
}

// ACLSettings is an ACL on an endpoint, and NetworkACL on a network.
type ACLSettings struct {
	Protocols       string     `json:",omitempty"` // comma list of numbers; empty or 256 is any
	Action          ActionType `json:""`
	Direction       Direction  `json:""`
	LocalAddresses  string     `json:",omitempty"` // comma list of addresses, prefixes or set ids
	RemoteAddresses string     `json:",omitempty"`
	LocalPorts      string     `json:",omitempty"` // comma list of ports and ranges a-b
	RemotePorts     string     `json:",omitempty"`
	RuleType        RuleType   `json:",omitempty"`
	Priority        uint16     `json:",omitempty"`
	ID              string     `json:"Id,omitempty"`
	Extras          Extras     `json:"-"`
}

// QOSSettings caps what an endpoint sends, bytes per second; 0 is no limit.
type QOSSettings struct {
	MaximumOutgoingBandwidthInBytes uint64 `json:""`
	Extras                          Extras `json:"-"`
}

// L2DriverSettings has no members of its own.
type L2DriverSettings struct {
	Extras Extras `json:"-"`
}

// OutBoundNATSettings translates what leaves the endpoint (rule L2B-21).
type OutBoundNATSettings struct {
	VirtualIP        string   `json:",omitempty"`
	Exceptions       []string `json:",omitempty"`
	Destinations     []string `json:",omitempty"`
	Flags            NatFlags `json:",omitempty"`
	MaxPortPoolUsage uint16   `json:",omitempty"`
	Extras           Extras   `json:"-"`
}

// SDNRouteSettings is a route in VFP for one endpoint (rule L2B-29), and an
// entry of an SDN route object.
type SDNRouteSettings struct {
	DestinationPrefix        string `json:",omitempty"`
	NextHop                  string `json:",omitempty"`
	NeedEncap                bool   `json:",omitempty"`
	AutomaticEndpointMonitor bool   `json:",omitempty"`
	Extras                   Extras `json:"-"`
}

// L4ProxySettings redirects flows in VFP (rule PX-01). The schema calls two
// members ExceptionList and OutboundNat; both spellings are read.
type L4ProxySettings struct {
	IP          string         `json:",omitempty"`
	Port        string         `json:",omitempty"`
	Protocol    ProtocolNumber `json:",omitempty"`
	Exceptions  []string       `json:",omitempty" alias:"ExceptionList"`
	Destination string         `json:""`
	OutboundNAT bool           `json:",omitempty"`
	Extras      Extras         `json:"-"`
}

// FiveTuple filters flows for L4WFPProxySettings.
type FiveTuple struct {
	Protocols       string `json:",omitempty"`
	LocalAddresses  string `json:",omitempty"`
	RemoteAddresses string `json:",omitempty"`
	LocalPorts      string `json:",omitempty"`
	RemotePorts     string `json:",omitempty"`
	Priority        uint16 `json:",omitempty"`
	Extras          Extras `json:"-"`
}

// ProxyExceptions exempts addresses and ports from redirection.
type ProxyExceptions struct {
	IpAddressExceptions []string `json:",omitempty"`
	PortExceptions      []string `json:",omitempty"`
	Extras              Extras   `json:"-"`
}

// L4WFPProxySettings redirects connections inside the compartment (PX-02).
type L4WFPProxySettings struct {
	InboundProxyPort   string          `json:",omitempty"`
	OutboundProxyPort  string          `json:",omitempty"`
	FilterTuple        FiveTuple       `json:",omitempty"`
	UserSID            string          `json:",omitempty"`
	InboundExceptions  ProxyExceptions `json:",omitempty"`
	OutboundExceptions ProxyExceptions `json:",omitempty"`
	Extras             Extras          `json:"-"`
}

// ProviderAddressSettings is the PA of a network or of a remote endpoint.
type ProviderAddressSettings struct {
	ProviderAddress string `json:",omitempty"`
	Extras          Extras `json:"-"`
}

// PortNameSettings names the switch port.
type PortNameSettings struct {
	Name   string `json:",omitempty"`
	Extras Extras `json:"-"`
}

// EncapOverheadSettings is the number of bytes taken from the MTU.
type EncapOverheadSettings struct {
	Overhead uint16 `json:",omitempty"`
	Extras   Extras `json:"-"`
}

// InterfaceConstraintSettings binds to an uplink.
type InterfaceConstraintSettings struct {
	InterfaceGuid        string `json:",omitempty"`
	InterfaceLuid        uint64 `json:",omitempty"`
	InterfaceIndex       uint32 `json:",omitempty"`
	InterfaceMediaType   uint32 `json:",omitempty"`
	InterfaceAlias       string `json:",omitempty"`
	InterfaceDescription string `json:",omitempty"`
	Extras               Extras `json:"-"`
}

// IsolationSettings is the VLAN or the VSID of a subnet or an endpoint.
type IsolationSettings struct {
	IsolationID uint32 `json:"IsolationId"`
	Extras      Extras `json:"-"`
}

// InterfaceParametersSettings sets the MTU of the interface.
type InterfaceParametersSettings struct {
	MTU    uint16 `json:"Mtu,omitempty"`
	Extras Extras `json:"-"`
}

// IovSettings asks for SR-IOV.
type IovSettings struct {
	IovOffloadWeight    uint32 `json:",omitempty"`
	QueuePairsRequested uint32 `json:",omitempty"`
	InterruptModeration uint32 `json:",omitempty"`
	Extras              Extras `json:"-"`
}

// TierACLRule is one rule of a tier.
type TierACLRule struct {
	ID              string     `json:"Id,omitempty"`
	Protocols       string     `json:",omitempty"`
	Action          ActionType `json:"TierAclRuleAction"`
	LocalAddresses  string     `json:",omitempty"`
	RemoteAddresses string     `json:",omitempty"`
	LocalPorts      string     `json:",omitempty"`
	RemotePorts     string     `json:",omitempty"`
	Priority        uint16     `json:",omitempty"`
	Extras          Extras     `json:"-"`
}

// ACL is the rule as an ACL of a tier with that direction.
func (r *TierACLRule) ACL(d Direction) ACLSettings {
	return ACLSettings{ID: r.ID, Protocols: r.Protocols, Action: r.Action, Direction: d, Priority: r.Priority,
		LocalAddresses: r.LocalAddresses, RemoteAddresses: r.RemoteAddresses,
		LocalPorts: r.LocalPorts, RemotePorts: r.RemotePorts, RuleType: SwitchRule}
}

// TierACLSettings is a tier of ACLs; tiers run by ascending Order (ACL-30).
type TierACLSettings struct {
	Name      string        `json:""`
	Direction Direction     `json:""`
	Order     uint16        `json:""`
	Rules     []TierACLRule `json:"TierAclRules,omitempty"`
	Extras    Extras        `json:"-"`
}

// FirewallSettings is the Hyper-V firewall class of an endpoint.
type FirewallSettings struct {
	VMType FirewallVMType `json:"VmType,omitempty"`
	Flags  FirewallFlags  `json:"FirewallPolicyFlags,omitempty"`
	Extras Extras         `json:"-"`
}

// FirewallVMType says whose firewall rules apply.
type FirewallVMType string

// FirewallFlags of a Firewall policy.
type FirewallFlags uint32

// SourceMacAddressSettings rewrites the source MAC of what leaves (L2B-01).
type SourceMacAddressSettings struct {
	SourceMacAddress string `json:",omitempty"`
	Extras           Extras `json:"-"`
}

// NetAdapterNameSettings names the uplink.
type NetAdapterNameSettings struct {
	NetworkAdapterName string `json:",omitempty"`
	Extras             Extras `json:"-"`
}

// VSwitchExtensionSettings switches an extension on or off.
type VSwitchExtensionSettings struct {
	ExtensionID string `json:",omitempty"`
	Enable      bool   `json:",omitempty"`
	Extras      Extras `json:"-"`
}

// DrMacAddressSettings is the distributed router's MAC (rule OV-09).
type DrMacAddressSettings struct {
	Address string `json:",omitempty"`
	Extras  Extras `json:"-"`
}

// AutomaticDNSSettings copies the host's DNS servers.
type AutomaticDNSSettings struct {
	Enable bool   `json:",omitempty"`
	Extras Extras `json:"-"`
}

// RemoteSubnetRouteSettings is a route to another host's pods (rule OV-08).
type RemoteSubnetRouteSettings struct {
	DestinationPrefix           string `json:""`
	IsolationID                 uint32 `json:"IsolationId"` // 24 bits; hcsshim sends the low 16 only (D-07)
	ProviderAddress             string `json:""`
	DistributedRouterMacAddress string `json:""`
	Extras                      Extras `json:"-"`
}

// VxlanPortSettings is the UDP port of the overlay.
type VxlanPortSettings struct {
	Port   uint16 `json:""`
	Extras Extras `json:"-"`
}

// HostRouteSettings lets the host reach its own pods (rule OV-22).
type HostRouteSettings struct {
	Extras Extras `json:"-"`
}

// SetPolicySettings is a named list of addresses or of sets (rule ACL-33).
type SetPolicySettings struct {
	ID     string        `json:"Id"`
	Name   string        `json:""`
	Type   SetPolicyType `json:"PolicyType"`
	Values string        `json:""`
	Extras Extras        `json:"-"`
}

// LayerConstraintSettings asks to share a layer (a switch).
type LayerConstraintSettings struct {
	LayerID string `json:"LayerId,omitempty"`
	Extras  Extras `json:"-"`
}

// NeighborDiscoverySettings is an ND answer that the overlay gives.
type NeighborDiscoverySettings struct {
	TargetIPPrefix   string `json:"TargetIpPrefix,omitempty"`
	SenderIPAddress  string `json:"SenderIpAddress,omitempty"`
	SenderMacAddress string `json:",omitempty"`
	Extras           Extras `json:"-"`
}

// EncryptionSettings asks for IPsec between endpoints.
type EncryptionSettings struct {
	EncryptionMethodType  string                `json:",omitempty"`
	AuthenticationMethods []PrioritizedAuthType `json:",omitempty"`
	Name                  string                `json:",omitempty"`
	Endpoints1            []string              `json:",omitempty"`
	Endpoints2            []string              `json:",omitempty"`
	ProtocolType          string                `json:",omitempty"`
	Endpoint1Ports        []string              `json:",omitempty"`
	Endpoint2Ports        []string              `json:",omitempty"`
	Extras                Extras                `json:"-"`
}

// PrioritizedAuthType is one way to authenticate.
type PrioritizedAuthType struct {
	Type   string `json:",omitempty"`
	Extras Extras `json:"-"`
}
