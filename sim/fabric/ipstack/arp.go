package ipstack

import (
	"net/netip"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// arpInput follows RFC 826: an existing entry for the sender is updated by
// requests and replies alike, also gratuitous ones; a new entry is made only
// when the request asks for one of our addresses.
func (s *Stack) arpInput(now int64, in *Interface, p *vfp.Packet) {
	a, _ := wire.ARPOf(p.Bytes(), &p.Meta)
	if in.hasAddr(a.SenderAddr()) {
		return // somebody claims our address, or our own frame came back
	}
	asked := a.Op() == wire.ARPRequest && in.hasAddr(a.TargetAddr())
	s.learn(now, in, a.SenderAddr(), a.SenderMAC(), asked)
	if asked {
		in.transmit(now, a.Answer(in.cfg.MAC), s.newID())
	}
}

func (s *Stack) sendARPRequest(now int64, out *Interface, sender, target netip.Addr) {
	f := wire.Frame{
		EthDst: wire.Broadcast, EthSrc: out.cfg.MAC,
		ARP: &wire.ARPFields{SenderMAC: out.cfg.MAC, SenderIP: sender, TargetIP: target},
	}
	out.transmit(now, f.Bytes(), s.newID())
}

// Announce tells the link about the interface's addresses: gratuitous ARP
// requests and unsolicited neighbour advertisements.
func (s *Stack) Announce(now int64, i *Interface) {
	for _, p := range i.Addrs() {
		if a := p.Addr(); a.Is4() {
			s.sendARPRequest(now, i, a, a)
		} else {
			s.sendNA(now, i, a, netip.Addr{})
		}
	}
}
