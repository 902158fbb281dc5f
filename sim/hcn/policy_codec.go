package hcn

import (
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
)

// context says on what a policy stands.
type context uint8

const (
	anyPolicy context = iota
	networkPolicy
	subnetPolicy
	endpointPolicy
)

func (c context) String() string {
	return [...]string{"an object", "a network", "a subnet", "an endpoint"}[c]
}

func policyContext(parent reflect.Type) context {
	switch parent {
	case reflect.TypeFor[Network](), reflect.TypeFor[V1Network](), reflect.TypeFor[NetworkPolicyRequest]():
		return networkPolicy
	case reflect.TypeFor[Subnet](), reflect.TypeFor[V1Subnet](), reflect.TypeFor[IpSubnet]():
		return subnetPolicy
	case reflect.TypeFor[Endpoint](), reflect.TypeFor[V1Endpoint](), reflect.TypeFor[EndpointPolicyRequest]():
		return endpointPolicy
	}
	return anyPolicy
}

// policySpec is what is known about a policy type.
type policySpec struct {
	kind     PolicyType
	on       []context
	settings func() any // a pointer to the Settings struct
}

func spec[T any](kind PolicyType, on ...context) policySpec {
	return policySpec{kind, on, func() any { return new(T) }}
}

// policySpecs lists the policies of sections C.1 to C.3 and C.5; the order
// within a context is that of the schema's enumeration, whose integers are
// accepted for types (rule B3).
var policySpecs = []policySpec{
	spec[PortMappingSettings](PolicyPortMapping, endpointPolicy),
	spec[ACLSettings](PolicyACL, endpointPolicy),
	spec[QOSSettings](PolicyQOS, endpointPolicy),
	spec[L2DriverSettings](PolicyL2Driver, endpointPolicy),
	spec[OutBoundNATSettings](PolicyOutBoundNAT, endpointPolicy),
	spec[SDNRouteSettings](PolicySDNRoute, endpointPolicy),
	spec[SourceMacAddressSettings](PolicySourceMacAddress, networkPolicy),
	spec[NetAdapterNameSettings](PolicyNetAdapterName, networkPolicy),
	spec[InterfaceConstraintSettings](PolicyInterfaceConstraint, networkPolicy, endpointPolicy),
	spec[VSwitchExtensionSettings](PolicyVSwitchExtension, networkPolicy),
	spec[ProviderAddressSettings](PolicyProviderAddress, networkPolicy, endpointPolicy),
	spec[DrMacAddressSettings](PolicyDrMacAddress, networkPolicy),
	spec[AutomaticDNSSettings](PolicyAutomaticDNS, networkPolicy),
	spec[RemoteSubnetRouteSettings](PolicyRemoteSubnetRoute, networkPolicy),
	spec[VxlanPortSettings](PolicyVxlanPort, networkPolicy),
	spec[HostRouteSettings](PolicyHostRoute, networkPolicy),
	spec[SetPolicySettings](PolicySetPolicy, networkPolicy),
	spec[L4ProxySettings](PolicyL4Proxy, networkPolicy, endpointPolicy),
	spec[LayerConstraintSettings](PolicyLayerConstraint, networkPolicy),
	spec[ACLSettings](PolicyNetworkACL, networkPolicy),
	spec[NeighborDiscoverySettings](PolicyNeighborDiscovery, networkPolicy),
	spec[L4WFPProxySettings](PolicyL4WFPProxy, endpointPolicy),
	spec[PortNameSettings](PolicyPortName, endpointPolicy),
	spec[EncapOverheadSettings](PolicyEncapOverhead, endpointPolicy),
	spec[EncryptionSettings](PolicyEncryption, endpointPolicy),
	spec[IsolationSettings](PolicyVLAN, subnetPolicy, endpointPolicy, networkPolicy),
	spec[IsolationSettings](PolicyVSID, subnetPolicy, networkPolicy),
	spec[InterfaceParametersSettings](PolicyInterfaceParameters, endpointPolicy),
	spec[IovSettings](PolicyIov, endpointPolicy),
	spec[TierACLSettings](PolicyTierACL, endpointPolicy),
	spec[FirewallSettings](PolicyFirewall, endpointPolicy),
	spec[v1IsolationSettings](PolicyIsolation, networkPolicy, subnetPolicy),
}

// v1IsolationSettings is the v1 Isolation policy, which has no v2 form.
type v1IsolationSettings struct {
	VLAN, VSID         uint32
	InDefaultIsolation bool
	Extras             Extras `json:"-"`
}

// The schema's enumerations of policy types, in order: integers stand for
// their positions.
var policyEnums = map[context][]PolicyType{
	endpointPolicy: {PolicyPortMapping, PolicyACL, PolicyQOS, PolicyL2Driver, PolicyOutBoundNAT, PolicySDNRoute, PolicyL4Proxy,
		PolicyL4WFPProxy, PolicyProviderAddress, PolicyPortName, PolicyEncapOverhead, PolicyInterfaceConstraint,
		PolicyEncryption, PolicyVLAN, PolicyInterfaceParameters, PolicyIov, PolicyTierACL},
	networkPolicy: {PolicySourceMacAddress, PolicyNetAdapterName, PolicyInterfaceConstraint, PolicyVSwitchExtension,
		PolicyProviderAddress, PolicyDrMacAddress, PolicyAutomaticDNS, PolicyRemoteSubnetRoute, PolicyVxlanPort,
		PolicyHostRoute, PolicySetPolicy, PolicyL4Proxy, PolicyLayerConstraint, PolicyNetworkACL},
	subnetPolicy: {PolicyVLAN, PolicyVSID},
}

func findSpec(t PolicyType) *policySpec {
	for i := range policySpecs {
		if policySpecs[i].kind == t {
			return &policySpecs[i]
		}
	}
	return nil
}

func (s *policySpec) standsOn(c context) bool {
	if c == anyPolicy {
		return true
	}
	for _, on := range s.on {
		if on == c {
			return true
		}
	}
	return false
}

// canonicalPolicy returns the canonical spelling of a type, v1 names included.
func canonicalPolicy(text string) PolicyType {
	if f := v1FormByName(text); f != nil {
		return f.v2
	}
	for i := range policySpecs {
		if equalFold(string(policySpecs[i].kind), text) {
			return policySpecs[i].kind
		}
	}
	return PolicyType(text)
}

// PolicyTypes lists the policies that may stand on networks, on subnets or on
// endpoints; on is "network", "subnet" or "endpoint".
func PolicyTypes(on string) []PolicyType {
	var out []PolicyType
	for i := range policySpecs {
		for _, c := range policySpecs[i].on {
			if strings.HasSuffix(c.String(), " "+on) {
				out = append(out, policySpecs[i].kind)
			}
		}
	}
	return out
}

func (d *decoder) policies(n *node, v reflect.Value, path string, ctx context) *Error {
	if n.kind == nullKind {
		v.SetZero()
		return nil
	}
	if n.kind != arrayKind {
		return d.fail(n, path, "a list of policies")
	}
	if len(n.elems) == 0 {
		v.SetZero()
		return nil
	}
	out := make([]Policy, len(n.elems))
	for i, e := range n.elems {
		if err := d.policy(e, &out[i], path+"["+strconv.Itoa(i)+"]", ctx); err != nil {
			return err
		}
	}
	v.Set(reflect.ValueOf(out))
	return nil
}

// policy decodes one entry of a policy list in either form: v2 has its
// settings in a member Settings, v1 has them inline. The form is recognised
// per entry because v1 documents carry v2 policies in practice.
func (d *decoder) policy(n *node, p *Policy, path string, ctx context) *Error {
	if n.kind != objectKind {
		return d.fail(n, path, "a policy: an object with Type and Settings")
	}
	*p = Policy{}
	var inline []Member
	for i, m := range n.members {
		switch {
		case equalFold(m.name, "Type"):
			if err := d.policyTypeName(m.val, &p.Type, joinPath(path, "Type"), ctx); err != nil {
				return err
			}
		case equalFold(m.name, "Settings"):
			if m.val.kind != nullKind {
				p.Settings = d.raw(n.members[i].val)
			}
		default:
			inline = setExtra(inline, m.name, d.raw(m.val))
		}
	}
	if p.Settings != nil {
		p.Extras = inline
	} else if len(inline) > 0 {
		p.Settings = v1Settings(p.Type, inline)
	}
	p.normalise()
	return nil
}

func (d *decoder) policyTypeName(n *node, t *PolicyType, path string, ctx context) *Error {
	switch n.kind {
	case stringKind:
		*t = canonicalPolicy(n.str)
		return nil
	case numberKind:
		*t = PolicyType(n.str)
		if i, err := strconv.Atoi(n.str); err == nil && i >= 0 && i < len(policyEnums[ctx]) {
			*t = policyEnums[ctx][i]
		}
		return nil
	}
	return d.fail(n, path, "the name of a policy")
}

// normalise rewrites settings that hold enumerations in another form than the
// one that is written, and leaves all other settings as they came.
func (p *Policy) normalise() {
	s := findSpec(p.Type)
	if s == nil || p.Settings == nil {
		return
	}
	out := s.settings()
	d, err := settingsInto(p.Settings, out)
	if err == nil && d.normalised {
		p.Settings = encodeSettings(out)
	}
}

func settingsInto(settings json.RawMessage, out any) (*decoder, *Error) {
	n, err := parse(settings)
	if err != nil {
		err.Code = ErrInvalidPolicy
		return nil, err.at("Settings")
	}
	d := &decoder{src: settings, code: ErrInvalidPolicy}
	if err := d.decode(n, reflect.ValueOf(out).Elem(), ""); err != nil {
		err.Line, err.Column = 0, 0 // positions in Settings say nothing about the document
		return nil, err.at("Settings")
	}
	return d, nil
}

func decodeSettings(p Policy, out any) error {
	if len(p.Settings) == 0 {
		return nil
	}
	if _, err := settingsInto(p.Settings, out); err != nil {
		return err
	}
	return nil
}

// CanonicalSettings writes the settings of a policy the way this package
// does: known members in the order of the struct, defaults left out. Settings
// of an unknown type, or that do not decode, come back as they are. Two
// policies are equal when their canonical settings are (section B.8).
func CanonicalSettings(p Policy) json.RawMessage {
	s := findSpec(p.Type)
	if s == nil {
		return p.Settings
	}
	out := s.settings()
	if p.Settings != nil {
		if _, err := settingsInto(p.Settings, out); err != nil {
			return p.Settings
		}
	}
	return encodeSettings(out)
}

func encodeSettings(settings any) json.RawMessage {
	return encodeDocument(settings, V2)
}

// policy writes a policy in the encoder's shape.
func (e *encoder) policy(p *Policy) {
	if e.shape == V1 {
		if name, members, ok := v1Policy(p); ok {
			e.w.object(func() {
				e.w.member("Type", func() { e.w.str(name) })
				e.w.extras(members)
			})
			return
		}
	}
	e.w.object(func() {
		e.w.member("Type", func() { e.w.str(string(p.Type)) })
		if p.Settings != nil {
			e.w.member("Settings", func() { e.rawValue(p.Settings) })
		}
		e.w.extras(p.Extras)
	})
}
