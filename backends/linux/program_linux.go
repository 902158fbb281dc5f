package linux

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/wire"
)

// program writes rules, routes, neighbours and forwarding entries anew from
// the documents.
func (h *host) program() error {
	if err := h.space.forwarding(h.routes()); err != nil {
		return err
	}
	if err := h.idleTimes(); err != nil {
		return err
	}
	if err := h.entries(); err != nil {
		return err
	}
	if err := h.space.install(h.bridgeRules(), h.filterRules(), h.natRules()); err != nil {
		return err
	}
	for _, p := range h.sortedPorts() {
		if err := h.portRules(p); err != nil {
			return err
		}
	}
	return nil
}

func (h *host) sortedPorts() []*port {
	out := slices.Collect(maps.Values(h.ports))
	slices.SortFunc(out, func(a, b *port) int { return a.e.num - b.e.num })
	return out
}

// routes reports whether the host's stack forwards: for nat networks, for
// endpoints that the kernel translates on the routed path, and where an
// endpoint of a bridge is the host's own (rule L2B-11).
func (h *host) routes() bool {
	for _, n := range h.store.networks {
		if n.kind == hcn.NAT {
			return true
		}
	}
	for e, p := range h.ports {
		if len(e.snats()) > 0 || p.in == h.space || e.net.kind.External() && len(e.mappings()) > 0 {
			return true
		}
	}
	return len(h.balanced()) > 0
}

// entries brings routes, neighbours and forwarding entries to what the
// documents say: what is new is added, what is gone removed.
func (h *host) entries() error {
	want := map[string]func() (func() error, error){}
	for _, n := range h.store.networks {
		if n.kind == hcn.Overlay {
			h.tunnelEntries(n, want)
		}
	}
	for _, p := range h.sortedPorts() {
		h.routeEntries(p, want)
	}
	h.farEntries(want)
	for key, undo := range h.entered {
		if want[key] == nil {
			delete(h.entered, key)
			if err := undo(); err != nil {
				return fmt.Errorf("%s: taking %s back: %w", h.name, key, err)
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if h.entered[key] != nil {
			continue
		}
		undo, err := want[key]()
		if err != nil {
			return fmt.Errorf("%s: %s: %w", h.name, key, err)
		}
		h.entered[key] = undo
	}
	return nil
}

// routeEntries lead what the host translates back to the endpoint, and with
// HostRoute the host to its own pods (rule OV-22).
func (h *host) routeEntries(p *port, want map[string]func() (func() error, error)) {
	e := p.e
	if !e.net.kind.External() || p.in == h.space {
		return
	}
	hostRoute := len(hcn.FindPolicies(e.net.doc.Policies, hcn.PolicyHostRoute)) > 0
	if len(e.snats()) == 0 && len(e.mappings()) == 0 && len(h.balanced()) == 0 && !(hostRoute && e.net.kind == hcn.Overlay) {
		return
	}
	for _, a := range e.addrs {
		if a.Addr().Is4() {
			h.endpointRoute(a.Addr(), e.net.bridge, e.mac, want)
		}
	}
}

// endpointRoute leads the host to an address behind a bridge.
func (h *host) endpointRoute(ip netip.Addr, bridge string, mac wire.MAC, want map[string]func() (func() error, error)) {
	want[fmt.Sprintf("route to %s by %s at %s", ip, bridge, mac)] = func() (func() error, error) {
		if err := h.space.route(bridge, single(ip), netip.Addr{}); err != nil {
			return nil, err
		}
		return func() error { return h.space.unroute(bridge, ip, mac) }, h.space.neighbour(bridge, ip, mac)
	}
}

// unroute takes the route and the neighbour of an endpoint back; with its
// bridge they have gone already.
func (s *space) unroute(bridge string, ip netip.Addr, mac wire.MAC) error {
	l, err := s.nl.LinkByName(bridge)
	if err != nil {
		return nil
	}
	if err := s.nl.RouteDel(&netlink.Route{LinkIndex: l.Attrs().Index, Dst: ipNet(single(ip)), Scope: netlink.SCOPE_LINK}); err != nil {
		return err
	}
	return s.nl.NeighDel(&netlink.Neigh{LinkIndex: l.Attrs().Index, IP: ip.AsSlice(), HardwareAddr: net.HardwareAddr(mac[:])})
}

// tunnelEntries say behind which provider address the MACs of other hosts are:
// nothing is learned from traffic (rule OV-04).
func (h *host) tunnelEntries(n *network, want map[string]func() (func() error, error)) {
	enter := func(vni uint32, mac wire.MAC, pa netip.Addr) {
		dev := tunnelDev(vni)
		if vni == 0 || mac.IsZero() || !pa.IsValid() {
			return
		}
		want[fmt.Sprintf("%s behind %s on %s", mac, pa, dev)] = func() (func() error, error) {
			return func() error { return h.space.untunnel(dev, mac, pa) }, h.space.tunnel(dev, mac, pa)
		}
	}
	for _, r := range n.remoteRoutes() {
		enter(r.vni, r.mac, r.pa)
	}
	near := map[wire.MAC]bool{}
	for _, e := range h.store.nearFirst(n) {
		near[e.mac] = near[e.mac] || !e.remote
		if e.remote && e.pa != n.managed && !near[e.mac] {
			enter(n.vniOf(e), e.mac, e.pa)
		}
	}
}

// vniOf is the VNI of an endpoint's subnet, or the network's first.
func (n *network) vniOf(e *endpoint) uint32 {
	for _, a := range e.addrs {
		if s := n.subnetOf(a.Addr()); s != nil && s.vsid != 0 {
			return s.vsid
		}
	}
	if len(n.subnets) > 0 {
		return n.subnets[0].vsid
	}
	return 0
}

// tunnel enters a MAC at a VXLAN device: in the bridge's table and in the
// device's own.
func (s *space) tunnel(dev string, mac wire.MAC, pa netip.Addr) error {
	if err := s.static(dev, mac); err != nil {
		return err
	}
	return s.with(dev, "tunnel to "+pa.String(), func(l netlink.Link) error { return s.nl.NeighSet(behind(l, mac, pa)) })
}

func (s *space) untunnel(dev string, mac wire.MAC, pa netip.Addr) error {
	l, err := s.nl.LinkByName(dev)
	if err != nil {
		return nil // it went away with its entries
	}
	return s.nl.NeighDel(behind(l, mac, pa))
}

func behind(l netlink.Link, mac wire.MAC, pa netip.Addr) *netlink.Neigh {
	return &netlink.Neigh{LinkIndex: l.Attrs().Index, Family: unix.AF_BRIDGE, Flags: netlink.NTF_SELF, State: netlink.NUD_PERMANENT,
		IP: pa.AsSlice(), HardwareAddr: net.HardwareAddr(mac[:])}
}

// filterRules are what the host's own stack takes and passes on.
func (h *host) filterRules() *ruleset {
	// Behind the undoing of translations: it is sockets that are looked for.
	in := &chain{name: "input", kind: nftables.ChainTypeFilter, hook: nftables.ChainHookInput, prio: *nftables.ChainPriorityNATSource + 50}
	fwd := &chain{name: "forward", kind: nftables.ChainTypeFilter, hook: nftables.ChainHookForward, prio: *nftables.ChainPriorityFilter}
	pre := &chain{name: "prerouting", kind: nftables.ChainTypeFilter, hook: nftables.ChainHookPrerouting, prio: *nftables.ChainPriorityFilter}
	h.decapChecks(in)
	in.toSockets()
	translates := slices.ContainsFunc(h.sortedPorts(), func(p *port) bool { return len(p.e.snats()) > 0 })
	translates = translates || len(h.balanced()) > 0
	for _, n := range h.store.networks {
		for _, o := range h.store.networks {
			if o != n && !o.kind.External() && n.kind == hcn.NAT {
				fwd.add(iif(n.bridge), oif(o.bridge), drop("NotForwarding", "")) // rule NAT-04
			}
		}
	}
	for _, n := range h.store.networks {
		translates = translates || n.kind == hcn.NAT
		if n.kind == hcn.NAT {
			h.natForward(fwd, n)
			h.natErrors(pre, n)
		}
	}
	for _, p := range []uint8{wire.ProtoTCP, wire.ProtoUDP} {
		for _, n := range h.store.networks {
			if n.kind == hcn.Overlay {
				in.add(iif(n.bridge), ctState(expr.CtStateBitNEW), l4proto(p), discard()) // a pod's, to a closed port
			}
		}
		if translates {
			in.add(l4proto(p), drop("NoMapping", ""))
		} else {
			in.add(l4proto(p), discard())
		}
	}
	if translates {
		in.add(l4proto(wire.ProtoICMP), ctState(expr.CtStateBitINVALID), drop("NoMapping", ""))
	}
	in.onlyICMP()
	h.keepTTL(fwd)
	return &ruleset{nftables.TableFamilyINet, []*chain{in, fwd, pre, h.byService()}, true, nil}
}

// natForward lets a nat network out, its answers and published ports in, and
// nothing else (rules NAT-07, NAT-11, NAT-38).
func (h *host) natForward(fwd *chain, n *network) {
	fwd.add(iif(n.bridge), etherType(unix.ETH_P_IPV6), drop("NatNoIPv6", ""))
	for _, s := range n.subnets {
		if !s.prefix.Addr().Is4() {
			continue
		}
		out := on(iif(n.bridge), notOIF(n.bridge))
		fwd.add(out, l4proto(wire.ProtoTCP), ctState(expr.CtStateBitINVALID), drop("NoMapping", ""))
		for _, p := range []uint8{wire.ProtoTCP, wire.ProtoUDP, wire.ProtoICMP} {
			fwd.add(out, l4proto(p), accept())
		}
		fwd.add(out, drop("NatUnsupportedProto", ""))
	}
	fwd.add(oif(n.bridge), notIIF(n.bridge), known(), accept())
	fwd.add(oif(n.bridge), ctStatus(dstNAT), accept())
	fwd.add(oif(n.bridge), drop("NoMapping", ""))
}

// natErrors names what the routed path will discard with an ICMP error (rules
// NAT-17, NAT-52).
func (h *host) natErrors(pre *chain, n *network) {
	from := on(iif(n.bridge), etherType(unix.ETH_P_IP))
	for _, a := range h.addresses() {
		if a.Addr().Is4() {
			from = append(from, notTo(single(a.Addr()))...)
		}
	}
	pre.add(from, below(network3, 8, []byte{2}), note("TtlExceeded"))
	for _, u := range h.store.uplinks {
		long := rule{load(network3, 2, 2), &expr.Cmp{Op: expr.CmpOpGt, Register: 1, Data: be16(uint16(u.mtu))}}
		pre.add(from, bits(network3, 6, 0x40, 0x40), long, note("FragNeeded"))
	}
}

// decapChecks discard what the VXLAN device would swallow without a word (rule
// OV-12).
func (h *host) decapChecks(in *chain) {
	done := map[uint16]bool{}
	for _, n := range h.store.networks {
		if n.kind != hcn.Overlay || done[n.vxlanPort] {
			continue
		}
		done[n.vxlanPort] = true
		to := on(l4proto(wire.ProtoUDP), dstPorts(n.vxlanPort, n.vxlanPort))
		in.add(to, flagless(), drop("VxlanBadFlags", ""))
		// Other bits mean nothing (rule OV-27); the device would discard them.
		plain := []byte{0x08, 0, 0, 0}
		in.add(to, notPayload(transport, 8, plain), write(transport, 8, plain))
		in.add(to, notPayload(transport, 15, []byte{0}), write(transport, 15, []byte{0}))
		for _, o := range h.store.networks {
			if o.kind != hcn.Overlay || o.vxlanPort != n.vxlanPort {
				continue
			}
			for _, v := range o.vnis() {
				in.add(to, payload(transport, 12, []byte{byte(v >> 16), byte(v >> 8), byte(v)}), accept())
			}
		}
		in.add(to, drop("UnknownVni", ""))
	}
}
