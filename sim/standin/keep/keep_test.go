package keep

import (
	"bytes"
	"errors"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hnsim/hnsim/sim"
	"github.com/hnsim/hnsim/sim/fabric/ipstack"
	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/hns"
)

const (
	natDoc    = `{"Name":"nat","Type":"NAT","Ipams":[{"Subnets":[{"IpAddressPrefix":"172.20.0.0/16"}]}]}`
	bridgeDoc = `{"Name":"cbr0","Type":"L2Bridge","Ipams":[{"Subnets":[{"IpAddressPrefix":"10.244.1.0/24","Routes":[{"NextHop":"10.244.1.1","DestinationPrefix":"0.0.0.0/0"}]}]}]}`
	portDoc   = `{"Name":"web","Policies":[{"Type":"PortMapping","Settings":{"Protocol":6,"InternalPort":80,"ExternalPort":8080}}]}`
)

func mkWorld(t *testing.T, profile string, hosts ...string) *sim.World {
	t.Helper()
	w, err := sim.New(sim.Config{Seed: 1, Profile: profile})
	if err != nil {
		t.Fatal(err)
	}
	if len(hosts) == 0 {
		hosts = []string{"h1"}
	}
	for i, name := range hosts {
		if _, err := w.AddHost(sim.HostConfig{Name: name, Addrs: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 127, 130, byte(35 + i)}), 24)}}); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// start makes a world from a file.
func start(t *testing.T, cfg Config) (*Keeper, *Report) {
	t.Helper()
	k, rep, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.Close() })
	return k, rep
}

func create(t *testing.T, h *sim.Host, kind hns.Kind, parent, doc string) string {
	t.Helper()
	id, err := h.HNS.Create(kind, "", parent, []byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// populate makes two pods on a network and a load balancer.
func populate(t *testing.T, h *sim.Host) (web, db string) {
	t.Helper()
	net := create(t, h, hns.NetworkKind, "", natDoc)
	web = create(t, h, hns.EndpointKind, net, portDoc)
	db = create(t, h, hns.EndpointKind, net, `{"Name":"db"}`)
	for _, ep := range []string{web, db} {
		create(t, h, hns.NamespaceKind, "", `{"Type":"Host","Resources":[{"Type":"Endpoint","Data":{"Id":"`+ep+`"}},{"Type":"Container","Data":{"Id":"c-`+ep+`"}}]}`)
	}
	return web, db
}

// documents are all documents of a host in both shapes.
func documents(t *testing.T, h *sim.Host) string {
	t.Helper()
	var out []string
	for _, kind := range []hns.Kind{hns.NetworkKind, hns.EndpointKind, hns.NamespaceKind, hns.LoadBalancerKind, hns.RouteKind} {
		for _, q := range []string{"", `{"SchemaVersion":{"Major":1},"Flags":1}`} {
			doc, err := h.HNS.List(kind, []byte(q))
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, string(doc))
		}
	}
	return strings.Join(out, "\n")
}

// ping sends an echo from one endpoint's container to another's.
func ping(t *testing.T, w *sim.World, from, to string) {
	t.Helper()
	s := w.Hosts()[0].State()
	a, b := s.EndpointByID(from), s.EndpointByID(to)
	c := w.Hosts()[0].Compartment(a.Compartment)
	if c == nil {
		t.Fatalf("compartment %d is not there", a.Compartment)
	}
	e, err := c.Stack.Ping(w.Loop().Now(), ipstack.PingOptions{Dst: b.Addr()})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Loop().Settle(); err != nil || !e.OK {
		t.Errorf("no answer from %s: %v", b.Addr(), err)
	}
}

func TestAWorldIsThereAgainWithItsDataPlane(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	w := mkWorld(t, hcn.WS2025)
	k, rep := start(t, Config{Path: path, World: w})
	if !rep.New {
		t.Error("the file is not new")
	}
	web, db := populate(t, w.Hosts()[0])
	_ = w.Loop().Advance(time.Hour)
	create(t, w.Hosts()[0], hns.NetworkKind, "", bridgeDoc)
	if err := k.Sync(); err != nil {
		t.Fatal(err)
	}
	was := documents(t, w.Hosts()[0])
	k.Close() // as a crash: nothing is written

	again := mkWorld(t, hcn.WS2025)
	_, rep = start(t, Config{Path: path, World: again})
	if want := (Count{Networks: 2, Endpoints: 2, Namespaces: 2}); rep.Found != want || rep.Kept != want || rep.New || rep.Torn != 0 {
		t.Errorf("%+v", rep)
	}
	if is := documents(t, again.Hosts()[0]); is != was {
		t.Errorf("documents have changed:\n was %s\n  is %s", was, is)
	}
	if now := again.Loop().Now(); now < int64(time.Hour) {
		t.Errorf("time begins again: %v", time.Duration(now))
	}
	ping(t, again, web, db)
	// What is taken stays taken.
	h := again.Hosts()[0]
	net := h.State().EndpointByID(web).Doc.HostComputeNetwork
	if _, err := h.HNS.Create(hns.EndpointKind, "", net, []byte(strings.Replace(portDoc, "web", "other", 1))); err == nil {
		t.Error("a published port is given out twice")
	}
	made := create(t, h, hns.EndpointKind, net, `{}`)
	ep := h.State().EndpointByID(made)
	for _, id := range []string{web, db} {
		if old := h.State().EndpointByID(id); ep.MAC == old.MAC || ep.Addr() == old.Addr() || ep.Num == old.Num {
			t.Errorf("%+v has what %+v has", ep, old)
		}
	}
}

func TestTheProfileDecidesWhatARestartKeeps(t *testing.T) {
	for _, tt := range []struct {
		profile string
		reboot  bool
		want    Count
	}{
		{hcn.WS2025, false, Count{Networks: 2, Endpoints: 2, Namespaces: 2}},
		{hcn.WS2022, false, Count{Networks: 2, Namespaces: 2}}, // loses endpoints (calico#5164)
		{hcn.WS2025, true, Count{Networks: 1}},                 // the external one
		{hcn.WS2016, true, Count{Networks: 2}},                 // NAT networks outlive a reboot before RS5
	} {
		path := filepath.Join(t.TempDir(), "state")
		w := mkWorld(t, tt.profile)
		k, _ := start(t, Config{Path: path, World: w})
		h := w.Hosts()[0]
		if tt.profile == hcn.WS2016 {
			create(t, h, hns.NetworkKind, "", `{"Name":"nat","Type":"nat","Subnets":[{"AddressPrefix":"172.20.0.0/16"}]}`)
			create(t, h, hns.NetworkKind, "", `{"Name":"l2","Type":"l2bridge","Subnets":[{"AddressPrefix":"10.244.1.0/24","GatewayAddress":"10.244.1.1"}]}`)
		} else {
			populate(t, h)
			create(t, h, hns.NetworkKind, "", bridgeDoc)
		}
		k.Close()
		again := mkWorld(t, tt.profile)
		k, rep := start(t, Config{Path: path, World: again, Reboot: tt.reboot})
		if rep.Kept != tt.want {
			t.Errorf("%s, reboot %v: kept %v, want %v", tt.profile, tt.reboot, rep.Kept, tt.want)
		}
		k.Close()
		// What is gone is gone from the file as well.
		_, rep = start(t, Config{Path: path, World: mkWorld(t, tt.profile)})
		if rep.Found != tt.want {
			t.Errorf("%s, reboot %v: the file has %v", tt.profile, tt.reboot, rep.Found)
		}
	}
}

func TestWhatDoesNotFitTheWorldIsRefusedAndNotTouched(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	w := mkWorld(t, hcn.WS2025, "h1", "h2")
	k, _ := start(t, Config{Path: path, World: w})
	populate(t, w.Hosts()[1])
	k.Close()
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before = append(before, "0b64c1e2 978 {"...) // a crash has left that
	if err := os.WriteFile(path, before, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		world *sim.World
		want  string
	}{
		{mkWorld(t, hcn.WS2022, "h1", "h2"), "--profile ws2025"},
		{mkWorld(t, hcn.WS2025, "h1"), `host "h2"`},
	} {
		_, _, err := Open(Config{Path: path, World: tt.world})
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "Nothing was changed") {
			t.Errorf("want %s, got %v", tt.want, err)
		}
		if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
			t.Error("the file was changed")
		}
	}
	// A host more is no contradiction.
	_, rep := start(t, Config{Path: path, World: mkWorld(t, hcn.WS2025, "h1", "h2", "h3")})
	if rep.Kept.Endpoints != 2 || len(rep.Absent) != 1 || rep.Torn == 0 {
		t.Errorf("%+v", rep)
	}
}

// TestAnAdapterThatIsGoneIsRefused: the state is in order, but the data plane
// cannot be programmed with it.
func TestAnAdapterThatIsGoneIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	w := mkWorld(t, hcn.WS2025)
	k, _ := start(t, Config{Path: path, World: w})
	create(t, w.Hosts()[0], hns.NetworkKind, "", bridgeDoc)
	k.Close()
	other, err := sim.New(sim.Config{Seed: 1, Profile: hcn.WS2025})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.AddHost(sim.HostConfig{Name: "h1", Adapter: "Ethernet 7", Addrs: []netip.Prefix{netip.MustParsePrefix("10.127.130.35/24")}}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Open(Config{Path: path, World: other}); err == nil || !strings.Contains(err.Error(), "Ethernet") {
		t.Errorf("%v", err)
	}
}

func TestTheFileStaysInProportion(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	w := mkWorld(t, hcn.WS2025)
	k, _ := start(t, Config{Path: path, World: w})
	h := w.Hosts()[0]
	net := create(t, h, hns.NetworkKind, "", natDoc)
	for range 1500 {
		ep := create(t, h, hns.EndpointKind, net, `{"Name":"x"}`)
		if err := errors.Join(h.HNS.DeleteEndpoint(ep), k.Tidy()); err != nil {
			t.Fatal(err)
		}
	}
	if s := k.Stats(); s.Rewrites < 2 || s.Size > 3<<20 {
		t.Errorf("%+v", s)
	}
	was := documents(t, h)
	k.Close()
	again := mkWorld(t, hcn.WS2025)
	start(t, Config{Path: path, World: again})
	if is := documents(t, again.Hosts()[0]); is != was {
		t.Error("documents have changed")
	}
}

var update = flag.Bool("update", false, "write the state file of TestOldFilesCanBeRead")

// TestOldFilesCanBeRead reads a file that an earlier version has written. When
// it fails because the format has changed, the version of the format goes up
// (statefile) and the old one is still read, or refused by its version.
func TestOldFilesCanBeRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	const golden = "testdata/version1.state"
	if *update {
		w := mkWorld(t, hcn.WS2025)
		k, _ := start(t, Config{Path: path, World: w})
		h := w.Hosts()[0]
		web, db := populate(t, h)
		create(t, h, hns.NetworkKind, "", bridgeDoc)
		create(t, h, hns.LoadBalancerKind, "", `{"HostComputeEndpoints":["`+web+`","`+db+`"],"FrontendVIPs":["10.96.0.1"],"PortMappings":[{"Protocol":6,"InternalPort":80,"ExternalPort":80}]}`)
		create(t, h, hns.RouteKind, "", `{"HostComputeEndpoints":["`+db+`"],"Setting":[{"DestinationPrefix":"10.1.0.0/16","NextHop":"10.127.130.36","NeedEncap":true}]}`)
		if _, err := h.HNS.HNSRequest("POST", "/accelnet/", []byte(`{"MacAddressList":[{"MacAddress":"00-15-5D-0A-B7-C6"}]}`)); err != nil {
			t.Fatal(err)
		}
		k.Close()
		raw, err := os.ReadFile(path)
		if err == nil {
			err = errors.Join(os.MkdirAll("testdata", 0o755), os.WriteFile(golden, raw, 0o644))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	raw, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	w := mkWorld(t, hcn.WS2025)
	_, rep := start(t, Config{Path: path, World: w})
	if want := (Count{Networks: 2, Endpoints: 2, Namespaces: 2, LoadBalancers: 1, Routes: 1}); rep.Kept != want {
		t.Errorf("%v, want %v", rep.Kept, want)
	}
	s := w.Hosts()[0].State()
	ping(t, w, s.Endpoints[0].Doc.ID, s.Endpoints[1].Doc.ID)
}
