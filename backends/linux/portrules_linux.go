package linux

import (
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/wire"
)

// portRules are the ACLs of an endpoint and the choice of what is translated,
// in the namespace of its port: there they see the endpoint's own addresses in
// both directions (rule ACL-09), and every packet of its connections.
func (h *host) portRules(p *port) error {
	acls := p.e.acls(h.store.profile.Knobs.ACLTie)
	early := &chain{name: "direction", kind: nftables.ChainTypeFilter, hook: nftables.ChainHookPrerouting, prio: *nftables.ChainPriorityRaw}
	early.add(iif("up"), setMark(goingOut))
	early.add(iif("down"), setMark(comingIn))
	if n := p.e.net; n.uplink != nil && p.in != h.space {
		mac := n.hostMAC
		if n.kind == hcn.Overlay {
			mac = n.drMAC
		}
		early.add(iif("down"), payload(link, 6, mac[:]), setMark(comingIn|viaHost))
	}
	early.add(fromHost(), setMark(comingIn|viaHost))
	early.add(writeSender())
	late := &chain{name: "divert", kind: nftables.ChainTypeFilter, hook: nftables.ChainHookForward, prio: *nftables.ChainPriorityFilter + 100}
	late.add(marked(toTranslate), toEthDst(divertMAC))

	raw := &chain{name: "untracked", kind: nftables.ChainTypeFilter, hook: nftables.ChainHookPrerouting, prio: beforeDefrag}
	raw.add(ownFragments())
	if len(acls) == 0 && len(p.e.snats()) == 0 && len(p.e.mappings()) == 0 {
		for _, proto := range welcome {
			raw.add(l4proto(proto), untracked())
		}
	}
	// An accepting rule ends its chain only: a packet must pass the rules of
	// the switch and those of the host's firewall (rule ACL-08).
	sw := &chain{name: "switch", kind: nftables.ChainTypeFilter, hook: nftables.ChainHookForward, prio: *nftables.ChainPriorityFilter}
	fw := &chain{name: "firewall", kind: nftables.ChainTypeFilter, hook: nftables.ChainHookForward, prio: *nftables.ChainPriorityFilter + 1}
	nat := &chain{name: "translation", kind: nftables.ChainTypeFilter, hook: nftables.ChainHookForward, prio: *nftables.ChainPriorityFilter + 2}
	for _, c := range []*chain{sw, fw} {
		c.add(known(), accept())
		if c == fw && p.e.ns != nil && p.e.ns.hyperv {
			continue // the firewall is another kernel's
		}
		for _, in := range []bool{false, true} {
			h.aclList(p, acls, c == fw, in, c)
		}
	}
	h.unasked(p, sw)
	h.translation(p, nat)
	err := p.inside.install(&ruleset{nftables.TableFamilyBridge, []*chain{early, late}, false, []kernelMap{senders(h.origins())}},
		&ruleset{nftables.TableFamilyINet, []*chain{raw, sw, fw, nat}, false, nil})
	text := strings.Join(describe(acls), "\n")
	if err != nil || text == p.acls {
		return err
	}
	// Rules changed: live flows are looked at anew (rule ACL-11).
	p.acls = text
	return p.inside.forgetFlows()
}

// beforeDefrag is a priority ahead of the kernel's reassembly of fragments.
const beforeDefrag nftables.ChainPriority = -450

// welcome are the protocols that a process isolated container takes unasked
// (rule ACL-15), and IPv6's ICMP.
var welcome = []uint8{wire.ProtoTCP, wire.ProtoUDP, wire.ProtoICMP, unix.IPPROTO_IGMP, wire.ProtoICMPv6}

// unasked refuses other protocols that nobody inside has spoken first.
func (h *host) unasked(p *port, c *chain) {
	if p.e.ns == nil || p.e.ns.hyperv || p.e.net.kind == hcn.NAT {
		return
	}
	h.posture(p, marked(comingIn), c)
}

// posture takes the protocols that are welcome and refuses all others.
func (h *host) posture(p *port, match rule, c *chain) {
	for _, proto := range welcome {
		c.add(match, l4proto(proto), accept())
	}
	c.add(match, drop("VfpBlock", p.e.doc.ID))
}

// translation marks what an OutBoundNAT policy translates: connections that
// began inside, to destinations that it does not except (rules L2B-21, L2B-22,
// X OV-20). What an overlay network serves itself is never translated.
func (h *host) translation(p *port, c *chain) {
	if p.in == h.space {
		return
	}
	n := p.e.net
	if n.kind.External() && len(p.e.mappings()) > 0 {
		// What came through a published port must go back through it, to have
		// the translation undone.
		c.add(marked(viaHost), ctState(expr.CtStateBitNEW), setCtMark(viaHost))
		c.add(marked(goingOut), ctMark(viaHost), reply(), setMark(toTranslate))
	}
	for _, s := range p.e.snats() {
		keep := s.exceptions
		for _, a := range h.publicAddresses() {
			keep = append(keep, single(a))
		}
		if n.kind == hcn.Overlay {
			for _, o := range h.store.of(n) {
				if o.ipv4().IsValid() {
					keep = append(keep, single(o.ipv4()))
				}
			}
			for _, r := range n.remoteRoutes() {
				keep = append(keep, r.dst)
			}
		}
		for _, proto := range []uint8{wire.ProtoTCP, wire.ProtoUDP} {
			match := on(marked(goingOut), etherType(unix.ETH_P_IP), l4proto(proto), original())
			for _, x := range keep {
				match = append(match, notTo(x)...)
			}
			match = append(match, notTo(multicast)...)
			if len(s.destinations) == 0 {
				c.add(match, setMark(toTranslate))
			}
			for _, d := range s.destinations {
				c.add(match, ipDst(d), setMark(toTranslate))
			}
		}
	}
}
