package rest

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hnsim/hnsim/sim/hcn"
)

func TestObjectsAreMadeReadChangedAndDeleted(t *testing.T) {
	l := newLab(t, hcn.WS2025)
	status, answer, header := l.send("POST", "/v1/networks", natDoc)
	id := idOf(t, answer)
	if status != http.StatusCreated || header.Get("Location") != "/v1/networks/"+id || header.Get("Content-Type") != "application/json" {
		t.Errorf("%d %v", status, header)
	}
	ep := l.create("/v1/endpoints?network="+id, `{"Name":"a"}`)
	l.create("/v1/endpoints", `{"Name":"b","HostComputeNetwork":"`+id+`"}`)
	lb := l.create("/v1/loadbalancers", `{"HostComputeEndpoints":["`+ep+`"],"FrontendVIPs":["10.96.0.1"],"PortMappings":[{"Protocol":6,"InternalPort":80,"ExternalPort":80}]}`)
	ns := l.create("/v1/namespaces", `{"Type":"Host"}`)
	for _, tt := range []struct{ path, want string }{
		{"/v1/networks/" + id, `"Ipams"`},
		{"/v1/networks/" + strings.ToUpper(id) + "?shape=v1", `"Subnets"`},
		{"/v1/networks/" + id + "?detailed=true", `"Resources"`},
		{"/v1/networks", `[{"ID":"` + id},
		{"/v1/endpoints?Name=a", `[{"ID":"` + ep},
		{"/v1/endpoints?Name=nobody", "[]\n"},
		{`/v1/endpoints?filter={"Name":"a"}&shape=v1`, `"IPAddress"`},
		{"/v1/endpoints?VirtualNetwork=" + id, `"Name":"b"`},
		{"/v1/loadbalancers/" + lb, `"FrontendVIPs":["10.96.0.1"]`},
		{"/v1/routes", "[]\n"},
		{"/v1/networks?host=h2", "[]\n"},
	} {
		if got := l.must(http.StatusOK, "GET", tt.path, ""); !strings.Contains(got, tt.want) {
			t.Errorf("%s: %s, want %s", tt.path, got, tt.want)
		}
	}
	got := l.must(http.StatusOK, "PATCH", "/v1/namespaces/"+ns, `{"ResourceType":"Endpoint","RequestType":"Add","Settings":{"EndpointId":"`+ep+`"}}`)
	if !strings.Contains(got, ep) {
		t.Errorf("after joining: %s", got)
	}
	for _, path := range []string{"/v1/loadbalancers/" + lb, "/v1/namespaces/" + ns, "/v1/endpoints/" + ep, "/v1/networks/" + id} {
		if got := l.must(http.StatusNoContent, "DELETE", path, ""); got != "" {
			t.Errorf("%s: %q", path, got)
		}
		l.must(http.StatusNotFound, "GET", path, "")
	}
}

func TestTheHostIsChosenByParameterOrHeader(t *testing.T) {
	l := newLab(t, hcn.WS2025)
	id := l.create("/v1/networks?host=h2", natDoc)
	req, err := http.NewRequest("GET", l.url+"/v1/networks/"+id, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "bearer "+l.st.Token())
	req.Header.Set("Hnsim-Host", "h2")
	resp, err := http.DefaultClient.Do(req)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(err, resp.Status)
	}
	resp.Body.Close()
	l.must(http.StatusNotFound, "GET", "/v1/networks/"+id, "")
	l.must(http.StatusNotFound, "GET", "/v1/networks?host=h9", "")
}

// TestRefusalsCarryTheirCode: every answer that is no success is JSON with the
// members that clients of HNS read.
func TestRefusalsCarryTheirCode(t *testing.T) {
	l := newLab(t, hcn.WS2025)
	l.create("/v1/networks", natDoc)
	deep := strings.Repeat(`{"a":`, 100_000) + "1" + strings.Repeat("}", 100_000)
	for _, tt := range []struct {
		method, path, body string
		status             int
		name, want         string
	}{
		{"GET", "/v1/networks/" + unknownID, "", 404, "HCN_E_NETWORK_NOT_FOUND", unknownID},
		{"GET", "/v1/endpoints/x", "", 404, "HCN_E_ENDPOINT_NOT_FOUND", ""},
		{"DELETE", "/v1/routes/" + unknownID, "", 404, "ERROR_NOT_FOUND", ""},
		{"POST", "/v1/networks", natDoc, 409, "HCN_E_NETWORK_ALREADY_EXISTS", ""},
		{"POST", "/v1/networks", "{", 400, "HCN_E_INVALID_JSON", "line 1"},
		{"POST", "/v1/networks", "", 400, "HCN_E_INVALID_JSON", ""},
		{"POST", "/v1/networks", "[]", 400, "HCN_E_INVALID_JSON", "an object"},
		{"POST", "/v1/networks", deep, 400, "HCN_E_INVALID_JSON", "nested"},
		{"POST", "/v1/networks", "{\"Name\":\"\xff\"}", 400, "HCN_E_INVALID_JSON", "UTF-8"},
		{"POST", "/v1/networks", `{"Flags":1e400}`, 400, "HCN_E_INVALID_JSON", "Flags"},
		{"POST", "/v1/networks", `{"Flags":99999999999999999999}`, 400, "HCN_E_INVALID_JSON", "Flags"},
		{"POST", "/v1/endpoints?network=" + unknownID, "{}", 404, "HCN_E_NETWORK_NOT_FOUND", ""},
		{"PATCH", "/v1/networks/" + unknownID, `{}`, 404, "HCN_E_NETWORK_NOT_FOUND", ""},
		{"POST", "/hns/networks/", `{"Name":"x","Type":"nothing"}`, 400, "", ""},
		{"DELETE", "/hns/endpoints/" + unknownID, "", 404, "HCN_E_ENDPOINT_NOT_FOUND", ""},
		{"GET", "/hns/nothing", "", 404, "ERROR_NOT_FOUND", ""},
		{"POST", "/v1/hnscall", deep, 400, "", "depth"},
		{"POST", "/v1/hnscall", `{"Verb":"GET"}`, 400, "", `"Verb"`},
		{"POST", "/v1/hnscall", `{"Method":"GET","Path":"/networks/"} {}`, 400, "", "follows"},
		{"POST", "/v1/things", "{}", 404, "", "networks, endpoints"},
		{"GET", "/v1/things", "", 404, "", "networks, endpoints"},
		{"GET", "/v1/networks?shape=v3", "", 400, "", "v1 or v2"},
		{"GET", "/v1/networks?shap=v1", "", 400, "", "host, network, shape"},
		{"GET", "/v1/networks?detailed=1", "", 400, "", "true or false"},
		{"GET", "/v1/networks?filter={}&Name=x", "", 400, "", "exclude"},
		{"GET", "/v1/networks?filter={", "", 400, "HCN_E_INVALID_JSON", ""},
		{"PUT", "/v1/networks", "", 405, "", "GET, HEAD, POST"},
		{"GET", "/v2/networks", "", 404, "", "GET / lists"},
		{"GET", "/v1/networks/a/b/c", "", 404, "", "GET / lists"},
		{"POST", "/v1/hosts/h9/reboot", "", 404, "", "h9"},
		{"POST", "/v1/clock/advance", `{"duration":"2"}`, 400, "", "241s"},
		{"POST", "/v1/clock/advance", `{"duration":"-2s"}`, 400, "", "from 0s"},
		{"POST", "/v1/clock/advance", `{"duration":"9000h"}`, 400, "", "from 0s"},
		{"POST", "/v1/clock/advance", `{}`, 400, "", "241s"},
		{"POST", "/v1/trace", `{"packet":"udp"}`, 400, "", "expected udp|tcp"},
		{"POST", "/v1/trace", `{"from":"nobody","packet":"icmp > 10.0.0.1"}`, 404, "HCN_E_ENDPOINT_NOT_FOUND", "nobody"},
		{"POST", "/v1/trace?format=xml", `{}`, 400, "", "json or text"},
	} {
		status, answer, _ := l.send(tt.method, tt.path, tt.body)
		var r refusal
		err := json.Unmarshal([]byte(answer), &r)
		if status != tt.status || err != nil || r.Success || r.Error == "" || !strings.Contains(r.Error, tt.want) || tt.name != "" && r.Name != tt.name {
			t.Errorf("%s %s %.60s: %d %s (%v), want %d %s %s", tt.method, tt.path, tt.body, status, answer, err, tt.status, tt.name, tt.want)
		}
		if (r.Name == "") != (r.ErrorCode == 0) || (r.Name == "") != (r.HResult == "") {
			t.Errorf("%s %s: the code is there in part: %s", tt.method, tt.path, answer)
		}
	}
}

func TestWithoutTheTokenNothingIsAnswered(t *testing.T) {
	l := newLab(t, hcn.WS2025)
	for _, rt := range routes() {
		method, path, ok := strings.Cut(rt.pattern, " ")
		if !ok {
			method, path = "GET", rt.pattern
		}
		path = strings.NewReplacer("{$}", "", "{kind}", "networks", "{id}", unknownID, "{name}", "h1", "{path...}", "networks/").Replace(path)
		for _, auth := range []string{"", "Bearer", "Bearer ", "Bearer x", "Basic " + l.st.Token(), l.st.Token(), "Bearer " + l.st.Token() + "x", "Bearer " + l.st.Token()[1:]} {
			req, err := http.NewRequest(method, l.url+path, strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			if auth != "" {
				req.Header.Set("Authorization", auth)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusUnauthorized || resp.Header.Get("WWW-Authenticate") != "Bearer" {
				t.Errorf("%s %s with %q: %s", method, path, auth, resp.Status)
			}
		}
	}
	if len(l.calls) != 0 {
		t.Errorf("%d calls were carried out", len(l.calls))
	}
}

func TestV1PathsAnswerWithTheEnvelope(t *testing.T) {
	l := newLab(t, hcn.WS2025)
	v1 := `{"Name":"v1","Type":"nat","Subnets":[{"AddressPrefix":"172.21.0.0/16","GatewayAddress":"172.21.0.1"}]}`
	var made struct {
		Success bool
		Output  struct{ ID, Type string }
	}
	answer := l.must(http.StatusOK, "POST", "/hns/networks/", v1)
	if err := json.Unmarshal([]byte(answer), &made); err != nil || !made.Success || made.Output.Type != "nat" {
		t.Fatalf("%v %s", err, answer)
	}
	for _, call := range []string{
		`{"Method":"GET","Path":"/networks/` + made.Output.ID + `"}`,
		`{"method":"GET","path":"/networks/` + made.Output.ID + `","request":""}`,
		`{"Method":"POST","Path":"/networks/","Request":` + strings.ReplaceAll(strings.ReplaceAll(v1, "v1", "v2"), "172.21", "172.22") + `}`,
	} {
		if got := l.must(http.StatusOK, "POST", "/v1/hnscall", call); !strings.HasPrefix(got, `{"Success":true,"Output":{"ID":`) {
			t.Errorf("%s: %s", call, got)
		}
	}
	if got := l.must(http.StatusOK, "GET", "/hns/globals/version", ""); got != `{"Success":true,"Output":{"Major":16,"Minor":0}}`+"\n" {
		t.Error(got)
	}
	if got := l.must(http.StatusOK, "DELETE", "/hns/networks/"+made.Output.ID, ""); !strings.HasPrefix(got, `{"Success":true`) {
		t.Error(got)
	}
}

func TestTheStateShowsEveryObjectInBothShapes(t *testing.T) {
	l := newLab(t, hcn.WS2025)
	net := l.create("/v1/networks?host=h2", natDoc)
	l.pod("h2", net, "web", "")
	var out struct {
		Hosts map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal([]byte(l.must(http.StatusOK, "GET", "/v1/state", "")), &out); err != nil {
		t.Fatal(err)
	}
	for kind, n := range map[string][2]int{"networks": {0, 1}, "endpoints": {0, 1}, "namespaces": {1, 2}, "loadbalancers": {}, "routes": {}} {
		for i, host := range []string{"h1", "h2"} {
			var s struct{ V1, V2 []map[string]any }
			if err := json.Unmarshal(out.Hosts[host][kind], &s); err != nil || len(s.V1) != n[i] || len(s.V2) != n[i] {
				t.Errorf("%s %s: %v %s", host, kind, err, out.Hosts[host][kind])
			}
		}
	}
	if !strings.Contains(string(out.Hosts["h2"]["endpoints"]), `"IPAddress":`) || !strings.Contains(string(out.Hosts["h2"]["endpoints"]), `"IpConfigurations":`) {
		t.Error("a shape is missing")
	}
}

func TestTheClockMovesWhenItIsTold(t *testing.T) {
	l := newLab(t, hcn.WS2025)
	var c clockDoc
	for _, step := range []struct {
		body string
		want int64
	}{{`{"duration":"241s"}`, 241e9}, {`{"duration":"1ms"}`, 241001e6}, {`{"duration":"0s"}`, 241001e6}} {
		if err := json.Unmarshal([]byte(l.must(http.StatusOK, "POST", "/v1/clock/advance", step.body)), &c); err != nil || c.Nanoseconds != step.want {
			t.Errorf("%s: %v %+v", step.body, err, c)
		}
	}
	if got := l.must(http.StatusOK, "GET", "/v1/clock", ""); got != `{"now":"4m1.001s","nanoseconds":241001000000}`+"\n" {
		t.Error(got)
	}
}

func TestHostsRestartAndReboot(t *testing.T) {
	l := newLab(t, hcn.WS2025)
	net := l.create("/v1/networks", natDoc)
	l.pod("h1", net, "web", "")
	if got := l.must(http.StatusOK, "GET", "/v1/hosts", ""); !strings.Contains(got, `"name":"h2"`) || !strings.Contains(got, `"172.20.0.1/16"`) {
		t.Error(got)
	}
	l.must(http.StatusNoContent, "POST", "/v1/hosts/h1/restart", "")
	if got := l.must(http.StatusOK, "GET", "/v1/endpoints", ""); !strings.Contains(got, `"web"`) {
		t.Errorf("after a restart: %s", got)
	}
	l.must(http.StatusNoContent, "POST", "/v1/hosts/h1/reboot", "")
	for _, kind := range []string{"networks", "endpoints"} { // NAT networks go since RS5
		if got := l.must(http.StatusOK, "GET", "/v1/"+kind, ""); got != "[]\n" {
			t.Errorf("%s after a reboot: %s", kind, got)
		}
	}
	l.must(http.StatusConflict, "POST", "/v1/hosts/h2/start", "")
	l.must(http.StatusNoContent, "POST", "/v1/hosts/h2/stop", "")
	if status, answer, header := l.send("GET", "/v1/networks?host=h2", ""); status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" {
		t.Errorf("a stopped service: %d %s", status, answer)
	}
	l.must(http.StatusNoContent, "POST", "/v1/hosts/h2/start", "")
	l.must(http.StatusOK, "GET", "/v1/networks?host=h2", "")
}

func TestEventsComeAsTheyHappen(t *testing.T) {
	l := newLab(t, hcn.WS2025)
	req, err := http.NewRequest("GET", l.url+"/v1/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+l.st.Token())
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	next := func() string {
		for lines.Scan() {
			if s := lines.Text(); s != "" {
				return s
			}
		}
		t.Fatal(lines.Err())
		return ""
	}
	if got := next(); got != ": listening" {
		t.Fatal(got)
	}
	l.create("/v1/networks?host=h2", natDoc) // of another host
	id := l.create("/v1/networks", natDoc)
	for _, want := range []string{"event: NetworkPreCreate", `data: {"type":1,"data":{"ID":"` + id + `","Flags":0}}`, "event: NetworkCreate"} {
		if got := next(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestHealthSaysWhyTheServiceCannotGoOn(t *testing.T) {
	var why error
	l := newLab(t, hcn.WS2025, func(s *Server) { s.cfg.Healthy = func() error { return why } })
	l.must(http.StatusOK, "GET", "/healthz", "")
	why = hcn.ErrFail
	if got := l.must(http.StatusServiceUnavailable, "GET", "/healthz", ""); !strings.Contains(got, "E_FAIL") {
		t.Error(got)
	}
}

// TestShutdownEndsStreams: a client that listens to events and one that keeps
// its connection do not hold the server up.
func TestShutdownEndsStreams(t *testing.T) {
	l := mkLab(t, hcn.WS2025)
	stop := l.serve()
	l.must(http.StatusOK, "GET", "/v1/networks", "")
	req, err := http.NewRequest("GET", l.url+"/v1/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+l.st.Token())
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	start := time.Now()
	stop()
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("the end took %v", took)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Errorf("the stream is torn off: %v", err)
	}
}
