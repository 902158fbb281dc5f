package standin

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/sim/hcn"
)

// tracedCall is a line of testdata/traces: what a CNI plugin sent through
// hcsshim to a stub. The stub's answers say nothing about Windows: only ids and
// handles are kept of them, so that the calls that follow can be told apart.
type tracedCall struct {
	Fn           string
	GUID         string
	Handle       uint64
	NewHandle    uint64
	Method, Path string
	Arg          json.RawMessage
	HR           string // if it is not 0
	ID           string // of the object that was made
}

func readTrace(t *testing.T, name string) []tracedCall {
	t.Helper()
	raw, err := os.ReadFile("testdata/traces/" + name + ".jsonl")
	if err != nil {
		t.Fatal(err)
	}
	var out []tracedCall
	for lines := bufio.NewScanner(bytes.NewReader(raw)); lines.Scan(); {
		var c tracedCall
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		out = append(out, c)
	}
	return out
}

// tracedNetworks were there before the plugins ran; %s is the id.
var tracedNetworks = map[string]string{
	"bridge":  `{"ID":"%s","Name":"cbr0","Type":"L2Bridge","Ipams":[{"Type":"Static","Subnets":[{"IpAddressPrefix":"10.244.1.0/24","Routes":[{"NextHop":"10.244.1.1","DestinationPrefix":"0.0.0.0/0"}]}]}],"SchemaVersion":{"Major":2,"Minor":0}}`,
	"overlay": `{"ID":"%s","Name":"vxlan0","Type":"Overlay","Ipams":[{"Type":"Static","Subnets":[{"IpAddressPrefix":"10.244.1.0/24","Routes":[{"NextHop":"10.244.1.1","DestinationPrefix":"0.0.0.0/0"}],"Policies":[{"Type":"VSID","Settings":{"IsolationId":4096}}]}]}],"Policies":[{"Type":"DrMacAddress","Settings":{"Address":"00-15-5D-AB-CD-45"}}],"SchemaVersion":{"Major":2,"Minor":0}}`,
}

// TestTheRecordedCallsOfCNIPluginsAreCarriedOut sends the calls of five runs of
// win-bridge and win-overlay again, in their order and with their handles.
func TestTheRecordedCallsOfCNIPluginsAreCarriedOut(t *testing.T) {
	for _, test := range []struct {
		trace, kind, network, namespace string
		differs                         map[int]hcn.Code // answers that are not the stub's
		shared                          []string         // containers at the answers to GET /endpoints/{id}
	}{
		{trace: "win-bridge-v1", kind: "bridge", network: "162BD503-486B-4FE8-AF6B-6DB204C55DCB",
			shared: []string{"[]", "[]", "[c2]", "[c2]", "[c2]", "[c2]", "[c2]", "[c2]"}},
		{trace: "win-bridge-v2", kind: "bridge", network: "69DB9AD1-2E58-4D93-B97E-D1FB406A0116", namespace: "9AB19DD1-D484-40D6-9E67-E07972CDAC92",
			differs: map[int]hcn.Code{25: hcn.ErrEndpointAlreadyAttached}}, // ADD again
		{trace: "win-bridge-v2-err", kind: "bridge", network: "69DB9AD1-2E58-4D93-B97E-D1FB406A0116"},
		{trace: "win-overlay-v1", kind: "overlay", network: "FD407A5B-1962-41FF-B109-2E9CA33A44F8", shared: []string{"[]", "[]", "[c1]", "[c1]"}},
		{trace: "win-overlay-v2", kind: "overlay", network: "F2617165-21A7-4A6A-84FC-095185B1B852", namespace: "2805F183-811D-49F4-B560-F568D9CD2B5C"},
	} {
		t.Run(test.trace, func(t *testing.T) {
			l := newLab(t, hcn.WS2025)
			for _, id := range []string{"c1", "c2", "c3"} {
				l.AddContainer(id)
			}
			before := l.client(1)
			doc := fmt.Sprintf(tracedNetworks[test.kind], test.network)
			before.must(Request{Function: "HcnCloseNetwork", Handle: before.must(Request{Function: "HcnCreateNetwork", Texts: texts(doc)}).Handle})
			if test.namespace != "" {
				doc := `{"ID":"` + test.namespace + `","Type":"Host","SchemaVersion":{"Major":2,"Minor":0}}`
				before.must(Request{Function: "HcnCloseNamespace", Handle: before.must(Request{Function: "HcnCreateNamespace", Texts: texts(doc)}).Handle})
			}
			r := traceRun{client: l.client(2), handles: map[uint64]uint64{}, ids: strings.NewReplacer()}
			for i, c := range readTrace(t, test.trace) {
				r.call(i, c, test.differs[i])
			}
			if !slices.Equal(r.shared, test.shared) {
				t.Errorf("containers of the endpoint: %v, want %v", r.shared, test.shared)
			}
			if n := l.Stats().Handles; n != 0 {
				t.Errorf("%d handles are open", n)
			}
			if got := before.must(Request{Function: "HcnEnumerateEndpoints", Texts: texts(v2Query)}).Texts[0].Value; got != "[]" {
				t.Errorf("endpoints left: %s", got)
			}
		})
	}
}

// traceRun sends recorded calls, with the ids and handles of this server.
type traceRun struct {
	*client
	handles map[uint64]uint64
	ids     *strings.Replacer
	shared  []string
}

func (r *traceRun) call(i int, c tracedCall, differs hcn.Code) {
	if _, known := functions[c.Fn]; !known {
		return // the shim's own: callbacks of compute systems
	}
	req := Request{Function: c.Fn, Handle: r.handles[c.Handle], GUID: guid(r.ids.Replace(c.GUID))}
	arg := string(c.Arg)
	var text string
	if json.Unmarshal(c.Arg, &text) == nil {
		arg = text // the name of a compute system
	}
	switch {
	case c.Fn == "HNSCall":
		req.Texts = texts(c.Method, r.ids.Replace(c.Path), r.ids.Replace(arg))
	case functions[c.Fn].texts == 1:
		req.Texts = texts(r.ids.Replace(arg))
	}
	resp := r.do(req)
	want := "0x00000000"
	if c.HR != "" {
		want = c.HR
	}
	if differs != 0 {
		want = fmt.Sprintf("0x%08x", uint32(differs))
	}
	if got := fmt.Sprintf("0x%08x", resp.HResult); got != want {
		r.t.Fatalf("call %d, %s: %s %s, want %s", i, c.Fn, got, resp.Texts[1].Value, want)
	}
	if c.NewHandle != 0 && resp.HResult == 0 {
		r.handles[c.NewHandle] = resp.Handle
	}
	var envelope struct {
		Success bool
		Output  json.RawMessage
	}
	if c.Fn == "HNSCall" {
		if err := json.Unmarshal([]byte(resp.Texts[0].Value), &envelope); err != nil || !envelope.Success {
			r.t.Fatalf("call %d, %s %s: %s", i, c.Method, c.Path, resp.Texts[0].Value)
		}
	}
	r.learn(c, resp, envelope.Output)
}

// learn keeps the id of what was made, and who shares an endpoint.
func (r *traceRun) learn(c tracedCall, resp Response, output json.RawMessage) {
	doc := output
	if c.Fn == "HcnCreateEndpoint" {
		doc = []byte(r.must(Request{Function: "HcnQueryEndpointProperties", Handle: resp.Handle, Texts: texts(v2Query)}).Texts[0].Value)
	}
	var object struct {
		ID               string
		SharedContainers []string
	}
	if c.ID != "" {
		if err := json.Unmarshal(doc, &object); err != nil || object.ID == "" {
			r.t.Fatalf("%s: no id in %s", c.Fn, doc)
		}
		r.ids = strings.NewReplacer(c.ID, object.ID)
	}
	if c.Method == "GET" && strings.HasPrefix(c.Path, "/endpoints/") && len(c.Path) > len("/endpoints/") {
		if err := json.Unmarshal(doc, &object); err != nil {
			r.t.Fatal(err)
		}
		r.shared = append(r.shared, fmt.Sprint(object.SharedContainers))
	}
}
