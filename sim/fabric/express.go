package fabric

import (
	"fmt"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/vswitch"
	"github.com/hnsim/hnsim/sim/wire"
)

// Express carries batches of frames through a host without the loop: from a
// switch port or the wire, through switches, host routing and WinNAT, until
// they leave by the wire or reach a container. It is how the cost of packets is
// measured. Everything that decides about a frame is the host's own; what is
// left out is between its parts: the events of the loop with their copies, the
// event hash, the wire's delay and faults, and observers of wires.
//
// One Express of a host is open at a time, and one goroutine drives it. Another
// one may change the host's program meanwhile (Host.Apply): a batch meets one
// program, and none is lost for the change. Frames that the host itself makes
// meanwhile (answers, neighbour resolution) go their ordinary way.
type Express struct {
	h    *Host
	in   *hostSwitch // nil: the wire leads to the host's stack
	port vfp.PortID

	batch *vfp.Batch
	hows  [vfp.BatchSize]Exit
	moved uint64 // bit i: the packet of the batch is as the first switch left it, frames[i] is what left
	// frames are copies.
	frames [vfp.BatchSize][]byte
	// ports are what is behind the ports of a burst, by their last bits.
	ports [16]portExit
	turn  uint64 // of bursts
	short shortcuts
	extra int // copies of frames, which nobody follows
}

// portExit is what is behind a port of a switch, as a burst needs it.
type portExit struct {
	turn  uint64
	port  vfp.PortID
	how   Exit
	stack *hostIface // that of the host, nil if it is not behind the port
}

// Exit is where a frame left a host.
type Exit uint8

const (
	NoExit   Exit = iota // it did not
	ByWire               // by the NIC
	ToInside             // to a container
)

// expressMark is in the identities of the frames of an Express; the loop's do
// not come so far.
const expressMark = 1 << 63

// ExpressFromPort opens the way of frames that stand at a port of a switch.
func (h *Host) ExpressFromPort(sw string, port vfp.PortID) (*Express, error) {
	s := h.switches[sw]
	if s == nil || s.sw.VFP(port) == nil {
		return nil, fmt.Errorf("host %s: switch %q has no port %d", h.cfg.Name, sw, port)
	}
	return h.openExpress(s, port)
}

// ExpressFromWire opens the way of frames that come in from the wire.
func (h *Host) ExpressFromWire() (*Express, error) {
	if h.nic.cfg.VLAN != 0 {
		return nil, fmt.Errorf("host %s: frames of a NIC in VLAN %d are not carried in batches", h.cfg.Name, h.nic.cfg.VLAN)
	}
	if s := h.uplinkSwitch(); s != nil {
		return h.openExpress(s, s.prog.Wire)
	}
	return h.openExpress(nil, 0)
}

func (h *Host) openExpress(s *hostSwitch, port vfp.PortID) (*Express, error) {
	if h.express != nil {
		return nil, fmt.Errorf("host %s: an express is open already", h.cfg.Name)
	}
	x := &Express{h: h, in: s, port: port}
	h.express, h.nic.express = x, x.send
	x.openShortcuts()
	return x, nil
}

// Close ends it.
func (x *Express) Close() {
	x.closeShortcuts()
	x.h.express, x.h.nic.express = nil, nil
}

// Process takes a batch through. Its packets hold frames and nothing else;
// afterwards At says where each left. The batch belongs to the express until
// then, and At refers to it.
func (x *Express) Process(b *vfp.Batch) {
	x.h.gate.Lock()
	defer x.h.gate.Unlock()
	x.batch, x.extra, x.moved = b, 0, 0
	x.hows = [vfp.BatchSize]Exit{}
	pkts := b.Pkts[:b.N]
	for i := range pkts {
		p := &pkts[i]
		p.ID, p.InPort, p.OutPort, p.Verdict, p.Reason = expressMark|uint64(i), x.port, 0, vfp.Pending, vfp.DropNone
	}
	if x.short.usable(x) {
		x.quick(b)
	} else {
		x.long(b, 0, b.N)
	}
}

// long takes the packets [from:to) through, step by step.
func (x *Express) long(b *vfp.Batch, from, to int) {
	switch {
	case x.in == nil:
		x.fromWire(b, from, to)
	case x.port == x.in.prog.Wire && x.in.prog.Uplink != "":
		limit := x.h.nic.open()
		for i := from; i < to; i++ {
			if p := &b.Pkts[i]; p.Len() > limit {
				if why := x.h.nic.admit(p.Bytes()); why != vfp.DropNone {
					p.DropWith(why)
				}
			}
		}
		for i := from; i < to; i++ {
			if b.Pkts[i].Verdict == vfp.Pending {
				x.in.tally.in++
			}
		}
		x.in.sw.ProcessPart(b, from, to, x.in)
	default:
		x.in.tally.in += uint64(to - from)
		x.in.sw.ProcessPart(b, from, to, x.in)
	}
}

// fromWire is the way in where no switch has the NIC.
func (x *Express) fromWire(b *vfp.Batch, from, to int) {
	for i := from; i < to; i++ {
		p := &b.Pkts[i]
		if why := x.h.nic.admit(p.Bytes()); why != vfp.DropNone {
			p.DropWith(why)
			continue
		}
		x.short.at, x.short.iface = i, nil
		x.h.fromWire(b.Now, p.Bytes(), p.ID)
	}
}

// At says where the i'th frame left and what it is then. The frame is good
// until the next Process.
func (x *Express) At(i int) (Exit, []byte) {
	if x.Moved(i) {
		return x.hows[i], x.frames[i]
	}
	return x.hows[i], x.batch.Pkts[i].Bytes()
}

// Exits says where each frame left.
func (x *Express) Exits() *[vfp.BatchSize]Exit { return &x.hows }

// Moved reports whether the frame is no longer in the batch's packet.
func (x *Express) Moved(i int) bool { return x.moved>>i&1 != 0 }

// Extra is how many copies of frames left in the last Process, by flooding or
// mirrors.
func (x *Express) Extra() int { return x.extra }

// Switches are the runtimes that frames may pass, for housekeeping.
func (x *Express) Switches() []*vswitch.Switch {
	var out []*vswitch.Switch
	for i := range x.h.prog.Switches {
		out = append(out, x.h.Switch(x.h.prog.Switches[i].Config.Name))
	}
	return out
}

// index is the place of a frame in the batch.
func (x *Express) index(id uint64) (int, bool) {
	i := id &^ expressMark
	return int(i), id&expressMark != 0 && x.batch != nil && i < uint64(x.batch.N)
}

// burst takes packets that a switch hands out together, if they are the batch's.
// The packets that leave the host here stay where they are.
func (x *Express) burst(s *hostSwitch, pkts []vfp.Packet) bool {
	first, mine := x.index(pkts[0].ID)
	if !mine || &pkts[0] != &x.batch.Pkts[first] {
		return false
	}
	x.turn++
	limit := x.h.nic.open()
	last := vfp.PortID(0)
	for i := 0; i < len(pkts); i++ {
		p := &pkts[i]
		port := p.OutPort
		to := &x.ports[port&15]
		if to.turn != x.turn || to.port != port {
			x.behind(s, port, to)
		}
		if to.stack != nil {
			if (port != last || i == 0) && x.h.prog.NAT != nil {
				x.h.nat.Warm(pkts[i:])
			}
			if last = port; x.advance(first+i, to.stack, p) {
				s.tally.delivered++
				continue
			}
		}
		last = port
		if n := x.pass(first+i, pkts[i:], to, limit); n > 0 {
			s.tally.delivered += uint64(n)
			i += n - 1
			continue
		}
		if to.how == NoExit || to.how == ByWire && p.Len() > limit && x.h.nic.admit(p.Bytes()) != vfp.DropNone {
			s.Deliver(x.batch.Now, port, p)
			continue
		}
		s.tally.delivered++
		x.leaves(first+i, to.how)
	}
	return true
}

// pass lets packets leave that go where the first one goes, from the i'th of the
// batch on, as far as there is nothing to be looked at, and returns how many.
func (x *Express) pass(i int, pkts []vfp.Packet, to *portExit, limit int) int {
	if to.how == NoExit {
		return 0
	}
	if to.how == ToInside {
		limit = 1<<16 + wire.EthernetLen
	}
	hows := x.hows[i : i+len(pkts)]
	for n := range pkts {
		p := &pkts[n]
		if p.OutPort != to.port || p.Len() > limit || hows[n] != NoExit {
			return n
		}
		hows[n] = to.how
	}
	return len(pkts)
}

// behind looks at what is behind a port.
func (x *Express) behind(s *hostSwitch, port vfp.PortID, to *portExit) {
	*to = portExit{turn: x.turn, port: port, how: x.exit(s, port)}
	if stack := s.behind[port]; stack != nil && stack.Compartment == HostCompartment {
		to.stack = stack
	}
}

// advance routes a packet of the batch through the host's stack without moving
// it, if the stack knows its way.
func (x *Express) advance(i int, to *hostIface, p *vfp.Packet) bool {
	out := to.iface.Advance(x.batch.Now, p)
	switch {
	case out == nil:
		return false
	case out.Name() == x.h.cfg.Adapter && x.h.nic.cfg.VLAN == 0 && x.h.nic.admit(p.Bytes()) == vfp.DropNone && x.h.uplinkSwitch() == nil:
		x.leaves(i, ByWire)
		x.learnOut(i, to, out, p)
	default:
		out.Transmit(x.batch.Now, p.Bytes(), p.ID)
	}
	return true
}

// exit is where a frame leaves that comes out of the port, NoExit if it is not
// out of the host then.
func (x *Express) exit(s *hostSwitch, port vfp.PortID) Exit {
	switch to := s.behind[port]; {
	case port == s.prog.Wire && s.prog.Uplink != "":
		if x.h.nic.cfg.VLAN != 0 {
			return NoExit
		}
		return ByWire
	case to == nil || to.Compartment == HostCompartment:
		return NoExit
	}
	return ToInside
}

// deliver takes a frame that a switch hands out.
func (x *Express) deliver(s *hostSwitch, port vfp.PortID, p *vfp.Packet) bool {
	i, mine := x.index(p.ID)
	if !mine {
		return false
	}
	switch to := s.behind[port]; {
	case port == s.prog.Wire && s.prog.Uplink != "":
		if x.h.nic.cfg.VLAN != 0 || p != &x.batch.Pkts[i] {
			x.h.nic.Send(x.batch.Now, p.Bytes(), p.ID) // back in send
			return true
		}
		if why := x.h.nic.admit(p.Bytes()); why != vfp.DropNone {
			x.h.nic.dropTx(x.batch.Now, why, p.Bytes(), p.ID)
			return true
		}
		x.leaves(i, ByWire)
	case to == nil:
		return false
	case to.Compartment == HostCompartment:
		// The switch may still want to show the frame to a monitor.
		if p != &x.batch.Pkts[i] || s.sw.Mirrored(port) || !x.advance(i, to, p) {
			to.iface.Receive(x.batch.Now, p.Bytes(), p.ID)
		}
	case p != &x.batch.Pkts[i]:
		x.copied(i, ToInside, p.Bytes())
		x.learnIn(i, s, port, p)
	default:
		x.leaves(i, ToInside)
	}
	return true
}

// transmit takes a frame that the host's stack sends into a switch.
func (x *Express) transmit(from *hostIface, frame []byte, id uint64) bool {
	if i, mine := x.index(id); !mine {
		return false
	} else if i == x.short.at {
		x.short.iface = from
	}
	from.from.s.enter(x.batch.Now, from.Port, frame, id)
	return true
}

// send takes a frame that leaves by the NIC.
func (x *Express) send(frame []byte, id uint64) bool {
	i, mine := x.index(id)
	if mine {
		x.copied(i, ByWire, frame)
	}
	return mine
}

func (x *Express) leaves(i int, how Exit) {
	if x.hows[i] != NoExit {
		x.extra++
		return
	}
	x.hows[i] = how
}

func (x *Express) copied(i int, how Exit, frame []byte) {
	if x.hows[i] != NoExit {
		x.extra++
		return
	}
	x.hows[i], x.moved = how, x.moved|1<<i
	x.frames[i] = append(x.frames[i][:0], frame...)
}
