package conformance

import (
	"slices"
	"testing"
)

// TestDriverScenariosAreSound checks the scenarios that run real drivers
// without running them, so that they stay right where there is no wine.
func TestDriverScenariosAreSound(t *testing.T) {
	specs, err := LoadFiles([]string{"driver"})
	if err != nil {
		t.Fatal(err)
	}
	suite, err := Suite()
	if err != nil {
		t.Fatal(err)
	}
	if len(specs) < 8 {
		t.Errorf("only %d scenarios", len(specs))
	}
	for _, s := range specs {
		if !slices.Contains(s.Requires, "capability:programs") {
			t.Errorf("%s runs no program", s.ID)
		}
		if slices.ContainsFunc(suite, func(o *Spec) bool { return o.Base == s.Base }) {
			t.Errorf("%s: the id is one of the suite's", s.ID)
		}
	}
}
