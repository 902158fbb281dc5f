package remote

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"net"
	gosync "sync"
	"time"

	"github.com/hnsim/hnsim/backends"
)

// Client is the backend at the other end of a connection. It may be used
// concurrently; exchanges take turns.
type Client struct {
	mu   gosync.Mutex
	conn net.Conn
	enc  *gob.Encoder
	dec  *gob.Decoder
	dead error // what broke the connection
	self about
}

var (
	_ backends.Backend   = (*Client)(nil)
	_ backends.DropNamer = (*Client)(nil)
)

// greetingTimeout bounds the wait for a server that does not answer.
const greetingTimeout = 10 * time.Second

// NewClient greets the server at the other end of conn, which it takes over.
func NewClient(conn net.Conn, token string) (*Client, error) {
	c := &Client{conn: conn, enc: gob.NewEncoder(conn), dec: gob.NewDecoder(conn)}
	_ = conn.SetDeadline(time.Now().Add(greetingTimeout))
	err := c.enc.Encode(&hello{Version: version, Token: token})
	if err == nil {
		err = c.dec.Decode(&c.self)
	}
	if err == nil {
		err = c.self.Err.err()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("remote: %w", err), conn.Close())
	}
	return c, conn.SetDeadline(time.Time{})
}

// Close ends the connection, and with it the worlds.
func (c *Client) Close() error { return c.conn.Close() }

// Name is that of the served backend.
func (c *Client) Name() string { return c.self.Name }

// Capabilities are those of the served backend.
func (c *Client) Capabilities() []backends.Capability { return c.self.Capabilities }

// DropNames are those of the served backend.
func (c *Client) DropNames() []string { return c.self.DropNames }

// Features are those of the served backend.
func (c *Client) Features(profile string) (backends.FeatureSet, error) {
	resp, err := c.exchange(context.Background(), &request{Method: features, Profile: profile})
	return resp.Features, err
}

// Open makes a world at the other end.
func (c *Client) Open(ctx context.Context, cfg backends.WorldConfig) (backends.World, error) {
	return c.OpenWorld(ctx, cfg)
}

// OpenWorld is Open for those who need more of a world than the contract has.
func (c *Client) OpenWorld(ctx context.Context, cfg backends.WorldConfig) (*World, error) {
	resp, err := c.exchange(ctx, &request{Method: open, Config: &cfg})
	if err != nil {
		return nil, err
	}
	return &World{c: c, id: resp.World}, nil
}

// exchange sends a request and waits for the answer. A context that ends
// breaks the connection: the answer would be taken for that of a later request.
func (c *Client) exchange(ctx context.Context, req *request) (*response, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	resp := new(response)
	if c.dead != nil {
		return resp, c.dead
	}
	if err := ctx.Err(); err != nil {
		return resp, err
	}
	stop := context.AfterFunc(ctx, func() { c.conn.Close() })
	err := c.enc.Encode(req)
	if err == nil {
		err = c.dec.Decode(resp)
	}
	if !stop() && ctx.Err() != nil {
		err = ctx.Err()
	}
	if err != nil {
		c.dead = fmt.Errorf("remote: the connection broke in %s: %w", req.Method, err)
		return resp, c.dead
	}
	return resp, resp.Err.err()
}

// World is a world at the other end.
type World struct {
	c    *Client
	id   int
	now  time.Duration
	seen []backends.Observation
}

var _ backends.World = (*World)(nil)

func (w *World) ask(ctx context.Context, req request) (*response, error) {
	req.World = w.id
	resp, err := w.c.exchange(ctx, &req)
	w.now = max(w.now, resp.Now) // which a broken connection does not bring
	w.seen = append(w.seen, resp.Seen...)
	return resp, err
}

// AddNode declares a host, router or external host.
func (w *World) AddNode(ctx context.Context, n backends.Node) error {
	_, err := w.ask(ctx, request{Method: addNode, Node: &n})
	return err
}

// SetLink impairs a wire.
func (w *World) SetLink(ctx context.Context, l backends.Link) error {
	_, err := w.ask(ctx, request{Method: setLink, Link: &l})
	return err
}

// HCN carries out a control-plane operation at the other end.
func (w *World) HCN(ctx context.Context, op backends.HCNOp) (backends.HCNResult, error) {
	resp, err := w.ask(ctx, request{Method: doHCN, HCN: &op})
	return resp.HCN, err
}

// AddContainer makes a container role.
func (w *World) AddContainer(ctx context.Context, c backends.Container) error {
	_, err := w.ask(ctx, request{Method: addContainer, Container: &c})
	return err
}

// Do carries out a stimulus.
func (w *World) Do(ctx context.Context, s backends.Stimulus) (backends.Outcome, error) {
	resp, err := w.ask(ctx, request{Method: do, Stimulus: &s, EmptyReply: s.Reply != nil && len(s.Reply) == 0})
	return resp.Outcome, err
}

// Advance lets time pass.
func (w *World) Advance(ctx context.Context, d time.Duration) error {
	_, err := w.ask(ctx, request{Method: advance, Duration: d})
	return err
}

// Now is the world's clock after the last request.
func (w *World) Now() time.Duration { return w.now }

// Observations are those up to the last request.
func (w *World) Observations() []backends.Observation { return w.seen }

// Trace explains the walk of a packet.
func (w *World) Trace(id uint64) []string {
	resp, _ := w.ask(context.Background(), request{Method: trace, ID: id})
	return resp.Lines
}

// EventHash condenses what happened.
func (w *World) EventHash() string {
	resp, _ := w.ask(context.Background(), request{Method: eventHash})
	return resp.Text
}

// Dump is a view of the inside.
func (w *World) Dump(ctx context.Context, what string) (string, error) {
	resp, err := w.ask(ctx, request{Method: dump, Text: what})
	return resp.Text, err
}

// Set changes a setting.
func (w *World) Set(ctx context.Context, s backends.Setting) error {
	_, err := w.ask(ctx, request{Method: set, Setting: &s})
	return err
}

// Invariants are the violations found so far. A broken connection is one: the
// answer is not known.
func (w *World) Invariants() []string {
	resp, err := w.ask(context.Background(), request{Method: invariants})
	if err != nil {
		return []string{err.Error()}
	}
	return resp.Lines
}

// Close closes the world at the other end.
func (w *World) Close(ctx context.Context) ([]string, error) {
	resp, err := w.ask(ctx, request{Method: closeWorld})
	return resp.Lines, err
}

// Sync fetches what the world has observed and its clock, after something
// that did not come through this connection.
func (w *World) Sync(ctx context.Context) error {
	_, err := w.ask(ctx, request{Method: sync})
	return err
}

// SelectHost makes the control plane of one of the world's hosts the one that
// clients of another kind talk to (Config.Select).
func (w *World) SelectHost(ctx context.Context, host string) error {
	_, err := w.ask(ctx, request{Method: selectHost, Text: host})
	return err
}
