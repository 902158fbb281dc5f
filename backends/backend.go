package backends

import (
	"context"
	"encoding/json"
	"net/netip"
	"time"

	"github.com/hnsim/hnsim/sim/wire"
)

// Capability names something a backend can do beyond the minimum. A scenario
// that requires what a backend lacks is skipped with that name as the reason.
type Capability string

const (
	RawFrames    Capability = "frames"        // inject and observe raw frames
	DropReasons  Capability = "drops"         // named drop reasons
	VirtualTime  Capability = "virtual-time"  // Advance costs nothing
	PacketTrace  Capability = "trace"         // stage by stage trace of one packet
	Knobs        Capability = "knobs"         // contract knobs can be set
	SwitchPorts  Capability = "switch-ports"  // Hyper-V port settings (spoofing, guards, VLAN modes, port ACLs)
	OuterSwitch  Capability = "outer-switch"  // the host is itself a VM on a switch
	HostSockets  Capability = "host-sockets"  // binds, excluded ports, listeners of the host
	Impairments  Capability = "impairments"   // delay, loss, reordering, MTU on links
	ServiceState Capability = "service-state" // restart HNS, reboot the host
	Accounts     Capability = "accounts"      // connections of a named account
	SDN          Capability = "sdn"           // physical hosts under a network controller; see NetworkController
	Wires        Capability = "wires"         // what crosses the wires of nodes is seen
	Programs     Capability = "programs"      // run Windows programs against a host's HNS; see ProgramRunner
)

// Kinds of network that a backend can make, as capabilities.
const (
	NATNetwork         Capability = "network.nat"
	TransparentNetwork Capability = "network.transparent"
	L2BridgeNetwork    Capability = "network.l2bridge"
	L2TunnelNetwork    Capability = "network.l2tunnel"
	OverlayNetwork     Capability = "network.overlay"
	InternalNetwork    Capability = "network.internal"
	PrivateNetwork     Capability = "network.private"
	ICSNetwork         Capability = "network.ics"
)

// Capabilities lists every capability that exists, in a fixed order.
func Capabilities() []Capability {
	return []Capability{
		RawFrames, DropReasons, VirtualTime, PacketTrace, Knobs, SwitchPorts, OuterSwitch, HostSockets,
		Impairments, ServiceState, Accounts, SDN, Wires, Programs,
		NATNetwork, TransparentNetwork, L2BridgeNetwork, L2TunnelNetwork, OverlayNetwork,
		InternalNetwork, PrivateNetwork, ICSNetwork,
	}
}

// Backend makes worlds. Open may be called concurrently.
type Backend interface {
	Name() string
	// Capabilities are those of the worlds that Open makes.
	Capabilities() []Capability
	// Features are the HNS feature names (hcn.Features) that profile has
	// here, with the version, for requires lines.
	Features(profile string) (FeatureSet, error)
	Open(ctx context.Context, cfg WorldConfig) (World, error)
}

// DropNamer is a backend that knows all of its drop reasons, so that a
// scenario that names another one is an error and not an expectation that
// nothing can break.
type DropNamer interface {
	DropNames() []string
}

// Player is a backend that answers for another one, which is the one that is
// meant where expectations speak of a backend.
type Player interface {
	Plays() string // the name of the other backend
}

// ByScenario is a backend that keeps what belongs to different scenarios
// apart, as recordings do. Whoever runs a scenario asks for its backend; what
// that backend does must not depend on the name in any other way.
type ByScenario interface {
	ForScenario(name string) Backend
}

// Deviator is a backend that differs from Windows by nature and says once, as
// an expectation file (see package conformance), which scenarios show it and
// why.
type Deviator interface {
	// Deviations names the file and holds its text; without a name there is
	// nothing to declare.
	Deviations() (file string, text []byte)
}

// FeatureSet is what a control plane supports.
type FeatureSet struct {
	HNSVersion string            // "16.0"
	OSBuild    int               // 26100
	Supported  map[string]bool   // by feature name
	Ranges     map[string]string // human text of the version ranges, for skip reasons
}

// WorldConfig parametrises a world.
type WorldConfig struct {
	Seed        uint64
	Profile     string            // build profile name
	Knobs       map[string]string // contract knobs by name
	NoFlowCache bool              // switch unified flow tables off
	Tracing     bool              // record stage traces of every packet
	// TimeScale, of a TimeScaler: what really waits waits for one part in so
	// many of what Advance says, with timers divided by the same number. Time
	// in this interface stays the contract's. 0 leaves it to the backend.
	TimeScale int
}

// TimeScaler is a backend that knows WorldConfig.TimeScale.
type TimeScaler interface {
	Backend
	ScalesTime()
}

// World is one topology of roles with its control planes. It is used from one
// goroutine at a time. Every error that a bad request causes is a *UsageError,
// an *UnsupportedError or an *hcn.Error; a world that does not know the answer
// says so with an *UnansweredError; anything else is a harness error.
type World interface {
	// AddNode declares a host, router, external host or outer switch.
	AddNode(ctx context.Context, n Node) error
	// SetLink changes the wire of a node's interface (or of a segment).
	SetLink(ctx context.Context, l Link) error
	// HCN carries out one control-plane operation on a host.
	HCN(ctx context.Context, op HCNOp) (HCNResult, error)
	// AddContainer makes a container role that uses the endpoint, and
	// attaches it (unless the spec says otherwise).
	AddContainer(ctx context.Context, c Container) error
	// Do carries out a stimulus and runs the world until nothing is in
	// flight. Timers do not fire: that is Advance's business.
	Do(ctx context.Context, s Stimulus) (Outcome, error)
	// Advance lets d of the contract's time pass: whatever is kept over time
	// is afterwards as if it had. How that is done is the backend's: on virtual
	// time, by waiting for all of it or for a part (WorldConfig.TimeScale), or
	// by taking it off what is left of everything that has an end.
	Advance(ctx context.Context, d time.Duration) error
	Now() time.Duration
	// Observations returns everything seen so far, in order. The slice grows;
	// callers keep their own read position.
	Observations() []Observation
	// Trace explains the walk of one packet by its identity, one line a step.
	Trace(id uint64) []string
	// EventHash condenses everything that happened (deterministic backends).
	EventHash() string
	// Dump returns a named text view of internal state ("vfp h1", "nat h1",
	// "ports h1 excluded", "flows h1"): diagnostics, never compared between backends.
	Dump(ctx context.Context, what string) (string, error)
	// Set changes a setting that is not a document: port security, filters,
	// host sockets, service state. See Setting.
	Set(ctx context.Context, s Setting) error
	// Invariants reports violations found so far (conservation of counters,
	// valid checksums on wires, no loops). Empty is good.
	Invariants() []string
	// Close tears everything down and reports what was left behind.
	Close(ctx context.Context) ([]string, error)
}

// UsageError is a request that makes no sense to this world: unknown role,
// bad value. Scenario authors see it with file and line.
type UsageError struct{ Msg string }

func (e *UsageError) Error() string { return e.Msg }

// UnansweredError is a request whose answer is not known here, and about which
// nothing can be said therefore: something that a recording does not have.
type UnansweredError struct{ Msg string }

func (e *UnansweredError) Error() string { return e.Msg }

// UnsupportedError is a request that makes sense but that this backend cannot
// carry out, beyond what its capabilities say. The scenario that made it is
// skipped with the text as the reason: it says nothing about the backend.
type UnsupportedError struct{ Msg string }

func (e *UnsupportedError) Error() string { return e.Msg }

// NodeKind says what a node is.
type NodeKind string

const (
	HostNode     NodeKind = "host"     // Windows container host
	RouterNode   NodeKind = "router"   // IP router of the fabric
	ExternalNode NodeKind = "external" // plain IP host
	PhysicalNode NodeKind = "physical" // physical host of tenant networks; its addresses are provider addresses
	MuxNode      NodeKind = "mux"      // multiplexer of the tenants' load balancer
)

// Node describes a host, router or external host.
type Node struct {
	Kind NodeKind
	Name string
	// Ifaces: one for hosts (the first is "Ethernet") and externals, several
	// for routers.
	Ifaces []Iface
	// Routes beyond the default gateway.
	Routes []Route
	// Outer, for hosts: the host is a VM whose NIC is a port of an outer
	// virtual switch with these settings ("spoofing": "on"|"off", "hairpin"...).
	Outer map[string]string
	// On, for hosts and externals: the physical host that runs it as a virtual
	// machine. Its NIC is then a port of that host's switch, on no segment.
	On string
	// Options by name (see the simulated backend): "dhcp-server", "forward", ...
	Options map[string]string
}

// Iface is a NIC on a segment. Segments come into being by being named.
type Iface struct {
	Name    string   // "Ethernet"; empty takes a default
	Segment string   // "lan" by default
	MAC     wire.MAC // zero: derived from the name
	Addrs   []netip.Prefix
	Gateway netip.Addr // invalid: the router of the segment, if there is one
	MTU     int        // 0: 1500
	VLAN    uint16     // tag of the node's own traffic; 0 is untagged
}

// Route of a node.
type Route struct {
	Dst netip.Prefix
	Via netip.Addr
}

// Link impairs what crosses the interface of Node (both directions).
type Link struct {
	Node, Iface string
	MTU         int // 0: unchanged
	Delay       time.Duration
	Loss        float64 // 0..1
	Reorder     float64 // share of frames delayed by one extra Delay
	RateBps     int64   // bits per second; 0: unlimited
	Down        bool
}

// HCNOp is one call of the control plane. Kind is "network", "endpoint",
// "namespace", "loadbalancer", "route" (v2) or "hnscall" (v1: Verb is the
// method, Path the path, Body the request). Verb is "create", "delete",
// "modify", "query", "enumerate" for v2. ID names the object, Parent the
// network of an endpoint that is being created.
type HCNOp struct {
	Host   string
	Kind   string
	Verb   string
	ID     string
	Parent string
	Path   string
	Body   json.RawMessage // settings, modify request or query
}

// HCNResult is what came back.
type HCNResult struct {
	ID       string          // of a created object
	Document json.RawMessage // properties, list of ids, or v1 Output
}

// Container is a role that uses one or more endpoints.
type Container struct {
	Name      string
	Host      string
	Endpoints []string // endpoint ids; none: it runs and waits for endpoints to be plugged in
	Namespace string   // namespace id; empty: one is made
	Shares    string   // container whose compartment it joins, instead of Endpoints and Namespace (CMP-03)
	Isolation string   // "process" (default) or "hyperv"
	NoAttach  bool     // leave the endpoint unattached (port does not exist or stays blocked)
	NoStart   bool     // namespace joined, container not started (CMP-07)
}

// StimulusKind selects what Do does.
type StimulusKind string

const (
	SendPacket StimulusKind = "send"   // one IP packet through the role's own routing and ARP
	SendFrame  StimulusKind = "frame"  // one raw frame from the role's NIC, or from the wire of a host
	TCPConnect StimulusKind = "tcp"    // connect, send payload, read the answer, close
	Ping       StimulusKind = "ping"   // echo request, wait for the reply
	Listen     StimulusKind = "listen" // serve TCP or answer UDP on a port
	Bind       StimulusKind = "bind"   // hold a port without serving
	ARPProbe   StimulusKind = "arp"    // resolve an address (ARP or ND)
	DHCPStart  StimulusKind = "dhcp"   // start a DHCP client
)

// Stimulus is something a role does.
type Stimulus struct {
	Kind StimulusKind
	Role string

	Proto string // "udp", "tcp", "icmp", "icmp6" or a number; "udp" or "tcp" for Listen and Bind
	// Src may be zero, or have one half only: the role's own address, an
	// ephemeral port. Listen and Bind take the local address and port from it.
	Src, Dst        netip.AddrPort
	TTL             uint8 // 0: 128
	DF              bool
	TOS             uint8
	IPID            uint16
	Payload         []byte
	TCPFlags        string // "S", "SA", "A", "F", "R", "P"
	Seq, Ack        uint32
	ICMPType        uint8
	ICMPCode        uint8
	ICMPID, ICMPSeq uint16
	NoChecksum      bool  // UDP checksum 0 (v4)
	Fragments       []int // send as fragments with these payload sizes, in this order
	FragmentOrder   []int // order in which the fragments leave, by index

	Frame  []byte // SendFrame
	OnWire bool   // SendFrame: inject at the wire of the host, towards it

	// SendPacket: so many equal packets, Every apart (0: back to back, before
	// anything else happens). 0 is 1. Outcome is that of the last.
	Count int
	Every time.Duration
	// More follow at once, of the same kind, from the same role: where time is
	// real nobody needs to wait until nothing is in flight. It changes nothing
	// else, and recordings leave it out.
	More bool `json:"-"`

	Account string        // TCPConnect: the SID of the account that connects; "" is nobody's in particular
	Reply   []byte        // Listen: what to answer; nil echoes
	Timeout time.Duration // TCPConnect, Ping: virtual time allowed; 0: 3 s
}

// Outcome of a stimulus.
type Outcome struct {
	OK       bool
	Detail   string // "connected", "timeout", "refused", "port unreachable", WSA code of a failed bind ("10013")
	Received []byte // TCP answer
	ID       uint64 // identity of the packet that was sent
	Local    netip.AddrPort
	Addr     netip.Addr // DHCP lease
	MAC      wire.MAC   // ARPProbe
}

// Observation is something seen at a point.
type Observation struct {
	Seq int
	At  time.Duration
	// Point is where: a role's name (what its NIC received), "wire <node>"
	// (frames on the node's link) or "drop <node>".
	Kind   ObservationKind
	Role   string // role or node
	Peer   string // wire: "tx" (leaving the node) or "rx"
	Frame  []byte
	Reason string // drop reason
	// Where a frame was dropped: the name of the role whose port it was, and
	// possibly a stage behind a blank ("co11 snat"); without a port the stage.
	Where string
	ID    uint64 // packet identity
}

// ObservationKind is the kind of point.
type ObservationKind string

const (
	Received  ObservationKind = "received" // by a role's NIC
	OnWire    ObservationKind = "wire"     // crossed a node's link
	DroppedAt ObservationKind = "drop"
	Sent      ObservationKind = "sent" // left a role's NIC
)

// Setting is a change outside the HCN documents. Name is one of the names
// documented by the backend, such as "port.spoofing", "port.vlan",
// "nat.filtering", "ports.exclude", "socket", "hns.restart". Every backend
// knows "container.attach", "container.detach", "container.start" and
// "container.stop", with the container as Node.
type Setting struct {
	Node  string // host or container
	Name  string
	Value string
}
