package script

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/hcn"
)

func TestALineThatDoesNotHoldFailsTheScenario(t *testing.T) {
	tests := []struct {
		name, script       string
		expected, received string // parts
	}{
		{"a wrong field", "send c1 udp > 10.1.0.20:53\nexpect c3 udp > *:54", "received by c3: udp > *:54", "1 frame there, none as expected"},
		{"nothing at all", "send c1 udp > 10.9.9.9:53\nexpect c3", "any frame", "nothing at that point, 1 drop"},
		{"a frame that should not be", "send c1 udp > 10.1.0.20:53\nexpect none c3 udp", "nothing in received by c3: udp", "udp(50000>53)"},
		{"a frame on a wire that should not be", "send c1 udp > 10.1.0.20:53\nwire none h2", "nothing in wire of h2", "udp(50000>53)"},
		{"a drop that should not be", "send c1 udp > 10.9.9.9:53\ndrop none", "nothing in drops", "NoRoute c1 routing"},
		{"a drop for another reason", "send c1 udp > 10.9.9.9:53\ndrop c1 MacSpoof", "drops at c1 for MacSpoof", "1 frame there"},
		{"too few drops", "send c1 udp > 10.9.9.9:53\ndrop c1 NoRoute count=2", "2 frames in drops", "1 frames"},
		{"a frame is taken once", "send c1 udp > 10.1.0.20:53\nexpect c3 udp\nexpect c3 udp", "received by c3", "1 frame there, none as expected"},
		{"a frame that did not arrive", "send c1 udp > 10.1.0.11:53\nwire h1 h2 udp", "wire of h1 tx and of h2", "nothing at that point"},
		{"a frame that went elsewhere", "send c1 udp > 10.0.0.9:53\nwire h1 h2 udp", "wire of h1 tx and of h2", "1 frame there, none as expected"},
		{"different bytes", "send c1 udp > 10.1.0.20:53\nexpect c3 bytes=020000000003", "bytes=0200", "none as expected"},
		{"too few values", "send c1 udp 10.1.0.10:1 > 10.1.0.20:53 count=3\ncount c3 udp distinct=sport min=2", "at least 2 different values of sport", "1 different values"},
		{"too many frames", "send c1 udp > 10.1.0.20:53 count=3\ncount c3 udp max=2", "at most 2 frames", "3 frames"},
		{"out of range", "send c1 udp > 10.1.0.20:53 count=3\ncount c3 udp min=4 max=5", "4 to 5 frames", "3 frames"},
		{"wrong order", "send c1 udp 10.1.0.10:9 > 10.1.0.20:53 count=3 sport=-1\ncount c3 udp ordered=sport", "in order of sport", "sport 8 behind 9"},
		{"wrong rate", "send c1 udp > 10.1.0.20:53 count=3 every=1s\ncount c3 udp rate=1000-2000", "1000 to 2000 bytes per second", "(3 frames)"},
		{"a refusal that was not expected", "network h1 n9 bad.json\n-- bad.json --\n{\"Name\":\"refuse\"}", "success", "0x803B0013 HCN_E_PORT_ALREADY_EXISTS"},
		{"a success that was not expected", "! network h1 n9 net.json", "a refusal", "success"},
		{"a connection that fails", "tcp c1 > 10.1.0.20:80", "success", "refused"},
		{"a wrong answer", "listen c3 tcp :80 reply='no'\ntcp c1 > 10.1.0.20:80 reply='yes'", "the answer 'yes'", "'no'"},
		{"a wrong answer stays wrong behind !", "listen c3 tcp :80 reply='no'\n! tcp c1 > 10.1.0.20:80 reply='yes'", "the answer 'yes'", "'no'"},
		{"no echo", "ping c1 > 10.9.9.9", "success", "timeout"},
		{"a wrong MAC", "arp c1 10.1.0.20 is=02-00-00-00-00-04", "answered with 02-00-00-00-00-04", "02-00-00-00-00-03"},
		{"an answer instead of silence", "arp c1 10.1.0.20 is=silence", "silence", "02-00-00-00-00-03"},
		{"no answer", "arp c1 10.1.0.77", "success", "no answer"},
		{"a wrong lease", "dhcp c1 lease=10.0.1.0/24", "a lease of 10.0.1.0/24", "10.0.0.50"},
		{"a role that cannot send", "send c1 udp > 10.1.0.20:53 ttl=99", "c1 sends the packet", "not sent: no way"},
		{"wrong output", "echo yes\nstdout no", "stdout that matches 'no'", "yes"},
		{"output that must not be", "echo yes\n! stdout yes", "a refusal", "success"},
		{"too many matches", "echo a a a\nstdout count=2 a", "2 matches", "a a a"},
		{"no output", "stdout x", "stdout", "nothing"},
		{"another code", "! network h1 n9 bad.json\nerror 0x803B0001\n-- bad.json --\n{\"Name\":\"refuse\"}", "HCN_E_NETWORK_NOT_FOUND", "HCN_E_PORT_ALREADY_EXISTS"},
		{"no refusal to ask about", "error 0x20", "the error", "no operation was refused"},
		{"other text", "echo b\ncmp stdout want.txt\n-- want.txt --\na", "text of want.txt; in line 1 \"a\"", `"b"`},
		{"another document", "query endpoint c1\nmatch want.json\n-- want.json --\n{\"IpConfigurations\":[{\"IpAddress\":\"10.1.0.99\"}]}", "IpConfigurations[0].IpAddress = 10.1.0.99", "10.1.0.10"},
		{"a member that is missing", "query endpoint c1\nmatch want.json\n-- want.json --\n{\"Flags\":1}", "Flags = 1", "no such member"},
		{"no document", "echo x\nmatch want.json\n-- want.json --\n{}", "a JSON document", `"x"`},
		{"no value there", "query endpoint c1 Policies[0]", "a value there", "no such member; there are ID, IpConfigurations"},
		{"an index too high", "query endpoint c1 IpConfigurations[5]", "a value there", "has 1 elements"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			res := mkRun(t, &fake{}, test.script)
			if res.Status != Failed {
				t.Fatalf("%s %s\n%s", res.Status, res.Reason, res.Log)
			}
			f := res.Failure
			if !strings.Contains(f.Expected, test.expected) || !strings.Contains(f.Received, test.received) {
				t.Errorf("expected %q\nreceived %q", f.Expected, f.Received)
			}
			script, _, _ := strings.Cut(test.script, "\n-- ")
			if last := firstOwnLine + strings.Count(script, "\n"); f.Line != last || f.File != "area/test.txtar" {
				t.Errorf("%s:%d, want line %d", f.File, f.Line, last)
			}
			if f.Requirement != "a test" || f.Command == "" || !strings.Contains(f.Message, f.Command) || res.Reason == "" {
				t.Errorf("incomplete: %+v", f)
			}
		})
	}
}

func TestTheFailureShowsTheClosestPacketTheDropsAndTheTrace(t *testing.T) {
	res := mkRun(t, &fake{}, `
send c1 udp 10.1.0.10:1 > 10.1.0.20:53 'first'
send c1 udp 10.1.0.10:2 > 10.1.0.20:54 'second' ttl=63
send c1 udp 10.1.0.10:3 > 10.9.9.9:55
expect c3 udp 10.1.0.10:2 > 10.1.0.20:54 'second' ttl=64`, Options{Tracing: true})
	if res.Status != Failed {
		t.Fatal(res.Status, res.Reason)
	}
	const want = `area/test.txtar:15: expect c3 udp 10.1.0.10:2 > 10.1.0.20:54 'second' ttl=64
  requirement  a test
  expected     received by c3: udp 10.1.0.10:2 > 10.1.0.20:54 'second' ttl=64
  received     2 frames there, none as expected, 1 drop
  closest      eth(02-00-00-00-00-01>02-00-00-00-00-03) ip(10.1.0.10>10.1.0.20 ttl63) udp(2>54) len 6
    ttl      want 64, got 63
  dropped      NoRoute at h1 (c1 routing): eth(02-00-00-00-00-01>00-00-00-00-00-00) ip(10.1.0.10>10.9.9.9 ttl128) udp(3>55) len 0
  trace        packet 2 enters
  trace        rule 7 matches
`
	if res.Failure.Message != want {
		t.Errorf("got\n%swant\n%s", res.Failure.Message, want)
	}
	if d := res.Failure.Closest[0]; d != (FieldDiff{Field: "ttl", Want: "64", Got: "63"}) {
		t.Errorf("the first difference is %+v", d)
	}
	if len(res.Failure.Closest) != 7 {
		t.Errorf("%d fields were named, %v", len(res.Failure.Closest), res.Failure.Closest)
	}
}

func TestChecksumsOfTakenFramesAreVerified(t *testing.T) {
	spoil := &fake{tamper: func(frame []byte) { frame[41] ^= 1 }} // UDP checksum
	for _, line := range []string{"expect c3 udp", "wire h1 udp", "wire h1 h2 udp", "count c3 udp is=1"} {
		res := mkRun(t, spoil, "send c1 udp > 10.1.0.20:53\n"+line)
		if res.Status != Failed || !strings.Contains(res.Reason, "valid checksums") {
			t.Errorf("%s: %s %s", line, res.Status, res.Reason)
		}
	}
	if res := mkRun(t, spoil, "send c1 udp > 10.1.0.20:53\nexpect c3 udp checksum=bad\nexpect none c3"); res.Status != Passed {
		t.Error(res.Status, res.Reason)
	}
}

func TestTheEndOfAScenarioIsChecked(t *testing.T) {
	tests := []struct {
		name   string
		fake   fake
		opt    Options
		status Status
		reason string
	}{
		{"invariants", fake{broken: []string{"counters of port 3 differ"}}, Options{}, Failed, "invariants of the world to hold, received counters of port 3"},
		{"leftovers", fake{left: []string{"endpoint c1"}}, Options{}, Failed, "nothing left behind after closing the world, received endpoint c1"},
		{"closing", fake{closeErr: errors.New("stuck")}, Options{}, Error, "closing the world: stuck"},
		{"keeping", fake{left: []string{"endpoint c1"}}, Options{Keep: true}, Passed, ""},
	}
	for _, test := range tests {
		closed := 0
		test.fake.closed = &closed
		res := mkRun(t, &test.fake, "echo x", test.opt)
		if res.Status != test.status || !strings.Contains(res.Reason, test.reason) {
			t.Errorf("%s: %s %s", test.name, res.Status, res.Reason)
		}
		if want := 1; closed != want && !test.opt.Keep || closed != 0 && test.opt.Keep {
			t.Errorf("%s: closed %d times", test.name, closed)
		}
	}
}

func TestTroubleOfTheHarnessIsAnError(t *testing.T) {
	tests := []struct {
		name, script, reason string
		fake                 fake
	}{
		{"a crash", "send c1 udp > 10.1.0.20:53", "panic: the fake fell over", fake{crash: "c1"}},
		{"an error of a stimulus", "send c1 udp > 10.1.0.20:53", "the cable is out", fake{harness: errors.New("the cable is out")}},
		{"not even ! hides it", "! ping c1 > 10.1.0.20", "the cable is out", fake{harness: errors.New("the cable is out")}},
		{"a strange error of the control plane", "! network h1 n9 bad.json\n-- bad.json --\n{\"Name\":\"harness\"}", "the service is on fire", fake{}},
		{"no world", "echo x", "no world: no room", fake{openErr: errors.New("no room")}},
		{"what the backend does not understand", "external y ip=10.0.0.7/24 opt.usage=1", "no option usage", fake{}},
		{"a view that does not exist", "show nonsense h1", "no view nonsense", fake{}},
		{"a saved variable that was never saved", "[profile:ws2016] echo x\nsend c1 udp > 10.1.0.20:53\n[profile:ws2016] expect c3 save=p:sport\necho $p", "unknown variable $p", fake{}},
	}
	for _, test := range tests {
		closed := 0
		test.fake.closed = &closed
		res := mkRun(t, &test.fake, test.script)
		if res.Status != Error || !strings.Contains(res.Reason, test.reason) {
			t.Errorf("%s: %s %s", test.name, res.Status, res.Reason)
		}
		if test.fake.openErr == nil && closed != 1 {
			t.Errorf("%s: closed %d times", test.name, closed)
		}
	}
}

func TestAnInterruptedRunSaysSo(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	f := &fake{slow: func(context.Context) { cancel() }}
	res := Run(ctx, mkScenario(t, mkSource("send c1 udp > 10.1.0.20:53\nexpect c3")), f, Options{})
	if res.Status != Error || !strings.Contains(res.Reason, "interrupted: context canceled") {
		t.Error(res.Status, res.Reason)
	}
}

func TestASettingMayBeRefused(t *testing.T) {
	f := &fake{refuseSet: hcn.Errorf(hcn.ErrEndpointAlreadyAttached, "")}
	if res := mkRun(t, f, "! attach c1\nstderr 0x803B0014\nerror 0x803B0014"); res.Status != Passed {
		t.Error(res.Status, res.Reason)
	}
	if res := mkRun(t, f, "attach c1"); res.Status != Failed {
		t.Error(res.Status, res.Reason)
	}
}

func TestMissingRequirementsSkipWithAReason(t *testing.T) {
	tests := []struct {
		name, script, reason string
		fake                 fake
		opt                  Options
	}{
		{"a capability", "drop none", "needs capability drops, which backend fake lacks", fake{without: []backends.Capability{backends.DropReasons}}, Options{}},
		{"a network type", "requires network.overlay", "needs capability network.overlay", fake{without: []backends.Capability{backends.OverlayNetwork}}, Options{}},
		{"a feature", "requires feature:DSR", "needs feature DSR (HNS 9.3 to 9.x, >= 10.2); profile ws2022 has HNS 13.3", fake{features: map[string]bool{}}, Options{}},
		{"a feature without prefix", "requires TierAcl", "needs feature", fake{features: map[string]bool{}}, Options{}},
		{"a build", "requires profile:>=ws2025", "needs profile >=ws2025; this is ws2022", fake{}, Options{}},
		{"a conditional requirement", "[profile:ws2019] requires profile:ws2022", "needs profile ws2022; this is ws2019", fake{}, Options{Profile: "ws2019"}},
		{"the scenario's own words", "[profile:ws2022] skip 'not on this build'", "not on this build", fake{}, Options{}},
		{"a setting implies a capability", "set c1 port.vlan access=7", "needs capability switch-ports", fake{without: []backends.Capability{backends.SwitchPorts}}, Options{}},
	}
	for _, test := range tests {
		res := mkRun(t, &test.fake, test.script, test.opt)
		if res.Status != Skipped || !strings.Contains(res.Reason, test.reason) {
			t.Errorf("%s: %s %q", test.name, res.Status, res.Reason)
		}
	}
}

func TestProfilesAndKnobsOfTheHeaderCount(t *testing.T) {
	source := strings.Replace(mkSource("[knob:loopbackPublish=off] echo off\n[knob:vfpNatIdle=99] echo idle\nstdout idle"),
		headLines, "# T-1: a test\n# rules: NAT-10 profiles: >=ws2022 knobs: loopbackPublish=off\n\n", 1)
	sc := mkScenario(t, source)
	var cfg backends.WorldConfig
	f := &fake{config: &cfg}
	if res := Run(context.Background(), sc, f, Options{Profile: "ws2019"}); res.Status != Skipped || res.Reason != "is for profiles ws2022, ws2025, strict-rfc; this is ws2019" {
		t.Error(res.Status, res.Reason)
	}
	res := Run(context.Background(), sc, f, Options{Seed: 7, Knobs: map[string]string{"vfpNatIdle": "99"}, NoFlowCache: true})
	if res.Status != Passed {
		t.Error(res.Status, res.Reason)
	}
	if got := fmt.Sprint(cfg.Profile, cfg.Seed, cfg.NoFlowCache, cfg.Tracing, cfg.Knobs); got != "ws20227 true false map[loopbackPublish:off vfpNatIdle:99]" {
		t.Error(got)
	}
	f.without = []backends.Capability{backends.Knobs}
	if res := Run(context.Background(), sc, f, Options{}); res.Status != Skipped {
		t.Error(res.Status, res.Reason)
	}
	if res := Run(context.Background(), sc, &fake{}, Options{Profile: "ws95"}); res.Status != Error || !strings.Contains(res.Reason, `no profile "ws95"`) {
		t.Error(res.Status, res.Reason)
	}
}
