package acl

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/hnsim/hnsim/sim/vfp"
)

// Action is what a matching rule decides (rule ACL-01).
type Action uint8

const (
	Allow Action = iota // terminal
	Block               // terminal; the drop reason is VfpBlock, HostFirewall for Host rules
	Pass                // ends this list without a decision: the default posture, or the next tier, decides
)

func (a Action) String() string {
	switch a {
	case Allow:
		return "Allow"
	case Block:
		return "Block"
	default:
		return "Pass"
	}
}

// RuleType says which firewall evaluates a rule (rule ACL-08).
type RuleType uint8

const (
	Switch RuleType = iota // VFP, at the switch port
	Host                   // the host's firewall in the container's compartment
)

func (t RuleType) String() string {
	if t == Host {
		return "Host"
	}
	return "Switch"
}

// Protocol numbers with a meaning of their own.
const (
	AnyProtocol   uint16 = 256 // every IP protocol
	VXLANProtocol uint16 = 252 // VXLAN-encapsulated traffic (rule ACL-34)
)

// AddressSet is an address field. The zero value is the empty field, which
// means any address. Sets lists the names of the IP sets the field referred
// to; their members are already in Prefixes and Ported. A field that names sets
// but has no member matches nothing (rule ACL-33).
type AddressSet struct {
	Any      bool // any address, whatever the other fields say
	Prefixes []netip.Prefix
	Ported   []Member
	Sets     []string
}

// Member is a member of an IP set that is there for one port of one protocol:
// the port beside the address, on the same side of the packet.
type Member struct {
	Prefix netip.Prefix
	Proto  uint8
	Port   uint16 // 0 for protocols without ports
}

// any reports whether the field puts no condition on the address.
func (a AddressSet) any() bool {
	return a.Any || len(a.Prefixes) == 0 && len(a.Ported) == 0 && len(a.Sets) == 0
}

// Rule is one ACL of an endpoint. Local is the endpoint and Remote the peer in
// both directions (rule ACL-02), except for address fields that name IP sets
// (rule ACL-03, Options.Sets).
type Rule struct {
	ID       string // stable over recompilation; empty: derived from the content
	Priority uint16 // lower goes first (rule ACL-05)
	Action   Action
	Dir      vfp.Dir
	// Protocols are IP protocol numbers; empty, or containing 256, is any.
	Protocols               []uint16
	LocalAddrs, RemoteAddrs AddressSet
	// LocalPorts and RemotePorts restrict the rule to TCP and UDP.
	LocalPorts, RemotePorts []vfp.PortRange
	RuleType                RuleType
	Cite                    string // contract rules for traces; empty: ACL-05
}

// Errors of Compile, wrapped with the rule they concern.
var (
	ErrProtocol  = errors.New("protocol number out of range")
	ErrPortRange = errors.New("port range runs backwards")
	ErrPorts     = errors.New("ports given for protocols that have none")
	ErrPrefix    = errors.New("invalid address prefix")
	ErrAction    = errors.New("unknown action")
)

const (
	protoICMP   = 1
	protoIGMP   = 2
	protoTCP    = 6
	protoUDP    = 17
	protoICMPv6 = 58
)

// protocols returns the rule's protocols as VFP matches them, nil for any, and
// whether VXLAN traffic is among them.
func (r *Rule) protocols() (list []uint8, tunnel bool, err error) {
	everything := len(r.Protocols) == 0
	for _, p := range r.Protocols {
		switch {
		case p > AnyProtocol:
			return nil, false, fmt.Errorf("%w: %d", ErrProtocol, p)
		case p == AnyProtocol:
			everything = true
		case p == VXLANProtocol:
			tunnel = true
		default:
			list = append(list, uint8(p))
		}
	}
	if everything {
		list = nil
	}
	if len(r.LocalPorts) == 0 && len(r.RemotePorts) == 0 {
		return list, tunnel, nil
	}
	// VFP keeps the identifier of an ICMP echo where others keep ports; a port
	// condition must not see it.
	if everything {
		return []uint8{protoTCP, protoUDP}, tunnel, nil
	}
	for _, p := range list {
		if p != protoTCP && p != protoUDP {
			return nil, false, fmt.Errorf("%w: %d", ErrPorts, p)
		}
	}
	return list, tunnel, nil
}

// inMain reports whether the rule says anything about traffic that is not
// tunnelled: all rules but those for protocol 252 alone.
func (r *Rule) inMain() bool {
	for _, p := range r.Protocols {
		if p != VXLANProtocol {
			return true
		}
	}
	return len(r.Protocols) == 0
}

// check reports what is wrong with the rule beyond its protocols.
func (r *Rule) check() error {
	if r.Action > Pass {
		return fmt.Errorf("%w: %d", ErrAction, r.Action)
	}
	for _, list := range [2][]vfp.PortRange{r.LocalPorts, r.RemotePorts} {
		for _, p := range list {
			if p.Lo > p.Hi {
				return fmt.Errorf("%w: %d-%d", ErrPortRange, p.Lo, p.Hi)
			}
		}
	}
	for _, set := range [2]AddressSet{r.LocalAddrs, r.RemoteAddrs} {
		for _, p := range set.Prefixes {
			if !p.IsValid() {
				return fmt.Errorf("%w: %s", ErrPrefix, p)
			}
		}
		for _, m := range set.Ported {
			if !m.Prefix.IsValid() {
				return fmt.Errorf("%w: %s", ErrPrefix, m.Prefix)
			}
		}
	}
	return nil
}

// id is the identity under which flows remember the rule. A rule without one
// is identified by what it says, so that recompiling an unchanged list keeps
// its flows.
func (r *Rule) id() string {
	if r.ID != "" {
		return r.ID
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s_%s_%d_%s", r.RuleType, r.Dir, r.Priority, r.Action)
	for _, p := range r.Protocols {
		fmt.Fprintf(&b, "_p%d", p)
	}
	for i, set := range [2]AddressSet{r.LocalAddrs, r.RemoteAddrs} {
		side := [2]byte{'l', 'r'}[i]
		for _, name := range set.Sets {
			fmt.Fprintf(&b, "_%c@%s", side, name)
		}
		// Members of a set may change without changing the rule (ACL-33).
		if len(set.Sets) == 0 && !set.Any {
			for _, p := range set.Prefixes {
				fmt.Fprintf(&b, "_%c%s", side, p)
			}
		}
	}
	for i, list := range [2][]vfp.PortRange{r.LocalPorts, r.RemotePorts} {
		for _, p := range list {
			fmt.Fprintf(&b, "_%c%d-%d", [2]byte{'L', 'R'}[i], p.Lo, p.Hi)
		}
	}
	return b.String()
}
