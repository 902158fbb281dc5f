package sim

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/sim/fabric"
	"github.com/hnsim/hnsim/sim/fabric/ipstack"
	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/hns"
	"github.com/hnsim/hnsim/sim/wire"
)

// The objects of real hosts that were published: see the samples' README in
// sim/hcn/testdata. They are posted to a host as they are, as somebody does who
// rebuilds a node from its dump, and must work.

// sample reads the objects of a published file.
func sample(t *testing.T, name string) []json.RawMessage {
	t.Helper()
	files, err := filepath.Glob("hcn/testdata/samples/" + name + "-*.json")
	if err != nil || len(files) != 1 {
		t.Fatalf("sample %s: %v, %v", name, files, err)
	}
	raw, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	var envelope struct{ Output json.RawMessage }
	if json.Unmarshal(raw, &envelope) == nil && envelope.Output != nil {
		raw = envelope.Output
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) == nil {
		return list
	}
	return []json.RawMessage{raw}
}

// nodeLab is a world whose hosts have the addresses of a dump, each in a /24 of
// its own behind one router, with the external server.
func nodeLab(t *testing.T, profile string, addrs ...string) *lab {
	t.Helper()
	l := &lab{t: t, recv: map[string][]string{}}
	w, err := New(Config{Profile: profile, Observer: fabric.Observer{
		OnWire: func(_ int64, n *fabric.NIC, dir fabric.WireDir, frame []byte, _ uint64) {
			l.wire = append(l.wire, fmt.Sprintf("%s %s %s", n.Node(), dir, wire.Summary(frame)))
		}}})
	if err != nil {
		t.Fatal(err)
	}
	l.w = w
	var gateways []netip.Prefix
	seen := map[netip.Addr]bool{}
	for i, a := range addrs {
		p := netip.MustParsePrefix(a + "/24")
		gw := p.Masked().Addr().Next()
		if !seen[gw] {
			seen[gw] = true
			gateways = append(gateways, netip.PrefixFrom(gw, 24))
		}
		h, err := w.AddHost(HostConfig{Name: fmt.Sprintf("h%d", i+1), Addrs: prefixOf(p.String()), Gateway: gw, MAC: wire.MAC{0, 0x15, 0x5D, 0x82, 1, byte(i + 1)}})
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			l.h1 = h
		} else {
			l.h2 = h
		}
	}
	if _, err := w.Net.AddRouter(fabric.NodeConfig{Name: "r", Ifaces: []fabric.IfaceConfig{
		{Segment: "lan", Addrs: gateways}, {Segment: "wan", Addrs: prefixOf("203.0.113.1/24")}}}); err != nil {
		t.Fatal(err)
	}
	if l.x, err = w.Net.AddExternal(fabric.NodeConfig{Name: "x", Ifaces: []fabric.IfaceConfig{{Segment: "wan", Addrs: prefixOf("203.0.113.80/24")}}}); err != nil {
		t.Fatal(err)
	}
	return l
}

// post sends a document to a collection of the v1 interface and checks that
// what is shown has what was sent; computed names members that the service
// makes up by itself.
func (l *lab) post(h *Host, path string, doc []byte, computed string) (id string) {
	l.t.Helper()
	out, err := h.HNS.HNSRequest("POST", path, doc)
	if err != nil {
		l.t.Fatalf("POST %s: %v", path, err)
	}
	var sent, shown map[string]any
	if json.Unmarshal(doc, &sent) != nil || json.Unmarshal(out, &shown) != nil {
		l.t.Fatalf("no objects: %s %s", doc, out)
	}
	for name, want := range sent {
		if strings.Contains(" "+alwaysComputed+" "+computed+" ", " "+name+" ") {
			continue
		}
		if !covers(shown[name], want) {
			l.t.Errorf("%s: sent %v, shown %v", name, want, shown[name])
		}
	}
	id, _ = shown["ID"].(string)
	l.checkV2(h, path, id, doc, computed)
	return id
}

// checkV2 compares what the v2 shape shows with the document in that shape.
func (l *lab) checkV2(h *Host, path, id string, doc []byte, computed string) {
	l.t.Helper()
	var kind hns.Kind
	var raw []byte
	switch path {
	case "/networks/":
		n, err := hcn.DecodeNetwork(doc)
		if err != nil {
			l.t.Fatal(err)
		}
		kind, raw = hns.NetworkKind, n.Encode(hcn.V2)
	case "/endpoints/":
		e, err := hcn.DecodeEndpoint(doc)
		if err != nil {
			l.t.Fatal(err)
		}
		kind, raw = hns.EndpointKind, e.Encode(hcn.V2)
	default:
		return
	}
	out, err := h.HNS.Query(kind, id, nil)
	if err != nil {
		l.t.Fatal(err)
	}
	var sent, shown map[string]any
	if json.Unmarshal(raw, &sent) != nil || json.Unmarshal(out, &shown) != nil {
		l.t.Fatalf("no objects: %s %s", raw, out)
	}
	for name, want := range sent {
		if strings.Contains(" "+alwaysComputed+" "+v1Alone+" "+computed+" ", " "+name+" ") {
			continue
		}
		got := shown[name]
		if name == "Policies" { // HNS adds some
			got = among(got, want)
		}
		if !covers(got, want) {
			l.t.Errorf("v2 %s: sent %v, shown %v", name, want, shown[name])
		}
	}
}

// among are the entries of list that cover those of want, in the order of want.
func among(list, want any) any {
	var out []any
	have, _ := list.([]any)
	wanted, _ := want.([]any)
	for _, w := range wanted {
		for _, h := range have {
			if covers(h, w) {
				out = append(out, h)
				break
			}
		}
	}
	return out
}

// alwaysComputed members differ from host to host: identities of what is below
// the control plane, times, counters.
const alwaysComputed = "ActivityId Health Resources State LayeredOn NatName Version CreateProcessingStartTime CompartmentId CompartmentGuid Containers"

// v1Alone are members that only the v1 shape shows.
const v1Alone = "SchemaVersion Extensions IPv6 SwitchName VirtualNetworkName CurrentEndpointCount MaxConcurrentEndpoints TotalEndpoints DNSServerCompartment GatewayMac"

// covers reports whether all of want is in got. Ids are equal in any case, and
// a member with its zero value may be left out (rules B4, B7).
func covers(got, want any) bool {
	switch w := want.(type) {
	case map[string]any:
		g, _ := got.(map[string]any)
		for k, v := range w {
			if !covers(g[k], v) {
				return false
			}
		}
		return true
	case []any:
		g, _ := got.([]any)
		if len(g) != len(w) {
			return false
		}
		for i := range w {
			if !covers(g[i], w[i]) {
				return false
			}
		}
		return true
	case string:
		g, _ := got.(string)
		return g == w || hcn.IsGUID(w) && hcn.SameID(g, w)
	case float64, bool:
		return got == w || got == nil && (w == 0.0 || w == false)
	}
	return got == want
}

// run starts a container on an endpoint, which may be in a namespace already.
func (l *lab) run(h *Host, ep string) *ipstack.Stack {
	l.t.Helper()
	ns := h.NamespaceOf(ep)
	if ns == "" {
		var err error
		if ns, err = h.HNS.CreateNamespace("", []byte(`{"Type":"Host"}`)); err != nil {
			l.t.Fatal(err)
		}
		req := fmt.Sprintf(`{"ResourceType":"Endpoint","RequestType":"Add","Settings":{"EndpointId":%q}}`, ep)
		if err := h.HNS.ModifyNamespace(ns, []byte(req)); err != nil {
			l.t.Fatal(err)
		}
	}
	if err := h.HNS.StartContainer(ns, "c-"+ep[:8], hns.ProcessIsolated); err != nil {
		l.t.Fatal(err)
	}
	return h.Compartment(h.State().NamespaceByID(ns).Compartment).Stack
}

// onWire reports whether a frame that contains all parts crossed a wire.
func (l *lab) onWire(parts ...string) bool {
	for _, f := range l.wire {
		found := true
		for _, p := range parts {
			found = found && strings.Contains(f, p)
		}
		if found {
			return true
		}
	}
	return false
}

func v1Endpoint(net, ip string) []byte {
	return fmt.Appendf(nil, `{"VirtualNetwork":%q,"IPAddress":%q}`, net, ip)
}

// TestNATNetworksOfRealHostsCarryPackets loads samples 01, 03, 04 and 18: two
// pods reach each other, and the outside sees the host.
func TestNATNetworksOfRealHostsCarryPackets(t *testing.T) {
	for _, tt := range []struct {
		sample   string
		index    int
		profile  string
		fix      [2]string // a typing error of the source
		computed string
		pods     [2]string
	}{
		{"01", 0, hcn.WS2022, [2]string{}, "", [2]string{"172.21.16.10", "172.21.31.20"}},
		{"03", 1, hcn.WS2019, [2]string{}, "", [2]string{"", ""}},
		{"04", 0, hcn.WS2025, [2]string{"192.169.201.241", "192.168.201.241"}, "", [2]string{"192.168.201.242", "192.168.201.246"}},
		// ExternalInterfaceAddress is a member of RS1 alone, and its SwitchGuid is
		// that of a switch which the dump does not have.
		{"18", 0, hcn.WS2016, [2]string{}, "ExternalInterfaceAddress SwitchGuid", [2]string{"172.21.112.10", "172.21.120.1"}},
	} {
		t.Run(tt.sample, func(t *testing.T) {
			l := nodeLab(t, tt.profile, "10.1.36.50")
			doc := sample(t, tt.sample)[tt.index]
			if tt.fix[0] != "" {
				if _, err := l.h1.HNS.HNSRequest("POST", "/networks/", doc); !strings.Contains(fmt.Sprint(err), tt.fix[0]) {
					t.Errorf("the typing error is answered with %v", err)
				}
				doc = []byte(strings.ReplaceAll(string(doc), tt.fix[0], tt.fix[1]))
			}
			net := l.post(l.h1, "/networks/", doc, tt.computed)
			var pods []*ipstack.Stack
			for i := range tt.pods {
				pods = append(pods, l.run(l.h1, l.post(l.h1, "/endpoints/", v1Endpoint(net, tt.pods[i]), "IPAddress")))
			}
			second := l.h1.State().Endpoints[1].Addr().String()
			l.serve(pods[1], 80)
			l.ask(pods[0], second+":80")
			l.serve(l.x.Stack(), 80)
			l.ask(pods[0], "203.0.113.80:80")
			if !l.onWire("x rx", "10.1.36.50>203.0.113.80") {
				t.Error("the external server did not see the host's address")
			}
		})
	}
}

// TestANodeWithAnOverlayAndANATNetworkIsRebuilt loads both networks of sample
// 03 and routes the overlay's pods to a second host.
func TestANodeWithAnOverlayAndANATNetworkIsRebuilt(t *testing.T) {
	l := nodeLab(t, hcn.WS2019, "10.1.36.50", "10.1.36.51")
	docs := sample(t, "03")
	vx := l.post(l.h1, "/networks/", docs[0], "")
	nat := l.post(l.h1, "/networks/", docs[1], "")
	far := l.network(l.h2, `{"Name":"External","Type":"overlay","Subnets":[{"AddressPrefix":"192.168.254.0/24","GatewayAddress":"192.168.254.1","Policies":[{"Type":"VSID","VSID":9999}]}]}`)
	peer := l.h2.State().NetworkByID(far)
	route := fmt.Sprintf(`{"ResourceType":"Policy","RequestType":"Add","Settings":{"Policies":[{"Type":"RemoteSubnetRoute","Settings":{"DestinationPrefix":"192.168.254.0/24","IsolationId":9999,"ProviderAddress":"10.1.36.51","DistributedRouterMacAddress":%q}}]}}`, hcn.FormatMAC(peer.DRMAC))
	if err := l.h1.HNS.ModifyNetwork(vx, []byte(route)); err != nil {
		t.Fatal(err)
	}
	back := `{"ResourceType":"Policy","RequestType":"Add","Settings":{"Policies":[{"Type":"RemoteSubnetRoute","Settings":{"DestinationPrefix":"192.168.255.0/30","IsolationId":9999,"ProviderAddress":"10.1.36.50","DistributedRouterMacAddress":"00-15-5D-BB-6E-B1"}}]}}`
	if err := l.h2.HNS.ModifyNetwork(far, []byte(back)); err != nil {
		t.Fatal(err)
	}
	near := l.run(l.h1, l.post(l.h1, "/endpoints/", v1Endpoint(vx, "192.168.255.2"), ""))
	there := l.run(l.h2, l.post(l.h2, "/endpoints/", v1Endpoint(far, "192.168.254.20"), ""))
	l.serve(there, 80)
	l.ask(near, "192.168.254.20:80")
	if !l.onWire("10.1.36.50>10.1.36.51", "vxlan(vni 9999)", "192.168.255.2>192.168.254.20") {
		t.Error("nothing was encapsulated towards the peer's PA")
	}
	l.serve(l.x.Stack(), 80)
	l.ask(l.run(l.h1, l.post(l.h1, "/endpoints/", v1Endpoint(nat, ""), "IPAddress")), "203.0.113.80:80")
}

// TestEndpointsOfRealHostsWork loads the endpoints of samples 08, 12, 16 and
// the namespaces of sample 10 onto networks that have what the endpoints say of
// them; packets flow from and to their addresses.
func TestEndpointsOfRealHostsWork(t *testing.T) {
	t.Run("08 of a nat network", func(t *testing.T) {
		l := nodeLab(t, hcn.WS2022, "10.1.36.50")
		l.post(l.h1, "/networks/", []byte(`{"ID":"40472233-959e-46ce-b5c4-334fe808616a","Name":"nat","Type":"nat","Subnets":[{"AddressPrefix":"172.24.144.0/20","GatewayAddress":"172.24.144.1","IpSubnets":[{"ID":"3dcc69b3-0fa9-431f-800d-ddb4f3bc78a0","IpAddressPrefix":"172.24.144.0/20","Flags":3}]}]}`), "")
		pod := l.run(l.h1, l.post(l.h1, "/endpoints/", sample(t, "08")[0], ""))
		l.serve(l.x.Stack(), 80)
		l.ask(pod, "203.0.113.80:80")
		if e := l.h1.State().Endpoints[0]; e.Addr().String() != "172.24.147.17" || hcn.FormatMAC(e.MAC) != "00-15-5D-D0-34-C9" {
			t.Errorf("%s %x", e.Addr(), e.MAC)
		}
	})
	t.Run("16 in a namespace", func(t *testing.T) {
		l := nodeLab(t, hcn.WS2025, "10.1.36.50")
		l.post(l.h1, "/networks/", []byte(`{"ID":"76177bd4-a2b5-43a6-9cb8-a37d9d903123","Name":"nat","Type":"nat","Subnets":[{"AddressPrefix":"172.27.144.0/20","GatewayAddress":"172.27.144.1","IpSubnets":[{"ID":"6815fda3-cd3e-47b7-adfe-ef4d32160abe","IpAddressPrefix":"172.27.144.0/20","Flags":3}]}]}`), "")
		l.post(l.h1, "/namespaces/", []byte(`{"ID":"2c094b9e-af3a-4dc1-97d8-821b68603d23","IsDefault":false}`), "")
		pod := l.run(l.h1, l.post(l.h1, "/endpoints/", sample(t, "16")[0], ""))
		l.serve(l.x.Stack(), 80)
		l.ask(pod, "203.0.113.80:80")
	})
	t.Run("12 attached to the host", func(t *testing.T) {
		l := nodeLab(t, hcn.WS2019, "10.0.1.50")
		net := l.post(l.h1, "/networks/", []byte(`{"Name":"OVNKubernetes","Type":"transparent","Subnets":[{"AddressPrefix":"10.0.1.0/24","GatewayAddress":"10.0.1.1"}]}`), "")
		var doc map[string]any
		if err := json.Unmarshal(sample(t, "12")[0], &doc); err != nil {
			t.Fatal(err)
		}
		doc["VirtualNetwork"] = net // the source does not show it
		raw, _ := json.Marshal(doc)
		ep := l.post(l.h1, "/endpoints/", raw, "")
		if _, err := l.h1.HNS.HNSRequest("POST", "/endpoints/"+ep+"/attach", []byte(`{"SystemType":"Host","CompartmentId":1}`)); err != nil {
			t.Fatal(err)
		}
		var shown struct {
			Resources struct {
				Allocators []struct{ Tag, MacAddress string }
			}
		}
		out, err := l.h1.HNS.HNSRequest("GET", "/endpoints/"+ep, nil)
		if err != nil || json.Unmarshal(out, &shown) != nil || len(shown.Resources.Allocators) < 2 || shown.Resources.Allocators[0].Tag != "Endpoint Port" {
			t.Errorf("%s %v", out, err)
		}
		l.serve(l.h1.Stack(), 80)
		l.ask(l.run(l.h1, l.post(l.h1, "/endpoints/", v1Endpoint(net, "10.0.1.60"), "")), "10.0.1.188:80")
	})
	t.Run("10 namespaces with their endpoint", func(t *testing.T) {
		l := nodeLab(t, hcn.WS2022, "10.1.36.50")
		net := l.post(l.h1, "/networks/", []byte(`{"Name":"nat","Type":"nat","Subnets":[{"AddressPrefix":"172.20.0.0/20","GatewayAddress":"172.20.0.1"}]}`), "")
		l.post(l.h1, "/endpoints/", []byte(`{"ID":"7CC03AF7-2978-449F-9968-595862B80F8B","VirtualNetwork":"`+net+`"}`), "")
		for _, doc := range sample(t, "10") {
			l.post(l.h1, "/namespaces/", doc, "")
		}
		l.serve(l.x.Stack(), 80)
		l.ask(l.run(l.h1, "7cc03af7-2978-449f-9968-595862b80f8b"), "203.0.113.80:80")
	})
}

// TestRemoteEndpointsOfRealHostsLeadThere loads samples 06 and 20.
func TestRemoteEndpointsOfRealHostsLeadThere(t *testing.T) {
	t.Run("06 through the overlay", func(t *testing.T) {
		l := nodeLab(t, hcn.WS2019, "10.123.73.5", "10.123.74.74")
		net := l.post(l.h1, "/networks/", []byte(`{"ID":"9d59c0df-b1e2-4eee-9fde-b7ea829fc6a1","Name":"vxlan0","Type":"Overlay","Subnets":[{"AddressPrefix":"10.244.0.0/16","GatewayAddress":"10.244.1.1","Policies":[{"Type":"VSID","VSID":4096}]}]}`), "")
		l.post(l.h1, "/endpoints/", sample(t, "06")[0], "Type EncapOverhead")
		far := l.network(l.h2, `{"Name":"vxlan0","Type":"Overlay","Subnets":[{"AddressPrefix":"10.244.0.0/16","GatewayAddress":"10.244.2.1","Policies":[{"Type":"VSID","VSID":4096}]}]}`)
		server := l.run(l.h2, l.post(l.h2, "/endpoints/", []byte(`{"VirtualNetwork":"`+far+`","IPAddress":"10.244.2.141","MacAddress":"0E-2A-0a-f4-02-8d"}`), ""))
		l.post(l.h2, "/endpoints/", []byte(`{"VirtualNetwork":"`+far+`","IPAddress":"10.244.1.9","MacAddress":"0E-2A-0A-F4-01-09","IsRemoteEndpoint":true,"Policies":[{"Type":"PA","PA":"10.123.73.5"}]}`), "")
		pod := l.run(l.h1, l.post(l.h1, "/endpoints/", []byte(`{"VirtualNetwork":"`+net+`","IPAddress":"10.244.1.9","MacAddress":"0E-2A-0A-F4-01-09"}`), ""))
		l.serve(server, 80)
		l.ask(pod, "10.244.2.141:80")
		if !l.onWire("10.123.73.5>10.123.74.74", "vxlan(vni 4096)", "0E-2A-0A-F4-02-8D") {
			t.Error("nothing was encapsulated towards the PA of the sample")
		}
	})
	t.Run("20 through the node's network", func(t *testing.T) {
		l := nodeLab(t, hcn.WS2019, "10.240.0.5")
		net := l.post(l.h1, "/networks/", []byte(`{"ID":"e30debd4-0c3b-49d7-adcd-968a1b6742c1","Name":"l2bridge","Type":"L2Bridge","Subnets":[{"AddressPrefix":"10.244.0.0/24","GatewayAddress":"10.244.0.1"}]}`), "")
		l.post(l.h1, "/endpoints/", sample(t, "20")[0], "Type")
		// The node routes its pods, through an endpoint of its own (start-kubelet.ps1).
		ep := l.post(l.h1, "/endpoints/", []byte(`{"Name":"cbr0_ep","VirtualNetwork":"`+net+`","IPAddress":"10.244.0.2","GatewayAddress":"10.240.0.1"}`), "")
		if _, err := l.h1.HNS.HNSRequest("POST", "/endpoints/"+ep+"/attach", []byte(`{"SystemType":"Host","CompartmentId":1}`)); err != nil {
			t.Fatal(err)
		}
		l.h1.Stack().SetForwarding(true) // netsh interface ipv4 set interface ... forwarding=enabled
		pod := l.run(l.h1, l.post(l.h1, "/endpoints/", []byte(`{"VirtualNetwork":"`+net+`","IPAddress":"10.244.0.9","GatewayAddress":"10.244.0.2"}`), ""))
		if _, _, err := pod.SendUDP(l.w.Loop().Now(), ipstack.UDPOptions{Dst: netip.MustParseAddrPort("10.244.1.6:53"), Payload: []byte("x")}); err != nil {
			t.Fatal(err)
		}
		l.settle()
		if !l.onWire("h1 tx", "10.244.0.9>10.244.1.6") {
			l.dump()
			t.Error("nothing left the node for the address of the sample")
		}
	})
}

// TestALoadBalancerOfARealHostBalances loads sample 14, calico's, through HCN.
func TestALoadBalancerOfARealHostBalances(t *testing.T) {
	l := nodeLab(t, hcn.WS2022, "10.127.130.35")
	net := l.network(l.h1, `{"Name":"Calico","Type":"L2Bridge","Ipams":[{"Subnets":[{"IpAddressPrefix":"10.127.130.0/24","Routes":[{"NextHop":"10.127.130.1","DestinationPrefix":"0.0.0.0/0"}]}]}]}`)
	backend := l.run(l.h1, l.endpointWithID(net, "90726009-0478-4888-b521-b0a259dbc268", "10.127.130.110"))
	client := l.run(l.h1, l.endpointWithID(net, "90726009-0478-4888-b521-b0a259dbc269", "10.127.130.111"))
	doc := sample(t, "14")[0]
	id, shown, err := l.h1.HNS.Do("loadbalancer", "create", "", "", doc)
	if err != nil || id != "37aa41cf-ff54-4626-9dd6-eb6eb236aaa1" {
		t.Fatalf("%s, %v", id, err)
	}
	var sent, got any
	if json.Unmarshal(doc, &sent) != nil || json.Unmarshal(shown, &got) != nil || !covers(got, sent) {
		t.Errorf("sent %s, shown %s", doc, shown)
	}
	l.serve(backend, 443)
	l.ask(client, "10.98.164.216:443")
}

func (l *lab) endpointWithID(net, id, ip string) string {
	l.t.Helper()
	got, err := l.h1.HNS.CreateEndpoint(net, "", fmt.Appendf(nil, `{"ID":%q,"IpConfigurations":[{"IpAddress":%q}],"SchemaVersion":{"Major":2}}`, id, ip))
	if err != nil {
		l.t.Fatal(err)
	}
	return got
}

// TestTheErrorOfARealHostIsAnswered covers sample 22: a name in use.
func TestTheErrorOfARealHostIsAnswered(t *testing.T) {
	var want, got struct {
		Success   bool
		Error     string
		ErrorCode uint32
	}
	if err := json.Unmarshal(sample(t, "22")[0], &want); err != nil {
		t.Fatal(err)
	}
	l := nodeLab(t, hcn.WS2019, "10.1.36.50")
	l.network(l.h1, natNet)
	raw, _ := l.h1.HNS.HNSCall("POST", "/networks/", []byte(natNet))
	if err := json.Unmarshal(raw, &got); err != nil || got.Success != want.Success || got.ErrorCode != want.ErrorCode || !strings.HasPrefix(got.Error, want.Error) {
		t.Errorf("got %s, want %+v", raw, want)
	}
}

// TestEverySampleIsLoaded keeps this file complete.
func TestEverySampleIsLoaded(t *testing.T) {
	text, err := os.ReadFile("samples_test.go")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("hcn/testdata/samples/*.json")
	if err != nil || len(files) < 12 {
		t.Fatalf("%d samples, %v", len(files), err)
	}
	for _, f := range files {
		number, _, _ := strings.Cut(filepath.Base(f), "-")
		if !strings.Contains(string(text), `"`+number+`"`) {
			t.Errorf("sample %s is not loaded into a host", f)
		}
	}
}
