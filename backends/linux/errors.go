package linux

import (
	"fmt"

	"github.com/hnsim/hnsim/backends"
)

func usage(format string, args ...any) error {
	return &backends.UsageError{Msg: fmt.Sprintf(format, args...)}
}

// unsupported is what the kernel, or this backend, cannot do.
func unsupported(format string, args ...any) error {
	return &backends.UnsupportedError{Msg: fmt.Sprintf(format, args...)}
}
