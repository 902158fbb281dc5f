package bench

import (
	"fmt"
	"strings"
)

// The worlds of the paths, as documents that a CNI plugin or kube-proxy sends.

const version2 = `"SchemaVersion":{"Major":2,"Minor":0}`

// transparent has two containers beside each other.
func transparent(l *lab) {
	l.topology(1, false)
	l.network("h1", "tr", `{`+version2+`,"Name":"tr","Type":"Transparent",
		"Policies":[{"Type":"NetAdapterName","Settings":{"NetworkAdapterName":"Ethernet"}}],
		"Ipams":[{"Type":"Static","Subnets":[{"IpAddressPrefix":"10.127.130.0/24","Routes":[{"NextHop":"10.127.130.1","DestinationPrefix":"0.0.0.0/0"}]}]}]}`)
	l.pod("h1", "tr", "a", endpoint("a", "00-15-5D-30-00-0A", podA, ""))
	l.pod("h1", "tr", "b", endpoint("b", "00-15-5D-30-00-0B", "10.127.130.111", ""))
}

func endpoint(name, mac, ip, policies string) string {
	return fmt.Sprintf(`{%s,"Name":%q,"MacAddress":%q,"IpConfigurations":[{"IpAddress":%q,"PrefixLength":24}],"Policies":[%s]}`,
		version2, name, mac, ip, policies)
}

const outboundNAT = `{"Type":"OutBoundNAT","Settings":{"Exceptions":["10.0.0.0/8"],"MaxPortPoolUsage":65535}}`

// bridge is one container on an l2bridge network, with policies and so many
// ACL rules of which the last matches.
func bridge(policies string, rules int) func(*lab) {
	return func(l *lab) {
		l.topology(1, false)
		l.want("h1", "ports.dynamic", dynamic)
		l.network("h1", "br", `{`+version2+`,"Name":"br","Type":"L2Bridge",
			"Policies":[{"Type":"NetAdapterName","Settings":{"NetworkAdapterName":"Ethernet"}}],
			"Ipams":[{"Type":"Static","Subnets":[{"IpAddressPrefix":"10.127.130.0/24","Routes":[{"NextHop":"10.127.130.1","DestinationPrefix":"0.0.0.0/0"}]}]}]}`)
		all := policies
		if rules > 0 {
			all = strings.Join(aclRules(rules), ",")
		}
		l.pod("h1", "br", "a", endpoint("a", "00-15-5D-24-00-0A", podA, all))
	}
}

// aclRules are n rules: blocks of single servers and subnets with and without
// ports, none of which is spoken to, and an allow for everything behind them.
func aclRules(n int) []string {
	var out []string
	for i := range n - 1 {
		remote := fmt.Sprintf("198.%d.%d.%d", 18+i>>16, i>>8&255, i&255)
		if i%4 == 3 {
			remote = fmt.Sprintf("100.%d.%d.0/24", 64+i>>8&63, i&255)
		}
		ports := ""
		if i%2 == 1 {
			ports = fmt.Sprintf(`,"Protocols":"17","RemotePorts":"%d"`, 1+i%60_000)
		}
		out = append(out, fmt.Sprintf(`{"Type":"ACL","Settings":{"Action":"Block","Direction":"Out","Priority":%d,"RuleType":"Switch","RemoteAddresses":%q%s}}`, 100+i, remote, ports))
	}
	return append(out, fmt.Sprintf(`{"Type":"ACL","Settings":{"Action":"Allow","Direction":"Out","Priority":%d,"RuleType":"Switch"}}`, 100+n))
}

// natNetwork is one container behind WinNAT.
func natNetwork(l *lab) {
	l.topology(1, false)
	l.want("h1", "ports.dynamic", dynamic)
	l.want("h1", "nat.sessions", "1048576")
	l.network("h1", "nat", `{`+version2+`,"Name":"nat","Type":"NAT","GatewayMac":"00-15-5D-10-00-01",
		"Ipams":[{"Type":"Static","Subnets":[{"IpAddressPrefix":"172.16.0.0/24","Routes":[{"NextHop":"172.16.0.1","DestinationPrefix":"0.0.0.0/0"}]}]}]}`)
	l.pod("h1", "nat", "a", endpoint("a", "00-15-5D-10-00-0A", "172.16.0.10", ""))
}

const (
	drMAC1       = "00-15-5D-D0-B3-B7"
	drMAC2       = "00-15-5D-6C-B8-EF"
	kubeNAT      = `{"Type":"OutBoundNAT","Settings":{"Exceptions":["10.244.0.0/16","10.96.0.0/12"]}}`
	backendCount = 4
	servicePorts = 17
)

func overlayNetwork(own, dr, other, peer, peerDR string) string {
	return fmt.Sprintf(`{%s,"Name":"vx","Type":"Overlay",
		"Ipams":[{"Type":"Static","Subnets":[{"IpAddressPrefix":"10.244.%s.0/24",
			"Policies":[{"Type":"VSID","Settings":{"IsolationId":4096}}],
			"Routes":[{"NextHop":"10.244.%s.1","DestinationPrefix":"0.0.0.0/0"}]}]}],
		"Policies":[{"Type":"HostRoute","Settings":{}},{"Type":"DrMacAddress","Settings":{"Address":%q}},
			{"Type":"RemoteSubnetRoute","Settings":{"DestinationPrefix":"10.244.%s.0/24","IsolationId":4096,"ProviderAddress":%q,"DistributedRouterMacAddress":%q}}]}`,
		version2, own, own, dr, other, peer, peerDR)
}

// overlay is a container on one host and some on the other, with or without a
// service in front of those.
func overlay(service bool) func(*lab) {
	return func(l *lab) {
		l.topology(2, false)
		l.network("h1", "vx1", overlayNetwork("1", drMAC1, "2", "10.127.130.38", drMAC2))
		l.network("h2", "vx2", overlayNetwork("2", drMAC2, "1", "10.127.130.35", drMAC1))
		l.pod("h1", "vx1", "a", endpoint("a", "0E-2A-0A-F4-01-0A", "10.244.1.10", kubeNAT))
		var remotes []string
		for i := range backendCount {
			ip := fmt.Sprintf("10.244.2.%d", 20+i)
			l.pod("h2", "vx2", fmt.Sprintf("c%d", i), endpoint(fmt.Sprintf("c%d", i), fmt.Sprintf("0E-2A-0A-F4-02-%02X", 20+i), ip, kubeNAT))
			if !service {
				continue
			}
			name := fmt.Sprintf("rem%d", i)
			l.remote("h1", "vx1", name, fmt.Sprintf(`{%s,"Flags":1,"MacAddress":"02-11-0A-F4-02-%02X","IpConfigurations":[{"IpAddress":%q,"PrefixLength":24}],
				"Policies":[{"Type":"ProviderAddress","Settings":{"ProviderAddress":"10.127.130.38"}}]}`, version2, 20+i, ip))
			remotes = append(remotes, name)
		}
		if service {
			l.balancer("h1", "svc", serviceDoc(1), remotes...)
		}
	}
}

// serviceDoc is a load balancer with ports enough for a million flows of one
// client. Its backends tell the ports apart, or answers could not be told
// apart. flags is 1 for direct server return.
func serviceDoc(flags int) string {
	var mappings []string
	for i := range servicePorts {
		mappings = append(mappings, fmt.Sprintf(`{"Protocol":17,"ExternalPort":%d,"InternalPort":%d,"Flags":0}`, 80+i, 8080+i))
	}
	return fmt.Sprintf(`{%s,"HostComputeEndpoints":%%s,"FrontendVIPs":["10.96.10.10"],"Flags":%d,"PortMappings":[%s]}`,
		version2, flags, strings.Join(mappings, ","))
}

// local is a client and backends on one l2bridge host.
func local(l *lab) {
	bridge("", 0)(l)
	var backends []string
	for i := range backendCount {
		name := fmt.Sprintf("c%d", i)
		l.pod("h1", "br", name, endpoint(name, fmt.Sprintf("00-15-5D-24-00-%02X", 20+i), fmt.Sprintf("10.127.130.%d", 120+i), ""))
		backends = append(backends, name)
	}
	l.balancer("h1", "svc", serviceDoc(1), backends...)
}

// service is a client on one l2bridge host and backends on the other.
func service(flags int) func(*lab) {
	return func(l *lab) {
		l.topology(2, true)
		l.want("h1", "ports.dynamic", dynamic)
		var remotes []string
		for i, h := range []string{"h1", "h2"} {
			subnet := fmt.Sprintf("10.244.%d", i+1)
			net, host := fmt.Sprintf("cbr%d", i), fmt.Sprintf("cbr%d_ep", i)
			l.network(h, net, fmt.Sprintf(`{%s,"Name":"cbr0","Type":"L2Bridge","Ipams":[{"Type":"Static","Subnets":[{"IpAddressPrefix":"%s.0/24",
				"Routes":[{"NextHop":"%s.1","DestinationPrefix":"0.0.0.0/0"}]}]}]}`, version2, subnet, subnet))
			l.hostEndpoint(h, net, host, endpoint(host, fmt.Sprintf("00-15-5D-24-%02X-02", i+1), subnet+".2", ""))
		}
		l.pod("h1", "cbr0", "a", bridgePod("a", "10.244.1.10", "00-15-5D-24-01-0A", "10.244.1.2", "10.127.130.35/32"))
		for i := range backendCount {
			ip := fmt.Sprintf("10.244.2.%d", 20+i)
			l.pod("h2", "cbr1", fmt.Sprintf("c%d", i), bridgePod(fmt.Sprintf("c%d", i), ip, fmt.Sprintf("00-15-5D-24-02-%02X", 20+i), "10.244.2.2", "10.127.130.38/32"))
			name := fmt.Sprintf("rem%d", i)
			l.remote("h1", "cbr0", name, fmt.Sprintf(`{%s,"Flags":1,"MacAddress":"02-11-0A-F4-02-%02X","IpConfigurations":[{"IpAddress":%q,"PrefixLength":24}]}`, version2, 20+i, ip))
			remotes = append(remotes, name)
		}
		l.balancer("h1", "svc", serviceDoc(flags), remotes...)
	}
}

func bridgePod(name, ip, mac, gateway, node string) string {
	return fmt.Sprintf(`{%s,"Name":%q,"MacAddress":%q,"IpConfigurations":[{"IpAddress":%q,"PrefixLength":24}],
		"Routes":[{"NextHop":%q,"DestinationPrefix":"0.0.0.0/0"}],
		"Policies":[{"Type":"OutBoundNAT","Settings":{"Exceptions":["10.244.0.0/16","10.96.0.0/12","10.127.130.0/24"]}},
			{"Type":"SDNRoute","Settings":{"DestinationPrefix":"10.96.0.0/12","NeedEncap":true}},
			{"Type":"SDNRoute","Settings":{"DestinationPrefix":%q,"NeedEncap":true}}]}`, version2, name, mac, ip, gateway, node)
}
