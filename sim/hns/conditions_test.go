package hns

import (
	"errors"
	"reflect"
	"testing"

	"github.com/hnsim/hnsim/sim/hcn"
)

// condition is a row of contract section D.3: what is done on a host, and the
// code that comes back.
type condition struct {
	name    string
	profile string // ws2022
	knobs   []string
	do      func(h *host) error
	want    hcn.Code
}

func run(t *testing.T, list []condition) {
	t.Helper()
	for _, c := range list {
		t.Run(c.name, func(t *testing.T) {
			if c.profile == "" {
				c.profile = hcn.WS2022
			}
			h := mkHost(t, c.profile, c.knobs...)
			err := c.do(h)
			wantCode(t, err, c.want)
			var e *hcn.Error
			if err != nil && !errors.As(err, &e) {
				t.Errorf("%T is no *hcn.Error", err)
			}
			checkInvariants(t, h.State())
		})
	}
}

func createOnly(kind Kind, docs ...string) func(h *host) error {
	return func(h *host) error {
		for _, d := range docs {
			if _, err := h.Create(kind, "", "", []byte(d)); err != nil {
				return err
			}
		}
		return nil
	}
}

func endpointOn(netDoc string, docs ...string) func(h *host) error {
	return func(h *host) error {
		net := h.network(netDoc)
		for _, d := range docs {
			if _, err := h.CreateEndpoint(net, "", []byte(d)); err != nil {
				return err
			}
		}
		return nil
	}
}

func TestLookingForWhatIsNotThereHasTheCodesOfTheContract(t *testing.T) {
	open := func(k Kind) func(*host) error { return func(h *host) error { return h.Open(k, unknownID) } }
	del := func(k Kind) func(*host) error { return func(h *host) error { return h.Delete(k, unknownID) } }
	run(t, []condition{
		{"D.3-1 open of an unknown namespace", "", nil, open(NamespaceKind), hcn.ErrElementNotFound},
		{"D.3-2 open of an unknown network", "", nil, open(NetworkKind), hcn.ErrNetworkNotFound},
		{"D.3-3 open of an unknown endpoint", "", nil, open(EndpointKind), hcn.ErrEndpointNotFound},
		{"D.3-4 open of an unknown load balancer", "", nil, open(LoadBalancerKind), hcn.ErrElementNotFound},
		{"D.3-4 open of an unknown route", "", nil, open(RouteKind), hcn.ErrElementNotFound},
		{"D.3-5 delete of an unknown network", "", nil, del(NetworkKind), hcn.ErrNetworkNotFound},
		{"D.3-5 delete of an unknown endpoint", "", nil, del(EndpointKind), hcn.ErrEndpointNotFound},
		{"delete of an unknown namespace", "", nil, del(NamespaceKind), hcn.ErrElementNotFound},
		{"delete of an unknown load balancer", "", nil, del(LoadBalancerKind), hcn.ErrElementNotFound},
		{"delete of an unknown object succeeds by knob", "", []string{"deleteUnknown=success"}, del(EndpointKind), 0},
		{"D.3-6 v1 endpoint on a missing network", "", nil, func(h *host) error {
			_, err := h.HNSRequest("POST", "/endpoints/", []byte(`{"VirtualNetwork":"`+unknownID+`"}`))
			return err
		}, hcn.ErrElementNotFound},
		{"v2 endpoint on a missing network", "", nil, func(h *host) error { _, err := h.CreateEndpoint(unknownID, "", []byte(plainEndpoint)); return err }, hcn.ErrNetworkNotFound},
		{"D.3-7 v1 GET of an unknown namespace", "", nil, func(h *host) error { _, err := h.HNSRequest("GET", "/namespaces/"+unknownID, nil); return err }, hcn.ErrElementNotFound},
		{"D.3-8 v1 DELETE of an unknown network on an old build", hcn.WS2016, nil, func(h *host) error { _, err := h.HNSRequest("DELETE", "/networks/"+unknownID, nil); return err }, hcn.ErrInvalidObjectID},
		{"v1 DELETE of an unknown endpoint on a new build", "", nil, func(h *host) error { _, err := h.HNSRequest("DELETE", "/endpoints/"+unknownID, nil); return err }, hcn.ErrEndpointNotFound},
		{"modify of an unknown network", "", nil, func(h *host) error { return h.ModifyNetwork(unknownID, []byte(`{}`)) }, hcn.ErrNetworkNotFound},
		{"query of an unknown endpoint", "", nil, func(h *host) error { _, err := h.Query(EndpointKind, unknownID, nil); return err }, hcn.ErrEndpointNotFound},
		{"a v1 path that does not exist", "", nil, func(h *host) error { _, err := h.HNSRequest("GET", "/nothing", nil); return err }, hcn.ErrElementNotFound},
	})
}

func TestCreatingANetworkHasTheCodesOfTheContract(t *testing.T) {
	named := func(name, rest string) string {
		return `{"Name":"` + name + `",` + rest + `,"SchemaVersion":{"Major":2}}`
	}
	prefix := func(name, kind, p, gw string) string {
		return named(name, `"Type":"`+kind+`","Ipams":[{"Subnets":[{"IpAddressPrefix":"`+p+`","Routes":[{"NextHop":"`+gw+`","DestinationPrefix":"0.0.0.0/0"}]}]}]`)
	}
	adapter := func(kind, name string) string {
		return named("x"+name, `"Type":"`+kind+`","Policies":[{"Type":"NetAdapterName","Settings":{"NetworkAdapterName":"`+name+`"}}]`)
	}
	vsid := func(name, id string) string {
		return named(name, `"Type":"Overlay","Ipams":[{"Subnets":[{"IpAddressPrefix":"10.`+id+`.0.0/16","Policies":[{"Type":"VSID","Settings":{"IsolationId":5000}}]}]}]`)
	}
	run(t, []condition{
		{"D.3-9 a name in use", "", nil, createOnly(NetworkKind, natDoc, natDoc), hcn.ErrNetworkAlreadyExists},
		{"D.3-10 an id in use", "", nil, createOnly(NetworkKind, `{"ID":"`+unknownID+`","Name":"a","Type":"Private"}`, `{"ID":"{`+unknownID+`}","Name":"b","Type":"Private"}`), hcn.ErrAlreadyExists},
		{"D.3-12 host bits", "", nil, createOnly(NetworkKind, prefix("a", "NAT", "10.0.0.5/24", "10.0.0.1")), hcn.ErrInvalidNetwork},
		{"D.3-12 gateway outside", "", nil, createOnly(NetworkKind, prefix("a", "NAT", "10.0.0.0/24", "10.0.1.1")), hcn.ErrInvalidNetwork},
		{"D.3-13 an internal network without gateway", "", nil, createOnly(NetworkKind, named("a", `"Type":"Internal","Ipams":[{"Subnets":[{"IpAddressPrefix":"10.0.0.0/24"}]}]`)), 0},
		{"D.3-14 an unknown type", "", nil, createOnly(NetworkKind, named("a", `"Type":"Bogus"`)), hcn.ErrInvalidNetworkType},
		{"a type without a data plane", "", nil, createOnly(NetworkKind, named("a", `"Type":"Infiniband"`)), hcn.ErrRequestUnsupported},
		{"D.3-15 an unknown adapter", "", nil, createOnly(NetworkKind, adapter("L2Bridge", "eth9")), hcn.ErrAdapterNotFound},
		{"D.3-16 a virtual adapter", "", nil, createOnly(NetworkKind, adapter("L2Bridge", "Loopback")), hcn.ErrInvalidParameter},
		{"D.3-16 a second transparent network on an adapter", "", nil, createOnly(NetworkKind, adapter("Transparent", "Ethernet"), named("t2", `"Type":"Transparent","Policies":[{"Type":"NetAdapterName","Settings":{"NetworkAdapterName":"Ethernet"}}]`)), hcn.ErrInvalidParameter},
		{"a second transparent network takes the next adapter", "", nil, createOnly(NetworkKind, transparentDoc, named("t2", `"Type":"Transparent"`)), 0},
		{"D.3-17 a NAT prefix of the host", "", nil, createOnly(NetworkKind, prefix("a", "NAT", "10.127.0.0/16", "10.127.0.1")), hcn.ErrObjectExists},
		{"D.3-17 with the other code", "", []string{"natClash=ERROR_DUP_NAME"}, createOnly(NetworkKind, prefix("a", "NAT", "10.127.0.0/16", "10.127.0.1")), hcn.ErrDupName},
		{"D.3-17 a NAT prefix of another network", "", nil, createOnly(NetworkKind, natDoc, prefix("b", "NAT", "192.168.0.0/16", "192.168.0.1")), hcn.ErrObjectExists},
		{"D.3-18 a second NAT network", "", nil, createOnly(NetworkKind, natDoc, prefix("b", "NAT", "192.168.101.0/24", "192.168.101.1")), 0},
		{"NAT-05 a second NAT network on 2016", hcn.WS2016, nil, createOnly(NetworkKind, natDoc, prefix("b", "NAT", "192.168.101.0/24", "192.168.101.1")), hcn.ErrObjectExists},
		{"NAT-05 a part of the first prefix on 2016", hcn.WS2016, nil, createOnly(NetworkKind, natDoc, prefix("b", "NAT", "192.168.100.128/25", "192.168.100.129")), 0},
		{"D.3-19 an overlay without the extension", "", nil, createOnly(NetworkKind, named("a", `"Type":"Overlay","Ipams":[{"Subnets":[{"IpAddressPrefix":"10.0.0.0/24","Policies":[{"Type":"VSID","Settings":{"IsolationId":5000}}]}]}],"Policies":[{"Type":"NetAdapterName","Settings":{"NetworkAdapterName":"Ethernet 2"}}]`)), hcn.ErrVFPNotAllowed},
		{"C.3 a VSID that is taken", "", nil, createOnly(NetworkKind, vsid("a", "1"), vsid("b", "2")), hcn.ErrInvalidNetwork},
		{"C.3 with the other code", "", []string{"vsidTaken=ERROR_INVALID_PARAMETER"}, createOnly(NetworkKind, vsid("a", "1"), vsid("b", "2")), hcn.ErrInvalidParameter},
		{"an unknown layer", "", nil, createOnly(NetworkKind, named("a", `"Type":"L2Bridge","Policies":[{"Type":"LayerConstraint","Settings":{"LayerId":"`+unknownID+`"}}]`)), hcn.ErrLayerNotFound},
		{"D.3-42 malformed JSON", "", nil, createOnly(NetworkKind, `{"Name":`), hcn.ErrInvalidJSON},
		{"D.3-43 an id that is no GUID", "", nil, createOnly(NetworkKind, named("a", `"ID":"net-1"`)), hcn.ErrGUIDConversionFailure},
		{"v2 on a build without it, by knob", hcn.WS2016, []string{"v2OnOldBuilds=refuse"}, createOnly(NetworkKind, natDoc), hcn.ErrNotImplemented},
		{"v2 on a build without it", hcn.WS2016, nil, createOnly(NetworkKind, natDoc), 0},
		{"B.9 a policy that the service lacks", hcn.WS2019, nil, createOnly(NetworkKind, named("a", `"Type":"L2Bridge","Policies":[{"Type":"SetPolicy","Settings":{"Id":"s","Name":"s","PolicyType":"IPSET","Values":""}}]`)), hcn.ErrInvalidPolicyType},
	})
}

func TestCreatingAnEndpointHasTheCodesOfTheContract(t *testing.T) {
	remote := `{"Flags":1,"MacAddress":"0E-2A-0A-F4-01-0A","IpConfigurations":[{"IpAddress":"10.244.1.10"}],"Policies":[{"Type":"ProviderAddress","Settings":{"ProviderAddress":"10.127.130.38"}}]}`
	run(t, []condition{
		{"D.3-11 two endpoints with one name", "", nil, endpointOn(natDoc, plainEndpoint, plainEndpoint), 0},
		{"D.3-21 an address outside", "", nil, endpointOn(bridgeDoc, withAddress("10.244.2.7")), hcn.ErrInvalidIP},
		{"D.3-22 an address in use", "", nil, endpointOn(bridgeDoc, withAddress("10.244.1.7"), withAddress("10.244.1.7")), hcn.ErrAddrInvalidOrReserved},
		{"D.3-22 an address in use on 2019", hcn.WS2019, nil, endpointOn(bridgeDoc, withAddress("10.244.1.7"), withAddress("10.244.1.7")), hcn.ErrObjectExists},
		{"D.3-23 the gateway", "", nil, endpointOn(bridgeDoc, withAddress("10.244.1.1")), hcn.ErrAddrInvalidOrReserved},
		{"D.3-23 the network address", "", nil, endpointOn(bridgeDoc, withAddress("10.244.1.0")), hcn.ErrAddrInvalidOrReserved},
		{"D.3-23 the broadcast address", "", nil, endpointOn(bridgeDoc, withAddress("10.244.1.255")), hcn.ErrAddrInvalidOrReserved},
		{"D.3-24 local and remote with one address", "", nil, endpointOn(overlayDoc, remote, withAddress("10.244.1.10")), 0},
		{"OV-24 a remote endpoint outside the subnets", "", nil, endpointOn(overlayDoc, `{"Flags":1,"MacAddress":"02-11-0A-60-0A-0A","IpConfigurations":[{"IpAddress":"10.96.10.10"}],"Policies":[{"Type":"ProviderAddress","Settings":{"ProviderAddress":"10.127.130.35"}}]}`), 0},
		{"D.3-25 no address left", "", nil, endpointOn(`{"Name":"s","Type":"NAT","Ipams":[{"Subnets":[{"IpAddressPrefix":"192.168.1.0/30"}]}]}`, plainEndpoint, plainEndpoint), hcn.ErrAddrInvalidOrReserved},
		{"D.3-26 a duplicate MAC", "", nil, endpointOn(natDoc, `{"MacAddress":"00-15-5D-00-00-01"}`, `{"MacAddress":"00:15:5d:00:00:01"}`), 0},
		{"D.3-26 a duplicate MAC, by knob", "", []string{"duplicateMac=refuse"}, endpointOn(natDoc, `{"MacAddress":"00-15-5D-00-00-01"}`, `{"MacAddress":"00:15:5d:00:00:01"}`), hcn.ErrInvalidEndpoint},
		{"D.3-27 no subnet of the family", "", nil, endpointOn(natDoc, withAddress("fd00::5")), hcn.ErrSubnetNotFound},
		{"D.3-28 a duplicate port mapping", "", nil, endpointOn(overlayDoc, withPolicies("a", portMapping(17, 45678, 56789)), withPolicies("b", portMapping(17, 45678, 56789))), hcn.ErrPortAlreadyExists},
		{"the same port for the other protocol", "", nil, endpointOn(overlayDoc, withPolicies("a", portMapping(17, 45678, 56789)), withPolicies("b", portMapping(6, 45678, 56789))), 0},
		{"a duplicate within one endpoint", "", nil, endpointOn(natDoc, withPolicies("a", portMapping(6, 80, 8080), portMapping(6, 81, 8080))), hcn.ErrPortAlreadyExists},
		{"one port on two host addresses", "", nil, endpointOn(natDoc, withPolicies("a",
			`{"Type":"PortMapping","Settings":{"Protocol":6,"InternalPort":80,"ExternalPort":8080,"VIP":"10.127.130.35"}}`,
			`{"Type":"PortMapping","Settings":{"Protocol":6,"InternalPort":81,"ExternalPort":8080,"VIP":"10.127.130.36"}}`)), 0},
		{"D.3-29 a port that the host holds", "", nil, func(h *host) error {
			h.busy[8080] = true
			return endpointOn(natDoc, withPolicies("a", portMapping(6, 80, 8080)))(h)
		}, hcn.ErrSharingViolation},
		{"D.3-30 port mapping on l2bridge", "", nil, endpointOn(bridgeDoc, withPolicies("a", portMapping(6, 80, 8080))), 0},
		{"D.3-30 without the flag, by knob", "", []string{"l2bridgePortMapping=flag"}, endpointOn(bridgeDoc, withPolicies("a", portMapping(6, 80, 8080))), hcn.ErrPortAlreadyExists},
		{"port mapping on transparent", "", nil, endpointOn(transparentDoc, withPolicies("a", portMapping(6, 80, 8080))), hcn.ErrMappingNotSupported},
		{"NAT-31 internal port 0", "", nil, endpointOn(natDoc, withPolicies("a", portMapping(6, 0, 8080))), hcn.ErrInvalidInternalPort},
		{"ACL-04 Any", "", nil, endpointOn(natDoc, withPolicies("a", `{"Type":"ACL","Settings":{"Action":"Allow","Direction":"In","RemoteAddresses":"Any"}}`)), hcn.ErrInvalidPolicy},
		{"an ACL that names no set of the network", "", nil, endpointOn(natDoc, withPolicies("a", `{"Type":"ACL","Settings":{"Action":"Allow","Direction":"In","RemoteAddresses":"set-1"}}`)), hcn.ErrInvalidPolicy},
		{"an id in use", "", nil, endpointOn(natDoc, `{"ID":"`+unknownID+`"}`, `{"ID":"`+unknownID+`"}`), hcn.ErrAlreadyExists},
		{"a port mapping of a remote endpoint", "", nil, endpointOn(overlayDoc, `{"Flags":1,"MacAddress":"0E-2A-0A-F4-01-0A","IpConfigurations":[{"IpAddress":"10.244.1.10"}],"Policies":[{"Type":"ProviderAddress","Settings":{"ProviderAddress":"10.127.130.38"}},`+portMapping(6, 80, 80)+`]}`), hcn.ErrInvalidRemoteEndpointOp},
		{"the host's own address on l2bridge", "", nil, endpointOn(`{"Name":"b","Type":"L2Bridge","Ipams":[{"Subnets":[{"IpAddressPrefix":"10.127.130.0/24","Routes":[{"NextHop":"10.127.130.1","DestinationPrefix":"0.0.0.0/0"}]}]}]}`, withAddress("10.127.130.35")), hcn.ErrAddrInvalidOrReserved},
		{"L2B-15 the gateway where it is not reserved", "", nil, endpointOn(`{"Name":"b","Type":"L2Bridge","Ipams":[{"Subnets":[{"IpAddressPrefix":"10.244.1.0/24","Flags":1,"Routes":[{"NextHop":"10.244.1.1","DestinationPrefix":"0.0.0.0/0"}]}]}]}`, withAddress("10.244.1.1")), 0},
		{"L2B-15 the network address where it is not reserved", "", nil, endpointOn(`{"Name":"b","Type":"L2Bridge","Ipams":[{"Subnets":[{"IpAddressPrefix":"10.244.1.0/24","IpSubnets":[{"IpAddressPrefix":"10.244.1.0/24","Flags":0}]}]}]}`, withAddress("10.244.1.0"), withAddress("10.244.1.255")), 0},
		{"joining a namespace that is not there", "", nil, endpointOn(natDoc, `{"HostComputeNamespace":"`+unknownID+`"}`), hcn.ErrElementNotFound},
	})
}

func TestAttachingHasTheCodesOfTheContract(t *testing.T) {
	attach := func(h *host, ep string, body string) error {
		_, err := h.HNSRequest("POST", "/endpoints/"+ep+"/attach", []byte(body))
		return err
	}
	run(t, []condition{
		{"D.3-31 joining a namespace twice", "", nil, func(h *host) error {
			ep, ns := h.endpoint(h.network(natDoc), plainEndpoint), h.namespace(hcn.HostNamespace)
			h.must(h.join(ns, ep))
			return h.join(ns, ep)
		}, hcn.ErrEndpointAlreadyAttached},
		{"D.3-31 attaching to the host twice", "", nil, func(h *host) error {
			ep := h.endpoint(h.network(natDoc), plainEndpoint)
			h.must(attach(h, ep, `{"SystemType":"Host","CompartmentId":1}`))
			return attach(h, ep, `{"SystemType":"Host","CompartmentId":1}`)
		}, hcn.ErrEndpointAlreadyAttached},
		{"a namespace for an attached endpoint", "", nil, func(h *host) error {
			ep := h.endpoint(h.network(natDoc), plainEndpoint)
			h.must(attach(h, ep, `{"SystemType":"Container","ContainerId":"c1"}`))
			return h.join(h.namespace(hcn.HostNamespace), ep)
		}, hcn.ErrEndpointAlreadyAttached},
		{"D.3-32 a second namespace", "", nil, func(h *host) error {
			ep := h.endpoint(h.network(natDoc), plainEndpoint)
			h.must(h.join(h.namespace(hcn.HostNamespace), ep))
			return h.join(h.namespace(hcn.HostNamespace), ep)
		}, hcn.ErrEndpointNamespaceExists},
		{"D.3-33 a remote endpoint", "", nil, func(h *host) error {
			return h.join(h.namespace(hcn.HostNamespace), h.remote())
		}, hcn.ErrInvalidRemoteEndpointOp},
		{"D.3-34 detaching what is not attached", "", nil, func(h *host) error {
			return h.DetachEndpoint(h.endpoint(h.network(natDoc), plainEndpoint), AttachRequest{SystemType: ToHost})
		}, 0},
		{"D.3-34 by knob", "", []string{"detachUnattached=error"}, func(h *host) error {
			return h.DetachEndpoint(h.endpoint(h.network(natDoc), plainEndpoint), AttachRequest{SystemType: ToHost})
		}, hcn.ErrEndpointNotAttached},
		{"D.3-35 leaving a namespace that it is not in", "", nil, func(h *host) error {
			ep := h.endpoint(h.network(natDoc), plainEndpoint)
			return h.modify(NamespaceKind, h.namespace(hcn.HostNamespace), "Endpoint", "Remove", `{"EndpointId":"`+ep+`"}`)
		}, hcn.ErrElementNotFound},
		{"D.3-36 deleting a namespace with containers", "", nil, func(h *host) error {
			ns := h.namespace(hcn.HostNamespace)
			h.must(h.StartContainer(ns, "c1", ""))
			return h.DeleteNamespace(ns)
		}, hcn.ErrRequestUnsupported},
		{"D.3-37 deleting a namespace with endpoints", "", nil, func(h *host) error {
			ep, ns := h.endpoint(h.network(natDoc), plainEndpoint), h.namespace(hcn.HostNamespace)
			h.must(h.join(ns, ep))
			return h.DeleteNamespace(ns)
		}, 0},
		{"D.3-38 several host default namespaces", "", nil, func(h *host) error {
			h.namespace(hcn.HostDefaultNamespace)
			h.namespace(hcn.HostDefaultNamespace)
			return nil
		}, 0},
		{"the host's own namespace cannot go", "", nil, func(h *host) error { return h.DeleteNamespace(h.ids(NamespaceKind, "")[0]) }, hcn.ErrRequestUnsupported},
		{"an unknown endpoint for a namespace", "", nil, func(h *host) error { return h.join(h.namespace(hcn.HostNamespace), unknownID) }, hcn.ErrEndpointNotFound},
		{"attaching to nothing known", "", nil, func(h *host) error {
			return attach(h, h.endpoint(h.network(natDoc), plainEndpoint), `{"SystemType":"Toaster"}`)
		}, hcn.ErrInvalidParameter},
		{"one container twice", "", nil, func(h *host) error {
			ns := h.namespace(hcn.HostNamespace)
			h.must(h.StartContainer(ns, "c1", ""))
			return h.StartContainer(ns, "c1", "")
		}, hcn.ErrAlreadyExists},
		{"stopping a container that is not there", "", nil, func(h *host) error { return h.StopContainer(h.namespace(hcn.HostNamespace), "c1") }, hcn.ErrElementNotFound},
		{"an isolation that does not exist", "", nil, func(h *host) error { return h.StartContainer(h.namespace(hcn.HostNamespace), "c1", "vm") }, hcn.ErrInvalidParameter},
	})
}

func TestLoadBalancersAndRoutesHaveTheCodesOfTheContract(t *testing.T) {
	two := func(first, second string) func(h *host) error {
		return func(h *host) error {
			ep := h.endpoint(h.network(overlayDoc), plainEndpoint)
			h.create(LoadBalancerKind, "", balancerDoc(first, ep))
			_, err := h.CreateLoadBalancer("", []byte(balancerDoc(second, ep)))
			return err
		}
	}
	run(t, []condition{
		{"D.3-39 a load balancer without endpoints", "", nil, createOnly(LoadBalancerKind, `{"FrontendVIPs":["10.96.0.1"],"PortMappings":[{"Protocol":6,"InternalPort":1,"ExternalPort":2}]}`), hcn.ErrInvalidJSONReference},
		{"D.3-39 a route without endpoints", "", nil, createOnly(RouteKind, `{"Routes":[{"DestinationPrefix":"10.0.0.0/8"}]}`), hcn.ErrInvalidJSONReference},
		{"D.3-40 an unknown endpoint", "", nil, createOnly(LoadBalancerKind, balancerDoc("10.96.0.1", unknownID)), hcn.ErrEndpointNotFound},
		{"D.3-41 a duplicate frontend", "", nil, two("10.96.0.1", "10.96.0.1"), hcn.ErrPortAlreadyExists},
		{"LB-18 another address, same port", "", nil, two("10.96.0.1", "10.96.0.2"), 0},
		{"D.3-41 two node ports", "", nil, two("", ""), hcn.ErrPortAlreadyExists},
		{"a node port beside a cluster address", "", nil, two("", "10.96.0.1"), 0},
		{"C.4 a node port that the host holds", "", nil, func(h *host) error {
			h.busy[8090] = true
			_, err := h.CreateLoadBalancer("", []byte(balancerDoc("", h.endpoint(h.network(overlayDoc), plainEndpoint))))
			return err
		}, hcn.ErrPortAlreadyExists},
		{"C.4 a node port that an endpoint publishes", "", nil, func(h *host) error {
			ep := h.endpoint(h.network(overlayDoc), withPolicies("a", portMapping(6, 80, 8090)))
			_, err := h.CreateLoadBalancer("", []byte(balancerDoc("", ep)))
			return err
		}, hcn.ErrPortAlreadyExists},
		{"a published port that is a node port", "", nil, func(h *host) error {
			net := h.network(overlayDoc)
			h.create(LoadBalancerKind, "", balancerDoc("", h.endpoint(net, plainEndpoint)))
			_, err := h.CreateEndpoint(net, "", []byte(withPolicies("a", portMapping(6, 80, 8090))))
			return err
		}, hcn.ErrPortAlreadyExists},
		{"endpoints of two networks", "", nil, func(h *host) error {
			a, b := h.endpoint(h.network(natDoc), plainEndpoint), h.endpoint(h.network(overlayDoc), plainEndpoint)
			_, err := h.CreateLoadBalancer("", []byte(`{"HostComputeEndpoints":["`+a+`","`+b+`"],"PortMappings":[{"Protocol":6,"InternalPort":1,"ExternalPort":2}]}`))
			return err
		}, hcn.ErrInvalidEndpoint},
		{"C.4 a route with host bits and a foreign next hop", "", nil, func(h *host) error {
			ep := h.endpoint(h.network(overlayDoc), plainEndpoint)
			_, err := h.CreateRoute("", []byte(`{"HostComputeEndpoints":["`+ep+`"],"Setting":[{"DestinationPrefix":"169.254.169.254/24","NextHop":"127.10.0.34"}]}`))
			return err
		}, 0},
		{"C.4 modify before 15.4", "", nil, func(h *host) error {
			ep := h.endpoint(h.network(overlayDoc), plainEndpoint)
			return h.ModifyLoadBalancer(h.create(LoadBalancerKind, "", balancerDoc("10.96.0.1", ep)), []byte(balancerDoc("10.96.0.1", ep)))
		}, hcn.ErrNotImplemented},
		{"C.4 modify on 2025", hcn.WS2025, nil, func(h *host) error {
			ep := h.endpoint(h.network(overlayDoc), plainEndpoint)
			return h.ModifyLoadBalancer(h.create(LoadBalancerKind, "", balancerDoc("10.96.0.1", ep)), []byte(balancerDoc("10.96.0.2", ep)))
		}, 0},
		{"G.5 a duplicate of a restored load balancer", hcn.WS2025, nil, func(h *host) error {
			ep := h.endpoint(h.network(overlayDoc), plainEndpoint)
			h.create(LoadBalancerKind, "", balancerDoc("10.96.0.1", ep))
			h.must(h.Restart())
			_, err := h.CreateLoadBalancer("", []byte(balancerDoc("10.96.0.1", ep)))
			return err
		}, hcn.ErrAlreadyExists},
	})
}

func TestModifyingHasTheCodesOfTheContract(t *testing.T) {
	onNetwork := func(doc, resource, request, settings string) func(h *host) error {
		return func(h *host) error { return h.modify(NetworkKind, h.network(doc), resource, request, settings) }
	}
	acl := `{"Policies":[{"Type":"ACL","Settings":{"Action":"Block","Direction":"In","RemoteAddresses":"s1"}}]}`
	run(t, []condition{
		{"D.3-44 an unknown resource type", "", nil, onNetwork(natDoc, "Port", "Add", `{}`), hcn.ErrRequestUnsupported},
		{"D.3-44 an unknown request type", "", nil, onNetwork(natDoc, "Policy", "Sing", `{}`), hcn.ErrRequestUnsupported},
		{"D.3-44 a pair that does not exist", "", nil, onNetwork(natDoc, "Extension", "Remove", `{"Id":"`+vfpExtension+`"}`), hcn.ErrRequestUnsupported},
		{"D.3-45 a shared switch", "", nil, func(h *host) error {
			n := h.network(bridgeDoc)
			h.network(overlayDoc)
			return h.modify(NetworkKind, n, "Extension", "Update", `{"Id":"`+vfpExtension+`","IsEnabled":false}`)
		}, hcn.ErrSharedSwitchModification},
		{"an extension", "", nil, onNetwork(bridgeDoc, "Extension", "Update", `{"Id":"`+vfpExtension+`","IsEnabled":false}`), 0},
		{"C.2 an unknown extension", "", nil, onNetwork(bridgeDoc, "Extension", "Update", `{"Id":"`+unknownID+`"}`), hcn.ErrSwitchExtensionNotFound},
		{"B.8 a set that exists", "", nil, func(h *host) error {
			n := h.network(bridgeDoc)
			h.must(h.modify(NetworkKind, n, "Policy", "Add", ipSet))
			return h.modify(NetworkKind, n, "Policy", "Add", ipSet)
		}, hcn.ErrPolicyAlreadyExists},
		{"C.2 a set that an ACL names", "", nil, func(h *host) error {
			n := h.network(bridgeDoc)
			h.must(h.modify(NetworkKind, n, "Policy", "Add", ipSet))
			h.must(h.modify(EndpointKind, h.endpoint(n, plainEndpoint), "Policy", "Add", acl))
			return h.modify(NetworkKind, n, "Policy", "Remove", ipSet)
		}, hcn.ErrEntityHasReferences},
		{"C.2 a nested set before its members", hcn.WS2025, nil, onNetwork(bridgeDoc, "Policy", "Add", `{"Policies":[{"Type":"SetPolicy","Settings":{"Id":"n","Name":"n","PolicyType":"NESTEDIPSET","Values":"s1"}}]}`), hcn.ErrInvalidPolicy},
		{"B.8 removing a policy that is not there", "", nil, onNetwork(overlayDoc, "Policy", "Remove", `{"Policies":[{"Type":"HostRoute","Settings":{}}]}`), hcn.ErrPolicyNotFound},
		{"a policy of endpoints on a network", "", nil, onNetwork(natDoc, "Policy", "Add", `{"Policies":[{"Type":"QOS","Settings":{}}]}`), hcn.ErrInvalidPolicyType},
		{"C.1 a second InterfaceParameters", "", nil, func(h *host) error {
			ep := h.endpoint(h.network(natDoc), withPolicies("a", `{"Type":"InterfaceParameters","Settings":{"Mtu":1400}}`))
			return h.modify(EndpointKind, ep, "Policy", "Add", `{"Policies":[{"Type":"InterfaceParameters","Settings":{"Mtu":1300}}]}`)
		}, hcn.ErrInterfaceParametersApplied},
		{"a second subnet", "", nil, onNetwork(bridgeDoc, "Subnet", "Add", `{"Subnets":[{"IpAddressPrefix":"10.244.9.0/24"}]}`), 0},
		{"a subnet that overlaps", "", nil, onNetwork(bridgeDoc, "Subnet", "Add", `{"Subnets":[{"IpAddressPrefix":"10.244.1.0/25"}]}`), hcn.ErrInvalidSubnet},
		{"a subnet with endpoints", "", nil, func(h *host) error {
			n := h.network(bridgeDoc)
			h.endpoint(n, plainEndpoint)
			return h.modify(NetworkKind, n, "Subnet", "Remove", `{"Subnets":[{"IpAddressPrefix":"10.244.1.0/24"}]}`)
		}, hcn.ErrEntityHasReferences},
		{"a subnet that is not there", "", nil, onNetwork(bridgeDoc, "Subnet", "Remove", `{"Subnets":[{"IpAddressPrefix":"10.9.1.0/24"}]}`), hcn.ErrSubnetNotFound},
		{"an IP subnet of no subnet", "", nil, onNetwork(bridgeDoc, "IPSubnet", "Add", `{"SubnetId":"`+unknownID+`"}`), hcn.ErrSubnetNotFound},
		{"DNS", "", nil, onNetwork(natDoc, "DNS", "Update", `{"ServerList":["10.0.0.10"]}`), 0},
		{"DNS with a name for an address", "", nil, onNetwork(natDoc, "DNS", "Update", `{"ServerList":["dns"]}`), hcn.ErrInvalidIP},
	})
}

func TestAStoppedServiceAnswersThatItsInterfaceIsUnknown(t *testing.T) {
	h := mkHost(t, hcn.WS2025)
	h.network(natDoc)
	h.Stop()
	_, err := h.Enumerate(NetworkKind, nil)
	wantCode(t, err, hcn.ErrUnknownInterface)
	_, err = h.CreateNetwork("", []byte(natDoc))
	wantCode(t, err, hcn.ErrUnknownInterface)
	_, err = h.HNSRequest("GET", "/globals/version", nil)
	wantCode(t, err, hcn.ErrUnknownInterface)
	h.must(h.Start())
	if len(h.ids(NetworkKind, "")) != 1 {
		t.Error("the network is gone")
	}
	if h.notes[len(h.notes)-1].Type != ServiceDisconnect {
		t.Errorf("notifications %v", h.notes)
	}
}

// TestFailuresLeaveTheStateAsItWas lets Apply refuse every operation of a
// long series, once each.
func TestFailuresLeaveTheStateAsItWas(t *testing.T) {
	h := mkHost(t, hcn.WS2025)
	net := h.network(overlayDoc)
	ep := h.endpoint(net, withPolicies("a", portMapping(6, 80, 8080)))
	ns := h.namespace(hcn.HostNamespace)
	lb := h.create(LoadBalancerKind, "", balancerDoc("10.96.0.1", ep))
	h.must(h.join(ns, ep))
	h.must(h.StartContainer(ns, "c1", ""))
	before := h.State()
	h.refuse = hcn.Errorf(hcn.ErrPortAlreadyExists, "no free block of 64 ports")
	operations := map[string]func() error{
		"create network":  func() error { _, err := h.CreateNetwork("", []byte(natDoc)); return err },
		"create endpoint": func() error { _, err := h.CreateEndpoint(net, "", []byte(plainEndpoint)); return err },
		"create namespace": func() error {
			_, err := h.CreateNamespace("", []byte(`{"Type":"Host"}`))
			return err
		},
		"create balancer": func() error { _, err := h.CreateLoadBalancer("", []byte(balancerDoc("10.96.0.2", ep))); return err },
		"modify network": func() error {
			return h.modify(NetworkKind, net, "Policy", "Add", `{"Policies":[{"Type":"HostRoute","Settings":{}}]}`)
		},
		"modify endpoint": func() error { return h.modify(EndpointKind, ep, "Policy", "Reset", `{}`) },
		"modify balancer": func() error { return h.ModifyLoadBalancer(lb, []byte(balancerDoc("10.96.0.9", ep))) },
		"leave":           func() error { return h.modify(NamespaceKind, ns, "Endpoint", "Remove", `{"EndpointId":"`+ep+`"}`) },
		"start container": func() error { return h.StartContainer(ns, "c2", "") },
		"stop container":  func() error { return h.StopContainer(ns, "c1") },
		"delete endpoint": func() error { return h.DeleteEndpoint(ep) },
		"delete network":  func() error { return h.DeleteNetwork(net) },
		"delete balancer": func() error { return h.DeleteLoadBalancer(lb) },
		"reboot":          func() error { return h.Reboot() },
	}
	notes := len(h.notes)
	for name, op := range operations {
		wantCode(t, op(), hcn.ErrPortAlreadyExists)
		if h.State() != before {
			t.Fatalf("%s left something behind", name)
		}
	}
	if len(h.notes) != notes {
		t.Errorf("failed operations sent notifications: %v", h.notes[notes:])
	}
	h.refuse = nil
	for name, op := range operations {
		frozen := deepCopy(t, before)
		_ = op()
		if !reflect.DeepEqual(frozen, deepCopy(t, before)) {
			t.Fatalf("%s wrote into a state that Apply had seen", name)
		}
	}
}
