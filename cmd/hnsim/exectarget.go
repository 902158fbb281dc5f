package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/hnsim/hnsim/cmd/hnsim/internal/exit"
	"github.com/hnsim/hnsim/cmd/hnsim/internal/tally"
	"github.com/hnsim/hnsim/sim"
	"github.com/hnsim/hnsim/sim/hns"
	"github.com/hnsim/hnsim/sim/standin"
)

// target is the host that a program runs on, in a stand-in of this process or
// of another one.
type target struct {
	host, profile string
	osBuild       int
	addr, token   string // for the program
	// interfaces and store read the host as it is now.
	interfaces func() ([]sim.Interface, error)
	store      func() (tally.Store, error)
	close      func() error
}

// collections are how the REST service calls the kinds of objects.
var collections = map[string]string{
	"network": "networks", "endpoint": "endpoints", "namespace": "namespaces", "loadbalancer": "loadbalancers", "route": "routes",
}

// ownTarget starts a stand-in. Every call of the program goes to seen, while
// nothing else happens in the world.
func (a *app) ownTarget(f *execFlags, n *programNet, seen func(standin.Call, []sim.Interface)) (*target, error) {
	var h *sim.Host
	s, err := a.startStandin(&f.standinFlags, standinExtras{server: func(w *sim.World, cfg *standin.Config) error {
		if h = w.Hosts()[0]; f.as != "" {
			h = w.Host(f.as)
		}
		if h == nil {
			return noHost(f.as, hostNames(w.Hosts()))
		}
		record := cfg.OnCall
		cfg.OnCall = func(c standin.Call) {
			record(c)
			seen(c, h.Interfaces())
		}
		return nil
	}})
	if err != nil {
		return nil, err
	}
	t := &target{host: h.Name(), profile: s.world.Profile.Name, osBuild: s.world.Profile.OSBuild, addr: s.Addr(), token: s.Token(), close: s.stop}
	t.interfaces = func() (list []sim.Interface, err error) {
		s.Look(func() { list = h.Interfaces() })
		return list, nil
	}
	t.store = func() (store tally.Store, err error) {
		s.Look(func() { store, err = storeOf(h.HNS) })
		return store, err
	}
	if err := n.forward(t.addr); err != nil {
		return nil, errors.Join(exit.With(exit.NotTested, err), s.stop())
	}
	return t, nil
}

func hostNames(hosts []*sim.Host) (names []string) {
	for _, h := range hosts {
		names = append(names, h.Name())
	}
	return names
}

func noHost(name string, names []string) error {
	return fmt.Errorf("--as %q: there is no such host: expected %s", name, strings.Join(names, ", "))
}

func storeOf(service *hns.Service) (tally.Store, error) {
	store := tally.Store{}
	for _, kind := range tally.Kinds {
		raw, err := service.List(hns.Kind(kind), nil)
		if err != nil {
			return nil, err
		}
		var docs []json.RawMessage
		if err := json.Unmarshal(raw, &docs); err != nil {
			return nil, err
		}
		store[kind] = docs
	}
	return store, nil
}

// remote is a running hnsim serve.
type remote struct{ addr, token string }

// readRemote reads the token file of a server.
func readRemote(file string) (*remote, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("--server: %w: expected the token file of a running hnsim serve", err)
	}
	words := strings.Fields(string(raw))
	if len(words) != 2 {
		return nil, fmt.Errorf("--server: %s: found %d words, expected an address and a token, as hnsim serve writes them", file, len(words))
	}
	return &remote{words[0], words[1]}, nil
}

// get reads a document of the REST service.
func (r *remote) get(path string, into any) error {
	req, err := http.NewRequest("GET", "http://"+r.addr+path, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+r.token)
	client := http.Client{Timeout: 30 * time.Second}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("the server does not answer: is hnsim serve still running? %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		return fmt.Errorf("the server at %s: GET %s: %s %s", r.addr, path, resp.Status, text)
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

// remoteHost is a host in GET /v1/hosts.
type remoteHost struct {
	Name, Profile string
	OSBuild       int
	Interfaces    []sim.Interface
}

func (r *remote) hosts() (list []remoteHost, err error) {
	err = r.get("/v1/hosts", &list)
	return list, err
}

func (r *remote) hostNamed(name string) (*remoteHost, error) {
	list, err := r.hosts()
	if err != nil {
		return nil, exit.With(exit.NotTested, err)
	}
	var names []string
	for i := range list {
		if name == "" || list[i].Name == name {
			return &list[i], nil
		}
		names = append(names, list[i].Name)
	}
	return nil, noHost(name, names)
}

func (r *remote) store(host string) (tally.Store, error) {
	var state struct {
		Hosts map[string]map[string]json.RawMessage
	}
	if err := r.get("/v1/state", &state); err != nil {
		return nil, err
	}
	store := tally.Store{}
	for kind, collection := range collections {
		var shapes struct{ V2 []json.RawMessage }
		if err := json.Unmarshal(state.Hosts[host][collection], &shapes); err != nil {
			return nil, fmt.Errorf("%s of host %s: %w", collection, host, err)
		}
		store[kind] = shapes.V2
	}
	return store, nil
}

// joinTarget uses a host of a running service.
func (a *app) joinTarget(f *execFlags, n *programNet, seen func(standin.Call, []sim.Interface)) (*target, error) {
	r, err := readRemote(f.server)
	if err != nil {
		return nil, err
	}
	h, err := r.hostNamed(f.as)
	if err != nil {
		return nil, err
	}
	record, done, err := recordCalls(f.calls)
	if err != nil {
		return nil, err
	}
	ln, err := n.listen("127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(exit.With(exit.NotTested, err), done())
	}
	t := &target{host: h.Name, profile: h.Profile, osBuild: h.OSBuild, addr: ln.Addr().String(), token: r.token, close: done}
	t.interfaces = func() ([]sim.Interface, error) {
		h, err := r.hostNamed(t.host)
		if err != nil {
			return nil, err
		}
		return h.Interfaces, nil
	}
	t.store = func() (tally.Store, error) { return r.store(t.host) }
	n.relay(standin.RelayConfig{Listener: ln, Host: t.host,
		Dial: func() (net.Conn, error) { return net.Dial("tcp", r.addr) },
		OnCall: func(c standin.Call) {
			record(c)
			list, err := t.interfaces()
			if err == nil {
				seen(c, list)
			}
		}})
	return t, nil
}
