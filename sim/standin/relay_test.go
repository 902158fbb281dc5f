package standin

import (
	"io"
	"net"
	"sync"
	"testing"

	"github.com/hnsim/hnsim/sim/hcn"
)

// relayTo serves a relay to a lab and returns its address and what it saw.
func relayTo(t *testing.T, l *lab, see bool) (addr string, seen func() []Call) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var calls []Call
	cfg := RelayConfig{Listener: ln, Host: "h1", Dial: func() (net.Conn, error) { return net.Dial("tcp", l.Addr()) }}
	if see {
		cfg.OnCall = func(c Call) {
			mu.Lock()
			defer mu.Unlock()
			calls = append(calls, c)
		}
	}
	r := NewRelay(cfg)
	done := make(chan error, 1)
	go func() { done <- r.Serve() }()
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return ln.Addr().String(), func() []Call {
		mu.Lock()
		defer mu.Unlock()
		return append([]Call(nil), calls...)
	}
}

func TestARelayPassesCallsOnAndSeesThem(t *testing.T) {
	for _, see := range []bool{true, false} {
		l := newLab(t, hcn.WS2025)
		addr, seen := relayTo(t, l, see)
		conn, err := Dial(addr, l.Token(), "", 7)
		if err != nil {
			t.Fatal(err)
		}
		c := &client{conn, t}
		net := c.must(Request{Function: "HcnCreateNetwork", Texts: texts(natDoc)}).Handle
		c.mustFail(hcn.ErrNetworkNotFound, Request{Function: "HcnOpenNetwork", GUID: guid(unknownID), Texts: texts()})
		c.must(Request{Function: "HcnCloseNetwork", Handle: net, Texts: texts()})
		c.Close()
		calls := seen()
		if !see {
			if len(calls) != 0 {
				t.Errorf("seen %+v", calls)
			}
			continue
		}
		if len(calls) != 3 {
			t.Fatalf("%d calls: %+v", len(calls), calls)
		}
		if c := calls[0]; c.Function != "HcnCreateNetwork" || c.Args[0] != natDoc || c.New != net || c.Session != 7 || c.HResult != "0x00000000" {
			t.Errorf("%+v", c)
		}
		if c := calls[1]; c.HResult != "0x803b0001" || c.Error == "" || c.GUID != unknownID {
			t.Errorf("%+v", c)
		}
		if c := calls[2]; c.Handle != net || c.On != "network" {
			t.Errorf("%+v", c)
		}
	}
}

// TestARelayForgetsHandlesThatAreClosed: a program may open and close for days.
func TestARelayForgetsHandlesThatAreClosed(t *testing.T) {
	l := newLab(t, hcn.WS2025)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := NewRelay(RelayConfig{Listener: ln, Host: "h1", OnCall: func(Call) {}, Dial: func() (net.Conn, error) { return net.Dial("tcp", l.Addr()) }})
	go func() { _ = r.Serve() }()
	t.Cleanup(func() { r.Close() })
	conn, err := Dial(ln.Addr().String(), l.Token(), "", 7)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	l.AddContainer("c1")
	c := &client{conn, t}
	network := c.must(Request{Function: "HcnCreateNetwork", Texts: texts(natDoc)}).Handle
	guest := c.must(Request{Function: "HcnCreateGuestNetworkService", GUID: guid(id1), Texts: texts("{}")}).Handle
	port := c.must(Request{Function: "HcnReserveGuestNetworkServicePort", Handle: guest, Number: 1 | 1<<8 | 8080<<16}).Handle
	callback := c.must(Request{Function: "HcnRegisterServiceCallback"}).Handle
	system := c.must(Request{Function: "HcsOpenComputeSystem", Texts: texts("c1")}).Handle
	watch := c.must(Request{Function: "HcsRegisterComputeSystemCallback", Handle: system}).Handle
	c.mustFail(hcn.ErrInvalidHandle, Request{Function: "HcnCloseEndpoint", Handle: network})
	r.mu.Lock()
	if len(r.handles) != 6 {
		t.Errorf("6 handles are open, the relay knows %v", r.handles)
	}
	r.mu.Unlock()
	for handle, function := range map[uint64]string{
		network: "HcnCloseNetwork", guest: "HcnCloseGuestNetworkService", port: "HcnReleaseGuestNetworkServicePortReservationHandle",
		callback: "HcnUnregisterServiceCallback", system: "HcsCloseComputeSystem", watch: "HcsUnregisterComputeSystemCallback",
	} {
		c.must(Request{Function: function, Handle: handle})
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.handles) != 0 {
		t.Errorf("all is closed, the relay knows %v", r.handles)
	}
}

func TestARelayPassesRefusalsOn(t *testing.T) {
	l := newLab(t, hcn.WS2025)
	addr, seen := relayTo(t, l, true)
	if _, err := Dial(addr, "wrong", "", 1); hcn.AsError(err) == nil || hcn.AsError(err).Code != accessDenied {
		t.Errorf("got %v", err)
	}
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("\xff\xff\xff\xff rubbish")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(conn); err != nil {
		t.Logf("the connection ended with %v", err)
	}
	if len(seen()) != 0 {
		t.Errorf("seen %+v", seen())
	}
}
