package hns

import "github.com/hnsim/hnsim/sim/hcn"

// SetAdapterPresent takes a physical adapter of the host out, or puts it back.
// Without it the networks on it are degraded: their endpoints are in state 5
// and carry no packets, and requests about them fail with 0x803b0017, deletions
// apart (G.2, D.3 #46). Endpoints go back to the state that what they are
// attached to implies.
func (s *Service) SetAdapterPresent(name string, present bool) error {
	err := s.change(func(t *tx) error {
		if !s.hasAdapter(name) {
			return hcn.Errorf(hcn.ErrAdapterNotFound, "the host has no adapter %q: it has %s", name, t.adapterNames())
		}
		for _, n := range t.next.Networks {
			if n.Uplink != name || n.Degraded != present {
				continue
			}
			t.editNetwork(n).Degraded = !present
			for _, e := range t.next.EndpointsOf(n.Num) {
				if !e.Remote {
					t.degrade(t.editEndpoint(e), !present)
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.absent == nil {
		s.absent = map[string]bool{}
	}
	s.absent[name] = !present
	return nil
}

// SetExtension switches the forwarding extension of a physical adapter, without
// which no network that needs VFP can be made on it (D.3 #19). It is refused
// while such a network is there.
func (s *Service) SetExtension(name string, on bool) error {
	err := s.change(func(t *tx) error {
		if !s.hasAdapter(name) {
			return hcn.Errorf(hcn.ErrAdapterNotFound, "the host has no adapter %q: it has %s", name, t.adapterNames())
		}
		for _, n := range t.next.Networks {
			if n.Uplink == name && n.Type.UsesVFP() && !on {
				return hcn.Errorf(hcn.ErrSharedSwitchModification, "network %q on adapter %q needs the forwarding extension", n.Doc.Name, name)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.noVFP == nil {
		s.noVFP = map[string]bool{}
	}
	s.noVFP[name] = !on
	return nil
}

// withoutVFP: the adapter has no forwarding extension, or not now.
func (t *tx) withoutVFP(u *Uplink) bool { return u.NoVFP || t.s.noVFP[u.Name] }

func (s *Service) hasAdapter(name string) bool {
	for _, u := range s.cfg.Uplinks {
		if u.Name == name {
			return true
		}
	}
	return false
}

func (t *tx) degrade(e *Endpoint, on bool) {
	switch {
	case on:
		e.State = hcn.EndpointDegraded
	case e.AttachedTo == NotAttached:
		e.State = hcn.EndpointCreated
	case len(e.Containers) > 1:
		e.State = hcn.EndpointAttachedSharing
	default:
		e.State = hcn.EndpointAttached
	}
	e.Doc.State = uint16(e.State)
}

func degraded(n *Network) error {
	return hcn.Errorf(hcn.ErrDegradedOperation, "network %q has lost adapter %q", n.Doc.Name, n.Uplink)
}
