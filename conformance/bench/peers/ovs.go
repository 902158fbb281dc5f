//go:build linux

package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/hnsim/hnsim/sim/wire"
)

const (
	ovsProgram = "/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk"
	ovsSchema  = "/usr/share/openvswitch/vswitch.ovsschema"
)

// ovs is an Open vSwitch of its own: database, daemon, two ports.
type ovs struct {
	dir          string
	db, vswitchd *daemon
	pmd          string // schedstat of the forwarding thread
}

func openOVS(path string, flows int) (runner, error) {
	for _, name := range []string{ovsProgram, ovsSchema} {
		if _, err := os.Stat(name); err != nil {
			return nil, errors.New("not installed")
		}
	}
	if flows > dpdkFlows {
		return nil, fmt.Errorf("not asked for more than %d flows: every frame takes 2 KB", dpdkFlows)
	}
	if err := ownNamespace(); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "ovs")
	if err != nil {
		return nil, err
	}
	o := &ovs{dir: dir}
	err = o.start(flows)
	if err == nil {
		err = o.configure(path, flows)
	}
	if err == nil {
		o.pmd, err = o.vswitchd.thread("pmd-")
	}
	if err == nil {
		err = o.warm()
	}
	if err != nil {
		err = fmt.Errorf("%w%s", err, o.complaint())
		o.close()
		return nil, err
	}
	return o, nil
}

// complaint is what the daemon's log says last that is an error.
func (o *ovs) complaint() string {
	text, err := os.ReadFile(o.at("switch.log"))
	if err != nil {
		return ""
	}
	out := ""
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, "|ERR|") || strings.Contains(line, "|EMER|") {
			out = "; " + strings.TrimSpace(line)
		}
	}
	return out
}

func (o *ovs) at(name string) string { return filepath.Join(o.dir, name) }

// start brings the database and the daemon up, with memory for the frames.
func (o *ovs) start(flows int) error {
	megabytes := 256
	if flows > fewFrames {
		megabytes = 1536
	}
	cpu, err := theCPU()
	if err != nil {
		return err
	}
	if _, err := tool("ovsdb-tool", "create", o.at("conf.db"), ovsSchema); err != nil {
		return err
	}
	if o.db, err = startDaemon(o.dir, "ovsdb-server", o.at("conf.db"), "--remote=punix:"+o.at("db.sock"), "--unixctl="+o.at("db.ctl"), "--log-file="+o.at("db.log")); err != nil {
		return err
	}
	for i := 0; ; i++ {
		if _, err = os.Stat(o.at("db.sock")); err == nil {
			break
		}
		if i == 200 {
			return fmt.Errorf("ovsdb-server does not come up: %w", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	if err := o.vsctl("--no-wait", "init", "--", "set", "Open_vSwitch", ".", "other_config:dpdk-init=true",
		fmt.Sprintf(`other_config:dpdk-extra="--no-huge --legacy-mem -m %d --no-pci --no-telemetry"`, megabytes), fmt.Sprintf("other_config:dpdk-lcore-mask=%#x", 1<<cpu),
		fmt.Sprintf("other_config:pmd-cpu-mask=%#x", 1<<cpu), "other_config:max-idle=3600000"); err != nil {
		return err
	}
	o.vswitchd, err = startDaemon(o.dir, ovsProgram, "unix:"+o.at("db.sock"), "--unixctl="+o.at("switch.ctl"), "--log-file="+o.at("switch.log"), "--pidfile="+o.at("switch.pid"))
	return err
}

// tool runs a program to its end.
func tool(name string, args ...string) (string, error) {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(string(out)))
	}
	return string(out), nil
}

func (o *ovs) vsctl(args ...string) error {
	_, err := tool("ovs-vsctl", append([]string{"--db=unix:" + o.at("db.sock"), "--timeout=90"}, args...)...)
	return err
}

func (o *ovs) appctl(args ...string) (string, error) {
	return tool("ovs-appctl", append([]string{"--target=" + o.at("switch.ctl"), "--timeout=30"}, args...)...)
}

// configure makes bridges, ports and flows.
func (o *ovs) configure(path string, flows int) error {
	k := routed
	if path != "ct-nat" {
		k = tunnel
	}
	frames, err := pcapFile(o.dir, k, flows)
	if err != nil {
		return err
	}
	out := "br0"
	bridge := func(name string) []string {
		return []string{"--", "add-br", name, "--", "set", "bridge", name, "datapath_type=netdev", "fail-mode=secure"}
	}
	args := bridge("br0")
	if path == "vxlan" {
		out = "br1"
		args = append(args, bridge("br1")...)
		args = append(args, "--", "add-port", "br0", "vx0", "--", "set", "Interface", "vx0", "type=vxlan", "options:remote_ip="+nextHop.String(), "options:key=4096")
	}
	args = append(args, "--", "add-port", "br0", "p0", "--", "set", "Interface", "p0", "type=dpdk", `options:dpdk-devargs="net_pcap0,rx_pcap=`+frames+`,infinite_rx=1"`,
		"--", "add-port", out, "p1", "--", "set", "Interface", "p1", "type=dpdk", `options:dpdk-devargs="net_null0,no-rx=1"`)
	if err := o.vsctl(args[1:]...); err != nil {
		return err
	}
	switch path {
	case "learning":
		return o.do([][]string{{"flow", "br0", "actions=NORMAL"}, {"fdb/add", "br0", "p1", "0", colons(macOf(1))}})
	case "ct-nat":
		return o.do([][]string{{"flow", "br0", "table=0,in_port=p0,ip,actions=ct(commit,nat(src=" + natAddr.String() + "),table=1)"},
			{"flow", "br0", fmt.Sprintf("table=1,ip,actions=dec_ttl,mod_dl_src:%s,mod_dl_dst:%s,output:p1", colons(inMAC), colons(peerMAC))}})
	case "vxlan":
		if err := o.underlay(); err != nil {
			return err
		}
		return o.do([][]string{{"flow", "br0", "actions=NORMAL"}, {"flow", "br1", "actions=NORMAL"}, {"fdb/add", "br0", "vx0", "0", colons(macOf(1))},
			{"tnl/neigh/set", "br1", nextHop.String(), colons(peerMAC)}, {"fdb/add", "br1", "p1", "0", colons(peerMAC)}})
	}
	return fmt.Errorf("no path %s", path)
}

func colons(m wire.MAC) string { return net.HardwareAddr(m[:]).String() }

// underlay gives the tunnel its own address, in this namespace.
func (o *ovs) underlay() error {
	l, err := up("br1")
	if err != nil {
		return err
	}
	a, err := netlink.ParseAddr(natAddr.String() + "/24")
	if err != nil {
		return err
	}
	return netlink.AddrAdd(l, a)
}

// do carries out flows and commands.
func (o *ovs) do(all [][]string) error {
	for _, c := range all {
		var err error
		if c[0] == "flow" {
			_, err = tool("ovs-ofctl", "add-flow", o.at(c[1]+".mgmt"), c[2])
		} else {
			_, err = o.appctl(c...)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// received is how many packets the forwarding thread has taken in.
func (o *ovs) received() (float64, error) {
	text, err := o.appctl("dpif-netdev/pmd-stats-show")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(text) {
		if n, ok := strings.CutPrefix(strings.TrimSpace(line), "packets received: "); ok {
			return strconv.ParseFloat(n, 64)
		}
	}
	return 0, fmt.Errorf("pmd-stats-show has no packets: %s", text)
}

// sent is how many packets p1 has taken.
func (o *ovs) sent() (float64, error) {
	for _, bridge := range []string{"br0", "br1"} {
		text, err := tool("ovs-ofctl", "dump-ports", o.at(bridge+".mgmt"), "p1")
		if err != nil {
			continue // p1 is at the other one
		}
		if _, tx, ok := strings.Cut(text, "tx pkts="); ok {
			n, _, _ := strings.Cut(tx, ",")
			return strconv.ParseFloat(n, 64)
		}
	}
	return 0, errors.New("p1 has no counters")
}

// warm lets all flows be set up, and sees that packets come out.
func (o *ovs) warm() error {
	counters := func() (rx, tx float64, err error) {
		if rx, err = o.received(); err == nil {
			tx, err = o.sent()
		}
		return rx, tx, err
	}
	time.Sleep(2 * time.Second)
	rx, tx, err := counters()
	if err != nil {
		return err
	}
	time.Sleep(time.Second)
	rx2, tx2, err := counters()
	if err != nil {
		return err
	}
	// The counters are not read at one time.
	if rx2 == rx || tx2-tx < 0.8*(rx2-rx) {
		return fmt.Errorf("%.0f packets came in and %.0f went out", rx2-rx, tx2-tx)
	}
	o.vswitchd.signal(syscall.SIGSTOP)
	return nil
}

// run forwards for a while, whatever n is; in between the daemon stands still.
func (o *ovs) run(int) (float64, error) {
	o.vswitchd.signal(syscall.SIGCONT)
	defer o.vswitchd.signal(syscall.SIGSTOP)
	before, err := o.received()
	if err != nil {
		return 0, err
	}
	begun := schedTime(o.pmd)
	time.Sleep(window)
	after, err := o.received()
	if err != nil {
		return 0, err
	}
	if after == before {
		return 0, errors.New("no packet was forwarded")
	}
	return (schedTime(o.pmd) - begun) / (after - before), nil
}

func (o *ovs) close() {
	for _, d := range []*daemon{o.vswitchd, o.db} {
		if d != nil {
			d.stop()
		}
	}
	os.RemoveAll(o.dir)
}
