package ipstack

import (
	"net/netip"
	"time"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// tcpInput finds the connection of a segment.
func (s *Stack) tcpInput(now int64, in *Interface, p *vfp.Packet) {
	b, m := p.Bytes(), &p.Meta
	tcp := wire.TCP(b[m.L4:m.End])
	k := connKey{netip.AddrPortFrom(m.Dst(b), tcp.DstPort()), netip.AddrPortFrom(m.Src(b), tcp.SrcPort())}
	if !s.isOwn(k.local.Addr()) {
		return // to a group: TCP has no such thing
	}
	if k.local == k.remote {
		// A port that talks to itself would answer its own answers for ever (rule
		// LB-15).
		s.drop(now, "deliver", vfp.DropLandLike, p)
		return
	}
	syn := tcp.Flags()&(wire.TCPSyn|wire.TCPAck|wire.TCPRst) == wire.TCPSyn
	c := s.conns[k]
	if c != nil && c.state == StateTimeWait && syn && after(tcp.Seq(), c.rcvNxt) {
		c.finish(now, nil) // the peer uses its port again (RFC 9293 section 3.10.7.4)
		c = nil
	}
	if c != nil {
		c.input(now, tcp)
		return
	}
	o := s.listener(in, wire.ProtoTCP, k)
	switch {
	case o != nil && o.handler.Stream != nil && syn && len(s.conns) < maxConns:
		c := s.newConn(k, in.zoneOf(k.remote.Addr()), o.handler.Stream)
		c.passive = true
		c.accept(now, tcp)
	case o != nil || s.cfg.Refuse:
		// A port that is served is open in the firewall, so strays are refused.
		s.refuse(now, k, in.zoneOf(k.remote.Addr()), tcp)
	}
}

// refuse answers a segment that belongs to no connection (RFC 9293 section
// 3.10.7.1).
func (s *Stack) refuse(now int64, k connKey, zone string, tcp wire.TCP) {
	if tcp.Flags()&wire.TCPRst != 0 {
		return
	}
	f := &wire.TCPFields{SrcPort: k.local.Port(), DstPort: k.remote.Port(), Flags: wire.TCPRst}
	if tcp.Flags()&wire.TCPAck != 0 {
		f.Seq = tcp.Ack()
	} else {
		f.Flags |= wire.TCPAck
		f.Ack = tcp.Seq() + segmentLen(tcp)
	}
	s.emitTCP(now, k, zone, f, nil)
}

func (s *Stack) emitTCP(now int64, k connKey, zone string, t *wire.TCPFields, data []byte) {
	f := &wire.Frame{
		IP:      &wire.IPFields{Src: k.local.Addr(), Dst: k.remote.Addr(), DF: k.local.Addr().Is4()},
		TCP:     t,
		Payload: data,
	}
	_, _ = s.emit(now, f, sending{zone: zone}) // what is lost here is retransmitted like any loss
}

// segmentLen is how many sequence numbers a segment has.
func segmentLen(t wire.TCP) uint32 {
	n := uint32(len(t.Payload()))
	if t.Flags()&wire.TCPSyn != 0 {
		n++
	}
	if t.Flags()&wire.TCPFin != 0 {
		n++
	}
	return n
}

// after compares sequence numbers modulo 2^32.
func after(a, b uint32) bool { return int32(a-b) > 0 }

// accept starts a connection from a SYN.
func (c *Conn) accept(now int64, t wire.TCP) {
	c.heard(t)
	c.state = StateSynReceived
	c.transmit(now)
}

// heard takes what a SYN says.
func (c *Conn) heard(t wire.TCP) {
	c.rcvNxt = t.Seq() + 1
	c.wnd = int(t.Window())
	mss := tcpDefaultMSS
	if v, ok := t.MSS(); ok {
		mss = int(v)
	}
	c.setMSS(min(c.ownMSS(), mss))
}

// Bounds of acknowledgements that answer what does not fit (RFC 5961 section
// 7): without them two ends that disagree answer each other for ever.
const (
	challengesAtMost = 10
	challengesWithin = int64(5 * time.Second)
)

// challenge tells the peer where we are. Segments with data do not answer
// acknowledgements, so they are always answered.
func (c *Conn) challenge(now int64, t wire.TCP) {
	if now-c.challengedAt >= challengesWithin {
		c.challengedAt, c.challenges = now, 0
	}
	if len(t.Payload()) == 0 {
		if c.challenges++; c.challenges > challengesAtMost {
			return
		}
	}
	c.ackDue = true
	c.flush(now)
}

// input takes a segment, in the order of RFC 9293 section 3.10.7.
func (c *Conn) input(now int64, t wire.TCP) {
	if c.state == StateSynSent {
		c.inputSynSent(now, t)
		return
	}
	flags := t.Flags()
	if c.state == StateSynReceived && flags&(wire.TCPSyn|wire.TCPAck) == wire.TCPSyn && t.Seq() == c.rcvNxt-1 {
		c.nxt = c.iss // our answer was lost
		c.transmit(now)
		return
	}
	if !c.acceptable(t) {
		if flags&wire.TCPRst == 0 {
			if c.state == StateTimeWait && flags&wire.TCPFin != 0 {
				c.wait(now, c.s.cfg.TimeWait) // the peer has not heard our last word
			}
			c.challenge(now, t)
		}
		return
	}
	switch {
	case flags&wire.TCPRst != 0:
		c.reset(now, t.Seq())
		return
	case flags&wire.TCPSyn != 0:
		c.challenge(now, t) // RFC 5961: ask whether it was meant
		return
	case flags&wire.TCPAck == 0:
		return
	}
	c.established(now, t)
}

func (c *Conn) inputSynSent(now int64, t wire.TCP) {
	flags := t.Flags()
	if flags&wire.TCPAck != 0 && t.Ack() != c.iss+1 {
		c.s.refuse(now, connKey{c.Local, c.Remote}, c.zone, t)
		return
	}
	switch {
	case flags&wire.TCPRst != 0:
		if flags&wire.TCPAck != 0 {
			c.finish(now, ErrRefused)
		}
	case flags&wire.TCPSyn == 0:
	case flags&wire.TCPAck != 0:
		c.heard(t)
		c.una, c.tries = t.Ack(), 0
		c.state = StateEstablished
		c.wait(now, 0)
		c.ackDue = true
		c.tell(now, EventConnected)
		c.transmit(now)
		c.flush(now)
	default: // both sides called each other
		c.heard(t)
		c.state = StateSynReceived
		c.nxt = c.iss
		c.transmit(now)
	}
}

// acceptable is the window check.
func (c *Conn) acceptable(t wire.TCP) bool {
	seq, n, wnd := t.Seq(), segmentLen(t), uint32(c.window())
	if n == 0 {
		return seq == c.rcvNxt || seq-c.rcvNxt < wnd
	}
	return wnd > 0 && after(seq+n, c.rcvNxt) && after(c.rcvNxt+wnd, seq)
}

// reset ends the connection, if the RST is exactly in order; otherwise the
// peer is asked (RFC 5961).
func (c *Conn) reset(now int64, seq uint32) {
	switch {
	case seq != c.rcvNxt:
		c.ackDue = true
		c.flush(now)
	case c.state == StateTimeWait: // RFC 1337
	case c.state == StateSynReceived && !c.passive:
		c.finish(now, ErrRefused)
	default:
		c.finish(now, ErrReset)
	}
}

// established takes a sane segment of a connection that has been agreed on.
func (c *Conn) established(now int64, t wire.TCP) {
	ack := t.Ack()
	if c.state == StateSynReceived {
		if !after(ack, c.una) || after(ack, c.max) {
			c.s.refuse(now, connKey{c.Local, c.Remote}, c.zone, t)
			return
		}
		c.state = StateEstablished
		c.tell(now, EventConnected)
	}
	if after(ack, c.max) {
		c.ackDue = true
		c.flush(now)
		return
	}
	c.ackInput(now, t)
	data, fin := len(c.in), c.peerFin
	c.receive(t)
	data, fin = len(c.in)-data, c.peerFin && !fin
	c.advance(now, fin)
	if data > 0 && c.state != StateClosed {
		c.tell(now, EventData)
	}
	if fin && c.state != StateClosed {
		c.tell(now, EventPeerClosed)
	}
	if c.state != StateClosed {
		c.transmit(now)
		c.flush(now)
	}
}

// receive takes data and FIN of a segment.
func (c *Conn) receive(t wire.TCP) {
	seg := segment{t.Seq(), t.Payload(), t.Flags()&wire.TCPFin != 0}
	if len(seg.data) == 0 && !seg.fin {
		return
	}
	c.ackDue = true
	if c.peerFin {
		return
	}
	if room := int(c.rcvNxt + uint32(c.window()) - seg.seq); len(seg.data) > room {
		seg.data, seg.fin = seg.data[:max(room, 0)], false
	}
	if after(seg.seq, c.rcvNxt) {
		c.keep(seg)
		return
	}
	c.append(seg)
	for len(c.early) > 0 && !after(c.early[0].seq, c.rcvNxt) {
		seg, c.early = c.early[0], c.early[1:]
		c.held -= len(seg.data)
		c.append(seg)
	}
}

// append takes what is new of a segment that begins at or before what is
// expected.
func (r *receiver) append(seg segment) {
	old := int(r.rcvNxt - seg.seq)
	if old > len(seg.data) || r.peerFin {
		return
	}
	r.in = append(r.in, seg.data[old:]...)
	r.rcvNxt += uint32(len(seg.data) - old)
	if seg.fin {
		r.rcvNxt++
		r.peerFin = true
	}
}

// maxEarly bounds the pieces out of order; their bytes are bounded by the
// window, of which each may be held twice.
const maxEarly = 1024

// keep stores a copy of a segment that came too early.
func (r *receiver) keep(seg segment) {
	at := 0
	for at < len(r.early) && after(seg.seq, r.early[at].seq) {
		at++
	}
	if at < len(r.early) && r.early[at].seq == seg.seq && len(r.early[at].data) >= len(seg.data) ||
		len(r.early) >= maxEarly || r.held+len(seg.data) > 2*tcpWindow {
		return
	}
	seg.data = append([]byte(nil), seg.data...)
	r.held += len(seg.data)
	r.early = append(r.early, segment{})
	copy(r.early[at+1:], r.early[at:])
	r.early[at] = seg
}

// advance makes the state transitions of FINs: the peer's, when fin says that
// it has just come, and ours, when it is acknowledged.
func (c *Conn) advance(now int64, fin bool) {
	if fin {
		switch c.state {
		case StateEstablished:
			c.state = StateCloseWait
		case StateFinWait1:
			c.state = StateClosing
		case StateFinWait2:
			c.state = StateTimeWait
			c.wait(now, c.s.cfg.TimeWait)
		}
	}
	if !c.finAcked() {
		return
	}
	switch c.state {
	case StateFinWait1:
		c.state = StateFinWait2
		c.wait(now, tcpFinWait2)
	case StateFinWait2:
		c.wait(now, tcpFinWait2)
	case StateClosing:
		c.state = StateTimeWait
		c.wait(now, c.s.cfg.TimeWait)
	case StateLastAck:
		c.finish(now, nil)
	}
}

// tcpError takes an ICMP error about a segment of ours. Only a refusal of the
// first segment ends anything (RFC 5461); the path MTU is obeyed.
func (s *Stack) tcpError(now int64, e ICMPError) {
	c := s.conns[connKey{e.Src, e.Dst}]
	if c == nil {
		return
	}
	c.icmp = &e
	switch {
	case c.state == StateSynSent && e.refuses():
		c.finish(now, ErrRefused)
	case e.TooBig() && c.state >= StateEstablished && e.MTU > 0 && e.MTU-c.overhead() < c.mss:
		c.mss = max(e.MTU-c.overhead(), tcpMinMSS)
		c.nxt = c.una // all that is in flight was too long
		c.transmit(now)
	}
}
