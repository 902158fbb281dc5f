package hcn

import (
	"encoding/json"
	"strconv"
	"strings"
)

// PolicyList is the v1 form of load balancers (policies of type ELB) and of
// route objects (policies of type ROUTE).
type PolicyList struct {
	ID         string `json:"ID,omitempty"`
	Base       `json:",inline"`
	References []string          `json:",omitempty"` // "/endpoints/<id>"
	Policies   []json.RawMessage `json:",omitempty"`
	Extras     Extras            `json:"-"`
}

// ELBSettings is the v1 ELB policy.
type ELBSettings struct {
	Type         string         `json:""`
	SourceVIP    string         `json:",omitempty"`
	VIPs         []string       `json:",omitempty"`
	ILB          bool           `json:",omitempty"`
	IsDSR        bool           `json:",omitempty"`
	Protocol     ProtocolNumber `json:",omitempty"`
	InternalPort uint16         `json:""`
	ExternalPort uint16         `json:""`
	Extras       Extras         `json:"-"`
}

// v1RouteSettings is the v1 ROUTE policy of a policy list.
type v1RouteSettings struct {
	Type              string `json:""`
	DestinationPrefix string `json:",omitempty"`
	NextHop           string `json:",omitempty"`
	NeedEncap         bool   `json:",omitempty"`
	Extras            Extras `json:"-"`
}

// DecodePolicyList reads a v1 policy list. Exactly one of the results is
// there: a load balancer when the policies are ELB, a route object when they
// are ROUTE. Another type is INVALID_POLICY_TYPE.
func DecodePolicyList(data []byte) (*LoadBalancer, *SDNRoute, error) {
	list := new(PolicyList)
	if err := decodeDocument(data, list); err != nil {
		return nil, nil, err
	}
	var ids []string
	for i, ref := range list.References {
		id, err := referencedEndpoint(ref)
		if err != nil {
			return nil, nil, err.at("References[" + strconv.Itoa(i) + "]")
		}
		ids = append(ids, id)
	}
	lb := &LoadBalancer{ID: list.ID, Base: list.Base, HostComputeEndpoints: ids, Extras: list.Extras}
	route := &SDNRoute{ID: list.ID, Base: list.Base, HostComputeEndpoints: ids, Extras: list.Extras}
	for i, raw := range list.Policies {
		path := "Policies[" + strconv.Itoa(i) + "]"
		kind, err := lb.addV1(raw, route)
		if err != nil {
			return nil, nil, err.at(path)
		}
		if i > 0 && kind != (len(route.Routes) > 0) || len(lb.PortMappings) > 0 && len(route.Routes) > 0 {
			return nil, nil, ErrorAt(ErrInvalidPolicyType, path+".Type", "a mixture of ELB and ROUTE", "policies of one type")
		}
	}
	switch {
	case len(route.Routes) > 0:
		return nil, route, nil
	case len(lb.PortMappings) > 0:
		return lb, nil, nil
	}
	return nil, nil, ErrorAt(ErrInvalidPolicy, "Policies", "an empty list", "at least one ELB or ROUTE policy")
}

// addV1 adds one policy of a list to the object it belongs to and reports
// whether it was a route.
func (l *LoadBalancer) addV1(raw json.RawMessage, route *SDNRoute) (bool, *Error) {
	var head struct{ Type string }
	if err := decodeDocument(raw, &head); err != nil {
		return false, err.withoutPosition()
	}
	switch strings.ToUpper(head.Type) {
	case "ELB":
		var s ELBSettings
		if err := decodeDocument(raw, &s); err != nil {
			return false, err.withoutPosition()
		}
		l.SourceVIP, l.FrontendVIPs = s.SourceVIP, s.VIPs
		if s.IsDSR {
			l.Flags |= EnableDSR
		}
		m := PortMapping{Protocol: s.Protocol, InternalPort: s.InternalPort, ExternalPort: s.ExternalPort, Extras: s.Extras}
		if s.ILB {
			m.Flags |= EnableILB
		}
		l.PortMappings = append(l.PortMappings, m)
		return false, nil
	case "ROUTE":
		var s v1RouteSettings
		if err := decodeDocument(raw, &s); err != nil {
			return true, err.withoutPosition()
		}
		route.Routes = append(route.Routes, SDNRouteSettings{DestinationPrefix: s.DestinationPrefix, NextHop: s.NextHop,
			NeedEncap: s.NeedEncap, Extras: s.Extras})
		return true, nil
	}
	return false, ErrorAt(ErrInvalidPolicyType, "Type", strconv.Quote(head.Type), "ELB or ROUTE")
}

func (e *Error) withoutPosition() *Error {
	e.Line, e.Column = 0, 0
	return e
}

// referencedEndpoint reads "/endpoints/<id>"; PowerShell clients send the id
// with any case and without the leading slash.
func referencedEndpoint(ref string) (string, *Error) {
	text := strings.TrimPrefix(ref, "/")
	if i := strings.IndexByte(text, '/'); i >= 0 && strings.EqualFold(text[:i], "endpoints") {
		if id, ok := ParseGUID(text[i+1:]); ok {
			return id, nil
		}
	}
	return "", ErrorAt(ErrInvalidJSONReference, "", strconv.Quote(clip(ref)), `"/endpoints/<id>"`)
}

func references(ids []string) []string {
	var out []string
	for _, id := range ids {
		out = append(out, "/endpoints/"+strings.ToLower(id))
	}
	return out
}

func (l *LoadBalancer) policyList() *PolicyList {
	p := &PolicyList{ID: l.ID, Base: l.Base, References: references(l.HostComputeEndpoints), Extras: l.Extras}
	for _, m := range l.PortMappings {
		p.Policies = append(p.Policies, encodeDocument(&ELBSettings{Type: "ELB", SourceVIP: l.SourceVIP, VIPs: l.FrontendVIPs,
			ILB: m.Flags&EnableILB != 0, IsDSR: l.Flags&EnableDSR != 0, Protocol: m.Protocol,
			InternalPort: m.InternalPort, ExternalPort: m.ExternalPort, Extras: m.Extras}, V1))
	}
	return p
}

func (r *SDNRoute) policyList() *PolicyList {
	p := &PolicyList{ID: r.ID, Base: r.Base, References: references(r.HostComputeEndpoints), Extras: r.Extras}
	for _, s := range r.Routes {
		p.Policies = append(p.Policies, encodeDocument(&v1RouteSettings{Type: "ROUTE", DestinationPrefix: s.DestinationPrefix,
			NextHop: s.NextHop, NeedEncap: s.NeedEncap, Extras: s.Extras}, V1))
	}
	return p
}
