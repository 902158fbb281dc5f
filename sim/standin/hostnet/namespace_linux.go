package hostnet

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
)

// Namespace is a network namespace for the programs of one host. Its methods
// may be called from several goroutines; they take effect one after another.
type Namespace struct {
	mu     sync.Mutex
	inside *thread // where the programs are
	wire   *thread // where the other ends of the pairs are
	wireNS *os.File
	have   []made
	next   int // number of the next pair
}

// made is an interface that exists.
type made struct {
	Interface
	linux string
	peer  string
}

// New makes a namespace with nothing but loopback. It fails without the
// privilege to (CAP_SYS_ADMIN).
func New() (*Namespace, error) {
	n := &Namespace{}
	var err error
	if n.inside, err = newThread(); err != nil {
		return nil, err
	}
	if n.wire, err = newThread(); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	err = n.wire.do(func() error {
		var err error
		n.wireNS, err = os.Open("/proc/thread-self/ns/net")
		return err
	})
	if err == nil {
		err = n.inside.do(func() error { return errors.Join(keepSecondaries(), up("lo")) })
	}
	if err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

// keepSecondaries lets the other addresses of a subnet stay when the first one
// goes. New interfaces take the setting over.
func keepSecondaries() error {
	var errs []error
	for _, of := range []string{"all", "default"} {
		errs = append(errs, os.WriteFile("/proc/sys/net/ipv4/conf/"+of+"/promote_secondaries", []byte("1"), 0))
	}
	return errors.Join(errs...)
}

func up(name string) error {
	l, err := netlink.LinkByName(name)
	if err == nil {
		err = netlink.LinkSetUp(l)
	}
	return err
}

// Do runs f on a thread inside the namespace: sockets that it opens and
// processes that it starts are there for good.
func (n *Namespace) Do(f func() error) error { return n.inside.do(f) }

// Listen opens a TCP port on the namespace's loopback.
func (n *Namespace) Listen(addr string) (ln net.Listener, err error) {
	err = n.Do(func() error {
		ln, err = net.Listen("tcp", addr)
		return err
	})
	return ln, err
}

// Close leaves the namespace. It goes when its last process has gone.
func (n *Namespace) Close() error {
	var err error
	if n.wireNS != nil {
		err = n.wireNS.Close()
	}
	n.inside.end()
	n.wire.end()
	return err
}

// Set makes the interfaces of the namespace those of the host, beside
// loopback. Those that stay keep their index.
func (n *Namespace) Set(want []Interface) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	names := linuxNames(want)
	var errs []error
	var kept []made
	for _, m := range n.have {
		if slices.Contains(names, m.linux) {
			kept = append(kept, m)
			continue
		}
		errs = append(errs, n.inside.do(func() error { return remove(m.linux) }))
	}
	n.have = kept
	// An address belongs to one interface: all go before others come.
	for i, w := range want {
		if m := n.find(names[i]); m != nil {
			errs = append(errs, n.inside.do(func() error { return m.take(w.Addrs) }))
		}
	}
	for i, w := range want {
		errs = append(errs, n.set(names[i], w))
	}
	return errors.Join(errs...)
}

// Names are the interfaces' names in Linux, each with the one in Windows.
func (n *Namespace) Names() (names [][2]string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, m := range n.have {
		names = append(names, [2]string{m.linux, m.Name})
	}
	return names
}

func (n *Namespace) find(linux string) *made {
	for i := range n.have {
		if n.have[i].linux == linux {
			return &n.have[i]
		}
	}
	return nil
}

// set makes or changes one interface.
func (n *Namespace) set(linux string, w Interface) error {
	m := n.find(linux)
	if m == nil {
		peer := fmt.Sprintf("end%d", n.next)
		n.next++
		err := n.inside.do(func() error { return n.addPair(linux, peer, &w) })
		if err == nil {
			err = n.wire.do(func() error { return up(peer) })
		}
		if err != nil {
			return fmt.Errorf("interface %q: %w", w.Name, err)
		}
		n.have = append(n.have, made{Interface: Interface{Name: w.Name, MAC: w.MAC, MTU: w.MTU, Down: true}, linux: linux, peer: peer})
		m = &n.have[len(n.have)-1]
	}
	if err := n.inside.do(func() error { return m.change(w) }); err != nil {
		return fmt.Errorf("interface %q: %w", w.Name, err)
	}
	return nil
}

func (n *Namespace) addPair(linux, peer string, w *Interface) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU = linux, w.MTU
	if !w.MAC.IsZero() {
		attrs.HardwareAddr = w.MAC[:]
	}
	pair := &netlink.Veth{LinkAttrs: attrs, PeerName: peer, PeerNamespace: netlink.NsFd(int(n.wireNS.Fd()))}
	if err := netlink.LinkAdd(pair); err != nil {
		return err
	}
	// The host's link-local addresses are among those that are asked for.
	if err := netlink.LinkSetIP6AddrGenMode(pair, addrGenModeNone); err != nil && !errors.Is(err, syscall.EAFNOSUPPORT) {
		return errors.Join(err, netlink.LinkDel(pair))
	}
	return nil
}

// addrGenModeNone is IN6_ADDR_GEN_MODE_NONE: the kernel gives an interface no
// address of its own.
const addrGenModeNone = 1

func remove(linux string) error {
	l, err := netlink.LinkByName(linux)
	if err == nil {
		err = netlink.LinkDel(l)
	}
	return err
}

// take removes the addresses that are not among keep.
func (m *made) take(keep []netip.Prefix) error {
	l, err := netlink.LinkByName(m.linux)
	if err != nil {
		return err
	}
	var errs []error
	m.Addrs = slices.DeleteFunc(m.Addrs, func(a netip.Prefix) bool {
		if slices.Contains(keep, a) {
			return false
		}
		// One that is gone already has what is wanted.
		if err := netlink.AddrDel(l, address(a)); !errors.Is(err, syscall.EADDRNOTAVAIL) {
			errs = append(errs, err)
		}
		return true
	})
	return errors.Join(errs...)
}

// change makes the interface what w says, apart from addresses to remove.
func (m *made) change(w Interface) error {
	l, err := netlink.LinkByName(m.linux)
	if err != nil {
		return err
	}
	var errs []error
	if w.MAC != m.MAC && !w.MAC.IsZero() {
		errs = append(errs, netlink.LinkSetHardwareAddr(l, w.MAC[:]))
	}
	if w.MTU != m.MTU && w.MTU > 0 {
		errs = append(errs, netlink.LinkSetMTU(l, w.MTU))
	}
	for _, a := range w.Addrs {
		if !slices.Contains(m.Addrs, a) {
			errs = append(errs, netlink.AddrAdd(l, address(a)))
		}
	}
	switch {
	case w.Down && !m.Down:
		errs = append(errs, netlink.LinkSetDown(l))
	case !w.Down && m.Down:
		errs = append(errs, netlink.LinkSetUp(l), awaitRunning(m.linux))
	}
	m.Interface = w
	m.Addrs = slices.Clone(w.Addrs)
	return errors.Join(errs...)
}

// awaitRunning waits until the kernel has noticed that the other end is up,
// which it does a little later: a program must not find a dead interface.
func awaitRunning(linux string) error {
	for range 1000 {
		l, err := netlink.LinkByName(linux)
		if err != nil {
			return err
		}
		if l.Attrs().RawFlags&syscall.IFF_RUNNING != 0 {
			return nil
		}
		time.Sleep(time.Millisecond)
	}
	return errors.New("the link does not come up")
}

// address is an address that is usable at once: nobody on the wire could have
// it already.
func address(p netip.Prefix) *netlink.Addr {
	a := &netlink.Addr{IPNet: &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}}
	if p.Addr().Is6() {
		a.Flags = syscall.IFA_F_NODAD
	}
	return a
}

// thread is a thread of the system in a network namespace of its own.
type thread struct {
	work chan func()
	once sync.Once
}

func newThread() (*thread, error) {
	t := &thread{work: make(chan func())}
	ready := make(chan error, 1)
	go func() {
		// Never unlocked: the thread ends with the goroutine, and nobody else
		// finds himself in its namespace.
		runtime.LockOSThread()
		err := os.NewSyscallError("unshare", syscall.Unshare(syscall.CLONE_NEWNET))
		ready <- err
		if err != nil {
			return
		}
		for f := range t.work {
			f()
		}
	}()
	if err := <-ready; err != nil {
		return nil, err
	}
	return t, nil
}

func (t *thread) do(f func() error) error {
	done := make(chan error, 1)
	t.work <- func() { done <- f() }
	return <-done
}

func (t *thread) end() {
	if t != nil {
		t.once.Do(func() { close(t.work) })
	}
}
