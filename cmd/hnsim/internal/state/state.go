package state

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/hnsim/hnsim/sim/hcn"
)

// Kinds of objects, in the order in which they are made.
var Kinds = []string{"network", "namespace", "endpoint", "loadbalancer", "route"}

// State is what one host has. Objects are HCN v2 documents in the order in
// which they were read.
type State struct {
	Host    string // its name, if that was collected
	Version string // of HNS, "13.3"
	Build   int    // of Windows; 0: not known
	Arch    string
	Objects map[string][]Object
	// Other is what is no object of HNS, by name: globals, adapters, excluded
	// port ranges, VFP's view. It is kept as it came.
	Other map[string]json.RawMessage
}

// Object is one document.
type Object struct {
	ID   string
	Name string
	Doc  []byte // v2 shape, as Encode writes it
}

// Source answers with the documents of a kind, as HNS prints them in the v2
// shape.
type Source func(kind string) ([]json.RawMessage, error)

// Collect reads everything from a source.
func Collect(from Source) (*State, error) {
	s := &State{}
	for _, kind := range Kinds {
		docs, err := from(kind)
		if err != nil {
			return nil, fmt.Errorf("%ss: %w", kind, err)
		}
		for _, d := range docs {
			if err := s.AddKind(kind, d); err != nil {
				return nil, fmt.Errorf("%ss: %w", kind, err)
			}
		}
	}
	return s, nil
}

// Add takes one document of either shape. What it is follows from its members.
func (s *State) Add(doc []byte) error { return s.AddKind(kindOf(doc), doc) }

// AddKind takes one document of a kind that is known.
func (s *State) AddKind(kind string, doc []byte) error {
	o, made, err := decode(kind, doc)
	if err != nil {
		return err
	}
	if o.ID != "" && slices.ContainsFunc(s.Objects[made], func(p Object) bool { return hcn.SameID(p.ID, o.ID) }) {
		return fmt.Errorf("%s %s is there twice", made, o.ID)
	}
	if s.Objects == nil {
		s.Objects = map[string][]Object{}
	}
	s.Objects[made] = append(s.Objects[made], o)
	return nil
}

// networkMarks are members that networks alone have. They come first: what HNS
// prints of a network has Resources, as a namespace has.
var networkMarks = []string{"Ipams", "MacPool", "Subnets", "MacPools", "MaxConcurrentEndpoints"}

func kindOf(doc []byte) string {
	var members map[string]json.RawMessage
	if json.Unmarshal(doc, &members) == nil {
		for name := range members {
			if slices.ContainsFunc(networkMarks, func(m string) bool { return strings.EqualFold(m, name) }) {
				return "network"
			}
		}
	}
	return hcn.DocumentKind(doc)
}

// decode reads a document and writes it in the v2 shape.
func decode(kind string, doc []byte) (o Object, made string, err error) {
	switch kind {
	case "network":
		n, err := hcn.DecodeNetwork(doc)
		if err != nil {
			return o, kind, err
		}
		return Object{n.ID, n.Name, n.Encode(hcn.V2)}, kind, nil
	case "endpoint":
		e, err := hcn.DecodeEndpoint(doc)
		if err != nil {
			return o, kind, err
		}
		return Object{e.ID, e.Name, e.Encode(hcn.V2)}, kind, nil
	case "namespace":
		n, err := hcn.DecodeNamespace(doc)
		if err != nil {
			return o, kind, err
		}
		return Object{n.ID, n.Name, n.Encode(hcn.V2)}, kind, nil
	case "loadbalancer":
		l, err := hcn.DecodeLoadBalancer(doc)
		if err != nil {
			return o, kind, err
		}
		return Object{l.ID, l.Name, l.Encode(hcn.V2)}, kind, nil
	case "route":
		r, err := hcn.DecodeSDNRoute(doc)
		if err != nil {
			return o, kind, err
		}
		return Object{r.ID, "", r.Encode(hcn.V2)}, kind, nil
	case "policylist":
		l, r, err := hcn.DecodePolicyList(doc)
		switch {
		case err != nil:
			return o, kind, err
		case l != nil:
			return Object{l.ID, l.Name, l.Encode(hcn.V2)}, "loadbalancer", nil
		}
		return Object{r.ID, "", r.Encode(hcn.V2)}, "route", nil
	}
	return o, kind, fmt.Errorf("found an object that is no network, endpoint, namespace, load balancer, route or policy list: %s", clip(doc))
}

func clip(doc []byte) string {
	const limit = 100
	text := strings.Join(strings.Fields(string(doc)), " ")
	if len(text) > limit {
		text = text[:limit] + "..."
	}
	return text
}

// Count says how much there is, for people.
func (s *State) Count() string {
	var out []string
	for _, k := range Kinds {
		if n := len(s.Objects[k]); n > 0 {
			out = append(out, fmt.Sprintf("%d %s%s", n, k, map[bool]string{true: "s"}[n != 1]))
		}
	}
	if out == nil {
		return "nothing"
	}
	return strings.Join(out, ", ")
}
