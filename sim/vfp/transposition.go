package vfp

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"

	"github.com/hnsim/hnsim/sim/wire"
)

// Transposition is the outcome of a whole walk, ready to be applied to a
// packet: which headers to keep, modify, push and pop (rule VFP-06), and what
// comes after. It is made by Diff for packets with the header that the walk
// saw; checksum changes are worked out then.
//
// The exported fields are the switch's to set. Order of application: Drop,
// decapsulation, TTL and MTU checks, header changes, VLAN, encapsulation.
type Transposition struct {
	Out    PortID // where the packet goes; for the switch's use
	Drop   Drop   // the packet is dropped; nothing else applies
	TooBig Drop
	set    changes
	DecTTL uint8

	// MTU, when positive, is the longest IP datagram that may come out, outer
	// headers included; longer ones are dropped as TooBig (Oversize if unset).
	MTU uint16

	// Straight, when positive, says that nothing behind the change of headers
	// depends on more than the flow and the length of the frame that leaves,
	// which may be this: what quick outcomes need.
	Straight uint32

	TCI      wire.TCI // for PushVLAN
	PopVLAN  bool
	PushVLAN bool
	NextHop  bool // the outermost Ethernet addresses of an encapsulated packet are still to be resolved

	decap, v4        bool
	srcPort, dstPort uint16
	entropy          uint16
	ipSum, l4Sum     uint16 // folded wire.Delta
	ethSrc, ethDst   wire.MAC
	encap            *outer
	// The new addresses: words 0 and 1 for IPv4, else source and destination
	// in network order. Last, so that IPv4 needs one cache line.
	addr [8]uint32
}

// changes is a set of header fields.
type changes uint8

const (
	setEthSrc changes = 1 << iota
	setEthDst
	setSrc
	setDst
	setPorts
	setID

	setAddrs = setSrc | setDst
	setL4    = setPorts | setID
)

// Diff compares where a walk ended with where it began.
func Diff(w *Walk) Transposition {
	if w.Drop != DropNone {
		return Transposition{Drop: w.Drop}
	}
	t := Transposition{DecTTL: w.DecTTL, decap: w.Decap}
	if w.Encap.Kind != NoEncap {
		t.entropy = w.Encap.SrcPort
		if w.flows.store != nil {
			t.encap = w.flows.store.outerFor(w.Encap)
		} else {
			t.encap = newOuter(w.Encap)
		}
	}
	if w.Decap || w.NewFrame != nil {
		from := w.baseline()
		t.compare(&from, &w.H)
	} else {
		t.compare(&w.In, &w.H)
	}
	return t
}

// baseline is the header of what the transposition will be applied to, if
// that is not the frame that entered: the new frame, the inner frame.
func (w *Walk) baseline() Header {
	frame, m := w.Frame, wire.Meta{}
	if w.NewFrame != nil {
		frame = w.NewFrame
	}
	wire.Parse(frame, &m)
	if w.Decap {
		from, to, ok := innerFrame(frame, &m)
		if !ok {
			return w.H
		}
		frame = frame[from:to]
		wire.Parse(frame, &m)
	}
	return HeaderOf(frame, &m)
}

func (t *Transposition) compare(from, to *Header) {
	if from.EthSrc != to.EthSrc {
		t.set |= setEthSrc
		t.ethSrc = to.EthSrc
	}
	if from.EthDst != to.EthDst {
		t.set |= setEthDst
		t.ethDst = to.EthDst
	}
	if !from.Src.IsValid() || !sameVersion(from.Src, to.Src) || !sameVersion(from.Dst, to.Dst) {
		return
	}
	t.v4 = from.Src.Is4()
	var sum wire.Delta
	if from.Src != to.Src {
		t.set |= setSrc
		sum += t.changeAddr(0, from.Src, to.Src)
	}
	if from.Dst != to.Dst {
		t.set |= setDst
		sum += t.changeAddr(1, from.Dst, to.Dst)
	}
	if t.v4 {
		t.ipSum = wire.Fold(uint64(sum))
	}
	if from.SrcPort != to.SrcPort || from.DstPort != to.DstPort {
		t.srcPort, t.dstPort = to.SrcPort, to.DstPort
		switch from.Proto {
		case wire.ProtoTCP, wire.ProtoUDP:
			t.set |= setPorts
			sum += wire.Delta16(from.SrcPort, to.SrcPort) + wire.Delta16(from.DstPort, to.DstPort)
		case wire.ProtoICMP, wire.ProtoICMPv6:
			t.set |= setID
		}
	}
	t.l4Sum = wire.Fold(uint64(sum))
}

// Encapsulates reports whether outer headers are pushed.
func (t *Transposition) Encapsulates() bool { return t.encap != nil }

// changeAddr notes a new source (0) or destination (1) and returns what it
// does to sums.
func (t *Transposition) changeAddr(which int, from, to netip.Addr) wire.Delta {
	if t.v4 {
		t.addr[which] = wire.Addr4(to)
		return wire.Delta32(wire.Addr4(from), wire.Addr4(to))
	}
	b := wire.Addr16(to)
	for i := range 4 {
		t.addr[4*which+i] = binary.BigEndian.Uint32(b[4*i:])
	}
	return wire.Delta128(wire.Addr16(from), b)
}

// addr6 is the new IPv6 source (0) or destination (1).
func (t *Transposition) addr6(which int) (b [16]byte) {
	for i := range 4 {
		binary.BigEndian.PutUint32(b[4*i:], t.addr[4*which+i])
	}
	return b
}

// Apply changes the packet, whose Meta must be that of its frame, and keeps
// Meta true. It returns the reason when the packet is to be dropped, and has
// then changed nothing but, perhaps, taken the outer headers off.
func (t *Transposition) Apply(p *Packet) Drop {
	if t.Drop != DropNone {
		return t.Drop
	}
	if t.decap && !p.decap() {
		return DropMalformed
	}
	b, m := p.Bytes(), &p.Meta
	if t.DecTTL > 0 && m.IsIP() && m.TTL(b) <= t.DecTTL {
		return DropTtlExceeded
	}
	if t.MTU > 0 && t.length(p) > int(t.MTU) {
		if t.TooBig == DropNone {
			return DropOversize
		}
		return t.TooBig
	}
	if t.set&setEthSrc != 0 {
		wire.Ethernet(b).SetSrc(t.ethSrc)
	}
	if t.set&setEthDst != 0 {
		wire.Ethernet(b).SetDst(t.ethDst)
	}
	if t.set&(setAddrs|setL4) != 0 {
		t.rewrite(b, m)
	}
	if t.DecTTL > 0 {
		wire.DecTTL(b, m, t.DecTTL)
	}
	if t.PopVLAN || t.PushVLAN {
		t.retag(p)
	}
	if t.encap != nil {
		if !t.encap.push(p, t.entropy) {
			return DropEncapOversize
		}
		p.Parse()
	}
	return DropNone
}

// length is that of the IP datagram that will come out.
func (t *Transposition) length(p *Packet) int {
	if t.encap != nil {
		return p.Len() + t.encap.size - wire.EthernetLen
	}
	return p.Meta.L3Len()
}

func (t *Transposition) rewrite(b []byte, m *wire.Meta) {
	switch {
	case m.IsIPv4:
		ip := wire.IPv4(b[m.L3 : m.L3+wire.IPv4MinLen])
		if t.set&setSrc != 0 {
			ip.SetSrc(t.addr[0])
		}
		if t.set&setDst != 0 {
			ip.SetDst(t.addr[1])
		}
		ip.SetChecksum(wire.Delta(t.ipSum).Mend(ip.Checksum()))
	case m.IsIPv6:
		ip := wire.IPv6(b[m.L3 : m.L3+wire.IPv6Len])
		if t.set&setSrc != 0 {
			ip.SetSrc(t.addr6(0))
		}
		if t.set&setDst != 0 {
			ip.SetDst(t.addr6(1))
		}
	default:
		return
	}
	if !m.HasL4 { // a later fragment, or a protocol that we know no checksum of
		return
	}
	l4, sum := b[m.L4:m.End], wire.Delta(t.l4Sum)
	switch m.Proto {
	case wire.ProtoTCP:
		t.ports(l4, m)
		wire.TCP(l4).SetChecksum(sum.Mend(wire.TCP(l4).Checksum()))
	case wire.ProtoUDP:
		t.ports(l4, m)
		wire.UDP(l4).SetChecksum(sum.MendUDP(wire.UDP(l4).Checksum()))
	case wire.ProtoICMP, wire.ProtoICMPv6:
		if m.Proto == wire.ProtoICMPv6 { // ICMPv4 has no pseudo-header
			wire.ICMPv6(l4).SetChecksum(sum.Mend(wire.ICMPv6(l4).Checksum()))
		}
		if t.set&setID != 0 {
			wire.SetICMPID(b, m, t.srcPort)
		}
	}
}

func (t *Transposition) ports(l4 []byte, m *wire.Meta) {
	if t.set&setPorts == 0 {
		return
	}
	binary.BigEndian.PutUint32(l4, uint32(t.srcPort)<<16|uint32(t.dstPort))
	m.SrcPort, m.DstPort = t.srcPort, t.dstPort
}

func (t *Transposition) retag(p *Packet) {
	if t.PopVLAN && p.Meta.HasVLAN {
		wire.StripTag(p.Bytes())
		p.TrimFront(wire.VLANTagLen)
	}
	if t.PushVLAN {
		if b := p.Prepend(wire.VLANTagLen); b != nil {
			wire.PutTag(b, t.TCI)
		}
	}
	p.Parse()
}

// decap takes the outer headers off.
func (p *Packet) decap() bool {
	from, to, ok := innerFrame(p.Bytes(), &p.Meta)
	if !ok {
		return false
	}
	p.TrimTo(to)
	p.TrimFront(from)
	p.Parse()
	return true
}

// Commit makes the walk's outcome happen to the packet that it was about:
// NewFrame replaces the frame, then t is applied.
func (w *Walk) Commit(p *Packet, t *Transposition) Drop {
	if w.NewFrame != nil && t.Drop == DropNone {
		p.replace(w.NewFrame)
	}
	return t.Apply(p)
}

// replace loads another frame and leaves everything else as it is.
func (p *Packet) replace(frame []byte) {
	if need := Headroom + len(frame); cap(p.buf) < need {
		p.buf = make([]byte, need)
	}
	p.buf = p.buf[:cap(p.buf)]
	p.off, p.end = Headroom, Headroom+len(frame)
	copy(p.buf[p.off:p.end], frame)
	p.Parse()
}

// String describes the transposition on one line.
func (t *Transposition) String() string {
	if t.Drop != DropNone {
		return "drop " + t.Drop.String()
	}
	var s []string
	add := func(on bool, format string, args ...any) {
		if on {
			s = append(s, fmt.Sprintf(format, args...))
		}
	}
	addr := func(which int) netip.Addr {
		if t.v4 {
			return wire.AddrFrom4(t.addr[which])
		}
		return wire.AddrFrom16(t.addr6(which))
	}
	add(t.decap, "decap")
	add(t.set&setEthSrc != 0, "eth.src=%s", t.ethSrc)
	add(t.set&setEthDst != 0, "eth.dst=%s", t.ethDst)
	add(t.set&setSrc != 0, "ip.src=%s", addr(0))
	add(t.set&setDst != 0, "ip.dst=%s", addr(1))
	add(t.set&setPorts != 0, "ports=%d>%d", t.srcPort, t.dstPort)
	add(t.set&setID != 0, "icmp.id=%d", t.srcPort)
	add(t.DecTTL > 0, "ttl-%d", t.DecTTL)
	add(t.PopVLAN, "pop vlan")
	add(t.PushVLAN, "push vlan %d", t.TCI.ID())
	if t.encap != nil {
		add(true, "encap %s>%s vni %d", t.encap.spec.Src, t.encap.spec.Dst, t.encap.spec.VNI)
	}
	add(t.Out != 0, "out %d", t.Out)
	if len(s) == 0 {
		return "keep"
	}
	return strings.Join(s, " ")
}
