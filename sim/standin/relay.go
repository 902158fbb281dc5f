package standin

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

// Relay passes the connections of programs on to a server that is somewhere
// else, and sees their calls go by.
type Relay struct {
	cfg RelayConfig

	mu      sync.Mutex
	conns   map[net.Conn]bool
	closed  bool
	handles map[sessionHandle]string // what they stand for, as far as it shows
	wg      sync.WaitGroup
}

type sessionHandle struct{ session, handle uint64 }

// RelayConfig describes a Relay. Listener and Dial are required.
type RelayConfig struct {
	Listener net.Listener
	Dial     func() (net.Conn, error) // to the server
	Host     string                   // for the record
	// OnCall receives every call before its answer goes back, one after
	// another. Nil: bytes go by unseen, whatever they are.
	OnCall func(Call)
}

// NewRelay makes a relay. Serve must follow.
func NewRelay(cfg RelayConfig) *Relay {
	return &Relay{cfg: cfg, conns: map[net.Conn]bool{}, handles: map[sessionHandle]string{}}
}

// Serve accepts programs until Close, and returns nil then.
func (r *Relay) Serve() error {
	for {
		conn, err := r.cfg.Listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		if !r.hold(conn) {
			conn.Close()
			return nil
		}
		go func() {
			defer r.wg.Done()
			defer r.drop(conn)
			server, err := r.cfg.Dial()
			if err != nil {
				return // as if the service did not run
			}
			if r.hold(server) {
				defer r.wg.Done()
				defer r.drop(server)
				r.pass(conn, server)
			}
		}()
	}
}

// hold keeps a connection for Close, which may have been before.
func (r *Relay) hold(c net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		c.Close()
		return false
	}
	r.conns[c] = true
	r.wg.Add(1)
	return true
}

func (r *Relay) drop(c net.Conn) {
	c.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.conns, c)
}

// Close ends the relay and its connections, and returns when they have gone.
func (r *Relay) Close() error {
	err := r.cfg.Listener.Close()
	r.mu.Lock()
	r.closed = true
	for c := range r.conns {
		c.Close()
	}
	r.mu.Unlock()
	r.wg.Wait()
	return err
}

// pass carries one connection until one side ends it.
func (r *Relay) pass(client, server net.Conn) {
	if r.cfg.OnCall == nil {
		splice(client, server)
		return
	}
	body, resp, err := exchangeFrames(client, server, MaxGreeting)
	if err != nil {
		return
	}
	g, err := parseGreeting(body)
	if err != nil || writeFrame(client, resp) != nil {
		return
	}
	for {
		start := time.Now()
		body, resp, err := exchangeFrames(client, server, MaxRequest)
		if err != nil {
			return
		}
		r.see(g.session, start, body, resp)
		if writeFrame(client, resp) != nil {
			return
		}
	}
}

// exchangeFrames takes a request from the client to the server and its answer
// from there.
func exchangeFrames(client, server net.Conn, limit int) (req, resp []byte, err error) {
	if req, err = readFrame(client, limit); err != nil {
		return nil, nil, err
	}
	if err = writeFrame(server, req); err != nil {
		return nil, nil, err
	}
	resp, err = readFrame(server, MaxResponse)
	return req, resp, err
}

// see records a call. What is no call is the server's to refuse.
func (r *Relay) see(session uint64, start time.Time, body, answer []byte) {
	req, err1 := parseRequest(body)
	resp, err2 := parseResponse(answer)
	if err1 != nil || err2 != nil || req.Function == waitFunction {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	c := Call{Time: start, Took: time.Since(start), Session: session, Host: r.cfg.Host, Function: req.Function,
		GUID: guidText(req.GUID), Handle: req.Handle, On: r.handles[sessionHandle{session, req.Handle}],
		HResult: fmt.Sprintf("0x%08x", resp.HResult), New: resp.Handle}
	for _, t := range req.Texts {
		c.Args = append(c.Args, t.Value)
	}
	if len(resp.Texts) == 2 {
		c.Result, c.Error = resp.Texts[0].Value, resp.Texts[1].Value
	}
	if resp.Handle != 0 {
		r.handles[sessionHandle{session, resp.Handle}] = strings.TrimSpace(string(handleOf(req.Function)) + " " + c.GUID)
	}
	if resp.HResult == 0 && Closes(req.Function) {
		delete(r.handles, sessionHandle{session, req.Handle})
	}
	r.cfg.OnCall(c)
}

// handleOf is the kind of handle that a function opens, "" if that does not
// show in its name.
func handleOf(function string) handleKind {
	for _, o := range Families {
		if function == "HcnOpen"+o.Name || function == "HcnCreate"+o.Name {
			return handleKind(o.Kind)
		}
	}
	switch function {
	case "HcnOpenService":
		return serviceHandle
	case "HcnRegisterServiceCallback":
		return subscriptionHandle
	case "HcsOpenComputeSystem":
		return computeSystemHandle
	}
	return ""
}

// splice copies bytes both ways until both sides have ended.
func splice(a, b net.Conn) {
	var wg sync.WaitGroup
	for _, way := range [][2]net.Conn{{a, b}, {b, a}} {
		wg.Go(func() { copyHalf(way[0], way[1]) })
	}
	wg.Wait()
}

// copyHalf copies from one side to the other, and passes the end on.
func copyHalf(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	if c, ok := to.(*net.TCPConn); ok {
		_ = c.CloseWrite()
		return
	}
	_ = to.Close()
}
