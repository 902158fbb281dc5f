package tally

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hnsim/hnsim/sim/standin"
)

const (
	netID = "eedb800e-8eee-4b48-827b-af2ea4ce740b"
	epID  = "ad7d2d17-d461-4d10-8c24-1c8a027cbf98"
)

func mkLog() *Log {
	ok := "0x00000000"
	var l Log
	for _, c := range []standin.Call{
		{Session: 1, Function: "HcnCreateNetwork", HResult: ok, New: 16, NewID: netID},
		{Session: 2, Function: "HcnOpenNetwork", GUID: netID, HResult: ok, New: 16},
		{Session: 1, Function: "HcnOpenNetwork", GUID: epID, HResult: "0x803b0001", Error: `{"Success":false,"Error":"The network was not found. ","ErrorCode":1}`},
		{Session: 1, Function: "HcnOpenNetwork", GUID: epID, HResult: "0x803b0001", Error: `{"Error":"not there"}`},
		{Session: 1, Function: "HcnOpenNetwork", GUID: epID, HResult: "0x8bad0001", Error: `{"Error":"odd"}`},
		{Session: 1, Function: "HcnCloseNetwork", Handle: 16, HResult: ok},
		{Session: 1, Function: "HNSCall", Args: []string{"GET", "/endpoints/" + epID, ""}, HResult: ok, Result: `{"Success":true,"Output":{}}`},
		{Session: 1, Function: "HNSCall", Args: []string{"GET", "/endpoints/" + strings.ToUpper(netID), ""}, HResult: ok, Result: `{"Success":false,"Error":"Element not found. "}`},
		{Session: 1, Function: "HcnRegisterServiceCallback", HResult: ok, New: 32},
		{Session: 1, Function: "HcnUnregisterServiceCallback", Handle: 32, HResult: ok},
	} {
		l.Add(&c)
	}
	return &l
}

func TestCallsAreCountedAndFailuresNamed(t *testing.T) {
	want := []Function{
		{Name: "HcnCreateNetwork", Calls: 1},
		{Name: "HcnOpenNetwork", Calls: 4, Failures: []Failure{
			{Count: 2, HResult: "0x803b0001", Name: "HCN_E_NETWORK_NOT_FOUND", Text: "The network was not found."},
			{Count: 1, HResult: "0x8bad0001", Text: "odd"}}},
		{Name: "HcnCloseNetwork", Calls: 1},
		{Name: "HNSCall GET /endpoints/{id}", Calls: 2, Failures: []Failure{{Count: 1, Text: "Element not found."}}},
		{Name: "HcnRegisterServiceCallback", Calls: 1},
		{Name: "HcnUnregisterServiceCallback", Calls: 1},
	}
	if got := mkLog().Functions(); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestHandlesThatStayOpenAreLeaked(t *testing.T) {
	want := []Handle{{Of: "network " + netID, Opener: "HcnOpenNetwork"}} // that of session 1 was closed
	if got := mkLog().Open(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func mkStore(kind string, docs ...string) Store {
	s := Store{}
	for _, d := range docs {
		s[kind] = append(s[kind], json.RawMessage(d))
	}
	return s
}

func TestChangesNameTheMembers(t *testing.T) {
	before := mkStore("network", `{"ID":"A","Name":"one","Type":"NAT"}`, `{"ID":"B","Name":"two"}`,
		`{"ID":"C","Ipams":[{"Subnets":[{"Prefix":"10.0.0.0/8"}]}],"Policies":[1],"Flags":0,"Old":1,"Same":{"A":[1,2]}}`)
	after := mkStore("network", `{"ID":"A","Name":"one","Type":"NAT"}`,
		`{"ID":"C","Ipams":[{"Subnets":[{"Prefix":"10.1.0.0/8"}]}],"Policies":[1,2],"Flags":"0","New":null,"Same":{"A":[1,2]}}`)
	after["loadbalancer"] = []json.RawMessage{[]byte(`{"ID":"L","FrontendVIPs":["10.96.0.1"]}`)}
	want := []Change{
		{What: Removed, Kind: "network", ID: "B", Name: "two"},
		{What: Changed, Kind: "network", ID: "C", Members: []string{"Flags", "Ipams[0].Subnets[0].Prefix", "New", "Old", "Policies"}},
		{What: Added, Kind: "loadbalancer", ID: "L", Name: "10.96.0.1"},
	}
	got, err := Diff(before, after)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v\ngot  %+v\nwant %+v", err, got, want)
	}
	if same, err := Diff(after, after); err != nil || len(same) != 0 {
		t.Errorf("%v, %+v", err, same)
	}
	if _, err := Diff(mkStore("endpoint", `{`), Store{}); err == nil {
		t.Error("a broken document passes")
	}
}

const reportText = `-- driver.exe on h1 (ws2025, build 26100), 1.23s
exit code: 0xc0000005 (access violation)
calls of HNS: 10, 4 refused
     1  HcnCreateNetwork
     4  HcnOpenNetwork
        2 refused: HCN_E_NETWORK_NOT_FOUND 0x803b0001
        1 refused: 0x8bad0001 odd
     1  HcnCloseNetwork
     2  HNSCall GET /endpoints/{id}
        1 refused: Element not found.
     1  HcnRegisterServiceCallback
     1  HcnUnregisterServiceCallback
handles not closed: 1
  network eedb800e-8eee-4b48-827b-af2ea4ce740b, from HcnOpenNetwork
objects: 1 added, 1 changed, 1 removed
  - network    two                 eedb800e-8eee-4b48-827b-af2ea4ce740b
  + namespace                      ad7d2d17-d461-4d10-8c24-1c8a027cbf98
  ~ endpoint   a-name-of-a-pod-c1  ad7d2d17-d461-4d10-8c24-1c8a027cbf98
      Policies[0].Settings, Policies[1].Settings and 3 more
`

func TestTheTextFitsEightyColumns(t *testing.T) {
	l := mkLog()
	r := Report{Program: []string{`./bin\driver.exe`}, ExitCode: 0xC0000005, Took: 1234 * time.Millisecond, Host: "h1", Profile: "ws2025", OSBuild: 26100,
		Functions: l.Functions(), Leaked: l.Open(), Changes: []Change{
			{What: Removed, Kind: "network", ID: netID, Name: "two"},
			{What: Added, Kind: "namespace", ID: epID},
			{What: Changed, Kind: "endpoint", ID: epID, Name: "a-name-of-a-pod-c1", Members: []string{
				"Policies[0].Settings", "Policies[1].Settings", "Policies[2].Settings", "Policies[3].Settings", "Policies[4].Settings"}},
		}}
	var b strings.Builder
	r.WriteText(&b)
	if b.String() != reportText {
		t.Errorf("got\n%s", b.String())
	}
	for line := range strings.Lines(b.String()) {
		if len(line) > width+1 {
			t.Errorf("%d columns: %s", len(line)-1, line)
		}
	}
	b.Reset()
	(&Report{Program: []string{"cmd"}, Host: "h1", Profile: "ws2025"}).WriteText(&b)
	if got := b.String(); !strings.Contains(got, "calls of HNS: none\nobjects: no change\n") {
		t.Errorf("got\n%s", got)
	}
}

// TestEveryFunctionThatClosesEndsAHandle goes through all of them, so that none
// is forgotten.
func TestEveryFunctionThatClosesEndsAHandle(t *testing.T) {
	closing := 0
	for _, name := range standin.Functions() {
		if !strings.Contains(name, "Close") && !strings.Contains(name, "Unregister") && !strings.Contains(name, "Release") {
			continue
		}
		closing++
		var l Log
		l.Add(&standin.Call{Session: 1, Function: "HcnOpenNetwork", HResult: "0x00000000", New: 16})
		l.Add(&standin.Call{Session: 1, Function: name, HResult: "0x00000000", Handle: 16})
		if open := l.Open(); len(open) != 0 {
			t.Errorf("after %s: %+v", name, open)
		}
	}
	if closing != 12 {
		t.Errorf("%d functions close handles, expected 12", closing)
	}
}
