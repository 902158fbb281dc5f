package linux

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/wire"
)

// store is the control plane of one host: the documents, what must be filled
// in of them, and nothing about how the kernel carries them out.
type store struct {
	profile    hcn.Profile
	uplinks    []*uplink
	networks   []*network
	endpoints  []*endpoint
	namespaces []*namespace
	balancers  []*balancer
	rng        uint64
	made       int // objects so far: numbers are not used twice
	// busy reports whether a socket of the host holds a port.
	busy func(proto uint8, port uint16) bool
}

// uplink is a physical adapter of the host, with the bridge that is its
// virtual switch.
type uplink struct {
	name, nic, bridge string
	mac               wire.MAC
	addrs             []netip.Prefix
	mtu               int
}

type network struct {
	doc       *hcn.Network
	kind      hcn.NetworkType
	num       int
	uplink    *uplink // of external types
	bridge    string
	subnets   []subnet
	hostMAC   wire.MAC // of the uplink, or of the host's own port
	drMAC     wire.MAC
	managed   netip.Addr // the host's address on the uplink
	vxlanPort uint16
	lastMAC   uint32 // offset into the pool
	created   uint64 // FILETIME
	layer     string // id of what it is layered on
}

type subnet struct {
	prefix  netip.Prefix
	gateway netip.Addr
	vsid    uint32
	doc     *hcn.Subnet
}

type endpoint struct {
	doc     *hcn.Endpoint
	net     *network
	num     int
	remote  bool
	addrs   []netip.Prefix
	gateway [2]netip.Addr // IPv4, IPv6
	mac     wire.MAC
	pa      netip.Addr
	ns      *namespace // joined
	created uint64     // FILETIME
}

type namespace struct {
	doc        *hcn.Namespace
	kind       hcn.NamespaceType
	endpoints  []*endpoint
	containers []string
	hyperv     bool   // its containers are Hyper-V isolated
	created    uint64 // FILETIME
}

func newStore(p hcn.Profile, seed uint64) *store {
	s := &store{profile: p, rng: seed*0x9E3779B97F4A7C15 + 0xD1B54A32D192ED03}
	s.namespaces = append(s.namespaces, &namespace{kind: hcn.HostDefaultNamespace, created: fileTime(time.Now()),
		doc: &hcn.Namespace{ID: s.guid(), Type: hcn.HostDefaultNamespace, NamespaceID: 1}})
	return s
}

// next is a pseudo-random number (splitmix64).
func (s *store) next() uint64 {
	s.rng += 0x9E3779B97F4A7C15
	z := s.rng
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

func (s *store) guid() string {
	a, b := s.next(), s.next()
	return fmt.Sprintf("%08X-%04X-4%03X-%04X-%012X", uint32(a), uint16(a>>32), uint16(a>>48)&0xfff, uint16(b)&0x3fff|0x8000, b>>16)
}

func (s *store) number() int {
	s.made++
	return s.made
}

// chooseID is the document's id, or a new one (rule A7).
func (s *store) chooseID(argument, doc string) (string, error) {
	for _, id := range []string{argument, doc} {
		if id == "" || hcn.SameID(id, hcn.ZeroGUID) {
			continue
		}
		canonical, ok := hcn.ParseGUID(id)
		if !ok {
			return "", hcn.ErrorAt(hcn.ErrGUIDConversionFailure, "ID", fmt.Sprintf("%q", id), "a GUID")
		}
		if s.network(canonical) != nil || s.endpoint(canonical) != nil || s.namespace(canonical) != nil {
			return "", hcn.ErrorAt(hcn.ErrAlreadyExists, "ID", fmt.Sprintf("%q", id), "an id that no other object has")
		}
		return canonical, nil
	}
	return s.guid(), nil
}

func (s *store) network(id string) *network {
	for _, n := range s.networks {
		if hcn.SameID(n.doc.ID, id) {
			return n
		}
	}
	return nil
}

func (s *store) endpoint(id string) *endpoint {
	for _, e := range s.endpoints {
		if hcn.SameID(e.doc.ID, id) {
			return e
		}
	}
	return nil
}

func (s *store) namespace(id string) *namespace {
	for _, n := range s.namespaces {
		if hcn.SameID(n.doc.ID, id) {
			return n
		}
	}
	return nil
}

// of are the endpoints of a network.
func (s *store) of(n *network) []*endpoint {
	var out []*endpoint
	for _, e := range s.endpoints {
		if e.net == n {
			out = append(out, e)
		}
	}
	return out
}

// nearFirst are the endpoints of a network, those of this host first: what is
// local is found first (rule OV-05).
func (s *store) nearFirst(n *network) []*endpoint {
	list := s.of(n)
	slices.SortStableFunc(list, func(a, b *endpoint) int {
		switch {
		case a.remote == b.remote:
			return 0
		case a.remote:
			return 1
		}
		return -1
	})
	return list
}

// do carries out one operation on the documents. What it refuses has changed
// nothing.
func (s *store) do(op backends.HCNOp) (backends.HCNResult, error) {
	if op.Kind == "hnscall" {
		return s.v1(op)
	}
	var id string
	var err error
	switch op.Verb {
	case "create":
		id, err = s.create(op)
	case "modify":
		id, err = op.ID, s.modify(op)
	case "delete":
		return backends.HCNResult{ID: op.ID}, s.delete(op.Kind, op.ID)
	case "query":
		doc, err := s.show(op.Kind, op.ID, shapeOf(op.Body))
		return backends.HCNResult{ID: op.ID, Document: doc}, err
	case "enumerate":
		return backends.HCNResult{Document: s.list(op.Kind)}, nil
	default:
		return backends.HCNResult{}, usage("no operation %q", op.Verb)
	}
	if err != nil {
		return backends.HCNResult{}, err
	}
	doc, err := s.show(op.Kind, id, hcn.V2)
	return backends.HCNResult{ID: id, Document: doc}, err
}

// shapeOf is the shape that a query asks for.
func shapeOf(query json.RawMessage) hcn.Shape {
	var q struct{ SchemaVersion hcn.SchemaVersion }
	if len(query) > 0 && json.Unmarshal(query, &q) == nil && q.SchemaVersion.Major == 1 {
		return hcn.V1
	}
	return hcn.V2
}

func (s *store) create(op backends.HCNOp) (string, error) {
	switch op.Kind {
	case "network":
		return s.createNetwork(op.ID, op.Body)
	case "endpoint":
		return s.createEndpoint(op.Parent, op.ID, op.Body)
	case "namespace":
		return s.createNamespace(op.ID, op.Body)
	case "loadbalancer":
		return s.createBalancer(op.ID, op.Body)
	}
	return "", unsupported("%s objects have no counterpart on the Linux backend yet", op.Kind)
}

func (s *store) delete(kind, id string) error {
	switch kind {
	case "network":
		n := s.network(id)
		if n == nil {
			return hcn.Errorf(hcn.ErrNetworkNotFound, "no network has the id %q", id)
		}
		for _, e := range s.of(n) {
			s.leave(e)
			s.forgetBackend(e)
		}
		s.endpoints = without(s.endpoints, func(e *endpoint) bool { return e.net == n })
		s.networks = without(s.networks, func(o *network) bool { return o == n })
	case "endpoint":
		e := s.endpoint(id)
		if e == nil {
			return hcn.Errorf(hcn.ErrEndpointNotFound, "no endpoint has the id %q", id)
		}
		s.leave(e)
		s.endpoints = without(s.endpoints, func(o *endpoint) bool { return o == e })
		s.forgetBackend(e)
	case "namespace":
		n := s.namespace(id)
		if n == nil {
			return hcn.Errorf(hcn.ErrElementNotFound, "no namespace has the id %q", id)
		}
		if len(n.containers) > 0 {
			return hcn.Errorf(hcn.ErrRequestUnsupported, "namespace %q has containers", id)
		}
		for _, e := range append([]*endpoint(nil), n.endpoints...) {
			s.leave(e)
		}
		s.namespaces = without(s.namespaces, func(o *namespace) bool { return o == n })
	case "loadbalancer":
		b := s.balancer(id)
		if b == nil {
			return hcn.Errorf(hcn.ErrElementNotFound, "no load balancer has the id %q", id)
		}
		s.balancers = without(s.balancers, func(o *balancer) bool { return o == b })
	default:
		return unsupported("%s objects have no counterpart on the Linux backend yet", kind)
	}
	return nil
}

// without is a copy of a list without some elements.
func without[T any](list []T, gone func(T) bool) []T {
	var out []T
	for _, x := range list {
		if !gone(x) {
			out = append(out, x)
		}
	}
	return out
}

func (s *store) show(kind, id string, shape hcn.Shape) (json.RawMessage, error) {
	switch kind {
	case "network":
		if n := s.network(id); n != nil {
			doc := *n.doc
			doc.SchemaVersion = schemaOf(shape, doc.SchemaVersion)
			doc.Health = hcn.Health{Data: healthy(n.created), Extra: hcn.ExtraParams{LayeredOn: n.layer}}
			return doc.Encode(shape), nil
		}
		return nil, hcn.Errorf(hcn.ErrNetworkNotFound, "no network has the id %q", id)
	case "endpoint":
		if e := s.endpoint(id); e != nil {
			return e.document(shape), nil
		}
		return nil, hcn.Errorf(hcn.ErrEndpointNotFound, "no endpoint has the id %q", id)
	case "namespace":
		if n := s.namespace(id); n != nil {
			return s.namespaceDocument(n), nil
		}
		return nil, hcn.Errorf(hcn.ErrElementNotFound, "no namespace has the id %q", id)
	case "loadbalancer":
		if b := s.balancer(id); b != nil {
			doc, err := json.Marshal(b.doc)
			return doc, err
		}
		return nil, hcn.Errorf(hcn.ErrElementNotFound, "no load balancer has the id %q", id)
	}
	return nil, unsupported("%s objects have no counterpart on the Linux backend yet", kind)
}

// document is the endpoint as a query shows it, with what HNS adds (section
// F.2).
func (e *endpoint) document(shape hcn.Shape) json.RawMessage {
	doc := *e.doc
	doc.SchemaVersion = schemaOf(shape, doc.SchemaVersion)
	if e.ns != nil && e.ns.kind != hcn.HostDefaultNamespace && len(e.ns.containers) == 0 {
		doc.State = uint16(hcn.EndpointCreated) // until a container starts there (rule CMP-07)
	}
	shared := []string{}
	if e.ns != nil && e.ns.containers != nil {
		shared = e.ns.containers
	}
	list, err := json.Marshal(shared)
	if err != nil {
		return nil // a list of texts: cannot happen
	}
	doc.Health.Data = healthy(e.created)
	doc.Health.Extra.SharedContainers = list
	return doc.Encode(shape)
}

// healthy is the health of an object that nothing is wrong with.
func healthy(created uint64) json.RawMessage {
	return fmt.Appendf(nil, `{"LastErrorCode":0,"LastUpdateTime":%d}`, created)
}

// schemaOf is the version that a document shows: none in the v1 shape.
func schemaOf(shape hcn.Shape, given hcn.SchemaVersion) hcn.SchemaVersion {
	switch {
	case shape == hcn.V1:
		return hcn.SchemaVersion{}
	case given.Major < 2:
		return hcn.SchemaVersion{Major: 2}
	}
	return given
}

// fileTime is a moment as Windows counts it: 100 ns units since 1601.
func fileTime(t time.Time) uint64 {
	const unixEpoch = 116_444_736_000_000_000
	return unixEpoch + uint64(t.UnixNano()/100)
}

func (s *store) namespaceDocument(n *namespace) json.RawMessage {
	doc := *n.doc
	doc.Health = hcn.Health{Data: healthy(n.created)}
	doc.State, doc.Version = 1, s.profile.Version.Object() // section F.4
	doc.Resources = nil
	for _, e := range n.endpoints {
		doc.Resources = append(doc.Resources, hcn.NamespaceResource{Type: hcn.EndpointResource, Data: hcn.NamespaceResourceData{ID: e.doc.ID}})
	}
	for _, c := range n.containers {
		doc.Resources = append(doc.Resources, hcn.NamespaceResource{Type: hcn.ContainerResource, Data: hcn.NamespaceResourceData{ID: c}})
	}
	b, err := json.Marshal(&doc)
	if err != nil {
		return nil // plain data: cannot happen
	}
	return b
}

func (s *store) list(kind string) json.RawMessage {
	ids := []string{}
	switch kind {
	case "network":
		for _, n := range s.networks {
			ids = append(ids, n.doc.ID)
		}
	case "endpoint":
		for _, e := range s.endpoints {
			ids = append(ids, e.doc.ID)
		}
	case "namespace":
		for _, n := range s.namespaces {
			ids = append(ids, n.doc.ID)
		}
	case "loadbalancer":
		for _, b := range s.balancers {
			ids = append(ids, b.doc.ID)
		}
	}
	b, err := json.Marshal(ids)
	if err != nil {
		return nil // a list of texts: cannot happen
	}
	return b
}

// v1 is an HNS v1 request.
func (s *store) v1(op backends.HCNOp) (backends.HCNResult, error) {
	parts := strings.FieldsFunc(op.Path, func(r rune) bool { return r == '/' })
	kinds := map[string]string{"networks": "network", "endpoints": "endpoint"}
	if len(parts) == 3 && strings.EqualFold(parts[0], "endpoints") && op.Verb == "POST" {
		return backends.HCNResult{ID: parts[1]}, s.v1Attach(parts[1], strings.ToLower(parts[2]), op.Body)
	}
	if len(parts) == 0 || kinds[strings.ToLower(parts[0])] == "" || len(parts) > 2 {
		return backends.HCNResult{}, unsupported("the v1 request %s %s has no counterpart on the Linux backend", op.Verb, op.Path)
	}
	o := backends.HCNOp{Host: op.Host, Kind: kinds[strings.ToLower(parts[0])], Body: op.Body}
	if len(parts) == 2 {
		o.ID = parts[1]
	}
	switch {
	case op.Verb == "POST" && o.ID == "":
		id, err := s.create(o)
		if err != nil {
			return backends.HCNResult{}, err
		}
		o.ID = id
	case op.Verb == "DELETE" && o.ID != "":
		return backends.HCNResult{}, s.delete(o.Kind, o.ID)
	case op.Verb == "GET" && o.ID != "":
	default:
		return backends.HCNResult{}, unsupported("the v1 request %s %s has no counterpart on the Linux backend", op.Verb, op.Path)
	}
	doc, err := s.show(o.Kind, o.ID, hcn.V1)
	return backends.HCNResult{ID: o.ID, Document: doc}, err
}
