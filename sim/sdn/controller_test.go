package sdn

import (
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/sim/wire"
)

// lab is a controller with the documents of testdata/tenant.json and a compiler
// for two hosts with a machine each.
func lab(t testing.TB) (*Controller, *Compiler) {
	t.Helper()
	comp := NewCompiler(Options{FirstOutbound: true, LastInbound: true})
	inv := &Inventory{
		Hosts: []HostInfo{
			{Name: "p1", Adapter: "Ethernet", MAC: wire.MAC{2, 0, 0, 0, 0, 1}, MTU: 1660, PAs: []netip.Prefix{netip.MustParsePrefix("10.10.0.11/24")}, VMs: []VM{{"web", wire.MAC{0, 0x1d, 0xd8, 0xb7, 1, 0x11}}}},
			{Name: "p2", Adapter: "Ethernet", MAC: wire.MAC{2, 0, 0, 0, 0, 2}, MTU: 1660, PAs: []netip.Prefix{netip.MustParsePrefix("10.10.0.12/24")}, VMs: []VM{{"db", wire.MAC{0, 0x1d, 0xd8, 0xb7, 2, 0x20}}}},
		},
		Muxes: []MuxInfo{{Name: "mux1", Adapter: "Ethernet", MAC: wire.MAC{2, 0, 0, 0, 0, 3}, MTU: 1500, Addrs: []netip.Prefix{netip.MustParsePrefix("10.10.0.21/24")}}},
	}
	c := New(func(m *Model) error { _, err := comp.Compile(m, inv); return err })
	doc, err := os.ReadFile("testdata/tenant.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Load(doc); err != nil {
		t.Fatal(err)
	}
	return c, comp
}

// TestBadDocumentsAreExplained says of every refusal where in the document and
// what was expected.
func TestBadDocumentsAreExplained(t *testing.T) {
	tests := []struct{ name, path, body, want string }{
		{"no JSON", "virtualNetworks/v", `{"properties":`, "400 InvalidDocument: /virtualNetworks/v: unexpected EOF, found no JSON, expected an object"},
		{"not an object", "virtualNetworks/v", `[1]`, "found [1], expected an object"},
		{"two documents", "virtualNetworks/v", `{} {}`, "text behind the document"},
		{"a collection", "virtualNetworks", `{}`, "no resource has such a path"},
		{"an unknown collection", "/networking/v1/vnets/v", `{}`, "expected /networking/v1/COLLECTION/NAME with one of virtualNetworks, logicalNetworks"},
		{"an unknown version", "/networking/beta/servers/p1", `{}`, "no resource has such a path"},
		{"no address space", "virtualNetworks/v", `{"properties":{}}`, "properties.addressSpace.addressPrefixes, line 1, column 15: found nothing, expected the network's prefixes"},
		{"a list that is none", "virtualNetworks/v", `{"properties":{"addressSpace":{"addressPrefixes":"10.0.0.0/8"}}}`, `properties.addressSpace.addressPrefixes, line 1, column 50: found "10.0.0.0/8", expected a list`},
		{"a subnet without a name", "virtualNetworks/v", `{"properties":{"addressSpace":{"addressPrefixes":["10.0.0.0/8"]},"subnets":[{}]}}`, "properties.subnets[0].resourceId, line 1, column 77: found nothing, expected a name"},
		{"a subnet twice", "virtualNetworks/v", `{"properties":{"addressSpace":{"addressPrefixes":["10.0.0.0/8"]},"subnets":[
			{"resourceId":"s","properties":{"addressPrefix":"10.1.0.0/16"}},{"resourceId":"S","properties":{"addressPrefix":"10.2.0.0/16"}}]}}`, "409 Conflict: /virtualNetworks/v at properties.subnets[1].resourceId, line 2"},
		{"a subnet outside", "virtualNetworks/v", `{"properties":{"addressSpace":{"addressPrefixes":["10.0.0.0/8"]},"subnets":[{"resourceId":"s","properties":{"addressPrefix":"11.1.0.0/16"}}]}}`, "expected a part of the network's [10.0.0.0/8]"},
		{"an encapsulation", "virtualNetworks/v", `{"properties":{"addressSpace":{"addressPrefixes":["10.0.0.0/8"]},"encapsulation":"GENEVE"}}`, `found "GENEVE", expected one of VXLAN, NVGRE`},
		{"two subnets with a vsid", "virtualNetworks/v", `{"properties":{"addressSpace":{"addressPrefixes":["10.0.0.0/8"]},"subnets":[{"resourceId":"s","properties":{"addressPrefix":"10.1.0.0/16","vsid":5001}}]}}`, "two subnets with one vsid"},
		{"no MAC", "networkInterfaces/n", `{"properties":{}}`, "properties.privateMacAddress, line 1, column 15: found nothing"},
		{"a group's MAC", "networkInterfaces/n", `{"properties":{"privateMacAddress":"01-00-5E-00-00-01"}}`, "expected a station's MAC address"},
		{"no addresses", "networkInterfaces/n", `{"properties":{"privateMacAddress":"001DD8B70A01"}}`, "expected at least one IP configuration"},
		{"a reference to another kind", "networkInterfaces/n", `{"properties":{"privateMacAddress":"001DD8B70A01","ipConfigurations":[{"resourceId":"i","properties":{"privateIPAddress":"192.168.1.50","subnet":{"resourceRef":"/virtualNetworks/vnet1"}}}]}}`, `subnet.resourceRef, line 1, column 161: found "/virtualNetworks/vnet1", expected a reference such as /virtualNetworks/NAME1/subnets/NAME2`},
		{"addresses in two subnets", "networkInterfaces/n", `{"properties":{"privateMacAddress":"001DD8B70A01","ipConfigurations":[
			{"resourceId":"i","properties":{"privateIPAddress":"192.168.1.50","subnet":{"resourceRef":"/virtualNetworks/vnet1/subnets/web"}}},
			{"resourceId":"j","properties":{"privateIPAddress":"192.168.2.50","subnet":{"resourceRef":"/virtualNetworks/vnet1/subnets/db"}}}]}}`, "ipConfigurations[1].properties.subnet, line 3"},
		{"an address that nobody can have", "networkInterfaces/n", `{"properties":{"privateMacAddress":"001DD8B70A01","ipConfigurations":[{"resourceId":"i","properties":{"privateIPAddress":"10.1.1.1","subnet":{"resourceRef":"/virtualNetworks/vnet1/subnets/web"}}}]}}`, "expected an address of 192.168.1.0/24 other than the router's 192.168.1.1"},
		{"a priority", "accessControlLists/a", `{"properties":{"aclRules":[{"resourceId":"r","properties":{"type":"Inbound","action":"Allow","priority":"first"}}]}}`, `found "first", expected a number from 1 to 65500`},
		{"a direction", "accessControlLists/a", `{"properties":{"aclRules":[{"resourceId":"r","properties":{"type":"In","action":"Allow","priority":1}}]}}`, `found "In", expected one of Inbound, Outbound`},
		{"ports the wrong way round", "accessControlLists/a", `{"properties":{"aclRules":[{"resourceId":"r","properties":{"type":"Inbound","action":"Allow","priority":1,"destinationPortRange":"90-80"}}]}}`, `found "90-80", expected *, a port or a range`},
		{"ports of ICMP", "accessControlLists/a", `{"properties":{"aclRules":[{"resourceId":"r","properties":{"type":"Inbound","action":"Allow","priority":1,"protocol":"ICMP","destinationPortRange":"80"}}]}}`, "expected TCP, UDP or All, as the rule has ports"},
		{"a next hop", "routeTables/r", `{"properties":{"routes":[{"resourceId":"r","properties":{"addressPrefix":"0.0.0.0/0","nextHopType":"Internet"}}]}}`, "expected one of VirtualAppliance, VnetLocal, None"},
		{"a virtual address elsewhere", "loadBalancers/l", `{"properties":{"frontendIPConfigurations":[{"resourceId":"f","properties":{"privateIPAddress":"9.9.9.9","subnet":{"resourceRef":"/logicalNetworks/public/subnets/vips"}}}]}}`, "expected an address of the logical subnet's 107.105.47.0/24"},
		{"a rule without frontend", "loadBalancers/l", `{"properties":{"backendAddressPools":[{"resourceId":"p"}],"loadBalancingRules":[{"resourceId":"r","properties":{"protocol":"TCP","frontendPort":80,"backendAddressPool":{"resourceRef":"/loadBalancers/l/backendAddressPools/p"}}}]}}`, "expected references to frontends"},
		{"a probe's path", "loadBalancers/l", `{"properties":{"probes":[{"resourceId":"p","properties":{"protocol":"HTTP","port":80,"requestPath":"health"}}]}}`, `found "health", expected a path such as /health.htm`},
		{"a mirror without NIC", "serviceInsertions/s", `{"properties":{"serviceInsertionElements":[]}}`, "expected one element, the NIC that gets the copies"},
		{"a multiplexer that is none", "loadBalancerMuxes/m", `{"properties":{"virtualServer":{"resourceRef":"/virtualServers/nobody"}}}`, "404 ResourceNotFound: /loadBalancerMuxes/m at properties.virtualServer.resourceRef"},
		{"a pool of addresses", "logicalNetworks/l", `{"properties":{"subnets":[{"resourceId":"s","properties":{"addressPrefix":"10.10.0.0/24","ipPools":[{"resourceId":"p","properties":{"startIpAddress":"10.10.0.9","endIpAddress":"10.10.1.9"}}]}}]}}`, "expected a range within 10.10.0.0/24"},
		{"a parent that is not there", "virtualNetworks/nobody/subnets/s", `{"properties":{"addressPrefix":"10.1.0.0/16"}}`, "404 ResourceNotFound: /virtualNetworks/nobody/subnets/s: there is no /virtualNetworks/nobody"},
		{"what another resource needs", "virtualNetworks/vnet1", `{"properties":{"addressSpace":{"addressPrefixes":["192.168.0.0/16"]}}}`, "409 Conflict: /virtualNetworks/vnet1: /networkInterfaces/"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := lab(t)
			before := c.Model()
			_, err := c.Put(tt.path, []byte(tt.body))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got  %v\nwant %s", err, tt.want)
			}
			var e *Error
			if !errors.As(err, &e) || e.Status < 400 || e.Resource == "" {
				t.Errorf("no *Error with status and resource: %#v", err)
			}
			if c.Model() != before {
				t.Error("a refused document changed something")
			}
		})
	}
}

func TestDocumentsAreKeptAsTheyWereSent(t *testing.T) {
	c, _ := lab(t)
	raw, err := c.Put("/networking/v4.1/publicIPAddresses/web", []byte(`{"tags":{"owner":"me"},"properties":{"ipAddress":"107.105.47.70","future":[1,{"a":2.50}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"owner":"me"`, `"future":[1,{"a":2.50}]`, `"provisioningState":"Succeeded"`, `"resourceRef":"/publicIPAddresses/web"`, `"etag":"W/`} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("%s is not in %s", want, raw)
		}
	}
	again, err := c.Get("PUBLICIPADDRESSES/WEB")
	if err != nil || string(again) != string(raw) {
		t.Errorf("%s, %v", again, err)
	}
	if err := c.Delete("/publicIPAddresses/web"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Get("/publicIPAddresses/web"); err == nil {
		t.Error("it is still there")
	}
}

// TestElementsHavePathsOfTheirOwn puts, gets and deletes one rule of a list:
// all other documents, and older versions of this one, stay as they are.
func TestElementsHavePathsOfTheirOwn(t *testing.T) {
	c, _ := lab(t)
	before, _ := c.Get("/accessControlLists/open")
	old := c.store
	rule := `{"properties":{"type":"Inbound","action":"Deny","priority":"50"}}`
	if _, err := c.Put("/accessControlLists/open/aclRules/late", []byte(rule)); err != nil {
		t.Fatal(err)
	}
	if n := len(c.Model().Networks[0].Subnets[0].ACL.Rules); n != 3 {
		t.Errorf("%d rules, want 3", n)
	}
	if v, _ := old.find([]string{"accessControlLists", "open"}); strings.Contains(mustJSON(t, v), "late") {
		t.Error("the version before has the new rule")
	}
	if err := c.Delete("/accessControlLists/open/aclRules/late"); err != nil {
		t.Fatal(err)
	}
	if err := c.Delete("/accessControlLists/open/aclRules/late"); err == nil {
		t.Error("a rule was deleted twice")
	}
	if after, _ := c.Get("/accessControlLists/open"); string(after) != string(before) {
		t.Errorf("before %s\nafter  %s", before, after)
	}
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestEqualDocumentsMakeEqualPlans compiles twice from nothing: order of maps
// must show nowhere.
func TestEqualDocumentsMakeEqualPlans(t *testing.T) {
	for range 20 {
		a, _ := lab(t)
		b, _ := lab(t)
		ra, _ := json.Marshal(a.store.docs)
		rb, _ := json.Marshal(b.store.docs)
		if string(ra) != string(rb) || !reflect.DeepEqual(a.Model().Servers, b.Model().Servers) {
			t.Fatal("two controllers differ")
		}
	}
}

// Rule SDN-15: a lease stays with its address while others come and go.
func TestLeasesStay(t *testing.T) {
	c, comp := lab(t)
	lease := func(ip string) (int, bool) {
		n, ok := comp.leases[leaseKey{netip.MustParseAddr("107.105.47.60"), "/networkInterfaces/" + ip}]
		return n, ok
	}
	if n, ok := lease("web/ipConfigurations/ip1"); !ok || n != 0 {
		t.Fatalf("lease of web is %d, %v", n, ok)
	}
	extra := func(i string) string {
		return `{"properties":{"privateIPAddress":"192.168.1.` + i + `","subnet":{"resourceRef":"/virtualNetworks/vnet1/subnets/web"},"loadBalancerBackendAddressPools":[{"resourceRef":"/loadBalancers/lb1/backendAddressPools/pool"}]}}`
	}
	for _, i := range []string{"101", "102"} {
		if _, err := c.Put("/networkInterfaces/web/ipConfigurations/c"+i, []byte(extra(i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Delete("/networkInterfaces/web/ipConfigurations/c101"); err != nil {
		t.Fatal(err)
	}
	if n, _ := lease("web/ipConfigurations/c102"); n != 2 {
		t.Errorf("the lease of c102 moved to %d", n)
	}
	if _, err := c.Put("/networkInterfaces/web/ipConfigurations/c103", []byte(extra("103"))); err != nil {
		t.Fatal(err)
	}
	if n, _ := lease("web/ipConfigurations/c103"); n != 1 {
		t.Errorf("c103 has lease %d, want the one that c101 gave back", n)
	}
}

func TestPortsOfAVirtualAddressRunOut(t *testing.T) {
	c, _ := lab(t)
	var b strings.Builder
	b.WriteString(`{"properties":{"privateMacAddress":"001DD8B70111","ipConfigurations":[`)
	for i := range maxLeases + 1 {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`{"resourceId":"c` + string(rune('a'+i/26)) + string(rune('a'+i%26)) + `","properties":{"privateIPAddress":"` + netip.AddrFrom4([4]byte{192, 168, 1, byte(10 + i)}).String() +
			`","subnet":{"resourceRef":"/virtualNetworks/vnet1/subnets/web"},"loadBalancerBackendAddressPools":[{"resourceRef":"/loadBalancers/lb1/backendAddressPools/pool"}]}}`)
	}
	b.WriteString(`]}}`)
	if _, err := c.Put("/networkInterfaces/web", []byte(b.String())); err == nil || !strings.Contains(err.Error(), "107.105.47.60 has no ports left") {
		t.Errorf("got %v", err)
	}
}
