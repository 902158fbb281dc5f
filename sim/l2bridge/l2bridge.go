package l2bridge

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// LayerPriority is that of routing and rewriting (pipeline step 5).
const LayerPriority = 400

// Endpoint is a local endpoint of an l2bridge, l2tunnel or, for the sake of
// its NAT pool, overlay network. Host marks the endpoint in the host's own
// compartment that serves as the pods' gateway (rule L2B-11).
type Endpoint struct {
	Rank  uint64 // unique; of two with the same address the one with the higher rank counts
	Port  vfp.PortID
	MAC   wire.MAC
	Addrs []netip.Addr
	Zone  uint32
	VLAN  uint16 // of its untagged frames; 0 is none
	Host  bool
	// Bridge says that frames of this endpoint take the host's MAC on the
	// wire and that frames from the wire are matched on its addresses; false
	// for endpoints that are only reached through their pool ports.
	Bridge bool
	Tunnel bool // l2tunnel: everything goes to the wire (L2T-01)
}

// Config describes the l2bridge side of an external switch.
type Config struct {
	HostMAC   wire.MAC     // MAC of the host vNIC, or the SourceMacAddress policy (L2B-01)
	HostAddrs []netip.Addr // addresses of the host on this switch
	Endpoints []*Endpoint
	ARPProxy  bool // knob arpMode.l2bridge: answer for the container (L2B-04)
	// PoolOwner names the switch port that holds a port of a host address: a
	// NAT pool port or a published port (rules L2B-21, L2B-30), an endpoint's
	// or, for balanced flows from outside, the external port (rule LB-16).
	PoolOwner func(now int64, addr netip.Addr, proto uint8, port uint16) (vfp.PortID, bool)
	// PoolMayTake reports whether a pool may come to hold a port while the
	// program stands: pools grow with their flows (rule L2B-23). nil: none.
	PoolMayTake func(addr netip.Addr, port uint16) bool
}

// Bridge is the compiled form, shared by the layers. Which endpoints there are
// may change while the endpoints' layers stay (see Change); everything else is
// fixed.
type Bridge struct {
	cfg Config
	all []*Endpoint // ascending rank
	// Spaces that the layers look into.
	byAddr map[netip.Addr]*Endpoint
	byPort map[vfp.PortID]*Endpoint
	hosts  []*Endpoint // those in the host's own compartment
}

// New compiles cfg.
func New(cfg Config) *Bridge {
	b := &Bridge{cfg: cfg, byAddr: map[netip.Addr]*Endpoint{}, byPort: map[vfp.PortID]*Endpoint{}}
	for _, e := range cfg.Endpoints {
		b.enter(e)
	}
	b.cfg.Endpoints = nil
	return b
}

// Change takes endpoints away and adds others. The result is that of New with
// the endpoints that there are then. It costs what changes, unless endpoints
// share an address. Call it while no packet is on its way. The external port's
// layer is another one after that (see WireLayer).
func (b *Bridge) Change(gone, come []*Endpoint) {
	for _, e := range gone {
		b.leave(e)
	}
	for _, e := range come {
		b.enter(e)
	}
}

// SetPoolMayTake replaces Config.PoolMayTake, under the same conditions. The
// layers stay only if both are nil or neither is.
func (b *Bridge) SetPoolMayTake(f func(addr netip.Addr, port uint16) bool) { b.cfg.PoolMayTake = f }

func (b *Bridge) place(e *Endpoint) (int, bool) {
	return slices.BinarySearchFunc(b.all, e.Rank, func(o *Endpoint, rank uint64) int { return cmp.Compare(o.Rank, rank) })
}

func (b *Bridge) enter(e *Endpoint) {
	at, _ := b.place(e)
	b.all = slices.Insert(b.all, at, e)
	b.byPort[e.Port] = e
	if e.Host {
		b.hosts = append(b.hosts, e)
	}
	for _, a := range e.served() {
		if o := b.byAddr[a]; o == nil || o.Rank < e.Rank {
			b.byAddr[a] = e
		}
	}
}

func (b *Bridge) leave(e *Endpoint) {
	at, ok := b.place(e)
	if !ok || b.all[at] != e {
		panic("l2bridge: removing an endpoint that is not there")
	}
	b.all = slices.Delete(b.all, at, at+1)
	delete(b.byPort, e.Port)
	b.hosts = slices.DeleteFunc(b.hosts, func(o *Endpoint) bool { return o == e })
	for _, a := range e.served() {
		if b.byAddr[a] != e {
			continue
		}
		delete(b.byAddr, a)
		for _, o := range slices.Backward(b.all) {
			if slices.Contains(o.served(), a) {
				b.byAddr[a] = o
				break
			}
		}
	}
}

// served are the addresses by which frames from the wire find the endpoint.
func (e *Endpoint) served() []netip.Addr {
	if !e.Bridge {
		return nil
	}
	return e.Addrs
}

// WireLayer returns the external port's layer for when there are the endpoints
// of the list: their ports and MACs are in its rules.
func (b *Bridge) WireLayer(list []*Endpoint) vfp.Layer {
	l := vfp.Layer{Name: "VNET_MAC_REWRITE_LAYER", Priority: LayerPriority - 10}
	l.Groups = append(l.Groups, b.fromWire(list)...)
	var ours []vfp.PortID // ports whose frames take the host's MAC
	for _, e := range list {
		if e.Bridge {
			ours = append(ours, e.Port)
		}
	}
	if len(ours) > 0 {
		l.Groups = append(l.Groups, vfp.Group{
			Name: "VNET_GROUP_MAC_REWRITE_IN", Dir: vfp.In, Rules: []vfp.Rule{
				{ID: "ARP_REWRITE", Priority: 10, Match: vfp.Match{InPorts: ours, EtherType: wire.EtherTypeARP},
					Action: rewriteARP{b}, Terminating: true, Cite: "L2B-02"},
				{ID: "ND_REWRITE", Priority: 20, Match: vfp.Match{InPorts: ours, Protos: []uint8{wire.ProtoICMPv6}, Func: isND, Note: "neighbour discovery"},
					Action: rewriteND{b}, Terminating: true, Cite: "L2B-02"},
				{ID: "MAC_REWRITE", Priority: 30, Match: vfp.Match{InPorts: ours},
					Action: vfp.SetHeaders{EthSrc: &b.cfg.HostMAC}, Terminating: true, Cite: "L2B-01"},
			},
		})
	}
	return l
}

func (b *Bridge) fromWire(list []*Endpoint) []vfp.Group {
	arp := vfp.Group{Name: "VNET_GROUP_ARP_OUT", Dir: vfp.Out, Family: vfp.NonIP, Priority: 10}
	if b.cfg.ARPProxy {
		arp.Rules = append(arp.Rules, vfp.Rule{ID: "ARP_PROXY", Priority: 10,
			Match:  vfp.Match{EtherType: wire.EtherTypeARP, Func: b.arpAsksForUs, Note: "who-has a local endpoint"},
			Action: answerARP{b}, Terminating: true, Cite: "L2B-04"})
	}
	arp.Rules = append(arp.Rules, vfp.Rule{ID: "ARP_DEMUX", Priority: 20,
		Match:  vfp.Match{EtherType: wire.EtherTypeARP, EthDst: []wire.MAC{b.cfg.HostMAC}, Func: b.arpForUs, Note: "for a local endpoint"},
		Action: demuxARP{b}, Terminating: true, Cite: "L2B-03"})
	ip := vfp.Group{Name: "VNET_GROUP_DEMUX_OUT", Dir: vfp.Out, Priority: 20}
	if b.cfg.ARPProxy {
		ip.Rules = append(ip.Rules, vfp.Rule{ID: "ND_PROXY", Priority: 10,
			Match:  vfp.Match{Protos: []uint8{wire.ProtoICMPv6}, Func: b.ndAsksForUs, Note: "solicitation for a local endpoint"},
			Action: answerND{b}, Terminating: true, Cite: "L2B-04"})
	}
	ip.Rules = append(ip.Rules,
		vfp.Rule{ID: "IP_DEMUX", Priority: 20,
			Match:  vfp.Match{EthDst: []wire.MAC{b.cfg.HostMAC}, Func: b.addrIsOurs, Note: "address of a local endpoint"},
			Action: demux{b}, Terminating: true, Cite: "L2B-03"},
		vfp.Rule{ID: "POOL_DEMUX", Priority: 30,
			Match:  vfp.Match{EthDst: []wire.MAC{b.cfg.HostMAC}, Func: b.portIsOurs, Note: "NAT port of a local endpoint"},
			Action: demuxPool{b}, Terminating: true, Cite: "L2B-21"},
		b.notYet("POOL_NONE", 40))
	if macs := b.hidden(list); len(macs) > 0 {
		return []vfp.Group{{Name: "VNET_GROUP_HIDDEN_MAC_OUT", Dir: vfp.Out, Rules: []vfp.Rule{
			{ID: "MAC_HIDDEN", Priority: 10, Match: vfp.Match{EthDst: macs},
				Action: vfp.Block{Reason: vfp.DropUnknownUnicast}, Terminating: true, Cite: "L2B-06"},
		}}, arp, ip}
	}
	return []vfp.Group{arp, ip}
}

// hidden are the MACs that the wire must not know: a frame from outside for
// one of them is for nobody here. DHCP servers answer the MAC inside the
// request and fail by this (rules L2B-06, L2B-14).
func (b *Bridge) hidden(list []*Endpoint) []wire.MAC {
	var macs []wire.MAC
	for _, e := range list {
		if e.Bridge && e.MAC != b.cfg.HostMAC {
			macs = append(macs, e.MAC)
		}
	}
	return macs
}

// EndpointLayer returns the routing layer of an endpoint's port. needEncap
// lists the SDNRoute prefixes that go through the host (rule L2B-29).
func (b *Bridge) EndpointLayer(e Endpoint, needEncap []netip.Prefix) vfp.Layer {
	g := vfp.Group{Name: "VNET_GROUP_ROUTE_OUT", Dir: vfp.Out}
	if !e.Host {
		if !e.Tunnel {
			g.Rules = append(g.Rules,
				vfp.Rule{ID: "POOL_LOCAL", Priority: 5, Match: vfp.Match{Func: b.siblingsPort, Note: "NAT port of an endpoint of this host"},
					Action: demuxPool{b}, Terminating: true, Cite: "L2B-21 L2B-30"},
				vfp.Rule{ID: "POOL_WIRE", Priority: 6, Match: vfp.Match{Func: b.wiresPort, Note: "NAT port of a flow from outside"},
					Action: viaHostNIC{}, Terminating: true, Cite: "LB-16"},
				vfp.Rule{ID: "SELF", Priority: 8, Match: vfp.Match{Func: b.toItself, Note: "balanced to the sender itself"},
					Action: demux{b}, Terminating: true, Cite: "LB-15"},
				vfp.Rule{ID: "LOCAL_ROUTE", Priority: 9,
					Match:  vfp.Match{Func: b.elsewhereHere, Note: "routed to an endpoint of this host"},
					Action: demux{b}, Terminating: true, Cite: "L2B-16"})
		}
		g.Rules = append(g.Rules,
			vfp.Rule{ID: "SNAT_ROUTE", Priority: 10, Match: vfp.Match{Func: b.translatedForGateway, Note: "translated, sent to the host endpoint"},
				Action: viaHostNIC{}, Terminating: true, Cite: "L2B-21"})
		if len(needEncap) > 0 {
			g.Rules = append(g.Rules, vfp.Rule{ID: "SDN_ROUTE", Priority: 20, Match: vfp.Match{Dst: needEncap},
				Action: viaHost{b.cfg.HostMAC}, Terminating: true, Cite: "L2B-29"})
		}
		if e.Tunnel {
			g.Rules = append(g.Rules, vfp.Rule{ID: "TUNNEL_TO_WIRE", Priority: 30,
				Action: toWire{}, Terminating: true, Cite: "L2T-01"})
		}
	}
	l := vfp.Layer{Name: "VNET_PA_ROUTE_LAYER", Priority: LayerPriority, Groups: []vfp.Group{g}}
	if !e.Host {
		l.Groups = append(l.Groups, noDHCP())
		if !e.Tunnel {
			l.Groups = append(l.Groups, vfp.Group{Name: "VNET_GROUP_POOL_OUT", Dir: vfp.Out, Priority: 10, Rules: []vfp.Rule{b.notYet("POOL_NONE", 10)}})
		}
	}
	return l
}

// noDHCP keeps the answers of DHCP servers from containers. HNS assigns the
// addresses that frames from the wire are matched on; with another address a
// container could send, but nothing would find it (rule L2B-14).
func noDHCP() vfp.Group {
	return vfp.Group{Name: "VNET_GROUP_DHCP_IN", Dir: vfp.In, Rules: []vfp.Rule{
		{ID: "DHCP_UNSUPPORTED", Priority: 10,
			Match: vfp.Match{Protos: []uint8{wire.ProtoUDP},
				SrcPorts: []vfp.PortRange{{Lo: 67, Hi: 67}, {Lo: 547, Hi: 547}}, DstPorts: []vfp.PortRange{{Lo: 68, Hi: 68}, {Lo: 546, Hi: 546}}},
			Action: vfp.Block{}, Terminating: true, Cite: "L2B-14"},
	}}
}

// translatedForGateway: the pod's default gateway is the host endpoint, and
// the packet no longer speaks for the pod; VFP sends it on as the node.
func (b *Bridge) translatedForGateway(w *vfp.Walk) bool {
	if !w.H.Src.IsValid() || w.H.Src == w.In.Src {
		return false
	}
	from := b.byPort[w.Port]
	for _, e := range b.hosts {
		// Only in its own VLAN has the pod the host endpoint for a gateway.
		if e.MAC == w.H.EthDst && (from == nil || e.VLAN == from.VLAN) {
			return true
		}
	}
	return false
}

// elsewhereHere: the packet goes to a gateway, but its destination is an
// endpoint of this host in another address block. Pods of one host reach each
// other whatever their blocks (rule L2B-16), and never by way of the wire.
func (b *Bridge) elsewhereHere(w *vfp.Walk) bool {
	if !w.H.Dst.IsValid() || w.H.EthDst.IsMulticast() {
		return false
	}
	from, to := b.byPort[w.Port], b.byAddr[w.H.Dst]
	return from != nil && to != nil && to != from && !to.Tunnel && to.MAC != w.H.EthDst && to.Zone == from.Zone
}

func (b *Bridge) addrIsOurs(w *vfp.Walk) bool {
	return w.H.Dst.IsValid() && b.byAddr[w.H.Dst] != nil
}

// poolHolder finds the switch port whose NAT port a packet is for.
func (b *Bridge) poolHolder(w *vfp.Walk) (vfp.PortID, bool) {
	if b.cfg.PoolOwner == nil || !slices.Contains(b.cfg.HostAddrs, w.H.Dst) && !b.virtual(w.H.Dst) {
		return 0, false
	}
	proto, port := vfp.NATPort(&w.H, w.Frame, w.Meta)
	if port == 0 {
		return 0, false
	}
	return b.cfg.PoolOwner(w.Now, w.H.Dst, proto, port)
}

// poolPort is the endpoint that holds the NAT port, nil if none does.
func (b *Bridge) poolPort(w *vfp.Walk) *Endpoint {
	id, _ := b.poolHolder(w)
	return b.byPort[id]
}

// virtual reports whether addr may be a NAT address that is not the host's
// own (VirtualIP, rule L2B-21); PoolOwner has the last word.
func (b *Bridge) virtual(addr netip.Addr) bool { return addr.IsValid() && !addr.IsMulticast() }

// siblingsPort: an endpoint speaks to a NAT port or a published port of the
// node that another one here holds, or answers what such a port brought it.
// The wire's layer would tell whose it is; this packet never gets there.
func (b *Bridge) siblingsPort(w *vfp.Walk) bool {
	from, to := b.byPort[w.Port], b.poolPort(w)
	return from != nil && to != nil && to.Bridge && to.Zone == from.Zone
}

// wiresPort: an endpoint answers a flow that came from outside and was given a
// source address of this host (rule LB-16). The external port's layer knows
// whose it is.
func (b *Bridge) wiresPort(w *vfp.Walk) bool {
	id, ok := b.poolHolder(w)
	return ok && b.byPort[id] == nil
}

// toItself: load balancing has chosen the sender (rule LB-15). Without
// LoopbackDSR the packet returns as one from itself, and dies in its stack.
func (b *Bridge) toItself(w *vfp.Walk) bool {
	return w.H.Dst != w.In.Dst && w.H.Dst.IsValid() && b.byAddr[w.H.Dst] != nil && b.byAddr[w.H.Dst] == b.byPort[w.Port]
}

// notYet keeps what is decided for a port that nobody holds out of the flow
// cache: the next flow of an endpoint may take it, and that changes no program
// (rule VFP-12).
func (b *Bridge) notYet(id string, priority uint16) vfp.Rule {
	return vfp.Rule{ID: id, Priority: priority,
		Match:  vfp.Match{Never: b.cfg.PoolMayTake == nil, Func: b.portMayBecomeOurs, Note: "port that a NAT pool may take"},
		Action: uncached{}, Cite: "VFP-12"}
}

func (b *Bridge) portMayBecomeOurs(w *vfp.Walk) bool {
	if w.H.DstPort == 0 || !w.H.Dst.IsValid() || !b.cfg.PoolMayTake(w.H.Dst, w.H.DstPort) {
		return false
	}
	_, held := b.poolHolder(w)
	return !held
}

func (b *Bridge) portIsOurs(w *vfp.Walk) bool { return b.poolPort(w) != nil }
