package sdn

import (
	"net/netip"
	"slices"

	"github.com/hnsim/hnsim/sim/fabric"
	"github.com/hnsim/hnsim/sim/slb"
	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/vnet"
	"github.com/hnsim/hnsim/sim/vswitch"
	"github.com/hnsim/hnsim/sim/wire"
)

// Ports that an address gets of a virtual address for outbound NAT (rule
// SDN-15): a lease of as many as a pool of VFP may have, above the well-known
// ones.
const (
	leasePorts = vfp.DefaultPoolPorts
	leaseFirst = 1024
	maxLeases  = (65536 - leaseFirst) / leasePorts
)

// leaseKey is who leases of what.
type leaseKey struct {
	vip netip.Addr
	ip  string // path of the IP configuration
}

// poolKey is one host's pool over a lease; a pool belongs to one switch.
type poolKey struct {
	leaseKey
	host  string
	proto uint8
}

// outbound is a rule of outbound NAT that works for a member of its pool.
type outbound struct {
	rule *OutboundRule
	ip   *IPConfig
	vip  netip.Addr
}

// outbounds are the working rules of all balancers: of several of one balancer
// the first alone, as observed (rule SDN-15). A public address of its own goes
// before.
func (k *compilation) outbounds() []outbound {
	var out []outbound
	for _, l := range k.m.Balancers {
		for i := range l.Outbound {
			r := &l.Outbound[i]
			if i > 0 && k.c.Options.FirstOutbound {
				break
			}
			for _, ip := range r.Pool.Members {
				if ip.Public == nil {
					out = append(out, outbound{r, ip, r.VIPs[0]})
				}
			}
		}
	}
	return out
}

// lease gives every address with outbound NAT its ports. Leases stay what they
// are as long as they are wanted; freed ones are given again.
func (k *compilation) lease() error {
	for _, o := range k.outbounds() {
		key := leaseKey{o.vip, o.ip.Path}
		k.c.leased[key] = true
		if _, ok := k.c.leases[key]; ok {
			continue
		}
		used := map[int]bool{}
		for other, n := range k.c.leases {
			if other.vip == o.vip {
				used[n] = true
			}
		}
		n := 0
		for used[n] {
			n++
		}
		if n >= maxLeases {
			return conflict("", "%s has no ports left: it serves outbound NAT for %d addresses at most", o.vip, maxLeases)
		}
		k.c.leases[key] = n
	}
	return nil
}

func leaseRange(n int) vfp.PortRange {
	lo := leaseFirst + n*leasePorts
	return vfp.PortRange{Lo: uint16(lo), Hi: uint16(lo + leasePorts - 1)}
}

// pool is the pool of a host over a lease.
func (c *Compiler) pool(key poolKey) (*vfp.NATPool, error) {
	c.inUse[key] = true
	if p := c.pools[key]; p != nil {
		return p, nil
	}
	space := vfp.NewPortSpace()
	space.SetDynamic(leaseRange(c.leases[key.leaseKey]))
	p, err := vfp.NewNATPool(space, key.proto, 0, leasePorts)
	if err != nil {
		return nil, err
	}
	c.pools[key] = p
	return p, nil
}

// probeKey names a probe of an address.
func probeKey(p *Probe, ip *IPConfig) string { return p.Path + " " + ip.Path }

// healthy reports whether an address gets new flows of a rule.
func (k *compilation) healthy(r *BalancingRule, ip *IPConfig) bool {
	return r.Probe == nil || k.c.Healthy == nil || k.c.Healthy(probeKey(r.Probe, ip))
}

// tenant is what the load balancer does at an interface's port.
func (k *compilation) tenant(n *Interface, at place, net *vnet.Network) (slb.Tenant, error) {
	t := slb.Tenant{Inside: net.Inside}
	for _, l := range k.m.Balancers {
		for i := range l.Rules {
			k.services(&t, &l.Rules[i], n)
		}
	}
	k.inbound(&t, n)
	for _, c := range n.IPs {
		if c.Public != nil && !c.routed().IsValid() {
			t.Publics = append(t.Publics, slb.TenantPublic{ID: c.Public.Addr.String(), VIP: c.Public.Addr, To: c.Addr, Idle: c.Public.Idle})
		}
	}
	for _, o := range k.outbounds() {
		if o.ip.NIC != n {
			continue
		}
		to := slb.TenantOutbound{From: o.ip.Addr, VIP: o.vip, Idle: int64(defaultIdle) * 60e9}
		key := poolKey{leaseKey: leaseKey{o.vip, o.ip.Path}, host: at.host.Name}
		var err error
		if o.rule.TCP {
			key.proto = wire.ProtoTCP
			if to.TCP, err = k.c.pool(key); err != nil {
				return t, err
			}
		}
		if o.rule.UDP {
			key.proto = wire.ProtoUDP
			if to.UDP, err = k.c.pool(key); err != nil {
				return t, err
			}
		}
		t.Outbound = append(t.Outbound, to)
	}
	return t, nil
}

// services adds a balancing rule to the port of an interface that has members
// of its pool.
func (k *compilation) services(t *slb.Tenant, r *BalancingRule, n *Interface) {
	var all, here []netip.Addr
	for _, ip := range r.Pool.Members {
		if _, placed := k.places[ip.NIC]; placed && k.healthy(r, ip) {
			all = append(all, ip.Addr)
		}
		if ip.NIC == n {
			here = append(here, ip.Addr)
		}
	}
	if len(here) == 0 {
		return
	}
	for _, vip := range r.VIPs {
		for _, proto := range r.Protos {
			t.Services = append(t.Services, slb.TenantService{ID: r.ID, VIP: vip, Proto: proto, Port: r.Port, Internal: r.Internal, Dist: r.Dist, Idle: r.Idle, All: all, Here: here})
		}
	}
}

// inbounds are the inbound NAT rules of an interface that work: of several the
// last, as observed (rule SDN-16).
func (k *compilation) inbounds(n *Interface) []*InboundRule {
	var out []*InboundRule
	for _, l := range k.m.Balancers {
		for i := range l.Inbound {
			if r := &l.Inbound[i]; r.To != nil && r.To.NIC == n {
				out = append(out, r)
			}
		}
	}
	if k.c.Options.LastInbound && len(out) > 1 {
		out = out[len(out)-1:]
	}
	return out
}

func (k *compilation) inbound(t *slb.Tenant, n *Interface) {
	for _, r := range k.inbounds(n) {
		for _, vip := range r.VIPs {
			for _, proto := range r.Protos {
				t.Forwards = append(t.Forwards, slb.TenantForward{ID: r.ID, VIP: vip, Proto: proto, Port: r.Port, To: r.To.Addr, Internal: r.Internal, Idle: r.Idle})
			}
		}
	}
}

// machine is where a MUX sends what is for an address.
func (k *compilation) machine(ip *IPConfig) (slb.Machine, bool) {
	at, ok := k.places[ip.NIC]
	if !ok || !k.m.HasServer(at.host.Name) {
		return slb.Machine{}, false
	}
	return slb.Machine{Addr: ip.Addr, MAC: ip.NIC.MAC, PA: at.pa, VSID: ip.NIC.Subnet.VSID, Kind: ip.NIC.Subnet.Network.Kind}, true
}

// muxConfig is what every MUX knows.
func (k *compilation) muxConfig() slb.Mux {
	m := slb.Mux{OuterTTL: k.c.Options.OuterTTL, VIPs: k.virtual}
	for _, l := range k.m.Balancers {
		for i := range l.Rules {
			m.Services = append(m.Services, k.muxServices(&l.Rules[i])...)
		}
	}
	for _, o := range k.outbounds() {
		to, ok := k.machine(o.ip)
		if !ok {
			continue
		}
		ports := leaseRange(k.c.leases[leaseKey{o.vip, o.ip.Path}])
		for _, p := range []struct {
			on    bool
			proto uint8
			name  string
		}{{o.rule.TCP, wire.ProtoTCP, "tcp"}, {o.rule.UDP, wire.ProtoUDP, "udp"}} {
			if p.on {
				m.Owners = append(m.Owners, slb.MuxOwner{ID: o.rule.ID + "_" + p.name + "_" + o.ip.Addr.String(), VIP: o.vip, Proto: p.proto, Ports: ports, To: to})
			}
		}
	}
	for _, n := range k.m.NICs {
		for _, r := range k.inbounds(n) {
			for _, vip := range r.VIPs {
				for _, proto := range r.Protos {
					if to, ok := k.machine(r.To); ok {
						m.Owners = append(m.Owners, slb.MuxOwner{ID: r.ID + "_" + vip.String() + "_" + protoName(proto), VIP: vip, Proto: proto, Ports: vfp.PortRange{Lo: r.Port, Hi: r.Port}, To: to})
					}
				}
			}
		}
		for _, c := range n.IPs {
			if to, ok := k.machine(c); ok && c.Public != nil {
				m.Owners = append(m.Owners, slb.MuxOwner{ID: c.Public.Addr.String(), VIP: c.Public.Addr, To: to})
			}
		}
	}
	return m
}

func protoName(p uint8) string {
	if p == wire.ProtoTCP {
		return "tcp"
	}
	return "udp"
}

func (k *compilation) muxServices(r *BalancingRule) []slb.MuxService {
	var up, down []slb.Machine
	for _, ip := range r.Pool.Members {
		to, ok := k.machine(ip)
		switch {
		case !ok:
		case k.healthy(r, ip):
			up = append(up, to)
		default:
			down = append(down, to)
		}
	}
	var out []slb.MuxService
	for _, vip := range r.VIPs {
		for _, proto := range r.Protos {
			out = append(out, slb.MuxService{ID: r.ID, VIP: vip, Proto: proto, Port: r.Port, Dist: r.Dist, Idle: r.Idle, Machines: up, Draining: down})
		}
	}
	return out
}

// mux makes the program of a multiplexer.
func (k *compilation) mux(x *MuxInfo) *fabric.HostProgram {
	cfg := k.muxConfig()
	cfg.Redirect = k.c.Redirect
	cfg.PA = x.Addrs[0].Addr()
	return &fabric.HostProgram{
		Switches: []fabric.SwitchProgram{{Uplink: x.Adapter, Wire: wirePort, Config: vswitch.Config{
			Name: "mux", Kind: vswitch.External, VFP: true, MTU: x.MTU, Ports: []vswitch.PortConfig{
				{ID: wirePort, Name: "wire", Kind: vswitch.ExternalPort, Program: &vfp.Program{Layers: slb.MuxLayers(cfg)}},
				{ID: paPort, Name: "pa", Kind: vswitch.HostPort, MAC: x.MAC},
			}}}},
		Interfaces: []*fabric.InterfaceProgram{{Compartment: fabric.HostCompartment, Name: "vEthernet (" + x.Adapter + ")", Switch: "mux", Port: paPort,
			MAC: x.MAC, MTU: x.MTU, Addrs: x.Addrs, Routes: defaultRoute(x.Gateway), Uplink: x.Adapter}},
	}
}

// announce lists the routes to the virtual addresses and the probes.
func (k *compilation) announce() {
	for _, m := range k.m.Muxes {
		i := slices.IndexFunc(k.inv.Muxes, func(x MuxInfo) bool { return x.Name == m.Machine })
		if i < 0 || k.inv.Muxes[i].Down {
			continue
		}
		for _, r := range m.Routers {
			for _, v := range k.virtual {
				k.plan.Routes = append(k.plan.Routes, Announcement{Router: r, VIP: v, Via: k.inv.Muxes[i].Addrs[0].Addr()})
			}
		}
	}
	seen := map[string]bool{}
	for _, l := range k.m.Balancers {
		for i := range l.Rules {
			r := &l.Rules[i]
			if r.Probe == nil {
				continue
			}
			for _, ip := range r.Pool.Members {
				at, ok := k.places[ip.NIC]
				key := probeKey(r.Probe, ip)
				if !ok || seen[key] || !k.m.HasServer(at.host.Name) {
					continue
				}
				seen[key] = true
				s := ip.NIC.Subnet
				k.plan.Probes = append(k.plan.Probes, ProbeTask{Key: key, Host: at.host.Name, Compartment: agentCompartment(k.c.agent(s.VSID)), From: s.Gateway, To: ip.Addr, Probe: r.Probe})
			}
		}
	}
}
