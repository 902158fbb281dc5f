package linux

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/google/nftables"
	mdlayher "github.com/mdlayher/netlink"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// space is an anonymous network namespace. Nothing but the handle keeps it
// alive: it has no name in /run/netns, so that it ends with the process,
// however that ends.
type space struct {
	name   string // for messages
	handle netns.NsHandle
	nl     *netlink.Handle
	frozen frozen  // not nil where connections are tracked
	ageing *uint32 // of addresses that bridges have learned, in hundredths of a second; nil: the kernel's 300 s
}

// quiet are the settings of every namespace: Windows' hop limit, no traffic
// that no stimulus asked for, no limits on what the kernel answers. A missing
// file is a feature that the kernel was built without.
var quiet = [][2]string{
	{"net/ipv4/ip_default_ttl", "128"},
	{"net/ipv6/conf/all/hop_limit", "128"},
	{"net/ipv6/conf/default/hop_limit", "128"},
	{"net/ipv4/icmp_ratelimit", "0"},
	{"net/ipv4/icmp_echo_ignore_broadcasts", "1"},
	{"net/ipv4/conf/all/rp_filter", "0"},
	{"net/ipv4/conf/default/rp_filter", "0"},
	{"net/ipv4/conf/all/accept_redirects", "0"},
	{"net/ipv4/conf/all/send_redirects", "0"},
	{"net/ipv4/conf/default/send_redirects", "0"},
	{"net/ipv4/conf/all/arp_ignore", "1"},
	{"net/ipv4/conf/all/arp_announce", "2"},
	{"net/ipv4/tcp_ecn", "0"},
	// The segments of the contract have no options but the MSS.
	{"net/ipv4/tcp_timestamps", "0"},
	{"net/ipv4/tcp_sack", "0"},
	{"net/ipv4/tcp_window_scaling", "0"},
	{"net/ipv6/conf/all/accept_dad", "0"},
	{"net/ipv6/conf/default/accept_dad", "0"},
	{"net/ipv6/conf/all/router_solicitations", "0"},
	{"net/ipv6/conf/default/router_solicitations", "0"},
	{"net/ipv6/conf/all/autoconf", "0"},
	{"net/ipv6/conf/default/autoconf", "0"},
	{"net/ipv6/conf/all/disable_ipv6", "1"},
	{"net/ipv6/conf/default/disable_ipv6", "1"},
	{"net/bridge/bridge-nf-call-iptables", "0"},
	{"net/bridge/bridge-nf-call-ip6tables", "0"},
	{"net/bridge/bridge-nf-call-arptables", "0"},
}

// newSpace makes a namespace with a loopback interface that is up.
func newSpace(name string) (*space, error) {
	s := &space{name: name, handle: netns.None()}
	err := onOwnThread(func() error {
		h, err := netns.New() // enters it, too
		if err != nil {
			return fmt.Errorf("namespace %s: %w", name, err)
		}
		s.handle = h
		for _, kv := range quiet {
			if err := writeSysctl(kv[0], kv[1]); err != nil && !os.IsNotExist(err) {
				return fmt.Errorf("namespace %s: %w", name, err)
			}
		}
		return nil
	})
	if err == nil {
		s.nl, err = netlink.NewHandleAt(s.handle, unix.NETLINK_ROUTE, unix.NETLINK_NETFILTER)
	}
	if err == nil {
		var lo netlink.Link
		if lo, err = s.nl.LinkByName("lo"); err == nil {
			err = s.nl.LinkSetUp(lo)
		}
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// onOwnThread runs f on a thread that may change its namespace.
func onOwnThread(f func() error) error {
	runtime.LockOSThread()
	home, err := netns.Get()
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("the process's own network namespace: %w", err)
	}
	defer home.Close()
	err = f()
	if back := netns.Set(home); back != nil {
		// The thread stays locked: it ends with this goroutine and is never
		// used for anything else.
		return fmt.Errorf("back to the process's own network namespace: %w", back)
	}
	runtime.UnlockOSThread()
	return err
}

// do runs f with the thread inside the namespace: what it opens belongs there.
func (s *space) do(f func() error) error {
	return onOwnThread(func() error {
		if err := netns.Set(s.handle); err != nil {
			return fmt.Errorf("namespace %s: %w", s.name, err)
		}
		return f()
	})
}

// sysctl sets net/... inside the namespace.
func (s *space) sysctl(path, value string) error {
	return s.do(func() error { return writeSysctl(path, value) })
}

func writeSysctl(path, value string) error {
	return os.WriteFile("/proc/sys/"+path, []byte(value), 0)
}

// nft opens a connection to the namespace's nftables.
func (s *space) nft() (*nftables.Conn, error) {
	// Every message of a transaction is acknowledged, and the acknowledgements
	// wait until all are sent.
	const room = 8 << 20
	return nftables.New(nftables.WithNetNSFd(int(s.handle)), nftables.WithSockOptions(func(c *mdlayher.Conn) error {
		return errors.Join(c.SetReadBuffer(room), c.SetWriteBuffer(room))
	}))
}

// close lets go of the namespace: the kernel takes it down with everything in
// it once no process and no socket is left.
func (s *space) close() {
	if s.nl != nil {
		s.nl.Close()
		s.nl = nil
	}
	if s.handle.IsOpen() {
		s.handle.Close()
	}
}
