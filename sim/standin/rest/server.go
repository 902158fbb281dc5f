package rest

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/hnsim/hnsim/sim"
	"github.com/hnsim/hnsim/sim/standin"
	"github.com/hnsim/hnsim/sim/standin/statefile"
)

// Config parametrises a Server. World and Watch are required.
type Config struct {
	World *sim.World
	Watch *Watch // of the world
	// StateFile returns the counters of the state file; nil if there is none.
	StateFile func() statefile.Stats
	// Healthy returns why the service cannot go on, nil if it can.
	Healthy func() error
	// Log receives what HTTP itself has to complain about; nil is nobody.
	Log *slog.Logger
}

// Server serves connections that Take was given. It needs a stand-in, which
// Serve brings.
type Server struct {
	cfg   Config
	st    *standin.Server
	calls *calls
	http  *http.Server
	in    *handover
}

// New makes a server. Take belongs into standin.Config.HTTP, OnCall into
// standin.Config.OnCall; Serve must follow.
func New(cfg Config) *Server {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{cfg: cfg, calls: newCalls(), in: newHandover()}
	s.http = &http.Server{
		Handler: s.handler(), ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(cfg.Log.Handler(), slog.LevelDebug),
	}
	return s
}

// Time limits. A client that sends its request a byte at a time is cut off; an
// answer may wait for other calls and for the disk.
const (
	headerTimeout = 10 * time.Second
	readTimeout   = time.Minute
	writeTimeout  = 2 * time.Minute
	idleTimeout   = 2 * time.Minute
	maxHeader     = 64 << 10
)

// Serve answers requests until Shutdown, and returns nil then.
func (s *Server) Serve(st *standin.Server) error {
	s.st = st
	err := s.http.Serve(s.in)
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// Take serves a connection.
func (s *Server) Take(c net.Conn) { s.in.put(c) }

// OnCall counts a call for the metrics.
func (s *Server) OnCall(c standin.Call) { s.calls.add(c) }

// Shutdown ends the server: requests that are under way finish, at most until
// ctx ends.
func (s *Server) Shutdown(ctx context.Context) error {
	s.in.Close()
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.http.Close())
	}
	return err
}

// handover is a listener whose connections others have accepted.
type handover struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newHandover() *handover {
	return &handover{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (h *handover) put(c net.Conn) {
	select {
	case h.conns <- c:
	case <-h.closed:
		c.Close()
	}
}

func (h *handover) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

func (h *handover) Close() error {
	h.once.Do(func() { close(h.closed) })
	return nil
}

func (h *handover) Addr() net.Addr { return &net.TCPAddr{} }

// route is an entry of the reference.
type route struct {
	pattern, about string
	run            func(s *Server, w http.ResponseWriter, r *http.Request) error
}

// routes is the whole interface.
func routes() []route {
	return []route{
		{"GET /{$}", "this list", (*Server).index},
		{"GET /v1/{kind}", "documents of a kind; ?shape=v1, ?detailed=true, ?filter=JSON, ?MEMBER=VALUE", (*Server).list},
		{"POST /v1/{kind}", "create: settings in, document out; ?network=ID of an endpoint", (*Server).create},
		{"GET /v1/{kind}/{id}", "one document; ?shape=v1, ?detailed=true", (*Server).get},
		{"PATCH /v1/{kind}/{id}", "modify request in, document out", (*Server).modify},
		{"DELETE /v1/{kind}/{id}", "delete", (*Server).remove},
		{"POST /v1/hnscall", `HNSCall: {"Method","Path","Request"} in, envelope out`, (*Server).hnsCall},
		{"/hns/{path...}", "HNSCall with the request's own method, path and body", (*Server).hnsPath},
		{"GET /v1/state", "every object of every host in both shapes", (*Server).state},
		{"GET /v1/hosts", "the hosts", (*Server).hosts},
		{"POST /v1/hosts/{name}/stop", "stop the HNS of a host: every call fails with 0x800706b5 until start", (*Server).stop},
		{"POST /v1/hosts/{name}/start", "start it again", (*Server).start},
		{"POST /v1/hosts/{name}/restart", "stop and start", (*Server).restart},
		{"POST /v1/hosts/{name}/reboot", "reboot a host", (*Server).reboot},
		{"GET /v1/clock", "the virtual time", (*Server).clock},
		{"POST /v1/clock/advance", `{"duration":"241s"}: let virtual time pass`, (*Server).advance},
		{"POST /v1/trace", `{"from":"ENDPOINT","packet":"udp 10.0.0.1:5000 > 10.0.0.2:53 'hello'"}: the walk of a packet; ?format=text`, (*Server).trace},
		{"GET /v1/events", "notifications as server-sent events", (*Server).events},
		{"GET /metrics", "counters in the text format of Prometheus", (*Server).metrics},
		{"GET /healthz", "whether the service can go on", (*Server).healthz},
	}
}

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	for _, rt := range routes() {
		mux.HandleFunc(rt.pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := rt.run(s, w, r); err != nil {
				s.fail(w, err)
			}
		})
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.authorized(r) {
			w.Header().Set("WWW-Authenticate", "Bearer")
			s.fail(w, &httpError{http.StatusUnauthorized, "the request needs the header Authorization: Bearer TOKEN, with the token from the token file"})
			return
		}
		if h, pattern := mux.Handler(r); pattern == "" {
			s.unknown(w, r, h)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func (s *Server) authorized(r *http.Request) bool {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.EqualFold(scheme, "Bearer") && s.st.Authorized(strings.TrimSpace(token))
}

// unknown answers what no route has, in our form instead of the multiplexer's.
func (s *Server) unknown(w http.ResponseWriter, r *http.Request, h http.Handler) {
	seen := &statusOnly{header: http.Header{}}
	h.ServeHTTP(seen, r)
	if allow := seen.header.Get("Allow"); seen.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", allow)
		s.fail(w, httpErrorf(seen.status, "%s is not for %s: expected %s", r.Method, r.URL.Path, allow))
		return
	}
	s.fail(w, httpErrorf(http.StatusNotFound, "nothing is at %s: GET / lists what there is", r.URL.Path))
}

// statusOnly keeps the status and the header of an answer.
type statusOnly struct {
	header http.Header
	status int
}

func (w *statusOnly) Header() http.Header         { return w.header }
func (w *statusOnly) WriteHeader(status int)      { w.status = status }
func (w *statusOnly) Write(b []byte) (int, error) { return len(b), nil }

func (s *Server) index(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	for _, rt := range routes() {
		method, path, ok := strings.Cut(rt.pattern, " ")
		if !ok {
			method, path = "any", rt.pattern
		}
		_, _ = io.WriteString(w, method+" "+strings.TrimSuffix(path, "{$}")+"\n      "+rt.about+"\n")
	}
	_, _ = io.WriteString(w, "\nkinds: networks, endpoints, namespaces, loadbalancers, routes\nhost: ?host=NAME or the header Hnsim-Host; without, the first one\n")
	return nil
}
