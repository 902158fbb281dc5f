package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/backends/simulated"
	"github.com/hnsim/hnsim/cmd/hnsim/internal/state"
)

// collectFrom collects what a host of a world holds.
func collectFrom(w backends.World, host string) (*state.State, error) {
	return state.Collect(func(kind string) ([]json.RawMessage, error) {
		list, err := w.HCN(context.Background(), backends.HCNOp{Host: host, Kind: kind, Verb: "enumerate"})
		if err != nil {
			return nil, err
		}
		var ids []string
		if err := json.Unmarshal(list.Document, &ids); err != nil {
			return nil, err
		}
		var out []json.RawMessage
		for _, id := range ids {
			res, err := w.HCN(context.Background(), backends.HCNOp{Host: host, Kind: kind, Verb: "query", ID: id})
			if err != nil {
				return nil, err
			}
			out = append(out, res.Document)
		}
		return out, nil
	})
}

// watched is the model, of whose worlds the state is taken at their end.
type watchedModel struct {
	simulated.Backend
	last *state.State
	err  error
}

type watchedWorld struct {
	backends.World
	b *watchedModel
}

func (b *watchedModel) Open(ctx context.Context, cfg backends.WorldConfig) (backends.World, error) {
	w, err := b.Backend.Open(ctx, cfg)
	return &watchedWorld{w, b}, err
}

func (w *watchedWorld) Close(ctx context.Context) ([]string, error) {
	w.b.last, w.b.err = collectFrom(w.World, "h1")
	return w.World.Close(ctx)
}

const importWorld = `# T-IMP-01: a host with something of everything
# rules: B.1
# labels: control
router r lan=10.127.130.1/24
host h1 ip=10.127.130.35/24
network h1 br br.json
network h1 vx vx.json
network h1 nat nat.json
endpoint web br web.json
endpoint api br api.json
endpoint pod vx pod.json
endpoint far vx far.json
endpoint db nat db.json
loadbalancer h1 svc lb.json
-- br.json --
{"Name":"br 1","Type":"L2Bridge","SchemaVersion":{"Major":2,"Minor":0},"Ipams":[{"Subnets":[{"IpAddressPrefix":"10.127.130.0/24",
 "Routes":[{"NextHop":"10.127.130.1","DestinationPrefix":"0.0.0.0/0"}]}]}]}
-- vx.json --
{"Name":"vx","Type":"Overlay","SchemaVersion":{"Major":2,"Minor":0},
 "Ipams":[{"Type":"Static","Subnets":[{"IpAddressPrefix":"10.244.1.0/24","Policies":[{"Type":"VSID","Settings":{"IsolationId":4096}}],
   "Routes":[{"NextHop":"10.244.1.1","DestinationPrefix":"0.0.0.0/0"}]}]}],
 "Policies":[{"Type":"DrMacAddress","Settings":{"Address":"00-15-5D-D0-B3-B7"}},
  {"Type":"RemoteSubnetRoute","Settings":{"DestinationPrefix":"10.244.2.0/24","IsolationId":4096,"ProviderAddress":"10.127.130.38","DistributedRouterMacAddress":"00-15-5D-6C-B8-EF"}}]}
-- nat.json --
{"Name":"nat","Type":"NAT","SchemaVersion":{"Major":2,"Minor":0},"Ipams":[{"Subnets":[{"IpAddressPrefix":"172.16.0.0/24","Routes":[{"NextHop":"172.16.0.1","DestinationPrefix":"0.0.0.0/0"}]}]}]}
-- web.json --
{"Name":"web","IpConfigurations":[{"IpAddress":"10.127.130.110"}],"SchemaVersion":{"Major":2,"Minor":0},
 "Policies":[{"Type":"ACL","Settings":{"Action":"Block","Direction":"In","Protocols":"6","LocalPorts":"22","Priority":200,"RuleType":"Switch"}}]}
-- api.json --
{"Name":"api","IpConfigurations":[{"IpAddress":"10.127.130.111"}],"SchemaVersion":{"Major":2,"Minor":0}}
-- pod.json --
{"Name":"pod","MacAddress":"0E-2A-0A-F4-01-0A","IpConfigurations":[{"IpAddress":"10.244.1.10"}],"SchemaVersion":{"Major":2,"Minor":0}}
-- far.json --
{"Name":"far","Flags":1,"MacAddress":"0E-2A-0A-F4-01-14","IpConfigurations":[{"IpAddress":"10.244.1.20"}],"SchemaVersion":{"Major":2,"Minor":0},
 "Policies":[{"Type":"ProviderAddress","Settings":{"ProviderAddress":"10.127.130.38"}}]}
-- db.json --
{"Name":"db","IpConfigurations":[{"IpAddress":"172.16.0.5"}],"SchemaVersion":{"Major":2,"Minor":0},
 "Policies":[{"Type":"PortMapping","Settings":{"Protocol":6,"InternalPort":5432,"ExternalPort":15432}}]}
-- lb.json --
{"SchemaVersion":{"Major":2,"Minor":0},"HostComputeEndpoints":["${id:web}","${id:api}"],"FrontendVIPs":["10.96.0.10"],
 "PortMappings":[{"Protocol":6,"InternalPort":80,"ExternalPort":80}]}
`

// runWatched runs a scenario file and returns the state that its host had.
func runWatched(t *testing.T, file string) *state.State {
	t.Helper()
	var out, errOut bytes.Buffer
	a := newApp(&out, &errOut, func(string) string { return "" })
	b := &watchedModel{}
	a.backends["sim"] = b
	if code := a.run(t.Context(), []string{"run", file, "--out", ""}); code != 0 || b.err != nil || b.last == nil {
		t.Fatalf("%s: exit %d, %v\n%s%s", file, code, b.err, out.String(), errOut.String())
	}
	return b.last
}

// plain is a state in which ids are replaced by names: two worlds give their
// objects different ids.
func plain(s *state.State) map[string]string {
	var pairs []string
	for _, kind := range state.Kinds {
		for i, o := range s.Objects[kind] {
			name := o.Name
			if name == "" || kind == "namespace" {
				name = string(rune('0' + i))
			}
			pairs = append(pairs, o.ID, kind+" "+name, strings.ToUpper(o.ID), kind+" "+name)
		}
	}
	r := strings.NewReplacer(pairs...)
	out := map[string]string{}
	for _, kind := range state.Kinds {
		for _, o := range s.Objects[kind] {
			var doc map[string]json.RawMessage
			_ = json.Unmarshal(o.Doc, &doc)
			delete(doc, "Health") // times and resources of its own
			b, _ := json.Marshal(doc)
			out[r.Replace(kind+" "+o.ID)] = r.Replace(string(b))
		}
	}
	return out
}

func TestAStateSurvivesCollectAndImport(t *testing.T) {
	dir := t.TempDir()
	first := filepath.Join(dir, "first.txtar")
	if err := os.WriteFile(first, []byte(importWorld), 0o644); err != nil {
		t.Fatal(err)
	}
	was := runWatched(t, first)
	var zip, again bytes.Buffer
	if err := was.WriteZip(&zip); err != nil {
		t.Fatal(err)
	}
	if err := was.WriteZip(&again); err != nil || !bytes.Equal(zip.Bytes(), again.Bytes()) {
		t.Errorf("one state gives two files: %v", err)
	}
	file, second := filepath.Join(dir, "state.zip"), filepath.Join(dir, "second.txtar")
	if err := os.WriteFile(file, zip.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	hnsim(t, nil, "import", file, "--out", second).check(t, 0, "", "3 networks")
	is := runWatched(t, second)
	want, got := plain(was), plain(is)
	for name, doc := range want {
		if got[name] != doc {
			t.Errorf("%s\nwas %s\nis  %s", name, doc, got[name])
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d objects, were %d", len(got), len(want))
	}
	// Without its addresses it is another host that behaves alike.
	if err := was.Anonymize([]byte("key")); err != nil {
		t.Fatal(err)
	}
	zip.Reset()
	if err := was.WriteZip(&zip); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, zip.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	hnsim(t, nil, "import", file, "--out", second).check(t, 0, "", "3 networks")
	text, _ := os.ReadFile(second)
	for _, a := range []string{"10.127.130.", "10.244.1.10", "172.16.0.5"} {
		if strings.Contains(string(text), a) {
			t.Errorf("%s is in the anonymous scenario", a)
		}
	}
	if other := runWatched(t, second); other.Count() != is.Count() {
		t.Errorf("anonymous: %s, want %s", other.Count(), is.Count())
	}
}

func TestImportSaysWhatIsWrong(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("no.json", []byte(`{"Cheese":1}`), 0o644); err != nil {
		t.Fatal(err)
	}
	hnsim(t, nil, "import", "no.json").check(t, 2, "", "found an object that is no network")
	hnsim(t, nil, "import", "absent.json").check(t, 2, "", "absent.json")
	hnsim(t, nil, "import", "no.json", "--address", "x").check(t, 2, "", "expected address/bits")
	hnsim(t, nil, "collect").check(t, 3, "", "collect needs Windows")
}
