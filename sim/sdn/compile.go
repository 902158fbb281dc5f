package sdn

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"github.com/hnsim/hnsim/sim/fabric"
	"github.com/hnsim/hnsim/sim/qos"
	"github.com/hnsim/hnsim/sim/slb"
	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/vnet"
	"github.com/hnsim/hnsim/sim/vswitch"
	"github.com/hnsim/hnsim/sim/wire"
)

// The switch of a physical host and its ports.
const (
	SwitchName = "sdnswitch"

	wirePort     vfp.PortID = 1
	paPort       vfp.PortID = 2
	mgmtPort     vfp.PortID = 3
	metadataPort vfp.PortID = 4
	firstVMPort  vfp.PortID = 100
	firstAgent   vfp.PortID = 10000 // also the end of the machines' ports
	// maxSubnets have an agent each. There are numbers for those of two plans, since
	// the old ones are forgotten when the new ones have theirs.
	maxSubnets = 25000

	// PACompartment has the provider addresses, apart from the host's own
	// network (rule CMP-12).
	PACompartment    = 2
	firstCompartment = 100 // of agents
)

// Addresses that are the same on every host.
var (
	// DRMAC is the distributed router's (rule SDN-06).
	DRMAC = wire.MAC{0x40, 0x1d, 0xd8, 0xb7, 0x1c, 0x06}
	// The metadata service (rule SDN-03).
	metadataMAC  = wire.MAC{0x22, 0x22, 0x22, 0x22, 0x22, 0x22}
	metadataAddr = netip.AddrFrom4([4]byte{169, 254, 169, 254})
)

const metadataTCP = 6642

// Compiler makes plans. It remembers what must stay the same from plan to plan:
// numbers of ports, leases and their pools, limits of bandwidth.
type Compiler struct {
	Options Options
	// Healthy says whether a machine gets new flows of rules with a probe; the
	// key is ProbeTask.Key. nil: always.
	Healthy func(key string) bool
	// Redirect is told by multiplexers where a flow between virtual addresses ends;
	// it is to call Learn when no packet is under way. nil: such flows always pass
	// multiplexers.
	Redirect func(now int64, r slb.Redirect)

	ports   map[string]*numbers // of virtual machines, by host
	agents  *numbers            // by VSID
	leases  map[leaseKey]int
	pools   map[poolKey]*vfp.NATPool
	inUse   map[poolKey]bool
	leased  map[leaseKey]bool
	shapers map[string]*qos.Shaper
	shaped  map[string]bool              // limits of this plan
	directs map[netip.Addr]*vnet.Directs // by provider address
}

// NewCompiler makes a compiler without memory.
func NewCompiler(o Options) *Compiler {
	return &Compiler{Options: o, ports: map[string]*numbers{}, agents: newNumbers(firstAgent, firstAgent+2*maxSubnets),
		leases: map[leaseKey]int{}, pools: map[poolKey]*vfp.NATPool{}, shapers: map[string]*qos.Shaper{}, directs: map[netip.Addr]*vnet.Directs{}}
}

// place is where an interface's machine runs.
type place struct {
	host *HostInfo
	port vfp.PortID
	pa   netip.Addr
}

// compilation is one run of the compiler.
type compilation struct {
	c      *Compiler
	m      *Model
	inv    *Inventory
	places map[*Interface]place
	plan   *Plan
	// virtual are all virtual addresses, ascending and as a set.
	virtual    []netip.Addr
	virtualSet map[netip.Addr]bool
	eastWest   map[string]map[vnet.Machine]vfp.PortID // machines as a host sees them
}

// Compile makes the plan for a model.
func (c *Compiler) Compile(m *Model, inv *Inventory) (*Plan, error) {
	k := &compilation{c: c, m: m, inv: inv, places: map[*Interface]place{}, plan: &Plan{Hosts: map[string]*fabric.HostProgram{}},
		virtual: m.Virtual(), virtualSet: map[netip.Addr]bool{}, eastWest: map[string]map[vnet.Machine]vfp.PortID{}}
	for _, a := range k.virtual {
		k.virtualSet[a] = true
	}
	c.inUse, c.leased, c.shaped = map[poolKey]bool{}, map[leaseKey]bool{}, map[string]bool{}
	for i := range inv.Hosts {
		if err := k.locate(&inv.Hosts[i]); err != nil {
			return nil, err
		}
	}
	if err := k.lease(); err != nil {
		return nil, err
	}
	for i := range inv.Hosts {
		p, err := k.host(&inv.Hosts[i])
		if err != nil {
			return nil, err
		}
		k.plan.Hosts[inv.Hosts[i].Name] = p
	}
	for i := range inv.Muxes {
		k.plan.Hosts[inv.Muxes[i].Name] = k.mux(&inv.Muxes[i])
	}
	k.announce()
	k.forget()
	return k.plan, nil
}

// locate numbers a host's machines and finds their interfaces by MAC.
func (k *compilation) locate(h *HostInfo) error {
	if len(k.m.Providers) > 0 && k.m.HasServer(h.Name) {
		for _, p := range h.PAs {
			if !slices.ContainsFunc(k.m.Providers, func(o netip.Prefix) bool { return o.Contains(p.Addr()) }) {
				return conflict("", "provider address %s of host %s is in no subnet of a logical network with networkVirtualizationEnabled", p.Addr(), h.Name)
			}
		}
	}
	if k.c.ports[h.Name] == nil {
		k.c.ports[h.Name] = newNumbers(firstVMPort, firstAgent)
	}
	for _, vm := range h.VMs {
		id, ok := k.c.ports[h.Name].get(vm.Name)
		if !ok {
			return conflict("", "host %s has no port left: it takes %d machines at most", h.Name, firstAgent-firstVMPort)
		}
		for _, n := range k.m.NICs {
			if n.MAC == vm.MAC && len(h.PAs) > 0 {
				k.places[n] = place{h, id, h.PAs[int(id)%len(h.PAs)].Addr()}
			}
		}
	}
	return nil
}

// nicOf is the interface of a machine, or nil.
func (k *compilation) nicOf(mac wire.MAC) *Interface {
	for _, n := range k.m.NICs {
		if n.MAC == mac {
			return n
		}
	}
	return nil
}

// agent is the port of the host agent in a subnet: the same on every host.
// numberSubnets has made sure that there are enough.
func (c *Compiler) agent(vsid uint32) vfp.PortID {
	id, _ := c.agents.get(strconv.FormatUint(uint64(vsid), 10))
	return id
}

func agentCompartment(port vfp.PortID) uint32 { return firstCompartment + uint32(port-firstAgent) }

// network compiles a virtual network as a host sees it.
func (k *compilation) network(n *VirtualNetwork, h *HostInfo, here map[*Subnet]bool) *vnet.Network {
	o := &k.c.Options
	cfg := vnet.Config{Name: n.Name, DRMAC: DRMAC, Kind: n.Kind, Options: vnet.Options{
		OuterTTL: o.OuterTTL, OuterDF: o.OuterDF, DSCPCopy: o.DSCPCopy, ECNCopy: o.ECNCopy, DecTTL: o.DecTTL,
	}}
	cfg.Provider = k.provider()
	for _, s := range n.Subnets {
		vs := vnet.Subnet{Prefix: s.Prefix, Gateway: s.Gateway, VSID: s.VSID}
		if here[s] {
			vs.Agent = k.c.agent(s.VSID)
		}
		for _, r := range s.Routes {
			vs.Routes = append(vs.Routes, vnet.Route{Prefix: r.Prefix, NextHop: r.NextHop, Local: r.Kind == "VnetLocal"})
		}
		cfg.Subnets = append(cfg.Subnets, vs)
	}
	for _, nic := range k.m.NICs {
		at, ok := k.places[nic]
		if !ok || nic.Subnet.Network != n {
			continue
		}
		for i, ip := range nic.IPs {
			cfg.CAs = append(cfg.CAs, ca(nic, ip.Addr, at, h, i == 0))
			if a := ip.routed(); a.IsValid() {
				cfg.CAs = append(cfg.CAs, ca(nic, a, at, h, false))
			}
		}
	}
	return vnet.New(cfg)
}

// provider are the networks that provider addresses are in: those of the
// documents, and those of hosts whose logical network has no document.
func (k *compilation) provider() []netip.Prefix {
	out := slices.Clone(k.m.Providers)
	for i := range k.inv.Hosts {
		for _, p := range k.inv.Hosts[i].PAs {
			if p = p.Masked(); !slices.Contains(out, p) {
				out = append(out, p)
			}
		}
	}
	return out
}

func ca(n *Interface, a netip.Addr, at place, h *HostInfo, first bool) vnet.CA {
	c := vnet.CA{Addr: a, MAC: n.MAC, VSID: n.Subnet.VSID, PA: at.pa, First: first}
	if at.host == h {
		c.Port = at.port
	}
	return c
}

// routed is the public address that the machine has itself, without NAT: one of
// the subnet (rule SDN-17).
func (c *IPConfig) routed() netip.Addr {
	if c.Public != nil && c.NIC.Subnet.Prefix.Contains(c.Public.Addr) {
		return c.Public.Addr
	}
	return netip.Addr{}
}

// host makes the program of a physical host.
func (k *compilation) host(h *HostInfo) (*fabric.HostProgram, error) {
	sw := fabric.SwitchProgram{Uplink: h.Adapter, Wire: wirePort, NextHops: PACompartment,
		Config: vswitch.Config{Name: SwitchName, Kind: vswitch.External, VFP: true, MTU: h.MTU}}
	here := map[*Subnet]bool{}
	var nets []*VirtualNetwork
	for _, vm := range h.VMs {
		n := k.nicOf(vm.MAC)
		if n == nil || !k.m.HasServer(h.Name) {
			continue
		}
		here[n.Subnet] = true
		if !slices.Contains(nets, n.Subnet.Network) {
			nets = append(nets, n.Subnet.Network)
		}
	}
	compiled := map[*VirtualNetwork]*vnet.Network{}
	var all []*vnet.Network
	for _, n := range nets {
		compiled[n] = k.network(n, h, here)
		all = append(all, compiled[n])
	}
	var pas []netip.Addr
	for _, p := range h.PAs {
		pas = append(pas, p.Addr())
	}
	prog := &fabric.HostProgram{}
	ports := []vswitch.PortConfig{
		{ID: wirePort, Name: "wire", Kind: vswitch.ExternalPort, Program: &vfp.Program{Layers: []vfp.Layer{vnet.WireLayer(all, pas, 0)}}},
		{ID: paPort, Name: "pa", Kind: vswitch.HostPort, MAC: h.MAC},
	}
	var behind []vnet.Port
	for _, vm := range h.VMs {
		pc, p, err := k.vmPort(h, vm, compiled)
		if err != nil {
			return nil, err
		}
		ports = append(ports, pc)
		sw.VMs = append(sw.VMs, fabric.VMPort{Port: pc.ID, VM: vm.Name})
		if p != nil {
			behind = append(behind, *p)
		}
	}
	prog.Interfaces = append(prog.Interfaces, &fabric.InterfaceProgram{Compartment: PACompartment, Name: "PAhostVNic", Switch: SwitchName, Port: paPort,
		MAC: h.MAC, MTU: h.MTU, Addrs: h.PAs, Routes: defaultRoute(h.Gateway), Uplink: h.Adapter})
	if h.Management.IsValid() {
		ports = append(ports, vswitch.PortConfig{ID: mgmtPort, Name: "mgmt", Kind: vswitch.HostPort, MAC: h.ManagementMAC})
		prog.Interfaces = append(prog.Interfaces, &fabric.InterfaceProgram{Compartment: fabric.HostCompartment, Name: "vEthernet (mgmt)", Switch: SwitchName,
			Port: mgmtPort, MAC: h.ManagementMAC, Addrs: []netip.Prefix{h.Management}})
	}
	ports = append(ports, vswitch.PortConfig{ID: metadataPort, Name: "metadata", Kind: vswitch.HostPort, MAC: metadataMAC,
		Program: &vfp.Program{Layers: []vfp.Layer{vnet.MetadataReturn(behind)}}})
	prog.Interfaces = append(prog.Interfaces, &fabric.InterfaceProgram{Compartment: fabric.HostCompartment, Name: "vEthernet (metadata)", Switch: SwitchName,
		Port: metadataPort, MAC: metadataMAC, Addrs: []netip.Prefix{netip.PrefixFrom(metadataAddr, 16)}})
	ports = append(ports, k.agents(prog, nets, compiled, here)...)
	sw.Config.Ports = ports
	prog.Switches = []fabric.SwitchProgram{sw}
	return prog, nil
}

func defaultRoute(gw netip.Addr) []fabric.Route {
	if !gw.IsValid() {
		return nil
	}
	return []fabric.Route{{Dst: netip.PrefixFrom(netip.IPv4Unspecified(), 0), Via: gw}}
}

// agents are the ports and interfaces of the host agent, one in each subnet
// that has machines here.
func (k *compilation) agents(prog *fabric.HostProgram, nets []*VirtualNetwork, compiled map[*VirtualNetwork]*vnet.Network, here map[*Subnet]bool) []vswitch.PortConfig {
	var ports []vswitch.PortConfig
	for _, n := range nets {
		for _, s := range n.Subnets {
			if !here[s] {
				continue
			}
			id := k.c.agent(s.VSID)
			vs := vnet.Subnet{Prefix: s.Prefix, Gateway: s.Gateway, VSID: s.VSID, Agent: id}
			ports = append(ports, vswitch.PortConfig{ID: id, Name: fmt.Sprintf("agent %d", s.VSID), Kind: vswitch.EndpointPort, MAC: DRMAC, Zone: s.VSID, Tunnelled: true,
				Program: &vfp.Program{Layers: compiled[n].AgentLayers(vs)}})
			prog.Interfaces = append(prog.Interfaces, &fabric.InterfaceProgram{Compartment: agentCompartment(id), Name: "agent", Switch: SwitchName, Port: id,
				MAC: DRMAC, Addrs: []netip.Prefix{netip.PrefixFrom(s.Gateway, s.Prefix.Bits())}})
		}
	}
	return ports
}
