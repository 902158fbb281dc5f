package linux

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/wire"
)

func (s *store) createEndpoint(network, id string, body []byte) (string, error) {
	doc, shape, err := hcn.DecodeEndpointShape(body)
	if err != nil {
		return "", err
	}
	e, err := s.buildEndpoint(network, id, doc)
	if err != nil {
		return "", hcn.InShape(err, shape, body)
	}
	e.created = fileTime(time.Now())
	if doc.Name == "" && shape == hcn.V1 {
		doc.Name = "Ethernet" // what has no name of its own
	}
	s.endpoints = append(s.endpoints, e)
	if ns := doc.HostComputeNamespace; ns != "" && !hcn.SameID(ns, hcn.ZeroGUID) {
		if err := s.join(ns, e); err != nil {
			s.endpoints = s.endpoints[:len(s.endpoints)-1]
			return "", err
		}
	}
	return e.doc.ID, nil
}

func (s *store) buildEndpoint(network, id string, doc *hcn.Endpoint) (*endpoint, error) {
	if network == "" || hcn.SameID(network, hcn.ZeroGUID) {
		network = doc.HostComputeNetwork
	}
	n := s.network(network)
	if n == nil {
		return nil, hcn.ErrorAt(hcn.ErrNetworkNotFound, "HostComputeNetwork", fmt.Sprintf("%q", network), "the id of a network")
	}
	if err := hcn.ValidateEndpoint(doc, n.kind, &s.profile); err != nil {
		return nil, err
	}
	e := &endpoint{doc: doc, net: n, remote: doc.Flags&hcn.RemoteEndpoint != 0}
	var err error
	if doc.ID, err = s.chooseID(id, doc.ID); err != nil {
		return nil, err
	}
	doc.HostComputeNetwork = n.doc.ID
	e.num = s.number()
	for _, step := range []func(*endpoint) error{s.chooseAddresses, s.chooseMAC, s.chooseGateways, s.readEndpointPolicies} {
		if err := step(e); err != nil {
			return nil, err
		}
	}
	doc.Version, doc.State = s.profile.Version.Object(), uint16(hcn.EndpointCreated)
	return e, nil
}

// chooseAddresses checks the document's addresses and fills in those that it
// leaves to HNS (F.2, D.3 #21 to #24).
func (s *store) chooseAddresses(e *endpoint) error {
	doc := e.doc
	if len(doc.IpConfigurations) == 0 && !e.remote && doc.Flags&hcn.EnableDhcp == 0 && len(e.net.subnets) > 0 {
		doc.IpConfigurations = []hcn.IpConfig{{}}
	}
	for i := range doc.IpConfigurations {
		c := &doc.IpConfigurations[i]
		path := fmt.Sprintf("IpConfigurations[%d].IpAddress", i)
		if c.IpAddress == "" {
			ip, err := s.freeAddress(e.net)
			if err != nil {
				return err
			}
			c.IpAddress = ip.String()
		}
		ip, err := netip.ParseAddr(c.IpAddress)
		if err != nil {
			return hcn.ErrorAt(hcn.ErrInvalidIP, path, fmt.Sprintf("%q", c.IpAddress), "an address")
		}
		bits := int(c.PrefixLength)
		if !e.remote {
			if err := s.checkAddress(e, ip, path); err != nil {
				return err
			}
		}
		if bits == 0 {
			bits = ip.BitLen()
			if sub := e.net.subnetOf(ip); sub != nil {
				bits = sub.prefix.Bits()
			}
			c.PrefixLength = uint8(bits)
		}
		e.addrs = append(e.addrs, netip.PrefixFrom(ip, bits))
	}
	return nil
}

func (n *network) subnetOf(ip netip.Addr) *subnet {
	for i := range n.subnets {
		if n.subnets[i].prefix.Contains(ip) {
			return &n.subnets[i]
		}
	}
	return nil
}

// checkAddress refuses what is outside of every subnet, reserved or taken
// (rule L2B-15).
func (s *store) checkAddress(e *endpoint, ip netip.Addr, path string) error {
	found := fmt.Sprintf("%q", ip)
	sub := e.net.subnetOf(ip)
	family := slices.ContainsFunc(e.net.subnets, func(s subnet) bool { return s.prefix.Addr().Is4() == ip.Is4() })
	if len(e.net.subnets) > 0 && !family {
		return hcn.ErrorAt(hcn.ErrSubnetNotFound, path, found, "an address of a family that the network has")
	}
	if sub == nil && len(e.net.subnets) > 0 {
		return hcn.ErrorAt(hcn.ErrInvalidIP, path, found, "an address inside a subnet of the network")
	}
	if sub == nil && e.net.kind == hcn.NAT {
		return hcn.ErrorAt(hcn.ErrSubnetNotFound, path, found, "a network with a subnet")
	}
	if sub != nil && sub.reserves(ip) || ip == e.net.managed {
		return hcn.ErrorAt(hcn.ErrAddrInvalidOrReserved, path, found, "an address that nothing reserves")
	}
	for _, o := range s.of(e.net) {
		for _, a := range o.addrs {
			if !o.remote && a.Addr() == ip {
				return hcn.ErrorAt(s.profile.Knobs.AddressInUse, path, found, "an address that no other endpoint has")
			}
		}
	}
	return nil
}

// reserves reports whether an address is the gateway's, the network's or the
// broadcast address, as the subnet's flags say.
func (b *subnet) reserves(ip netip.Addr) bool {
	if ip == b.gateway && b.doc.Flags&hcn.DoNotReserveGatewayAddress == 0 {
		return true
	}
	block, first, last := b.prefix, true, true
	for _, d := range b.doc.IpSubnets {
		if p, err := netip.ParsePrefix(d.IpAddressPrefix); err == nil && p.Contains(ip) {
			block, first, last = p.Masked(), d.Flags&hcn.ReserveNetworkAddress != 0, d.Flags&hcn.EnableBroadcast != 0
		}
	}
	if block.Addr().BitLen()-block.Bits() < 2 {
		return false
	}
	return first && ip == block.Addr() || last && ip.Is4() && block.Contains(ip) && !block.Contains(ip.Next())
}

func (s *store) freeAddress(n *network) (netip.Addr, error) {
	for _, sub := range n.subnets {
		if !sub.prefix.Addr().Is4() {
			continue
		}
		for ip := sub.prefix.Addr().Next(); sub.prefix.Contains(ip); ip = ip.Next() {
			if s.checkAddress(&endpoint{net: n}, ip, "") == nil {
				return ip, nil
			}
		}
	}
	return netip.Addr{}, hcn.ErrorAt(hcn.ErrAddrInvalidOrReserved, "IpConfigurations[0].IpAddress", "no free address", "a larger subnet")
}

func (s *store) chooseMAC(e *endpoint) error {
	if e.doc.MacAddress != "" {
		mac, err := hcn.ParseMAC(e.doc.MacAddress)
		e.mac = mac
		return err
	}
	if e.remote {
		return nil
	}
	prefix := s.profile.Knobs.OverlayMACPrefix
	if e.net.kind == hcn.Overlay && prefix != "off" && len(e.addrs) > 0 && e.addrs[0].Addr().Is4() {
		mac, err := hcn.ParseMAC(prefix + "-00-00-00-00")
		if err != nil {
			return err
		}
		ip := e.addrs[0].Addr().As4()
		copy(mac[2:], ip[:])
		e.mac = mac
	} else {
		mac, err := s.poolMAC(e.net)
		if err != nil {
			return err
		}
		e.mac = mac
	}
	e.doc.MacAddress = wire.MAC(e.mac).String()
	return nil
}

// chooseGateways takes the default routes of the document, or the subnets'.
func (s *store) chooseGateways(e *endpoint) error {
	for _, r := range e.doc.Routes {
		if gw, err := netip.ParseAddr(r.NextHop); err == nil && isDefault(r) {
			e.gateway[version(gw)] = gw
		}
	}
	for _, a := range e.addrs {
		sub := e.net.subnetOf(a.Addr())
		v := version(a.Addr())
		if e.remote || sub == nil || !sub.gateway.IsValid() || e.gateway[v].IsValid() {
			continue
		}
		e.gateway[v] = sub.gateway
		e.doc.Routes = append(e.doc.Routes, hcn.Route{NextHop: sub.gateway.String(), DestinationPrefix: [2]string{"0.0.0.0/0", "::/0"}[v]})
	}
	return nil
}

func version(a netip.Addr) int {
	if a.Is6() {
		return 1
	}
	return 0
}

// readEndpointPolicies reads the PA and settles published ports (NAT-33,
// NAT-34).
func (s *store) readEndpointPolicies(e *endpoint) error {
	if len(hcn.FindPolicies(e.doc.Policies, hcn.PolicyInterfaceParameters)) > 1 {
		return hcn.ErrorAt(hcn.ErrInterfaceParametersApplied, "Policies", "a second InterfaceParameters policy", "one")
	}
	e.pa = netip.Addr{}
	if e.net.kind == hcn.Overlay && !e.remote {
		e.pa = e.net.managed
	}
	for i := range e.doc.Policies {
		p := &e.doc.Policies[i]
		switch p.Type {
		case hcn.PolicyProviderAddress:
			set, err := hcn.DecodeSettings[hcn.ProviderAddressSettings](*p)
			if err != nil {
				return err
			}
			e.pa, _ = netip.ParseAddr(set.ProviderAddress)
		case hcn.PolicyACL:
			set, err := hcn.DecodeSettings[hcn.ACLSettings](*p)
			if err != nil {
				return err
			}
			for _, id := range set.SetIDs() {
				if !e.net.hasSet(id) {
					return hcn.ErrorAt(hcn.ErrInvalidPolicy, fmt.Sprintf("Policies[%d].Settings", i), fmt.Sprintf("%q", id), "an address, or the id of a set of the network")
				}
				if e.net.namesPorts(id) {
					return unsupported("set %s: members with ports have no counterpart on the Linux backend yet", id)
				}
			}
		case hcn.PolicyPortMapping:
			if err := s.publish(e, p, fmt.Sprintf("Policies[%d].Settings.ExternalPort", i)); err != nil {
				return err
			}
		case hcn.PolicyVLAN, hcn.PolicyL4Proxy, hcn.PolicyL4WFPProxy, hcn.PolicyTierACL, hcn.PolicyQOS:
			return unsupported("%s policies have no counterpart on the Linux backend", p.Type)
		}
	}
	return nil
}

// hasSet reports whether a SetPolicy of the network has the id.
func (n *network) hasSet(id string) bool {
	for _, p := range hcn.FindPolicies(n.doc.Policies, hcn.PolicySetPolicy) {
		if setOf(p) == id {
			return true
		}
	}
	return false
}

// namesPorts reports whether a set has members like "10.0.0.1,udp:53".
func (n *network) namesPorts(id string) bool {
	for _, p := range hcn.FindPolicies(n.doc.Policies, hcn.PolicySetPolicy) {
		s, err := hcn.DecodeSettings[hcn.SetPolicySettings](p)
		if err != nil || s.ID != id {
			continue
		}
		members, err := hcn.ParseSetValues(s.Values)
		if err == nil && slices.ContainsFunc(members, func(m hcn.SetMember) bool { return m.Proto != 0 }) {
			return true
		}
	}
	return false
}

// firstDynamicPort of the host's range (contract section 0.6).
const firstDynamicPort = 49152

// publishes reports whether an endpoint of a nat network has the host's port.
func (s *store) publishes(udp bool, port uint16) bool {
	proto := uint8(wire.ProtoTCP)
	if udp {
		proto = wire.ProtoUDP
	}
	for _, e := range s.endpoints {
		for _, m := range e.mappings() {
			if e.net.kind == hcn.NAT && m.proto == proto && m.external == port {
				return true
			}
		}
	}
	return false
}

func (s *store) publish(e *endpoint, p *hcn.Policy, path string) error {
	set, err := hcn.DecodeSettings[hcn.PortMappingSettings](*p)
	if err != nil {
		return err
	}
	taken := func(port uint16) bool {
		for _, o := range s.endpoints {
			for _, q := range hcn.FindPolicies(o.doc.Policies, hcn.PolicyPortMapping) {
				t, err := hcn.DecodeSettings[hcn.PortMappingSettings](q)
				if err == nil && o != e && t.Protocol == set.Protocol && t.ExternalPort == port && (t.VIP == "" || set.VIP == "" || t.VIP == set.VIP) {
					return true
				}
			}
		}
		return false
	}
	if set.ExternalPort != 0 {
		if taken(set.ExternalPort) {
			return hcn.ErrorAt(hcn.ErrPortAlreadyExists, path, fmt.Sprint(set.ExternalPort), "a port that no other endpoint publishes")
		}
		if s.busy != nil && s.busy(uint8(set.Protocol), set.ExternalPort) {
			return hcn.ErrorAt(hcn.ErrSharingViolation, path, fmt.Sprint(set.ExternalPort), "a port that nothing on the host holds")
		}
		return nil
	}
	for port := uint16(firstDynamicPort); port != 0; port++ {
		if !taken(port) && (s.busy == nil || !s.busy(uint8(set.Protocol), port)) {
			set.ExternalPort = port
			extras := p.Extras
			*p = hcn.NewPolicy(p.Type, set)
			p.Extras = extras
			return nil
		}
	}
	return hcn.ErrorAt(hcn.ErrPortAlreadyExists, path, "0", "a free port in the dynamic range")
}
