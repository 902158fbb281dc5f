package hcntest

import (
	"encoding/json"
	"net"
)

// The types of the v1 interface have the fields of hcsshim's root package.
// Names that both interfaces use there have the prefix HNS here.

// HNSSubnet is a subnet of a v1 network.
type HNSSubnet struct {
	AddressPrefix  string            `json:",omitempty"`
	GatewayAddress string            `json:",omitempty"`
	Policies       []json.RawMessage `json:",omitempty"`
}

// HNSMacPool is a range of MAC addresses.
type HNSMacPool struct {
	StartMacAddress string `json:",omitempty"`
	EndMacAddress   string `json:",omitempty"`
}

// HNSNetwork is a network of the v1 interface.
type HNSNetwork struct {
	Id                   string            `json:"ID,omitempty"`
	Name                 string            `json:",omitempty"`
	Type                 string            `json:",omitempty"`
	NetworkAdapterName   string            `json:",omitempty"`
	SourceMac            string            `json:",omitempty"`
	Policies             []json.RawMessage `json:",omitempty"`
	MacPools             []HNSMacPool      `json:",omitempty"`
	Subnets              []HNSSubnet       `json:",omitempty"`
	DNSSuffix            string            `json:",omitempty"`
	DNSServerList        string            `json:",omitempty"`
	DNSServerCompartment uint32            `json:",omitempty"`
	ManagementIP         string            `json:",omitempty"`
	AutomaticDNS         bool              `json:",omitempty"`
}

// EndpointState is a state in the life of an endpoint.
type EndpointState uint16

// States of endpoints.
const (
	Uninitialized   EndpointState = 0
	Created         EndpointState = 1
	Attached        EndpointState = 2
	AttachedSharing EndpointState = 3
	Detached        EndpointState = 4
	Degraded        EndpointState = 5
	Destroyed       EndpointState = 6
)

// HNSNamespace is what a v1 endpoint says of its namespace.
type HNSNamespace struct {
	ID string
}

// HNSEndpoint is an endpoint of the v1 interface.
type HNSEndpoint struct {
	Id                 string            `json:"ID,omitempty"`
	Name               string            `json:",omitempty"`
	VirtualNetwork     string            `json:",omitempty"`
	VirtualNetworkName string            `json:",omitempty"`
	Policies           []json.RawMessage `json:",omitempty"`
	MacAddress         string            `json:",omitempty"`
	IPAddress          net.IP            `json:",omitempty"`
	IPv6Address        net.IP            `json:",omitempty"`
	DNSSuffix          string            `json:",omitempty"`
	DNSServerList      string            `json:",omitempty"`
	DNSDomain          string            `json:",omitempty"`
	GatewayAddress     string            `json:",omitempty"`
	GatewayAddressV6   string            `json:",omitempty"`
	EnableInternalDNS  bool              `json:",omitempty"`
	DisableICC         bool              `json:",omitempty"`
	PrefixLength       uint8             `json:",omitempty"`
	IPv6PrefixLength   uint8             `json:",omitempty"`
	IsRemoteEndpoint   bool              `json:",omitempty"`
	EnableLowMetric    bool              `json:",omitempty"`
	Namespace          *HNSNamespace     `json:",omitempty"`
	EncapOverhead      uint16            `json:",omitempty"`
	SharedContainers   []string          `json:",omitempty"`
	State              EndpointState     `json:",omitempty"`
}

// HNSEndpointStats are the counters of an endpoint, seen from the endpoint.
type HNSEndpointStats struct {
	BytesReceived          uint64 `json:"BytesReceived"`
	BytesSent              uint64 `json:"BytesSent"`
	DroppedPacketsIncoming uint64 `json:"DroppedPacketsIncoming"`
	DroppedPacketsOutgoing uint64 `json:"DroppedPacketsOutgoing"`
	EndpointID             string `json:"EndpointId"`
	InstanceID             string `json:"InstanceId"`
	PacketsReceived        uint64 `json:"PacketsReceived"`
	PacketsSent            uint64 `json:"PacketsSent"`
}

// PolicyList is a load balancer or a route of the v1 interface.
type PolicyList struct {
	ID                 string            `json:"ID,omitempty"`
	EndpointReferences []string          `json:"References,omitempty"`
	Policies           []json.RawMessage `json:"Policies,omitempty"`
}

// HNS is the v1 interface with the names of hcsshim's root package. A method
// of an object is the request that it sends: network.Create is
// HNSNetworkRequest("POST", "", document), endpoint.HostAttach is
// HNSEndpointRequest("POST", id+"/attach", request). A Host implements it.
type HNS interface {
	HNSNetworkRequest(method, path, request string) (*HNSNetwork, error)
	HNSListNetworkRequest(method, path, request string) ([]HNSNetwork, error)
	GetHNSNetworkByID(networkID string) (*HNSNetwork, error)
	GetHNSNetworkByName(networkName string) (*HNSNetwork, error)

	HNSEndpointRequest(method, path, request string) (*HNSEndpoint, error)
	HNSListEndpointRequest() ([]HNSEndpoint, error)
	GetHNSEndpointByID(endpointID string) (*HNSEndpoint, error)
	GetHNSEndpointByName(endpointName string) (*HNSEndpoint, error)
	GetHNSEndpointStats(endpointID string) (*HNSEndpointStats, error)

	HNSPolicyListRequest(method, path, request string) (*PolicyList, error)
	HNSListPolicyListRequest() ([]PolicyList, error)
}

var _ HNS = (*Host)(nil)

// v1 carries out a request and reads its Output; there may be none.
func v1[T any](h *Host, call, method, path, request string) (T, error) {
	var out T
	raw, err := h.hnsCall(call, method, path, request)
	if err == nil && len(raw) > 0 {
		err = json.Unmarshal(raw, &out)
	}
	return out, err
}

func pointer[T any](v T, err error) (*T, error) {
	if err != nil {
		return nil, err
	}
	return &v, nil
}

// HNSNetworkRequest sends a request about one network.
func (h *Host) HNSNetworkRequest(method, path, request string) (*HNSNetwork, error) {
	return pointer(v1[HNSNetwork](h, "HNSNetworkRequest", method, "/networks/"+path, request))
}

// HNSListNetworkRequest sends a request about all networks.
func (h *Host) HNSListNetworkRequest(method, path, request string) ([]HNSNetwork, error) {
	return v1[[]HNSNetwork](h, "HNSListNetworkRequest", method, "/networks/"+path, request)
}

// GetHNSNetworkByID reads a network.
func (h *Host) GetHNSNetworkByID(networkID string) (*HNSNetwork, error) {
	return pointer(v1[HNSNetwork](h, "GetHNSNetworkByID", "GET", "/networks/"+networkID, ""))
}

// GetHNSNetworkByName finds a network, or fails with a NetworkNotFoundError.
func (h *Host) GetHNSNetworkByName(networkName string) (*HNSNetwork, error) {
	list, err := v1[[]HNSNetwork](h, "GetHNSNetworkByName", "GET", "/networks/", "")
	for i := range list {
		if list[i].Name == networkName {
			return &list[i], nil
		}
	}
	if err == nil {
		err = NetworkNotFoundError{NetworkName: networkName}
	}
	return nil, err
}

// HNSEndpointRequest sends a request about one endpoint.
func (h *Host) HNSEndpointRequest(method, path, request string) (*HNSEndpoint, error) {
	return pointer(v1[HNSEndpoint](h, "HNSEndpointRequest", method, "/endpoints/"+path, request))
}

// HNSListEndpointRequest lists all endpoints.
func (h *Host) HNSListEndpointRequest() ([]HNSEndpoint, error) {
	return v1[[]HNSEndpoint](h, "HNSListEndpointRequest", "GET", "/endpoints/", "")
}

// GetHNSEndpointByID reads an endpoint.
func (h *Host) GetHNSEndpointByID(endpointID string) (*HNSEndpoint, error) {
	return pointer(v1[HNSEndpoint](h, "GetHNSEndpointByID", "GET", "/endpoints/"+endpointID, ""))
}

// GetHNSEndpointByName finds an endpoint, or fails with an
// EndpointNotFoundError.
func (h *Host) GetHNSEndpointByName(endpointName string) (*HNSEndpoint, error) {
	list, err := v1[[]HNSEndpoint](h, "GetHNSEndpointByName", "GET", "/endpoints/", "")
	for i := range list {
		if list[i].Name == endpointName {
			return &list[i], nil
		}
	}
	if err == nil {
		err = EndpointNotFoundError{EndpointName: endpointName}
	}
	return nil, err
}

// GetHNSEndpointStats reads the counters of an endpoint.
func (h *Host) GetHNSEndpointStats(endpointID string) (*HNSEndpointStats, error) {
	return pointer(v1[HNSEndpointStats](h, "GetHNSEndpointStats", "GET", "/endpointstats/"+endpointID, ""))
}

// HNSPolicyListRequest sends a request about one policy list.
func (h *Host) HNSPolicyListRequest(method, path, request string) (*PolicyList, error) {
	return pointer(v1[PolicyList](h, "HNSPolicyListRequest", method, "/policylists/"+path, request))
}

// HNSListPolicyListRequest lists all policy lists.
func (h *Host) HNSListPolicyListRequest() ([]PolicyList, error) {
	return v1[[]PolicyList](h, "HNSListPolicyListRequest", "GET", "/policylists/", "")
}

// Document is the JSON of a v1 request:
//
//	h.HNSNetworkRequest("POST", "", hcntest.Document(network))
//
// It panics on values that JSON does not have.
func Document(v any) string { return string(mustJSON(v)) }
