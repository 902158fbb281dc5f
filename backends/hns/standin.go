package hns

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/backends/remote"
	"github.com/hnsim/hnsim/sim/hcn"
)

// standIn is a machine whose HNS is the stand-in. The control plane goes
// through hcsshim and the DLLs; all else through the stand-in's probe service,
// which also decides which simulated host the DLLs talk to.
type standIn struct {
	// dial makes a connection; every world has one of its own, so that a request
	// that is interrupted breaks nothing but its world.
	dial   func() (*remote.Client, error)
	client *remote.Client // for questions to the backend
	hns    control
	mu     sync.Mutex // between selecting a host and the end of the call that it is for
	at     struct {
		world *remote.World
		host  string
	}
	features map[string]hcn.HNSVersion // by profile
}

func newStandIn(addr, token string, hns control) (*standIn, error) {
	s := &standIn{hns: hns, features: map[string]hcn.HNSVersion{}}
	s.dial = func() (*remote.Client, error) {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return nil, fmt.Errorf("the stand-in's probe service: %w", err)
		}
		c, err := remote.NewClient(conn, token)
		if err != nil {
			return nil, fmt.Errorf("the stand-in's probe service at %s: %w", addr, err)
		}
		return c, nil
	}
	var err error
	s.client, err = s.dial()
	return s, err
}

func (s *standIn) capabilities(Options) []backends.Capability { return s.client.Capabilities() }

func (s *standIn) dropNames() []string { return s.client.DropNames() }

func (s *standIn) whyNot(backends.Capability, Options) string {
	return "the stand-in's probe service does not offer it"
}

// version asks the HNS of a host with that profile.
func (s *standIn) version(profile string) (v hcn.HNSVersion, osBuild int, err error) {
	fs, err := s.client.Features(profile)
	if err != nil {
		return v, 0, err
	}
	s.mu.Lock()
	v, known := s.features[profile]
	s.mu.Unlock()
	if known {
		return v, fs.OSBuild, nil
	}
	ctx := context.Background()
	w, err := s.client.OpenWorld(ctx, backends.WorldConfig{Profile: profile})
	if err != nil {
		return v, 0, err
	}
	defer func() { _, _ = w.Close(ctx) }()
	if err := w.AddNode(ctx, backends.Node{Kind: backends.HostNode, Name: "h", Ifaces: []backends.Iface{{Addrs: asked}}}); err != nil {
		return v, 0, err
	}
	err = s.on(ctx, w, "h", func() error { v, err = s.hns.version(); return err })
	if err == nil {
		s.mu.Lock()
		s.features[profile] = v
		s.mu.Unlock()
	}
	return v, fs.OSBuild, err
}

// on runs a call of the DLLs for a host of a world. What the call has set off
// is over, and observed, when it returns.
func (s *standIn) on(ctx context.Context, w *remote.World, host string, call func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at.world != w || s.at.host != host {
		if err := w.SelectHost(ctx, host); err != nil {
			return err
		}
		s.at.world, s.at.host = w, host
	}
	err := call()
	if serr := w.Sync(ctx); serr != nil {
		return serr
	}
	return err
}

func (s *standIn) open(ctx context.Context, cfg backends.WorldConfig, _ Options) (backends.World, error) {
	c, err := s.dial()
	if err != nil {
		return nil, err
	}
	w, err := c.OpenWorld(ctx, cfg)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return &standInWorld{World: w, s: s, conn: c, hosts: map[string]bool{}}, nil
}

// standInWorld is a world of the stand-in.
type standInWorld struct {
	*remote.World
	s     *standIn
	conn  *remote.Client
	hosts map[string]bool
}

// Close closes the world and its connection.
func (w *standInWorld) Close(ctx context.Context) ([]string, error) {
	left, err := w.World.Close(ctx)
	return left, errors.Join(err, w.conn.Close())
}

// AddNode declares a node. Of hosts it keeps the name.
func (w *standInWorld) AddNode(ctx context.Context, n backends.Node) error {
	err := w.World.AddNode(ctx, n)
	if err == nil && n.Kind == backends.HostNode {
		w.hosts[n.Name] = true
	}
	return err
}

// HCN carries out an operation through hcsshim.
func (w *standInWorld) HCN(ctx context.Context, op backends.HCNOp) (res backends.HCNResult, err error) {
	if !w.hosts[op.Host] {
		return res, usage("no Windows host %q", op.Host)
	}
	err = w.s.on(ctx, w.World, op.Host, func() (err error) { res, err = w.s.hns.do(op); return err })
	return res, err
}

// AddContainer joins the endpoints to a namespace through hcsshim, as the
// runtime of a container does, and has the stand-in start the container.
func (w *standInWorld) AddContainer(ctx context.Context, c backends.Container) error {
	if w.hosts[c.Host] && !c.NoAttach && c.Shares == "" && len(c.Endpoints) > 0 {
		ns, err := join(func(op backends.HCNOp) (backends.HCNResult, error) {
			op.Host = c.Host
			return w.HCN(ctx, op)
		}, c.Namespace, c.Endpoints)
		if err != nil {
			return err
		}
		c.Namespace = ns
	}
	return w.World.AddContainer(ctx, c)
}

// join joins endpoints to a namespace, which is made when neither the caller
// nor the first endpoint has one yet, and returns its id (rules CMP-06 to
// CMP-08).
func join(do func(backends.HCNOp) (backends.HCNResult, error), ns string, endpoints []string) (string, error) {
	of := func(endpoint string) (string, error) {
		res, err := do(backends.HCNOp{Kind: "endpoint", Verb: "query", ID: endpoint})
		var doc struct{ HostComputeNamespace string }
		if err == nil {
			err = json.Unmarshal(res.Document, &doc)
		}
		if doc.HostComputeNamespace == hcn.ZeroGUID {
			doc.HostComputeNamespace = ""
		}
		return doc.HostComputeNamespace, err
	}
	var err error
	if ns == "" {
		if ns, err = of(endpoints[0]); err != nil {
			return "", err
		}
	}
	if ns == "" {
		res, err := do(backends.HCNOp{Kind: "namespace", Verb: "create", Body: json.RawMessage(hostNamespace)})
		if err != nil {
			return "", err
		}
		ns = res.ID
	}
	for _, ep := range endpoints {
		if at, err := of(ep); err != nil || at != "" {
			if err != nil {
				return "", err
			}
			continue // joined when it was created, or by the container whose compartment this is
		}
		if _, err := do(backends.HCNOp{Kind: "namespace", Verb: "modify", ID: ns, Body: joinRequest("Add", ep)}); err != nil {
			return "", err
		}
	}
	return ns, nil
}

// hostNamespace is what a container's namespace is made of.
const hostNamespace = `{"Type":"Host","SchemaVersion":{"Major":2,"Minor":0}}`

// joinRequest adds an endpoint to a namespace, or removes it.
func joinRequest(verb, endpoint string) json.RawMessage {
	return fmt.Appendf(nil, `{"ResourceType":"Endpoint","RequestType":%q,"Settings":{"EndpointId":%q}}`, verb, endpoint)
}
