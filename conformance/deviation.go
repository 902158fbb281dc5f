package conformance

import (
	"slices"

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
	d.expect, err = resolve(d.lines, d.sides[0].catalogue, d.cfg.Now())
	return err
}

// deviations says of every line what it explains, and whether it still does. A
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
		agree := 0
		for _, s := range d.sides[0].catalogue {
			if d.expect[s] != e {
				continue
			}
			v.Covered++
			switch verdicts[s.ID] {
			case reports.KnownDiffer:
				v.Differ = append(v.Differ, s.ID)
			case reports.Agree:
				agree++
			}
		}
		v.Stale = (e.Kind == ExpectFail || e.Kind == ExpectDiffer) && agree == v.Covered
		out = append(out, v)
	}
	return out
}
