package standin

import (
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/hns"
)

// sniff reads the first bytes of a connection, which tell HTTP from a frame:
// a method begins with a letter, and the upper bytes of a greeting's length
// are zero.
func sniff(conn net.Conn) (first []byte, http bool, err error) {
	first = make([]byte, 4)
	if _, err := io.ReadFull(conn, first); err != nil {
		return nil, false, err
	}
	letter := first[0] | 0x20
	return first, letter >= 'a' && letter <= 'z' && first[2] != 0, nil
}

// prefixed is a connection of which some bytes have been read.
type prefixed struct {
	net.Conn
	first []byte
}

func (c *prefixed) Read(b []byte) (int, error) { return readPrefixed(c.Conn, &c.first, b) }

func readPrefixed(conn net.Conn, first *[]byte, b []byte) (int, error) {
	if len(*first) == 0 {
		return conn.Read(b)
	}
	n := copy(b, *first)
	*first = (*first)[n:]
	return n, nil
}

// httpConn is a connection that is handed over.
type httpConn struct {
	net.Conn
	first []byte
	once  sync.Once
	gone  func()
}

func (c *httpConn) Read(b []byte) (int, error) { return readPrefixed(c.Conn, &c.first, b) }

func (c *httpConn) Close() error {
	c.once.Do(c.gone)
	return nil
}

// maxTurned is how many clients at a time are told that the server is full;
// more are cut off without a word.
const maxTurned = 32

// turnAway tells a client in its own protocol that there are too many.
func (s *Server) turnAway(conn net.Conn) {
	select {
	case s.turned <- struct{}{}:
	default:
		conn.Close()
		return
	}
	go func() {
		defer func() { <-s.turned }()
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(time.Second))
		_, http, err := sniff(conn)
		if err != nil {
			return
		}
		full := hcn.Errorf(hcn.ErrServerUnavail, "%d connections are open, and more are not served at a time", s.cfg.MaxConnections)
		if http && s.cfg.HTTP != nil {
			body := full.ErrorRecord()
			fmt.Fprintf(conn, "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\nRetry-After: 1\r\n\r\n%s", len(body), body)
		} else {
			resp := failure(full)
			_ = writeFrame(conn, appendResponse(nil, &resp))
		}
		// Closing with unread bytes would reset the connection and take the
		// answer back.
		_, _ = io.CopyN(io.Discard, conn, MaxGreeting)
	}()
}

// budget bounds the bytes of requests in memory.
type budget struct {
	mu      sync.Mutex
	free    int64
	changed chan struct{} // closed when something was given back
}

func newBudget(n int64) *budget { return &budget{free: n, changed: make(chan struct{})} }

// budgetWait is how long a request waits for its share.
const budgetWait = 10 * time.Second

func (b *budget) take(n int64, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		b.mu.Lock()
		if b.free >= n {
			b.free -= n
			b.mu.Unlock()
			return true
		}
		changed := b.changed
		b.mu.Unlock()
		select {
		case <-changed:
		case <-timer.C:
			return false
		}
	}
}

func (b *budget) give(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.free += n
	close(b.changed)
	b.changed = make(chan struct{})
}

// Reserve takes bytes out of Config.MaxInFlight before a request of that
// length is read, at most MaxRequest. It waits for other requests to end, not
// for ever. Release gives them back.
func (s *Server) Reserve(n int64) error {
	if !s.budget.take(n, budgetWait) {
		return hcn.Errorf(hcn.ErrServerUnavail, "requests of %d bytes are under way, and more are not read at a time", s.cfg.MaxInFlight)
	}
	return nil
}

// Release gives back what Reserve took.
func (s *Server) Release(n int64) { s.budget.give(n) }

// Operation is work that comes in another way than through the DLLs.
type Operation struct {
	Via      string // for the record: "http"
	Host     string // "" is the first one
	Function string // for the record: the function that does the same
	ID       string // of the object, "" for none
	NewID    string // of an object that Run has made
	Args     []string
	// Run does the work, alone, and returns its result. An error that is no
	// *hcn.Error counts as E_FAIL.
	Run func(h *Host) ([]byte, error)
}

// Do carries out an operation as a call is carried out: alone, after Before,
// recorded, and durable when it returns.
func (s *Server) Do(op *Operation) ([]byte, error) {
	host, err := s.host(op.Host)
	if err != nil {
		return nil, err
	}
	var out []byte
	s.carryOut(&job{
		run:  func() { out, err = op.Run(host) },
		fail: func(e error) { out, err = nil, e },
		record: func() Call {
			c := Call{Via: op.Via, Host: host.Name, Function: op.Function, GUID: op.ID, NewID: op.NewID, Args: op.Args,
				HResult: "0x00000000", Result: string(out)}
			if err != nil {
				e := hcn.AsError(err)
				c.HResult, c.Error = fmt.Sprintf("0x%08x", uint32(e.Code)), string(e.ErrorRecord())
			}
			return c
		},
	})
	return out, err
}

// Subscription is a stream of notifications of one host.
type Subscription struct {
	C      <-chan hns.Notification
	Closed <-chan struct{} // the server is being closed
	sub    *subscription
	srv    *Server
}

// Subscribe registers for the notifications of a host; "" is the first one.
// Those that nobody fetches in time are lost.
func (s *Server) Subscribe(host string) (*Subscription, error) {
	h, err := s.host(host)
	if err != nil {
		return nil, err
	}
	sub := newSubscription(h.Name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		sub.close()
	}
	s.subscribe(sub)
	return &Subscription{sub.queue, sub.closed, sub, s}, nil
}

// Cancel ends the subscription.
func (s *Subscription) Cancel() {
	s.srv.mu.Lock()
	defer s.srv.mu.Unlock()
	s.sub.close()
	s.srv.unsubscribe(s.sub)
}

// Look runs f with all calls shut out, without recording it: for those who
// only want to see.
func (s *Server) Look(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}
