package overlay

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// EndpointLayers returns the layers of a local endpoint's port: the neighbour
// proxy and the CA routing.
func (n *Network) EndpointLayers(l Local) []vfp.Layer {
	return []vfp.Layer{
		{
			Name: "VNET_ARP_LAYER", Priority: ProxyPriority,
			Groups: []vfp.Group{
				{Name: "VNET_GROUP_ARP_OUT", Dir: vfp.Out, Family: vfp.NonIP, Rules: []vfp.Rule{{
					ID: "ARP_PROXY", Match: vfp.Match{EtherType: wire.EtherTypeARP},
					Action: arpProxy{n, l.VNI}, Terminating: true, Cite: "OV-10",
				}}},
				{Name: "VNET_GROUP_ND_OUT", Dir: vfp.Out, Family: vfp.IPv6, Rules: []vfp.Rule{{
					ID: "ND_PROXY", Match: vfp.Match{Protos: []uint8{wire.ProtoICMPv6}, Func: isSolicitation, Note: "neighbour solicitation"},
					Action: ndProxy{n, l.VNI}, Terminating: true, Cite: "OV-10",
				}}},
			},
		},
		{
			Name: "VNET_ENCAP_LAYER", Priority: LayerPriority,
			Groups: []vfp.Group{{
				Name: "VNET_GROUP_ENCAP_OUT", Dir: vfp.Out, Rules: []vfp.Rule{
					{ID: "FLOOD_LOCAL", Priority: 100, Match: vfp.Match{Func: toGroup, Note: "broadcast or multicast"},
						Action: flood{n, l.VNI}, Terminating: true, Cite: "OV-11"},
					{ID: "SNAT_ROUTE", Priority: 200, Match: vfp.Match{Func: n.sourceTranslated, Note: "source translated by NAT"},
						Action: viaHostNIC{}, Terminating: true, Cite: "OV-20"},
					{ID: "POOL_ROUTE", Priority: 250, Match: vfp.Match{Func: n.heldHere, Note: "NAT port that a flow of this host holds"},
						Action: toHolder{n}, Terminating: true, Cite: "OV-24"},
					{ID: "CA_ROUTE", Priority: 300, Match: vfp.Match{Func: isIP, Note: "IP"},
						Action: routeCA{n, l.VNI}, Terminating: true, Cite: "OV-05"},
					{ID: "L2_LOCAL", Priority: 400,
						Action: bridgeLocal{n, l.VNI}, Terminating: true, Cite: "OV-06"},
				},
			}},
		},
	}
}

func isIP(w *vfp.Walk) bool    { return w.H.Dst.IsValid() }
func toGroup(w *vfp.Walk) bool { return w.H.EthDst.IsMulticast() }

// sourceTranslated: only NAT changes a source address on the way out, so a
// changed one means that the packet now speaks for the node (rule OV-20),
// unless it is a customer address: a load balancer's SourceVIP (rule OV-25). A
// pod that LoopbackDSR translated to speak to itself needs no way out (L2B-28).
func (n *Network) sourceTranslated(w *vfp.Walk) bool {
	if !w.H.Src.IsValid() || w.H.Src == w.In.Src || n.isCA(w.H.Src) {
		return false
	}
	l := n.ports[w.Port]
	return l == nil || !slices.Contains(l.Addrs, w.H.Dst)
}

func (n *Network) isCA(a netip.Addr) bool {
	for i := range n.cfg.Subnets {
		if n.cfg.Subnets[i].Prefix.Contains(a) {
			return true
		}
	}
	return false
}

// flood delivers to the local ports of the VNI (rule OV-11) and, with the knob,
// one encapsulated copy to every host that has endpoints of it.
type flood struct {
	n   *Network
	vni uint32
}

func (flood) Name() string { return "floodlocal" }

func (a flood) Apply(w *vfp.Walk) vfp.Outcome {
	w.Fwd = vfp.Forward{Kind: vfp.LocalFlood}
	if a.n.cfg.Options.Replicate {
		w.NoCache = true
		for _, pa := range a.n.peers(a.vni) {
			w.Copies = append(w.Copies, vfp.Copy{H: w.H, Fwd: vfp.Forward{Kind: vfp.ToPA}, Encap: a.n.encapTo(w, pa, a.vni)})
		}
	}
	return vfp.Continue
}

// peers are the provider addresses behind remote endpoints and remote subnets
// of a VNI, each once, ascending.
func (n *Network) peers(vni uint32) []netip.Addr {
	var out []netip.Addr
	for _, m := range n.members {
		for _, r := range m.Remotes {
			if r.VNI == vni && r.PA.IsValid() && r.PA != n.cfg.PA {
				out = append(out, r.PA)
			}
		}
	}
	for i := range n.subnets {
		if n.subnets[i].VNI == vni {
			out = append(out, n.subnets[i].PA)
		}
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return slices.Compact(out)
}

// viaHostNIC sends a translated packet through the host's own neighbour
// table, not encapsulated (rule OV-20).
type viaHostNIC struct{}

func (viaHostNIC) Name() string { return "paroute" }

func (viaHostNIC) Apply(w *vfp.Walk) vfp.Outcome {
	w.Fwd = vfp.Forward{Kind: vfp.ToPA}
	return vfp.Continue
}

// bridgeLocal bridges what is neither IP nor ARP between local ports.
type bridgeLocal struct {
	n   *Network
	vni uint32
}

func (bridgeLocal) Name() string { return "l2local" }

func (a bridgeLocal) Apply(w *vfp.Walk) vfp.Outcome {
	l := a.n.macs[macKey{a.vni, w.H.EthDst}]
	if l == nil {
		w.Drop = vfp.DropNoMapping
		return vfp.Stop
	}
	w.Fwd = vfp.Forward{Kind: vfp.ToPort, Port: l.Port}
	return vfp.Continue
}

// routeCA finds the customer address and sends the packet there (rules OV-05
// to OV-08).
type routeCA struct {
	n   *Network
	vni uint32
}

func (routeCA) Name() string { return "vnetroute" }

// Spaces are the customer addresses of the network with where they are: all
// its ports look into the same ones.
func (a routeCA) Spaces() []vfp.Space {
	n := 0
	for k := range a.n.local {
		if k.vni == a.vni {
			n++
		}
	}
	for k := range a.n.remote {
		if k.vni == a.vni {
			n++
		}
	}
	return []vfp.Space{
		{Name: fmt.Sprintf("VNET_CA_SPACE_%d", a.vni), Entries: n},
		{Name: "VNET_PREFIX_SPACE_" + a.n.cfg.PA.String(), Entries: len(a.n.subnets)},
	}
}

func (a routeCA) Apply(w *vfp.Walk) vfp.Outcome {
	if w.Fwd.Kind != vfp.ByMAC {
		return vfp.Continue // steered to a backend already (rule LB-11)
	}
	r, ok := a.n.lookup(a.vni, w.H.Dst)
	if !ok {
		w.Drop = vfp.DropNoMapping
		return vfp.Stop
	}
	viaDR := w.H.EthDst == a.n.cfg.DRMAC
	if viaDR && a.n.cfg.Options.DecTTL {
		w.DecTTL = 1
	}
	switch {
	case r.local != nil:
		// A sender may still know the MAC of a remote endpoint that had the
		// address before; no NIC would take that.
		w.H.EthDst = r.local.MAC
		if viaDR {
			w.H.EthSrc = a.n.cfg.DRMAC
		}
		w.Fwd = vfp.Forward{Kind: vfp.ToPort, Port: r.local.Port}
		return vfp.Continue
	case r.host:
		w.H.EthDst = a.n.cfg.HostMAC
		w.Fwd = vfp.Forward{Kind: vfp.ToHost}
		return vfp.Continue
	case r.remote != nil:
		w.H.EthDst = r.remote.MAC
		return a.encap(w, r.remote.PA, a.vni)
	default:
		w.H.EthDst, w.H.EthSrc = r.subnet.DRMAC, a.n.cfg.DRMAC
		return a.encap(w, r.subnet.PA, r.subnet.VNI)
	}
}

func (a routeCA) encap(w *vfp.Walk, pa netip.Addr, vni uint32) vfp.Outcome {
	cfg := &a.n.cfg
	// The outer datagram carries the whole inner frame: its length is the
	// frame plus the outer headers without the outer Ethernet.
	longest := cfg.Options.UnderlayMTU - wire.VXLANOverhead4 + wire.EthernetLen
	if len(w.Frame) > longest {
		return a.oversize(w)
	}
	w.MaxLen = longest
	w.Encap = a.n.encapTo(w, pa, vni)
	w.Fwd = vfp.Forward{Kind: vfp.ToPA}
	return vfp.Continue
}

// encapTo is the outer header of a packet to a host.
func (n *Network) encapTo(w *vfp.Walk, pa netip.Addr, vni uint32) vfp.Encap {
	o := &n.cfg.Options
	return vfp.Encap{
		Kind: vfp.VXLAN, Src: n.cfg.PA, Dst: pa, VNI: vni,
		SrcPort: entropy(w.H), DstPort: n.cfg.Port,
		TTL: o.OuterTTL, DF: o.OuterDF, DSCPCopy: o.DSCPCopy, ECNCopy: o.ECNCopy,
	}
}

// oversize is what happens to a packet that the underlay cannot carry (rule
// OV-19): silence, or an ICMP error from the gateway when the knob says so.
func (a routeCA) oversize(w *vfp.Walk) vfp.Outcome {
	w.NoCache = true
	w.Drop = vfp.DropEncapOversize
	if !a.n.cfg.Options.OversizeICMP || w.Meta == nil || !w.Meta.DF(w.Frame) {
		return vfp.Stop
	}
	gw := wire.Reporter{MAC: a.n.cfg.DRMAC, IP: a.n.gatewayOf(a.vni, w.In.Src)}
	if !gw.IP.IsValid() {
		return vfp.Stop
	}
	if reply := gw.TooBig(w.Frame, w.Meta, a.n.cfg.Options.UnderlayMTU-wire.VXLANOverhead4); reply != nil {
		w.Replies = append(w.Replies, reply)
	}
	return vfp.Stop
}

// entropy is the UDP source port: a function of the inner flow, constant for
// it, 49152 and above (rule OV-14).
func entropy(h vfp.Header) uint16 {
	return wire.EntropyPort(h.FlowHash())
}
