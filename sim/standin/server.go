package standin

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/hns"
)

// Host is a host whose HNS the server offers.
type Host struct {
	Name string
	HNS  *hns.Service
}

// Config parametrises a Server. Hosts is required; every other zero value
// works.
type Config struct {
	Hosts []Host // the first one is the default
	// Listen is a loopback address with a port; empty is 127.0.0.1:0.
	Listen string
	// Token is what clients must know; empty makes a random one.
	Token string
	// Before runs before every call, with all calls shut out: the place to
	// move virtual time.
	Before func()
	// OnCall receives every call after it, one after another.
	OnCall func(Call)
	// Now is the clock of Call.Time; nil is time.Now.
	Now func() time.Time
	// GreetingTimeout ends connections that do not greet; 0 is ten seconds.
	GreetingTimeout time.Duration
}

// Call is a call that was carried out.
type Call struct {
	Time     time.Time     `json:"t"`
	Took     time.Duration `json:"tookNs"`
	Session  uint64        `json:"session"`
	Host     string        `json:"host"`
	Function string        `json:"fn"`
	GUID     string        `json:"guid,omitempty"`
	Handle   uint64        `json:"handle,omitempty"`
	On       string        `json:"on,omitempty"` // object of the handle
	Args     []string      `json:"args,omitempty"`
	HResult  string        `json:"hr"`
	New      uint64        `json:"newHandle,omitempty"`
	Result   string        `json:"result,omitempty"`
	Error    string        `json:"error,omitempty"`
}

// Stats are counters of a Server.
type Stats struct {
	Connections, Sessions, Handles int // open now
	Calls, Refused                 uint64
	// Leaked counts handles that sessions left open at their end.
	Leaked uint64
}

// Server offers hosts to clients. Calls are carried out one after another,
// over all clients: the hosts of a world share its clock and its wires.
type Server struct {
	cfg Config
	ln  net.Listener

	mu       sync.Mutex // everything below, and the world
	sessions map[uint64]*session
	conns    map[net.Conn]bool
	compute  map[string]*computeSystem
	guests   map[string]*guestService
	stats    Stats
	closed   bool

	subs atomic.Pointer[[]*subscription] // replaced with mu held, read without
	wg   sync.WaitGroup
}

// Listen makes a server and opens its port. Serve must follow.
func Listen(cfg Config) (*Server, error) {
	if len(cfg.Hosts) == 0 {
		return nil, errors.New("standin: no host to offer")
	}
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	addr, err := netip.ParseAddrPort(cfg.Listen)
	if err != nil || !addr.Addr().IsLoopback() {
		return nil, fmt.Errorf("standin: cannot listen on %q: expected a loopback address with a port, such as 127.0.0.1:0", cfg.Listen)
	}
	if cfg.Token == "" {
		var raw [32]byte
		if _, err := rand.Read(raw[:]); err != nil {
			return nil, err
		}
		cfg.Token = hex.EncodeToString(raw[:])
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.GreetingTimeout == 0 {
		cfg.GreetingTimeout = 10 * time.Second
	}
	ln, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return nil, err
	}
	return &Server{
		cfg: cfg, ln: ln, sessions: map[uint64]*session{}, conns: map[net.Conn]bool{},
		compute: map[string]*computeSystem{}, guests: map[string]*guestService{},
	}, nil
}

// Addr is where the server listens: "127.0.0.1:port".
func (s *Server) Addr() string { return s.ln.Addr().String() }

// Token is what clients must send.
func (s *Server) Token() string { return s.cfg.Token }

// Stats returns the counters of this moment.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stats
	st.Connections, st.Sessions = len(s.conns), len(s.sessions)
	for _, ses := range s.sessions {
		st.Handles += len(ses.table)
	}
	return st
}

// Serve accepts clients until Close, and returns nil then.
func (s *Server) Serve() error {
	for {
		conn, err := s.ln.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return nil
			}
			return err
		}
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			conn.Close()
			return nil
		}
		s.conns[conn] = true
		s.wg.Add(1)
		s.mu.Unlock()
		go s.client(conn)
	}
}

// Close ends the server: no new client, calls that are under way finish, the
// connections end. It returns when every connection has gone.
func (s *Server) Close() error {
	err := s.ln.Close()
	s.mu.Lock()
	s.closed = true
	for _, sub := range s.subscribers() {
		sub.close()
	}
	for c := range s.conns {
		// Reading ends at once; an answer that is being written still goes out.
		_ = c.SetReadDeadline(time.Unix(1, 0))
	}
	s.mu.Unlock()
	s.wg.Wait()
	return err
}

// client serves one connection.
func (s *Server) client(conn net.Conn) {
	var ses *session
	defer func() {
		conn.Close()
		s.mu.Lock()
		delete(s.conns, conn)
		s.leave(ses)
		s.mu.Unlock()
		s.wg.Done()
	}()
	ses, host, err := s.greet(conn)
	if err != nil {
		s.refuse(conn, err)
		return
	}
	for {
		body, err := readFrame(conn, MaxRequest)
		var req Request
		if err == nil {
			req, err = parseRequest(body)
		}
		if err != nil {
			s.refuse(conn, err)
			return
		}
		resp := s.call(ses, host, &req)
		_ = conn.SetWriteDeadline(time.Now().Add(time.Minute))
		if err := writeFrame(conn, appendResponse(nil, &resp)); err != nil {
			return
		}
	}
}

// accessDenied is the answer to a wrong token.
const accessDenied hcn.Code = 0x80070005

// greet reads the greeting and joins the session.
func (s *Server) greet(conn net.Conn) (*session, *Host, error) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, nil, net.ErrClosed
	}
	_ = conn.SetReadDeadline(time.Now().Add(s.cfg.GreetingTimeout))
	s.mu.Unlock()
	body, err := readFrame(conn, MaxGreeting)
	if err != nil {
		return nil, nil, err
	}
	g, err := parseGreeting(body)
	if err != nil {
		return nil, nil, err
	}
	if subtle.ConstantTimeCompare([]byte(g.token.Value), []byte(s.cfg.Token)) != 1 {
		return nil, nil, hcn.Errorf(accessDenied, "the token is not this server's")
	}
	at := 0
	if g.host.Value != "" {
		at = slices.IndexFunc(s.cfg.Hosts, func(h Host) bool { return h.Name == g.host.Value })
	}
	if at < 0 {
		return nil, nil, hcn.Errorf(hcn.ErrElementNotFound, "no host %q", g.host.Value)
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, nil, net.ErrClosed
	}
	_ = conn.SetReadDeadline(time.Time{})
	ses := s.join(g.session)
	s.mu.Unlock()
	return ses, &s.cfg.Hosts[at], writeFrame(conn, appendResponse(nil, &Response{Texts: []Text{Null, Null}}))
}

func (s *Server) join(id uint64) *session {
	ses := s.sessions[id]
	if ses == nil {
		ses = &session{id: id, table: map[uint64]*handle{}}
		s.sessions[id] = ses
	}
	ses.conns++
	return ses
}

// leave drops the session with its last connection.
func (s *Server) leave(ses *session) {
	if ses == nil {
		return
	}
	if ses.conns--; ses.conns > 0 {
		return
	}
	delete(s.sessions, ses.id)
	s.stats.Leaked += uint64(len(ses.table))
	for _, h := range ses.table {
		if h.sub != nil {
			h.sub.close()
			s.unsubscribe(h.sub)
		}
	}
}

// refuse tells a client why its connection ends. Connections that merely
// ended are not told.
func (s *Server) refuse(conn net.Conn, err error) {
	var broken *frameError
	var refused *hcn.Error
	switch {
	case errors.As(err, &broken):
		refused = hcn.Errorf(hcn.ErrInvalidParameter, "%s", broken.msg)
	case errors.As(err, &refused):
	default:
		return
	}
	s.mu.Lock()
	s.stats.Refused++
	s.mu.Unlock()
	_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
	resp := failure(refused)
	_ = writeFrame(conn, appendResponse(nil, &resp))
}

// failure is the response for an error.
func failure(err error) Response {
	e := hcn.AsError(err)
	return Response{HResult: uint32(e.Code), Texts: []Text{Null, Str(string(e.ErrorRecord()))}}
}

// Notify queues a notification for the registered callbacks. It belongs into
// hns.Config.Notify; host is the name of the service's host.
func (s *Server) Notify(host string, n hns.Notification) {
	// The service notifies outside its own lock but inside a call of this
	// server, which holds mu: subscriptions have a list of their own.
	for _, sub := range s.subscribers() {
		if sub.host != host {
			continue
		}
		select {
		case sub.queue <- n:
		default:
		}
	}
}

func (s *Server) subscribers() []*subscription {
	if p := s.subs.Load(); p != nil {
		return *p
	}
	return nil
}

func (s *Server) subscribe(sub *subscription) {
	list := append(slices.Clone(s.subscribers()), sub)
	s.subs.Store(&list)
}

func (s *Server) unsubscribe(sub *subscription) {
	list := slices.DeleteFunc(slices.Clone(s.subscribers()), func(x *subscription) bool { return x == sub })
	s.subs.Store(&list)
}
