package simulated

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/scenarios/script"
	"github.com/hnsim/hnsim/sim/standin"
	"github.com/hnsim/hnsim/sim/standin/hostnet"
)

// runnerWorld is a world with a host h1, whose programs run if the tools are
// here.
func runnerWorld(t *testing.T, b Backend) *world {
	t.Helper()
	w, err := b.Open(t.Context(), backends.WorldConfig{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	h1 := backends.Node{Kind: backends.HostNode, Name: "h1", Ifaces: []backends.Iface{{Addrs: []netip.Prefix{netip.MustParsePrefix("10.127.130.35/24")}}}}
	if err := w.AddNode(t.Context(), h1); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if left, err := w.Close(context.Background()); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	})
	return w.(*world)
}

func needTools(t *testing.T, b Backend) {
	t.Helper()
	if why := b.WhyNot(backends.Programs); why != "" {
		if os.Getenv("HNSIM_REQUIRE_TOOLS") == "1" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
}

func TestAProgramHasItsInputOutputAndTime(t *testing.T) {
	b := Backend{}
	needTools(t, b)
	w := runnerWorld(t, b)
	dir := t.TempDir()
	run := func(p backends.Program) backends.ProgramResult {
		t.Helper()
		p.Host, p.Path, p.Dir = "h1", "cmd", dir
		res, err := w.RunProgram(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	res := run(backends.Program{Args: []string{"/v:on", "/c", "echo %GREETING%>there.txt& set /p X=& echo !X!& exit 3"}, Env: []string{"GREETING=hello"}, Stdin: []byte("axb\r\n"), Timeout: time.Minute})
	if res.ExitCode != 3 || strings.TrimSpace(string(res.Stdout)) != "axb" || res.TimedOut || len(res.Calls) != 0 {
		t.Errorf("%+v, stdout %q, stderr %q", res, res.Stdout, res.Stderr)
	}
	if text, err := os.ReadFile(dir + "/there.txt"); err != nil || strings.TrimSpace(string(text)) != "hello" {
		t.Errorf("its folder: %q, %v", text, err)
	}
	res = run(backends.Program{Args: []string{"/c", "ipconfig"}, Timeout: time.Minute})
	if space, err := hostnet.New(); err != nil {
		t.Logf("programs see this machine's interfaces: %v", err)
	} else if err := space.Close(); err != nil || !strings.Contains(string(res.Stdout), "10.127.130.35") {
		t.Errorf("it does not see the interfaces of its host: %s%s, %v", res.Stdout, res.Stderr, err)
	}
	if res := run(backends.Program{Args: []string{"/c", "for /l %i in (0,0,1) do @rem"}, Timeout: 2 * time.Second}); !res.TimedOut {
		t.Errorf("a program without end: %+v", res)
	}
}

func TestProgramsNeedAHostAndTools(t *testing.T) {
	b := Backend{DLLs: t.TempDir()}
	for _, c := range b.Capabilities() {
		if c == backends.Programs {
			t.Error("there are no DLLs, and yet programs run")
		}
	}
	if why := b.WhyNot(backends.Programs); !strings.Contains(why, "make standin") && !strings.Contains(why, "wine") {
		t.Errorf("no word on what to do: %q", why)
	}
	if why := b.WhyNot(backends.RawFrames); why != "" {
		t.Errorf("frames: %q", why)
	}
	w := runnerWorld(t, b)
	if _, err := w.RunProgram(t.Context(), backends.Program{Host: "h9", Path: "cmd", Timeout: time.Second}); err == nil || !strings.Contains(err.Error(), `"h9"`) {
		t.Errorf("no such host: %v", err)
	}
	if _, err := w.RunProgram(t.Context(), backends.Program{Host: "h1", Path: "cmd", Timeout: time.Second}); err == nil {
		t.Error("no DLLs and no error")
	}
}

// TestTheWorldIsLentForTheTimeOfAProgram calls as the DLLs do, from another
// goroutine.
func TestTheWorldIsLentForTheTimeOfAProgram(t *testing.T) {
	w := runnerWorld(t, Backend{})
	for _, c := range []backends.Container{{Name: "c1", Host: "h1"}, {Name: "c2", Host: "h1", NoStart: true}} {
		if err := w.AddContainer(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	l, err := w.lend(w.nodes["h1"], backends.Program{Host: "h1", Tick: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- callAsDLL(l.srv) }()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := l.end(); err != nil {
		t.Error(err)
	}
	calls := l.calls
	if len(calls) != 5 || w.Now() != 5*time.Second {
		t.Fatalf("%d calls, now %v: want 5 and a second each", len(calls), w.Now())
	}
	for i, want := range []uint32{0, 0, 0xC037010E, 0, 0} {
		if calls[i].HResult != want {
			t.Errorf("%s %v: 0x%08x, want 0x%08x", calls[i].Function, calls[i].Args, calls[i].HResult, want)
		}
	}
	if _, err := standin.Dial(l.srv.Addr(), l.srv.Token(), "h1", 2); err == nil {
		t.Error("the world is lent for good")
	}
}

func callAsDLL(srv *standin.Server) error {
	c, err := standin.Dial(srv.Addr(), srv.Token(), "h1", 1)
	if err != nil {
		return err
	}
	defer c.Close()
	var callback uint64
	for _, r := range []standin.Request{
		{Function: "HcnEnumerateNetworks", Texts: []standin.Text{standin.Str("{}")}},
		{Function: "HcsOpenComputeSystem", Texts: []standin.Text{standin.Str("c1")}},
		{Function: "HcsOpenComputeSystem", Texts: []standin.Text{standin.Str("c2")}}, // not started
		{Function: "HcnRegisterServiceCallback"},
		{Function: "HcnCreateNamespace", Texts: []standin.Text{standin.Str(`{"Type":"Host","SchemaVersion":{"Major":2,"Minor":0}}`)}},
	} {
		resp, err := c.Call(r)
		if err != nil {
			return err
		}
		if r.Function == "HcnRegisterServiceCallback" {
			callback = resp.Handle
		}
	}
	heard, err := c.Call(standin.Request{Function: "HnsimWaitNotification", Handle: callback, Number: 1000})
	if err == nil && heard.Number == 0 {
		err = errors.New("the callback heard nothing of the namespace")
	}
	return err
}

const natFiles = `-- net.json --
{"Name":"nat","Type":"NAT","SchemaVersion":{"Major":2,"Minor":0},
 "Ipams":[{"Type":"Static","Subnets":[{"IpAddressPrefix":"172.16.0.0/24","Routes":[{"NextHop":"172.16.0.1","DestinationPrefix":"0.0.0.0/0"}]}]}]}
-- ep.json --
{"Name":"made","SchemaVersion":{"Major":2,"Minor":0},"IpConfigurations":[{"IpAddress":"172.16.0.10"}]}
-- other.json --
{"Name":"other","SchemaVersion":{"Major":2,"Minor":0},"IpConfigurations":[{"IpAddress":"172.16.0.11"}]}
-- attach.json --
{"SystemType":"Container","ContainerId":"c1"}
`

const natTopology = `# ADOPT-01: endpoints that a driver made
# rules: CMP-07
# labels: nat

host h1 ip=10.127.130.35/24
network h1 nat net.json
endpoint other nat other.json
`

func TestEndpointsOfADriverAreAdopted(t *testing.T) {
	for _, test := range []struct{ name, script string }{
		{"in a namespace", `
namespace h1 ns
endpoint e nat ep.json norole
attach e ns=ns
adopt pod h1 name=made
tcp pod > 172.16.0.11:80 'x'
expect other eth.src=${mac:pod} tcp ${ip:pod} > 172.16.0.11:80 flags=S
stop pod
start pod
ping pod > 172.16.0.11
`},
		{"through v1 attach, in a container that runs", `
container c1 h1 endpoints=none
endpoint e nat ep.json norole
hnscall h1 POST /endpoints/${id:e}/attach attach.json
adopt c1 h1 name=made
tcp c1 > 172.16.0.11:80 'x'
expect other eth.src=${mac:c1} tcp ${ip:c1} > 172.16.0.11:80 flags=S
expect c1 tcp flags=SA
set c1 port.spoofing off
frame c1 eth(02-00-00-00-00-09>${mac:other}) 'x'
drop c1 MacSpoof
stop c1
hnscall h1 GET /endpoints/${id:e}
! stdout '"c1"'
`},
		{"a container that has a namespace and waits", `
namespace h1 ns
container c1 h1 endpoints=none ns=ns
endpoint e nat ep.json norole
attach e ns=ns
adopt c1 h1 name=made
ping c1 > 172.16.0.11
expect other icmp ${ip:c1} > 172.16.0.11
`},
	} {
		t.Run(test.name, func(t *testing.T) {
			text := natTopology + "listen other tcp :80 reply='OK'" + strings.ReplaceAll(test.script, "> 172.16.0.11:80 'x'", "> 172.16.0.11:80 'x' reply='OK'") + natFiles
			if !strings.Contains(test.script, "attach.json") {
				text = strings.Replace(text, "-- attach.json --\n{\"SystemType\":\"Container\",\"ContainerId\":\"c1\"}\n", "", 1)
			}
			sc, err := script.Parse("nat/adopt.txtar", []byte(text))
			if err != nil {
				t.Fatal(err)
			}
			if res := script.Run(t.Context(), sc, Backend{}, script.Options{}); res.Status != script.Passed {
				t.Errorf("%s: %s\n%s", res.Status, res.Reason, res.Log)
			}
		})
	}
}
