package ipstack

import (
	"fmt"
	"net/netip"
	"sort"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// Handler serves a port. Datagram is for UDP, Stream for TCP.
type Handler struct {
	// Datagram takes a datagram and returns the answer, nil for none. payload
	// is valid during the call only.
	Datagram func(now int64, from, to netip.AddrPort, payload []byte) []byte
	// Stream hears of everything that happens to an accepted connection.
	Stream func(now int64, c *Conn, e Event)
}

// EchoHandler answers with what it got.
func EchoHandler() Handler { return replier(func(b []byte) []byte { return b }, false) }

// AnswerHandler answers every datagram, and what a connection brings first,
// with reply.
func AnswerHandler(reply []byte) Handler {
	reply = append([]byte(nil), reply...)
	return replier(func([]byte) []byte { return reply }, true)
}

// replier closes a connection when its peer does. A full buffer loses an
// answer: its reader must have stopped long ago.
func replier(reply func([]byte) []byte, once bool) Handler {
	return Handler{
		Datagram: func(_ int64, _, _ netip.AddrPort, payload []byte) []byte { return reply(payload) },
		Stream: func(now int64, c *Conn, e Event) {
			switch e {
			case EventData:
				if b := c.Take(now); !once || !c.answered {
					c.answered = true
					_, _ = c.Write(now, reply(b))
				}
			case EventPeerClosed:
				c.Close(now)
			}
		},
	}
}

type portKey struct {
	proto uint8
	port  uint16
}

// socket is a bound port; with a handler it is served.
type socket struct {
	addr    netip.Addr // zero: all addresses
	port    uint16
	proto   uint8
	handler *Handler
}

// maxSockets bounds the bound ports of a stack.
const maxSockets = 65536

// Bind holds a port without serving it. addr may be invalid or unspecified:
// all addresses.
func (s *Stack) Bind(proto uint8, addr netip.Addr, port uint16) (uint16, error) {
	return s.bind(proto, addr, port, nil)
}

// Listen holds a port and serves it. Port 0 takes the next ephemeral one; the
// port is returned.
func (s *Stack) Listen(proto uint8, addr netip.Addr, port uint16, h Handler) (uint16, error) {
	return s.bind(proto, addr, port, &h)
}

func (s *Stack) bind(proto uint8, addr netip.Addr, port uint16, h *Handler) (uint16, error) {
	if proto != wire.ProtoTCP && proto != wire.ProtoUDP {
		return 0, fmt.Errorf("stack %s: protocol %d has no ports", s.cfg.Name, proto)
	}
	addr = anyAddr(addr)
	if addr.IsValid() && !s.isOwn(addr) {
		return 0, ErrNotAvailable
	}
	if len(s.sockets) >= maxSockets {
		return 0, ErrNoBuffers
	}
	var err error
	if port == 0 {
		port, err = s.space.Next(proto, addr)
	} else {
		err = s.space.Take(proto, addr, port)
	}
	if err != nil {
		return 0, err
	}
	k := portKey{proto, port}
	s.sockets[k] = append(s.sockets[k], &socket{addr: addr, port: port, proto: proto, handler: h})
	return port, nil
}

// CloseSocket gives a bound port back. Connections that it accepted live on.
func (s *Stack) CloseSocket(proto uint8, addr netip.Addr, port uint16) {
	k, addr := portKey{proto, port}, anyAddr(addr)
	for i, o := range s.sockets[k] {
		if o.addr != addr {
			continue
		}
		s.space.Release(proto, addr, port)
		if s.sockets[k] = append(s.sockets[k][:i:i], s.sockets[k][i+1:]...); len(s.sockets[k]) == 0 {
			delete(s.sockets, k)
		}
		return
	}
}

// socketFor finds the socket with a handler for a destination: one bound to
// the address goes before one bound to all.
func (s *Stack) socketFor(proto uint8, addr netip.Addr, port uint16) *socket {
	var any *socket
	for _, o := range s.sockets[portKey{proto, port}] {
		switch {
		case o.handler == nil:
		case o.addr == addr:
			return o
		case !o.addr.IsValid():
			any = o
		}
	}
	return any
}

// SocketInfo is one line of netstat.
type SocketInfo struct {
	Proto  uint8
	Local  netip.AddrPort // the address is invalid for all
	Remote netip.AddrPort // connections only
	State  State          // StateListen, StateClosed for bound or UDP ports
}

// Sockets lists bound ports and connections, ordered by protocol and address.
func (s *Stack) Sockets() []SocketInfo {
	var out []SocketInfo
	for _, list := range s.sockets {
		for _, o := range list {
			i := SocketInfo{Proto: o.proto, Local: netip.AddrPortFrom(o.addr, o.port)}
			if o.proto == wire.ProtoTCP && o.handler != nil {
				i.State = StateListen
			}
			out = append(out, i)
		}
	}
	for _, c := range s.conns {
		out = append(out, SocketInfo{wire.ProtoTCP, c.Local, c.Remote, c.state})
	}
	sort.Slice(out, func(i, j int) bool {
		a, b := &out[i], &out[j]
		if a.Proto != b.Proto {
			return a.Proto < b.Proto
		}
		if c := a.Local.Compare(b.Local); c != 0 {
			return c < 0
		}
		return a.Remote.Compare(b.Remote) < 0
	})
	return out
}

// UDPOptions describe a datagram.
type UDPOptions struct {
	Src        netip.AddrPort // address invalid: the stack's choice; port 0: the next ephemeral one
	Dst        netip.AddrPort
	Payload    []byte
	TTL        uint8
	TOS        uint8
	DF         bool
	IPID       uint16
	NoChecksum bool // IPv4 only
	Fragments  FragmentPlan
}

// SendUDP sends a datagram and returns its identity and the local address that
// it was sent from. The port is not bound: any role may send from any port,
// but a chosen one is free at that moment.
func (s *Stack) SendUDP(now int64, o UDPOptions) (id uint64, local netip.AddrPort, err error) {
	src, err := s.source(o.Src.Addr(), o.Dst.Addr())
	if err != nil {
		return 0, local, err
	}
	port := o.Src.Port()
	if port == 0 {
		if port, err = s.space.Next(wire.ProtoUDP, src); err != nil {
			return 0, local, err
		}
		s.space.Release(wire.ProtoUDP, src, port)
	}
	f := &wire.Frame{
		IP: &wire.IPFields{
			Src: src, Dst: o.Dst.Addr().WithZone(""), TTL: o.TTL, TOS: o.TOS, DF: o.DF && src.Is4(),
			ID: uint32(o.IPID),
		},
		UDP:     &wire.UDPFields{SrcPort: port, DstPort: o.Dst.Port(), NoChecksum: o.NoChecksum && src.Is4()},
		Payload: o.Payload,
	}
	id, err = s.emit(now, f, sending{zone: o.Dst.Addr().Zone(), plan: o.Fragments})
	return id, netip.AddrPortFrom(src, port), err
}

// SendIP sends a complete IP packet, without Ethernet header, as it is: by
// route and neighbour, with whatever it says as source. plan may be zero.
func (s *Stack) SendIP(now int64, pkt []byte, plan FragmentPlan) (uint64, error) {
	b := append(make([]byte, wire.EthernetLen, wire.EthernetLen+len(pkt)), pkt...)
	etherType := uint16(wire.EtherTypeIPv4)
	if len(pkt) > 0 && pkt[0]>>4 == 6 {
		etherType = wire.EtherTypeIPv6
	}
	wire.Ethernet(b).SetType(etherType)
	p := s.get(b, s.newID())
	defer s.put(p)
	if perr := p.Parse(); !p.Meta.IsIP() {
		return 0, fmt.Errorf("stack %s: not an IP packet: %v", s.cfg.Name, perr)
	}
	p.TrimTo(p.Meta.End)
	if plan.Sizes != nil {
		return p.ID, s.outputPlanned(now, p, sending{plan: plan})
	}
	return p.ID, s.output(now, p, "")
}

// udpInput gives a datagram to its socket, or says that there is none.
func (s *Stack) udpInput(now int64, in *Interface, p *vfp.Packet) {
	b, m := p.Bytes(), &p.Meta
	udp := wire.UDP(b[m.L4:m.End])
	from := netip.AddrPortFrom(m.Src(b), udp.SrcPort())
	to := netip.AddrPortFrom(m.Dst(b), udp.DstPort())
	if s.dhcpInput(now, in, to.Port(), udp.Payload()) {
		return
	}
	o := s.socketFor(wire.ProtoUDP, to.Addr(), to.Port())
	switch {
	case o == nil && s.cfg.Refuse && s.isOwn(to.Addr()) && !in.lo:
		s.report(now, in, p, func(r wire.Reporter, f []byte, m *wire.Meta) []byte {
			return r.Unreachable(f, m, wire.PortUnreachable)
		})
	case o == nil || o.handler.Datagram == nil:
	default:
		if reply := o.handler.Datagram(now, from, to, udp.Payload()); reply != nil && s.isOwn(to.Addr()) {
			_, _, _ = s.SendUDP(now, UDPOptions{ // a lost answer is a lost datagram
				Src: to, Dst: netip.AddrPortFrom(from.Addr().WithZone(in.zoneOf(from.Addr())), from.Port()), Payload: reply,
			})
		}
	}
}

// zoneOf is the zone that an address seen on the interface needs.
func (i *Interface) zoneOf(a netip.Addr) string {
	if a.Is6() && a.IsLinkLocalUnicast() {
		return i.zone()
	}
	return ""
}
