package hcn

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestCodesHaveDistinctNamesAndValuesAndASentence(t *testing.T) {
	names, values := map[string]bool{}, map[Code]bool{}
	hcnCodes := 0
	for _, c := range Codes() {
		if names[c.Name] || values[c.Code] {
			t.Errorf("%s %s occurs twice", c.Name, c.Code)
		}
		names[c.Name], values[c.Code] = true, true
		if !strings.HasSuffix(c.Sentence, ".") || int32(c.Code) >= 0 {
			t.Errorf("%s: sentence %q, value %#x", c.Name, c.Sentence, uint32(c.Code))
		}
		if c.Code&0xFFFF0000 == facilityHCN {
			hcnCodes++
		}
	}
	if hcnCodes != 0x37 {
		t.Errorf("%d codes of the facility, the contract lists %d", hcnCodes, 0x37)
	}
}

func TestCodesAreParsedFromEveryFormInWhichPeopleWriteThem(t *testing.T) {
	for text, want := range map[string]Code{
		"HCN_E_INVALID_POLICY": ErrInvalidPolicy, "invalid_policy": ErrInvalidPolicy, "0x803b000d": ErrInvalidPolicy, "0x803B000D": ErrInvalidPolicy,
		"2151350285": ErrInvalidPolicy, "HCN_E_INVALID_POLICY (0x803b000d)": ErrInvalidPolicy, "0xb7": ErrAlreadyExists, "0x6b5": ErrUnknownInterface,
		"ERROR_NOT_FOUND": ErrElementNotFound, "not_found": ErrElementNotFound, "1168": ErrElementNotFound, "E_NOTIMPL": ErrNotImplemented,
		"0x80070490": ErrElementNotFound, "GCN_E_MODULE_NOT_FOUND": ErrGCNModuleNotFound,
	} {
		if got, err := ParseCode(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	if _, err := ParseCode("HCN_E_INVALID_POLCY"); err == nil || !strings.Contains(err.Error(), `did you mean "HCN_E_INVALID_POLICY"`) {
		t.Errorf("a misspelt name: %v", err)
	}
}

func TestErrorsAreComparedByCodeThroughWrapping(t *testing.T) {
	err := fmt.Errorf("create: %w", ErrorAt(ErrPortAlreadyExists, "Policies[0]", "8080", "a free port"))
	if !errors.Is(err, ErrPortAlreadyExists) || errors.Is(err, ErrInvalidPolicy) || !errors.Is(err, &Error{Code: ErrPortAlreadyExists}) {
		t.Error("errors.Is does not compare codes")
	}
	if e := AsError(err); e.Code != ErrPortAlreadyExists || e.Path != "Policies[0]" {
		t.Errorf("%+v", e)
	}
	if e := AsError(errors.New("boom")); e.Code != ErrFail || !strings.Contains(e.Error(), "boom") {
		t.Errorf("an error without a code: %v", e)
	}
	if AsError(nil) != nil {
		t.Error("no error became one")
	}
}

func TestWin32CodesPrintTheNumbersThatDriversLookFor(t *testing.T) {
	for c, want := range map[Code]string{ErrAlreadyExists: "0xb7", ErrUnknownInterface: "0x6b5", ErrPortAlreadyExists: "0x803b0013"} {
		if !strings.Contains((&Error{Code: c}).Error(), want) {
			t.Errorf("%v does not hold %s", &Error{Code: c}, want)
		}
	}
}

func TestTheErrorRecordHasTheSentenceTheDetailAndTheDecimalCode(t *testing.T) {
	var r struct {
		Success   bool
		Error     string
		ErrorCode uint32
	}
	raw := ErrorAt(ErrInvalidNetworkType, "Type", `"L3"`, "a type").ErrorRecord()
	if err := json.Unmarshal(raw, &r); err != nil {
		t.Fatal(err)
	}
	if r.Success || r.ErrorCode != 2151350283 || r.Error != `Invalid network type. At Type: found "L3", expected a type` {
		t.Errorf("%+v", r)
	}
}

func TestEveryKnobHasADefaultThatItAcceptsInEveryProfile(t *testing.T) {
	for _, info := range KnobList() {
		if info.Doc == "" || info.Rules == "" || len(info.Defaults) != len(ProfileNames()) {
			t.Errorf("%s is not documented: %+v", info.Name, info)
		}
		for _, name := range ProfileNames() {
			p := MustProfile(name)
			before, err := p.Knobs.Get(info.Name)
			if err != nil || before != info.Defaults[name] {
				t.Errorf("%s in %s: %q, %v, want %q", info.Name, name, before, err, info.Defaults[name])
			}
			if err := p.Knobs.Set(info.Name, before); err != nil {
				t.Errorf("%s in %s refuses its own default: %v", info.Name, name, err)
			}
			if after, _ := p.Knobs.Get(info.Name); after != before {
				t.Errorf("%s in %s: %q became %q", info.Name, name, before, after)
			}
		}
		for _, a := range info.Allowed {
			p := MustProfile(WS2022)
			if strings.HasPrefix(a, "<") {
				continue
			}
			if err := p.Knobs.Set(info.Name, a); err != nil {
				t.Errorf("%s refuses its allowed value %s: %v", info.Name, a, err)
			}
		}
	}
}

func TestTheKnobsOfTheAppendixHaveTheDefaultsOfTheAppendix(t *testing.T) {
	p := MustProfile(WS2022)
	for name, want := range map[string]string{
		"unknownUnicast": "uplink", "loopbackPublish": "true", "natMapping": "EIM", "natFilteringTcp": "ADF", "natFilteringUdp": "ADF",
		"natTimers": "30s/2m0s/2m0s/30m0s", "rewriteIPID": "false", "tcpSeqCheck": "false", "vfpNatIdle": "4m0s", "vfpIcmpNat": "false",
		"arpMode.l2bridge": "proxy", "ovBroadcast": "local", "drDecrementsTtl": "false", "outerTtl": "128", "outerDf": "false", "dscpCopy": "false",
		"ecnCopy": "false", "encapOversize": "silent", "swarmCompat": "false", "aclTie": "block-wins", "aclAnyMeansDeny": "false",
		"aclSetAddressing": "source-dest", "aclReconcile": "lazy", "hostToClusterIP": "true", "localNodePort": "true", "lbUpdate": "recreate",
		"lbTerminating": "drain", "ipv6.overlay": "false",
	} {
		if got, err := p.Knobs.Get(name); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", name, got, err, want)
		}
	}
	for _, x := range []struct{ profile, knob, want string }{
		{WS2016, "loopbackPublish", "false"}, {WS2025, "aclAnyMeansDeny", "true"}, {WS2025, "lbUpdate", "in-place"},
		{StrictRFC, "natTimers", "1m0s/2m0s/4m0s/2h4m0s"}, {StrictRFC, "encapOversize", "icmp"}, {WS2016, "natSecondNetwork", "refuse"},
		{WS2019, "addressInUse", "ERROR_OBJECT_ALREADY_EXISTS"}, {WS2022, "addressInUse", "HCN_E_ADDR_INVALID_OR_RESERVED"},
	} {
		p := MustProfile(x.profile)
		if got, _ := p.Knobs.Get(x.knob); got != x.want {
			t.Errorf("%s of %s: %q, want %q", x.knob, x.profile, got, x.want)
		}
	}
}

func TestSettingAKnobConvertsAndRefusesWithTheAllowedValues(t *testing.T) {
	k := MustProfile(WS2022).Knobs
	for _, ok := range [][2]string{{"VFPNATIDLE", "60"}, {"vfpNatIdle", "90s"}, {"outerDf", "1"}, {"natTimers", "60/300/240/7440"}, {"natClash", "0x34"},
		{"overlayMacPrefix", "0e-2a"}, {"natDefaultPrefix", "192.168.0.0/20"}, {"hostNamespaceId", "{910F7D92-BA2D-4C3F-98AE-7C0AC590D2DC}"}} {
		if err := k.Set(ok[0], ok[1]); err != nil {
			t.Errorf("%v: %v", ok, err)
		}
	}
	if k.VFPNATIdle != 90*time.Second || !k.OuterDF || k.NATTimerUDP != 300*time.Second || k.NATClash != ErrDupName || k.OverlayMACPrefix != "0E-2A" ||
		k.HostNamespaceID != "910f7d92-ba2d-4c3f-98ae-7c0ac590d2dc" {
		t.Errorf("%+v", k)
	}
	before := k
	for _, bad := range [][3]string{
		{"natMaping", "EIM", `did you mean "natMapping"?`}, {"natMapping", "NAT", "expected one of EIM, ADM, APDM"}, {"outerDf", "maybe", "expected on or off"},
		{"vfpNatIdle", "soon", "expected seconds"}, {"natTimers", "1/2/3", "four times"}, {"natTimers", "1/2/x/4", "expected seconds"},
		{"outerTtl", "0", "from 1 to 65535"}, {"natClash", "HCN_E_INVALID_POLICY", "expected one of ERROR_OBJECT_ALREADY_EXISTS, ERROR_DUP_NAME"},
		{"overlayMacPrefix", "0F-2A", "expected one of off"}, {"natDefaultPrefix", "10.0.0.1/8", "expected one of auto"},
	} {
		if err := k.Set(bad[0], bad[1]); err == nil || !strings.Contains(err.Error(), bad[2]) {
			t.Errorf("%v: %v", bad, err)
		}
	}
	if k != before {
		t.Error("a refused value changed something")
	}
	if _, err := k.Get("aclTies"); err == nil || !strings.Contains(err.Error(), `"aclTie"`) {
		t.Errorf("unknown knob: %v", err)
	}
}

func TestFeatureRangesHaveTheirHoles(t *testing.T) {
	tests := []struct {
		feature, version string
		want             bool
	}{
		{FeatureDSR, "9.2", false}, {FeatureDSR, "9.3", true}, {FeatureDSR, "9.9", true}, {FeatureDSR, "10.0", false}, {FeatureDSR, "10.1", false}, {FeatureDSR, "10.2", true}, {FeatureDSR, "16.0", true},
		{FeatureL4Proxy, "9.5", true}, {FeatureL4Proxy, "10.4", false}, {FeatureL4Proxy, "10.5", true}, {FeatureL4Proxy, "11.10", false}, {FeatureL4Proxy, "11.11", true}, {FeatureL4Proxy, "12.0", false}, {FeatureL4Proxy, "13.0", false}, {FeatureL4Proxy, "13.1", true},
		{FeatureSlash32, "10.3", false}, {FeatureSlash32, "10.4", true}, {FeatureModifyLoadBalancer, "15.3", false}, {FeatureModifyLoadBalancer, "16.0", true},
		{"NoSuchFeature", "16.0", false},
	}
	for _, tt := range tests {
		v, err := ParseHNSVersion(tt.version)
		if err != nil || Supports(tt.feature, v) != tt.want {
			t.Errorf("%s in %s: %v, %v", tt.feature, tt.version, !tt.want, err)
		}
	}
	f, _ := FindFeature("l4proxy")
	if got := f.RangeText(); got != "9.5 to 9.x, 10.5 to 10.x, 11.11 to 11.x, 12.1 to 12.x, >= 13.1" {
		t.Error(got)
	}
	for _, bad := range []string{"", "13", "13.", "a.b", "-1.2"} {
		if _, err := ParseHNSVersion(bad); err == nil {
			t.Errorf("version %q is accepted", bad)
		}
	}
	if v := (HNSVersion{13, 3}); v.Object() != 55834574851 {
		t.Errorf("object version %d", v.Object())
	}
}

func TestProfilesAreFoundByNameAndListed(t *testing.T) {
	if p, err := ProfileByName(""); err != nil || p.Name != WS2022 || p.Version != (HNSVersion{13, 3}) {
		t.Errorf("%+v, %v", p.Name, err)
	}
	if _, err := ProfileByName("ws2020"); err == nil || err.Error() != `no profile "ws2020": expected one of `+strings.Join(ProfileNames(), ", ") {
		t.Error(err)
	}
	a, b := MustProfile(WS2022), MustProfile(WS2022)
	if err := a.Knobs.Set("swarmCompat", "on"); err != nil || b.Knobs.SwarmCompat {
		t.Error("profiles share their knobs")
	}
}

func TestQueriesAreParsedAsClientsSendThem(t *testing.T) {
	tests := []struct {
		name, doc string
		shape     Shape
		detailed  bool
		filter    string
	}{
		{"no text at all", "", V2, false, "[]"},
		{"hcsshim by name", `{"SchemaVersion":{"Major":2,"Minor":0},"Filter":"{\"Name\":\"cbr0\"}"}`, V2, false, "[{Name cbr0 false}]"},
		{"PowerShell asks for v1, detailed", `{"SchemaVersion":{"Major":1,"Minor":0},"Flags":1}`, V1, true, "[]"},
		{"a bare filter", `{"VirtualNetworkName":"nat","State":3}`, V2, false, "[{VirtualNetworkName nat false} {State 3 false}]"},
		{"a filter as an object", `{"filter":{"IsRemoteEndpoint":true,"Name":null}}`, V2, false, "[{IsRemoteEndpoint true false} {Name  true}]"},
		{"an empty filter", `{"Filter":"{}","Flags":"None"}`, V2, false, "[]"},
	}
	for _, tt := range tests {
		q, err := ParseQuery([]byte(tt.doc))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if got := fmt.Sprint(q.Filter); q.Shape() != tt.shape || q.Detailed != tt.detailed || got != tt.filter {
			t.Errorf("%s: %v %v %s", tt.name, q.Shape(), q.Detailed, got)
		}
	}
}

func TestFiltersMatchAsDriversExpect(t *testing.T) {
	object := map[string]string{"ID": "404947ac-fc8f-4229-a4b5-595b9161f3a8", "Name": "", "State": "3", "Type": "NAT"}
	member := func(name string) (string, bool) {
		for k, v := range object {
			if equalFold(k, name) {
				return v, k != "Name" || v != ""
			}
		}
		return "", false
	}
	for filter, want := range map[string]bool{
		`{}`: true, `{"ID":"404947AC-FC8F-4229-A4B5-595B9161F3A8"}`: true, `{"ID":""}`: false, `{"Name":""}`: true, `{"Name":"n"}`: false,
		`{"State":3}`: true, `{"State":"3"}`: true, `{"State":2}`: false, `{"Type":"NAT","State":3}`: true, `{"Type":"nat"}`: false,
		`{"IsRemoteEndpoint":false}`: true, `{"IsRemoteEndpoint":true}`: false, `{"Missing":null}`: true, `{"Type":null}`: false,
	} {
		q, err := ParseQuery([]byte(`{"Filter":` + filter + `}`))
		if err != nil || q.Match(member) != want {
			t.Errorf("%s: %v, %v", filter, !want, err)
		}
	}
}

func TestModifyRequestsNameTheirResourceAsTextOrAsANumber(t *testing.T) {
	for _, tt := range []struct{ doc, kind, want string }{
		{`{"RequestType":"Add","ResourceType":"Policy"}`, "network", "Policy"}, {`{"RequestType":0,"ResourceType":1}`, "endpoint", "Policy"},
		{`{"ResourceType":"endpoint"}`, "namespace", "Endpoint"}, {`{}`, "endpoint", "Port"},
		{`{"ResourceType":"Port"}`, "network", ""}, {`{"ResourceType":7}`, "endpoint", ""}, {`{"ResourceType":{}}`, "endpoint", ""},
	} {
		m, err := ParseModifyRequest([]byte(tt.doc))
		mustDecode(t, err)
		got, err := m.Resource(tt.kind)
		if got != tt.want || (tt.want == "") != errors.Is(err, ErrRequestUnsupported) {
			t.Errorf("%s of %s: %q, %v", tt.doc, tt.kind, got, err)
		}
	}
}

func TestDocumentKindsAreGuessedFromTheirMembers(t *testing.T) {
	for doc, want := range map[string]string{
		`{"RequestType":"Add"}`: "modify", `{"Filter":"{}"}`: "query", `{"References":[]}`: "policylist", `{"FrontendVIPs":[]}`: "loadbalancer",
		`{"HostComputeEndpoints":[],"Setting":[]}`: "route", `{"IpConfigurations":[]}`: "endpoint", `{"IsDefault":true}`: "namespace",
		`{"Type":"NAT"}`: "network", `{"x":1}`: "", `nonsense`: "",
	} {
		if got := DocumentKind([]byte(doc)); got != want {
			t.Errorf("%s: %q, want %q", doc, got, want)
		}
	}
}

func TestDocumentsCanStandInsideValuesOfEncodingJSON(t *testing.T) {
	n := &Network{Name: "n", Type: Overlay, Policies: []Policy{NewPolicy(PolicyVxlanPort, VxlanPortSettings{Port: 4790})}, Extras: Extras{{"X", []byte("1")}}}
	raw, err := json.Marshal(map[string]any{"network": n})
	if err != nil || string(raw) != `{"network":{"Name":"n","Type":"Overlay","Policies":[{"Type":"VxlanPort","Settings":{"Port":4790}}],"X":1}}` {
		t.Errorf("%s, %v", raw, err)
	}
}

func TestTypesOfNetworksSayWhatTheyNeed(t *testing.T) {
	for _, n := range NetworkTypes() {
		external := n == Transparent || n == L2Bridge || n == L2Tunnel || n == Overlay
		if n.External() != external || n.UsesVFP() != (external && n != Transparent) || !n.Known() {
			t.Errorf("%s: external %v, VFP %v", n, n.External(), n.UsesVFP())
		}
	}
	if NetworkType("nat").Known() {
		t.Error("a spelling that is not canonical is known")
	}
}

func TestPoliciesAreEqualByTheMeaningOfTheirSettings(t *testing.T) {
	a, err := DecodePolicy([]byte(`{"Type":"ACL","Settings":{"direction":"In","Action":0,"Priority":0,"LocalPorts":""}}`))
	mustDecode(t, err)
	b, err := DecodePolicy([]byte(`{"Type":"acl","Settings":{"Action":"Allow","Direction":"In"}}`))
	mustDecode(t, err)
	if string(CanonicalSettings(a)) != string(CanonicalSettings(b)) {
		t.Errorf("%s and %s", CanonicalSettings(a), CanonicalSettings(b))
	}
	for _, odd := range []string{`{"Type":"Other","Settings":{"b":1,"a":2}}`, `{"Type":"QOS","Settings":[1]}`} {
		p, err := DecodePolicy([]byte(odd))
		mustDecode(t, err)
		if string(CanonicalSettings(p)) != string(p.Settings) {
			t.Errorf("%s changed", odd)
		}
	}
}
