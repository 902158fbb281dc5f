package script

import (
	"fmt"
	"strings"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/wire"
)

// failure begins the report of the current line.
func (r *run) failure(expected, received string) *mismatch {
	return &mismatch{&Failure{Expected: expected, Received: received}}
}

// missing reports that no frame matched: with the one that came closest, what
// was dropped instead, and the walk of the packet that went missing.
func (r *run) missing(pt point, pat *pattern) error {
	f := &Failure{Expected: pt.String() + ": " + describePattern(pat)}
	best, diffs, seen := r.closest(pt, pat)
	switch {
	case best == nil:
		f.Received = "nothing at that point"
	default:
		f.Received = fmt.Sprintf("%s there, none as expected", plural(seen, "frame"))
		f.Closest = order(diffs)
		f.ClosestPacket, f.ClosestFrame = pat.decoder.Summary(best.Frame), best.Frame
	}
	f.Drops = r.drops()
	if n := len(f.Drops); n > 0 {
		f.Received += ", " + plural(n, "drop")
	}
	f.Trace = r.traceFor(pat)
	return &mismatch{f}
}

// unexpected reports a frame that should not have been there.
func (r *run) unexpected(pt point, pat *pattern, i int) error {
	o := r.world.Observations()[i]
	f := &Failure{Expected: "nothing in " + pt.String() + ": " + describePattern(pat), Received: wire.Summary(o.Frame)}
	if o.Reason != "" {
		f.Received = o.Reason + " " + o.Where + ": " + f.Received
	}
	f.Closest, _ = pat.compare(pat.decode(o.Frame))
	f.ClosestPacket, f.ClosestFrame = wire.Summary(o.Frame), o.Frame
	if o.ID != 0 {
		f.Trace = r.world.Trace(o.ID)
	}
	return &mismatch{f}
}

func describePattern(pat *pattern) string {
	if pat.text == "" {
		return "any frame"
	}
	return pat.text
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// closest is the frame at the point that differs from the pattern in the fewest
// named fields, the earliest of equals. For a drop the frames that were dropped
// there for other reasons count too: the reason is then what differs.
func (r *run) closest(pt point, pat *pattern) (best *backends.Observation, diffs []FieldDiff, seen int) {
	anywhere := pt
	anywhere.reason, anywhere.peer = "", ""
	least := 0
	all := r.world.Observations()
	for i := r.mark; i < len(all); i++ {
		o := &all[i]
		if !anywhere.covers(o) {
			continue
		}
		seen++
		d, wrong := pat.compare(pat.decode(o.Frame))
		if pt.reason != "" {
			same := o.Reason == pt.reason
			d = append(d, FieldDiff{Field: "reason", Want: pt.reason, Got: o.Reason, Same: same})
			if !same {
				wrong++
			}
		}
		if wrong == 0 {
			d, wrong = append(d, r.whyNot(pt, i)), 1
		}
		if best == nil || wrong < least {
			best, diffs, least = o, d, wrong
		}
	}
	return best, diffs, seen
}

// whyNot explains a frame that matches and was still not found.
func (r *run) whyNot(pt point, i int) FieldDiff {
	if r.taken[i] {
		return FieldDiff{Field: "taken", Want: "a frame of its own", Got: "an earlier line took this one"}
	}
	return FieldDiff{Field: "wire of " + pt.peer, Want: "the same frame", Got: "did not arrive"}
}

const maxListed = 10

// drops lists what was dropped during the stimulus.
func (r *run) drops() []string {
	var out []string
	all := r.world.Observations()
	for i := r.mark; i < len(all); i++ {
		o := &all[i]
		if o.Kind != backends.DroppedAt {
			continue
		}
		if len(out) == maxListed {
			out = append(out, "more")
			break
		}
		where := o.Role
		if o.Where != "" {
			where += " (" + o.Where + ")"
		}
		out = append(out, fmt.Sprintf("%s at %s: %s", o.Reason, where, wire.Summary(o.Frame)))
	}
	return out
}

// traceFor is the walk of the packet of the stimulus that the pattern was most
// likely about: the one that looked most like it anywhere on its way.
func (r *run) traceFor(pat *pattern) []string {
	least := map[uint64]int{}
	all := r.world.Observations()
	for i := r.mark; i < len(all); i++ {
		o := &all[i]
		if _, wrong := pat.compare(pat.decode(o.Frame)); o.ID != 0 {
			if old, ok := least[o.ID]; !ok || wrong < old {
				least[o.ID] = wrong
			}
		}
	}
	best, found := uint64(0), false
	for _, id := range r.sent {
		wrong, ok := least[id]
		if id != 0 && (!found || ok && wrong <= least[best]) {
			best, found = id, true
		}
	}
	if !found {
		return nil
	}
	return r.world.Trace(best)
}

// lastTrace is the walk of the packet that was sent last.
func (r *run) lastTrace() []string {
	if len(r.sent) == 0 || r.sent[len(r.sent)-1] == 0 {
		return nil
	}
	return r.world.Trace(r.sent[len(r.sent)-1])
}

// connected notes the first packet of a connection that failed, which the
// outcome does not name: the failure shows its walk.
func (r *run) connected(s *backends.Stimulus, since int) {
	for _, o := range r.world.Observations()[since:] {
		var m wire.Meta
		if o.ID != 0 && wire.Parse(o.Frame, &m) == wire.OK && m.IsIP() && m.Proto == wire.ProtoTCP && m.Dst(o.Frame) == s.Dst.Addr() {
			r.sent = append(r.sent, o.ID)
			return
		}
	}
}

// text makes the message of a failure: everything a reader needs, in the order
// in which they ask.
func (f *Failure) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d: %s\n", f.File, f.Line, f.Command)
	if f.Requirement != "" {
		fmt.Fprintf(&b, "  requirement  %s\n", strings.ReplaceAll(f.Requirement, "\n", "\n               "))
	}
	fmt.Fprintf(&b, "  expected     %s\n  received     %s\n", f.Expected, f.Received)
	if f.ClosestPacket != "" {
		fmt.Fprintf(&b, "  closest      %s\n", f.ClosestPacket)
	}
	width := 5
	for _, d := range f.Closest {
		width = max(width, len(d.Field))
	}
	for _, d := range f.Closest {
		if !d.Same {
			fmt.Fprintf(&b, "    %-*s  want %s, got %s\n", width, d.Field, d.Want, d.Got)
		}
	}
	for _, d := range f.Drops {
		fmt.Fprintf(&b, "  dropped      %s\n", d)
	}
	for _, l := range f.Trace {
		fmt.Fprintf(&b, "  trace        %s\n", l)
	}
	return b.String()
}
