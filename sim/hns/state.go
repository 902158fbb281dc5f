package hns

import (
	"net/netip"
	"time"

	"github.com/hnsim/hnsim/sim/hcn"
)

// State is one snapshot of a host's control plane. Lists are in the order of
// creation. Nothing reachable from a State changes after it has been handed to
// Apply; an object that did not change is the same pointer in the next State.
type State struct {
	Generation    uint64 // +1 with every change
	Networks      []*Network
	Endpoints     []*Endpoint
	Namespaces    []*Namespace
	LoadBalancers []*LoadBalancer
	Routes        []*Route

	accelnet []string // MAC addresses of /accelnet/
	counters counters
	hints    *hints // of all states of the service
}

// counters make the numbers that are never reused while the service lives.
// They are part of the State so that an operation that fails uses up none of
// them, the random generator's position included.
type counters struct {
	network, endpoint, balancer, route, namespace, layer uint32
	compartment                                          uint32
	rng                                                  uint64
}

// Network is a network of the store.
type Network struct {
	Num  uint32       // stable, never reused on this host
	Doc  *hcn.Network // complete: what the creator gave and what HNS filled in
	Type hcn.NetworkType

	Subnets []Subnet
	// Layer numbers the virtual switch: networks with an equal Layer share
	// one (same uplink, or the NAT networks of HNS 13 and later).
	Layer     uint32
	LayerGUID string
	// Uplink is the name of the physical adapter, "" for internal types.
	Uplink string
	// ManagementIP is the host's address on the uplink, the PA of an overlay.
	ManagementIP netip.Addr
	// HostMAC is the MAC of the host vNIC of an internal type (the gateway),
	// of the uplink for an external one.
	HostMAC [6]byte
	DRMAC   [6]byte // overlay: distributed router (rule OV-09)
	// NATVLAN isolates a NAT network on the shared switch; 0 where the build
	// gives every NAT network its own switch (D.3 #18).
	NATVLAN   uint16
	VxlanPort uint16 // overlay: UDP port, 4789 by default
	Pool      MACPool

	Created, MaxEndpoints uint32 // TotalEndpoints and MaxConcurrentEndpoints
	// Degraded is set while the adapter is gone: nothing on the network works,
	// and nothing but deletion can be asked for (D.3 #46).
	Degraded bool

	extensions map[string]bool // switch extensions that were switched, by GUID
	createdAt  time.Duration
	ids        networkIDs
}

// Subnet is a subnet of a network, parsed.
type Subnet struct {
	ID      string
	Prefix  netip.Prefix
	Gateway netip.Addr // invalid: the subnet has none
	VLAN    uint16     // of a VLAN policy; 0 is none
	VSID    uint32     // of a VSID policy; 0 is none
	Ipam    int        // index of the Ipam it came from
	Index   int        // index within the Ipam
}

// MACPool is the range that endpoints take their MAC addresses from, both
// ends included.
type MACPool struct{ First, Last [6]byte }

// Isolation is the way the container that uses an endpoint is isolated.
type Isolation string

// Isolation modes (rule CMP-02).
const (
	ProcessIsolated Isolation = "process"
	HyperVIsolated  Isolation = "hyperv"
)

// SystemType says what an endpoint is attached to.
type SystemType string

// System types of v1 attach requests.
const (
	NotAttached      SystemType = ""
	ToContainer      SystemType = "Container"
	ToVirtualMachine SystemType = "VirtualMachine"
	ToHost           SystemType = "Host"
)

// Endpoint is an endpoint of the store.
type Endpoint struct {
	Num     uint32        // stable, never reused on this host
	Network uint32        // Num of its network
	Doc     *hcn.Endpoint // complete; Policies hold assigned ports
	MAC     [6]byte
	Addrs   []Address
	Remote  bool       // another host's endpoint: no port, no MAC of the pool
	PA      netip.Addr // host that owns a remote endpoint, or the local PA policy

	State       hcn.EndpointState
	AttachedTo  SystemType
	Namespace   string // id of the namespace it has joined
	Compartment uint32 // 0 while there is none; 1 is the host's
	Isolation   Isolation
	Containers  []string // containers that share it, in order of attachment
	// EncapOverhead is what the MTU loses; EncapGiven tells whether a policy
	// said so or HNS filled in its default (D-18).
	EncapOverhead uint16
	EncapGiven    bool

	sharingBlocks bool // knob attachedSharing=block
	createdAt     time.Duration
	ids           endpointIDs
}

// Attached reports whether packets flow: in states 2 and 3 only (rule
// CMP-08), and in 2 only where the knob attachedSharing says so (D-12).
func (e *Endpoint) Attached() bool {
	return e.State == hcn.EndpointAttached || e.State == hcn.EndpointAttachedSharing && !e.sharingBlocks
}

// Addr is the endpoint's first address, invalid when it has none (DHCP).
func (e *Endpoint) Addr() netip.Addr {
	if len(e.Addrs) == 0 {
		return netip.Addr{}
	}
	return e.Addrs[0].IP
}

// Address is one address of an endpoint.
type Address struct {
	IP      netip.Addr
	Bits    int        // prefix length
	Gateway netip.Addr // next hop of the default route of that family
	Subnet  int        // index into the network's Subnets; -1 when off all of them
}

// Namespace is a namespace of the store.
type Namespace struct {
	Num             uint32
	Doc             *hcn.Namespace
	Type            hcn.NamespaceType
	Endpoints       []string // ids, in order of joining
	Containers      []Container
	Compartment     uint32 // 0 until the first container starts (rule CMP-07)
	CompartmentGUID string

	builtIn   bool // the host's own: always there (F.4)
	createdAt time.Duration
	activity  string
}

// BuiltIn reports whether the namespace is the host's own, which is always
// there (F.4).
func (n *Namespace) BuiltIn() bool { return n.builtIn }

// Container is a container that runs in a namespace.
type Container struct {
	ID        string
	Isolation Isolation
}

// LoadBalancer is a load balancer of the store.
type LoadBalancer struct {
	Num       uint32
	Doc       *hcn.LoadBalancer
	Network   uint32   // Num of the network of its endpoints
	Endpoints []uint32 // Nums that still exist; empty: the object stays, unprogrammed (C.4)
	// DSR is whether direct server return is in effect: the flag has none on
	// a service that lacks the feature.
	DSR bool
	// Affinity is the distribution type of each port mapping that is in
	// effect: always per connection before HNS 12 (rule LB-10).
	Affinity []hcn.DistributionType
	// Draining are Nums of endpoints that a change in place took out; they keep
	// the flows that they have (rule LB-08, knob lbTerminating).
	Draining []uint32
	// Revision changes when a change is to cost the flows (knob lbUpdate).
	Revision uint32

	// RestoredAt is when it came back after a restart of the service.
	RestoredAt time.Duration

	restored  bool // came back after a restart of the service
	createdAt time.Duration
	activity  string
}

// Route is an SDN route object of the store.
type Route struct {
	Num       uint32
	Doc       *hcn.SDNRoute
	Network   uint32
	Endpoints []uint32

	createdAt time.Duration
	activity  string
}

// networkIDs are identifiers that only documents show.
type networkIDs struct {
	activity, iface, hostNIC, hostPort, hostAlloc, natAlloc, switchID string
}

type endpointIDs struct {
	activity, nic, port, alloc, iface string
}
