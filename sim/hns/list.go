package hns

import (
	"encoding/json"

	"github.com/hnsim/hnsim/sim/hcn"
)

// List returns the documents of the objects that a query's filter matches, as
// a JSON list in the order of creation and in the shape that the query asks
// for. It is what a client gets who enumerates and queries each one, but of
// one moment.
func (s *Service) List(kind Kind, query []byte) ([]byte, error) {
	docs := []json.RawMessage{}
	err := s.read(func(cur *State) error {
		q, err := s.parseQuery(query)
		if err != nil {
			return err
		}
		list, err := (&view{s: s, cur: cur, detailed: q.Detailed}).objects(kind)
		for _, o := range list {
			if q.Match(o.member) {
				docs = append(docs, o.show(q.Shape()))
			}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return mustJSON(docs), nil
}

// Number returns the number of an object, by which it can be told from a later
// one with the same id: numbers are never used again. The error is that of
// Open.
func (s *Service) Number(kind Kind, id string) (uint32, error) {
	num := uint32(0)
	err := s.read(func(cur *State) error {
		o, err := cur.find(kind, id)
		if err == nil {
			num = o.number()
		}
		return err
	})
	return num, err
}

// find finds an object by id.
func (s *State) find(kind Kind, id string) (numbered, error) {
	switch kind {
	case NetworkKind:
		if n := s.NetworkByID(id); n != nil {
			return n, nil
		}
		return nil, networkNotFound(id)
	case EndpointKind:
		if e := s.EndpointByID(id); e != nil {
			return e, nil
		}
		return nil, endpointNotFound(id)
	case NamespaceKind:
		if n := s.NamespaceByID(id); n != nil {
			return n, nil
		}
	case LoadBalancerKind:
		if l := s.balancerByID(id); l != nil {
			return l, nil
		}
	case RouteKind:
		if r := s.routeByID(id); r != nil {
			return r, nil
		}
	default:
		return nil, hcn.Errorf(hcn.ErrInvalidParameter, "no kind of object %q", kind)
	}
	return nil, elementNotFound(string(kind), id)
}
