package hns

import (
	"net/netip"
	"slices"

	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/overlay"
	"github.com/hnsim/hnsim/sim/wire"
)

// overlayConfig translates an overlay network with its remote subnet routes, but
// without members (rules OV-01 to OV-09).
func (x *external) overlayConfig(n *Network) overlay.Config {
	k := &x.c.Profile.Knobs
	cfg := overlay.Config{
		PA: x.pa(n), Port: n.VxlanPort, DRMAC: n.DRMAC, HostMAC: x.a.MAC,
		HostAddrs: x.hostAddrs(), HostRoute: hasHostRoute(n),
		PoolOwner: x.c.pools.owner, PoolMayTake: x.c.pools.mayTake(),
		Options: overlay.Options{
			OuterTTL: uint8(k.OuterTTL), OuterDF: k.OuterDF, DSCPCopy: k.DSCPCopy, ECNCopy: k.ECNCopy,
			DecTTL: k.DRDecrementsTTL, OversizeICMP: k.EncapOversize == "icmp", UnderlayMTU: x.a.MTU,
			IPv6: k.IPv6Overlay, Replicate: k.OVBroadcast == "replicate", KeepSenderMAC: k.OVDeliveredMAC == "sender",
		},
	}
	for _, sub := range n.Subnets {
		cfg.Subnets = append(cfg.Subnets, overlay.Subnet{Prefix: sub.Prefix, Gateway: sub.Gateway, VNI: sub.VSID})
	}
	cfg.RemoteSubnets = x.c.remoteSubnets(n)
	return cfg
}

// member translates an endpoint, of this host or remote.
func (x *external) member(n *Network, e *Endpoint) *overlay.Member {
	m := &overlay.Member{Num: e.Num}
	if e.Remote {
		for _, a := range e.Addrs {
			m.Remotes = append(m.Remotes, overlay.RemoteEndpoint{Addr: a.IP, MAC: e.MAC, PA: e.PA, VNI: vni(n, e), NoMAC: conjured(e.MAC, a.IP)})
		}
		return m
	}
	m.Local = &overlay.Local{Port: EndpointPort(e.Num), MAC: e.MAC, Addrs: addrsOf(e), VNI: vni(n, e)}
	m.HostPrefixes = x.toHost(e)
	return m
}

// conjured reports whether a MAC is the one that kube-proxy makes up for a
// backend of another node: 02-11 and the IPv4 address, or the last four bytes
// of the IPv6 address in reverse (contract 0.6). It is never on the wire.
func conjured(mac wire.MAC, addr netip.Addr) bool {
	want := wire.MAC{0x02, 0x11}
	b := addr.AsSlice()
	copy(want[2:], b[len(b)-4:])
	if addr.Is6() {
		slices.Reverse(want[2:])
	}
	return mac == want
}

// pa is the provider address of the network: its ManagementIP, else the first
// address of the uplink (rule OV-03).
func (x *external) pa(n *Network) netip.Addr {
	if n.ManagementIP.IsValid() {
		return n.ManagementIP
	}
	if len(x.a.Addrs) > 0 {
		return x.a.Addrs[0].Addr()
	}
	return netip.Addr{}
}

// toHost are the endpoint's NeedEncap prefixes that name this host: pods reach
// their own node through them (rule OV-23). Other NeedEncap prefixes ask for
// encapsulation, which the overlay's routes give anyway.
func (x *external) toHost(e *Endpoint) []netip.Prefix {
	var out []netip.Prefix
	for _, p := range encapPrefixes(x.s, e) {
		for _, a := range x.hostAddrs() {
			if p.IsSingleIP() && p.Addr() == a {
				out = append(out, p)
			}
		}
	}
	return out
}

// remoteSubnets are the routes to other hosts' pods (rule OV-08).
func (c *Compiler) remoteSubnets(n *Network) []overlay.RemoteSubnet {
	bits := uint32(1<<24 - 1)
	if c.Profile.Knobs.RouteVSIDBits == "16" {
		bits = 1<<16 - 1 // as hcsshim's struct cuts it (D-07)
	}
	var out []overlay.RemoteSubnet
	for _, p := range hcn.FindPolicies(n.Doc.Policies, hcn.PolicyRemoteSubnetRoute) {
		r, err := hcn.DecodeSettings[hcn.RemoteSubnetRouteSettings](p)
		if err != nil {
			continue // refused by validation before it got here
		}
		prefix, err1 := netip.ParsePrefix(r.DestinationPrefix)
		pa, err2 := netip.ParseAddr(r.ProviderAddress)
		mac, err3 := wire.ParseMAC(r.DistributedRouterMacAddress)
		if err1 != nil || err2 != nil || err3 != nil {
			continue
		}
		out = append(out, overlay.RemoteSubnet{Prefix: prefix.Masked(), VNI: r.IsolationID & bits, PA: pa, DRMAC: mac})
	}
	return out
}
