package vfp

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/hnsim/hnsim/sim/wire"
)

// Most packets need little: an untagged frame with an IPv4 header without
// options and TCP or UDP in it, whole, perhaps in VXLAN, all of whose stages
// end in new addresses, new ports, fewer hops, and headers off and on. Such
// packets are plain, such outcomes quick. Both are a second way to the same
// result: PlainKey is Key without a Meta, Quick is Lookup, and Carry is
// Transposition.Apply, with everything worked out when the entry was made.

// quick is an outcome for plain packets. As the key is exact, all fields are
// known, and are written whether they change or not.
type quick struct {
	ips          uint64 // source address << 32 | destination address
	mac0         uint64 // destination MAC and the first two bytes of the source's
	encap        *outer // nil: none
	mac1         uint32 // the rest of the source MAC
	ports        uint32 // source << 16 | destination
	out          PortID
	limit        uint16 // longest frame that may leave; 0: the outcome is not quick
	ipSum, l4Sum uint16 // folded wire.Delta, hops included
	entropy      uint16
	ttl          uint8           // hops to take off
	runs         [nearRefs]uint8 // see Entry.refs; none for entries that are not in runs
}

type quickKind uint8

const (
	quickDecap quickKind = 1 << iota
	quickChange
)

const (
	plainIPv4  = 0x080045 // EtherType, version and header length
	fragBits   = 0x3fff   // more fragments and offset
	plainTCP   = wire.EthernetLen + wire.IPv4MinLen + wire.TCPMinLen
	plainUDP   = wire.EthernetLen + wire.IPv4MinLen + wire.UDPLen
	offL4      = wire.EthernetLen + wire.IPv4MinLen
	tunnelMask = 1<<wire.ZoneBits - 1
)

// prepare works out the quick outcome, if t is one.
func (q *quick) prepare(k *Key, t *Transposition) (kind quickKind) {
	*q = quick{}
	tunnel := k.words[1] & tunnelMask
	switch proto := uint8(k.words[1] >> wire.ZoneBits); {
	case k.v6 || tunnel&taggedZone != 0 || proto != wire.ProtoTCP && proto != wire.ProtoUDP:
		return 0
	case t.Drop != DropNone || t.MTU != 0 || t.PopVLAN || t.PushVLAN || t.set&setID != 0 || t.decap != (tunnel != 0):
		return 0
	case t.encap != nil && t.encap.size != wire.VXLANOverhead4:
		return 0
	}
	q.ips, q.mac0, q.mac1, q.ports = k.words[0], k.words[2], uint32(k.words[3]>>32), uint32(k.words[1]>>32)
	if t.set&setEthDst != 0 {
		q.mac0 = q.mac0&0xffff | macWord(t.ethDst)<<16
	}
	if t.set&setEthSrc != 0 {
		w := macWord(t.ethSrc)
		q.mac0, q.mac1 = q.mac0&^0xffff|w>>32, uint32(w)
	}
	if t.set&setSrc != 0 {
		q.ips = q.ips&0xffffffff | uint64(t.addr[0])<<32
	}
	if t.set&setDst != 0 {
		q.ips = q.ips&^0xffffffff | uint64(t.addr[1])
	}
	if t.set&setPorts != 0 {
		q.ports = uint32(t.srcPort)<<16 | uint32(t.dstPort)
	}
	q.ipSum, q.l4Sum, q.ttl = t.ipSum, t.l4Sum, t.DecTTL
	if t.DecTTL > 0 {
		// The TTL is the high byte of its word; how much it was does not matter.
		q.ipSum = wire.Fold(uint64(q.ipSum) + 0xffff - uint64(t.DecTTL)<<8)
	}
	q.encap, q.entropy, q.out, q.limit = t.encap, t.entropy, t.Out, uint16(min(t.Straight, 0xffff))
	if t.set != 0 || t.DecTTL > 0 {
		kind |= quickChange
	}
	if t.decap {
		kind |= quickDecap
	}
	return kind
}

// macWord is a MAC as 48 bits.
func macWord(m wire.MAC) uint64 {
	return uint64(binary.BigEndian.Uint16(m[:]))<<32 | uint64(binary.BigEndian.Uint32(m[2:]))
}

// PlainKey computes the key of a packet that has not been parsed. It reports
// false if the packet is not plain; then Parse and Key have to look at it. What
// it accepts, they accept with the same key.
func (c *Cache) PlainKey(p *Packet, k *Key) bool {
	b := p.buf[p.off:p.end]
	if len(b) < plainUDP {
		return false
	}
	h := (*[plainUDP]byte)(b)
	w12, w20 := binary.BigEndian.Uint64(h[12:]), binary.BigEndian.Uint64(h[20:])
	total := int(w12 >> 16 & 0xffff)
	if w12>>40 != plainIPv4 || w20>>48&fragBits != 0 || total > len(b)-wire.EthernetLen || h[0]&1 != 0 {
		return false
	}
	proto := uint8(w20 >> 32)
	ports := binary.BigEndian.Uint32(h[offL4:])
	switch {
	case proto == wire.ProtoUDP:
		if total < wire.IPv4MinLen+wire.UDPLen {
			return false
		}
		if c.isVXLAN(uint16(ports)) {
			return c.plainTunnel(b, total, ports, k)
		}
		k.flags = 0
	case proto == wire.ProtoTCP:
		if !k.tcp(b, total) {
			return false
		}
	default:
		return false
	}
	k.at, k.end = 0, 0
	k.fill(binary.BigEndian.Uint64(h[26:]), uint64(ports)<<32|uint64(proto)<<wire.ZoneBits,
		binary.BigEndian.Uint64(h[0:]), uint64(binary.BigEndian.Uint32(h[8:]))<<32)
	return true
}

func (k *Key) fill(a, b, l2a, l2b uint64) {
	k.words[0], k.words[1], k.words[2], k.words[3] = a, b, l2a, l2b
	k.hash = wire.Key4{A: a, B: b}.Hash()
	k.hint, k.v6, k.ok, k.plain = 0, false, true, true
}

// tcp looks at the TCP header of a plain frame b whose datagram has total bytes.
func (k *Key) tcp(b []byte, total int) bool {
	if len(b) < plainTCP {
		return false
	}
	n := int(b[offL4+12]>>4) * 4
	k.flags = b[offL4+13]
	return n >= wire.TCPMinLen && n <= total-wire.IPv4MinLen
}

// plainTunnel is PlainKey of a frame to a VXLAN port, with a datagram of total
// bytes.
func (c *Cache) plainTunnel(b []byte, total int, ports uint32, k *Key) bool {
	const at = wire.VXLANOverhead4
	end := wire.EthernetLen + total
	if n := int(binary.BigEndian.Uint16(b[offL4+4:])); n >= wire.UDPLen && offL4+n < end {
		end = offL4 + n
	}
	if end < at+plainUDP || end > 0xffff {
		return false
	}
	in := b[at:end]
	h := (*[plainUDP]byte)(in)
	w12, w20 := binary.BigEndian.Uint64(h[12:]), binary.BigEndian.Uint64(h[20:])
	inTotal := int(w12 >> 16 & 0xffff)
	if w12>>40 != plainIPv4 || w20>>48&fragBits != 0 || inTotal > len(in)-wire.EthernetLen || h[0]&1 != 0 {
		return false
	}
	proto := uint8(w20 >> 32)
	switch {
	case proto == wire.ProtoUDP && inTotal >= wire.IPv4MinLen+wire.UDPLen:
		k.flags = 0
	case proto == wire.ProtoTCP && k.tcp(in, inTotal):
	default:
		return false
	}
	t := plainOuter{
		l2a: binary.BigEndian.Uint64(b), l2b: binary.BigEndian.Uint32(b[8:]), port: uint16(ports),
		ips: binary.BigEndian.Uint64(b[26:]), vxlan: binary.BigEndian.Uint64(b[offL4+wire.UDPLen:]) & 0xff000000_ffffff00,
	}
	if t != c.plainLast && !c.plainNumber(t) {
		return false
	}
	k.at, k.end = at, uint16(end)
	k.fill(binary.BigEndian.Uint64(h[26:]), uint64(binary.BigEndian.Uint32(h[offL4:]))<<32|uint64(proto)<<wire.ZoneBits|uint64(c.plainID),
		binary.BigEndian.Uint64(h[0:]), uint64(binary.BigEndian.Uint32(h[8:]))<<32|uint64(ports>>16))
	return true
}

// plainOuter is what outerID holds of a plain tunnel packet. The rest is the
// same for all of them.
type plainOuter struct {
	l2a, ips, vxlan uint64
	l2b             uint32
	port            uint16
}

// plainNumber makes t the last plain tunnel, with the number that its outerID
// has.
func (c *Cache) plainNumber(t plainOuter) bool {
	id := outerID{
		l2a: t.l2a, l2b: uint64(t.l2b) << 16, src: [2]uint64{1: t.ips >> 32}, dst: [2]uint64{1: t.ips & 0xffffffff},
		vni: uint32(t.vxlan) >> 8, dstPort: t.port, proto: wire.ProtoUDP, flags: uint8(t.vxlan >> 56), ok: true,
	}
	if id != c.last && !c.number(&id) {
		return false
	}
	c.plainLast, c.plainID = t, c.lastID
	return true
}

// Plain reports whether PlainKey made the key.
func (k *Key) Plain() bool { return k.plain }

// Unplain makes the key one whose packet has to be parsed.
func (k *Key) Unplain() { k.plain = false }

// Quick finds the entry of a plain packet, if its outcome is quick and holds
// for the packet: then Carry carries it out. Otherwise nothing has happened, and
// the packet has to be parsed and looked up.
func (c *Cache) Quick(k *Key, p *Packet, now int64, gen uint64) *Entry {
	e := c.find4(k)
	if e == nil {
		return nil
	}
	q := &e.quick
	n, room := uint32(p.end-p.off), p.off
	if e.gen != uint32(gen) || e.maxLen > 0 && n > uint32(e.maxLen) {
		return nil
	}
	if e.kind&quickDecap != 0 {
		n, room = uint32(k.end-k.at), room+int(k.at)
	}
	if q.encap != nil {
		n += wire.VXLANOverhead4
		if room < wire.VXLANOverhead4 {
			return nil
		}
	}
	if n > uint32(q.limit) || q.ttl > 0 && p.buf[p.off+int(k.at)+22] <= q.ttl {
		return nil
	}
	if q.runs[0] != 0 && !c.quickHolds(e, k, now) {
		return nil
	}
	return e
}

const (
	watchRun = 0xff // a slot of Entry.refs with a watch counter
	farRuns  = 0xfe // in the first slot: the references are in the rest only
)

// quickHolds is holds for an entry with references.
func (c *Cache) quickHolds(e *Entry, k *Key, now int64) bool {
	if e.quick.runs[0] == farRuns {
		return c.holds(c.restOf(k), now, k.flags)
	}
	for i, n := range e.quick.runs {
		r := e.refs[i]
		if n == 0 {
			break
		}
		if n == watchRun {
			if *c.store.watched(r.id) != r.slot {
				return false
			}
			continue
		}
		for id := r.id >> 1; n > 0; n, id = n-1, id+1 {
			if h := c.store.hot(id); h.gen != r.slot || h.expired(now) || h.superseded(k.flags) {
				return false
			}
		}
	}
	return true
}

// quickTouch records the packet with the entry's layer flows.
func (c *Cache) quickTouch(e *Entry, k *Key, now int64) {
	if e.quick.runs[0] == farRuns {
		c.touch(c.restOf(k), k, now)
		return
	}
	for i, n := range e.quick.runs {
		if n == 0 || n == watchRun {
			return
		}
		r := e.refs[i]
		side := uint8(r.id & 1)
		for id := r.id >> 1; n > 0; n, id = n-1, id+1 {
			c.store.hot(id).touch(now, side, k.flags)
		}
	}
}

// near tells layer flows that were made one after the other, as those of one
// walk are, in a few words: each run is its first flow and how many there are.
// They are alike in side and slot. Watch counters follow. Without room for all
// the first run is farRuns.
func near(flows, watches []flowRef) (first [nearRefs]flowRef, n [nearRefs]uint8) {
	var sorted [MaxRefs]flowRef
	list := append(sorted[:0], flows...)
	slices.SortFunc(list, func(a, b flowRef) int { return cmp.Compare(a.id, b.id) })
	run := -1
	for i, r := range list {
		if i > 0 && r.id == list[i-1].id+2 && r.slot == list[i-1].slot {
			n[run]++
			continue
		}
		if run++; run == nearRefs {
			return first, [nearRefs]uint8{farRuns}
		}
		first[run], n[run] = r, 1
	}
	for _, r := range watches {
		if run++; run == nearRefs {
			return first, [nearRefs]uint8{farRuns}
		}
		first[run], n[run] = r, watchRun
	}
	return first, n
}

// Out is where the entry's packets go, with the switch's marks.
func (e *Entry) Out() PortID { return e.quick.out }

// Carry records a plain packet, for which Quick returned the entry, with the
// layer flows that it belongs to, and changes it. Its Meta stays as it was.
func (c *Cache) Carry(e *Entry, k *Key, p *Packet, now int64) {
	if e.quick.runs[0] != 0 {
		c.quickTouch(e, k, now)
	}
	e.record(now, p.end-p.off)
	c.Stats.Hits++
	c.Stats.Quick++
	q := &e.quick
	if e.kind&quickDecap != 0 {
		p.end = p.off + int(k.end)
		p.off += int(k.at)
	}
	if e.kind&quickChange != 0 {
		q.apply(p.buf[p.off:p.end])
	}
	if q.encap != nil {
		q.encap.pushQuick(p, q.entropy)
	}
}

// apply changes the headers of a plain frame.
func (q *quick) apply(b []byte) {
	h := (*[plainUDP]byte)(b)
	binary.BigEndian.PutUint64(h[0:], q.mac0)
	binary.BigEndian.PutUint32(h[8:], q.mac1)
	binary.BigEndian.PutUint64(h[26:], q.ips)
	binary.BigEndian.PutUint32(h[offL4:], q.ports)
	h[22] -= q.ttl
	binary.BigEndian.PutUint16(h[24:], mend(binary.BigEndian.Uint16(h[24:]), q.ipSum))
	if h[23] == wire.ProtoTCP {
		sum := (*[2]byte)(b[offL4+16:])
		binary.BigEndian.PutUint16(sum[:], mend(binary.BigEndian.Uint16(sum[:]), q.l4Sum))
		return
	}
	if c := binary.BigEndian.Uint16(h[40:]); c != 0 {
		binary.BigEndian.PutUint16(h[40:], wire.UDPZero(mend(c, q.l4Sum)))
	}
}

// mend is wire.Delta.Mend of a folded delta.
func mend(c, delta uint16) uint16 {
	s := uint32(^c) + uint32(delta)
	return ^uint16(s + s>>16)
}

// pushQuick is push for IPv4 and VXLAN, with room and length seen to.
func (o *outer) pushQuick(p *Packet, srcPort uint16) {
	tos := o.copied & p.buf[p.off+15]
	p.off -= wire.VXLANOverhead4
	b := p.buf[p.off:p.end]
	h := (*[wire.VXLANOverhead4]byte)(b)
	*h = [wire.VXLANOverhead4]byte(o.bytes[:wire.VXLANOverhead4])
	total := uint32(len(b) - wire.EthernetLen)
	h[15] = tos
	binary.BigEndian.PutUint16(h[16:], uint16(total))
	sum := o.folded + total + uint32(tos)
	sum = sum>>16 + sum&0xffff
	binary.BigEndian.PutUint16(h[24:], ^uint16(sum+sum>>16))
	binary.BigEndian.PutUint16(h[34:], srcPort)
	binary.BigEndian.PutUint16(h[38:], uint16(total)-wire.IPv4MinLen)
}

// Hop is the next hop of an encapsulation, as the switch last learned it.
type Hop struct {
	Src, Dst wire.MAC
	Epoch    uint64 // of the switch; the addresses may have changed in another
}

// Tunnel is the next hop of the entry's encapsulation and the address to
// resolve, nil if it is not encapsulated.
func (e *Entry) Tunnel() (*Hop, netip.Addr) {
	if o := e.quick.encap; o != nil {
		return &o.hop, o.spec.Dst
	}
	return nil, netip.Addr{}
}

// SetHop writes the outermost Ethernet addresses.
func (p *Packet) SetHop(h *Hop) {
	b := (*[12]byte)(p.buf[p.off:p.end])
	*(*[6]byte)(b[:]), *(*[6]byte)(b[6:]) = h.Dst, h.Src
}
