package fabric

import (
	"fmt"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// Observer is told what happens. Any field may be nil. Frames are valid during
// the call only. Observers must not change the world: what they see is the
// same with and without them.
type Observer struct {
	// OnWire sees every frame that a NIC puts on its wire or gets from it, with
	// its VLAN tag. Frames that the wire loses are seen where they entered.
	OnWire func(now int64, n *NIC, dir WireDir, frame []byte, id uint64)
	// OnReceive sees what the IP stack of a node gets, OnSend what it sends. Of a
	// NIC on a virtual switch it sees all that the switch delivers, for whatever
	// address and with whatever tag.
	OnReceive func(now int64, node, iface string, frame []byte, id uint64)
	OnSend    func(now int64, node, iface string, frame []byte, id uint64)
	// OnDrop sees every frame that goes no further; where is the place in the
	// node: a NIC or a part of the stack.
	OnDrop func(now int64, node, where string, why vfp.Drop, frame []byte, id uint64)
	// OnCross sees every frame that a host's virtual switch gives out.
	OnCross func(Crossing)
}

// Config describes a fabric.
type Config struct {
	Seed     uint64 // of link faults, TCP sequence numbers and transaction ids
	Limits   Limits
	Observer Observer
}

// Net is the physical world: a loop, segments and the nodes plugged into them.
// It is used from one goroutine.
type Net struct {
	Loop *Loop

	cfg      Config
	segments map[string]*Segment
	nodes    []Node
	outers   []*Outer
	byName   map[string]Node
	macs     map[wire.MAC]string // who has it
}

// New makes an empty world.
func New(cfg Config) *Net {
	return &Net{
		Loop:     NewLoop(cfg.Limits),
		cfg:      cfg,
		segments: make(map[string]*Segment),
		byName:   make(map[string]Node),
		macs:     make(map[wire.MAC]string),
	}
}

// Seed is the world's seed.
func (w *Net) Seed() uint64 { return w.cfg.Seed }

// Segment is the segment of that name; it comes into being by being named.
func (w *Net) Segment(name string) *Segment {
	s := w.segments[name]
	if s == nil {
		s = &Segment{name: name, net: w, table: make(map[place]learned), wire: newLink(w.cfg.Seed, name)}
		w.segments[name] = s
	}
	return s
}

// AddNIC plugs a NIC into a segment. Two NICs of a node need different names;
// two NICs of the world may not share a MAC.
func (w *Net) AddNIC(segment string, cfg NICConfig) (*NIC, error) {
	if cfg.MTU <= 0 {
		cfg.MTU = DefaultMTU
	}
	if cfg.VLAN > 4094 {
		return nil, fmt.Errorf("NIC %s/%s: VLAN %d is not between 0 and 4094", cfg.Node, cfg.Name, cfg.VLAN)
	}
	point := cfg.Node + "/" + cfg.Name
	number := 0
	for _, s := range w.segments {
		for _, o := range s.nics {
			if o.point == point {
				return nil, fmt.Errorf("node %s has two NICs named %s", cfg.Node, cfg.Name)
			}
			if o.cfg.Node == cfg.Node {
				number++
			}
		}
	}
	if cfg.MAC.IsZero() {
		cfg.MAC = w.MAC(cfg.Node, number)
	}
	if owner, taken := w.macs[cfg.MAC]; taken || cfg.MAC.IsMulticast() {
		return nil, fmt.Errorf("NIC %s: MAC %s is not a free station address (held by %q)", point, cfg.MAC, owner)
	}
	w.macs[cfg.MAC] = point
	seg := w.Segment(segment)
	n := &NIC{cfg: cfg, net: w, seg: seg, point: point,
		tx: newLink(w.cfg.Seed, point+" tx"), rx: newLink(w.cfg.Seed, point+" rx")}
	n.uplink = uplink{n, segment + "<" + point}
	seg.nics = append(seg.nics, n)
	return n, nil
}

// RemoveNIC unplugs a NIC. Frames on their way to it still arrive.
func (w *Net) RemoveNIC(n *NIC) {
	for i, o := range n.seg.nics {
		if o == n {
			n.seg.nics = append(n.seg.nics[:i:i], n.seg.nics[i+1:]...)
			break
		}
	}
	n.seg.unplugged += n.ledger.offered - n.injected
	n.seg.forget(n)
	delete(w.macs, n.cfg.MAC)
}

// MAC makes a MAC that no NIC has and that can be read in a capture: 02, the
// first three letters of the node's name, its number as decimal digits, the
// number of the NIC. "router12" has 02-72-6F-75-12-00. Names that would share
// an address differ in the first byte.
func (w *Net) MAC(node string, nic int) wire.MAC {
	m := wire.MAC{0: 0x02, 5: byte(nic)}
	letters := 0
	for i := range len(node) {
		switch c := node[i]; {
		case c >= '0' && c <= '9':
			m[4] = m[4]<<4 | (c - '0') // 12 shows as 12
		case letters < 3:
			letters++
			m[letters] = c
		}
	}
	for range 64 {
		if _, taken := w.macs[m]; !taken {
			return m
		}
		m[0] += 4 // stays a locally administered station address
	}
	return m
}

func (w *Net) onWire(now int64, n *NIC, dir WireDir, frame []byte, id uint64) {
	if f := w.cfg.Observer.OnWire; f != nil {
		f(now, n, dir, frame, id)
	}
}

func (w *Net) drop(now int64, n *NIC, why vfp.Drop, frame []byte, id uint64) {
	w.dropAt(now, n.cfg.Node, n.cfg.Name, why, frame, id)
}

func (w *Net) dropAt(now int64, node, where string, why vfp.Drop, frame []byte, id uint64) {
	if f := w.cfg.Observer.OnDrop; f != nil {
		f(now, node, where, why, frame, id)
	}
}
