package hns

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/hnsim/hnsim/sim/hcn"
)

// CreateEndpoint creates an endpoint on a network from a document in either
// shape. The network is the one of the argument, or the one that the document
// names when the argument is "".
func (s *Service) CreateEndpoint(network, id string, settings []byte) (string, error) {
	return s.createEndpoint(network, id, settings, hcn.ErrNetworkNotFound)
}

// createEndpoint takes the code for a missing network, which differs between
// the interfaces (D.3 #2, #6).
func (s *Service) createEndpoint(network, id string, settings []byte, missing hcn.Code) (string, error) {
	err := s.change(func(t *tx) error {
		doc, shape, err := hcn.DecodeEndpointShape(settings)
		if err != nil {
			return err
		}
		e, err := t.createEndpoint(network, id, doc, shape, missing)
		if err != nil {
			return hcn.InShape(err, shape, settings)
		}
		id = e.Doc.ID
		return nil
	})
	if err != nil {
		return "", err
	}
	return id, nil
}

func (t *tx) createEndpoint(network, id string, doc *hcn.Endpoint, shape hcn.Shape, missing hcn.Code) (*Endpoint, error) {
	if err := t.oldBuild(shape); err != nil {
		return nil, err
	}
	if network == "" || hcn.SameID(network, hcn.ZeroGUID) {
		network = doc.HostComputeNetwork
	}
	n := t.next.NetworkByID(network)
	if n == nil {
		return nil, hcn.ErrorAt(missing, "HostComputeNetwork", fmt.Sprintf("%q", network), "the id of a network")
	}
	if n.Degraded {
		return nil, degraded(n)
	}
	if err := hcn.ValidateEndpoint(doc, n.Type, t.profile()); err != nil {
		return nil, err
	}
	if err := t.noStatic(n, doc, shape); err != nil {
		return nil, err
	}
	var err error
	if doc.ID, err = t.chooseID(id, doc.ID, func(id string) bool { return t.next.EndpointByID(id) != nil }); err != nil {
		return nil, err
	}
	doc.HostComputeNetwork = n.Doc.ID
	e := &Endpoint{Doc: doc, Network: n.Num, Remote: doc.Flags&hcn.RemoteEndpoint != 0, State: hcn.EndpointCreated,
		sharingBlocks: t.knobs().AttachedSharing == "block", createdAt: t.s.cfg.Now()}
	join := doc.HostComputeNamespace
	doc.HostComputeNamespace = ""
	for _, step := range []func(*Network, *Endpoint) error{t.addresses, t.endpointMAC, t.endpointRoutes, t.endpointPolicies} {
		if err := step(n, e); err != nil {
			return nil, err
		}
	}
	t.finishEndpoint(n, e, shape)
	if join == "" || hcn.SameID(join, hcn.ZeroGUID) {
		return e, nil
	}
	return e, t.joinByID(join, e) // G.3: the document joins at once
}

// finishEndpoint numbers the endpoint and fills in what section F.2 lists.
func (t *tx) finishEndpoint(n *Network, e *Endpoint, shape hcn.Shape) {
	c := &t.next.counters
	c.endpoint++
	e.Num = c.endpoint
	e.Doc.Version = t.profile().Version.Object()
	e.Doc.State = uint16(e.State)
	if e.Doc.Name == "" && shape == hcn.V1 {
		e.Doc.Name = "Ethernet" // docker's endpoints have no name of their own
	}
	t.inheritDNS(n, e)
	e.ids = endpointIDs{activity: c.guid(), nic: c.guid(), port: c.guid(), alloc: c.guid(), iface: c.guid()}
	t.next.Endpoints = append(t.next.Endpoints, e)
	t.dirty = true

	t.next.hints.put(e.Doc.ID, e.Num)
	t.countEndpoint(n)
}

// countEndpoint counts a new endpoint of a network. Its document stays the same
// pointer: nothing that a program is made of has changed.
func (t *tx) countEndpoint(n *Network) {
	c := *n
	c.Created++
	c.MaxEndpoints = max(c.MaxEndpoints, uint32(t.next.countOf(n.Num)))
	replace(t.next.Networks, n, &c)
}

// inheritDNS gives an endpoint the network's DNS settings where it brings
// none; on NAT networks the gateway goes first when it is a proxy (D-31).
func (t *tx) inheritDNS(n *Network, e *Endpoint) {
	if e.Remote {
		return
	}
	d := &e.Doc.DNS
	if d.Domain == "" && len(d.Search) == 0 {
		d.Domain, d.Search = n.Doc.DNS.Domain, n.Doc.DNS.Search
	}
	if len(d.ServerList) > 0 {
		return
	}
	proxy := n.Type == hcn.NAT && t.knobs().NATDNSProxy || n.Doc.Flags&hcn.EnableDnsProxy != 0
	if proxy && len(n.Subnets) > 0 && n.Subnets[0].Gateway.IsValid() {
		d.ServerList = append(d.ServerList, n.Subnets[0].Gateway.String())
	}
	d.ServerList = append(d.ServerList, n.Doc.DNS.ServerList...)
	if n.Type == hcn.NAT || n.Type == hcn.ICS || n.automaticDNS() {
		for _, a := range t.s.cfg.DNSServers {
			d.ServerList = append(d.ServerList, a.String())
		}
	}
}

// automaticDNS reports whether the host's DNS servers are copied (C.2).
func (n *Network) automaticDNS() bool {
	p, ok := hcn.FindPolicy(n.Doc.Policies, hcn.PolicyAutomaticDNS)
	if !ok {
		return false
	}
	s, err := hcn.DecodeSettings[hcn.AutomaticDNSSettings](p)
	return err == nil && s.Enable
}

// addresses checks the addresses that the document brings and chooses those
// that it leaves to HNS.
func (t *tx) addresses(n *Network, e *Endpoint) error {
	doc := e.Doc
	doc.IpConfigurations = append([]hcn.IpConfig(nil), doc.IpConfigurations...)
	dhcp := doc.Flags&hcn.EnableDhcp != 0
	if len(doc.IpConfigurations) == 0 && !e.Remote && !dhcp && n.ipv4Subnet() >= 0 {
		doc.IpConfigurations = []hcn.IpConfig{{}}
	}
	for i := range doc.IpConfigurations {
		path := fmt.Sprintf("IpConfigurations[%d]", i)
		a, err := t.address(n, e, &doc.IpConfigurations[i], path)
		if err != nil {
			return err
		}
		if a.IP.IsValid() {
			e.Addrs = append(e.Addrs, a)
		}
	}
	return nil
}

func (n *Network) ipv4Subnet() int {
	for i, s := range n.Subnets {
		if s.Prefix.Addr().Is4() {
			return i
		}
	}
	return -1
}

// address settles one address of an endpoint and completes its IpConfig.
func (t *tx) address(n *Network, e *Endpoint, c *hcn.IpConfig, path string) (Address, error) {
	a := Address{Subnet: -1, Bits: int(c.PrefixLength)}
	if c.IpAddress == "" {
		i := n.ipv4Subnet()
		if i < 0 {
			return a, nil // nothing to choose from: DHCP (rule TR-03)
		}
		ip, err := t.freeAddress(n, i)
		if err != nil {
			return a, err
		}
		a.IP, a.Subnet = ip, i
		c.IpAddress = ip.String()
	} else {
		a.IP = netip.MustParseAddr(c.IpAddress) // validated
		if err := t.givenAddress(n, e, &a, path); err != nil {
			return a, err
		}
	}
	if a.Subnet >= 0 {
		s := n.Subnets[a.Subnet]
		a.Gateway = s.Gateway
		if a.Bits == 0 {
			a.Bits = s.Prefix.Bits()
		}
		if c.IpSubnetId == "" && t.profile().Version.Major >= hnsIPSubnets && !e.Remote {
			c.IpSubnetId = n.ipSubnetID(s, a.IP)
		}
	}
	if a.Bits == 0 {
		a.Bits = a.IP.BitLen()
	}
	if !e.Remote || a.Subnet >= 0 {
		c.PrefixLength = uint8(a.Bits)
	}
	return a, nil
}

// ipSubnetID is the id of the IP subnet that holds an address.
func (n *Network) ipSubnetID(s Subnet, ip netip.Addr) string {
	for _, d := range n.Doc.Ipams[s.Ipam].Subnets[s.Index].IpSubnets {
		if p, err := netip.ParsePrefix(d.IpAddressPrefix); err == nil && p.Contains(ip) {
			return d.ID
		}
	}
	return ""
}

// givenAddress checks an address of the document (D.3 #21 to #24, #27).
// Remote endpoints live in other hosts' subnets: they are not checked.
func (t *tx) givenAddress(n *Network, e *Endpoint, a *Address, path string) error {
	family := false
	for i, s := range n.Subnets {
		family = family || s.Prefix.Addr().Is4() == a.IP.Is4()
		if s.Prefix.Contains(a.IP) && a.Subnet < 0 {
			a.Subnet = i
		}
	}
	if e.Remote {
		return nil
	}
	path += ".IpAddress"
	found := fmt.Sprintf("%q", a.IP)
	if len(n.Subnets) == 0 {
		if !n.Type.External() && n.Type != hcn.Private && n.Type != hcn.Internal {
			return hcn.ErrorAt(hcn.ErrSubnetNotFound, path, found, "a network with a subnet")
		}
	} else if !family {
		return hcn.ErrorAt(hcn.ErrSubnetNotFound, path, found, "an address of the family of the network's subnets: "+n.subnetList())
	} else if a.Subnet < 0 {
		return hcn.ErrorAt(hcn.ErrInvalidIP, path, found, "an address inside "+n.subnetList())
	} else if why := n.reserved(a.Subnet, a.IP); why != "" {
		return hcn.ErrorAt(hcn.ErrAddrInvalidOrReserved, path, found, "an address that is not "+why)
	}
	for _, other := range t.next.EndpointsOf(n.Num) {
		if !other.Remote && other.has(a.IP) {
			return hcn.ErrorAt(t.knobs().AddressInUse, path, found, fmt.Sprintf("an address that endpoint %q does not have", other.label()))
		}
	}
	if n.ManagementIP == a.IP {
		return hcn.ErrorAt(hcn.ErrAddrInvalidOrReserved, path, found, "an address that is not the host's own")
	}
	return nil
}

func (n *Network) subnetList() string {
	var parts []string
	for _, s := range n.Subnets {
		parts = append(parts, s.Prefix.String())
	}
	return strings.Join(parts, ", ")
}

func (e *Endpoint) has(ip netip.Addr) bool {
	for _, a := range e.Addrs {
		if a.IP == ip {
			return true
		}
	}
	return false
}

func (e *Endpoint) label() string {
	if e.Doc.Name != "" {
		return e.Doc.Name
	}
	return e.Doc.ID
}

// reserved says what reserves an address of a subnet: the gateway, the network
// address or the broadcast address, each subject to the flags of rule L2B-15.
// "" is none.
func (n *Network) reserved(subnet int, ip netip.Addr) string {
	s := n.Subnets[subnet]
	doc := n.Doc.Ipams[s.Ipam].Subnets[s.Index]
	if ip == s.Gateway && doc.Flags&hcn.DoNotReserveGatewayAddress == 0 {
		return "the gateway"
	}
	reserveFirst, reserveLast := true, true
	block := s.Prefix
	for _, d := range doc.IpSubnets {
		p, err := netip.ParsePrefix(d.IpAddressPrefix)
		if err != nil || !p.Contains(ip) {
			continue
		}
		block = p
		reserveFirst, reserveLast = d.Flags&hcn.ReserveNetworkAddress != 0, d.Flags&hcn.EnableBroadcast != 0
	}
	if block.Addr().BitLen()-block.Bits() < 2 { // /31 and /32 have neither
		return ""
	}
	switch {
	case reserveFirst && ip == block.Masked().Addr():
		return "the network address"
	case reserveLast && ip.Is4() && ip == lastAddr(block):
		return "the broadcast address"
	}
	return ""
}

// lastAddr is the last address of a prefix.
func lastAddr(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for bit := p.Bits(); bit < len(b)*8; bit++ {
		b[bit/8] |= 1 << (7 - bit%8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// freeAddress chooses a free address of a subnet: random, not sequential (F.2).
func (t *tx) freeAddress(n *Network, subnet int) (netip.Addr, error) {
	if pool, ok := t.tenantPool(n); ok {
		return t.tenantAddress(n, subnet, pool)
	}
	p := n.Subnets[subnet].Prefix
	hostBits := p.Addr().BitLen() - p.Bits()
	size := uint64(1) << min(hostBits, 32)
	start := t.next.counters.below(size)
	if ip := addrAt(p, start); ip != n.ManagementIP && n.reserved(subnet, ip) == "" && !t.next.hasAddress(n, ip) {
		return ip, nil // nearly always
	}
	taken := map[netip.Addr]bool{n.ManagementIP: true}
	for _, e := range t.next.EndpointsOf(n.Num) {
		for _, a := range e.Addrs {
			taken[a.IP] = true
		}
	}
	// Everything that can be in the way: endpoints and the few reserved ones.
	limit := uint64(len(taken) + 2*len(n.Doc.Ipams[n.Subnets[subnet].Ipam].Subnets[n.Subnets[subnet].Index].IpSubnets) + 4)
	for i := uint64(0); i < size && i <= limit; i++ {
		ip := addrAt(p, (start+i)%size)
		if !taken[ip] && n.reserved(subnet, ip) == "" {
			return ip, nil
		}
	}
	return netip.Addr{}, hcn.ErrorAt(t.knobs().PoolExhausted, "IpConfigurations[0].IpAddress", "no free address in "+p.String(), "a larger subnet")
}

// addrAt is the n-th address of a prefix.
func addrAt(p netip.Prefix, n uint64) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for i := len(b) - 1; i >= 0 && n > 0; i-- {
		sum := uint64(b[i]) + n&0xFF
		b[i] = byte(sum)
		n = n>>8 + sum>>8
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// endpointMAC takes the MAC of the document, makes one of the overlay prefix,
// or takes a free one of the pool. A remote endpoint's MAC is the other
// host's business.
func (t *tx) endpointMAC(n *Network, e *Endpoint) error {
	switch prefix := t.knobs().OverlayMACPrefix; {
	case e.Doc.MacAddress != "":
		e.MAC, _ = hcn.ParseMAC(e.Doc.MacAddress)
	case e.Remote:
		return nil
	case n.Type == hcn.Overlay && prefix != "off" && e.Addr().Is4():
		// win-overlay and flannel send such MACs themselves (section 0.6).
		mac, err := hcn.ParseMAC(prefix + "-00-00-00-00")
		if err != nil {
			return err
		}
		ip := e.Addr().As4()
		copy(mac[2:], ip[:])
		e.MAC, e.Doc.MacAddress = mac, hcn.FormatMAC(mac)
	default:
		mac, err := t.freeMAC(n)
		if err != nil {
			return err
		}
		e.MAC, e.Doc.MacAddress = mac, hcn.FormatMAC(mac)
	}
	if t.knobs().DuplicateMAC == "refuse" && !e.Remote {
		for _, other := range t.next.EndpointsOf(n.Num) {
			if other.MAC == e.MAC && !other.Remote {
				return hcn.ErrorAt(hcn.ErrInvalidEndpoint, "MacAddress", e.Doc.MacAddress, fmt.Sprintf("a MAC that endpoint %q does not have", other.label()))
			}
		}
	}
	return nil
}

// endpointRoutes completes the default routes from the subnets, and lets the
// document's own default route override a subnet's gateway.
func (t *tx) endpointRoutes(n *Network, e *Endpoint) error {
	doc := e.Doc
	for i := range e.Addrs {
		a := &e.Addrs[i]
		given := netip.Addr{}
		for _, r := range doc.Routes {
			if gw, err := netip.ParseAddr(r.NextHop); err == nil && isDefault(r) && gw.Is4() == a.IP.Is4() {
				given = gw
				break
			}
		}
		if given.IsValid() {
			a.Gateway = given
		} else if a.Gateway.IsValid() && !e.Remote {
			doc.Routes = append(doc.Routes, defaultRoute(a.Gateway))
		}
	}
	return nil
}
