package vfp

import (
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
)

// endpoint is an address with a port, for people.
type endpoint struct {
	addr netip.Addr
	port uint16
}

func (e endpoint) String() string { return netip.AddrPortFrom(e.addr, e.port).String() }

// Dump writes the port's layers, groups, rules and flows in the manner of
// vfpctrl. The order is that of the program; flows follow, sorted by key.
// Lifetimes are relative to now. It must not run beside the packet path.
func (p *Port) Dump(w io.Writer, now int64) error {
	p.adopt()
	d := &dumper{w: w}
	c := p.cur
	d.line(0, "PORT : %d", p.ID)
	d.line(1, "Generation : %d", c.gen)
	d.line(1, "Packets OUT : %d (%d bytes)", p.Counters.Packets[Out], p.Counters.Bytes[Out])
	d.line(1, "Packets IN : %d (%d bytes)", p.Counters.Packets[In], p.Counters.Bytes[In])
	for r, n := range p.Counters.Drops {
		if n > 0 {
			d.line(1, "Dropped %s : %d", Drop(r), n)
		}
	}
	s := p.Cache.Stats
	d.line(1, "Unified flows : %d (hits %d, misses %d, of them stale %d, full %d)", p.Cache.Len(), s.Hits, s.Misses, s.Stale, s.Full)
	if on, n := p.Cache.Offload(); on || n > 0 {
		d.line(1, "Offload : %s (packets in hardware %d, exceptions in software %d)", map[bool]string{true: "on", false: "off"}[on], n, p.Counters.Packets[Out]-min(n, p.Counters.Packets[Out]))
	}
	for _, sp := range c.spaces() {
		d.line(1, "SPACE : %s (%d entries)", sp.Name, sp.Entries)
	}
	for _, l := range c.layers {
		d.layer(p, l, now)
	}
	return d.err
}

type dumper struct {
	w   io.Writer
	err error
}

func (d *dumper) line(indent int, format string, args ...any) {
	if d.err == nil {
		_, d.err = fmt.Fprintf(d.w, strings.Repeat("  ", indent)+format+"\n", args...)
	}
}

func (d *dumper) layer(p *Port, l *layer, now int64) {
	d.line(0, "LAYER : %s", l.Name)
	d.line(1, "Priority : %d", l.Priority)
	d.line(1, "Packets : %d (layer flow hits %d)", l.count.Packets, l.count.FlowHits)
	for dir, gs := range l.groups {
		for _, g := range gs {
			d.group(p, l, g, Dir(dir))
		}
	}
	d.flows(p, l, now)
}

func (d *dumper) group(p *Port, l *layer, g *group, dir Dir) {
	d.line(1, "GROUP : %s", g.Name)
	d.line(2, "Direction : %s", dir)
	d.line(2, "Family : %s", g.Family)
	d.line(2, "Priority : %d", g.Priority)
	for i, r := range g.rules {
		d.line(2, "RULE : %s", r.ID)
		d.line(3, "Priority : %d", r.Priority)
		d.line(3, "Type : %s", r.Action.Name())
		d.line(3, "Conditions : %s", r.Match.String())
		if len(r.Targets) > 0 {
			d.line(3, "Targets : %s", strings.Join(r.targetNames(), ","))
		}
		if names := spaceNames(r.Action); len(names) > 0 {
			d.line(3, "Spaces : %s", strings.Join(names, ","))
		}
		flags := []string{}
		if r.Terminating {
			flags = append(flags, "terminating")
		}
		if r.makesFlows() {
			flags = append(flags, fmt.Sprintf("stateful, flow TTL %d s", r.idle()/1e9))
		}
		if len(flags) > 0 {
			d.line(3, "Flags : %s", strings.Join(flags, ", "))
		}
		if r.Cite != "" {
			d.line(3, "Rules : %s", r.Cite)
		}
		d.line(3, "Hits : %d", g.hits[i])
		if r.metering() {
			m := p.Metered(l.Name, r.ID)
			d.line(3, "Metered : %d packets, %d answers", m.Forward, m.Reverse)
		}
	}
}

// spaces are those that the program's rules refer to, each once, by name.
func (c *compiled) spaces() []Space {
	var out []Space
	for _, l := range c.layers {
		for _, gs := range l.groups {
			for _, g := range gs {
				for _, r := range g.rules {
					if a, ok := r.Action.(Spaced); ok {
						out = append(out, a.Spaces()...)
					}
				}
			}
		}
	}
	slices.SortFunc(out, func(a, b Space) int { return strings.Compare(a.Name, b.Name) })
	return slices.CompactFunc(out, func(a, b Space) bool { return a.Name == b.Name })
}

func spaceNames(a Action) []string {
	sp, ok := a.(Spaced)
	if !ok {
		return nil
	}
	var names []string
	for _, s := range sp.Spaces() {
		names = append(names, s.Name)
	}
	return names
}

// targetNames are the targets without the part that the rule has in common with
// them, a long list cut short.
func (r *Rule) targetNames() []string {
	var s []string
	for i, t := range r.Targets {
		if i == listMax {
			return append(s, fmt.Sprintf("and %d more", len(r.Targets)-i))
		}
		s = append(s, strings.TrimPrefix(t, r.ID+"#"))
	}
	return s
}

// flows writes the layer's flows, sorted by the forward key.
func (d *dumper) flows(p *Port, l *layer, now int64) {
	var ids []uint32
	for id := range p.store.next {
		if c := p.store.cold(id); c.port == p && c.fwd.layer == l.id && !p.store.expired(id, now) {
			p.store.settle(id)
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b uint32) int { return p.store.cold(a).fwd.compare(&p.store.cold(b).fwd) })
	d.line(1, "FLOWS : %d", len(ids))
	for _, id := range ids {
		h, c := p.store.hot(id), p.store.cold(id)
		state := ""
		if h.tcp {
			state = " tcp " + h.state.String()
		}
		reply := c.rev.tuple
		d.line(2, "%s %s reply %s rule %s%s idle %d s left %d s packets %d/%d", c.fwd.dir, c.fwd.tuple.String(), reply.String(),
			c.rule, state, (now-h.seen)/1e9, (h.seen+h.idle()-now)/1e9, h.packets[forward], h.packets[reverse])
	}
}

func (k *flowKey) compare(o *flowKey) int {
	for _, c := range []int{
		int(k.dir) - int(o.dir), int(k.proto) - int(o.proto),
		slices.Compare(k.src[:], o.src[:]), slices.Compare(k.dst[:], o.dst[:]),
		int(k.ports>>16) - int(o.ports>>16), int(k.ports&0xffff) - int(o.ports&0xffff),
	} {
		if c != 0 {
			return c
		}
	}
	return 0
}

func (t *tuple) String() string {
	return fmt.Sprintf("%d %s>%s", t.proto, endpoint{t.addr(t.src), uint16(t.ports >> 16)}, endpoint{t.addr(t.dst), uint16(t.ports)})
}

func (f Family) String() string { return [...]string{"any", "IPv4", "IPv6", "non-IP"}[f] }

// String lists the conditions: "protocol 6; destination address 10.0.0.0/8".
func (m *Match) String() string {
	if m.Never {
		return FieldNever.String()
	}
	var s []string
	if m.EtherType != 0 {
		s = append(s, fmt.Sprintf("%s %04x", FieldEtherType, m.EtherType))
	}
	s = list(s, FieldProto, m.Protos)
	s = list(s, FieldSrc, m.Src)
	s = list(s, FieldDst, m.Dst)
	s = list(s, FieldSrcPort, m.SrcPorts)
	s = list(s, FieldDstPort, m.DstPorts)
	s = list(s, FieldEthSrc, m.EthSrc)
	s = list(s, FieldEthDst, m.EthDst)
	if m.VNI != 0 {
		s = append(s, fmt.Sprintf("%s %d", FieldVNI, m.VNI))
	}
	s = list(s, FieldInPort, m.InPorts)
	if m.Func != nil {
		s = append(s, m.Note)
	}
	if len(s) == 0 {
		return "any"
	}
	return strings.Join(s, "; ")
}

// listMax bounds how much of a long list is printed.
const listMax = 8

func list[T any](to []string, f Field, values []T) []string {
	if len(values) == 0 {
		return to
	}
	var s []string
	for i, v := range values {
		if i == listMax {
			s = append(s, fmt.Sprintf("and %d more", len(values)-i))
			break
		}
		s = append(s, fmt.Sprint(v))
	}
	return append(to, f.String()+" "+strings.Join(s, ","))
}

// String is like 80 or 8000-8080.
func (r PortRange) String() string {
	if r.Lo == r.Hi {
		return fmt.Sprint(r.Lo)
	}
	return fmt.Sprintf("%d-%d", r.Lo, r.Hi)
}
