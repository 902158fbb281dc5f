package linux

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/hcn"
)

// The largest factor is taken that leaves whole seconds of every timer.
func TestAClockIsAsFastAsItsTimersAllow(t *testing.T) {
	usual, err := hcn.ProfileByName("ws2022")
	if err != nil {
		t.Fatal(err)
	}
	short := usual.Knobs
	short.NATTimerICMP = 10 * time.Second
	uneven := usual.Knobs
	uneven.NATTimerUDP = 90500 * time.Millisecond
	tests := []struct {
		name  string
		ask   int
		knobs hcn.Knobs
		want  time.Duration
	}{
		{"the largest of the usual timers", 30, usual.Knobs, 30},
		{"no divisor", 29, usual.Knobs, 15},
		{"more than there is", 1000, usual.Knobs, 30},
		{"a short timer", 30, short, 10},
		{"no whole second to begin with", 30, uneven, 1},
		{"really waiting", 1, usual.Knobs, 1},
		{"nobody waits", 0, usual.Knobs, 0},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			got, err := newClock(c.ask, c.knobs)
			if err != nil || got.scale != c.want {
				t.Errorf("%d times as fast, %v; want %d", got.scale, err, c.want)
			}
		})
	}
	if _, err := newClock(-1, usual.Knobs); err == nil {
		t.Error("a negative factor is taken")
	}
}

// What is not known when the world is made (Set-NetNat) may not fit.
func TestATimerThatIsNoWholeSecondIsRefused(t *testing.T) {
	c := clock{scale: 30}
	if s, err := c.seconds(120 * time.Second); s != "4" || err != nil {
		t.Errorf("120 s are %s, %v", s, err)
	}
	var cannot *backends.UnsupportedError
	if _, err := c.seconds(40 * time.Second); !errors.As(err, &cannot) {
		t.Errorf("40 s: %v", err)
	}
}

func TestAdvanceWaitsOnAScaledClock(t *testing.T) {
	needsKernel(t)
	ctx := context.Background()
	w, err := open(ctx, backends.WorldConfig{Profile: "ws2022", TimeScale: 30})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close(ctx)
	lab := w.(*world)
	hold, err := lab.fabric.read("net/ipv4/ipfrag_time")
	if err != nil || strings.TrimSpace(hold) != "1" {
		t.Errorf("fragments wait for %q s, %v; want 1, which are the contract's 30", hold, err)
	}
	before, begun := w.Now(), time.Now()
	if err := w.Advance(ctx, 6*time.Second); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begun); took < 200*time.Millisecond {
		t.Errorf("it waited for %v only", took)
	}
	if passed := w.Now() - before; passed < 6*time.Second {
		t.Errorf("%v of the contract's time passed", passed)
	}
	lab.time.due = time.Now().Add(-40 * time.Millisecond)
	_, err = w.Do(ctx, backends.Stimulus{Kind: backends.SendPacket, Role: "nobody"})
	var late *lateError
	if !errors.As(err, &late) {
		t.Errorf("a stimulus 40 ms late, of 33 that a second has: %v", err)
	}
}

// read reads a setting inside the namespace.
func (s *space) read(path string) (text string, err error) {
	err = s.do(func() error {
		b, err := os.ReadFile("/proc/sys/" + path)
		text = string(b)
		return err
	})
	return text, err
}
