package linux

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/wire"
)

// defaultTimeout is the contract's time that a connection or an echo gets. The
// answer comes at once or not at all: no wire here takes time.
const (
	defaultTimeout = 3 * time.Second
	patience       = 400 * time.Millisecond
)

// timeout is how long to wait for an answer.
func timeout(s backends.Stimulus) time.Duration {
	d := s.Timeout
	if d <= 0 {
		d = defaultTimeout
	}
	return min(d, patience)
}

// received looks for a frame that the role has received and that is not
// recorded yet.
func (w *world) received(role string, match func(frame []byte, m *wire.Meta) bool) bool {
	for _, s := range w.loop.pending {
		var m wire.Meta
		if s.kind == backends.Received && s.role == role && wire.Parse(s.frame, &m) == wire.OK && match(s.frame, &m) {
			return true
		}
	}
	return false
}

// ping sends an echo request and waits for the reply, or for an ICMP error
// about it.
func (w *world) ping(ctx context.Context, in *space, s backends.Stimulus) (backends.Outcome, error) {
	w.ids++
	if s.ICMPID == 0 {
		s.ICMPID = uint16(0x4000 + w.ids)
	}
	if s.ICMPSeq == 0 {
		s.ICMPSeq = 1
	}
	s.ICMPType, s.Proto = wire.ICMPEcho, "icmp"
	if s.Dst.Addr().Is6() {
		s.ICMPType, s.Proto = wire.ICMP6Echo, "icmp6"
	}
	out, err := w.sendAll(ctx, in, s)
	if err != nil || !out.OK {
		return out, err
	}
	out = backends.Outcome{ID: w.ids, Detail: "timeout"}
	answered := func() bool {
		return w.received(s.Role, func(frame []byte, m *wire.Meta) bool {
			switch {
			case (m.ICMPType == wire.ICMPEchoReply && m.IsIPv4 && m.Proto == wire.ProtoICMP || m.ICMPType == wire.ICMP6EchoReply && m.Proto == wire.ProtoICMPv6) &&
				m.SrcPort == s.ICMPID && m.Src(frame) == s.Dst.Addr():
				out.OK, out.Detail = true, "reply"
			case m.IsICMPError():
				out.Detail = fmt.Sprintf("icmp type %d code %d from %s", m.ICMPType, m.ICMPCode, m.Src(frame))
			default:
				return false
			}
			return true
		})
	}
	return out, w.loop.until(timeout(s), answered)
}

// resolve asks who has an address, whatever the neighbour table says.
func (w *world) resolve(in *space, dev string, s backends.Stimulus) (backends.Outcome, error) {
	target := s.Dst.Addr()
	l, err := in.link(dev)
	if err != nil {
		return backends.Outcome{}, err
	}
	mac := wire.MAC(l.Attrs().HardwareAddr)
	src, err := in.localAddress(dev, target)
	if err != nil {
		return backends.Outcome{}, err
	}
	f := &wire.Frame{EthDst: wire.Broadcast, EthSrc: mac, ARP: &wire.ARPFields{SenderMAC: mac, SenderIP: src, TargetIP: target}}
	if target.Is6() {
		group := wire.SolicitedNode(target.As16())
		f = &wire.Frame{EthDst: wire.MulticastMAC6(group), EthSrc: mac, IP: &wire.IPFields{Src: src, Dst: netip.AddrFrom16(group)},
			ND: &wire.NDFields{Type: wire.ICMP6NeighborSol, Target: target, SourceLL: mac}}
	}
	b, err := f.Build()
	if err != nil {
		return backends.Outcome{}, usage("arp: %v", err)
	}
	if err := in.sendRaw(dev, b); err != nil {
		return backends.Outcome{}, err
	}
	out := backends.Outcome{Detail: "silence"}
	answered := func() bool {
		return w.received(s.Role, func(frame []byte, m *wire.Meta) bool {
			if a, ok := wire.ARPOf(frame, m); ok && target.Is4() && a.Op() == wire.ARPReply && a.SenderAddr() == target {
				out = backends.Outcome{OK: true, MAC: a.SenderMAC()}
			} else if nd, ok := wire.NDOf(frame, m); ok && target.Is6() && m.ICMPType == wire.ICMP6NeighborAdv && netip.AddrFrom16(nd.Target()) == target {
				out = backends.Outcome{OK: true, MAC: wire.MAC(frame[6:12])}
			}
			return out.OK
		})
	}
	err = w.loop.until(timeout(s), answered)
	if out.OK {
		out.Detail = out.MAC.String()
	}
	return out, err
}

// localAddress is an address of an interface, of the target's subnet if there
// is one.
func (s *space) localAddress(dev string, target netip.Addr) (netip.Addr, error) {
	l, err := s.link(dev)
	if err != nil {
		return netip.Addr{}, err
	}
	list, err := s.nl.AddrList(l, 0)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("addresses of %s in %s: %w", dev, s.name, err)
	}
	var any netip.Addr
	for _, a := range list {
		ip, _ := netip.AddrFromSlice(a.IP)
		if ip = ip.Unmap(); ip.Is4() != target.Is4() {
			continue
		}
		ones, _ := a.Mask.Size()
		if !any.IsValid() || netip.PrefixFrom(ip, ones).Contains(target) {
			any = ip
		}
	}
	if !any.IsValid() {
		return any, usage("arp: %s has no address of the family of %s", dev, target)
	}
	return any, nil
}
