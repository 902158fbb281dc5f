//go:build linux

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// daemon is a program with a thread that forwards packets all the time. The
// calling thread must live as long as it should.
type daemon struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines chan string // of both outputs; closed at its end
}

// startDaemon starts one that leaves files only in dir.
func startDaemon(dir, name string, args ...string) (*daemon, error) {
	d := &daemon{cmd: exec.Command(name, args...), lines: make(chan string, 4096)}
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	d.cmd.Env = append(os.Environ(), "RUNTIME_DIRECTORY="+dir, "OVS_RUNDIR="+dir) // of DPDK and of Open vSwitch
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	d.cmd.Stdout, d.cmd.Stderr = w, w
	if d.in, err = d.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	err = d.cmd.Start()
	w.Close()
	if err != nil {
		r.Close()
		return nil, err
	}
	go func() {
		defer close(d.lines)
		defer r.Close()
		s := bufio.NewScanner(r)
		for s.Scan() {
			select {
			case d.lines <- s.Text():
			default: // nobody reads, and it must not wait
			}
		}
	}()
	return d, nil
}

// until reads lines up to one that wanted accepts, and returns all of them.
func (d *daemon) until(patience time.Duration, wanted func(line string) bool) ([]string, error) {
	timeout := time.After(patience)
	var got []string
	for {
		select {
		case l, ok := <-d.lines:
			if !ok {
				return nil, fmt.Errorf("%s ended: %s", filepath.Base(d.cmd.Path), lastLine(strings.Join(got, "\n")))
			}
			if got = append(got, l); wanted(l) {
				return got, nil
			}
		case <-timeout:
			return nil, fmt.Errorf("%s: no answer for %v; last: %s", filepath.Base(d.cmd.Path), patience, lastLine(strings.Join(got, "\n")))
		}
	}
}

// signal is ignored by a process that has ended.
func (d *daemon) signal(s syscall.Signal) { _ = d.cmd.Process.Signal(s) }

func (d *daemon) stop() {
	d.in.Close()
	d.signal(syscall.SIGKILL)
	_ = d.cmd.Wait() // it was killed
}

// thread is the schedstat file of the daemon's thread whose name begins so.
func (d *daemon) thread(prefixes ...string) (string, error) {
	for range 100 {
		names, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/comm", d.cmd.Process.Pid))
		if err != nil {
			return "", err
		}
		for _, name := range names {
			text, err := os.ReadFile(name)
			for _, p := range prefixes {
				if err == nil && strings.HasPrefix(string(text), p) {
					return filepath.Join(filepath.Dir(name), "schedstat"), nil
				}
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	return "", fmt.Errorf("%s has no thread %s", filepath.Base(d.cmd.Path), strings.Join(prefixes, " or "))
}

// window is how long a daemon forwards in a round: it is asked before and after,
// which takes a while itself.
const window = 150 * time.Millisecond

// fewFrames show all flows of so many, and stay in the caches.
const fewFrames = 4096

// pcapFile writes traffic for net_pcap, which keeps every packet in memory: as
// many as show all flows, and not more of few flows than caches hold.
func pcapFile(dir string, k kind, flows int) (string, error) {
	t, err := newTraffic(k, flows, false)
	if err != nil {
		return "", err
	}
	n := fewFrames
	if flows > n {
		n = t.n
	}
	name := filepath.Join(dir, "traffic.pcap")
	return name, os.WriteFile(name, t.pcap(n), 0o600)
}

// ownNamespace moves this thread, and what it starts, away from the machine's
// interfaces.
func ownNamespace() error {
	if os.Geteuid() != 0 {
		return errors.New("needs root for a network namespace")
	}
	return unix.Unshare(unix.CLONE_NEWNET)
}

// dpdkFlows is the most that memory is taken for.
const dpdkFlows = 100_000

// theCPU is the processor that this process is tied to.
func theCPU() (int, error) {
	var cpus unix.CPUSet
	if err := unix.SchedGetaffinity(0, &cpus); err != nil {
		return 0, err
	}
	cpu := 0
	for !cpus.IsSet(cpu) {
		cpu++
	}
	return cpu, nil
}
