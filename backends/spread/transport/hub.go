package transport

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// HubConfig is what a coordinator needs.
type HubConfig struct {
	Listen    string // host:port to which agents connect
	Join      string // host:port at which they get their certificates
	Authority *Authority
	Agents    []string      // who may be one; nil is everybody with a certificate
	Patience  time.Duration // how long an agent may be silent
	Version   string
	Note      func(string) // what happens, in one line; may be called concurrently
}

// expects refuses an agent that nobody waits for: it has another name than the
// test bed gave it, and would wait for ever.
func (c *HubConfig) expects(name string) error {
	if c.Agents == nil || slices.Contains(c.Agents, name) {
		return nil
	}
	return refused("the coordinator's test bed has no agent %q; it has %s", name, strings.Join(c.Agents, ", "))
}

// Hub is a coordinator's end. Its methods may be called concurrently.
type Hub struct {
	cfg   HubConfig
	run   string
	srv   *server.Server
	nc    *nats.Conn
	joins *joins

	mu      sync.Mutex
	peers   map[string]*Peer
	changed chan struct{} // closed when a peer comes, goes or is lost
	counts  Counts
	stop    chan struct{}
	watch   sync.WaitGroup
}

// Listen opens both addresses and begins a run.
func Listen(cfg HubConfig) (*Hub, error) {
	h := &Hub{cfg: cfg, run: randomID(), peers: map[string]*Peer{}, changed: make(chan struct{}), stop: make(chan struct{})}
	if err := h.open(); err != nil {
		h.Close()
		return nil, err
	}
	h.watch.Go(h.watchPeers)
	return h, nil
}

func randomID() string {
	var b [12]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

func (h *Hub) open() error {
	ln, err := net.Listen("tcp", h.cfg.Join)
	if err != nil {
		return fmt.Errorf("the join address %s: %w", h.cfg.Join, err)
	}
	if h.joins, err = h.cfg.Authority.serveJoins(ln, h.cfg.expects, h.cfg.Note); err != nil {
		ln.Close()
		return err
	}
	secret := randomID()
	if err := h.serve(secret); err != nil {
		return err
	}
	h.nc, err = nats.Connect("", nats.InProcessServer(h.srv), nats.UserInfo(serverName, secret), nats.Name(serverName))
	if err != nil {
		return fmt.Errorf("the coordinator's own connection: %w", err)
	}
	for pattern, f := range map[string]nats.MsgHandler{
		subjectHello + "*":         h.onHello,
		subject("*", "reply", "*"): h.onReply,
		subject("*", "beat", "*"):  h.onBeat,
	} {
		sub, err := h.nc.Subscribe(pattern, f)
		if err != nil {
			return err
		}
		if err := sub.SetPendingLimits(maxMessages, maxPending); err != nil {
			return err
		}
	}
	return h.nc.Flush()
}

// serve starts the NATS server: agents come in over TLS with a certificate of
// the authority, the coordinator itself within the process.
func (h *Hub) serve(secret string) error {
	host, port, err := net.SplitHostPort(h.cfg.Listen)
	if err != nil {
		return fmt.Errorf("the address to listen on, %q: %w", h.cfg.Listen, err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return fmt.Errorf("the address to listen on, %q: the port is no number", h.cfg.Listen)
	}
	if number == 0 {
		number = server.RANDOM_PORT
	}
	tls, err := h.cfg.Authority.serverTLS(true)
	if err != nil {
		return err
	}
	h.srv, err = server.NewServer(&server.Options{
		ServerName: serverName, Host: host, Port: number, NoSigs: true, NoLog: true, NoSystemAccount: true,
		TLSConfig: tls, TLSVerify: true, TLSTimeout: 5, AuthTimeout: 5,
		MaxConn: maxAgents + 1, MaxPayload: maxPayload, MaxPending: maxPending,
		PingInterval: 2 * time.Second, MaxPingsOut: 3,
		CustomClientAuthentication: gate{secret},
	})
	if err != nil {
		return fmt.Errorf("the message server: %w", err)
	}
	h.srv.Start()
	if !h.srv.ReadyForConnections(10 * time.Second) {
		// The server does not say why it does not listen.
		if ln, err := net.Listen("tcp", h.cfg.Listen); err != nil {
			return fmt.Errorf("the address %s: %w", h.cfg.Listen, err)
		} else {
			ln.Close()
		}
		return fmt.Errorf("the message server does not listen on %s", h.cfg.Listen)
	}
	return nil
}

// gate decides who may connect and what they may say: an agent speaks and hears
// under the name in its certificate only.
type gate struct{ secret string }

func (g gate) Check(c server.ClientAuthentication) bool {
	state := c.GetTLSConnectionState()
	if state == nil {
		o := c.GetOpts()
		return o.Username == serverName && subtle.ConstantTimeCompare([]byte(o.Password), []byte(g.secret)) == 1
	}
	if len(state.VerifiedChains) == 0 {
		return false
	}
	name := state.VerifiedChains[0][0].Subject.CommonName
	if CheckName(name) != nil {
		return false
	}
	c.RegisterUser(&server.User{Username: name, Permissions: &server.Permissions{
		Publish:   &server.SubjectPermission{Allow: []string{subjectHello + name, subject("*", "reply", name), subject("*", "beat", name)}},
		Subscribe: &server.SubjectPermission{Allow: []string{subjectWelcome + name, subject("*", "call", name), subject("*", "end", name)}},
	}})
	return true
}

// Run is the id of this run.
func (h *Hub) Run() string { return h.run }

// Addr is where agents connect.
func (h *Hub) Addr() string { return h.srv.Addr().String() }

// JoinAddr is where they join.
func (h *Hub) JoinAddr() string { return h.joins.ln.Addr().String() }

// lastPart is the agent in a subject.
func lastPart(subject string) string { return subject[strings.LastIndexByte(subject, '.')+1:] }

// onHello admits an agent to the run.
func (h *Hub) onHello(m *nats.Msg) {
	name := lastPart(m.Subject)
	var said hello
	if json.Unmarshal(m.Data, &said) != nil || said.Life == "" {
		return
	}
	answer := welcome{Life: said.Life}
	switch err := h.cfg.expects(name); {
	case said.Protocol != Protocol:
		answer.Refused = fmt.Sprintf("agent %s is hnsim %s and speaks protocol %d; the coordinator is %s and speaks %d: install the same version on both",
			name, said.Version, said.Protocol, h.cfg.Version, Protocol)
	case err != nil:
		answer.Refused = err.Error()
	default:
		answer.Run, answer.PatienceNs = h.run, h.cfg.Patience
		h.meet(name, &said)
	}
	if answer.Refused != "" {
		h.cfg.Note(answer.Refused)
	}
	body, err := json.Marshal(answer)
	if err == nil {
		_ = h.nc.Publish(subjectWelcome+name, body) // the agent asks again
	}
}

// meet notes an agent that is there, for the first time or again.
func (h *Hub) meet(name string, said *hello) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.peers[name]
	if p == nil {
		if len(h.peers) >= maxAgents {
			return
		}
		p = &Peer{h: h, name: name, nudge: make(chan struct{}, 1), replies: make(chan *nats.Msg, 1)}
		h.peers[name] = p
	}
	p.seen = time.Now()
	switch {
	case p.life == said.Life:
		if p.connects != said.Connects { // what was on its way may be lost
			p.connects = said.Connects
			p.resend()
		}
		return
	case p.life != "" && p.seq > 0:
		h.lose(p, "it was started anew in the middle of the run")
	}
	p.life, p.connects, p.facts, p.version, p.ready = said.Life, said.Connects, said.Facts, said.Version, false
}

// announce wakes everybody who waits for a change. The lock is held.
func (h *Hub) announce() {
	close(h.changed)
	h.changed = make(chan struct{})
}

// lose gives an agent up. The lock is held.
func (h *Hub) lose(p *Peer, why string) {
	if p.lost == nil {
		p.lost = &LostError{Agent: p.name, Why: why}
		h.announce()
	}
}

// LostError says that an agent is gone for the rest of the run.
type LostError struct{ Agent, Why string }

func (e *LostError) Error() string { return fmt.Sprintf("agent %s is lost: %s", e.Agent, e.Why) }

// mine reports whether a message belongs to this run and this life of its
// agent; others are counted.
func (h *Hub) mine(m *nats.Msg) *Peer {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.peers[lastPart(m.Subject)]
	run := m.Header.Get(headerRun)
	if p == nil || run != h.run || m.Subject != subject(run, strings.Split(m.Subject, ".")[3], p.name) || m.Header.Get(headerLife) != p.life {
		h.counts.Stale++
		return nil
	}
	p.seen = time.Now()
	return p
}

func (h *Hub) onBeat(m *nats.Msg) {
	p := h.mine(m)
	if p == nil {
		return
	}
	var c Counts
	if json.Unmarshal(m.Data, &c) != nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	p.counts = c
	if !p.ready { // it knows the run: requests are not stale to it
		p.ready = true
		h.announce()
	}
}

func (h *Hub) onReply(m *nats.Msg) {
	p := h.mine(m)
	if p == nil {
		return
	}
	h.mu.Lock()
	waits := p.waits && seqOf(m) == p.seq
	if waits {
		p.waits = false // one answer is enough
	} else {
		h.counts.Stale++
	}
	h.mu.Unlock()
	if waits {
		p.replies <- m // has room: nobody else has answered this request
	}
}

// watchPeers gives up agents that are silent for too long. Two looks must agree:
// a coordinator that was stopped itself first reads what has come meanwhile.
func (h *Hub) watchPeers() {
	silent := map[*Peer]bool{}
	tick := time.NewTicker(max(h.cfg.Patience/8, 10*time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-h.stop:
			return
		case <-tick.C:
		}
		h.mu.Lock()
		for _, p := range h.peers {
			late := time.Since(p.seen) > h.cfg.Patience
			if late && silent[p] {
				h.lose(p, fmt.Sprintf("no sign of life for %v", h.cfg.Patience))
			}
			silent[p] = late
		}
		h.mu.Unlock()
	}
}

// Await waits until the named agents are there, and returns those that are not
// when ctx ends.
func (h *Hub) Await(ctx context.Context, names []string) (missing []string) {
	for {
		missing = nil
		h.mu.Lock()
		changed := h.changed
		for _, n := range names {
			if p := h.peers[n]; p == nil || !p.ready {
				missing = append(missing, n)
			}
		}
		h.mu.Unlock()
		if len(missing) == 0 {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return missing
		}
	}
}

// Peer is an agent that takes part in the run, or nil.
func (h *Hub) Peer(name string) *Peer {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p := h.peers[name]; p != nil && p.ready {
		return p
	}
	return nil
}

// Lost is the first agent that is lost, in the order of names, or nil.
func (h *Hub) Lost() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	var first *LostError
	for _, p := range h.peers {
		if p.lost != nil && (first == nil || p.name < first.Agent) {
			first = p.lost
		}
	}
	if first == nil {
		return nil
	}
	return first
}

// Counts is what both sides have dropped or repeated, as far as it is known.
func (h *Hub) Counts() Counts {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := h.counts
	for _, p := range h.peers {
		all.add(p.counts)
	}
	return all
}

// Close ends the run and tells the agents.
func (h *Hub) Close() error {
	select {
	case <-h.stop:
		return nil
	default:
		close(h.stop)
	}
	h.watch.Wait()
	var err error
	if h.nc != nil {
		h.mu.Lock()
		for name, p := range h.peers {
			err = errors.Join(err, h.nc.PublishMsg(message(subject(h.run, "end", name), h.run, p.life, 0, nil)))
		}
		h.mu.Unlock()
		err = errors.Join(err, h.nc.FlushTimeout(time.Second))
		h.nc.Close()
	}
	if h.joins != nil {
		h.joins.close()
	}
	if h.srv != nil {
		h.srv.Shutdown()
		h.srv.WaitForShutdown()
	}
	return err
}
