package hcn

import "time"

// knobDef ties a knob's name to its field and says what it may hold. Allowed
// is nil for fields whose type says everything (switches, times, numbers).
type knobDef struct {
	name    string
	field   func(*Knobs) any // *bool, *string, *int, *time.Duration or *Code
	allowed []string
	def     func(Profile) any
	rules   string
	doc     string
}

func always(v any) func(Profile) any { return func(Profile) any { return v } }

// strict chooses a value for strict-rfc and another one for real builds.
func strict(rfc, real any) func(Profile) any {
	return func(p Profile) any {
		if p.Name == StrictRFC {
			return rfc
		}
		return real
	}
}

// fromBuild chooses by OS build: before the threshold, and from it on.
func fromBuild(build int, before, after any) func(Profile) any {
	return func(p Profile) any {
		if p.OSBuild < build {
			return before
		}
		return after
	}
}

// fromHNS chooses by the version of the service.
func fromHNS(major, minor uint32, before, after any) func(Profile) any {
	return func(p Profile) any {
		if p.Version.AtLeast(major, minor) {
			return after
		}
		return before
	}
}

const (
	build1803 = 17134
	build2019 = 17763
	build2022 = 20348
)

var knobDefs = []knobDef{
	{"unknownUnicast", func(k *Knobs) any { return &k.UnknownUnicast }, []string{"uplink", "flood"}, always("uplink"), "VS-11",
		"where frames for a MAC that the switch does not know go"},

	{"loopbackPublish", func(k *Knobs) any { return &k.LoopbackPublish }, nil, fromBuild(build1803, false, true), "NAT-36 D-23",
		"a published port answers on 127.0.0.1 and on the host's own address"},
	{"natHairpin", func(k *Knobs) any { return &k.NATHairpin }, []string{"snat", "drop"}, fromBuild(build1803, "drop", "snat"), "NAT-37 D-23",
		"a container that connects to a published port of its own host: translated both ways, or dropped"},
	{"natMapping", func(k *Knobs) any { return &k.NATMapping }, []string{"EIM", "ADM", "APDM"}, always("EIM"), "NAT-13",
		"WinNAT mapping: endpoint-independent, address-dependent, address-and-port-dependent"},
	{"natFilteringTcp", func(k *Knobs) any { return &k.NATFilteringTCP }, []string{"EIF", "ADF"}, always("ADF"), "NAT-14",
		"WinNAT filtering of inbound TCP"},
	{"natFilteringUdp", func(k *Knobs) any { return &k.NATFilteringUDP }, []string{"EIF", "ADF"}, always("ADF"), "NAT-14",
		"WinNAT filtering of inbound UDP"},
	{"natTimerIcmp", func(k *Knobs) any { return &k.NATTimerICMP }, nil, strict(60*time.Second, 30*time.Second), "3.3 D-04",
		"WinNAT: idle time of an ICMP query mapping"},
	{"natTimerUdp", func(k *Knobs) any { return &k.NATTimerUDP }, nil, always(120 * time.Second), "3.3 D-04",
		"WinNAT: idle time of a UDP mapping"},
	{"natTimerTcpTransient", func(k *Knobs) any { return &k.NATTimerTCPTransient }, nil, strict(240*time.Second, 120*time.Second), "3.3 D-04",
		"WinNAT: idle time of a TCP connection that opens or closes"},
	{"natTimerTcpEstablished", func(k *Knobs) any { return &k.NATTimerTCPEstabl }, nil, strict(7440*time.Second, 1800*time.Second), "3.3 D-04",
		"WinNAT: idle time of an established TCP connection"},
	{"natUdpInboundRefresh", func(k *Knobs) any { return &k.NATUDPInboundRefresh }, nil, always(false), "3.3",
		"inbound packets keep a UDP mapping alive"},
	{"natPortBlock", func(k *Knobs) any { return &k.NATPortBlock }, nil, always(100), "NAT-12",
		"ports that WinNAT reserves at once"},
	{"rewriteIPID", func(k *Knobs) any { return &k.RewriteIPID }, nil, always(false), "NAT-19",
		"WinNAT gives translated packets a new IP identification"},
	{"tcpSeqCheck", func(k *Knobs) any { return &k.TCPSeqCheck }, nil, always(false), "3.3",
		"WinNAT checks TCP sequence numbers"},
	{"natDefaultPrefix", func(k *Knobs) any { return &k.NATDefaultPrefix }, []string{"auto", "<prefix>"}, always("auto"), "NAT-03 D-05",
		"prefix of a NAT network that names none: a free /20 of 172.16.0.0/12, or this one"},
	{"natSecondNetwork", func(k *Knobs) any { return &k.NATSecondNetwork }, []string{"refuse", "allow"}, fromBuild(build1803, "refuse", "allow"), "NAT-05",
		"a second NAT network with a disjoint prefix"},
	{"natClash", func(k *Knobs) any { return &k.NATClash }, []string{"ERROR_OBJECT_ALREADY_EXISTS", "ERROR_DUP_NAME"}, always(ErrObjectExists), "NAT-05 D.3-17",
		"code for a NAT prefix that clashes"},
	{"natDnsProxy", func(k *Knobs) any { return &k.NATDNSProxy }, nil, always(false), "D-31",
		"the gateway of a NAT network is its endpoints' first DNS server"},
	{"natExceptionHostBits", func(k *Knobs) any { return &k.NATExceptionHostBits }, []string{"refuse", "accept"}, fromBuild(build2022, "accept", "refuse"), "C.1",
		"an OutBoundNAT exception such as 172.17.0.1/16"},
	{"portMappingVip", func(k *Knobs) any { return &k.PortMappingVIP }, []string{"accept", "refuse"}, always("accept"), "D-21",
		"a PortMapping for one address of the host"},
	{"transparentCrossSubnet", func(k *Knobs) any { return &k.TransparentCrossRoute }, []string{"gateway", "host"}, always("gateway"), "TR-05 D-17",
		"who routes between the subnets of transparent networks"},
	{"l2tunnelNetworks", func(k *Knobs) any { return &k.L2TunnelNetworks }, []string{"accept", "refuse"}, always("accept"), "D-01",
		"networks of type L2Tunnel: one source has them for Azure only, another for everything but Azure"},
	{"ipv6.l2bridge", func(k *Knobs) any { return &k.IPv6L2Bridge }, []string{"feature", "ws2022", "ws2019"}, always("feature"), "L2B-17 D-10",
		"since when l2bridge and l2tunnel networks may have IPv6: HNS 11.10, or one of these builds"},

	{"vfpNatIdle", func(k *Knobs) any { return &k.VFPNATIdle }, nil, always(240 * time.Second), "L2B-24 D-03",
		"idle time of an OutBoundNAT flow"},
	{"vfpIcmpNat", func(k *Knobs) any { return &k.VFPICMPNAT }, nil, always(false), "L2B-26 D-02",
		"OutBoundNAT translates ICMP queries"},
	{"vfpPortBlock", func(k *Knobs) any { return &k.VFPPortBlock }, nil, always(64), "L2B-23",
		"ports of an OutBoundNAT pool block"},
	{"uftFull", func(k *Knobs) any { return &k.UFTFull }, []string{"slow", "drop"}, always("slow"), "VFP-10",
		"a packet of a new flow when the flow table is full"},
	{"arpMode.l2bridge", func(k *Knobs) any { return &k.ARPModeL2Bridge }, []string{"proxy", "rewrite"}, always("proxy"), "L2B-04",
		"who answers an ARP request for a container on the wire"},
	{"l2bridgePortMapping", func(k *Knobs) any { return &k.L2BridgePorts }, []string{"any", "flag"}, always("any"), "L2B-30 D.3-30",
		"PortMapping on l2bridge: always, or only with LocalRoutedVip"},

	{"ovBroadcast", func(k *Knobs) any { return &k.OVBroadcast }, []string{"local", "replicate"}, always("local"), "OV-11 D-25",
		"broadcasts of an overlay network"},
	{"drDecrementsTtl", func(k *Knobs) any { return &k.DRDecrementsTTL }, nil, strict(true, false), "OV-17 D-24",
		"the distributed router takes one off the inner TTL"},
	{"ovDeliveredSource", func(k *Knobs) any { return &k.OVDeliveredMAC }, []string{"dr", "sender"}, always("dr"), "OV-13",
		"source MAC of a decapsulated frame that was routed: the receiving host's DR MAC, or the sender's"},
	{"outerTtl", func(k *Knobs) any { return &k.OuterTTL }, nil, always(128), "OV-15",
		"TTL of the outer header"},
	{"outerDf", func(k *Knobs) any { return &k.OuterDF }, nil, always(false), "OV-16",
		"do-not-fragment bit of the outer header"},
	{"dscpCopy", func(k *Knobs) any { return &k.DSCPCopy }, nil, always(false), "OV-15",
		"the outer DSCP is the inner one"},
	{"ecnCopy", func(k *Knobs) any { return &k.ECNCopy }, nil, strict(true, false), "OV-15",
		"ECN is carried over as RFC 6040 says"},
	{"encapOversize", func(k *Knobs) any { return &k.EncapOversize }, []string{"silent", "icmp"}, strict("icmp", "silent"), "OV-19 D-19",
		"an encapsulated packet that exceeds the underlay MTU"},
	{"overlayMtu", func(k *Knobs) any { return &k.OverlayMTU }, []string{"given", "always"}, always("given"), "OV-18 D-18",
		"when the MTU of an overlay endpoint is 1450: with an EncapOverhead policy, or always"},
	{"overlayOutbound", func(k *Knobs) any { return &k.OverlayOutbound }, nil, always(true), "OV-20 D-22",
		"OutBoundNAT works on overlay networks"},
	{"swarmCompat", func(k *Knobs) any { return &k.SwarmCompat }, nil, always(false), "OV-02 D-06",
		"VSIDs below 4096 are accepted"},
	{"vsidOnly4096", func(k *Knobs) any { return &k.VSIDOnly4096 }, nil, always(false), "D-08",
		"4096 is the only VSID of overlay networks, as the Kubernetes documentation has it for flannel"},
	{"routeVsidBits", func(k *Knobs) any { return &k.RouteVSIDBits }, []string{"24", "16"}, always("24"), "D-07",
		"bits of a RemoteSubnetRoute's IsolationId that count: hcsshim's struct has 16, the wire 24"},
	{"ipv6.overlay", func(k *Knobs) any { return &k.IPv6Overlay }, nil, always(false), "OV-28 D-09",
		"overlay endpoints may have IPv6 addresses"},
	{"overlayMacPrefix", func(k *Knobs) any { return &k.OverlayMACPrefix }, []string{"off", "<two bytes, 0E-2A>"}, always("off"), "0.6 S-OV-28",
		"MAC of an overlay endpoint that brings none: from the pool, or this prefix and the IPv4 address"},

	{"sdnOutboundRules", func(k *Knobs) any { return &k.SDNOutboundRules }, []string{"first", "all"}, strict("all", "first"), "SDN-15",
		"of several outbound NAT rules of a tenant's load balancer: the first alone works, or all do"},
	{"sdnInboundRules", func(k *Knobs) any { return &k.SDNInboundRules }, []string{"last", "all"}, strict("all", "last"), "SDN-16 B-47",
		"of several inbound NAT rules for one interface: the last alone works, or all do"},

	{"aclTie", func(k *Knobs) any { return &k.ACLTie }, []string{"block-wins", "first-wins"}, always("block-wins"), "ACL-06",
		"ACLs of equal priority"},
	{"aclAnyMeansDeny", func(k *Knobs) any { return &k.ACLAnyMeansDeny }, nil,
		func(p Profile) any { return p.Name == WS2025 }, "D-11",
		"an endpoint with any ACL denies what no ACL allows"},
	{"aclSetAddressing", func(k *Knobs) any { return &k.ACLSetAddressing }, []string{"source-dest", "endpoint"}, always("source-dest"), "ACL-03 D-13",
		"meaning of Local and Remote when they name sets"},
	{"aclReconcile", func(k *Knobs) any { return &k.ACLReconcile }, []string{"lazy", "never"}, always("lazy"), "ACL-11",
		"live flows after an ACL change"},
	{"aclTierOrder", func(k *Knobs) any { return &k.ACLTierOrder }, []string{"ascending", "descending"}, always("ascending"), "ACL-30",
		"which of an endpoint's TierAcl policies is asked first: that with the least Order, or the greatest"},
	{"aclPrecedence", func(k *Knobs) any { return &k.ACLPrecedence }, []string{"network-first", "tiers-first"}, always("network-first"), "ACL-32",
		"whether NetworkACL rules come before or after tiers; an endpoint's own ACLs are last either way"},
	{"aclNeighborDiscovery", func(k *Knobs) any { return &k.ACLNeighbors }, []string{"outside", "filtered"}, always("outside"), "ACL-12",
		"whether IPv6 neighbour discovery is outside ACLs, as ARP is, or traffic that they block"},

	{"hostToClusterIP", func(k *Knobs) any { return &k.HostToClusterIP }, nil, always(true), "LB-14 D-15",
		"the node reaches services by their address"},
	{"localNodePort", func(k *Knobs) any { return &k.LocalNodePort }, nil, always(true), "LB-13 D-16",
		"the node reaches its own node ports"},
	{"lbUpdate", func(k *Knobs) any { return &k.LBUpdate }, []string{"recreate", "in-place"}, fromHNS(15, 4, "recreate", "in-place"), "LB-07",
		"what a change of a load balancer does to its flows"},
	{"lbTerminating", func(k *Knobs) any { return &k.LBTerminating }, []string{"drain", "cut"}, always("drain"), "LB-08",
		"established flows to a backend that was taken out"},
	{"lbSharedPools", func(k *Knobs) any { return &k.LBSharedPools }, nil, fromBuild(build2019, false, true), "D-30",
		"load balancers share SNAT port pools instead of 64 ports each"},
	{"nodePortNeedsLocal", func(k *Knobs) any { return &k.NodePortNeedsLocal }, nil, fromBuild(build2019, true, false), "LB-13",
		"a node answers for a service from outside only if one of its backends is there"},
	{"lbListenerClash", func(k *Knobs) any { return &k.LBListenerClash }, nil, fromBuild(build2022, true, false), "LB-19",
		"a listener of the host keeps load balancers off its port, whatever their address"},
	{"lbUseMux", func(k *Knobs) any { return &k.LBUseMux }, []string{"accept", "refuse"}, always("accept"), "D-14",
		"flag 4 of a load balancer's port mapping, UseMux to hcsshim and NotUsed to the schema: no effect, or an error"},

	{"qosBurst", func(k *Knobs) any { return &k.QoSBurst }, nil, always(100 * time.Millisecond), "QOS-02",
		"a bandwidth limit: how much of its traffic passes at once, 64 KiB at least"},
	{"qosQueue", func(k *Knobs) any { return &k.QoSQueue }, nil, always(time.Second), "QOS-02",
		"a bandwidth limit: how long frames wait before others are dropped"},

	{"tcpTimeWait", func(k *Knobs) any { return &k.TCPTimeWait }, nil, always(120 * time.Second), "CMP-10",
		"how long a Windows kernel remembers a connection that it closed first; a process-isolated compartment lives as long"},
	{"hostNetworking", func(k *Knobs) any { return &k.HostNetworking }, []string{"refuse", "accept"}, always("refuse"), "CMP-11",
		"a container in a namespace of the host's own compartment"},
	{"containerRestart", func(k *Knobs) any { return &k.ContainerRestart }, []string{"attach", "fail"}, always("attach"), "CMP-07 B-50",
		"a container in a namespace whose last container stopped: it gets the endpoints, or fails as reported of Windows Server 2019"},

	{"v1ErrorForm", func(k *Knobs) any { return &k.V1ErrorForm }, []string{"envelope", "hresult"}, always("envelope"), "A23 D.4",
		"failures of HNSCall: S_OK with Success false, or a negative HRESULT"},
	{"addressInUse", func(k *Knobs) any { return &k.AddressInUse }, []string{"HCN_E_ADDR_INVALID_OR_RESERVED", "ERROR_OBJECT_ALREADY_EXISTS"},
		fromHNS(11, 0, ErrObjectExists, ErrAddrInvalidOrReserved), "D.3-22",
		"code for an address that another local endpoint has"},
	{"detachUnattached", func(k *Knobs) any { return &k.DetachUnattached }, []string{"success", "error"}, always("success"), "D.3-34",
		"detaching an endpoint that is not attached"},
	{"deleteUnknown", func(k *Knobs) any { return &k.DeleteUnknown }, []string{"error", "success"}, always("error"), "D.3-5 G.6",
		"deleting an object that does not exist"},
	{"duplicateMac", func(k *Knobs) any { return &k.DuplicateMAC }, []string{"accept", "refuse"}, always("accept"), "D.3-26 G.6",
		"an endpoint with the MAC of another one on its network"},
	{"vsidTaken", func(k *Knobs) any { return &k.VSIDTaken }, []string{"HCN_E_INVALID_NETWORK", "ERROR_INVALID_PARAMETER"}, always(ErrInvalidNetwork), "C.3 G.6",
		"code for a VSID that another overlay network on the same adapter has"},
	{"attachedSharing", func(k *Knobs) any { return &k.AttachedSharing }, []string{"flow", "block"}, always("flow"), "CMP-08 D-12",
		"endpoint state 3: shared and healthy, or detached"},
	{"namespaceJoin", func(k *Knobs) any { return &k.NamespaceJoin }, []string{"created", "attached"}, always("created"), "CMP-07 G.6",
		"state of an endpoint that joined a namespace in which nothing runs"},
	{"namespaceRejoin", func(k *Knobs) any { return &k.NamespaceRejoin }, []string{"refuse", "accept"}, always("refuse"), "D.3-31",
		"adding an endpoint to the namespace that it is in: win-bridge does when a container is set up twice"},
	{"namespaceLeave", func(k *Knobs) any { return &k.NamespaceLeave }, []string{"error", "success"}, always("error"), "D.3-35",
		"taking an endpoint out of a namespace that it is not in"},
	{"idConflict", func(k *Knobs) any { return &k.IDConflict }, []string{"argument", "document"}, always("argument"), "A7",
		"which id an object gets when the argument of Create and the document name two"},
	{"filterCase", func(k *Knobs) any { return &k.FilterCase }, []string{"sensitive", "insensitive"}, always("sensitive"), "B.7",
		"whether a filter on Name minds capitals"},
	{"poolExhausted", func(k *Knobs) any { return &k.PoolExhausted }, []string{"HCN_E_ADDR_INVALID_OR_RESERVED", "HCN_E_INVALID_IP"}, always(ErrAddrInvalidOrReserved), "D.3-25",
		"code when a subnet has no address left"},
	{"setExists", func(k *Knobs) any { return &k.SetExists }, []string{"refuse", "replace"}, always("refuse"), "B.8",
		"adding a SetPolicy with an id that the network has"},
	{"policyMissing", func(k *Knobs) any { return &k.PolicyMissing }, []string{"error", "success"}, always("error"), "B.8",
		"removing a policy that the object does not have"},
	{"lbDuplicate", func(k *Knobs) any { return &k.LBDuplicate }, []string{"HCN_E_PORT_ALREADY_EXISTS", "ERROR_ALREADY_EXISTS"}, always(ErrPortAlreadyExists), "C.4 D.3-41",
		"code for a frontend that another load balancer has"},
	{"lbEmptied", func(k *Knobs) any { return &k.LBEmptied }, []string{"keep", "delete"}, always("keep"), "C.4",
		"a load balancer whose last endpoint is deleted"},
	{"lbUnattached", func(k *Knobs) any { return &k.LBUnattached }, []string{"accept", "refuse"}, always("accept"), "C.4",
		"a load balancer that names a local endpoint without a switch port"},
	{"v1RouteL2bridge", func(k *Knobs) any { return &k.V1RouteL2Bridge }, []string{"accept", "refuse"}, always("accept"), "C.5",
		"a v1 ROUTE policy list for endpoints of an l2bridge network"},
	{"lbRestoreDelay", func(k *Knobs) any { return &k.LBRestoreDelay }, nil, always(time.Duration(0)), "G.5",
		"how long after a restart of the service its load balancers are listed without PortMappings"},
	{"hnsRestart", func(k *Knobs) any { return &k.HNSRestart }, []string{"restore", "lose-endpoints"}, fromHNS(16, 0, "lose-endpoints", "restore"), "G.5 LB-21",
		"endpoints and load balancers after a restart of the service"},
	{"rebootExternal", func(k *Knobs) any { return &k.RebootExternal }, []string{"keep", "drop"}, always("keep"), "G.5",
		"external networks without EnableNonPersistent after a reboot"},
	{"hostNamespaceId", func(k *Knobs) any { return &k.HostNamespaceID }, []string{"random", "<GUID>"}, always("random"), "F.4",
		"id of the namespace of the host's own compartment"},
	{"v2OnOldBuilds", func(k *Knobs) any { return &k.V2OnOldBuilds }, []string{"accept", "refuse"}, always("accept"), "B.9",
		"v2 documents on a service older than 9.2"},
	{"unknownMembers", func(k *Knobs) any { return &k.UnknownMembers }, []string{"accept", "refuse"}, always("accept"), "B5",
		"members of a document that no schema has"},
	{"providerAddressDelay", func(k *Knobs) any { return &k.ProviderAddressDelay }, nil, always(time.Duration(0)), "F.1",
		"how long after its creation an external network shows no ProviderAddress"},
}
