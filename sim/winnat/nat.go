package winnat

import (
	"net/netip"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// Verdict says what the caller does with the packet.
type Verdict uint8

const (
	NotMine    Verdict = iota // unchanged: route it, or give it to the host stack, as without NAT
	Translated                // changed: forward it by its new destination
	ToHost                    // changed: give it to the host stack
	Dropped                   // Result.Drop says why; the packet is marked too
	Queued                    // a copy waits for the datagram's first fragment
)

var verdictNames = [...]string{"not mine", "translated", "to host", "dropped", "queued"}

func (v Verdict) String() string { return nameOf(verdictNames[:], int(v)) }

// Result is the answer about one packet.
type Result struct {
	Verdict Verdict
	Drop    vfp.Drop
	Rule    string // contract rule that decided, for traces; empty if none did
	// Released are fragments that were held until this packet, the first of
	// their datagram, told where they belong. They share its verdict, come in
	// the order in which they arrived, and go where it goes, behind it. The
	// caller owns them. A TTL that the caller had changed before a fragment was
	// queued is still changed.
	Released []*vfp.Packet
}

// NAT is a translator at run time.
type NAT struct {
	cfg   *compiled
	ports Ports
	owner uint64

	flows    numbers // key of each direction -> flowValue
	byInside numbers // mapping.key -> mapping
	peers    numbers // peerKey -> number of sessions with sent set
	pools    [numProtos]portPool
	exts     []external
	timers   timers

	// Index 0 of both is not used, so that 0 can mean none.
	sessions     list[session]
	mappings     []mapping
	freeSession  uint32 // the first of a chain, see session.pos
	freeMappings []uint32

	// Shortcuts of a host that carries packets in batches, nil without one.
	shortcuts *table[shortcut]
	life      [icmp]int64 // of settled sessions, in ns
	gen       uint64      // counts configurations

	frags    fragments
	lastIPID uint16
	lines    vfp.Lines // scratch of Warm
	counters Counters
}

// New makes a translator. Its ports come from ports, under the name owner.
func New(cfg Config, ports Ports, owner uint64) (*NAT, error) {
	c, err := compile(&cfg)
	if err != nil {
		return nil, err
	}
	n := &NAT{ports: ports, owner: owner, mappings: make([]mapping, 1)}
	n.sessions.push(session{})
	n.configure(c)
	n.pools[tcp].proto, n.pools[udp].proto, n.pools[icmp].proto = wire.ProtoTCP, wire.ProtoUDP, wire.ProtoICMP
	n.frags.init()
	return n, nil
}

// Apply replaces the configuration. After an error the old one stays. Sessions
// go on unless the new configuration has no place for them: an internal
// address outside of all prefixes, a static mapping that is gone, changed or
// new for their ports.
func (n *NAT) Apply(cfg Config) error {
	c, err := compile(&cfg)
	if err != nil {
		return err
	}
	n.configure(c)
	n.eachSession(func(i uint32, s *session) {
		if !n.fitsConfig(s) {
			n.remove(i)
		}
	})
	return nil
}

func (n *NAT) configure(c *compiled) {
	n.cfg = c
	n.life = [icmp]int64{tcp: int64(c.Timers.TCPEstablished), udp: int64(c.Timers.UDP)}
	n.gen++
}

// eachSession calls f, which may remove the session, for all that there are.
func (n *NAT) eachSession(f func(i uint32, s *session)) {
	for i := uint32(1); i < uint32(n.sessions.len()); i++ {
		if s := n.sessions.at(i); s.fwd != (wire.Key4{}) {
			f(i, s)
		}
	}
}

// fitsConfig reports whether the configuration would still make session s.
func (n *NAT) fitsConfig(s *session) bool {
	proto := s.fwd.Proto()
	if s.kind == dynamic {
		m := &n.mappings[s.mapping]
		return n.cfg.netOf(m.inside) != nil && n.cfg.publishedInside(proto, m.inside, m.port) == nil && !n.cfg.publishes(proto, m.extPort)
	}
	p := n.cfg.published(proto, s.fwd.Dst(), s.fwd.DstPort())
	return p != nil && p.inside == s.out.Dst() && p.port == s.out.DstPort() && (s.kind == published || n.hostMay(p))
}

// hostMay reports whether the host itself may use a published port (NAT-36).
func (n *NAT) hostMay(p *static) bool { return n.cfg.LoopbackPublish || p.localRouted }

// Close ends all sessions, forgets held fragments and returns the ports.
func (n *NAT) Close() {
	n.eachSession(func(i uint32, _ *session) { n.remove(i) })
	for i := range n.pools {
		p := &n.pools[i]
		for _, b := range p.blocks {
			n.ports.ReleaseBlock(p.proto, b.lo, len(b.used), n.owner)
		}
		p.blocks = nil
	}
	n.frags.init()
}

// Outbound translates a packet that the host forwards from an internal prefix
// through another interface, whose address is ext (rule NAT-10). p has been
// parsed. The caller has routed it and knows that TTL and MTU let it pass, so
// that its ICMP errors quote internal addresses (rules NAT-17, NAT-52).
func (n *NAT) Outbound(now int64, p *vfp.Packet, ext netip.Addr) Result {
	return n.process(now, p, hookOut, wire.Addr4(ext))
}

// Forward is Outbound for a whole TCP or UDP packet that can be translated,
// by a session that there is or a new one. It reports false, and has done
// nothing that Outbound would not do again, if there is more to say.
func (n *NAT) Forward(now int64, p *vfp.Packet, ext netip.Addr) bool {
	m := &p.Meta
	if !m.IsIPv4 || !m.HasL4 || m.Fragment || m.Proto == wire.ProtoICMP || n.cfg.TCPSeqCheck {
		return false
	}
	d := n.outward(now, p, m.Key4(p.Bytes(), uint32(hookOut)), wire.Addr4(ext))
	if d.verdict != Translated {
		return false
	}
	n.rewrite(p, &d, hookOut)
	n.finish(p, hookOut, &d)
	return true
}

// Inbound translates a packet that has arrived for ext, an address of the
// host, from outside. NotMine means that the host stack decides.
func (n *NAT) Inbound(now int64, p *vfp.Packet, ext netip.Addr) Result {
	return n.process(now, p, hookIn, wire.Addr4(ext))
}

// Hairpin sees what containers send to the host's own addresses, gateways
// included, before the host stack does (rule NAT-08): packets for published or
// mapped ports turn round (rule NAT-37), answers to connections of the host
// itself find back (rule NAT-36). All else is NotMine.
func (n *NAT) Hairpin(now int64, p *vfp.Packet) Result {
	return n.process(now, p, hookBack, 0)
}

// HostOutbound sees what host sockets send to the host's own addresses,
// 127.0.0.1 included, before it is looped back (rule NAT-36). Translated
// packets go to the container.
func (n *NAT) HostOutbound(now int64, p *vfp.Packet) Result {
	return n.process(now, p, hookHost, 0)
}

// expiryBudget bounds the work of one Tick.
const expiryBudget = 1024

// Tick removes some of what has expired, so that memory follows use. It
// returns fragments whose first fragment has not come in time, marked with
// the reason; the caller owns them. Calling it, or not, changes nothing else.
func (n *NAT) Tick(now int64) []*vfp.Packet {
	n.expire(now, expiryBudget)
	return n.frags.takeExpired(n, now)
}

// NextTimeout is when Tick next has something to do, ok is false if nothing
// waits. It may be early, never late.
func (n *NAT) NextTimeout() (at int64, ok bool) {
	if e, some := n.timers.first(); some {
		at, ok = e.at, true
	}
	if d, some := n.frags.nextDeadline(); some && (!ok || d < at) {
		at, ok = d, true
	}
	return at, ok
}

// decision is what one packet leads to. tuple is how it leaves, when it does.
type decision struct {
	verdict Verdict
	drop    vfp.Drop
	rule    string
	tuple   wire.Key4
	done    bool // the packet has been rewritten already
}

func notMine() decision { return decision{} }

func drop(why vfp.Drop, rule string) decision {
	return decision{verdict: Dropped, drop: why, rule: rule}
}

// process is a packet's way through one of the four places.
func (n *NAT) process(now int64, p *vfp.Packet, h hook, ext uint32) Result {
	m := &p.Meta
	if !m.IsIPv4 {
		return Result{} // rule NAT-07: the host drops what containers send over IPv6
	}
	if h == hookIn && wire.IPv4(p.Bytes()[m.L3:]).Dst() != ext {
		return Result{}
	}
	if m.Fragment {
		return n.fragmentSlow(now, p, h, ext)
	}
	d := n.decide(now, p, h, ext)
	if d.verdict == Translated || d.verdict == ToHost {
		n.rewrite(p, &d, h)
	}
	return n.finish(p, h, &d)
}

// finish marks and counts p.
func (n *NAT) finish(p *vfp.Packet, h hook, d *decision) Result {
	switch d.verdict {
	case Dropped:
		p.DropWith(d.drop)
		n.counters.Drops[d.drop]++
	case Queued:
		p.Verdict = vfp.Consumed
		n.counters.Queued++
	case Translated, ToHost:
		n.counters.translated(h, d.verdict)
	}
	return Result{Verdict: d.verdict, Drop: d.drop, Rule: d.rule}
}

// decide finds what becomes of a packet with a transport header, and for a
// packet without one, whose business that is.
func (n *NAT) decide(now int64, p *vfp.Packet, h hook, ext uint32) decision {
	m := &p.Meta
	if !m.HasL4 {
		return n.decideHeaderless(p, h)
	}
	k := m.Key4(p.Bytes(), uint32(h))
	if m.Proto == wire.ProtoICMP {
		if m.IsICMPError() {
			return n.icmpError(now, p, h)
		}
		if d, ok := n.icmpQueryGate(p, h); !ok {
			return d
		}
	}
	switch h {
	case hookOut:
		return n.outward(now, p, k, ext)
	case hookIn:
		return n.inward(now, p, k)
	case hookHost:
		return n.hostward(now, p, k)
	}
	return n.turn(now, p, k)
}

// decideHeaderless drops what must not leave untranslated (rule NAT-11). What
// came for the host is the host's to drop.
func (n *NAT) decideHeaderless(p *vfp.Packet, h hook) decision {
	if h != hookOut || n.cfg.netOf(wire.IPv4(p.Bytes()[p.Meta.L3:]).Src()) == nil {
		return notMine()
	}
	if _, ok := protoIndex(p.Meta.Proto); ok {
		return drop(vfp.DropMalformed, "NAT-10")
	}
	return drop(vfp.DropNatUnsupportedProto, "NAT-11")
}

// rewrite makes p the packet that the decision describes, checksums mended
// (rule NAT-18). Everything else in it stays (rule NAT-19).
func (n *NAT) rewrite(p *vfp.Packet, d *decision, h hook) {
	frame, m := p.Bytes(), &p.Meta
	if !d.done {
		setAddresses(frame, m, d.tuple)
		if m.Proto == wire.ProtoICMP {
			wire.SetICMPID(frame, m, d.tuple.SrcPort())
		} else {
			wire.SetPorts(frame, m, d.tuple.SrcPort(), d.tuple.DstPort())
		}
	}
	if n.cfg.RewriteIPID && h == hookOut && !m.DF(frame) {
		n.lastIPID++
		setIPID(frame, m, n.lastIPID)
	}
}

func setAddresses(frame []byte, m *wire.Meta, k wire.Key4) {
	ip := wire.IPv4(frame[m.L3:])
	if ip.Src() != k.Src() {
		wire.SetIPv4Src(frame, m, k.Src())
	}
	if ip.Dst() != k.Dst() {
		wire.SetIPv4Dst(frame, m, k.Dst())
	}
}

func setIPID(frame []byte, m *wire.Meta, id uint16) {
	ip := wire.IPv4(frame[m.L3:])
	ip.SetChecksum(wire.Mend16(ip.Checksum(), ip.ID(), id))
	ip.SetID(id)
}
