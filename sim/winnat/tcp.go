package winnat

import (
	"github.com/hnsim/hnsim/sim/wire"
)

// tcpBits is what the tracker has seen of a connection: one bit per direction
// for each of SYN, ACK and FIN, and one for a reset (contract 3.3, RFC 5382,
// RFC 7857). Keeping what was seen rather than the name of a state makes the
// tracker symmetric: simultaneous open, and FINs in either order, need no
// states of their own.
//
//	            SYN            SYN ACK, ACK        FIN            FIN, other side
//	(nothing) ──────► init ──────────────► established ──► closing1 ──────► closing
//	                   │                       │              │                │
//	                   └───────────────────────┴──── RST ─────┴──► reset ◄─────┘
type tcpBits uint8

const (
	bitSyn tcpBits = 1 << 0 // of direction forward; reverse is one to the left
	bitAck tcpBits = 1 << 2
	bitFin tcpBits = 1 << 4
	bitRst tcpBits = 1 << 6

	bothSyn = bitSyn * 3
	bothAck = bitAck * 3
	bothFin = bitFin * 3
)

// phase is the state that the bits amount to.
type phase uint8

const (
	tcpInit        phase = iota // half open: transient timer
	tcpEstablished              // handshake complete
	tcpClosing1                 // FIN seen one way: half-closed connections may live long
	tcpClosing                  // FIN seen both ways: transient timer
	tcpReset                    // RST seen: transient timer, but still translated (RFC 7857)
)

var phaseNames = [...]string{"init", "established", "closing1", "closing", "reset"}

func (b tcpBits) phase() phase {
	switch {
	case b&bitRst != 0:
		return tcpReset
	case b&bothFin == bothFin:
		return tcpClosing
	case b&bothSyn != bothSyn || b&bothAck != bothAck:
		return tcpInit
	case b&bothFin != 0:
		return tcpClosing1
	}
	return tcpEstablished
}

// over reports whether the connection has ended, so that a new one may use its
// ports.
func (p phase) over() bool { return p == tcpClosing || p == tcpReset }

// seen is b after a segment of direction d.
func (b tcpBits) seen(d dir, flags uint8) tcpBits {
	if flags&wire.TCPSyn != 0 {
		b |= bitSyn << d
	}
	if flags&wire.TCPAck != 0 {
		b |= bitAck << d
	}
	if flags&wire.TCPFin != 0 {
		b |= bitFin << d
	}
	if flags&wire.TCPRst != 0 {
		b |= bitRst
	}
	return b
}

// opens reports whether a segment asks for a new connection.
func opens(flags uint8) bool {
	return flags&(wire.TCPSyn|wire.TCPAck|wire.TCPRst|wire.TCPFin) == wire.TCPSyn
}

// tcpLifetime is how long a connection may be silent after a segment that
// changed its bits from old to new, in ns; 0 leaves the deadline as it was.
// keeps says that the segment comes from who may keep a mapping alive.
func (n *NAT) tcpLifetime(old, new tcpBits, keeps bool) int64 {
	switch p := new.phase(); {
	case p == tcpEstablished || p == tcpClosing1:
		return int64(n.cfg.Timers.TCPEstablished) // both directions refresh
	case p == tcpInit && (keeps || new != old):
		return int64(n.cfg.Timers.TCPTransient)
	case p.over() && old.phase() != p:
		return int64(n.cfg.Timers.TCPTransient) // what follows the end does not postpone it
	}
	return 0
}
