package hcn

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestMisspeltMembersAreFoundWithTheirPlace(t *testing.T) {
	for _, c := range []struct{ kind, doc, want string }{
		{"endpoint", `{"IpConfigurations":[{"IpAdress":"10.0.0.1"}],"SchemaVersion":{"Major":2}}`, `IpConfigurations[0].IpAdress IpAddress`},
		{"endpoint", `{"Policies":[{"Type":"ACL","Settings":{"Protocls":"6","Action":"Allow","Direction":"In"}}],"SchemaVersion":{"Major":2}}`, `Policies[0].Settings.Protocls Protocols`},
		{"endpoint", `{"Policies":[{"Type":"ACL","Setings":{}}],"SchemaVersion":{"Major":2}}`, `Policies[0].Setings Settings`},
		{"endpoint", `{"Policies":[{"Type":"ACL","Settings":{},"Typo":1}],"SchemaVersion":{"Major":2}}`, `Policies[0].Typo Type`},
		{"endpoint", `{"VirtualNetwork":"x","Policies":[{"Type":"OutBoundNAT","ExeptionList":["10.0.0.0/8"]}]}`, `Policies[0].ExeptionList ExceptionList`},
		{"endpoint", `{"VirtualNetwork":"x","Policies":[{"Type":"NAT","Protocol":"TCP","InternalPort":80,"ExternalPrt":80}]}`, `Policies[0].ExternalPrt ExternalPort`},
		{"endpoint", `{"VirtualNetwrk":"x","IPAddress":"10.0.0.1"}`, `VirtualNetwrk VirtualNetwork`},
		{"endpoint", `{"Policies":[{"Type":"L4WFPPROXY","Settings":{"FilterTuple":{"LocalPort":"1","RemotePrts":"2"}}}],"SchemaVersion":{"Major":2}}`, `Policies[0].Settings.FilterTuple.RemotePrts RemotePorts`},
		{"endpoint", `{"Policies":[{"Type":"TierAcl","Settings":{"TierAclRules":[{"Priorty":1}]}}],"SchemaVersion":{"Major":2}}`, `Policies[0].Settings.TierAclRules[0].Priorty Priority`},
		{"network", `{"Type":"Overlay","Ipams":[{"Subnets":[{"IpAddressPrefix":"10.0.0.0/24","Polices":[]}]}]}`, `Ipams[0].Subnets[0].Polices Policies`},
		{"network", `{"Type":"nat","Subnets":[{"AddressPrefx":"10.0.0.0/24"}]}`, `Subnets[0].AddressPrefx AddressPrefix`},
		{"namespace", `{"Type":"Host","NamespaceIdd":1,"SchemaVersion":{"Major":2}}`, `NamespaceIdd NamespaceId`},
		{"loadbalancer", `{"HostComputeEndpoints":["x"],"FrontendVIP":["1.1.1.1"],"PortMappings":[{"Protocol":6,"InternlPort":1}]}`, `FrontendVIP FrontendVIPs; PortMappings[0].InternlPort InternalPort`},
		{"route", `{"HostComputeEndpoints":["x"],"Routes":[{"DestinationPrefx":"10.0.0.0/8"}]}`, `Routes[0].DestinationPrefx DestinationPrefix`},
		{"modify", `{"ResourceType":"Policy","RequestTyp":"Add","Settings":{"Policies":[{"Type":"QOS","Settings":{"MaximumOutgoingBandwithInBytes":1}}]}}`, `RequestTyp RequestType; Settings.Policies[0].Settings.MaximumOutgoingBandwithInBytes MaximumOutgoingBandwidthInBytes`},

		{"endpoint", `{"Color":"red","Owner":"me","ID":"x","ipconfigurations":[],"SchemaVersion":{"Major":2}}`, ``},
		{"endpoint", `{"VirtualNetwork":"x","Policies":[{"Type":"NAT","ExternalPortReserved":true},{"Type":"Future","Protocls":1}]}`, ``},
		{"query", `{"Fliter":"{}"}`, ``},
		{"network", `{"Type"`, ``},
	} {
		var got []string
		for _, e := range Misspelt(c.kind, []byte(c.doc)) {
			got = append(got, fmt.Sprintf("%s %s", e.Path, strings.Trim(e.Expected, `"`)))
			if e.Line != 1 || e.Code != 0 || !strings.Contains(e.Detail, "did you mean") {
				t.Errorf("%+v", e)
			}
		}
		if text := strings.Join(got, "; "); text != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.doc, text, c.want)
		}
	}
}

// TestNothingIsMisspeltInDocumentsOfRealHostsAndDrivers keeps the finding
// trustworthy.
func TestNothingIsMisspeltInDocumentsOfRealHostsAndDrivers(t *testing.T) {
	entries, err := os.ReadDir("testdata/samples")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		for _, doc := range sampleObjects(t, e.Name()) {
			for _, found := range Misspelt(kindOfSample(e.Name()), doc) {
				t.Errorf("%s: %v", e.Name(), found)
			}
		}
	}
	requests, err := os.ReadFile("../hns/testdata/driver-requests.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(requests)), "\n")
	if len(lines) < 5 {
		t.Fatalf("%d requests", len(lines))
	}
	seen := 0
	for i, line := range lines {
		var request struct{ Arg json.RawMessage }
		if err := json.Unmarshal([]byte(line), &request); err != nil {
			t.Fatal(err)
		}
		kind := DocumentKind(request.Arg)
		if kind != "" {
			seen++
		}
		for _, found := range Misspelt(kind, request.Arg) {
			t.Errorf("request %d: %v", i, found)
		}
	}
	if seen < 5 {
		t.Errorf("only %d requests have a known kind", seen)
	}
	for _, r := range policyRows {
		doc := fmt.Sprintf(`{"ResourceType":"Policy","RequestType":"Add","Settings":{"Policies":[{"Type":%q,"Settings":%s}]}}`, r.kind, r.right)
		for _, found := range Misspelt("modify", []byte(doc)) {
			t.Errorf("%s: %v", r.kind, found)
		}
	}
}

func FuzzMisspelt(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, doc []byte) {
		for _, kind := range []string{"network", "endpoint", "namespace", "loadbalancer", "route", "modify", DocumentKind(doc)} {
			for _, e := range Misspelt(kind, doc) {
				if e.Path == "" || e.Line == 0 || e.Expected == "" {
					t.Fatalf("a finding without a place or a suggestion: %+v", e)
				}
			}
		}
	})
}
