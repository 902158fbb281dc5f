package overlay

import (
	"net/netip"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// WireLayer returns the external port's layer for all overlay networks of a
// host: what arrives from the underlay for the PA and VXLAN port of one of
// them (rules OV-12, OV-13). Networks that share PA and port share a rule.
func WireLayer(nets []*Network) vfp.Layer {
	g := vfp.Group{Name: "VNET_GROUP_DECAP_OUT", Dir: vfp.Out, Family: vfp.IPv4}
	byVTEP := map[netip.AddrPort]*decap{}
	for _, n := range nets {
		vtep := netip.AddrPortFrom(n.cfg.PA, n.cfg.Port)
		if d := byVTEP[vtep]; d != nil {
			d.nets = append(d.nets, n)
			continue
		}
		d := &decap{nets: []*Network{n}}
		byVTEP[vtep] = d
		g.Rules = append(g.Rules, vfp.Rule{
			ID: "VXLAN_DECAP_" + vtep.String(), Priority: uint16(len(g.Rules)),
			Match: vfp.Match{
				Protos:   []uint8{wire.ProtoUDP},
				Dst:      []netip.Prefix{netip.PrefixFrom(n.cfg.PA, n.cfg.PA.BitLen())},
				DstPorts: []vfp.PortRange{{Lo: n.cfg.Port, Hi: n.cfg.Port}},
			},
			Action: d, Terminating: true, Cite: "OV-12",
		})
	}
	return vfp.Layer{Name: "VNET_DECAP_LAYER", Priority: LayerPriority, Groups: []vfp.Group{g}}
}

// decap strips and delivers one VXLAN frame.
type decap struct{ nets []*Network }

func (a *decap) owner(vni uint32) *Network {
	for _, n := range a.nets {
		if n.vnis[vni] {
			return n
		}
	}
	return nil
}

func (*decap) Name() string { return "decap" }

func (a *decap) Apply(w *vfp.Walk) vfp.Outcome {
	drop := func(r vfp.Drop) vfp.Outcome {
		w.Drop, w.NoCache = r, true
		return vfp.Stop
	}
	if w.Meta == nil || w.Meta.Fragment {
		return drop(vfp.DropMalformed) // a VTEP may drop outer fragments (OV-16)
	}
	hdr := w.Frame[w.Meta.Payload:w.Meta.End]
	if len(hdr) < wire.VXLANLen+wire.EthernetLen {
		return drop(vfp.DropMalformed)
	}
	vx := wire.VXLAN(hdr)
	if vx.Flags()&wire.VXLANFlagI == 0 {
		return drop(vfp.DropVxlanBadFlags)
	}
	vni := vx.VNI()
	n := a.owner(vni)
	if n == nil {
		return drop(vfp.DropUnknownVni)
	}
	inner := hdr[wire.VXLANLen:]
	var m wire.Meta
	if err := wire.Parse(inner, &m); err != wire.OK {
		return drop(vfp.DropMalformed)
	}
	w.Decap, w.VNI, w.Zone = true, vni, vni
	w.H = vfp.HeaderOf(inner, &m)
	if id, held := n.holder(w, inner, &m); held {
		return n.toPort(w, id)
	}
	return n.deliver(w, vni)
}

// deliver is the forwarding of an inner frame: by MAC to a local endpoint, by
// address when it is for the distributed router, to the VNI's ports when it
// is a broadcast.
func (n *Network) deliver(w *vfp.Walk, vni uint32) vfp.Outcome {
	if w.H.EthDst.IsMulticast() {
		w.Fwd = vfp.Forward{Kind: vfp.LocalFlood}
		return vfp.Continue
	}
	if l := n.macs[macKey{vni, w.H.EthDst}]; l != nil {
		w.Fwd = vfp.Forward{Kind: vfp.ToPort, Port: l.Port}
		return vfp.Continue
	}
	if w.H.EthDst != n.cfg.DRMAC {
		w.Drop = vfp.DropUnknownInnerMac
		return vfp.Stop
	}
	l := n.local[ca{vni, w.H.Dst}]
	if l == nil {
		w.Drop = vfp.DropNotLocal // no transit (OV-13)
		return vfp.Stop
	}
	w.H.EthDst = l.MAC
	if !n.cfg.Options.KeepSenderMAC {
		w.H.EthSrc = n.cfg.DRMAC
	}
	// The router is one, wherever it works: the sender's side took the hop, if
	// any is taken (OV-17).
	w.Fwd = vfp.Forward{Kind: vfp.ToPort, Port: l.Port}
	return vfp.Continue
}

// HostLayer returns the host port's layer: with HostRoute the host reaches
// its own pods (rule OV-22).
func (n *Network) HostLayer(name string) vfp.Layer {
	return vfp.Layer{
		Name: name, Priority: LayerPriority,
		Groups: []vfp.Group{
			{Name: "VNET_GROUP_HOST_ARP_OUT", Dir: vfp.Out, Family: vfp.NonIP, Rules: []vfp.Rule{{
				ID:          "HOST_ARP_PROXY",
				Match:       vfp.Match{EtherType: wire.EtherTypeARP, Func: n.asksForLocal, Note: "who-has a local pod"},
				Action:      hostARP{n},
				Terminating: true, Cite: "OV-22",
			}}},
			{Name: "VNET_GROUP_HOST_OUT", Dir: vfp.Out, Rules: []vfp.Rule{{
				ID:          "HOST_TO_POD",
				Match:       vfp.Match{Func: n.fromHostToLocal, Note: "from the host to a local pod"},
				Action:      hostToPod{n},
				Terminating: true, Cite: "OV-22",
			}}},
		},
	}
}

// localAnyVNI finds a pod by address alone: the host has no VSID.
func (n *Network) localAnyVNI(addr netip.Addr) *Local {
	for _, s := range n.cfg.Subnets {
		if l := n.local[ca{s.VNI, addr}]; l != nil {
			return l
		}
	}
	return nil
}

func (n *Network) fromHostToLocal(w *vfp.Walk) bool {
	return w.H.Dst.IsValid() && w.H.EthDst == n.cfg.DRMAC && n.localAnyVNI(w.H.Dst) != nil
}

func (n *Network) asksForLocal(w *vfp.Walk) bool {
	arp, ok := arpRequest(w)
	return ok && n.localAnyVNI(arp.TargetAddr()) != nil
}

type hostToPod struct{ n *Network }

func (hostToPod) Name() string { return "hostroute" }

func (a hostToPod) Apply(w *vfp.Walk) vfp.Outcome {
	l := a.n.localAnyVNI(w.H.Dst)
	w.H.EthDst, w.H.EthSrc = l.MAC, a.n.cfg.DRMAC
	w.Zone = l.VNI
	w.Fwd = vfp.Forward{Kind: vfp.ToPort, Port: l.Port}
	return vfp.Continue
}
