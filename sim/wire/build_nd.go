package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// NDFields is a neighbour discovery message. Fields that its type does not
// have are ignored.
type NDFields struct {
	Type   uint8      // ICMP6RouterSol to ICMP6Redirect
	Flags  uint8      // NDRouter etc. of NA, NDManaged and NDOther of RA
	Target netip.Addr // NS, NA, Redirect
	Dest   netip.Addr // Redirect

	SourceLL, TargetLL MAC // options, if not zero

	// Router advertisement.
	HopLimit    uint8
	LifetimeSec uint16
	ReachableMS uint32
	RetransMS   uint32
	MTU         uint32 // option, if not zero
	Prefixes    []NDPrefix

	Checksum *uint16
}

func (n *NDFields) build(ip *IPFields, data []byte) ([]byte, error) {
	b := make([]byte, ICMPLen, ndRedirectLen+len(data))
	b[icmpType] = n.Type
	fixed := ND(b).fixedLen()
	if fixed == 0 {
		return nil, fmt.Errorf("ICMPv6 type %d is not neighbour discovery", n.Type)
	}
	if ip.Src.Is4() {
		return nil, fmt.Errorf("neighbour discovery over IPv4")
	}
	b = b[:fixed]
	h := ND(b)
	switch n.Type {
	case ICMP6RouterAdv:
		b[ndWord], b[ndWord+1] = n.HopLimit, n.Flags
		binary.BigEndian.PutUint16(b[ndRALifetime:], n.LifetimeSec)
		binary.BigEndian.PutUint32(b[ndRAReachable:], n.ReachableMS)
		binary.BigEndian.PutUint32(b[ndRARetrans:], n.RetransMS)
	case ICMP6NeighborSol, ICMP6NeighborAdv, ICMP6Redirect:
		if n.Type == ICMP6NeighborAdv {
			h.SetFlags(n.Flags)
		}
		h.SetTarget(Addr16(n.Target))
		if n.Type == ICMP6Redirect {
			h.SetDest(Addr16(n.Dest))
		}
	}
	b = n.appendOptions(b)
	b = append(b, data...)
	setICMPChecksum(b, ip, ProtoICMPv6, n.Checksum)
	return b, nil
}

func (n *NDFields) appendOptions(b []byte) []byte {
	for _, o := range [...]struct {
		kind byte
		mac  MAC
	}{{NDOptSourceLL, n.SourceLL}, {NDOptTargetLL, n.TargetLL}} {
		if !o.mac.IsZero() {
			b = append(append(b, o.kind, 1), o.mac[:]...)
		}
	}
	if n.Type != ICMP6RouterAdv {
		return b
	}
	if n.MTU != 0 {
		b = append(b, NDOptMTU, 1, 0, 0)
		b = binary.BigEndian.AppendUint32(b, n.MTU)
	}
	for _, p := range n.Prefixes {
		flags := byte(0)
		if p.OnLink {
			flags |= 0x80
		}
		if p.Autonomous {
			flags |= 0x40
		}
		b = append(b, NDOptPrefix, ndPrefixLen/8, p.Bits, flags)
		b = binary.BigEndian.AppendUint32(b, p.ValidSec)
		b = binary.BigEndian.AppendUint32(b, p.PreferredSec)
		b = append(append(b, 0, 0, 0, 0), p.Addr[:]...)
	}
	return b
}
