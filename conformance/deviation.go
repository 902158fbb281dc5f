package conformance

import (
	"slices"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/reports"
)

// loadDeviations reads the expectation files of a comparison. A line holds if
// it holds for one of the sides.
func (d *Differ) loadDeviations() error {
	lines, _, err := readExpectations(d.cfg.Expect)
	if err != nil {
		return err
	}
	left, right := d.sides[0].env(), d.sides[1].env()
	d.lines = slices.DeleteFunc(lines, func(e *Expectation) bool { return !e.Holds(left) && !e.Holds(right) })
	if d.expect, err = resolve(d.lines, d.sides[0].catalogue, d.cfg.Now()); err != nil {
		return err
	}
	for _, s := range d.sides {
		if b, ok := s.cfg.Backend.(backends.Deviator); ok {
			if err := d.addDeclared(b, s.env()); err != nil {
				return err
			}
		}
	}
	return nil
}

// addDeclared adds what a backend declares about itself, for scenarios that no
// file of the user speaks of.
func (d *Differ) addDeclared(b backends.Deviator, env Env) error {
	lines, _, err := declared(b)
	if err != nil {
		return err
	}
	for _, e := range lines {
		covers := false
		for _, s := range d.sides[0].catalogue {
			if d.expect[s] == nil && e.Holds(env) && e.Select.Matches(s) {
				d.expect[s], covers = e, true
			}
		}
		if covers {
			d.lines = append(d.lines, e)
		}
	}
	return nil
}

// deviations says of every line about the selection what it explains, and whether it still does. A
// line is stale if everything that it names was compared and nothing differs;
// one about flaky scenarios or about what is left out never is.
func (d *Differ) deviations(all []reports.Comparison) []reports.Deviation {
	verdicts := map[string]reports.Verdict{}
	for i := range all {
		verdicts[all[i].ID] = all[i].Verdict
	}
	out := make([]reports.Deviation, 0, len(d.lines))
	for _, e := range d.lines {
		v := reports.Deviation{Expectation: *expectationOf(e), Select: e.Select.Text}
		agree, compared := 0, 0
		for _, s := range d.sides[0].catalogue {
			if d.expect[s] != e {
				continue
			}
			v.Covered++
			if _, ok := verdicts[s.ID]; ok {
				compared++
			}
			switch verdicts[s.ID] {
			case reports.KnownDiffer:
				v.Differ = append(v.Differ, s.ID)
			case reports.Agree:
				agree++
			}
		}
		// What a backend declares to fail is about what scenarios expect;
		// observations may agree all the same.
		about := e.Kind == ExpectDiffer || e.Kind == ExpectFail && !e.declared
		v.Stale = about && agree == v.Covered
		if compared == 0 {
			continue // about what was not selected
		}
		out = append(out, v)
	}
	return out
}
