package hcn

import "encoding/json"

// The structs below carry the member names of the v2 shape, which are those
// of hcsshim's package hcn and of the published schema. Members are matched
// without regard to case on input (rule B2). Members without a field of their
// own are kept in Extras and written back behind the known ones (rule B5).

// SchemaVersion is the version of the document format, 2.0 in everything that
// Go clients send (rule B1).
type SchemaVersion struct {
	Major uint32
	Minor uint32
}

// Member is one member of a JSON object that has no field of its own.
type Member struct {
	Name  string
	Value json.RawMessage
}

// Extras are the unknown members of an object, in the order of the document.
type Extras []Member

// Get returns the value of the extra member with that name, in any case.
func (e Extras) Get(name string) (json.RawMessage, bool) {
	for _, m := range e {
		if equalFold(m.Name, name) {
			return m.Value, true
		}
	}
	return nil, false
}

// With returns a copy that has the member with this value, replaced where it
// stands or appended.
func (e Extras) With(name string, value json.RawMessage) Extras {
	return setExtra(append(Extras(nil), e...), name, value)
}

// Without returns a copy without the named members, in any case.
func (e Extras) Without(names ...string) Extras {
	var out Extras
	for _, m := range e {
		drop := false
		for _, n := range names {
			drop = drop || equalFold(n, m.Name)
		}
		if !drop {
			out = append(out, m)
		}
	}
	return out
}

// Base are the members that every object of the schema may have.
type Base struct {
	Owner            string          `json:",omitempty"`
	Version          uint64          `json:",omitempty"` // service version: major<<32 | minor
	AdditionalParams json.RawMessage `json:",omitempty"`
	Telemetry        json.RawMessage `json:",omitempty"`
	State            uint16          `json:",omitempty"`
}

// ExtraParams is Health.Extra: what the v1 shape shows at top level.
type ExtraParams struct {
	Resources        json.RawMessage `json:",omitempty"`
	SharedContainers json.RawMessage `json:",omitempty"`
	LayeredOn        string          `json:",omitempty"`
	SwitchGuid       string          `json:",omitempty"`
	UtilityVM        string          `json:",omitempty"`
	VirtualMachine   string          `json:",omitempty"`
	Extras           Extras          `json:"-"`
}

// Health of an object. Data is the v1 Health object as it is.
type Health struct {
	Data   json.RawMessage `json:",omitempty"`
	Extra  ExtraParams     `json:",omitempty"`
	Extras Extras          `json:"-"`
}

// MacRange is an inclusive range of MAC addresses, "00-15-5D-52-C0-00".
type MacRange struct {
	StartMacAddress string `json:",omitempty"`
	EndMacAddress   string `json:",omitempty"`
	Extras          Extras `json:"-"`
}

// MacPool is where endpoints take their MAC addresses from.
type MacPool struct {
	Ranges []MacRange `json:",omitempty"`
	Extras Extras     `json:"-"`
}

// DNS settings of a network or an endpoint.
type DNS struct {
	Domain     string   `json:",omitempty"`
	Search     []string `json:",omitempty"`
	ServerList []string `json:",omitempty"`
	Options    []string `json:",omitempty"`
	Extras     Extras   `json:"-"`
}

// Route of a subnet or an endpoint. The default gateway is the route whose
// destination is 0.0.0.0/0 or ::/0.
type Route struct {
	NextHop           string `json:",omitempty"`
	DestinationPrefix string `json:",omitempty"`
	Metric            uint16 `json:",omitempty"`
	Extras            Extras `json:"-"`
}

// IpSubnet is an address block inside a subnet (schema 2.3).
type IpSubnet struct {
	ID              string `json:"ID,omitempty"`
	Name            string `json:",omitempty"`
	Base            `json:",inline"`
	IpAddressPrefix string        `json:",omitempty"`
	Flags           IPSubnetFlags `json:",omitempty"`
	Health          Health        `json:",omitempty"`
	SchemaVersion   SchemaVersion `json:",omitempty"`
	Extras          Extras        `json:"-"`
}

// Subnet of a network. Policies are VLAN and VSID.
type Subnet struct {
	ID              string `json:"ID,omitempty"`
	Name            string `json:",omitempty"`
	Base            `json:",inline"`
	IpAddressPrefix string        `json:",omitempty"`
	Policies        []Policy      `json:",omitempty"`
	Routes          []Route       `json:",omitempty"`
	IpSubnets       []IpSubnet    `json:",omitempty"`
	Flags           SubnetFlags   `json:",omitempty"`
	Health          Health        `json:",omitempty"`
	SchemaVersion   SchemaVersion `json:",omitempty"`
	Extras          Extras        `json:"-"`
}

// Ipam groups subnets. Type is Static or DHCP.
type Ipam struct {
	Type    IpamType `json:",omitempty"`
	Subnets []Subnet `json:",omitempty"`
	Extras  Extras   `json:"-"`
}

// Network is HostComputeNetwork.
type Network struct {
	ID            string `json:"ID,omitempty"`
	Name          string `json:",omitempty"`
	Base          `json:",inline"`
	Type          NetworkType   `json:""`
	Policies      []Policy      `json:",omitempty"`
	MacPool       MacPool       `json:",omitempty"`
	DNS           DNS           `json:"Dns,omitempty"`
	Ipams         []Ipam        `json:",omitempty"`
	Flags         NetworkFlags  `json:",omitempty"`
	Health        Health        `json:",omitempty"`
	SchemaVersion SchemaVersion `json:",omitempty"`
	Extras        Extras        `json:"-"`
	// V1Type is the type as a v1 creator spelled it; the v1 shape echoes it.
	// Empty stands for the canonical spelling.
	V1Type string `json:"-"`
}

// Subnets returns the subnets of all Ipams in order.
func (n *Network) Subnets() []*Subnet {
	var out []*Subnet
	for i := range n.Ipams {
		for j := range n.Ipams[i].Subnets {
			out = append(out, &n.Ipams[i].Subnets[j])
		}
	}
	return out
}

// IpConfig is one address of an endpoint.
type IpConfig struct {
	IpAddress    string `json:",omitempty"`
	PrefixLength uint8  `json:",omitempty"`
	IpSubnetId   string `json:",omitempty"`
	Extras       Extras `json:"-"`
}

// Endpoint is HostComputeEndpoint.
type Endpoint struct {
	ID                   string `json:"ID,omitempty"`
	Name                 string `json:",omitempty"`
	Base                 `json:",inline"`
	HostComputeNetwork   string        `json:",omitempty"`
	HostComputeNamespace string        `json:",omitempty"`
	Policies             []Policy      `json:",omitempty"`
	IpConfigurations     []IpConfig    `json:",omitempty"`
	DNS                  DNS           `json:"Dns,omitempty"`
	Routes               []Route       `json:",omitempty"`
	MacAddress           string        `json:",omitempty"`
	Flags                EndpointFlags `json:",omitempty"`
	Health               Health        `json:",omitempty"`
	SchemaVersion        SchemaVersion `json:",omitempty"`
	Extras               Extras        `json:"-"`
}

// NamespaceResource is a thing inside a namespace: an Endpoint or a Container.
type NamespaceResource struct {
	Type   NamespaceResourceType `json:""`
	Data   NamespaceResourceData `json:""`
	Extras Extras                `json:"-"`
}

// NamespaceResourceData names the resource.
type NamespaceResourceData struct {
	ID     string `json:"Id,omitempty"` // read as ID and Id alike
	Extras Extras `json:"-"`
}

// Namespace is HostComputeNamespace.
type Namespace struct {
	ID            string `json:"ID,omitempty"`
	Name          string `json:",omitempty"`
	Base          `json:",inline"`
	NamespaceID   uint32              `json:"NamespaceId,omitempty"`
	NamespaceGUID string              `json:"NamespaceGuid,omitempty"`
	Type          NamespaceType       `json:",omitempty"`
	Resources     []NamespaceResource `json:",omitempty"`
	Health        Health              `json:",omitempty"`
	SchemaVersion SchemaVersion       `json:",omitempty"`
	Extras        Extras              `json:"-"`
}

// PortMapping is one port of a load balancer (LoadBalancerPortMapping).
type PortMapping struct {
	Protocol         ProtocolNumber   `json:",omitempty"`
	InternalPort     uint16           `json:",omitempty"`
	ExternalPort     uint16           `json:",omitempty"`
	DistributionType DistributionType `json:",omitempty"`
	Flags            PortMappingFlags `json:",omitempty"`
	Extras           Extras           `json:"-"`
}

// LoadBalancer is HostComputeLoadBalancer.
type LoadBalancer struct {
	ID                   string `json:"ID,omitempty"`
	Name                 string `json:",omitempty"`
	Base                 `json:",inline"`
	HostComputeNetwork   string            `json:",omitempty"`
	HostComputeEndpoints []string          `json:",omitempty"`
	SourceVIP            string            `json:",omitempty"`
	FrontendVIPs         []string          `json:",omitempty"`
	PortMappings         []PortMapping     `json:",omitempty"`
	Flags                LoadBalancerFlags `json:",omitempty"`
	Health               Health            `json:",omitempty"`
	SchemaVersion        SchemaVersion     `json:",omitempty"`
	Extras               Extras            `json:"-"`
}

// SDNRoute is HostComputeRoute. Its list is called Routes by the schema and
// Setting by hcsshim; both are read, both are written (section B.6).
type SDNRoute struct {
	ID                   string `json:"ID,omitempty"`
	Name                 string `json:",omitempty"`
	Base                 `json:",inline"`
	HostComputeNetwork   string             `json:",omitempty"`
	HostComputeEndpoints []string           `json:",omitempty"`
	Routes               []SDNRouteSettings `json:",omitempty"`
	Setting              []SDNRouteSettings `json:",omitempty"`
	Health               Health             `json:",omitempty"`
	SchemaVersion        SchemaVersion      `json:",omitempty"`
	Extras               Extras             `json:"-"`
}
