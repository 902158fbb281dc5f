package hcntest

import "errors"

// ListNetworks lists all networks.
func (h *Host) ListNetworks() ([]HostComputeNetwork, error) {
	return enumerate[HostComputeNetwork](h, "ListNetworks", networks, HostComputeQuery{SchemaVersion: V2SchemaVersion()})
}

// ListNetworksQuery lists the networks that a query selects.
func (h *Host) ListNetworksQuery(query HostComputeQuery) ([]HostComputeNetwork, error) {
	return enumerate[HostComputeNetwork](h, "ListNetworksQuery", networks, query)
}

// GetNetworkByID finds a network, or fails with a NetworkNotFoundError.
func (h *Host) GetNetworkByID(networkID string) (*HostComputeNetwork, error) {
	return find[HostComputeNetwork](h, "GetNetworkByID", networks, "ID", networkID, NetworkNotFoundError{NetworkID: networkID})
}

// GetNetworkByName finds a network, or fails with a NetworkNotFoundError.
func (h *Host) GetNetworkByName(networkName string) (*HostComputeNetwork, error) {
	return find[HostComputeNetwork](h, "GetNetworkByName", networks, "Name", networkName, NetworkNotFoundError{NetworkName: networkName})
}

// CreateNetwork creates a network. As hcsshim it refuses, without asking HNS,
// a subnet that has a prefix and no default gateway.
func (h *Host) CreateNetwork(network *HostComputeNetwork) (*HostComputeNetwork, error) {
	for _, ipam := range network.Ipams {
		for _, subnet := range ipam.Subnets {
			if err := subnet.checkGateway(); err != nil {
				return nil, err
			}
		}
	}
	return create[HostComputeNetwork](h, "CreateNetwork", networks, "", network)
}

func (s *Subnet) checkGateway() error {
	if s.IpAddressPrefix == "" {
		return nil
	}
	hasDefault := false
	for _, route := range s.Routes {
		if route.NextHop == "" {
			return errors.New("network create error, subnet has address prefix but no gateway specified")
		}
		hasDefault = hasDefault || route.DestinationPrefix == "0.0.0.0/0" || route.DestinationPrefix == "::/0"
	}
	if !hasDefault {
		return errors.New("network create error, no default gateway")
	}
	return nil
}

// DeleteNetwork deletes a network with all endpoints, load balancers and
// routes on it.
func (h *Host) DeleteNetwork(network *HostComputeNetwork) error {
	return remove(h, "DeleteNetwork", networks, network.Id)
}

// ModifyNetworkSettings changes a network.
func (h *Host) ModifyNetworkSettings(network *HostComputeNetwork, request *ModifyNetworkSettingRequest) error {
	_, err := modify[HostComputeNetwork](h, "ModifyNetworkSettings", networks, network.Id, request)
	return err
}

// AddNetworkPolicy adds policies to a network.
func (h *Host) AddNetworkPolicy(network *HostComputeNetwork, policies PolicyNetworkRequest) error {
	return h.networkPolicy("AddNetworkPolicy", network, RequestTypeAdd, policies)
}

// RemoveNetworkPolicy removes policies from a network.
func (h *Host) RemoveNetworkPolicy(network *HostComputeNetwork, policies PolicyNetworkRequest) error {
	return h.networkPolicy("RemoveNetworkPolicy", network, RequestTypeRemove, policies)
}

func (h *Host) networkPolicy(method string, network *HostComputeNetwork, verb RequestType, policies PolicyNetworkRequest) error {
	_, err := modify[HostComputeNetwork](h, method, networks, network.Id, &ModifyNetworkSettingRequest{
		ResourceType: NetworkResourceTypePolicy, RequestType: verb, Settings: mustJSON(policies)})
	return err
}

// ListEndpoints lists all endpoints.
func (h *Host) ListEndpoints() ([]HostComputeEndpoint, error) {
	return enumerate[HostComputeEndpoint](h, "ListEndpoints", endpoints, HostComputeQuery{SchemaVersion: V2SchemaVersion()})
}

// ListEndpointsQuery lists the endpoints that a query selects.
func (h *Host) ListEndpointsQuery(query HostComputeQuery) ([]HostComputeEndpoint, error) {
	return enumerate[HostComputeEndpoint](h, "ListEndpointsQuery", endpoints, query)
}

// ListEndpointsOfNetwork lists the endpoints of a network.
func (h *Host) ListEndpointsOfNetwork(networkID string) ([]HostComputeEndpoint, error) {
	return enumerate[HostComputeEndpoint](h, "ListEndpointsOfNetwork", endpoints, filterQuery("VirtualNetwork", networkID))
}

// GetEndpointByID finds an endpoint, or fails with an EndpointNotFoundError.
func (h *Host) GetEndpointByID(endpointID string) (*HostComputeEndpoint, error) {
	return find[HostComputeEndpoint](h, "GetEndpointByID", endpoints, "ID", endpointID, EndpointNotFoundError{EndpointID: endpointID})
}

// GetEndpointByName finds an endpoint, or fails with an EndpointNotFoundError.
func (h *Host) GetEndpointByName(endpointName string) (*HostComputeEndpoint, error) {
	return find[HostComputeEndpoint](h, "GetEndpointByName", endpoints, "Name", endpointName, EndpointNotFoundError{EndpointName: endpointName})
}

// CreateEndpoint creates an endpoint on a network. As hcsshim it writes the
// network's id into the endpoint that it is given.
func (h *Host) CreateEndpoint(endpoint *HostComputeEndpoint, network *HostComputeNetwork) (*HostComputeEndpoint, error) {
	endpoint.HostComputeNetwork = network.Id
	return create[HostComputeEndpoint](h, "CreateEndpoint", endpoints, network.Id, endpoint)
}

// CreateRemoteEndpoint creates an endpoint that stands for one of another host.
func (h *Host) CreateRemoteEndpoint(endpoint *HostComputeEndpoint, network *HostComputeNetwork) (*HostComputeEndpoint, error) {
	endpoint.Flags |= EndpointFlagsRemoteEndpoint
	endpoint.HostComputeNetwork = network.Id
	return create[HostComputeEndpoint](h, "CreateRemoteEndpoint", endpoints, network.Id, endpoint)
}

// DeleteEndpoint deletes an endpoint, in use or not.
func (h *Host) DeleteEndpoint(endpoint *HostComputeEndpoint) error {
	return remove(h, "DeleteEndpoint", endpoints, endpoint.Id)
}

// ModifyEndpointSettings changes an endpoint.
func (h *Host) ModifyEndpointSettings(endpointID string, request *ModifyEndpointSettingRequest) error {
	_, err := modify[HostComputeEndpoint](h, "ModifyEndpointSettings", endpoints, endpointID, request)
	return err
}

// ApplyEndpointPolicy changes the policies of an endpoint. RequestTypeUpdate
// replaces the whole list.
func (h *Host) ApplyEndpointPolicy(endpoint *HostComputeEndpoint, requestType RequestType, policies PolicyEndpointRequest) error {
	_, err := modify[HostComputeEndpoint](h, "ApplyEndpointPolicy", endpoints, endpoint.Id, &ModifyEndpointSettingRequest{
		ResourceType: EndpointResourceTypePolicy, RequestType: requestType, Settings: mustJSON(policies)})
	return err
}

// ListLoadBalancers lists all load balancers.
func (h *Host) ListLoadBalancers() ([]HostComputeLoadBalancer, error) {
	return enumerate[HostComputeLoadBalancer](h, "ListLoadBalancers", loadBalancers, HostComputeQuery{SchemaVersion: V2SchemaVersion()})
}

// ListLoadBalancersQuery lists the load balancers that a query selects.
func (h *Host) ListLoadBalancersQuery(query HostComputeQuery) ([]HostComputeLoadBalancer, error) {
	return enumerate[HostComputeLoadBalancer](h, "ListLoadBalancersQuery", loadBalancers, query)
}

// GetLoadBalancerByID finds a load balancer, or fails with a
// LoadBalancerNotFoundError.
func (h *Host) GetLoadBalancerByID(loadBalancerID string) (*HostComputeLoadBalancer, error) {
	return find[HostComputeLoadBalancer](h, "GetLoadBalancerByID", loadBalancers, "ID", loadBalancerID, LoadBalancerNotFoundError{LoadBalancerId: loadBalancerID})
}

// CreateLoadBalancer creates a load balancer.
func (h *Host) CreateLoadBalancer(loadBalancer *HostComputeLoadBalancer) (*HostComputeLoadBalancer, error) {
	return create[HostComputeLoadBalancer](h, "CreateLoadBalancer", loadBalancers, "", loadBalancer)
}

// UpdateLoadBalancer replaces the load balancer with that id. Before Server
// 2025 HNS answers E_NOTIMPL (IsNotImplemented).
func (h *Host) UpdateLoadBalancer(loadBalancer *HostComputeLoadBalancer, loadBalancerID string) (*HostComputeLoadBalancer, error) {
	return modify[HostComputeLoadBalancer](h, "UpdateLoadBalancer", loadBalancers, loadBalancerID, loadBalancer)
}

// DeleteLoadBalancer deletes a load balancer.
func (h *Host) DeleteLoadBalancer(loadBalancer *HostComputeLoadBalancer) error {
	return remove(h, "DeleteLoadBalancer", loadBalancers, loadBalancer.Id)
}

// AddLoadBalancer creates a load balancer with one port for endpoints.
func (h *Host) AddLoadBalancer(backends []HostComputeEndpoint, flags LoadBalancerFlags, portMappingFlags LoadBalancerPortMappingFlags,
	sourceVIP string, frontendVIPs []string, protocol, internalPort, externalPort uint16) (*HostComputeLoadBalancer, error) {
	lb := &HostComputeLoadBalancer{SourceVIP: sourceVIP, FrontendVIPs: frontendVIPs, SchemaVersion: V2SchemaVersion(), Flags: flags,
		HostComputeEndpoints: idsOf(backends), PortMappings: []LoadBalancerPortMapping{{
			Protocol: uint32(protocol), InternalPort: internalPort, ExternalPort: externalPort, Flags: portMappingFlags}}}
	return create[HostComputeLoadBalancer](h, "AddLoadBalancer", loadBalancers, "", lb)
}

func idsOf(list []HostComputeEndpoint) []string {
	var ids []string
	for _, e := range list {
		ids = append(ids, e.Id)
	}
	return ids
}

// ListRoutes lists all route objects.
func (h *Host) ListRoutes() ([]HostComputeRoute, error) {
	return enumerate[HostComputeRoute](h, "ListRoutes", routes, HostComputeQuery{SchemaVersion: V2SchemaVersion()})
}

// ListRoutesQuery lists the route objects that a query selects.
func (h *Host) ListRoutesQuery(query HostComputeQuery) ([]HostComputeRoute, error) {
	return enumerate[HostComputeRoute](h, "ListRoutesQuery", routes, query)
}

// GetRouteByID finds a route object, or fails with a RouteNotFoundError.
func (h *Host) GetRouteByID(routeID string) (*HostComputeRoute, error) {
	return find[HostComputeRoute](h, "GetRouteByID", routes, "ID", routeID, RouteNotFoundError{RouteId: routeID})
}

// CreateRoute creates a route object.
func (h *Host) CreateRoute(route *HostComputeRoute) (*HostComputeRoute, error) {
	return create[HostComputeRoute](h, "CreateRoute", routes, "", route)
}

// DeleteRoute deletes a route object.
func (h *Host) DeleteRoute(route *HostComputeRoute) error {
	return remove(h, "DeleteRoute", routes, route.ID)
}

// AddRoute creates a route object for endpoints.
func (h *Host) AddRoute(users []HostComputeEndpoint, destinationPrefix string, nextHop string, needEncapsulation bool) (*HostComputeRoute, error) {
	if len(users) == 0 {
		return nil, errors.New("missing endpoints")
	}
	return create[HostComputeRoute](h, "AddRoute", routes, "", &HostComputeRoute{SchemaVersion: V2SchemaVersion(),
		HostComputeEndpoints: idsOf(users),
		Setting:              []SDNRoutePolicySetting{{DestinationPrefix: destinationPrefix, NextHop: nextHop, NeedEncap: needEncapsulation}}})
}
