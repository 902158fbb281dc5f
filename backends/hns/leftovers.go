package hns

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/hcn"
)

// Leftover is something that a run has created and not deleted.
type Leftover struct {
	Tag  Tag    `json:"tag"`
	Kind string `json:"kind"`
	ID   string `json:"id"`
	Name string `json:"name,omitempty"` // without the tag
	// Via says how it was found: by its name, or in the journal of its run.
	Via string `json:"via"`
}

func (l Leftover) String() string {
	return strings.TrimSpace(fmt.Sprintf("%s %s %s", l.Kind, l.ID, l.Name))
}

// findLeftovers looks for objects of every run that has ended: by the tag in
// their names, and by journals for those without. A journal may name what has
// gone since, as the endpoints of a network that was deleted: that is no leftover.
func findLeftovers(c control, folder string) ([]Leftover, error) {
	journals, err := readJournals(folder)
	if err != nil {
		return nil, err
	}
	var out []Leftover
	known := map[string]bool{}
	busy := map[Tag]bool{}
	for _, t := range running(folder, journals) {
		busy[t] = true
		delete(journals, t)
	}
	for _, kind := range []string{"network", "endpoint"} {
		res, err := c.do(backends.HCNOp{Kind: kind, Verb: "enumerate"})
		var ids []string
		if err == nil {
			err = json.Unmarshal(res.Document, &ids)
		}
		if err != nil {
			return nil, fmt.Errorf("the list of every %s: %w", kind, err)
		}
		for _, id := range ids {
			doc, err := c.do(backends.HCNOp{Kind: kind, Verb: "query", ID: id})
			if err != nil {
				continue // it has gone meanwhile
			}
			var obj struct{ Name string }
			_ = json.Unmarshal(doc.Document, &obj)
			if t, ok := TagOf(obj.Name); ok && !busy[t] {
				known[strings.ToLower(id)] = true
				out = append(out, Leftover{t, kind, id, strings.TrimPrefix(obj.Name, t.prefix()), "name"})
			}
		}
	}
	for _, t := range slices.Sorted(maps.Keys(journals)) {
		for _, m := range journals[t] {
			if known[strings.ToLower(m.ID)] || !exists(c, m) {
				continue
			}
			out = append(out, Leftover{t, m.Kind, m.ID, "", "journal"})
		}
	}
	return out, nil
}

// running lists the runs that go on, of those that have a journal.
func running(folder string, journals map[Tag][]made) (out []Tag) {
	for _, t := range slices.Sorted(maps.Keys(journals)) {
		if alive(folder, t) {
			out = append(out, t)
		}
	}
	return out
}

// exists reports whether HNS has an object, or cannot say.
func exists(c control, m made) bool {
	op := backends.HCNOp{Kind: m.Kind, Verb: "query", ID: m.ID}
	if m.Kind == "policylist" {
		op = backends.HCNOp{Kind: "hnscall", Verb: "GET", Path: "/policylists/" + m.ID}
	}
	_, err := c.do(op)
	for _, absent := range []hcn.Code{hcn.ErrElementNotFound, hcn.ErrNetworkNotFound, hcn.ErrEndpointNotFound} {
		if errors.Is(err, absent) {
			return false
		}
	}
	return true
}

// removeLeftovers deletes leftovers and the journals of runs of which nothing
// is left. It goes on behind failures and returns what could not be deleted.
func removeLeftovers(c control, folder string, all []Leftover) (failed []error) {
	rank := func(l Leftover) int { return slices.Index(order, l.Kind) }
	sorted := slices.Clone(all)
	slices.SortStableFunc(sorted, func(a, b Leftover) int { return rank(a) - rank(b) })
	stays := map[Tag]bool{}
	for _, l := range sorted {
		stopContainers(c.do, made{Kind: l.Kind, ID: l.ID})
	}
	for _, l := range sorted {
		if err := deleteObject(c.do, made{Kind: l.Kind, ID: l.ID}); err != nil {
			stays[l.Tag] = true
			failed = append(failed, fmt.Errorf("%s of run %s: %w", l, l.Tag, err))
		}
	}
	journals, err := readJournals(folder)
	if err != nil {
		return append(failed, err)
	}
	for t := range journals {
		if stays[t] || alive(folder, t) {
			continue
		}
		if err := os.Remove(journalFile(folder, t)); err != nil {
			failed = append(failed, err)
		}
	}
	return failed
}

// Leftovers finds what earlier runs have left on this machine's HNS, and which
// runs go on. What those have made is not left.
func Leftovers() (left []Leftover, goOn []Tag, err error) {
	c, folder, err := ownControl()
	if err != nil {
		return nil, nil, err
	}
	journals, err := readJournals(folder)
	if err != nil {
		return nil, nil, err
	}
	goOn = running(folder, journals)
	left, err = findLeftovers(c, folder)
	return left, goOn, err
}

// Clean deletes leftovers and returns what could not be deleted.
func Clean(all []Leftover) []error {
	c, folder, err := ownControl()
	if err != nil {
		return []error{err}
	}
	return removeLeftovers(c, folder, all)
}

// ownControl is the HNS of this machine, which must be a real one: worlds of
// the stand-in leave nothing behind.
func ownControl() (control, string, error) {
	m, err := thisMachine()
	if err != nil {
		return nil, "", err
	}
	if _, ok := m.(*standIn); ok {
		return nil, "", errors.New("the stand-in of HNS keeps nothing of a run")
	}
	folder, err := journalFolder()
	return localControl(), folder, err
}
