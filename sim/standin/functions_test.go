package standin

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/hns"
)

const (
	id1 = "aaaaaaaa-0001-4000-8000-000000000001"
	id2 = "aaaaaaaa-0002-4000-8000-000000000002"
)

// family is what the five families of HCN functions differ in.
type family struct {
	kind         hns.Kind
	name, plural string
	doc          string
	change       string // a modify request that succeeds
	missing      hcn.Code
}

// families lists them; ep is an endpoint that balancers and routes can name.
func families(ep string) []family {
	return []family{
		{hns.NetworkKind, "Network", "Networks", strings.ReplaceAll(strings.Replace(natDoc, `"nat"`, `"other"`, 1), "192.168.", "172.20."), `{"ResourceType":"DNS","RequestType":"Update","Settings":{"Suffix":"x.y"}}`, hcn.ErrNetworkNotFound},
		{hns.EndpointKind, "Endpoint", "Endpoints", endpointDoc, `{"ResourceType":"Policy","RequestType":"Update","Settings":{"Policies":[]}}`, hcn.ErrEndpointNotFound},
		{hns.NamespaceKind, "Namespace", "Namespaces", `{"Type":"Host","SchemaVersion":{"Major":2,"Minor":0}}`, `{"ResourceType":"Endpoint","RequestType":"Add","Settings":{"EndpointId":"` + ep + `"}}`, hcn.ErrElementNotFound},
		{hns.LoadBalancerKind, "LoadBalancer", "LoadBalancers", `{"HostComputeEndpoints":["` + ep + `"],"FrontendVIPs":["10.1.1.1"],"PortMappings":[{"Protocol":6,"InternalPort":80,"ExternalPort":81}],"SchemaVersion":{"Major":2,"Minor":0}}`, `{"HostComputeEndpoints":["` + ep + `"],"FrontendVIPs":["10.1.1.1"],"PortMappings":[{"Protocol":6,"InternalPort":80,"ExternalPort":82}],"SchemaVersion":{"Major":2,"Minor":0}}`, hcn.ErrElementNotFound},
		{hns.RouteKind, "SdnRoute", "SdnRoutes", `{"HostComputeEndpoints":["` + ep + `"],"Routes":[{"NextHop":"10.1.1.9","DestinationPrefix":"10.3.0.0/16","NeedEncap":true}],"SchemaVersion":{"Major":2,"Minor":0}}`, "", hcn.ErrElementNotFound},
	}
}

func TestEveryFamilyOfFunctionsLivesAWholeLife(t *testing.T) {
	for i := range families("") {
		name := families("")[i].name
		t.Run(name, func(t *testing.T) {
			l := newLab(t, hcn.WS2025)
			c := l.client(1)
			net := c.must(Request{Function: "HcnCreateNetwork", Texts: texts(natDoc)}).Handle
			ep := c.must(Request{Function: "HcnCreateEndpoint", Handle: net, GUID: guid(id2), Texts: texts(endpointDoc)})
			if ep.Handle == 0 || ep.Handle == net {
				t.Fatalf("handles %x and %x", net, ep.Handle)
			}
			life(t, c, families(id2)[i], net)
		})
	}
}

// life creates, finds, reads, changes, closes and deletes one object.
func life(t *testing.T, c *client, f family, network uint64) {
	t.Helper()
	create := Request{Function: "HcnCreate" + f.name, GUID: guid(id1), Texts: texts(f.doc)}
	if f.kind == hns.EndpointKind {
		create.Handle = network
	}
	h := c.must(create).Handle
	c.mustFail(hcn.ErrAlreadyExists, create)

	filter := `{"SchemaVersion":{"Major":2,"Minor":0},"Filter":"{\"ID\":\"` + strings.ToUpper(id1) + `\"}"}`
	if got := c.must(Request{Function: "HcnEnumerate" + f.plural, Texts: texts(filter)}).Texts[0].Value; !strings.EqualFold(got, `["`+id1+`"]`) {
		t.Errorf("enumerate: %s", got)
	}
	h2 := c.must(Request{Function: "HcnOpen" + f.name, GUID: guid(id1)}).Handle
	if h2 == h {
		t.Errorf("two opens gave one handle")
	}
	query := Request{Function: "HcnQuery" + f.name + "Properties", Handle: h2, Texts: texts(filter)}
	var doc struct{ ID string }
	if err := json.Unmarshal([]byte(c.must(query).Texts[0].Value), &doc); err != nil || !strings.EqualFold(doc.ID, id1) {
		t.Errorf("query: %v, ID %q", err, doc.ID)
	}
	modify := Request{Function: "HcnModify" + f.name, Handle: h2, Texts: texts(f.change)}
	if f.change != "" {
		c.must(modify)
	}
	modify.Texts = texts(`{"ResourceType":`)
	c.mustFail(hcn.ErrInvalidJSON, modify)
	query.Texts = texts("[")
	c.mustFail(hcn.ErrInvalidJSON, query)
	query.Texts = texts("")
	c.must(query)

	closing := Request{Function: "HcnClose" + f.name, Handle: h2}
	c.must(closing)
	c.mustFail(hcn.ErrInvalidHandle, closing)
	c.mustFail(hcn.ErrInvalidHandle, Request{Function: query.Function, Handle: h2, Texts: texts("")})

	del := Request{Function: "HcnDelete" + f.name, GUID: guid(id1)}
	c.must(del) // h is open still
	c.mustFail(f.missing, del)
	c.mustFail(f.missing, Request{Function: "HcnOpen" + f.name, GUID: guid(id1)})
	used := Request{Function: query.Function, Handle: h, Texts: texts("")}
	c.mustFail(hcn.ErrObjectUsedAfterUnload, used)
	c.must(create) // the same id again is another object
	c.mustFail(hcn.ErrObjectUsedAfterUnload, used)
	c.must(Request{Function: closing.Function, Handle: h})
}

func TestAHandleOfOneKindIsNoHandleOfAnother(t *testing.T) {
	c := newLab(t, hcn.WS2025).client(1)
	net := c.must(Request{Function: "HcnCreateNetwork", Texts: texts(natDoc)}).Handle
	c.mustFail(hcn.ErrInvalidHandle, Request{Function: "HcnCloseEndpoint", Handle: net})
	c.mustFail(hcn.ErrInvalidHandle, Request{Function: "HcnCreateEndpoint", Handle: 0, Texts: texts(endpointDoc)})
	ep := c.must(Request{Function: "HcnCreateEndpoint", Handle: net, Texts: texts(endpointDoc)}).Handle
	c.must(Request{Function: "HcnDeleteNetwork", GUID: guid(networkID(c))})
	c.mustFail(hcn.ErrObjectUsedAfterUnload, Request{Function: "HcnQueryEndpointStats", Handle: ep, Texts: texts("")})
}

func networkID(c *client) string {
	var ids []string
	if err := json.Unmarshal([]byte(c.must(Request{Function: "HcnEnumerateNetworks", Texts: texts("")}).Texts[0].Value), &ids); err != nil || len(ids) != 1 {
		c.t.Fatalf("%v %v", err, ids)
	}
	return ids[0]
}

func TestTheOtherExportsAnswer(t *testing.T) {
	c := newLab(t, hcn.WS2025).client(1)
	net := c.must(Request{Function: "HcnCreateNetwork", Texts: texts(natDoc)}).Handle
	ep := c.must(Request{Function: "HcnCreateEndpoint", Handle: net, Texts: texts(endpointDoc)}).Handle
	svc := c.must(Request{Function: "HcnOpenService"}).Handle
	g := c.must(Request{Function: "HcnCreateGuestNetworkService", GUID: guid(id1), Texts: texts(`{"Name":"g"}`)}).Handle
	port := func(proto, access, port uint64) Request {
		return Request{Function: "HcnReserveGuestNetworkServicePort", Handle: g, Number: proto | access<<8 | port<<16}
	}
	res := c.must(port(1, 1, 8080)).Handle
	tests := []struct {
		req  Request
		code hcn.Code
		want string // part of the result
	}{
		{Request{Function: "HcnQueryEndpointStats", Handle: ep, Texts: texts("")}, 0, `"BytesSent":0`},
		{Request{Function: "HcnQueryEndpointAddresses", Handle: ep, Texts: texts("")}, 0, `"IPAddress":"192.168.`},
		{Request{Function: "HcnQueryEndpointAddresses", Handle: ep, Texts: texts("{")}, hcn.ErrInvalidJSON, ""},
		{Request{Function: "HcnCloseService", Handle: svc}, 0, ""},
		{Request{Function: "HcnCloseService", Handle: svc}, hcn.ErrInvalidHandle, ""},
		{Request{Function: "HcnEnumerateGuestNetworkServices", Texts: texts("")}, 0, id1},
		{Request{Function: "HcnCreateGuestNetworkService", GUID: guid(id1), Texts: texts(`{}`)}, hcn.ErrAlreadyExists, ""},
		{Request{Function: "HcnCreateGuestNetworkService", GUID: guid(id2), Texts: texts(`7`)}, hcn.ErrInvalidJSON, ""},
		{Request{Function: "HcnModifyGuestNetworkService", Handle: g, Texts: texts(`{"Name":"g2"}`)}, hcn.ErrRequestUnsupported, ""},
		{Request{Function: "HcnModifyGuestNetworkService", Handle: g, Texts: texts(`{`)}, hcn.ErrInvalidJSON, ""},
		{Request{Function: "HcnModifyGuestNetworkService", Handle: g, Texts: texts(`{"RequestType":"Update","Settings":{"State":"Tired"}}`)}, hcn.ErrInvalidParameter, ""},
		{Request{Function: "HcnModifyGuestNetworkService", Handle: g, Texts: texts(`{"ResourceType":"State","RequestType":2,"Settings":{"State":"Synchronized"}}`)}, 0, ""},
		{Request{Function: "HcnQueryGuestNetworkServiceProperties", Handle: g, Texts: texts("")}, 0, `{"ID":"` + id1 + `","Name":"g","State":3}`},
		{Request{Function: "HcnQueryGuestNetworkServiceProperties", Handle: g, Texts: texts("[")}, hcn.ErrInvalidJSON, ""},
		{port(2, 1, 8080), 0, ""},
		{port(3, 2, 8080), hcn.ErrPortAlreadyExists, ""},
		{port(1, 2, 8081), 0, ""},
		{port(1, 2, 8081), 0, ""},
		{port(1, 1, 8081), hcn.ErrPortAlreadyExists, ""},
		{port(4, 1, 9), hcn.ErrInvalidParameter, ""},
		{Request{Function: "HcnReserveGuestNetworkServicePortRange", Handle: g, Number: 100}, 0, ""},
		{Request{Function: "HcnReserveGuestNetworkServicePortRange", Handle: g, Number: 16384}, hcn.ErrPortAlreadyExists, ""},
		{Request{Function: "HcnEnumerateGuestNetworkPortReservations"}, 0, id1 + " 3 49152 49251\n"},
		{Request{Function: "HcnReleaseGuestNetworkServicePortReservationHandle", Handle: res}, 0, ""},
		{port(1, 1, 8080), 0, ""},
		{Request{Function: "HcnDeleteGuestNetworkService", GUID: guid(id1)}, 0, ""},
		{Request{Function: "HcnDeleteGuestNetworkService", GUID: guid(id1)}, hcn.ErrElementNotFound, ""},
		{Request{Function: "HcnOpenGuestNetworkService", GUID: guid(id1)}, hcn.ErrElementNotFound, ""},
		{port(1, 1, 7), hcn.ErrObjectUsedAfterUnload, ""},
		{Request{Function: "HcnCloseGuestNetworkService", Handle: g}, 0, ""},
		{Request{Function: "HcnNonsense"}, hcn.ErrNotImplemented, ""},
		{Request{Function: "HcnOpenNetwork", Texts: texts("x")}, hcn.ErrInvalidParameter, ""},
	}
	for i, tt := range tests {
		resp := c.do(tt.req)
		if hcn.Code(resp.HResult) != tt.code || !strings.Contains(resp.Texts[0].Value, tt.want) {
			t.Errorf("%d %s: 0x%08x %q %q", i, tt.req.Function, resp.HResult, resp.Texts[0].Value, resp.Texts[1].Value)
		}
	}
}

func TestHNSCallAnswersWithItsEnvelope(t *testing.T) {
	c := newLab(t, hcn.WS2025).client(1)
	tests := []struct{ method, path, body, want string }{
		{"GET", "/globals/version", "", `{"Success":true,"Output":{"Major":16,"Minor":0}}`},
		{"GET", "/networks/", "", `{"Success":true,"Output":[]}`},
		{"POST", "/networks/", `{"Name":"n","Type":"NAT"}`, `{"Success":true,"Output":{`},
		{"POST", "/networks/", `{"Name":"n","Type":"NAT"}`, `"ErrorCode":2151350288`},
		{"GET", "/endpoints/" + unknownID, "", `The endpoint was not found.`},
	}
	for _, tt := range tests {
		resp := c.must(Request{Function: "HNSCall", Texts: texts(tt.method, tt.path, tt.body)})
		if !strings.Contains(resp.Texts[0].Value, tt.want) {
			t.Errorf("%s %s: %s", tt.method, tt.path, resp.Texts[0].Value)
		}
	}
	if got := c.must(Request{Function: "HcnEnumerateNetworks", Texts: texts(`{"Filter":"{\"Name\":\"n\"}"}`)}).Texts[0].Value; got == "[]" {
		t.Error("a network made through v1 is not seen through v2")
	}
}

func TestComputeSystemsAreAbsentOrPresent(t *testing.T) {
	l := newLab(t, hcn.WS2025)
	c := l.client(1)
	open := Request{Function: "HcsOpenComputeSystem", Texts: texts("c1")}
	resp := c.do(open)
	if hcn.Code(resp.HResult) != noComputeSystem || !strings.Contains(resp.Texts[1].Value, `"Error":-1070137074,`) {
		t.Fatalf("absent: 0x%08x %s", resp.HResult, resp.Texts[1].Value)
	}
	l.AddContainer("c1")
	h := c.must(open).Handle
	if p := c.must(Request{Function: "HcsGetComputeSystemProperties", Handle: h, Texts: texts("")}).Texts[0].Value; !strings.Contains(p, `"State":"Running"`) {
		t.Error(p)
	}
	net := c.must(Request{Function: "HcnCreateNetwork", Texts: texts(natDoc)}).Handle
	c.must(Request{Function: "HcnCreateEndpoint", Handle: net, GUID: guid(id1), Texts: texts(endpointDoc)})
	modify := func(verb, settings string) Request {
		return Request{Function: "HcsModifyComputeSystem", Handle: h, Texts: texts(`{"ResourceType":"Network","Settings":` + settings + `,"RequestType":"` + verb + `"}`)}
	}
	c.must(modify("Add", `"`+id1+`"`))
	if doc := c.must(Request{Function: "HNSCall", Texts: texts("GET", "/endpoints/"+id1, "")}).Texts[0].Value; !strings.Contains(doc, `"SharedContainers":["c1"]`) {
		t.Error(doc)
	}
	c.must(modify("Remove", `"`+id1+`"`))
	c.mustFail(hcn.ErrEndpointNotFound, modify("Add", `"`+unknownID+`"`))
	c.mustFail(hcn.ErrNotImplemented, modify("Add", `{}`))
	c.mustFail(hcn.ErrInvalidParameter, modify("Shake", `"x"`))
	callback := Request{Function: "HcsRegisterComputeSystemCallback", Handle: h}
	gone := Request{Function: "HcsUnregisterComputeSystemCallback", Handle: c.must(callback).Handle}
	c.must(gone)
	c.mustFail(hcn.ErrInvalidHandle, gone)
	c.mustFail(hcn.ErrInvalidHandle, Request{Function: "HcsRegisterComputeSystemCallback", Handle: net})
	l.RemoveContainer("C1")
	c.mustFail(noComputeSystem, callback)
	c.mustFail(noComputeSystem, modify("Add", `"`+id1+`"`))
	c.must(Request{Function: "HcsCloseComputeSystem", Handle: h})
	c.mustFail(hcn.ErrInvalidHandle, Request{Function: "HcsCloseComputeSystem", Handle: h})
}

func TestNotificationsReachTheirSubscriber(t *testing.T) {
	l := newLab(t, hcn.WS2025)
	c, waiter := l.client(1), l.client(1)
	sub := c.must(Request{Function: "HcnRegisterServiceCallback"}).Handle
	c.must(Request{Function: "HcnCreateNetwork", Texts: texts(natDoc)})
	wait := Request{Function: waitFunction, Handle: sub, Number: 1000}
	var got []hns.NotificationType
	for range 2 {
		got = append(got, hns.NotificationType(waiter.must(wait).Number))
	}
	if !slices.Equal(got, []hns.NotificationType{hns.NetworkPreCreate, hns.NetworkCreate}) {
		t.Errorf("got %v", got)
	}
	wait.Number = 1
	if n := waiter.must(wait).Number; n != 0 {
		t.Errorf("a notification %d out of nothing", n)
	}
	c.must(Request{Function: "HcnUnregisterServiceCallback", Handle: sub})
	waiter.mustFail(hcn.ErrInvalidHandle, wait)
}

func TestGuestServicesNotifyTheHostAndTheirOwnCallbacks(t *testing.T) {
	l := newLab(t, hcn.WS2025)
	c := l.client(1)
	host := c.must(Request{Function: "HcnRegisterServiceCallback"}).Handle
	g := c.must(Request{Function: "HcnCreateGuestNetworkService", GUID: guid(id1), Texts: texts(`{}`)}).Handle
	own := c.must(Request{Function: "HcnRegisterGuestNetworkServiceCallback", Handle: g}).Handle
	c.must(Request{Function: "HcnCreateGuestNetworkService", GUID: guid(id2), Texts: texts(`{}`)})
	c.must(Request{Function: "HcnModifyGuestNetworkService", Handle: g, Texts: texts(`{"RequestType":"Update","Settings":{"State":4}}`)})
	c.must(Request{Function: "HcnDeleteGuestNetworkService", GUID: guid(id1)})
	changed := `17 {"Data":{"State":"Paused"},"Flags":0,"ID":"` + id1 + `"}`
	deleted := `8 {"Flags":0,"ID":"` + id1 + `"}`
	for sub, want := range map[uint64][]string{
		own:  {changed, deleted, "0 "},
		host: {`7 {"Flags":0,"ID":"` + id1 + `"}`, `7 {"Flags":0,"ID":"` + id2 + `"}`, changed, deleted, "0 "},
	} {
		for _, w := range want {
			resp := c.must(Request{Function: waitFunction, Handle: sub, Number: 1})
			if got := fmt.Sprintf("%d %s", resp.Number, resp.Texts[0].Value); got != w {
				t.Errorf("got %s, want %s", got, w)
			}
		}
	}
	c.mustFail(hcn.ErrObjectUsedAfterUnload, Request{Function: "HcnRegisterGuestNetworkServiceCallback", Handle: g})
}

// TestTheModuleDefinitionsExportEveryFunction compares the exports of the DLLs
// with what the server answers to.
func TestTheModuleDefinitionsExportEveryFunction(t *testing.T) {
	exported := map[string]bool{}
	for _, file := range []string{"shim/computenetwork.def", "shim/vmcompute.def"} {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(string(raw), "\n") {
			if w := strings.Fields(line); len(w) == 1 && w[0] != "EXPORTS" {
				exported[w[0]] = true
			}
		}
	}
	for _, f := range Functions() {
		if f != waitFunction && !exported[f] {
			t.Errorf("%s is not exported", f)
		}
	}
	if !exported["HcnFreeGuestNetworkPortReservations"] {
		t.Error("the one function that needs no server is not exported")
	}
}
