package topology

import (
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hnsim/hnsim/sim"
)

// example is the one of the package documentation.
func example(t testing.TB) string {
	t.Helper()
	raw, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	var doc strings.Builder
	for line := range strings.Lines(string(raw)) {
		if s, ok := strings.CutPrefix(line, "//\t"); ok {
			doc.WriteString(s)
		}
	}
	return doc.String()
}

func TestTheDocumentedExampleBuildsAWorld(t *testing.T) {
	top, err := Parse("lab.json", []byte(strings.Replace(example(t), `{"name": "value"}`, `{}`, 1)))
	if err != nil {
		t.Fatal(err)
	}
	if top.Profile != "ws2025" || *top.Seed != 1 || len(top.Containers) != 1 || top.Links[0].Delay != 2*time.Millisecond || top.Links[0].Loss != 0.01 {
		t.Errorf("%+v", top)
	}
	w, err := sim.New(sim.Config{Profile: top.Profile})
	if err != nil {
		t.Fatal(err)
	}
	if err := top.Build(w); err != nil {
		t.Fatal(err)
	}
	if h := w.Host("h1"); h == nil || h.NIC("").Link().Delay != 2*time.Millisecond || h.Outer() == nil {
		t.Errorf("h1: %+v", h)
	}
	if w.Net.Node("r") == nil || w.Net.Node("x") == nil {
		t.Error("a node is missing")
	}
}

func TestHostsTakeTheRouterOfTheirSegment(t *testing.T) {
	top, err := Parse("lab.json", []byte(`{"hosts":[{"name":"a","ip":["10.0.0.5/24"]},{"name":"b","ip":["10.0.0.6/24"],"gw":"10.0.0.9"},{"name":"c","ip":["10.0.0.7/24"],"segment":"other"}],
		"routers":[{"name":"r","interfaces":[{"segment":"lan","ip":["10.0.0.1/24"]}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	w, err := sim.New(sim.Config{})
	if err == nil {
		err = top.Build(w)
	}
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"a": "10.0.0.1", "b": "10.0.0.9", "c": ""} {
		_, next, _, ok := w.Host(name).Stack().RouteTo(netip.MustParseAddr("203.0.113.1"))
		if ok != (want != "") || ok && next.String() != want {
			t.Errorf("%s: %v %v, want %s", name, next, ok, want)
		}
	}
}

func TestMistakesSayWhereTheyAre(t *testing.T) {
	host := func(more string) string {
		return "{\"hosts\": [\n  {\"name\": \"h1\", \"ip\": [\"10.0.0.1/24\"]" + more + "}]}"
	}
	tests := []struct{ text, want string }{
		{`{`, "lab.json:1: not JSON"},
		{"{}\n{}", "something follows"},
		{`[]`, "found a list, expected an object"},
		{`{}`, `there is no host: expected "hosts"`},
		{`{"hosts": {}}`, "hosts: found an object, expected a list"},
		{`{"hosts": [{"name": "h1"}]}`, `hosts[0]: expected "name" and "ip"`},
		{host(`, "gateway": "10.0.0.9"`), `lab.json:2:`},
		{host(`, "gateway": "10.0.0.9"`), `hosts[0].gateway: there is no such key`},
		{host(`, "segmnt": "x"`), "did you mean segment?"},
		{host(`, "mtu": 20`), "hosts[0].mtu: found 20, expected a number from 576 to 65535"},
		{host(`, "vlan": -1`), "hosts[0].vlan: found -1, expected a number from 0 to 4094"},
		{host(`, "mac": "1:2"`), `hosts[0].mac: found "1:2", expected a MAC address`},
		{host(`, "gw": 5`), "hosts[0].gw: found 5, expected an address"},
		{host(`, "route": [{"to": "10.0.0.0/8"}]`), `hosts[0].route[0]: found an object, expected {"to"`},
		{host(`, "outer": {"spoofing": "on"}`), `hosts[0].outer.spoofing: found "on", expected true or false`},
		{`{"hosts": [{"name": "h1", "ip": ["10.0.0.1"]}]}`, `hosts[0].ip[0]: found "10.0.0.1", expected an address with the length`},
		{`{"hosts": [{"name": "a", "ip": ["10.0.0.1/8"]}, {"name": "a", "ip": ["10.0.0.2/8"]}]}`, `hosts[1].name: there is a node "a" already`},
		{`{"hosts": [{"name": "a", "ip": ["10.0.0.1/8"]}], "links": [{"node": "b"}]}`, `links: there is no node "b"`},
		{`{"hosts": [{"name": "a", "ip": ["10.0.0.1/8"]}], "links": [{"node": "a", "loss": "1"}]}`, `links[0].loss: found "1", expected a share`},
		{`{"hosts": [{"name": "a", "ip": ["10.0.0.1/8"]}], "links": [{"node": "a", "delay": "-2ms"}]}`, `links[0].delay: found "-2ms", expected a time`},
		{`{"routers": [{"name": "r"}]}`, `routers[0]: expected "name" and "interfaces"`},
		{`{"externals": [{"name": "x", "interfaces": [{"ip": ["10.0.0.1/8"]}], "dhcp": "10.0.0.5"}]}`, `externals[0].dhcp: found "10.0.0.5", expected the first and the last`},
		{`{"knobs": {"a": 1}}`, "knobs.a: found 1, expected a text"},
		{`{"seed": -1}`, "seed: found -1, expected a number"},
		{`{"containers": [""]}`, `containers[0]: found "", expected a text`},
	}
	for _, tt := range tests {
		_, err := Parse("lab.json", []byte(tt.text))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s\n got %v\nwant %s", tt.text, err, tt.want)
		}
	}
}

// FuzzParse looks for crashes, in the reader and in building.
func FuzzParse(f *testing.F) {
	f.Add(example(f))
	f.Add(`{"hosts":[{"name":"a","ip":["10.0.0.5/24","fd00::1/64"]}],"links":[{"node":"a","nic":"Ethernet","down":true}]}`)
	f.Add(`{"hosts":[{"name":"a","ip":["0.0.0.0/0"]}],"externals":[{"name":"x","interfaces":[{"ip":["10.0.0.1/8"]}],"dhcp":"fd00::1-10.0.0.1"}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		top, err := Parse("f", []byte(text))
		if err != nil {
			return
		}
		w, err := sim.New(sim.Config{})
		if err != nil {
			t.Fatal(err)
		}
		_ = top.Build(w)
	})
}
