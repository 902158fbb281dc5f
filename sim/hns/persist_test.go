package hns

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hnsim/hnsim/sim/hcn"
)

// recording makes a host whose changes are stored, and returns the deltas.
func recording(t *testing.T, profile string) (*host, *[][]byte) {
	h := mkHost(t, profile)
	first, err := StoreDelta(nil, h.State(), 0)
	if err != nil {
		t.Fatal(err)
	}
	deltas := &[][]byte{first}
	h.Persist(func(prev, next *State) error {
		d, err := StoreDelta(prev, next, h.now)
		*deltas = append(*deltas, d)
		return err
	})
	return h, deltas
}

func readBack(t *testing.T, deltas [][]byte) *Stored {
	t.Helper()
	s := &Stored{}
	for i, d := range deltas {
		if err := s.Add(d); err != nil {
			t.Fatalf("delta %d: %v\n%s", i, err, d)
		}
	}
	return s
}

// same compares states deeply, unexported fields included; lists that are nil
// and lists that are empty are the same.
func same(t *testing.T, got, want *State) {
	t.Helper()
	x, y := *got, *want
	x.hints, y.hints = nil, nil // they say nothing that the rest does not
	a, b := fmt.Sprintf("%+v", flatten(reflect.ValueOf(x))), fmt.Sprintf("%+v", flatten(reflect.ValueOf(y)))
	if a == b {
		return
	}
	at := 0
	for at < min(len(a), len(b)) && a[at] == b[at] {
		at++
	}
	from := max(0, at-200)
	t.Errorf("not the same state:\n got ...%s\nwant ...%s", a[from:min(len(a), at+200)], b[from:min(len(b), at+200)])
}

// flatten renders a value with everything in it, pointers followed.
func flatten(v reflect.Value) string {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return "nil"
		}
		return flatten(v.Elem())
	case reflect.Slice, reflect.Array:
		var parts []string
		for i := range v.Len() {
			parts = append(parts, flatten(v.Index(i)))
		}
		return "[" + strings.Join(parts, " ") + "]"
	case reflect.Struct:
		if v.Type().PkgPath() == "net/netip" {
			return fmt.Sprint(v)
		}
		var parts []string
		for i := range v.NumField() {
			parts = append(parts, v.Type().Field(i).Name+":"+flatten(v.Field(i)))
		}
		return "{" + strings.Join(parts, " ") + "}"
	}
	return fmt.Sprint(v)
}

func TestEveryStateComesBackAsItWas(t *testing.T) {
	for seed := uint64(0); seed < 40; seed++ {
		h, deltas := recording(t, []string{hcn.WS2016, hcn.WS2019, hcn.WS2022, hcn.WS2025}[seed%4])
		w := &walker{h: h, r: rand.New(rand.NewPCG(seed, 7))}
		for range 120 {
			h.now += time.Second
			_ = w.step()
		}
		if h.profile().Supports(hcn.FeatureAccelnet) {
			h.call("POST", "/accelnet/", `{"MacAddressList":[{"MacAddress":"00-15-5D-0A-B7-C6"}]}`)
		}
		same(t, readBack(t, *deltas).State, h.State())
		whole, err := StoreDelta(nil, h.State(), h.now)
		if err != nil {
			t.Fatal(err)
		}
		s := readBack(t, [][]byte{whole})
		same(t, s.State, h.State())
		if s.At != h.now {
			t.Errorf("time %v, want %v", s.At, h.now)
		}
		if err := s.State.check(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func (h *host) profile() *hcn.Profile { p := h.Profile(); return &p }

// TestDocumentsOfV1CreatorsComeBack has what the random walk has not: members
// of v1 documents, of other clients, and the spelling of the type.
func TestDocumentsOfV1CreatorsComeBack(t *testing.T) {
	h, deltas := recording(t, hcn.WS2025)
	h.call("POST", "/networks/", `{"Name":"v1","Type":"nat","DNSSuffix":"a.b","MacPools":[{"StartMacAddress":"00-15-5D-52-C0-00","EndMacAddress":"00-15-5D-52-CF-FF"}],`+
		`"Subnets":[{"AddressPrefix":"192.168.5.0/24","GatewayAddress":"192.168.5.1","Policies":[{"Type":"VLAN","VLAN":7}]}],"Mine":{"a":[1,"<&>",null]}}`)
	h.create(NetworkKind, "", `{"Name":"v2","Type":"NAT","ManagementIP":"1.2.3.4","IsDefault":true,"Subnets":"odd","SchemaVersion":{"Major":2}}`)
	h.call("POST", "/namespaces/", `{"IsDefault":false,"CompartmentId":0}`)
	same(t, readBack(t, *deltas).State, h.State())
	for _, n := range h.State().Networks {
		if n.Doc.V1Type == "nat" {
			return
		}
	}
	t.Error("no network remembers how its creator spelled the type")
}

// TestTheDeepestDocumentComesBack: what is accepted can be stored and read.
func TestTheDeepestDocumentComesBack(t *testing.T) {
	for depth := 50; depth < 66; depth++ {
		h, deltas := recording(t, hcn.WS2025)
		deep := strings.Repeat(`{"a":`, depth) + "1" + strings.Repeat("}", depth)
		for _, doc := range []string{
			`{"Name":"x","Type":"nat","Resources":` + deep + `,"Subnets":[{"AddressPrefix":"10.1.0.0/16"}]}`,
			`{"Name":"y","Type":"nat","Subnets":[{"AddressPrefix":"10.2.0.0/16","Policies":[{"Type":"mine","X":` + deep + `}]}]}`,
			`{"Name":"z","Type":"NAT","X":` + deep + `}`,
		} {
			_, _ = h.CreateNetwork("", []byte(doc)) // the deepest are refused
		}
		same(t, readBack(t, *deltas).State, h.State())
	}
}

func TestAResumedServiceGoesOnWhereTheOldOneStopped(t *testing.T) {
	h, deltas := recording(t, hcn.WS2025)
	net := h.create(NetworkKind, "", natDoc)
	ep := h.create(EndpointKind, net, withPolicies("e", portMapping(6, 80, 0)))
	ns := h.create(NamespaceKind, "", `{"Type":"Host"}`)
	if err := errors.Join(h.join(ns, ep), h.StartContainer(ns, "c1", "")); err != nil {
		t.Fatal(err)
	}
	h.create(LoadBalancerKind, "", balancerDoc("10.96.0.1", ep))
	n := mkHost(t, hcn.WS2025)
	if err := n.Resume(readBack(t, *deltas).State); err != nil {
		t.Fatal(err)
	}
	if len(n.applied) != 1 || len(n.applied[0].Endpoints) != 1 {
		t.Fatalf("the data plane was programmed %d times", len(n.applied))
	}
	for _, kind := range []Kind{NetworkKind, EndpointKind, NamespaceKind} {
		for _, shape := range []string{`{"SchemaVersion":{"Major":1}}`, ""} {
			for _, id := range h.ids(kind, "") {
				was, err := h.Query(kind, id, []byte(shape))
				is, err2 := n.Query(kind, id, []byte(shape))
				if err := errors.Join(err, err2); err != nil || string(was) != string(is) {
					t.Errorf("%v\n was %s\n  is %s", err, was, is)
				}
			}
		}
	}
	// What is new on both is the same on both: numbers, addresses, ids.
	one, two := h.create(EndpointKind, net, plainEndpoint), n.create(EndpointKind, net, plainEndpoint)
	if a, b := h.State().EndpointByID(one), n.State().EndpointByID(two); one != two || a.MAC != b.MAC || a.Addr() != b.Addr() || a.Num != b.Num {
		t.Errorf("%s %v %v %d, was %s %v %v %d", two, b.MAC, b.Addr(), b.Num, one, a.MAC, a.Addr(), a.Num)
	}
	checkInvariants(t, n.State())
}

func TestOldBuildsResumeWithoutEndpoints(t *testing.T) {
	h, deltas := recording(t, hcn.WS2022)
	net := h.create(NetworkKind, "", natDoc)
	h.create(EndpointKind, net, plainEndpoint)
	n := mkHost(t, hcn.WS2022)
	if err := n.Resume(readBack(t, *deltas).State); err != nil {
		t.Fatal(err)
	}
	if s := n.State(); len(s.Networks) != 1 || len(s.Endpoints) != 0 {
		t.Errorf("%d networks, %d endpoints (G.5)", len(s.Networks), len(s.Endpoints))
	}
}

func TestWhatCannotBeStoredIsUndone(t *testing.T) {
	h := mkHost(t, hcn.WS2025)
	h.Persist(func(prev, next *State) error { return errors.New("the disk is full") })
	before := h.State()
	_, err := h.CreateNetwork("", []byte(natDoc))
	wantCode(t, err, hcn.ErrFail)
	if h.State() != before || h.applied[len(h.applied)-1] != before {
		t.Error("the state or the data plane has changed")
	}
	if len(h.notes) != 0 {
		t.Errorf("notified: %v", h.notes)
	}
}

// TestAServiceThatCannotForgetDoesNotRun: what it would answer with is not what
// a restart leaves.
func TestAServiceThatCannotForgetDoesNotRun(t *testing.T) {
	for name, revive := range map[string]func(*host) error{
		"start":  func(h *host) error { return h.Start() },
		"reboot": func(h *host) error { return h.Reboot() },
	} {
		h := mkHost(t, hcn.WS2022)
		h.endpoint(h.network(natDoc), plainEndpoint)
		var full error = hcn.Errorf(hcn.ErrFail, "the disk is full")
		h.Persist(func(prev, next *State) error { return full })
		before := h.State()
		wantCode(t, h.Reboot(), hcn.ErrFail)
		if _, err := h.List(NetworkKind, nil); err != nil || h.State() != before {
			t.Errorf("a reboot that could not be stored has changed something: %v", err)
		}
		h.Stop()
		wantCode(t, revive(h), hcn.ErrFail)
		_, err := h.List(NetworkKind, nil)
		wantCode(t, err, hcn.ErrUnknownInterface)
		if h.Running() || h.State() != before {
			t.Errorf("%s: it runs all the same, or has changed", name)
		}
		full = nil
		h.must(revive(h))
		if s := h.State(); !h.Running() || len(s.Endpoints) != 0 {
			t.Errorf("%s, with space again: running %v, %d endpoints", name, h.Running(), len(s.Endpoints))
		}
	}
}

// TestNoFieldIsForgotten fails when an object gets an unexported field: it must
// then be stored in persist.go, loaded in persist_load.go and entered here.
func TestNoFieldIsForgotten(t *testing.T) {
	for _, tt := range []struct {
		typ  reflect.Type
		want string
	}{
		{reflect.TypeFor[State](), "accelnet counters hints"}, // of which hints need not be stored
		{reflect.TypeFor[counters](), "network endpoint balancer route namespace layer compartment rng"},
		{reflect.TypeFor[Network](), "extensions createdAt ids"},
		{reflect.TypeFor[networkIDs](), "activity iface hostNIC hostPort hostAlloc natAlloc switchID"},
		{reflect.TypeFor[Endpoint](), "sharingBlocks createdAt ids"},
		{reflect.TypeFor[endpointIDs](), "activity nic port alloc iface"},
		{reflect.TypeFor[Namespace](), "builtIn createdAt activity"},
		{reflect.TypeFor[LoadBalancer](), "restored createdAt activity"},
		{reflect.TypeFor[Route](), "createdAt activity"},
		{reflect.TypeFor[Subnet](), ""},
		{reflect.TypeFor[Address](), ""},
		{reflect.TypeFor[Container](), ""},
		{reflect.TypeFor[MACPool](), ""},
	} {
		var got []string
		for i := range tt.typ.NumField() {
			if f := tt.typ.Field(i); !f.IsExported() {
				got = append(got, f.Name)
			}
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%v has the unexported fields %q; %q are known", tt.typ, got, tt.want)
		}
	}
}

// FuzzStoredState reads deltas that nobody wrote. What is accepted must be a
// state that the service can go on with.
func FuzzStoredState(f *testing.F) {
	t := &testing.T{}
	h, deltas := recording(t, hcn.WS2025)
	net := h.create(NetworkKind, "", natDoc)
	ep := h.create(EndpointKind, net, plainEndpoint)
	ns := h.create(NamespaceKind, "", `{"Type":"Host"}`)
	_ = h.join(ns, ep)
	h.create(LoadBalancerKind, "", balancerDoc("10.96.0.1", ep))
	_ = h.DeleteEndpoint(ep)
	whole, _ := StoreDelta(nil, h.State(), 1)
	for _, d := range append(*deltas, whole) {
		f.Add(whole, d)
	}
	f.Add([]byte(`{}`), []byte(`{"gone":{"network":[1]}}`))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		s := &Stored{}
		if s.Add(first) != nil || s.Add(second) != nil {
			return
		}
		n := mkHost(t, hcn.WS2025)
		if n.Resume(s.State) != nil {
			return
		}
		_, _ = n.CreateNetwork("", []byte(natDoc))
		for _, kind := range []Kind{NetworkKind, EndpointKind, NamespaceKind, LoadBalancerKind, RouteKind} {
			for _, id := range n.ids(kind, "") {
				_, _ = n.Query(kind, id, []byte(`{"SchemaVersion":{"Major":1},"Flags":1}`))
				_ = n.Delete(kind, id)
			}
		}
	})
}
