package linux

import (
	"context"

	"github.com/hnsim/hnsim/backends"
)

var _ backends.PartBackend = Backend{}

// OpenPart makes a world whose segments reach beyond this machine: wires names
// the interface of this process's own network namespace that carries each.
func (Backend) OpenPart(ctx context.Context, cfg backends.WorldConfig, wires map[string]string) (backends.Part, error) {
	return openPart(ctx, cfg, wires)
}
