package spread

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hnsim/hnsim/backends"
)

// Finding is one thing that Inspect looked at.
type Finding struct {
	Name string
	OK   bool
	Warn bool // not OK, but nothing that keeps scenarios from running
	Text string
	Fix  string
}

const (
	// inspectTime is what asking one agent one thing may take.
	inspectTime = 10 * time.Second
	// clockTolerance is how far wall clocks may be apart before somebody
	// should know. Observations are merged by measured offsets: nothing
	// depends on it.
	clockTolerance = 2 * time.Second
)

// Inspect looks at every agent that the test bed names: is it there, can its
// backend make parts, does it have what its roles need, are its wires there and
// joined with the others', what does its clock say. missing is what Await
// returned.
func (b *Backend) Inspect(ctx context.Context, profile string, missing []string) []Finding {
	var out []Finding
	for _, name := range b.opt.Bed.AgentNames() {
		if slices.Contains(missing, name) {
			out = append(out, Finding{Name: "agent " + name, Text: "not connected within " + b.opt.Bed.Coordinator.Wait.String(),
				Fix: fmt.Sprintf("start it there: hnsim agent --name %s --coordinator %s (the first time with --token, see `hnsim agent token`)", name, b.opt.Bed.Coordinator.Listen)})
			continue
		}
		out = append(out, b.inspect(ctx, b.machines[name], profile)...)
	}
	if len(missing) == 0 && !slices.ContainsFunc(out, func(f Finding) bool { return !f.OK && !f.Warn }) {
		out = append(out, b.inspectSegments(ctx, profile)...)
	}
	return out
}

func (b *Backend) inspect(ctx context.Context, m *machine, profile string) []Finding {
	ctx, cancel := context.WithTimeout(ctx, inspectTime)
	defer cancel()
	name := "agent " + m.name
	_, version := m.peer.Facts()
	text := fmt.Sprintf("%s, %s/%s, hnsim %s, backend %s, is %s", m.facts.Host, m.facts.OS, m.facts.Arch, version, m.facts.Backend, strings.Join(m.roles, ", "))
	out := []Finding{{Name: name, OK: true, Text: text}}
	if m.facts.Lacks != "" {
		out[0] = Finding{Name: name, Text: text + ": " + m.facts.Lacks, Fix: "mend that on the agent; `hnsim doctor --backend " + m.facts.Backend + "` there says more"}
	}
	if version != b.opt.Version {
		out = append(out, Finding{Name: name, Warn: true, Text: fmt.Sprintf("runs hnsim %s; this is %s", version, b.opt.Version), Fix: "install the same version on both: a model that differs may behave differently"})
	}
	if text := b.tooManyHosts(m); text != "" {
		out = append(out, Finding{Name: name, Text: text, Fix: "give each role of kind host a machine of its own in " + b.opt.Bed.File})
	}
	for _, role := range m.roles {
		for _, text := range b.unmet(ctx, role, profile) {
			out = append(out, Finding{Name: "role " + role, Text: text, Fix: "choose another agent for it, or take the line out of needs"})
		}
	}
	for _, segment := range sortedKeys(m.wires) {
		out = append(out, m.inspectWire(ctx, segment))
	}
	return append(out, m.inspectClock(ctx))
}

func sortedKeys(m map[string]string) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

func (m *machine) inspectWire(ctx context.Context, segment string) Finding {
	name := fmt.Sprintf("wire %s of %s", segment, m.name)
	res, err := m.call(ctx, &request{Op: opWire, Device: m.wires[segment]})
	switch {
	case err != nil:
		return Finding{Name: name, Text: err.Error(), Fix: "see whether the agent still runs"}
	case res.Text != "":
		return Finding{Name: name, Text: res.Text, Fix: "name a free interface that is up under wires in the test bed file"}
	}
	return Finding{Name: name, OK: true, Text: m.wires[segment]}
}

// inspectClock compares wall clocks.
func (m *machine) inspectClock(ctx context.Context) Finding {
	name := "clock of " + m.name
	best, offset := time.Duration(-1), time.Duration(0)
	for range clockTries {
		before := time.Now()
		res, err := m.call(ctx, &request{Op: opClock})
		if err != nil {
			return Finding{Name: name, Text: err.Error(), Fix: "see whether the agent still runs"}
		}
		took := time.Since(before)
		if best < 0 || took < best {
			best, offset = took, time.Unix(0, res.Wall).Sub(before.Add(took/2))
		}
	}
	text := fmt.Sprintf("%+.3f ms from here, answers in %.3f ms", ms(offset), ms(best))
	if offset.Abs() > clockTolerance {
		return Finding{Name: name, Warn: true, Text: text, Fix: "set the clock (observations are merged by the measured offset, but certificates and logs are dated)"}
	}
	return Finding{Name: name, OK: true, Text: text}
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// inspectSegments sends a frame from every agent on every wire that several
// share, and looks who gets it.
func (b *Backend) inspectSegments(ctx context.Context, profile string) []Finding {
	ends := map[string][]*machine{}
	for _, name := range b.opt.Bed.AgentNames() {
		for segment := range b.machines[name].wires {
			ends[segment] = append(ends[segment], b.machines[name])
		}
	}
	var out []Finding
	for segment, machines := range ends {
		if len(machines) > 1 {
			out = append(out, b.inspectSegment(ctx, profile, segment, machines))
		}
	}
	slices.SortFunc(out, func(a, b Finding) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// inspectSegment puts a plain machine on the wire at every agent and has each
// broadcast one frame.
func (b *Backend) inspectSegment(ctx context.Context, profile, segment string, machines []*machine) Finding {
	f := Finding{Name: "segment " + segment}
	deaf, err := b.probe(ctx, profile, segment, machines)
	switch {
	case err != nil:
		f.Text, f.Fix = err.Error(), "the test bed cannot run scenarios that use this segment"
	case len(deaf) > 0:
		f.Text, f.Fix = "frames do not arrive: "+strings.Join(deaf, ", "), "join the interfaces by a switch that passes on every frame and every MAC address (promiscuous mode, MAC spoofing allowed)"
	default:
		f.OK, f.Text = true, fmt.Sprintf("frames cross it between all of its %d ends", len(machines))
	}
	return f
}

func (b *Backend) probe(ctx context.Context, profile, segment string, machines []*machine) (deaf []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 3*inspectTime)
	defer cancel()
	opened, err := b.Open(ctx, backends.WorldConfig{Profile: profile})
	if err != nil {
		return nil, err
	}
	w := opened.(*world)
	defer w.Close(ctx)
	for i, m := range machines {
		p, err := w.partOn(ctx, m)
		if err != nil {
			return nil, err
		}
		n := probeNode(i, segment)
		if _, err := w.ask(ctx, p, &request{Op: opNode, Node: &n}); err != nil {
			return nil, err
		}
		w.where[n.Name] = p
	}
	for i := range machines {
		before := len(w.seen)
		if _, err := w.Do(ctx, backends.Stimulus{Kind: backends.SendFrame, Role: probeName(i), Frame: probeFrame(i)}); err != nil {
			return nil, err
		}
		for k := range machines {
			if k != i && !slices.ContainsFunc(w.seen[before:], func(o backends.Observation) bool {
				return o.Kind == backends.Received && o.Role == probeName(k) && slices.Equal(o.Frame, probeFrame(i))
			}) {
				deaf = append(deaf, machines[i].name+" to "+machines[k].name)
			}
		}
	}
	return deaf, nil
}
