package linux

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/hcn"
)

func (s *store) modify(op backends.HCNOp) error {
	if op.Kind == "loadbalancer" {
		if !s.profile.Supports(hcn.FeatureModifyLoadBalancer) {
			return hcn.Errorf(hcn.ErrNotImplemented, "HNS %s does not modify load balancers", s.profile.Version)
		}
		return unsupported("changing a load balancer in place has no counterpart on the Linux backend")
	}
	m, err := hcn.ParseModifyRequest(op.Body)
	if err != nil {
		return err
	}
	resource, err := m.Resource(op.Kind)
	if err != nil {
		return err
	}
	switch op.Kind {
	case "network":
		n := s.network(op.ID)
		if n == nil {
			return hcn.Errorf(hcn.ErrNetworkNotFound, "no network has the id %q", op.ID)
		}
		if resource != "Policy" {
			return unsupported("a request on the %s of a network has no counterpart on the Linux backend", resource)
		}
		return s.modifyNetwork(n, m)
	case "endpoint":
		e := s.endpoint(op.ID)
		if e == nil {
			return hcn.Errorf(hcn.ErrEndpointNotFound, "no endpoint has the id %q", op.ID)
		}
		if resource != "Policy" {
			return unsupported("a request on the %s of an endpoint has no counterpart on the Linux backend", resource)
		}
		return s.modifyEndpoint(e, m)
	case "namespace":
		return s.modifyNamespace(op.ID, resource, m)
	}
	return unsupported("%s objects have no counterpart on the Linux backend yet", op.Kind)
}

func (s *store) modifyNetwork(n *network, m *hcn.ModifyRequest) error {
	r, err := hcn.DecodeRequestSettings[hcn.NetworkPolicyRequest](m)
	if err != nil {
		return err
	}
	if err := hcn.ValidatePolicies(r.Policies, "network", n.kind, &s.profile, "Settings.Policies"); err != nil {
		return err
	}
	list, err := changed(n.doc.Policies, r.Policies, m.RequestType)
	if m.RequestType == hcn.RequestUpdate {
		list, err = updated(n.doc.Policies, r.Policies), nil
	}
	if err == nil {
		n.doc.Policies = list
	}
	return err
}

func (s *store) modifyEndpoint(e *endpoint, m *hcn.ModifyRequest) error {
	r, err := hcn.DecodeRequestSettings[hcn.EndpointPolicyRequest](m)
	if err != nil {
		return err
	}
	if err := hcn.ValidatePolicies(r.Policies, "endpoint", e.net.kind, &s.profile, "Settings.Policies"); err != nil {
		return err
	}
	old := e.doc.Policies
	if e.doc.Policies, err = changed(old, r.Policies, m.RequestType); err == nil {
		err = s.readEndpointPolicies(e)
	}
	if err != nil {
		e.doc.Policies = old
	}
	return err
}

// changed is a list of policies after a request (section B.8).
func changed(list, given []hcn.Policy, how hcn.RequestType) ([]hcn.Policy, error) {
	switch how {
	case hcn.RequestAdd:
		return append(slices.Clone(list), given...), nil
	case hcn.RequestRemove:
		out := slices.Clone(list)
		for i, g := range given {
			at := slices.IndexFunc(out, func(p hcn.Policy) bool { return samePolicy(p, g) })
			if at < 0 {
				return nil, hcn.ErrorAt(hcn.ErrPolicyNotFound, fmt.Sprintf("Settings.Policies[%d]", i), string(g.Type), "a policy that is there")
			}
			out = slices.Delete(out, at, at+1)
		}
		return out, nil
	case hcn.RequestUpdate: // the whole list: clients rebuild it first
		return given, nil
	}
	return nil, unsupported("a %s request has no counterpart on the Linux backend", how)
}

// updated is a network's list after an update: a set takes the place of the one
// with its id, other policies that of those of their type (section B.8).
func updated(list, given []hcn.Policy) []hcn.Policy {
	out := slices.Clone(list)
	for i, g := range given {
		at := slices.IndexFunc(out, func(p hcn.Policy) bool { return replaces(g, p) })
		switch {
		case at < 0:
			out = append(out, g)
		case g.Type == hcn.PolicySetPolicy:
			out[at] = g
		default:
			if !slices.ContainsFunc(given[:i], func(o hcn.Policy) bool { return o.Type == g.Type }) {
				out = slices.DeleteFunc(out, func(p hcn.Policy) bool { return p.Type == g.Type })
			}
			out = append(out, g)
		}
	}
	return out
}

// replaces reports whether an update with g takes p away: sets are told apart
// by their ids, other policies by their types.
func replaces(g, p hcn.Policy) bool {
	if g.Type != p.Type {
		return false
	}
	return g.Type != hcn.PolicySetPolicy || setOf(g) == setOf(p)
}

func setOf(p hcn.Policy) string {
	s, err := hcn.DecodeSettings[hcn.SetPolicySettings](p)
	if err != nil {
		return ""
	}
	return s.ID
}

func samePolicy(a, b hcn.Policy) bool {
	return a.Type == b.Type && string(hcn.CanonicalSettings(a)) == string(hcn.CanonicalSettings(b))
}

func (s *store) createNamespace(id string, body json.RawMessage) (string, error) {
	doc, err := hcn.DecodeNamespace(body)
	if err != nil {
		return "", err
	}
	if err := hcn.ValidateNamespace(doc, &s.profile); err != nil {
		return "", err
	}
	if doc.ID, err = s.chooseID(id, doc.ID); err != nil {
		return "", err
	}
	if doc.Type == "" {
		doc.Type = hcn.HostNamespace
	}
	resources := doc.Resources
	n := &namespace{doc: doc, kind: doc.Type, created: fileTime(time.Now())}
	s.namespaces = append(s.namespaces, n)
	for _, r := range resources {
		e := s.endpoint(r.Data.ID)
		if r.Type != hcn.EndpointResource {
			continue
		}
		if e == nil {
			s.namespaces = s.namespaces[:len(s.namespaces)-1]
			return "", hcn.Errorf(hcn.ErrEndpointNotFound, "no endpoint has the id %q", r.Data.ID)
		}
		if err := s.join(doc.ID, e); err != nil {
			return "", err
		}
	}
	return doc.ID, nil
}

func (s *store) modifyNamespace(id, resource string, m *hcn.ModifyRequest) error {
	n := s.namespace(id)
	if n == nil {
		return hcn.Errorf(hcn.ErrElementNotFound, "no namespace has the id %q", id)
	}
	if resource != "Endpoint" {
		return unsupported("a request on the %s of a namespace has no counterpart on the Linux backend", resource)
	}
	r, err := hcn.DecodeRequestSettings[hcn.NamespaceEndpointRequest](m)
	if err != nil {
		return err
	}
	e := s.endpoint(r.EndpointID)
	if e == nil {
		return hcn.ErrorAt(hcn.ErrEndpointNotFound, "Settings.EndpointId", fmt.Sprintf("%q", r.EndpointID), "the id of an endpoint")
	}
	switch m.RequestType {
	case hcn.RequestAdd:
		return s.join(id, e)
	case hcn.RequestRemove:
		if e.ns != n && s.profile.Knobs.NamespaceLeave == "success" {
			return nil
		}
		if e.ns != n {
			return hcn.ErrorAt(hcn.ErrElementNotFound, "Settings.EndpointId", fmt.Sprintf("%q", r.EndpointID), "an endpoint of the namespace")
		}
		s.leave(e)
		return nil
	}
	return unsupported("a %s request on a namespace has no counterpart on the Linux backend", m.RequestType)
}

// join puts an endpoint into a namespace.
func (s *store) join(id string, e *endpoint) error {
	n := s.namespace(id)
	switch {
	case n == nil:
		return hcn.Errorf(hcn.ErrElementNotFound, "no namespace has the id %q", id)
	case e.ns == n && s.profile.Knobs.NamespaceRejoin == "accept":
		return nil
	case e.ns == n:
		return hcn.ErrorAt(hcn.ErrEndpointAlreadyAttached, "Settings.EndpointId", e.doc.ID, "an endpoint that is in no namespace")
	case e.ns != nil:
		return hcn.ErrorAt(hcn.ErrEndpointNamespaceExists, "Settings.EndpointId", e.doc.ID, "an endpoint that no other namespace has")
	case e.remote:
		return hcn.ErrorAt(hcn.ErrInvalidRemoteEndpointOp, "Settings.EndpointId", e.doc.ID, "a local endpoint")
	}
	e.ns = n
	e.doc.HostComputeNamespace = n.doc.ID
	e.doc.State = uint16(hcn.EndpointAttached)
	n.endpoints = append(n.endpoints, e)
	return nil
}

// leave takes an endpoint out of its namespace, if it has one.
func (s *store) leave(e *endpoint) {
	if e.ns == nil {
		return
	}
	e.ns.endpoints = without(e.ns.endpoints, func(o *endpoint) bool { return o == e })
	e.ns, e.doc.HostComputeNamespace, e.doc.State = nil, "", uint16(hcn.EndpointCreated)
}

// v1Attach is POST /endpoints/{id}/attach and detach: to the host's own
// compartment; containers have namespaces.
func (s *store) v1Attach(id, verb string, body json.RawMessage) error {
	a, err := hcn.DecodeAttachRequest(body)
	if err != nil {
		return err
	}
	e := s.endpoint(id)
	switch {
	case e == nil:
		return hcn.Errorf(hcn.ErrEndpointNotFound, "no endpoint has the id %q", id)
	case !strings.EqualFold(a.SystemType, "Host") || verb != "attach" && verb != "detach":
		return unsupported("%s to a %s has no counterpart on the Linux backend", verb, a.SystemType)
	case verb == "detach":
		s.leave(e)
		return nil
	}
	return s.join(s.namespaces[0].doc.ID, e)
}
