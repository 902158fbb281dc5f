package hcn

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

func TestMembersAreMatchedWithoutRegardToCase(t *testing.T) {
	n, err := DecodeNetwork([]byte(`{"iD":"404947AC-FC8F-4229-A4B5-595B9161F3A8","NAME":"n","type":"l2bridge","IPAMS":[{"SUBNETS":[{"ipaddressprefix":"10.0.0.0/8"}]}]}`))
	mustDecode(t, err)
	if n.ID == "" || n.Name != "n" || n.Type != L2Bridge || n.Subnets()[0].IpAddressPrefix != "10.0.0.0/8" {
		t.Errorf("%+v", n)
	}
}

func TestTheLastOfSeveralMembersWithOneNameWins(t *testing.T) {
	n, err := DecodeNetwork([]byte(`{"Name":"a","X":1,"name":"b","x":2}`))
	mustDecode(t, err)
	if got := string(n.Encode(V2)); got != `{"Name":"b","Type":"","X":2}` {
		t.Error(got)
	}
}

func TestUnknownMembersAreKeptAtEveryLevelInOrder(t *testing.T) {
	doc := `{"Name":"n","Type":"Overlay","Policies":[{"Type":"HostRoute","Settings":{"Q":[1,{"a":null}]},"P":true}],` +
		`"MacPool":{"Ranges":[{"StartMacAddress":"00-15-5D-00-00-00","EndMacAddress":"00-15-5D-00-00-FF","R":"x"}],"M":{}},` +
		`"Dns":{"Domain":"d","D":-1.5e3},"Ipams":[{"Type":"Static","Subnets":[{"IpAddressPrefix":"10.0.0.0/8","Routes":[{"NextHop":"10.0.0.1","DestinationPrefix":"0.0.0.0/0","T":[]}],"S":""}],"I":0}],` +
		`"Health":{"Extra":{"E":1},"H":2},"Zeta":{"z":1},"Alpha":"a"}`
	n, err := DecodeNetwork([]byte(doc))
	mustDecode(t, err)
	if got := string(n.Encode(V2)); got != doc {
		t.Errorf("\nwant %s\n got %s", doc, got)
	}
}

func TestEnumerationsAreReadAsTextAndAsIntegers(t *testing.T) {
	n, err := DecodeNetwork([]byte(`{"SchemaVersion":{"Major":2},"Type":5,"Flags":"EnableNonPersistent, EnableDnsProxy","Ipams":[{"Type":1}],"Policies":[{"Type":9}]}`))
	mustDecode(t, err)
	if n.Type != Overlay || n.Flags != 9 || n.Ipams[0].Type != "Dhcp" || n.Policies[0].Type != PolicyHostRoute {
		t.Errorf("%+v", n)
	}
	l, err := DecodeLoadBalancer([]byte(`{"Flags":"EnableDirectServerReturn","PortMappings":[{"Protocol":"udp","DistributionType":"SourceIP"}]}`))
	mustDecode(t, err)
	if l.Flags != EnableDSR || l.PortMappings[0].Protocol != ProtoUDP || l.PortMappings[0].DistributionType != PerSourceIP {
		t.Errorf("%+v", l)
	}
	if got := string(l.Encode(V2)); got != `{"PortMappings":[{"Protocol":17,"DistributionType":2}],"Flags":1}` {
		t.Errorf("numeric enumerations are written as %s", got)
	}
}

func TestSettingsWithIntegerEnumerationsAreWrittenAsText(t *testing.T) {
	p, err := DecodePolicy([]byte(`{"Type":"acl","Settings":{"Action":1,"Direction":0,"RuleType":1,"Note":"kept"}}`))
	mustDecode(t, err)
	if got := string(p.Encode(V2)); got != `{"Type":"ACL","Settings":{"Action":"Block","Direction":"In","RuleType":"Switch","Note":"kept"}}` {
		t.Error(got)
	}
}

func TestSettingsThatNeedNoChangeAreEchoedAsTheyCame(t *testing.T) {
	doc := `{"Type":"PortMapping","Settings":{"VIP":"","Protocol":6,"ExternalPort":0,"InternalPort":80}}`
	p, err := DecodePolicy([]byte(doc))
	mustDecode(t, err)
	if got := string(p.Encode(V2)); got != doc {
		t.Error(got)
	}
}

func TestPolicyNamesOfScriptsAreCanonical(t *testing.T) {
	for in, want := range map[string]PolicyType{"SDNROUTE": PolicySDNRoute, "INTERFACECONSTRAINT": PolicyInterfaceConstraint, "ROUTE": PolicySDNRoute,
		"pa": PolicyProviderAddress, "NAT": PolicyPortMapping, "outboundnat": PolicyOutBoundNAT, "Nonsense": "Nonsense"} {
		p, err := DecodePolicy([]byte(`{"Type":"` + in + `"}`))
		mustDecode(t, err)
		if p.Type != want {
			t.Errorf("%s became %s, want %s", in, p.Type, want)
		}
	}
}

func TestOldACLsMoveTheirSingleValuesIntoLists(t *testing.T) {
	p, err := DecodePolicy([]byte(`{"Type":"ACL","Protocol":6,"LocalPort":80,"RemotePort":0,"Action":"Allow","Direction":"Out"}`))
	mustDecode(t, err)
	s, err := DecodeSettings[ACLSettings](p)
	if err != nil || s.Protocols != "6" || s.LocalPorts != "80" || s.RemotePorts != "" || len(s.Extras) != 0 {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestAnUnknownInlinePolicyKeepsItsMembersInBothForms(t *testing.T) {
	p, err := DecodePolicy([]byte(`{"Type":"Custom","A":1,"B":{"C":2}}`))
	mustDecode(t, err)
	if got := string(p.Encode(V1)); got != `{"Type":"Custom","A":1,"B":{"C":2}}` {
		t.Error(got)
	}
	if got := string(p.Encode(V2)); got != `{"Type":"Custom","Settings":{"A":1,"B":{"C":2}}}` {
		t.Error(got)
	}
}

func TestRouteObjectsHaveTheirListUnderBothNames(t *testing.T) {
	for _, name := range []string{"Routes", "Setting"} {
		r, err := DecodeSDNRoute([]byte(`{"` + name + `":[{"DestinationPrefix":"169.254.169.254/24","NextHop":"127.10.0.34"}]}`))
		mustDecode(t, err)
		got := string(r.Encode(V2))
		if len(r.Routes) != 1 || !strings.Contains(got, `"Routes":[{`) || !strings.Contains(got, `"Setting":[{`) {
			t.Errorf("from %s: %s", name, got)
		}
	}
}

func TestPolicyListsAreLoadBalancersAndRoutes(t *testing.T) {
	lb, route, err := DecodePolicyList([]byte(`{"References":["/endpoints/37AA41CF-FF54-4626-9DD6-EB6EB236AAA1"],"Policies":[{"Type":"ELB","SourceVIP":"10.0.0.1","VIPs":["10.96.0.1"],"ILB":true,"IsDSR":true,"Protocol":6,"InternalPort":8080,"ExternalPort":80}]}`))
	mustDecode(t, err)
	want := &LoadBalancer{HostComputeEndpoints: []string{"37aa41cf-ff54-4626-9dd6-eb6eb236aaa1"}, SourceVIP: "10.0.0.1", FrontendVIPs: []string{"10.96.0.1"},
		PortMappings: []PortMapping{{Protocol: ProtoTCP, InternalPort: 8080, ExternalPort: 80, Flags: EnableILB}}, Flags: EnableDSR}
	if route != nil || !reflect.DeepEqual(lb, want) {
		t.Errorf("%+v", lb)
	}
	again, _, err := DecodePolicyList(lb.Encode(V1))
	if err != nil || !reflect.DeepEqual(again, want) {
		t.Errorf("%+v, %v", again, err)
	}
	lb, route, err = DecodePolicyList([]byte(`{"References":["/endpoints/37AA41CF-FF54-4626-9DD6-EB6EB236AAA1"],"Policies":[{"Type":"ROUTE","DestinationPrefix":"10.0.0.0/8","NeedEncap":true}]}`))
	if err != nil || lb != nil || len(route.Routes) != 1 || !route.Routes[0].NeedEncap {
		t.Errorf("%+v, %v", route, err)
	}
}

// shape tests of section B.10: v1 documents on the left, v2 on the right.
func TestV1AndV2ShapesMapToEachOther(t *testing.T) {
	tests := []struct{ name, kind, v1, v2 string }{
		{"an overlay network", "network",
			`{"Name":"vxlan0","Type":"overlay","Policies":[],"MacPools":[{"StartMacAddress":"00-15-5D-52-C0-00","EndMacAddress":"00-15-5D-52-CF-FF"}],"Subnets":[{"AddressPrefix":"10.244.1.0/24","GatewayAddress":"10.244.1.1","Policies":[{"Type":"VSID","VSID":4096}]}],"DNSSuffix":"a,b","DNSServerList":"10.0.0.10,10.0.0.11","NetworkAdapterName":"Ethernet","SourceMac":"00-15-5D-00-00-01","AutomaticDNS":true}`,
			`{"Name":"vxlan0","Type":"Overlay","Policies":[{"Type":"NetAdapterName","Settings":{"NetworkAdapterName":"Ethernet"}},{"Type":"SourceMacAddress","Settings":{"SourceMacAddress":"00-15-5D-00-00-01"}},{"Type":"AutomaticDNS","Settings":{"Enable":true}}],"MacPool":{"Ranges":[{"StartMacAddress":"00-15-5D-52-C0-00","EndMacAddress":"00-15-5D-52-CF-FF"}]},"Dns":{"Domain":"a","Search":["b"],"ServerList":["10.0.0.10","10.0.0.11"]},"Ipams":[{"Type":"Static","Subnets":[{"IpAddressPrefix":"10.244.1.0/24","Policies":[{"Type":"VSID","Settings":{"IsolationId":4096}}],"Routes":[{"NextHop":"10.244.1.1","DestinationPrefix":"0.0.0.0/0"}]}]}]}`},
		{"an endpoint of win-bridge", "endpoint",
			`{"Name":"c2","VirtualNetwork":"162bd503-486b-4fe8-af6b-6db204c55dcb","Policies":[{"Type":"OutBoundNAT","ExceptionList":["192.168.0.0/16"]},{"Type":"ROUTE","DestinationPrefix":"11.0.0.0/8","NeedEncap":true},{"Type":"NAT","InternalPort":80,"ExternalPort":8080,"Protocol":"TCP"}],"IPAddress":"10.244.1.7","DNSSuffix":"svc.cluster.local","DNSServerList":"11.0.0.10","GatewayAddress":"10.244.1.2"}`,
			`{"Name":"c2","HostComputeNetwork":"162bd503-486b-4fe8-af6b-6db204c55dcb","Policies":[{"Type":"OutBoundNAT","Settings":{"Exceptions":["192.168.0.0/16"]}},{"Type":"SDNRoute","Settings":{"DestinationPrefix":"11.0.0.0/8","NeedEncap":true}},{"Type":"PortMapping","Settings":{"InternalPort":80,"ExternalPort":8080,"Protocol":6}}],"IpConfigurations":[{"IpAddress":"10.244.1.7"}],"Dns":{"Domain":"svc.cluster.local","ServerList":["11.0.0.10"]},"Routes":[{"NextHop":"10.244.1.2","DestinationPrefix":"0.0.0.0/0"}]}`},
		{"a dual-stack endpoint", "endpoint",
			`{"VirtualNetwork":"162bd503-486b-4fe8-af6b-6db204c55dcb","IPAddress":"10.0.0.5","PrefixLength":24,"IPv6Address":"fd00::5","IPv6PrefixLength":64,"GatewayAddress":"10.0.0.1","GatewayAddressV6":"fd00::1","DisableICC":true,"EnableLowInterfaceMetric":true,"Namespace":{"ID":"2c094b9e-af3a-4dc1-97d8-821b68603d23"},"EncapOverhead":50}`,
			`{"HostComputeNetwork":"162bd503-486b-4fe8-af6b-6db204c55dcb","HostComputeNamespace":"2c094b9e-af3a-4dc1-97d8-821b68603d23","Policies":[{"Type":"EncapOverhead","Settings":{"Overhead":50}}],"IpConfigurations":[{"IpAddress":"10.0.0.5","PrefixLength":24},{"IpAddress":"fd00::5","PrefixLength":64}],"Routes":[{"NextHop":"10.0.0.1","DestinationPrefix":"0.0.0.0/0"},{"NextHop":"fd00::1","DestinationPrefix":"::/0"}],"Flags":10}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			encode := func(doc string, s Shape) []byte {
				if tt.kind == "network" {
					n, err := DecodeNetwork([]byte(doc))
					mustDecode(t, err)
					return n.Encode(s)
				}
				e, err := DecodeEndpoint([]byte(doc))
				mustDecode(t, err)
				return e.Encode(s)
			}
			if got := encode(tt.v1, V2); !reflect.DeepEqual(parsed(t, got), parsed(t, []byte(tt.v2))) {
				t.Errorf("v1 to v2:\nwant %s\n got %s", tt.v2, got)
			}
			got := parsed(t, encode(tt.v2, V1)).(map[string]any)
			want := parsed(t, []byte(tt.v1)).(map[string]any)
			if tt.kind == "network" {
				want["Type"] = "Overlay" // v2 has the canonical spelling only
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("v2 to v1:\nwant %v\n got %v", want, got)
			}
		})
	}
}

// generator makes random documents by filling our structs with random values.
type generator struct{ r *rand.Rand }

func (g *generator) fill(v reflect.Value, depth int) {
	switch {
	case v.Type() == extrasType:
		if g.r.IntN(4) == 0 {
			v.Set(reflect.ValueOf(Extras{{"Unknown" + g.word(), []byte(`{"a":[1,"x"]}`)}}))
		}
		return
	case v.Type() == rawType:
		if g.r.IntN(2) == 0 {
			v.SetBytes([]byte(`{"r":` + g.digits() + `}`))
		}
		return
	case v.Type() == policyListType:
		v.Set(reflect.ValueOf(g.policies()))
		return
	}
	if table, ok := textEnums[v.Type()]; ok {
		v.SetString(table[g.r.IntN(len(table))].text)
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(g.word())
	case reflect.Bool:
		v.SetBool(g.r.IntN(2) == 0)
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(g.r.IntN(200)))
	case reflect.Slice:
		n := g.r.IntN(3)
		if n == 0 || depth > 5 {
			return
		}
		s := reflect.MakeSlice(v.Type(), n, n)
		for i := 0; i < n; i++ {
			g.fill(s.Index(i), depth+1)
		}
		v.Set(s)
	case reflect.Struct:
		for i := 0; i < v.NumField(); i++ {
			if v.Type().Field(i).Name == "V1Type" {
				continue
			}
			if g.r.IntN(3) > 0 && v.Field(i).CanSet() {
				g.fill(v.Field(i), depth+1)
			}
		}
	}
}

func (g *generator) word() string {
	return []string{"", "a", "10.0.0.1", "fd00::1", `quote " and \ back`, "ünïcode \u2028 <&>", "Ethernet", "10.0.0.0/8"}[g.r.IntN(8)]
}

func (g *generator) digits() string { return []string{"0", "7", "65535"}[g.r.IntN(3)] }

func (g *generator) policies() []Policy {
	var out []Policy
	for n := g.r.IntN(4); n > 0; n-- {
		s := policySpecs[g.r.IntN(len(policySpecs))]
		settings := s.settings()
		g.fill(reflect.ValueOf(settings).Elem(), 3)
		out = append(out, NewPolicy(s.kind, settings))
	}
	return out
}

func TestDecodingUndoesEncodingForGeneratedDocuments(t *testing.T) {
	for seed := uint64(0); seed < 3000; seed++ {
		g := &generator{rand.New(rand.NewPCG(seed, 1))}
		n := &Network{SchemaVersion: SchemaVersion{Major: 2}}
		g.fill(reflect.ValueOf(n).Elem(), 0)
		n.SchemaVersion = SchemaVersion{Major: 2} // a generated one could say v1
		checkV2(t, seed, n, n.Encode(V2), DecodeNetwork)
		e := &Endpoint{}
		g.fill(reflect.ValueOf(e).Elem(), 0)
		e.SchemaVersion = SchemaVersion{Major: 2}
		checkV2(t, seed, e, e.Encode(V2), DecodeEndpoint)
		l := &LoadBalancer{}
		g.fill(reflect.ValueOf(l).Elem(), 0)
		checkV2(t, seed, l, l.Encode(V2), DecodeLoadBalancer)
		ns := &Namespace{}
		g.fill(reflect.ValueOf(ns).Elem(), 0)
		ns.SchemaVersion = SchemaVersion{Major: 2}
		checkV2(t, seed, ns, ns.Encode(V2), DecodeNamespace)
	}
}

func checkV2[T any](t *testing.T, seed uint64, want *T, doc []byte, decode func([]byte) (*T, error)) {
	t.Helper()
	got, err := decode(doc)
	if err != nil {
		t.Fatalf("seed %d: %v in %s", seed, err, doc)
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("seed %d:\n doc %s\nwant %+v\n got %+v", seed, doc, want, got)
	}
}

func TestMalformedJSONNamesLineColumnAndWhatWasFound(t *testing.T) {
	tests := []struct{ doc, want string }{
		{"", `line 1, column 1: found the end of the document, expected a JSON value`},
		{"{", `line 1, column 2: found the end of the document, expected a member name in quotes or "}"`},
		{"{\n  \"Name\": \"a\"\n  \"Type\": \"NAT\"\n}", `line 3, column 3: found "\"", expected "," or "}" after the member "Name"`},
		{"{\"Name\": a}", `line 1, column 10: found "a", expected a JSON value`},
		{"{\"Name\": True}", `line 1, column 10: found "True", expected a JSON value`},
		{"{\"Name\" \"a\"}", `line 1, column 9: found "\"", expected ":" after the member name "Name"`},
		{"{\"a\":1,}", `line 1, column 8: found "}", expected a member name after ","`},
		{"{\"a\":[1,]}", `line 1, column 9: found "]", expected a list element after ","`},
		{"{\"a\":[1 2]}", `line 1, column 9: found "2", expected "," or "]" after a list element`},
		{"{\"a\":01}", `line 1, column 6: found "01", expected a number without leading zeros`},
		{"{\"a\":-}", `line 1, column 7: found "}", expected a digit`},
		{"{\"a\":1.}", `line 1, column 8: found "}", expected a digit`},
		{"{\"a\":1e}", `line 1, column 8: found "}", expected a digit`},
		{"{\"a\":\"b", `line 1, column 8: found the end of the document, expected a closing quote for the text that starts at line 1, column 6`},
		{"{\"a\":\"\\x\"}", `line 1, column 7: found "\\", expected one of the escapes \" \\ \/ \b \f \n \r \t \uXXXX`},
		{"{\"a\":\"\x01\"}", `line 1, column 7: found "\x01", expected a printable character inside text (control characters need an escape)`},
		{"{} x", `line 1, column 4: found "x", expected the end of the document`},
		{"[1]", `line 1, column 1: found a list of 1, expected an object`},
		{"{\"Name\":5}", `At Name, line 1, column 9: found 5, expected text`},
		{strings.Repeat("[", 100), `line 1, column 65: found "[", expected at most 64 nested objects and lists`},
	}
	for _, tt := range tests {
		_, err := DecodeNetwork([]byte(tt.doc))
		var e *Error
		if !errors.As(err, &e) || !errors.Is(err, ErrInvalidJSON) {
			t.Errorf("%q: %v", tt.doc, err)
			continue
		}
		if got := strings.TrimPrefix(e.DetailText(), ""); got != tt.want {
			t.Errorf("%q:\nwant %s\n got %s", tt.doc, tt.want, got)
		}
	}
}

func TestAByteOrderMarkIsSkipped(t *testing.T) {
	n, err := DecodeNetwork([]byte("\xEF\xBB\xBF{\"Name\":\"n\"}"))
	if err != nil || n.Name != "n" {
		t.Error(n, err)
	}
}

func TestBrokenUTF8BecomesTheReplacementCharacter(t *testing.T) {
	n, err := DecodeNetwork([]byte("{\"Name\":\"a\xff\\ud800b\\ud83d\\ude00\"}"))
	if err != nil || n.Name != "a\uFFFD\uFFFDb😀" {
		t.Errorf("%q, %v", n.Name, err)
	}
}
