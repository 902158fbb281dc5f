package script

import (
	"context"

	"github.com/hnsim/hnsim/backends"
)

// Parse reads a scenario file.
func Parse(file string, data []byte) (*Scenario, error) { return nil, nil }

// Run executes a scenario without matrix, or one variant, against a fresh
// world of the backend. It always returns a result.
func Run(ctx context.Context, sc *Scenario, b backends.Backend, opt Options) *Result {
	return &Result{ID: sc.ID, Status: Error, Reason: "the engine is being built"}
}
