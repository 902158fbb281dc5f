//go:build !linux

package linux

import (
	"context"
	"runtime"

	"github.com/hnsim/hnsim/backends"
)

// Isolate does nothing here: there is nothing to isolate.
func Isolate(context.Context) (code int, ran bool, err error) { return 0, false, nil }

// Check says that this is not Linux.
func Check() string { return "the linux backend needs Linux; this is " + runtime.GOOS }

// Leftovers are none: nothing was ever made here.
func Leftovers(...string) ([]*Leftover, error) { return nil, nil }

func open(context.Context, backends.WorldConfig) (backends.World, error) {
	return nil, unsupported("the linux backend needs Linux; this is %s", runtime.GOOS)
}

func openPart(context.Context, backends.WorldConfig, map[string]string) (backends.Part, error) {
	return nil, unsupported("the linux backend needs Linux; this is %s", runtime.GOOS)
}

// CheckWire says that this is not Linux.
func (Backend) CheckWire(string) string { return Check() }

// Ready says that this is not Linux.
func (Backend) Ready() string { return Check() }
