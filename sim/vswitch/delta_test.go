package vswitch

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/hnsim/hnsim/sim/vfp"
)

// A switch that goes from one configuration to the next port by port is the
// switch that is made of the last one.
func TestChangesOneByOneMakeTheSameSwitch(t *testing.T) {
	steps, refused := 0, 0
	for seed := range uint64(60) {
		g := newGen(seed)
		base := g.config()
		base.Ports = nil
		s := New()
		ports := g.shared()
		for i := range 30 {
			c := *base
			c.Shared = slices.Clone(ports)
			before := s.snap
			n, _, _ := before.step(&c)
			if n != nil && n != before {
				steps++
			}
			want, wantErr := fresh(&c)
			err := s.Apply(&c)
			if (err == nil) != (wantErr == nil) {
				t.Fatalf("seed %d, change %d: %v; made anew: %v", seed, i, err, wantErr)
			}
			if err != nil {
				if refused++; s.snap != before {
					t.Fatalf("seed %d, change %d: refused, and done", seed, i)
				}
			} else if a, b := textOfSnapshot(s.snap), textOfSnapshot(want); a != b {
				t.Fatalf("seed %d, change %d:\n%s", seed, i, firstDifference(a, b))
			}
			ports = g.change(ports)
		}
	}
	if steps < 200 || refused == 0 {
		t.Errorf("%d steps, %d refused", steps, refused)
	}
}

// shared are ports as pointers, ascending, with some more of them.
func (g *gen) shared() []*PortConfig {
	var out []*PortConfig
	for turn := range 6 {
		for _, p := range g.config().Ports {
			if p.Kind != EndpointPort && turn > 0 {
				continue
			}
			p.ID += vfp.PortID(turn * 20)
			out = append(out, &p)
		}
	}
	slices.SortFunc(out, func(a, b *PortConfig) int { return int(a.ID) - int(b.ID) })
	return out
}

// change adds, replaces or removes a port, rarely to something that cannot be.
func (g *gen) change(ports []*PortConfig) []*PortConfig {
	i := g.IntN(len(ports))
	fresh := *pick(g, g.shared()...)
	switch {
	case g.chance(40) && len(ports) > 3:
		return slices.Delete(slices.Clone(ports), i, i+1)
	case g.chance(50):
		fresh.ID, fresh.Kind = ports[i].ID, ports[i].Kind
		out := slices.Clone(ports)
		out[i] = &fresh
		return out
	}
	fresh.ID += vfp.PortID(g.IntN(8) * 100)
	at, taken := slices.BinarySearchFunc(ports, fresh.ID, byID)
	if taken && !g.chance(10) {
		return ports
	}
	return slices.Insert(slices.Clone(ports), at, &fresh)
}

func fresh(c *Config) (*snapshot, error) {
	if err := validate(c); err != nil {
		return nil, err
	}
	return compile(c)
}

// textOfSnapshot writes everything but runtime state.
func textOfSnapshot(s *snapshot) string {
	text := fmt.Sprintln(s.name, s.kind, s.vfp, s.flood, ids(s.ports), ids(s.hosts), ids(s.spoofing), s.spoofZones, ids(s.mirrors), s.secondaries)
	if s.external != nil {
		text += fmt.Sprintln("external", s.external.cfg.ID)
	}
	for _, q := range s.ports {
		c := *q
		c.run = nil
		text += fmt.Sprintf("%d same %t static %v: %+v\n", q.cfg.ID, s.port(q.cfg.ID) == q, ids(s.static[q.cfg.MAC]), flat(c))
	}
	return text + fmt.Sprintln(len(s.static), len(s.sparse))
}

func ids(list []*port) (out []vfp.PortID) {
	for _, q := range list {
		out = append(out, q.cfg.ID)
	}
	return out
}

// flat is a port without pointers, which differ between two of a kind.
func flat(q port) map[string]string {
	out := map[string]string{}
	v := reflect.ValueOf(q)
	for i := range v.NumField() {
		out[v.Type().Field(i).Name] = fmt.Sprintf("%+v", v.Field(i))
	}
	return out
}
