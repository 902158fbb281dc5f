package guest_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hnsim/hnsim/sim/guest"
	"github.com/hnsim/hnsim/sim/wire"
)

func TestDatagramsAreEchoedAcrossTheOverlay(t *testing.T) {
	l := newLab(t)
	a, b := l.overlay()
	echo, err := b.ListenPacket("udp", ":7")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		buf := make([]byte, 2000)
		for {
			n, from, err := echo.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = echo.WriteTo(buf[:n], from)
		}
	}()
	c := l.dial(a, "udp", "10.244.2.20:7")
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 2000)
	for _, size := range []int{1, 1000, 1450 - 28} { // the last fills the MTU
		want, _ := body(size)
		if _, err := c.Write(want); err != nil {
			t.Fatal(err)
		}
		n, err := c.Read(buf)
		if err != nil || !bytes.Equal(buf[:n], want) {
			t.Fatalf("sent %d bytes, got %d back, %v", size, n, err)
		}
	}
	if got := c.RemoteAddr().String(); got != "10.244.2.20:7" {
		t.Errorf("the peer is %s", got)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if _, err := c.Read(buf); !errors.Is(err, net.ErrClosed) {
		t.Errorf("reading a closed socket: %v", err)
	}
	l.close()
	if l.vxlan < 6 || l.longest != wire.EthernetLen+1500 {
		t.Errorf("%d VXLAN frames, the longest frame has %d bytes; want 6 and the full MTU", l.vxlan, l.longest)
	}
}

func TestAPublishedPortIsReachedFromOutside(t *testing.T) {
	l := newLab(t)
	a, x := l.nat()
	l.serve(a, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.RemoteAddr) }))
	resp, err := x.HTTPClient().Get("http://10.127.130.35:8080/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil || !strings.HasPrefix(string(got), "203.0.113.80:") {
		t.Errorf("the container saw a client at %q, %v; want x itself", got, err)
	}
}

// isTimeout holds for what programs take for a timeout.
func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

func TestFailingToConnectLooksAsInPackageNet(t *testing.T) {
	l := newLab(t)
	a, _ := l.overlay()
	canceled, cancel := context.WithCancel(context.Background())
	time.AfterFunc(100*time.Millisecond, cancel)
	soon := func() context.Context {
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		t.Cleanup(cancel)
		return ctx
	}
	tests := []struct {
		name, network, address string
		ctx                    context.Context
		want                   error
		timeout                bool
	}{
		{name: "a port that nobody listens on refuses", network: "tcp", address: "10.244.2.20:81", want: syscall.ECONNREFUSED},
		{name: "a machine that is not there never answers", network: "tcp", address: "10.244.2.99:80",
			ctx: soon(), want: context.DeadlineExceeded, timeout: true},
		{name: "the caller gives up", network: "tcp4", address: "10.244.2.99:80", ctx: canceled, want: context.Canceled},
		{name: "an address of the same subnet that nobody has", network: "tcp", address: "10.244.1.99:80", want: syscall.EHOSTUNREACH},
		{name: "the guest itself, nobody listens", network: "tcp", address: ":81", want: syscall.ECONNREFUSED},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx := tt.ctx
			if ctx == nil {
				var cancel func()
				ctx, cancel = context.WithTimeout(context.Background(), patience)
				defer cancel()
			}
			c, err := a.Dial(ctx, tt.network, tt.address)
			var op *net.OpError
			if c != nil || !errors.As(err, &op) || op.Op != "dial" || !errors.Is(err, tt.want) || isTimeout(err) != tt.timeout {
				t.Errorf("got %v (%#v), want %v, timeout %v", err, err, tt.want, tt.timeout)
			}
		})
	}
	for _, tt := range []struct{ network, address, want string }{
		{"tcp", "server:80", "no resolver"},
		{"tcp", "[fd00::1]:80", "IPv4 only"},
		{"tcp6", "10.244.2.20:80", "unknown network"},
		{"tcp", "10.244.2.20", "missing port"},
		{"udp", "10.244.2.20:no-such-port", "unknown port"},
	} {
		if _, err := a.Dial(context.Background(), tt.network, tt.address); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("dial %s %s: %v, want %q", tt.network, tt.address, err, tt.want)
		}
	}
}

// The stack's own patience is 127 s of virtual time; at this scale a fraction
// of a second.
func TestConnectingTimesOutByItself(t *testing.T) {
	l := newLab(t)
	p := l.container(l.h1, l.network(l.h1, natDoc), "172.16.0.10", "")
	l.start(guest.Config{Scale: 200})
	a := l.attach(p)
	start := l.run.Now()
	_, err := a.Dial(context.Background(), "tcp", "203.0.113.80:80") // x is there and silent
	if !errors.Is(err, syscall.ETIMEDOUT) || !isTimeout(err) {
		t.Errorf("got %v, want ETIMEDOUT", err)
	}
	if took := l.run.Now() - start; took < 30*time.Second {
		t.Errorf("it took %v of virtual time", took)
	}
	l.close()
	if l.sources["10.127.130.35"] < 3 {
		t.Errorf("x saw %v, want retries", l.sources)
	}
}

func TestListeningFailsWhereItMust(t *testing.T) {
	l := newLab(t)
	a, _ := l.overlay()
	ln, err := a.Listen("tcp", "10.244.1.10:0")
	if err != nil {
		t.Fatal(err)
	}
	if port := ln.Addr().(*net.TCPAddr).Port; port < 49152 {
		t.Errorf("port %d is not one of Windows' ephemeral ports", port)
	}
	if _, err := a.Listen("tcp", ln.Addr().String()); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("the port is taken, but: %v", err)
	}
	if _, err := a.Listen("tcp", "10.244.1.11:80"); !errors.Is(err, syscall.EADDRNOTAVAIL) {
		t.Errorf("another's address: %v", err)
	}
	if _, err := a.ListenPacket("udp", "10.244.1.11:80"); !errors.Is(err, syscall.EADDRNOTAVAIL) {
		t.Errorf("another's address: %v", err)
	}
	if _, err := a.Listen("udp", ":80"); err == nil {
		t.Error("a stream listener on udp")
	}
	if _, err := a.ListenPacket("tcp", ":80"); err == nil {
		t.Error("a packet listener on tcp")
	}
	accepted := make(chan error, 1)
	go func() {
		_, err := ln.Accept()
		accepted <- err
	}()
	time.Sleep(10 * time.Millisecond) // let it wait
	if err := ln.Close(); err != nil {
		t.Error(err)
	}
	if err := <-accepted; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept of a closed listener: %v", err)
	}
	if err := ln.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closing twice: %v", err)
	}
}

// pipe is a TCP connection between two guests.
func (l *lab) pipe(from, to *guest.Guest, address string) (client, server net.Conn) {
	l.t.Helper()
	ln, err := to.Listen("tcp", ":9")
	if err != nil {
		l.t.Fatal(err)
	}
	defer ln.Close()
	client = l.dial(from, "tcp", address)
	if server, err = ln.Accept(); err != nil {
		l.t.Fatal(err)
	}
	return client, server
}

func TestConnectionsEndAsInPackageNet(t *testing.T) {
	l := newLab(t)
	a, b := l.overlay()
	client, server := l.pipe(a, b, "10.244.2.20:9")
	if client.LocalAddr().String() != server.RemoteAddr().String() || server.LocalAddr().String() != "10.244.2.20:9" {
		t.Errorf("client %s > %s, server %s > %s", client.LocalAddr(), client.RemoteAddr(), server.LocalAddr(), server.RemoteAddr())
	}
	buf := make([]byte, 10)

	if err := client.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) || !isTimeout(err) {
		t.Errorf("reading past the deadline: %v", err)
	}
	_ = client.SetReadDeadline(time.Time{})

	if _, err := client.Write([]byte("half")); err != nil {
		t.Fatal(err)
	}
	if err := client.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(server); err != nil || string(got) != "half" {
		t.Errorf("the server read %q, %v; want half and EOF", got, err)
	}
	if _, err := server.Write([]byte("other")); err != nil {
		t.Fatal(err)
	}
	if n, err := io.ReadFull(client, buf[:5]); err != nil || string(buf[:n]) != "other" {
		t.Errorf("the client read %q, %v", buf[:n], err)
	}

	waiting := make(chan error, 1)
	go func() {
		_, err := client.Read(buf)
		waiting <- err
	}()
	time.Sleep(10 * time.Millisecond)
	if err := client.Close(); err != nil {
		t.Error(err)
	}
	if err := <-waiting; !errors.Is(err, net.ErrClosed) {
		t.Errorf("a read that waited when its connection was closed: %v", err)
	}
	if _, err := client.Write(buf); !errors.Is(err, net.ErrClosed) {
		t.Errorf("writing to a closed connection: %v", err)
	}
	if err := client.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closing twice: %v", err)
	}
}

func TestClosingAGuestResetsItsPeers(t *testing.T) {
	l := newLab(t)
	a, b := l.overlay()
	client, server := l.pipe(a, b, "10.244.2.20:9")
	own := make(chan error, 1)
	go func() {
		_, err := server.Read(make([]byte, 1))
		own <- err
	}()
	time.Sleep(10 * time.Millisecond)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-own; !errors.Is(err, net.ErrClosed) {
		t.Errorf("the closed guest's read: %v", err)
	}
	_ = client.SetReadDeadline(time.Now().Add(patience))
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the peer's read: %v, want a reset", err)
	}
	if _, err := b.Listen("tcp", ":9"); !errors.Is(err, net.ErrClosed) {
		t.Errorf("listening in a closed guest: %v", err)
	}
	if _, err := b.Dial(context.Background(), "tcp", "10.244.1.10:9"); !errors.Is(err, net.ErrClosed) {
		t.Errorf("dialling from a closed guest: %v", err)
	}
}
