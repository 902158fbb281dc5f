package hns

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/hnsim/hnsim/sim/hcn"
)

// samePolicy compares policies by type and by the meaning of their settings:
// defaults filled in, member order and spelling of enumerations ignored (B.8).
func samePolicy(a, b hcn.Policy) bool {
	if a.Type != b.Type {
		return false
	}
	x, y := hcn.CanonicalSettings(a), hcn.CanonicalSettings(b)
	if bytes.Equal(x, y) {
		return true
	}
	var u, v any
	if json.Unmarshal(x, &u) != nil || json.Unmarshal(y, &v) != nil {
		return false
	}
	return reflect.DeepEqual(u, v)
}

// removePolicies takes the listed policies out; one that is not there is
// POLICY_NOT_FOUND. same decides which entries are meant.
func (t *tx) removePolicies(list, gone []hcn.Policy, same func(a, b hcn.Policy) bool) ([]hcn.Policy, error) {
	out := append([]hcn.Policy(nil), list...)
	for i, g := range gone {
		at := -1
		for j, p := range out {
			if same(p, g) {
				at = j
				break
			}
		}
		if at < 0 && t.knobs().PolicyMissing == "success" {
			continue
		}
		if at < 0 {
			return nil, hcn.ErrorAt(hcn.ErrPolicyNotFound, fmt.Sprintf("Settings.Policies[%d]", i),
				string(g.Type)+" with these settings", "a policy that the object has")
		}
		out = append(out[:at], out[at+1:]...)
	}
	return out, nil
}

// sameEndpointPolicy also finds a PortMapping whose host port HNS assigned:
// the remove request repeats the 0 of the create request.
func sameEndpointPolicy(have, given hcn.Policy) bool {
	if samePolicy(have, given) {
		return true
	}
	if have.Type != hcn.PolicyPortMapping || given.Type != hcn.PolicyPortMapping {
		return false
	}
	a, err1 := hcn.DecodeSettings[hcn.PortMappingSettings](have)
	b, err2 := hcn.DecodeSettings[hcn.PortMappingSettings](given)
	return err1 == nil && err2 == nil && b.ExternalPort == 0 &&
		a.Protocol == b.Protocol && a.InternalPort == b.InternalPort && a.VIP == b.VIP
}

// sameNetworkPolicy finds what a remove request on a network means: a set by
// its id, HostRoute by type, everything else by content (B.8).
func sameNetworkPolicy(have, given hcn.Policy) bool {
	if have.Type != given.Type {
		return false
	}
	switch have.Type {
	case hcn.PolicyHostRoute:
		return true
	case hcn.PolicySetPolicy:
		return setID(have) == setID(given)
	}
	return samePolicy(have, given)
}

func setID(p hcn.Policy) string {
	s, err := hcn.DecodeSettings[hcn.SetPolicySettings](p)
	if err != nil {
		return ""
	}
	return s.ID
}

// ModifyEndpoint carries out a modify request on an endpoint.
func (s *Service) ModifyEndpoint(id string, request []byte) error {
	return s.change(func(t *tx) error {
		e := t.next.EndpointByID(id)
		if e == nil {
			return endpointNotFound(id)
		}
		m, err := hcn.ParseModifyRequest(request)
		if err != nil {
			return err
		}
		if n := t.next.NetworkByNum(e.Network); n.Degraded {
			return degraded(n)
		}
		resource, err := m.Resource("endpoint")
		if err != nil {
			return err
		}
		if resource == "Port" {
			return t.modifyPort(e, m)
		}
		return t.modifyEndpointPolicies(e, m)
	})
}

func endpointNotFound(id string) error {
	return hcn.Errorf(hcn.ErrEndpointNotFound, "no endpoint has the id %q", id)
}

func networkNotFound(id string) error {
	return hcn.Errorf(hcn.ErrNetworkNotFound, "no network has the id %q", id)
}

func unsupported(m *hcn.ModifyRequest, resource string) error {
	return hcn.ErrorAt(hcn.ErrRequestUnsupported, "RequestType", string(m.RequestType)+" "+resource, "another request type for this resource")
}

func (t *tx) modifyEndpointPolicies(e *Endpoint, m *hcn.ModifyRequest) error {
	var given []hcn.Policy
	if m.RequestType != hcn.RequestReset && m.RequestType != hcn.RequestRefresh {
		r, err := hcn.DecodeRequestSettings[hcn.EndpointPolicyRequest](m)
		if err != nil {
			return err
		}
		given = r.Policies
	}
	list := e.Doc.Policies
	var err error
	switch m.RequestType {
	case hcn.RequestAdd:
		list = append(append([]hcn.Policy(nil), list...), given...)
	case hcn.RequestUpdate: // replaces the whole list: clients rebuild it first (B.8)
		list = given
	case hcn.RequestRemove:
		list, err = t.removePolicies(list, given, sameEndpointPolicy)
	case hcn.RequestReset:
		list = nil
	case hcn.RequestRefresh:
		t.dirty = true // re-applies what there is
	}
	if err != nil {
		return err
	}
	return t.setEndpointPolicies(e, given, list, "Settings.Policies")
}

// setEndpointPolicies makes list the endpoint's policies. given are those that
// the request brought: errors name their places.
func (t *tx) setEndpointPolicies(e *Endpoint, given, list []hcn.Policy, path string) error {
	n := t.next.NetworkByNum(e.Network)
	if err := hcn.ValidatePolicies(given, "endpoint", n.Type, t.profile(), path); err != nil {
		return err
	}
	if err := hcn.ValidatePolicies(list, "endpoint", n.Type, t.profile(), "Policies"); err != nil {
		return err
	}
	c := t.editEndpoint(e)
	c.Doc.Policies = append([]hcn.Policy(nil), list...)
	return t.endpointPolicies(n, c)
}

// modifyPort attaches an endpoint to a virtual machine's port, or detaches it.
func (t *tx) modifyPort(e *Endpoint, m *hcn.ModifyRequest) error {
	switch m.RequestType {
	case hcn.RequestAdd:
		r, err := hcn.DecodeRequestSettings[hcn.PortRequest](m)
		if err != nil {
			return err
		}
		c, err := t.attachable(e)
		if err != nil {
			return err
		}
		if port, ok := hcn.ParseGUID(r.PortID); ok && port != hcn.ZeroGUID {
			c.ids.port = port
		}
		if vm, ok := hcn.ParseGUID(r.VirtualMachineID); ok && vm != hcn.ZeroGUID {
			c.Doc.Health.Extra.VirtualMachine = vm
		}
		t.attachVM(c)
		return nil
	case hcn.RequestRemove:
		return t.detach(e, "", NotAttached)
	case hcn.RequestRefresh:
		t.dirty = true
		return nil
	}
	return unsupported(m, "Port")
}
