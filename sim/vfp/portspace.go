package vfp

import "github.com/hnsim/hnsim/sim/wire"

// Use says what a port of a host address is reserved for.
type Use uint8

const (
	Free      Use = iota
	Socket        // a socket of the host is bound to it
	Excluded      // administered exclusion (netsh excludedportrange)
	WinNATUse     // in a block of WinNAT (rule NAT-12)
	VFPUse        // in a block of a VFP NAT pool (rule L2B-23)
	StaticUse     // published: a static mapping (rules NAT-30, L2B-30)
)

func (u Use) String() string {
	return [...]string{"free", "socket", "excluded", "winnat", "vfp", "static"}[u]
}

// Block sizes that the contract's constants table gives.
const (
	WinNATBlock = 100
	VFPBlock    = 64
)

// DynamicPorts is the default dynamic port range.
var DynamicPorts = PortRange{49152, 65535}

const (
	pageBits = 8
	pageLen  = 1 << pageBits
)

// portPage holds the reservations of 256 neighbouring ports; most pages of
// most hosts never exist.
type portPage struct {
	owner [pageLen]uint64
	use   [pageLen]Use
}

// protoSpace is the space of one protocol.
type protoSpace struct {
	pages  [1 << (16 - pageBits)]*portPage
	cursor uint16 // where ReservePick goes on
}

// PortSpace records who holds which port of one host address, for TCP, UDP
// and ICMP identifiers: sockets, exclusions, NAT blocks and published ports
// keep out of each other's way (rules NAT-12, NAT-16, NAT-33, L2B-23).
//
// Blocks come lowest first, so that equal sequences of calls give equal ports.
// An owner is whatever the caller says, for instance a PortID; zero is allowed.
// Not safe for concurrent use. Windows keeps a space per host and address
// family, not per address; use one PortSpace for all addresses that share it.
type PortSpace struct {
	dynamic PortRange
	protos  [3]protoSpace
}

// NewPortSpace makes an empty space with the default dynamic range.
func NewPortSpace() *PortSpace { return &PortSpace{dynamic: DynamicPorts} }

// SetDynamic changes the range that blocks and picked ports come from.
// Reservations stay where they are.
func (s *PortSpace) SetDynamic(r PortRange) { s.dynamic = r }

// Dynamic is the range that blocks and picked ports come from.
func (s *PortSpace) Dynamic() PortRange { return s.dynamic }

// space is nil for protocols without ports.
func (s *PortSpace) space(proto uint8) *protoSpace {
	switch proto {
	case wire.ProtoTCP:
		return &s.protos[0]
	case wire.ProtoUDP:
		return &s.protos[1]
	case wire.ProtoICMP, wire.ProtoICMPv6:
		return &s.protos[2]
	}
	return nil
}

func (ps *protoSpace) at(port uint16) (Use, uint64) {
	pg := ps.pages[port>>pageBits]
	if pg == nil {
		return Free, 0
	}
	return pg.use[port&(pageLen-1)], pg.owner[port&(pageLen-1)]
}

func (ps *protoSpace) set(port uint16, u Use, owner uint64) {
	pg := ps.pages[port>>pageBits]
	if pg == nil {
		pg = new(portPage)
		ps.pages[port>>pageBits] = pg
	}
	pg.use[port&(pageLen-1)], pg.owner[port&(pageLen-1)] = u, owner
}

// Reserve takes one port. It returns Free when the port is now held, else the
// use that stands in the way and nothing changes: the caller turns that into
// an error (Socket: already in use; the others: access denied or HNS's "port
// already exists"). A protocol without ports counts as Excluded.
func (s *PortSpace) Reserve(proto uint8, port uint16, u Use, owner uint64) Use {
	ps := s.space(proto)
	if ps == nil {
		return Excluded
	}
	if held, _ := ps.at(port); held != Free {
		return held
	}
	ps.set(port, u, owner)
	return Free
}

// ReservePick takes a free port of the dynamic range, going on behind the one
// it took last: what a bind to port 0 does, and rule NAT-34.
func (s *PortSpace) ReservePick(proto uint8, u Use, owner uint64) (port uint16, ok bool) {
	ps := s.space(proto)
	if ps == nil {
		return 0, false
	}
	lo, n := int(s.dynamic.Lo), int(s.dynamic.Hi)-int(s.dynamic.Lo)+1
	start := 0
	if c := int(ps.cursor); c >= lo && c < lo+n {
		start = c - lo
	}
	for i := range n {
		port := uint16(lo + (start+i)%n)
		if held, _ := ps.at(port); held == Free {
			ps.set(port, u, owner)
			ps.cursor = port + 1
			return port, true
		}
	}
	return 0, false
}

// ReserveBlock takes the lowest free block of size neighbouring ports whose
// distance from the start of the dynamic range is a multiple of size. It
// reports false when there is none; nothing changes then.
func (s *PortSpace) ReserveBlock(proto uint8, u Use, size int, owner uint64) (PortRange, bool) {
	ps := s.space(proto)
	if ps == nil || size <= 0 {
		return PortRange{}, false
	}
	for lo := int(s.dynamic.Lo); lo+size-1 <= int(s.dynamic.Hi); lo += size {
		r := PortRange{uint16(lo), uint16(lo + size - 1)}
		if !ps.free(r) {
			continue
		}
		for p := lo; p < lo+size; p++ {
			ps.set(uint16(p), u, owner)
		}
		return r, true
	}
	return PortRange{}, false
}

func (ps *protoSpace) free(r PortRange) bool {
	for p := int(r.Lo); p <= int(r.Hi); p++ {
		if u, _ := ps.at(uint16(p)); u != Free {
			return false
		}
	}
	return true
}

// ReserveRange takes all ports of r or none (administered exclusions). It
// returns Free, or the first use in the way.
func (s *PortSpace) ReserveRange(proto uint8, r PortRange, u Use, owner uint64) Use {
	ps := s.space(proto)
	if ps == nil {
		return Excluded
	}
	for p := int(r.Lo); p <= int(r.Hi); p++ {
		if held, _ := ps.at(uint16(p)); held != Free {
			return held
		}
	}
	for p := int(r.Lo); p <= int(r.Hi); p++ {
		ps.set(uint16(p), u, owner)
	}
	return Free
}

// Release frees one port, if owner holds it.
func (s *PortSpace) Release(proto uint8, port uint16, owner uint64) {
	s.ReleaseRange(proto, PortRange{port, port}, owner)
}

// ReleaseRange frees those ports of r that owner holds.
func (s *PortSpace) ReleaseRange(proto uint8, r PortRange, owner uint64) {
	ps := s.space(proto)
	if ps == nil {
		return
	}
	for p := int(r.Lo); p <= int(r.Hi); p++ {
		if u, o := ps.at(uint16(p)); u != Free && o == owner {
			ps.set(uint16(p), Free, 0)
		}
	}
}

// OwnerOf says who holds a port, and false when nobody does.
func (s *PortSpace) OwnerOf(proto uint8, port uint16) (owner uint64, u Use, ok bool) {
	ps := s.space(proto)
	if ps == nil {
		return 0, Free, false
	}
	u, owner = ps.at(port)
	return owner, u, u != Free
}

// Excluded lists what "netsh int ipv4 show excludedportrange" shows, ascending:
// everything that no socket may bind, neighbouring blocks kept apart where
// owner or use changes.
func (s *PortSpace) Excluded(proto uint8) []PortRange {
	ps := s.space(proto)
	if ps == nil {
		return nil
	}
	var out []PortRange
	var last Use
	var lastOwner uint64
	for pi, pg := range ps.pages {
		if pg == nil {
			last = Free
			continue
		}
		for i := range pageLen {
			u, o := pg.use[i], pg.owner[i]
			if u == Socket {
				u = Free
			}
			port := uint16(pi<<pageBits + i)
			switch {
			case u == Free:
			case u == last && o == lastOwner:
				out[len(out)-1].Hi = port
			default:
				out = append(out, PortRange{port, port})
			}
			last, lastOwner = u, o
		}
	}
	return out
}
