package linux

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/hnsim/hnsim/sim/wire"
)

// end is one end of a pair of virtual Ethernet interfaces.
type end struct {
	in   *space
	name string
	mac  wire.MAC // zero: the kernel chooses
}

// wirePair joins two namespaces by a pair of interfaces, both up, without
// offloads, so that what a capture shows is what a wire would carry.
func wirePair(a, b end, mtu int) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU = a.name, mtu
	if !a.mac.IsZero() {
		attrs.HardwareAddr = a.mac[:]
	}
	pair := netlink.NewVeth(attrs)
	pair.PeerName, pair.PeerNamespace, pair.PeerMTU = b.name, netlink.NsFd(int(b.in.handle)), uint32(mtu)
	if !b.mac.IsZero() {
		pair.PeerHardwareAddr = b.mac[:]
	}
	if err := a.in.nl.LinkAdd(pair); err != nil {
		return fmt.Errorf("interfaces %s in %s and %s in %s: %w", a.name, a.in.name, b.name, b.in.name, err)
	}
	for _, e := range []end{a, b} {
		if err := e.in.noOffloads(e.name); err != nil {
			return err
		}
		if err := e.in.up(e.name); err != nil {
			return err
		}
	}
	return nil
}

// bridge makes a bridge without spanning tree, snooping and offloads. forwardAll
// makes it pass on what bridges otherwise keep: it then stands for a wire.
func (s *space) bridge(name string, mac wire.MAC, mtu int, forwardAll bool) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU = name, mtu
	if !mac.IsZero() {
		attrs.HardwareAddr = mac[:]
	}
	off := false
	b := &netlink.Bridge{LinkAttrs: attrs, MulticastSnooping: &off, AgeingTime: s.ageing}
	if forwardAll {
		mask := uint16(0xfff8) // all reserved addresses that the kernel lets one forward
		b.GroupFwdMask = &mask
	}
	if err := s.nl.LinkAdd(b); err != nil {
		return fmt.Errorf("bridge %s in %s: %w", name, s.name, err)
	}
	// Once changed it stays, whatever MTU the ports have.
	if err := s.with(name, "MTU", func(l netlink.Link) error { return errors.Join(s.nl.LinkSetMTU(l, mtu-1), s.nl.LinkSetMTU(l, mtu)) }); err != nil {
		return err
	}
	if err := s.noOffloads(name); err != nil {
		return err
	}
	return s.up(name)
}

func (s *space) link(name string) (netlink.Link, error) {
	l, err := s.nl.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("interface %s in %s: %w", name, s.name, err)
	}
	return l, nil
}

// with runs f on an interface by name.
func (s *space) with(name, what string, f func(netlink.Link) error) error {
	l, err := s.link(name)
	if err != nil {
		return err
	}
	if err := f(l); err != nil {
		return fmt.Errorf("%s of %s in %s: %w", what, name, s.name, err)
	}
	return nil
}

// up finishes a device: it gets its owner's alias and goes up.
func (s *space) up(name string) error {
	return s.with(name, "bringing up", func(l netlink.Link) error {
		return errors.Join(s.nl.LinkSetAlias(l, Owner), s.nl.LinkSetUp(l))
	})
}

func (s *space) remove(name string) error { return s.with(name, "removal", s.nl.LinkDel) }

// enslave makes an interface a port of a bridge. A fixed port learns no
// addresses and gets no frames for unknown ones: the switch's table is static
// (rules VS-10 to VS-12).
func (s *space) enslave(name, bridge string, fixed bool) error {
	b, err := s.link(bridge)
	if err != nil {
		return err
	}
	return s.with(name, "joining "+bridge, func(l netlink.Link) error {
		if err := s.nl.LinkSetMaster(l, b); err != nil || !fixed {
			return err
		}
		if err := s.nl.LinkSetLearning(l, false); err != nil {
			return err
		}
		return s.nl.LinkSetFlood(l, false)
	})
}

// echoes lets a bridge port send back what it received: rules turn ARP requests
// into replies.
func (s *space) echoes(port string) error {
	return s.with(port, "hairpin mode", func(l netlink.Link) error { return s.nl.LinkSetHairpin(l, true) })
}

// static enters an address of a bridge's table at a port.
func (s *space) static(port string, mac wire.MAC) error {
	return s.with(port, "address table", func(l netlink.Link) error {
		return s.nl.NeighSet(&netlink.Neigh{LinkIndex: l.Attrs().Index, Family: unix.AF_BRIDGE,
			Flags: netlink.NTF_MASTER, State: netlink.NUD_NOARP, HardwareAddr: net.HardwareAddr(mac[:])})
	})
}

// address gives an interface an address. IPv6, which is off, goes on for it.
func (s *space) address(name string, p netip.Prefix) error {
	if p.Addr().Is6() {
		if err := s.sysctl("net/ipv6/conf/"+name+"/disable_ipv6", "0"); err != nil {
			return err
		}
	}
	return s.with(name, "address "+p.String(), func(l netlink.Link) error {
		a := &netlink.Addr{IPNet: ipNet(p), Flags: unix.IFA_F_NODAD}
		return s.nl.AddrReplace(l, a)
	})
}

// route enters a route through an interface; via may be invalid for what is on
// the link.
func (s *space) route(name string, dst netip.Prefix, via netip.Addr) error {
	return s.limit(name, dst, via, 0)
}

// limit enters a route with an MTU; 0 is the interface's.
func (s *space) limit(name string, dst netip.Prefix, via netip.Addr, mtu int) error {
	return s.with(name, "route to "+dst.String(), func(l netlink.Link) error {
		r := &netlink.Route{LinkIndex: l.Attrs().Index, Dst: ipNet(dst), MTU: mtu}
		if via.IsValid() {
			r.Gw = via.AsSlice()
			r.Flags = int(netlink.FLAG_ONLINK)
		} else {
			r.Scope = netlink.SCOPE_LINK
		}
		return s.nl.RouteReplace(r)
	})
}

// neighbour enters a permanent neighbour.
func (s *space) neighbour(name string, ip netip.Addr, mac wire.MAC) error {
	return s.with(name, "neighbour "+ip.String(), func(l netlink.Link) error {
		return s.nl.NeighSet(&netlink.Neigh{LinkIndex: l.Attrs().Index, State: netlink.NUD_PERMANENT,
			IP: ip.AsSlice(), HardwareAddr: net.HardwareAddr(mac[:])})
	})
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// ethtoolValue is struct ethtool_value of linux/ethtool.h.
type ethtoolValue struct{ cmd, data uint32 }

// ifreq is struct ifreq with a pointer in its union.
type ifreq struct {
	name [unix.IFNAMSIZ]byte
	data unsafe.Pointer
	_    [16]byte
}

// Commands of linux/ethtool.h that switch an offload.
const (
	ethtoolSTXCSUM = 0x17
	ethtoolSSG     = 0x19
	ethtoolSTSO    = 0x1f
	ethtoolSGSO    = 0x24
	ethtoolSGRO    = 0x2c
)

// noOffloads makes the kernel finish every packet before it reaches the
// interface: checksums complete, no segment longer than the MTU (VS-43, VS-44).
func (s *space) noOffloads(name string) error {
	return s.do(func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		for _, cmd := range []uint32{ethtoolSTXCSUM, ethtoolSSG, ethtoolSTSO, ethtoolSGSO, ethtoolSGRO} {
			value := ethtoolValue{cmd: cmd}
			req := ifreq{data: unsafe.Pointer(&value)}
			copy(req.name[:unix.IFNAMSIZ-1], name)
			_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req)))
			if errno != 0 && errno != unix.EOPNOTSUPP {
				return fmt.Errorf("offloads of %s in %s: %w", name, s.name, errno)
			}
		}
		return nil
	})
}
