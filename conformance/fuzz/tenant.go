package fuzz

import (
	"fmt"
	"strings"
)

// Tenant networks of a world: two routing domains with the same addresses on two
// physical hosts, and a load balancer before them.
const (
	maxMachines = 5
	serviceVIP  = "107.105.47.60"
	tenants     = 2
)

// machine is a virtual machine of a tenant.
type machine struct {
	tenant int // 0, 1
	subnet int // 1, 2
	name   string
	addr   string
	second string // of its NIC, if that has two
	mac    string
}

// tenantWorld makes physical hosts, the controller's documents and machines.
func (g *generator) tenantWorld() {
	g.step(nil,
		"? physical p1 ip=10.10.0.11/24 segment=pa mac=00-15-5D-A0-00-11",
		"? physical p2 ip=10.10.0.12/24 segment=pa mac=00-15-5D-A0-00-12",
		"? mux mux1 ip=10.10.0.21/24 segment=pa mac=00-15-5D-A0-00-21",
		"? mux mux2 ip=10.10.0.22/24 segment=pa mac=00-15-5D-A0-00-22")
	name, files := g.file(g.baseDocuments())
	g.step(files, "? sdn load "+name)
	for i := range 2 + g.rng.IntN(maxMachines-1) {
		m := &machine{tenant: g.rng.IntN(tenants), subnet: 1 + g.rng.IntN(2), name: fmt.Sprintf("v%d", i+1)}
		m.addr, m.second = fmt.Sprintf("192.168.%d.%d", m.subnet, 21+i), fmt.Sprintf("192.168.%d.%d", m.subnet, 121+i)
		m.mac = fmt.Sprintf("00-1D-D8-B7-%02X-%02X", m.tenant+1, 0x21+i)
		g.machines = append(g.machines, m)
		g.step(nil, fmt.Sprintf("? external %s ip=%s/24 mac=%s gw=192.168.%d.1 on=%s", m.name, m.addr, m.mac, m.subnet, pick(g, []string{"p1", "p2"})))
		g.putNIC(m)
	}
	g.vips = append(g.vips, serviceVIP, "107.105.47.70", "107.105.47.71", "107.105.47.81")
	for _, m := range g.machines {
		g.listenOn(m.name, "tcp :8080")
		if g.chance(30) {
			g.listenOn(m.name, "udp :5353")
		}
	}
	if g.chance(50) {
		g.containerHost()
	}
}

// containerHost is a Windows host that is a tenant's machine itself (rule SDN-01).
func (g *generator) containerHost() {
	mac := "00-1D-D8-B7-01-09"
	h := &host{number: 9, name: "ch", addr: "192.168.1.9"}
	g.step(nil, fmt.Sprintf("? host ch ip=%s/24 mac=%s gw=192.168.1.1 on=p1", h.addr, mac))
	var configs []string
	for _, last := range []int{9, 10, 11, 12} {
		configs = append(configs, g.ipConfig(fmt.Sprintf("ip%d", last), fmt.Sprintf("192.168.1.%d", last), 0, 1))
	}
	name, files := g.file(nicDocument(mac, configs, ""))
	g.step(files, "? sdn put /networkInterfaces/ch "+name)
	g.count++
	n := &network{host: h, name: fmt.Sprintf("n%d", g.count), kind: pick(g, []kind{l2bridge, l2tunnel}), prefix: "192.168.1", sets: map[string]bool{}}
	h.nets = append(h.nets, n)
	name, files = g.file(n.document(g))
	g.step(files, fmt.Sprintf("? network ch %s %s", n.name, name))
	for range 1 + g.rng.IntN(maxEndpoints) {
		g.endpoint(n)
	}
}

// baseDocuments are what all machines of a world need.
func (g *generator) baseDocuments() string {
	docs := []string{`"/servers/p1": {}`, `"/servers/p2": {}`, `"/virtualServers/mux1": {}`, `"/virtualServers/mux2": {}`,
		`"/accessControlLists/open": ` + aclDocument(`{"resourceId":"in","properties":{"type":"Inbound","action":"Allow","priority":"100","protocol":"All"}}`,
			`{"resourceId":"out","properties":{"type":"Outbound","action":"Allow","priority":"100","protocol":"All"}}`),
		`"/accessControlLists/other": ` + g.tenantACL(),
		`"/logicalNetworks/public": {"properties":{"subnets":[{"resourceId":"vips","properties":{"addressPrefix":"107.105.47.0/24","isPublic":true}}]}}`,
		`"/publicIPAddresses/pub": {"properties":{"ipAddress":"107.105.47.81","publicIPAllocationMethod":"Static"}}`,
		`"/routeTables/rt": ` + g.routeTable(),
	}
	for t := range tenants {
		docs = append(docs, fmt.Sprintf(`"/virtualNetworks/%c": %s`, 'a'+t, g.virtualNetwork(t)), fmt.Sprintf(`"/loadBalancers/out%d": %s`, t, outboundDocument(t)))
	}
	docs = append(docs, `"/loadBalancers/lb": `+g.tenantBalancer())
	for _, m := range []string{"mux1", "mux2"} {
		docs = append(docs, fmt.Sprintf(`"/loadBalancerMuxes/%s": {"properties":{"virtualServer":{"resourceRef":"/virtualServers/%s"},"routerConfiguration":{"localASN":1,"peerRouterConfigurations":[{"routerName":"r","routerIPAddress":"10.10.0.1","peerASN":2}]}}}`, m, m))
	}
	return "{" + strings.Join(docs, ",\n ") + "}"
}

func aclDocument(rules ...string) string {
	return `{"properties":{"aclRules":[` + strings.Join(rules, ",") + `]}}`
}

// tenantACL is a list that lets most things pass.
func (g *generator) tenantACL() string {
	var rules []string
	for i := range 1 + g.rng.IntN(3) {
		rules = append(rules, fmt.Sprintf(`{"resourceId":"r%d","properties":{"type":%q,"action":%q,"priority":"%d","protocol":%q,"sourceAddressPrefix":%q,"destinationAddressPrefix":"*"%s}}`,
			i, pick(g, []string{"Inbound", "Outbound"}), pick(g, []string{"Allow", "Deny"}), 100+i, pick(g, []string{"TCP", "UDP", "All"}),
			pick(g, []string{"*", "192.168.1.0/24", "203.0.113.0/24", "192.168.2.22"}), ""))
	}
	for _, dir := range []string{"Inbound", "Outbound"} {
		if g.chance(80) {
			rules = append(rules, fmt.Sprintf(`{"resourceId":%q,"properties":{"type":%q,"action":"Allow","priority":"900","protocol":"All"}}`, dir, dir))
		}
	}
	return aclDocument(rules...)
}

func (g *generator) routeTable() string {
	return fmt.Sprintf(`{"properties":{"routes":[{"resourceId":"r","properties":{"addressPrefix":%q,"nextHopType":%q,"nextHopIPAddress":"192.168.1.21"}}]}}`,
		pick(g, []string{"203.0.113.0/24", "192.168.2.0/24", "0.0.0.0/0"}), pick(g, []string{"VirtualAppliance", "VirtualAppliance", "VnetLocal", "None"}))
}

// virtualNetwork of a tenant: two subnets, which the other tenant has as well.
func (g *generator) virtualNetwork(tenant int) string {
	var subnets []string
	for s := 1; s <= 2; s++ {
		routes := ""
		if g.chance(20) {
			routes = `,"routeTable":{"resourceRef":"/routeTables/rt"}`
		}
		subnets = append(subnets, fmt.Sprintf(`{"resourceId":"s%d","properties":{"addressPrefix":"192.168.%d.0/24","vsid":%d,"accessControlList":{"resourceRef":"/accessControlLists/%s"}%s}}`,
			s, s, 5000+1000*tenant+s, pick(g, []string{"open", "open", "open", "other"}), routes))
	}
	return fmt.Sprintf(`{"properties":{"addressSpace":{"addressPrefixes":["192.168.0.0/16"]},"encapsulation":%q,"subnets":[%s]}}`, pick(g, []string{"VXLAN", "VXLAN", "NVGRE"}), strings.Join(subnets, ","))
}

// outboundDocument is the outbound NAT of a tenant.
func outboundDocument(tenant int) string {
	lb := fmt.Sprintf("/loadBalancers/out%d", tenant)
	return fmt.Sprintf(`{"properties":{"frontendIPConfigurations":[{"resourceId":"fe","properties":{"privateIPAddress":"107.105.47.%d"}}],"backendAddressPools":[{"resourceId":"pool","properties":{}}],
  "outboundNatRules":[{"resourceId":"out","properties":{"frontendIPConfigurations":[{"resourceRef":"%s/frontendIPConfigurations/fe"}],"protocol":"All","backendAddressPool":{"resourceRef":"%s/backendAddressPools/pool"}}}]}}`, 70+tenant, lb, lb)
}

// tenantBalancer is a service for TCP and one for UDP, now and then with a probe.
func (g *generator) tenantBalancer() string {
	probe := ""
	if g.chance(30) {
		probe = `,"probe":{"resourceRef":"/loadBalancers/lb/probes/hp"}`
	}
	dist := pick(g, []string{"Default", "SourceIP", "SourceIPProtocol"})
	rule := func(id, proto string, front, back int) string {
		return fmt.Sprintf(`{"resourceId":%q,"properties":{"frontendIPConfigurations":[{"resourceRef":"/loadBalancers/lb/frontendIPConfigurations/fe"}],"protocol":%q,"frontendPort":%d,"backendPort":%d,"idleTimeoutInMinutes":4,"loadDistribution":%q,"backendAddressPool":{"resourceRef":"/loadBalancers/lb/backendAddressPools/pool"}%s}}`,
			id, proto, front, back, dist, probe)
	}
	return fmt.Sprintf(`{"properties":{"frontendIPConfigurations":[{"resourceId":"fe","properties":{"privateIPAddress":%q}}],"backendAddressPools":[{"resourceId":"pool","properties":{}}],
  "loadBalancingRules":[%s,%s],
  "probes":[{"resourceId":"hp","properties":{"protocol":"TCP","port":8080,"intervalInSeconds":5,"numberOfProbes":2}}],
  "inboundNatRules":[{"resourceId":"in","properties":{"frontendIPConfigurations":[{"resourceRef":"/loadBalancers/lb/frontendIPConfigurations/fe"}],"protocol":"TCP","frontendPort":8001,"backendPort":8080}}]}}`,
		serviceVIP, rule("http", "TCP", 80, 8080), rule("dns", "UDP", 53, 5353))
}

// ipConfig is one address of a NIC.
func (g *generator) ipConfig(id, addr string, tenant, subnet int) string {
	fields := []string{fmt.Sprintf(`"privateIPAddress":%q`, addr), `"privateIPAllocationMethod":"Static"`, fmt.Sprintf(`"subnet":{"resourceRef":"/virtualNetworks/%c/subnets/s%d"}`, 'a'+tenant, subnet)}
	var pools []string
	if g.chance(70) {
		pools = append(pools, `{"resourceRef":"/loadBalancers/lb/backendAddressPools/pool"}`)
	}
	if g.chance(80) {
		pools = append(pools, fmt.Sprintf(`{"resourceRef":"/loadBalancers/out%d/backendAddressPools/pool"}`, tenant))
	}
	if len(pools) > 0 {
		fields = append(fields, `"loadBalancerBackendAddressPools":[`+strings.Join(pools, ",")+`]`)
	}
	switch g.rng.IntN(12) {
	case 0:
		fields = append(fields, `"publicIPAddress":{"resourceRef":"/publicIPAddresses/pub"}`)
	case 1:
		fields = append(fields, `"loadBalancerInboundNatRules":[{"resourceRef":"/loadBalancers/lb/inboundNatRules/in"}]`)
	case 2, 3:
		fields = append(fields, `"accessControlList":{"resourceRef":"/accessControlLists/other"}`)
	}
	return fmt.Sprintf(`{"resourceId":%q,"properties":{%s}}`, id, strings.Join(fields, ","))
}

func nicDocument(mac string, configs []string, more string) string {
	return fmt.Sprintf(`{"properties":{"privateMacAddress":%q,"privateMacAllocationMethod":"Static"%s,"ipConfigurations":[%s]}}`,
		strings.ReplaceAll(mac, "-", ""), more, strings.Join(configs, ",\n   "))
}

// putNIC gives a machine its interface, or another one.
func (g *generator) putNIC(m *machine) {
	more := ""
	if g.chance(10) {
		more = `,"portSettings":{"qosSettings":{"outboundMaximumMbps":"1"}}`
	}
	configs := []string{g.ipConfig("ip1", m.addr, m.tenant, m.subnet)}
	if g.chance(20) {
		configs = append(configs, g.ipConfig("ip2", m.second, m.tenant, m.subnet))
	}
	name, files := g.file(nicDocument(m.mac, configs, more))
	g.step(files, "? sdn put /networkInterfaces/"+m.name+" "+name)
}

// tenantChange alters tenant networks under their traffic.
func (g *generator) tenantChange() {
	put := func(path, doc string) {
		name, files := g.file(doc)
		g.step(files, "? sdn put "+path+" "+name)
	}
	m, tenant := pick(g, g.machines), g.rng.IntN(tenants)
	switch g.rng.IntN(11) {
	case 0:
		g.step(nil, fmt.Sprintf("? set %s sdn.agent %s", pick(g, []string{"p1", "p2"}), pick(g, []string{"off", "on", "on"})))
	case 1:
		g.step(nil, fmt.Sprintf("? set %s mux %s", pick(g, []string{"mux1", "mux2"}), pick(g, []string{"off", "on", "on"})))
	case 2, 3:
		g.step(nil, fmt.Sprintf("? set %s vm.host %s", m.name, pick(g, []string{"p1", "p2"})))
	case 4:
		put("/accessControlLists/other", g.tenantACL())
	case 5:
		put("/routeTables/rt", g.routeTable())
	case 6:
		put(fmt.Sprintf("/virtualNetworks/%c", 'a'+tenant), g.virtualNetwork(tenant))
	case 7:
		put("/loadBalancers/lb", g.tenantBalancer())
	case 8:
		g.step(nil, "? sdn delete /networkInterfaces/"+m.name)
		for range g.rng.IntN(3) {
			g.send()
		}
		g.putNIC(m)
	case 9:
		put("/serviceInsertions/si", fmt.Sprintf(`{"properties":{"priority":1,"type":"PortMirroring","serviceInsertionElements":[{"resourceId":"e","properties":{"networkInterface":{"resourceRef":"/networkInterfaces/%s"}}}]}}`, m.name))
	default:
		g.putNIC(m)
	}
}

// peerOf is an address that a machine may reach: another's of its network, a
// virtual one, its gateway, the world outside.
func (g *generator) peerOf(m *machine) (addr, role string) {
	switch n := g.rng.IntN(100); {
	case n < 45:
		for range 4 {
			if o := pick(g, g.machines); o.tenant == m.tenant && o != m {
				return o.addr, o.name
			}
		}
	case n < 75:
		return pick(g, []string{serviceVIP, serviceVIP, serviceVIP, "107.105.47.70", "107.105.47.81"}), ""
	case n < 85:
		return pick(g, []string{"192.168.1.1", "192.168.1.255", "255.255.255.255", "10.10.0.12", "192.168.1.10"}), ""
	}
	return "203.0.113.80", "x"
}

// machineNamed is the machine that a role is, or nil.
func (g *generator) machineNamed(role string) *machine {
	for _, m := range g.machines {
		if m.name == role {
			return m
		}
	}
	return nil
}
