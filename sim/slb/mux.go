package slb

import (
	"fmt"
	"net/netip"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// Machine is where a MUX finds the machine behind a virtual address: its MAC,
// its host's provider address and the VSID of its subnet.
type Machine struct {
	Addr netip.Addr // DIP
	MAC  wire.MAC
	PA   netip.Addr
	VSID uint32
	Kind vfp.EncapKind
}

// MuxService is a virtual address, protocol and port that a MUX spreads over
// machines (rule SDN-13).
type MuxService struct {
	ID       string // unique, stable over recompilation
	VIP      netip.Addr
	Proto    uint8
	Port     uint16
	Dist     Distribution
	Idle     int64 // ns; 0: VFP's default
	Machines []Machine
	// Draining machines keep the flows that they have (rule SDN-18).
	Draining []Machine
}

// MuxOwner is a part of a virtual address that belongs to one machine: ports
// leased for its outbound NAT, an inbound NAT rule, a public address.
type MuxOwner struct {
	ID    string
	VIP   netip.Addr
	Proto uint8         // 0: all
	Ports vfp.PortRange // zero: all
	To    Machine
}

// Mux is what a multiplexer does with the packets that routers send it.
type Mux struct {
	PA       netip.Addr // its own
	OuterTTL uint8      // 0: 128
	Services []MuxService
	Owners   []MuxOwner
	VIPs     []netip.Addr // all that it announces; what nobody has there is dropped
	// Redirect, if set, is told where a flow between two machines behind virtual
	// addresses ends, once it has been set up: their hosts need no multiplexer for
	// the rest of it (rule SDN-14). It is called while a packet is under way.
	Redirect func(now int64, r Redirect)
}

// Redirect says which machines a flow between virtual addresses joins.
type Redirect struct {
	Proto    uint8
	Src, Dst netip.AddrPort // of the side that began
	From, To Machine
}

// Priorities of the MUX's layers and groups.
const (
	muxEncapPriority = 400
	prioService      = 100
	prioOwner        = 200
	prioNobody       = 300
)

// MuxLayers are the layers of a MUX's external port. The packet inside stays as
// it came, virtual address included: the machine's host translates it, so that
// the answer need not come back this way (rule SDN-14). The machine is known by
// its MAC, which is unique, from the first layer to the second.
func MuxLayers(m Mux) []vfp.Layer {
	enc := &muxEncap{m: m, by: map[wire.MAC]Machine{}, owners: map[netip.Addr][]MuxOwner{}, services: map[key]bool{}}
	if enc.m.OuterTTL == 0 {
		enc.m.OuterTTL = 128
	}
	var nobody []netip.Prefix
	for _, a := range m.VIPs {
		nobody = append(nobody, single(a))
	}
	service := vfp.Group{Name: "SLB_GROUP_LB_IPv4_OUT", Dir: vfp.Out, Family: vfp.IPv4}
	for i := range m.Services {
		service.Rules = append(service.Rules, m.Services[i].rule())
		enc.know(m.Services[i].Machines...)
		enc.know(m.Services[i].Draining...)
		enc.services[key{m.Services[i].VIP, m.Services[i].Proto, m.Services[i].Port}] = true
	}
	for i := range m.Owners {
		service.Rules = append(service.Rules, m.Owners[i].rule())
		enc.know(m.Owners[i].To)
		enc.owners[m.Owners[i].VIP] = append(enc.owners[m.Owners[i].VIP], m.Owners[i])
	}
	service.Rules = append(service.Rules, vfp.Rule{ID: "LB_NOBODY", Priority: prioNobody, Match: vfp.Match{Dst: nobody, Never: len(nobody) == 0},
		Action: vfp.Block{Reason: vfp.DropNoMapping}, Terminating: true, Cite: "SDN-13"})
	return []vfp.Layer{
		{Name: "SLB_LB_LAYER", Priority: LayerPriority, Reconcile: vfp.KeepWhileRule, Groups: []vfp.Group{service}},
		{Name: "SLB_ENCAP_LAYER", Priority: muxEncapPriority, Groups: []vfp.Group{{Name: "SLB_GROUP_ENCAP_IPv4_OUT", Dir: vfp.Out, Family: vfp.IPv4, Rules: []vfp.Rule{{
			ID: "LB_ENCAP", Match: vfp.Match{Func: enc.chosen, Note: "machine chosen"}, Action: enc, Terminating: true, Cite: "SDN-13",
		}}}}},
	}
}

func single(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

func (s *MuxService) rule() vfp.Rule {
	id := fmt.Sprintf("LB_%s_%s_%d_%d", s.ID, s.VIP, s.Port, s.Proto)
	p := &muxPick{s: s}
	r := vfp.Rule{
		ID: id, Priority: prioService, Action: p, Terminating: true, Stateful: true, OneWay: true, Idle: s.Idle, Cite: "SDN-13",
		Match: vfp.Match{Protos: []uint8{s.Proto}, Dst: []netip.Prefix{single(s.VIP)}, DstPorts: []vfp.PortRange{{Lo: s.Port, Hi: s.Port}}, Never: len(s.Machines) == 0},
	}
	for _, m := range s.Machines {
		p.targets = append(p.targets, id+"#"+m.Addr.String())
	}
	r.Targets = append(r.Targets, p.targets...)
	for _, m := range s.Draining {
		r.Targets = append(r.Targets, id+"#"+m.Addr.String())
	}
	return r
}

func (o *MuxOwner) rule() vfp.Rule {
	r := vfp.Rule{ID: "LB_OWNER_" + o.ID, Priority: prioOwner, Terminating: true, Cite: "SDN-13",
		Match: vfp.Match{Dst: []netip.Prefix{single(o.VIP)}}, Action: vfp.SetHeaders{EthDst: &o.To.MAC}}
	if o.Proto != 0 {
		r.Match.Protos = []uint8{o.Proto}
	}
	if o.Ports != (vfp.PortRange{}) {
		r.Match.DstPorts = []vfp.PortRange{o.Ports}
	}
	return r
}

// muxPick chooses a machine for a flow. Every MUX chooses the same one, by the
// hash, as long as they know the same machines (rule SDN-13).
type muxPick struct {
	s       *MuxService
	targets []string
}

func (*muxPick) Name() string { return "lbpick" }

func (a *muxPick) Apply(w *vfp.Walk) vfp.Outcome {
	i := a.s.Dist.Pick(&w.H, len(a.s.Machines))
	w.Target, w.H.EthDst = a.targets[i], a.s.Machines[i].MAC
	return vfp.Continue
}

// muxEncap sends the packet to the chosen machine's host.
type muxEncap struct {
	m  Mux
	by map[wire.MAC]Machine
	// Who speaks for a virtual address: a service's port has many machines, the
	// rest one.
	owners   map[netip.Addr][]MuxOwner
	services map[key]bool
}

func (e *muxEncap) know(ms ...Machine) {
	for _, m := range ms {
		e.by[m.MAC] = m
	}
}

func (e *muxEncap) chosen(w *vfp.Walk) bool {
	_, ok := e.by[w.H.EthDst]
	return ok && w.H.EthDst != w.In.EthDst
}

func (*muxEncap) Name() string { return "encap" }

func (e *muxEncap) Apply(w *vfp.Walk) vfp.Outcome {
	to := e.by[w.H.EthDst]
	e.redirect(w, to)
	hash := w.H.FlowHash()
	w.Encap = vfp.Encap{Kind: to.Kind, Src: e.m.PA, Dst: to.PA, VNI: to.VSID, TTL: e.m.OuterTTL}
	if to.Kind == vfp.NVGRE {
		w.Encap.FlowID = uint8(hash)
	} else {
		w.Encap.SrcPort, w.Encap.DstPort = wire.EntropyPort(hash), wire.VXLANPort
	}
	w.Fwd = vfp.Forward{Kind: vfp.ToPA}
	return vfp.Continue
}

// redirect tells where a flow from another machine ends. A connection has been
// set up when its machine sends something without SYN; of other flows the first
// packet will do.
func (e *muxEncap) redirect(w *vfp.Walk, to Machine) {
	from, ok := e.speaker(&w.H)
	if !ok || e.m.Redirect == nil {
		return
	}
	w.NoCache = true // every packet is looked at until they come no more
	if w.H.Proto == wire.ProtoTCP && w.Meta.TCPFlags&wire.TCPSyn != 0 {
		return
	}
	e.m.Redirect(w.Now, Redirect{Proto: w.H.Proto, From: from, To: to,
		Src: netip.AddrPortFrom(w.H.Src, w.H.SrcPort), Dst: netip.AddrPortFrom(w.H.Dst, w.H.DstPort)})
}

// speaker is the one machine that sends from the packet's source.
func (e *muxEncap) speaker(h *vfp.Header) (Machine, bool) {
	if h.Proto != wire.ProtoTCP && h.Proto != wire.ProtoUDP || e.services[key{h.Src, h.Proto, h.SrcPort}] {
		return Machine{}, false
	}
	for _, o := range e.owners[h.Src] {
		all := o.Ports == vfp.PortRange{}
		if (o.Proto == 0 || o.Proto == h.Proto) && (all || h.SrcPort >= o.Ports.Lo && h.SrcPort <= o.Ports.Hi) {
			return o.To, true
		}
	}
	return Machine{}, false
}
