//go:build !linux

package hostnet

import (
	"errors"
	"net"
)

// Namespace is what only Linux has.
type Namespace struct{}

// New fails.
func New() (*Namespace, error) {
	return nil, errors.New("network namespaces need Linux")
}

func (*Namespace) Do(func() error) error               { return errors.ErrUnsupported }
func (*Namespace) Listen(string) (net.Listener, error) { return nil, errors.ErrUnsupported }
func (*Namespace) Set([]Interface) error               { return errors.ErrUnsupported }
func (*Namespace) Names() [][2]string                  { return nil }
func (*Namespace) Close() error                        { return nil }
