package fabric

import (
	"net/netip"
	"strconv"

	"github.com/hnsim/hnsim/sim/fabric/ipstack"
	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/vswitch"
	"github.com/hnsim/hnsim/sim/wire"
)

// hostSwitch joins a virtual switch to the loop: frames enter it through
// switchIn and leave it as its Sink.
type hostSwitch struct {
	h     *Host
	sw    *vswitch.Switch
	prog  *SwitchProgram
	batch vfp.Batch
	ins   map[vfp.PortID]*switchIn
	vxlan []uint16
	later *wireOut // frames that wait for their departure go there
	tally tally
	// entry and entered are the port and the frame of the present batch.
	entry   vfp.PortID
	entered []byte
	// behind is the interface that is plugged into a port.
	behind map[vfp.PortID]*hostIface
}

func (h *Host) newSwitch(p *SwitchProgram) *hostSwitch {
	s := &hostSwitch{h: h, sw: vswitch.New(), prog: p, ins: map[vfp.PortID]*switchIn{}, behind: map[vfp.PortID]*hostIface{}}
	s.sw.SetFlowCache(!h.cfg.NoFlowCache)
	s.sw.SetNextHop(nextHop{s})
	return s
}

// switchIn is a port of the switch as a point that frames arrive at.
type switchIn struct {
	s     *hostSwitch
	port  vfp.PortID
	point string
}

func (s *hostSwitch) in(port vfp.PortID) *switchIn {
	if s.ins[port] == nil {
		s.ins[port] = &switchIn{s, port, s.h.cfg.Name + "/" + s.prog.Config.Name + "/" + portName(port)}
	}
	return s.ins[port]
}

func (i *switchIn) Point() string { return i.point }

func (i *switchIn) Arrive(now int64, frame []byte, id uint64) { i.s.enter(now, i.port, frame, id) }

// enter runs one frame through the switch.
func (s *hostSwitch) enter(now int64, port vfp.PortID, frame []byte, id uint64) {
	b := &s.batch
	b.Now, b.N, b.Trace = now, 1, nil
	if s.h.cfg.Trace != nil {
		b.Trace = s.h.cfg.Trace(id)
	}
	p := &b.Pkts[0]
	p.Reset(frame)
	p.ID, p.InPort = id, port
	s.entry, s.entered = port, frame
	s.tally.in++
	s.sw.Process(b, s)
}

// Burst takes frames that leave the switch now.
func (s *hostSwitch) Burst(at int64, pkts []vfp.Packet) {
	if x := s.h.express; x != nil && x.burst(s, pkts) {
		return
	}
	for i := range pkts {
		s.Deliver(at, pkts[i].OutPort, &pkts[i])
	}
}

// Deliver takes a frame that leaves the switch at a time.
func (s *hostSwitch) Deliver(at int64, port vfp.PortID, p *vfp.Packet) {
	s.tally.delivered++
	if x := s.h.express; x != nil && x.deliver(s, port, p) {
		return
	}
	s.cross(port, p)
	if port == s.prog.Wire && s.prog.Uplink != "" {
		if at > s.batch.Now {
			s.h.net.Loop.Post(at, s.out(), p.Bytes(), p.ID) // rule QOS-02
			return
		}
		s.h.nic.Send(at, p.Bytes(), p.ID)
		return
	}
	if c := s.vmBehind(port); c != nil {
		if at > s.batch.Now {
			s.h.net.Loop.Post(at, &wireOut{c.nic, s.place(port) + "/out"}, p.Bytes(), p.ID) // rule QOS-02
			return
		}
		c.nic.Send(at, p.Bytes(), p.ID)
		return
	}
	if i := s.behind[port]; i != nil {
		s.h.net.Loop.Post(at, stackIn{i}, p.Bytes(), p.ID)
		return
	}
	// A port that is open has somebody behind it, unless its compartment is
	// being torn down at this instant: the frame is lost with it.
	s.h.net.dropAt(at, s.h.cfg.Name, s.place(port), vfp.DropLinkDown, p.Bytes(), p.ID)
}

// wireOut is the external port as a point that frames leave by later.
type wireOut struct {
	nic   *NIC
	point string
}

func (o *wireOut) Point() string { return o.point }

func (o *wireOut) Arrive(now int64, frame []byte, id uint64) { o.nic.Send(now, frame, id) }

func (s *hostSwitch) out() *wireOut {
	if s.later == nil {
		s.later = &wireOut{s.h.nic, s.h.cfg.Name + "/" + s.prog.Config.Name + "/out"}
	}
	return s.later
}

// Dropped reports what the switch dropped.
func (s *hostSwitch) Dropped(now int64, port vfp.PortID, p *vfp.Packet) {
	s.tally.dropped++
	s.h.net.dropAt(now, s.h.cfg.Name, s.place(port), p.Reason, p.Bytes(), p.ID)
}

func (s *hostSwitch) place(port vfp.PortID) string {
	if p := s.prog.Config.Port(port); p != nil {
		return s.prog.Config.Name + "/" + p.Name
	}
	return s.prog.Config.Name + "/" + portName(port)
}

// stackIn is an interface of a compartment as a point that frames arrive at.
type stackIn struct{ i *hostIface }

func (i stackIn) Point() string { return i.i.comp.Stack.Name() + "/" + i.i.Name }

// Arrive gives the frame to the stack. What the NIC filters out is observed all
// the same: the switch has shown it to this compartment, and a leak must not
// hide behind the filter.
func (i stackIn) Arrive(now int64, frame []byte, id uint64) {
	if see := i.i.from.s.h.net.cfg.Observer.OnReceive; see != nil && i.i.iface.Up() && !i.i.iface.Accepts(frame) {
		see(now, i.i.comp.Stack.Name(), i.i.Name, frame, id)
		return
	}
	i.i.iface.Receive(now, frame, id)
}

// nextHop resolves outer headers with the host's own neighbours (layer
// VNET_PA_ROUTE_LAYER). Frames that wait leave through the NIC, not through
// the host vNIC: they are encapsulated already and must not be walked again.
type nextHop struct{ s *hostSwitch }

func (n nextHop) Resolve(now int64, dst netip.Addr) (src, hop wire.MAC, ok bool) {
	st := n.stack()
	if st == nil {
		return src, hop, false
	}
	return st.Resolve(now, dst)
}

// stack is that of the compartment with the provider addresses.
func (n nextHop) stack() *ipstack.Stack {
	c := n.s.prog.NextHops
	if c == 0 {
		c = HostCompartment
	}
	if comp := n.s.h.compartments[c]; comp != nil {
		return comp.Stack
	}
	return nil
}

func (n nextHop) Hold(now int64, dst netip.Addr, frame []byte) {
	// One frame is in the switch at a time: what is held is that one.
	if st := n.stack(); st != nil {
		st.HoldFor(now, dst, frame, n.s.batch.Pkts[0].ID, n.s.h.nic.Send)
	}
}

// portName names a port that is not in the program.
func portName(port vfp.PortID) string { return "port" + strconv.FormatUint(uint64(port), 10) }
