package backends

import (
	"context"
	"time"
)

// PartBackend makes worlds that are parts of a larger one: some of its nodes
// are here, the others on other machines, and the wires between them are real.
type PartBackend interface {
	Backend
	// OpenPart makes an empty part. wires maps segments to interfaces of this
	// machine that carry them to the other parts; a segment that is not named
	// is this part's own.
	OpenPart(ctx context.Context, cfg WorldConfig, wires map[string]string) (Part, error)
	// CheckWire says why an interface cannot carry a segment, or "".
	CheckWire(device string) string
	// Ready says what this machine lacks for parts, or "".
	Ready() string
}

// Part is a world that shares its wires with others. Like a World it is used
// from one goroutine at a time.
type Part interface {
	World
	// Elsewhere tells of a node that another part has, so that it can be a
	// gateway.
	Elsewhere(ctx context.Context, n Node) error
	// Settle waits until nothing has moved here for a while, and reports
	// whether anything moved since shortly before it was asked: then other
	// parts may have something to see. brief is for stimuli that no program
	// answers.
	Settle(ctx context.Context, brief bool) (busy bool, err error)
	// Serve lets this part's own sockets answer for at most d. It is called
	// again and again while other parts act.
	Serve(d time.Duration) error
}

// LostError says that a part of the backend is gone for good: nothing that
// follows can be tested.
type LostError struct{ Msg string }

func (e *LostError) Error() string { return e.Msg }

// Loser is a backend that can be gone for good.
type Loser interface {
	// Lost is why, or nil while it is there. It may be called concurrently.
	Lost() error
}

// Wrapper is a backend around another one.
type Wrapper interface{ Unwrap() Backend }

// Lost reports whether a backend, or the one that it wraps, is gone for good.
func Lost(b Backend) error {
	for b != nil {
		if l, ok := b.(Loser); ok {
			return l.Lost()
		}
		w, ok := b.(Wrapper)
		if !ok {
			return nil
		}
		b = w.Unwrap()
	}
	return nil
}
