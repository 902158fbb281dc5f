package hns

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/sim/hcn"
)

// state describes an endpoint for tables: state, attachment, compartment.
func (h *host) describe(ep string) string {
	e := h.ep(ep)
	return fmt.Sprintf("%d %s %d %s", e.State, e.AttachedTo, e.Compartment, strings.Join(e.Containers, ","))
}

func (h *host) wantState(ep, want string) {
	h.t.Helper()
	if got := h.describe(ep); got != want {
		h.t.Errorf("endpoint is %q, want %q", got, want)
	}
	checkInvariants(h.t, h.State())
}

func TestAnEndpointIsAttachedWhileContainersRunInItsNamespace(t *testing.T) {
	h := mkHost(t, hcn.WS2022)
	net := h.network(natDoc)
	ep, ns := h.endpoint(net, plainEndpoint), h.namespace(hcn.HostNamespace)
	h.must(h.join(ns, ep))
	h.wantState(ep, "1  0 ") // CMP-07: no compartment yet
	if h.doc(EndpointKind, ep)["HostComputeNamespace"] != ns {
		t.Error("the document does not name the namespace")
	}
	h.must(h.StartContainer(ns, "c1", ProcessIsolated))
	h.wantState(ep, "2 Container 2 c1")
	h.must(h.StartContainer(ns, "c2", ""))
	h.wantState(ep, "3 Container 2 c1,c2")
	if !h.ep(ep).Attached() {
		t.Error("state 3 does not let packets flow")
	}
	h.must(h.StopContainer(ns, "c1"))
	h.wantState(ep, "2 Container 2 c2")
	h.must(h.StopContainer(ns, "c2"))
	h.wantState(ep, "4  0 ")
	h.must(h.StartContainer(ns, "c3", HyperVIsolated))
	h.wantState(ep, "2 Container 3 c3") // F.4: compartment numbers are not reused
	if h.ep(ep).Isolation != HyperVIsolated {
		t.Error("isolation is lost")
	}
	late := h.endpoint(net, plainEndpoint)
	h.must(h.join(ns, late))
	h.wantState(late, "2 Container 3 c3")
	h.must(h.modify(NamespaceKind, ns, "Endpoint", "Remove", `{"EndpointId":"`+ep+`"}`))
	h.wantState(ep, "4  0 ")
	h.must(h.modify(NamespaceKind, ns, "Container", "Remove", `{"ContainerId":"c3"}`))
	h.must(h.DeleteNamespace(ns))
	h.wantState(late, "4  0 ")
}

func TestStateThreeBlocksWhereTheKnobSaysSo(t *testing.T) {
	h := mkHost(t, hcn.WS2022, "attachedSharing=block")
	ep, ns := h.endpoint(h.network(natDoc), plainEndpoint), h.namespace(hcn.HostNamespace)
	h.must(h.join(ns, ep))
	h.must(h.StartContainer(ns, "c1", ""))
	h.must(h.StartContainer(ns, "c2", ""))
	if e := h.ep(ep); e.State != hcn.EndpointAttachedSharing || e.Attached() {
		t.Errorf("state %d, attached %v", e.State, e.Attached())
	}
}

func TestTheHostDefaultNamespaceAttachesAtOnceToCompartmentOne(t *testing.T) {
	h := mkHost(t, hcn.WS2022)
	ep, ns := h.endpoint(h.network(natDoc), plainEndpoint), h.namespace(hcn.HostDefaultNamespace)
	h.must(h.join(ns, ep))
	h.wantState(ep, "2 Host 1 ")
}

func TestCreatingAnEndpointInANamespaceJoinsIt(t *testing.T) {
	h := mkHost(t, hcn.WS2022)
	ns := h.namespace(hcn.HostNamespace)
	h.must(h.StartContainer(ns, "c1", ""))
	ep := h.endpoint(h.network(natDoc), `{"HostComputeNamespace":"`+strings.ToUpper(ns)+`"}`)
	h.wantState(ep, "2 Container 2 c1")
}

func TestAttachingTheV1Way(t *testing.T) {
	h := mkHost(t, hcn.WS2022)
	net := h.network(natDoc)
	post := func(ep, verb, body string) {
		t.Helper()
		if _, err := h.HNSRequest("POST", "/endpoints/"+strings.ToUpper(ep)+"/"+verb, []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	ep := h.endpoint(net, plainEndpoint)
	post(ep, "attach", `{"ContainerId":"c1","SystemType":"Container"}`)
	h.wantState(ep, "2 Container 2 c1")
	post(ep, "attach", `{"ContainerId":"c2","SystemType":"Container"}`)
	h.wantState(ep, "3 Container 2 c1,c2")
	if got := fmt.Sprint(h.v1(EndpointKind, ep)["SharedContainers"]); got != "[c1 c2]" {
		t.Errorf("SharedContainers %s", got)
	}
	second := h.endpoint(net, plainEndpoint)
	post(second, "attach", `{"ContainerId":"c1","SystemType":"Container"}`)
	h.wantState(second, "2 Container 2 c1") // the container's compartment
	post(ep, "detach", `{"ContainerId":"c2","SystemType":"Container"}`)
	h.wantState(ep, "2 Container 2 c1")
	post(ep, "detach", `{"ContainerId":"c1","SystemType":"Container"}`)
	h.wantState(ep, "4  0 ")
	post(ep, "attach", `{"SystemType":"VirtualMachine","VirtualNicName":"vm--nic"}`)
	h.wantState(ep, "2 VirtualMachine 3 ")
	post(ep, "detach", `{"SystemType":"VirtualMachine"}`)
	post(ep, "attach", `{"SystemType":"Host","CompartmentId":1}`)
	h.wantState(ep, "2 Host 1 ")
	post(ep, "detach", `{"SystemType":"Host"}`)
	h.wantState(ep, "4  0 ")
}

func TestAVirtualMachineTakesAPortThroughModify(t *testing.T) {
	h := mkHost(t, hcn.WS2022)
	ep := h.endpoint(h.network(natDoc), plainEndpoint)
	h.must(h.modify(EndpointKind, ep, "Port", "Add", `{"PortId":"`+unknownID+`","VirtualNicName":"n","VirtualMachineId":"`+hcn.ZeroGUID+`"}`))
	h.wantState(ep, "2 VirtualMachine 2 ")
	extra := h.doc(EndpointKind, ep)["Health"].(map[string]any)["Extra"].(map[string]any)
	if !strings.Contains(fmt.Sprint(extra["Resources"]), "EndpointPortGuid:"+unknownID) {
		t.Errorf("no allocator with the port's GUID: %v", extra["Resources"])
	}
	h.must(h.modify(EndpointKind, ep, "Port", "Remove", `{}`))
	h.wantState(ep, "4  0 ")
}

func TestDeletingCascadesAndLeavesNoReference(t *testing.T) {
	h := mkHost(t, hcn.WS2022)
	net := h.network(overlayDoc)
	a, b := h.endpoint(net, plainEndpoint), h.endpoint(net, plainEndpoint)
	ns := h.namespace(hcn.HostNamespace)
	h.must(h.join(ns, a))
	h.must(h.StartContainer(ns, "c1", ""))
	lb := h.create(LoadBalancerKind, "", strings.Replace(balancerDoc("10.96.0.1", a), a, a+`","`+b, 1))
	route := h.create(RouteKind, "", `{"HostComputeEndpoints":["`+b+`"],"Setting":[{"DestinationPrefix":"169.254.169.254/24","NextHop":"127.10.0.34"}]}`)

	h.must(h.DeleteEndpoint(a)) // while attached
	checkInvariants(t, h.State())
	if l := h.lb(lb); len(l.Endpoints) != 1 || l.Doc.HostComputeEndpoints[0] != b || len(h.ns(ns).Endpoints) != 0 {
		t.Errorf("balancer %+v, namespace %v", l.Doc, h.ns(ns).Endpoints)
	}
	h.must(h.DeleteEndpoint(b))
	checkInvariants(t, h.State())
	if l := h.lb(lb); len(l.Endpoints) != 0 || len(h.State().routeByID(route).Endpoints) != 0 {
		t.Error("a reference to a deleted endpoint stays")
	}
	c := h.endpoint(net, plainEndpoint)
	h.create(LoadBalancerKind, "", balancerDoc("10.96.0.2", c))
	h.must(h.DeleteNetwork(net)) // D.3-20
	s := h.State()
	if len(s.Networks)+len(s.Endpoints)+len(s.LoadBalancers)+len(s.Routes) != 0 {
		t.Errorf("%d networks, %d endpoints, %d balancers, %d routes are left", len(s.Networks), len(s.Endpoints), len(s.LoadBalancers), len(s.Routes))
	}
}

func TestNumbersAreNeverReused(t *testing.T) {
	h := mkHost(t, hcn.WS2022)
	net := h.network(natDoc)
	first := h.ep(h.endpoint(net, plainEndpoint)).Num
	h.must(h.DeleteEndpoint(h.State().Endpoints[0].Doc.ID))
	if second := h.ep(h.endpoint(net, plainEndpoint)).Num; second == first {
		t.Errorf("endpoint number %d came back", second)
	}
	old := h.net(net).Num
	h.must(h.DeleteNetwork(net))
	if n := h.net(h.network(natDoc)).Num; n == old {
		t.Errorf("network number %d came back", n)
	}
}

func TestRestartKeepsOrLosesEndpointsByVersion(t *testing.T) {
	for _, tt := range []struct {
		profile string
		knobs   []string
		kept    bool
	}{{hcn.WS2022, nil, false}, {hcn.WS2025, nil, true}, {hcn.WS2022, []string{"hnsRestart=restore"}, true}} {
		h := mkHost(t, tt.profile, tt.knobs...)
		net := h.network(natDoc)
		ep, ns := h.endpoint(net, plainEndpoint), h.namespace(hcn.HostNamespace)
		h.create(LoadBalancerKind, "", balancerDoc("10.96.0.1", ep))
		h.must(h.join(ns, ep))
		applied := len(h.applied)
		h.must(h.Restart())
		s := h.State()
		if (len(s.Endpoints) == 1) != tt.kept || (len(s.LoadBalancers) == 1) != tt.kept || len(s.Networks) != 1 || len(s.Namespaces) != 2 {
			t.Errorf("%s: %d endpoints, %d balancers, %d networks", tt.profile, len(s.Endpoints), len(s.LoadBalancers), len(s.Networks))
		}
		if len(h.applied) != applied+1 {
			t.Error("the data plane was not told")
		}
		checkInvariants(t, s)
	}
}

func TestRebootKeepsWhatTheContractSays(t *testing.T) {
	persistent := strings.Replace(overlayDoc, `"Flags":8`, `"Flags":0`, 1)
	for _, tt := range []struct {
		profile string
		knobs   []string
		want    string
	}{
		{hcn.WS2016, nil, "nat cbr0"}, {hcn.WS2019, nil, "cbr0"}, {hcn.WS2022, nil, "cbr0"},
		{hcn.WS2022, []string{"rebootExternal=drop"}, ""},
	} {
		h := mkHost(t, tt.profile, tt.knobs...)
		net := h.network(natDoc)
		h.network(bridgeDoc)
		ep, ns := h.endpoint(net, plainEndpoint), h.namespace(hcn.HostNamespace)
		h.must(h.join(ns, ep))
		h.must(h.StartContainer(ns, "c1", ""))
		h.must(h.Reboot())
		var names []string
		for _, n := range h.State().Networks {
			names = append(names, n.Doc.Name)
		}
		if got := strings.Join(names, " "); got != tt.want {
			t.Errorf("%s %v: %q, want %q", tt.profile, tt.knobs, got, tt.want)
		}
		s := h.State()
		if len(s.Endpoints) != 0 || len(s.Namespaces) != 1 || s.Namespaces[0].Compartment != 1 {
			t.Errorf("%s: %d endpoints, namespaces %v", tt.profile, len(s.Endpoints), s.Namespaces)
		}
		checkInvariants(t, s)
	}
	h := mkHost(t, hcn.WS2022)
	h.network(overlayDoc) // flag 8 asks for removal
	h.network(strings.Replace(strings.Replace(persistent, "vxlan0", "vxlan1", 1), "4096", "4097", 1))
	h.must(h.Reboot())
	if s := h.State(); len(s.Networks) != 1 || s.Networks[0].Doc.Name != "vxlan1" {
		t.Errorf("%d networks", len(s.Networks))
	}
}

func TestNotificationsFollowTheChange(t *testing.T) {
	h := mkHost(t, hcn.WS2022)
	net := h.network(natDoc)
	ep, ns := h.endpoint(net, plainEndpoint), h.namespace(hcn.HostNamespace)
	h.must(h.join(ns, ep))
	h.must(h.StartContainer(ns, "c1", ""))
	h.must(h.StopContainer(ns, "c1"))
	h.must(h.DeleteNamespace(ns))
	h.must(h.DeleteNetwork(net))
	var got []string
	for _, n := range h.notes {
		got = append(got, fmt.Sprintf("%#x", uint32(n.Type)))
	}
	if want := "0x1 0x2 0x5 0x9 0x10 0x6 0x3 0x4"; strings.Join(got, " ") != want {
		t.Errorf("%v, want %s", got, want)
	}
	if string(h.notes[0].Data) != `{"ID":"`+net+`","Flags":0}` {
		t.Errorf("data %s", h.notes[0].Data)
	}
}

func TestTheHostNamespaceIsAlwaysThere(t *testing.T) {
	h := mkHost(t, hcn.WS2022, "hostNamespaceId=910F7D92-BA2D-4C3F-98AE-7C0AC590D2DC")
	id := h.ids(NamespaceKind, "")[0]
	d := h.doc(NamespaceKind, id)
	if id != "910f7d92-ba2d-4c3f-98ae-7c0ac590d2dc" || d["Type"] != "HostDefault" || d["NamespaceId"] != 1.0 {
		t.Errorf("%s %v", id, d)
	}
	if v1 := h.v1(NamespaceKind, id); v1["IsDefault"] != true || v1["CompartmentId"] != 1.0 {
		t.Errorf("v1 view %v", v1)
	}
}
