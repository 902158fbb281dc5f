package winnat

import (
	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// The functions below decide about tuples, not packets: a hairpinned packet
// leaves and comes back before any byte of it is changed. The packet is there
// for the TCP tracker only.

// Rules that decide, as Result.Rule names them.
const (
	ruleDynamic   = "NAT-13"
	ruleFilter    = "NAT-14"
	ruleFirewall  = "NAT-32"
	rulePublished = "NAT-30"
	ruleFromHost  = "NAT-36"
	ruleHairpin   = "NAT-37"
	ruleNoMapping = "NAT-38"
	ruleExhausted = "NAT-39"
	ruleTimers    = "3.3"
	ruleQuery     = "NAT-55"
)

// ruleOf is the rule that a packet of a known session follows.
func ruleOf(s *session) string {
	switch {
	case s.kind == published:
		return rulePublished
	case s.kind == fromHost:
		return ruleFromHost
	case s.fwd.Proto() == wire.ProtoICMP:
		return ruleQuery
	}
	return ruleDynamic
}

// known handles a packet of a session that exists: the fast path. ext is the
// external address that the route asks for, 0 if the hook has none.
func (n *NAT) known(now int64, p *vfp.Packet, k wire.Key4, ext uint32) (decision, bool) {
	v := n.flows.get(k)
	if v == 0 {
		return decision{}, false
	}
	i, d := v>>1, dir(v&1)
	s := n.sessions.at(i)
	if s.short != 0 {
		n.pull(s)
	}
	if now >= s.deadline || (ext != 0 && s.kind == dynamic && s.out.Src() != ext) {
		return decision{}, false
	}
	before, until := s.tcp, s.deadline
	if !n.track(s, i, d, now, p) {
		return drop(vfp.DropNatFiltered, ruleTimers), true
	}
	if s.short != 0 && (s.tcp != before || s.deadline < until) {
		n.forget(s) // they know nothing of what the packet changed
	}
	if d == forward && !s.sent && s.kind == dynamic {
		s.sent = true
		n.countPeer(s, 1)
	}
	return decision{verdict: Translated, rule: ruleOf(s), tuple: s.translate(d)}, true
}

// track lets session i see a packet of direction d: it moves the deadline as
// the protocol says. false means that the knob tcpSeqCheck forbids the packet.
func (n *NAT) track(s *session, i uint32, d dir, now int64, p *vfp.Packet) bool {
	var life int64
	keeps := n.keeps(s, d)
	switch s.fwd.Proto() {
	case wire.ProtoTCP:
		flags := p.Meta.TCPFlags
		old := s.tcp
		if opens(flags) && keeps && old.phase().over() {
			old, s.tcp, s.win = 0, 0, nil // the ports are used for a new connection
		}
		if n.cfg.TCPSeqCheck && !s.admit(d, p) {
			return false
		}
		s.tcp = s.tcp.seen(d, flags)
		life = n.tcpLifetime(old, s.tcp, keeps)
	case wire.ProtoUDP:
		life = int64(n.cfg.Timers.UDP)
	default:
		life = int64(n.cfg.Timers.ICMPQuery)
	}
	if s.fwd.Proto() != wire.ProtoTCP && !keeps {
		return true
	}
	if life > 0 {
		n.refresh(s, i, now+life)
	}
	return true
}

// open stores a new session, of which p is the first packet, in direction d.
func (n *NAT) open(now int64, p *vfp.Packet, s session, d dir) (decision, bool) {
	s.deadline = now
	n.track(&s, 0, d, now, p)
	if !n.newSession(s) {
		return drop(vfp.DropNatPoolExhausted, ruleExhausted), false
	}
	return decision{verdict: Translated, rule: ruleOf(&s), tuple: s.translate(d)}, true
}

// outward decides about a tuple that leaves for the outside by way of ext.
func (n *NAT) outward(now int64, p *vfp.Packet, k wire.Key4, ext uint32) decision {
	if d, ok := n.known(now, p, k, ext); ok {
		return d
	}
	return n.outwardSlow(now, p, k, ext)
}

//go:noinline
func (n *NAT) outwardSlow(now int64, p *vfp.Packet, k wire.Key4, ext uint32) decision {
	if n.cfg.netOf(k.Src()) == nil || n.cfg.netOf(k.Dst()) != nil {
		return notMine()
	}
	n.expireAll(now)
	if ext == 0 { // no address to translate to: never leak an internal one
		return drop(vfp.DropNatPoolExhausted, ruleExhausted)
	}
	if v := n.flows.get(k); v != 0 {
		n.remove(v >> 1) // the route leads to another external address now
	}
	if st := n.cfg.publishedInside(k.Proto(), k.Src(), k.SrcPort()); st != nil {
		if st.vip != 0 {
			ext = st.vip
		}
		s := session{
			kind: published,
			fwd:  wire.MakeKey4(k.Dst(), ext, k.DstPort(), st.ext, k.Proto(), uint32(hookIn)),
			out:  k.Reverse(),
		}
		d, _ := n.open(now, p, s, reverse)
		return d
	}
	if k.Proto() == wire.ProtoTCP && !opens(p.Meta.TCPFlags) {
		// Nothing is known of this connection and its next answer could not
		// come back through a new port, so a translation would only hide that.
		return drop(vfp.DropNoMapping, ruleTimers)
	}
	mi, ok := n.mappingFor(k, ext)
	if !ok {
		return drop(vfp.DropNatPoolExhausted, ruleExhausted)
	}
	d, ok := n.open(now, p, session{kind: dynamic, fwd: k, out: n.outside(k, mi), mapping: mi, sent: true}, forward)
	if !ok && n.mappings[mi].sessions == 0 {
		n.unmap(mi)
	}
	return d
}

// outside is the tuple of k behind mapping mi, in the zone of its replies. An
// ICMP identifier stands in the place of both ports.
func (n *NAT) outside(k wire.Key4, mi uint32) wire.Key4 {
	m := &n.mappings[mi]
	dstPort := k.DstPort()
	if m.proto == wire.ProtoICMP {
		dstPort = m.extPort
	}
	return wire.MakeKey4(n.exts[m.ext].addr, k.Dst(), m.extPort, dstPort, m.proto, uint32(hookIn))
}

// inward decides about a tuple that comes from outside.
func (n *NAT) inward(now int64, p *vfp.Packet, k wire.Key4) decision {
	if d, ok := n.known(now, p, k, 0); ok {
		return d
	}
	return n.inwardSlow(now, p, k)
}

//go:noinline
func (n *NAT) inwardSlow(now int64, p *vfp.Packet, k wire.Key4) decision {
	n.expireAll(now)
	proto := k.Proto()
	if st := n.cfg.published(proto, k.Dst(), k.DstPort()); st != nil {
		if st.closed {
			return drop(vfp.DropHostFirewall, ruleFirewall)
		}
		// Any packet opens a session, also in the middle of a connection: the
		// mapping outlives what it carries.
		out := wire.MakeKey4(k.Src(), st.inside, k.SrcPort(), st.port, proto, uint32(hookOut))
		d, _ := n.open(now, p, session{kind: published, fwd: k, out: out}, forward)
		return d
	}
	mi := n.mappingAt(proto, k.Dst(), k.DstPort())
	if mi == 0 {
		if n.ownsPort(proto, k.Dst(), k.DstPort()) {
			return drop(vfp.DropNoMapping, ruleNoMapping)
		}
		return notMine() // a host socket may own the port (NAT-38)
	}
	if !n.lets(mi, k.Src()) {
		return drop(vfp.DropNatFiltered, ruleFilter)
	}
	m := &n.mappings[mi]
	in := wire.MakeKey4(k.Src(), m.inside, k.SrcPort(), m.port, proto, uint32(hookOut))
	if proto == wire.ProtoTCP && opens(p.Meta.TCPFlags) {
		s := session{kind: dynamic, fwd: in.Reverse(), out: k.Reverse(), mapping: mi}
		d, _ := n.open(now, p, s, reverse)
		return d
	}
	// No session: the outside must not make the mapping last longer.
	return decision{verdict: Translated, rule: ruleFilter, tuple: in}
}

// lets reports whether mapping mi lets a remote address in that has no session
// (rule NAT-14).
func (n *NAT) lets(mi uint32, remote uint32) bool {
	switch n.cfg.filtering(n.mappings[mi].proto) {
	case FilterEndpointIndependent:
		return true
	case FilterAddress:
		return n.peers.get(peerKey(mi, remote)) != 0
	}
	return false
}

// hostward decides about a tuple that a host socket sends to the host.
func (n *NAT) hostward(now int64, p *vfp.Packet, k wire.Key4) decision {
	if d, ok := n.known(now, p, k, 0); ok {
		return d
	}
	st := n.cfg.published(k.Proto(), k.Dst(), k.DstPort())
	if st == nil || !n.hostMay(st) || n.cfg.netOf(k.Dst()) != nil {
		return notMine() // nobody listens there (NAT-35); a gateway publishes nothing
	}
	n.expireAll(now)
	src := k.Src()
	if isLoopback(src) { // no container can answer that
		net := n.cfg.netOf(st.inside)
		if net == nil || net.gateway == 0 {
			return drop(vfp.DropNoRoute, ruleFromHost)
		}
		src = net.gateway // as all that the host sends to containers (NAT-09)
	}
	out := wire.MakeKey4(src, st.inside, k.SrcPort(), st.port, k.Proto(), uint32(hookBack))
	d, _ := n.open(now, p, session{kind: fromHost, fwd: k, out: out}, forward)
	return d
}

func isLoopback(addr uint32) bool { return addr>>24 == 127 }

// turn decides about a tuple from a container to an address of the host.
func (n *NAT) turn(now int64, p *vfp.Packet, k wire.Key4) decision {
	if d, ok := n.known(now, p, k, 0); ok {
		if d.verdict == Translated {
			d.verdict = ToHost
		}
		return d
	}
	n.expireAll(now)
	proto := k.Proto()
	switch {
	case n.cfg.netOf(k.Src()) == nil || n.cfg.netOf(k.Dst()) != nil || !n.ownsPort(proto, k.Dst(), k.DstPort()):
		return notMine() // a service of the host (NAT-08)
	case n.cfg.Hairpin == HairpinDrop:
		return drop(vfp.DropNoMapping, ruleHairpin)
	case n.cfg.published(proto, k.Dst(), k.DstPort()) == nil && n.mappingAt(proto, k.Dst(), k.DstPort()) == 0:
		return drop(vfp.DropNoMapping, ruleNoMapping) // before the sender gets a port for nothing
	}
	// The packet leaves and comes back, with all that follows from both: the
	// sender gets an external port, and the receiver's filter is asked.
	d := n.outward(now, p, at(k, hookOut), k.Dst())
	if d.verdict != Translated {
		return d
	}
	d = n.inward(now, p, at(d.tuple, hookIn))
	if d.verdict == Translated {
		d.rule = ruleHairpin
	}
	return d
}
