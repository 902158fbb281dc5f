package vfp

import (
	"net/netip"

	"github.com/hnsim/hnsim/sim/wire"
)

// Family selects the packets that a group looks at.
type Family uint8

const (
	AnyFamily Family = iota // every frame
	IPv4
	IPv6
	NonIP // ARP and everything that is not IP
)

// Program is the compiled policy of one port: immutable once handed to a
// Port, swapped as a whole (rule VFP-08). Layers are sorted by ascending
// Priority; OUT walks them in that order, IN in reverse (rule VFP-02).
type Program struct {
	Layers []Layer
}

// Reconcile says what happens to a layer's flows when the program changed
// since they were made (rules VFP-08, ACL-11, LB-06).
type Reconcile uint8

const (
	// Reevaluate runs the layer's rules again in the flow's first direction;
	// the flow lives on only if a stateful rule still lets it through.
	Reevaluate Reconcile = iota
	// KeepWhileRule keeps the flow as long as a rule with the same ID exists.
	KeepWhileRule
	// KeepAlways never looks back (knob aclReconcile=never).
	KeepAlways
)

// Layer is one policy type's place in the pipeline (rule VFP-01).
type Layer struct {
	Name      string
	Priority  uint16
	Reconcile Reconcile
	Groups    []Group // sorted by Priority; each has one direction
}

// Group holds rules of one direction and family; at most one of them acts on
// a flow (rule VFP-03). Rules are sorted by ascending Priority.
type Group struct {
	Name     string
	Dir      Dir
	Family   Family
	Priority uint16
	Rules    []Rule

	ready *readyGroup // made by Prepare
}

// Rule is a condition and what to do (rule VFP-04).
type Rule struct {
	ID          string // stable over recompilation: it carries flows over a change
	Priority    uint16
	Match       Match
	Action      Action
	Terminating bool  // stops the layer in this direction
	Stateful    bool  // creates a flow pair in the layer when it lets the packet on
	Idle        int64 // flow lifetime without traffic, ns; 0 is DefaultIdle
	// OneWay says that answers pass elsewhere: the TCP tracker, which would wait
	// for them, is not asked (rule SDN-14).
	OneWay bool
	Cite   string // contract rules, for traces: "ACL-05"
	// Targets are the parties among which a stateful action chooses, each by a
	// name that is unique in the layer and stable over recompilation: the
	// action says with Walk.Target which one it took, and with KeepWhileRule
	// the flow lives as long as some rule lists that target (rules LB-06,
	// LB-08). Flows without target are the rule's own.
	Targets []string
}

// DefaultIdle is VFP's flow lifetime without traffic: 240 s (rule VFP-09).
const DefaultIdle = int64(240e9)

// PortRange is an inclusive range of TCP or UDP ports.
type PortRange struct{ Lo, Hi uint16 }

// Match is a conjunction of conditions; an empty list or zero value matches
// everything. Addresses and ports are those of the packet as the layer sees
// it, source and destination (not local and remote).
type Match struct {
	Protos    []uint8
	Src, Dst  []netip.Prefix
	SrcPorts  []PortRange
	DstPorts  []PortRange
	EthSrc    []wire.MAC
	EthDst    []wire.MAC
	EtherType uint16
	VNI       uint32
	InPorts   []PortID // source port of the packet in the switch
	// Never makes the rule match nothing: an address field that names an
	// empty set (rule ACL-33).
	Never bool
	// Func, when set, is a further condition; Note names it in traces.
	Func func(*Walk) bool
	Note string
}

// Outcome is what an action decided.
type Outcome uint8

const (
	Continue Outcome = iota
	Stop             // the walk ends: Walk.Drop or Walk.Replies say how
)

// Action is what a rule does. Apply changes the walk's header state; it must
// depend on nothing but the walk, its own immutable settings and the spaces
// it refers to, so that the result may be cached for the flow. An action
// whose result holds for this packet only sets Walk.NoCache.
type Action interface {
	Name() string // "allow", "block", "dynnat", "encap", ... as dumps print it
	Apply(*Walk) Outcome
}

// Spaced is an action that looks into spaces: large mappings that many rules,
// of one port or of many, have in common (rule VFP-05). Dumps name them.
type Spaced interface {
	Spaces() []Space
}

// Space is a mapping between addresses, or a pool of ports.
type Space struct {
	Name    string
	Entries int
}

// ForwardKind is a forwarding decision (pipeline step 6).
type ForwardKind uint8

const (
	ByMAC  ForwardKind = iota // the switch decides from the destination MAC in the zone
	ToPort                    // exactly Forward.Port
	ToWire                    // the external port
	ToHost                    // the host port
	// ToPA: routed by the host's neighbour table. The switch resolves the next
	// hop of Encap.Dst (of H.Dst when nothing is encapsulated), fills the
	// outermost Ethernet addresses and sends through the external port.
	ToPA
	Hairpin     // back out of the source port
	LocalFlood  // to every other endpoint port of the zone, never external or host (OV-11)
	WireAndHost // to the external port and the host ports, not to local endpoints (L2T-04)
	CopiesOnly  // nowhere: Walk.Copies say it all (SDN-07)
)

// Forward is where the packet goes.
type Forward struct {
	Kind ForwardKind
	Port PortID
}
