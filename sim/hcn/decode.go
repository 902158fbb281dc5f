package hcn

import "reflect"

// Members that only one shape has tell the shapes apart when the document
// does not name its schema version.
var (
	v1NetworkMarks   = []string{"Subnets", "MacPools", "NetworkAdapterName", "SourceMac", "DNSSuffix", "DNSServerList", "ManagementIP", "AutomaticDNS"}
	v1EndpointMarks  = []string{"VirtualNetwork", "IPAddress", "IPv6Address", "GatewayAddress", "IsRemoteEndpoint", "DNSServerList", "DNSSuffix", "PrefixLength"}
	v1NamespaceMarks = []string{"IsDefault", "ResourceList", "CompartmentId"}
)

// shapeOfDocument decides the shape of a document: a schema version with a
// major part wins, then any member that only v1 has.
func shapeOfDocument(n *node, marks []string) Shape {
	if v := n.get("SchemaVersion"); v != nil && v.kind == objectKind {
		if major := v.get("Major"); major != nil && major.kind == numberKind {
			switch major.str {
			case "1":
				return V1
			case "0": // v1 views of real hosts show {0,0}
			default:
				return V2
			}
		}
	}
	for _, m := range marks {
		if n.get(m) != nil {
			return V1
		}
	}
	return V2
}

// parseObject parses a document that has to be an object.
func parseObject(data []byte) (*node, *decoder, *Error) {
	n, err := parse(data)
	if err != nil {
		return nil, nil, err
	}
	d := &decoder{src: data, code: ErrInvalidJSON}
	if n.kind != objectKind {
		return nil, nil, d.fail(n, "", "an object")
	}
	return n, d, nil
}

func decodeShaped[T2, T1 any](data []byte, marks []string, up func(*T1) *T2) (*T2, Shape, error) {
	n, d, err := parseObject(data)
	if err != nil {
		return nil, V2, err
	}
	shape := shapeOfDocument(n, marks)
	if shape == V2 {
		out := new(T2)
		if err := d.decode(n, reflect.ValueOf(out).Elem(), ""); err != nil {
			return nil, shape, err
		}
		return out, shape, nil
	}
	v1 := new(T1)
	if err := d.decode(n, reflect.ValueOf(v1).Elem(), ""); err != nil {
		return nil, shape, err
	}
	return up(v1), shape, nil
}

// DecodeNetwork reads a network in either shape. Errors are *Error with the
// code INVALID_JSON, the path, and line and column.
func DecodeNetwork(data []byte) (*Network, error) {
	n, _, err := DecodeNetworkShape(data)
	return n, err
}

// DecodeNetworkShape is DecodeNetwork that also tells the document's shape.
func DecodeNetworkShape(data []byte) (*Network, Shape, error) {
	n, shape, err := decodeShaped(data, v1NetworkMarks, (*V1Network).toV2)
	if err == nil && shape == V2 && n.SchemaVersion == (SchemaVersion{}) {
		// Nothing tells the shapes apart: a v1 request may say no more than a
		// name and a type, which is shown as it was spelled.
		if root, perr := parse(data); perr == nil {
			if t := root.get("Type"); t != nil && t.kind == stringKind && t.str != string(n.Type) {
				n.V1Type = t.str
			}
		}
	}
	return n, shape, err
}

// DecodeEndpoint reads an endpoint in either shape.
func DecodeEndpoint(data []byte) (*Endpoint, error) {
	e, _, err := DecodeEndpointShape(data)
	return e, err
}

// DecodeEndpointShape is DecodeEndpoint that also tells the document's shape.
func DecodeEndpointShape(data []byte) (*Endpoint, Shape, error) {
	return decodeShaped(data, v1EndpointMarks, (*V1Endpoint).toV2)
}

// DecodeNamespace reads a namespace in either shape.
func DecodeNamespace(data []byte) (*Namespace, error) {
	n, _, err := decodeShaped(data, v1NamespaceMarks, (*V1Namespace).toV2)
	return n, err
}

// DecodeLoadBalancer reads a load balancer in the v2 shape. v1 has policy
// lists instead: see DecodePolicyList.
func DecodeLoadBalancer(data []byte) (*LoadBalancer, error) {
	out := new(LoadBalancer)
	if err := decodeDocument(data, out); err != nil {
		return nil, err
	}
	return out, nil
}

// DecodeSDNRoute reads an SDN route object in the v2 shape. The list may be
// called Routes or Setting; afterwards it is in Routes (section B.6).
func DecodeSDNRoute(data []byte) (*SDNRoute, error) {
	out := new(SDNRoute)
	if err := decodeDocument(data, out); err != nil {
		return nil, err
	}
	if len(out.Routes) == 0 {
		out.Routes = out.Setting
	}
	out.Setting = nil
	return out, nil
}

// DecodePolicy reads one policy in either form.
func DecodePolicy(data []byte) (Policy, error) {
	var p Policy
	if err := decodeDocument(data, &p); err != nil {
		return Policy{}, err
	}
	return p, nil
}

// Encode writes the network in a shape.
func (n *Network) Encode(s Shape) []byte {
	if s == V1 {
		return encodeDocument(n.toV1(), V1)
	}
	return encodeDocument(n, V2)
}

// Encode writes the endpoint in a shape.
func (e *Endpoint) Encode(s Shape) []byte {
	if s == V1 {
		return encodeDocument(e.toV1(), V1)
	}
	return encodeDocument(e, V2)
}

// Encode writes the namespace in a shape.
func (n *Namespace) Encode(s Shape) []byte {
	if s == V1 {
		return encodeDocument(n.toV1(), V1)
	}
	return encodeDocument(n, V2)
}

// Encode writes the load balancer: as a policy list in the v1 shape.
func (l *LoadBalancer) Encode(s Shape) []byte {
	if s == V1 {
		return encodeDocument(l.policyList(), V1)
	}
	return encodeDocument(l, V2)
}

// Encode writes the route object: as a policy list in the v1 shape. The v2
// shape has the list under both of its names.
func (r *SDNRoute) Encode(s Shape) []byte {
	if s == V1 {
		return encodeDocument(r.policyList(), V1)
	}
	c := *r
	c.Setting = c.Routes
	return encodeDocument(&c, V2)
}

// Encode writes the policy in a shape.
func (p Policy) Encode(s Shape) []byte { return encodeDocument(&p, s) }

// MarshalJSON writes the v2 shape, so that documents can stand inside values
// that encoding/json writes.
func (n *Network) MarshalJSON() ([]byte, error) { return n.Encode(V2), nil }

// MarshalJSON writes the v2 shape.
func (e *Endpoint) MarshalJSON() ([]byte, error) { return e.Encode(V2), nil }

// MarshalJSON writes the v2 shape.
func (n *Namespace) MarshalJSON() ([]byte, error) { return n.Encode(V2), nil }

// MarshalJSON writes the v2 shape.
func (l *LoadBalancer) MarshalJSON() ([]byte, error) { return l.Encode(V2), nil }

// MarshalJSON writes the v2 shape.
func (r *SDNRoute) MarshalJSON() ([]byte, error) { return r.Encode(V2), nil }

// MarshalJSON writes the v2 form.
func (p Policy) MarshalJSON() ([]byte, error) { return p.Encode(V2), nil }
