package ring

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Sender puts frames on one interface. It is used from one goroutine.
type Sender struct {
	fd   int
	ring []byte
	size int // of a slot
	n    int // slots
	at   int // the next one
}

const (
	slots     = 512
	maxFrame  = 9216
	blockSize = 1 << 20
	// headLen is where the frame begins in a slot: TPACKET2_HDRLEN without the
	// address behind the header, which is for receiving.
	headLen = (int(unsafe.Sizeof(unix.Tpacket2Hdr{})) + unix.TPACKET_ALIGNMENT - 1) / unix.TPACKET_ALIGNMENT * unix.TPACKET_ALIGNMENT
	// burst bounds what is handed over at a time.
	burst = 64
)

// OpenSender opens the ring for frames of at most longest bytes.
func OpenSender(ifindex, longest int) (_ *Sender, err error) {
	if longest < 14 || longest > maxFrame {
		return nil, fmt.Errorf("frames of %d bytes: expected 14 to %d", longest, maxFrame)
	}
	s := &Sender{fd: -1, size: 2048, n: slots}
	for s.size < longest+headLen {
		s.size *= 2
	}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	// Protocol 0: it gets nothing.
	if s.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
		return nil, fmt.Errorf("packet socket: %w", err)
	}
	if err := unix.SetsockoptInt(s.fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V2); err != nil {
		return nil, fmt.Errorf("ring of version 2: %w", err)
	}
	// Without a queueing discipline, as a generator does.
	if err := unix.SetsockoptInt(s.fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1); err != nil {
		return nil, fmt.Errorf("sending past the queueing discipline: %w", err)
	}
	total := s.size * s.n
	req := unix.TpacketReq{Block_size: blockSize, Block_nr: uint32(total / blockSize), Frame_size: uint32(s.size), Frame_nr: uint32(s.n)}
	if err := unix.SetsockoptTpacketReq(s.fd, unix.SOL_PACKET, unix.PACKET_TX_RING, &req); err != nil {
		return nil, fmt.Errorf("ring of %d slots: %w", s.n, err)
	}
	if err := unix.Bind(s.fd, &unix.SockaddrLinklayer{Ifindex: ifindex}); err != nil {
		return nil, fmt.Errorf("interface %d: %w", ifindex, err)
	}
	if s.ring, err = unix.Mmap(s.fd, 0, total, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return nil, fmt.Errorf("mapping the ring: %w", err)
	}
	return s, nil
}

// Close gives the ring back.
func (s *Sender) Close() {
	if s.ring != nil {
		_ = unix.Munmap(s.ring)
		s.ring = nil
	}
	if s.fd >= 0 {
		unix.Close(s.fd)
		s.fd = -1
	}
}

// Schedule is what to send.
type Schedule struct {
	Frames [][]byte // in turn
	Rate   float64  // frames a second
	For    time.Duration
	// Mark is called for every frame in its slot, with its number.
	Mark func(frame []byte, seq uint64)
}

// grace is by how much sending may run over its time to make up for what other
// programs took.
const grace = 1.1

// Send sends at the rate until all frames that belong to the time are out, or
// the time has run over. It reports how many went and how long it took.
func (s *Sender) Send(ctx context.Context, p Schedule) (sent uint64, took time.Duration, err error) {
	total := uint64(p.Rate * p.For.Seconds())
	limit := time.Duration(float64(p.For) * grace)
	begun := time.Now()
	for sent < total {
		now := time.Since(begun)
		if now > limit || ctx.Err() != nil {
			break
		}
		due := min(total, uint64(p.Rate*now.Seconds())+1)
		if due <= sent {
			// A sleep is longer than it should be: the last stretch is spun.
			if wait := time.Duration(float64(sent)/p.Rate*float64(time.Second)) - now; wait > 200*time.Microsecond {
				time.Sleep(wait - 150*time.Microsecond)
			}
			continue
		}
		k := 0
		for sent+uint64(k) < due && k < burst && s.put(p, sent+uint64(k)) {
			k++
		}
		if err := s.kick(); err != nil {
			return sent, time.Since(begun), err
		}
		sent += uint64(k)
	}
	return sent, time.Since(begun), ctx.Err()
}

// put fills the next slot; false means that the ring is full.
func (s *Sender) put(p Schedule, seq uint64) bool {
	slot := s.ring[s.at*s.size : (s.at+1)*s.size]
	h := (*unix.Tpacket2Hdr)(unsafe.Pointer(&slot[0]))
	if atomic.LoadUint32(&h.Status) != unix.TP_STATUS_AVAILABLE {
		return false
	}
	frame := p.Frames[seq%uint64(len(p.Frames))]
	n := copy(slot[headLen:], frame)
	if p.Mark != nil {
		p.Mark(slot[headLen:headLen+n], seq)
	}
	h.Len = uint32(n)
	atomic.StoreUint32(&h.Status, unix.TP_STATUS_SEND_REQUEST)
	s.at = (s.at + 1) % s.n
	return true
}

// kick has the kernel send what is in the ring.
func (s *Sender) kick() error {
	_, _, errno := unix.Syscall6(unix.SYS_SENDTO, uintptr(s.fd), 0, 0, unix.MSG_DONTWAIT, 0, 0)
	switch {
	case errno == 0, errno == unix.EAGAIN, errno == unix.EINTR, errno == unix.ENOBUFS:
		return nil // what could not go is tried again with the next burst
	case errors.Is(errno, unix.ENETDOWN):
		return errors.New("sending: the interface is down")
	}
	return fmt.Errorf("sending: %w", errno)
}
