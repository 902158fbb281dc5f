//go:build !linux

package linux

import (
	"context"
	"runtime"

	"github.com/hnsim/hnsim/backends"
)

func open(context.Context, backends.WorldConfig) (backends.World, error) {
	return nil, unsupported("the linux backend needs Linux; this is %s", runtime.GOOS)
}
