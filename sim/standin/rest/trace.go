package rest

import (
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hnsim/hnsim/sim"
	"github.com/hnsim/hnsim/sim/fabric/ipstack"
	"github.com/hnsim/hnsim/sim/hcn"
	"github.com/hnsim/hnsim/sim/hns"
	"github.com/hnsim/hnsim/sim/standin"
	"github.com/hnsim/hnsim/sim/wire"
)

// walk is the answer of /v1/trace.
type walk struct {
	ID        uint64   `json:"id"`
	From      string   `json:"from"` // node that sent it
	Packet    string   `json:"packet"`
	Verdict   string   `json:"verdict"`
	Delivered bool     `json:"delivered"`
	Steps     []string `json:"steps"`  // of this packet, in the switches
	Events    []event  `json:"events"` // of all packets, answers included
	Lost      int      `json:"lost,omitempty"`
}

func (s *Server) trace(w http.ResponseWriter, r *http.Request) error {
	format := r.URL.Query().Get("format")
	if format != "" && format != "json" && format != "text" {
		return httpErrorf(http.StatusBadRequest, "format is %q: expected json or text", format)
	}
	return s.withBody(w, r, func(body []byte) error {
		var req struct {
			From   string `json:"from"`
			Packet string `json:"packet"`
		}
		if err := decode(body, &req, `{"from":"ENDPOINT","packet":"udp 10.0.0.1:5000 > 10.0.0.2:53 'hello'"}`); err != nil {
			return err
		}
		p, err := parsePacket(req.Packet)
		if err != nil {
			return httpErrorf(http.StatusBadRequest, "packet: %v", err)
		}
		var out *walk
		_, err = s.do(r, &standin.Operation{Function: "trace", Args: []string{req.From, req.Packet}, Run: func(h *standin.Host) ([]byte, error) {
			out, err = s.follow(s.cfg.World.Host(h.Name), req.From, p)
			return nil, err
		}})
		if err != nil {
			return err
		}
		if format == "text" {
			out.print(w)
		} else {
			writeJSON(w, http.StatusOK, out)
		}
		return nil
	})
}

// patience is the virtual time that a packet gets to be delivered: as long as
// a neighbour may take to be found missing.
const patience = 5 * time.Second

// follow sends a packet and records what becomes of it. The stand-in's lock is
// held.
func (s *Server) follow(h *sim.Host, from string, p *packet) (*walk, error) {
	e, err := sender(h, from)
	if err != nil {
		return nil, err
	}
	loop := s.cfg.World.Loop()
	if err := loop.Settle(); err != nil { // what is under way already is not this packet's
		return nil, err
	}
	s.cfg.Watch.start()
	defer s.cfg.Watch.stop()
	out := &walk{Steps: []string{}, From: h.Name()}
	if e != nil {
		out.From = fmt.Sprintf("%s endpoint %s", h.Name(), e.Doc.ID)
	}
	if out.ID, err = s.send(h, e, p, out); err != nil {
		return nil, err
	}
	if err := loop.Settle(); err != nil {
		return nil, err
	}
	if s.fate(out.ID) == nil {
		if _, err := loop.RunUntil(loop.Now()+int64(patience), func() bool { return s.fate(out.ID) != nil }); err != nil {
			return nil, err
		}
	}
	s.finish(out)
	return out, nil
}

// sender finds the endpoint that a packet comes from, by id or name; nil is
// the host itself.
func sender(h *sim.Host, from string) (*hns.Endpoint, error) {
	if from == "" || strings.EqualFold(from, "host") {
		return nil, nil
	}
	var found []*hns.Endpoint
	if st := h.State(); st != nil {
		for _, e := range st.Endpoints {
			if hcn.SameID(e.Doc.ID, from) || e.Doc.Name == from {
				found = append(found, e)
			}
		}
	}
	switch {
	case len(found) == 0:
		return nil, hcn.Errorf(hcn.ErrEndpointNotFound, "no endpoint of host %s has the id or the name %q", h.Name(), from)
	case len(found) > 1:
		return nil, httpErrorf(http.StatusConflict, "%d endpoints of host %s are called %q: name one by its id", len(found), h.Name(), from)
	case found[0].Remote:
		return nil, hcn.Errorf(hcn.ErrInvalidRemoteEndpointOp, "endpoint %s is on another host", found[0].Doc.ID)
	}
	return found[0], nil
}

// send gives the packet to the IP stack of the sender's compartment, or puts
// it on the switch port of an endpoint that is in none.
func (s *Server) send(h *sim.Host, e *hns.Endpoint, p *packet, out *walk) (uint64, error) {
	loop := s.cfg.World.Loop()
	stack := h.Stack()
	if e != nil {
		stack = nil
		if c := h.Compartment(e.Compartment); e.Compartment != 0 && c != nil {
			stack = c.Stack
		}
	}
	if stack == nil {
		return s.sendFromPort(h, e, p, out)
	}
	src, err := source(stack, e, p)
	if err != nil {
		return 0, err
	}
	f, err := p.build(src)
	if err != nil {
		return 0, httpErrorf(http.StatusBadRequest, "packet: %v", err)
	}
	b := f.Bytes()
	_, out.Packet, _ = strings.Cut(wire.Summary(b), ") ") // Ethernet is the stack's business
	id, err := stack.SendIP(loop.Now(), b[wire.EthernetLen:], ipstack.FragmentPlan{})
	if err != nil && id == 0 {
		return 0, httpErrorf(http.StatusConflict, "%s cannot send it: %v", out.From, err)
	}
	return id, nil
}

// source is the address that a packet comes from which names none.
func source(stack *ipstack.Stack, e *hns.Endpoint, p *packet) (netip.Addr, error) {
	if p.src.Addr().IsValid() {
		return p.src.Addr(), nil
	}
	if e != nil {
		for _, a := range e.Addrs {
			if a.IP.Is4() == p.dst.Addr().Is4() {
				return a.IP, nil
			}
		}
	}
	if stack != nil {
		if _, _, src, ok := stack.RouteTo(p.dst.Addr()); ok {
			return src, nil
		}
	}
	return netip.Addr{}, httpErrorf(http.StatusConflict, "the sender has no address for %s, or no route to it: name a source in the packet", p.dst.Addr())
}

// sendFromPort makes the frame that a container would send, to the neighbour
// with the destination's address or to the gateway.
func (s *Server) sendFromPort(h *sim.Host, e *hns.Endpoint, p *packet, out *walk) (uint64, error) {
	sw, port, ok := h.EndpointPort(e.Doc.ID)
	if !ok {
		return 0, httpErrorf(http.StatusConflict, "endpoint %s has no switch port", e.Doc.ID)
	}
	src, err := source(nil, e, p)
	if err != nil {
		return 0, err
	}
	f, err := p.build(src)
	if err != nil {
		return 0, httpErrorf(http.StatusBadRequest, "packet: %v", err)
	}
	f.EthSrc, f.EthDst = e.MAC, neighbour(h.State(), e, p.dst.Addr())
	b, err := f.Build()
	if err != nil {
		return 0, httpErrorf(http.StatusBadRequest, "packet: %v", err)
	}
	out.Packet = wire.Summary(b)
	id := s.cfg.World.Loop().NextID()
	h.TransmitPort(sw, port, b, id)
	return id, nil
}

func neighbour(st *hns.State, e *hns.Endpoint, dst netip.Addr) wire.MAC {
	for _, o := range st.EndpointsOf(e.Network) {
		if slices.ContainsFunc(o.Addrs, func(a hns.Address) bool { return a.IP == dst }) {
			return o.MAC
		}
	}
	n := st.NetworkByNum(e.Network)
	if n.DRMAC != [6]byte{} {
		return n.DRMAC
	}
	return n.HostMAC
}

// fate is the last thing that happened to a packet, nil while it is on its way:
// it was sent, or a machine has it that is to forward it.
func (s *Server) fate(id uint64) *event {
	e := s.last(id)
	if e == nil || e.What == "sent" || e.What == "received" && !s.owns(e) {
		return nil
	}
	return e
}

func (s *Server) last(id uint64) *event {
	events := s.cfg.Watch.rec.events
	for i := len(events) - 1; i >= 0; i-- {
		if events[i].ID == id {
			return &events[i]
		}
	}
	return nil
}

// owns reports whether a received packet is for the machine that has it.
func (s *Server) owns(e *event) bool {
	stack := s.stack(e.Node)
	if !e.dst.IsValid() || stack == nil {
		return true // a broadcast, or nobody to ask
	}
	for _, i := range stack.Interfaces() {
		for _, a := range i.Addrs() {
			if a.Addr() == e.dst {
				return true
			}
		}
	}
	return false
}

// stack is the IP stack of a node: "h1", "h1#2".
func (s *Server) stack(node string) *ipstack.Stack {
	name, number, ok := strings.Cut(node, "#")
	if !ok {
		if n := s.cfg.World.Net.Node(name); n != nil {
			return n.Stack()
		}
		return nil
	}
	id, err := strconv.ParseUint(number, 10, 32)
	h := s.cfg.World.Host(name)
	if err != nil || h == nil {
		return nil
	}
	if c := h.Compartment(uint32(id)); c != nil {
		return c.Stack
	}
	return nil
}

func (s *Server) finish(out *walk) {
	rec := s.cfg.Watch.rec
	if t := rec.traces[out.ID]; t != nil {
		out.Steps = t.Lines()
	}
	out.Events, out.Lost = rec.events, rec.lost
	for i := range out.Events {
		out.Events[i].Endpoint = s.endpointAt(out.Events[i].Node)
	}
	e := s.last(out.ID)
	switch {
	case e == nil:
		out.Verdict = "not sent: nothing was seen of it"
	case e.What == "sent" || e.What == "received" && !s.owns(e):
		out.Verdict = fmt.Sprintf("on its way: %s has it", e.Node)
	case e.What == "dropped":
		out.Verdict = fmt.Sprintf("dropped at %s, %s: %s", e.Node, e.Where, e.Reason)
	case e.What == "received":
		out.Delivered = true
		out.Verdict = fmt.Sprintf("delivered to %s, %s", e.Node, e.Where)
		if e.Endpoint != "" {
			out.Verdict += ", endpoint " + e.Endpoint
		}
	default:
		out.Verdict = fmt.Sprintf("on the wire of %s: no machine of this world took it", e.Node)
	}
	if out.Events == nil {
		out.Events = []event{}
	}
}

// endpointAt names the endpoints of a compartment: "h1#2".
func (s *Server) endpointAt(node string) string {
	name, number, ok := strings.Cut(node, "#")
	h := s.cfg.World.Host(name)
	if !ok || h == nil || h.State() == nil {
		return ""
	}
	var ids []string
	for _, e := range h.State().Endpoints {
		if fmt.Sprint(e.Compartment) == number {
			ids = append(ids, e.Doc.ID)
		}
	}
	return strings.Join(ids, " ")
}

func (out *walk) print(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	var b strings.Builder
	fmt.Fprintf(&b, "packet %d from %s\n  %s\n\nin the switches\n", out.ID, out.From, out.Packet)
	for _, line := range out.Steps {
		fmt.Fprintf(&b, "  %s\n", line)
	}
	b.WriteString("\nseen\n")
	for _, e := range out.Events {
		fmt.Fprintf(&b, "  %-8s packet %d %s %s, %s", e.At, e.ID, e.What, e.Node, e.Where)
		if e.Reason != "" {
			b.WriteString(": " + e.Reason)
		}
		fmt.Fprintf(&b, "\n           %s\n", e.Packet)
	}
	if out.Lost > 0 {
		fmt.Fprintf(&b, "  and %d more\n", out.Lost)
	}
	fmt.Fprintf(&b, "\n%s\n", out.Verdict)
	_, _ = io.WriteString(w, b.String())
}
