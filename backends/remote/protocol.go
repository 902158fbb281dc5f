package remote

import (
	"errors"
	"time"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/hcn"
)

// version of the protocol. Both ends are the same program, so that there is
// nothing to negotiate: others are refused.
const version = 1

// hello is the first value of a client.
type hello struct {
	Version int
	Token   string
}

// about answers the hello: what the backend says of itself.
type about struct {
	Err          *failure
	Name         string
	Capabilities []backends.Capability
	DropNames    []string
}

// method names what a request asks for.
type method string

const (
	features     method = "Features"
	open         method = "Open"
	addNode      method = "AddNode"
	setLink      method = "SetLink"
	doHCN        method = "HCN"
	addContainer method = "AddContainer"
	do           method = "Do"
	advance      method = "Advance"
	set          method = "Set"
	trace        method = "Trace"
	eventHash    method = "EventHash"
	dump         method = "Dump"
	invariants   method = "Invariants"
	sync         method = "Sync"
	selectHost   method = "SelectHost"
	closeWorld   method = "Close"
)

// request asks one thing of a world. Which of the members counts follows from
// the method.
type request struct {
	Method    method
	World     int
	Profile   string // Features
	Config    *backends.WorldConfig
	Node      *backends.Node
	Link      *backends.Link
	HCN       *backends.HCNOp
	Container *backends.Container
	Stimulus  *backends.Stimulus
	Setting   *backends.Setting
	Duration  time.Duration
	ID        uint64
	Text      string // Dump: what; SelectHost: the host
	// EmptyReply tells a listener that answers with nothing from one that
	// echoes: gob has no empty slice.
	EmptyReply bool
}

// response is the answer.
type response struct {
	Err      *failure
	World    int // Open
	Features backends.FeatureSet
	HCN      backends.HCNResult
	Outcome  backends.Outcome
	Lines    []string
	Text     string
	Now      time.Duration
	Seen     []backends.Observation
}

// failure is an error with its kind, because callers tell kinds apart.
type failure struct {
	Kind string
	Text string
	HCN  *hcn.Error
}

// Kinds of failure.
const (
	kindUsage       = "usage"
	kindUnsupported = "unsupported"
	kindUnanswered  = "unanswered"
	kindHCN         = "hcn"
	kindOther       = "other"
)

func failureOf(err error) *failure {
	var usage *backends.UsageError
	var cannot *backends.UnsupportedError
	var absent *backends.UnansweredError
	var refused *hcn.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &cannot):
		return &failure{Kind: kindUnsupported, Text: cannot.Msg}
	case errors.As(err, &usage):
		return &failure{Kind: kindUsage, Text: usage.Msg}
	case errors.As(err, &refused):
		return &failure{Kind: kindHCN, HCN: refused}
	case errors.As(err, &absent):
		return &failure{Kind: kindUnanswered, Text: absent.Msg}
	}
	return &failure{Kind: kindOther, Text: err.Error()}
}

func (f *failure) err() error {
	switch {
	case f == nil:
		return nil
	case f.Kind == kindUsage:
		return &backends.UsageError{Msg: f.Text}
	case f.Kind == kindUnsupported:
		return &backends.UnsupportedError{Msg: f.Text}
	case f.Kind == kindUnanswered:
		return &backends.UnansweredError{Msg: f.Text}
	case f.Kind == kindHCN && f.HCN != nil:
		return f.HCN
	}
	return errors.New(f.Text)
}
