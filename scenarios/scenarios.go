package scenarios

import (
	"cmp"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/hnsim/hnsim/scenarios/script"
)

//go:embed */*.txtar
var suite embed.FS

// Embedded is the suite: <area>/<name>.txtar.
func Embedded() fs.FS { return suite }

// Load parses every *.txtar file below fsys, sorted by id. Bad files and
// duplicate ids are errors; all of them are reported, joined, and what could be
// read is returned all the same.
func Load(fsys fs.FS) ([]*script.Scenario, error) {
	var all []*script.Scenario
	var errs []error
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && d.Name() != ".") {
			return fs.SkipDir
		}
		if d.IsDir() || path.Ext(name) != ".txtar" {
			return nil
		}
		data, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		sc, err := script.Parse(name, data)
		if err != nil {
			errs = append(errs, err)
			return nil
		}
		all = append(all, sc)
		return nil
	})
	errs = append(errs, err)
	slices.SortStableFunc(all, func(a, b *script.Scenario) int {
		return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.File, b.File))
	})
	for i := 1; i < len(all); i++ {
		if all[i].ID == all[i-1].ID {
			errs = append(errs, fmt.Errorf("%s: id %s is that of %s already", all[i].File, all[i].ID, all[i-1].File))
		}
	}
	return all, errors.Join(errs...)
}
