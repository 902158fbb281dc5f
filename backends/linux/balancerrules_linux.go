package linux

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/wire"
)

// Load balancers are dnat maps in the host: a hash of what the distribution
// type names chooses the backend of a new connection, the connection table
// keeps it. What endpoints send to an address of a load balancer, and what
// backends answer, is led into the host's stack by rules of the bridge.

// balanced are the host's load balancers that have backends (rule LB-09).
func (h *host) balanced() []*balancer {
	return without(h.store.balancers, func(b *balancer) bool { return len(b.backends) == 0 || b.net == nil })
}

// speaks reports whether an endpoint only lends its address to load balancers
// (rule OV-24): what comes for it is the host's.
func (h *host) speaks(e *endpoint) bool {
	for _, b := range h.balanced() {
		if !b.direct() && b.source() == e.ipv4() {
			return true
		}
	}
	return false
}

// to matches packets to a front.
func (f *front) to() rule {
	return on(ipDst(single(f.vip)), l4proto(f.proto), dstPorts(f.external, f.external))
}

// balance writes the rules of the host's translation.
func (h *host) balance(pre, out, post *chain) []dnatMap {
	var maps []dnatMap
	for _, b := range h.balanced() {
		for i, f := range b.fronts(h.publicAddresses()) {
			choose := func(list []*endpoint, name string) rule {
				if len(list) == 1 {
					return natTo(expr.NATTypeDestNAT, list[0].ipv4(), f.internal, f.internal)
				}
				m := dnatMap{name: fmt.Sprintf("lb%d-%d%s", b.num, i, name)}
				for _, e := range list {
					m.to = append(m.to, e.ipv4())
				}
				maps = append(maps, m)
				return f.spreadOver(m)
			}
			choice := choose(b.backends, "")
			pre.add(marked(diverted), f.to(), choice)
			// With DSR strangers are served by pods of this host only: nobody
			// undoes the translation of another host's answer (rule LB-12).
			serving := b.backends
			if b.direct() {
				serving = without(serving, func(e *endpoint) bool { return e.remote })
			}
			if !f.internalOnly && len(serving) > 0 {
				pre.add(f.to(), choose(serving, "-in"))
			}
			if h.store.profile.Knobs.HostToClusterIP && !f.internalOnly {
				out.add(f.to(), choice)
				for _, n := range h.store.networks {
					if n.kind == hcn.NAT { // WinNAT makes its connections the host's own
						pre.add(iif(n.bridge), f.to(), choice)
					}
				}
			}
			if !b.direct() && b.source().IsValid() {
				for _, e := range b.backends {
					other := notPayload(network3, 12, b.source().AsSlice())
					for _, a := range h.publicAddresses() {
						other = append(other, notPayload(network3, 12, a.AsSlice())...) // the host's own connections keep theirs
					}
					post.add(ctStatus(dstNAT), askedFor(f.vip), other, ipDst(single(e.ipv4())), l4proto(f.proto), dstPorts(f.internal, f.internal),
						natTo(expr.NATTypeSourceNAT, b.source(), firstDynamicPort, lastPort))
				}
			}
		}
	}
	h.loopback(post)
	return maps
}

// endBalancing forgets the connections of load balancers that are gone (rule
// LB-06): the kernel would serve them for ever.
func (h *host) endBalancing() error {
	for _, b := range h.serving {
		if slices.Contains(h.store.balancers, b) {
			continue
		}
		for _, f := range b.fronts(h.publicAddresses()) {
			filter := &netlink.ConntrackFilter{}
			err := errors.Join(filter.AddIP(netlink.ConntrackOrigDstIP, f.vip.AsSlice()), filter.AddProtocol(f.proto), filter.AddPort(netlink.ConntrackOrigDstPort, f.external))
			if err == nil {
				_, err = h.space.nl.ConntrackDeleteFilters(netlink.ConntrackTable, unix.AF_INET, filter)
			}
			if err != nil {
				return fmt.Errorf("connections of load balancer %s: %w", b.doc.ID, err)
			}
		}
	}
	h.serving = slices.Clone(h.store.balancers)
	return nil
}

// loopback lets a pod be its own backend (rule L2B-28).
func (h *host) loopback(post *chain) {
	for _, p := range h.sortedPorts() {
		own := single(p.e.ipv4())
		for _, s := range p.e.snats() {
			for _, d := range s.destinations {
				if p.e.ipv4().IsValid() && d == own && s.to.IsValid() {
					for _, proto := range []uint8{wire.ProtoTCP, wire.ProtoUDP} {
						post.add(ctStatus(dstNAT), ipSrc(own), ipDst(own), l4proto(proto), natTo(expr.NATTypeSourceNAT, s.to, firstDynamicPort, lastPort))
					}
				}
			}
		}
	}
}

// dnatMap maps a number to the address of a backend.
type dnatMap struct {
	name string
	to   []netip.Addr
}

func (m dnatMap) addTo(c *nftables.Conn, t *nftables.Table) error {
	var elements []nftables.SetElement
	for i, a := range m.to {
		elements = append(elements, nftables.SetElement{Key: binaryutil.NativeEndian.PutUint32(uint32(i)), Val: a.AsSlice()})
	}
	return c.AddSet(&nftables.Set{Table: t, Name: m.name, IsMap: true, KeyType: nftables.TypeMark, DataType: nftables.TypeIPAddr}, elements)
}

// spreadOver chooses a backend by a hash (rule LB-05).
func (f *front) spreadOver(m dnatMap) rule {
	const first = 8 // the first of the 32 bit registers
	r := rule{&expr.Payload{DestRegister: first, Base: network3, Offset: 12, Len: 4}}
	n := uint32(4)
	switch f.spread {
	case hcn.PerConnection:
		r = append(r, &expr.Payload{DestRegister: first + 1, Base: network3, Offset: 16, Len: 4}, &expr.Payload{DestRegister: first + 2, Base: transport, Offset: 0, Len: 4})
		n = 12
	case hcn.PerSourceIPProtocol:
		r = append(r, &expr.Meta{Key: expr.MetaKeyL4PROTO, Register: first + 1})
		n = 8
	}
	return append(r, &expr.Hash{SourceRegister: first, DestRegister: 1, Length: n, Modulus: uint32(len(m.to)), Seed: 1, Type: expr.HashTypeJenkins},
		&expr.Lookup{SourceRegister: 1, DestRegister: 1, IsDestRegSet: true, SetName: m.name},
		&expr.Immediate{Register: 2, Data: be16(f.internal)},
		&expr.NAT{Type: expr.NATTypeDestNAT, Family: uint32(nftables.TableFamilyIPv4), RegAddrMin: 1, RegProtoMin: 2, RegProtoMax: 2, Specified: true})
}

// askedFor matches connections by the destination that their first packet had.
func askedFor(vip netip.Addr) rule {
	return rule{&expr.Ct{Key: expr.CtKeyDST, Register: 1, Direction: 0}, equal(vip.AsSlice())}
}

// leadToBalancer leads what an endpoint sends to a front of its network, or as
// a backend answers, into the host's stack.
func (h *host) leadToBalancer(from rule, n *network, mac wire.MAC, pre *chain) {
	lead := on(setBits(diverted), toHost(mac), accept())
	for _, b := range h.balanced() {
		if b.net != n {
			continue
		}
		for _, f := range b.fronts(h.publicAddresses()) {
			if !h.owns(f.vip) {
				pre.add(from, notGroup(), f.to(), lead)
			}
		}
		h.leadAnswers(from, b, lead, pre)
	}
}

// errorAbout matches ICMP errors that quote a packet to a port. The quoted
// header is as the stacks here write it: without options.
func errorAbout(src, dst netip.Addr, proto uint8, port uint16) rule {
	const quoted = 8 // behind the ICMP header
	return on(l4proto(unix.IPPROTO_ICMP), payload(transport, quoted+9, []byte{proto}),
		payload(transport, quoted+12, src.AsSlice()), payload(transport, quoted+16, dst.AsSlice()),
		payload(transport, quoted+20+2, be16(port)))
}

// leadAnswers leads answers of backends to where the translation is undone,
// and so errors about what was translated.
func (h *host) leadAnswers(from rule, b *balancer, lead rule, pre *chain) {
	if src := b.source(); !b.direct() && !h.owns(src) && src.IsValid() {
		pre.add(from, notGroup(), ipDst(single(src)), lead)
	}
	if !b.direct() {
		return
	}
	for _, f := range b.fronts(h.publicAddresses()) {
		for _, e := range b.backends {
			for _, c := range h.store.of(b.net) {
				if c.remote || !c.ipv4().IsValid() || c == e {
					continue
				}
				pre.add(from, notGroup(), ipSrc(single(e.ipv4())), ipDst(single(c.ipv4())), l4proto(f.proto), srcPorts(f.internal, f.internal), lead)
				pre.add(from, notGroup(), ipDst(single(c.ipv4())), errorAbout(c.ipv4(), e.ipv4(), f.proto, f.internal), lead)
			}
		}
	}
}

// farEntries lead the host to backends on other hosts of an overlay.
func (h *host) farEntries(want map[string]func() (func() error, error)) {
	for _, b := range h.balanced() {
		if b.net.kind != hcn.Overlay {
			continue
		}
		for _, e := range b.backends {
			mac := e.mac
			for _, r := range b.net.remoteRoutes() {
				if e.remote && r.dst.Contains(e.ipv4()) {
					mac = r.mac
					break
				}
			}
			if e.remote && !mac.IsZero() && (b.net.subnetOf(e.ipv4()) != nil || mac != e.mac) {
				h.endpointRoute(e.ipv4(), b.net.bridge, mac, want)
			}
		}
	}
}
