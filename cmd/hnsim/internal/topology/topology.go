package topology

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/hnsim/hnsim/sim"
	"github.com/hnsim/hnsim/sim/fabric"
	"github.com/hnsim/hnsim/sim/fabric/ipstack"
	"github.com/hnsim/hnsim/sim/wire"
)

// Topology is what a file says. Zero values are what the file leaves out.
type Topology struct {
	Profile    string
	Seed       *uint64
	Knobs      map[string]string
	Hosts      []Host
	Routers    []fabric.NodeConfig
	Externals  []External
	Links      []Link
	Containers []string

	// at adds to an error where it is in the file or on the command line.
	at func(path string, err error) error
}

// OfHosts makes a world of hosts alone from the texts of --host flags:
// name=address/bits.
func OfHosts(flags []string) (*Topology, error) {
	t := &Topology{at: func(path string, err error) error {
		i := 0
		if _, scan := fmt.Sscanf(path, "hosts[%d]", &i); scan != nil {
			return err
		}
		return fmt.Errorf("--host %q: %w", flags[i], err)
	}}
	for i, text := range flags {
		name, addr, _ := strings.Cut(text, "=")
		prefix, err := netip.ParsePrefix(addr)
		if err != nil || name == "" {
			return nil, fmt.Errorf("--host %q: expected name=address/bits", text)
		}
		for _, h := range t.Hosts {
			if h.Name == name {
				return nil, fmt.Errorf("--host %q: the host name %s is given twice: expected another name", text, name)
			}
		}
		t.Hosts = append(t.Hosts, Host{HostConfig: sim.HostConfig{Name: name, Addrs: []netip.Prefix{prefix},
			MAC: wire.MAC{0x00, 0x15, 0x5D, 0x82, byte((0x23 + i) >> 8), byte(0x23 + i)}}})
	}
	return t, t.check()
}

// Host is a Windows host.
type Host struct {
	sim.HostConfig
	Routes []fabric.Route
}

// External is a plain machine.
type External struct {
	fabric.NodeConfig
	First, Last netip.Addr // what it serves by DHCP; invalid: it does not
	Mute        bool       // echo requests are not answered
}

// Link impairs the wire of a node's NIC.
type Link struct {
	Node, NIC     string // NIC "" is the first
	Delay         time.Duration
	Loss, Reorder float64 // shares, 0 to 1
	RateBPS       int64   // bits per second; 0 is unlimited
	MTU           int
	Down          bool
}

// maxBytes bounds the file.
const maxBytes = 1 << 20

// Read reads a file.
func Read(name string) (*Topology, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, fmt.Errorf("--topology: %w: expected a file with a description of the world in JSON", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("--topology %s: found something that is no file, expected a description of the world in JSON", name)
	}
	if info.Size() > maxBytes {
		return nil, fmt.Errorf("%s: found %d bytes, expected at most %d", name, info.Size(), maxBytes)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return Parse(name, text)
}

// leaseTime of a DHCP server.
const leaseTime = 8 * time.Hour

// Build adds everything to a world.
func (t *Topology) Build(w *sim.World) error {
	for i, c := range t.Routers {
		if _, err := w.Net.AddRouter(c); err != nil {
			return t.at(fmt.Sprintf("routers[%d]", i), fmt.Errorf("router %s: %w", c.Name, err))
		}
	}
	for i, h := range t.Hosts {
		c := h.HostConfig
		if !c.Gateway.IsValid() {
			c.Gateway = t.gateway(&c)
		}
		host, err := w.AddHost(c)
		if err != nil {
			return t.at(fmt.Sprintf("hosts[%d]", i), fmt.Errorf("host %s: %w", c.Name, err))
		}
		for k, r := range h.Routes {
			if err := host.AddRoute(r); err != nil {
				return t.at(fmt.Sprintf("hosts[%d].route[%d]", i, k), fmt.Errorf("host %s: route to %s: %w", c.Name, r.Dst, err))
			}
		}
	}
	for i, x := range t.Externals {
		if err := x.build(w); err != nil {
			return t.at(fmt.Sprintf("externals[%d]", i), fmt.Errorf("external %s: %w", x.Name, err))
		}
	}
	for i, l := range t.Links {
		if err := l.build(w); err != nil {
			return t.at(fmt.Sprintf("links[%d]", i), err)
		}
	}
	return nil
}

// gateway is the address of the first router on the host's segment.
func (t *Topology) gateway(h *sim.HostConfig) netip.Addr {
	for _, r := range t.Routers {
		for _, i := range r.Ifaces {
			if orLAN(i.Segment) != orLAN(h.Segment) || i.VLAN != h.VLAN {
				continue
			}
			for _, at := range i.Addrs {
				for _, a := range h.Addrs {
					if at.Contains(a.Addr()) && at.Addr() != a.Addr() {
						return at.Addr()
					}
				}
			}
		}
	}
	return netip.Addr{}
}

func orLAN(segment string) string {
	if segment == "" {
		return fabric.DefaultSegment
	}
	return segment
}

func (x *External) build(w *sim.World) error {
	e, err := w.Net.AddExternal(x.NodeConfig)
	if err != nil {
		return err
	}
	e.Stack().SetEchoReply(!x.Mute)
	if !x.First.IsValid() {
		return nil
	}
	_, err = e.Stack().ServeDHCP(e.Stack().Interface(e.NICs()[0].Name()), ipstack.DHCPServerConfig{
		First: x.First, Last: x.Last, Router: x.Ifaces[0].Gateway, Lease: leaseTime,
	})
	return err
}

func (l *Link) build(w *sim.World) error {
	node := w.Net.Node(l.Node)
	if node == nil {
		return fmt.Errorf("link of %s: there is no such node", l.Node)
	}
	nic := node.NIC(l.NIC)
	if nic == nil {
		if b, ok := node.(interface{ NICs() []*fabric.NIC }); ok && l.NIC == "" {
			nic = b.NICs()[0]
		}
	}
	if nic == nil || l.NIC != "" && nic.Name() != l.NIC {
		return fmt.Errorf("link of %s: it has no NIC %q", l.Node, l.NIC)
	}
	c := nic.Link()
	c.Delay, c.Loss, c.Reorder, c.RateBps, c.Down = l.Delay, l.Loss, l.Reorder, l.RateBPS, l.Down
	nic.SetLink(c)
	if l.MTU > 0 {
		nic.SetMTU(l.MTU)
	}
	return nil
}
