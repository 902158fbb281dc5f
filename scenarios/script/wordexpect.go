package script

import (
	"slices"

	"github.com/hnsim/hnsim/backends"
)

const patternArgs = "[PATTERN]"

var expectWords = []*word{
	{
		name: "expect", group: "Expectations", args: "[none] ROLE " + patternArgs, checks: true, quiet: true,
		summary: "what the role's NIC received since the last stimulus",
		detail:  []string{"Takes the first frame that matches and was not taken before. expect none: no such frame was received."},
		example: "expect co21 udp 10.244.1.10:40000 > 10.244.2.20:53 'hello' ttl=128",
		parse:   func(p *parser) op { return parseExpect(p, backends.Received) },
	},
	{
		name: "sent", group: "Expectations", args: "[none] ROLE " + patternArgs, checks: true, quiet: true,
		summary: "what left the role's NIC since the last stimulus",
		example: "sent none co21 tcp flags=R+",
		parse:   func(p *parser) op { return parseExpect(p, backends.Sent) },
	},
	{
		name: "wire", group: "Expectations", args: "NODE [NODE] [tx|rx] " + patternArgs + " | none NODE [tx|rx] " + patternArgs, checks: true, quiet: true,
		summary: "what crossed the wire of a node since the last stimulus",
		detail:  []string{"tx, which is the default, is what left the node. With a second node the same frame must have reached that node's wire. wire none looks at both directions unless one is named."},
		example: "wire h1 h2 vxlan vni=4096 ip 10.127.130.35>10.127.130.38 inner udp *:40000 > *:53",
		needs:   []string{wiresNeeded},
		parse:   parseWire,
	},
	{
		name: "drop", group: "Expectations", args: "NODE|CONTAINER REASON [count=N] " + patternArgs + " | none [NODE|CONTAINER] [REASON]", checks: true, quiet: true,
		summary: "what was dropped since the last stimulus, and why",
		detail:  []string{"A container stands for its switch ports and its own stack, a node for everything on it. count=N: exactly N frames. Without it the first one is taken."},
		example: "drop h1 NoMapping udp",
		needs:   []string{"capability:drops"},
		parse:   parseDrop,
	},
	{
		name: "count", group: "Expectations", args: "[sent] ROLE | wire NODE [tx|rx] | drop NODE|CONTAINER REASON, then " + patternArgs + " is=N | min=N | max=N [distinct=FIELD] [ordered=FIELD] [rate=LO-HI]",
		checks: true, quiet: true,
		summary: "how many frames were seen since the last stimulus",
		detail: []string{
			"Takes all that match. distinct=FIELD counts different values of the field instead of frames. ordered=FIELD: its values must not go down. rate=LO-HI: bytes of frames per second from the first to the last frame.",
		},
		example: "count wire h1 vxlan vni=4096 distinct=udp.sport min=500",
		parse:   parseCount,
	},
}

// wiresNeeded is what follows from looking at wires.
const wiresNeeded = "capability:" + string(backends.Wires)

// point is where a frame was seen.
type point struct {
	kind   backends.ObservationKind
	role   string
	dir    string // wire: "tx", "rx" or both
	reason string // drop
	peer   string // wire: the node that it must have reached
}

// covers reports whether an observation was made at the point.
func (pt point) covers(o *backends.Observation) bool {
	if o.Kind != pt.kind {
		return false
	}
	if pt.kind == backends.DroppedAt {
		return (pt.role == "" || o.Role == pt.role || portOf(o.Where) == pt.role) && (pt.reason == "" || o.Reason == pt.reason)
	}
	return o.Role == pt.role && (pt.dir == "" || o.Peer == pt.dir)
}

// portOf is the role in a drop's place: "co11 snat" is at co11's port.
func portOf(where string) string {
	for i := range len(where) {
		if where[i] == ' ' || where[i] == '/' {
			return where[:i]
		}
	}
	return where
}

func (pt point) String() string {
	switch pt.kind {
	case backends.OnWire:
		s := "wire of " + pt.role
		if pt.dir != "" {
			s += " " + pt.dir
		}
		if pt.peer != "" {
			s += " and of " + pt.peer
		}
		return s
	case backends.DroppedAt:
		s := "drops"
		if pt.role != "" {
			s += " at " + pt.role
		}
		if pt.reason != "" {
			s += " for " + pt.reason
		}
		return s
	case backends.Sent:
		return "sent by " + pt.role
	}
	return "received by " + pt.role
}

func parseExpect(p *parser, k backends.ObservationKind) op {
	none := p.accept("none")
	pt := point{kind: k}
	pt.role, _ = p.role("the role", roleKinds...)
	pat := p.pattern()
	p.neverSave(none, pat)
	return func(r *run) error { return r.expect(pt, pat, none) }
}

// neverSave refuses to keep fields of a packet that must not exist.
func (p *parser) neverSave(none bool, pat *pattern) {
	if none && len(pat.saves) > 0 {
		p.errorf("save= in a line that expects nothing")
	}
}

func parseWire(p *parser) op {
	none := p.accept("none")
	pt := p.wirePoint(!none)
	pat := p.pattern()
	p.neverSave(none, pat)
	return func(r *run) error { return r.expect(pt, pat, none) }
}

// wirePoint takes NODE [NODE] [tx|rx]; a second node and the default direction
// make sense only where a frame is expected.
func (p *parser) wirePoint(positive bool) point {
	pt := point{kind: backends.OnWire}
	pt.role, _ = p.role("the node", nodeKinds...)
	if next := p.peek(); positive && next != "" {
		if n, ok := p.sc.roles[next]; ok && slices.Contains(nodeKinds, n.kind) {
			p.i++
			pt.peer = next
		}
	}
	switch {
	case p.accept("tx"):
		pt.dir = "tx"
	case p.accept("rx"):
		pt.dir = "rx"
	case positive:
		pt.dir = "tx"
	}
	if pt.peer != "" && pt.dir == "rx" {
		p.errorf("two nodes and rx: what h1 h2 received together is not defined; name the sender first")
	}
	return pt
}

// reason takes a drop reason. Which exist is the backend's business; a reason
// that never occurs makes the line fail and show those that did.
func (p *parser) reason() string {
	s := p.next("the drop reason")
	if p.err == nil && (s[0] < 'A' || s[0] > 'Z' || checkName(s) != nil) {
		p.errorf("%s is no drop reason: expected a name such as MacSpoof", quoteShort(s))
	}
	// Without this a misspelt "drop none" would pass for ever.
	if known := p.sc.reasons; p.err == nil && len(known) > 0 && !slices.Contains(known, s) {
		p.errorf("the backend has no drop reason %s%s", quoteShort(s), didYouMean(s, known))
	}
	return s
}

func parseDrop(p *parser) op {
	pt := point{kind: backends.DroppedAt}
	if p.accept("none") {
		if p.more() {
			pt.role, _ = p.role("the node or container", roleKinds...)
		}
		if p.more() {
			pt.reason = p.reason()
		}
		p.end()
		pat := &pattern{layers: []string{"arp"}} // a dropped ARP frame is a drop
		return func(r *run) error { return r.expect(pt, pat, true) }
	}
	pt.role, _ = p.role("the node or container", roleKinds...)
	pt.reason = p.reason()
	count := -1
	pat := p.pattern(attr{name: "count", set: toUint(&count, maxCount)})
	if count < 0 {
		return func(r *run) error { return r.expect(pt, pat, false) }
	}
	n := uint64(count)
	return func(r *run) error { return r.count(pt, pat, &counting{min: n, max: n}) }
}

// counting is what a count line asks for.
type counting struct {
	min, max         uint64
	distinct         *fieldRef
	ordered          *fieldRef
	rateLow, rateTop float64
}

func parseCount(p *parser) op {
	var pt point
	switch {
	case p.accept("wire"):
		p.sc.need(wiresNeeded)
		pt = p.wirePoint(true)
	case p.accept("drop"):
		pt = point{kind: backends.DroppedAt}
		pt.role, _ = p.role("the node or container", roleKinds...)
		pt.reason = p.reason()
	default:
		pt = point{kind: backends.Received}
		if p.accept("sent") {
			pt.kind = backends.Sent
		}
		pt.role, _ = p.role("the role", roleKinds...)
	}
	c := &counting{max: 1<<64 - 1}
	asked := false
	number := func(set func(n uint64)) func(string) error {
		return func(v string) error {
			n := 0
			err := toUint(&n, 1<<40)(v)
			set(uint64(n))
			asked = true
			return err
		}
	}
	field := func(dst **fieldRef) func(string) error {
		return func(v string) error {
			ref, err := resolve(v, "", "")
			*dst = &ref
			return err
		}
	}
	pat := p.pattern(
		attr{name: "is", set: number(func(n uint64) { c.min, c.max = n, n })},
		attr{name: "min", set: number(func(n uint64) { c.min = n })},
		attr{name: "max", set: number(func(n uint64) { c.max = n })},
		attr{name: "distinct", set: field(&c.distinct)},
		attr{name: "ordered", set: func(v string) error { asked = true; return field(&c.ordered)(v) }},
		attr{name: "rate", set: func(v string) error { asked = true; return c.setRate(v) }},
	)
	switch {
	case p.err == nil && !asked:
		p.errorf("nothing to compare with: expected is=, min=, max=, ordered= or rate=")
	case c.min > c.max:
		p.errorf("min=%d is more than max=%d", c.min, c.max)
	case len(pat.saves) > 0:
		p.errorf("save= keeps fields of one frame, count looks at many")
	}
	return func(r *run) error { return r.count(pt, pat, c) }
}
