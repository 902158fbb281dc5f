package testbed

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/hcn"
)

// Limits of a file.
const (
	maxBytes = 1 << 20
	maxNames = 64
	maxTime  = time.Hour
)

// Parse reads a test bed file. Errors name file and line, what is there, and
// what was expected.
func Parse(file string, text []byte) (*Bed, error) {
	if len(text) > maxBytes {
		return nil, fmt.Errorf("%s: %d bytes, expected at most %d", file, len(text), maxBytes)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, fmt.Errorf("%s: not YAML: %s", file, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	p := &parser{file: file}
	b := &Bed{File: file, Agents: map[string]Agent{}, Roles: map[string]Role{},
		Coordinator: Coordinator{State: DefaultState, Wait: DefaultWait, Patience: DefaultPatience}}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		return nil, fmt.Errorf("%s: the file is empty; expected coordinator, agents and roles", file)
	}
	p.mapping(doc.Content[0], "the file", []string{"coordinator", "agents", "roles"}, map[string]func(*yaml.Node){
		"coordinator": func(n *yaml.Node) { p.coordinator(n, &b.Coordinator) },
		"agents":      func(n *yaml.Node) { p.agents(n, b) },
		"roles":       func(n *yaml.Node) { p.roles(n, b) },
	})
	p.whole(b, doc.Content[0])
	return b, errors.Join(p.errs...)
}

// parser collects what is wrong.
type parser struct {
	file string
	errs []error
}

func (p *parser) bad(n *yaml.Node, format string, args ...any) {
	const enough = 20
	if len(p.errs) < enough {
		p.errs = append(p.errs, fmt.Errorf("%s:%d: %s", p.file, n.Line, fmt.Sprintf(format, args...)))
	}
}

// kinds of YAML nodes in words.
func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	}
	if n.Tag == "!!null" {
		return "nothing"
	}
	return fmt.Sprintf("%q", clip(n.Value))
}

func clip(s string) string {
	const limit = 60
	if len(s) > limit {
		return s[:limit] + "..."
	}
	return s
}

// entries calls f for every member of a mapping, in order. A key stands once.
func (p *parser) entries(n *yaml.Node, what string, f func(key, value *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		p.bad(n, "%s: expected a mapping, found %s", what, kindOf(n))
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		switch {
		case k.Kind != yaml.ScalarNode || k.Tag == "!!null":
			p.bad(k, "%s: expected a name, found %s", what, kindOf(k))
		case seen[k.Value] > 0:
			p.bad(k, "%s: %q stands here a second time (first in line %d)", what, clip(k.Value), seen[k.Value])
		case v.Kind == yaml.AliasNode:
			p.bad(v, "%s: %q is an alias; write it out", what, clip(k.Value))
		default:
			seen[k.Value] = k.Line
			f(k, v)
		}
	}
}

// mapping reads one with fixed keys.
func (p *parser) mapping(n *yaml.Node, what string, order []string, keys map[string]func(*yaml.Node)) {
	p.entries(n, what, func(k, v *yaml.Node) {
		if f := keys[k.Value]; f != nil {
			f(v)
			return
		}
		p.bad(k, "%s: unknown key %q; expected %s", what, clip(k.Value), strings.Join(order, ", "))
	})
}

// text reads a string that is not empty.
func (p *parser) text(n *yaml.Node, what, expected string) string {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" || n.Value == "" {
		p.bad(n, "%s: expected %s, found %s", what, expected, kindOf(n))
		return ""
	}
	return n.Value
}

func (p *parser) coordinator(n *yaml.Node, c *Coordinator) {
	p.mapping(n, "coordinator", []string{"listen", "join", "state", "wait", "patience"}, map[string]func(*yaml.Node){
		"listen":   func(v *yaml.Node) { c.Listen = p.address(v, "coordinator.listen") },
		"join":     func(v *yaml.Node) { c.Join = p.address(v, "coordinator.join") },
		"state":    func(v *yaml.Node) { c.State = p.text(v, "coordinator.state", "a folder") },
		"wait":     func(v *yaml.Node) { c.Wait = p.duration(v, "coordinator.wait") },
		"patience": func(v *yaml.Node) { c.Patience = p.duration(v, "coordinator.patience") },
	})
	if c.Listen == "" {
		if len(p.errs) == 0 {
			p.bad(n, "coordinator: listen is missing; expected an address such as 192.0.2.1:7422")
		}
		return
	}
	if c.Join == "" {
		c.Join = nextPort(c.Listen)
	}
	if c.Join == c.Listen {
		p.bad(n, "coordinator: join and listen are both %s; expected two addresses", c.Listen)
	}
}

// nextPort is the address with the next port, which is checked already.
func nextPort(addr string) string {
	host, port, _ := net.SplitHostPort(addr)
	number, _ := strconv.Atoi(port)
	return net.JoinHostPort(host, strconv.Itoa(number%65535+1))
}

func (p *parser) address(n *yaml.Node, what string) string {
	const expected = "an address and port such as 192.0.2.1:7422"
	s := p.text(n, what, expected)
	if s == "" {
		return ""
	}
	host, port, err := net.SplitHostPort(s)
	number, perr := strconv.ParseUint(port, 10, 16)
	if err != nil || perr != nil || number == 0 || host == "" {
		p.bad(n, "%s: expected %s, found %q", what, expected, clip(s))
		return ""
	}
	return s
}

func (p *parser) duration(n *yaml.Node, what string) time.Duration {
	s := p.text(n, what, "a time such as 30s")
	if s == "" {
		return 0
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 100*time.Millisecond || d > maxTime {
		p.bad(n, "%s: expected a time from 100ms to %v, such as 30s, found %q", what, maxTime, clip(s))
		return 0
	}
	return d
}

// name reads a key that names an agent, a role or a segment.
func (p *parser) name(k *yaml.Node, what string) bool {
	ok := k.Value != "" && len(k.Value) <= 40
	for _, c := range k.Value {
		ok = ok && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_')
	}
	if !ok {
		p.bad(k, "%s %q: expected 1 to 40 letters, digits, - and _", what, clip(k.Value))
	}
	return ok
}

func (p *parser) agents(n *yaml.Node, b *Bed) {
	p.entries(n, "agents", func(k, v *yaml.Node) {
		if !p.name(k, "agent") {
			return
		}
		if len(b.Agents) >= maxNames {
			p.bad(k, "agents: more than %d", maxNames)
			return
		}
		a := Agent{Line: k.Line, Wires: map[string]string{}}
		if !(v.Kind == yaml.ScalarNode && v.Tag == "!!null") { // an agent without wires needs no mapping
			p.mapping(v, "agent "+k.Value, []string{"wires"}, map[string]func(*yaml.Node){
				"wires": func(w *yaml.Node) { p.wires(w, k.Value, a.Wires) },
			})
		}
		b.Agents[k.Value] = a
	})
}

func (p *parser) wires(n *yaml.Node, agent string, wires map[string]string) {
	what := "wires of agent " + agent
	used := map[string]string{}
	p.entries(n, what, func(k, v *yaml.Node) {
		if !p.name(k, "segment") {
			return
		}
		dev := p.text(v, what, "the name of an interface")
		if dev == "" {
			return
		}
		if other := used[dev]; other != "" {
			p.bad(v, "%s: interface %q carries %s already; expected one for each segment", what, clip(dev), other)
			return
		}
		used[dev], wires[k.Value] = k.Value, dev
	})
}

func (p *parser) roles(n *yaml.Node, b *Bed) {
	p.entries(n, "roles", func(k, v *yaml.Node) {
		if !p.name(k, "role") {
			return
		}
		if len(b.Roles) >= maxNames {
			p.bad(k, "roles: more than %d", maxNames)
			return
		}
		r := Role{Line: k.Line, Kind: backends.HostNode}
		if v.Kind == yaml.ScalarNode {
			r.Agent = p.text(v, "role "+k.Value, "the name of an agent")
		} else {
			p.role(v, k.Value, &r)
		}
		b.Roles[k.Value] = r
	})
}

func (p *parser) role(v *yaml.Node, name string, r *Role) {
	what := "role " + name
	p.mapping(v, what, []string{"agent", "kind", "needs"}, map[string]func(*yaml.Node){
		"agent": func(n *yaml.Node) { r.Agent = p.text(n, what, "the name of an agent") },
		"kind": func(n *yaml.Node) {
			switch k := backends.NodeKind(p.text(n, what+": kind", "host, router or external")); k {
			case backends.HostNode, backends.RouterNode, backends.ExternalNode:
				r.Kind = k
			case "":
			default:
				p.bad(n, "%s: unknown kind %q; expected host, router or external", what, clip(string(k)))
			}
		},
		"needs": func(n *yaml.Node) { r.Needs = p.needs(n, what) },
	})
	if r.Agent == "" {
		p.bad(v, "%s: agent is missing", what)
	}
}

func (p *parser) needs(n *yaml.Node, what string) []string {
	if n.Kind != yaml.SequenceNode {
		p.bad(n, "%s: needs: expected a list of capabilities and features, found %s", what, kindOf(n))
		return nil
	}
	var out []string
	for _, e := range n.Content {
		s := p.text(e, what+": needs", "the name of a capability or feature")
		switch {
		case s == "":
		case !Known(s):
			p.bad(e, "%s: needs: %q is neither a capability (network.overlay) nor a feature of HNS (RemoteSubnet)", what, clip(s))
		case slices.Contains(out, s):
			p.bad(e, "%s: needs: %q stands here twice", what, s)
		default:
			out = append(out, s)
		}
	}
	return out
}

// Known reports whether a name is a capability of backends or a feature of HNS.
func Known(name string) bool {
	return slices.Contains(backends.Capabilities(), backends.Capability(name)) ||
		slices.ContainsFunc(hcn.Features(), func(f hcn.Feature) bool { return f.Name == name })
}

// whole checks what concerns several parts of the file.
func (p *parser) whole(b *Bed, root *yaml.Node) {
	if len(p.errs) > 0 {
		return // what is missing may be there and wrong
	}
	if b.Coordinator.Listen == "" {
		p.bad(root, "the file: coordinator is missing")
	}
	if len(b.Agents) == 0 {
		p.bad(root, "the file: agents is missing or empty")
	}
	if len(b.Roles) == 0 {
		p.bad(root, "the file: roles is missing or empty")
	}
	for _, name := range b.RoleNames() {
		r := b.Roles[name]
		if _, ok := b.Agents[r.Agent]; !ok {
			p.bad(&yaml.Node{Line: r.Line}, "role %s: no agent %q; expected one of %s", name, clip(r.Agent), strings.Join(b.AgentNames(), ", "))
		}
	}
	for _, name := range b.AgentNames() {
		if len(b.RolesOf(name)) == 0 {
			p.bad(&yaml.Node{Line: b.Agents[name].Line}, "agent %s has no role: give it one or leave it out", name)
		}
	}
}
