package sim

import (
	"encoding/json"
	"net/netip"
	"testing"

	"github.com/hnsim/hnsim/sim/fabric/ipstack"
	"github.com/hnsim/hnsim/sim/hns"
)

// stats asks HNS for the counters of an endpoint, as clients do.
func (l *lab) stats(h *Host, id string) (s hns.EndpointStats) {
	l.t.Helper()
	raw, err := h.HNS.HNSRequest("GET", "/endpointstats/"+id, nil)
	if err != nil {
		l.t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		l.t.Fatal(err)
	}
	return s
}

func TestEndpointStatsCountThePacketsOfTheEndpoint(t *testing.T) {
	for _, cache := range []bool{true, false} {
		l := newLab(t, Config{NoFlowCache: !cache})
		n := l.network(l.h1, bridgeNet)
		a := l.container(l.h1, n, endpointDoc("a", "10.127.130.110", `{"Type":"ACL","Settings":{"Protocols":"17","Action":"Block","Direction":"Out","RemotePorts":"99","RuleType":"Switch","Priority":200}}`))
		l.container(l.h1, n, endpointDoc("b", "10.127.130.111", `{"Type":"ACL","Settings":{"Protocols":"17","Action":"Block","Direction":"In","LocalPorts":"98","RuleType":"Switch","Priority":200}}`))
		ids := []string{l.h1.State().Endpoints[0].Doc.ID, l.h1.State().Endpoints[1].Doc.ID}
		send := func(port uint16) {
			t.Helper()
			if _, _, err := a.SendUDP(l.w.Loop().Now(), ipstack.UDPOptions{Payload: make([]byte, 100),
				Dst: netip.AddrPortFrom(netip.MustParseAddr("10.127.130.111"), port)}); err != nil {
				t.Fatal(err)
			}
			l.settle()
		}
		send(53) // and the ARP before it
		before := []hns.EndpointStats{l.stats(l.h1, ids[0]), l.stats(l.h1, ids[1])}
		for range 3 {
			send(53)
		}
		send(98)
		send(99)
		const frame = 14 + 20 + 8 + 100
		sent, got := l.stats(l.h1, ids[0]), l.stats(l.h1, ids[1])
		want := before[0]
		want.PacketsSent += 5
		want.BytesSent += 5 * frame
		want.DroppedPacketsOutgoing++
		if sent != want {
			t.Errorf("cache %v: the sender counts %+v, want %+v", cache, sent, want)
		}
		want = before[1]
		want.PacketsReceived += 3
		want.BytesReceived += 3 * frame
		want.DroppedPacketsIncoming++
		if got != want {
			t.Errorf("cache %v: the receiver counts %+v, want %+v", cache, got, want)
		}
		if err := l.h1.HNS.DeleteEndpoint(ids[0]); err != nil {
			t.Fatal(err)
		}
		if s := l.h1.endpointStats(ids[0]); s != (hns.EndpointStats{}) {
			t.Errorf("an endpoint that is gone counts %+v", s)
		}
	}
}
