package remote

import (
	"context"
	"crypto/subtle"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/hnsim/hnsim/backends"
)

// Config says what is served and to whom.
type Config struct {
	Backend backends.Backend
	Token   string // what clients must know
	// Exclusive runs everything that touches a world; nil runs it at once. It
	// is for backends whose worlds are touched from elsewhere too.
	Exclusive func(func())
	// Select makes the control plane of one host of a world the one that
	// clients of another kind talk to; nil knows no such clients.
	Select func(w backends.World, host string) error
}

// maxOpen bounds the worlds that one connection has open.
const maxOpen = 1024

// Serve answers one client until its connection ends, and closes the worlds
// that it has left open. It returns nil when the client has simply gone.
func Serve(ctx context.Context, conn net.Conn, cfg Config) error {
	s := &server{cfg: cfg, worlds: map[int]*served{}, enc: gob.NewEncoder(conn), dec: gob.NewDecoder(conn)}
	if s.cfg.Exclusive == nil {
		s.cfg.Exclusive = func(f func()) { f() }
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	defer conn.Close()
	defer s.closeAll()
	if err := s.greet(); err != nil {
		return err
	}
	for {
		var req request
		if err := s.dec.Decode(&req); err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
				return nil
			}
			return fmt.Errorf("remote: %w", err)
		}
		var resp response
		s.cfg.Exclusive(func() { s.answer(ctx, &req, &resp) })
		if err := s.enc.Encode(&resp); err != nil {
			return fmt.Errorf("remote: %w", err)
		}
	}
}

type server struct {
	cfg    Config
	enc    *gob.Encoder
	dec    *gob.Decoder
	worlds map[int]*served
	last   int
}

// served is a world and how much of what it has observed the client knows.
type served struct {
	backends.World
	told int
}

func (s *server) greet() error {
	var h hello
	if err := s.dec.Decode(&h); err != nil {
		return fmt.Errorf("remote: the greeting: %w", err)
	}
	var err error
	switch {
	case subtle.ConstantTimeCompare([]byte(h.Token), []byte(s.cfg.Token)) != 1:
		err = errors.New("the token is not this server's")
	case h.Version != version:
		err = fmt.Errorf("version %d of the protocol: this end speaks %d; use the same program at both ends", h.Version, version)
	}
	b := s.cfg.Backend
	a := about{Err: failureOf(err)}
	if err == nil {
		a.Name, a.Capabilities = b.Name(), b.Capabilities()
		if n, ok := b.(backends.DropNamer); ok {
			a.DropNames = n.DropNames()
		}
	}
	return errors.Join(err, s.enc.Encode(&a))
}

func (s *server) closeAll() {
	for _, w := range s.worlds {
		s.cfg.Exclusive(func() { _, _ = w.Close(context.Background()) })
	}
}

func (s *server) answer(ctx context.Context, req *request, resp *response) {
	switch req.Method {
	case features:
		fs, err := s.cfg.Backend.Features(req.Profile)
		resp.Features, resp.Err = fs, failureOf(err)
		return
	case open:
		resp.Err = failureOf(s.open(ctx, req, resp))
		return
	}
	w := s.worlds[req.World]
	if w == nil {
		resp.Err = failureOf(fmt.Errorf("remote: no world %d is open", req.World))
		return
	}
	resp.Err = failureOf(s.ask(ctx, w, req, resp))
	resp.Now = w.Now()
	if all := w.Observations(); len(all) > w.told {
		resp.Seen = all[w.told:]
		w.told = len(all)
	}
	if req.Method == closeWorld {
		delete(s.worlds, req.World)
	}
}

func (s *server) open(ctx context.Context, req *request, resp *response) error {
	if req.Config == nil {
		return errors.New("remote: Open without a configuration")
	}
	if len(s.worlds) >= maxOpen {
		return fmt.Errorf("remote: %d worlds are open: close some", len(s.worlds))
	}
	w, err := s.cfg.Backend.Open(ctx, *req.Config)
	if err != nil {
		return err
	}
	s.last++
	s.worlds[s.last] = &served{World: w}
	resp.World = s.last
	return nil
}

// errIncomplete is a request without what its method needs.
var errIncomplete = errors.New("remote: the request is incomplete")

func (s *server) ask(ctx context.Context, w *served, req *request, resp *response) (err error) {
	missing := map[method]bool{
		addNode: req.Node == nil, setLink: req.Link == nil, doHCN: req.HCN == nil,
		addContainer: req.Container == nil, do: req.Stimulus == nil, set: req.Setting == nil,
	}
	if missing[req.Method] {
		return errIncomplete
	}
	switch req.Method {
	case addNode:
		return w.AddNode(ctx, *req.Node)
	case setLink:
		return w.SetLink(ctx, *req.Link)
	case doHCN:
		resp.HCN, err = w.HCN(ctx, *req.HCN)
	case addContainer:
		return w.AddContainer(ctx, *req.Container)
	case do:
		st := *req.Stimulus
		if req.EmptyReply {
			st.Reply = []byte{}
		}
		resp.Outcome, err = w.Do(ctx, st)
	case advance:
		return w.Advance(ctx, req.Duration)
	case set:
		return w.Set(ctx, *req.Setting)
	case trace:
		resp.Lines = w.Trace(req.ID)
	case eventHash:
		resp.Text = w.EventHash()
	case dump:
		resp.Text, err = w.Dump(ctx, req.Text)
	case invariants:
		resp.Lines = w.Invariants()
	case sync:
	case selectHost:
		if s.cfg.Select == nil {
			return errors.New("remote: this server selects no hosts")
		}
		return s.cfg.Select(w.World, req.Text)
	case closeWorld:
		resp.Lines, err = w.Close(ctx)
	default:
		return fmt.Errorf("remote: no method %q", req.Method)
	}
	return err
}
