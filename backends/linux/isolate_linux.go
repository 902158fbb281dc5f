package linux

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
)

// insideMark is in the environment of a process that Isolate started.
const insideMark = "HNSIM_LINUX_INSIDE"

// Isolate runs the program again, with the same arguments, in network and
// mount namespaces of its own, and without root in a user namespace of its own.
// Everything that a world makes is in there: whatever ends the process, kill
// -9 included, ends that too, and nothing of the machine's own network is ever
// touched.
//
// ran is false in the process that Isolate started: it goes on. Otherwise code
// is the exit code of that process.
func Isolate(context.Context) (code int, ran bool, err error) {
	if os.Getenv(insideMark) == "1" {
		return 0, false, nil
	}
	// The kernel ends the child when the thread that started it ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// Its file may have another name by now, or lie where this user may not go.
	c := exec.Command("/proc/self/exe", os.Args[1:]...)
	c.Args[0] = os.Args[0]
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	c.Env = append(os.Environ(), insideMark+"=1")
	// In a process group of its own it gets a terminal's signals once: from
	// here.
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if os.Geteuid() != 0 {
		c.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		c.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		c.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	if err := c.Start(); err != nil {
		return 0, true, fmt.Errorf("a network namespace of its own: %w; %s", err, advice())
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		for s := range signals {
			_ = c.Process.Signal(s) // an error means that it has ended
		}
	}()
	err = c.Wait()
	signal.Stop(signals) // first: it sends to the channel
	close(signals)
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() >= 0 {
		return exit.ExitCode(), true, nil
	}
	return 0, true, err
}

// advice says what must be there for a namespace of one's own.
func advice() string {
	if os.Geteuid() == 0 {
		return "root in a container needs CAP_SYS_ADMIN and CAP_NET_ADMIN (docker run --privileged)"
	}
	return "run as root, or allow unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0, user.max_user_namespaces above 0)"
}

// Check reports what the backend would miss on this machine, or "".
func Check() string {
	s, err := newSpace("the check")
	if err != nil {
		return fmt.Sprintf("%v; %s", err, advice())
	}
	defer s.close()
	for _, feature := range []struct {
		what string
		try  func() error
	}{
		{"bridges", func() error { return s.bridge("b", [6]byte{}, defaultMTU, false) }},
		{"nftables with packet logs", func() error { return s.install(silence()) }},
		{"captures", func() error {
			c, err := s.watch()
			if err == nil {
				c.close()
			}
			return err
		}},
	} {
		if err := feature.try(); err != nil {
			return fmt.Sprintf("the kernel has no %s: %v", feature.what, err)
		}
	}
	return ""
}
