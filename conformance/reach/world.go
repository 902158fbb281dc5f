package reach

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/scenarios/script"
)

// Kinds of places.
const (
	Container = "container"
	Host      = "host"
	Router    = "router"
	External  = "external"
	Service   = "service"   // a virtual address, or a node port
	Published = "published" // a port of a host that leads to a container
)

// Place is a column of the table; containers, hosts and externals are rows
// too.
type Place struct {
	Name  string       `json:"name"`
	Kind  string       `json:"kind"`
	Addrs []netip.Addr `json:"addresses"`
	// Port is the only one that a service or a published port has.
	Port *Port `json:"port,omitempty"`
}

// sends reports whether the place is a row.
func (p *Place) sends() bool { return p.Kind == Container || p.Kind == Host || p.Kind == External }

// between reports whether nobody asks the place: what joins networks only, such as
// routers and the hosts and multiplexers below tenant networks.
func (p *Place) between() bool {
	return p.Kind == Router || p.Kind == string(backends.PhysicalNode) || p.Kind == string(backends.MuxNode)
}

// spy is a world that notes who was made in it.
type spy struct {
	backends.World
	places   []*Place
	byID     map[string][]netip.Addr // addresses of endpoints
	internal map[string]bool         // "tcp:8080": ports behind services and mappings
}

// spyBackend hands out spies and keeps the last.
type spyBackend struct {
	backends.Backend
	mu   sync.Mutex
	last *spy
}

func (b *spyBackend) Open(ctx context.Context, cfg backends.WorldConfig) (backends.World, error) {
	w, err := b.Backend.Open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	s := &spy{World: w, byID: map[string][]netip.Addr{}, internal: map[string]bool{}}
	b.mu.Lock()
	b.last = s
	b.mu.Unlock()
	return s, nil
}

// Unwrap is the world that is spied on.
func (s *spy) Unwrap() backends.World { return s.World }

// AddNode notes routers, hosts and externals.
func (s *spy) AddNode(ctx context.Context, n backends.Node) error {
	if err := s.World.AddNode(ctx, n); err != nil {
		return err
	}
	p := &Place{Name: n.Name, Kind: string(n.Kind)}
	for _, i := range n.Ifaces {
		for _, a := range i.Addrs {
			p.Addrs = append(p.Addrs, a.Addr())
		}
	}
	s.places = append(s.places, p)
	return nil
}

// AddContainer notes a container with the addresses of its endpoints.
func (s *spy) AddContainer(ctx context.Context, c backends.Container) error {
	if err := s.World.AddContainer(ctx, c); err != nil {
		return err
	}
	p := &Place{Name: c.Name, Kind: Container}
	for _, id := range c.Endpoints {
		p.Addrs = append(p.Addrs, s.byID[strings.ToLower(id)]...)
	}
	s.places = append(s.places, p)
	return nil
}

// documentView is what the table needs of endpoints and load balancers.
type documentView struct {
	IPConfigurations []struct{ IPAddress string }
	FrontendVIPs     []string
	PortMappings     []mappingView
	Policies         []struct {
		Type     string
		Settings mappingView
	}
}

type mappingView struct {
	Protocol                   any
	InternalPort, ExternalPort uint16
}

// HCN notes endpoints, services and published ports.
func (s *spy) HCN(ctx context.Context, op backends.HCNOp) (backends.HCNResult, error) {
	res, err := s.World.HCN(ctx, op)
	if err != nil || op.Verb != "create" {
		return res, err
	}
	switch op.Kind {
	case "endpoint":
		s.noteEndpoint(ctx, op, res.ID)
	case "loadbalancer":
		s.noteService(op)
	}
	return res, nil
}

// noteEndpoint asks for the document, which has the addresses that HNS chose.
func (s *spy) noteEndpoint(ctx context.Context, op backends.HCNOp, id string) {
	var doc documentView
	if res, err := s.World.HCN(ctx, backends.HCNOp{Host: op.Host, Kind: "endpoint", Verb: "query", ID: id}); err == nil {
		_ = json.Unmarshal(res.Document, &doc)
	}
	for _, c := range doc.IPConfigurations {
		if a, err := netip.ParseAddr(c.IPAddress); err == nil {
			s.byID[strings.ToLower(id)] = append(s.byID[strings.ToLower(id)], a)
		}
	}
	for _, p := range doc.Policies {
		if p.Type == "PortMapping" || p.Type == "NAT" {
			s.service(Published, op.Host, nil, p.Settings)
		}
	}
}

func (s *spy) noteService(op backends.HCNOp) {
	var doc documentView
	if json.Unmarshal(op.Body, &doc) != nil {
		return
	}
	var vips []netip.Addr
	for _, v := range doc.FrontendVIPs {
		if a, err := netip.ParseAddr(v); err == nil {
			vips = append(vips, a)
		}
	}
	for _, m := range doc.PortMappings {
		s.service(Service, op.Host, vips, m)
	}
}

// service adds a column for one port; without addresses it is the host's.
func (s *spy) service(kind, host string, vips []netip.Addr, m mappingView) {
	proto := ""
	switch strings.ToLower(fmt.Sprint(m.Protocol)) {
	case "6", "tcp":
		proto = "tcp"
	case "17", "udp":
		proto = "udp"
	}
	if proto == "" || m.ExternalPort == 0 {
		return
	}
	s.internal[fmt.Sprintf("%s:%d", proto, m.InternalPort)] = true
	port := &Port{Proto: proto, Number: m.ExternalPort}
	if vips == nil {
		for _, p := range s.places {
			if p.Name == host && len(p.Addrs) > 0 {
				vips = p.Addrs[:1]
			}
		}
	}
	for _, a := range vips {
		name := netip.AddrPortFrom(a, m.ExternalPort).String() + "/" + proto
		if !slices.ContainsFunc(s.places, func(p *Place) bool { return p.Name == name }) {
			s.places = append(s.places, &Place{Name: name, Kind: kind, Addrs: []netip.Addr{a}, Port: port})
		}
	}
}

// build makes the world of a scenario's set-up.
func build(ctx context.Context, b backends.Backend, sc *script.Scenario, opt script.Options) (*spy, error) {
	sb := &spyBackend{Backend: b}
	opt.Keep = true
	res := script.Run(ctx, sc, sb, opt)
	if res.Status != script.Passed {
		if sb.last != nil {
			_, _ = sb.last.Close(ctx)
		}
		at := ""
		if res.Failure != nil {
			at = res.Failure.Command + ": "
		}
		return nil, fmt.Errorf("the set-up of %s came to %s: %s%s", sc.ID, res.Status, at, res.Reason)
	}
	return sb.last, nil
}
