package linux

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/wire"
)

// advertiser is a router's answer to router solicitations on one interface
// (RFC 4861 section 6.2): the kernel routes, but leaves it to a program to say so.
type advertiser struct {
	fd     int
	index  int
	advert []byte // the ICMPv6 message; the kernel adds the checksum
}

// Lifetimes that RFC 4861 section 6.2.1 proposes.
const (
	routerFor    = 1800 * time.Second
	prefixFor    = 30 * 24 * time.Hour
	preferredFor = 7 * 24 * time.Hour
)

var allRouters, allNodes = netip.MustParseAddr("ff02::2"), netip.MustParseAddr("ff02::1")

// advertise lets a router tell its IPv6 prefixes to whoever asks.
func (w *world) advertise(nd *node) error {
	for _, c := range nd.nics {
		prefixes := c.prefixes6()
		if len(prefixes) == 0 {
			continue
		}
		a := &advertiser{fd: -1, advert: routerAdvert(c.mac, prefixes)}
		err := a.open(nd.space, c.stack)
		if a.fd >= 0 {
			w.loop.add(a) // which closes it
		}
		if err != nil {
			return fmt.Errorf("router advertisements of %s: %w", nd.spec.Name, err)
		}
	}
	return nil
}

func (c *nic) prefixes6() []netip.Prefix {
	return without(c.addrs, func(p netip.Prefix) bool { return p.Addr().Is4() || p.Addr().IsLinkLocalUnicast() })
}

// routerAdvert leaves hop limit, MTU and times to those who hear it.
func routerAdvert(mac wire.MAC, prefixes []netip.Prefix) []byte {
	nd := &wire.NDFields{Type: wire.ICMP6RouterAdv, LifetimeSec: uint16(routerFor / time.Second), SourceLL: mac}
	for _, p := range prefixes {
		nd.Prefixes = append(nd.Prefixes, wire.NDPrefix{Addr: wire.Addr16(p.Masked().Addr()), Bits: uint8(p.Bits()), OnLink: true, Autonomous: true,
			ValidSec: uint32(prefixFor / time.Second), PreferredSec: uint32(preferredFor / time.Second)})
	}
	f := wire.Frame{IP: &wire.IPFields{Src: netip.IPv6LinkLocalAllNodes(), Dst: allNodes}, ND: nd}
	return f.Bytes()[wire.EthernetLen+wire.IPv6Len:]
}

func (a *advertiser) open(in *space, dev string) error {
	l, err := in.link(dev)
	if err != nil {
		return err
	}
	a.index = l.Attrs().Index
	return in.do(func() error {
		fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMPV6)
		if err != nil {
			return err
		}
		a.fd = fd
		all := ^uint32(0)
		filter := unix.ICMPv6Filter{Data: [8]uint32{all, all, all, all, all, all, all, all}} // a set bit keeps a type away
		filter.Data[wire.ICMP6RouterSol/32] &^= 1 << (wire.ICMP6RouterSol % 32)
		const hops = 255 // what came through a router counts for nothing
		return errors.Join(
			unix.SetsockoptICMPv6Filter(fd, unix.IPPROTO_ICMPV6, unix.ICMPV6_FILTER, &filter),
			unix.BindToDevice(fd, dev),
			unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, hops),
			unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_LOOP, 0),
			unix.SetsockoptIPv6Mreq(fd, unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP, &unix.IPv6Mreq{Multiaddr: allRouters.As16(), Interface: uint32(a.index)}))
	})
}

func (a *advertiser) descriptor() (int, int16) { return a.fd, unix.POLLIN }

// ready answers everybody who has asked at once.
func (a *advertiser) ready(l *loop) (bool, error) {
	asked := false
	for {
		_, _, err := unix.Recvfrom(a.fd, l.buf, 0)
		if errors.Is(err, unix.EAGAIN) {
			break
		}
		if err != nil {
			return asked, fmt.Errorf("router solicitations: %w", err)
		}
		asked = true
	}
	if !asked {
		return false, nil
	}
	to := &unix.SockaddrInet6{Addr: allNodes.As16(), ZoneId: uint32(a.index)}
	if err := unix.Sendto(a.fd, a.advert, 0, to); err != nil {
		return true, fmt.Errorf("a router advertisement: %w", err)
	}
	return true, nil
}

// autoconfigure lets a container of a transparent network take the prefixes
// that a router of its segment advertises (rule TR-03). Elsewhere IPv6 stays off.
func (h *host) autoconfigure(p *port) error {
	u := p.e.net.uplink
	if p.e.net.kind != hcn.Transparent || u == nil || !h.w.advertised(h.w.nodes[h.name].nics, u) {
		return nil
	}
	for _, kv := range [][2]string{{"autoconf", "1"}, {"accept_ra", "1"}, {"router_solicitation_delay", "0"}, {"router_solicitations", "3"}, {"disable_ipv6", "0"}} {
		if err := p.in.sysctl("net/ipv6/conf/"+p.nic+"/"+kv[0], kv[1]); err != nil {
			return err
		}
	}
	return nil
}

// advertised reports whether a router advertises on the segment of an uplink.
func (w *world) advertised(nics []*nic, u *uplink) bool {
	for _, name := range w.order {
		nd := w.nodes[name]
		if nd.spec.Kind != backends.RouterNode {
			continue
		}
		for _, c := range nd.nics {
			for _, own := range nics {
				if own.dev == u.nic && own.segment == c.segment && len(c.prefixes6()) > 0 {
					return true
				}
			}
		}
	}
	return false
}
