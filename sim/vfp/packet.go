package vfp

import (
	"unsafe"

	"github.com/hnsim/hnsim/sim/wire"
)

// PortID names a port of one switch. Zero is no port.
type PortID uint32

// Dir is relative to what stands behind the port (contract 0.3): Out is from
// the endpoint (or the wire, for the external port) into the switch, In is
// from the switch towards it.
type Dir uint8

const (
	Out Dir = iota
	In
)

func (d Dir) String() string {
	if d == Out {
		return "OUT"
	}
	return "IN"
}

// Reverse is the other direction.
func (d Dir) Reverse() Dir { return d ^ 1 }

// Verdict says what has become of a packet. Stages skip packets that are not
// Pending.
type Verdict uint8

const (
	Pending   Verdict = iota // still on its way
	Delivered                // leaves through OutPort
	Dropped                  // Reason says why
	Consumed                 // answered, queued or replaced by copies; nothing leaves under this identity
)

// Headroom is the space in front of a frame, enough for the largest
// encapsulation (Ethernet+VLAN+IPv6+UDP+VXLAN, 80 bytes), in whole cache lines:
// the headers of a frame lie in one, those put in front of it in the next.
const Headroom = 2 * lineSize

// bufLen is the length of a buffer for frames of usual size. Buffers that lie a
// power of two apart would share few sets of the cache.
const bufLen = 2688

// Packet is one frame in a buffer with headroom, so that encapsulation
// prepends without copying. The owner of the batch owns the buffer; a stage
// that keeps a frame beyond its call copies it.
type Packet struct {
	buf      []byte
	off, end int

	ID      uint64 // identity over hops and copies, for traces and captures
	InPort  PortID
	OutPort PortID
	Verdict Verdict
	Reason  Drop
	Meta    wire.Meta // valid after Parse; a stage that changes the frame re-parses or mends it
}

// NewPacket copies frame into a fresh buffer with headroom.
func NewPacket(frame []byte) *Packet {
	p := new(Packet)
	p.Reset(frame)
	return p
}

// Reset loads frame, reusing the packet's buffer when it is large enough, and
// clears all metadata. The frame is not parsed.
func (p *Packet) Reset(frame []byte) {
	need := Headroom + len(frame)
	if cap(p.buf) < need {
		p.buf = make([]byte, max(need, bufLen))
	}
	p.buf = p.buf[:cap(p.buf)]
	p.off, p.end = Headroom, need
	copy(p.buf[Headroom:need], frame)
	p.Meta = wire.Meta{}
	p.ID, p.InPort, p.OutPort, p.Verdict, p.Reason = 0, 0, 0, Pending, DropNone
}

// Load is Reset for a frame of n bytes of which only the head is given, as a
// network card leaves the rest where it put it: those bytes are what the
// buffer had there before, zeros at first. Meta is that of the frame before
// until Parse.
func (p *Packet) Load(head []byte, n int) {
	need := Headroom + n
	if len(p.buf) < need {
		p.buf = make([]byte, max(need, bufLen))
	}
	p.off, p.end = Headroom, need
	if len(head) == lineSize && n >= lineSize {
		// In four pieces: more than 16 bytes at a time are a call.
		to, from := (*[lineSize]byte)(p.buf[Headroom:]), (*[lineSize]byte)(head)
		*(*[16]byte)(to[:]) = *(*[16]byte)(from[:])
		*(*[16]byte)(to[16:]) = *(*[16]byte)(from[16:])
		*(*[16]byte)(to[32:]) = *(*[16]byte)(from[32:])
		*(*[16]byte)(to[48:]) = *(*[16]byte)(from[48:])
	} else {
		copy(p.buf[Headroom:need], head)
	}
	p.ID, p.InPort, p.OutPort, p.Verdict, p.Reason = 0, 0, 0, Pending, DropNone
}

// head is the beginning of a frame that is known to have as many bytes.
func (p *Packet) head() *[plainUDP]byte {
	return (*[plainUDP]byte)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(p.buf)), p.off))
}

// Bytes is the frame, valid until the next change of length.
func (p *Packet) Bytes() []byte { return p.buf[p.off:p.end:p.end] }

// Len is the length of the frame in bytes, without FCS.
func (p *Packet) Len() int { return p.end - p.off }

// Prepend makes room for n bytes in front of the frame and returns the whole
// frame, the new bytes undefined. It reports nil when the headroom is used up.
func (p *Packet) Prepend(n int) []byte {
	if p.off < n {
		return nil
	}
	p.off -= n
	return p.Bytes()
}

// TrimFront removes n bytes from the front; n beyond the end empties the frame.
func (p *Packet) TrimFront(n int) { p.off = min(p.off+n, p.end) }

// TrimTo shortens the frame to n bytes.
func (p *Packet) TrimTo(n int) { p.end = min(p.end, p.off+n) }

// Parse fills Meta from the frame and reports the parse result (wire.Parse).
func (p *Packet) Parse() wire.ParseError { return wire.Parse(p.Bytes(), &p.Meta) }

// DropWith decides the packet.
func (p *Packet) DropWith(r Drop) { p.Verdict, p.Reason = Dropped, r }

// BatchSize is the unit of work of the packet path.
const BatchSize = 64

// Batch carries up to BatchSize packets through the stages. Now is virtual
// time in nanoseconds since the world began. Trace is nil unless somebody
// watches; it never changes what happens to a packet.
type Batch struct {
	Now   int64
	Trace *Trace
	N     int
	Pkts  [BatchSize]Packet
}
