package hcn

import (
	"errors"
	"strings"
	"testing"
)

// policyDocs are settings that are right, one per gated policy type.
var policyDocs = map[PolicyType]struct{ on, settings string }{
	PolicyACL:                 {"endpoint", `{"Action":"Allow","Direction":"In"}`},
	PolicyL2Driver:            {"endpoint", `{}`},
	PolicyOutBoundNAT:         {"endpoint", `{"Exceptions":["10.0.0.0/8"]}`},
	PolicySDNRoute:            {"endpoint", `{"DestinationPrefix":"10.96.0.0/12","NeedEncap":true}`},
	PolicyL4Proxy:             {"endpoint", `{"IP":"10.0.0.1","Port":"80","Protocol":6}`},
	PolicyL4WFPProxy:          {"endpoint", `{"OutboundProxyPort":"81","FilterTuple":{"Protocols":"6"},"UserSID":"S-1-5-32"}`},
	PolicyTierACL:             {"endpoint", `{"Name":"t","Direction":"In","Order":1,"TierAclRules":[{"TierAclRuleAction":"Pass"}]}`},
	PolicyEncryption:          {"endpoint", `{"Name":"e"}`},
	PolicyInterfaceParameters: {"endpoint", `{"Mtu":1400}`},
	PolicyIov:                 {"endpoint", `{"IovOffloadWeight":100}`},
	PolicyFirewall:            {"endpoint", `{"VmType":"WSL"}`},
	PolicyVLAN:                {"endpoint", `{"IsolationId":7}`},
	PolicyRemoteSubnetRoute:   {"network", `{"DestinationPrefix":"192.168.2.0/24","IsolationId":5000,"ProviderAddress":"1.1.1.1","DistributedRouterMacAddress":"00-12-34-56-78-9a"}`},
	PolicyVxlanPort:           {"network", `{"Port":4790}`},
	PolicyHostRoute:           {"network", `{}`},
	PolicySetPolicy:           {"network", `{"Id":"s","Name":"s","PolicyType":"IPSET","Values":"10.0.0.1,10.1.0.0/16"}`},
	PolicyNetworkACL:          {"network", `{"Action":"Block","Direction":"Out","Priority":100}`},
}

func TestPolicyTypesAreRefusedByServicesThatLackThem(t *testing.T) {
	tests := []struct {
		kind PolicyType
		has  string // the profiles that have it
	}{
		{PolicyACL, "ws2019 ws2022 ws2025"}, {PolicyL2Driver, "ws2019 ws2022 ws2025"}, {PolicyOutBoundNAT, "ws2019 ws2022 ws2025"},
		{PolicySDNRoute, "ws2019 ws2022 ws2025"}, {PolicyL4Proxy, "ws2022 ws2025"}, {PolicyL4WFPProxy, "ws2022 ws2025"}, {PolicyTierACL, "ws2025"},
		{PolicyEncryption, "ws2022 ws2025"}, {PolicyInterfaceParameters, "ws2022 ws2025"}, {PolicyIov, "ws2022 ws2025"}, {PolicyFirewall, "ws2025"},
		{PolicyVLAN, "ws2022 ws2025"}, {PolicyRemoteSubnetRoute, "ws2019 ws2022 ws2025"}, {PolicyVxlanPort, "ws2022 ws2025"},
		{PolicyHostRoute, "ws2019 ws2022 ws2025"}, {PolicySetPolicy, "ws2022 ws2025"}, {PolicyNetworkACL, "ws2025"},
	}
	for _, tt := range tests {
		d := policyDocs[tt.kind]
		list := []Policy{{Type: tt.kind, Settings: []byte(d.settings)}}
		for _, name := range []string{WS2016, WS2019, WS2022, WS2025} {
			p := MustProfile(name)
			err := ValidatePolicies(list, d.on, Overlay, &p, "Policies")
			if has := strings.Contains(tt.has, name); has && err != nil || !has && !errors.Is(err, ErrInvalidPolicyType) {
				t.Errorf("%s in %s: %v", tt.kind, name, err)
			}
		}
	}
	for kind := range gates {
		if _, ok := policyDocs[kind]; !ok {
			t.Errorf("no test for the gate of %s", kind)
		}
	}
}

func TestPoliciesKnobsAndFeaturesDecideTogether(t *testing.T) {
	tests := []struct {
		name, profile, knob, value string
		on                         string
		net                        NetworkType
		policy                     string
		want                       Code
	}{
		{"a VSID below 4096", WS2022, "", "", "subnet", Overlay, `{"Type":"VSID","Settings":{"IsolationId":256}}`, ErrInvalidPolicy},
		{"a VSID below 4096 with swarm", WS2022, "swarmCompat", "on", "subnet", Overlay, `{"Type":"VSID","Settings":{"IsolationId":256}}`, 0},
		{"D-08 the one VSID", WS2022, "vsidOnly4096", "on", "subnet", Overlay, `{"Type":"VSID","Settings":{"IsolationId":4096}}`, 0},
		{"D-08 another VSID", WS2022, "vsidOnly4096", "on", "subnet", Overlay, `{"Type":"VSID","Settings":{"IsolationId":4097}}`, ErrInvalidPolicy},
		{"a VSID of more than 16 bits", WS2022, "", "", "subnet", Overlay, `{"Type":"VSID","Settings":{"IsolationId":70000}}`, 0},
		{"exception with host bits on 2019", WS2019, "", "", "endpoint", L2Bridge, `{"Type":"OutBoundNAT","Settings":{"Exceptions":["172.17.0.1/16"]}}`, 0},
		{"exception with host bits on 2022", WS2022, "", "", "endpoint", L2Bridge, `{"Type":"OutBoundNAT","Settings":{"Exceptions":["172.17.0.1/16"]}}`, ErrInvalidPolicy},
		{"and by knob on 2022", WS2022, "natExceptionHostBits", "accept", "endpoint", L2Bridge, `{"Type":"OutBoundNAT","Settings":{"Exceptions":["172.17.0.1/16"]}}`, 0},
		{"destination that is an address", WS2022, "", "", "endpoint", L2Bridge, `{"Type":"OutBoundNAT","Settings":{"Destinations":["10.244.1.7"]}}`, 0},
		{"port mapping on transparent", WS2022, "", "", "endpoint", Transparent, `{"Type":"PortMapping","Settings":{"Protocol":6,"InternalPort":80,"ExternalPort":8080}}`, ErrMappingNotSupported},
		{"port mapping on overlay", WS2022, "", "", "endpoint", Overlay, `{"Type":"PortMapping","Settings":{"Protocol":17,"InternalPort":80,"ExternalPort":8080}}`, 0},
		{"port mapping on l2bridge", WS2022, "", "", "endpoint", L2Bridge, `{"Type":"PortMapping","Settings":{"Protocol":6,"InternalPort":80,"ExternalPort":8080,"VIP":""}}`, 0},
		{"the same where a flag is asked for", WS2022, "l2bridgePortMapping", "flag", "endpoint", L2Bridge, `{"Type":"PortMapping","Settings":{"Protocol":6,"InternalPort":80,"ExternalPort":8080}}`, ErrPortAlreadyExists},
		{"with the flag", WS2022, "l2bridgePortMapping", "flag", "endpoint", L2Bridge, `{"Type":"PortMapping","Settings":{"Protocol":6,"InternalPort":80,"ExternalPort":8080,"Flags":1}}`, 0},
		{"a host address", WS2022, "portMappingVip", "refuse", "endpoint", NAT, `{"Type":"PortMapping","Settings":{"Protocol":6,"InternalPort":80,"VIP":"10.0.0.1"}}`, ErrInvalidPolicy},
		{"protocol 252 on 2019", WS2019, "", "", "endpoint", Overlay, `{"Type":"ACL","Settings":{"Protocols":"252","Action":"Block","Direction":"Out"}}`, ErrInvalidPolicy},
		{"protocol 252 on 2022", WS2022, "", "", "endpoint", Overlay, `{"Type":"ACL","Settings":{"Protocols":"252","Action":"Block","Direction":"Out"}}`, 0},
		{"protocol 256", WS2022, "", "", "endpoint", Overlay, `{"Type":"ACL","Settings":{"Protocols":"256","Action":"Block","Direction":"Out"}}`, 0},
		{"pass before schema 2.10", WS2019, "", "", "endpoint", Overlay, `{"Type":"ACL","Settings":{"Action":"Pass","Direction":"Out"}}`, ErrInvalidPolicy},
		{"calico's port range", WS2022, "", "", "endpoint", L2Bridge, `{"Type":"ACL","Settings":{"Protocols":"6","Action":"Allow","Direction":"In","LocalPorts":"80,100-200"}}`, 0},
		{"a set name", WS2022, "", "", "endpoint", L2Bridge, `{"Type":"ACL","Settings":{"Action":"Allow","Direction":"In","RemoteAddresses":"azure-npm-123,10.0.0.0/8"}}`, 0},
		{"a nested set on 2022", WS2022, "", "", "network", L2Bridge, `{"Type":"SetPolicy","Settings":{"Id":"n","Name":"n","PolicyType":"NESTEDIPSET","Values":"a,b"}}`, ErrInvalidPolicyType},
		{"a nested set on 2025", WS2025, "", "", "network", L2Bridge, `{"Type":"SetPolicy","Settings":{"Id":"n","Name":"n","PolicyType":"NESTEDIPSET","Values":"a,b"}}`, 0},
		{"a set with ports", WS2022, "", "", "network", L2Bridge, `{"Type":"SetPolicy","Settings":{"Id":"n","Name":"n","PolicyType":"IPSET","Values":"10.0.0.1,TCP:80,10.0.0.2,17:53"}}`, 0},
		{"DR MAC on l2bridge", WS2022, "", "", "network", L2Bridge, `{"Type":"DrMacAddress","Settings":{"Address":"00-15-5D-00-00-01"}}`, ErrInvalidPolicy},
		{"unknown policy", WS2022, "", "", "endpoint", NAT, `{"Type":"Teleport"}`, ErrInvalidPolicyType},
		{"settings with a broken member", WS2022, "", "", "endpoint", NAT, `{"Type":"QOS","Settings":{"MaximumOutgoingBandwidthInBytes":"fast"}}`, ErrInvalidPolicy},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := MustProfile(tt.profile)
			if tt.knob != "" {
				if err := p.Knobs.Set(tt.knob, tt.value); err != nil {
					t.Fatal(err)
				}
			}
			policy, err := DecodePolicy([]byte(tt.policy))
			mustDecode(t, err)
			err = ValidatePolicies([]Policy{policy}, tt.on, tt.net, &p, "Policies")
			if tt.want == 0 && err != nil || tt.want != 0 && !errors.Is(err, tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
		})
	}
}

func TestDocumentsOfRealDriversAreAccepted(t *testing.T) {
	p := MustProfile(WS2022)
	for name, doc := range map[string]string{
		"network of hcsshim's tests":      `{"Name":"GoTestNat","Type":"NAT","MacPool":{"Ranges":[{"StartMacAddress":"00-15-5D-52-C0-00","EndMacAddress":"00-15-5D-52-CF-FF"}]},"Dns":{},"Ipams":[{"Type":"Static","Subnets":[{"IpAddressPrefix":"192.168.100.0/24","Routes":[{"NextHop":"192.168.100.1","DestinationPrefix":"0.0.0.0/0"}]}]}],"Health":{"Extra":{}},"SchemaVersion":{"Major":2,"Minor":0}}`,
		"network that leaves all to HNS":  `{"Name":"n","Type":"NAT","Health":{"Extra":{}},"SchemaVersion":{"Major":2,"Minor":0}}`,
		"moby's request for a subnet":     `{"Name":"n","Type":"nat","Subnets":[{"AddressPrefix":"0.0.0.0/0","GatewayAddress":"0.0.0.0"}]}`,
		"overlay of hcsshim's tests":      `{"Name":"GoTestOverlay","Type":"Overlay","Ipams":[{"Type":"Static","Subnets":[{"IpAddressPrefix":"192.168.100.0/24","Policies":[{"Type":"VSID","Settings":{"IsolationId":5000}}],"Routes":[{"NextHop":"192.168.100.1","DestinationPrefix":"0.0.0.0/0"}]}]}],"Flags":8,"SchemaVersion":{"Major":2,"Minor":0}}`,
		"transparent network without any": `{"Name":"t","Type":"Transparent"}`,
	} {
		if errs := ValidateDocument("network", []byte(doc), &p); len(errs) > 0 {
			t.Errorf("%s: %v", name, errs)
		}
	}
	ep := `{"Name":"c1_vxlan0","HostComputeNetwork":"F2617165-21A7-4A6A-84FC-095185B1B852","Policies":[{"Type":"OutBoundNAT","Settings":{"Exceptions":["172.30.0.0/16"]}},{"Type":"SDNRoute","Settings":{"DestinationPrefix":"172.30.0.0/16","NeedEncap":true}},{"Type":"OutBoundNAT","Settings":{"Destinations":["10.244.1.3"]}},{"Type":"ProviderAddress","Settings":{"ProviderAddress":"192.0.2.2"}},{"Type":"PortMapping","Settings":{"InternalPort":80,"ExternalPort":8080,"Protocol":6,"VIP":""}}],"IpConfigurations":[{"IpAddress":"10.244.1.3"}],"Dns":{"Search":["svc.cluster.local"],"ServerList":["11.0.0.10"]},"Routes":[{"NextHop":"10.244.1.1","DestinationPrefix":"0.0.0.0/0"}],"MacAddress":"0E-2A-0a-f4-01-03","Health":{"Extra":{}},"SchemaVersion":{"Major":2,"Minor":0}}`
	if errs := ValidateDocument("endpoint", []byte(ep), &p); len(errs) > 0 {
		t.Error(errs)
	}
}

func TestUnknownMembersAreRefusedOnlyWhereTheKnobSaysSo(t *testing.T) {
	doc := []byte(`{"Type":"NAT","Ipams":[{"Subnets":[{"IpAddressPrefix":"10.0.0.0/8","Route":[]}]}]}`)
	p := MustProfile(WS2022)
	if errs := ValidateDocument("network", doc, &p); len(errs) != 0 {
		t.Error(errs)
	}
	p.Knobs.UnknownMembers = "refuse"
	errs := ValidateDocument("network", doc, &p)
	if len(errs) != 1 || errs[0].Path != "Ipams[0].Subnets[0].Route" || !strings.Contains(errs[0].Detail, `"Routes"`) {
		t.Error(errs)
	}
}

func TestListsOfPoliciesAreParsed(t *testing.T) {
	if got, err := ParseProtocols(" 6, 17 "); err != nil || len(got) != 2 || got[1] != 17 {
		t.Error(got, err)
	}
	if got, err := ParseProtocols("6,256"); err != nil || got != nil {
		t.Error("256 is any protocol", got, err)
	}
	if got, err := ParsePorts("80, 100 - 200"); err != nil || len(got) != 2 || got[1] != (PortRange{100, 200}) {
		t.Error(got, err)
	}
	items, err := ParseAddresses("10.0.0.1,10.0.5.1/16,set-1,fd00::/8")
	if err != nil || len(items) != 4 || items[0].Prefix.String() != "10.0.0.1/32" || items[1].Prefix.String() != "10.0.0.0/16" || items[2].Set != "set-1" {
		t.Error(items, err)
	}
	for _, bad := range []string{"Any", "*", "10.0.0.300", "1.2.3", "10.0.0.0/33", "all"} {
		if got, err := ParseAddresses(bad); err == nil {
			t.Errorf("%s is accepted as %v", bad, got)
		}
	}
	if m, err := ParseSetValues("10.0.0.1,tcp:80,10.1.0.0/16"); err != nil || len(m) != 2 || m[0].Port != 80 || m[0].Proto != 6 || m[1].Port != 0 {
		t.Error(m, err)
	}
	for _, bad := range []string{"tcp:80", "10.0.0.1,tcp:x", "10.0.0.1,foo:1", "x"} {
		if _, err := ParseSetValues(bad); err == nil {
			t.Errorf("%s is accepted", bad)
		}
	}
}

func TestMACAddressesHaveTwoSpellings(t *testing.T) {
	for _, ok := range []string{"00-15-5D-52-C0-0f", "00:15:5d:52:c0:0F"} {
		if mac, err := ParseMAC(ok); err != nil || FormatMAC(mac) != "00-15-5D-52-C0-0F" {
			t.Error(ok, mac, err)
		}
	}
	for _, bad := range []string{"", "00-15-5D-52-C0", "00-15:5D-52-C0-00", "0015.5d52.c000", "00-15-5D-52-C0-GG", "00-15-5D-52-C0-00-"} {
		if _, err := ParseMAC(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func TestGUIDsAreComparedWithoutCaseAndBraces(t *testing.T) {
	const id = "404947ac-fc8f-4229-a4b5-595b9161f3a8"
	if !SameID(id, "{404947AC-FC8F-4229-A4B5-595B9161F3A8}") || SameID(id, ZeroGUID) {
		t.Error("SameID")
	}
	for _, bad := range []string{"", "404947ac", "404947acfc8f4229a4b5595b9161f3a8", "404947ac-fc8f-4229-a4b5-595b9161f3ag", "{404947ac-fc8f-4229-a4b5-595b9161f3a8"} {
		if IsGUID(bad) {
			t.Errorf("%q is a GUID", bad)
		}
	}
}
