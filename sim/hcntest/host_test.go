package hcntest

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const unknownID = "11111111-2222-4333-8444-555555555555"

func natNetwork(name, prefix, gateway string) *HostComputeNetwork {
	return &HostComputeNetwork{Name: name, Type: NAT, SchemaVersion: V2SchemaVersion(), Ipams: []Ipam{{Type: "Static",
		Subnets: []Subnet{{IpAddressPrefix: prefix, Routes: []Route{{NextHop: gateway, DestinationPrefix: "0.0.0.0/0"}}}}}}}
}

func overlayNetwork(prefix, gateway string, vsid uint32) *HostComputeNetwork {
	n := natNetwork("vxlan0", prefix, gateway)
	n.Type = Overlay
	n.Ipams[0].Subnets[0].Policies = []json.RawMessage{mustJSON(SubnetPolicy{Type: VSID, Settings: mustJSON(VsidPolicySetting{IsolationId: vsid})})}
	return n
}

func endpointAt(ip string, policies ...EndpointPolicy) *HostComputeEndpoint {
	return &HostComputeEndpoint{Name: ip, SchemaVersion: V2SchemaVersion(), IpConfigurations: []IpConfig{{IpAddress: ip}}, Policies: policies}
}

// one is a host with an object of every kind.
type one struct {
	*Host
	network   *HostComputeNetwork
	endpoint  *HostComputeEndpoint
	namespace *HostComputeNamespace
	balancer  *HostComputeLoadBalancer
	route     *HostComputeRoute
}

func mkOne(t *testing.T) *one {
	t.Helper()
	o := &one{Host: New(t, Config{Profile: "ws2025"}).Host("h1")}
	var err error
	keep := func(e error) {
		t.Helper()
		if e != nil {
			t.Fatal(e)
		}
	}
	o.network, err = o.CreateNetwork(overlayNetwork("10.244.1.0/24", "10.244.1.1", 4096))
	keep(err)
	o.endpoint, err = o.CreateEndpoint(endpointAt("10.244.1.10"), o.network)
	keep(err)
	o.namespace, err = o.CreateNamespace(NewNamespace(NamespaceTypeHost))
	keep(err)
	o.balancer, err = o.AddLoadBalancer([]HostComputeEndpoint{*o.endpoint}, LoadBalancerFlagsDSR, LoadBalancerPortMappingFlagsNone, "", []string{"10.96.0.1"}, 6, 8080, 80)
	keep(err)
	o.route, err = o.AddRoute([]HostComputeEndpoint{*o.endpoint}, "10.96.0.0/12", "", true)
	keep(err)
	return o
}

// qos is a policy that every endpoint takes, hostRoute one for networks.
var (
	qos       = PolicyEndpointRequest{[]EndpointPolicy{{Type: QOS, Settings: mustJSON(QosPolicySetting{1000})}}}
	hostRoute = PolicyNetworkRequest{[]NetworkPolicy{{Type: HostRoute, Settings: json.RawMessage("{}")}}}
)

// refuse is what a failing call answers: a code, or an error of another type.
func refuse(code ErrorCode) func(error) bool {
	return func(err error) bool { return errors.Is(err, code) && CheckErrorWithCode(err, code) }
}

func says(text string) func(error) bool {
	return func(err error) bool { return strings.Contains(err.Error(), text) }
}

func as[T error](err error) bool { var e T; return errors.As(err, &e) }

// calls has, for every method of HCN, a call that works and one that is
// refused. works returns what to print about the result.
var calls = map[string]struct {
	works   func(o *one) (any, error)
	fails   func(o *one) error
	refused func(error) bool
}{
	"ListNetworks": {func(o *one) (any, error) { l, err := o.ListNetworks(); return len(l), err }, nil, nil},
	"ListNetworksQuery": {func(o *one) (any, error) {
		l, err := o.ListNetworksQuery(filterQuery("Type", "Overlay"))
		return len(l), err
	}, func(o *one) error { _, err := o.ListNetworksQuery(HostComputeQuery{Filter: "x"}); return err }, refuse(0x803b001b)},
	"GetNetworkByID": {func(o *one) (any, error) {
		n, err := o.GetNetworkByID(strings.ToUpper(o.network.Id))
		return n.Name, err
	}, func(o *one) error { _, err := o.GetNetworkByID(unknownID); return err }, as[NetworkNotFoundError]},
	"GetNetworkByName": {func(o *one) (any, error) { n, err := o.GetNetworkByName("vxlan0"); return n.Type, err }, func(o *one) error { _, err := o.GetNetworkByName("Vxlan0"); return err }, IsNotFoundError},
	"CreateNetwork": {func(o *one) (any, error) {
		n, err := o.CreateNetwork(natNetwork("nat", "172.16.0.0/24", "172.16.0.1"))
		return n.Type, err
	}, func(o *one) error {
		_, err := o.CreateNetwork(natNetwork("vxlan0", "172.16.0.0/24", "172.16.0.1"))
		return err
	}, refuse(HCN_E_NETWORK_EXISTS)},
	"DeleteNetwork": {func(o *one) (any, error) { return "", o.DeleteNetwork(o.network) }, func(o *one) error { return o.DeleteNetwork(&HostComputeNetwork{Id: unknownID}) }, refuse(HCN_E_NETWORK_NOT_FOUND)},
	"ModifyNetworkSettings": {func(o *one) (any, error) {
		return "", o.ModifyNetworkSettings(o.network, &ModifyNetworkSettingRequest{NetworkResourceTypeDNS, RequestTypeUpdate, mustJSON(Dns{Domain: "d"})})
	}, func(o *one) error {
		return o.ModifyNetworkSettings(o.network, &ModifyNetworkSettingRequest{NetworkResourceTypeDNS, RequestTypeRemove, mustJSON(Dns{})})
	}, refuse(0x803b0015)},
	"AddNetworkPolicy": {func(o *one) (any, error) { return "", o.AddNetworkPolicy(o.network, hostRoute) }, func(o *one) error { return o.AddNetworkPolicy(&HostComputeNetwork{Id: "x"}, hostRoute) }, says("invalid network ID")},
	"RemoveNetworkPolicy": {func(o *one) (any, error) {
		_ = o.AddNetworkPolicy(o.network, hostRoute)
		return "", o.RemoveNetworkPolicy(o.network, hostRoute)
	}, func(o *one) error { return o.RemoveNetworkPolicy(o.network, hostRoute) }, refuse(0x803b0008)},

	"ListEndpoints": {func(o *one) (any, error) { l, err := o.ListEndpoints(); return l[0].Name, err }, nil, nil},
	"ListEndpointsQuery": {func(o *one) (any, error) {
		l, err := o.ListEndpointsQuery(filterQuery("State", "3"))
		return len(l), err
	}, func(o *one) error { _, err := o.ListEndpointsQuery(HostComputeQuery{Filter: "["}); return err }, refuse(0x803b001b)},
	"ListEndpointsOfNetwork": {func(o *one) (any, error) { l, err := o.ListEndpointsOfNetwork(o.network.Id); return len(l), err }, nil, nil},
	"GetEndpointByID":        {func(o *one) (any, error) { e, err := o.GetEndpointByID(o.endpoint.Id); return e.Name, err }, func(o *one) error { _, err := o.GetEndpointByID(""); return err }, as[EndpointNotFoundError]},
	"GetEndpointByName": {func(o *one) (any, error) {
		e, err := o.GetEndpointByName("10.244.1.10")
		return e.IpConfigurations[0].IpAddress, err
	}, func(o *one) error { _, err := o.GetEndpointByName("x"); return err }, IsNotFoundError},
	"CreateEndpoint": {func(o *one) (any, error) {
		e, err := o.CreateEndpoint(endpointAt("10.244.1.11"), o.network)
		return e.Name, err
	}, func(o *one) error { _, err := o.CreateEndpoint(endpointAt("10.244.2.11"), o.network); return err }, refuse(0x803b001e)},
	"CreateRemoteEndpoint": {func(o *one) (any, error) {
		e := endpointAt("10.244.2.20", EndpointPolicy{Type: NetworkProviderAddress, Settings: mustJSON(ProviderAddressEndpointPolicySetting{"10.127.130.38"})})
		e.MacAddress = "0E-2A-0A-F4-02-14"
		r, err := o.CreateRemoteEndpoint(e, o.network)
		return r.Flags, err
	}, func(o *one) error { _, err := o.CreateRemoteEndpoint(endpointAt("10.244.2.20"), o.network); return err }, refuse(0x803b000c)},
	"DeleteEndpoint": {func(o *one) (any, error) { return "", o.DeleteEndpoint(o.endpoint) }, func(o *one) error { return o.DeleteEndpoint(&HostComputeEndpoint{Id: unknownID}) }, refuse(HCN_E_ENDPOINT_NOT_FOUND)},
	"ModifyEndpointSettings": {func(o *one) (any, error) {
		return "", o.ModifyEndpointSettings(o.endpoint.Id, &ModifyEndpointSettingRequest{EndpointResourceTypePolicy, RequestTypeAdd, mustJSON(qos)})
	}, func(o *one) error { return o.ModifyEndpointSettings(unknownID, &ModifyEndpointSettingRequest{}) }, refuse(HCN_E_ENDPOINT_NOT_FOUND)},
	"ApplyEndpointPolicy": {func(o *one) (any, error) { return "", o.ApplyEndpointPolicy(o.endpoint, RequestTypeUpdate, qos) }, func(o *one) error { return o.ApplyEndpointPolicy(o.endpoint, RequestTypeRemove, qos) }, refuse(0x803b0008)},

	"ListNamespaces": {func(o *one) (any, error) { l, err := o.ListNamespaces(); return len(l), err }, nil, nil},
	"ListNamespacesQuery": {func(o *one) (any, error) {
		l, err := o.ListNamespacesQuery(filterQuery("Type", "HostDefault"))
		return len(l), err
	}, func(o *one) error { _, err := o.ListNamespacesQuery(HostComputeQuery{Filter: "x"}); return err }, refuse(0x803b001b)},
	"GetNamespaceByID": {func(o *one) (any, error) { n, err := o.GetNamespaceByID(o.namespace.Id); return n.Type, err }, func(o *one) error { _, err := o.GetNamespaceByID(unknownID); return err }, as[NamespaceNotFoundError]},
	"GetNamespaceEndpointIds": {func(o *one) (any, error) {
		_ = o.AddNamespaceEndpoint(o.namespace.Id, o.endpoint.Id)
		ids, err := o.GetNamespaceEndpointIds(o.namespace.Id)
		return slices.Equal(ids, []string{o.endpoint.Id}), err
	}, func(o *one) error { _, err := o.GetNamespaceEndpointIds(unknownID); return err }, IsNotFoundError},
	"GetNamespaceContainerIds": {func(o *one) (any, error) {
		_ = o.AddNamespaceEndpoint(o.namespace.Id, o.endpoint.Id)
		o.Run(o.endpoint.Id)
		return o.GetNamespaceContainerIds(o.namespace.Id)
	}, func(o *one) error { _, err := o.GetNamespaceContainerIds(unknownID); return err }, IsNotFoundError},
	"CreateNamespace": {func(o *one) (any, error) {
		n, err := o.CreateNamespace(NewNamespace(NamespaceTypeHostDefault))
		return n.Type, err
	}, func(o *one) error { _, err := o.CreateNamespace(&HostComputeNamespace{Type: "Guests"}); return err }, refuse(0x57)},
	"DeleteNamespace": {func(o *one) (any, error) { return "", o.DeleteNamespace(o.namespace) }, func(o *one) error { return o.DeleteNamespace(&HostComputeNamespace{Id: unknownID}) }, IsElementNotFoundError},
	"ModifyNamespaceSettings": {func(o *one) (any, error) {
		return "", o.ModifyNamespaceSettings(o.namespace.Id, &ModifyNamespaceSettingRequest{NamespaceResourceTypeContainer, RequestTypeAdd, json.RawMessage(`{"ContainerId":"c1"}`)})
	}, func(o *one) error { return o.ModifyNamespaceSettings(unknownID, &ModifyNamespaceSettingRequest{}) }, IsNotFoundError},
	"AddNamespaceEndpoint": {func(o *one) (any, error) { return "", o.AddNamespaceEndpoint(o.namespace.Id, o.endpoint.Id) }, func(o *one) error { return o.AddNamespaceEndpoint(o.namespace.Id, unknownID) }, refuse(HCN_E_ENDPOINT_NOT_FOUND)},
	"RemoveNamespaceEndpoint": {func(o *one) (any, error) {
		_ = o.AddNamespaceEndpoint(o.namespace.Id, o.endpoint.Id)
		return "", o.RemoveNamespaceEndpoint(o.namespace.Id, o.endpoint.Id)
	}, func(o *one) error { return o.RemoveNamespaceEndpoint(o.namespace.Id, o.endpoint.Id) }, IsElementNotFoundError},

	"ListLoadBalancers": {func(o *one) (any, error) { l, err := o.ListLoadBalancers(); return l[0].FrontendVIPs, err }, nil, nil},
	"ListLoadBalancersQuery": {func(o *one) (any, error) {
		l, err := o.ListLoadBalancersQuery(filterQuery("ID", o.balancer.Id))
		return len(l), err
	}, func(o *one) error { _, err := o.ListLoadBalancersQuery(HostComputeQuery{Filter: "x"}); return err }, refuse(0x803b001b)},
	"GetLoadBalancerByID": {func(o *one) (any, error) { l, err := o.GetLoadBalancerByID(o.balancer.Id); return l.Flags, err }, func(o *one) error { _, err := o.GetLoadBalancerByID(unknownID); return err }, as[LoadBalancerNotFoundError]},
	"CreateLoadBalancer": {func(o *one) (any, error) {
		b := *o.balancer
		b.Id, b.FrontendVIPs = "", []string{"10.96.0.2"}
		l, err := o.CreateLoadBalancer(&b)
		return l.FrontendVIPs, err
	}, func(o *one) error { b := *o.balancer; b.Id = ""; _, err := o.CreateLoadBalancer(&b); return err }, IsPortAlreadyExistsError},
	"UpdateLoadBalancer": {func(o *one) (any, error) {
		b := *o.balancer
		b.FrontendVIPs = []string{"10.96.0.3"}
		l, err := o.UpdateLoadBalancer(&b, o.balancer.Id)
		return l.FrontendVIPs, err
	}, func(o *one) error { _, err := o.UpdateLoadBalancer(o.balancer, unknownID); return err }, IsNotFoundError},
	"DeleteLoadBalancer": {func(o *one) (any, error) { return "", o.DeleteLoadBalancer(o.balancer) }, func(o *one) error { return o.DeleteLoadBalancer(&HostComputeLoadBalancer{Id: unknownID}) }, IsElementNotFoundError},
	"AddLoadBalancer": {func(o *one) (any, error) {
		l, err := o.AddLoadBalancer([]HostComputeEndpoint{*o.endpoint}, 0, 0, "", nil, 17, 53, 30053)
		return l.PortMappings[0].Protocol, err
	}, func(o *one) error { _, err := o.AddLoadBalancer(nil, 0, 0, "", nil, 17, 53, 30053); return err }, refuse(0x803b001c)},

	"ListRoutes": {func(o *one) (any, error) { l, err := o.ListRoutes(); return l[0].Setting[0].DestinationPrefix, err }, nil, nil},
	"ListRoutesQuery": {func(o *one) (any, error) {
		l, err := o.ListRoutesQuery(filterQuery("ID", o.route.ID))
		return len(l), err
	}, func(o *one) error { _, err := o.ListRoutesQuery(HostComputeQuery{Filter: "x"}); return err }, refuse(0x803b001b)},
	"GetRouteByID": {func(o *one) (any, error) {
		r, err := o.GetRouteByID(o.route.ID)
		return len(r.HostComputeEndpoints), err
	}, func(o *one) error { _, err := o.GetRouteByID(unknownID); return err }, as[RouteNotFoundError]},
	"CreateRoute": {func(o *one) (any, error) {
		r := *o.route
		r.ID = ""
		n, err := o.CreateRoute(&r)
		return n.Setting[0].NeedEncap, err
	}, func(o *one) error {
		_, err := o.CreateRoute(&HostComputeRoute{HostComputeEndpoints: []string{unknownID}, Setting: o.route.Setting})
		return err
	}, refuse(HCN_E_ENDPOINT_NOT_FOUND)},
	"DeleteRoute": {func(o *one) (any, error) { return "", o.DeleteRoute(o.route) }, func(o *one) error { return o.DeleteRoute(&HostComputeRoute{ID: "no"}) }, says("invalid route ID")},
	"AddRoute": {func(o *one) (any, error) {
		r, err := o.AddRoute([]HostComputeEndpoint{*o.endpoint}, "10.1.0.0/16", "10.244.1.1", false)
		return r.Setting[0].NextHop, err
	}, func(o *one) error { _, err := o.AddRoute(nil, "", "", false); return err }, says("missing endpoints")},

	"GetGlobals":                 {func(o *one) (any, error) { g, err := o.GetGlobals(); return g.Version, err }, nil, nil},
	"GetCachedSupportedFeatures": {func(o *one) (any, error) { f, err := o.GetCachedSupportedFeatures(); return f.DSR, err }, nil, nil},
	"GetSupportedFeatures": {func(o *one) (any, error) {
		f := o.GetSupportedFeatures()
		return f.ModifyLoadbalancer && f.Api.V2 && f.Acl.AclPortRanges, nil
	}, nil, nil},
	"HNSCall": {func(o *one) (any, error) {
		raw, err := o.HNSCall("GET", "/globals/version", "")
		return string(raw), err
	}, func(o *one) error { _, err := o.HNSCall("GET", "/endpoints/"+unknownID, ""); return err }, says("hns failed with error : The endpoint was not found. ")},
}

// results are what the calls that work print.
var results = map[string]string{
	"ListNetworks": "1", "ListNetworksQuery": "1", "GetNetworkByID": "vxlan0", "GetNetworkByName": "Overlay", "CreateNetwork": "NAT",
	"ListEndpoints": "10.244.1.10", "ListEndpointsQuery": "0", "ListEndpointsOfNetwork": "1", "GetEndpointByID": "10.244.1.10",
	"GetEndpointByName": "10.244.1.10", "CreateEndpoint": "10.244.1.11", "CreateRemoteEndpoint": "1",
	"ListNamespaces": "2", "ListNamespacesQuery": "1", "GetNamespaceByID": "Host", "GetNamespaceEndpointIds": "true",
	"GetNamespaceContainerIds": "[container-1]", "CreateNamespace": "HostDefault",
	"ListLoadBalancers": "[10.96.0.1]", "ListLoadBalancersQuery": "1", "GetLoadBalancerByID": "1", "CreateLoadBalancer": "[10.96.0.2]",
	"UpdateLoadBalancer": "[10.96.0.3]", "AddLoadBalancer": "17",
	"ListRoutes": "10.96.0.0/12", "ListRoutesQuery": "1", "GetRouteByID": "1", "CreateRoute": "true", "AddRoute": "10.244.1.1",
	"GetGlobals": "{16 0}", "GetCachedSupportedFeatures": "true", "GetSupportedFeatures": "true", "HNSCall": `{"Major":16,"Minor":0}`,
}

func TestEveryCallWorksAndIsRefusedAsByHcsshim(t *testing.T) {
	all := reflect.TypeFor[HCN]() // the v1 calls are in v1_test.go
	for i := range all.NumMethod() {
		name := all.Method(i).Name
		c, ok := calls[name]
		if !ok {
			t.Errorf("no case for %s", name)
			continue
		}
		t.Run(name, func(t *testing.T) {
			o := mkOne(t)
			got, err := c.works(o)
			if err != nil || fmt.Sprint(got) != results[name] {
				t.Errorf("got %v, %v, want %s", got, err, results[name])
			}
			if last := o.lab.Calls()[len(o.lab.Calls())-1]; last.Method != name || last.Err != nil {
				t.Errorf("the last call of record is %v", last)
			}
			if c.fails == nil {
				return
			}
			if err := c.fails(mkOne(t)); err == nil || !c.refused(err) {
				t.Errorf("refused with %v", err)
			}
		})
	}
}

func TestEveryCallFailsOnceWhereATestWantsIt(t *testing.T) {
	for name, c := range calls {
		o := mkOne(t)
		o.FailEachOnce(RPC_S_UNKNOWN_IF)
		if name == "GetSupportedFeatures" {
			if o.GetSupportedFeatures().DSR || !o.GetSupportedFeatures().DSR {
				t.Errorf("%s does not fail once", name)
			}
			continue
		}
		failed := func() error { // works may index what it did not get
			defer func() { _ = recover() }()
			_, err := c.works(o)
			return err
		}()
		last := o.lab.Calls()[len(o.lab.Calls())-1]
		if last.Method != name || last.Err == nil || failed != nil && !strings.Contains(failed.Error(), "0x6b5") {
			t.Errorf("%s: %v, of record %v", name, failed, last)
		}
	}
}

func TestAFaultMayHitAfterTheWorkIsDone(t *testing.T) {
	o := mkOne(t)
	o.Fail(Fault{Method: "DeleteEndpoint", Code: RPC_S_UNKNOWN_IF, Times: 2, After: true})
	if err := o.DeleteEndpoint(o.endpoint); !errors.Is(err, RPC_S_UNKNOWN_IF) {
		t.Error(err)
	}
	if err := o.DeleteEndpoint(o.endpoint); !errors.Is(err, HCN_E_ENDPOINT_NOT_FOUND) {
		t.Errorf("%v: the endpoint is there still", err)
	}
}

func TestAStoppedServiceForgetsWhatItsBuildForgets(t *testing.T) {
	for profile, want := range map[string]int{"ws2022": 0, "ws2025": 1} {
		h := New(t, Config{Profile: profile}).Host("h1")
		n, err := h.CreateNetwork(natNetwork("nat", "172.16.0.0/24", "172.16.0.1"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.CreateEndpoint(endpointAt("172.16.0.10"), n); err != nil {
			t.Fatal(err)
		}
		h.StopHNS()
		if _, err := h.ListEndpoints(); err == nil || !strings.Contains(err.Error(), "0x6b5") {
			t.Errorf("stopped: %v", err)
		}
		h.StartHNS()
		if l, err := h.ListEndpoints(); len(l) != want || err != nil {
			t.Errorf("%s: %d endpoints, %v", profile, len(l), err)
		}
		h.Reboot()
		if l, err := h.ListNetworks(); len(l) != 0 || err != nil {
			t.Errorf("%s: %d networks after a reboot, %v", profile, len(l), err)
		}
	}
}

// TestADriverThatWaitsSeesTheProviderAddressAppear runs in a bubble whose time
// is its own: what takes two seconds on a real host takes none here.
func TestADriverThatWaitsSeesTheProviderAddressAppear(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(t, Config{ProviderAddressDelay: 2 * time.Second, Clock: time.Now}).Host("h1")
		if _, err := h.CreateNetwork(overlayNetwork("10.244.1.0/24", "10.244.1.1", 4096)); err != nil {
			t.Fatal(err)
		}
		tries := 0
		for start := time.Now(); time.Since(start) < 5*time.Second; time.Sleep(500 * time.Millisecond) {
			n, err := h.GetNetworkByName("vxlan0")
			if err != nil {
				t.Fatal(err)
			}
			if tries++; slices.ContainsFunc(n.Policies, func(p NetworkPolicy) bool { return p.Type == ProviderAddress }) {
				break
			}
		}
		if tries != 5 {
			t.Errorf("%d tries", tries)
		}
	})
}

func TestSeveralGoroutinesMayUseOneLab(t *testing.T) {
	h := New(t, Config{}).Host("h1")
	n, err := h.CreateNetwork(natNetwork("nat", "172.16.0.0/24", "172.16.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			e, err := h.CreateEndpoint(endpointAt(fmt.Sprintf("172.16.0.%d", 10+i)), n)
			if err != nil {
				t.Error(err)
				return
			}
			p := h.Run(e.Id)
			p.Listen("tcp", 80)
			if _, err := h.Self().Reach("tcp", p.Addr().String()+":80"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := len(h.lab.Calls()); got != 9 {
		t.Errorf("%d calls", got)
	}
}

// fatal is a TB that remembers what it was told.
type fatal struct{ said string }

func (f *fatal) Helper() {}
func (f *fatal) Fatalf(format string, args ...any) {
	f.said = fmt.Sprintf(format, args...)
	panic(f)
}

func TestMisuseFailsTheTestAndSaysWhy(t *testing.T) {
	pod := func(l *Lab) *Pod { return l.External() }
	tests := []struct {
		cfg  Config
		do   func(l *Lab)
		want string
	}{
		{Config{Profile: "ws2023"}, nil, "no profile"},
		{Config{Knobs: map[string]string{"x": "y"}}, nil, "x"},
		{Config{Hosts: []HostConfig{}}, nil, "without hosts"},
		{Config{Hosts: []HostConfig{{"a", "10.0.0.1"}}}, nil, "expected an IPv4 address with its prefix length"},
		{Config{Hosts: []HostConfig{{"a", "10.0.0.2/24"}, {"b", "10.0.1.2/24"}}}, nil, "expected one in 10.0.0.0/24"},
		{Config{Hosts: []HostConfig{{"a", "10.0.0.2/24"}, {"a", "10.0.0.3/24"}}}, nil, "a"},
		{Config{}, func(l *Lab) { l.Host("h9") }, `no host "h9": the lab has h1, h2`},
		{Config{}, func(l *Lab) { l.Host("h1").Fail(Fault{Method: "Create", Code: 1}) }, `no call "Create"`},
		{Config{}, func(l *Lab) { l.Host("h1").Fail(Fault{}) }, "needs a Code"},
		{Config{}, func(l *Lab) { l.Host("h1").Run(unknownID) }, "no such endpoint"},
		{Config{}, func(l *Lab) { pod(l).Listen("sctp", 1) }, "expected tcp or udp"},
		{Config{}, func(l *Lab) { pod(l).Listen("tcp", 1); pod(l).Listen("tcp", 1) }, "Listen tcp 1"},
	}
	for i, tt := range tests {
		f := &fatal{}
		func() {
			defer func() {
				if r := recover(); r != nil && r != any(f) {
					panic(r)
				}
			}()
			l := New(f, tt.cfg)
			tt.do(l)
		}()
		if !strings.Contains(f.said, tt.want) || f.said == "" {
			t.Errorf("%d: said %q, want %q", i, f.said, tt.want)
		}
	}
	l := New(t, Config{})
	for _, bad := range []error{pod(l).Ping("x"), second(pod(l).Reach("tcp", "1.2.3.4")), second(pod(l).Reach("ip", "1.2.3.4:5"))} {
		if bad == nil {
			t.Error("nonsense is accepted")
		}
	}
}

func second(_ Exchange, err error) error { return err }

func TestAsGoesThroughJSON(t *testing.T) {
	type theirs struct {
		Id   string `json:"ID"`
		Name string
	}
	got, err := As[theirs](&HostComputeNetwork{Id: unknownID, Name: "n"})
	if err != nil || *got != (theirs{unknownID, "n"}) {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := As[int](&HostComputeNetwork{}); err == nil {
		t.Error("a network is a number")
	}
	if _, err := As[int](func() {}); err == nil {
		t.Error("a function has a JSON form")
	}
}
