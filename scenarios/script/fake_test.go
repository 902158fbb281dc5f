package script

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/wire"
)

// fake is a backend in memory: every role hears what is addressed to it, wires
// show what passes between hosts, and tests make it misbehave.
type fake struct {
	without   []backends.Capability // capabilities that it lacks
	features  map[string]bool       // nil: all
	tamper    func(frame []byte)    // changes what is delivered
	broken    []string              // invariants that do not hold
	left      []string              // what Close reports
	closeErr  error                 // what Close answers
	openErr   error                 // what Open answers
	crash     string                // Do panics for this role
	harness   error                 // Do answers this
	refuseSet *hcn.Error            // Set answers this
	duplicate bool                  // frames arrive twice
	slow      func(context.Context) // called by Do
	config    *backends.WorldConfig // of the last world
	settings  *[]backends.Setting   // what Set was told
	links     *[]backends.Link      // what SetLink was told
	nodes     *[]backends.Node      // what AddNode was told
	conts     *[]backends.Container // what AddContainer was told
	ops       *[]backends.HCNOp     // what HCN was told
	stimuli   *[]backends.Stimulus  // what Do was told
	closed    *int                  // how often Close was called
	programs  *[]backends.Program   // what RunProgram was told
	whyNot    string                // what WhyNot answers
}

func (f *fake) Name() string { return "fake" }

func (f *fake) Capabilities() []backends.Capability {
	return slices.DeleteFunc(backends.Capabilities(), func(c backends.Capability) bool { return slices.Contains(f.without, c) })
}

func (f *fake) WhyNot(backends.Capability) string { return f.whyNot }

func (f *fake) Features(profile string) (backends.FeatureSet, error) {
	s := backends.FeatureSet{HNSVersion: "13.3", Supported: f.features}
	if f.features == nil {
		s.Supported = map[string]bool{}
		for _, n := range featureNames() {
			s.Supported[n] = true
		}
	}
	return s, nil
}

func (f *fake) Open(_ context.Context, cfg backends.WorldConfig) (backends.World, error) {
	if f.config != nil {
		*f.config = cfg
	}
	return &fakeWorld{fake: f, cfg: cfg, roles: map[string]*fakeRole{}, docs: map[string]json.RawMessage{}, ports: map[string][]byte{}}, f.openErr
}

type fakeRole struct {
	name, host string
	addrs      []netip.Addr
	mac        wire.MAC
	options    map[string]string
}

type fakeWorld struct {
	fake  *fake
	cfg   backends.WorldConfig
	roles map[string]*fakeRole
	order []string
	docs  map[string]json.RawMessage // by id
	ids   []string
	ports map[string][]byte // replies by role/proto:port
	seen  []backends.Observation
	now   time.Duration
	ident uint64
}

func record[T any](list *[]T, v T) {
	if list != nil {
		*list = append(*list, v)
	}
}

func (w *fakeWorld) add(r *fakeRole) {
	w.roles[r.name] = r
	w.order = append(w.order, r.name)
}

func (w *fakeWorld) AddNode(_ context.Context, n backends.Node) error {
	record(w.fake.nodes, n)
	if n.Options["usage"] != "" {
		return &backends.UsageError{Msg: "no option usage"}
	}
	r := &fakeRole{name: n.Name, host: n.Name, mac: n.Ifaces[0].MAC, options: n.Options}
	for _, i := range n.Ifaces {
		for _, a := range i.Addrs {
			r.addrs = append(r.addrs, a.Addr())
		}
	}
	w.add(r)
	return nil
}

func (w *fakeWorld) SetLink(_ context.Context, l backends.Link) error {
	record(w.fake.links, l)
	return nil
}

func (w *fakeWorld) HCN(_ context.Context, op backends.HCNOp) (backends.HCNResult, error) {
	record(w.fake.ops, op)
	var doc map[string]any
	if len(op.Body) > 0 && json.Unmarshal(op.Body, &doc) != nil {
		return backends.HCNResult{}, &hcn.Error{Code: hcn.ErrInvalidJSON}
	}
	switch {
	case doc["Name"] == "refuse":
		return backends.HCNResult{}, hcn.ErrorAt(hcn.ErrPortAlreadyExists, "Policies[0].Settings.ExternalPort", "8080", "a free port")
	case doc["Name"] == "harness":
		return backends.HCNResult{}, errors.New("the service is on fire")
	case op.Verb == "create":
		id := fmt.Sprintf("00000000-0000-0000-0000-%012d", len(w.ids)+1)
		w.ids = append(w.ids, id)
		doc["ID"] = id
		w.docs[id], _ = json.Marshal(doc)
		return backends.HCNResult{ID: id}, nil
	case op.Kind == "hnscall" && w.docs[strings.TrimPrefix(op.Path, "/endpoints/")] != nil:
		return backends.HCNResult{Document: w.docs[strings.TrimPrefix(op.Path, "/endpoints/")]}, nil
	case op.Kind == "hnscall":
		return backends.HCNResult{Document: json.RawMessage(`{"Success":true,"Output":{"ID":"V1-` + op.Verb + `","Name":"v1"}}`)}, nil
	case op.Verb == "enumerate":
		list, _ := json.Marshal(w.ids)
		return backends.HCNResult{Document: list}, nil
	}
	if w.docs[op.ID] == nil {
		return backends.HCNResult{}, hcn.Errorf(hcn.ErrNetworkNotFound, "")
	}
	if op.Verb == "delete" {
		delete(w.docs, op.ID)
		w.ids = slices.DeleteFunc(w.ids, func(id string) bool { return id == op.ID })
	}
	return backends.HCNResult{Document: w.docs[op.ID]}, nil
}

func (w *fakeWorld) AddContainer(_ context.Context, c backends.Container) error {
	record(w.fake.conts, c)
	r := &fakeRole{name: c.Name, host: c.Host}
	if c.Shares != "" {
		r.mac = w.roles[c.Shares].mac
	}
	for _, id := range c.Endpoints {
		e, err := hcn.DecodeEndpoint(w.docs[id])
		if err != nil {
			return err
		}
		r.mac, _ = wire.ParseMAC(e.MacAddress)
		for _, ip := range e.IpConfigurations {
			r.addrs = append(r.addrs, netip.MustParseAddr(ip.IpAddress))
		}
	}
	w.add(r)
	return nil
}

func (w *fakeWorld) owner(a netip.Addr) *fakeRole {
	for _, n := range w.order {
		if slices.Contains(w.roles[n].addrs, a) {
			return w.roles[n]
		}
	}
	return nil
}

func (w *fakeWorld) see(k backends.ObservationKind, role, peer string, frame []byte) *backends.Observation {
	w.seen = append(w.seen, backends.Observation{Seq: len(w.seen), At: w.now, Kind: k, Role: role, Peer: peer,
		Frame: slices.Clone(frame), ID: w.ident})
	w.now += time.Millisecond
	return &w.seen[len(w.seen)-1]
}

func (w *fakeWorld) Do(ctx context.Context, s backends.Stimulus) (backends.Outcome, error) {
	record(w.fake.stimuli, s)
	if w.fake.slow != nil {
		w.fake.slow(ctx)
	}
	if w.fake.crash == s.Role {
		panic("the fake fell over")
	}
	if w.fake.harness != nil {
		return backends.Outcome{}, w.fake.harness
	}
	w.ident++
	from := w.roles[s.Role]
	to := w.owner(s.Dst.Addr())
	key := func(r *fakeRole, port uint16) string { return fmt.Sprintf("%s/%s:%d", r.name, s.Proto, port) }
	switch s.Kind {
	case backends.SendPacket:
		for range min(max(1, s.Count), 1000) {
			w.deliver(from, to, w.packet(from, to, s))
			w.now += s.Every
		}
		return backends.Outcome{OK: s.TTL != 99, Detail: "no way", ID: w.ident}, nil
	case backends.SendFrame:
		return w.frame(from, s), nil
	case backends.Listen, backends.Bind:
		if _, taken := w.ports[key(from, s.Src.Port())]; taken {
			return backends.Outcome{Detail: "10013"}, nil
		}
		w.ports[key(from, s.Src.Port())] = s.Reply
		return backends.Outcome{OK: true}, nil
	}
	return w.probe(from, to, s, key), nil
}

func (w *fakeWorld) probe(from, to *fakeRole, s backends.Stimulus, key func(*fakeRole, uint16) string) backends.Outcome {
	switch {
	case s.Kind == backends.DHCPStart:
		for _, n := range w.order {
			if pool := w.roles[n].options["dhcp"]; pool != "" {
				return backends.Outcome{OK: true, Addr: netip.MustParseAddr(pool)}
			}
		}
		return backends.Outcome{Detail: "timeout"}
	case to == nil:
		return backends.Outcome{Detail: "timeout"}
	case s.Kind == backends.ARPProbe:
		return backends.Outcome{OK: true, MAC: to.mac}
	case s.Kind == backends.Ping:
		w.deliver(from, to, w.packet(from, to, backends.Stimulus{Proto: "icmp", Dst: s.Dst, ICMPType: 8, ICMPID: s.ICMPID, Payload: s.Payload}))
		return backends.Outcome{OK: true, ID: w.ident}
	}
	reply, ok := w.ports[key(to, s.Dst.Port())]
	if !ok {
		return backends.Outcome{Detail: "refused"}
	}
	if reply == nil {
		reply = s.Payload
	}
	return backends.Outcome{OK: true, Received: reply}
}

// packet builds what a send line asks for.
func (w *fakeWorld) packet(from, to *fakeRole, s backends.Stimulus) []byte {
	src := s.Src.Addr()
	if !src.IsValid() {
		src = from.addrs[0]
		for _, a := range from.addrs {
			if a.Is4() == s.Dst.Addr().Is4() {
				src = a
			}
		}
	}
	f := wire.Frame{EthSrc: from.mac, IP: &wire.IPFields{Src: src, Dst: s.Dst.Addr(), TTL: s.TTL, TOS: s.TOS, DF: s.DF, ID: uint32(s.IPID)}, Payload: s.Payload}
	if to != nil {
		f.EthDst = to.mac
	}
	sport := s.Src.Port()
	if sport == 0 {
		sport = 50000
	}
	switch s.Proto {
	case "udp":
		f.UDP = &wire.UDPFields{SrcPort: sport, DstPort: s.Dst.Port(), NoChecksum: s.NoChecksum}
	case "tcp":
		bits := uint8(0)
		if s.TCPFlags != "" {
			bits, _ = tcpBits(s.TCPFlags)
		}
		f.TCP = &wire.TCPFields{SrcPort: sport, DstPort: s.Dst.Port(), Flags: bits, Seq: s.Seq, Ack: s.Ack}
	case "icmp", "icmp6":
		f.ICMP = &wire.ICMPFields{Type: s.ICMPType, Code: s.ICMPCode, ID: s.ICMPID, Seq: s.ICMPSeq}
	default:
		n, _ := protoNumber(s.Proto)
		f.IP.Proto = n
	}
	return f.Bytes()
}

// deliver moves a frame: what stays on a host shows on no wire.
func (w *fakeWorld) deliver(from, to *fakeRole, frame []byte) {
	w.see(backends.Sent, from.name, "", frame)
	if w.fake.tamper != nil {
		w.fake.tamper(frame)
	}
	if to == nil {
		w.see(backends.OnWire, from.host, "tx", frame)
		o := w.see(backends.DroppedAt, from.host, "", frame)
		o.Reason, o.Where = "NoRoute", from.name+" routing"
		return
	}
	for range 1 + map[bool]int{true: 1}[w.fake.duplicate] {
		if from.host != to.host {
			w.see(backends.OnWire, from.host, "tx", frame)
			w.see(backends.OnWire, to.host, "rx", frame)
		}
		w.see(backends.Received, to.name, "", frame)
	}
}

func (w *fakeWorld) frame(from *fakeRole, s backends.Stimulus) backends.Outcome {
	if s.OnWire {
		w.see(backends.OnWire, from.host, "rx", s.Frame)
		w.see(backends.Received, from.name, "", s.Frame)
		return backends.Outcome{OK: true, ID: w.ident}
	}
	var to *fakeRole
	for _, n := range w.order {
		if w.roles[n].mac == wire.Ethernet(s.Frame).Dst() {
			to = w.roles[n]
		}
	}
	w.deliver(from, to, s.Frame)
	return backends.Outcome{OK: true, ID: w.ident}
}

func (w *fakeWorld) Advance(_ context.Context, d time.Duration) error { w.now += d; return nil }
func (w *fakeWorld) Now() time.Duration                               { return w.now }
func (w *fakeWorld) Observations() []backends.Observation             { return w.seen }
func (w *fakeWorld) EventHash() string                                { return fmt.Sprintf("seed%d-%d", w.cfg.Seed, len(w.seen)) }
func (w *fakeWorld) Invariants() []string                             { return w.fake.broken }

func (w *fakeWorld) Trace(id uint64) []string {
	if !w.cfg.Tracing {
		return nil
	}
	return []string{fmt.Sprintf("packet %d enters", id), "rule 7 matches"}
}

func (w *fakeWorld) Dump(_ context.Context, what string) (string, error) {
	if strings.HasPrefix(what, "nonsense") {
		return "", &backends.UsageError{Msg: "no view nonsense"}
	}
	return "view of " + what, nil
}

func (w *fakeWorld) Set(_ context.Context, s backends.Setting) error {
	record(w.fake.settings, s)
	if w.fake.refuseSet != nil {
		return w.fake.refuseSet
	}
	return nil
}

func (w *fakeWorld) Close(context.Context) ([]string, error) {
	if w.fake.closed != nil {
		*w.fake.closed++
	}
	return w.fake.left, w.fake.closeErr
}
