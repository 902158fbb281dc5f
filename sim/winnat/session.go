package winnat

import (
	"github.com/hnsim/hnsim/sim/wire"
)

// hook says at which of the four places a packet comes by. It is the zone of
// a flow key: the same tuple at two places is two things.
type hook uint32

const (
	hookOut  hook = 1 + iota // from a container, leaving
	hookIn                   // from outside, for an external address
	hookHost                 // from a host socket, for an address of the host
	hookBack                 // from a container, for an address of the host
)

func at(k wire.Key4, h hook) wire.Key4 {
	k.B = k.B&^(1<<wire.ZoneBits-1) | uint64(h)
	return k
}

// kind says how a session came about, which decides who keeps it alive.
type kind uint8

const (
	dynamic   kind = iota // by a mapping; its forward direction is outbound (NAT-10)
	published             // by a static mapping; forward is inbound (NAT-30)
	fromHost              // by a static mapping, from the host itself (NAT-36)
)

var kindNames = [...]string{"dynamic", "static", "host"}

// dir is a session's direction.
type dir uint8

const (
	forward dir = iota
	reverse
)

// session is one flow. A forward packet arrives as fwd and leaves as out; a
// reply arrives as the reverse of out and leaves as the reverse of fwd. The
// zone of fwd is the hook of forward packets, the zone of out that of replies.
//
// It fits a cache line: with 100,000 flows, that line and the one in the table
// are most of what a packet waits for (BenchmarkEstablished).
type session struct {
	fwd, out wire.Key4
	deadline int64  // the session is gone at this time
	pos      uint32 // in NAT.timers, while in use; else the next free session
	mapping  uint32 // of a dynamic session
	kind     kind
	tcp      tcpBits
	sent     bool     // the inside has sent: the remote address passes the filter
	short    uint8    // directions that have a shortcut, a bit each
	win      *windows // with the knob tcpSeqCheck only
}

// translate is the tuple with which a packet of direction d leaves.
func (s *session) translate(d dir) wire.Key4 {
	if d == forward {
		return s.out
	}
	return s.fwd.Reverse()
}

// keeps reports whether packets of direction d keep the session alive while
// that takes the inside's consent: a mapping must not be held open from
// outside (RFC 4787 REQ-6), unless the knob says so for UDP. With a static
// mapping there is nothing to hold.
func (n *NAT) keeps(s *session, d dir) bool {
	return d == forward || s.kind != dynamic || (n.cfg.Timers.UDPInboundRefresh && s.fwd.Proto() == wire.ProtoUDP)
}

// mapping is the external port of an internal (protocol, address, port), and,
// with other behaviours than the default, of a remote end (rule NAT-13).
type mapping struct {
	key        wire.Key4 // in NAT.byInside
	proto      uint8
	ext        uint8 // index in NAT.exts
	inside     uint32
	port       uint16
	extPort    uint16
	remote     uint32
	remotePort uint16
	sessions   int // the mapping ends with the last
}

// external is an address that mappings translate to.
type external struct {
	addr uint32
	refs int // mappings
}

// newSession stores s, whose deadline is set, unless one of its two keys is
// taken (two flows that could not be told apart) or the limit is reached.
func (n *NAT) newSession(s session) bool {
	fk, rk := s.fwd, s.out.Reverse()
	if n.flows.find(fk) != nil || n.flows.find(rk) != nil {
		return false
	}
	if n.timers.heap.len() >= n.cfg.Limits.Sessions {
		return false
	}
	i := n.freeSession
	if i != 0 {
		n.freeSession = n.sessions.at(i).pos
		*n.sessions.at(i) = s
	} else {
		i = n.sessions.push(s)
	}
	n.flows.add(fk).num = flowValue(i, forward)
	n.flows.add(rk).num = flowValue(i, reverse)
	n.timers.push(&n.sessions, i, s.deadline)
	if s.kind == dynamic {
		n.mappings[s.mapping].sessions++
		if s.sent {
			n.countPeer(&s, 1)
		}
	}
	return true
}

func flowValue(i uint32, d dir) uint32 { return i<<1 | uint32(d) }

// remove ends session i, and its mapping if it was the last.
func (n *NAT) remove(i uint32) {
	s := n.sessions.at(i)
	n.forget(s)
	n.flows.del(s.fwd)
	n.flows.del(s.out.Reverse())
	n.timers.remove(&n.sessions, i)
	if s.kind == dynamic {
		if s.sent {
			n.countPeer(s, -1)
		}
		m := &n.mappings[s.mapping]
		m.sessions--
		if m.sessions == 0 {
			n.unmap(s.mapping)
		}
	}
	*s = session{pos: n.freeSession}
	n.freeSession = i
}

// refresh moves the deadline of session i.
func (n *NAT) refresh(s *session, i uint32, deadline int64) {
	old := s.deadline
	s.deadline = deadline
	if deadline < old { // a shorter lifetime began, as after a reset
		n.timers.earlier(&n.sessions, i, deadline)
	}
}

// peerKey names the pair of a mapping and a remote address.
func peerKey(m uint32, remote uint32) wire.Key4 { return wire.Key4{A: uint64(m)<<32 | uint64(remote)} }

// countPeer counts the sessions of a mapping in which the inside has sent to
// a remote address, which is what address dependent filtering asks for.
func (n *NAT) countPeer(s *session, by int) {
	k := peerKey(s.mapping, s.fwd.Dst())
	p := n.peers.find(k)
	switch {
	case p == nil:
		n.peers.add(k).num = uint32(by)
	case int(p.num)+by == 0:
		n.peers.del(k)
	default:
		p.num += uint32(by)
	}
}

// mappingFor finds or makes the mapping of the internal end of an outgoing
// tuple on external address ext; ok is false if there is no port for it.
func (n *NAT) mappingFor(k wire.Key4, ext uint32) (i uint32, ok bool) {
	proto := k.Proto()
	pi, _ := protoIndex(proto)
	x, ok := n.externalIndex(ext)
	if !ok {
		return 0, false
	}
	remote, remotePort := n.cfg.mappingScope(k.Dst(), k.DstPort())
	key := wire.MakeKey4(k.Src(), remote, k.SrcPort(), remotePort, proto, uint32(x))
	if i = n.byInside.get(key); i != 0 {
		return i, true
	}
	if last := len(n.freeMappings) - 1; last >= 0 {
		i = n.freeMappings[last]
	} else {
		i = uint32(len(n.mappings))
	}
	port, ok := n.takePort(pi, i)
	if !ok {
		return 0, false
	}
	m := mapping{key: key, proto: proto, ext: uint8(x), inside: k.Src(), port: k.SrcPort(), extPort: port, remote: remote, remotePort: remotePort}
	if int(i) < len(n.mappings) {
		n.freeMappings = n.freeMappings[:len(n.freeMappings)-1]
		n.mappings[i] = m
	} else {
		n.mappings = append(n.mappings, m)
	}
	n.byInside.put(key, i)
	n.exts[x].refs++
	return i, true
}

// unmap ends mapping i, which has no sessions, and frees its port.
func (n *NAT) unmap(i uint32) {
	m := &n.mappings[i]
	pi, _ := protoIndex(m.proto)
	n.pools[pi].give(m.extPort)
	n.byInside.del(m.key)
	n.exts[m.ext].refs--
	n.mappings[i] = mapping{}
	n.freeMappings = append(n.freeMappings, i)
}

// externalIndex gives an external address a small number, to fit mapping keys.
// A host has few; numbers without mappings are used again.
func (n *NAT) externalIndex(addr uint32) (int, bool) {
	unused := -1
	for i := range n.exts {
		if n.exts[i].addr == addr {
			return i, true
		}
		if n.exts[i].refs == 0 && unused < 0 {
			unused = i
		}
	}
	if unused < 0 {
		if len(n.exts) == maxExternal {
			return 0, false
		}
		unused = len(n.exts)
		n.exts = append(n.exts, external{})
	}
	n.exts[unused] = external{addr: addr}
	return unused, true
}

// mappingAt finds the mapping of an external end, 0 if there is none.
func (n *NAT) mappingAt(proto uint8, addr uint32, port uint16) uint32 {
	pi, _ := protoIndex(proto) // nothing else has a transport header with ports
	i := n.pools[pi].owner(port)
	if i == 0 || n.exts[n.mappings[i].ext].addr != addr {
		return 0
	}
	return i
}

// ownsPort reports whether an external port is the translator's: mapped, kept
// ready in a block, or published. No host socket can have it (rule NAT-16).
func (n *NAT) ownsPort(proto uint8, addr uint32, port uint16) bool {
	pi, ok := protoIndex(proto)
	return ok && (n.pools[pi].owns(port) || n.cfg.published(proto, addr, port) != nil)
}
