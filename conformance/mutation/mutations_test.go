package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestEveryMutationFitsTheModel finds the mutations that a change of the model
// has left behind, without building anything.
func TestEveryMutationFitsTheModel(t *testing.T) {
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, m := range slices.Concat(mutations, planted) {
		if seen[m.Name] || m.Old == m.New || m.Rule == "" {
			t.Errorf("%s: the name occurs twice, nothing is changed, or no rule is named", m.Name)
		}
		seen[m.Name] = true
		src, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(m.File)))
		if err != nil {
			t.Error(err)
		} else if n := strings.Count(string(src), m.Old); n != 1 {
			t.Errorf("%s: the text to replace occurs %d times in %s, want once", m.Name, n, m.File)
		}
	}
}

// TestASampleForComparisonsIsComplete: what a comparison cannot see is left out
// before so many are picked, not afterwards.
func TestASampleForComparisonsIsComplete(t *testing.T) {
	picked := spread(comparable(named("")), 20)
	if len(picked) != 20 {
		t.Errorf("20 mutations were asked for, picked are %d", len(picked))
	}
	for _, m := range picked {
		if strings.HasPrefix(m.Name, "sdn/") {
			t.Errorf("%s is picked: recordings hold no requests to a network controller", m.Name)
		}
	}
}
