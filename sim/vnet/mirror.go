package vnet

import (
	"net/netip"
	"slices"

	"github.com/hnsim/hnsim/sim/vfp"
)

// mirrorLayer copies what a monitored port sends and is given, as the machine
// sees it; for an appliance's NIC it keeps everything else away (rule SDN-12).
// What an ACL or a missing route drops on the way out is not copied.
func (n *Network) mirrorLayer(p *Port) vfp.Layer {
	l := vfp.Layer{Name: "VNET_MIRROR_LAYER", Priority: MirrorPriority}
	for _, dir := range [2]vfp.Dir{vfp.Out, vfp.In} {
		g := vfp.Group{Name: "VNET_GROUP_MIRROR_" + dir.String(), Dir: dir}
		if p.Sink && dir == vfp.In {
			g.Rules = append(g.Rules, vfp.Rule{ID: "MIRROR_SINK", Priority: 10,
				Match:  vfp.Match{Func: n.ordinary(p), Note: "no copy of another NIC's traffic"},
				Action: vfp.Block{}, Terminating: true, Cite: "SDN-12"})
		}
		for i := range p.Mirrors {
			m := p.Mirrors[i]
			r := vfp.Rule{ID: "MIRROR_" + m.To.Addr.String(), Priority: 100 + uint16(i), Match: m.Rule, Action: mirror{n, *p, m}, Cite: "SDN-12"}
			r.Match.Func, r.Match.Note = concerns(m.CAs, dir), "monitored address"
			g.Rules = append(g.Rules, r)
		}
		if len(g.Rules) > 0 {
			l.Groups = append(l.Groups, g)
		}
	}
	return l
}

// ordinary: a packet for the NIC itself, which mirrored packets are not.
func (n *Network) ordinary(p *Port) func(*vfp.Walk) bool {
	return func(w *vfp.Walk) bool { return !w.H.Dst.IsValid() || slices.Contains(p.CAs, w.H.Dst) }
}

// concerns: the packet's near end is one of the addresses.
func concerns(cas []netip.Addr, dir vfp.Dir) func(*vfp.Walk) bool {
	return func(w *vfp.Walk) bool {
		near := w.H.Src
		if dir == vfp.In {
			near = w.H.Dst
		}
		return near.IsValid() && slices.Contains(cas, near)
	}
}

type mirror struct {
	n *Network
	p Port
	m Mirror
}

func (mirror) Name() string { return "mirror" }

// Apply sends the copy to the appliance's NIC under its MAC, which is how its
// host finds it.
func (a mirror) Apply(w *vfp.Walk) vfp.Outcome {
	w.NoCache = true
	h := w.H
	h.EthDst = a.m.To.MAC
	c := a.n.copyTo(h, a.p.PA, &a.m.To)
	c.Raw = true
	w.Copies = append(w.Copies, c)
	return vfp.Continue
}
