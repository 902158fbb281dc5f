package wire

import "encoding/binary"

// VXLAN (RFC 7348), in UDP, followed by an Ethernet frame without FCS:
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|R|R|R|R|I|R|R|R|            Reserved                           |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                VXLAN Network Identifier (VNI) |   Reserved    |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type VXLAN []byte

const (
	vxFlags = 0
	vxVNI   = 4

	// VXLANLen is the length of the header.
	VXLANLen = 8
	// VXLANPort is the UDP port that the contract's constants table defaults to.
	VXLANPort = 4789
	// VXLANFlagI says that the VNI is valid.
	VXLANFlagI = 0x08
	// MaxVNI is the largest VNI or VSID.
	MaxVNI = 1<<24 - 1
)

// Init writes the whole header: I flag, VNI, reserved bits zero.
func (b VXLAN) Init(vni uint32) {
	binary.BigEndian.PutUint32(b[vxFlags:], VXLANFlagI<<24)
	binary.BigEndian.PutUint32(b[vxVNI:], vni<<8)
}

// Flags is the first byte. Receivers look at VXLANFlagI only.
func (b VXLAN) Flags() uint8 { return b[vxFlags] }

// SetFlags sets the first byte.
func (b VXLAN) SetFlags(v uint8) { b[vxFlags] = v }

// VNI is the network identifier, 24 bits.
func (b VXLAN) VNI() uint32 { return binary.BigEndian.Uint32(b[vxVNI:]) >> 8 }

// SetVNI sets the network identifier, 24 bits; the byte beside it becomes zero.
func (b VXLAN) SetVNI(v uint32) { binary.BigEndian.PutUint32(b[vxVNI:], v<<8) }
