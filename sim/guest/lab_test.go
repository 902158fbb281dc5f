package guest_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/hnsim/hnsim/sim"
	"github.com/hnsim/hnsim/sim/fabric"
	"github.com/hnsim/hnsim/sim/fabric/ipstack"
	"github.com/hnsim/hnsim/sim/guest"
	"github.com/hnsim/hnsim/sim/hns"
	"github.com/hnsim/hnsim/sim/vfp"
	"github.com/hnsim/hnsim/sim/wire"
)

// lab is two hosts, a router and the external machine x of the contract's
// reference topology (0.4), and what the physical wires carry.
type lab struct {
	t      testing.TB
	w      *sim.World
	h1, h2 *sim.Host
	x      *fabric.External
	run    *guest.Runner

	// Written by the pump: read them within Do or after Close.
	vxlan   int              // VXLAN frames that entered h1's or h2's wire
	plain   int              // frames there with a container's own address outside
	sources map[string]int   // IPv4 sources of TCP that x's wire brought
	hops    int              // from the sender to x, by TTL
	longest int              // frame on a host's wire
	drops   map[vfp.Drop]int // by reason, all places
}

func newLab(t testing.TB) *lab {
	t.Helper()
	leakCheck(t)
	l := &lab{t: t, sources: map[string]int{}, drops: map[vfp.Drop]int{}}
	var err error
	if l.w, err = sim.New(sim.Config{Observer: fabric.Observer{OnWire: l.onWire, OnDrop: l.onDrop}}); err != nil {
		t.Fatal(err)
	}
	l.h1 = l.host("h1", "10.127.130.35/24", "00-15-5D-82-00-23")
	l.h2 = l.host("h2", "10.127.130.38/24", "00-15-5D-82-00-26")
	if _, err := l.w.Net.AddRouter(fabric.NodeConfig{Name: "r", Ifaces: []fabric.IfaceConfig{
		{Segment: "lan", Addrs: prefixes("10.127.130.1/24")},
		{Segment: "wan", Addrs: prefixes("203.0.113.1/24")},
	}}); err != nil {
		t.Fatal(err)
	}
	if l.x, err = l.w.Net.AddExternal(fabric.NodeConfig{Name: "x", Ifaces: []fabric.IfaceConfig{
		{Segment: "wan", Addrs: prefixes("203.0.113.80/24")}}}); err != nil {
		t.Fatal(err)
	}
	return l
}

func prefixes(s string) []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix(s)} }

func (l *lab) onWire(_ int64, n *fabric.NIC, dir fabric.WireDir, frame []byte, _ uint64) {
	var m wire.Meta
	if wire.Parse(frame, &m) != wire.OK || !m.IsIPv4 {
		return
	}
	src := m.Src(frame)
	switch {
	case n.Node() == "x" && dir == fabric.Rx && m.Proto == wire.ProtoTCP:
		l.sources[src.String()]++
		l.hops = ipstack.DefaultTTL - int(m.TTL(frame))
	case n.Node() == "h1" || n.Node() == "h2":
		l.longest = max(l.longest, len(frame))
		if m.Proto == wire.ProtoUDP && m.DstPort == wire.VXLANPort {
			l.vxlan++
		} else if !netip.MustParsePrefix("10.127.130.0/24").Contains(src) && src.IsPrivate() {
			l.plain++
		}
	}
}

func (l *lab) onDrop(_ int64, _, _ string, why vfp.Drop, _ []byte, _ uint64) { l.drops[why]++ }

func (l *lab) host(name, addr, mac string) *sim.Host {
	l.t.Helper()
	h, err := l.w.AddHost(sim.HostConfig{Name: name, Addrs: prefixes(addr), MAC: wire.MustMAC(mac), Gateway: netip.MustParseAddr("10.127.130.1")})
	if err != nil {
		l.t.Fatal(err)
	}
	return h
}

func (l *lab) network(h *sim.Host, doc string) string {
	l.t.Helper()
	id, err := create(h, "network", "", doc)
	if err != nil {
		l.t.Fatal(err)
	}
	return id
}

// container makes an endpoint on a network and starts a container with it.
func (l *lab) container(h *sim.Host, network, addr, policies string) guest.Place {
	l.t.Helper()
	ns, err := startContainer(h, network, addr, policies)
	if err != nil {
		l.t.Fatal(err)
	}
	return guest.Container(h, ns)
}

func create(h *sim.Host, kind hns.Kind, parent, doc string) (string, error) {
	id, _, err := h.HNS.Do(kind, "create", "", parent, []byte(doc))
	return id, err
}

// startContainer returns the id of the container's namespace.
func startContainer(h *sim.Host, network, addr, policies string) (string, error) {
	ep, err := create(h, "endpoint", network, fmt.Sprintf(
		`{"Name":%q,"SchemaVersion":{"Major":2,"Minor":0},"IpConfigurations":[{"IpAddress":%q}],"Policies":[%s]}`,
		addr, addr, policies))
	if err != nil {
		return "", err
	}
	ns, err := create(h, "namespace", "", `{"Type":"Host"}`)
	if err != nil {
		return "", err
	}
	request := fmt.Sprintf(`{"ResourceType":"Endpoint","RequestType":"Add","Settings":{"EndpointId":%q}}`, ep)
	if _, _, err := h.HNS.Do("namespace", "modify", ns, "", []byte(request)); err != nil {
		return "", err
	}
	return ns, h.HNS.StartContainer(ns, "container-"+addr, hns.ProcessIsolated)
}

// start begins to run the world; the lab's end closes the runner.
func (l *lab) start(cfg guest.Config) {
	l.t.Helper()
	var err error
	if l.run, err = guest.NewRunner(l.w, cfg); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { l.close() })
}

func (l *lab) attach(p guest.Place) *guest.Guest {
	l.t.Helper()
	g, err := l.run.Attach(p)
	if err != nil {
		l.t.Fatal(err)
	}
	return g
}

// close ends the run; what the wires saw can be read afterwards.
func (l *lab) close() {
	l.t.Helper()
	if err := l.run.Close(); err != nil {
		l.t.Errorf("the run ended with: %v", err)
	}
}

// overlay makes the containers a on h1 and b on h2 of one VXLAN network.
func (l *lab) overlay() (a, b *guest.Guest) {
	l.t.Helper()
	n1 := l.network(l.h1, overlayDoc(site1, site2))
	n2 := l.network(l.h2, overlayDoc(site2, site1))
	pa := l.container(l.h1, n1, "10.244.1.10", overhead)
	pb := l.container(l.h2, n2, "10.244.2.20", overhead)
	l.start(guest.Config{})
	return l.attach(pa), l.attach(pb)
}

// nat makes the container a on h1's nat network, with port 80 published as
// 8080, and a guest on x.
func (l *lab) nat() (a, x *guest.Guest) {
	l.t.Helper()
	p := l.container(l.h1, l.network(l.h1, natDoc), "172.16.0.10",
		`{"Type":"PortMapping","Settings":{"Protocol":6,"InternalPort":80,"ExternalPort":8080}}`)
	l.start(guest.Config{})
	return l.attach(p), l.attach(guest.External(l.x))
}

// link changes the wire of a node.
func (l *lab) link(node string, c fabric.LinkConfig) {
	l.t.Helper()
	nic := l.h1.NIC("")
	switch node {
	case "h2":
		nic = l.h2.NIC("")
	case "x":
		nic = l.x.NICs()[0]
	}
	if err := l.run.Do(func(int64) { nic.SetLink(c) }); err != nil {
		l.t.Fatal(err)
	}
}

const (
	overhead = `{"Type":"EncapOverhead","Settings":{"Overhead":50}}`
	natDoc   = `{"Name":"nat","Type":"NAT","SchemaVersion":{"Major":2,"Minor":0},
	 "Ipams":[{"Type":"Static","Subnets":[{"IpAddressPrefix":"172.16.0.0/24","Routes":[{"NextHop":"172.16.0.1","DestinationPrefix":"0.0.0.0/0"}]}]}]}`
)

// body is n bytes that no compression and no lucky shift can fake, with their
// SHA-256.
func body(n int) (bytes []byte, sum string) {
	bytes = make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(bytes)
	s := sha256.Sum256(bytes)
	return bytes, hex.EncodeToString(s[:])
}

// serve runs an HTTP server on port 80 of a guest until the test ends.
func (l *lab) serve(g *guest.Guest, h http.Handler) {
	l.t.Helper()
	ln, err := g.Listen("tcp", ":80")
	if err != nil {
		l.t.Fatal(err)
	}
	srv := &http.Server{Handler: h}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	l.t.Cleanup(func() {
		_ = srv.Close()
		// A guest that is closed before its server closes the listener.
		if err := <-done; !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			l.t.Errorf("the server of %s ended with: %v", g, err)
		}
	})
}

// fetch gets a URL and returns the length and SHA-256 of the body.
func fetch(g *guest.Guest, url string) (n int64, sum string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	resp, err := g.HTTPClient().Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	h := sha256.New()
	n, err = io.Copy(h, resp.Body)
	return n, hex.EncodeToString(h.Sum(nil)), err
}

// fetch is fetch that must succeed.
func (l *lab) fetch(g *guest.Guest, url string) (n int64, sum string) {
	l.t.Helper()
	n, sum, err := fetch(g, url)
	if err != nil {
		l.t.Fatalf("%s: after %d bytes: %v", g, n, err)
	}
	return n, sum
}

// patience is when a test gives up waiting for what must come.
const patience = 60 * time.Second

// dial connects or fails the test.
func (l *lab) dial(g *guest.Guest, network, address string) net.Conn {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := g.Dial(ctx, network, address)
	if err != nil {
		l.t.Fatal(err)
	}
	return c
}

// leakCheck fails the test if goroutines of guests outlive it. It must be
// registered before anything that cleans them up.
func leakCheck(t testing.TB) {
	t.Cleanup(func() {
		var left []string
		for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
			if left = guestGoroutines(); len(left) == 0 {
				return
			}
		}
		t.Errorf("%d goroutines are left, for example:\n%s", len(left), left[0])
	})
}

// guestGoroutines are the goroutines in guests' code, in gVisor's, or in that
// of HTTP on top of them. The test's own is none of them.
func guestGoroutines() []string {
	buf := make([]byte, 1<<20)
	all := strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n")
	var left []string
	for _, g := range all[1:] {
		for _, part := range []string{"gvisor.dev/gvisor", "sim/guest.(*", "net/http.(*"} {
			if strings.Contains(g, part) && !strings.Contains(g, "testing.tRunner(") {
				left = append(left, g)
				break
			}
		}
	}
	return left
}
