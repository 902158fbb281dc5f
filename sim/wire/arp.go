package wire

import "encoding/binary"

// ARP for IPv4 over Ethernet (RFC 826):
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|       Hardware Type = 1       |     Protocol Type = 0x0800    |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	| HW Length = 6 | Pr Length = 4 |           Operation           |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                    Sender Hardware Address                    |
//	+                               +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                               |   Sender Protocol Address     |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|   Sender Protocol Address     |                               |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+                               +
//	|                    Target Hardware Address                    |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                    Target Protocol Address                    |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type ARP []byte

const (
	arpHWType = 0
	arpPrType = 2
	arpHWLen  = 4
	arpPrLen  = 5
	arpOp     = 6
	arpSHA    = 8
	arpSPA    = 14
	arpTHA    = 18
	arpTPA    = 24

	// ARPLen is the length of an ARP message for IPv4 over Ethernet.
	ARPLen = 28

	// ARP operations.
	ARPRequest = 1
	ARPReply   = 2
)

// arpPrefix is hardware type, protocol type and lengths as one word.
const arpPrefix = 0x0001_0800_0604

// IsValid reports whether this is a complete message for IPv4 over Ethernet.
func (a ARP) IsValid() bool {
	return len(a) >= ARPLen && binary.BigEndian.Uint64(a)>>16 == arpPrefix
}

// Init writes the fixed fields.
func (a ARP) Init() {
	binary.BigEndian.PutUint16(a[arpHWType:], 1)
	binary.BigEndian.PutUint16(a[arpPrType:], EtherTypeIPv4)
	a[arpHWLen], a[arpPrLen] = 6, 4
}

// Op is the operation: ARPRequest or ARPReply.
func (a ARP) Op() uint16 { return binary.BigEndian.Uint16(a[arpOp:]) }

// SetOp sets the operation.
func (a ARP) SetOp(op uint16) { binary.BigEndian.PutUint16(a[arpOp:], op) }

// SenderMAC is the sender's hardware address.
func (a ARP) SenderMAC() MAC { return MAC(a[arpSHA : arpSHA+6]) }

// SetSenderMAC sets the sender's hardware address.
func (a ARP) SetSenderMAC(m MAC) { copy(a[arpSHA:arpSHA+6], m[:]) }

// SenderIP is the sender's IPv4 address.
func (a ARP) SenderIP() uint32 { return binary.BigEndian.Uint32(a[arpSPA:]) }

// SetSenderIP sets the sender's IPv4 address.
func (a ARP) SetSenderIP(v uint32) { binary.BigEndian.PutUint32(a[arpSPA:], v) }

// TargetMAC is the target's hardware address, zero in most requests.
func (a ARP) TargetMAC() MAC { return MAC(a[arpTHA : arpTHA+6]) }

// SetTargetMAC sets the target's hardware address.
func (a ARP) SetTargetMAC(m MAC) { copy(a[arpTHA:arpTHA+6], m[:]) }

// TargetIP is the IPv4 address that is asked for.
func (a ARP) TargetIP() uint32 { return binary.BigEndian.Uint32(a[arpTPA:]) }

// SetTargetIP sets the IPv4 address that is asked for.
func (a ARP) SetTargetIP(v uint32) { binary.BigEndian.PutUint32(a[arpTPA:], v) }
