package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// builds makes the programs that mutations are tried with: one that holds all
// that only change bodies of functions, and one for each of the others.
type builds struct {
	root, dir string
	unbroken  model
	together  string          // the program of those that are shared
	shared    map[string]bool // by Mutation.Name
}

func newBuilds(root, dir string) *builds {
	return &builds{root: root, dir: dir, unbroken: model{bin: filepath.Join(dir, program)}}
}

// mustBeGreen builds the model as it is, which must pass what mutations are
// noticed by.
func (b *builds) mustBeGreen() error {
	if err := b.build(b.unbroken.bin, nil); err != nil {
		return err
	}
	if unbroken == nil {
		return nil
	}
	red, err := unbroken(&suite{model: b.unbroken, dir: b.dir})
	if err == nil && len(red) > 0 {
		err = fmt.Errorf("failing: %s", shorten(red, 10))
	}
	return err
}

// share makes one program for as many of the mutations as it can hold. Without
// a mutation chosen it must do what the unbroken one does: then whatever else it
// does is the mutation's.
func (b *builds) share(ms []Mutation) error {
	for {
		err := b.join(ms)
		if err == nil {
			break
		}
		// Mutations that do not compile are left to builds of their own.
		n := len(ms)
		ms = without(ms, err.Error())
		if len(ms) == n {
			return err
		}
	}
	if len(b.shared) == 0 {
		return nil
	}
	return b.mustAgree()
}

// mustAgree checks that the shared program, with no mutation chosen, does in
// every scenario what the unbroken one does.
func (b *builds) mustAgree() error {
	var hashes [2]string
	for i, m := range []model{b.unbroken, {bin: b.together}} {
		s := &suite{model: m, dir: b.dir}
		sum, _, err := s.summarize(selectors, stages()[0].args()...)
		if err != nil {
			return err
		}
		hashes[i] = sum.EventHash
	}
	if hashes[0] == "" || hashes[0] != hashes[1] {
		return fmt.Errorf("without a mutation it is not the unbroken model: event hashes %q", hashes)
	}
	return nil
}

// join builds one program for the mutations.
func (b *builds) join(ms []Mutation) error {
	dir := filepath.Join(b.dir, "shared")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	board := newSwitchboard(b.root)
	b.shared, b.together = map[string]bool{}, filepath.Join(dir, program)
	for _, m := range ms {
		// A mutation that does not fit the checkout fails on its own.
		if ok, err := board.add(m); ok && err == nil {
			b.shared[m.Name] = true
		}
	}
	if len(b.shared) == 0 {
		return nil
	}
	overlay, err := board.write(dir)
	if err != nil {
		return err
	}
	return b.build(b.together, overlay)
}

// without leaves out the mutations that the compiler's errors name.
func without(ms []Mutation, errs string) []Mutation {
	var out []Mutation
	for _, m := range ms {
		if !strings.Contains(errs, placeOf(m.Name)+":") {
			out = append(out, m)
		}
	}
	return out
}

// try returns the scenarios that fail with a mutation and, if it is one of
// those that are compared, the scenarios that differ. Files go into dir.
func (b *builds) try(dir string, m Mutation) (red, apart []string, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, nil, err
	}
	broken, err := b.broken(dir, m)
	if err != nil {
		return nil, nil, err
	}
	s := &suite{model: broken, dir: dir, unbroken: &b.unbroken}
	if red, err = notice(s, m); err == nil && compared[m.Name] {
		apart, err = differing(s, m)
	}
	return red, apart, err
}

// broken is the model with a mutation, built in dir unless it shares a build.
func (b *builds) broken(dir string, m Mutation) (model, error) {
	if b.shared[m.Name] {
		return model{bin: b.together, mutant: m.Name}, nil
	}
	path := filepath.Join(b.root, filepath.FromSlash(m.File))
	src, err := os.ReadFile(path)
	if err != nil {
		return model{}, err
	}
	text, err := m.apply(string(src))
	if err != nil {
		return model{}, err
	}
	broken := filepath.Join(dir, "broken.go")
	if err := os.WriteFile(broken, []byte(text), 0o644); err != nil {
		return model{}, err
	}
	bin := filepath.Join(dir, program)
	return model{bin: bin}, b.build(bin, map[string]string{path: broken})
}

// build builds the program with files of the checkout replaced.
func (b *builds) build(bin string, overlay map[string]string) error {
	// Without tables for debuggers linking takes half the time.
	args := []string{"build", "-ldflags=-s -w", "-o", bin}
	if overlay != nil {
		text, err := json.Marshal(map[string]any{"Replace": overlay})
		if err != nil {
			return err
		}
		file := bin + ".overlay.json"
		if err := os.WriteFile(file, text, 0o644); err != nil {
			return err
		}
		args = append(args, "-overlay", file)
	}
	cmd := exec.Command("go", append(args, "./cmd/hnsim")...)
	cmd.Dir = b.root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w\n%s", err, out)
	}
	return nil
}
