package hcn

import (
	"encoding/json"
	"strings"
)

// The V1 structs have the member names of the v1 shape (hcsshim's package
// internal/hns, and what real hosts print). They exist for decoding and
// encoding only: everything else works with the v2 structs.

// V1Subnet is a subnet of a v1 network.
type V1Subnet struct {
	ID             string `json:"ID,omitempty"`
	Name           string `json:",omitempty"`
	Base           `json:",inline"`
	AddressPrefix  string        `json:",omitempty"`
	GatewayAddress string        `json:",omitempty"`
	Policies       []Policy      `json:",omitempty"`
	IpSubnets      []IpSubnet    `json:",omitempty"`
	Flags          SubnetFlags   `json:",omitempty"`
	Health         Health        `json:",omitempty"`
	SchemaVersion  SchemaVersion `json:",omitempty"`
	Routes         []Route       `json:",omitempty"` // other than the default; not of Windows
	Extras         Extras        `json:"-"`
}

// V1Network is HNSNetwork.
type V1Network struct {
	ID                 string `json:"ID,omitempty"`
	Name               string `json:",omitempty"`
	Base               `json:",inline"`
	Type               v1NetworkType   `json:",omitempty"`
	NetworkAdapterName string          `json:",omitempty"`
	SourceMac          string          `json:",omitempty"`
	Policies           []Policy        `json:""`
	MacPools           []MacRange      `json:",omitempty"`
	Subnets            []V1Subnet      `json:",omitempty"`
	DNSSuffix          string          `json:",omitempty"`
	DNSServerList      string          `json:",omitempty"`
	ManagementIP       string          `json:",omitempty"`
	DrMacAddress       string          `json:",omitempty"`
	AutomaticDNS       bool            `json:",omitempty"`
	Flags              NetworkFlags    `json:""`
	Health             json.RawMessage `json:",omitempty"`
	SchemaVersion      SchemaVersion   `json:",omitempty"`
	v1Health           `json:",inline"`
	Extras             Extras `json:"-"`
	// DNSServerCompartment and the like have no v2 form: they are Extras.
}

// v1Health are the members of Health.Extra, at top level in v1.
type v1Health struct {
	Resources        json.RawMessage `json:",omitempty"`
	SharedContainers json.RawMessage `json:",omitempty"`
	LayeredOn        string          `json:",omitempty"`
	SwitchGuid       string          `json:",omitempty"`
	UtilityVM        string          `json:",omitempty"`
	VirtualMachine   string          `json:",omitempty"`
}

// v1NetworkType is a network type as the caller spelled it.
type v1NetworkType string

// V1Endpoint is HNSEndpoint.
type V1Endpoint struct {
	ID                       string `json:"ID,omitempty"`
	Name                     string `json:",omitempty"`
	Base                     `json:",inline"`
	VirtualNetwork           string          `json:",omitempty"`
	Policies                 []Policy        `json:",omitempty"`
	MacAddress               string          `json:",omitempty"`
	IPAddress                string          `json:",omitempty"`
	PrefixLength             uint8           `json:",omitempty"`
	IPSubnetID               string          `json:"IPSubnetId,omitempty"`
	IPv6Address              string          `json:",omitempty"`
	IPv6PrefixLength         uint8           `json:",omitempty"`
	IPv6SubnetID             string          `json:"IPv6SubnetId,omitempty"`
	GatewayAddress           string          `json:",omitempty"`
	GatewayAddressV6         string          `json:",omitempty"`
	DNSServerList            string          `json:",omitempty"`
	DNSSuffix                string          `json:",omitempty"`
	DisableICC               bool            `json:",omitempty"`
	IsRemoteEndpoint         bool            `json:",omitempty"`
	EnableLowInterfaceMetric bool            `json:",omitempty" alias:"EnableLowMetric"`
	Namespace                v1NamespaceRef  `json:",omitempty"`
	EncapOverhead            uint16          `json:",omitempty"`
	Routes                   []Route         `json:",omitempty"` // other than the default; not of Windows
	Flags                    EndpointFlags   `json:",omitempty"` // bits without a member of their own
	Health                   json.RawMessage `json:",omitempty"`
	SchemaVersion            SchemaVersion   `json:",omitempty"`
	v1Health                 `json:",inline"`
	Extras                   Extras `json:"-"`
}

type v1NamespaceRef struct {
	ID     string `json:"ID,omitempty"`
	Extras Extras `json:"-"`
}

// V1Namespace is the v1 Namespace.
type V1Namespace struct {
	ID            string `json:"ID,omitempty"`
	Name          string `json:",omitempty"`
	Base          `json:",inline"`
	IsDefault     bool                `json:""`
	ResourceList  []NamespaceResource `json:""`
	CompartmentID uint32              `json:"CompartmentId"`
	Health        json.RawMessage     `json:",omitempty"`
	SchemaVersion SchemaVersion       `json:""`
	v1Health      `json:",inline"`
	Extras        Extras `json:"-"`
}

const (
	defaultRoute4 = "0.0.0.0/0"
	defaultRoute6 = "::/0"
)

func isDefaultRoute(r Route) bool {
	return r.DestinationPrefix == defaultRoute4 || r.DestinationPrefix == defaultRoute6
}

// defaultRouteFor is the default route through a gateway of either family.
func defaultRouteFor(gateway string) Route {
	if strings.Contains(gateway, ":") {
		return Route{NextHop: gateway, DestinationPrefix: defaultRoute6}
	}
	return Route{NextHop: gateway, DestinationPrefix: defaultRoute4}
}

// takePolicy removes the only policy of a type and returns the text of one of
// its settings. It leaves policies that hold anything else where they are.
func takePolicy[T any](list []Policy, t PolicyType, value func(*T) string) ([]Policy, string) {
	at := -1
	for i, p := range list {
		if p.Type == t {
			if at >= 0 {
				return list, ""
			}
			at = i
		}
	}
	if at < 0 || len(list[at].Extras) > 0 {
		return list, ""
	}
	s, err := DecodeSettings[T](list[at])
	if err != nil {
		return list, ""
	}
	v := value(&s)
	if v == "" {
		return list, ""
	}
	// Only a policy that the single value makes again may be dropped.
	if string(v1TopLevel(t, v).Settings) != string(list[at].Settings) {
		return list, ""
	}
	out := append([]Policy(nil), list[:at]...)
	return append(out, list[at+1:]...), v
}

// v1TopLevel makes the policy that a top-level member of a v1 object means.
func v1TopLevel(t PolicyType, value string) Policy {
	switch t {
	case PolicyNetAdapterName:
		return NewPolicy(t, NetAdapterNameSettings{NetworkAdapterName: value})
	case PolicySourceMacAddress:
		return NewPolicy(t, SourceMacAddressSettings{SourceMacAddress: value})
	case PolicyProviderAddress:
		return NewPolicy(t, ProviderAddressSettings{ProviderAddress: value})
	case PolicyDrMacAddress:
		return NewPolicy(t, DrMacAddressSettings{Address: value})
	}
	panic("hcn: no top-level member for policy " + string(t))
}

// addTopLevel appends the policy of a top-level member unless the list has a
// policy of that type already: hosts show both.
func addTopLevel(list []Policy, t PolicyType, value string) []Policy {
	if value == "" {
		return list
	}
	if _, has := FindPolicy(list, t); has {
		return list
	}
	return append(list, v1TopLevel(t, value))
}

func (s *V1Subnet) toV2() Subnet {
	out := Subnet{ID: s.ID, Name: s.Name, Base: s.Base, IpAddressPrefix: s.AddressPrefix, Policies: s.Policies,
		IpSubnets: s.IpSubnets, Flags: s.Flags, Health: s.Health, SchemaVersion: s.SchemaVersion, Extras: s.Extras}
	if s.GatewayAddress != "" {
		out.Routes = append(out.Routes, defaultRouteFor(s.GatewayAddress))
	}
	out.Routes = append(out.Routes, s.Routes...)
	return out
}

func (s *Subnet) toV1() V1Subnet {
	out := V1Subnet{ID: s.ID, Name: s.Name, Base: s.Base, AddressPrefix: s.IpAddressPrefix, Policies: s.Policies,
		IpSubnets: s.IpSubnets, Flags: s.Flags, Health: s.Health, SchemaVersion: s.SchemaVersion, Extras: s.Extras}
	out.GatewayAddress, out.Routes = takeGateway(s.Routes, "")
	return out
}

// takeGateway splits the default route off a list: the first one with that
// destination ("" is either family). A route with a metric or unknown members
// stays in the list, because the gateway's member could not carry them.
func takeGateway(routes []Route, dst string) (string, []Route) {
	for i, r := range routes {
		if !isDefaultRoute(r) || dst != "" && r.DestinationPrefix != dst {
			continue
		}
		plain := defaultRouteFor(r.NextHop)
		if r.Metric != 0 || len(r.Extras) > 0 || r.NextHop == "" || plain.DestinationPrefix != r.DestinationPrefix {
			continue
		}
		rest := append([]Route(nil), routes[:i]...)
		return r.NextHop, append(rest, routes[i+1:]...)
	}
	return "", routes
}

func dnsFromV1(suffix, servers string) DNS {
	d := DNS{ServerList: splitList(servers)}
	if names := splitList(suffix); len(names) > 0 {
		d.Domain = names[0]
		if len(names) > 1 {
			d.Search = names[1:]
		}
	}
	return d
}

func (d *DNS) toV1() (suffix, servers string) {
	var names []string
	if d.Domain != "" {
		names = append(names, d.Domain)
	}
	names = append(names, d.Search...)
	return strings.Join(names, ","), strings.Join(d.ServerList, ",")
}

func (h *Health) toV1() (json.RawMessage, v1Health) {
	x := h.Extra
	return h.Data, v1Health{x.Resources, x.SharedContainers, x.LayeredOn, x.SwitchGuid, x.UtilityVM, x.VirtualMachine}
}

func (x v1Health) toV2(data json.RawMessage) Health {
	return Health{Data: data, Extra: ExtraParams{Resources: x.Resources, SharedContainers: x.SharedContainers,
		LayeredOn: x.LayeredOn, SwitchGuid: x.SwitchGuid, UtilityVM: x.UtilityVM, VirtualMachine: x.VirtualMachine}}
}
