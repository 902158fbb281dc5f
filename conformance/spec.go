package conformance

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hnsim/hnsim/reports"
	"github.com/hnsim/hnsim/scenarios"
	"github.com/hnsim/hnsim/scenarios/script"
)

// Spec is one scenario, or one variant of one, as the suite sees it: what can
// be selected and what is reported. Area, Path and Labels follow from where
// the file stands and what its header says.
type Spec struct {
	reports.Scenario
	Path     string // area, slash, name of the file without .txtar
	Base     string // id without the variant
	Profiles []string
	Requires []string
	External bool // from a file that was named, not from the suite

	script *script.Scenario
}

// Script is the parsed scenario.
func (s *Spec) Script() *script.Scenario { return s.script }

// Suite is the embedded suite, one Spec per variant, in the order of ids.
func Suite() ([]*Spec, error) {
	all, err := scenarios.Load(scenarios.Embedded())
	if err != nil {
		return nil, fmt.Errorf("the embedded suite is broken: %w", err)
	}
	return specsOf(all, "scenarios/", false)
}

// maxBadFiles bounds how many files are complained about at once.
const maxBadFiles = 10

// LoadFiles parses scenario files. A folder stands for all *.txtar files below
// it. Every bad file is reported.
func LoadFiles(paths []string) ([]*Spec, error) {
	var files []string
	for _, p := range paths {
		more, err := scenarioFiles(p)
		if err != nil {
			return nil, err
		}
		files = append(files, more...)
	}
	var all []*script.Scenario
	var errs []error
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		sc, err := script.Parse(filepath.ToSlash(name), text)
		if err != nil {
			if errs = append(errs, err); len(errs) == maxBadFiles {
				return nil, errors.Join(append(errs, fmt.Errorf("%d files cannot be read; the rest of %d was not looked at", maxBadFiles, len(files)))...)
			}
			continue
		}
		all = append(all, sc)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return specsOf(all, "", true)
}

func scenarioFiles(p string) ([]string, error) {
	info, err := os.Stat(p)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{p}, nil
	}
	var out []string
	err = filepath.WalkDir(p, func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && filepath.Ext(name) == ".txtar" {
			out = append(out, name)
		}
		return err
	})
	if err == nil && len(out) == 0 {
		err = fmt.Errorf("%s: no *.txtar file in this folder", p)
	}
	return out, err
}

// IsFile reports whether a word of the command line names a scenario file or
// folder rather than a selector. What is in doubt is a selector: the areas of
// the suite are common names for folders.
func IsFile(word string) bool {
	for _, prefix := range []string{"./", "../", "/", `.\`, `..\`} {
		if strings.HasPrefix(word, prefix) {
			return true
		}
	}
	return word == "." || word == ".." || strings.HasSuffix(word, ".txtar") || filepath.IsAbs(word)
}

// specsOf expands variants and checks that ids are unique.
func specsOf(all []*script.Scenario, prefix string, external bool) ([]*Spec, error) {
	var out []*Spec
	files := map[string]string{}
	for _, sc := range all {
		for _, v := range sc.Expand() {
			s := specOf(v, prefix)
			s.External = external
			if other, ok := files[s.ID]; ok {
				return nil, fmt.Errorf("%s: scenario id %s is taken by %s", s.File, s.ID, other)
			}
			files[s.ID] = s.File
			out = append(out, s)
		}
	}
	return out, nil
}

func specOf(sc *script.Scenario, prefix string) *Spec {
	name := strings.TrimSuffix(path.Base(sc.File), ".txtar")
	s := &Spec{
		Scenario: reports.Scenario{
			ID: sc.Name(), Title: sc.Title, Area: sc.Area, Requirement: oneParagraph(sc.Requirement),
			Rules: sc.Rules, Requires: sc.Requires, File: prefix + sc.File, Line: 1, Confidence: confidence(sc.Rules),
		},
		Path: path.Join(sc.Area, name), Base: sc.ID, Profiles: sc.Profiles, Requires: sc.Requires, script: sc,
	}
	s.Labels = labelsOf(s, sc.Labels)
	return s
}

// oneParagraph undoes the line breaks of a header: whoever prints it has
// another width.
func oneParagraph(s string) string { return strings.Join(strings.Fields(s), " ") }

// labelsOf are the labels of a spec in Ginkgo's character set, sorted, without
// duplicates: area:, conf:, profile:, rule: and those that the scenario gives
// itself.
func labelsOf(s *Spec, own []string) []string {
	var out []string
	add := func(kind, value string) {
		if value = cleanLabel(value); value != "" {
			out = append(out, kind+value)
		}
	}
	add("area:", s.Area)
	for _, c := range s.Confidence {
		add("conf:", c)
	}
	for _, p := range s.Profiles {
		add("profile:", p)
	}
	for _, r := range s.Rules {
		add("rule:", r)
	}
	for _, l := range own {
		add("", l)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// cleanLabel replaces what a Ginkgo label must not contain.
func cleanLabel(s string) string {
	s = strings.Map(func(r rune) rune {
		if strings.ContainsRune("&|!,()/\"{}", r) {
			return '.'
		}
		if r == ' ' {
			return '-'
		}
		return r
	}, strings.TrimSpace(s))
	return strings.Trim(s, ":")
}
