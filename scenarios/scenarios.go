// Package scenarios holds the conformance suite as data: one txtar file per
// scenario, in a folder per area, embedded in the binary. It lists and selects
// them; package script runs them. It must not know any backend or the model.
package scenarios

import (
	"errors"
	"io/fs"
	"testing/fstest"

	"github.com/hnsim/hnsim/scenarios/script"
)

// Embedded is the suite: <area>/<name>.txtar.
func Embedded() fs.FS { return fstest.MapFS{} }

// Load parses every *.txtar file below fsys, sorted by id. Bad files and
// duplicate ids are errors; all of them are reported, joined.
func Load(fsys fs.FS) ([]*script.Scenario, error) { return nil, nil }

// Select picks the scenarios that at least one selector matches, in the order
// of all. A selector that matches nothing is an error.
func Select(all []*script.Scenario, selectors []string) ([]*script.Scenario, error) {
	return nil, errors.New("the catalogue is being built")
}
