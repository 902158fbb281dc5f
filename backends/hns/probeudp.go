package hns

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"
)

// udpSocket is a socket that reports what it receives, and answers if it is to.
type udpSocket struct {
	p    *probe
	conn *net.UDPConn

	mu     sync.Mutex
	serves bool
	answer []byte
	echo   bool
}

func (s *udpSocket) local() netip.AddrPort {
	return unmap(s.conn.LocalAddr().(*net.UDPAddr).AddrPort())
}

func unmap(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

// udpAt is the socket of an address and port, which is opened when there is
// none yet. Port 0 is a new one.
func (p *probe) udpAt(r probeRequest) (*udpSocket, error) {
	at := netip.AddrPortFrom(r.Src, r.SrcPort)
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.udp[at]; s != nil && at.Port() != 0 {
		return s, nil
	}
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
	if err != nil {
		return nil, err
	}
	s := &udpSocket{p: p, conn: conn}
	p.udp[netip.AddrPortFrom(r.Src, s.local().Port())] = s
	p.closer = append(p.closer, conn)
	go s.read()
	return s, nil
}

// read reports datagrams until the socket is closed. Errors in between are
// ICMP's, which Windows gives to unconnected sockets too.
func (s *udpSocket) read() {
	buf := make([]byte, 1<<16)
	for {
		n, from, err := s.conn.ReadFromUDPAddrPort(buf)
		at := time.Now().UnixNano()
		if err != nil {
			if isClosed(err) {
				return
			}
			continue
		}
		payload := append([]byte(nil), buf[:n]...)
		s.p.write(probeMessage{At: at, Event: "received", Proto: "udp", Src: unmap(from), Dst: s.local(), Payload: payload})
		s.mu.Lock()
		serves, answer := s.serves, s.answer
		if s.echo {
			answer = payload
		}
		s.mu.Unlock()
		if serves {
			_ = s.write(answer, from)
		}
	}
}

func (s *udpSocket) write(payload []byte, to netip.AddrPort) error {
	_, err := s.conn.WriteToUDPAddrPort(payload, to)
	if err == nil {
		s.p.write(probeMessage{Event: "sent", Proto: "udp", Src: s.local(), Dst: unmap(to), Payload: payload})
	}
	return err
}

// send sends datagrams from the socket of the source, which stays open for
// answers.
func (p *probe) send(ctx context.Context, r probeRequest) (probeMessage, error) {
	s, err := p.udpAt(r)
	if err != nil {
		return bound(s, err)
	}
	if r.TTL != 0 {
		if err := setTTL(s.conn, r.Dst.Addr().Is6(), r.TTL); err != nil {
			return probeMessage{}, err
		}
	}
	for i := range max(r.Count, 1) {
		if i > 0 && r.Every > 0 {
			if err := pass(ctx, r.Every); err != nil {
				return probeMessage{}, err
			}
		}
		if err := s.write(r.Payload, r.Dst); err != nil {
			return probeMessage{Detail: detailOf(err), Local: s.local()}, nil
		}
	}
	return probeMessage{OK: true, Local: s.local()}, nil
}

// pass lets real time pass, as a stimulus asks for.
func pass(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
