package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hnsim/hnsim/reports"
)

// bedAgents are the agents of the test bed.
var bedAgents = []string{"a1", "a2", "a3"}

const bedFile = `coordinator:
  listen: 10.99.0.1:7422
  wait: 20s
  patience: 2s
agents:
  a1: {wires: {lan: wire0}}
  a2: {wires: {lan: wire0}}
  a3: {wires: {lan: wire0}}
roles:
  h1: {agent: a1, needs: [network.overlay, RemoteSubnet]}
  h2: {agent: a2, needs: [network.overlay, RemoteSubnet]}
  h3: a3
  x: {agent: a3, kind: external}
  y: {agent: a3, kind: external}
  r: {agent: a3, kind: router}
`

// bed is a coordinator and three agents, each in a network namespace of its
// own. Two bridges in a fifth join them: one for what they tell each other, one
// for the wire between the hosts.
type bed struct {
	t      *testing.T
	prog   string
	prefix string // of the namespaces' names
	dir    string
	agents map[string]*exec.Cmd
}

func mkBed(t *testing.T) *bed {
	t.Helper()
	prog := os.Getenv("HNSIM_PROGRAM")
	if prog == "" {
		t.Skip("takes the machine for a minute: make test-agents runs it")
	}
	if _, err := exec.LookPath("ip"); os.Geteuid() != 0 || err != nil {
		if os.Getenv("HNSIM_REQUIRE_TOOLS") == "1" {
			t.Fatalf("a test bed needs root (uid %d) and iproute2 (%v), and HNSIM_REQUIRE_TOOLS=1", os.Geteuid(), err)
		}
		t.Skip("a test bed of several processes needs root and iproute2")
	}
	b := &bed{t: t, prog: prog, prefix: fmt.Sprintf("hnsimt%d-", os.Getpid()), dir: t.TempDir(), agents: map[string]*exec.Cmd{}}
	t.Cleanup(b.down)
	b.up()
	if err := os.WriteFile(b.file(), []byte(bedFile), 0o644); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bed) file() string { return filepath.Join(b.dir, "testbed.yaml") }

// ip runs ip(8).
func (b *bed) ip(args ...string) string {
	b.t.Helper()
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		b.t.Fatalf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (b *bed) up() {
	b.t.Helper()
	sw := b.prefix + "sw"
	b.ip("netns", "add", sw)
	b.ip("-n", sw, "link", "add", "ctl", "type", "bridge")
	b.ip("-n", sw, "link", "add", "lan", "mtu", "9000", "type", "bridge")
	b.ip("-n", sw, "link", "set", "ctl", "up")
	b.ip("-n", sw, "link", "set", "lan", "up")
	for i, name := range append([]string{"c"}, bedAgents...) {
		ns := b.prefix + name
		b.ip("netns", "add", ns)
		b.ip("-n", ns, "link", "set", "lo", "up")
		b.wire(ns, "ctl0", "ctl", "c-"+name, "1500")
		b.ip("-n", ns, "addr", "add", fmt.Sprintf("10.99.0.%d/24", i+1), "dev", "ctl0")
		if name != "c" {
			b.wire(ns, "wire0", "lan", "w-"+name, "9000")
		}
	}
}

// wire joins a namespace to a bridge by a pair of interfaces.
func (b *bed) wire(ns, dev, bridge, port, mtu string) {
	b.t.Helper()
	sw := b.prefix + "sw"
	b.ip("link", "add", dev, "mtu", mtu, "netns", ns, "type", "veth", "peer", "name", port, "mtu", mtu, "netns", sw)
	b.ip("-n", sw, "link", "set", port, "master", bridge, "up")
	b.ip("-n", ns, "link", "set", dev, "up")
}

func (b *bed) down() {
	for _, c := range b.agents {
		_ = c.Process.Kill()
		_ = c.Wait()
	}
	for _, name := range append([]string{"sw", "c"}, bedAgents...) {
		_ = exec.Command("ip", "netns", "del", b.prefix+name).Run()
	}
}

// in is a command of the program in a namespace.
func (b *bed) in(name string, args ...string) *exec.Cmd {
	c := exec.Command("ip", append([]string{"netns", "exec", b.prefix + name, b.prog}, args...)...)
	c.Dir = b.dir
	return c
}

func (b *bed) token(args ...string) string {
	b.t.Helper()
	out, err := b.in("c", append([]string{"agent", "token", "--testbed", b.file()}, args...)...).Output()
	if err != nil {
		b.t.Fatalf("no token: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// start starts an agent. ip(8) turns into the program, so that the process is
// the agent.
func (b *bed) start(name, token string) {
	b.t.Helper()
	c := b.in(name, "agent", "--name", name, "--coordinator", "10.99.0.1:7422", "--token", token, "--state", "state-"+name)
	log, err := os.Create(filepath.Join(b.dir, name+".log"))
	if err != nil {
		b.t.Fatal(err)
	}
	defer log.Close()
	c.Stdout, c.Stderr = log, log
	if err := c.Start(); err != nil {
		b.t.Fatal(err)
	}
	b.agents[name] = c
}

// run runs a command on the coordinator to its end.
func (b *bed) run(args ...string) result {
	b.t.Helper()
	return b.finish(b.begin(args...))
}

type running struct {
	*exec.Cmd
	out, err bytes.Buffer
}

func (b *bed) begin(args ...string) *running {
	b.t.Helper()
	r := &running{Cmd: b.in("c", args...)}
	r.Stdout, r.Stderr = &r.out, &r.err
	if err := r.Start(); err != nil {
		b.t.Fatal(err)
	}
	return r
}

func (b *bed) finish(r *running) result {
	done := time.AfterFunc(3*time.Minute, func() { _ = r.Process.Kill() })
	defer done.Stop()
	_ = r.Wait() // the code says it
	return result{r.ProcessState.ExitCode(), r.out.String(), r.err.String()}
}

// leftovers are what the namespace of an agent has beyond what the test gave
// it, and namespaces that its process holds.
func (b *bed) leftovers(name string) (out []string) {
	b.t.Helper()
	ns := b.prefix + name
	var links []struct {
		Ifname      string
		Promiscuity int
	}
	if err := json.Unmarshal([]byte(b.ip("-n", ns, "-j", "-d", "link")), &links); err != nil {
		b.t.Fatal(err)
	}
	for _, l := range links {
		if !slices.Contains([]string{"lo", "ctl0", "wire0"}, l.Ifname) {
			out = append(out, "interface "+l.Ifname)
		}
		if l.Promiscuity != 0 {
			out = append(out, "a tap on "+l.Ifname)
		}
	}
	if nft, err := exec.Command("ip", "netns", "exec", ns, "nft", "list", "tables").Output(); err != nil || len(nft) > 0 {
		out = append(out, fmt.Sprintf("nft %q %v", nft, err))
	}
	c := b.agents[name]
	fds, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", c.Process.Pid))
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err == nil && strings.HasPrefix(to, "net:[") {
			out = append(out, "a namespace, "+to)
		}
	}
	return out
}

// clean waits until nothing is left: the kernel takes namespaces down in its
// own time.
func (b *bed) clean(names ...string) {
	b.t.Helper()
	var left []string
	for range 100 {
		left = nil
		for _, n := range names {
			for _, l := range b.leftovers(n) {
				left = append(left, n+": "+l)
			}
		}
		if left == nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	b.t.Errorf("left behind: %s", strings.Join(left, "; "))
}

// summary is what a run's report says, by scenario.
func (b *bed) summary(out string) *reports.Report {
	b.t.Helper()
	f, err := os.Open(filepath.Join(b.dir, out, reports.LogFile))
	if err != nil {
		b.t.Fatal(err)
	}
	defer f.Close()
	rep, err := reports.Load(f)
	if err != nil {
		b.t.Fatal(err)
	}
	return rep
}

func TestATestBedOfThreeAgents(t *testing.T) {
	b := mkBed(t)
	token := b.token()
	for _, name := range bedAgents {
		b.start(name, token)
	}
	t.Run("doctor", func(t *testing.T) {
		r := b.run("doctor", "--testbed", b.file())
		for _, want := range []string{"ok    agent a1", "ok    agent a3", "ok    clock of a2", "ok    segment lan  frames cross it between all of its 3 ends"} {
			if r.code != 0 || !strings.Contains(r.out, want) {
				t.Errorf("exit %d, want 0 and %q\n%s%s", r.code, want, r.out, r.errOut)
			}
		}
	})
	// S-OV-06 sends 3000 datagrams one by one, which takes a minute.
	t.Run("the overlay scenarios", func(t *testing.T) {
		selection := []string{"overlay/**", "--skip", "S-OV-06"}
		r := b.run(append([]string{"run", "--testbed", b.file(), "--out", "out"}, selection...)...)
		totals := b.summary("out").Totals()
		if totals.Passed < 30 || totals.Errors+totals.NotRun > 0 {
			t.Errorf("exit %d, %+v\n%s%s", r.code, totals, r.out, r.errOut)
		}
		b.clean(bedAgents...)
		b.same(b.summary("out"), append([]string{"run", "--backend", "linux", "--out", "alone"}, selection...))
	})
	t.Run("tokens", func(t *testing.T) { b.refusals(t, token) })
	t.Run("a killed agent", func(t *testing.T) { b.killOne(t) })
	t.Run("the next run is another one", func(t *testing.T) {
		b.start("a2", token)
		r := b.run("run", "--testbed", b.file(), "S-OV-01", "--out", "again")
		if totals := b.summary("again").Totals(); r.code != 0 || totals.Passed != 1 {
			t.Errorf("exit %d, %+v\n%s%s", r.code, totals, r.out, r.errOut)
		}
		b.clean(bedAgents...)
	})
}

// same holds that three machines do what one does with the same backend.
func (b *bed) same(bed *reports.Report, args []string) {
	b.t.Helper()
	r := b.run(args...)
	want := map[string]reports.Status{}
	for _, res := range b.summary("alone").Results {
		want[res.ID] = res.Status
	}
	for _, res := range bed.Results {
		if res.Status != want[res.ID] {
			b.t.Errorf("%s: %s on three machines (%s), %s on one\n%s", res.ID, res.Status, res.Reason, want[res.ID], r.out)
		}
	}
}

// refusals needs a coordinator that listens while agents try to join.
func (b *bed) refusals(t *testing.T, good string) {
	expired := b.token("--valid", "1s")
	foreign := b.token("--for", "a1")
	time.Sleep(1100 * time.Millisecond)
	coordinator := b.begin("run", "--testbed", b.file(), "overlay/**", "--out", "during")
	for _, c := range []struct{ name, token, want string }{
		{"wrong", good[:len(good)-6] + "AAAAAA", "the join token is wrong: it was not made by this coordinator"},
		{"expired", expired, "the join token has expired"},
		{"for another agent", foreign, "the join token is for agent a1, this is thief"},
	} {
		cmd := b.in("a1", "agent", "--name", "thief", "--coordinator", "10.99.0.1:7422", "--token", c.token, "--state", "state-thief")
		kill := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
		text, _ := cmd.CombinedOutput()
		kill.Stop()
		if code := cmd.ProcessState.ExitCode(); code != 2 || !strings.Contains(string(text), c.want) {
			t.Errorf("%s: exit %d, want 2 and %q\n%s", c.name, code, c.want, text)
		}
		if _, err := os.Stat(filepath.Join(b.dir, "state-thief")); err == nil {
			t.Errorf("%s: the agent keeps a certificate", c.name)
		}
	}
	b.awaitLog("during", `"S-OV-01"`)
	_ = coordinator.Process.Signal(syscall.SIGINT)
	if r := b.finish(coordinator); r.code != 130 {
		t.Errorf("an interrupted run ends with %d, want 130\n%s%s", r.code, r.out, r.errOut)
	}
	b.clean(bedAgents...)
}

// awaitLog waits until a run's event log has a word.
func (b *bed) awaitLog(out, word string) {
	log := filepath.Join(b.dir, out, reports.LogFile)
	for range 600 {
		if text, _ := os.ReadFile(log); bytes.Contains(text, []byte(word)) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	b.t.Errorf("the log of %s does not get to %s", out, word)
}

func (b *bed) killOne(t *testing.T) {
	r := b.begin("run", "--testbed", b.file(), "overlay/**", "--out", "killed")
	// In the middle of something: when the first scenarios are done.
	b.awaitLog("killed", `"S-OV-02"`)
	a2 := b.agents["a2"]
	_ = a2.Process.Kill()
	_ = a2.Wait()
	got := b.finish(r)
	if got.code != 3 || !strings.Contains(got.out, "agent a2 (h2) is lost: no sign of life for 2s") {
		t.Errorf("exit %d, want 3 and the name of the agent\n%s%s", got.code, got.out, got.errOut)
	}
	totals := b.summary("killed").Totals()
	if totals.Passed == 0 || totals.Errors != 1 || totals.NotRun == 0 {
		t.Errorf("the report is not partial: %+v", totals)
	}
	b.clean(bedAgents...)
}
