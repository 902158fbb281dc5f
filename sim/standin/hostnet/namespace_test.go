//go:build linux

package hostnet

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/hnsim/hnsim/sim/wire"
)

func mkNamespace(t *testing.T) *Namespace {
	t.Helper()
	n, err := New()
	if errors.Is(err, syscall.EPERM) && os.Getenv("HNSIM_REQUIRE_TOOLS") != "1" {
		t.Skip("network namespaces need root or CAP_SYS_ADMIN:", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

// show lists the interfaces that a program inside sees.
func show(t *testing.T, n *Namespace) (list []string) {
	t.Helper()
	err := n.Do(func() error {
		ifaces, err := net.Interfaces()
		for _, i := range ifaces {
			addrs, _ := i.Addrs()
			state := "down"
			if i.Flags&net.FlagRunning != 0 {
				state = "running"
			}
			list = append(list, fmt.Sprintf("%s %s %d %s %v", i.Name, i.HardwareAddr, i.MTU, state, addrs))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func prefixes(list ...string) (out []netip.Prefix) {
	for _, p := range list {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}

func TestInterfacesFollowTheHost(t *testing.T) {
	n := mkNamespace(t)
	before, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	mac := wire.MAC{0, 0x15, 0x5D, 0x82, 0, 0x23}
	lo := "lo  65536 running [127.0.0.1/8 ::1/128]"
	eth := Interface{Name: "Ethernet", MAC: mac, MTU: 1500, Addrs: prefixes("10.127.130.35/24", "fd00::35/64", "fe80::35/64")}
	bare := Interface{Name: "Ethernet", MAC: mac, MTU: 1500, Down: true}
	nic := Interface{Name: "vEthernet (Ethernet)", MAC: mac, MTU: 1450, Addrs: eth.Addrs}
	bridge := Interface{Name: "vEthernet (cbr0)", MAC: wire.MAC{0, 0x15, 0x5D, 1, 2, 3}, MTU: 1500, Addrs: prefixes("10.244.1.2/24")}
	steps := []struct {
		name string
		set  []Interface
		want []string
	}{
		{"nothing", nil, []string{lo}},
		{"a host without networks", []Interface{eth},
			[]string{lo, "Ethernet 00:15:5d:82:00:23 1500 running [10.127.130.35/24 fd00::35/64 fe80::35/64]"}},
		{"an external switch takes the NIC over", []Interface{bare, nic},
			[]string{lo, "Ethernet 00:15:5d:82:00:23 1500 down []", "vEthernet_Ether 00:15:5d:82:00:23 1450 running [10.127.130.35/24 fd00::35/64 fe80::35/64]"}},
		{"an endpoint of the host", []Interface{bare, nic, bridge},
			[]string{lo, "Ethernet 00:15:5d:82:00:23 1500 down []", "vEthernet_Ether 00:15:5d:82:00:23 1450 running [10.127.130.35/24 fd00::35/64 fe80::35/64]",
				"vEthernet_cbr0 00:15:5d:01:02:03 1500 running [10.244.1.2/24]"}},
		{"back again", []Interface{eth},
			[]string{lo, "Ethernet 00:15:5d:82:00:23 1500 running [10.127.130.35/24 fd00::35/64 fe80::35/64]"}},
		{"other settings", []Interface{{Name: "Ethernet", MAC: wire.MAC{2, 0, 0, 0, 0, 1}, MTU: 1400, Addrs: prefixes("10.0.0.1/8")}},
			[]string{lo, "Ethernet 02:00:00:00:00:01 1400 running [10.0.0.1/8]"}},
		{"nothing again", nil, []string{lo}},
	}
	for _, s := range steps {
		if err := n.Set(s.set); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		if got := show(t, n); !slices.Equal(got, s.want) {
			t.Errorf("%s:\n got %s\nwant %s", s.name, strings.Join(got, "\n     "), strings.Join(s.want, "\n     "))
		}
	}
	if after, err := net.Interfaces(); err != nil || len(after) != len(before) {
		t.Errorf("outside: %v, was %v", after, before)
	}
}

// TestSecondAddressesOfASubnetStay takes the first address of a subnet away, with
// which Linux would drop the others, and moves several at once.
func TestSecondAddressesOfASubnetStay(t *testing.T) {
	n := mkNamespace(t)
	mac := wire.MAC{0, 0x15, 0x5D, 0x82, 0, 0x23}
	with := func(name string, addrs ...string) Interface {
		return Interface{Name: name, MAC: mac, MTU: 1500, Addrs: prefixes(addrs...)}
	}
	three := []string{"10.0.0.1/24", "10.0.0.2/24", "10.0.0.3/24"}
	for _, s := range []struct {
		name string
		set  []Interface
		want string
	}{
		{"three", []Interface{with("Ethernet", three...)}, "[10.0.0.1/24 10.0.0.2/24 10.0.0.3/24]"},
		{"without the first", []Interface{with("Ethernet", three[1:]...)}, "[10.0.0.2/24 10.0.0.3/24]"},
		{"moved", []Interface{with("Ethernet"), with("vEthernet (Ethernet)", three...)}, "[10.0.0.1/24 10.0.0.2/24 10.0.0.3/24]"},
		{"none", []Interface{with("Ethernet"), with("vEthernet (Ethernet)")}, "[]"},
	} {
		if err := n.Set(s.set); err != nil {
			t.Errorf("%s: %v", s.name, err)
		}
		list := show(t, n)
		if got := list[len(list)-1]; !strings.HasSuffix(got, "running "+s.want) {
			t.Errorf("%s: %s, want %s", s.name, got, s.want)
		}
	}
}

func TestPortsInsideAreReachedFromInsideOnly(t *testing.T) {
	n := mkNamespace(t)
	ln, err := n.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	dial := func() error {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err == nil {
			c.Close()
		}
		return err
	}
	if err := n.Do(dial); err != nil {
		t.Error("inside:", err)
	}
	if err := dial(); err == nil {
		t.Error("outside: connected")
	}
}
