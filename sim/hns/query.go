package hns

import (
	"fmt"

	"github.com/hnsim/hnsim/sim/hcn"
)

// Kind is a kind of object.
type Kind string

// Kinds, as HCN operations name them.
const (
	NetworkKind      Kind = "network"
	EndpointKind     Kind = "endpoint"
	NamespaceKind    Kind = "namespace"
	LoadBalancerKind Kind = "loadbalancer"
	RouteKind        Kind = "route"
)

// object is one object of the store for queries.
type object struct {
	id, name string
	show     func(hcn.Shape) []byte
}

// objects lists the objects of a kind in the order of creation.
func (v *view) objects(kind Kind) ([]object, error) {
	switch kind {
	case NetworkKind:
		return shown(v, v.cur.Networks), nil
	case EndpointKind:
		return shown(v, v.cur.Endpoints), nil
	case NamespaceKind:
		return shown(v, v.cur.Namespaces), nil
	case LoadBalancerKind:
		return shown(v, v.cur.LoadBalancers), nil
	case RouteKind:
		return shown(v, v.cur.Routes), nil
	}
	return nil, hcn.Errorf(hcn.ErrInvalidParameter, "no kind of object %q", kind)
}

func shown[T numbered](v *view, list []T) []object {
	out := make([]object, 0, len(list))
	for _, o := range list {
		out = append(out, v.object(o))
	}
	return out
}

// object is how the view shows an object of the store.
func (v *view) object(o numbered) object {
	switch o := o.(type) {
	case *Network:
		return object{o.Doc.ID, o.Doc.Name, func(s hcn.Shape) []byte { return v.network(o, s) }}
	case *Endpoint:
		return object{o.Doc.ID, o.Doc.Name, func(s hcn.Shape) []byte { return v.endpoint(o, s) }}
	case *Namespace:
		return object{o.Doc.ID, o.Doc.Name, func(s hcn.Shape) []byte { return v.namespace(o, s) }}
	case *LoadBalancer:
		return object{o.Doc.ID, o.Doc.Name, func(s hcn.Shape) []byte { return v.balancer(o, s) }}
	case *Route:
		return object{o.Doc.ID, o.Doc.Name, func(s hcn.Shape) []byte { return v.route(o, s) }}
	}
	panic("hns: an object of no known kind")
}

// member answers filters: a top-level member of either shape, or one of the
// synonyms that clients use (B.7).
func (o *object) member(name string) (string, bool) {
	switch {
	case sameName(name, "ID"):
		return o.id, true
	case sameName(name, "Name"):
		return o.name, true
	case sameName(name, "NetworkId"):
		name = "HostComputeNetwork"
	}
	if v, ok := hcn.DocumentMember(o.show(hcn.V2), name); ok {
		return v, true
	}
	return hcn.DocumentMember(o.show(hcn.V1), name)
}

func sameName(a, b string) bool { return len(a) == len(b) && hcn.SameID(a, b) }

// Enumerate returns the ids of the objects that a query's filter matches, as
// a JSON list, "[]" for none (rule A5).
func (s *Service) Enumerate(kind Kind, query []byte) ([]byte, error) {
	ids := []string{}
	err := s.read(func(cur *State) error {
		q, err := s.parseQuery(query)
		if err != nil {
			return err
		}
		list, err := (&view{s: s, cur: cur}).objects(kind)
		for _, o := range list {
			if q.Match(o.member) {
				ids = append(ids, o.id)
			}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return mustJSON(ids), nil
}

func (s *Service) parseQuery(query []byte) (*hcn.Query, error) {
	q, err := hcn.ParseQuery(query)
	if err == nil {
		q.FoldNames = s.cfg.Profile.Knobs.FilterCase == "insensitive"
	}
	return q, err
}

// Open checks that an object exists, as the Open functions do (D.3 #1 to #4).
func (s *Service) Open(kind Kind, id string) error {
	_, err := s.Number(kind, id)
	return err
}

func (v *view) find(kind Kind, id string) (*object, error) {
	o, err := v.cur.find(kind, id)
	if err != nil {
		return nil, err
	}
	shown := v.object(o)
	return &shown, nil
}

// Query returns an object's document in the shape that the query asks for. A
// filter is read and ignored: clients pass the query of the enumeration (A.2).
func (s *Service) Query(kind Kind, id string, query []byte) ([]byte, error) {
	var doc []byte
	err := s.read(func(cur *State) error {
		q, err := hcn.ParseQuery(query)
		if err != nil {
			return err
		}
		v := &view{s: s, cur: cur, detailed: q.Detailed}
		o, err := v.find(kind, id)
		if err != nil {
			return err
		}
		doc = o.show(q.Shape())
		return nil
	})
	if err != nil {
		return nil, err
	}
	return doc, nil
}

// Create creates an object of any kind. parent is the network of an endpoint.
func (s *Service) Create(kind Kind, id, parent string, settings []byte) (string, error) {
	switch kind {
	case NetworkKind:
		return s.CreateNetwork(id, settings)
	case EndpointKind:
		return s.CreateEndpoint(parent, id, settings)
	case NamespaceKind:
		return s.CreateNamespace(id, settings)
	case LoadBalancerKind:
		return s.CreateLoadBalancer(id, settings)
	case RouteKind:
		return s.CreateRoute(id, settings)
	}
	return "", hcn.Errorf(hcn.ErrInvalidParameter, "no kind of object %q", kind)
}

// Modify carries out a modify request on an object of any kind.
func (s *Service) Modify(kind Kind, id string, request []byte) error {
	switch kind {
	case NetworkKind:
		return s.ModifyNetwork(id, request)
	case EndpointKind:
		return s.ModifyEndpoint(id, request)
	case NamespaceKind:
		return s.ModifyNamespace(id, request)
	case LoadBalancerKind:
		return s.ModifyLoadBalancer(id, request)
	case RouteKind:
		return s.ModifyRoute(id, request)
	}
	return hcn.Errorf(hcn.ErrInvalidParameter, "no kind of object %q", kind)
}

// Delete deletes an object of any kind.
func (s *Service) Delete(kind Kind, id string) error {
	switch kind {
	case NetworkKind:
		return s.DeleteNetwork(id)
	case EndpointKind:
		return s.DeleteEndpoint(id)
	case NamespaceKind:
		return s.DeleteNamespace(id)
	case LoadBalancerKind:
		return s.DeleteLoadBalancer(id)
	case RouteKind:
		return s.DeleteRoute(id)
	}
	return hcn.Errorf(hcn.ErrInvalidParameter, "no kind of object %q", kind)
}

// Do carries out one HCN operation by name: verb is "create", "open",
// "modify", "query", "delete" or "enumerate". id is the object (for create:
// the wanted id or ""), parent the network of an endpoint to be created, body
// the settings, request or query. It returns the id of a created object and
// the document: properties of a created, modified or queried object, the list
// of ids of an enumeration.
func (s *Service) Do(kind Kind, verb, id, parent string, body []byte) (string, []byte, error) {
	var err error
	switch verb {
	case "create":
		if id, err = s.Create(kind, id, parent, body); err != nil {
			return "", nil, err
		}
	case "modify":
		if err = s.Modify(kind, id, body); err != nil {
			return "", nil, err
		}
	case "open":
		return id, nil, s.Open(kind, id)
	case "delete":
		return id, nil, s.Delete(kind, id)
	case "query":
		doc, err := s.Query(kind, id, body)
		return id, doc, err
	case "enumerate":
		doc, err := s.Enumerate(kind, body)
		return "", doc, err
	default:
		return "", nil, hcn.Errorf(hcn.ErrInvalidParameter, "no operation %q: expected create, open, modify, query, delete or enumerate", verb)
	}
	doc, err := s.Query(kind, id, nil)
	if err != nil {
		return "", nil, fmt.Errorf("after %s: %w", verb, err)
	}
	return id, doc, nil
}
