package hcntest

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/hnsim/hnsim/sim/fabric/ipstack"
	"github.com/hnsim/hnsim/sim/wire"
)

// arrival is a packet that an IP stack got.
type arrival struct {
	where  string
	packet string
	proto  uint8
	to     netip.AddrPort
}

// arrived remembers the last packet for one machine: without a drop it is the
// only witness of how far a question came.
func (l *Lab) arrived(_ int64, node, iface string, frame []byte, _ uint64) {
	var m wire.Meta
	if wire.Parse(frame, &m) != wire.OK || !m.IsIP() || wire.Ethernet(frame).Dst().IsMulticast() {
		return
	}
	a := &arrival{where: node + ", " + iface, packet: wire.Summary(frame), proto: m.Proto, to: netip.AddrPortFrom(m.Dst(frame), 0)}
	switch {
	case m.Proto == wire.ProtoTCP && m.L4 > 0:
		a.to = netip.AddrPortFrom(a.to.Addr(), wire.TCP(frame[m.L4:m.End]).DstPort())
	case m.Proto == wire.ProtoUDP && m.L4 > 0:
		a.to = netip.AddrPortFrom(a.to.Addr(), wire.UDP(frame[m.L4:m.End]).DstPort())
	}
	l.last = a
}

// lastArrival tells of the last packet, and whether anybody listens there.
func (l *Lab) lastArrival() string {
	a := l.last
	if a == nil {
		return ""
	}
	text := fmt.Sprintf("%s: %s", a.where, a.packet)
	name := map[uint8]string{wire.ProtoTCP: "tcp", wire.ProtoUDP: "udp"}[a.proto]
	if name == "" {
		return text
	}
	for _, p := range l.machines() {
		if p.addr != a.to.Addr() {
			continue
		}
		if st, err := p.stack(); err == nil && !listens(st, a.proto, a.to) {
			return fmt.Sprintf("%s\n    nobody listens on %s %d there", text, name, a.to.Port())
		}
	}
	return text
}

// machines are all pods that there are.
func (l *Lab) machines() []*Pod {
	list := []*Pod{l.ext}
	for _, h := range l.hosts {
		list = append(list, h.self)
		for _, p := range h.pods {
			list = append(list, p)
		}
	}
	return list
}

// listens reports whether a datagram or a new connection would be taken.
func listens(st *ipstack.Stack, proto uint8, at netip.AddrPort) bool {
	return slices.ContainsFunc(st.Sockets(), func(s ipstack.SocketInfo) bool {
		return s.Proto == proto && s.Local.Port() == at.Port() && (!s.Local.Addr().IsValid() || s.Local.Addr() == at.Addr()) &&
			(proto == wire.ProtoUDP || s.State == ipstack.StateListen)
	})
}
