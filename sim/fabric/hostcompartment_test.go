package fabric

import (
	"net/netip"
	"testing"
	"time"

	"github.com/hnsim/hnsim/sim/fabric/ipstack"
	"github.com/hnsim/hnsim/sim/wire"
)

// compartmentHost is a host whose compartment 7 has a connection over loopback
// in TIME_WAIT, and another that is open.
func compartmentHost(t *testing.T, own bool) (*Net, *Host, *ipstack.Conn) {
	t.Helper()
	w := New(Config{})
	h, err := w.AddHost(HostConfig{Name: "h", Segment: "lan", MAC: wire.MAC{2, 0, 0, 0, 0, 1}})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Apply(&HostProgram{Compartments: []CompartmentProgram{{ID: 7, OwnKernel: own}}}); err != nil {
		t.Fatal(err)
	}
	st := h.Compartment(7).Stack
	lo := netip.MustParseAddr("127.0.0.1")
	if _, err := st.Listen(wire.ProtoTCP, lo, 80, ipstack.AnswerHandler([]byte("ok"))); err != nil {
		t.Fatal(err)
	}
	dial := func() *ipstack.Conn {
		c, err := st.Dial(w.Loop.Now(), netip.AddrPort{}, netip.AddrPortFrom(lo, 80), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Loop.Settle(); err != nil {
			t.Fatal(err)
		}
		return c
	}
	dial().Close(w.Loop.Now())
	open := dial()
	if st.TimeWaits() != 1 || open.State() != ipstack.StateEstablished {
		t.Fatalf("%d connections in TIME_WAIT, the open one is %s", st.TimeWaits(), open.State())
	}
	return w, h, open
}

func TestACompartmentWaitsForItsConnections(t *testing.T) {
	w, h, open := compartmentHost(t, false)
	if err := h.Apply(&HostProgram{}); err != nil {
		t.Fatal(err)
	}
	c := h.Compartment(7)
	if c == nil || !c.Closing() {
		t.Fatal("the compartment went with its last container")
	}
	if open.State() != ipstack.StateClosed || len(c.Stack.Sockets()) != 1 {
		t.Errorf("the open connection is %s, and there are sockets %v", open.State(), c.Stack.Sockets())
	}
	if err := w.Loop.Advance(119 * time.Second); err != nil {
		t.Fatal(err)
	}
	if h.Compartment(7) == nil {
		t.Error("the compartment went before the connection was over")
	}
	if err := w.Loop.Advance(time.Second); err != nil {
		t.Fatal(err)
	}
	if h.Compartment(7) != nil || len(h.Compartments()) != 1 {
		t.Error("the compartment outlived its last connection")
	}
}

func TestAKernelOfItsOwnTakesItsConnectionsAlong(t *testing.T) {
	_, h, _ := compartmentHost(t, true)
	if err := h.Apply(&HostProgram{}); err != nil {
		t.Fatal(err)
	}
	if h.Compartment(7) != nil {
		t.Error("the compartment stayed")
	}
}

func TestAClosingCompartmentMayBeUsedAgain(t *testing.T) {
	w, h, _ := compartmentHost(t, false)
	c := h.Compartment(7)
	for _, p := range []*HostProgram{{}, {Compartments: []CompartmentProgram{{ID: 7}}}} {
		if err := h.Apply(p); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Loop.Advance(time.Hour); err != nil {
		t.Fatal(err)
	}
	if h.Compartment(7) != c || c.Closing() {
		t.Error("the compartment was torn down under its new container")
	}
}
