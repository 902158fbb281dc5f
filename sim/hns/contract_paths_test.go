package hns

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/sim/hcn"
)

// pathCase is a request of section A.5 to a host that has, in this order, an
// overlay network @net with the endpoint @ep, a namespace @ns, a load balancer
// @lb and a route @rt. want is a code, or else part of the Output ("" for none).
type pathCase struct {
	row, name    string // row of the table in A.5
	profile      string // ws2025
	method, path string
	body         string
	code         hcn.Code
	want         string
}

var pathCases = []pathCase{
	{"GET /networks/", "all", "", "GET", "/networks/", "", 0, `[{"ID":"`},
	{"GET /networks/", "without the slash, in small letters", "", "get", "networks", "", 0, `[{"ID":"`},
	{"GET /networks/{id}", "one", "", "GET", "/networks/@net", "", 0, `"Name":"vxlan0"`},
	{"GET /networks/{id}", "D.3-2 none", "", "GET", "/networks/" + unknownID, "", hcn.ErrNetworkNotFound, ""},
	{"POST /networks/", "created", "", "POST", "/networks/", `{"Name":"n","Type":"nat"}`, 0, `"Type":"nat"`},
	{"POST /networks/", "D.3-9 a name in use", "", "POST", "/networks/", `{"Name":"vxlan0","Type":"nat"}`, hcn.ErrNetworkAlreadyExists, ""},
	{"POST /networks/", "D.3-42 no JSON", "", "POST", "/networks/", `{`, hcn.ErrInvalidJSON, ""},
	{"POST /networks/{id}", "an extension", "", "POST", "/networks/@net", `{"Extensions":[{"Id":"` + vfpExtension + `","IsEnabled":false}]}`, 0, `"Id":"` + vfpExtension + `","IsEnabled":false`},
	{"POST /networks/{id}", "C.2 an unknown extension", "", "POST", "/networks/@net", `{"Extensions":[{"Id":"` + unknownID + `","IsEnabled":true}]}`, hcn.ErrSwitchExtensionNotFound, ""},
	{"POST /networks/{id}", "G.1 another name", "", "POST", "/networks/@net", `{"Name":"other"}`, hcn.ErrRequestUnsupported, ""},
	{"POST /networks/{id}", "D.3-2 none", "", "POST", "/networks/" + unknownID, `{}`, hcn.ErrNetworkNotFound, ""},
	{"DELETE /networks/{id}", "D.3-20 with its endpoints", "", "DELETE", "/networks/@net", "", 0, ""},
	{"DELETE /networks/{id}", "D.3-5 none", "", "DELETE", "/networks/" + unknownID, "", hcn.ErrNetworkNotFound, ""},
	{"DELETE /networks/{id}", "D.3-8 none on an old build", hcn.WS2016, "DELETE", "/networks/" + unknownID, "", hcn.ErrInvalidObjectID, ""},

	{"GET /endpoints/, /endpoints/{id}", "all", "", "GET", "/endpoints/", "", 0, `[{"ID":"`},
	{"GET /endpoints/, /endpoints/{id}", "one", "", "GET", "/endpoints/@ep", "", 0, `"VirtualNetworkName":"vxlan0"`},
	{"GET /endpoints/, /endpoints/{id}", "D.3-3 none", "", "GET", "/endpoints/" + unknownID, "", hcn.ErrEndpointNotFound, ""},
	{"POST /endpoints/", "created", "", "POST", "/endpoints/", `{"Name":"x","VirtualNetwork":"@net","IPAddress":"10.244.1.9"}`, 0, `"IPAddress":"10.244.1.9"`},
	{"POST /endpoints/", "D.3-6 without its network", "", "POST", "/endpoints/", `{"VirtualNetwork":"` + unknownID + `"}`, hcn.ErrElementNotFound, ""},
	{"POST /endpoints/", "D.3-21 an address outside", "", "POST", "/endpoints/", `{"VirtualNetwork":"@net","IPAddress":"10.9.9.9"}`, hcn.ErrInvalidIP, ""},
	{"POST /endpoints/{id}", "C.5 new policies", "", "POST", "/endpoints/@ep", `{"Policies":[{"Type":"QOS","MaximumOutgoingBandwidthInBytes":1000}]}`, 0, `"MaximumOutgoingBandwidthInBytes":1000`},
	{"POST /endpoints/{id}", "another address", "", "POST", "/endpoints/@ep", `{"IPAddress":"10.244.1.99"}`, hcn.ErrRequestUnsupported, ""},
	{"POST /endpoints/{id}", "D.3-3 none", "", "POST", "/endpoints/" + unknownID, `{}`, hcn.ErrEndpointNotFound, ""},
	{"DELETE /endpoints/{id}", "one", "", "DELETE", "/endpoints/@ep", "", 0, ""},
	{"DELETE /endpoints/{id}", "D.3-5 none", "", "DELETE", "/endpoints/" + unknownID, "", hcn.ErrEndpointNotFound, ""},
	{"POST /endpoints/{id}/attach", "to the host", "", "POST", "/endpoints/@ep/attach", `{"SystemType":"Host","CompartmentId":1}`, 0, ""},
	{"POST /endpoints/{id}/attach", "to a container", "", "POST", "/endpoints/@ep/attach", `{"SystemType":"Container","ContainerId":"c1","CompartmentId":3}`, 0, ""},
	{"POST /endpoints/{id}/attach", "to a virtual machine", "", "POST", "/endpoints/@ep/attach", `{"SystemType":"VirtualMachine","VirtualNicName":"vm--nic"}`, 0, ""},
	{"POST /endpoints/{id}/attach", "to something else", "", "POST", "/endpoints/@ep/attach", `{"SystemType":"Toaster"}`, hcn.ErrInvalidParameter, ""},
	{"POST /endpoints/{id}/attach", "to a container without a name", "", "POST", "/endpoints/@ep/attach", `{"SystemType":"Container"}`, hcn.ErrInvalidParameter, ""},
	{"POST /endpoints/{id}/attach", "D.3-3 of nothing", "", "POST", "/endpoints/" + unknownID + "/attach", `{"SystemType":"Host"}`, hcn.ErrEndpointNotFound, ""},
	{"POST /endpoints/{id}/detach", "D.3-34 what is not attached", "", "POST", "/endpoints/@ep/detach", `{"SystemType":"Host"}`, 0, ""},
	{"POST /endpoints/{id}/detach", "D.3-3 of nothing", "", "POST", "/endpoints/" + unknownID + "/detach", `{"SystemType":"Host"}`, hcn.ErrEndpointNotFound, ""},
	{"GET /endpointstats/{id}", "one", "", "GET", "/endpointstats/@ep", "", 0, `{"BytesReceived":0,"BytesSent":0,"PacketsReceived":0,"PacketsSent":0,"DroppedPacketsIncoming":0,"DroppedPacketsOutgoing":0,"EndpointId":"`},
	{"GET /endpointstats/{id}", "D.3-3 none", "", "GET", "/endpointstats/" + unknownID, "", hcn.ErrEndpointNotFound, ""},
	{"GET /endpointstats/{id}", "of all", "", "GET", "/endpointstats/", "", hcn.ErrElementNotFound, ""},

	{"GET /policylists/, /policylists/{id}", "all, balancers first", "", "GET", "/policylists/", "", 0, `"Type":"ELB"`},
	{"GET /policylists/, /policylists/{id}", "a load balancer", "", "GET", "/policylists/@lb", "", 0, `"VIPs":["10.96.0.1"]`},
	{"GET /policylists/, /policylists/{id}", "a route", "", "GET", "/policylists/@rt", "", 0, `"DestinationPrefix":"10.96.0.0/12"`},
	{"GET /policylists/, /policylists/{id}", "D.3-4 none", "", "GET", "/policylists/" + unknownID, "", hcn.ErrElementNotFound, ""},
	{"POST /policylists/", "a load balancer", "", "POST", "/policylists/", `{"References":["/endpoints/@ep"],"Policies":[{"Type":"ELB","VIPs":["10.96.0.9"],"Protocol":17,"InternalPort":53,"ExternalPort":53}]}`, 0, `"References":["/endpoints/`},
	{"POST /policylists/", "a route", "", "POST", "/policylists/", `{"References":["/endpoints/@ep"],"Policies":[{"Type":"ROUTE","DestinationPrefix":"10.97.0.0/16","NeedEncap":true}]}`, 0, `"Type":"ROUTE"`},
	{"POST /policylists/", "D.3-39 without endpoints", "", "POST", "/policylists/", `{"References":[],"Policies":[{"Type":"ELB","VIPs":["10.96.0.9"],"Protocol":17,"InternalPort":53,"ExternalPort":53}]}`, hcn.ErrInvalidJSONReference, ""},
	{"POST /policylists/", "D.3-40 an unknown endpoint", "", "POST", "/policylists/", `{"References":["/endpoints/` + unknownID + `"],"Policies":[{"Type":"ELB","VIPs":["10.96.0.9"],"Protocol":17,"InternalPort":53,"ExternalPort":53}]}`, hcn.ErrEndpointNotFound, ""},
	{"POST /policylists/", "D.3-41 a frontend in use", "", "POST", "/policylists/", `{"References":["/endpoints/@ep"],"Policies":[{"Type":"ELB","VIPs":["10.96.0.1"],"Protocol":6,"InternalPort":8080,"ExternalPort":8090}]}`, hcn.ErrPortAlreadyExists, ""},
	{"DELETE /policylists/{id}", "a load balancer", "", "DELETE", "/policylists/@lb", "", 0, ""},
	{"DELETE /policylists/{id}", "a route", "", "DELETE", "/policylists/@rt", "", 0, ""},
	{"DELETE /policylists/{id}", "none", "", "DELETE", "/policylists/" + unknownID, "", hcn.ErrElementNotFound, ""},

	{"POST /namespaces/", "created", "", "POST", "/namespaces/", `{"IsDefault":true}`, 0, `"IsDefault":true`},
	{"POST /namespaces/", "D.3-42 no JSON", "", "POST", "/namespaces/", `{`, hcn.ErrInvalidJSON, ""},
	{"GET /namespaces/{id} (and collection)", "all", "", "GET", "/namespaces/", "", 0, `"CompartmentId":1`},
	{"GET /namespaces/{id} (and collection)", "one", "", "GET", "/namespaces/@ns", "", 0, `"IsDefault":false`},
	{"GET /namespaces/{id} (and collection)", "D.3-7 none", "", "GET", "/namespaces/" + unknownID, "", hcn.ErrElementNotFound, ""},
	{"DELETE /namespaces/{id}", "one", "", "DELETE", "/namespaces/@ns", "", 0, ""},
	{"DELETE /namespaces/{id}", "D.3-7 none", "", "DELETE", "/namespaces/" + unknownID, "", hcn.ErrElementNotFound, ""},
	{"POST /namespaces/{id}/addresource", "an endpoint", "", "POST", "/namespaces/@ns/addresource", `{"Type":"Endpoint","Data":{"Id":"@ep"}}`, 0, ""},
	{"POST /namespaces/{id}/addresource", "a container", "", "POST", "/namespaces/@ns/addresource", `{"Type":"Container","Data":{"Id":"c1"}}`, 0, ""},
	{"POST /namespaces/{id}/addresource", "an unknown endpoint", "", "POST", "/namespaces/@ns/addresource", `{"Type":"Endpoint","Data":{"Id":"` + unknownID + `"}}`, hcn.ErrEndpointNotFound, ""},
	{"POST /namespaces/{id}/addresource", "something else", "", "POST", "/namespaces/@ns/addresource", `{"Type":"Toaster","Data":{"Id":"@ep"}}`, hcn.ErrRequestUnsupported, ""},
	{"POST /namespaces/{id}/removeresource", "D.3-35 what is not in it", "", "POST", "/namespaces/@ns/removeresource", `{"Type":"Endpoint","Data":{"Id":"@ep"}}`, hcn.ErrElementNotFound, ""},

	{"POST /namespaces/{id}/removeresource", "what is in it", "", "POST", "/namespaces/@own/removeresource", `{"Type":"Endpoint","Data":{"Id":"@joined"}}`, 0, ""},

	{"GET /globals/version", "the version", "", "GET", "/globals/version", "", 0, `{"Major":16,"Minor":0}`},
	{"GET /globals/version", "of another build", hcn.WS2022, "GET", "/globals/version", "", 0, `{"Major":13,"Minor":3}`},
	{"GET, POST, DELETE /accelnet/", "set", "", "POST", "/accelnet/", `{"MacAddressList":[{"MacAddress":"00-15-5D-0A-B7-C6"}]}`, 0, `{"MacAddressList":[{"MacAddress":"00-15-5D-0A-B7-C6"}]}`},
	{"GET, POST, DELETE /accelnet/", "read", "", "GET", "/accelnet/", "", 0, `{"MacAddressList":[]}`},
	{"GET, POST, DELETE /accelnet/", "cleared", "", "DELETE", "/accelnet/", "", 0, `{"MacAddressList":[]}`},
	{"GET, POST, DELETE /accelnet/", "B.9 before 15.4", hcn.WS2022, "GET", "/accelnet/", "", hcn.ErrNotImplemented, ""},
	{"GET /activities, /plugins", "activities: one for every network and endpoint", "", "GET", "/activities", "", 0, `[{"AdditionalParams":{}`},
	{"GET /activities, /plugins", "plugins", "", "GET", "/plugins", "", 0, `[]`},
	{"GET /activities, /plugins", "none by id", "", "GET", "/activities/" + unknownID, "", hcn.ErrElementNotFound, ""},
	{"GET /globals, /endpointaddresses/{id}, /portpools, /endpoints/{id}/detailed", "globals", "", "GET", "/globals", "", 0, `{"Version":{"Major":16,"Minor":0}}`},
	{"GET /globals, /endpointaddresses/{id}, /portpools, /endpoints/{id}/detailed", "addresses", "", "GET", "/endpointaddresses/@ep", "", 0, `[{"IPAddress":"10.244.1.`},
	{"GET /globals, /endpointaddresses/{id}, /portpools, /endpoints/{id}/detailed", "port pools", "", "GET", "/portpools", "", 0, `[]`},
	{"GET /globals, /endpointaddresses/{id}, /portpools, /endpoints/{id}/detailed", "in detail", "", "GET", "/endpoints/@ep/detailed", "", 0, `"Resources":{`},
}

// otherPaths are requests that no row has.
var otherPaths = []string{
	"PUT /networks/", "GET ", "GET /", "GET /nothing", "GET /networks/a/b/c", "DELETE /networks/", "POST /globals/version", "GET /globals/x",
	"GET /networks/@net/x", "POST /endpoints/@ep/x", "DELETE /endpoints/@ep/attach", "DELETE /policylists/", "PUT /policylists/@lb", "GET /policylists/@lb/x",
	"DELETE /namespaces/", "GET /namespaces/@ns/x", "DELETE /accelnet/x", "PUT /accelnet/", "POST /plugins", "GET /portpools/x", "POST /endpointstats/@ep",
	"GET /endpointaddresses/",
}

// pathHost makes the objects that the cases name, and the names.
func pathHost(t *testing.T, profile string) (*host, *strings.Replacer) {
	t.Helper()
	if profile == "" {
		profile = hcn.WS2025
	}
	h := mkHost(t, profile)
	if profile != hcn.WS2025 {
		return h, strings.NewReplacer()
	}
	net := h.network(overlayDoc)
	ep := h.endpoint(net, plainEndpoint)
	ns := h.namespace(hcn.HostNamespace)
	lb := h.create(LoadBalancerKind, "", balancerDoc("10.96.0.1", ep))
	rt := h.create(RouteKind, "", `{"HostComputeEndpoints":["`+ep+`"],"Routes":[{"DestinationPrefix":"10.96.0.0/12"}]}`)
	own, joined := h.namespace(hcn.HostNamespace), h.endpoint(net, plainEndpoint)
	h.must(h.join(own, joined))
	return h, strings.NewReplacer("@own", own, "@joined", joined, "@net", net, "@ep", ep, "@ns", ns, "@lb", lb, "@rt", rt)
}

func TestEveryPathSucceedsAndFailsAsTheContractSays(t *testing.T) {
	for _, c := range pathCases {
		t.Run("A.5 "+c.row+"/"+c.name, func(t *testing.T) {
			h, names := pathHost(t, c.profile)
			before := h.State()
			raw, hr := h.HNSCall(c.method, names.Replace(c.path), []byte(names.Replace(c.body)))
			checkEnvelope(t, raw, hr, c.code, c.want)
			if c.code != 0 && h.State() != before {
				t.Error("a request that failed changed the state")
			}
			checkInvariants(t, h.State())
		})
	}
	h, names := pathHost(t, "")
	for _, p := range otherPaths {
		method, path, _ := strings.Cut(p, " ")
		raw, hr := h.HNSCall(method, names.Replace(path), nil)
		checkEnvelope(t, raw, hr, hcn.ErrElementNotFound, "")
	}
}

// checkEnvelope checks A20, A24 and A25 for an answer of the envelope form.
func checkEnvelope(t *testing.T, raw []byte, hr, want hcn.Code, output string) {
	t.Helper()
	var e struct {
		Success   *bool
		Output    json.RawMessage
		Error     string
		ErrorCode uint32
	}
	if err := json.Unmarshal(raw, &e); err != nil || e.Success == nil || hr != 0 {
		t.Fatalf("A25: %s, %s, %v", raw, hr, err)
	}
	if hcn.Code(e.ErrorCode) != want || *e.Success != (want == 0) {
		t.Fatalf("A20: got %s, want %s", raw, want)
	}
	if want != 0 && (!strings.HasPrefix(e.Error, want.Sentence()+" ") || e.Output != nil) {
		t.Errorf("A24: error %q", e.Error)
	}
	if want == 0 && (e.Error != "" || !strings.Contains(string(e.Output), output) || output == "" && e.Output != nil) {
		t.Errorf("got %s, want %s", raw, output)
	}
}

// TestEveryRequestOfTheContractHasACase counts the rows of A.5.
func TestEveryRequestOfTheContractHasACase(t *testing.T) {
	works, fails := map[string]bool{}, map[string]bool{}
	for _, c := range pathCases {
		if c.code == 0 {
			works[c.row] = true
		} else {
			fails[c.row] = true
		}
	}
	for _, row := range tableRows(t, "A.5") {
		name := strings.Trim(fmt.Sprintf("%s %s", row[0], strings.ReplaceAll(row[1], "`", "")), " ")
		if !works[name] {
			t.Errorf("A.5: no request for %q", name)
		}
		delete(works, name)
	}
	for name := range works {
		t.Errorf("A.5 has no row %q", name)
	}
	if len(fails) < 19 {
		t.Errorf("only %d rows have a request that fails", len(fails))
	}
}

// TestFailuresOfHNSCallMayBeHRESULTs covers A21 and A23: by knob the answer is
// negative and has the text as well.
func TestFailuresOfHNSCallMayBeHRESULTs(t *testing.T) {
	h := mkHost(t, hcn.WS2025, "v1ErrorForm=hresult")
	raw, hr := h.HNSCall("POST", "/endpoints/", []byte(`{"VirtualNetwork":"`+unknownID+`"}`))
	if hr != hcn.ErrElementNotFound || !strings.Contains(string(raw), `"Element not found. `) {
		t.Errorf("A21, A23: %s %s", hr, raw)
	}
	raw, hr = h.HNSCall("GET", "/networks/", nil)
	if hr != 0 || string(raw) != `{"Success":true,"Output":[]}` {
		t.Errorf("A25: %s %s", hr, raw)
	}
}
