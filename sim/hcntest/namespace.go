package hcntest

import "encoding/json"

// NewNamespace is the document of a namespace that can be created.
func NewNamespace(nsType NamespaceType) *HostComputeNamespace {
	return &HostComputeNamespace{Type: nsType, SchemaVersion: V2SchemaVersion()}
}

// ListNamespaces lists all namespaces, the host's own included.
func (h *Host) ListNamespaces() ([]HostComputeNamespace, error) {
	return enumerate[HostComputeNamespace](h, "ListNamespaces", namespaces, HostComputeQuery{SchemaVersion: V2SchemaVersion()})
}

// ListNamespacesQuery lists the namespaces that a query selects.
func (h *Host) ListNamespacesQuery(query HostComputeQuery) ([]HostComputeNamespace, error) {
	return enumerate[HostComputeNamespace](h, "ListNamespacesQuery", namespaces, query)
}

// GetNamespaceByID finds a namespace, or fails with a NamespaceNotFoundError.
func (h *Host) GetNamespaceByID(namespaceID string) (*HostComputeNamespace, error) {
	return h.namespace("GetNamespaceByID", namespaceID)
}

func (h *Host) namespace(method, id string) (*HostComputeNamespace, error) {
	return find[HostComputeNamespace](h, method, namespaces, "ID", id, NamespaceNotFoundError{NamespaceID: id})
}

// GetNamespaceEndpointIds lists the endpoints in a namespace.
func (h *Host) GetNamespaceEndpointIds(namespaceID string) ([]string, error) {
	return h.resources("GetNamespaceEndpointIds", namespaceID, NamespaceResourceTypeEndpoint)
}

// GetNamespaceContainerIds lists the containers in a namespace.
func (h *Host) GetNamespaceContainerIds(namespaceID string) ([]string, error) {
	return h.resources("GetNamespaceContainerIds", namespaceID, NamespaceResourceTypeContainer)
}

func (h *Host) resources(method, id string, kind NamespaceResourceType) ([]string, error) {
	n, err := h.namespace(method, id)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, r := range n.Resources {
		if r.Type != kind {
			continue
		}
		var data NamespaceResourceEndpoint
		if err := json.Unmarshal(r.Data, &data); err != nil {
			return nil, err
		}
		ids = append(ids, data.Id)
	}
	return ids, nil
}

// CreateNamespace creates a namespace.
func (h *Host) CreateNamespace(namespace *HostComputeNamespace) (*HostComputeNamespace, error) {
	return create[HostComputeNamespace](h, "CreateNamespace", namespaces, "", namespace)
}

// DeleteNamespace deletes a namespace; endpoints leave it, containers prevent it.
func (h *Host) DeleteNamespace(namespace *HostComputeNamespace) error {
	return remove(h, "DeleteNamespace", namespaces, namespace.Id)
}

// ModifyNamespaceSettings lets endpoints and containers join or leave.
func (h *Host) ModifyNamespaceSettings(namespaceID string, request *ModifyNamespaceSettingRequest) error {
	_, err := modify[HostComputeNamespace](h, "ModifyNamespaceSettings", namespaces, namespaceID, request)
	return err
}

// AddNamespaceEndpoint lets an endpoint join a namespace.
func (h *Host) AddNamespaceEndpoint(namespaceID string, endpointID string) error {
	return h.namespaceEndpoint("AddNamespaceEndpoint", namespaceID, RequestTypeAdd, endpointID)
}

// RemoveNamespaceEndpoint takes an endpoint out of a namespace.
func (h *Host) RemoveNamespaceEndpoint(namespaceID string, endpointID string) error {
	return h.namespaceEndpoint("RemoveNamespaceEndpoint", namespaceID, RequestTypeRemove, endpointID)
}

func (h *Host) namespaceEndpoint(method, namespaceID string, verb RequestType, endpointID string) error {
	_, err := modify[HostComputeNamespace](h, method, namespaces, namespaceID, &ModifyNamespaceSettingRequest{
		ResourceType: NamespaceResourceTypeEndpoint, RequestType: verb, Settings: mustJSON(map[string]string{"EndpointId": endpointID})})
	return err
}
