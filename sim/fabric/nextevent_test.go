package fabric

import (
	"testing"
	"time"
)

func TestTheNextEventIsTheEarlierOfFrameAndTimer(t *testing.T) {
	var log []string
	l := NewLoop(Limits{})
	want := func(at int64, ok bool) {
		t.Helper()
		if gotAt, gotOK := l.NextEvent(); gotOK != ok || ok && gotAt != at {
			t.Errorf("next event at %d, %v; want %d, %v", gotAt, gotOK, at, ok)
		}
	}
	want(0, false)
	timer := l.After(5*time.Nanosecond, func(int64) {})
	want(5, true)
	l.Post(3, &point{name: "p", log: &log}, []byte("x"), 1)
	want(3, true)
	if err := l.Settle(); err != nil {
		t.Fatal(err)
	}
	want(5, true)
	timer.Stop()
	want(0, false)
}
