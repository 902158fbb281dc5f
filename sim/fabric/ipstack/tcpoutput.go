package ipstack

import (
	"time"

	"github.com/hnsim/hnsim/sim/wire"
)

// window is what we let the peer send.
func (c *Conn) window() int { return max(min(tcpWindow, maxBuffered-len(c.in)-c.held), 0) }

// inFlight is how much was sent and is not acknowledged, in sequence numbers.
func (c *Conn) inFlight() int { return int(c.nxt - c.una) }

// finAcked reports whether the peer knows that we send no more.
func (c *Conn) finAcked() bool { return c.fin && len(c.out) == 0 && c.una == c.base+1 }

// transmit sends all that is new, or again new after a timeout, as far as the
// windows go. State changes before each segment leaves: an answer may come
// back before the call returns.
func (c *Conn) transmit(now int64) {
	switch c.state {
	case StateSynSent, StateSynReceived:
		if c.nxt == c.iss {
			c.sent(c.iss + 1)
			c.waitForAck(now)
			flags := uint8(wire.TCPSyn)
			if c.state == StateSynReceived {
				flags |= wire.TCPAck
			}
			c.send(now, flags, c.iss, nil)
		}
	case StateEstablished, StateCloseWait, StateFinWait1, StateClosing, StateLastAck:
		for c.sendNext(now) {
		}
		c.waitForAck(now)
	}
}

// sendNext sends one segment, or reports that none may go.
func (c *Conn) sendNext(now int64) bool {
	off := int(c.nxt - c.base)
	if off > len(c.out) {
		return false // even the FIN is out
	}
	n := min(c.mss, len(c.out)-off)
	if room := min(c.cwnd, c.wnd) - c.inFlight(); n > room {
		if room <= 0 || c.inFlight() > 0 {
			return false // no slivers while an acknowledgement is due
		}
		n = room
	}
	last := off+n == len(c.out)
	fin := last && c.fin
	if n == 0 && !fin {
		return false
	}
	c.sendAt(now, off, n, fin)
	return true
}

// sendAt sends n bytes from out[off:], and the FIN if it follows.
func (c *Conn) sendAt(now int64, off, n int, fin bool) {
	seq := c.base + uint32(off)
	flags := uint8(wire.TCPAck)
	if n > 0 && off+n == len(c.out) {
		flags |= wire.TCPPsh
	}
	end := seq + uint32(n)
	if fin {
		flags |= wire.TCPFin
		end++
		switch c.state {
		case StateEstablished:
			c.state = StateFinWait1
		case StateCloseWait:
			c.state = StateLastAck
		}
	}
	if after(end, c.nxt) {
		c.sent(end)
	}
	c.send(now, flags, seq, c.out[off:off+n])
}

// sent moves on what was sent to end.
func (c *Conn) sent(end uint32) {
	c.nxt = end
	if after(end, c.max) {
		c.max = end
	}
}

// resend sends the oldest segment that is not acknowledged once more.
func (c *Conn) resend(now int64) {
	n := min(c.mss, len(c.out))
	fin := c.fin && n == len(c.out) && after(c.max, c.base+uint32(n))
	if n > 0 || fin {
		c.sendAt(now, 0, n, fin)
	}
}

// flush sends an acknowledgement that nothing has carried yet.
func (c *Conn) flush(now int64) {
	if c.ackDue && c.state != StateClosed {
		c.send(now, wire.TCPAck, c.nxt, nil)
	}
}

func (c *Conn) send(now int64, flags uint8, seq uint32, data []byte) {
	t := &wire.TCPFields{
		SrcPort: c.Local.Port(), DstPort: c.Remote.Port(),
		Seq: seq, Flags: flags, Window: uint16(c.window()),
	}
	if flags&wire.TCPAck != 0 {
		t.Ack = c.rcvNxt
		c.ackDue = false
	}
	if flags&wire.TCPSyn != 0 {
		t.MSS = uint16(min(c.ownMSS(), 65535))
	}
	c.s.emitTCP(now, connKey{c.Local, c.Remote}, c.zone, t, data)
}

// ackInput takes acknowledgement and window of a segment.
func (c *Conn) ackInput(now int64, t wire.TCP) {
	ack, wnd := t.Ack(), int(t.Window())
	switch {
	case after(ack, c.una):
		c.acked(now, ack)
	case ack == c.una && segmentLen(t) == 0 && wnd == c.wnd && c.una != c.max:
		c.duplicate(now)
	case after(c.una, ack):
		return // old, its window too
	}
	if wnd == 0 {
		c.tries = 0 // the peer is there, it only has no room
	}
	c.wnd = wnd
}

// acked takes the news that everything before ack has arrived.
func (c *Conn) acked(now int64, ack uint32) {
	n := int(ack - c.una)
	c.una, c.tries, c.dups = ack, 0, 0
	if after(c.una, c.nxt) {
		c.nxt = c.una // it was sent before a timeout and arrived after all
	}
	if data := min(int(ack-c.base), len(c.out)); data > 0 {
		c.out = c.out[data:]
		c.base += uint32(data)
	}
	switch {
	case !c.recovery && c.cwnd < c.ssthresh:
		c.cwnd += min(n, c.mss)
	case !c.recovery:
		c.cwnd += max(c.mss*c.mss/c.cwnd, 1)
	case after(c.recover, ack): // RFC 6582: the next one is lost too
		c.cwnd = max(c.cwnd-n+c.mss, c.mss)
		c.resend(now)
	default:
		c.recovery = false
		c.cwnd = c.ssthresh
	}
	c.cwnd = min(c.cwnd, 4*tcpWindow) // more than any window lets out
	c.wait(now, 0)
	c.waitForAck(now)
}

// duplicate takes a repeated acknowledgement: something went missing, or only
// overtook something else (RFC 5681, RFC 6582).
func (c *Conn) duplicate(now int64) {
	c.dups++
	switch {
	case c.recovery:
		c.cwnd += c.mss
	case c.dups == tcpDupAcks && !after(c.recover, c.una):
		c.ssthresh = max(c.inFlight()/2, 2*c.mss)
		c.cwnd = c.ssthresh + tcpDupAcks*c.mss
		c.recovery, c.recover = true, c.max
		c.resend(now)
	}
}

// waitForAck starts the retransmission timer, unless it runs already or there
// is nothing to wait for. A closed window is waited for like a lost segment.
func (c *Conn) waitForAck(now int64) {
	if c.deadline == 0 && (c.una != c.max || c.wnd == 0 && len(c.out) > 0) {
		c.wait(now, tcpRTO<<c.tries)
	}
}

// wait sets the time of the next timeout; zero is none.
func (c *Conn) wait(now int64, d time.Duration) {
	c.deadline = 0
	if d == 0 {
		return // a timer that runs finds nothing to do
	}
	c.deadline = now + int64(d)
	if c.timer != nil && c.armed <= c.deadline {
		return // it goes on waiting when it fires
	}
	if c.timer != nil {
		c.timer.Stop()
	}
	c.arm(now)
}

func (c *Conn) arm(now int64) {
	c.armed = c.deadline
	c.timer = c.s.cfg.Timers.After(time.Duration(c.deadline-now), func(now int64) {
		c.timer = nil
		switch {
		case c.deadline == 0:
		case now < c.deadline:
			c.arm(now)
		default:
			c.deadline = 0
			c.timeout(now)
		}
	})
}

// timeout is what happens when nothing has happened for too long.
func (c *Conn) timeout(now int64) {
	switch {
	case c.state == StateTimeWait, c.state == StateFinWait2:
		c.finish(now, nil)
		return
	case c.tries >= tcpRetries:
		c.finish(now, ErrTimedOut)
		return
	}
	c.tries++
	if c.state == StateSynSent || c.state == StateSynReceived {
		c.nxt = c.iss
		c.transmit(now)
		return
	}
	// Everything counts as lost, and is sent again as slowly as at first.
	c.ssthresh = max(c.inFlight()/2, 2*c.mss)
	c.cwnd, c.dups, c.recovery, c.recover = c.mss, 0, false, c.max
	c.nxt = c.una
	if c.wnd == 0 && len(c.out) > 0 {
		c.sendAt(now, 0, 1, false) // ask whether the window is still closed
		c.waitForAck(now)
		return
	}
	c.transmit(now)
}
