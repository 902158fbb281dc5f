package hcntest

import "encoding/json"

// The types of this file and of policies.go have the names, the fields, the
// Go types and the JSON names of hcsshim v0.15.0's package hcn (a test compares
// them with its source), so that code which is written for that package
// compiles with this one.

// Version is a version of HNS or of a document's schema.
type Version struct {
	Major int `json:"Major"`
	Minor int `json:"Minor"`
}

// SchemaVersion is the version of an object's document.
type SchemaVersion = Version

// V2SchemaVersion is 2.0, which all v2 documents carry.
func V2SchemaVersion() SchemaVersion { return SchemaVersion{Major: 2, Minor: 0} }

// Globals are the properties of the service.
type Globals struct {
	Version Version `json:"Version"`
}

// HostComputeQueryFlags say how much of an object a query shows.
type HostComputeQueryFlags uint32

// Flags of queries.
const (
	HostComputeQueryFlagsNone     HostComputeQueryFlags = 0
	HostComputeQueryFlagsDetailed HostComputeQueryFlags = 1
)

// HostComputeQuery selects objects. Filter is a JSON object as text: a
// conjunction of equalities.
type HostComputeQuery struct {
	SchemaVersion SchemaVersion         `json:""`
	Flags         HostComputeQueryFlags `json:",omitempty"`
	Filter        string                `json:",omitempty"`
}

// ExtraParams is what Health carries along.
type ExtraParams struct {
	Resources        json.RawMessage `json:",omitempty"`
	SharedContainers json.RawMessage `json:",omitempty"`
	LayeredOn        string          `json:",omitempty"`
	SwitchGuid       string          `json:",omitempty"`
	UtilityVM        string          `json:",omitempty"`
	VirtualMachine   string          `json:",omitempty"`
}

// Health of an object.
type Health struct {
	Data  interface{} `json:",omitempty"`
	Extra ExtraParams `json:",omitempty"`
}

// RequestType is what a modify request asks for.
type RequestType string

// Request types.
const (
	RequestTypeAdd     RequestType = "Add"
	RequestTypeRemove  RequestType = "Remove"
	RequestTypeUpdate  RequestType = "Update"
	RequestTypeRefresh RequestType = "Refresh"
)

// SubnetFlags of a subnet.
type SubnetFlags uint32

// Flags of subnets.
const (
	SubnetFlagsNone                       SubnetFlags = 0
	SubnetFlagsDoNotReserveGatewayAddress SubnetFlags = 1
)

// Route of a subnet or an endpoint.
type Route struct {
	NextHop           string `json:",omitempty"`
	DestinationPrefix string `json:",omitempty"`
	Metric            uint16 `json:",omitempty"`
}

// Subnet of a network. An entry of Policies is a SubnetPolicy as JSON.
type Subnet struct {
	IpAddressPrefix string            `json:",omitempty"`
	Policies        []json.RawMessage `json:",omitempty"`
	Routes          []Route           `json:",omitempty"`
	Flags           SubnetFlags       `json:",omitempty"`
}

// Ipam groups subnets; Type is Static or DHCP.
type Ipam struct {
	Type    string   `json:",omitempty"`
	Subnets []Subnet `json:",omitempty"`
}

// MacRange is a range of MAC addresses, both ends included.
type MacRange struct {
	StartMacAddress string `json:",omitempty"`
	EndMacAddress   string `json:",omitempty"`
}

// MacPool is where endpoints take their MAC addresses from.
type MacPool struct {
	Ranges []MacRange `json:",omitempty"`
}

// Dns settings of a network or an endpoint.
type Dns struct {
	Domain     string   `json:",omitempty"`
	Search     []string `json:",omitempty"`
	ServerList []string `json:",omitempty"`
	Options    []string `json:",omitempty"`
}

// NetworkType is the mode of a network.
type NetworkType string

// Network types.
const (
	NAT         NetworkType = "NAT"
	Transparent NetworkType = "Transparent"
	L2Bridge    NetworkType = "L2Bridge"
	L2Tunnel    NetworkType = "L2Tunnel"
	ICS         NetworkType = "ICS"
	Private     NetworkType = "Private"
	Overlay     NetworkType = "Overlay"
)

// NetworkFlags of a network.
type NetworkFlags uint32

// Flags of networks.
const (
	None                NetworkFlags = 0
	EnableNonPersistent NetworkFlags = 8
	DisableHostPort     NetworkFlags = 1024
	EnableIov           NetworkFlags = 8192
)

// HostComputeNetwork is a network.
type HostComputeNetwork struct {
	Id            string          `json:"ID,omitempty"`
	Name          string          `json:",omitempty"`
	Type          NetworkType     `json:",omitempty"`
	Policies      []NetworkPolicy `json:",omitempty"`
	MacPool       MacPool         `json:",omitempty"`
	Dns           Dns             `json:",omitempty"`
	Ipams         []Ipam          `json:",omitempty"`
	Flags         NetworkFlags    `json:",omitempty"`
	Health        Health          `json:",omitempty"`
	SchemaVersion SchemaVersion   `json:",omitempty"`
}

// NetworkResourceType is what a modify request changes of a network.
type NetworkResourceType string

// Resources of networks.
const (
	NetworkResourceTypePolicy    NetworkResourceType = "Policy"
	NetworkResourceTypeDNS       NetworkResourceType = "DNS"
	NetworkResourceTypeExtension NetworkResourceType = "Extension"
)

// ModifyNetworkSettingRequest changes a network.
type ModifyNetworkSettingRequest struct {
	ResourceType NetworkResourceType `json:",omitempty"`
	RequestType  RequestType         `json:",omitempty"`
	Settings     json.RawMessage     `json:",omitempty"`
}

// PolicyNetworkRequest are the settings of a request about policies.
type PolicyNetworkRequest struct {
	Policies []NetworkPolicy `json:",omitempty"`
}

// IpConfig is an address of an endpoint.
type IpConfig struct {
	IpAddress    string `json:",omitempty"`
	PrefixLength uint8  `json:",omitempty"`
}

// EndpointFlags of an endpoint.
type EndpointFlags uint32

// Flags of endpoints.
const (
	EndpointFlagsNone           EndpointFlags = 0
	EndpointFlagsRemoteEndpoint EndpointFlags = 1
)

// HostComputeEndpoint is an endpoint.
type HostComputeEndpoint struct {
	Id                   string           `json:"ID,omitempty"`
	Name                 string           `json:",omitempty"`
	HostComputeNetwork   string           `json:",omitempty"`
	HostComputeNamespace string           `json:",omitempty"`
	Policies             []EndpointPolicy `json:",omitempty"`
	IpConfigurations     []IpConfig       `json:",omitempty"`
	Dns                  Dns              `json:",omitempty"`
	Routes               []Route          `json:",omitempty"`
	MacAddress           string           `json:",omitempty"`
	Flags                EndpointFlags    `json:",omitempty"`
	Health               Health           `json:",omitempty"`
	SchemaVersion        SchemaVersion    `json:",omitempty"`
}

// EndpointResourceType is what a modify request changes of an endpoint.
type EndpointResourceType string

// Resources of endpoints.
const (
	EndpointResourceTypePolicy EndpointResourceType = "Policy"
	EndpointResourceTypePort   EndpointResourceType = "Port"
)

// ModifyEndpointSettingRequest changes an endpoint.
type ModifyEndpointSettingRequest struct {
	ResourceType EndpointResourceType `json:",omitempty"`
	RequestType  RequestType          `json:",omitempty"`
	Settings     json.RawMessage      `json:",omitempty"`
}

// VmEndpointRequest are the settings of a request about the port. Its ids are
// text here, go-winio's GUIDs in hcsshim; the JSON is the same.
type VmEndpointRequest struct {
	PortId           string `json:",omitempty"`
	VirtualNicName   string `json:",omitempty"`
	VirtualMachineId string `json:",omitempty"`
}

// PolicyEndpointRequest are the settings of a request about policies.
type PolicyEndpointRequest struct {
	Policies []EndpointPolicy `json:",omitempty"`
}

// NamespaceResourceEndpoint names an endpoint in a namespace.
type NamespaceResourceEndpoint struct {
	Id string `json:"ID"`
}

// NamespaceResourceContainer names a container in a namespace.
type NamespaceResourceContainer struct {
	Id string `json:"ID"`
}

// NamespaceResourceType is a kind of thing in a namespace.
type NamespaceResourceType string

// Resources of namespaces.
const (
	NamespaceResourceTypeContainer NamespaceResourceType = "Container"
	NamespaceResourceTypeEndpoint  NamespaceResourceType = "Endpoint"
)

// NamespaceResource is a thing in a namespace.
type NamespaceResource struct {
	Type NamespaceResourceType `json:""`
	Data json.RawMessage       `json:""`
}

// NamespaceType is the mode of a namespace.
type NamespaceType string

// Namespace types.
const (
	NamespaceTypeHost         NamespaceType = "Host"
	NamespaceTypeHostDefault  NamespaceType = "HostDefault"
	NamespaceTypeGuest        NamespaceType = "Guest"
	NamespaceTypeGuestDefault NamespaceType = "GuestDefault"
)

// HostComputeNamespace is a namespace.
type HostComputeNamespace struct {
	Id            string              `json:"ID,omitempty"`
	NamespaceId   uint32              `json:",omitempty"`
	Type          NamespaceType       `json:",omitempty"`
	Resources     []NamespaceResource `json:",omitempty"`
	SchemaVersion SchemaVersion       `json:",omitempty"`
}

// ModifyNamespaceSettingRequest changes a namespace.
type ModifyNamespaceSettingRequest struct {
	ResourceType NamespaceResourceType `json:",omitempty"`
	RequestType  RequestType           `json:",omitempty"`
	Settings     json.RawMessage       `json:",omitempty"`
}

// LoadBalancerPortMapping is a port of a load balancer.
type LoadBalancerPortMapping struct {
	Protocol         uint32                       `json:",omitempty"`
	InternalPort     uint16                       `json:",omitempty"`
	ExternalPort     uint16                       `json:",omitempty"`
	DistributionType LoadBalancerDistribution     `json:",omitempty"`
	Flags            LoadBalancerPortMappingFlags `json:",omitempty"`
}

// HostComputeLoadBalancer is a load balancer.
type HostComputeLoadBalancer struct {
	Id                   string                    `json:"ID,omitempty"`
	HostComputeEndpoints []string                  `json:",omitempty"`
	SourceVIP            string                    `json:",omitempty"`
	FrontendVIPs         []string                  `json:",omitempty"`
	PortMappings         []LoadBalancerPortMapping `json:",omitempty"`
	SchemaVersion        SchemaVersion             `json:",omitempty"`
	Flags                LoadBalancerFlags         `json:",omitempty"`
}

// LoadBalancerFlags of a load balancer.
type LoadBalancerFlags uint32

// Flags of load balancers.
const (
	LoadBalancerFlagsNone LoadBalancerFlags = 0
	LoadBalancerFlagsDSR  LoadBalancerFlags = 1
	LoadBalancerFlagsIPv6 LoadBalancerFlags = 2
)

// LoadBalancerPortMappingFlags of a port.
type LoadBalancerPortMappingFlags uint32

// Flags of the ports of load balancers.
const (
	LoadBalancerPortMappingFlagsNone           LoadBalancerPortMappingFlags = 0
	LoadBalancerPortMappingFlagsILB            LoadBalancerPortMappingFlags = 1
	LoadBalancerPortMappingFlagsLocalRoutedVIP LoadBalancerPortMappingFlags = 2
	LoadBalancerPortMappingFlagsUseMux         LoadBalancerPortMappingFlags = 4
	LoadBalancerPortMappingFlagsPreserveDIP    LoadBalancerPortMappingFlags = 8
)

// LoadBalancerDistribution says which flows go to one backend.
type LoadBalancerDistribution uint32

// Distributions.
const (
	LoadBalancerDistributionNone             LoadBalancerDistribution = 0
	LoadBalancerDistributionSourceIPProtocol LoadBalancerDistribution = 1
	LoadBalancerDistributionSourceIP         LoadBalancerDistribution = 2
)

// HostComputeRoute is an SDN route object.
type HostComputeRoute struct {
	ID                   string                  `json:"ID,omitempty"`
	HostComputeEndpoints []string                `json:",omitempty"`
	Setting              []SDNRoutePolicySetting `json:",omitempty"`
	SchemaVersion        SchemaVersion           `json:",omitempty"`
}
