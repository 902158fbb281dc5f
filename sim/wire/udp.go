package wire

import "encoding/binary"

// UDP (RFC 768):
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|          Source Port          |        Destination Port       |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|             Length            |            Checksum           |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type UDP []byte

const (
	l4SrcPort   = 0 // the same place in UDP and TCP
	l4DstPort   = 2
	udpLength   = 4
	udpChecksum = 6

	// UDPLen is the length of the header.
	UDPLen = 8
)

// SrcPort is the source port.
func (b UDP) SrcPort() uint16 { return binary.BigEndian.Uint16(b[l4SrcPort:]) }

// SetSrcPort sets the source port.
func (b UDP) SetSrcPort(v uint16) { binary.BigEndian.PutUint16(b[l4SrcPort:], v) }

// DstPort is the destination port.
func (b UDP) DstPort() uint16 { return binary.BigEndian.Uint16(b[l4DstPort:]) }

// SetDstPort sets the destination port.
func (b UDP) SetDstPort(v uint16) { binary.BigEndian.PutUint16(b[l4DstPort:], v) }

// Length is the length field: header and data in bytes. In a first fragment it
// exceeds what is present.
func (b UDP) Length() int { return int(binary.BigEndian.Uint16(b[udpLength:])) }

// SetLength sets the length field.
func (b UDP) SetLength(n int) { binary.BigEndian.PutUint16(b[udpLength:], uint16(n)) }

// Checksum is the checksum as it stands in the header; 0 means that the sender
// made none.
func (b UDP) Checksum() uint16 { return binary.BigEndian.Uint16(b[udpChecksum:]) }

// SetChecksum sets the checksum.
func (b UDP) SetChecksum(v uint16) { binary.BigEndian.PutUint16(b[udpChecksum:], v) }

// Payload is the data behind the header, cut to the length field if that is
// shorter than what is present.
func (b UDP) Payload() []byte {
	if n := b.Length(); n >= UDPLen && n < len(b) {
		return b[UDPLen:n]
	}
	return b[UDPLen:]
}
