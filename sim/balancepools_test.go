package sim

import (
	"fmt"
	"strings"
	"testing"
)

// Rules LB-04, L2B-23: every load balancer without DSR holds a block of 64 of the
// node's 16384 dynamic ports, so that some hundred services use them up; with
// shared pools, or with DSR, they do not.
func TestLoadBalancersUseUpTheDynamicPorts(t *testing.T) {
	for shared, want := range map[string]int{"off": 255, "on": 400} {
		l := newLab(t, Config{Knobs: map[string]string{"lbSharedPools": shared}})
		net := l.network(l.h1, bridgeNet)
		l.container(l.h1, net, endpointDoc("a", "10.127.130.110", `{"Type":"OutBoundNAT","Settings":{"Exceptions":["10.0.0.0/8"]}}`))
		pod := l.h1.State().Endpoints[0].Doc.ID
		create := func(i, flags int) (string, error) {
			id, _, err := l.h1.HNS.Do("loadbalancer", "create", "", "", fmt.Appendf(nil,
				`{"HostComputeEndpoints":[%q],"FrontendVIPs":["10.96.%d.%d"],"Flags":%d,"PortMappings":[{"Protocol":6,"ExternalPort":80,"InternalPort":8080}]}`,
				pod, i>>8, i&255, flags))
			return id, err
		}
		made, first, last := 0, "", error(nil)
		for ; made < 400 && last == nil; made++ {
			var id string
			if id, last = create(made, 0); made == 0 {
				first = id
			}
		}
		if last != nil {
			made--
		}
		if made != want {
			t.Errorf("shared pools %s: %d load balancers, want %d: %v", shared, made, want, last)
		}
		if last != nil && !strings.Contains(last.Error(), "HCN_E_PORT_ALREADY_EXISTS") {
			t.Errorf("the refusal is %v", last)
		}
		if _, err := create(1000, 1); err != nil {
			t.Errorf("with DSR: %v", err)
		}
		if _, _, err := l.h1.HNS.Do("loadbalancer", "delete", first, "", nil); err != nil {
			t.Fatal(err)
		}
		if _, err := create(1001, 0); err != nil {
			t.Errorf("after one has gone: %v", err)
		}
	}
}
