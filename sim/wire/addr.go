package wire

import (
	"encoding/binary"
	"net/netip"
)

// AddrFrom4 makes a netip.Addr of an IPv4 address whose first byte is the most
// significant one.
func AddrFrom4(v uint32) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
}

// AddrFrom16 makes a netip.Addr of an IPv6 address in network order. An
// IPv4-mapped address stays IPv6, as it is on a wire.
func AddrFrom16(v [16]byte) netip.Addr { return netip.AddrFrom16(v) }

// Addr4 is the IPv4 address a, its first byte the most significant one.
// IPv4-mapped IPv6 addresses count as IPv4; others, and the zero Addr, give 0.
func Addr4(a netip.Addr) uint32 {
	if !a.Is4() && !a.Is4In6() {
		return 0
	}
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

// Addr16 is the IPv6 address a in network order. An IPv4 address gives its
// IPv4-mapped form, the zero Addr gives zeros. A zone is dropped.
func Addr16(a netip.Addr) [16]byte {
	if !a.IsValid() {
		return [16]byte{}
	}
	return a.As16()
}
