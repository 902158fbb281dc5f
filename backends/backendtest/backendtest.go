package backendtest

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/wire"
)

// Run checks b. Checks that need a capability which b does not list are
// skipped with its name.
func Run(t *testing.T, b backends.Backend) {
	for _, c := range []struct {
		name  string
		needs []backends.Capability
		check func(*testing.T, *lab)
	}{
		{"capabilities and features are named", nil, namesThings},
		{"bad requests are usage errors", nil, refusesNonsense},
		{"refusals of the control plane carry their code", []backends.Capability{backends.NATNetwork}, refusesDocuments},
		{"what is sent is observed once at every point", []backends.Capability{backends.NATNetwork, backends.Wires}, observes},
		{"time passes by Advance", nil, advances},
		{"drops have a reason and a place", []backends.Capability{backends.NATNetwork, backends.DropReasons, backends.RawFrames}, dropsByName},
		{"a packet can be traced", []backends.Capability{backends.TransparentNetwork, backends.PacketTrace}, traces},
		{"the same seed gives the same events", []backends.Capability{backends.VirtualTime, backends.NATNetwork}, repeats},
		{"Close leaves nothing behind", []backends.Capability{backends.NATNetwork}, closes},
		{"worlds are separate", []backends.Capability{backends.NATNetwork}, separates},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, n := range c.needs {
				if !slices.Contains(b.Capabilities(), n) {
					t.Skipf("backend %s has no capability %s", b.Name(), n)
				}
			}
			c.check(t, newLab(t, b))
		})
	}
}

// lab is a world with a host behind a router and an external machine.
type lab struct {
	t   *testing.T
	b   backends.Backend
	w   backends.World
	ctx context.Context
}

func newLab(t *testing.T, b backends.Backend) *lab {
	t.Helper()
	l := &lab{t: t, b: b, ctx: context.Background()}
	w, err := b.Open(l.ctx, backends.WorldConfig{Seed: 1, Tracing: slices.Contains(b.Capabilities(), backends.PacketTrace)})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	l.w = w
	l.node(backends.RouterNode, "r", backends.Iface{Segment: "lan", Addrs: prefixes("10.127.130.1/24")}, backends.Iface{Segment: "wan", Addrs: prefixes("203.0.113.1/24")})
	l.node(backends.HostNode, "h1", backends.Iface{Addrs: prefixes("10.127.130.35/24")})
	l.node(backends.ExternalNode, "x", backends.Iface{Segment: "wan", Addrs: prefixes("203.0.113.80/24")})
	return l
}

func prefixes(s string) []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix(s)} }

func (l *lab) node(kind backends.NodeKind, name string, ifs ...backends.Iface) {
	l.t.Helper()
	if err := l.w.AddNode(l.ctx, backends.Node{Kind: kind, Name: name, Ifaces: ifs}); err != nil {
		l.t.Fatalf("AddNode %s: %v", name, err)
	}
}

const (
	natNetwork = `{"Name":"nat","Type":"NAT","SchemaVersion":{"Major":2,"Minor":0},
	 "Ipams":[{"Type":"Static","Subnets":[{"IpAddressPrefix":"172.16.0.0/24","Routes":[{"NextHop":"172.16.0.1","DestinationPrefix":"0.0.0.0/0"}]}]}]}`
	transparentNetwork = `{"Name":"tr","Type":"Transparent","SchemaVersion":{"Major":2,"Minor":0},
	 "Ipams":[{"Type":"Static","Subnets":[{"IpAddressPrefix":"10.127.130.0/24","Routes":[{"NextHop":"10.127.130.1","DestinationPrefix":"0.0.0.0/0"}]}]}]}`
)

// container makes a network, an endpoint and a container c1 on h1.
func (l *lab) container(network, ip string) {
	l.t.Helper()
	net := l.create("network", "", network)
	ep := l.create("endpoint", net, `{"Name":"e","SchemaVersion":{"Major":2,"Minor":0},"IpConfigurations":[{"IpAddress":"`+ip+`"}]}`)
	if err := l.w.AddContainer(l.ctx, backends.Container{Name: "c1", Host: "h1", Endpoints: []string{ep}}); err != nil {
		l.t.Fatalf("AddContainer: %v", err)
	}
}

func (l *lab) create(kind, parent, doc string) string {
	l.t.Helper()
	res, err := l.w.HCN(l.ctx, backends.HCNOp{Host: "h1", Kind: kind, Verb: "create", Parent: parent, Body: []byte(doc)})
	if err != nil || res.ID == "" {
		l.t.Fatalf("create %s: id %q, %v", kind, res.ID, err)
	}
	return res.ID
}

func (l *lab) do(s backends.Stimulus) backends.Outcome {
	l.t.Helper()
	out, err := l.w.Do(l.ctx, s)
	if err != nil {
		l.t.Fatalf("Do %s: %v", s.Kind, err)
	}
	return out
}

func (l *lab) hello() backends.Outcome {
	return l.do(backends.Stimulus{Kind: backends.SendPacket, Role: "c1", Proto: "udp",
		Src: netip.MustParseAddrPort("172.16.0.10:40000"), Dst: netip.MustParseAddrPort("203.0.113.80:53"), Payload: []byte("hello")})
}

// seen counts observations of UDP datagrams at a point.
func (l *lab) seen(kind backends.ObservationKind, role, peer string) int {
	n := 0
	for _, o := range l.w.Observations() {
		var m wire.Meta
		if o.Kind == kind && o.Role == role && (peer == "" || o.Peer == peer) && wire.Parse(o.Frame, &m) == wire.OK && m.Proto == wire.ProtoUDP {
			n++
		}
	}
	return n
}

func namesThings(t *testing.T, l *lab) {
	if l.b.Name() == "" || strings.ContainsAny(l.b.Name(), " /") {
		t.Errorf("name %q is empty or not one word", l.b.Name())
	}
	known := backends.Capabilities()
	for _, c := range l.b.Capabilities() {
		if !slices.Contains(known, c) {
			t.Errorf("capability %q is not one of the contract's", c)
		}
	}
	fs, err := l.b.Features(hcn.DefaultProfile)
	if err != nil {
		t.Fatalf("Features: %v", err)
	}
	for _, f := range hcn.Features() {
		if _, ok := fs.Supported[f.Name]; !ok {
			t.Errorf("feature %s is not answered", f.Name)
		}
		if fs.Ranges[f.Name] == "" {
			t.Errorf("feature %s has no range text for skip reasons", f.Name)
		}
	}
	if _, err := l.b.Features("ws1999"); err == nil {
		t.Error("an unknown profile is accepted")
	}
}

func refusesNonsense(t *testing.T, l *lab) {
	_, errHCN := l.w.HCN(l.ctx, backends.HCNOp{Host: "nobody", Kind: "network", Verb: "create", Body: []byte("{}")})
	_, errDo := l.w.Do(l.ctx, backends.Stimulus{Kind: backends.Ping, Role: "nobody", Dst: netip.MustParseAddrPort("10.0.0.1:0")})
	for name, err := range map[string]error{
		"a second node of one name": l.w.AddNode(l.ctx, backends.Node{Kind: backends.HostNode, Name: "h1", Ifaces: []backends.Iface{{Addrs: prefixes("10.127.130.36/24")}}}),
		"a link of nobody":          l.w.SetLink(l.ctx, backends.Link{Node: "nobody"}),
		"a setting of nobody":       l.w.Set(l.ctx, backends.Setting{Node: "nobody", Name: "hns.restart"}),
		"an unknown setting":        l.w.Set(l.ctx, backends.Setting{Node: "h1", Name: "no.such.setting"}),
		"a call to nobody's HNS":    errHCN,
		"a stimulus of nobody":      errDo,
		"time running backwards":    l.w.Advance(l.ctx, -time.Second),
	} {
		var u *backends.UsageError
		if !errors.As(err, &u) {
			t.Errorf("%s: got %v, want a *UsageError", name, err)
		} else if u.Msg == "" {
			t.Errorf("%s: the error says nothing", name)
		}
	}
}

func refusesDocuments(t *testing.T, l *lab) {
	l.create("network", "", natNetwork)
	_, err := l.w.HCN(l.ctx, backends.HCNOp{Host: "h1", Kind: "network", Verb: "create", Body: []byte(natNetwork)})
	if !errors.Is(err, hcn.ErrNetworkAlreadyExists) {
		t.Errorf("a second network of one name: %v, want %v", err, hcn.ErrNetworkAlreadyExists)
	}
}

func observes(t *testing.T, l *lab) {
	l.container(natNetwork, "172.16.0.10")
	if out := l.hello(); !out.OK || out.ID == 0 {
		t.Fatalf("outcome %+v, want success and an identity", out)
	}
	for _, p := range []struct {
		kind       backends.ObservationKind
		role, peer string
	}{
		{backends.Sent, "c1", ""}, {backends.OnWire, "h1", "tx"}, {backends.OnWire, "x", "rx"}, {backends.Received, "x", ""},
	} {
		if n := l.seen(p.kind, p.role, p.peer); n != 1 {
			t.Errorf("%s %s %s: %d datagrams, want 1", p.kind, p.role, p.peer, n)
		}
	}
	for i, o := range l.w.Observations() {
		if o.Seq != i {
			t.Fatalf("observation %d has number %d", i, o.Seq)
		}
	}
	if bad := l.w.Invariants(); len(bad) > 0 {
		t.Errorf("invariants: %v", bad)
	}
}

func advances(t *testing.T, l *lab) {
	before := l.w.Now()
	if err := l.w.Advance(l.ctx, 50*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if d := l.w.Now() - before; d < 50*time.Millisecond {
		t.Errorf("%v passed, want at least 50ms", d)
	}
}

func dropsByName(t *testing.T, l *lab) {
	l.container(natNetwork, "172.16.0.10")
	spoofed := wire.Frame{EthDst: wire.Broadcast, EthSrc: wire.MustMAC("02-00-00-00-00-77"),
		IP: &wire.IPFields{Src: netip.MustParseAddr("172.16.0.10"), Dst: netip.MustParseAddr("255.255.255.255")}, UDP: &wire.UDPFields{SrcPort: 1, DstPort: 2}}
	l.do(backends.Stimulus{Kind: backends.SendFrame, Role: "c1", Frame: spoofed.Bytes()})
	for _, o := range l.w.Observations() {
		if o.Kind == backends.DroppedAt && o.Reason == "MacSpoof" && o.Role == "h1" && strings.HasPrefix(o.Where, "c1") {
			return
		}
	}
	t.Error("a spoofed source address is not reported as MacSpoof at c1 on h1")
}

func traces(t *testing.T, l *lab) {
	l.container(transparentNetwork, "10.127.130.105")
	out := l.do(backends.Stimulus{Kind: backends.SendPacket, Role: "c1", Proto: "udp",
		Src: netip.MustParseAddrPort("10.127.130.105:40000"), Dst: netip.MustParseAddrPort("203.0.113.80:53")})
	if lines := l.w.Trace(out.ID); len(lines) == 0 {
		t.Error("no trace of the packet that was sent")
	}
	if lines := l.w.Trace(1 << 60); len(lines) != 0 {
		t.Errorf("a packet that never was has a trace: %v", lines)
	}
}

func repeats(t *testing.T, l *lab) {
	other := newLab(t, l.b)
	for _, x := range []*lab{l, other} {
		x.container(natNetwork, "172.16.0.10")
		x.hello()
		if err := x.w.Advance(x.ctx, 300*time.Second); err != nil {
			t.Fatal(err)
		}
	}
	if a, b := l.w.EventHash(), other.w.EventHash(); a == "" || a != b {
		t.Errorf("event hashes %q and %q, want the same", a, b)
	}
}

func closes(t *testing.T, l *lab) {
	l.container(natNetwork, "172.16.0.10")
	l.hello()
	left, err := l.w.Close(l.ctx)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind %v, error %v", left, err)
	}
}

func separates(t *testing.T, l *lab) {
	other := newLab(t, l.b)
	l.container(natNetwork, "172.16.0.10")
	other.container(natNetwork, "172.16.0.10")
	l.hello()
	if n := other.seen(backends.Received, "x", ""); n != 0 {
		t.Errorf("%d datagrams of one world were seen in another", n)
	}
}
