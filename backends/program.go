package backends

import (
	"context"
	"time"
)

// Explainer is a backend that can say why it lacks a capability that it could
// have, and what to do about it. "" means that there is nothing to say.
type Explainer interface {
	WhyNot(c Capability) string
}

// ProgramRunner is a world whose hosts run Windows programs; worlds with
// capability Programs are.
type ProgramRunner interface {
	// RunProgram runs a program to its end. What it asks of HNS, the host's HNS
	// carries out; nothing else touches the world meanwhile. A program that
	// fails is a result, and so is one whose time is up. Errors say that it
	// could not be run.
	RunProgram(ctx context.Context, p Program) (ProgramResult, error)
	// ProgramPath is what programs call a file of this machine, with forward
	// slashes.
	ProgramPath(file string) string
}

// Program is a Windows program that is to run on a host.
type Program struct {
	Host  string
	Path  string // the executable, on this machine
	Args  []string
	Env   []string // KEY=VALUE, over what programs have there anyway
	Dir   string   // its current folder, on this machine
	Stdin []byte
	// Timeout bounds the program on the wall clock. It must be positive.
	Timeout time.Duration
	// Tick is the virtual time that passes with each call of HNS, on backends
	// that have such time.
	Tick time.Duration
}

// ProgramResult is how a program ended.
type ProgramResult struct {
	ExitCode       int
	TimedOut       bool // it was ended; ExitCode means nothing
	Stdout, Stderr []byte
	// Calls are its calls of HNS, in order, where the backend sees them.
	Calls []ProgramCall
	// LeakedHandles counts what it opened and did not close.
	LeakedHandles int
}

// ProgramCall is one call of HNS.
type ProgramCall struct {
	Function string   // "HcnCreateEndpoint", "HNSCall", "HcsModifyComputeSystem"
	Args     []string // its texts: settings or query; for HNSCall method, path, body
	HResult  uint32
}
