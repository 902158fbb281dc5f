package fabric

import (
	"net/netip"

	"github.com/hnsim/hnsim/sim/fabric/ipstack"
	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/winnat"
	"github.com/hnsim/hnsim/sim/wire"
)

// natOwner is WinNAT's name in the port space.
const natOwner = 1

// socketPorts lets the host's sockets take part in the port space (NAT-16).
type socketPorts struct {
	space *vfp.PortSpace
	gone  bool // the stack died in a reboot: what it still lets go is not its own
}

// socketOwner marks ports that a socket holds; endpoints' owners are their
// ports, which begin at 100.
const socketOwner = 2

func (p *socketPorts) Take(proto uint8, _ netip.Addr, port uint16) error {
	switch p.space.Reserve(proto, port, vfp.Socket, socketOwner) {
	case vfp.Free:
		return nil
	case vfp.Socket:
		return ipstack.ErrInUse
	}
	return ipstack.ErrAccess
}

func (p *socketPorts) Next(proto uint8, _ netip.Addr) (uint16, error) {
	port, ok := p.space.ReservePick(proto, vfp.Socket, socketOwner)
	if !ok {
		return 0, ipstack.ErrNoBuffers
	}
	return port, nil
}

func (p *socketPorts) Release(proto uint8, _ netip.Addr, port uint16) {
	if !p.gone {
		p.space.Release(proto, port, socketOwner)
	}
}

// hooks puts WinNAT and the host's own use of published ports into the routed
// path of compartment 1 (rules NAT-01, NAT-10, NAT-30, NAT-36, NAT-37).
func (h *Host) hooks() ipstack.Hooks {
	return ipstack.Hooks{
		PreRouting: func(now int64, in *ipstack.Interface, p *vfp.Packet) ipstack.Verdict {
			if h.local.restore(now, p) || h.prog.NAT == nil {
				return ipstack.Accept()
			}
			inside := h.inside(in)
			if inside && p.Meta.IsIPv6 {
				return ipstack.DropWith(vfp.DropNatNoIPv6) // rule NAT-07
			}
			dst := p.Meta.Dst(p.Bytes())
			if !h.owns(dst) {
				return ipstack.Accept()
			}
			if inside {
				return h.verdict(now, in, p, h.nat.Hairpin(now, p), false)
			}
			return h.verdict(now, in, p, h.nat.Inbound(now, p, dst), true)
		},
		PostRouting: func(now int64, in, out *ipstack.Interface, src netip.Addr, p *vfp.Packet) ipstack.Verdict {
			if h.prog.NAT == nil || !h.inside(in) || !h.internal(p.Meta.Src(p.Bytes())) {
				return ipstack.Accept()
			}
			if h.inside(out) {
				if in == out {
					return ipstack.Accept()
				}
				return ipstack.DropWith(vfp.DropNotForwarding) // no way between nat networks (rule NAT-04)
			}
			return h.verdict(now, in, p, h.nat.Outbound(now, p, src), false)
		},
		Forwarding: func(now int64, in, out *ipstack.Interface, src netip.Addr, p *vfp.Packet) bool {
			switch {
			case h.local != nil && len(h.local.open) > 0:
				return false
			case h.prog.NAT == nil || !h.inside(in) || !h.internal(p.Meta.Src(p.Bytes())):
				return true
			case h.inside(out):
				return false
			}
			return h.nat.Forward(now, p, src)
		},
		Output: func(now int64, _ *ipstack.Interface, _ netip.Addr, p *vfp.Packet) ipstack.Verdict {
			if h.local.redirect(now, p) || h.prog.NAT == nil {
				return ipstack.Accept()
			}
			dst := p.Meta.Dst(p.Bytes())
			if !dst.IsLoopback() && !h.owns(dst) {
				return ipstack.Accept()
			}
			return h.verdict(now, nil, p, h.nat.HostOutbound(now, p), false)
		},
	}
}

// natSide reports whether an interface is the host vNIC of a nat network.
func (h *Host) natSide(i *ipstack.Interface) bool {
	for _, a := range i.Addrs() {
		if h.internal(a.Addr()) {
			return true
		}
	}
	return false
}

// insideMemo is an answer of natSide.
type insideMemo struct {
	iface *ipstack.Interface
	epoch uint64
	prog  *HostProgram
	is    bool
}

// inside is natSide, remembered for two interfaces.
func (h *Host) inside(i *ipstack.Interface) bool {
	epoch := h.Stack().Epoch()
	for n := range h.insides {
		if m := &h.insides[n]; m.iface == i && m.epoch == epoch && m.prog == h.prog {
			return m.is
		}
	}
	h.insides[0], h.insides[1] = insideMemo{i, epoch, h.prog, h.natSide(i)}, h.insides[0]
	return h.insides[0].is
}

func (h *Host) internal(a netip.Addr) bool {
	if h.prog.NAT == nil {
		return false
	}
	for _, n := range h.prog.NAT.Internal {
		if n.Prefix.Contains(a) {
			return true
		}
	}
	return false
}

// owns reports whether a is an address of the host's compartment.
func (h *Host) owns(a netip.Addr) bool { return h.Stack().Owns(a) }

// verdict tells the stack what WinNAT decided. Fragments that the packet set
// free follow it; those that came from outside have not been routed yet and
// owe a hop (rules NAT-17, NAT-50, NAT-51).
func (h *Host) verdict(now int64, in *ipstack.Interface, p *vfp.Packet, r winnat.Result, inbound bool) ipstack.Verdict {
	for _, f := range r.Released {
		if inbound {
			wire.DecTTL(f.Bytes(), &f.Meta, 1)
		}
		h.net.Loop.PostFunc(now, h.cfg.Name+"/winnat", func(now int64) { h.Stack().InjectForward(now, in, f) })
	}
	switch r.Verdict {
	case winnat.Dropped:
		return ipstack.DropWith(r.Drop)
	case winnat.Queued:
		h.armNAT(now)
		return ipstack.Stolen()
	}
	return ipstack.Accept()
}

// armNAT wakes WinNAT when something that it holds runs out: fragments that
// wait for a first one which never comes (rule NAT-50).
func (h *Host) armNAT(now int64) {
	at, ok := h.nat.NextTimeout()
	if !ok || h.natTimer {
		return
	}
	h.natTimer = true
	h.net.Loop.After(durationUntil(now, at), func(now int64) {
		h.natTimer = false
		for _, p := range h.nat.Tick(now) {
			h.net.dropAt(now, h.cfg.Name, "winnat", p.Reason, p.Bytes(), p.ID)
		}
		h.armNAT(now)
	})
}
