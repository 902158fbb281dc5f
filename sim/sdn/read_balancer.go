package sdn

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/hnsim/hnsim/sim/slb"
	"github.com/hnsim/hnsim/sim/wire"
)

// defaultIdle is the idle time of virtual addresses, in minutes.
const defaultIdle = 4

func idleOf(v value) int64 {
	return int64(v.get("idleTimeoutInMinutes").number(1, 30, defaultIdle)) * int64(time.Minute)
}

func (b *builder) publicAddress(path string, v value) {
	p := v.props()
	b.publics[path] = &Public{Path: b.at, Addr: p.get("ipAddress").needed("the public address").addr(), Idle: idleOf(p)}
	p.get("publicIPAllocationMethod").choice("Static", "Static", "Dynamic")
}

// frontendsOf reads what other documents refer to: frontends, pools and probes.
func (b *builder) frontendsOf(path string, v value) {
	b.children(path, v, "frontendIPConfigurations", func(at string, e value) {
		p := e.props()
		if ref := b.ref(p.get("publicIPAddress"), "publicIPAddresses"); ref != "" {
			b.frontends[at] = b.publics[ref].Addr
			return
		}
		a := p.get("privateIPAddress").needed("the virtual address").addr()
		p.get("privateIPAllocationMethod").choice("Static", "Static", "Dynamic")
		if ref := b.ref(p.get("subnet"), "logicalNetworks/subnets"); ref != "" && b.r.err == nil && !b.logical[ref].Contains(a) {
			p.get("privateIPAddress").wrong("an address of the logical subnet's " + b.logical[ref].String())
		}
		b.frontends[at] = a
	})
	b.children(path, v, "backendAddressPools", func(at string, _ value) { b.pools[at] = &Pool{Path: at} })
	b.children(path, v, "probes", func(at string, e value) {
		p := e.props()
		pr := &Probe{Path: at, Port: uint16(p.get("port").needed("a port").number(1, 65535, 0)), Count: p.get("numberOfProbes").number(1, 1000, 2)}
		pr.Interval = int64(p.get("intervalInSeconds").number(1, 3600, 15)) * int64(time.Second)
		if p.get("protocol").needed("HTTP or TCP").choice("TCP", "HTTP", "TCP") == "HTTP" {
			pr.HTTP = p.get("requestPath").text()
			if !strings.HasPrefix(pr.HTTP, "/") || strings.ContainsAny(pr.HTTP, " \r\n") {
				p.get("requestPath").wrong("a path such as /health.htm")
			}
		}
		b.probes[at] = pr
	})
}

func (b *builder) loadBalancer(path string, v value) {
	l := &Balancer{Name: v.get("resourceId").text(), Path: b.at}
	b.m.Balancers = append(b.m.Balancers, l)
	b.children(path, v, "backendAddressPools", func(at string, e value) {
		pool := b.pools[at]
		for _, c := range b.refs(e.props().get("backendIPConfigurations"), "networkInterfaces/ipConfigurations") {
			pool.Members = append(pool.Members, b.configs[c])
		}
		for _, n := range b.m.NICs {
			for _, c := range n.IPs {
				if slices.Contains(c.Balanced, at) && !slices.Contains(pool.Members, c) {
					pool.Members = append(pool.Members, c)
				}
			}
		}
		l.Pools = append(l.Pools, pool)
	})
	b.children(path, v, "loadBalancingRules", func(at string, e value) {
		p := e.props()
		r := BalancingRule{ID: ruleID(at), VIPs: b.vips(p), Protos: protocols(p), Idle: idleOf(p)}
		r.Port, r.Internal = portPair(p)
		switch p.get("loadDistribution").choice("Default", "Default", "SourceIP", "SourceIPProtocol") {
		case "SourceIP":
			r.Dist = slb.PerSource
		case "SourceIPProtocol":
			r.Dist = slb.PerSourceProtocol
		}
		r.Pool = b.pools[b.ref(p.get("backendAddressPool").needed("a reference to a pool"), "loadBalancers/backendAddressPools")]
		r.Probe = b.probes[b.ref(p.get("probe"), "loadBalancers/probes")]
		l.Rules = append(l.Rules, r)
	})
	b.children(path, v, "inboundNatRules", func(at string, e value) {
		p := e.props()
		r := InboundRule{ID: ruleID(at), Path: at, VIPs: b.vips(p), Protos: protocols(p), Idle: idleOf(p)}
		r.Port, r.Internal = portPair(p)
		if ref := b.ref(p.get("backendIPConfiguration"), "networkInterfaces/ipConfigurations"); ref != "" {
			r.To = b.configs[ref]
		}
		for _, n := range b.m.NICs {
			for _, c := range n.IPs {
				if slices.Contains(c.Inbound, at) {
					r.To = c
				}
			}
		}
		l.Inbound = append(l.Inbound, r)
	})
	b.children(path, v, "outboundNatRules", func(at string, e value) {
		p := e.props()
		r := OutboundRule{ID: ruleID(at), VIPs: b.vips(p)}
		proto := p.get("protocol").choice("All", "All", "TCP", "UDP")
		r.TCP, r.UDP = proto != "UDP", proto != "TCP"
		r.Pool = b.pools[b.ref(p.get("backendAddressPool").needed("a reference to a pool"), "loadBalancers/backendAddressPools")]
		l.Outbound = append(l.Outbound, r)
	})
}

// ruleID is a rule's path as a name for VFP rules.
func ruleID(at string) string {
	segs, _ := split(at)
	return segs[1] + "_" + segs[3]
}

func (b *builder) vips(p value) []netip.Addr {
	list := p.get("frontendIPConfigurations").needed("references to frontends")
	var out []netip.Addr
	for _, ref := range b.refs(list, "loadBalancers/frontendIPConfigurations") {
		out = append(out, b.frontends[ref])
	}
	if len(out) == 0 {
		list.wrong("at least one frontend")
	}
	return out
}

func protocols(p value) []uint8 {
	switch p.get("protocol").needed("TCP or UDP").choice("All", "TCP", "UDP", "All") {
	case "TCP":
		return []uint8{wire.ProtoTCP}
	case "UDP":
		return []uint8{wire.ProtoUDP}
	}
	return []uint8{wire.ProtoTCP, wire.ProtoUDP}
}

func portPair(p value) (front, back uint16) {
	front = uint16(p.get("frontendPort").needed("a port").number(1, 65535, 0))
	return front, uint16(p.get("backendPort").number(1, 65535, int(front)))
}

// mux reads a multiplexer: the machine that it is, and its routers.
func (b *builder) mux(_ string, v value) {
	p := v.props()
	m := Mux{Machine: b.machines[b.ref(p.get("virtualServer").needed("a reference to a virtual server"), "virtualServers")]}
	for _, peer := range p.get("routerConfiguration").get("peerRouterConfigurations").list() {
		m.Routers = append(m.Routers, peer.get("routerIPAddress").needed("the router's address").addr())
		peer.get("peerASN").number(1, 1<<31-1, 1)
	}
	b.m.Muxes = append(b.m.Muxes, m)
}
