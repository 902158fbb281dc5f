package hns

import (
	"fmt"
	"testing"

	"github.com/hnsim/hnsim/sim/hcn"
)

// versions are around the edges of every range of B.9 and in its holes.
var versions = []hcn.HNSVersion{{Major: 1, Minor: 1}, {Major: 5, Minor: 1}, {Major: 7, Minor: 1}, {Major: 7, Minor: 2}, {Major: 9, Minor: 1}, {Major: 9, Minor: 2},
	{Major: 9, Minor: 3}, {Major: 9, Minor: 4}, {Major: 9, Minor: 5}, {Major: 10, Minor: 0}, {Major: 10, Minor: 2}, {Major: 10, Minor: 3}, {Major: 10, Minor: 4},
	{Major: 10, Minor: 5}, {Major: 11, Minor: 0}, {Major: 11, Minor: 9}, {Major: 11, Minor: 10}, {Major: 11, Minor: 11}, {Major: 12, Minor: 0}, {Major: 12, Minor: 1},
	{Major: 13, Minor: 0}, {Major: 13, Minor: 1}, {Major: 13, Minor: 2}, {Major: 13, Minor: 9}, {Major: 14, Minor: 0}, {Major: 15, Minor: 0}, {Major: 15, Minor: 1},
	{Major: 15, Minor: 3}, {Major: 15, Minor: 4}, {Major: 15, Minor: 5}, {Major: 16, Minor: 0}}

// featureCase is a request that only services with a feature carry out. The
// others answer refused, or accept it without effect where use tells the
// difference.
type featureCase struct {
	feature string
	do      func(h *host) error
	refused hcn.Code
	// effect reports whether the feature is in effect after do.
	effect func(h *host) bool
}

func onBridge(policy string) func(h *host) error {
	return func(h *host) error {
		return h.modify(NetworkKind, h.network(bridgeDoc), "Policy", "Add", `{"Policies":[`+policy+`]}`)
	}
}

func onOverlay(policy string) func(h *host) error {
	return func(h *host) error {
		return h.modify(NetworkKind, h.network(overlayDoc), "Policy", "Add", `{"Policies":[`+policy+`]}`)
	}
}

func balanced(flags, distribution int) func(h *host) error {
	return func(h *host) error {
		ep := h.endpoint(h.network(overlayDoc), plainEndpoint)
		_, err := h.CreateLoadBalancer("", []byte(fmt.Sprintf(`{"HostComputeEndpoints":["%s"],"FrontendVIPs":["10.96.0.1"],"PortMappings":[{"Protocol":6,"InternalPort":1,"ExternalPort":2,"DistributionType":%d}],"Flags":%d}`, ep, distribution, flags)))
		return err
	}
}

var featureCases = []featureCase{
	{hcn.FeatureACL, endpointOn(natDoc, withPolicies("a", aclOut)), hcn.ErrInvalidPolicyType, nil},
	{hcn.FeatureRemoteSubnet, onOverlay(`{"Type":"RemoteSubnetRoute","Settings":{"DestinationPrefix":"192.168.2.0/24","IsolationId":4096,"ProviderAddress":"1.1.1.1","DistributedRouterMacAddress":"00-12-34-56-78-9a"}}`), hcn.ErrInvalidPolicyType, nil},
	{hcn.FeatureHostRoute, onOverlay(hr), hcn.ErrInvalidPolicyType, nil},
	{hcn.FeatureDSR, balanced(1, 0), 0, func(h *host) bool { return h.State().LoadBalancers[0].DSR }},
	{hcn.FeatureSlash32, endpointOn(bridgeDoc, `{"IpConfigurations":[{"IpAddress":"10.244.1.7","PrefixLength":32}]}`), hcn.ErrInvalidPrefix, nil},
	{hcn.FeatureL4Proxy, onBridge(`{"Type":"L4Proxy","Settings":{"IP":"10.0.0.4","Port":"80","Protocol":6,"Destination":"10.0.0.0/8"}}`), hcn.ErrInvalidPolicyType, nil},
	{hcn.FeatureVxlanPort, onOverlay(`{"Type":"VxlanPort","Settings":{"Port":8472}}`), hcn.ErrInvalidPolicyType, nil},
	{hcn.FeatureIPv6DualStack, createOnly(NetworkKind, `{"Name":"b","Type":"L2Bridge","Ipams":[{"Subnets":[{"IpAddressPrefix":"10.1.0.0/24"},{"IpAddressPrefix":"fd00:1::/64"}]}]}`), hcn.ErrInvalidNetwork, nil},
	{hcn.FeatureSessionAffinity, balanced(0, 2), 0, func(h *host) bool { return h.State().LoadBalancers[0].Affinity[0] == 2 }},
	{hcn.FeatureSetPolicy, onBridge(`{"Type":"SetPolicy","Settings":{"Id":"s","Name":"s","PolicyType":"IPSET","Values":""}}`), hcn.ErrInvalidPolicyType, nil},
	{hcn.FeatureL4WfpProxy, endpointOn(natDoc, withPolicies("a", `{"Type":"L4WFPPROXY","Settings":{"InboundProxyPort":"80","OutboundProxyPort":"81","FilterTuple":{"Protocols":"6"}}}`)), hcn.ErrInvalidPolicyType, nil},
	{hcn.FeatureTierACL, endpointOn(bridgeDoc, withPolicies("a", `{"Type":"TierAcl","Settings":{"Name":"t","Direction":"In","Order":1,"TierAclRules":[{"Id":"1","Protocols":"6","TierAclRuleAction":"Block"}]}}`)), hcn.ErrInvalidPolicyType, nil},
	{hcn.FeatureNetworkACL, onBridge(`{"Type":"NetworkACL","Settings":{"Action":"Allow","Direction":"In"}}`), hcn.ErrInvalidPolicyType, nil},
	{hcn.FeatureDisableHostPort, createOnly(NetworkKind, `{"Name":"p","Type":"Private","Flags":1024}`), hcn.ErrInvalidNetwork, nil},
	{hcn.FeatureModifyLoadBalancer, func(h *host) error {
		h.must(balanced(0, 0)(h))
		l := h.State().LoadBalancers[0].Doc
		return h.ModifyLoadBalancer(l.ID, []byte(balancerDoc("10.96.0.9", l.HostComputeEndpoints[0])))
	}, hcn.ErrNotImplemented, nil},
	{hcn.FeatureAccelnet, func(h *host) error { _, err := h.HNSRequest("GET", "/accelnet/", nil); return err }, hcn.ErrNotImplemented, nil},
}

// featuresElsewhere need another feature first, so that no version lacks them
// alone, or are the service's as a whole.
var featuresElsewhere = map[string]string{
	hcn.FeatureV2Api:       "knob v2OnOldBuilds: conditions_test.go",
	hcn.FeatureNestedIPSet: "needs SetPolicy: TestASetOfSetsNeedsBothFeatures",
	hcn.FeatureACL252:      "a protocol of ACLs: TestProtocol252NeedsBothFeatures",
}

// atVersion makes a host whose service has a version; all else is Server 2025.
func atVersion(t *testing.T, v hcn.HNSVersion) *host {
	t.Helper()
	h := mkHost(t, hcn.WS2025)
	h.Service.cfg.Profile.Version = v
	return h
}

func TestFeaturesBeginAndEndAtTheirVersions(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range featureCases {
		seen[c.feature] = true
		f, ok := hcn.FindFeature(c.feature)
		if !ok {
			t.Fatalf("no feature %s", c.feature)
		}
		works := 0
		for _, v := range versions {
			t.Run(fmt.Sprintf("B.9 %s on %s", c.feature, v), func(t *testing.T) {
				h := atVersion(t, v)
				err := c.do(h)
				want := hcn.Code(0)
				if !f.Supports(v) {
					want = c.refused
				} else {
					works++
				}
				wantCode(t, err, want)
				if c.effect != nil && c.effect(h) != f.Supports(v) {
					t.Errorf("in effect: %v", c.effect(h))
				}
				checkInvariants(t, h.State())
			})
		}
		if works == 0 || works == len(versions) {
			t.Errorf("B.9 %s: %d of %d versions have it", c.feature, works, len(versions))
		}
	}
	for _, f := range hcn.Features() {
		if !seen[f.Name] && featuresElsewhere[f.Name] == "" {
			t.Errorf("B.9: no case for %s", f.Name)
		}
	}
}

func TestASetOfSetsNeedsBothFeatures(t *testing.T) {
	for _, v := range versions {
		h := atVersion(t, v)
		err := onBridge(`{"Type":"SetPolicy","Settings":{"Id":"n","Name":"n","PolicyType":"NESTEDIPSET","Values":""}}`)(h)
		if want := hcn.Supports(hcn.FeatureNestedIPSet, v); (err == nil) != want {
			t.Errorf("B.9 NestedIpSet on %s: %v", v, err)
		} else if err != nil {
			wantCode(t, err, hcn.ErrInvalidPolicyType)
		}
	}
}

func TestProtocol252NeedsBothFeatures(t *testing.T) {
	for _, v := range versions {
		if !hcn.Supports(hcn.FeatureACL, v) {
			continue
		}
		err := endpointOn(bridgeDoc, withPolicies("a", `{"Type":"ACL","Settings":{"Protocols":"252","Action":"Block","Direction":"Out"}}`))(atVersion(t, v))
		want := hcn.Code(0)
		if !hcn.Supports(hcn.FeatureACL252, v) {
			want = hcn.ErrInvalidPolicy
		}
		wantCode(t, err, want)
	}
}

// TestModifyOn154IsTakenAndDoesNothing covers B.9: kubernetes#131466.
func TestModifyOn154IsTakenAndDoesNothing(t *testing.T) {
	for _, v := range []hcn.HNSVersion{{Major: 15, Minor: 4}, {Major: 15, Minor: 5}} {
		h := atVersion(t, v)
		h.must(balanced(0, 0)(h))
		l := h.State().LoadBalancers[0].Doc
		h.must(h.ModifyLoadBalancer(l.ID, []byte(balancerDoc("10.96.0.9", l.HostComputeEndpoints[0]))))
		changed := h.State().LoadBalancers[0].Doc.FrontendVIPs[0] == "10.96.0.9"
		if changed != (v.Minor == 5) {
			t.Errorf("B.9 on %s: changed %v", v, changed)
		}
	}
}
