package linux

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/wire"
)

// host is a Windows container host in kernel objects: a namespace with a
// bridge for every switch, and the ports of its endpoints.
type host struct {
	w            *world
	name         string
	space        *space
	store        *store
	watch        *capture
	networks     map[*network]bool
	ports        map[*endpoint]*port
	compartments map[*namespace]*space
	watches      map[*namespace]*capture
	vxlans       map[string]uint32 // device to VNI
	serving      []*balancer
	timers       string                  // whose idle times the connection table has
	entered      map[string]func() error // routes, neighbours and forwarding entries, by what they say
}

// port is the switch port of an endpoint: a namespace with a bridge between
// the container and the host, in which rules see every packet of the endpoint.
type port struct {
	e      *endpoint
	dev    string // in the host's namespace
	inside *space // between
	in     *space // the compartment
	nic    string // there
	drops  *dropLog
	acls   string // that its rules carry out
}

func (w *world) newHost(nd *node) (*host, error) {
	name := nd.spec.Name
	h := &host{w: w, name: name, space: nd.space, store: newStore(w.profile, w.cfg.Seed^nameHash(name)),
		networks: map[*network]bool{}, ports: map[*endpoint]*port{}, compartments: map[*namespace]*space{}, watches: map[*namespace]*capture{},
		vxlans: map[string]uint32{}, entered: map[string]func() error{}}
	h.store.busy = h.busy
	var err error
	if h.watch, err = w.loop.capture(nd.space); err != nil {
		return nil, err
	}
	if _, err = w.loop.dropped(nd.space, name, func(id string) string { return w.owner(h, id) }); err != nil {
		return nil, err
	}
	for i, c := range nd.nics {
		u := &uplink{name: c.name, nic: c.dev, bridge: fmt.Sprintf("switch%d", i), mac: c.mac, addrs: c.addrs, mtu: c.mtu}
		h.store.uplinks = append(h.store.uplinks, u)
		if err := h.space.bridge(u.bridge, u.mac, u.mtu, false); err != nil {
			return nil, err
		}
		if err := h.space.enslave(u.nic, u.bridge, false); err != nil {
			return nil, err
		}
		if err := h.space.echoes(u.nic); err != nil {
			return nil, err
		}
		c.stack = u.bridge
		if err := h.watch.at(h.space, c.dev, &point{node: name}); err != nil {
			return nil, err
		}
		if err := h.watch.at(h.space, u.bridge, &point{role: h.role, skip: h.routedFor}); err != nil {
			return nil, err
		}
	}
	if err := h.space.sysctl("net/ipv4/conf/all/route_localnet", "1"); err != nil { // rule NAT-36
		return nil, err
	}
	return h, h.program()
}

func nameHash(s string) uint64 {
	h := uint64(14695981039346656037)
	for _, b := range []byte(s) {
		h = (h ^ uint64(b)) * 1099511628211
	}
	return h
}

func (h *host) role() string { return h.name }

// routedFor reports whether a frame in the host's stack is there only because
// the kernel translates addresses on its routed path, where VFP would do it in
// the switch.
func (h *host) routedFor(frame []byte, sent bool) bool {
	var m wire.Meta
	if sent || wire.Parse(frame, &m) != wire.OK || !m.IsIPv4 || h.owns(m.Dst(frame)) {
		return false
	}
	src := wire.MAC(frame[6:12])
	for e := range h.ports {
		if e.mac == src && e.net.kind.External() {
			return e.translates(&m, m.Dst(frame))
		}
	}
	return false
}

// owns reports whether an address is the host's.
func (h *host) owns(a netip.Addr) bool {
	for _, p := range h.addresses() {
		if p.Addr() == a {
			return true
		}
	}
	return false
}

// addresses are those of the host's stack.
func (h *host) addresses() []netip.Prefix {
	var out []netip.Prefix
	for _, u := range h.store.uplinks {
		out = append(out, u.addrs...)
	}
	for _, n := range h.store.networks {
		if n.kind != hcn.NAT && n.kind != hcn.Internal {
			continue
		}
		for _, s := range n.subnets {
			if s.gateway.IsValid() {
				out = append(out, netip.PrefixFrom(s.gateway, s.prefix.Bits()))
			}
		}
	}
	return out
}

// apply brings the kernel to what the documents say.
func (h *host) apply() error {
	for _, p := range h.sortedPorts() {
		if !slices.Contains(h.store.endpoints, p.e) || p.e.ns == nil || !h.starts(p.e.ns) {
			if err := h.unplug(p); err != nil {
				return err
			}
		}
	}
	for n := range h.compartments {
		if !h.starts(n) {
			h.endCompartment(n)
		}
	}
	for n := range h.networks {
		if !slices.Contains(h.store.networks, n) {
			if err := h.dismantle(n); err != nil {
				return err
			}
		}
	}
	if err := h.endBalancing(); err != nil {
		return err
	}
	for _, n := range h.store.networks {
		if !h.networks[n] {
			if err := h.build(n); err != nil {
				return err
			}
		}
	}
	for _, n := range h.store.networks {
		if n.kind == hcn.Overlay {
			if err := h.tunnels(n); err != nil {
				return err
			}
		}
	}
	for _, e := range h.store.endpoints {
		if h.ports[e] == nil && e.ns != nil && !e.remote && h.starts(e.ns) {
			if err := h.plug(e); err != nil {
				return err
			}
		}
	}
	return h.program()
}

// starts reports whether a namespace has a compartment: the host's always has,
// others from their first container on (CMP-07).
func (h *host) starts(n *namespace) bool {
	return n.kind == hcn.HostDefaultNamespace || len(n.containers) > 0
}

// build makes the bridge of a network that does not share its uplink's.
func (h *host) build(n *network) error {
	h.networks[n] = true
	if n.uplink != nil && n.bridge == n.uplink.bridge {
		return nil
	}
	mac := n.hostMAC
	if n.kind == hcn.Overlay {
		mac = n.drMAC
	}
	if err := h.space.bridge(n.bridge, mac, defaultMTU, false); err != nil {
		return err
	}
	if n.kind == hcn.Overlay {
		return h.reachable(n)
	}
	if n.kind != hcn.NAT && n.kind != hcn.Internal {
		return nil
	}
	for _, s := range n.subnets {
		if s.gateway.IsValid() {
			if err := h.space.address(n.bridge, netip.PrefixFrom(s.gateway, s.prefix.Bits())); err != nil {
				return err
			}
		}
	}
	return h.watch.at(h.space, n.bridge, &point{role: h.role})
}

// reachable lets the bridge of an overlay network take frames for the host's
// adapter, which is where routes of the network lead (rule OV-23).
func (h *host) reachable(n *network) error {
	err := h.space.with(n.bridge, "address of the adapter", func(l netlink.Link) error {
		return h.space.nl.NeighSet(&netlink.Neigh{LinkIndex: l.Attrs().Index, Family: unix.AF_BRIDGE,
			Flags: netlink.NTF_SELF, State: netlink.NUD_PERMANENT, HardwareAddr: n.hostMAC[:]})
	})
	if err != nil {
		return err
	}
	notForHost := func(frame []byte, sent bool) bool {
		var m wire.Meta
		return sent || wire.Parse(frame, &m) != wire.OK || wire.Ethernet(frame).Dst() != n.hostMAC || !h.owns(m.Dst(frame))
	}
	return h.watch.at(h.space, n.bridge, &point{role: h.role, skip: notForHost})
}

// tunnels makes the VXLAN device of every VNI that the network speaks.
func (h *host) tunnels(n *network) error {
	for _, vni := range n.vnis() {
		dev := tunnelDev(vni)
		if _, ok := h.vxlans[dev]; ok {
			continue
		}
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.MTU = dev, n.uplink.mtu-vxlanOverhead
		v := &netlink.Vxlan{LinkAttrs: attrs, VxlanId: int(vni), SrcAddr: n.managed.AsSlice(), TTL: wire.DefaultTTL,
			Port: int(n.vxlanPort), PortLow: firstDynamicPort, PortHigh: 65535}
		if err := h.space.nl.LinkAdd(v); err != nil {
			return fmt.Errorf("vxlan %d of %s: %w", vni, h.name, err)
		}
		h.vxlans[dev] = vni
		if err := h.space.noOffloads(dev); err != nil {
			return err
		}
		if err := h.space.enslave(dev, n.bridge, true); err != nil {
			return err
		}
		if err := h.space.up(dev); err != nil {
			return err
		}
	}
	return nil
}

// vxlanOverhead over IPv4 (contract section 0.6).
const vxlanOverhead = 50

// vnis are those of the network's subnets.
func (n *network) vnis() []uint32 {
	var out []uint32
	for _, s := range n.subnets {
		if s.vsid != 0 && !slices.Contains(out, s.vsid) {
			out = append(out, s.vsid)
		}
	}
	return out
}

func (h *host) dismantle(n *network) error {
	delete(h.networks, n)
	if n.uplink != nil && n.bridge == n.uplink.bridge {
		return nil
	}
	if n.kind == hcn.Overlay {
		for _, vni := range n.vnis() {
			dev := tunnelDev(vni)
			if _, ok := h.vxlans[dev]; ok {
				delete(h.vxlans, dev)
				if err := h.space.remove(dev); err != nil {
					return err
				}
			}
		}
	}
	return h.space.remove(n.bridge)
}

// compartment is the namespace of an HNS namespace, made when it is first
// needed.
func (h *host) compartment(n *namespace) (*space, *capture, error) {
	if n.kind == hcn.HostDefaultNamespace {
		return h.space, h.watch, nil
	}
	if s := h.compartments[n]; s != nil {
		return s, h.watches[n], nil
	}
	s, err := h.w.newSpace(fmt.Sprintf("a compartment of %s", h.name))
	if err != nil {
		return nil, nil, err
	}
	watch, err := h.w.loop.capture(s)
	if err != nil {
		return nil, nil, err
	}
	h.compartments[n], h.watches[n] = s, watch
	return s, watch, s.install(silence())
}

// endCompartment takes a compartment down with its last container (rule CMP-08):
// what starts in the namespace next finds a new one.
func (h *host) endCompartment(n *namespace) {
	h.w.loop.forget(h.watches[n])
	h.watches[n].close()
	h.w.closeSpace(h.compartments[n])
	delete(h.compartments, n)
	delete(h.watches, n)
}

// plug makes the switch port of an endpoint and its interface.
func (h *host) plug(e *endpoint) error {
	in, watch, err := h.compartment(e.ns)
	if err != nil {
		return err
	}
	p := &port{e: e, dev: fmt.Sprintf("port%d", e.num), in: in, nic: "eth0"}
	for i := 1; ; i++ {
		if _, err := in.nl.LinkByName(p.nic); err != nil {
			break
		}
		p.nic = fmt.Sprintf("eth%d", i)
	}
	if in == h.space {
		p.nic = fmt.Sprintf("vnic%d", e.num)
	}
	if p.inside, err = h.w.newSpace("the port of " + e.doc.ID); err != nil {
		return err
	}
	h.ports[e] = p
	if p.drops, err = h.w.loop.dropped(p.inside, h.name, func(id string) string { return h.w.owner(h, id) }); err != nil {
		return err
	}
	if err := h.wires(p); err != nil {
		return err
	}
	ns := e.ns
	role := func() string { return h.w.occupant(h, ns) }
	if in == h.space {
		role = h.role
	}
	if err := watch.at(in, p.nic, &point{role: role}); err != nil {
		return err
	}
	if err := h.autoconfigure(p); err != nil {
		return err
	}
	return h.configure(p)
}

// wires joins container, port and host.
func (h *host) wires(p *port) error {
	if err := p.inside.conntrack(&h.w.time, vfpIdle(h.store.profile.Knobs.VFPNATIdle)); err != nil {
		return err
	}
	if err := p.inside.bridge("port", wire.MAC{}, maxSegmentMTU, true); err != nil {
		return err
	}
	for _, f := range []string{"iptables", "ip6tables"} {
		if err := p.inside.sysctl("net/bridge/bridge-nf-call-"+f, "1"); err != nil {
			return err
		}
	}
	if err := wirePair(end{h.space, p.dev, wire.MAC{}}, end{in: p.inside, name: "down"}, maxSegmentMTU); err != nil {
		return err
	}
	if err := wirePair(end{p.in, p.nic, p.e.mac}, end{in: p.inside, name: "up"}, maxSegmentMTU); err != nil {
		return err
	}
	for _, dev := range []string{"up", "down"} {
		if err := p.inside.enslave(dev, "port", false); err != nil {
			return err
		}
		// Two ports need no table; a pod may get frames from its own address.
		if err := p.inside.with(dev, "learning", func(l netlink.Link) error { return p.inside.nl.LinkSetLearning(l, false) }); err != nil {
			return err
		}
	}
	if err := h.space.enslave(p.dev, p.e.net.bridge, true); err != nil {
		return err
	}
	if err := h.space.echoes(p.dev); err != nil {
		return err
	}
	return h.space.static(p.dev, p.e.mac)
}

// mtuOf is what the endpoint may send (rule VS-42).
func (h *host) mtuOf(e *endpoint) int {
	mtu := defaultMTU
	for _, p := range e.doc.Policies {
		switch p.Type {
		case hcn.PolicyInterfaceParameters:
			if s, err := hcn.DecodeSettings[hcn.InterfaceParametersSettings](p); err == nil && s.MTU > 0 {
				return int(s.MTU)
			}
		case hcn.PolicyEncapOverhead:
			if s, err := hcn.DecodeSettings[hcn.EncapOverheadSettings](p); err == nil && e.net.uplink != nil {
				mtu = e.net.uplink.mtu - int(s.Overhead)
			}
		}
	}
	return mtu
}

// configure gives the interface its addresses and routes. The limit of what may
// be sent is the routes': the interface takes whatever the switch delivers.
func (h *host) configure(p *port) error {
	mtu := h.mtuOf(p.e)
	for _, a := range p.e.addrs {
		if err := p.in.address(p.nic, a); err != nil {
			return err
		}
		if err := p.in.limit(p.nic, a.Masked(), netip.Addr{}, mtu); err != nil {
			return err
		}
		if gw := p.e.gateway[version(a.Addr())]; gw.IsValid() && p.in != h.space {
			if err := p.in.limit(p.nic, everything(gw), gw, mtu); err != nil {
				return err
			}
		}
	}
	return nil
}

// unplug takes a port and its interface away.
func (h *host) unplug(p *port) error {
	delete(h.ports, p.e)
	h.w.loop.forget(p.drops)
	p.drops.close()
	err := errors.Join(h.space.remove(p.dev), p.in.remove(p.nic))
	h.w.closeSpace(p.inside)
	return err
}

// busy reports whether a socket of the host holds a port.
func (h *host) busy(proto uint8, port uint16) bool {
	kind := unix.SOCK_STREAM
	if proto == wire.ProtoUDP {
		kind = unix.SOCK_DGRAM
	}
	taken := false
	err := h.space.do(func() error {
		fd, err := unix.Socket(unix.AF_INET, kind|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		taken = errors.Is(unix.Bind(fd, &unix.SockaddrInet4{Port: int(port)}), unix.EADDRINUSE)
		return nil
	})
	return err == nil && taken
}
