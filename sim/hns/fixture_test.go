package hns

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/hnsim/hnsim/sim/hcn"
)

// The documents of hcsshim's integration tests and of common drivers.
const (
	natDoc         = `{"Name":"nat","Type":"NAT","MacPool":{"Ranges":[{"StartMacAddress":"00-15-5D-52-C0-00","EndMacAddress":"00-15-5D-52-CF-FF"}]},"Dns":{},"Ipams":[{"Type":"Static","Subnets":[{"IpAddressPrefix":"192.168.100.0/24","Routes":[{"NextHop":"192.168.100.1","DestinationPrefix":"0.0.0.0/0"}]}]}],"Health":{"Extra":{}},"SchemaVersion":{"Major":2,"Minor":0}}`
	overlayDoc     = `{"Name":"vxlan0","Type":"Overlay","Ipams":[{"Type":"Static","Subnets":[{"IpAddressPrefix":"10.244.1.0/24","Policies":[{"Type":"VSID","Settings":{"IsolationId":4096}}],"Routes":[{"NextHop":"10.244.1.1","DestinationPrefix":"0.0.0.0/0"}]}]}],"Flags":8,"SchemaVersion":{"Major":2,"Minor":0}}`
	bridgeDoc      = `{"Name":"cbr0","Type":"L2Bridge","Ipams":[{"Type":"Static","Subnets":[{"IpAddressPrefix":"10.244.1.0/24","Routes":[{"NextHop":"10.244.1.1","DestinationPrefix":"0.0.0.0/0"}]}]}],"SchemaVersion":{"Major":2,"Minor":0}}`
	transparentDoc = `{"Name":"tr","Type":"Transparent","SchemaVersion":{"Major":2,"Minor":0}}`
	plainEndpoint  = `{"Name":"e","SchemaVersion":{"Major":2,"Minor":0}}`
	unknownID      = "11111111-2222-4333-8444-555555555555"
	vfpExtension   = "F74F241B-440F-4433-BB28-00F89EAD20D8" // from 2022 on

	ipSet = `{"Policies":[{"Type":"SetPolicy","Settings":{"Id":"s1","Name":"s","PolicyType":"IPSET","Values":"10.0.0.1"}}]}`
)

// host is a service under test with what its hooks saw.
type host struct {
	*Service
	t       *testing.T
	applied []*State
	refuse  error // what Apply answers
	busy    map[uint16]bool
	notes   []Notification
	now     time.Duration
}

func (h *host) Busy(_ uint8, port uint16) bool { return h.busy[port] }

// mkHost makes a service on profile with knobs "name=value". The host has two
// physical adapters and a virtual one.
func mkHost(t *testing.T, profile string, knobs ...string) *host {
	t.Helper()
	p := hcn.MustProfile(profile)
	for _, k := range knobs {
		name, value, _ := strings.Cut(k, "=")
		if err := p.Knobs.Set(name, value); err != nil {
			t.Fatal(err)
		}
	}
	h := &host{t: t, busy: map[uint16]bool{}}
	s, err := New(Config{HostName: "h1", Profile: p, Seed: 1, Ports: h,
		Uplinks: []Uplink{
			{Name: "Ethernet", MAC: [6]byte{0, 0x15, 0x5D, 0x82, 0, 0x23}, Addrs: []netip.Prefix{netip.MustParsePrefix("10.127.130.35/24")}},
			{Name: "Ethernet 2", MAC: [6]byte{0, 0x15, 0x5D, 0x82, 0, 0x24}, Addrs: []netip.Prefix{netip.MustParsePrefix("172.31.9.1/24")}, NoVFP: true},
			{Name: "Loopback", MAC: [6]byte{0, 0x15, 0x5D, 0x82, 0, 0x25}, Virtual: true},
		},
		Apply:  func(next *State) error { h.applied = append(h.applied, next); return h.refuse },
		Now:    func() time.Duration { return h.now },
		Notify: func(n Notification) { h.notes = append(h.notes, n) },
	})
	if err != nil {
		t.Fatal(err)
	}
	h.Service = s
	return h
}

// create creates an object and returns its id.
func (h *host) create(kind Kind, parent, doc string) string {
	h.t.Helper()
	id, _, err := h.Do(kind, "create", "", parent, []byte(doc))
	if err != nil {
		h.t.Fatalf("create %s: %v", kind, err)
	}
	return id
}

func (h *host) network(doc string) string { h.t.Helper(); return h.create(NetworkKind, "", doc) }
func (h *host) endpoint(net, doc string) string {
	h.t.Helper()
	return h.create(EndpointKind, net, doc)
}

// remote makes an l2bridge network with a remote endpoint, which it returns.
func (h *host) remote() string {
	h.t.Helper()
	return h.endpoint(h.network(bridgeDoc), `{"Flags":1,"MacAddress":"00:11:22:33:44:55","IpConfigurations":[{"IpAddress":"10.244.1.6"}],"Policies":[{"Type":"L2Driver"}]}`)
}

func (h *host) namespace(kind hcn.NamespaceType) string {
	h.t.Helper()
	return h.create(NamespaceKind, "", `{"Type":"`+string(kind)+`","NamespaceId":5,"SchemaVersion":{"Major":2}}`)
}

func (h *host) modify(kind Kind, id, resource, request, settings string) error {
	return h.Modify(kind, id, []byte(fmt.Sprintf(`{"ResourceType":%q,"RequestType":%q,"Settings":%s}`, resource, request, settings)))
}

func (h *host) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// join adds an endpoint to a namespace.
func (h *host) join(ns, ep string) error {
	return h.modify(NamespaceKind, ns, "Endpoint", "Add", `{"EndpointId":"`+ep+`"}`)
}

// doc returns an object's v2 document.
func (h *host) doc(kind Kind, id string) map[string]any {
	h.t.Helper()
	return h.docWith(kind, id, ``)
}

func (h *host) v1(kind Kind, id string) map[string]any {
	h.t.Helper()
	return h.docWith(kind, id, `{"SchemaVersion":{"Major":1,"Minor":0}}`)
}

func (h *host) docWith(kind Kind, id, query string) map[string]any {
	h.t.Helper()
	raw, err := h.Query(kind, id, []byte(query))
	h.must(err)
	var v map[string]any
	h.must(json.Unmarshal(raw, &v))
	return v
}

func (h *host) ids(kind Kind, query string) []string {
	h.t.Helper()
	raw, err := h.Enumerate(kind, []byte(query))
	h.must(err)
	var v []string
	h.must(json.Unmarshal(raw, &v))
	return v
}

// policyDoc is an endpoint with policies, given as JSON.
func withPolicies(name string, policies ...string) string {
	return `{"Name":"` + name + `","Policies":[` + strings.Join(policies, ",") + `],"SchemaVersion":{"Major":2}}`
}

func portMapping(proto, internal, external int) string {
	return fmt.Sprintf(`{"Type":"PortMapping","Settings":{"Protocol":%d,"InternalPort":%d,"ExternalPort":%d}}`, proto, internal, external)
}

func withAddress(ip string) string {
	return `{"Name":"e","IpConfigurations":[{"IpAddress":"` + ip + `"}],"SchemaVersion":{"Major":2}}`
}

func balancerDoc(vip, ep string) string {
	vips := ""
	if vip != "" {
		vips = `"FrontendVIPs":["` + vip + `"],`
	}
	return `{"HostComputeEndpoints":["` + ep + `"],` + vips + `"SourceVIP":"10.244.1.2","PortMappings":[{"Protocol":6,"InternalPort":8080,"ExternalPort":8090}],"SchemaVersion":{"Major":2}}`
}

// wantCode checks an error's code; 0 is success.
func wantCode(t *testing.T, err error, want hcn.Code) {
	t.Helper()
	if want == 0 && err != nil || want != 0 && !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}
