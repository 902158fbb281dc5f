package hns

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/netip"
	"testing"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/backends/backendtest"
	"github.com/hnsim/hnsim/backends/simulated"
	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/standin"
)

// wireControl does what hcsshim and the DLLs do together, in Go: the stand-in's
// protocol from the client's side.
type wireControl struct{ c *standin.Client }

// names are the functions' names by kind.
var names = map[string][2]string{
	"network": {"Network", "Networks"}, "endpoint": {"Endpoint", "Endpoints"}, "namespace": {"Namespace", "Namespaces"},
	"loadbalancer": {"LoadBalancer", "LoadBalancers"}, "route": {"SdnRoute", "SdnRoutes"},
}

func guidOf(id string) (g [16]byte) {
	var a, b, c, d, e uint64
	if _, err := fmt.Sscanf(id, "%8x-%4x-%4x-%4x-%12x", &a, &b, &c, &d, &e); err != nil {
		return g
	}
	binary.LittleEndian.PutUint32(g[0:], uint32(a))
	binary.LittleEndian.PutUint16(g[4:], uint16(b))
	binary.LittleEndian.PutUint16(g[6:], uint16(c))
	binary.BigEndian.PutUint64(g[8:], d<<48|e)
	return g
}

func (w wireControl) call(fn string, h uint64, id string, texts ...string) (standin.Response, error) {
	r := standin.Request{Function: fn, Handle: h, GUID: guidOf(id)}
	for _, t := range texts {
		r.Texts = append(r.Texts, standin.Str(t))
	}
	resp, err := w.c.Call(r)
	if err == nil && resp.HResult != 0 {
		err = refusal(resp.HResult, resp.Texts[1].Value)
	}
	return resp, err
}

func (w wireControl) do(op backends.HCNOp) (res backends.HCNResult, err error) {
	if op.Kind == "hnscall" {
		resp, err := w.c.Call(standin.Request{Function: "HNSCall", Texts: []standin.Text{standin.Str(op.Verb), standin.Str(op.Path), standin.Str(string(op.Body))}})
		if err == nil && resp.HResult != 0 {
			err = refusal(resp.HResult, resp.Texts[0].Value)
		}
		var r record
		if err == nil {
			err = json.Unmarshal([]byte(resp.Texts[0].Value), &r)
		}
		return backends.HCNResult{Document: r.Output}, err
	}
	name, ok := names[op.Kind]
	if !ok {
		return res, hcn.Errorf(hcn.ErrInvalidParameter, "no kind of object %q", op.Kind)
	}
	res.ID = op.ID
	query := queryText(nil)
	switch op.Verb {
	case "create":
		var parent, made standin.Response
		if op.Kind == "endpoint" {
			if parent, err = w.call("HcnOpenNetwork", 0, op.Parent); err != nil {
				return res, err
			}
		}
		if made, err = w.call("HcnCreate"+name[0], parent.Handle, op.ID, string(op.Body)); err != nil {
			return backends.HCNResult{}, err
		}
		doc, err := w.call("HcnQuery"+name[0]+"Properties", made.Handle, "", query)
		var obj struct{ ID string }
		if err == nil {
			err = json.Unmarshal([]byte(doc.Texts[0].Value), &obj)
		}
		return backends.HCNResult{ID: obj.ID, Document: json.RawMessage(doc.Texts[0].Value)}, err
	case "delete":
		_, err = w.call("HcnDelete"+name[0], 0, op.ID)
		return res, err
	case "enumerate":
		resp, err := w.call("HcnEnumerate"+name[1], 0, "", queryText(op.Body))
		return backends.HCNResult{Document: json.RawMessage(resp.Texts[0].Value)}, err
	case "query":
		query = queryText(op.Body)
	case "modify":
	default:
		return res, noVerb(op)
	}
	h, err := w.call("HcnOpen"+name[0], 0, op.ID)
	if err == nil && op.Verb == "modify" {
		_, err = w.call("HcnModify"+name[0], h.Handle, "", string(op.Body))
	}
	if err != nil {
		return backends.HCNResult{}, err
	}
	doc, err := w.call("HcnQuery"+name[0]+"Properties", h.Handle, "", query)
	res.Document = json.RawMessage(doc.Texts[0].Value)
	return res, err
}

func (w wireControl) version() (v hcn.HNSVersion, err error) {
	res, err := w.do(backends.HCNOp{Kind: "hnscall", Verb: "GET", Path: "/globals/version"})
	if err == nil {
		err = json.Unmarshal(res.Document, &v)
	}
	return v, err
}

// onMachine is a backend of a machine that is not this one.
type onMachine struct{ m machine }

func (b onMachine) Name() string                        { return "hns" }
func (b onMachine) Capabilities() []backends.Capability { return b.m.capabilities(Options{}) }
func (b onMachine) Features(profile string) (backends.FeatureSet, error) {
	p, err := hcn.ProfileByName(profile)
	if err != nil {
		return backends.FeatureSet{}, &backends.UsageError{Msg: err.Error()}
	}
	v, build, err := b.m.version(p.Name)
	fs := backends.FeatureSet{HNSVersion: v.String(), OSBuild: build, Supported: map[string]bool{}, Ranges: map[string]string{}}
	for _, f := range hcn.Features() {
		fs.Supported[f.Name], fs.Ranges[f.Name] = f.Supports(v), f.RangeText()
	}
	return fs, err
}
func (b onMachine) Open(ctx context.Context, cfg backends.WorldConfig) (backends.World, error) {
	return b.m.open(ctx, cfg, Options{})
}

// mkStandIn starts a service and connects to both of its ports.
func mkStandIn(t *testing.T) (*standIn, *int) {
	t.Helper()
	calls := new(int)
	srv, err := simulated.NewService(func(standin.Call) { *calls++ })
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve() }()
	dll, err := standin.Dial(srv.StandIn(), srv.Token(), "", 1)
	if err != nil {
		t.Fatal(err)
	}
	s, err := newStandIn(srv.Addr(), srv.Token(), wireControl{dll})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, _ = dll.Close(), s.client.Close()
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s, calls
}

func TestTheStandInKeepsTheContract(t *testing.T) {
	s, _ := mkStandIn(t)
	backendtest.Run(t, onMachine{s})
}

// TestWorldsTakeTurnsAtTheDLLs has two worlds with hosts of the same names: no
// call may reach the other world or host.
func TestWorldsTakeTurnsAtTheDLLs(t *testing.T) {
	s, calls := mkStandIn(t)
	ctx := t.Context()
	var ws [2]backends.World
	for i := range ws {
		w, err := s.open(ctx, backends.WorldConfig{Seed: 1}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		ws[i] = w
		for j, h := range []string{"h1", "h2"} {
			ip := netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(10*i + j + 1)}), 24)
			if err := w.AddNode(ctx, backends.Node{Kind: backends.HostNode, Name: h, Ifaces: []backends.Iface{{Addrs: []netip.Prefix{ip}}}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for round := range 2 {
		for i, w := range ws {
			for j, h := range []string{"h1", "h2"} {
				name := fmt.Sprintf("n%d%d%d", round, i, j)
				body := fmt.Appendf(nil, `{"Name":%q,"Type":"Internal","SchemaVersion":{"Major":2,"Minor":0}}`, name)
				if _, err := w.HCN(ctx, backends.HCNOp{Host: h, Kind: "network", Verb: "create", Body: body}); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for i, w := range ws {
		for j, h := range []string{"h1", "h2"} {
			list, err := w.HCN(ctx, backends.HCNOp{Host: h, Kind: "network", Verb: "enumerate"})
			var ids []string
			if err == nil {
				err = json.Unmarshal(list.Document, &ids)
			}
			if err != nil || len(ids) != 2 {
				t.Fatalf("world %d %s: %s, %v", i, h, list.Document, err)
			}
			for round, id := range ids {
				res, err := w.HCN(ctx, backends.HCNOp{Host: h, Kind: "network", Verb: "query", ID: id})
				var doc struct{ Name string }
				if err == nil {
					err = json.Unmarshal(res.Document, &doc)
				}
				if want := fmt.Sprintf("n%d%d%d", round, i, j); err != nil || doc.Name != want {
					t.Errorf("world %d %s: network %q, want %q; %v", i, h, doc.Name, want, err)
				}
			}
		}
	}
	if *calls == 0 {
		t.Error("nothing went through the DLLs")
	}
}

// TestAnInterruptedWorldHarmsNoOther breaks the connection of one world in the
// middle of a request.
func TestAnInterruptedWorldHarmsNoOther(t *testing.T) {
	s, _ := mkStandIn(t)
	var ws [2]backends.World
	for i := range ws {
		w, err := s.open(t.Context(), backends.WorldConfig{}, Options{})
		if err == nil {
			err = w.AddNode(t.Context(), backends.Node{Kind: backends.HostNode, Name: "h1", Ifaces: []backends.Iface{{Addrs: asked}}})
		}
		if err != nil {
			t.Fatal(err)
		}
		ws[i] = w
	}
	list := backends.HCNOp{Host: "h1", Kind: "network", Verb: "enumerate"}
	if _, err := ws[0].HCN(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_ = ws[0].(*standInWorld).conn.Close()
	if err := ws[0].Advance(ended, 1); err == nil {
		t.Error("a world whose connection is gone goes on")
	}
	for range 2 {
		if _, err := ws[1].HCN(t.Context(), list); err != nil {
			t.Errorf("the other world: %v", err)
		}
	}
}
