package ipstack

import (
	"fmt"
	"net/netip"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// nextIPID numbers the IPv4 datagrams that begin here.
func (s *Stack) nextIPID() uint32 {
	s.ipID++
	return uint32(s.ipID)
}

// sending is how a packet leaves, beyond what it says itself.
type sending struct {
	zone string       // interface for a link-local destination; "" is the first that fits
	plan FragmentPlan // cut it so, not as the MTU demands
}

// emit builds a packet that begins here and sends it. The frame's IP fields
// need source and destination; TTL and IPv4 identification are filled in where
// they are zero. It returns the packet's identity.
func (s *Stack) emit(now int64, f *wire.Frame, how sending) (uint64, error) {
	if f.IP.TTL == 0 {
		f.IP.TTL = s.cfg.TTL
	}
	if f.IP.ID == 0 && f.IP.Src.Is4() {
		f.IP.ID = s.nextIPID()
	}
	b, err := f.Build()
	if err != nil {
		return 0, fmt.Errorf("stack %s: %w", s.cfg.Name, err)
	}
	p := s.get(b, s.newID())
	defer s.put(p)
	p.Parse()
	if !s.isOwn(f.IP.Dst) && !s.profile.passes(now, p, true) {
		s.drop(now, "output", vfp.DropHostFirewall, p)
		return p.ID, nil // the sender is not told
	}
	if how.plan.Sizes != nil {
		return p.ID, s.outputPlanned(now, p, how)
	}
	return p.ID, s.output(now, p, how.zone)
}

// output sends a packet that begins here. p is parsed, its IP header and
// checksums are complete; the stack keeps nothing of it. It reports why the
// packet did not leave, if that is known at once. What a hook does with it is a
// loss on the way, of which the sender is not told.
func (s *Stack) output(now int64, p *vfp.Packet, zone string) error {
	from, dst := p.Meta.Src(p.Bytes()), p.Meta.Dst(p.Bytes())
	out, next, src, ok := s.wayOut(inZone(dst, zone), from)
	if f := s.cfg.Hooks.Output; ok && f != nil {
		switch v := f(now, out, src, p); v.kind {
		case drop:
			s.drop(now, "output", v.reason, p)
			return nil
		case stolen:
			return nil
		}
		if d := p.Meta.Dst(p.Bytes()); d != dst {
			out, next, _, ok = s.wayOut(inZone(d, zone), from)
		}
	}
	if !ok {
		s.drop(now, "output", vfp.DropNoRoute, p)
		return ErrUnreachable
	}
	return s.send(now, out, next, p, "output")
}

// inZone binds a link-local address to a link; other addresses have none.
func inZone(a netip.Addr, zone string) netip.Addr {
	if a.Is6() && (a.IsLinkLocalUnicast() || a.IsLinkLocalMulticast()) {
		return a.WithZone(zone)
	}
	return a
}

var limitedBroadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// wayOut is RouteTo for packets that begin here. Broadcasts and multicasts
// leave through the interface of their zone, else through the one that has the
// source address, else that of the default route, else the first.
func (s *Stack) wayOut(dst, from netip.Addr) (out *Interface, next, src netip.Addr, ok bool) {
	if !dst.IsMulticast() && dst != limitedBroadcast {
		return s.RouteTo(dst)
	}
	if dst.Zone() != "" {
		out = s.Interface(dst.Zone())
	}
	if i := s.own[from]; out == nil && i != nil && i.Up() && !i.lo {
		out = i
	}
	if r := s.lookup(netip.IPv4Unspecified(), 0); out == nil && r != nil && dst.Is4() {
		out = r.out
	}
	for _, i := range s.ifaces {
		if out == nil && i.Up() {
			out = i
		}
	}
	if out == nil {
		return nil, next, src, false
	}
	return out, dst.WithZone(""), out.addrFor(dst), true
}

// send takes a packet whose way is known to the link: in fragments if it must
// and may, with the Ethernet header for the next hop. Pieces share the
// packet's identity. Routers must not come here with IPv6 packets that are too
// long: only senders cut those.
func (s *Stack) send(now int64, out *Interface, next netip.Addr, p *vfp.Packet, where string) error {
	if out.lo {
		s.loop(now, p)
		return nil
	}
	if p.Meta.L3Len() <= out.cfg.MTU {
		s.sendTo(now, out, next, p.Bytes(), held{id: p.ID, send: out.transmit})
		return nil
	}
	s.ipID6++
	pieces, ok := wire.Fragment(p.Bytes(), out.cfg.MTU, s.ipID6)
	if !ok {
		s.drop(now, where, vfp.DropFragNeeded, p)
		return ErrMessageSize
	}
	for _, f := range pieces {
		s.sendTo(now, out, next, f, held{id: p.ID, send: out.transmit})
	}
	return nil
}

// loop delivers a packet to the stack itself: later, as a link would, so that
// two ends in one stack do not call each other in circles. It never leaves the
// stack (rule CMP-05).
func (s *Stack) loop(now int64, p *vfp.Packet) {
	q := s.get(p.Bytes(), p.ID)
	s.cfg.Timers.After(0, func(now int64) {
		defer s.put(q)
		q.Parse()
		s.deliver(now, s.lo, q)
	})
}
