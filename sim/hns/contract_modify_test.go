package hns

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/sim/hcn"
)

// requestTypes in the order of their integers (B.8).
var requestTypes = []string{"Add", "Remove", "Update", "Refresh", "Reset"}

const (
	no  = hcn.ErrRequestUnsupported // D.3-44
	yes = hcn.Code(0)
	hr  = `{"Type":"HostRoute","Settings":{}}`
)

// modifyCase is one resource of one kind of object: settings for the request,
// and the answer to each request type, in their order. has prepares the object
// so that Remove finds something.
type modifyCase struct {
	kind     Kind
	resource string
	number   int // of the resource type
	settings string
	has      string // settings of an Add before
	want     [5]hcn.Code
}

var modifyCases = []modifyCase{
	{NetworkKind, "DNS", 0, `{"ServerList":["10.0.0.10"]}`, "", [5]hcn.Code{yes, no, yes, yes, yes}},
	{NetworkKind, "Extension", 1, `{"Id":"` + vfpExtension + `","IsEnabled":false}`, "", [5]hcn.Code{yes, no, yes, yes, no}},
	{NetworkKind, "Policy", 2, `{"Policies":[` + hr + `]}`, `{"Policies":[` + hr + `]}`, [5]hcn.Code{yes, yes, yes, yes, yes}},
	{NetworkKind, "Subnet", 3, `{"Subnets":[{"IpAddressPrefix":"10.244.9.0/24","Policies":[{"Type":"VSID","Settings":{"IsolationId":4096}}]}]}`, "", [5]hcn.Code{yes, hcn.ErrSubnetNotFound, no, yes, no}},
	{NetworkKind, "IPSubnet", 4, `{"SubnetId":"@subnet","IpSubnets":[{"IpAddressPrefix":"10.244.1.128/26"}]}`, "", [5]hcn.Code{yes, hcn.ErrSubnetNotFound, no, yes, no}},
	{EndpointKind, "Port", 0, `{"PortId":"` + unknownID + `","VirtualNicName":"n","VirtualMachineId":"` + hcn.ZeroGUID + `"}`, "", [5]hcn.Code{yes, yes, no, yes, no}},
	{EndpointKind, "Policy", 1, `{"Policies":[` + qos + `]}`, `{"Policies":[` + qos + `]}`, [5]hcn.Code{yes, yes, yes, yes, yes}},
	{NamespaceKind, "Container", 0, `{"ContainerId":"c1"}`, "", [5]hcn.Code{yes, hcn.ErrElementNotFound, no, no, no}},
	{NamespaceKind, "Endpoint", 1, `{"EndpointId":"@ep"}`, "", [5]hcn.Code{yes, hcn.ErrElementNotFound, no, yes, no}},
	{LoadBalancerKind, "", -1, balancerDoc("10.96.0.2", "@ep"), "", [5]hcn.Code{no, no, yes, yes, no}},
	{RouteKind, "", -1, `{"HostComputeEndpoints":["@ep"],"Routes":[{"DestinationPrefix":"10.97.0.0/16"}]}`, "", [5]hcn.Code{no, no, yes, yes, no}},
}

// modifyHost makes an object of every kind; the result has the object of a
// kind and the ids for placeholders.
func modifyHost(t *testing.T) (*host, map[Kind]string, *strings.Replacer) {
	t.Helper()
	h := mkHost(t, hcn.WS2025)
	net := h.network(overlayDoc)
	ep := h.endpoint(net, plainEndpoint)
	ids := map[Kind]string{NetworkKind: net, EndpointKind: ep, NamespaceKind: h.namespace(hcn.HostNamespace),
		LoadBalancerKind: h.create(LoadBalancerKind, "", balancerDoc("10.96.0.1", ep)),
		RouteKind:        h.create(RouteKind, "", `{"HostComputeEndpoints":["`+ep+`"],"Routes":[{"DestinationPrefix":"10.96.0.0/12"}]}`)}
	return h, ids, strings.NewReplacer("@ep", ep, "@subnet", h.net(net).Subnets[0].ID)
}

func TestEveryRequestTypeOnEveryResource(t *testing.T) {
	for _, c := range modifyCases {
		for i, verb := range requestTypes {
			for form, request := range map[string]string{
				"as text":     fmt.Sprintf(`{"ResourceType":%q,"RequestType":%q,"Settings":%s}`, c.resource, verb, c.settings),
				"as integers": fmt.Sprintf(`{"ResourceType":%d,"RequestType":%d,"Settings":%s}`, c.number, i, c.settings),
				"in small":    fmt.Sprintf(`{"resourcetype":%q,"requesttype":%q,"settings":%s}`, strings.ToLower(c.resource), strings.ToLower(verb), c.settings),
			} {
				t.Run(fmt.Sprintf("B.8 %s %s %s %s", c.kind, c.resource, verb, form), func(t *testing.T) {
					h, ids, names := modifyHost(t)
					if c.has != "" {
						h.must(h.modify(c.kind, ids[c.kind], c.resource, "Add", c.has))
					}
					before := h.State()
					err := h.Modify(c.kind, ids[c.kind], []byte(names.Replace(request)))
					wantCode(t, err, c.want[i])
					if err != nil && h.State() != before {
						t.Error("a refused request changed the state")
					}
					if err == nil && h.State() == before && verb != "Remove" {
						t.Error("an accepted request changed nothing, not even the generation")
					}
					checkInvariants(t, h.State())
				})
			}
		}
	}
}

// TestWhatModifyRequestsMayLeaveOut covers B.8: zero values are dropped by
// omitempty, and a resource URI is allowed.
func TestWhatModifyRequestsMayLeaveOut(t *testing.T) {
	for _, c := range []struct {
		name    string
		kind    Kind
		request string
		want    hcn.Code
	}{
		{"B.8 no request type is Add", NamespaceKind, `{"ResourceType":"Endpoint","Settings":{"EndpointId":"@ep"}}`, 0},
		{"B.8 no resource type is the first", NamespaceKind, `{"RequestType":"Add","Settings":{"ContainerId":"c1"}}`, 0},
		{"B.8 a resource URI", EndpointKind, `{"ResourceUri":"/x","ResourceType":"Policy","RequestType":"Refresh"}`, 0},
		{"B.8 reset needs no settings", EndpointKind, `{"ResourceType":"Policy","RequestType":"Reset"}`, 0},
		{"B.8 add needs settings", EndpointKind, `{"ResourceType":"Policy","RequestType":"Add"}`, hcn.ErrInvalidJSON},
		{"B.8 settings of another kind", EndpointKind, `{"ResourceType":"Policy","RequestType":"Add","Settings":[]}`, hcn.ErrInvalidJSON},
		{"B.8 the whole load balancer, without a request", LoadBalancerKind, balancerDoc("10.96.0.7", "@ep"), 0},
		{"B.8 the whole route, without a request", RouteKind, `{"HostComputeEndpoints":["@ep"],"Setting":[{"DestinationPrefix":"10.98.0.0/16"}]}`, 0},
		{"D.3-44 a number that no resource has", NetworkKind, `{"ResourceType":9,"RequestType":0,"Settings":{}}`, no},
		{"D.3-44 a number that no request has", NetworkKind, `{"ResourceType":0,"RequestType":9,"Settings":{}}`, no},
		{"D.3-39 a load balancer without endpoints", LoadBalancerKind, `{"PortMappings":[{"Protocol":6,"InternalPort":1,"ExternalPort":2}]}`, hcn.ErrInvalidJSONReference},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, ids, names := modifyHost(t)
			wantCode(t, h.Modify(c.kind, ids[c.kind], []byte(names.Replace(c.request))), c.want)
		})
	}
}

// queryCase is a query and the networks or endpoints that it finds, by name.
var queryCases = []struct {
	name  string
	kind  Kind
	query string
	found string
}{
	{"B.7 empty text", NetworkKind, ``, "a b"},
	{"B.7 nothing but a version", NetworkKind, `{"SchemaVersion":{"Major":2,"Minor":0}}`, "a b"},
	{"B.7 an empty filter", NetworkKind, `{"Filter":"{}"}`, "a b"},
	{"B.7 a filter of blanks", NetworkKind, `{"Filter":" "}`, "a b"},
	{"B.7 Name", NetworkKind, `{"Filter":"{\"Name\":\"a\"}"}`, "a"},
	{"B.7 Name is exact", NetworkKind, `{"Filter":"{\"Name\":\"A\"}"}`, ""},
	{"B.7 the name of nothing", NetworkKind, `{"Filter":"{\"Name\":\"\"}"}`, ""},
	{"B.7 ID", NetworkKind, `{"Filter":"{\"ID\":\"@A\"}"}`, "a"},
	{"B.7 ID in capitals under its other name", NetworkKind, `{"Filter":"{\"Id\":\"@UPPER\"}"}`, "a"},
	{"B.7 the ID of nothing", NetworkKind, `{"Filter":"{\"ID\":\"\"}"}`, ""},
	{"B.7 the ID of nothing, namespaces", NamespaceKind, `{"Filter":"{\"ID\":\"\"}"}`, ""},
	{"B.7 Type", NetworkKind, `{"Filter":"{\"Type\":\"Private\"}"}`, "b"},
	{"B.7 Owner", NetworkKind, `{"Filter":"{\"Owner\":\"me\"}"}`, "b"},
	{"B.7 a conjunction", NetworkKind, `{"Filter":"{\"Name\":\"a\",\"Type\":\"Private\"}"}`, ""},
	{"B.7 a member that no object has", NetworkKind, `{"Filter":"{\"Color\":\"red\"}"}`, ""},
	{"B.7 a bare filter object", NetworkKind, `{"Name":"a"}`, "a"},
	{"B.7 a bare filter beside a version", NetworkKind, `{"SchemaVersion":{"Major":2,"Minor":0},"Flags":0,"Type":"Private"}`, "b"},
	{"B.7 a filter that is an object", NetworkKind, `{"Filter":{"Name":"a"}}`, "a"},
	{"B.7 VirtualNetwork", EndpointKind, `{"Filter":"{\"VirtualNetwork\":\"@A\"}"}`, "e f"},
	{"B.7 HostComputeNetwork", EndpointKind, `{"Filter":"{\"HostComputeNetwork\":\"@UPPER\"}"}`, "e f"},
	{"B.7 NetworkId", EndpointKind, `{"Filter":"{\"NetworkId\":\"@A\"}"}`, "e f"},
	{"B.7 VirtualNetworkName", EndpointKind, `{"Filter":"{\"VirtualNetworkName\":\"a\"}"}`, "e f"},
	{"B.7 State as a number", EndpointKind, `{"Filter":"{\"State\":2}"}`, "f"},
	{"B.7 State as text", EndpointKind, `{"Filter":"{\"State\":\"2\"}"}`, "f"},
	{"B.7 State of none", EndpointKind, `{"Filter":"{\"State\":3}"}`, ""},
	{"B.7 a member of the v1 shape", EndpointKind, `{"Filter":"{\"IPAddress\":\"192.168.100.9\"}"}`, "e"},
	{"B.7 a switch", EndpointKind, `{"Filter":"{\"IsRemoteEndpoint\":false}"}`, "e f"},
	{"B.7 no member of that name", EndpointKind, `{"Filter":"{\"HostComputeNamespace\":null}"}`, "e f"},
}

func TestQueriesFindWhatTheContractSays(t *testing.T) {
	h := mkHost(t, hcn.WS2025)
	a := h.network(strings.Replace(natDoc, `"nat"`, `"a"`, 1))
	h.network(`{"Name":"b","Type":"Private","Owner":"me","SchemaVersion":{"Major":2}}`)
	h.endpoint(a, `{"Name":"e","IpConfigurations":[{"IpAddress":"192.168.100.9"}]}`)
	h.must(h.AttachEndpoint(h.endpoint(a, `{"Name":"f"}`), AttachRequest{SystemType: ToHost}))
	names := strings.NewReplacer("@A", a, "@UPPER", strings.ToUpper(a))
	for _, c := range queryCases {
		t.Run(c.name, func(t *testing.T) {
			var found []string
			for _, id := range h.ids(c.kind, names.Replace(c.query)) {
				name, _ := h.doc(c.kind, id)["Name"].(string)
				found = append(found, name)
			}
			if got := strings.Join(found, " "); got != c.found {
				t.Errorf("found %q, want %q", got, c.found)
			}
		})
	}
	for _, bad := range []string{`{"Filter":7}`, `{"Filter":"[1]"}`, `{"Filter":"{"}`, `{"Flags":2}`, `{"SchemaVersion":2}`, `[]`, `{"Name":[1]}`} {
		_, err := h.Enumerate(NetworkKind, []byte(bad))
		if wantCode(t, err, hcn.ErrInvalidJSON); err == nil {
			t.Errorf("B.7: %s is accepted", bad)
		}
	}
}

// TestTheShapeFollowsTheQuery covers B.7: a major version of 1 asks for the v1
// shape, and Detailed for more.
func TestTheShapeFollowsTheQuery(t *testing.T) {
	h := mkHost(t, hcn.WS2025)
	net := h.network(bridgeDoc)
	ep := h.endpoint(net, plainEndpoint)
	for _, c := range []struct {
		name  string
		kind  Kind
		id    string
		query string
		has   string
		lacks string
	}{
		{"B.7 version 2", NetworkKind, net, `{"SchemaVersion":{"Major":2,"Minor":0}}`, "Ipams", "Subnets"},
		{"B.7 no version", NetworkKind, net, ``, "Ipams", "Subnets"},
		{"B.7 version 1", NetworkKind, net, `{"SchemaVersion":{"Major":1,"Minor":0}}`, "Subnets", "Ipams"},
		{"B.7 endpoints in version 1", EndpointKind, ep, `{"SchemaVersion":{"Major":1}}`, "IPAddress", "IpConfigurations"},
		{"B.7 not in detail", NetworkKind, net, `{"Flags":0}`, "Ipams", "Layer"},
		{"F.3 in detail: the layer", NetworkKind, net, `{"Flags":1}`, "Layer", "Subnets"},
		{"F.3 in detail, by name", NetworkKind, net, `{"Flags":"Detailed","SchemaVersion":{"Major":1}}`, "Layer", "Ipams"},
	} {
		doc := h.docWith(c.kind, c.id, c.query)
		if doc[c.has] == nil || doc[c.lacks] != nil {
			t.Errorf("%s: %v", c.name, doc)
		}
	}
	layer := at(h.docWith(NetworkKind, net, `{"Flags":1}`), "Layer.Resources.Allocators")
	for _, want := range []string{`"Tag":"Host Vnic"`, `"Tag":"External Adapter Info"`, `"ExternalNicPortGuid":"`} {
		if !strings.Contains(layer, want) {
			t.Errorf("F.3: %s has no %s", layer, want)
		}
	}
}
