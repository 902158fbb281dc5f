package sdn

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/hnsim/hnsim/sim/acl"
	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// VSIDs that a virtual subnet may have (constants table of the contract).
const (
	minVSID = 4096
	maxVSID = 1<<24 - 2
)

// server is a physical host. Its name is the resource's, or that of the first
// management address.
func (b *builder) server(path string, v value) {
	b.m.Servers = append(b.m.Servers, machineName(v, path))
}

func (b *builder) virtualServer(path string, v value) { b.machines[path] = machineName(v, path) }

func machineName(v value, path string) string {
	for _, c := range v.props().get("connections").list() {
		for _, a := range c.get("managementAddresses").list() {
			return a.text()
		}
	}
	return v.get("resourceId").text()
}

// logicalNetwork is a network of the provider: of provider addresses, or of
// virtual addresses.
func (b *builder) logicalNetwork(path string, v value) {
	provider := v.props().get("networkVirtualizationEnabled").flag()
	b.children(path, v, "subnets", func(at string, s value) {
		p := s.props().get("addressPrefix").needed("a prefix").prefix()
		b.logical[at] = p
		if provider {
			b.m.Providers = append(b.m.Providers, p)
		}
		s.props().get("vlanID").number(0, 4094, 0)
		b.children(at, s, "ipPools", func(_ string, pool value) {
			from, to := pool.props().get("startIpAddress").addr(), pool.props().get("endIpAddress").addr()
			if b.r.err == nil && (!p.Contains(from) || !p.Contains(to) || to.Less(from)) {
				pool.props().get("startIpAddress").wrong("a range within " + p.String())
			}
		})
	})
}

// accessControlList reads rules as operators write them. Deny and Block are two
// names of one action (D-27).
func (b *builder) accessControlList(path string, v value) {
	l := &ACL{Path: b.at}
	b.acls[path] = l
	b.children(path, v, "aclRules", func(at string, e value) {
		p := e.props()
		kind := p.get("type").needed("Inbound or Outbound").choice("Inbound", "Inbound", "Outbound")
		r := acl.Rule{
			ID:       "ACL_" + strings.ReplaceAll(strings.TrimPrefix(at, "/accessControlLists/"), "/aclRules/", "_"),
			Priority: uint16(p.get("priority").needed("a number").number(1, 65500, 0)),
			Cite:     "ACL-41",
		}
		if p.get("action").needed("Allow or Deny").choice("Allow", "Allow", "Deny", "Block") != "Allow" {
			r.Action = acl.Block
		}
		switch proto := p.get("protocol").choice("All", "All", "Any", "*", "TCP", "UDP", "ICMP"); proto {
		case "TCP":
			r.Protocols = []uint16{wire.ProtoTCP}
		case "UDP":
			r.Protocols = []uint16{wire.ProtoUDP}
		case "ICMP":
			r.Protocols = []uint16{wire.ProtoICMP}
		}
		src, dst := p.get("sourceAddressPrefix").addressSet(), p.get("destinationAddressPrefix").addressSet()
		sport, dport := p.get("sourcePortRange").ports(), p.get("destinationPortRange").ports()
		if len(r.Protocols) == 1 && r.Protocols[0] == wire.ProtoICMP && (sport != nil || dport != nil) {
			p.get("protocol").wrong("TCP, UDP or All, as the rule has ports")
		}
		r.Dir = vfp.In
		r.LocalAddrs.Prefixes, r.RemoteAddrs.Prefixes, r.LocalPorts, r.RemotePorts = dst, src, dport, sport
		if kind == "Outbound" {
			r.Dir = vfp.Out
			r.LocalAddrs.Prefixes, r.RemoteAddrs.Prefixes, r.LocalPorts, r.RemotePorts = src, dst, sport, dport
		}
		l.Rules = append(l.Rules, r)
	})
}

// nextHopTypes of a user-defined route.
var nextHopTypes = []string{"VirtualAppliance", "VnetLocal", "None"}

func (b *builder) routeTable(path string, v value) {
	b.tables[path] = nil
	b.children(path, v, "routes", func(_ string, e value) {
		p := e.props()
		r := UserRoute{Prefix: p.get("addressPrefix").needed("a prefix").prefix()}
		r.Kind = p.get("nextHopType").needed("a type of next hop").choice("None", nextHopTypes...)
		if r.Kind == "VirtualAppliance" {
			r.NextHop = p.get("nextHopIpAddress").needed("the appliance's address").addr()
		}
		b.tables[path] = append(b.tables[path], r)
	})
}

// lowest is the first usable address of a prefix, which the distributed router
// has (rule SDN-06).
func lowest(p netip.Prefix) netip.Addr { return p.Addr().Next() }

func (b *builder) virtualNetwork(path string, v value) {
	n := &VirtualNetwork{Name: v.get("resourceId").text(), Path: b.at, Kind: vfp.VXLAN}
	b.m.Networks = append(b.m.Networks, n)
	p := v.props()
	b.ref(p.get("logicalNetwork"), "logicalNetworks")
	if p.get("encapsulation").choice("VXLAN", "VXLAN", "NVGRE") == "NVGRE" {
		n.Kind = vfp.NVGRE
	}
	space := p.get("addressSpace").get("addressPrefixes")
	n.Prefixes = space.prefixes()
	if len(n.Prefixes) == 0 {
		space.wrong("the network's prefixes")
	}
	b.children(path, v, "subnets", func(at string, e value) {
		sp := e.props()
		s := &Subnet{Network: n, Path: at, Prefix: sp.get("addressPrefix").needed("a prefix").prefix()}
		s.VSID = uint32(sp.get("vsid").number(minVSID, maxVSID, 0))
		if b.r.err == nil && !within(s.Prefix, n.Prefixes) {
			sp.get("addressPrefix").wrong(fmt.Sprintf("a part of the network's %v", n.Prefixes))
		}
		if b.r.err == nil {
			s.Gateway = lowest(s.Prefix)
		}
		s.ACL = b.acls[b.ref(sp.get("accessControlList"), "accessControlLists")]
		s.Routes = b.tables[b.ref(sp.get("routeTable"), "routeTables")]
		b.subnets[at] = s
		n.Subnets = append(n.Subnets, s)
	})
}

func within(p netip.Prefix, list []netip.Prefix) bool {
	return slices.ContainsFunc(list, func(o netip.Prefix) bool { return o.Bits() <= p.Bits() && o.Contains(p.Addr()) })
}

// networkInterface reads a NIC. Its addresses are all in one virtual subnet.
func (b *builder) networkInterface(path string, v value) {
	p := v.props()
	n := &Interface{Path: b.at, MAC: p.get("privateMacAddress").needed("the NIC's MAC address").mac()}
	p.get("privateMacAllocationMethod").choice("Static", "Static", "Dynamic")
	port := p.get("portSettings")
	n.Spoofing = port.get("macSpoofingEnabled").flag()
	n.Mbps = port.get("qosSettings").get("outboundMaximumMbps").number(0, 1000000, 0)
	n.ACL = b.acls[b.ref(p.get("accessControlList"), "accessControlLists")]
	b.children(path, v, "ipConfigurations", func(at string, e value) { b.ipConfiguration(n, at, e) })
	if len(n.IPs) == 0 {
		p.get("ipConfigurations").wrong("at least one IP configuration")
	}
	b.nics[path] = n
	b.m.NICs = append(b.m.NICs, n)
}

func (b *builder) ipConfiguration(n *Interface, at string, e value) {
	p := e.props()
	c := &IPConfig{Path: at, NIC: n, Addr: p.get("privateIPAddress").needed("the address").addr()}
	p.get("privateIPAllocationMethod").choice("Static", "Static", "Dynamic")
	ref := p.get("subnet").needed("a reference to a virtual subnet")
	s := b.subnets[b.ref(ref, "virtualNetworks/subnets")]
	switch {
	case b.r.err != nil:
		return
	case n.Subnet != nil && n.Subnet != s:
		ref.wrong("the subnet of the NIC's other addresses, " + n.Subnet.Path)
		return
	case !s.Prefix.Contains(c.Addr) || c.Addr == s.Gateway || c.Addr == s.Prefix.Addr():
		p.get("privateIPAddress").wrong(fmt.Sprintf("an address of %s other than the router's %s", s.Prefix, s.Gateway))
		return
	}
	n.Subnet = s
	c.ACL = b.acls[b.ref(p.get("accessControlList"), "accessControlLists")]
	c.Public = b.publics[b.ref(p.get("publicIPAddress"), "publicIPAddresses")]
	c.Balanced = b.refs(p.get("loadBalancerBackendAddressPools"), "loadBalancers/backendAddressPools")
	c.Inbound = b.refs(p.get("loadBalancerInboundNatRules"), "loadBalancers/inboundNatRules")
	b.ref(p.get("serviceInsertion"), "serviceInsertions")
	c.Mbps = p.get("qosSettings").get("outboundMaximumMbps").number(0, 1000000, 0)
	b.configs[at] = c
	n.IPs = append(n.IPs, c)
}

// serviceInsertion reads a port mirror, the one type that there is.
func (b *builder) serviceInsertion(path string, v value) {
	p := v.props()
	s := &Insertion{Path: path, Priority: p.get("priority").number(1, 65535, 1)}
	p.get("serviceInsertionType").choice("PortMirroring", "PortMirroring")
	elements := p.get("serviceInsertionElements")
	if len(elements.list()) != 1 {
		elements.wrong("one element, the NIC that gets the copies")
		return
	}
	s.Element = b.nics[b.ref(elements.list()[0].props().get("networkInterface").needed("a reference to a NIC"), "networkInterfaces")]
	for _, e := range p.get("serviceInsertionRules").list() {
		s.Rules = append(s.Rules, insertionRule(e.props()))
	}
	if b.r.err == nil {
		s.Element.Sink = true
	}
	b.inserts[path] = s
}

func insertionRule(p value) vfp.Match {
	var m vfp.Match
	switch p.get("protocol").choice("All", "All", "Any", "*", "TCP", "UDP") {
	case "TCP":
		m.Protos = []uint8{wire.ProtoTCP}
	case "UDP":
		m.Protos = []uint8{wire.ProtoUDP}
	}
	m.SrcPorts = portSpan(p.get("sourcePortRangeStart"), p.get("sourcePortRangeEnd"))
	m.DstPorts = portSpan(p.get("destinationPortRangeStart"), p.get("destinationPortRangeEnd"))
	for _, s := range p.get("sourceSubnets").list() {
		m.Src = append(m.Src, s.addressSet()...)
	}
	for _, s := range p.get("destinationSubnets").list() {
		m.Dst = append(m.Dst, s.addressSet()...)
	}
	return m
}

func portSpan(lo, hi value) []vfp.PortRange {
	a, b := lo.number(0, 65535, 0), hi.number(0, 65535, 65535)
	if a > b {
		hi.wrong(fmt.Sprintf("a port not below %d", a))
	}
	if a == 0 && b == 65535 {
		return nil
	}
	return []vfp.PortRange{{Lo: uint16(a), Hi: uint16(b)}}
}

// insertions ties IP configurations to their port mirrors, whose documents
// refer to interfaces themselves.
func (b *builder) insertions(path string, v value) {
	for i, e := range v.props().get("ipConfigurations").list() {
		if ref := e.props().get("serviceInsertion").ref("serviceInsertions"); ref != "" && i < len(b.nics[path].IPs) {
			b.nics[path].IPs[i].Insert = b.inserts[ref]
		}
	}
}
