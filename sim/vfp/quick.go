package vfp

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"github.com/hnsim/hnsim/sim/wire"
)

// Most packets need little: an untagged frame with an IPv4 header without
// options and TCP or UDP in it, whole, perhaps in VXLAN, all of whose stages
// end in new addresses, new ports, fewer hops, and headers off and on. Such
// packets are plain, such outcomes quick. Both are a second way to the same
// result: PlainKeys is Key without a Meta, and Run is Lookup and
// Transposition.Apply, with everything worked out when the entry was made.

// quick is the change that plain packets of an entry undergo. As the key is
// exact, all fields are known, and are written whether they change or not.
type quick struct {
	ips          uint64 // source address << 32 | destination address
	mac0         uint64 // destination MAC and the first two bytes of the source's
	encap        *outer // nil: none
	mac1         uint32 // the rest of the source MAC
	ports        uint32 // source << 16 | destination
	ipSum, l4Sum uint16 // folded wire.Delta, hops included
	entropy      uint16
}

type quickKind uint8

const (
	quickDecap  quickKind = 1 << iota
	quickChange           // of Ethernet addresses
	quickEncap
	quickHop   // the outermost Ethernet addresses are those of the tunnel's next hop
	quickWatch // watch counters are to be compared when one has changed
	quickTouch // layer flows are to be looked at and touched: see enlist
	quickDeep  // quickChange is of addresses, ports or hops too
)

const (
	plainIPv4  = 0x080045 // EtherType, version and header length
	fragBits   = 0x3fff   // more fragments and offset
	plainTCP   = wire.EthernetLen + wire.IPv4MinLen + wire.TCPMinLen
	plainUDP   = wire.EthernetLen + wire.IPv4MinLen + wire.UDPLen
	offL4      = wire.EthernetLen + wire.IPv4MinLen
	tunnelMask = 1<<wire.ZoneBits - 1
)

// prepare works out the quick outcome and reports whether t is one.
func (e *Entry) prepare(k *Key, t *Transposition) bool {
	tunnel := k.words[1] & tunnelMask
	switch proto := uint8(k.words[1] >> wire.ZoneBits); {
	case k.v6 || tunnel&taggedZone != 0 || proto != wire.ProtoTCP && proto != wire.ProtoUDP:
		return false
	case t.Drop != DropNone || t.MTU != 0 || t.PopVLAN || t.PushVLAN || t.set&setID != 0 || t.decap != (tunnel != 0):
		return false
	case t.encap != nil && t.encap.size != wire.VXLANOverhead4:
		return false
	}
	e.measure(t)
	e.quick.change(k, t)
	e.out, e.ttl = t.Out, t.DecTTL
	if t.set != 0 || t.DecTTL > 0 {
		e.kind |= quickChange
	}
	if t.set&(setAddrs|setPorts) != 0 || t.DecTTL > 0 {
		e.kind |= quickDeep
	}
	if t.decap {
		e.kind |= quickDecap
	}
	if t.encap != nil {
		e.kind |= quickEncap
		if t.NextHop {
			e.kind |= quickHop
		}
	}
	return e.limit > 0
}

// measure sets the limit: what may leave, less what is put on. A frame with
// padding behind a tunnel may be within the limit and is looked at all the same.
func (e *Entry) measure(t *Transposition) {
	n := int(t.Straight)
	if t.decap {
		n += wire.VXLANOverhead4
	}
	if t.encap != nil {
		n -= wire.VXLANOverhead4
	}
	if e.maxLen > 0 {
		n = min(n, int(e.maxLen))
	}
	if t.Straight > 0 {
		e.limit = uint16(min(max(n, 0), 0xffff))
	}
}

// change works out the headers.
func (q *quick) change(k *Key, t *Transposition) {
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
	q.ipSum, q.l4Sum = t.ipSum, t.l4Sum
	if t.DecTTL > 0 {
		// The TTL is the high byte of its word; how much it was does not matter.
		q.ipSum = wire.Fold(uint64(q.ipSum) + 0xffff - uint64(t.DecTTL)<<8)
	}
	q.encap, q.entropy = t.encap, t.entropy
}

// macWord is a MAC as 48 bits.
func macWord(m wire.MAC) uint64 {
	return uint64(binary.BigEndian.Uint16(m[:]))<<32 | uint64(binary.BigEndian.Uint32(m[2:]))
}

// PlainKeys computes the keys of packets that have not been parsed, as far as
// they are pending and plain, and reports how many are: Plain says of a key
// whether it is one. Parse and Key have to look at the others. What is accepted
// here, they accept with the same key.
func (c *Cache) PlainKeys(pkts []Packet, keys []Key) (n int) {
	keys = keys[:len(pkts)]
	for i := range pkts {
		p, k := &pkts[i], &keys[i]
		k.plain = false
		size := p.end - p.off
		if size < plainUDP || p.Verdict != Pending {
			continue
		}
		h := p.head()
		w12, w20 := binary.BigEndian.Uint64(h[12:]), binary.BigEndian.Uint64(h[20:])
		total := int(w12 >> 16 & 0xffff)
		if w12>>40 != plainIPv4 || w20>>48&fragBits != 0 || total > size-wire.EthernetLen || h[0]&1 != 0 {
			continue
		}
		proto, ports := uint8(w20>>32), binary.BigEndian.Uint32(h[offL4:])
		switch {
		case proto == wire.ProtoUDP:
			if total < wire.IPv4MinLen+wire.UDPLen {
				continue
			}
			if (uint16(ports) == c.port || c.morePorts) && c.isVXLAN(uint16(ports)) {
				if c.plainTunnel(p.Bytes(), total, ports, k) {
					n++
				}
				continue
			}
			k.flags = 0
		case proto != wire.ProtoTCP || !k.tcp(p.Bytes(), total):
			continue
		}
		k.at, k.end = 0, 0
		k.fill(binary.BigEndian.Uint64(h[26:]), uint64(ports)<<32|uint64(proto)<<wire.ZoneBits,
			binary.BigEndian.Uint64(h[0:]), uint64(binary.BigEndian.Uint32(h[8:]))<<32)
		n++
	}
	return n
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

// plainTunnel is PlainKeys for a frame to a VXLAN port, with a datagram of total
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

// Plain reports whether PlainKeys made the key.
func (k *Key) Plain() bool { return k.plain }

// Unplain makes the key one whose packet has to be parsed.
func (k *Key) Unplain() { k.plain = false }

// Run takes packets with plain keys through the cache, one after the other, as
// far as their outcomes are quick: n of them, of so many bytes as they came in.
// Each has then been recorded and changed, its Meta apart, and is Delivered to
// OutPort, which has the switch's marks. Nothing has happened to the packet
// behind them. If hop is not nil that one waits for it: the address of a next
// hop that is to be resolved, for this epoch, and Learn told; then Run goes on.
// Otherwise it has to be parsed and looked up.
func (c *Cache) Run(pkts []Packet, keys []Key, now int64, gen, epoch uint64) (n int, bytes uint64, hop *Tunnel) {
	keys = keys[:len(pkts)]
	pages := c.v4.nodes.pages
	published := c.store.published
	for n = range pkts {
		p, k := &pkts[n], &keys[n]
		if !k.plain {
			goto done
		}
		var node *node[key4, Entry]
		if id := k.hint - 1; int(id>>sheetBits) < len(pages) {
			page := pages[id>>sheetBits]
			if i := int(id & (sheetLen - 1)); i < len(page) {
				node = &page[i]
			}
		}
		if node == nil || (node.key[0]^k.words[0])|(node.key[1]^k.words[1])|(node.key[2]^k.words[2])|(node.key[3]^k.words[3]) != 0 {
			if node = c.seek4(k); node == nil {
				goto done
			}
		}
		e := &node.e
		size := uint(p.end - p.off)
		if e.gen != uint32(gen) || size > uint(e.limit) {
			goto done
		}
		kind := e.kind
		if kind&^(quickWatch|quickTouch) != 0 {
			at := uint(p.off) + uint(k.at)
			if at+22 < uint(len(p.buf)) && e.ttl > 0 && p.buf[at+22] <= e.ttl {
				goto done
			}
			if o := e.quick.encap; o != nil {
				if at < wire.VXLANOverhead4 {
					goto done
				}
				if kind&quickHop != 0 && o.tunnel.epoch != epoch {
					hop = &o.tunnel
					goto done
				}
			}
		}
		if kind&quickTouch|quickKind(k.flags&loudFlags) != 0 || uint64(now-e.seen)>>20 >= uint64(e.idle) || e.epoch != published && kind&quickWatch != 0 {
			if !c.look(e, k, now) {
				goto done
			}
		}
		e.seen = now
		e.Packets++
		bytes += uint64(size)
		if kind&^(quickWatch|quickTouch) != 0 {
			c.carry(e, k, p)
		}
		p.Verdict, p.OutPort = Delivered, e.out
	}
	n = len(pkts)
done:
	c.Stats.Hits += uint64(n)
	c.Stats.Quick += uint64(n)
	return n, bytes, hop
}

// seek4 is find4 for a packet whose entry was not where its hint says.
//
//go:noinline
func (c *Cache) seek4(k *Key) *node[key4, Entry] {
	n, id := c.v4.find(tagOf(k.hash), (*key4)(k.words[:4]))
	if n != nil {
		k.hint = id + 1
	}
	return n
}

// look is what a packet needs whose entry does not say by itself that it holds:
// the layer flows and watch counters are looked at, and the layer flows touched.
// It reports false if the outcome does not hold.
//
//go:noinline
func (c *Cache) look(e *Entry, k *Key, now int64) bool {
	r := c.rests4.at(k.hint - 1)
	if !c.holds(r, now, k.flags) {
		return false
	}
	e.epoch = c.store.published
	c.touch(e, r, now, k.flags)
	if e.kind&quickTouch != 0 {
		c.enlist(k.hint-1, e, r)
	}
	return true
}

// carry changes a plain packet as its entry says.
func (c *Cache) carry(e *Entry, k *Key, p *Packet) {
	if e.kind&quickDecap != 0 {
		p.end = p.off + int(k.end)
		p.off += int(k.at)
	}
	if e.kind&quickChange != 0 {
		e.quick.apply(p, e.kind, e.ttl)
	}
	if e.kind&quickEncap != 0 {
		e.quick.encap.pushQuick(p, e.quick.entropy, e.kind)
	}
}

// apply changes the headers of a plain frame.
func (q *quick) apply(p *Packet, kind quickKind, ttl uint8) {
	h := p.head()
	binary.BigEndian.PutUint64(h[0:], q.mac0)
	binary.BigEndian.PutUint32(h[8:], q.mac1)
	if kind&quickDeep == 0 {
		return
	}
	binary.BigEndian.PutUint64(h[26:], q.ips)
	binary.BigEndian.PutUint32(h[offL4:], q.ports)
	h[22] -= ttl
	binary.BigEndian.PutUint16(h[24:], mend(binary.BigEndian.Uint16(h[24:]), q.ipSum))
	if h[23] == wire.ProtoTCP {
		sum := (*[2]byte)(p.buf[p.off+offL4+16:])
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
func (o *outer) pushQuick(p *Packet, srcPort uint16, kind quickKind) {
	tos := o.copied & p.head()[15]
	p.off -= wire.VXLANOverhead4
	h := (*[wire.VXLANOverhead4]byte)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(p.buf)), p.off))
	if kind&quickHop != 0 {
		*h = o.tunnel.bytes
	} else {
		*h = [wire.VXLANOverhead4]byte(o.bytes[:])
	}
	total := uint32(p.end - p.off - wire.EthernetLen)
	h[15] = tos
	binary.BigEndian.PutUint16(h[16:], uint16(total))
	sum := o.folded + total + uint32(tos)
	sum = sum>>16 + sum&0xffff
	binary.BigEndian.PutUint16(h[24:], ^uint16(sum+sum>>16))
	binary.BigEndian.PutUint16(h[34:], srcPort)
	binary.BigEndian.PutUint16(h[38:], uint16(total)-wire.IPv4MinLen)
}

// Tunnel is the outer headers of packets whose next hop the switch resolves.
type Tunnel struct {
	epoch uint64 // of the switch; the addresses may have changed in another
	dst   netip.Addr
	bytes [wire.VXLANOverhead4]byte
}

// Dst is the address to resolve.
func (t *Tunnel) Dst() netip.Addr { return t.dst }

// Learn writes the outermost Ethernet addresses, which are good for the epoch.
func (t *Tunnel) Learn(src, dst wire.MAC, epoch uint64) {
	copy(t.bytes[:6], dst[:])
	copy(t.bytes[6:12], src[:])
	t.epoch = epoch
}
