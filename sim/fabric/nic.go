package fabric

import (
	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// WireDir is the direction of a frame on a wire, seen from the NIC.
type WireDir uint8

const (
	Tx WireDir = iota // leaves the node
	Rx                // comes to the node
)

func (d WireDir) String() string {
	if d == Tx {
		return "tx"
	}
	return "rx"
}

// DefaultMTU is the IP MTU of Ethernet.
const DefaultMTU = 1500

// NICConfig describes a network interface card.
type NICConfig struct {
	Node string // name of the node it belongs to
	Name string
	MAC  wire.MAC // zero: derived from node and number (Net.MAC)
	MTU  int      // longest IP packet; a frame may have 14 bytes more, 18 with a tag (rule VS-40). 0 is DefaultMTU
	// VLAN makes the NIC a member of one VLAN: what the node sends is tagged,
	// what it gets is untagged, frames of other VLANs stay outside. With 0 all
	// frames pass as they are.
	VLAN uint16
	// Receive takes frames that came in from the wire, whatever their
	// destination: filtering is the node's business. It is called from the
	// loop; frame is valid during the call only.
	Receive func(now int64, frame []byte, id uint64)
}

// NIC joins a node to a segment. Frames cross its wire in both directions
// under the same LinkConfig, with independent faults.
type NIC struct {
	cfg    NICConfig
	net    *Net
	seg    *Segment
	tx, rx *link
	point  string // "x/eth0"
	uplink uplink
	tagged []byte // scratch for tagging and untagging
	ledger wireLedger
	// injected frames are on the wire's books, but not on the segment's.
	injected uint64
	// express, when set, takes the frames of an Express.
	express func(frame []byte, id uint64) bool
}

// Name is the NIC's name within its node.
func (n *NIC) Name() string { return n.cfg.Name }

// Node is the name of the node that the NIC belongs to.
func (n *NIC) Node() string { return n.cfg.Node }

// MAC is the NIC's address. Other addresses may cross it: a virtual switch
// behind it keeps its guests' addresses (rule TR-01).
func (n *NIC) MAC() wire.MAC { return n.cfg.MAC }

// MTU is the longest IP packet that the wire carries, in bytes.
func (n *NIC) MTU() int { return n.cfg.MTU }

// VLAN is the VLAN that the NIC is a member of, or 0.
func (n *NIC) VLAN() uint16 { return n.cfg.VLAN }

// Segment is what the NIC is plugged into.
func (n *NIC) Segment() *Segment { return n.seg }

// Link is what the wire does to frames.
func (n *NIC) Link() LinkConfig { return n.tx.cfg }

// SetLink changes what the wire does from now on; frames under way keep their
// fate.
func (n *NIC) SetLink(c LinkConfig) { n.tx.cfg, n.rx.cfg = c, c }

// SetMTU changes the longest IP packet that the wire carries. An IP stack
// behind the NIC does not learn of it.
func (n *NIC) SetMTU(mtu int) {
	if mtu > 0 {
		n.cfg.MTU = mtu
	}
}

// Point names the NIC as a place that frames arrive at.
func (n *NIC) Point() string { return n.point }

// Send puts a frame on the wire. The frame is copied.
func (n *NIC) Send(now int64, frame []byte, id uint64) {
	n.ledger.sent++
	if len(frame) < wire.EthernetLen {
		n.dropTx(now, vfp.DropMalformed, frame, id)
		return
	}
	if n.cfg.VLAN != 0 && !wire.Ethernet(frame).Tagged() {
		frame = n.tag(frame)
	}
	if why := n.admit(frame); why != vfp.DropNone {
		n.dropTx(now, why, frame, id)
		return
	}
	if n.express != nil && n.express(frame, id) {
		return
	}
	n.net.onWire(now, n, Tx, frame, id)
	at, why := n.tx.carry(now, len(frame))
	if why != vfp.DropNone {
		n.dropTx(now, why, frame, id)
		return
	}
	n.net.Loop.Post(at, &n.uplink, frame, id)
}

// Inject delivers a frame to the node as if the wire had brought it. No link
// delays or loses it.
func (n *NIC) Inject(now int64, frame []byte, id uint64) {
	n.ledger.offered++
	n.injected++
	n.net.Loop.Post(now, n, frame, id)
}

// Arrive takes a frame at the node's end of the wire.
func (n *NIC) Arrive(now int64, frame []byte, id uint64) {
	if why := n.admit(frame); why != vfp.DropNone {
		n.dropRx(now, why, frame, id)
		return
	}
	n.net.onWire(now, n, Rx, frame, id)
	if n.cfg.VLAN != 0 {
		e := wire.Ethernet(frame)
		if !e.IsValid() || !e.Tagged() || e.TCI().ID() != n.cfg.VLAN {
			n.ledger.foreign++
			return // another VLAN's: every trunk port sees some, it is no loss
		}
		frame = n.untag(frame)
	}
	n.ledger.delivered++
	if n.cfg.Receive != nil {
		n.cfg.Receive(now, frame, id)
	}
}

// admit says why the wire cannot carry the frame at all: such a frame is on no
// capture of it.
func (n *NIC) admit(frame []byte) vfp.Drop {
	limit := n.cfg.MTU + wire.EthernetLen
	if e := wire.Ethernet(frame); e.IsValid() && e.Tagged() {
		limit += wire.VLANTagLen
	}
	switch {
	case n.tx.cfg.Down:
		return vfp.DropLinkDown
	case len(frame) > limit:
		return vfp.DropLinkMtu
	}
	return vfp.DropNone
}

// open is a length up to which the NIC admits every frame, -1 while it admits
// none.
func (n *NIC) open() int {
	if n.tx.cfg.Down {
		return -1
	}
	return n.cfg.MTU + wire.EthernetLen
}

// fromSegment starts a frame on its way from the segment to the node.
func (n *NIC) fromSegment(now int64, frame []byte, id uint64) {
	n.ledger.offered++
	n.seg.ledger.copies++
	at, why := n.rx.carry(now, len(frame))
	if why != vfp.DropNone {
		n.dropRx(now, why, frame, id)
		return
	}
	n.net.Loop.Post(at, n, frame, id)
}

func (n *NIC) dropTx(now int64, why vfp.Drop, frame []byte, id uint64) {
	n.ledger.txDropped++
	n.net.drop(now, n, why, frame, id)
}

func (n *NIC) dropRx(now int64, why vfp.Drop, frame []byte, id uint64) {
	n.ledger.rxDropped++
	n.net.drop(now, n, why, frame, id)
}

func (n *NIC) tag(frame []byte) []byte {
	n.tagged = append(append(n.tagged[:0], make([]byte, wire.VLANTagLen)...), frame...)
	wire.PutTag(n.tagged, wire.MakeTCI(0, false, n.cfg.VLAN))
	return n.tagged
}

func (n *NIC) untag(frame []byte) []byte {
	n.tagged = append(n.tagged[:0], frame...)
	wire.StripTag(n.tagged)
	return n.tagged[wire.VLANTagLen:]
}

// uplink is the segment's end of a NIC's wire.
type uplink struct {
	nic   *NIC
	point string
}

func (u *uplink) Point() string { return u.point }

func (u *uplink) Arrive(now int64, frame []byte, id uint64) {
	u.nic.ledger.entered++
	u.nic.seg.enter(now, u.nic, frame, id)
}
