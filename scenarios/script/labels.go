package script

// LabelDoc is a label that scenarios may carry.
type LabelDoc struct{ Name, Meaning string }

var labelTable = []LabelDoc{
	{"core", "what every user of the area relies on; run first"},
	{"extended", "beyond the core: options, corner cases"},
	{"slow", "thousands of packets, or more than 30 minutes of virtual time"},
	{"golden", "compares whole frames or documents byte by byte"},
	{"regression", "reproduces a bug that was reported on a real host"},
	{"documented", "pins a documented limitation: the feature is expected not to work"},
	{"strict", "what RFCs ask for where real builds differ"},
	{"knob", "behaviour that a contract knob changes"},
	{"build", "behaviour that differs between builds"},

	{"vswitch", "the Hyper-V switch: MAC table, VLAN, port security, port ACLs"},
	{"nat", "nat networks and WinNAT"},
	{"transparent", "transparent networks"},
	{"l2bridge", "l2bridge networks"},
	{"l2tunnel", "l2tunnel networks"},
	{"overlay", "overlay networks"},
	{"lb", "load balancers and virtual addresses"},
	{"acl", "access control lists"},
	{"qos", "bandwidth limits"},
	{"proxy", "L4 proxies"},
	{"compartment", "compartments, namespaces, isolation"},
	{"sdn", "tenant networks of a network controller"},
	{"vfp", "the flow engine itself"},
	{"control", "documents, errors and life cycle of the control plane"},
	{"v1", "HNS v1 documents and calls"},

	{"arp", "ARP or neighbour discovery"},
	{"dhcp", "DHCP"},
	{"icmp", "ICMP messages and errors"},
	{"tcp", "TCP connections or segments"},
	{"udp", "UDP datagrams"},
	{"ipv6", "IPv6"},
	{"vlan", "802.1Q tags"},
	{"fragments", "IP fragments"},
	{"mtu", "sizes and oversize packets"},
	{"checksum", "checksums"},
	{"ttl", "hop limits"},
	{"timers", "idle times and expiry"},
	{"ports", "port pools, reservations and exhaustion"},
	{"portmapping", "published ports"},
	{"snat", "outbound NAT in VFP"},
	{"hairpin", "traffic that returns to where it came from"},
	{"vxlan", "VXLAN encapsulation"},
	{"nvgre", "NVGRE encapsulation"},
	{"routing", "routes between subnets and hosts"},
	{"isolation", "traffic that must not pass between networks or tenants"},
	{"security", "spoofing and other protection of ports"},
	{"broadcast", "broadcast and multicast"},
	{"dsr", "direct server return"},
	{"persistence", "restarts of the service or the host"},
	{"cni", "documents as CNI plugins send them"},
	{"kubeproxy", "documents as kube-proxy sends them"},
}

// Labels lists the labels with their meaning.
func Labels() []LabelDoc { return labelTable }

func labelNames() []string {
	out := make([]string, len(labelTable))
	for i, l := range labelTable {
		out[i] = l.Name
	}
	return out
}
