package hns

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/hnsim/hnsim/sim/hcn"
)

// onLostAdapter makes an l2bridge network with an endpoint, takes the adapter
// out and does something.
func onLostAdapter(do func(h *host, net, ep string) error) func(h *host) error {
	return func(h *host) error {
		net := h.network(bridgeDoc)
		ep := h.endpoint(net, plainEndpoint)
		h.must(h.SetAdapterPresent("Ethernet", false))
		return do(h, net, ep)
	}
}

func TestOperationsOnDegradedObjects(t *testing.T) {
	post := func(path, body string) func(h *host, net, ep string) error {
		return func(h *host, net, ep string) error {
			_, err := h.HNSRequest("POST", strings.NewReplacer("@net", net, "@ep", ep).Replace(path), []byte(body))
			return err
		}
	}
	lost := hcn.ErrDegradedOperation
	run(t, []condition{
		{"D.3-46 a new endpoint", "", nil, onLostAdapter(func(h *host, net, _ string) error {
			_, err := h.CreateEndpoint(net, "", []byte(plainEndpoint))
			return err
		}), lost},
		{"D.3-46 a change of the network", "", nil, onLostAdapter(func(h *host, net, _ string) error { return h.modify(NetworkKind, net, "Policy", "Refresh", `{}`) }), lost},
		{"D.3-46 a change of the endpoint", "", nil, onLostAdapter(func(h *host, _, ep string) error {
			return h.modify(EndpointKind, ep, "Policy", "Add", `{"Policies":[`+qos+`]}`)
		}), lost},
		{"D.3-46 a v1 change of the network", "", nil, onLostAdapter(post("/networks/@net", `{}`)), lost},
		{"D.3-46 a v1 change of the endpoint", "", nil, onLostAdapter(post("/endpoints/@ep", `{}`)), lost},
		{"D.3-46 an attachment", "", nil, onLostAdapter(post("/endpoints/@ep/attach", `{"SystemType":"Host"}`)), lost},
		{"D.3-46 a namespace", "", nil, onLostAdapter(func(h *host, _, ep string) error { return h.join(h.namespace(hcn.HostNamespace), ep) }), lost},
		{"D.3-46 a load balancer", "", nil, onLostAdapter(func(h *host, _, ep string) error {
			_, err := h.CreateLoadBalancer("", []byte(balancerDoc("10.96.0.1", ep)))
			return err
		}), lost},
		{"D.3-15 another network on it", "", nil, onLostAdapter(func(h *host, _, _ string) error {
			_, err := h.CreateNetwork("", []byte(`{"Name":"t","Type":"L2Tunnel","Policies":[{"Type":"NetAdapterName","Settings":{"NetworkAdapterName":"Ethernet"}}]}`))
			return err
		}), hcn.ErrAdapterNotFound},
		{"D.3-46 deletion is possible", "", nil, onLostAdapter(func(h *host, net, ep string) error { h.must(h.DeleteEndpoint(ep)); return h.DeleteNetwork(net) }), 0},
		{"D.3-15 an adapter that the host does not have", "", nil, func(h *host) error { return h.SetAdapterPresent("eth9", false) }, hcn.ErrAdapterNotFound},
		{"G.2 with the adapter back", "", nil, onLostAdapter(func(h *host, net, ep string) error {
			h.must(h.SetAdapterPresent("Ethernet", true))
			_, err := h.CreateEndpoint(net, "", []byte(plainEndpoint))
			return err
		}), 0},
	})
}

// TestStatesOfEndpoints walks the diagram of G.2; every row is one step.
func TestStatesOfEndpoints(t *testing.T) {
	h := mkHost(t, hcn.WS2025)
	net := h.network(bridgeDoc)
	ep, ns := h.endpoint(net, plainEndpoint), h.namespace(hcn.HostNamespace)
	attach := func(verb, container string) error {
		_, err := h.HNSRequest("POST", "/endpoints/"+ep+"/"+verb, []byte(`{"SystemType":"Container","ContainerId":"`+container+`"}`))
		return err
	}
	steps := []struct {
		name string
		do   func() error
		want hcn.EndpointState
		flow bool
	}{
		{"G.2 created", func() error { return nil }, hcn.EndpointCreated, false},
		{"G.2 in a namespace", func() error { return h.join(ns, ep) }, hcn.EndpointCreated, false},
		{"G.2 a container starts there", func() error { return h.StartContainer(ns, "c1", "") }, hcn.EndpointAttached, true},
		{"G.2 a second one", func() error { return h.StartContainer(ns, "c2", "") }, hcn.EndpointAttachedSharing, true},
		{"G.2 the adapter goes", func() error { return h.SetAdapterPresent("Ethernet", false) }, hcn.EndpointDegraded, false},
		{"G.2 a container stops meanwhile", func() error { return h.StopContainer(ns, "c2") }, hcn.EndpointDegraded, false},
		{"G.2 the adapter comes back", func() error { return h.SetAdapterPresent("Ethernet", true) }, hcn.EndpointAttached, true},
		{"G.2 the last container stops", func() error { return h.StopContainer(ns, "c1") }, hcn.EndpointDetached, false},
		{"G.2 out of the namespace", func() error { return h.modify(NamespaceKind, ns, "Endpoint", "Remove", `{"EndpointId":"`+ep+`"}`) }, hcn.EndpointDetached, false},
		{"G.2 attached the v1 way", func() error { return attach("attach", "c3") }, hcn.EndpointAttached, true},
		{"G.2 shared the v1 way", func() error { return attach("attach", "c4") }, hcn.EndpointAttachedSharing, true},
		{"G.2 one detached", func() error { return attach("detach", "c3") }, hcn.EndpointAttached, true},
		{"G.2 all detached", func() error { return attach("detach", "c4") }, hcn.EndpointDetached, false},
		{"G.2 a port of a virtual machine", func() error { return h.modify(EndpointKind, ep, "Port", "Add", `{"PortId":"`+unknownID+`"}`) }, hcn.EndpointAttached, true},
		{"G.2 without the port", func() error { return h.modify(EndpointKind, ep, "Port", "Remove", `{"PortId":"`+unknownID+`"}`) }, hcn.EndpointDetached, false},
	}
	for _, s := range steps {
		if err := s.do(); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		e := h.State().EndpointByID(ep)
		if e.State != s.want || e.Attached() != s.flow {
			t.Errorf("%s: state %d, flowing %v", s.name, e.State, e.Attached())
		}
		if got := h.doc(EndpointKind, ep)["State"]; got != float64(s.want) {
			t.Errorf("B.3 %s: shown as %v", s.name, got)
		}
	}
	h.must(h.DeleteEndpoint(ep))
	if len(h.ids(EndpointKind, "")) != 0 {
		t.Error("G.2: a deleted endpoint is listed")
	}
}

func TestKnobsOfTheControlPlane(t *testing.T) {
	twice := func(h *host) error {
		ep, ns := h.endpoint(h.network(natDoc), plainEndpoint), h.namespace(hcn.HostNamespace)
		h.must(h.join(ns, ep))
		err := h.join(ns, ep)
		if n := len(h.doc(NamespaceKind, ns)["Resources"].([]any)); n != 1 {
			h.t.Errorf("D.3-31: the endpoint is in the namespace %d times", n)
		}
		return err
	}
	v1Route := func(h *host) error {
		ep := h.endpoint(h.network(bridgeDoc), plainEndpoint)
		_, err := h.HNSRequest("POST", "/policylists/", []byte(`{"References":["/endpoints/`+ep+`"],"Policies":[{"Type":"ROUTE","DestinationPrefix":"10.97.0.0/16","NeedEncap":true}]}`))
		return err
	}
	balance := func(attach bool) func(h *host) error {
		return func(h *host) error {
			ep := h.endpoint(h.network(overlayDoc), plainEndpoint)
			if attach {
				h.must(h.AttachEndpoint(ep, AttachRequest{SystemType: ToHost}))
			}
			_, err := h.CreateLoadBalancer("", []byte(balancerDoc("10.96.0.1", ep)))
			return err
		}
	}
	run(t, []condition{
		{"D.3-31 joining the same namespace twice", "", nil, twice, hcn.ErrEndpointAlreadyAttached},
		{"D.3-31 by knob", "", []string{"namespaceRejoin=accept"}, twice, 0},
		{"C.5 a v1 route on l2bridge", "", nil, v1Route, 0},
		{"C.5 by knob", "", []string{"v1RouteL2bridge=refuse"}, v1Route, hcn.ErrInvalidPolicyType},
		{"C.4 a backend without a port", "", nil, balance(false), 0},
		{"C.4 by knob", "", []string{"lbUnattached=refuse"}, balance(false), hcn.ErrPortNotFound},
		{"C.4 by knob, with a port", "", []string{"lbUnattached=refuse"}, balance(true), 0},
	})
}

// TestInferredRulesAreKnobs covers rules that are deduced: the default is the
// contract's, the knob the other reading.
func TestInferredRulesAreKnobs(t *testing.T) {
	leave := func(h *host) error {
		ep := h.endpoint(h.network(natDoc), plainEndpoint)
		return h.modify(NamespaceKind, h.namespace(hcn.HostNamespace), "Endpoint", "Remove", `{"EndpointId":"`+ep+`"}`)
	}
	full := endpointOn(`{"Name":"s","Type":"NAT","Ipams":[{"Subnets":[{"IpAddressPrefix":"192.168.1.0/30"}]}]}`, plainEndpoint, plainEndpoint)
	setTwice := func(h *host) error {
		n := h.network(bridgeDoc)
		h.must(h.modify(NetworkKind, n, "Policy", "Add", ipSet))
		err := h.modify(NetworkKind, n, "Policy", "Add", ipSet)
		if got := len(hcn.FindPolicies(h.net(n).Doc.Policies, hcn.PolicySetPolicy)); got != 1 {
			h.t.Errorf("B.8: %d sets", got)
		}
		return err
	}
	noPolicy := func(h *host) error {
		return h.modify(EndpointKind, h.endpoint(h.network(natDoc), plainEndpoint), "Policy", "Remove", `{"Policies":[`+qos+`]}`)
	}
	frontends := func(h *host) error {
		ep := h.endpoint(h.network(overlayDoc), plainEndpoint)
		return createOnly(LoadBalancerKind, balancerDoc("10.96.0.1", ep), balancerDoc("10.96.0.1", ep))(h)
	}
	emptied := func(left int) func(h *host) error {
		return func(h *host) error {
			ep := h.endpoint(h.network(overlayDoc), plainEndpoint)
			h.create(LoadBalancerKind, "", balancerDoc("10.96.0.1", ep))
			h.must(h.DeleteEndpoint(ep))
			if got := len(h.ids(LoadBalancerKind, "")); got != left {
				h.t.Errorf("C.4: %d load balancers, want %d", got, left)
			}
			return nil
		}
	}
	named := func(found int) func(h *host) error {
		return func(h *host) error {
			h.network(natDoc)
			if got := len(h.ids(NetworkKind, `{"Filter":"{\"Name\":\"NAT\"}"}`)); got != found {
				h.t.Errorf("B.7: %d networks, want %d", got, found)
			}
			return nil
		}
	}
	ids := func(want string) func(h *host) error {
		return func(h *host) error {
			got, err := h.CreateNetwork("22222222-2222-4333-8444-555555555555", []byte(`{"ID":"`+unknownID+`","Type":"Private"}`))
			if got[:8] != want {
				h.t.Errorf("A7: %s, want %s", got, want)
			}
			return err
		}
	}
	run(t, []condition{
		{"A7 two ids", "", nil, ids("22222222"), 0},
		{"A7 by knob", "", []string{"idConflict=document"}, ids("11111111"), 0},
		{"B.7 a name in capitals", "", nil, named(0), 0},
		{"B.7 by knob", "", []string{"filterCase=insensitive"}, named(1), 0},
		{"B.8 a set that exists", "", nil, setTwice, hcn.ErrPolicyAlreadyExists},
		{"B.8 by knob", "", []string{"setExists=replace"}, setTwice, 0},
		{"B.8 a policy that is not there", "", nil, noPolicy, hcn.ErrPolicyNotFound},
		{"B.8 by knob, success", "", []string{"policyMissing=success"}, noPolicy, 0},
		{"C.4 a frontend twice", "", nil, frontends, hcn.ErrPortAlreadyExists},
		{"C.4 by knob, the other code", "", []string{"lbDuplicate=ERROR_ALREADY_EXISTS"}, frontends, hcn.ErrAlreadyExists},
		{"C.4 the last endpoint goes", "", nil, emptied(1), 0},
		{"C.4 by knob, the load balancer with it", "", []string{"lbEmptied=delete"}, emptied(0), 0},
		{"D.3-25 no address left", "", nil, full, hcn.ErrAddrInvalidOrReserved},
		{"D.3-25 by knob", "", []string{"poolExhausted=HCN_E_INVALID_IP"}, full, hcn.ErrInvalidIP},
		{"D.3-35 leaving where it is not", "", nil, leave, hcn.ErrElementNotFound},
		{"D.3-35 by knob", "", []string{"namespaceLeave=success"}, leave, 0},
	})
}

func TestExtensionsAreSwitchedByPolicy(t *testing.T) {
	doc := func(id string, on bool) string {
		return fmt.Sprintf(`{"Name":"x","Type":"L2Bridge","Policies":[{"Type":"VSwitchExtension","Settings":{"ExtensionID":%q,"Enable":%v}}]}`, id, on)
	}
	const capture = "430BDADD-BAB0-41AB-A369-94B67FA5BE0A"
	run(t, []condition{
		{"C.2 an extension off", "", nil, func(h *host) error {
			id := h.network(doc(capture, false))
			if h.extension(id, capture) {
				h.t.Error("C.2: the extension is on")
			}
			return h.modify(NetworkKind, id, "Policy", "Update", `{"Policies":[{"Type":"VSwitchExtension","Settings":{"ExtensionID":"`+capture+`","Enable":true}}]}`)
		}, 0},
		{"C.2 an unknown extension", "", nil, createOnly(NetworkKind, doc(unknownID, false)), hcn.ErrSwitchExtensionNotFound},
		{"C.2 an unknown extension later", "", nil, func(h *host) error {
			return h.modify(NetworkKind, h.network(bridgeDoc), "Policy", "Add", `{"Policies":[{"Type":"VSwitchExtension","Settings":{"ExtensionID":"`+unknownID+`"}}]}`)
		}, hcn.ErrSwitchExtensionNotFound},
		{"C.2 the state that it has", "", nil, createOnly(NetworkKind, bridgeDoc, doc(capture, true)), 0},
		{"D.3-45 of a shared switch", "", nil, createOnly(NetworkKind, bridgeDoc, doc(capture, false)), hcn.ErrSharedSwitchModification},
	})
}

func (h *host) extension(network, id string) bool {
	for _, x := range h.v1(NetworkKind, network)["Extensions"].([]any) {
		if m := x.(map[string]any); m["Id"] == id {
			return m["IsEnabled"].(bool)
		}
	}
	h.t.Fatalf("no extension %s", id)
	return false
}

// TestServersOfTheHost covers F.1 and C.2: endpoints of NAT networks get the
// host's DNS servers behind the network's, others with AutomaticDNS.
func TestServersOfTheHost(t *testing.T) {
	auto := strings.Replace(bridgeDoc, `"Type":"L2Bridge"`, `"Type":"L2Bridge","Policies":[{"Type":"AutomaticDNS","Settings":{"Enable":true}}]`, 1)
	for _, c := range []struct{ name, network, endpoint, want string }{
		{"F.1 nat", strings.Replace(natDoc, `"Dns":{}`, `"Dns":{"ServerList":["10.0.0.1"]}`, 1), plainEndpoint, `["10.0.0.1","168.63.129.16"]`},
		{"F.1 nat, the endpoint brings its own", natDoc, `{"Dns":{"ServerList":["10.0.0.2"]}}`, `["10.0.0.2"]`},
		{"C.2 l2bridge", bridgeDoc, plainEndpoint, ``},
		{"C.2 l2bridge with AutomaticDNS", auto, plainEndpoint, `["168.63.129.16"]`},
	} {
		h := mkHost(t, hcn.WS2022)
		h.Service.cfg.DNSServers = []netip.Addr{netip.MustParseAddr("168.63.129.16")}
		if got := at(h.doc(EndpointKind, h.endpoint(h.network(c.network), c.endpoint)), "Dns.ServerList"); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestAnAdapterWithAnotherSwitchIsPassedOver covers D.3-16.
func TestAnAdapterWithAnotherSwitchIsPassedOver(t *testing.T) {
	h := mkHost(t, hcn.WS2022)
	h.Service.cfg.Uplinks[0].Bound = true
	_, err := h.CreateNetwork("", []byte(`{"Name":"a","Type":"Transparent","Policies":[{"Type":"NetAdapterName","Settings":{"NetworkAdapterName":"Ethernet"}}]}`))
	wantCode(t, err, hcn.ErrInvalidParameter)
	if n := h.net(h.network(transparentDoc)); n.Uplink != "Ethernet 2" {
		t.Errorf("D.3-16: the network is on %s", n.Uplink)
	}
}

// TestAPartialRestoreListsBalancersWithoutPorts covers G.5.
func TestAPartialRestoreListsBalancersWithoutPorts(t *testing.T) {
	h := mkHost(t, hcn.WS2025, "lbRestoreDelay=5s")
	id := h.create(LoadBalancerKind, "", balancerDoc("10.96.0.1", h.endpoint(h.network(overlayDoc), plainEndpoint)))
	ports := func() string { return at(h.doc(LoadBalancerKind, id), "PortMappings.0.ExternalPort") }
	if ports() != "8090" {
		t.Error("G.5: no ports before the restart")
	}
	h.now = time.Minute
	h.must(h.Restart())
	if got := ports(); got != "" {
		t.Errorf("G.5: port %s right after the restart", got)
	}
	h.now += 5 * time.Second
	if ports() != "8090" {
		t.Error("G.5: the ports do not come back")
	}
}

// TestNamespacesOfEveryTypeHaveTheirCompartment covers G.3 and F.4.
func TestNamespacesOfEveryTypeHaveTheirCompartment(t *testing.T) {
	for _, c := range []struct {
		kind    hcn.NamespaceType
		before  float64
		running float64
	}{
		{hcn.HostNamespace, 0, 2}, {hcn.HostDefaultNamespace, 1, 1}, {hcn.GuestNamespace, 0, 2}, {hcn.GuestDefaultNamespace, 0, 2},
	} {
		h := mkHost(t, hcn.WS2025, "hostNetworking=accept") // CMP-11
		ns := h.namespace(c.kind)
		compartment := func() any { return h.v1(NamespaceKind, ns)["CompartmentId"] }
		if got := compartment(); got != c.before {
			t.Errorf("G.3 %s: compartment %v before a container runs", c.kind, got)
		}
		h.must(h.StartContainer(ns, "c1", ""))
		if got := compartment(); got != c.running {
			t.Errorf("G.3 %s: compartment %v while a container runs", c.kind, got)
		}
		h.must(h.StopContainer(ns, "c1"))
		h.must(h.StartContainer(ns, "c2", ""))
		if got := compartment(); c.kind != hcn.HostDefaultNamespace && got != c.running+1 {
			t.Errorf("F.4 %s: compartment %v is used again", c.kind, got)
		}
	}
}

// TestNetworksCountTheirEndpoints covers F.1: now, ever, and most at a time.
func TestNetworksCountTheirEndpoints(t *testing.T) {
	h := mkHost(t, hcn.WS2022)
	net := h.network(natDoc)
	var ids []string
	for _, step := range []struct {
		add, remove int
		want        string
	}{{3, 0, "3 3 3"}, {0, 2, "1 3 3"}, {1, 0, "2 4 3"}, {0, 2, "0 4 3"}, {1, 0, "1 5 3"}} {
		for range step.add {
			ids = append(ids, h.endpoint(net, plainEndpoint))
		}
		for range step.remove {
			h.must(h.DeleteEndpoint(ids[0]))
			ids = ids[1:]
		}
		doc := h.v1(NetworkKind, net)
		if got := fmt.Sprint(doc["CurrentEndpointCount"], " ", doc["TotalEndpoints"], " ", doc["MaxConcurrentEndpoints"]); got != step.want {
			t.Errorf("F.1: %s, want %s", got, step.want)
		}
	}
}

// TestErrorRecordsAreWhatClientsParse covers D.2 and D.4: success, the code as
// a decimal number, the sentence that drivers search first.
func TestErrorRecordsAreWhatClientsParse(t *testing.T) {
	for _, c := range producers {
		h := mkHost(t, hcn.WS2022, c.knobs...)
		if c.profile != "" {
			h = mkHost(t, c.profile, c.knobs...)
		}
		raw := hcn.AsError(c.do(h)).ErrorRecord()
		var r struct {
			Success   *bool
			Error     string
			ErrorCode uint32
		}
		if err := json.Unmarshal(raw, &r); err != nil || r.Success == nil || *r.Success || hcn.Code(r.ErrorCode) != c.want || !strings.HasPrefix(r.Error, c.want.Sentence()+" ") {
			t.Errorf("D.2, D.4 %s: %s", c.name, raw)
		}
	}
}
