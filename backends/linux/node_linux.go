package linux

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/wire"
)

// defaultMTU of a node's interface.
const defaultMTU = 1500

// AddNode declares a host, router or external host.
func (w *world) AddNode(_ context.Context, n backends.Node) error {
	switch {
	case w.nodes[n.Name] != nil || w.containers[n.Name] != nil:
		return usage("role %q exists already", n.Name)
	case len(n.Ifaces) == 0:
		return usage("%s %q needs an interface", n.Kind, n.Name)
	case len(n.Outer) > 0:
		return unsupported("hosts on an outer switch have no counterpart on the Linux backend")
	case n.Kind != backends.HostNode && n.Kind != backends.RouterNode && n.Kind != backends.ExternalNode:
		return usage("unknown kind of node %q", n.Kind)
	}
	for _, i := range n.Ifaces {
		if i.VLAN != 0 {
			return unsupported("VLANs have no counterpart on the Linux backend")
		}
	}
	for k := range n.Options {
		if n.Kind != backends.ExternalNode || k != "refuse" && k != "icmp" {
			return unsupported("option %s of node %s has no counterpart on the Linux backend", k, n.Name)
		}
	}
	s, err := w.newSpace(n.Name)
	if err != nil {
		return err
	}
	nd := &node{spec: n, space: s}
	for i := range n.Ifaces {
		if err := w.plugIn(nd, i); err != nil {
			return err
		}
	}
	if n.Kind == backends.HostNode {
		nd.host, err = w.newHost(nd)
	} else {
		err = w.plainNode(nd)
	}
	if err == nil {
		err = w.addresses(nd)
	}
	if err == nil && n.Kind == backends.RouterNode {
		err = w.advertise(nd)
	}
	if err != nil {
		return err
	}
	w.nodes[n.Name] = nd
	w.order = append(w.order, n.Name)
	return w.gateways()
}

// segment is the bridge of a segment; segments come into being by being named.
func (w *world) segment(name string) (string, error) {
	name = segmentName(name)
	if b := w.segments[name]; b != "" {
		return b, nil
	}
	b := fmt.Sprintf("seg%d", len(w.segments))
	w.segments[name] = b
	if err := w.fabric.bridge(b, wire.MAC{}, maxSegmentMTU, true); err != nil {
		return b, err
	}
	if device := w.wires[name]; device != "" {
		return b, w.tap(b, device)
	}
	return b, nil
}

func segmentName(name string) string {
	if name == "" {
		return "lan"
	}
	return name
}

// maxSegmentMTU lets every frame cross a segment: nodes have the limits.
const maxSegmentMTU = 9000

// plugIn makes an interface and joins it to its segment.
func (w *world) plugIn(nd *node, number int) error {
	i := nd.spec.Ifaces[number]
	b, err := w.segment(i.Segment)
	if err != nil {
		return err
	}
	c := &nic{name: i.Name, dev: fmt.Sprintf("nic%d", number), plug: fmt.Sprintf("plug%d", w.plugs), mac: i.MAC, addrs: i.Addrs, mtu: i.MTU, segment: b}
	w.plugs++
	c.stack = c.dev
	if c.name == "" {
		c.name = "Ethernet"
	}
	if c.mtu == 0 {
		c.mtu = defaultMTU
	}
	if c.mac.IsZero() {
		sum := sha256.Sum256(fmt.Appendf(nil, "%s/%d", nd.spec.Name, number))
		c.mac = wire.MAC{0x02, sum[0], sum[1], sum[2], sum[3], sum[4]}
	}
	if err := wirePair(end{nd.space, c.dev, c.mac}, end{in: w.fabric, name: c.plug}, c.mtu); err != nil {
		return err
	}
	if err := w.fabric.enslave(c.plug, b, false); err != nil {
		return err
	}
	nd.nics = append(nd.nics, c)
	return nil
}

// plainNode is a router or an external machine: its interfaces are both wire
// and NIC.
func (w *world) plainNode(nd *node) error {
	watch, err := w.loop.capture(nd.space)
	if err != nil {
		return err
	}
	name := nd.spec.Name
	for _, c := range nd.nics {
		if err := watch.at(nd.space, c.dev, &point{node: name, role: func() string { return name }}); err != nil {
			return err
		}
	}
	if nd.spec.Kind == backends.RouterNode {
		if _, err := w.loop.dropped(nd.space, name, func(string) string { return "" }); err != nil {
			return err
		}
		return errors.Join(nd.space.forwarding(true), nd.space.install(lostRoutes()))
	}
	if nd.spec.Options["icmp"] == "off" {
		if err := nd.space.sysctl("net/ipv4/icmp_echo_ignore_all", "1"); err != nil {
			return err
		}
	}
	if nd.spec.Options["refuse"] == "on" {
		return nil
	}
	return nd.space.install(silence())
}

// lostRoutes names what a router has no route for; the kernel discards it with
// an ICMP error. Closed ports are silent as everywhere.
func lostRoutes() *ruleset {
	rs := silence()
	pre := &chain{name: "prerouting", kind: nftables.ChainTypeFilter, hook: nftables.ChainHookPrerouting, prio: *nftables.ChainPriorityFilter}
	pre.add(notGroupPacket(), rule{&expr.Fib{Register: 1, FlagDADDR: true, ResultOIF: true, FlagPRESENT: true}, equal([]byte{0})}, note("NoRoute"))
	rs.chains = append(rs.chains, pre)
	return rs
}

// notGroupPacket matches what was sent to this machine's own MAC address.
func notGroupPacket() rule { return meta(expr.MetaKeyPKTTYPE, []byte{unix.PACKET_HOST}) }

// forwarding switches routing on or off.
func (s *space) forwarding(on bool) error {
	v := "0"
	if on {
		v = "1"
	}
	for _, path := range []string{"net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"} {
		if err := s.sysctl(path, v); err != nil {
			return err
		}
	}
	return nil
}

// silence is what closed ports do on Windows with its firewall on: nothing.
// What no socket owns is discarded before the stack can refuse it.
func silence() *ruleset {
	in := &chain{name: "input", kind: nftables.ChainTypeFilter, hook: nftables.ChainHookInput, prio: *nftables.ChainPriorityFilter}
	in.toSockets()
	for _, p := range []uint8{wire.ProtoTCP, wire.ProtoUDP} {
		in.add(l4proto(p), discard())
	}
	in.onlyICMP()
	return &ruleset{nftables.TableFamilyINet, []*chain{in}, false, nil}
}

// onlyICMP discards the protocols that nobody here speaks: the stack would
// refuse them.
func (c *chain) onlyICMP() {
	for _, p := range []uint8{wire.ProtoICMP, wire.ProtoICMPv6, unix.IPPROTO_IGMP} {
		c.add(l4proto(p), accept())
	}
	c.add(discard())
}

// toSockets accepts what a socket of the namespace owns.
func (c *chain) toSockets() {
	for _, p := range []uint8{wire.ProtoTCP, wire.ProtoUDP} {
		c.add(l4proto(p), rule{&expr.Socket{Key: expr.SocketKeyTransparent, Register: 1}}, accept())
	}
}

// addresses gives the node's stack its addresses and routes.
func (w *world) addresses(nd *node) error {
	for _, c := range nd.nics {
		for _, a := range c.addrs {
			if err := nd.space.address(c.stack, a); err != nil {
				return err
			}
		}
	}
	for i, c := range nd.nics {
		if gw := nd.spec.Ifaces[i].Gateway; gw.IsValid() {
			c.hasGW = true
			if err := nd.space.route(c.stack, everything(gw), gw); err != nil {
				return err
			}
		}
	}
	for _, r := range nd.spec.Routes {
		dev := nd.nics[0].stack
		for _, c := range nd.nics {
			for _, a := range c.addrs {
				if a.Contains(r.Via) {
					dev = c.stack
				}
			}
		}
		if err := nd.space.route(dev, r.Dst, r.Via); err != nil {
			return err
		}
	}
	return nil
}

// everything is the default prefix of an address's family.
func everything(a netip.Addr) netip.Prefix {
	if a.Is4() {
		return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	}
	return netip.PrefixFrom(netip.IPv6Unspecified(), 0)
}

// gateways gives every node that has none the first router of its segment,
// whichever of the two was made first.
func (w *world) gateways() error {
	for _, name := range w.order {
		nd := w.nodes[name]
		if nd.spec.Kind == backends.RouterNode {
			continue
		}
		for _, c := range nd.nics {
			if c.hasGW {
				continue
			}
			for _, a := range c.addrs {
				gw := w.routerFor(c, a)
				if !gw.IsValid() {
					continue
				}
				c.hasGW = true
				if err := nd.space.route(c.stack, everything(gw), gw); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// routerFor is a router's address inside a prefix of an interface's segment.
func (w *world) routerFor(c *nic, p netip.Prefix) netip.Addr {
	for _, nd := range w.routers() {
		for _, r := range nd.nics {
			if r.segment != c.segment {
				continue
			}
			for _, a := range r.addrs {
				if p.Contains(a.Addr()) && p.Addr() != a.Addr() {
					return a.Addr()
				}
			}
		}
	}
	return netip.Addr{}
}
