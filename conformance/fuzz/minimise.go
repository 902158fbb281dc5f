package fuzz

import (
	"context"
	"slices"
	"time"

	"github.com/hnsim/hnsim/backends"
)

// maxAttempts bounds the runs that one minimisation may take.
const maxAttempts = 3000

// maxTime bounds them on the wall: worlds that hang take long to try.
const maxTime = 3 * time.Minute

// minimiser cuts a case down.
type minimiser struct {
	ctx      context.Context // ends with the time that minimising may take
	b        backends.Backend
	profile  string
	kind     string // the failure to keep
	attempts int
}

// minimise leaves out as many steps as it can while the case fails in the same
// way: ever smaller pieces, until no single step can go, then knobs (delta
// debugging, Zeller and Hildebrandt 2002). What is left when ctx ends or the
// attempts are used up is returned.
func minimise(ctx context.Context, c *Case, b backends.Backend, profile, kind string) *Case {
	ctx, cancel := context.WithTimeout(ctx, maxTime)
	defer cancel()
	m := &minimiser{ctx: ctx, b: b, profile: profile, kind: kind}
	for {
		before := len(c.Steps)
		for size := max(len(c.Steps)/2, 1); size >= 1; size /= 2 {
			c = m.sweep(c, size)
		}
		if len(c.Steps) == before || m.spent() {
			break
		}
	}
	for i := len(c.Knobs) - 1; i >= 0; i-- {
		d := *c
		d.Knobs = slices.Delete(slices.Clone(c.Knobs), i, i+1)
		if m.fails(&d) {
			c = &d
		}
	}
	return c
}

func (m *minimiser) spent() bool { return m.attempts >= maxAttempts || m.ctx.Err() != nil }

// sweep tries to leave out every piece of so many steps, from the end: what
// comes last is most often needed by nothing.
func (m *minimiser) sweep(c *Case, size int) *Case {
	for end := len(c.Steps); end > 0 && !m.spent(); end -= size {
		start := max(end-size, 0)
		var steps []Step
		for i, s := range c.Steps {
			if i < start || i >= end || s.Fixed {
				steps = append(steps, s)
			}
		}
		if len(steps) == len(c.Steps) {
			continue
		}
		if d := c.with(steps); m.fails(d) {
			c = d
			end = min(end, len(c.Steps)+size)
		}
	}
	return c
}

// fails reports whether a case fails as the one does that is being minimised.
func (m *minimiser) fails(c *Case) bool {
	m.attempts++
	v, err := judge(m.ctx, c, m.b, m.profile, m.kind == kindNondeterm)
	return err == nil && v.kind == m.kind
}
