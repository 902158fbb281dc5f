package reports

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// Direction of a captured packet as seen from the interface it is recorded on.
type Direction uint8

const (
	UnknownDirection Direction = iota
	Inbound                    // arrived at the point
	Outbound                   // left the point
)

// CapturedPacket is one frame at one point of the pipeline.
type CapturedPacket struct {
	Interface int           // from PcapngWriter.Interface
	At        time.Duration // virtual time since the world began
	Frame     []byte        // Ethernet, without FCS
	ID        uint64        // identity over hops; 0 is unknown
	Direction Direction
	Comments  []string // shown as packet comments; drops carry their reason here
}

// PcapngWriter writes a packet capture that Wireshark opens: one interface for
// each point of the pipeline, nanosecond timestamps (virtual time as time
// since 1970), and per packet the identity that joins its hops (epb_packetid),
// the direction and comments.
//
// It is written here, rather than with a library, because the tests decode it
// with one: writer and reader then share no mistake.
//
// Format: draft-ietf-opsawg-pcapng, little endian. Blocks are padded to 32
// bits, options too. The writer is used from one goroutine.
type PcapngWriter struct {
	w          io.Writer
	interfaces int
	err        error
}

const (
	blockSection   = 0x0a0d0d0a
	blockInterface = 1
	blockPacket    = 6
	byteOrderMagic = 0x1a2b3c4d

	optEnd     = 0
	optComment = 1

	optSHBUserAppl = 4

	optIfName        = 2
	optIfDescription = 3
	optIfTSResol     = 9

	optEPBFlags    = 2
	optEPBPacketID = 5

	linkEthernet    = 1
	resolNanosecond = 9
	maxOptionBytes  = 0xffff
	maxFrameBytes   = 256 << 10 // larger frames do not exist; a capture with one would not open
)

// NewPcapngWriter starts a capture. The comment stands in the section header:
// what was captured and how to get it again.
func NewPcapngWriter(w io.Writer, comment string) (*PcapngWriter, error) {
	p := &PcapngWriter{w: w}
	var body []byte
	body = binary.LittleEndian.AppendUint32(body, byteOrderMagic)
	body = binary.LittleEndian.AppendUint16(body, 1)          // major
	body = binary.LittleEndian.AppendUint16(body, 0)          // minor
	body = binary.LittleEndian.AppendUint64(body, ^uint64(0)) // section length unknown
	var opts options
	opts.text(optComment, comment)
	opts.text(optSHBUserAppl, "hnsim")
	p.block(blockSection, append(body, opts.end()...))
	return p, p.err
}

// Interface declares a point of the pipeline and returns its number. It may be
// called between packets.
func (p *PcapngWriter) Interface(name, description string) (int, error) {
	var body []byte
	body = binary.LittleEndian.AppendUint16(body, linkEthernet)
	body = binary.LittleEndian.AppendUint16(body, 0)
	body = binary.LittleEndian.AppendUint32(body, 0) // no snap length
	var opts options
	opts.text(optIfName, name)
	opts.text(optIfDescription, description)
	opts.bytes(optIfTSResol, []byte{resolNanosecond})
	p.block(blockInterface, append(body, opts.end()...))
	p.interfaces++
	return p.interfaces - 1, p.err
}

// Packet writes one frame.
func (p *PcapngWriter) Packet(c CapturedPacket) error {
	if p.err != nil {
		return p.err
	}
	if c.Interface < 0 || c.Interface >= p.interfaces {
		return fmt.Errorf("pcapng: interface %d of %d", c.Interface, p.interfaces)
	}
	if len(c.Frame) > maxFrameBytes {
		return fmt.Errorf("pcapng: frame of %d bytes, at most %d", len(c.Frame), maxFrameBytes)
	}
	if c.At < 0 {
		return errors.New("pcapng: time before the world began")
	}
	at := uint64(c.At)
	var body []byte
	body = binary.LittleEndian.AppendUint32(body, uint32(c.Interface))
	body = binary.LittleEndian.AppendUint32(body, uint32(at>>32))
	body = binary.LittleEndian.AppendUint32(body, uint32(at))
	body = binary.LittleEndian.AppendUint32(body, uint32(len(c.Frame)))
	body = binary.LittleEndian.AppendUint32(body, uint32(len(c.Frame)))
	body = pad(append(body, c.Frame...))
	var opts options
	for _, text := range c.Comments {
		opts.text(optComment, text)
	}
	if c.Direction != UnknownDirection {
		opts.bytes(optEPBFlags, binary.LittleEndian.AppendUint32(nil, uint32(c.Direction)))
	}
	if c.ID != 0 {
		opts.bytes(optEPBPacketID, binary.LittleEndian.AppendUint64(nil, c.ID))
	}
	p.block(blockPacket, append(body, opts.end()...))
	return p.err
}

// block writes one block in one Write, so that a cut file loses whole packets
// only. The first error sticks.
func (p *PcapngWriter) block(kind uint32, body []byte) {
	if p.err != nil {
		return
	}
	length := uint32(12 + len(body))
	out := make([]byte, 0, length)
	out = binary.LittleEndian.AppendUint32(out, kind)
	out = binary.LittleEndian.AppendUint32(out, length)
	out = append(out, body...)
	out = binary.LittleEndian.AppendUint32(out, length)
	if _, err := p.w.Write(out); err != nil {
		p.err = fmt.Errorf("pcapng: %w", err)
	}
}

// options builds the option list of a block.
type options struct{ b []byte }

// text adds a string option; an empty text is left out. Texts are UTF-8
// without control characters, cut to what an option can hold.
func (o *options) text(code uint16, s string) {
	s = printable(s)
	if s == "" {
		return
	}
	if len(s) > maxOptionBytes {
		s = printable(s[:maxOptionBytes-1]) // a rune cut in half becomes "?"
	}
	o.bytes(code, []byte(s))
}

func (o *options) bytes(code uint16, value []byte) {
	o.b = binary.LittleEndian.AppendUint16(o.b, code)
	o.b = binary.LittleEndian.AppendUint16(o.b, uint16(len(value)))
	o.b = pad(append(o.b, value...))
}

// end closes the list; without options there is no list at all.
func (o *options) end() []byte {
	if o.b == nil {
		return nil
	}
	return binary.LittleEndian.AppendUint32(o.b, optEnd)
}

// pad fills b with zeros to a multiple of four bytes.
func pad(b []byte) []byte {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}
