package hns

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/hnsim/hnsim/sim/hcn"
)

// deepCopy renders a state as comparable text: every document and every
// derived value that is exported.
func deepCopy(t *testing.T, s *State) string {
	t.Helper()
	raw, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// checkInvariants checks what holds for every state.
func checkInvariants(t *testing.T, s *State) {
	t.Helper()
	ids := map[string]bool{}
	unique := func(id string) {
		if ids[id] || !hcn.IsGUID(id) {
			t.Errorf("id %q is no GUID or occurs twice", id)
		}
		ids[id] = true
	}
	published := map[published]bool{}
	for _, n := range s.Networks {
		unique(n.Doc.ID)
	}
	for _, e := range s.Endpoints {
		unique(e.Doc.ID)
		if s.NetworkByNum(e.Network) == nil {
			t.Errorf("endpoint %s is on no network", e.Doc.ID)
		}
		if e.State > hcn.EndpointDestroyed || uint16(e.State) != e.Doc.State {
			t.Errorf("endpoint %s: state %d, document says %d", e.Doc.ID, e.State, e.Doc.State)
		}
		attached := e.State == hcn.EndpointAttached || e.State == hcn.EndpointAttachedSharing
		if attached != (e.AttachedTo != NotAttached) || attached != (e.Compartment != 0) {
			t.Errorf("endpoint %s: state %d, attached to %q, compartment %d", e.Doc.ID, e.State, e.AttachedTo, e.Compartment)
		}
		if e.Namespace != "" && !slices.Contains(s.NamespaceByID(e.Namespace).Endpoints, e.Doc.ID) {
			t.Errorf("endpoint %s is in a namespace that does not know it", e.Doc.ID)
		}
		for _, p := range hcn.FindPolicies(e.Doc.Policies, hcn.PolicyPortMapping) {
			m, err := hcn.DecodeSettings[hcn.PortMappingSettings](p)
			h := publishedBy(&m)
			if err != nil || h.port == 0 || published[h] {
				t.Errorf("endpoint %s: port mapping %s", e.Doc.ID, p.Settings)
			}
			published[h] = true
		}
	}
	for _, n := range s.Namespaces {
		unique(n.Doc.ID)
		for _, id := range n.Endpoints {
			if e := s.EndpointByID(id); e == nil || e.Namespace != n.Doc.ID {
				t.Errorf("namespace %s holds endpoint %s, which is elsewhere", n.Doc.ID, id)
			}
		}
	}
	for _, l := range s.LoadBalancers {
		unique(l.Doc.ID)
		if len(l.Endpoints) != len(l.Doc.HostComputeEndpoints) {
			t.Errorf("load balancer %s: %v and %v", l.Doc.ID, l.Endpoints, l.Doc.HostComputeEndpoints)
		}
		for i, num := range l.Endpoints {
			if e := s.EndpointByNum(num); e == nil || e.Doc.ID != l.Doc.HostComputeEndpoints[i] {
				t.Errorf("load balancer %s refers to endpoint %d, which is gone", l.Doc.ID, num)
			}
		}
	}
	for _, r := range s.Routes {
		unique(r.Doc.ID)
		for _, num := range r.Endpoints {
			if s.EndpointByNum(num) == nil {
				t.Errorf("route %s refers to endpoint %d, which is gone", r.Doc.ID, num)
			}
		}
	}
}
