package hns

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	hcsshim "github.com/Microsoft/hcsshim/hcn"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/hcn"
)

// mkWorld makes a world with a host h1 on the stand-in. The tests of this file
// change what they find: they do not run on a real HNS.
func mkWorld(t *testing.T) backends.World {
	t.Helper()
	m, err := thisMachine()
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := m.(*standIn); !ok {
		t.Skip("this is a real HNS")
	}
	w, err := m.open(t.Context(), backends.WorldConfig{Seed: 1}, Options{})
	if err == nil {
		err = w.AddNode(t.Context(), backends.Node{Kind: backends.HostNode, Name: "h1", Ifaces: []backends.Iface{{Addrs: asked}}})
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = w.Close(t.Context()) })
	return w
}

func TestRealCallLayer(t *testing.T) {
	w := mkWorld(t)
	do := func(op backends.HCNOp) (backends.HCNResult, error) { op.Host = "h1"; return w.HCN(t.Context(), op) }
	must := func(op backends.HCNOp) backends.HCNResult {
		t.Helper()
		res, err := do(op)
		if err != nil {
			t.Fatalf("%s %s: %v", op.Verb, op.Kind, err)
		}
		return res
	}
	network := `{"Name":"n","Type":"NAT","SchemaVersion":{"Major":2,"Minor":0},"Unheard":{"Of":[1]},
	  "Ipams":[{"Type":"Static","Subnets":[{"IpAddressPrefix":"172.20.0.0/24","Strange":"too","Routes":[{"NextHop":"172.20.0.1","DestinationPrefix":"0.0.0.0/0"}]}]}]}`
	n := must(backends.HCNOp{Kind: "network", Verb: "create", Body: json.RawMessage(network)})
	for _, kept := range []string{`"Unheard":{"Of":[1]}`, `"Strange":"too"`} {
		if !strings.Contains(string(n.Document), kept) {
			t.Errorf("%s did not reach HNS: %s", kept, n.Document)
		}
	}
	const chosen = "11111111-2222-3333-4444-555555555555"
	ep := `{"Name":"e","SchemaVersion":{"Major":2,"Minor":0},"IpConfigurations":[{"IpAddress":"172.20.0.10"}]}`
	e := must(backends.HCNOp{Kind: "endpoint", Verb: "create", ID: chosen, Parent: n.ID, Body: json.RawMessage(ep)})
	if !strings.EqualFold(e.ID, chosen) || !strings.Contains(strings.ToLower(string(e.Document)), chosen) {
		t.Errorf("endpoint %s: %s", e.ID, e.Document)
	}
	ns := must(backends.HCNOp{Kind: "namespace", Verb: "create", Body: json.RawMessage(hostNamespace)})
	if at, err := join(do, ns.ID, []string{e.ID}); err != nil || at != ns.ID {
		t.Errorf("joined %s, %v", at, err)
	}
	if at, err := join(do, "", []string{e.ID}); err != nil || !strings.EqualFold(at, ns.ID) {
		t.Errorf("the endpoint's namespace is %s, %v, want %s", at, err, ns.ID)
	}
	list := must(backends.HCNOp{Kind: "endpoint", Verb: "enumerate"})
	var ids []string
	if err := json.Unmarshal(list.Document, &ids); err != nil || !slices.Contains(ids, e.ID) {
		t.Errorf("%s, %v", list.Document, err)
	}
	must(backends.HCNOp{Kind: "hnscall", Verb: "GET", Path: "/endpoints/" + e.ID})

	for _, tt := range []struct {
		op     backends.HCNOp
		want   hcn.Code
		detail string
	}{
		{backends.HCNOp{Kind: "network", Verb: "create", Body: json.RawMessage(network)}, hcn.ErrNetworkAlreadyExists, ""},
		{backends.HCNOp{Kind: "network", Verb: "create", Body: json.RawMessage(`{"Name":`)}, hcn.ErrInvalidJSON, "line 1"},
		{backends.HCNOp{Kind: "endpoint", Verb: "query", ID: n.ID}, hcn.ErrEndpointNotFound, ""},
		{backends.HCNOp{Kind: "network", Verb: "delete", ID: "no id"}, hcn.ErrInvalidParameter, "GUID"},
		{backends.HCNOp{Kind: "route", Verb: "modify", ID: "no id"}, hcn.ErrInvalidParameter, "GUID"},
		{backends.HCNOp{Kind: "network", Verb: "praise", ID: n.ID}, hcn.ErrInvalidParameter, "praise"},
		{backends.HCNOp{Kind: "feeling", Verb: "create"}, hcn.ErrInvalidParameter, "feeling"},
		{backends.HCNOp{Kind: "hnscall", Verb: "GET", Path: "/networks/" + chosen}, hcn.ErrNetworkNotFound, chosen},
	} {
		_, err := do(tt.op)
		var refused *hcn.Error
		if !errors.As(err, &refused) || refused.Code != tt.want || !strings.Contains(strings.ToLower(refused.Error()), strings.ToLower(tt.detail)) {
			t.Errorf("%s %s: %v, want %v about %q", tt.op.Verb, tt.op.Kind, err, tt.want, tt.detail)
		}
	}
	must(backends.HCNOp{Kind: "endpoint", Verb: "delete", ID: e.ID})
	must(backends.HCNOp{Kind: "namespace", Verb: "delete", ID: ns.ID})
	must(backends.HCNOp{Kind: "network", Verb: "delete", ID: n.ID})
}

// TestOurDocumentsAreHcsshims holds the documents that this package writes
// against hcsshim's types: nothing in them is unknown there, and nothing is
// lost on the way through.
func TestOurDocumentsAreHcsshims(t *testing.T) {
	for name, d := range map[string]struct {
		text string
		as   any
	}{
		"query":     {defaultQuery, &hcsshim.HostComputeQuery{}},
		"namespace": {hostNamespace, &hcsshim.HostComputeNamespace{}},
		"join":      {string(joinRequest("Add", "e1")), &hcsshim.ModifyNamespaceSettingRequest{}},
		"container": {string(containerRequest("Add", "c1")), &hcsshim.ModifyNamespaceSettingRequest{}},
	} {
		dec := json.NewDecoder(strings.NewReader(d.text))
		dec.DisallowUnknownFields()
		if err := dec.Decode(d.as); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		raw, err := json.Marshal(d.as)
		var was, is map[string]any
		if err == nil {
			err = errors.Join(json.Unmarshal([]byte(d.text), &was), json.Unmarshal(raw, &is))
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for member, v := range was {
			if got := is[member]; !reflect.DeepEqual(got, v) && v != float64(0) {
				t.Errorf("%s: %s is %v, and %v in hcsshim's type", name, member, v, got)
			}
		}
	}
	var settings struct{ EndpointId string }
	var req hcsshim.ModifyNamespaceSettingRequest
	err := json.Unmarshal(joinRequest("Remove", "e1"), &req)
	if err == nil {
		err = json.Unmarshal(req.Settings, &settings)
	}
	if err != nil || req.ResourceType != hcsshim.NamespaceResourceTypeEndpoint || req.RequestType != hcsshim.RequestTypeRemove || settings.EndpointId != "e1" {
		t.Errorf("%+v %+v %v", req, settings, err)
	}
}

// TestFeaturesAreHcsshims compares hcsshim's ranges with the contract's, at
// every version at which one of them changes its mind.
func TestFeaturesAreHcsshims(t *testing.T) {
	for major := range uint32(20) {
		for minor := range uint32(8) {
			v := hcn.HNSVersion{Major: major, Minor: minor}
			got := supported(v)
			for _, f := range hcn.Features() {
				if s, known := got[f.Name]; !known || s != f.Supports(v) {
					t.Errorf("%s at %s: hcsshim says %v (known %v), the contract %v", f.Name, v, s, known, f.Supports(v))
				}
			}
			if len(got) != len(hcn.Features()) {
				t.Fatalf("%d features, the contract has %d", len(got), len(hcn.Features()))
			}
		}
	}
}
