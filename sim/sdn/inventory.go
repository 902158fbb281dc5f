package sdn

import (
	"net/netip"

	"github.com/hnsim/hnsim/sim/fabric"
	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/wire"
)

// VM is a virtual machine's NIC on a physical host.
type VM struct {
	Name string // as fabric.Host.PlugVM knows it
	MAC  wire.MAC
}

// HostInfo is a physical host as the compiler needs to know it.
type HostInfo struct {
	Name    string
	Adapter string // the physical NIC
	MAC     wire.MAC
	MTU     int
	PAs     []netip.Prefix // one for each team member (rule SDN-08)
	Gateway netip.Addr     // of the provider network; may be invalid
	VMs     []VM
	// Management is the address of the host's own vNIC; zero: it has none.
	Management    netip.Prefix
	ManagementMAC wire.MAC
}

// MuxInfo is a multiplexer's machine.
type MuxInfo struct {
	Name    string
	Adapter string
	MAC     wire.MAC
	MTU     int
	Addrs   []netip.Prefix
	Gateway netip.Addr
	Down    bool // it announces nothing
}

// Inventory is what there is.
type Inventory struct {
	Hosts []HostInfo
	Muxes []MuxInfo
}

// Announcement is a route to a virtual address through a multiplexer, which a
// router learns by BGP (rule SDN-13).
type Announcement struct {
	Router netip.Addr // an address of the router
	VIP    netip.Addr
	Via    netip.Addr
}

// Plan is what the fabric is to be.
type Plan struct {
	Hosts  map[string]*fabric.HostProgram // physical hosts and multiplexers, by name
	Routes []Announcement                 // in a fixed order
	Probes []ProbeTask
}

// ProbeTask is a probe that a host is to send (rule SDN-18).
type ProbeTask struct {
	Key         string // probe and IP configuration
	Host        string
	Compartment uint32 // of the agent whose stack sends it
	From, To    netip.Addr
	Probe       *Probe
}

// Options are the knobs that concern the controller.
type Options struct {
	OuterTTL          uint8
	OuterDF           bool
	DSCPCopy, ECNCopy bool
	DecTTL            bool
	FirstOutbound     bool // of several outbound NAT rules the first works (rule SDN-15)
	LastInbound       bool // of several inbound NAT rules on one NIC the last works (rule SDN-16)
}

// OptionsOf reads a profile's knobs.
func OptionsOf(p *hcn.Profile) Options {
	k := &p.Knobs
	return Options{
		OuterTTL: uint8(k.OuterTTL), OuterDF: k.OuterDF, DSCPCopy: k.DSCPCopy, ECNCopy: k.ECNCopy, DecTTL: k.DRDecrementsTTL,
		FirstOutbound: k.SDNOutboundRules == "first", LastInbound: k.SDNInboundRules == "last",
	}
}
