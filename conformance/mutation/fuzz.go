package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// planted are errors of the flow table alone: with it switched off the model
// is as it should be. hnsim fuzz must find each of them.
var planted = []Mutation{
	{"fuzz/flows-outlive-changes", "VFP-08", "sim/vfp/cache.go", "if e.gen != uint32(gen) || e.maxLen", "if e.maxLen"},
	{"fuzz/flows-for-any-length", "OV-19", "sim/vfp/cache.go", "e.maxLen > 0 && p.Len() > int(e.maxLen) ||", "false ||"},
	{"fuzz/flows-outlive-their-state", "VFP-09", "sim/vfp/cache.go", "|| !c.holds(r, now, k.flags) {", "|| false && !c.holds(r, now, k.flags) {"},
}

// fuzzTime bounds one search; worlds are the same in every run.
const (
	fuzzTime   = 10 * time.Minute
	fuzzWorlds = "3000"
)

// fuzzed notices a mutation by random worlds: hnsim fuzz must end with a
// finding, whose scenario fails with the broken model and passes with the
// unbroken one.
func fuzzed(s *suite, m Mutation) ([]string, error) {
	found := filepath.Join(s.dir, "found.txtar")
	text, code, err := s.exec(s.model, "fuzz", "-q", "--seed", "1", "--worlds", fuzzWorlds, "--duration", fuzzTime.String(), "--minimize", found)
	switch {
	case err != nil:
		return nil, err
	case code == 0:
		return nil, nil
	case code != 1:
		return nil, fmt.Errorf("hnsim fuzz ended with %d: %s", code, text)
	}
	out := filepath.Join(s.dir, "out")
	if text, code, err = s.exec(s.model, "run", "-q", found, "--out", out); err != nil || code != 1 {
		return nil, fmt.Errorf("the finding does not fail where it was found: exit code %d, %v\n%s", code, err, text)
	}
	if text, code, err = s.exec(*s.unbroken, "run", "-q", found, "--out", out); err != nil || code != 0 {
		return nil, fmt.Errorf("the finding is not the mutation's: the unbroken model fails too: exit code %d, %v\n%s", code, err, text)
	}
	return []string{m.Name}, nil
}

// exec runs a model and returns what it printed and its exit code.
func (s *suite) exec(m model, args ...string) (string, int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*fuzzTime)
	defer cancel()
	out, err := m.command(ctx, args).CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return strings.TrimSpace(string(out)), exit.ExitCode(), nil
	}
	return strings.TrimSpace(string(out)), 0, err
}
