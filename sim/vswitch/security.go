package vswitch

import (
	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// DHCP messages of a server (rule VS-21).
const (
	dhcpServerPort   = 67
	dhcpBootReply    = 2 // first byte of the message
	dhcpv6ServerPort = 547
	dhcpv6Advertise  = 2 // first byte of the message
	dhcpv6Reply      = 7
	dhcpv6Reconfig   = 10
)

// icmpRouterAdv is ICMPv4's router advertisement (RFC 1256).
const icmpRouterAdv = 9

// secure is port security (pipeline step 2) except for the storm limit, which
// needs the VLAN to know what is unknown. p has been parsed.
func (q *port) secure(p *vfp.Packet) vfp.Drop {
	c := &q.cfg
	if c.Kind == ExternalPort {
		return vfp.DropNone // the wire has no assigned MAC
	}
	frame := p.Bytes()
	if !c.MACSpoofing && wire.Ethernet(frame).Src() != c.MAC {
		return vfp.DropMacSpoof
	}
	if c.DHCPGuard && fromDHCPServer(frame, &p.Meta) {
		return vfp.DropDhcpGuard
	}
	if c.RouterGuard && fromRouter(&p.Meta) {
		return vfp.DropRouterGuard
	}
	return vfp.DropNone
}

// fromDHCPServer reports whether only a DHCP server sends such a message.
func fromDHCPServer(frame []byte, m *wire.Meta) bool {
	if !m.HasL4 || m.Proto != wire.ProtoUDP || m.Payload >= m.End {
		return false
	}
	kind := frame[m.Payload]
	switch {
	case m.IsIPv4 && m.SrcPort == dhcpServerPort:
		return kind == dhcpBootReply
	case m.IsIPv6 && m.SrcPort == dhcpv6ServerPort:
		return kind == dhcpv6Advertise || kind == dhcpv6Reply || kind == dhcpv6Reconfig
	}
	return false
}

// fromRouter reports whether only a router sends such a message (rule VS-22).
func fromRouter(m *wire.Meta) bool {
	switch {
	case !m.HasL4:
		return false
	case m.IsIPv4 && m.Proto == wire.ProtoICMP:
		return m.ICMPType == wire.ICMPRedirect || m.ICMPType == icmpRouterAdv
	case m.IsIPv6 && m.Proto == wire.ProtoICMPv6:
		return m.ICMPType == wire.ICMP6RouterAdv || m.ICMPType == wire.ICMP6Redirect
	}
	return false
}

// second is the storm limit's window in ns.
const second = int64(1e9)

// storm is the storm limit's state (rule VS-23): windows of one second, the
// first of which begins with the first frame that counts.
type storm struct {
	begin int64
	count uint32
	used  bool
}

// accept counts a frame and reports whether it is within limit per second.
func (s *storm) accept(now int64, limit uint32) bool {
	if !s.used || now-s.begin >= second {
		*s = storm{begin: now, used: true}
	}
	if s.count >= limit {
		return false
	}
	s.count++
	return true
}

// reservedMulticast reports whether dst is one of 01-80-C2-00-00-00 to -0F,
// which bridges keep to themselves (rule VS-16).
func reservedMulticast(dst wire.MAC) bool {
	return dst[0] == 0x01 && dst[1] == 0x80 && dst[2] == 0xc2 && dst[3] == 0 && dst[4] == 0 && dst[5]&0xf0 == 0
}
