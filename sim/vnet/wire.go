package vnet

import (
	"net/netip"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// WireLayer is the external port's layer for all networks of a host: what comes
// in a tunnel to one of its PAs (rules SDN-08, SDN-09).
func WireLayer(nets []*Network, pas []netip.Addr, port uint16) vfp.Layer {
	if port == 0 {
		port = wire.VXLANPort
	}
	d := &decap{owner: map[uint32]*Network{}}
	for _, n := range nets {
		for id := range n.vsid {
			d.owner[id] = n
		}
	}
	var to []netip.Prefix
	for _, a := range pas {
		to = append(to, netip.PrefixFrom(a, a.BitLen()))
	}
	return vfp.Layer{Name: "VNET_DECAP_LAYER", Priority: LayerPriority, Groups: []vfp.Group{{
		Name: "VNET_GROUP_DECAP_OUT", Dir: vfp.Out, Family: vfp.IPv4, Rules: []vfp.Rule{
			{ID: "VXLAN_DECAP", Priority: 100, Match: vfp.Match{Dst: to, Never: len(to) == 0, Protos: []uint8{wire.ProtoUDP}, DstPorts: []vfp.PortRange{{Lo: port, Hi: port}}},
				Action: d, Terminating: true, Cite: "SDN-09 OV-12"},
			{ID: "NVGRE_DECAP", Priority: 200, Match: vfp.Match{Dst: to, Never: len(to) == 0, Protos: []uint8{wire.ProtoGRE}},
				Action: d, Terminating: true, Cite: "SDN-09"},
		},
	}}}
}

// decap takes one frame out of its tunnel and finds the machine it is for.
type decap struct{ owner map[uint32]*Network }

func (*decap) Name() string { return "decap" }

func (a *decap) Apply(w *vfp.Walk) vfp.Outcome {
	t, ok := wire.ParseVXLAN(w.Frame, w.Meta)
	switch {
	case w.H.Proto == wire.ProtoGRE:
		t, ok = wire.ParseNVGRE(w.Frame, w.Meta)
	case ok && t.Flags&wire.VXLANFlagI == 0:
		return refuse(w, vfp.DropVxlanBadFlags)
	}
	if !ok {
		return refuse(w, vfp.DropMalformed)
	}
	n := a.owner[t.VNI]
	if n == nil {
		return refuse(w, vfp.DropUnknownVni)
	}
	inner := w.Frame[t.Inner:t.End]
	var m wire.Meta
	if err := wire.Parse(inner, &m); err != wire.OK {
		return refuse(w, vfp.DropMalformed)
	}
	if m.HasVLAN {
		return refuse(w, vfp.DropInnerVlanTag)
	}
	w.Decap, w.VNI, w.Zone = true, t.VNI, t.VNI
	w.H = vfp.HeaderOf(inner, &m)
	c := n.macs[macKey{t.VNI, w.H.EthDst}]
	if c == nil {
		return refuse(w, vfp.DropUnknownInnerMac)
	}
	w.Fwd = vfp.Forward{Kind: vfp.ToPort, Port: c.Port}
	return vfp.Continue
}

func refuse(w *vfp.Walk, why vfp.Drop) vfp.Outcome {
	w.Drop, w.NoCache = why, true
	return vfp.Stop
}
