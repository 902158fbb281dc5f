package linux

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

func describeAll(list []*Leftover) string {
	var out []string
	for _, l := range list {
		out = append(out, l.String())
	}
	return strings.Join(out, "\n")
}

// What is planted in a namespace is found and removed; what has another owner
// stays.
func TestDevicesAndTablesAreFoundAndRemoved(t *testing.T) {
	needsKernel(t)
	s, err := newSpace("the planted one")
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if err := errors.Join(s.bridge("switch0", [6]byte{}, defaultMTU, false), s.install(silence())); err != nil {
		t.Fatal(err)
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "theirs"
	if err := s.nl.LinkAdd(&netlink.Bridge{LinkAttrs: attrs}); err != nil {
		t.Fatal(err)
	}
	// A namespace's file is as good as a name of it.
	name := fmt.Sprintf("/proc/self/fd/%d", int(s.handle))
	found, err := inSpace(s.handle, name)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := describeAll(found), "device switch0 in "+name+"\ntable inet hnsim in "+name; got != want {
		t.Fatalf("found\n%s\nwant\n%s", got, want)
	}
	for range 2 { // what is gone already is no error
		for _, l := range found {
			if err := l.Remove(); err != nil {
				t.Error(err)
			}
		}
	}
	if again, err := inSpace(s.handle, name); err != nil || len(again) > 0 {
		t.Errorf("still there: %s, %v", describeAll(again), err)
	}
	if _, err := s.link("theirs"); err != nil {
		t.Errorf("somebody else's bridge is gone: %v", err)
	}
}

// Everything that a world makes in a namespace has the owner's alias.
func TestEveryDeviceOfAWorldHasItsOwner(t *testing.T) {
	needsKernel(t)
	a, err := newSpace("a")
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	b, err := newSpace("b")
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	if err := errors.Join(wirePair(end{in: a, name: "left"}, end{in: b, name: "right"}, defaultMTU), a.bridge("br", [6]byte{}, defaultMTU, true)); err != nil {
		t.Fatal(err)
	}
	found, err := inSpace(a.handle, "a")
	if err != nil || describeAll(found) != "device br in a\ndevice left in a" && describeAll(found) != "device left in a\ndevice br in a" {
		t.Errorf("%s, %v", describeAll(found), err)
	}
}

// A process with the mark of Isolate is a leftover once the program that
// started it is gone, and not before.
func TestOrphansAreFoundAndKilled(t *testing.T) {
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Skip("needs a program that sleeps")
	}
	cmd := exec.Command(sleep, "60")
	cmd.Env = append(os.Environ(), insideMark+"=1")
	cmd.Env = slices.DeleteFunc(cmd.Env, func(v string) bool { return strings.HasPrefix(v, helper) })
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	defer cmd.Process.Kill()
	mine := func() *Leftover {
		t.Helper()
		list, err := orphans("/proc")
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range list {
			if l.Name == fmt.Sprint(cmd.Process.Pid) {
				return l
			}
		}
		return nil
	}
	var l *Leftover
	for range 100 { // until exec has happened
		if l = mine(); l != nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if l == nil && os.Getenv(insideMark) == "1" {
		t.Skip("the tests run inside of Isolate, and their children have a parent that is, too")
	}
	if l == nil {
		t.Fatal("not found, although its parent is another program")
	}
	if err := l.Remove(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil {
		t.Error("it ended by itself")
	}
	if mine() != nil {
		t.Error("found again")
	}
}

func TestAProcessThatIsWaitedForIsNoLeftover(t *testing.T) {
	needsKernel(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, insideMark) }), helper+"=hold")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	var pid int
	if _, err := fmt.Fscanf(out, "ready %d", &pid); err != nil {
		t.Fatal(err)
	}
	list, err := orphans("/proc")
	if err != nil || strings.Contains(describeAll(list), fmt.Sprint(pid)) {
		t.Errorf("%d is found although %d waits for it: %s, %v", pid, cmd.Process.Pid, describeAll(list), err)
	}
}

func TestHalfWrittenFilesAreFoundOnceTheyAreOld(t *testing.T) {
	dir := t.TempDir()
	old, young, other := filepath.Join(dir, "S-NAT-01", ".hnsim-1"), filepath.Join(dir, ".hnsim-2"), filepath.Join(dir, "junit.xml")
	if err := os.Mkdir(filepath.Dir(old), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{old, young, other} {
		if err := os.WriteFile(name, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	past := time.Now().Add(-2 * beingWritten)
	if err := errors.Join(os.Chtimes(old, past, past), os.Chtimes(other, past, past)); err != nil {
		t.Fatal(err)
	}
	list, err := unfinished([]string{dir, filepath.Join(dir, "none")})
	if err != nil || describeAll(list) != "file "+old {
		t.Fatalf("%s, %v", describeAll(list), err)
	}
	if err := list[0].Remove(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(old); !errors.Is(err, os.ErrNotExist) {
		t.Error("it is still there")
	}
}

// A parent that is killed takes its world with it: then there is nothing to
// find, in the process table, the namespaces and the machine's own network.
func TestNothingIsFoundAfterAKilledRun(t *testing.T) {
	needsKernel(t)
	inside := endWorld(t, "hold", unix.SIGKILL)
	if !gone(inside) {
		t.Fatalf("process %d goes on", inside)
	}
	found, err := inSpace(netns.None(), "")
	if err != nil || len(found) > 0 {
		t.Errorf("%s, %v", describeAll(found), err)
	}
	list, err := orphans("/proc")
	if err != nil || strings.Contains(describeAll(list), fmt.Sprint(inside)) {
		t.Errorf("%s, %v", describeAll(list), err)
	}
}
