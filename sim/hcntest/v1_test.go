package hcntest

import (
	"encoding/json"
	"errors"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// mkV1 is a host with a NAT network and an endpoint, made through v1.
func mkV1(t *testing.T) (*Host, *HNSNetwork, *HNSEndpoint) {
	t.Helper()
	h := New(t, Config{}).Host("h1")
	n, err := h.HNSNetworkRequest("POST", "", Document(HNSNetwork{Name: "nat", Type: "nat",
		Subnets: []HNSSubnet{{AddressPrefix: "172.16.0.0/24", GatewayAddress: "172.16.0.1"}}}))
	if err != nil {
		t.Fatal(err)
	}
	e, err := h.HNSEndpointRequest("POST", "", Document(HNSEndpoint{Name: "e", VirtualNetwork: n.Id, IPAddress: net.ParseIP("172.16.0.10")}))
	if err != nil {
		t.Fatal(err)
	}
	return h, n, e
}

func TestEveryV1CallWorksAndIsRefused(t *testing.T) {
	h, n, e := mkV1(t)
	same := func(what string, ok bool, err error) {
		t.Helper()
		if !ok || err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	byID, err := h.GetHNSNetworkByID(n.Id)
	same("network by id", err == nil && byID.Type == "nat", err)
	byName, err := h.GetHNSNetworkByName("nat")
	same("network by name", err == nil && byName.Id == n.Id, err)
	nets, err := h.HNSListNetworkRequest("GET", "", "")
	same("networks", len(nets) == 1 && nets[0].Subnets[0].GatewayAddress == "172.16.0.1", err)
	ep, err := h.GetHNSEndpointByID(e.Id)
	same("endpoint by id", err == nil && ep.IPAddress.String() == "172.16.0.10" && ep.State == Created, err)
	ep, err = h.GetHNSEndpointByName("e")
	same("endpoint by name", err == nil && ep.Id == e.Id, err)
	eps, err := h.HNSListEndpointRequest()
	same("endpoints", len(eps) == 1, err)
	list, err := h.HNSPolicyListRequest("POST", "", Document(PolicyList{EndpointReferences: []string{"/endpoints/" + e.Id},
		Policies: []json.RawMessage{json.RawMessage(`{"Type":"ELB","VIPs":["10.96.0.1"],"Protocol":6,"InternalPort":80,"ExternalPort":80}`)}}))
	same("policy list", err == nil && list.ID != "", err)
	lists, err := h.HNSListPolicyListRequest()
	same("policy lists", len(lists) == 1 && lists[0].EndpointReferences[0] == "/endpoints/"+e.Id, err)

	const attach = `{"SystemType":"Container","ContainerId":"c1","CompartmentId":7}`
	if _, err := h.HNSEndpointRequest("POST", e.Id+"/attach", attach); err != nil {
		t.Fatal(err)
	}
	_, err = h.HNSEndpointRequest("POST", e.Id+"/attach", `{"SystemType":"Host"}`)
	if err == nil || !strings.Contains(err.Error(), "This endpoint is already attached to the switch.") { // flannel looks for it
		t.Errorf("%v", err)
	}
	if err := h.Run(e.Id).Ping("172.16.0.1"); err != nil {
		t.Error(err)
	}
	stats, err := h.GetHNSEndpointStats(e.Id)
	same("stats", err == nil && stats.EndpointID != "" && stats.PacketsSent > 0, err)
	_, err = h.HNSEndpointRequest("DELETE", e.Id, "")
	same("deletion", true, err)

	if _, err := h.GetHNSNetworkByName("no"); !errors.As(err, new(NetworkNotFoundError)) {
		t.Errorf("%v", err)
	}
	if _, err := h.GetHNSEndpointByName("no"); !errors.As(err, new(EndpointNotFoundError)) {
		t.Errorf("%v", err)
	}
	for _, err := range []error{failed(h.GetHNSNetworkByID(unknownID)), failed(h.GetHNSEndpointByID(unknownID)), failed(h.GetHNSEndpointStats(unknownID)),
		failed(h.HNSPolicyListRequest("DELETE", unknownID, "")), failed(h.HNSNetworkRequest("POST", "", "{"))} {
		if err == nil || !strings.HasPrefix(err.Error(), "hns failed with error : ") {
			t.Errorf("%v", err)
		}
	}
	h.StopHNS()
	if _, err := h.HNSListEndpointRequest(); err == nil {
		t.Error("a stopped service answers")
	}
}

func failed[T any](_ *T, err error) error { return err }

// TestV1TypesAreThoseOfHcsshim compares with hcsshim's source.
func TestV1TypesAreThoseOfHcsshim(t *testing.T) {
	const module = "github.com/Microsoft/hcsshim"
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	dir := strings.TrimSpace(string(out))
	if err != nil || dir == "" {
		t.Skipf("%s is not in the module cache (go mod download %s): types not compared; %v", module, module, err)
	}
	theirSet, theirFiles := parse(t, filepath.Join(dir, "internal", "hns"))
	ourSet, ourFiles := parse(t, ".")
	theirs, _ := declared(theirSet, theirFiles)
	ours, _ := declared(ourSet, ourFiles)
	renamed := strings.NewReplacer("[]MacPool", "[]HNSMacPool", "[]Subnet", "[]HNSSubnet", "*Namespace", "*HNSNamespace")
	for our, their := range map[string]string{"HNSNetwork": "HNSNetwork", "HNSEndpoint": "HNSEndpoint", "HNSSubnet": "Subnet", "HNSMacPool": "MacPool",
		"PolicyList": "PolicyList", "HNSEndpointStats": "EndpointStats", "EndpointState": "EndpointState"} {
		if want := renamed.Replace(theirs[their]); ours[our] != want || want == "" {
			t.Errorf("type %s:\n got %s\nwant %s", our, ours[our], want)
		}
	}
}
