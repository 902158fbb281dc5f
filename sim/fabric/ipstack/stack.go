package ipstack

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/hnsim/hnsim/sim/vfp"
)

// Timers is the caller's clockwork.
type Timers interface {
	// After calls fn once, d after the present instant, with the time of that
	// moment. A d that is not positive means as soon as the present work is
	// done, never from within After.
	After(d time.Duration, fn func(now int64)) Timer
}

// Timer is a call that waits. Stop prevents it; a Timer that has fired or was
// stopped may be stopped again.
type Timer interface{ Stop() }

// Observer is told what happens in a stack. Any field may be nil. Frames are
// valid during the call only and belong to the stack.
type Observer struct {
	// OnReceive sees frames that an interface accepted: those for its MAC,
	// broadcasts and multicasts.
	OnReceive func(now int64, iface string, frame []byte, id uint64)
	// OnSend sees frames that leave an interface.
	OnSend func(now int64, iface string, frame []byte, id uint64)
	// OnDrop sees packets that go no further, with the part of the stack that
	// decided so ("ip", "forward", "neighbor", ...). A datagram or segment for
	// a port that nobody listens on has been received and is no drop.
	OnDrop func(now int64, where string, why vfp.Drop, frame []byte, id uint64)
	// OnICMPError hears of errors that came back about packets sent from here.
	OnICMPError func(now int64, e ICMPError)
}

// Config describes a stack. Timers is required; everything else may be zero.
type Config struct {
	Name     string
	Timers   Timers
	Seed     uint64        // of TCP sequence numbers and transaction ids; streams also depend on Name
	NewID    func() uint64 // identities for packets that begin here; nil counts from 1
	Ports    Ports         // nil: the stack's own port space
	Hooks    Hooks
	NoWays   bool // remember no way of a packet: slower, and otherwise the same
	Observer Observer

	Forwarding  bool  // route between all interfaces (IPEnableRouter)
	NoEchoReply bool  // do not answer echo requests
	Refuse      bool  // closed ports answer with RST and "port unreachable"; otherwise they are silent, as behind Windows Firewall
	TTL         uint8 // of packets sent from here; 0 is 128

	TimeWait time.Duration // how long a closed connection is remembered; 0 is DefaultTimeWait
}

// DefaultTTL is what Windows puts into packets.
const DefaultTTL = 128

// Stack is one compartment. It is used from one goroutine; callbacks may call
// back into it.
type Stack struct {
	cfg    Config
	rand   *rand.Rand
	ids    uint64
	ipID   uint16
	ipID6  uint32
	ifaces []*Interface
	lo     *Interface
	own    map[netip.Addr]*Interface // addresses of interfaces that are up or down
	routes []route
	neigh  map[neighKey]*neighbor
	reasm  reassembly

	sockets map[portKey][]*socket
	space   Ports
	conns   map[connKey]*Conn
	owners  map[portClaim]*portOwner
	echoes  []*Echo

	profile  profile
	redirect Redirector // nil: connections go where they say

	// What has been forwarded lately; see ways.go.
	ways  [numWays]way
	epoch uint64

	free  []*vfp.Packet
	drops vfp.DropCounters
}

// New makes a stack with a loopback interface. It panics without Timers.
func New(cfg Config) *Stack {
	if cfg.Timers == nil {
		panic("ipstack.New: Config.Timers is required")
	}
	if cfg.TTL == 0 {
		cfg.TTL = DefaultTTL
	}
	if cfg.TimeWait == 0 {
		cfg.TimeWait = DefaultTimeWait
	}
	var name uint64
	for i := range len(cfg.Name) {
		name = name*31 + uint64(cfg.Name[i])
	}
	s := &Stack{
		cfg:     cfg,
		rand:    rand.New(rand.NewPCG(cfg.Seed, name)),
		own:     make(map[netip.Addr]*Interface),
		neigh:   make(map[neighKey]*neighbor),
		sockets: make(map[portKey][]*socket),
		conns:   make(map[connKey]*Conn),
		owners:  make(map[portClaim]*portOwner),
		space:   cfg.Ports,
	}
	s.reasm.init()
	if s.space == nil {
		s.space = newPortSpace()
	}
	s.lo = newLoopback(s)
	return s
}

// Name is the stack's name.
func (s *Stack) Name() string { return s.cfg.Name }

// SetHooks replaces the hooks; packets under way meet the new ones.
func (s *Stack) SetHooks(h Hooks) {
	s.cfg.Hooks = h
	s.changed()
}

// SetObserver replaces the observer.
func (s *Stack) SetObserver(o Observer) { s.cfg.Observer = o }

// SetForwarding switches routing between all interfaces; with it off,
// interfaces can still route among each other (Interface.SetForwarding).
func (s *Stack) SetForwarding(on bool) {
	s.cfg.Forwarding = on
	s.changed()
}

// SetEchoReply switches answers to echo requests.
func (s *Stack) SetEchoReply(on bool) { s.cfg.NoEchoReply = !on }

// SetRefuse makes closed ports answer (true) or stay silent.
func (s *Stack) SetRefuse(on bool) { s.cfg.Refuse = on }

// Drops counts what was dropped, by reason.
func (s *Stack) Drops() vfp.DropCounters { return s.drops }

func (s *Stack) newID() uint64 {
	if s.cfg.NewID != nil {
		return s.cfg.NewID()
	}
	s.ids++
	return s.ids
}

func (s *Stack) drop(now int64, where string, why vfp.Drop, p *vfp.Packet) {
	s.dropFrame(now, where, why, p.Bytes(), p.ID)
}

func (s *Stack) dropFrame(now int64, where string, why vfp.Drop, frame []byte, id uint64) {
	s.drops[why]++
	if f := s.cfg.Observer.OnDrop; f != nil {
		f(now, where, why, frame, id)
	}
}

// maxFree bounds the packets kept for reuse.
const maxFree = 32

// get makes a packet of frame. Whoever gets one puts it back.
func (s *Stack) get(frame []byte, id uint64) *vfp.Packet {
	var p *vfp.Packet
	if n := len(s.free); n > 0 {
		p, s.free = s.free[n-1], s.free[:n-1]
	} else {
		p = new(vfp.Packet)
	}
	p.Reset(frame)
	p.ID = id
	return p
}

func (s *Stack) put(p *vfp.Packet) {
	if len(s.free) < maxFree {
		s.free = append(s.free, p)
	}
}
