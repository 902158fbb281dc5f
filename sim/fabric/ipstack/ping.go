package ipstack

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// PingOptions describe an echo request.
type PingOptions struct {
	Src     netip.Addr // invalid: the stack's choice
	Dst     netip.Addr
	ID, Seq uint16
	Size    int    // bytes of data, the letters that Windows sends
	Payload []byte // instead of Size
	TTL     uint8
	DF      bool
	TOS     uint8
}

// Echo is an echo request on its way, and later its result.
type Echo struct {
	Done bool
	OK   bool          // the reply came, with the data that was sent
	From netip.Addr    // who answered: the destination, or who reported an error
	RTT  time.Duration // virtual time until the answer
	TTL  uint8         // of the reply
	// The error that came instead of a reply; valid if Done and not OK.
	Error ICMPError
	// PacketID is the identity of the request.
	PacketID uint64

	dst     netip.Addr
	id, seq uint16
	sent    int64
	data    []byte
}

// maxEchoes bounds the requests that are waited for; the oldest is given up.
const maxEchoes = 1024

// Ping sends an echo request. The result is filled in when the answer comes;
// nothing ends the wait but the caller, with GiveUp.
func (s *Stack) Ping(now int64, o PingOptions) (*Echo, error) {
	src, err := s.source(o.Src, o.Dst)
	if err != nil {
		return nil, err
	}
	e := &Echo{dst: o.Dst.WithZone(""), id: o.ID, seq: o.Seq, sent: now, data: o.Payload}
	if e.data == nil {
		e.data = make([]byte, o.Size)
		for i := range e.data {
			e.data[i] = 'a' + byte(i%23) // a to w, again and again
		}
	}
	if len(s.echoes) >= maxEchoes {
		s.echoes = append(s.echoes[:0], s.echoes[1:]...)
	}
	// Before the request leaves: the reply may be back before emit returns.
	s.echoes = append(s.echoes, e)
	f := &wire.Frame{
		IP:      &wire.IPFields{Src: src, Dst: e.dst, TTL: o.TTL, TOS: o.TOS, DF: o.DF && src.Is4()},
		ICMP:    &wire.ICMPFields{Type: echoTypes(src.Is4()).request, ID: o.ID, Seq: o.Seq},
		Payload: e.data,
	}
	e.PacketID, err = s.emit(now, f, sending{zone: o.Dst.Zone()})
	if err != nil {
		s.forgetEcho(e)
		return nil, fmt.Errorf("ping %s: %w", o.Dst, err)
	}
	return e, nil
}

// GiveUp ends the wait for an echo that is not done: a reply that still comes
// is nobody's. Without it a later request with the same identifier, sequence
// number and destination would lose its reply to this one.
func (s *Stack) GiveUp(e *Echo) { s.forgetEcho(e) }

func (s *Stack) forgetEcho(e *Echo) {
	for i, o := range s.echoes {
		if o == e {
			s.echoes = append(s.echoes[:i], s.echoes[i+1:]...)
			return
		}
	}
}

// echoReply matches by identifier, sequence number and address; replies to a
// group's address come from its members.
func (s *Stack) echoReply(now int64, p *vfp.Packet) {
	b := p.Bytes()
	icmp := wire.ICMPv4(b[p.Meta.L4:p.Meta.End])
	from := p.Meta.Src(b)
	for _, e := range s.echoes {
		if e.id == icmp.ID() && e.seq == icmp.Seq() && (e.dst == from || s.toMany(e.dst)) && e.dst.Is4() == p.Meta.IsIPv4 {
			e.Done, e.OK = true, string(icmp.Payload()) == string(e.data)
			e.From, e.TTL, e.RTT = from, p.Meta.TTL(b), time.Duration(now-e.sent)
			s.forgetEcho(e)
			return
		}
	}
}

// toMany reports whether a is a group or a broadcast address here.
func (s *Stack) toMany(a netip.Addr) bool {
	for _, i := range s.ifaces {
		if i.isBroadcast(a) {
			return true
		}
	}
	return a.IsMulticast()
}

func (s *Stack) echoError(now int64, x ICMPError) {
	for _, e := range s.echoes {
		if e.id == x.Src.Port() && e.dst == x.Dst.Addr() {
			e.Done, e.Error, e.From, e.RTT = true, x, x.From, time.Duration(now-e.sent)
			s.forgetEcho(e)
			return
		}
	}
}

// source checks or chooses the source address of packets to dst.
func (s *Stack) source(src, dst netip.Addr) (netip.Addr, error) {
	if !dst.IsValid() {
		return src, fmt.Errorf("stack %s: no destination", s.cfg.Name)
	}
	if src.IsValid() && !src.IsUnspecified() {
		if src.Is4() != dst.Is4() {
			return src, fmt.Errorf("stack %s: %s and %s are of different IP versions", s.cfg.Name, src, dst)
		}
		return src.WithZone(""), nil
	}
	_, _, src, ok := s.wayOut(dst, src)
	if !ok || !src.IsValid() {
		return src, fmt.Errorf("stack %s: %s: %w", s.cfg.Name, dst, ErrUnreachable)
	}
	return src, nil
}
