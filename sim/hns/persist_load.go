package hns

import (
	"errors"
	"fmt"
	"slices"

	"github.com/hnsim/hnsim/sim/hcn"
)

func (s *storedNetwork) number() uint32   { return s.Num }
func (s *storedEndpoint) number() uint32  { return s.Num }
func (s *storedNamespace) number() uint32 { return s.Num }
func (s *storedBalancer) number() uint32  { return s.Num }
func (s *storedRoute) number() uint32     { return s.Num }

// merge applies stored objects to a list: they replace the object of their
// number or follow the last one.
func merge[O any, P interface {
	*O
	numbered
}, T any, S interface {
	*T
	numbered
}](list []P, stored []T, gone []uint32, load func(s S, was P) (P, error)) ([]P, error) {
	find := func(num uint32) (int, bool) {
		return slices.BinarySearchFunc(list, num, func(p P, n uint32) int { return int(int64(p.number()) - int64(n)) })
	}
	for _, num := range gone {
		i, ok := find(num)
		if !ok {
			return nil, fmt.Errorf("object %d is removed and was not there", num)
		}
		list = slices.Delete(list, i, i+1)
	}
	for k := range stored {
		s := S(&stored[k])
		i, known := find(s.number())
		if !known && i < len(list) {
			return nil, fmt.Errorf("object %d comes after object %d", s.number(), list[len(list)-1].number())
		}
		was := P(new(O)) // without a document
		if known {
			was = list[i]
		}
		is, err := load(s, was)
		if err != nil {
			return nil, fmt.Errorf("object %d: %w", s.number(), err)
		}
		if known {
			list[i] = is
		} else {
			list = append(list, is)
		}
	}
	return list, nil
}

var errNoDocument = errors.New("its document is missing")

// loadDocument reads an object's document; none means that of the object as it
// was.
func loadDocument[D hcn.Network | hcn.Endpoint | hcn.Namespace | hcn.LoadBalancer | hcn.SDNRoute](text []byte, was *D) (*D, error) {
	switch {
	case text != nil:
		return hcn.DecodeStored[D](text)
	case was == nil:
		return nil, errNoDocument
	}
	return was, nil
}

func loadNetwork(s *storedNetwork, was *Network) (*Network, error) {
	n := Network(s.networkFields)
	doc, err := loadDocument(s.Document, was.Doc)
	if err != nil {
		return nil, err
	}
	if s.Document != nil {
		doc.V1Type = s.V1Type
	}
	n.Doc, n.extensions, n.createdAt = doc, s.Extensions, s.CreatedAt
	n.ids = networkIDs{s.IDs.Activity, s.IDs.Iface, s.IDs.HostNIC, s.IDs.HostPort, s.IDs.HostAlloc, s.IDs.NATAlloc, s.IDs.SwitchID}
	return &n, nil
}

func loadEndpoint(s *storedEndpoint, was *Endpoint) (*Endpoint, error) {
	e := Endpoint(s.endpointFields)
	var err error
	if e.Doc, err = loadDocument(s.Document, was.Doc); err != nil {
		return nil, err
	}
	e.sharingBlocks, e.createdAt = s.SharingBlocks, s.CreatedAt
	e.ids = endpointIDs{s.IDs.Activity, s.IDs.NIC, s.IDs.Port, s.IDs.Alloc, s.IDs.Iface}
	return &e, nil
}

func loadNamespace(s *storedNamespace, was *Namespace) (*Namespace, error) {
	n := Namespace(s.namespaceFields)
	var err error
	if n.Doc, err = loadDocument(s.Document, was.Doc); err != nil {
		return nil, err
	}
	n.builtIn, n.createdAt, n.activity = s.BuiltIn, s.CreatedAt, s.Activity
	return &n, nil
}

func loadBalancer(s *storedBalancer, was *LoadBalancer) (*LoadBalancer, error) {
	l := LoadBalancer(s.balancerFields)
	var err error
	if l.Doc, err = loadDocument(s.Document, was.Doc); err != nil {
		return nil, err
	}
	l.restored, l.createdAt, l.activity = s.Restored, s.CreatedAt, s.Activity
	return &l, nil
}

func loadRoute(s *storedRoute, was *Route) (*Route, error) {
	r := Route(s.routeFields)
	var err error
	if r.Doc, err = loadDocument(s.Document, was.Doc); err != nil {
		return nil, err
	}
	r.createdAt, r.activity = s.CreatedAt, s.Activity
	return &r, nil
}

// check refuses a state that cannot have been this service's: its objects
// refer to each other by number and id, and the compiler relies on that.
func (s *State) check() error {
	c := checker{s: s, ids: map[string]bool{}, nums: map[uint32]bool{}, endpoints: map[string]*Endpoint{}, namespaces: map[string]bool{}}
	for _, n := range s.Networks {
		c.unique(NetworkKind, n.Num, s.counters.network, n.Doc.ID)
	}
	for _, e := range s.Endpoints {
		c.nums[e.Num] = true
		c.endpoints[c.unique(EndpointKind, e.Num, s.counters.endpoint, e.Doc.ID)] = e
		if s.NetworkByNum(e.Network) == nil {
			c.wrong("endpoint %s is on network %d, which does not exist", e.Doc.ID, e.Network)
		}
	}
	for _, n := range s.Namespaces {
		c.namespaces[c.unique(NamespaceKind, n.Num, s.counters.namespace, n.Doc.ID)] = true
		c.members(n)
	}
	for _, l := range s.LoadBalancers {
		c.unique(LoadBalancerKind, l.Num, s.counters.balancer, l.Doc.ID)
		c.refers(l.Doc.ID, l.Endpoints)
		if len(l.Affinity) != len(l.Doc.PortMappings) {
			c.wrong("load balancer %s has %d affinities for %d port mappings", l.Doc.ID, len(l.Affinity), len(l.Doc.PortMappings))
		}
	}
	for _, r := range s.Routes {
		c.unique(RouteKind, r.Num, s.counters.route, r.Doc.ID)
		c.refers(r.Doc.ID, r.Endpoints)
	}
	for _, e := range s.Endpoints {
		if id, _ := hcn.ParseGUID(e.Namespace); e.Namespace != "" && !c.namespaces[id] {
			c.wrong("endpoint %s is in namespace %q, which does not exist", e.Doc.ID, e.Namespace)
		}
	}
	return c.err
}

// checker keeps the first thing that is wrong with a state.
type checker struct {
	s          *State
	ids        map[string]bool // by kind and id
	nums       map[uint32]bool // of endpoints
	endpoints  map[string]*Endpoint
	namespaces map[string]bool
	err        error
}

func (c *checker) wrong(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf(format, args...)
	}
}

// unique checks identity and number of an object and returns its canonical id.
func (c *checker) unique(kind Kind, num, last uint32, id string) string {
	canonical, ok := hcn.ParseGUID(id)
	if key := string(kind) + canonical; !ok || c.ids[key] || num == 0 || num > last {
		c.wrong("%s %d: the id %q is no GUID or occurs twice, or the number was never given", kind, num, id)
	}
	c.ids[string(kind)+canonical] = true
	return canonical
}

func (c *checker) members(n *Namespace) {
	for _, id := range n.Endpoints {
		canonical, _ := hcn.ParseGUID(id)
		if e := c.endpoints[canonical]; e == nil || !hcn.SameID(e.Namespace, n.Doc.ID) {
			c.wrong("namespace %s holds endpoint %q, which does not know of it", n.Doc.ID, id)
		}
	}
}

func (c *checker) refers(id string, endpoints []uint32) {
	for _, num := range endpoints {
		if !c.nums[num] {
			c.wrong("%s refers to endpoint %d, which does not exist", id, num)
		}
	}
}
