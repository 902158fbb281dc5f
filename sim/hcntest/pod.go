package hcntest

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/hnsim/hnsim/sim/fabric/ipstack"
	"github.com/hnsim/hnsim/sim/hns"
	"github.com/hnsim/hnsim/sim/wire"
)

// Pod is a machine that sends and receives: a container on its endpoint, a
// host, or the external machine.
type Pod struct {
	lab   *Lab
	name  string
	addr  netip.Addr
	stack func() (*ipstack.Stack, error)
}

// Addr is the pod's first address.
func (p *Pod) Addr() netip.Addr {
	p.lab.mu.Lock()
	defer p.lab.mu.Unlock()
	return p.addr
}

// Self is the host as a machine: what its own processes reach.
func (h *Host) Self() *Pod { return h.self }

// Run starts a container that uses an endpoint: in the namespace that the
// endpoint has joined, else in a new one, unless something runs there already.
// It is what a container runtime does after the driver has done its work. An
// endpoint that cannot be used fails the test. One endpoint is one Pod.
func (h *Host) Run(endpointID string) *Pod {
	h.lab.t.Helper()
	h.lab.mu.Lock()
	p, err := h.run(endpointID)
	if err == nil {
		err = h.lab.tick()
	}
	h.lab.mu.Unlock()
	if err != nil {
		h.lab.t.Fatalf("hcntest: Run endpoint %s on %s: %v", endpointID, h.name, err)
	}
	return p
}

func (h *Host) run(id string) (*Pod, error) {
	e := h.endpoint(id)
	if e == nil {
		return nil, errors.New("no such endpoint")
	}
	if e.AttachedTo == hns.NotAttached {
		ns := e.Namespace
		if ns == "" {
			var err error
			if ns, err = h.sim.HNS.CreateNamespace("", []byte(`{"Type":"Host","SchemaVersion":{"Major":2,"Minor":0}}`)); err != nil {
				return nil, err
			}
			join := fmt.Sprintf(`{"ResourceType":"Endpoint","RequestType":"Add","Settings":{"EndpointId":%q}}`, id)
			if err := h.sim.HNS.ModifyNamespace(ns, []byte(join)); err != nil {
				return nil, err
			}
		}
		h.lab.runs++
		if err := h.sim.HNS.StartContainer(ns, fmt.Sprintf("container-%d", h.lab.runs), hns.ProcessIsolated); err != nil {
			return nil, err
		}
	}
	if p := h.pods[e.Doc.ID]; p != nil {
		p.addr = e.Addr() // the endpoint may have been made again with its id
		return p, nil
	}
	p := &Pod{lab: h.lab, name: h.name + " endpoint " + id, addr: e.Addr(), stack: func() (*ipstack.Stack, error) {
		now := h.endpoint(id)
		if now == nil {
			return nil, errors.New("the endpoint was deleted")
		}
		c := h.sim.Compartment(now.Compartment)
		if c == nil || now.Compartment == 0 {
			return nil, errors.New("nothing runs on the endpoint any more")
		}
		return c.Stack, nil
	}}
	h.pods[e.Doc.ID] = p
	return p, nil
}

func (h *Host) endpoint(id string) *hns.Endpoint { return h.sim.HNS.State().EndpointByID(id) }

func protoNumber(proto string) (uint8, error) {
	switch strings.ToLower(proto) {
	case "tcp":
		return wire.ProtoTCP, nil
	case "udp":
		return wire.ProtoUDP, nil
	}
	return 0, fmt.Errorf("protocol %q: expected tcp or udp", proto)
}

// Listen serves a port: whoever connects or sends gets back what he sent. proto
// is tcp or udp. A port that is taken fails the test.
func (p *Pod) Listen(proto string, port uint16) {
	p.lab.t.Helper()
	p.lab.mu.Lock()
	defer p.lab.mu.Unlock()
	n, err := protoNumber(proto)
	var st *ipstack.Stack
	if err == nil {
		st, err = p.stack()
	}
	if err == nil {
		_, err = st.Listen(n, netip.Addr{}, port, p.lab.serve(p))
	}
	if err != nil {
		p.lab.t.Fatalf("hcntest: %s: Listen %s %d: %v", p.name, proto, port, err)
	}
}

// serve echoes, and notes who asked.
func (l *Lab) serve(p *Pod) ipstack.Handler {
	echo := ipstack.EchoHandler()
	return ipstack.Handler{
		Datagram: func(now int64, from, to netip.AddrPort, payload []byte) []byte {
			l.answered = &server{p, from}
			return echo.Datagram(now, from, to, payload)
		},
		Stream: func(now int64, c *ipstack.Conn, e ipstack.Event) {
			if e == ipstack.EventData {
				l.answered = &server{p, c.Remote}
			}
			echo.Stream(now, c, e)
		},
	}
}

// server is the pod that answered last, and whom it saw.
type server struct {
	pod  *Pod
	from netip.AddrPort
}

// Exchange is a question that was answered.
type Exchange struct {
	// By is the pod that answered: the backend that a load balancer chose.
	By *Pod
	// Seen is the address that it saw: the host's, when NAT was in between.
	Seen netip.AddrPort
}

// timeout is how long a packet gets, in the lab's time.
const timeout = 3 * time.Second

const question = "hello"

// Reach asks a server, as "10.244.2.20:80", over tcp or udp, and returns who
// answered. The error is an *UnreachableError with the packets that were
// dropped on the way, or with how far the last one came.
func (p *Pod) Reach(proto, to string) (Exchange, error) {
	p.lab.mu.Lock()
	defer p.lab.mu.Unlock()
	dst, err := netip.ParseAddrPort(to)
	if err != nil {
		return Exchange{}, fmt.Errorf("Reach %q: expected address and port: %w", to, err)
	}
	n, err := protoNumber(proto)
	if err != nil {
		return Exchange{}, fmt.Errorf("Reach: %w", err)
	}
	st, err := p.begin()
	if err != nil {
		return Exchange{}, err
	}
	before := len(p.lab.drops)
	p.lab.answered = nil
	reason := ""
	if n == wire.ProtoTCP {
		reason, err = p.connect(st, dst)
	} else {
		reason, err = p.ask(st, dst)
	}
	if err != nil {
		return Exchange{}, err
	}
	if reason != "" {
		return Exchange{}, p.unreachable(strings.ToLower(proto)+" "+to, reason, before)
	}
	if a := p.lab.answered; a != nil {
		return Exchange{By: a.pod, Seen: a.from}, nil
	}
	return Exchange{}, nil
}

func (p *Pod) begin() (*ipstack.Stack, error) {
	if err := p.lab.tick(); err != nil {
		return nil, err
	}
	st, err := p.stack()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.name, err)
	}
	p.lab.last = nil
	return st, nil
}

func (p *Pod) unreachable(to, reason string, drops int) error {
	return &UnreachableError{From: p.addr.String(), To: to, Reason: reason, Drops: slices.Clone(p.lab.drops[drops:]), Last: p.lab.lastArrival()}
}

// until lets time pass until done, at most the timeout.
func (l *Lab) until(done func() bool) error {
	_, err := l.world.Loop().RunUntil(l.world.Loop().Now()+int64(timeout), done)
	return err
}

// connect dials, asks and reads the answer. reason is "" on success.
func (p *Pod) connect(st *ipstack.Stack, dst netip.AddrPort) (reason string, err error) {
	loop := p.lab.world.Loop()
	got := 0
	c, err := st.Dial(loop.Now(), netip.AddrPort{}, dst, func(now int64, c *ipstack.Conn, e ipstack.Event) {
		switch e {
		case ipstack.EventConnected:
			_, _ = c.Write(now, []byte(question))
		case ipstack.EventData:
			got += len(c.Take(now))
		}
	})
	if err != nil {
		return err.Error(), nil
	}
	if err := p.lab.until(func() bool { return c.Err() != nil || got >= len(question) }); err != nil {
		return "", err
	}
	switch {
	case errors.Is(c.Err(), ipstack.ErrRefused):
		reason = "refused"
	case got < len(question):
		reason = "timeout"
	}
	if reason == "" {
		c.Close(loop.Now())
	} else {
		c.Abort(loop.Now())
	}
	return reason, loop.Settle()
}

// ask sends a datagram and waits for the answer.
func (p *Pod) ask(st *ipstack.Stack, dst netip.AddrPort) (reason string, err error) {
	loop := p.lab.world.Loop()
	got := false
	port, err := st.Listen(wire.ProtoUDP, netip.Addr{}, 0, ipstack.Handler{
		Datagram: func(_ int64, _, _ netip.AddrPort, payload []byte) []byte {
			got = got || string(payload) == question
			return nil
		}})
	if err != nil {
		return err.Error(), nil
	}
	defer st.CloseSocket(wire.ProtoUDP, netip.Addr{}, port)
	src := netip.AddrPortFrom(netip.Addr{}, port)
	if _, _, err := st.SendUDP(loop.Now(), ipstack.UDPOptions{Src: src, Dst: dst, Payload: []byte(question)}); err != nil {
		return err.Error(), nil
	}
	if err := p.lab.until(func() bool { return got }); err != nil {
		return "", err
	}
	if !got {
		return "timeout", nil
	}
	return "", loop.Settle()
}

// Ping sends an echo request. The error is an *UnreachableError.
func (p *Pod) Ping(to string) error {
	p.lab.mu.Lock()
	defer p.lab.mu.Unlock()
	dst, err := netip.ParseAddr(to)
	if err != nil {
		return fmt.Errorf("Ping %q: expected an address: %w", to, err)
	}
	st, err := p.begin()
	if err != nil {
		return err
	}
	before := len(p.lab.drops)
	e, err := st.Ping(p.lab.world.Loop().Now(), ipstack.PingOptions{Dst: dst, Size: 32})
	if err != nil {
		return p.unreachable("icmp "+to, err.Error(), before)
	}
	if err := p.lab.until(func() bool { return e.Done }); err != nil {
		return err
	}
	switch {
	case !e.Done:
		st.GiveUp(e)
		return p.unreachable("icmp "+to, "timeout", before)
	case !e.OK:
		return p.unreachable("icmp "+to, fmt.Sprintf("icmp type %d code %d from %s", e.Error.Type, e.Error.Code, e.From), before)
	}
	return p.lab.world.Loop().Settle()
}
