package ipstack

import (
	"net/netip"
	"time"

	"github.com/hnsim/hnsim/sim/wire"
)

// State is a TCP connection's state (RFC 9293).
type State uint8

const (
	StateClosed State = iota
	StateListen       // of sockets, never of connections
	StateSynSent
	StateSynReceived
	StateEstablished
	StateFinWait1
	StateFinWait2
	StateCloseWait
	StateClosing
	StateLastAck
	StateTimeWait
)

func (s State) String() string {
	return [...]string{
		"CLOSED", "LISTENING", "SYN_SENT", "SYN_RECEIVED", "ESTABLISHED", "FIN_WAIT_1", "FIN_WAIT_2",
		"CLOSE_WAIT", "CLOSING", "LAST_ACK", "TIME_WAIT",
	}[s]
}

// Event is something that happened to a connection.
type Event uint8

const (
	EventConnected  Event = iota // the handshake is done
	EventData                    // there is something to Take
	EventPeerClosed              // the peer sends no more
	EventClosed                  // it is over; Conn.Err says how
)

// The fixed parameters of this TCP. Windows' own differ in that they adapt;
// these keep the time of every retransmission predictable.
const (
	tcpWindow      = 65535
	tcpRTO         = time.Second       // doubled for every retransmission in a row
	tcpRetries     = 5                 // retransmissions of one segment; then the connection dies
	tcpFinWait2    = 120 * time.Second // TcpFinWait2Delay: without a word from the peer
	tcpInitialCwnd = 10                // segments
	tcpDupAcks     = 3
	tcpMinMSS      = 88
	tcpDefaultMSS  = 536 // of a peer that does not say (RFC 9293)

	maxConns    = 16384
	maxBuffered = 64 << 20 // bytes of a connection, per direction
)

type connKey struct{ local, remote netip.AddrPort }

// Conn is one TCP connection. What is received waits in it until it is taken;
// there is nothing to wait for but the caller's own event loop.
type Conn struct {
	Local, Remote netip.AddrPort
	// Asked is what Dial was asked for: another address than Remote's if the
	// connection was redirected (rule PX-03). Of accepted connections it is
	// Remote.
	Asked netip.AddrPort

	s        *Stack
	zone     string
	owner    *portOwner // of the local port; nil for accepted connections
	handler  func(now int64, c *Conn, e Event)
	answered bool // AnswerHandler's memory
	passive  bool
	state    State
	err      error
	icmp     *ICMPError

	sender
	receiver

	timer    Timer // one for everything; it sleeps until deadline at the latest
	deadline int64 // 0: nothing to wait for
	armed    int64 // when timer fires
	tries    int
}

// sender is the half that has something to say. Sequence numbers run from iss,
// which the SYN has; out[0] has base; the FIN follows the last byte.
type sender struct {
	iss, una, nxt, max uint32 // max: one past the highest sent; nxt falls back when a timer fires
	base               uint32
	out                []byte // not acknowledged yet, sent or not
	fin                bool   // close after out
	wnd                int    // the peer's window
	mss                int
	cwnd, ssthresh     int
	dups               int
	recovery           bool
	recover            uint32 // until this is acknowledged
}

// receiver is the half that listens.
type receiver struct {
	rcvNxt uint32
	in     []byte    // in order, not taken yet
	early  []segment // out of order, by sequence; they may overlap
	held   int       // bytes in early
	ackDue bool
	// challenges counts the acknowledgements since challengedAt that answered
	// what did not fit.
	challenges   int
	challengedAt int64
	peerFin      bool // the peer's FIN has come, in order
}

// segment is the part of a TCP segment that outlives its packet.
type segment struct {
	seq  uint32
	data []byte
	fin  bool
}

// Dial starts a connection. src's address may be invalid and its port 0: the
// stack chooses. Progress shows in State, or in the handler, which may be nil.
func (s *Stack) Dial(now int64, src, dst netip.AddrPort, handler func(now int64, c *Conn, e Event)) (*Conn, error) {
	return s.DialAs(now, "", src, dst, handler)
}

// DialAs is Dial for an account, which decides whether a Redirector redirects.
func (s *Stack) DialAs(now int64, account string, src, dst netip.AddrPort, handler func(now int64, c *Conn, e Event)) (*Conn, error) {
	addr, err := s.source(src.Addr(), dst.Addr())
	if err != nil {
		return nil, err
	}
	if !s.isOwn(addr) {
		return nil, ErrNotAvailable
	}
	if len(s.conns) >= maxConns {
		return nil, ErrNoBuffers
	}
	owner, err := s.claim(addr, src.Port())
	if err != nil {
		return nil, err
	}
	asked := netip.AddrPortFrom(dst.Addr().WithZone(""), dst.Port())
	k := connKey{netip.AddrPortFrom(addr, owner.claim.port), asked}
	if s.redirect != nil {
		k.remote = s.redirect.Connect(account, k.local, asked)
	}
	if old := s.conns[k]; old != nil {
		if old.state != StateTimeWait {
			s.unclaim(owner)
			return nil, ErrInUse
		}
		old.finish(now, nil) // as Windows does for an explicit port
	}
	c := s.newConn(k, dst.Addr().Zone(), handler)
	c.owner, c.Asked = owner, asked
	c.state = StateSynSent
	c.transmit(now)
	return c, nil
}

// portOwner counts the connections that share a claimed port.
type portOwner struct {
	claim portClaim
	users int
}

// claim takes a local port for a connection. Connections of one explicit port
// share it: they differ in their peers.
func (s *Stack) claim(addr netip.Addr, port uint16) (*portOwner, error) {
	if port == 0 {
		port, err := s.space.Next(wire.ProtoTCP, addr)
		if err != nil {
			return nil, err
		}
		o := &portOwner{portClaim{wire.ProtoTCP, addr, port}, 1}
		s.owners[o.claim] = o
		return o, nil
	}
	k := portClaim{wire.ProtoTCP, addr, port}
	if o := s.owners[k]; o != nil {
		o.users++
		return o, nil
	}
	if err := s.space.Take(wire.ProtoTCP, addr, port); err != nil {
		return nil, err
	}
	o := &portOwner{k, 1}
	s.owners[k] = o
	return o, nil
}

func (s *Stack) unclaim(o *portOwner) {
	if o == nil {
		return
	}
	if o.users--; o.users == 0 {
		delete(s.owners, o.claim)
		s.space.Release(o.claim.proto, o.claim.addr, o.claim.port)
	}
}

func (s *Stack) newConn(k connKey, zone string, handler func(now int64, c *Conn, e Event)) *Conn {
	c := &Conn{Local: k.local, Remote: k.remote, Asked: k.remote, s: s, zone: zone, handler: handler}
	c.iss = s.rand.Uint32()
	c.una, c.nxt, c.max, c.recover, c.base = c.iss, c.iss, c.iss, c.iss, c.iss+1
	c.wnd = tcpWindow
	c.ssthresh = maxBuffered
	c.setMSS(c.ownMSS())
	s.conns[k] = c
	return c
}

// ownMSS is what fits the way out.
func (c *Conn) ownMSS() int {
	mtu := defaultMTU
	if out, _, _, ok := c.s.RouteTo(inZone(c.Remote.Addr(), c.zone)); ok {
		mtu = out.cfg.MTU
	}
	return max(mtu-c.overhead(), tcpMinMSS)
}

func (c *Conn) overhead() int {
	if c.Remote.Addr().Is6() {
		return wire.IPv6Len + wire.TCPMinLen
	}
	return wire.IPv4MinLen + wire.TCPMinLen
}

func (c *Conn) setMSS(mss int) {
	c.mss = max(mss, tcpMinMSS)
	c.cwnd = tcpInitialCwnd * c.mss
}

// State is the connection's state.
func (c *Conn) State() State { return c.state }

// Err is why the connection ended; nil while it lives and after an orderly end.
func (c *Conn) Err() error { return c.err }

// LastICMP is the last error message about the connection, nil if there was
// none.
func (c *Conn) LastICMP() *ICMPError { return c.icmp }

// Received is what has come and was not taken. It is the connection's own
// memory: valid until time passes.
func (c *Conn) Received() []byte { return c.in }

// PeerClosed reports whether everything that the peer will ever send is there.
func (c *Conn) PeerClosed() bool { return c.peerFin || c.state == StateClosed }

// Unacked is the number of bytes that were written and are not acknowledged.
func (c *Conn) Unacked() int { return len(c.out) }

// Take returns what has come and forgets it, which opens the window again if
// it was closed.
func (c *Conn) Take(now int64) []byte {
	b := c.in
	shut := c.window() < c.mss
	c.in = nil
	if shut && c.state != StateClosed {
		c.ackDue = true
		c.flush(now)
	}
	return b
}

// Write queues data and sends what the windows let through. It takes all or
// nothing.
func (c *Conn) Write(now int64, b []byte) (int, error) {
	switch {
	case c.state == StateClosed && c.err != nil:
		return 0, c.err
	case c.fin || c.state == StateClosed:
		return 0, ErrNotConnected
	case len(c.out)+len(b) > maxBuffered:
		return 0, ErrNoBuffers
	}
	c.out = append(c.out, b...)
	c.transmit(now)
	return len(b), nil
}

// Close says that nothing more will be written. What was written still
// arrives, and the peer may go on talking.
func (c *Conn) Close(now int64) {
	switch c.state {
	case StateSynSent:
		if c.fin = true; len(c.out) == 0 {
			c.finish(now, nil) // there was never anything to say
		}
	case StateSynReceived, StateEstablished, StateCloseWait:
		c.fin = true
		c.transmit(now)
	}
}

// Abort ends the connection with a reset.
func (c *Conn) Abort(now int64) {
	switch c.state {
	case StateClosed:
		return
	case StateSynReceived, StateEstablished, StateFinWait1, StateFinWait2, StateCloseWait:
		c.send(now, wire.TCPRst|wire.TCPAck, c.nxt, nil)
	}
	c.finish(now, ErrAborted)
}

// finish removes the connection.
func (c *Conn) finish(now int64, err error) {
	if c.state == StateClosed {
		return
	}
	c.state, c.err, c.deadline = StateClosed, err, 0
	c.out, c.early = nil, nil
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
	delete(c.s.conns, connKey{c.Local, c.Remote})
	c.s.unclaim(c.owner)
	c.tell(now, EventClosed)
}

func (c *Conn) tell(now int64, e Event) {
	if c.handler != nil {
		c.handler(now, c, e)
	}
}
