package ipstack

import (
	"net/netip"

	"github.com/hnsim/hnsim/sim/vfp"
)

// Verdict is a hook's decision. The zero value accepts.
type Verdict struct {
	kind   verdictKind
	reason vfp.Drop
}

type verdictKind uint8

const (
	accept verdictKind = iota
	drop
	stolen
)

// Accept lets the packet go on, as the hook left it.
func Accept() Verdict { return Verdict{} }

// DropWith ends the packet, with a reason.
func DropWith(why vfp.Drop) Verdict { return Verdict{kind: drop, reason: why} }

// Stolen says that the hook took the packet over: it kept a copy, or answered
// it. The stack forgets it without counting a drop.
func Stolen() Verdict { return Verdict{kind: stolen} }

// Hooks are where a translator sits in a routing stack. Any field may be nil.
//
// A hook may change addresses, ports and payload of the packet it is given and
// must leave Meta true (the rewrites of package wire do). The stack looks up
// again what depends on the destination: whether the packet is its own, the
// route, the next hop. The packet is valid during the call only; p.Bytes()
// begins with an Ethernet header whose addresses say nothing yet on the way
// out.
type Hooks struct {
	// PreRouting sees every sane packet that comes in from outside, before it
	// is decided whether it is for this stack.
	PreRouting func(now int64, in *Interface, p *vfp.Packet) Verdict
	// PostRouting sees every packet that is being forwarded, when its way out
	// is known. src is the address that the stack itself would use there. TTL
	// and MTU have been dealt with: errors about them quote the packet as it
	// came in (rules NAT-17, NAT-52).
	PostRouting func(now int64, in, out *Interface, src netip.Addr, p *vfp.Packet) Verdict
	// Forwarding stands for PreRouting and PostRouting where the stack knows the
	// way of a packet already: it does what both would do together, or reports
	// false and has done nothing. Without it, a stack with one of the others
	// forgets every way.
	Forwarding func(now int64, in, out *Interface, src netip.Addr, p *vfp.Packet) bool
	// Output sees every packet that begins in this stack, those to its own
	// addresses included: out is then the loopback.
	Output func(now int64, out *Interface, src netip.Addr, p *vfp.Packet) Verdict
}

// InjectForward sends on a packet that a hook has held, translated: a fragment
// that waited for its first (rules NAT-50, NAT-51). It goes where its
// destination leads; no hook sees it and its TTL stays. in is where it came
// from, nil if that does not matter any more: then nobody is told if it is too
// long. The packet stays the caller's.
func (s *Stack) InjectForward(now int64, in *Interface, p *vfp.Packet) {
	if p.Parse(); !p.Meta.IsIP() {
		s.drop(now, "forward", vfp.DropMalformed, p)
		return
	}
	if in == nil {
		in = s.lo
	}
	q := s.get(p.Bytes(), p.ID)
	defer s.put(q)
	q.Parse()
	s.plain(q)
	s.route(now, in, q, q)
}
