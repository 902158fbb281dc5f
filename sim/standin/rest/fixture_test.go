package rest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/hnsim/hnsim/sim"
	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/hns"
	"github.com/hnsim/hnsim/sim/standin"
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
}

func newLab(t testing.TB, profile string, adjust ...func(*Server)) *lab {
	t.Helper()
	l := mkLab(t, profile, adjust...)
	l.serve()
	return l
}

// mkLab makes a lab that listens and does not serve.
func mkLab(t testing.TB, profile string, adjust ...func(*Server)) *lab {
	t.Helper()
	l := &lab{t: t}
	watch := &Watch{}
	cfg := sim.Config{Seed: 1, Profile: profile, Notify: func(host string, n hns.Notification) { l.st.Notify(host, n) }}
	watch.Hook(&cfg)
	var err error
	if l.world, err = sim.New(cfg); err != nil {
		t.Fatal(err)
	}
	stCfg := standin.Config{}
	for i, name := range []string{"h1", "h2"} {
		h, err := l.world.AddHost(sim.HostConfig{Name: name, MAC: [6]byte{0, 0x15, 0x5D, 0x82, 0, byte(0x23 + i)},
			Addrs: []netip.Prefix{netip.MustParsePrefix(fmt.Sprintf("10.127.130.3%d/24", 5+i))}})
		if err != nil {
			t.Fatal(err)
		}
		stCfg.Hosts = append(stCfg.Hosts, standin.Host{Name: name, HNS: h.HNS})
	}
	l.rest = New(Config{World: l.world, Watch: watch})
	for _, f := range adjust {
		f(l.rest)
	}
	stCfg.HTTP = l.rest.Take
	stCfg.OnCall = func(c standin.Call) { l.rest.OnCall(c); l.calls = append(l.calls, c) }
	if l.st, err = standin.Listen(stCfg); err != nil {
		t.Fatal(err)
	}
	l.url = "http://" + l.st.Addr()
	return l
}

func (l *lab) serve() {
	done := make(chan error, 2)
	go func() { done <- l.st.Serve() }()
	go func() { done <- l.rest.Serve(l.st) }()
	l.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		for _, err := range []error{l.st.Close(), l.rest.Shutdown(ctx), <-done, <-done} {
			if err != nil {
				l.t.Error(err)
			}
		}
		http.DefaultClient.CloseIdleConnections()
	})
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
