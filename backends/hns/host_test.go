package hns

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/scenarios/script"
	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/wire"
)

// lan is a network of probes without machines: what one sends, the one with
// the address receives.
type lan struct {
	probes  []*lanProbe
	nobody  bool // addresses never become ready
	crash   bool // probes end when they are asked to send
	started []uint32
}

type lanProbe struct {
	lan    *lan
	addrs  []netip.Addr
	serves map[uint16]probeRequest
	watch  map[uint16]bool
	said   []probeMessage
	notify func()
	closed int
}

func (l *lan) start(compartment uint32, notify func()) (prober, error) {
	p := &lanProbe{lan: l, notify: notify, serves: map[uint16]probeRequest{}, watch: map[uint16]bool{}}
	l.probes, l.started = append(l.probes, p), append(l.started, compartment)
	return p, nil
}

func (p *lanProbe) say(event string, src, dst netip.AddrPort, payload []byte) {
	p.said = append(p.said, probeMessage{At: time.Now().UnixNano(), Event: event, Proto: "udp", Src: src, Dst: dst, Payload: payload})
	p.notify()
}

func (p *lanProbe) deliver(src, dst netip.AddrPort, payload []byte) {
	p.say("sent", src, dst, payload)
	for _, o := range p.lan.probes {
		if !slices.Contains(o.addrs, dst.Addr()) {
			continue
		}
		server, serves := o.serves[dst.Port()]
		if !serves && !o.watch[dst.Port()] {
			continue
		}
		o.say("received", src, dst, payload)
		if serves {
			o.deliver(dst, src, server.Answer)
		}
	}
}

func (p *lanProbe) ask(_ context.Context, r probeRequest) (probeMessage, error) {
	src := netip.AddrPortFrom(r.Src, r.SrcPort)
	switch r.Do {
	case probeReady:
		p.addrs = append(p.addrs, r.Src)
		return probeMessage{OK: !p.lan.nobody, Detail: "no address"}, nil
	case probeWatch:
		p.watch[r.SrcPort] = true
	case probeListen:
		p.serves[r.SrcPort] = r
	case probeSend:
		if p.lan.crash {
			return probeMessage{}, errors.New("the probe has ended")
		}
		p.watch[r.SrcPort] = true
		for range max(1, r.Count) {
			p.deliver(src, r.Dst, r.Payload)
		}
	case probeConnect:
		return probeMessage{OK: true, Detail: "connected", Payload: []byte("OK"), Local: src}, nil
	case probePing:
		return probeMessage{OK: true, Detail: "reply"}, nil
	}
	return probeMessage{OK: true, Local: src}, nil
}

func (p *lanProbe) events() []probeMessage { out := p.said; p.said = nil; return out }
func (p *lanProbe) close() error           { p.closed++; return nil }

// tap is a capture that shows what a test puts into it.
type tap struct {
	frames             []captured
	started, discarded int
}

func (c *tap) start() error                { c.started++; return nil }
func (c *tap) take() ([]captured, error)   { out := c.frames; c.frames = nil; return out, nil }
func (c *tap) drops() ([]dropCount, error) { return []dropCount{{"NIC", "Drop", 3, "Why not"}}, nil }
func (c *tap) owns(mac []byte) bool        { return bytes.Equal(mac, []byte{2, 0, 0, 0, 0, 1}) }
func (c *tap) discard() error              { c.discarded++; return nil }

// machineOf is this machine as a test has it.
type machineOf struct {
	hns     *hostControl
	lan     *lan
	tap     *tap
	folder  string
	opt     Options
	worlds  []*hostWorld
	profile string
}

func mkMachine(t *testing.T) *machineOf {
	return &machineOf{hns: mkHost(t), lan: &lan{}, folder: t.TempDir(), profile: hcn.DefaultProfile}
}

func (m *machineOf) capabilities(Options) []backends.Capability {
	return []backends.Capability{backends.NATNetwork, backends.InternalNetwork, backends.PrivateNetwork, backends.Wires}
}
func (m *machineOf) whyNot(backends.Capability, Options) string { return "" }
func (m *machineOf) dropNames() []string                        { return nil }
func (m *machineOf) version(string) (hcn.HNSVersion, int, error) {
	p, err := hcn.ProfileByName(m.profile)
	return p.Version, p.OSBuild, err
}
func (m *machineOf) open(context.Context, backends.WorldConfig, Options) (backends.World, error) {
	d := deps{hns: m.hns, tag: "0badcafe", folder: m.folder, startProbe: m.lan.start, now: time.Now, patience: time.Millisecond,
		addrs: func() ([]netip.Prefix, error) { return asked, nil }}
	if m.tap != nil {
		d.capture = m.tap
	}
	w, err := newHostWorld(d, m.opt)
	if err == nil {
		m.worlds = append(m.worlds, w)
	}
	return w, err
}

const pairScenario = `# PAIR-01: containers of a network reach each other
# rules: CMP-07
# labels: core

requires network.internal
router r lan=10.127.130.1/24 wan=203.0.113.1/24
host h1 ip=10.127.130.35/24
external x ip=203.0.113.80/24 segment=wan
network h1 n net.json
endpoint a n a.json
endpoint b n b.json
listen b udp :53 reply='world'
send a udp 172.20.0.10:4000 > 172.20.0.11:53 'hello'
expect b udp 172.20.0.10:4000 > 172.20.0.11:53 'hello'
expect a udp 172.20.0.11:53 > 172.20.0.10:4000 'world'
expect none h1
send a udp 172.20.0.10:4000 > 172.20.0.11:99 'nobody listens'
expect b udp > 172.20.0.11:99 'nobody listens'
tcp a > 172.20.0.11:80 'x' reply='OK'
ping a > 172.20.0.11
%s
-- net.json --
{"Name":"n","Type":"Internal","SchemaVersion":{"Major":2,"Minor":0},
 "Ipams":[{"Type":"Static","Subnets":[{"IpAddressPrefix":"172.20.0.0/24","Routes":[{"NextHop":"172.20.0.1","DestinationPrefix":"0.0.0.0/0"}]}]}]}
-- a.json --
{"Name":"a","SchemaVersion":{"Major":2,"Minor":0},"IpConfigurations":[{"IpAddress":"172.20.0.10"}]}
-- b.json --
{"Name":"b","SchemaVersion":{"Major":2,"Minor":0},"IpConfigurations":[{"IpAddress":"172.20.0.11"}]}
`

func (m *machineOf) runPair(t *testing.T, more string) *script.Result {
	t.Helper()
	sc, err := script.Parse("internal/pair.txtar", []byte(strings.Replace(pairScenario, "%s", more, 1)))
	if err != nil {
		t.Fatal(err)
	}
	return script.Run(t.Context(), sc, onMachine{m}, script.Options{Seed: 1})
}

func TestAScenarioRunsOnAMachine(t *testing.T) {
	m := mkMachine(t)
	before := m.hns.state(t)
	res := m.runPair(t, "")
	if res.Status != script.Passed {
		t.Fatalf("%s: %s\n%s", res.Status, res.Reason, res.Log)
	}
	if len(m.lan.started) != 2 || m.lan.started[0] == 0 || m.lan.started[0] == m.lan.started[1] {
		t.Errorf("probes in compartments %v, want two different ones", m.lan.started)
	}
	for _, p := range m.lan.probes {
		if p.closed != 1 {
			t.Errorf("a probe was closed %d times", p.closed)
		}
	}
	if after := m.hns.state(t); after != before {
		t.Errorf("the machine was\n%s\nand is\n%s", before, after)
	}
	if res.Measured["endpoint.ready"] <= 0 || res.Measured["network.create"] <= 0 {
		t.Errorf("measured %v", res.Measured)
	}
	last := time.Duration(-1 << 62)
	for i, o := range res.Observations {
		if o.Seq != i || o.At < last {
			t.Errorf("observation %d: %+v", i, o)
		}
		last = o.At
	}
}

func TestFailuresCleanUpToo(t *testing.T) {
	for name, set := range map[string]func(*machineOf){
		"an address that never comes": func(m *machineOf) { m.lan.nobody = true },
		"a probe that dies":           func(m *machineOf) { m.lan.crash = true },
	} {
		m := mkMachine(t)
		set(m)
		before := m.hns.state(t)
		if res := m.runPair(t, ""); res.Status != script.Error {
			t.Errorf("%s: %s: %s", name, res.Status, res.Reason)
		}
		if after := m.hns.state(t); after != before {
			t.Errorf("%s: the machine was\n%s\nand is\n%s", name, before, after)
		}
	}
}

// TestWhatAMachineCannotDoIsSkippedWithAReason ends scenarios where they need
// something else.
func TestWhatAMachineCannotDoIsSkippedWithAReason(t *testing.T) {
	for line, why := range map[string]string{
		"send a udp 172.20.0.10:4000 > 203.0.113.80:53 'x'":      "role x needs a machine of its own",
		"send x udp 203.0.113.80:4000 > 172.20.0.10:53 'x'":      "role x needs a machine of its own",
		"send a tcp 172.20.0.10:4000 > 172.20.0.11:53 flags=S":   "does not send this packet",
		"send a udp 172.20.0.10:4000 > 172.20.0.11:53 tos=8 'x'": "does not send this packet",
		"show vfp h1":                             "the model's inside",
		"container c h1 endpoints=none":           "without endpoints",
		"hnscall h1 POST /globals/other net.json": "would change this machine",
	} {
		m := mkMachine(t)
		res := m.runPair(t, line)
		if res.Status != script.Skipped || !strings.Contains(res.Reason, why) {
			t.Errorf("%s: %s: %s, want skipped with %q", line, res.Status, res.Reason, why)
		}
	}
}

func TestTheWireOfAMachine(t *testing.T) {
	m := mkMachine(t)
	m.tap = &tap{}
	out := wire.Frame{EthSrc: wire.MustMAC("02-00-00-00-00-01"), EthDst: wire.MustMAC("02-00-00-00-00-02"),
		IP: &wire.IPFields{Src: netip.MustParseAddr("192.0.2.1"), Dst: netip.MustParseAddr("192.0.2.9")}, UDP: &wire.UDPFields{SrcPort: 7, DstPort: 8}}
	in := out
	in.EthSrc, in.EthDst = out.EthDst, out.EthSrc
	m.tap.frames = []captured{{time.Now(), out.Bytes()}, {time.Now(), in.Bytes()}}
	res := m.runPair(t, "")
	if res.Status != script.Passed {
		t.Fatalf("%s: %s", res.Status, res.Reason)
	}
	var dirs []string
	for _, o := range res.Observations {
		if o.Kind == backends.OnWire {
			dirs = append(dirs, o.Role+" "+o.Peer)
		}
	}
	if !slices.Equal(dirs, []string{"h1 tx", "h1 rx"}) || m.tap.started != 1 || m.tap.discarded != 1 {
		t.Errorf("%v, started %d, discarded %d", dirs, m.tap.started, m.tap.discarded)
	}
}

func TestADryRunOfAScenario(t *testing.T) {
	m := mkMachine(t)
	var log bytes.Buffer
	m.opt.DryRun = &log
	before := m.hns.state(t)
	m.hns.log = nil
	sc, err := script.Parse("internal/pair.txtar", []byte(strings.Replace(pairScenario, "%s", "", 1)))
	if err != nil {
		t.Fatal(err)
	}
	script.Run(t.Context(), sc, onMachine{m}, script.Options{Seed: 1, Onward: true})
	for _, want := range []string{"create network", "create endpoint", "create namespace", "modify namespace", "send by a: 172.20.0.10:4000 > 172.20.0.11:53", "ping by a", "delete network"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %q in\n%s", want, log.String())
		}
	}
	if after := m.hns.state(t); after != before || len(m.hns.log) > 0 || len(m.lan.probes) > 0 {
		t.Errorf("it touched %v, %d probes", m.hns.log, len(m.lan.probes))
	}
}

func TestNonsenseIsUsage(t *testing.T) {
	m := mkMachine(t)
	w, err := m.open(t.Context(), backends.WorldConfig{}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	node := backends.Node{Kind: backends.HostNode, Name: "h1", Ifaces: []backends.Iface{{Addrs: asked}}}
	if err := w.AddNode(ctx, node); err != nil {
		t.Fatal(err)
	}
	_, errHCN := w.HCN(ctx, backends.HCNOp{Host: "nobody", Kind: "network", Verb: "create"})
	_, errDo := w.Do(ctx, backends.Stimulus{Kind: backends.Ping, Role: "nobody"})
	for _, kind := range []backends.StimulusKind{backends.SendFrame, backends.ARPProbe, backends.DHCPStart} {
		var no *backends.UnsupportedError
		if _, err := w.Do(ctx, backends.Stimulus{Kind: kind, Role: "h1"}); !errors.As(err, &no) {
			t.Errorf("%s: %v", kind, err)
		}
	}
	_, errKind := w.Do(ctx, backends.Stimulus{Kind: "wish", Role: "h1"})
	for name, err := range map[string]error{
		"a second node of one name": w.AddNode(ctx, node), "a link of nobody": w.SetLink(ctx, backends.Link{Node: "nobody"}),
		"a setting of nobody": w.Set(ctx, backends.Setting{Node: "nobody", Name: "hns.restart"}), "an unknown setting": w.Set(ctx, backends.Setting{Node: "h1", Name: "no.such.setting"}),
		"a call to nobody": errHCN, "a stimulus of nobody": errDo, "an unknown stimulus": errKind, "time running backwards": w.Advance(ctx, -1),
	} {
		var u *backends.UsageError
		if !errors.As(err, &u) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if left, err := w.Close(ctx); err != nil || len(left) > 0 {
		t.Errorf("%v, %v", left, err)
	}
}
