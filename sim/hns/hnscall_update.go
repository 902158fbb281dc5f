package hns

import (
	"fmt"

	"github.com/hnsim/hnsim/sim/hcn"
)

// updateNetwork is POST /networks/{id}: extensions, policies and DNS of the
// document; what a network is made of (type, name, subnets) stays.
func (s *Service) updateNetwork(id string, body []byte) error {
	return s.change(func(t *tx) error {
		n := t.next.NetworkByID(id)
		if n == nil {
			return networkNotFound(id)
		}
		if n.Degraded {
			return degraded(n)
		}
		doc, shape, err := hcn.DecodeNetworkShape(body)
		if err != nil {
			return err
		}
		if doc.ID != "" && !hcn.SameID(doc.ID, n.Doc.ID) {
			return hcn.ErrorAt(hcn.ErrInvalidNetwork, "ID", fmt.Sprintf("%q", doc.ID), "the id of the path")
		}
		if doc.Name != "" && doc.Name != n.Doc.Name {
			return hcn.ErrorAt(hcn.ErrRequestUnsupported, "Name", fmt.Sprintf("%q", doc.Name), "the name of the network: it cannot change")
		}
		exts, err := hcn.DecodeExtensions(body)
		if err != nil {
			return err
		}
		for i, x := range exts {
			if on, known := t.extensionState(n, x.ID); known && on == x.IsEnabled {
				continue // documents that are sent back name all three
			}
			if err := t.setExtension(n, x.ID, x.IsEnabled, fmt.Sprintf("Extensions[%d].Id", i)); err != nil {
				return err
			}
			n = t.next.NetworkByNum(n.Num)
		}
		c := t.editNetwork(n)
		if doc.DNS.Domain != "" || len(doc.DNS.ServerList) > 0 {
			c.Doc.DNS = doc.DNS
		}
		if doc.Policies == nil {
			return nil
		}
		if err := hcn.ValidatePolicies(doc.Policies, "network", n.Type, t.profile(), "Policies"); err != nil {
			return hcn.InShape(err, shape, body)
		}
		c.Doc.Policies = doc.Policies
		if err := t.checkSetReferences(c); err != nil {
			return err
		}
		return t.networkPolicies(c)
	})
}

// extensionState is whether an extension is on, and whether the switch has it.
func (t *tx) extensionState(n *Network, id string) (on, known bool) {
	for _, x := range t.extensionsOf(n) {
		if hcn.SameID(x.ID, id) {
			return x.IsEnabled, true
		}
	}
	return false, false
}

// updateEndpoint is POST /endpoints/{id}: the document is the whole endpoint,
// its policy list the new complete list (C.5).
func (s *Service) updateEndpoint(id string, body []byte) error {
	return s.change(func(t *tx) error {
		e := t.next.EndpointByID(id)
		if e == nil {
			return endpointNotFound(id)
		}
		if n := t.next.NetworkByNum(e.Network); n.Degraded {
			return degraded(n)
		}
		doc, shape, err := hcn.DecodeEndpointShape(body)
		if err != nil {
			return err
		}
		if err := t.fixedMembers(e, doc); err != nil {
			return hcn.InShape(err, shape, body)
		}
		if len(doc.DNS.ServerList) > 0 || doc.DNS.Domain != "" {
			e = t.editEndpoint(e)
			e.Doc.DNS = doc.DNS
		}
		return hcn.InShape(t.setEndpointPolicies(e, doc.Policies, doc.Policies, "Policies"), shape, body)
	})
}

// fixedMembers refuses to change what an endpoint is created with.
func (t *tx) fixedMembers(e *Endpoint, doc *hcn.Endpoint) error {
	fixed := func(path, found, have string) error {
		return hcn.ErrorAt(hcn.ErrRequestUnsupported, path, fmt.Sprintf("%q", found), fmt.Sprintf("%q: it cannot change", have))
	}
	switch {
	case doc.ID != "" && !hcn.SameID(doc.ID, e.Doc.ID):
		return fixed("ID", doc.ID, e.Doc.ID)
	case doc.HostComputeNetwork != "" && !hcn.SameID(doc.HostComputeNetwork, e.Doc.HostComputeNetwork):
		return fixed("HostComputeNetwork", doc.HostComputeNetwork, e.Doc.HostComputeNetwork)
	}
	if len(doc.IpConfigurations) > 0 && doc.IpConfigurations[0].IpAddress != "" {
		if a := doc.IpConfigurations[0].IpAddress; a != addrText(e.Addr()) {
			return fixed("IpConfigurations[0].IpAddress", a, addrText(e.Addr()))
		}
	}
	if doc.MacAddress != "" {
		if mac, err := hcn.ParseMAC(doc.MacAddress); err != nil || mac != e.MAC {
			return fixed("MacAddress", doc.MacAddress, e.Doc.MacAddress)
		}
	}
	return nil
}

// namespaceResource is POST /namespaces/{id}/addresource and removeresource.
func (s *Service) namespaceResource(id string, add bool, body []byte) error {
	return s.change(func(t *tx) error {
		n := t.next.NamespaceByID(id)
		if n == nil {
			return namespaceNotFound(id)
		}
		r, err := hcn.DecodeNamespaceResource(body)
		if err != nil {
			return err
		}
		switch {
		case r.Type == hcn.EndpointResource && add:
			return t.join(n, r.Data.ID, "Data.Id")
		case r.Type == hcn.EndpointResource:
			return t.leave(n, r.Data.ID, "Data.Id")
		case r.Type == hcn.ContainerResource && add:
			return t.startContainer(n, r.Data.ID, ProcessIsolated)
		case r.Type == hcn.ContainerResource:
			return t.stopContainer(n, r.Data.ID)
		}
		return hcn.ErrorAt(hcn.ErrRequestUnsupported, "Type", fmt.Sprintf("%q", string(r.Type)), "Endpoint or Container")
	})
}
