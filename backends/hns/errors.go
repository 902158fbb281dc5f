package hns

import (
	"fmt"
	"net/netip"

	"github.com/hnsim/hnsim/backends"
)

func usage(format string, args ...any) error {
	return &backends.UsageError{Msg: fmt.Sprintf(format, args...)}
}

// unsupported is what Windows, or this backend, cannot do.
func unsupported(format string, args ...any) error {
	return &backends.UnsupportedError{Msg: fmt.Sprintf(format, args...)}
}

// asked is the address of a host that is made to be asked one question.
var asked = []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24")}
