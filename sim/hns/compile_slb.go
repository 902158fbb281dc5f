package hns

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/hnsim/hnsim/sim/fabric"
	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/slb"
	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// balances reports whether VFP balances on a network: not on nat networks,
// which have no VFP (rule VS-06), nor on transparent ones (TR-03).
func balances(n *Network) bool {
	return n.Type == hcn.L2Bridge || n.Type == hcn.L2Tunnel || n.Type == hcn.Overlay
}

// service is a frontend with what decides where it counts.
type service struct {
	slb.Frontend
	ilb    bool // private to the network's own endpoints (rule LB-17)
	routed bool // LocalRoutedVip: the host may use it (rule LB-13)
}

// services are the frontends of the load balancers of n (contract 8.1).
func (x *external) services(n *Network) []service {
	var out []service
	for _, l := range x.s.LoadBalancers {
		if l.Network != n.Num || !balances(n) {
			continue
		}
		for _, fe := range x.c.pools.frontendVIPs(l) {
			for i, m := range l.Doc.PortMappings {
				if m.Protocol == fe.proto && m.ExternalPort == fe.port {
					if svc, ok := x.service(n, l, fe.vip, i); ok {
						out = append(out, svc)
					}
				}
			}
		}
	}
	return out
}

// service is one port of a load balancer on one of its addresses. It reports
// false when nothing can stand behind it.
func (x *external) service(n *Network, l *LoadBalancer, vip netip.Addr, i int) (service, bool) {
	m := l.Doc.PortMappings[i]
	svc := service{ilb: m.Flags&hcn.EnableILB != 0, routed: m.Flags&hcn.LocalRouted != 0}
	svc.Frontend = slb.Frontend{
		ID: fmt.Sprintf("%d.%d", l.Num, l.Revision), VIP: vip, Node: x.c.pools.nodeIP(n),
		Proto: uint8(m.Protocol), Port: m.ExternalPort, Internal: m.InternalPort,
		Dist: slb.Distribution(l.Affinity[i]), DSR: l.DSR || m.Flags&hcn.PreserveDIP != 0, PreserveDIP: m.Flags&hcn.PreserveDIP != 0, // LB-11: it implies DSR
	}
	for _, num := range l.Endpoints {
		if b, ok := x.backend(n, num, vip); ok {
			svc.Backends = append(svc.Backends, b)
		}
	}
	for _, num := range l.Draining {
		if b, ok := x.backend(n, num, vip); ok {
			svc.Draining = append(svc.Draining, b.Addr)
		}
	}
	if !svc.DSR {
		to := x.c.pools.sourceOf(n, l, vip)
		pool := x.c.pools.lb.current()[x.c.pools.lb.key(n, l, to, uint8(m.Protocol))]
		if pool == nil {
			return svc, false
		}
		svc.SNAT = vfp.DynNAT{Pool: pool.NATPool, To: to}
	}
	return svc, len(svc.Backends)+len(svc.Draining) > 0
}

// backend is an endpoint as a place for flows to vip.
func (x *external) backend(n *Network, num uint32, vip netip.Addr) (slb.Backend, bool) {
	e := x.s.EndpointByNum(num)
	if e == nil {
		return slb.Backend{}, false
	}
	i := slices.IndexFunc(e.Addrs, func(a Address) bool { return a.IP.Is6() == vip.Is6() })
	if i < 0 {
		return slb.Backend{}, false
	}
	b := slb.Backend{Addr: e.Addrs[i].IP}
	switch {
	case !e.Remote:
		b.Port, b.MAC, b.Zone = EndpointPort(e.Num), e.MAC, x.c.zone(n, e)
	case n.Type == hcn.Overlay && e.PA != x.pa(n):
		b.Router = n.DRMAC
	}
	return b, true
}

// frontendsFor selects the services that count at a kind of port.
func frontendsFor(list []service, counts func(*service) bool) []slb.Frontend {
	var out []slb.Frontend
	for i := range list {
		if counts(&list[i]) {
			out = append(out, list[i].Frontend)
		}
	}
	return out
}

func everyService(*service) bool { return true }

// balanceClients are the layers that the ports of the network's endpoints
// share, and what outbound NAT must leave to them.
func (x *external) balanceClients(n *Network) ([]vfp.Layer, func(*vfp.Walk) bool) {
	fs := frontendsFor(x.served[n.Num], everyService)
	layers := slb.ClientLayers(fs, x.c.pools.lost)
	vfp.Prepare(layers)
	return layers, slb.Leave(fs)
}

// allServices are those of all networks of the switch, in order of creation.
func (x *external) allServices() []service {
	var out []service
	for _, n := range x.s.Networks {
		out = append(out, x.served[n.Num]...)
	}
	return out
}

// balanceWire is load balancing for what comes from outside (rules LB-12,
// LB-16, LB-17).
func (x *external) balanceWire() []vfp.Layer {
	fs := frontendsFor(x.allServices(), func(s *service) bool { return !s.ilb })
	return slb.WireLayers(fs, slb.Wire{
		MACs: []wire.MAC{x.a.MAC, x.bridgeMAC()}, Lost: x.c.pools.lost, NeedLocal: x.c.Profile.Knobs.NodePortNeedsLocal})
}

// balanceHost is load balancing for the node's own connections (rules LB-13,
// LB-14, LB-17).
func (x *external) balanceHost() []vfp.Layer {
	k := &x.c.Profile.Knobs
	var node []netip.Prefix
	for _, a := range x.hostAddrs() {
		node = append(node, netip.PrefixFrom(a, a.BitLen()))
	}
	return slb.HostLayers(frontendsFor(x.allServices(), func(s *service) bool {
		// What is private to a network is not the node's, unless it says so (rule
		// LB-17).
		return s.DSR && k.HostToClusterIP && !s.ilb || s.routed && k.LocalNodePort
	}), node)
}

// localServices are the services on the host's own addresses that the host may
// use itself (rule LB-13): what it sends there never meets a switch port.
func (x *external) localServices() []fabric.LocalVIP {
	if !x.c.Profile.Knobs.LocalNodePort {
		return nil
	}
	var out []fabric.LocalVIP
	for _, s := range x.allServices() {
		if !s.routed || s.PreserveDIP || !slices.Contains(x.c.pools.hostIPs, s.VIP) {
			continue
		}
		v := fabric.LocalVIP{ID: s.ID, Proto: s.Proto, VIP: s.VIP, Port: s.Port}
		for _, b := range s.Backends {
			// The host reaches no pods behind tunnels (rule OV-22).
			if b.Router.IsZero() {
				v.Targets = append(v.Targets, netip.AddrPortFrom(b.Addr, s.Internal))
			}
		}
		n, dist := len(v.Targets), s.Dist
		if n == 0 {
			continue
		}
		v.Choose = func(h *vfp.Header) int { return dist.Pick(h, n) }
		for _, a := range s.Draining {
			v.Targets = append(v.Targets, netip.AddrPortFrom(a, s.Internal))
		}
		out = append(out, v)
	}
	return out
}
