package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/conformance/reach"
)

func TestReachPrintsTheTableAndComparesIt(t *testing.T) {
	dir := t.TempDir()
	want := filepath.Join(dir, "want.csv")
	r := hnsim(t, nil, "reach", "S-NAT-01", "--port", "tcp:443", "--csv")
	r.check(t, 0, "cn1,x,tcp:443,203.0.113.80,,open,", "")
	if err := os.WriteFile(want, []byte(r.out), 0o644); err != nil {
		t.Fatal(err)
	}
	hnsim(t, nil, "reach", "S-NAT-01", "--port", "tcp:443", "--expect", want).check(t, 0, "0 not as expected", "")
	wrong := strings.Replace(r.out, "cn1,x,tcp:443,203.0.113.80,,open", "cn1,x,tcp:443,203.0.113.80,,closed", 1)
	if err := os.WriteFile(want, []byte(wrong), 0o644); err != nil {
		t.Fatal(err)
	}
	hnsim(t, nil, "reach", "S-NAT-01", "--port", "tcp:443", "--expect", want).check(t, 1, "cn1 > x tcp:443: open, expected closed", "")

	r = hnsim(t, nil, "reach", "S-NAT-01", "--port", "icmp", "--format", "json")
	var table reach.Table
	if err := json.Unmarshal([]byte(r.out), &table); err != nil || len(table.Cells) == 0 {
		t.Errorf("%v: %s", err, r.out)
	}
}

func TestReachNamesTheDocumentThatIsRefused(t *testing.T) {
	t.Chdir(t.TempDir())
	text := `[{"Name":"n","Type":"NAT","Ipams":[{"Subnets":[{"IpAddressPrefix":"172.16.0.0/24"}]}]},{"Name":"e","IpConfigurations":[{"IpAddress":"9.9.9.9"}]}]`
	if err := os.WriteFile("state.json", []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	hnsim(t, nil, "reach", "state.json").check(t, 3, "", " net1 state.json.2: ")
}

// The controller of tenant networks is asked through the worlds that reach,
// trace and diff watch, too.
func TestTenantNetworksCanBeAskedFollowedAndCompared(t *testing.T) {
	t.Chdir(t.TempDir())
	r := hnsim(t, nil, "reach", "S-SDN-01", "--port", "icmp")
	r.check(t, 0, " + open", "")
	if strings.Contains(r.out, "physical") {
		t.Errorf("provider hosts are no places of the tenants:\n%s", r.out)
	}
	hnsim(t, nil, "trace", "S-SDN-03").check(t, 0, "DELIVERED at sql", "")
	hnsim(t, nil, "diff", "--left", "sim", "--right", "sim,seed=2", "-q", "sdn").check(t, 0, " 0 differ, 0 not comparable", "")
	hnsim(t, nil, "diff", "--left", "sim", "--right", "sim,knob:drDecrementsTtl=true", "S-SDN-09").check(t, 1, "! inner.ip.ttl ", "")
}

func TestReachRefusesWhatMakesNoSense(t *testing.T) {
	hnsim(t, nil, "reach", "S-NAT-01", "--port", "sctp:80").check(t, 2, "", "expected tcp:PORT, udp:PORT or icmp")
	hnsim(t, nil, "reach", "S-NAT-99").check(t, 2, "", "S-NAT-99")
	hnsim(t, nil, "reach", "S-NAT-01", "--expect", "nothing.csv").check(t, 2, "", "nothing.csv")
	hnsim(t, nil, "reach", "S-NAT-01", "--csv", "--format", "json").check(t, 2, "", "exclude each other")
	hnsim(t, nil, "reach", filepath.Join(t.TempDir(), "none.json")).check(t, 2, "", "none.json")
}
