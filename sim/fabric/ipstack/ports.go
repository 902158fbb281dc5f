package ipstack

import (
	"fmt"
	"net/netip"
)

// SocketError is a failed socket call, with the number that Windows gives it.
type SocketError struct {
	Code int
	Name string
}

func (e *SocketError) Error() string { return fmt.Sprintf("%s (%d)", e.Name, e.Code) }

// The errors of socket calls; compare with errors.Is.
var (
	ErrAccess       = &SocketError{10013, "WSAEACCES"}        // the port is excluded or reserved (rule NAT-12)
	ErrInUse        = &SocketError{10048, "WSAEADDRINUSE"}    // another socket has the port
	ErrNotAvailable = &SocketError{10049, "WSAEADDRNOTAVAIL"} // the address is not this stack's
	ErrUnreachable  = &SocketError{10051, "WSAENETUNREACH"}   // no route
	ErrReset        = &SocketError{10054, "WSAECONNRESET"}    // the peer reset the connection
	ErrAborted      = &SocketError{10053, "WSAECONNABORTED"}  // this side did
	ErrNoBuffers    = &SocketError{10055, "WSAENOBUFS"}       // no ephemeral port is left, or a table is full
	ErrNotConnected = &SocketError{10057, "WSAENOTCONN"}      // the connection does not take data
	ErrTimedOut     = &SocketError{10060, "WSAETIMEDOUT"}     // the peer did not answer
	ErrRefused      = &SocketError{10061, "WSAECONNREFUSED"}  // the peer answered with RST or "port unreachable"
	ErrMessageSize  = &SocketError{10040, "WSAEMSGSIZE"}      // too long for the MTU and not to be fragmented
)

// Ports is the port space that the sockets of a stack draw from. A host shares
// its space with its NAT (rule NAT-16). Addresses may be unspecified: bound to
// all. Protocols are wire.ProtoTCP and wire.ProtoUDP. Not called concurrently.
type Ports interface {
	// Take claims a port for a socket: ErrInUse if a socket has it, ErrAccess
	// if it is reserved otherwise.
	Take(proto uint8, addr netip.Addr, port uint16) error
	// Next claims a free port of the dynamic range: ErrNoBuffers if there is
	// none. Equal histories give equal ports.
	Next(proto uint8, addr netip.Addr) (uint16, error)
	// Release gives back what Take or Next claimed.
	Release(proto uint8, addr netip.Addr, port uint16)
}

// The dynamic range of Windows.
const (
	firstDynamic = 49152
	lastDynamic  = 65535
)

// portSpace is the space of a stack that shares with nobody: every address has
// its own, with the unspecified address standing for all of them.
type portSpace struct {
	taken map[portClaim]bool
	next  map[uint8]uint16
}

type portClaim struct {
	proto uint8
	addr  netip.Addr
	port  uint16
}

func newPortSpace() *portSpace {
	return &portSpace{taken: make(map[portClaim]bool), next: make(map[uint8]uint16)}
}

func (p *portSpace) Take(proto uint8, addr netip.Addr, port uint16) error {
	if p.conflict(proto, addr, port) {
		return ErrInUse
	}
	p.taken[portClaim{proto, addr, port}] = true
	return nil
}

func (p *portSpace) conflict(proto uint8, addr netip.Addr, port uint16) bool {
	if !wildcard(addr) {
		return p.taken[portClaim{proto, addr, port}] || p.taken[portClaim{proto, netip.Addr{}, port}]
	}
	for c := range p.taken {
		if c.proto == proto && c.port == port {
			return true
		}
	}
	return false
}

// Next goes round the dynamic range, as the allocation of a busy host does.
func (p *portSpace) Next(proto uint8, addr netip.Addr) (uint16, error) {
	port := p.next[proto]
	for range lastDynamic - firstDynamic + 1 {
		if port < firstDynamic {
			port = firstDynamic
		}
		if p.Take(proto, addr, port) == nil {
			p.next[proto] = port + 1
			return port, nil
		}
		port++
	}
	return 0, ErrNoBuffers
}

func (p *portSpace) Release(proto uint8, addr netip.Addr, port uint16) {
	delete(p.taken, portClaim{proto, addr, port})
}

// wildcard reports whether a socket's address stands for all of the stack's.
func wildcard(a netip.Addr) bool { return !a.IsValid() || a.IsUnspecified() }

// anyAddr makes the zero Addr of every wildcard, so that there is one key.
func anyAddr(a netip.Addr) netip.Addr {
	if wildcard(a) {
		return netip.Addr{}
	}
	return a.WithZone("")
}
