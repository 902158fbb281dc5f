package vnet

import (
	"net/netip"
	"slices"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// Machine is where a virtual machine's NIC is, and how it is reached.
type Machine struct {
	MAC  wire.MAC
	VSID uint32
	PA   netip.Addr // of its host
	Kind vfp.EncapKind
}

// VirtualFlow is one direction of a flow between virtual addresses, as it passes
// between the hosts.
type VirtualFlow struct {
	Proto    uint8
	Src, Dst netip.AddrPort
}

// Bounds of what a host remembers of such flows.
const (
	directIdle = vfp.DefaultIdle
	maxDirects = 1 << 16
)

// Directs are the flows between virtual addresses that a host sends to the other
// machine's host directly, since a multiplexer has told it where they end (rule
// SDN-14). There is one for a host, whatever programs it gets; it belongs to the
// event loop.
type Directs struct{ flows map[VirtualFlow]*direct }

type direct struct {
	from, to Machine
	seen     int64
}

// NewDirects makes an empty table.
func NewDirects() *Directs { return &Directs{flows: map[VirtualFlow]*direct{}} }

// Learn notes that a flow which from sends ends at to. What does not fit is
// forgotten: its packets go through multiplexers, as before.
func (d *Directs) Learn(now int64, f VirtualFlow, from, to Machine) {
	if len(d.flows) >= maxDirects {
		for k, v := range d.flows { // the order means nothing: all that are idle go
			if now-v.seen >= directIdle {
				delete(d.flows, k)
			}
		}
	}
	if len(d.flows) < maxDirects {
		d.flows[f] = &direct{from, to, now}
	}
}

// find is where a flow of from's ends.
func (d *Directs) find(now int64, f VirtualFlow, from Machine) (Machine, bool) {
	v := d.flows[f]
	switch {
	case v == nil:
		return Machine{}, false
	case now-v.seen >= directIdle:
		delete(d.flows, f)
		return Machine{}, false
	case v.from != from:
		return Machine{}, false
	}
	v.seen = now
	return v.to, true
}

// EastWest is what a port needs to know about flows between virtual addresses.
type EastWest struct {
	Flows    *Directs
	Virtual  map[netip.Addr]bool    // all virtual addresses
	Machines map[Machine]vfp.PortID // all that the host knows, with their ports here; 0 on other hosts
}

// concerns: the packet speaks for a virtual address and goes to one.
func (e *EastWest) concerns(p *Port, n *Network) func(*vfp.Walk) bool {
	outside := p.speaksOutside(n)
	return func(w *vfp.Walk) bool { return e.Virtual[w.H.Dst] && outside(w) }
}

// eastWest sends a packet between virtual addresses to the physical gateway,
// which takes it to a multiplexer, until that has told where the flow ends.
type eastWest struct {
	n *Network
	p Port
}

func (eastWest) Name() string { return "redirect" }

func (a eastWest) Apply(w *vfp.Walk) vfp.Outcome {
	w.NoCache = true // what is known changes without a new program
	w.Fwd = vfp.Forward{Kind: vfp.ToPA}
	if w.H.Proto != wire.ProtoTCP && w.H.Proto != wire.ProtoUDP {
		return vfp.Continue
	}
	f := VirtualFlow{w.H.Proto, netip.AddrPortFrom(w.H.Src, w.H.SrcPort), netip.AddrPortFrom(w.H.Dst, w.H.DstPort)}
	to, ok := a.p.EastWest.Flows.find(w.Now, f, Machine{a.p.MAC, a.p.VSID, a.p.PA, a.n.cfg.Kind})
	port, known := a.p.EastWest.Machines[to]
	if !ok || !known {
		return vfp.Continue
	}
	w.H.EthSrc, w.H.EthDst, w.Zone = a.n.cfg.DRMAC, to.MAC, to.VSID
	switch port {
	case 0:
		w.Encap = a.n.encap(to.Kind, &w.H, a.p.PA, to.PA, to.VSID)
	case a.p.ID:
		w.Fwd = vfp.Forward{Kind: vfp.Hairpin}
	default:
		w.Fwd = vfp.Forward{Kind: vfp.ToPort, Port: port}
	}
	return vfp.Continue
}

// directRules go in front of the one that sends to the physical gateway.
func (n *Network) directRules(p *Port) []vfp.Rule {
	if p.EastWest.Flows == nil || len(p.EastWest.Virtual) == 0 {
		return nil
	}
	return []vfp.Rule{{ID: "EAST_WEST", Priority: 190, Match: vfp.Match{Func: p.EastWest.concerns(p, n), Note: "between virtual addresses"},
		Action: eastWest{n, *p}, Terminating: true, Cite: "SDN-14"}}
}

// speaksOutside: the packet is about to leave as it is, by DIRECT or PUBLIC.
func (p *Port) speaksOutside(n *Network) func(w *vfp.Walk) bool {
	also := p.Also
	return func(w *vfp.Walk) bool {
		return translated(w) || n.leaves(w) && slices.Contains(also, w.H.Src)
	}
}
