package vfp

// Drop says why a packet went no further. It is the one list for the whole
// model: the switch, NAT, the host stack and the links use it too, so that a
// counter, a trace, a scenario and the documentation cannot disagree.
type Drop uint8

const (
	DropNone Drop = iota

	DropPortBlocked
	DropMacSpoof
	DropDhcpGuard
	DropRouterGuard
	DropStormLimit
	DropVlanMismatch
	DropPortAcl
	DropReservedMulticast

	DropVfpBlock
	DropNatPoolExhausted
	DropNoMapping
	DropUftFull

	DropNoRoute
	DropUnknownUnicast
	DropQosDrop
	DropOversize
	DropLinkMtu

	DropVxlanBadFlags
	DropUnknownVni
	DropUnknownInnerMac
	DropInnerVlanTag
	DropEncapOversize
	DropNotLocal

	DropNatUnsupportedProto
	DropNatFiltered
	DropNatFragmentTimeout
	DropNatFragmentOverflow
	DropNatNoIPv6

	DropTtlExceeded
	DropLandLike
	DropBadChecksum
	DropMalformed
	DropHostFirewall
	DropNoNeighbor
	DropNotForwarding
	DropFragNeeded
	DropReassemblyTimeout

	DropQueueFull
	DropLinkLoss
	DropLinkDown

	NumDrops // length of the list
)

// DropInfo describes one drop reason.
type DropInfo struct {
	Drop  Drop
	Name  string // as the contract spells it
	Doc   string
	Rules []string // contract rules that mention or cause it
}

// dropTable is in the order of the constants; init checks that.
var dropTable = [NumDrops]DropInfo{
	{DropNone, "None", "The packet was not dropped.", nil},

	{DropPortBlocked, "PortBlocked", "The switch port has no policy yet, or its endpoint is not in a state that passes traffic.", []string{"CMP-08", "ACL-40"}},
	{DropMacSpoof, "MacSpoof", "The source MAC is not the one assigned to the port and MAC spoofing is off.", []string{"VS-20"}},
	{DropDhcpGuard, "DhcpGuard", "A DHCP server message came from a port with DHCP guard.", []string{"VS-21"}},
	{DropRouterGuard, "RouterGuard", "A router advertisement or redirect came from a port with router guard.", []string{"VS-22"}},
	{DropStormLimit, "StormLimit", "The port sent more broadcast, multicast and unknown unicast than its limit for this second.", []string{"VS-23"}},
	{DropVlanMismatch, "VlanMismatch", "The frame's VLAN does not belong to the port.", []string{"VS-24", "VS-25", "VS-26"}},
	{DropPortAcl, "PortAcl", "A basic or extended port ACL of the switch denies the packet.", []string{"VS-30", "VS-31"}},
	{DropReservedMulticast, "ReservedMulticast", "Destination 01-80-C2-00-00-0x is never bridged.", []string{"VS-16"}},

	{DropVfpBlock, "VfpBlock", "A VFP rule blocks the packet.", []string{"ACL-05", "ACL-10", "ACL-11"}},
	{DropNatPoolExhausted, "NatPoolExhausted", "No translation is free: the pool has no port left, or the reply could not be told from another flow's.", []string{"NAT-39", "L2B-23"}},
	{DropNoMapping, "NoMapping", "Nothing says where the destination is, or no flow owns the NAT port.", []string{"OV-05", "OV-29", "L2B-25", "LB-09"}},
	{DropUftFull, "UftFull", "A flow table is at its limit and the knob says drop.", []string{"VFP-10"}},

	{DropNoRoute, "NoRoute", "No route or port leads to the destination.", nil},
	{DropUnknownUnicast, "UnknownUnicast", "No port owns the destination MAC and there is nowhere to send unknown frames.", []string{"VS-11", "VS-12"}},
	{DropQosDrop, "QosDrop", "The port's bandwidth limit is used up.", nil},
	{DropOversize, "Oversize", "The frame is longer than the port on the way out allows.", []string{"VS-40"}},
	{DropLinkMtu, "LinkMtu", "The frame is longer than the physical link carries.", nil},

	{DropVxlanBadFlags, "VxlanBadFlags", "The VXLAN header does not have the I flag.", []string{"OV-12"}},
	{DropUnknownVni, "UnknownVni", "No network on this host has the VNI.", []string{"OV-12"}},
	{DropUnknownInnerMac, "UnknownInnerMac", "The inner destination MAC is neither a local endpoint's nor the distributed router's.", []string{"OV-12"}},
	{DropInnerVlanTag, "InnerVlanTag", "The encapsulated frame carries a VLAN tag.", []string{"OV-12"}},
	{DropEncapOversize, "EncapOversize", "With its outer headers the packet exceeds the underlay's MTU.", []string{"OV-19"}},
	{DropNotLocal, "NotLocal", "The packet is for the distributed router but its destination is not on this host; there is no transit.", []string{"OV-13"}},

	{DropNatUnsupportedProto, "NatUnsupportedProto", "WinNAT does not translate the protocol.", []string{"NAT-11"}},
	{DropNatFiltered, "NatFiltered", "The mapping exists, but the inside host has not sent to this remote address.", []string{"NAT-14"}},
	{DropNatFragmentTimeout, "NatFragmentTimeout", "The fragment's first fragment, which has the ports, did not come in time.", []string{"NAT-50", "NAT-51"}},
	{DropNatFragmentOverflow, "NatFragmentOverflow", "Too many fragments wait for their first fragment.", []string{"NAT-50", "NAT-51"}},
	{DropNatNoIPv6, "NatNoIPv6", "nat networks give no IPv6 service.", []string{"NAT-07"}},

	{DropTtlExceeded, "TtlExceeded", "The TTL or hop limit ran out.", []string{"NAT-17"}},
	{DropLandLike, "LandLike", "Source and destination address are the same and the receiver owns it.", []string{"LB-15"}},
	{DropBadChecksum, "BadChecksum", "A checksum is wrong.", []string{"NAT-54"}},
	{DropMalformed, "Malformed", "The frame cannot be parsed as far as the decision needs.", nil},
	{DropHostFirewall, "HostFirewall", "The host firewall of the compartment blocks the packet.", []string{"ACL-08", "NAT-32"}},
	{DropNoNeighbor, "NoNeighbor", "The next hop did not answer address resolution.", nil},
	{DropNotForwarding, "NotForwarding", "The destination address is not the receiver's, and it does not route.", []string{"NAT-04"}},
	{DropFragNeeded, "FragNeeded", "The packet is longer than the MTU on the way out and may not be fragmented.", []string{"NAT-52"}},
	{DropReassemblyTimeout, "ReassemblyTimeout", "The missing fragments did not come in time, or the datagram cannot be put together.", nil},

	{DropQueueFull, "QueueFull", "A queue is at its limit.", nil},
	{DropLinkLoss, "LinkLoss", "The link lost the frame, as configured.", nil},
	{DropLinkDown, "LinkDown", "The link is down.", nil},
}

func init() {
	for i, d := range dropTable {
		if int(d.Drop) != i || d.Name == "" || d.Doc == "" {
			panic("vfp: drop table out of step with the constants at " + d.Name)
		}
	}
}

// String is the contract's name.
func (d Drop) String() string {
	if d < NumDrops {
		return dropTable[d].Name
	}
	return "Unknown"
}

// Drops lists every reason but DropNone, in a fixed order. The caller owns
// the slice; the Rules are shared.
func Drops() []DropInfo { return append([]DropInfo(nil), dropTable[1:]...) }

// DropCounters counts packets per reason.
type DropCounters [NumDrops]uint64
