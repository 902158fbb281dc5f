package bench_test

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/backends/simulated"
	"github.com/hnsim/hnsim/conformance/bench"
)

func virtual(t *testing.T, rateBps int64, size string, paths ...string) bench.ServiceConfig {
	t.Helper()
	sel, err := bench.Select(paths)
	if err != nil {
		t.Fatal(err)
	}
	return bench.ServiceConfig{
		Backends: []backends.Backend{simulated.Backend{}}, World: backends.WorldConfig{Seed: 1, Profile: "ws2022"}, Paths: sel, Sizes: []string{size}, Flows: 4,
		RateBps: rateBps, Min: 100, Max: 200_000, Initial: 50 * time.Millisecond, Final: 200 * time.Millisecond, Sum: 400 * time.Millisecond,
		Width: 0.005, PartialLoss: 0.005,
	}
}

// The wire of a host is a queue of known length behind a rate: what it carries
// in a trial follows from both.
func TestTheSearchFindsTheRateOfAQueueingLink(t *testing.T) {
	const (
		bps   = 20_000_000
		queue = 256 << 10 // of the model's links, in bytes
	)
	for _, tt := range []struct {
		path     string
		size     string
		onWire   float64 // bytes of a frame there
		tolerate float64
	}{
		{"outboundnat", "1514", 1514, 0.012},
		{"encap+decap", "1400", 1450, 0.012},
	} {
		t.Run(tt.path, func(t *testing.T) {
			got, err := bench.Service(context.Background(), virtual(t, bps, tt.size, tt.path))
			if err != nil {
				t.Fatal(err)
			}
			r := got.Services[0]
			trial := 0.2
			// Two hosts' wires stand one behind the other: the first one's queue
			// is what shows.
			want := (bps/8*trial + queue) / trial / tt.onWire
			if !r.NDR.Complete || math.Abs(r.NDR.Load-want)/want > tt.tolerate || r.NDR.Rate != r.NDR.Load {
				t.Errorf("NDR %+v, want %.0f", r.NDR, want)
			}
			if !r.PDR.Complete || r.PDR.Load < r.NDR.Load || math.Abs(r.PDR.Load*(1-0.005)-want)/want > tt.tolerate {
				t.Errorf("PDR %+v, want %.0f", r.PDR, want/(1-0.005))
			}
			if len(r.Latency) != 3 || r.Skipped != "" {
				t.Fatalf("%+v", r)
			}
			// Below the link's rate nobody waits; above it the queue grows all
			// the time, and the last frames wait longest.
			frame := tt.onWire * 8 / bps * 1e9
			if l := r.Latency[0]; l.P50 < frame || l.Max > 6*frame {
				t.Errorf("latency at a tenth: %+v, one frame takes %.0f ns", l, frame)
			}
			if l := r.Latency[2]; !(l.P50 <= l.P90 && l.P90 <= l.P99 && l.P99 <= l.P999 && l.P999 <= l.Max) || l.Max < 10*frame {
				t.Errorf("latency at nine tenths, which is above the rate: %+v", l)
			}
		})
	}
}

func TestWithoutARateAllThatMayBeOfferedComesThrough(t *testing.T) {
	cfg := virtual(t, 0, "64", "l2")
	cfg.Max = 5000
	got, err := bench.Service(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if r := got.Services[0]; !r.NDR.Complete || r.NDR.Load != 5000 || r.NDR.Upper != 0 || r.NDR.Why == "" {
		t.Errorf("%+v", r.NDR)
	}
}

func TestEveryPathOfAServiceIsCarried(t *testing.T) {
	cfg := virtual(t, 0, "imix")
	cfg.Max, cfg.Min = 2000, 1000
	got, err := bench.Service(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Services) < 4 {
		t.Errorf("%d paths", len(got.Services))
	}
	for _, r := range got.Services {
		if r.NDR.Load != 2000 {
			t.Errorf("%s: %+v", r.Path, r)
		}
	}
}
