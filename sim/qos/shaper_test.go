package qos

import (
	"math/rand/v2"
	"testing"
	"time"
)

const ms = int64(time.Millisecond)

// offer sends frames of so many bytes every gap until the end of a second and
// returns the bytes that left and were dropped, and the last departure.
func offer(t *testing.T, s *Shaper, from, until, gap int64, bytes int) (left, dropped int, last int64) {
	t.Helper()
	last = from
	for now := from; now < until; now += gap {
		at, ok := s.Admit(now, bytes)
		switch {
		case !ok:
			dropped += bytes
			continue
		case at < now || at < last:
			t.Fatalf("at %v a frame leaves at %v, behind one at %v", time.Duration(now), time.Duration(at), time.Duration(last))
		case at-now > int64(time.Second):
			t.Fatalf("a frame waits %v", time.Duration(at-now))
		}
		left, last = left+bytes, at
	}
	return left, dropped, last
}

func TestTheLongRunRateIsTheLimit(t *testing.T) { // QOS-02
	for _, rate := range []uint64{8_000, 125_000, 1_000_000, 12_500_000, 1_250_000_000} {
		s := New(rate, DefaultLimits)
		gap := int64(1514 * uint64(time.Second) / rate / 2) // twice the limit
		end := int64(100 * time.Second)
		left, dropped, last := offer(t, s, 0, end, gap, 1514)
		// The burst is there once; in the long run it does not count.
		paid := float64(left) - float64(max(MinBurst, rate/10))
		if got := paid / (float64(last) / 1e9); got < 0.95*float64(rate) || got > 1.05*float64(rate) {
			t.Errorf("limit %d: %.0f bytes per second", rate, got)
		}
		if dropped == 0 {
			t.Errorf("limit %d: nothing was dropped at twice the limit", rate)
		}
	}
}

func TestBelowTheLimitNothingWaits(t *testing.T) { // QOS-02
	s := New(1_000_000, DefaultLimits)
	for now := int64(0); now < int64(20*time.Second); now += 1600 * 1000 { // 1514 bytes need 1514 µs
		if at, ok := s.Admit(now, 1514); !ok || at != now {
			t.Fatalf("at %v: leaves at %v, %v", time.Duration(now), time.Duration(at), ok)
		}
	}
}

func TestTheBurst(t *testing.T) { // QOS-02
	for _, tt := range []struct {
		rate  uint64
		burst int
	}{{100_000, MinBurst}, {1_000_000, 100_000}, {10_000_000, 1_000_000}} {
		s, passed := New(tt.rate, DefaultLimits), 0
		for {
			at, ok := s.Admit(0, 1000)
			if !ok || at > 0 {
				break
			}
			passed += 1000
		}
		if passed < tt.burst-1000 || passed > tt.burst {
			t.Errorf("limit %d: a burst of %d bytes, want %d", tt.rate, passed, tt.burst)
		}
	}
}

func TestTheQueueIsASecondLong(t *testing.T) { // QOS-02
	s := New(1_000_000, DefaultLimits)
	last, n := int64(0), 0
	for {
		at, ok := s.Admit(0, 1000)
		if !ok {
			break
		}
		last, n = at, n+1
	}
	if n != 1100 || last != int64(time.Second) {
		t.Errorf("%d frames, the last after %v; want the burst of 100 and 1000 in a second", n, time.Duration(last))
	}
	// What was refused costs nothing.
	if at, ok := s.Admit(int64(time.Second), 1000); !ok || at != int64(time.Second)+1*ms {
		t.Errorf("a second later: at %v, %v", time.Duration(at), ok)
	}
}

func TestAnotherRateTakesOverTheDebt(t *testing.T) { // QOS-03
	s := New(1_000_000, DefaultLimits)
	for range 600 { // 500 of them wait
		s.Admit(0, 1000)
	}
	at, _ := s.Admit(0, 1000)
	if at != 501*ms {
		t.Fatalf("before: %v", time.Duration(at))
	}
	f := s.WithRate(2_000_000)
	if at, ok := f.Admit(0, 1000); !ok || at != 201*ms { // 602 kB less a burst of 200, at 2 MB/s
		t.Errorf("twice as fast: %v %v, want 201ms", time.Duration(at), ok)
	}
	s = New(1_000_000, DefaultLimits).WithRate(500_000)
	left, _, last := offer(t, s, 0, int64(60*time.Second), ms, 1000)
	if rate := float64(left-MinBurst) / (float64(last) / 1e9); rate < 475_000 || rate > 525_000 {
		t.Errorf("half as fast: %.0f bytes per second", rate)
	}
}

func TestExtremeNumbersNeitherPanicNorTurnTimeBack(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		rate := r.Uint64()>>r.IntN(64) + 1
		s, now, last := New(rate, Limits{Burst: time.Duration(r.Int64N(1e9)), Queue: time.Duration(r.Int64N(2e9))}), int64(0), int64(0)
		for range 50 {
			now += r.Int64N(1e12)
			if r.IntN(10) == 0 {
				s = s.WithRate(r.Uint64()>>r.IntN(64) + 1)
				last = 0
			}
			at, ok := s.Admit(now, r.IntN(1<<16))
			if ok && (at < now || at < last) {
				t.Fatalf("rate %d: at %d leaves at %d, after %d", rate, now, at, last)
			}
			if ok {
				last = at
			}
		}
	}
}

func TestAdmittingDoesNotAllocate(t *testing.T) {
	s, now := New(1_000_000, DefaultLimits), int64(0)
	if n := testing.AllocsPerRun(1000, func() { now += ms; s.Admit(now, 1514) }); n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
}
