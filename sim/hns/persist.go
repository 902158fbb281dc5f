package hns

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/hnsim/hnsim/sim/hcn"
)

// The stored form of a State is a sequence of deltas, each one JSON object:
// the objects that a change added or replaced, the numbers of those that it
// removed, and the counters after it. The first delta is the whole State. An
// object is stored with everything that it is, so that what comes back has the
// same ids, MACs, addresses and compartments, and no pool hands out anything
// twice; a document that did not change is left out.

// delta is the stored form of a change.
type delta struct {
	Generation uint64        `json:"generation"`
	At         time.Duration `json:"at"` // virtual time of the change
	Counters   storedCounter `json:"counters"`
	Accelnet   []string      `json:"accelnet,omitempty"`

	Networks      []storedNetwork   `json:"networks,omitempty"`
	Endpoints     []storedEndpoint  `json:"endpoints,omitempty"`
	Namespaces    []storedNamespace `json:"namespaces,omitempty"`
	LoadBalancers []storedBalancer  `json:"loadbalancers,omitempty"`
	Routes        []storedRoute     `json:"routes,omitempty"`

	Gone map[Kind][]uint32 `json:"gone,omitempty"` // by number
}

type storedCounter struct {
	Network, Endpoint, Balancer, Route, Namespace, Layer, Compartment uint32
	RNG                                                               uint64
}

// The stored objects embed the exported fields of the object as they are and
// add the others by name. Document is nil where the previous delta that had
// the object already holds it.
type (
	networkFields   Network
	endpointFields  Endpoint
	namespaceFields Namespace
	balancerFields  LoadBalancer
	routeFields     Route

	storedNetwork struct {
		networkFields
		Doc        *struct{}       `json:",omitempty"` // hides the embedded one
		Document   json.RawMessage `json:",omitempty"`
		V1Type     string          `json:",omitempty"`
		Extensions map[string]bool `json:",omitempty"`
		CreatedAt  time.Duration
		IDs        storedNetworkIDs
	}
	storedNetworkIDs struct {
		Activity, Iface, HostNIC, HostPort, HostAlloc, NATAlloc, SwitchID string `json:",omitempty"`
	}
	storedEndpoint struct {
		endpointFields
		Doc           *struct{}       `json:",omitempty"`
		Document      json.RawMessage `json:",omitempty"`
		SharingBlocks bool            `json:",omitempty"`
		CreatedAt     time.Duration
		IDs           storedEndpointIDs
	}
	storedEndpointIDs struct {
		Activity, NIC, Port, Alloc, Iface string `json:",omitempty"`
	}
	storedNamespace struct {
		namespaceFields
		Doc       *struct{}       `json:",omitempty"`
		Document  json.RawMessage `json:",omitempty"`
		BuiltIn   bool            `json:",omitempty"`
		CreatedAt time.Duration
		Activity  string
	}
	storedBalancer struct {
		balancerFields
		Doc       *struct{}       `json:",omitempty"`
		Document  json.RawMessage `json:",omitempty"`
		Restored  bool            `json:",omitempty"`
		CreatedAt time.Duration
		Activity  string
	}
	storedRoute struct {
		routeFields
		Doc       *struct{}       `json:",omitempty"`
		Document  json.RawMessage `json:",omitempty"`
		CreatedAt time.Duration
		Activity  string
	}
)

// StoreDelta writes what leads from prev to next as one line of JSON; prev nil
// means all of next. at is the virtual time.
func StoreDelta(prev, next *State, at time.Duration) ([]byte, error) {
	if prev == nil {
		prev = &State{}
	}
	c := &next.counters
	d := delta{
		Generation: next.Generation, At: at, Accelnet: next.accelnet,
		Counters: storedCounter{c.network, c.endpoint, c.balancer, c.route, c.namespace, c.layer, c.compartment, c.rng},
		Gone:     map[Kind][]uint32{},
	}
	d.Networks = changes(&d, NetworkKind, prev.Networks, next.Networks, storeNetwork)
	d.Endpoints = changes(&d, EndpointKind, prev.Endpoints, next.Endpoints, storeEndpoint)
	d.Namespaces = changes(&d, NamespaceKind, prev.Namespaces, next.Namespaces, storeNamespace)
	d.LoadBalancers = changes(&d, LoadBalancerKind, prev.LoadBalancers, next.LoadBalancers, storeBalancer)
	d.Routes = changes(&d, RouteKind, prev.Routes, next.Routes, storeRoute)
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // documents come back byte for byte
	if err := enc.Encode(&d); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// numbered is an object of the store, or its stored form.
type numbered interface{ number() uint32 }

func (n *Network) number() uint32      { return n.Num }
func (e *Endpoint) number() uint32     { return e.Num }
func (n *Namespace) number() uint32    { return n.Num }
func (l *LoadBalancer) number() uint32 { return l.Num }
func (r *Route) number() uint32        { return r.Num }

func (n *Network) document() []byte      { return n.Doc.Encode(hcn.V2) }
func (e *Endpoint) document() []byte     { return e.Doc.Encode(hcn.V2) }
func (n *Namespace) document() []byte    { return n.Doc.Encode(hcn.V2) }
func (l *LoadBalancer) document() []byte { return l.Doc.Encode(hcn.V2) }
func (r *Route) document() []byte        { return r.Doc.Encode(hcn.V2) }

// changes stores the objects of next that are not in prev as they are and
// enters the numbers of those that are gone. Numbers are never used again and
// both lists are in their order.
func changes[T any, P interface {
	*T
	numbered
	document() []byte
}, S any](d *delta, kind Kind, prev, next []P, store func(is P, doc json.RawMessage) S) []S {
	var out []S
	i := 0
	for _, is := range next {
		for i < len(prev) && prev[i].number() < is.number() {
			d.Gone[kind] = append(d.Gone[kind], prev[i].number())
			i++
		}
		var was P
		if i < len(prev) && prev[i].number() == is.number() {
			was = prev[i]
			i++
		}
		if was == is {
			continue
		}
		doc := is.document()
		if was != nil && bytes.Equal(was.document(), doc) {
			doc = nil
		}
		out = append(out, store(is, doc))
	}
	for ; i < len(prev); i++ {
		d.Gone[kind] = append(d.Gone[kind], prev[i].number())
	}
	return out
}

func storeNetwork(n *Network, doc json.RawMessage) storedNetwork {
	return storedNetwork{networkFields: networkFields(*n), Document: doc, V1Type: n.Doc.V1Type, Extensions: n.extensions, CreatedAt: n.createdAt,
		IDs: storedNetworkIDs{n.ids.activity, n.ids.iface, n.ids.hostNIC, n.ids.hostPort, n.ids.hostAlloc, n.ids.natAlloc, n.ids.switchID}}
}

func storeEndpoint(e *Endpoint, doc json.RawMessage) storedEndpoint {
	return storedEndpoint{endpointFields: endpointFields(*e), Document: doc, SharingBlocks: e.sharingBlocks, CreatedAt: e.createdAt,
		IDs: storedEndpointIDs{e.ids.activity, e.ids.nic, e.ids.port, e.ids.alloc, e.ids.iface}}
}

func storeNamespace(n *Namespace, doc json.RawMessage) storedNamespace {
	return storedNamespace{namespaceFields: namespaceFields(*n), Document: doc, BuiltIn: n.builtIn, CreatedAt: n.createdAt, Activity: n.activity}
}

func storeBalancer(l *LoadBalancer, doc json.RawMessage) storedBalancer {
	return storedBalancer{balancerFields: balancerFields(*l), Document: doc, Restored: l.restored, CreatedAt: l.createdAt, Activity: l.activity}
}

func storeRoute(r *Route, doc json.RawMessage) storedRoute {
	return storedRoute{routeFields: routeFields(*r), Document: doc, CreatedAt: r.createdAt, Activity: r.activity}
}

// Stored is a State being read back.
type Stored struct {
	State *State
	At    time.Duration // virtual time of the last change
}

// Add applies the next delta. After an error the Stored is of no use.
func (s *Stored) Add(text []byte) error {
	var d delta
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		return fmt.Errorf("a delta of the state: %w", err)
	}
	if s.State == nil {
		s.State = &State{}
	}
	st := s.State
	st.Generation, s.At, st.accelnet = d.Generation, d.At, d.Accelnet
	c := d.Counters
	st.counters = counters{c.Network, c.Endpoint, c.Balancer, c.Route, c.Namespace, c.Layer, c.Compartment, c.RNG}
	steps := []func() error{
		func() (err error) {
			st.Networks, err = merge(st.Networks, d.Networks, d.Gone[NetworkKind], loadNetwork)
			return err
		},
		func() (err error) {
			st.Endpoints, err = merge(st.Endpoints, d.Endpoints, d.Gone[EndpointKind], loadEndpoint)
			return err
		},
		func() (err error) {
			st.Namespaces, err = merge(st.Namespaces, d.Namespaces, d.Gone[NamespaceKind], loadNamespace)
			return err
		},
		func() (err error) {
			st.LoadBalancers, err = merge(st.LoadBalancers, d.LoadBalancers, d.Gone[LoadBalancerKind], loadBalancer)
			return err
		},
		func() (err error) {
			st.Routes, err = merge(st.Routes, d.Routes, d.Gone[RouteKind], loadRoute)
			return err
		},
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}
