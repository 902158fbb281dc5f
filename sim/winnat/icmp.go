package winnat

import (
	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

const (
	ruleError        = "NAT-53"
	ruleErrorUnknown = "NAT-54"
)

// isRequest reports whether an ICMP query of the type asks; replies have types
// of their own, so a request from outside never matches the reply of a query
// that happens to have the same identifier.
func isRequest(icmpType uint8) bool {
	switch icmpType {
	case wire.ICMPEcho, wire.ICMPTimestamp, wire.ICMPInfo, wire.ICMPMask:
		return true
	}
	return false
}

// icmpQueryGate lets those messages on to the tables that belong there:
// requests on the way out, replies on the way in (rule NAT-55). Between host
// and containers nothing is translated. Otherwise it returns what becomes of
// the message.
func (n *NAT) icmpQueryGate(p *vfp.Packet, h hook) (decision, bool) {
	m := &p.Meta
	query, request := m.IsICMPQuery(), isRequest(m.ICMPType)
	switch h {
	case hookOut:
		switch {
		case query && request:
			return decision{}, true
		case n.cfg.netOf(wire.IPv4(p.Bytes()[m.L3:]).Src()) == nil:
			return notMine(), false
		case query:
			return drop(vfp.DropNoMapping, ruleQuery), false // nobody outside can have asked
		}
		return drop(vfp.DropNatUnsupportedProto, "NAT-11"), false
	case hookIn:
		if query && !request {
			return decision{}, true
		}
	}
	return notMine(), false
}

// peek finds how a reply to the quoted packet would be translated, and so how
// the error, which goes the reply's way, is. It changes no session: errors
// neither refresh nor shorten anything (rule NAT-53).
func (n *NAT) peek(now int64, k wire.Key4, h hook) (wire.Key4, bool) {
	v := n.flows.get(at(k, h))
	if v == 0 {
		return wire.Key4{}, false
	}
	s := n.sessions.at(v >> 1)
	if n.pull(s); now >= s.deadline {
		return wire.Key4{}, false
	}
	return s.translate(dir(v & 1)), true
}

// icmpError translates an error together with the packet that it quotes
// (rules NAT-53, NAT-54).
func (n *NAT) icmpError(now int64, p *vfp.Packet, h hook) decision {
	frame, m := p.Bytes(), &p.Meta
	q, ok := wire.ParseQuoted(frame, m)
	if !ok || !q.IsIPv4 || !q.HasL4 || (q.Proto == wire.ProtoICMP && q.SrcPort == 0 && !isQuotedQuery(q.ICMPType)) {
		return n.strayError(h, nil, p)
	}
	reply := q.Key4(0).Reverse()
	k, verdict, ok := n.errorRoute(now, reply, h)
	if !ok {
		return n.strayError(h, &q, p)
	}
	if m.Fragment { // nobody can verify it
		return drop(vfp.DropMalformed, ruleErrorUnknown)
	}
	// RFC 5508 REQ-3: a damaged error is worth nothing.
	if !q.ChecksumOK || wire.Checksum(frame[m.L4:m.End]) != 0 {
		return drop(vfp.DropBadChecksum, ruleErrorUnknown)
	}
	if h != hookIn { // the error's author is inside: its own address, or a router's there, must not show
		wire.SetIPv4Src(frame, m, k.Src())
	}
	if h != hookOut {
		wire.SetIPv4Dst(frame, m, k.Dst())
	}
	wire.RewriteQuotedSrc(frame, m, &q, wire.AddrFrom4(k.Dst()), k.DstPort())
	wire.RewriteQuotedDst(frame, m, &q, wire.AddrFrom4(k.Src()), k.SrcPort())
	return decision{verdict: verdict, rule: ruleError, done: true}
}

// isQuotedQuery reports whether a quoted ICMP message has an identifier.
func isQuotedQuery(icmpType uint8) bool {
	return isRequest(icmpType) || icmpType == wire.ICMPEchoReply || icmpType == wire.ICMPTimestampReply ||
		icmpType == wire.ICMPInfoReply || icmpType == wire.ICMPMaskReply
}

// errorRoute translates the tuple of a reply as the session at hook h does.
func (n *NAT) errorRoute(now int64, reply wire.Key4, h hook) (wire.Key4, Verdict, bool) {
	switch h {
	case hookOut, hookIn:
		k, ok := n.peek(now, reply, h)
		return k, Translated, ok
	case hookBack:
		if k, ok := n.peek(now, reply, hookBack); ok {
			return k, ToHost, true
		}
		// Both halves of a hairpin, as in turn.
		k, ok := n.peek(now, reply, hookOut)
		if ok {
			k, ok = n.peek(now, k, hookIn)
		}
		return k, Translated, ok
	}
	return wire.Key4{}, NotMine, false
}

// strayError is what becomes of an error that belongs to no session: outwards
// it would show an internal address, inwards it may be about the host's own
// traffic unless the quoted port is the translator's (rule NAT-54).
func (n *NAT) strayError(h hook, q *wire.Quoted, p *vfp.Packet) decision {
	switch h {
	case hookOut:
		if n.cfg.netOf(wire.IPv4(p.Bytes()[p.Meta.L3:]).Src()) == nil {
			return notMine()
		}
		return drop(vfp.DropNoMapping, ruleErrorUnknown)
	case hookIn:
		if q != nil && n.ownsPort(q.Proto, wire.Addr4(q.Src), q.SrcPort) {
			return drop(vfp.DropNoMapping, ruleErrorUnknown)
		}
	}
	return notMine()
}
