package vnet

import (
	"net/netip"
	"slices"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// Port is a virtual machine's port on this host.
type Port struct {
	ID   vfp.PortID
	MAC  wire.MAC
	VSID uint32
	PA   netip.Addr // under which the host sends the port's packets
	CAs  []netip.Addr
	// Also are further source addresses: public ones that the machine has itself
	// (rule SDN-17).
	Also []netip.Addr
	// Appliance may send what it got from others: a route's next hop.
	Appliance bool
	// Mirrors name where copies of the port's packets go (rule SDN-12).
	Mirrors []Mirror
	// Sink is set for a NIC that mirrored packets go to: it gets no others.
	Sink bool
	// Metadata is where the host's metadata service is; zero: nowhere.
	Metadata Metadata
	EastWest EastWest // zero: flows between virtual addresses have no short way
}

// Mirror selects packets of which an appliance gets a copy.
type Mirror struct {
	CAs  []netip.Addr // of the monitored port
	To   CA           // the appliance's NIC
	Rule vfp.Match    // beside the addresses
}

// Metadata is the way to the metadata service of a port's own host (rule
// SDN-03). The host tells its machines apart by Alias, an address of the link
// between the two.
type Metadata struct {
	Port  vfp.PortID // host port of the service
	MAC   wire.MAC   // of the service
	Addr  netip.Addr // 169.254.169.254
	TCP   uint16     // 6642
	Alias netip.Addr
}

// PortLayers are the layers of a virtual machine's port, without those between
// them that others make.
func (n *Network) PortLayers(p Port) []vfp.Layer {
	var ls []vfp.Layer
	if len(p.Mirrors) > 0 || p.Sink {
		ls = append(ls, n.mirrorLayer(&p))
	}
	ls = append(ls, meterLayer(), n.arpLayer(&p), sourceLayer(&p))
	if p.Metadata.Port != 0 {
		ls = append(ls, metadataLayer(&p))
	}
	return append(ls, n.routeLayer(&p))
}

// meterLayer counts what the machine sends and gets, by who began (rule VFP-04).
// It stands next to the machine: nothing behind it takes away from what is
// delivered.
func meterLayer() vfp.Layer {
	meter := func(dir vfp.Dir) vfp.Group {
		return vfp.Group{Name: "VNET_METER_GROUP_" + dir.String(), Dir: dir, Rules: []vfp.Rule{
			{ID: "METER_" + dir.String(), Priority: 100, Action: vfp.Meter{}, Cite: "VFP-04"},
		}}
	}
	return vfp.Layer{Name: "VNET_METER_LAYER", Priority: MeterPriority, Reconcile: vfp.KeepWhileRule, Groups: []vfp.Group{meter(vfp.Out), meter(vfp.In)}}
}

// AgentLayers are the layers of the host agent's port in a subnet: it reaches
// the machines of this host in this subnet and nobody else.
func (n *Network) AgentLayers(s Subnet) []vfp.Layer {
	p := Port{ID: s.Agent, MAC: n.cfg.DRMAC, VSID: s.VSID, CAs: []netip.Addr{s.Gateway}}
	return []vfp.Layer{n.arpLayer(&p), {
		Name: "VNET_AGENT_LAYER", Priority: LayerPriority, Groups: []vfp.Group{{Name: "VNET_GROUP_AGENT_OUT", Dir: vfp.Out, Rules: []vfp.Rule{
			{ID: "AGENT_LOCAL", Priority: 100, Match: vfp.Match{Func: n.localMachine, Note: "machine of this host"}, Action: vfp.Allow{}, Terminating: true, Cite: "SDN-18"},
			{ID: "AGENT_NONE", Priority: 200, Action: vfp.Block{Reason: vfp.DropNoMapping}, Terminating: true, Cite: "SDN-18"},
		}}},
	}}
}

func (n *Network) localMachine(w *vfp.Walk) bool { return n.macs[macKey{w.Zone, w.H.EthDst}] != nil }

// arpLayer answers for what the host's agent knows, and lets no request out
// (rule SDN-04).
func (n *Network) arpLayer(p *Port) vfp.Layer {
	r := responder{n, *p}
	return vfp.Layer{Name: "VNET_ARP_LAYER", Priority: ARPPriority, Groups: []vfp.Group{
		{Name: "VNET_GROUP_ARP_OUT", Dir: vfp.Out, Family: vfp.NonIP, Rules: []vfp.Rule{{
			ID: "ARP_RESPONDER", Match: vfp.Match{EtherType: wire.EtherTypeARP}, Action: arpResponder{r}, Terminating: true, Cite: "SDN-04",
		}}},
		{Name: "VNET_GROUP_ND_OUT", Dir: vfp.Out, Family: vfp.IPv6, Rules: []vfp.Rule{{
			ID: "ND_RESPONDER", Match: vfp.Match{Protos: []uint8{wire.ProtoICMPv6}, Func: isND, Note: "neighbour discovery"},
			Action: ndResponder{r}, Terminating: true, Cite: "SDN-04",
		}}},
	}}
}

// responder is what a port's machine may learn by asking.
type responder struct {
	n *Network
	p Port
}

// mac of an address of the port's own subnet. The machine's own addresses have
// the router's: containers on it that must not speak to each other behind the
// host's back reach each other so (rule L2T-02).
func (r *responder) mac(a netip.Addr) (wire.MAC, bool) {
	if s := r.n.vsid[r.p.VSID]; s != nil && s.Gateway == a {
		return r.n.cfg.DRMAC, true
	}
	if m := &r.p.Metadata; m.Port != 0 && a == m.Addr {
		return m.MAC, true
	}
	if slices.Contains(r.p.CAs, a) {
		return r.n.cfg.DRMAC, true
	}
	if c := r.n.cas[a]; c != nil && c.VSID == r.p.VSID {
		return c.MAC, true
	}
	return wire.MAC{}, false
}

type arpResponder struct{ responder }

func (arpResponder) Name() string { return "arpresponder" }

// Apply ends every ARP message. Announcements and answers are nothing that
// anybody here would learn from; they are consumed.
func (a arpResponder) Apply(w *vfp.Walk) vfp.Outcome {
	w.NoCache = true
	arp, ok := wire.ARPOf(w.Frame, w.Meta)
	if !ok {
		w.Drop = vfp.DropMalformed
		return vfp.Stop
	}
	if arp.Op() != wire.ARPRequest || arp.SenderIP() == arp.TargetIP() || arp.SenderIP() == 0 {
		return vfp.Stop
	}
	mac, ok := a.mac(arp.TargetAddr())
	if !ok {
		w.Drop = vfp.DropNoMapping
		return vfp.Stop
	}
	w.Replies = append(w.Replies, arp.Answer(mac))
	return vfp.Stop
}

func isND(w *vfp.Walk) bool {
	return w.Meta != nil && w.Meta.ICMPType >= wire.ICMP6RouterSol && w.Meta.ICMPType <= wire.ICMP6Redirect
}

type ndResponder struct{ responder }

func (ndResponder) Name() string { return "ndresponder" }

// Apply is arpResponder's for IPv6. Router solicitations get no answer: tenants
// have their addresses from the controller.
func (a ndResponder) Apply(w *vfp.Walk) vfp.Outcome {
	w.NoCache = true
	target, ok := wire.SolicitTarget(w.Frame, w.Meta)
	if !ok || w.Meta.ICMPType != wire.ICMP6NeighborSol || w.H.Src.IsUnspecified() || slices.Contains(a.p.CAs, target) && target == w.H.Src {
		return vfp.Stop
	}
	mac, ok := a.mac(target)
	if !ok {
		w.Drop = vfp.DropNoMapping
		return vfp.Stop
	}
	if reply := wire.AnswerSolicitation(w.Frame, w.Meta, mac); reply != nil {
		w.Replies = append(w.Replies, reply)
	}
	return vfp.Stop
}

// sourceLayer lets out only what bears an address of the machine (rule L2T-05).
func sourceLayer(p *Port) vfp.Layer {
	if p.Appliance {
		return vfp.Layer{Name: "VNET_SOURCE_LAYER", Priority: SourcePriority}
	}
	var own []netip.Prefix
	for _, a := range slices.Concat(p.CAs, p.Also) {
		own = append(own, netip.PrefixFrom(a, a.BitLen()))
	}
	group := func(name string, f vfp.Family) vfp.Group {
		return vfp.Group{Name: name, Dir: vfp.Out, Family: f, Rules: []vfp.Rule{
			{ID: "CA_OWNED", Priority: 100, Match: vfp.Match{Src: own, Never: len(own) == 0}, Action: vfp.Allow{}, Cite: "L2T-05"},
			{ID: "CA_FOREIGN", Priority: 200, Action: vfp.Block{}, Terminating: true, Cite: "L2T-05"},
		}}
	}
	return vfp.Layer{Name: "VNET_SOURCE_LAYER", Priority: SourcePriority, Groups: []vfp.Group{
		group("VNET_SOURCE_IPV4_OUT", vfp.IPv4), group("VNET_SOURCE_IPV6_OUT", vfp.IPv6),
	}}
}
