package hcn

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// sampleObjects returns the objects of a published dump: the Output of an
// envelope, or the document itself, one by one.
func sampleObjects(t *testing.T, name string) []json.RawMessage {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "samples", name))
	if err != nil {
		t.Fatal(err)
	}
	var envelope struct{ Output json.RawMessage }
	if json.Unmarshal(raw, &envelope) == nil && envelope.Output != nil {
		raw = envelope.Output
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) == nil {
		return list
	}
	return []json.RawMessage{raw}
}

// kindOfSample tells the kind of a dump by its file name.
func kindOfSample(name string) string {
	for _, k := range []string{"endpoint", "namespace", "loadbalancer", "error"} {
		if strings.Contains(name, k) {
			return k
		}
	}
	return "network"
}

// recode decodes a document of a kind and encodes it in its own shape.
func recode(t *testing.T, kind string, doc []byte) []byte {
	t.Helper()
	switch kind {
	case "network":
		n, shape, err := DecodeNetworkShape(doc)
		mustDecode(t, err)
		return n.Encode(shape)
	case "endpoint":
		e, _, err := DecodeEndpointShape(doc)
		mustDecode(t, err)
		return e.Encode(V1)
	case "namespace":
		n, err := DecodeNamespace(doc)
		mustDecode(t, err)
		return n.Encode(V1)
	case "loadbalancer":
		l, err := DecodeLoadBalancer(doc)
		mustDecode(t, err)
		return l.Encode(V2)
	}
	t.Fatalf("no kind %q", kind)
	return nil
}

func mustDecode(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("decode: %v", err)
	}
}

// withoutEmpty drops members whose value is a default: documents may leave
// them out (rules B4, B7), so their absence is no loss.
func withoutEmpty(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, x := range v {
			x = withoutEmpty(x)
			switch y := x.(type) {
			case nil:
			case bool:
				if y {
					out[k] = y
				}
			case float64:
				if y != 0 {
					out[k] = y
				}
			case string:
				if y != "" {
					out[k] = y
				}
			case []any:
				if len(y) > 0 {
					out[k] = y
				}
			case map[string]any:
				if len(y) > 0 {
					out[k] = y
				}
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = withoutEmpty(v[i])
		}
		return out
	}
	return v
}

func parsed(t *testing.T, doc []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(doc, &v); err != nil {
		t.Fatalf("%v in %s", err, doc)
	}
	return withoutEmpty(v)
}

func TestEveryPublishedDumpSurvivesARoundTripWithAllMembers(t *testing.T) {
	entries, err := os.ReadDir("testdata/samples")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, e := range entries {
		kind := kindOfSample(e.Name())
		if kind == "error" {
			continue
		}
		for i, doc := range sampleObjects(t, e.Name()) {
			out := recode(t, kind, doc)
			if want, got := parsed(t, doc), parsed(t, out); !reflect.DeepEqual(want, got) {
				t.Errorf("%s object %d changed:\nwant %v\n got %v", e.Name(), i, want, got)
			}
			if again := recode(t, kind, out); string(again) != string(out) {
				t.Errorf("%s object %d is not stable:\nfirst  %s\nsecond %s", e.Name(), i, out, again)
			}
			seen++
		}
	}
	if seen < 12 {
		t.Fatalf("only %d objects seen", seen)
	}
}

func TestThePublishedErrorEnvelopeIsWhatWePrint(t *testing.T) {
	raw, err := os.ReadFile("testdata/samples/22-error-envelope-duplicate-name.json")
	if err != nil {
		t.Fatal(err)
	}
	ours := (&Error{Code: ErrNetworkAlreadyExists}).ErrorRecord()
	var a, b map[string]any
	if json.Unmarshal(raw, &a) != nil || json.Unmarshal(ours, &b) != nil || !reflect.DeepEqual(a, b) {
		t.Fatalf("want %s, got %s", raw, ours)
	}
}

func TestADumpOfANATNetworkMapsToTheV2Shape(t *testing.T) {
	n, err := DecodeNetwork(sampleObjects(t, "01-nat-create-response-hns13.3-a.json")[0])
	mustDecode(t, err)
	if n.Type != NAT || n.V1Type != "nat" || n.Flags != EnableNonPersistent {
		t.Errorf("type %q spelled %q, flags %d", n.Type, n.V1Type, n.Flags)
	}
	s := n.Subnets()
	if len(s) != 1 || s[0].IpAddressPrefix != "172.21.16.0/20" || len(s[0].Routes) != 1 ||
		s[0].Routes[0].NextHop != "172.21.16.1" || s[0].Routes[0].DestinationPrefix != "0.0.0.0/0" {
		t.Errorf("subnets %+v", s)
	}
	if len(s[0].IpSubnets) != 1 || s[0].IpSubnets[0].Flags != 3 {
		t.Errorf("IP subnets %+v", s[0].IpSubnets)
	}
	vlan, err := DecodeSettings[IsolationSettings](n.Policies[0])
	if err != nil || n.Policies[0].Type != PolicyVLAN || vlan.IsolationID != 1 {
		t.Errorf("policies %+v, %v", n.Policies, err)
	}
	if !strings.Contains(string(n.Health.Extra.Resources), `"Tag":"NAT"`) || n.Health.Extra.LayeredOn == "" {
		t.Errorf("health %+v", n.Health)
	}
	v2 := parsed(t, n.Encode(V2)).(map[string]any)
	if v2["Type"] != "NAT" || v2["Ipams"] == nil || v2["Subnets"] != nil {
		t.Errorf("v2 shape %v", v2)
	}
}

func TestADumpOfAnOverlayNetworkMapsItsTopLevelMembersToPolicies(t *testing.T) {
	n, err := DecodeNetwork(sampleObjects(t, "03-get-networks-overlay-and-nat-hns9.2.json")[0])
	mustDecode(t, err)
	pa, _ := FindPolicy(n.Policies, PolicyProviderAddress)
	dr, _ := FindPolicy(n.Policies, PolicyDrMacAddress)
	if string(pa.Settings) != `{"ProviderAddress":"10.1.36.50"}` || string(dr.Settings) != `{"Address":"00-15-5D-BB-6E-B1"}` {
		t.Errorf("policies %s %s", pa.Settings, dr.Settings)
	}
	vsid, ok := FindPolicy(n.Subnets()[0].Policies, PolicyVSID)
	if s, err := DecodeSettings[IsolationSettings](vsid); !ok || err != nil || s.IsolationID != 9999 {
		t.Errorf("VSID %+v %v", vsid, err)
	}
	if c, ok := n.Extras.Get("dnsservercompartment"); !ok || string(c) != "3" {
		t.Errorf("DNSServerCompartment %s", c)
	}
}

func TestADumpOfARemoteEndpointMapsToFlagsAndPolicies(t *testing.T) {
	e, err := DecodeEndpoint(sampleObjects(t, "06-endpoint-overlay-remote-hns5.1.json")[0])
	mustDecode(t, err)
	if e.Flags != RemoteEndpoint || e.IpConfigurations[0].IpAddress != "10.244.2.141" || e.IpConfigurations[0].PrefixLength != 16 {
		t.Errorf("endpoint %+v", e)
	}
	pa, _ := FindPolicy(e.Policies, PolicyProviderAddress)
	over, _ := FindPolicy(e.Policies, PolicyEncapOverhead)
	if string(pa.Settings) != `{"ProviderAddress":"10.123.74.74"}` || string(over.Settings) != `{"Overhead":50}` {
		t.Errorf("policies %s %s", pa.Settings, over.Settings)
	}
}
