package hns

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hnsim/hnsim/sim/hcn"
)

// Service is the Host Networking Service of one host. Its methods may be
// called from several goroutines; they take effect one after another.
type Service struct {
	mu      sync.Mutex
	cfg     Config
	cur     *State
	phase   phase
	absent  map[string]bool // adapters that were taken out
	noVFP   map[string]bool // adapters whose forwarding extension was switched off
	persist func(prev, next *State) error
}

// New makes the service of a host with its built-in namespace. Apply is not
// called: there is nothing to program yet.
func New(cfg Config) (*Service, error) {
	if cfg.Profile.Name == "" {
		cfg.Profile = hcn.MustProfile(hcn.DefaultProfile)
	}
	if cfg.Now == nil {
		cfg.Now = func() time.Duration { return 0 }
	}
	seen := map[string]bool{}
	for _, u := range cfg.Uplinks {
		if u.Name == "" || seen[u.Name] {
			return nil, fmt.Errorf("hns: adapter name %q is empty or occurs twice", u.Name)
		}
		seen[u.Name] = true
	}
	s := &Service{cfg: cfg, cur: &State{hints: &hints{}}}
	s.cur.counters.rng = cfg.Seed
	s.cur.counters.compartment = hostCompartmentID // the next one is 2
	t := s.begin()
	for i := range s.cfg.Uplinks {
		if s.cfg.Uplinks[i].GUID == "" {
			s.cfg.Uplinks[i].GUID = t.next.counters.guid()
		}
	}
	t.addHostNamespace()
	s.cur = t.next
	return s, nil
}

// State returns the current snapshot.
func (s *Service) State() *State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cur
}

// Profile returns the service's profile.
func (s *Service) Profile() hcn.Profile { return s.cfg.Profile }

// tx is a change in the making: the next state and what to tell afterwards.
type tx struct {
	s     *Service
	next  *State
	dirty bool
	notes []Notification
}

// begin starts a change. The lists are copied; the objects are shared and
// replaced, never written.
func (s *Service) begin() *tx {
	next := *s.cur
	next.Networks = slices.Clone(s.cur.Networks)
	next.Endpoints = slices.Clone(s.cur.Endpoints)
	next.Namespaces = slices.Clone(s.cur.Namespaces)
	next.LoadBalancers = slices.Clone(s.cur.LoadBalancers)
	next.Routes = slices.Clone(s.cur.Routes)
	return &tx{s: s, next: &next}
}

// change carries out op on the next state, programs the data plane with it,
// and makes it current. Nothing has changed when it returns an error, which
// always is an *hcn.Error.
func (s *Service) change(op func(t *tx) error) error { return s.tell(s.commit(op)) }

// tell ends a change: outside of the lock its notifications go out.
func (s *Service) tell(notes []Notification, err error) error {
	if err != nil {
		return hcn.AsError(err)
	}
	for _, n := range notes {
		s.notify(n)
	}
	return nil
}

func (s *Service) notify(n Notification) {
	if s.cfg.Notify != nil {
		s.cfg.Notify(n)
	}
}

func (s *Service) commit(op func(t *tx) error) ([]Notification, error) {
	s.mu.Lock()
	defer s.mu.Unlock() // also when programming panics: teardown must not hang
	if err := s.phase.refusal(); err != nil {
		return nil, err
	}
	return s.commitLocked(op)
}

func (s *Service) commitLocked(op func(t *tx) error) ([]Notification, error) {
	t := s.begin()
	if err := op(t); err != nil {
		return nil, err
	}
	if !t.dirty {
		return t.notes, nil
	}
	t.next.Generation++
	if s.cfg.Apply != nil {
		if err := s.cfg.Apply(t.next); err != nil {
			return nil, err
		}
	}
	if err := s.keep(t.next); err != nil {
		return nil, err
	}
	s.cur = t.next
	return t.notes, nil
}

// keep hands a state that is in effect to the persist hook. If that fails the
// data plane goes back to the current one.
func (s *Service) keep(next *State) error {
	if s.persist == nil {
		return nil
	}
	err := s.persist(s.cur, next)
	if err != nil && s.cfg.Apply != nil {
		err = errors.Join(err, s.cfg.Apply(s.cur))
	}
	return err
}

// read runs a function on the current state.
func (s *Service) read(f func(cur *State) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.phase.refusal(); err != nil {
		return err
	}
	if err := f(s.cur); err != nil {
		return hcn.AsError(err)
	}
	return nil
}

func (t *tx) profile() *hcn.Profile { return &t.s.cfg.Profile }

func (t *tx) knobs() *hcn.Knobs { return &t.s.cfg.Profile.Knobs }

func (t *tx) note(kind NotificationType, id string) {
	data := fmt.Sprintf(`{"ID":%q,"Flags":0}`, id)
	t.notes = append(t.notes, Notification{Type: kind, ID: id, Data: []byte(data)})
}

// replace puts a changed copy of an object where the old one stood.
func replace[T any](list []*T, old, changed *T) {
	for i := range list {
		if list[i] == old {
			list[i] = changed
			return
		}
	}
	panic("hns: replaced an object that is not in the store")
}

func remove[T any](list []*T, gone *T) []*T {
	return slices.DeleteFunc(list, func(x *T) bool { return x == gone })
}

// editEndpoint replaces an endpoint by a copy and returns the copy, whose
// document and lists may be changed too.
func (t *tx) editEndpoint(e *Endpoint) *Endpoint {
	c := *e
	doc := *e.Doc
	c.Doc = &doc
	c.Containers = slices.Clone(e.Containers)
	c.Doc.Policies = slices.Clone(doc.Policies)
	replace(t.next.Endpoints, e, &c)
	t.dirty = true
	return &c
}

func (t *tx) editNetwork(n *Network) *Network {
	c := *n
	doc := *n.Doc
	c.Doc = &doc
	c.Doc.Policies = slices.Clone(doc.Policies)
	c.Doc.Ipams = cloneIpams(doc.Ipams)
	replace(t.next.Networks, n, &c)
	t.dirty = true
	return &c
}

func cloneIpams(list []hcn.Ipam) []hcn.Ipam {
	out := slices.Clone(list)
	for i := range out {
		out[i].Subnets = slices.Clone(out[i].Subnets)
		for j := range out[i].Subnets {
			out[i].Subnets[j].IpSubnets = slices.Clone(out[i].Subnets[j].IpSubnets)
		}
	}
	return out
}

func (t *tx) editNamespace(n *Namespace) *Namespace {
	c := *n
	doc := *n.Doc
	c.Doc = &doc
	c.Endpoints = slices.Clone(n.Endpoints)
	c.Containers = slices.Clone(n.Containers)
	replace(t.next.Namespaces, n, &c)
	t.dirty = true
	return &c
}

// chooseID decides an object's identity (rule A7): the argument of the call,
// else the document's, else a new one. An id that another object has is an
// error.
func (t *tx) chooseID(argument, doc string, taken func(id string) bool) (string, error) {
	id := ""
	candidates := []string{argument, doc}
	if t.knobs().IDConflict == "document" {
		slices.Reverse(candidates)
	}
	for _, candidate := range candidates {
		if candidate == "" || hcn.SameID(candidate, hcn.ZeroGUID) {
			continue
		}
		canonical, ok := hcn.ParseGUID(candidate)
		if !ok {
			return "", hcn.ErrorAt(hcn.ErrGUIDConversionFailure, "ID", fmt.Sprintf("%q", candidate), "a GUID")
		}
		id = canonical
		break
	}
	if id == "" {
		return t.next.counters.guid(), nil
	}
	if taken(id) {
		return "", hcn.ErrorAt(hcn.ErrAlreadyExists, "ID", fmt.Sprintf("%q", id), "an id that no other object has")
	}
	return id, nil
}
