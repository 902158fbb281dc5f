package spread

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/backends/spread/testbed"
	"github.com/hnsim/hnsim/backends/spread/transport"
	"github.com/hnsim/hnsim/sim/hcn"
)

// lab is a local backend whose parts note what they are asked. Its parts see
// what the test puts into seen.
type lab struct {
	name string
	caps []backends.Capability
	mu   sync.Mutex
	part *labPart // the last one
	open int      // parts that are not closed
}

func (l *lab) Name() string                        { return "lab" }
func (l *lab) Capabilities() []backends.Capability { return l.caps }
func (l *lab) CheckWire(device string) string {
	if device == "broken0" {
		return "interface broken0 is down"
	}
	return ""
}
func (l *lab) Ready() string { return "" }

func (l *lab) Features(profile string) (backends.FeatureSet, error) {
	if profile == "ws95" {
		return backends.FeatureSet{}, &backends.UsageError{Msg: `no profile "ws95"`}
	}
	return backends.FeatureSet{HNSVersion: "13.3", OSBuild: 20348,
		Supported: map[string]bool{"RemoteSubnet": true, "DSR": l.name == "a1"}, Ranges: map[string]string{"RemoteSubnet": ">= 9.2", "DSR": ">= 10.2"}}, nil
}

func (l *lab) Open(context.Context, backends.WorldConfig) (backends.World, error) {
	return nil, errors.New("not used")
}

func (l *lab) OpenPart(_ context.Context, _ backends.WorldConfig, wires map[string]string) (backends.Part, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.part = &labPart{lab: l, begun: time.Now(), wires: wires}
	l.open++
	return l.part, nil
}

type labPart struct {
	backends.World // nil: what is not here is not called
	lab            *lab
	begun          time.Time
	wires          map[string]string
	asked          []string
	seen           []backends.Observation
}

func (p *labPart) note(what string) {
	p.lab.mu.Lock()
	defer p.lab.mu.Unlock()
	p.asked = append(p.asked, what)
}

func (p *labPart) AddNode(_ context.Context, n backends.Node) error {
	p.note("node " + n.Name)
	return nil
}

func (p *labPart) Elsewhere(_ context.Context, n backends.Node) error {
	p.note("elsewhere " + n.Name)
	return nil
}

func (p *labPart) HCN(_ context.Context, op backends.HCNOp) (backends.HCNResult, error) {
	p.note("hcn " + op.Verb + " " + string(op.Body))
	switch op.Verb {
	case "create":
		return backends.HCNResult{ID: "id", Document: op.Body}, nil
	case "delete":
		return backends.HCNResult{}, &hcn.Error{Code: hcn.ErrNetworkNotFound, Path: "ID", Found: "x", Line: 3}
	case "modify":
		return backends.HCNResult{}, &backends.UnsupportedError{Msg: "cannot"}
	}
	return backends.HCNResult{}, errors.New("the disk is full")
}

func (p *labPart) AddContainer(_ context.Context, c backends.Container) error {
	p.note("container " + c.Name)
	return nil
}

func (p *labPart) Do(_ context.Context, s backends.Stimulus) (backends.Outcome, error) {
	p.note("do " + string(s.Kind))
	return backends.Outcome{OK: true, Detail: fmt.Sprint(s.Src.Port(), s.Dst, s.Reply == nil), ID: 77, Local: s.Src}, nil
}

func (p *labPart) Settle(context.Context, bool) (bool, error) { return false, nil }
func (p *labPart) Serve(d time.Duration) error                { time.Sleep(d); return nil }
func (p *labPart) Advance(_ context.Context, d time.Duration) error {
	p.note("advance " + d.String())
	return nil
}
func (p *labPart) Now() time.Duration                   { return time.Since(p.begun) }
func (p *labPart) Observations() []backends.Observation { return p.seen }
func (p *labPart) Invariants() []string                 { return []string{"broken at " + p.lab.name} }
func (p *labPart) Close(context.Context) ([]string, error) {
	p.lab.mu.Lock()
	defer p.lab.mu.Unlock()
	p.lab.open--
	return []string{"a crumb"}, nil
}

func (p *labPart) log() []string {
	p.lab.mu.Lock()
	defer p.lab.mu.Unlock()
	return slices.Clone(p.asked)
}

const labBed = `
coordinator: {listen: "127.0.0.1:PORT", join: "127.0.0.1:JOIN", wait: 10s, patience: 1s, state: ca}
agents:
  a1: {wires: {lan: eth1}}
  a2: {wires: {lan: eth1}}
roles:
  h1: {agent: a1, needs: [network.overlay]}
  h2: a2
  x: {agent: a2, kind: external}
`

// freePort finds one; somebody else may take it before it is used, which shows.
func freePort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	return port
}

type rig struct {
	b    *Backend
	labs map[string]*lab
	stop map[string]func()
}

// mkRig starts agents with labs and a coordinator.
func mkRig(t *testing.T, text string, change func(*lab)) (*rig, error) {
	t.Helper()
	text = strings.NewReplacer("PORT", freePort(t), "JOIN", freePort(t)).Replace(text)
	bed, err := testbed.Parse(filepath.Join(t.TempDir(), "bed.yaml"), []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	opt := Options{Bed: bed, Version: "test", Note: func(string) {}, Now: time.Now}
	authority, err := Authority(bed, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{labs: map[string]*lab{}, stop: map[string]func(){}}
	for _, name := range bed.AgentNames() {
		l := &lab{name: name, caps: []backends.Capability{backends.RawFrames, backends.OverlayNetwork, backends.VirtualTime}}
		if change != nil {
			change(l)
		}
		r.labs[name] = l
		token, err := authority.Token(name, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() {
			defer close(done)
			serveLab(ctx, t, bed, name, token, l)
		}()
		r.stop[name] = func() { cancel(); <-done }
		t.Cleanup(r.stop[name])
	}
	r.b, err = Connect(context.Background(), opt)
	if err == nil {
		t.Cleanup(func() { r.b.Close() })
	}
	return r, err
}

func serveLab(ctx context.Context, t *testing.T, bed *testbed.Bed, name, token string, l *lab) {
	dir := filepath.Join(t.TempDir(), name)
	id, err := transport.Join(ctx, bed.Coordinator.Join, token, name, dir)
	for i := 0; err != nil && i < 500 && ctx.Err() == nil; i++ {
		time.Sleep(20 * time.Millisecond)
		id, err = transport.Join(ctx, bed.Coordinator.Join, token, name, dir)
	}
	if err != nil {
		return // the coordinator says that it is missing
	}
	_ = transport.ServeAgent(ctx, transport.AgentConfig{Coordinator: bed.Coordinator.Listen, Identity: id, Dir: dir,
		Version: "test", Handler: NewExecutor(l, func(string) {}), Note: func(string) {}})
}

func mkWorld(t *testing.T, r *rig) backends.World {
	t.Helper()
	w, err := r.b.Open(context.Background(), backends.WorldConfig{Profile: "ws2022"})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func node(kind backends.NodeKind, name string) backends.Node {
	return backends.Node{Kind: kind, Name: name, Ifaces: []backends.Iface{{}}}
}

func TestOperationsGoToTheMachineOfTheirRole(t *testing.T) {
	r, err := mkRig(t, labBed, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	if got := r.b.Capabilities(); !slices.Equal(got, []backends.Capability{backends.RawFrames, backends.OverlayNetwork}) {
		t.Errorf("capabilities %v: virtual time is not for several machines", got)
	}
	fs, err := r.b.Features("ws2022")
	if err != nil || !fs.Supported["RemoteSubnet"] || fs.Supported["DSR"] || !strings.Contains(fs.Ranges["DSR"], "not on agent a2") {
		t.Errorf("features %+v, %v", fs, err)
	}
	w := mkWorld(t, r)
	for _, n := range []backends.Node{node(backends.HostNode, "h1"), node(backends.HostNode, "h2"), node(backends.ExternalNode, "x")} {
		if err := w.AddNode(ctx, n); err != nil {
			t.Fatal(err)
		}
	}
	var skip *backends.UnsupportedError
	if err := w.AddNode(ctx, node(backends.HostNode, "h9")); !errors.As(err, &skip) || !strings.Contains(err.Error(), "no machine for role h9") {
		t.Error(err)
	}
	if err := w.AddContainer(ctx, backends.Container{Name: "c2", Host: "h2"}); err != nil {
		t.Fatal(err)
	}
	body := []byte(`{"Name": not JSON`)
	res, err := w.HCN(ctx, backends.HCNOp{Host: "h1", Verb: "create", Body: body})
	if err != nil || res.ID != "id" || string(res.Document) != string(body) {
		t.Errorf("%+v, %v", res, err)
	}
	out, err := w.Do(ctx, backends.Stimulus{Kind: backends.Ping, Role: "c2", Src: netip.AddrPortFrom(netip.Addr{}, 53), Dst: netip.MustParseAddrPort("10.0.0.1:80"), Reply: []byte{}})
	if err != nil || out.Detail != "53 10.0.0.1:80 false" || out.Local.Port() != 53 || out.ID != 1 {
		t.Errorf("outcome %+v, %v: halves of addresses and empty answers must survive", out, err)
	}
	if err := w.Advance(ctx, time.Minute); err != nil || w.Now() < time.Minute {
		t.Errorf("%v, %v", w.Now(), err)
	}
	if got := w.Invariants(); !slices.Equal(got, []string{"broken at a1", "broken at a2"}) {
		t.Errorf("invariants %v", got)
	}
	left, err := w.Close(ctx)
	if err != nil || !slices.Equal(left, []string{"a1: a crumb", "a2: a crumb"}) {
		t.Errorf("left %v, %v", left, err)
	}
	want := []string{"node h1", "elsewhere h2", "elsewhere x", `hcn create {"Name": not JSON`, "advance 1m0s"}
	if got := r.labs["a1"].part.log(); !slices.Equal(got, want) {
		t.Errorf("a1 was asked %q, want %q", got, want)
	}
	want = []string{"elsewhere h1", "node h2", "node x", "container c2", "do ping", "advance 1m0s"}
	if got := r.labs["a2"].part.log(); !slices.Equal(got, want) {
		t.Errorf("a2 was asked %q, want %q", got, want)
	}
}

func TestErrorsKeepTheirKind(t *testing.T) {
	r, err := mkRig(t, labBed, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	w := mkWorld(t, r)
	defer w.Close(ctx)
	if err := w.AddNode(ctx, node(backends.HostNode, "h1")); err != nil {
		t.Fatal(err)
	}
	do := func(verb string) error {
		_, err := w.HCN(ctx, backends.HCNOp{Host: "h1", Verb: verb})
		return err
	}
	var refused *hcn.Error
	if err := do("delete"); !errors.As(err, &refused) || !errors.Is(err, hcn.ErrNetworkNotFound) || refused.Line != 3 {
		t.Errorf("a refusal: %v", err)
	}
	var cannot *backends.UnsupportedError
	if err := do("modify"); !errors.As(err, &cannot) {
		t.Errorf("what it cannot do: %v", err)
	}
	if err := do("other"); err == nil || !strings.Contains(err.Error(), "agent a1: the disk is full") {
		t.Errorf("trouble: %v", err)
	}
	var usage *backends.UsageError
	if _, err := w.Do(ctx, backends.Stimulus{Role: "nobody"}); !errors.As(err, &usage) {
		t.Errorf("an unknown role: %v", err)
	}
	if _, err := r.b.Features("ws95"); !errors.As(err, &usage) {
		t.Errorf("an unknown profile: %v", err)
	}
}

func TestASegmentNeedsAWireAtBothEnds(t *testing.T) {
	r, err := mkRig(t, labBed, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	w := mkWorld(t, r)
	defer w.Close(ctx)
	h, x := node(backends.HostNode, "h1"), node(backends.ExternalNode, "x")
	h.Ifaces[0].Segment, x.Ifaces[0].Segment = "wan", "wan"
	if err := w.AddNode(ctx, h); err != nil {
		t.Fatal(err)
	}
	var cannot *backends.UnsupportedError
	if err := w.AddNode(ctx, x); !errors.As(err, &cannot) || !strings.Contains(err.Error(), "no wire for it at a2") {
		t.Error(err)
	}
}

func TestManyObservationsComeInPieces(t *testing.T) {
	r, err := mkRig(t, labBed, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	w := mkWorld(t, r)
	defer w.Close(ctx)
	if err := w.AddNode(ctx, node(backends.HostNode, "h1")); err != nil {
		t.Fatal(err)
	}
	part := r.labs["a1"].part
	const frames, size = 200, 60000
	for i := range frames {
		part.seen = append(part.seen, backends.Observation{At: time.Duration(i), Kind: backends.Received, Role: "h1", Frame: make([]byte, size)})
	}
	if _, err := w.Do(ctx, backends.Stimulus{Kind: backends.SendPacket, Role: "h1"}); err != nil {
		t.Fatal(err)
	}
	got := w.Observations()
	if len(got) != frames || len(got[frames-1].Frame) != size || got[frames-1].Seq != frames-1 {
		t.Errorf("%d observations, want %d", len(got), frames)
	}
}

func TestALostMachineIsNamedWithItsRoles(t *testing.T) {
	r, err := mkRig(t, labBed, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	w := mkWorld(t, r)
	for _, n := range []string{"h1", "h2"} {
		if err := w.AddNode(ctx, node(backends.HostNode, n)); err != nil {
			t.Fatal(err)
		}
	}
	r.stop["a2"]()
	var lost *backends.LostError
	_, err = w.Do(ctx, backends.Stimulus{Kind: backends.Ping, Role: "h2"})
	if !errors.As(err, &lost) || err.Error() != "agent a2 (h2, x) is lost: no sign of life for 1s" {
		t.Errorf("error %v", err)
	}
	if _, err := w.Close(ctx); !errors.As(err, &lost) {
		t.Errorf("close: %v", err)
	}
	if r.labs["a1"].open != 0 {
		t.Error("the part of a1 is left open")
	}
	if backends.Lost(r.b) == nil {
		t.Error("the backend does not say that it is lost")
	}
	if _, err := r.b.Open(ctx, backends.WorldConfig{}); !errors.As(err, &lost) {
		t.Errorf("another world: %v", err)
	}
}

func TestPartsEndWithTheRun(t *testing.T) {
	r, err := mkRig(t, labBed, nil)
	if err != nil {
		t.Fatal(err)
	}
	w := mkWorld(t, r)
	if err := w.AddNode(context.Background(), node(backends.HostNode, "h1")); err != nil {
		t.Fatal(err)
	}
	r.b.Close() // the world is not closed
	l := r.labs["a1"]
	for range 300 {
		l.mu.Lock()
		open := l.open
		l.mu.Unlock()
		if open == 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("the part goes on without its coordinator")
}

func TestMachinesThatDoNotFitAreRefused(t *testing.T) {
	_, err := mkRig(t, labBed, func(l *lab) { l.caps = l.caps[:1] })
	if err == nil || !strings.Contains(err.Error(), "role h1 needs capability network.overlay, which agent a1 (backend lab) lacks") {
		t.Errorf("error %v", err)
	}
	_, err = mkRig(t, strings.Replace(labBed, "needs: [network.overlay]", "needs: [L4Proxy]", 1), nil)
	if err == nil || !strings.Contains(err.Error(), "role h1 needs L4Proxy, which agent a1 (HNS 13.3) lacks") {
		t.Errorf("error %v", err)
	}
}

func TestAgentsThatDoNotComeAreNamed(t *testing.T) {
	text := strings.NewReplacer("PORT", freePort(t), "JOIN", freePort(t), "10s", "200ms").Replace(labBed)
	bed, err := testbed.Parse(filepath.Join(t.TempDir(), "bed.yaml"), []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	opt := Options{Bed: bed, Version: "test", Note: func(string) {}, Now: time.Now}
	_, err = Connect(context.Background(), opt)
	for _, want := range []string{"agent a1 (h1) did not connect", "agent a2 (h2, x) did not connect", "hnsim agent --name a2 --coordinator 127.0.0.1:"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	b, err := Listen(opt)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for _, f := range b.Inspect(context.Background(), "ws2022", b.Await(context.Background())) {
		if f.OK || f.Fix == "" || !strings.Contains(f.Text, "not connected within 200ms") {
			t.Errorf("finding %+v", f)
		}
	}
}

func TestInspectionFindsWhatIsWrong(t *testing.T) {
	r, err := mkRig(t, strings.Replace(labBed, "a2: {wires: {lan: eth1}}", "a2: {wires: {lan: broken0}}", 1), nil)
	if err != nil {
		t.Fatal(err)
	}
	var text []string
	for _, f := range r.b.Inspect(context.Background(), "ws2022", nil) {
		if !f.OK && f.Fix == "" {
			t.Errorf("%s has no advice", f.Name)
		}
		text = append(text, f.Name+": "+f.Text)
	}
	all := strings.Join(text, "\n")
	for _, want := range []string{"wire lan of a2: interface broken0 is down", "wire lan of a1: eth1", "clock of a1: ", "agent a1: "} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is missing in\n%s", want, all)
		}
	}
	r, err = mkRig(t, labBed, nil)
	if err != nil {
		t.Fatal(err)
	}
	found := r.b.Inspect(context.Background(), "ws2022", nil)
	last := found[len(found)-1]
	if last.OK || last.Name != "segment lan" || !strings.Contains(last.Text, "frames do not arrive: a1 to a2, a2 to a1") {
		t.Errorf("labs have no wire between them; found %+v", last)
	}
}
