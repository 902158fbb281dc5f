package vfp

import (
	"encoding/binary"

	"github.com/hnsim/hnsim/sim/wire"
)

// taggedZone marks keys of tagged frames, so that a priority tag of zero is
// not taken for no tag. The zone's other bits are the tunnel.
const (
	taggedZone = 1 << (wire.ZoneBits - 1)
	maxTunnels = 1<<12 - 1
)

// Key computes the key of a parsed packet. It reports false for packets that
// are never cached: fragments, group destinations, everything but TCP, UDP and
// ICMP queries.
func (c *Cache) Key(p *Packet, k *Key) bool {
	k.ok, k.plain, k.hint = false, false, 0
	frame, m := p.Bytes(), &p.Meta
	if m.HasL4 && m.Proto == wire.ProtoUDP && c.isVXLAN(m.DstPort) || m.Proto == wire.ProtoGRE && m.IsIP() {
		return c.tunnelKey(frame, m, k)
	}
	return c.frameKey(frame, m, k, 0, 0)
}

func (c *Cache) isVXLAN(port uint16) bool {
	for _, p := range c.ports {
		if p == port {
			return true
		}
	}
	return false
}

// frameKey is the key of a frame, which came through the given tunnel.
func (c *Cache) frameKey(frame []byte, m *wire.Meta, k *Key, tunnel uint32, entropy uint16) bool {
	if !m.HasL4 || m.Fragment || frame[0]&1 != 0 {
		return false
	}
	if m.Proto != wire.ProtoTCP && m.Proto != wire.ProtoUDP && !m.IsICMPQuery() {
		return false
	}
	l2 := uint64(binary.BigEndian.Uint32(frame[8:]))<<32 | uint64(entropy)
	if m.HasVLAN {
		tunnel |= taggedZone
		l2 |= uint64(m.TCI) << 16
	}
	if m.IsIPv4 {
		k4 := m.Key4(frame, tunnel)
		k.hash, k.v6 = k4.Hash(), false
		k.words[0], k.words[1] = k4.A, k4.B
		k.words[2], k.words[3] = binary.BigEndian.Uint64(frame), l2
	} else {
		k6 := m.Key6(frame, tunnel)
		k.hash, k.v6 = k6.Hash(), true
		k.words[0], k.words[1] = binary.BigEndian.Uint64(k6.Src[:]), binary.BigEndian.Uint64(k6.Src[8:])
		k.words[2], k.words[3] = binary.BigEndian.Uint64(k6.Dst[:]), binary.BigEndian.Uint64(k6.Dst[8:])
		k.words[4], k.words[5], k.words[6] = k6.B, binary.BigEndian.Uint64(frame), l2
	}
	k.flags, k.ok = m.TCPFlags, true
	return true
}

// outerID is everything about outer headers that rules can see, but for the
// entropy port, which differs from flow to flow and is kept with the inner key.
type outerID struct {
	src, dst       [2]uint64
	l2a, l2b       uint64
	vni            uint32
	dstPort        uint16
	proto, flags   uint8
	tagged, v6, ok bool
}

// tunnelKey is the key of an encapsulated frame: the inner headers' key with
// a number for the outer ones.
func (c *Cache) tunnelKey(frame []byte, m *wire.Meta, k *Key) bool {
	t, ok := wire.ParseVXLAN(frame, m)
	if !ok {
		t, ok = wire.ParseNVGRE(frame, m)
	}
	if !ok || frame[0]&1 != 0 {
		return false
	}
	id := outerID{
		l2a: binary.BigEndian.Uint64(frame), l2b: uint64(binary.BigEndian.Uint32(frame[8:]))<<16 | uint64(m.TCI),
		vni: t.VNI, dstPort: m.DstPort, proto: m.Proto, flags: t.Flags, tagged: m.HasVLAN, v6: m.IsIPv6, ok: true,
	}
	if m.IsIPv4 {
		ip := wire.IPv4(frame[m.L3:])
		id.src[1], id.dst[1] = uint64(ip.Src()), uint64(ip.Dst())
	} else {
		ip := frame[m.L3 : m.L3+wire.IPv6Len]
		id.src = [2]uint64{binary.BigEndian.Uint64(ip[8:]), binary.BigEndian.Uint64(ip[16:])}
		id.dst = [2]uint64{binary.BigEndian.Uint64(ip[24:]), binary.BigEndian.Uint64(ip[32:])}
	}
	if id != c.last {
		if !c.number(&id) {
			return false
		}
	}
	entropy := m.SrcPort
	if m.Proto == wire.ProtoGRE {
		entropy = uint16(t.FlowID)
	}
	var inner wire.Meta
	wire.Parse(frame[t.Inner:t.End], &inner)
	return c.frameKey(frame[t.Inner:t.End], &inner, k, c.lastID, entropy)
}

// number makes id the last tunnel, numbering it if it is new. Numbers are
// never given back; a port that has seen too many tunnels caches no more.
func (c *Cache) number(id *outerID) bool {
	h := mix(id.src[1]^id.src[0], id.dst[1]^id.dst[0]) ^ mix(id.l2a^uint64(id.vni), id.l2b^uint64(id.dstPort))
	n := c.outers.Find(h, id)
	if n == nil {
		if n, _ = c.outers.Insert(h, id); n == nil {
			return false
		}
		*n = uint32(c.outers.Len())
	}
	c.last, c.lastID = *id, *n
	return true
}
