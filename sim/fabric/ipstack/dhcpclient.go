package ipstack

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"net/netip"
	"time"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// Lease is what a DHCP server assigned.
type Lease struct {
	Addr   netip.Prefix
	Router netip.Addr // invalid: none
	DNS    netip.Addr // the first; invalid: none
	Server netip.Addr
	Time   time.Duration
}

// ErrNoServer is how a client ends whose requests nobody answered.
var ErrNoServer = errors.New("no DHCP server answered")

// The waits of a client: four tries, as Windows makes before it gives itself
// an address of its own. That address (APIPA), and the attempts that follow
// every five minutes, are not modelled.
const (
	dhcpFirstWait = 4 * time.Second // doubled for every try
	dhcpTries     = 4
)

type dhcpState uint8

const (
	dhcpSelecting dhcpState = iota
	dhcpRequesting
	dhcpBound
	dhcpRenewing
	dhcpStopped
)

// DHCPClient configures an interface from a DHCPv4 server (rule TR-03). It
// asks with the interface's own MAC, by broadcast.
type DHCPClient struct {
	s      *Stack
	i      *Interface
	state  dhcpState
	xid    uint32
	offer  Lease
	lease  Lease
	until  int64 // end of the lease
	err    error
	tries  int
	timer  Timer
	told   bool
	onDone func(now int64, c *DHCPClient)
}

// StartDHCP starts a client on the interface, in place of one that runs there.
// done, which may be nil, is called once: when the address is there, or when
// no server answered.
func (s *Stack) StartDHCP(now int64, i *Interface, done func(now int64, c *DHCPClient)) *DHCPClient {
	if i.client != nil {
		i.client.Stop()
	}
	c := &DHCPClient{s: s, i: i, onDone: done}
	i.client = c
	c.discover(now)
	return c
}

// Lease is what the interface was configured with; ok is false while it is
// not.
func (c *DHCPClient) Lease() (l Lease, ok bool) {
	return c.lease, c.state == dhcpBound || c.state == dhcpRenewing
}

// Err is why the client gave up, nil while it has not.
func (c *DHCPClient) Err() error { return c.err }

// Stop ends the client. The address stays.
func (c *DHCPClient) Stop() {
	c.state = dhcpStopped
	c.wait(0, nil)
	if c.i.client == c {
		c.i.client = nil
	}
}

func (c *DHCPClient) wait(d time.Duration, fn func(now int64)) {
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
	if fn != nil {
		c.timer = c.s.cfg.Timers.After(d, fn)
	}
}

// discover begins anew.
func (c *DHCPClient) discover(now int64) {
	c.state, c.tries = dhcpSelecting, 0
	c.xid = c.s.rand.Uint32()
	c.try(now)
}

// try sends the message of the present state and waits for the answer.
func (c *DHCPClient) try(now int64) {
	if c.tries >= dhcpTries {
		c.fail(now)
		return
	}
	c.wait(dhcpFirstWait<<c.tries, c.try)
	c.tries++
	switch c.state {
	case dhcpSelecting:
		c.broadcast(now, wire.DHCPDiscoverFrame(c.i.cfg.MAC, c.xid))
	case dhcpRequesting:
		c.broadcast(now, wire.DHCPRequestFrame(c.i.cfg.MAC, c.xid, c.offer.Addr.Addr(), c.offer.Server))
	case dhcpRenewing:
		m := wire.DHCPFields{
			Type: wire.DHCPRequest, XID: c.xid, ClientMAC: c.i.cfg.MAC, ClientIP: c.lease.Addr.Addr(),
		}
		// A route that is gone shows as a lease that runs out.
		_, _, _ = c.s.SendUDP(now, UDPOptions{
			Src:     netip.AddrPortFrom(c.lease.Addr.Addr(), wire.DHCPClientPort),
			Dst:     netip.AddrPortFrom(c.lease.Server, wire.DHCPServerPort),
			Payload: m.Build(),
		})
	}
}

// broadcast sends without route and neighbour: there is no address yet.
func (c *DHCPClient) broadcast(now int64, f *wire.Frame) {
	f.IP.TTL, f.IP.ID = c.s.cfg.TTL, c.s.nextIPID()
	c.i.transmit(now, f.Bytes(), c.s.newID())
}

// fail ends a series of tries.
func (c *DHCPClient) fail(now int64) {
	switch {
	case c.state == dhcpRequesting: // the server that made the offer is gone
		c.discover(now)
	case c.state == dhcpRenewing && now < c.until:
		c.wait(time.Duration(c.until-now), c.expire)
	case c.state == dhcpRenewing:
		c.expire(now)
	default:
		c.err = fmt.Errorf("interface %s: %w", c.i.cfg.Name, ErrNoServer)
		c.Stop()
		c.done(now)
	}
}

func (c *DHCPClient) done(now int64) {
	if !c.told && c.onDone != nil {
		c.told = true
		c.onDone(now, c)
	}
}

// expire gives the address back and asks for one again.
func (c *DHCPClient) expire(now int64) {
	c.unconfigure()
	c.discover(now)
}

func (c *DHCPClient) unconfigure() {
	if !c.lease.Addr.IsValid() {
		return
	}
	c.i.RemoveAddr(c.lease.Addr.Addr())
	if c.lease.Router.IsValid() {
		c.s.RemoveRoute(defaultRoute4, c.lease.Router)
	}
	c.lease = Lease{}
}

var defaultRoute4 = netip.PrefixFrom(netip.IPv4Unspecified(), 0)

// configuring reports whether a packet for an address that is not ours may
// still be: a server's message to the address that it assigns.
func (i *Interface) configuring(p *vfp.Packet) bool {
	m := &p.Meta
	return i.client != nil && m.IsIPv4 && m.HasL4 && m.Proto == wire.ProtoUDP && m.DstPort == wire.DHCPClientPort
}

// dhcpInput gives DHCP messages to client or server. It reports false for
// everything else.
func (s *Stack) dhcpInput(now int64, in *Interface, port uint16, payload []byte) bool {
	d := wire.DHCP(payload)
	switch {
	case port == wire.DHCPClientPort && in.client != nil:
		if d.IsValid() && d.Op() == wire.DHCPBootReply {
			in.client.input(now, d)
		}
		return true
	case port == wire.DHCPServerPort && in.server != nil:
		if d.IsValid() && d.Op() == wire.DHCPBootRequest {
			in.server.input(now, d)
		}
		return true
	}
	return false
}

func (c *DHCPClient) input(now int64, d wire.DHCP) {
	if d.XID() != c.xid || d.ClientMAC() != c.i.cfg.MAC {
		return
	}
	switch kind := d.Type(); {
	case kind == wire.DHCPOffer && c.state == dhcpSelecting:
		if l, ok := readLease(d); ok {
			c.offer = l
			c.state, c.tries = dhcpRequesting, 0
			c.try(now)
		}
	case kind == wire.DHCPAck && (c.state == dhcpRequesting || c.state == dhcpRenewing):
		if l, ok := readLease(d); ok {
			c.bind(now, l)
		}
	case kind == wire.DHCPNak && (c.state == dhcpRequesting || c.state == dhcpRenewing):
		c.unconfigure()
		c.discover(now)
	}
}

// bind configures the interface and sets the time of renewal, half the lease.
func (c *DHCPClient) bind(now int64, l Lease) {
	if l.Addr != c.lease.Addr || l.Router != c.lease.Router {
		c.unconfigure()
		if err := c.i.AddAddr(l.Addr); err != nil {
			c.err = err
			c.Stop()
			c.done(now)
			return
		}
		if l.Router.IsValid() {
			// A router that is not on the link is of no use, but no reason to
			// go without address.
			_ = c.s.AddRoute(Route{Dst: defaultRoute4, Via: l.Router})
		}
	}
	c.lease, c.state, c.tries = l, dhcpBound, 0
	c.until = now + int64(l.Time)
	c.wait(l.Time/2, func(now int64) {
		c.state, c.tries = dhcpRenewing, 0
		c.xid = c.s.rand.Uint32()
		c.try(now)
	})
	c.done(now)
}

// readLease takes the lease out of an offer or acknowledgement. Servers that
// do not say give a day and the address alone.
func readLease(d wire.DHCP) (Lease, bool) {
	l := Lease{Time: 24 * time.Hour}
	length := 32
	if mask, ok := d.OptionIP(wire.DHCPOptSubnetMask); ok {
		length = bits.LeadingZeros32(^mask)
	}
	l.Addr = netip.PrefixFrom(wire.AddrFrom4(d.YourIP()), length)
	if a, ok := d.OptionIP(wire.DHCPOptRouter); ok {
		l.Router = wire.AddrFrom4(a)
	}
	if a, ok := d.OptionIP(wire.DHCPOptDNS); ok {
		l.DNS = wire.AddrFrom4(a)
	}
	if sec, ok := d.LeaseSec(); ok && sec > 0 {
		l.Time = time.Duration(sec) * time.Second
	}
	id := d.Option(wire.DHCPOptServerID)
	if len(id) != 4 || l.Addr.Addr().IsUnspecified() || l.Addr.Addr().IsMulticast() {
		return l, false
	}
	l.Server = wire.AddrFrom4(binary.BigEndian.Uint32(id))
	return l, true
}
