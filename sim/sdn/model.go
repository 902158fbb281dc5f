package sdn

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/hnsim/hnsim/sim/acl"
	"github.com/hnsim/hnsim/sim/slb"
	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// Model is what the documents say, references resolved. It does not change.
type Model struct {
	Networks  []*VirtualNetwork
	NICs      []*Interface
	Balancers []*Balancer
	Muxes     []Mux
	Servers   []string // names of the physical hosts that get policy
	Providers []netip.Prefix
}

// VirtualNetwork is a routing domain.
type VirtualNetwork struct {
	Name     string
	Path     string
	Kind     vfp.EncapKind
	Prefixes []netip.Prefix
	Subnets  []*Subnet
}

// Subnet is a virtual subnet.
type Subnet struct {
	Network *VirtualNetwork
	Path    string
	Prefix  netip.Prefix
	Gateway netip.Addr
	VSID    uint32
	ACL     *ACL
	Routes  []UserRoute
}

// UserRoute is an entry of a route table.
type UserRoute struct {
	Prefix  netip.Prefix
	Kind    string // one of nextHopTypes
	NextHop netip.Addr
}

// ACL is an access control list. Rules are relative to the machine.
type ACL struct {
	Path  string
	Rules []acl.Rule
}

// Interface is a NIC of a virtual machine.
type Interface struct {
	Path   string
	MAC    wire.MAC
	Subnet *Subnet
	ACL    *ACL
	IPs    []*IPConfig
	// Spoofing lets the machine use other MACs (portSettings).
	Spoofing bool
	Mbps     int // outbound limit, 0 none
	Sink     bool
}

// IPConfig is one address of an interface, with what hangs on it.
type IPConfig struct {
	Path     string
	NIC      *Interface
	Addr     netip.Addr
	ACL      *ACL
	Public   *Public
	Insert   *Insertion
	Mbps     int
	Balanced []string // backend pools
	Inbound  []string // inbound NAT rules
}

// Public is a public address.
type Public struct {
	Path string
	Addr netip.Addr
	Idle int64
}

// Insertion is a port mirror.
type Insertion struct {
	Path     string
	Priority int
	Element  *Interface
	Rules    []vfp.Match
}

// Balancer is a load balancer.
type Balancer struct {
	Name     string
	Path     string
	Rules    []BalancingRule
	Inbound  []InboundRule
	Outbound []OutboundRule
	Pools    []*Pool
}

// Pool is a set of IP configurations.
type Pool struct {
	Path    string
	Members []*IPConfig
}

// BalancingRule spreads a frontend over a pool.
type BalancingRule struct {
	ID       string
	VIPs     []netip.Addr
	Protos   []uint8
	Port     uint16
	Internal uint16
	Dist     slb.Distribution
	Idle     int64
	Pool     *Pool
	Probe    *Probe
}

// InboundRule gives a port of a frontend to one IP configuration.
type InboundRule struct {
	ID       string
	Path     string
	VIPs     []netip.Addr
	Protos   []uint8
	Port     uint16
	Internal uint16
	Idle     int64
	To       *IPConfig
}

// OutboundRule translates the source of what a pool sends outside.
type OutboundRule struct {
	ID       string
	VIPs     []netip.Addr
	TCP, UDP bool
	Pool     *Pool
}

// Probe is a health probe.
type Probe struct {
	Path     string
	HTTP     string // request path; empty: TCP
	Port     uint16
	Interval int64 // ns
	Count    int
}

// Mux is a multiplexer: a machine of the provider network and the routers that
// it announces virtual addresses to.
type Mux struct {
	Machine string
	Routers []netip.Addr
}

// modelError is an Error that may come from a reference to what is not there.
type modelError struct {
	Error
	missing string // canonical path
}

// builder makes a Model.
type builder struct {
	s      *store
	m      *Model
	exists map[string]bool
	r      *reading
	at     string // resource that is being read

	acls      map[string]*ACL
	tables    map[string][]UserRoute
	subnets   map[string]*Subnet
	logical   map[string]netip.Prefix
	nics      map[string]*Interface
	configs   map[string]*IPConfig
	publics   map[string]*Public
	inserts   map[string]*Insertion
	pools     map[string]*Pool
	frontends map[string]netip.Addr
	probes    map[string]*Probe
	machines  map[string]string // of virtual servers
	missing   string
}

// buildModel reads all documents of a store. Collections are read in the order
// of their references.
func buildModel(s *store) (*Model, *modelError) {
	b := &builder{s: s, m: &Model{}, r: &reading{}, exists: map[string]bool{},
		acls: map[string]*ACL{}, tables: map[string][]UserRoute{}, subnets: map[string]*Subnet{}, logical: map[string]netip.Prefix{},
		nics: map[string]*Interface{}, configs: map[string]*IPConfig{}, publics: map[string]*Public{}, inserts: map[string]*Insertion{},
		pools: map[string]*Pool{}, frontends: map[string]netip.Addr{}, probes: map[string]*Probe{}, machines: map[string]string{}}
	b.index()
	steps := []struct {
		collection string
		read       func(path string, v value)
	}{
		{"servers", b.server}, {"virtualServers", b.virtualServer}, {"logicalNetworks", b.logicalNetwork},
		{"accessControlLists", b.accessControlList}, {"routeTables", b.routeTable}, {"virtualNetworks", b.virtualNetwork},
		{"publicIPAddresses", b.publicAddress}, {"loadBalancers", b.frontendsOf},
		{"networkInterfaces", b.networkInterface}, {"serviceInsertions", b.serviceInsertion},
		{"networkInterfaces", b.insertions}, {"loadBalancers", b.loadBalancer}, {"loadBalancerMuxes", b.mux},
	}
	for _, st := range steps {
		for _, key := range s.order {
			if !strings.HasPrefix(key, "/"+st.collection+"/") {
				continue
			}
			b.at = s.names[key]
			st.read(key, value{s.docs[key], true, "", b.r})
			if b.r.err != nil {
				return nil, b.failure()
			}
		}
	}
	b.numberSubnets()
	b.check()
	if b.r.err != nil {
		return nil, b.failure()
	}
	return b.m, nil
}

func (b *builder) failure() *modelError {
	e := &modelError{Error: *b.r.err, missing: b.missing}
	if e.Resource == "" {
		e.Resource = b.at
	}
	return e
}

// index notes the paths of all resources and of the elements that have one.
func (b *builder) index() {
	for _, key := range b.s.order {
		b.exists[key] = true
		segs, _ := split(key)
		for _, c := range collections {
			if c.name == segs[0] {
				b.indexChildren(key, b.s.docs[key], c.children)
			}
		}
	}
}

func (b *builder) indexChildren(path string, doc map[string]any, children []string) {
	props, _ := doc[memberName(doc, "properties")].(map[string]any)
	for _, ch := range children {
		name, below, _ := strings.Cut(ch, "/")
		list, _ := props[memberName(props, name)].([]any)
		for _, x := range list {
			p := path + "/" + name + "/" + strings.ToLower(idOf(x))
			m, _ := x.(map[string]any)
			if below == "" {
				b.exists[p] = true
				continue
			}
			b.indexChildren(p, m, []string{below})
		}
	}
}

// ref reads a reference that must lead somewhere; "" is none.
func (b *builder) ref(v value, kinds ...string) string {
	p := v.ref(kinds...)
	if p == "" || b.exists[p] {
		return p
	}
	b.notThere(v, p)
	return ""
}

func (b *builder) refs(v value, kinds ...string) []string {
	var out []string
	for _, e := range v.list() {
		if p := b.ref(e, kinds...); p != "" {
			out = append(out, p)
		}
	}
	return out
}

func (b *builder) notThere(v value, p string) {
	if b.r.err == nil {
		b.missing = p
	}
	at := v.path
	if _, ok := v.v.(map[string]any); ok {
		at = join(at, "resourceRef")
	}
	b.r.fail(&Error{Status: statusNotFound, Code: CodeNotFound, Path: at, Found: p, Expected: "a resource that exists"})
}

// children reads the elements of a list that have paths of their own.
func (b *builder) children(path string, v value, name string, read func(path string, v value)) {
	seen := map[string]bool{}
	for _, e := range v.props().get(name).list() {
		id := strings.ToLower(e.id())
		if seen[id] {
			b.r.fail(conflict(join(e.path, "resourceId"), "a second %s named %s", name, id))
		}
		seen[id] = true
		if b.r.err == nil {
			read(path+"/"+name+"/"+id, e)
		}
	}
}

// numberSubnets gives the subnets that do not say theirs a VSID: the lowest
// free ones from 4096, in order of making.
func (b *builder) numberSubnets() {
	used := map[uint32]bool{}
	count := 0
	for _, n := range b.m.Networks {
		if count += len(n.Subnets); count > maxSubnets {
			b.r.fail(&Error{Status: statusConflict, Code: CodeConflict, Resource: n.Path, Detail: "more than " + strconv.Itoa(maxSubnets) + " subnets"})
		}
		for _, s := range n.Subnets {
			if s.VSID == 0 {
				continue
			}
			if used[s.VSID] {
				b.r.fail(&Error{Status: statusConflict, Code: CodeConflict, Resource: n.Path, Detail: "two subnets with one vsid"})
			}
			used[s.VSID] = true
		}
	}
	next := uint32(minVSID)
	for _, n := range b.m.Networks {
		for _, s := range n.Subnets {
			for s.VSID == 0 {
				if !used[next] {
					s.VSID, used[next] = next, true
				}
				next++
			}
		}
	}
}

// check finds what only shows when all documents are there.
func (b *builder) check() {
	macs := map[wire.MAC]*Interface{}
	addrs := map[*VirtualNetwork]map[netip.Addr]bool{}
	for _, n := range b.m.NICs {
		if o := macs[n.MAC]; o != nil {
			b.r.fail(&Error{Status: statusConflict, Code: CodeConflict, Resource: n.Path, Path: "properties.privateMacAddress", Detail: o.Path + " has the same"})
		}
		macs[n.MAC] = n
		for i, c := range n.IPs {
			m := addrs[n.Subnet.Network]
			if m == nil {
				m = map[netip.Addr]bool{}
				addrs[n.Subnet.Network] = m
			}
			if m[c.Addr] {
				b.r.fail(&Error{Status: statusConflict, Code: CodeConflict, Resource: n.Path, Path: ipPath(i), Detail: "another IP configuration of the network has " + c.Addr.String()})
			}
			m[c.Addr] = true
		}
	}
	for _, n := range b.m.Networks {
		for _, s := range n.Subnets {
			for _, o := range n.Subnets {
				if s != o && s.Prefix.Overlaps(o.Prefix) {
					b.r.fail(&Error{Status: statusConflict, Code: CodeConflict, Resource: n.Path, Detail: "subnets " + s.Prefix.String() + " and " + o.Prefix.String() + " overlap"})
				}
			}
		}
	}
}

func ipPath(i int) string {
	return "properties.ipConfigurations[" + strconv.Itoa(i) + "].properties.privateIPAddress"
}

// Virtual are all virtual addresses, each once, ascending.
func (m *Model) Virtual() []netip.Addr {
	var out []netip.Addr
	for _, l := range m.Balancers {
		for _, r := range l.Rules {
			out = append(out, r.VIPs...)
		}
		for _, r := range l.Inbound {
			out = append(out, r.VIPs...)
		}
		for _, r := range l.Outbound {
			out = append(out, r.VIPs...)
		}
	}
	for _, n := range m.NICs {
		for _, c := range n.IPs {
			if c.Public != nil {
				out = append(out, c.Public.Addr)
			}
		}
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return slices.Compact(out)
}

// HasServer reports whether the controller manages a physical host.
func (m *Model) HasServer(name string) bool { return slices.Contains(m.Servers, name) }
