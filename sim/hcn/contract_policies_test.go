package hcn

import (
	"errors"
	"fmt"
	"testing"
)

// policyRow is a row of the tables C.1 to C.3: the policy with every member
// that the table gives, and settings that are refused.
type policyRow struct {
	rule  string
	kind  PolicyType
	on    string
	nets  []NetworkType // where the table says that it works; nil is any
	right string
	wrong map[string]Code
}

var policyRows = []policyRow{
	{"C.1", PolicyPortMapping, "endpoint", []NetworkType{NAT, Overlay, L2Bridge}, `{"Protocol":17,"InternalPort":80,"ExternalPort":8080,"VIP":"10.0.0.1","Flags":5}`, map[string]Code{
		`{"Protocol":6,"ExternalPort":80}`: ErrInvalidInternalPort, `{"Protocol":1,"InternalPort":80}`: ErrInvalidPolicy,
		`{"Protocol":6,"InternalPort":80,"VIP":"here"}`: ErrInvalidPolicy, `{"Protocol":6,"InternalPort":99999}`: ErrInvalidPolicy, `{"InternalPort":"80"}`: ErrInvalidPolicy}},
	{"C.1", PolicyACL, "endpoint", nil, `{"Protocols":"6,17","Action":"Allow","Direction":"In","LocalAddresses":"10.0.0.0/8,10.1.1.1","RemoteAddresses":"set-1","LocalPorts":"80,100-200","RemotePorts":"443","RuleType":"Switch","Priority":200,"Id":"rule-1"}`, map[string]Code{
		`{"Action":"Maybe","Direction":"In"}`: ErrInvalidPolicy, `{"Action":"Allow","Direction":"Up"}`: ErrInvalidPolicy, `{"Direction":"In"}`: ErrInvalidPolicy,
		`{"Action":"Allow","Direction":"In","RuleType":"Router"}`: ErrInvalidPolicy}},
	{"C.1", PolicyQOS, "endpoint", []NetworkType{NAT, Transparent, L2Bridge, Overlay}, `{"MaximumOutgoingBandwidthInBytes":125000}`, map[string]Code{`{"MaximumOutgoingBandwidthInBytes":-1}`: ErrInvalidPolicy}},
	{"C.1", PolicyL2Driver, "endpoint", []NetworkType{L2Bridge, L2Tunnel}, `{}`, nil},
	{"C.1", PolicyOutBoundNAT, "endpoint", []NetworkType{L2Bridge, Overlay, L2Tunnel}, `{"VirtualIP":"10.0.0.1","Exceptions":["10.0.0.0/8"],"Destinations":["1.2.3.0/24"],"Flags":1,"MaxPortPoolUsage":128}`, map[string]Code{
		`{"VirtualIP":"x"}`: ErrInvalidPolicy, `{"Exceptions":["172.17.0.1/16"]}`: ErrInvalidPolicy, `{"Exceptions":"10.0.0.0/8"}`: ErrInvalidPolicy}},
	{"C.1", PolicySDNRoute, "endpoint", []NetworkType{L2Bridge, L2Tunnel, Overlay}, `{"DestinationPrefix":"169.254.169.254/24","NextHop":"127.10.0.34","NeedEncap":true,"AutomaticEndpointMonitor":true}`, map[string]Code{
		`{"DestinationPrefix":"x"}`: ErrInvalidPolicy, `{"DestinationPrefix":"10.0.0.0/8","NextHop":"x"}`: ErrInvalidPolicy}},
	{"C.1", PolicyL4Proxy, "endpoint", []NetworkType{L2Bridge, Overlay}, `{"IP":"10.0.0.4","Port":"15001","Protocol":6,"ExceptionList":["10.0.0.0/8"],"Destination":"0.0.0.0/0","OutboundNat":true}`, map[string]Code{
		`{"IP":"x","Port":"1"}`: ErrInvalidPolicy, `{"IP":"10.0.0.4","Port":"0"}`: ErrInvalidPolicy, `{"IP":"10.0.0.4","Port":"1","Protocol":1}`: ErrInvalidPolicy}},
	{"C.1", PolicyL4WFPProxy, "endpoint", []NetworkType{NAT, L2Bridge, Overlay}, `{"InboundProxyPort":"80","OutboundProxyPort":"81","FilterTuple":{"Protocols":"6","RemoteAddresses":"10.0.0.4","Priority":1},"UserSID":"S-1-5-32-556","InboundExceptions":{"IpAddressExceptions":["10.0.0.5"],"PortExceptions":["81"]},"OutboundExceptions":{"PortExceptions":["82"]}}`, map[string]Code{
		`{}`: ErrInvalidPolicy, `{"OutboundProxyPort":"x"}`: ErrInvalidPolicy, `{"OutboundProxyPort":"81","InboundExceptions":{"IpAddressExceptions":["x"]}}`: ErrInvalidPolicy}},
	{"C.1", PolicyProviderAddress, "endpoint", []NetworkType{Overlay}, `{"ProviderAddress":"10.0.0.1"}`, map[string]Code{`{"ProviderAddress":"x"}`: ErrInvalidPolicy, `{}`: ErrInvalidPolicy}},
	{"C.1", PolicyPortName, "endpoint", nil, `{"Name":"p1"}`, map[string]Code{`{"Name":1}`: ErrInvalidPolicy}},
	{"C.1", PolicyEncapOverhead, "endpoint", []NetworkType{L2Bridge, Overlay}, `{"Overhead":50}`, map[string]Code{`{"Overhead":70000}`: ErrInvalidPolicy}},
	{"C.1", PolicyInterfaceConstraint, "endpoint", []NetworkType{NAT, ICS, Transparent}, `{"InterfaceGuid":"404947ac-fc8f-4229-a4b5-595b9161f3a8","InterfaceLuid":1,"InterfaceIndex":2,"InterfaceMediaType":3,"InterfaceAlias":"Ethernet","InterfaceDescription":"d"}`, map[string]Code{`{"InterfaceGuid":"x"}`: ErrInvalidPolicy}},
	{"C.1", PolicyEncryption, "endpoint", nil, `{"EncryptionMethodType":"Ipsec","AuthenticationMethods":[{"Type":"PresharedKey"}],"Name":"e"}`, map[string]Code{`{"Endpoints1":"x"}`: ErrInvalidPolicy}},
	{"C.1", PolicyVLAN, "endpoint", []NetworkType{Transparent, L2Bridge}, `{"IsolationId":4094}`, map[string]Code{`{"IsolationId":0}`: ErrInvalidPolicy, `{"IsolationId":4095}`: ErrInvalidPolicy}},
	{"C.1", PolicyInterfaceParameters, "endpoint", nil, `{"Mtu":1400}`, map[string]Code{`{"Mtu":100}`: ErrInvalidPolicy}},
	{"C.1", PolicyIov, "endpoint", []NetworkType{Transparent, L2Bridge, Overlay}, `{"IovOffloadWeight":100,"QueuePairsRequested":2,"InterruptModeration":300}`, map[string]Code{`{"IovOffloadWeight":"x"}`: ErrInvalidPolicy}},
	{"C.1", PolicyTierACL, "endpoint", []NetworkType{L2Bridge}, `{"Name":"t","Direction":"In","Order":1,"TierAclRules":[{"Id":"1","Protocols":"6","TierAclRuleAction":"Pass","LocalAddresses":"10.0.0.0/8","RemotePorts":"80","Priority":1}]}`, map[string]Code{
		`{"Direction":"Up"}`: ErrInvalidPolicy, `{"Direction":"In","TierAclRules":[{"TierAclRuleAction":"x"}]}`: ErrInvalidPolicy}},
	{"C.1", PolicyFirewall, "endpoint", []NetworkType{ICS}, `{"VmType":"WSL","FirewallPolicyFlags":1}`, map[string]Code{`{"VmType":"Toaster"}`: ErrInvalidPolicy}},

	{"C.2", PolicySourceMacAddress, "network", []NetworkType{L2Bridge, L2Tunnel}, `{"SourceMacAddress":"00-15-5D-00-00-01"}`, map[string]Code{`{"SourceMacAddress":"x"}`: ErrInvalidPolicy, `{"SourceMacAddress":"01-15-5D-00-00-01"}`: ErrInvalidPolicy}},
	{"C.2", PolicyNetAdapterName, "network", []NetworkType{Transparent, L2Bridge, L2Tunnel, Overlay}, `{"NetworkAdapterName":"Ethernet"}`, map[string]Code{`{}`: ErrInvalidPolicy}},
	{"C.2", PolicyInterfaceConstraint, "network", nil, `{"InterfaceGuid":"404947ac-fc8f-4229-a4b5-595b9161f3a8"}`, map[string]Code{`{"InterfaceGuid":"x"}`: ErrInvalidPolicy}},
	{"C.2", PolicyVSwitchExtension, "network", nil, `{"ExtensionID":"404947ac-fc8f-4229-a4b5-595b9161f3a8","Enable":true}`, map[string]Code{`{"ExtensionID":"VFP"}`: ErrInvalidPolicy}},
	{"C.2", PolicyProviderAddress, "network", []NetworkType{Transparent, L2Bridge, L2Tunnel, Overlay}, `{"ProviderAddress":"10.0.0.1"}`, map[string]Code{`{"ProviderAddress":"x"}`: ErrInvalidPolicy}},
	{"C.2", PolicyDrMacAddress, "network", []NetworkType{Overlay}, `{"Address":"00-15-5D-00-00-01"}`, map[string]Code{`{"Address":"x"}`: ErrInvalidPolicy}},
	{"C.2", PolicyAutomaticDNS, "network", nil, `{"Enable":true}`, map[string]Code{`{"Enable":"yes"}`: ErrInvalidPolicy}},
	{"C.2", PolicyRemoteSubnetRoute, "network", []NetworkType{Overlay}, `{"DestinationPrefix":"192.168.2.0/24","IsolationId":70000,"ProviderAddress":"1.1.1.1","DistributedRouterMacAddress":"00-12-34-56-78-9a"}`, map[string]Code{
		`{"DestinationPrefix":"192.168.2.1/24","IsolationId":5000,"ProviderAddress":"1.1.1.1","DistributedRouterMacAddress":"00-12-34-56-78-9a"}`: ErrInvalidPolicy,
		`{"DestinationPrefix":"192.168.2.0/24","IsolationId":1,"ProviderAddress":"1.1.1.1","DistributedRouterMacAddress":"00-12-34-56-78-9a"}`:    ErrInvalidPolicy}},
	{"C.2", PolicyVxlanPort, "network", []NetworkType{Overlay}, `{"Port":8472}`, map[string]Code{`{"Port":0}`: ErrInvalidPolicy}},
	{"C.2", PolicyHostRoute, "network", []NetworkType{Overlay, L2Bridge}, `{}`, nil},
	{"C.2", PolicySetPolicy, "network", []NetworkType{L2Bridge, Overlay}, `{"Id":"s","Name":"s","PolicyType":"IPSET","Values":"10.0.0.1,10.1.0.0/16"}`, map[string]Code{
		`{"Name":"s","PolicyType":"IPSET"}`: ErrInvalidPolicy, `{"Id":"s","PolicyType":"BAG"}`: ErrInvalidPolicy, `{"Id":"s","PolicyType":"IPSET","Values":"x"}`: ErrInvalidPolicy}},
	{"C.2", PolicyL4Proxy, "network", []NetworkType{L2Bridge, Overlay}, `{"IP":"10.0.0.4","Port":"15001","Protocol":6}`, map[string]Code{`{"IP":"10.0.0.4","Port":"x"}`: ErrInvalidPolicy}},
	{"C.2", PolicyLayerConstraint, "network", nil, `{"LayerId":"404947ac-fc8f-4229-a4b5-595b9161f3a8"}`, map[string]Code{`{"LayerId":"x"}`: ErrInvalidPolicy}},
	{"C.2", PolicyNetworkACL, "network", []NetworkType{Overlay, L2Bridge}, `{"Action":"Block","Direction":"Out","Priority":100}`, map[string]Code{`{"Action":"x","Direction":"Out"}`: ErrInvalidPolicy}},
	{"C.2", PolicyNeighborDiscovery, "network", []NetworkType{Overlay}, `{"TargetIpPrefix":"fd00::/64","SenderIpAddress":"fd00::1","SenderMacAddress":"00-15-5D-00-00-01"}`, map[string]Code{`{"SenderMacAddress":"x"}`: ErrInvalidPolicy}},
	{"C.2", PolicyVLAN, "network", nil, `{"IsolationId":1}`, map[string]Code{`{"IsolationId":5000}`: ErrInvalidPolicy}},
	{"C.2", PolicyVSID, "network", []NetworkType{Overlay}, `{"IsolationId":5000}`, map[string]Code{`{"IsolationId":1}`: ErrInvalidPolicy}},

	{"C.3", PolicyVLAN, "subnet", []NetworkType{Transparent, L2Bridge, L2Tunnel}, `{"IsolationId":1}`, map[string]Code{`{"IsolationId":0}`: ErrInvalidPolicy, `{"IsolationId":4095}`: ErrInvalidPolicy}},
	{"C.3", PolicyVSID, "subnet", []NetworkType{Overlay}, `{"IsolationId":16777214}`, map[string]Code{`{"IsolationId":4095}`: ErrInvalidPolicy, `{"IsolationId":16777215}`: ErrInvalidPolicy}},
}

func TestEveryPolicyIsTakenWithAllItsMembersAndRefusedWithWrongOnes(t *testing.T) {
	p := MustProfile(WS2025)
	check := func(t *testing.T, r policyRow, net NetworkType, settings string, want Code) {
		t.Helper()
		policy, err := DecodePolicy(fmt.Appendf(nil, `{"Type":%q,"Settings":%s}`, r.kind, settings))
		if err == nil {
			err = ValidatePolicies([]Policy{policy}, r.on, net, &p, "Policies")
		}
		if want == 0 && err != nil || want != 0 && !errors.Is(err, want) {
			t.Errorf("on %s: %s: got %v, want %s", net, settings, err, want)
		}
	}
	covered := map[string]bool{}
	for _, r := range policyRows {
		t.Run(fmt.Sprintf("%s %s on %s", r.rule, r.kind, r.on), func(t *testing.T) {
			nets := r.nets
			if nets == nil {
				nets = []NetworkType{NAT, ICS, Transparent, L2Bridge, L2Tunnel, Overlay, Private}
			}
			for _, n := range nets {
				check(t, r, n, r.right, 0)
				for settings, code := range r.wrong {
					check(t, r, n, settings, code)
				}
			}
			for _, on := range []string{"endpoint", "network", "subnet"} {
				if !findSpec(r.kind).standsOnName(on) {
					err := ValidatePolicies([]Policy{{Type: r.kind}}, on, nets[0], &p, "Policies")
					if !errors.Is(err, ErrInvalidPolicyType) {
						t.Errorf("%s on %s: %v", r.kind, on, err)
					}
				}
			}
		})
		covered[string(r.kind)+" "+r.on] = true
	}
	for _, on := range []string{"network", "subnet", "endpoint"} {
		for _, kind := range PolicyTypes(on) {
			if !covered[string(kind)+" "+on] && kind != PolicyIsolation { // v1 only: C.5
				t.Errorf("no row for %s on %s", kind, on)
			}
		}
	}
}

func (s *policySpec) standsOnName(on string) bool {
	for _, kind := range PolicyTypes(on) {
		if kind == s.kind {
			return true
		}
	}
	return false
}

// TestV1PoliciesBecomeV2AndBack covers C.5: fields inline on the left, v2
// settings on the right.
func TestV1PoliciesBecomeV2AndBack(t *testing.T) {
	for _, c := range []struct{ on, v1, v2 string }{
		{"endpoint", `{"Type":"NAT","Protocol":"TCP","InternalPort":80,"ExternalPort":8080}`, `{"Type":"PortMapping","Settings":{"Protocol":6,"InternalPort":80,"ExternalPort":8080}}`},
		{"endpoint", `{"Type":"NAT","Protocol":"UDP","InternalPort":53}`, `{"Type":"PortMapping","Settings":{"Protocol":17,"InternalPort":53}}`},
		{"endpoint", `{"Type":"OutBoundNAT","VIP":"10.0.0.1","ExceptionList":["10.0.0.0/8"],"Destinations":["1.0.0.0/8"],"MaxPortPoolUsage":64}`, `{"Type":"OutBoundNAT","Settings":{"VirtualIP":"10.0.0.1","Exceptions":["10.0.0.0/8"],"Destinations":["1.0.0.0/8"],"MaxPortPoolUsage":64}}`},
		{"endpoint", `{"Type":"PA","PA":"10.0.0.1"}`, `{"Type":"ProviderAddress","Settings":{"ProviderAddress":"10.0.0.1"}}`},
		{"endpoint", `{"Type":"QOS","MaximumOutgoingBandwidthInBytes":7}`, `{"Type":"QOS","Settings":{"MaximumOutgoingBandwidthInBytes":7}}`},
		{"endpoint", `{"Type":"L2Driver"}`, `{"Type":"L2Driver"}`},
		{"endpoint", `{"Type":"ROUTE","DestinationPrefix":"10.96.0.0/12","NextHop":"10.0.0.1","NeedEncap":true}`, `{"Type":"SDNRoute","Settings":{"DestinationPrefix":"10.96.0.0/12","NextHop":"10.0.0.1","NeedEncap":true}}`},
		{"endpoint", `{"Type":"PROXY","IP":"10.0.0.4","Port":"80","ExceptionList":["10.0.0.0/8"],"Destination":"0.0.0.0/0","OutboundNat":true}`, `{"Type":"L4Proxy","Settings":{"IP":"10.0.0.4","Port":"80","Exceptions":["10.0.0.0/8"],"Destination":"0.0.0.0/0","OutboundNAT":true}}`},
		{"network", `{"Type":"VLAN","VLAN":7}`, `{"Type":"VLAN","Settings":{"IsolationId":7}}`},
		{"network", `{"Type":"VSID","VSID":5000}`, `{"Type":"VSID","Settings":{"IsolationId":5000}}`},
	} {
		p, err := DecodePolicy([]byte(c.v1))
		mustDecode(t, err)
		if got := string(p.Encode(V2)); got != c.v2 {
			t.Errorf("C.5 %s in v2:\n got %s\nwant %s", c.v1, got, c.v2)
		}
		back, err := DecodePolicy([]byte(c.v2))
		mustDecode(t, err)
		if got := string(back.Encode(V1)); got != c.v1 {
			t.Errorf("C.5 %s in v1:\n got %s\nwant %s", c.v2, got, c.v1)
		}
	}
}

// TestWhatACLsMaySay covers C.6.
func TestWhatACLsMaySay(t *testing.T) {
	acl := func(members string) string {
		return `{"Type":"ACL","Settings":{"Action":"Allow","Direction":"In",` + members + `}}`
	}
	for _, c := range []struct {
		name, profile, policy string
		want                  Code
	}{
		{"C.6 numbers of protocols", WS2025, acl(`"Protocols":"6, 17,1"`), 0},
		{"C.6 any protocol", WS2025, acl(`"Protocols":"256"`), 0},
		{"C.6 a protocol by name", WS2025, acl(`"Protocols":"tcp"`), ErrInvalidPolicy},
		{"C.6 addresses, prefixes and sets", WS2025, acl(`"LocalAddresses":"10.0.0.1,fd00::/8","RemoteAddresses":"azure-npm-1,10.0.0.0/8"`), 0},
		{"C.6 half an address", WS2025, acl(`"LocalAddresses":"10.0.0."`), ErrInvalidPolicy},
		{"C.6 a prefix that is too long", WS2025, acl(`"RemoteAddresses":"10.0.0.0/33"`), ErrInvalidPolicy},
		{"C.6 ports and ranges", WS2025, acl(`"Protocols":"6","LocalPorts":"80,8000-8080"`), 0},
		{"C.6 a range backwards", WS2025, acl(`"Protocols":"6","LocalPorts":"90-80"`), ErrInvalidPolicy},
		{"C.6 a port that is none", WS2025, acl(`"Protocols":"6","RemotePorts":"70000"`), ErrInvalidPolicy},
		{"C.6 ports without a protocol", WS2025, acl(`"LocalPorts":"80"`), ErrInvalidPolicy},
		{"C.6 ports of ICMP", WS2025, acl(`"Protocols":"6,1","LocalPorts":"80"`), ErrInvalidPolicy},
		{"C.6 Pass from schema 2.10 on", WS2022, `{"Type":"ACL","Settings":{"Action":"Pass","Direction":"In"}}`, 0},
		{"C.6 Pass before", WS2019, `{"Type":"ACL","Settings":{"Action":"Pass","Direction":"In"}}`, ErrInvalidPolicy},
		{"C.6 the highest priority", WS2025, acl(`"Priority":65535`), 0},
		{"C.6 a higher one", WS2025, acl(`"Priority":65536`), ErrInvalidPolicy},
		{"C.6 integers", WS2025, `{"Type":"ACL","Settings":{"Action":1,"Direction":1,"RuleType":1}}`, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := MustProfile(c.profile)
			policy, err := DecodePolicy([]byte(c.policy))
			mustDecode(t, err)
			err = ValidatePolicies([]Policy{policy}, "endpoint", L2Bridge, &p, "Policies")
			if c.want == 0 && err != nil || c.want != 0 && !errors.Is(err, c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}
