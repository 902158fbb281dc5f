package fuzz

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/backends/simulated"
	"github.com/hnsim/hnsim/scenarios/script"
)

func TestWorldsAreValidScenariosAndTheSameForASeed(t *testing.T) {
	kinds := map[string]bool{}
	for seed := range uint64(300) {
		text := Generate(seed).Text("")
		if _, err := script.Parse("w.txtar", text); err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, text)
		}
		if !bytes.Equal(text, Generate(seed).Text("")) {
			t.Fatalf("seed %d makes two worlds", seed)
		}
		for _, k := range []string{
			`"NAT"`, `"Overlay"`, `"L2Bridge"`, `"L2Tunnel"`, `"Transparent"`, `"Internal"`, `"Private"`, `"ICS"`,
			"OutBoundNAT", "PortMapping", `"ACL"`, "SDNRoute", "QOS", "RemoteSubnetRoute", "loadbalancer", "fd00:127::1/64",
			"policy add", "policy remove", "policy update", "? delete endpoint", "? detach", "? stop", "link ", "hns.restart",
			"port.spoofing", "frags=", "frame -wire", "vxlan(", "advance 241s", "# knobs:", "? tcp ", "? ping ",
			`"TierAcl"`, `"SetPolicy"`, "NESTEDIPSET", "tcp:80", `"NetworkACL"`, `"L4Proxy"`, `"L4WFPPROXY"`, `["fd00:96::`,
			"? sdn load", "? sdn put /networkInterfaces", "NVGRE", "publicIPAddress", "vm.host", "sdn.agent off", "mux off", "PortMirroring", "? host ch ",
		} {
			if bytes.Contains(text, []byte(k)) {
				kinds[k] = true
			}
		}
	}
	if len(kinds) != 49 {
		t.Errorf("300 worlds have only %d of the things that worlds should have: %v", len(kinds), kinds)
	}
}

func config(b backends.Backend) Config {
	return Config{Backend: b, Seed: 1, Worlds: 12, Parallel: 2, Minimise: true, Now: time.Now}
}

func TestTheModelPassesAndACampaignCanBeRepeated(t *testing.T) {
	first, err := Run(t.Context(), config(simulated.Backend{}))
	if err != nil {
		t.Fatal(err)
	}
	if len(first.Findings) > 0 || first.Worlds != 12 || first.Observations == 0 || first.Interrupted {
		t.Errorf("got %+v", first)
	}
	cfg := config(simulated.Backend{})
	cfg.Parallel = 1
	again, err := Run(t.Context(), cfg)
	if err != nil || again.Hash != first.Hash {
		t.Errorf("hash %s, then %s (%v)", first.Hash, again.Hash, err)
	}
}

// broken is the model with an error that only the flow table shows, or one
// that an invariant shows: the third and every further packet of a UDP port.
type broken struct {
	simulated.Backend
	how string
}

type brokenWorld struct {
	backends.World
	how string
	off bool
	udp int
}

func (b broken) Open(ctx context.Context, cfg backends.WorldConfig) (backends.World, error) {
	w, err := b.Backend.Open(ctx, cfg)
	return &brokenWorld{World: w, how: b.how, off: cfg.NoFlowCache}, err
}

func (w *brokenWorld) Do(ctx context.Context, s backends.Stimulus) (backends.Outcome, error) {
	if s.Kind == backends.SendPacket && s.Proto == "udp" {
		w.udp++
	}
	return w.World.Do(ctx, s)
}

// Unwrap leads to the network controller.
func (w *brokenWorld) Unwrap() backends.World { return w.World }

func (w *brokenWorld) Observations() []backends.Observation {
	all := w.World.Observations()
	if w.how == "cache" && !w.off && w.udp > 2 && len(all) > 0 {
		return all[:len(all)-1]
	}
	return all
}

func (w *brokenWorld) Invariants() []string {
	if w.how == "invariant" && w.udp > 2 {
		return []string{"counters conserved: 3 in, 2 out"}
	}
	return w.World.Invariants()
}

func TestAPlantedErrorIsFoundAndCutDown(t *testing.T) {
	for how, kind := range map[string]string{"cache": kindFlowTable, "invariant": "counters conserved"} {
		t.Run(how, func(t *testing.T) {
			b := broken{how: how}
			s, err := Run(t.Context(), config(b))
			if err != nil {
				t.Fatal(err)
			}
			if len(s.Findings) != 1 || s.Findings[0].Kind != kind {
				t.Fatalf("got %+v", s.Findings)
			}
			f := s.Findings[0]
			// Hosts, three packets and their senders, each with its network, are all
			// that is needed.
			if f.Steps > 1+3+3*2 || f.From <= f.Steps {
				t.Errorf("%d steps of %d:\n%s", f.Steps, f.From, f.Text)
			}
			if got := bytes.Count(f.Text, []byte("\n? send ")); got < 1 || got > 3 {
				t.Errorf("%d packets are left:\n%s", got, f.Text)
			}
			sc, err := script.Parse("found.txtar", f.Text)
			if err != nil {
				t.Fatal(err)
			}
			if !sc.FlowTable || !strings.Contains(sc.Title, kind) {
				t.Errorf("title %q", sc.Title)
			}
			v, err := judge(t.Context(), &Case{Seed: f.Seed}, b, "", false)
			if err == nil && v.kind == kind {
				t.Error("an empty world fails too: the test proves nothing")
			}
		})
	}
}

func TestTheFindingOfTheLowestSeedIsReported(t *testing.T) {
	for _, parallel := range []int{1, 2} {
		cfg := config(broken{how: "invariant"})
		cfg.Parallel, cfg.Minimise = parallel, false
		s, err := Run(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Findings) != 1 || s.Findings[0].Seed != cfg.Seed+uint64(s.Worlds)-1 {
			t.Errorf("parallel %d: %d worlds, findings %+v", parallel, s.Worlds, s.Findings)
		}
	}
}

func TestACampaignThatIsInterruptedSaysSo(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cfg := config(simulated.Backend{})
	cfg.Worlds, cfg.Parallel = 0, 1
	cfg.Tick = func(p Progress) {
		if p.Worlds == 3 {
			cancel()
		}
	}
	s, err := Run(ctx, cfg)
	if err != nil || !s.Interrupted || s.Worlds != 3 {
		t.Errorf("got %+v, %v", s, err)
	}
}

func TestTimeEndsACampaign(t *testing.T) {
	cfg := config(simulated.Backend{})
	now := time.Unix(0, 0)
	cfg.Worlds, cfg.Parallel, cfg.Duration = 0, 1, 5*time.Second
	cfg.Now = func() time.Time { now = now.Add(time.Second); return now }
	s, err := Run(t.Context(), cfg)
	if err != nil || s.Interrupted || s.Worlds == 0 || s.Worlds > 5 {
		t.Errorf("got %+v, %v", s, err)
	}
}

// unable makes no worlds.
type unable struct{ simulated.Backend }

func (unable) Features(string) (backends.FeatureSet, error) { return backends.FeatureSet{}, nil }
func (unable) Capabilities() []backends.Capability          { return nil }

func TestWorldsThatCannotBeMadeAreNoResult(t *testing.T) {
	s, err := Run(t.Context(), config(unable{}))
	if err != nil || s.Worlds != 0 || s.Skipped != 12 || s.SkipReason == "" {
		t.Errorf("got %+v, %v", s, err)
	}
}
