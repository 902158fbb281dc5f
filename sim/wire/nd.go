package wire

import "encoding/binary"

// ND is a neighbour discovery message (RFC 4861) with its ICMPv6 header. The
// five messages differ in what precedes the options:
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|     Type      |     Code      |          Checksum             |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|R|S|O|            Reserved, and flags R S O of NA              |  RS, NS, NA, Redirect
//	| Cur Hop Limit |M|O|  Reserved |       Router Lifetime         |  RA
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                  Target Address (128 bits)                    |  NS, NA, Redirect
//	|          Reachable Time        and        Retrans Timer       |  RA
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                Destination Address (128 bits)                 |  Redirect
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|   Options: type, length in units of 8 bytes, data ...         |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type ND []byte

const (
	ndWord   = 4
	ndTarget = 8
	ndDest   = 24

	ndRALifetime  = 6
	ndRAReachable = 8
	ndRARetrans   = 12

	ndRSLen       = 8
	ndRALen       = 16
	ndNSLen       = 24
	ndRedirectLen = 40

	// NDHopLimit is the hop limit of every such message: a receiver drops
	// those that a router may have forwarded.
	NDHopLimit = 255
)

// Flags of a neighbour advertisement.
const (
	NDRouter    = 0x80
	NDSolicited = 0x40
	NDOverride  = 0x20
)

// Flags of a router advertisement.
const (
	NDManaged = 0x80
	NDOther   = 0x40
)

// Option types of neighbour discovery.
const (
	NDOptSourceLL   = 1
	NDOptTargetLL   = 2
	NDOptPrefix     = 3
	NDOptRedirected = 4
	NDOptMTU        = 5
)

// IsValid reports whether the type is one of the five and the fixed part is
// complete. Options are checked by Option.
func (b ND) IsValid() bool {
	return len(b) >= ICMPLen && b.fixedLen() > 0 && len(b) >= b.fixedLen()
}

// fixedLen is the length of what precedes the options, 0 for other messages.
func (b ND) fixedLen() int {
	switch b.Type() {
	case ICMP6RouterSol:
		return ndRSLen
	case ICMP6RouterAdv:
		return ndRALen
	case ICMP6NeighborSol, ICMP6NeighborAdv:
		return ndNSLen
	case ICMP6Redirect:
		return ndRedirectLen
	}
	return 0
}

// Type is the ICMPv6 type.
func (b ND) Type() uint8 { return b[icmpType] }

// Flags are those of a neighbour advertisement.
func (b ND) Flags() uint8 { return b[ndWord] }

// SetFlags sets the flags of a neighbour advertisement.
func (b ND) SetFlags(v uint8) { b[ndWord] = v }

// Target is the target address of NS, NA and Redirect.
func (b ND) Target() [16]byte { return [16]byte(b[ndTarget : ndTarget+16]) }

// SetTarget sets the target address of NS, NA and Redirect.
func (b ND) SetTarget(v [16]byte) { copy(b[ndTarget:ndTarget+16], v[:]) }

// Dest is the destination address of a Redirect.
func (b ND) Dest() [16]byte { return [16]byte(b[ndDest : ndDest+16]) }

// SetDest sets the destination address of a Redirect.
func (b ND) SetDest(v [16]byte) { copy(b[ndDest:ndDest+16], v[:]) }

// RAHopLimit is the hop limit that a router advertises.
func (b ND) RAHopLimit() uint8 { return b[ndWord] }

// RAFlags are NDManaged and NDOther of a router advertisement.
func (b ND) RAFlags() uint8 { return b[ndWord+1] }

// RALifetimeSec is how long the router is a default router, in seconds; 0
// means that it is none.
func (b ND) RALifetimeSec() uint16 { return binary.BigEndian.Uint16(b[ndRALifetime:]) }

// RAReachableMS is the advertised reachable time in milliseconds.
func (b ND) RAReachableMS() uint32 { return binary.BigEndian.Uint32(b[ndRAReachable:]) }

// RARetransMS is the advertised retransmission timer in milliseconds.
func (b ND) RARetransMS() uint32 { return binary.BigEndian.Uint32(b[ndRARetrans:]) }

// NDOption is one option with its type and length bytes. It is a part of the
// message: writing to it changes the message.
type NDOption []byte

// Type is the option's type.
func (o NDOption) Type() uint8 { return o[0] }

// LL is the address of a source or target link-layer option.
func (o NDOption) LL() MAC { return MAC(o[2:8]) }

// SetLL sets the address of a source or target link-layer option.
func (o NDOption) SetLL(m MAC) { copy(o[2:8], m[:]) }

// Options calls yield for every complete option of a valid message until it
// returns false; it is a range function. A message with a zero-length or
// incomplete option ends there (RFC 4861 has receivers drop it).
func (b ND) Options(yield func(NDOption) bool) {
	for at := b.fixedLen(); at+2 <= len(b); {
		n := int(b[at+1]) * 8
		if n == 0 || at+n > len(b) {
			return
		}
		if !yield(NDOption(b[at : at+n : at+n])) {
			return
		}
		at += n
	}
}

// Option is the first option of a type in a valid message, or nil.
func (b ND) Option(kind uint8) NDOption {
	for o := range b.Options {
		if o.Type() == kind {
			return o
		}
	}
	return nil
}

// SourceLL is the source link-layer address option.
func (b ND) SourceLL() (MAC, bool) { return b.llOption(NDOptSourceLL) }

// TargetLL is the target link-layer address option.
func (b ND) TargetLL() (MAC, bool) { return b.llOption(NDOptTargetLL) }

func (b ND) llOption(kind uint8) (MAC, bool) {
	if o := b.Option(kind); o != nil {
		return o.LL(), true
	}
	return MAC{}, false
}

// MTU is the MTU option of a router advertisement, in bytes.
func (b ND) MTU() (uint32, bool) {
	if o := b.Option(NDOptMTU); o != nil {
		return binary.BigEndian.Uint32(o[4:]), true
	}
	return 0, false
}

// NDPrefix is the content of a prefix information option.
type NDPrefix struct {
	Addr         [16]byte
	Bits         uint8
	OnLink       bool
	Autonomous   bool
	ValidSec     uint32
	PreferredSec uint32
}

const ndPrefixLen = 32

// Prefix reads a prefix information option; ok is false for other options and
// for one of another length.
func (o NDOption) Prefix() (p NDPrefix, ok bool) {
	if o.Type() != NDOptPrefix || len(o) != ndPrefixLen {
		return p, false
	}
	p.Bits = o[2]
	p.OnLink, p.Autonomous = o[3]&0x80 != 0, o[3]&0x40 != 0
	p.ValidSec = binary.BigEndian.Uint32(o[4:])
	p.PreferredSec = binary.BigEndian.Uint32(o[8:])
	p.Addr = [16]byte(o[16:32])
	return p, true
}

// SolicitedNode is the multicast group of a neighbour solicitation for addr.
func SolicitedNode(addr [16]byte) [16]byte {
	return [16]byte{0: 0xff, 1: 2, 11: 1, 12: 0xff, 13: addr[13], 14: addr[14], 15: addr[15]}
}

// MulticastMAC4 is the Ethernet address of an IPv4 multicast group (RFC 1112).
func MulticastMAC4(group uint32) MAC {
	return MAC{0x01, 0x00, 0x5e, byte(group>>16) & 0x7f, byte(group >> 8), byte(group)}
}

// MulticastMAC6 is the Ethernet address of an IPv6 multicast group (RFC 2464).
func MulticastMAC6(group [16]byte) MAC {
	return MAC{0x33, 0x33, group[12], group[13], group[14], group[15]}
}
