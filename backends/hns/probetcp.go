package hns

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"time"
)

// maxConnection bounds what is read of one connection.
const maxConnection = 1 << 20

// tcpListener serves or holds a TCP port.
type tcpListener struct{ *net.TCPListener }

func (l tcpListener) local() netip.AddrPort {
	return unmap(l.Addr().(*net.TCPAddr).AddrPort())
}

func (p *probe) listenTCP(r probeRequest) (tcpListener, error) {
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(r.Src, r.SrcPort)))
	if err != nil {
		return tcpListener{}, err
	}
	p.keep(l)
	return tcpListener{l}, nil
}

// listen serves a port until the probe ends.
func (p *probe) listen(r probeRequest) (probeMessage, error) {
	if r.Proto == "udp" {
		s, err := p.udpAt(r)
		if err == nil {
			s.mu.Lock()
			s.serves, s.answer, s.echo = true, r.Answer, r.Echo
			s.mu.Unlock()
		}
		return bound(s, err)
	}
	l, err := p.listenTCP(r)
	if err == nil {
		// The socket of a connection is made by who accepts it.
		go func() { _ = p.inside(func() error { p.accept(l, r); return nil }) }()
	}
	return bound(l, err)
}

func (p *probe) accept(l tcpListener, r probeRequest) {
	for {
		c, err := l.AcceptTCP()
		if err != nil {
			return // closed
		}
		at := time.Now().UnixNano()
		from, to := unmap(c.RemoteAddr().(*net.TCPAddr).AddrPort()), unmap(c.LocalAddr().(*net.TCPAddr).AddrPort())
		p.write(probeMessage{At: at, Event: "received", Proto: "tcp", Src: from, Dst: to})
		go p.converse(c, r)
	}
}

// converse answers the first data of a connection and waits for its end.
func (p *probe) converse(c *net.TCPConn, r probeRequest) {
	defer c.Close()
	buf := make([]byte, 1<<16)
	for total := 0; total < maxConnection; {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		total += n
		answer := r.Answer
		if r.Echo {
			answer = buf[:n]
		}
		if _, err := c.Write(answer); err != nil {
			return
		}
	}
}

// bind holds a port without serving.
func (p *probe) bind(r probeRequest) (probeMessage, error) {
	if r.Proto == "udp" {
		c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(r.Src, r.SrcPort)))
		if err != nil {
			return probeMessage{Detail: bindDetail(err)}, nil
		}
		p.keep(c)
		return probeMessage{OK: true, Local: unmap(c.LocalAddr().(*net.UDPAddr).AddrPort())}, nil
	}
	l, err := p.listenTCP(r)
	return bound(l, err)
}

// connect dials, sends the payload, reads until the peer has answered or
// closed, and closes.
func (p *probe) connect(ctx context.Context, r probeRequest) (probeMessage, error) {
	end := time.Now().Add(r.Timeout)
	d := net.Dialer{Deadline: end}
	if r.Src.IsValid() || r.SrcPort != 0 {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(r.Src, r.SrcPort))
	}
	conn, err := d.DialContext(ctx, "tcp", r.Dst.String())
	if err != nil {
		if ctx.Err() != nil {
			return probeMessage{}, ctx.Err()
		}
		return probeMessage{Detail: detailOf(err)}, nil
	}
	defer conn.Close()
	local := unmap(conn.LocalAddr().(*net.TCPAddr).AddrPort())
	p.write(probeMessage{Event: "sent", Proto: "tcp", Src: local, Dst: r.Dst})
	m := probeMessage{OK: true, Detail: "connected", Local: local}
	if len(r.Payload) == 0 {
		return m, nil
	}
	_ = conn.SetDeadline(end)
	if _, err := conn.Write(r.Payload); err != nil {
		return probeMessage{Detail: detailOf(err), Local: local}, nil
	}
	buf := make([]byte, 1<<16)
	n, err := conn.Read(buf)
	m.Payload = buf[:n]
	if n == 0 {
		m.OK, m.Detail = false, "no answer"
		if err != nil && !errors.Is(err, io.EOF) && detailOf(err) != "timeout" {
			m.Detail = detailOf(err)
		}
	}
	return m, nil
}
