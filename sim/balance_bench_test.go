package sim

import (
	"fmt"
	"testing"
)

// BenchmarkServiceChange is one change of a load balancer in place on a node with
// fifty pods and three hundred services of three backends.
func BenchmarkServiceChange(b *testing.B) {
	l := newLab(b, Config{Profile: "ws2025"})
	net := l.network(l.h1, bridgeNet)
	var pods []string
	for i := range 50 {
		l.container(l.h1, net, endpointDoc(fmt.Sprint("p", i), fmt.Sprintf("10.127.130.%d", 100+i), ""))
		list := l.h1.State().Endpoints
		pods = append(pods, list[len(list)-1].Doc.ID)
	}
	doc := func(i, turn int) []byte {
		at := func(k int) string { return pods[(i+turn+k)%len(pods)] }
		return fmt.Appendf(nil, `{"HostComputeEndpoints":[%q,%q,%q],"FrontendVIPs":["10.96.%d.%d"],"Flags":1,
			"PortMappings":[{"Protocol":6,"ExternalPort":80,"InternalPort":8080}]}`, at(0), at(7), at(11), i>>8, i&255)
	}
	var services []string
	for i := range 300 {
		id, _, err := l.h1.HNS.Do("loadbalancer", "create", "", "", doc(i, 0))
		if err != nil {
			b.Fatal(err)
		}
		services = append(services, id)
	}
	turn := 0
	for b.Loop() {
		turn++
		i := turn % len(services)
		if _, _, err := l.h1.HNS.Do("loadbalancer", "modify", services[i], "", doc(i, turn)); err != nil {
			b.Fatal(err)
		}
	}
}
