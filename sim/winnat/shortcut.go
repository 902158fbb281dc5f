package winnat

import (
	"encoding/binary"
	"unsafe"

	"github.com/hnsim/hnsim/sim/wire"
)

// Shortcut is all that a further packet of one direction of a session needs, in
// one cache line: what identifies it, what it becomes, and when that ends. A
// host that carries packets in batches keeps shortcuts beside the sessions. It
// adds what it knows of the way itself, as a number of its own, so that one
// lookup takes a packet through all of the host.
//
//	key: addresses, ports, protocol, place ──► way of the host
//	                                       ├─► addresses, ports, checksum changes
//	                                       ├─► deadline ◄─┐
//	                                       └─► session ───┘ asked for before it decides
//
// The packet and nobody else pays for its shortcut: a session's own deadline
// stays behind, and is brought up to date by whoever asks for it. What a
// shortcut cannot do (segments that change a connection's state, sessions that
// ran out) goes the long way, which forgets the shortcuts that it contradicts.
type Shortcut = slot[shortcut]

type shortcut struct {
	ips          uint64 // source << 32 | destination, as the packet leaves
	bytes        uint64
	deadline     int64  // of the session, as far as this direction knows
	ports        uint32 // source << 16 | destination, as the packet leaves
	packets      uint32
	session      uint32 // flowValue, and keepsAlive
	ipSum, l4Sum uint16 // folded wire.Delta; that of the IP header includes the hop
}

// keepsAlive marks shortcuts whose packets move the deadline.
const keepsAlive = 1 << 31

// Way is the number of the host's way.
func (s *slot[V]) Way() uint32 { return s.num }

// shortcutHook is the place of packets that come from a container, or from
// outside.
func shortcutHook(inside bool) hook {
	if inside {
		return hookOut
	}
	return hookIn
}

// ShortcutKey is the key of a packet with these words of its header, addresses
// and ports in network order, that comes from a container or from outside.
func ShortcutKey(ips uint64, ports uint32, proto uint8, inside bool) wire.Key4 {
	return wire.Key4{A: ips, B: uint64(ports)<<32 | uint64(proto)<<wire.ZoneBits | uint64(shortcutHook(inside))}
}

// ShortcutHome is where the table has the shortcut of a key.
func ShortcutHome(k wire.Key4) uint64 { return home(k) }

// KeepShortcuts lets the translator have shortcuts from now on.
func (n *NAT) KeepShortcuts() {
	if n.shortcuts == nil {
		n.shortcuts = new(table[shortcut])
	}
}

// DropShortcuts ends that; what they know goes to the sessions. each sees first
// all packets that took them, in no order: the packets' key, the way, and how
// many there were.
func (n *NAT) DropShortcuts(each func(k wire.Key4, way, packets uint32, bytes uint64)) {
	if n.shortcuts == nil {
		return
	}
	for _, slots := range [][]Shortcut{n.shortcuts.slots, n.shortcuts.old} {
		for i := range slots {
			if s := &slots[i]; s.num != 0 && s.num != gone {
				each(s.k, s.num, s.v.packets, s.v.bytes)
			}
		}
	}
	n.eachSession(func(_ uint32, s *session) {
		n.pull(s)
		s.short = 0
	})
	n.shortcuts = nil
}

// Shortcuts is how many there are.
func (n *NAT) Shortcuts() int {
	if n.shortcuts == nil {
		return 0
	}
	return n.shortcuts.n
}

// Generation changes with the configuration: ways that were learned under
// another one are not good any more.
func (n *NAT) Generation() uint64 { return n.gen }

// WarmShortcuts brings near what Shortcut is going to read for keys with these
// homes, at most vfp.BatchSize.
func (n *NAT) WarmShortcuts(homes []uint64) {
	if n.shortcuts.n < warmAt {
		return
	}
	slots := n.shortcuts.slots
	for _, h := range homes {
		n.lines.Add(unsafe.Pointer(&slots[h&uint64(len(slots)-1)]))
	}
	n.lines.Prefetch()
}

// Shortcut finds the shortcut of a packet by its key and the key's home, nil if
// it has none that holds. It is good until the next call that is not Take.
func (n *NAT) Shortcut(now int64, k wire.Key4, home uint64) *Shortcut {
	slots := n.shortcuts.slots
	if len(slots) == 0 {
		return nil
	}
	s := &slots[home&uint64(len(slots)-1)] // mostly here
	if s.num == 0 || s.k != k {
		s = n.shortcuts.findAt(k, home)
	}
	if s == nil || now >= s.v.deadline {
		return nil
	}
	return s
}

// Take records a packet of so many bytes and makes its headers those with which
// it leaves, one hop older. The frame is IPv4 without options and tag, whole,
// with TCP or UDP. The translator's counters are for Took.
func (n *NAT) Take(s *Shortcut, now int64, frame []byte) {
	v := &s.v
	v.packets++
	v.bytes += uint64(len(frame))
	h := (*[wire.EthernetLen + wire.IPv4MinLen + wire.UDPLen]byte)(frame)
	binary.BigEndian.PutUint64(h[26:], v.ips)
	binary.BigEndian.PutUint32(h[34:], v.ports)
	h[22]--
	binary.BigEndian.PutUint16(h[24:], mend(binary.BigEndian.Uint16(h[24:]), v.ipSum))
	life := n.life[udp]
	if h[23] == wire.ProtoTCP {
		life = n.life[tcp]
		sum := (*[2]byte)(frame[50:])
		binary.BigEndian.PutUint16(sum[:], mend(binary.BigEndian.Uint16(sum[:]), v.l4Sum))
	} else if c := binary.BigEndian.Uint16(h[40:]); c != 0 {
		binary.BigEndian.PutUint16(h[40:], wire.UDPZero(mend(c, v.l4Sum)))
	}
	if v.session&keepsAlive != 0 {
		v.deadline = now + life
	}
}

// mend is wire.Delta.Mend of a folded delta.
func mend(c, delta uint16) uint16 {
	s := uint32(^c) + uint32(delta)
	return ^uint16(s + s>>16)
}

// Took counts packets that took shortcuts from a container, or from outside.
func (n *NAT) Took(inside bool, packets uint64) {
	if inside {
		n.counters.TranslatedOut += packets
	} else {
		n.counters.TranslatedIn += packets
	}
}

// Learn makes a shortcut of the host's way for the packets with the key, if
// the session that they belong to lets it: one that knows all that there is to
// know of a packet of this direction. It reports whether there is one now.
func (n *NAT) Learn(now int64, k wire.Key4, way uint32) bool {
	v := n.flows.get(k)
	if n.shortcuts == nil || v == 0 || n.cfg.TCPSeqCheck || n.cfg.RewriteIPID {
		return false
	}
	s, d := n.sessions.at(v>>1), dir(v&1)
	n.pull(s)
	if now >= s.deadline || !s.settled(d) {
		return false
	}
	t := s.translate(d)
	v |= n.keepsMark(s, d)
	c := shortcut{
		ips: t.A, ports: uint32(t.B >> 32), session: v, deadline: s.deadline,
		ipSum: wire.Fold(uint64(wire.Delta32(k.Src(), t.Src())+wire.Delta32(k.Dst(), t.Dst())) + 0xffff - 1<<8),
	}
	c.l4Sum = wire.Fold(uint64(wire.Delta32(k.Src(), t.Src()) + wire.Delta32(k.Dst(), t.Dst()) +
		wire.Delta16(k.SrcPort(), t.SrcPort()) + wire.Delta16(k.DstPort(), t.DstPort())))
	p := n.shortcuts.put(k, way)
	c.packets, c.bytes = p.v.packets, p.v.bytes
	p.v = c
	s.short |= 1 << d
	return true
}

// keepsMark is keepsAlive for a direction whose packets move the deadline of a
// settled session.
func (n *NAT) keepsMark(s *session, d dir) uint32 {
	if s.fwd.Proto() == wire.ProtoTCP || n.keeps(s, d) {
		return keepsAlive
	}
	return 0
}

// settled reports whether packets of direction d that open and end nothing
// change no more of the session than its deadline.
func (s *session) settled(d dir) bool {
	if s.kind == dynamic && d == forward && !s.sent {
		return false
	}
	switch s.fwd.Proto() {
	case wire.ProtoUDP:
		return true
	case wire.ProtoTCP:
		p := s.tcp.phase()
		return (p == tcpEstablished || p == tcpClosing1) && s.tcp&(bitAck<<d) != 0
	}
	return false
}

// key is the key under which packets of direction d are found.
func (s *session) key(d dir) wire.Key4 {
	if d == forward {
		return s.fwd
	}
	return s.out.Reverse()
}

// pull brings the deadline of a session up to date.
func (n *NAT) pull(s *session) {
	for d := forward; d <= reverse; d++ {
		if s.short>>d&1 != 0 {
			if c := n.shortcuts.find(s.key(d)); c != nil {
				s.deadline = max(s.deadline, c.v.deadline)
			}
		}
	}
}

// forget takes the shortcuts of a session away, and with them what they alone
// know.
func (n *NAT) forget(s *session) {
	for d := forward; d <= reverse; d++ {
		if s.short>>d&1 != 0 {
			n.shortcuts.del(s.key(d))
		}
	}
	s.short = 0
}
