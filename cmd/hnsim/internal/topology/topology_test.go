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

func TestTheExampleOfTheManualBuildsAWorld(t *testing.T) {
	raw, err := os.ReadFile("../../../../sim/standin/README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(raw), "```json\n")
	text, _, _ = strings.Cut(text, "```")
	top, err := Parse("README.md", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	w, err := sim.New(sim.Config{Profile: top.Profile, Knobs: top.Knobs})
	if err == nil {
		err = top.Build(w)
	}
	if err != nil || w.Host("node2") == nil || w.Net.Node("x") == nil {
		t.Error(err)
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
		{`{`, "lab.json:1:2: not JSON: unexpected end of JSON input"},
		{"{\n  \"hosts\" 1}", "lab.json:2:11: not JSON: invalid character '1' after object key"},
		{"{}\n{}", "lab.json:2:1: not JSON: invalid character '{' after top-level value"},
		{"{\"hosts\": [],\n  \"hosts\": []}", "lab.json:2:3: hosts: found the key a second time, expected it once"},
		{host(`, "mtu": 1500, "mtu": 1400`), "hosts[0].mtu: found the key a second time"},
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
		{`{"hosts": [{"name": "a", "ip": ["10.0.0.1/8"]}], "links": [{"node": "b"}]}`, `lab.json:1:69: links[0].node: there is no node "b": expected a`},
		{`{"hosts": [{"name": "a", "ip": ["10.0.0.1/8"]}], "links": [{"node": "a", "loss": "1"}]}`, `links[0].loss: found "1", expected a share`},
		{`{"hosts": [{"name": "a", "ip": ["10.0.0.1/8"]}], "links": [{"node": "a", "delay": "-2ms"}]}`, `links[0].delay: found "-2ms", expected a time`},
		{`{"routers": [{"name": "r"}]}`, `routers[0]: expected "name" and "interfaces"`},
		{`{"externals": [{"name": "x", "interfaces": [{"ip": ["10.0.0.1/8"]}], "dhcp": "10.0.0.5"}]}`, `externals[0].dhcp: found "10.0.0.5", expected the first and the last`},
		{`{"profile": "ws2030"}`, `lab.json:1:13: profile: no profile "ws2030": expected one of ws2016, `},
		{`{"knobs": {"foo": "on"}}`, "lab.json:1:19: knobs.foo: no knob \"foo\": `hnsim explain knob` lists them"},
		{`{"knobs": {"natMaping": "EIM"}}`, `did you mean "natMapping"?`},
		{`{"knobs": {"natMapping": "NAT"}}`, `knobs.natMapping: knob natMapping: `},
		{host(`, "mac": "ff-00-00-00-00-01"`), "lab.json:2:48: hosts[0].mac: found FF-00-00-00-00-01, which is the address of a group: expected"},
		{host(`, "gw": "10.9.0.1"`), "hosts[0].gw: found 10.9.0.1, which is in no subnet of the node: expected an address in 10.0.0.0/24"},
		{host(`, "gw": "10.0.0.1"`), "hosts[0].gw: found 10.0.0.1, which is the node's own address"},
		{host(`, "route": [{"to": "10.9.0.0/16", "via": "10.8.0.1"}]`), "hosts[0].route[0].via: found 10.8.0.1, which is in no subnet"},
		{host(`}, {"name": "h2", "ip": ["10.0.0.1/24"]`), `hosts[1].ip[0]: found 10.0.0.1, which h1 has already on segment lan, VLAN 0: expected one of its own`},
		{host(`, "mac": "00-15-5D-00-00-01"}, {"name": "h2", "mac": "00-15-5D-00-00-01", "ip": ["10.0.0.2/24"]`), `hosts[1].mac: found 00-15-5D-00-00-01, which h1 has already`},
		{`{"hosts": [{"name": "h 1", "ip": ["10.0.0.1/24"]}]}`, `hosts[0].name: found "h 1", expected a name of letters`},
		{`{"hosts": [{"name": "h", "ip": ["10.0.0.0/24"]}]}`, `lab.json:1:33: hosts[0].ip[0]: found 10.0.0.0/24, which is the address of the network 10.0.0.0/24: expected`},
		{`{"hosts": [{"name": "h", "ip": ["10.0.1.127/25"]}]}`, `hosts[0].ip[0]: found 10.0.1.127/25, which is the broadcast address of 10.0.1.0/25`},
		{`{"hosts": [{"name": "h", "ip": ["127.0.0.1/8"]}]}`, `found 127.0.0.1/8, which is a loopback address`},
		{`{"hosts": [{"name": "h", "ip": ["224.0.0.1/8"]}]}`, `found 224.0.0.1/8, which is a multicast address`},
		{`{"hosts": [{"name": "h", "ip": ["10.0.0.1/24"]}], "routers": [{"name": "r", "interfaces": [{"ip": ["10.0.0.1/24"]}]}]}`, `routers[0].interfaces[0].ip[0]: found 10.0.0.1, which h has already`},
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

func TestWhatIsNoMistakeIsAccepted(t *testing.T) {
	for _, text := range []string{
		`{"hosts": [{"name": "a", "ip": ["10.0.0.0/31"]}, {"name": "b", "ip": ["10.0.0.1/31", "fd00::1/64"], "gw": "fe80::1"}]}`,
		`{"hosts": [{"name": "a", "ip": ["10.0.0.1/24"]}, {"name": "b", "ip": ["10.0.0.1/24"], "segment": "other"}]}`,
		`{"hosts": [{"name": "node-1.lab_a", "ip": ["10.0.0.1/32"]}]}`,
	} {
		if _, err := Parse("lab.json", []byte(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestWhatTheModelRefusesHasAPlaceToo(t *testing.T) {
	top, err := Parse("lab.json", []byte("{\"hosts\": [{\"name\": \"a\", \"ip\": [\"10.0.0.1/24\"]}],\n\"links\": [{\"node\": \"a\", \"nic\": \"eth9\"}]}"))
	if err != nil {
		t.Fatal(err)
	}
	w, err := sim.New(sim.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := top.Build(w); err == nil || !strings.HasPrefix(err.Error(), "lab.json:2:11: links[0]: ") {
		t.Error(err)
	}
}

func TestHostFlagsAreCheckedAsFilesAre(t *testing.T) {
	if top, err := OfHosts([]string{"a=10.0.0.1/24", "b=10.0.0.2/24"}); err != nil || len(top.Hosts) != 2 || top.Hosts[0].MAC == top.Hosts[1].MAC {
		t.Errorf("%+v %v", top, err)
	}
	for _, tt := range []struct{ flag, want string }{
		{"b", "expected name=address/bits"}, {"=10.0.0.2/24", "expected name=address/bits"},
		{"a=10.0.0.2/24", "the host name a is given twice"}, {"b=10.0.0.1/24", "found 10.0.0.1, which a has already"},
		{"b=10.0.0.255/24", "broadcast address"}, {"b c=10.0.0.2/24", `found "b c", expected a name`},
	} {
		_, err := OfHosts([]string{"a=10.0.0.1/24", tt.flag})
		if err == nil || !strings.HasPrefix(err.Error(), `--host "`+tt.flag+`": `) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", tt.flag, err, tt.want)
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
