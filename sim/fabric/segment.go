package fabric

import (
	"time"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

const (
	// maxLearned bounds a segment's address table; beyond it, frames to
	// addresses that were not learned are flooded.
	maxLearned = 8192
	// learnedFor is how long an address is known without traffic from it
	// (802.1D's default).
	learnedFor = 300 * time.Second
)

// Segment is an L2 broadcast domain: a physical switch whose ports are all
// trunks. It learns where addresses are by VLAN and MAC, floods what it does
// not know in the order in which NICs were plugged in, and never sends a frame
// back to where it came from.
//
// Not modelled: spanning tree, multicast snooping, membership of VLANs by
// port (NICs filter for themselves), limits of the switch's own speed.
type Segment struct {
	name  string
	net   *Net
	nics  []*NIC
	table map[place]learned
	wire  *link
	mtu   int // 0: the NICs' MTUs are the only limit

	ledger    segmentLedger
	unplugged uint64 // copies that went to NICs which are gone
}

// place is an address in a VLAN; untagged and priority-tagged frames are in 0.
type place struct {
	vlan uint16
	mac  wire.MAC
}

type learned struct {
	nic  *NIC
	seen int64
}

// Name is the segment's name.
func (s *Segment) Name() string { return s.name }

// NICs are those plugged in, in order.
func (s *Segment) NICs() []*NIC { return append([]*NIC(nil), s.nics...) }

// SetLink sets what happens to every frame that crosses the segment, between
// the wires of the NICs.
func (s *Segment) SetLink(c LinkConfig) { s.wire.cfg = c }

// SetMTU limits what crosses the segment to IP packets of mtu bytes; 0 takes
// the limit away. Longer frames vanish with LinkMtu and no ICMP, as in any
// layer 2 device.
func (s *Segment) SetMTU(mtu int) { s.mtu = mtu }

// enter takes a frame from a NIC's wire.
func (s *Segment) enter(now int64, from *NIC, frame []byte, id uint64) {
	s.ledger.entered++
	limit := s.mtu + wire.EthernetLen
	if wire.Ethernet(frame).Tagged() {
		limit += wire.VLANTagLen
	}
	if s.mtu > 0 && len(frame) > limit {
		s.drop(now, vfp.DropLinkMtu, frame, id)
		return
	}
	at, why := s.wire.carry(now, len(frame))
	switch {
	case why != vfp.DropNone:
		s.drop(now, why, frame, id)
	case at > now:
		s.net.Loop.Post(at, &crossing{s, from}, frame, id)
	default:
		s.forward(now, from, frame, id)
	}
}

func (s *Segment) drop(now int64, why vfp.Drop, frame []byte, id uint64) {
	s.ledger.dropped++
	s.net.dropAt(now, s.name, "segment", why, frame, id)
}

// forward learns the source and sends the frame on.
func (s *Segment) forward(now int64, from *NIC, frame []byte, id uint64) {
	s.ledger.forwarded++
	e := wire.Ethernet(frame)
	var vlan uint16
	if e.IsValid() && e.Tagged() {
		vlan = e.TCI().ID()
	}
	src := place{vlan, e.Src()}
	if _, known := s.table[src]; !e.Src().IsMulticast() && (known || len(s.table) < maxLearned) {
		s.table[src] = learned{from, now}
	}
	if dst := e.Dst(); !dst.IsMulticast() {
		l, known := s.table[place{vlan, dst}]
		if known && now-l.seen <= int64(learnedFor) {
			if l.nic != from {
				l.nic.fromSegment(now, frame, id)
			}
			return
		}
	}
	for _, n := range s.nics {
		if n != from {
			n.fromSegment(now, frame, id)
		}
	}
}

// forget removes what was learned about a NIC.
func (s *Segment) forget(n *NIC) {
	for p, l := range s.table {
		if l.nic == n {
			delete(s.table, p)
		}
	}
}

// crossing is a frame between entry and exit of a segment that takes time.
type crossing struct {
	seg  *Segment
	from *NIC
}

func (c *crossing) Point() string { return c.seg.name }

func (c *crossing) Arrive(now int64, frame []byte, id uint64) {
	c.seg.forward(now, c.from, frame, id)
}
