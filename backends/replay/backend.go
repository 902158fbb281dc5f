package replay

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/backends/recording"
)

// Backend answers from one recording. It may be used concurrently, for
// different scenarios.
type Backend struct {
	rec      *recording.Recording
	scenario string
	opened   *opened
}

// opened counts the worlds that were opened of each scenario: the second
// request gets the second world that was recorded.
type opened struct {
	mu   sync.Mutex
	n    map[string]int
	lost map[string]bool // scenarios that asked for what a torn recording has lost
}

func (o *opened) lose(scenario string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lost[scenario] = true
}

var (
	_ backends.Backend    = (*Backend)(nil)
	_ backends.ByScenario = (*Backend)(nil)
	_ backends.DropNamer  = (*Backend)(nil)
	_ backends.Player     = (*Backend)(nil)
	_ backends.Deviator   = (*Backend)(nil)
)

// New makes a backend of a recording.
func New(rec *recording.Recording) *Backend {
	return &Backend{rec: rec, opened: &opened{n: map[string]int{}, lost: map[string]bool{}}}
}

// Name is "replay".
func (b *Backend) Name() string { return "replay" }

// Plays is the name of the recorded backend.
func (b *Backend) Plays() string { return b.rec.Header.Backend }

// Deviations are those that the recorded backend declared, if it did.
func (b *Backend) Deviations() (file string, text []byte) {
	if d := b.rec.Header.Deviations; d != nil {
		return d.File, []byte(d.Text)
	}
	return "", nil
}

// Lost are the scenarios so far that asked for something which is not there,
// and may have been in the part that a torn recording has lost. They were not
// tested.
func (b *Backend) Lost() []string {
	b.opened.mu.Lock()
	defer b.opened.mu.Unlock()
	return slices.Sorted(maps.Keys(b.opened.lost))
}

// Header says what was recorded.
func (b *Backend) Header() recording.Header { return b.rec.Header }

// Capabilities are those of the recorded backend.
func (b *Backend) Capabilities() []backends.Capability { return b.rec.Header.Capabilities }

// DropNames are those of the recorded backend.
func (b *Backend) DropNames() []string { return b.rec.Header.DropNames }

// Features are the recorded ones; the recording knows one profile.
func (b *Backend) Features(profile string) (backends.FeatureSet, error) {
	if h := &b.rec.Header; profile != h.Profile {
		return backends.FeatureSet{}, &backends.UsageError{Msg: fmt.Sprintf("the recording is of profile %s, not of %s", h.Profile, profile)}
	}
	return b.rec.Header.Features, nil
}

// ForScenario answers with the worlds of one scenario.
func (b *Backend) ForScenario(name string) backends.Backend {
	return &Backend{rec: b.rec, scenario: name, opened: b.opened}
}

// Open gives the recorded worlds of the scenario in their order, and the last
// one again to those who ask for more: what is recorded once is so every time.
// A world of another configuration is none that was recorded.
func (b *Backend) Open(_ context.Context, cfg backends.WorldConfig) (backends.World, error) {
	worlds := b.rec.Worlds[b.scenario]
	if len(worlds) == 0 && b.rec.Torn != nil {
		b.opened.lose(b.scenario)
		return nil, absent("it is torn behind line %d, before any world of %s", b.rec.Torn.Lines, b.scenario)
	}
	if len(worlds) == 0 {
		return nil, &backends.UnansweredError{Msg: fmt.Sprintf("not in the recording: it has no world of %s", b.scenario)}
	}
	b.opened.mu.Lock()
	n := b.opened.n[b.scenario]
	b.opened.n[b.scenario]++
	b.opened.mu.Unlock()
	rec := worlds[min(n, len(worlds)-1)]
	if what := changed(rec.Config, cfg); what != "" {
		return nil, absent("a world with %s", what)
	}
	w := &world{rec: rec}
	if torn := b.rec.Torn; torn != nil && !rec.Complete {
		w.torn = func() string {
			b.opened.lose(b.scenario)
			return fmt.Sprintf("is torn behind line %d,", torn.Lines)
		}
	}
	return w, nil
}

// changed says how a configuration differs from the recorded one, if it does in
// what can change an answer. Tracing cannot: it only shows more.
func changed(was, now backends.WorldConfig) string {
	knobs := maps.Clone(was.Knobs)
	if knobs == nil {
		knobs = map[string]string{}
	}
	maps.Copy(knobs, now.Knobs)
	for _, name := range slices.Sorted(maps.Keys(knobs)) {
		if was.Knobs[name] != now.Knobs[name] {
			return fmt.Sprintf("knob %s at %s; the recorded one has it at %s", name, orDefault(now.Knobs[name]), orDefault(was.Knobs[name]))
		}
	}
	switch {
	case was.Profile != now.Profile:
		return fmt.Sprintf("profile %s; the recorded one has %s", now.Profile, was.Profile)
	case was.Seed != now.Seed:
		return fmt.Sprintf("seed %d; the recorded one has %d", now.Seed, was.Seed)
	case was.NoFlowCache != now.NoFlowCache:
		return fmt.Sprintf("the flow cache off: %t; the recorded one has %t", now.NoFlowCache, was.NoFlowCache)
	}
	return ""
}

func orDefault(knob string) string {
	if knob == "" {
		return "its default"
	}
	return knob
}
