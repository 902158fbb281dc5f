package spread

import (
	"encoding/json"
	"time"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/backends/codec"
)

// Facts are what an agent says of its machine.
type Facts struct {
	Host         string                `json:"host"`
	OS           string                `json:"os"`
	Arch         string                `json:"arch"`
	Backend      string                `json:"backend"`
	Capabilities []backends.Capability `json:"capabilities"`
	DropNames    []string              `json:"dropNames,omitempty"`
	Deviations   *Deviations           `json:"deviations,omitempty"`
	Lacks        string                `json:"lacks,omitempty"`    // why it cannot make parts
	MaxHosts     int                   `json:"maxHosts,omitempty"` // Windows hosts that it can be at a time; 0: any number
}

// Deviations is what a local backend declares about itself.
type Deviations struct {
	File string `json:"file"`
	Text string `json:"text"`
}

// The operations of a request.
const (
	opFeatures   = "features"
	opWire       = "wire"
	opClock      = "clock"
	opOpen       = "open"
	opNode       = "node"
	opElsewhere  = "elsewhere"
	opLink       = "link"
	opHCN        = "hcn"
	opContainer  = "container"
	opDo         = "do"
	opAdvance    = "advance"
	opSet        = "set"
	opDump       = "dump"
	opSettle     = "settle"
	opObserve    = "observe"
	opInvariants = "invariants"
	opClose      = "close"
)

// request is one operation. World is that of the last open: operations on
// another one are refused.
type request struct {
	Op        string                `json:"op"`
	World     uint64                `json:"world,omitempty"`
	Profile   string                `json:"profile,omitempty"`
	Device    string                `json:"device,omitempty"`
	Config    *backends.WorldConfig `json:"config,omitempty"`
	Wires     map[string]string     `json:"wires,omitempty"`
	Node      *backends.Node        `json:"node,omitempty"`
	Link      *backends.Link        `json:"link,omitempty"`
	HCN       *codec.HCNArgs        `json:"hcn,omitempty"`
	Container *backends.Container   `json:"container,omitempty"`
	Stimulus  *codec.StimulusArgs   `json:"stimulus,omitempty"`
	Setting   *backends.Setting     `json:"setting,omitempty"`
	Text      string                `json:"text,omitempty"`
	For       time.Duration         `json:"for,omitempty"`   // to advance
	From      int                   `json:"from,omitempty"`  // first observation to send
	Brief     bool                  `json:"brief,omitempty"` // of settle
	Limit     time.Duration         `json:"limit,omitempty"`
}

// response is the answer.
type response struct {
	Fault    *codec.Fault           `json:"fault,omitempty"`
	Result   *codec.HCNAnswer       `json:"result,omitempty"`
	Outcome  *codec.Outcome         `json:"outcome,omitempty"`
	Features *backends.FeatureSet   `json:"features,omitempty"`
	Text     string                 `json:"text,omitempty"`
	Lines    []string               `json:"lines,omitempty"`
	Seen     []backends.Observation `json:"seen,omitempty"`
	More     bool                   `json:"more,omitempty"` // observations that did not fit
	Busy     bool                   `json:"busy,omitempty"`
	Now      time.Duration          `json:"now,omitempty"`  // of the world
	Wall     int64                  `json:"wall,omitempty"` // ns since 1970, the machine's clock
}

// maxSeen bounds the frames in one response, in bytes: Base64 and the rest must
// fit into a message.
const maxSeen = 2 << 20

func encode(v any) ([]byte, error) { return json.Marshal(v) }
