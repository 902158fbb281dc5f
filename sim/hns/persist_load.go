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
func merge[P numbered, T any, S interface {
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
		var was P
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
	var doc *hcn.Network
	if was != nil {
		doc = was.Doc
	}
	doc, err := loadDocument(s.Document, doc)
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
	var doc *hcn.Endpoint
	if was != nil {
		doc = was.Doc
	}
	var err error
	if e.Doc, err = loadDocument(s.Document, doc); err != nil {
		return nil, err
	}
	e.sharingBlocks, e.createdAt = s.SharingBlocks, s.CreatedAt
	e.ids = endpointIDs{s.IDs.Activity, s.IDs.NIC, s.IDs.Port, s.IDs.Alloc, s.IDs.Iface}
	return &e, nil
}

func loadNamespace(s *storedNamespace, was *Namespace) (*Namespace, error) {
	n := Namespace(s.namespaceFields)
	var doc *hcn.Namespace
	if was != nil {
		doc = was.Doc
	}
	var err error
	if n.Doc, err = loadDocument(s.Document, doc); err != nil {
		return nil, err
	}
	n.builtIn, n.createdAt, n.activity = s.BuiltIn, s.CreatedAt, s.Activity
	return &n, nil
}

func loadBalancer(s *storedBalancer, was *LoadBalancer) (*LoadBalancer, error) {
	l := LoadBalancer(s.balancerFields)
	var doc *hcn.LoadBalancer
	if was != nil {
		doc = was.Doc
	}
	var err error
	if l.Doc, err = loadDocument(s.Document, doc); err != nil {
		return nil, err
	}
	l.restored, l.createdAt, l.activity = s.Restored, s.CreatedAt, s.Activity
	return &l, nil
}

func loadRoute(s *storedRoute, was *Route) (*Route, error) {
	r := Route(s.routeFields)
	var doc *hcn.SDNRoute
	if was != nil {
		doc = was.Doc
	}
	var err error
	if r.Doc, err = loadDocument(s.Document, doc); err != nil {
		return nil, err
	}
	r.createdAt, r.activity = s.CreatedAt, s.Activity
	return &r, nil
}

// check refuses a state that cannot have been this service's: its objects
// refer to each other by number and id, and the compiler relies on that.
func (s *State) check() error {
	seen := map[string]bool{}
	unique := func(kind Kind, num uint32, last uint32, id string) error {
		canonical, ok := hcn.ParseGUID(id)
		if key := string(kind) + canonical; !ok || seen[key] || num == 0 || num > last {
			return fmt.Errorf("%s %d: the id %q is no GUID or occurs twice, or the number was never given", kind, num, id)
		}
		seen[string(kind)+canonical] = true
		return nil
	}
	var errs []error
	for _, n := range s.Networks {
		errs = append(errs, unique(NetworkKind, n.Num, s.counters.network, n.Doc.ID))
	}
	for _, e := range s.Endpoints {
		errs = append(errs, unique(EndpointKind, e.Num, s.counters.endpoint, e.Doc.ID))
		if s.NetworkByNum(e.Network) == nil {
			errs = append(errs, fmt.Errorf("endpoint %s is on network %d, which does not exist", e.Doc.ID, e.Network))
		}
	}
	for _, n := range s.Namespaces {
		errs = append(errs, unique(NamespaceKind, n.Num, s.counters.namespace, n.Doc.ID))
	}
	for _, l := range s.LoadBalancers {
		errs = append(errs, unique(LoadBalancerKind, l.Num, s.counters.balancer, l.Doc.ID), s.checkEndpoints(l.Endpoints))
		if len(l.Affinity) != len(l.Doc.PortMappings) {
			errs = append(errs, fmt.Errorf("load balancer %s has %d affinities for %d port mappings", l.Doc.ID, len(l.Affinity), len(l.Doc.PortMappings)))
		}
	}
	for _, r := range s.Routes {
		errs = append(errs, unique(RouteKind, r.Num, s.counters.route, r.Doc.ID), s.checkEndpoints(r.Endpoints))
	}
	return errors.Join(append(errs, s.checkNamespaces())...)
}

func (s *State) checkEndpoints(nums []uint32) error {
	for _, num := range nums {
		if s.EndpointByNum(num) == nil {
			return fmt.Errorf("endpoint %d is referred to and does not exist", num)
		}
	}
	return nil
}

func (s *State) checkNamespaces() error {
	for _, n := range s.Namespaces {
		for _, id := range n.Endpoints {
			if e := s.EndpointByID(id); e == nil || !hcn.SameID(e.Namespace, n.Doc.ID) {
				return fmt.Errorf("namespace %s holds endpoint %q, which does not know of it", n.Doc.ID, id)
			}
		}
	}
	for _, e := range s.Endpoints {
		if e.Namespace != "" && s.NamespaceByID(e.Namespace) == nil {
			return fmt.Errorf("endpoint %s is in namespace %q, which does not exist", e.Doc.ID, e.Namespace)
		}
	}
	return nil
}
