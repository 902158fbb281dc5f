package simulated

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/backends/remote"
	"github.com/hnsim/hnsim/sim/standin"
)

// Service serves simulated worlds in two ways at once: their control planes
// through the stand-in of HNS, as Windows programs see them, and all else
// through a probe service beside it (package remote), by which a client makes
// worlds and says which host of which world its HNS calls are for. It is how
// the backend of the real HNS is tested without one: what differs from this
// backend is the way of the documents alone.
//
// The selected host is that of everybody: connections to the probe service are
// meant to be those of one program, which lets its own HNS calls take turns.
type Service struct {
	srv *standin.Server
	ln  net.Listener

	ctx  context.Context
	stop context.CancelFunc
	wg   sync.WaitGroup

	// The rest belongs to who is in srv.Look.
	current *world
	trouble error
}

// NewService opens both ports on the loopback. onCall, unless it is nil,
// receives every call of HNS. Serve must follow.
func NewService(onCall func(standin.Call)) (*Service, error) {
	s := &Service{}
	var err error
	s.srv, err = standin.Listen(standin.Config{Later: true, OnCall: func(c standin.Call) {
		if s.current != nil {
			s.trouble = errors.Join(s.trouble, s.current.settle())
		}
		if onCall != nil {
			onCall(c)
		}
	}})
	if err != nil {
		return nil, err
	}
	if s.ln, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, errors.Join(err, s.srv.Close())
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s, nil
}

// Env tells Windows programs where both are.
func (s *Service) Env() []string {
	return []string{
		"HNSIM_STANDIN_ADDR=" + s.srv.Addr(), "HNSIM_STANDIN_TOKEN=" + s.srv.Token(), "HNSIM_STANDIN_HOST=",
		"HNSIM_STANDIN_PROBES=" + s.Addr(),
	}
}

// Addr is where the probe service listens.
func (s *Service) Addr() string { return s.ln.Addr().String() }

// StandIn is where the DLLs' server listens.
func (s *Service) StandIn() string { return s.srv.Addr() }

// Token is what clients of both must know.
func (s *Service) Token() string { return s.srv.Token() }

// Serve serves until Close.
func (s *Service) Serve() error {
	done := make(chan error, 1)
	go func() { done <- s.srv.Serve() }()
	for {
		conn, err := s.ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return <-done
		}
		if err != nil {
			return errors.Join(err, s.Close(), <-done)
		}
		s.wg.Add(1)
		go s.client(conn)
	}
}

func (s *Service) client(conn net.Conn) {
	defer s.wg.Done()
	// How a client ends is its own matter: its worlds are closed.
	_ = remote.Serve(s.ctx, conn, remote.Config{
		Backend: served{service: s}, Token: s.srv.Token(), Exclusive: s.srv.Look, Select: s.choose,
	})
}

// choose makes a host of a world the one that HNS calls are for.
func (s *Service) choose(bw backends.World, host string) error {
	if err := s.trouble; err != nil {
		s.trouble = nil
		return err
	}
	w := bw.(*servedWorld).world
	nd := w.nodes[host]
	if nd == nil || nd.host == nil {
		return usage("no Windows host %q", host)
	}
	s.current = w
	s.srv.Select(&standin.Host{Name: host, HNS: nd.host.HNS})
	return nil
}

// Close ends both and every connection.
func (s *Service) Close() error {
	s.stop()
	err := s.ln.Close()
	s.wg.Wait()
	return errors.Join(err, s.srv.Close())
}

// served is the backend of a service.
type served struct {
	Backend
	service *Service
}

// Capabilities are all but for running programs, which have an HNS of their own,
// and network controllers, which are asked through more than the contract's world.
func (served) Capabilities() []backends.Capability {
	return slices.DeleteFunc(backends.Capabilities(), func(c backends.Capability) bool {
		return c == backends.Programs || c == backends.SDN
	})
}

// Open makes a world whose notifications go to the stand-in's clients.
func (b served) Open(_ context.Context, cfg backends.WorldConfig) (backends.World, error) {
	w, err := newWorld(cfg)
	if err != nil {
		return nil, err
	}
	w.lent = b.service.srv
	return &servedWorld{w, b.service}, nil
}

// servedWorld is a world that gives its host back when it closes.
type servedWorld struct {
	*world
	service *Service
}

// Close closes the world. No HNS call reaches it any more.
func (w *servedWorld) Close(ctx context.Context) ([]string, error) {
	if s := w.service; s.current == w.world {
		s.current = nil
		s.srv.Select(nil)
	}
	return w.world.Close(ctx)
}
