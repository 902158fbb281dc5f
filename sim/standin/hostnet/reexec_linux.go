package hostnet

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// again is set in the environment of a process that Reexec has started.
const again = "HNSIM_USER_NAMESPACE"

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
	unshare, err := exec.LookPath("unshare")
	if err != nil {
		return errors.New("there is no unshare(1) for a user namespace: install util-linux")
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	flags := []string{"--user", "--map-current-user", "--keep-caps"}
	probe := exec.Command(unshare, append(flags, "--net", "--", "true")...)
	if out, err := probe.CombinedOutput(); err != nil {
		first, _, _ := strings.Cut(string(bytes.TrimSpace(out)), "\n")
		return fmt.Errorf("no user namespace either: %s", first)
	}
	args := append([]string{"unshare"}, flags...)
	args = append(append(args, "--", self), os.Args[1:]...)
	return os.NewSyscallError("exec", syscall.Exec(unshare, args, append(os.Environ(), again+"=1")))
}
