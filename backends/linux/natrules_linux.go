package linux

import (
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/wire"
)

// lastPort of the host's dynamic range.
const lastPort = 65535

// natRules translate: WinNAT's outbound side and published ports, and VFP's
// outbound NAT, which the kernel carries out on the routed path.
func (h *host) natRules() *ruleset {
	pre := &chain{name: "prerouting", kind: nftables.ChainTypeNAT, hook: nftables.ChainHookPrerouting, prio: *nftables.ChainPriorityNATDest}
	out := &chain{name: "output", kind: nftables.ChainTypeNAT, hook: nftables.ChainHookOutput, prio: *nftables.ChainPriorityNATDest}
	post := &chain{name: "postrouting", kind: nftables.ChainTypeNAT, hook: nftables.ChainHookPostrouting, prio: *nftables.ChainPriorityNATSource}
	early := &chain{} // what load balancers say of the source comes first
	for _, p := range h.sortedPorts() {
		for _, m := range p.e.mappings() {
			h.published(p.e, m, pre, out)
			if p.e.net.kind.External() {
				h.hairpin(p.e, m, post)
			}
		}
	}
	for _, n := range h.store.networks {
		if n.kind == hcn.NAT {
			h.natOut(n, post)
		}
	}
	for _, p := range h.sortedPorts() {
		for _, s := range p.e.snats() {
			vfpOut(p.e, s, post)
		}
	}
	var maps []kernelMap
	for _, m := range h.balance(pre, out, early) {
		maps = append(maps, m)
	}
	post.rules = append(early.rules, post.rules...)
	first := &chain{name: "fragments", kind: nftables.ChainTypeFilter, hook: nftables.ChainHookPrerouting, prio: beforeDefrag}
	first.add(ownFragments())
	return &ruleset{nftables.TableFamilyIPv4, []*chain{first, pre, out, post}, false, maps}
}

// published leads a port of the host to the endpoint (rules NAT-30, NAT-36,
// NAT-37).
func (h *host) published(e *endpoint, m mapping, pre, out *chain) {
	to := natTo(expr.NATTypeDestNAT, e.ipv4(), m.internal, m.internal)
	k := h.store.profile.Knobs
	for _, a := range h.publicAddresses() {
		if m.vip.IsValid() && m.vip != a || !e.ipv4().IsValid() {
			continue
		}
		match := on(ipDst(single(a)), l4proto(m.proto), dstPorts(m.external, m.external), to)
		if k.NATHairpin == "drop" && e.net.kind == hcn.NAT {
			pre.add(notIIF(e.net.bridge), match)
		} else {
			pre.add(match)
		}
		if e.net.kind == hcn.NAT && (k.LoopbackPublish || m.local) || e.net.kind != hcn.NAT && m.local {
			out.add(match)
		}
	}
	if e.net.kind == hcn.NAT && k.LoopbackPublish {
		out.add(ipDst(single(netip.AddrFrom4([4]byte{127, 0, 0, 1}))), l4proto(m.proto), dstPorts(m.external, m.external), to)
	}
}

// publicAddresses are the IPv4 addresses of the host's adapters.
func (h *host) publicAddresses() []netip.Addr {
	var out []netip.Addr
	for _, u := range h.store.uplinks {
		for _, a := range u.addrs {
			if a.Addr().Is4() {
				out = append(out, a.Addr())
			}
		}
	}
	return out
}

// natOut translates what leaves a nat network to the address of the adapter and
// a port of the dynamic range (rules NAT-10, NAT-12). What a published
// port's container sends from it shows the published port.
func (h *host) natOut(n *network, post *chain) {
	for _, s := range n.subnets {
		if !s.prefix.Addr().Is4() {
			continue
		}
		public := h.publicAddresses()
		if len(public) > 0 {
			hairpin := on(ipSrc(s.prefix), ipDst(s.prefix), ctStatus(dstNAT))
			for _, p := range []uint8{wire.ProtoTCP, wire.ProtoUDP} {
				post.add(hairpin, l4proto(p), natTo(expr.NATTypeSourceNAT, public[0], firstDynamicPort, lastPort))
			}
		}
		post.add(ipSrc(netip.MustParsePrefix("127.0.0.0/8")), oif(n.bridge), natTo(expr.NATTypeSourceNAT, s.gateway, 0, 0))
		leaving := on(ipSrc(s.prefix), notOIF(n.bridge))
		for _, e := range h.store.of(n) {
			for _, m := range e.mappings() {
				if len(public) > 0 && e.ipv4().IsValid() {
					post.add(ipSrc(single(e.ipv4())), notOIF(n.bridge), l4proto(m.proto), srcPorts(m.internal, m.internal),
						natTo(expr.NATTypeSourceNAT, public[0], m.external, m.external))
				}
			}
		}
		for _, u := range h.store.uplinks {
			for _, a := range u.addrs {
				for _, p := range []uint8{wire.ProtoTCP, wire.ProtoUDP} {
					if a.Addr().Is4() {
						post.add(leaving, oif(u.bridge), l4proto(p), natTo(expr.NATTypeSourceNAT, a.Addr(), firstDynamicPort, lastPort))
					}
				}
			}
		}
		post.add(leaving, l4proto(wire.ProtoICMP), rule{&expr.Masq{}})
	}
}

// vfpOut is an OutBoundNAT policy. Only what the bridge rules let into the
// host's stack comes here: exceptions have gone their own way.
func vfpOut(e *endpoint, s snat, post *chain) {
	if !e.ipv4().IsValid() || !s.to.IsValid() {
		return
	}
	// The destination may have been translated meanwhile: it is that one which
	// the exceptions mean (rule L2B-27).
	match := on(marked(diverted), ipSrc(single(e.ipv4())))
	for _, x := range s.exceptions {
		match = append(match, notTo(x)...)
	}
	for _, p := range []uint8{wire.ProtoTCP, wire.ProtoUDP} {
		post.add(match, l4proto(p), anyPort(natTo(expr.NATTypeSourceNAT, s.to, firstDynamicPort, lastPort)))
	}
}

// anyPort makes every connection get a port of its own, whatever its source
// port is: VFP's mappings depend on address and port of both sides (L2B-25).
func anyPort(r rule) rule {
	r[len(r)-1].(*expr.NAT).FullyRandom = true
	return r
}

// hairpin shows the host's address to a published endpoint that a sibling
// calls, so that the answer comes back this way.
func (h *host) hairpin(e *endpoint, m mapping, post *chain) {
	for _, o := range h.store.of(e.net) {
		if len(o.snats()) > 0 && o.ipv4().IsValid() && e.ipv4().IsValid() && e.net.managed.IsValid() {
			post.add(ctStatus(dstNAT), ipSrc(single(o.ipv4())), ipDst(single(e.ipv4())), l4proto(m.proto),
				natTo(expr.NATTypeSourceNAT, e.net.managed, firstDynamicPort, lastPort))
		}
	}
}

// keepTTL gives back the hop that the routed path takes from packets of VFP
// endpoints: VFP translates in the switch and counts no hop (rule L2B-08).
func (h *host) keepTTL(fwd *chain) {
	for _, b := range h.balanced() {
		if src := b.source(); !b.direct() && src.IsValid() && !h.owns(src) {
			fwd.add(ipDst(single(src)), drop("NoMapping", "")) // no connection has undone it
		}
		for _, e := range b.backends {
			for _, f := range b.fronts(h.publicAddresses()) {
				if b.direct() && e.remote && b.net.kind == hcn.L2Bridge {
					fwd.add(marked(diverted), ctStatus(dstNAT), askedFor(f.vip), ipDst(single(e.ipv4())), accept()) // routed to another host: that is a hop
				}
			}
		}
	}
	fwd.add(marked(diverted), etherType(unix.ETH_P_IP), keepAsItCame(), accept())
	for _, b := range h.balanced() {
		for _, f := range b.fronts(h.publicAddresses()) {
			for _, e := range b.backends {
				served := on(ctStatus(dstNAT), askedFor(f.vip), l4proto(f.proto))
				fwd.add(served, ipDst(single(e.ipv4())), dstPorts(f.internal, f.internal), keepAsItCame(), accept())
				if !b.direct() { // with DSR the answer goes the way that the pod's routes say
					fwd.add(served, ipSrc(single(e.ipv4())), srcPorts(f.internal, f.internal), reply(), keepAsItCame(), accept())
				}
			}
		}
	}
	for _, p := range h.sortedPorts() {
		e := p.e
		if e.net.kind.External() && len(e.mappings()) > 0 && e.ipv4().IsValid() && p.in != h.space {
			fwd.add(ctStatus(dstNAT), ipDst(single(e.ipv4())), keepAsItCame(), accept())
		}
		for _, s := range e.snats() {
			if s.to.IsValid() && !h.owns(s.to) {
				fwd.add(ipDst(single(s.to)), drop("NoMapping", "")) // no connection has undone it
			}
		}
		if !e.net.kind.External() || len(e.snats()) == 0 && len(h.balanced()) == 0 || !e.ipv4().IsValid() || p.in == h.space {
			continue
		}
		fwd.add(ctStatus(srcNAT), ipDst(single(e.ipv4())), keepAsItCame())
	}
}

// ownFragments makes the kernel copy a fragment before it collects them: what it
// translates it cuts again in place, and captures that share the bytes with it
// would show the fragment as it is then.
func ownFragments() rule {
	return on(etherType(unix.ETH_P_IP), rule{load(network3, 6, 2),
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 2, Mask: be16(0x3fff), Xor: make([]byte, 2)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: make([]byte, 2)}}, move(network3, 8, 8, 1))
}

// ttlMap is the set that maps a hop limit to the next higher one.
const ttlMap = "one-hop-more"

// oneHopMore raises the hop limit by one.
func oneHopMore() rule {
	return rule{load(network3, 8, 1), &expr.Lookup{SourceRegister: 1, DestRegister: 1, IsDestRegSet: true, SetName: ttlMap},
		&expr.Payload{OperationType: expr.PayloadWrite, SourceRegister: 1, Base: network3, Offset: 8, Len: 1,
			CsumType: expr.CsumTypeInet, CsumOffset: 10}}
}

// addTTLMap makes the map in a table.
func addTTLMap(c *nftables.Conn, t *nftables.Table) error {
	var elements []nftables.SetElement
	for i := range 255 {
		elements = append(elements, nftables.SetElement{Key: []byte{byte(i)}, Val: []byte{byte(i + 1)}})
	}
	return c.AddSet(&nftables.Set{Table: t, Name: ttlMap, IsMap: true, KeyType: nftables.TypeInetProto, DataType: nftables.TypeInetProto}, elements)
}
