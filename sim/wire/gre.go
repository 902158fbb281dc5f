package wire

import "encoding/binary"

// GRE with a key (RFC 2890) as NVGRE uses it (RFC 7637), directly over IP,
// followed by an Ethernet frame without FCS and without 802.1Q tag:
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|C| |K|S|   Reserved      | Ver |   Protocol Type 0x6558        |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|       Virtual Subnet ID (VSID)                |    FlowID     |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type GRE []byte

const (
	greFlags = 0
	greProto = 2
	greKey   = 4

	greMinLen = 4

	// NVGRELen is the length of the header with key and nothing else.
	NVGRELen = 8
	// GREKeyPresent is the flag word of NVGRE: key, no checksum, no sequence
	// number, version 0 (rule SDN-09).
	GREKeyPresent = 0x2000

	greChecksumPresent = 0x8000
	greSeqPresent      = 0x1000
	greVersionMask     = 0x0007
)

// InitNVGRE writes the whole header.
func (b GRE) InitNVGRE(vsid uint32, flowID uint8) {
	binary.BigEndian.PutUint16(b[greFlags:], GREKeyPresent)
	binary.BigEndian.PutUint16(b[greProto:], EtherTypeTEB)
	binary.BigEndian.PutUint32(b[greKey:], vsid<<8|uint32(flowID))
}

// Flags is the first word: flags and version.
func (b GRE) Flags() uint16 { return binary.BigEndian.Uint16(b[greFlags:]) }

// SetFlags sets the first word. The header's layout depends on it.
func (b GRE) SetFlags(v uint16) { binary.BigEndian.PutUint16(b[greFlags:], v) }

// Proto is the EtherType of the payload.
func (b GRE) Proto() uint16 { return binary.BigEndian.Uint16(b[greProto:]) }

// SetProto sets the EtherType of the payload.
func (b GRE) SetProto(v uint16) { binary.BigEndian.PutUint16(b[greProto:], v) }

// IsNVGRE reports whether this is a complete NVGRE header, exactly as rule
// SDN-09 has it.
func (b GRE) IsNVGRE() bool {
	return len(b) >= NVGRELen && b.Flags() == GREKeyPresent && b.Proto() == EtherTypeTEB
}

// VSID is the subnet identifier of an NVGRE header, 24 bits.
func (b GRE) VSID() uint32 { return binary.BigEndian.Uint32(b[greKey:]) >> 8 }

// FlowID is the flow identifier of an NVGRE header.
func (b GRE) FlowID() uint8 { return b[greKey+3] }

// headerLen is the length that the flags of a version 0 header imply.
func (b GRE) headerLen() int {
	n := greMinLen
	for _, f := range [...]uint16{greChecksumPresent, GREKeyPresent, greSeqPresent} {
		if b.Flags()&f != 0 {
			n += 4
		}
	}
	return n
}
