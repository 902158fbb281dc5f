package hcn

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// seed adds the published dumps and the bad documents to a fuzz target.
func seed(f *testing.F) {
	for _, pattern := range []string{"testdata/samples/*.json", "testdata/bad/*.json"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, name := range files {
			raw, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(raw)
		}
	}
}

// stable checks that what was decoded is decoded again from what is written.
func stable[T any](t *testing.T, v T, encode func(T) []byte, decode func([]byte) (T, error)) {
	t.Helper()
	first := encode(v)
	w, err := decode(first)
	if err != nil {
		t.Fatalf("own document refused: %v\n%s", err, first)
	}
	if second := encode(w); !bytes.Equal(first, second) {
		t.Fatalf("document changes:\nfirst  %s\nsecond %s", first, second)
	}
}

func FuzzDecodeNetwork(f *testing.F) {
	seed(f)
	profile := MustProfile(WS2025)
	f.Fuzz(func(t *testing.T, doc []byte) {
		n, shape, err := DecodeNetworkShape(doc)
		if err != nil {
			if e := AsError(err); e.Code != ErrInvalidJSON || e.Line == 0 && e.Path == "" {
				t.Fatalf("error without a place: %v", err)
			}
			return
		}
		stable(t, n, func(n *Network) []byte { return n.Encode(shape) }, DecodeNetwork)
		_ = CheckNetwork(n, &profile)
	})
}

func FuzzDecodeEndpoint(f *testing.F) {
	seed(f)
	profile := MustProfile(WS2025)
	f.Fuzz(func(t *testing.T, doc []byte) {
		e, shape, err := DecodeEndpointShape(doc)
		if err != nil {
			return
		}
		stable(t, e, func(e *Endpoint) []byte { return e.Encode(shape) }, DecodeEndpoint)
		_ = CheckEndpoint(e, Overlay, &profile)
	})
}

func FuzzDecodePolicy(f *testing.F) {
	f.Add([]byte(`{"Type":"NAT","Protocol":"TCP","InternalPort":80,"ExternalPort":8080,"ExternalPortReserved":true}`))
	f.Add([]byte(`{"Type":"ACL","Settings":{"Action":1,"Direction":"Out","Protocols":"6,256","LocalPorts":"1-2"}}`))
	f.Add([]byte(`{"Type":"ACL","Protocol":6,"LocalPort":80,"RemotePort":0}`))
	f.Add([]byte(`{"Type":"SetPolicy","Settings":{"Id":"s","PolicyType":0,"Values":"10.0.0.1,tcp:80"}}`))
	f.Add([]byte(`{"Type":"Other","A":1,"Settings":null}`))
	profile := MustProfile(WS2025)
	f.Fuzz(func(t *testing.T, doc []byte) {
		p, err := DecodePolicy(doc)
		if err != nil {
			return
		}
		stable(t, p, func(p Policy) []byte { return p.Encode(V2) }, DecodePolicy)
		for _, on := range []string{"network", "subnet", "endpoint"} {
			_ = ValidatePolicies([]Policy{p}, on, Overlay, &profile, "Policies")
		}
		inline := p.Encode(V1)
		if _, err := DecodePolicy(inline); err != nil {
			t.Fatalf("own v1 form refused: %v\n%s", err, inline)
		}
	})
}

func FuzzDecodePolicyList(f *testing.F) {
	f.Add([]byte(`{"References":["/endpoints/37AA41CF-FF54-4626-9DD6-EB6EB236AAA1"],"Policies":[{"Type":"ELB","VIPs":["10.96.0.1"],"Protocol":6,"InternalPort":8080,"ExternalPort":80}]}`))
	f.Add([]byte(`{"References":["endpoints/37AA41CF-FF54-4626-9DD6-EB6EB236AAA1"],"Policies":[{"Type":"ROUTE","DestinationPrefix":"10.0.0.0/8"}]}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		lb, route, err := DecodePolicyList(doc)
		switch {
		case err == nil && (lb == nil) == (route == nil):
			t.Fatal("not exactly one object")
		case lb != nil:
			again, _, err := DecodePolicyList(lb.Encode(V1))
			if err != nil || !reflect.DeepEqual(again.PortMappings, lb.PortMappings) {
				t.Fatalf("%v\n%s", err, lb.Encode(V1))
			}
		}
	})
}

func FuzzQuery(f *testing.F) {
	f.Add([]byte(`{"SchemaVersion":{"Major":2,"Minor":0},"Filter":"{\"Name\":\"cbr0\"}"}`))
	f.Add([]byte(`{"Filter":{"State":3,"X":null},"Flags":"Detailed","VirtualNetwork":"x"}`))
	f.Add([]byte(``))
	f.Fuzz(func(t *testing.T, doc []byte) {
		q, err := ParseQuery(doc)
		if err != nil {
			return
		}
		q.Match(func(string) (string, bool) { return "x", true })
	})
}

func FuzzModifyRequest(f *testing.F) {
	f.Add([]byte(`{"ResourceType":"Endpoint","RequestType":"Add","Settings":{"EndpointId":"d55a7ab1-50e3-4bcb-b8ee-effd6eba5d97"}}`))
	f.Add([]byte(`{"RequestType":2,"ResourceType":1,"Settings":{"Policies":[{"Type":"ACL","Settings":{}}]}}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		m, err := ParseModifyRequest(doc)
		if err != nil {
			return
		}
		for _, kind := range []string{"network", "endpoint", "namespace"} {
			_, _ = m.Resource(kind)
		}
		_, _ = DecodeRequestSettings[EndpointPolicyRequest](m)
		_, _ = DecodeRequestSettings[SubnetRequest](m)
		stable(t, m, (*ModifyRequest).Encode, ParseModifyRequest)
	})
}
