package guest

import (
	"sync"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/hnsim/hnsim/sim/fabric/ipstack"
	"github.com/hnsim/hnsim/sim/wire"
)

// link is gVisor's end of an interface: a NIC with a ring in each direction.
//
//	gVisor's goroutines ─ WritePackets ─► out ─► drain    (pump) ─► tap ─► world
//	gVisor ◄─ deliver  (own goroutine) ◄── in ◄─ fromWorld (pump) ◄─ tap ◄─ world
//
// The pump never waits for a guest, so whoever waits for the pump gets on:
// senders may wait, and what comes in is dropped when its ring is full.
// Incoming frames need a goroutine of their own because gVisor answers some of
// them (ARP, pings) on the spot, and that answer may have to wait.
type link struct {
	mac  tcpip.LinkAddress
	mtu  atomic.Uint32
	wake chan<- struct{} // the pump's
	out  chan []byte
	in   chan *stack.PacketBuffer
	down chan struct{} // closed when nothing crosses any more
	once sync.Once     // closes down
	done chan struct{} // closed when deliver has ended

	tap *ipstack.Tap // the pump's

	mu       sync.RWMutex
	upper    stack.NetworkDispatcher
	onClose  func()
	counters counters
}

// counters are those of Stats.
type counters struct {
	sent, received, waited, lost, overrun atomic.Uint64
}

var _ stack.LinkEndpoint = (*link)(nil)

func newLink(mac wire.MAC, mtu, queue int, wake chan<- struct{}) *link {
	l := &link{
		mac:  tcpip.LinkAddress(mac[:]),
		wake: wake,
		out:  make(chan []byte, queue),
		in:   make(chan *stack.PacketBuffer, queue),
		down: make(chan struct{}),
		done: make(chan struct{}),
	}
	l.mtu.Store(uint32(mtu))
	return l
}

// unplug cuts the link: senders that wait go on, their frames are lost.
func (l *link) unplug() { l.once.Do(func() { close(l.down) }) }

// WritePackets takes frames from gVisor and waits while the ring is full.
func (l *link) WritePackets(pkts stack.PacketBufferList) (int, tcpip.Error) {
	n := 0
	for _, pkt := range pkts.AsSlice() {
		frame := make([]byte, 0, pkt.Size())
		for _, b := range pkt.AsSlices() {
			frame = append(frame, b...)
		}
		if !l.put(frame) {
			l.counters.lost.Add(uint64(pkts.Len() - n))
			return n, &tcpip.ErrClosedForSend{}
		}
		n++
	}
	return n, nil
}

// put hands a frame to the pump; it reports false when the link is cut.
func (l *link) put(frame []byte) bool {
	select {
	case <-l.down:
		return false
	case l.out <- frame:
	default:
		l.counters.waited.Add(1)
		select {
		case <-l.down:
			return false
		case l.out <- frame:
		}
	}
	select {
	case l.wake <- struct{}{}:
	default: // it has been told
	}
	return true
}

// drain gives frames to the world and reports whether there was one. It is
// called by the pump.
func (l *link) drain(now int64) bool {
	for i := range perTurn {
		select {
		case frame := <-l.out:
			if l.tap.Send(now, frame) {
				l.counters.sent.Add(1)
			} else {
				l.counters.lost.Add(1) // HNS has taken the interface away
			}
		default:
			return i > 0
		}
	}
	return true
}

// fromWorld takes a frame of ARP or IPv4 from the interface; the rest stays
// with its small stack. It is called by the pump and never waits.
func (l *link) fromWorld(_ int64, frame []byte, _ uint64) bool {
	switch wire.Ethernet(frame).Type() {
	case wire.EtherTypeARP, wire.EtherTypeIPv4:
	default:
		return false
	}
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(frame)})
	select {
	case l.in <- pkt:
		l.counters.received.Add(1)
	default:
		l.counters.overrun.Add(1)
		pkt.DecRef()
	}
	return true
}

// deliver gives frames to gVisor until the link is cut.
func (l *link) deliver() {
	defer close(l.done)
	for {
		select {
		case <-l.down:
			return
		case pkt := <-l.in:
			l.input(pkt)
		}
	}
}

func (l *link) input(pkt *stack.PacketBuffer) {
	defer pkt.DecRef()
	l.mu.RLock()
	upper := l.upper
	l.mu.RUnlock()
	if upper == nil || !l.ParseHeader(pkt) {
		return
	}
	eth := header.Ethernet(pkt.LinkHeader().Slice())
	switch dst := eth.DestinationAddress(); {
	case dst == header.EthernetBroadcastAddress:
		pkt.PktType = tcpip.PacketBroadcast
	case header.IsMulticastEthernetAddress(dst):
		pkt.PktType = tcpip.PacketMulticast
	default:
		pkt.PktType = tcpip.PacketHost // the interface has looked at the address
	}
	upper.DeliverNetworkPacket(eth.Type(), pkt)
}

// discard empties the rings of a link that is cut and delivers no more.
func (l *link) discard() {
	for {
		select {
		case pkt := <-l.in:
			pkt.DecRef()
		case <-l.out:
			l.counters.lost.Add(1)
		default:
			return
		}
	}
}

// Attach sets who takes incoming packets; nil takes the link off the stack.
func (l *link) Attach(d stack.NetworkDispatcher) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.upper = d
}

// IsAttached reports whether somebody takes incoming packets.
func (l *link) IsAttached() bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.upper != nil
}

// AddHeader puts the Ethernet header before an outgoing packet.
func (l *link) AddHeader(pkt *stack.PacketBuffer) {
	header.Ethernet(pkt.LinkHeader().Push(header.EthernetMinimumSize)).Encode(&header.EthernetFields{
		SrcAddr: pkt.EgressRoute.LocalLinkAddress,
		DstAddr: pkt.EgressRoute.RemoteLinkAddress,
		Type:    pkt.NetworkProtocolNumber,
	})
}

// ParseHeader takes the Ethernet header off an incoming packet.
func (l *link) ParseHeader(pkt *stack.PacketBuffer) bool {
	_, ok := pkt.LinkHeader().Consume(header.EthernetMinimumSize)
	return ok
}

// SetOnCloseAction sets what Close calls.
func (l *link) SetOnCloseAction(fn func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.onClose = fn
}

// Close cuts the link.
func (l *link) Close() {
	l.unplug()
	l.mu.RLock()
	fn := l.onClose
	l.mu.RUnlock()
	if fn != nil {
		fn()
	}
}

// Wait does nothing: the guest waits for deliver before it closes the stack,
// since gVisor holds its locks here.
func (l *link) Wait() {}

// MTU is the longest IP packet.
func (l *link) MTU() uint32 { return l.mtu.Load() }

// SetMTU changes the longest IP packet.
func (l *link) SetMTU(mtu uint32) { l.mtu.Store(mtu) }

// MaxHeaderLength is that of Ethernet.
func (l *link) MaxHeaderLength() uint16 { return header.EthernetMinimumSize }

// LinkAddress is the interface's MAC.
func (l *link) LinkAddress() tcpip.LinkAddress { return l.mac }

// SetLinkAddress does nothing: the MAC is the interface's.
func (l *link) SetLinkAddress(tcpip.LinkAddress) {}

// Capabilities says that next hops are resolved with ARP and that checksums
// are computed: packets cross a simulated wire, where they are looked at.
func (l *link) Capabilities() stack.LinkEndpointCapabilities {
	return stack.CapabilityResolutionRequired
}

// ARPHardwareType is Ethernet.
func (l *link) ARPHardwareType() header.ARPHardwareType { return header.ARPHardwareEther }
