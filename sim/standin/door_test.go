package standin

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hnsim/hnsim/sim/hcn"
)

// start serves a configuration on the lab's host.
func (l *lab) start(cfg Config) *Server {
	l.t.Helper()
	cfg.Hosts = []Host{{"h1", l.service}}
	s, err := Listen(cfg)
	if err != nil {
		l.t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve() }()
	l.t.Cleanup(func() {
		if err := s.Close(); err != nil {
			l.t.Error(err)
		}
		if err := <-done; err != nil {
			l.t.Error(err)
		}
	})
	return s
}

func dialHTTP(t *testing.T, s *Server, request string) *http.Response {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

func TestOnePortSpeaksBothProtocols(t *testing.T) {
	l := newLab(t, hcn.WS2025)
	s := l.start(Config{HTTP: func(c net.Conn) {
		defer c.Close()
		req, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil || req.URL.Path != "/hello" {
			t.Errorf("%v %+v", err, req)
		}
		_, _ = io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
	}})
	for range 3 {
		if resp := dialHTTP(t, s, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"); resp.StatusCode != http.StatusNoContent {
			t.Error(resp.Status)
		}
		c, err := Dial(s.Addr(), s.Token(), "", 1)
		if err != nil {
			t.Fatal(err)
		}
		(&client{c, t}).must(Request{Function: "HcnEnumerateNetworks", Texts: texts("")})
		c.Close()
	}
}

func TestMoreConnectionsThanAllowedAreToldSo(t *testing.T) {
	l := newLab(t, hcn.WS2025)
	s := l.start(Config{MaxConnections: 1, HTTP: func(c net.Conn) { c.Close() }})
	c, err := Dial(s.Addr(), s.Token(), "", 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Dial(s.Addr(), s.Token(), "", 1); err == nil || !strings.Contains(err.Error(), "1 connections are open") {
		t.Errorf("a second client: %v", err)
	}
	if resp := dialHTTP(t, s, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a second client: %s", resp.Status)
	}
	c.Close()
	for range 1000 {
		if c, err = Dial(s.Addr(), s.Token(), "", 1); err == nil {
			c.Close()
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Errorf("the place of the first client stays taken: %v", err)
}

func TestBytesInFlightAreBounded(t *testing.T) {
	b := newBudget(10)
	if !b.take(8, 0) || b.take(8, time.Millisecond) {
		t.Fatal("the bound does not hold")
	}
	got := make(chan bool, 1)
	go func() { got <- b.take(8, time.Minute) }()
	b.give(8)
	if !<-got {
		t.Error("what was given back is not given out")
	}
	b.give(8)
	if b.free != 10 {
		t.Errorf("%d of 10 are free", b.free)
	}
}

// TestAHandleIsThatOfOneObject: whoever deletes an object, and in whatever way,
// its handles do not come to life with another one of the same id.
func TestAHandleIsThatOfOneObject(t *testing.T) {
	l := newLab(t, hcn.WS2025)
	c := l.client(1)
	for name, remove := range map[string]func(){
		"HcnDeleteNetwork": func() { c.must(Request{Function: "HcnDeleteNetwork", GUID: guid(id1)}) },
		"HNSCall":          func() { c.must(Request{Function: "HNSCall", Texts: texts("DELETE", "/networks/"+id1, "")}) },
		"another way in": func() {
			if _, err := l.Do(&Operation{Run: func(h *Host) ([]byte, error) { return nil, h.HNS.DeleteNetwork(id1) }}); err != nil {
				t.Error(err)
			}
		},
		"a reboot": func() {
			if err := l.service.Reboot(); err != nil {
				t.Error(err)
			}
		},
	} {
		create := Request{Function: "HcnCreateNetwork", GUID: guid(id1), Texts: texts(natDoc)}
		query := Request{Function: "HcnQueryNetworkProperties", Handle: c.must(create).Handle, Texts: texts("")}
		c.must(query)
		remove()
		c.mustFail(hcn.ErrObjectUsedAfterUnload, query)
		again := c.must(create).Handle
		if resp := c.do(query); hcn.Code(resp.HResult) != hcn.ErrObjectUsedAfterUnload {
			t.Errorf("%s: a handle has come back to life: 0x%08x", name, resp.HResult)
		}
		query.Handle = again
		c.must(query)
		c.must(Request{Function: "HcnDeleteNetwork", GUID: guid(id1)})
	}
}

func TestAnAnswerWaitsUntilTheChangeIsDurable(t *testing.T) {
	l := newLab(t, hcn.WS2025)
	var fail error
	var calls []Call
	s := l.start(Config{Durable: func() error { return fail }, OnCall: func(c Call) { calls = append(calls, c) }})
	c, err := Dial(s.Addr(), s.Token(), "", 1)
	if err != nil {
		t.Fatal(err)
	}
	cl := &client{c, t}
	cl.must(Request{Function: "HcnCreateNetwork", Texts: texts(natDoc)})
	fail = io.ErrShortWrite
	cl.mustFail(hcn.ErrFail, Request{Function: "HcnCreateNamespace", Texts: texts("{}")})
	if _, err := s.Do(&Operation{Run: func(*Host) ([]byte, error) { return nil, nil }}); err == nil {
		t.Error("an operation is acknowledged that is not on the disk")
	}
	// The answer has the form of the function.
	if r := cl.do(Request{Function: "HNSCall", Texts: texts("GET", "/networks/", "")}); hcn.Code(r.HResult) != hcn.ErrFail ||
		!strings.HasPrefix(r.Texts[0].Value, `{"Success":false`) {
		t.Errorf("HNSCall: %+v", r)
	}
	if r := cl.do(Request{Function: "HcsEnumerateComputeSystems", Texts: texts("")}); hcn.Code(r.HResult) != hcn.ErrFail ||
		!strings.HasPrefix(r.Texts[1].Value, `{"Error":-2147467259,`) {
		t.Errorf("HcsEnumerateComputeSystems: %+v", r)
	}
	if n := s.Stats().Handles; n != 1 {
		t.Errorf("%d handles are open: one was given out", n)
	}
	if len(calls) != 5 || calls[0].HResult != "0x00000000" {
		t.Fatalf("recorded: %+v", calls)
	}
	for _, c := range calls[1:] {
		if c.HResult != "0x80004005" || !strings.Contains(c.Error, "short write") || c.New != 0 {
			t.Errorf("recorded: %+v", c)
		}
	}
}

// TestGuestServicesOfHostsAreApart: what is deleted on one host is there on the
// other, under the same id.
func TestGuestServicesOfHostsAreApart(t *testing.T) {
	l := newLab(t, hcn.WS2025)
	l.Server.cfg.Hosts = append(l.Server.cfg.Hosts, Host{"h2", l.service})
	handles := map[string]uint64{}
	clients := map[string]*client{}
	for i, host := range []string{"h1", "h2"} {
		conn, err := Dial(l.Addr(), l.Token(), host, uint64(i)+1)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		clients[host] = &client{conn, t}
		handles[host] = clients[host].must(Request{Function: "HcnCreateGuestNetworkService", GUID: guid(id1), Texts: texts("{}")}).Handle
	}
	clients["h1"].must(Request{Function: "HcnDeleteGuestNetworkService", GUID: guid(id1)})
	query := func(host string) Request {
		return Request{Function: "HcnQueryGuestNetworkServiceProperties", Handle: handles[host], Texts: texts("")}
	}
	clients["h1"].mustFail(hcn.ErrObjectUsedAfterUnload, query("h1"))
	clients["h2"].must(query("h2"))
}
