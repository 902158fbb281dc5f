package ipstack

import (
	"net/netip"

	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// Profile is what the host's firewall does with packets that begin or end in
// the stack itself. It says nothing of those that it forwards or that pass its
// switches: containers have rules of their own (B-07). Answers to what may pass
// do pass; so do neighbour discovery and DHCP, for which Windows has rules.
type Profile struct {
	BlockIn, BlockOut bool
}

// Bounds of what the firewall remembers.
const (
	profileIdle  = 240e9 // ns without a packet
	maxPermitted = 1 << 14
)

// permit is a flow as the stack sees it: an echo's identifier is its port.
type permit struct {
	proto         uint8
	local, remote netip.AddrPort
}

// profile is a Profile with what it has let pass.
type profile struct {
	Profile
	seen map[permit]int64
}

// SetProfile replaces the firewall's profile and forgets what it has let pass.
func (s *Stack) SetProfile(p Profile) {
	s.profile = profile{Profile: p, seen: map[permit]int64{}}
}

// passes reports whether the firewall lets a parsed, whole packet in or out.
func (f *profile) passes(now int64, p *vfp.Packet, out bool) bool {
	if !f.BlockIn && !f.BlockOut {
		return true
	}
	m, b := &p.Meta, p.Bytes()
	k := permit{m.Proto, netip.AddrPortFrom(m.Src(b), m.SrcPort), netip.AddrPortFrom(m.Dst(b), m.DstPort)}
	switch {
	case m.Proto == wire.ProtoUDP && (isDHCP(m.SrcPort) || isDHCP(m.DstPort)):
		return true
	case (m.Proto == wire.ProtoICMP || m.Proto == wire.ProtoICMPv6) && !isEcho(m):
		return true
	}
	if !out {
		k.local, k.remote = k.remote, k.local
	}
	last, known := f.seen[k]
	if known = known && now-last < profileIdle; !known && (out && f.BlockOut || !out && f.BlockIn) {
		return false
	}
	if len(f.seen) >= maxPermitted {
		for o, at := range f.seen { // the order means nothing: all that are idle go
			if now-at >= profileIdle {
				delete(f.seen, o)
			}
		}
	}
	if known || len(f.seen) < maxPermitted {
		f.seen[k] = now
	}
	return true
}

func isDHCP(port uint16) bool { return port == wire.DHCPServerPort || port == wire.DHCPClientPort }

func isEcho(m *wire.Meta) bool {
	t := echoTypes(m.Proto == wire.ProtoICMP)
	return m.ICMPType == t.request || m.ICMPType == t.reply
}
