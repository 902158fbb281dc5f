package hns

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/sim/hcn"
)

// family is what the exported functions of one kind of object (section A.2)
// differ in. The functions that open and close handles are in sim/standin.
type family struct {
	kind         Kind
	name, plural string
	// make prepares a host and returns the network that create needs.
	make    func(h *host) (parent string)
	doc     string // ENDPOINT stands for the id of an endpoint
	change  string // a modify request that works
	missing hcn.Code
}

var families = []family{
	{NetworkKind, "Network", "Networks", func(h *host) string { h.withEndpoint(); return "" }, natDoc,
		`{"ResourceType":"DNS","RequestType":"Update","Settings":{"Domain":"d"}}`, hcn.ErrNetworkNotFound},
	{EndpointKind, "Endpoint", "Endpoints", func(h *host) string { h.withEndpoint(); return h.ids(NetworkKind, "")[0] }, withAddress("10.244.1.77"),
		`{"ResourceType":"Policy","RequestType":"Add","Settings":{"Policies":[` + qos + `]}}`, hcn.ErrEndpointNotFound},
	{NamespaceKind, "Namespace", "Namespaces", func(h *host) string { h.withEndpoint(); return "" }, `{"Type":"Host","SchemaVersion":{"Major":2}}`,
		`{"ResourceType":"Endpoint","RequestType":"Add","Settings":{"EndpointId":"ENDPOINT"}}`, hcn.ErrElementNotFound},
	{LoadBalancerKind, "LoadBalancer", "LoadBalancers", func(h *host) string { h.withEndpoint(); return "" }, balancerDoc("10.96.0.1", "ENDPOINT"),
		balancerDoc("10.96.0.2", "ENDPOINT"), hcn.ErrElementNotFound},
	{RouteKind, "SdnRoute", "SdnRoutes", func(h *host) string { h.withEndpoint(); return "" }, `{"HostComputeEndpoints":["ENDPOINT"],"Routes":[{"DestinationPrefix":"10.96.0.0/12","NeedEncap":true}]}`,
		`{"HostComputeEndpoints":["ENDPOINT"],"Routes":[{"DestinationPrefix":"10.97.0.0/16"}]}`, hcn.ErrElementNotFound},
}

// withEndpoint makes an overlay network with an endpoint.
func (h *host) withEndpoint() {
	h.t.Helper()
	h.endpoint(h.network(overlayDoc), plainEndpoint)
}

// fill puts the id of the host's first endpoint where a document wants one.
func (h *host) fill(doc string) []byte {
	return []byte(strings.ReplaceAll(doc, "ENDPOINT", h.State().Endpoints[0].Doc.ID))
}

// calls are the functions of a family on a prepared host; id is an object that
// exists unless it is to be created.
func (f family) calls(h *host, parent string) map[string]func(id, text string) error {
	return map[string]func(id, text string) error{
		"HcnEnumerate" + f.plural: func(_, text string) error { _, err := h.Enumerate(f.kind, []byte(text)); return err },
		"HcnCreate" + f.name:      func(id, text string) error { _, err := h.Create(f.kind, id, parent, h.fill(text)); return err },
		"HcnOpen" + f.name:        func(id, _ string) error { return h.Open(f.kind, id) },
		"HcnModify" + f.name:      func(id, text string) error { return h.Modify(f.kind, id, h.fill(text)) },
		"HcnQuery" + f.name + "Properties": func(id, text string) error {
			_, err := h.Query(f.kind, id, []byte(text))
			return err
		},
		"HcnDelete" + f.name: func(id, _ string) error { return h.Delete(f.kind, id) },
	}
}

// functionCase is a call of a function that ends with a code; verb chooses the
// function of the family.
type functionCase struct {
	name, verb string
	knobs      []string
	// before happens after the object was made.
	before func(h *host)
	id     func(own string) string
	text   func(f family) string
	want   func(f family) hcn.Code
}

func itself(own string) string          { return own }
func other(string) string               { return unknownID }
func none(string) string                { return "" }
func text(s string) func(family) string { return func(family) string { return s } }
func code(c hcn.Code) func(family) hcn.Code {
	return func(family) hcn.Code { return c }
}

var missing = func(f family) hcn.Code { return f.missing }

var functionCases = []functionCase{
	{"A.2 of everything", "Enumerate", nil, nil, none, text(`{"SchemaVersion":{"Major":2,"Minor":0}}`), code(0)},
	{"A2 empty text", "Enumerate", nil, nil, none, text(""), code(0)},
	{"A5 that matches nothing", "Enumerate", nil, nil, none, text(`{"Filter":"{\"ID\":\"` + unknownID + `\"}"}`), code(0)},
	{"D.3-42 no JSON", "Enumerate", nil, nil, none, text(`{"Flags":`), code(hcn.ErrInvalidJSON)},
	{"B.7 a filter that is no object", "Enumerate", nil, nil, none, text(`{"Filter":"[]"}`), code(hcn.ErrInvalidJSON)},
	{"D.3-47 stopped", "Enumerate", nil, func(h *host) { h.Stop() }, none, text(""), code(hcn.ErrUnknownInterface)},
	{"D.3-47 stopping", "Enumerate", nil, func(h *host) { h.BeginStop() }, none, text(""), code(hcn.ErrManagerStopped)},

	{"A7 with the id of the argument", "Create", nil, (*host).clear, other, func(f family) string { return f.doc }, code(0)},
	{"A7 without an id", "Create", nil, (*host).clear, none, func(f family) string { return f.doc }, code(0)},
	{"D.3-10 an id in use", "Create", nil, nil, itself, func(f family) string { return f.doc }, code(hcn.ErrAlreadyExists)},
	{"D.3-42 no JSON", "Create", nil, nil, none, text(`{"ID"`), code(hcn.ErrInvalidJSON)},
	{"D.3-42 no object", "Create", nil, nil, none, text(`[1]`), code(hcn.ErrInvalidJSON)},
	{"D.3-42 nothing", "Create", nil, nil, none, text(``), code(hcn.ErrInvalidJSON)},
	{"D.3-43 an id that is no GUID", "Create", nil, nil, none, text(`{"ID":"x","HostComputeEndpoints":["ENDPOINT"]}`), code(hcn.ErrGUIDConversionFailure)},
	{"D.3-47 stopped", "Create", nil, func(h *host) { h.Stop() }, none, func(f family) string { return f.doc }, code(hcn.ErrUnknownInterface)},
	{"D.3 refused by the data plane", "Create", nil, func(h *host) { h.clear(); h.refuse = hcn.Errorf(hcn.ErrPortAlreadyExists, "no port") }, none, func(f family) string { return f.doc }, code(hcn.ErrPortAlreadyExists)},

	{"A.2 of an object", "Open", nil, nil, itself, text(""), code(0)},
	{"B6 by its id in capitals", "Open", nil, nil, strings.ToUpper, text(""), code(0)},
	{"D.3-1 to D.3-4 of nothing", "Open", nil, nil, other, text(""), missing},
	{"D.3-47 stopped", "Open", nil, func(h *host) { h.Stop() }, itself, text(""), code(hcn.ErrUnknownInterface)},

	{"A.2 of an object", "Modify", nil, nil, itself, func(f family) string { return f.change }, code(0)},
	{"D.3-1 to D.3-4 of nothing", "Modify", nil, nil, other, func(f family) string { return f.change }, missing},
	{"D.3-42 no JSON", "Modify", nil, nil, itself, text(`{"RequestType":`), code(hcn.ErrInvalidJSON)},
	{"D.3-44 an unknown request type", "Modify", nil, nil, itself, text(`{"RequestType":"Sing","ResourceType":"Policy","Settings":{}}`), code(hcn.ErrRequestUnsupported)},
	{"D.3-47 stopped", "Modify", nil, func(h *host) { h.Stop() }, itself, func(f family) string { return f.change }, code(hcn.ErrUnknownInterface)},
	{"D.3 refused by the data plane", "Modify", nil, func(h *host) { h.refuse = hcn.Errorf(hcn.ErrPortAlreadyExists, "no port") }, itself, func(f family) string { return f.change }, code(hcn.ErrPortAlreadyExists)},

	{"A.2 of an object", "Query", nil, nil, itself, text(`{"SchemaVersion":{"Major":2,"Minor":0}}`), code(0)},
	{"A.2 with a filter that does not match", "Query", nil, nil, itself, text(`{"Filter":"{\"ID\":\"` + unknownID + `\"}"}`), code(0)},
	{"A2 empty text", "Query", nil, nil, itself, text(""), code(0)},
	{"B.7 detailed", "Query", nil, nil, itself, text(`{"Flags":1}`), code(0)},
	{"B.7 in the v1 shape", "Query", nil, nil, itself, text(`{"SchemaVersion":{"Major":1,"Minor":0}}`), code(0)},
	{"D.3-1 to D.3-4 of nothing", "Query", nil, nil, other, text(""), missing},
	{"D.3-42 no JSON", "Query", nil, nil, itself, text(`{`), code(hcn.ErrInvalidJSON)},
	{"D.3-47 stopped", "Query", nil, func(h *host) { h.Stop() }, itself, text(""), code(hcn.ErrUnknownInterface)},

	{"A.2 of an object", "Delete", nil, nil, itself, text(""), code(0)},
	{"D.3-5 of nothing", "Delete", nil, nil, other, text(""), missing},
	{"G.6 of nothing, by knob", "Delete", []string{"deleteUnknown=success"}, nil, other, text(""), code(0)},
	{"D.3-47 stopped", "Delete", nil, func(h *host) { h.Stop() }, itself, text(""), code(hcn.ErrUnknownInterface)},
	{"D.3 refused by the data plane", "Delete", nil, func(h *host) { h.refuse = hcn.Errorf(hcn.ErrPortAlreadyExists, "no port") }, itself, text(""), code(hcn.ErrPortAlreadyExists)},
}

// clear removes what the case made beside the endpoint that documents name.
func (h *host) clear() {
	h.t.Helper()
	for _, k := range []Kind{LoadBalancerKind, RouteKind} {
		for _, id := range h.ids(k, "") {
			h.must(h.Delete(k, id))
		}
	}
	for _, id := range h.ids(NetworkKind, `{"Filter":"{\"Name\":\"nat\"}"}`) {
		h.must(h.DeleteNetwork(id))
	}
	for _, id := range h.ids(EndpointKind, "")[1:] {
		h.must(h.DeleteEndpoint(id))
	}
}

func TestEveryFunctionSucceedsAndFailsAsTheContractSays(t *testing.T) {
	called := map[string]bool{}
	for _, f := range families {
		for _, c := range functionCases {
			var name string
			h := mkHost(t, hcn.WS2025, c.knobs...)
			parent := f.make(h)
			calls := f.calls(h, parent)
			for n := range calls {
				if strings.HasPrefix(n, "Hcn"+c.verb) {
					name = n
				}
			}
			called[name] = true
			t.Run(name+"/"+c.name, func(t *testing.T) {
				own, err := h.Create(f.kind, "", parent, h.fill(f.doc))
				h.must(err)
				if c.before != nil {
					c.before(h)
				}
				before := h.State()
				err = calls[name](c.id(own), c.text(f))
				wantCode(t, err, c.want(f))
				if err != nil && h.State() != before {
					t.Error("the state changed all the same")
				}
				checkInvariants(t, h.State())
			})
		}
	}
	if len(called) != 5*6 {
		t.Errorf("%d functions were called: %v", len(called), called)
	}
}

// TestTheArgumentsIdentityWins covers A7: two different ids.
func TestTheArgumentsIdentityWins(t *testing.T) {
	h := mkHost(t, hcn.WS2025)
	const second = "22222222-2222-4333-8444-555555555555"
	id, err := h.CreateNetwork(second, []byte(`{"ID":"`+unknownID+`","Type":"Private"}`))
	if err != nil || id != second {
		t.Errorf("A7: %s, %v", id, err)
	}
	for _, zero := range []string{"", hcn.ZeroGUID} {
		id, err = h.CreateNetwork(zero, []byte(`{"ID":"{`+strings.ToUpper(unknownID)+`}","Name":"`+zero+`n","Type":"Private"}`))
		if err != nil || id != unknownID {
			t.Errorf("A7, A10: %s, %v", id, err)
		}
		h.must(h.DeleteNetwork(id))
	}
}

// TestTwoCreationsOfOneNameAtOnce covers G.4: exactly one wins.
func TestTwoCreationsOfOneNameAtOnce(t *testing.T) {
	h := mkHost(t, hcn.WS2025)
	errs := make(chan error)
	for range 8 {
		go func() { _, err := h.CreateNetwork("", []byte(natDoc)); errs <- err }()
	}
	won := 0
	for range 8 {
		switch err := <-errs; {
		case err == nil:
			won++
		default:
			wantCode(t, err, hcn.ErrNetworkAlreadyExists)
		}
	}
	if won != 1 || len(h.ids(NetworkKind, "")) != 1 {
		t.Errorf("G.4: %d of 8 won", won)
	}
}

// TestIDsAreLowerCaseAndEqualEverywhere covers A10, B6 and B6a.
func TestIDsAreLowerCaseAndEqualEverywhere(t *testing.T) {
	h := mkHost(t, hcn.WS2025)
	net := h.network(`{"ID":"` + strings.ToUpper("aaaaaaaa-0001-4000-8000-00000000000a") + `","Type":"Private","Name":"p"}`)
	ep := h.endpoint(strings.ToUpper(net), `{"ID":"{AAAAAAAA-0002-4000-8000-00000000000B}"}`)
	ns := h.namespace(hcn.HostNamespace)
	h.must(h.join(strings.ToUpper(ns), strings.ToUpper(ep)))
	lb := h.create(LoadBalancerKind, "", balancerDoc("10.96.0.1", strings.ToUpper(ep)))
	got := fmt.Sprintln(net, ep, h.doc(EndpointKind, ep)["HostComputeNetwork"], h.doc(LoadBalancerKind, lb)["HostComputeEndpoints"],
		object1(h.doc(NamespaceKind, ns)["Resources"].([]any)[0])["Data"], h.doc(EndpointKind, ep)["HostComputeNamespace"] == ns)
	want := "aaaaaaaa-0001-4000-8000-00000000000a aaaaaaaa-0002-4000-8000-00000000000b aaaaaaaa-0001-4000-8000-00000000000a [aaaaaaaa-0002-4000-8000-00000000000b] map[Id:aaaaaaaa-0002-4000-8000-00000000000b] true\n"
	if got != want {
		t.Errorf("B6, B6a:\n got %s\nwant %s", got, want)
	}
}
