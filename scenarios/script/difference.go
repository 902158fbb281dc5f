package script

import (
	"bytes"
	"fmt"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/wire"
)

// Difference says where two runs of one scenario went apart: in what they came
// to, in what was seen, or in what happened without being seen. Equal runs
// give "". Times on the wall, logs and metrics do not count; what a scenario
// prints of a backend's insides may differ.
func Difference(a, b *Result) string {
	for i := 0; i < len(a.Observations) || i < len(b.Observations); i++ {
		x, y := observationAt(a.Observations, i), observationAt(b.Observations, i)
		if x == nil || y == nil || !sameObservation(x, y) {
			return fmt.Sprintf("observation %d: %s | %s", i+1, observationText(x), observationText(y))
		}
	}
	switch {
	case a.Status != b.Status:
		return fmt.Sprintf("result: %s | %s", statusText(a), statusText(b))
	case a.Virtual != b.Virtual:
		return fmt.Sprintf("virtual time: %s | %s", a.Virtual, b.Virtual)
	case a.EventHash != b.EventHash:
		return fmt.Sprintf("event hash: %s | %s, though all that was seen is equal", a.EventHash, b.EventHash)
	}
	return ""
}

func statusText(r *Result) string {
	if r.Reason == "" {
		return string(r.Status)
	}
	return string(r.Status) + ", " + r.Reason
}

func observationAt(list []backends.Observation, i int) *backends.Observation {
	if i < len(list) {
		return &list[i]
	}
	return nil
}

func sameObservation(x, y *backends.Observation) bool {
	return x.At == y.At && x.Kind == y.Kind && x.Role == y.Role && x.Peer == y.Peer &&
		x.Reason == y.Reason && x.Where == y.Where && x.ID == y.ID && bytes.Equal(x.Frame, y.Frame)
}

func observationText(o *backends.Observation) string {
	if o == nil {
		return "nothing more"
	}
	text := fmt.Sprintf("%s #%d %s %s", o.At, o.ID, o.Kind, o.Role)
	for _, s := range []string{o.Peer, o.Where, o.Reason} {
		if s != "" {
			text += " " + s
		}
	}
	return text + " " + wire.Summary(o.Frame)
}
