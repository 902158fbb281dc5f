package guest_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hnsim/hnsim/sim/fabric"
	"github.com/hnsim/hnsim/sim/fabric/ipstack"
	"github.com/hnsim/hnsim/sim/guest"
	"github.com/hnsim/hnsim/sim/wire"
)

func TestVirtualTimeFollowsTheClockAtScale(t *testing.T) {
	l := newLab(t)
	l.start(guest.Config{Scale: 100})
	var start, end int64
	fired := make(chan int64, 1)
	if err := l.run.Do(func(now int64) {
		start = now
		l.w.Loop().After(2*time.Second, func(now int64) { fired <- now })
	}); err != nil {
		t.Fatal(err)
	}
	// Nobody stirs the pump: it must wake by itself.
	select {
	case at := <-fired:
		if at != start+int64(2*time.Second) {
			t.Errorf("the timer fired at %v, want exactly 2s after %v", time.Duration(at), time.Duration(start))
		}
	case <-time.After(patience):
		t.Fatal("the timer did not fire")
	}
	time.Sleep(10 * time.Millisecond)
	if err := l.run.Do(func(now int64) { end = now }); err != nil {
		t.Fatal(err)
	}
	if d := time.Duration(end - start); d < 3*time.Second {
		t.Errorf("%v of virtual time passed, want 2s and 10ms times 100", d)
	}
	if now := int64(l.run.Now()); now < end {
		t.Errorf("the clock shows %d, the world %d: it must not be ahead", now, end)
	}
}

func TestADelayOfTheWireIsADelayOfTheGuest(t *testing.T) {
	l := newLab(t)
	a, b := l.overlay()
	client, server := l.pipe(a, b, "10.244.2.20:9")
	const delay = 30 * time.Millisecond
	l.link("h1", fabric.LinkConfig{Delay: delay})
	go func() { _, _ = io.Copy(server, server) }()
	start := l.run.Now()
	if _, err := client.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(client, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if took := l.run.Now() - start; took < 2*delay {
		t.Errorf("a round trip took %v, the wire alone takes %v", took, 2*delay)
	}
}

func TestTheWorldComesBackAfterClose(t *testing.T) {
	l := newLab(t)
	a, x := l.nat()
	l.serve(x, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "guest") }))
	if n, _ := l.fetch(a, "http://203.0.113.80/"); n != 5 {
		t.Fatalf("got %d bytes", n)
	}
	l.close()
	l.close() // harmless
	if err := l.run.Do(func(int64) { t.Error("called") }); !errors.Is(err, guest.ErrClosed) {
		t.Errorf("Do after Close: %v", err)
	}
	if _, err := l.run.Attach(guest.External(l.x)); !errors.Is(err, guest.ErrClosed) {
		t.Errorf("Attach after Close: %v", err)
	}

	// The small stacks are back, with everything that they had.
	loop := l.w.Loop()
	if err := loop.Settle(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.x.Stack().Listen(wire.ProtoTCP, netip.Addr{}, 81, ipstack.EchoHandler()); err != nil {
		t.Fatal(err)
	}
	connected := false
	if _, err := l.h2.Stack().Dial(loop.Now(), netip.AddrPort{}, netip.MustParseAddrPort("203.0.113.80:81"),
		func(_ int64, _ *ipstack.Conn, e ipstack.Event) { connected = connected || e == ipstack.EventConnected }); err != nil {
		t.Fatal(err)
	}
	if err := loop.Settle(); err != nil || !connected {
		t.Errorf("the small stack does not answer: %v", err)
	}
}

func TestAttachingFailsWithAReason(t *testing.T) {
	l := newLab(t)
	p := l.container(l.h1, l.network(l.h1, natDoc), "172.16.0.10", "")
	y, err := l.w.Net.AddExternal(fabric.NodeConfig{Name: "y", Ifaces: []fabric.IfaceConfig{{Segment: "wan"}}})
	if err != nil {
		t.Fatal(err)
	}
	l.start(guest.Config{})
	l.attach(p)
	tests := []struct {
		name  string
		place guest.Place
		want  string
	}{
		{"a container twice", p, "tapped already"},
		{"no such namespace", guest.Container(l.h1, "00000000-0000-0000-0000-000000000000"), "no namespace"},
		{"a host without any", guest.Container(l.h2, "x"), "no namespace"},
		{"no such compartment", guest.Compartment(l.h1, 77), "no compartment 77"},
		{"the host itself", guest.Compartment(l.h1, fabric.HostCompartment), "cannot be replaced"},
		{"no place", guest.Place{}, "no place"},
		{"no address", guest.External(y), "no interface with an IPv4 address"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := l.run.Attach(tt.place); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	for _, cfg := range []guest.Config{{Scale: -1}, {Scale: 1e9}, {Queue: -1}, {Queue: 1 << 20}} {
		if _, err := guest.NewRunner(l.w, cfg); err == nil {
			t.Errorf("%+v is accepted", cfg)
		}
	}
	if _, err := guest.NewRunner(nil, guest.Config{}); err == nil {
		t.Error("no world is accepted")
	}
}

func TestAttachClosesWhatItBeganWhenAPlaceIsWrong(t *testing.T) {
	l := newLab(t)
	if _, _, err := guest.Attach(l.w, guest.External(l.x), guest.Place{}); err == nil {
		t.Fatal("no place is accepted")
	}
	r, gs, err := guest.Attach(l.w, guest.External(l.x)) // x is free again
	if err != nil || len(gs) != 1 || gs[0].Name() != "x" {
		t.Fatalf("%v, %v", gs, err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

func TestAWorldThatRunsAwayWakesEverybody(t *testing.T) {
	l := newLab(t)
	p := l.container(l.h1, l.network(l.h1, natDoc), "172.16.0.10", "")
	l.start(guest.Config{Queue: 1})
	a, x := l.attach(p), l.attach(guest.External(l.x))
	client, server := l.pipe(a, x, "203.0.113.80:9")
	waiting, pushing := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := client.Read(make([]byte, 1))
		waiting <- err
	}()
	go func() { _, _ = io.Copy(io.Discard, server) }()
	go func() { // most of the time it waits for the narrow ring
		var err error
		for err == nil {
			_, err = client.Write(make([]byte, 1<<16))
		}
		pushing <- err
	}()
	time.Sleep(20 * time.Millisecond)
	if l.run.Err() != nil {
		t.Fatal(l.run.Err())
	}
	var spin func(now int64)
	spin = func(now int64) { l.w.Loop().PostFunc(now, "carousel", spin) }
	if err := l.run.Do(func(now int64) { spin(now) }); err != nil {
		t.Fatal(err)
	}
	for _, ended := range []chan error{waiting, pushing} {
		select {
		case err := <-ended:
			if err == nil {
				t.Error("the read got data")
			}
		case <-time.After(patience):
			t.Fatal("a goroutine waits for a world that stands still")
		}
	}
	var runaway *fabric.RunawayError
	if err := l.run.Close(); !errors.As(err, &runaway) || runaway.Point != "carousel" {
		t.Errorf("Close: %v, want the runaway error", err)
	}
	if err := l.run.Do(func(int64) {}); !errors.As(err, &runaway) || l.run.Err() == nil {
		t.Errorf("Do: %v", err)
	}
	// The lab's own close must not find it again.
	l.run, _ = guest.NewRunner(l.w, guest.Config{})
}

func TestNarrowQueuesSlowSendersDownAndLoseNothingSilently(t *testing.T) {
	l := newLab(t)
	p := l.container(l.h1, l.network(l.h1, natDoc), "172.16.0.10", "")
	l.start(guest.Config{Queue: 4})
	a, x := l.attach(p), l.attach(guest.External(l.x))
	content, want := body(1 << 20)
	l.serve(x, bodyHandler(content))
	if _, sum := l.fetch(a, "http://203.0.113.80/"); sum != want {
		t.Error("the body has changed")
	}
	l.close()
	sa, sx := a.Stats(), x.Stats()
	t.Logf("a %+v, x %+v", sa, sx)
	if sx.Waited == 0 {
		t.Error("the server never waited for a queue of four frames")
	}
	// Besides there are ARP frames, and the last of x find a gone already.
	if sum := sa.Received + sa.Overrun; sum+10 < sx.Sent || sum > sx.Sent+10 {
		t.Errorf("x sent %d frames, a received %d and overran %d", sx.Sent, sa.Received, sa.Overrun)
	}
}

func TestAGuestWhoseInterfaceGoesIsCutOff(t *testing.T) {
	l := newLab(t)
	a, b := l.overlay()
	client, _ := l.pipe(a, b, "10.244.2.20:9")
	if err := l.run.Do(func(int64) {
		for _, e := range l.h1.State().Endpoints {
			if _, _, err := l.h1.HNS.Do("endpoint", "delete", e.Doc.ID, "", nil); err != nil {
				t.Error(err)
			}
		}
	}); err != nil {
		t.Fatal(err)
	}
	before := a.Stats().Sent
	if _, err := client.Write([]byte("into the void")); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(patience); a.Stats().Lost == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the frame is not counted as lost")
		}
	}
	if a.Stats().Sent != before {
		t.Error("a frame was sent without an interface")
	}
}

func TestManyConnectionsShareTheWorld(t *testing.T) {
	l := newLab(t)
	a, b := l.overlay()
	content, want := body(100 << 10)
	l.serve(a, bodyHandler(content))
	l.serve(b, bodyHandler(content))
	var wg sync.WaitGroup
	errs := make(chan error, 40)
	for i := range 40 {
		g, url := a, "http://10.244.2.20/"
		if i%2 == 1 {
			g, url = b, "http://10.244.1.10/"
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			if _, sum, err := fetch(g, url); err != nil || sum != want {
				errs <- fmt.Errorf("%s, connection %d: %v", g, i, err)
			}
		}()
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
}
