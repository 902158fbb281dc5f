package backends

import (
	"testing"
	"time"
)

func TestALoadsMarkSurvives(t *testing.T) {
	frame := make([]byte, 64)
	MarkLoad(frame, 1<<48-1, 3*time.Second)
	if seq, at, ok := ReadLoadMark(frame); seq != 1<<48-1 || at != 3*time.Second || !ok {
		t.Error(seq, at, ok)
	}
	for _, other := range [][]byte{nil, make([]byte, LoadMark-1), make([]byte, 64)} {
		if _, _, ok := ReadLoadMark(other); ok {
			t.Errorf("%d bytes of zeros are a mark", len(other))
		}
	}
}

func TestATallyTellsLossOrderAndCopiesApart(t *testing.T) {
	l := NewLoadTally(10)
	l.Sent = 8
	for _, seq := range []uint64{0, 1, 3, 2, 2, 5, 1 << 40} {
		l.Arrived(seq, time.Duration(seq))
	}
	if l.Received != 6 || l.Twice != 1 || l.Reordered != 1 || len(l.Latency) != 5 {
		t.Errorf("%+v", l.Delivery)
	}
	if got := l.Loss(); got != 3.0/8 {
		t.Errorf("loss %g", got)
	}
	if (Delivery{}).Loss() != 0 {
		t.Error("nothing sent is lost")
	}
	big := NewLoadTally(1 << 22)
	for seq := range uint64(1 << 22) {
		big.Arrived(seq, 0)
	}
	if n := len(big.Latency); n > maxLatencies || n < maxLatencies/2 {
		t.Errorf("%d latencies kept of %d", n, 1<<22)
	}
}
