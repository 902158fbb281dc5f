package hns

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/sim/hcn"
)

// TestWhatServiceCallbacksHear covers the notifications of A.3 and G.1: what an
// operation tells, in order. IDs name the object.
func TestWhatServiceCallbacksHear(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(h *host, net, ep, ns string) error
		want string // NAME:OBJECT ...
	}{
		{"A.3 a network", func(h *host, _, _, _ string) error {
			_, err := h.CreateNetwork(unknownID, []byte(`{"Type":"Private"}`))
			return err
		}, "NetworkPreCreate:new NetworkCreate:new"},
		{"A.3 a network that is refused", func(h *host, _, _, _ string) error {
			_, err := h.CreateNetwork("", []byte(natDoc))
			wantCode(h.t, err, hcn.ErrNetworkAlreadyExists)
			return nil
		}, ""},
		{"A.3 a change of a network", func(h *host, net, _, _ string) error {
			return h.modify(NetworkKind, net, "DNS", "Update", `{"Domain":"d"}`)
		}, ""},
		{"A.3 a network goes, with its endpoint", func(h *host, net, _, _ string) error { return h.DeleteNetwork(net) }, "NetworkPreDelete:net NetworkDelete:net"},
		{"A.3 an attached endpoint goes with it", func(h *host, net, ep, _ string) error {
			h.must(h.AttachEndpoint(ep, AttachRequest{SystemType: ToHost}))
			h.notes = nil
			return h.DeleteNetwork(net)
		}, "NetworkPreDelete:net NetworkEndpointDetached:ep NetworkDelete:net"},
		{"A.3 an endpoint", func(h *host, net, _, _ string) error {
			_, err := h.CreateEndpoint(net, "", []byte(plainEndpoint))
			return err
		}, ""},
		{"A.3 an endpoint goes", func(h *host, _, ep, _ string) error { return h.DeleteEndpoint(ep) }, ""},
		{"A.3 attached the v1 way", func(h *host, _, ep, _ string) error { return h.AttachEndpoint(ep, AttachRequest{SystemType: ToHost}) }, "NetworkEndpointAttached:ep"},
		{"A.3 and detached", func(h *host, _, ep, _ string) error {
			h.must(h.AttachEndpoint(ep, AttachRequest{SystemType: ToHost}))
			h.notes = nil
			return h.DetachEndpoint(ep, AttachRequest{SystemType: ToHost})
		}, "NetworkEndpointDetached:ep"},
		{"A.3 a port of a virtual machine", func(h *host, _, ep, _ string) error {
			return h.modify(EndpointKind, ep, "Port", "Add", `{"PortId":"`+unknownID+`"}`)
		}, "NetworkEndpointAttached:ep"},
		{"A.3 a namespace", func(h *host, _, _, _ string) error {
			_, err := h.CreateNamespace(unknownID, []byte(`{"Type":"Host"}`))
			return err
		}, "NamespaceCreate:new"},
		{"A.3 a namespace goes", func(h *host, _, _, ns string) error { return h.DeleteNamespace(ns) }, "NamespaceDelete:ns"},
		{"A.3 an endpoint joins: nothing runs there", func(h *host, _, ep, ns string) error { return h.join(ns, ep) }, ""},
		{"A.3 a container starts in its namespace", func(h *host, _, ep, ns string) error {
			h.must(h.join(ns, ep))
			return h.StartContainer(ns, "c1", "")
		}, "NetworkEndpointAttached:ep"},
		{"A.3 a second container", func(h *host, _, ep, ns string) error {
			h.must(h.join(ns, ep))
			h.must(h.StartContainer(ns, "c1", ""))
			h.notes = nil
			return h.StartContainer(ns, "c2", "")
		}, ""},
		{"G.5 the service restarts", func(h *host, _, _, _ string) error { return h.Restart() }, "ServiceDisconnect:zero"},
		{"G.5 the service stops", func(h *host, _, _, _ string) error { h.BeginStop(); h.Stop(); return nil }, "ServiceDisconnect:zero"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := mkHost(t, hcn.WS2025)
			net := h.network(natDoc)
			ep, ns := h.endpoint(net, plainEndpoint), h.namespace(hcn.HostNamespace)
			objects := map[string]string{net: "net", ep: "ep", ns: "ns", unknownID: "new", hcn.ZeroGUID: "zero"}
			h.notes = nil
			h.must(c.do(h, net, ep, ns))
			var got []string
			for _, n := range h.notes {
				var base struct {
					ID    string
					Flags *uint32
				}
				if err := json.Unmarshal(n.Data, &base); err != nil || base.Flags == nil {
					t.Errorf("data %s: %v", n.Data, err)
				}
				got = append(got, fmt.Sprintf("%s:%s", n.Type, objects[base.ID]))
			}
			if text := strings.Join(got, " "); text != c.want {
				t.Errorf("heard %q, want %q", text, c.want)
			}
		})
	}
}

// TestNotificationsHaveTheirPublishedNamesAndNumbers covers the table of A.3.
func TestNotificationsHaveTheirPublishedNamesAndNumbers(t *testing.T) {
	for number, name := range map[NotificationType]string{
		0x1: "NetworkPreCreate", 0x2: "NetworkCreate", 0x3: "NetworkPreDelete", 0x4: "NetworkDelete", 0x5: "NamespaceCreate", 0x6: "NamespaceDelete",
		0x7: "GuestNetworkServiceCreate", 0x8: "GuestNetworkServiceDelete", 0x9: "NetworkEndpointAttached", 0x10: "NetworkEndpointDetached",
		0x11: "GuestNetworkServiceStateChanged", 0x01000000: "ServiceDisconnect", 0x13: "Notification(0x13)",
	} {
		if number.String() != name {
			t.Errorf("A.3: %#x is %s, want %s", uint32(number), number, name)
		}
	}
}
