package conformance

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/backends/simulated"
	"github.com/hnsim/hnsim/reports"
	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/wire"
)

func diff(t testing.TB, cfg DiffConfig) *reports.Diff {
	t.Helper()
	d, err := NewDiffer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return d.Run(t.Context(), nil)
}

func side(b backends.Backend) DiffSide {
	return DiffSide{Name: b.Name(), Backend: b, Profile: hcn.DefaultProfile, Seed: 1}
}

// lively is the model as if it ran in real time on a machine that talks: it
// cannot report drops, sees the frames of a line in any order, segments twice,
// and address resolution whenever it likes.
type lively struct{ simulated.Backend }

func (lively) Name() string { return "lively" }

func (lively) Capabilities() []backends.Capability {
	return slices.DeleteFunc(backends.Capabilities(), func(c backends.Capability) bool {
		return slices.Contains([]backends.Capability{backends.VirtualTime, backends.DropReasons, backends.PacketTrace, backends.Programs}, c)
	})
}

// DropNames hides those of the model.
func (lively) DropNames() []string { return nil }

func (l lively) Open(ctx context.Context, cfg backends.WorldConfig) (backends.World, error) {
	w, err := l.Backend.Open(ctx, cfg)
	return &livelyWorld{World: w, rand: rand.New(rand.NewPCG(1, 2))}, err
}

type livelyWorld struct {
	backends.World
	rand *rand.Rand
	at   int
	seen []backends.Observation
}

func (w *livelyWorld) Unwrap() backends.World { return w.World }

func (w *livelyWorld) Observations() []backends.Observation {
	all := w.World.Observations()
	var news []backends.Observation
	for ; w.at < len(all); w.at++ {
		o := all[w.at]
		if o.Kind == backends.DroppedAt {
			continue
		}
		news = append(news, o)
		var m wire.Meta
		if wire.Parse(o.Frame, &m) == wire.OK && m.Proto == wire.ProtoTCP && w.rand.IntN(4) == 0 {
			news = append(news, o)
		}
		if w.rand.IntN(5) == 0 {
			o.Frame = (&wire.Frame{EthDst: wire.Broadcast, EthSrc: wire.MustMAC("00-15-5D-FF-00-01"), ARP: &wire.ARPFields{}}).Bytes()
			news = append(news, o)
		}
	}
	w.rand.Shuffle(len(news), func(i, j int) { news[i], news[j] = news[j], news[i] })
	for _, o := range news {
		o.Seq = len(w.seen)
		w.seen = append(w.seen, o)
	}
	return w.seen
}

func TestABackendInRealTimeAgreesWhateverTheOrderOfItsFrames(t *testing.T) {
	d := diff(t, DiffConfig{Left: side(simulated.Backend{}), Right: side(lively{}), Skip: []string{"label:slow"}})
	if d.Totals.Differ > 0 || d.Totals.Agree < 200 {
		t.Errorf("%+v", d.Totals)
	}
	for _, c := range d.Scenarios {
		if c.Difference != nil {
			t.Errorf("%s %s: %s\n%s\n%s", c.Difference.At, c.Difference.Where, c.Difference.What, c.Difference.Left, c.Difference.Right)
		}
	}
	used := map[string]bool{}
	for _, n := range d.Normalised {
		used[n.Name] = true
	}
	for _, name := range []string{"order", "chatter", "repeats", "drops"} {
		if !used[name] {
			t.Errorf("%s was not needed", name)
		}
	}
}

// dead is a backend whose worlds break down, or panic.
type dead struct {
	simulated.Backend
	panics bool
}

func (d dead) Open(context.Context, backends.WorldConfig) (backends.World, error) {
	if d.panics {
		panic("out of luck")
	}
	return nil, errors.New("the machine is on fire")
}

func TestASideInTroubleIsNotComparable(t *testing.T) {
	for _, tt := range []struct {
		right  backends.Backend
		reason string
	}{
		{dead{}, "right: error: no world: the machine is on fire"},
		{dead{panics: true}, "right: error: panic: out of luck"},
	} {
		d := diff(t, DiffConfig{Left: side(simulated.Backend{}), Right: side(tt.right), Selectors: []string{"S-NAT-01"}})
		if c := d.Scenarios[0]; c.Verdict != reports.NotComparable || !strings.HasPrefix(c.Reason, tt.reason) {
			t.Errorf("%s %q, want %q", c.Verdict, c.Reason, tt.reason)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dr, err := NewDiffer(DiffConfig{Left: side(simulated.Backend{}), Right: side(simulated.Backend{}), Selectors: []string{"S-NAT-01"}})
	if err != nil {
		t.Fatal(err)
	}
	if d := dr.Run(ctx, nil); !d.Interrupted || d.Scenarios[0].Verdict != reports.NotComparable || d.Scenarios[0].Reason != interrupted {
		t.Errorf("%+v", d.Scenarios[0])
	}
}

func TestASideThatStopsIsComparedUpToThere(t *testing.T) {
	const text = `# TRY-07: one side cannot go on
# rules: NAT-10
host h1 ip=10.127.130.35/24
external x ip=10.127.130.80/24
send x udp 10.127.130.80:9 > 10.127.130.35:9 'one'
[profile:ws2019] skip 'not on this build'
send x udp 10.127.130.80:9 > 10.127.130.35:9 'two'
`
	file := writeFile(t, "stops.txtar", text)
	old := side(simulated.Backend{})
	old.Profile = "ws2019"
	d := diff(t, DiffConfig{Left: side(simulated.Backend{}), Right: old, Files: []string{file}})
	c := d.Scenarios[0]
	if c.Verdict != reports.NotComparable || c.Reason != "right: line 6 cannot be carried out: not on this build; 3 lines before it agree" {
		t.Errorf("%s %q", c.Verdict, c.Reason)
	}

	unsaved := strings.Replace(text, "[profile:ws2019] skip 'not on this build'", "expect h1 udp sport=1 save=port:sport", 1)
	unsaved = strings.Replace(unsaved, ":9 'two'", ":$port 'two'", 1)
	d = diff(t, DiffConfig{Left: side(simulated.Backend{}), Right: side(simulated.Backend{}), Files: []string{writeFile(t, "unsaved.txtar", unsaved)}})
	if c := d.Scenarios[0]; c.Verdict != reports.NotComparable || !strings.HasPrefix(c.Reason, "both sides: line 7 cannot be carried out: ") || !strings.Contains(c.Reason, "port") {
		t.Errorf("%s %q", c.Verdict, c.Reason)
	}
}

func TestADeviationByRuleIsStaleOnlyIfNothingDiffers(t *testing.T) {
	// One of the two scenarios has MAC addresses from pools.
	lines := writeFile(t, "d.expect", "differ rule:NAT-15 reason=\"pools\"\nflaky S-NAT-01 reason=\"sometimes\"\n")
	other := side(simulated.Backend{})
	other.Seed = 2
	specs, err := Suite()
	if err != nil {
		t.Fatal(err)
	}
	n := len(slices.DeleteFunc(specs, func(s *Spec) bool { return !slices.Contains(s.Rules, "NAT-15") || s.ID == "S-NAT-01" }))
	d := diff(t, DiffConfig{Left: side(simulated.Backend{}), Right: other, Selectors: []string{"rule:NAT-15", "S-NAT-01"}, Strict: []string{"macs"}, Expect: []string{lines}})
	if len(d.Deviations) != 2 || d.Deviations[0].Covered != n || d.Totals.Stale != 0 || d.Totals.Differ != 0 {
		t.Errorf("%+v %+v, %d scenarios of the rule", d.Totals, d.Deviations, n)
	}
	d = diff(t, DiffConfig{Left: side(simulated.Backend{}), Right: side(simulated.Backend{}), Selectors: []string{"rule:NAT-15"}, Expect: []string{lines}})
	// The line about what was not selected is not listed.
	if d.Totals.Stale != 1 || len(d.Deviations) != 1 || !d.Deviations[0].Stale {
		t.Errorf("%+v %+v", d.Totals, d.Deviations)
	}
}

func TestAKnownFieldHidesNothingElse(t *testing.T) {
	lines := writeFile(t, "d.expect", "differ S-OV-01 field=ip.ttl reason=\"another outer TTL\"\n")
	at := func(knobs ...string) *reports.Diff {
		other := side(simulated.Backend{})
		other.Knobs = map[string]string{}
		for _, k := range knobs {
			name, value, _ := strings.Cut(k, "=")
			other.Knobs[name] = value
		}
		return diff(t, DiffConfig{Left: side(simulated.Backend{}), Right: other, Selectors: []string{"S-OV-01"}, Expect: []string{lines}})
	}
	if c := at("outerTtl=64").Scenarios[0]; c.Verdict != reports.KnownDiffer || c.Reason != "another outer TTL" || c.Difference == nil || c.Difference.Left != "ip.ttl 128" {
		t.Errorf("%s %q %+v", c.Verdict, c.Reason, c.Difference)
	}
	if c := at("outerTtl=64", "drDecrementsTtl=true").Scenarios[0]; c.Verdict != reports.Differ {
		t.Errorf("%s %q", c.Verdict, c.Reason)
	}
	if d := at(); d.Scenarios[0].Verdict != reports.Agree || d.Totals.Stale != 1 {
		t.Errorf("%+v", d.Totals)
	}
}
