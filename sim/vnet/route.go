package vnet

import (
	"net/netip"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// routeLayer finds where a packet goes and encapsulates it (rules SDN-05,
// SDN-07, SDN-11).
func (n *Network) routeLayer(p *Port) vfp.Layer {
	var own []netip.Prefix // public addresses that the machine has itself
	for _, a := range p.Also {
		own = append(own, netip.PrefixFrom(a, a.BitLen()))
	}
	return vfp.Layer{Name: "VNET_ENCAP_LAYER", Priority: LayerPriority, Groups: []vfp.Group{{
		Name: "VNET_GROUP_ENCAP_OUT", Dir: vfp.Out, Rules: append(n.directRules(p), []vfp.Rule{
			{ID: "REPLICATE", Priority: 100, Match: vfp.Match{Func: toGroup, Note: "broadcast or multicast"},
				Action: replicate{n, *p}, Terminating: true, Cite: "SDN-07"},
			{ID: "PROVIDER", Priority: 150, Match: vfp.Match{Dst: n.cfg.Provider, Never: len(n.cfg.Provider) == 0, Func: p.speaksOutside(n), Note: "not in a tunnel"},
				Action: vfp.Block{Reason: vfp.DropNoMapping}, Terminating: true, Cite: "SDN-05"},
			{ID: "DIRECT", Priority: 200, Match: vfp.Match{Func: translated, Note: "source is a virtual address"},
				Action: vfp.ForwardTo{Forward: vfp.Forward{Kind: vfp.ToPA}}, Terminating: true, Cite: "SDN-14"},
			{ID: "PUBLIC", Priority: 250, Match: vfp.Match{Src: own, Never: len(own) == 0, Func: n.leaves, Note: "destination outside the network"},
				Action: vfp.ForwardTo{Forward: vfp.Forward{Kind: vfp.ToPA}}, Terminating: true, Cite: "SDN-17"},
			{ID: "CA_ROUTE", Priority: 300, Match: vfp.Match{Func: isIP, Note: "IP"},
				Action: routeCA{n, *p}, Terminating: true, Cite: "SDN-05"},
			{ID: "NO_IP", Priority: 400, Action: vfp.Block{Reason: vfp.DropNoMapping}, Terminating: true, Cite: "SDN-05"},
		}...),
	}}}
}

// leaves: the destination is in no subnet of the network.
func (n *Network) leaves(w *vfp.Walk) bool {
	return w.Fwd.Kind == vfp.ByMAC && w.H.Dst.IsValid() && !n.Inside(w.H.Dst)
}

func isIP(w *vfp.Walk) bool    { return w.H.Dst.IsValid() }
func toGroup(w *vfp.Walk) bool { return w.H.EthDst.IsMulticast() }

// translated: only the load balancer gives a machine's packet another source.
// It speaks for a virtual address now and goes to the physical gateway (rule
// SDN-14), unless it has been steered already.
func translated(w *vfp.Walk) bool {
	return w.H.Src.IsValid() && w.H.Src != w.In.Src && w.Fwd.Kind == vfp.ByMAC
}

// routeCA sends a packet to its CA, by the network's routes.
type routeCA struct {
	n *Network
	p Port
}

func (routeCA) Name() string { return "vnetroute" }

func (a routeCA) Apply(w *vfp.Walk) vfp.Outcome {
	if w.Fwd.Kind != vfp.ByMAC {
		return vfp.Continue
	}
	if s := a.n.gateway(w.H.Dst); s != nil {
		return a.toAgent(w, s)
	}
	for i := range a.n.routes[a.p.VSID] {
		r := &a.n.routes[a.p.VSID][i]
		if !r.Prefix.Contains(w.H.Dst) {
			continue
		}
		if r.Local {
			return a.deliver(w, a.n.cas[w.H.Dst])
		}
		// The appliance's MAC, whatever the destination (rule SDN-11).
		return a.deliver(w, a.n.cas[r.NextHop])
	}
	return a.deliver(w, nil)
}

// toAgent gives a packet for a gateway's address to this host's agent, which
// answers pings; a subnet that has no agent here has nobody who does.
func (a routeCA) toAgent(w *vfp.Walk, s *Subnet) vfp.Outcome {
	if s.Agent == 0 || s.VSID != a.p.VSID {
		w.Drop = vfp.DropNoMapping
		return vfp.Stop
	}
	w.H.EthDst = a.n.cfg.DRMAC
	w.Fwd = vfp.Forward{Kind: vfp.ToPort, Port: s.Agent}
	return vfp.Continue
}

// deliver sends the packet to the machine at c: the VSID that it travels under
// is that of the machine's subnet, and between subnets the distributed router
// is its sender (rule SDN-05).
func (a routeCA) deliver(w *vfp.Walk, c *CA) vfp.Outcome {
	if c == nil {
		w.Drop = vfp.DropNoMapping
		return vfp.Stop
	}
	routed := w.H.EthDst == a.n.cfg.DRMAC
	if routed {
		w.H.EthSrc = a.n.cfg.DRMAC
		if a.n.cfg.Options.DecTTL {
			w.DecTTL = 1
		}
	}
	w.H.EthDst, w.Zone = c.MAC, c.VSID
	switch {
	case c.Port == a.p.ID:
		w.Fwd = vfp.Forward{Kind: vfp.Hairpin}
	case c.Port != 0:
		w.Fwd = vfp.Forward{Kind: vfp.ToPort, Port: c.Port}
	default:
		w.Encap = a.n.encapTo(&w.H, a.p.PA, c.PA, c.VSID)
		w.Fwd = vfp.Forward{Kind: vfp.ToPA}
	}
	return vfp.Continue
}

// replicate sends a broadcast or multicast to every other machine of the
// subnet, as a unicast packet for it (rule SDN-07).
type replicate struct {
	n *Network
	p Port
}

func (replicate) Name() string { return "replicate" }

func (a replicate) Apply(w *vfp.Walk) vfp.Outcome {
	w.NoCache = true
	w.Fwd = vfp.Forward{Kind: vfp.CopiesOnly}
	if !w.H.Dst.IsValid() {
		return vfp.Continue // nothing but IP is replicated
	}
	for i := range a.n.cfg.CAs {
		c := &a.n.cfg.CAs[i]
		if !c.First || c.VSID != a.p.VSID || c.MAC == a.p.MAC || c.Addr.Is4() != w.H.Dst.Is4() {
			continue
		}
		h := w.H
		h.EthDst, h.Dst = c.MAC, c.Addr
		w.Copies = append(w.Copies, a.n.copyTo(h, a.p.PA, c))
	}
	return vfp.Continue
}

// copyTo is a copy with header h for the machine at c.
func (n *Network) copyTo(h vfp.Header, from netip.Addr, c *CA) vfp.Copy {
	if c.Port != 0 {
		return vfp.Copy{H: h, Zone: c.VSID, Fwd: vfp.Forward{Kind: vfp.ToPort, Port: c.Port}}
	}
	return vfp.Copy{H: h, Zone: c.VSID, Fwd: vfp.Forward{Kind: vfp.ToPA}, Encap: n.encapTo(&h, from, c.PA, c.VSID)}
}

// metadataLayer carries a machine's requests to its host's metadata service and
// the answers back (rule SDN-03).
func metadataLayer(p *Port) vfp.Layer {
	m := p.Metadata
	return vfp.Layer{Name: "VNET_METADATA_LAYER", Priority: SourcePriority + 10, Groups: []vfp.Group{{
		Name: "VNET_GROUP_METADATA_OUT", Dir: vfp.Out, Family: vfp.IPv4, Rules: []vfp.Rule{{
			ID: "METADATA", Priority: 100, Match: vfp.Match{
				Protos: []uint8{wire.ProtoTCP}, Dst: []netip.Prefix{netip.PrefixFrom(m.Addr, 32)}, DstPorts: []vfp.PortRange{{Lo: m.TCP, Hi: m.TCP}},
			},
			Action: toMetadata{m}, Terminating: true, Stateful: true, Cite: "SDN-03",
		}},
	}}}
}

type toMetadata struct{ m Metadata }

func (toMetadata) Name() string { return "metadataproxy" }

func (a toMetadata) Apply(w *vfp.Walk) vfp.Outcome {
	w.H.Src, w.H.EthDst = a.m.Alias, a.m.MAC
	w.Zone, w.Fwd = 0, vfp.Forward{Kind: vfp.ToPort, Port: a.m.Port}
	return vfp.Continue
}

// MetadataReturn is the layer of the metadata service's host port: answers find
// the machine behind an alias.
func MetadataReturn(ports []Port) vfp.Layer {
	r := &metadataReturn{byAlias: map[netip.Addr]Port{}}
	for _, p := range ports {
		r.byAlias[p.Metadata.Alias] = p
	}
	return vfp.Layer{Name: "VNET_METADATA_LAYER", Priority: LayerPriority, Groups: []vfp.Group{
		{Name: "VNET_GROUP_METADATA_ARP_OUT", Dir: vfp.Out, Family: vfp.NonIP, Rules: []vfp.Rule{{
			ID: "METADATA_ARP", Match: vfp.Match{EtherType: wire.EtherTypeARP}, Action: aliasARP{r}, Terminating: true, Cite: "SDN-03",
		}}},
		{Name: "VNET_GROUP_METADATA_OUT", Dir: vfp.Out, Family: vfp.IPv4, Rules: []vfp.Rule{
			{ID: "METADATA_ANSWER", Priority: 100, Match: vfp.Match{Func: r.known, Note: "machine's alias"}, Action: r, Terminating: true, Cite: "SDN-03"},
			{ID: "METADATA_NONE", Priority: 200, Action: vfp.Block{Reason: vfp.DropNoMapping}, Terminating: true, Cite: "SDN-03"},
		}},
	}}
}

type metadataReturn struct{ byAlias map[netip.Addr]Port }

func (r *metadataReturn) known(w *vfp.Walk) bool { _, ok := r.byAlias[w.H.Dst]; return ok }

func (*metadataReturn) Name() string { return "metadataproxy" }

func (r *metadataReturn) Apply(w *vfp.Walk) vfp.Outcome {
	p := r.byAlias[w.H.Dst]
	w.H.EthDst, w.Zone = p.MAC, p.VSID
	w.Fwd = vfp.Forward{Kind: vfp.ToPort, Port: p.ID}
	return vfp.Continue
}

type aliasARP struct{ r *metadataReturn }

func (aliasARP) Name() string { return "arpresponder" }

func (a aliasARP) Apply(w *vfp.Walk) vfp.Outcome {
	w.NoCache = true
	arp, ok := wire.ARPOf(w.Frame, w.Meta)
	if !ok || arp.Op() != wire.ARPRequest {
		return vfp.Stop
	}
	if p, known := a.r.byAlias[arp.TargetAddr()]; known {
		w.Replies = append(w.Replies, arp.Answer(p.MAC))
	}
	return vfp.Stop
}
