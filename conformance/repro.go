package conformance

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// repro is the command that runs one scenario again in the same way.
func (r *Runner) repro(s *Spec) string {
	what := s.ID
	if s.External {
		what = s.File
		if !IsFile(what) {
			what = "./" + what
		}
	}
	backend := r.cfg.BackendName
	if backend == "" {
		backend = r.info.Backend
	}
	args := []string{"hnsim", "run", what, "--backend", backend, "--profile", r.cfg.Profile, "--seed", fmt.Sprint(r.cfg.Seed)}
	for _, name := range slices.Sorted(maps.Keys(r.cfg.Knobs)) {
		args = append(args, "--knob", name+"="+r.cfg.Knobs[name])
	}
	if r.cfg.NoFlowCache {
		args = append(args, "--no-flow-cache")
	}
	if r.cfg.TimeScale != 0 {
		args = append(args, "--time-scale", fmt.Sprint(r.cfg.TimeScale))
	}
	if r.cfg.CheckDeterminism {
		args = append(args, "--check-determinism")
	}
	if r.cfg.CheckFlowTable {
		args = append(args, "--check-flow-table")
	}
	for _, f := range r.cfg.Programs {
		args = append(args, "--programs", f)
	}
	for _, f := range r.cfg.Expect {
		args = append(args, "--expect", f)
	}
	for i, a := range args {
		args[i] = quote(a)
	}
	return strings.Join(args, " ")
}

// quote protects a word from a POSIX shell; cmd.exe and PowerShell take what
// it leaves alone, too.
func quote(word string) string {
	plain := word != "" && !strings.ContainsFunc(word, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_=,./:@%+", r))
	})
	if plain {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
