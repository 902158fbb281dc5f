package script

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/wire"
)

// A stimulus is a row of acting words without a checking word in between. Checks
// look at what was observed since the stimulus began and not taken by an
// earlier check.

// begin is called before an acting word: the first one after a check begins a
// new stimulus.
func (r *run) begin() {
	if r.checked {
		r.mark = len(r.world.Observations())
		r.sent = nil
		r.checked = false
	}
}

// window calls f for every observation of the stimulus at a point that no check
// has taken, until f returns false.
func (r *run) window(pt point, f func(i int, o *backends.Observation) bool) {
	seen := r.world.Observations()
	for len(r.taken) < len(seen) {
		r.taken = append(r.taken, false)
	}
	for i := r.mark; i < len(seen); i++ {
		if !r.taken[i] && pt.covers(&seen[i]) && !f(i, &seen[i]) {
			return
		}
	}
}

// expect looks for the first frame that matches, or, with none, for its absence.
func (r *run) expect(pt point, pat *pattern, none bool) error {
	found := -1
	var frame packet
	r.window(pt, func(i int, o *backends.Observation) bool {
		p := pat.decode(o.Frame)
		if !pat.matches(p) || none && pat.isNoise(p) || pt.peer != "" && r.reached(pt.peer, pat, i) < 0 {
			return true
		}
		found, frame = i, p
		return false
	})
	switch {
	case none && found >= 0:
		return r.unexpected(pt, pat, found)
	case none:
		return nil
	case found < 0:
		return r.missing(pt, pat)
	}
	if err := r.checksums(pt, pat, frame); err != nil {
		return err
	}
	r.taken[found] = true
	if pt.peer != "" {
		r.taken[r.reached(pt.peer, pat, found)] = true
	}
	for _, s := range pat.saves {
		f, ok := frame.field(s.ref)
		if !ok {
			return r.failure("a frame with "+s.ref.show+", to save it", wire.Summary(frame.frame))
		}
		r.scope.vars[s.name] = savedText(s.ref, f)
	}
	return nil
}

// reached is the observation in which the frame of observation i came to the
// peer's wire, or -1. Identity joins the two where the backend has it, because a
// router in between changes the frame.
func (r *run) reached(peer string, pat *pattern, i int) int {
	at := -1
	from := r.world.Observations()[i]
	r.window(point{kind: backends.OnWire, role: peer, dir: "rx"}, func(j int, o *backends.Observation) bool {
		if j > i && (from.ID != 0 && o.ID == from.ID || string(o.Frame) == string(from.Frame) || from.ID == 0 && routed(from.Frame, o.Frame)) && pat.matches(pat.decode(o.Frame)) {
			at = j
			return false
		}
		return true
	})
	return at
}

// routed reports whether a frame can be another one behind a router: addresses
// and all that is carried are the same. Backends that know no identities of
// packets have nothing else.
func routed(before, after []byte) bool {
	var a, b wire.Meta
	if wire.Parse(before, &a) != wire.OK || wire.Parse(after, &b) != wire.OK || !a.IsIP() || !b.IsIP() {
		return false
	}
	return a.Src(before) == b.Src(after) && a.Dst(before) == b.Dst(after) && a.Proto == b.Proto &&
		string(before[a.L4:a.End]) == string(after[b.L4:b.End])
}

// savedText is a field's value as a word can use it: a number without its name,
// text without quotes.
func savedText(ref fieldRef, f wire.Field) string {
	switch ref.kind {
	case typeField, sumField, numberField:
		v, _, _ := strings.Cut(f.Value, " ")
		return v
	}
	if s, err := strconv.Unquote(f.Value); err == nil {
		return s
	}
	return f.Value
}

// checksums verifies every checksum of a matched frame, unless the pattern
// speaks of checksums itself or says what every byte is.
func (r *run) checksums(pt point, pat *pattern, p packet) error {
	if pat.sums || pat.exact != nil || pt.kind == backends.DroppedAt {
		return nil
	}
	if err := pat.decoder.VerifyChecksums(p.frame); err != nil && strings.Contains(err.Error(), wire.ErrChecksum.Error()) {
		m := r.failure("valid checksums in "+pt.String(), err.Error())
		m.Failure.ClosestPacket, m.Failure.ClosestFrame = wire.Summary(p.frame), p.frame
		return m
	}
	return nil
}

// count takes all frames that match and compares their number, order or rate.
func (r *run) count(pt point, pat *pattern, c *counting) error {
	t := newTally(c)
	var bad error
	r.window(pt, func(i int, o *backends.Observation) bool {
		p := pat.decode(o.Frame)
		if !pat.matches(p) || pt.peer != "" && r.reached(pt.peer, pat, i) < 0 {
			return true
		}
		if bad = r.checksums(pt, pat, p); bad != nil {
			return false
		}
		r.taken[i] = true
		t.add(p, o)
		return true
	})
	if bad != nil {
		return bad
	}
	if want, got, ok := t.verdict(); !ok {
		m := r.failure(want+" in "+pt.String()+": "+pat.text, got)
		m.Failure.Drops = r.drops()
		return m
	}
	return nil
}

// tally adds up what a count line asks about.
type tally struct {
	c           *counting
	frames      uint64
	values      map[string]bool
	last        uint64
	disorder    string
	bytes       int
	first, when int64
}

func newTally(c *counting) *tally { return &tally{c: c, values: map[string]bool{}} }

func (t *tally) add(p packet, o *backends.Observation) {
	if t.frames == 0 {
		t.first = int64(o.At)
	} else {
		t.bytes += len(p.frame) // the first frame only starts the clock
	}
	t.frames++
	t.when = int64(o.At)
	if t.c.distinct != nil {
		if f, ok := p.field(*t.c.distinct); ok {
			t.values[f.Value] = true
		}
	}
	if t.c.ordered != nil {
		f, _ := p.field(*t.c.ordered)
		n, _ := leadingNumber(f.Value)
		if n < t.last && t.disorder == "" {
			t.disorder = fmt.Sprintf("%s %d behind %d", t.c.ordered.show, n, t.last)
		}
		t.last = n
	}
}

// verdict says what was wanted and what came.
func (t *tally) verdict() (want, got string, ok bool) {
	n, what := t.frames, "frames"
	if t.c.distinct != nil {
		n, what = uint64(len(t.values)), "different values of "+t.c.distinct.show
	}
	if n < t.c.min || n > t.c.max {
		return fmt.Sprintf("%s %s", t.c.bounds(), what), fmt.Sprintf("%d %s", n, what), false
	}
	if t.disorder != "" {
		return "frames in order of " + t.c.ordered.show, t.disorder, false
	}
	if t.c.rateTop == 0 {
		return "", "", true
	}
	rate := 0.0
	if t.when > t.first {
		rate = float64(t.bytes) * 1e9 / float64(t.when-t.first)
	}
	return fmt.Sprintf("%g to %g bytes per second", t.c.rateLow, t.c.rateTop), fmt.Sprintf("%.0f (%d frames)", rate, t.frames),
		rate >= t.c.rateLow && rate <= t.c.rateTop
}

func (c *counting) bounds() string {
	switch {
	case c.min == c.max:
		return fmt.Sprint(c.min)
	case c.max == 1<<64-1:
		return fmt.Sprintf("at least %d", c.min)
	case c.min == 0:
		return fmt.Sprintf("at most %d", c.max)
	}
	return fmt.Sprintf("%d to %d", c.min, c.max)
}

func (c *counting) setRate(v string) error {
	lo, hi, ok := strings.Cut(v, "-")
	var err1, err2 error
	c.rateLow, err1 = strconv.ParseFloat(lo, 64)
	c.rateTop, err2 = strconv.ParseFloat(hi, 64)
	if !ok || err1 != nil || err2 != nil || !(c.rateLow >= 0 && c.rateTop > c.rateLow) {
		return fmt.Errorf("found %s, expected LO-HI in bytes per second", quoteShort(v))
	}
	return nil
}
