package wire

import "encoding/binary"

// Ethernet II, without FCS, with at most one 802.1Q tag:
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                      Destination Address                      |
//	+                               +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                               |                               |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+                               +
//	|                         Source Address                        |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|      TPID 0x8100 (if tagged)  | PCP |D|        VLAN ID        |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|           EtherType           |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//
// Not modelled: a second tag (802.1ad). A frame with two tags is a tagged
// frame whose EtherType is 0x8100, and not IP.
type Ethernet []byte

const (
	ethDst  = 0
	ethSrc  = 6
	ethType = 12
	vlanTCI = 14
	tagType = 16

	// EthernetLen is the header's length without tag.
	EthernetLen = 14
	// VLANTagLen is what an 802.1Q tag adds.
	VLANTagLen = 4
	// MinFrameLen is the shortest frame on a wire, without FCS; shorter ones
	// are padded. Virtual switches do not pad.
	MinFrameLen = 60
)

// EtherTypes.
const (
	EtherTypeIPv4  = 0x0800
	EtherTypeARP   = 0x0806
	EtherTypeVLAN  = 0x8100
	EtherTypeIPv6  = 0x86dd
	EtherTypeTEB   = 0x6558 // Ethernet in GRE (RFC 7637)
	EtherTypeLLDP  = 0x88cc
	EtherTypeQinQ  = 0x88a8
	etherTypeFirst = 0x0600 // below: an 802.3 length
)

// IsValid reports whether the header, tag included, is complete.
func (e Ethernet) IsValid() bool {
	return len(e) >= EthernetLen && (len(e) >= EthernetLen+VLANTagLen || !e.Tagged())
}

// Dst is the destination address.
func (e Ethernet) Dst() MAC { return MAC(e[ethDst : ethDst+6]) }

// SetDst sets the destination address.
func (e Ethernet) SetDst(m MAC) { copy(e[ethDst:ethDst+6], m[:]) }

// Src is the source address.
func (e Ethernet) Src() MAC { return MAC(e[ethSrc : ethSrc+6]) }

// SetSrc sets the source address.
func (e Ethernet) SetSrc(m MAC) { copy(e[ethSrc:ethSrc+6], m[:]) }

// OuterType is the type field behind the addresses: EtherTypeVLAN in a tagged
// frame.
func (e Ethernet) OuterType() uint16 { return binary.BigEndian.Uint16(e[ethType:]) }

// Tagged reports whether the frame has an 802.1Q tag.
func (e Ethernet) Tagged() bool { return e.OuterType() == EtherTypeVLAN }

// Type is the EtherType of the payload, behind the tag if there is one.
func (e Ethernet) Type() uint16 {
	if e.Tagged() {
		return binary.BigEndian.Uint16(e[tagType:])
	}
	return e.OuterType()
}

// SetType sets the EtherType of the payload.
func (e Ethernet) SetType(t uint16) {
	if e.Tagged() {
		binary.BigEndian.PutUint16(e[tagType:], t)
		return
	}
	binary.BigEndian.PutUint16(e[ethType:], t)
}

// HeaderLen is 14 or, tagged, 18.
func (e Ethernet) HeaderLen() int {
	if e.Tagged() {
		return EthernetLen + VLANTagLen
	}
	return EthernetLen
}

// TCI is the tag's control information of a tagged frame.
func (e Ethernet) TCI() TCI { return TCI(binary.BigEndian.Uint16(e[vlanTCI:])) }

// SetTCI sets the control information of a tagged frame.
func (e Ethernet) SetTCI(t TCI) { binary.BigEndian.PutUint16(e[vlanTCI:], uint16(t)) }

// Payload is what follows the header, padding included.
func (e Ethernet) Payload() []byte { return e[e.HeaderLen():] }

// PutTag writes a tag into frame, which begins with VLANTagLen undefined bytes
// in front of an untagged Ethernet header; the addresses move to the front.
func PutTag(frame []byte, t TCI) {
	copy(frame[:ethType], frame[VLANTagLen:VLANTagLen+ethType])
	binary.BigEndian.PutUint16(frame[ethType:], EtherTypeVLAN)
	binary.BigEndian.PutUint16(frame[vlanTCI:], uint16(t))
}

// StripTag moves the addresses of a tagged frame over its tag. The untagged
// frame is frame[VLANTagLen:]; the first VLANTagLen bytes are undefined.
func StripTag(frame []byte) {
	copy(frame[VLANTagLen:VLANTagLen+ethType], frame[:ethType])
}

// TCI is the control information of an 802.1Q tag: priority, drop eligibility
// and VLAN ID. A TCI with ID 0 is a priority tag.
type TCI uint16

// MakeTCI packs a TCI from a priority (0 to 7), the drop eligible bit and a
// VLAN ID (12 bits).
func MakeTCI(priority uint8, dropEligible bool, id uint16) TCI {
	t := TCI(priority&7)<<13 | TCI(id&0xfff)
	if dropEligible {
		t |= 1 << 12
	}
	return t
}

// ID is the VLAN ID, 12 bits.
func (t TCI) ID() uint16 { return uint16(t & 0xfff) }

// Priority is the priority code point, 0 to 7.
func (t TCI) Priority() uint8 { return uint8(t >> 13) }

// DropEligible is the DEI bit.
func (t TCI) DropEligible() bool { return t>>12&1 != 0 }
