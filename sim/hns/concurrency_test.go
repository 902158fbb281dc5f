package hns

import (
	"fmt"
	"sync"
	"testing"

	"github.com/hnsim/hnsim/sim/hcn"
)

// TestClientsAtOnceLoseNothing runs mixed operations from several goroutines;
// with -race it also shows that states are not written after publication.
func TestClientsAtOnceLoseNothing(t *testing.T) {
	h := mkHost(t, hcn.WS2025)
	h.Service.cfg.Notify = nil // the fixture's list is not for several goroutines
	net := h.network(`{"Name":"big","Type":"NAT","Ipams":[{"Subnets":[{"IpAddressPrefix":"192.168.0.0/16"}]}]}`)
	const clients, rounds = 16, 40
	var wg sync.WaitGroup
	names := make(chan error, clients)
	for c := 0; c < clients; c++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			_, err := h.CreateNetwork("", []byte(`{"Name":"contested","Type":"Private"}`))
			names <- err
			for i := 0; i < rounds; i++ {
				if err := session(h, net, fmt.Sprintf("c%d-%d", c, i)); err != nil {
					t.Error(err)
					return
				}
			}
		}()
	}
	wg.Wait()
	close(names)
	winners := 0
	for err := range names {
		if err == nil {
			winners++
		} else {
			wantCode(t, err, hcn.ErrNetworkAlreadyExists)
		}
	}
	s := h.State()
	if winners != 1 {
		t.Errorf("%d networks of one name", winners)
	}
	if len(s.Endpoints) != clients*rounds/2 || len(s.Namespaces) != 1 || s.NetworkByID(net).Created != clients*rounds {
		t.Errorf("%d endpoints, %d namespaces, %d ever created", len(s.Endpoints), len(s.Namespaces), s.NetworkByID(net).Created)
	}
	checkInvariants(t, s)
}

// session is the life of one pod; every other endpoint stays behind.
func session(h *host, net, name string) error {
	ep, doc, err := h.Do(EndpointKind, "create", "", net, []byte(withPolicies(name, portMapping(6, 80, 0))))
	if err != nil || len(doc) == 0 {
		return fmt.Errorf("create: %w", err)
	}
	ns, _, err := h.Do(NamespaceKind, "create", "", "", []byte(`{"Type":"Host"}`))
	if err != nil {
		return err
	}
	steps := []func() error{
		func() error { return h.join(ns, ep) },
		func() error { return h.StartContainer(ns, name, "") },
		func() error {
			_, err := h.Enumerate(EndpointKind, []byte(`{"Name":"`+name+`"}`))
			return err
		},
		func() error { return h.StopContainer(ns, name) },
		func() error { return h.DeleteNamespace(ns) },
	}
	for _, s := range steps {
		if err := s(); err != nil {
			return err
		}
	}
	if name[len(name)-1]%2 == 0 {
		return h.DeleteEndpoint(ep)
	}
	return nil
}
