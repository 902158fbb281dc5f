package reach

import (
	"bytes"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/backends/simulated"
	"github.com/hnsim/hnsim/scenarios/script"
)

const world = `# TRY-1: a world
# rules: ACL-05
# labels: acl

requires network.l2bridge feature:DSR
router r lan=10.127.130.1/24 wan=203.0.113.1/24
external x ip=203.0.113.80/24 segment=wan
host h1 ip=10.127.130.35/24
network h1 br net.json
endpoint a br a.json
endpoint b br b.json
loadbalancer h1 svc lb.json
-- net.json --
{"SchemaVersion":{"Major":2,"Minor":0},"Name":"br","Type":"L2Bridge","Ipams":[{"Type":"Static","Subnets":[{"IpAddressPrefix":"10.127.130.0/24","Routes":[{"NextHop":"10.127.130.1","DestinationPrefix":"0.0.0.0/0"}]}]}]}
-- a.json --
{"SchemaVersion":{"Major":2,"Minor":0},"IpConfigurations":[{"IpAddress":"10.127.130.110","PrefixLength":24}],
 "Policies":[{"Type":"PortMapping","Settings":{"Protocol":6,"InternalPort":8080,"ExternalPort":8000}}]}
-- b.json --
{"SchemaVersion":{"Major":2,"Minor":0},"IpConfigurations":[{"IpAddress":"10.127.130.111","PrefixLength":24}],
 "Policies":[{"Type":"ACL","Settings":{"Id":"deny-web","Action":"Block","Direction":"In","Protocols":"6","LocalPorts":"80","Priority":200,"RuleType":"Switch"}},
  {"Type":"ACL","Settings":{"Action":"Allow","Direction":"In","Priority":300,"RuleType":"Switch"}}]}
-- lb.json --
{"SchemaVersion":{"Major":2,"Minor":0},"HostComputeEndpoints":["${id:b}"],"FrontendVIPs":["10.96.0.10"],"Flags":1,
 "PortMappings":[{"Protocol":6,"ExternalPort":443,"InternalPort":8443,"Flags":0}]}
`

func find(t *testing.T, text string, e *Expectation, ports ...string) *Table {
	t.Helper()
	sc, err := script.Parse("try.txtar", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Backend: simulated.Backend{}, Scenario: sc, Expect: e, Parallel: 2}
	for _, p := range ports {
		port, err := ParsePort(p)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Ports = append(cfg.Ports, port)
	}
	table, err := Find(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func (t *Table) cell(from, to, port string) *Cell {
	for i := range t.Cells {
		if c := &t.Cells[i]; c.From == from && c.To == to && c.Port == port {
			return c
		}
	}
	return &Cell{Why: "no such cell"}
}

func TestTheTableSaysWhoReachesWhomAndWhichRuleDecides(t *testing.T) {
	table := find(t, world, nil, "icmp", "tcp:80", "udp:53")
	tests := []struct {
		from, to, port string
		open           bool
		why            string
	}{
		{"a", "b", "icmp", true, ""},
		{"a", "b", "tcp:80", false, "VfpBlock at b: ACL_ENDPOINT_LAYER / ACL_ENDPOINT_GROUP_IPv4_IN / deny-web [ACL-05]"},
		{"b", "a", "tcp:80", true, ""},
		{"x", "b", "tcp:80", false, "deny-web"},
		{"x", "b", "udp:53", true, ""},
		{"h1", "x", "udp:53", true, ""},
		{"a", "10.96.0.10:443/tcp", "tcp:443", true, ""},
		{"x", "10.96.0.10:443/tcp", "tcp:443", false, "NoRoute"},
		{"x", "10.127.130.35:8000/tcp", "tcp:8000", true, ""},
	}
	for _, tt := range tests {
		c := table.cell(tt.from, tt.to, tt.port)
		if c.Open != tt.open || !strings.Contains(c.Why, tt.why) || tt.open && c.Why != "" {
			t.Errorf("%s > %s %s: open %v, %q; want %v, %q", tt.from, tt.to, tt.port, c.Open, c.Why, tt.open, tt.why)
		}
	}
	for _, c := range table.Cells {
		if c.From == c.To || c.To == "r" || c.From == "r" {
			t.Errorf("a cell of no interest: %+v", c)
		}
	}
}

func TestCellsDoNotDependOnEachOther(t *testing.T) {
	all := find(t, world, nil, "tcp:80", "udp:53")
	again := find(t, world, nil, "udp:53")
	for _, c := range again.Cells {
		if o := all.cell(c.From, c.To, c.Port); o.Open != c.Open || o.Why != c.Why {
			t.Errorf("%+v alone, %+v among others", c, o)
		}
	}
}

func TestWrongCellsAreExplained(t *testing.T) {
	e, err := ParseExpectation("want.csv", []byte("from,to,port,expected\n# all\n*,*,*,open\n*,b,tcp:80,closed\na,b,tcp:80,open\nx,b,udp:53,closed\n*,10.96.0.10:443/tcp,*,open\nx,10.96.0.10:443/tcp,*,closed\n*,10.127.130.35:8000/tcp,*,open\n"))
	if err != nil {
		t.Fatal(err)
	}
	table := find(t, world, e, "tcp:80", "udp:53")
	var b bytes.Buffer
	if err := table.WriteText(&b, false); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"a > b tcp:80: closed, expected open\n    VfpBlock at b:", "x > b udp:53: open, expected closed\n", "!x", "!+", "not as expected",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), "h1 > b tcp:80") {
		t.Errorf("a cell that is as expected is explained:\n%s", b.String())
	}
	for _, l := range strings.Split(b.String(), "\n") {
		if len(l) > width {
			t.Errorf("%d columns: %s", len(l), l)
		}
	}
	if table.Wrong < 2 {
		t.Errorf("%d cells are wrong", table.Wrong)
	}
}

func TestATableCanBeExpectedLater(t *testing.T) {
	first := find(t, world, nil, "icmp", "tcp:80")
	var b bytes.Buffer
	if err := first.WriteCSV(&b); err != nil {
		t.Fatal(err)
	}
	e, err := ParseExpectation("t.csv", b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if again := find(t, world, e, "icmp", "tcp:80"); again.Wrong != 0 {
		t.Errorf("%d wrong cells", again.Wrong)
	}
	changed := strings.Replace(world, `"LocalPorts":"80"`, `"LocalPorts":"81"`, 1)
	e, _ = ParseExpectation("t.csv", b.Bytes())
	if again := find(t, changed, e, "icmp", "tcp:80"); again.Wrong != 3 {
		t.Errorf("%d wrong cells, want those of x, h1 and a", again.Wrong)
	}
}

func TestBadExpectationsAreExplained(t *testing.T) {
	for text, want := range map[string]string{
		"":                             "no row",
		"from,to,port,expected\n":      "no row",
		"from,to,expected\na,b,open\n": `w:1: the head has no column "port"`,
		"from,to,port,expected\na,b,tcp:80,yes\n":  `w:2: "yes": expected open or closed`,
		"from,to,port,expected\na,,tcp:80,open\n":  "w:2: from, to and port must not be empty",
		"from,to,port,expected\na,b,tcp,open\n":    "w:2: port \"tcp\": expected tcp:PORT",
		`[{"from":"a","to":"b","port":"*"}]`:       `w:1: "": expected open or closed`,
		`{"cells":[{"from":1}]}`:                   `w:1: at "cells.from": found a JSON number`,
		"from,to,port,expected\n\"a,b,tcp:80,open": "w: ",
	} {
		if _, err := ParseExpectation("w", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	e, err := ParseExpectation("w", []byte(`[{"from":"nobody","to":"b","port":"*","expected":"open"}]`))
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Unused(); err == nil || !strings.Contains(err.Error(), "w:1: nobody > b * fits no cell") {
		t.Errorf("got %v", err)
	}
}

func TestDocumentsMakeAWorld(t *testing.T) {
	docs := []Document{
		{"net.json", []byte(`{"ID":"11111111-2222-4333-8444-555555555555","SchemaVersion":{"Major":2,"Minor":0},"Name":"nat","Type":"NAT","Ipams":[{"Type":"Static","Subnets":[{"IpAddressPrefix":"172.16.0.0/24","Routes":[{"NextHop":"172.16.0.1","DestinationPrefix":"0.0.0.0/0"}]}]}]}`)},
		{"eps.json", []byte(`[{"SchemaVersion":{"Major":2,"Minor":0},"Name":"web-1","IpConfigurations":[{"IpAddress":"172.16.0.10","PrefixLength":24}]},
 {"SchemaVersion":{"Major":2,"Minor":0},"HostComputeNetwork":"11111111-2222-4333-8444-555555555555","IpConfigurations":[{"IpAddress":"172.16.0.11","PrefixLength":24}]}]`)},
	}
	text, err := FromDocuments(docs)
	if err != nil {
		t.Fatal(err)
	}
	table := find(t, string(text), nil, "tcp:80")
	if !table.cell("web1", "x", "tcp:80").Open || table.cell("x", "web1", "tcp:80").Open || len(table.Places) < 5 {
		t.Errorf("%s\n%+v", text, table.Cells)
	}
	for _, want := range []string{"network h1 net1 net.json\n", "endpoint web1 net1 eps.json.1\n", "-- eps.json.2 --\n"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	for data, want := range map[string]string{
		`{"Name":"e"}`: "an endpoint without a network",
		`{"Name":`:     "bad.json:1: not JSON: unexpected end",
		`[1]`:          "object 1",
		`{"Subnets":[{"AddressPrefix":"10.0.0.0/24"}],"Type":"nat"}`: "v1 document",
		`[]`: "no network and no endpoint",
	} {
		if _, err := FromDocuments([]Document{{"bad.json", []byte(data)}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", data, err, want)
		}
	}
}

func FuzzParseExpectation(f *testing.F) {
	f.Add([]byte("from,to,port,expected\na,b,tcp:80,open\n"))
	f.Add([]byte(`[{"from":"a","to":"*","port":"icmp","expected":"closed"}]`))
	f.Add([]byte(`{"cells":[{"from":"a","to":"b","port":"udp:53","open":true}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := ParseExpectation("f", data)
		if (e == nil) != (err != nil) {
			t.Fatalf("%v, %v", e, err)
		}
		if e != nil && len(e.rows) == 0 {
			t.Fatal("nothing is expected")
		}
	})
}

func FuzzFromDocuments(f *testing.F) {
	f.Add([]byte(`{"Name":"n","Type":"NAT","Ipams":[]}`))
	f.Add([]byte(`[{"Type":"Overlay","Ipams":[{}]},{"Name":"e"},{"PortMappings":[],"HostComputeEndpoints":[]}]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		text, err := FromDocuments([]Document{{"f.json", data}})
		if (text == nil) != (err != nil) {
			t.Fatalf("%q, %v", text, err)
		}
	})
}

const tenantWorld = `# TRY-2: two tenants with the same addresses, one with a service
# rules: SDN-13

router r pa=10.10.0.1/24 wan=203.0.113.1/24
external x ip=203.0.113.80/24 segment=wan
physical p1 ip=10.10.0.11/24 segment=pa
mux m1 ip=10.10.0.21/24 segment=pa
external web ip=192.168.1.11/24 mac=00-1D-D8-B7-01-11 on=p1
external twin ip=192.168.1.11/24 mac=00-1D-D8-B7-02-11 on=p1
sdn load tenants.json
-- tenants.json --
{"/servers/p1":{},"/virtualServers/m1":{},
 "/accessControlLists/open":{"properties":{"aclRules":[{"resourceId":"in","properties":{"type":"Inbound","action":"Allow","priority":"100","protocol":"All"}},
  {"resourceId":"out","properties":{"type":"Outbound","action":"Allow","priority":"100","protocol":"All"}}]}},
 "/virtualNetworks/a":{"properties":{"addressSpace":{"addressPrefixes":["192.168.0.0/16"]},"subnets":[
  {"resourceId":"s","properties":{"addressPrefix":"192.168.1.0/24","vsid":5001,"accessControlList":{"resourceRef":"/accessControlLists/open"}}}]}},
 "/virtualNetworks/b":{"properties":{"addressSpace":{"addressPrefixes":["192.168.0.0/16"]},"subnets":[
  {"resourceId":"s","properties":{"addressPrefix":"192.168.1.0/24","vsid":6001,"accessControlList":{"resourceRef":"/accessControlLists/open"}}}]}},
 "/loadBalancers/lb":{"properties":{"frontendIPConfigurations":[{"resourceId":"fe","properties":{"privateIPAddress":"107.105.47.60"}}],"backendAddressPools":[{"resourceId":"pool","properties":{}}],
  "loadBalancingRules":[{"resourceId":"http","properties":{"frontendIPConfigurations":[{"resourceRef":"/loadBalancers/lb/frontendIPConfigurations/fe"}],"protocol":"TCP","frontendPort":"80","backendPort":8080,
   "backendAddressPool":{"resourceRef":"/loadBalancers/lb/backendAddressPools/pool"}}}]}},
 "/loadBalancerMuxes/m1":{"properties":{"virtualServer":{"resourceRef":"/virtualServers/m1"},"routerConfiguration":{"localASN":1,"peerRouterConfigurations":[{"routerName":"r","routerIPAddress":"10.10.0.1","peerASN":2}]}}},
 "/networkInterfaces/web":{"properties":{"privateMacAddress":"001DD8B70111","ipConfigurations":[{"resourceId":"ip","properties":{"privateIPAddress":"192.168.1.11","subnet":{"resourceRef":"/virtualNetworks/a/subnets/s"},
   "loadBalancerBackendAddressPools":[{"resourceRef":"/loadBalancers/lb/backendAddressPools/pool"}]}}]}},
 "/networkInterfaces/twin":{"properties":{"privateMacAddress":"001DD8B70211","ipConfigurations":[{"resourceId":"ip","properties":{"privateIPAddress":"192.168.1.11","subnet":{"resourceRef":"/virtualNetworks/b/subnets/s"}}}]}}}
`

func TestVirtualAddressesOfTenantsAreServices(t *testing.T) {
	table := find(t, tenantWorld, nil, "tcp:80")
	const vip = "107.105.47.60:80/tcp"
	if c := table.cell("x", vip, "tcp:80"); !c.Open {
		t.Errorf("x > %s: %+v", vip, c)
	}
	// Without outbound NAT the other tenant has no source for it.
	if c := table.cell("twin", vip, "tcp:80"); c.Open || !strings.Contains(c.Why, "NoMapping") {
		t.Errorf("twin > %s: %+v", vip, c)
	}
	// Who has the other's address would answer itself.
	if c := table.cell("twin", "web", "tcp:80"); c.Open || c.Why != "the sender has that address itself" {
		t.Errorf("twin > web: %+v", c)
	}
}
