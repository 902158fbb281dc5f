package rest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/sim"
	"github.com/hnsim/hnsim/sim/hcn"
)

func (l *lab) walk(host, from, packet string) *walk {
	l.t.Helper()
	body, err := json.Marshal(map[string]string{"from": from, "packet": packet})
	if err != nil {
		l.t.Fatal(err)
	}
	var w walk
	if err := json.Unmarshal([]byte(l.must(http.StatusOK, "POST", "/v1/trace?host="+host, string(body))), &w); err != nil {
		l.t.Fatal(err)
	}
	return &w
}

const (
	overlayDoc = `{"Name":"vx","Type":"Overlay","Ipams":[{"Subnets":[{"IpAddressPrefix":"10.244.%d.0/24","Policies":[{"Type":"VSID","Settings":{"IsolationId":4096}}],"Routes":[{"NextHop":"10.244.%d.1","DestinationPrefix":"0.0.0.0/0"}]}]}],
		"Policies":[{"Type":"RemoteSubnetRoute","Settings":{"DestinationPrefix":"10.244.%d.0/24","IsolationId":4096,"ProviderAddress":"10.127.130.3%d","DistributedRouterMacAddress":"%s"}},{"Type":"DrMacAddress","Settings":{"Address":"%s"}}]}`
	drMAC1, drMAC2 = "00-15-5D-AA-00-01", "00-15-5D-AA-00-02"
)

func TestAPacketIsFollowedToWhereItEnds(t *testing.T) {
	l := newLab(t, hcn.WS2025)
	net := l.create("/v1/networks", natDoc)
	web := l.pod("h1", net, "web", `,"IpConfigurations":[{"IpAddress":"172.20.0.10"}]`)
	db := l.pod("h1", net, "db", `,"IpConfigurations":[{"IpAddress":"172.20.0.11"}]`)
	idle := l.create("/v1/endpoints?network="+net, `{"Name":"idle","IpConfigurations":[{"IpAddress":"172.20.0.12"}]}`)
	for _, tt := range []struct {
		from, packet, verdict string
		delivered             bool
		step                  string
	}{
		{"web", "udp > 172.20.0.11:80 'x'", "delivered to h1#3, vEthernet (" + db[:8] + "), endpoint " + db, true, ""},
		{web, "udp 172.20.0.10:5 > 172.20.0.11:53 'x'", "endpoint " + db, true, "delivered"},
		{"web", "icmp > 10.127.130.35", "delivered to h1, vEthernet (nat)", true, ""},
		{"web", "tcp > 10.127.130.36:80", "delivered to h2, Ethernet", true, ""},
		{"web", "icmp > 10.127.130.99", "NoNeighbor", false, ""},
		{"host", "udp > 172.20.0.10:99 len=100", "endpoint " + web, true, ""},
		{"", "icmp > 172.20.0.11 ttl=1", "endpoint " + db, true, ""},
		{strings.ToUpper(idle), "udp > 172.20.0.10:9", "PortBlocked", false, "PortBlocked"},
	} {
		w := l.walk("h1", tt.from, tt.packet)
		if w.Delivered != tt.delivered || !strings.Contains(w.Verdict, tt.verdict) || !strings.Contains(strings.Join(w.Steps, "\n"), tt.step) {
			t.Errorf("%s %s: %s %v\n%s", tt.from, tt.packet, w.Verdict, w.Delivered, strings.Join(w.Steps, "\n"))
		}
		if len(w.Events) == 0 || w.ID == 0 || !strings.HasPrefix(w.Packet, "ip(") && tt.from != strings.ToUpper(idle) {
			t.Errorf("%s %s: %+v", tt.from, tt.packet, w)
		}
	}
	for body, want := range map[string]int{
		`{"from":"web","packet":"udp > [fd00::1]:9"}`: http.StatusConflict, // no address of that version
	} {
		l.must(want, "POST", "/v1/trace", body)
	}
	l.create("/v1/endpoints?network="+net, `{"Name":"idle"}`)
	if got := l.must(http.StatusConflict, "POST", "/v1/trace", `{"from":"idle","packet":"icmp > 172.20.0.1"}`); !strings.Contains(got, "2 endpoints") {
		t.Error(got)
	}
	if l.rest.cfg.Watch.rec != nil {
		t.Error("the recording goes on")
	}
}

func TestAPacketIsFollowedThroughATunnel(t *testing.T) {
	l := newLab(t, hcn.WS2025)
	n1 := l.create("/v1/networks", fmt.Sprintf(overlayDoc, 1, 1, 2, 6, drMAC2, drMAC1))
	n2 := l.create("/v1/networks?host=h2", fmt.Sprintf(overlayDoc, 2, 2, 1, 5, drMAC1, drMAC2))
	l.pod("h1", n1, "a", `,"IpConfigurations":[{"IpAddress":"10.244.1.10"}]`)
	b := l.pod("h2", n2, "b", `,"IpConfigurations":[{"IpAddress":"10.244.2.20"}],"Policies":[`+
		`{"Type":"ACL","Settings":{"Protocols":"17","Action":"Block","Direction":"In","LocalPorts":"99","Priority":100}},`+
		`{"Type":"ACL","Settings":{"Protocols":"17","Action":"Allow","Direction":"In","Priority":200}}]`)
	w := l.walk("h1", "a", "udp 10.244.1.10:5000 > 10.244.2.20:53 'hello'")
	if !w.Delivered || !strings.Contains(w.Verdict, "h2#2") || !strings.Contains(w.Verdict, b) {
		t.Errorf("%s\n%+v", w.Verdict, w.Events)
	}
	tunnelled := false
	for _, e := range w.Events {
		tunnelled = tunnelled || e.ID == w.ID && e.What == "wire tx" && strings.Contains(e.Packet, "vxlan(vni 4096)")
	}
	if !tunnelled {
		t.Error("the packet was not seen on the wire")
	}
	w = l.walk("h1", "a", "udp 10.244.1.10:5000 > 10.244.2.20:99 'hello'")
	if w.Delivered || !strings.Contains(w.Verdict, "dropped at h2") || !strings.Contains(w.Verdict, "VfpBlock") || !strings.Contains(strings.Join(w.Steps, "\n"), "match, block") {
		t.Errorf("%s\n%s", w.Verdict, strings.Join(w.Steps, "\n"))
	}
	text := l.must(http.StatusOK, "POST", "/v1/trace?format=text", `{"from":"a","packet":"udp 10.244.1.10:5000 > 10.244.2.20:53 'hello'"}`)
	for _, want := range []string{"in the switches\n", "seen\n", "vxlan(vni 4096)", "\ndelivered to h2#2"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestARecordingIsBounded(t *testing.T) {
	var w Watch
	var cfg sim.Config
	w.Hook(&cfg)
	if cfg.Trace(1) != nil {
		t.Error("a packet is traced while nobody asks")
	}
	w.start()
	for id := range uint64(2 * maxEvents) {
		cfg.Observer.OnReceive(0, "h1#2", "eth", []byte{1, 2, 3}, id)
		if tr := cfg.Trace(id); tr != nil && tr.Max != maxRecords {
			t.Errorf("a trace of %d records", tr.Max)
		}
	}
	rec := w.stop()
	if len(rec.events) != maxEvents || rec.lost != maxEvents || len(rec.traces) != maxTraces {
		t.Errorf("%d events, %d lost, %d traces", len(rec.events), rec.lost, len(rec.traces))
	}
	if n := w.packets[packetKey{"h1", "stack", "rx"}]; n != 2*maxEvents {
		t.Errorf("%d packets counted", n)
	}
}

func TestPacketsThatMakeNoSenseAreRefused(t *testing.T) {
	for _, s := range []string{
		"", "udp", "udp 10.0.0.1", "udp 10.0.0.1:1 10.0.0.2:2", "udp > 10.0.0.2", "udp > x:1", "udp 10.0.0.1:1 > [fd00::1]:1", "ip > 10.0.0.1",
		"300 > 10.0.0.1", "icmp > 10.0.0.1:80", "udp > 10.0.0.2:1 'x", "udp > 10.0.0.2:1 'x' ttl=1", "udp > 10.0.0.2:1 ttl=256", "udp > 10.0.0.2:1 hops=1",
		"udp > 10.0.0.2:1 len=9001", "udp > 10.0.0.2:1 len=1 'x'", "tcp > 10.0.0.2:1 flags=X", "udp > 10.0.0.2:1 ttl", "udp fe80::1%eth0 > fe80::2:1", "udp > 10.0.0.2:99999",
	} {
		if p, err := parsePacket(s); err == nil || !strings.Contains(err.Error(), "expected udp|tcp") {
			t.Errorf("%q: %v %+v", s, err, p)
		}
	}
}
