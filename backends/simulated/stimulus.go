package simulated

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/fabric/ipstack"
	"github.com/hnsim/hnsim/sim/wire"
)

// defaultTimeout is the virtual time that a connection or an echo gets.
const defaultTimeout = 3 * time.Second

// Do carries out a stimulus.
func (w *world) Do(_ context.Context, s backends.Stimulus) (backends.Outcome, error) {
	if s.Kind == backends.SendFrame {
		return w.sendFrame(s)
	}
	st, err := w.stack(s.Role)
	if err != nil {
		return backends.Outcome{}, err
	}
	var out backends.Outcome
	switch s.Kind {
	case backends.SendPacket:
		out, err = w.sendAll(st, s)
	case backends.TCPConnect:
		return w.connect(st, s)
	case backends.Ping:
		return w.ping(st, s)
	case backends.Listen:
		out, err = w.listen(st, s)
	case backends.Bind:
		out, err = w.bind(st, s)
	case backends.ARPProbe:
		return w.probe(st, s)
	case backends.DHCPStart:
		return w.dhcp(st, s)
	default:
		return out, usage("unknown stimulus %q", s.Kind)
	}
	if err != nil {
		return out, err
	}
	return out, w.settle()
}

func (w *world) now() int64 { return w.sim.Loop().Now() }

// sendAll sends as many equal packets as the stimulus wants.
func (w *world) sendAll(st *ipstack.Stack, s backends.Stimulus) (out backends.Outcome, err error) {
	for i := range max(s.Count, 1) {
		if i > 0 && s.Every > 0 {
			if err := w.runaway(w.sim.Loop().Advance(s.Every)); err != nil {
				return out, err
			}
		}
		if out, err = w.send(st, s); err != nil || !out.OK {
			return out, err
		}
	}
	return out, nil
}

// send makes one packet of the stimulus and gives it to the role's stack.
// That the stack cannot send it is an outcome: no route is an answer too.
func (w *world) send(st *ipstack.Stack, s backends.Stimulus) (backends.Outcome, error) {
	plan := ipstack.FragmentPlan{Sizes: s.Fragments, Order: s.FragmentOrder}
	if s.Proto == "udp" {
		id, local, err := st.SendUDP(w.now(), ipstack.UDPOptions{
			Src: s.Src, Dst: s.Dst, Payload: s.Payload, TTL: s.TTL, TOS: s.TOS, DF: s.DF,
			IPID: s.IPID, NoChecksum: s.NoChecksum, Fragments: plan,
		})
		return sent(id, local, err), nil
	}
	src := s.Src.Addr()
	if !src.IsValid() {
		_, _, a, ok := st.RouteTo(s.Dst.Addr())
		if !ok {
			return backends.Outcome{Detail: "no route to " + s.Dst.Addr().String()}, nil
		}
		src = a
	}
	w.ipID++
	local := netip.AddrPortFrom(src, s.Src.Port())
	f, err := s.Packet(local, w.ipID)
	if err != nil {
		return backends.Outcome{}, err
	}
	b, err := f.Build()
	if err != nil {
		return backends.Outcome{}, usage("send: %v", err)
	}
	id, err := st.SendIP(w.now(), b[wire.EthernetLen:], plan)
	return sent(id, local, err), nil
}

func sent(id uint64, local netip.AddrPort, err error) backends.Outcome {
	if err != nil {
		return backends.Outcome{ID: id, Local: local, Detail: err.Error()}
	}
	return backends.Outcome{OK: true, ID: id, Local: local}
}

// sendFrame puts raw bytes on a role's link: out of its NIC, or, OnWire, into
// it from outside. Broken checksums are then on purpose.
func (w *world) sendFrame(s backends.Stimulus) (backends.Outcome, error) {
	id := w.sim.Loop().NextID()
	w.rec.injectedOnPurpose(id, s.Frame)
	nd := w.nodes[s.Role]
	if s.OnWire || nd != nil && nd.host == nil {
		if nd == nil {
			return backends.Outcome{}, usage("frame -wire: %q is no host, router or external machine", s.Role)
		}
		if s.OnWire {
			nd.nics[0].Inject(w.now(), s.Frame, id)
		} else {
			nd.nics[0].Send(w.now(), s.Frame, id)
		}
		return backends.Outcome{OK: true, ID: id}, w.settle()
	}
	if err := w.fromPort(s.Role, s.Frame, id); err != nil {
		return backends.Outcome{}, err
	}
	return backends.Outcome{OK: true, ID: id}, w.settle()
}

// fromPort sends a frame as if the role's own (first) virtual NIC did.
func (w *world) fromPort(role string, frame []byte, id uint64) error {
	if nd := w.nodes[role]; nd != nil {
		if nd.host.Transmit(1, "", frame, id) {
			return nil
		}
		nd.nics[0].Send(w.now(), frame, id)
		return nil
	}
	c := w.containers[role]
	if c == nil {
		return usage("no role %q", role)
	}
	comp := w.compartment(c)
	if comp != nil && c.host.Transmit(comp.ID, "", frame, id) {
		return nil
	}
	for _, ep := range endpointsOf(c) {
		if sw, port, ok := c.host.EndpointPort(ep); ok && c.host.TransmitPort(sw, port, frame, id) {
			return nil
		}
	}
	return usage("container %s has no interface to send from", role)
}

// connect dials, sends the payload, reads until the peer has answered or
// closed, and closes.
func (w *world) connect(st *ipstack.Stack, s backends.Stimulus) (backends.Outcome, error) {
	var established, closed bool
	var got []byte
	c, err := st.DialAs(w.now(), s.Account, s.Src, s.Dst, func(now int64, c *ipstack.Conn, e ipstack.Event) {
		switch e {
		case ipstack.EventConnected:
			established = true
			if len(s.Payload) > 0 {
				_, _ = c.Write(now, s.Payload)
			}
		case ipstack.EventData:
			got = append(got, c.Take(now)...)
		case ipstack.EventPeerClosed, ipstack.EventClosed:
			closed = true
		}
	})
	if err != nil {
		return backends.Outcome{Detail: detail(err)}, nil
	}
	want := len(s.Payload) > 0
	done := func() bool { return closed || c.Err() != nil || established && (!want || len(got) > 0) }
	if err := w.until(s.Timeout, done); err != nil {
		return backends.Outcome{}, err
	}
	out := backends.Outcome{Local: c.Local}
	switch {
	case c.Err() != nil:
		out.Detail = detail(c.Err())
	case !established:
		out.Detail = "timeout"
	case want && len(got) == 0:
		out.Detail = "no answer"
	default:
		out.OK, out.Detail = true, "connected"
	}
	if out.OK {
		c.Close(w.now())
	} else {
		c.Abort(w.now())
	}
	err = w.settle()
	out.Received = got // a long answer is not there at once
	return out, err
}

// detail is the short form of a socket error.
func detail(err error) string {
	var se *ipstack.SocketError
	if errors.As(err, &se) {
		switch se {
		case ipstack.ErrRefused:
			return "refused"
		case ipstack.ErrTimedOut:
			return "timeout"
		}
		return se.Error()
	}
	return err.Error()
}

// until lets virtual time pass until done, at most the timeout.
func (w *world) until(timeout time.Duration, done func() bool) error {
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	_, err := w.sim.Loop().RunUntil(w.now()+int64(timeout), done)
	return w.runaway(err)
}

func (w *world) ping(st *ipstack.Stack, s backends.Stimulus) (backends.Outcome, error) {
	e, err := st.Ping(w.now(), ipstack.PingOptions{
		Src: s.Src.Addr(), Dst: s.Dst.Addr(), ID: s.ICMPID, Seq: s.ICMPSeq,
		Payload: s.Payload, TTL: s.TTL, DF: s.DF, TOS: s.TOS,
	})
	if err != nil {
		return backends.Outcome{Detail: detail(err)}, nil
	}
	if err := w.until(s.Timeout, func() bool { return e.Done }); err != nil {
		return backends.Outcome{}, err
	}
	out := backends.Outcome{OK: e.OK, ID: e.PacketID, Detail: "reply"}
	switch {
	case !e.Done:
		st.GiveUp(e)
		out.Detail = "timeout"
	case !e.OK:
		out.Detail = fmt.Sprintf("icmp type %d code %d from %s", e.Error.Type, e.Error.Code, e.From)
	}
	return out, w.settle()
}

func number(proto string) (uint8, error) {
	if proto != "tcp" && proto != "udp" {
		return 0, usage("protocol %q has no ports: expected tcp or udp", proto)
	}
	return protoNumber(proto)
}

func (w *world) listen(st *ipstack.Stack, s backends.Stimulus) (backends.Outcome, error) {
	proto, err := number(s.Proto)
	if err != nil {
		return backends.Outcome{}, err
	}
	h := ipstack.EchoHandler()
	if s.Reply != nil {
		h = ipstack.AnswerHandler(s.Reply)
	}
	port, err := st.Listen(proto, s.Src.Addr(), s.Src.Port(), h)
	if err == nil {
		w.sockets[socketKey(s.Role, proto, port)] = func() { st.CloseSocket(proto, s.Src.Addr(), port) }
	}
	return bound(s.Src, port, err), nil
}

// socketKey names what holds a port, for the setting socket.
func socketKey(role string, proto uint8, port uint16) string {
	return role + "/" + strconv.Itoa(int(proto)) + "/" + strconv.Itoa(int(port))
}

func (w *world) bind(st *ipstack.Stack, s backends.Stimulus) (backends.Outcome, error) {
	proto, err := number(s.Proto)
	if err != nil {
		return backends.Outcome{}, err
	}
	port, err := st.Bind(proto, s.Src.Addr(), s.Src.Port())
	return bound(s.Src, port, err), nil
}

func bound(at netip.AddrPort, port uint16, err error) backends.Outcome {
	if err != nil {
		return backends.Outcome{Detail: err.Error()}
	}
	return backends.Outcome{OK: true, Local: netip.AddrPortFrom(at.Addr(), port)}
}

// bind holds a port and returns what lets it go.
func bind(st *ipstack.Stack, proto uint8, at netip.AddrPort) (release func(), err error) {
	port, err := st.Bind(proto, at.Addr(), at.Port())
	if err != nil {
		return nil, err
	}
	return func() { st.CloseSocket(proto, at.Addr(), port) }, nil
}
