package hns

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/sim/hcn"
)

// driverRequest is a line of testdata/driver-requests.jsonl: what win-bridge
// and win-overlay sent through hcsshim.
type driverRequest struct {
	Fn   string          `json:"fn"`
	Path string          `json:"path"`
	Arg  json.RawMessage `json:"arg"`
}

func driverRequests(t *testing.T) []driverRequest {
	t.Helper()
	raw, err := os.ReadFile("testdata/driver-requests.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	var out []driverRequest
	for _, line := range bytes.Split(bytes.TrimSpace(raw), []byte("\n")) {
		var r driverRequest
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}

// driverHost has the two networks of the recordings; network picks the one
// that an endpoint's name ends in.
func driverHost(t *testing.T) (h *host, network func(doc []byte) string) {
	h = mkHost(t, hcn.WS2025)
	ids := map[string]string{"cbr0": h.network(bridgeDoc)}
	ids["vxlan0"] = h.network(overlayDoc)
	return h, func(doc []byte) string {
		name, _ := hcn.DocumentMember(doc, "Name")
		_, suffix, _ := strings.Cut(name, "_")
		return ids[suffix]
	}
}

func TestTheRequestsOfCNIPluginsAreCarriedOut(t *testing.T) {
	created := 0
	for i, r := range driverRequests(t) {
		h, network := driverHost(t)
		switch {
		case r.Fn == "HcnCreateEndpoint":
			created++
			id, doc, err := h.Do(EndpointKind, "create", "", network(r.Arg), r.Arg)
			if err != nil {
				t.Errorf("request %d: %v", i, err)
				continue
			}
			e, err := hcn.DecodeEndpoint(doc)
			h.must(err)
			// The plugins index these without a check.
			if len(e.IpConfigurations) == 0 || e.IpConfigurations[0].PrefixLength != 24 || len(e.Routes) == 0 || e.Routes[0].NextHop == "" || e.MacAddress == "" {
				t.Errorf("request %d: answer lacks what plugins read: %s", i, doc)
			}
			name, _ := hcn.DocumentMember(r.Arg, "Name")
			if ids := h.ids(EndpointKind, `{"SchemaVersion":{"Major":2,"Minor":0},"Filter":"{\"Name\":\"`+name+`\"}"}`); len(ids) != 1 || ids[0] != id {
				t.Errorf("request %d: found by name: %v", i, ids)
			}
			sent, err := hcn.DecodeEndpoint(r.Arg)
			h.must(err)
			if fmt.Sprint(sent.Policies) != fmt.Sprint(e.Policies) {
				t.Errorf("request %d: policies changed: %s", i, doc)
			}
		case r.Fn == "HNSCall" && r.Path == "/endpoints/":
			created++
			body := bytes.Replace(r.Arg, []byte(`"VirtualNetwork": "`), []byte(`"VirtualNetwork": "`+network(r.Arg)+`","Was": "`), 1)
			out, err := h.HNSRequest("POST", r.Path, body)
			if err != nil {
				t.Errorf("request %d: %v", i, err)
				continue
			}
			var e struct{ ID, GatewayAddress, MacAddress, VirtualNetworkName string }
			h.must(json.Unmarshal(out, &e))
			if e.ID == "" || e.GatewayAddress == "" || e.MacAddress == "" || e.VirtualNetworkName == "" {
				t.Errorf("request %d: %s", i, out)
			}
		case strings.HasPrefix(r.Fn, "HcnEnumerate"):
			kind := EndpointKind
			if strings.Contains(r.Fn, "Network") {
				kind = NetworkKind
			}
			if _, err := h.Enumerate(kind, r.Arg); err != nil {
				t.Errorf("request %d: %v", i, err)
			}
		case r.Fn == "HcnModifyNamespace":
			m, err := hcn.ParseModifyRequest(r.Arg)
			h.must(err)
			if resource, err := m.Resource("namespace"); err != nil || resource != "Endpoint" {
				t.Errorf("request %d: %s %v", i, resource, err)
			}
		}
	}
	if created < 4 {
		t.Errorf("only %d endpoints in the recordings", created)
	}
}

// TestTheSequenceOfWinBridgeRunsTwiceAndCleansUp is CNI ADD, ADD again, DEL,
// DEL again, as win-bridge does them.
func TestTheSequenceOfWinBridgeRunsTwiceAndCleansUp(t *testing.T) {
	h := mkHost(t, hcn.WS2025)
	net, ns := h.network(bridgeDoc), h.namespace(hcn.HostNamespace)
	ep := h.endpoint(net, withAddress("10.244.1.4"))
	h.must(h.join(ns, ep))
	wantCode(t, h.join(ns, ep), hcn.ErrEndpointAlreadyAttached)
	h.must(h.modify(NamespaceKind, ns, "Endpoint", "Remove", `{"EndpointId":"`+strings.ToUpper(ep)+`"}`))
	h.must(h.DeleteEndpoint(ep))
	if got := h.ids(NamespaceKind, `{"Filter":"{\"ID\":\"\"}"}`); len(got) != 0 {
		t.Errorf("a namespace with no id: %v", got)
	}
	if got := string(mustEnumerate(h, EndpointKind)); got != "[]" {
		t.Errorf("endpoints left: %s", got)
	}
}

func mustEnumerate(h *host, kind Kind) []byte {
	h.t.Helper()
	out, err := h.Enumerate(kind, nil)
	h.must(err)
	return out
}
