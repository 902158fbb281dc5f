package fabric

import (
	"net/netip"

	"github.com/hnsim/hnsim/sim/fabric/ipstack"
	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/vswitch"
	"github.com/hnsim/hnsim/sim/winnat"
	"github.com/hnsim/hnsim/sim/wire"
)

// HostCompartment is the number of the host's own compartment (rule CMP-01).
const HostCompartment = 1

// HostProgram is the data plane that a host is to have: switches, interfaces
// and WinNAT. It is declarative; Host.Apply finds out what changed. Nothing
// reachable from it changes after it was applied.
type HostProgram struct {
	Switches   []SwitchProgram
	Interfaces []*InterfaceProgram // container NICs and host vNICs
	// Compartments exist with or without interfaces (rule CMP-07); one that an
	// interface names need not be listed.
	Compartments []CompartmentProgram
	NAT          *winnat.Config // nil: no WinNAT
	// LocalVIPs lists published ports that the host itself may use although
	// VFP, not WinNAT, publishes them (flag LocalRoutedVip, rule L2B-30).
	LocalVIPs []LocalVIP
	// SocketProxies redirect connections inside compartments.
	SocketProxies []SocketProxy
}

// SwitchProgram is one virtual switch. Config.Name identifies it over time.
type SwitchProgram struct {
	Config vswitch.Config
	Uplink string     // name of the NIC behind the external port; empty for internal switches
	Wire   vfp.PortID // the external port
	// VMs are the virtual machines at the switch's ports.
	VMs []VMPort
	// NextHops is the compartment whose neighbours and routes address outer
	// headers: that of the provider addresses (rule CMP-12). 0 is the host's own.
	NextHops uint32
	// VXLANPorts are the UDP ports that the switch's layers decapsulate.
	VXLANPorts []uint16
}

// InterfaceProgram is a NIC in a compartment, plugged into a switch port.
type InterfaceProgram struct {
	Compartment uint32
	Name        string // unique within the compartment
	Switch      string
	Port        vfp.PortID
	MAC         wire.MAC
	Addrs       []netip.Prefix
	Routes      []Route
	MTU         int
	// Uplink marks the host vNIC that takes over the addresses of that NIC
	// (rule VS-04); Addrs and Routes are the NIC's then.
	Uplink string
	// Forward turns IP forwarding on for the interface (rules NAT-01, L2B-11);
	// the uplink follows by itself.
	Forward bool
	// Autoconfigure accepts router advertisements (rule TR-03).
	Autoconfigure bool
	// DHCP runs a client that gets the interface its IPv4 address (rule TR-03).
	DHCP bool
	// DHCPServer, when set, gives others on the switch their addresses (ICS).
	DHCPServer *ipstack.DHCPServerConfig
}

// Route of a node or an interface. An invalid Via is on-link.
type Route struct {
	Dst netip.Prefix
	Via netip.Addr
}

// LocalVIP redirects the host's own connections to a published port.
type LocalVIP struct {
	ID    string // with VIP and Port: connections outlive changes that keep it
	Proto uint8
	VIP   netip.Addr // invalid: every address of the host
	Port  uint16
	// Targets are where connections go: a new one to the target that Choose
	// names by its index, nil meaning the first; old ones keep theirs as long
	// as it is listed.
	Targets []netip.AddrPort
	Choose  func(*vfp.Header) int
}
