package hns

import (
	"slices"

	"github.com/hnsim/hnsim/sim/hcn"
)

// DeleteNetwork deletes a network with its endpoints, load balancers and
// routes (D.3 #20).
func (s *Service) DeleteNetwork(id string) error {
	return s.change(func(t *tx) error {
		n := t.next.NetworkByID(id)
		if n == nil {
			return t.deletedUnknown(networkNotFound(id))
		}
		t.note(NetworkPreDelete, n.Doc.ID)
		t.deleteNetwork(n)
		t.note(NetworkDelete, n.Doc.ID)
		return nil
	})
}

func (t *tx) deleteNetwork(n *Network) {
	t.next.LoadBalancers = slices.DeleteFunc(t.next.LoadBalancers, func(l *LoadBalancer) bool { return l.Network == n.Num })
	t.next.Routes = slices.DeleteFunc(t.next.Routes, func(r *Route) bool { return r.Network == n.Num })
	for _, e := range t.next.EndpointsOf(n.Num) {
		t.deleteEndpoint(e)
	}
	t.next.Networks = remove(t.next.Networks, n)
	t.dirty = true
}

// DeleteEndpoint deletes an endpoint, attached or not. Its namespace loses it;
// load balancers and routes lose the reference (C.4).
func (s *Service) DeleteEndpoint(id string) error {
	return s.change(func(t *tx) error {
		e := t.next.EndpointByID(id)
		if e == nil {
			return t.deletedUnknown(endpointNotFound(id))
		}
		t.deleteEndpoint(e)
		return nil
	})
}

func (t *tx) deleteEndpoint(e *Endpoint) {
	if e.Namespace != "" {
		if n := t.next.NamespaceByID(e.Namespace); n != nil {
			ns := t.editNamespace(n)
			ns.Endpoints = slices.DeleteFunc(ns.Endpoints, func(id string) bool { return hcn.SameID(id, e.Doc.ID) })
		}
	}
	isIt := func(id string) bool { return hcn.SameID(id, e.Doc.ID) }
	for _, l := range slices.Clone(t.next.LoadBalancers) {
		isNum := func(num uint32) bool { return num == e.Num }
		if slices.Contains(l.Draining, e.Num) {
			l = t.editBalancer(l)
			l.Draining = slices.DeleteFunc(slices.Clone(l.Draining), isNum)
		}
		if slices.Contains(l.Endpoints, e.Num) {
			c := t.editBalancer(l)
			c.Endpoints = slices.DeleteFunc(slices.Clone(l.Endpoints), isNum)
			c.Doc.HostComputeEndpoints = slices.DeleteFunc(slices.Clone(l.Doc.HostComputeEndpoints), isIt)
			if len(c.Endpoints) == 0 && t.knobs().LBEmptied == "delete" {
				t.next.LoadBalancers = remove(t.next.LoadBalancers, c)
			}
		}
	}
	for _, r := range t.next.Routes {
		if slices.Contains(r.Endpoints, e.Num) {
			c := t.editRoute(r)
			c.Endpoints = slices.DeleteFunc(slices.Clone(r.Endpoints), func(num uint32) bool { return num == e.Num })
			c.Doc.HostComputeEndpoints = slices.DeleteFunc(slices.Clone(r.Doc.HostComputeEndpoints), isIt)
		}
	}
	if e.AttachedTo != NotAttached {
		t.note(NetworkEndpointDetached, e.Doc.ID)
	}
	t.next.Endpoints = remove(t.next.Endpoints, e)
	t.dirty = true
}

// DeleteLoadBalancer deletes a load balancer.
func (s *Service) DeleteLoadBalancer(id string) error {
	return s.change(func(t *tx) error {
		l := t.next.balancerByID(id)
		if l == nil {
			return t.deletedUnknown(elementNotFound("load balancer", id))
		}
		t.next.LoadBalancers = remove(t.next.LoadBalancers, l)
		t.dirty = true
		return nil
	})
}

// DeleteRoute deletes an SDN route object.
func (s *Service) DeleteRoute(id string) error {
	return s.change(func(t *tx) error {
		r := t.next.routeByID(id)
		if r == nil {
			return t.deletedUnknown(elementNotFound("route", id))
		}
		t.next.Routes = remove(t.next.Routes, r)
		t.dirty = true
		return nil
	})
}

func elementNotFound(kind, id string) error {
	return hcn.Errorf(hcn.ErrElementNotFound, "no %s has the id %q", kind, id)
}
