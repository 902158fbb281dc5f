package hcn

import (
	"encoding/json"
	"reflect"
	"strings"
	"sync"
)

// The codec maps the structs of this package to JSON by their tags. It differs
// from encoding/json in what the service needs: member names without regard
// to case, unknown members kept in order, enumerations as text or integer,
// and errors that name the place.

// structField is a JSON member of a struct.
type structField struct {
	name      string
	alias     string // a second name that is read
	index     []int
	omitEmpty bool
}

// structInfo is what the codec knows about a struct type.
type structInfo struct {
	fields []structField
	extras []int // index of the Extras field; nil when there is none
}

func (s *structInfo) find(name string) *structField {
	for i := range s.fields {
		f := &s.fields[i]
		if equalFold(f.name, name) || f.alias != "" && equalFold(f.alias, name) {
			return f
		}
	}
	return nil
}

// names lists the members, for messages.
func (s *structInfo) names() []string {
	out := make([]string, len(s.fields))
	for i, f := range s.fields {
		out[i] = f.name
	}
	return out
}

var structCache sync.Map // reflect.Type -> *structInfo

func infoOf(t reflect.Type) *structInfo {
	if v, ok := structCache.Load(t); ok {
		return v.(*structInfo)
	}
	info := &structInfo{}
	collectFields(t, nil, info)
	v, _ := structCache.LoadOrStore(t, info)
	return v.(*structInfo)
}

func collectFields(t reflect.Type, prefix []int, info *structInfo) {
	for i := 0; i < t.NumField(); i++ {
		f := t.Field(i)
		index := append(append([]int(nil), prefix...), i)
		name, opts, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Type == extrasType:
			info.extras = index
		case f.Anonymous && opts == "inline":
			collectFields(f.Type, index, info)
		case name == "-" || !f.IsExported():
		default:
			if name == "" {
				name = f.Name
			}
			info.fields = append(info.fields, structField{name: name, alias: f.Tag.Get("alias"), index: index,
				omitEmpty: opts == "omitempty"})
		}
	}
}

var (
	extrasType     = reflect.TypeFor[Extras]()
	rawType        = reflect.TypeFor[json.RawMessage]()
	policyType     = reflect.TypeFor[Policy]()
	policyListType = reflect.TypeFor[[]Policy]()
)

// textEnums are written as text, flagEnums and numberEnums as integers.
var (
	textEnums = map[reflect.Type]textTable{
		reflect.TypeFor[NetworkType]():           networkTypes,
		reflect.TypeFor[IpamType]():              ipamTypes,
		reflect.TypeFor[NamespaceType]():         namespaceTypes,
		reflect.TypeFor[NamespaceResourceType](): nsResourceTypes,
		reflect.TypeFor[ActionType]():            actionTypes,
		reflect.TypeFor[Direction]():             directionTypes,
		reflect.TypeFor[RuleType]():              ruleTypes,
		reflect.TypeFor[SetPolicyType]():         setPolicyTypes,
		reflect.TypeFor[RequestType]():           requestTypes,
		reflect.TypeFor[FirewallVMType]():        firewallVMTypes,
	}
	flagEnums = map[reflect.Type]textTable{
		reflect.TypeFor[NetworkFlags]():      networkFlagNames,
		reflect.TypeFor[SubnetFlags]():       subnetFlagNames,
		reflect.TypeFor[IPSubnetFlags]():     ipSubnetFlagNames,
		reflect.TypeFor[EndpointFlags]():     endpointFlagNames,
		reflect.TypeFor[LoadBalancerFlags](): lbFlagNames,
		reflect.TypeFor[PortMappingFlags]():  portMappingFlagNames,
		reflect.TypeFor[NatFlags]():          natFlagNames,
		reflect.TypeFor[FirewallFlags]():     firewallFlagNames,
	}
	numberEnums = map[reflect.Type]textTable{
		reflect.TypeFor[ProtocolNumber]():   protocolNames,
		reflect.TypeFor[DistributionType](): distributionNames,
	}
)
