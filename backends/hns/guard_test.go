package hns

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/hcn"
)

// hostControl is the HNS of one host of the stand-in: somebody's machine.
type hostControl struct {
	w   backends.World
	log []string
}

func (c *hostControl) do(op backends.HCNOp) (backends.HCNResult, error) {
	op.Host = "h1"
	if op.Verb != "query" && op.Verb != "enumerate" && op.Verb != "GET" {
		c.log = append(c.log, op.Verb+" "+op.Kind)
	}
	return c.w.HCN(context.Background(), op)
}

// state is every object of the machine, by name and id.
func (c *hostControl) state(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, kind := range []string{"network", "endpoint", "namespace", "loadbalancer", "route"} {
		fmt.Fprintf(&b, "%s %s\n", kind, must(t, c, backends.HCNOp{Kind: kind, Verb: "enumerate"}).Document)
	}
	return b.String()
}

func (c *hostControl) version() (v hcn.HNSVersion, err error) { return v, nil }

const (
	internalNet = `{"Name":"n","Type":"Internal","SchemaVersion":{"Major":2,"Minor":0},"Ipams":[{"Type":"Static","Subnets":[{"IpAddressPrefix":"172.20.0.0/24"}]}]}`
	plainEP     = `{"Name":"e","SchemaVersion":{"Major":2,"Minor":0}}`
)

func mkGuard(t *testing.T, opt Options) (*guard, *hostControl, string) {
	t.Helper()
	c := mkHost(t)
	folder := filepath.Join(t.TempDir(), "runs")
	j, err := newJournal(folder, "0badcafe")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.f.Close() })
	return newGuard(c, "0badcafe", opt, j), c, folder
}

func mkHost(t *testing.T) *hostControl {
	t.Helper()
	s, _ := mkStandIn(t)
	w, err := s.open(t.Context(), backends.WorldConfig{Seed: 1}, Options{})
	if err == nil {
		err = w.AddNode(t.Context(), backends.Node{Kind: backends.HostNode, Name: "h1", Ifaces: []backends.Iface{{Addrs: asked}}})
	}
	if err != nil {
		t.Fatal(err)
	}
	return &hostControl{w: w}
}

func must(t *testing.T, c control, op backends.HCNOp) backends.HCNResult {
	t.Helper()
	res, err := c.do(op)
	if err != nil {
		t.Fatalf("%s %s %s: %v", op.Verb, op.Kind, op.Path, err)
	}
	return res
}

func create(kind, parent, body string) backends.HCNOp {
	return backends.HCNOp{Kind: kind, Verb: "create", Parent: parent, Body: json.RawMessage(body)}
}

func nameOf(t *testing.T, doc []byte) string {
	t.Helper()
	var d struct{ Name string }
	if err := json.Unmarshal(doc, &d); err != nil {
		t.Fatal(err)
	}
	return d.Name
}

func TestWhatIsMadeCarriesTheTagAndScenariosDoNotSeeIt(t *testing.T) {
	g, c, _ := mkGuard(t, Options{})
	n := must(t, g, create("network", "", internalNet))
	e := must(t, g, create("endpoint", n.ID, `{"SchemaVersion":{"Major":2,"Minor":0}}`)) // without a name
	for kind, id := range map[string]string{"network": n.ID, "endpoint": e.ID} {
		raw := must(t, c, backends.HCNOp{Kind: kind, Verb: "query", ID: id})
		if tag, ok := TagOf(nameOf(t, raw.Document)); !ok || tag != "0badcafe" {
			t.Errorf("%s is called %q on the machine", kind, nameOf(t, raw.Document))
		}
	}
	seen := must(t, g, backends.HCNOp{Kind: "network", Verb: "query", ID: n.ID})
	v1 := must(t, g, backends.HCNOp{Kind: "hnscall", Verb: "GET", Path: "/networks/" + n.ID})
	for i, doc := range [][]byte{n.Document, seen.Document, v1.Document} {
		if nameOf(t, doc) != "n" || bytes.Contains(doc, []byte("0badcafe")) {
			t.Errorf("document %d shows the tag: %s", i, doc)
		}
	}
}

func TestTheMachinesOwnObjectsAreLeftAlone(t *testing.T) {
	g, c, _ := mkGuard(t, Options{})
	theirs := must(t, c, create("network", "", strings.Replace(internalNet, `"n"`, `"production"`, 1)))
	theirEP := must(t, c, create("endpoint", theirs.ID, plainEP))
	ns := must(t, c, create("namespace", "", hostNamespace))
	list := must(t, c, backends.HCNOp{Kind: "hnscall", Verb: "POST", Path: "/policylists",
		Body: json.RawMessage(`{"References":["/endpoints/` + theirEP.ID + `"],"Policies":[{"Type":"ELB","InternalPort":80,"ExternalPort":80,"Protocol":6,"VIPs":["10.96.0.1"]}]}`)})
	var pl struct{ ID string }
	_ = json.Unmarshal(list.Document, &pl)
	before := c.state(t)
	own := must(t, g, create("network", "", internalNet)).ID
	for _, op := range []backends.HCNOp{
		{Kind: "network", Verb: "delete", ID: theirs.ID},
		{Kind: "network", Verb: "query", ID: theirs.ID},
		{Kind: "endpoint", Verb: "delete", ID: theirEP.ID},
		{Kind: "endpoint", Verb: "modify", ID: strings.ToUpper(theirEP.ID), Body: json.RawMessage(`{}`)},
		{Kind: "namespace", Verb: "modify", ID: ns.ID, Body: joinRequest("Add", theirEP.ID)},
		create("endpoint", theirs.ID, plainEP),
		create("loadbalancer", "", `{"HostComputeEndpoints":["`+theirEP.ID+`"],"FrontendVIPs":["10.96.0.2"],"PortMappings":[{"Protocol":6,"InternalPort":80,"ExternalPort":80}],"SchemaVersion":{"Major":2,"Minor":0}}`),
		{Kind: "hnscall", Verb: "DELETE", Path: "/networks/" + theirs.ID},
		{Kind: "hnscall", Verb: "POST", Path: "/endpoints", Body: json.RawMessage(`{"VirtualNetwork":"` + theirs.ID + `"}`)},
		{Kind: "hnscall", Verb: "POST", Path: "/endpoints/" + theirEP.ID + "/attach", Body: json.RawMessage(`{}`)},
		{Kind: "hnscall", Verb: "DELETE", Path: "/policylists/" + pl.ID},
		{Kind: "hnscall", Verb: "POST", Path: "/policylists", Body: json.RawMessage(`{"References":["/endpoints/` + theirEP.ID + `"]}`)},
	} {
		_, err := g.do(op)
		var u *backends.UsageError
		if !errors.As(err, &u) || !strings.Contains(u.Msg, "was not created by this run") {
			t.Errorf("%s %s %s: %v", op.Verb, op.Kind, op.Path, err)
		}
	}
	if _, err := g.do(backends.HCNOp{Kind: "hnscall", Verb: "POST", Path: "/globals/x"}); err == nil {
		t.Error("a call that changes the machine itself goes through")
	}
	must(t, g, backends.HCNOp{Kind: "network", Verb: "delete", ID: own})
	if after := c.state(t); after != before {
		t.Errorf("the machine was\n%s\nand is\n%s", before, after)
	}
}

func TestOnlyTheRunsObjectsAreListed(t *testing.T) {
	g, c, _ := mkGuard(t, Options{})
	must(t, c, create("network", "", strings.Replace(internalNet, `"n"`, `"production"`, 1)))
	own := must(t, g, create("network", "", internalNet)).ID
	var ids []string
	if err := json.Unmarshal(must(t, g, backends.HCNOp{Kind: "network", Verb: "enumerate"}).Document, &ids); err != nil || !slices.Equal(ids, []string{own}) {
		t.Errorf("%v, %v", ids, err)
	}
	doc := must(t, g, backends.HCNOp{Kind: "hnscall", Verb: "GET", Path: "/networks/"}).Document
	if strings.Contains(string(doc), "production") || !strings.Contains(string(doc), `"Name":"n"`) {
		t.Errorf("%s", doc)
	}
}

func TestExternalNetworksNeedTheUsersWord(t *testing.T) {
	for kind, out := range map[string]bool{"NAT": false, "Internal": false, "Private": false, "ICS": false, "Transparent": true, "l2bridge": true, "L2Tunnel": true, "Overlay": true} {
		v1 := backends.HCNOp{Kind: "hnscall", Verb: "POST", Path: "/networks", Body: json.RawMessage(`{"Name":"x","Type":"` + kind + `"}`)}
		for _, op := range []backends.HCNOp{create("network", "", `{"Name":"x","Type":"`+kind+`","SchemaVersion":{"Major":2,"Minor":0}}`), v1} {
			var log bytes.Buffer
			g, _, _ := mkGuard(t, Options{DryRun: &log})
			_, err := g.do(op)
			var no *backends.UnsupportedError
			if refused := errors.As(err, &no) && strings.Contains(no.Msg, "--allow-external"); refused != out {
				t.Errorf("%s by %s: %v", kind, op.Verb, err)
			}
			g, _, _ = mkGuard(t, Options{DryRun: &log, AllowExternal: true, Adapter: "Lab"})
			if _, err := g.do(op); err != nil {
				t.Errorf("%s, allowed: %v", kind, err)
			}
			if op.Verb == "create" && strings.Contains(log.String(), `"NetworkAdapterName":"Lab"`) != out {
				t.Errorf("%s: %s", kind, log.String())
			}
		}
	}
}

func TestADryRunTouchesNothing(t *testing.T) {
	var log bytes.Buffer
	g, c, folder := mkGuard(t, Options{DryRun: &log})
	n := must(t, g, create("network", "", internalNet))
	e := must(t, g, create("endpoint", n.ID, plainEP))
	must(t, g, backends.HCNOp{Kind: "endpoint", Verb: "modify", ID: e.ID, Body: json.RawMessage(`{"x":1}`)})
	must(t, g, backends.HCNOp{Kind: "endpoint", Verb: "query", ID: e.ID})
	if _, err := g.clean(); err != nil {
		t.Error(err)
	}
	if len(c.log) != 0 {
		t.Errorf("HNS was asked for %v", c.log)
	}
	for _, want := range []string{"create network {", `"Name":"hnsim-0badcafe-n"`, "create endpoint " + n.ID, "modify endpoint " + e.ID + ` {"x":1}`, "delete endpoint " + e.ID, "delete network " + n.ID} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %q in\n%s", want, log.String())
		}
	}
	if all, err := readJournals(folder); err != nil || len(all["0badcafe"]) > 0 {
		t.Errorf("the journal says %v, %v", all, err)
	}
}

func TestCleanLeavesNothing(t *testing.T) {
	g, c, folder := mkGuard(t, Options{})
	before := c.state(t)
	n := must(t, g, create("network", "", internalNet))
	e := must(t, g, create("endpoint", n.ID, plainEP))
	gone := must(t, g, create("endpoint", n.ID, strings.Replace(plainEP, `"e"`, `"f"`, 1)))
	must(t, g, backends.HCNOp{Kind: "endpoint", Verb: "delete", ID: gone.ID})
	if _, err := join(g.do, "", []string{e.ID}); err != nil {
		t.Fatal(err)
	}
	c.log = nil
	left, err := g.clean()
	if err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
	if want := []string{"delete endpoint", "delete namespace", "delete network"}; !slices.Equal(c.log, want) {
		t.Errorf("deleted in the order %v, want %v", c.log, want)
	}
	if after := c.state(t); after != before {
		t.Errorf("the machine was\n%s\nand is\n%s", before, after)
	}
	if err := g.keep.(*fileJournal).close(); err != nil {
		t.Error(err)
	}
	if files, _ := os.ReadDir(folder); len(files) != 0 {
		t.Errorf("journals are left: %v", files)
	}
}

// TestACrashIsCleanedUpLater ends a run without clean, and tears its journal.
func TestACrashIsCleanedUpLater(t *testing.T) {
	g, c, folder := mkGuard(t, Options{})
	theirs := must(t, c, create("network", "", strings.Replace(internalNet, `"n"`, `"production"`, 1)))
	before := c.state(t)
	n := must(t, g, create("network", "", internalNet))
	e := must(t, g, create("endpoint", n.ID, plainEP))
	ns, err := join(g.do, "", []string{e.ID})
	if err != nil {
		t.Fatal(err)
	}
	must(t, g, backends.HCNOp{Kind: "namespace", Verb: "modify", ID: ns, Body: containerRequest("Add", "hnsim-0badcafe-c")})
	if _, err := g.keep.(*fileJournal).f.WriteString(`{"kind":"endp`); err != nil {
		t.Fatal(err)
	}
	if all, err := findLeftovers(c, folder); err != nil || len(all) > 0 {
		t.Errorf("a run that goes on has left %v, %v", all, err)
	}
	if failed := removeLeftovers(c, folder, nil); len(failed) > 0 || !alive(folder, "0badcafe") {
		t.Errorf("the journal of a run that goes on is gone: %v", failed)
	}
	if err := g.keep.(*fileJournal).f.Close(); err != nil { // as the end of a process does
		t.Fatal(err)
	}
	// A network of a run whose journal is lost has its name.
	must(t, c, create("network", "", strings.Replace(internalNet, `"n"`, `"hnsim-deadbeef-lost"`, 1)))

	all, err := findLeftovers(c, folder)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, l := range all {
		got[l.Kind+" "+string(l.Tag)+" "+l.Name] = l.Via
		if strings.EqualFold(l.ID, theirs.ID) {
			t.Errorf("%v is the machine's own", l)
		}
	}
	want := map[string]string{"network 0badcafe n": "name", "endpoint 0badcafe e": "name", "namespace 0badcafe ": "journal", "network deadbeef lost": "name"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("found %v, want %v (namespace %s)", got, want, ns)
	}
	if failed := removeLeftovers(c, folder, all); len(failed) > 0 {
		t.Error(failed)
	}
	if after := c.state(t); after != before {
		t.Errorf("the machine was\n%s\nand is\n%s", before, after)
	}
	if again, err := findLeftovers(c, folder); err != nil || len(again) > 0 {
		t.Errorf("still there: %v, %v", again, err)
	}
}

// broken refuses to delete.
type broken struct{ control }

func (b broken) do(op backends.HCNOp) (backends.HCNResult, error) {
	if op.Verb == "delete" && op.Kind == "network" {
		return backends.HCNResult{}, hcn.Errorf(hcn.ErrManagerStopped, "")
	}
	return b.control.do(op)
}

func TestWhatCannotBeDeletedIsSaidAndKept(t *testing.T) {
	g, c, folder := mkGuard(t, Options{})
	must(t, g, create("network", "", internalNet))
	g.next = broken{c}
	left, err := g.clean()
	if err != nil || len(left) != 1 || !strings.Contains(left[0], "network") || !strings.Contains(left[0], "0badcafe") {
		t.Errorf("left %v, %v", left, err)
	}
	if err := g.keep.(*fileJournal).close(); err != nil {
		t.Error(err)
	}
	all, err := findLeftovers(c, folder)
	if err != nil || len(all) != 1 {
		t.Fatalf("%v, %v", all, err)
	}
	if failed := removeLeftovers(broken{c}, folder, all); len(failed) != 1 {
		t.Errorf("%v", failed)
	}
	if files, _ := os.ReadDir(folder); len(files) != 1 {
		t.Errorf("the journal of what is left has gone")
	}
}

func TestTagsStandInNamesOnly(t *testing.T) {
	const tag = Tag("00000001")
	for doc, want := range map[string]string{
		`{"Name":"a","X":{"Name":"b"}}`:    `{"Name":"hnsim-00000001-a","X":{"Name":"b"}}`,
		`{"X":{"Name":"b"}, "name" : "a"}`: `{"X":{"Name":"b"}, "name" : "hnsim-00000001-a"}`,
		`{ "X" : 1 }`:                      `{"Name":"hnsim-00000001-", "X" : 1 }`,
		`{}`:                               `{"Name":"hnsim-00000001-"}`,
		`{"Name":"q\"\\u00fc"}`:            `{"Name":"hnsim-00000001-q\"\\u00fc"}`,
		`{"Name":7}`:                       `{"Name":7}`,
		`[1]`:                              `[1]`,
		`{"Name":`:                         `{"Name":`,
	} {
		got, err := tag.mark([]byte(doc), true)
		if err != nil || string(got) != want {
			t.Errorf("%s became %s, want %s; %v", doc, got, want, err)
		}
	}
	for name, ok := range map[string]bool{"hnsim-0badcafe-nat": true, "hnsim-0badcafe-": true, "hnsim-xyz-nat": false, "nat": false, "my-hnsim-0badcafe-nat": false} {
		if _, got := TagOf(name); got != ok {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func FuzzMark(f *testing.F) {
	f.Add([]byte(`{"Name":"a","X":[1,{"Name":2}]}`))
	f.Add([]byte(`{"a":{},"NAME":"x"`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		got, err := Tag("0badcafe").mark(doc, true)
		if err != nil {
			t.Fatal(err)
		}
		if json.Valid(doc) != json.Valid(got) {
			t.Errorf("%q became %q", doc, got)
		}
	})
}
