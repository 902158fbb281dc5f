package linux

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/hnsim/hnsim/backends"
)

// server is a listening socket with the answer that its clients get.
type server struct {
	fd    int
	reply []byte // nil: what comes
	udp   bool
}

// peer is a connection that a server has accepted.
type peer struct {
	fd       int
	reply    []byte
	answered bool
	left     []byte // of the answer; nothing is read until it is sent
}

// send writes what the socket has room for and returns the rest.
func send(fd int, b []byte) (rest []byte, err error) {
	for len(b) > 0 {
		n, err := unix.Write(fd, b)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return b, nil
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return nil, err
		}
		b = b[n:]
	}
	return nil, nil
}

// listen serves a port in a namespace.
func (w *world) listen(in *space, s backends.Stimulus) (backends.Outcome, error) {
	if s.Proto != "tcp" && s.Proto != "udp" {
		return backends.Outcome{}, usage("protocol %q has no ports: expected tcp or udp", s.Proto)
	}
	srv := &server{fd: -1, reply: s.Reply, udp: s.Proto == "udp"}
	if nd := w.nodes[s.Role]; nd != nil && nd.host != nil && nd.host.store.publishes(srv.udp, s.Src.Port()) {
		return backends.Outcome{Detail: accessDenied}, nil
	}
	kind := unix.SOCK_STREAM
	if srv.udp {
		kind = unix.SOCK_DGRAM
	}
	err := in.do(func() error {
		domain, at := sockaddr(s.Src)
		fd, err := unix.Socket(domain, kind|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		srv.fd = fd
		if domain == unix.AF_INET6 && !s.Src.Addr().IsValid() {
			err = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0)
		}
		if srv.udp && err == nil {
			err = errors.Join(unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1), unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BROADCAST, 1),
				unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DONT)) // no DF, as on Windows
		}
		if err == nil {
			err = unix.Bind(fd, at)
		}
		if err == nil && !srv.udp {
			err = unix.Listen(fd, 128)
		}
		return err
	})
	if err != nil {
		if srv.fd >= 0 {
			unix.Close(srv.fd)
		}
		return refusedBind(err)
	}
	w.loop.add(srv)
	return backends.Outcome{OK: true, Local: s.Src}, nil
}

// accessDenied is what Windows says to a socket that wants the port of a
// published one (rules NAT-12, NAT-35): WinNAT holds it without a socket, which
// the kernel cannot.
const accessDenied = "WSAEACCES (10013)"

// refusedBind is the outcome of a failed bind, with the code that Windows has
// for it.
func refusedBind(err error) (backends.Outcome, error) {
	for errno, code := range map[unix.Errno]string{unix.EADDRINUSE: "10048", unix.EACCES: "10013", unix.EADDRNOTAVAIL: "10049"} {
		if errors.Is(err, errno) {
			return backends.Outcome{Detail: code}, nil
		}
	}
	return backends.Outcome{}, err
}

// sockaddr is an address for the socket calls. IPv6 is off in most
// namespaces, so that no address means IPv4.
func sockaddr(a netip.AddrPort) (int, unix.Sockaddr) {
	if a.Addr().Is6() {
		return unix.AF_INET6, &unix.SockaddrInet6{Addr: a.Addr().As16(), Port: int(a.Port())}
	}
	at := &unix.SockaddrInet4{Port: int(a.Port())}
	if a.Addr().IsValid() {
		at.Addr = a.Addr().As4()
	}
	return unix.AF_INET, at
}

func (s *server) descriptor() (int, int16) { return s.fd, unix.POLLIN }

func (s *server) ready(l *loop) (bool, error) {
	if s.udp {
		return s.datagrams(l.buf)
	}
	for any := false; ; any = true {
		fd, _, err := unix.Accept4(s.fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		switch {
		case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.ECONNABORTED):
			return any, nil
		case err != nil:
			return any, fmt.Errorf("accept: %w", err)
		}
		l.add(&peer{fd: fd, reply: s.reply})
	}
}

// datagrams answers each from the address that it was sent to.
func (s *server) datagrams(buf []byte) (bool, error) {
	oob := make([]byte, 128)
	for any := false; ; any = true {
		n, oobn, _, from, err := unix.Recvmsg(s.fd, buf, oob, 0)
		if errors.Is(err, unix.EAGAIN) {
			return any, nil
		}
		if errors.Is(err, unix.ECONNREFUSED) {
			continue // an ICMP error about an earlier answer
		}
		if err != nil {
			return any, fmt.Errorf("receiving a datagram: %w", err)
		}
		answer := s.reply
		if answer == nil {
			answer = append([]byte(nil), buf[:n]...)
		}
		if err := unix.Sendmsg(s.fd, answer, sameAddress(oob[:oobn]), from, 0); err != nil && !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.ENETUNREACH) {
			return any, fmt.Errorf("answering a datagram: %w", err)
		}
	}
}

// sameAddress turns the IP_PKTINFO of a received datagram into that of the
// answer: the source is the address that it was sent to.
func sameAddress(oob []byte) []byte {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil
	}
	for _, m := range msgs {
		if m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_PKTINFO && len(m.Data) >= unix.SizeofInet4Pktinfo {
			// struct in_pktinfo: index, local address, destination.
			return unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: [4]byte(m.Data[4:8])})
		}
	}
	return nil
}

func (p *peer) descriptor() (int, int16) {
	if len(p.left) > 0 {
		return p.fd, unix.POLLOUT
	}
	return p.fd, unix.POLLIN
}

// ready answers what the peer sends, and closes when it does.
func (p *peer) ready(l *loop) (bool, error) {
	if len(p.left) > 0 {
		return true, p.answer(p.left)
	}
	for any := false; len(p.left) == 0; any = true {
		n, err := unix.Read(p.fd, l.buf)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return any, nil
		case err != nil || n == 0:
			l.forget(p)
			unix.Close(p.fd)
			return true, nil
		}
		answer := p.reply
		if answer == nil {
			answer = l.buf[:n]
		} else if p.answered {
			continue
		}
		p.answered = true
		if err := p.answer(answer); err != nil {
			return true, err
		}
	}
	return true, nil
}

// answer sends what there is room for and keeps a copy of the rest.
func (p *peer) answer(b []byte) error {
	rest, err := send(p.fd, b)
	p.left = append([]byte(nil), rest...)
	if err != nil && !errors.Is(err, unix.EPIPE) && !errors.Is(err, unix.ECONNRESET) {
		return fmt.Errorf("answering on a connection: %w", err)
	}
	return nil
}

// client is a connection that a role opens.
type client struct {
	fd        int
	payload   []byte // what is left to send
	connected bool
	closed    bool
	got       []byte
	err       error
}

func (c *client) descriptor() (int, int16) {
	switch {
	case !c.connected:
		return c.fd, unix.POLLOUT
	case len(c.payload) > 0: // an answer that fills the way back must not stop it
		return c.fd, unix.POLLIN | unix.POLLOUT
	}
	return c.fd, unix.POLLIN
}

func (c *client) ready(l *loop) (bool, error) {
	if !c.connected {
		code, err := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_ERROR)
		if err != nil {
			return false, err
		}
		if code != 0 {
			c.err = unix.Errno(code)
			if errors.Is(c.err, unix.ENETUNREACH) || errors.Is(c.err, unix.EHOSTUNREACH) {
				// A router said so. Windows goes on trying until its time is up
				// (RFC 1122, section 4.2.3.9), and so does this client.
				c.err = unix.ETIMEDOUT
			}
			l.forget(c)
			return true, nil
		}
		c.connected = true
		c.payload, c.err = send(c.fd, c.payload)
		return true, nil
	}
	before := len(c.payload)
	if before > 0 {
		if c.payload, c.err = send(c.fd, c.payload); c.err != nil {
			l.forget(c)
			return true, nil
		}
	}
	n, err := unix.Read(c.fd, l.buf)
	switch {
	case errors.Is(err, unix.EAGAIN):
		return len(c.payload) < before, nil
	case err != nil:
		c.err = err
		l.forget(c)
	case n == 0:
		c.closed = true
		l.forget(c)
	default:
		c.got = append(c.got, l.buf[:n]...)
	}
	return true, nil
}

// connect dials, sends the payload, reads until the peer has answered or
// closed, and closes.
func (w *world) connect(in *space, s backends.Stimulus) (backends.Outcome, error) {
	c := &client{fd: -1, payload: s.Payload}
	err := in.do(func() error {
		domain, to := sockaddr(s.Dst)
		fd, err := unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		c.fd = fd
		if s.Src.IsValid() || s.Src.Port() != 0 {
			_, from := sockaddr(s.Src)
			if err := errors.Join(unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1), unix.Bind(fd, from)); err != nil {
				return err
			}
		}
		if err := unix.Connect(fd, to); !errors.Is(err, unix.EINPROGRESS) {
			return err
		}
		return nil
	})
	if err != nil {
		if c.fd >= 0 {
			unix.Close(c.fd)
		}
		return backends.Outcome{Detail: detail(err)}, nil
	}
	w.loop.add(c)
	want := len(s.Payload) > 0
	err = w.loop.until(timeout(s), func() bool {
		return c.err != nil || c.closed || c.connected && len(c.payload) == 0 && (!want || len(c.got) > 0)
	})
	w.loop.forget(c)
	out := backends.Outcome{Received: c.got, Local: localOf(c.fd)}
	switch {
	case c.err != nil:
		out.Detail = detail(c.err)
	case !c.connected:
		out.Detail = "timeout"
	case want && len(c.got) == 0:
		out.Detail = "no answer"
	default:
		out.OK, out.Detail = true, "connected"
	}
	if !out.OK {
		// Abort: no FIN that would be retransmitted for minutes.
		err = errors.Join(err, unix.SetsockoptLinger(c.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}))
	}
	return out, errors.Join(err, unix.Close(c.fd))
}

func localOf(fd int) netip.AddrPort {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return netip.AddrPort{}
	}
	switch a := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr), uint16(a.Port))
	}
	return netip.AddrPort{}
}

// detail is the short form of a socket error.
func detail(err error) string {
	switch {
	case errors.Is(err, unix.ECONNREFUSED):
		return "refused"
	case errors.Is(err, unix.ETIMEDOUT), errors.Is(err, unix.EPERM):
		return "timeout"
	}
	return err.Error()
}
