package ipstack

import (
	"net/netip"
	"sort"
	"time"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

const (
	reassemblyTime = 30 * time.Second
	maxDatagrams   = 64 // datagrams being put together at one time
	maxPieces      = 64 // fragments of one datagram
)

// fragKey is what the fragments of a datagram share (RFC 791, RFC 8200). IPv6
// leaves the protocol out, since only the first fragment is sure to have it.
type fragKey struct {
	src, dst netip.Addr
	proto    uint8
	id       uint32
}

// datagram is a packet of which pieces are missing.
type datagram struct {
	pieces []piece // by offset, without overlap
	total  int     // bytes behind the headers, known with the last piece
	timer  Timer
}

type piece struct {
	off   int
	data  []byte
	frame []byte // the whole fragment, for its headers and for drop reports
	id    uint64
}

type reassembly struct{ waiting map[fragKey]*datagram }

func (r *reassembly) init() { r.waiting = make(map[fragKey]*datagram) }

// reassemble keeps a fragment and returns the whole datagram with the last of
// them, nil before. A datagram that cannot be whole (overlaps, as RFC 5722 has
// it for both versions; more than 65535 bytes; too many pieces) is dropped
// with all that came of it. ICMP 11/1 is not sent: a silent host says nothing.
func (s *Stack) reassemble(now int64, p *vfp.Packet) *vfp.Packet {
	m, b := &p.Meta, p.Bytes()
	k := fragKey{m.Src(b), m.Dst(b), m.Proto, m.FragmentID(b)}
	if m.IsIPv6 {
		k.proto = 0
	}
	off, data, more := m.FragmentOffset(b), b[m.L4:m.End], m.MoreFragments(b)
	d := s.reasm.waiting[k]
	switch {
	case more && len(data)%8 != 0 || len(data) == 0 || off+len(data) > 65535-wire.IPv4MaxLen:
		s.drop(now, "reassembly", vfp.DropMalformed, p)
		return nil
	case d == nil && len(s.reasm.waiting) >= maxDatagrams:
		s.drop(now, "reassembly", vfp.DropQueueFull, p)
		return nil
	case d == nil:
		d = &datagram{total: -1}
		d.timer = s.cfg.Timers.After(reassemblyTime, func(now int64) {
			s.discard(now, k, vfp.DropReassemblyTimeout)
		})
		s.reasm.waiting[k] = d
	}
	switch d.add(p, off, data, more) {
	case duplicate:
		return nil
	case impossible:
		s.drop(now, "reassembly", vfp.DropMalformed, p)
		s.discard(now, k, vfp.DropMalformed)
		return nil
	}
	if !d.complete() {
		return nil
	}
	d.timer.Stop()
	delete(s.reasm.waiting, k)
	return s.whole(d)
}

type added uint8

const (
	kept added = iota
	duplicate
	impossible
)

func (d *datagram) add(p *vfp.Packet, off int, data []byte, more bool) added {
	end := off + len(data)
	at := sort.Search(len(d.pieces), func(i int) bool { return d.pieces[i].off >= off })
	if at < len(d.pieces) && d.pieces[at].off == off && len(d.pieces[at].data) == len(data) {
		return duplicate
	}
	if at < len(d.pieces) && end > d.pieces[at].off ||
		at > 0 && d.pieces[at-1].off+len(d.pieces[at-1].data) > off ||
		!more && d.total >= 0 || d.total >= 0 && end > d.total ||
		!more && len(d.pieces) > 0 && at < len(d.pieces) || len(d.pieces) >= maxPieces {
		return impossible
	}
	frame := append([]byte(nil), p.Bytes()...)
	d.pieces = append(d.pieces, piece{})
	copy(d.pieces[at+1:], d.pieces[at:])
	d.pieces[at] = piece{off, frame[p.Meta.L4:p.Meta.End], frame, p.ID}
	if !more {
		d.total = end
	}
	return kept
}

func (d *datagram) complete() bool {
	next := 0
	for i := range d.pieces {
		if d.pieces[i].off != next {
			return false
		}
		next += len(d.pieces[i].data)
	}
	return next == d.total
}

// whole puts the pieces behind the headers of the first. The caller puts the
// packet back.
func (s *Stack) whole(d *datagram) *vfp.Packet {
	first := d.pieces[0].frame
	var m wire.Meta
	wire.Parse(first, &m)
	head := m.L4
	if m.IsIPv6 {
		head = int(m.FragHeader) // what follows the fragment header follows directly
	}
	b := make([]byte, head+d.total)
	copy(b, first[:head])
	for i := range d.pieces {
		copy(b[head+d.pieces[i].off:], d.pieces[i].data)
	}
	if m.IsIPv4 {
		ip := wire.IPv4(b[m.L3:])
		ip.SetTotalLen(head - m.L3 + d.total)
		ip.SetFrag(false, false, 0)
		ip.SetChecksum(0)
		ip.SetChecksum(wire.Checksum(ip[:head-m.L3]))
	} else {
		ip := wire.IPv6(b[m.L3:])
		ip.SetPayloadLen(head - m.L3 - wire.IPv6Len + d.total)
		unchainFragment(b[:head], m.L3, wire.IPv6Fragment(first[m.FragHeader:]).NextHeader())
	}
	p := s.get(b, d.pieces[0].id)
	p.Parse()
	return p
}

// unchainFragment makes the header that named the fragment header name what
// follows it. b ends where the fragment header began.
func unchainFragment(b []byte, l3 int, next uint8) {
	at := l3 + 6 // the fixed header's next header field
	for off := l3 + wire.IPv6Len; off+8 <= len(b); {
		at = off
		if n := (int(b[off+1]) + 1) * 8; n <= len(b)-off {
			off += n
			continue
		}
		break
	}
	b[at] = next
}

// discard drops what came of a datagram.
func (s *Stack) discard(now int64, k fragKey, why vfp.Drop) {
	d := s.reasm.waiting[k]
	if d == nil {
		return
	}
	d.timer.Stop()
	delete(s.reasm.waiting, k)
	for i := range d.pieces {
		s.dropFrame(now, "reassembly", why, d.pieces[i].frame, d.pieces[i].id)
	}
}
