package hcn

import (
	"go/ast"
	goparser "go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// These tests read hcsshim's source files, as text: its packages build for
// Windows only, and nothing here may import them.

const hcsshim = "github.com/Microsoft/hcsshim"

// hcsshimDir finds the module that go.mod names in the module cache.
func hcsshimDir(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", hcsshim).Output()
	dir := strings.TrimSpace(string(out))
	if err != nil || dir == "" {
		t.Skipf("%s is not in the module cache (go mod download %s): names not compared; %v", hcsshim, hcsshim, err)
	}
	return dir
}

func parseDir(t *testing.T, dir string) []*ast.File {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Skipf("hcsshim's sources are incomplete: %v", err)
	}
	var files []*ast.File
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") || strings.HasPrefix(e.Name(), "z") {
			continue
		}
		f, err := goparser.ParseFile(token.NewFileSet(), filepath.Join(dir, e.Name()), nil, goparser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}

// theirStructs maps struct names to JSON member names. Embedded structs of
// the same package are resolved.
func theirStructs(files []*ast.File) map[string][]string {
	types := map[string]*ast.StructType{}
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			if ts, ok := n.(*ast.TypeSpec); ok {
				if st, ok := ts.Type.(*ast.StructType); ok {
					types[ts.Name.Name] = st
				}
			}
			return true
		})
	}
	out := map[string][]string{}
	var names func(st *ast.StructType) []string
	names = func(st *ast.StructType) []string {
		var list []string
		for _, f := range st.Fields.List {
			if len(f.Names) == 0 {
				if id, ok := f.Type.(*ast.Ident); ok && types[id.Name] != nil {
					list = append(list, names(types[id.Name])...)
				}
				continue
			}
			for _, n := range f.Names {
				if !n.IsExported() {
					continue
				}
				name := n.Name
				if f.Tag != nil {
					tag, _ := strconv.Unquote(f.Tag.Value)
					if j, _, _ := strings.Cut(reflect.StructTag(tag).Get("json"), ","); j != "" {
						name = j
					}
				}
				if name != "-" {
					list = append(list, name)
				}
			}
		}
		return list
	}
	for name, st := range types {
		out[name] = names(st)
	}
	return out
}

// ourNames are the members of one of our structs, aliases included.
func ourNames(v any) []string {
	if v == nil {
		return nil
	}
	info := infoOf(reflect.TypeOf(v))
	out := info.names()
	for _, f := range info.fields {
		if f.alias != "" {
			out = append(out, f.alias)
		}
	}
	return out
}

// v2Structs pairs the structs of hcsshim's package hcn with ours.
var v2Structs = map[string]any{
	"HostComputeNetwork": Network{}, "HostComputeEndpoint": Endpoint{}, "HostComputeNamespace": Namespace{},
	"HostComputeLoadBalancer": LoadBalancer{}, "HostComputeRoute": SDNRoute{}, "LoadBalancerPortMapping": PortMapping{},
	"Ipam": Ipam{}, "Subnet": Subnet{}, "Route": Route{}, "MacRange": MacRange{}, "MacPool": MacPool{}, "Dns": DNS{},
	"IpConfig": IpConfig{}, "Health": Health{}, "ExtraParams": ExtraParams{}, "Version": SchemaVersion{},
	"NamespaceResource": NamespaceResource{}, "PortMappingPolicySetting": PortMappingSettings{},
	"AclPolicySetting": ACLSettings{}, "NetworkACLPolicySetting": ACLSettings{}, "QosPolicySetting": QOSSettings{},
	"OutboundNatPolicySetting": OutBoundNATSettings{}, "SDNRoutePolicySetting": SDNRouteSettings{}, "FiveTuple": FiveTuple{},
	"ProxyExceptions": ProxyExceptions{}, "L4WfpProxyPolicySetting": L4WFPProxySettings{},
	"PortnameEndpointPolicySetting": PortNameSettings{}, "EncapOverheadEndpointPolicySetting": EncapOverheadSettings{},
	"IovPolicySetting": IovSettings{}, "ProviderAddressEndpointPolicySetting": ProviderAddressSettings{},
	"ProviderAddressNetworkPolicySetting": ProviderAddressSettings{}, "InterfaceConstraintPolicySetting": InterfaceConstraintSettings{},
	"SourceMacAddressNetworkPolicySetting": SourceMacAddressSettings{}, "NetAdapterNameNetworkPolicySetting": NetAdapterNameSettings{},
	"VSwitchExtensionNetworkPolicySetting": VSwitchExtensionSettings{}, "DrMacAddressNetworkPolicySetting": DrMacAddressSettings{},
	"AutomaticDNSNetworkPolicySetting": AutomaticDNSSettings{}, "LayerConstraintNetworkPolicySetting": LayerConstraintSettings{},
	"VlanPolicySetting": IsolationSettings{}, "VsidPolicySetting": IsolationSettings{},
	"RemoteSubnetRoutePolicySetting": RemoteSubnetRouteSettings{}, "SetPolicySetting": SetPolicySettings{},
	"VxlanPortPolicySetting": VxlanPortSettings{}, "L4ProxyPolicySetting": L4ProxySettings{}, "TierAclRule": TierACLRule{},
	"TierAclPolicySetting": TierACLSettings{}, "ModifyNetworkSettingRequest": ModifyRequest{},
	"ModifyEndpointSettingRequest": ModifyRequest{}, "ModifyNamespaceSettingRequest": ModifyRequest{},
	"PolicyNetworkRequest": NetworkPolicyRequest{}, "PolicyEndpointRequest": EndpointPolicyRequest{},
	"VmEndpointRequest": PortRequest{},
}

// v2Elsewhere are structs of hcsshim that have no struct here, with the reason.
var v2Elsewhere = map[string]string{
	"EndpointPolicy": "Policy, which has a codec of its own", "NetworkPolicy": "as EndpointPolicy", "SubnetPolicy": "as EndpointPolicy",
	"NamespaceResourceEndpoint": "NamespaceResourceData, whose Id is ID there", "NamespaceResourceContainer": "as NamespaceResourceEndpoint",
	"HostComputeQuery": "Query, which has a parser of its own", "Globals": "written by hns",
	"VersionRange": "not JSON", "hnsResponse": "written by hns", "SupportedFeatures": "Features; see the range test",
	"AclFeatures": "as SupportedFeatures", "ApiSupport": "as SupportedFeatures",
	"EndpointNotFoundError": "client side", "NetworkNotFoundError": "client side", "NamespaceNotFoundError": "client side",
	"LoadBalancerNotFoundError": "client side", "RouteNotFoundError": "client side", "HcnError": "client side",
}

func TestTheV2StructsHaveTheMemberNamesOfHcsshim(t *testing.T) {
	compareNames(t, "hcn", v2Structs, v2Elsewhere, nil)
}

// v1Structs pairs the structs of hcsshim's package internal/hns with ours.
var v1Structs = map[string]any{
	"HNSNetwork": V1Network{}, "Subnet": V1Subnet{}, "MacPool": MacRange{}, "HNSEndpoint": V1Endpoint{}, "Namespace": V1Namespace{},
	"NamespaceResource": NamespaceResource{}, "namespaceResourceRequest": NamespaceResource{}, "PolicyList": PolicyList{},
	"ELBPolicy": ELBSettings{}, "RoutePolicy": v1RouteSettings{}, "EndpointAttachDetachRequest": AttachRequest{},
	"IsolationPolicy": v1IsolationSettings{},
}

// v1InExtras are members that have no field here: they have no v2 form and
// live in Extras, which a round trip keeps.
var v1InExtras = []string{"DNSServerCompartment", "VirtualNetworkName", "DNSDomain", "EnableInternalDNS", "Type"}

var v1Elsewhere = map[string]string{
	"NatPolicy": "policy forms: see the policy test", "QosPolicy": "same", "VlanPolicy": "same", "VsidPolicy": "same", "PaPolicy": "same",
	"OutboundNatPolicy": "same", "ProxyPolicy": "same", "ACLPolicy": "same", "Policy": "same", "LBPolicy": "part of ELBPolicy",
	"EndpointNotFoundError": "client side", "NetworkNotFoundError": "client side", "HNSGlobals": "written by hns", "HNSVersion": "written by hns",
	"HNSNnvManagementMacAddress": "DecodeAccelnet", "HNSNnvManagementMacList": "DecodeAccelnet", "hnsResponse": "written by hns",
	"EndpointResquestResponse": "written by hns", "EndpointStats": "written by hns", "endpointAttachInfo": "client side",
	"HNSSupportedFeatures": "client side", "HNSAclFeatures": "client side", "namespaceRequest": "Namespace with IsDefault",
	"namespaceEndpointRequest": "NamespaceResourceData, whose Id it is", "SystemType": "text",
}

func TestTheV1StructsHaveTheMemberNamesOfHcsshim(t *testing.T) {
	compareNames(t, filepath.Join("internal", "hns"), v1Structs, v1Elsewhere, v1InExtras)
}

func compareNames(t *testing.T, dir string, ours map[string]any, elsewhere map[string]string, inExtras []string) {
	t.Helper()
	theirs := theirStructs(parseDir(t, filepath.Join(hcsshimDir(t), dir)))
	if len(theirs) < 20 {
		t.Fatalf("only %d structs found in hcsshim's %s", len(theirs), dir)
	}
	for name, members := range theirs {
		mine, paired := ours[name]
		if !paired {
			if _, known := elsewhere[name]; !known {
				t.Errorf("hcsshim has a struct %s that nothing here stands for", name)
			}
			continue
		}
		have := ourNames(mine)
		for _, m := range members {
			if !slices.Contains(have, m) && !slices.Contains(inExtras, m) {
				t.Errorf("%s.%s: %T has no such member, only %v", name, m, mine, have)
			}
		}
	}
	for name := range ours {
		if theirs[name] == nil {
			t.Errorf("hcsshim has no struct %s any more", name)
		}
	}
}

// v1PolicyStructs are the inline policies: each must decode to settings that
// lose none of its members.
var v1PolicyStructs = map[string]string{
	"NatPolicy":         `{"Type":"NAT","Protocol":"TCP","InternalPort":80,"ExternalPort":8080,"ExternalPortReserved":true}`,
	"QosPolicy":         `{"Type":"QOS","MaximumOutgoingBandwidthInBytes":1000}`,
	"VlanPolicy":        `{"Type":"VLAN","VLAN":5}`,
	"VsidPolicy":        `{"Type":"VSID","VSID":4096}`,
	"PaPolicy":          `{"Type":"PA","PA":"10.0.0.1"}`,
	"OutboundNatPolicy": `{"Type":"OutBoundNAT","VIP":"10.0.0.1","ExceptionList":["10.0.0.0/8"],"Destinations":["10.1.0.1"],"MaxPortPoolUsage":5}`,
	"ProxyPolicy":       `{"Type":"PROXY","IP":"10.0.0.1","Port":"80","ExceptionList":["10.0.0.0/8"],"Destination":"10.1.0.0/16","OutboundNat":true}`,
	"ACLPolicy": `{"Type":"ACL","Id":"a","Protocols":"6","InternalPort":7,"Action":"Block","Direction":"In","LocalAddresses":"10.0.0.1",` +
		`"RemoteAddresses":"10.0.0.2","LocalPorts":"80","RemotePorts":"90","RuleType":"Switch","Priority":200,"ServiceName":"s"}`,
}

func TestTheV1PoliciesOfHcsshimSurviveTheV2FormWithAllMembers(t *testing.T) {
	theirs := theirStructs(parseDir(t, filepath.Join(hcsshimDir(t), "internal", "hns")))
	for name, doc := range v1PolicyStructs {
		p, err := DecodePolicy([]byte(doc))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := string(p.Encode(V1)); !reflect.DeepEqual(parsed(t, []byte(got)), parsed(t, []byte(doc))) {
			t.Errorf("%s: %s came back as %s", name, doc, got)
		}
		for _, m := range theirs[name] {
			single := map[string]bool{"Protocol": true, "LocalPort": true, "RemotePort": true}
			if name == "ACLPolicy" && single[m] {
				continue // moved into the lists: see the ACL test
			}
			if !strings.Contains(doc, `"`+m+`"`) {
				t.Errorf("%s has a member %s that the test document lacks", name, m)
			}
		}
	}
}

// theirRanges maps hcsshim's version variables to our features.
var theirRanges = map[string]string{
	"HNSVersion1803": FeatureACL, "V2ApiSupport": FeatureV2Api, "RemoteSubnetVersion": FeatureRemoteSubnet,
	"HostRouteVersion": FeatureHostRoute, "DSRVersion": FeatureDSR, "Slash32EndpointPrefixesVersion": FeatureSlash32,
	"AclSupportForProtocol252Version": FeatureACL252, "SessionAffinityVersion": FeatureSessionAffinity,
	"IPv6DualStackVersion": FeatureIPv6DualStack, "SetPolicyVersion": FeatureSetPolicy, "VxlanPortVersion": FeatureVxlanPort,
	"L4ProxyPolicyVersion": FeatureL4Proxy, "L4WfpProxyPolicyVersion": FeatureL4WfpProxy, "TierAclPolicyVersion": FeatureTierACL,
	"NetworkACLPolicyVersion": FeatureNetworkACL, "NestedIpSetVersion": FeatureNestedIPSet,
	"DisableHostPortVersion": FeatureDisableHostPort, "ModifyLoadbalancerVersion": FeatureModifyLoadBalancer,
	"AccelnetVersion": FeatureAccelnet,
}

func TestTheFeatureRangesAreThoseOfHcsshim(t *testing.T) {
	found := map[string]bool{}
	for _, f := range parseDir(t, filepath.Join(hcsshimDir(t), "hcn")) {
		ast.Inspect(f, func(n ast.Node) bool {
			vs, ok := n.(*ast.ValueSpec)
			if !ok || len(vs.Values) != 1 {
				return true
			}
			lit, ok := vs.Values[0].(*ast.CompositeLit)
			if id, isID := ident(lit); !ok || !isID || id != "VersionRanges" {
				return true
			}
			name := vs.Names[0].Name
			feature, known := FindFeature(theirRanges[name])
			if !known {
				t.Errorf("hcsshim has ranges %s for a feature that is not in Features()", name)
				return true
			}
			found[feature.Name] = true
			if got := rangesOf(lit); !reflect.DeepEqual(got, feature.Ranges) {
				t.Errorf("%s: hcsshim has %v, Features() has %v", name, got, feature.Ranges)
			}
			return true
		})
	}
	for _, f := range Features() {
		if !found[f.Name] {
			t.Errorf("hcsshim has no ranges for %s", f.Name)
		}
	}
}

func ident(lit *ast.CompositeLit) (string, bool) {
	if lit == nil {
		return "", false
	}
	id, ok := lit.Type.(*ast.Ident)
	if !ok {
		return "", false
	}
	return id.Name, true
}

// rangesOf reads VersionRanges{VersionRange{MinVersion: ..., MaxVersion: ...}}.
func rangesOf(lit *ast.CompositeLit) []VersionRange {
	var out []VersionRange
	for _, e := range lit.Elts {
		var r VersionRange
		for _, m := range e.(*ast.CompositeLit).Elts {
			kv := m.(*ast.KeyValueExpr)
			for _, part := range kv.Value.(*ast.CompositeLit).Elts {
				p := part.(*ast.KeyValueExpr)
				number, isNumber := p.Value.(*ast.BasicLit)
				switch kv.Key.(*ast.Ident).Name + p.Key.(*ast.Ident).Name {
				case "MinVersionMajor":
					n, _ := strconv.Atoi(number.Value)
					r.Min.Major = uint32(n)
				case "MinVersionMinor":
					n, _ := strconv.Atoi(number.Value)
					r.Min.Minor = uint32(n)
				case "MaxVersionMajor":
					r.Open = !isNumber // math.MaxInt32
				}
			}
		}
		out = append(out, r)
	}
	return out
}

// theirEnums are hcsshim's text constants, by the type of the constant.
var theirEnums = map[string]func(string) bool{
	"NetworkType": networkTypes.has, "NamespaceType": namespaceTypes.has, "NamespaceResourceType": nsResourceTypes.has,
	"ActionType": actionTypes.has, "DirectionType": directionTypes.has, "RuleType": ruleTypes.has, "SetPolicyType": setPolicyTypes.has,
	"RequestType":         requestTypes.has,
	"EndpointPolicyType":  func(s string) bool { return slices.Contains(PolicyTypes("endpoint"), PolicyType(s)) },
	"NetworkPolicyType":   func(s string) bool { return slices.Contains(PolicyTypes("network"), PolicyType(s)) },
	"SubnetPolicyType":    func(s string) bool { return slices.Contains(PolicyTypes("subnet"), PolicyType(s)) },
	"NetworkResourceType": func(s string) bool { return slices.Contains(resourceTypes["network"], s) },
	"EndpointResourceType": func(s string) bool {
		return slices.Contains(resourceTypes["endpoint"], s)
	},
}

func TestTheEnumerationsHaveEveryTextOfHcsshim(t *testing.T) {
	seen := map[string]int{}
	for _, f := range parseDir(t, filepath.Join(hcsshimDir(t), "hcn")) {
		ast.Inspect(f, func(n ast.Node) bool {
			vs, ok := n.(*ast.ValueSpec)
			if !ok || vs.Type == nil || len(vs.Values) != 1 {
				return true
			}
			id, ok1 := vs.Type.(*ast.Ident)
			lit, ok2 := vs.Values[0].(*ast.BasicLit)
			if !ok1 || !ok2 || lit.Kind != token.STRING || theirEnums[id.Name] == nil {
				return true
			}
			text, _ := strconv.Unquote(lit.Value)
			seen[id.Name]++
			if !theirEnums[id.Name](text) {
				t.Errorf("%s has no value %q here", id.Name, text)
			}
			return true
		})
	}
	for name := range theirEnums {
		if seen[name] == 0 {
			t.Errorf("hcsshim has no constants of type %s any more", name)
		}
	}
}
