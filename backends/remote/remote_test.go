package remote

import (
	"context"
	"encoding/gob"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hnsim/hnsim/backends"
	"github.com/hnsim/hnsim/sim/hcn"
)

// mkClient serves a backend at the other end of a connection.
func mkClient(t *testing.T, b backends.Backend) *Client {
	t.Helper()
	here, there := net.Pipe()
	done := make(chan error, 1)
	go func() { done <- Serve(t.Context(), there, Config{Backend: b, Token: "secret"}) }()
	c, err := NewClient(here, "secret")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Close()
		if err := <-done; err != nil && !strings.Contains(err.Error(), "closed pipe") {
			t.Error(err)
		}
	})
	return c
}

func TestStrangersAreRefused(t *testing.T) {
	for name, h := range map[string]hello{"the token": {version, "guess"}, "version 99": {99, "secret"}} {
		here, there := net.Pipe()
		done := make(chan error, 1)
		go func() { done <- Serve(t.Context(), there, Config{Backend: &scripted{}, Token: "secret"}) }()
		var a about
		err := gob.NewEncoder(here).Encode(h)
		if err == nil {
			err = gob.NewDecoder(here).Decode(&a)
		}
		if err != nil || a.Err == nil || !strings.Contains(a.Err.Text, name) || a.Name != "" {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
		here.Close()
		if err := <-done; err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: the server says %v", name, err)
		}
	}
}

// scripted is a world that answers what the test wants.
type scripted struct {
	backends.World
	err    error
	got    backends.Stimulus
	closed int
	block  chan struct{}
}

func (s *scripted) Name() string                                     { return "scripted" }
func (s *scripted) Capabilities() []backends.Capability              { return nil }
func (s *scripted) Features(string) (f backends.FeatureSet, _ error) { return f, nil }
func (s *scripted) Open(context.Context, backends.WorldConfig) (backends.World, error) {
	return s, nil
}
func (s *scripted) Now() time.Duration                   { return 7 * time.Second }
func (s *scripted) Observations() []backends.Observation { return nil }
func (s *scripted) Do(_ context.Context, st backends.Stimulus) (backends.Outcome, error) {
	s.got = st
	if s.block != nil {
		<-s.block
	}
	return backends.Outcome{Local: st.Src}, s.err
}
func (s *scripted) Close(context.Context) ([]string, error) {
	s.closed++
	return []string{"network x"}, s.err
}

func TestErrorsKeepTheirKind(t *testing.T) {
	s := &scripted{}
	w, err := mkClient(t, s).Open(t.Context(), backends.WorldConfig{})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []error{
		nil, &backends.UsageError{Msg: "a"}, &backends.UnsupportedError{Msg: "b"}, &backends.UnansweredError{Msg: "c"},
		&hcn.Error{Code: hcn.ErrPortAlreadyExists, Detail: "d", Path: "Policies[0]", Line: 3}, errors.New("e"),
	} {
		s.err = want
		_, got := w.Do(t.Context(), backends.Stimulus{})
		if (got == nil) != (want == nil) || want != nil && got.Error() != want.Error() {
			t.Errorf("%v became %v", want, got)
		}
		var refused *hcn.Error
		if errors.As(want, &refused) && !errors.Is(got, refused.Code) {
			t.Errorf("%v lost its code: %v", want, got)
		}
		var usage, was *backends.UsageError
		if errors.As(want, &was) != errors.As(got, &usage) {
			t.Errorf("%v became %T", want, got)
		}
	}
}

// TestHalvesAndEmptyRepliesArrive has what encodings like to lose.
func TestHalvesAndEmptyRepliesArrive(t *testing.T) {
	s := &scripted{}
	w, err := mkClient(t, s).Open(t.Context(), backends.WorldConfig{})
	if err != nil {
		t.Fatal(err)
	}
	port := netip.AddrPortFrom(netip.Addr{}, 53)
	for _, reply := range [][]byte{nil, {}, []byte("x")} {
		out, err := w.Do(t.Context(), backends.Stimulus{Kind: backends.Listen, Src: port, Reply: reply})
		if err != nil || out.Local != port || s.got.Src != port {
			t.Errorf("a port without address: %v, %v, %v", out.Local, s.got.Src, err)
		}
		if (s.got.Reply == nil) != (reply == nil) || !slices.Equal(s.got.Reply, reply) {
			t.Errorf("reply %#v became %#v", reply, s.got.Reply)
		}
	}
	if w.Now() != 7*time.Second {
		t.Errorf("the clock says %v", w.Now())
	}
}

func TestWorldsEndWithTheConnection(t *testing.T) {
	s := &scripted{}
	here, there := net.Pipe()
	done := make(chan error, 1)
	go func() { done <- Serve(t.Context(), there, Config{Backend: s}) }()
	c, err := NewClient(here, "")
	if err != nil {
		t.Fatal(err)
	}
	var ws []backends.World
	for range 3 {
		w, err := c.Open(t.Context(), backends.WorldConfig{})
		if err != nil {
			t.Fatal(err)
		}
		ws = append(ws, w)
	}
	if left, err := ws[1].Close(t.Context()); err != nil || !slices.Equal(left, []string{"network x"}) {
		t.Errorf("%v, %v", left, err)
	}
	_ = c.Close()
	<-done
	if s.closed != 3 {
		t.Errorf("%d worlds were closed, want 3", s.closed)
	}
	if _, err := ws[0].Do(t.Context(), backends.Stimulus{}); err == nil {
		t.Error("a world without connection answers")
	}
	if bad := ws[0].Invariants(); len(bad) != 1 {
		t.Errorf("invariants without connection: %v", bad)
	}
}

func TestAnInterruptedRequestBreaksTheConnection(t *testing.T) {
	s := &scripted{block: make(chan struct{})}
	c := mkClient(t, s)
	w, err := c.Open(t.Context(), backends.WorldConfig{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	if _, err := w.Do(ctx, backends.Stimulus{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want %v", err, context.Canceled)
	}
	close(s.block)
	if _, err := w.Do(t.Context(), backends.Stimulus{}); err == nil {
		t.Error("the answer of an interrupted request would be taken for this one's")
	}
}
