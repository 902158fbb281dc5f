package ipstack

import (
	"fmt"
	"net/netip"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// InterfaceConfig describes a network interface.
type InterfaceConfig struct {
	Name  string
	MAC   wire.MAC
	MTU   int            // longest IP packet in bytes; 0 is 1500
	Addrs []netip.Prefix // addresses with the length of their prefix
	// Transmit takes frames that leave. It may call back into the stack. frame
	// is valid during the call only. Nil: everything sent is dropped LinkDown.
	Transmit   func(now int64, frame []byte, id uint64)
	Forwarding bool // packets may be routed between this and other forwarding interfaces
	NoIPv6     bool // no link-local address, IPv6 frames are ignored
	AcceptRA   bool // configure addresses and default route from router advertisements
	Down       bool
}

// Interface is a stack's end of a link.
type Interface struct {
	s      *Stack
	cfg    InterfaceConfig
	addrs  []netip.Prefix // as configured, link-local last
	lo     bool
	gone   bool
	client *DHCPClient
	server *DHCPServer
	ra     raConfig
	tap    *Tap // takes the frames in the stack's place
}

// maxInterfaces bounds the interfaces of a stack.
const maxInterfaces = 1024

const defaultMTU = 1500

// AddInterface adds an interface; its name must be new.
func (s *Stack) AddInterface(cfg InterfaceConfig) (*Interface, error) {
	if cfg.MTU <= 0 {
		cfg.MTU = defaultMTU
	}
	if s.Interface(cfg.Name) != nil {
		return nil, fmt.Errorf("stack %s has an interface %q already", s.cfg.Name, cfg.Name)
	}
	if len(s.ifaces) >= maxInterfaces {
		return nil, fmt.Errorf("stack %s has %d interfaces already", s.cfg.Name, len(s.ifaces))
	}
	addrs := cfg.Addrs
	cfg.Addrs = nil
	i := &Interface{s: s, cfg: cfg}
	for n, a := range addrs {
		if err := i.AddAddr(a); err != nil {
			for _, done := range addrs[:n] {
				i.RemoveAddr(done.Addr())
			}
			return nil, err
		}
	}
	if !cfg.NoIPv6 {
		// A MAC in use twice shows as an error of whatever needs the address.
		_ = i.AddAddr(netip.PrefixFrom(linkLocal(cfg.MAC), 64))
	}
	s.ifaces = append(s.ifaces, i)
	s.changed()
	return i, nil
}

func newLoopback(s *Stack) *Interface {
	i := &Interface{s: s, lo: true, cfg: InterfaceConfig{Name: "Loopback", MTU: 65535}}
	for _, a := range []string{"127.0.0.1/8", "::1/128"} {
		p := netip.MustParsePrefix(a)
		i.addrs = append(i.addrs, p)
		s.own[p.Addr()] = i
	}
	return i
}

// Interface is the interface of that name, or nil.
func (s *Stack) Interface(name string) *Interface {
	for _, i := range s.ifaces {
		if i.cfg.Name == name {
			return i
		}
	}
	return nil
}

// Interfaces are all interfaces but the loopback, in the order of their making.
func (s *Stack) Interfaces() []*Interface { return append([]*Interface(nil), s.ifaces...) }

// RemoveInterface takes an interface away with its addresses, routes and
// neighbours. What waited for a neighbour there is dropped.
func (s *Stack) RemoveInterface(now int64, name string) {
	i := s.Interface(name)
	if i == nil {
		return
	}
	for n, o := range s.ifaces {
		if o == i {
			s.ifaces = append(s.ifaces[:n:n], s.ifaces[n+1:]...)
			s.changed()
			break
		}
	}
	i.gone = true
	if i.client != nil {
		i.client.Stop()
	}
	for _, a := range i.Addrs() {
		i.RemoveAddr(a.Addr())
	}
	s.dropRoutes(i)
	s.flushNeighbors(now, i)
}

// Name is the interface's name.
func (i *Interface) Name() string { return i.cfg.Name }

// Stack is the stack that the interface belongs to.
func (i *Interface) Stack() *Stack { return i.s }

// MAC is the interface's hardware address.
func (i *Interface) MAC() wire.MAC { return i.cfg.MAC }

// MTU is the longest IP packet, in bytes.
func (i *Interface) MTU() int { return i.cfg.MTU }

// SetMTU changes the MTU; what is not positive means 1500.
func (i *Interface) SetMTU(mtu int) {
	if mtu <= 0 {
		mtu = defaultMTU
	}
	i.cfg.MTU = mtu
	i.s.changed()
}

// Up reports whether the interface takes part in anything.
func (i *Interface) Up() bool { return !i.cfg.Down && !i.gone }

// SetUp switches the interface. Addresses and routes stay; routes through an
// interface that is down are passed over.
func (i *Interface) SetUp(up bool) {
	i.cfg.Down = !up
	i.s.changed()
}

// SetForwarding lets packets be routed between this interface and others that
// forward (rule L2B-11).
func (i *Interface) SetForwarding(on bool) {
	i.cfg.Forwarding = on
	i.s.changed()
}

// SetMAC changes the hardware address. Addresses stay, the link-local one too.
func (i *Interface) SetMAC(m wire.MAC) {
	i.cfg.MAC = m
	i.s.changed()
}

// IsLoopback reports whether nothing leaves the stack here.
func (i *Interface) IsLoopback() bool { return i.lo }

// Addrs are the addresses with their prefix lengths, in order of addition.
func (i *Interface) Addrs() []netip.Prefix { return append([]netip.Prefix(nil), i.addrs...) }

// AddAddr gives the interface an address and the route to its prefix. An
// address belongs to one interface of a stack only.
func (i *Interface) AddAddr(p netip.Prefix) error {
	a := p.Addr().WithZone("")
	if !p.IsValid() || a.IsUnspecified() || a.IsMulticast() || a.Is4In6() {
		return fmt.Errorf("interface %s: %s is not a station address with prefix length", i.cfg.Name, p)
	}
	if a.IsLinkLocalUnicast() && a.Is6() {
		// A link-local address is only known on its own link: the same one may
		// be on several interfaces.
		if i.hasAddr(a) {
			return nil
		}
	} else if o := i.s.own[a]; o != nil {
		return fmt.Errorf("interface %s: address %s is on %s already", i.cfg.Name, a, o.cfg.Name)
	}
	if i.s.own[a] == nil {
		i.s.own[a] = i
	}
	i.addrs = append(i.addrs, netip.PrefixFrom(a, p.Bits()))
	i.s.changed()
	i.s.addConnected(i, p.Masked())
	return nil
}

// RemoveAddr takes an address away, and the route to its prefix unless
// another address of the interface needs it.
func (i *Interface) RemoveAddr(a netip.Addr) {
	a = a.WithZone("")
	for n, p := range i.addrs {
		if p.Addr() != a {
			continue
		}
		i.addrs = append(i.addrs[:n:n], i.addrs[n+1:]...)
		i.s.changed()
		if i.s.own[a] == i {
			delete(i.s.own, a)
			i.s.reclaim(a)
		}
		for _, o := range i.addrs {
			if o.Masked() == p.Masked() {
				return
			}
		}
		i.s.dropConnected(i, p.Masked())
		return
	}
}

// reclaim lets another interface with the same link-local address have it.
func (s *Stack) reclaim(a netip.Addr) {
	for _, o := range s.ifaces {
		if o.hasAddr(a) {
			s.own[a] = o
			return
		}
	}
}

func (i *Interface) hasAddr(a netip.Addr) bool {
	for _, p := range i.addrs {
		if p.Addr() == a {
			return true
		}
	}
	return false
}

// addrFor is the address that the interface uses towards peer: one whose
// prefix holds it, else one of the same scope, else any of its family.
func (i *Interface) addrFor(peer netip.Addr) netip.Addr {
	var scope, family netip.Addr
	local := peer.IsLinkLocalUnicast() || peer.IsLinkLocalMulticast()
	for _, p := range i.addrs {
		a := p.Addr()
		if a.Is4() != peer.Is4() {
			continue
		}
		if p.Contains(peer) {
			return a
		}
		if !scope.IsValid() && a.IsLinkLocalUnicast() == local {
			scope = a
		}
		if !family.IsValid() {
			family = a
		}
	}
	if scope.IsValid() {
		return scope
	}
	return family
}

// isBroadcast reports whether a is the limited broadcast address or that of
// one of the interface's prefixes.
func (i *Interface) isBroadcast(a netip.Addr) bool {
	if !a.Is4() {
		return false
	}
	v := wire.Addr4(a)
	if v == 0xffffffff {
		return true
	}
	for _, p := range i.addrs {
		if p.Addr().Is4() && p.Bits() < 31 && p.Contains(a) {
			host := uint32(1)<<(32-p.Bits()) - 1
			if v&host == host {
				return true
			}
		}
	}
	return false
}

// Accepts reports whether the interface's filter lets the frame in: its own
// MAC or a multicast, and no VLAN.
func (i *Interface) Accepts(frame []byte) bool {
	e := wire.Ethernet(frame)
	return e.IsValid() && i.accepts(e.Dst()) && !(e.Tagged() && e.TCI().ID() != 0)
}

// accepts is the MAC filter: multicasts of all groups pass, since group
// membership is not modelled.
func (i *Interface) accepts(dst wire.MAC) bool { return dst == i.cfg.MAC || dst.IsMulticast() }

// transmit sends a complete frame.
func (i *Interface) transmit(now int64, frame []byte, id uint64) {
	if !i.Up() || i.cfg.Transmit == nil {
		i.s.dropFrame(now, i.cfg.Name, vfp.DropLinkDown, frame, id)
		return
	}
	if f := i.s.cfg.Observer.OnSend; f != nil {
		f(now, i.cfg.Name, frame, id)
	}
	i.cfg.Transmit(now, frame, id)
}

// linkLocal is the link-local address of a MAC by modified EUI-64 (RFC 4291).
func linkLocal(m wire.MAC) netip.Addr {
	return eui64(netip.MustParsePrefix("fe80::/64"), m)
}

func eui64(p netip.Prefix, m wire.MAC) netip.Addr {
	b := p.Masked().Addr().As16()
	copy(b[8:], m[:3])
	b[8] ^= 2
	b[11], b[12] = 0xff, 0xfe
	copy(b[13:], m[3:])
	return netip.AddrFrom16(b)
}
