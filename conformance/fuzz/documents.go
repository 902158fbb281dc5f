package fuzz

import (
	"fmt"
	"strings"
)

const version = `"SchemaVersion":{"Major":2,"Minor":0}`

// document is the network as a CNI plugin or Docker would send it.
func (n *network) document(g *generator) string {
	gateway := n.prefix + ".1"
	subnetPolicies := ""
	switch {
	case n.vsid != 0:
		subnetPolicies = fmt.Sprintf(`"Policies":[{"Type":"VSID","Settings":{"IsolationId":%d}}],`, n.vsid)
	case n.vlan != 0:
		subnetPolicies = fmt.Sprintf(`"Policies":[{"Type":"VLAN","Settings":{"IsolationId":%d}}],`, n.vlan)
	}
	subnets := []string{fmt.Sprintf(`{"IpAddressPrefix":"%s.0/24",%s"Routes":[{"NextHop":"%s","DestinationPrefix":"0.0.0.0/0"}]}`, n.prefix, subnetPolicies, gateway)}
	if n.dual {
		subnets = append(subnets, `{"IpAddressPrefix":"fd00:127::/64","Routes":[{"NextHop":"fd00:127::1","DestinationPrefix":"::/0"}]}`)
	}
	return fmt.Sprintf("{%s,\"Name\":%q,\"Type\":%q,\n \"Ipams\":[{\"Type\":\"Static\",\"Subnets\":[%s]}],\n \"Policies\":[%s]}",
		version, n.name, n.kind, strings.Join(subnets, ",\n   "), strings.Join(n.policies(g), ",\n  "))
}

// drMAC is the distributed router of a host's overlay.
func drMAC(h *host) string { return fmt.Sprintf("00-15-5D-D0-00-%02X", h.number) }

func (n *network) policies(g *generator) []string {
	var out []string
	if n.kind == overlay {
		out = append(out, fmt.Sprintf(`{"Type":"DrMacAddress","Settings":{"Address":%q}}`, drMAC(n.host)))
		for _, h := range g.hosts {
			if h != n.host && g.chance(80) {
				out = append(out, fmt.Sprintf(`{"Type":"RemoteSubnetRoute","Settings":{"DestinationPrefix":"10.%d.%d.0/24","IsolationId":%d,"ProviderAddress":%q,"DistributedRouterMacAddress":%q}}`,
					100+n.vsid/1000, h.number, n.vsid, h.addr, drMAC(h)))
			}
		}
		if g.chance(40) {
			out = append(out, `{"Type":"HostRoute","Settings":{}}`)
		}
	}
	if n.kind == l2bridge && g.chance(8) {
		out = append(out, fmt.Sprintf(`{"Type":"L4Proxy","Settings":{"IP":"%s.2","Port":"15001","Protocol":6}}`, n.prefix))
	}
	return out
}

func (e *endpoint) document(n *network) string {
	addrs := fmt.Sprintf(`{"IpAddress":%q,"PrefixLength":24}`, e.addr)
	if e.addr6 != "" {
		addrs += fmt.Sprintf(`,{"IpAddress":%q,"PrefixLength":64}`, e.addr6)
	}
	routes := ""
	if n.routed {
		routes = fmt.Sprintf(`"Routes":[{"NextHop":"%s.2","DestinationPrefix":"0.0.0.0/0"}],`, n.prefix)
	}
	return fmt.Sprintf("{%s,\"Name\":%q,\"IpConfigurations\":[%s],%s\n \"Policies\":[%s]}",
		version, e.name, addrs, routes, strings.Join(e.policies, ",\n  "))
}

// policies of an endpoint, as its kind of network has them.
func (g *generator) policies(e *endpoint) []string {
	var out []string
	n := e.net
	vfp := n.kind == overlay || n.kind == l2bridge || n.kind == l2tunnel
	if vfp && g.chance(60) {
		exceptions := pick(g, []string{`"10.0.0.0/8"`, `"10.100.0.0/14","10.96.0.0/12"`, `"10.96.0.0/12"`, ``})
		out = append(out, fmt.Sprintf(`{"Type":"OutBoundNAT","Settings":{"Exceptions":[%s]}}`, exceptions))
		if g.chance(25) {
			out = append(out, fmt.Sprintf(`{"Type":"OutBoundNAT","Settings":{"Destinations":["%s"]}}`, e.addr))
		}
	}
	if vfp && g.chance(40) {
		out = append(out, `{"Type":"SDNRoute","Settings":{"DestinationPrefix":"10.96.0.0/12","NeedEncap":true}}`)
	}
	if (n.kind == nat || vfp) && g.chance(30) {
		out = append(out, fmt.Sprintf(`{"Type":"PortMapping","Settings":{"Protocol":%d,"InternalPort":%d,"ExternalPort":%d%s}}`,
			pick(g, []int{6, 17}), pick(g, []int{80, 53}), 8000+len(g.eps), pick(g, []string{"", `,"Flags":1`})))
	}
	if g.chance(45) {
		for range 1 + g.rng.IntN(4) {
			out = append(out, g.acl())
		}
	}
	if g.chance(10) {
		out = append(out, fmt.Sprintf(`{"Type":"QOS","Settings":{"MaximumOutgoingBandwidthInBytes":%d}}`, pick(g, []int{2000, 50000, 1000000})))
	}
	return out
}

// acl is one rule.
func (g *generator) acl() string {
	fields := []string{
		fmt.Sprintf(`"Action":%q`, pick(g, []string{"Allow", "Block"})),
		fmt.Sprintf(`"Direction":%q`, pick(g, []string{"In", "Out"})),
		fmt.Sprintf(`"Priority":%d`, pick(g, []int{100, 100, 200, 300, 65000})),
	}
	proto := pick(g, []string{"", "6", "17", "1", "58"})
	if proto != "" {
		fields = append(fields, fmt.Sprintf(`"Protocols":%q`, proto))
	}
	if proto == "6" || proto == "17" {
		switch g.rng.IntN(4) {
		case 0:
			fields = append(fields, fmt.Sprintf(`"LocalPorts":%q`, pick(g, ports)))
		case 1:
			fields = append(fields, fmt.Sprintf(`"RemotePorts":%q`, pick(g, append([]string{"1024-65535"}, ports...))))
		}
	}
	if g.chance(40) {
		fields = append(fields, fmt.Sprintf(`"RemoteAddresses":%q`, pick(g, []string{"10.127.130.0/24", "203.0.113.80", "10.100.0.0/14", "0.0.0.0/0", "10.127.130.77,203.0.113.0/24"})))
	}
	if g.chance(60) {
		fields = append(fields, fmt.Sprintf(`"RuleType":%q`, pick(g, []string{"Switch", "Switch", "Host"})))
	}
	return `{"Type":"ACL","Settings":{` + strings.Join(fields, ",") + `}}`
}

// balancerDocument is a service; now and then a node port.
func balancerDocument(g *generator, vip string, h *host, backends string) string {
	flags := pick(g, []int{0, 1, 1, 1})
	if strings.Contains(vip, ":") {
		flags |= 2 // IPv6
	}
	fields := []string{version, `"HostComputeEndpoints":[` + backends + `]`, fmt.Sprintf(`"Flags":%d`, flags)}
	mapping := pick(g, []int{0, 0, 0, 1, 2, 4, 8, 16})
	if g.chance(80) {
		fields = append(fields, fmt.Sprintf(`"FrontendVIPs":[%q]`, vip))
	} else if g.chance(50) {
		fields = append(fields, fmt.Sprintf(`"FrontendVIPs":[%q]`, h.addr))
	}
	if n := h.nets[0]; n.kind == overlay && g.chance(60) {
		fields = append(fields, fmt.Sprintf(`"SourceVIP":"%s.200"`, n.prefix))
	}
	fields = append(fields, fmt.Sprintf(`"PortMappings":[{"Protocol":%d,"ExternalPort":%s,"InternalPort":%s,"Flags":%d,"DistributionType":%d}]`,
		pick(g, []int{6, 6, 17}), pick(g, []string{"80", "53", "443", "30080"}), pick(g, []string{"80", "53", "8080"}), mapping, pick(g, []int{0, 0, 1, 2})))
	return "{" + strings.Join(fields, ",") + "}"
}
