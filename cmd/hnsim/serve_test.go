package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/hnsim/hnsim/sim"
	"github.com/hnsim/hnsim/sim/standin"
)

// serving is hnsim serve in the background.
type serving struct {
	addr, token string
	cancel      context.CancelFunc
	done        chan result
}

// startServe runs serve in a folder of its own, where its token file is.
func startServe(t *testing.T, args ...string) *serving {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	s := &serving{cancel: cancel, done: make(chan result, 1)}
	_ = os.Remove("hnsim-standin.txt")
	go func() { s.done <- hnsimContext(ctx, nil, append([]string{"serve"}, args...)...) }()
	for range 2000 {
		raw, _ := os.ReadFile("hnsim-standin.txt")
		if words := strings.Fields(string(raw)); len(words) == 2 {
			s.addr, s.token = words[0], words[1]
			return s
		}
		select {
		case r := <-s.done:
			t.Fatalf("it ended: %+v", r)
		case <-time.After(5 * time.Millisecond):
		}
	}
	cancel()
	t.Fatalf("no token file: %+v", <-s.done)
	return nil
}

// stop interrupts the service and returns how it ended.
func (s *serving) stop() result {
	s.cancel()
	return <-s.done
}

func (s *serving) request(t *testing.T, method, path, body string) string {
	t.Helper()
	req, err := http.NewRequest(method, "http://"+s.addr+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		t.Fatalf("%s %s: %v %s %s", method, path, err, resp.Status, raw)
	}
	return string(raw)
}

func TestServeAnswersUntilItIsInterrupted(t *testing.T) {
	t.Chdir(t.TempDir())
	s := startServe(t, "--profile", "ws2025", "--calls", "calls.ndjson")
	if info, err := os.Stat("hnsim-standin.txt"); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("others can read the token: %v %v", info.Mode(), err)
	}
	c, err := standin.Dial(s.addr, s.token, "h1", 1)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Call(standin.Request{Function: "HNSCall", Texts: []standin.Text{standin.Str("GET"), standin.Str("/globals/version"), standin.Str("")}})
	if err != nil || !strings.Contains(resp.Texts[0].Value, `"Major":16`) {
		t.Errorf("%v %+v", err, resp)
	}
	if got := s.request(t, "GET", "/hns/globals/version", ""); !strings.Contains(got, `"Major":16`) {
		t.Errorf("over HTTP on the same port: %s", got)
	}
	r := s.stop()
	r.check(t, 0, s.addr, "2 calls")
	if strings.Contains(r.out+r.errOut, s.token) {
		t.Error("the token is in the output")
	}
	if _, err := os.Stat("hnsim-standin.txt"); err == nil {
		t.Error("the token file is left behind")
	}
	if raw, _ := os.ReadFile("calls.ndjson"); strings.Count(string(raw), "\n") != 2 || !strings.Contains(string(raw), `"fn":"HNSCall"`) {
		t.Errorf("record: %s", raw)
	}
}

// TestTheTokenIsForItsOwnerAlone, also where a file of that name is there that
// others can read, or that is somewhere else.
func TestTheTokenIsForItsOwnerAlone(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("old", []byte("127.0.0.1:1 secret\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("target", []byte("mine\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("target", "link"); err != nil {
		t.Skip("no symbolic links here: ", err)
	}
	reader, err := os.Open("old")
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // the services end at once
	hnsimContext(ctx, nil, "serve", "--keep-token", "--token-file", "old").check(t, 0, "", "")
	if info, err := os.Stat("old"); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("others can read the token: %v %v", info.Mode(), err)
	}
	if raw, _ := io.ReadAll(reader); string(raw) != "127.0.0.1:1 secret\n" {
		t.Errorf("who had the old file open reads %q", raw)
	}
	hnsimContext(ctx, nil, "serve", "--token-file", "link").check(t, 0, "", "")
	if raw, _ := os.ReadFile("target"); string(raw) != "mine\n" {
		t.Errorf("a link was followed: %q", raw)
	}
	hnsim(t, nil, "serve", "--token-file", ".").check(t, 2, "", "is no file")
	entries, err := os.ReadDir(".")
	if err != nil || len(entries) != 2 {
		t.Errorf("left behind: %v %v", entries, err)
	}
}

// TestARequestThatIsUnderWayIsRecorded: it ends, and so does the record, after
// the interrupt.
func TestARequestThatIsUnderWayIsRecorded(t *testing.T) {
	t.Chdir(t.TempDir())
	s := startServe(t, "--calls", "calls.ndjson")
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const body = `{"Name":"n","Type":"NAT"}`
	fmt.Fprintf(conn, "POST /v1/networks HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", s.token, len(body))
	in := bufio.NewReader(conn)
	if line, err := in.ReadString('\n'); err != nil || !strings.Contains(line, "100") { // the body is being read
		t.Fatal(line, err)
	}
	_, _ = in.ReadString('\n')
	s.cancel()
	for range 2000 {
		c, err := net.Dial("tcp", s.addr)
		if err != nil {
			break
		}
		c.Close()
		time.Sleep(5 * time.Millisecond)
	}
	time.Sleep(50 * time.Millisecond)
	if _, err := io.WriteString(conn, body); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(in, nil)
	if err != nil || resp.StatusCode >= 300 {
		t.Fatalf("%v %+v", err, resp)
	}
	(<-s.done).check(t, 0, "", "")
	if raw, _ := os.ReadFile("calls.ndjson"); strings.Count(string(raw), `"fn":"HcnCreateNetwork"`) != 1 {
		t.Errorf("record: %q", raw)
	}
}

// TestAWorldMayNotifyBeforeItIsServed, as it does when something in it changes
// while it is restored.
func TestAWorldMayNotifyBeforeItIsServed(t *testing.T) {
	a := newApp(io.Discard, io.Discard, os.Getenv)
	var f standinFlags
	f.add(pflag.NewFlagSet("test", pflag.ContinueOnError))
	s, err := a.startStandin(&f, standinExtras{server: func(w *sim.World, _ *standin.Config) error {
		_, err := w.Hosts()[0].HNS.CreateNetwork("", []byte(`{"Name":"n","Type":"NAT"}`))
		return err
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
}

func TestServeLogsEveryCall(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, tt := range []struct {
		args []string
		want int
	}{{nil, 3}, {[]string{"--log-level", "warn"}, 1}, {[]string{"--log-level", "error"}, 0}, {[]string{"--quiet"}, 0}, {[]string{"--log-level", "debug"}, 3}} {
		s := startServe(t, append([]string{"--log-format", "json"}, tt.args...)...)
		s.request(t, "POST", "/v1/networks", `{"Name":"n","Type":"NAT"}`)
		req, _ := http.NewRequest("GET", "http://"+s.addr+"/v1/networks/x", nil)
		req.Header.Set("Authorization", "Bearer "+s.token)
		if resp, err := http.DefaultClient.Do(req); err != nil || resp.StatusCode != http.StatusNotFound {
			t.Error(err, resp)
		}
		s.request(t, "GET", "/v1/clock", "")
		r := s.stop()
		var calls []map[string]any
		for _, line := range strings.Split(r.errOut, "\n") {
			var m map[string]any
			if json.Unmarshal([]byte(line), &m) == nil && m["msg"] == "call" {
				calls = append(calls, m)
			}
		}
		if len(calls) != tt.want || r.code != 0 || strings.Contains(r.errOut, s.token) {
			t.Errorf("%v: exit %d, %d calls in the log\n%s", tt.args, r.code, len(calls), r.errOut)
			continue
		}
		if tt.want < 3 {
			continue
		}
		made, refused := calls[0], calls[1]
		if made["level"] != "INFO" || made["fn"] != "HcnCreateNetwork" || made["host"] != "h1" || made["via"] != "http" ||
			len(made["id"].(string)) != 36 || made["hresult"] != "0x00000000" || made["took"].(float64) <= 0 {
			t.Errorf("a call: %v", made)
		}
		if refused["level"] != "WARN" || refused["hresult"] != "0x803b0001" || refused["id"] != "x" || refused["error"] == nil {
			t.Errorf("a refused call: %v", refused)
		}
		if _, there := made["arg0"]; there != (tt.args != nil) {
			t.Errorf("documents belong into the debug log: %v", made)
		}
	}
}

func TestServeKeepsItsObjects(t *testing.T) {
	t.Chdir(t.TempDir())
	s := startServe(t, "--profile", "ws2025", "--state", "state")
	s.request(t, "POST", "/v1/networks", `{"Name":"n","Type":"NAT"}`)
	was := s.request(t, "GET", "/v1/networks", "")
	s.stop().check(t, 0, "", "new state file")
	s = startServe(t, "--profile", "ws2025", "--state", "state")
	if is := s.request(t, "GET", "/v1/networks", ""); is != was {
		t.Errorf("was %s\n is %s", was, is)
	}
	if r := hnsim(t, nil, "serve", "--profile", "ws2025", "--state", "state", "--token-file", "other"); r.code != 3 || !strings.Contains(r.errOut, "another process") {
		t.Errorf("a second service on the file: exit %d %s", r.code, r.errOut)
	}
	s.stop().check(t, 0, "", "state restored")
	s = startServe(t, "--profile", "ws2025", "--state", "state", "--reboot")
	if is := s.request(t, "GET", "/v1/networks", ""); is != "[]\n" {
		t.Errorf("after a reboot: %s", is)
	}
	s.stop().check(t, 0, "", "")
	startServe(t, "--profile", "ws2025", "--state", "state", "--host", "h1=10.127.130.35/24", "--host", "h2=10.127.130.36/24").
		stop().check(t, 0, "", "hosts=h2")
	hnsim(t, nil, "serve", "--profile", "ws2025", "--state", "state").check(t, 3, "", `host "h2", this world has not`)
	before := []byte("something else\n")
	if err := os.WriteFile("state", before, 0o600); err != nil {
		t.Fatal(err)
	}
	hnsim(t, nil, "serve", "--state", "state").check(t, 3, "", "not a state file")
	if after, _ := os.ReadFile("state"); !bytes.Equal(after, before) {
		t.Error("a foreign file was overwritten")
	}
}

// TestClientsGoOnAfterARestart: a program that runs all the time has the token
// from its environment.
func TestClientsGoOnAfterARestart(t *testing.T) {
	t.Chdir(t.TempDir())
	first := startServe(t, "--keep-token", "--state", "state")
	id := first.request(t, "POST", "/v1/networks", `{"Name":"n","Type":"NAT"}`)
	first.stop().check(t, 0, "", "")
	if info, err := os.Stat("hnsim-standin.txt"); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v %v", err, info)
	}
	if err := os.Rename("hnsim-standin.txt", "t"); err != nil { // startServe waits for a new one
		t.Fatal(err)
	}
	raw, _ := os.ReadFile("t")
	token := strings.Fields(string(raw))[1]
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan result, 1)
	go func() {
		done <- hnsimContext(ctx, nil, "serve", "--keep-token", "--token-file", "t", "--listen", first.addr, "--state", "state")
	}()
	again := &serving{addr: first.addr, token: token, cancel: cancel, done: done}
	for range 2000 {
		if conn, err := net.Dial("tcp", again.addr); err == nil {
			conn.Close()
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	if got := again.request(t, "GET", "/v1/networks", ""); got != "["+strings.TrimSpace(id)+"]\n" {
		t.Errorf("%s, was %s", got, id)
	}
	again.stop().check(t, 0, "", "")
	if err := os.WriteFile("t", []byte("mine\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	hnsim(t, nil, "serve", "--keep-token", "--token-file", "t").check(t, 2, "", "does not have an address and a token")
	if raw, _ := os.ReadFile("t"); string(raw) != "mine\n" {
		t.Error("a foreign file was overwritten")
	}
}

func TestServeSaysThatThePortIsTaken(t *testing.T) {
	t.Chdir(t.TempDir())
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	hnsim(t, nil, "serve", "--listen", ln.Addr().String()).check(t, 3, "", ln.Addr().String()+" is in use")
}

func TestServeListensElsewhereOnlyWhenAllowed(t *testing.T) {
	t.Chdir(t.TempDir())
	hnsim(t, nil, "serve", "--listen", "0.0.0.0:0").check(t, 2, "", "loopback")
	s := startServe(t, "--listen", "0.0.0.0:0", "--allow-remote")
	_, port, _ := net.SplitHostPort(s.addr)
	s.addr = "127.0.0.1:" + port
	s.request(t, "GET", "/healthz", "")
	s.stop().check(t, 0, "", "")
}

func TestServeRefusesWorldsThatMakeNoSense(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, args := range [][]string{{"--host", "h1"}, {"--host", "=10.0.0.1/8"}, {"--host", "h1=10.0.0.255/24"}, {"--listen", "0.0.0.0:0"}, {"--profile", "ws1"}, {"--knob", "x"},
		{"--reboot"}, {"--log-level", "loud"}, {"--log-level", "info+1"}, {"--log-format", "xml"}, {"--state"}, {"more"}} {
		if r := hnsim(t, nil, append([]string{"serve"}, args...)...); r.code != 2 {
			t.Errorf("%v: exit %d %s", args, r.code, r.errOut)
		}
	}
}
