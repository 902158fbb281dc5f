package overlay

import (
	"net/netip"
	"slices"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// LayerPriority places the overlay's routing and encapsulation behind
// everything that may change a destination (pipeline step 5).
const LayerPriority = 400

// ProxyPriority places the ARP and ND proxy in front of every other layer:
// neighbour discovery is outside policy (rule ACL-12).
const ProxyPriority = 50

// Subnet is a pod subnet with its VSID (rule OV-01).
type Subnet struct {
	Prefix  netip.Prefix
	Gateway netip.Addr // answered with the DR MAC; may be invalid
	VNI     uint32
}

// Local is an endpoint on this host.
type Local struct {
	Port  vfp.PortID
	MAC   wire.MAC
	Addrs []netip.Addr
	VNI   uint32
}

// RemoteEndpoint is one CA on another host (rule OV-07).
type RemoteEndpoint struct {
	Addr netip.Addr
	MAC  wire.MAC
	PA   netip.Addr
	VNI  uint32
	// NoMAC says that MAC stands for none: no interface has it, and no frame
	// must wear it. A RemoteSubnet that covers the address goes first.
	NoMAC bool
}

// RemoteSubnet is a route to another host's pods (rule OV-08). VNI is the
// isolation id of the route, which goes on the wire.
type RemoteSubnet struct {
	Prefix netip.Prefix
	VNI    uint32
	PA     netip.Addr
	DRMAC  wire.MAC
}

// Options are the overlay's knobs (rules OV-15 to OV-19).
type Options struct {
	OuterTTL     uint8 // 0: 128
	OuterDF      bool
	DSCPCopy     bool
	ECNCopy      bool
	DecTTL       bool // the distributed router takes a hop (OV-17)
	OversizeICMP bool // answer ICMP 3/4 instead of dropping silently (OV-19)
	UnderlayMTU  int  // 0: 1500
	Replicate    bool // broadcasts go to every host that is known (OV-11, D-25)
	IPv6         bool // carry IPv6 between endpoints (OV-28)
	// KeepSenderMAC delivers routed frames with the source MAC that they
	// arrived with instead of the local DR MAC (OV-13, contract 0.5).
	KeepSenderMAC bool
}

// Config describes one overlay network on one host.
type Config struct {
	PA            netip.Addr // local provider address
	Port          uint16     // UDP port of VXLAN; 0: 4789
	DRMAC         wire.MAC
	HostMAC       wire.MAC // of the host vNIC, for pod to host traffic
	HostAddrs     []netip.Addr
	HostRoute     bool // rule OV-22
	Subnets       []Subnet
	Members       []*Member
	RemoteSubnets []RemoteSubnet
	Options       Options
	// PoolOwner names the switch port that holds a NAT port of an address: for
	// packets to the SourceVIP of load balancers (rule OV-24), which belong to
	// whoever's flow was given the port. PoolMayTake reports whether a pool may
	// come to hold it while the program stands. Both may be nil.
	PoolOwner   func(now int64, addr netip.Addr, proto uint8, port uint16) (vfp.PortID, bool)
	PoolMayTake func(addr netip.Addr, port uint16) bool
}

// Network is the compiled address space of one overlay network, shared by the
// layers of all its ports. Who is in it may change while the layers stay (see
// Change); everything else is fixed.
type Network struct {
	cfg  Config
	vnis map[uint32]bool
	routes
	directory
}

// New compiles cfg.
func New(cfg Config) *Network {
	if cfg.Port == 0 {
		cfg.Port = 4789
	}
	if cfg.Options.OuterTTL == 0 {
		cfg.Options.OuterTTL = 128
	}
	if cfg.Options.UnderlayMTU == 0 {
		cfg.Options.UnderlayMTU = 1500
	}
	n := &Network{cfg: cfg, vnis: map[uint32]bool{}, routes: newRoutes(cfg.RemoteSubnets)}
	for _, s := range cfg.Subnets {
		n.vnis[s.VNI] = true
	}
	n.directory = newDirectory(cfg.Options.IPv6)
	for _, m := range cfg.Members {
		n.enter(m)
	}
	n.cfg.Members = nil // the directory has them
	return n
}

// Port is the UDP port of the network's VXLAN.
func (n *Network) Port() uint16 { return n.cfg.Port }

// route is the answer of the CA space (rule OV-05).
type route struct {
	local  *Local
	remote *RemoteEndpoint
	subnet *RemoteSubnet
	host   bool
}

// lookup finds the place of addr as seen from vni: a local endpoint, then a
// remote endpoint, then the longest remote prefix, then the host itself.
func (n *Network) lookup(vni uint32, addr netip.Addr) (route, bool) {
	if l := n.local[ca{vni, addr}]; l != nil {
		return route{local: l}, true
	}
	// A remote endpoint that names this host as its provider address is behind
	// no tunnel: a service's address, or a backend outside (rules OV-24, OV-25).
	r := n.remote[ca{vni, addr}]
	if r != nil && r.PA == n.cfg.PA {
		r = nil
	}
	if r != nil && !r.NoMAC {
		return route{remote: r}, true
	}
	if s := n.routeTo(vni, addr); s != nil {
		return route{subnet: s}, true
	}
	if r != nil {
		return route{remote: r}, true
	}
	if n.toHost(addr) {
		return route{host: true}, true
	}
	return route{}, false
}

// toHost reports whether pods reach addr through the host: its own addresses
// with HostRoute, and what an SDNRoute sends there (rules OV-22, OV-23).
func (n *Network) toHost(addr netip.Addr) bool {
	if n.cfg.HostRoute && slices.Contains(n.cfg.HostAddrs, addr) {
		return true
	}
	for _, p := range n.hostPrefixes {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// Routes reports whether the overlay itself has a place for addr, so that
// outbound NAT must leave it alone (rule OV-05).
func (n *Network) Routes(vni uint32, addr netip.Addr) bool {
	_, ok := n.lookup(vni, addr)
	return ok
}

// gateway returns the subnet whose gateway is addr.
func (n *Network) gateway(vni uint32, addr netip.Addr) (Subnet, bool) {
	for _, s := range n.cfg.Subnets {
		if s.VNI == vni && s.Gateway == addr && addr.IsValid() {
			return s, true
		}
	}
	return Subnet{}, false
}

// gatewayOf is the gateway of the subnet that holds addr, the source of ICMP
// errors towards it.
func (n *Network) gatewayOf(vni uint32, addr netip.Addr) netip.Addr {
	for _, s := range n.cfg.Subnets {
		if s.VNI == vni && s.Prefix.Contains(addr) {
			return s.Gateway
		}
	}
	return netip.Addr{}
}
