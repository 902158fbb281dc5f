package script

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// kind is what a name of a scenario stands for.
type kind string

const (
	hostKind      kind = "host"
	externalKind  kind = "external"
	routerKind    kind = "router"
	containerKind kind = "container"
	physicalKind  kind = "physical"
	muxKind       kind = "mux"

	networkKind      kind = "network"
	endpointKind     kind = "endpoint"
	namespaceKind    kind = "namespace"
	loadbalancerKind kind = "loadbalancer"
	routeKind        kind = "route"

	// sdnKind is a document of the network controller, which is no object of a
	// host.
	sdnKind kind = "sdn"
)

// roleKinds send and receive; nodeKinds have a wire of their own.
var (
	roleKinds = []kind{hostKind, externalKind, routerKind, containerKind, physicalKind, muxKind}
	nodeKinds = []kind{hostKind, externalKind, routerKind, physicalKind, muxKind}
	objKinds  = []kind{networkKind, endpointKind, namespaceKind, loadbalancerKind, routeKind}
)

// name is a declared name. An endpoint and the container that uses it share
// one: they are two entries.
type name struct {
	kind kind
	host string // of objects and containers: the host they are on; of nodes: themselves
	line int
	// network of an endpoint, endpoints of a container.
	network   string
	endpoints []string
}

// scope is what the lines so far have declared. Parse fills one with stand-ins
// for what only a run can know, Run another one with the truth; the words'
// parsers cannot tell them apart, so a file that parses also parses while it
// runs.
type scope struct {
	roles   map[string]*name
	objects map[kind]map[string]*name
	order   []string          // names in order of declaration, for messages
	vars    map[string]string // $name and ${id:name}
	files   map[string]*file
	line    *line
	static  bool            // the values of vars are stand-ins
	reasons []string        // drop reasons that the backend names; empty: any
	needs   []string        // requirements that follow from unconditional lines
	saved   map[string]bool // variables of json lines, whose values have no certain form
	// documents are what the lines so far send; kept while static.
	documents []Document
	// compared scenarios are run twice, and may leave open how a line ends.
	compared bool
	// programTime is what exec lines may take together.
	programTime time.Duration
}

// file is a file of the archive.
type file struct {
	name string
	data string
	line int // of its first line, in the scenario file
	used bool
}

func newScope(files map[string]*file) *scope {
	return &scope{roles: map[string]*name{}, objects: map[kind]map[string]*name{}, vars: map[string]string{}, files: files, saved: map[string]bool{}}
}

func (s *scope) lookup(v string) (string, bool) {
	value, ok := s.vars[v]
	return value, ok
}

// declareRole adds a role; conditional lines may declare a name again, because
// only one of them runs.
func (s *scope) declareRole(who string, n *name) error {
	if err := checkName(who); err != nil {
		return err
	}
	n.line = s.line.n
	if old, ok := s.roles[who]; ok && !s.repeatable() {
		return fmt.Errorf("%s is a %s already, from line %d", who, old.kind, old.line)
	}
	s.roles[who] = n
	s.order = append(s.order, who)
	return nil
}

func (s *scope) declareObject(who string, n *name) error {
	if err := checkName(who); err != nil {
		return err
	}
	n.line = s.line.n
	m := s.objects[n.kind]
	if m == nil {
		m = map[string]*name{}
		s.objects[n.kind] = m
	}
	if old, ok := m[who]; ok && !s.repeatable() {
		return fmt.Errorf("there is a %s %s already, from line %d", old.kind, who, old.line)
	}
	m[who] = n
	return nil
}

// repeatable reports whether the current line may declare a name again.
func (s *scope) repeatable() bool { return s.static && len(s.line.conds) > 0 }

// forget removes a deleted object's name so that it can be made again. The
// variables stay: a later line may ask for what no longer exists.
func (s *scope) forget(k kind, who string) {
	if !s.repeatable() {
		delete(s.objects[k], who)
	}
}

// reserved words cannot be names: they would make lines ambiguous.
var reserved = []string{"none", "rx", "tx", "wire", "drop", "eth", "vlan", "arp", "ip", "ip6", "udp", "tcp", "icmp", "icmp6", "nd", "igmp",
	"gre", "vxlan", "nvgre", "dhcp", "frag", "inner", "quoted", "proto"}

func checkName(s string) error {
	ok := s != "" && s[0]|0x20 >= 'a' && s[0]|0x20 <= 'z'
	for i := 0; ok && i < len(s); i++ {
		c := s[i]
		ok = c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_'
	}
	if !ok {
		return fmt.Errorf("%s is no name: expected a letter, then letters, digits, - or _", quoteShort(s))
	}
	if slices.Contains(reserved, s) {
		return fmt.Errorf("%q cannot be a name: it is a word of the language", s)
	}
	return nil
}

// role finds a role of one of the kinds.
func (s *scope) role(who string, kinds ...kind) (*name, error) {
	if n, ok := s.roles[who]; ok && slices.Contains(kinds, n.kind) {
		return n, nil
	}
	var names []string
	for _, o := range s.order {
		if slices.Contains(kinds, s.roles[o].kind) && !slices.Contains(names, o) {
			names = append(names, o)
		}
	}
	what := "no " + kindList(kinds) + " " + quoteShort(who) + " so far"
	if len(names) == 0 {
		return nil, fmt.Errorf("%s: none is declared", what)
	}
	return nil, fmt.Errorf("%s%s; there are %s", what, didYouMean(who, names), strings.Join(names, ", "))
}

func kindList(kinds []kind) string {
	if len(kinds) == len(roleKinds) {
		return "role"
	}
	var out []string
	for _, k := range kinds {
		out = append(out, string(k))
	}
	return strings.Join(out, " or ")
}

// object finds an object of the control plane.
func (s *scope) object(k kind, who string) (*name, error) {
	if n, ok := s.objects[k][who]; ok {
		return n, nil
	}
	// A deleted object is still known by its id.
	if _, ok := s.vars["id:"+who]; ok {
		if host, ok := s.vars["host:"+string(k)+":"+who]; ok {
			return &name{kind: k, host: host}, nil
		}
	}
	var names []string
	for n := range s.objects[k] {
		names = append(names, n)
	}
	slices.Sort(names)
	if len(names) == 0 {
		return nil, fmt.Errorf("no %s %s so far: none is declared", k, quoteShort(who))
	}
	return nil, fmt.Errorf("no %s %s so far%s; there are %s", k, quoteShort(who), didYouMean(who, names), strings.Join(names, ", "))
}

// need notes a requirement of the current line; a conditional line may not run.
func (s *scope) need(req string) {
	if s.static && len(s.line.conds) == 0 && !slices.Contains(s.needs, req) {
		s.needs = append(s.needs, req)
	}
}
