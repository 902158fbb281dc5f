package linux

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/wire"
)

// Do carries out a stimulus and waits until nothing is in flight.
func (w *world) Do(ctx context.Context, s backends.Stimulus) (backends.Outcome, error) {
	if err := w.punctual(); err != nil {
		return backends.Outcome{}, err
	}
	out, err := w.carryOut(ctx, s)
	if out.ID == 0 {
		w.ids++
		out.ID = w.ids
	}
	if s.More && s.Kind == backends.SendPacket && !w.loop.serves() {
		w.behind++
		if err == nil && w.behind%drainEvery == 0 {
			err = errors.Join(w.loop.quiet(time.Millisecond), w.freeze())
		}
		return out, err
	}
	d := quietFor
	if (s.Kind == backends.SendPacket || s.Kind == backends.SendFrame) && !w.loop.serves() {
		d = sendsFor
	}
	return out, errors.Join(err, w.settle(d), w.freeze(), w.giveUp(s.Role))
}

// giveUp ends what a container still asks its neighbours.
func (w *world) giveUp(role string) error {
	if w.containers[role] == nil {
		return nil
	}
	in, _, err := w.role(role)
	if err != nil {
		return nil // it has asked nobody
	}
	return in.giveUp()
}

func (w *world) carryOut(ctx context.Context, s backends.Stimulus) (backends.Outcome, error) {
	if s.Kind == backends.SendFrame {
		return w.sendFrame(s)
	}
	in, dev, err := w.role(s.Role)
	if err != nil {
		return backends.Outcome{}, err
	}
	switch s.Kind {
	case backends.SendPacket:
		return w.sendAll(ctx, in, s)
	case backends.TCPConnect:
		return w.connect(in, s)
	case backends.Ping:
		return w.ping(ctx, in, s)
	case backends.Listen:
		return w.listen(in, s)
	case backends.ARPProbe:
		return w.resolve(in, dev, s)
	case backends.Bind, backends.DHCPStart:
		return backends.Outcome{}, unsupported("%s has no counterpart on the Linux backend", s.Kind)
	}
	return backends.Outcome{}, usage("unknown stimulus %q", s.Kind)
}

// giveUp ends what a namespace still asks its neighbours: on the contract's
// clock everything is over between two stimuli. The kernel would ask again after
// a second, and then send what has waited for the answer.
func (s *space) giveUp() error {
	list, err := s.nl.NeighList(0, unix.AF_UNSPEC)
	if err != nil {
		return fmt.Errorf("neighbours in %s: %w", s.name, err)
	}
	for i := range list {
		if list[i].State&(netlink.NUD_INCOMPLETE|netlink.NUD_FAILED) == 0 {
			continue
		}
		if err := s.nl.NeighDel(&list[i]); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("neighbour %s in %s: %w", list[i].IP, s.name, err)
		}
	}
	return nil
}

// drainEvery is after how many packets the captures are read: without root
// their buffers are small.
const drainEvery = 64

// sendAll sends as many equal packets as the stimulus wants.
func (w *world) sendAll(ctx context.Context, in *space, s backends.Stimulus) (out backends.Outcome, err error) {
	packets, local, err := w.packets(in, s)
	if err != nil {
		return out, err
	}
	out = backends.Outcome{OK: true, Local: local}
	for i := range max(s.Count, 1) {
		if i > 0 && s.Every > 0 {
			if err := w.Advance(ctx, s.Every); err != nil {
				return out, err
			}
		}
		if i > 0 && i%drainEvery == 0 {
			if err := w.loop.quiet(time.Millisecond); err != nil {
				return out, err
			}
		}
		if out.Detail, err = in.sendIP(packets, s.Dst.Addr()); err != nil || out.Detail != "" {
			out.OK = false
			return out, err
		}
	}
	return out, nil
}

// packets builds the packet of a stimulus, in its fragments.
func (w *world) packets(in *space, s backends.Stimulus) ([][]byte, netip.AddrPort, error) {
	src := s.Src.Addr()
	mtu := maxFrame
	if s.Dst.Addr().IsMulticast() || s.Dst.Addr() == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		mtu = defaultMTU
	} else if a, m, ok := in.routeTo(s.Dst.Addr()); ok {
		mtu = m
		if !src.IsValid() {
			src = a
		}
	}
	if !src.IsValid() {
		return nil, netip.AddrPort{}, nil // sending will say that there is no route
	}
	port := s.Src.Port()
	if port == 0 && s.Proto == "udp" {
		w.ephem++
		port = w.ephem
	}
	w.ipID++
	f, err := s.Packet(netip.AddrPortFrom(src, port), w.ipID)
	if err != nil {
		return nil, netip.AddrPort{}, err
	}
	frame, err := f.Build()
	if err != nil {
		return nil, netip.AddrPort{}, usage("send: %v", err)
	}
	frames := [][]byte{frame}
	switch {
	case len(s.Fragments) > 0 && src.Is4():
		// The last size is whatever is left.
		frames = wire.FragmentIPv4(frame, s.Fragments[:len(s.Fragments)-1])
		if s.FragmentOrder != nil {
			var ordered [][]byte
			for _, i := range s.FragmentOrder {
				if i < 0 || i >= len(frames) {
					return nil, netip.AddrPort{}, usage("order: the datagram has no fragment %d, it has %d", i, len(frames))
				}
				ordered = append(ordered, frames[i])
			}
			frames = ordered
		}
	case len(s.Fragments) > 0:
		return nil, netip.AddrPort{}, unsupported("IPv6 fragments of given sizes")
	case len(frame)-wire.EthernetLen > mtu && !s.DF:
		frames, _ = wire.Fragment(frame, mtu, f.IP.ID)
	}
	return frames, netip.AddrPortFrom(src, port), nil
}

// routeTo is the source address and the MTU towards a destination.
func (s *space) routeTo(dst netip.Addr) (netip.Addr, int, bool) {
	routes, err := s.nl.RouteGet(net.IP(dst.AsSlice()))
	if err != nil || len(routes) == 0 {
		return netip.Addr{}, 0, false
	}
	src, _ := netip.AddrFromSlice(routes[0].Src)
	mtu := routes[0].MTU
	if l, err := s.nl.LinkByIndex(routes[0].LinkIndex); mtu == 0 && err == nil {
		mtu = l.Attrs().MTU
	}
	return src.Unmap(), mtu, true
}

// sendIP gives packets to the namespace's IP stack, which routes them and
// resolves the neighbour. detail says why the stack would not.
func (s *space) sendIP(frames [][]byte, dst netip.Addr) (detail string, err error) {
	if len(frames) == 0 {
		return "no route to " + dst.String(), nil
	}
	err = s.do(func() error {
		fd, to, err := rawSocket(dst)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		for _, f := range frames {
			err := unix.Sendto(fd, f[wire.EthernetLen:], 0, to)
			switch {
			case errors.Is(err, unix.EPERM): // a rule discarded it: it is on its way, as far as the sender knows
			case errors.Is(err, unix.ENETUNREACH), errors.Is(err, unix.EHOSTUNREACH):
				detail = "no route to " + dst.String()
				return nil
			case errors.Is(err, unix.EMSGSIZE):
				detail = "longer than the interface's MTU"
				return nil
			case err != nil:
				return fmt.Errorf("sending from %s to %s: %w", s.name, dst, err)
			}
		}
		return nil
	})
	return detail, err
}

// rawSocket sends whole IP packets.
func rawSocket(dst netip.Addr) (int, unix.Sockaddr, error) {
	if dst.Is4() {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
		if err == nil {
			err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BROADCAST, 1)
		}
		return fd, &unix.SockaddrInet4{Addr: dst.As4()}, err
	}
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_HDRINCL, 1)
	}
	return fd, &unix.SockaddrInet6{Addr: dst.As16()}, err
}

// sendFrame puts raw bytes on a role's interface, or, OnWire, on the wire
// towards a node.
func (w *world) sendFrame(s backends.Stimulus) (backends.Outcome, error) {
	if wire.VerifyChecksums(s.Frame) != nil {
		w.inject = true
	}
	nd := w.nodes[s.Role]
	if s.OnWire {
		if nd == nil {
			return backends.Outcome{}, usage("frame -wire: %q is no host, router or external machine", s.Role)
		}
		return backends.Outcome{OK: true}, w.fabric.sendRaw(nd.nics[0].plug, s.Frame)
	}
	in, dev, err := w.role(s.Role)
	if err != nil {
		return backends.Outcome{}, err
	}
	return backends.Outcome{OK: true}, in.sendRaw(dev, s.Frame)
}

// sendRaw transmits a frame from an interface.
func (s *space) sendRaw(dev string, frame []byte) error {
	l, err := s.link(dev)
	if err != nil {
		return err
	}
	return s.do(func() error {
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		to := &unix.SockaddrLinklayer{Protocol: hostToNet(uint16(frame[12])<<8 | uint16(frame[13])), Ifindex: l.Attrs().Index}
		if err := unix.Sendto(fd, frame, 0, to); err != nil {
			return fmt.Errorf("a frame of %d bytes from %s in %s: %w", len(frame), dev, s.name, err)
		}
		return nil
	})
}
