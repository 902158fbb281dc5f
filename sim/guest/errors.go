package guest

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"

	"gvisor.dev/gvisor/pkg/tcpip"
)

// errnos gives gVisor's errors, which reach us as text, the numbers by which
// programs know them.
var errnos = map[string]syscall.Errno{
	(&tcpip.ErrBadLocalAddress{}).String():    syscall.EADDRNOTAVAIL,
	(&tcpip.ErrBroadcastDisabled{}).String():  syscall.EACCES,
	(&tcpip.ErrClosedForSend{}).String():      syscall.EPIPE,
	(&tcpip.ErrConnectionAborted{}).String():  syscall.ECONNABORTED,
	(&tcpip.ErrConnectionRefused{}).String():  syscall.ECONNREFUSED,
	(&tcpip.ErrConnectionReset{}).String():    syscall.ECONNRESET,
	(&tcpip.ErrHostDown{}).String():           syscall.EHOSTDOWN,
	(&tcpip.ErrHostUnreachable{}).String():    syscall.EHOSTUNREACH,
	(&tcpip.ErrMessageTooLong{}).String():     syscall.EMSGSIZE,
	(&tcpip.ErrNetworkUnreachable{}).String(): syscall.ENETUNREACH,
	(&tcpip.ErrNoBufferSpace{}).String():      syscall.ENOBUFS,
	(&tcpip.ErrNoPortAvailable{}).String():    syscall.EADDRINUSE,
	(&tcpip.ErrNotConnected{}).String():       syscall.ENOTCONN,
	(&tcpip.ErrPortInUse{}).String():          syscall.EADDRINUSE,
	(&tcpip.ErrTimeout{}).String():            syscall.ETIMEDOUT,
}

// explain turns an error of gVisor into what package net would have inside a
// net.OpError.
func (g *Guest) explain(call string, err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	var t interface{ Timeout() bool }
	switch {
	case g.closed.Load():
		return net.ErrClosed
	case errors.As(err, &t) && t.Timeout() && err.Error() == os.ErrDeadlineExceeded.Error():
		return os.ErrDeadlineExceeded
	}
	if n, ok := errnos[err.Error()]; ok {
		return os.NewSyscallError(call, n)
	}
	return err
}

func isEOF(err error) bool { return errors.Is(err, io.EOF) }
