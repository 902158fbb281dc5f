package ipstack

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/hnsim/hnsim/sim/wire"
)

func mkPayload(n int) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(7, 7))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// serve makes s collect what connections to port 80 bring, and close when
// they do.
func serve(t *testing.T, s *Stack) *[]byte {
	t.Helper()
	got := new([]byte)
	_, err := s.Listen(wire.ProtoTCP, netip.Addr{}, 80, Handler{Stream: func(now int64, c *Conn, e Event) {
		switch e {
		case EventData:
			*got = append(*got, c.Take(now)...)
		case EventPeerClosed:
			c.Close(now)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func dial(t *testing.T, s *Stack, now int64, dst string) *Conn {
	t.Helper()
	c, err := s.Dial(now, netip.AddrPort{}, ap(dst), nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAConnectionCarriesDataBothWaysAndEnds(t *testing.T) {
	for _, dst := range []string{"10.0.0.2:80", "[fd00::2]:80"} {
		p := mkPair(t)
		if _, err := p.b.Listen(wire.ProtoTCP, netip.Addr{}, 80, EchoHandler()); err != nil {
			t.Fatal(err)
		}
		c := dial(t, p.a, 0, dst)
		if c.State() != StateSynSent {
			t.Errorf("state %s after Dial", c.State())
		}
		p.settle()
		if c.State() != StateEstablished || c.Local.Port() != 49152 {
			t.Fatalf("state %s from %s, want ESTABLISHED from port 49152", c.State(), c.Local)
		}
		want := mkPayload(100_000)
		if _, err := c.Write(p.now, want); err != nil {
			t.Fatal(err)
		}
		p.settle()
		if !bytes.Equal(c.Received(), want) {
			t.Errorf("%s: %d bytes came back, want %d the same", dst, len(c.Received()), len(want))
		}
		c.Close(p.now)
		p.settle()
		if c.State() != StateTimeWait || c.Err() != nil || !c.PeerClosed() || p.a.TimeWaits() != 1 {
			t.Errorf("%s: state %s, error %v after both closed", dst, c.State(), c.Err())
		}
		p.advance(119 * time.Second)
		if p.a.TimeWaits() != 1 {
			t.Error("TIME_WAIT ended before 120 s (CMP-10)")
		}
		p.advance(2 * time.Second)
		if p.a.TimeWaits() != 0 || len(p.a.Sockets()) != 0 || len(p.b.Sockets()) != 1 {
			t.Errorf("left behind: %v %v", p.a.Sockets(), p.b.Sockets())
		}
		p.sound()
		p.wantDrops()
	}
}

func TestDataSurvivesLossDuplicatesAndReordering(t *testing.T) {
	tests := []struct {
		name               string
		loss, dup, reorder float64
		size               int
	}{
		{"a perfect link", 0, 0, 0, 1 << 20},
		{"1 % loss", 0.01, 0, 0, 1 << 20},
		{"1 % loss and reordering", 0.01, 0, 0.05, 1 << 20},
		{"duplicates and reordering", 0, 0.05, 0.2, 200_000},
		{"10 % loss and everything else", 0.1, 0.05, 0.1, 50_000},
	}
	for _, tt := range tests {
		for seed := range uint64(4) {
			t.Run(fmt.Sprintf("%s, seed %d", tt.name, seed), func(t *testing.T) {
				p := mkPair(t)
				p.wire.delay = 5 * time.Millisecond
				got := serve(t, p.b)
				warm := dial(t, p.a, 0, "10.0.0.2:80") // ARP is done when the faults begin
				p.settle()
				warm.Abort(p.now)
				p.settle()
				p.wire.lossy(seed, tt.loss, tt.dup, tt.reorder)
				c := dial(t, p.a, p.now, "10.0.0.2:80")
				want := mkPayload(tt.size)
				_, _ = c.Write(p.now, want)
				c.Close(p.now)
				p.advance(5 * time.Minute)
				if !bytes.Equal(*got, want) || c.Err() != nil {
					t.Errorf("%d of %d bytes arrived (equal: %v), error %v, state %s",
						len(*got), len(want), bytes.Equal(*got, want), c.Err(), c.State())
				}
				if tt.loss == 0 {
					return
				}
				if retransmitted := payloadBytes(p.sent["a/eth"]) - len(want); retransmitted > len(want)/2 {
					t.Errorf("%d bytes sent again for %d", retransmitted, len(want))
				}
			})
		}
	}
}

func TestSingleLossesAreRepairedWithoutWaitingForATimer(t *testing.T) {
	for _, lost := range [][]int{{20}, {20, 21}, {20, 25, 40}} {
		p := mkPair(t)
		p.wire.delay = time.Millisecond
		got := serve(t, p.b)
		n := 0 // data segments so far
		p.wire.pass = func(f []byte, d time.Duration) []time.Duration {
			if len(f) > 1000 {
				n++
			}
			for _, l := range lost {
				if n == l && len(f) > 1000 {
					return nil
				}
			}
			return []time.Duration{d}
		}
		c := dial(t, p.a, 0, "10.0.0.2:80")
		want := mkPayload(150_000)
		_, _ = c.Write(0, want)
		p.settle() // fires no timer that comes after the last frame
		if !bytes.Equal(*got, want) || p.now > int64(tcpRTO) {
			t.Errorf("segments %v lost: %d of %d bytes after %s", lost, len(*got), len(want), time.Duration(p.now))
		}
		if again := payloadBytes(p.sent["a/eth"]) - len(want); again > len(lost)*c.mss {
			t.Errorf("segments %v lost: %d bytes sent again", lost, again)
		}
	}
}

func payloadBytes(frames [][]byte) int {
	n := 0
	for _, f := range frames {
		var m wire.Meta
		if wire.Parse(f, &m); m.HasL4 && m.Proto == wire.ProtoTCP {
			n += m.End - m.Payload
		}
	}
	return n
}

func TestHowADialFails(t *testing.T) {
	tests := []struct {
		name   string
		set    func(p *pair)
		dst    string
		err    error
		within time.Duration
	}{
		{"a closed port is silent", nil, "10.0.0.2:80", ErrTimedOut, 64 * time.Second},
		{"a closed port of a host that refuses", func(p *pair) { p.b.SetRefuse(true) }, "10.0.0.2:80", ErrRefused, time.Millisecond},
		{"nobody has the address", nil, "10.0.0.9:80", ErrTimedOut, 64 * time.Second},
	}
	for _, tt := range tests {
		p := mkPair(t)
		if tt.set != nil {
			tt.set(p)
		}
		c := dial(t, p.a, 0, tt.dst)
		p.advance(tt.within * 31 / 32)
		if tt.err == ErrTimedOut && c.State() != StateSynSent {
			t.Errorf("%s: %s too early", tt.name, c.State())
		}
		p.advance(tt.within)
		if c.State() != StateClosed || !errors.Is(c.Err(), tt.err) {
			t.Errorf("%s: state %s, error %v, want %v", tt.name, c.State(), c.Err(), tt.err)
		}
	}
}

func TestASynIsSentSixTimesWithDoublingWaits(t *testing.T) {
	p := mkPair(t)
	_ = p.a.SetNeighbor(0, "eth", ip("10.0.0.2"), wire.MAC{2, 0, 0, 0, 0, 2})
	var at []time.Duration
	p.wire.pass = func([]byte, time.Duration) []time.Duration {
		at = append(at, time.Duration(p.now)/time.Second)
		return nil
	}
	dial(t, p.a, 0, "10.0.0.2:80")
	p.advance(time.Hour)
	if got := fmt.Sprint(at); got != fmt.Sprint([]time.Duration{0, 1, 3, 7, 15, 31}) {
		t.Errorf("SYNs at seconds %v", got)
	}
}

func TestADialIsRefusedByPortUnreachable(t *testing.T) {
	n := mkRouted(t)
	c := dial(t, n.a, 0, "10.2.0.1:80")
	n.settle()
	syn := n.got["b/eth"][len(n.got["b/eth"])-1]
	var m wire.Meta
	wire.Parse(syn, &m)
	e := wire.Reporter{MAC: wire.MAC{2, 0, 0, 0, 0, 1}, IP: ip("10.2.0.1")}.Unreachable(syn, &m, wire.PortUnreachable)
	if _, err := n.b.SendIP(n.now, e[wire.EthernetLen:], FragmentPlan{}); err != nil {
		t.Fatal(err)
	}
	n.settle()
	if !errors.Is(c.Err(), ErrRefused) || c.LastICMP() == nil {
		t.Errorf("error %v, ICMP %v", c.Err(), c.LastICMP())
	}
}

func TestThePathMTUIsObeyed(t *testing.T) {
	for _, dst := range []string{"10.2.0.1:80", "[fd02::1]:80"} {
		n := mkRouted(t)
		n.rRight.SetMTU(1300)
		got := serve(t, n.b)
		c := dial(t, n.a, 0, dst)
		want := mkPayload(200_000)
		_, _ = c.Write(0, want)
		n.settle()
		if !bytes.Equal(*got, want) {
			t.Errorf("%s: %d of %d bytes without a single timeout", dst, len(*got), len(want))
		}
		if n.now != 0 {
			t.Errorf("%s: it took %s", dst, time.Duration(n.now))
		}
		for _, f := range n.sent["r/right"] {
			if len(f) > 1314 {
				t.Fatalf("a frame of %d bytes", len(f))
			}
		}
		if len(n.drops) == 0 || !strings.Contains(n.drops[0], "FragNeeded") {
			t.Errorf("%s: drops %v", dst, n.drops)
		}
	}
}

func TestTheMSSFitsTheInterfaces(t *testing.T) {
	p := mkPair(t)
	p.ib.SetMTU(1400)
	got := serve(t, p.b)
	c := dial(t, p.a, 0, "10.0.0.2:80")
	_, _ = c.Write(0, mkPayload(10_000))
	p.settle()
	for _, f := range p.sent["a/eth"] {
		if len(f) > 1414 {
			t.Errorf("a frame of %d bytes to a peer with MTU 1400", len(f))
		}
	}
	if len(*got) != 10_000 {
		t.Errorf("%d bytes", len(*got))
	}
}

func TestResetsEndConnections(t *testing.T) {
	p := mkPair(t)
	var server *Conn
	var events []Event
	_, _ = p.b.Listen(wire.ProtoTCP, netip.Addr{}, 80, Handler{Stream: func(_ int64, c *Conn, e Event) {
		server = c
		events = append(events, e)
	}})
	c := dial(t, p.a, 0, "10.0.0.2:80")
	p.settle()
	c.Abort(p.now)
	p.settle()
	if server.State() != StateClosed || !errors.Is(server.Err(), ErrReset) || !errors.Is(c.Err(), ErrAborted) {
		t.Errorf("server %s %v, client %v", server.State(), server.Err(), c.Err())
	}
	if fmt.Sprint(events) != fmt.Sprint([]Event{EventConnected, EventClosed}) {
		t.Errorf("events %v", events)
	}
	// What belongs to no connection is refused at a port that is served.
	c = dial(t, p.a, p.now, "10.0.0.2:80")
	p.settle()
	p.b.conns = map[connKey]*Conn{} // the peer forgets, as a translator may
	_, _ = c.Write(p.now, []byte("x"))
	p.settle()
	if !errors.Is(c.Err(), ErrReset) {
		t.Errorf("a segment for a forgotten connection: %v", c.Err())
	}
	if _, err := c.Write(p.now, []byte("x")); !errors.Is(err, ErrReset) {
		t.Errorf("Write after the end: %v", err)
	}
}

func TestBothSidesMayCallEachOther(t *testing.T) {
	p := mkPair(t)
	_ = p.a.SetNeighbor(0, "eth", ip("10.0.0.2"), wire.MAC{2, 0, 0, 0, 0, 2})
	_ = p.b.SetNeighbor(0, "eth", ip("10.0.0.1"), wire.MAC{2, 0, 0, 0, 0, 1})
	p.wire.delay = time.Millisecond
	a, err := p.a.Dial(0, ap("10.0.0.1:5000"), ap("10.0.0.2:6000"), nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := p.b.Dial(0, ap("10.0.0.2:6000"), ap("10.0.0.1:5000"), nil)
	if err != nil {
		t.Fatal(err)
	}
	p.settle()
	_, _ = a.Write(p.now, []byte("from a"))
	_, _ = b.Write(p.now, []byte("from b"))
	p.settle()
	if a.State() != StateEstablished || b.State() != StateEstablished ||
		string(a.Received()) != "from b" || string(b.Received()) != "from a" {
		t.Errorf("a %s %q, b %s %q", a.State(), a.Received(), b.State(), b.Received())
	}
}

func TestOneSideMayGoOnTalking(t *testing.T) {
	p := mkPair(t)
	var server *Conn
	_, _ = p.b.Listen(wire.ProtoTCP, netip.Addr{}, 80, Handler{Stream: func(now int64, c *Conn, e Event) { server = c }})
	c := dial(t, p.a, 0, "10.0.0.2:80")
	p.settle()
	c.Close(p.now)
	p.settle()
	if c.State() != StateFinWait2 || server.State() != StateCloseWait {
		t.Fatalf("client %s, server %s", c.State(), server.State())
	}
	want := mkPayload(300_000)
	_, _ = server.Write(p.now, want)
	p.settle()
	server.Close(p.now)
	p.settle()
	if !bytes.Equal(c.Received(), want) || server.State() != StateClosed || c.State() != StateTimeWait {
		t.Errorf("%d bytes, client %s, server %s", len(c.Received()), c.State(), server.State())
	}
	// A peer that never closes is not waited for beyond two minutes of silence.
	c = dial(t, p.a, p.now, "10.0.0.2:80")
	p.settle()
	c.Close(p.now)
	p.advance(121 * time.Second)
	if c.State() != StateClosed {
		t.Errorf("state %s after two minutes of FIN_WAIT_2", c.State())
	}
}

func TestBothSidesMayCloseAtOnce(t *testing.T) {
	p := mkPair(t)
	p.wire.delay = time.Millisecond
	var server *Conn
	_, _ = p.b.Listen(wire.ProtoTCP, netip.Addr{}, 80, Handler{Stream: func(_ int64, c *Conn, _ Event) { server = c }})
	c := dial(t, p.a, 0, "10.0.0.2:80")
	p.settle()
	c.Close(p.now)
	server.Close(p.now)
	p.settle()
	if c.State() != StateTimeWait || server.State() != StateTimeWait {
		t.Errorf("client %s, server %s, want TIME_WAIT on both", c.State(), server.State())
	}
}

func TestAReaderThatStopsClosesTheWindow(t *testing.T) {
	p := mkPair(t)
	var server *Conn
	_, _ = p.b.Listen(wire.ProtoTCP, netip.Addr{}, 80, Handler{Stream: func(_ int64, c *Conn, _ Event) { server = c }})
	c := dial(t, p.a, 0, "10.0.0.2:80")
	p.settle()
	server.in = make([]byte, maxBuffered-1000) // as if nobody had read for long
	_, _ = c.Write(p.now, mkPayload(5000))
	p.advance(10 * time.Minute)
	if c.State() != StateEstablished || len(server.Received()) != maxBuffered {
		t.Fatalf("client %s, server holds %d bytes", c.State(), len(server.Received()))
	}
	server.Take(p.now)
	p.advance(2 * time.Second)
	if got := len(server.Received()); got != 4000 || c.Unacked() != 0 {
		t.Errorf("%d bytes after the window opened, %d not acknowledged", got, c.Unacked())
	}
}

func TestLocalPortsOfConnections(t *testing.T) {
	p := mkPair(t)
	serve(t, p.b)
	_, _ = p.b.Listen(wire.ProtoTCP, netip.Addr{}, 81, EchoHandler())
	if _, err := p.a.Bind(wire.ProtoTCP, netip.Addr{}, 7000); err != nil {
		t.Fatal(err)
	}
	src := ap("10.0.0.1:5000")
	one, err := p.a.Dial(0, src, ap("10.0.0.2:80"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.a.Dial(0, src, ap("10.0.0.2:81"), nil); err != nil {
		t.Errorf("one port to two peers: %v", err)
	}
	if _, err := p.a.Dial(0, src, ap("10.0.0.2:80"), nil); !errors.Is(err, ErrInUse) {
		t.Errorf("the same connection twice: %v", err)
	}
	if _, err := p.a.Dial(0, ap("10.0.0.1:7000"), ap("10.0.0.2:80"), nil); !errors.Is(err, ErrInUse) {
		t.Errorf("from a port that a socket holds: %v", err)
	}
	if _, err := p.a.Bind(wire.ProtoTCP, netip.Addr{}, 5000); !errors.Is(err, ErrInUse) {
		t.Errorf("a socket on a connection's port: %v", err)
	}
	p.settle()
	one.Close(p.now)
	p.settle()
	again, err := p.a.Dial(p.now, src, ap("10.0.0.2:80"), nil)
	if err != nil {
		t.Fatalf("the port of a connection in TIME_WAIT: %v", err)
	}
	p.settle()
	if again.State() != StateEstablished {
		t.Errorf("state %s", again.State())
	}
}

func TestSeedsGiveDifferentSequenceNumbersAndEqualSeedsEqualOnes(t *testing.T) {
	first := func(seed uint64) string {
		p := mkPair(t, func(c *Config) { c.Seed = seed })
		serve(t, p.b)
		c := dial(t, p.a, 0, "10.0.0.2:80")
		_, _ = c.Write(0, []byte("x"))
		p.settle()
		return summaries(p.sent["a/eth"]) + fmt.Sprint(c.iss)
	}
	one := first(1)
	if again := first(1); again != one {
		t.Error("the same seed gave other frames")
	}
	if one == first(2) {
		t.Error("another seed gave the same frames")
	}
}
