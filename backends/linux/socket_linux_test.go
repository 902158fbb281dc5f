package linux

import (
	"bytes"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestLongPayloadsArriveWhole sends more than a socket's buffer takes at once
// to a peer that sends it back.
func TestLongPayloadsArriveWhole(t *testing.T) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	want := make([]byte, 3<<20)
	for i := range want {
		want[i] = byte(i >> 8)
	}
	c := &client{fd: fds[0], payload: want}
	l := &loop{}
	l.add(c)
	l.add(&peer{fd: fds[1]})
	defer l.close()
	if err := l.until(20*time.Second, func() bool { return c.err != nil || len(c.got) == len(want) }); err != nil {
		t.Fatal(err)
	}
	if c.err != nil || !bytes.Equal(c.got, want) {
		t.Errorf("%d bytes came back of %d: %v", len(c.got), len(want), c.err)
	}
}
