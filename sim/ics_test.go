package sim

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/sim/hcn"
)

// TestTheDefaultSwitchGivesAddressesAndNAT loads the Default Switch of a real
// host (sample 04, its typing error corrected): endpoints that ask by DHCP get
// what no other endpoint has, and reach the outside.
func TestTheDefaultSwitchGivesAddressesAndNAT(t *testing.T) {
	l := nodeLab(t, hcn.WS2025, "10.1.36.50")
	doc := strings.ReplaceAll(string(sample(t, "04")[0]), "192.169.", "192.168.")
	net := l.post(l.h1, "/networks/", []byte(doc), "")
	static := l.post(l.h1, "/endpoints/", v1Endpoint(net, "192.168.201.242"), "")
	ask := []byte(`{"VirtualNetwork":"` + net + `","Flags":32}`)
	first, second := l.post(l.h1, "/endpoints/", ask, ""), l.post(l.h1, "/endpoints/", ask, "")
	l.run(l.h1, static)
	l.serve(l.x.Stack(), 80)
	for _, ep := range []string{first, second} {
		pod := l.run(l.h1, ep)
		l.settle()
		var addr string
		for _, i := range pod.Interfaces() {
			for _, a := range i.Addrs() {
				if a.Addr().Is4() && !a.Addr().IsLoopback() {
					addr = a.String()
				}
			}
		}
		if addr != "192.168.201.243/29" && addr != "192.168.201.244/29" {
			t.Fatalf("the endpoint has %q", addr)
		}
		l.ask(pod, "203.0.113.80:80")
	}
	// Another endpoint changes the server's program, not its leases.
	l.post(l.h1, "/endpoints/", v1Endpoint(net, "192.168.201.246"), "")
	third := l.post(l.h1, "/endpoints/", ask, "")
	pod := l.run(l.h1, third)
	l.settle()
	l.ask(pod, "203.0.113.80:80")
	fourth := l.run(l.h1, l.post(l.h1, "/endpoints/", ask, ""))
	l.settle()
	if _, _, src, ok := fourth.RouteTo(netip.MustParseAddr("203.0.113.80")); ok {
		t.Errorf("an address out of nowhere: %s", src)
	}
}
