package recording

import (
	"encoding/json"
	"time"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/backends/codec"
)

// Schema names the version of the format. It stands in the first line. A reader
// refuses another major version and ignores members that it does not know.
const Schema = "hnsim.recording/1"

// Header says what was recorded.
type Header struct {
	Version      string                `json:"hnsimVersion,omitempty"` // of the program that wrote it
	Date         time.Time             `json:"date,omitzero"`          // when it began, UTC
	Backend      string                `json:"backend"`
	Capabilities []backends.Capability `json:"capabilities"`
	DropNames    []string              `json:"dropNames,omitempty"`
	Profile      string                `json:"profile"`
	Seed         uint64                `json:"seed"`
	Knobs        map[string]string     `json:"knobs,omitempty"`
	NoFlowCache  bool                  `json:"noFlowCache,omitempty"`
	Features     backends.FeatureSet   `json:"features"`
	Deviations   *Deviations           `json:"deviations,omitempty"`
}

// Deviations is what the recorded backend declares about itself
// (backends.Deviator).
type Deviations struct {
	File string `json:"file"`
	Text string `json:"text"`
}

// record is one line of the file. World numbers the worlds of a run from 1;
// exactly one of the members behind it says what the line is about.
type record struct {
	Schema string      `json:"schema,omitempty"`
	Header *Header     `json:"recording,omitempty"`
	World  int         `json:"world,omitempty"`
	Open   *opening    `json:"open,omitempty"`
	Call   string      `json:"call,omitempty"`
	Seen   *seenRecord `json:"seen,omitempty"`
	End    *ending     `json:"end,omitempty"`

	// Of calls.
	Args   json.RawMessage `json:"args,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
	Error  *codec.Fault    `json:"error,omitempty"`
	NowNs  int64           `json:"nowNs,omitempty"` // the world's clock after the call
}

type opening struct {
	Scenario string               `json:"scenario"`
	Config   backends.WorldConfig `json:"config"`
}

// ending is the last line of a file that is whole.
type ending struct {
	Worlds int `json:"worlds"`
}

// seenRecord is an observation.
type seenRecord struct {
	AtNs   int64                    `json:"atNs,omitempty"`
	Kind   backends.ObservationKind `json:"kind"`
	Role   string                   `json:"role"`
	Peer   string                   `json:"peer,omitempty"`
	Where  string                   `json:"where,omitempty"`
	Reason string                   `json:"reason,omitempty"`
	ID     uint64                   `json:"id,omitempty"`
	Frame  []byte                   `json:"frame,omitempty"`
	// As is which observation of the world, counted from 1, has the same
	// frame: most packets are seen at several points.
	As int `json:"as,omitempty"`
}

// observation is what was seen; the frame may be that of an earlier one.
func (s *seenRecord) observation() backends.Observation {
	return backends.Observation{
		At: time.Duration(s.AtNs), Kind: s.Kind, Role: s.Role, Peer: s.Peer,
		Where: s.Where, Reason: s.Reason, ID: s.ID, Frame: s.Frame,
	}
}
