package sdn

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/hnsim/hnsim/sim/acl"
	"github.com/hnsim/hnsim/sim/qos"
	"github.com/hnsim/hnsim/sim/slb"
	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/vnet"
	"github.com/hnsim/hnsim/sim/vswitch"
)

// Layers of a machine's ACLs (contract section 1): the subnet's, then that of
// the interface or IP configuration. A packet passes both (rule SDN-21).
const (
	subnetACLLayer    = "FW_ADMIN_LAYER_ID"
	interfaceACLLayer = "FW_CONTROLLER_LAYER_ID"
)

// vmPort makes a machine's port. It stays blocked as long as there is no policy
// for it: no interface with its MAC, no ACL, no server (rules SDN-20, ACL-40).
func (k *compilation) vmPort(h *HostInfo, vm VM, nets map[*VirtualNetwork]*vnet.Network) (vswitch.PortConfig, *vnet.Port, error) {
	id, _ := k.c.ports[h.Name].get(vm.Name) // locate has given it
	pc := vswitch.PortConfig{ID: id, Name: vm.Name, Kind: vswitch.EndpointPort, MAC: vm.MAC, Tunnelled: true, Blocked: true}
	n := k.nicOf(vm.MAC)
	at := k.places[n]
	if n == nil || nets[n.Subnet.Network] == nil || at.host == nil {
		return pc, nil, nil
	}
	pc.Zone, pc.MACSpoofing = n.Subnet.VSID, n.Spoofing
	if !n.hasACL() {
		return pc, nil, nil
	}
	net := nets[n.Subnet.Network]
	p := vnet.Port{ID: id, MAC: n.MAC, VSID: n.Subnet.VSID, PA: at.pa, Appliance: k.appliance(n), Sink: n.Sink,
		Metadata: vnet.Metadata{Port: metadataPort, MAC: metadataMAC, Addr: metadataAddr, TCP: metadataTCP, Alias: alias(id)}}
	for _, c := range n.IPs {
		p.CAs = append(p.CAs, c.Addr)
		if a := c.routed(); a.IsValid() {
			p.Also = append(p.Also, a)
		}
	}
	p.Mirrors = k.mirrors(n, h)
	p.EastWest = vnet.EastWest{Flows: k.c.directsOf(at.pa), Virtual: k.virtualSet, Machines: k.machinesSeenBy(h)}
	layers := net.PortLayers(p)
	for _, side := range []struct {
		name     string
		priority uint16
		rules    []acl.Rule
	}{{subnetACLLayer, acl.LayerPriority, subnetRules(n)}, {interfaceACLLayer, acl.LayerPriority + 10, interfaceRules(n, &p)}} {
		if side.rules == nil {
			continue
		}
		l, err := acl.Compile(side.rules, acl.Options{})
		if err != nil {
			return pc, nil, conflict("", "%s: %v", n.Path, err)
		}
		l.Name, l.Priority = side.name, side.priority
		layers = append(layers, l)
	}
	tenant, err := k.tenant(n, at, net)
	if err != nil {
		return pc, nil, err
	}
	layers = append(layers, slb.TenantLayers(tenant)...)
	slices.SortStableFunc(layers, func(a, b vfp.Layer) int { return cmp.Compare(a.Priority, b.Priority) })
	pc.Program, pc.Blocked = &vfp.Program{Layers: layers}, false
	pc.Shaper = k.shaper(h.Name+n.Path, n.Mbps)
	for _, c := range n.IPs {
		if s := k.shaper(h.Name+c.Path, c.Mbps); s != nil {
			pc.Limits = append(pc.Limits, vswitch.AddrLimit{Addr: c.Addr, Shaper: s})
		}
	}
	return pc, &p, nil
}

// alias is the address under which a host's metadata service knows a machine.
func alias(id vfp.PortID) netip.Addr {
	n := uint32(id - firstVMPort)
	return netip.AddrFrom4([4]byte{169, 254, 1 + byte(n/250), 1 + byte(n%250)})
}

func (n *Interface) hasACL() bool {
	return n.Subnet.ACL != nil || n.ACL != nil || slices.ContainsFunc(n.IPs, func(c *IPConfig) bool { return c.ACL != nil })
}

// appliance: some route of the network names one of the interface's addresses.
func (k *compilation) appliance(n *Interface) bool {
	for _, s := range n.Subnet.Network.Subnets {
		for _, r := range s.Routes {
			if slices.ContainsFunc(n.IPs, func(c *IPConfig) bool { return c.Addr == r.NextHop }) {
				return true
			}
		}
	}
	return false
}

// mirrors are the copies that an interface's port sends, by priority.
func (k *compilation) mirrors(n *Interface, h *HostInfo) []vnet.Mirror {
	byInsert := map[*Insertion][]netip.Addr{}
	var order []*Insertion
	for _, c := range n.IPs {
		if c.Insert == nil {
			continue
		}
		if byInsert[c.Insert] == nil {
			order = append(order, c.Insert)
		}
		byInsert[c.Insert] = append(byInsert[c.Insert], c.Addr)
	}
	slices.SortStableFunc(order, func(a, b *Insertion) int { return cmp.Compare(a.Priority, b.Priority) })
	var out []vnet.Mirror
	for _, s := range order {
		at, ok := k.places[s.Element]
		if !ok || s.Element == n || s.Element.Subnet.Network != n.Subnet.Network {
			continue
		}
		to := ca(s.Element, s.Element.IPs[0].Addr, at, h, true)
		rules := s.Rules
		if len(rules) == 0 {
			rules = []vfp.Match{{}}
		}
		for _, r := range rules {
			out = append(out, vnet.Mirror{CAs: byInsert[s], To: to, Rule: r})
		}
	}
	return out
}

// denyRest is what an ACL says of packets that no rule of it matches.
func denyRest() []acl.Rule {
	rest := acl.Rule{Priority: 65535, Action: acl.Block, Cite: "ACL-40"}
	out, in := rest, rest
	out.ID, out.Dir = "ACL_DENY_REST_OUT", vfp.Out
	in.ID, in.Dir = "ACL_DENY_REST_IN", vfp.In
	return []acl.Rule{out, in}
}

func subnetRules(n *Interface) []acl.Rule {
	if n.Subnet.ACL == nil {
		return nil
	}
	return append(slices.Clone(n.Subnet.ACL.Rules), denyRest()...)
}

// interfaceRules are those of the interface and its IP configurations: each
// holds for its own address (rule ACL-43). An address without a list passes if
// the subnet has one.
func interfaceRules(n *Interface, p *vnet.Port) []acl.Rule {
	if n.ACL == nil && !slices.ContainsFunc(n.IPs, func(c *IPConfig) bool { return c.ACL != nil }) {
		return nil
	}
	var out []acl.Rule
	for _, c := range n.IPs {
		own := []netip.Addr{c.Addr}
		if a := c.routed(); a.IsValid() {
			own = append(own, a)
		}
		list := c.ACL
		if list == nil {
			list = n.ACL
		}
		if list == nil {
			if n.Subnet.ACL != nil {
				out = append(out, allowAll(own)...)
			}
			continue
		}
		for _, r := range list.Rules {
			r.ID += "_" + c.Addr.String()
			if !p.Appliance {
				if r.LocalAddrs = narrowed(r.LocalAddrs, own); r.LocalAddrs.Prefixes == nil {
					continue
				}
			}
			out = append(out, r)
		}
	}
	return append(out, denyRest()...)
}

// narrowed restricts an address field to some addresses; without prefixes there
// is nothing left of it.
func narrowed(set acl.AddressSet, own []netip.Addr) acl.AddressSet {
	var out acl.AddressSet
	for _, a := range own {
		if len(set.Prefixes) == 0 || slices.ContainsFunc(set.Prefixes, func(p netip.Prefix) bool { return p.Contains(a) }) {
			out.Prefixes = append(out.Prefixes, netip.PrefixFrom(a, a.BitLen()))
		}
	}
	return out
}

func allowAll(own []netip.Addr) []acl.Rule {
	r := acl.Rule{Priority: 65534, LocalAddrs: narrowed(acl.AddressSet{}, own), Cite: "SDN-21"}
	out, in := r, r
	out.ID, out.Dir = "ACL_NONE_OUT_"+own[0].String(), vfp.Out
	in.ID, in.Dir = "ACL_NONE_IN_"+own[0].String(), vfp.In
	return []acl.Rule{out, in}
}

// shaper is a limit of what an interface or one of its addresses sends
// (qosSettings); nil if it has none.
func (k *compilation) shaper(key string, mbps int) vswitch.Shaper {
	if mbps == 0 {
		return nil
	}
	rate := uint64(mbps) * 1000000 / 8
	k.c.shaped[key] = true
	s := k.c.shapers[key]
	switch {
	case s == nil:
		s = qos.New(rate, qos.DefaultLimits)
	case s.Rate() != rate:
		s = s.WithRate(rate)
	}
	k.c.shapers[key] = s
	return s
}
