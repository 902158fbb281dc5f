package linux

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestACaptureThatOverflowsFails sends more to a capture that nobody reads than
// its buffer holds.
func TestACaptureThatOverflowsFails(t *testing.T) {
	needsKernel(t)
	s, err := newSpace("test")
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	c, err := s.watch()
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	buf := make([]byte, maxFrame)
	drop := func(sighting) {}
	if err := c.at(s, "lo", &point{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.read(buf, drop); err != nil {
		t.Fatalf("nothing was sent: %v", err)
	}
	if err := unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 1); err != nil { // the kernel's least
		t.Fatal(err)
	}
	frame := make([]byte, 1000)
	frame[12], frame[13] = 0x88, 0xb5 // for local experiments
	for range 50 {
		if err := s.sendRaw("lo", frame); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(10 * time.Millisecond)
	if _, err := c.read(buf, drop); err == nil || !strings.Contains(err.Error(), "lost") {
		t.Errorf("got %v of a capture that overflowed", err)
	}
	if _, err := c.read(buf, drop); err != nil {
		t.Errorf("the second time, with nothing lost since: %v", err)
	}
}
