package hns

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/sim/hcn"
)

func TestOperationsByNameCoverTheLifeOfEveryKind(t *testing.T) {
	h := mkHost(t, hcn.WS2025)
	net := h.network(overlayDoc)
	ep := h.endpoint(net, plainEndpoint)
	route := `{"HostComputeEndpoints":["` + ep + `"],"Routes":[{"DestinationPrefix":"10.96.0.0/12","NeedEncap":true}]}`
	tests := []struct {
		kind           Kind
		parent, create string
		modify         string
	}{
		{NetworkKind, "", natDoc, `{"ResourceType":"DNS","RequestType":"Update","Settings":{"Domain":"d"}}`},
		{EndpointKind, net, withAddress("10.244.1.77"), `{"ResourceType":"Policy","RequestType":"Add","Settings":{"Policies":[` + qos + `]}}`},
		{NamespaceKind, "", `{"Type":"Host"}`, `{"ResourceType":"Endpoint","RequestType":"Add","Settings":{"EndpointId":"` + ep + `"}}`},
		{LoadBalancerKind, "", balancerDoc("10.96.0.1", ep), balancerDoc("10.96.0.2", ep)},
		{RouteKind, "", route, strings.Replace(route, "/12", "/16", 1)},
	}
	for _, tt := range tests {
		do := func(verb, id string, body string) []byte {
			t.Helper()
			_, doc, err := h.Do(tt.kind, verb, id, tt.parent, []byte(body))
			if err != nil {
				t.Fatalf("%s %s: %v", verb, tt.kind, err)
			}
			return doc
		}
		id, doc, err := h.Do(tt.kind, "create", unknownID, tt.parent, []byte(tt.create))
		if err != nil || id != unknownID || !strings.Contains(string(doc), unknownID) {
			t.Fatalf("create %s: %s, %s, %v", tt.kind, id, doc, err)
		}
		do("open", id, "")
		if modified := do("modify", id, tt.modify); string(modified) == string(doc) {
			t.Errorf("%s did not change: %s", tt.kind, modified)
		}
		if got := do("query", strings.ToUpper(id), `{"Flags":1}`); !json.Valid(got) {
			t.Errorf("query %s: %s", tt.kind, got)
		}
		var ids []string
		h.must(json.Unmarshal(do("enumerate", "", ""), &ids))
		if ids[len(ids)-1] != id {
			t.Errorf("enumerate %s: %v", tt.kind, ids)
		}
		do("delete", id, "")
		if _, _, err := h.Do(tt.kind, "query", id, "", nil); err == nil {
			t.Errorf("%s outlives its deletion", tt.kind)
		}
		checkInvariants(t, h.State())
	}
	for _, bad := range []struct{ kind, verb string }{{"network", "paint"}, {"planet", "create"}, {"planet", "query"}, {"planet", "modify"}, {"planet", "delete"}, {"planet", "enumerate"}} {
		_, _, err := h.Do(Kind(bad.kind), bad.verb, unknownID, "", nil)
		wantCode(t, err, hcn.ErrInvalidParameter)
	}
	_, err := h.Enumerate(NetworkKind, []byte(`{"Filter":"x"}`))
	wantCode(t, err, hcn.ErrInvalidJSON)
}

func TestABadModifyOfARouteNamesThePlaceInTheRequest(t *testing.T) {
	h := mkHost(t, hcn.WS2025)
	ep := h.endpoint(h.network(overlayDoc), plainEndpoint)
	id := h.create(RouteKind, "", `{"HostComputeEndpoints":["`+ep+`"],"Routes":[{"DestinationPrefix":"10.96.0.0/12"}]}`)
	err := h.ModifyRoute(id, []byte(`{"RequestType":"Update","Settings":{"HostComputeEndpoints":["`+ep+`"],"Routes":[{"DestinationPrefix":"x"}]}}`))
	if e := hcn.AsError(err); e == nil || e.Path != "Settings.Routes[0].DestinationPrefix" {
		t.Errorf("%v", err)
	}
}

func TestNetworksNameTheirAdapterInEveryWay(t *testing.T) {
	h := mkHost(t, hcn.WS2022)
	first := h.net(h.network(bridgeDoc))
	guid := h.Service.cfg.Uplinks[0].GUID
	for i, policy := range []string{
		`{"Type":"NetAdapterName","Settings":{"NetworkAdapterName":"Ethernet"}}`,
		`{"Type":"NetAdapterName","Settings":{"NetworkAdapterName":"vEthernet (Ethernet)"}}`,
		`{"Type":"INTERFACECONSTRAINT","Settings":{"InterfaceGuid":"{` + strings.ToUpper(guid) + `}"}}`,
		`{"Type":"InterfaceConstraint","Settings":{"InterfaceAlias":"Ethernet"}}`,
		`{"Type":"LayerConstraint","Settings":{"LayerId":"` + first.LayerGUID + `"}}`,
	} {
		n := h.net(h.network(fmt.Sprintf(`{"Name":"n%d","Type":"L2Bridge","Policies":[%s]}`, i, policy)))
		if n.Uplink != "Ethernet" || n.Layer != first.Layer {
			t.Errorf("%s: %s, layer %d", policy, n.Uplink, n.Layer)
		}
	}
}

func TestAddressesAndStatisticsAreAskedForByV1Paths(t *testing.T) {
	h := mkHost(t, hcn.WS2022)
	h.Service.cfg.Stats = func(id string) EndpointStats { return EndpointStats{BytesSent: 7, PacketsSent: 1} }
	ep := h.endpoint(h.network(bridgeDoc), withAddress("10.244.1.7"))
	if got := fmt.Sprint(h.call("GET", "/endpointaddresses/"+ep, "")); got != "[map[IPAddress:10.244.1.7 PrefixLength:24]]" {
		t.Error(got)
	}
	if got := object1(h.call("GET", "/endpointstats/"+ep, "")); got["BytesSent"] != 7.0 || got["PacketsSent"] != 1.0 {
		t.Errorf("%v", got)
	}
	_, err := h.HNSRequest("GET", "/endpointaddresses/"+unknownID, nil)
	wantCode(t, err, hcn.ErrEndpointNotFound)
}

func TestAdaptersMustHaveDistinctNames(t *testing.T) {
	for _, bad := range [][]Uplink{{{Name: ""}}, {{Name: "a"}, {Name: "a"}}} {
		if _, err := New(Config{Uplinks: bad}); err == nil {
			t.Errorf("%v is accepted", bad)
		}
	}
	s, err := New(Config{})
	if err != nil || s.Profile().Name != hcn.DefaultProfile {
		t.Errorf("the zero configuration: %v", err)
	}
}
