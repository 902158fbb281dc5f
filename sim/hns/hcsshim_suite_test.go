package hns

import (
	"strings"
	"testing"

	"github.com/hnsim/hnsim/sim/hcn"
)

// The tests in this file follow contract section E: what hcsshim's own
// integration tests ask of the service, in their order of calls.

const (
	suiteOverlay = `{"Name":"GoTestOverlay","Type":"Overlay","MacPool":{"Ranges":[{"StartMacAddress":"00-15-5D-52-C0-00","EndMacAddress":"00-15-5D-52-CF-FF"}]},"Dns":{},"Ipams":[{"Type":"Static","Subnets":[{"IpAddressPrefix":"192.168.100.0/24","Policies":[{"Type":"VSID","Settings":{"IsolationId":5000}}],"Routes":[{"NextHop":"192.168.100.1","DestinationPrefix":"0.0.0.0/0"}]}]}],"Flags":8,"Health":{"Extra":{}},"SchemaVersion":{"Major":2,"Minor":0}}`
	suiteEP      = `{"Name":"GoTestNatEndpoint","Dns":{},"Health":{"Extra":{}},"SchemaVersion":{"Major":2,"Minor":0}}`
)

func TestObjectsAreDeletedAndMadeAgainWithTheirIDs(t *testing.T) {
	h := mkHost(t, hcn.WS2022)
	net := h.network(suiteOverlay)
	a, b := h.endpoint(net, suiteEP), h.endpoint(net, suiteEP)
	for _, kind := range []Kind{LoadBalancerKind, RouteKind} {
		doc := `{"HostComputeEndpoints":["` + a + `"],"SourceVIP":"10.0.0.1","FrontendVIPs":["1.1.1.2","1.1.1.3"],"PortMappings":[{"Protocol":6,"InternalPort":8080,"ExternalPort":8090}],"SchemaVersion":{"Major":2,"Minor":0}}`
		if kind == RouteKind {
			doc = `{"HostComputeEndpoints":["` + a + `"],"Setting":[{"DestinationPrefix":"169.254.169.254/24","NextHop":"127.10.0.33"}],"SchemaVersion":{"Major":2,"Minor":0}}`
		}
		id := h.create(kind, "", doc)
		for _, eps := range []string{a + `","` + b, b} { // AddEndpoint, RemoveEndpoint
			h.must(h.Delete(kind, id))
			again := strings.Replace(doc, a, eps, 1)
			again = `{"ID":"` + id + `",` + again[1:]
			if got := h.create(kind, "", again); got != id {
				t.Errorf("%s: id %s became %s", kind, id, got)
			}
			if n := len(h.doc(kind, id)["HostComputeEndpoints"].([]any)); n != strings.Count(eps, `"`)/2+1 {
				t.Errorf("%s: %d endpoints of %s", kind, n, eps)
			}
		}
		if got := h.ids(kind, `{"SchemaVersion":{"Major":2,"Minor":0},"Filter":"{\"ID\":\"`+id+`\"}"}`); len(got) != 1 {
			t.Errorf("%s by id: %v", kind, got)
		}
		if kind == RouteKind && len(h.doc(kind, id)["Setting"].([]any)) != 1 {
			t.Error("hcsshim's list is missing")
		}
		h.must(h.Delete(kind, id))
	}
	h.must(h.DeleteNetwork(net)) // takes the endpoints along
}

func TestNamespacesAnswerWithTheTypeTheyWereMadeWith(t *testing.T) {
	h := mkHost(t, hcn.WS2022)
	for _, kind := range []hcn.NamespaceType{hcn.HostNamespace, hcn.HostDefaultNamespace, hcn.GuestNamespace, hcn.GuestDefaultNamespace} {
		id := h.namespace(kind)
		d := h.doc(NamespaceKind, id)
		if d["Type"] != string(kind) || d["NamespaceId"] != 5.0 || d["Resources"] != nil {
			t.Errorf("%s: %v", kind, d)
		}
		if got := h.ids(NamespaceKind, `{"Filter":"{\"ID\":\"`+strings.ToUpper(id)+`\"}"}`); len(got) != 1 {
			t.Errorf("%s by id: %v", kind, got)
		}
		h.must(h.DeleteNamespace(id))
	}
}

func TestPoliciesOfTheSuiteAreApplied(t *testing.T) {
	h := mkHost(t, hcn.WS2025)
	nat := h.endpoint(h.network(natDoc), suiteEP)
	h.must(h.modify(EndpointKind, nat, "Policy", "Add", `{"Policies":[{"Type":"L4WFPPROXY","Settings":{"InboundProxyPort":"80","OutboundProxyPort":"81","FilterTuple":{"Protocols":"6","RemoteAddresses":"10.0.0.4","Priority":8},"InboundExceptions":{"IpAddressExceptions":["12.0.1.12"],"PortExceptions":["8181"]},"OutboundExceptions":{"IpAddressExceptions":["10.0.1.12"],"PortExceptions":["81"]}}}]}`))
	h.must(h.modify(EndpointKind, nat, "Policy", "Update", `{"Policies":[`+aclIn+`,`+aclOut+`]}`))
	if got := h.types(EndpointKind, nat); got != "ACL ACL" {
		t.Error(got)
	}
	bridge := h.endpoint(h.network(strings.Replace(natDoc, `"Name":"nat","Type":"NAT"`, `"Name":"GoTestL2Bridge","Type":"L2Bridge"`, 1)), suiteEP)
	h.must(h.modify(EndpointKind, bridge, "Policy", "Update", `{"Policies":[{"Type":"TierAcl","Settings":{"Name":"TierIn1","Direction":"In","Order":1001,"TierAclRules":[{"Id":"TierIn1Rule1","Protocols":"6","TierAclRuleAction":"Pass","LocalAddresses":"192.168.100.0/24,10.0.0.21","LocalPorts":"80","Priority":2001},{"Id":"TierIn1Rule2","TierAclRuleAction":"Block","Priority":2100}]}}]}`))
	if got := h.types(EndpointKind, bridge); got != "TierAcl" {
		t.Error(got)
	}
	overlay := h.network(suiteOverlay)
	acl := `{"Policies":[{"Type":"NetworkACL","Settings":{"Protocols":"6","Action":"Allow","Direction":"In","LocalAddresses":"192.168.100.0/24,10.0.0.21","LocalPorts":"80,8080","RuleType":"Switch","Priority":200}}]}`
	for _, p := range []string{acl, `{"Policies":[{"Type":"HostRoute","Settings":{}}]}`} {
		before := h.types(NetworkKind, overlay)
		h.must(h.modify(NetworkKind, overlay, "Policy", "Add", p))
		if h.types(NetworkKind, overlay) == before {
			t.Errorf("%s is not shown", p)
		}
		h.must(h.modify(NetworkKind, overlay, "Policy", "Remove", p))
		if got := h.types(NetworkKind, overlay); got != before {
			t.Errorf("%s stays: %s", p, got)
		}
	}
	if h.doc(NetworkKind, overlay)["Flags"] != 8.0 {
		t.Error("flags are not shown")
	}
}

func TestAnEndpointThatFailsIsNotLeftBehind(t *testing.T) {
	h := mkHost(t, hcn.WS2022)
	net := h.network(suiteOverlay)
	h.endpoint(net, withPolicies("a", portMapping(17, 45678, 56789)))
	_, err := h.CreateEndpoint(net, "", []byte(withPolicies("b", portMapping(17, 45678, 56789))))
	wantCode(t, err, hcn.ErrPortAlreadyExists)
	if n := len(h.ids(EndpointKind, "")); n != 1 {
		t.Errorf("%d endpoints", n)
	}
}
