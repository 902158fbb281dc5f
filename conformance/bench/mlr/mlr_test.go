package mlr

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

const s = time.Second

func goal(loss float64) Goal {
	return Goal{Name: "g", LossRatio: loss, ExceedRatio: 0.5, Initial: s, Final: 4 * s, Sum: 8 * s, Width: 0.005}
}

func TestALoadIsClassifiedByTheTimeOfItsTrials(t *testing.T) {
	bad, good := func(d time.Duration) Trial { return Trial{1, d, 0.1} }, func(d time.Duration) Trial { return Trial{1, d, 0} }
	tests := []struct {
		name   string
		trials []Trial
		want   Class
	}{
		{"nothing is known", nil, Undecided},
		{"half of the time is good, whatever comes", []Trial{good(4 * s)}, LowerBound},
		{"half of the time is bad, which may be", []Trial{bad(4 * s)}, Undecided},
		{"more than half is bad", []Trial{bad(4 * s), bad(4 * s)}, UpperBound},
		{"as much bad as good", []Trial{bad(4 * s), good(4 * s)}, LowerBound},
		{"two of three", []Trial{bad(4 * s), good(4 * s), bad(4 * s)}, UpperBound},
		{"short good trials prove nothing", []Trial{good(s), good(s), good(s), good(s), good(s)}, Undecided},
		{"short bad trials do", []Trial{bad(s), bad(s), bad(s), bad(s), bad(s)}, UpperBound},
		{"unless short good ones make up for them", []Trial{bad(s), bad(s), bad(s), bad(s), bad(s), good(s), good(s)}, Undecided},
		{"loss within the ratio is none", []Trial{{1, 4 * s, 0.01}}, LowerBound},
	}
	for _, tt := range tests {
		g := goal(0.01)
		if got := Classify(&g, tt.trials); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
	strict := goal(0)
	strict.ExceedRatio = 0
	if got := Classify(&strict, []Trial{good(4 * s)}); got != Undecided {
		t.Errorf("without exceptions half of the time says %v", got)
	}
	if got := Classify(&strict, []Trial{good(4 * s), good(4 * s)}); got != LowerBound {
		t.Errorf("without exceptions all of the time says %v", got)
	}
	if got := Classify(&strict, []Trial{good(4 * s), bad(s)}); got != UpperBound {
		t.Errorf("without exceptions a short loss says %v", got)
	}
}

func TestConditionalThroughputIsThatOfTheTrialAtTheLimit(t *testing.T) {
	g := goal(0.01)
	tests := []struct {
		losses []float64
		want   float64
	}{
		{[]float64{0}, 1000},
		{[]float64{0.004}, 996},
		{[]float64{0.004, 0}, 1000},
		{[]float64{0.004, 0, 0.3}, 996},
		{[]float64{0.2, 0.004, 0, 0.3}, 996},
	}
	for _, tt := range tests {
		var trials []Trial
		for _, l := range tt.losses {
			trials = append(trials, Trial{1000, 4 * s, l})
		}
		trials = append(trials, Trial{1000, s, 0.9}) // short: has no say
		if got := Throughput(&g, 1000, trials); math.Abs(got-tt.want) > 1e-9 {
			t.Errorf("losses %v: %g, want %g", tt.losses, got, tt.want)
		}
	}
	if got := Throughput(&g, 1000, []Trial{{1000, s, 0}}); got != 0 {
		t.Errorf("short trials alone say %g", got)
	}
}

// system is something with a capacity and a queue.
type system struct {
	capacity, queue float64 // frames a second; frames
	spent           time.Duration
}

func (y *system) measure(_ context.Context, load float64, d time.Duration) (float64, error) {
	y.spent += d
	sent := load * d.Seconds()
	return max(0, sent-y.capacity*d.Seconds()-y.queue) / sent, nil
}

func TestTheCapacityIsFound(t *testing.T) {
	for _, capacity := range []float64{150, 1234, 99_999, 1e6, 14_880_952 * 0.9} {
		y := &system{capacity: capacity}
		goals := []Goal{goal(0), goal(0.005)}
		got, n, err := Search(context.Background(), Config{Min: 100, Max: 14_880_952, Goals: goals}, y.measure)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []float64{capacity, capacity / (1 - 0.005)} {
			r := got[i]
			if !r.Complete || r.Lower > want+1 || r.Upper < want-1 || (r.Upper-r.Lower)/r.Upper > 0.005+2/r.Upper {
				t.Errorf("capacity %g, loss %g: %+v after %d trials", capacity, goals[i].LossRatio, r, n)
			}
			if r.Throughput > capacity+1 || r.Throughput < capacity*0.99-2 {
				t.Errorf("capacity %g, loss %g: throughput %g", capacity, goals[i].LossRatio, r.Throughput)
			}
		}
		if n > 120 || y.spent > 6*time.Minute {
			t.Errorf("capacity %g: %d trials, %v", capacity, n, y.spent)
		}
	}
}

// A queue hides an overload from trials that are too short to fill it.
func TestLongTrialsCorrectWhatShortOnesFound(t *testing.T) {
	y := &system{capacity: 10_000, queue: 3000}
	got, _, err := Search(context.Background(), Config{Min: 100, Max: 100_000, Goals: []Goal{goal(0)}}, y.measure)
	if err != nil {
		t.Fatal(err)
	}
	want := y.capacity + y.queue/4 // in a trial of four seconds
	if r := got[0]; !r.Complete || r.Lower > want || r.Upper < want {
		t.Errorf("%+v, want %g between the bounds", r, want)
	}
}

func TestNoiseDoesNotMoveTheBoundsFar(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	noisy := func(_ context.Context, load float64, _ time.Duration) (float64, error) {
		if r.IntN(5) == 0 {
			return 0.001, nil // a fifth of all trials lose a little whatever the load
		}
		return max(0, 1-50_000/load), nil
	}
	got, n, err := Search(context.Background(), Config{Min: 100, Max: 1e6, Goals: []Goal{goal(0), goal(0.005)}}, noisy)
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range got {
		if !g.Complete || math.Abs(g.Lower-50_000)/50_000 > 0.05 {
			t.Errorf("after %d trials: %+v", n, g)
		}
	}
}

func TestWhatCannotBeFoundSaysWhy(t *testing.T) {
	ctx := context.Background()
	lossless := func(context.Context, float64, time.Duration) (float64, error) { return 0, nil }
	hopeless := func(context.Context, float64, time.Duration) (float64, error) { return 0.5, nil }
	got, n, err := Search(ctx, Config{Min: 1, Max: 1000, Goals: []Goal{goal(0)}}, lossless)
	if r := got[0]; err != nil || !r.Complete || r.Lower != 1000 || r.Upper != 0 || !strings.Contains(r.Why, "comes through") || n > 5 {
		t.Errorf("without loss: %+v, %d trials, %v", r, n, err)
	}
	got, _, err = Search(ctx, Config{Min: 10, Max: 1000, Goals: []Goal{goal(0)}}, hopeless)
	if r := got[0]; err != nil || r.Complete || r.Upper != 10 || !strings.Contains(r.Why, "even 10 frames/s") {
		t.Errorf("always with loss: %+v, %v", r, err)
	}
	y := &system{capacity: 500}
	got, n, err = Search(ctx, Config{Min: 10, Max: 1000, Goals: []Goal{goal(0)}, Trials: 2}, y.measure)
	if r := got[0]; err != nil || r.Complete || n != 2 || !strings.Contains(r.Why, "2 trials") {
		t.Errorf("few trials: %+v, %d, %v", r, n, err)
	}
	got, _, err = Search(ctx, Config{Min: 10, Max: 1000, Goals: []Goal{goal(0), goal(0.005)}, Trials: 3}, y.measure)
	for _, r := range got {
		if err != nil || r.Complete || r.Lower > 503 || r.Lower < 400 || r.Throughput > 500 || !strings.Contains(r.Why, "those of trials of 1s") {
			t.Errorf("the first phase alone: %+v, %v", r, err)
		}
	}
	stop := func() string { return "time is up" }
	got, _, err = Search(ctx, Config{Min: 10, Max: 1000, Goals: []Goal{goal(0)}, Stop: stop}, y.measure)
	if r := got[0]; err != nil || r.Complete || r.Why != "time is up" {
		t.Errorf("stopped: %+v, %v", r, err)
	}
	broken := func(context.Context, float64, time.Duration) (float64, error) { return 0, errors.New("cable") }
	if _, _, err := Search(ctx, Config{Min: 10, Max: 1000, Goals: []Goal{goal(0)}}, broken); err == nil || !strings.Contains(err.Error(), "cable") {
		t.Errorf("broken: %v", err)
	}
}

func TestGoalsThatMakeNoSenseAreRefused(t *testing.T) {
	change := func(f func(*Config)) Config {
		c := Config{Min: 1, Max: 2, Goals: []Goal{goal(0)}}
		f(&c)
		return c
	}
	for i, c := range []Config{
		change(func(c *Config) { c.Min = 0 }),
		change(func(c *Config) { c.Max = 1 }),
		change(func(c *Config) { c.Goals = nil }),
		change(func(c *Config) { c.Goals[0].LossRatio = 1 }),
		change(func(c *Config) { c.Goals[0].ExceedRatio = 1 }),
		change(func(c *Config) { c.Goals[0].Width = 0 }),
		change(func(c *Config) { c.Goals[0].Sum = s }),
		change(func(c *Config) { c.Goals[0].Initial = 0 }),
	} {
		if _, _, err := Search(context.Background(), c, nil); err == nil {
			t.Error(fmt.Sprint("case ", i, " is accepted"))
		}
	}
}
