package guest

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
)

// Dial connects to an address, as net.Dialer.DialContext does: "tcp", "tcp4",
// "udp" or "udp4", and an IPv4 address with a port, "10.244.2.20:80". There is
// no resolver. An address without host is the guest itself.
func (g *Guest) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	fail := func(a net.Addr, err error) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: network, Addr: a, Err: g.explain("connect", err)}
	}
	to, err := g.resolve(ctx, network, address)
	if err != nil {
		return fail(nil, err)
	}
	if !to.Addr().IsValid() {
		to = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), to.Port())
	}
	full := fullAddress(to)
	if isUDP(network) {
		c, err := gonet.DialUDP(g.stack, nil, &full, ipv4.ProtocolNumber)
		if err != nil {
			return fail(net.UDPAddrFromAddrPort(to), err)
		}
		return newUDPConn(g, c), nil
	}
	c, err := gonet.DialContextTCP(ctx, g.stack, full, ipv4.ProtocolNumber)
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return fail(net.TCPAddrFromAddrPort(to), err)
	}
	return newTCPConn(g, c), nil
}

// Listen announces on a TCP address, as net.Listen does: ":80",
// "10.244.2.20:80", port 0 for any.
func (g *Guest) Listen(network, address string) (net.Listener, error) {
	fail := func(a net.Addr, err error) (net.Listener, error) {
		return nil, &net.OpError{Op: "listen", Net: network, Addr: a, Err: g.explain("bind", err)}
	}
	at, err := g.resolve(context.Background(), network, address)
	if err == nil && isUDP(network) {
		err = net.UnknownNetworkError(network)
	}
	if err != nil {
		return fail(nil, err)
	}
	l, err := gonet.ListenTCP(g.stack, fullAddress(at), ipv4.ProtocolNumber)
	if err != nil {
		return fail(&net.TCPAddr{IP: at.Addr().AsSlice(), Port: int(at.Port())}, err)
	}
	return newListener(g, l), nil
}

// ListenPacket announces on a UDP address, as net.ListenPacket does.
func (g *Guest) ListenPacket(network, address string) (net.PacketConn, error) {
	fail := func(a net.Addr, err error) (net.PacketConn, error) {
		return nil, &net.OpError{Op: "listen", Net: network, Addr: a, Err: g.explain("bind", err)}
	}
	at, err := g.resolve(context.Background(), network, address)
	if err == nil && !isUDP(network) {
		err = net.UnknownNetworkError(network)
	}
	if err != nil {
		return fail(nil, err)
	}
	full := fullAddress(at)
	c, err := gonet.DialUDP(g.stack, &full, nil, ipv4.ProtocolNumber)
	if err != nil {
		return fail(&net.UDPAddr{IP: at.Addr().AsSlice(), Port: int(at.Port())}, err)
	}
	return newUDPConn(g, c), nil
}

// HTTPClient is a client whose connections begin in the guest. All clients of
// a guest share their connections. URLs name servers by address.
func (g *Guest) HTTPClient() *http.Client { return &http.Client{Transport: g.web} }

// idleHTTP is how long HTTPClient keeps a connection that nobody uses, on the
// wall clock.
const idleHTTP = 90 * time.Second

// transport has no proxy: the environment of this process is not the guest's.
func (g *Guest) transport() *http.Transport {
	return &http.Transport{DialContext: g.Dial, IdleConnTimeout: idleHTTP}
}

// resolve reads an address. The zero address stands for all of the guest's.
func (g *Guest) resolve(ctx context.Context, network, address string) (netip.AddrPort, error) {
	var none netip.AddrPort
	if g.closed.Load() {
		return none, net.ErrClosed
	}
	switch network {
	case "tcp", "tcp4", "udp", "udp4":
	default:
		return none, net.UnknownNetworkError(network)
	}
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return none, err
	}
	port, err := net.DefaultResolver.LookupPort(ctx, network, service)
	if err != nil {
		return none, err
	}
	if host == "" {
		return netip.AddrPortFrom(netip.Addr{}, uint16(port)), nil
	}
	a, err := netip.ParseAddr(host)
	a = a.Unmap()
	switch {
	case err != nil:
		return none, &net.AddrError{Err: "not an address, and guests have no resolver", Addr: host}
	case !a.Is4():
		return none, &net.AddrError{Err: "guests have IPv4 only", Addr: host}
	case a.IsUnspecified():
		a = netip.Addr{}
	}
	return netip.AddrPortFrom(a, uint16(port)), nil
}

func isUDP(network string) bool { return strings.HasPrefix(network, "udp") }

func fullAddress(a netip.AddrPort) tcpip.FullAddress {
	f := tcpip.FullAddress{Port: a.Port()}
	if a.Addr().IsValid() {
		f.Addr = tcpip.AddrFrom4(a.Addr().As4())
	}
	return f
}

// String names the guest in messages.
func (g *Guest) String() string { return fmt.Sprintf("guest %s", g.name) }
