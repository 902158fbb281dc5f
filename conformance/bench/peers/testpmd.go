//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// testpmd is DPDK's own forwarder, which looks nothing up.
type testpmd struct {
	d      *daemon
	dir    string
	worker string // schedstat of the forwarding thread
}

func openTestpmd(path string, flows int) (runner, error) {
	program, err := exec.LookPath("dpdk-testpmd")
	if err != nil {
		return nil, errors.New("not installed")
	}
	if flows > dpdkFlows {
		return nil, fmt.Errorf("not asked for more than %d flows: every frame takes 2 KB", dpdkFlows)
	}
	if err := ownNamespace(); err != nil {
		return nil, err
	}
	cpu, err := theCPU()
	if err != nil {
		return nil, err
	}
	t := &testpmd{}
	if t.dir, err = os.MkdirTemp("", "testpmd"); err != nil {
		return nil, err
	}
	if err := t.open(program, cpu, flows); err != nil {
		t.close()
		return nil, err
	}
	return t, nil
}

func (t *testpmd) open(program string, cpu, flows int) error {
	frames, err := pcapFile(t.dir, routed, flows)
	if err != nil {
		return err
	}
	t.d, err = startDaemon(t.dir, "stdbuf", "-oL", program, "--no-huge", "-m", "1024", "--no-pci", "--no-telemetry", fmt.Sprintf("--lcores=0@%d,1@%d", cpu, cpu),
		"--vdev=net_pcap0,rx_pcap="+frames+",infinite_rx=1", "--vdev=net_null0,no-rx=1",
		"--", "-i", "--forward-mode=mac", "--nb-cores=1", "--total-num-mbufs=180000", "--no-mlockall")
	if err != nil {
		return err
	}
	// It is ready when it has looked at its links.
	if _, err := t.d.until(time.Minute, func(l string) bool { return strings.TrimSpace(l) == "Done" }); err != nil {
		return err
	}
	if _, err := t.run(0); err != nil {
		return err
	}
	t.worker, err = t.d.thread("lcore-worker", "rte-worker")
	return err
}

// run forwards for a while, whatever n is. Without a start the forwarding
// thread waits, and takes no time.
func (t *testpmd) run(int) (float64, error) {
	before := schedTime(t.worker)
	fmt.Fprintln(t.d.in, "start")
	time.Sleep(window)
	fmt.Fprintln(t.d.in, "stop")
	lines, err := t.d.until(time.Minute, func(l string) bool { return l == "Done." })
	if err != nil {
		return 0, err
	}
	// The totals of all ports come last.
	sent := 0
	for _, l := range lines {
		if words := strings.Fields(l); len(words) > 1 && words[0] == "TX-packets:" {
			if sent, err = strconv.Atoi(words[1]); err != nil {
				return 0, fmt.Errorf("testpmd says %q", l)
			}
		}
	}
	if sent == 0 {
		return 0, fmt.Errorf("testpmd forwarded nothing; it says %s", lastLine(strings.Join(lines, "\n")))
	}
	return (schedTime(t.worker) - before) / float64(sent), nil
}

func (t *testpmd) close() {
	if t.d != nil {
		t.d.stop()
	}
	os.RemoveAll(t.dir)
}
