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
		q, err := hcn.ParseQuery(query)
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
