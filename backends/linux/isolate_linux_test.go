package linux

import (
	"bufio"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"

	"github.com/hnsim/hnsim/backends"
)

// helper in the environment makes the test program do something else than
// testing.
const helper = "HNSIM_LINUX_HELPER"

func TestMain(m *testing.M) {
	if what := os.Getenv(helper); what != "" {
		os.Exit(help(what))
	}
	if os.Geteuid() != 0 {
		if code, ran, err := Isolate(context.Background()); ran && err == nil {
			os.Exit(code)
		}
		// Without a namespace of their own the tests say themselves what is
		// missing.
	}
	os.Exit(m.Run())
}

// help makes a world in a process of its own, says so, and ends as it is told.
func help(what string) int {
	code, ran, err := Isolate(context.Background())
	if ran {
		if err != nil {
			fmt.Println("error", err)
			return 3
		}
		return code
	}
	w, err := Backend{}.Open(context.Background(), backends.WorldConfig{})
	if err == nil {
		err = w.AddNode(context.Background(), backends.Node{Kind: backends.HostNode, Name: "h1", Ifaces: []backends.Iface{{Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24")}}}})
	}
	if err != nil {
		fmt.Println("error", err)
		return 3
	}
	links, err := netlink.LinkList()
	if err != nil || len(links) != 1 {
		fmt.Println("error: the process's own namespace has", links, err)
		return 3
	}
	fmt.Println("ready", os.Getpid())
	switch what {
	case "fail":
		return 7
	case "panic":
		panic("on purpose")
	}
	time.Sleep(time.Minute)
	return 0
}

// machine is what must not change: interfaces, named namespaces, rules.
func machine(t *testing.T) string {
	t.Helper()
	var out []string
	links, err := netlink.LinkList()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		out = append(out, "link "+l.Attrs().Name)
	}
	named, _ := filepath.Glob("/run/netns/*")
	out = append(out, named...)
	c, err := nftables.New()
	if err != nil {
		t.Fatal(err)
	}
	tables, err := c.ListTables()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range tables {
		out = append(out, "table "+n.Name)
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

// TestNothingIsLeftBehind ends a process that holds a world in several ways:
// the machine is as before, and so is the process table.
func TestNothingIsLeftBehind(t *testing.T) {
	needsKernel(t)
	before := machine(t)
	for _, c := range []struct {
		name, what string
		signal     syscall.Signal
	}{
		{"failure", "fail", 0},
		{"panic", "panic", 0},
		{"interrupt", "hold", syscall.SIGINT},
		{"termination", "hold", syscall.SIGTERM},
		{"kill -9", "hold", syscall.SIGKILL},
	} {
		t.Run(c.name, func(t *testing.T) {
			inside := endWorld(t, c.what, c.signal)
			if !gone(inside) {
				t.Errorf("process %d, which holds the world, goes on", inside)
			}
			if after := machine(t); after != before {
				t.Errorf("the machine has changed\nbefore:\n%s\nafter:\n%s", before, after)
			}
		})
	}
}

// TestWithoutRoot makes a world as a user who has no right to anything, or says
// what the system does not allow.
func TestWithoutRoot(t *testing.T) {
	needsKernel(t)
	if os.Geteuid() != 0 || os.Getenv(insideMark) == "1" {
		t.Skip("all tests here run without root, or in a namespace where nobody else is")
	}
	const nobody = 65534
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, insideMark) }), helper+"=fail")
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	before := machine(t)
	out, err := cmd.Output()
	switch {
	case strings.HasPrefix(string(out), "ready ") && cmd.ProcessState.ExitCode() == 7:
	case strings.Contains(string(out), allowUsers) && cmd.ProcessState.ExitCode() == 3:
		t.Logf("this system allows no namespaces to users: %s", out)
	default:
		t.Errorf("%q, %v", out, err)
	}
	if after := machine(t); after != before {
		t.Errorf("the machine has changed\nbefore:\n%s\nafter:\n%s", before, after)
	}
}

// allowUsers is what a user without root is told.
const allowUsers = "run as root, or allow unprivileged user namespaces"

// endWorld starts a helper, ends it and returns the process that held its
// world.
func endWorld(t *testing.T, what string, signal syscall.Signal) int {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	// A test run by Isolate is not the one that the helper starts.
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, insideMark) }), helper+"="+what)
	cmd.Stderr = nil
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	word, number, _ := strings.Cut(strings.TrimSpace(line), " ")
	inside, err2 := strconv.Atoi(number)
	if word != "ready" || err2 != nil {
		t.Fatalf("the helper says %q (%v)", line, err)
	}
	if signal != 0 {
		if err := cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
	}
	if err := cmd.Wait(); err == nil {
		t.Errorf("the helper ended well although it was told to %s", what)
	} else if what == "fail" && cmd.ProcessState.ExitCode() != 7 {
		t.Errorf("exit code %d of the process inside, want 7", cmd.ProcessState.ExitCode())
	}
	return inside
}

// gone reports whether a process ends within a few seconds.
func gone(pid int) bool {
	for range 100 {
		if syscall.Kill(pid, 0) != nil {
			return true
		}
		if state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil && strings.Contains(string(state), ") Z ") {
			return true // dead, and nobody has asked for its code yet
		}
		time.Sleep(30 * time.Millisecond)
	}
	return false
}
