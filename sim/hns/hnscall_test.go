package hns

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/sim/hcn"
)

// call makes a v1 call that has to succeed and decodes its Output.
func (h *host) call(method, path, body string) any {
	h.t.Helper()
	raw, hr := h.HNSCall(method, path, []byte(body))
	var r struct {
		Success bool
		Error   string
		Output  any
	}
	if err := json.Unmarshal(raw, &r); err != nil || hr != 0 || !r.Success {
		h.t.Fatalf("%s %s: %v, %v, %s", method, path, hr, err, raw)
	}
	return r.Output
}

func object1(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

// TestTheV1TestsOfHcsshim runs section E.8.
func TestTheV1TestsOfHcsshim(t *testing.T) {
	h := mkHost(t, hcn.WS2025)
	network := `{"Name":"GoTestNat","Type":"NAT","Subnets":[{"AddressPrefix":"192.168.100.0/24","GatewayAddress":"192.168.100.1"}]}`
	net := object1(h.call("POST", "/networks/", network))
	id := net["ID"].(string)
	if id != strings.ToUpper(id) {
		t.Errorf("network id %s", id)
	}
	ep := object1(h.call("POST", "/endpoints/", `{"Name":"GoTestNatEndpoint","VirtualNetwork":"`+id+`"}`))
	eid := ep["ID"].(string)
	if eid != strings.ToLower(eid) || ep["VirtualNetworkName"] != "GoTestNat" || ep["State"] != 1.0 {
		t.Errorf("endpoint %v", ep)
	}
	h.call("POST", "/endpoints/"+eid+"/attach", `{"SystemType":"Host","CompartmentId":1}`)
	h.call("POST", "/endpoints/"+eid+"/detach", `{"SystemType":"Host"}`)
	if list := h.call("GET", "/endpoints", "").([]any); len(list) != 1 {
		t.Errorf("%d endpoints", len(list))
	}
	stats := object1(h.call("GET", "/endpointstats/"+eid, ""))
	if stats["BytesReceived"] != 0.0 || stats["EndpointId"] == "" {
		t.Errorf("stats %v", stats)
	}
	if got := object1(h.call("GET", "/globals/version", "")); got["Major"] != 16.0 || got["Minor"] != 0.0 {
		t.Errorf("version %v", got)
	}
	macs := func(v any) int { l, _ := object1(v)["MacAddressList"].([]any); return len(l) }
	if n := macs(h.call("POST", "/accelnet/", `{"MacAddressList":[{"MacAddress":"00-15-5D-0A-B7-C6"},{"MacAddress":"00-15-5D-38-01-00"}]}`)); n != 2 {
		t.Errorf("%d MACs after POST", n)
	}
	if n := macs(h.call("GET", "/accelnet/", "")); n != 2 {
		t.Errorf("%d MACs after GET", n)
	}
	if n := macs(h.call("DELETE", "/accelnet/", "")); n != 0 {
		t.Errorf("%d MACs after DELETE", n)
	}
	h.call("DELETE", "/networks/"+id, "") // with the endpoint in it
	if list := h.call("GET", "/endpoints/", "").([]any); len(list) != 0 {
		t.Errorf("%d endpoints are left", len(list))
	}
}

func TestV1AndV2ShowOneStore(t *testing.T) {
	h := mkHost(t, hcn.WS2022)
	// HcnCreateNetwork takes the v1 shape too (TestV1Network).
	net := h.network(`{"Name":"GoTestNat","Type":"NAT","MacPools":[{"StartMacAddress":"00-15-5D-52-C0-00","EndMacAddress":"00-15-5D-52-CF-FF"}],"Subnets":[{"AddressPrefix":"192.168.100.0/24","GatewayAddress":"192.168.100.1"}]}`)
	ep := h.endpoint(net, `{"Name":"e","VirtualNetwork":"`+net+`"}`)
	v1 := object1(h.call("GET", "/networks/"+net, ""))
	sub := v1["Subnets"].([]any)[0].(map[string]any)
	if v1["Type"] != "NAT" || sub["AddressPrefix"] != "192.168.100.0/24" || v1["CurrentEndpointCount"] != 1.0 || v1["TotalEndpoints"] != 1.0 {
		t.Errorf("%v", v1)
	}
	if !strings.HasPrefix(v1["NatName"].(string), "NAT") || len(v1["Extensions"].([]any)) != 3 {
		t.Errorf("%v", v1)
	}
	// ListEndpointsOfNetwork filters by the v1 name although the API is v2.
	for _, filter := range []string{"VirtualNetwork", "HostComputeNetwork", "NetworkId"} {
		if got := h.ids(EndpointKind, `{"Filter":"{\"`+filter+`\":\"`+strings.ToUpper(net)+`\"}"}`); len(got) != 1 || got[0] != ep {
			t.Errorf("by %s: %v", filter, got)
		}
	}
	if got := h.ids(EndpointKind, `{"Filter":"{\"VirtualNetworkName\":\"GoTestNat\",\"State\":1}"}`); len(got) != 1 {
		t.Errorf("by name and state: %v", got)
	}
	if got := h.ids(EndpointKind, `{"Filter":"{\"State\":3}"}`); len(got) != 0 {
		t.Errorf("by another state: %v", got)
	}
	if got := h.ids(NetworkKind, `{"Filter":"{\"Type\":\"NAT\"}"}`); len(got) != 1 {
		t.Errorf("by type: %v", got)
	}
	h.call("DELETE", "/endpoints/"+ep, "")
	if len(h.ids(EndpointKind, "")) != 0 {
		t.Error("the v2 view still has the endpoint")
	}
}

func TestV1UpdateOfAnEndpointReplacesItsPolicies(t *testing.T) {
	h := mkHost(t, hcn.WS2022)
	ep := h.endpoint(h.network(natDoc), withPolicies("e", qos))
	doc := h.call("GET", "/endpoints/"+ep, "")
	m := object1(doc)
	m["Policies"] = append(m["Policies"].([]any), map[string]any{"Type": "ACL", "Protocol": 6, "Action": "Block", "Direction": "In", "RemoteAddresses": "10.0.0.0/8"})
	body, err := json.Marshal(m) // the whole document goes back, as hcsshim does
	h.must(err)
	out := object1(h.call("POST", "/endpoints/"+ep, string(body)))
	if got := fmt.Sprint(out["Policies"]); !strings.Contains(got, "QOS") || !strings.Contains(got, "Protocols:6") {
		t.Errorf("%v", got)
	}
	if h.types(EndpointKind, ep) != "QOS ACL" {
		t.Error(h.types(EndpointKind, ep))
	}
	m["IPAddress"] = "192.168.100.77"
	body, err = json.Marshal(m)
	h.must(err)
	_, err = h.HNSRequest("POST", "/endpoints/"+ep, body)
	wantCode(t, err, hcn.ErrRequestUnsupported)
}

func TestV1UpdateOfANetworkSwitchesExtensions(t *testing.T) {
	h := mkHost(t, hcn.WS2022)
	net := h.network(bridgeDoc)
	doc := object1(h.call("GET", "/networks/"+net, ""))
	doc["Extensions"].([]any)[0].(map[string]any)["IsEnabled"] = true
	body, err := json.Marshal(doc)
	h.must(err)
	out := object1(h.call("POST", "/networks/"+net, string(body)))
	if got := out["Extensions"].([]any)[0].(map[string]any); got["IsEnabled"] != true {
		t.Errorf("%v", got)
	}
	wantCode(t, func() error {
		_, err := h.HNSRequest("POST", "/networks/"+net, []byte(`{"Name":"other"}`))
		return err
	}(), hcn.ErrRequestUnsupported)
}

func TestPolicyListsAreLoadBalancersAndRoutes(t *testing.T) {
	h := mkHost(t, hcn.WS2022)
	ep := h.endpoint(h.network(overlayDoc), plainEndpoint)
	ref := `"References":["/endpoints/` + strings.ToUpper(ep) + `"]`
	elb := object1(h.call("POST", "/policylists/", `{`+ref+`,"Policies":[{"Type":"ELB","SourceVIP":"10.0.0.1","VIPs":["10.96.0.1"],"IsDSR":true,"Protocol":6,"InternalPort":8080,"ExternalPort":80}]}`))
	route := object1(h.call("POST", "/policylists", `{`+ref+`,"Policies":[{"Type":"ROUTE","DestinationPrefix":"10.96.0.0/12","NeedEncap":true}]}`))
	if elb["State"] != 2.0 || fmt.Sprint(elb["References"]) != "[/endpoints/"+ep+"]" || elb["IsApplied"] != false {
		t.Errorf("%v", elb)
	}
	d := h.doc(LoadBalancerKind, elb["ID"].(string))
	if d["Flags"] != 1.0 || fmt.Sprint(d["FrontendVIPs"]) != "[10.96.0.1]" || fmt.Sprint(d["HostComputeEndpoints"]) != "["+ep+"]" {
		t.Errorf("v2 view %v", d)
	}
	if list := h.call("GET", "/policylists/", "").([]any); len(list) != 2 {
		t.Errorf("%d lists", len(list))
	}
	for _, id := range []any{elb["ID"], route["ID"]} {
		if got := object1(h.call("GET", "/policylists/"+id.(string), "")); got["ID"] != id {
			t.Errorf("%v", got)
		}
		h.call("DELETE", "/policylists/"+id.(string), "")
	}
	_, err := h.HNSRequest("DELETE", "/policylists/"+unknownID, nil)
	wantCode(t, err, hcn.ErrElementNotFound)
}

func TestV1NamespacesHoldEndpoints(t *testing.T) {
	h := mkHost(t, hcn.WS2022)
	ep := h.endpoint(h.network(natDoc), plainEndpoint)
	ns := object1(h.call("POST", "/namespaces/", `{"IsDefault":false}`))["ID"].(string)
	h.call("POST", "/namespaces/"+ns+"/addresource", `{"Type":"Endpoint","Data":{"Id":"`+strings.ToUpper(ep)+`"}}`)
	got := object1(h.call("GET", "/namespaces/"+ns, ""))
	if fmt.Sprint(got["ResourceList"]) != "[map[Data:map[Id:"+ep+"] Type:Endpoint]]" || got["IsDefault"] != false || got["CompartmentId"] != 0.0 {
		t.Errorf("%v", got)
	}
	h.must(h.StartContainer(ns, "291cd4892b99", ""))
	got = object1(h.call("GET", "/namespaces/"+ns, ""))
	if fmt.Sprint(got["Containers"]) != "[291cd4892b99]" || got["CompartmentId"] != 2.0 || got["CompartmentGuid"] == nil {
		t.Errorf("%v", got)
	}
	h.call("POST", "/namespaces/"+ns+"/removeresource", `{"Type":"Endpoint","Data":{"Id":"`+ep+`"}}`)
	h.must(h.StopContainer(ns, "291cd4892b99"))
	h.call("DELETE", "/namespaces/"+ns, "")
}

func TestFailuresComeAsAnEnvelopeOrAsAnHRESULT(t *testing.T) {
	// A driver of flannel looks for the sentence, docker and CNI for theirs (D.4).
	sentences := []struct {
		method, path string
		want         string
	}{
		{"DELETE", "/endpoints/" + unknownID, "The endpoint was not found. "},
		{"GET", "/namespaces/" + unknownID, "Element not found. "},
	}
	for _, form := range []string{"envelope", "hresult"} {
		h := mkHost(t, hcn.WS2022, "v1ErrorForm="+form)
		for _, s := range sentences {
			raw, hr := h.HNSCall(s.method, s.path, nil)
			var r struct {
				Success   bool
				Error     string
				ErrorCode hcn.Code
			}
			h.must(json.Unmarshal(raw, &r))
			if r.Success || !strings.HasPrefix(r.Error, s.want) || (hr != 0) != (form == "hresult") || hr != 0 && hr != r.ErrorCode {
				t.Errorf("%s %s %s: %v %s", form, s.method, s.path, hr, raw)
			}
		}
	}
	h := mkHost(t, hcn.WS2022)
	ep := h.endpoint(h.network(natDoc), plainEndpoint)
	attach := func() []byte {
		raw, _ := h.HNSCall("POST", "/endpoints/"+ep+"/attach", []byte(`{"SystemType":"Host","CompartmentId":1}`))
		return raw
	}
	if got := string(attach()); got != `{"Success":true}` {
		t.Error(got)
	}
	if got := string(attach()); !strings.Contains(got, "This endpoint is already attached to the switch.") {
		t.Error(got)
	}
}

func TestV1PathsAndMethodsAreCheckedAndForgiving(t *testing.T) {
	h := mkHost(t, hcn.WS2022)
	for _, ok := range [][2]string{{"get", "/Networks"}, {"GET", "networks/"}, {"GET", "//activities"}, {"GET", "/plugins/"}, {"GET", "/globals"}, {"GET", "/portpools"}} {
		h.call(ok[0], ok[1], "")
	}
	for _, bad := range [][2]string{{"PUT", "/networks/"}, {"GET", ""}, {"GET", "/networks/a/b/c"}, {"DELETE", "/networks/"}, {"POST", "/globals/version"},
		{"GET", "/endpointstats/"}, {"GET", "/networks/" + unknownID + "/x"}, {"DELETE", "/accelnet/x"}, {"POST", "/plugins"}} {
		if _, err := h.HNSRequest(bad[0], bad[1], nil); err == nil {
			t.Errorf("%s %s succeeds", bad[0], bad[1])
		}
	}
}

func TestAccelnetNeedsItsVersion(t *testing.T) {
	_, err := mkHost(t, hcn.WS2022).HNSRequest("GET", "/accelnet/", nil)
	wantCode(t, err, hcn.ErrNotImplemented)
}
