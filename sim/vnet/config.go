package vnet

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// Priorities of the layers in a port's pipeline. ACLs are at 200, SLB at 300.
const (
	MirrorPriority = 40
	MeterPriority  = 45
	ARPPriority    = 50
	SourcePriority = 60
	LayerPriority  = 400
)

// Subnet is a virtual subnet with its VSID.
type Subnet struct {
	Prefix  netip.Prefix
	Gateway netip.Addr // the distributed router's: the lowest usable address (rule SDN-06)
	VSID    uint32
	// Agent is the port of the host's own agent in this subnet, who owns the
	// gateway's address on this host: probes come from there (rule SDN-18).
	Agent  vfp.PortID
	Routes []Route // user-defined (rule SDN-11)
}

// Route is a user-defined route.
type Route struct {
	Prefix netip.Prefix
	// NextHop is the CA of an appliance in the same network; invalid: what the
	// route leads to is dropped.
	NextHop netip.Addr
	// Local says that the network's own routes apply to the prefix.
	Local bool
}

// CA is a customer address with its place. Several share a MAC when a virtual
// machine has several (rule SDN-02).
type CA struct {
	Addr netip.Addr
	MAC  wire.MAC
	VSID uint32
	PA   netip.Addr
	Port vfp.PortID // of a machine on this host; else 0
	// First marks the first address of an interface, which stands for it in
	// replication (rule SDN-07).
	First bool
}

// Options are the outer header's and the router's (rules OV-15 to OV-17).
type Options struct {
	OuterTTL          uint8 // 0: 128
	OuterDF           bool
	DSCPCopy, ECNCopy bool
	DecTTL            bool // the distributed router takes a hop
	Port              uint16
}

// Config is one virtual network, which is a routing domain, as one host sees
// it.
type Config struct {
	Name    string // for rule names
	DRMAC   wire.MAC
	Kind    vfp.EncapKind
	Subnets []Subnet
	CAs     []CA
	Options Options
	// Provider are the networks of provider addresses. What has no encapsulation
	// must not get there: a machine that could write to the tunnel endpoints could
	// write into every virtual network (rule SDN-05).
	Provider []netip.Prefix
}

// Network is the compiled form.
type Network struct {
	cfg  Config
	cas  map[netip.Addr]*CA
	macs map[macKey]*CA // of this host's machines
	vsid map[uint32]*Subnet
	// routes of each subnet, best first.
	routes map[uint32][]route
}

type macKey struct {
	vsid uint32
	mac  wire.MAC
}

// route is a user's route, or a system route when system is set.
type route struct {
	Route
	system bool
}

// New compiles cfg.
func New(cfg Config) *Network {
	if cfg.Options.OuterTTL == 0 {
		cfg.Options.OuterTTL = 128
	}
	if cfg.Options.Port == 0 {
		cfg.Options.Port = wire.VXLANPort
	}
	n := &Network{cfg: cfg, cas: map[netip.Addr]*CA{}, macs: map[macKey]*CA{}, vsid: map[uint32]*Subnet{}, routes: map[uint32][]route{}}
	for i := range cfg.CAs {
		c := &cfg.CAs[i]
		n.cas[c.Addr] = c
		if c.Port != 0 && n.macs[macKey{c.VSID, c.MAC}] == nil {
			n.macs[macKey{c.VSID, c.MAC}] = c
		}
	}
	for i := range cfg.Subnets {
		s := &cfg.Subnets[i]
		n.vsid[s.VSID] = s
		n.routes[s.VSID] = n.table(s)
	}
	return n
}

// table orders the routes of a subnet: the longest prefix first, of equal ones
// the user's (rule SDN-11). The system's lead to the network's subnets.
func (n *Network) table(s *Subnet) []route {
	var rs []route
	for _, r := range s.Routes {
		rs = append(rs, route{Route: r})
	}
	for _, o := range n.cfg.Subnets {
		rs = append(rs, route{Route{Prefix: o.Prefix, Local: true}, true})
	}
	slices.SortStableFunc(rs, func(a, b route) int { return cmp.Compare(b.Prefix.Bits(), a.Prefix.Bits()) })
	return rs
}

// Inside reports whether addr belongs to one of the network's subnets: such
// destinations are no business of NAT towards the outside.
func (n *Network) Inside(addr netip.Addr) bool {
	for i := range n.cfg.Subnets {
		if n.cfg.Subnets[i].Prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// subnetOf is the subnet whose gateway is addr.
func (n *Network) gateway(addr netip.Addr) *Subnet {
	for i := range n.cfg.Subnets {
		if s := &n.cfg.Subnets[i]; s.Gateway == addr && addr.IsValid() {
			return s
		}
	}
	return nil
}

// encapTo is the outer header of a packet to a host, whose inner header is h.
func (n *Network) encapTo(h *vfp.Header, from, to netip.Addr, vsid uint32) vfp.Encap {
	return n.encap(n.cfg.Kind, h, from, to, vsid)
}

// encap is encapTo with the encapsulation of another network.
func (n *Network) encap(kind vfp.EncapKind, h *vfp.Header, from, to netip.Addr, vsid uint32) vfp.Encap {
	o, hash := &n.cfg.Options, h.FlowHash()
	e := vfp.Encap{
		Kind: kind, Src: from, Dst: to, VNI: vsid,
		TTL: o.OuterTTL, DF: o.OuterDF, DSCPCopy: o.DSCPCopy, ECNCopy: o.ECNCopy,
	}
	if kind == vfp.NVGRE {
		e.FlowID = uint8(hash)
		return e
	}
	e.SrcPort, e.DstPort = wire.EntropyPort(hash), o.Port
	return e
}
