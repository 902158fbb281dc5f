package hcn

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Query is HostComputeQuery: what Enumerate and Query calls carry (B.7).
type Query struct {
	SchemaVersion SchemaVersion
	Detailed      bool
	Filter        []FilterTerm // a conjunction; empty matches everything
	FoldNames     bool         // Match does not mind capitals in names (knob filterCase)
}

// Shape is the shape in which objects are to be shown.
func (q *Query) Shape() Shape { return ShapeOf(q.SchemaVersion) }

// FilterTerm is one equality of a filter. Value is the text of a string, or
// the literal of a number, true or false.
type FilterTerm struct {
	Name, Value string
	// Absent is a term with the value null: it matches objects without the
	// member.
	Absent bool
}

// ParseQuery reads a query. Empty text asks for the v2 shape of everything.
// Filter is a JSON object as text; a query whose keys are not those of a query
// is itself the filter.
func ParseQuery(data []byte) (*Query, error) {
	q := &Query{}
	if len(strings.TrimSpace(string(data))) == 0 {
		return q, nil
	}
	n, d, err := parseObject(data)
	if err != nil {
		return nil, err
	}
	for _, m := range n.members {
		if err := q.member(d, m); err != nil {
			return nil, err
		}
	}
	return q, nil
}

func (q *Query) member(d *decoder, m member) *Error {
	switch {
	case equalFold(m.name, "SchemaVersion"):
		var v struct{ SchemaVersion SchemaVersion }
		if m.val.kind != objectKind && m.val.kind != nullKind {
			return d.fail(m.val, "SchemaVersion", "an object with Major and Minor")
		}
		if err := decodeDocument(wrapMember("SchemaVersion", d.raw(m.val)), &v); err != nil {
			return err.withoutPosition()
		}
		q.SchemaVersion = v.SchemaVersion
	case equalFold(m.name, "Flags"):
		switch {
		case m.val.kind == numberKind && (m.val.str == "0" || m.val.str == "1"):
			q.Detailed = m.val.str == "1"
		case m.val.kind == stringKind && equalFold(m.val.str, "Detailed"):
			q.Detailed = true
		case m.val.kind == stringKind && equalFold(m.val.str, "None") || m.val.kind == nullKind:
		default:
			return d.fail(m.val, "Flags", "0 (None) or 1 (Detailed)")
		}
	case equalFold(m.name, "Filter"):
		return q.filter(d, m.val)
	default:
		return q.term(d, m, m.name)
	}
	return nil
}

// wrapMember makes {"name":value}.
func wrapMember(name string, value json.RawMessage) []byte {
	var w writer
	w.object(func() { w.member(name, func() { w.raw(string(value)) }) })
	return w.bytes()
}

func (q *Query) filter(d *decoder, n *node) *Error {
	switch n.kind {
	case nullKind:
		return nil
	case objectKind: // an object where its text belongs: REF's samples do it
		for _, m := range n.members {
			if err := q.term(d, m, "Filter."+m.name); err != nil {
				return err
			}
		}
		return nil
	case stringKind:
		if strings.TrimSpace(n.str) == "" {
			return nil
		}
		inner, innerDec, err := parseObject([]byte(n.str))
		if err != nil {
			// The place inside the filter's text, then that of the filter.
			err.Detail = fmt.Sprintf("the filter is not a JSON object: at its column %d", err.Column)
			err.Path = "Filter"
			err.Line, err.Column = position(d.src, n.off)
			return err
		}
		for _, m := range inner.members {
			if err := q.term(innerDec, m, "Filter."+m.name); err != nil {
				return err.withoutPosition()
			}
		}
		return nil
	}
	return d.fail(n, "Filter", "a JSON object as text")
}

func (q *Query) term(d *decoder, m member, path string) *Error {
	switch m.val.kind {
	case stringKind, numberKind, boolKind:
		q.Filter = append(q.Filter, FilterTerm{Name: m.name, Value: m.val.str})
	case nullKind:
		q.Filter = append(q.Filter, FilterTerm{Name: m.name, Absent: true})
	default:
		return d.fail(m.val, path, "text, a number, true or false")
	}
	return nil
}

// Match reports whether an object passes the filter. member returns the
// object's value for a name: its text, and whether there is one. Names that
// end in an id compare without regard to case (rule B6); all else exactly,
// unless FoldNames is set.
func (q *Query) Match(member func(name string) (string, bool)) bool {
	for _, t := range q.Filter {
		v, ok := member(t.Name)
		switch {
		case t.Absent:
			if ok && v != "" {
				return false
			}
		case !ok:
			// A member with its zero value may be left out of documents.
			if t.Value != "0" && t.Value != "false" && (t.Value != "" || equalFold(t.Name, "ID")) {
				return false
			}
		case q.FoldNames && equalFold(t.Name, "Name") && equalFold(v, t.Value):
		case v != t.Value && !(IsGUID(v) && SameID(v, t.Value)):
			return false
		}
	}
	return true
}

// DocumentMember returns the value of a top-level member of a document in the
// form that filters compare: text as it is, numbers and switches as literals.
func DocumentMember(doc []byte, name string) (string, bool) {
	n, err := parse(doc)
	if err != nil {
		return "", false
	}
	v := n.get(name)
	if v == nil {
		return "", false
	}
	switch v.kind {
	case stringKind, numberKind, boolKind:
		return v.str, true
	}
	return "", false
}

// ModifyRequest is ModifySettingRequest (section B.8). ResourceType keeps the
// text of the document; Resource says which one it is for a kind of object.
type ModifyRequest struct {
	ResourceURI  string          `json:"ResourceUri,omitempty"`
	RequestType  RequestType     `json:""`
	ResourceType json.RawMessage `json:",omitempty"`
	Settings     json.RawMessage `json:",omitempty"`
	Extras       Extras          `json:"-"`
}

// Encode writes the request.
func (m *ModifyRequest) Encode() []byte { return encodeDocument(m, V2) }

// Resource types by the kind of object, in the order of their integers.
var resourceTypes = map[string][]string{
	"network":   {"DNS", "Extension", "Policy", "Subnet", "IPSubnet"},
	"endpoint":  {"Port", "Policy"},
	"namespace": {"Container", "Endpoint"},

	"guest network service": {"State"},
}

// ParseModifyRequest reads a modify request. An absent RequestType is Add,
// the value 0 that omitempty drops.
func ParseModifyRequest(data []byte) (*ModifyRequest, error) {
	m := &ModifyRequest{}
	if err := decodeDocument(data, m); err != nil {
		return nil, err
	}
	if m.RequestType == "" {
		m.RequestType = RequestAdd
	}
	if !requestTypes.has(string(m.RequestType)) {
		return nil, ErrorAt(ErrRequestUnsupported, "RequestType", strconv.Quote(clip(string(m.RequestType))), "one of "+requestTypes.list())
	}
	return m, nil
}

// Resource returns the canonical resource type of the request for a kind of
// object: "network", "endpoint", "namespace" or "guest network service". An unknown one is
// REQUEST_UNSUPPORTED.
func (m *ModifyRequest) Resource(kind string) (string, error) {
	names := resourceTypes[kind]
	expected := "one of " + strings.Join(names, ", ")
	if m.ResourceType == nil { // 0, dropped by omitempty
		return names[0], nil
	}
	n, err := parse(m.ResourceType)
	if err == nil && n.kind == stringKind {
		for _, name := range names {
			if equalFold(name, n.str) {
				return name, nil
			}
		}
	}
	if err == nil && n.kind == numberKind {
		if i, convErr := strconv.Atoi(n.str); convErr == nil && i >= 0 && i < len(names) {
			return names[i], nil
		}
	}
	return "", ErrorAt(ErrRequestUnsupported, "ResourceType", clip(string(m.ResourceType)), expected)
}

// Settings of modify requests.
type (
	// NetworkPolicyRequest carries policies of a network.
	NetworkPolicyRequest struct {
		Policies []Policy `json:",omitempty"`
		Extras   Extras   `json:"-"`
	}
	// EndpointPolicyRequest carries policies of an endpoint.
	EndpointPolicyRequest struct {
		Policies []Policy `json:",omitempty"`
		Extras   Extras   `json:"-"`
	}
	// ExtensionRequest switches a switch extension.
	ExtensionRequest struct {
		ID        string `json:"Id"`
		IsEnabled bool   `json:""`
		Extras    Extras `json:"-"`
	}
	// SubnetRequest adds or removes subnets.
	SubnetRequest struct {
		Subnets []Subnet `json:",omitempty"`
		Extras  Extras   `json:"-"`
	}
	// IPSubnetRequest adds or removes IP subnets of a subnet.
	IPSubnetRequest struct {
		SubnetID  string     `json:"SubnetId,omitempty"`
		IpSubnets []IpSubnet `json:",omitempty"`
		Extras    Extras     `json:"-"`
	}
	// PortRequest attaches an endpoint to a virtual machine's port.
	PortRequest struct {
		PortID           string `json:"PortId,omitempty"`
		VirtualNicName   string `json:",omitempty"`
		VirtualMachineID string `json:"VirtualMachineId,omitempty"`
		Extras           Extras `json:"-"`
	}
	// NamespaceEndpointRequest names an endpoint that joins or leaves.
	NamespaceEndpointRequest struct {
		EndpointID string `json:"EndpointId"`
		Extras     Extras `json:"-"`
	}
	// NamespaceContainerRequest names a container that joins or leaves.
	NamespaceContainerRequest struct {
		ContainerID string `json:"ContainerId"`
		Extras      Extras `json:"-"`
	}
)

// DecodeRequestSettings decodes the Settings of a modify request into one of
// the request structs, or into DNS. Paths start at Settings.
func DecodeRequestSettings[T any](m *ModifyRequest) (*T, error) {
	out := new(T)
	if len(m.Settings) == 0 {
		return nil, ErrorAt(ErrInvalidJSON, "Settings", "nothing", "an object")
	}
	if err := decodeDocument(m.Settings, out); err != nil {
		return nil, err.withoutPosition().at("Settings")
	}
	return out, nil
}
