package linux

import (
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/wire"
)

// bridgeRules are what VFP's layers do in the switch: port security, MAC
// rewriting, ARP answers, the way into tunnels and out of them.
func (h *host) bridgeRules() *ruleset {
	pre := &chain{name: "prerouting", kind: nftables.ChainTypeFilter, hook: nftables.ChainHookPrerouting, prio: *nftables.ChainPriorityRaw}
	fwd := &chain{name: "forward", kind: nftables.ChainTypeFilter, hook: nftables.ChainHookForward, prio: *nftables.ChainPriorityFilter}
	h.noteOrigin(pre)
	for _, u := range h.store.uplinks {
		fwd.add(noEcho(u.nic))
		fwd.add(oif(u.nic), longerThan(u.mtu), drop("Oversize", ""))
	}
	in := &chain{name: "input", kind: nftables.ChainTypeFilter, hook: nftables.ChainHookInput, prio: *nftables.ChainPriorityFilter}
	for _, u := range h.store.uplinks {
		for _, c := range []*chain{pre, in} {
			c.add(iif(u.nic), reserved(), drop("ReservedMulticast", ""))
		}
	}
	for _, p := range h.sortedPorts() {
		fwd.add(noEcho(p.dev))
		for _, c := range []*chain{pre, in} {
			c.add(iif(p.dev), reserved(), drop("ReservedMulticast", p.e.doc.ID))
		}
		h.isolated(p, fwd)
		pre.add(iif(p.dev), ethSrcNot(p.e.mac), drop("MacSpoof", p.e.doc.ID))
	}
	for _, n := range h.store.networks {
		h.blocked(n, pre)
	}
	for _, n := range h.store.networks {
		if n.kind == hcn.L2Bridge {
			for _, b := range h.balanced() {
				if b.net == n {
					h.leadAnswers(iif(n.uplink.nic), b, on(setBits(diverted), toHost(n.hostMAC), accept()), pre)
				}
			}
		}
	}
	for _, p := range h.sortedPorts() {
		switch p.e.net.kind {
		case hcn.L2Bridge:
			h.l2bridgeOut(p, pre, fwd)
			h.l2bridgeIn(p, pre)
		case hcn.Overlay:
			h.overlayOut(p, pre)
		}
	}
	for _, n := range h.store.networks {
		switch {
		case n.kind == hcn.Overlay:
			h.overlayIn(n, pre, fwd)
		case !n.kind.External():
			h.insideOnly(n, pre)
		}
	}
	macs := h.origins()
	return &ruleset{nftables.TableFamilyBridge, []*chain{pre, fwd, in, h.toPorts(), h.outerChecksums()}, false, []kernelMap{numbers(macs), aliases(macs)}}
}

// outerChecksums takes the checksum out of the outer UDP header, which the
// kernel makes by default and the contract has at 0 (section 7.1).
func (h *host) outerChecksums() *chain {
	c := &chain{name: "postrouting", kind: nftables.ChainTypeFilter, hook: nftables.ChainHookPostrouting, prio: *nftables.ChainPriorityFilter}
	for _, n := range h.store.networks {
		if n.kind == hcn.Overlay && n.managed.IsValid() {
			c.add(oif(n.uplink.nic), ipSrc(single(n.managed)), l4proto(wire.ProtoUDP), dstPorts(n.vxlanPort, n.vxlanPort), write(transport, 6, []byte{0, 0}))
		}
	}
	return c
}

// reserved matches addresses that no bridge passes on (rule VS-16).
func reserved() rule {
	return on(payload(link, 0, []byte{0x01, 0x80, 0xC2, 0, 0}), bits(link, 5, 0xF0, 0))
}

// isolated keeps an endpoint with DisableInterComputeCommunication apart from
// the others of its network.
func (h *host) isolated(p *port, fwd *chain) {
	for _, o := range h.sortedPorts() {
		if o == p || o.e.net != p.e.net || p.e.doc.Flags&hcn.DisableICC == 0 {
			continue
		}
		fwd.add(iif(p.dev), oif(o.dev), notARP(), drop("PortAcl", p.e.doc.ID))
		fwd.add(iif(o.dev), oif(p.dev), notARP(), drop("PortAcl", p.e.doc.ID))
	}
}

// insideOnly are networks without a wire: unknown addresses lead nowhere (rule
// VS-11), and a nat network's gateway knows no IPv6 (rule NAT-07).
func (h *host) insideOnly(n *network, pre *chain) {
	for _, p := range h.sortedPorts() {
		if p.e.net != n {
			continue
		}
		from := on(iif(p.dev), notGroup())
		if n.kind == hcn.NAT {
			pre.add(from, ethDst(n.hostMAC), etherType(unix.ETH_P_IPV6), drop("NatNoIPv6", ""))
		}
		if n.kind != hcn.Private {
			pre.add(from, ethDst(n.hostMAC), accept())
		}
		for _, o := range h.sortedPorts() {
			if o.e.net == n {
				pre.add(from, ethDst(o.e.mac), accept())
			}
		}
		pre.add(from, drop("UnknownUnicast", p.e.doc.ID))
	}
}

// blocked names what is lost for an endpoint whose port does not exist yet
// (step 1 of the pipeline).
func (h *host) blocked(n *network, pre *chain) {
	for _, e := range h.store.of(n) {
		if !e.remote && h.ports[e] == nil && !h.speaks(e) {
			for _, dev := range h.devices(n) {
				pre.add(iif(dev), ethDst(e.mac), drop("PortBlocked", e.doc.ID))
				if e.ipv4().IsValid() {
					pre.add(iif(dev), arpRequest(), arpFor(e.ipv4()), note("PortBlocked "+e.doc.ID))
				}
			}
		}
	}
}

// devices are the ports of a network's bridge: endpoints, and the wire or the
// tunnels.
func (h *host) devices(n *network) []string {
	var out []string
	for _, p := range h.sortedPorts() {
		if p.e.net == n {
			out = append(out, p.dev)
		}
	}
	switch {
	case n.kind == hcn.Overlay:
		for _, vni := range n.vnis() {
			out = append(out, tunnelDev(vni))
		}
	case n.uplink != nil:
		out = append(out, n.uplink.nic)
	}
	return out
}

// toHost makes a frame one for the host's stack.
func toHost(mac wire.MAC) rule {
	return on(toEthDst(mac), rule{&expr.Immediate{Register: 1, Data: []byte{unix.PACKET_HOST}},
		&expr.Meta{Key: expr.MetaKeyPKTTYPE, SourceRegister: true, Register: 1}})
}

// divertMAC is where the rules of a port send what an OutBoundNAT policy
// translates: they know the connection, those of the switch know the way.
var divertMAC = wire.MAC{0x02, 0, 0, 0, 0, 0x01}

// divert leads it into the host's stack.
func (h *host) divert(p *port, mac wire.MAC, pre *chain) {
	if len(p.e.snats()) > 0 || len(p.e.mappings()) > 0 {
		pre.add(iif(p.dev), ethDst(divertMAC), setBits(diverted), toHost(mac), accept())
	}
}

// notTo matches IPv4 packets to elsewhere; its caller has matched the family.
func notTo(p netip.Prefix) rule {
	r := addr(16, p)
	if len(r) == 0 || p.Addr().Is6() {
		return nil
	}
	r[len(r)-1].(*expr.Cmp).Op = expr.CmpOpNeq
	return r
}

// sourceMAC is what the outside sees of an l2bridge network (rule L2B-01).
func (n *network) sourceMAC() wire.MAC {
	if p, ok := hcn.FindPolicy(n.doc.Policies, hcn.PolicySourceMacAddress); ok {
		if s, err := hcn.DecodeSettings[hcn.SourceMacAddressSettings](p); err == nil {
			if mac, err := hcn.ParseMAC(s.SourceMacAddress); err == nil {
				return mac
			}
		}
	}
	return n.hostMAC
}

// l2bridgeOut rewrites what leaves for the wire (rules L2B-01, L2B-02).
func (h *host) l2bridgeOut(p *port, pre, fwd *chain) {
	if p.in != h.space {
		h.divert(p, p.e.net.hostMAC, pre)
	}
	if p.in != h.space {
		h.leadToBalancer(iif(p.dev), p.e.net, p.e.net.hostMAC, pre)
	}
	for _, o := range h.store.of(p.e.net) {
		if o != p.e && !o.remote && p.in != h.space {
			for _, a := range o.addrs {
				pre.add(iif(p.dev), notGroup(), ipDst(single(a.Addr())), toEthDst(o.mac), accept()) // rule L2B-16
			}
		}
	}
	h.sdnRoutes(p, p.e.net.hostMAC, pre)
	mac := p.e.net.sourceMAC()
	out := on(iif(p.dev), oif(p.e.net.uplink.nic))
	fwd.add(out, etherType(unix.ETH_P_ARP), toARPSender(mac))
	fwd.add(out, toEthSrc(mac))
}

// sdnRoutes lead prefixes with NeedEncap to the host (rule L2B-29).
func (h *host) sdnRoutes(p *port, mac wire.MAC, pre *chain) {
	for _, pol := range hcn.FindPolicies(p.e.doc.Policies, hcn.PolicySDNRoute) {
		s, err := hcn.DecodeSettings[hcn.SDNRouteSettings](pol)
		if err != nil || !s.NeedEncap {
			continue
		}
		for _, d := range prefixes([]string{s.DestinationPrefix}) {
			pre.add(iif(p.dev), notGroup(), ipDst(d), toHost(mac), accept())
		}
	}
}

// l2bridgeIn leads what comes from the wire for the host's address to the
// endpoint whose IP address it has, and answers ARP for it (rules L2B-03,
// L2B-04).
func (h *host) l2bridgeIn(p *port, pre *chain) {
	n := p.e.net
	mac := n.sourceMAC()
	for _, a := range p.e.addrs {
		in := on(iif(n.uplink.nic), ethDst(mac))
		pre.add(in, ipDst(single(a.Addr())), toEthDst(p.e.mac), accept())
		if a.Addr().Is6() {
			continue
		}
		pre.add(iif(n.uplink.nic), arpRequest(), arpFor(a.Addr()), arpAnswer(a.Addr(), mac))
		pre.add(in, etherType(unix.ETH_P_ARP), arpFor(a.Addr()), toARPTarget(p.e.mac), toEthDst(p.e.mac), accept())
	}
}

// overlayOut is the way from an endpoint: neighbours are answered for, routes
// lead to the hosts that have the destination (rules OV-05 to OV-11).
func (h *host) overlayOut(p *port, pre *chain) {
	n, from := p.e.net, iif(p.dev)
	for _, s := range n.subnets {
		if s.gateway.IsValid() && s.gateway.Is4() {
			pre.add(from, arpRequest(), arpFor(s.gateway), arpAnswer(s.gateway, n.drMAC))
		}
	}
	for _, o := range h.store.nearFirst(n) {
		if o != p.e && o.ipv4().IsValid() && !o.mac.IsZero() {
			pre.add(from, arpRequest(), arpFor(o.ipv4()), arpAnswer(o.ipv4(), o.mac))
		}
	}
	pre.add(from, etherType(unix.ETH_P_ARP), discard())
	pre.add(from, group(), accept())
	h.divert(p, n.drMAC, pre)
	h.leadToBalancer(from, n, n.drMAC, pre)
	ip := on(from, etherType(unix.ETH_P_IP))
	for _, o := range h.store.nearFirst(n) {
		if !o.ipv4().IsValid() || o.mac.IsZero() || o.remote && n.routed(o.ipv4()) {
			continue
		}
		to := on(ip, addr(16, single(o.ipv4())))
		if o.remote {
			pre.add(to, toEthDst(o.mac), accept())
			continue
		}
		pre.add(to, ethDst(n.drMAC), toEthDst(o.mac), toEthSrc(n.drMAC), accept())
		pre.add(to, toEthDst(o.mac), accept())
	}
	h.sdnRoutes(p, n.hostMAC, pre)
	h.tunnelACLs(p, from, pre)
	for _, r := range n.remoteRoutes() {
		pre.add(ip, addr(16, r.dst), toEthDst(r.mac), toEthSrc(n.drMAC), accept())
	}
	if n.hostRoute() {
		for _, a := range h.publicAddresses() {
			pre.add(ip, addr(16, single(a)), toHost(n.hostMAC), accept())
		}
	}
	pre.add(from, drop("NoMapping", p.e.doc.ID))
}

// hostRoute reports whether the host reaches the pods of an overlay network
// itself (rule OV-22).
func (n *network) hostRoute() bool {
	return len(hcn.FindPolicies(n.doc.Policies, hcn.PolicyHostRoute)) > 0
}

// overlayIn is the way out of the tunnel (rules OV-12, OV-13). Nothing is
// flooded into it (OV-11).
func (h *host) overlayIn(n *network, pre, fwd *chain) {
	for _, vni := range n.vnis() {
		dev := tunnelDev(vni)
		from := iif(dev)
		fwd.add(oif(dev), group(), discard())
		h.leadToBalancer(from, n, n.drMAC, pre)
		pre.add(from, payload(link, 12, be16(unix.ETH_P_8021Q)), drop("InnerVlanTag", ""))
		for _, p := range h.sortedPorts() {
			if p.e.net != n {
				continue
			}
			fwd.add(iif(p.dev), oif(dev), longerThan(n.uplink.mtu-vxlanOverhead), drop("EncapOversize", p.e.doc.ID))
			for _, a := range p.e.addrs {
				pre.add(from, ethDst(n.drMAC), ipDst(single(a.Addr())), toEthDst(p.e.mac), toEthSrc(n.drMAC), accept())
			}
			pre.add(from, ethDst(p.e.mac), accept())
		}
		pre.add(from, group(), accept())
		pre.add(from, ethDst(n.drMAC), drop("NotLocal", ""))
		pre.add(from, drop("UnknownInnerMac", ""))
	}
}
