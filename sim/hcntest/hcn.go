package hcntest

import (
	"encoding/json"
	"reflect"
)

// HCN is what a driver needs of HNS: the calls of hcsshim's package hcn as the
// methods of one value. Functions keep their names and arguments; a method of
// an object gets the object as its first argument, and the object's kind in
// its name where the method does not say it (network.Create is CreateNetwork,
// endpoint.ApplyPolicy is ApplyEndpointPolicy). Endpoints are created as in
// kube-proxy: CreateEndpoint(endpoint, network).
//
// A Host implements it. Drivers declare the part that they use as an interface
// of their own; the example for this package shows how.
type HCN interface {
	ListNetworks() ([]HostComputeNetwork, error)
	ListNetworksQuery(query HostComputeQuery) ([]HostComputeNetwork, error)
	GetNetworkByID(networkID string) (*HostComputeNetwork, error)
	GetNetworkByName(networkName string) (*HostComputeNetwork, error)
	CreateNetwork(network *HostComputeNetwork) (*HostComputeNetwork, error)
	DeleteNetwork(network *HostComputeNetwork) error
	ModifyNetworkSettings(network *HostComputeNetwork, request *ModifyNetworkSettingRequest) error
	AddNetworkPolicy(network *HostComputeNetwork, policies PolicyNetworkRequest) error
	RemoveNetworkPolicy(network *HostComputeNetwork, policies PolicyNetworkRequest) error

	ListEndpoints() ([]HostComputeEndpoint, error)
	ListEndpointsQuery(query HostComputeQuery) ([]HostComputeEndpoint, error)
	ListEndpointsOfNetwork(networkID string) ([]HostComputeEndpoint, error)
	GetEndpointByID(endpointID string) (*HostComputeEndpoint, error)
	GetEndpointByName(endpointName string) (*HostComputeEndpoint, error)
	CreateEndpoint(endpoint *HostComputeEndpoint, network *HostComputeNetwork) (*HostComputeEndpoint, error)
	CreateRemoteEndpoint(endpoint *HostComputeEndpoint, network *HostComputeNetwork) (*HostComputeEndpoint, error)
	DeleteEndpoint(endpoint *HostComputeEndpoint) error
	ModifyEndpointSettings(endpointID string, request *ModifyEndpointSettingRequest) error
	ApplyEndpointPolicy(endpoint *HostComputeEndpoint, requestType RequestType, policies PolicyEndpointRequest) error

	ListNamespaces() ([]HostComputeNamespace, error)
	ListNamespacesQuery(query HostComputeQuery) ([]HostComputeNamespace, error)
	GetNamespaceByID(namespaceID string) (*HostComputeNamespace, error)
	GetNamespaceEndpointIds(namespaceID string) ([]string, error)
	GetNamespaceContainerIds(namespaceID string) ([]string, error)
	CreateNamespace(namespace *HostComputeNamespace) (*HostComputeNamespace, error)
	DeleteNamespace(namespace *HostComputeNamespace) error
	ModifyNamespaceSettings(namespaceID string, request *ModifyNamespaceSettingRequest) error
	AddNamespaceEndpoint(namespaceID string, endpointID string) error
	RemoveNamespaceEndpoint(namespaceID string, endpointID string) error

	ListLoadBalancers() ([]HostComputeLoadBalancer, error)
	ListLoadBalancersQuery(query HostComputeQuery) ([]HostComputeLoadBalancer, error)
	GetLoadBalancerByID(loadBalancerID string) (*HostComputeLoadBalancer, error)
	CreateLoadBalancer(loadBalancer *HostComputeLoadBalancer) (*HostComputeLoadBalancer, error)
	UpdateLoadBalancer(loadBalancer *HostComputeLoadBalancer, loadBalancerID string) (*HostComputeLoadBalancer, error)
	DeleteLoadBalancer(loadBalancer *HostComputeLoadBalancer) error
	AddLoadBalancer(endpoints []HostComputeEndpoint, flags LoadBalancerFlags, portMappingFlags LoadBalancerPortMappingFlags,
		sourceVIP string, frontendVIPs []string, protocol, internalPort, externalPort uint16) (*HostComputeLoadBalancer, error)

	ListRoutes() ([]HostComputeRoute, error)
	ListRoutesQuery(query HostComputeQuery) ([]HostComputeRoute, error)
	GetRouteByID(routeID string) (*HostComputeRoute, error)
	CreateRoute(route *HostComputeRoute) (*HostComputeRoute, error)
	DeleteRoute(route *HostComputeRoute) error
	AddRoute(endpoints []HostComputeEndpoint, destinationPrefix string, nextHop string, needEncapsulation bool) (*HostComputeRoute, error)

	GetGlobals() (*Globals, error)
	GetCachedSupportedFeatures() (SupportedFeatures, error)
	GetSupportedFeatures() SupportedFeatures

	// HNSCall is the v1 interface: a request to a path such as /networks/, and
	// the Output of the answer (nil when there is none).
	HNSCall(method, path, request string) (json.RawMessage, error)
}

var _ HCN = (*Host)(nil)

// methods are the names of the calls, for faults.
var methods = func() map[string]bool {
	m := map[string]bool{}
	for _, t := range []reflect.Type{reflect.TypeFor[HCN](), reflect.TypeFor[HNS]()} {
		for i := range t.NumMethod() {
			m[t.Method(i).Name] = true
		}
	}
	return m
}()

// Settings is the JSON of a policy's settings:
//
//	hcntest.EndpointPolicy{Type: hcntest.QOS, Settings: hcntest.Settings(hcntest.QosPolicySetting{…})}
//
// It panics on values that JSON does not have.
func Settings(v any) json.RawMessage { return mustJSON(v) }

// As turns a value into another type with the same JSON: a network of this
// package into hcsshim's and back, for code that is built for Windows.
func As[T any](v any) (*T, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	out := new(T)
	return out, json.Unmarshal(raw, out)
}

func mustJSON(v any) json.RawMessage {
	raw, err := json.Marshal(v)
	if err != nil {
		panic("hcntest: " + err.Error())
	}
	return raw
}
