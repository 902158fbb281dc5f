package sim

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/hnsim/hnsim/sim/hns"
	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// twoAddressHost is a host that has 10.127.130.40 and .41.
func (l *lab) twoAddressHost() *Host {
	l.t.Helper()
	h, err := l.w.AddHost(HostConfig{Name: "h3", MAC: wire.MustMAC("00-15-5D-82-00-28"), Gateway: netip.MustParseAddr("10.127.130.1"),
		Addrs: []netip.Prefix{netip.MustParsePrefix("10.127.130.40/24"), netip.MustParsePrefix("10.127.130.41/24")}})
	if err != nil {
		l.t.Fatal(err)
	}
	return h
}

func publishAt(vip string, internal int) string {
	return fmt.Sprintf(`{"Type":"PortMapping","Settings":{"Protocol":6,"InternalPort":%d,"ExternalPort":8080,"VIP":%q}}`, internal, vip)
}

// TestOnePortIsPublishedAtTwoAddressesOfAHost covers rule D-21: a port mapping
// holds a port at one address, though Windows holds it for the whole host.
func TestOnePortIsPublishedAtTwoAddressesOfAHost(t *testing.T) {
	for _, tt := range []struct{ name, network, a, b, free string }{
		{"nat", natNet, "172.16.0.10", "172.16.0.11", "172.16.0.12"},
		{"l2bridge", bridgeNet, "10.127.130.110", "10.127.130.111", "10.127.130.112"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t, Config{})
			h := l.twoAddressHost()
			n := l.network(h, tt.network)
			first := l.container(h, n, endpointDoc("a", tt.a, publishAt("10.127.130.40", 80)))
			second := l.container(h, n, endpointDoc("b", tt.b, publishAt("10.127.130.41", 81)))
			l.serve(first, 80)
			l.serve(second, 81)
			l.ask(l.x.Stack(), "10.127.130.40:8080")
			l.ask(l.x.Stack(), "10.127.130.41:8080")
			if _, err := h.HNS.CreateEndpoint(n, "", []byte(endpointDoc("c", tt.free, publishAt("10.127.130.40", 80)))); err == nil {
				t.Error("a third endpoint publishes at the first one's address")
			}

			a := h.State().Endpoints[0].Doc.ID
			if err := h.HNS.DeleteEndpoint(a); err != nil {
				t.Fatal(err)
			}
			if _, use, held := h.Ports().OwnerOf(wire.ProtoTCP, 8080); !held || use != vfp.StaticUse {
				t.Error("the port that is published still is free")
			}
			l.ask(l.x.Stack(), "10.127.130.41:8080")
			l.moveTo(h, h.State().Endpoints[0], "10.127.130.40")
			l.ask(l.x.Stack(), "10.127.130.40:8080")
			if left := h.Teardown(); len(left) != 0 {
				t.Error(left)
			}
			if _, _, held := h.Ports().OwnerOf(wire.ProtoTCP, 8080); held {
				t.Error("the port outlives its publications")
			}
		})
	}
}

// moveTo replaces the endpoint's policies by the same one at another address.
func (l *lab) moveTo(h *Host, e *hns.Endpoint, vip string) {
	l.t.Helper()
	req := `{"ResourceType":"Policy","RequestType":"Update","Settings":{"Policies":[` + publishAt(vip, 81) + `]}}`
	if err := h.HNS.ModifyEndpoint(e.Doc.ID, []byte(req)); err != nil {
		l.t.Fatal(err)
	}
}
