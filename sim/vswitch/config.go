package vswitch

import (
	"cmp"
	"iter"
	"net/netip"
	"slices"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// Kind is the switch type (rule VS-01).
type Kind uint8

const (
	External Kind = iota // one external port, optional host ports
	Internal             // host port, no external port
	Private              // endpoint ports only
)

// PortKind says what stands behind a port.
type PortKind uint8

const (
	EndpointPort PortKind = iota
	HostPort
	ExternalPort
)

// VLANMode is the VLAN membership of a port (rules VS-24 to VS-26).
type VLANMode uint8

const (
	VLANNone    VLANMode = iota // untagged, no isolation beyond Zone
	VLANAccess                  // AccessID
	VLANTrunk                   // Allowed, Native
	VLANPrivate                 // Primary, Secondary, Private
)

// PrivateVLAN is a port's role in a private VLAN (rule VS-26).
type PrivateVLAN uint8

const (
	Promiscuous PrivateVLAN = iota
	Community
	Isolated
)

// VLANConfig is a port's VLAN setting.
type VLANConfig struct {
	Mode                 VLANMode
	AccessID             uint16
	Allowed              []uint16
	Native               uint16
	Primary, Secondary   uint16
	Private              PrivateVLAN
	AllowIeeePriorityTag bool
	AllowUntagged        bool // access and trunk ports also get what is in no VLAN (rule VS-27)
}

// PortConfig describes one port. Zone is the isolation domain of everything
// that the port sends and receives (a VSID, or the number of the network):
// MAC table lookups and floods never leave it. The external and the host
// port of an external switch serve all zones: Zone 0 there means "any".
type PortConfig struct {
	ID   vfp.PortID
	Name string
	Kind PortKind
	MAC  wire.MAC // the assigned MAC: static table entry (VS-10), spoof check (VS-20)
	Zone uint32
	// Tunnelled ports see the external and the host port through their zone's
	// tunnel only: a frame of no zone is not theirs (rule OV-01).
	Tunnelled bool
	// Confined ports exchange frames with others of their zone and nobody else:
	// neither the external nor a host port serves the zone unless a layer
	// encapsulates (virtual subnets of rule VS-27).
	Confined bool
	Offload  bool // the NIC carries the port's flows (SR-IOV, rule VFP-11): counters tell, packets do not
	Blocked  bool // no policy applied yet (pipeline step 1), or endpoint state other than 2 and 3 (CMP-08)

	MACSpoofing bool   // VS-13, VS-20
	DHCPGuard   bool   // VS-21
	RouterGuard bool   // VS-22
	StormLimit  uint32 // VS-23, packets per second, 0 is off
	VLAN        VLANConfig
	ACLs        []PortACL  // basic, VS-30
	ExtACLs     []ExtACL   // extended, VS-31
	Mirror      MirrorMode // VS-32
	MTU         int        // largest IP packet towards what stands behind the port; 0 is the switch's
	Isolated    bool       // DisableICC: no traffic to or from other endpoint ports of the zone
	Shaper      Shaper     // limits what the port sends (rule QOS-01); nil is no limit
	// Limits are further ones, of what the port sends from one address each:
	// the policies of a virtual machine's IP configurations (rule SDN-19). A
	// frame has the first that fits, and then not Shaper.
	Limits []AddrLimit

	Program *vfp.Program // nil: no VFP policy on the port
}

// Shaper limits bandwidth. It says when a frame of so many bytes, which is there
// at now, may leave; ok is false if it is to be dropped. It keeps its state over
// changes of configuration, and serves one port.
type Shaper interface {
	Admit(now int64, bytes int) (at int64, ok bool)
}

// AddrLimit is the bandwidth limit of one of a port's addresses.
type AddrLimit struct {
	Addr   netip.Addr
	Shaper Shaper
}

// MirrorMode is a port's monitor mode (rule VS-32).
type MirrorMode uint8

const (
	MirrorNone        MirrorMode = 0
	MirrorDestination MirrorMode = 1
	MirrorSource      MirrorMode = 2
)

// PortACL is a basic port ACL (rule VS-30): the entry with the longest
// matching prefix wins. Dir is relative to the endpoint.
type PortACL struct {
	Dir           vfp.Dir
	Local, Remote netip.Prefix // zero value: any
	RemoteMAC     *wire.MAC
	Allow         bool
}

// ExtACL is an extended port ACL (rule VS-31). Higher Weight goes first.
type ExtACL struct {
	Dir                     vfp.Dir
	Weight                  int
	Local, Remote           netip.Prefix
	Proto                   uint8 // 0: any
	LocalPorts, RemotePorts []vfp.PortRange
	Allow, Stateful         bool
	IdleTimeout             int64 // ns; 0 is 255 s
	IsolationID             uint32
}

// Config describes a whole switch. Applying a new Config keeps the runtime
// state (flows, counters, learned MACs) of ports whose ID persists.
type Config struct {
	Name         string
	Kind         Kind
	VFP          bool // VFP forwarding extension enabled (VS-05, VS-06)
	FloodUnknown bool // knob unknownUnicast=flood (VS-11)
	DropWhenFull bool // knob uftFull=drop: no room for a flow drops its packet (VFP-10)
	MTU          int  // IP MTU of the external side; a frame may have 14 (18 tagged) bytes more (VS-40)
	Ports        []PortConfig
	// Shared are further ports, with ascending IDs. What they point to does not
	// change: a port that is the same pointer as in the Config before is the same
	// port, and Apply does not look at it. A switch with a thousand ports costs
	// what changes about it, and not what it has.
	Shared []*PortConfig
	// Adopt, when set, is called at the moment in which the Config takes effect:
	// between two batches, when it cannot fail any more. Spaces that the programs
	// of several ports look into (rule VFP-05) change then.
	Adopt func()
}

// All are the ports of both lists, in their order.
func (c *Config) All() iter.Seq[*PortConfig] {
	return func(yield func(*PortConfig) bool) {
		for i := range c.Ports {
			if !yield(&c.Ports[i]) {
				return
			}
		}
		for _, p := range c.Shared {
			if !yield(p) {
				return
			}
		}
	}
}

// Port is the port with the ID, nil if there is none.
func (c *Config) Port(id vfp.PortID) *PortConfig {
	for i := range c.Ports {
		if c.Ports[i].ID == id {
			return &c.Ports[i]
		}
	}
	if i, ok := slices.BinarySearchFunc(c.Shared, id, byID); ok {
		return c.Shared[i]
	}
	return nil
}

func byID(p *PortConfig, id vfp.PortID) int { return cmp.Compare(p.ID, id) }

// NextHop resolves the outer Ethernet header for encapsulated packets: the
// host's own neighbour table and routes (pipeline: paroute). Resolve reports
// false while the address is being resolved; the switch then hands the frame,
// complete but for the outer Ethernet addresses, to Hold, which owns a copy
// and sends it through the external port once the neighbour answers. What
// Resolve says holds until somebody gets a frame or time goes on: the switch
// may use one answer for the packets of a batch that lie between.
type NextHop interface {
	Resolve(now int64, dst netip.Addr) (src, dst2 wire.MAC, ok bool)
	Hold(now int64, dst netip.Addr, frame []byte)
}

// Sink takes what leaves the switch. Deliver is called once per frame and
// port; the frame is valid during the call only, and need not have been parsed.
// It leaves at the time given, which a shaper may put into the future.
type Sink interface {
	Deliver(at int64, port vfp.PortID, p *vfp.Packet)
	// Dropped reports every drop with the port where it happened.
	Dropped(now int64, port vfp.PortID, p *vfp.Packet)
}

// BurstSink is a Sink that takes several frames at a time, in place of a
// Deliver for each.
type BurstSink interface {
	Sink
	// Burst takes frames that leave at the same time, in their order, each
	// through its OutPort. They are valid during the call only.
	Burst(at int64, pkts []vfp.Packet)
}
