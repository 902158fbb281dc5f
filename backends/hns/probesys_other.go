//go:build !windows

package hns

import (
	"context"
	"errors"
	"net"
	"os/exec"
	"syscall"
)

// enterCompartment knows the host's own: compartments are Windows'.
func enterCompartment(id uint32) error {
	if id != 0 {
		return errors.New(needsWindows)
	}
	return nil
}

func isRefused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }

func isClosed(err error) bool { return errors.Is(err, net.ErrClosed) }

func bindDetail(err error) string { return detailOf(err) }

func setTTL(*net.UDPConn, bool, uint8) error { return errors.New(needsWindows) }

func pingFrom(context.Context, probeRequest) (probeMessage, error) {
	return probeMessage{}, errors.New(needsWindows)
}

// leash holds processes to this one. Here nothing does: probes end with their
// input.
type leash struct{}

func newLeash() (*leash, error) { return &leash{}, nil }

func (*leash) start(cmd *exec.Cmd) error { return cmd.Start() }

func (*leash) close() error { return nil }
