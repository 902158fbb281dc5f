package linux

import (
	"net/netip"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/wire"
)

// diverted is the mark of packets that bridge rules led into the host's stack
// to have them translated there.
const diverted = 1

// bridgeRules are what VFP's layers do in the switch: port security, MAC
// rewriting, ARP answers, the way into tunnels and out of them.
func (h *host) bridgeRules() *ruleset {
	pre := &chain{name: "prerouting", kind: nftables.ChainTypeFilter, hook: nftables.ChainHookPrerouting, prio: *nftables.ChainPriorityRaw}
	fwd := &chain{name: "forward", kind: nftables.ChainTypeFilter, hook: nftables.ChainHookForward, prio: *nftables.ChainPriorityFilter}
	for _, u := range h.store.uplinks {
		fwd.add(noEcho(u.nic))
	}
	for _, p := range h.sortedPorts() {
		fwd.add(noEcho(p.dev))
		pre.add(iif(p.dev), ethSrcNot(p.e.mac), drop("MacSpoof", p.e.doc.ID))
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
		if n.kind == hcn.Overlay {
			h.overlayIn(n, pre, fwd)
		}
	}
	return &ruleset{nftables.TableFamilyBridge, []*chain{pre, fwd}, false}
}

// toHost makes a frame one for the host's stack.
func toHost(mac wire.MAC) rule {
	return on(toEthDst(mac), rule{&expr.Immediate{Register: 1, Data: []byte{unix.PACKET_HOST}},
		&expr.Meta{Key: expr.MetaKeyPKTTYPE, SourceRegister: true, Register: 1}})
}

// divert leads what an OutBoundNAT policy translates into the host's stack
// (rules L2B-21, L2B-22, OV-20).
func (h *host) divert(p *port, mac wire.MAC, pre *chain) {
	e := p.e
	for _, s := range e.snats() {
		for _, proto := range []uint8{wire.ProtoTCP, wire.ProtoUDP} {
			match := on(iif(p.dev), etherType(unix.ETH_P_IP), l4proto(proto), notGroup())
			for _, x := range s.exceptions {
				match = append(match, notTo(x)...)
			}
			for _, o := range h.store.of(e.net) {
				if !o.remote && o.ipv4().IsValid() {
					match = append(match, notTo(single(o.ipv4()))...)
				}
			}
			for _, a := range h.publicAddresses() {
				match = append(match, notTo(single(a))...)
			}
			act := on(setMark(diverted), toHost(mac), accept())
			if len(s.destinations) == 0 {
				pre.add(match, act)
			}
			for _, d := range s.destinations {
				pre.add(match, ipDst(d), act)
			}
		}
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
	mac := p.e.net.sourceMAC()
	out := on(iif(p.dev), oif(p.e.net.uplink.nic))
	fwd.add(out, etherType(unix.ETH_P_ARP), toARPSender(mac))
	fwd.add(out, toEthSrc(mac))
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
	for _, o := range h.store.of(n) {
		if o != p.e && o.ipv4().IsValid() && !o.mac.IsZero() {
			pre.add(from, arpRequest(), arpFor(o.ipv4()), arpAnswer(o.ipv4(), o.mac))
		}
	}
	pre.add(from, etherType(unix.ETH_P_ARP), discard())
	pre.add(from, group(), accept())
	ip := on(from, etherType(unix.ETH_P_IP))
	for _, o := range h.store.of(n) {
		if !o.ipv4().IsValid() || o.mac.IsZero() {
			continue
		}
		to := on(ip, addr(16, single(o.ipv4())))
		if o.remote {
			pre.add(to, toEthDst(o.mac), accept())
			continue
		}
		pre.add(to, ethDst(n.drMAC), toEthDst(o.mac), toEthSrc(n.drMAC), accept())
		pre.add(to, accept())
	}
	for _, r := range n.remoteRoutes() {
		pre.add(ip, addr(16, r.dst), toEthDst(r.mac), toEthSrc(n.drMAC), accept())
	}
	h.divert(p, n.drMAC, pre)
	if h.reachable(n) {
		for _, a := range h.publicAddresses() {
			pre.add(ip, addr(16, single(a)), toHost(n.drMAC), accept())
		}
	}
	pre.add(from, drop("NoMapping", p.e.doc.ID))
}

// reachable reports whether the host reaches the pods of an overlay network
// itself (rule OV-22).
func (h *host) reachable(n *network) bool {
	return len(hcn.FindPolicies(n.doc.Policies, hcn.PolicyHostRoute)) > 0
}

// overlayIn is the way out of the tunnel (rules OV-12, OV-13). Nothing is
// flooded into it (OV-11).
func (h *host) overlayIn(n *network, pre, fwd *chain) {
	for _, vni := range n.vnis() {
		dev := tunnelDev(vni)
		from := iif(dev)
		fwd.add(oif(dev), group(), discard())
		pre.add(from, payload(link, 12, be16(unix.ETH_P_8021Q)), drop("InnerVlanTag", ""))
		for _, p := range h.sortedPorts() {
			if p.e.net != n {
				continue
			}
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

// portRules are the ACLs of an endpoint, in the namespace of its port: there
// they see the endpoint's own addresses in both directions (rule ACL-09).
func (h *host) portRules(p *port) error {
	acls := p.e.acls(h.store.profile.Knobs.ACLTie)
	value := "0"
	if len(acls) > 0 {
		value = "1"
	}
	for _, f := range []string{"iptables", "ip6tables"} {
		if err := p.inside.sysctl("net/bridge/bridge-nf-call-"+f, value); err != nil {
			return err
		}
	}
	note := &chain{name: "direction", kind: nftables.ChainTypeFilter, hook: nftables.ChainHookPrerouting, prio: *nftables.ChainPriorityRaw}
	// An accepting rule ends its chain only: a packet must pass the rules of
	// the switch and those of the host's firewall (rule ACL-08).
	sw := &chain{name: "switch", kind: nftables.ChainTypeFilter, hook: nftables.ChainHookForward, prio: *nftables.ChainPriorityFilter}
	fw := &chain{name: "firewall", kind: nftables.ChainTypeFilter, hook: nftables.ChainHookForward, prio: *nftables.ChainPriorityFilter + 1}
	if len(acls) > 0 {
		note.add(iif("up"), setMark(goingOut))
		note.add(iif("down"), setMark(comingIn))
		for _, c := range []*chain{sw, fw} {
			c.add(known(), accept())
			for _, in := range []bool{false, true} {
				h.aclList(p, acls, c == fw, in, c)
			}
		}
	}
	if err := p.inside.install(&ruleset{nftables.TableFamilyBridge, []*chain{note}, false}, &ruleset{nftables.TableFamilyINet, []*chain{sw, fw}, false}); err != nil {
		return err
	}
	text := strings.Join(describe(acls), "\n")
	if text != p.acls {
		// Rules changed: live flows are looked at anew (rule ACL-11).
		p.acls = text
		return p.inside.forgetFlows()
	}
	return nil
}
