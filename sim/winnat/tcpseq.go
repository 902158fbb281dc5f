package winnat

import (
	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// windows follows both directions' sequence numbers for the knob tcpSeqCheck.
// It sees what both ends see, only not at the same time, so it keeps bounds:
// no end sends beyond what the other has made room for, or repeats more than a
// window, and none acknowledges what was not sent.
//
// Not modelled: a receiver that takes back room it has offered.
type windows [2]window

type window struct {
	next   uint32 // one beyond the last sequence number sent
	limit  uint32 // one beyond the last that the other side has made room for
	span   uint32 // the largest window offered to the other side, in bytes
	shift  uint8  // window scale option of the SYN
	scaled bool   // the SYN had the option
	known  bool   // a segment of this direction was seen
}

// oldestAck is how far behind an acknowledgment may be whatever the window: a
// segment delayed in the network still counts.
const oldestAck = 1 << 16

// maxScale is the largest window scale that counts (RFC 7323).
const maxScale = 14

// segment is what the check needs of a TCP segment.
type segment struct {
	seq, end, ack    uint32 // end is one beyond the last number it takes up
	win              uint32 // as in the header
	syn, rst, hasAck bool
	shift            uint8
	scaled           bool
}

func segmentOf(p *vfp.Packet) segment {
	m := &p.Meta
	t := wire.TCP(p.Bytes()[m.L4:m.End])
	g := segment{
		seq: t.Seq(), ack: t.Ack(), win: uint32(t.Window()),
		syn: m.TCPFlags&wire.TCPSyn != 0, rst: m.TCPFlags&wire.TCPRst != 0, hasAck: m.TCPFlags&wire.TCPAck != 0,
	}
	g.end = g.seq + uint32(m.End-m.Payload)
	if g.syn {
		g.end++
		g.shift, g.scaled = windowScale(t.Options())
	}
	if m.TCPFlags&wire.TCPFin != 0 {
		g.end++
	}
	return g
}

// windowScale finds the window scale option (kind 3, length 3).
func windowScale(opt []byte) (shift uint8, ok bool) {
	const kindScale = 3
	for len(opt) > 0 && opt[0] != wire.TCPOptEnd {
		if opt[0] == wire.TCPOptNop {
			opt = opt[1:]
			continue
		}
		if len(opt) < 2 || opt[1] < 2 || int(opt[1]) > len(opt) {
			return 0, false
		}
		if opt[0] == kindScale && opt[1] == 3 {
			return min(opt[2], maxScale), true
		}
		opt = opt[opt[1]:]
	}
	return 0, false
}

// upTo reports a <= b in sequence space.
func upTo(a, b uint32) bool { return int32(b-a) >= 0 }

// admit reports whether a TCP packet of direction d fits the session. The
// first fragment of a segment does not tell how far the segment reaches, so
// behind one the check starts over, as with a connection joined midway.
func (s *session) admit(d dir, p *vfp.Packet) bool {
	if p.Meta.Fragment {
		s.win = nil
		return true
	}
	if s.win == nil {
		s.win = new(windows)
	}
	return s.win.admit(d, segmentOf(p))
}

// admit reports whether a segment of direction d fits, and if so learns from
// it.
func (w *windows) admit(d dir, g segment) bool {
	snd, rcv := &w[d], &w[d^1]
	if !snd.known {
		return snd.learn(rcv, g)
	}
	if rcv.known && !snd.fits(rcv, g) {
		return false
	}
	if g.rst {
		return true // its numbers promise nothing
	}
	if !upTo(g.end, snd.next) {
		snd.next = g.end
	}
	snd.offer(rcv, g)
	return true
}

// learn takes the first segment of a direction. Only the handshake lets us ask
// for more than plausibility; a connection joined midway is believed.
func (snd *window) learn(rcv *window, g segment) bool {
	if rcv.known && g.hasAck && !upTo(g.ack, rcv.next) {
		return false
	}
	if g.rst {
		return g.hasAck || !rcv.known // a refused SYN is acknowledged
	}
	*snd = window{next: g.end, limit: g.end + rcv.span, shift: g.shift, scaled: g.scaled, known: true}
	if !g.syn { // joined midway: the scale is not known, so assume the largest
		snd.shift, snd.scaled = maxScale, true
	}
	snd.offer(rcv, g)
	return true
}

func (snd *window) fits(rcv *window, g segment) bool {
	const probe = 1 // a closed window is probed with one byte
	switch {
	case !upTo(g.end, snd.limit+probe):
		return false
	case !upTo(snd.next-rcv.span-probe, g.seq):
		return false
	case g.hasAck && !upTo(g.ack, rcv.next):
		return false
	case g.hasAck && !upTo(rcv.next-max(snd.span, oldestAck), g.ack):
		return false
	}
	return true
}

// offer notes the room that a segment makes for the other side. The scale
// counts when both SYNs have the option, and never in a SYN itself.
func (snd *window) offer(rcv *window, g segment) {
	win := g.win
	if !g.syn && snd.scaled && rcv.scaled {
		win <<= snd.shift
	}
	snd.span = max(snd.span, win)
	if room := g.ack + win; g.hasAck && rcv.known && !upTo(room, rcv.limit) {
		rcv.limit = room
	}
}
