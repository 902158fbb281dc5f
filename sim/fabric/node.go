package fabric

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/hnsim/hnsim/sim/fabric/ipstack"
	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// Node is a machine of the fabric.
type Node interface {
	Name() string
	// Stack is the machine's IP stack (of a Windows host: compartment 1).
	Stack() *ipstack.Stack
	// NIC is the machine's NIC of that name, or nil.
	NIC(name string) *NIC
}

// IfaceConfig describes a NIC with the addresses of the node's stack on it.
type IfaceConfig struct {
	Name    string // of NIC and stack interface; empty: "eth0", "eth1", ...
	Segment string // empty: "lan"
	MAC     wire.MAC
	Addrs   []netip.Prefix
	Gateway netip.Addr // invalid: an External takes the Router of its segment
	MTU     int        // of wire and stack; 0 is DefaultMTU
	VLAN    uint16     // NICConfig.VLAN
}

// NodeConfig describes a Router or an External.
type NodeConfig struct {
	Name   string
	Ifaces []IfaceConfig
	Routes []Route
	Refuse bool // closed ports answer (ipstack.Config.Refuse)
}

// DefaultSegment is where NICs without a segment are plugged in.
const DefaultSegment = "lan"

// box is what Router and External have in common: NICs and a stack on them.
type box struct {
	cfg   NodeConfig
	stack *ipstack.Stack
	nics  []*NIC
}

func (b *box) Name() string { return b.cfg.Name }

func (b *box) Stack() *ipstack.Stack { return b.stack }

func (b *box) NIC(name string) *NIC {
	for _, n := range b.nics {
		if n.Name() == name {
			return n
		}
	}
	return nil
}

// NICs are all NICs, in the order of the configuration.
func (b *box) NICs() []*NIC { return append([]*NIC(nil), b.nics...) }

// Router is a node that forwards between its interfaces. It answers router
// solicitations with the IPv6 prefixes of the interface.
//
// Not modelled: routing protocols, ICMP redirects, proxy ARP.
type Router struct{ box }

// External is a plain machine: it answers pings, serves ports and may be a
// DHCP server (Stack().ServeDHCP).
type External struct{ box }

// AddRouter makes a router.
func (w *Net) AddRouter(cfg NodeConfig) (*Router, error) {
	r := new(Router)
	if err := w.build(r, &r.box, cfg, true); err != nil {
		return nil, err
	}
	for _, i := range r.stack.Interfaces() {
		i.AdvertiseRouter(globalPrefixes(i)...)
	}
	w.defaultGateways()
	return r, nil
}

// AddExternal makes an external machine.
func (w *Net) AddExternal(cfg NodeConfig) (*External, error) {
	e := new(External)
	if err := w.build(e, &e.box, cfg, false); err != nil {
		return nil, err
	}
	w.defaultGateways()
	return e, nil
}

// addNode makes a node known by its name, which must be new.
func (w *Net) addNode(n Node) error {
	if n.Name() == "" || w.byName[n.Name()] != nil {
		return fmt.Errorf("node name %q is empty or in use", n.Name())
	}
	w.byName[n.Name()] = n
	w.nodes = append(w.nodes, n)
	return nil
}

// Node is the node of that name, or nil.
func (w *Net) Node(name string) Node { return w.byName[name] }

// Nodes are all nodes, in the order of their making.
func (w *Net) Nodes() []Node { return append([]Node(nil), w.nodes...) }

// timers are the loop's, as a stack wants them.
func (w *Net) timers() ipstack.Timers { return stackTimers{w.Loop} }

type stackTimers struct{ loop *Loop }

func (t stackTimers) After(d time.Duration, fn func(now int64)) ipstack.Timer {
	return t.loop.After(d, fn)
}

// stackObserver passes on what a stack reports, under the name of its node.
func (w *Net) stackObserver(node string) ipstack.Observer {
	o := w.cfg.Observer
	s := ipstack.Observer{
		OnDrop: func(now int64, where string, why vfp.Drop, frame []byte, id uint64) {
			w.dropAt(now, node, where, why, frame, id)
		},
	}
	if o.OnReceive != nil {
		s.OnReceive = func(now int64, iface string, frame []byte, id uint64) {
			o.OnReceive(now, node, iface, frame, id)
		}
	}
	if o.OnSend != nil {
		s.OnSend = func(now int64, iface string, frame []byte, id uint64) {
			o.OnSend(now, node, iface, frame, id)
		}
	}
	return s
}

// build makes the NICs and the stack of a node and enters it. After an error
// nothing is left behind.
func (w *Net) build(n Node, b *box, cfg NodeConfig, forwarding bool) (err error) {
	cfg.Ifaces = append([]IfaceConfig(nil), cfg.Ifaces...)
	b.cfg = cfg
	b.stack = ipstack.New(ipstack.Config{
		Name: cfg.Name, Timers: w.timers(), Seed: w.cfg.Seed, NewID: w.Loop.NextID,
		Observer: w.stackObserver(cfg.Name), Forwarding: forwarding, Refuse: cfg.Refuse,
	})
	defer func() {
		if err == nil {
			return
		}
		err = fmt.Errorf("node %s: %w", cfg.Name, err)
		for _, nic := range b.nics {
			w.RemoveNIC(nic)
		}
	}()
	for i := range cfg.Ifaces {
		if err := w.addIface(b, i); err != nil {
			return err
		}
	}
	for _, r := range cfg.Routes {
		if err := b.stack.AddRoute(ipstack.Route{Dst: r.Dst, Via: r.Via}); err != nil {
			return err
		}
	}
	return w.addNode(n)
}

func (w *Net) addIface(b *box, number int) error {
	c := &b.cfg.Ifaces[number]
	if c.Name == "" {
		c.Name = fmt.Sprintf("eth%d", number)
	}
	if c.Segment == "" {
		c.Segment = DefaultSegment
	}
	if c.MTU <= 0 {
		c.MTU = DefaultMTU
	}
	var ifc *ipstack.Interface
	nic, err := w.AddNIC(c.Segment, NICConfig{
		Node: b.cfg.Name, Name: c.Name, MAC: c.MAC, MTU: c.MTU, VLAN: c.VLAN,
		Receive: func(now int64, frame []byte, id uint64) { ifc.Receive(now, frame, id) },
	})
	if err != nil {
		return err
	}
	b.nics = append(b.nics, nic)
	ifc, err = b.stack.AddInterface(ipstack.InterfaceConfig{
		Name: c.Name, MAC: nic.MAC(), MTU: c.MTU, Addrs: c.Addrs, Transmit: nic.Send,
	})
	if err != nil {
		return err
	}
	if !c.Gateway.IsValid() {
		return nil
	}
	return b.stack.AddRoute(ipstack.Route{Dst: anyOf(c.Gateway), Via: c.Gateway, Iface: c.Name})
}

// gatewayFor is the address of a router on the interface's segment and VLAN
// that lies in the prefix: of several the one that was made first, and its
// first address.
func (w *Net) gatewayFor(c *IfaceConfig, prefix netip.Prefix) (netip.Addr, bool) {
	for _, n := range w.nodes {
		r, ok := n.(*Router)
		if !ok {
			continue
		}
		for i, nic := range r.nics {
			if nic.seg.name != c.Segment || nic.VLAN() != c.VLAN {
				continue
			}
			for _, a := range r.stack.Interface(r.cfg.Ifaces[i].Name).Addrs() {
				if prefix.Contains(a.Addr()) {
					return a.Addr(), true
				}
			}
		}
	}
	return netip.Addr{}, false
}

// defaultGateways gives externals without gateway the router of their segment,
// whichever of the two was made first.
func (w *Net) defaultGateways() {
	for _, n := range w.nodes {
		e, ok := n.(*External)
		if !ok {
			continue
		}
		for i := range e.cfg.Ifaces {
			c := &e.cfg.Ifaces[i]
			for _, p := range c.Addrs {
				if gw, ok := w.gatewayFor(c, p); ok && !hasRoute(e.stack, anyOf(p.Addr())) {
					// The gateway is on the link, so only a full table could refuse.
					_ = e.stack.AddRoute(ipstack.Route{Dst: anyOf(gw), Via: gw, Iface: c.Name})
				}
			}
		}
	}
}

// anyOf is the default prefix of an address's family.
func anyOf(a netip.Addr) netip.Prefix {
	if a.Is4() {
		return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	}
	return netip.PrefixFrom(netip.IPv6Unspecified(), 0)
}

func hasRoute(s *ipstack.Stack, dst netip.Prefix) bool {
	for _, r := range s.Routes() {
		if r.Dst == dst {
			return true
		}
	}
	return false
}

func globalPrefixes(i *ipstack.Interface) []netip.Prefix {
	var out []netip.Prefix
	for _, p := range i.Addrs() {
		if p.Addr().Is6() && !p.Addr().IsLinkLocalUnicast() && p.Bits() == 64 {
			out = append(out, p.Masked())
		}
	}
	return out
}
