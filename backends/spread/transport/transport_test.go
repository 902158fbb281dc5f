package transport

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// recorder is a handler that notes what it is asked.
type recorder struct {
	mu    sync.Mutex
	asked []string
	ended []string
	hold  chan struct{} // closed: Handle goes on; nil: at once
}

func (*recorder) Facts() json.RawMessage { return json.RawMessage(`{"os":"test"}`) }

func (r *recorder) Handle(ctx context.Context, body []byte) []byte {
	r.mu.Lock()
	r.asked = append(r.asked, string(body))
	hold := r.hold
	r.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
		}
	}
	return append([]byte("did "), body...)
}

func (r *recorder) End(run string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = append(r.ended, run)
}

func (r *recorder) seen() (asked, ended []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.asked), slices.Clone(r.ended)
}

func quiet(string) {}

func mkAuthority(t *testing.T) *Authority {
	t.Helper()
	a, err := OpenAuthority(filepath.Join(t.TempDir(), "ca"), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func mkHub(t *testing.T, a *Authority, listen string, patience time.Duration) *Hub {
	t.Helper()
	h, err := Listen(HubConfig{Listen: listen, Join: "127.0.0.1:0", Authority: a, Patience: patience, Version: "test", Note: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

func mkIdentity(t *testing.T, h *Hub, a *Authority, name string) *Identity {
	t.Helper()
	token, err := a.Token("", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	id, err := Join(context.Background(), h.JoinAddr(), token, name, filepath.Join(t.TempDir(), name))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// mkAgent runs an agent until stop is called or the test ends.
func mkAgent(t *testing.T, at string, id *Identity, h Handler) (stop func(), ended chan error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended = make(chan error, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		ended <- ServeAgent(ctx, AgentConfig{Coordinator: at, Identity: id, Dir: "state", Version: "test", Handler: h, Note: quiet})
	}()
	stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(stop)
	return stop, ended
}

func await(t *testing.T, h *Hub, name string) *Peer {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if missing := h.Await(ctx, []string{name}); missing != nil {
		t.Fatalf("%v did not come", missing)
	}
	return h.Peer(name)
}

// eventually waits for something that other goroutines do.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 500 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%s: not after 5 s", what)
}

func TestAnAgentJoinsAndAnswers(t *testing.T) {
	a := mkAuthority(t)
	h := mkHub(t, a, "127.0.0.1:0", time.Second)
	dir := filepath.Join(t.TempDir(), "agent")
	token, err := a.Token("a1", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Join(context.Background(), h.JoinAddr(), token, "a1", dir); err != nil {
		t.Fatal(err)
	}
	id, err := LoadIdentity(dir)
	if err != nil || id.Name != "a1" || !id.Of(token) {
		t.Fatalf("identity %+v, %v", id, err)
	}
	for _, f := range []string{agentCert, agentKey, authorityCert} {
		if info, err := os.Stat(filepath.Join(dir, f)); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s is for others, too: %v %v", f, info.Mode(), err)
		}
	}
	r := &recorder{}
	mkAgent(t, h.Addr(), id, r)
	p := await(t, h, "a1")
	facts, version := p.Facts()
	if string(facts) != `{"os":"test"}` || version != "test" {
		t.Errorf("facts %s, version %s", facts, version)
	}
	for i := range 20 {
		body := fmt.Sprint("request ", i)
		got, err := p.Call(context.Background(), []byte(body))
		if err != nil || string(got) != "did "+body {
			t.Fatalf("%q, %v", got, err)
		}
	}
	run := h.Run()
	h.Close()
	eventually(t, "the end of the run", func() bool { _, ended := r.seen(); return slices.Equal(ended, []string{run}) })
}

func TestAnAgentSpeaksForItselfOnly(t *testing.T) {
	a := mkAuthority(t)
	h := mkHub(t, a, "127.0.0.1:0", 5*time.Second)
	id := mkIdentity(t, h, a, "a1")
	nc, err := nats.Connect("tls://"+h.Addr(), nats.Secure(id.clientTLS()), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	body, _ := json.Marshal(hello{Protocol: Protocol, Life: "x", Facts: json.RawMessage(`{}`)})
	_ = nc.Publish(subjectHello+"a2", body)
	_ = nc.Publish(subjectHello+"a1", body)
	_ = nc.Flush()
	known := func(name string) bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.peers[name] != nil
	}
	eventually(t, "a1 is known", func() bool { return known("a1") })
	if known("a2") {
		t.Error("a1 has spoken as a2")
	}
	sub, err := nc.SubscribeSync(subject("*", "call", "a2"))
	if err == nil {
		_ = nc.Flush()
		_ = h.nc.PublishMsg(message(subject(h.run, "call", "a2"), h.run, "", 1, nil))
		if m, err := sub.NextMsg(200 * time.Millisecond); err == nil {
			t.Errorf("a1 hears what is for a2: %v", m)
		}
	}
}

// pipe is a TCP proxy whose connections can be cut.
type pipe struct {
	ln    net.Listener
	to    string
	mu    sync.Mutex
	conns []net.Conn
}

func mkPipe(t *testing.T, to string) *pipe {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &pipe{ln: ln, to: to}
	t.Cleanup(func() { ln.Close(); p.cut() })
	go func() {
		for {
			in, err := ln.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", p.to)
			if err != nil {
				in.Close()
				continue
			}
			p.mu.Lock()
			p.conns = append(p.conns, in, out)
			p.mu.Unlock()
			go func() { _, _ = io.Copy(in, out); in.Close() }()
			go func() { _, _ = io.Copy(out, in); out.Close() }()
		}
	}()
	return p
}

func (p *pipe) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.Close()
	}
	p.conns = nil
}

func TestABrokenConnectionLosesNothingAndRepeatsNothing(t *testing.T) {
	a := mkAuthority(t)
	h := mkHub(t, a, "127.0.0.1:0", 10*time.Second)
	id := mkIdentity(t, h, a, "a1")
	p := mkPipe(t, h.Addr())
	r := &recorder{}
	mkAgent(t, p.ln.Addr().String(), id, r)
	peer := await(t, h, "a1")
	var want []string
	for i := range 12 {
		body := fmt.Sprint("request ", i)
		want = append(want, body)
		if i%3 == 1 {
			go func() { time.Sleep(time.Duration(i) * time.Millisecond / 4); p.cut() }()
		}
		if i%3 == 2 {
			p.cut() // before the request
		}
		got, err := peer.Call(context.Background(), []byte(body))
		if err != nil || string(got) != "did "+body {
			t.Fatalf("request %d: %q, %v", i, got, err)
		}
	}
	asked, ended := r.seen()
	if !slices.Equal(asked, want) {
		t.Errorf("carried out %q, want each once and in order", asked)
	}
	if len(ended) != 0 {
		t.Errorf("the run was ended: %v", ended)
	}
	eventually(t, "reconnections are counted", func() bool { return h.Counts().Reconnects >= 4 })
}

func TestAnAgentThatIsGoneIsLost(t *testing.T) {
	a := mkAuthority(t)
	h := mkHub(t, a, "127.0.0.1:0", 400*time.Millisecond)
	r := &recorder{hold: make(chan struct{})}
	stop, _ := mkAgent(t, h.Addr(), mkIdentity(t, h, a, "a1"), r)
	p := await(t, h, "a1")
	answer := make(chan error, 1)
	go func() { _, err := p.Call(context.Background(), []byte("x")); answer <- err }()
	time.Sleep(time.Second) // longer than the patience: an agent at work is not silent
	if err := h.Lost(); err != nil {
		t.Fatalf("an agent at work is lost: %v", err)
	}
	stop()
	var lost *LostError
	if err := <-answer; !errors.As(err, &lost) || lost.Agent != "a1" || !strings.Contains(err.Error(), "agent a1 is lost: no sign of life for 400ms") {
		t.Errorf("error %v", err)
	}
	if _, err := p.Call(context.Background(), []byte("y")); !errors.As(err, &lost) || h.Lost() == nil {
		t.Errorf("afterwards: %v, %v", err, h.Lost())
	}
}

func TestAnAgentThatIsStartedAnewIsLost(t *testing.T) {
	a := mkAuthority(t)
	h := mkHub(t, a, "127.0.0.1:0", 5*time.Second)
	id := mkIdentity(t, h, a, "a1")
	stop, _ := mkAgent(t, h.Addr(), id, &recorder{})
	p := await(t, h, "a1")
	if _, err := p.Call(context.Background(), []byte("x")); err != nil {
		t.Fatal(err)
	}
	stop()
	mkAgent(t, h.Addr(), id, &recorder{})
	eventually(t, "the loss", func() bool { return h.Lost() != nil })
	if err := h.Lost(); !strings.Contains(err.Error(), "started anew") {
		t.Error(err)
	}
}

func TestRunsAreNotMixed(t *testing.T) {
	a := mkAuthority(t)
	h := mkHub(t, a, "127.0.0.1:0", 5*time.Second)
	r := &recorder{}
	mkAgent(t, h.Addr(), mkIdentity(t, h, a, "a1"), r)
	p := await(t, h, "a1")
	if _, err := p.Call(context.Background(), []byte("one")); err != nil {
		t.Fatal(err)
	}
	for _, m := range []*nats.Msg{
		message(subject("old", "call", "a1"), "old", p.life, 2, []byte("of another run")),
		message(subject(h.run, "call", "a1"), "old", p.life, 2, []byte("of two runs")),
		message(subject("old", "call", "a1"), h.run, p.life, 2, []byte("of two runs")),
		message(subject(h.run, "call", "a1"), h.run, "dead", 2, []byte("for another life")),
		message(subject(h.run, "call", "a1"), h.run, p.life, 0, []byte("without a number")),
		message(subject("old", "end", "a1"), "old", p.life, 0, nil),
		message(subject("old", "reply", "a1"), "old", p.life, 2, []byte("an answer of another run")),
		message(subject(h.run, "reply", "a1"), h.run, p.life, 9, []byte("an answer to nothing")),
		message(subject("old", "beat", "a1"), "old", p.life, 0, nil),
	} {
		if err := h.nc.PublishMsg(m); err != nil {
			t.Fatal(err)
		}
	}
	got, err := p.Call(context.Background(), []byte("two"))
	if err != nil || string(got) != "did two" {
		t.Errorf("%q, %v", got, err)
	}
	asked, ended := r.seen()
	if !slices.Equal(asked, []string{"one", "two"}) || len(ended) > 0 {
		t.Errorf("carried out %q, ended %q", asked, ended)
	}
	eventually(t, "nine stale messages are counted", func() bool { return h.Counts().Stale == 9 })
}

func TestTheNextCoordinatorBeginsANewRun(t *testing.T) {
	a := mkAuthority(t)
	first := mkHub(t, a, "127.0.0.1:0", 5*time.Second)
	addr := first.Addr()
	r := &recorder{}
	mkAgent(t, addr, mkIdentity(t, first, a, "a1"), r)
	if _, err := await(t, first, "a1").Call(context.Background(), []byte("one")); err != nil {
		t.Fatal(err)
	}
	// It goes without a word.
	close(first.stop)
	first.nc.Close()
	first.srv.Shutdown()
	first.srv.WaitForShutdown()
	second := mkHub(t, a, addr, 5*time.Second)
	if _, err := await(t, second, "a1").Call(context.Background(), []byte("two")); err != nil {
		t.Fatal(err)
	}
	if _, ended := r.seen(); !slices.Equal(ended, []string{first.run}) {
		t.Errorf("ended %q, want the first run before anything of the second", ended)
	}
	first.joins.close()
}

func TestAnAgentWithoutACoordinatorEndsItsRun(t *testing.T) {
	a := mkAuthority(t)
	h := mkHub(t, a, "127.0.0.1:0", 500*time.Millisecond)
	r := &recorder{}
	mkAgent(t, h.Addr(), mkIdentity(t, h, a, "a1"), r)
	await(t, h, "a1")
	close(h.stop)
	h.nc.Close()
	h.srv.Shutdown()
	eventually(t, "the end", func() bool { _, ended := r.seen(); return slices.Equal(ended, []string{h.run}) })
	h.joins.close()
}

func TestQueuesAreBounded(t *testing.T) {
	a := mkAuthority(t)
	h := mkHub(t, a, "127.0.0.1:0", 5*time.Second)
	r := &recorder{hold: make(chan struct{})}
	mkAgent(t, h.Addr(), mkIdentity(t, h, a, "a1"), r)
	p := await(t, h, "a1")
	const flood = 100
	for i := range uint64(flood) {
		if err := h.nc.PublishMsg(message(subject(h.run, "call", "a1"), h.run, p.life, i+1, []byte("x"))); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the rest is dropped and counted", func() bool { return h.Counts().Dropped >= flood-maxRequests-1 })
	close(r.hold)
	eventually(t, "what waited is carried out", func() bool { asked, _ := r.seen(); return len(asked) >= maxRequests })
	if asked, _ := r.seen(); len(asked) > maxRequests+1 {
		t.Errorf("%d requests waited, want at most %d", len(asked), maxRequests+1)
	}
}

func TestAnotherProtocolIsRefused(t *testing.T) {
	a := mkAuthority(t)
	h := mkHub(t, a, "127.0.0.1:0", 5*time.Second)
	body, _ := json.Marshal(hello{Protocol: Protocol + 1, Version: "9.9", Life: "x"})
	sub, err := h.nc.SubscribeSync(subjectWelcome + "a1")
	if err != nil {
		t.Fatal(err)
	}
	h.onHello(&nats.Msg{Subject: subjectHello + "a1", Data: body})
	m, err := sub.NextMsg(time.Second)
	if err != nil || !strings.Contains(string(m.Data), "install the same version on both") || h.Peer("a1") != nil {
		t.Errorf("%v, %v", m, err)
	}
}
