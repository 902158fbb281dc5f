//go:build linux

package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/hnsim/hnsim/sim/wire"
)

// kernel is a network namespace of this process's own: frames come in at g0 as
// if its peer had sent them, and go out by x0 to its peer x1, which drops them
// because they are for somebody else.
type kernel struct {
	xdp
	g0, x1  int // interface indices
	flush   bool
	flows   int
	generic bool // nothing comes out
	idler   string
	links   []link.Link
}

// kernelFlows is what connection tracking holds on most machines; each flow is
// one of its entries.
const kernelFlows = 250_000

func openKernel(path string, flows int) (runner, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("needs root for a network namespace and BPF")
	}
	if flows > kernelFlows {
		return nil, fmt.Errorf("not asked for more than %d flows: connection tracking holds no more by default", kernelFlows)
	}
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return nil, fmt.Errorf("network namespace: %w", err)
	}
	k := &kernel{flows: flows}
	kind, verdict := routed, int32(xdpPass)
	err := k.wires()
	if err == nil {
		switch path {
		case "bridge":
			kind, err = switched, k.bridge(flows)
		case "masquerade", "masquerade-new":
			k.flush = path == "masquerade-new"
			err = k.router()
		case "vxlan":
			kind, err = tunnel, k.vxlan()
		case "generator":
			k.generic, verdict = true, xdpDrop
		default:
			err = fmt.Errorf("no path %s", path)
		}
	}
	var t *traffic
	if err == nil {
		t, err = newTraffic(kind, flows, k.flush)
	}
	if err == nil {
		err = k.load(t, nil, verdict)
	}
	if err == nil {
		k.idler, err = softirqThread()
	}
	if err == nil && !k.generic {
		err = k.ready()
	}
	if err == nil && !k.flush {
		_, err = k.run(t.n)
	}
	if err != nil {
		k.close()
		return nil, err
	}
	return k, nil
}

// sysctl sets a value of this thread's namespace.
func sysctl(name, value string) error {
	return os.WriteFile("/proc/sys/"+name, []byte(value), 0o644)
}

// wires makes both pairs.
func (k *kernel) wires() error {
	for name, value := range map[string]string{"net/ipv6/conf/default/disable_ipv6": "1", "net/ipv6/conf/all/disable_ipv6": "1", "net/ipv4/conf/all/rp_filter": "0"} {
		_ = sysctl(name, value) // a kernel without IPv6 needs none of this
	}
	for _, v := range []struct {
		name, peer string
		mac        wire.MAC
	}{{"g0", "g1", inMAC}, {"x0", "x1", wire.MAC{2, 0, 0, 0, 1, 2}}} {
		l := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: v.name, HardwareAddr: net.HardwareAddr(v.mac[:])}, PeerName: v.peer}
		if err := netlink.LinkAdd(l); err != nil {
			return fmt.Errorf("veth: %w", err)
		}
		for _, end := range []string{v.name, v.peer} {
			if _, err := up(end); err != nil {
				return err
			}
		}
	}
	for name, to := range map[string]*int{"g0": &k.g0, "x1": &k.x1} {
		l, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		*to = l.Attrs().Index
	}
	// An interface has a queue that XDP frames can come from only while it has
	// an XDP program; frames that are injected do not meet this one.
	idle, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, License: "MIT", Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, xdpPass), asm.Return()}})
	if err != nil {
		return fmt.Errorf("BPF program: %w", err)
	}
	defer idle.Close() // the attachment keeps it
	at, err := link.AttachXDP(link.XDPOptions{Program: idle, Interface: k.g0, Flags: link.XDPDriverMode})
	if err != nil {
		return fmt.Errorf("XDP on veth: %w", err)
	}
	k.links = append(k.links, at)
	return nil
}

func up(name string) (netlink.Link, error) {
	l, err := netlink.LinkByName(name)
	if err == nil {
		err = netlink.LinkSetUp(l)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return l, nil
}

// port makes a link a port of the bridge.
func port(name string, bridge netlink.Link) error {
	l, err := netlink.LinkByName(name)
	if err == nil {
		err = netlink.LinkSetMaster(l, bridge)
	}
	if err != nil {
		return fmt.Errorf("%s as a port: %w", name, err)
	}
	return nil
}

func newBridge(ports ...string) error {
	b := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}
	if err := netlink.LinkAdd(b); err != nil {
		return fmt.Errorf("bridge: %w", err)
	}
	if _, err := up("br0"); err != nil {
		return err
	}
	for _, p := range ports {
		if err := port(p, b); err != nil {
			return err
		}
	}
	return nil
}

// static is the state of an entry that a bridge does not forget; a permanent one
// would be an address of the bridge's own. To a VXLAN device it is one.
const static = netlink.NUD_NOARP

// station tells a device of a bridge where a MAC address is.
func station(dev string, mac wire.MAC, flags int, ip net.IP) error {
	l, err := netlink.LinkByName(dev)
	if err == nil {
		state := static
		if flags == netlink.NTF_SELF {
			state = netlink.NUD_PERMANENT
		}
		err = netlink.NeighSet(&netlink.Neigh{LinkIndex: l.Attrs().Index, Family: unix.AF_BRIDGE, State: state, Flags: flags,
			HardwareAddr: net.HardwareAddr(mac[:]), IP: ip})
	}
	if err != nil {
		return fmt.Errorf("station %s at %s: %w", mac, dev, err)
	}
	return nil
}

func (k *kernel) bridge(flows int) error {
	if err := newBridge("g0", "x0"); err != nil {
		return err
	}
	l, err := netlink.LinkByName("x0")
	if err != nil {
		return err
	}
	h, err := netlink.NewHandle()
	if err != nil {
		return err
	}
	defer h.Close()
	n := &netlink.Neigh{LinkIndex: l.Attrs().Index, Family: unix.AF_BRIDGE, State: static, Flags: netlink.NTF_MASTER}
	for i := range flows {
		mac := macOf(flows + i)
		n.HardwareAddr = mac[:]
		if err := h.NeighSet(n); err != nil {
			return fmt.Errorf("station %d: %w", i, err)
		}
	}
	return nil
}

// addresses puts the router's addresses on both sides, with a neighbour behind
// x0 that is not x1.
func addresses(out netip.Prefix, via netip.Addr) error {
	for dev, a := range map[string]netip.Prefix{"g0": netip.PrefixFrom(routerIn, 8), "x0": out} {
		l, err := netlink.LinkByName(dev)
		if err == nil {
			err = netlink.AddrAdd(l, &netlink.Addr{IPNet: &net.IPNet{IP: a.Addr().AsSlice(), Mask: net.CIDRMask(a.Bits(), 32)}})
		}
		if err != nil {
			return fmt.Errorf("address of %s: %w", dev, err)
		}
	}
	l, err := netlink.LinkByName("x0")
	if err != nil {
		return err
	}
	err = netlink.NeighSet(&netlink.Neigh{LinkIndex: l.Attrs().Index, Family: unix.AF_INET, State: netlink.NUD_PERMANENT, IP: via.AsSlice(), HardwareAddr: net.HardwareAddr(peerMAC[:])})
	if err == nil {
		err = netlink.RouteAdd(&netlink.Route{LinkIndex: l.Attrs().Index, Dst: &net.IPNet{IP: net.IP{198, 18, 0, 0}, Mask: net.CIDRMask(15, 32)}, Gw: via.AsSlice()})
	}
	return err
}

const masquerade = `table ip nat {
	chain postrouting {
		type nat hook postrouting priority srcnat;
		oifname "x0" masquerade
	}
}
`

func (k *kernel) router() error {
	if err := sysctl("net/ipv4/ip_forward", "1"); err != nil {
		return err
	}
	if err := addresses(netip.PrefixFrom(natAddr, 24), nextHop); err != nil {
		return err
	}
	if _, err := exec.LookPath("nft"); err != nil {
		return errors.New("nft is not installed")
	}
	nft := exec.Command("nft", "-f", "-") // on this thread, and so in its namespace
	nft.Stdin = strings.NewReader(masquerade)
	if out, err := nft.CombinedOutput(); err != nil {
		return fmt.Errorf("nft: %w: %s", err, out)
	}
	// Flows must not expire between rounds.
	for _, name := range []string{"nf_conntrack_udp_timeout", "nf_conntrack_udp_timeout_stream"} {
		if err := sysctl("net/netfilter/"+name, "3600"); err != nil {
			return err
		}
	}
	return nil
}

func (k *kernel) vxlan() error {
	if err := addresses(netip.PrefixFrom(natAddr, 24), nextHop); err != nil {
		return err
	}
	l, err := netlink.LinkByName("x0")
	if err != nil {
		return err
	}
	v := &netlink.Vxlan{LinkAttrs: netlink.LinkAttrs{Name: "vx0"}, VxlanId: 4096, Port: 4789, SrcAddr: natAddr.AsSlice(), VtepDevIndex: l.Attrs().Index}
	if err := netlink.LinkAdd(v); err != nil {
		return fmt.Errorf("vxlan: %w", err)
	}
	if _, err := up("vx0"); err != nil {
		return err
	}
	if err := newBridge("g0", "vx0"); err != nil {
		return err
	}
	if err := station("vx0", macOf(1), netlink.NTF_MASTER, nil); err != nil {
		return err
	}
	return station("vx0", macOf(1), netlink.NTF_SELF, nextHop.AsSlice())
}

// came is how many frames x1 has received.
func (k *kernel) came() (uint64, error) {
	l, err := netlink.LinkByIndex(k.x1)
	if err != nil {
		return 0, err
	}
	return l.Attrs().Statistics.RxPackets, nil
}

// md is struct xdp_md.
type md struct{ Data, DataEnd, DataMeta, Ingress, Queue, Egress uint32 }

const liveFrames = 1 << 1 // BPF_F_TEST_XDP_LIVE_FRAMES

func (k *kernel) inject(n int) error {
	_, err := k.prog.Run(&ebpf.RunOptions{Data: make([]byte, frameLen), Context: md{DataEnd: frameLen, Ingress: uint32(k.g0)}, Repeat: uint32(n), Flags: liveFrames})
	if err != nil {
		return fmt.Errorf("BPF_PROG_TEST_RUN with live frames: %w", err)
	}
	return nil
}

// ready waits until frames come out: ports of a bridge forward only when the
// kernel's link watch has looked at them, once a second.
func (k *kernel) ready() error {
	for range 100 {
		before, err := k.came()
		if err != nil {
			return err
		}
		if err := k.inject(1); err != nil {
			return err
		}
		if after, err := k.came(); err != nil || after > before {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
	return errors.New("no frame comes out")
}

func (k *kernel) run(n int) (float64, error) {
	if k.flush {
		// Every packet opens a flow; so many are there.
		n = min(n, k.flows)
		if err := netlink.ConntrackTableFlush(netlink.ConntrackTable); err != nil {
			return 0, fmt.Errorf("forgetting flows: %w", err)
		}
	} else if err := k.inject(max(n/8, 1)); err != nil { // what ran in between has used the caches
		return 0, err
	}
	before, err := k.came()
	if err != nil {
		return 0, err
	}
	thread, idle := cpuTime(unix.CLOCK_THREAD_CPUTIME_ID), schedTime(k.idler)
	if err := k.inject(n); err != nil {
		return 0, err
	}
	took := float64(cpuTime(unix.CLOCK_THREAD_CPUTIME_ID)-thread) + schedTime(k.idler) - idle
	after, err := k.came()
	if lost := n - int(after-before); err == nil && !k.generic && lost > n/1000 {
		err = fmt.Errorf("%d of %d frames did not come out", lost, n)
	}
	return took / float64(n), err
}

func (k *kernel) close() {
	for _, l := range k.links {
		l.Close()
	}
	k.xdp.close()
}

// softirqThread is the kernel's thread of this processor that takes over what is
// too much for the one that caused it.
func softirqThread() (string, error) {
	var cpus unix.CPUSet
	if err := unix.SchedGetaffinity(0, &cpus); err != nil {
		return "", err
	}
	cpu := 0
	for !cpus.IsSet(cpu) {
		cpu++
	}
	names, err := filepath.Glob("/proc/[0-9]*/comm")
	if err != nil {
		return "", err
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err == nil && string(text) == "ksoftirqd/"+strconv.Itoa(cpu)+"\n" {
			return filepath.Join(filepath.Dir(name), "schedstat"), nil
		}
	}
	return "", nil // a namespace of processes hides it
}

// schedTime is the CPU time in nanoseconds of a schedstat file.
func schedTime(name string) float64 {
	text, err := os.ReadFile(name)
	if err != nil {
		return 0
	}
	ns, _, _ := strings.Cut(string(text), " ")
	v, _ := strconv.ParseFloat(ns, 64)
	return v
}
