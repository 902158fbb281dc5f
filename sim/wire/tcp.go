package wire

import (
	"encoding/binary"
	"strings"
)

// TCP (RFC 9293):
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|          Source Port          |       Destination Port        |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                        Sequence Number                        |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                    Acknowledgment Number                      |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	| Offset|  Rsvd |C|E|U|A|P|R|S|F|            Window             |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|           Checksum            |         Urgent Pointer        |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                          [Options]                            |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type TCP []byte

const (
	tcpSeq      = 4
	tcpAck      = 8
	tcpOffset   = 12
	tcpFlags    = 13
	tcpWindow   = 14
	tcpChecksum = 16
	tcpUrgent   = 18

	// TCPMinLen is the length of a header without options.
	TCPMinLen = 20
	// TCPMaxLen is the length of the longest header.
	TCPMaxLen = 60
)

// TCP flags.
const (
	TCPFin = 1 << iota
	TCPSyn
	TCPRst
	TCPPsh
	TCPAck
	TCPUrg
	TCPEce
	TCPCwr
)

// TCPFlagLetters are the letters of the flags, from TCPFin on.
const TCPFlagLetters = "FSRPAUEC"

// ParseTCPFlags reads flags as letters: "SA" is TCPSyn|TCPAck. ok is false if
// there is any other character.
func ParseTCPFlags(letters string) (flags uint8, ok bool) {
	for _, c := range letters {
		bit := strings.IndexRune(TCPFlagLetters, c)
		if bit < 0 {
			return 0, false
		}
		flags |= 1 << bit
	}
	return flags, true
}

// TCP option kinds.
const (
	TCPOptEnd = 0
	TCPOptNop = 1
	TCPOptMSS = 2
)

// SrcPort is the source port.
func (b TCP) SrcPort() uint16 { return binary.BigEndian.Uint16(b[l4SrcPort:]) }

// SetSrcPort sets the source port.
func (b TCP) SetSrcPort(v uint16) { binary.BigEndian.PutUint16(b[l4SrcPort:], v) }

// DstPort is the destination port.
func (b TCP) DstPort() uint16 { return binary.BigEndian.Uint16(b[l4DstPort:]) }

// SetDstPort sets the destination port.
func (b TCP) SetDstPort(v uint16) { binary.BigEndian.PutUint16(b[l4DstPort:], v) }

// Seq is the sequence number of the first byte.
func (b TCP) Seq() uint32 { return binary.BigEndian.Uint32(b[tcpSeq:]) }

// SetSeq sets the sequence number.
func (b TCP) SetSeq(v uint32) { binary.BigEndian.PutUint32(b[tcpSeq:], v) }

// Ack is the acknowledgment number.
func (b TCP) Ack() uint32 { return binary.BigEndian.Uint32(b[tcpAck:]) }

// SetAck sets the acknowledgment number.
func (b TCP) SetAck(v uint32) { binary.BigEndian.PutUint32(b[tcpAck:], v) }

// HeaderLen is the header's length in bytes, options included.
func (b TCP) HeaderLen() int { return int(b[tcpOffset]>>4) * 4 }

// SetHeaderLen sets the header's length in bytes, a multiple of 4.
func (b TCP) SetHeaderLen(n int) { b[tcpOffset] = byte(n/4) << 4 }

// Flags are the eight flags TCPFin to TCPCwr.
func (b TCP) Flags() uint8 { return b[tcpFlags] }

// SetFlags sets the flags.
func (b TCP) SetFlags(v uint8) { b[tcpFlags] = v }

// Window is the window field, not scaled.
func (b TCP) Window() uint16 { return binary.BigEndian.Uint16(b[tcpWindow:]) }

// SetWindow sets the window field.
func (b TCP) SetWindow(v uint16) { binary.BigEndian.PutUint16(b[tcpWindow:], v) }

// Checksum is the checksum as it stands in the header.
func (b TCP) Checksum() uint16 { return binary.BigEndian.Uint16(b[tcpChecksum:]) }

// SetChecksum sets the checksum.
func (b TCP) SetChecksum(v uint16) { binary.BigEndian.PutUint16(b[tcpChecksum:], v) }

// Urgent is the urgent pointer.
func (b TCP) Urgent() uint16 { return binary.BigEndian.Uint16(b[tcpUrgent:]) }

// SetUrgent sets the urgent pointer.
func (b TCP) SetUrgent(v uint16) { binary.BigEndian.PutUint16(b[tcpUrgent:], v) }

// Options are the bytes between the fixed header and the data.
func (b TCP) Options() []byte { return b[TCPMinLen:b.HeaderLen()] }

// Payload is the data behind the header.
func (b TCP) Payload() []byte { return b[b.HeaderLen():] }

// MSS is the maximum segment size option; ok is false if there is none.
func (b TCP) MSS() (mss uint16, ok bool) {
	at := b.mssAt()
	if at < 0 {
		return 0, false
	}
	return binary.BigEndian.Uint16(b[at:]), true
}

// mssAt is the offset of the MSS value in the header, or -1. It may be odd:
// nothing aligns options.
func (b TCP) mssAt() int {
	for i, end := TCPMinLen, b.HeaderLen(); i < end; {
		switch b[i] {
		case TCPOptEnd:
			return -1
		case TCPOptNop:
			i++
			continue
		}
		if i+2 > end || b[i+1] < 2 || i+int(b[i+1]) > end {
			return -1
		}
		if b[i] == TCPOptMSS && b[i+1] == 4 {
			return i + 2
		}
		i += int(b[i+1])
	}
	return -1
}
