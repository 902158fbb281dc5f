package recording

import (
	"encoding/json"
	"time"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/backends/codec"
)

// Entry is one call, its answer, and what was seen between it and the next one.
// Which members of the answer are set follows from the call.
type Entry struct {
	Call    Call
	HCN     backends.HCNResult
	Outcome backends.Outcome
	Lines   []string                 // of Trace, Invariants, Close
	Text    string                   // of EventHash, Dump
	Took    map[string]time.Duration // of Measurements
	Err     error
	Now     time.Duration          // the world's clock afterwards
	Seen    []backends.Observation // their Seq is not set
}

// closing is the call that completes a world.
const closing = "Close"

// decode takes the answer from a line.
func (e *Entry) decode(rec *record) error {
	e.Err = rec.Error.Err()
	if len(rec.Result) == 0 {
		return nil
	}
	switch e.Call.Name {
	case "HCN":
		var res codec.HCNAnswer
		err := json.Unmarshal(rec.Result, &res)
		e.HCN = backends.HCNResult{ID: res.ID, Document: json.RawMessage(res.Document)}
		return err
	case "Do":
		var out codec.Outcome
		err := json.Unmarshal(rec.Result, &out)
		e.Outcome = out.Outcome()
		return err
	case "Dump":
		var t codec.Text
		err := json.Unmarshal(rec.Result, &t)
		e.Text = string(t)
		return err
	case "EventHash":
		return json.Unmarshal(rec.Result, &e.Text)
	case "Measurements":
		return json.Unmarshal(rec.Result, &e.Took)
	case "Trace", "Invariants", closing:
		return json.Unmarshal(rec.Result, &e.Lines)
	}
	return nil // a later version's
}
