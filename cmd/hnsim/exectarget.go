package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/hnsim/hnsim/cmd/hnsim/internal/exit"
	"github.com/hnsim/hnsim/cmd/hnsim/internal/tally"
	"github.com/hnsim/hnsim/sim"
	"github.com/hnsim/hnsim/sim/hns"
	"github.com/hnsim/hnsim/sim/standin"
	"github.com/hnsim/hnsim/sim/standin/rest"
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

// readRemote reads the token file of a server.
func readRemote(file string) (*rest.Client, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("--server: %w: expected the token file of a running hnsim serve", err)
	}
	words := strings.Fields(string(raw))
	if len(words) != 2 {
		return nil, fmt.Errorf("--server: %s: found %d words, expected an address and a token, as hnsim serve writes them", file, len(words))
	}
	return &rest.Client{Addr: words[0], Token: words[1]}, nil
}

// hostNamed finds a host of a server; "" is the first one.
func hostNamed(r *rest.Client, name string) (*rest.Host, error) {
	list, err := r.Hosts()
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

// joinTarget uses a host of a running service.
func (a *app) joinTarget(f *execFlags, n *programNet, seen func(standin.Call, []sim.Interface)) (*target, error) {
	r, err := readRemote(f.server)
	if err != nil {
		return nil, err
	}
	h, err := hostNamed(r, f.as)
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
	t := &target{host: h.Name, profile: h.Profile, osBuild: h.OSBuild, addr: ln.Addr().String(), token: r.Token, close: done}
	t.interfaces = func() ([]sim.Interface, error) {
		h, err := hostNamed(r, t.host)
		if err != nil {
			return nil, err
		}
		return h.Interfaces, nil
	}
	t.store = func() (tally.Store, error) {
		docs, err := r.Objects(t.host)
		return tally.Store(docs), err
	}
	n.relay(standin.RelayConfig{Listener: ln, Host: t.host,
		Dial: func() (net.Conn, error) { return net.Dial("tcp", r.Addr) },
		OnCall: func(c standin.Call) {
			record(c)
			list, err := t.interfaces()
			if err == nil {
				seen(c, list)
			}
		}})
	return t, nil
}
