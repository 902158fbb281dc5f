package ipstack

import (
	"cmp"
	"slices"
	"time"
)

// DefaultTimeWait is how long Windows remembers a connection that it closed
// first (TcpTimedWaitDelay, rule CMP-10).
const DefaultTimeWait = 120 * time.Second

// TimeWaits is the number of connections that wait out their end: a container
// with some cannot be torn down at once (rule CMP-10).
func (s *Stack) TimeWaits() int {
	n := 0
	for _, c := range s.conns {
		if c.state == StateTimeWait {
			n++
		}
	}
	return n
}

// TimeWaitEnd is when the last of them is over, 0 if there is none.
func (s *Stack) TimeWaitEnd() int64 {
	end := int64(0)
	for _, c := range s.conns {
		if c.state == StateTimeWait {
			end = max(end, c.deadline)
		}
	}
	return end
}

// Shutdown ends what the programs in the compartment had: sockets, and
// connections but those in TIME_WAIT, which are the kernel's. Nothing is sent.
func (s *Stack) Shutdown(now int64) {
	for _, k := range s.Sockets() {
		if k.State == StateClosed || k.State == StateListen {
			s.CloseSocket(k.Proto, k.Local.Addr(), k.Local.Port())
		}
	}
	var open []*Conn
	for _, c := range s.conns {
		if c.state != StateTimeWait {
			open = append(open, c)
		}
	}
	slices.SortFunc(open, func(a, b *Conn) int {
		return cmp.Or(a.Local.Compare(b.Local), a.Remote.Compare(b.Remote))
	})
	for _, c := range open {
		c.finish(now, ErrAborted)
	}
	s.echoes = nil
}
