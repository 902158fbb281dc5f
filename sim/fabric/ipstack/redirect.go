package ipstack

import "net/netip"

// Redirector sends TCP connections elsewhere at the level of sockets, as WFP's
// redirection does (rule PX-03): no packet is rewritten. It is asked on the
// stack's goroutine.
type Redirector interface {
	// Connect is asked about a connection that an account is about to make from
	// this stack; the account is "" where nobody said. The connection is made
	// to the answer, and goes on being called by what it asked for.
	Connect(account string, local, remote netip.AddrPort) netip.AddrPort
	// Accept is asked about a connection from outside to one of the stack's own
	// addresses. The answer is the port whose listener gets it; what the peer
	// sees stays local.
	Accept(local, remote netip.AddrPort) uint16
}

// SetRedirector replaces the redirector; nil is none. Connections that exist
// stay where they are.
func (s *Stack) SetRedirector(r Redirector) { s.redirect = r }

// listener is the socket that gets a connection which in brings. What comes over
// the loopback has been redirected already, or is the stack talking to itself.
func (s *Stack) listener(in *Interface, proto uint8, k connKey) *socket {
	port := k.local.Port()
	if s.redirect != nil && !in.lo {
		port = s.redirect.Accept(k.local, k.remote)
	}
	return s.socketFor(proto, k.local.Addr(), port)
}
