package vfp

import (
	"fmt"
	"strings"
)

// TraceKind says what a record tells.
type TraceKind uint8

const (
	TraceNote     TraceKind = iota // Note, from whoever
	TraceMatch                     // a rule acted
	TraceMiss                      // a rule did not, because of Field
	TraceFlowHit                   // a layer flow decided
	TraceFlowNew                   // a layer flow was made
	TraceRelated                   // an ICMP error passed as part of a layer flow
	TraceCacheHit                  // the unified flow cache decided
	TraceDrop                      // the packet was dropped
)

// Record is one step of one packet. The strings are those of the program and
// shared with it.
type Record struct {
	Kind   TraceKind
	Now    int64 // virtual ns
	ID     uint64
	Port   PortID
	Dir    Dir
	Layer  string
	Group  string
	Rule   string
	Action string
	Cite   string
	Field  Field // TraceMiss
	Drop   Drop
	Note   string
	Before Header // TraceMatch and TraceMiss: what the rule saw; flows: what they were applied to
	After  Header // flows
}

// Trace collects what happens to packets. The zero value collects up to
// DefaultTrace records. Whoever writes to it checks for nil first: the packet
// path does the same with and without a trace.
type Trace struct {
	Max     int // records to keep; 0 is DefaultTrace
	Records []Record
	Lost    int // records that did not fit
}

// DefaultTrace is the number of records that a trace keeps.
const DefaultTrace = 4096

// nearMisses is how many rules in front of the one that acted, or of the end
// of the group, are recorded as misses: a group may have thousands.
const nearMisses = 16

// Add appends a record. A nil trace ignores it.
func (t *Trace) Add(r Record) {
	if t == nil {
		return
	}
	limit := t.Max
	if limit <= 0 {
		limit = DefaultTrace
	}
	if len(t.Records) >= limit {
		t.Lost++
		return
	}
	t.Records = append(t.Records, r)
}

// add appends a record about the packet being walked.
func (t *Trace) add(w *Walk, r Record) {
	if w.flows.dry {
		return
	}
	r.Now, r.ID, r.Port, r.Dir = w.Now, w.ID, w.Port, w.Dir
	t.Add(r)
}

// rules records the evaluation of a group in which the rule with index hit
// acts, or none if hit is negative.
func (t *Trace) rules(w *Walk, l *layer, g *group, hit int) {
	if w.flows.dry {
		return
	}
	end := hit
	if hit < 0 {
		end = len(g.rules)
	}
	for i := max(0, end-nearMisses); i < end; i++ {
		t.rule(w, l, g, i, TraceMiss)
	}
	if hit >= 0 {
		t.rule(w, l, g, hit, TraceMatch)
	}
}

func (t *Trace) rule(w *Walk, l *layer, g *group, i int, kind TraceKind) {
	r := g.rules[i]
	rec := Record{
		Kind: kind, Layer: l.Name, Group: g.Name, Rule: r.ID, Action: r.Action.Name(), Cite: r.Cite, Before: w.H,
	}
	if kind == TraceMiss {
		rec.Field = r.Match.miss(w)
		if rec.Field == FieldFunc {
			rec.Note = r.Match.Note
		}
	}
	t.add(w, rec)
}

func (t *Trace) flow(w *Walk, l *layer, c *flowCold, kind TraceKind, before *Header) {
	t.add(w, Record{Kind: kind, Layer: l.Name, Rule: c.rule, Before: *before, After: w.H})
}

// Lines renders the records, one line each, in the order in which they were
// made. A nil trace has no lines.
func (t *Trace) Lines() []string {
	if t == nil {
		return nil
	}
	out := make([]string, 0, len(t.Records)+1)
	for i := range t.Records {
		out = append(out, t.Records[i].String())
	}
	if t.Lost > 0 {
		out = append(out, fmt.Sprintf("... %d more records did not fit", t.Lost))
	}
	return out
}

// String renders the record on one line.
func (r *Record) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d.%06ds packet %d port %d %s", r.Now/1e9, r.Now%1e9/1e3, r.ID, r.Port, r.Dir)
	for _, s := range []string{r.Layer, r.Group, r.Rule} {
		if s != "" {
			b.WriteString(" / " + s)
		}
	}
	b.WriteString(": ")
	switch r.Kind {
	case TraceMatch:
		fmt.Fprintf(&b, "match, %s on %s", r.Action, r.Before.String())
	case TraceMiss:
		fmt.Fprintf(&b, "no match, %s", r.Field)
		if r.Field != FieldFunc {
			fmt.Fprintf(&b, " is %s", r.Before.field(r.Field))
		}
	case TraceFlowHit, TraceFlowNew, TraceRelated:
		b.WriteString([...]string{"flow", "new flow", "related to flow"}[r.Kind-TraceFlowHit])
		if r.Before == r.After {
			fmt.Fprintf(&b, " %s", r.Before.String())
		} else {
			fmt.Fprintf(&b, " %s => %s", r.Before.String(), r.After.String())
		}
	case TraceCacheHit:
		b.WriteString("unified flow")
	case TraceDrop:
		fmt.Fprintf(&b, "drop %s", r.Drop)
	}
	if r.Note != "" {
		fmt.Fprintf(&b, " (%s)", r.Note)
	}
	if r.Cite != "" {
		fmt.Fprintf(&b, " [%s]", r.Cite)
	}
	return b.String()
}

// String is like "02-11-..>00-15-.. 6 10.0.0.1:40000>10.0.0.2:53".
func (h *Header) String() string {
	s := fmt.Sprintf("%s>%s", h.EthSrc, h.EthDst)
	if !h.Src.IsValid() {
		return fmt.Sprintf("%s type %04x", s, h.EtherType)
	}
	if h.SrcPort|h.DstPort == 0 {
		return fmt.Sprintf("%s %d %s>%s", s, h.Proto, h.Src, h.Dst)
	}
	return fmt.Sprintf("%s %d %s>%s", s, h.Proto, endpoint{h.Src, h.SrcPort}, endpoint{h.Dst, h.DstPort})
}

// field renders the field that a condition looked at.
func (h *Header) field(f Field) string {
	switch f {
	case FieldEtherType:
		return fmt.Sprintf("%04x", h.EtherType)
	case FieldProto:
		return fmt.Sprint(h.Proto)
	case FieldSrc:
		return h.Src.String()
	case FieldDst:
		return h.Dst.String()
	case FieldSrcPort:
		return fmt.Sprint(h.SrcPort)
	case FieldDstPort:
		return fmt.Sprint(h.DstPort)
	case FieldEthSrc:
		return h.EthSrc.String()
	case FieldEthDst:
		return h.EthDst.String()
	}
	return "another"
}
