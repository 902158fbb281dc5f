package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/backends/recording"
	"github.com/hnsim/hnsim/backends/replay"
	"github.com/hnsim/hnsim/cmd/hnsim/internal/buildinfo"
	"github.com/hnsim/hnsim/cmd/hnsim/internal/exit"
	"github.com/hnsim/hnsim/conformance"
)

// replayPrefix begins the name of a backend that answers from a file.
const replayPrefix = "replay:"

// openReplay reads a recording. What is left of one that is torn is used, and
// said.
func (a *app) openReplay(file string) (*replay.Backend, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("the recording: %w", err)
	}
	defer f.Close()
	rec, err := recording.Read(f)
	var torn *recording.TornError
	switch {
	case errors.As(err, &torn):
		fmt.Fprintf(a.err, "hnsim: %s: %v; using those\n", file, err)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return replay.New(rec), nil
}

// outcome is the code of what came out, or 3 where all would be well and a side
// is a torn recording that was asked for what it has lost.
func (a *app) outcome(code int, sides ...backends.Backend) error {
	for _, b := range sides {
		r, ok := b.(*replay.Backend)
		if !ok || len(r.Lost()) == 0 {
			continue
		}
		const shown = 5
		lost := r.Lost()
		more := ""
		if n := len(lost); n > shown {
			more = fmt.Sprintf(" and %d more", n-shown)
		}
		fmt.Fprintf(a.err, "hnsim: the recording is torn: %s%s cannot be told from it\n", strings.Join(lost[:min(len(lost), shown)], ", "), more)
		if code == exit.OK {
			code = exit.NotTested
		}
	}
	if code == exit.OK {
		return nil
	}
	return &exit.Error{Code: code}
}

// likeRecorded gives a run of a recording the settings that it was recorded
// with. Flags that say something else make no sense.
func (w *worldFlags) likeRecorded(h recording.Header, cfg *conformance.Config) error {
	for _, f := range []struct {
		name      string
		same      bool
		was, here string
	}{
		{"profile", w.profile == h.Profile, h.Profile, w.profile},
		{"seed", w.seed == h.Seed, fmt.Sprint(h.Seed), fmt.Sprint(w.seed)},
		{"no-flow-cache", w.noFlowCache == h.NoFlowCache, fmt.Sprint(h.NoFlowCache), fmt.Sprint(w.noFlowCache)},
	} {
		if w.given(f.name) && !f.same {
			return fmt.Errorf("--%s is %s, but the recording was made with %s: leave the flag out", f.name, f.here, f.was)
		}
	}
	if len(w.knobs) > 0 {
		return errors.New("--knob cannot change what is recorded: leave it out")
	}
	cfg.Profile, cfg.Seed, cfg.NoFlowCache, cfg.Knobs = h.Profile, h.Seed, h.NoFlowCache, h.Knobs
	return nil
}

func (w *worldFlags) given(name string) bool {
	f := w.flags.Lookup(name)
	return f != nil && f.Changed
}

// recordedRunner makes a runner and, if there is a file for it, the recording
// of its run. The function that it returns completes the file.
func (a *app) recordedRunner(cfg conformance.Config, file string) (*conformance.Runner, func() error, error) {
	// Nothing is written for a run that makes no sense.
	if r, err := conformance.NewRunner(cfg); err != nil || file == "" {
		return r, func() error { return nil }, err
	}
	finish, err := a.record(&cfg, file)
	if err != nil {
		return nil, nil, err
	}
	r, err := conformance.NewRunner(cfg)
	return r, finish, err
}

// record makes a run write a recording.
func (a *app) record(cfg *conformance.Config, file string) (finish func() error, err error) {
	if strings.HasPrefix(cfg.BackendName, replayPrefix) && sameFile(cfg.BackendName[len(replayPrefix):], file) {
		return nil, fmt.Errorf("--record %s would overwrite the recording that is replayed", file)
	}
	h, err := recording.Describe(cfg.Backend, cfg.Profile)
	if err != nil {
		return nil, err
	}
	h.Version, h.Date = buildinfo.Version(), a.now().UTC()
	h.Seed, h.Knobs, h.NoFlowCache = cfg.Seed, cfg.Knobs, cfg.NoFlowCache
	f, err := os.Create(file)
	if err != nil {
		return nil, fmt.Errorf("--record: %w", err)
	}
	w, err := recording.NewWriter(f, h)
	if err != nil {
		return nil, errors.Join(exit.With(exit.NotTested, err), f.Close())
	}
	cfg.Backend, cfg.Onward = recording.Wrap(cfg.Backend, w), true
	return func() error { return errors.Join(w.Close(), f.Close()) }, nil
}

func sameFile(a, b string) bool {
	one, err1 := os.Stat(a)
	two, err2 := os.Stat(b)
	return err1 == nil && err2 == nil && os.SameFile(one, two)
}
