package replay

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/backends/backendtest"
	"github.com/hnsim/hnsim/backends/recording"
	"github.com/hnsim/hnsim/backends/simulated"
	"github.com/hnsim/hnsim/sim/hcn"
)

// mkReplay records use and returns what answers from the recording.
func mkReplay(t *testing.T, use func(backends.Backend)) *Backend {
	t.Helper()
	h, err := recording.Describe(simulated.Backend{}, hcn.DefaultProfile)
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	w, err := recording.NewWriter(&file, h)
	if err != nil {
		t.Fatal(err)
	}
	use(recording.Wrap(simulated.Backend{}, w))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	rec, err := recording.Read(&file)
	if err != nil {
		t.Fatal(err)
	}
	return New(rec)
}

// A recording of the contract's tests passes the contract's tests.
func TestAReplayKeepsTheContract(t *testing.T) {
	backendtest.Run(t, mkReplay(t, func(b backends.Backend) {
		t.Run("recorded", func(t *testing.T) { backendtest.Run(t, b) })
	}))
}

func mkWorld(t *testing.T, b backends.Backend) backends.World {
	t.Helper()
	w, err := b.Open(context.Background(), backends.WorldConfig{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

var h1 = backends.Node{Kind: backends.HostNode, Name: "h1", Ifaces: []backends.Iface{{Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24")}}}}

// lesson is a short life of a world.
func lesson(t *testing.T, w backends.World, wait time.Duration) error {
	t.Helper()
	ctx := context.Background()
	if err := w.AddNode(ctx, h1); err != nil {
		return err
	}
	if err := w.Advance(ctx, wait); err != nil {
		return err
	}
	w.EventHash()
	_, err := w.Close(ctx)
	return err
}

func TestWhatIsNotInTheRecordingIsSaid(t *testing.T) {
	b := mkReplay(t, func(b backends.Backend) {
		if err := lesson(t, mkWorld(t, b.(backends.ByScenario).ForScenario("S-A")), time.Second); err != nil {
			t.Fatal(err)
		}
	})
	unanswered := func(name string, err error, want string) {
		t.Helper()
		var u *backends.UnansweredError
		if !errors.As(err, &u) || !strings.Contains(err.Error(), "not in the recording") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", name, err, want)
		}
	}
	_, err := b.ForScenario("S-B").Open(context.Background(), backends.WorldConfig{})
	unanswered("another scenario", err, "no world of S-B")

	w := mkWorld(t, b.ForScenario("S-A"))
	unanswered("another time", lesson(t, w, time.Minute), "goes on with Advance 1000000000, asked for is Advance 60000000000")
	unanswered("what follows", w.Advance(context.Background(), time.Second), "Advance")
	if left, err := w.Close(context.Background()); err != nil || len(left) > 0 {
		t.Errorf("closing what was lost: %v %v", left, err)
	}

	w = mkWorld(t, b.ForScenario("S-A"))
	if err := lesson(t, w, time.Second); err != nil {
		t.Errorf("the same again: %v", err)
	}
	unanswered("more than was recorded", w.Advance(context.Background(), time.Second), "ends before Advance")
	_, err = mkWorld(t, b.ForScenario("S-A")).Dump(context.Background(), "nat h1")
	unanswered("a dump that nobody took", err, "Dump")
}

func TestAWorldOfAnotherConfigurationIsNotInTheRecording(t *testing.T) {
	was := backends.WorldConfig{Seed: 1, Profile: hcn.DefaultProfile, Knobs: map[string]string{"natHairpin": "drop", "natMapping": "ADM"}}
	b := mkReplay(t, func(b backends.Backend) {
		w, err := b.Open(context.Background(), was)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = w.Close(context.Background())
	})
	with := func(change func(*backends.WorldConfig)) error {
		now := was
		now.Knobs = maps.Clone(was.Knobs)
		change(&now)
		_, err := b.Open(context.Background(), now)
		return err
	}
	tests := []struct {
		name   string
		change func(*backends.WorldConfig)
		want   string // empty: the same world
	}{
		{"nothing", func(*backends.WorldConfig) {}, ""},
		{"tracing", func(c *backends.WorldConfig) { c.Tracing = true }, ""},
		{"another value", func(c *backends.WorldConfig) { c.Knobs["natMapping"] = "EIM" }, "knob natMapping at EIM; the recorded one has it at ADM"},
		{"a knob less", func(c *backends.WorldConfig) { delete(c.Knobs, "natHairpin") }, "knob natHairpin at its default; the recorded one has it at drop"},
		{"a knob more", func(c *backends.WorldConfig) { c.Knobs["natFilteringTcp"] = "EIF" }, "knob natFilteringTcp at EIF; the recorded one has it at its default"},
		{"profile", func(c *backends.WorldConfig) { c.Profile = "ws2019" }, "profile ws2019; the recorded one has " + hcn.DefaultProfile},
		{"seed", func(c *backends.WorldConfig) { c.Seed = 2 }, "seed 2; the recorded one has 1"},
		{"flow cache", func(c *backends.WorldConfig) { c.NoFlowCache = true }, "the flow cache off: true"},
	}
	for _, tt := range tests {
		err := with(tt.change)
		var u *backends.UnansweredError
		if tt.want == "" && err != nil || tt.want != "" && (!errors.As(err, &u) || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestOneWhoStopsEarlyMayClose(t *testing.T) {
	b := mkReplay(t, func(b backends.Backend) { _ = lesson(t, mkWorld(t, b), time.Second) })
	w := mkWorld(t, b)
	if err := w.AddNode(context.Background(), h1); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestWorldsAreGivenInTheirOrder(t *testing.T) {
	b := mkReplay(t, func(b backends.Backend) {
		_ = lesson(t, mkWorld(t, b), time.Second)
		_ = lesson(t, mkWorld(t, b), time.Minute)
	})
	for _, wait := range []time.Duration{time.Second, time.Minute, time.Minute} {
		w := mkWorld(t, b)
		if err := lesson(t, w, wait); err != nil {
			t.Errorf("%v: %v", wait, err)
		}
		if w.Now() < wait {
			t.Errorf("the clock says %v after %v", w.Now(), wait)
		}
	}
}
