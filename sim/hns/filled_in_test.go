package hns

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hnsim/hnsim/sim/hcn"
)

func (h *host) net(id string) *Network     { return h.State().NetworkByID(id) }
func (h *host) ep(id string) *Endpoint     { return h.State().EndpointByID(id) }
func (h *host) ns(id string) *Namespace    { return h.State().NamespaceByID(id) }
func (h *host) lb(id string) *LoadBalancer { return h.State().balancerByID(id) }

func TestANATNetworkWithoutSubnetGetsAFreeSlash20AndItsFirstAddressAsGateway(t *testing.T) {
	h := mkHost(t, hcn.WS2022)
	seen := map[netip.Prefix]bool{}
	for i := 0; i < 20; i++ {
		n := h.net(h.network(fmt.Sprintf(`{"Name":"n%d","Type":"NAT"}`, i)))
		s := n.Subnets[0]
		whole := netip.MustParsePrefix("172.16.0.0/12")
		if s.Prefix.Bits() != 20 || !whole.Contains(s.Prefix.Addr()) || s.Gateway != s.Prefix.Addr().Next() || seen[s.Prefix] {
			t.Fatalf("subnet %v gateway %v", s.Prefix, s.Gateway)
		}
		if s.Prefix.Overlaps(netip.MustParsePrefix("172.31.9.0/24")) {
			t.Fatalf("%v overlaps the host's second adapter", s.Prefix)
		}
		seen[s.Prefix] = true
	}
	v1, err := h.HNSRequest("POST", "/networks/", []byte(`{"Name":"moby","Type":"nat","Subnets":[{"AddressPrefix":"0.0.0.0/0","GatewayAddress":"0.0.0.0"}]}`))
	if err != nil || !regexp.MustCompile(`"AddressPrefix":"172\.\d+\.\d+\.0/20","GatewayAddress":"172\.\d+\.\d+\.1"`).Match(v1) {
		t.Errorf("%s, %v", v1, err)
	}
}

func TestTheSlash20sRunOut(t *testing.T) {
	h := mkHost(t, hcn.WS2022)
	for i := 0; ; i++ {
		_, err := h.CreateNetwork("", []byte(fmt.Sprintf(`{"Name":"n%d","Type":"NAT"}`, i)))
		if err != nil {
			wantCode(t, err, hcn.ErrObjectExists)
			if i != 255 { // the host's own 172.31.9.0/24 takes one of 256
				t.Errorf("%d networks fit", i)
			}
			return
		}
	}
}

func TestNATNetworksDifferByVLANOnOneSwitchFrom2022On(t *testing.T) {
	h := mkHost(t, hcn.WS2022)
	a, b := h.net(h.network(natDoc)), h.net(h.network(`{"Name":"nat2","Type":"NAT"}`))
	if a.NATVLAN != 1 || b.NATVLAN != 2 || a.Layer != b.Layer || a.Doc.Flags != hcn.EnableNonPersistent {
		t.Errorf("VLANs %d %d, layers %d %d, flags %d", a.NATVLAN, b.NATVLAN, a.Layer, b.Layer, a.Doc.Flags)
	}
	p, _ := hcn.FindPolicy(b.Doc.Policies, hcn.PolicyVLAN)
	if string(p.Settings) != `{"IsolationId":2}` {
		t.Errorf("policy %s", p.Settings)
	}
	h = mkHost(t, hcn.WS2019)
	a, b = h.net(h.network(natDoc)), h.net(h.network(`{"Name":"nat2","Type":"NAT"}`))
	if a.NATVLAN != 0 || a.Layer == b.Layer || a.Doc.Flags != 0 {
		t.Errorf("2019: VLAN %d, layers %d %d, flags %d", a.NATVLAN, a.Layer, b.Layer, a.Doc.Flags)
	}
}

func TestExternalNetworksGetTheHostsAddressAndShareTheAdaptersSwitch(t *testing.T) {
	h := mkHost(t, hcn.WS2022)
	b, o := h.net(h.network(bridgeDoc)), h.net(h.network(overlayDoc))
	if b.Uplink != "Ethernet" || b.ManagementIP.String() != "10.127.130.35" || b.HostMAC != (Uplink{MAC: [6]byte{0, 0x15, 0x5D, 0x82, 0, 0x23}}).MAC || b.Layer != o.Layer {
		t.Errorf("%+v", b)
	}
	pa, _ := hcn.FindPolicy(o.Doc.Policies, hcn.PolicyProviderAddress)
	dr, _ := hcn.FindPolicy(o.Doc.Policies, hcn.PolicyDrMacAddress)
	if string(pa.Settings) != `{"ProviderAddress":"10.127.130.35"}` || string(dr.Settings) != `{"Address":"`+hcn.FormatMAC(o.DRMAC)+`"}` || o.DRMAC[2] != 0x5D {
		t.Errorf("policies %s %s", pa.Settings, dr.Settings)
	}
	if o.VxlanPort != 4789 || o.Subnets[0].VSID != 4096 {
		t.Errorf("port %d, subnets %+v", o.VxlanPort, o.Subnets)
	}
	v1 := h.v1(NetworkKind, o.Doc.ID)
	if v1["ManagementIP"] != "10.127.130.35" || v1["DrMacAddress"] != hcn.FormatMAC(o.DRMAC) || v1["ID"] != strings.ToUpper(o.Doc.ID) {
		t.Errorf("v1 view %v", v1)
	}
}

func TestAGivenDRMACAndVxlanPortAreKept(t *testing.T) {
	h := mkHost(t, hcn.WS2022)
	doc := strings.Replace(overlayDoc, `"Flags":8`, `"Policies":[{"Type":"DrMacAddress","Settings":{"Address":"00-15-5D-D0-B3-B7"}},{"Type":"VxlanPort","Settings":{"Port":4790}}]`, 1)
	n := h.net(h.network(doc))
	if hcn.FormatMAC(n.DRMAC) != "00-15-5D-D0-B3-B7" || n.VxlanPort != 4790 {
		t.Errorf("%v %d", hcn.FormatMAC(n.DRMAC), n.VxlanPort)
	}
}

func TestAGatewayMACOfTheDocumentIsTheHostVNICs(t *testing.T) {
	h := mkHost(t, hcn.WS2022)
	n := h.net(h.network(`{"Name":"n","Type":"NAT","GatewayMac":"00-15-5D-10-00-01"}`))
	if hcn.FormatMAC(n.HostMAC) != "00-15-5D-10-00-01" {
		t.Error(hcn.FormatMAC(n.HostMAC))
	}
	_, err := h.CreateNetwork("", []byte(`{"Name":"m","Type":"NAT","GatewayMac":5}`))
	wantCode(t, err, hcn.ErrInvalidNetwork)
}

func TestMACPoolsAreBlocksOf4096ThatDoNotMeet(t *testing.T) {
	h := mkHost(t, hcn.WS2022)
	for i := 0; i < 40; i++ {
		n := h.net(h.network(fmt.Sprintf(`{"Name":"n%d","Type":"Private"}`, i)))
		if macNumber(n.Pool.Last)-macNumber(n.Pool.First) != 4095 || n.Pool.First[2] != 0x5D || n.Pool.First[5] != 0 || n.Pool.First[4]&0x0F != 0 {
			t.Fatalf("pool %v", n.Pool)
		}
		for _, o := range h.State().Networks {
			if o != n && o.Pool.overlaps(n.Pool) {
				t.Fatalf("%v meets %v", o.Pool, n.Pool)
			}
		}
	}
}

func TestAnEndpointGetsWhatItDoesNotBring(t *testing.T) {
	h := mkHost(t, hcn.WS2022)
	net := h.network(strings.Replace(natDoc, `"Dns":{}`, `"Dns":{"Domain":"d","ServerList":["10.0.0.10"]}`, 1))
	e := h.ep(h.endpoint(net, plainEndpoint))
	n := h.net(net)
	if !n.Subnets[0].Prefix.Contains(e.Addr()) || e.Addrs[0].Bits != 24 || e.Addrs[0].Gateway.String() != "192.168.100.1" {
		t.Errorf("addresses %+v", e.Addrs)
	}
	if macNumber(e.MAC) < macNumber(n.Pool.First) || macNumber(e.MAC) > macNumber(n.Pool.Last) || e.Doc.MacAddress != hcn.FormatMAC(e.MAC) {
		t.Errorf("MAC %s", e.Doc.MacAddress)
	}
	d := h.doc(EndpointKind, e.Doc.ID)
	routes := d["Routes"].([]any)[0].(map[string]any)
	if routes["NextHop"] != "192.168.100.1" || d["State"] != 1.0 || d["HostComputeNetwork"] != n.Doc.ID || d["Name"] != "e" {
		t.Errorf("document %v", d)
	}
	ip := d["IpConfigurations"].([]any)[0].(map[string]any)
	if ip["PrefixLength"] != 24.0 || ip["IpSubnetId"] != n.Doc.Ipams[0].Subnets[0].IpSubnets[0].ID {
		t.Errorf("IpConfigurations %v", ip)
	}
	dns := d["Dns"].(map[string]any)
	if dns["Domain"] != "d" || dns["ServerList"].([]any)[0] != "10.0.0.10" {
		t.Errorf("Dns %v", dns)
	}
}

func TestAddressesAreChosenOnceEachAndNotInOrder(t *testing.T) {
	h := mkHost(t, hcn.WS2022)
	net := h.network(`{"Name":"s","Type":"NAT","Ipams":[{"Subnets":[{"IpAddressPrefix":"192.168.1.0/27"}]}]}`)
	var addrs []netip.Addr
	for i := 0; i < 29; i++ { // 32 less network, gateway and broadcast
		addrs = append(addrs, h.ep(h.endpoint(net, plainEndpoint)).Addr())
	}
	if slices.IsSortedFunc(addrs, netip.Addr.Compare) {
		t.Error("addresses are sequential")
	}
	seen := map[netip.Addr]bool{}
	for _, a := range addrs {
		if seen[a] || a.String() == "192.168.1.0" || a.String() == "192.168.1.1" || a.String() == "192.168.1.31" {
			t.Errorf("%v is taken or reserved", a)
		}
		seen[a] = true
	}
	_, err := h.CreateEndpoint(net, "", []byte(plainEndpoint))
	wantCode(t, err, hcn.ErrAddrInvalidOrReserved)
	h.must(h.DeleteEndpoint(h.State().Endpoints[3].Doc.ID))
	if got := h.ep(h.endpoint(net, plainEndpoint)).Addr(); got != addrs[3] {
		t.Errorf("the freed address %v was not reused: %v", addrs[3], got)
	}
}

func TestEqualSeedsGiveEqualObjects(t *testing.T) {
	build := func() string {
		h := mkHost(t, hcn.WS2022)
		net := h.network(`{"Name":"n","Type":"NAT"}`)
		_, _ = h.CreateNetwork("", []byte(`{"Name":"n","Type":"NAT"}`)) // fails: must not move the generator
		h.endpoint(net, plainEndpoint)
		h.namespace(hcn.HostNamespace)
		h.network(overlayDoc)
		return deepCopy(t, h.State())
	}
	if a, b := build(), build(); a != b {
		t.Errorf("\n%s\n%s", a, b)
	}
	h := mkHost(t, hcn.WS2022)
	first := *h.State()
	_, _ = h.CreateNetwork("", []byte(`{"Name":"n","Type":"Bogus"}`))
	if h.State().counters != first.counters {
		t.Error("a failed operation moved a counter")
	}
}

func TestMACsAreEchoedAsTyped(t *testing.T) {
	h := mkHost(t, hcn.WS2022)
	e := h.ep(h.endpoint(h.network(natDoc), `{"MacAddress":"00:11:22:33:44:aa"}`))
	if e.Doc.MacAddress != "00:11:22:33:44:aa" || e.MAC != [6]byte{0, 0x11, 0x22, 0x33, 0x44, 0xAA} {
		t.Errorf("%s %v", e.Doc.MacAddress, e.MAC)
	}
}

func TestAnOverlayEndpointMayGetItsMACFromItsAddress(t *testing.T) {
	h := mkHost(t, hcn.WS2022, "overlayMacPrefix=0E-2A")
	e := h.ep(h.endpoint(h.network(overlayDoc), withAddress("10.244.1.10")))
	if e.Doc.MacAddress != "0E-2A-0A-F4-01-0A" || e.PA.String() != "10.127.130.35" {
		t.Errorf("MAC %s, PA %v", e.Doc.MacAddress, e.PA)
	}
}

func TestATransparentNetworkWithoutSubnetLeavesAddressesToDHCP(t *testing.T) {
	h := mkHost(t, hcn.WS2022)
	e := h.ep(h.endpoint(h.network(transparentDoc), plainEndpoint))
	if len(e.Addrs) != 0 || len(e.Doc.IpConfigurations) != 0 || e.MAC == [6]byte{} {
		t.Errorf("%+v", e)
	}
}

func TestRemoteEndpointsTakeNothingFromThePools(t *testing.T) {
	h := mkHost(t, hcn.WS2022)
	e := h.ep(h.endpoint(h.network(overlayDoc), `{"Name":"r","Flags":1,"MacAddress":"0E-2A-0a-f4-02-8d","IpConfigurations":[{"IpAddress":"10.244.2.141","PrefixLength":16}],"Policies":[{"Type":"ProviderAddress","Settings":{"ProviderAddress":"10.123.74.74"}}]}`))
	if !e.Remote || e.PA.String() != "10.123.74.74" || e.Addrs[0].Bits != 16 || e.Addrs[0].Subnet != -1 || len(e.Doc.Routes) != 0 {
		t.Errorf("%+v", e)
	}
	v1 := h.v1(EndpointKind, e.Doc.ID)
	if v1["IsRemoteEndpoint"] != true || v1["EncapOverhead"] != 50.0 || v1["PrefixLength"] != 16.0 {
		t.Errorf("v1 view %v", v1)
	}
	alloc := v1["Resources"].(map[string]any)["Allocators"].([]any)[0].(map[string]any)
	if alloc["Tag"] != "VNET Policy" || alloc["CA"] != "10.244.2.141" || alloc["PA"] != "10.123.74.74" || alloc["Type"] != 3.0 {
		t.Errorf("allocator %v", alloc)
	}
}

func TestAHostPortOfZeroIsAssignedAndWrittenBack(t *testing.T) {
	h := mkHost(t, hcn.WS2022)
	net := h.network(natDoc)
	for p := 49152; p < 65536; p += 2 {
		h.busy[uint16(p)] = true // the host holds every even port
	}
	seen := map[uint16]bool{}
	for i := 0; i < 50; i++ {
		e := h.ep(h.endpoint(net, withPolicies("e", portMapping(6, 80, 0))))
		s, err := hcn.DecodeSettings[hcn.PortMappingSettings](e.Doc.Policies[0])
		if err != nil || s.ExternalPort < 49152 || s.ExternalPort%2 == 0 || seen[s.ExternalPort] {
			t.Fatalf("%+v, %v", s, err)
		}
		seen[s.ExternalPort] = true
	}
	e := h.State().Endpoints[0]
	before := string(e.Doc.Policies[0].Settings)
	h.busy[func() uint16 {
		s, _ := hcn.DecodeSettings[hcn.PortMappingSettings](e.Doc.Policies[0])
		return s.ExternalPort
	}()] = true
	h.must(h.modify(EndpointKind, e.Doc.ID, "Policy", "Add", `{"Policies":[{"Type":"QOS","Settings":{"MaximumOutgoingBandwidthInBytes":1000}}]}`))
	if got := string(h.ep(e.Doc.ID).Doc.Policies[0].Settings); got != before {
		t.Errorf("another change moved the port: %s, was %s", got, before)
	}
}

func TestTheV1NameDefaultsToEthernet(t *testing.T) {
	h := mkHost(t, hcn.WS2022)
	net := h.network(natDoc)
	if _, err := h.HNSRequest("POST", "/endpoints/", []byte(`{"VirtualNetwork":"`+net+`"}`)); err != nil {
		t.Fatal(err)
	}
	h.endpoint(net, `{"SchemaVersion":{"Major":2}}`)
	if a, b := h.State().Endpoints[0].Doc.Name, h.State().Endpoints[1].Doc.Name; a != "Ethernet" || b != "" {
		t.Errorf("%q %q", a, b)
	}
}

func TestDefaultEncapOverheadIsShownButNotGiven(t *testing.T) {
	h := mkHost(t, hcn.WS2022)
	net := h.network(bridgeDoc)
	plain := h.ep(h.endpoint(net, plainEndpoint))
	given := h.ep(h.endpoint(net, withPolicies("g", `{"Type":"EncapOverhead","Settings":{"Overhead":60}}`)))
	if plain.EncapOverhead != 50 || plain.EncapGiven || given.EncapOverhead != 60 || !given.EncapGiven {
		t.Errorf("%d %v, %d %v", plain.EncapOverhead, plain.EncapGiven, given.EncapOverhead, given.EncapGiven)
	}
}

func TestTheProviderAddressMayTakeTimeToAppear(t *testing.T) {
	h := mkHost(t, hcn.WS2022, "providerAddressDelay=2s")
	h.now = 10 * time.Second
	id := h.network(bridgeDoc)
	has := func() bool {
		return strings.Contains(fmt.Sprint(h.doc(NetworkKind, id)["Policies"]), "ProviderAddress")
	}
	if has() {
		t.Error("the policy is there at once")
	}
	h.now += 2 * time.Second
	if !has() || h.v1(NetworkKind, id)["ManagementIP"] != "10.127.130.35" {
		t.Error("the policy never came")
	}
}
