package script

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hnsim/hnsim/backends"
)

func TestVariantsRunOneByOne(t *testing.T) {
	source := strings.Replace(mkSource("send c1 $proto 10.1.0.10:1 > 10.1.0.20:53 '$proto'\nexpect c3 $proto > *:53\n[matrix:mode=b] echo $mode ${proto}\n[matrix:mode=b] stdout 'b (udp|tcp)'"),
		headLines, "# T-1: a test\n# rules: NAT-10\n# matrix: proto=udp,tcp mode=a,b\n", 1)
	sc := mkScenario(t, source)
	var names []string
	for _, v := range sc.Expand() {
		names = append(names, v.Name())
		res := Run(context.Background(), v, &fake{}, Options{})
		if res.Status != Passed || res.Name() != v.Name() {
			t.Errorf("%s: %s %s", res.Name(), res.Status, res.Reason)
		}
	}
	if got := strings.Join(names, " "); got != "T-1/proto=udp,mode=a T-1/proto=udp,mode=b T-1/proto=tcp,mode=a T-1/proto=tcp,mode=b" {
		t.Error(got)
	}
	if res := Run(context.Background(), sc, &fake{}, Options{}); res.Status != Error || !strings.Contains(res.Reason, "Expand") {
		t.Error(res.Status, res.Reason)
	}
	one := mkScenario(t, mkSource("echo x"))
	if list := one.Expand(); len(list) != 1 || list[0] != one || one.Name() != "T-1" {
		t.Error(list)
	}
	v := sc.Expand()[0]
	if list := v.Expand(); len(list) != 1 || list[0] != v {
		t.Error(list)
	}
}

func TestTheResultTellsWhatHappened(t *testing.T) {
	res := mkRun(t, &fake{}, "# a comment\nsend c1 udp > 10.1.0.20:53\nadvance 241s\nexpect c3", Options{Seed: 3})
	if res.ID != "T-1" || res.Variant != "" || len(res.Rules) != 1 || res.Rules[0] != "NAT-10" {
		t.Errorf("%+v", res)
	}
	if res.Virtual < 241*time.Second || res.Duration <= 0 || res.EventHash != "seed3-4" || len(res.Observations) != 4 {
		t.Errorf("%v %v %s %d", res.Virtual, res.Duration, res.EventHash, len(res.Observations))
	}
	if got := fmt.Sprint(res.Metrics); got != "map[observations:4 received:1 sent:1 stimuli:1 wire:2]" {
		t.Error(got)
	}
	if !strings.Contains(res.Log, "> advance 241s\n") || strings.Contains(res.Log, "comment") {
		t.Error(res.Log)
	}
}

func TestTwoRunsLogTheSame(t *testing.T) {
	const script = "# section\nsend c1 udp > 10.1.0.20:53\n# section\nexpect c3\nquery endpoint c1"
	a, b := mkRun(t, &fake{}, script), mkRun(t, &fake{}, script)
	if a.Log != b.Log {
		t.Errorf("%s\n%s", a.Log, b.Log)
	}
}

func TestUpdateRewritesGoldenText(t *testing.T) {
	const script = "query endpoint c1\ncmp stdout golden.txt\necho same\ncmp stdout same.txt\n-- golden.txt --\nold\n-- same.txt --\nsame"
	res := mkRun(t, &fake{}, script, Options{Update: true})
	if res.Status != Passed || res.Rewritten == nil {
		t.Fatal(res.Status, res.Reason)
	}
	text := string(res.Rewritten)
	if !strings.Contains(text, "-- golden.txt --\n{\n  \"ID\": \"${id:c1}\",\n") || strings.Contains(text, "\nold\n") {
		t.Error(text)
	}
	again := mkScenario(t, text)
	if res := Run(context.Background(), again, &fake{}, Options{Update: true}); res.Status != Passed || res.Rewritten != nil {
		t.Error(res.Status, res.Reason, string(res.Rewritten))
	}
}

func TestATraceLineTurnsTracingOn(t *testing.T) {
	var cfg backends.WorldConfig
	if mkRun(t, &fake{config: &cfg}, "trace c1 udp > 10.1.0.20:53"); !cfg.Tracing {
		t.Error("tracing is off")
	}
}

func TestWordsTellTheBackendWhatTheyMean(t *testing.T) {
	var nodes []backends.Node
	var links []backends.Link
	var settings []backends.Setting
	var conts []backends.Container
	var stimuli []backends.Stimulus
	var ops []backends.HCNOp
	f := &fake{nodes: &nodes, links: &links, settings: &settings, conts: &conts, stimuli: &stimuli, ops: &ops}
	res := mkRun(t, f, `
host h3 ip=10.0.0.3/24 gw=10.0.0.254 mtu=9000 vlan=7 segment=san outer.spoofing=off route=10.9.0.0/16,10.0.0.4 nic=Ethernet2 ip=10.5.0.3/24
router r lan=10.0.0.254/24 wan=203.0.113.1/24 lan=fd00::fe/64 mac.lan=02-00-00-00-00-FE mtu.wan=1400 route=10.8.0.0/16,10.0.0.1
link h1 delay=2ms loss=1%
link h1 mtu=1400 down
set h1 nat.filtering udp=EndpointIndependent tcp=AddressDependent
set h1 hns.restart
namespace h1 ns1
endpoint e1 n1 ep1.json ns=ns1 isolation=hyperv nostart
container c9 shares c1
send c1 udp :7 > 10.1.0.20:53 payload=hex:0102 frags=8,8 order=1,0 nocsum ttl=5 df tos=1
send c1 icmp > 10.1.0.20 port-unreachable
tcp c1 > 10.1.0.20:80 'x' from=10.1.0.10 timeout=5s
policy add endpoint c1 acl.json
-- acl.json --
{"Type":"ACL"}`)
	if res.Failure == nil || res.Failure.Expected != "success" {
		// The fake serves nothing on port 80, so policy is not reached.
		t.Fatal(res.Status, res.Reason)
	}
	check := func(what string, got any, want string) {
		t.Helper()
		if s := fmt.Sprintf("%+v", got); s != want {
			t.Errorf("%s\n got %s\nwant %s", what, s, want)
		}
	}
	check("host", nodes[3], "{Kind:host Name:h3 Ifaces:[{Name: Segment:san MAC:00-00-00-00-00-00 Addrs:[10.0.0.3/24] Gateway:10.0.0.254 MTU:9000 VLAN:7} {Name:Ethernet2 Segment: MAC:00-00-00-00-00-00 Addrs:[10.5.0.3/24] Gateway:invalid IP MTU:0 VLAN:0}] Routes:[{Dst:10.9.0.0/16 Via:10.0.0.4}] Outer:map[spoofing:off] On: Options:map[]}")
	check("router", nodes[4], "{Kind:router Name:r Ifaces:[{Name:lan Segment:lan MAC:02-00-00-00-00-FE Addrs:[10.0.0.254/24 fd00::fe/64] Gateway:invalid IP MTU:0 VLAN:0} {Name:wan Segment:wan MAC:00-00-00-00-00-00 Addrs:[203.0.113.1/24] Gateway:invalid IP MTU:1400 VLAN:0}] Routes:[{Dst:10.8.0.0/16 Via:10.0.0.1}] Outer:map[] On: Options:map[]}")
	check("link", links[1], "{Node:h1 Iface: MTU:1400 Delay:2ms Loss:0.01 Reorder:0 RateBps:0 Down:true}")
	check("settings", settings, "[{Node:h1 Name:nat.filtering Value:udp=EndpointIndependent tcp=AddressDependent} {Node:h1 Name:hns.restart Value:}]")
	check("endpoint", conts[3], "{Name:e1 Host:h1 Endpoints:[00000000-0000-0000-0000-000000000007] Namespace:00000000-0000-0000-0000-000000000006 Shares: Isolation:hyperv NoAttach:false NoStart:true}")
	check("shares", conts[4], "{Name:c9 Host:h1 Endpoints:[] Namespace: Shares:c1 Isolation: NoAttach:false NoStart:false}")
	s := stimuli[0]
	check("datagram", fmt.Sprint(s.Src, s.Dst, s.Payload, s.Fragments, s.FragmentOrder, s.NoChecksum, s.TTL, s.DF, s.TOS), "invalid AddrPort 10.1.0.20:53 [1 2] [8 8] [1 0] true 5 true 1")
	if s.Src.Port() != 7 {
		t.Error("source port", s.Src.Port())
	}
	check("icmp", fmt.Sprint(stimuli[1].ICMPType, stimuli[1].ICMPCode), "3 3")
	check("tcp", fmt.Sprint(stimuli[2].Src.Addr(), stimuli[2].Timeout, string(stimuli[2].Payload)), "10.1.0.10 5sx")
	last := ops[len(ops)-1]
	if last.Kind != "endpoint" {
		t.Error("last operation", last)
	}
}

func TestPoliciesAreWrappedIntoModifyRequests(t *testing.T) {
	const wrapped = `{"RequestType":"Add","ResourceType":"Policy","Settings":{"Policies":[{"Type":"ACL"}]}}`
	tests := []struct{ have, want string }{
		{`{"Type":"ACL"}`, wrapped},
		{`[{"Type":"ACL"}]`, wrapped},
		{`{"Policies":[{"Type":"ACL"}]}`, wrapped},
		{`{"RequestType":"Reset"}`, `{"RequestType":"Reset"}`},
		{`{"Name":"x"}`, ""},
		{`7`, ""},
		{`{"Policies":7}`, ""},
	}
	for _, test := range tests {
		got, err := policyRequest("Add", []byte(test.have))
		if string(got) != test.want || (err != nil) != (test.want == "") {
			t.Errorf("%s: %s %v", test.have, got, err)
		}
	}
}

func TestAFrameOnTwoWiresIsKnownByItsIdentityOrItsBytes(t *testing.T) {
	// The fake gives every packet an identity; equal packets of two lines must
	// not be mistaken for each other.
	res := mkRun(t, &fake{}, `
send c1 udp 10.1.0.10:1 > 10.1.0.20:53
send c1 udp 10.1.0.10:1 > 10.1.0.20:53
wire h1 h2 udp
wire h1 h2 udp
wire none h1 udp
wire none h2 udp`)
	if res.Status != Passed {
		t.Error(res.Status, res.Reason)
	}
}

func TestDuplicatesAreSeen(t *testing.T) {
	res := mkRun(t, &fake{duplicate: true}, "send c1 udp > 10.1.0.20:53\nexpect c3 udp\nexpect none c3")
	if res.Status != Failed {
		t.Error(res.Status, res.Reason)
	}
}
