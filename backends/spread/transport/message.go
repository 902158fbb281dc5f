package transport

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
)

// Protocol is the version of what both sides say. Coordinator and agents must
// have the same.
const Protocol = 1

// Subjects. Run and agent are parts of them, so that the server delivers a
// message to nobody whom it does not concern:
//
//	hnsim.hello.<agent>             agent to coordinator: here I am
//	hnsim.welcome.<agent>           the answer: this is the run
//	hnsim.run.<run>.call.<agent>    a request
//	hnsim.run.<run>.reply.<agent>   its answer
//	hnsim.run.<run>.beat.<agent>    sign of life
//	hnsim.run.<run>.end.<agent>     the run is over
const (
	subjectHello   = "hnsim.hello."
	subjectWelcome = "hnsim.welcome."
	subjectRun     = "hnsim.run."
)

func subject(run, what, agent string) string { return subjectRun + run + "." + what + "." + agent }

// Headers of requests, answers and signs of life. They repeat what the subject
// says: a message that was stored somewhere on its way is still known.
const (
	headerRun  = "Hnsim-Run"
	headerLife = "Hnsim-Life" // one start of an agent
	headerSeq  = "Hnsim-Seq"
)

// hello is what an agent says of itself.
type hello struct {
	Protocol int             `json:"protocol"`
	Version  string          `json:"version"`
	Life     string          `json:"life"`
	Connects int64           `json:"connects"` // how often it has connected
	Facts    json.RawMessage `json:"facts"`
}

// welcome is the answer to hello.
type welcome struct {
	Run        string        `json:"run,omitempty"`
	Life       string        `json:"life"`
	PatienceNs time.Duration `json:"patienceNs,omitempty"`
	Refused    string        `json:"refused,omitempty"`
}

// Counts is what a side has dropped or repeated. Numbers only grow.
type Counts struct {
	Stale      int64 `json:"stale"`      // messages of another run, or of requests that are over
	Dropped    int64 `json:"dropped"`    // requests for which a queue had no room
	Repeated   int64 `json:"repeated"`   // requests that came again and were not carried out again
	Reconnects int64 `json:"reconnects"` // connections after the first
}

func (c *Counts) add(o Counts) {
	c.Stale += o.Stale
	c.Dropped += o.Dropped
	c.Repeated += o.Repeated
	c.Reconnects += o.Reconnects
}

// message makes one of a run.
func message(subject, run, life string, seq uint64, body []byte) *nats.Msg {
	m := nats.NewMsg(subject)
	m.Header.Set(headerRun, run)
	m.Header.Set(headerLife, life)
	m.Header.Set(headerSeq, strconv.FormatUint(seq, 10))
	m.Data = body
	return m
}

func seqOf(m *nats.Msg) uint64 {
	n, err := strconv.ParseUint(m.Header.Get(headerSeq), 10, 64)
	if err != nil {
		return 0 // no request has this number
	}
	return n
}

// Limits of queues and messages.
const (
	maxPayload    = 8 << 20
	maxPending    = 64 << 20 // bytes that wait for a slow receiver
	maxMessages   = 1024     // messages that wait in a subscription
	maxAgents     = 64
	maxRequests   = 4       // that wait at an agent
	reconnectRoom = 1 << 20 // bytes that an agent keeps while it is not connected
)
