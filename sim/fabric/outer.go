package fabric

import (
	"fmt"
	"net/netip"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/vswitch"
	"github.com/hnsim/hnsim/sim/wire"
)

// OuterConfig describes the virtual switch of a physical machine on which a
// host runs as a VM.
type OuterConfig struct {
	Name    string
	Segment string // where the switch's external port is plugged in; empty: DefaultSegment
	MAC     wire.MAC
	// VM is the MAC that the VM's adapter has been assigned.
	VM          wire.MAC
	MACSpoofing bool // the VM may use other MACs too (rules VS-20, TR-02)
	MTU         int
	// CAs, when there are any, make the switch one of a tenant network
	// (l2tunnel): they are the addresses that belong to the VM's port.
	CAs []netip.Addr
	// ACLs of the VM's port. Direction is relative to the VM.
	ACLs []vswitch.ExtACL
	// Limits of what the VM sends from one of its addresses each (rule SDN-19).
	Limits []vswitch.AddrLimit
	// Intercept, when not 0, is the UDP port of an overlay that the machine's
	// own virtualization runs: it takes every packet to that port for its own
	// and drops it, as it knows none of the VM's networks (rule OV-26).
	Intercept uint16
	// NoFlowCache and Trace are what they are for a host.
	NoFlowCache bool
	Trace       func(id uint64) *vfp.Trace
}

// Outer is a physical machine with one virtual switch and one VM on it. The
// VM's NIC is to be plugged into Segment, a wire with nothing else on it, so
// that everything that the VM sends passes the switch's port security.
//
//	VM ── Segment ── [vm port: outer switch: external port] ── OuterConfig.Segment
//
// With CAs the switch treats the port as a tenant's (rules L2T-02, L2T-05): it
// answers ARP for the CAs itself, drops IPv4 packets from an address that is
// not one of them, and sends back what goes to one of them, with the VM's MAC.
// So a sibling on the same VM is reached by way of the physical machine's
// policy.
//
// Not modelled: more than one VM, the physical machine's own stack,
// encapsulation towards other physical machines (packets for addresses that
// are not CAs leave as they are), neighbour discovery and source checks for
// IPv6 CAs.
type Outer struct {
	net      *Net
	cfg      OuterConfig
	sw       *vswitch.Switch
	batch    vfp.Batch
	vm, wire *NIC
	tally    tally
}

const (
	outerVMPort   vfp.PortID = 1
	outerWirePort vfp.PortID = 2
	outerZone                = 1
)

// routerMAC is what tenants see their gateway and each other at, as on Azure
// (constants table of the contract).
var routerMAC = wire.MAC{0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc}

// AddOuter makes the machine. The VM is added afterwards, with a NIC on the
// returned Outer's Segment.
func (w *Net) AddOuter(cfg OuterConfig) (*Outer, error) {
	if cfg.Segment == "" {
		cfg.Segment = DefaultSegment
	}
	if cfg.MTU <= 0 {
		cfg.MTU = DefaultMTU
	}
	o := &Outer{net: w, cfg: cfg, sw: vswitch.New()}
	o.sw.SetFlowCache(!cfg.NoFlowCache)
	if err := o.sw.Apply(o.program()); err != nil {
		return nil, fmt.Errorf("outer switch %s: %w", cfg.Name, err)
	}
	var err error
	o.wire, err = w.AddNIC(cfg.Segment, NICConfig{
		Node: cfg.Name, Name: "wire", MAC: cfg.MAC, MTU: cfg.MTU,
		Receive: func(now int64, f []byte, id uint64) { o.enter(now, outerWirePort, f, id) },
	})
	if err != nil {
		return nil, err
	}
	o.vm, err = w.AddNIC(o.Segment(), NICConfig{
		Node: cfg.Name, Name: "vm", MTU: cfg.MTU,
		Receive: func(now int64, f []byte, id uint64) { o.enter(now, outerVMPort, f, id) },
	})
	if err != nil {
		w.RemoveNIC(o.wire)
		return nil, err
	}
	w.outers = append(w.outers, o)
	return o, nil
}

// Segment is the name of the segment between the VM and the switch.
func (o *Outer) Segment() string { return o.cfg.Name + "/vm" }

// Name is the machine's name: drops at the switch, and frames on its two
// wires, "vm" and "wire", are observed under it.
func (o *Outer) Name() string { return o.cfg.Name }

// NIC is "vm", the end of the VM's wire, or "wire", the physical NIC.
func (o *Outer) NIC(name string) *NIC {
	for _, n := range []*NIC{o.vm, o.wire} {
		if n.Name() == name {
			return n
		}
	}
	return nil
}

// SetMACSpoofing changes the setting of the VM's port.
func (o *Outer) SetMACSpoofing(on bool) error {
	o.cfg.MACSpoofing = on
	return o.sw.Apply(o.program())
}

// SetCAs changes the addresses that belong to the VM's port.
func (o *Outer) SetCAs(cas []netip.Addr) error {
	o.cfg.CAs = append([]netip.Addr(nil), cas...)
	return o.sw.Apply(o.program())
}

// SetACLs changes the ACLs of the VM's port.
func (o *Outer) SetACLs(acls []vswitch.ExtACL) error {
	old := o.cfg.ACLs
	o.cfg.ACLs = append([]vswitch.ExtACL(nil), acls...)
	if err := o.sw.Apply(o.program()); err != nil {
		o.cfg.ACLs = old
		return err
	}
	return nil
}

// SetLimits changes the bandwidth limits of the VM's addresses.
func (o *Outer) SetLimits(limits []vswitch.AddrLimit) error {
	o.cfg.Limits = append([]vswitch.AddrLimit(nil), limits...)
	return o.sw.Apply(o.program())
}

// SetIntercept changes the UDP port that the machine takes for its own
// overlay's; 0 is none.
func (o *Outer) SetIntercept(port uint16) error {
	o.cfg.Intercept = port
	return o.sw.Apply(o.program())
}

func (o *Outer) program() *vswitch.Config {
	vm := vswitch.PortConfig{
		ID: outerVMPort, Name: "vm", Kind: vswitch.EndpointPort, MAC: o.cfg.VM, Zone: outerZone,
		MACSpoofing: o.cfg.MACSpoofing, ExtACLs: o.cfg.ACLs, Limits: o.cfg.Limits,
	}
	if len(o.cfg.CAs) > 0 {
		vm.Program = tenantProgram(o.cfg.VM, o.cfg.CAs)
	}
	if o.cfg.Intercept != 0 {
		if vm.Program == nil {
			vm.Program = &vfp.Program{}
		}
		vm.Program.Layers = append(vm.Program.Layers, interceptLayer(o.cfg.Intercept))
	}
	return &vswitch.Config{
		Name: o.cfg.Name, Kind: vswitch.External, VFP: vm.Program != nil, MTU: o.cfg.MTU,
		Ports: []vswitch.PortConfig{vm, {ID: outerWirePort, Name: "wire", Kind: vswitch.ExternalPort}},
	}
}

// tenantProgram is the VFP policy of a port that owns customer addresses.
func tenantProgram(vm wire.MAC, cas []netip.Addr) *vfp.Program {
	var own []netip.Prefix
	for _, a := range cas {
		own = append(own, netip.PrefixFrom(a, a.BitLen()))
	}
	// A VM that has no address yet may ask for one.
	senders := append([]netip.Prefix{netip.PrefixFrom(netip.IPv4Unspecified(), 32)}, own...)
	mac := routerMAC
	group := func(name string, priority uint16, f vfp.Family, rules ...vfp.Rule) vfp.Group {
		return vfp.Group{Name: name, Dir: vfp.Out, Family: f, Priority: priority, Rules: rules}
	}
	source := func(name string, priority uint16, f vfp.Family) vfp.Group {
		return group(name, priority, f,
			vfp.Rule{ID: "CA_OWNED", Priority: 100, Match: vfp.Match{Src: senders}, Action: vfp.Allow{}, Cite: "L2T-05"},
			vfp.Rule{ID: "CA_FOREIGN", Priority: 200, Action: vfp.Block{}, Terminating: true, Cite: "L2T-05"})
	}
	back := func(name string, f vfp.Family) vfp.Group {
		return group(name, 100, f, vfp.Rule{
			ID: "CA_HAIRPIN", Priority: 100, Match: vfp.Match{Dst: own}, Action: hairpinTo{vm, mac}, Cite: "L2T-02",
		})
	}
	return &vfp.Program{Layers: []vfp.Layer{
		{Name: "VNET_SOURCE_LAYER", Priority: 100, Groups: []vfp.Group{
			source("VNET_SOURCE_IPV4_OUT", 100, vfp.IPv4),
			group("VNET_ARP_OUT", 200, vfp.NonIP, vfp.Rule{
				ID: "CA_ARP", Priority: 100, Match: vfp.Match{EtherType: wire.EtherTypeARP}, Action: caARP{cas, mac}, Cite: "L2T-02",
			}),
		}},
		{Name: "VNET_HAIRPIN_LAYER", Priority: 200, Groups: []vfp.Group{
			back("VNET_HAIRPIN_IPV4_OUT", vfp.IPv4), back("VNET_HAIRPIN_IPV6_OUT", vfp.IPv6),
		}},
	}}
}

// interceptLayer drops what looks like the machine's own overlay, both ways.
func interceptLayer(port uint16) vfp.Layer {
	l := vfp.Layer{Name: "VNET_INTERCEPT_LAYER", Priority: 300}
	for _, dir := range [2]vfp.Dir{vfp.Out, vfp.In} {
		for _, family := range [2]vfp.Family{vfp.IPv4, vfp.IPv6} {
			l.Groups = append(l.Groups, vfp.Group{
				Name: fmt.Sprintf("VNET_INTERCEPT_%d_%s", family, dir), Dir: dir, Family: family, Priority: 100,
				Rules: []vfp.Rule{{
					ID: "VXLAN_INTERCEPT", Priority: 100, Terminating: true, Cite: "OV-26",
					Match:  vfp.Match{Protos: []uint8{wire.ProtoUDP}, DstPorts: []vfp.PortRange{{Lo: port, Hi: port}}},
					Action: vfp.Block{Reason: vfp.DropUnknownVni},
				}},
			})
		}
	}
	return l
}

// hairpinTo sends a packet back to the VM from the tenant's router.
type hairpinTo struct{ vm, router wire.MAC }

func (hairpinTo) Name() string { return "hairpin" }

func (a hairpinTo) Apply(w *vfp.Walk) vfp.Outcome {
	w.H.EthSrc, w.H.EthDst = a.router, a.vm
	w.Fwd = vfp.Forward{Kind: vfp.Hairpin}
	return vfp.Continue
}

// caARP answers requests for CAs; requests for other addresses go on. ARP is
// no flow, so no answer is cached.
type caARP struct {
	cas []netip.Addr
	mac wire.MAC
}

func (caARP) Name() string { return "arpproxy" }

func (a caARP) Apply(w *vfp.Walk) vfp.Outcome {
	w.NoCache = true
	arp, ok := wire.ARPOf(w.Frame, w.Meta)
	if !ok || arp.Op() != wire.ARPRequest || arp.SenderIP() == arp.TargetIP() {
		return vfp.Continue
	}
	for _, ca := range a.cas {
		if ca == arp.TargetAddr() {
			w.Replies = append(w.Replies, arp.Answer(a.mac))
			return vfp.Stop
		}
	}
	return vfp.Continue
}

// enter runs one frame through the switch.
func (o *Outer) enter(now int64, port vfp.PortID, frame []byte, id uint64) {
	b := &o.batch
	b.Now, b.N, b.Trace = now, 1, nil
	if o.cfg.Trace != nil {
		b.Trace = o.cfg.Trace(id)
	}
	p := &b.Pkts[0]
	p.Reset(frame)
	p.ID, p.InPort = id, port
	o.tally.in++
	o.sw.Process(b, o)
}

// Deliver takes a frame that leaves the switch (vswitch.Sink).
func (o *Outer) Deliver(now int64, port vfp.PortID, p *vfp.Packet) {
	o.tally.delivered++
	if port == outerVMPort {
		o.vm.Send(now, p.Bytes(), p.ID)
		return
	}
	o.wire.Send(now, p.Bytes(), p.ID)
}

// Dropped reports what the switch dropped (vswitch.Sink).
func (o *Outer) Dropped(now int64, port vfp.PortID, p *vfp.Packet) {
	o.tally.dropped++
	name := "vm"
	if port == outerWirePort {
		name = "wire"
	}
	o.net.dropAt(now, o.cfg.Name, name, p.Reason, p.Bytes(), p.ID)
}
