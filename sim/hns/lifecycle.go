package hns

import (
	"slices"

	"github.com/hnsim/hnsim/sim/hcn"
)

// phase of the service's process.
type phase uint8

const (
	running phase = iota
	stopping
	stopped
)

// refusal is what every call gets in a phase (D.3 #47).
func (p phase) refusal() error {
	switch p {
	case stopping:
		return hcn.Errorf(hcn.ErrManagerStopped, "the service is stopping")
	case stopped:
		return hcn.Errorf(hcn.ErrUnknownInterface, "the service is not running")
	}
	return nil
}

// BeginStop is the time in which the service ends: calls fail with 0x803b0020
// until Stop.
func (s *Service) BeginStop() {
	s.mu.Lock()
	s.phase = stopping
	s.mu.Unlock()
}

// Stop ends the service: every call fails with 0x6b5 until Start. The data
// plane keeps forwarding (rule LB-21).
func (s *Service) Stop() {
	s.mu.Lock()
	s.phase = stopped
	s.mu.Unlock()
	s.notify(Notification{Type: ServiceDisconnect, Data: []byte(`{"ID":"` + hcn.ZeroGUID + `","Flags":0}`)})
}

// Running reports whether the service answers: it is neither stopped nor
// stopping.
func (s *Service) Running() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.phase == running
}

// Start brings a stopped service back. What it remembers is the knob
// hnsRestart: everything, or networks and namespaces without endpoints and
// load balancers (G.5). After an error it is stopped as before, and has
// forgotten nothing.
func (s *Service) Start() error {
	return s.revive(func(t *tx) error {
		t.dirty = true
		if t.knobs().HNSRestart == "lose-endpoints" {
			t.loseEndpoints()
			return nil
		}
		for _, l := range t.next.LoadBalancers {
			c := t.editBalancer(l)
			c.restored, c.RestoredAt = true, t.s.cfg.Now()
		}
		return nil
	})
}

// revive lets the service run with what op leaves of its state. Nobody sees it
// running with the state of before, and after an error it is in the phase in
// which it was.
func (s *Service) revive(op func(t *tx) error) error {
	run := func() ([]Notification, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		notes, err := s.commitLocked(op)
		if err == nil {
			s.phase = running
		}
		return notes, err
	}
	return s.tell(run())
}

// Resume makes a new service go on from a stored state, as HNS does when it
// starts again on a host that stayed up (G.5): what Start forgets is forgotten,
// everything else is as it was, and the data plane is programmed with it. The
// service must not have been used before. The error tells what in the state
// cannot be, or what the data plane refuses.
func (s *Service) Resume(stored *State) error {
	if err := stored.check(); err != nil {
		return err
	}
	s.mu.Lock()
	fresh := s.cur
	s.cur = &State{}
	*s.cur = *stored
	s.cur.hints = fresh.hints
	s.mu.Unlock()
	err := s.Start()
	if err != nil {
		s.mu.Lock()
		s.cur = fresh
		s.mu.Unlock()
	}
	return err
}

// Persist sets the hook that stores changes: it is called with the service's
// lock held, after Apply and before the change becomes current. An error from
// it is the operation's answer and undoes the operation. prev and next are as
// StoreDelta wants them.
func (s *Service) Persist(hook func(prev, next *State) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.persist = hook
}

// Restart stops and starts the service.
func (s *Service) Restart() error {
	s.Stop()
	return s.Start()
}

func (t *tx) loseEndpoints() {
	t.next.Endpoints, t.next.LoadBalancers, t.next.Routes = nil, nil, nil
	for _, n := range t.next.Namespaces {
		t.editNamespace(n).Endpoints = nil
	}
}

// Reboot restarts the host: endpoints, load balancers, routes and namespaces
// are gone; NAT and ICS networks are gone since RS5 (rule NAT-06); external
// networks stay unless their flag or the knob rebootExternal says otherwise
// (G.5). Containers are gone with their namespaces. After an error all is as it
// was.
func (s *Service) Reboot() error {
	return s.revive(func(t *tx) error {
		t.dirty = true
		t.next.Endpoints, t.next.LoadBalancers, t.next.Routes, t.next.Namespaces = nil, nil, nil, nil
		t.next.Networks = slices.DeleteFunc(t.next.Networks, func(n *Network) bool { return !t.outlivesReboot(n) })
		t.next.counters.compartment = hostCompartmentID // numbers start again with the session
		t.addHostNamespace()
		for _, n := range t.next.Networks {
			c := t.editNetwork(n)
			c.Created, c.MaxEndpoints = 0, 0
		}
		return nil
	})
}

func (t *tx) outlivesReboot(n *Network) bool {
	if n.Doc.Flags&hcn.EnableNonPersistent != 0 {
		return false
	}
	switch n.Type {
	case hcn.NAT, hcn.ICS:
		return t.profile().OSBuild < buildNATGone
	case hcn.Transparent, hcn.L2Bridge, hcn.L2Tunnel, hcn.Overlay:
		return t.knobs().RebootExternal == "keep"
	}
	return true
}
