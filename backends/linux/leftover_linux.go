package linux

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// namedSpaces is where ip netns keeps the names of namespaces.
const namedSpaces = "/run/netns"

// Leftovers looks for what a run of this backend could have left behind: a
// process of Isolate that has lost its parent and holds a world, devices and
// rules of a world in a namespace that has a name or is the machine's own, and
// files that were being written. Worlds live in anonymous namespaces and end
// with their process, so that there should be nothing.
//
// What the user may not look at cannot be his either, and is left out.
func Leftovers(folders ...string) ([]*Leftover, error) {
	out, err := orphans("/proc")
	here, err2 := inSpace(netns.None(), "")
	named, err3 := inNamed()
	files, err4 := unfinished(folders)
	return slices.Concat(out, here, named, files), errors.Join(err, err2, err3, err4)
}

// orphans are processes that Isolate started, whose parent is gone: the kernel
// should have ended them with it.
func orphans(proc string) ([]*Leftover, error) {
	entries, err := os.ReadDir(proc)
	if err != nil {
		return nil, fmt.Errorf("processes: %w", err)
	}
	var out []*Leftover
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		dir := filepath.Join(proc, e.Name())
		if !inside(dir) || inside(filepath.Join(proc, strconv.Itoa(parentOf(dir)))) || waits(proc, parentOf(dir), dir) {
			continue
		}
		out = append(out, &Leftover{Kind: "process", Name: e.Name(), remove: func() error { return kill(pid, dir) }})
	}
	return out, nil
}

// inside reports whether a process has the mark of Isolate. One that this user
// may not look into has not.
func inside(dir string) bool {
	environ, err := os.ReadFile(filepath.Join(dir, "environ"))
	return err == nil && slices.ContainsFunc(bytes.Split(environ, []byte{0}), func(v []byte) bool { return string(v) == insideMark+"=1" })
}

// parentOf reads the parent out of stat, behind the name in parentheses.
func parentOf(dir string) int {
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 2 {
		return 0
	}
	pid, err := strconv.Atoi(fields[1])
	if err != nil {
		return 0
	}
	return pid
}

// waits reports whether a parent runs the same program: then it is the one that
// waits for it.
func waits(proc string, parent int, child string) bool {
	a, err1 := os.Readlink(filepath.Join(proc, strconv.Itoa(parent), "exe"))
	b, err2 := os.Readlink(filepath.Join(child, "exe"))
	return err1 == nil && err2 == nil && a == b
}

// endsWithin is how long the kernel gets to end a process and its namespaces.
const endsWithin = 5 * time.Second

// kill ends a process that still is what it was found to be.
func kill(pid int, dir string) error {
	if !inside(dir) {
		return nil // gone, and maybe somebody else has its number
	}
	if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
		return err
	}
	for deadline := time.Now().Add(endsWithin); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if !inside(dir) {
			return nil
		}
	}
	return fmt.Errorf("it goes on %v after it was killed", endsWithin)
}

// denied reports whether an error says that the user may not look.
func denied(err error) bool {
	return errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES)
}

// inSpace finds devices and tables in a namespace: handle is none for the
// process's own.
func inSpace(handle netns.NsHandle, where string) ([]*Leftover, error) {
	devices, err := devicesIn(handle, where)
	tables, err2 := tablesIn(handle, where)
	if err = errors.Join(err, err2); err != nil && where != "" {
		err = fmt.Errorf("namespace %s: %w", where, err)
	}
	return append(devices, tables...), err
}

func devicesIn(handle netns.NsHandle, where string) ([]*Leftover, error) {
	nl, err := handleAt(handle)
	if err != nil {
		return nil, err
	}
	defer nl.Close()
	links, err := nl.LinkList()
	if err != nil {
		return nil, fmt.Errorf("devices: %w", err)
	}
	var out []*Leftover
	for _, l := range links {
		if l.Attrs().Alias != Owner {
			continue
		}
		name := l.Attrs().Name
		out = append(out, &Leftover{Kind: "device", Name: name, Where: where, remove: func() error { return removeDevice(where, name) }})
	}
	return out, nil
}

func handleAt(handle netns.NsHandle) (*netlink.Handle, error) {
	if handle.IsOpen() {
		return netlink.NewHandleAt(handle, unix.NETLINK_ROUTE)
	}
	return netlink.NewHandle(unix.NETLINK_ROUTE)
}

// at opens a named namespace, or none for the machine's own, for f.
func at(where string, f func(netns.NsHandle) error) error {
	if where == "" {
		return f(netns.None())
	}
	handle, err := netns.GetFromPath(where)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer handle.Close()
	return f(handle)
}

func removeDevice(where, name string) error {
	return at(where, func(handle netns.NsHandle) error {
		nl, err := handleAt(handle)
		if err != nil {
			return err
		}
		defer nl.Close()
		l, err := nl.LinkByName(name)
		var gone netlink.LinkNotFoundError
		switch {
		case errors.As(err, &gone):
			return nil // with its other end
		case err != nil:
			return err
		case l.Attrs().Alias != Owner:
			return nil // somebody else's by now
		}
		return nl.LinkDel(l)
	})
}

// nftAt opens a namespace's nftables. The caller may not be allowed to: then
// nothing there is his.
func nftAt(handle netns.NsHandle) (*nftables.Conn, error) {
	if handle.IsOpen() {
		return nftables.New(nftables.WithNetNSFd(int(handle)))
	}
	return nftables.New()
}

func tablesIn(handle netns.NsHandle, where string) ([]*Leftover, error) {
	c, err := nftAt(handle)
	if err != nil {
		return nil, err
	}
	tables, err := c.ListTables()
	switch {
	case denied(err), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EINVAL): // a kernel without nftables has none
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("tables of nftables: %w", err)
	}
	var out []*Leftover
	for _, t := range tables {
		if t.Name != tableName {
			continue
		}
		family := t.Family
		out = append(out, &Leftover{Kind: "table", Name: familyName(family) + " " + t.Name, Where: where, remove: func() error {
			return at(where, func(handle netns.NsHandle) error {
				c, err := nftAt(handle)
				if err != nil {
					return err
				}
				c.DelTable(&nftables.Table{Name: tableName, Family: family})
				if err := c.Flush(); !errors.Is(err, os.ErrNotExist) {
					return err
				}
				return nil // somebody was faster
			})
		}})
	}
	return out, nil
}

func familyName(f nftables.TableFamily) string {
	for family, name := range map[nftables.TableFamily]string{nftables.TableFamilyINet: "inet", nftables.TableFamilyIPv4: "ip",
		nftables.TableFamilyIPv6: "ip6", nftables.TableFamilyBridge: "bridge", nftables.TableFamilyARP: "arp"} {
		if f == family {
			return name
		}
	}
	return fmt.Sprintf("family %d", f)
}

// inNamed looks into the namespaces that have names.
func inNamed() ([]*Leftover, error) {
	names, err := filepath.Glob(filepath.Join(namedSpaces, "*"))
	if err != nil {
		return nil, err
	}
	var out []*Leftover
	var errs []error
	for _, name := range names {
		handle, err := netns.GetFromPath(name)
		if denied(err) || errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err == nil {
			var found []*Leftover
			found, err = inSpace(handle, name)
			out = append(out, found...)
			handle.Close()
		}
		if err != nil && !denied(err) && !errors.Is(err, unix.EINVAL) { // EINVAL: the file is no namespace any more
			errs = append(errs, err)
		}
	}
	return out, errors.Join(errs...)
}

// beingWritten is how young a file may be to belong to a run that goes on.
const beingWritten = time.Minute

// unfinished are the files that a run was about to rename into place.
func unfinished(folders []string) ([]*Leftover, error) {
	var out []*Leftover
	for _, dir := range folders {
		names, err := filepath.Glob(filepath.Join(dir, ".hnsim-*"))
		if err != nil {
			return nil, err
		}
		deeper, err := filepath.Glob(filepath.Join(dir, "*", ".hnsim-*"))
		if err != nil {
			return nil, err
		}
		for _, name := range append(names, deeper...) {
			if info, err := os.Lstat(name); err != nil || time.Since(info.ModTime()) < beingWritten {
				continue
			}
			out = append(out, &Leftover{Kind: "file", Name: name, remove: func() error {
				if err := os.Remove(name); !errors.Is(err, os.ErrNotExist) {
					return err
				}
				return nil
			}})
		}
	}
	return out, nil
}
