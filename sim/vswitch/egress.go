package vswitch

import (
	"net/netip"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// exit is where and how a frame leaves.
type exit struct {
	dst    *port
	toPA   bool     // the next hop of the outermost IP header is to be resolved
	untag  bool     // decapsulated: the VLAN was that of the outer frame
	tooBig vfp.Drop // the reason if the frame exceeds the MTU
}

// exitFor is the exit at dst of a frame after its walk.
func exitFor(w *vfp.Walk, dst *port) exit {
	x := exit{dst: dst, untag: w.Decap, tooBig: vfp.DropOversize}
	if w.Encap.Kind != vfp.NoEncap {
		x.tooBig = vfp.DropEncapOversize // rule OV-19
	}
	return x
}

// leave is step 8: what a frame meets at its destination after the layers.
// p has its final headers and is parsed.
func (s *Switch) leave(f *transit, p *vfp.Packet, x *exit) {
	dst, t := x.dst, f.tag
	// Only a tunnel can bring in such frames: others have been through VLAN
	// ingress. A tag out of a tunnel would let its sender choose a VLAN here.
	if p.Len() < wire.EthernetLen {
		s.drop(f, dst, p, vfp.DropMalformed)
		return
	}
	if p.Meta.HasVLAN {
		s.drop(f, dst, p, vfp.DropInnerVlanTag)
		return
	}
	switch {
	case x.toPA:
		// It leaves through the host's own stack, hence in the host's VLAN.
		t = s.snap.hostTag()
	case x.untag:
		t = tag{}
	}
	if !dst.permits(f.now, p, vfp.In, t.vid) {
		s.drop(f, dst, p, vfp.DropPortAcl)
		return
	}
	if !dst.admits(t) {
		s.drop(f, dst, p, vfp.DropVlanMismatch)
		return
	}
	// The limit is one of the IP packet, so a tag does not count (VS-40).
	if p.Len() > dst.mtu+wire.EthernetLen {
		s.drop(f, dst, p, x.tooBig)
		return
	}
	if !f.admitted() {
		s.drop(f, f.in, p, vfp.DropQosDrop)
		return
	}
	var pa netip.Addr
	resolved := true
	if x.toPA {
		if pa = p.Meta.Dst(p.Bytes()); s.next == nil || !pa.IsValid() {
			s.drop(f, dst, p, vfp.DropNoRoute)
			return
		}
		resolved = s.address(f, p, pa)
	}
	if tci, tagged := dst.egressTag(t); tagged && !pushTag(p, tci) {
		s.drop(f, dst, p, vfp.DropOversize)
		return
	}
	if !resolved {
		s.hold(f, p, pa)
		return
	}
	s.deliver(f, f.departure(), dst, p)
}

// admitted asks the frame's bandwidth limit (step 8). It counts frames as
// they entered, without what a layer put around them, and a flooded one once
// (rules QOS-01, QOS-02).
func (f *transit) admitted() bool {
	if f.shaper == nil {
		return true
	}
	if !f.shaped {
		at, ok := f.shaper.Admit(f.now, f.size)
		f.shaped, f.at, f.refused = true, at, !ok
	}
	return !f.refused
}

// shaperOf is the limit of a frame as it enters: that of its source address, if
// that has one, else the port's.
func (c *PortConfig) shaperOf(p *vfp.Packet) Shaper {
	if len(c.Limits) > 0 {
		src := p.Meta.Src(p.Bytes())
		for i := range c.Limits {
			if c.Limits[i].Addr == src {
				return c.Limits[i].Shaper
			}
		}
	}
	return c.Shaper
}

// departure is when the frame leaves.
func (f *transit) departure() int64 {
	if f.shaped {
		return f.at
	}
	return f.now
}

// address fills the outermost Ethernet addresses from the host's neighbour
// table. It is asked for every frame, cached or not: neighbours come and go on
// their own.
func (s *Switch) address(f *transit, p *vfp.Packet, pa netip.Addr) bool {
	src, dst, ok := s.next.Resolve(f.now, pa)
	eth := wire.Ethernet(p.Bytes())
	if !ok {
		src, dst = wire.MAC{}, wire.MAC{}
	}
	eth.SetSrc(src)
	eth.SetDst(dst)
	return ok
}

// hold hands a frame over until its next hop is known.
func (s *Switch) hold(f *transit, p *vfp.Packet, pa netip.Addr) {
	f.in.run.n.Held++
	p.Verdict = vfp.Consumed
	if f.trace != nil {
		f.note(p, f.in, vfp.Out, "held until "+pa.String()+" is resolved", "")
	}
	s.next.Hold(f.now, pa, p.Bytes())
}

// hostTag is the VLAN of the host's own traffic on the wire.
func (s *snapshot) hostTag() tag {
	if len(s.hosts) == 0 {
		return tag{}
	}
	id := s.hosts[0].accessID()
	return tag{vid: id, primary: id}
}

// deliver hands the frame to what stands behind dst.
func (s *Switch) deliver(f *transit, at int64, dst *port, p *vfp.Packet) {
	dst.run.n.Out++
	dst.run.vfp.Count(vfp.In, p.Len())
	p.Verdict, p.OutPort = vfp.Delivered, dst.cfg.ID
	if f.trace != nil {
		f.note(p, dst, vfp.In, "delivered", "")
	}
	f.sink.Deliver(at, dst.cfg.ID, p)
	if dst.cfg.Mirror == MirrorSource {
		s.mirrored(f, p)
	}
}

// reply sends the frames that layers made in answer to p back out of its
// source port: through its VLAN, but through no rules and no ACLs, as they
// come from the switch itself.
func (s *Switch) reply(f *transit, p *vfp.Packet, w *vfp.Walk) {
	for _, frame := range w.Replies {
		in, r := f.in, &s.answer
		r.Reset(frame)
		r.ID, r.InPort = p.ID, in.cfg.ID
		r.Parse()
		in.run.n.Replies++
		if f.trace != nil {
			f.note(r, in, vfp.In, "answered by a layer", "")
		}
		switch tci, tagged := in.egressTag(f.tag); {
		case r.Len() > in.mtu+wire.EthernetLen, tagged && !pushTag(r, tci):
			s.drop(f, in, r, vfp.DropOversize)
		default:
			s.deliver(f, f.now, in, r)
		}
	}
	w.Replies = nil
}

// mirrored copies a frame of a monitored port to every monitor destination
// (rule VS-32): what the port sent, after port security, and what it was
// given. Monitors see frames of all VLANs and zones, and no policy applies.
func (s *Switch) mirrored(f *transit, p *vfp.Packet) {
	for _, dst := range s.snap.mirrors {
		if dst.cfg.ID == p.InPort {
			continue // its own frame
		}
		f.in.run.n.Copies++
		c := &s.mirror
		copyPacket(c, p)
		dst.run.n.Out++
		c.Verdict, c.OutPort = vfp.Delivered, dst.cfg.ID
		if f.trace != nil {
			f.note(c, dst, vfp.In, "mirrored", "VS-32")
		}
		f.sink.Deliver(f.now, dst.cfg.ID, c)
	}
}
