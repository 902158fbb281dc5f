package hns

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestMain makes the test program a probe when it is started as one.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == ProbeVerb {
		if err := RunProbe(context.Background(), 0, os.Stdin, os.Stdout); err != nil {
			os.Exit(3)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

var loopback = netip.MustParseAddr("127.0.0.1")

// mkProbe starts a probe in a process of its own. changed gets a value after
// events.
func mkProbe(t *testing.T) (p *probeProcess, changed chan struct{}) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("Go's UDP sockets do not open under wine, and on Windows the firewall asks")
	}
	on, err := newLeash()
	if err != nil {
		t.Fatal(err)
	}
	changed = make(chan struct{}, 100)
	p, err = startProbe(os.Args[0], 0, on, func() { changed <- struct{}{} })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(p.close(), on.close()); err != nil {
			t.Error(err)
		}
	})
	return p, changed
}

func (p *probeProcess) must(t *testing.T, r probeRequest) probeMessage {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	m, err := p.ask(ctx, r)
	if err != nil {
		t.Fatalf("%s: %v", r.Do, err)
	}
	return m
}

// awaitEvents waits for n events.
func awaitEvents(t *testing.T, p *probeProcess, changed chan struct{}, n int) []probeMessage {
	t.Helper()
	var all []probeMessage
	late := time.After(10 * time.Second)
	for {
		if all = append(all, p.events()...); len(all) >= n {
			return all
		}
		select {
		case <-changed:
		case <-late:
			t.Fatalf("%d events, want %d: %+v", len(all), n, all)
		}
	}
}

func TestDatagramsAreSentReportedAndAnswered(t *testing.T) {
	a, changedA := mkProbe(t)
	b, changedB := mkProbe(t)
	server := b.must(t, probeRequest{Do: probeListen, Proto: "udp", Src: loopback, Answer: []byte("yes")})
	if !server.OK || server.Local.Port() == 0 {
		t.Fatalf("%+v", server)
	}
	before := time.Now().UnixNano()
	sent := a.must(t, probeRequest{Do: probeSend, Proto: "udp", Src: loopback, Dst: server.Local, Payload: []byte("well?"), Count: 2})
	if !sent.OK {
		t.Fatalf("%+v", sent)
	}
	here := awaitEvents(t, a, changedA, 4)
	there := awaitEvents(t, b, changedB, 4)
	counts := map[string]int{}
	for _, e := range append(here, there...) {
		if e.At < before || e.Proto != "udp" {
			t.Errorf("%+v", e)
		}
		who := map[netip.AddrPort]string{sent.Local: "a", server.Local: "b"}
		counts[e.Event+" "+who[e.Src]+">"+who[e.Dst]+" "+string(e.Payload)]++
	}
	for _, want := range []string{"sent a>b well?", "received a>b well?", "sent b>a yes", "received b>a yes"} {
		if counts[want] != 2 {
			t.Errorf("%d times %q: %v", counts[want], want, counts)
		}
	}
}

func TestAWatchedPortIsSilent(t *testing.T) {
	a, changedA := mkProbe(t)
	b, changedB := mkProbe(t)
	watched := b.must(t, probeRequest{Do: probeWatch, Src: loopback})
	if again := b.must(t, probeRequest{Do: probeWatch, Src: loopback, SrcPort: watched.Local.Port()}); !again.OK {
		t.Errorf("watching twice: %+v", again)
	}
	a.must(t, probeRequest{Do: probeSend, Src: loopback, Dst: watched.Local, Payload: []byte("x")})
	awaitEvents(t, b, changedB, 1)
	if e := awaitEvents(t, a, changedA, 1); len(e) != 1 || e[0].Event != "sent" {
		t.Errorf("%+v", e)
	}
}

func TestConnections(t *testing.T) {
	a, _ := mkProbe(t)
	b, changedB := mkProbe(t)
	fixed := b.must(t, probeRequest{Do: probeListen, Proto: "tcp", Src: loopback, Answer: []byte("OK")})
	echo := b.must(t, probeRequest{Do: probeListen, Proto: "tcp", Src: loopback, Echo: true})
	silent := b.must(t, probeRequest{Do: probeBind, Proto: "tcp", Src: loopback})
	taken := b.must(t, probeRequest{Do: probeBind, Proto: "tcp", Src: loopback, SrcPort: fixed.Local.Port()})
	if taken.OK || taken.Detail == "" {
		t.Errorf("a port that is taken: %+v", taken)
	}
	for _, tt := range []struct {
		name   string
		to     netip.AddrPort
		say    string
		ok     bool
		detail string
		hear   string
	}{
		{"an answer", fixed.Local, "hello", true, "connected", "OK"},
		{"an echo", echo.Local, "hello", true, "connected", "hello"},
		{"no question", fixed.Local, "", true, "connected", ""},
		{"no server", netip.AddrPortFrom(loopback, 1), "hello", false, "refused", ""},
		{"nobody accepts", silent.Local, "hello", false, "no answer", ""},
	} {
		m := a.must(t, probeRequest{Do: probeConnect, Proto: "tcp", Dst: tt.to, Payload: []byte(tt.say), Timeout: 300 * time.Millisecond})
		if m.OK != tt.ok || m.Detail != tt.detail || string(m.Payload) != tt.hear {
			t.Errorf("%s: %+v", tt.name, m)
		}
	}
	for _, e := range awaitEvents(t, b, changedB, 3) {
		if e.Event != "received" || e.Proto != "tcp" || e.Dst != fixed.Local && e.Dst != echo.Local {
			t.Errorf("%+v", e)
		}
	}
}

func TestReadinessIsMeasuredAndBounded(t *testing.T) {
	p, _ := mkProbe(t)
	if m := p.must(t, probeRequest{Do: probeReady, Src: loopback, Timeout: time.Second}); !m.OK {
		t.Errorf("%+v", m)
	} else if _, err := time.ParseDuration(m.Detail); err != nil {
		t.Errorf("it took %q", m.Detail)
	}
	absent := netip.MustParseAddr("192.0.2.77")
	if m := p.must(t, probeRequest{Do: probeReady, Src: absent, Timeout: 20 * time.Millisecond}); m.OK || !strings.Contains(m.Detail, absent.String()) {
		t.Errorf("%+v", m)
	}
}

func TestProbesThatCannotGoOnSaySo(t *testing.T) {
	p, _ := mkProbe(t)
	if _, err := p.ask(t.Context(), probeRequest{Do: "dance"}); err == nil || !strings.Contains(err.Error(), "dance") {
		t.Errorf("an unknown verb: %v", err)
	}
	if m := p.must(t, probeRequest{Do: probeBind, Proto: "udp", Src: loopback}); !m.OK {
		t.Errorf("after that: %+v", m)
	}
	_ = p.cmd.Process.Kill()
	<-p.gone
	if _, err := p.ask(t.Context(), probeRequest{Do: probeBind}); err == nil || !strings.Contains(err.Error(), "the probe has ended") {
		t.Errorf("a probe that was killed: %v", err)
	}
}

func TestAProbeEndsWithItsInput(t *testing.T) {
	p, _ := mkProbe(t)
	start := time.Now()
	if err := p.close(); err != nil || time.Since(start) > 5*time.Second {
		t.Errorf("%v after %v", err, time.Since(start))
	}
}

func TestLinesThatAreNoRequestsEndAProbe(t *testing.T) {
	err := RunProbe(t.Context(), 0, strings.NewReader("{\"do\":\"bind\"\n"), &strings.Builder{})
	if err == nil || !strings.Contains(err.Error(), "no request") {
		t.Error(err)
	}
	if runtime.GOOS != "windows" {
		if err := RunProbe(t.Context(), 7, strings.NewReader(""), &strings.Builder{}); err == nil {
			t.Error("a compartment on a system without any")
		}
	}
}
