package vfp

import "github.com/hnsim/hnsim/sim/wire"

// Lifetimes without traffic that the TCP tracker imposes (rule VFP-09 says
// that half-open and closing flows live shorter, not by how much). They never
// lengthen what the rule says.
const (
	// TCPHalfOpenIdle outlasts the SYN retransmissions of a Windows client
	// (about 21 s) several times.
	TCPHalfOpenIdle = int64(60e9)
	// TCPClosingIdle is for flows that saw a FIN from both sides or a RST:
	// enough for late retransmissions.
	TCPClosingIdle = int64(15e9)
)

// tcpState is the tracker's view of a layer flow. Sequence numbers are not
// looked at; a forged RST closes a flow as it would in VFP without validation.
type tcpState uint8

const (
	// tcpOpen is the zero value, so that it also serves other protocols and
	// connections whose beginning nobody saw.
	tcpOpen tcpState = iota
	tcpOpening
	tcpClosing
)

func (s tcpState) String() string { return [...]string{"open", "opening", "closing"}[s] }

// sides of a layer flow
const (
	forward = 0
	reverse = 1
)

// flowHot is what every packet of a layer flow reads and writes, apart from
// the rest because cached packets touch it too: two of them in a cache line.
type flowHot struct {
	seen     int64 // last packet
	ruleIdle int64 // lifetime without traffic that the rule gives
	packets  [2]uint32
	gen      uint32 // of the slot: changes when the flow dies, never 0 while it lives
	state    tcpState
	tcp      bool
	fins     uint8 // bit per side
	answered bool  // the reverse side has spoken
}

// idle is the lifetime that rule and state give.
func (f *flowHot) idle() int64 {
	switch f.state {
	case tcpOpening:
		return min(f.ruleIdle, TCPHalfOpenIdle)
	case tcpClosing:
		return min(f.ruleIdle, TCPClosingIdle)
	}
	return f.ruleIdle
}

func (f *flowHot) expired(now int64) bool { return now-f.seen >= f.idle() }

// earliestEnd is a time before which the flow cannot expire, whatever packets
// come from now on: a FIN or RST may yet shorten its life.
func (f *flowHot) earliestEnd(now int64) int64 {
	end := f.seen + f.idle()
	if f.tcp {
		end = min(end, now+min(f.ruleIdle, TCPClosingIdle))
	}
	return end
}

// opens reports whether the flags are those of a connection attempt.
func opens(flags uint8) bool {
	return flags&(wire.TCPSyn|wire.TCPAck|wire.TCPRst|wire.TCPFin) == wire.TCPSyn
}

// superseded reports whether a packet with these flags starts a new flow in
// place of this one: a SYN where the old connection is closing (S-VFP-09).
func (f *flowHot) superseded(flags uint8) bool { return f.state == tcpClosing && opens(flags) }

// start sets the tracker up from the flow's first packet.
func (f *flowHot) start(now int64, flags uint8) {
	f.seen, f.state, f.fins, f.answered = now, tcpOpen, 0, false
	f.packets = [2]uint32{1, 0}
	if !f.tcp {
		return
	}
	if opens(flags) {
		f.state = tcpOpening
	}
	f.track(forward, flags)
}

// touch records a packet of the flow. Cached and uncached packets both come
// through here and nowhere else, so that they age flows alike (rule VFP-12).
func (f *flowHot) touch(now int64, side, flags uint8) {
	f.seen = now
	f.packets[side]++
	if f.tcp {
		f.track(side, flags)
	}
}

func (f *flowHot) track(side, flags uint8) {
	if side == reverse {
		f.answered = true
	}
	if f.state == tcpOpening && f.answered && flags&(wire.TCPSyn|wire.TCPAck) == wire.TCPAck {
		f.state = tcpOpen
	}
	if flags&wire.TCPFin != 0 {
		f.fins |= 1 << side
	}
	if flags&wire.TCPRst != 0 || f.fins == 3 {
		f.state = tcpClosing
	}
}
