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

// Config parametrises a Server. Hosts is required, unless Later is set; every
// other zero value works.
type Config struct {
	Hosts []Host // the first one is the default
	// Later says that hosts come and go with Select, and that there may be none.
	Later bool
	// Listen is a loopback address with a port; empty is 127.0.0.1:0.
	Listen string
	// Token is what clients must know; empty makes a random one.
	Token string
	// AllowRemote lets Listen be an address of any network. The token then
	// crosses it unencrypted.
	AllowRemote bool
	// Before runs before every call, with all calls shut out: the place to
	// move virtual time.
	Before func()
	// OnCall receives every call after it, one after another: a call that began
	// when another had been answered comes after that one.
	OnCall func(Call)
	// Durable runs after every call, outside of the calls' lock and before the
	// answer goes out: the place to wait until the change is on the disk. Its
	// error becomes the answer, and what OnCall receives.
	Durable func() error
	// HTTP takes over connections that speak HTTP instead of the protocol of
	// the DLLs; nil refuses them.
	HTTP func(net.Conn)
	// MaxConnections are open at a time; 0 is DefaultConnections.
	MaxConnections int
	// MaxInFlight bounds the bytes of requests that are being read or carried
	// out, over all connections; 0 is DefaultInFlight.
	MaxInFlight int64
	// Now is the clock of Call.Time; nil is time.Now.
	Now func() time.Time
	// GreetingTimeout ends connections that do not greet; 0 is ten seconds.
	GreetingTimeout time.Duration
	// FrameTimeout ends connections whose frame does not come to its end; 0 is
	// 30 seconds. Between frames a client may be silent for ever.
	FrameTimeout time.Duration
}

// Defaults of the bounds in Config.
const (
	DefaultConnections = 1024
	DefaultInFlight    = 256 << 20
)

// Call is a call that was carried out.
type Call struct {
	Time     time.Time     `json:"t"`
	Took     time.Duration `json:"tookNs"`
	Via      string        `json:"via,omitempty"` // another way in than the DLLs
	Session  uint64        `json:"session"`
	Host     string        `json:"host"`
	Function string        `json:"fn"`
	GUID     string        `json:"guid,omitempty"`
	Handle   uint64        `json:"handle,omitempty"`
	On       string        `json:"on,omitempty"` // object of the handle
	Args     []string      `json:"args,omitempty"`
	HResult  string        `json:"hr"`
	New      uint64        `json:"newHandle,omitempty"`
	NewID    string        `json:"newId,omitempty"` // of a created object
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
	selected *Host      // with Config.Later: the host of who names none
	sessions map[uint64]*session
	conns    map[net.Conn]bool // false: handed over to HTTP
	compute  map[string]*computeSystem
	guests   map[guestKey]*guestService
	stats    Stats
	closed   bool

	subs   atomic.Pointer[[]*subscription] // replaced with mu held, read without
	wg     sync.WaitGroup
	budget *budget
	turned chan struct{} // connections beyond the bound that are being told so
}

// Listen makes a server and opens its port. Serve must follow.
func Listen(cfg Config) (*Server, error) {
	if len(cfg.Hosts) == 0 && !cfg.Later {
		return nil, errors.New("standin: no host to offer")
	}
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	addr, err := netip.ParseAddrPort(cfg.Listen)
	if err != nil || !cfg.AllowRemote && !addr.Addr().IsLoopback() {
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
	if cfg.FrameTimeout == 0 {
		cfg.FrameTimeout = 30 * time.Second
	}
	if cfg.MaxConnections <= 0 {
		cfg.MaxConnections = DefaultConnections
	}
	if cfg.MaxInFlight <= 0 {
		cfg.MaxInFlight = DefaultInFlight
	}
	ln, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return nil, err
	}
	return &Server{
		budget: newBudget(max(cfg.MaxInFlight, MaxRequest)), turned: make(chan struct{}, maxTurned),
		cfg: cfg, ln: ln, sessions: map[uint64]*session{}, conns: map[net.Conn]bool{},
		compute: map[string]*computeSystem{}, guests: map[guestKey]*guestService{},
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
		if len(s.conns) >= s.cfg.MaxConnections {
			s.stats.Refused++
			s.mu.Unlock()
			s.turnAway(conn)
			continue
		}
		s.conns[conn] = true
		s.wg.Add(1)
		s.mu.Unlock()
		go s.client(conn)
	}
}

// Close ends the server: no new client, calls that are under way finish, the
// connections of DLLs end. It returns when every one of those has gone; those
// that speak HTTP are the business of who took them over.
func (s *Server) Close() error {
	err := s.ln.Close()
	s.mu.Lock()
	s.closed = true
	for _, sub := range s.subscribers() {
		sub.close()
	}
	for c, ours := range s.conns {
		if !ours {
			continue
		}
		// Reading ends at once; an answer that is being written still goes out.
		_ = c.SetReadDeadline(time.Unix(1, 0))
	}
	s.mu.Unlock()
	s.wg.Wait()
	return err
}

// readWithin sets how long the next reading may take; 0 is for ever. It fails
// when the server is being closed, which has set a deadline of its own.
func (s *Server) readWithin(conn net.Conn, d time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	if d == 0 {
		return conn.SetReadDeadline(time.Time{})
	}
	return conn.SetReadDeadline(time.Now().Add(d))
}

// client serves one connection.
func (s *Server) client(conn net.Conn) {
	defer s.wg.Done()
	if s.readWithin(conn, s.cfg.GreetingTimeout) != nil {
		s.forget(conn, nil)
		return
	}
	var ses *session
	first, http, err := sniff(conn)
	switch {
	case err != nil:
	case http && s.cfg.HTTP != nil:
		if s.handOver(conn) {
			s.cfg.HTTP(&httpConn{Conn: conn, first: first, gone: func() { s.forget(conn, nil) }})
			return
		}
	default:
		ses = s.serveFrames(&prefixed{conn, first})
	}
	s.forget(conn, ses)
}

// handOver marks a connection as no longer the business of Close.
func (s *Server) handOver(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.conns[conn] = false
	_ = conn.SetReadDeadline(time.Time{})
	return true
}

// forget closes a connection and leaves its session.
func (s *Server) forget(conn net.Conn, ses *session) {
	conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, conn)
	s.leave(ses)
}

// serveFrames speaks the protocol of the DLLs until the connection ends.
func (s *Server) serveFrames(conn net.Conn) *session {
	ses, host, err := s.greet(conn)
	if err != nil {
		s.refuse(conn, err)
		return ses
	}
	for {
		if err := s.exchange(conn, ses, host); err != nil {
			s.refuse(conn, err)
			return ses
		}
	}
}

// exchange reads one request and answers it.
func (s *Server) exchange(conn net.Conn, ses *session, host *Host) error {
	n, err := readLength(conn, MaxRequest)
	if err != nil {
		return err
	}
	if err := s.Reserve(int64(n)); err != nil {
		return err
	}
	defer s.Release(int64(n))
	if err := s.readWithin(conn, s.cfg.FrameTimeout); err != nil {
		return err
	}
	body, err := readBody(conn, n)
	if err != nil {
		return err
	}
	_ = s.readWithin(conn, 0) // a call that has arrived is carried out, closing or not
	req, err := parseRequest(body)
	if err != nil {
		return err
	}
	resp := s.call(ses, host, &req)
	_ = conn.SetWriteDeadline(time.Now().Add(time.Minute))
	return writeFrame(conn, appendResponse(nil, &resp))
}

// accessDenied is the answer to a wrong token.
const accessDenied hcn.Code = 0x80070005

// greet reads the greeting and joins the session.
func (s *Server) greet(conn net.Conn) (*session, *Host, error) {
	body, err := readFrame(conn, MaxGreeting)
	if err != nil {
		return nil, nil, err
	}
	g, err := parseGreeting(body)
	if err != nil {
		return nil, nil, err
	}
	if !s.Authorized(g.token.Value) {
		return nil, nil, hcn.Errorf(accessDenied, "the token is not this server's")
	}
	var host *Host // who names none follows Select
	if name := g.host.Value; name != "" || !s.cfg.Later {
		if host, err = s.host(name); err != nil {
			return nil, nil, err
		}
	}
	if err := s.readWithin(conn, 0); err != nil {
		return nil, nil, err
	}
	s.mu.Lock()
	ses := s.join(g.session)
	s.mu.Unlock()
	return ses, host, writeFrame(conn, appendResponse(nil, &Response{Texts: []Text{Null, Null}}))
}

// Authorized compares a token with the server's, in constant time.
func (s *Server) Authorized(token string) bool {
	return subtle.ConstantTimeCompare([]byte(token), []byte(s.cfg.Token)) == 1
}

// host finds a host by name; "" is the first one.
func (s *Server) host(name string) (*Host, error) {
	for i := range s.cfg.Hosts {
		if h := &s.cfg.Hosts[i]; name == "" || h.Name == name {
			return h, nil
		}
	}
	return nil, hcn.Errorf(hcn.ErrElementNotFound, "no host %q", name)
}

// Select makes a host the one of all clients that name none, from their next
// call on; nil leaves them without. Config.Later must be set, and the caller be
// in Look or Do.
func (s *Server) Select(h *Host) { s.selected = h }

// Hosts are the hosts that the server offers.
func (s *Server) Hosts() []Host { return slices.Clone(s.cfg.Hosts) }

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
	for v := range ses.table {
		s.drop(ses, v)
	}
}

// drop closes a handle that its client will not close; 0 is none.
func (s *Server) drop(ses *session, v uint64) {
	if h := ses.table[v]; h != nil && h.sub != nil {
		h.sub.close()
		s.unsubscribe(h.sub)
	}
	delete(ses.table, v)
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
		if sub.host != host || sub.guest != "" && sub.guest != n.ID {
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
