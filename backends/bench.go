package backends

import (
	"context"
	"encoding/binary"
	"time"
)

// BurstSize is how many frames a Lane takes at most at a time.
const BurstSize = 64

// Bencher is a World whose data plane can be driven directly, for
// measurements of what a packet costs. What a lane does to a frame is what
// happens to it in a scenario, by the same code and the same programs; only
// the way between the parts of a host is shorter: no event, no capture.
type Bencher interface {
	// Lane opens a way through the world as it is configured now. What the way
	// needs to know of its neighbours must have been learned before. One lane
	// is open at a time, and nothing else is done to the world meanwhile.
	Lane(ctx context.Context, cfg LaneConfig) (Lane, error)
}

// LaneConfig says where frames enter and which way they go.
type LaneConfig struct {
	From    string   // the role whose NIC sends: a container, or a host with OnWire
	OnWire  bool     // frames come from the wire into host From
	Through []string // hosts that frames go on to by the wire, in order
	Tracing bool     // record a stage trace of every packet
}

// Burst is a number of frames as a NIC hands them over: the first bytes of
// each, which are copied, and its whole length. What follows the head is zeros.
type Burst struct {
	N    int
	Head [BurstSize][]byte
	Len  [BurstSize]int // of the frame, in bytes without FCS, at least that of the head
}

// Lane is a way through a world. It is used from one goroutine at a time.
type Lane interface {
	// Forward takes a burst through and reports how many frames came out at
	// the far end: at a container, or on the wire of the last host.
	Forward(b *Burst) (out int)
	// Frame is the i'th frame of the last burst as it came out, nil if it did
	// not. It is valid until the next Forward.
	Frame(i int) []byte
	// Fate says what became of the i'th frame: "out", or why not.
	Fate(i int) string
	// Advance lets virtual time pass and removes what has expired meanwhile.
	Advance(d time.Duration) error
	// Close gives the world back.
	Close()
}

// Offerer is a World that can offer load at a rate and count what arrives: over
// a real wire, or in virtual time.
type Offerer interface {
	// Offer runs one trial. Only what makes the trial meaningless is an error;
	// loss is a result.
	Offer(ctx context.Context, l Load) (Delivery, error)
	// Offers says what a trial includes and how exact its clock is, in one
	// sentence for reports.
	Offers() string
}

// Load is what one trial offers.
type Load struct {
	From   string   // the role whose NIC sends
	To     []string // the roles whose NICs count: containers or plain machines
	Frames [][]byte // sent in turn; payloads have at least LoadMark bytes, which the trial overwrites
	Rate   float64  // frames a second
	For    time.Duration
}

// LoadMark is how many bytes at the end of a frame a trial uses for a sequence
// number and a time stamp.
const LoadMark = 16

// Delivery is what became of a load.
type Delivery struct {
	Sent, Received   uint64
	Reordered, Twice uint64          // among Received: later than a younger frame; counted before
	Uncounted        uint64          // frames that the counter had no room for: they may have arrived
	Took             time.Duration   // of sending: longer than Load.For when the sender could not keep up
	Latency          []time.Duration // of the frames that arrived, or of a fair sample, in order of arrival
}

// Loss is the share of frames that did not arrive, 0 to 1.
func (d Delivery) Loss() float64 {
	if d.Sent == 0 {
		return 0
	}
	return 1 - float64(d.Received-d.Twice)/float64(d.Sent)
}

// loadMagic begins the mark of a frame, so that other frames are not counted.
const loadMagic = 0x686e

// MarkLoad writes a sequence number below 2^48 and the time of sending into the
// end of a frame.
func MarkLoad(frame []byte, seq uint64, at time.Duration) {
	end := frame[len(frame)-LoadMark:]
	binary.BigEndian.PutUint64(end, loadMagic<<48|seq)
	binary.BigEndian.PutUint64(end[8:], uint64(at))
}

// ReadLoadMark is what MarkLoad wrote. ok is false for frames that have none.
func ReadLoadMark(frame []byte) (seq uint64, at time.Duration, ok bool) {
	if len(frame) < LoadMark {
		return 0, 0, false
	}
	end := frame[len(frame)-LoadMark:]
	seq = binary.BigEndian.Uint64(end)
	return seq & (1<<48 - 1), time.Duration(binary.BigEndian.Uint64(end[8:])), seq>>48 == loadMagic
}

// maxLatencies bounds the sample of latencies.
const maxLatencies = 1 << 18

// LoadTally counts the frames of one trial as they arrive. Not safe for
// concurrent use.
type LoadTally struct {
	Delivery
	seen  []uint64 // bit by sequence number
	next  uint64   // one more than the highest sequence number so far
	every uint64   // which share of latencies is kept
}

// NewLoadTally makes one for at most n frames.
func NewLoadTally(n uint64) *LoadTally {
	return &LoadTally{seen: make([]uint64, n/64+1), every: n/maxLatencies + 1}
}

// Arrived counts a frame. It ignores numbers that the trial does not have.
func (t *LoadTally) Arrived(seq uint64, latency time.Duration) {
	if seq/64 >= uint64(len(t.seen)) {
		return
	}
	t.Received++
	if bit := uint64(1) << (seq % 64); t.seen[seq/64]&bit != 0 {
		t.Twice++
		return
	} else {
		t.seen[seq/64] |= bit
	}
	if seq < t.next {
		t.Reordered++
	} else {
		t.next = seq + 1
	}
	if seq%t.every == 0 {
		t.Latency = append(t.Latency, latency)
	}
}
