package backends

import (
	"context"
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
	To     string   // the role whose NIC counts: a container or a plain machine
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
