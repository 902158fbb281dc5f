package compare

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/reports"
)

// Options parametrise a comparison.
type Options struct {
	// Strict names normalisations that are not used; "all" are all.
	Strict []string
	// Known are fields of packets ("eth.src") that may differ: they are looked
	// away from, and the first one is reported apart.
	Known []string
}

// Finding is what a comparison came to.
type Finding struct {
	// Difference is the first one, or nil. Its line and command are set, its
	// file is not.
	Difference *reports.Difference
	// Known is the first frame in which only known fields differ.
	Known *reports.Difference
	// Apart says why there was nothing to compare from some line on, although
	// both sides were still at work: they were not asked the same.
	Apart                string
	ApartLine            int
	Lines, Calls, Frames int // that were compared
	Normalised           []reports.Normalised
}

// Compare finds the first difference between two transcripts of one scenario.
func Compare(left, right *Transcript, opt Options) *Finding {
	c := &comparison{
		ledger: newLedger(opt.Strict, !left.VirtualTime || !right.VirtualTime),
		drops:  left.Drops && right.Drops,
		f:      &Finding{},
	}
	c.knownFields = opt.Known
	c.run(left, right)
	c.f.Normalised, c.f.Known = c.used(), c.known
	return c.f
}

type comparison struct {
	*ledger
	drops bool
	f     *Finding
}

func (c *comparison) run(left, right *Transcript) {
	for i := range max(len(left.Steps), len(right.Steps)) {
		if i >= len(left.Steps) || i >= len(right.Steps) {
			c.apartAt(left.Steps, right.Steps, i)
			return
		}
		a, b := left.Steps[i], right.Steps[i]
		if a.Line != b.Line {
			c.apart(min(a.Line, b.Line), a.Line < b.Line)
			return
		}
		if !c.step(a, b) {
			return
		}
	}
	c.end(left, right)
}

// apartAt ends a comparison because one side made no further step. Why is the
// business of whoever ran it: a side that stopped has said so.
func (c *comparison) apartAt(left, right []*Step, i int) {
	if i < len(left) {
		c.apart(left[i].Line, true)
	} else {
		c.apart(right[i].Line, false)
	}
}

func (c *comparison) apart(line int, left bool) {
	side := "right"
	if left {
		side = "left"
	}
	c.f.ApartLine = line
	c.f.Apart = fmt.Sprintf("line %d is carried out on the %s side only", line, side)
}

// step compares one line. It is false if the comparison ends with it.
func (c *comparison) step(a, b *Step) bool {
	c.command = a.Command
	c.line, c.ping, c.injected = a.Line, "", map[string]bool{}
	if slices.ContainsFunc(a.Calls, func(call Call) bool { return call.Do != nil }) {
		c.fixed.forgetNumbers()
	}
	for i := range min(len(a.Calls), len(b.Calls)) {
		c.forgetPorts(c.fixed.learn(&a.Calls[i], &b.Calls[i]))
		c.prepare(&a.Calls[i], &b.Calls[i])
		if l, r := &a.Calls[i], &b.Calls[i]; trouble(l.Err) || trouble(r.Err) {
			c.trouble(a.Line, l, r)
			return false
		}
		if why := c.askedApart(&a.Calls[i], &b.Calls[i]); why != "" {
			c.f.ApartLine, c.f.Apart = a.Line, fmt.Sprintf("line %d asks the sides for different things: %s", a.Line, why)
			return false
		}
	}
	// Packets explain a failed connection, not the other way round; documents
	// name what is in packets.
	parts := []func(*Step, *Step) *reports.Difference{c.calls, c.seen}
	if slices.ContainsFunc(a.Calls, func(call Call) bool { return call.Do != nil }) {
		slices.Reverse(parts)
	}
	for _, part := range parts {
		if d := part(a, b); d != nil {
			d.Line, d.Command = a.Line, a.Command
			c.f.Difference = d
			return false
		}
	}
	c.f.Lines++
	return true
}

// prepare notes what of two calls the frames that follow are judged by.
func (c *comparison) prepare(l, r *Call) {
	switch {
	case l.Node != nil && l.Node.Kind == backends.HostNode:
		c.hosts[l.Node.Name] = true
	case l.Do == nil || r.Do == nil:
	case l.Do.Kind == backends.Ping && l.Do.ICMPID == 0:
		c.ping = fmt.Sprintf("line %d ", c.line)
	case l.Do.Kind == backends.SendFrame:
		c.injected[l.Do.Role+string(l.Do.Frame)] = true
		c.injected[r.Do.Role+string(r.Do.Frame)] = true
	}
}

// askedApart says in what two stimuli contradict the mapping so far. Where
// frames have no order, "the first packet that matches" may be another one on
// each side, and what a check saves of it with it.
func (c *comparison) askedApart(l, r *Call) string {
	if !c.realTime || l.Do == nil || r.Do == nil {
		return ""
	}
	d := c.draft()
	for _, end := range [][2]netip.AddrPort{{l.Do.Src, r.Do.Src}, {l.Do.Dst, r.Do.Dst}} {
		if end[0].Port() == end[1].Port() || !end[0].Addr().IsValid() || !end[1].Addr().IsValid() {
			continue
		}
		if c.fixed.hasPort(end[0].Addr().String(), end[0].Port()) || c.fixed.hasPort(end[1].Addr().String(), end[1].Port()) {
			return fmt.Sprintf("%v and %v", end[0], end[1])
		}
		if why := d.pair(portClass(l.Do.Proto), end[0].String(), end[1].String()); why != "" {
			return fmt.Sprintf("%v and %v, but %s", end[0], end[1], why)
		}
	}
	return ""
}

// trouble ends a comparison where a side gave no answer that counts.
func (c *comparison) trouble(line int, l, r *Call) {
	c.f.ApartLine = line
	switch {
	case trouble(l.Err) && trouble(r.Err) && l.Err.Error() == r.Err.Error():
		c.f.Apart = fmt.Sprintf("line %d: both sides say: %v", line, l.Err)
	case trouble(l.Err):
		c.f.Apart = fmt.Sprintf("line %d: the left side says: %v", line, l.Err)
	default:
		c.f.Apart = fmt.Sprintf("line %d: the right side says: %v", line, r.Err)
	}
}

// calls compares the answers.
func (c *comparison) calls(a, b *Step) *reports.Difference {
	for i := range min(len(a.Calls), len(b.Calls)) {
		l, r := &a.Calls[i], &b.Calls[i]
		d := c.draft()
		rows, equal := d.answers(l, r)
		if !equal {
			return &reports.Difference{
				Where: "answer to " + l.name(), What: "the answers differ",
				Left: answerText(rows, true), Right: answerText(rows, false), Fields: rows,
				Notes: c.dropNotes(a, b),
			}
		}
		d.commit()
		c.f.Calls++
	}
	if len(a.Calls) != len(b.Calls) {
		return &reports.Difference{
			Where: "the requests of this line", What: "one side was asked more often, because of what it had answered",
			Left: fmt.Sprintf("%d requests", len(a.Calls)), Right: fmt.Sprintf("%d requests", len(b.Calls)),
		}
	}
	return nil
}

// answerText is one side of an answer in a line: what decides.
func answerText(rows []reports.FieldPair, left bool) string {
	for _, row := range rows {
		if row.State == reports.FieldDiffers {
			if left {
				return row.Field + " " + row.Left
			}
			return row.Field + " " + row.Right
		}
	}
	return ""
}

// seen compares the frames.
func (c *comparison) seen(a, b *Step) *reports.Difference {
	first, equal := c.window(a.Seen, b.Seen, c.drops).compare(c.ledger)
	c.f.Frames += equal
	if first == nil {
		return nil
	}
	first.diff.Notes = append(first.diff.Notes, c.dropNotes(a, b)...)
	return &first.diff
}

// maxNotes bounds the drops that are shown.
const maxNotes = 4

// dropNotes are the drops of both sides, if they know them: they say where a
// missing frame went.
func (c *comparison) dropNotes(a, b *Step) []string {
	var out []string
	for i, side := range [][]backends.Observation{a.Seen, b.Seen} {
		n := 0
		for j := range side {
			o := &side[j]
			if o.Kind != backends.DroppedAt {
				continue
			}
			if n++; n > maxNotes {
				out = append(out, "and more")
				break
			}
			p := point{o.Kind, o.Role, ""}
			out = append(out, fmt.Sprintf("%s %s: %s", []string{"left", "right"}[i], p, c.summary(p, sight{o, j})))
		}
	}
	return out
}

// end compares what was left when the worlds were closed.
func (c *comparison) end(left, right *Transcript) {
	if d := c.spreadApart(); d != nil {
		c.f.Difference = d
		return
	}
	if left.End == nil || right.End == nil {
		return
	}
	for _, part := range []struct {
		where       string
		left, right []string
	}{
		{"broken invariants", left.End.Broken, right.End.Broken},
		{"left behind after closing", left.End.Left, right.End.Left},
	} {
		d := c.draft()
		rows, equal := d.lists(part.left, part.right)
		if !equal {
			c.f.Difference = &reports.Difference{
				Where: part.where, What: "the lists differ", Fields: rows,
				Left: answerText(rows, true), Right: answerText(rows, false),
			}
			return
		}
		d.commit()
	}
}

func (d *draft) lists(left, right []string) (rows []reports.FieldPair, equal bool) {
	equal = true
	for i := range max(len(left), len(right)) {
		row := reports.FieldPair{Field: fmt.Sprint(i + 1), Left: absent, Right: absent, State: reports.FieldDiffers}
		if i < len(left) {
			row.Left = left[i]
		}
		if i < len(right) {
			row.Right = right[i]
		}
		if i < len(left) && i < len(right) {
			row.State, row.Note = d.text(row.Left, row.Right)
		}
		equal = equal && row.State != reports.FieldDiffers
		rows = append(rows, row)
	}
	return rows, equal
}

// spreadApart compares how widely tunnel endpoints spread flows over source
// ports: two hash functions may collide differently, but not much.
func (c *comparison) spreadApart() *reports.Difference {
	for _, from := range sortedKeys(c.spread) {
		s := c.spread[from]
		l, r := len(s.left), len(s.right)
		if min(l, r)*4 >= max(l, r)*3 {
			continue
		}
		row := reports.FieldPair{Field: "different values", Left: fmt.Sprint(l), Right: fmt.Sprint(r), State: reports.FieldDiffers}
		return &reports.Difference{
			Where: "tunnels from " + from, What: "flows are spread over different numbers of source ports or flow ids",
			Left: row.Left, Right: row.Right, Fields: []reports.FieldPair{row},
		}
	}
	return nil
}
