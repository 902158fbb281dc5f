package hostnet

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
)

// again is set in the environment of a process that Reexec has started.
const again = "HNSIM_USER_NAMESPACE"

// userFlags make unshare(1) keep the user and give him the capabilities.
var userFlags = []string{"--user", "--map-current-user", "--keep-caps"}

// findUnshare finds unshare(1), and tries it.
func findUnshare() (string, error) {
	unshare, err := exec.LookPath("unshare")
	if err != nil {
		return "", errors.New("there is no unshare(1) for a user namespace: install util-linux")
	}
	probe := exec.Command(unshare, append(slices.Clone(userFlags), "--net", "--", "true")...)
	if out, err := probe.CombinedOutput(); err != nil {
		first, _, _ := strings.Cut(string(bytes.TrimSpace(out)), "\n")
		return "", fmt.Errorf("no user namespace either: %s", first)
	}
	return unshare, nil
}

// Possible says whether a program can have a namespace here, and how; it
// changes nothing.
func Possible() (how string, err error) {
	n, err := New()
	if err == nil {
		return "with the privileges of this user", n.Close()
	}
	if _, e := findUnshare(); e != nil {
		return "", fmt.Errorf("%w, and %w", err, e)
	}
	return "in a user namespace", nil
}

// Reexec replaces this process by the same program with the same arguments in
// a user namespace of its own, where an ordinary user may make network
// namespaces. It returns only if the system does not allow that, or if it has
// been done and New fails all the same.
//
// A process with threads cannot change its user namespace: unshare(1) does it.
func Reexec() error {
	if os.Getenv(again) != "" {
		return errors.New("not even in a user namespace, which some systems restrict (Ubuntu: kernel.apparmor_restrict_unprivileged_userns)")
	}
	unshare, err := findUnshare()
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	args := append([]string{"unshare"}, userFlags...)
	args = append(append(args, "--", self), os.Args[1:]...)
	return os.NewSyscallError("exec", syscall.Exec(unshare, args, append(os.Environ(), again+"=1")))
}
