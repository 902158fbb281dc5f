package guest

import (
	"errors"
	"net"
	"net/netip"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
)

// tcpConn is gVisor's connection with the errors and the address rules of
// package net: addresses outlive the connection, and its user can ask with
// errors.Is what went wrong.
type tcpConn struct {
	*gonet.TCPConn
	g             *Guest
	local, remote net.Addr
	closed        atomic.Bool
}

func newTCPConn(g *Guest, c *gonet.TCPConn) *tcpConn {
	return &tcpConn{TCPConn: c, g: g, local: c.LocalAddr(), remote: c.RemoteAddr()}
}

// LocalAddr is the guest's end.
func (c *tcpConn) LocalAddr() net.Addr { return c.local }

// RemoteAddr is the other end, as the guest sees it.
func (c *tcpConn) RemoteAddr() net.Addr { return c.remote }

// Read reads what has come.
func (c *tcpConn) Read(b []byte) (int, error) {
	n, err := c.TCPConn.Read(b)
	return n, c.fix("read", err)
}

// Write waits until all of b is in the send buffer.
func (c *tcpConn) Write(b []byte) (int, error) {
	n, err := c.TCPConn.Write(b)
	return n, c.fix("write", err)
}

// Close closes the connection; what was written is still sent.
func (c *tcpConn) Close() error {
	if c.closed.Swap(true) {
		return c.fix("close", net.ErrClosed)
	}
	return c.TCPConn.Close()
}

// CloseRead ends the reading half.
func (c *tcpConn) CloseRead() error { return c.fix("close", c.TCPConn.CloseRead()) }

// CloseWrite ends the writing half: the peer reads EOF.
func (c *tcpConn) CloseWrite() error { return c.fix("close", c.TCPConn.CloseWrite()) }

func (c *tcpConn) fix(op string, err error) error {
	if err == nil || isEOF(err) && !c.closed.Load() {
		return err
	}
	if c.closed.Load() {
		err = net.ErrClosed
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.local, Addr: c.remote, Err: c.g.explain(op, err)}
}

// listener is gVisor's listener; Accept ends with net.ErrClosed.
type listener struct {
	l      *gonet.TCPListener
	g      *Guest
	addr   net.Addr
	closed atomic.Bool
}

func newListener(g *Guest, l *gonet.TCPListener) *listener {
	return &listener{l: l, g: g, addr: l.Addr()}
}

// Accept waits for a connection.
func (l *listener) Accept() (net.Conn, error) {
	c, err := l.l.Accept()
	if err == nil {
		return newTCPConn(l.g, c.(*gonet.TCPConn)), nil
	}
	if l.closed.Load() {
		err = net.ErrClosed
	}
	return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.addr, Err: l.g.explain("accept", err)}
}

// Close stops listening. Connections that were accepted live on.
func (l *listener) Close() error {
	if l.closed.Swap(true) {
		return &net.OpError{Op: "close", Net: "tcp", Addr: l.addr, Err: net.ErrClosed}
	}
	l.l.Shutdown() // wakes Accept, which Close alone need not do
	return l.l.Close()
}

// Addr is where the listener listens.
func (l *listener) Addr() net.Addr { return l.addr }

// udpConn is gVisor's UDP socket, with a peer or without.
type udpConn struct {
	*gonet.UDPConn
	g             *Guest
	local, remote net.Addr
	closed        atomic.Bool
}

func newUDPConn(g *Guest, c *gonet.UDPConn) *udpConn {
	return &udpConn{UDPConn: c, g: g, local: c.LocalAddr(), remote: c.RemoteAddr()}
}

// LocalAddr is the guest's end.
func (c *udpConn) LocalAddr() net.Addr { return c.local }

// RemoteAddr is the peer, or nil.
func (c *udpConn) RemoteAddr() net.Addr { return c.remote }

// Read reads one datagram; what does not fit b is lost.
func (c *udpConn) Read(b []byte) (int, error) {
	n, err := c.UDPConn.Read(b)
	return n, c.fix("read", nil, err)
}

// ReadFrom reads one datagram and says who sent it.
func (c *udpConn) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := c.UDPConn.ReadFrom(b)
	return n, from, c.fix("read", nil, err)
}

// Write sends one datagram to the peer.
func (c *udpConn) Write(b []byte) (int, error) {
	n, err := c.UDPConn.Write(b)
	return n, c.fix("write", nil, err)
}

// WriteTo sends one datagram to a *net.UDPAddr or whatever prints as one.
func (c *udpConn) WriteTo(b []byte, to net.Addr) (int, error) {
	ap, err := addrPort(to)
	if err != nil {
		return 0, c.fix("write", to, err)
	}
	// gVisor takes the length of the address for its version.
	n, err := c.UDPConn.WriteTo(b, net.UDPAddrFromAddrPort(ap))
	return n, c.fix("write", to, err)
}

// Close closes the socket.
func (c *udpConn) Close() error {
	if c.closed.Swap(true) {
		return c.fix("close", nil, net.ErrClosed)
	}
	return c.UDPConn.Close()
}

func (c *udpConn) fix(op string, to net.Addr, err error) error {
	if err == nil {
		return nil
	}
	if c.closed.Load() || isEOF(err) {
		err = net.ErrClosed // datagrams have no end
	}
	if to == nil {
		to = c.remote
	}
	return &net.OpError{Op: op, Net: "udp", Source: c.local, Addr: to, Err: c.g.explain(op, err)}
}

func addrPort(a net.Addr) (netip.AddrPort, error) {
	var ap netip.AddrPort
	switch a := a.(type) {
	case nil:
		return ap, errors.New("no destination")
	case *net.UDPAddr:
		ap = a.AddrPort()
	default:
		var err error
		if ap, err = netip.ParseAddrPort(a.String()); err != nil {
			return ap, err
		}
	}
	ap = netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	if !ap.Addr().Is4() {
		return ap, &net.AddrError{Err: "guests have IPv4 only", Addr: a.String()}
	}
	return ap, nil
}
