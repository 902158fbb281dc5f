package hns

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/sim/hcn"
)

// types lists the policy types of an object's v2 document.
func (h *host) types(kind Kind, id string) string {
	var names []string
	list, _ := h.doc(kind, id)["Policies"].([]any)
	for _, p := range list {
		names = append(names, p.(map[string]any)["Type"].(string))
	}
	return strings.Join(names, " ")
}

const (
	qos    = `{"Type":"QOS","Settings":{"MaximumOutgoingBandwidthInBytes":1000}}`
	aclIn  = `{"Type":"ACL","Settings":{"Protocols":"6","Action":"Allow","Direction":"In","LocalAddresses":"192.168.100.0/24,10.0.0.21","RemoteAddresses":"192.168.100.0/24,10.0.0.21","LocalPorts":"80,8080","RemotePorts":"80,8080","RuleType":"Switch","Priority":200}}`
	aclOut = `{"Type":"ACL","Settings":{"Protocols":"6","Action":"Allow","Direction":"Out","Priority":200}}`
)

func TestRequestTypesOnEndpointPolicies(t *testing.T) {
	h := mkHost(t, hcn.WS2022)
	ep := h.endpoint(h.network(natDoc), plainEndpoint)
	steps := []struct{ request, policies, want string }{
		{"Add", qos, "QOS"},
		{"Add", aclIn + "," + aclOut, "QOS ACL ACL"},
		{"Update", aclIn + "," + aclOut, "ACL ACL"}, // replaces the whole list
		{"Remove", `{"Type":"acl","Settings":{"Priority":200,"Direction":1,"Action":0,"Protocols":"6"}}`, "ACL"},
		{"Add", portMapping(6, 80, 0), "ACL PortMapping"},
		{"Remove", portMapping(6, 80, 0), "ACL"}, // the port that HNS chose is not in the request
		{"Refresh", "", "ACL"},
		{"Reset", "", ""},
	}
	for i, s := range steps {
		h.must(h.modify(EndpointKind, ep, "Policy", s.request, `{"Policies":[`+s.policies+`]}`))
		if got := h.types(EndpointKind, ep); got != s.want {
			t.Fatalf("step %d, %s: %q, want %q", i, s.request, got, s.want)
		}
	}
	applied := len(h.applied)
	h.must(h.modify(EndpointKind, ep, "Policy", "Refresh", `{}`))
	if len(h.applied) != applied+1 {
		t.Error("a refresh does not program the data plane again")
	}
	wantCode(t, h.modify(EndpointKind, ep, "Policy", "Remove", `{"Policies":[`+qos+`]}`), hcn.ErrPolicyNotFound)
}

func TestRequestTypesOnNetworkPolicies(t *testing.T) {
	h := mkHost(t, hcn.WS2025)
	net := h.network(overlayDoc)
	own := h.types(NetworkKind, net)
	route := func(prefix string) string {
		return `{"Type":"RemoteSubnetRoute","Settings":{"DestinationPrefix":"` + prefix + `","IsolationId":5000,"ProviderAddress":"1.1.1.1","DistributedRouterMacAddress":"00-12-34-56-78-9a"}}`
	}
	set := func(id, values string) string {
		return `{"Type":"SetPolicy","Settings":{"Id":"` + id + `","Name":"` + id + `","PolicyType":"IPSET","Values":"` + values + `"}}`
	}
	nested := `{"Type":"SetPolicy","Settings":{"Id":"n","Name":"n","PolicyType":"NESTEDIPSET","Values":"a,b"}}`
	steps := []struct{ request, policies, want string }{
		{"Add", route("192.168.2.0/24"), "RemoteSubnetRoute"},
		{"Add", route("192.168.3.0/24"), "RemoteSubnetRoute RemoteSubnetRoute"},
		{"Remove", route("192.168.2.0/24"), "RemoteSubnetRoute"}, // by content
		{"Add", `{"Type":"HostRoute","Settings":{}}`, "RemoteSubnetRoute HostRoute"},
		{"Remove", `{"Type":"HostRoute"}`, "RemoteSubnetRoute"}, // by type
		{"Add", set("a", "10.0.0.1") + "," + set("b", "10.0.0.2") + "," + nested, "RemoteSubnetRoute SetPolicy SetPolicy SetPolicy"},
		{"Update", set("a", "10.0.0.7"), "RemoteSubnetRoute SetPolicy SetPolicy SetPolicy"}, // that set
		{"Remove", `{"Type":"SetPolicy","Settings":{"Id":"n"}}`, "RemoteSubnetRoute SetPolicy SetPolicy"},
		{"Update", route("192.168.4.0/24"), "SetPolicy SetPolicy RemoteSubnetRoute"}, // those of the type
		{"Add", `{"Type":"NetworkACL","Settings":{"Action":"Allow","Direction":"In","RemoteAddresses":"a"}}`, "SetPolicy SetPolicy RemoteSubnetRoute NetworkACL"},
		{"Reset", "", ""},
	}
	for i, s := range steps {
		h.must(h.modify(NetworkKind, net, "Policy", s.request, `{"Policies":[`+s.policies+`]}`))
		got := strings.TrimSpace(strings.TrimPrefix(h.types(NetworkKind, net), own))
		if got != s.want {
			t.Fatalf("step %d, %s: %q, want %q (HNS's own: %q)", i, s.request, got, s.want, own)
		}
	}
}

func TestSubnetsComeAndGo(t *testing.T) {
	h := mkHost(t, hcn.WS2022)
	net := h.network(bridgeDoc)
	h.must(h.modify(NetworkKind, net, "Subnet", "Add", `{"Subnets":[{"IpAddressPrefix":"10.244.9.0/24","Routes":[{"NextHop":"10.244.9.1","DestinationPrefix":"0.0.0.0/0"}]}]}`))
	ep := h.ep(h.endpoint(net, withAddress("10.244.9.7")))
	if ep.Addrs[0].Subnet != 1 || ep.Addrs[0].Gateway.String() != "10.244.9.1" {
		t.Errorf("%+v", ep.Addrs)
	}
	h.must(h.modify(NetworkKind, net, "Subnet", "Remove", `{"Subnets":[{"IpAddressPrefix":"10.244.1.0/24"}]}`))
	if ep = h.ep(ep.Doc.ID); len(h.net(net).Subnets) != 1 || ep.Addrs[0].Subnet != 0 {
		t.Errorf("subnets %v, endpoint's %d", h.net(net).Subnets, ep.Addrs[0].Subnet)
	}
	id := h.net(net).Subnets[0].ID
	h.must(h.modify(NetworkKind, net, "IPSubnet", "Add", `{"SubnetId":"`+id+`","IpSubnets":[{"IpAddressPrefix":"10.244.9.128/26","Flags":0}]}`))
	if got := len(h.net(net).Doc.Subnets()[0].IpSubnets); got != 2 {
		t.Errorf("%d IP subnets", got)
	}
	// Its own first and last address are free: it reserves neither.
	h.endpoint(net, withAddress("10.244.9.128"))
	h.must(h.modify(NetworkKind, net, "IPSubnet", "Remove", `{"SubnetId":"`+id+`","IpSubnets":[{"IpAddressPrefix":"10.244.9.128/26"}]}`))
}

func TestLoadBalancersChangeInPlaceFromHNS154On(t *testing.T) {
	h := mkHost(t, hcn.WS2025)
	net := h.network(overlayDoc)
	a, b := h.endpoint(net, plainEndpoint), h.endpoint(net, plainEndpoint)
	id := h.create(LoadBalancerKind, "", balancerDoc("1.1.1.2", a))
	num := h.lb(id).Num
	both := strings.Replace(balancerDoc("1.1.1.2", a), a, strings.ToUpper(a)+`","`+b, 1)
	h.must(h.ModifyLoadBalancer(id, []byte(both)))
	if l := h.lb(id); len(l.Endpoints) != 2 || l.Num != num || l.Doc.HostComputeEndpoints[0] != a {
		t.Errorf("%+v", l.Doc)
	}
	h.must(h.ModifyLoadBalancer(id, []byte(`{"RequestType":"Update","Settings":`+balancerDoc("1.1.1.2", b)+`}`)))
	if l := h.lb(id); len(l.Endpoints) != 1 || l.Doc.HostComputeEndpoints[0] != b {
		t.Errorf("%+v", l.Doc)
	}
	err := h.ModifyLoadBalancer(id, []byte(`{"RequestType":"Update","Settings":{"HostComputeEndpoints":[]}}`))
	if e := hcn.AsError(err); e == nil || e.Path != "Settings.HostComputeEndpoints" {
		t.Errorf("path of a bad request: %v", err)
	}
}

func TestFlagsOfLoadBalancersAreEchoedAndGatedByFeature(t *testing.T) {
	for _, tt := range []struct {
		profile  string
		dsr      bool
		affinity hcn.DistributionType
	}{{hcn.WS2019, false, 0}, {hcn.WS2022, true, hcn.PerSourceIP}} {
		h := mkHost(t, tt.profile)
		ep := h.endpoint(h.network(overlayDoc), plainEndpoint)
		id := h.create(LoadBalancerKind, "", `{"HostComputeEndpoints":["`+ep+`"],"FrontendVIPs":["1.1.1.3","1.1.1.2"],"PortMappings":[{"Protocol":6,"InternalPort":8080,"ExternalPort":8090,"DistributionType":2,"Flags":9},{"Protocol":17,"InternalPort":53,"ExternalPort":53}],"Flags":1,"SchemaVersion":{"Major":2,"Minor":0}}`)
		d := h.doc(LoadBalancerKind, id)
		m := d["PortMappings"].([]any)[0].(map[string]any)
		if d["Flags"] != 1.0 || m["Flags"] != 9.0 || m["DistributionType"] != 2.0 || fmt.Sprint(d["FrontendVIPs"]) != "[1.1.1.3 1.1.1.2]" {
			t.Errorf("%s: %v", tt.profile, d)
		}
		if l := h.lb(id); l.DSR != tt.dsr || l.Affinity[0] != tt.affinity {
			t.Errorf("%s: DSR %v, affinity %v", tt.profile, l.DSR, l.Affinity)
		}
	}
}

func TestRemovingARefusedPolicyChangesNothing(t *testing.T) {
	h := mkHost(t, hcn.WS2022)
	ep := h.endpoint(h.network(natDoc), withPolicies("e", qos))
	before, err := json.Marshal(h.ep(ep).Doc)
	h.must(err)
	wantCode(t, h.modify(EndpointKind, ep, "Policy", "Update", `{"Policies":[`+aclIn+`,{"Type":"ACL","Settings":{"Action":"Maybe"}}]}`), hcn.ErrInvalidPolicy)
	after, err := json.Marshal(h.ep(ep).Doc)
	h.must(err)
	if string(before) != string(after) {
		t.Errorf("%s became %s", before, after)
	}
}
