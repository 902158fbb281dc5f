package conformance

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/tools/txtar"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/scenarios/script"
	"github.com/hnsim/hnsim/sim/wire"
)

// PacketTrace is the life of one packet in a traced run.
type PacketTrace struct {
	ID      uint64   `json:"id"`
	Origin  string   `json:"origin"` // role and time of its first sight
	Packet  string   `json:"packet"` // one line
	Steps   []string `json:"steps"`  // stage by stage, as the backend explains it
	Fate    string   `json:"fate"`   // DELIVERED at c2; DROPPED NatNoMapping at ...; SEEN, not delivered
	Dropped bool     `json:"dropped"`
}

// TracedRun is one scenario with the traces of all its packets.
type TracedRun struct {
	Result  *script.Result
	Packets []PacketTrace // in the order in which they were first seen
}

// Trace runs one scenario with tracing on and follows every packet. The
// backend must be able to trace.
func Trace(ctx context.Context, cfg Config, s *Spec) (*TracedRun, error) {
	watch := &watchedBackend{Backend: cfg.Backend}
	cfg.Backend = watch
	if cfg.exec == nil {
		cfg.exec = script.Run
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = DefaultTimeout
	}
	if err := checkProfile(&cfg); err != nil {
		return nil, &UsageError{err}
	}
	r := &Runner{cfg: cfg}
	if !r.canRetrace() {
		return nil, &UsageError{fmt.Errorf("backend %s cannot trace packets", cfg.Backend.Name())}
	}
	raw := r.attempt(ctx, s, script.Options{Seed: cfg.Seed, Profile: cfg.Profile, Knobs: cfg.Knobs, NoFlowCache: cfg.NoFlowCache, Programs: cfg.Programs, Tracing: true})
	return &TracedRun{Result: raw, Packets: packetTraces(raw.Observations, watch.explained)}, nil
}

// Edit makes a scenario of another one: its script stops before a line (0: it
// does not), then come further lines. Documents that are no longer named go.
// It is for trying things; the result keeps id and area.
func Edit(s *Spec, until int, add []string) (*Spec, error) {
	archive := txtar.Parse(s.script.Source)
	lines := strings.Split(strings.TrimRight(string(archive.Comment), "\n"), "\n")
	if until > len(lines) {
		return nil, fmt.Errorf("%s: the script has %d lines, there is no line %d to stop before", s.File, len(lines), until)
	}
	if until > 0 {
		lines = lines[:until-1]
	}
	text := strings.Join(append(slices.Clone(lines), add...), "\n") + "\n"
	archive.Comment = []byte(text)
	archive.Files = slices.DeleteFunc(archive.Files, func(f txtar.File) bool { return !strings.Contains(text, f.Name) })
	sc, err := script.Parse(s.script.File, txtar.Format(archive))
	if err != nil {
		return nil, err
	}
	out := specOf(sc.Expand()[0], strings.TrimSuffix(s.File, s.script.File))
	out.External = s.External
	return out, nil
}

// packetTraces groups what was seen by packet.
func packetTraces(seen []backends.Observation, steps map[uint64][]string) []PacketTrace {
	index := map[uint64]int{}
	var out []PacketTrace
	for _, o := range seen {
		if o.ID == 0 {
			continue
		}
		i, ok := index[o.ID]
		if !ok {
			i = len(out)
			index[o.ID] = i
			out = append(out, PacketTrace{
				ID: o.ID, Origin: fmt.Sprintf("%s at %v", o.Role, o.At), Packet: wire.Summary(o.Frame),
				Steps: steps[o.ID], Fate: "SEEN, not delivered",
			})
		}
		p := &out[i]
		switch o.Kind {
		case backends.Received:
			p.Fate = "DELIVERED at " + o.Role
		case backends.DroppedAt:
			p.Fate, p.Dropped = fmt.Sprintf("DROPPED %s at %s", o.Reason, o.Where), true
		}
	}
	return out
}

// watchedBackend keeps the traces of its worlds beyond their end.
type watchedBackend struct {
	backends.Backend
	mu        sync.Mutex
	explained map[uint64][]string
}

func (b *watchedBackend) Open(ctx context.Context, cfg backends.WorldConfig) (backends.World, error) {
	w, err := b.Backend.Open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return &watchedWorld{World: w, backend: b}, nil
}

type watchedWorld struct {
	backends.World
	backend *watchedBackend
}

// Unwrap is the world that is watched.
func (w *watchedWorld) Unwrap() backends.World { return w.World }

// Close asks for the trace of every packet before the world is gone.
func (w *watchedWorld) Close(ctx context.Context) ([]string, error) {
	explained := map[uint64][]string{}
	for _, o := range w.World.Observations() {
		if _, ok := explained[o.ID]; !ok && o.ID != 0 {
			explained[o.ID] = w.World.Trace(o.ID)
		}
	}
	w.backend.mu.Lock()
	w.backend.explained = explained
	w.backend.mu.Unlock()
	return w.World.Close(ctx)
}
