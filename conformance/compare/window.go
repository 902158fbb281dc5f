package compare

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/reports"
	"github.com/hnsim/hnsim/sim/wire"
)

// point is where frames are seen.
type point struct {
	kind backends.ObservationKind
	role string
	peer string
}

func (p point) String() string {
	switch p.kind {
	case backends.Received:
		return "received by " + p.role
	case backends.Sent:
		return "sent by " + p.role
	case backends.OnWire:
		return strings.TrimSpace("wire " + p.role + " " + p.peer)
	}
	return "dropped at " + p.role
}

// sight is one observation with its place in the order of its side.
type sight struct {
	*backends.Observation
	at int
}

// window is what both sides saw of one line.
type window struct {
	points      []point // in the order of their first frame, left before right
	left, right map[point][]sight
	order       []placed // the left side
}

// placed is a sight at its point.
type placed struct {
	point
	sight
}

// window groups what was seen by point and leaves out what is not compared.
func (l *ledger) window(left, right []backends.Observation, drops bool) *window {
	w := &window{left: map[point][]sight{}, right: map[point][]sight{}}
	for i, side := range [][]backends.Observation{left, right} {
		into := []map[point][]sight{w.left, w.right}[i]
		for at := range side {
			o := &side[at]
			if l.leftOut(o, drops, i) {
				continue
			}
			p := point{o.Kind, o.Role, o.Peer}
			if w.left[p] == nil && w.right[p] == nil {
				w.points = append(w.points, p)
			}
			into[p] = append(into[p], sight{o, at})
			if i == 0 {
				w.order = append(w.order, placed{p, sight{o, at}})
			}
		}
	}
	return w
}

// leftOut decides about single frames, and counts those that are normalised
// away.
func (l *ledger) leftOut(o *backends.Observation, drops bool, side int) bool {
	if o.Kind == backends.DroppedAt {
		if !drops && l.on(normDrops) {
			l.counts[normDrops]++
			return true
		}
		return false
	}
	if !l.realTime {
		return false
	}
	name := l.realTimeNoise(o, side)
	if o.Kind == backends.Sent && l.injected[o.Role+string(o.Frame)] {
		name = normInjected
	}
	if (o.Kind == backends.Sent || o.Kind == backends.Received) && l.hosts[o.Role] && l.on(normHost) {
		name = normHost
	}
	if name == "" || !l.on(name) {
		return false
	}
	l.counts[name]++
	return true
}

// realTimeNoise is the normalisation that a frame falls under, or "".
func (l *ledger) realTimeNoise(o *backends.Observation, side int) string {
	frame := o.Frame
	for range 4 {
		var m wire.Meta
		if wire.Parse(frame, &m) != wire.OK {
			return ""
		}
		if isChatter(frame, &m) {
			return normChatter
		}
		if m.HasL4 && m.Proto == wire.ProtoTCP {
			return l.segmentNoise(o, frame, &m, side)
		}
		if q, ok := wire.ParseQuoted(frame, &m); ok && q.Proto == wire.ProtoTCP {
			return l.complaintNoise(o, frame, &m, &q, side)
		}
		_, t, ok := l.tunnel(frame, &m)
		if !ok {
			return ""
		}
		frame = frame[t.Inner:t.End]
	}
	return ""
}

// ICMPv6 types of multicast listener discovery.
const (
	mldQuery  = 130
	mldDone   = 132
	mldReport = 143
)

func isChatter(frame []byte, m *wire.Meta) bool {
	switch {
	case m.IsARP, m.IsIP() && m.Proto == wire.ProtoIGMP:
		return true
	case m.IsIPv6 && m.HasL4 && m.Proto == wire.ProtoICMPv6:
		return wire.ND(frame[m.L4:m.End]).IsValid() || m.ICMPType >= mldQuery && m.ICMPType <= mldDone || m.ICMPType == mldReport
	}
	return false
}

// segmentNoise finds pure acknowledgements, and segments that were seen at
// this point before.
func (l *ledger) segmentNoise(o *backends.Observation, frame []byte, m *wire.Meta, side int) string {
	t := wire.TCP(frame[m.L4:m.End])
	const notes = wire.TCPSyn | wire.TCPFin | wire.TCPRst
	if t.Flags()&notes == 0 && m.Payload == m.End {
		return normACKs
	}
	// A segment that comes by again with another TTL goes round in circles, and one
	// for another MAC is a copy that somebody asked for.
	return l.repeated(o, side, "%v %v %v %d %d %d %d %d %s", wire.Ethernet(frame).Dst(), m.Src(frame), m.Dst(frame), m.SrcPort, m.DstPort, m.TTL(frame), t.Seq(), t.Flags()&notes, frame[m.Payload:m.End])
}

// complaintNoise finds ICMP errors about segments that were complained about
// before: every retransmission may bring one, or a machine holds them back.
func (l *ledger) complaintNoise(o *backends.Observation, frame []byte, m *wire.Meta, q *wire.Quoted, side int) string {
	return l.repeated(o, side, "%v %v %d %d %d %v %v %d %d", m.Src(frame), m.Dst(frame), m.TTL(frame), m.ICMPType, m.ICMPCode, q.Src, q.Dst, q.SrcPort, q.DstPort)
}

// repeated reports whether the same was seen at a point before.
func (l *ledger) repeated(o *backends.Observation, side int, format string, args ...any) string {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %s %s %s ", side, o.Kind, o.Role, o.Peer)
	fmt.Fprintf(h, format, args...)
	key := h.Sum64()
	if l.segments[key] {
		return normRepeats
	}
	l.segments[key] = true
	return ""
}

// finding is a difference between two windows.
type finding struct {
	order int // of the frame in its side: the earliest one is shown
	diff  reports.Difference
}

// compare goes through the frames in the order in which the left side saw
// them, because what a frame means may follow from an earlier one elsewhere. It
// returns the earliest difference.
func (w *window) compare(l *ledger) (first *finding, equal int) {
	ordered := !l.on(normOrder)
	rest := maps.Clone(w.right)
	alone := map[point][]sight{}
	seen := map[point]int{}
	for _, at := range w.order {
		p := at.point
		i := l.partner(p, at.sight, rest[p], ordered)
		switch {
		case i < 0 && ordered:
			n := seen[p]
			return l.apart(p, w.left[p][n:], rest[p], n), equal
		case i < 0:
			alone[p] = append(alone[p], at.sight)
			continue
		case i == 0:
			rest[p] = rest[p][1:]
		default:
			l.counts[normOrder]++
			rest[p] = slices.Concat(rest[p][:i], rest[p][i+1:])
		}
		seen[p]++
		equal++
	}
	for _, p := range w.points {
		if p.kind == backends.DroppedAt {
			alone[p], rest[p] = l.unexplainedDrops(p, alone[p], rest[p])
		}
		if len(alone[p])+len(rest[p]) == 0 {
			continue
		}
		if f := l.apart(p, alone[p], rest[p], seen[p]); first == nil || f.order < first.order {
			first = f
		}
	}
	return first, equal
}

// match compares two sights and, if they are equal, adds what that means to
// the ledger.
func (l *ledger) match(p point, a, b sight) bool {
	d := l.draft()
	if p.kind == backends.DroppedAt && a.Reason != b.Reason {
		return false
	}
	if _, ok := d.frames(a.Frame, b.Frame); !ok {
		return false
	}
	if a.At != b.At {
		if !l.on(normTimes) {
			return false
		}
		d.use(normTimes)
	}
	d.commit()
	return true
}

// unexplainedDrops are the drops of frames that both sides dropped, for
// different reasons. A machine does not notice all that gets lost in it; that
// one side only reports a drop says nothing where everything else is equal.
func (l *ledger) unexplainedDrops(p point, left, right []sight) (fromLeft, fromRight []sight) {
	if !l.on(normDrops) || !l.realTime {
		return left, right
	}
	l.counts[normDrops] += len(left) + len(right)
	for _, a := range left {
		for _, b := range right {
			if _, same := l.draft().frames(a.Frame, b.Frame); same && len(fromLeft) == 0 {
				l.counts[normDrops] -= 2
				fromLeft, fromRight = []sight{a}, []sight{b}
			}
		}
	}
	return fromLeft, fromRight
}

// reach is how far ahead a frame that came out of order is looked for.
const reach = 64

// partner is the place of the frame that goes with a, or -1. Where order counts
// only the very first will do. Elsewhere a frame that is the same byte for byte
// comes first, wherever it is: of several packets that could be each other's
// counterparts those that look alike are.
func (l *ledger) partner(p point, a sight, right []sight, ordered bool) int {
	if ordered {
		if len(right) > 0 && l.match(p, a, right[0]) {
			return 0
		}
		return -1
	}
	for i := range right {
		if bytes.Equal(a.Frame, right[i].Frame) && l.match(p, a, right[i]) {
			return i
		}
	}
	for i := range min(reach, len(right)) {
		if l.match(p, a, right[i]) {
			return i
		}
	}
	return -1
}

// apart describes the first of the frames that have no partner, n frames after
// the beginning.
func (l *ledger) apart(p point, left, right []sight, n int) *finding {
	d := reports.Difference{Where: fmt.Sprintf("%s, frame %d", p, n+1)}
	switch {
	case len(right) == 0, len(left) > 1 && len(right) > 0 && l.alike(p, left[1], right[0]) && !l.close(p, left[0], right[0]):
		return l.missing(&d, p, left[0], true)
	case len(left) == 0, len(right) > 1 && l.alike(p, left[0], right[1]) && !l.close(p, left[0], right[0]):
		return l.missing(&d, p, right[0], false)
	}
	a, b := left[0], l.nearest(p, left[0], right)
	d.What = "the frames differ"
	d.Left, d.Right = l.summary(p, a), l.summary(p, b)
	d.Fields = l.rows(p, a, b)
	return &finding{min(a.at, b.at), d}
}

// missing describes a frame that one side only has.
func (l *ledger) missing(d *reports.Difference, p point, s sight, left bool) *finding {
	d.What, d.Left, d.Right = "only the left side has this frame", l.summary(p, s), "no such frame"
	if !left {
		d.What, d.Left, d.Right = "only the right side has this frame", "no such frame", l.summary(p, s)
	}
	v := l.view(s.Frame)
	for _, layer := range v.layers {
		for _, f := range layer.Fields {
			row := reports.FieldPair{Field: layer.Name + "." + f.Name, State: reports.FieldDiffers}
			if left {
				row.Left = f.Value
			} else {
				row.Right = f.Value
			}
			d.Fields = append(d.Fields, row)
		}
	}
	return &finding{s.at, *d}
}

func (l *ledger) summary(p point, s sight) string {
	text := wire.Summary(s.Frame)
	if p.kind == backends.DroppedAt {
		text = s.Reason + ": " + text
	}
	return text
}

// rows are the fields of two sights.
func (l *ledger) rows(p point, a, b sight) []reports.FieldPair {
	rows, _ := l.draft().frames(a.Frame, b.Frame)
	if p.kind == backends.DroppedAt {
		state := reports.FieldSame
		if a.Reason != b.Reason {
			state = reports.FieldDiffers
		}
		rows = append([]reports.FieldPair{{Field: "drop.reason", Left: a.Reason, Right: b.Reason, State: state}}, rows...)
	}
	if !l.on(normTimes) && a.At != b.At {
		rows = append(rows, reports.FieldPair{Field: "time", Left: a.At.String(), Right: b.At.String(), State: reports.FieldDiffers})
	}
	return rows
}

func (l *ledger) alike(p point, a, b sight) bool { return l.distance(p, a, b) == 0 }

// close reports whether two frames are plainly the same packet, changed.
func (l *ledger) close(p point, a, b sight) bool { return l.distance(p, a, b) <= 3 }

func (l *ledger) distance(p point, a, b sight) int {
	n := 0
	for _, row := range l.rows(p, a, b) {
		if row.State == reports.FieldDiffers {
			n++
		}
	}
	return n
}

// nearest is the frame that differs from a in the fewest fields.
func (l *ledger) nearest(p point, a sight, others []sight) sight {
	best := others[0]
	if !l.realTime {
		return best
	}
	least := l.distance(p, a, best)
	for _, o := range others[1:min(len(others), reach)] {
		if n := l.distance(p, a, o); n < least {
			best, least = o, n
		}
	}
	return best
}
