package fabric

import (
	"encoding/binary"
	"math/bits"

	"github.com/hnsim/hnsim/sim/fabric/ipstack"
	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/winnat"
	"github.com/hnsim/hnsim/sim/wire"
)

// A packet of a known session meets three tables on its way through a host: the
// unified flow table of the switch, the ways of the stack, the sessions of
// WinNAT. An express remembers where that leads, for each flow in one line that
// WinNAT keeps (winnat.Shortcut), and for all flows that go the same way here:
//
//	container ─► switch port ─► host vNIC ─► route, TTL, WinNAT, neighbour ─► NIC
//	                └───────────────── shortcut ───────────────────────────────┘
//
// A shortcut is learned from a packet that has just gone the long way, and
// taken by packets of which everything is known that the long way would look
// at: see head and way. What it may not know is in the stamp; when that
// changes, all ways are forgotten. Counters of everything passed are kept, a
// batch at a time.
type shortcuts struct {
	on     bool // there may be some
	live   bool // the batch may take and teach some
	inside bool // frames come from a container
	stamp  stamp
	base   uint32 // number of ways[0]; numbers are never used again
	ways   []way

	heads [vfp.BatchSize]head
	homes [vfp.BatchSize]uint64

	// The packet from the wire that is on its long way, and the interface that
	// it has left the stack by.
	at    int
	iface *hostIface

	taken uint64 // packets, ever
}

// stamp is what ways depend on besides headers.
type stamp struct {
	prog                 *HostProgram
	translator           *winnat.NAT
	switches, stack, nat uint64
	mtu                  int
	down                 bool
}

// ether is both Ethernet addresses.
type ether struct {
	hi uint64
	lo uint32
}

func etherOf(b []byte) ether {
	h := (*[wire.EthernetLen]byte)(b)
	return ether{binary.BigEndian.Uint64(h[:]), binary.BigEndian.Uint32(h[8:])}
}

// head is what of a packet's headers says where it goes.
type head struct {
	key   wire.Key4
	ether ether
	plain bool // read has filled it
}

// way is what the flows of one shortcut have in common.
type way struct {
	from, to ether // Ethernet addresses before and after
	limit    int   // longest frame
	how      Exit
	sw       *hostSwitch // passed from a port to another
	in, out  vfp.PortID

	frames, bytes uint64 // not counted yet
	lens          uint64 // bytes as the NIC or the container sees them
}

// maxWays bounds the ways of an express, all of which every batch looks at.
const maxWays = 256

func (x *Express) openShortcuts() {
	s := &x.short
	s.on = !x.h.cfg.NoFlowCache && (x.in == nil || x.in.prog.Uplink == "")
	s.inside, s.base = x.in != nil, 1
}

// closeShortcuts tells the tables of flows what has passed them.
func (x *Express) closeShortcuts() {
	now := x.h.net.Loop.Now()
	x.h.nat.DropShortcuts(func(k wire.Key4, number, packets uint32, _ uint64) {
		w := x.short.way(number)
		if w == nil || !x.short.inside {
			return
		}
		if port := w.sw.sw.VFP(w.in); port != nil {
			port.Cache.Credit(now, [4]uint64{k.A, k.B &^ (1<<wire.ZoneBits - 1), w.from.hi, uint64(w.from.lo) << 32}, packets)
		}
	})
	x.short.ways = nil
}

// usable reports whether packets may take shortcuts now, and forgets ways that
// are out of date.
func (s *shortcuts) usable(x *Express) bool {
	h := x.h
	s.live = false
	if !s.on || h.prog.NAT == nil || x.batch.Trace != nil || h.local != nil && len(h.local.open) > 0 {
		return false
	}
	now := stamp{prog: h.prog, translator: h.nat, stack: h.Stack().Epoch(), nat: h.nat.Generation(), mtu: h.nic.cfg.MTU, down: h.nic.tx.cfg.Down}
	for _, sw := range h.switches {
		now.switches += sw.sw.Generation()
	}
	if now != s.stamp {
		s.stamp = now
		h.nat.KeepShortcuts()
		s.base += uint32(len(s.ways))
		s.ways = s.ways[:0]
	}
	s.live = !now.down && h.nic.cfg.VLAN == 0 && h.uplinkSwitch() == nil
	return s.live
}

// way finds a way by its number, nil if it is out of date.
func (s *shortcuts) way(number uint32) *way {
	if i := number - s.base; i < uint32(len(s.ways)) {
		return &s.ways[i]
	}
	return nil
}

// number is that of a way, which is new unless another flow goes it; ok is
// false if there are too many.
func (s *shortcuts) number(w way) (number uint32, ok bool) {
	for i := range s.ways {
		if o := &s.ways[i]; o.from == w.from && o.to == w.to && o.limit == w.limit && o.sw == w.sw && o.in == w.in && o.out == w.out {
			return s.base + uint32(i), true
		}
	}
	if len(s.ways) == maxWays {
		return 0, false
	}
	s.ways = append(s.ways, w)
	return s.base + uint32(len(s.ways)-1), true
}

// learnOut learns from packet i, which the stack has just sent by the NIC
// without a copy.
func (x *Express) learnOut(i int, from *hostIface, out *ipstack.Interface, p *vfp.Packet) {
	s := &x.short
	if !s.live || !s.inside || !s.heads[i].plain || from.from.s != x.in {
		return
	}
	limit, ok := x.in.sw.Fixed(x.port, i)
	if ok {
		x.learn(i, way{from: s.heads[i].ether, to: etherOf(p.Bytes()), limit: min(limit, out.MTU()+wire.EthernetLen),
			how: ByWire, sw: x.in, in: x.port, out: from.Port})
	}
}

// learnIn learns from packet i of the wire, a copy of which a switch has just
// given to a container.
func (x *Express) learnIn(i int, sw *hostSwitch, port vfp.PortID, p *vfp.Packet) {
	s := &x.short
	if !s.live || s.inside || !s.heads[i].plain || s.at != i || s.iface == nil || s.iface.from.s != sw {
		return
	}
	if limit, ok := sw.sw.Fixed(s.iface.Port, 0); ok {
		x.learn(i, way{from: s.heads[i].ether, to: etherOf(p.Bytes()), limit: min(limit, s.iface.iface.MTU()+wire.EthernetLen),
			how: ToInside, sw: sw, in: s.iface.Port, out: port})
	}
}

func (x *Express) learn(i int, w way) {
	w.limit = min(w.limit, x.h.nic.cfg.MTU+wire.EthernetLen)
	if number, ok := x.short.number(w); ok {
		x.h.nat.Learn(x.batch.Now, x.short.heads[i].key, number)
	}
}

// quick takes a batch through by shortcuts where it can. Packets are decided
// in their order: what one does on its long way the next one knows.
func (x *Express) quick(b *vfp.Batch) {
	s := &x.short
	for i := range b.N {
		h := &s.heads[i]
		if h.plain = h.read(b.Pkts[i].Bytes(), s.inside); h.plain {
			s.homes[i] = winnat.ShortcutHome(h.key)
		}
	}
	x.h.nat.WarmShortcuts(s.homes[:b.N])
	for i := x.run(b, 0); i < b.N; i = x.run(b, i) {
		from := i
		for i++; i < b.N && !x.knows(b.Now, i); i++ {
		}
		x.long(b, from, i)
	}
	x.settle()
}

// knows reports whether packet i has a shortcut.
func (x *Express) knows(now int64, i int) bool {
	h := &x.short.heads[i]
	return h.plain && x.h.nat.Shortcut(now, h.key, x.short.homes[i]) != nil
}

// run carries packets by their shortcuts, from the i'th on, and returns the
// first one that has none that holds for it.
func (x *Express) run(b *vfp.Batch, i int) int {
	s, nat, now := &x.short, x.h.nat, b.Now
	pkts := b.Pkts[:b.N]
	heads, homes, hows := s.heads[:len(pkts)], s.homes[:len(pkts)], x.hows[:len(pkts)]
	for ; i < len(pkts); i++ {
		h := &heads[i]
		if !h.plain {
			return i
		}
		c := nat.Shortcut(now, h.key, homes[i])
		if c == nil {
			return i
		}
		w := s.way(c.Way())
		p := &pkts[i]
		frame := p.Bytes()
		if w == nil || w.from.hi != h.ether.hi || w.from.lo != h.ether.lo || len(frame) > w.limit {
			return i
		}
		nat.Take(c, now, frame)
		f := (*[wire.EthernetLen + 4]byte)(frame)
		binary.BigEndian.PutUint64(f[:], w.to.hi)
		binary.BigEndian.PutUint32(f[8:], w.to.lo)
		end := wire.EthernetLen + int(binary.BigEndian.Uint16(f[16:]))
		p.TrimTo(end)
		w.frames++
		w.bytes += uint64(len(frame))
		w.lens += uint64(end)
		p.Verdict, p.OutPort = vfp.Delivered, w.out
		hows[i] = w.how
	}
	return i
}

// settle counts what has passed.
func (x *Express) settle() {
	for i := range x.short.ways {
		w := &x.short.ways[i]
		if w.frames == 0 {
			continue
		}
		bytes := w.bytes
		if !x.short.inside {
			bytes = w.lens // the switch comes last
		}
		x.short.taken += w.frames
		w.sw.tally.in += w.frames
		w.sw.tally.delivered += w.frames
		w.sw.sw.Passed(w.in, w.out, w.frames, bytes)
		x.h.nat.Took(x.short.inside, w.frames)
		w.frames, w.bytes, w.lens = 0, 0, 0
	}
}

const (
	offTTL = wire.EthernetLen + 8
	offL4  = wire.EthernetLen + wire.IPv4MinLen
	// endings are the TCP flags of segments that change a connection's state.
	endings = wire.TCPSyn | wire.TCPFin | wire.TCPRst
)

// read fills the head of a frame that may have a shortcut: an untagged whole
// IPv4 packet without options whose header is sound, which is not at the end of
// its hops, with TCP or UDP in the middle of a session. Of others it reports
// false.
func (d *head) read(b []byte, inside bool) bool {
	if len(b) < offL4+wire.UDPLen {
		return false
	}
	h := (*[offL4 + wire.UDPLen]byte)(b)
	w12, w20, ips := binary.BigEndian.Uint64(h[12:]), binary.BigEndian.Uint64(h[20:]), binary.BigEndian.Uint64(h[26:])
	total := int(w12 >> 16 & 0xffff)
	if w12>>40 != wire.EtherTypeIPv4<<8|0x45 || w20>>48&0x3fff != 0 || total > len(b)-wire.EthernetLen || h[offTTL] <= 1 {
		return false
	}
	switch h[23] {
	case wire.ProtoUDP:
		if total < wire.IPv4MinLen+wire.UDPLen {
			return false
		}
	case wire.ProtoTCP:
		if len(b) < offL4+wire.TCPMinLen {
			return false
		}
		if n := int(b[offL4+12]>>4) * 4; n < wire.TCPMinLen || n > total-wire.IPv4MinLen || b[offL4+13]&endings != 0 {
			return false
		}
	default:
		return false
	}
	sum, carry := bits.Add64(binary.BigEndian.Uint64(h[14:]), binary.BigEndian.Uint64(h[22:]), 0)
	// The sum of a sound header folds to 0xffff, and no header's sum is 0.
	if (sum>>32+sum&0xffffffff+ips&0xffffffff+carry)%0xffff != 0 {
		return false
	}
	d.key = winnat.ShortcutKey(ips, binary.BigEndian.Uint32(h[offL4:]), h[23], inside)
	d.ether = ether{binary.BigEndian.Uint64(h[:]), binary.BigEndian.Uint32(h[8:])}
	return true
}
