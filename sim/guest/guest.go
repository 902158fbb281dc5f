package guest

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/link/loopback"
	"gvisor.dev/gvisor/pkg/tcpip/network/arp"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"

	"github.com/hnsim/hnsim/sim"
	"github.com/hnsim/hnsim/sim/fabric/ipstack"
)

// Guest is a machine with a TCP/IP stack: a container or an external machine.
// Its methods, and the connections it makes, are used from any goroutine.
type Guest struct {
	run    *Runner
	name   string
	stack  *stack.Stack
	links  []*link
	web    *http.Transport
	once   sync.Once   // Close
	closed atomic.Bool // Close has begun
	ended  atomic.Bool // Close is done: timers that are left do nothing
}

// Attach is NewRunner with guests from the start, in the order of their
// places. After an error the world is the caller's as before.
func Attach(w *sim.World, places ...Place) (*Runner, []*Guest, error) {
	r, err := NewRunner(w, Config{})
	if err != nil {
		return nil, nil, err
	}
	var guests []*Guest
	for _, p := range places {
		g, err := r.Attach(p)
		if err != nil {
			return nil, nil, errors.Join(err, r.Close())
		}
		guests = append(guests, g)
	}
	return r, guests, nil
}

// Attach gives a machine a full TCP/IP stack in place of its small one. The
// guest has the addresses, MTU and IPv4 routes that the machine has at this
// moment; it takes over every interface with an IPv4 address. A machine has
// one guest at most.
func (r *Runner) Attach(p Place) (*Guest, error) {
	var g *Guest
	var err error
	if lost := r.Do(func(int64) { g, err = r.attach(p) }); lost != nil {
		return nil, fmt.Errorf("guest.Attach: %w", lost)
	}
	if err != nil {
		return nil, fmt.Errorf("guest.Attach: %w", err)
	}
	return g, nil
}

// attach runs in the pump.
func (r *Runner) attach(p Place) (*Guest, error) {
	if r.closing {
		return nil, ErrClosed
	}
	small, err := p.stack()
	if err != nil {
		return nil, err
	}
	g := &Guest{run: r, name: small.Name()}
	g.web = g.transport()
	g.stack = stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{arp.NewProtocol, ipv4.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocolCUBIC, udp.NewProtocol},
		Clock:              guestClock{r.clock, &g.ended},
		HandleLocal:        true,
	})
	if err := g.build(small); err != nil {
		g.unplug()
		g.release()
		g.shut()
		return nil, fmt.Errorf("%s: %w", g.name, err)
	}
	r.active = append(r.active, g)
	return g, nil
}

// Ephemeral ports as on Windows, and what bounds a TCP window: a window must
// fit a link's ring, or every transfer would begin with losses.
const (
	ephemeralLo, ephemeralHi = 49152, 65535
	maxWindow                = 1 << 20
	// minRTO is the shortest retransmission timeout, as Windows has it for
	// round trips of less than 10 ms (template Datacenter).
	minRTO = 60 * time.Millisecond
)

// build configures the stack and takes over the interfaces.
func (g *Guest) build(small *ipstack.Stack) error {
	// On round trips as short as here, flows with gVisor's RACK all but stop
	// after a loss (google/gvisor issues 6113, 9778): a transfer of 10 MB with
	// 1 % loss took minutes. SACK alone does well.
	noRACK, rto := tcpip.TCPRecovery(0), tcpip.TCPMinRTOOption(minRTO)
	for _, o := range []tcpip.SettableTransportProtocolOption{
		&noRACK, &rto,
		&tcpip.TCPSendBufferSizeRangeOption{Min: tcp.MinBufferSize, Default: maxWindow, Max: maxWindow},
		&tcpip.TCPReceiveBufferSizeRangeOption{Min: tcp.MinBufferSize, Default: maxWindow, Max: maxWindow},
	} {
		if err := g.stack.SetTransportProtocolOption(tcp.ProtocolNumber, o); err != nil {
			return errors.New(err.String())
		}
	}
	ttl := tcpip.DefaultTTLOption(ipstack.DefaultTTL)
	if err := g.stack.SetNetworkProtocolOption(ipv4.ProtocolNumber, &ttl); err != nil {
		return errors.New(err.String())
	}
	if err := g.stack.SetPortRange(ephemeralLo, ephemeralHi); err != nil {
		return errors.New(err.String())
	}
	nics := map[string]tcpip.NICID{}
	for _, i := range small.Interfaces() {
		addrs := slices.DeleteFunc(i.Addrs(), func(p netip.Prefix) bool { return !p.Addr().Is4() })
		if len(addrs) == 0 || !i.Up() {
			continue
		}
		nic := tcpip.NICID(len(g.links) + 1)
		nics[i.Name()] = nic
		if err := g.plug(nic, i, addrs); err != nil {
			return fmt.Errorf("interface %s: %w", i.Name(), err)
		}
	}
	if len(g.links) == 0 {
		return errors.New("no interface with an IPv4 address")
	}
	if err := g.loopback(tcpip.NICID(len(g.links) + 1)); err != nil {
		return err
	}
	for _, r := range small.Routes() {
		nic, ok := nics[r.Iface]
		if !ok || !r.Dst.Addr().Is4() {
			continue
		}
		route := tcpip.Route{Destination: subnet(r.Dst), NIC: nic}
		if r.Via.IsValid() {
			route.Gateway = tcpip.AddrFrom4(r.Via.As4())
		}
		g.stack.AddRoute(route) // best first, as the small stack lists them
	}
	return nil
}

// plug makes an interface of the machine one of gVisor's.
func (g *Guest) plug(nic tcpip.NICID, i *ipstack.Interface, addrs []netip.Prefix) error {
	l := newLink(i.MAC(), i.MTU(), g.run.queue, g.run.wake)
	tap, err := i.Tap(l.fromWorld)
	if err != nil {
		return err
	}
	l.tap = tap
	g.links = append(g.links, l)
	go l.deliver()
	if err := g.stack.CreateNICWithOptions(nic, l, stack.NICOptions{Name: i.Name()}); err != nil {
		return errors.New(err.String())
	}
	for _, a := range addrs {
		if err := g.address(nic, a); err != nil {
			return err
		}
	}
	return nil
}

// loopback adds 127/8, which never leaves a compartment (rule CMP-05).
func (g *Guest) loopback(nic tcpip.NICID) error {
	if err := g.stack.CreateNICWithOptions(nic, loopback.New(), stack.NICOptions{Name: "Loopback"}); err != nil {
		return errors.New(err.String())
	}
	p := netip.MustParsePrefix("127.0.0.1/8")
	g.stack.AddRoute(tcpip.Route{Destination: subnet(p), NIC: nic})
	return g.address(nic, p)
}

func (g *Guest) address(nic tcpip.NICID, p netip.Prefix) error {
	a := tcpip.ProtocolAddress{
		Protocol:          ipv4.ProtocolNumber,
		AddressWithPrefix: tcpip.AddressWithPrefix{Address: tcpip.AddrFrom4(p.Addr().As4()), PrefixLen: p.Bits()},
	}
	if err := g.stack.AddProtocolAddress(nic, a, stack.AddressProperties{}); err != nil {
		return fmt.Errorf("%s: %s", p, err)
	}
	return nil
}

func subnet(p netip.Prefix) tcpip.Subnet {
	return tcpip.AddressWithPrefix{Address: tcpip.AddrFrom4(p.Masked().Addr().As4()), PrefixLen: p.Bits()}.Subnet()
}

// Name is the machine's name.
func (g *Guest) Name() string { return g.name }

// Stats count the frames of a guest's interfaces.
type Stats struct {
	Sent     uint64 // into the world
	Received uint64 // from the world
	Waited   uint64 // times that a sender waited for room
	Lost     uint64 // not sent: the interface or the guest was gone
	Overrun  uint64 // not received: the guest did not keep up
}

// Stats are the guest's counters so far.
func (g *Guest) Stats() Stats {
	var s Stats
	for _, l := range g.links {
		s.Sent += l.counters.sent.Load()
		s.Received += l.counters.received.Load()
		s.Waited += l.counters.waited.Load()
		s.Lost += l.counters.lost.Load()
		s.Overrun += l.counters.overrun.Load()
	}
	return s
}

// Close ends all connections and listeners of the guest, with resets for the
// peers, and gives the machine back to its small stack. Calls that wait return
// errors. Closing again is harmless.
func (g *Guest) Close() error {
	g.once.Do(func() {
		g.closed.Store(true)
		g.web.CloseIdleConnections()
		g.stack.Close()
		_ = g.run.Do(func(now int64) { // a pump that has failed has done it already
			g.flush(now)
			g.release()
			g.run.active = slices.DeleteFunc(g.run.active, func(o *Guest) bool { return o == g })
		})
		g.unplug()
		g.shut()
	})
	return nil
}

// flush sends the last frames: the resets. It runs in the pump.
func (g *Guest) flush(now int64) {
	for _, l := range g.links {
		for l.drain(now) {
		}
	}
}

// release gives the interfaces back. It runs in the pump.
func (g *Guest) release() {
	for _, l := range g.links {
		l.tap.Release()
	}
}

func (g *Guest) unplug() {
	for _, l := range g.links {
		l.unplug()
	}
}

// shut waits for everything that the guest has started. Its links are cut.
func (g *Guest) shut() {
	for _, l := range g.links {
		<-l.done
	}
	g.stack.Destroy()
	for _, l := range g.links {
		l.discard()
	}
	g.ended.Store(true)
}
