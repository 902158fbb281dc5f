package rest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hnsim/hnsim/sim"
	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/hns"
	"github.com/hnsim/hnsim/sim/standin"
	"github.com/hnsim/hnsim/sim/standin/keep"
)

const (
	natDoc    = `{"Name":"nat","Type":"NAT","Ipams":[{"Subnets":[{"IpAddressPrefix":"172.20.0.0/16","Routes":[{"NextHop":"172.20.0.1","DestinationPrefix":"0.0.0.0/0"}]}]}]}`
	unknownID = "11111111-2222-4333-8444-555555555555"
)

// lab is a served world with two hosts.
type lab struct {
	t     testing.TB
	world *sim.World
	st    *standin.Server
	rest  *Server
	url   string
	calls []standin.Call // read with the server's lock, or when it is idle
	keep  *keep.Keeper   // nil: nothing is kept
}

func newLab(t testing.TB, profile string, adjust ...func(*Server)) *lab {
	t.Helper()
	l := mkLab(t, profile, adjust...)
	l.serve()
	return l
}

// mkWorld makes a world with two hosts.
func mkWorld(t testing.TB, cfg sim.Config) *sim.World {
	t.Helper()
	w, err := sim.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"h1", "h2"} {
		_, err := w.AddHost(sim.HostConfig{Name: name, MAC: [6]byte{0, 0x15, 0x5D, 0x82, 0, byte(0x23 + i)},
			Addrs: []netip.Prefix{netip.MustParsePrefix(fmt.Sprintf("10.127.130.3%d/24", 5+i))}})
		if err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// mkLab makes a lab that listens and does not serve.
func mkLab(t testing.TB, profile string, adjust ...func(*Server)) *lab {
	t.Helper()
	l := &lab{t: t}
	watch := &Watch{}
	cfg := sim.Config{Seed: 1, Profile: profile, Notify: func(host string, n hns.Notification) { l.st.Notify(host, n) }}
	watch.Hook(&cfg)
	l.world = mkWorld(t, cfg)
	stCfg := standin.Config{}
	for _, h := range l.world.Hosts() {
		stCfg.Hosts = append(stCfg.Hosts, standin.Host{Name: h.Name(), HNS: h.HNS})
	}
	l.rest = New(Config{World: l.world, Watch: watch})
	for _, f := range adjust {
		f(l.rest)
	}
	stCfg.HTTP = l.rest.Take
	stCfg.Durable = func() error {
		if l.keep == nil {
			return nil
		}
		return l.keep.Sync()
	}
	stCfg.Before = func() {
		if l.keep != nil {
			if err := l.keep.Tidy(); err != nil {
				t.Error(err)
			}
		}
	}
	stCfg.OnCall = func(c standin.Call) { l.rest.OnCall(c); l.calls = append(l.calls, c) }
	var err error
	if l.st, err = standin.Listen(stCfg); err != nil {
		t.Fatal(err)
	}
	l.url = "http://" + l.st.Addr()
	return l
}

// serve starts the servers. stop ends them, as the end of the test does.
func (l *lab) serve() (stop func()) {
	done := make(chan error, 2)
	go func() { done <- l.st.Serve() }()
	go func() { done <- l.rest.Serve(l.st) }()
	stop = sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		for _, err := range []error{l.st.Close(), l.rest.Shutdown(ctx), <-done, <-done} {
			if err != nil {
				l.t.Error(err)
			}
		}
		http.DefaultClient.CloseIdleConnections()
	})
	l.t.Cleanup(stop)
	return stop
}

// send makes a request with the token.
func (l *lab) send(method, path, body string) (status int, answer string, header http.Header) {
	l.t.Helper()
	req, err := http.NewRequest(method, l.url+path, strings.NewReader(body))
	if err != nil {
		l.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+l.st.Token())
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		l.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		l.t.Fatal(err)
	}
	return resp.StatusCode, string(raw), resp.Header
}

// must wants a status and returns the answer.
func (l *lab) must(status int, method, path, body string) string {
	l.t.Helper()
	got, answer, _ := l.send(method, path, body)
	if got != status {
		l.t.Fatalf("%s %s: %d %s, want %d", method, path, got, answer, status)
	}
	return answer
}

// create makes an object and returns its id.
func (l *lab) create(path, body string) string {
	l.t.Helper()
	return idOf(l.t, l.must(http.StatusCreated, "POST", path, body))
}

func idOf(t testing.TB, doc string) string {
	t.Helper()
	var d struct{ ID string }
	if err := json.Unmarshal([]byte(doc), &d); err != nil || !hcn.IsGUID(d.ID) {
		t.Fatalf("%v: %s", err, doc)
	}
	return d.ID
}

// pod makes an endpoint in a namespace with a container.
func (l *lab) pod(host, network, name, extra string) string {
	l.t.Helper()
	ep := l.create("/v1/endpoints?host="+host+"&network="+network, `{"Name":"`+name+`"`+extra+`}`)
	l.create("/v1/namespaces?host="+host, `{"Type":"Host","Resources":[{"Type":"Endpoint","Data":{"Id":"`+ep+`"}},{"Type":"Container","Data":{"Id":"`+name+`"}}]}`)
	return ep
}
