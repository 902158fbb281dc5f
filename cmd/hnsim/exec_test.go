package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/hnsim/hnsim/cmd/hnsim/internal/tally"
	"github.com/hnsim/hnsim/sim/standin/wine"
)

var programs struct {
	once sync.Once
	dir  string
	err  error
}

// needPrograms builds the Windows programs of the tests. Without wine and
// mingw it skips, or fails if they must be there.
func needPrograms(t *testing.T) (dir string) {
	t.Helper()
	if testing.Short() {
		t.Skip("runs wine")
	}
	cc, err := wine.FindCompiler()
	if err == nil {
		err = (&wine.Run{}).Missing()
	}
	if err != nil {
		if os.Getenv("HNSIM_REQUIRE_TOOLS") == "1" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	p := &programs
	p.once.Do(func() {
		if p.dir, p.err = os.MkdirTemp("", "hnsim-exec"); p.err != nil {
			return
		}
		out, err := exec.Command(cc, "-o", filepath.Join(p.dir, "driver.exe"), "testdata/driver/driver.c").CombinedOutput()
		if err != nil {
			p.err = fmt.Errorf("%w\n%s", err, out)
			return
		}
		probe := exec.Command("go", "build", "-o", filepath.Join(p.dir, "probe.exe"), "../../sim/standin/wine/testdata/probe")
		probe.Env = append(os.Environ(), "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0")
		if out, err := probe.CombinedOutput(); err != nil {
			p.err = fmt.Errorf("%w\n%s", err, out)
		}
	})
	if p.err != nil {
		t.Fatal(p.err)
	}
	return p.dir
}

func TestMain(m *testing.M) {
	code := m.Run()
	if programs.dir != "" {
		os.RemoveAll(programs.dir)
	}
	os.Exit(code)
}

func TestExecSaysWhatTheProgramDid(t *testing.T) {
	dir := needPrograms(t)
	t.Chdir(t.TempDir())
	r := hnsim(t, nil, "exec", "--profile", "ws2025", "--calls", "calls.ndjson", "--report", "report.json", "--", filepath.Join(dir, "driver.exe"))
	r.check(t, 0, "created 00000000\r\nopened 803b0001\r\n", "objects: 1 added, 0 changed, 0 removed\n  + network  br  ")
	for _, want := range []string{"calls of HNS: 2, 1 refused", "HCN_E_NETWORK_NOT_FOUND 0x803b0001", "handles not closed: 1\n  network ", "network: "} {
		if !strings.Contains(r.errOut, want) {
			t.Errorf("no %q in\n%s", want, r.errOut)
		}
	}
	raw, err := os.ReadFile("report.json")
	var rep tally.Report
	if err == nil {
		err = json.Unmarshal(raw, &rep)
	}
	if err != nil || len(rep.Changes) != 1 || len(rep.Leaked) != 1 || rep.OSBuild != 26100 {
		t.Errorf("%v, %s", err, raw)
	}
	calls, err := os.ReadFile("calls.ndjson")
	if err != nil || strings.Count(string(calls), "\n") != 2 {
		t.Errorf("%v, %s", err, calls)
	}
}

func TestExecAsJSONKeepsStandardOutputForTheReport(t *testing.T) {
	dir := needPrograms(t)
	r := hnsim(t, nil, "exec", "--format", "json", "--", filepath.Join(dir, "driver.exe"), "crash")
	r.check(t, 5, "", "created 00000000")
	var rep tally.Report
	if err := json.Unmarshal([]byte(r.out), &rep); err != nil || rep.ExitCode != 0xC0000005 || len(rep.Functions) != 2 {
		t.Errorf("%v, %s", err, r.out)
	}
}

// TestProgramsSeeTheInterfacesOfTheirHost needs a network namespace.
func TestProgramsSeeTheInterfacesOfTheirHost(t *testing.T) {
	dir := needPrograms(t)
	needNamespace(t)
	t.Chdir(t.TempDir())
	r := hnsim(t, nil, "exec", "--net", "namespace", "--host", "h1=10.1.0.1/24", "--", filepath.Join(dir, "probe.exe"), "interfaces")
	r.check(t, 0, `{"Name":"Ethernet","MAC":"00:15:5d:82:00:23","MTU":1500,"Up":true,"Addrs":["fe80::215:5dff:fe82:23/64","10.1.0.1/24"]}`, `10.1.0.1/24 on "Ethernet"`)
	if strings.Contains(r.out, "eth0") {
		t.Errorf("this machine's interfaces: %s", r.out)
	}
	// A network on the adapter moves its address, under a name that Linux lacks.
	windows := func(name string) string { return strings.ReplaceAll(wine.Path(filepath.Join(dir, name)), "/", `\`) }
	r = hnsim(t, nil, "exec", "--net", "namespace", "--host", "h1=10.1.0.1/24", "--", "cmd", "/c", windows("driver.exe")+" & "+windows("probe.exe")+" interfaces")
	r.check(t, 0, `{"Name":"vEthernet (Ethernet)","MAC":"00:15:5d:82:00:23","MTU":1500,"Up":true,"Addrs":["fe80::215:5dff:fe82:23/64","10.1.0.1/24"]}`, "")
}

func needNamespace(t *testing.T) {
	t.Helper()
	n, err := (&app{}).openNet("namespace")
	if err != nil {
		if os.Getenv("HNSIM_REQUIRE_TOOLS") == "1" {
			t.Fatal(err)
		}
		t.Skip("no network namespace: ", err)
	}
	if err := n.close(); err != nil {
		t.Error(err)
	}
}

func TestExecJoinsAServer(t *testing.T) {
	dir := needPrograms(t)
	t.Chdir(t.TempDir())
	s := startServe(t, "--profile", "ws2019", "--host", "h1=10.1.0.1/24", "--host", "h2=10.1.0.2/24")
	defer s.stop()
	driver := filepath.Join(dir, "driver.exe")
	for _, net := range []string{"auto", "host"} {
		want, change := 0, "objects: 1 added, 0 changed, 0 removed\n  + network  br  "
		if net == "host" { // the second time the network is there
			want, change = 1, "objects: no change"
		}
		r := hnsim(t, nil, "exec", "--server", "hnsim-standin.txt", "--as", "h2", "--net", net, "--calls", "calls.ndjson", "--", driver)
		r.check(t, want, "created ", change)
		if !strings.Contains(r.errOut, "on h2 (ws2019, build 17763)") || !strings.Contains(r.errOut, "calls of HNS: 2, ") {
			t.Errorf("stderr\n%s", r.errOut)
		}
	}
	if raw, err := os.ReadFile("calls.ndjson"); err != nil || strings.Count(string(raw), "\n") != 2 {
		t.Errorf("%v, %s", err, raw)
	}
	hnsim(t, nil, "exec", "--server", "hnsim-standin.txt", "--as", "h3", "--", driver).check(t, 2, "", "expected h1, h2")
}

// TestExecCollects takes the state of a stand-in's host as on a Windows host, and
// makes a scenario of it that runs.
func TestExecCollects(t *testing.T) {
	dir := needPrograms(t)
	windows := func(name string) string { return strings.ReplaceAll(wine.Path(filepath.Join(dir, name)), "/", `\`) }
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "hnsim.exe"), ".")
	build.Env = append(os.Environ(), "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Chdir(t.TempDir())
	hnsim(t, nil, "exec", "--profile", "ws2025", "--host", "h1=10.1.0.1/24", "--", "cmd", "/c",
		windows("driver.exe")+" & "+windows("hnsim.exe")+" collect --out state.zip").check(t, 0, "", "state.zip: 1 network")
	hnsim(t, nil, "import", "state.zip", "--out", "mine.txtar").check(t, 0, "", "mine.txtar: 1 network")
	text, err := os.ReadFile("mine.txtar")
	if err != nil || !strings.Contains(string(text), `"L2Bridge"`) {
		t.Errorf("%v, %s", err, text)
	}
	hnsim(t, nil, "run", "./mine.txtar", "--out", "out").check(t, 0, "1 passed", "")
}

func TestExecRefusesWhatMakesNoSense(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("bad.txt", []byte("127.0.0.1:1"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("gone.txt", []byte("127.0.0.1:1 token"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("lab.json", []byte(`{"hosts":[{"name":"n1","ipp":[]}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--net", "bridge", "--", "p.exe"}, 2, "expected auto, namespace or host"},
		{[]string{"--topology", "lab.json", "--", "p.exe"}, 2, "lab.json:1:30: hosts[0].ipp: there is no such key"},
		{[]string{"--topology", "lab.json", "--host", "h1=10.0.0.1/8", "--", "p.exe"}, 2, "--host and --topology exclude each other"},
		{[]string{"--topology", "none.json", "--", "p.exe"}, 2, "--topology: stat none.json: no such file or directory: expected a file with"},
		{[]string{"--host", "h1=10.0.0.1/8", "--host", "h1=10.0.0.2/8", "--", "p.exe"}, 2, "the host name h1 is given twice"},
		{[]string{"--as", "h9", "--", "p.exe"}, 2, `--as "h9": there is no such host: expected h1`},
		{[]string{"--server", "none.txt", "--", "p.exe"}, 2, "token file of a running hnsim serve"},
		{[]string{"--server", "bad.txt", "--", "p.exe"}, 2, "found 1 words, expected an address and a token"},
		{[]string{"--server", "gone.txt", "--", "p.exe"}, 3, "is hnsim serve still running?"},
		{[]string{"--server", "gone.txt", "--seed", "2", "--", "p.exe"}, 2, "--server and --seed exclude each other"},
		{[]string{"--knob", "none=1", "--", "p.exe"}, 2, "none"},
		{[]string{"--report", "none/r", "--", "p.exe"}, 2, "--report: open none/r"},
		{[]string{"--calls", "none/c", "--", "p.exe"}, 2, "--calls: open none/c"},
		{[]string{"--forward", "foo", "--", "p.exe"}, 2, `--forward is "foo": expected address:port`},
		{[]string{"--forward", "127.0.0.1:999999", "--", "p.exe"}, 2, `--forward is "127.0.0.1:999999": expected`},
	}
	for _, tt := range tests {
		hnsim(t, nil, append([]string{"exec"}, tt.args...)...).check(t, tt.code, "", tt.want)
	}
}

func TestAServiceTakesItsWorldFromATopology(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("lab.json", []byte(`{"profile":"ws2019","hosts":[{"name":"n1","ip":["10.0.0.1/8"]},{"name":"n2","ip":["10.0.0.2/8"]}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startServe(t, "--topology", "lab.json")
	defer s.stop()
	if got := s.request(t, "GET", "/v1/hosts", ""); !strings.Contains(got, `"n2"`) || !strings.Contains(got, `"profile":"ws2019"`) {
		t.Error(got)
	}
}

func TestMissingToolsAreNamed(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("PATH", t.TempDir())
	r := hnsim(t, nil, "exec", "--net", "host", "--dlls", t.TempDir(), "--", "p.exe")
	if r.code != 3 || !strings.Contains(r.errOut, "install") && !strings.Contains(r.errOut, "make standin") {
		t.Errorf("%+v", r)
	}
}

// TestForwardedPortsAreReached needs a network namespace.
func TestForwardedPortsAreReached(t *testing.T) {
	needNamespace(t)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }))
	defer srv.Close()
	addr := srv.Listener.Addr().String()
	n, err := (&app{}).openNet("namespace")
	if err != nil {
		t.Fatal(err)
	}
	if err := n.forward(addr); err != nil {
		t.Fatal(err)
	}
	var conn net.Conn
	if err := n.space.Do(func() error { conn, err = net.Dial("tcp", addr); return err }); err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET / HTTP/1.0\r\n\r\n")
	buf := make([]byte, 1<<10)
	got := 0
	for {
		k, err := conn.Read(buf[got:])
		got += k
		if err != nil {
			break
		}
	}
	if !strings.HasSuffix(string(buf[:got]), "hello") {
		t.Errorf("%q", buf[:got])
	}
	if err := n.close(); err != nil {
		t.Error(err)
	}
}
