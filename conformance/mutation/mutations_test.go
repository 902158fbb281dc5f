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
